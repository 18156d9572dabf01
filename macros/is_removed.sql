{% macro is_removed(status) -%}
    {# blank in bulk files; 'inactive' is what early exporters of 1.1 write for tobedeleted. A word nobody knows is unknown,
       which takes nothing away #}
    case
        when lower(trim({{ status }})) in ('tobedeleted', 'inactive') then true
        when coalesce(lower(trim({{ status }})), '') in ('', 'active') then false
    end
{%- endmacro %}
