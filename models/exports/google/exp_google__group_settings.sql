with wanted as (
    select * from {{ ref('exp_google__groups') }}
),

kinds as (
    select * from {{ ref('groups') }}
),

settings as (
    select * from {{ ref('group_settings') }}
),

there as (
    select * from {{ ref('stg_google__group_settings') }}
),

fitting as (
    select
        wanted.group_id,
        wanted.school_number as group_school,
        settings.*
    from wanted
    inner join kinds
        on wanted.group_id = kinds.group_id
    inner join settings
        on
            coalesce(settings.rule, kinds.rule) = kinds.rule
            and coalesce(settings.school_number, wanted.school_number, '') = coalesce(wanted.school_number, '')
),

-- of its kind and school, then of its kind, then of its school, then the one for all
chosen as (
    {{ deduplicate('fitting', 'group_id', 'rule nulls last, school_number nulls last') }}
),

-- what the row leaves empty stays as it is, whoever set it
final as (
    select
        chosen.group_id,
        coalesce(chosen.who_can_join, there.who_can_join) as who_can_join,
        coalesce(chosen.who_can_view_membership, there.who_can_view_membership) as who_can_view_membership,
        coalesce(chosen.who_can_view_group, there.who_can_view_group) as who_can_view_group,
        coalesce(chosen.who_can_post_message, there.who_can_post_message) as who_can_post_message,
        coalesce(chosen.who_can_contact_owner, there.who_can_contact_owner) as who_can_contact_owner,
        coalesce(chosen.who_can_leave_group, there.who_can_leave_group) as who_can_leave_group,
        coalesce(chosen.message_moderation_level, there.message_moderation_level) as message_moderation_level,
        coalesce(chosen.allow_external_members, there.allow_external_members) as allow_external_members,
        coalesce(chosen.in_address_list, there.in_address_list) as in_address_list,
        chosen.group_school as school_number
    from chosen
    left join there
        on chosen.group_id = there.group_id
)

select * from final
