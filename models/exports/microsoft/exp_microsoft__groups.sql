with groups as (
    select * from {{ ref('groups') }}
),

wanted as (
    select * from {{ ref('group_targets') }}
    where target = 'microsoft'
),

final as (
    select
        groups.group_id,
        {{ truncate_text('groups.name', 256) }} as display_name,
        groups.group_id as mail_nickname,
        {{ truncate_text('groups.description', 1024) }} as description,
        false as mail_enabled,
        true as security_enabled,
        groups.family,
        groups.school_number
    from groups
    inner join wanted
        on groups.rule = wanted.rule
)

select * from final
