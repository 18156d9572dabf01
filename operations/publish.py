"""Publish: the copy of the warehouse people query while the next night writes.

In: the schemas people ask about, from the warehouse and the ledger, and of staging what the targets
hold. Out: `published/warehouse.duckdb`, plain tables with their descriptions as comments,
read-only, swapped in by rename so that a reader sees the old night or the new one and nothing
between.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb

from common import database, files, paths, sql, store
from common.runs import Run
from operations import history

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
        copied = _copy(fresh)
        fresh.chmod(0o400)
        fresh.replace(destination)
    finally:
        shutil.rmtree(fresh.parent)  # half a copy would take the room the report needs
    return copied


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


def _copy(fresh: Path) -> int:
    copied: set[tuple[str, str]] = set()
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
        for schema in (*SCHEMAS, OBSERVED):
            connection.execute(f"create schema if not exists published.{schema}")
        for catalog, schema, table in found:
            if (schema, table) in copied:
                continue
            connection.execute(
                f"create table {sql.name('published', schema, table)} as select * from"
                f" {sql.name(catalog, schema, table)}"
            )
            copied.add((schema, table))
        if ("ledger", "audit", "changes") in found:  # as the engine has them, for `show`
            connection.execute(
                f"create schema published.{SHOWN}; create table published.{SHOWN}.changes"
                " as select * from ledger.audit.changes where run_id in (select unnest(?))",
                [[run.run_id for run in _latest()]],
            )
            copied.add((SHOWN, "changes"))
        for statement in _comments(connection, Run.latest()):
            connection.execute(statement)
        connection.execute("detach published")
    return len(copied)


def _comments(connection: duckdb.DuckDBPyConnection, run: Run | None) -> Iterator[str]:
    """What the models' YAML says of the tables and columns that are there, as dbt last read it. A
    column a model hands on without a word is what its parents say it is.
    """
    manifest = (run.read("dbt/manifest.json") if run else None) or {"nodes": {}, "sources": {}}
    nodes = manifest["nodes"] | manifest["sources"]
    there = connection.execute(
        "select schema_name, table_name, list(column_name) from duckdb_columns()"
        " where database_name = 'published' group by all"
    ).fetchall()
    named = {}
    for one in manifest["sources"].values():
        named |= {
            (schema, one["identifier"]): one for schema in (one["schema"], one["source_name"])
        }
    named |= {(one["schema"], one.get("alias")): one for one in manifest["nodes"].values()}
    for schema, table, columns in there:
        if (node := named.get((schema, table))) is None:
            continue
        name = sql.name("published", schema, table)
        yield f"comment on table {name} is {sql.text(node['description'].strip())}"
        for column in columns:
            if said := _described(nodes, node, column):
                yield f"comment on column {name}.{sql.name(column)} is {sql.text(said)}"


def _described(nodes: Mapping[str, Any], node: Mapping[str, Any], column: str) -> str:
    said = node["columns"].get(column, {}).get("description", "").strip()
    parents = (nodes[one] for one in node.get("depends_on", {}).get("nodes", ()) if one in nodes)
    return said or next(filter(None, (_described(nodes, one, column) for one in parents)), "")
