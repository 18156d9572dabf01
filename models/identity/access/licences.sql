with holders as (
    select * from {{ ref('account_holders') }}
),

rules as (
    select * from {{ ref('licence_rules') }}
),

states as (
    select * from {{ ref('account_states') }}
    where has_licences
),

targets as (
    select * from {{ ref('targets') }}
    where has_licences
),

fitting as (
    select
        holders.person_id,
        rules.target,
        holders.school_number,
        holders.source,
        rules.licence,
        {{ rule_weight('rules') }} as weight
    from holders
    inner join rules
        on {{ rule_fits('rules', 'holders') }}
    inner join targets
        on rules.target = targets.target
    inner join states
        on
            holders.person_id = states.person_id
            and rules.target = states.target
),

weighed as (
    select
        fitting.person_id,
        fitting.target,
        fitting.school_number,
        fitting.source,
        fitting.licence,
        fitting.weight,
        max(fitting.weight) over (partition by fitting.person_id, fitting.target) as most
    from fitting
),

-- a row without a licence says: none
final as (
    select
        weighed.person_id,
        weighed.target,
        weighed.licence,
        weighed.school_number,
        weighed.source
    from weighed
    where
        weighed.weight = weighed.most
        and weighed.licence is not null
)

select * from final
