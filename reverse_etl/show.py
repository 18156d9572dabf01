"""Show: the plan of a run, as somebody decides on it.

In: `audit.changes` of the run's plan. Out: text: what would happen per target, entity and action,
how much of it is held and why; the same per partition; what was changed by hand; then the changes
themselves. Or the changes alone as JSON, CSV or one HTML page, to be filtered and passed on. By
default keys and column names only; values that may name somebody are shown with --names.

Alone: `python -m reverse_etl show [--target T] [--partition P] [--subject S] [--action A]
[--status held] [--run R] [--names] [--limit N] [--format json]`.
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
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from common import sql
from common.printable import inert, printable
from common.problems import said
from common.runs import Run
from common.words import words
from reverse_etl import applied, exports, moves
from reverse_etl.model import ACTIONS, FILE_ENTITY, MOVE, Export
from reverse_etl.plan import NoPlanError, Scope, ScopeError

HIDDEN = "…"
FORMATS = ("text", "json", "csv", "html")
STATUSES = ("planned", "held", "applied", "failed", "skipped", "not pushed")
COLUMNS = (
    "target",
    "entity",
    "action",
    "key",
    "subject",
    "partition",
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
        markup=False,
        highlight=False,
    )
    if document.get("undoes"):
        console.print(f"It undoes run {document['undoes']}.", markup=False, highlight=False)
        for sentence in document["cannot"]:
            console.print(f"not undone: {sentence}", markup=False, highlight=False)
    for sentence in document.get("own", ()):
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    if document["allowed"]["words"]:
        console.print(
            f"Limits lifted by {document['allowed'].get('who') or 'somebody'}:"
            f" {', '.join(document['allowed']['words'])}: {document['allowed']['why']}",
            markup=False,
            highlight=False,
        )
    _summary(connection, where, values, console, _still(document, scope))
    for part in document["exports"]:
        if scope.covers(part["target"]):
            if part.get("until"):
                said = f"{part['target']} {part['entity']}: {part['until']}"
                console.print(said, markup=False, highlight=False)
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
                markup=False,
                highlight=False,
            )
    if not scope.partition:
        _partitions(connection, where, values, console)
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
        text = json.dumps(
            {
                "run_id": run.run_id,
                "plan_id": document["plan_id"],
                "made_at": document["made_at"],
                "changes": rows,
            },
            ensure_ascii=False,
            indent=1,
        )
        return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
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
    """A change with its values as objects, those that may name somebody hidden."""
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
    return row | {"reason": said(row["reason"]), "hold": said(row["hold"])}


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
    """A text made printable; one a spreadsheet would take for a formula, with an apostrophe
    before it.
    """
    if not isinstance(value, str):
        return value
    shown = printable(value)
    return inert(value)[: len(inert(value)) - len(value)] + shown


def _html(run: Run, document: Mapping[str, Any], rows: list[dict[str, Any]]) -> str:
    from jinja2 import Environment

    page = Environment(
        autoescape=True,
        trim_blocks=True,
        finalize=lambda value: printable(value) if isinstance(value, str) else value,
    ).from_string(PAGE)
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
    every: Sequence[Export],
    targets: Iterable[str],
    *,
    partition: str,
    subject: str,
    action: str,
) -> Scope:
    """What somebody asks for, as the exports name it. Raises ScopeError for a partition, subject or
    action there is none of.
    """
    named = words()
    if action and action not in (*ACTIONS, MOVE):
        raise ScopeError(f"{action!r} is no action; there are {', '.join((*ACTIONS, MOVE))}")
    if partition:
        known = _partitions_like(connection, every, partition)
        if known is not None and partition not in known:
            meant = f"; {known[0]} is one" if known else ""
            raise ScopeError(f"{partition!r} is no {named.partition} of any export{meant}")
    if subject:
        found = _subjects_like(connection, every, subject)
        if not found:
            raise ScopeError(
                f'no {named.subject} of any export is known by {subject!r}; "make explain'
                f' {named.subject.upper()}={subject}" looks further'
            )
        subject = found[0]
    return Scope(tuple(targets), partition, subject, action)


def _partitions_like(
    connection: duckdb.DuckDBPyConnection, every: Sequence[Export], value: str
) -> list[str] | None:
    """The partitions that are called so but for zeros in front; None where no build has made a
    table that has any.
    """
    wanted = [
        f"select cast({sql.name(e.partition)} as varchar) as named from {e.relation}"
        for e in every
        if e.partition in applied.columns(connection, e.relation)
    ]
    return _like(connection, [*wanted, _past("partition")], value) if wanted else None


def _subjects_like(
    connection: duckdb.DuckDBPyConnection, every: Sequence[Export], value: str
) -> list[str]:
    """The subject that has this name, or whose row has it in a column of `known_by`."""
    wanted = []
    for export in every:
        there = applied.columns(connection, export.relation)
        if export.subject in there:
            subject = sql.name(export.subject)
            wanted += [
                f"select cast({subject} as varchar) from {export.relation}"
                f" where cast({sql.name(column)} as varchar) = $value"
                for column in (export.subject, *export.known_by)
            ]
    wanted.append(f"{_past('subject')} where subject = $value")
    rows = connection.execute(" union ".join(wanted) + " order by 1", {"value": value}).fetchall()
    return [row[0] for row in rows]


def _past(column: str) -> str:
    return f"select {column} as named from ledger.audit.planned_changes"


def _like(connection: duckdb.DuckDBPyConnection, queries: Sequence[str], value: str) -> list[str]:
    rows = connection.execute(
        f"select distinct named from ({' union '.join(queries)})"
        " where ltrim(named, '0') = ltrim($value, '0') order by 1",
        {"value": value},
    ).fetchall()
    return [row[0] for row in rows]


def conditions(plan_id: str, scope: Scope) -> tuple[str, dict[str, Any]]:
    """A plan's changes within a scope, as the conditions of a query and their values."""
    conditions, values = ["plan_id = $plan"], {"plan": plan_id}
    for column in ("partition", "subject", "action"):
        value = getattr(scope, column)
        if value == MOVE and column == "action":
            conditions.append(f"({moves.UNIT}) in ({moves.planned('plan_id = $plan')})")
        elif value:
            conditions.append(f"{column} = ${column}")
            values[column] = value
    if scope.targets:
        conditions.append("target in (select unnest($targets))")
        values["targets"] = list(scope.targets)
    return " and ".join(conditions), values


def _summary(
    connection: duckdb.DuckDBPyConnection,
    where: str,
    values: Mapping[str, Any],
    console: Console,
    still: str,
) -> None:
    table = Table("target", "entity", "action", box=None, header_style="bold", pad_edge=False)
    for heading in ("changes", "held", words().partitions):
        table.add_column(heading, justify="right")
    rows = connection.execute(
        f"""
        select target, entity, action, count(*), count(hold), count(distinct partition)
        from ledger.audit.changes where {where} group by all order by target, min(seq), action""",
        values,
    ).fetchall()
    for target, entity, action, count, held, partitions in rows:
        table.add_row(
            escape(target),
            escape(entity),
            action,
            f"{count:,}",
            f"{held:,}" if held else "·",
            str(partitions or "·"),
        )
    console.print(table if rows else Text(still))


def _still(document: Mapping[str, Any], scope: Scope) -> str:
    """What is said where no change is shown: that all is as it should be only where nothing is
    held, and nothing was left out of what is shown; that a filter left it out, before any hold.
    """
    parts = [part for part in document["exports"] if scope.covers(part["target"])]
    held = sum(bool(part["holds"]) for part in parts)
    aside = sum(part["set_aside"] for part in parts)
    left_out = "No change of this plan is like that."
    if any(sum(part["planned"].values()) for part in parts):
        return left_out
    if held:
        exports = "1 export is" if held == 1 else f"{held} exports are"
        return f"No change is planned here: {exports} held, for what stands below."
    if aside:
        return f"No change is planned here: {aside:,} are set aside under a hold."
    if any(sum(part["planned"].values()) for part in document["exports"]):
        return left_out
    return "Nothing to do: every target holds what it should."


def _partitions(
    connection: duckdb.DuckDBPyConnection, where: str, values: Mapping[str, Any], console: Console
) -> None:
    rows = connection.execute(
        f"""
        select partition, action, count(*) from ledger.audit.changes
        where {where} and partition is not null group by all order by all""",
        values,
    ).fetchall()
    actions = sorted({action for _, action, _ in rows})
    if not actions:
        return
    counts: dict[str, dict[str, int]] = {}
    for partition, action, count in rows:
        counts.setdefault(partition, {})[action] = count
    table = Table(escape(words().partition), box=None, header_style="bold", pad_edge=False)
    for action in actions:
        table.add_column(action, justify="right")
    for partition, by_action in counts.items():
        table.add_row(
            escape(partition),
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
        select target, entity, action, key, partition, cast(old as varchar),
        cast(new as varchar), reason, hold is not null, status, note,
               count(*) over ()
        from ledger.audit.changes where {where} order by seq limit {int(limit)}""",
        values,
    ).fetchall()
    named = words()
    for target, entity, action, key, partition, old, new, reason, held, status, note, _ in rows:
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
                f"{named.partition} {partition}" if partition else "",
                f"[{state}]" if state else "",
            )
            if part
        )
        told = printable(f"{line}: {said(reason)}")
        console.print(told, markup=False, highlight=False, soft_wrap=True)
        if fields and action not in ("remove", "delete"):
            console.print(f"    {printable(fields)}", markup=False, highlight=False, soft_wrap=True)
    total = rows[0][-1] if rows else 0
    if total > len(rows):
        console.print(
            f"… and {total - len(rows):,} more; narrow down with TARGET="
            f" {named.partition.upper()}= {named.subject.upper()}= ACTION=, or ask audit.changes",
            markup=False,
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
    every = exports_of(Run.load(document["undoes"]) if document.get("undoes") else run)
    return {
        (e.target, e.entity): {c.name for c in e.columns if c.personal_data in ("none", "key")}
        for e in every
    }


def exports_of(run: Run) -> tuple[Export, ...]:
    """Every readable export of a run's build; none where it has no build."""
    try:
        return exports.load(run).every
    except exports.ExportsMissingError:
        return ()
