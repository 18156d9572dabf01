with family_contacts as (
    select * from {{ ref('family_contacts') }}
),

students as (
    select * from {{ ref('exp_portfolio__students') }}
),

invited as (
    select
        {{ first_name_or_placeholder('family_contacts.first_name') }} as first_name,
        coalesce(family_contacts.last_name, '') as last_name,
        lower(family_contacts.email) as email,
        students.user_id as student_user_id,
        family_contacts.contact_priority,
        family_contacts.guardian_id,
        students.person_id,
        students.school_number,
        students.source
    from students
    -- only who may be told about the child: the portfolio shows a child's work
    inner join family_contacts
        on students.student_number = family_contacts.student_number
    -- who has no e-mail address is left out: the vendor invites by e-mail and rejects the row
    where family_contacts.email is not null
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
