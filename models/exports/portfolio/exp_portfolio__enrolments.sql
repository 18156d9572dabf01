with section_students as (
    select * from {{ ref('section_students') }}
),

section_staff as (
    select * from {{ ref('section_staff') }}
),

-- the classes of the file, for each of the sections that are one of them
classes as (
    select
        sections.section_id,
        classes.class_id,
        classes.school_id,
        classes.school_number,
        classes.end_date
    from {{ ref('portfolio__sections') }} as sections
    inner join {{ ref('exp_portfolio__classes') }} as classes
        on sections.class_id = classes.class_id
),

students as (
    select * from {{ ref('exp_portfolio__students') }}
),

staff as (
    select * from {{ ref('exp_portfolio__staff') }}
),

-- everybody ever on staff: a teacher no feed lists tonight keeps the classes core.section_staff keeps for them
staff_keys as (
    select
        staff_last_seen.staff_key,
        staff_last_seen.staff_id
    from {{ ref('staff_last_seen') }} as staff_last_seen
),

student_rows as (
    select distinct
        classes.class_id,
        students.user_id,
        'student' as role,
        classes.school_id,
        classes.school_number,
        students.person_id,
        students.source,
        classes.end_date as ends_on
    from section_students
    inner join classes
        on section_students.section_id = classes.section_id
    inner join students
        on section_students.student_number = students.student_number
),

teacher_rows as (
    select distinct
        classes.class_id,
        staff.user_id,
        'teacher' as role,
        classes.school_id,
        classes.school_number,
        staff.person_id,
        staff.source,
        classes.end_date as ends_on
    from section_staff
    inner join classes
        on section_staff.section_id = classes.section_id
    inner join staff_keys
        on section_staff.staff_key = staff_keys.staff_key
    inner join staff
        on staff_keys.staff_id = staff.user_id
),

final as (
    select * from student_rows
    union all
    select * from teacher_rows
)

select * from final
