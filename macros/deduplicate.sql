{% macro deduplicate(relation, key, order_by) -%}
    {{ return(adapter.dispatch('deduplicate', 'homeroom')(relation, key, order_by)) }}
{%- endmacro %}

{% macro duckdb__deduplicate(relation, key, order_by) -%}
    select *
    from {{ relation }}
    qualify row_number() over (partition by {{ key }} order by {{ order_by }}) = 1
{%- endmacro %}

{% macro postgres__deduplicate(relation, key, order_by) -%}
    select distinct on ({{ key }}) *
    from {{ relation }}
    order by {{ key }}, {{ order_by }}
{%- endmacro %}
