-- a table, because folding the letters of every name is slow and six models and tests ask for the result
{{ config(materialized='table') }}

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

users as (
    select
        *,
        coalesce(preferred_given_name, given_name) as first_name,
        coalesce(preferred_family_name, family_name) as last_name,
        coalesce({{ name_key('coalesce(preferred_given_name, given_name)') }}, '') || '|'
        || coalesce({{ name_key('coalesce(preferred_family_name, family_name)') }}, '') as person_name
    from {{ ref('stg_oneroster__users') }}
    where coalesce(not is_removed, true)
),

roles as (
    select * from {{ ref('stg_oneroster__roles') }}
),

-- relatives are left out, as emergency contacts are: only parents and guardians have a right to a child's data
parent_roles as (
    select
        roles.user_id,
        min(roles.role) as role
    from roles
    where roles.role in ('parent', 'guardian') and coalesce(not roles.is_removed, true)
    group by roles.user_id
),

-- the link between a child and a parent may stand in the record of either
agents as (
    select
        users.user_id,
        {{ split_to_rows('users.agent_ids') }} as agent_id
    from users
),

links as (
    select
        agents.user_id as child_id,
        trim(agents.agent_id) as parent_id
    from agents
    union
    select
        trim(agents.agent_id) as child_id,
        agents.user_id as parent_id
    from agents
),

student_users as (
    select
        users.user_id,
        users.student_number
    from users
    inner join roles on users.user_id = roles.user_id
    where roles.role = 'student' and coalesce(not roles.is_removed, true)
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

named_parents as (
    select
        'myedbc' as source_system,
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
    where parents.student_number is not null and parents.person_name <> '|'
    union all
    select
        'oneroster' as source_system,
        student_users.student_number,
        adults.person_name,
        adults.first_name,
        adults.last_name,
        adults.email,
        adults.phone as home_phone,
        adults.sms as mobile_phone,
        cast(null as {{ dbt.type_string() }}) as work_phone,
        parent_roles.role as relationship,
        cast(null as integer) as contact_priority,
        true as is_guardian,
        cast(null as boolean) as lives_with_student,
        adults.source_file,
        adults.source_line
    from links
    inner join student_users on links.child_id = student_users.user_id
    inner join users as adults on links.parent_id = adults.user_id
    inner join parent_roles on adults.user_id = parent_roles.user_id
    where adults.person_name <> '|'
),

-- a parent is listed once per school the child attends
one_per_parent as (
    {{ deduplicate('named_parents', 'student_number, person_name', 'source_system, source_line') }}
),

final as (
    select
        one_per_parent.source_system,
        one_per_parent.student_number,
        one_per_parent.person_name,
        one_per_parent.first_name,
        one_per_parent.last_name,
        one_per_parent.email,
        one_per_parent.home_phone,
        one_per_parent.mobile_phone,
        one_per_parent.work_phone,
        one_per_parent.relationship,
        one_per_parent.contact_priority,
        one_per_parent.is_guardian,
        one_per_parent.lives_with_student,
        one_per_parent.source_file,
        one_per_parent.source_line
    from one_per_parent
)

select * from final
