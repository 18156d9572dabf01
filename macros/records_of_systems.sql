{% macro records_of_systems(kind) -%}
    {%- for system, kinds in var('source_systems').items() if kind in kinds %}
    {%- if not loop.first %}
    {{ union_by_name() }}
    {%- endif %}
    select
        '{{ system }}' as source_system,
        records.*
    from {{ ref('intake_' ~ system ~ '__' ~ kind) }} as records
    {%- endfor %}
{%- endmacro %}
