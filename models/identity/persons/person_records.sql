{% set plain_columns = [
    'population', 'source_key', 'rule', 'first_name', 'last_name', 'legal_first_name', 'legal_last_name', 'email', 'admitted_on',
    'is_in_feed', 'last_seen_on', 'school_number', 'grade_code', 'homeroom', 'homeroom_teacher_id', 'staff_id', 'position',
    'source_file', 'source_line', 'hr_feeds_absent',
] %}
{#- somebody hired for 1 September is nobody in August, but for as many days before as a row says -#}
{% set begins_later %}
staff_last_seen.hired_on > {{ dbt.dateadd('day', 'coalesce(of_position.days_before, of_others.days_before, 0)', 'night.as_of') }}
{%- endset %}

with students as (
    select * from {{ ref('students') }}
),

staff_last_seen as (
    select * from {{ ref('staff_last_seen') }}
),

staff as (
    select * from {{ ref('staff') }}
),

students_last_seen as (
    select * from {{ ref('students_last_seen') }}
),

feed_loads as (
    select * from {{ ref('feed_loads') }}
),

held_loads as (
    select * from {{ ref('held_loads') }}
),

absence_policy as (
    select * from {{ ref('absence_policy') }}
),

first_days as (
    select * from {{ ref('first_days') }}
),

merged_keys as (
    select * from {{ ref('merged_keys') }}
),

record_decisions as (
    select * from {{ ref('record_decisions') }}
    where code = 'key_changed_hands' and decision = 'different'
),

doubted_staff as (
    select distinct held_key from {{ ref('doubted_records') }}
    where population = 'staff'
),

issued as (
    select * from {{ source('ledger_identity', 'accounts') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

student_records as (
    select
        -- ids
        {{ person_id("'student'", 'students.student_number') }} as person_id,
        'student' as population,
        students.student_number as source_key,
        'student_number' as rule,

        -- names
        students.usual_first_name as first_name,
        students.usual_last_name as last_name,
        students.legal_first_name,
        students.legal_last_name,
        students.email,
        students.admitted_on,

        -- state
        case students.enrolment_status
            when 'active' then 'active'
            when 'preregistered' then 'preregistered'
            else 'left'
        end as state,
        case
            when students.enrolment_status = 'active' then 'enrolled'
            when students.enrolment_status = 'preregistered' then 'preregistered'
            -- no record says so: core takes the student for inactive after so many good feeds
            when not students.is_in_feed and students_last_seen.enrolment_status <> 'inactive' then 'absent'
            else 'withdrawn'
        end as reason,
        students.is_in_feed,
        students.last_seen_on,

        -- place
        students.school_number,
        students.grade_code,
        students.homeroom,
        students.homeroom_teacher_id,
        cast(null as {{ dbt.type_string() }}) as staff_id,
        cast(null as {{ dbt.type_string() }}) as position,

        -- load
        students.source_file,
        students.source_line,
        cast(null as integer) as hr_feeds_absent
    from students
    left join students_last_seen
        on students.student_number = students_last_seen.student_number
),

-- of whom human resources once listed and does not now: how many of its good feeds lack them, whoever else still has them
hr_absences as (
    select
        staff_last_seen.staff_key,
        cast(feed_loads.good_loads_since - coalesce(held_loads.held_loads_since, 0) as integer) as feeds_absent
    from staff_last_seen
    left join staff
        on staff_last_seen.staff_key = staff.staff_key
    inner join feed_loads
        on staff_last_seen.hr_source_file = feed_loads.source_file
    left join held_loads
        on
            staff_last_seen.hr_source_file = held_loads.source_file
            and staff_last_seen.school_number = held_loads.school_number
    left join doubted_staff
        on staff_last_seen.staff_key = doubted_staff.held_key
    where
        staff_last_seen.hr_staff_id is not null
        and doubted_staff.held_key is null
        and coalesce(not staff.is_in_hr, true)
        and not {{ is_rejected('feed_loads.latest_rejected_keys', 'staff_last_seen.hr_staff_id') }}
),

-- everyone ever on staff, as last seen: staff_last_seen has already taken tonight's rows
staff_records as (
    select
        -- ids
        {{ person_id("'staff'", 'staff_last_seen.staff_key') }} as person_id,
        'staff' as population,
        staff_last_seen.staff_key as source_key,
        staff_last_seen.match_rule as rule,

        -- names
        coalesce(staff_last_seen.usual_first_name, staff_last_seen.first_name) as first_name,
        staff_last_seen.last_name,
        staff_last_seen.first_name as legal_first_name,
        staff_last_seen.last_name as legal_last_name,
        staff.email,
        cast(null as date) as admitted_on,

        -- state
        case
            when not staff_last_seen.is_active then 'left'
            when
                staff.staff_key is null
                and doubted_staff.held_key is null
                and not {{ is_rejected('feed_loads.latest_rejected_keys', 'staff_last_seen.staff_id') }}
                and feed_loads.good_loads_since - coalesce(held_loads.held_loads_since, 0) >= absence_policy.good_feeds_before_left
                then 'left'
            when hr_absences.feeds_absent >= absence_policy.good_feeds_before_left then 'left'
            -- the end date stands in the record though the record is no longer sent
            when staff_last_seen.ended_on < night.as_of then 'left'
            when {{ begins_later }} then 'preregistered'
            else 'active'
        end as state,
        case
            when staff_last_seen.ended_on < night.as_of then 'employment_ended'
            when not staff_last_seen.is_active then 'not_active'
            when
                staff.staff_key is null
                and doubted_staff.held_key is null
                and not {{ is_rejected('feed_loads.latest_rejected_keys', 'staff_last_seen.staff_id') }}
                and feed_loads.good_loads_since - coalesce(held_loads.held_loads_since, 0) >= absence_policy.good_feeds_before_left
                then 'absent'
            when hr_absences.feeds_absent >= absence_policy.good_feeds_before_left then 'absent_from_hr'
            when {{ begins_later }} then 'hired_for_later'
            else 'employed'
        end as reason,
        staff.staff_key is not null as is_in_feed,
        staff_last_seen.last_seen_on,

        -- place
        staff_last_seen.school_number,
        cast(null as {{ dbt.type_string() }}) as grade_code,
        cast(null as {{ dbt.type_string() }}) as homeroom,
        cast(null as {{ dbt.type_string() }}) as homeroom_teacher_id,
        staff_last_seen.staff_id,
        staff_last_seen.position,

        -- load
        staff_last_seen.source_file,
        staff_last_seen.source_line,
        hr_absences.feeds_absent as hr_feeds_absent
    from staff_last_seen
    cross join night
    left join staff
        on staff_last_seen.staff_key = staff.staff_key
    left join feed_loads
        on staff_last_seen.source_file = feed_loads.source_file
    left join held_loads
        on
            staff_last_seen.source_file = held_loads.source_file
            and staff_last_seen.school_number = held_loads.school_number
    left join absence_policy
        on absence_policy.population = 'staff'
    left join hr_absences
        on staff_last_seen.staff_key = hr_absences.staff_key
    left join doubted_staff
        on staff_last_seen.staff_key = doubted_staff.held_key
    left join first_days as of_position
        on lower(staff_last_seen.position) = lower(of_position.position)
    left join first_days as of_others
        on of_others.position is null
),

keyed_records as (
    select * from student_records
    union all
    select * from staff_records
),

holders as (
    {{ deduplicate('record_decisions', 'population, source_key', 'holder desc') }}
),

-- a key somebody said is another person's now belongs to that person
all_records as (
    select
        coalesce(holders.person_id, keyed_records.person_id) as person_id,
        {{ all_but('keyed_records', ['person_id']) }}
    from keyed_records
    left join holders
        on
            keyed_records.population = holders.population
            and keyed_records.source_key = holders.source_key
),

-- a second number of one person: the person is the one of the first number
numbered as (
    select
        all_records.*,
        case
            when merged_keys.source_key is null then all_records.person_id
            else coalesce(holders.person_id, {{ person_id('merged_keys.population', 'merged_keys.same_as') }})
        end as first_person_id,
        case when merged_keys.source_key is null then 2 else 1 end as number_rank,
        case all_records.state when 'active' then 1 when 'preregistered' then 2 else 3 end as state_rank,
        case when all_records.is_in_feed then 1 else 2 end as feed_rank
    from all_records
    left join merged_keys
        on
            all_records.population = merged_keys.population
            and all_records.source_key = merged_keys.source_key
    left join holders
        on
            merged_keys.population = holders.population
            and merged_keys.same_as = holders.source_key
),

-- of all numbers of one person the one by which they are here counts, and of such the later number
counting as (
    {{ deduplicate(
        'numbered', 'first_person_id', 'state_rank, number_rank, feed_rank, last_seen_on desc nulls last, source_key'
    ) }}
),

records as (
    select
        counting.first_person_id as person_id,
        counting.state,
        counting.reason,
        counting.{{ plain_columns | join(',\n        counting.') }}
    from counting

    union all

    -- the account the second number was given before anybody noticed
    select
        numbered.person_id,
        'left' as state,
        'merged' as reason,
        numbered.{{ plain_columns | join(',\n        numbered.') }}
    from numbered
    inner join issued
        on
            numbered.person_id = issued.person_id
            and issued.name_number = 1
    where numbered.number_rank = 1

    union all

    -- who had the key before left, as last seen: nobody's record speaks of them any more
    select
        record_decisions.former_person_id as person_id,
        'left' as state,
        'key_handed_on' as reason,
        record_decisions.population,
        record_decisions.source_key || '/' || cast(record_decisions.holder - 1 as {{ dbt.type_string() }}) as source_key,
        cast(null as {{ dbt.type_string() }}) as rule,
        record_decisions.first_name,
        record_decisions.last_name,
        record_decisions.legal_first_name,
        record_decisions.legal_last_name,
        cast(null as {{ dbt.type_string() }}) as email,
        cast(null as date) as admitted_on,
        false as is_in_feed,
        record_decisions.kept_on as last_seen_on,
        record_decisions.school_number,
        record_decisions.grade_code,
        cast(null as {{ dbt.type_string() }}) as homeroom,
        cast(null as {{ dbt.type_string() }}) as homeroom_teacher_id,
        cast(null as {{ dbt.type_string() }}) as staff_id,
        record_decisions.position,
        record_decisions.source_file,
        record_decisions.source_line,
        cast(null as integer) as hr_feeds_absent
    from record_decisions
),

final as (
    select
        records.person_id,
        records.population,
        records.source_key,
        records.rule,
        records.first_name,
        records.last_name,
        records.legal_first_name,
        records.legal_last_name,
        records.email,
        records.admitted_on,
        records.state,
        records.reason,
        case
            when records.reason in ('absent', 'absent_from_hr')
                then cast({{ problem_values({'feeds': 'absence_policy.good_feeds_before_left'}) }} as {{ dbt.type_string() }})
        end as reason_values,
        records.is_in_feed,
        records.last_seen_on,
        case
            when records.is_in_feed then 0
            else coalesce(feed_loads.good_loads_since - coalesce(held_loads.held_loads_since, 0), 0)
        end as good_feeds_absent,
        absence_policy.good_feeds_before_left,
        records.hr_feeds_absent,
        records.school_number,
        records.grade_code,
        records.homeroom,
        records.homeroom_teacher_id,
        records.staff_id,
        records.position,
        records.source_file,
        records.source_line,
        records.source_file || coalesce(':' || cast(records.source_line as {{ dbt.type_string() }}), '') as source
    from records
    left join feed_loads
        on records.source_file = feed_loads.source_file
    left join held_loads
        on
            records.source_file = held_loads.source_file
            and records.school_number = held_loads.school_number
    left join absence_policy
        on records.population = absence_policy.population
)

select * from final
