-- who is asked about: people who are to have an account and have none with our key in that target

with targets as (
    select * from {{ ref('targets') }}
),

records as (
    select * from {{ ref('person_records') }}
),

lifecycle as (
    select * from {{ ref('lifecycle') }}
),

policies as (
    select * from {{ ref('name_policy') }}
),

orphan_accounts as (
    select * from {{ ref('orphan_accounts') }}
),

names_taken as (
    select * from {{ ref('names_taken') }}
),

rules as (
    select * from {{ ref('match_rules') }}
),

decisions as (
    select * from {{ ref('identity_decisions') }}
),

issued as (
    select * from {{ source('ledger_identity', 'accounts') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

decided as (
    select decisions.*
    from decisions
    cross join night
    where coalesce(decisions.until >= night.as_of, true)
),

people as (
    select
        records.*,
        coalesce({{ name_key('records.first_name') }}, '') as first_key,
        coalesce({{ name_key('records.last_name') }}, '') as last_key,
        coalesce({{ name_key('records.legal_first_name') }}, '') as legal_first_key,
        coalesce({{ name_key('records.legal_last_name') }}, '') as legal_last_key
    from records
    inner join lifecycle
        on records.person_id = lifecycle.person_id
    where
        lifecycle.is_open
        -- seed no_account: people the district gives none, see identity.presence
        and coalesce(lifecycle.reason, '') <> 'filtered'
),

person_facts as (
    select
        people.person_id,
        'staff_id' as fact,
        {{ number_key('people.staff_id') }} as value
    from people
    union
    select
        people.person_id,
        'student_number' as fact,
        {{ number_key('people.source_key') }} as value
    from people
    where people.population = 'student'
    union
    select
        people.person_id,
        'email' as fact,
        lower(people.email) as value
    from people
    union
    -- the address they have in another target
    select
        issued.person_id,
        'email' as fact,
        issued.account_name || '@' || issued.domain as value
    from issued
    union
    {% for first, last in [('first_key', 'last_key'), ('legal_first_key', 'legal_last_key')] %}
    select
        people.person_id,
        'name' as fact,
        people.{{ first }} || ' ' || people.{{ last }} || '@' || policies.domain as value
    from people
    inner join policies
        on people.population = policies.population
    where people.{{ last }} <> ''
    {% if not loop.last %}union{% endif %}
    {% endfor %}
),

accounts as (
    select
        orphan_accounts.*,
        coalesce({{ name_key('orphan_accounts.first_name') }}, '') as first_key,
        coalesce({{ name_key('orphan_accounts.last_name') }}, '') as last_key
    from orphan_accounts
),

account_facts as (
    select
        accounts.target,
        accounts.remote_id,
        'employee_id' as fact,
        {{ number_key('accounts.employee_id') }} as value
    from accounts
    union
    select
        accounts.target,
        accounts.remote_id,
        'user_name' as fact,
        {{ number_key('accounts.account_name') }} as value
    from accounts
    union
    select
        names_taken.target,
        names_taken.remote_id,
        'email' as fact,
        names_taken.address as value
    from names_taken
    where names_taken.kind in ('user', 'alias')
    union
    select
        accounts.target,
        accounts.remote_id,
        'name' as fact,
        accounts.first_key || ' ' || accounts.last_key || '@' || accounts.domain as value
    from accounts
),

-- which facts are looked at is said target by target
looked_at as (
    select
        targets.target,
        {{ split_to_rows('targets.matched_by') }} as fact
    from targets
),

-- the person has an account with our key in that target: nothing to look for
held as (
    select
        names_taken.person_id,
        names_taken.target
    from names_taken
    where names_taken.kind = 'user'
),

ruled as (
    select
        people.person_id,
        account_facts.target,
        account_facts.remote_id,
        rules.rule,
        rules.position,
        rules.confidence,
        rules.least_similarity
    from rules
    inner join person_facts
        on rules.person_fact = person_facts.fact
    inner join account_facts
        on
            rules.account_fact = account_facts.fact
            and person_facts.value = account_facts.value
    inner join looked_at
        on
            account_facts.target = looked_at.target
            and account_facts.fact = looked_at.fact
    inner join people
        on
            person_facts.person_id = people.person_id
            and coalesce(rules.population, people.population) = people.population
    union all
    select
        people.person_id,
        decided.target,
        decided.account as remote_id,
        'decision' as rule,
        0 as position,
        'certain' as confidence,
        0 as least_similarity
    from decided
    inner join people
        on
            decided.population = people.population
            and decided.source_key = people.source_key
    where decided.decision = 'same'
),

first_rule as (
    {{ deduplicate('ruled', 'person_id, target, remote_id', 'position') }}
),

final as (
    select
        first_rule.*,
        people.population,
        people.source_key,
        people.school_number,
        accounts.address,
        accounts.protection,
        accounts.is_nobodys,
        decided.decision is not null as is_refused,
        greatest(
            {{ name_similarity('people.first_key', 'accounts.first_key') }},
            {{ name_similarity('people.legal_first_key', 'accounts.first_key') }},
            {{ name_similarity('people.first_key || people.last_key', 'accounts.first_key || accounts.last_key') }},
            {{ name_similarity('people.legal_first_key || people.legal_last_key', 'accounts.first_key || accounts.last_key') }}
        ) as similarity
    from first_rule
    inner join people
        on first_rule.person_id = people.person_id
    inner join accounts
        on
            first_rule.target = accounts.target
            and first_rule.remote_id = accounts.remote_id
    left join held
        on
            first_rule.person_id = held.person_id
            and first_rule.target = held.target
    left join decided
        on
            people.population = decided.population
            and people.source_key = decided.source_key
            and first_rule.target = decided.target
            and first_rule.remote_id = decided.account
            and decided.decision = 'different'
    where held.person_id is null
)

select * from final
