{% macro listed(text) -%}
    {{ return(adapter.dispatch('listed', 'homeroom')(text)) }}
{%- endmacro %}

{% macro duckdb__listed(text) -%}
    unnest(string_split({{ text }}, ','))
{%- endmacro %}
