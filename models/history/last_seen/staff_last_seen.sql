{{ config(unique_key='staff_key') }}

with staff as (
    select * from {{ ref('staff') }}
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

known_staff as (
    select {{ all_but('staff', ['email', 'is_in_sis', 'is_in_hr']) }}
    from staff
),

final as (
    {{ last_seen('known_staff', 'people', 'staff_key') }}
)

select * from final
