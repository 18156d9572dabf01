with contacts as (
    select * from {{ ref('intake_contacts') }}
),

students as (
    select * from {{ ref('students') }}
),

-- only families of students the district knows
identified as (
    select
        contacts.*,
        {{ guardian_id('contacts') }} as guardian_id
    from contacts
    inner join students on contacts.student_number = students.student_number
),

one_per_guardian as (
    {{ first_row_per('identified', 'guardian_id', 'student_number, source_line') }}
),

final as (
    select
        one_per_guardian.guardian_id,
        one_per_guardian.first_name,
        one_per_guardian.last_name,
        one_per_guardian.email,
        one_per_guardian.home_phone,
        one_per_guardian.mobile_phone,
        one_per_guardian.work_phone
    from one_per_guardian
)

select * from final
