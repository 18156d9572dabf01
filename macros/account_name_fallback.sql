{% macro account_name_fallback(source_key, policy) -%}
    left({{ text_replaced("lower(" ~ source_key ~ ")", '[^a-z0-9]') }}, 40) || '.' || {{ policy }}.fallback_suffix
{%- endmacro %}
