{#- What every system has of one kind of record, with whose it is. Which systems there are whoever starts dbt says, as with
    targets: docs/decisions/0014 tells why. -#}
{% macro records_of_systems(kind) -%}
    {%- set systems = fromjson(env_var('HOMEROOM_SEEDS', '{}')).get('systems') -%}
    {%- if execute and systems is none -%}
        {{ exceptions.raise_compiler_error(
            'dbt was not told which systems there are; type it as: HOMEROOM_SEEDS="$(python -m operations seeds)" dbt …'
        ) }}
    {%- endif -%}
    {%- for system in (systems or {}).get(kind, []) %}
    {%- if not loop.first %}
    {{ union_by_name() }}
    {%- endif %}
    select
        '{{ system }}' as source_system,
        records.*
    from {{ ref('intake_' ~ system ~ '__' ~ kind) }} as records
    {%- endfor %}
{%- endmacro %}
