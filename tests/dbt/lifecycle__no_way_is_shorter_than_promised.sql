-- the shortest way from every promised state, over at most as many steps as there are states; a step that is switched off
-- counts as well, for switching it on must not break a promise
{% set steps = 9 %}

with promises as (
    select * from {{ ref('lifecycle_promises') }}
),

rules as (
    select * from {{ ref('lifecycle_rules') }}
),

after_0 as (
    select
        promises.population,
        promises.from_state,
        promises.from_state as state,
        0 as days
    from promises
),

{% for step in range(1, steps + 1) %}
after_{{ step }} as (
    select
        ways.population,
        ways.from_state,
        ways.state,
        min(ways.days) as days
    from (
        select * from after_{{ step - 1 }}
        union all
        select
            before.population,
            before.from_state,
            rules.to_state as state,
            before.days + rules.days as days
        from after_{{ step - 1 }} as before
        inner join rules
            on
                before.population = rules.population
                and before.state = rules.from_state
    ) as ways
    group by ways.population, ways.from_state, ways.state

){{ ',' if not loop.last }}
{% endfor %}

select
    promises.population,
    promises.from_state,
    promises.to_state,
    promises.days as promised,
    found.days as found
from promises
inner join after_{{ steps }} as found
    on
        promises.population = found.population
        and promises.from_state = found.from_state
        and promises.to_state = found.state
where found.days < promises.days
