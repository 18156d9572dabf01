select users.person_id
from {{ ref('exp_google__users') }} as users
inner join {{ ref('lifecycle') }} as lifecycle
    on users.person_id = lifecycle.person_id
left join {{ ref('exp_google__members') }} as members
    on users.person_id = members.person_id
where
    lifecycle.state in ('suspended', 'archived', 'delete_eligible', 'deleted')
    and (not users.suspended or members.person_id is not null)
