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
    select * from {{ source('homeroom', 'night') }}
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

-- a file with rejected lines proves nobody's absence: the line of the one who is missing may be among them
good_loads as (
    select
        source_files.source,
        source_files.feed,
        source_files.source_file,
        max(source_files.read_at) as loaded_at
    from source_files
    where
        source_files.status = 'loaded'
        and coalesce(source_files.rejected, 0) = 0
    group by source_files.source, source_files.feed, source_files.source_file
),

moments as (
    select
        taken.source,
        taken.feed,
        taken.source_file,
        taken.last_read_at as moment,
        0 as good_load
    from taken
    union all
    select
        good_loads.source,
        good_loads.feed,
        good_loads.source_file,
        good_loads.loaded_at as moment,
        1 as good_load
    from good_loads
),

counted as (
    select
        moments.source,
        moments.feed,
        moments.source_file,
        moments.good_load,
        sum(moments.good_load) over (
            partition by moments.source, moments.feed
            order by moments.moment desc, moments.good_load asc, moments.source_file asc
            rows between unbounded preceding and current row
        ) as good_loads_since
    from moments
),

latest as (
    {{ first_row_per('source_files', 'source, feed', 'read_at desc') }}
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
        coalesce(latest.rejected, 0) > 0 as latest_has_rejects,
        without_feed.not_taken_since
    from counted
    inner join latest
        on
            counted.source = latest.source
            and counted.feed = latest.feed
    left join without_feed
        on
            counted.source = without_feed.source
            and counted.feed = without_feed.feed
    where counted.good_load = 0
),

-- one file under two names of a feed says what the more patient of the two says
final as (
    {{ first_row_per('judged', 'source_file', 'good_loads_since, source, feed') }}
)

select * from final
