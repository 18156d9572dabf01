with matches as (
    select * from {{ ref('staff_matches') }}
),

assignments as (
    select * from {{ ref('intake_staff') }}
),

employees as (
    select * from {{ ref('intake_employees') }}
),

last_seen as (
    select * from {{ source('ledger_identity', 'staff_assignments_last_seen') }}
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
        employees.school_number
    from matches
    inner join employees on matches.hr_staff_id = employees.staff_id
    where employees.school_number is not null
),

-- absence needs a reason: who is in no feed tonight keeps the schools of the last good night
vanished as (
    select
        last_seen.staff_key,
        last_seen.school_number
    from last_seen
    left join matches on last_seen.staff_key = matches.staff_key
    where matches.staff_key is null
),

final as (
    select * from tonight
    union all
    select * from vanished
)

select * from final
