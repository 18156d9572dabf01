{% macro oneroster_classes() -%}
with classes as (
    select * from {{ ref('rostered_classes') }}
),

final as (
    select
        classes.class_id as sourced_id,
        cast(null as {{ dbt.type_string() }}) as status,
        cast(null as {{ dbt.type_string() }}) as date_last_modified,
        classes.title,
        classes.grade as grades,
        classes.course_id as course_sourced_id,
        classes.class_code,
        case classes.kind when 'homeroom' then 'homeroom' else 'scheduled' end as class_type,
        cast(null as {{ dbt.type_string() }}) as location,
        classes.school_number as school_sourced_id,
        classes.session_id as term_sourced_ids,
        cast(null as {{ dbt.type_string() }}) as subjects,
        cast(null as {{ dbt.type_string() }}) as subject_codes,
        cast(null as {{ dbt.type_string() }}) as periods
    from classes
)

select * from final
{%- endmacro %}
