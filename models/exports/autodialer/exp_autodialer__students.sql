with absences as (
    select * from {{ ref('absences') }}
),

students as (
    select * from {{ ref('rostered_students') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

-- the day asked for and no other: a second call about yesterday costs a family's trust
codes as (
    select
        absences.student_number,
        absences.school_number,
        absences.kind,
        absences.period,
        case when absences.absence_code not like '*%' then absences.absence_code end as code
    from absences
    inner join night on absences.absence_on = night.as_of
    where
        -- excused absences and late arrivals are left out: the school knows of them
        not absences.is_authorized
        and not absences.is_late
),

missed as (
    select
        codes.student_number,
        codes.school_number,
        min(case when codes.kind = 'daily' then codes.code end) as daily_code,
        {%- for period in range(1, 33) %}
        min(case when codes.period = '{{ period }}' then codes.code end) as period_{{ period }}{{ ',' if not loop.last }}
        {%- endfor %}
    from codes
    group by codes.student_number, codes.school_number
),

final as (
    select
        missed.school_number as sis_identifier,
        students.student_number,
        students.legal_last_name as last_name,
        students.legal_first_name as first_name,
        'A' as status,
        case
            when students.may_call and {{ regexp_like('students.home_phone', '^([0-9]{7}|[0-9]{10}|1[0-9]{10})$') }}
                then students.home_phone
        end as telephone,
        case when students.may_call then 'N' else 'Y' end as prevent,
        coalesce(students.grade_code, '') as grade,
        students.homeroom,
        missed.daily_code,
        {%- for period in range(1, 33) %}
        missed.period_{{ period }},
        {%- endfor %}
        night.as_of as absence_on,
        students.person_id,
        students.source
    from missed
    cross join night
    inner join students on missed.student_number = students.student_number
    where
        -- students who left are left out: their old school may still mark them absent
        students.is_enrolled
)

select * from final
