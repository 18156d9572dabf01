with members as (
    select * from {{ ref('rostered_members') }}
),

classes as (
    select * from {{ ref('rostered_classes') }}
),

academic_sessions as (
    select * from {{ ref('academic_sessions') }}
),

students as (
    select * from {{ ref('exp_schoolcash__students') }}
),

staff as (
    select * from {{ ref('rostered_staff') }}
),

teachers as (
    select
        members.class_id,
        -- numbers of staff stand apart from those of students, as in the staff file
        'S' || staff.staff_number as number,
        staff.first_name,
        staff.last_name
    from members
    inner join staff on members.person_id = staff.person_id
    where
        members.role = 'teacher'
        and members.is_primary
),

final as (
    select
        classes.school_number,
        classes.course_code,
        classes.course_title as course_name,
        cast(null as {{ dbt.type_string() }}) as description,
        classes.class_id as section,
        academic_sessions.title as semester,
        academic_sessions.starts_on as semester_starts_on,
        academic_sessions.ends_on as semester_ends_on,
        cast(null as {{ dbt.type_string() }}) as term,
        cast(null as {{ dbt.type_string() }}) as term_starts_on,
        cast(null as {{ dbt.type_string() }}) as term_ends_on,
        cast(academic_sessions.school_year as {{ dbt.type_string() }}) as school_year,
        teachers.number as teacher_number,
        cast(null as {{ dbt.type_string() }}) as teacher_prefix,
        teachers.last_name as teacher_last_name,
        teachers.first_name as teacher_first_name,
        students.student_number,
        students.person_id,
        students.source
    from members
    inner join classes on members.class_id = classes.class_id
    inner join academic_sessions on classes.session_id = academic_sessions.session_id
    -- only of who is listed
    inner join students on members.number = students.student_number
    left join teachers on members.class_id = teachers.class_id
    where
        members.role = 'student'
)

select * from final
