{% macro regexp_like(text, pattern) -%}
    {{ return(adapter.dispatch('regexp_like', 'homeroom')(text, pattern)) }}
{%- endmacro %}

{% macro duckdb__regexp_like(text, pattern) -%}
    regexp_matches({{ text }}, '{{ pattern }}')
{%- endmacro %}

{#- re2'…' is written out as a pattern of this engine before the SQL is sent: operations/warehouse.py -#}
{% macro postgres__regexp_like(text, pattern) -%}
    {{ text }} ~ re2'{{ pattern }}'
{%- endmacro %}
