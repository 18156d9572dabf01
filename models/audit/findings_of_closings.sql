-- the days until an account is deleted count from our closing: one that somebody opened and closed again meanwhile was somebody's

with closings as (
    select * from {{ ref('stg_targets__closings') }}
),

changes as (
    select * from {{ ref('changes') }}
    where entity = 'users' and status = 'applied'
),

people as (
    select * from {{ ref('account_holders') }}
),

days as (
    select closings.target, closings.person_id, closings.remote_id, 'suspend' as action, closings.suspended_on as theirs
    from closings
    union all
    select closings.target, closings.person_id, closings.remote_id, 'archive' as action, closings.archived_on as theirs
    from closings
),

ours as (
    select
        changes.target,
        changes.person_id,
        changes.action,
        max(cast(changes.finished_at as date)) as ours
    from changes
    where changes.action in ('suspend', 'archive')
    group by changes.target, changes.person_id, changes.action
),

final as (
    select
        'closed_again_by_somebody_else' as code,
        '' as source,
        days.target,
        'users' as entity,
        people.school_number,
        people.source_key as key,
        {{ problem_values({
            'who': 'people.population',
            'target': 'days.target',
            'remote_id': 'days.remote_id',
            'theirs': 'cast(days.theirs as varchar)',
            'ours': 'cast(ours.ours as varchar)',
        }) }} as values,
        '' as owner
    from days
    inner join ours
        on
            days.target = ours.target
            and days.person_id = ours.person_id
            and days.action = ours.action
    inner join people
        on days.person_id = people.person_id
    -- clocks and midnights: a day apart is the same closing
    where days.theirs > ours.ours + 1
)

select * from final
