{{ config(
    materialized='incremental',
    incremental_strategy='append',
    database='ledger',
    full_refresh=false,
    on_schema_change='fail',
) }}

with records as (
    select * from {{ ref('person_records') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

new_records as (
    select records.*
    from records
    {% if is_incremental() %}
    left join {{ this }} as known
        on records.person_id = known.person_id
    where known.person_id is null
    {% endif %}
),

final as (
    select
        new_records.person_id,
        new_records.population,
        new_records.source_key,
        night.as_of as first_seen_on,
        new_records.rule
    from new_records
    cross join night
)

select * from final
