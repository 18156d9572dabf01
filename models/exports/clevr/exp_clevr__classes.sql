with classes as (
    select * from {{ ref('rostered_classes') }}
),

final as (
    select
        substr(classes.school_number, 1, 3) as tenant_id,
        classes.school_number as location_id,
        classes.class_id as proprietary_id,
        classes.class_id as local_id,
        classes.course_code,
        classes.class_code as course_section,
        classes.course_title as course_name,
        cast(null as {{ dbt.type_string() }}) as course_description,
        cast(null as {{ dbt.type_string() }}) as class_size,
        cast(null as {{ dbt.type_string() }}) as class_max_seats,
        {{ date_text('classes.starts_on') }} as term_start_date,
        {{ date_text('classes.ends_on') }} as term_end_date
    from classes
)

select * from final
