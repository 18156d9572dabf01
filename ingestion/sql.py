"""Read the tables of a SQL source: one SELECT each, everything as text, only the columns the settings list.

In: `[sources.<name>]` with `url` and `tables`. Out: per table a `Fetched` CSV file (UTF-8, headings, every value
quoted, rows in the order of the key), which then goes the way of all files: checked, archived, landed. Equal tables
give equal bytes, so an unchanged table is recognised by its hash. The database is opened read-only where it can be.
Refuses nothing itself but a database it cannot reach (SourceUnreachable) and a table that is not there (Problem).
SQLite and PostgreSQL are tried. The address, which holds a password, never enters a message.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb

from common import paths
from ingestion.layout import Feed, Layout, plain
from ingestion.model import Fetch, Fetched, Problem, SourceUnreachable

BATCH = 50_000


def fetch(source: str, settings: Mapping[str, Any], layout: Layout) -> Fetch:
    """Read every table of the source into a file here."""
    import sqlalchemy

    into = paths.var() / "inbox" / ".fetched" / source
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True, mode=0o700)
    engine = _engine(source, str(settings.get("url", "")))
    try:
        inspector = _inspected(source, engine)
        feeds: dict[str, Fetched | Problem] = {}
        for feed in layout.feeds:
            facts = settings["tables"][feed.name]
            table, schema = str(facts.get("table", feed.name)), facts.get("schema")
            try:
                present = {plain(column["name"]): column["name"] for column in inspector.get_columns(table, schema=schema)}
            except sqlalchemy.exc.NoSuchTableError:
                feeds[feed.name] = Problem("missing", f"table {table} is not in the database, or its user may not read it")
                continue
            columns = [present[plain(column.heading)] for column in feed.columns if plain(column.heading) in present]
            feeds[feed.name] = _read(engine, (schema, table), columns, feed, into / f"{feed.name}.csv")
    finally:
        engine.dispose()
    return Fetch(feeds)


def look(source: str, settings: Mapping[str, Any], layout: Layout) -> str:
    """Is the database there, and are its tables? One line for `check`."""
    engine = _engine(source, str(settings.get("url", "")))
    try:
        inspector = _inspected(source, engine)
        absent = []
        for feed in layout.feeds:
            facts = settings["tables"][feed.name]
            if not inspector.has_table(str(facts.get("table", feed.name)), schema=facts.get("schema")):
                absent.append(feed.name)
    finally:
        engine.dispose()
    there = f"{engine.dialect.name} database: {len(layout.feeds) - len(absent)} of {len(layout.feeds)} tables there"
    return there + (f", missing {', '.join(absent)}" if absent else "")


def _engine(source: str, url: str) -> Any:
    """An engine for the address: read-only, dates as ISO text, time in UTC."""
    import sqlalchemy

    if not url:
        raise SourceUnreachable(
            f"setting sources.{source}.url is missing: put url under [sources.{source}] in .dlt/secrets.toml, or set SOURCES__{source.upper()}__URL"
        )
    try:
        address = sqlalchemy.make_url(url)
    except sqlalchemy.exc.ArgumentError:
        raise SourceUnreachable(f"sources.{source}.url is no database address: it must read like postgresql+psycopg2://user@host/database") from None
    if address.get_backend_name() == "sqlite":
        path = Path(address.database or "")
        if not path.is_file():
            raise SourceUnreachable(f"the SQLite file {path} is not there; check sources.{source}.url")
        # Opening a SQLite file that is not there would make one; read-only never does.
        return sqlalchemy.create_engine("sqlite://", creator=lambda: sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, check_same_thread=False))
    if address.get_backend_name() == "postgresql":
        if address.drivername == "postgresql":  # the driver we install; SQLAlchemy's own default is another
            address = address.set(drivername="postgresql+psycopg2")
        options = "-c default_transaction_read_only=on -c datestyle=ISO -c timezone=UTC"
        return sqlalchemy.create_engine(address, connect_args={"options": options, "connect_timeout": 30})
    return sqlalchemy.create_engine(address)


def _inspected(source: str, engine: Any) -> Any:
    import sqlalchemy

    try:
        return sqlalchemy.inspect(engine)
    except sqlalchemy.exc.SQLAlchemyError as error:
        why = str(getattr(error, "orig", None) or type(error).__name__).strip().splitlines()[0]
        raise SourceUnreachable(f"the database of {source} cannot be reached ({why}); check sources.{source}.url and the server, then run again") from None


def _read(engine: Any, table: tuple[str | None, str], columns: list[str], feed: Feed, to: Path) -> Fetched | Problem:
    from dlt.common.exceptions import DltException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        _write(_batches(engine, table, columns), columns, feed, to)
    except (DltException, SQLAlchemyError) as error:
        # The driver's own message may quote a value; only its kind is told.
        return Problem("unstable", f"table {table[1]} could not be read to its end ({type(error).__name__})")
    with to.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Fetched(feed.name, to, digest, to.stat().st_size, datetime.now(UTC))


def _batches(engine: Any, table: tuple[str | None, str], columns: list[str]) -> Iterator[Any]:
    """Arrow tables of text: the database itself casts, so a number keeps its digits and a date is ISO."""
    import sqlalchemy
    from dlt.sources.sql_database import sql_table

    def as_text(_query: Any, reflected: Any, *_rest: Any) -> Any:
        return sqlalchemy.select(*(sqlalchemy.cast(reflected.c[name], sqlalchemy.Text).label(name) for name in columns))

    yield from sql_table(
        engine,
        table=table[1],
        schema=table[0],
        chunk_size=BATCH,
        backend="pyarrow",
        included_columns=columns,
        type_adapter_callback=lambda _type: sqlalchemy.Text(),
        query_adapter_callback=as_text,
    )


def _write(batches: Iterator[Any], columns: list[str], feed: Feed, to: Path) -> None:
    """One CSV file, rows sorted by the key and then by everything, so that equal tables give equal bytes."""
    names = ", ".join(f'"{name}" varchar' for name in columns)
    keys = [name for key in feed.key for name in columns if plain(name) == plain(key)]
    order = ", ".join(f'"{name}" nulls first' for name in [*keys, *(name for name in columns if name not in keys)])
    spill = {"temp_directory": str(paths.var() / "tmp"), "memory_limit": os.environ.get("HOMEROOM_MEMORY", "1GB")}
    with duckdb.connect(":memory:", config=spill) as connection:
        connection.execute(f"create table found ({names})")
        for batch in batches:
            connection.register("batch", batch)
            connection.execute("insert into found by name select * from batch")
            connection.unregister("batch")
        target = str(to).replace("'", "''")
        connection.execute(f"copy (select * from found order by {order}) to '{target}' (format csv, header true, delimiter ',', quote '\"', force_quote *)")
