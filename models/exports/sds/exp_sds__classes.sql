with classes as (
    select * from {{ ref('rostered_classes') }}
),

final as (
    select
        classes.class_id as sourced_id,
        classes.school_number as org_sourced_id,
        classes.title,
        classes.session_id as session_sourced_ids,
        cast(null as {{ dbt.type_string() }}) as course_sourced_id
    from classes
)

select * from final
