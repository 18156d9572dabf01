with filled as (
    {% for system, kinds in var('source_systems').items() %}
    {%- set outer = loop %}
    {%- for kind in kinds if kind != 'problems' %}
    select
        '{{ system }}' as source_system,
        '{{ kind }}' as kind
    {% if not (loop.last and outer.last) %}union all{% endif %}
    {%- endfor %}
    {%- endfor %}
),

places as (
    {% for kind in var('source_systems').values() | sum(start=[]) | unique if kind != 'problems' %}
    select
        source_precedence.source_system,
        '{{ kind }}' as kind
    from {{ ref('source_precedence') }} as source_precedence
    where source_precedence.{{ kind }} is not null
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
)

select
    filled.source_system,
    filled.kind
from filled
left join places
    on
        filled.source_system = places.source_system
        and filled.kind = places.kind
where places.kind is null
