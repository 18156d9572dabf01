{#- `body`, in which `name` stands for the value: an expression that a rule names twenty times is worked out once. -#}
{% macro evaluated_once(name, value, body) -%}
    {{ return(adapter.dispatch('evaluated_once', 'homeroom')(name, value, body)) }}
{%- endmacro %}

{% macro duckdb__evaluated_once(name, value, body) -%}
    {%- if '(' in value -%}
    list_transform([{{ value }}], lambda {{ name }}: {{ body }})[1]
    {%- else -%}
    {#- a column has its value already -#}
    ({{ body | replace(name, value) }})
    {%- endif -%}
{%- endmacro %}

{#- offset 0 keeps the planner from writing the value in again wherever it is named -#}
{% macro postgres__evaluated_once(name, value, body) -%}
    {%- if '(' in value -%}
    (select {{ body }} from (select {{ value }} as {{ name }} offset 0) as once)
    {%- else -%}
    ({{ body | replace(name, value) }})
    {%- endif -%}
{%- endmacro %}
