{#- A slash inside a name would open a new level; a blank one would be no level at all. -#}
{% macro org_unit_name(text, when_blank, length=60) -%}
    coalesce({{ truncate_text("replace(" ~ text ~ ", '/', '-')", length) }}, '{{ when_blank }}')
{%- endmacro %}
