-- what "make explain" says of one person, line by line: keys, numbers, schools and dates; `line_with_names` has the names and
-- addresses that `line` hides

{% set hidden = '…' %}
{% set most_events = 6 %}
{% set most_changes = 10 %}
-- further than any timer of the lifecycle reaches
{% set most_days = 1096 %}

with persons as (
    select * from {{ ref('persons') }}
),

records as (
    select * from {{ ref('person_records') }}
),

presence as (
    select * from {{ ref('presence') }}
),

holders as (
    select * from {{ ref('account_holders') }}
),

names_given as (
    {{ deduplicate(ref('accounts'), 'person_id', 'name_number desc') }}
),

targets as (
    select * from {{ ref('targets') }}
    where has_accounts and not {{ is_off('target') }}
),

observed as (
    select * from {{ ref('stg_targets__users') }}
),

lifecycle as (
    select * from {{ ref('lifecycle') }}
),

events as (
    select * from {{ ref('lifecycle_events') }}
),

problems as (
    select * from {{ ref('problems') }}
),

rules as (
    select * from {{ ref('lifecycle_rules') }}
),

calendar as (
    select * from {{ ref('school_calendar') }}
),

faults as (
    select * from {{ ref('person_faults') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

-- ---------------------------------------------------------------- who

known as (
    select
        persons.person_id as subject,
        10 as place,
        'person ' || persons.person_id || ': ' || persons.population || ' ' || persons.source_key || ', known since '
        || {{ date_text('persons.first_seen_on') }} || ', by rule ' || coalesce(persons.rule, 'none') as line,
        cast(null as {{ dbt.type_string() }}) as line_with_names
    from persons
),

record_parts as (
    select
        records.person_id as subject,
        'record: ' || coalesce(nullif(records.source, ''), 'not in a feed') || '; ' as start_of_line,
        trim(coalesce(records.first_name, '') || ' ' || coalesce(records.last_name, '')) as called,
        ', ' || coalesce('school ' || nullif(records.school_number, ''), 'no school')
        || coalesce(', grade ' || nullif(records.grade_code, ''), '') as rest_of_line
    from records
),

recorded as (
    select
        record_parts.subject,
        20 as place,
        record_parts.start_of_line || '{{ hidden }}' || record_parts.rest_of_line as line,
        record_parts.start_of_line || record_parts.called || record_parts.rest_of_line as line_with_names
    from record_parts
),

listed as (
    select
        presence.person_id as subject,
        30 as place,
        coalesce(nullif(presence.source, ''), 'source') || ': '
        || case presence.presence
            when 'present' then 'listed in last night''s feeds'
            when 'filtered' then 'listed, but of a kind that is given no account'
            when 'left' then 'left'
            when 'invalid' then 'listed in a line that cannot be used'
            when 'file_missing' then 'not known: the feed did not come'
            when 'file_partial' then 'not known: the feed was refused or has unreadable lines'
            when 'vanished' then 'in no good feed, for no reason that is known'
        end
        || ', since ' || {{ date_text('presence.since') }}
        || '; last listed on ' || coalesce({{ date_text('presence.last_seen_on') }}, 'None') as line,
        cast(null as {{ dbt.type_string() }}) as line_with_names
    from presence
),

named as (
    select
        persons.person_id as subject,
        40 as place,
        case
            when holders.person_id is null then 'account name: none given'
            else
                'account name: {{ hidden }}, given on ' || {{ date_text('names_given.minted_on') }} || ' by policy '
                || names_given.policy
        end as line,
        'account name: ' || holders.address || ', given on ' || {{ date_text('names_given.minted_on') }} || ' by policy '
        || names_given.policy as line_with_names
    from persons
    left join holders
        on persons.person_id = holders.person_id
    left join names_given
        on persons.person_id = names_given.person_id
),

accounts_there as (
    select
        observed.person_id,
        observed.target,
        {{ listagg('observed.remote_id', ', ') }} as remote_ids
    from observed
    group by observed.person_id, observed.target
),

found as (
    select
        persons.person_id as subject,
        50 as place,
        targets.target || ': '
        || coalesce(
            'account ' || accounts_there.remote_ids || ', found by our key on it', 'no account carries this person''s key'
        ) as line,
        cast(null as {{ dbt.type_string() }}) as line_with_names
    from persons
    cross join targets
    left join accounts_there
        on
            persons.person_id = accounts_there.person_id
            and targets.target = accounts_there.target
),

-- ---------------------------------------------------------------- lifecycle

standing as (
    select
        persons.person_id as subject,
        10 as place,
        case
            when lifecycle.person_id is null then 'no state yet'
            else
                lifecycle.state || ' since ' || {{ date_text('lifecycle.since') }} || ': the record says ' || lifecycle.record
                || ' (' || coalesce({{ rendered('problems.sentence', 'lifecycle.reason_values') }}, lifecycle.reason) || ')' || coalesce('; rule: ' || nullif(lifecycle.rule, ''), '')
        end as line
    from persons
    left join lifecycle
        on persons.person_id = lifecycle.person_id
    left join problems
        on 'record_' || lifecycle.reason = problems.code
),

-- every day a timer may run on, and how many did until then
days as (
    select
        spans.population,
        {{ every_day('spans.first_day', 'spans.last_day') }} as day
    from (
        select
            lifecycle.population,
            min(lifecycle.since) as first_day,
            cast({{ dbt.dateadd('day', most_days, 'greatest(max(lifecycle.since), max(night.as_of))') }} as date) as last_day
        from lifecycle
        cross join night
        group by lifecycle.population
    ) as spans
),

standing_days as (
    select distinct
        days.population,
        days.day
    from days
    inner join calendar
        on
            days.population = calendar.population
            and calendar.timers = 'stand'
            and days.day between calendar.starts_on and calendar.ends_on
),

counted as (
    select
        days.population,
        days.day,
        count(*) filter (where standing_days.day is null) over (
            partition by days.population order by days.day rows unbounded preceding
        ) as days_counted
    from days
    left join standing_days
        on
            days.population = standing_days.population
            and days.day = standing_days.day
),

first_counted as (
    select
        counted.population,
        counted.days_counted,
        min(counted.day) as day
    from counted
    group by counted.population, counted.days_counted
),

people_now as (
    select
        lifecycle.person_id,
        lifecycle.population,
        lifecycle.state,
        lifecycle.record,
        lifecycle.reason,
        presence.grade_code
    from lifecycle
    left join presence
        on lifecycle.person_id = presence.person_id
),

fitting_rules as (
    select
        people_now.person_id,
        rules.to_state,
        rules.rule,
        rules.days,
        rules.first_day,
        rules.spread_days,
        rules.is_on,
        {{ step_weight('rules') }} as weight
    from people_now
    cross join night
    inner join rules
        on {{ step_fits('rules', 'people_now', 'night.as_of') }}
),

-- as the machine chooses
chosen_rules as (
    {{ deduplicate('fitting_rules', 'person_id', 'is_on desc, weight desc, rule') }}
),

timed as (
    select
        lifecycle.person_id,
        lifecycle.hold,
        rules.to_state,
        rules.rule,
        rules.days,
        rules.spread_days,
        rules.is_on,
        cast({{ dbt.dateadd('day', most_days, 'lifecycle.since') }} as date) as last_day,
        cast({{ dbt.dateadd('day', 1, 'night.as_of') }} as date) as tomorrow,
        until_now.days_counted - before_it.days_counted as days_passed,
        -- null where that is further away than anybody looks
        case
            when rules.first_day is not null then cast({{ dbt.dateadd('day', 'rules.days', 'lifecycle.since') }} as date)
            when reached.day is not null then greatest(reached.day, lifecycle.since)
        end as day_reached
    from lifecycle
    cross join night
    left join chosen_rules as rules
        on lifecycle.person_id = rules.person_id
    left join counted as before_it
        on
            lifecycle.population = before_it.population
            and lifecycle.since = before_it.day
    left join counted as until_now
        on
            lifecycle.population = until_now.population
            and night.as_of = until_now.day
    left join first_counted as reached
        on
            lifecycle.population = reached.population
            and before_it.days_counted + rules.days = reached.days_counted
),

next_steps as (
    select
        timed.person_id as subject,
        20 as place,
        case
            when timed.hold is not null then 'held: ' || timed.hold || '; nothing changes until then'
            when timed.to_state is null then 'stays so while the record does'
            when not timed.is_on
                then 'stays so: the step to ' || timed.to_state || ' is switched off in seeds/lifecycle_rules.csv'
            else
                'next: ' || timed.to_state || ' on '
                || {{ date_text('least(greatest(coalesce(timed.day_reached, timed.last_day), timed.tomorrow), timed.last_day)') }}
                || ' (' || timed.rule || ': ' || cast(timed.days as {{ dbt.type_string() }}) || ' days, of which '
                || cast(timed.days_passed as {{ dbt.type_string() }}) || ' have passed), if the record stays'
                || case
                    when timed.spread_days > 0
                        then '; or in the ' || cast(timed.spread_days as {{ dbt.type_string() }}) || ' nights after, where many have waited'
                    else ''
                end
        end as line
    from timed
),

last_events as (
    select
        events.person_id as subject,
        30 + events.event_number as place,
        {{ date_text('events.recorded_on') }} || ': ' || events.state || ' ('
        || coalesce(nullif(events.rule, ''), {{ rendered('problems.sentence', 'events.reason_values') }}, events.reason) || ')' as line,
        row_number() over (partition by events.person_id order by events.event_number desc) as from_the_last
    from events
    left join problems
        on 'record_' || events.reason = problems.code
),

-- ---------------------------------------------------------------- faults

faults_once as (
    select distinct
        faults.person_id as subject,
        faults.code,
        faults.system,
        faults.sentence,
        faults.owner,
        faults.action
    from faults
),

mended as (
    select
        faults_once.subject,
        row_number() over (
            partition by faults_once.subject
            order by
                case when faults_once.code = 'legal_names' then 1 else 0 end,
                faults_once.system,
                faults_once.code,
                faults_once.sentence,
                faults_once.owner,
                faults_once.action
        ) as place,
        faults_once.system || ': ' || faults_once.sentence || ' -> ' || faults_once.owner || ': ' || faults_once.action as line,
        faults_once.code,
        faults_once.owner
    from faults_once
),

-- ---------------------------------------------------------------- pending

last_run as (
    select max(runs.run_id) as run_id
    from {{ source('ledger_audit', 'runs') }} as runs
),

pending as (
    select
        changes.person_id as subject,
        10 as place,
        changes.target || ' ' || changes.entity || ': ' || changes.action || ', ' || changes.status || ': '
        || coalesce(changes.hold, nullif(changes.note, ''), changes.reason) as line
    from {{ ref('changes') }} as changes
    inner join last_run
        on changes.run_id = last_run.run_id
    where changes.person_id is not null and changes.status <> 'applied'
),

-- ---------------------------------------------------------------- what was done

done as (
    select
        changes.person_id as subject,
        row_number() over (
            partition by changes.person_id
            order by changes.run_id desc, changes.seq desc, changes.target, changes.entity, changes.key
        ) as place,
        {{ date_text('runs.as_of') }} || ': ' || changes.target || ' ' || changes.entity || ' ' || changes.action
        || case when changes.status = 'failed' then ', failed' else '' end || ': ' || changes.reason as line
    from {{ ref('changes') }} as changes
    inner join {{ source('ledger_audit', 'runs') }} as runs
        on changes.run_id = runs.run_id
    where changes.person_id is not null and changes.status in ('applied', 'failed')
),

-- ---------------------------------------------------------------- all of it

lines as (
    select 'Who' as section, known.subject, known.place, known.line, known.line_with_names, null as code, null as owner
    from known
    union all
    select 'Who' as section, recorded.subject, recorded.place, recorded.line, recorded.line_with_names, null as code, null as owner
    from recorded
    union all
    select 'Who' as section, listed.subject, listed.place, listed.line, listed.line_with_names, null as code, null as owner
    from listed
    union all
    select 'Who' as section, named.subject, named.place, named.line, named.line_with_names, null as code, null as owner
    from named
    union all
    select 'Who' as section, found.subject, found.place, found.line, found.line_with_names, null as code, null as owner
    from found
    union all
    select 'Lifecycle' as section, standing.subject, standing.place, standing.line, null as line_with_names, null as code, null as owner
    from standing
    union all
    select 'Lifecycle' as section, next_steps.subject, next_steps.place, next_steps.line, null as line_with_names, null as code, null as owner
    from next_steps
    union all
    select 'Lifecycle' as section, last_events.subject, last_events.place, last_events.line, null as line_with_names, null as code, null as owner
    from last_events
    where last_events.from_the_last <= {{ most_events }}
    union all
    select 'Pending' as section, pending.subject, pending.place, pending.line, null as line_with_names, null as code, null as owner
    from pending
    union all
    select 'Last changes' as section, done.subject, done.place, done.line, null as line_with_names, null as code, null as owner
    from done
    where done.place <= {{ most_changes }}
    union all
    select 'Who can mend what' as section, mended.subject, mended.place, mended.line, null as line_with_names, mended.code, mended.owner
    from mended
),

final as (
    select
        lines.subject,
        lines.section,
        lines.place,
        lines.line,
        coalesce(lines.line_with_names, lines.line) as line_with_names,
        lines.code,
        lines.owner
    from lines
)

select * from final
