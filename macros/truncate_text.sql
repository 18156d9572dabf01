{#- Trimmed again after the cut: a target that trims what we send would differ from us every night. -#}
{% macro truncate_text(text, length) -%}
    nullif(trim(left(trim({{ regex_replace(text, '[\\s\\p{Cc}\\p{Z}]+', ' ') }}), {{ length }})), '')
{%- endmacro %}
