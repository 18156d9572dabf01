{% set is_known = 'remembered.student_number is not null and real_names.source_key is null' %}
{% set kept = 'nights_that_keep.homerooms_are_kept and students.school_number = remembered.school_number' %}

with students as (
    {{ without_doubted(ref('intake_students'), 'student', 'student_number') }}
),

enrolments as (
    select * from {{ ref('enrolments') }}
),

remembered as (
    select * from {{ ref('students_remembered') }}
),

real_names as (
    select * from {{ ref('real_names') }}
    where population = 'student'
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
        {{ all_but('students', [
            'source_system', 'home_school_number', 'homeroom_teacher_name', 'can_be_primary',
            'date_of_birth', 'homeroom', 'homeroom_teacher_id',
            'legal_first_name', 'legal_last_name', 'usual_first_name', 'usual_last_name',
        ]) }},
        -- nobody's name turns into a damaged one
        {{ name_of_before('students.legal_first_name', 'remembered.legal_first_name', is_known) }} as legal_first_name,
        {{ name_of_before(
            'students.legal_last_name', 'remembered.legal_last_name', is_known, first_name='students.legal_first_name'
        ) }} as legal_last_name,
        {{ name_of_before('students.usual_first_name', 'remembered.usual_first_name', is_known) }} as usual_first_name,
        {{ name_of_before(
            'students.usual_last_name', 'remembered.usual_last_name', is_known, first_name='students.usual_first_name'
        ) }} as usual_last_name,
        -- a birth date nobody can read is the one of the last good night
        coalesce(students.date_of_birth, remembered.date_of_birth) as date_of_birth,
        coalesce(students.homeroom, case when {{ kept }} then remembered.homeroom end) as homeroom,
        case
            when {{ kept }} and students.homeroom is null then remembered.homeroom_teacher_id
            else students.homeroom_teacher_id
        end as homeroom_teacher_id,
        night.as_of as last_seen_on
    from students
    cross join night
    cross join nights_that_keep
    left join remembered on students.student_number = remembered.student_number
    left join real_names on students.student_number = real_names.source_key
),

together as (
    {{ with_the_vanished('tonight', 'remembered', 'student_number') }}
),

final as (
    select
        {{ all_but('together', ['grade_code', 'enrolment_status']) }},
        primary_enrolments.grade_code,
        primary_enrolments.enrolment_status
    from together
    inner join primary_enrolments
        on
            together.student_number = primary_enrolments.student_number
            and together.school_number = primary_enrolments.school_number
)

select * from final
