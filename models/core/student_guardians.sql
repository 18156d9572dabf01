with contacts as (
    select * from {{ ref('intake_contacts') }}
),

students as (
    select * from {{ ref('students') }}
),

remembered as (
    select * from {{ ref('student_guardians_remembered') }}
),

tonight as (
    select
        contacts.student_number,
        {{ guardian_id('contacts') }} as guardian_id,
        contacts.relationship,
        contacts.contact_priority,
        contacts.is_guardian,
        contacts.lives_with_student,
        contacts.source_line
    from contacts
),

-- who vanished keeps the guardians of the night last seen, unless tonight's feed still has some
listed_students as (
    select students.student_number
    from students
    where students.is_in_feed
    union
    select tonight.student_number
    from tonight
),

together as (
    {{ with_the_vanished('tonight', 'remembered', 'student_number', present='listed_students') }}
),

final as (
    select
        together.student_number,
        together.guardian_id,
        together.relationship,
        cast(row_number() over (
            partition by together.student_number
            order by together.contact_priority nulls last, together.source_line nulls last, together.guardian_id
        ) as integer) as contact_priority,
        together.is_guardian,
        together.lives_with_student
    from together
    inner join students on together.student_number = students.student_number
)

select * from final
