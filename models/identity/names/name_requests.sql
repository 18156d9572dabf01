with records as (
    select * from {{ ref('person_records') }}
),

lifecycle as (
    select * from {{ ref('lifecycle') }}
),

account_matches as (
    select * from {{ ref('account_matches') }}
),

unnameable_people as (
    select * from {{ ref('unnameable_people') }}
),

policies as (
    select * from {{ ref('name_policy') }}
),

name_decisions as (
    select * from {{ ref('name_decisions') }}
),

unfortunate_words as (
    select * from {{ ref('unfortunate_words') }}
),

issued as (
    select * from {{ source('ledger_identity', 'accounts') }}
),

current_accounts as (
    {{ deduplicate('issued', 'person_id', 'name_number desc') }}
),

waiting as (
    select
        account_matches.person_id,
        bool_or(account_matches.decision = 'adopt') as is_adopted,
        bool_or(account_matches.decision = 'wait') as waits
    from account_matches
    group by account_matches.person_id
),

places as (
    select distinct
        records.population,
        coalesce(records.school_number, '') as school_number
    from records
),

applicable as (
    select
        places.population,
        places.school_number,
        policies.policy,
        policies.pattern,
        policies.names,
        policies.hyphens,
        policies.max_length,
        policies.fallback_suffix,
        policies.domain,
        policies.on_name_change,
        policies.alias_days,
        case when policies.school_number is null then 2 else 1 end as rank
    from places
    inner join policies
        on
            places.population = policies.population
            and coalesce(policies.school_number, places.school_number) = places.school_number
),

-- the row that names the school wins
policy_of as (
    {{ deduplicate('applicable', 'population, school_number', 'rank') }}
),

-- people who had left before we first saw them need no account; they get one the night they come back
people as (
    select
        records.person_id,
        records.population,
        coalesce(records.school_number, '') as school_number,
        records.first_name is null as is_mononym,
        {{ regex_replace('lower(records.source_key)', '[^a-z0-9]', '') }} as number_part,
        cast({{ school_year('records.admitted_on') }} - 1 as {{ dbt.type_string() }}) as year_part,
        {{ account_name_letters('records.first_name') }} as first_part,
        {{ account_name_letters('records.last_name') }} as last_part,
        {{ account_name_letters('coalesce(records.legal_first_name, records.first_name)') }} as legal_first_part,
        {{ account_name_letters('coalesce(records.legal_last_name, records.last_name)') }} as legal_last_part,
        name_decisions.account_name as decided_name,
        current_accounts.named_from,
        current_accounts.base_name as base_before,
        coalesce(current_accounts.name_number, 0) as name_number
    from records
    inner join lifecycle
        on records.person_id = lifecycle.person_id
    left join current_accounts
        on records.person_id = current_accounts.person_id
    left join name_decisions
        on
            records.population = name_decisions.population
            and records.source_key = name_decisions.source_key
    left join waiting
        on records.person_id = waiting.person_id
    left join unnameable_people
        on records.person_id = unnameable_people.person_id
    where
        lifecycle.is_open
        -- a name is minted once: none is made of a damaged one
        and unnameable_people.person_id is null
        -- seed no_account: people the district gives none, see identity.presence
        and coalesce(lifecycle.reason, '') <> 'filtered'
        -- someone who may have an account already is given no second one until somebody decides
        and (current_accounts.person_id is not null or not coalesce(waiting.waits, false) or waiting.is_adopted)
),

named as (
    select
        people.*,
        people.first_part || '|' || people.last_part || '|' || people.legal_first_part || '|' || people.legal_last_part as named_now,
        policy_of.policy,
        policy_of.fallback_suffix,
        policy_of.domain,
        policy_of.pattern,
        policy_of.names,
        policy_of.hyphens,
        policy_of.max_length,
        policy_of.alias_days
    from people
    inner join policy_of
        on
            people.population = policy_of.population
            and people.school_number = policy_of.school_number
    -- what somebody decided stands, whatever else the person is called
    where people.name_number = 0 or (policy_of.on_name_change = 'rename' and people.decided_name is null) or people.decided_name <> people.base_before
),

-- most people have the names they had: nothing more is worked out for them
asking as (
    select
        named.*,
        case when named.names = 'legal' then named.legal_first_part else named.first_part end as first_now,
        case when named.names = 'legal' then named.legal_last_part else named.last_part end as last_now,
        split_part(named.named_from, '|', case when named.names = 'legal' then 3 else 1 end) as first_then,
        split_part(named.named_from, '|', case when named.names = 'legal' then 4 else 2 end) as last_then
    from named
    where named.name_number = 0 or named.decided_name is not null or named.named_from <> named.named_now
),

bases as (
    select
        asking.*,
        {{ account_name_base('asking.first_now', 'asking.last_now', 'asking.number_part', 'asking.year_part', 'asking') }} as name_base,
        {{ account_name_base('asking.first_then', 'asking.last_then', 'asking.number_part', 'asking.year_part', 'asking') }} as base_then
    from asking
),

letters as (
    select
        bases.person_id,
        {{ regex_replace('bases.name_base', '[^a-z]', '') }} as name_letters
    from bases
),

unfortunate as (
    select distinct letters.person_id
    from letters
    inner join unfortunate_words
        on
            letters.name_letters = unfortunate_words.word
            or (unfortunate_words.where_found = 'anywhere' and letters.name_letters like '%' || unfortunate_words.word || '%')
),

final as (
    select
        bases.person_id,
        bases.population,
        bases.name_number + 1 as name_number,
        case
            when bases.decided_name is not null then bases.decided_name
            when bases.name_base is null or unfortunate.person_id is not null then {{ account_name_fallback('bases.number_part', 'bases') }}
            else bases.name_base
        end as base_name,
        bases.domain,
        bases.policy || '/' || case
            when bases.decided_name is not null then 'decided'
            when unfortunate.person_id is not null then 'unfortunate'
            when bases.name_base is null then 'fallback'
            when bases.is_mononym then 'mononym'
            else 'pattern'
        end as policy,
        bases.named_now as named_from,
        bases.alias_days
    from bases
    left join unfortunate
        on bases.person_id = unfortunate.person_id
    where
        bases.name_number = 0
        or bases.decided_name is not null
        -- the policy itself may have changed since: only another name of the person's makes another account name
        or (bases.name_base <> bases.base_then and bases.name_base <> bases.base_before)
)

select * from final
