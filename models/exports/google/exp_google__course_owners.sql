-- of courses that are there: a new one has its owner from the beginning. Whoever owns one and still teaches it keeps it

with courses as (
    select * from {{ ref('exp_google__courses') }}
    where course_state = 'ACTIVE'
),

held as (
    select * from {{ ref('stg_google__courses') }}
    where course_state <> 'ARCHIVED'
),

owned as (
    select * from {{ ref('stg_google__course_owners') }}
),

owners as (
    select * from {{ ref('class_owners') }}
    where target = 'google'
),

people as (
    select * from {{ ref('class_people') }}
    where is_teacher
),

states as (
    select * from {{ ref('account_states') }}
    where target = 'google' and in_groups
),

final as (
    select
        courses.class_id,
        case when states.person_id is not null then owned.owner_id else coalesce(owners.person_id, owned.owner_id) end as owner_id,
        courses.school_number
    from courses
    inner join held
        on courses.class_id = held.class_id
    inner join owned
        on courses.class_id = owned.class_id
    left join people
        on
            courses.class_id = people.class_id
            and owned.owner_id = people.person_id
    left join states
        on people.person_id = states.person_id
    left join owners
        on courses.class_id = owners.class_id
    -- whose owner is nobody of ours, and for whom nobody is found, is left as it is
    where coalesce(owners.person_id, owned.owner_id) is not null
)

select * from final
