{% macro generate_database_name(custom_database_name=none, node=none) -%}
    {# an engine that has no second file beside the first keeps both in one database #}
    {{- (target.database if target.type == 'postgres' else custom_database_name or target.database) | trim -}}
{%- endmacro %}
