with contacts as (
    select * from {{ ref('intake_contacts') }}
),

students as (
    select * from {{ ref('students') }}
),

student_guardians as (
    select * from {{ ref('student_guardians') }}
),

last_seen as (
    select * from {{ source('ledger_identity', 'student_guardians_last_seen') }}
),

-- only families of students the district knows
identified as (
    select
        {{ guardian_id('contacts') }} as guardian_id,
        contacts.first_name,
        contacts.last_name,
        contacts.email,
        contacts.home_phone,
        contacts.mobile_phone,
        contacts.work_phone,
        contacts.student_number,
        contacts.source_line,
        false as is_kept
    from contacts
    inner join students on contacts.student_number = students.student_number
),

-- guardians of students who vanished, as last seen; one whom tonight's feed still has is read from there
kept as (
    select
        last_seen.guardian_id,
        last_seen.first_name,
        last_seen.last_name,
        last_seen.email,
        last_seen.home_phone,
        last_seen.mobile_phone,
        last_seen.work_phone,
        last_seen.student_number,
        cast(null as bigint) as source_line,
        true as is_kept
    from last_seen
    inner join student_guardians
        on
            last_seen.student_number = student_guardians.student_number
            and last_seen.guardian_id = student_guardians.guardian_id
    inner join students
        on
            last_seen.student_number = students.student_number
            and last_seen.last_seen_on = students.last_seen_on
    where not students.is_in_feed
),

together as (
    select * from identified
    union all
    select * from kept
),

one_per_guardian as (
    {{ deduplicate('together', 'guardian_id', 'is_kept, student_number, source_line') }}
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
