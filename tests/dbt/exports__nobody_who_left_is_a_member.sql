-- What: people who left are in no group, in either tenant, and their accounts are off.
-- When it matters: a group opens files, rooms and mail.
-- To resolve: look at identity.lifecycle for the person, then at models/identity/group_members.sql.
select lifecycle.person_id
from {{ ref('lifecycle') }} as lifecycle
left join {{ ref('exp_google__members') }} as google_members
    on lifecycle.person_id = google_members.person_id
left join {{ ref('exp_microsoft__members') }} as microsoft_members
    on lifecycle.person_id = microsoft_members.person_id
left join {{ ref('exp_google__users') }} as google_users
    on lifecycle.person_id = google_users.person_id
left join {{ ref('exp_microsoft__users') }} as microsoft_users
    on lifecycle.person_id = microsoft_users.person_id
where
    lifecycle.state = 'left'
    and (
        google_members.person_id is not null
        or microsoft_members.person_id is not null
        or not coalesce(google_users.suspended, true)
        or coalesce(microsoft_users.account_enabled, false)
    )
