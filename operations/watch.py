"""Watch: stay, and begin each part of `[[schedules]]` when its time comes, its file arrives or
somebody calls for it (`calls`).

In: the settings, read anew whenever they change; the folders of feeds. Out: runs of parts
(`parts`), each in a process of its own that is a copy of this one: what a run needs of Python is
read once, here, and a quiet run costs what it asks and not what it imports. Between runs nothing
is held: no lock, no connection, no file, but the port it listens on. Parts that share a target take
turns; a night is waited for. Asked to stop, it begins nothing more and lets what is under way end
well.

Alone: `python -m operations watch`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from common import lock, log, settings, turns
from operations import calls, copies, interventions, parts
from operations.configured import Called, Part

TICK = 1.0  # seconds between two looks
# what the steps of a run import, at once and before anybody forks
WARM = (
    *copies.COMMON,
    "dbt.cli.main",
    "dbt.adapters.duckdb",
    "dbt.task.build",
    "dlt",
    "ingestion.fetch",
    "ingestion.sql",
    "ingestion.rest",
)


@dataclass
class Watched:
    """What is remembered of a part between two looks."""

    begun: datetime | None
    seen: tuple[tuple[str, int, int], ...] = ()  # the files its last run found
    there: tuple[tuple[str, int, int], ...] | None = None  # those of the look before
    process: copies.Copy | None = None


@dataclass
class Watch:
    """The parts, what is under way, and whether somebody wants us to stop."""

    stop: threading.Event = field(default_factory=threading.Event)
    of: dict[str, Watched] = field(default_factory=dict)
    told: str = ""
    calls: calls.Calls = field(default_factory=calls.Calls)

    def look(self) -> None:
        """One look: reap what ended, begin what is due."""
        self._reap()
        settings._files.cache_clear()
        try:
            every = parts.parts()
            paused = interventions.current()
        except (settings.SettingsError, interventions.InterventionError) as error:
            self._say(str(error))
            return
        self._say("no run begins: " + paused.sentence if paused else "")
        for part in every:
            known = self.of.setdefault(part.name, _known(part))
            files = parts.arrived(part)
            # a file that still grows has not arrived
            whole, known.there = files == known.there, files
            came = whole and bool(set(files) - set(known.seen))
            called = part.on_call and part.name in self.calls.wanted
            due = came or called or parts.due(part, datetime.now(UTC), known.begun)
            if due and not (paused or known.process or self.stop.is_set() or self._busy(part)):
                known.begun, known.seen = datetime.now(UTC), files
                self.calls.wanted.discard(part.name)
                because = "call" if called else "arrival" if came else "time"
                log.event("part_begins", part=part.name, because=because)
                known.process = copies.forked(
                    lambda name=part.name: parts.run(name), own_group=True
                )

    def wait(self, seconds: float) -> None:
        """Until the next look: shorter where somebody calls or wants us to stop."""
        if self.calls.port:
            self.calls.wait(seconds)
        else:
            self.stop.wait(seconds)

    def _busy(self, part: Part) -> bool:
        """Whether somebody is at one of its targets: it begins once that is over."""
        return any(lock.holder(turns.of_target(one)) for one in parts.served(part))

    def _reap(self) -> None:
        for name, known in self.of.items():
            if known.process and (code := known.process.poll()) is not None:
                known.process = None
                log.event("part_ended", part=name, exit_code=code)

    def end(self) -> None:
        """Ask what is under way to stop, as a night is asked, and wait for it."""
        for known in self.of.values():
            if known.process:
                os.kill(known.process.pid, signal.SIGTERM)
        while any(known.process for known in self.of.values()):
            self._reap()
            time.sleep(0.05)

    def _say(self, sentence: str) -> None:
        if sentence != self.told:
            self.told = sentence
            if sentence:
                print(f"watch: {sentence}", file=sys.stderr)


def watch(seconds: float = 0.0) -> int:
    """Stay until asked to stop, or for so many seconds; 0. Raises SettingsError where there is no
    part that could begin by itself.
    """
    every = parts.parts()
    alone = [part for part in every if part.seconds or part.at or part.on_arrival or part.on_call]
    if not alone:
        raise parts.PartError(
            "no part begins by itself: a [[schedules]] of the settings says every, at, on_arrival"
            " or on_call"
        )
    with lock.lock(turns.of_part("watch"), "a watch"):
        return _watch(seconds, alone)


def _watch(seconds: float, alone: Sequence[Part]) -> int:
    watched = Watch()
    if any(part.on_call for part in alone):
        port = settings.read(Called, "calls").port
        try:
            watched.calls.listen(port)
        except OSError as error:
            raise parts.PartError(
                f"[calls] port: {calls.HERE}:{port} cannot be listened on (error {error.errno});"
                " another watch may, or another program"
            ) from None
    with copies.steps(WARM):
        return _stay(watched, seconds, alone)


def _stay(watched: Watch, seconds: float, alone: Sequence[Part]) -> int:
    before = {
        number: signal.signal(number, lambda *_: watched.stop.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    print("watch: " + "; ".join(f"{part.name} {part.when}" for part in alone), file=sys.stderr)
    deadline = time.monotonic() + seconds if seconds else float("inf")
    try:
        while not watched.stop.is_set() and time.monotonic() < deadline:
            watched.look()
            watched.wait(min(TICK, max(deadline - time.monotonic(), 0.0)))
    finally:
        watched.stop.set()
        watched.calls.close()
        watched.end()
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def _known(part: Part) -> Watched:
    """A part nobody has looked at yet: files that came since its last run are new."""
    begun = parts.last_begun(part.name)
    since = begun.timestamp() * 1e9 if begun else 0
    return Watched(begun, tuple(one for one in parts.arrived(part) if one[2] < since))
