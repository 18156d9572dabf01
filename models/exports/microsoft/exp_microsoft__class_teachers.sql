with classes as (
    select * from {{ ref('exp_microsoft__classes') }}
    where state = 'active'
),

closed as (
    select * from {{ ref('stg_microsoft__class_teams') }}
    where is_archived
),

kept as (
    select * from {{ ref('classes') }}
    where keeps_people
),

people as (
    select * from {{ ref('class_people') }}
    where is_teacher
),

users as (
    select * from {{ ref('exp_microsoft__users') }}
),

states as (
    select * from {{ ref('account_states') }}
    where target = 'microsoft' and in_groups
),

owners as (
    select * from {{ ref('class_owners') }}
    where target = 'microsoft'
),

held as (
    select * from {{ ref('stg_microsoft__class_teachers') }}
),

wanted as (
    select
        people.class_id,
        people.person_id
    from people
    inner join states
        on people.person_id = states.person_id

    union

    select
        owners.class_id,
        owners.person_id
    from owners

    union

    -- where nobody is to own it, whoever does stays: a group is never without an owner
    select
        held.class_id,
        held.person_id
    from held
    left join kept
        on held.class_id = kept.class_id
    left join owners
        on held.class_id = owners.class_id
    where kept.class_id is not null or owners.person_id is null
),

final as (
    select
        wanted.class_id,
        wanted.person_id,
        classes.school_number,
        users.source
    from wanted
    inner join classes
        on wanted.class_id = classes.class_id
    inner join users
        on wanted.person_id = users.person_id
    left join closed
        on wanted.class_id = closed.class_id
    where closed.class_id is null
)

select * from final
