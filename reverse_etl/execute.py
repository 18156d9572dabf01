"""Execute: the changes of one target, in order, at its pace, each journaled before and after.

In: changes without holds, the adapter, what the journal already knows, remote ids known so far.
Out: outcomes in the journal and a `Tally`. Knows no database and no settings; time, sleep and
chance are passed in.

Order: entities as the adapter names them, waves within an entity, removals afterwards in reverse
order; of a move none before all its arrivals. A change whose group or user does not exist (its
create was held or failed) is skipped and says what it waits for. An attempt of which nobody knows
what came is looked up by its durable key before it is made again. Both sides of an exchange are one
attempt with one outcome (`exchanges.py`).
"""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from common.log import event
from reverse_etl import exchanges, pacing
from reverse_etl.journal import Journal, Past
from reverse_etl.model import (
    ARRIVALS,
    CREATE,
    DELIVER,
    FILE_ENTITY,
    REMOVALS,
    RESTORE,
    SESSIONS_LEFT,
    SUSPEND,
    UNDELETE,
    Adapter,
    Change,
    Outcome,
    key_text,
)

# how often one change may be told to come back later; each time the pace falls, so this is hours
THROTTLES = 30
TROUBLE = (
    60  # calls in a row without any answer that counts: the platform is down, and the rest may wait
)

Known = dict[tuple[str, str], str]  # (entity, key text) -> remote id


@dataclass
class Tally:
    """What came of one target's changes."""

    done: Counter[tuple[str, str]] = field(default_factory=Counter)  # (entity, status) -> how many
    failures: Counter[tuple[str, str, int, str]] = field(
        default_factory=Counter
    )  # (entity, action, code, reason) -> how many
    examples: dict[tuple[str, str, int, str], list[str]] = field(
        default_factory=dict
    )  # the same -> a few keys
    notes: dict[tuple[str, str, int, str], str] = field(default_factory=dict)  # -> why, in words
    # closed, and whoever is signed in stays so: (entity, key, partition, why)
    signed_in: list[tuple[str, str, str, str]] = field(default_factory=list)
    trouble: str = ""  # why the target was given up for tonight

    @property
    def failed(self) -> int:
        return sum(count for (_, status), count in self.done.items() if status == "failed")


@dataclass
class Item:
    """One change on its way, with what was tried."""

    change: Change
    unclear: bool = False  # an attempt was made and nobody knows what came of it
    attempts: int = 0
    throttles: int = 0
    started_at: str = ""


class Queue:
    """Changes waiting for a worker; some only from a later moment on."""

    def __init__(self, items: Sequence[Item], clock: Callable[[], float]) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: list[tuple[float, int, Item]] = [
            (0.0, number, item) for number, item in enumerate(items)
        ]
        heapq.heapify(self._waiting)
        self._number = len(items)
        self._outstanding = len(items)

    def take(self, most: int, stopped: Callable[[], bool]) -> list[Item]:
        """Up to `most` changes that may run now; [] when all are dealt with or the work was
        stopped.
        """
        with self._changed:
            while self._outstanding and not stopped():
                now = self._clock()
                taken: list[Item] = []
                while self._waiting and len(taken) < most and self._waiting[0][0] <= now:
                    taken.append(heapq.heappop(self._waiting)[2])
                if taken:
                    return taken
                later = self._waiting[0][0] - now if self._waiting else 0.5
                self._changed.wait(min(max(later, 0.001), 0.5))
            return []

    def again(self, item: Item, after: float) -> None:
        with self._changed:
            self._number += 1
            heapq.heappush(self._waiting, (self._clock() + after, self._number, item))
            self._changed.notify()

    def finished(self, count: int) -> None:
        with self._changed:
            self._outstanding -= count
            if not self._outstanding:
                self._changed.notify_all()


@dataclass
class Execution:
    """The push of one target."""

    adapter: Adapter
    changes: Sequence[Change]
    references: Mapping[
        str, Mapping[str, str]
    ]  # entity -> column -> entity whose key the column holds
    keys: Mapping[str, tuple[str, ...]]  # entity -> its key columns
    known: Known
    journal: Journal
    past: Past
    stop: threading.Event
    held: frozenset[tuple[str, str]] = (
        frozenset()
    )  # (entity, key text) of arrivals that were not let through
    waiting: Mapping[tuple[str, str], str] = field(
        default_factory=dict
    )  # (entity, key text) -> what it waits for in another target
    folded: frozenset[str] = frozenset()  # entities whose keys ignore letter case
    # entity -> its column of role deleted: who is had back is not there before
    deleted: Mapping[str, str] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] | None = None  # default: wait, but not past a stop
    chance: Callable[[], float] = random.random
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self.bucket = pacing.Bucket(self.adapter.rate, self.clock, self.sleep or self.stop.wait)
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._not_created = {
            *self.held,
            *((c.entity, key_text(c.key)) for c in self.changes if self._comes(c)),
        }
        self._moving: dict[tuple[str, str | None, str], dict[str, str]] = {}
        for change in self.changes:
            if change.family and change.action in ARRIVALS:
                arriving = self._moving.setdefault(exchanges.unit(change), {})
                arriving[change.change_id] = key_text(change.key)

    def _comes(self, change: Change) -> bool:
        """Whether an object is there only after a change: who points to it waits."""
        gone = self.deleted.get(change.entity, "")
        back = change.action == RESTORE and change.new.get(gone) is False
        return back or change.action in ARRIVALS

    @property
    def stopped(self) -> bool:
        return self.stop.is_set() or bool(self.tally.trouble)

    def run(self) -> Tally:
        """Everything, once. Ends the journal only when nothing is left to resume."""
        for changes in rounds(self.adapter, exchanges.joined(self.adapter, self.changes)):
            if self.stopped:
                break
            self._round(changes)
        if not self.stopped:
            self.journal.end()
        return self.tally

    def _round(self, changes: Sequence[Change]) -> None:
        items = []
        for change in changes:
            if self._dealt_with(change):
                continue
            arriving = [each for each in exchanges.whole(change) if each.action in ARRIVALS]
            waits_for = next(filter(None, map(self._waits_for, arriving or [change])), "")
            if waits_for:
                self._conclude(
                    [
                        (
                            Item(change, started_at=_now()),
                            Outcome(
                                change.change_id, "skipped", note=f"waits for {waits_for}", calls=0
                            ),
                        )
                    ]
                )
                continue
            unclear = any(each.change_id in self.past.intents for each in exchanges.whole(change))
            others = tuple(replace(each, references=self._resolved(each)) for each in change.others)
            change = replace(change, references=self._resolved(change), others=others)
            items.append(Item(change, unclear, int(unclear)))
        if not items:
            return
        queue = Queue(items, self.clock)
        count = min(self.adapter.threads, -(-len(items) // self.adapter.batch))
        threads = [
            threading.Thread(
                target=self._work, args=(queue,), name=f"{change.target}-{n}", daemon=True
            )
            for n in range(count)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _dealt_with(self, change: Change) -> bool:
        """Whether the journal knows what became of a change, or of any side of an exchange: that
        became of all, though the journal was cut before the last of its lines.
        """
        sides = exchanges.whole(change)
        known = [each for each in sides if each.change_id in self.past.outcomes]
        for each in known:
            line = self.past.outcomes[each.change_id]
            self._count(each, _journaled(each, line))
            self._learn(each, line["status"], line.get("remote_id"))
        if known and len(known) < len(sides):
            line = self.past.outcomes[known[0].change_id]
            outcome = replace(_journaled(known[0], line), remote_id=line.get("remote_id"))
            rest = [replace(each, others=()) for each in sides if each not in known]
            self._conclude([(Item(each, started_at=_now()), outcome) for each in rest])
        return bool(known)

    def _work(self, queue: Queue) -> None:
        while items := queue.take(self.adapter.batch, lambda: self.stopped):
            try:
                self._attempt(items, queue)
            except (
                OSError
            ) as error:  # the journal's disk: nothing may be written that cannot be recorded
                self._give_up(
                    f"its journal cannot be written ({type(error).__name__}, error {error.errno});"
                    " free the disk, then push again"
                )
            except Exception as error:
                self._give_up(
                    f"the engine stumbled ({type(error).__name__}); changes in flight are looked up"
                    " when the push is resumed"
                )
                event("push_stumbled", target=items[0].change.target, error=type(error).__name__)

    # ------------------------------------------------------------ one attempt

    def _attempt(self, items: list[Item], queue: Queue) -> None:
        ready = [item for item in items if not (item.unclear and self._was_done(item, queue))]
        if not ready:
            return
        self.bucket.take(len(ready))
        if self.stopped:
            return  # nothing was written: the changes stay in the plan
        for item in ready:
            item.attempts += 1
            item.started_at = item.started_at or _now()
        sides = [each for item in ready for each in exchanges.whole(item.change)]
        self.journal.intend([each.change_id for each in sides], ready[0].attempts)
        answers = self._apply(ready)
        extra = sum(answer.calls - 1 for answer in answers.values() if answer.calls > 1)
        if extra:
            self.bucket.take(extra)
        final: list[tuple[Item, Outcome]] = []
        for item in ready:
            answer = answers.get(item.change.change_id) or Outcome(
                item.change.change_id,
                "unknown",
                reason="no_answer",
                note="the adapter gave no outcome",
            )
            if answer.status in ("applied", "failed"):
                final.append((item, answer))
            else:
                self._again(item, answer, queue)
        self._judge(list(answers.values()))
        if final:
            self._conclude(final)
            queue.finished(len(final))

    def _apply(self, items: list[Item]) -> dict[str, Outcome]:
        try:
            return {
                answer.change_id: answer
                for answer in self.adapter.apply([item.change for item in items])
            }
        except (
            Exception
        ) as error:  # an adapter that fails must not take the others of its target with it
            event(
                "apply_failed",
                target=items[0].change.target,
                entity=items[0].change.entity,
                error=_plain(error),
            )
            return {
                i.change.change_id: Outcome(
                    i.change.change_id, "unknown", reason="error", note=_plain(error)
                )
                for i in items
            }

    def _was_done(self, item: Item, queue: Queue) -> bool:
        """Look an unclear change up; True when it is dealt with (done, or to be looked up again
        later).
        """
        change = item.change
        if change.action not in (CREATE, UNDELETE, DELIVER):
            item.unclear = False  # repeating it has the same effect as doing it once
            return False
        try:
            remote_id = self.adapter.find(change)
        except Exception as error:
            event("find_failed", target=change.target, entity=change.entity, error=_plain(error))
            self._judge([Outcome(change.change_id, "unknown")])
            item.attempts += 1
            self._again(
                item,
                Outcome(change.change_id, "unknown", reason="error", note=_plain(error)),
                queue,
            )
            return True
        if remote_id is None:
            item.unclear = False
            return False
        self._conclude(
            [
                (
                    item,
                    Outcome(
                        change.change_id,
                        "applied",
                        reason="found",
                        remote_id=remote_id,
                        note="found by its key after an unknown reply",
                    ),
                )
            ]
        )
        queue.finished(1)
        return True

    def _again(self, item: Item, answer: Outcome, queue: Queue) -> None:
        """Try later, or give the change up."""
        throttled = answer.code == 429 or answer.reason == "throttled"
        item.unclear = answer.status == "unknown"
        if throttled:
            self.bucket.throttled(answer.retry_after)
            item.attempts -= 1  # it was never looked at, so it does not count as tried
            item.throttles += 1
        if item.attempts >= pacing.ATTEMPTS or item.throttles >= THROTTLES:
            tries = item.attempts + item.throttles
            self._conclude(
                [
                    (
                        item,
                        replace(
                            answer,
                            status="failed",
                            note=(
                                f"given up after {tries} attempts:"
                                f" {answer.note or answer.reason or answer.code}"
                            ),
                        ),
                    )
                ]
            )
            queue.finished(1)
            return
        wait = pacing.pause(max(item.attempts, 1), self.chance)
        queue.again(
            item, max(answer.retry_after or 0.0, 0.0 if throttled and answer.retry_after else wait)
        )

    def _judge(self, answers: list[Outcome]) -> None:
        """A platform that only fails is left alone for tonight; one that refuses single changes is
        not.
        """
        if any(answer.status in ("applied", "failed") for answer in answers):
            with self._lock:
                self._in_a_row = 0
            self.bucket.succeeded()
            return
        if answers and all(
            answer.code == 429 or answer.reason == "throttled" for answer in answers
        ):
            return
        with self._lock:
            self._in_a_row += 1
            row = self._in_a_row
        if row >= TROUBLE:
            last = answers[-1] if answers else None
            self._give_up(
                f"{row} calls in a row came to nothing (last:"
                f" {(last and (last.code or last.note or last.reason)) or 'no answer'})"
            )

    def _give_up(self, why: str) -> None:
        with self._lock:
            self.tally.trouble = self.tally.trouble or why

    # ------------------------------------------------------------ records

    def _conclude(self, results: list[tuple[Item, Outcome]]) -> None:
        results = [
            (replace(item, change=each), replace(outcome, change_id=each.change_id))
            for item, outcome in results
            for each in exchanges.whole(item.change)
        ]
        self.journal.conclude([_line(item, outcome) for item, outcome in results])
        for item, outcome in results:
            self._learn(item.change, outcome.status, outcome.remote_id)
            self._count(item.change, outcome)

    def _learn(self, change: Change, status: str, remote_id: str | None) -> None:
        if self._comes(change) and status == "applied":
            with self._lock:
                self._moving.get(exchanges.unit(change), {}).pop(change.change_id, None)
                self._not_created.discard((change.entity, key_text(change.key)))
                if remote_id:
                    self.known[change.entity, key_text(change.key)] = remote_id

    def _count(self, change: Change, outcome: Outcome) -> None:
        with self._lock:
            self.tally.done[change.entity, outcome.status] += 1
            if outcome.reason == SESSIONS_LEFT:
                key, partition = key_text(change.key), change.partition or ""
                self.tally.signed_in.append((change.entity, key, partition, outcome.note))
            if outcome.status == "failed":
                kind = (change.entity, change.action, outcome.code or 0, outcome.reason)
                self.tally.failures[kind] += 1
                self.tally.notes.setdefault(kind, outcome.note or outcome.reason)
                examples = self.tally.examples.setdefault(kind, [])
                if len(examples) < 3:
                    examples.append(key_text(change.key))

    # ------------------------------------------------------------ references

    def _pointers(self, change: Change) -> Iterator[tuple[str, str, str, bool]]:
        """(column, entity, key text, whether the change cannot do without it) for every reference
        of a change.
        """
        values = {
            **change.new,
            **dict(zip(self.keys.get(change.entity, ()), change.key, strict=False)),
        }
        for column, entity in self.references.get(change.entity, {}).items():
            value = values.get(column)
            if value not in (None, ""):
                key = key_text((value,))
                key = key.lower() if entity in self.folded else key
                yield column, entity, key, column in self.keys.get(change.entity, ())

    def _waits_for(self, change: Change) -> str:
        """What a change waits for: the object of a key column, one that this plan was to create and
        did not, or, before anybody is taken from anywhere, where they were to arrive.
        """
        if change.family and change.action in REMOVALS:
            missing = self._moving.get(exchanges.unit(change), {}).values()
            if missing:
                return f"{change.target} {change.entity} {min(missing)}"
        elsewhere = self.waiting.get((change.entity, key_text(change.key)))
        if elsewhere:
            return elsewhere
        if change.action in REMOVALS and change.remote_id:
            return ""
        for _, entity, key, essential in self._pointers(change):
            absent = (entity, key) not in self.known
            if (absent and essential) or (entity, key) in self._not_created:
                return f"{change.target} {entity} {key}"
        return ""

    def _resolved(self, change: Change) -> dict[str, str]:
        return {
            column: self.known[entity, key]
            for column, entity, key, _ in self._pointers(change)
            if (entity, key) in self.known
        }


def rounds(adapter: Adapter, changes: Sequence[Change]) -> list[list[Change]]:
    """The changes in the order they may be written: what stands in one round may run at the same
    time.
    """
    entities = adapter.entities or (FILE_ENTITY,)
    closes_after: Mapping[str, str] = getattr(adapter, "closes_after", {})
    placed: dict[tuple[str, bool], dict[tuple[bool, int], list[Change]]] = {}
    for change in changes:
        # a closing may wait until what is to be handed over before it was
        late = change.action == SUSPEND and change.entity in closes_after
        where = closes_after[change.entity] if late else change.entity
        waves = placed.setdefault((where, change.action in REMOVALS), {})
        waves.setdefault((late, adapter.order(change)), []).append(change)
    ordered: list[list[Change]] = []
    for order, removing in ((entities, False), (tuple(reversed(entities)), True)):
        for entity in order:
            waves = placed.get((entity, removing), {})
            ordered += [waves[wave] for wave in sorted(waves, reverse=removing)]
    return ordered


def _line(item: Item, outcome: Outcome) -> dict[str, Any]:
    line = {
        "change_id": outcome.change_id,
        "status": outcome.status,
        "attempts": item.attempts + item.throttles,
        "code": outcome.code,
        "reason": outcome.reason,
        "remote_id": outcome.remote_id,
        "request_id": outcome.request_id,
        "note": outcome.note or outcome.reason,
        "started_at": item.started_at or _now(),
        "finished_at": _now(),
    }
    if item.change.action == DELIVER:
        line |= {name: item.change.new.get(name) for name in ("rows", "bytes", "sha256", "without")}
    return {name: value for name, value in line.items() if value not in (None, "")}


def _journaled(change: Change, line: Mapping[str, Any]) -> Outcome:
    """What is counted of an outcome that was journaled before."""
    said = {name: line.get(name) or "" for name in ("reason", "note")}
    return Outcome(change.change_id, line["status"], line.get("code"), **said)


def _plain(error: Exception) -> str:
    """An error for the record. Our own say what is wrong without naming anybody; others may quote
    a request.
    """
    ours = type(error).__module__.split(".")[0] in ("reverse_etl", "common")
    return f"{type(error).__name__}: {error}" if ours else type(error).__name__


def _now() -> str:
    return datetime.now(UTC).isoformat()
