{% macro regexp_like(text, pattern) -%}
    {{ return(adapter.dispatch('regexp_like', 'homeroom')(text, pattern)) }}
{%- endmacro %}

{% macro duckdb__regexp_like(text, pattern) -%}
    regexp_matches({{ text }}, '{{ pattern }}')
{%- endmacro %}
