with users as (
    select
        *,
        coalesce(preferred_given_name, given_name) as first_name,
        coalesce(preferred_family_name, family_name) as last_name
    from {{ ref('stg_oneroster__users') }}
    where coalesce(not is_removed, true)
),

roles as (
    select * from {{ ref('stg_oneroster__roles') }}
),

-- relatives are left out, as emergency contacts are: only of parents and guardians is it asked whether they may be told
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

final as (
    select
        student_users.student_number,
        {{ person_name('adults.first_name', 'adults.last_name') }} as person_name,
        adults.first_name,
        adults.last_name,
        adults.email,
        adults.phone as home_phone,
        adults.sms as mobile_phone,
        parent_roles.role as relationship,
        -- a link to a parent says whose parent it is, not that a court has left it so: seed guardian_rules may
        false as is_barred,
        cast(null as boolean) as is_guardian,
        'unsaid' as doubt,
        adults.source_file,
        adults.source_line
    from links
    inner join student_users on links.child_id = student_users.user_id
    inner join users as adults on links.parent_id = adults.user_id
    inner join parent_roles on adults.user_id = parent_roles.user_id
)

select * from final
