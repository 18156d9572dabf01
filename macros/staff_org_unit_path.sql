{#- Where a staff account lives; see student_org_unit_path. -#}
{% macro staff_org_unit_path(school, position) -%}
    '/Staff/' || {{ school }}
{%- endmacro %}
