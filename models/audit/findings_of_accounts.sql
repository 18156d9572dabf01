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

unnameable_people as (
    select * from {{ ref('unnameable_people') }}
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
        'account_name_fallback' as code,
        '' as source,
        '' as target,
        persons.population as entity,
        records.school_number as school_number,
        persons.source_key as key,
        {{ problem_values({}) }} as values,
        '' as owner
    from accounts
    inner join persons
        on accounts.person_id = persons.person_id
    inner join records
        on accounts.person_id = records.person_id
    inner join night
        on accounts.minted_on = night.as_of
    -- a policy and, behind the stroke, the rule of it that made the name
    where {{ dbt.split_part('accounts.policy', "'/'", 2) }} = 'fallback'
),

without_account as (
    select
        'person_without_account' as code,
        '' as source,
        '' as target,
        people.population as entity,
        people.school_number as school_number,
        people.source_key as key,
        {{ problem_values({
            'population': "people.population",
        }) }} as values,
        '' as owner
    from people
    left join accounts
        on people.person_id = accounts.person_id
    left join account_matches
        on
            people.person_id = account_matches.person_id
            and account_matches.decision = 'wait'
    left join unnameable_people
        on people.person_id = unnameable_people.person_id
    where
        accounts.person_id is null
        -- what they wait for is a finding of its own
        and unnameable_people.person_id is null
        and account_matches.person_id is null
        and people.state in ('active', 'preregistered')
        and people.presence <> 'filtered'
),

doubled_keys as (
    select
        'durable_key_twice' as code,
        '' as source,
        observed_users.target as target,
        'users' as entity,
        '' as school_number,
        observed_users.person_id as key,
        {{ problem_values({
            'accounts': "count(*)",
        }) }} as values,
        '' as owner
    from observed_users
    group by observed_users.target, observed_users.person_id
    having count(*) > 1
),

strangers as (
    select
        'key_unknown' as code,
        '' as source,
        observed_users.target as target,
        'users' as entity,
        '' as school_number,
        observed_users.person_id as key,
        {{ problem_values({}) }} as values,
        '' as owner
    from observed_users
    left join persons
        on observed_users.person_id = persons.person_id
    where persons.person_id is null
),

-- who deleted an account with our key and made another by hand made it for the same person: both are named
deleted_names as (
    select
        names_taken.target,
        names_taken.person_id,
        min(names_taken.remote_id) as remote_id
    from {{ ref('names_taken') }} as names_taken
    where names_taken.kind = 'deleted' and names_taken.person_id is not null
    group by names_taken.target, names_taken.person_id
),

waiting_matches as (
    select
        account_matches.*,
        coalesce('; the deleted account ' || deleted_names.remote_id || ' carries our key', '') as beside,
        row_number() over (order by account_matches.target, account_matches.source_key, account_matches.remote_id) as place,
        count(*) over () as of_this_kind
    from account_matches
    left join deleted_names
        on
            account_matches.target = deleted_names.target
            and account_matches.person_id = deleted_names.person_id
    where account_matches.decision = 'wait'
),

matches_to_decide as (
    select
        'account_match_waits' as code,
        '' as source,
        waiting_matches.target as target,
        'users' as entity,
        waiting_matches.school_number as school_number,
        waiting_matches.source_key as key,
        {{ problem_values({
            'population': "waiting_matches.population",
            'remote_id': "waiting_matches.remote_id",
            'rule': "waiting_matches.rule",
            'doubt': "waiting_matches.doubt || waiting_matches.beside",
            'key': "waiting_matches.source_key",
            'target': "waiting_matches.target",
            'of_this_kind': "waiting_matches.of_this_kind",
            'relation': "'identity.account_matches'",
            'within': "case when waiting_matches.of_this_kind > " ~ most_shown ~ " then 'many_of_a_kind' else '' end",
        }) }} as values,
        '' as owner
    from waiting_matches
    where waiting_matches.of_this_kind <= {{ most_shown }} or waiting_matches.place = 1
),

of_nobodys as (
    select
        'account_not_a_persons' as code,
        '' as source,
        account_matches.target,
        'users' as entity,
        account_matches.school_number,
        account_matches.source_key as key,
        {{ problem_values({
            'population': "account_matches.population",
            'remote_id': "account_matches.remote_id",
            'rule': "account_matches.rule",
            'doubt': "account_matches.doubt",
        }) }} as values,
        '' as owner
    from account_matches
    where account_matches.decision = 'nobodys'
),

placed_nowhere as (
    select
        case when placements.org_unit_path is null then 'no_placement' else 'placement_contested' end as code,
        '' as source,
        targets.target,
        people.population as entity,
        people.school_number as school_number,
        min(people.source_key) as key,
        {{ problem_values({
            'people': "count(*)",
            'population': "people.population",
            'name': "targets.name",
            'rule': "placements.rule",
        }) }} as values,
        '' as owner
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
        case when subscriptions.licence is null then 'licence_unknown' else 'licence_short' end as code,
        '' as source,
        licences.target,
        'licences' as entity,
        '' as school_number,
        licences.licence as key,
        {{ problem_values({
            'licence': "licences.licence",
            'people': people_counted("case when subscriptions.licence is null then count(*)"
                ~ " else count(*) filter (where held_licences.person_id is null) end"),
            'free': "greatest(subscriptions.seats - subscriptions.seats_used, 0)",
            'seats': "subscriptions.seats",
            'target': "licences.target",
        }) }} as values,
        '' as owner
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
    select * from of_nobodys
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
