with targets as (
    select * from {{ ref('targets') }}
    where has_accounts
),

accounts as (
    select * from {{ ref('accounts') }}
),

adopted as (
    select * from {{ ref('standing_adoptions') }}
),

account_matches as (
    select * from {{ ref('account_matches') }}
),

orphan_accounts as (
    select * from {{ ref('orphan_accounts') }}
),

current_accounts as (
    {{ deduplicate('accounts', 'person_id', 'name_number desc') }}
),

waiting as (
    select
        account_matches.person_id,
        account_matches.target
    from account_matches
    where account_matches.decision = 'wait'
),

people as (
    select
        current_accounts.*,
        targets.target,
        targets.address
    from current_accounts
    cross join targets
),

final as (
    select
        people.person_id,
        people.target,
        -- an adopted account keeps its address until its person is renamed
        case
            when people.name_number = 1 then coalesce(adopted.account_name, people.account_name)
            else people.account_name
        end as account_name,
        case
            when people.name_number = 1
                then coalesce(
                    {{ account_address('people', 'adopted.account_name', 'adopted.domain') }},
                    {{ account_address('people', 'people.account_name', 'people.domain') }}
                )
            else {{ account_address('people', 'people.account_name', 'people.domain') }}
        end as address,
        orphan_accounts.remote_id as adopt_id
    from people
    left join adopted
        on
            people.person_id = adopted.person_id
            and people.target = adopted.target
    left join orphan_accounts
        on
            adopted.target = orphan_accounts.target
            and adopted.remote_id = orphan_accounts.remote_id
            and not orphan_accounts.is_nobodys
    left join waiting
        on
            people.person_id = waiting.person_id
            and people.target = waiting.target
    where waiting.person_id is null
)

select * from final
