-- only our people in our classes: whom somebody added by hand from elsewhere stays where they are

with source as (
    select * from {{ source('microsoft', 'class_teachers') }}
),

classes as (
    select * from {{ ref('stg_microsoft__classes') }}
),

users as (
    select * from {{ ref('stg_microsoft__users') }}
),

renamed as (
    select
        -- ids
        source.class_remote_id || '/' || source.member_remote_id as remote_id,
        classes.class_id,
        users.person_id
    from source
    inner join classes
        on source.class_remote_id = classes.remote_id
    inner join users
        on source.member_remote_id = users.remote_id
)

select * from renamed
