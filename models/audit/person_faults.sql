-- keys, never names. What stands in the way of a person's accounts and files, who can mend it and how; what is as the
-- district decided (a hold, a leave, a rule) names who decided

with people as (
    select
        presence.person_id,
        presence.population,
        presence.source_key,
        presence.presence,
        presence.since as presence_since,
        presence.rule as presence_rule,
        coalesce(presence.source, case presence.population when 'staff' then 'hr' else 'student information system' end) as source,
        presence.feed,
        presence.state as record,
        lifecycle.state,
        lifecycle.reason,
        {{ rendered('reasons.sentence', 'lifecycle.reason_values') }} as reason_text,
        lifecycle.since,
        lifecycle.hold,
        lifecycle.held_by,
        lifecycle.record = 'leave' as is_on_leave,
        coalesce(records.school_number, '') as school_number,
        case presence.population when 'student' then 'school office' else 'human resources' end as record_owner
    from {{ ref('presence') }} as presence
    left join {{ ref('lifecycle') }} as lifecycle
        on presence.person_id = lifecycle.person_id
    left join {{ ref('problems') }} as reasons
        on 'record_' || lifecycle.reason = reasons.code
    left join {{ ref('person_records') }} as records
        on presence.person_id = records.person_id
),

students as (
    select
        people.person_id,
        people.source as system,
        people.school_number,
        people.record,
        students.homeroom,
        students.grade_code,
        students.admitted_on,
        students.may_call,
        grades.is_k_to_7,
        (
            coalesce(students.usual_first_name, '') = coalesce(students.legal_first_name, '')
            and coalesce(students.usual_last_name, '') = coalesce(students.legal_last_name, '')
        ) as is_called_by_legal_names
    from people
    inner join {{ ref('students') }} as students
        on people.source_key = students.student_number
    left join {{ ref('grades') }} as grades
        on students.grade_code = grades.grade_text
    where people.population = 'student'
),

last_run as (
    select max(runs.run_id) as run_id
    from {{ source('ledger_audit', 'runs') }} as runs
),

changes as (
    select changes.*
    from {{ ref('changes') }} as changes
    inner join last_run
        on changes.run_id = last_run.run_id
    where changes.person_id is not null
),

said as (
    select
        people.person_id,
        findings.code,
        coalesce(nullif(findings.target, ''), nullif(findings.source, ''), people.source) as system,
        findings.message as sentence,
        findings.owner,
        findings.action
    from {{ ref('findings') }} as findings
    inner join last_run
        on findings.run_id = last_run.run_id
    inner join people
        on findings.key in (people.source_key, people.person_id)

    union all

    -- what concerns a target as a whole concerns everybody who should be in it
    select
        people.person_id,
        findings.code,
        findings.target as system,
        findings.message as sentence,
        findings.owner,
        findings.action
    from {{ ref('findings') }} as findings
    inner join last_run
        on findings.run_id = last_run.run_id
    inner join people
        on people.record <> 'left'
    where findings.code in ('target_unreadable', 'target_unusable', 'not_verified')
),

absent as (
    select
        people.person_id,
        people.presence as code,
        people.source as system,
        {{ problem_values({
            'feed': "coalesce(people.feed, '')",
            'day': "cast(people.presence_since as " ~ dbt.type_string() ~ ")",
            'rule': "coalesce(people.presence_rule, '')",
        }) }} as values,
        case
            when people.presence = 'filtered' then ''
            when people.source = 'hr' then 'human resources'
            else 'student information system administrator'
        end as owner
    from people
    where people.presence in ('file_missing', 'file_partial', 'filtered')
),

decided as (
    select
        people.person_id,
        'held' as code,
        'seeds/holds.csv' as system,
        {{ problem_values({'why': 'people.hold'}) }} as values,
        people.held_by as owner
    from people
    where people.hold is not null

    union all

    select
        people.person_id,
        'on_leave' as code,
        'seeds/leaves.csv' as system,
        {{ problem_values({'day': "cast(people.since as " ~ dbt.type_string() ~ ")"}) }} as values,
        '' as owner
    from people
    where people.is_on_leave

    union all

    select
        people.person_id,
        'left' as code,
        people.source as system,
        {{ problem_values({
            'why': 'people.reason_text',
            'school_number': 'people.school_number',
            'state': 'people.state',
            'day': "cast(people.since as " ~ dbt.type_string() ~ ")",
        }) }} as values,
        people.record_owner as owner
    from people
    where people.record = 'left' and people.reason <> 'absent'
),

records as (
    select
        students.person_id,
        'not_begun' as code,
        students.system,
        students.admitted_on,
        students.school_number
    from students
    where students.record = 'preregistered'

    union all

    select
        students.person_id,
        'no_homeroom' as code,
        students.system,
        students.admitted_on,
        students.school_number
    from students
    where students.record = 'active' and students.is_k_to_7 and students.homeroom is null

    union all

    select
        students.person_id,
        'no_grade' as code,
        students.system,
        students.admitted_on,
        students.school_number
    from students
    where students.record = 'active' and students.grade_code is null

    union all

    select
        students.person_id,
        'do_not_call' as code,
        students.system,
        students.admitted_on,
        students.school_number
    from students
    where students.record = 'active' and not students.may_call

    union all

    select
        students.person_id,
        'legal_names' as code,
        students.system,
        students.admitted_on,
        students.school_number
    from students
    where students.record <> 'left' and students.is_called_by_legal_names
),

of_records as (
    select
        records.person_id,
        records.code,
        records.system,
        {{ problem_values({
            'day': "coalesce(cast(records.admitted_on as " ~ dbt.type_string() ~ "), 'not known')",
            'school_number': 'records.school_number',
        }) }} as values,
        '' as owner
    from records
),

unwritten as (
    select
        changes.person_id,
        case
            when changes.status in ('failed', 'skipped') then 'change_' || changes.status
            when changes.hold is not null then 'change_held'
            else 'drift'
        end as code,
        changes.target as system,
        {{ problem_values({
            'entity': 'changes.entity',
            'action': 'changes.action',
            'status': 'changes.status',
            'why': "coalesce(changes.hold, nullif(changes.note, ''), changes.reason)",
        }) }} as values,
        case
            when changes.status = 'failed' and (changes.outcome_reason = 'duplicate' or changes.code = 409)
                then changes.target || ' administrator'
            when changes.status in ('failed', 'skipped') then coalesce(refusals.owner, '')
            else coalesce(nullif(holds.owner, ''), changes.target || ' administrator')
        end as owner,
        case when changes.status not in ('failed', 'skipped') then holds.action end as action
    from changes
    left join {{ ref('problems') }} as holds
        on changes.hold_code = holds.code
    left join {{ ref('problems') }} as refusals
        on 'refused_' || changes.outcome_reason = refusals.code
    where
        changes.status in ('failed', 'skipped', 'held')
        or changes.reason_code = 'change_by_hand'
),

coded as (
    select
        absent.*,
        cast(null as {{ dbt.type_string() }}) as action
    from absent
    union all
    select
        decided.*,
        cast(null as {{ dbt.type_string() }}) as action
    from decided
    union all
    select
        of_records.*,
        cast(null as {{ dbt.type_string() }}) as action
    from of_records
    union all
    select * from unwritten
),

final as (
    select * from said
    union all
    select
        coded.person_id,
        coded.code,
        coded.system,
        {{ rendered('catalogue.sentence', 'coded.values') }} as sentence,
        coalesce(nullif(coded.owner, ''), catalogue.owner) as owner,
        coalesce(coded.action, {{ rendered('catalogue.action', 'coded.values') }}) as action
    from coded
    inner join {{ ref('problems') }} as catalogue
        on coded.code = catalogue.code
)

select * from final
