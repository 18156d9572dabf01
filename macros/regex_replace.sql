{% macro regex_replace(text, pattern, replacement) -%}
    {{ return(adapter.dispatch('regex_replace', 'homeroom')(text, pattern, replacement)) }}
{%- endmacro %}

{% macro duckdb__regex_replace(text, pattern, replacement) -%}
    regexp_replace({{ text }}, '{{ pattern }}', '{{ replacement }}', 'g')
{%- endmacro %}

{#- re2'…' is written out as a pattern of this engine before the SQL is sent: operations/warehouse.py -#}
{% macro postgres__regex_replace(text, pattern, replacement) -%}
    regexp_replace({{ text }}, re2'{{ pattern }}', '{{ replacement }}', 'g')
{%- endmacro %}
