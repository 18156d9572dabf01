"""Observe: read what each API target holds now into `raw_<target>`.

In: the adapters (Arrow batches per entity, and `names_taken`). Out: `raw_<target>.<entity>`, text
columns plus `_json` and `_observed_at`, replaced in one transaction; the run's `observed.json`;
findings. A target is replaced as a whole or not at all: when one entity cannot be read, the last
observation of all its entities stays, and the plan holds the target. Targets are read at the same
time and independently.

Alone: `python -m reverse_etl observe [--target T]`.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from common import findings, paths, sql, store
from common.findings import Finding
from common.log import event
from common.runs import Run
from reverse_etl import configured, diff, settle
from reverse_etl.model import Adapter, Export
from reverse_etl.targets.taken import UNLIKE

NAMES_TAKEN = "names_taken"


def api_targets(targets: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The configured targets that can be read, in scope."""
    return tuple(
        name
        for name, kind in _kinds(targets).items()
        if kind is not None and not configured.takes_files(kind)
    )


def unusable(targets: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Those of a kind nobody knows: to observe them is to be told so."""
    return tuple(name for name, kind in _kinds(targets).items() if kind is None)


def _kinds(targets: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in configured.names():
        if not targets or name in targets:
            try:
                found[name] = configured.kind(name)
            except configured.TargetSettingsError:
                found[name] = None
    return found


def ensure_tables(adapters: Mapping[str, Adapter] | None = None) -> None:
    """Make the empty raw tables of every API target, so that the first build has them even when a
    target is away; and what is said of them in the exports' own columns, where no model says it.
    """
    if adapters is None:
        adapters = {}
        for name in api_targets():
            # one that cannot be used has its sentence from `observe`
            with suppress(configured.TargetSettingsError):
                adapters[name] = configured.adapter(name, "tables")
    with store.connect() as connection:
        for target, chosen in adapters.items():
            schema = sql.name(f"raw_{target}")
            connection.execute(f"create schema if not exists {schema}")
            for entity, columns in chosen.raw_columns.items():
                listed = ", ".join(f"{sql.name(column)} varchar" for column in (*columns, "_json"))
                connection.execute(
                    f"create table if not exists {schema}.{sql.name(entity)} ({listed},"
                    " _observed_at timestamptz, _dlt_load_id varchar)"
                )
                for column in columns:  # an adapter that learned to read one more field
                    connection.execute(
                        f"alter table {schema}.{sql.name(entity)} add column if not exists"
                        f" {sql.name(column)} varchar"
                    )
            for export in getattr(chosen, "exports", {}).values():
                _observed_views(connection, export, chosen.raw_columns.get(export.entity, ()))


def _observed_views(
    connection: duckdb.DuckDBPyConnection, export: Export, columns: Sequence[str]
) -> None:
    """What the target holds of ours, and what of nobody's, where it is read in the export's own
    columns and the project has no staging model that says it otherwise.
    """
    sent = {column.name: column.type for column in export.sent if column.name in columns}
    wanted = {*export.key, *(column.name for column in export.compared)}
    name = f"stg_{export.target}__{export.entity}"
    if export.file or not wanted <= sent.keys() or _models(f"{name}.sql"):
        return
    typed = ", ".join(
        f"try_cast({sql.name(one)} as {kind}) as {sql.name(one)}" for one, kind in sent.items()
    )
    raw = f"{sql.name(f'raw_{export.target}')}.{sql.name(export.entity)}"
    carried = " and ".join(f"{sql.name(one)} is not null" for one in export.key)
    connection.execute("create schema if not exists staging")
    # what its settings say is nobody's own is adopted by nobody
    own = f" and {UNLIKE} is null" if UNLIKE in columns else ""
    for view, carrying in (
        (diff.observed_view(export), carried),
        (diff.orphan_view(export), f"not ({carried}){own}"),
    ):
        connection.execute(
            f"create or replace view {view} as"
            f" select remote_id, {typed} from {raw} where {carrying}"
        )


def _models(file: str) -> bool:
    return any((paths.project() / "models").rglob(file))


# ---------------------------------------------------------------- what changed since


KEPT = "raw_homeroom.changes_since"  # of each target: where to ask for changes, and of what


@dataclass(frozen=True)
class Kept:
    """What the last observation of a target left: links to ask by, and its objects, which are put
    aside here while the tables they stand in are replaced.
    """

    links: Mapping[str, str]
    tables: Mapping[str, pa.Table]
    whole_at: str

    def objects(self, entity: str) -> Iterator[dict[str, Any]]:
        """The objects of one entity, as they were read."""
        for batch in self.tables[entity].to_batches(max_chunksize=10_000):
            yield from (json.loads(one) for one in batch.column("_json").to_pylist())


def kept(connection: duckdb.DuckDBPyConnection, target: str, adapter: Any, now: datetime) -> Any:
    """What changes may be asked from, or why there is nothing: nothing is kept, it is of other
    settings or too old, something was written since, or the tables are not those it was kept with.
    """
    connection.execute(
        f"create table if not exists {KEPT} (target text, of text, links text, counts text,"
        " observed_at timestamptz, whole_at timestamptz)"
    )
    row = connection.execute(
        f"select of, links, counts, observed_at, whole_at from {KEPT} where target = ?", [target]
    ).fetchone()
    if row is None:
        return "nothing is kept"
    of, links, counts, observed_at, whole_at = row
    if of != adapter.changes_of:
        return "other settings"
    if not whole_at <= now < whole_at + timedelta(days=adapter.said.whole_read_days):
        return f"{adapter.said.whole_read_days} days are over"
    if settle.last_written(target) > observed_at.timestamp():
        return "written to since"
    tables = {}
    for entity, count in json.loads(counts).items():
        raw = f"{sql.name(f'raw_{target}')}.{sql.name(entity)}"
        found = connection.execute(
            f"select count(*) filter (_observed_at = ?), count(*) from {raw}", [observed_at]
        ).fetchone()
        if found != (count, count):
            return "other tables"
        if entity in adapter.changes_rest_on:
            tables[entity] = connection.execute(f"select _json from {raw}").to_arrow_table()
    return Kept(json.loads(links), tables, whole_at.isoformat())


def _resumed(target: str, adapter: Any) -> str:
    """Give an adapter that can ask for changes what it may ask from; why it cannot, else ''."""
    if getattr(adapter, "changes", None) is None:
        return ""
    with store.connect() as connection:
        found = kept(connection, target, adapter, datetime.now(UTC))
    if isinstance(found, str):
        return found
    adapter.changes.kept = found
    return ""


def _keep(target: str, adapter: Any, tables: Mapping[str, pa.Table], observed_at: datetime) -> None:
    """Note where to ask the next time, once what it rests on is landed."""
    changes = getattr(adapter, "changes", None)
    with store.connect() as connection:
        connection.execute(f"delete from {KEPT} where target = ?", [target])
        if not changes.links or not all(changes.links.values()):
            return
        counts = {entity: table.num_rows for entity, table in tables.items()}
        whole = all(how.startswith("whole") for how in changes.read.values())
        connection.execute(
            f"insert into {KEPT} values (?, ?, ?, ?, ?, ?)",
            [
                target,
                adapter.changes_of,
                json.dumps(changes.links),
                json.dumps(counts),
                observed_at,
                observed_at if whole else changes.kept.whole_at,
            ],
        )


def observe(run: Run, targets: Sequence[str], adapter: Callable[[str], Adapter]) -> int:
    """Read the targets and land what they hold; returns the exit code (3 when one could not be
    read).
    """
    read: dict[str, dict[str, pa.Table]] = {}
    facts: dict[str, dict[str, Any]] = {}
    adapters: dict[str, Adapter] = {}
    for target in targets:
        try:
            adapters[target] = adapter(target)
        except Exception as error:
            facts[target] = _failed(error, 0, 0.0)
    ensure_tables(adapters)
    anew = {target: _resumed(target, one) for target, one in adapters.items()}
    began: dict[str, datetime] = {}

    def one(target: str) -> None:
        began[target] = started = datetime.now(UTC)
        clock = time.monotonic()
        chosen = adapters[target]
        try:
            tables = {entity: _table(chosen, entity, started) for entity in chosen.raw_columns}
        except Exception as error:  # whatever happens to one target happens to that target only
            facts[target] = _failed(error, chosen.read_calls, time.monotonic() - clock)
        else:
            read[target] = tables
            facts[target] = {
                "status": "ok",
                "observed_at": started.isoformat(),
                "entities": {e: t.num_rows for e, t in tables.items()},
                "read_calls": chosen.read_calls,
                "seconds": round(time.monotonic() - clock, 2),
                "error": "",
                **_how(chosen, anew[target]),
            }
        finally:
            chosen.close()

    threads = [
        threading.Thread(target=one, args=(target,), name=f"observe-{target}")
        for target in adapters
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for target, tables in sorted(read.items()):
        try:
            land(target, tables)
            if getattr(adapters[target], "changes", None) is not None:
                _keep(target, adapters[target], tables, began[target])
        except Exception as error:
            facts[target] = {
                **facts[target],
                **_failed(error, facts[target]["read_calls"], facts[target]["seconds"]),
            }
    off = {t: said for t, one in adapters.items() if (said := getattr(one, "clock_off", ""))}
    return _report(run, facts, off)


def _how(adapter: Any, anew: str) -> dict[str, Any]:
    """How a target that can be asked for changes was read, for the record."""
    changes = getattr(adapter, "changes", None)
    if changes is None:
        return {}
    return {"read": {**changes.read, **({"anew": anew} if anew else {})}}


def _table(adapter: Adapter, entity: str, observed_at: datetime) -> pa.Table:
    """All of one entity as one table: the declared columns as text, `_json`, `_observed_at`."""
    columns = (*adapter.raw_columns[entity], "_json")
    schema = pa.schema([(column, pa.string()) for column in columns])
    batches = []
    for batch in adapter.observe(entity):
        missing = [
            column for column in adapter.raw_columns[entity] if column not in batch.schema.names
        ]
        if missing:
            raise ValueError(f"entity {entity} was read without {', '.join(missing)}")
        values = [
            (
                batch.column(c).cast(pa.string())
                if c in batch.schema.names
                else pa.nulls(batch.num_rows, pa.string())
            )
            for c in columns
        ]
        batches.append(pa.RecordBatch.from_arrays(values, schema=schema))
    table = pa.Table.from_batches(batches, schema=schema)
    moment = pa.array([observed_at] * table.num_rows, pa.timestamp("us", tz="UTC"))
    return table.append_column("_observed_at", moment)


def land(target: str, tables: Mapping[str, pa.Table]) -> None:
    """Replace `raw_<target>` with these tables, all of them or none: one transaction."""
    load = f"{time.time():.6f}"
    with store.connect() as connection:
        connection.begin()
        for entity, table in tables.items():
            relation = sql.name(f"raw_{target}", entity)
            connection.execute(f"delete from {relation}")
            connection.register("observed_now", table)
            connection.execute(
                f"insert into {relation} ({sql.names(table.schema.names)}, _dlt_load_id)"
                f" select *, ? from observed_now",
                [load],
            )
            connection.unregister("observed_now")
        connection.commit()


def _failed(error: Exception, calls: int, seconds: float) -> dict[str, Any]:
    ours = type(error).__module__.split(".")[0] in ("reverse_etl", "common")
    return {
        "status": "failed",
        "observed_at": datetime.now(UTC).isoformat(),
        "entities": {},
        "read_calls": calls,
        "seconds": round(seconds, 2),
        "error": str(error) if ours else type(error).__name__,
    }


def _report(run: Run, facts: Mapping[str, Mapping[str, Any]], clocks_off: Mapping[str, str]) -> int:
    run.write("observed.json", {**run.read("observed.json", {}), **facts})
    found = [
        Finding("target_unreadable", {"why": one["error"]}, target=target)
        for target, one in sorted(facts.items())
        if one["status"] == "failed"
    ]
    clocks = [
        Finding("clock_off", {"off": off}, target=target)
        for target, off in sorted(clocks_off.items())
    ]
    findings.record(run, [*found, *clocks])
    for finding in (*found, *clocks):
        print(f"observe: {finding.message}", file=sys.stderr)
    for target, one in sorted(facts.items()):
        event(
            "target_observed",
            target=target,
            status=one["status"],
            seconds=one["seconds"],
            read_calls=one["read_calls"],
            **one["entities"],
        )
    return 3 if found else 0
