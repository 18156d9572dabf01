{{ config(materialized='view') }}

-- our own groups need no line here: their slugs hold a mincode, and no minted name holds digits between letters
-- (test identity__no_account_shares_a_group_address)

with google_names as (
    select * from {{ ref('stg_google__names_taken') }}
),

microsoft_names as (
    select * from {{ ref('stg_microsoft__names_taken') }}
),

reserved_names as (
    select * from {{ ref('reserved_names') }}
),

names as (
    select
        {{ local_part('google_names.address') }} as account_name,
        google_names.address,
        google_names.kind,
        'google' as target,
        google_names.person_id,
        google_names.remote_id
    from google_names

    union all

    select
        {{ local_part('microsoft_names.address') }} as account_name,
        microsoft_names.address,
        microsoft_names.kind,
        'microsoft' as target,
        microsoft_names.person_id,
        microsoft_names.remote_id
    from microsoft_names

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
