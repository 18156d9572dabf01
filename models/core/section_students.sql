with timetable as (
    select * from {{ ref('intake_section_students') }}
),

sections as (
    select * from {{ ref('sections') }}
),

students as (
    select * from {{ ref('students') }}
),

last_seen as (
    select * from {{ source('ledger_identity', 'section_students_last_seen') }}
),

grades as (
    select * from {{ ref('grades') }}
),

night as (
    select {{ school_year('as_of') }} as school_year
    from {{ source('homeroom', 'run_context') }}
),

class_members as (
    select
        timetable.timetable_id || '_' || coalesce(timetable.school_year, night.school_year) as section_id,
        timetable.student_number
    from timetable
    cross join night
),

homeroom_members as (
    select
        {{ homeroom_section_id('students.school_number', 'students.homeroom', 'night.school_year') }} as section_id,
        students.student_number
    from students
    cross join night
    inner join grades on students.grade_code = grades.grade_text
    where grades.is_k_to_7
),

-- absence needs a reason: who vanished keeps the classes of the night last seen
kept_members as (
    select
        last_seen.section_id,
        last_seen.student_number
    from last_seen
    inner join students
        on
            last_seen.student_number = students.student_number
            and last_seen.last_seen_on = students.last_seen_on
    where not students.is_in_feed
),

members as (
    select * from class_members
    union
    select * from homeroom_members
    union
    select * from kept_members
),

final as (
    select
        members.section_id,
        members.student_number,
        sections.school_number
    from members
    inner join sections on members.section_id = sections.section_id
    inner join students on members.student_number = students.student_number
    where students.enrolment_status = 'active'
)

select * from final
