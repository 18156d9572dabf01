{#- Groups are named in ASCII so that one slug serves as address, mail nickname and durable key wherever a group goes. -#}
{% macro group_slug(text) -%}
    left({{ slug(text) }}, 40)
{%- endmacro %}
