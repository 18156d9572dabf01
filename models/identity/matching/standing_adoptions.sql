{{ config(materialized='view') }}

with adopted_accounts as (
    select * from {{ ref('adopted_accounts') }}
),

account_matches as (
    select * from {{ ref('account_matches') }}
),

decisions as (
    select * from {{ ref('identity_decisions') }}
),

records as (
    select * from {{ ref('person_records') }}
),

refused as (
    select
        records.person_id,
        decisions.target,
        decisions.account as remote_id
    from decisions
    inner join records
        on
            decisions.population = records.population
            and decisions.source_key = records.source_key
    where decisions.decision = 'different'
),

-- who was given an account of their own after such a decision is matched no more, so nothing but the seed knows of it; when its
-- days are over the question is asked again of those who have none, and the account may be theirs after all
standing as (
    select adopted_accounts.*
    from adopted_accounts
    left join refused
        on
            adopted_accounts.person_id = refused.person_id
            and adopted_accounts.target = refused.target
            and adopted_accounts.remote_id = refused.remote_id
    left join account_matches
        on
            adopted_accounts.person_id = account_matches.person_id
            and adopted_accounts.target = account_matches.target
            and adopted_accounts.remote_id = account_matches.remote_id
            and account_matches.decision = 'adopt'
    where refused.person_id is null or account_matches.person_id is not null
),

last_adopted as (
    {{ deduplicate('standing', 'person_id, target', 'adopted_on desc, remote_id') }}
),

final as (
    select
        last_adopted.person_id,
        last_adopted.target,
        last_adopted.remote_id,
        last_adopted.account_name,
        last_adopted.domain
    from last_adopted
)

select * from final
