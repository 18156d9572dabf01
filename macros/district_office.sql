{#- Where people on staff work whom no school lists: the superintendent, IT, bus drivers. -#}
{% macro district_office() -%}
    'District office'
{%- endmacro %}
