"""Rows of a table or an API as one CSV file, so that they can be checked, archived and landed as
files are.

In: Arrow tables of text, the columns, the key; for a read of changes also the file they change.
Out: a `Fetched` file: UTF-8, headings, every value quoted, rows in the order of the key. Equal rows
give equal bytes, so a table nobody touched is recognised by its hash. Changes are merged by key: a
row that came replaces the one it had.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from common import database, files, sql
from ingestion.layout import Feed, plain
from ingestion.model import Fetched


def write(
    batches: Iterable[Any], columns: Sequence[str], feed: Feed, to: Path, before: Path | None = None
) -> Fetched:
    """Write the rows to `to`; with `before`, its rows too, but for those that came again."""
    names = ", ".join(f"{sql.name(name)} varchar" for name in columns)
    keys = [name for key in feed.key for name in columns if plain(name) == plain(key)]
    order = ", ".join(
        f"{sql.name(name)} nulls first"
        for name in [*keys, *(name for name in columns if name not in keys)]
    )
    with connected() as connection:
        connection.execute(f"create table found ({names})")
        for batch in batches:
            connection.register("batch", batch)
            connection.execute("insert into found by name select * from batch")
            connection.unregister("batch")
        if before:
            same = " and ".join(
                f"found.{sql.name(name)} is not distinct from earlier.{sql.name(name)}"
                for name in keys
            )
            connection.execute(
                f"insert into found by name select * from {earlier(before, columns)} as earlier"
                f" where not exists (from found where {same})"
            )
        connection.execute(
            f"copy (select * from found order by {order}) to {sql.text(to)} (format csv, header"
            " true, delimiter ',', quote '\"', force_quote *)"
        )
    digest = files.sha256(to)
    return Fetched(feed.name, to, digest, to.stat().st_size, datetime.now(UTC))


def earlier(path: Path, columns: Sequence[str]) -> str:
    """The SQL that reads a file this module wrote."""
    listed = ", ".join(f"{sql.text(name)}: 'varchar'" for name in columns)
    return (
        f"read_csv({sql.text(path)}, auto_detect = false, header = true, columns = {{{listed}}},"
        " delim = ',', quote = '\"', escape = '\"', nullstr = '', allow_quoted_nulls = true,"
        " parallel = false)"
    )


def connected() -> duckdb.DuckDBPyConnection:
    """A database in memory that spills below var/ and thinks in UTC."""
    connection = database.connect(memory_limit=memory())
    connection.execute("set TimeZone = 'UTC'")
    return connection


def memory() -> str:
    """How much DuckDB may hold before it spills, as `HOMEROOM_MEMORY` says: half of what a whole
    night may take.
    """
    return database.memory("512MB")
