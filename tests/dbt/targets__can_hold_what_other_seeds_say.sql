with targets as (
    select * from {{ ref('targets') }}
),

states as (
    select distinct state from {{ ref('lifecycle_states') }}
),

said as (
    select
        lifecycle_states.target,
        lifecycle_states.state
    from {{ ref('lifecycle_states') }} as lifecycle_states
)

select
    group_targets.target,
    'seed group_targets says it has ' || group_targets.rule || ', seed targets that it has no groups' as what
from {{ ref('group_targets') }} as group_targets
inner join targets
    on group_targets.target = targets.target
where not targets.has_groups

union all

select
    licence_rules.target,
    'seed licence_rules says who holds what, seed targets that it has no licences' as what
from {{ ref('licence_rules') }} as licence_rules
inner join targets
    on licence_rules.target = targets.target
where not targets.has_licences

union all

select
    targets.target,
    'seed lifecycle_states has no row for ' || states.state as what
from targets
cross join states
left join said
    on
        targets.target = said.target
        and states.state = said.state
where targets.has_accounts and said.target is null
