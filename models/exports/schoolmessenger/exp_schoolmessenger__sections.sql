with classes as (
    select * from {{ ref('rostered_classes') }}
),

members as (
    select * from {{ ref('rostered_members') }}
),

final as (
    select
        classes.school_number as school_id,
        classes.class_id as section_id,
        classes.title as section_name,
        members.number as teacher_id
    from classes
    left join members
        on
            classes.class_id = members.class_id
            and members.role = 'teacher'
            and members.is_primary
)

select * from final
