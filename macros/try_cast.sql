{% macro try_cast(expression, type) -%}
    {{ return(adapter.dispatch('try_cast', 'homeroom')(expression, type)) }}
{%- endmacro %}

{% macro duckdb__try_cast(expression, type) -%}
    try_cast({{ expression }} as {{ type }})
{%- endmacro %}

{#- a function the landing makes: operations/warehouse.py -#}
{% macro postgres__try_cast(expression, type) -%}
    homeroom_try_cast(cast({{ expression }} as text), cast(null as {{ type }}))
{%- endmacro %}
