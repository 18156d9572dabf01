with members as (
    select * from {{ ref('rostered_members') }}
),

students as (
    select * from {{ ref('exp_schoolmessenger__students') }}
),

final as (
    select
        members.class_id as section_id,
        students.student_id,
        members.school_number,
        members.person_id,
        members.source
    from members
    -- only of who is listed
    inner join students on members.person_id = students.person_id
    where
        members.role = 'student'
)

select * from final
