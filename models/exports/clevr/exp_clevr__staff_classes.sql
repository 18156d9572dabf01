with members as (
    select * from {{ ref('rostered_members') }}
),

final as (
    select
        substr(members.school_number, 1, 3) as tenant_id,
        members.school_number as location_id,
        members.class_id,
        members.person_id as staff_id,
        members.person_id,
        members.source
    from members
    where
        members.role = 'teacher'
)

select * from final
