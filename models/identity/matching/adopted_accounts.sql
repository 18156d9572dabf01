{{ config(
    materialized='incremental',
    incremental_strategy='append',
    database='ledger',
    full_refresh=false,
    on_schema_change='fail',
) }}

with account_matches as (
    select * from {{ ref('account_matches') }}
),

names_taken as (
    select * from {{ ref('names_taken') }}
),

persons as (
    select * from {{ ref('persons') }}
),

issued as (
    select * from {{ source('ledger_identity', 'accounts') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

known as (
    {% if is_incremental() %}
    select
        person_id,
        target,
        remote_id
    from {{ this }}
    {% else %}
    -- one row that is nobody's
    select
        cast(null as {{ dbt.type_string() }}) as person_id,
        cast(null as {{ dbt.type_string() }}) as target,
        cast(null as {{ dbt.type_string() }}) as remote_id
    {% endif %}
),

-- an account that carries the key of a person the ledger has no name for is that person's: a lost ledger must not give
-- anyone a second name, nor anyone else that name
remembered as (
    select
        names_taken.person_id,
        names_taken.target,
        names_taken.remote_id,
        names_taken.address,
        'key' as rule
    from names_taken
    inner join persons
        on names_taken.person_id = persons.person_id
    left join issued
        on names_taken.person_id = issued.person_id
    where names_taken.kind = 'user' and issued.person_id is null
),

first_remembered as (
    {{ deduplicate('remembered', 'person_id, target', 'remote_id') }}
),

found as (
    select * from first_remembered

    union all

    select
        account_matches.person_id,
        account_matches.target,
        account_matches.remote_id,
        account_matches.address,
        account_matches.rule
    from account_matches
    where account_matches.decision = 'adopt'
),

final as (
    select
        found.person_id,
        found.target,
        found.remote_id,
        {{ local_part('found.address') }} as account_name,
        {{ regex_replace('found.address', '^[^@]*@', '') }} as domain,
        found.rule,
        night.as_of as adopted_on
    from found
    cross join night
    left join known
        on
            found.person_id = known.person_id
            and found.target = known.target
            and found.remote_id = known.remote_id
    where known.person_id is null
)

select * from final
