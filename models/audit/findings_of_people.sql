-- keys, never names: findings are shown on a page and sent by e-mail

with lifecycle as (
    select * from {{ ref('lifecycle') }}
),

presence as (
    select * from {{ ref('presence') }}
),

records as (
    select * from {{ ref('person_records') }}
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

doubted_records as (
    select * from {{ ref('doubted_records') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

people as (
    select
        records.person_id,
        records.population,
        records.source_key,
        records.school_number,
        records.position,
        records.admitted_on,
        lifecycle.record as state,
        lifecycle.state as account_state,
        lifecycle.since,
        lifecycle.is_open,
        lifecycle.was_open,
        lifecycle.reason,
        records.hr_feeds_absent,
        presence.presence,
        presence.since as present_since,
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
        'person_without_school' as code,
        '' as source,
        '' as target,
        people.population as entity,
        '' as school_number,
        people.source_key as key,
        {{ problem_values({
            'unit': district_office(),
        }) }} as values,
        '' as owner
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
        case when people.good_feeds_before_left is null then 'person_vanished_and_kept' else 'person_vanished' end as code,
        '' as source,
        '' as target,
        people.population as entity,
        people.school_number,
        people.source_key as key,
        {{ problem_values({
            'who': "case people.population when 'student' then 'student' else 'person on staff' end",
            'day': "cast(people.last_seen_on as " ~ dbt.type_string() ~ ")",
            'feeds': "cast(people.good_feeds_absent as " ~ dbt.type_string()
                ~ ") || case people.good_feeds_absent when 1 then ' good feed' else ' good feeds' end",
            'more': "people.good_feeds_before_left - people.good_feeds_absent",
        }) }} as values,
        case people.population when 'student' then 'school office' else 'human resources' end as owner
    from people
    where people.presence = 'vanished'
),

left_by_absence as (
    select
        'person_left_by_absence' as code,
        '' as source,
        '' as target,
        people.population as entity,
        people.school_number,
        people.source_key as key,
        {{ problem_values({
            'who': "case people.population when 'student' then 'student' else 'person on staff' end",
            'feeds': "case people.reason when 'absent' then people.good_feeds_absent else people.hr_feeds_absent end",
            'state': "people.account_state",
        }) }} as values,
        case people.population when 'student' then 'school office' else 'human resources' end as owner
    from people
    -- the night they begin to count as left, whatever states follow
    inner join night
        on people.present_since = night.as_of
    where
        people.state = 'left'
        and people.reason in ('absent', 'absent_from_hr')
),

-- a school lists them, and human resources does not any more
lost_by_hr as (
    select
        case
            when staff.ended_on is not null then 'end_date_stands'
            when people.good_feeds_before_left is null then 'employee_vanished_and_kept'
            else 'employee_vanished'
        end as code,
        '' as source,
        '' as target,
        'staff' as entity,
        people.school_number,
        people.source_key as key,
        {{ problem_values({
            'day': "cast(staff.ended_on as " ~ dbt.type_string() ~ ")",
            'feeds': "cast(people.hr_feeds_absent as " ~ dbt.type_string()
                ~ ") || case people.hr_feeds_absent when 1 then ' good feed' else ' good feeds' end",
            'more': "people.good_feeds_before_left - people.hr_feeds_absent",
        }) }} as values,
        '' as owner
    from people
    inner join staff
        on people.source_key = staff.staff_key
    where
        people.population = 'staff'
        and people.hr_feeds_absent is not null
        and (staff.ended_on is not null or people.state <> 'left')
),

-- whoever closed an account by the record should hear that the record opens it
opened_again as (
    select
        'opened_again' as code,
        '' as source,
        '' as target,
        people.population as entity,
        people.school_number,
        people.source_key as key,
        {{ problem_values({
            'who': "case people.population when 'student' then 'student' else 'person on staff' end",
            'state': "people.account_state",
        }) }} as values,
        case people.population when 'student' then 'school office' else 'human resources' end as owner
    from people
    inner join night
        on people.since = night.as_of
    where
        people.is_open
        and not people.was_open
),

hold_of_nobody as (
    select
        'hold_of_nobody' as code,
        '' as source,
        '' as target,
        holds.population as entity,
        '' as school_number,
        holds.source_key as key,
        {{ problem_values({}) }} as values,
        holds.placed_by as owner
    from {{ ref('holds') }} as holds
    left join presence
        on
            holds.population = presence.population
            -- of two numbers of one person the record has the second, the id the first
            and (
                holds.source_key = presence.source_key
                or {{ person_id('holds.population', 'holds.source_key') }} = presence.person_id
            )
    where presence.person_id is null
),

-- the first day of the school year, in the weeks after it
begun as (
    select max(calendar.starts_on) as first_day
    from {{ ref('school_calendar') }} as calendar
    inner join night
        on night.as_of between calendar.starts_on and calendar.ends_on
    where calendar.population = 'student' and calendar.period = 'rollover'
),

calendar_over as (
    select
        'calendar_ends' as code,
        '' as source,
        '' as target,
        calendar.population as entity,
        '' as school_number,
        '' as key,
        {{ problem_values({
            'population': "calendar.population",
            'day': "cast(max(calendar.ends_on) as " ~ dbt.type_string() ~ ")",
        }) }} as values,
        '' as owner
    from {{ ref('school_calendar') }} as calendar
    cross join night
    group by calendar.population, night.as_of
    having max(calendar.ends_on) < {{ dbt.dateadd('day', 60, 'night.as_of') }}
),

-- enrolled late, or never: the school knows
late_to_begin as (
    select
        'preregistered_past_first_day' as code,
        '' as source,
        '' as target,
        'student' as entity,
        people.school_number,
        people.source_key as key,
        {{ problem_values({
            'key': 'people.source_key',
            'day': "cast(coalesce(people.admitted_on, begun.first_day) as " ~ dbt.type_string() ~ ")",
        }) }} as values,
        '' as owner
    from people
    cross join night
    left join begun
        on people.admitted_on is null
    where
        people.population = 'student'
        and people.state = 'preregistered'
        and coalesce(people.admitted_on, begun.first_day) < night.as_of
),

unmatched_staff as (
    select
        case when staff.is_in_sis then 'staff_unmatched' else 'teacher_unmatched' end as code,
        '' as source,
        '' as target,
        'staff' as entity,
        staff.school_number,
        staff.staff_key as key,
        {{ problem_values({}) }} as values,
        '' as owner
    from staff
    cross join hr_is_read
    cross join night
    where
        hr_is_read.people_in_hr > 0
        and staff.is_active
        -- who is hired for later need not be known everywhere yet
        and coalesce(staff.hired_on <= night.as_of, true)
        -- whom human resources lost is told by itself
        and (staff.is_in_hr or staff.hr_staff_id is null)
        -- most support staff need no login to the student information system, so only its own people are asked for there
        and (not staff.is_in_hr or (not staff.is_in_sis and lower(staff.position) like '%teacher%'))
),

without_bus_address as (
    select
        'student_without_address' as code,
        '' as source,
        'transport' as target,
        'students' as entity,
        people.school_number,
        people.source_key as key,
        {{ problem_values({}) }} as values,
        '' as owner
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
    select
        'absent_student_without_contact' as code,
        '' as source,
        'callout' as target,
        'contacts' as entity,
        callout_absences.school_number,
        callout_absences.student_id as key,
        {{ problem_values({}) }} as values,
        '' as owner
    from callout_absences
    left join callout_contacts
        on callout_absences.person_id = callout_contacts.person_id
    where
        callout_contacts.person_id is null
        and callout_absences.home_phone = ''
),

without_guardian as (
    select
        'student_without_guardian' as code,
        '' as source,
        '' as target,
        'guardians' as entity,
        people.school_number,
        people.source_key as key,
        {{ problem_values({}) }} as values,
        '' as owner
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

-- both records by the lines they stand in
in_question as (
    select
        doubted_records.code as code,
        '' as source,
        '' as target,
        doubted_records.population as entity,
        coalesce(people.school_number, '') as school_number,
        doubted_records.source_key as key,
        {{ problem_values({
            'population': "doubted_records.population",
            'key': "doubted_records.source_key",
            'other_key': "doubted_records.other_key",
            'person': "people.person_id",
            'kept': "doubted_records.kept_source",
            'day': "cast(doubted_records.kept_on as " ~ dbt.type_string() ~ ")",
            'found': "doubted_records.found_source",
            'second': "doubted_records.second_source",
        }) }} as values,
        case doubted_records.population when 'student' then 'school office' else 'human resources' end as owner
    from doubted_records
    left join people
        on
            doubted_records.population = people.population
            and doubted_records.held_key = people.source_key
            -- two persons have the record of a second number
            and people.reason <> 'merged'
),

final as (
    select * from without_school
    union all
    select * from in_question
    union all
    select * from vanished
    union all
    select * from left_by_absence
    union all
    select * from lost_by_hr
    union all
    select * from opened_again
    union all
    select * from hold_of_nobody
    union all
    select * from calendar_over
    union all
    select * from late_to_begin
    union all
    select * from unmatched_staff
    union all
    select * from without_bus_address
    union all
    select * from absent_without_contact
    union all
    select * from without_guardian
)

select * from final
