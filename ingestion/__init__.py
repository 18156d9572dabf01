"""Reading source systems: fetch a feed, check that it can be trusted, archive its bytes, land it in
`raw_<source>`.

In: the `[sources.*]` tables of the settings. Out: raw tables that are last good or newer, never
truncated; the archive; `feeds.json`, findings and `audit.source_files`. Imports dlt, never dbt and
never reverse_etl.

    python -m ingestion                    all sources
    python -m ingestion --source myedbc    one of them
    python -m ingestion check              is each source there, and which files does it hold?
"""
