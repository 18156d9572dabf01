"""Plan: what would be written where, why, and what of it has to wait for somebody. Writes to no
target.

In: the run's exports (`exports.py`), what was observed, the ledger; an optional override of limits
and a scope. Out: `audit.plans`, `audit.planned_changes` and the run's `plan.json`. The plan has a
digest; planning the same thing twice in a run gives the same plan with the same ids.

Alone: `python -m reverse_etl plan [--target T] [--partition P] [--subject S] [--allow create --why
"…"]`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, time
from typing import Any

import duckdb

from common import district, sql
from common.commit import git_commit
from common.problems import Reason, said
from common.runs import Run
from reverse_etl import (
    append_only,
    applied,
    causes,
    deliveries,
    diff,
    expected,
    follows,
    holds,
    left_out,
    moves,
    releases,
    settle,
    shared,
    standing,
    undo,
)
from reverse_etl.exports import Exports, RefusalError
from reverse_etl.limits import Allowed, LimitError, in_season
from reverse_etl.model import MOVE, Export
from reverse_etl.undo import Undo

# the hold of an opening that is not ours to make
CLOSED = "coalesce(hold ->> '$.code' in ('hold_closed', 'hold_closed_because'), false)"
# the reason of a closing that somebody undid
OPENED = "coalesce(reason ->> '$.code' = 'change_opened_elsewhere', false)"


class NoPlanError(Exception):
    """This run has no plan; the message says what to run."""


class ScopeError(Exception):
    """A filter that names nothing there is: to answer "nothing to do" would be no answer. The
    message says what there is.
    """


@dataclass(frozen=True)
class Scope:
    """Which part of all changes a plan is about; empty fields mean everything."""

    targets: tuple[str, ...] = ()
    partition: str = ""
    subject: str = ""
    action: str = ""

    @property
    def is_partial(self) -> bool:
        """Whether single rows are picked; then file targets stay out: a file goes as a whole."""
        return bool(self.partition or self.subject or self.action)

    def covers(self, target: str) -> bool:
        return not self.targets or target in self.targets


@dataclass
class ExportPlan:
    """What the plan says about one export."""

    target: str
    entity: str
    desired: int = 0
    observed: int = 0
    planned: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    holds: list[str] = field(default_factory=list)
    set_aside: int = 0  # changes of what is under a hold: not planned, and waiting for nobody
    waiting: int = 0  # for another target's object, or for who closed theirs
    postponed: int = 0  # rows whose file does not go tonight
    until: str = ""  # and why it does not
    released: int = 0
    # what somebody else closed and nobody has let open: its key, partition, and why it waits
    closed: list[dict[str, str]] = field(default_factory=list)
    # what we had closed and somebody else opened: its key and partition; it is closed again
    opened: list[dict[str, str]] = field(default_factory=list)
    # documents that should be otherwise, were altered or are gone: code, count, first keys, columns
    documents: list[dict[str, Any]] = field(default_factory=list)
    # what was changed on both sides since they agreed: its key, partition, column and source
    conflicts: list[dict[str, str]] = field(default_factory=list)
    drift: dict[str, dict[str, int]] = field(
        default_factory=dict
    )  # policy -> column -> values changed by hand
    made_from: causes.Ground = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """A whole plan; its changes stand in the temporary table `changes`."""

    plan_id: str
    digest: str
    digests: Mapping[str, str]  # target -> digest of its changes
    parts: tuple[ExportPlan, ...]
    allowed: Allowed
    scope: Scope
    undo: Undo | None = None


@dataclass(frozen=True)
class PlanInputs:
    """What a plan is made from besides the warehouse: documents of the run, and who the targets
    are.
    """

    run_id: str
    as_of: str
    exports: Exports
    feeds: Sequence[Mapping[str, Any]]  # feeds.json
    observed: Mapping[str, Any]  # observed.json
    entities: Callable[
        [str], tuple[str, ...]
    ]  # target -> its entities in order; raises when the target is unusable
    written_at: Callable[
        [str], float
    ]  # target -> when any journal was last written to (seconds), 0 for never
    undo: Undo | None = None  # set: the changes are the opposite of what a run did
    # target.entity -> what its export stood on when its changes last all went out
    before: Mapping[str, causes.Ground] = field(default_factory=dict)
    at: time = time(0)  # when the run began, in the district's time
    # target -> its entities whose objects are documents, and why
    append_only: Callable[[str], Mapping[str, str]] = lambda _: {}


def build_plan(
    connection: duckdb.DuckDBPyConnection, night: PlanInputs, allowed: Allowed, scope: Scope
) -> Plan:
    """Compare every export in scope and leave the changes in the temporary table `changes`, ordered
    and held.
    """
    connection.execute(applied.REGISTRY)
    connection.execute(diff.CHANGES)
    parts: dict[tuple[str, str], ExportPlan] = {}
    stopped: dict[tuple[str, str], Reason] = {}  # exports of which nothing may flow, and why
    compared: list[Export] = []
    seasons = _seasons(connection)
    holds.protect(connection, night.exports.every)
    holds.kinds(connection, night.exports.every)
    waiting: list[tuple[Export, Reason, frozenset[str]]] = []  # of which rows of one kind wait
    for export, refusal in _ordered(night.exports, scope):
        part = parts.setdefault(
            (export.target, export.entity), ExportPlan(export.target, export.entity)
        )
        if refusal is not None:
            stopped[export.target, export.entity] = holds.refused(refusal.reason)
            continue
        try:
            order = night.entities(export.target)
            rank = _rank(export, order)
            of_today = [
                row
                for row in seasons
                if (row["target"], row["entity"]) == (export.target, export.entity)
            ]
            export = replace(export, limits=in_season(export.limits, of_today, night.as_of))
            if still := holds.of_columns(export, night.feeds):
                export = standing.columns(connection, export, still)
                part.holds.append(holds.said_of_columns(export, still))
            if night.undo is not None:
                part.desired, part.observed = undo.compare(connection, export, rank, night.undo)
            else:
                seen = night.observed.get(export.target, {})
                if seen.get("status") == "ok":
                    applied.ensure(connection, export)
                    settle.resolve(connection, export, seen["observed_at"])
                stands = causes.ground(export, night.feeds, night.run_id)
                then = night.before.get(f"{export.target}.{export.entity}")
                part.desired, part.observed = diff.compare(
                    connection, export, rank, causes.cause(stands, then)
                )
                part.made_from = stands  # of what could be compared
        except (diff.DiffImpossibleError, holds.TargetUnusableError, LimitError) as error:
            stopped[export.target, export.entity] = holds.refused(str(error))
            continue
        if night.undo is None and deliveries.postponed(connection, night, export, part):
            continue
        if night.undo is None and export.entity in night.append_only(export.target):
            part.documents = append_only.hold(connection, export)
        part.set_aside = holds.set_aside(connection, export)
        moves.pair(connection, export)
        compared.append(export)
        facts = night.observed, night.written_at
        why = holds.of_night(export, night.feeds, *facts)
        if why and (free := holds.of_other_kinds(export, night.feeds)):
            waiting.append((export, why, free))
            why = holds.of_night(replace(export, feeds=()), night.feeds, *facts)
        reasons = [why] if why else []
        if not reasons and night.undo is None:
            reasons = holds.refusals(connection, export, part.desired, part.observed, allowed)
            if not reasons:
                part.holds += holds.by_key(connection, export, allowed)
        if reasons:
            stopped[export.target, export.entity] = reasons[0]
    for refusal in night.exports.unreadable:
        if scope.covers(refusal.target):
            parts.setdefault(
                (refusal.target, refusal.entity), ExportPlan(refusal.target, refusal.entity)
            )
            stopped[refusal.target, refusal.entity] = holds.refused(refusal.reason)
    every = [export for export, _ in _ordered(night.exports, scope)]
    for target, entity, why in holds.spread_over_files(every, stopped, night.exports.unreadable):
        stopped.setdefault((target, entity), why)
    releases.of_rows(connection, night.as_of, CLOSED)
    releases.of_standing_rows(connection, night.as_of, CLOSED)
    releases.mark(connection)
    releases.set_apart(connection)
    moves.release_together(connection)
    if night.undo is None:
        expected.mark(connection, compared)
    # somebody has said so
    connection.execute(f"update changes set hold = null where released and {CLOSED}")
    append_only.let_go(connection)
    for key, why in stopped.items():
        parts[key].holds.append(str(why))
        _hold(connection, key, why)
    for export, why, free in waiting:
        if (export.target, export.entity) not in stopped and (
            said := holds.by_kind(connection, export, why, free)
        ):
            parts[export.target, export.entity].holds.append(said)
    in_files = holds.files(compared).values()
    with_members = {one.model: members for members in in_files for one in members}
    for export in compared:
        parts[export.target, export.entity].holds += holds.by_partition(
            connection,
            standing.feeds(export, with_members.get(export.model, [export])),
            night.feeds,
        )
    for members in in_files:
        standing.spread(connection, members)
    for export in sorted(
        compared, key=lambda one: bool(one.after)
    ):  # what waits for others comes after their limits
        if night.undo is None:
            left_out.wait(connection, export)
            parts[export.target, export.entity].holds += lacking(connection, export)
            parts[export.target, export.entity].holds += seatless(connection, export)
        moves.hold_together(connection, export)
        sentences = holds.by_limits(
            connection,
            export,
            parts[export.target, export.entity].observed,
            allowed,
            night.as_of if night.undo is None else "",
        )
        parts[export.target, export.entity].holds += sentences
        moves.hold_together(connection, export)
    if night.undo is None:
        for key, why in follows.circles(night.exports.every).items():
            if key in parts:
                parts[key].holds.append(str(why))
                _hold(connection, key, why)
        if any(one.follows for one in night.exports.every):
            follows.hold(connection, night.exports.every)
            for members in in_files:
                standing.spread(connection, members)
        deliveries.plan(connection, night, compared, parts, allowed)
    _within(connection, scope)
    _count(connection, parts)
    digests = {
        target: _digest(connection, target) for target in sorted({target for target, _ in parts})
    }
    lines = [
        *(f"{target} {one}" for target, one in digests.items()),
        json.dumps([allowed.words, asdict(scope)], sort_keys=True),
    ]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    plan_id = hashlib.sha256(f"{night.run_id}|{digest}".encode()).hexdigest()[:16]
    return Plan(plan_id, digest, digests, tuple(parts.values()), allowed, scope, night.undo)


def store(connection: duckdb.DuckDBPyConnection, plan: Plan, run_id: str) -> dict[str, Any]:
    """Append the plan and its changes to the audit tables, once, and return the document for
    `plan.json`.
    """
    now = datetime.now(UTC)
    known = connection.execute(
        "select count(*) from ledger.audit.plans where plan_id = ?", [plan.plan_id]
    ).fetchone()
    if not known or not known[0]:
        connection.execute("begin")
        connection.execute(
            """
            insert into ledger.audit.planned_changes
            select left(sha256(concat_ws('|', $plan, target, entity, key, action)), 16), $plan,
            $run, $now::timestamptz, target, entity, key,
                   subject, partition, action, remote_id, old, new, reason, hold, source,
                   export_model,
                   row_number() over (order by target, entity_rank, action_rank, key), family
            from changes""",
            {"plan": plan.plan_id, "run": run_id, "now": now.isoformat()},
        )
        allowed = json.dumps(asdict(plan.allowed))
        connection.execute(
            "insert into ledger.audit.drifts select $plan, $run, $now::timestamptz, drifts.* from"
            " drifts",
            {"plan": plan.plan_id, "run": run_id, "now": now.isoformat()},
        )
        for part in plan.parts:
            connection.execute(
                "insert into ledger.audit.plans values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    plan.plan_id,
                    run_id,
                    now.isoformat(),
                    plan.digest,
                    part.target,
                    part.entity,
                    part.desired,
                    part.observed,
                    json.dumps(part.planned),
                    json.dumps(part.held),
                    allowed,
                ],
            )
        connection.execute("commit")
    return {
        "plan_id": plan.plan_id,
        "digest": plan.digest,
        "digests": plan.digests,
        "made_at": now.isoformat(),
        "rests_on": rests_on(Run.load(run_id)),
        "allowed": asdict(plan.allowed),
        "scope": asdict(plan.scope),
        "exports": [asdict(part) for part in plan.parts],
        "undoes": plan.undo.run_id if plan.undo else "",
        "cannot": plan.undo.cannot if plan.undo else [],
        "own": district.sentences(),
    }


def is_empty(document: Mapping[str, Any]) -> bool:
    """Whether a stored plan leaves a push nothing to do, to say or to remember."""
    asks = ("planned", "held", "holds", "drift")
    return not document.get("undoes", True) and not any(
        part.get(one, True) for part in document.get("exports", [{}]) for one in asks
    )


def moved(connection: duckdb.DuckDBPyConnection, plan_id: str, target: str) -> str:
    """What differs between the stored plan and the changes just computed, for one
    target, in words.
    """
    columns = "entity, key, action, cast(old as varchar), cast(new as varchar), coalesce(hold, '')"
    now = f"select {columns} from changes where target = $target"
    then = (
        f"select {columns} from ledger.audit.planned_changes where target = $target and plan_id ="
        " $plan"
    )
    values = {"target": target, "plan": plan_id}
    words = []
    for what, query in (
        ("new or different", f"{now} except {then}"),
        ("no longer so", f"{then} except {now}"),
    ):
        rows = connection.execute(
            f"select entity, key, action, count(*) over () from ({query}) order by 1, 2, 3", values
        ).fetchone()
        if rows:
            words.append(f"{rows[3]:,} {what} (first: {rows[2]} {rows[0]} {rows[1]})")
    return " and ".join(words) or "the objects behind the changes are others"


def rests_on(run: Run) -> dict[str, Any]:
    """What a plan is made from besides what the targets hold: the code, and the export tables (rows
    and hash, as built).
    """
    return {"code": git_commit(), "tables": run.read("exports.json", {})}


def ground_moved(
    then: Mapping[str, Any], now: Mapping[str, Any], target: str, *, code: bool
) -> str:
    """What of the ground under an approved plan is no longer as it was, in words; '' when it
    stands.
    """
    words = (
        [f"the code is at {now['code'] or 'no commit'} and was at {then['code'] or 'no commit'}"]
        if code and then["code"] != now["code"]
        else []
    )
    tables = sorted(
        name for name in {*then["tables"], *now["tables"]} if name.startswith(f"exp_{target}__")
    )
    for name in tables:
        before, after = then["tables"].get(name), now["tables"].get(name)
        if before != after:
            rows = [f"{one['rows']:,} rows" if one else "no table" for one in (before, after)]
            words.append(f"table {name} was built anew and differs ({rows[0]}, now {rows[1]})")
    return "; ".join(words)


# ---------------------------------------------------------------- steps


def _ordered(exports: Exports, scope: Scope) -> list[tuple[Export, RefusalError | None]]:
    every: list[tuple[Export, RefusalError | None]] = [
        *((export, None) for export in exports.good),
        *exports.refused,
    ]
    every = [
        (e, r) for e, r in every if scope.covers(e.target) and not (scope.is_partial and e.file)
    ]
    return sorted(every, key=lambda pair: (pair[0].target, pair[0].entity))


def _rank(export: Export, order: tuple[str, ...]) -> int:
    if export.file is not None:
        if order:
            raise diff.DiffImpossibleError(
                f"{export.model} has meta.export.file, but target {export.target} takes objects,"
                " not files"
            )
        return 0
    if export.entity not in order:
        raise diff.DiffImpossibleError(
            f"target {export.target} has no entity {export.entity!r}; it has"
            f" {', '.join(order) or 'files only'}"
        )
    return order.index(export.entity)


def _hold(connection: duckdb.DuckDBPyConnection, key: tuple[str, str], why: Reason) -> None:
    connection.execute(
        "update changes set hold = ? where target = ? and entity = ?", [why.json, *key]
    )


def _seasons(connection: duckdb.DuckDBPyConnection) -> list[dict[str, str | None]]:
    """The rows of `seeds/limit_seasons.csv`, in their order; none before the first build."""
    if not applied.columns(connection, "seeds.limit_seasons"):
        return []
    names = (
        "target",
        "entity",
        "action",
        "column_name",
        "scope",
        "limit_text",
        "first_day",
        "last_day",
    )
    rows = connection.execute(
        f"select {', '.join(names)} from seeds.limit_seasons order by first_day, last_day"
    ).fetchall()
    return [dict(zip(names, row, strict=True)) for row in rows]


def lacking(connection: duckdb.DuckDBPyConnection, export: Export) -> list[str]:
    """Hold the new rows whose object lacks what they need (`needs:`) and is not given it tonight:
    the target would refuse them, every night anew. Returns the sentences.
    """
    sentences = []
    for column, needed in export.needs.items():
        entity = export.references[column]
        view = diff.observed_view(replace(export, entity=entity))
        key = diff.key_of(connection, export.target, entity)
        if not key or needed not in applied.columns(connection, view):
            continue
        pointer = sql.key(sql.key_like([column], key))
        why = Reason("hold_needs", {"target": export.target, "entity": entity, "column": needed})
        ((count,),) = connection.execute(
            f"""
            update changes set hold = $hold
            from (select {sql.key(export.shown_key)} as _key, {pointer} as owner
            from {export.relation}) as wanted
            join (select {sql.key(key)} as owner from {view}
            where {sql.name(needed)} is null) as empty on empty.owner = wanted.owner
            where wanted._key = changes.key and changes.target = $target
            and changes.entity = $entity and changes.action = 'create' and hold is null
            and wanted.owner not in (select key from changes where target = $target
            and entity = $kind and hold is null
            and (new ->> {sql.text(f'$."{needed}"')}) is not null)
            """,
            {"hold": why.json, "target": export.target, "entity": export.entity, "kind": entity},
        ).fetchall()
        if count:
            sentences.append(f"{export.target} {export.entity}: {count:,} wait: {why}")
    return sentences


def seatless(connection: duckdb.DuckDBPyConnection, export: Export) -> list[str]:
    """Hold the new rows for which no seat is free (`seats:`), the last ones by their keys: the
    target would refuse them, and who goes without would be chance. What is taken back tonight is
    free the next night. Returns the sentences.
    """
    sentences = []
    for column, entity in export.seats.items():
        view = diff.observed_view(replace(export, entity=entity))
        # before it was ever read nobody knows how many there are
        if not applied.columns(connection, view) or not left_out.rows(connection, view):
            continue
        field = sql.text(f'$."{column}"')
        known = {"named": "place.named", "seats": "place.seats", "used": "place.used"}
        ((count,),) = connection.execute(
            f"""
            update changes set hold = {sql.reason("hold_no_seat", **known)}
            from (
                select wanted.key as _key, wanted.named, coalesce(there.seats, 0) as seats,
                coalesce(there.seats_used, 0) as used,
                row_number() over (partition by wanted.named order by wanted.key) as number
                from (select key, new ->> {field} as named from changes where target = $target
                and entity = $entity and action = 'create' and hold is null) as wanted
                left join {view} as there on there.{sql.name(column)} = wanted.named
            ) as place
            where place._key = changes.key and changes.target = $target
            and changes.entity = $entity and changes.action = 'create' and changes.hold is null
            and place.number > greatest(place.seats - place.used, 0)""",
            {"target": export.target, "entity": export.entity},
        ).fetchall()
        if count:
            sentences.append(f"{export.target} {export.entity}: {count:,} wait for a free seat")
    return sentences


def _within(connection: duckdb.DuckDBPyConnection, scope: Scope) -> None:
    """Leave out what the scope does not name; limits were judged before, on the whole."""
    for column, value in (
        ("partition", scope.partition),
        ("subject", scope.subject),
        ("action", scope.action),
    ):
        if value == MOVE and column == "action":
            connection.execute("delete from changes where move is null")
        elif value:
            connection.execute(
                f"delete from changes where {sql.name(column)} is distinct from ?", [value]
            )
    moves.whole(connection)


def _count(connection: duckdb.DuckDBPyConnection, parts: dict[tuple[str, str], ExportPlan]) -> None:
    rows = connection.execute(
        f"""
        select target, entity, action, count(*), count(hold),
        count(*) filter ({left_out.WAITS} or {CLOSED} or {follows.AFTER})
        from changes group by all order by all"""
    ).fetchall()
    for target, entity, action, planned, held, waiting in rows:
        part = parts[target, entity]
        part.planned[action] = planned
        part.waiting += waiting
        held -= waiting
        if held:
            part.held[action] = held
    for target, entity, released in connection.execute(
        "select target, entity, count(*) from changes where released group by all"
    ).fetchall():
        parts[target, entity].released = released
    rows = connection.execute(
        "select target, entity, policy, column_name, count(*) from drifts group by all order by all"
    ).fetchall()
    for target, entity, policy, column, drifted in rows:
        if policy not in (shared.THEIRS, shared.CONFLICT):
            parts[target, entity].drift.setdefault(policy, {})[column] = drifted
    for target, entity, key, partition, column in connection.execute(
        "select target, entity, key, coalesce(partition, ''), column_name from drifts"
        f" where policy = '{shared.CONFLICT}' order by all"
    ).fetchall():
        parts[target, entity].conflicts.append(
            {"key": key, "partition": partition, "column": column}
        )
    for target, entity, key, partition, why in connection.execute(
        "select target, entity, key, coalesce(partition, ''),"
        f" coalesce(hold ->> '$.values.why', '') from changes where {CLOSED} order by all"
    ).fetchall():
        parts[target, entity].closed.append({"key": key, "partition": partition, "why": why})
    for target, entity, key, partition in connection.execute(
        "select target, entity, key, coalesce(partition, '') from changes"
        f" where {OPENED} order by all"
    ).fetchall():
        parts[target, entity].opened.append({"key": key, "partition": partition})
    for hold, target, entity, copies in connection.execute(
        "select hold, target, entity, count(*) from changes"
        " where hold ->> '$.code' = 'hold_key_doubled' group by all order by all"
    ).fetchall():
        parts[target, entity].holds.append(f"{target} {entity}: {copies:,} held, {said(hold)}")


def _digest(connection: duckdb.DuckDBPyConnection, target: str) -> str:
    """One hash over all changes of a target, in their order."""
    line = (
        "concat_ws(chr(31), entity, key, action, coalesce(remote_id, ''), old, new, coalesce(hold,"
        " ''))"
    )
    total = hashlib.sha256()
    cursor = connection.execute(
        f"select sha256({line}) from changes where target = ? order by entity_rank, action_rank,"
        " entity, key",
        [target],
    )
    while rows := cursor.fetchmany(10_000):
        total.update("".join(row[0] for row in rows).encode())
    return total.hexdigest()


def totals(document: Mapping[str, Any]) -> tuple[Counter[str], Counter[str]]:
    """Planned and held changes of a plan document, by action."""
    planned: Counter[str] = Counter()
    held: Counter[str] = Counter()
    for part in document["exports"]:
        planned.update(part["planned"])
        held.update(part["held"])
    return planned, held
