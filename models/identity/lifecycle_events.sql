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

night as (

    select * from {{ source('homeroom', 'night') }}

),

tonight as (

    select
        records.person_id,
        records.state,
        -- someone missing from the feed keeps the state last seen: absence alone takes nothing away
        case when records.is_in_feed then records.reason else 'vanished' end as reason
    from records

),

earlier as (

    {% if is_incremental() %}
    {{ first_row_per(this, 'person_id', 'event_number desc') }}
    {% else %}
    select
        cast(null as {{ dbt.type_string() }}) as person_id,
        cast(null as integer) as event_number,
        cast(null as {{ dbt.type_string() }}) as state,
        cast(null as {{ dbt.type_string() }}) as reason,
        cast(null as date) as since
    from night
    where 1 = 0
    {% endif %}

),

final as (

    select
        tonight.person_id,
        coalesce(earlier.event_number, 0) + 1 as event_number,
        tonight.state,
        tonight.reason,
        case when tonight.state = earlier.state then earlier.since else night.as_of end as since,
        night.as_of as recorded_on,
        night.run_id
    from tonight
    cross join night
    left join earlier
        on tonight.person_id = earlier.person_id
    where
        earlier.person_id is null
        or tonight.state <> earlier.state
        or tonight.reason <> earlier.reason

)

select * from final
