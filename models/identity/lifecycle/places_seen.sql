{{ config(
    materialized='incremental',
    incremental_strategy='append',
    database='ledger',
    full_refresh=false,
    on_schema_change='append_new_columns',
) }}

with records as (
    select * from {{ ref('person_records') }}
    where is_in_feed
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

earlier as (
    {% if is_incremental() %}
    {{ deduplicate(this, 'person_id', 'seen_on desc, school_number, grade_code') }}
    {% else %}
    select
        cast(null as {{ dbt.type_string() }}) as person_id,
        cast(null as {{ dbt.type_string() }}) as school_number,
        cast(null as {{ dbt.type_string() }}) as grade_code,
        cast(null as {{ dbt.type_string() }}) as state,
        cast(null as date) as seen_on
    {% endif %}
),

final as (
    select
        records.person_id,
        records.school_number,
        records.grade_code,
        records.state,
        night.as_of as seen_on
    from records
    cross join night
    left join earlier
        on records.person_id = earlier.person_id
    -- a second run of one day neither repeats nor corrects what the first one saw
    where
        earlier.person_id is null
        or (
            earlier.seen_on < night.as_of
            and (
                records.school_number is distinct from earlier.school_number
                or records.grade_code is distinct from earlier.grade_code
                or records.state <> earlier.state
            )
        )
)

select * from final
