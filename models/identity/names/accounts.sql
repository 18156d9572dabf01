{{ config(
    materialized='incremental',
    incremental_strategy='append',
    database='ledger',
    full_refresh=false,
    on_schema_change='fail',
) }}

with requests as (
    select * from {{ ref('name_requests') }}
),

adopted_accounts as (
    select * from {{ ref('adopted_accounts') }}
),

names_taken as (
    select * from {{ ref('names_taken') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

issued as (
    {% if is_incremental() %}
    select account_name
    from {{ this }}
    {% else %}
    -- one row that is no name
    select cast(null as {{ dbt.type_string() }}) as account_name
    {% endif %}
),

holders as (
    select
        names_taken.account_name,
        coalesce(names_taken.person_id, adopted_accounts.person_id) as person_id
    from names_taken
    left join adopted_accounts
        on
            names_taken.target = adopted_accounts.target
            and names_taken.remote_id = adopted_accounts.remote_id
),

-- people who come with an account keep its name, where it is one we could give and is nobody else's
adopted_names as (
    select
        adopted_accounts.person_id,
        adopted_accounts.account_name,
        adopted_accounts.domain,
        adopted_accounts.target,
        adopted_accounts.rule,
        requests.name_number,
        requests.named_from,
        requests.alias_days
    from adopted_accounts
    inner join requests
        on adopted_accounts.person_id = requests.person_id
    left join issued
        on adopted_accounts.account_name = issued.account_name
    left join holders
        on
            adopted_accounts.account_name = holders.account_name
            and holders.person_id is distinct from adopted_accounts.person_id
    where
        requests.name_number = 1
        and issued.account_name is null
        and holders.account_name is null
        and {{ regexp_like('adopted_accounts.account_name', '^[a-z0-9][a-z0-9._-]{0,62}[a-z0-9]$') }}
),

one_name_per_person as (
    {{ deduplicate('adopted_names', 'person_id', 'target, account_name') }}
),

kept as (
    {{ deduplicate('one_name_per_person', 'account_name', 'target, person_id') }}
),

asking as (
    select requests.*
    from requests
    left join kept
        on requests.person_id = kept.person_id
    where kept.person_id is null
),

taken as (
    select issued.account_name from issued
    union
    select names_taken.account_name from names_taken
    union
    select adopted_accounts.account_name from adopted_accounts
),

-- a name may be a whole base, or a base and a number; it takes the place of both. A base that ends in a digit may be given
-- tonight as it stands, and so must not be made from a shorter base and a number
taken_numbers as (
    select
        taken.account_name as base_name,
        1 as number
    from taken

    union

    select
        {{ name_without_number('taken.account_name') }} as base_name,
        {{ number_of_name('taken.account_name') }} as number
    from taken

    union

    select
        {{ name_without_number('asking.base_name') }} as base_name,
        {{ number_of_name('asking.base_name') }} as number
    from asking
    where {{ name_has_number('asking.base_name') }}
),

-- how many numbers below a taken one are free: the nth new person of a base passes every taken number with fewer than n
passed_numbers as (
    select
        taken_numbers.base_name,
        taken_numbers.number
        - row_number() over (partition by taken_numbers.base_name order by taken_numbers.number) as free_below
    from taken_numbers
),

placed as (
    select
        asking.*,
        row_number() over (partition by asking.base_name order by asking.person_id) as place
    from asking
),

numbered as (
    select
        placed.person_id,
        cast(placed.place + count(passed_numbers.base_name) as integer) as number
    from placed
    left join passed_numbers
        on
            placed.base_name = passed_numbers.base_name
            and placed.place > passed_numbers.free_below
    group by placed.person_id, placed.place
),

minted as (
    select
        asking.person_id,
        {{ numbered_name('asking.base_name', 'numbered.number') }} as account_name,
        asking.domain,
        asking.base_name,
        numbered.number,
        asking.policy,
        asking.name_number,
        asking.named_from,
        asking.alias_days
    from asking
    inner join numbered
        on asking.person_id = numbered.person_id

    union all

    select
        kept.person_id,
        kept.account_name,
        kept.domain,
        kept.account_name as base_name,
        1 as number,
        'adopted from ' || kept.target || ' by ' || kept.rule as policy,
        kept.name_number,
        kept.named_from,
        kept.alias_days
    from kept
),

final as (
    select
        minted.person_id,
        minted.account_name,
        minted.domain,
        minted.base_name,
        minted.number,
        minted.policy,
        night.as_of as minted_on,
        minted.name_number,
        minted.named_from,
        minted.alias_days
    from minted
    cross join night
)

select * from final
