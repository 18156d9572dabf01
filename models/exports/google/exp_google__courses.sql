with states as (
    select * from {{ ref('class_states') }}
    where target = 'google'
),

classes as (
    select * from {{ ref('classes') }}
),

owners as (
    select * from {{ ref('class_owners') }}
    where target = 'google'
),

held as (
    select * from {{ ref('stg_google__courses') }}
),

-- a course needs an owner to be made; one that is archived takes no change, and one that was never made is not made to be archived
final as (
    select
        states.class_id,
        case
            when states.state = 'archived' then held.name
            else {{ truncate_text(regex_replace('classes.title', 'https?://', ''), 750) }}
        end as name,
        case when states.state = 'archived' then held.section else {{ truncate_text('classes.section', 2800) }} end as section,
        case when states.state = 'archived' then 'ARCHIVED' else 'ACTIVE' end as course_state,
        owners.person_id as owner_id,
        classes.school_number
    from states
    inner join classes
        on states.class_id = classes.class_id
    left join owners
        on states.class_id = owners.class_id
    left join held
        on states.class_id = held.class_id
    where
        held.class_id is not null
        or (states.state = 'active' and owners.person_id is not null)
)

select * from final
