-- groups without our key are not ours and are left out: what is not seen here is never touched

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
    where source.group_id is not null
)

select * from renamed
