"""The run record: one folder per night under `runs/`, with one JSON document per thing a step has
to say.

A verb continues the latest run that is not finished, or opens a new one; `nightly` always opens
one; `report` finishes it. Documents are written to a temporary file and renamed, so a reader never
sees half of one; what damages one all the same is outlived (`documents`).
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from common import disk_reserve, documents, paths, settings, turns
from common.commit import git_commit
from common.log import event

A_DICT, NUMBER = documents.has(), (int, float)
A_FEED = documents.has(source=str, feed=str, status=str)
SHAPES: dict[str, documents.Fits] = {  # of the documents of a run, as far as readers rely on it
    "run.json": documents.has(
        run_id=str,
        verb=str,
        started_at=str,
        as_of=str,
        status=str,
        git_commit=str,
        steps=documents.every(documents.has(name=str, seconds=NUMBER)),
    ),
    "summary.json": documents.has(
        run_id=str,
        verb=str,
        as_of=str,
        status=str,
        git_commit=str,
        steps=documents.every(documents.has(name=str, seconds=NUMBER)),
        feeds=documents.every(A_FEED),
        targets=documents.every(
            documents.has(target=str, desired=int, applied=int, held=int, failed=int, skipped=int)
        ),
        calls=documents.each(documents.has(write_calls=int)),
        findings=dict,
    ),
    "feeds.json": documents.every(A_FEED),
    "plan.json": documents.has(
        exports=documents.every(documents.has(target=str, entity=str, planned=dict, held=dict))
    ),
    "observed.json": documents.each(A_DICT),
    "outcome.json": documents.each(A_DICT),
    "verify.json": documents.each(A_DICT),
    "alerts.json": A_DICT,
    "exports.json": documents.each(A_DICT),
    "dbt/manifest.json": documents.has(nodes=dict),
    "dbt/run_results.json": documents.has(results=list),
}
PART = "part"  # of a part of the whole, by [[schedules]]
BY_NIGHT = ("nightly", "intraday", PART)  # what no verb somebody typed goes on with
LOOKED_OVER = 60  # runs, as many as a backup keeps
READS_ANEW = ("nightly", "intraday", PART, "ingest")  # the verbs that bring today's data


def business_date(verb: str, latest: Run | None) -> date:
    """The day a run is for: `HOMEROOM_AS_OF` (ISO date); else, when it reads the sources, today in
    the district's time zone.

    A run that reads nothing anew works for the day of the data it stands on: a plan made on Sunday
    from Friday's extracts must not suspend whoever leaves on Saturday.
    """
    given = os.environ.get("HOMEROOM_AS_OF")
    if given:
        try:
            return date.fromisoformat(given)
        except ValueError:
            raise settings.SettingsError(
                f"HOMEROOM_AS_OF is {given!r}, which is no day; write it as 2027-09-07"
            ) from None
    if latest is not None and verb not in READS_ANEW:
        return latest.as_of
    return datetime.now(settings.zone()).date()


class NoSuchRunError(Exception):
    """There is no run of that name; the message says where they are."""


class NightsRunError(NoSuchRunError):
    """The run is a night's, and a verb typed by hand has one of its own."""


@dataclass
class Step:
    """One step of a run while it lasts; whoever runs it may set its exit code and a note."""

    name: str
    exit_code: int = 0
    note: str = ""
    peak_megabytes: int | None = None


@dataclass(frozen=True)
class Run:
    """One run (night). `folder` holds its documents; `as_of` is the day it is for;
    times are UTC.
    """

    run_id: str
    folder: Path
    as_of: date
    started_at: datetime

    @classmethod
    def open(cls, verb: str, part: str = "") -> Run:
        """Begin a new run and point `runs/latest` at it, or `runs/latest-<part>` at one of a part.
        A run left open (killed, or planned and never pushed) is closed as abandoned; a night's by
        another night alone, a part's by the next of that part, or by a night once it is dead.
        """
        left = cls.latest()
        for one in cls.every():
            if not one.facts()["finished_at"] and one._is_left(verb, part):
                one.finish(1, "abandoned")
        now = datetime.now(UTC)
        run_id = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
        folder = paths.runs() / run_id
        folder.mkdir(parents=True, mode=0o700)
        run = cls(run_id, folder, business_date(verb, left), now)
        run.write(
            "run.json",
            {
                "run_id": run_id,
                "verb": verb,
                "part": part,
                "started_at": now.isoformat(),
                "finished_at": None,
                "as_of": run.as_of.isoformat(),
                "git_commit": git_commit(),
                "pid": os.getpid(),
                "status": "running",
                "exit_code": None,
                "steps": [],
            },
        )
        newest = f"latest-{part}" if part else "latest"
        link, latest = paths.runs() / f".latest-{run_id}", paths.runs() / newest
        link.symlink_to(run_id)
        if latest.is_dir() and not latest.is_symlink():
            documents.set_aside(latest)
        link.replace(latest)
        return run

    @classmethod
    def load(cls, run_id: str) -> Run:
        """An existing run. Raises NoSuchRunError."""
        folder = (paths.runs() / run_id).resolve()
        if not documents.exists(folder / "run.json"):
            raise NoSuchRunError(
                f'there is no run {run_id} under {paths.runs()}; "ls {paths.runs()}" lists them'
            )
        return cls._of(folder)

    @classmethod
    def _of(cls, folder: Path) -> Run:
        began = _began(folder)
        facts = cls(folder.name, folder, began.date(), began).facts()
        return cls(
            facts["run_id"],
            folder,
            date.fromisoformat(facts["as_of"]),
            datetime.fromisoformat(facts["started_at"]),
        )

    @classmethod
    def latest(cls) -> Run | None:
        """The newest run that is not of a part, finished or not."""
        link = paths.runs() / "latest"
        if link.is_symlink() and documents.exists(link / "run.json"):
            return cls.load("latest")
        return next((run for run in reversed(cls.every()) if not run.part), None)

    @classmethod
    def latest_night(cls, part: str = "") -> Run | None:
        """The newest that a night, or a part, lived or lives."""
        return next(
            (run for run in reversed(cls.every()) if run.is_nights and run.part == part), None
        )

    @classmethod
    def every(cls) -> list[Run]:
        """All of them, oldest first."""
        return [
            cls.load(folder.name)
            for folder in sorted(paths.runs().glob("*Z-*"))
            if documents.exists(folder / "run.json")
        ]

    @classmethod
    def finished(cls) -> list[Run]:
        """Every run that is closed, oldest first."""
        return [run for run in cls.every() if run.facts()["finished_at"]]

    @classmethod
    def current(cls, verb: str) -> Run:
        """`HOMEROOM_RUN` if set, else the latest run if it is not finished, else a new one; for a
        verb typed by hand never a night's. Raises NightsRunError.
        """
        given = os.environ.get("HOMEROOM_RUN")
        if given:
            return cls.load(given).mine()
        latest = cls.latest()
        if latest is not None and not latest.is_nights and not latest.facts()["finished_at"]:
            return latest
        return cls.open(verb)

    @classmethod
    def look_over(cls) -> None:
        """Read the documents of the runs that people look back on: one that is damaged is set
        aside, and named, though nobody asks it tonight.
        """
        for run in cls.finished()[-LOOKED_OVER:]:
            for name in SHAPES:
                if "/" not in name and documents.exists(run.folder / name):
                    run.read(name)

    def _is_left(self, verb: str, part: str) -> bool:
        """Whether this run, which is open, is nobody's any more once another one begins."""
        if verb == PART:
            return self.part == part
        if self.part:
            return verb in BY_NIGHT and not turns.part_under_way(self.part)
        return verb in BY_NIGHT or not self.is_nights

    @property
    def part(self) -> str:
        """Which part of the whole it is of, '' for all of it."""
        return str(self.facts().get("part") or "")

    @property
    def is_nights(self) -> bool:
        """Whether a night lived it, or lives it."""
        return self.facts()["verb"] in BY_NIGHT

    def mine(self) -> Run:
        """Itself, for whoever may write to it: the night it is of, with its steps; anybody, where
        it is of a verb typed by hand. Raises NightsRunError.
        """
        if self.is_nights and not turns.of_a_night():
            raise NightsRunError(
                f"run {self.run_id} is a night's, and what it says of itself no verb typed by hand"
                ' may change; leave RUN= out and a run of its own is opened ("make plan", "make'
                ' show", "make push")'
            )
        return self

    def write(self, name: str, value: Any) -> None:
        """Write one JSON document of the run, whole or not at all."""
        text = json.dumps(value, ensure_ascii=False, indent=1, default=str)
        disk_reserve.or_dropped(lambda: documents.write_text(self.folder / name, text))

    def read(self, name: str, default: Any = None) -> Any:
        """Read one JSON document of the run; `default` when no step wrote it, or it is damaged."""
        return documents.read(self.folder / name, default, SHAPES.get(name))

    def facts(self) -> dict[str, Any]:
        """What `run.json` says: verb, days, steps, and how it ended. One that is damaged is made
        again of the summary, or of what the folder's name tells.
        """
        known = self.read("run.json")
        if known is None:
            known = self._made_again()
            try:
                self.write("run.json", known)
            except OSError as error:  # who only reads goes on with what was made again
                event("not_made_again", path=self.folder, error=type(error).__name__)
        return {"finished_at": None, "exit_code": None, **known}

    def _made_again(self) -> dict[str, Any]:
        under_way = os.environ.get("HOMEROOM_RUN") == self.run_id
        least = {
            "run_id": self.run_id,
            "verb": "nightly" if under_way else "unknown",
            "started_at": self.started_at.isoformat(),
            # what nobody can tell of any more is not gone on with
            "finished_at": None if under_way else self.started_at.isoformat(),
            "as_of": self.as_of.isoformat(),
            "git_commit": "",
            "pid": os.getpid(),
            "status": "running" if under_way else "failed",
            "exit_code": None if under_way else 1,
            "steps": [],
        }
        summary = {} if under_way else self.read("summary.json", {})
        return least | {key: summary[key] for key in least if key in summary}

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Time a step into `run.json`: name, seconds, status (done, refused, partly, failed) and
        exit code.
        """
        step, started, clock = Step(name), datetime.now(UTC), time.monotonic()
        self.write(
            "run.json", self.facts() | {"running": name}
        )  # what was under way, if nobody lives to say so
        try:
            yield step
        except BaseException:
            step.exit_code = step.exit_code or 1
            raise
        finally:
            facts = self.facts() | {"running": None}
            facts["steps"].append(
                {
                    "name": name,
                    "started_at": started.isoformat(),
                    "seconds": round(time.monotonic() - clock, 2),
                    "status": STATUS.get(step.exit_code, "failed"),
                    "exit_code": step.exit_code,
                    "note": step.note,
                    "peak_megabytes": step.peak_megabytes,
                }
            )
            self.write("run.json", facts)

    def finish(self, exit_code: int, status: str = "") -> None:
        """Close the run: nothing continues it any more."""
        facts = self.facts()
        facts |= {
            "finished_at": datetime.now(UTC).isoformat(),
            "exit_code": exit_code,
            "status": status or STATUS.get(exit_code, "failed"),
        }
        self.write("run.json", facts)


def _began(folder: Path) -> datetime:
    """When a run began, by its name."""
    try:
        return datetime.strptime(folder.name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:  # a folder somebody named
        return datetime.fromtimestamp(folder.stat().st_mtime, UTC)


STATUS = {0: "done", 1: "failed", 2: "refused", 3: "partly"}
