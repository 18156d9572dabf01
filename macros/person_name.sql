{% macro person_name(first_name, last_name) -%}
    coalesce({{ name_key(first_name) }}, '') || '|' || coalesce({{ name_key(last_name) }}, '')
{%- endmacro %}
