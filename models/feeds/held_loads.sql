-- a school that lacks its rows is held, and its feed passes for the others: for this school that feed was no good one

with source_files as (
    select
        source_files.*,
        source_files.file || '#' || substr(source_files.sha256, 1, 12) as source_file
    from {{ source('ledger_audit', 'source_files') }} as source_files
),

schools as (
    select * from {{ ref('intake_schools') }}
),

taken as (
    select
        source_files.source,
        source_files.feed,
        source_files.source_file,
        max(source_files.read_at) as last_read_at
    from source_files
    where source_files.status in ('loaded', 'unchanged')
    group by source_files.source, source_files.feed, source_files.source_file
),

held as (
    select
        loads.source,
        loads.feed,
        loads.source_file,
        loads.read_at,
        schools.school_number
    from {{ ref('school_night_loads') }} as loads
    inner join schools
        on {{ dbt.position("'\"' || schools.school_number || '\"'", 'loads.held_schools') }} > 0
),

final as (
    select
        taken.source_file,
        held.school_number,
        cast(count(distinct held.source_file) as integer) as held_loads_since
    from taken
    inner join held
        on
            taken.source = held.source
            and taken.feed = held.feed
            and taken.last_read_at < held.read_at
    group by taken.source_file, held.school_number
)

select * from final
