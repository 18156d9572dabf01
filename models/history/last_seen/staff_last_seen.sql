{{ config(unique_key='staff_key') }}

with staff as (
    select * from {{ ref('staff') }}
),

section_staff as (
    select * from {{ ref('section_staff') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

-- core has nobody on staff but those in a feed
people as (
    select
        staff.staff_key,
        night.as_of as last_seen_on,
        true as is_in_feed
    from staff
    cross join night
),

teachers_of_record as (
    select distinct section_staff.staff_key
    from section_staff
),

known_staff as (
    select
        {{ all_but('staff', ['email', 'is_teacher', 'is_in_sis', 'is_in_hr']) }},
        staff.is_teacher or teachers_of_record.staff_key is not null as is_teacher
    from staff
    left join teachers_of_record
        on staff.staff_key = teachers_of_record.staff_key
),

final as (
    {{ last_seen('known_staff', 'people', 'staff_key') }}
)

select * from final
