with parents as (
    select
        *,
        coalesce({{ name_key('first_name') }}, '') || '|' || coalesce({{ name_key('last_name') }}, '') as person_name
    from {{ ref('stg_myedbc__parents') }}
),

emergency_contacts as (
    select
        *,
        coalesce({{ name_key('first_name') }}, '') || '|' || coalesce({{ name_key('last_name') }}, '') as person_name
    from {{ ref('stg_myedbc__emergency_contacts') }}
),

-- a parent is listed once per school the child attends
named_parents as (
    select * from parents where student_number is not null and person_name <> '|'
),

one_per_parent as (
    {{ first_row_per('named_parents', 'student_number, person_name', 'source_line') }}
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
        'myedbc' as source_system,
        one_per_parent.student_number,
        one_per_parent.person_name,
        one_per_parent.first_name,
        one_per_parent.last_name,
        one_per_parent.email,
        one_per_parent.home_phone,
        one_per_parent.mobile_phone,
        one_per_parent.work_phone,
        coalesce(one_per_parent.parent_type_description, one_per_parent.parent_type) as relationship,
        call_order.contact_priority,
        coalesce(call_order.has_parental_authority, true) as is_guardian,
        coalesce(one_per_parent.lives_with_student, false) as lives_with_student,
        one_per_parent.source_file,
        one_per_parent.source_line
    from one_per_parent
    left join call_order
        on
            one_per_parent.student_number = call_order.student_number
            and one_per_parent.person_name = call_order.person_name
)

select * from final
