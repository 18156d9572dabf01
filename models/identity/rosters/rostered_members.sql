with section_students as (
    select * from {{ ref('section_students') }}
),

section_staff as (
    select * from {{ ref('section_staff') }}
),

classes as (
    select * from {{ ref('rostered_classes') }}
),

students as (
    select * from {{ ref('rostered_students') }}
),

staff as (
    select * from {{ ref('rostered_staff') }}
),

staff_keys as (
    select
        staff_last_seen.staff_key,
        staff_last_seen.staff_id
    from {{ ref('staff_last_seen') }} as staff_last_seen
),

student_rows as (
    select
        classes.class_id,
        students.person_id,
        students.student_number as number,
        'student' as role,
        false as is_primary,
        classes.school_number,
        students.source
    from section_students
    inner join classes on section_students.section_id = classes.class_id
    inner join students on section_students.student_number = students.student_number
    where students.has_account
),

teaching as (
    select
        section_staff.section_id,
        section_staff.staff_key,
        section_staff.is_primary
    from section_staff
    union all
    -- who was known by a name before they had an id teaches on under either key
    select
        section_staff.section_id,
        others.staff_key,
        section_staff.is_primary
    from section_staff
    inner join staff_keys on section_staff.staff_key = staff_keys.staff_key
    inner join staff_keys as others on staff_keys.staff_id = others.staff_id
),

teachers as (
    select
        classes.class_id,
        staff.person_id,
        staff.staff_number,
        bool_or(coalesce(teaching.is_primary, false)) as is_primary,
        classes.school_number,
        staff.source
    from teaching
    inner join classes on teaching.section_id = classes.class_id
    inner join staff on teaching.staff_key = staff.staff_key
    group by 1, 2, 3, 5, 6
),

teacher_rows as (
    select
        teachers.class_id,
        teachers.person_id,
        teachers.staff_number as number,
        'teacher' as role,
        -- vendors take one primary teacher of a class: where the timetable names none or several, the first by key
        row_number() over (
            partition by teachers.class_id
            order by case when teachers.is_primary then 1 else 2 end asc, teachers.person_id asc
        ) = 1 as is_primary,
        teachers.school_number,
        teachers.source
    from teachers
),

final as (
    select * from student_rows
    union all
    select * from teacher_rows
)

select * from final
