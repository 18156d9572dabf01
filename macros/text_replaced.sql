{% macro text_replaced(text, pattern, replacement='') %}
    {{- return(adapter.dispatch('text_replaced')(text, pattern, replacement)) -}}
{% endmacro %}

{% macro duckdb__text_replaced(text, pattern, replacement) -%}
    regexp_replace({{ text }}, '{{ pattern }}', '{{ replacement }}', 'g')
{%- endmacro %}

{#- Spark replaces every match; PostgreSQL needs its own line with the flag. -#}
{% macro default__text_replaced(text, pattern, replacement) -%}
    regexp_replace({{ text }}, '{{ pattern }}', '{{ replacement }}')
{%- endmacro %}

{% macro postgres__text_replaced(text, pattern, replacement) -%}
    regexp_replace({{ text }}, '{{ pattern }}', '{{ replacement }}', 'g')
{%- endmacro %}
