with groups as (
    select * from {{ ref('groups') }}
),

wanted as (
    select * from {{ ref('group_targets') }}
    where target = 'google'
),

final as (
    select
        groups.group_id,
        groups.group_id || '@' || groups.domain as email,
        {{ truncate_text('groups.name', 73) }} as name,
        {{ truncate_text('groups.description', 4096) }} as description,
        groups.family,
        groups.school_number
    from groups
    inner join wanted
        on groups.rule = wanted.rule
)

select * from final
