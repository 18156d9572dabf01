with groups as (
    select * from {{ ref('groups') }}
),

wanted as (
    select * from {{ ref('group_targets') }}
    where target = 'google'
),

ours as (
    select * from {{ ref('stg_google__groups') }}
),

-- a group that was there before us and stands at the address one of ours shall have is that one; of two it is nobody's to choose
orphans as (
    select
        lower(email) as email,
        min(remote_id) as remote_id
    from {{ ref('stg_google__orphan_groups') }}
    group by lower(email)
    having count(*) = 1
),

final as (
    select
        groups.group_id,
        groups.group_id || '@' || groups.domain as email,
        {{ truncate_text('groups.name', 73) }} as name,
        {{ truncate_text('groups.description', 4096) }} as description,
        groups.family,
        groups.school_number,
        case when ours.group_id is null then orphans.remote_id end as adopt_id,
        case when groups.is_renamed then 'name,description' end as expected_columns
    from groups
    inner join wanted
        on groups.rule = wanted.rule
    left join ours
        on groups.group_id = ours.group_id
    left join orphans
        on lower(groups.group_id || '@' || groups.domain) = orphans.email
)

select * from final
