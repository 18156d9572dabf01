with students as (
    select * from {{ ref('intake_students') }}
),

last_seen as (
    select * from {{ source('ledger_identity', 'students_last_seen') }}
),

ranked as (
    select
        students.*,
        row_number() over (
            partition by students.student_number
            order by
                {{ enrolment_rank('students.enrolment_status') }} asc,
                case when students.can_be_primary then 1 else 2 end asc,
                case when students.school_number = students.home_school_number then 1 else 2 end asc,
                students.admitted_on desc nulls last,
                students.school_number asc
        ) as position
    from students
),

tonight as (
    select
        ranked.student_number,
        ranked.school_number,
        ranked.position = 1 as is_primary,
        ranked.enrolment_status,
        ranked.grade_code,
        ranked.homeroom,
        ranked.admitted_on,
        ranked.withdrawn_on
    from ranked
),

-- absence needs a reason: who is not in tonight's feed is still enrolled where last seen
vanished as (
    select
        last_seen.student_number,
        last_seen.school_number,
        true as is_primary,
        last_seen.enrolment_status,
        last_seen.grade_code,
        last_seen.homeroom,
        last_seen.admitted_on,
        last_seen.withdrawn_on
    from last_seen
    left join tonight on last_seen.student_number = tonight.student_number
    where tonight.student_number is null
),

final as (
    select * from tonight
    union all
    select * from vanished
)

select * from final
