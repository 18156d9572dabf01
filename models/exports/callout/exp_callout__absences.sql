with absences as (
    select * from {{ ref('absences') }}
),

students as (
    select * from {{ ref('students') }}
),

family_telephones as (
    select * from {{ ref('family_telephones') }}
),

records as (
    select * from {{ ref('person_records') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

-- the day asked for and no other: a second call about yesterday costs a family's trust
calls as (
    select
        absences.school_number,
        absences.student_number,
        absences.absence_on,
        -- half days count as periods: the morning is 1, the afternoon 2
        case absences.part_of_day when 'AM' then '1' when 'PM' then '2' else absences.period end as period_missed
    from absences
    inner join night
        on absences.absence_on = night.as_of
    where
        -- excused absences and late arrivals are left out: the school knows of them
        not absences.is_authorized
        and not absences.is_late
),

missed as (
    select
        calls.school_number,
        calls.student_number,
        calls.absence_on,
        coalesce({{ listagg('calls.period_missed', '') }}, '') as periods_missed
    from calls
    group by calls.school_number, calls.student_number, calls.absence_on
),

final as (
    select
        missed.school_number as school_id,
        students.student_number as student_id,
        students.usual_last_name as student_last_name,
        {{ first_name_or_placeholder('students.usual_first_name') }} as student_first_name,
        coalesce(family_telephones.home_phone, '') as home_phone,
        coalesce(students.grade_code, '') as grade,
        {{ date_text('missed.absence_on', 'unpadded') }} as absence_date,
        missed.periods_missed,
        records.person_id,
        missed.school_number,
        records.source
    from missed
    inner join students
        on missed.student_number = students.student_number
    left join family_telephones
        on students.student_number = family_telephones.student_number
    -- a number that was merged into another has two persons: the first one's record, and the account given before
    inner join records
        on
            students.student_number = records.source_key
            and records.population = 'student'
            and records.reason <> 'merged'
    where
        -- families who asked not to be called are left out
        students.may_call
        -- students who left are left out: their old school may still mark them absent
        and students.enrolment_status = 'active'
)

select * from final
