"""Read the tables of a SQL source: one SELECT each, everything as text, only the columns the
settings list.

In: `[sources.<name>]` with `url` and `tables`. Out: per table a `Fetched` CSV file (`table.write`),
which then goes the way of all files: checked, archived, landed. A table with a `cursor` is read
from its last value on and merged by key into the last good file; every seventh day it is read
whole. The database is opened read-only where it can be. Refuses nothing itself but a database it
cannot reach (SourceUnreachableError) and a table that is not there (Problem). SQLite, PostgreSQL
and DuckDB (`duck`) are tried; SQL Server and MySQL take the same road, untried. The address, which
holds a password, never enters a message.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from common import paths
from common.addresses import postgres_in_the_clear
from common.findings import Finding
from ingestion import cursor, duck, table
from ingestion.configured import Limits, SqlSource, SqlTable
from ingestion.layout import Feed, Layout, plain
from ingestion.model import Fetch, Fetched, Look, Problem, SourceUnreachableError

BATCH = 5_000  # rows held at once, each value as long as the limits allow


class TooManyRowsError(Exception):
    """A table that is larger than the limits allow."""


@dataclass(frozen=True)
class Changes:
    """Read only the rows whose column `by` is at or behind a point, and merge them into the file of
    that time.
    """

    by: str
    since: cursor.Since


def fetch(source: str, settings: SqlSource, layout: Layout) -> Fetch:
    """Read every table of the source into a file here."""
    import sqlalchemy

    into = paths.var() / "inbox" / ".fetched" / source
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True, mode=0o700)
    engine = _engine(source, settings.url)
    try:
        inspector = _inspected(source, engine)
        feeds: dict[str, Fetched | Problem] = {}
        notes: list[Finding] = []
        for feed in layout.feeds:
            facts = settings.tables[feed.name]
            name, schema = facts.table or feed.name, facts.within
            try:
                present = {
                    plain(column["name"]): column["name"]
                    for column in inspector.get_columns(name, schema=schema)
                }
            except (sqlalchemy.exc.NoSuchTableError, duck.MissingTableError):
                feeds[feed.name] = Problem("feed_table_missing", {"table": name})
                continue
            columns = [
                present[plain(column.heading)]
                for column in feed.read
                if plain(column.heading) in present
            ]
            by = _cursor(facts, columns)
            changes = _changes(source, feed, facts, columns, by=by, into=into, notes=notes)
            feeds[feed.name] = found = _read(
                engine, (schema, name), columns, feed, into / f"{feed.name}.csv", changes=changes
            )
            if facts.cursor and changes is None and isinstance(found, Fetched):
                cursor.read_whole(source, feed, by, columns, found=found, notes=notes)
    finally:
        engine.dispose()
    return Fetch(feeds, tuple(notes))


def look(source: str, settings: SqlSource, layout: Layout) -> Look:
    """Is the database there, and are its tables? For `check`."""
    engine = _engine(source, settings.url)
    try:
        inspector = _inspected(source, engine)
        absent = []
        for feed in layout.feeds:
            facts = settings.tables[feed.name]
            if not inspector.has_table(facts.table or feed.name, schema=facts.within):
                absent.append(feed.name)
    finally:
        engine.dispose()
    there = (
        f"{engine.dialect.name} database: {len(layout.feeds) - len(absent)} of"
        f" {len(layout.feeds)} tables there"
    )
    return Look(
        there
        + (
            f", missing {', '.join(absent)}; ask whether they were renamed, or grant them to our"
            " user"
            if absent
            else ""
        ),
        not absent,
    )


def _engine(source: str, url: str) -> Any:
    """An engine for the address: read-only, dates as ISO text, time in UTC."""
    import sqlalchemy

    if not url:
        raise SourceUnreachableError(
            f"setting sources.{source}.url is missing: put url under [sources.{source}] in"
            f" .dlt/secrets.toml, or set SOURCES__{source.upper()}__URL"
        )
    try:
        address = sqlalchemy.make_url(url)
    except sqlalchemy.exc.ArgumentError:
        raise SourceUnreachableError(
            f"sources.{source}.url is no database address: it must read like"
            " postgresql+psycopg2://user@host/database"
        ) from None
    if address.get_backend_name() in {"sqlite", "duckdb"}:
        path = Path(address.database or "")
        if not path.is_file():
            kind = "SQLite" if address.get_backend_name() == "sqlite" else "DuckDB"
            raise SourceUnreachableError(
                f"the {kind} file {path} is not there; check sources.{source}.url"
            )
        if address.get_backend_name() == "duckdb":
            return _duckdb(source, path)
        # Opening a SQLite file that is not there would make one; read-only never does.
        return sqlalchemy.create_engine(
            "sqlite://",
            creator=lambda: sqlite3.connect(
                f"file:{quote(str(path))}?mode=ro", uri=True, check_same_thread=False
            ),
        )
    if address.get_backend_name() == "postgresql":
        if clear := postgres_in_the_clear(address.host, address.query):
            raise SourceUnreachableError(f"sources.{source}.url: {clear}")
        if (
            address.drivername == "postgresql"
        ):  # the driver we install; SQLAlchemy's own default is another
            address = address.set(drivername="postgresql+psycopg2")
        options = "-c default_transaction_read_only=on -c datestyle=ISO -c timezone=UTC"
        return sqlalchemy.create_engine(
            address, connect_args={"options": options, "connect_timeout": 30}
        )
    try:
        return sqlalchemy.create_engine(address)
    except sqlalchemy.exc.NoSuchModuleError:
        raise SourceUnreachableError(
            f"sources.{source}.url begins with {address.drivername}, which is no database known"
            " here; it must read like postgresql+psycopg2://user@host/database"
        ) from None
    except ImportError as error:
        raise SourceUnreachableError(
            f"sources.{source}.url wants the driver {error.name or address.drivername}, which is"
            " not installed; install it into .venv (pyproject.toml names tried versions)"
        ) from None


def _duckdb(source: str, path: Path) -> duck.Engine:
    try:
        return duck.Engine(path)
    except duck.DuckError as error:
        raise SourceUnreachableError(
            f"the DuckDB file {path} cannot be opened ({error}): it is no DuckDB file of a version"
            " known here, or another program is writing to it; have it read from a copy, and check"
            f" sources.{source}.url"
        ) from None


def _inspected(source: str, engine: Any) -> Any:
    import sqlalchemy

    if isinstance(engine, duck.Engine):
        return engine
    try:
        return sqlalchemy.inspect(engine)
    except sqlalchemy.exc.SQLAlchemyError as error:
        why = str(getattr(error, "orig", None) or type(error).__name__).strip().splitlines()[0]
        raise SourceUnreachableError(
            f"the database of {source} cannot be reached ({why}); check sources.{source}.url and"
            " the server, then run again"
        ) from None


def _cursor(facts: SqlTable, columns: list[str]) -> str:
    """The column to read by, as the database calls it; '' for none."""
    wanted = plain(facts.cursor)
    return next((column for column in columns if plain(column) == wanted), "") if wanted else ""


def _changes(
    source: str,
    feed: Feed,
    facts: SqlTable,
    columns: list[str],
    *,
    by: str,
    into: Path,
    notes: list[Finding],
) -> Changes | None:
    """The column to read by and from where on; None: the whole table."""
    if not by:
        return None
    days = facts.full_every_days
    found = cursor.since(source, feed, by, columns, full_every_days=days, into=into, notes=notes)
    return Changes(by, found) if found else None


def _read(
    engine: Any,
    where: tuple[str | None, str],
    columns: list[str],
    feed: Feed,
    to: Path,
    *,
    changes: Changes | None,
) -> Fetched | Problem:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return table.write(
            _sized(_batches(engine, where, columns, changes, feed.limits), feed.limits),
            columns,
            feed,
            to,
            changes and changes.since.before,
        )
    except TooManyRowsError:
        return Problem("feed_too_many_rows", {"most": feed.limits.file_megabytes})
    except (SQLAlchemyError, duck.DuckError) as error:
        # The driver's own message may quote a value; only its kind is told.
        if isinstance(error, duck.DuckError):
            return Problem("feed_table_unread", {"table": where[1], "error": str(error)})
        return Problem("feed_table_unread", {"table": where[1], "error": type(error).__name__})


def _sized(batches: Iterator[Any], limits: Limits) -> Iterator[Any]:
    """The same, as long as they are no more in all than the limits allow."""
    size = 0
    for found in batches:
        size += found.nbytes
        if size > limits.file_bytes:
            raise TooManyRowsError
        yield found


def _batches(
    engine: Any,
    where: tuple[str | None, str],
    columns: list[str],
    changes: Changes | None,
    limits: Limits,
) -> Iterator[Any]:
    """Arrow tables of text: the database itself casts, so a number keeps its digits; a date is read
    as a date, for what a server makes of one in words (Jun 30 2026 12:00AM) is its own affair. A
    value that is too long is cut there, one character behind what is told for too long.
    """
    import sqlalchemy

    schema, name = where
    if isinstance(engine, duck.Engine):
        by = {"at": changes.by, "since": changes.since.value} if changes else {}
        yield from engine.batches(name, schema, columns, limits.value + 1, BATCH, **by)
        return
    there = sqlalchemy.Table(
        name, sqlalchemy.MetaData(), schema=schema, autoload_with=engine, resolve_fks=False
    )
    # SQLite has no dates, only texts; PostgreSQL was told to write them as ISO (`_engine`)
    of_its_own = engine.dialect.name in {"sqlite", "postgresql"}
    days = (sqlalchemy.Date, sqlalchemy.DateTime, sqlalchemy.Time)
    named = {"sqlite": "substr", "oracle": "substr"}
    part = getattr(sqlalchemy.func, named.get(engine.dialect.name, "substring"))
    query = sqlalchemy.select(
        *(
            there.c[name].label(name)
            if isinstance(there.c[name].type, days) and not of_its_own
            else part(
                sqlalchemy.cast(there.c[name], sqlalchemy.UnicodeText), 1, limits.value + 1
            ).label(name)
            for name in columns
        )
    )
    if changes is not None:
        by, value = there.c[changes.by], sqlalchemy.literal(changes.since.value, sqlalchemy.String)
        if engine.dialect.name != "sqlite":  # which has no time type, and compares its texts
            value = sqlalchemy.cast(value, by.type)
        else:
            by = sqlalchemy.type_coerce(by, sqlalchemy.String)
        # A row without a stamp may have changed at any time.
        query = query.where(sqlalchemy.or_(by >= value, by.is_(None)))
    with engine.connect() as connection:
        for rows in connection.execution_options(yield_per=BATCH).execute(query).partitions():
            yield pa.table(
                {
                    column: pa.array(map(_text, values), pa.string())
                    for column, values in zip(columns, zip(*rows, strict=True), strict=True)
                }
            )


def _text(value: Any) -> str | None:
    """A value as it is written to a file: dates and times as ISO."""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return value.isoformat() if isinstance(value, date | time) else value
