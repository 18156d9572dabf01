{% macro generate_schema_name(custom_schema_name, node) -%}
    {# the schema is the room, whole: people type core.students, not main_core.students #}
    {{- (custom_schema_name or target.schema) | trim -}}
{%- endmacro %}
