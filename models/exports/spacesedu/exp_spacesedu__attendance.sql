with absences as (
    select * from {{ ref('absences') }}
),

students as (
    select * from {{ ref('rostered_students') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

final as (
    select
        absences.school_number,
        {{ date_text('absences.absence_on') }} as absence_date,
        case
            when absences.kind = 'period' then coalesce(absences.absence_code, 'A')
            else
                case when absences.is_late then 'L' else 'A' end || case when absences.is_authorized then '-E' else '' end
        end as category,
        students.student_number,
        absences.absence_id,
        students.person_id,
        students.source
    from absences
    -- the day asked for and no other
    inner join night on absences.absence_on = night.as_of
    inner join students on absences.student_number = students.student_number
    where
        students.has_account
)

select * from final
