-- the first who is there, in the order of seed class_owner_order; among equals whose key comes first, so that it stays the same

with states as (
    select * from {{ ref('class_states') }}
    where state = 'active'
),

classes as (
    select * from {{ ref('classes') }}
),

people as (
    select * from {{ ref('class_people') }}
    where is_teacher
),

holders as (
    select * from {{ ref('account_holders') }}
    where population = 'staff' and is_in_groups
),

assignments as (
    select * from {{ ref('staff_assignments') }}
),

owner_order as (
    select * from {{ ref('class_owner_order') }}
),

target_accounts as (
    select * from {{ ref('target_accounts') }}
),

account_states as (
    select * from {{ ref('account_states') }}
    where in_groups
),

school_staff as (
    select
        holders.person_id,
        holders.position,
        holders.school_number
    from holders

    union

    select
        holders.person_id,
        holders.position,
        assignments.school_number
    from holders
    inner join assignments
        on holders.source_key = assignments.staff_key
),

candidates as (
    select
        people.class_id,
        people.person_id,
        owner_order.rank
    from people
    inner join owner_order
        on
            owner_order.who = 'teacher'
            or (owner_order.who = 'primary' and people.is_primary)

    union all

    select
        classes.class_id,
        school_staff.person_id,
        owner_order.rank
    from classes
    inner join school_staff
        on classes.school_number = school_staff.school_number
    inner join owner_order
        on
            owner_order.who = 'position'
            and lower(owner_order.position) = lower(school_staff.position)
),

there as (
    select
        candidates.class_id,
        states.target,
        candidates.person_id,
        candidates.rank
    from candidates
    inner join states
        on candidates.class_id = states.class_id
    inner join account_states
        on
            candidates.person_id = account_states.person_id
            and states.target = account_states.target
    inner join target_accounts
        on
            candidates.person_id = target_accounts.person_id
            and states.target = target_accounts.target
),

-- a class is owned by an account, so whose account is still to be found owns none
first_of_all as (
    {{ deduplicate('there', 'class_id, target', 'rank, person_id') }}
),

final as (
    select
        first_of_all.class_id,
        first_of_all.target,
        first_of_all.person_id
    from first_of_all
)

select * from final
