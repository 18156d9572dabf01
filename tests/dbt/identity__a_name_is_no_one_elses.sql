select accounts.person_id
from {{ ref('accounts') }} as accounts
inner join {{ source('homeroom', 'run_context') }} as night
    on accounts.minted_on = night.as_of
inner join {{ ref('names_taken') }} as names_taken
    on accounts.account_name = names_taken.account_name
left join {{ ref('adopted_accounts') }} as adopted_accounts
    on
        names_taken.target = adopted_accounts.target
        and names_taken.remote_id = adopted_accounts.remote_id
where coalesce(names_taken.person_id, adopted_accounts.person_id) is distinct from accounts.person_id
