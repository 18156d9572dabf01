with presence as (
    select * from {{ ref('presence') }}
),

states as (
    select * from {{ ref('lifecycle_states') }}
),

holds as (
    select * from {{ ref('holds') }}
),

night as (
    select * from {{ source('homeroom', 'night') }}
),

latest_events as (
    {{ first_row_per(ref('lifecycle_events'), 'person_id', 'event_number desc') }}
),

-- a state is open where any target keeps its accounts open
meanings as (
    select
        states.state,
        bool_or(states.account = 'open') as is_open,
        bool_or(states.in_groups) as is_in_groups
    from states
    group by states.state
),

held as (
    select
        holds.population,
        holds.source_key,
        min(
            holds.kind || ' by ' || holds.placed_by
            || coalesce(' until ' || cast(holds.expires_on as {{ dbt.type_string() }}), '')
        ) as hold,
        min(holds.placed_by) as held_by
    from holds
    cross join night
    where coalesce(holds.expires_on >= night.as_of, true)
    group by holds.population, holds.source_key
),

final as (
    select
        presence.person_id,
        presence.population,
        latest_events.state,
        latest_events.since,
        latest_events.reason,
        latest_events.record,
        latest_events.rule,
        meanings.is_open,
        meanings.is_in_groups,
        held.hold,
        held.held_by
    from presence
    inner join latest_events
        on presence.person_id = latest_events.person_id
    inner join meanings
        on latest_events.state = meanings.state
    left join held
        on
            presence.population = held.population
            and presence.source_key = held.source_key
)

select * from final
