with contacts as (
    {{ without_doubted(ref('intake_contacts'), 'student', 'student_number') }}
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
        contacts.is_barred,
        contacts.doubt,
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
        -- unknown is no, and so is what an earlier version remembered without having asked
        coalesce(together.is_guardian and not together.is_barred, false) as is_guardian,
        coalesce(together.is_barred, false) as is_barred,
        case
            when together.is_barred is null or (together.is_guardian is null and not together.is_barred)
                then coalesce(together.doubt, 'unsaid')
        end as doubt,
        together.lives_with_student
    from together
    inner join students on together.student_number = students.student_number
)

select * from final
