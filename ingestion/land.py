"""Put trusted files into `raw_<source>.<feed>`, all of a source in one dlt run; and say what is landed now.

In: `Trusted` files. Out: raw tables (all text, `_file`, `_line`, `_loaded_at`, `_dlt_load_id`) and `rejects`.
DuckDB reads the cleaned copy, Arrow batches of 100,000 rows go to dlt, dlt replaces each table by way of a staging
table in one transaction: killed anywhere, a table holds its old rows or its new ones. What a killed run left pending
in dlt's folder is dropped first: dlt would load it instead of today's data.

Restricted columns are not read at all. Refuses (LandingFailed) when the rows in a table afterwards are not the rows
that were checked.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import duckdb
import pyarrow as pa

from common import paths
from ingestion.layout import Feed
from ingestion.model import LastGood, Reject, Trusted
from ingestion.trust import csv_of

BATCH = 100_000
REJECTS = "rejects"
PROVENANCE = {"_file": "varchar", "_line": "bigint", "_loaded_at": "timestamptz", "_dlt_load_id": "varchar"}
REJECT_COLUMNS = {
    "feed": "varchar", "_file": "varchar", "_line": "bigint", "reason": "varchar", "column_name": "varchar", "record_key": "varchar",
    "school_number": "varchar", "owner": "varchar", "line_sha256": "varchar", "_loaded_at": "timestamptz",
}  # fmt: skip

# dlt reads its settings from the environment. Why each is needed:
DLT = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",  # nothing about a district leaves the machine
    "NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID": "true",  # Arrow loads carry no load id unless told
    "DESTINATION__REPLACE_STRATEGY": "insert-from-staging",  # the default leaves an empty table when killed
    "LOAD__TRUNCATE_STAGING_DATASET": "true",  # a second copy of everybody is of no use after the load
    "RESTORE_FROM_DESTINATION": "false",  # we keep no state in dlt, so there is none to restore
}


class LandingFailed(Exception):
    """What stands in the warehouse is not what was checked; the message says which feed and the numbers."""


def last_good(connection: duckdb.DuckDBPyConnection, source: str, feed: Feed) -> LastGood:
    """What is landed of a feed now, by the warehouse itself, and what the ledger remembers of it."""
    remembered = _remembered(connection, source, feed)
    columns = _columns(connection, source, feed.name)
    if "_file" not in columns:
        return LastGood(**remembered)
    query = "select count(*), coalesce(max(_file), ''), coalesce(strftime(max(_loaded_at), '%Y-%m-%d'), ''), coalesce(epoch(max(_loaded_at)), 0) from "
    rows, tag, loaded_at, epoch = connection.execute(query + _table(source, feed.name)).fetchone() or (0, "", "", 0.0)
    return LastGood(rows, tag, tuple(columns), loaded_at, epoch, **remembered)


def _remembered(connection: duckdb.DuckDBPyConnection, source: str, feed: Feed) -> dict[str, Any]:
    """What the ledger knows of a feed's good loads: the last one, and what the next one is measured against."""
    visits = connection.execute(
        """
        select status, coalesce(as_of, cast(read_at as date)), sha256, file, landed, rejected, coalesce(epoch(modified_at), 0) as modified_at,
               schools, held_schools, content_on, coalesce(accepted, false)
        from ledger.audit.source_files
        where source = ? and feed = ? and status in ('loaded', 'unchanged') order by read_at desc
        """,
        [source, feed.name],
    ).fetchall()
    loads = [visit[1:] for visit in visits if visit[0] == "loaded"]
    if not loads:
        return {}
    changed_on, sha256, file, was, was_rejected, modified_at, schools, held, content_on, _ = loads[0]
    accepted = next((at for at, load in enumerate(loads) if load[-1]), len(loads) - 1)
    return {
        "sha256": sha256, "file": file, "was": was, "was_rejected": was_rejected, "modified_at": modified_at,
        "earlier": frozenset(load[1] for load in loads) - {sha256},
        "history": tuple(load[3] for load in loads[: accepted + 1]),
        "schools": json.loads(schools or "{}"), "held_schools": tuple(json.loads(held or "[]")),
        "changed_on": changed_on, "met_on": visits[0][1], "content_on": content_on,
    }  # fmt: skip


def known_keys(connection: duckdb.DuckDBPyConnection, source: str, feed: str, column: str, among: Collection[str] | None = None) -> pa.Table:
    """The values a landed column holds, once each; only those of `among` when it is given."""
    if not column or column not in _columns(connection, source, feed):
        return pa.table({"value": pa.array([], pa.string())})
    query = f'select distinct trim("{column}") as value from {_table(source, feed)} where "{column}" is not null'
    if among is None:
        return connection.execute(query).to_arrow_table()
    return connection.execute(f'{query} and trim("{column}") in (select unnest(?))', [list(among)]).to_arrow_table()


def prepare(connection: duckdb.DuckDBPyConnection, source: str, feeds: Sequence[Feed]) -> None:
    """Every table of a source with exactly the columns of its layout, empty if it was never loaded, so that models build.

    A column the layout no longer lands goes at once, with what it held: it may just have been found confidential.
    """
    connection.execute(f'create schema if not exists "raw_{source}"')
    for feed in feeds:
        _ensure(connection, source, feed.name, dict.fromkeys(feed.landed, "varchar") | PROVENANCE)
    _ensure(connection, source, REJECTS, REJECT_COLUMNS | {"_dlt_load_id": "varchar"})


def rejects_of(connection: duckdb.DuckDBPyConnection, source: str, without: Iterable[str]) -> pa.Table:
    """The rejected lines on record, but for the feeds that are loaded anew."""
    left_out = [*without, ""]
    marks = ", ".join("?" for _ in left_out)
    query = f"select {', '.join(REJECT_COLUMNS)} from {_table(source, REJECTS)} where feed not in ({marks})"
    return connection.execute(query, left_out).to_arrow_table()


def land(source: str, files: Sequence[Trusted], kept_rejects: pa.Table, at: datetime, owner: str = "") -> None:
    """Replace the tables of these feeds, and the rejects. The warehouse must not be open in this process."""
    dlt = _dlt()
    resources = [
        dlt.resource(
            _batches(file, at),
            name=file.feed.name,
            write_disposition="replace",
            columns=_hints(dict.fromkeys(file.feed.landed, "varchar") | PROVENANCE),
        )
        for file in files
    ]
    resources.append(
        dlt.resource(
            iter([pa.concat_tables([kept_rejects.cast(_REJECT_SCHEMA), *(_rejects(file, at, owner) for file in files)])]),
            name=REJECTS,
            write_disposition="replace",
            columns=_hints(REJECT_COLUMNS),
        )
    )
    folder = paths.var() / "dlt" / "pipelines"
    shutil.rmtree(folder / f"ingestion_{source}", ignore_errors=True)
    pipeline = dlt.pipeline(
        pipeline_name=f"ingestion_{source}",
        pipelines_dir=str(folder),
        destination=dlt.destinations.duckdb(str(paths.warehouse())),
        dataset_name=f"raw_{source}",
    )
    try:
        pipeline.run(resources).raise_on_failed_jobs()
    finally:
        # The working folder holds a copy of the rows: it goes, whatever happened.
        shutil.rmtree(folder / f"ingestion_{source}", ignore_errors=True)


def confirm(connection: duckdb.DuckDBPyConnection, source: str, files: Sequence[Trusted]) -> None:
    """Rows in = rows landed + rows rejected, counted in the warehouse. Raises LandingFailed."""
    for file in files:
        landed, rejected = (
            connection.execute(f"select count(*) from {_table(source, table)} where _file = ? {extra}", [file.file.tag, *more]).fetchone()
            for table, extra, more in ((file.feed.name, "", []), (REJECTS, "and feed = ?", [file.feed.name]))
        )
        everything = connection.execute(f"select count(*) from {_table(source, file.feed.name)}").fetchone()
        if landed is None or rejected is None or everything != landed or landed[0] + rejected[0] != file.rows_in:
            raise LandingFailed(
                f"{source} {file.feed.name}: {file.rows_in:,} rows came in, but {landed and landed[0]:,} landed and {rejected and rejected[0]:,} were "
                "rejected: nothing may be built on this; run ingestion again, and report it if it happens twice"
            )


def _dlt() -> Any:
    os.environ.update(DLT | {"DLT_DATA_DIR": str(paths.var() / "dlt")})
    import dlt

    return dlt


def _batches(file: Trusted, at: datetime) -> Iterator[pa.Table]:
    """The rows of a file with where each came from."""
    names = [name for name in file.feed.landed if name in file.places]
    absent = [name for name in file.feed.landed if name not in file.places]
    columns = ", ".join(f'c{file.places[name]} as "{name}"' for name in names)
    lines = file.lines()
    with duckdb.connect(":memory:") as connection:
        reader = connection.execute(f"select {columns} from {csv_of(file)}").to_arrow_reader(BATCH)
        for batch in reader:
            table = pa.Table.from_batches([batch])
            for name in absent:
                table = table.append_column(name, pa.nulls(len(table), pa.string()))
            table = table.select(list(file.feed.landed))
            table = table.append_column("_file", pa.array([file.file.tag] * len(table), pa.string()))
            table = table.append_column("_line", pa.array(islice(lines, len(table)), pa.int64()))
            yield table.append_column("_loaded_at", pa.array([at] * len(table), pa.timestamp("us", "UTC")))


_REJECT_SCHEMA = pa.schema(
    [
        ("feed", pa.string()),
        ("_file", pa.string()),
        ("_line", pa.int64()),
        ("reason", pa.string()),
        ("column_name", pa.string()),
        ("record_key", pa.string()),
        ("school_number", pa.string()),
        ("owner", pa.string()),
        ("line_sha256", pa.string()),
        ("_loaded_at", pa.timestamp("us", "UTC")),
    ]
)


def _rejects(file: Trusted, at: datetime, owner: str) -> pa.Table:
    def row(reject: Reject) -> dict[str, Any]:
        return {
            "feed": file.feed.name,
            "_file": file.file.tag,
            "_line": reject.line,
            "reason": reject.reason,
            "column_name": reject.column or None,
            "record_key": reject.record or None,
            "school_number": reject.school_number or None,
            "owner": owner or None,
            "line_sha256": reject.sha256,
            "_loaded_at": at,
        }

    return pa.Table.from_pylist([row(reject) for reject in file.rejects], schema=_REJECT_SCHEMA)


def _hints(columns: dict[str, str]) -> dict[str, dict[str, Any]]:
    kinds = {"varchar": "text", "bigint": "bigint", "timestamptz": "timestamp"}
    return {name: {"data_type": kinds[kind], "nullable": True} for name, kind in columns.items() if name != "_dlt_load_id"}


def _ensure(connection: duckdb.DuckDBPyConnection, source: str, table: str, columns: dict[str, str]) -> None:
    present = _columns(connection, source, table)
    if not present:
        listed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        connection.execute(f"create table {_table(source, table)} ({listed})")
        return
    for name, kind in columns.items():
        if name not in present:
            connection.execute(f'alter table {_table(source, table)} add column "{name}" {kind}')
    for name in present:
        if name not in columns:
            connection.execute(f'alter table {_table(source, table)} drop column "{name}"')


def _columns(connection: duckdb.DuckDBPyConnection, source: str, table: str) -> list[str]:
    query = """
        select column_name from information_schema.columns
        where table_catalog = current_database() and table_schema = ? and table_name = ?
        order by ordinal_position
    """
    return [row[0] for row in connection.execute(query, [f"raw_{source}", table]).fetchall()]


def _table(source: str, table: str) -> str:
    return f'"raw_{source}"."{table}"'
