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
    where not is_teacher
),

users as (
    select * from {{ ref('exp_google__users') }}
),

states as (
    select * from {{ ref('account_states') }}
    where target = 'google' and in_groups
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
        held.class_id,
        held.person_id
    from {{ ref('stg_google__course_students') }} as held
    inner join classes
        on held.class_id = classes.class_id
    where classes.keeps_people
),

-- a course that is archived takes no change; one somebody else archived is left alone
final as (
    select
        wanted.class_id,
        wanted.person_id,
        courses.school_number,
        users.source
    from wanted
    inner join courses
        on wanted.class_id = courses.class_id
    inner join users
        on wanted.person_id = users.person_id
    left join closed
        on wanted.class_id = closed.class_id
    where closed.class_id is null
)

select * from final
