with contacts as (
    select * from {{ ref('intake_contacts') }}
),

students as (
    select * from {{ ref('students') }}
),

last_seen as (
    select * from {{ source('ledger_identity', 'student_guardians_last_seen') }}
),

identified as (
    select
        contacts.student_number,
        {{ guardian_id('contacts') }} as guardian_id,
        contacts.relationship,
        contacts.contact_priority,
        contacts.is_guardian,
        contacts.lives_with_student,
        contacts.source_line
    from contacts
    inner join students on contacts.student_number = students.student_number
),

-- absence needs a reason: who vanished keeps the guardians of the night last seen, unless tonight's feed still has some
kept as (
    select
        last_seen.student_number,
        last_seen.guardian_id,
        last_seen.relationship,
        last_seen.contact_priority,
        last_seen.is_guardian,
        last_seen.lives_with_student,
        cast(null as bigint) as source_line
    from last_seen
    inner join students
        on
            last_seen.student_number = students.student_number
            and last_seen.last_seen_on = students.last_seen_on
    where
        not students.is_in_feed
        and students.student_number not in (select identified.student_number from identified)
),

together as (
    select * from identified
    union all
    select * from kept
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
)

select * from final
