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

class_members as (
    select
        sections.section_id,
        timetable.student_number
    from timetable
    inner join sections
        on
            timetable.timetable_id = sections.timetable_id
            and coalesce(timetable.timetable_id || '_' || timetable.school_year, sections.section_id) = sections.section_id
),

homeroom_members as (
    select
        {{ homeroom_section_id('students.school_number', 'students.homeroom', 'students.homeroom_school_year') }} as section_id,
        students.student_number
    from students
    inner join grades on students.homeroom_grade_code = grades.grade_text
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
