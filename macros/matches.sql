{% macro matches(text, pattern) -%}
    {{ return(adapter.dispatch('matches', 'homeroom')(text, pattern)) }}
{%- endmacro %}

{% macro duckdb__matches(text, pattern) -%}
    regexp_matches({{ text }}, '{{ pattern }}')
{%- endmacro %}
