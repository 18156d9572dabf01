with parents as (
    select
        *,
        {{ person_name('first_name', 'last_name') }} as person_name
    from {{ ref('stg_myedbc__parents') }}
),

emergency_contacts as (
    select
        *,
        {{ person_name('first_name', 'last_name') }} as person_name
    from {{ ref('stg_myedbc__emergency_contacts') }}
),

call_order as (
    select
        emergency_contacts.student_number,
        emergency_contacts.person_name,
        min({{ try_cast('emergency_contacts.contact_level_code', 'integer') }}) as contact_priority,
        -- one "no" is enough: authority is not given by a second, older line
        bool_and(emergency_contacts.has_parental_authority) as has_parental_authority
    from emergency_contacts
    group by emergency_contacts.student_number, emergency_contacts.person_name
),

final as (
    select
        parents.student_number,
        parents.person_name,
        parents.first_name,
        parents.last_name,
        parents.email,
        parents.home_phone,
        parents.mobile_phone,
        parents.work_phone,
        coalesce(parents.parent_type_description, parents.parent_type) as relationship,
        call_order.contact_priority,
        coalesce(call_order.has_parental_authority, true) as is_guardian,
        coalesce(parents.lives_with_student, false) as lives_with_student,
        parents.source_file,
        parents.source_line
    from parents
    left join call_order
        on
            parents.student_number = call_order.student_number
            and parents.person_name = call_order.person_name
    where parents.student_number is not null
)

select * from final
