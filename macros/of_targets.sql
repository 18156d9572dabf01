{#- The rows of one staging view of every target that holds such things, with whose they are. dbt has to know what it refers to
    before it can read a seed, so whoever starts dbt says what seed targets says: docs/decisions/0014 tells why. -#}
{% macro of_targets(holding, view, columns, off_too=false) -%}
    {%- set said = fromjson(env_var('HOMEROOM_SEEDS', '{}')) -%}
    {%- set targets = said.get('targets') -%}
    {%- set off = [] if off_too else said.get('off', []) -%}
    {%- if execute and targets is none -%}
        {{ exceptions.raise_compiler_error(
            'dbt was not told which targets there are; type it as: HOMEROOM_SEEDS="$(python -m operations seeds)" dbt …'
        ) }}
    {%- endif -%}
    {%- for target in (targets or {}).get(holding, []) if target not in off %}
    select
        '{{ target }}' as target,
        {%- for column in columns %}
        {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('stg_' ~ target ~ '__' ~ view) }}

    union all
    {% endfor %}
    -- no row: the columns where no target holds such things
    select
        cast(null as {{ dbt.type_string() }}) as target,
        {%- for column, type in columns.items() %}
        cast(null as {{ type }}) as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    where 1 = 0
{%- endmacro %}
