{% macro oneroster_academic_sessions() -%}
with academic_sessions as (
    select * from {{ ref('academic_sessions') }}
),

final as (
    select
        academic_sessions.session_id as sourced_id,
        cast(null as {{ dbt.type_string() }}) as status,
        cast(null as {{ dbt.type_string() }}) as date_last_modified,
        academic_sessions.title,
        academic_sessions.kind as type,
        {{ date_text('academic_sessions.starts_on') }} as start_date,
        {{ date_text('academic_sessions.ends_on') }} as end_date,
        academic_sessions.parent_session_id as parent_sourced_id,
        cast(academic_sessions.school_year as {{ dbt.type_string() }}) as school_year
    from academic_sessions
)

select * from final
{%- endmacro %}
