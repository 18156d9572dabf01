{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='staff_key',
    database='ledger',
    full_refresh=false,
    on_schema_change='fail',
) }}

-- rows of people in tonight's feeds only: a row that is itself a memory must not refresh itself

with assignments as (
    select * from {{ ref('staff_assignments') }}
),

staff as (
    select * from {{ ref('staff') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

final as (
    select
        assignments.staff_key,
        assignments.school_number,
        night.as_of as last_seen_on
    from assignments
    inner join staff
        on assignments.staff_key = staff.staff_key
    cross join night
)

select * from final
