-- keys, never names: findings are shown on a page and sent by e-mail

{% set most_shown = 20 %}

with

persons as (

    select * from {{ ref('persons') }}

),

lifecycle as (

    select * from {{ ref('lifecycle') }}

),

presence as (

    select * from {{ ref('presence') }}

),

feed_problems as (

    select * from {{ ref('feed_problems') }}

),

records as (

    select * from {{ ref('person_records') }}

),

accounts as (

    select * from {{ ref('accounts') }}

),

account_matches as (

    select * from {{ ref('account_matches') }}

),

placements as (

    select * from {{ ref('placements') }}

),

staff as (

    select * from {{ ref('staff') }}

),

student_guardians as (

    select * from {{ ref('student_guardians') }}

),

transport_students as (

    select * from {{ ref('exp_transport__students') }}

),

callout_contacts as (

    select * from {{ ref('exp_callout__contacts') }}

),

callout_absences as (

    select * from {{ ref('exp_callout__absences') }}

),

google_users as (

    select * from {{ ref('stg_google__users') }}

),

microsoft_users as (

    select * from {{ ref('stg_microsoft__users') }}

),

night as (

    select * from {{ source('homeroom', 'night') }}

),

people as (

    select
        records.person_id,
        records.population,
        records.source_key,
        records.school_number,
        records.position,
        lifecycle.record as state,
        lifecycle.state as account_state,
        lifecycle.since,
        lifecycle.reason,
        presence.presence,
        presence.last_seen_on,
        presence.good_feeds_absent,
        presence.good_feeds_before_left
    from records
    inner join lifecycle
        on records.person_id = lifecycle.person_id
    inner join presence
        on records.person_id = presence.person_id

),

-- without a human resources feed nobody is in it, and that is one finding of the ingestion, not one per person
hr_is_read as (

    select count(*) as people_in_hr
    from staff
    where staff.is_in_hr

),

without_school as (

    select
        'warning' as level,
        'person_without_school' as kind,
        '' as source,
        '' as target,
        people.population as entity,
        '' as school_number,
        people.source_key as key,
        'A teacher has no school: the account stands in the unit '
        || {{ district_office() }} || ', in no group and in no roster.' as message,
        'human resources' as owner,
        'Enter the school in the source system; account and groups follow the next night.' as action
    from people
    left join staff
        on people.source_key = staff.staff_key
    where
        -- others without a school work for the district as a whole
        people.population = 'staff'
        and (staff.is_teacher or lower(people.position) like '%teacher%')
        and people.school_number is null
        and people.state <> 'left'

),

vanished as (

    select
        'warning' as level,
        'person_vanished' as kind,
        '' as source,
        '' as target,
        people.population as entity,
        people.school_number,
        people.source_key as key,
        'A ' || case people.population when 'student' then 'student' else 'person on staff' end
        || ' is no longer in any feed, without a withdrawal or an end date, last seen on '
        || cast(people.last_seen_on as {{ dbt.type_string() }})
        || ' and absent from ' || cast(people.good_feeds_absent as {{ dbt.type_string() }})
        || case people.good_feeds_absent when 1 then ' good feed' else ' good feeds' end
        || '; everything is kept as it was' || case
            when people.good_feeds_before_left is null then ', for absence alone never counts as having left.'
            else
                '. After ' || cast(people.good_feeds_before_left - people.good_feeds_absent as {{ dbt.type_string() }})
                || ' more without them they count as left.'
        end as message,
        case people.population when 'student' then 'school office' else 'human resources' end as owner,
        'If the person left, record it in the source system; if not, find out why the extract leaves them out.' as action
    from people
    where people.presence = 'vanished'

),

left_by_absence as (

    select
        'warning' as level,
        'person_left_by_absence' as kind,
        '' as source,
        '' as target,
        people.population as entity,
        people.school_number,
        people.source_key as key,
        'A ' || case people.population when 'student' then 'student' else 'person on staff' end
        || ' has been absent from ' || cast(people.good_feeds_absent as {{ dbt.type_string() }})
        || ' good feeds and counts as having left from tonight on; the account is in state ' || people.account_state || '.' as message,
        case people.population when 'student' then 'school office' else 'human resources' end as owner,
        'If the person is still here, have the extract list them: everything comes back the next night.' as action
    from people
    inner join night
        on people.since = night.as_of
    where
        people.state = 'left'
        and people.reason like 'absent from %'

),

hold_of_nobody as (

    select
        'warning' as level,
        'hold_of_nobody' as kind,
        '' as source,
        '' as target,
        holds.population as entity,
        '' as school_number,
        holds.source_key as key,
        'A hold in seeds/holds.csv names a person nobody knows, so it holds nothing.' as message,
        holds.placed_by as owner,
        'Correct population or number in seeds/holds.csv, or delete the row.' as action
    from {{ ref('holds') }} as holds
    left join presence
        on
            holds.population = presence.population
            and holds.source_key = presence.source_key
    where presence.person_id is null

),

calendar_over as (

    select
        'warning' as level,
        'calendar_ends' as kind,
        '' as source,
        '' as target,
        calendar.population as entity,
        '' as school_number,
        '' as key,
        'The school calendar of ' || calendar.population || ' ends on '
        || cast(max(calendar.ends_on) as {{ dbt.type_string() }})
        || '; on days it does not cover timers run and class lists are believed, in summer too.' as message,
        'analyst' as owner,
        'Add the next school year to seeds/school_calendar.csv.' as action
    from {{ ref('school_calendar') }} as calendar
    cross join night
    group by calendar.population, night.as_of
    having max(calendar.ends_on) < {{ dbt.dateadd('day', 60, 'night.as_of') }}

),

unmatched_staff as (

    select
        'warning' as level,
        'staff_unmatched' as kind,
        '' as source,
        '' as target,
        'staff' as entity,
        staff.school_number,
        staff.staff_key as key,
        case
            when staff.is_in_sis
                then 'A person on staff is in the student information system but not in human resources.'
            else 'A teacher is in human resources but not in the student information system.'
        end as message,
        case when staff.is_in_sis then 'human resources' else 'school office' end as owner,
        'Enter the same staff id in both systems; until then the one record decides.' as action
    from staff
    cross join hr_is_read
    where
        hr_is_read.people_in_hr > 0
        and staff.is_active
        -- most support staff need no login to the student information system, so only its own people are asked for there
        and (not staff.is_in_hr or (not staff.is_in_sis and lower(staff.position) like '%teacher%'))

),

name_fallbacks as (

    select
        'info' as level,
        'account_name_fallback' as kind,
        '' as source,
        '' as target,
        persons.population as entity,
        records.school_number,
        persons.source_key as key,
        'A name leaves no letter a to z, so the account was named after the person''s number.' as message,
        'identity administrator' as owner,
        'Nothing, or add the letters to HEARD_AS in scripts/letter_map.py: names already given stay.' as action
    from accounts
    inner join persons
        on accounts.person_id = persons.person_id
    inner join records
        on accounts.person_id = records.person_id
    inner join night
        on accounts.minted_on = night.as_of
    where accounts.policy like '%/fallback'

),

without_account as (

    select
        'critical' as level,
        'person_without_account' as kind,
        '' as source,
        '' as target,
        people.population as entity,
        people.school_number,
        people.source_key as key,
        'An active ' || people.population || ' was given no account name.' as message,
        'identity administrator' as owner,
        'Give seeds/name_policy.csv one row for every population.' as action
    from people
    left join accounts
        on people.person_id = accounts.person_id
    left join account_matches
        on
            people.person_id = account_matches.person_id
            and account_matches.decision = 'wait'
    where
        accounts.person_id is null
        and account_matches.person_id is null
        and people.state in ('active', 'preregistered')
        and people.presence <> 'filtered'

),

without_bus_address as (

    select
        'info' as level,
        'student_without_address' as kind,
        '' as source,
        'transport' as target,
        'students' as entity,
        people.school_number,
        people.source_key as key,
        'An active student has no street address with a number, and is left out of the transport file.' as message,
        'school office' as owner,
        'Enter the civic address in the student information system.' as action
    from people
    left join transport_students
        on people.person_id = transport_students.person_id
    where
        people.population = 'student'
        and people.state = 'active'
        and people.school_number is not null
        and transport_students.person_id is null

),

-- silence here is dangerous: a child is absent and nobody can be told
absent_without_contact as (

    select distinct
        'warning' as level,
        'absent_student_without_contact' as kind,
        '' as source,
        'callout' as target,
        'contacts' as entity,
        callout_absences.school_number,
        callout_absences.student_id as key,
        'A student is absent without excuse and has no guardian who can be called.' as message,
        'school office' as owner,
        'Call by hand today, and enter a guardian with a phone number or an e-mail address.' as action
    from callout_absences
    left join callout_contacts
        on callout_absences.person_id = callout_contacts.person_id
    where
        callout_contacts.person_id is null
        and callout_absences.home_phone = ''

),

without_guardian as (

    select
        'info' as level,
        'student_without_guardian' as kind,
        '' as source,
        '' as target,
        'guardians' as entity,
        people.school_number,
        people.source_key as key,
        'An active student has no contact with parental authority.' as message,
        'school office' as owner,
        'Enter the guardian, or mark the contact who has parental authority.' as action
    from people
    left join student_guardians
        on
            people.source_key = student_guardians.student_number
            and student_guardians.is_guardian
    where
        people.population = 'student'
        and people.state = 'active'
        and student_guardians.student_number is null

),

observed_users as (

    select
        'google' as target,
        google_users.person_id,
        google_users.remote_id
    from google_users

    union all

    select
        'microsoft' as target,
        microsoft_users.person_id,
        microsoft_users.remote_id
    from microsoft_users

),

doubled_keys as (

    select
        'critical' as level,
        'durable_key_twice' as kind,
        '' as source,
        observed_users.target,
        'users' as entity,
        '' as school_number,
        observed_users.person_id as key,
        cast(count(*) as {{ dbt.type_string() }})
        || ' accounts carry the key of one person; none of them can be written safely.' as message,
        'identity administrator' as owner,
        'Decide which account is the person''s and clear the key on the others.' as action
    from observed_users
    group by observed_users.target, observed_users.person_id
    having count(*) > 1

),

strangers as (

    select
        'warning' as level,
        'key_unknown' as kind,
        '' as source,
        observed_users.target,
        'users' as entity,
        '' as school_number,
        observed_users.person_id as key,
        'An account carries a key no person of the district has; it is left as it is.' as message,
        'identity administrator' as owner,
        'If the ledger was restored from an old copy, restore a newer one; else clear the key on the account.' as action
    from observed_users
    left join persons
        on observed_users.person_id = persons.person_id
    where persons.person_id is null

),

waiting_matches as (

    select
        account_matches.*,
        row_number() over (order by account_matches.target, account_matches.source_key, account_matches.remote_id) as place,
        count(*) over () as of_this_kind
    from account_matches
    where account_matches.decision = 'wait'

),

matches_to_decide as (

    select
        'warning' as level,
        'account_match_waits' as kind,
        '' as source,
        waiting_matches.target,
        'users' as entity,
        waiting_matches.school_number,
        waiting_matches.source_key as key,
        'An account without our key may be this ' || waiting_matches.population || '''s: account ' || waiting_matches.remote_id
        || ', rule ' || waiting_matches.rule || '; ' || waiting_matches.doubt || '. It is left as it is, and no other is made there.'
        || case
            when waiting_matches.of_this_kind <= {{ most_shown }} then ''
            else
                ' There are ' || cast(waiting_matches.of_this_kind as {{ dbt.type_string() }})
                || ' of this kind tonight; identity.account_matches has them all.'
        end as message,
        'identity administrator' as owner,
        'Say same or different in seeds/identity_decisions.csv (' || waiting_matches.population || ',' || waiting_matches.source_key || ','
        || waiting_matches.target || ',' || waiting_matches.remote_id || ',…).' as action
    from waiting_matches
    where waiting_matches.of_this_kind <= {{ most_shown }} or waiting_matches.place = 1

),

placed_nowhere as (

    select
        case when placements.org_unit_path is null then 'critical' else 'warning' end as level,
        case when placements.org_unit_path is null then 'no_placement' else 'placement_contested' end as kind,
        '' as source,
        'google' as target,
        people.population as entity,
        people.school_number,
        min(people.source_key) as key,
        cast(count(*) as {{ dbt.type_string() }}) || ' active ' || people.population || ' at this school fit '
        || case
            when placements.org_unit_path is null then 'no row of seeds/org_unit_rules.csv and are given no account in Google.'
            else 'two rows of seeds/org_unit_rules.csv that are as specific as each other; they live in ' || placements.rule || '.'
        end as message,
        'analyst' as owner,
        case
            when placements.org_unit_path is null then 'Add a row that fits them.'
            else 'Add a row with the columns of both, or take one away.'
        end as action
    from people
    inner join placements
        on people.person_id = placements.person_id
    where
        people.state in ('active', 'preregistered')
        and (placements.org_unit_path is null or placements.is_contested)
    group by
        people.population,
        people.school_number,
        placements.org_unit_path is null,
        placements.rule

),

judged as (

    select * from without_school
    union all
    select * from placed_nowhere
    union all
    select * from matches_to_decide
    union all
    select * from vanished
    union all
    select * from left_by_absence
    union all
    select * from hold_of_nobody
    union all
    select * from calendar_over
    union all
    select * from unmatched_staff
    union all
    select * from name_fallbacks
    union all
    select * from without_account
    union all
    select * from without_bus_address
    union all
    select * from absent_without_contact
    union all
    select * from without_guardian
    union all
    select * from doubled_keys
    union all
    select * from strangers

),

problems as (

    select
        feed_problems.*,
        count(*) over (partition by feed_problems.kind) as of_this_kind,
        row_number() over (
            partition by feed_problems.kind
            order by feed_problems.file asc nulls last, feed_problems.line asc nulls last, feed_problems.problem_id asc
        ) as place
    from feed_problems

),

-- a column that went bad as a whole is one thing to know, not thousands
final as (

    select
        judged.level,
        judged.kind,
        judged.source,
        judged.target,
        judged.entity,
        judged.school_number,
        judged.key,
        '' as file,
        cast(null as bigint) as line,
        '' as column_name,
        judged.message,
        judged.owner,
        judged.action
    from judged
    union all
    select
        problems.level,
        problems.kind,
        problems.source,
        '' as target,
        problems.entity,
        case when problems.of_this_kind <= {{ most_shown }} then problems.school_number end as school_number,
        case when problems.of_this_kind <= {{ most_shown }} then problems.key end as key,
        problems.file,
        problems.line,
        problems.column_name,
        case
            when problems.of_this_kind <= {{ most_shown }} then problems.message
            else
                problems.message || ' There are ' || cast(problems.of_this_kind as {{ dbt.type_string() }})
                || ' of this kind tonight; core.feed_problems has them all.'
        end as message,
        problems.owner,
        problems.action
    from problems
    where
        problems.of_this_kind <= {{ most_shown }}
        or problems.place = 1

)

select * from final
