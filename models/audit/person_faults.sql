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
        lifecycle.since,
        lifecycle.hold,
        lifecycle.held_by,
        lifecycle.record = 'leave' as is_on_leave,
        coalesce(records.school_number, '') as school_number,
        case presence.population when 'student' then 'school office' else 'human resources' end as record_owner
    from {{ ref('presence') }} as presence
    left join {{ ref('lifecycle') }} as lifecycle
        on presence.person_id = lifecycle.person_id
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
        findings.kind,
        coalesce(nullif(findings.target, ''), nullif(findings.source, ''), people.source) as system,
        findings.message as sentence,
        findings.owner,
        findings.action
    from {{ source('ledger_audit', 'findings') }} as findings
    inner join last_run
        on findings.run_id = last_run.run_id
    inner join people
        on findings.key in (people.source_key, people.person_id)

    union all

    -- what concerns a target as a whole concerns everybody who should be in it
    select
        people.person_id,
        findings.kind,
        findings.target as system,
        findings.message as sentence,
        findings.owner,
        findings.action
    from {{ source('ledger_audit', 'findings') }} as findings
    inner join last_run
        on findings.run_id = last_run.run_id
    inner join people
        on people.record <> 'left'
    where findings.kind in ('target_unreadable', 'target_unusable', 'not_verified')
),

absent as (
    select
        people.person_id,
        people.presence as kind,
        people.source as system,
        case people.presence
            when 'file_missing'
                then
                    'the feed ' || coalesce(people.feed, '') || ' has not come since '
                    || cast(people.presence_since as {{ dbt.type_string() }}) || '; everything is kept as it was'
            when 'file_partial'
                then 'the feed ' || coalesce(people.feed, '') || ' was refused, or has lines nobody can read; everything is kept as it was'
            else 'listed, but rule ' || coalesce(people.presence_rule, '') || ' gives such people no account'
        end as sentence,
        case
            when people.presence = 'filtered' then 'identity administrator'
            when people.source = 'hr' then 'human resources'
            else 'student information system administrator'
        end as owner,
        case people.presence
            when 'filtered' then 'Change the row in seeds/no_account.csv if it is wrong.'
            else 'Run the extract again and send it; "make report" says what was wrong with the file.'
        end as action
    from people
    where people.presence in ('file_missing', 'file_partial', 'filtered')
),

decided as (
    select
        people.person_id,
        'held' as kind,
        'seeds/holds.csv' as system,
        'nothing of this person is changed: ' || people.hold as sentence,
        people.held_by as owner,
        'The hold ends with its date, or when its row is deleted.' as action
    from people
    where people.hold is not null

    union all

    select
        people.person_id,
        'on_leave' as kind,
        'seeds/leaves.csv' as system,
        'on leave since ' || cast(people.since as {{ dbt.type_string() }}) as sentence,
        'human resources' as owner,
        'Give the leave its last day, or delete its row.' as action
    from people
    where people.is_on_leave

    union all

    select
        people.person_id,
        'left' as kind,
        people.source as system,
        'the record says ' || people.reason || ', school ' || people.school_number || '; state ' || people.state || ' since '
        || cast(people.since as {{ dbt.type_string() }}) as sentence,
        people.record_owner as owner,
        'If the person is still here, correct the record: account and groups come back the next night.' as action
    from people
    where people.record = 'left' and people.reason not like 'absent from %'
),

records as (
    select
        students.person_id,
        'not_begun' as kind,
        students.system,
        'pre-registered, first day ' || coalesce(cast(students.admitted_on as {{ dbt.type_string() }}), 'not known')
        || '; the account is there, groups follow on the first day' as sentence,
        'school office' as owner,
        'Correct the admission date or the status if the student is here already.' as action
    from students
    where students.record = 'preregistered'

    union all

    select
        students.person_id,
        'no_homeroom' as kind,
        students.system,
        'homeroom blank, school ' || students.school_number as sentence,
        'school office' as owner,
        'Give the student a homeroom; its group follows the next night.' as action
    from students
    where students.record = 'active' and students.is_k_to_7 and students.homeroom is null

    union all

    select
        students.person_id,
        'no_grade' as kind,
        students.system,
        'grade blank or not known, school ' || students.school_number as sentence,
        'school office' as owner,
        'Correct the grade, or add its spelling to seeds/grades.csv.' as action
    from students
    where students.record = 'active' and students.grade_code is null

    union all

    select
        students.person_id,
        'do_not_call' as kind,
        students.system,
        'the family asked not to be called, school ' || students.school_number || '; left out of the call-out files' as sentence,
        'school office' as owner,
        'Ask the family, and correct the permission if it is wrong.' as action
    from students
    where students.record = 'active' and not students.may_call

    union all

    select
        students.person_id,
        'legal_names' as kind,
        students.system,
        'usual surname and first name blank or as the legal ones, school ' || students.school_number
        || '; the legal names are shown' as sentence,
        'school office' as owner,
        'Enter the usual names if the family uses others.' as action
    from students
    where students.record <> 'left' and students.is_called_by_legal_names
),

unwritten as (
    select
        changes.person_id,
        case
            when changes.status in ('failed', 'skipped') then 'change_' || changes.status
            when changes.hold is not null then 'change_held'
            else 'drift'
        end as kind,
        changes.target as system,
        changes.entity || ': ' || changes.action || ' ' || changes.status || ': '
        || coalesce(changes.hold, nullif(changes.note, ''), changes.reason) as sentence,
        case
            when changes.status = 'failed' and (changes.note like '%belongs to another object%' or changes.code = 409)
                then changes.target || ' administrator'
            when changes.status in ('failed', 'skipped') then 'technician'
            when changes.hold like '%carry this key%' then changes.target || ' administrator'
            when changes.hold like '%has lost its rows%' then 'student information system administrator'
            when changes.hold is not null then 'analyst'
            else changes.target || ' administrator'
        end as owner,
        case
            when changes.status in ('failed', 'skipped') then 'The next night tries again; if it fails again, mend what the sentence names.'
            when changes.hold like '%carry this key%' then 'Keep one of the objects and take the key off the other.'
            when changes.hold is not null then 'Look with "make show"; lift with ALLOW= and WHY=, or mend the cause.'
            else 'Change it in the source system; what is changed in the tenant by hand is put back each night.'
        end as action
    from changes
    where
        changes.status in ('failed', 'skipped', 'held')
        or changes.reason like '%drift%'
),

final as (
    select * from said
    union all
    select * from absent
    union all
    select * from decided
    union all
    select * from records
    union all
    select * from unwritten
)

select * from final
