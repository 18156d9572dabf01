with lifecycle as (
    select * from {{ ref('lifecycle') }}
),

states as (
    select * from {{ ref('lifecycle_states') }}
),

final as (
    select
        lifecycle.person_id,
        states.target,
        lifecycle.state,
        states.account,
        states.in_groups,
        states.has_licences
    from lifecycle
    inner join states
        on lifecycle.state = states.state
)

select * from final
