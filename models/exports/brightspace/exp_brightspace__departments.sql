with schools as (
    select * from {{ ref('rostered_schools') }}
),

final as (
    select
        'department' as type,
        'UPDATE' as action,
        schools.school_number as code,
        schools.school_name as name,
        cast(null as {{ dbt.type_string() }}) as start_date,
        cast(null as {{ dbt.type_string() }}) as end_date,
        '1' as is_active,
        cast(null as {{ dbt.type_string() }}) as department_code,
        cast(null as {{ dbt.type_string() }}) as template_code,
        cast(null as {{ dbt.type_string() }}) as semester_code,
        cast(null as {{ dbt.type_string() }}) as offering_code,
        cast(null as {{ dbt.type_string() }}) as custom_code
    from schools
)

select * from final
