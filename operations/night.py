"""The night: every step in turn, each a process of its own, so that one that dies takes nothing with it.

In: the settings. Out: one run with its documents, and an exit code: 0 done, 1 error, 2 refused or held for a
person, 3 partly failed. A step that fails never stops what can safely go on; the report always runs.

Alone: `python -m operations nightly`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from common import lock as locks
from common import paths, store
from common.log import event
from common.runs import Run

# name, command, and the steps that must not have failed outright (exit 1) for this one to make sense
STEPS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("ingest", ("ingestion",), ()),
    ("observe", ("reverse_etl", "observe"), ()),
    ("build", ("operations", "build"), ()),
    ("plan", ("reverse_etl", "plan"), ("build",)),
    ("push", ("reverse_etl", "push"), ("build", "plan")),
    ("verify", ("reverse_etl", "verify"), ("build", "plan")),
    ("report", ("operations", "report"), ()),
    ("alert", ("operations", "alert"), ()),
)
CLOSING = ("report", "alert")  # these look back on the run, so they are no steps of it
SEVERITY = (0, 2, 3, 1)


class NightRunning(Exception):
    """Another night holds the lock; the message says whose and since when."""


@contextmanager
def lock() -> Iterator[None]:
    """One night at a time per state folder; the lock file says who holds it."""
    try:
        with locks.lock(paths.var() / "night.lock", "a night"):
            yield
    except locks.Held as error:
        raise NightRunning(str(error)) from error


def nightly(allow: str = "", why: str = "") -> int:
    """Run one whole night and return the worst exit code of its steps."""
    with lock():
        run = Run.open("nightly")
        store.begin_night(run)
        event("night_started", run=run.run_id, as_of=run.as_of)
        codes: dict[str, int] = {}
        for name, command, needs in STEPS:
            broken = [need for need in needs if codes.get(need) == 1]
            if broken:
                event("step_skipped", step=name, because=f"{broken[0]} failed")
                codes[name] = 1
                continue
            extra = ("--allow", allow, "--why", why) if name == "plan" and allow else ()
            codes[name] = _step(run, name, (*command, *extra), worst(codes.values()))
        code = worst(codes.values())
        event("night_finished", run=run.run_id, exit_code=code)
        return code


def worst(codes) -> int:
    """The exit code that matters most: an error, then a partial failure, then a hold."""
    return max((code if code in SEVERITY else 1 for code in codes), key=SEVERITY.index, default=0)


def _step(run: Run, name: str, command: tuple[str, ...], so_far: int) -> int:
    environment = os.environ | {"HOMEROOM_RUN": run.run_id, "HOMEROOM_EXIT_CODE": str(so_far), "PYTHONUNBUFFERED": "1"}
    if name in CLOSING:
        return subprocess.run([sys.executable, "-m", *command], cwd=paths.root(), env=environment, check=False).returncode
    with run.step(name) as step:
        process = subprocess.Popen([sys.executable, "-m", *command], cwd=paths.root(), env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        step.exit_code = os.waitstatus_to_exitcode(status)
        step.peak_megabytes = usage.ru_maxrss // 1024
        if step.exit_code not in SEVERITY:
            event("step_died", step=name, exit_code=step.exit_code)
            step.exit_code = 1
    return step.exit_code
