{% macro digits_only(text) -%}
    coalesce({{ text_replaced(text, '[^0-9]') }}, '')
{%- endmacro %}
