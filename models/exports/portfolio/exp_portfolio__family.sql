with guardians as (
    select * from {{ ref('guardians') }}
),

student_guardians as (
    select * from {{ ref('student_guardians') }}
),

students as (
    select * from {{ ref('exp_portfolio__students') }}
),

invited as (
    select
        {{ first_name_or_placeholder('guardians.first_name') }} as first_name,
        coalesce(guardians.last_name, '') as last_name,
        lower(guardians.email) as email,
        students.user_id as student_user_id,
        student_guardians.contact_priority,
        student_guardians.guardian_id,
        students.person_id,
        students.school_code as school_number,
        students.source
    from students
    inner join student_guardians
        on students.student_number = student_guardians.student_number
    inner join guardians
        on student_guardians.guardian_id = guardians.guardian_id
    where
        -- contacts without parental authority are left out: the portfolio shows a child's work
        student_guardians.is_guardian
        -- guardians without an e-mail address are left out: the vendor invites by e-mail and rejects the row
        and guardians.email is not null
),

-- two guardians who share one address get one invitation
first_per_address as (
    {{ deduplicate('invited', 'student_user_id, email', 'contact_priority nulls last, guardian_id') }}
),

final as (
    select
        first_per_address.first_name,
        first_per_address.last_name,
        first_per_address.email,
        first_per_address.student_user_id,
        first_per_address.person_id,
        first_per_address.school_number,
        first_per_address.source
    from first_per_address
)

select * from final
