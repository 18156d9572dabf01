{#- The rule an analyst edits: where a student's account lives. One line; accounts move and org units appear by themselves. -#}
{% macro student_org_unit_path(school, grade, homeroom) -%}
    '/Students/' || {{ school }} || '/' || {{ grade }}
{%- endmacro %}
