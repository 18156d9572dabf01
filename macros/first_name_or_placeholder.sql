{#- The one place that says what stands for the first name of a person who has one name only. -#}
{% macro first_name_or_placeholder(first_name) -%}
    coalesce({{ first_name }}, '-')
{%- endmacro %}
