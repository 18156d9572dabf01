{% macro records_by_precedence(kind) -%}
    select
        records.*,
        source_precedence.{{ kind }} as precedence
    from ({{ records_of_systems(kind) }}
    ) as records
    left join {{ ref('source_precedence') }} as source_precedence
        on records.source_system = source_precedence.source_system
{%- endmacro %}
