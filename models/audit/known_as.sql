with persons as (
    select * from {{ ref('persons') }}
),

holders as (
    select * from {{ ref('account_holders') }}
),

observed as (
    select * from {{ ref('stg_targets__accounts') }}
),

words as (
    select
        persons.person_id as subject,
        persons.person_id as known_as
    from persons
    union
    select
        persons.person_id as subject,
        lower(persons.source_key) as known_as
    from persons
    union
    select
        holders.person_id as subject,
        lower(holders.account_name) as known_as
    from holders
    union
    select
        holders.person_id as subject,
        lower(holders.address) as known_as
    from holders
    union
    -- an address somebody gave an account of ours by hand
    select
        observed.person_id as subject,
        lower(observed.address) as known_as
    from observed
),

final as (
    select
        words.subject,
        words.known_as
    from words
    where words.subject is not null and words.known_as is not null
)

select * from final
