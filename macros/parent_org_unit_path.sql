{% macro parent_org_unit_path(path) -%}
    coalesce(nullif({{ regex_replace(path, '/[^/]*$', '') }}, ''), '/')
{%- endmacro %}
