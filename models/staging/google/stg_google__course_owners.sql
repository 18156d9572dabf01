-- an owner who is nobody of ours is seen as none

with source as (
    select * from {{ source('google', 'course_owners') }}
),

users as (
    select * from {{ ref('stg_google__users') }}
),

renamed as (
    select
        -- ids
        source.remote_id,
        source.class_id,
        users.person_id as owner_id
    from source
    left join users
        on source.owner_remote_id = users.remote_id
    where source.class_id is not null
)

select * from renamed
