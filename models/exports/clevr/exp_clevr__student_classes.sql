with members as (
    select * from {{ ref('rostered_members') }}
),

students as (
    select * from {{ ref('exp_clevr__students') }}
),

final as (
    select
        substr(members.school_number, 1, 3) as tenant_id,
        members.school_number as location_id,
        members.class_id,
        members.person_id as student_id,
        members.person_id,
        members.source
    from members
    -- only of who is listed
    inner join students on members.person_id = students.proprietary_id
    where
        members.role = 'student'
)

select * from final
