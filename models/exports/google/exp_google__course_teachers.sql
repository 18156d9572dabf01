-- the owner is one of them, the one before too until the course is handed over: Classroom takes nobody away who owns it

with courses as (
    select * from {{ ref('exp_google__courses') }}
    where course_state = 'ACTIVE'
),

closed as (
    select * from {{ ref('stg_google__courses') }}
    where course_state = 'ARCHIVED'
),

classes as (
    select * from {{ ref('classes') }}
),

people as (
    select * from {{ ref('class_people') }}
    where is_teacher
),

users as (
    select * from {{ ref('exp_google__users') }}
),

states as (
    select * from {{ ref('account_states') }}
    where target = 'google' and in_groups
),

held as (
    select * from {{ ref('stg_google__course_teachers') }}
),

running as (
    select
        courses.class_id,
        classes.keeps_people
    from courses
    inner join classes
        on courses.class_id = classes.class_id
    left join closed
        on courses.class_id = closed.class_id
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
        courses.class_id,
        courses.owner_id
    from courses
    inner join running
        on courses.class_id = running.class_id

    union

    select
        owned.class_id,
        owned.owner_id
    from {{ ref('stg_google__courses') }} as owned
    inner join running
        on owned.class_id = running.class_id

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
