{#- What tells who somebody is, as two records are compared: names without accents, apostrophes and case. -#}
{% macro who_columns(first_name, usual_first_name, last_name, usual_last_name, born_on) -%}
    {%- for name, text in [
        ('first_key', first_name), ('usual_first_key', usual_first_name), ('last_key', last_name), ('usual_last_key', usual_last_name),
    ] %}
    coalesce({{ name_key(text) }}, nullif(lower(trim({{ text }})), '')) as {{ name }},
    {%- endfor %}
    {{ born_on }} as born_on
{%- endmacro %}
