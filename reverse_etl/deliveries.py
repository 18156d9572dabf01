"""Deliveries: which files go tonight, with which rows, under which name.

In: the planned changes of exports that are files. Out: one `deliver` change per file whose rows or
form changed; when it is pushed, the `Delivery` an adapter renders. A file goes as a whole or is
held as a whole. It does not go on a day that is not its own, and a delta not twice under one name:
what changed waits in the ledger, and the next file says it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date, time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb

from common import settings, sql
from common.findings import Finding
from common.problems import Reason
from reverse_etl import applied, deltas, diff, holds, left_out
from reverse_etl.file_rows import Cells, is_plain
from reverse_etl.form import Moment, per_partition, words_in
from reverse_etl.left_out import WAITS
from reverse_etl.limits import Allowed
from reverse_etl.model import FILE_ENTITY, Change, Delivery, Export, Part, key_text
from reverse_etl.standing import STANDS

if TYPE_CHECKING:
    from reverse_etl.plan import ExportPlan, PlanInputs

Parts = dict[tuple[str, str], "ExportPlan"]
# The changes that travel in a file.
OF_FILE = """target = $target and entity in (select unnest($entities))
    and ($partition is null or partition = $partition)"""


class Counts(NamedTuple):
    """Of the changes of one export that travel in a file."""

    moved: int = 0  # they go
    hold: str | None = None  # why one of them must not
    waiting: int = 0  # left out until what they wait for is there
    not_yet: int = 0  # new, of a part that stands as it was delivered
    kept: int = 0  # gone, of such a part


def postponed(
    connection: duckdb.DuckDBPyConnection, night: PlanInputs, export: Export, part: ExportPlan
) -> bool:
    """Whether an export's file does not go on this day; then nothing of it is planned. What travels
    in one archive goes on the days all of it goes.
    """
    if export.file is None:
        return False
    day = date.fromisoformat(night.as_of)
    template = (export.target, export.file.template)
    late = [
        one.file
        for one in holds.files(night.exports.every)[template]
        if one.file and not one.file.is_due(day)
    ]
    if late:
        why = Reason("file_not_today", {"days": ", ".join(map(str, late[0].days))})
        _postpone(connection, [export], None, {(export.target, export.entity): part}, why)
    return bool(late)


def plan(
    connection: duckdb.DuckDBPyConnection,
    night: PlanInputs,
    exports: Sequence[Export],
    parts: Parts,
    allowed: Allowed,
) -> None:
    """Plan the files of these exports, in the temporary table `changes`."""
    district = settings.read(settings.District, "district").number
    moment = Moment(date.fromisoformat(night.as_of), night.at, district)
    for export in (one for one in exports if one.file and one.file.actions):
        deltas.say_again(connection, export, night.run_id)
    for (_, template), members in holds.files(exports).items():
        changed = (
            "select partition from changes where target = $target"
            " and entity in (select unnest($entities))"
        )
        for partition in partitions(connection, members, template, changed):
            _plan_one(connection, moment, members, partition, parts, allowed)


def partitions(
    connection: duckdb.DuckDBPyConnection,
    members: Sequence[Export],
    template: str,
    changed: str = "",
) -> list[str | None]:
    """The parts there is a file of, those of a query of what changed too; None: one file of all."""
    if not per_partition(template):
        return [None]
    queries = [
        f"select cast({sql.name(export.partition or '')} as varchar) from {export.relation}"
        for export in members
    ]
    given = {"target": members[0].target, "entities": [export.entity for export in members]}
    rows = connection.execute(
        f"select distinct * from ({' union all '.join(filter(None, [*queries, changed]))})"
        " order by 1",
        given if changed else {},
    ).fetchall()
    return [row[0] for row in rows if row[0] is not None]


def _plan_one(  # noqa: PLR0917
    connection: duckdb.DuckDBPyConnection,
    moment: Moment,
    members: Sequence[Export],
    partition: str | None,
    parts: Parts,
    allowed: Allowed,
) -> None:
    target, template = members[0].target, members[0].file.template  # type: ignore[union-attr]
    of_file = {"target": target, "entities": [e.entity for e in members], "partition": partition}
    # A row that waits for another target is left out of the file, and one of a held partition
    # stands as it was delivered; any other hold holds the file.
    changed = {
        entity: Counts(*found)
        for entity, *found in connection.execute(
            f"""
            select entity, count(*) filter (not waits and not stands),
            any_value(hold) filter (not waits and not stands), count(*) filter (waits),
            count(*) filter (stands and action = 'create'),
            count(*) filter (stands and action = 'remove')
            from (select entity, action, hold, {WAITS} as waits, {STANDS} as stands from changes
            where {OF_FILE}) group by entity""",
            of_file,
        ).fetchall()
    }
    counts = {e.entity: changed.get(e.entity, Counts()) for e in members}
    desired = {  # rows of tonight, and rows that stand though tonight's export has them no more
        e.entity: _desired(connection, e, partition, parts) + counts[e.entity].kept for e in members
    }
    sending = [e for e in members if is_sent(e, desired[e.entity], counts[e.entity].moved)]
    for skipped in (e for e in members if e not in sending):
        # Nothing to say is said by sending nothing: the rows that vanished stay as they were
        # delivered.
        connection.execute(
            f"delete from changes where {OF_FILE} and hold is null",
            {**of_file, "entities": [skipped.entity]},
        )
    moved = sum(counts[e.entity].moved for e in sending)
    hold = next((one.hold for one in counts.values() if one.hold), None)
    shapes = {e.entity: shape(e) for e in sending}
    reshaped = [
        e.entity
        for e in sending
        if not is_delta(e)
        and (applied.shape(connection, target, e.entity) or shapes[e.entity]) != shapes[e.entity]
    ]
    if not sending or not (moved or reshaped):
        return
    new: dict[str, Any] = {
        "template": template,
        "as_of": moment.date.isoformat(),
        "partition": partition,
        "time": _time(connection, target, template, moment, partition).isoformat(),
    }
    name = _moment(new, moment.district).filled(template, partition)
    if any(map(is_delta, sending)) and deltas.went(connection, target, name, new):
        _postpone(connection, members, partition, parts, Reason("file_sent_today", {"file": name}))
        return
    for export in sending:
        why = _stopped(connection, export, desired[export.entity], partition, allowed)
        if why and str(why) not in parts[target, export.entity].holds:
            parts[target, export.entity].holds.append(str(why))
        hold = hold or (why.json if why else None)
    if hold:
        connection.execute(
            f"update changes set hold = $hold where {OF_FILE} and hold is null",
            {**of_file, "hold": hold},
        )
    rows = {
        e.entity: found.moved if is_delta(e) else desired[e.entity] - found.waiting - found.not_yet
        for e in sending
        for found in [counts[e.entity]]
    }
    new |= {
        "file": name,
        "entities": [e.entity for e in sending],
        "rows": sum(rows.values()),
        "waiting": sum(one.waiting for one in counts.values()),
        "shapes": shapes,
        "delta": any(map(is_delta, sending)),
    }
    _insert(connection, members, parts, new, moved, reshaped, hold)


def _insert(  # noqa: PLR0917
    connection: duckdb.DuckDBPyConnection,
    members: Sequence[Export],
    parts: Parts,
    new: Mapping[str, Any],
    moved: int,
    reshaped: Sequence[str],
    hold: str | None,
) -> None:
    from reverse_etl.plan import ExportPlan

    target = members[0].target
    part = parts.setdefault((target, FILE_ENTITY), ExportPlan(target, FILE_ENTITY))
    part.desired += 1
    reason = (
        Reason("change_rows", {"rows": moved})
        if moved
        else Reason("change_form", {"entities": ", ".join(reshaped)})
    )
    connection.execute(
        f"insert into changes ({diff.COLUMNS}) values (?, ?, 99, ?, null, null, 'deliver', 99,"
        " null, '{}', ?, ?, ?, null, ?, null)",
        [
            target,
            FILE_ENTITY,
            key_text([new["file"]]),
            json.dumps({name: one for name, one in new.items() if one is not None}),
            reason.json,
            hold,
            ", ".join(e.model for e in members if e.entity in new["entities"]),
        ],
    )


def is_delta(export: Export) -> bool:
    """Whether its file has only what changed."""
    return bool(export.file and (export.file.actions or export.file.write_back))


def is_sent(export: Export, desired: int, moved: int) -> bool:
    """Whether a file without a row goes, or there is one."""
    return bool(moved if is_delta(export) else desired) or bool(
        export.file and export.file.when_empty == "send"
    )


def _desired(
    connection: duckdb.DuckDBPyConnection, export: Export, partition: str | None, parts: Parts
) -> int:
    if partition is None:
        return parts[export.target, export.entity].desired
    return counted(connection, export, partition)


def counted(connection: duckdb.DuckDBPyConnection, export: Export, partition: str | None) -> int:
    """How many rows an export has, all or of one part."""
    column = sql.name(export.partition) if partition is not None and export.partition else "null"
    ((count,),) = connection.execute(
        f"select count(*) from {export.relation}"
        f" where $part is null or cast({column} as varchar) = $part",
        {"part": partition},
    ).fetchall()
    return int(count)


def _stopped(
    connection: duckdb.DuckDBPyConnection,
    export: Export,
    desired: int,
    partition: str | None,
    allowed: Allowed,
) -> Reason | None:
    """Why a file must not go with these rows: too many wait, or a value cannot be written."""
    waits = left_out.planned(connection, export)
    if partition is None and (
        why := left_out.too_many(connection, export, desired, waits, allowed)
    ):
        return why
    if export.file is None or is_plain(export, export.file):
        return None
    rows = connection.execute(
        f"select key, action, old, {WAITS} from changes where {OF_FILE}",
        {"target": export.target, "entities": [export.entity], "partition": partition},
    ).fetchall()
    part = Part(
        frozenset(key for key, *_, waits in rows if waits),
        partition,
        {key: (action, old) for key, action, old, waits in rows if not waits}
        if is_delta(export)
        else None,
    )
    return _read(connection, export, part).stops()


def _read(connection: duckdb.DuckDBPyConnection, export: Export, part: Part) -> Cells:
    """An export's rows once through its form."""
    cells = Cells(export, export.file)  # type: ignore[arg-type]
    for _ in cells.rows(connection, part):
        pass
    return cells


def _postpone(
    connection: duckdb.DuckDBPyConnection,
    exports: Sequence[Export],
    partition: str | None,
    parts: Parts,
    why: Reason,
) -> None:
    """Plan nothing of these rows tonight: they are found again the next night."""
    for export in exports:
        rows = connection.execute(
            f"delete from changes where {OF_FILE} returning action",
            {"target": export.target, "entities": [export.entity], "partition": partition},
        ).fetchall()
        part = parts[export.target, export.entity]
        part.postponed += sum(action != "remove" for (action,) in rows)
        part.until = str(why) if rows else part.until


def _time(
    connection: duckdb.DuckDBPyConnection,
    target: str,
    template: str,
    moment: Moment,
    partition: str | None,
) -> time:
    """The time in a name: of the first try of the day, until it is known to have arrived, so that
    a file whose answer was lost is looked for under the name it went by.
    """
    if "time" not in words_in(template):
        return moment.time
    row = connection.execute(
        """
        select planned.new ->> '$.time', outcome.status from ledger.audit.planned_changes as planned
        left join ledger.audit.outcomes as outcome using (change_id)
        where planned.target = ? and planned.entity = ? and planned.hold is null
        and (planned.new ->> '$.template') = ? and (planned.new ->> '$.as_of') = ?
        and (planned.new ->> '$.partition') is not distinct from ?
        order by planned.planned_at desc limit 1""",
        [target, FILE_ENTITY, template, moment.date.isoformat(), partition],
    ).fetchone()
    return time.fromisoformat(row[0]) if row and row[1] != "applied" else moment.time


def filled(new: Mapping[str, Any], template: str) -> str:
    """A file's name, of the values a `deliver` change has."""
    district = settings.read(settings.District, "district").number
    return _moment(new, district).filled(template, new.get("partition"))


def _moment(new: Mapping[str, Any], district: str) -> Moment:
    return Moment(date.fromisoformat(new["as_of"]), time.fromisoformat(new["time"]), district)


def shape(export: Export) -> str:
    """Everything but the rows that makes a file what it is: its format, its headings, its cells."""
    form = {**asdict(export.file)} if export.file else {}
    # a file written before there were these is of the same form
    for name in ("words", "delta", "write_back", "row", "sheet"):
        if not form.get(name) or name == "delta":
            form.pop(name, None)
    if form.get("actions") and not form["actions"]["moment"]:
        del form["actions"]["moment"]
    columns = [[c.name, c.header, list(asdict(c.cell).values())] for c in export.written]
    return hashlib.sha256(json.dumps([form, columns], sort_keys=True).encode()).hexdigest()[:16]


# ---------------------------------------------------------------- when it is pushed


def without(
    connection: duckdb.DuckDBPyConnection,
    plan_id: str,
    change: Change,
    waiting: Mapping[tuple[str, str], str],
) -> dict[str, list[str]]:
    """Entity -> the keys of a file's rows that are left out of it, as they wait."""
    keys = {
        entity: sorted(key for kind, key in waiting if kind == entity)
        for entity in change.new["entities"]
    }
    if change.new.get("partition") is None:
        return keys
    return {
        entity: sorted(
            set(found) & set(_planned(connection, plan_id, change, entity, change.new["partition"]))
        )
        for entity, found in keys.items()
    }


def delivery(  # noqa: PLR0917
    connection: duckdb.DuckDBPyConnection,
    plan_id: str,
    change: Change,
    exports: Sequence[Export],
    lacking: Mapping[str, Sequence[str]],
    path: Path,
) -> Delivery:
    """The file of a `deliver` change, as an adapter renders it."""
    moment = _moment(change.new, settings.read(settings.District, "district").number)
    members: dict[str, tuple[Export, Part]] = {}
    for export in exports:
        if export.file is None or export.entity not in change.new["entities"]:
            continue
        left = frozenset(lacking.get(export.entity, ()))
        for partition in _within(connection, plan_id, change, export):
            actions = (
                {
                    key: said
                    for key, said in _planned(
                        connection, plan_id, change, export.entity, partition
                    ).items()
                    if key not in left
                }
                if is_delta(export)
                else None
            )
            name = moment.filled(export.file.name, partition)
            members[name] = (export, Part(left, partition, actions))
    return Delivery(
        change.target,
        change.key[0],
        tuple((name, members[name][0]) for name in sorted(members)),
        any(export.file and export.file.archive for export, _ in members.values()),
        path,
        {name: part for name, (_, part) in members.items()},
        moment,
    )


def told(connection: duckdb.DuckDBPyConnection, made: Delivery) -> Iterator[Finding]:
    """What stands in a file otherwise than it is."""
    for name, export in made.members:
        if export.file and not is_plain(export, export.file):
            yield from _read(connection, export, made.part(name)).told(name)


def _within(
    connection: duckdb.DuckDBPyConnection, plan_id: str, change: Change, export: Export
) -> list[str | None]:
    """The parts of an export that have a file of their own within a delivery."""
    partition = change.new.get("partition")
    if partition is not None or not export.file or not per_partition(export.file.name):
        return [partition]
    column = sql.name(export.partition or "")
    rows = connection.execute(
        f"""
        select distinct cast({column} as varchar) from {export.relation}
        union select distinct partition from ledger.audit.planned_changes
        where plan_id = ? and target = ? and entity = ? and $delta order by 1""".replace(
            "$delta", str(is_delta(export)).lower()
        ),
        [plan_id, export.target, export.entity],
    ).fetchall()
    return [row[0] for row in rows if row[0] is not None]


def _planned(
    connection: duckdb.DuckDBPyConnection,
    plan_id: str,
    change: Change,
    entity: str,
    partition: str | None,
) -> dict[str, tuple[str, str]]:
    """Key -> what is planned to happen to the row and what it was, of those that are not held but
    as they wait.
    """
    return {
        key: (action, old)
        for key, action, old in connection.execute(
            f"""
            select key, action, cast(old as varchar) from ledger.audit.planned_changes
            where plan_id = $plan and target = $target and entity = $entity
            and ($partition is null or partition = $partition) and (hold is null or {WAITS})
            order by key""",
            {"plan": plan_id, "target": change.target, "entity": entity, "partition": partition},
        ).fetchall()
    }
