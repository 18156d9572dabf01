-- keys, never names: findings are shown on a page and sent by e-mail

{% set most_shown = 20 %}

with persons as (
    select * from {{ ref('persons') }}
),

lifecycle as (
    select * from {{ ref('lifecycle') }}
),

presence as (
    select * from {{ ref('presence') }}
),

records as (
    select * from {{ ref('person_records') }}
),

accounts as (
    select * from {{ ref('accounts') }}
),

account_matches as (
    select * from {{ ref('account_matches') }}
),

placements as (
    select * from {{ ref('org_unit_assignments') }}
),

licences as (
    select * from {{ ref('licences') }}
),

targets as (
    select * from {{ ref('targets') }}
),

subscriptions as (
    select * from {{ ref('stg_targets__subscriptions') }}
),

held_licences as (
    select * from {{ ref('stg_targets__licences') }}
),

observed_users as (
    select * from {{ ref('stg_targets__users') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

people as (
    select
        records.person_id,
        records.population,
        records.source_key,
        records.school_number,
        lifecycle.record as state,
        presence.presence
    from records
    inner join lifecycle
        on records.person_id = lifecycle.person_id
    inner join presence
        on records.person_id = presence.person_id
),

name_fallbacks as (
    select
        'info' as level,
        'account_name_fallback' as kind,
        '' as source,
        '' as target,
        persons.population as entity,
        records.school_number,
        persons.source_key as key,
        'A name leaves no letter a to z, so the account was named after the person''s number.' as message,
        'identity administrator' as owner,
        'Nothing, or add the letters to HEARD_AS in scripts/letter_map.py: names already given stay.' as action
    from accounts
    inner join persons
        on accounts.person_id = persons.person_id
    inner join records
        on accounts.person_id = records.person_id
    inner join night
        on accounts.minted_on = night.as_of
    where accounts.policy like '%/fallback'
),

without_account as (
    select
        'critical' as level,
        'person_without_account' as kind,
        '' as source,
        '' as target,
        people.population as entity,
        people.school_number,
        people.source_key as key,
        'An active ' || people.population || ' was given no account name.' as message,
        'identity administrator' as owner,
        'Give seeds/name_policy.csv one row for every population.' as action
    from people
    left join accounts
        on people.person_id = accounts.person_id
    left join account_matches
        on
            people.person_id = account_matches.person_id
            and account_matches.decision = 'wait'
    where
        accounts.person_id is null
        and account_matches.person_id is null
        and people.state in ('active', 'preregistered')
        and people.presence <> 'filtered'
),

doubled_keys as (
    select
        'critical' as level,
        'durable_key_twice' as kind,
        '' as source,
        observed_users.target,
        'users' as entity,
        '' as school_number,
        observed_users.person_id as key,
        cast(count(*) as {{ dbt.type_string() }})
        || ' accounts carry the key of one person; none of them can be written safely.' as message,
        'identity administrator' as owner,
        'Decide which account is the person''s and clear the key on the others.' as action
    from observed_users
    group by observed_users.target, observed_users.person_id
    having count(*) > 1
),

strangers as (
    select
        'warning' as level,
        'key_unknown' as kind,
        '' as source,
        observed_users.target,
        'users' as entity,
        '' as school_number,
        observed_users.person_id as key,
        'An account carries a key no person of the district has; it is left as it is.' as message,
        'identity administrator' as owner,
        'If the ledger was restored from an old copy, restore a newer one; else clear the key on the account.' as action
    from observed_users
    left join persons
        on observed_users.person_id = persons.person_id
    where persons.person_id is null
),

waiting_matches as (
    select
        account_matches.*,
        row_number() over (order by account_matches.target, account_matches.source_key, account_matches.remote_id) as place,
        count(*) over () as of_this_kind
    from account_matches
    where account_matches.decision = 'wait'
),

matches_to_decide as (
    select
        'warning' as level,
        'account_match_waits' as kind,
        '' as source,
        waiting_matches.target,
        'users' as entity,
        waiting_matches.school_number,
        waiting_matches.source_key as key,
        'An account without our key may be this ' || waiting_matches.population || '''s: account ' || waiting_matches.remote_id
        || ', rule ' || waiting_matches.rule || '; ' || waiting_matches.doubt || '. It is left as it is, and no other is made there.'
        || case
            when waiting_matches.of_this_kind <= {{ most_shown }} then ''
            else
                ' There are ' || cast(waiting_matches.of_this_kind as {{ dbt.type_string() }})
                || ' of this kind tonight; identity.account_matches has them all.'
        end as message,
        'identity administrator' as owner,
        'Say same or different in seeds/identity_decisions.csv (' || waiting_matches.population || ',' || waiting_matches.source_key || ','
        || waiting_matches.target || ',' || waiting_matches.remote_id || ',…).' as action
    from waiting_matches
    where waiting_matches.of_this_kind <= {{ most_shown }} or waiting_matches.place = 1
),

placed_nowhere as (
    select
        case when placements.org_unit_path is null then 'critical' else 'warning' end as level,
        case when placements.org_unit_path is null then 'no_placement' else 'placement_contested' end as kind,
        '' as source,
        targets.target,
        people.population as entity,
        people.school_number,
        min(people.source_key) as key,
        cast(count(*) as {{ dbt.type_string() }}) || ' active ' || people.population || ' at this school fit '
        || case
            when placements.org_unit_path is null then 'no row of seeds/org_unit_rules.csv and are given no account in ' || targets.name || '.'
            else 'two rows of seeds/org_unit_rules.csv that are as specific as each other; they live in ' || placements.rule || '.'
        end as message,
        'analyst' as owner,
        case
            when placements.org_unit_path is null then 'Add a row that fits them.'
            else 'Add a row with the columns of both, or take one away.'
        end as action
    from people
    inner join placements
        on people.person_id = placements.person_id
    inner join targets
        on targets.has_org_units
    where
        people.state in ('active', 'preregistered')
        and (placements.org_unit_path is null or placements.is_contested)
    group by
        targets.target,
        targets.name,
        people.population,
        people.school_number,
        placements.org_unit_path is null,
        placements.rule
),

-- before a tenant was ever read nobody knows what it subscribes to
tenants_read as (
    select distinct target
    from subscriptions
),

licences_short as (
    select
        'warning' as level,
        case when subscriptions.licence is null then 'licence_unknown' else 'licence_short' end as kind,
        '' as source,
        licences.target,
        'licences' as entity,
        '' as school_number,
        licences.licence as key,
        case
            when subscriptions.licence is null
                then
                    'The tenant has no subscription called ' || licences.licence || ', which '
                    || {{ people_counted('count(*)') }} || ' should hold; nobody is given it.'
            else
                licences.licence || ' is still to be given to '
                || {{ people_counted('count(*) filter (where held_licences.person_id is null)') }}
                || ', but only '
                || cast(greatest(subscriptions.seats - subscriptions.seats_used, 0) as {{ dbt.type_string() }}) || ' of its '
                || cast(subscriptions.seats as {{ dbt.type_string() }}) || ' seats are free; the others are tried again every night.'
        end as message,
        case when subscriptions.licence is null then 'analyst' else 'identity administrator' end as owner,
        case
            when subscriptions.licence is null
                then
                    'Correct the name in seeds/licence_rules.csv; staging.stg_' || licences.target
                    || '__subscriptions lists those there are.'
            else 'Buy seats, or give it to fewer people in seeds/licence_rules.csv.'
        end as action
    from licences
    inner join tenants_read
        on licences.target = tenants_read.target
    left join subscriptions
        on
            licences.target = subscriptions.target
            and licences.licence = subscriptions.licence
    left join held_licences
        on
            licences.person_id = held_licences.person_id
            and licences.target = held_licences.target
            and licences.licence = held_licences.licence
    group by licences.target, licences.licence, subscriptions.licence, subscriptions.seats, subscriptions.seats_used
    having
        subscriptions.licence is null
        or count(*) filter (where held_licences.person_id is null) > greatest(subscriptions.seats - subscriptions.seats_used, 0)
),

final as (
    select * from placed_nowhere
    union all
    select * from matches_to_decide
    union all
    select * from name_fallbacks
    union all
    select * from without_account
    union all
    select * from doubled_keys
    union all
    select * from strangers
    union all
    select * from licences_short
)

select * from final
