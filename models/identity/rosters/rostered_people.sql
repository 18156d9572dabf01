with students as (
    select * from {{ ref('rostered_students') }}
),

staff as (
    select * from {{ ref('rostered_staff') }}
),

final as (
    select
        students.person_id,
        'student' as role,
        students.student_number as number,
        students.address,
        students.usual_first_name as first_name,
        students.usual_last_name as last_name,
        students.school_number,
        students.source
    from students
    where students.has_account
    union all
    select
        staff.person_id,
        staff.role,
        staff.staff_number as number,
        staff.address,
        staff.first_name,
        staff.last_name,
        staff.school_number,
        staff.source
    from staff
)

select * from final
