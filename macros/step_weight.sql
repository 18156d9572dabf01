{#- How specific a row of seed lifecycle_rules is: why somebody left before the grade, before the days of the year. -#}
{% macro step_weight(rules) -%}
    case when {{ rules }}.reason is null then 0 else 4 end
    + case when {{ rules }}.grade_code is null then 0 else 2 end
    + case when {{ rules }}.first_day is null then 0 else 1 end
{%- endmacro %}
