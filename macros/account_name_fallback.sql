{#- For names that leave no letter at all, and those a word of seed unfortunate_words is in. -#}
{% macro account_name_fallback(number, policy) -%}
    left({{ number }}, 40) || '.' || {{ policy }}.fallback_suffix
{%- endmacro %}
