{% macro try_cast(expression, type) -%}
    {{ return(adapter.dispatch('try_cast', 'homeroom')(expression, type)) }}
{%- endmacro %}

{% macro duckdb__try_cast(expression, type) -%}
    try_cast({{ expression }} as {{ type }})
{%- endmacro %}
