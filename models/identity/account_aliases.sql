with accounts as (
    select * from {{ ref('accounts') }}
),

adopted_accounts as (
    select * from {{ ref('adopted_accounts') }}
),

night as (
    select * from {{ source('homeroom', 'night') }}
),

renames as (
    select
        earlier.person_id,
        earlier.account_name,
        earlier.domain,
        earlier.name_number,
        later.minted_on as renamed_on,
        cast({{ dbt.dateadd('day', 'coalesce(later.alias_days, 0)', 'later.minted_on') }} as date) as alias_until
    from accounts as earlier
    inner join accounts as later
        on
            earlier.person_id = later.person_id
            and earlier.name_number + 1 = later.name_number
),

places as (
    {% for target in ['google', 'microsoft'] %}
    select
        renames.*,
        '{{ target }}' as target
    from renames
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

final as (
    select distinct
        places.person_id,
        places.target,
        coalesce(adopted_accounts.account_name || '@' || adopted_accounts.domain, places.account_name || '@' || places.domain) as address,
        places.renamed_on,
        places.alias_until
    from places
    cross join night
    left join adopted_accounts
        on
            places.person_id = adopted_accounts.person_id
            and places.target = adopted_accounts.target
            and places.name_number = 1
    where places.alias_until > night.as_of
)

select * from final
