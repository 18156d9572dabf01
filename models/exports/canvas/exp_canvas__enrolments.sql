with members as (
    select * from {{ ref('rostered_members') }}
),

final as (
    select
        members.class_id as section_id,
        members.person_id as user_id,
        members.role,
        'active' as status,
        members.school_number,
        members.person_id,
        members.source
    from members
)

select * from final
