with source_files as (
    select
        source_files.*,
        source_files.file || '#' || substr(source_files.sha256, 1, 12) as source_file
    from {{ source('ledger_audit', 'source_files') }} as source_files
),

runs as (
    select * from {{ source('ledger_audit', 'runs') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

-- the file that is in force, read as new or found unchanged
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

loads as (
    select * from source_files
    where status = 'loaded'
),

school_night_loads as (
    select * from {{ ref('school_night_loads') }}
),

-- different files that came on school nights after one. A file proves nobody's absence when it has a rejected line that names nobody and was
-- not there yet while the one who is missing was: it may be theirs. A line that was rejected before is somebody else's
counted as (
    select
        taken.source,
        taken.feed,
        taken.source_file,
        taken.last_read_at,
        count(distinct school_night_loads.source_file) as good_loads_since
    from taken
    left join school_night_loads
        on
            taken.source = school_night_loads.source
            and taken.feed = school_night_loads.feed
            and taken.last_read_at < school_night_loads.read_at
            and coalesce(taken.last_read_at >= school_night_loads.doubt_since, true)
    group by taken.source, taken.feed, taken.source_file, taken.last_read_at
),

latest as (
    {{ deduplicate('source_files', 'source, feed', 'read_at desc') }}
),

latest_loads as (
    {{ deduplicate('loads', 'source, feed', 'read_at desc') }}
),

last_taken as (
    select
        taken.source,
        taken.feed,
        max(taken.last_read_at) as last_read_at
    from taken
    group by taken.source, taken.feed
),

-- the first night of the nights without the feed
without_feed as (
    select
        source_files.source,
        source_files.feed,
        min(coalesce(runs.as_of, night.as_of)) as not_taken_since
    from source_files
    cross join night
    inner join last_taken
        on
            source_files.source = last_taken.source
            and source_files.feed = last_taken.feed
            and source_files.read_at > last_taken.last_read_at
    left join runs on source_files.run_id = runs.run_id
    group by source_files.source, source_files.feed
),

judged as (
    select
        counted.source_file,
        counted.source,
        counted.feed,
        cast(counted.good_loads_since as integer) as good_loads_since,
        latest.status as latest_status,
        coalesce(latest_loads.doubt_since > counted.last_read_at, false) as latest_is_doubtful,
        coalesce(cast(latest_loads.rejected_keys as {{ dbt.type_string() }}), '') as latest_rejected_keys,
        coalesce(cast(latest.held_schools as {{ dbt.type_string() }}), '') as latest_held_schools,
        without_feed.not_taken_since
    from counted
    inner join latest
        on
            counted.source = latest.source
            and counted.feed = latest.feed
    left join latest_loads
        on
            counted.source = latest_loads.source
            and counted.feed = latest_loads.feed
    left join without_feed
        on
            counted.source = without_feed.source
            and counted.feed = without_feed.feed
),

-- one file under two names of a feed says what the more patient of the two says
final as (
    {{ deduplicate('judged', 'source_file', 'good_loads_since, source, feed') }}
)

select * from final
