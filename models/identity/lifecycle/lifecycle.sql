with presence as (
    select * from {{ ref('presence') }}
),

states as (
    select * from {{ ref('lifecycle_states') }}
),

holds as (
    select * from {{ ref('holds') }}
),

person_keys as (
    select * from {{ ref('person_keys') }}
),

doubted_records as (
    select * from {{ ref('doubted_records') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

latest_events as (
    {{ deduplicate(ref('lifecycle_events'), 'person_id', 'event_number desc') }}
),

-- the state somebody was in before this one
earlier_states as (
    select
        events.person_id,
        events.event_number,
        events.state
    from {{ ref('lifecycle_events') }} as events
    inner join latest_events
        on
            events.person_id = latest_events.person_id
            and events.state <> latest_events.state
),

left_states as (
    {{ deduplicate('earlier_states', 'person_id', 'event_number desc') }}
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

-- who has a second number is held under the first one too
current_holds as (
    select
        holds.population,
        coalesce(person_keys.other_key, holds.source_key) as source_key,
        holds.placed_by as held_by,
        holds.expires_on,
        holds.kind || ' by ' || holds.placed_by
        || coalesce(' until ' || cast(holds.expires_on as {{ dbt.type_string() }}), '') as hold
    from holds
    cross join night
    left join person_keys
        on
            holds.population = person_keys.population
            and holds.source_key = person_keys.source_key
    where coalesce(holds.expires_on >= night.as_of, true)

    union all

    select distinct
        doubted_records.population,
        doubted_records.held_key as source_key,
        case doubted_records.population when 'student' then 'school office' else 'human resources' end as held_by,
        cast(null as date) as expires_on,
        'record in question' as hold
    from doubted_records
),

-- of two holds the one that lasts longer is said
held as (
    {{ deduplicate('current_holds', 'population, source_key', 'expires_on desc nulls first, hold') }}
),

final as (
    select
        presence.person_id,
        presence.population,
        latest_events.state,
        latest_events.since,
        latest_events.reason,
        latest_events.reason_values,
        latest_events.record,
        latest_events.rule,
        meanings.is_open,
        meanings.is_in_groups,
        meanings_before.is_open as was_open,
        held.hold,
        held.held_by
    from presence
    inner join latest_events
        on presence.person_id = latest_events.person_id
    inner join meanings
        on latest_events.state = meanings.state
    left join left_states
        on presence.person_id = left_states.person_id
    left join meanings as meanings_before
        on left_states.state = meanings_before.state
    left join held
        on
            presence.population = held.population
            and presence.source_key = held.source_key
)

select * from final
