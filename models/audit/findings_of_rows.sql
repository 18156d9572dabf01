-- a number mistyped in a seed decides nothing, and nobody would see it; holds say so in their own words
{% set who_decided = {'name_decisions': 'decided_by', 'real_names': 'decided_by', 'identity_decisions': 'decided_by'} %}

with presence as (
    select * from {{ ref('presence') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

named as (
    {% for seed, column in who_decided.items() %}
    select
        '{{ seed }}' as seed,
        decisions.population,
        decisions.source_key,
        decisions.{{ column }} as owner
    from {{ ref(seed) }} as decisions
    union
    {% endfor %}
    select
        'group_grants' as seed,
        grants.population,
        grants.source_key,
        '' as owner
    from {{ ref('group_grants') }} as grants
    where grants.source_key is not null
    union
    select
        'leaves' as seed,
        leaves.population,
        leaves.source_key,
        '' as owner
    from {{ ref('leaves') }} as leaves
    inner join night
        on leaves.ends_on is null or leaves.ends_on >= night.as_of
),

final as (
    select
        'row_of_nobody' as code,
        '' as source,
        '' as target,
        named.population as entity,
        '' as school_number,
        named.source_key as key,
        {{ problem_values({'seed': 'named.seed'}) }} as values,
        coalesce(named.owner, '') as owner
    from named
    left join presence
        on
            named.population = presence.population
            -- of two numbers of one person the record has the second, the id the first
            and (
                named.source_key = presence.source_key
                or {{ person_id('named.population', 'named.source_key') }} = presence.person_id
            )
    where presence.person_id is null
)

select * from final
