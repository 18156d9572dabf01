{#- Where the accounts of people who left are held, suspended. -#}
{% macro leavers_org_unit_path() -%}
    '/Leavers'
{%- endmacro %}
