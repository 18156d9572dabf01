"""What a build leaves behind so that its night can be rebuilt and compared: `make replay`.

In: the ledger as the build finds it, the export tables as it leaves them. Out, in the run's folder:
`memory/*.parquet` (the tables of the ledger that a night overwrites, as they were before it),
`exports.json` ({model: {rows, sha256}}) and `exports.parquet` (a number per row, so that rows can
be counted that differ; no value of a row).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import duckdb

from common import sql, store
from common.runs import Run

# Tables of the ledger that only grow, and the day a row was written: these are cut at the night's
# date instead.
GROWING = {"accounts": "minted_on", "adopted_accounts": "adopted_on", "persons": "first_seen_on"}
MOST_ROWS = 2_000_000  # above this a night keeps its digests only


def remember(run: Run) -> None:
    """Keep what this night's build will overwrite. A second build of the same night finds it kept
    already.
    """
    folder = run.folder / "memory"
    if folder.is_dir():
        return
    folder.mkdir(mode=0o700)
    with store.connect(read_only=True) as connection:
        for table in identity_tables(connection):
            if table not in GROWING:
                _copy(
                    connection, sql.name("ledger", "identity", table), folder / f"{table}.parquet"
                )
        for schema, table in observed_tables(connection):
            _copy(connection, sql.name(schema, table), folder / f"{schema}.{table}.parquet")


def _copy(connection: duckdb.DuckDBPyConnection, what: str, to: Path) -> None:
    connection.execute(f"copy {what} to {sql.text(to)} (format parquet, compression zstd)")


def observed_tables(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """What the targets were seen to hold: schema and table."""
    query = (
        "select distinct table_schema, table_name from information_schema.columns"
        " where table_catalog = current_database() and column_name = '_observed_at' order by all"
    )
    return connection.execute(query).fetchall()


def identity_tables(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The tables of the ledger that models write."""
    query = (
        "select table_name from information_schema.tables where table_catalog = 'ledger' and"
        " table_schema = 'identity' and table_type = 'BASE TABLE' order by 1"
    )
    return [row[0] for row in connection.execute(query).fetchall()]


def record(run: Run) -> dict[str, Any]:
    """Write one digest per export table, over its rows in order, whatever order they stand in."""
    digests: dict[str, Any] = {}
    with store.connect(read_only=True) as connection:
        query = (
            "select table_name from information_schema.tables where table_schema = 'exports' and"
            " table_catalog = current_database() order by 1"
        )
        models = [row[0] for row in connection.execute(query).fetchall()]
        for model in models:
            digests[model] = digest(connection, model)
        kept = [
            f"select {sql.text(model)} as model, md5_number_lower(cast(to_json(t) as varchar))"
            f" as row from {sql.name('exports', model)} as t"
            for model in models
        ]
        if kept and sum(one["rows"] for one in digests.values()) <= MOST_ROWS:
            every = f"({' union all '.join(kept)} order by all)"
            _copy(connection, every, run.folder / "exports.parquet")
    run.write("exports.json", digests)
    return digests


def digest(connection: duckdb.DuckDBPyConnection, model: str) -> dict[str, Any]:
    """Rows and one hash of an export table."""
    total, rows = hashlib.sha256(), 0
    cursor = connection.execute(
        f"select md5(cast(to_json(t) as varchar)) from {sql.name('exports', model)} as t order by 1"
    )
    while found := cursor.fetchmany(50_000):
        rows += len(found)
        total.update("".join(row[0] for row in found).encode())
    return {"rows": rows, "sha256": total.hexdigest()}
