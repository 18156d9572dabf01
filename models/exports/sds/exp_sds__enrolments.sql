with members as (
    select * from {{ ref('rostered_members') }}
),

final as (
    select
        members.class_id as class_sourced_id,
        members.person_id as user_sourced_id,
        members.role,
        members.person_id,
        members.source,
        members.school_number
    from members
)

select * from final
