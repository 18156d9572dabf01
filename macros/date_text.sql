{#- style: iso 2026-10-05, slashed 10/05/2026 (month first), unpadded 2026-10-5. -#}
{% macro date_text(date, style='iso') -%}
    {{ return(adapter.dispatch('date_text', 'homeroom')(date, style)) }}
{%- endmacro %}

{% macro duckdb__date_text(date, style) -%}
    {%- set formats = {'iso': '%Y-%m-%d', 'slashed': '%m/%d/%Y', 'unpadded': '%Y-%-m-%-d'} -%}
    strftime({{ date }}, '{{ formats[style] }}')
{%- endmacro %}

{% macro postgres__date_text(date, style) -%}
    {%- set formats = {'iso': 'YYYY-MM-DD', 'slashed': 'MM/DD/YYYY', 'unpadded': 'YYYY-FMMM-FMDD'} -%}
    to_char({{ date }}, '{{ formats[style] }}')
{%- endmacro %}
