with timetable as (
    {{ without_doubted(ref('intake_section_students'), 'student', 'student_number') }}
),

sections as (
    select * from {{ ref('sections') }}
),

students as (
    select * from {{ ref('students') }}
),

remembered as (
    select
        section_id,
        student_number
    from {{ ref('section_students_remembered') }}
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

tonight as (
    select * from class_members
    union
    select * from homeroom_members
),

listed_students as (
    select students.student_number
    from students
    where students.is_in_feed
),

together as (
    {{ with_the_vanished('tonight', 'remembered', 'student_number', present='listed_students') }}
),

final as (
    select distinct
        together.section_id,
        together.student_number,
        sections.school_number
    from together
    inner join sections on together.section_id = sections.section_id
    inner join students on together.student_number = students.student_number
    where students.enrolment_status = 'active'
)

select * from final
