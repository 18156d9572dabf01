{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='staff_key',
    database='ledger',
    full_refresh=false,
    on_schema_change='fail',
) }}

with staff as (
    select * from {{ ref('staff') }}
),

section_staff as (
    select * from {{ ref('section_staff') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

teachers_of_record as (
    select distinct section_staff.staff_key
    from section_staff
),

final as (
    select
        -- ids
        staff.staff_key,
        staff.staff_id,

        -- names
        staff.first_name,
        staff.last_name,
        staff.usual_first_name,

        -- work
        staff.position,
        staff.is_teacher or teachers_of_record.staff_key is not null as is_teacher,
        staff.school_number,
        staff.is_active,
        staff.match_rule,
        staff.ended_on,

        -- load
        night.as_of as last_seen_on,
        staff.source_file,
        staff.source_line
    from staff
    cross join night
    left join teachers_of_record
        on staff.staff_key = teachers_of_record.staff_key
)

select * from final
