{% macro local_part(address) -%}
    lower({{ text_replaced(address, '@.*$') }})
{%- endmacro %}
