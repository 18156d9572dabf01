-- groups without our key: not ours until one has the nickname a group of ours shall have, see exp_microsoft__groups.
-- Only what may be written and gives nobody rights: whose members a rule or another directory decides, who is in it
-- for a directory role, and what has mail is nobody's to adopt

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
    where
        source.group_id is null
        and not coalesce(cast(source.mail_enabled as boolean), false)
        and coalesce(cast(source.security_enabled as boolean), false)
        and not coalesce(cast(source.is_synced as boolean), false)
        and not coalesce(cast(source.is_role_group as boolean), false)
        and strpos(coalesce(source.group_types, ''), 'DynamicMembership') = 0
)

select * from renamed
