-- a team wants an owner: it is put on a class somebody is to own; one that is over is archived where it is

with classes as (
    select * from {{ ref('exp_microsoft__classes') }}
),

owners as (
    select * from {{ ref('class_owners') }}
    where target = 'microsoft'
),

held as (
    select * from {{ ref('stg_microsoft__class_teams') }}
),

final as (
    select
        classes.class_id,
        classes.state = 'archived' as is_archived,
        classes.school_number
    from classes
    left join owners
        on classes.class_id = owners.class_id
    left join held
        on classes.class_id = held.class_id
    where
        held.class_id is not null
        or (classes.state = 'active' and owners.person_id is not null)
)

select * from final
