with classes as (
    select * from {{ ref('rostered_classes') }}
),

final as (
    select
        classes.class_id as section_id,
        classes.class_id as course_id,
        classes.title as name,
        'active' as status,
        classes.school_number
    from classes
)

select * from final
