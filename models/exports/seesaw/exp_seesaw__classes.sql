with members as (
    select * from {{ ref('rostered_members') }}
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

teachers as (
    select * from members
    where members.role = 'teacher' and members.is_primary
),

final as (
    select distinct
        staff.address as teacher_email,
        staff.first_name as teacher_first_name,
        staff.last_name as teacher_last_name,
        classes.title as class_name,
        case
            when students.grade = 'KG' then 'K'
            when students.grade = 'PR' then 'Pre-K'
            when {{ regexp_like('students.grade', '^(0[1-9]|1[0-2])$') }} then ltrim(students.grade, '0')
            else 'Other'
        end as grade_level,
        students.usual_first_name || ' ' || students.usual_last_name as student_name,
        students.student_number as student_id,
        students.address as student_email,
        students.person_id,
        students.source,
        members.school_number
    from members
    inner join classes on members.class_id = classes.class_id
    inner join students on members.person_id = students.person_id
    -- a class without a teacher is left out: the vendor makes classes of teachers
    inner join teachers on members.class_id = teachers.class_id
    inner join staff on teachers.person_id = staff.person_id
    where
        members.role = 'student'
)

select * from final
