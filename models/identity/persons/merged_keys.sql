{{ config(materialized='view') }}

{% set steps = 5 %}

with person_merges as (
    select * from {{ ref('person_merges') }}
),

record_decisions as (
    select * from {{ ref('record_decisions') }}
),

said as (
    select
        person_merges.population,
        person_merges.source_key,
        person_merges.same_as,
        1 as said_rank
    from person_merges
    union all
    select
        record_decisions.population,
        record_decisions.source_key,
        record_decisions.other_key as same_as,
        2 as said_rank
    from record_decisions
    where record_decisions.code in ('key_renumbered', 'key_doubled') and record_decisions.decision = 'same'
),

-- the seed can be mended, an answer cannot
second_keys as (
    {{ deduplicate('said', 'population, source_key', 'said_rank, same_as') }}
),

-- a third number is the second one's, which is the first one's
followed as (
    select
        second_keys.population,
        second_keys.source_key,
        coalesce({% for step in range(steps, 0, -1) %}step_{{ step }}.same_as, {% endfor %}second_keys.same_as) as same_as
    from second_keys
    {%- for step in range(1, steps + 1) %}
    left join second_keys as step_{{ step }}
        on
            second_keys.population = step_{{ step }}.population
            and {{ 'second_keys' if step == 1 else 'step_' ~ (step - 1) }}.same_as = step_{{ step }}.source_key
    {%- endfor %}
),

final as (
    select
        followed.population,
        followed.source_key,
        followed.same_as
    from followed
    -- rows that go in a circle say nothing of who was first, and nobody is merged by them
    left join second_keys
        on
            followed.population = second_keys.population
            and followed.same_as = second_keys.source_key
    where second_keys.source_key is null
)

select * from final
