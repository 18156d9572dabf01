"""Push: apply the plan, as far as its limits let it.

In: the run's `plan.json`, its changes in the ledger, the warehouse. Out: writes to the targets, one
journal per target, the ledger settled, the run's `outcome.json`, findings. Refuses a target whose
changes are no longer the ones in the plan (exit 2, saying what moved), unless its push was
interrupted: then it goes on where it stopped. Targets are independent; the warehouse is closed
while they are written to.

Alone: `python -m reverse_etl push [--target T]`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb

from common import documents, findings, paths, problems, sql, store, turns
from common.findings import Finding
from common.log import event
from common.runs import Run
from common.terminal import progress
from reverse_etl import (
    applied,
    configured,
    deliveries,
    diff,
    follows,
    holds,
    journal,
    left_out,
    standing,
)
from reverse_etl import plan as planning
from reverse_etl.execute import Execution, Known, Tally
from reverse_etl.journal import Journal, Past
from reverse_etl.limits import Allowed
from reverse_etl.model import (
    ARRIVALS,
    DELETED,
    FILE_ENTITY,
    RESTORE,
    Adapter,
    Change,
    Export,
    FileAdapter,
    Rendered,
    key_tuple,
)
from reverse_etl.settle import settle

LOG_EVERY = 60.0  # seconds between progress lines where nobody watches


@dataclass
class Work:
    """What one target has to do, loaded from the warehouse before it is closed."""

    target: str
    adapter: Adapter
    path: Path
    past: Past
    changes: list[Change] = field(default_factory=list)
    known: Known = field(default_factory=dict)
    references: dict[str, Mapping[str, str]] = field(default_factory=dict)
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    held: frozenset[tuple[str, str]] = frozenset()
    waiting: Mapping[tuple[str, str], str] = field(
        default_factory=dict
    )  # (entity, key) -> what it waits for in another target
    kept_back: list[Finding] = field(default_factory=list)  # files that would lack too much
    told: list[Finding] = field(default_factory=list)  # what stands in files otherwise than it is
    folded: frozenset[str] = frozenset()  # entities whose keys ignore letter case
    deleted: Mapping[str, str] = field(default_factory=dict)  # entity -> its column of that role


def push(
    run: Run,
    make_night: Callable[[], planning.PlanInputs],
    adapter: Callable[[str], Adapter],
    targets: tuple[str, ...] = (),
    *,
    look: Callable[[Sequence[str]], Any] | None = None,
    wait: float = 0.0,
) -> int:
    """Push the run's plan to all its targets, or to some; returns the exit code.

    `look` observes targets anew: given where somebody approved the plan, left out in the night,
    which plans and pushes in one go. `wait`: seconds to wait for another push to a target of this
    one. Raises NoPlanError, lock.Held.
    """
    document = run.read("plan.json")
    if document is None:
        raise planning.NoPlanError(
            f'run {run.run_id} has no plan; run "make plan", look at it with "make show", then'
            ' "make push"'
        )
    chosen = [
        t
        for t in dict.fromkeys(part["target"] for part in document["exports"])
        if not targets or t in targets
    ]
    with turns.writing(chosen, f"a push of run {run.run_id}", wait):
        return _push(run, make_night, adapter, chosen, look, document)


def _push(  # noqa: PLR0917
    run: Run,
    make_night: Callable[[], planning.PlanInputs],
    adapter: Callable[[str], Adapter],
    chosen: Sequence[str],
    look: Callable[[Sequence[str]], Any] | None,
    document: dict[str, Any],
) -> int:
    plan_id = document["plan_id"]
    pasts = {target: journal.read(run.folder / "journal" / f"{target}.jsonl") for target in chosen}
    if look:
        look([target for target in chosen if pasts[target].plan_id != plan_id])
    for target in [name for name in chosen if configured.read_only(name)]:
        del pasts[target]
        print(f"push: {target} is read only: planned, and nothing written")
    night, cleared, found = _cleared(run, document, pasts, make_night, code=look is not None)
    allowed = Allowed.of(document["allowed"])
    work: list[Work] = []
    tallies: dict[str, Tally] = {}
    with _stoppable() as stop:
        for phase in phases(cleared, night.exports.good):
            if stop.is_set():
                break
            now, unusable = _load(
                run, plan_id, {t: pasts[t] for t in phase}, night, adapter, allowed
            )
            found += [*unusable, *(one for job in now for one in job.kept_back)]
            work += now
            with turns.lent():
                tallies |= _execute(now, plan_id, stop)
    findings.record(run, found)
    for finding in found:
        print(f"push: {finding.message}", file=sys.stderr)
    with store.connect() as connection:
        settle(connection)
        outcome = _outcome(connection, run, plan_id, work)
    for job in work:
        if job.target in tallies and journal.read(job.path).ended:
            # Nothing will be resumed: what the target has need not lie about here too; the audit
            # keeps its hash.
            shutil.rmtree(_outbox(job.target, plan_id), ignore_errors=True)
    run.write("outcome.json", outcome)
    findings.record(run, [one for job in work for one in job.told])
    trouble = [*_troubles(tallies), *([] if not stop.is_set() else [_stopped(tallies, work)])]
    findings.record(run, trouble)
    for finding in trouble:
        print(f"push: {finding.message}", file=sys.stderr)
    _print(outcome, chosen)
    if trouble or any(f.code == "target_unusable" for f in found):
        return 3
    held = any(
        part["holds"] or part["held"] for part in document["exports"] if part["target"] in chosen
    )
    return 2 if found or held else 0


# ---------------------------------------------------------------- loading


def waits_for(targets: Sequence[str], exports: Sequence[Export]) -> dict[str, set[str]]:
    """Target -> the other targets its rows wait for (`after:`)."""
    waits: dict[str, set[str]] = {target: set() for target in targets}
    for one in exports:
        others = {target for target, _ in one.after.values()} | {to.target for to in one.follows}
        if one.target in waits:
            waits[one.target] |= others - {one.target}
    return waits


def phases(targets: Sequence[str], exports: Sequence[Export]) -> list[list[str]]:
    """Targets in the order they are pushed: at the same time, but for those that wait for another
    one.
    """
    waits = {
        target: others & set(targets) for target, others in waits_for(targets, exports).items()
    }
    ordered: list[list[str]] = []
    while waits:
        ready = sorted(
            target for target, others in waits.items() if not others & waits.keys()
        ) or sorted(waits)  # a circle: all at once
        ordered.append(ready)
        for target in ready:
            del waits[target]
    return ordered


def _cleared(
    run: Run,
    document: Mapping[str, Any],
    pasts: Mapping[str, Past],
    make_night: Callable[[], planning.PlanInputs],
    *,
    code: bool,
) -> tuple[planning.PlanInputs, list[str], list[Finding]]:
    """The targets whose plan still is the one that was shown (or whose push was interrupted); a
    finding for each other.
    """
    plan_id, cleared, found = document["plan_id"], [], []
    with store.connect() as connection:
        settle(connection)
        connection.execute(applied.REGISTRY)
        night = make_night()
        if any(past.plan_id != plan_id for past in pasts.values()):
            scope = document["scope"]
            fresh = planning.Scope(
                tuple(scope["targets"]), scope["partition"], scope["subject"], scope["action"]
            )
            allowed = Allowed.of(document["allowed"])
            now = planning.build_plan(connection, night, allowed, fresh)
        ground = planning.rests_on(run)
        again = f"make undo RUN={document['undoes']}" if document.get("undoes") else "make plan"
        waits = waits_for(list(pasts), night.exports.good)
        begun = {
            part["target"]
            for part in document["exports"]
            if journal.read(run.folder / "journal" / f"{part['target']}.jsonl").plan_id == plan_id
        }
        for target, past in pasts.items():
            if past.plan_id == plan_id and past.ended:
                event("push_already_done", target=target, plan=plan_id)
                continue
            if past.plan_id != plan_id:
                moved = planning.ground_moved(
                    document.get("rests_on") or ground, ground, target, code=code
                )
                # Once the accounts it waits for are being made, what waits for them cannot be
                # computed as it was; it was checked before.
                if (
                    now.digests.get(target) != document["digests"].get(target)
                    and not waits[target] & begun
                ):
                    moved = "; ".join(
                        words
                        for words in (planning.moved(connection, plan_id, target), moved)
                        if words
                    )
                if moved:
                    found.append(
                        Finding("plan_moved", {"why": moved, "again": again}, target=target)
                    )
                    continue
                _take_over(connection, plan_id, target)
            cleared.append(target)
    return night, cleared, found


def _take_over(connection: duckdb.DuckDBPyConnection, plan_id: str, target: str) -> None:
    """Values changed by hand in columns that give way to the target's own hands: theirs
    from now on, or given back.
    """
    values = {"plan": plan_id, "target": target}
    connection.execute(
        """
        delete from ledger.applied.taken_over as taken using ledger.audit.drifts as drift
        where drift.plan_id = $plan and drift.target = $target and drift.policy in ('give_back',
        'take_over')
            and (taken.target, taken.entity, taken.key, taken.column_name) = (drift.target,
            drift.entity, drift.key, drift.column_name)""",
        values,
    )
    connection.execute(
        """
        insert into ledger.applied.taken_over
        select target, entity, key, column_name, cast(theirs as varchar), run_id, found_at
        from ledger.audit.drifts
        where plan_id = $plan and target = $target and policy = 'take_over'""",
        values,
    )


def _load(  # noqa: PLR0917
    run: Run,
    plan_id: str,
    pasts: Mapping[str, Past],
    night: planning.PlanInputs,
    adapter: Callable[[str], Adapter],
    allowed: Allowed,
) -> tuple[list[Work], list[Finding]]:
    """What each target has to do; findings for those that cannot be written to."""
    work, found = [], []
    with store.connect() as connection:
        settle(connection)  # what an earlier phase made is what a later one waits for
        connection.execute(applied.REGISTRY)
        for target, past in pasts.items():
            try:
                one = _work(connection, run, plan_id, target, past, night, adapter(target), allowed)
            except Exception as error:  # one target that cannot be used must not stop the others
                found.append(Finding("target_unusable", {"why": _plain(error)}, target=target))
                continue
            if past.plan_id == plan_id:
                event(
                    "push_resumed",
                    target=target,
                    plan=plan_id,
                    done=len(past.outcomes),
                    unclear=len(past.unclear),
                )
            work.append(one)
    return work, found


def _work(  # noqa: PLR0917
    connection: duckdb.DuckDBPyConnection,
    run: Run,
    plan_id: str,
    target: str,
    past: Past,
    night: planning.PlanInputs,
    adapter: Adapter,
    allowed: Allowed,
) -> Work:
    exports = [
        export
        for export in (*night.exports.good, *(e for e, _ in night.exports.refused))
        if export.target == target
    ]
    is_file = not adapter.entities
    if is_file:  # as they were planned
        exports = [
            standing.columns(connection, one, holds.of_columns(one, night.feeds)) for one in exports
        ]
    rows = connection.execute(
        """
        select change_id, target, entity, key, action, remote_id, cast(old as varchar),
        cast(new as varchar), reason, subject, partition,
               source, export_model, seq, family
        from ledger.audit.planned_changes
        where plan_id = $plan and target = $target and hold is null and ($rows or entity = $file)
        order by seq""",
        {"plan": plan_id, "target": target, "rows": not is_file, "file": FILE_ENTITY},
    ).fetchall()
    is_rendered = [standing.standing(connection, e, plan_id) for e in exports] if is_file else []
    changes = [
        Change(
            change_id,
            name,
            entity,
            key_tuple(key),
            action,
            remote_id,
            json.loads(old or "{}"),
            json.loads(new or "{}"),
            {},
            reason,
            None,
            subject,
            partition,
            source,
            model,
            seq,
            family,
        )
        for change_id, name, entity, key, action, remote_id, old, new, reason, subject, partition, source, model, seq, family in rows  # noqa: E501
    ]
    waiting = left_out.not_there(connection, plan_id, is_rendered or exports)
    if night.undo is None:
        waiting |= follows.undone(
            connection, plan_id, exports, follows.by_name(night.exports.every)
        )
    kept_back: list[Finding] = []
    told: list[Finding] = []
    if is_file:
        left = [change for change in changes if change.change_id not in past.outcomes]
        kept_back, changes = _kept_back(connection, plan_id, left, exports, waiting, allowed)
        changes = [
            _rendered(
                connection,
                plan_id,
                change,
                exports=is_rendered,
                adapter=adapter,
                waiting=waiting,
                told=told,
            )
            for change in changes
        ]
    deleted = {e.entity: gone.name for e in exports if (gone := e.of_role(DELETED))}
    held = connection.execute(
        "select entity, key from ledger.audit.planned_changes "
        "where plan_id = ? and target = ? and hold is not null and (list_contains(?, action)"
        f" or (action = '{RESTORE}' and list_has_any(list_transform(json_keys(new),"
        " lambda name: entity || '|' || name), ?)))",
        [plan_id, target, sorted(ARRIVALS), [f"{e}|{name}" for e, name in deleted.items()]],
    ).fetchall()
    referred = {entity for e in exports if not e.file for entity in e.references.values()}
    return Work(
        target,
        adapter,
        run.folder / "journal" / f"{target}.jsonl",
        past,
        changes,
        _remote_ids(connection, [e for e in exports if e.entity in referred]) if changes else {},
        {e.entity: e.references for e in exports},
        {e.entity: e.key for e in exports},
        frozenset(held),
        waiting,
        kept_back,
        told,
        frozenset(e.entity for e in exports if e.folded),
        deleted,
    )


def _kept_back(  # noqa: PLR0917
    connection: duckdb.DuckDBPyConnection,
    plan_id: str,
    changes: Sequence[Change],
    exports: Sequence[Export],
    waiting: Mapping[tuple[str, str], str],
    allowed: Allowed,
) -> tuple[list[Finding], list[Change]]:
    """The files that must not go after all, as what they wait for was not made, and the others."""
    found: list[Finding] = []
    going: list[Change] = []
    for change in changes:
        for export in (one for one in exports if one.entity in change.new["entities"]):
            there = standing.standing(connection, export, plan_id).relation
            keys = [key for entity, key in waiting if entity == export.entity]
            lacking = left_out.pushed(connection, export, plan_id, keys)
            desired = left_out.rows(connection, there)
            new = lacking.total() - len(keys)  # rows that are not in what is rendered
            why = left_out.too_many(
                connection, export, desired + new, lacking, allowed
            ) or left_out.too_few(
                connection, export, desired - len(keys), allowed, change.new.get("as_of", "")
            )
            if why:
                values = {"file": change.key[0], "why": str(why)}
                found.append(Finding("file_not_sent", values, target=change.target))
                break
        else:
            going.append(change)
    return found, going


def _remote_ids(connection: duckdb.DuckDBPyConnection, exports: Sequence[Export]) -> Known:
    known: Known = {}
    for export in exports:
        view = diff.observed_view(export)
        if "remote_id" not in applied.columns(connection, view):
            raise diff.DiffImpossibleError(
                f"{view} has no column remote_id, but other entities refer to its objects"
            )
        rows = connection.execute(
            f"select {sql.key(export.shown_key)} as key, min(remote_id) from {view}"
            " where remote_id is not null group by key"
        ).fetchall()
        known |= {(export.entity, key): remote_id for key, remote_id in rows}
    return known


def _rendered(
    connection: duckdb.DuckDBPyConnection,
    plan_id: str,
    change: Change,
    *,
    exports: Sequence[Export],
    adapter: Adapter,
    waiting: Mapping[tuple[str, str], str],
    told: list[Finding],
) -> Change:
    """A deliver change with its file made, ready to be uploaded, and in `told` what stands in it
    otherwise than it is. A file rendered before a kill is the one that goes.
    """
    if not isinstance(adapter, FileAdapter):
        raise TypeError(f"target {change.target} has no way to render a file")
    folder = _outbox(change.target, plan_id)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = change.key[0]
    path, beside = folder / name, folder / f"{name}.without.json"
    without = deliveries.without(connection, plan_id, change, waiting)
    left_before = documents.read(beside, None, documents.has()) if path.is_file() else None
    if left_before is not None:
        content, without = path.read_bytes(), left_before
        made = Rendered(
            str(path), int(change.new["rows"]), len(content), hashlib.sha256(content).hexdigest()
        )
    else:
        beside.write_text(json.dumps(without), encoding="utf-8")
        lacking = {entity: keys for entity, keys in without.items() if keys}
        delivery = deliveries.delivery(connection, plan_id, change, exports, lacking, path)
        made = adapter.render(connection, delivery)
        told += deliveries.told(connection, delivery)
        planned = (
            change.new["rows"] - sum(map(len, without.values())) + change.new.get("waiting", 0)
        )
        if made.rows != planned:
            raise holds.TargetUnusableError(
                f'{name} would hold {made.rows:,} rows and the plan says {planned:,}; run "make'
                ' plan" again'
            )
    return replace(
        change,
        new={
            **change.new,
            **asdict(made),
            "without": {entity: keys for entity, keys in without.items() if keys},
        },
    )


def _outbox(target: str, plan_id: str) -> Path:
    """Where the files of a plan lie between being rendered and being delivered."""
    return paths.var() / "outbox" / target / plan_id


# ---------------------------------------------------------------- executing


def _execute(work: Sequence[Work], plan_id: str, stop: threading.Event) -> dict[str, Tally]:
    """All targets at once, one thread each (they start their own workers); waits for
    all of them.
    """
    tallies: dict[str, Tally] = {}

    def one(job: Work) -> None:
        tally = tallies[job.target] = Tally()
        lines: Journal | None = None
        try:
            lines = Journal(job.path, plan_id)
            Execution(
                job.adapter,
                job.changes,
                job.references,
                job.keys,
                job.known,
                lines,
                job.past,
                stop,
                job.held,
                job.waiting,
                job.folded,
                job.deleted,
                tally=tally,
            ).run()
        except Exception as error:
            tally.trouble = tally.trouble or f"stopped by {_plain(error)}"
        finally:
            if lines is not None:
                lines.close()
            job.adapter.close()

    busy = [job for job in work if job.changes]
    threads = [
        threading.Thread(target=one, args=(job,), name=job.target, daemon=True) for job in busy
    ]
    for thread in threads:
        thread.start()
    _watch(busy, tallies, threads)
    return tallies


def _watch(
    work: Sequence[Work], tallies: Mapping[str, Tally], threads: Sequence[threading.Thread]
) -> None:
    """Show how far each target is until all are done: a bar on a terminal, a line now and then
    elsewhere.
    """

    def done(job: Work) -> int:
        tally = tallies.get(job.target)
        return sum(tally.done.values()) if tally else 0

    began = time.monotonic()
    if (bars := progress()) is not None:
        with bars:
            tasks = {
                job.target: bars.add_task(job.target, total=len(job.changes), words="")
                for job in work
            }
            while True:
                alive = any(thread.is_alive() for thread in threads)
                for job in work:
                    pace = done(job) / max(time.monotonic() - began, 0.001)
                    bars.update(
                        tasks[job.target],
                        completed=done(job),
                        words=f"{pace:.0f}/s{_failed_so_far(tallies.get(job.target))}",
                    )
                if not alive:
                    break
                time.sleep(0.2)
    else:
        said = began
        while any(thread.is_alive() for thread in threads):
            threads[[thread.is_alive() for thread in threads].index(True)].join(0.2)
            if time.monotonic() - said >= LOG_EVERY:
                said = time.monotonic()
                for job in work:
                    finished, pace = done(job), done(job) / (said - began)
                    left = round((len(job.changes) - finished) / pace) if pace else None
                    event(
                        "push_progress",
                        target=job.target,
                        done=finished,
                        of=len(job.changes),
                        per_second=round(pace, 1),
                        seconds_left=left,
                        failed=_failed_so_far(tallies.get(job.target)).removeprefix(", ") or None,
                    )


def _failed_so_far(tally: Tally | None) -> str:
    """`, 3 failed (409 duplicate 2, 400 invalid 1)`."""
    if tally is None or not tally.failures:
        return ""
    reasons: Counter[str] = Counter()
    for (_, _, code, reason), count in dict(tally.failures).items():
        reasons[" ".join(str(word) for word in (code or "", reason) if word)] += count
    return (
        f", {reasons.total():,} failed"
        f" ({', '.join(f'{reason} {count:,}' for reason, count in reasons.most_common(4))})"
    )


@contextmanager
def _stoppable() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set: calls in flight are finished, no new ones made."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # signals reach the main thread only
        return
    before = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# ---------------------------------------------------------------- what came of it


def _outcome(
    connection: duckdb.DuckDBPyConnection, run: Run, plan_id: str, work: Sequence[Work]
) -> dict[str, Any]:
    """`outcome.json`: per target and entity what was applied, failed, skipped, held; counted in the
    ledger.
    """
    outcome: dict[str, Any] = {}
    rows = connection.execute(
        """
        select target, entity, status, count(*) from ledger.audit.changes where plan_id = ?
        group by all order by all""",
        [plan_id],
    ).fetchall()
    for target, entity, status, count in rows:
        counts = outcome.setdefault(target, {}).setdefault(
            entity, {"applied": 0, "failed": 0, "skipped": 0, "held": 0, "planned": 0}
        )
        counts[status] = count
    # Calls of an earlier, interrupted push of the same plan count too.
    before = {
        t: one for t, one in run.read("outcome.json", {}).items() if one.get("plan_id") == plan_id
    }
    adapters = {job.target: job.adapter for job in work}
    for target, one in outcome.items():
        for calls in ("write_calls", "read_calls"):
            one[calls] = before.get(target, {}).get(calls, 0) + (
                getattr(adapters[target], calls) if target in adapters else 0
            )
        one["plan_id"] = plan_id
    return outcome


def _troubles(tallies: Mapping[str, Tally]) -> list[Finding]:
    found = []
    for target, tally in sorted(tallies.items()):
        for (entity, action, code, reason), count in sorted(tally.failures.items()):
            keys = ", ".join(tally.examples[entity, action, code, reason])
            note = tally.notes.get((entity, action, code, reason)) or reason
            why = " ".join(str(word) for word in (code or "", note) if word) or "no reason given"
            refused = problems.catalogue().get(f"refused_{reason}")
            found.append(
                Finding(
                    "changes_failed",
                    {"count": count, "action": action, "why": why, "keys": keys},
                    target=target,
                    entity=entity,
                    key=tally.examples[entity, action, code, reason][0],
                    owner=refused.owner if refused else "",
                )
            )
        found += [
            Finding(
                "sessions_left",
                {"why": why},
                target=target,
                entity=entity,
                key=key,
                **{findings.PARTITION: partition},
            )
            for entity, key, partition, why in sorted(tally.signed_in)
        ]
        if tally.trouble:
            found.append(Finding("target_given_up", {"why": tally.trouble}, target=target))
    return found


def _stopped(tallies: Mapping[str, Tally], work: Sequence[Work]) -> Finding:
    done = sum(sum(tally.done.values()) for tally in tallies.values())
    total = sum(len(job.changes) for job in work)
    return Finding("push_interrupted", {"done": done, "total": total})


def _print(outcome: Mapping[str, Any], chosen: Sequence[str]) -> None:
    for target in chosen:
        for entity, counts in outcome.get(target, {}).items():
            if isinstance(counts, Mapping):
                words = ", ".join(
                    f"{counts[status]:,} {status}"
                    for status in ("applied", "failed", "skipped", "held", "planned")
                    if counts[status]
                )
                print(f"push: {target} {entity}: {words}")


def _plain(error: Exception) -> str:
    """An error for whoever reads it: our own as they stand, others by their type, as they may
    quote personal data.
    """
    ours = type(error).__module__.split(".")[0] in ("reverse_etl", "common")
    return str(error) if ours else type(error).__name__
