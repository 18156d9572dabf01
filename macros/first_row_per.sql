{% macro first_row_per(relation, key, order_by) -%}
    {{ return(adapter.dispatch('first_row_per', 'homeroom')(relation, key, order_by)) }}
{%- endmacro %}

{% macro duckdb__first_row_per(relation, key, order_by) -%}
    select *
    from {{ relation }}
    qualify row_number() over (partition by {{ key }} order by {{ order_by }}) = 1
{%- endmacro %}
