{% macro sorted_list(expression, separator) -%}
    {{ return(adapter.dispatch('sorted_list', 'homeroom')(expression, separator)) }}
{%- endmacro %}

{# not string_agg(... order by ...): that runs out of memory at some 120,000 groups #}
{% macro duckdb__sorted_list(expression, separator) -%}
    array_to_string(list_sort(list(distinct {{ expression }})), '{{ separator }}')
{%- endmacro %}
