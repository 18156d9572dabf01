with staff as (
    select * from {{ ref('staff_last_seen') }}
),

students as (
    select * from {{ ref('intake_students') }}
),

calendar as (
    select * from {{ ref('school_calendar') }}
),

events as (
    select * from {{ ref('district_events') }}
),

days as (
    -- a last day counts as the one before
    select
        cast({{ dbt.dateadd('day', 1, 'staff.ended_on') }} as date) as day,
        'news' as kind
    from staff

    union

    select
        cast({{ dbt.dateadd('day', 1, 'students.withdrawn_on') }} as date) as day,
        'news' as kind
    from students

    union

    select
        students.admitted_on as day,
        'news' as kind
    from students
    where students.enrolment_status = 'preregistered'

    union

    select
        calendar.starts_on as day,
        'rollover' as kind
    from calendar
    where calendar.population = 'student' and calendar.period = 'rollover'

    union

    select
        events.starts_on as day,
        'rollover' as kind
    from events
    where events.event = 'rollover' and events.school_number is null
),

final as (
    select
        days.day,
        days.kind
    from days
    where days.day is not null
)

select * from final
