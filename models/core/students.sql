{% set kept = 'nights_that_keep.homerooms_are_kept and students.school_number = last_seen.school_number' %}

with students as (
    select * from {{ ref('intake_students') }}
),

enrolments as (
    select * from {{ ref('enrolments') }}
),

last_seen as (
    select * from {{ source('ledger_identity', 'students_last_seen') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

-- between school years homerooms are empty or half made: one that is empty stays as it was, and so does its teacher
nights_that_keep as (
    select count(*) > 0 as homerooms_are_kept
    from {{ ref('school_calendar') }} as calendar
    inner join night on night.as_of between calendar.starts_on and calendar.ends_on
    where calendar.population = 'student' and calendar.class_lists = 'keep'
),

primary_enrolments as (
    select * from enrolments where enrolments.is_primary
),

tonight as (
    select
        students.*,
        -- a birth date nobody can read is the one of the last good night
        coalesce(students.date_of_birth, last_seen.date_of_birth) as known_date_of_birth,
        coalesce(students.homeroom, case when {{ kept }} then last_seen.homeroom end) as known_homeroom,
        case
            when {{ kept }} and students.homeroom is null then last_seen.homeroom_teacher_id
            else students.homeroom_teacher_id
        end as known_homeroom_teacher_id,
        night.as_of
    from students
    cross join night
    cross join nights_that_keep
    left join last_seen on students.student_number = last_seen.student_number
),

-- absence needs a reason: who is not in tonight's feed stays as last seen
vanished as (
    select
        last_seen.*,
        last_seen.date_of_birth as known_date_of_birth,
        last_seen.homeroom as known_homeroom,
        last_seen.homeroom_teacher_id as known_homeroom_teacher_id
    from last_seen
    left join tonight on last_seen.student_number = tonight.student_number
    where tonight.student_number is null
),

final as (
    {% for rows, last_seen_on, is_in_feed in [('tonight', 'as_of', 'true'), ('vanished', 'last_seen_on', 'false')] %}
    select
        {{ rows }}.student_number,
        {{ rows }}.legal_first_name,
        {{ rows }}.legal_middle_name,
        {{ rows }}.legal_last_name,
        {{ rows }}.usual_first_name,
        {{ rows }}.usual_last_name,
        {{ rows }}.known_date_of_birth as date_of_birth,
        {{ rows }}.gender_code,
        primary_enrolments.grade_code,
        {{ rows }}.known_homeroom as homeroom,
        {{ rows }}.known_homeroom_teacher_id as homeroom_teacher_id,
        {{ rows }}.school_number,
        {{ rows }}.next_school_number,
        primary_enrolments.enrolment_status,
        {{ rows }}.admitted_on,
        {{ rows }}.withdrawn_on,
        {{ rows }}.email,
        {{ rows }}.home_phone,
        {{ rows }}.street_number,
        {{ rows }}.street_name,
        {{ rows }}.apartment,
        {{ rows }}.municipality,
        {{ rows }}.province,
        {{ rows }}.postal_code,
        {{ rows }}.may_call,
        {{ is_in_feed }} as is_in_feed,
        {{ rows }}.{{ last_seen_on }} as last_seen_on,
        {{ rows }}.source_file,
        {{ rows }}.source_line
    from {{ rows }}
    inner join primary_enrolments
        on
            {{ rows }}.student_number = primary_enrolments.student_number
            and {{ rows }}.school_number = primary_enrolments.school_number
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
)

select * from final
