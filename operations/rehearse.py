"""Rehearse: the night of a day to come, on a copy. What would the lifecycle, the rollover and the
calendar do by then?

In: the warehouse, the ledger and the last observation of the targets, as they are now; a day. Out:
a state folder of its own, `rehearsal/<day>/`, and what would happen, per partition and target.
Nothing else under `var/` is touched and no target is asked or told anything.

The clock moves, the records do not: nobody knows who will come and go. What the clock alone decides
happens day by day: timers and holds run out, last days pass, first days come, and so does each
rollover; which days these are is said by `audit.turning_days`. Then the day itself is built and
planned by the very models and limits of a night.

Alone: `python -m operations rehearse 2027-09-07`.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console

from common import paths, store, turns
from common.commit import git_commit
from common.runs import Run
from common.words import words
from ingestion import tables as sources
from operations import seeds
from operations.compiled_models import Models

MACHINE = "lifecycle_events"
DOCUMENTS = ("feeds.json", "observed.json")  # what a plan rests on besides the warehouse


class NotRehearsableError(Exception):
    """The day cannot be rehearsed; the message says why and what to do."""


@dataclass(frozen=True)
class Move:
    """How many subjects of a partition went from one state to another by the rehearsed day."""

    partition: str
    called: tuple[str, str]  # one of them, many of them
    before: str
    after: str
    number: int


@dataclass(frozen=True)
class Rehearsed:
    """What a rehearsal found: moves of the lifecycle, and planned changes as (partition, target,
    entity, action, count, held).
    """

    scratch: Path
    moves: tuple[Move, ...]
    changes: tuple[tuple[str, str, str, str, int, int], ...]
    holds: tuple[str, ...]


def rehearse(day: date, console: Console) -> int:
    """Rehearse a day and print it; 0 when all of it could flow, 2 when some of it would wait for a
    person.
    """
    found = look_ahead(day)
    console.print(
        f"Rehearsal of {day:%A} {day.isoformat()}. Nothing was written but {found.scratch}",
        markup=False,
        soft_wrap=True,
    )
    partitions = sorted(
        {move.partition for move in found.moves} | {change[0] for change in found.changes}
    )
    called = words().partition
    for partition in partitions:
        title = f"{called} {partition}" if partition else f"no {called}"
        console.print(f"\n{title}", markup=False, style="bold")
        for move in found.moves:
            if move.partition == partition:
                who = move.called[0 if move.number == 1 else 1]
                console.print(
                    f"  {move.number:5,} {who}: {move.before} -> {move.after}",
                    markup=False,
                    highlight=False,
                )
        for where, target, entity, action, count, held in found.changes:
            if where == partition:
                console.print(
                    f"  {count:5,} {target} {entity}: {action}"
                    + (f" ({held:,} would be held)" if held else ""),
                    markup=False,
                    highlight=False,
                )
    if not partitions:
        console.print("Nothing would happen that the records of today do not already say.")
    for sentence in found.holds:
        console.print(
            f"would be held: {sentence}",
            markup=False,
            style="yellow",
            highlight=False,
            soft_wrap=True,
        )
    console.print(
        f'\nChange by change: "HOMEROOM_VAR={found.scratch} make show" ({called.upper()}= TARGET='
        " ACTION=)",
        markup=False,
        style="dim",
        soft_wrap=True,
    )
    return 2 if found.holds or any(change[5] for change in found.changes) else 0


def look_ahead(day: date) -> Rehearsed:
    """Copy, let the days pass, build and plan. Raises NotRehearsableError."""
    found = documents()
    run = Run.latest()
    if run is None or "observed.json" not in found or not paths.warehouse().is_file():
        raise NotRehearsableError(
            'nothing has been built and observed yet; run "make nightly" once, then rehearse'
        )
    today = run.as_of
    if day <= today:
        raise NotRehearsableError(
            f"a rehearsal looks ahead, and the last run was of {today.isoformat()}: choose a later"
            f" day, AS_OF={today + timedelta(days=1)}"
        )
    scratch = copied(paths.var() / "rehearsal" / day.isoformat())
    with _living_in(scratch):
        before = _states()
        models = _compiled(scratch, opened(scratch, today, found))
        rollovers = _rollovers(today, day)
        _pass_days(models, today, day, rollovers)
        passed = {
            "data_as_of": today.isoformat(),
            "rolled_over_on": max(rollovers).isoformat() if rollovers else None,
        }
        then = opened(scratch, day, found, **passed)
        for command in (("operations", "build"), ("reverse_etl", "plan")):
            _step(then, day, command)
        return Rehearsed(scratch, _moves(before, _states()), _planned(then), tuple(_holds(then)))


def documents() -> dict[str, Path]:
    """What a plan rests on besides the warehouse, each from the newest run that has it."""
    return {
        name: newest[-1]
        for name in DOCUMENTS
        if (newest := sorted(paths.runs().glob(f"2*/{name}")))
    }


def copied(scratch: Path, verb: str = "rehearse") -> Path:
    """A scratch folder with its own warehouse and ledger, copied while nobody writes."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True, mode=0o700)
    with turns.taken(verb), store.connect(read_only=True):
        for file in (paths.warehouse(), paths.ledger()):
            for part in (file, file.with_name(file.name + ".wal")):
                if part.is_file():
                    shutil.copyfile(part, scratch / part.name)
    parsed = paths.var() / "target" / "partial_parse.msgpack"  # saves dbt reading every model again
    if parsed.is_file():
        (scratch / "target").mkdir()
        shutil.copyfile(parsed, scratch / "target" / parsed.name)
    return scratch


@contextmanager
def _living_in(scratch: Path) -> Iterator[None]:
    """Everything that asks where state is, is told the scratch folder."""
    before = os.environ.get("HOMEROOM_VAR")
    os.environ["HOMEROOM_VAR"] = str(scratch)
    try:
        yield
    finally:
        os.environ.pop("HOMEROOM_VAR") if before is None else os.environ.update(HOMEROOM_VAR=before)


# ---------------------------------------------------------------- the days between


def _compiled(scratch: Path, run: Run) -> Models:
    """The machine and all it rests on, built in the scratch folder from models and seeds as they
    stand now.
    """
    store.begin_night(run)
    sources.ensure_tables()
    command = [
        str(Path(sys.executable).parent / "dbt"),
        "build",
        "--quiet",
        "--select",
        f"+{MACHINE}",
        "--exclude-resource-type",
        "unit_test",
        "test",
        "--project-dir",
        str(paths.dbt_project()),
        "--profiles-dir",
        str(paths.root()),
        "--log-path",
        str(scratch / "logs"),
    ]
    # from inside the folder, as a night's build does: dbt then reuses what that one has parsed
    environment = {
        "DBT_TARGET_PATH": str(scratch / "target"),
        "HOMEROOM_VAR": ".",
        **seeds.environment(),
    }
    _run(command, environment, "the models as they stand now cannot be built", scratch)
    return Models(json.loads((scratch / "target" / "manifest.json").read_text(encoding="utf-8")))


def _pass_days(models: Models, today: date, day: date, rollovers: list[date]) -> None:
    """Let the machine take its step on every day between; where the clock changes what records say,
    they are read anew.
    """
    every = models.up_to(MACHINE)
    with store.connect() as connection:
        news = {*_news(connection, today, day), *rollovers}
        when = today + timedelta(days=1)
        while when < day:
            passed = max((one for one in rollovers if one <= when), default=None)
            connection.execute(
                "update raw_homeroom.run_context set as_of = ?, data_as_of = ?, rolled_over_on = ?,"
                " run_id = ?",
                [when, today, passed, f"rehearsal of {day}"],
            )
            models.run(connection, every if when in news else [MACHINE])
            when += timedelta(days=1)


def _news(connection: duckdb.DuckDBPyConnection, today: date, day: date) -> set[date]:
    """The days on which a date in the records changes what they say: a first day, or the day after
    a last one.
    """
    rows = connection.execute(
        "select day from audit.turning_days where kind = 'news' and day > ? and day < ?",
        [today, day],
    ).fetchall()
    return {row[0] for row in rows}


def _rollovers(today: date, day: date) -> list[date]:
    with store.connect(read_only=True) as connection:
        rows = connection.execute(
            "select day from audit.turning_days where kind = 'rollover' and day > ? and day <= ?"
            " order by day",
            [today, day],
        ).fetchall()
    return [row[0] for row in rows]


# ---------------------------------------------------------------- the day itself


def opened(scratch: Path, day: date, kept: dict[str, Path], **facts: str | None) -> Run:
    """A run in the scratch folder, resting on the feeds and the observation of the last night."""
    now = datetime.now(UTC)
    run_id = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    folder = scratch / "runs" / run_id
    folder.mkdir(parents=True, mode=0o700)
    then = Run(run_id, folder, day, now)
    then.write(
        "run.json",
        {
            "run_id": run_id,
            "verb": "rehearse",
            "started_at": now.isoformat(),
            "finished_at": None,
            "as_of": day.isoformat(),
            "git_commit": git_commit(),
            "pid": os.getpid(),
            "status": "running",
            "exit_code": None,
            "steps": [],
            **facts,
        },
    )
    for name, path in kept.items():
        shutil.copyfile(path, folder / name)
    latest = scratch / "runs" / "latest"
    latest.unlink(missing_ok=True)
    latest.symlink_to(run_id)
    return then


def _step(run: Run, day: date, command: tuple[str, ...]) -> None:
    environment = {"HOMEROOM_RUN": run.run_id, "HOMEROOM_AS_OF": day.isoformat()}
    _run(
        [sys.executable, "-m", *command],
        environment,
        f"{day.isoformat()} cannot be rehearsed: {' '.join(command)} failed",
    )


def _run(
    command: list[str], environment: dict[str, str], trouble: str, folder: Path | None = None
) -> None:
    ended = subprocess.run(
        command,
        cwd=folder or paths.root(),
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode not in (0, 2, 3):
        said = (ended.stderr or ended.stdout).strip().splitlines() or ["no message"]
        raise NotRehearsableError(f"{trouble}: {said[-1]}")


# ---------------------------------------------------------------- what came of it


@dataclass(frozen=True)
class State:
    """Where a subject stands, where it belongs, and what such subjects are called: one, many."""

    partition: str
    called: tuple[str, str]
    state: str


def _states() -> dict[str, State]:
    with store.connect(read_only=True) as connection:
        rows = connection.execute(
            "select subject, partition, one_is_called, many_are_called, state"
            " from audit.subject_states"
        ).fetchall()
    return {
        subject: State(partition, (one, many), state)
        for subject, partition, one, many, state in rows
    }


def _moves(before: dict[str, State], after: dict[str, State]) -> tuple[Move, ...]:
    counted = Counter(
        (
            now.partition,
            now.called,
            before[subject].state if subject in before else "new",
            now.state,
        )
        for subject, now in after.items()
        if subject not in before or before[subject].state != now.state
    )
    return tuple(Move(*key, number) for key, number in sorted(counted.items()))


def _planned(run: Run) -> tuple[tuple[str, str, str, str, int, int], ...]:
    document = run.read("plan.json")
    with store.connect(read_only=True) as connection:
        return tuple(
            connection.execute(
                """
            select coalesce(partition, ''), target, entity, action, count(*), count(hold)
            from ledger.audit.planned_changes
            where plan_id = ? group by all order by all""",
                [document["plan_id"]],
            ).fetchall()
        )


def _holds(run: Run) -> list[str]:
    document: dict[str, Any] = json.loads((run.folder / "plan.json").read_text(encoding="utf-8"))
    return [sentence for part in document["exports"] for sentence in part["holds"]]
