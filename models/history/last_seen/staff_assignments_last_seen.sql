{{ config(unique_key='staff_key') }}

with assignments as (
    select * from {{ ref('staff_assignments') }}
),

staff as (
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

final as (
    {{ last_seen('assignments', 'people', 'staff_key') }}
)

select * from final
