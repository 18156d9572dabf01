select accounts.person_id
from {{ ref('accounts') }} as accounts
where
    {{ matches('accounts.base_name', '[^a-z]$') }}
    or accounts.account_name
    <> accounts.base_name
    || case when accounts.number = 1 then '' else cast(accounts.number as {{ dbt.type_string() }}) end
