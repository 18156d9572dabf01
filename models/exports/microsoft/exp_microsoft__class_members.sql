-- whoever teaches is a member too: Microsoft wants teachers in both lists

with active_classes as (
    select * from {{ ref('exp_microsoft__classes') }}
    where state = 'active'
),

closed as (
    select * from {{ ref('stg_microsoft__class_teams') }}
    where is_archived
),

classes as (
    select * from {{ ref('classes') }}
),

people as (
    select * from {{ ref('class_people') }}
    where not is_teacher
),

users as (
    select * from {{ ref('exp_microsoft__users') }}
),

states as (
    select * from {{ ref('account_states') }}
    where target = 'microsoft' and in_groups
),

held as (
    select * from {{ ref('stg_microsoft__class_members') }}
),

running as (
    select
        active_classes.class_id,
        classes.keeps_people
    from active_classes
    inner join classes
        on active_classes.class_id = classes.class_id
    left join closed
        on active_classes.class_id = closed.class_id
    where closed.class_id is null
),

wanted as (
    select
        people.class_id,
        people.person_id
    from people
    inner join running
        on people.class_id = running.class_id
    inner join states
        on people.person_id = states.person_id

    union

    select
        teachers.class_id,
        teachers.person_id
    from {{ ref('exp_microsoft__class_teachers') }} as teachers

    union

    -- who is in a class that lost its list, is over, or that nobody asks for any more stays in it
    select
        held.class_id,
        held.person_id
    from held
    left join running
        on held.class_id = running.class_id
    where running.class_id is null or running.keeps_people
),

final as (
    select
        wanted.class_id,
        wanted.person_id,
        -- it is a part of the key, of classes nobody asks for any more too
        {{ dbt.split_part('wanted.class_id', "'-'", 2) }} as school_number,
        users.source
    from wanted
    inner join users
        on wanted.person_id = users.person_id
)

select * from final
