{% macro oneroster_courses() -%}
with courses as (
    select * from {{ ref('rostered_courses') }}
),

final as (
    select
        courses.course_id as sourced_id,
        cast(null as {{ dbt.type_string() }}) as status,
        cast(null as {{ dbt.type_string() }}) as date_last_modified,
        courses.year_id as school_year_sourced_id,
        courses.title,
        courses.course_code,
        courses.grade as grades,
        courses.school_number as org_sourced_id,
        cast(null as {{ dbt.type_string() }}) as subjects,
        cast(null as {{ dbt.type_string() }}) as subject_codes
    from courses
)

select * from final
{%- endmacro %}
