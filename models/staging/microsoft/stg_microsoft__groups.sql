-- groups without our key are not ours and are left out: what is not seen here is never touched

with source as (
    select * from {{ source('microsoft', 'groups') }}
),

renamed as (
    select
        -- ids
        source.remote_id,
        source.group_id,

        -- names
        source.display_name,
        source.mail_nickname,
        source.description,

        -- flags
        coalesce(cast(source.mail_enabled as boolean), false) as mail_enabled,
        coalesce(cast(source.security_enabled as boolean), false) as security_enabled
    from source
    where source.group_id is not null
)

select * from renamed
