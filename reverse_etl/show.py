"""Show: the plan of a run, as a person decides on it.

In: `audit.changes` of the run's plan. Out: text: what would happen per target, entity and action, how much of it is
held and why; the same per school; then the changes themselves. By default keys and column names only; values that
may name a person are shown with --names.

Alone: `python -m reverse_etl show [--target T] [--school S] [--person P] [--action A] [--run R] [--names] [--limit N]`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table

from common.runs import Run
from reverse_etl import exports
from reverse_etl.model import FILE_ENTITY
from reverse_etl.plan import NoPlan, Scope

HIDDEN = "…"


def show(connection: duckdb.DuckDBPyConnection, run: Run, scope: Scope, *, names: bool, limit: int, console: Console) -> None:
    """Print the run's plan within a scope. Raises NoPlan when the run has none."""
    document = run.read("plan.json")
    if document is None:
        raise NoPlan(f'run {run.run_id} has no plan; run "make plan"')
    where, values = _where(document["plan_id"], scope)
    console.print(f"Plan {document['plan_id']} of run {run.run_id}, made {document['made_at'][:19]} UTC", highlight=False)
    if document["allowed"]["words"]:
        console.print(f"Limits lifted: {', '.join(document['allowed']['words'])}: {document['allowed']['why']}", markup=False, highlight=False)
    _summary(connection, where, values, console)
    for part in document["exports"]:
        if scope.covers(part["target"]):
            for sentence in part["holds"]:
                console.print(f"held: {sentence}", markup=False, highlight=False)
    if not scope.school:
        _schools(connection, where, values, console)
    _changes(connection, where, values, _open_columns(run), names=names, limit=limit, console=console)


def resolve_person(connection: duckdb.DuckDBPyConnection, person: str) -> str:
    """A person as people type them (student number, staff key) or as the tables hold them, as the latter."""
    try:
        row = connection.execute("select person_id from ledger.identity.persons where source_key = ? or person_id = ? limit 1", [person, person]).fetchone()
    except duckdb.CatalogException:  # no build has made anybody yet
        return person
    return row[0] if row else person


def _where(plan_id: str, scope: Scope) -> tuple[str, dict[str, Any]]:
    conditions, values = ["plan_id = $plan"], {"plan": plan_id}
    for name, column in (("school", "school_number"), ("person", "person_id"), ("action", "action")):
        value = getattr(scope, name)
        if value:
            conditions.append(f"{column} = ${name}")
            values[name] = value
    if scope.targets:
        conditions.append("target in (select unnest($targets))")
        values["targets"] = list(scope.targets)
    return " and ".join(conditions), values


def _summary(connection: duckdb.DuckDBPyConnection, where: str, values: Mapping[str, Any], console: Console) -> None:
    table = Table("target", "entity", "action", box=None, header_style="bold", pad_edge=False)
    for heading in ("changes", "held", "schools"):
        table.add_column(heading, justify="right")
    rows = connection.execute(f"""
        select target, entity, action, count(*), count(hold), count(distinct school_number)
        from ledger.audit.changes where {where} group by all order by target, min(seq), action""", values).fetchall()  # fmt: skip
    for target, entity, action, count, held, schools in rows:
        table.add_row(target, entity, action, f"{count:,}", f"{held:,}" if held else "·", str(schools or "·"))
    console.print(table if rows else "Nothing to do: every target holds what it should.")


def _schools(connection: duckdb.DuckDBPyConnection, where: str, values: Mapping[str, Any], console: Console) -> None:
    rows = connection.execute(f"""
        select school_number, action, count(*) from ledger.audit.changes
        where {where} and school_number is not null group by all order by all""", values).fetchall()  # fmt: skip
    actions = sorted({action for _, action, _ in rows})
    if not actions:
        return
    counts: dict[str, dict[str, int]] = {}
    for school, action, count in rows:
        counts.setdefault(school, {})[action] = count
    table = Table("school", box=None, header_style="bold", pad_edge=False)
    for action in actions:
        table.add_column(action, justify="right")
    for school, by_action in counts.items():
        table.add_row(school, *(f"{by_action[action]:,}" if action in by_action else "·" for action in actions))
    console.print(table)


def _changes(
    connection: duckdb.DuckDBPyConnection, where: str, values: Mapping[str, Any], open_columns: Mapping[tuple[str, str], set[str]], *,
    names: bool, limit: int, console: Console,
) -> None:  # fmt: skip
    rows = connection.execute(f"""
        select target, entity, action, key, school_number, cast(old as varchar), cast(new as varchar), reason, hold is not null, status, note,
               count(*) over ()
        from ledger.audit.changes where {where} order by seq limit {int(limit)}""", values).fetchall()  # fmt: skip
    for target, entity, action, key, school, old, new, reason, held, status, note, _ in rows:
        state = "held" if held and status == "held" else "" if status == "planned" else status + (f" ({note})" if note else "")
        readable = None if names or entity == FILE_ENTITY else open_columns.get((target, entity), set())
        fields = _fields(json.loads(old or "{}"), json.loads(new or "{}"), readable)
        line = " ".join(part for part in (action, target, entity, key, f"school {school}" if school else "", f"[{state}]" if state else "") if part)
        console.print(f"{line}: {reason}", markup=False, highlight=False, soft_wrap=True)
        if fields and action not in ("remove", "delete"):
            console.print(f"    {fields}", markup=False, highlight=False, soft_wrap=True)
    total = rows[0][-1] if rows else 0
    if total > len(rows):
        console.print(f"… and {total - len(rows):,} more; narrow down with TARGET= SCHOOL= PERSON= ACTION=, or ask audit.changes", highlight=False)


def _fields(old: Mapping[str, Any], new: Mapping[str, Any], readable: set[str] | None) -> str:
    """`column: old -> new` for every field; values only of columns in `readable` (None: of all)."""
    parts = []
    for column, value in new.items():
        if column in old and old[column] == value:
            continue  # an adopted object is written whole; what stays as it is says nothing
        shown = readable is None or column in readable
        before = f"{old[column] if shown else HIDDEN} -> " if column in old else ""
        parts.append(f"{column}: {before}{value if shown else HIDDEN}")
    return ", ".join(parts)


def _open_columns(run: Run) -> dict[tuple[str, str], set[str]]:
    """(target, entity) -> columns that are classed as no personal data or as a key."""
    try:
        found = exports.load(run)
    except exports.ExportsMissing:
        return {}
    every = [*found.good, *(export for export, _ in found.refused)]
    return {(e.target, e.entity): {c.name for c in e.columns if c.personal_data in ("none", "key")} for e in every}
