{% macro is_removed(status) -%}
    {# blank in bulk files; 'inactive' is what early exporters of 1.1 write for tobedeleted #}
    coalesce(lower(trim({{ status }})) in ('tobedeleted', 'inactive'), false)
{%- endmacro %}
