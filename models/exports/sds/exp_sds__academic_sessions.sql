with academic_sessions as (
    select * from {{ ref('academic_sessions') }}
),

final as (
    select
        academic_sessions.session_id as sourced_id,
        academic_sessions.title,
        academic_sessions.kind as type,
        cast(academic_sessions.school_year as {{ dbt.type_string() }}) as school_year,
        {{ date_text('academic_sessions.starts_on') }} as start_date,
        {{ date_text('academic_sessions.ends_on') }} as end_date
    from academic_sessions
)

select * from final
