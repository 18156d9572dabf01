-- What: no account name equals a group's id, which is the local part of the group's address.
-- When it matters: addresses are unique over users and groups; the later of the two could never be created.
-- To resolve: change the rule that builds the group's id (models/identity/group_members.sql); names already given stay.
select accounts.person_id
from {{ ref('accounts') }} as accounts
inner join {{ ref('groups') }} as groups
    on accounts.account_name = groups.group_id
