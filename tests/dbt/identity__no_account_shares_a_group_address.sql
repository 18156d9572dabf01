select accounts.person_id
from {{ ref('accounts') }} as accounts
inner join {{ ref('groups') }} as groups
    on accounts.account_name = groups.group_id
