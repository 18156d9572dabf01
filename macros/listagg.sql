{% macro listagg(expression, separator) -%}
    {{ return(adapter.dispatch('listagg', 'homeroom')(expression, separator)) }}
{%- endmacro %}

{# not string_agg(... order by ...): that runs out of memory at some 120,000 groups #}
{% macro duckdb__listagg(expression, separator) -%}
    array_to_string(list_sort(list(distinct {{ expression }})), '{{ separator }}')
{%- endmacro %}

{% macro postgres__listagg(expression, separator) -%}
    string_agg(distinct cast({{ expression }} as text), '{{ separator }}' order by cast({{ expression }} as text))
{%- endmacro %}
