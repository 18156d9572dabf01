with persons as (
    select * from {{ ref('persons') }}
),

records as (
    select * from {{ ref('person_records') }}
),

holders as (
    select * from {{ ref('account_holders') }}
),

accounts as (
    select * from {{ ref('accounts') }}
),

aliases as (
    select * from {{ ref('account_aliases') }}
),

observed as (
    select * from {{ ref('stg_targets__accounts') }}
),

orphan_accounts as (
    select * from {{ ref('orphan_accounts') }}
),

words as (
    select
        persons.person_id as subject,
        persons.person_id as known_as,
        false as is_name
    from persons
    union
    select
        persons.person_id as subject,
        persons.source_key as known_as,
        false as is_name
    from persons
    union
    select
        holders.person_id as subject,
        holders.account_name as known_as,
        false as is_name
    from holders
    union
    select
        holders.person_id as subject,
        holders.address as known_as,
        false as is_name
    from holders
    union
    -- every name somebody was ever given
    select
        accounts.person_id as subject,
        accounts.account_name as known_as,
        false as is_name
    from accounts
    union
    select
        accounts.person_id as subject,
        accounts.account_name || '@' || accounts.domain as known_as,
        false as is_name
    from accounts
    union
    select
        aliases.person_id as subject,
        aliases.address as known_as,
        false as is_name
    from aliases
    union
    -- an address somebody gave an account of ours by hand
    select
        observed.person_id as subject,
        observed.address as known_as,
        false as is_name
    from observed
    union
    select
        records.person_id as subject,
        records.email as known_as,
        false as is_name
    from records
    union
    select
        records.person_id as subject,
        trim(coalesce(records.first_name, '') || ' ' || coalesce(records.last_name, '')) as known_as,
        true as is_name
    from records
    union
    select
        records.person_id as subject,
        trim(coalesce(records.legal_first_name, '') || ' ' || coalesce(records.legal_last_name, '')) as known_as,
        true as is_name
    from records
),

people as (
    select
        persons.person_id as subject,
        persons.population || ' ' || persons.source_key || coalesce(', school ' || records.school_number, '')
        || coalesce(', grade ' || records.grade_code, '') as about,
        trim(coalesce(records.first_name, '') || ' ' || coalesce(records.last_name, '')) as called
    from persons
    left join records
        on persons.person_id = records.person_id
),

final as (
    select distinct
        words.subject,
        lower(words.known_as) as known_as,
        words.is_name,
        people.about,
        people.about || coalesce(': ' || nullif(people.called, ''), '') as about_with_names
    from words
    inner join people
        on words.subject = people.subject
    where words.known_as <> ''

    union all

    -- an account that carries nobody's key
    select
        cast(null as {{ dbt.type_string() }}) as subject,
        lower(orphan_accounts.address) as known_as,
        false as is_name,
        orphan_accounts.target || ' account ' || orphan_accounts.remote_id || ' carries nobody''s key'
        || coalesce('; ' || orphan_accounts.protection, '') as about,
        cast(null as {{ dbt.type_string() }}) as about_with_names
    from orphan_accounts
    where orphan_accounts.address is not null
)

select * from final
