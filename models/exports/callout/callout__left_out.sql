-- the file is compared with who should be in it as it is, not as its model means it: a rule that goes wrong shows here too

with records as (
    select * from {{ ref('person_records') }}
),

students as (
    select * from {{ ref('students') }}
),

listed as (
    select * from {{ ref('exp_callout__contacts') }}
),

final as (
    select
        'contacts' as entity,
        records.source_key as key,
        records.person_id,
        students.school_number,
        case
            when students.school_number is null then 'left_out_without_school' else 'left_out_without_contact'
        end as reason_code
    from records
    inner join students
        on records.source_key = students.student_number
    left join listed
        on records.source_key = listed.student_id
    where
        records.population = 'student'
        and records.reason <> 'merged'
        and students.enrolment_status = 'active'
        -- families who asked not to be called are left out because they said so; those of whom nothing is known count
        and coalesce(students.may_call, true)
        and listed.student_id is null
)

select * from final
