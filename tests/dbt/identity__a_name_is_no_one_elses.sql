-- What: no account minted tonight has a name another user, alias, group or deleted account holds, or a reserved one.
-- When it matters: the create would be refused, or mail meant for one person would reach another.
-- To resolve: look the name up in identity.names_taken; if the other object appeared after the name was minted, rename it.
select accounts.person_id
from {{ ref('accounts') }} as accounts
inner join {{ source('homeroom', 'night') }} as night
    on accounts.minted_on = night.as_of
inner join {{ ref('names_taken') }} as names_taken
    on accounts.account_name = names_taken.account_name
where names_taken.person_id is distinct from accounts.person_id
