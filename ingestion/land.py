"""Put trusted files into `raw_<source>.<feed>`, all of a source in one dlt run; and say what is
landed now.

In: `Trusted` files. Out: raw tables (all text, `_file`, `_line`, `_loaded_at`, `_run_id`,
`_dlt_load_id`) and `rejects`. DuckDB writes each cleaned copy as Parquet, dlt loads it into a table
beside the one in force, and one transaction puts all tables of the source in their places after the
rows were counted: a table holds its old rows or its new ones, whenever the night is killed
(docs/decisions/0005-landing-beside.md).

Restricted columns are not read at all. Refuses (LandingError) when the rows that arrived are not
the rows that were checked: then nothing of the source is replaced.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from common import database, paths, sql
from common.runs import Run
from ingestion import junk
from ingestion.layout import Feed
from ingestion.model import LastGood, Trusted
from ingestion.table import memory
from ingestion.trust import csv_of, value_of
from ingestion.values import DECIMAL

REJECTS = "rejects"
MOST_KEYS = 10_000  # more rejected rows than that are told as if they named nobody
BESIDE = "new_"  # dlt loads a feed into a table of that name first
PROVENANCE = {
    "_file": "varchar",
    "_line": "bigint",
    "_loaded_at": "timestamptz",
    "_run_id": "varchar",
    "_dlt_load_id": "varchar",
}
REJECT_COLUMNS = {
    "feed": "varchar",
    "_file": "varchar",
    "_line": "bigint",
    "code": "varchar",
    "values": "varchar",  # of the code, as JSON
    "reason": "varchar",  # what they say, for whoever asks this table
    "column_name": "varchar",
    "record_key": "varchar",
    "school_number": "varchar",
    "owner": "varchar",
    "line_sha256": "varchar",
    "rejected_since": "timestamptz",
    "_loaded_at": "timestamptz",
    "_run_id": "varchar",
}

# dlt reads its settings from the environment. Why each is needed:
DLT = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",  # nothing about a district leaves the machine
    "DESTINATION__REPLACE_STRATEGY": (
        "truncate-and-insert"
    ),  # into a table beside: no second copy in a staging dataset
    "RESTORE_FROM_DESTINATION": "false",  # we keep no state in dlt, so there is none to restore
}


class LandingError(Exception):
    """What stands in the warehouse is not what was checked; the message says which feed and the
    numbers.
    """


def last_good(connection: duckdb.DuckDBPyConnection, source: str, feed: Feed) -> LastGood:
    """What is landed of a feed now, by the warehouse itself, and what the ledger
    remembers of it.
    """
    remembered = _remembered(connection, source, feed)
    columns = _columns(connection, source, feed.name)
    if "_file" not in columns:
        return LastGood(**remembered)
    query = (
        "select count(*), coalesce(max(_file), ''), coalesce(strftime(max(_loaded_at), '%Y-%m-%d'),"
        " ''), coalesce(epoch(max(_loaded_at)), 0) from "
    )
    rows, tag, loaded_at, epoch = connection.execute(
        query + _table(source, feed.name)
    ).fetchone() or (0, "", "", 0.0)
    flags = connection.execute(
        "select column_name, comment from duckdb_columns() where database_name = current_database()"
        " and schema_name = ? and table_name = ? and comment is not null",
        [f"raw_{source}", feed.name],
    ).fetchall()
    return LastGood(rows, tag, tuple(columns), dict(flags), loaded_at, epoch, **remembered)


def _remembered(connection: duckdb.DuckDBPyConnection, source: str, feed: Feed) -> dict[str, Any]:
    """What the ledger knows of a feed's good loads: the last one, and what the next one is measured
    against.
    """
    visits = connection.execute(
        """
        select status, coalesce(as_of, cast(read_at as date)), sha256, file, coalesce(encoding, ''),
        landed, rejected,
               coalesce(epoch(modified_at), 0) as modified_at, schools, held_schools, content_on,
               coalesce(accepted, false), run_id
        from ledger.audit.source_files
        where source = ? and feed = ? and status in ('loaded', 'unchanged') order by read_at desc
        """,
        [source, feed.name],
    ).fetchall()
    loads = [visit[1:] for visit in visits if visit[0] == "loaded"]
    if not loads:
        return {}
    (
        changed_on,
        sha256,
        file,
        encoding,
        was,
        was_rejected,
        modified_at,
        schools,
        held,
        content_on,
        _,
        run_id,
    ) = loads[0]
    accepted = next((at for at, load in enumerate(loads) if load[-2]), len(loads) - 1)
    return {
        "run_id": run_id,
        "sha256": sha256,
        "file": file,
        "encoding": encoding,
        "was": was,
        "was_rejected": was_rejected,
        "modified_at": modified_at,
        "earlier": frozenset(load[1] for load in loads) - {sha256},
        "loads": tuple((load[1], load[2], load[6]) for load in loads),
        "history": tuple(load[4] for load in loads[: accepted + 1]),
        "schools": json.loads(schools or "{}"),
        "held_partitions": tuple(json.loads(held or "[]")),
        "changed_on": changed_on,
        "met_on": visits[0][1],
        "content_on": content_on,
    }


def known_keys(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    feed: str,
    column: str,
    among: Collection[str] | None = None,
) -> pa.Table:
    """The values a landed column holds, once each; only those of `among` when it is given."""
    if not column or column not in _columns(connection, source, feed):
        return pa.table({"value": pa.array([], pa.string())})
    query = (
        f"select distinct trim({sql.name(column)}) as value from {_table(source, feed)} where"
        f" {sql.name(column)} is not null"
    )
    if among is None:
        return connection.execute(query).to_arrow_table()
    return connection.execute(
        f"{query} and trim({sql.name(column)}) in (select unnest(?))", [list(among)]
    ).to_arrow_table()


def landed(
    connection: duckdb.DuckDBPyConnection, source: str, feed: str, names: Sequence[str]
) -> pa.Table:
    """These columns of a landed feed; one that is not there is empty, and so is a feed without its
    first.
    """
    there = _columns(connection, source, feed)
    if names[0] not in there:
        return pa.table({name: pa.array([], pa.string()) for name in names})
    listed = ", ".join(
        sql.name(name) if name in there else f"cast(null as varchar) as {sql.name(name)}"
        for name in names
    )
    return connection.execute(f"select {listed} from {_table(source, feed)}").to_arrow_table()


def prepare(connection: duckdb.DuckDBPyConnection, source: str, feeds: Sequence[Feed]) -> None:
    """Every table of a source with exactly the columns of its layout, empty if it was never loaded,
    so that models build.

    A column the layout no longer lands goes at once, with what it held: it may just have been found
    confidential.
    """
    connection.execute(f'create schema if not exists "raw_{source}"')
    there: dict[str, list[str]] = {}
    for table, column in connection.execute(
        """
        select table_name, column_name from duckdb_columns()
        where database_name = current_database() and schema_name = ? order by table_name,
        column_index
        """,
        [f"raw_{source}"],
    ).fetchall():
        there.setdefault(table, []).append(column)
    for feed in feeds:
        _ensure(
            connection,
            source,
            feed.name,
            dict.fromkeys(feed.landed, "varchar") | PROVENANCE,
            there.get(feed.name, []),
        )
    _ensure(connection, source, REJECTS, REJECT_COLUMNS, there.get(REJECTS, []))


def land(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    files: Sequence[Trusted],
    *,
    run: Run,
    at: datetime,
    owner: str = "",
) -> None:
    """Replace the tables of these feeds and their rejects, all of them or none. Raises
    LandingError.
    """
    connection.execute(f"set memory_limit = '{memory()}'")
    beside = {file.feed.name: f"{BESIDE}{file.feed.name}" for file in files}
    # what a killed night left; and by dlt's own note of its tables it would take those for there
    # that were swapped away
    _drop(connection, source, [*beside.values(), "_dlt_version"])
    try:
        load_id = _load(connection, source, files, run, at)
        connection.execute("begin")
        try:
            for file in files:
                _swap(connection, source, file.feed, beside[file.feed.name], load_id)
                _replace_rejects(connection, source, file, run=run, at=at, owner=owner)
                _confirm(connection, source, file)
        except BaseException:
            connection.execute("rollback")
            raise
        connection.execute("commit")
    except duckdb.Error as error:
        # DuckDB's message quotes the line it stumbled over, and lines are people: only its kind is
        # told.
        raise LandingError(
            f"{source}: its rows could not be written ({type(error).__name__}); what was landed"
            " before stays; check the space on the disk, then run ingestion again"
        ) from None
    finally:
        _drop(connection, source, beside.values())


def _load(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    files: Sequence[Trusted],
    run: Run,
    at: datetime,
) -> str:
    """One dlt run over these feeds, each into a table beside the one in force; returns dlt's load
    id.

    DuckDB writes each cleaned copy as Parquet and dlt imports the file as it is: nothing is encoded
    twice. The folder goes afterwards, whatever happened: it holds a copy of the rows, and what a
    killed run left pending dlt would load instead of today's data.
    """
    os.environ.update(DLT | {"DLT_DATA_DIR": str(paths.var() / "dlt")})
    import dlt  # two seconds of imports, only where something is landed
    from dlt.common.exceptions import DltException

    folder = paths.var() / "dlt" / f"ingestion_{source}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    try:
        resources = [
            dlt.resource(
                iter([dlt.mark.with_file_import(str(path), "parquet", file.good)]),
                name=f"{BESIDE}{file.feed.name}",
                write_disposition="replace",
                columns=_hints(dict.fromkeys(file.feed.landed, "varchar") | PROVENANCE),
            )
            for file in files
            for path in [_as_parquet(file, run, at, folder / f"{file.feed.name}.parquet")]
        ]
        pipeline = dlt.pipeline(
            pipeline_name=f"ingestion_{source}",
            pipelines_dir=str(folder),
            dataset_name=f"raw_{source}",
            destination=dlt.destinations.duckdb(connection.cursor()),
        )
        info = pipeline.run(resources)
        info.raise_on_failed_jobs()
        return info.loads_ids[0]
    except DltException as error:
        raise LandingError(
            f"{source}: its rows could not be loaded ({type(error.__cause__ or error).__name__});"
            " what was landed before stays; check the space on the disk, then run ingestion again"
        ) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _as_parquet(file: Trusted, run: Run, at: datetime, path: Path) -> Path:
    """The rows of a file with where each came from: the lines are counted off beside the reader, in
    file order.
    """
    columns = ", ".join(f"{landed_as(file, name)} as {sql.name(name)}" for name in file.feed.landed)
    runs = pa.table(
        {
            name: pa.array([run[place] for run in file.runs], pa.int64())
            for place, name in enumerate(("first", "count"))
        }
    )
    with database.connect(memory_limit=memory(), temp_directory=str(path.parent)) as reader:
        reader.execute("set TimeZone = 'UTC'")
        reader.register("runs", runs)
        reader.register("kept", kept_of(file))
        reader.execute(
            f"""
            copy (
                select {columns}, $tag::varchar as _file, lines._line,
                $at::timestamptz as _loaded_at, $run::varchar as _run_id
                from {csv_of(file)} as rows
                positional join (select unnest(range(first, first + count)) as _line
                from runs) as lines
                positional join (select range + 1 as _row from range({file.good})) as places
                {"left join kept on places._row = kept._row" if file.kept else ""}
            ) to {sql.text(path)} (format parquet, compression snappy)
            """,
            {"tag": file.file.tag, "at": at, "run": run.run_id},
        )
    return path


def kept_of(file: Trusted) -> pa.Table:
    """The rows of which a value cannot be read, with the last good one beside."""
    doubtful = sorted({row for rows in file.kept.values() for row in rows})
    return pa.table(
        {"_row": pa.array(doubtful, pa.int64())}
        | {
            name: pa.array([values.get(row) for row in doubtful], pa.string())
            for name, values in file.kept.items()
        }
        | {
            f"is_{name}": pa.array([row in values for row in doubtful])
            for name, values in file.kept.items()
        }
    )


def landed_as(file: Trusted, name: str) -> str:
    """The SQL of a column as it is landed, of `rows` beside `kept`: the last good value where
    the file's own cannot be read.
    """
    if name not in file.places:
        return "null::varchar"
    value = value_of(file, name, "rows.")
    if name not in file.kept:
        return value
    return f"case when kept.{sql.name(f'is_{name}')} then kept.{sql.name(name)} else {value} end"


def _swap(
    connection: duckdb.DuckDBPyConnection, source: str, feed: Feed, beside: str, load_id: str
) -> None:
    """The table that was loaded beside takes the place of the one in force; every row says which
    load brought it.
    """
    connection.execute(f"drop table if exists {_table(source, feed.name)}")
    connection.execute(f"alter table {_table(source, beside)} rename to {sql.name(feed.name)}")
    connection.execute(
        f"alter table {_table(source, feed.name)} add column _dlt_load_id varchar default"
        f" '{load_id}'"
    )
    for name, how in read_as(feed).items():
        connection.execute(
            f"comment on column {_table(source, feed.name)}.{sql.name(name)} is {sql.text(how)}"
        )


def read_as(feed: Feed) -> dict[str, str]:
    """Column -> what its settings say of how it is read: other words, or another form of its dates
    or numbers, another day land the same file again.
    """
    dates = [name for name in feed.landed if feed.types.get(name) == "date" and feed.date_format]
    numbers = {n: kind for n in feed.landed if (kind := feed.types.get(n, "")).startswith(DECIMAL)}
    return {
        **numbers,
        **dict.fromkeys(dates, feed.date_format),
        **{flag.name: flag.fingerprint for flag in feed.flags},
    }


def _drop(connection: duckdb.DuckDBPyConnection, source: str, tables: Iterable[str]) -> None:
    for table in tables:
        connection.execute(f"drop table if exists {_table(source, table)}")


def _hints(columns: dict[str, str]) -> Any:
    """DuckDB types as dlt says them."""
    kinds: dict[str, Any] = {
        "varchar": {"data_type": "text"},
        "bigint": {"data_type": "bigint"},
        "timestamptz": {"data_type": "timestamp", "timezone": True},
    }
    return {
        name: dict(kinds[kind]) for name, kind in columns.items() if name != "_dlt_load_id"
    }  # dlt writes into what it is given


def _replace_rejects(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    file: Trusted,
    *,
    run: Run,
    at: datetime,
    owner: str,
) -> None:
    """The rejected lines of a feed: those of this file instead of those of its last. A line that
    was among them keeps its `rejected_since`.
    """
    told = ("line", "code", "reason", "column", "record", "school_number", "sha256")
    found = {name: [getattr(reject, name) or None for reject in file.rejects] for name in told}
    found["values"] = [json.dumps(reject.values, ensure_ascii=False) for reject in file.rejects]
    rejects = _table(source, REJECTS)
    connection.execute(
        "create or replace temp table earlier as select line_sha256, min(rejected_since) as since"
        f" from {rejects} where feed = ? group by 1",
        [file.feed.name],
    )
    connection.execute(f"delete from {rejects} where feed = ?", [file.feed.name])
    connection.register(
        "found",
        pa.table(
            {
                name: pa.array(values, pa.int64() if name == "line" else pa.string())
                for name, values in found.items()
            }
        ),
    )
    connection.execute(
        f"""
        insert into {rejects} ({sql.names(REJECT_COLUMNS)})
        select ?, ?, line, code, "values", reason, "column", record, school_number,
        nullif(?, ''), sha256, coalesce(earlier.since, ?::timestamptz), ?::timestamptz, ?
        from found left join earlier on found.sha256 = earlier.line_sha256
        """,
        [file.feed.name, file.file.tag, owner, at, at, run.run_id],
    )
    connection.unregister("found")


def doubts(
    connection: duckdb.DuckDBPyConnection, source: str, feed: str
) -> tuple[datetime | None, list[str]]:
    """Whom the rejected lines of a feed may hide: since when the newest one that names nobody is
    there, and the keys the others name.
    """
    keys = [
        row[0]
        for row in connection.execute(
            f"select distinct record_key from {_table(source, REJECTS)} where feed = ? and"
            f" record_key is not null order by 1 limit {MOST_KEYS + 1}",
            [feed],
        ).fetchall()
    ]
    nameless = "record_key is null" if len(keys) <= MOST_KEYS else "true"
    nameless += f" and code not in ({', '.join(map(sql.text, sorted(junk.DECORATION)))})"
    query = (
        f"select max(rejected_since) from {_table(source, REJECTS)} where feed = ? and {nameless}"
    )
    return (connection.execute(query, [feed]).fetchone() or (None,))[0], keys[:MOST_KEYS]


def _confirm(connection: duckdb.DuckDBPyConnection, source: str, file: Trusted) -> None:
    """Rows in = rows landed + rows rejected, counted in the warehouse; every row with its line.
    Raises LandingError.
    """
    landed, lined = connection.execute(
        f"select count(*), count(_line) from {_table(source, file.feed.name)}"
    ).fetchone() or (0, 0)
    (rejected,) = connection.execute(
        f"select count(*) from {_table(source, REJECTS)} where feed = ?", [file.feed.name]
    ).fetchone() or (0,)
    if landed != file.good or lined != landed or landed + rejected != file.rows_in:
        raise LandingError(
            f"{source} {file.feed.name}: {file.rows_in:,} rows came in, but {landed:,} landed and"
            f" {rejected:,} were rejected: nothing of {source} was replaced; run ingestion again,"
            " and report it if it happens twice"
        )


def _ensure(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    table: str,
    columns: dict[str, str],
    present: Collection[str],
) -> None:
    if not present:
        listed = ", ".join(f"{sql.name(name)} {kind}" for name, kind in columns.items())
        connection.execute(f"create table {_table(source, table)} ({listed})")
        return
    for name, kind in columns.items():
        if name not in present:
            connection.execute(
                f"alter table {_table(source, table)} add column {sql.name(name)} {kind}"
            )
    for name in present:
        if name not in columns:
            connection.execute(f"alter table {_table(source, table)} drop column {sql.name(name)}")


def _columns(connection: duckdb.DuckDBPyConnection, source: str, table: str) -> list[str]:
    query = """
        select column_name from information_schema.columns
        where table_catalog = current_database() and table_schema = ? and table_name = ?
        order by ordinal_position
    """
    return [row[0] for row in connection.execute(query, [f"raw_{source}", table]).fetchall()]


def _table(source: str, table: str) -> str:
    return sql.name(f"raw_{source}", table)
