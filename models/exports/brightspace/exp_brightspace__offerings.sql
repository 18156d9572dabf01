with classes as (
    select * from {{ ref('rostered_classes') }}
),

final as (
    select
        'course offering' as type,
        'UPDATE' as action,
        classes.class_id as code,
        classes.title as name,
        {{ date_text('classes.starts_on') }} as start_date,
        {{ date_text('classes.ends_on') }} as end_date,
        '1' as is_active,
        cast(null as {{ dbt.type_string() }}) as department_code,
        classes.course_id as template_code,
        classes.session_id as semester_code,
        cast(null as {{ dbt.type_string() }}) as offering_code,
        cast(null as {{ dbt.type_string() }}) as custom_code
    from classes
)

select * from final
