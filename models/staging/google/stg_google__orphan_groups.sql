-- groups without our key: not ours until one stands at the address a group of ours shall have, see exp_google__groups

with source as (
    select * from {{ source('google', 'groups') }}
),

renamed as (
    select
        -- ids
        source.remote_id,
        source.group_id,

        -- names
        lower(source.email) as email,
        source.name,
        source.description
    from source
    where source.group_id is null
)

select * from renamed
