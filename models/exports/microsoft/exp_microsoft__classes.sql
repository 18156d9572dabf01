with states as (
    select * from {{ ref('class_states') }}
    where target = 'microsoft'
),

classes as (
    select * from {{ ref('classes') }}
),

owners as (
    select * from {{ ref('class_owners') }}
    where target = 'microsoft'
),

held as (
    select * from {{ ref('stg_microsoft__classes') }}
),

-- a class nobody would own is not made, nor one that is over; what is over keeps the names it has
final as (
    select
        states.class_id,
        case
            when states.state = 'archived' then held.display_name
            else {{ truncate_text('classes.title', 256) }}
        end as display_name,
        states.class_id as mail_nickname,
        case when states.state = 'archived' then held.class_code else {{ truncate_text('classes.course_code', 256) }} end as class_code,
        case
            when states.state = 'archived' then held.external_name
            else {{ truncate_text('classes.section', 256) }}
        end as external_name,
        states.state,
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
