{{ config(
    materialized='incremental',
    incremental_strategy='append',
    database='ledger',
    schema='identity',
    full_refresh=false,
    on_schema_change='fail',
) }}

with pairs as (
    select * from {{ ref('staff_pairs') }}
),

remembered as (
    select * from {{ ref('staff_remembered') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

-- who has no staff id anywhere, and never had one, is known by the user name, from now on, whatever ids turn up later
without_id as (
    select pairs.sis_user_name
    from pairs
    -- somebody human resources purged has a key already
    left join remembered on pairs.sis_user_name = remembered.sis_user_name
    where
        remembered.staff_key is null
        and pairs.sis_user_name is not null
        and pairs.sis_staff_id is null
        and pairs.hr_staff_id is null
),

final as (
    select
        without_id.sis_user_name,
        'U' || without_id.sis_user_name as staff_key,
        night.as_of as first_seen_on
    from without_id
    cross join night
    {% if is_incremental() %}
    left join {{ this }} as known
        on without_id.sis_user_name = known.sis_user_name
    where known.sis_user_name is null
    {% endif %}
)

select * from final
