{% macro person_id(population, source_key) %}
    {{- return(adapter.dispatch('person_id')(population, source_key)) -}}
{% endmacro %}

{% macro duckdb__person_id(population, source_key) -%}
    'p' || left(sha256({{ population }} || ':' || {{ source_key }}), 15)
{%- endmacro %}

{% macro default__person_id(population, source_key) -%}
    concat('p', left(sha2(concat({{ population }}, ':', {{ source_key }}), 256), 15))
{%- endmacro %}
