{% macro name_key(text) -%}
    {# for comparing names, never for showing them #}
    nullif({{ regex_replace(ascii_letters(text), '[^a-z0-9]+', '') }}, '')
{%- endmacro %}
