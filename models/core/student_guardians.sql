with contacts as (
    select * from {{ ref('intake_contacts') }}
),

students as (
    select * from {{ ref('students') }}
),

identified as (
    select
        contacts.*,
        {{ guardian_id('contacts') }} as guardian_id
    from contacts
    inner join students on contacts.student_number = students.student_number
),

final as (
    select
        identified.student_number,
        identified.guardian_id,
        identified.relationship,
        cast(row_number() over (
            partition by identified.student_number
            order by identified.contact_priority nulls last, identified.source_line nulls last, identified.guardian_id
        ) as integer) as contact_priority,
        identified.is_guardian,
        identified.lives_with_student
    from identified
)

select * from final
