{% macro union_by_name() -%}
    {{ return(adapter.dispatch('union_by_name', 'homeroom')()) }}
{%- endmacro %}

{% macro duckdb__union_by_name() -%}
    union all by name
{%- endmacro %}

{#- both sides are written out column by column before the SQL is sent: operations/warehouse.py -#}
{% macro postgres__union_by_name() -%}
    union all /* by name */
{%- endmacro %}
