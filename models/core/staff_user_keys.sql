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

night as (
    select * from {{ source('homeroom', 'night') }}
),

-- who has no staff id anywhere is known by the user name, from now on, whatever ids turn up later
final as (
    select
        pairs.sis_user_name,
        'U' || pairs.sis_user_name as staff_key,
        night.as_of as first_seen_on
    from pairs
    cross join night
    where
        pairs.sis_user_name is not null
        and pairs.sis_staff_id is null
        and pairs.hr_staff_id is null
        {% if is_incremental() %}
        and pairs.sis_user_name not in (select known.sis_user_name from {{ this }} as known)
        {% endif %}
)

select * from final
