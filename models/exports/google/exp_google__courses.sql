with states as (
    select * from {{ ref('class_states') }}
    where target = 'google'
),

classes as (
    select * from {{ ref('classes') }}
),

people as (
    select * from {{ ref('class_people') }}
    where is_teacher
),

account_states as (
    select * from {{ ref('account_states') }}
    where target = 'google' and in_groups
),

owners as (
    select * from {{ ref('class_owners') }}
    where target = 'google'
),

held as (
    select * from {{ ref('stg_google__courses') }}
),

placed as (
    select
        states.class_id,
        states.state,
        -- one that is closed takes no change but of its state: it stays as it is
        states.state = 'archived' or coalesce(held.course_state, '') = 'ARCHIVED' as is_closed,
        classes.title,
        classes.section,
        classes.school_number,
        held.name as held_name,
        held.section as held_section,
        held.owner_id as held_owner_id,
        held.class_id is not null as is_there,
        -- whoever owns it and still teaches it keeps it; where nobody is found it keeps the owner it has
        case
            when account_states.person_id is not null then held.owner_id
            else coalesce(owners.person_id, held.owner_id)
        end as owner_id
    from states
    inner join classes
        on states.class_id = classes.class_id
    left join owners
        on states.class_id = owners.class_id
    left join held
        on states.class_id = held.class_id
    left join people
        on
            held.class_id = people.class_id
            and held.owner_id = people.person_id
    left join account_states
        on people.person_id = account_states.person_id
),

-- a course needs an owner to be made, and one that was never made is not made to be archived
final as (
    select
        placed.class_id,
        case
            when placed.is_closed then placed.held_name
            else {{ truncate_text(regex_replace('placed.title', 'https?://', ''), 750) }}
        end as name,
        case when placed.is_closed then placed.held_section else {{ truncate_text('placed.section', 2800) }} end as section,
        case when placed.state = 'archived' then 'ARCHIVED' else 'ACTIVE' end as course_state,
        case when placed.is_closed then placed.held_owner_id else placed.owner_id end as owner_id,
        placed.school_number
    from placed
    where
        placed.is_there
        or (placed.state = 'active' and placed.owner_id is not null)
)

select * from final
