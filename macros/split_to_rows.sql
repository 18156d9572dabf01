{% macro split_to_rows(text) -%}
    {{ return(adapter.dispatch('split_to_rows', 'homeroom')(text)) }}
{%- endmacro %}

{% macro duckdb__split_to_rows(text) -%}
    unnest(string_split({{ text }}, ','))
{%- endmacro %}
