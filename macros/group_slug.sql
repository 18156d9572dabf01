{#- Groups are named in ASCII so that one slug serves as Google address, Microsoft mail nickname and durable key. -#}
{% macro group_slug(text) -%}
    left({{ slug(text) }}, 40)
{%- endmacro %}
