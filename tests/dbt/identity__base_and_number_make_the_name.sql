select accounts.person_id
from {{ ref('accounts') }} as accounts
where
    {{ regexp_like('accounts.base_name', '[^a-z0-9]$') }}
    or accounts.account_name <> {{ numbered_name('accounts.base_name', 'accounts.number') }}
