{% macro parent_org_unit_path(path) -%}
    coalesce(nullif({{ text_replaced(path, '/[^/]*$') }}, ''), '/')
{%- endmacro %}
