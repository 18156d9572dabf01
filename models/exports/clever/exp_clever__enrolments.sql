with members as (
    select * from {{ ref('rostered_members') }}
),

sections as (
    select * from {{ ref('exp_clever__sections') }}
),

final as (
    select
        members.school_number as school_id,
        members.class_id as section_id,
        members.person_id as student_id,
        members.person_id,
        members.source
    from members
    -- only of classes that are listed
    inner join sections on members.class_id = sections.section_id
    where
        members.role = 'student'
)

select * from final
