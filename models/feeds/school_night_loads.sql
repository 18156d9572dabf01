with source_files as (
    select
        source_files.*,
        source_files.file || '#' || substr(source_files.sha256, 1, 12) as source_file
    from {{ source('ledger_audit', 'source_files') }} as source_files
),

runs as (
    select * from {{ source('ledger_audit', 'runs') }}
),

closed_days as (
    select
        closed.first_day,
        closed.last_day,
        closed.source
    from {{ ref('closed_days') }} as closed
    union all
    select
        events.starts_on as first_day,
        events.ends_on as last_day,
        cast(null as {{ dbt.type_string() }}) as source
    from {{ ref('district_events') }} as events
    where events.event = 'holidays'
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

loads as (
    select
        source_files.source,
        source_files.feed,
        -- a table that is read every night is as good a witness when nothing in it changed
        case
            when source_files.is_live then cast(coalesce(runs.as_of, night.as_of) as {{ dbt.type_string() }})
            else source_files.source_file
        end as source_file,
        source_files.read_at,
        source_files.doubt_since,
        cast(source_files.held_schools as {{ dbt.type_string() }}) as held_schools,
        -- the run of tonight is not in the ledger yet
        coalesce(runs.as_of, night.as_of) as night
    from source_files
    cross join night
    left join runs on source_files.run_id = runs.run_id
    where
        source_files.status = 'loaded'
        or (source_files.status = 'unchanged' and source_files.is_live)
),

final as (
    select loads.*
    from loads
    left join closed_days
        on
            loads.night between closed_days.first_day and closed_days.last_day
            and coalesce(closed_days.source, loads.source) = loads.source
    where
        closed_days.first_day is null
        -- counted from a Monday
        and {{ dbt.datediff("cast('2024-01-01' as date)", 'loads.night', 'day') }} % 7 < 5
)

select * from final
