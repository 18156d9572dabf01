{% macro slug(text) -%}
    nullif({{ regex_replace(regex_replace(ascii_letters(text), '[^a-z0-9]+', '-'), '^-+|-+$', '') }}, '')
{%- endmacro %}
