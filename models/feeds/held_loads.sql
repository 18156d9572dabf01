-- a school that lacks its rows is held, and its feed passes for the others: for this school that feed was no good one

with source_files as (
    select
        source_files.*,
        source_files.file || '#' || substr(source_files.sha256, 1, 12) as source_file
    from {{ source('ledger_audit', 'source_files') }} as source_files
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

-- a list as JSON writes it, of numbers
held as (
    select
        loads.source,
        loads.feed,
        loads.source_file,
        loads.read_at,
        {{ split_to_rows(regex_replace('loads.held_schools', '[^0-9A-Za-z,]', '')) }} as school_number
    from {{ ref('school_night_loads') }} as loads
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
    where held.school_number <> ''
    group by taken.source_file, held.school_number
)

select * from final
