with sessions as (
    select * from {{ ref('academic_sessions') }}
),

final as (
    select
        'semester' as type,
        'UPDATE' as action,
        sessions.session_id as code,
        sessions.title as name,
        {{ date_text('sessions.starts_on') }} as start_date,
        {{ date_text('sessions.ends_on') }} as end_date,
        '1' as is_active,
        cast(null as {{ dbt.type_string() }}) as department_code,
        cast(null as {{ dbt.type_string() }}) as template_code,
        cast(null as {{ dbt.type_string() }}) as semester_code,
        cast(null as {{ dbt.type_string() }}) as offering_code,
        cast(null as {{ dbt.type_string() }}) as custom_code
    from sessions
)

select * from final
