with targets as (
    select * from {{ ref('targets') }}
    where has_aliases
),

accounts as (
    select * from {{ ref('accounts') }}
),

adopted as (
    select * from {{ ref('standing_adoptions') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

renames as (
    select
        earlier.person_id,
        earlier.account_name,
        earlier.domain,
        earlier.name_number,
        later.minted_on as renamed_on,
        cast({{ dbt.dateadd('day', 'later.alias_days', 'later.minted_on') }} as date) as alias_until
    from accounts as earlier
    inner join accounts as later
        on
            earlier.person_id = later.person_id
            and earlier.name_number + 1 = later.name_number
),

places as (
    select
        renames.*,
        targets.target,
        targets.address
    from renames
    cross join targets
),

final as (
    select
        places.person_id,
        places.target,
        coalesce(
            {{ account_address('places', 'adopted.account_name', 'adopted.domain') }},
            {{ account_address('places', 'places.account_name', 'places.domain') }}
        ) as address,
        places.renamed_on,
        places.alias_until
    from places
    cross join night
    left join adopted
        on
            places.person_id = adopted.person_id
            and places.target = adopted.target
            and places.name_number = 1
    where places.alias_until > night.as_of
)

select * from final
