with timetable as (
    select * from {{ ref('intake_section_students') }}
),

sections as (
    select * from {{ ref('sections') }}
),

students as (
    select * from {{ ref('students') }}
),

grades as (
    select * from {{ ref('grades') }}
),

night as (
    select {{ school_year('as_of') }} as school_year
    from {{ source('homeroom', 'night') }}
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

members as (
    select * from class_members
    union all
    select * from homeroom_members
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
