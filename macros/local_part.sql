{% macro local_part(address) -%}
    lower({{ regex_replace(address, '@.*$', '') }})
{%- endmacro %}
