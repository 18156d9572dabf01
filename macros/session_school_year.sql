{% macro session_school_year(session) -%}
    coalesce({{ try_cast(session ~ '.school_year', 'integer') }}, {{ school_year(session ~ '.ends_on') }})
{%- endmacro %}
