-- only our people in our groups: someone an administrator added by hand from outside stays where they are

with source as (
    select * from {{ source('google', 'members') }}
),

groups as (
    select * from {{ ref('stg_google__groups') }}
),

users as (
    select * from {{ ref('stg_google__users') }}
),

renamed as (
    select
        -- ids
        source.group_remote_id || '/' || source.member_remote_id as remote_id,
        groups.group_id,
        users.person_id,

        -- codes
        upper(source.role) as role
    from source
    inner join groups
        on source.group_remote_id = groups.remote_id
    inner join users
        on source.member_remote_id = users.remote_id
)

select * from renamed
