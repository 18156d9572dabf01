"""The journal: what was about to be written to a target, and what came of it. One JSONL file per
run and target.

In: intents and outcomes from the workers. Out: lines on disk; an intent is durable (fdatasync)
before the call is made, an outcome is handed to the operating system right after it. A process
killed anywhere leaves at most a torn last line, which `read` and `Journal` cut; a machine that
loses power may lose outcomes, never intents.

Lines: {"line": "plan"|"intent"|"outcome"|"end", …}. Keys and remote ids only, never
personal data.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common import documents


class JournalDamagedError(Exception):
    """A journal with a broken line that is not its last: something else than a kill wrote to it."""


@dataclass(frozen=True)
class Past:
    """What a journal says has happened."""

    plan_id: str | None = None
    outcomes: dict[str, dict[str, Any]] = field(
        default_factory=dict
    )  # change_id -> last outcome line
    intents: dict[str, str] = field(
        default_factory=dict
    )  # change_id -> when it was last about to be written
    started: bool = False
    ended: bool = False
    last_at: str = ""  # moment of the newest line

    @property
    def unclear(self) -> set[str]:
        """Changes that were about to be written and of which nobody knows what came."""
        return set(self.intents) - set(self.outcomes)


def read(path: Path) -> Past:
    """Read a journal; a missing file is an empty past. Raises JournalDamagedError when a line
    inside it is broken.
    """
    if not path.is_file():
        return Past()
    plan_id, outcomes, intents, ended, last_at = None, {}, {}, False, ""
    lines, _ = _whole_lines(path)
    for entry in lines:
        last_at = entry.get("at", last_at)
        match entry["line"]:
            case "plan":
                # The same journal file serves every plan of its run; outcomes of an earlier plan
                # stay known.
                plan_id, ended = entry["plan_id"], False
            case "intent":
                intents[entry["change_id"]] = entry["at"]
            case "outcome":
                outcomes[entry["change_id"]] = entry
            case "end":
                ended = True
    return Past(plan_id, outcomes, intents, bool(lines), ended, last_at)


def keep_what_is_whole(path: Path, *, damaged: bool = False) -> None:
    """Set a damaged journal aside and leave the lines of it that can be read; also one that shows
    by nothing but its size that it was cut. They keep its time: nothing was written to the target.
    """
    written = path.stat().st_mtime_ns
    documents.lines(path, lambda entry: "line" in entry, damaged=damaged)
    if path.is_file():
        os.utime(path, ns=(written, written))


def _whole_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The valid lines and the number of bytes they take; only the last line may be broken."""
    content = path.read_bytes()
    entries: list[dict[str, Any]] = []
    good = 0
    lines = content.split(b"\n")
    for number, line in enumerate(
        lines[:-1]
    ):  # what stands behind the last line end is nothing, or torn
        try:
            entry = json.loads(line)
            if not isinstance(entry, dict) or "line" not in entry:
                raise ValueError("not a journal line")
        except ValueError:
            if not any(lines[number + 1 :]):
                break
            raise JournalDamagedError(
                f"{path}: line {number + 1} cannot be read and is not the last; put the file aside"
                " and run a new night"
            ) from None
        entries.append(entry)
        good += len(line) + 1
    return entries, good


class Journal:
    """Appends to one journal file. Thread-safe; intents of many workers share one fdatasync."""

    def __init__(self, path: Path, plan_id: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.is_file():
            _, good = _whole_lines(path)
            with path.open("r+b") as file:
                file.truncate(good)
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._changed = threading.Condition()
        self._waiting: list[bytes] = []
        self._written = 0  # entries handed in
        self._durable = 0  # entries known to be on disk
        self._syncing = False
        self._broken: OSError | None = None
        self._append([{"line": "plan", "plan_id": plan_id, "at": _now()}])
        self._sync()

    def intend(self, change_ids: Iterable[str], attempt: int = 1) -> None:
        """These changes are about to be written. Returns when that is on disk."""
        at = _now()
        self._append(
            [
                {"line": "intent", "change_id": one, "attempt": attempt, "at": at}
                for one in change_ids
            ]
        )
        self._sync()

    def conclude(self, outcomes: Iterable[dict[str, Any]]) -> None:
        """These changes have a final outcome. In the operating system's hands when this returns."""
        at = _now()
        self._append([{"line": "outcome", "at": at, **one} for one in outcomes])
        with self._changed:
            self._write()

    def end(self) -> None:
        """Every change of the plan was dealt with: nothing is to be resumed."""
        self._append([{"line": "end", "at": _now()}])
        self._sync()

    def close(self) -> None:
        with self._changed:
            while self._syncing:
                self._changed.wait()
            os.close(self._file)

    def _append(self, entries: list[dict[str, Any]]) -> None:
        lines = b"".join(
            json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
            for entry in entries
        )
        with self._changed:
            self._waiting.append(lines)
            self._written += 1

    def _write(self) -> None:
        """Hand everything waiting to the operating system; the caller holds the lock or is the one
        who syncs.
        """
        lines, self._waiting = b"".join(self._waiting), []
        while lines:
            lines = lines[os.write(self._file, lines) :]

    def _sync(self) -> None:
        """Wait until everything handed in so far is on disk; one of the waiting workers syncs for
        all of them.
        """
        with self._changed:
            mine = self._written
            while self._durable < mine and self._syncing:
                self._changed.wait()
            if self._durable >= mine:
                return
            if (
                self._broken is not None
            ):  # a second fdatasync may claim success for lines the first one lost
                raise self._broken
            self._syncing, upto = True, self._written
        try:
            with self._changed:
                self._write()
            os.fdatasync(self._file)
        except OSError as error:
            self._broken, upto = error, 0
            raise
        finally:
            with self._changed:
                self._durable = max(self._durable, upto)
                self._syncing = False
                self._changed.notify_all()


def _now() -> str:
    return datetime.now(UTC).isoformat()
