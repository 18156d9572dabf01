{{ config(materialized='view') }}

-- our own groups need no line here: their slugs hold a mincode, and no minted name holds digits between letters
-- (test identity__no_account_shares_a_group_address)

with names_of_targets as (
    select * from {{ ref('stg_targets__names_taken') }}
),

reserved_names as (
    select * from {{ ref('reserved_names') }}
),

names as (
    select
        {{ local_part('names_of_targets.address') }} as account_name,
        names_of_targets.address,
        names_of_targets.kind,
        names_of_targets.target,
        names_of_targets.person_id,
        names_of_targets.remote_id
    from names_of_targets

    union all

    select
        lower(reserved_names.account_name) as account_name,
        cast(null as {{ dbt.type_string() }}) as address,
        'reserved' as kind,
        'policy' as target,
        cast(null as {{ dbt.type_string() }}) as person_id,
        cast(null as {{ dbt.type_string() }}) as remote_id
    from reserved_names
),

final as (
    select distinct
        names.account_name,
        names.address,
        names.kind,
        names.target,
        names.person_id,
        names.remote_id
    from names
    where names.account_name <> ''
)

select * from final
