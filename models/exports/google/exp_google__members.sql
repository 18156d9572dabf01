with members as (
    select * from {{ ref('group_members') }}
),

groups as (
    select * from {{ ref('exp_google__groups') }}
),

users as (
    select * from {{ ref('exp_google__users') }}
),

states as (
    select * from {{ ref('account_states') }}
    where target = 'google' and in_groups
),

final as (
    select
        members.group_id,
        members.person_id,
        case when members.is_owner then 'OWNER' when members.is_manager then 'MANAGER' else 'MEMBER' end as role,
        groups.family,
        groups.school_number,
        members.source
    from members
    inner join groups
        on members.group_id = groups.group_id
    inner join users
        on members.person_id = users.person_id
    inner join states
        on members.person_id = states.person_id
)

select * from final
