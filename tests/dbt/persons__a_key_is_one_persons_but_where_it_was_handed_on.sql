with people as (
    select
        population,
        source_key,
        count(*) as people
    from {{ ref('persons') }}
    group by population, source_key
),

handed_on as (
    select
        population,
        source_key,
        count(*) as times
    from {{ ref('record_decisions') }}
    where code = 'key_changed_hands' and decision = 'different'
    group by population, source_key
)

select
    people.population,
    people.source_key,
    people.people,
    handed_on.times
from people
left join handed_on
    on
        people.population = handed_on.population
        and people.source_key = handed_on.source_key
where people.people > 1 + coalesce(handed_on.times, 0)
