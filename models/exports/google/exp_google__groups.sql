with groups as (
    select * from {{ ref('groups') }}
),

final as (
    select
        groups.group_id,
        groups.group_id || '@' || groups.domain as email,
        {{ truncate_text('groups.name', 73) }} as name,
        {{ truncate_text('groups.description', 4096) }} as description,
        groups.school_number
    from groups
    where groups.in_google
)

select * from final
