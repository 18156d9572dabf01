{#- For names that leave no letter at all. It ends in a word, as every base must end in a letter. -#}
{% macro account_name_fallback(source_key, policy) -%}
    left({{ regex_replace("lower(" ~ source_key ~ ")", '[^a-z0-9]', '') }}, 40) || '.' || {{ policy }}.fallback_suffix
{%- endmacro %}
