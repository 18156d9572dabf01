{% set is_known = 'remembered.student_number is not null and real_names.source_key is null' %}
{% set is_kept = '(kept_lists.school_number is not null and (students.homeroom is null or not kept_lists.is_filled))' %}

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

kept_lists as (
    select * from {{ ref('kept_lists') }}
),

primary_enrolments as (
    select * from enrolments where enrolments.is_primary
),

tonight as (
    select
        {{ all_but('students', [
            'source_system', 'home_school_number', 'can_be_primary',
            'date_of_birth', 'homeroom', 'homeroom_teacher_id', 'homeroom_teacher_name',
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
        -- between school years lists are empty, last year's, or half made: what a child was in stays as it was, with its year,
        -- its teacher and the grade it was made for, until the lists of the school are filled
        case when {{ is_kept }} then last_homerooms.homeroom else students.homeroom end as homeroom,
        case when {{ is_kept }} then last_homerooms.homeroom_teacher_id else students.homeroom_teacher_id end as homeroom_teacher_id,
        case
            when {{ is_kept }} then last_homerooms.homeroom_teacher_name
            else students.homeroom_teacher_name
        end as homeroom_teacher_name,
        case
            when {{ is_kept }} then coalesce(last_homerooms.homeroom_school_year, {{ school_year('last_homerooms.last_seen_on') }})
            else {{ school_year('night.as_of') }}
        end as homeroom_school_year,
        case when {{ is_kept }} then coalesce(last_homerooms.homeroom_grade_code, last_homerooms.grade_code) end as homeroom_grade_code,
        night.as_of as last_seen_on
    from students
    cross join night
    left join remembered on students.student_number = remembered.student_number
    left join remembered as last_homerooms
        on
            students.student_number = last_homerooms.student_number
            and students.school_number = last_homerooms.school_number
    left join kept_lists on students.school_number = kept_lists.school_number
    left join real_names on students.student_number = real_names.source_key
),

together as (
    {{ with_the_vanished('tonight', 'remembered', 'student_number') }}
),

final as (
    select
        {{ all_but('together', ['grade_code', 'enrolment_status', 'homeroom_school_year', 'homeroom_grade_code']) }},
        coalesce(together.homeroom_school_year, {{ school_year('together.last_seen_on') }}) as homeroom_school_year,
        coalesce(together.homeroom_grade_code, primary_enrolments.grade_code) as homeroom_grade_code,
        primary_enrolments.grade_code,
        primary_enrolments.enrolment_status
    from together
    inner join primary_enrolments
        on
            together.student_number = primary_enrolments.student_number
            and together.school_number = primary_enrolments.school_number
)

select * from final
