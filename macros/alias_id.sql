{#- Addresses are a person's data and stand in no key, log or finding; this stands for one. -#}
{% macro alias_id(address) -%}
    left({{ text_hash("lower(" ~ address ~ ")") }}, 16)
{%- endmacro %}
