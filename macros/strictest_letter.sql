{% macro strictest_letter(letter) -%}
    coalesce(
        max(case when {{ letter }} = 'N' then 'N' end),
        max(case when {{ letter }} = '?' then '?' end),
        max({{ letter }})
    )
{%- endmacro %}
