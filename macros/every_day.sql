{% macro every_day(first, last) -%}
    {{ return(adapter.dispatch('every_day', 'homeroom')(first, last)) }}
{%- endmacro %}

{% macro duckdb__every_day(first, last) -%}
    cast(unnest(generate_series({{ first }}, {{ last }}, interval 1 day)) as date)
{%- endmacro %}

{% macro postgres__every_day(first, last) -%}
    cast(generate_series({{ first }}, {{ last }}, interval '1 day') as date)
{%- endmacro %}
