with contacts as (
    {{ without_doubted(ref('intake_contacts'), 'student', 'student_number') }}
),

students as (
    select * from {{ ref('students') }}
),

student_guardians as (
    select * from {{ ref('student_guardians') }}
),

student_guardians_remembered as (
    select * from {{ ref('student_guardians_remembered') }}
),

-- only families of students the district knows
tonight as (
    select
        {{ guardian_id('contacts') }} as guardian_id,
        contacts.first_name,
        contacts.last_name,
        contacts.email,
        contacts.home_phone,
        contacts.mobile_phone,
        contacts.work_phone,
        contacts.student_number,
        contacts.source_line
    from contacts
    inner join students on contacts.student_number = students.student_number
),

-- who is still a guardian of the student
remembered as (
    select student_guardians_remembered.*
    from student_guardians_remembered
    inner join student_guardians
        on
            student_guardians_remembered.student_number = student_guardians.student_number
            and student_guardians_remembered.guardian_id = student_guardians.guardian_id
),

listed_students as (
    select students.student_number
    from students
    where students.is_in_feed
),

together as (
    {{ with_the_vanished('tonight', 'remembered', 'student_number', present='listed_students') }}
),

-- one whom tonight's feed still has is read from there
one_per_guardian as (
    {{ deduplicate('together', 'guardian_id', 'is_in_feed desc, student_number, source_line') }}
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
