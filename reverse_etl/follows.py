"""Follows: a change that waits until something has become of an object of another target, whatever
the change is: a library card is closed once the account is, an account is deleted once what its
owner had was handed over.

In: `after:` of exports, where it names an action; what targets hold, what is planned, what came of
it. Out: `hold` set on the changes that wait (`hold_after`), with what they wait for and what holds
that up; while a plan is pushed, those whose other side was not done after all. Exports that wait
for each other in a circle are refused. A row of a file that waits stands as it was delivered, so
what a file waits for has to be so when the plan is made, and so has what an object of the same
target waits for; an object of any other target follows in the same push.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import duckdb

from common import sql
from common.problems import Reason, said
from reverse_etl import applied, diff, switches
from reverse_etl.model import (
    ARRIVALS,
    CLOSED,
    CREATE,
    DONE,
    GONE,
    REMOVALS,
    SUSPEND,
    THERE,
    Export,
    Follow,
)

AFTER = "coalesce(hold ->> '$.code' = 'hold_after', false)"
# the changes after which something is so; of `done` there has to be none that is not
BY: Mapping[str, tuple[str, ...]] = {
    THERE: tuple(sorted(ARRIVALS)),
    CLOSED: (SUSPEND, *sorted(REMOVALS)),
    GONE: tuple(sorted(REMOVALS)),
    DONE: (),
}
OF = "target = $target and entity = $entity"
Exports = Mapping[tuple[str, str], Export]


def by_name(exports: Iterable[Export]) -> Exports:
    """(target, entity) -> its export."""
    return {(one.target, one.entity): one for one in exports}


# ---------------------------------------------------------------- circles


def circles(exports: Sequence[Export]) -> dict[tuple[str, str], Reason]:
    """The exports that wait for each other in a circle, and why they cannot be written: none of
    their changes would ever be the first.
    """
    every = by_name(exports)
    waits: dict[tuple[str, str, str], set[tuple[str, str, str]]] = {}
    for export in exports:
        for follow in export.follows:
            here = (export.target, export.entity, follow.action)
            waits.setdefault(here, set()).update(_releasing(follow, every))
    found: dict[tuple[str, str], Reason] = {}
    for start in sorted(waits):
        if circle := _way_back(start, waits):
            steps = " -> ".join(f"{target}.{entity} {action}" for target, entity, action in circle)
            found[start[:2]] = Reason("hold_after_circle", {"circle": steps})
    return found


def _releasing(follow: Follow, every: Exports) -> Iterator[tuple[str, str, str]]:
    """The changes of the other side that release this one."""
    other = every.get((follow.target, follow.entity))
    if follow.state == DONE:
        yield from (
            (follow.target, follow.entity, one.action) for one in (other.follows if other else ())
        )
        return
    actions = BY[follow.state]
    if follow.state == CLOSED and other is not None and switches.of(other):
        actions = (SUSPEND,)  # what is closed need not be gone
    yield from ((follow.target, follow.entity, action) for action in actions)


def _way_back(
    start: tuple[str, str, str], waits: Mapping[tuple[str, str, str], set[tuple[str, str, str]]]
) -> list[tuple[str, str, str]]:
    """A way from a change over what it waits for back to itself; empty when there is none."""
    ways, seen = [[start]], set[tuple[str, str, str]]()
    while ways:
        way = ways.pop()
        for following in sorted(waits.get(way[-1], ())):
            if following == start:
                return [*way, start]
            if following not in seen:
                seen.add(following)
                ways.append([*way, following])
    return []


# ---------------------------------------------------------------- when it is planned


def hold(connection: duckdb.DuckDBPyConnection, exports: Sequence[Export]) -> None:
    """Hold the planned changes whose other side neither is so nor will be by this plan, until
    nothing more is to be held: what waits may be what others wait for.
    """
    every = by_name(exports)
    held = 1
    while held:
        held = sum(_hold(connection, e, follow, every) for e in exports for follow in e.follows)


def _hold(
    connection: duckdb.DuckDBPyConnection, export: Export, follow: Follow, every: Exports
) -> int:
    where = {"other": follow.target, "kind": follow.entity}
    is_so = _is_so(connection, follow, every.get((follow.target, follow.entity)))
    at_once = not _waits_a_night(export, follow)
    planned = (
        "select key from changes where target = $other and entity = $kind and hold is null"
        f" and action in (select unnest({list(BY[follow.state])!r}::varchar[]))"
        + ("" if at_once else " and false")
    )
    unready = {
        DONE: "wanted.needed in (select key from changes where target = $other and entity = $kind"
        + (" and hold is not null" if at_once else "")
        + ")"
    }.get(follow.state, f"wanted.needed not in ({planned}) and not ({is_so})")
    connection.execute(
        f"""
        create or replace temp table unready as
        select changes.key, wanted.needed, other.action, other.hold
        from changes
        join ({_needed(connection, export, follow)}) as wanted on wanted._key = changes.key
        left join (select key, any_value(action) as action, any_value(hold) as hold from changes
        where target = $other and entity = $kind and hold is not null group by key) as other
            on other.key = wanted.needed
        where changes.{OF.replace("and ", "and changes.")} and changes.hold is null
            and changes.action in (select unnest({_actions(follow)!r}::varchar[]))
            and wanted.needed is not null and {unready}""",
        {"target": export.target, "entity": export.entity, **where},
    )
    connection.execute("alter table unready add column why varchar default ''")
    for action, why in connection.execute(
        "select distinct action, hold from unready where hold is not null"
    ).fetchall():
        connection.execute(
            "update unready set why = ? where action = ? and hold = ?",
            [f": its {action} is held, {said(why)}", action, why],
        )
    reason = sql.reason(
        "hold_after",
        target=sql.text(follow.target),
        entity=sql.text(follow.entity),
        key="unready.needed",
        state=sql.text(_state(follow.state)),
        why="unready.why",
    )
    ((held,),) = connection.execute(
        f"""
        update changes set hold = {reason} from unready
        where changes.{OF.replace("and ", "and changes.")} and changes.hold is null
        and changes.action in (select unnest({_actions(follow)!r}::varchar[]))
        and changes.key = unready.key""",
        {"target": export.target, "entity": export.entity},
    ).fetchall()
    return int(held)


def _waits_a_night(export: Export, follow: Follow) -> bool:
    """Whether what is planned tonight comes too late: a file's row stands as it was until then, and
    within one target nobody says that one change is answered before the other is sent.
    """
    return export.file is not None or export.target == follow.target


def _actions(follow: Follow) -> list[str]:
    return sorted(ARRIVALS) if follow.action == CREATE else [follow.action]


def _state(state: str) -> str:
    return {THERE: "is there", CLOSED: "is closed", GONE: "is gone", DONE: "is as it should be"}[
        state
    ]


def _needed(connection: duckdb.DuckDBPyConnection, export: Export, follow: Follow) -> str:
    """A query of the rows of an export, those that left too: `_key`, and whose object they wait
    for, `needed`.
    """
    columns = sql.key_like([follow.column], diff.key_of(connection, follow.target, follow.entity))
    past = applied.table(export.target, export.entity)
    wanted = (
        f"select {sql.key(export.shown_key)} as _key, {sql.key(columns)} as needed"
        f" from {export.relation}"
    )
    if follow.column not in applied.columns(connection, past):
        return wanted
    return (
        f"{wanted} union all select _key, {sql.key(columns)} as needed from {past}"
        f" where _key not in (select {sql.key(export.shown_key)} from {export.relation})"
    )


def _is_so(connection: duckdb.DuckDBPyConnection, follow: Follow, other: Export | None) -> str:
    """Whether the object `wanted.needed` is so now, as it was last read or delivered."""
    there = _there(connection, follow, other)
    if follow.state == THERE:
        return f"wanted.needed in ({there})"
    gone = f"wanted.needed not in ({there})"
    off = _off(connection, other) if follow.state == CLOSED else ""
    return f"{gone} or wanted.needed in ({off})" if off else gone


def _there(connection: duckdb.DuckDBPyConnection, follow: Follow, other: Export | None) -> str:
    if other is None or not other.file:
        return f"{diff.existing(connection, follow.target, follow.entity)}"
    past = applied.table(follow.target, follow.entity)
    there = applied.columns(connection, past)
    return f"select _key from {past}" if there else "select null where false"


def _off(connection: duckdb.DuckDBPyConnection, other: Export | None) -> str:
    """A query of the keys of the objects that are closed; none where nothing closes there."""
    if other is None or other.file or not switches.of(other):
        return ""
    view = diff.observed_view(other)
    if not applied.columns(connection, view):
        return ""
    shut = " or ".join(
        f"lower(cast({sql.name(one.name)} as varchar)) = {sql.text(str(one.off_value).lower())}"
        for one in switches.of(other)
    )
    key = sql.key(other.shown_key)
    return f"select {key} from {view} where {key} is not null and ({shut})"


# ---------------------------------------------------------------- when it is pushed


def undone(
    connection: duckdb.DuckDBPyConnection, plan_id: str, exports: Sequence[Export], every: Exports
) -> dict[tuple[str, str], str]:
    """(entity, key) of planned changes whose other side was to be done by this plan and was not ->
    what they wait for. Files wait when they are planned.
    """
    waiting: dict[tuple[str, str], str] = {}
    for export in exports:
        for follow in export.follows:
            if _waits_a_night(export, follow):
                continue
            is_so = _is_so(connection, follow, every.get((follow.target, follow.entity)))
            tonight = (
                "select key from ledger.audit.changes where plan_id = $plan and target = $other"
                " and entity = $kind and status"
            )
            unready = (
                f"wanted.needed in ({tonight} <> 'applied')"
                if follow.state == DONE
                else f"not ({is_so}) and wanted.needed not in ({tonight} = 'applied'"
                f" and action in (select unnest({list(BY[follow.state])!r}::varchar[])))"
            )
            rows = connection.execute(
                f"""
                select planned.key, wanted.needed
                from ledger.audit.planned_changes as planned
                join ({_needed(connection, export, follow)}) as wanted
                    on wanted._key = planned.key
                where planned.plan_id = $plan and planned.target = $target
                    and planned.entity = $entity and planned.hold is null
                    and planned.action in (select unnest({_actions(follow)!r}::varchar[]))
                    and wanted.needed is not null and {unready}""",
                {
                    "plan": plan_id,
                    "target": export.target,
                    "entity": export.entity,
                    "other": follow.target,
                    "kind": follow.entity,
                },
            ).fetchall()
            waiting |= {
                (export.entity, key): f"{follow.target} {follow.entity} {needed}"
                f" until it {_state(follow.state)}"
                for key, needed in rows
            }
    return waiting
