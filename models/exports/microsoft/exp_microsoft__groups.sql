with groups as (
    select * from {{ ref('groups') }}
),

wanted as (
    select * from {{ ref('group_targets') }}
    where target = 'microsoft'
),

ours as (
    select * from {{ ref('stg_microsoft__groups') }}
),

-- a group that was there before us and has the nickname one of ours shall have is that one; of two it is nobody's to choose
orphans as (
    select
        lower(mail_nickname) as mail_nickname,
        min(remote_id) as remote_id
    from {{ ref('stg_microsoft__orphan_groups') }}
    group by lower(mail_nickname)
    having count(*) = 1
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
        groups.school_number,
        case when ours.group_id is null then orphans.remote_id end as adopt_id,
        case when groups.is_renamed then 'display_name,description' end as expected_columns
    from groups
    inner join wanted
        on groups.rule = wanted.rule
    left join ours
        on groups.group_id = ours.group_id
    left join orphans
        on lower(groups.group_id) = orphans.mail_nickname
)

select * from final
