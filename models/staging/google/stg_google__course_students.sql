-- only our people in our courses: whom a teacher invited from elsewhere stays where they are

with source as (
    select * from {{ source('google', 'course_students') }}
),

courses as (
    select * from {{ ref('stg_google__courses') }}
),

users as (
    select * from {{ ref('stg_google__users') }}
),

renamed as (
    select
        -- ids
        source.class_remote_id || '/' || source.member_remote_id as remote_id,
        courses.class_id,
        users.person_id
    from source
    inner join courses
        on source.class_remote_id = courses.remote_id
    inner join users
        on source.member_remote_id = users.remote_id
)

select * from renamed
