-- only of groups of ours

with source as (
    select * from {{ source('google', 'group_settings') }}
),

groups as (
    select * from {{ ref('stg_google__groups') }}
),

renamed as (
    select
        -- ids
        source.group_remote_id as remote_id,
        groups.group_id,

        -- codes
        source.who_can_join,
        source.who_can_view_membership,
        source.who_can_view_group,
        source.who_can_post_message,
        source.who_can_contact_owner,
        source.who_can_leave_group,
        source.message_moderation_level,
        source.allow_external_members,
        source.in_address_list
    from source
    inner join groups
        on source.group_remote_id = groups.remote_id
)

select * from renamed
