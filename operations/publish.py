"""Publish: the copy of the warehouse people query while the next night writes.

In: the schemas people ask about, from the warehouse and the ledger, and of staging what the targets
hold. Out: `published/warehouse.duckdb`, plain tables with their descriptions as comments,
read-only, swapped in by rename so that a reader sees the old night or the new one and nothing
between. Only what changed since is copied: the new copy begins as the one before, whose tables are
known by a hash over their rows (`published.json`), as long as it is the very file that was noted;
it is made anew as often as everything is built.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb

from common import database, files, paths, settings, sql, store
from common.log import event
from common.runs import Run
from operations import history
from operations.configured import Build

SCHEMAS = ("core", "identity", "exports", "audit", "seeds")  # seeds: what people decided and signed
DOCUMENTS = ("run.json", "summary.json", "plan.json")  # of a run, keys and counts only
BUILT = ("dbt/manifest.json", "dbt/run_results.json")  # of the newest: what its exports are
SHOWN = "ledger_audit"  # the schema of what the engine knows of its changes, for `show`
OBSERVED = (  # of this schema, the views that say what a target holds, in the columns of its export
    "staging"
)


def publish() -> int:
    """Copy every table and view of SCHEMAS, and what was observed, as a table; returns how many.
    The warehouse's own wins over the ledger's.
    """
    destination = paths.published()
    fresh = destination.parent / ".next" / destination.name
    shutil.rmtree(fresh.parent, ignore_errors=True)
    fresh.parent.mkdir(parents=True, mode=0o700)
    try:
        before, since = _known()
        marks = _copy(fresh, before)
        fresh.chmod(0o400)
        files.put(fresh, destination)  # what was taken over is on the disk before it counts
    finally:
        shutil.rmtree(fresh.parent)  # half a copy would take the room the report needs
    noted = {"file": _which(destination), "whole_on": since.isoformat(), "tables": marks}
    files.write(_marks(), json.dumps(noted))
    return len(marks) - 1


def _marks() -> Path:
    return paths.var() / "published.json"


def _which(file: Path) -> list[Any]:
    """What tells this very file from every other of its name."""
    seen = file.stat()
    return [duckdb.__version__, seen.st_ino, seen.st_size, seen.st_mtime_ns]


def _known() -> tuple[dict[str, str], date]:
    """What the copy that stands there holds, table by table, and since when; nothing where it is
    another file than the one that was noted, or one of long ago.
    """
    today = datetime.now(UTC).date()
    days = settings.read_what_can_be(Build, "build")[0].whole_after_days
    try:
        noted = json.loads(_marks().read_text(encoding="utf-8"))
        since = date.fromisoformat(noted["whole_on"])
        if noted["file"] == _which(paths.published()) and 0 <= (today - since).days < days:
            return noted["tables"], since
    except (OSError, ValueError, KeyError, TypeError) as error:
        event("published_anew", why=type(error).__name__)
    return {}, today


def _latest() -> list[Run]:
    return Run.finished()[-history.NIGHTS :]


def documents() -> None:
    """Beside it, for who may read nothing else: what `status` and `show` say of the latest runs."""
    folder, runs = paths.published().parent, _latest()
    kept = folder / "runs"
    kept.mkdir(parents=True, exist_ok=True, mode=0o700)
    for run in runs:
        copy = kept / run.run_id
        shutil.rmtree(copy / "dbt", ignore_errors=True)
        for name in (*DOCUMENTS, *(BUILT if run is runs[-1] else ())):
            if (found := run.folder / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                files.write(copy / name, found.read_text(encoding="utf-8"))
    for old in {path.name for path in kept.glob("2*")} - {run.run_id for run in runs}:
        shutil.rmtree(kept / old)
    if runs:
        link = kept / ".latest"
        link.unlink(missing_ok=True)
        link.symlink_to(runs[-1].run_id)
        link.replace(kept / "latest")
    if paths.incidents().is_file():
        files.write(folder / paths.incidents().name, paths.incidents().read_text(encoding="utf-8"))


def _copy(fresh: Path, before: Mapping[str, str]) -> dict[str, str]:
    """Make the copy, of the one before where its tables are known; returns those of this one."""
    if before:
        shutil.copyfile(paths.published(), fresh)
    with store.connect(read_only=True) as held, database.connect() as connection:
        # waited for whoever wrote last; now both files are opened from an empty one that may write
        # beside them
        held.close()
        for catalog, path, mode in (
            ("warehouse", paths.warehouse(), " (read_only)"),
            ("ledger", paths.ledger(), " (read_only)"),
            ("published", fresh, ""),
        ):
            connection.execute(f"attach {sql.text(path)} as {catalog}{mode}")
        if before and _is_half_air(connection):
            connection.execute("detach published")
            fresh.unlink()
            connection.execute(f"attach {sql.text(fresh)} as published")
            before = {}
        wanted = _wanted(connection)
        said = _Said(Run.latest())
        marks = {"": said.mark}
        connection.begin()
        for schema in sorted({schema for schema, _ in wanted}):
            connection.execute(f"create schema if not exists published.{sql.name(schema)}")
        for (schema, table), query in wanted.items():
            name = f"{schema}.{table}"
            columns = _columns(connection, query)
            marks[name] = _mark(connection, query, columns)
            is_new = before.get(name) != marks[name]
            if is_new:
                relation = sql.name("published", schema, table)
                connection.execute(f"create or replace table {relation} as {query}")
            if is_new or before.get("") != said.mark:
                for statement in said.comments(schema, table, [one for one, _ in columns]):
                    connection.execute(statement)
        for name in {*before} - {*marks}:
            connection.execute(f"drop table {sql.name('published', *name.split('.', 1))}")
        connection.commit()
        connection.execute("detach published")
    return marks


def _wanted(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], str]:
    """Schema and name of every table of the copy, and the query that gives its rows."""
    found = connection.execute(
        "select table_catalog, table_schema, table_name from information_schema.tables"
        " where table_schema in (select unnest(?)) and table_catalog in ('warehouse', 'ledger')"
        " order by table_catalog = 'ledger', table_schema, table_name",
        [list(SCHEMAS)],
    ).fetchall()
    exports = {table for _, schema, table in found if schema == "exports"}
    seen = connection.execute(
        "select table_catalog, table_schema, table_name from information_schema.tables where"
        " table_schema = ? order by all",
        [OBSERVED],
    )
    found += [one for one in seen.fetchall() if one[2].replace("stg_", "exp_", 1) in exports]
    wanted: dict[tuple[str, str], str] = {}
    for catalog, schema, table in found:
        wanted.setdefault((schema, table), f"select * from {sql.name(catalog, schema, table)}")
    if ("ledger", "audit", "changes") in found:  # as the engine has them, for `show`
        runs = ", ".join(sql.text(run.run_id) for run in _latest()) or "''"
        changes = f"select * from ledger.audit.changes where run_id in ({runs})"
        wanted[SHOWN, "changes"] = changes
    return wanted


def _columns(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[str, str]]:
    described = connection.execute(f"{query} limit 0").description or []
    return [(name, str(kind)) for name, kind, *_ in described]


def _mark(
    connection: duckdb.DuckDBPyConnection, query: str, columns: Sequence[tuple[str, str]]
) -> str:
    """How many rows a query gives and a hash over them, whatever their order, and its columns."""
    # hashed twice: a sum of single hashes could hide two values that changed places
    listed = sql.names(name for name, _ in columns)
    [row] = connection.execute(
        f"select count(*), sum(hash(hash({listed}))) from ({query})"
    ).fetchall()
    return hashlib.sha256(str((row, columns)).encode()).hexdigest()


def _is_half_air(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether what was replaced night after night left more room than what stands there takes."""
    [(used, free)] = connection.execute(
        "select used_blocks, free_blocks from pragma_database_size()"
        " where database_name = 'published'"
    ).fetchall()
    return free > used


class _Said:
    """What the models' YAML says of tables and columns, as dbt last read it."""

    def __init__(self, run: Run | None) -> None:
        manifest = (run.read("dbt/manifest.json") if run else None) or {"nodes": {}, "sources": {}}
        self._nodes = manifest["nodes"] | manifest["sources"]
        self._named = {}
        for one in manifest["sources"].values():
            self._named |= {
                (schema, one["identifier"]): one for schema in (one["schema"], one["source_name"])
            }
        self._named |= {
            (one["schema"], one.get("alias")): one for one in manifest["nodes"].values()
        }
        said = [
            (name, one["description"], one["columns"], one.get("depends_on"))
            for name, one in self._nodes.items()
            if one.get("description") is not None
        ]
        self.mark = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
        """Of all that is said, as a hash."""

    def comments(self, schema: str, table: str, columns: Sequence[str]) -> Iterator[str]:
        """Of one table. A column a model hands on without a word is what its parents say it is."""
        if (node := self._named.get((schema, table))) is None:
            return
        name = sql.name("published", schema, table)
        yield f"comment on table {name} is {sql.text(node['description'].strip())}"
        for column in columns:
            if said := _described(self._nodes, node, column):
                yield f"comment on column {name}.{sql.name(column)} is {sql.text(said)}"


def _described(nodes: Mapping[str, Any], node: Mapping[str, Any], column: str) -> str:
    said = node["columns"].get(column, {}).get("description", "").strip()
    parents = (nodes[one] for one in node.get("depends_on", {}).get("nodes", ()) if one in nodes)
    return said or next(filter(None, (_described(nodes, one, column) for one in parents)), "")
