with records as (
    select * from {{ ref('person_records') }}
),

feed_loads as (
    select * from {{ ref('feed_loads') }}
),

problems as (
    select * from {{ ref('intake_problems') }}
),

doubted_records as (
    select * from {{ ref('doubted_records') }}
),

no_account as (
    select * from {{ ref('no_account') }}
),

events as (
    select * from {{ source('ledger_identity', 'lifecycle_events') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

-- listed, but in a line that cannot be used
invalid as (
    select
        'student' as population,
        problems.key as source_key,
        problems.code as rule
    from problems
    where problems.code = 'student_without_school'
    union
    select
        doubted_records.population,
        doubted_records.held_key as source_key,
        doubted_records.code as rule
    from doubted_records
),

one_invalid as (
    {{ deduplicate('invalid', 'population, source_key', 'rule') }}
),

filtered as (
    select
        records.person_id,
        min(no_account.rule) as rule
    from records
    inner join no_account
        on
            records.population = no_account.population
            and lower(no_account.value) = lower(
                case no_account.column_name
                    when 'grade_code' then records.grade_code
                    when 'position' then records.position
                    when 'school_number' then records.school_number
                end
            )
    group by records.person_id
),

classed_events as (
    select
        events.*,
        case
            when events.record = 'left' then 'left'
            when events.reason = 'vanished' then 'vanished'
            when events.reason in ('invalid', 'filtered') then events.reason
            else 'present'
        end as presence
    from events
),

latest_events as (
    {{ deduplicate('classed_events', 'person_id', 'event_number desc') }}
),

last_changes as (
    select
        latest_events.person_id,
        max(case when classed_events.presence <> latest_events.presence then classed_events.event_number else 0 end) as event_number
    from latest_events
    inner join classed_events
        on latest_events.person_id = classed_events.person_id
    group by latest_events.person_id
),

-- where every person stood until last night, and since when
earlier as (
    select
        latest_events.person_id,
        latest_events.presence,
        latest_events.reason,
        latest_events.reason_values,
        min(classed_events.recorded_on) as since
    from latest_events
    inner join last_changes
        on latest_events.person_id = last_changes.person_id
    inner join classed_events
        on
            latest_events.person_id = classed_events.person_id
            and last_changes.event_number < classed_events.event_number
    group by latest_events.person_id, latest_events.presence, latest_events.reason, latest_events.reason_values
),

judged as (
    select
        records.*,
        feed_loads.source as feed_source,
        feed_loads.feed,
        feed_loads.not_taken_since,
        coalesce(one_invalid.rule, 'row_rejected') as invalid_rule,
        filtered.rule as filter_rule,
        case
            when records.state = 'left' then 'left'
            when records.is_in_feed and filtered.rule is not null then 'filtered'
            when not records.is_in_feed and one_invalid.rule is not null then 'invalid'
            when
                not records.is_in_feed
                and {{ is_rejected('feed_loads.latest_rejected_keys', "coalesce(records.staff_id, records.source_key)") }}
                then 'invalid'
            -- absent from a good feed already: tonight's not coming changes nothing about that
            when records.good_feeds_absent > 0 then 'vanished'
            when feed_loads.latest_status = 'missing' then 'file_missing'
            when feed_loads.latest_status = 'refused' then 'file_partial'
            when records.is_in_feed then 'present'
            -- the line of the one who is absent may be among those that could not be read, or those their school lacks
            when feed_loads.latest_is_doubtful or {{ is_rejected('feed_loads.latest_held_schools', 'records.school_number') }}
                then 'file_partial'
            else 'vanished'
        end as presence
    from records
    left join feed_loads
        on records.source_file = feed_loads.source_file
    left join one_invalid
        on
            records.source_key = one_invalid.source_key
            and records.population = one_invalid.population
    left join filtered
        on records.person_id = filtered.person_id
),

final as (
    select
        -- ids
        judged.person_id,
        judged.population,
        judged.source_key,
        judged.grade_code,

        -- presence
        judged.presence,
        case
            when judged.presence in ('file_missing', 'file_partial') then coalesce(judged.not_taken_since, night.as_of)
            when judged.presence = earlier.presence then earlier.since
            else night.as_of
        end as since,
        judged.last_seen_on,
        judged.good_feeds_absent,
        judged.good_feeds_before_left,
        case judged.presence when 'filtered' then judged.filter_rule when 'invalid' then judged.invalid_rule end as rule,

        -- state
        judged.state,
        case
            when judged.presence in ('filtered', 'invalid', 'vanished') then judged.presence
            -- a night without the feed says nothing new about those it does not list
            when judged.presence in ('file_missing', 'file_partial') and not judged.is_in_feed then coalesce(earlier.reason, judged.reason)
            else judged.reason
        end as reason,
        case
            when judged.presence in ('filtered', 'invalid')
                then cast({{ problem_values({
                    'rule': "case judged.presence when 'filtered' then judged.filter_rule else judged.invalid_rule end",
                }) }} as {{ dbt.type_string() }})
            when judged.presence = 'vanished' then null
            when judged.presence in ('file_missing', 'file_partial') and not judged.is_in_feed and earlier.reason is not null
                then earlier.reason_values
            else judged.reason_values
        end as reason_values,

        -- feed
        judged.feed_source as source,
        judged.feed
    from judged
    cross join night
    left join earlier
        on judged.person_id = earlier.person_id
)

select * from final
