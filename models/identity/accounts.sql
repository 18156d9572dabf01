{{ config(
    materialized='incremental',
    incremental_strategy='append',
    database='ledger',
    full_refresh=false,
    on_schema_change='fail',
) }}

with

records as (

    select * from {{ ref('person_records') }}

),

lifecycle as (

    select * from {{ ref('lifecycle') }}

),

policies as (

    select * from {{ ref('name_policy') }}

),

names_taken as (

    select * from {{ ref('names_taken') }}

),

night as (

    select * from {{ source('homeroom', 'night') }}

),

issued as (

    {% if is_incremental() %}
    select person_id, account_name
    from {{ this }}
    {% else %}
    select
        cast(null as {{ dbt.type_string() }}) as person_id,
        cast(null as {{ dbt.type_string() }}) as account_name
    from night
    where 1 = 0
    {% endif %}

),

-- people who had left before we first saw them need no account; they get one the night they come back
new_people as (

    select records.*
    from records
    inner join lifecycle
        on records.person_id = lifecycle.person_id
    left join issued
        on records.person_id = issued.person_id
    where
        lifecycle.is_open
        -- seed no_account: people the district gives none, see identity.presence
        and coalesce(lifecycle.reason, '') not like 'filtered: %'
        and issued.person_id is null

),

-- an account in a tenant that carries the key of a person the ledger does not know is that person's: a lost ledger
-- must not give anyone a second name, nor anyone else that name
observed_names as (

    select
        new_people.person_id,
        names_taken.account_name,
        names_taken.target
    from new_people
    inner join names_taken
        on
            new_people.person_id = names_taken.person_id
            and names_taken.kind = 'user'
    left join issued
        on names_taken.account_name = issued.account_name
    where issued.account_name is null

),

one_name_per_person as (

    {{ first_row_per('observed_names', 'person_id', 'target, account_name') }}

),

recovered as (

    {{ first_row_per('one_name_per_person', 'account_name', 'target, person_id') }}

),

name_parts as (

    select
        new_people.person_id,
        new_people.population,
        new_people.source_key,
        new_people.first_name,
        {{ account_name_part('new_people.first_name', 'policies') }} as first_part,
        {{ account_name_part('new_people.last_name', 'policies') }} as last_part
    from new_people
    inner join policies
        on new_people.population = policies.population
    left join recovered
        on new_people.person_id = recovered.person_id
    where recovered.person_id is null

),

bases as (

    select
        name_parts.person_id,
        name_parts.population,
        name_parts.source_key,
        name_parts.first_name,
        policies.policy,
        policies.fallback_suffix,
        {{ account_name_base('name_parts.first_part', 'name_parts.last_part', 'policies') }} as name_base
    from name_parts
    inner join policies
        on name_parts.population = policies.population

),

named as (

    select
        bases.person_id,
        bases.population,
        coalesce(bases.name_base, {{ account_name_fallback('bases.source_key', 'bases') }}) as base_name,
        bases.policy || '/' || case
            when bases.name_base is null then 'fallback'
            when bases.first_name is null then 'mononym'
            else 'pattern'
        end as policy
    from bases

),

taken as (

    select issued.account_name from issued
    union
    select names_taken.account_name from names_taken
    union
    select recovered.account_name from recovered

),

taken_numbers as (

    select distinct
        {{ name_without_number('taken.account_name') }} as base_name,
        {{ number_of_name('taken.account_name') }} as number
    from taken

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
        named.*,
        row_number() over (partition by named.base_name order by named.person_id) as place
    from named

),

numbered as (

    select
        placed.person_id,
        placed.population,
        placed.base_name,
        placed.policy,
        cast(placed.place + count(passed_numbers.base_name) as integer) as number
    from placed
    left join passed_numbers
        on
            placed.base_name = passed_numbers.base_name
            and placed.place > passed_numbers.free_below
    group by placed.person_id, placed.population, placed.base_name, placed.policy, placed.place

),

minted as (

    select
        numbered.person_id,
        numbered.population,
        numbered.base_name
        || case when numbered.number = 1 then '' else cast(numbered.number as {{ dbt.type_string() }}) end as account_name,
        numbered.base_name,
        numbered.number,
        numbered.policy
    from numbered

    union all

    select
        new_people.person_id,
        new_people.population,
        recovered.account_name,
        {{ name_without_number('recovered.account_name') }} as base_name,
        {{ number_of_name('recovered.account_name') }} as number,
        'recovered from ' || recovered.target as policy
    from recovered
    inner join new_people
        on recovered.person_id = new_people.person_id

),

final as (

    select
        minted.person_id,
        minted.account_name,
        policies.domain,
        minted.base_name,
        minted.number,
        minted.policy,
        night.as_of as minted_on
    from minted
    inner join policies
        on minted.population = policies.population
    cross join night

)

select * from final
