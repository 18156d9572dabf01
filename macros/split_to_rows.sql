{% macro split_to_rows(text) -%}
    {{ return(adapter.dispatch('split_to_rows', 'homeroom')(text)) }}
{%- endmacro %}

{% macro duckdb__split_to_rows(text) -%}
    unnest(string_split({{ text }}, ','))
{%- endmacro %}

{#- an empty text is one empty row there, and none here -#}
{% macro postgres__split_to_rows(text) -%}
    unnest(case when {{ text }} = '' then array[''] else string_to_array({{ text }}, ',') end)
{%- endmacro %}
