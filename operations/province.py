"""A province: the nights of many districts in one run, under one budget of cores and memory.

In: `province.toml` of the folder PROVINCE names: the budget, and each district's own folder
(docs/districts.md). Out: each district's night as a process of its own, with its own folder, lock,
environment, secrets and user; `var/province.json`, what became of each, worst first, with its
processor time and memory. What is told of it, and one view over all: operations/province_page.py.

A night is told nothing of another one: its environment is made from nothing but what every program
needs and the district's own file. Districts that name a tenant they share take turns, so that
each has its whole quota. What a night held of memory is watched; a district is next planned with
what it took.

Alone: `python -m operations province`; `make province PROVINCE=../bc`.
"""

from __future__ import annotations

import json
import os
import pwd
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common import files, paths
from common.lock import lock
from common.settings import SettingsError
from operations.province_settings import Member, Province, bytes_of, environment, read

FOUND = "province.json"
WATCHED = 0.5  # seconds between two looks at what a night holds
GRACE = 20.0  # seconds a night has to end by itself when it is told to
# worst first: what became of a district's night, and whether a person is needed
STATES = {
    "refused": "not begun",
    "killed": "was ended",
    "failed": "failed",
    "partly": "partly failed",
    "waits": "waits for a person",
    "critical": "converged, with critical findings",
    "well": "well",
}
BY_CODE = {0: "well", 1: "failed", 2: "waits", 3: "partly"}


@dataclass
class Outcome:
    """What became of one district's night."""

    district: str
    state: str = "refused"
    sentence: str = ""
    code: int | None = None
    as_of: str = ""
    applied: int = 0
    held: int = 0
    findings: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    processor: float = 0.0
    memory: int = 0
    page: str = ""

    @property
    def rank(self) -> tuple[int, int, str]:
        """Worst first."""
        return list(STATES).index(self.state), -self.findings.get("critical", 0), self.district


# ---------------------------------------------------------------- one night


def night(member: Member, home: Path, hours: float, told: Callable[[int], None]) -> Outcome:
    """One district's night, from beginning to end; `told` hears the number of its process."""
    outcome = Outcome(member.name)
    folder = (home / member.folder).resolve()
    began = time.monotonic()
    try:
        given = environment(member, home)
        before = _latest(folder)
        as_user = (
            {"user": member.user, "group": pwd.getpwnam(member.user).pw_gid, "extra_groups": []}
            if member.user and os.geteuid() == 0
            else {}
        )
        log = _log_of(member.name)
        with log.open("w", encoding="utf-8") as lines:
            process = subprocess.Popen(
                command(),
                cwd=paths.root(),
                env=given,
                stdin=subprocess.DEVNULL,
                stdout=lines,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o077,
                **as_user,
            )
    except (SettingsError, OSError) as error:
        outcome.sentence = str(error)
        return outcome
    told(process.pid)
    done = threading.Event()
    held: list[int] = [0]
    watcher = threading.Thread(target=_watch, args=(process.pid, done, held), daemon=True)
    watcher.start()
    ender = threading.Timer(hours * 3600, _end, [process.pid])
    ender.start()
    _, status, used = os.wait4(process.pid, 0)
    ender.cancel()
    done.set()
    watcher.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    outcome.seconds = round(time.monotonic() - began, 1)
    outcome.processor = round(used.ru_utime + used.ru_stime, 2)
    # a process just begun is counted with what we held ourselves: that says nothing of a night seen
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    says = used.ru_maxrss > ours or not held[0]
    outcome.memory = max(held[0], used.ru_maxrss * 1024 if says else 0)
    outcome.code = process.returncode
    late = outcome.seconds > hours * 3600
    _judge(outcome, folder, before, late=late)
    return outcome


def command() -> list[str]:
    """What a night is."""
    return [sys.executable, "-m", "operations", "nightly", "--scheduled"]


def _log_of(name: str) -> Path:
    folder = paths.var() / "nights"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"{name}.log"


def _members_of(session: int) -> Iterator[Path]:
    """The processes of a night, by its session."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if int((process / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                yield process
        except (OSError, ValueError, IndexError):
            continue  # it has ended meanwhile


def _watch(session: int, done: threading.Event, held: list[int]) -> None:
    """Note the most all processes of a night held together."""
    page = os.sysconf("SC_PAGE_SIZE")
    while True:
        total = 0
        for process in _members_of(session):
            try:
                resident, shared = map(int, (process / "statm").read_text().split()[1:3])
            except (OSError, ValueError):
                continue
            total += (resident - shared) * page
        held[0] = max(held[0], total)
        if done.wait(WATCHED):
            return


def _end(session: int) -> None:
    """End a night and all it started, gently first."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        for process in list(_members_of(session)):
            try:
                os.kill(int(process.name), how)
            except (ProcessLookupError, PermissionError):
                continue
        if how is signal.SIGTERM:
            time.sleep(GRACE)


def _latest(folder: Path) -> str:
    found = folder / "var" / "runs" / "latest"
    return found.resolve().name if found.exists() else ""


def _document(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _judge(outcome: Outcome, folder: Path, before: str, *, late: bool) -> None:
    """What became of it, in words: by how its process ended, then by what its run wrote."""
    name, code = outcome.district, outcome.code or 0
    again = f"make nightly DISTRICT={folder}"
    log = _log_of(name)
    if code < 0 or code > 128 or late:
        why = (
            "took longer than its hours"
            if late
            else f"by signal {-code if code < 0 else code - 128}"
        )
        outcome.state = "killed"
        outcome.sentence = f"its night was ended ({why}); {again} goes on where it was"
        return
    outcome.state = BY_CODE.get(code, "failed")
    run = _latest(folder)
    summary = _document(folder / "var" / "runs" / run / "summary.json") if run != before else {}
    if not summary:
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        if code == 0:
            outcome.sentence = last[0] if last else ""
            return  # a day the district is closed
        outcome.sentence = f"{last[0] if last else 'it said nothing'} ({log})"
        if outcome.state == "waits":
            outcome.state = "refused"
        return
    outcome.as_of = str(summary.get("as_of", ""))
    outcome.applied = sum(one["applied"] for one in summary["targets"])
    outcome.held = sum(one["held"] for one in summary["targets"])
    outcome.findings = {
        level: int(summary["findings"].get(level, 0)) for level in ("critical", "warning")
    }
    page = folder / "var" / "pages" / f"{run}.html"
    outcome.page = str(page) if page.is_file() else ""
    if outcome.state == "well" and outcome.findings["critical"]:
        outcome.state = "critical"
    bad = [
        f"{feed['source']}.{feed['feed']} {feed['status']}"
        for feed in summary["feeds"]
        if feed["status"] in ("refused", "missing")
    ]
    failed = sum(one["failed"] + one["skipped"] for one in summary["targets"])
    said = [f"feed {', '.join(bad)}"] if bad else []
    said += [f"{outcome.held:,} changes held"] if outcome.held else []
    said += [f"{failed:,} changes failed or skipped"] if failed else []
    said += (
        [f"{outcome.findings['critical']} critical findings"]
        if outcome.findings["critical"]
        else []
    )
    outcome.sentence = "; ".join(said) or f"{outcome.applied:,} changes applied, converged"


# ---------------------------------------------------------------- all of them


def run(home: Path) -> list[Outcome]:
    """Every district's night, as many at once as the budget lets; what became of each, worst first.
    Raises ProvinceError, LockHeldError.
    """
    budget, members = read(home)
    with lock(paths.var() / "province.lock", "the nights of the province"):
        outcomes = _all(home, budget, members)
        outcomes.sort(key=lambda one: one.rank)
        said = {
            "ended_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "districts": [asdict(one) for one in outcomes],
        }
        files.write(paths.var() / FOUND, json.dumps(said, indent=1))
    return outcomes


def known() -> dict[str, Any]:
    """What the last run of the province found: when it ended, and its districts, worst first."""
    return {"ended_at": "", "districts": []} | _document(paths.var() / FOUND)


def _all(home: Path, budget: Province, members: Sequence[Member]) -> list[Outcome]:
    before = {one["district"]: one["memory"] for one in known()["districts"]}
    needs = {
        one.name: min(max(bytes_of(one.memory), before.get(one.name, 0)), bytes_of(budget.memory))
        for one in members
    }
    cores = sorted(os.sched_getaffinity(0))[: budget.cores or None]
    free_cores, free_memory = list(cores), bytes_of(budget.memory)
    busy: set[str] = set()
    waiting, outcomes = list(members), list[Outcome]()
    turn = threading.Condition()

    def live(member: Member, mine: list[int]) -> None:
        nonlocal free_memory
        try:
            outcome = night(member, home, budget.hours, lambda pid: _keep_to(pid, mine))
        except Exception as error:  # one district's surprise is no other's
            outcome = Outcome(member.name, sentence=f"{type(error).__name__}: {error}")
        with turn:
            outcomes.append(outcome)
            free_cores.extend(mine)
            free_memory += needs[member.name]
            busy.difference_update(member.tenants)
            turn.notify_all()
        print(f"province: {member.name}: {STATES[outcome.state]}; {outcome.sentence}", flush=True)

    threads = []
    with turn:
        while waiting:
            fits = [
                one
                for one in waiting
                if min(one.cores, len(cores)) <= len(free_cores)
                and needs[one.name] <= free_memory
                and not busy & set(one.tenants)
            ]
            if not fits:
                turn.wait()
                continue
            member = fits[0]
            waiting.remove(member)
            mine = [free_cores.pop() for _ in range(min(member.cores, len(cores)))]
            free_memory -= needs[member.name]
            busy.update(member.tenants)
            threads.append(threading.Thread(target=live, args=(member, mine)))
            threads[-1].start()
    for thread in threads:
        thread.join()
    return outcomes


def _keep_to(pid: int, cores: list[int]) -> None:
    """A night and all it starts work on the cores it was given."""
    try:
        os.sched_setaffinity(pid, cores)
    except (ProcessLookupError, PermissionError):
        return  # it has ended, or may not be told
