with members as (
    select * from {{ ref('rostered_members') }}
),

final as (
    select
        case members.role when 'teacher' then 'editingteacher' else members.role end as role,
        members.person_id as user_idnumber,
        members.class_id as course_idnumber,
        members.school_number,
        members.person_id,
        members.source
    from members
)

select * from final
