{{ config(
    materialized='incremental',
    incremental_strategy='append',
    database='ledger',
    full_refresh=false,
    on_schema_change='fail',
) }}

with

presence as (

    select * from {{ ref('presence') }}

),

night as (

    select * from {{ source('homeroom', 'night') }}

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
        presence.person_id,
        coalesce(earlier.event_number, 0) + 1 as event_number,
        presence.state,
        presence.reason,
        case when presence.state = earlier.state then earlier.since else night.as_of end as since,
        night.as_of as recorded_on,
        night.run_id
    from presence
    cross join night
    left join earlier
        on presence.person_id = earlier.person_id
    where
        earlier.person_id is null
        or presence.state <> earlier.state
        or presence.reason <> earlier.reason

)

select * from final
