"""Show: the plan of a run, as a person decides on it.

In: `audit.changes` of the run's plan. Out: text: what would happen per target, entity and action,
how much of it is held and why; the same per school; what was changed by hand; then the changes
themselves. Or the changes alone as JSON, CSV or one HTML page, to be filtered and passed on. By
default keys and column names only; values that may name a person are shown with --names.

Alone: `python -m reverse_etl show [--target T] [--school S] [--person P] [--action A] [--status
held] [--run R] [--names] [--limit N] [--format json]`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table

from common.runs import Run
from reverse_etl import exports
from reverse_etl.model import ACTIONS, FILE_ENTITY
from reverse_etl.plan import NoPlanError, Scope, ScopeError

HIDDEN = "…"
FORMATS = ("text", "json", "csv", "html")
STATUSES = ("planned", "held", "applied", "failed", "skipped", "not pushed")
COLUMNS = (
    "target",
    "entity",
    "action",
    "key",
    "person_id",
    "school_number",
    "status",
    "reason",
    "hold",
    "old",
    "new",
    "export_model",
    "source",
    "change_id",
)


class UnknownFormatError(Exception):
    """A form nobody writes; the message names those there are."""


@dataclass(frozen=True)
class Chosen:
    """Which changes of a plan to show, and how much of them."""

    scope: Scope
    status: str = ""
    names: bool = False
    limit: int = 40

    def __post_init__(self) -> None:
        if self.status and self.status not in STATUSES:
            raise ScopeError(f"{self.status!r} is no status; there are {', '.join(STATUSES)}")

    def where(self, plan_id: str) -> tuple[str, dict[str, Any]]:
        where, values = conditions(plan_id, self.scope)
        return (
            (f"{where} and status = $status", {**values, "status": self.status})
            if self.status
            else (where, values)
        )


def show(
    connection: duckdb.DuckDBPyConnection, run: Run, chosen: Chosen, *, console: Console
) -> None:
    """Print the run's plan within a scope. Raises NoPlanError when the run has none."""
    document = _document(run)
    scope = chosen.scope
    where, values = chosen.where(document["plan_id"])
    console.print(
        f"Plan {document['plan_id']} of run {run.run_id}, made {document['made_at'][:19]} UTC",
        highlight=False,
    )
    if document.get("undoes"):
        console.print(f"It undoes run {document['undoes']}.", highlight=False)
        for sentence in document["cannot"]:
            console.print(f"not undone: {sentence}", markup=False, highlight=False)
    if document["allowed"]["words"]:
        console.print(
            f"Limits lifted: {', '.join(document['allowed']['words'])}:"
            f" {document['allowed']['why']}",
            markup=False,
            highlight=False,
        )
    _summary(connection, where, values, console)
    for part in document["exports"]:
        if scope.covers(part["target"]):
            for sentence in part["holds"]:
                console.print(f"held: {sentence}", markup=False, highlight=False)
            for policy, columns in part.get("drift", {}).items():
                words = ", ".join(f"{column} {count:,}" for column, count in columns.items())
                console.print(
                    f"changed by hand: {part['target']} {part['entity']}: {words} ({policy})",
                    markup=False,
                    highlight=False,
                )
    for target, one in document.get("estimate", {}).items():
        if one["calls"] and scope.covers(target):
            console.print(
                f"{target}: {one['calls']:,} call{'' if one['calls'] == 1 else 's'}, about"
                f" {one['seconds']:,.0f} s at its quota",
                highlight=False,
            )
    if not scope.school:
        _schools(connection, where, values, console)
    _changes(
        connection,
        where,
        values,
        _open_columns(run, document),
        names=chosen.names,
        limit=chosen.limit,
        console=console,
    )


def written(connection: duckdb.DuckDBPyConnection, run: Run, chosen: Chosen, form: str) -> str:
    """Every chosen change as json, csv or html. Raises NoPlanError, UnknownFormatError."""
    if form not in FORMATS[1:]:
        raise UnknownFormatError(f"{form!r} is no form of a plan; there are {', '.join(FORMATS)}")
    document = _document(run)
    where, values = chosen.where(document["plan_id"])
    cursor = connection.execute(
        f"select {', '.join(COLUMNS)} from ledger.audit.changes where {where} order by seq", values
    )
    readable = _open_columns(run, document)
    rows = []
    while found := cursor.fetchmany(10_000):
        rows += [
            _readable(dict(zip(COLUMNS, row, strict=True)), readable, chosen.names) for row in found
        ]
    if form == "json":
        return json.dumps(
            {
                "run_id": run.run_id,
                "plan_id": document["plan_id"],
                "made_at": document["made_at"],
                "changes": rows,
            },
            ensure_ascii=False,
            indent=1,
        )
    flat = [{**row, "old": _flat(row["old"]), "new": _flat(row["new"])} for row in rows]
    return _csv(flat) if form == "csv" else _html(run, document, flat)


def _document(run: Run) -> dict[str, Any]:
    document = run.read("plan.json")
    if document is None:
        raise NoPlanError(f'run {run.run_id} has no plan; run "make plan"')
    return document  # type: ignore[no-any-return]


def _readable(
    row: dict[str, Any], open_columns: Mapping[tuple[str, str], set[str]], names: bool
) -> dict[str, Any]:
    """A change with its values as objects, those that may name a person hidden."""
    shown = (
        None
        if names or row["entity"] == FILE_ENTITY
        else open_columns.get((row["target"], row["entity"]), set())
    )
    for side in ("old", "new"):
        values = json.loads(row[side] or "{}")
        row[side] = {
            column: value if shown is None or column in shown else HIDDEN
            for column, value in values.items()
        }
    return row


def _flat(values: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{column}: {'' if value is None else value}" for column, value in values.items()
    )


def _csv(rows: list[dict[str, Any]]) -> str:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, COLUMNS)
    writer.writeheader()
    writer.writerows({name: _inert(value) for name, value in row.items()} for row in rows)
    return out.getvalue()


def _inert(value: Any) -> Any:
    """A text a spreadsheet would take for a formula, with an apostrophe before it."""
    return (
        f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value
    )


def _html(run: Run, document: Mapping[str, Any], rows: list[dict[str, Any]]) -> str:
    from jinja2 import Environment

    page = Environment(autoescape=True, trim_blocks=True).from_string(PAGE)
    return page.render(run=run, document=document, rows=rows, columns=COLUMNS)


PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Plan
{{ document.plan_id }}</title>
<style>body{font:14px sans-serif;margin:2em}table{border-collapse:collapse}
td,th{border-bottom:1px solid #ccc;padding:3px 8px;text-align:left;vertical-align:top}
.held{background:#fff3d6}</style>
<h1>Plan {{ document.plan_id }} of run {{ run.run_id }}</h1><p>Made {{ document.made_at[:19] }} UTC;
{{ rows|length }} changes.</p>
{% for part in document.exports %}{% for sentence in part.holds %}<p class="held">held:
{{ sentence }}</p>
{% endfor %}{% endfor %}
<table><tr>{% for column in columns %}<th>{{ column }}</th>{% endfor %}</tr>
{% for row in rows %}<tr{% if row.status == "held" %}
class="held"{% endif %}>{% for column in columns %}<td>{{ row[column] or "" }}</td>{% endfor %}</tr>
{% endfor %}</table></html>
"""


def scope(
    connection: duckdb.DuckDBPyConnection,
    targets: Iterable[str],
    school: str,
    person: str,
    action: str,
) -> Scope:
    """What a person asks for, as the tables hold it. Raises ScopeError for a school, person or
    action there is none of.
    """
    if action and action not in ACTIONS:
        raise ScopeError(f"{action!r} is no action; there are {', '.join(ACTIONS)}")
    if school and _known(connection, "core.schools", ("school_number",), school) is False:
        padded = school.zfill(8)
        meant = (
            f"; {padded} is one"
            if padded != school and _known(connection, "core.schools", ("school_number",), padded)
            else ""
        )
        raise ScopeError(
            f"{school!r} is no school: school numbers have 8 digits, zeros in front included{meant}"
        )
    if person:
        found = _known(connection, "ledger.identity.persons", ("source_key", "person_id"), person)
        found = found or _known(connection, "ledger.audit.planned_changes", ("person_id",), person)
        if not found:
            raise ScopeError(
                f'nobody is known by {person!r}: a student number, staff key or person id; "make'
                f' explain PERSON={person}" looks further'
            )
        person = str(found)
    return Scope(tuple(targets), school, person, action)


def _known(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[str], value: str
) -> str | bool | None:
    """The last of these columns of a row that has the value in one of them; False where there is
    none, None where there is no such table yet.
    """
    fits = " or ".join(f"{column} = $value" for column in columns)
    try:
        row = connection.execute(
            f"select {columns[-1]} from {table} where {fits} limit 1", {"value": value}
        ).fetchone()
    except duckdb.CatalogException:  # no build has made it yet
        return None
    return row[0] if row else False


def conditions(plan_id: str, scope: Scope) -> tuple[str, dict[str, Any]]:
    """A plan's changes within a scope, as the conditions of a query and their values."""
    conditions, values = ["plan_id = $plan"], {"plan": plan_id}
    for name, column in (
        ("school", "school_number"),
        ("person", "person_id"),
        ("action", "action"),
    ):
        value = getattr(scope, name)
        if value:
            conditions.append(f"{column} = ${name}")
            values[name] = value
    if scope.targets:
        conditions.append("target in (select unnest($targets))")
        values["targets"] = list(scope.targets)
    return " and ".join(conditions), values


def _summary(
    connection: duckdb.DuckDBPyConnection, where: str, values: Mapping[str, Any], console: Console
) -> None:
    table = Table("target", "entity", "action", box=None, header_style="bold", pad_edge=False)
    for heading in ("changes", "held", "schools"):
        table.add_column(heading, justify="right")
    rows = connection.execute(
        f"""
        select target, entity, action, count(*), count(hold), count(distinct school_number)
        from ledger.audit.changes where {where} group by all order by target, min(seq), action""",
        values,
    ).fetchall()
    for target, entity, action, count, held, schools in rows:
        table.add_row(
            target, entity, action, f"{count:,}", f"{held:,}" if held else "·", str(schools or "·")
        )
    console.print(table if rows else "Nothing to do: every target holds what it should.")


def _schools(
    connection: duckdb.DuckDBPyConnection, where: str, values: Mapping[str, Any], console: Console
) -> None:
    rows = connection.execute(
        f"""
        select school_number, action, count(*) from ledger.audit.changes
        where {where} and school_number is not null group by all order by all""",
        values,
    ).fetchall()
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
        table.add_row(
            school,
            *(f"{by_action[action]:,}" if action in by_action else "·" for action in actions),
        )
    console.print(table)


def _changes(
    connection: duckdb.DuckDBPyConnection,
    where: str,
    values: Mapping[str, Any],
    open_columns: Mapping[tuple[str, str], set[str]],
    *,
    names: bool,
    limit: int,
    console: Console,
) -> None:
    rows = connection.execute(
        f"""
        select target, entity, action, key, school_number, cast(old as varchar),
        cast(new as varchar), reason, hold is not null, status, note,
               count(*) over ()
        from ledger.audit.changes where {where} order by seq limit {int(limit)}""",
        values,
    ).fetchall()
    for target, entity, action, key, school, old, new, reason, held, status, note, _ in rows:
        state = (
            "held"
            if held and status == "held"
            else ""
            if status == "planned"
            else status + (f" ({note})" if note else "")
        )
        readable = (
            None if names or entity == FILE_ENTITY else open_columns.get((target, entity), set())
        )
        fields = _fields(json.loads(old or "{}"), json.loads(new or "{}"), readable)
        line = " ".join(
            part
            for part in (
                action,
                target,
                entity,
                key,
                f"school {school}" if school else "",
                f"[{state}]" if state else "",
            )
            if part
        )
        console.print(f"{line}: {reason}", markup=False, highlight=False, soft_wrap=True)
        if fields and action not in ("remove", "delete"):
            console.print(f"    {fields}", markup=False, highlight=False, soft_wrap=True)
    total = rows[0][-1] if rows else 0
    if total > len(rows):
        console.print(
            f"… and {total - len(rows):,} more; narrow down with TARGET= SCHOOL= PERSON= ACTION=,"
            " or ask audit.changes",
            highlight=False,
        )


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


def _open_columns(run: Run, document: Mapping[str, Any]) -> dict[tuple[str, str], set[str]]:
    """(target, entity) -> columns that are classed as no personal data or as a key."""
    try:
        found = exports.load(Run.load(document["undoes"]) if document.get("undoes") else run)
    except exports.ExportsMissingError:
        return {}
    every = [*found.good, *(export for export, _ in found.refused)]
    return {
        (e.target, e.entity): {c.name for c in e.columns if c.personal_data in ("none", "key")}
        for e in every
    }
