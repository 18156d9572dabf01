{#- For comparing employee and student numbers: spreadsheets drop leading zeros and people add spaces. -#}
{% macro number_key(text) -%}
    nullif({{ regex_replace("lower(trim(" ~ text ~ "))", '^0+', '') }}, '')
{%- endmacro %}
