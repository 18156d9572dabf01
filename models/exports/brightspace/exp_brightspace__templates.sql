with courses as (
    select * from {{ ref('rostered_courses') }}
),

final as (
    select
        'course template' as type,
        'UPDATE' as action,
        courses.course_id as code,
        courses.title as name,
        cast(null as {{ dbt.type_string() }}) as start_date,
        cast(null as {{ dbt.type_string() }}) as end_date,
        '1' as is_active,
        courses.school_number as department_code,
        cast(null as {{ dbt.type_string() }}) as template_code,
        cast(null as {{ dbt.type_string() }}) as semester_code,
        cast(null as {{ dbt.type_string() }}) as offering_code,
        cast(null as {{ dbt.type_string() }}) as custom_code
    from courses
)

select * from final
