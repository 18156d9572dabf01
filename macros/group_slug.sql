{#- Groups are named in ASCII so that one slug serves as Google address, Microsoft mail nickname and durable key. -#}
{% macro group_slug(text) -%}
    left(trim({{ text_replaced(group_slug_letters(text), '[^a-z0-9]+', '-') }}, '-'), 40)
{%- endmacro %}

{% macro group_slug_letters(text) %}
    {{- return(adapter.dispatch('group_slug_letters')(text)) -}}
{% endmacro %}

{% macro duckdb__group_slug_letters(text) -%}
    strip_accents(lower({{ text }}))
{%- endmacro %}

{% macro default__group_slug_letters(text) -%}
    {%- set map = letter_map() -%}
    translate(lower({{ text }}), '{{ map.marked }}', '{{ map.marked_ascii }}')
{%- endmacro %}
