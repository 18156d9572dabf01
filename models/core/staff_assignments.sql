with matches as (
    select * from {{ ref('staff_matches') }}
),

assignments as (
    select * from {{ ref('intake_staff') }}
),

employments as (
    select * from {{ ref('intake_employments') }}
),

staff as (
    select * from {{ ref('staff') }}
),

remembered as (
    select * from {{ ref('staff_assignments_remembered') }}
),

tonight as (
    select
        matches.staff_key,
        assignments.school_number
    from matches
    inner join assignments on matches.sis_key = assignments.sis_key
    where assignments.school_number is not null
    union
    select
        matches.staff_key,
        employments.school_number
    from matches
    inner join employments on matches.hr_staff_id = employments.staff_id
    where employments.school_number is not null
    union
    -- the place human resources last said stands as long as what else it said
    select
        staff.staff_key,
        staff.school_number
    from staff
    where
        staff.hr_staff_id is not null
        and not staff.is_in_hr
        and staff.school_number is not null
),

together as (
    {{ with_the_vanished('tonight', 'remembered', 'staff_key', present='matches') }}
),

final as (
    select
        together.staff_key,
        together.school_number
    from together
)

select * from final
