{{ config(
    materialized='incremental',
    incremental_strategy='append',
    database='ledger',
    full_refresh=false,
    on_schema_change='fail',
) }}

-- the machine of seed lifecycle_rules, one step a night: from the state somebody is in, by what the record says, after so
-- many days. It knows no state by name

with presence as (
    select * from {{ ref('presence') }}
),

rules as (
    select * from {{ ref('lifecycle_rules') }}
    where is_on
),

calendar as (
    select * from {{ ref('school_calendar') }}
    where timers = 'stand'
),

holds as (
    select * from {{ ref('holds') }}
),

leaves as (
    select * from {{ ref('leaves') }}
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

earlier as (
    {% if is_incremental() %}
    {{ deduplicate(this, 'person_id', 'event_number desc') }}
    {% else %}
    select
        cast(null as {{ dbt.type_string() }}) as person_id,
        cast(null as integer) as event_number,
        cast(null as {{ dbt.type_string() }}) as state,
        cast(null as {{ dbt.type_string() }}) as reason,
        cast(null as {{ dbt.type_string() }}) as reason_values,
        cast(null as {{ dbt.type_string() }}) as record,
        cast(null as date) as since
    {% endif %}
),

-- who has a second number is held, and away, under the first one too
held as (
    select
        holds.population,
        coalesce(person_keys.other_key, holds.source_key) as source_key
    from holds
    cross join night
    left join person_keys
        on
            holds.population = person_keys.population
            and holds.source_key = person_keys.source_key
    where coalesce(holds.expires_on >= night.as_of, true)
    union
    select
        doubted_records.population,
        doubted_records.held_key as source_key
    from doubted_records
),

away as (
    select distinct
        leaves.population,
        coalesce(person_keys.other_key, leaves.source_key) as source_key
    from leaves
    cross join night
    left join person_keys
        on
            leaves.population = person_keys.population
            and leaves.source_key = person_keys.source_key
    where
        leaves.starts_on <= night.as_of
        and coalesce(leaves.ends_on >= night.as_of, true)
),

tonight as (
    select
        presence.person_id,
        presence.population,
        case when presence.state = 'active' and away.source_key is not null then 'leave' else presence.state end as record,
        presence.reason,
        presence.reason_values,
        presence.grade_code,
        coalesce(earlier.event_number, 0) as event_number,
        coalesce(earlier.state, 'new') as state,
        earlier.reason as earlier_reason,
        earlier.reason_values as earlier_values,
        coalesce(earlier.record, '') as earlier_record,
        coalesce(earlier.since, night.as_of) as since,
        night.as_of,
        night.run_id
    from presence
    cross join night
    left join earlier
        on presence.person_id = earlier.person_id
    left join away
        on
            presence.population = away.population
            and presence.source_key = away.source_key
    left join held
        on
            presence.population = held.population
            and presence.source_key = held.source_key
    -- a held person never changes: no event, until the hold is lifted or expires
    where held.source_key is null
),

-- the days of a state, and those of them on which the calendar says that timers stand
waited as (
    select
        days.population,
        days.since,
        {{ dbt.datediff('days.since', 'days.as_of', 'day') }} as days,
        coalesce(sum(
            case
                when calendar.population is not null then {{ days_shared(
                    'calendar.starts_on', 'calendar.ends_on', dbt.dateadd('day', 1, 'days.since'), 'days.as_of'
                ) }}
            end
        ), 0) as days_standing
    from (
        select distinct
            tonight.population,
            tonight.since,
            tonight.as_of
        from tonight
    ) as days
    left join calendar
        on days.population = calendar.population
    group by days.population, days.since, days.as_of
),

fitting as (
    select
        tonight.person_id,
        rules.to_state,
        rules.rule,
        rules.days,
        rules.first_day,
        cast(substr(cast(tonight.as_of as {{ dbt.type_string() }}), 1, 4) as integer)
        - case
            when substr(cast(tonight.as_of as {{ dbt.type_string() }}), 6, 5) < rules.first_day then 1 else 0
        end as first_year,
        {{ turn_of_person('tonight.person_id', 'coalesce(rules.spread_days, 0)') }} as turn,
        {{ step_weight('rules') }} as weight
    from tonight
    inner join rules
        on {{ step_fits('rules', 'tonight', 'tonight.as_of') }}
),

-- of several rows for one step, the one that says most about whom and when it means
chosen as (
    {{ deduplicate('fitting', 'person_id', 'weight desc, rule') }}
),

stepped as (
    select
        tonight.*,
        chosen.to_state,
        chosen.rule
    from tonight
    inner join waited
        on
            tonight.population = waited.population
            and tonight.since = waited.since
    left join chosen
        on
            tonight.person_id = chosen.person_id
            and case
                -- a step of certain days of the year waits for them and not for the calendar
                when chosen.first_day is not null
                    then
                        waited.days >= chosen.days
                        and {{ dbt.datediff(
                            "cast(cast(chosen.first_year as " ~ dbt.type_string() ~ ") || '-' || chosen.first_day as date)",
                            'tonight.as_of', 'day'
                        ) }} >= chosen.turn
                -- whom a standing timer made wait together goes one after another
                when waited.days_standing > 0 then waited.days - waited.days_standing >= chosen.days + chosen.turn
                else waited.days >= chosen.days
            end
),

final as (
    select
        stepped.person_id,
        stepped.event_number + 1 as event_number,
        coalesce(stepped.to_state, stepped.state) as state,
        stepped.reason,
        case when stepped.to_state is null then stepped.since else cast(stepped.as_of as date) end as since,
        stepped.as_of as recorded_on,
        stepped.run_id,
        stepped.record,
        stepped.rule,
        stepped.reason_values
    from stepped
    where
        stepped.to_state is not null
        or stepped.reason <> stepped.earlier_reason
        or coalesce(stepped.reason_values, '') <> coalesce(stepped.earlier_values, '')
        or stepped.record <> stepped.earlier_record
)

select * from final
