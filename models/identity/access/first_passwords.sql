with holders as (
    select * from {{ ref('account_holders') }}
),

rules as (
    select * from {{ ref('password_rules') }}
),

targets as (
    select * from {{ ref('targets') }}
    where has_accounts
),

fitting as (
    select
        holders.person_id,
        targets.target,
        rules.recipe,
        case when rules.target is null then 0 else 1000 end + {{ rule_weight('rules') }} as weight
    from holders
    inner join rules
        on {{ rule_fits('rules', 'holders') }}
    inner join targets
        on coalesce(rules.target, targets.target) = targets.target
),

most_specific as (
    {{ deduplicate('fitting', 'person_id, target', 'weight desc, recipe') }}
),

-- whom no row fits is in no row here: theirs is random
final as (
    select
        most_specific.person_id,
        most_specific.target,
        most_specific.recipe
    from most_specific
)

select * from final
