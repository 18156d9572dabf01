{#- How specific a rule of a seed is: more columns filled weigh more; of as many, school before grade before position. -#}
{% macro rule_weight(rules) -%}
    case when {{ rules }}.school_number is null then 0 else 104 end
    + case when {{ rules }}.grade_code is null then 0 else 102 end
    + case when {{ rules }}.position is null then 0 else 101 end
{%- endmacro %}
