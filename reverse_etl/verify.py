"""Verify: read the targets back and measure what is left. Green means converged, not "no
exception".

In: the run's plan, a fresh observation (in a night: of what was written to; of the rest, the one it
was planned on), the share each target declares as its level. Out:
`verify.json`: per target and entity what still differs and why, without what the plan held or what
waits for it, the share of those rows that are as they should be, three numbers that add up (how
many rows equal their export, wait with a reason, differ), and of how many subjects each is, by
what they wait for. Exit 3 when a share is under its
level, and where what should be closed is open, by name: a share of 99.9 % is no comfort there.
Platforms list late what they have just accepted, so what is left is looked at again after a
pause.

Alone: `python -m reverse_etl verify [--target T]`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import duckdb

from common import findings, problems, store
from common.findings import Finding
from common.log import event
from common.runs import Run
from reverse_etl import causes, diff, journal
from reverse_etl import plan as planning
from reverse_etl.limits import Allowed
from reverse_etl.model import SUSPEND, SWITCH
from reverse_etl.settle import settle

PAUSES = (
    5.0,
    20.0,
)  # seconds before looking again, when something is left that was written tonight


def verify(
    run: Run,
    make_night: Callable[[], planning.PlanInputs],
    observe: Callable[[Sequence[str]], Any],
    targets: tuple[str, ...] = (),
    *,
    pauses: Sequence[float] = PAUSES,
    sleep: Callable[[float], object] = time.sleep,
    level: Callable[[str], float] = lambda _: 1.0,
    in_one_go: bool = False,
) -> int:
    """Observe, compare, and write `verify.json`; returns the exit code. `in_one_go`: the steps
    before were steps of this night, so what a target held then it holds, unless we wrote to it.
    """
    document = run.read("plan.json")
    if document is None:
        raise planning.NoPlanError(
            f'run {run.run_id} has no plan to verify; run "make plan" and "make push" first'
        )
    chosen = tuple(
        t
        for t in dict.fromkeys(part["target"] for part in document["exports"])
        if not targets or t in targets
    )
    result: dict[str, Any] = run.read("verify.json", {}) if targets else {}
    left, waits = chosen, list(pauses)
    unreadable: list[str] = []
    still_open: dict[str, list[Finding]] = {}
    # who could not be read before either, and was not written to: that is known, and nothing has to
    # be verified
    away = {
        t
        for t, one in run.read("observed.json", {}).items()
        if one.get("status") == "failed" and not _wrote(run, (t,))
    }
    rested = _as_observed(run, chosen) if in_one_go else set()
    for target in sorted(rested):
        event("not_read_again", target=target)
    # the plan found no difference, and nothing was read or written since
    as_planned = in_one_go and _found_nothing(document) and _is_read(run, chosen) <= rested
    while True:
        observe(tuple(target for target in left if target not in rested))
        rested = set()
        with store.connect() as connection:
            settle(connection)
            night = make_night()
            if as_planned:
                connection.execute(diff.CHANGES)
                parts = tuple(map(_part, document["exports"]))
            else:
                scope = planning.Scope(left)
                parts = planning.build_plan(connection, night, Allowed(), scope).parts
            result |= _measured(
                connection,
                document,
                left,
                {(part.target, part.entity): part for part in parts},
                {
                    (export.target, export.entity)
                    for export in night.exports.every
                    if any(column.role == SWITCH for column in export.columns)
                },
            )
            still_open |= {
                target: [
                    *_still_open(connection, target),
                    *_not_closed(connection, target, document["plan_id"]),
                ]
                for target in left
            }
        silent = [
            target for target in left if night.observed.get(target, {}).get("status") == "failed"
        ]
        for target in silent:  # what it held before the push says nothing about now
            result[target] = {
                entity: {
                    **one,
                    "residual": {},
                    "reasons": {},
                    "subjects": {},
                    "converged": None,
                    **_unread(one["desired"]),
                }
                for entity, one in result[target].items()
            }
        unreadable += silent
        left = tuple(
            t
            for t in left
            if t not in unreadable and any(_residual(one) for one in result.get(t, {}).values())
        )
        if not left or not waits or not _wrote(run, left):
            break
        sleep(waits.pop(0))
    run.write("verify.json", result)
    found = [
        _finding(t, entity, one, level(t))
        for t in chosen
        for entity, one in sorted(result.get(t, {}).items())
        if _residual(one)
    ]
    found += [one for t in chosen if t not in unreadable for one in still_open.get(t, [])]
    found += [Finding("not_verified", target=t) for t in unreadable if t not in away]
    findings.record(run, found)
    for target in chosen:
        parts = result.get(target, {})
        print(f"verify: {target}: {_three(_total(parts.values()))}")
        for entity, one in sorted(parts.items()):
            if one["converged"] is None and not one["waiting"]:
                print(f"verify: {target} {entity}: not compared, its export was refused")
            elif one["waiting"] or one["different"]:
                print(f"verify: {target} {entity}: {_three(one)}")
    # what is held waits for somebody, as the plan said when it ended with 2
    failed = any(one.level == "critical" and one.code != "still_open_held" for one in found)
    return 3 if failed else 0


def _measured(
    connection: duckdb.DuckDBPyConnection,
    document: Mapping[str, Any],
    targets: Sequence[str],
    parts: Mapping[tuple[str, str], planning.ExportPlan],
    accounts: Container[tuple[str, str]],
) -> dict[str, Any]:
    """What is left per entity: today's differences without those the plan held and those that wait
    for a held one. `accounts` are the entities whose objects open and close.
    """
    connection.execute(
        """
        create or replace temp table left_over as
        select changes.*, planned.status, planned.code, planned.note, planned.old as old_planned,
        planned.action as action_planned
        from changes
        left join (select * from ledger.audit.changes where plan_id = $plan) as planned
            on planned.target = changes.target and planned.entity = changes.entity
            and planned.key = changes.key
        where coalesce(planned.status, '') not in ('held', 'skipped')""",
        {"plan": document["plan_id"]},
    )
    waiting: dict[tuple[str, str], dict[str, int]] = {}
    subjects: dict[tuple[str, str], dict[str, dict[str, int]]] = {}
    left_behind: Counter[tuple[str, str]] = Counter()  # no row of the export wants them any more
    for target, entity, action, code, gone, count, of in connection.execute(
        """
        select changes.target, changes.entity, changes.action,
            case when planned.status = 'skipped' then 'skipped'
                when planned.status = 'held'
                then coalesce(substr(planned.hold ->> '$.code', 6), '') end,
            (changes.reason ->> '$.code') in (select unnest($left)), count(*),
            count(distinct changes.subject)
        from changes
        left join (select * from ledger.audit.changes where plan_id = $plan) as planned
            on planned.target = changes.target and planned.entity = changes.entity
            and planned.key = changes.key
        group by all order by all""",
        {"plan": document["plan_id"], "left": sorted(causes.LEFT)},
    ).fetchall():
        left_behind[target, entity] += count if gone else 0
        if code is not None:
            counts = waiting.setdefault((target, entity), {})
            counts[code] = counts.get(code, 0) + count
        if of:
            why = subjects.setdefault((target, entity), {}).setdefault(action, {})
            why[code or ""] = why.get(code or "", 0) + of
    rows = connection.execute(
        """
        select target, entity, action,
            case status when 'applied' then 'answered as done, not so when read back'
                when 'failed' then 'failed: ' || coalesce(nullif(note, ''), cast(code as varchar),
                'no reason given')
                when 'planned' then 'not pushed' when 'not pushed' then 'not pushed'
                else 'came up since the plan' end as reason, count(*)
        from left_over group by all order by all"""
    ).fetchall()
    measured: dict[str, Any] = {target: {} for target in targets}
    for planned in document["exports"]:
        target, entity = planned["target"], planned["entity"]
        if target not in targets:
            continue
        part = parts.get(
            (target, entity),
            planning.ExportPlan(target, entity, planned["desired"], planned["desired"]),
        )
        stopped = bool(planned["holds"]) and not planned["planned"] and not planned["desired"]
        residual: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        for t, e, action, reason, count in rows:
            if (t, e) == (target, entity):
                residual[action] += count
                reasons[reason] += count
        share = (
            max(0.0, 1 - sum(residual.values()) / part.desired)
            if part.desired
            else float(not residual)
        )
        why = waiting.get((target, entity), {})
        why |= {"protected": part.set_aside} if part.set_aside else {}
        why |= {"postponed": part.postponed} if part.postponed else {}
        different, waits = sum(residual.values()), sum(why.values())
        # An export that was refused has no desired state to be compared with: its share is not
        # known, and not good.
        measured[target][entity] = {
            "desired": part.desired,
            "observed": part.observed,
            "residual": dict(residual),
            "reasons": dict(reasons),
            "converged": None if stopped else round(share, 6),
            "equal": max(0, part.desired + left_behind[target, entity] - waits - different),
            "waiting": waits,
            "different": different,
            "waiting_for": why,
            "subjects": subjects.get((target, entity), {}),
            "accounts": (target, entity) in accounts,
        }
    return measured


def _still_open(connection: duckdb.DuckDBPyConnection, target: str) -> list[Finding]:
    """What was to be closed and is open: refused, or answered as done and not so."""
    rows = connection.execute(
        f"""
        select entity, key, coalesce(partition, ''), status, coalesce(nullif(note, ''), 'code '
        || code, 'no reason given') from left_over
        where target = ? and action_planned = '{SUSPEND}' and status in ('applied', 'failed')
        and action = '{SUSPEND}' order by all""",
        [target],
    ).fetchall()
    return [
        Finding(
            "still_open",
            {"why": why if status == "failed" else "answered as done, not so when read back"},
            target=target,
            entity=entity,
            **{findings.PARTITION: partition},
            key=key,
        )
        for entity, key, partition, status, why in rows
    ]


def _not_closed(connection: duckdb.DuckDBPyConnection, target: str, plan_id: str) -> list[Finding]:
    """What was to be closed and nobody tried to: held, waiting, or not pushed. One finding for
    each cause, for it may be many; the plan lists them.
    """
    rows = connection.execute(
        f"""
        select changes.entity, any_value(planned.hold), count(*),
            list_sort(list(changes.key))[:5]
        from changes
        join ledger.audit.changes as planned
            on planned.target = changes.target and planned.entity = changes.entity
            and planned.key = changes.key and planned.action = changes.action
        where planned.plan_id = ? and changes.target = ? and changes.action = '{SUSPEND}'
            and planned.status not in ('applied', 'failed')
        group by changes.entity, planned.hold ->> '$.code' order by all""",
        [plan_id, target],
    ).fetchall()
    return [
        Finding(
            "still_open_held" if hold else "still_open_not_pushed",
            {"count": count, "keys": ", ".join(keys)}
            | ({"why": problems.said(hold)} if hold else {}),
            target=target,
            entity=entity,
        )
        for entity, hold, count, keys in rows
    ]


def _unread(rows: int) -> dict[str, Any]:
    """The three numbers of what nobody could read."""
    why = {"unread": rows} if rows else {}
    return {"equal": 0, "waiting": rows, "different": 0, "waiting_for": why}


def _total(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {"equal": 0, "waiting": 0, "different": 0}
    total |= {"waiting_for": Counter(), "residual": {}, "reasons": Counter()}
    for one in parts:
        for number in ("equal", "waiting", "different"):
            total[number] += one[number]
        for why in ("waiting_for", "reasons"):
            total[why].update(one[why])
    return total


def _three(one: Mapping[str, Any]) -> str:
    """What was read back, in three numbers that add up."""
    waits, differ = problems.waiting(one["waiting_for"]), _because(one)
    return (
        f"{one['equal']:,} rows equal their export, {one['waiting']:,} wait"
        + (f" ({waits})" if waits else "")
        + f", {one['different']:,} differ"
        + (f" ({differ})" if differ else "")
    )


def _because(one: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{reason} {count:,}"
        for reason, count in sorted(one["reasons"].items(), key=lambda pair: -pair[1])[:4]
    )


def _residual(one: Mapping[str, Any]) -> int:
    return sum(one["residual"].values())


def _wrote(run: Run, targets: Sequence[str]) -> bool:
    outcome = run.read("outcome.json", {})
    return any(
        counts.get("applied")
        for t in targets
        for counts in outcome.get(t, {}).values()
        if isinstance(counts, Mapping)
    )


def _found_nothing(document: Mapping[str, Any]) -> bool:
    """Whether a plan compared every export and found it equal, with nothing left out."""
    left_out = ("set_aside", "waiting", "postponed")
    return planning.is_empty(document) and not any(
        part.get(one, True) for part in document["exports"] for one in left_out
    )


def _part(planned: Mapping[str, Any]) -> planning.ExportPlan:
    """What a plan that found nothing says of an export."""
    return planning.ExportPlan(
        planned["target"], planned["entity"], planned["desired"], planned["observed"]
    )


def _is_read(run: Run, targets: Sequence[str]) -> set[str]:
    """Those of some targets that can be read."""
    return {*run.read("observed.json", {})} & {*targets}


def _as_observed(run: Run, targets: Sequence[str]) -> set[str]:
    """Those of some targets that were read in this run, and to which nothing was sent since."""
    found = set()
    for target in targets:
        seen = run.read("observed.json", {}).get(target, {})
        if seen.get("status") != "ok" or datetime.fromisoformat(
            seen["observed_at"]
        ) < run.started_at.replace(microsecond=0):
            continue
        try:
            past = journal.read(run.folder / "journal" / f"{target}.jsonl")
        except journal.JournalDamagedError:  # what was sent is not known
            continue
        if not past.outcomes and not past.unclear:
            found.add(target)
    return found


def _finding(target: str, entity: str, one: Mapping[str, Any], level: float) -> Finding:
    words = ", ".join(f"{count:,} {action}" for action, count in one["residual"].items())
    good = one["converged"] is not None and one["converged"] >= level
    share = (
        f"; {one['converged']:.2%} converged, level {level:.4g}"
        if one["converged"] is not None
        else ""
    )
    return Finding(
        "not_wholly_converged" if good else "not_converged",
        {"left": words, "desired": one["desired"], "why": _because(one), "share": share},
        target=target,
        entity=entity,
    )
