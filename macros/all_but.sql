{% macro all_but(relation, columns) -%}
    {{ return(adapter.dispatch('all_but', 'homeroom')(relation, columns)) }}
{%- endmacro %}

{% macro duckdb__all_but(relation, columns) -%}
    {{ relation }}.* exclude ({{ columns | join(', ') }})
{%- endmacro %}

{#- written out column by column before the SQL is sent: operations/warehouse.py -#}
{% macro postgres__all_but(relation, columns) -%}
    {{ relation }}.* /* but {{ columns | join(', ') }} */
{%- endmacro %}
