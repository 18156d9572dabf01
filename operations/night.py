"""The night: every step in turn, each a process of its own, so that one that dies takes nothing
with it.

In: the settings (`[night]`). Out: one run with its documents, and an exit code: 0 done, 1 error, 2
refused or held for a person, 3 partly failed. A step that fails never stops what can safely go on;
the report always runs. A step that takes too long is ended and named; a night killed while it
pushed is gone on with; what only needed time is tried once more. What becomes of which trouble:
docs/when-it-fails.md.

Alone: `python -m operations nightly`, `python -m operations intraday attendance`, `python -m
operations run stock` (a part of it, `parts`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, Self

from common import disk_reserve, findings, paths, settings, store, turns
from common import lock as locks
from common.commit import git_commit
from common.findings import Finding
from common.log import event
from common.runs import PART, Run, business_date
from operations import closing, history, interventions, preflight, routes
from operations.configured import Backup, Night
from reverse_etl import configured, journal, settle
from reverse_etl import plan as planning

# name, command, and the steps that must not have failed outright (exit 1) for this one to make
# sense
Step = tuple[str, tuple[str, ...], tuple[str, ...]]
STEPS: tuple[Step, ...] = (
    ("ingest", ("ingestion",), ()),
    ("observe", ("reverse_etl", "observe"), ()),
    ("build", ("operations", "build"), ()),
    ("plan", ("reverse_etl", "plan"), ("build",)),
    ("push", ("reverse_etl", "push"), ("build", "plan")),
    ("verify", ("reverse_etl", "verify"), ("build", "plan")),
    ("backup", ("operations", "backup"), ()),
    ("report", ("operations", "report"), ()),
    ("alert", ("operations", "alert"), ()),
)
# These look back on the run, so they are no steps of it; they run whatever has happened.
CLOSING = ("report", "alert")
SEVERITY = (0, 2, 3, 1)
# What waiting may mend: the night is lived once more when one of these was found.
MENDED_BY_TIME = frozenset(
    {
        "source_unreachable",
        "source_failed",
        "source_not_landed",
        "feed_missing",
        "feed_file_unreadable",
        "feed_table_missing",
        "feed_resource_missing",
        "feed_list_missing",
        "feed_unstable",
        "feed_table_unread",
        "feed_resource_unread",
        "feed_answer_unread",
        "feed_change_incomplete",
        "target_unreadable",
        "target_given_up",
        "target_unusable",
        "warehouse_locked",
        "step_died",
        "step_failed",
        "step_timeout",
    }
)
OUT_OF_TIME, ASKED, TIME_OVER = "out of time", "asked to stop", "the night's time is over"
GRACE_SECONDS = (
    60.0  # between asking a step to stop and ending it: a push finishes the calls in flight
)


class NightRunningError(Exception):
    """Another night holds the lock; the message says whose and since when."""


class NightRefusedError(Exception):
    """No night begins; the message says why and what to do."""


@contextmanager
def lock(what: str = turns.NIGHT, targets: Sequence[str] = (), *, part: str = "") -> Iterator[int]:
    """One night at a time per state folder, and nobody else at its targets; the lock file says who
    holds it. A verb typed by hand is waited for, and a part that writes. Yields what a step must
    inherit to hold it too.
    """
    try:
        if part:
            with turns.part(part, targets) as held:
                yield held
            return
        with turns.writing(targets, what, turns.PATIENCE_SECONDS), turns.night(what) as held:
            yield held
    except locks.LockHeldError as error:
        raise NightRunningError(str(error)) from error


@dataclass(frozen=True)
class Limits:
    """How long things may take, in seconds, and what happens after."""

    night: float
    steps: dict[str, float]
    retry_after: float | None
    resume_within: float

    @classmethod
    def given(cls) -> Limits:
        """As `[night]` says. Raises SettingsError for what cannot be followed."""
        said = settings.read(Night, "night")
        retry = said.retry_after_minutes
        return cls(
            said.maximum_minutes * 60,
            {name: minutes * 60 for name, minutes in said.step_minutes},
            None if retry is False else retry * 60,
            said.resume_within_hours * 3600,
        )


def nightly(
    allow: str = "",
    why: str = "",
    *,
    verb: str = "nightly",
    steps: Sequence[Step] = STEPS,
    part: str = "",
    targets: Sequence[str] = (),
) -> int:
    """Live one night, and once more if waiting may mend what failed; returns the exit code of what
    stands then. With `part` a run of that part, which serves some `targets` and is never lived
    twice: the next one comes soon.

    Raises NightRunningError, and NightRefusedError when no night may begin. Whatever else breaks,
    whoever watches is told (`closing`).
    """
    try:
        return _nightly(allow, why, verb, steps, part, targets)
    except (NightRunningError, NightRefusedError, settings.SettingsError, paths.NotOursError):
        raise
    except Exception as error:
        print(f"night: it broke: {closing.place_of(error)}", file=sys.stderr)
        return closing.last_act(verb, "", 1, ["night"])


def _nightly(  # noqa: PLR0917
    allow: str, why: str, verb: str, steps: Sequence[Step], part: str, targets: Sequence[str]
) -> int:
    limits = Limits.given()
    if part:
        limits = replace(limits, retry_after=None)
    if strangers := settings.strangers():
        raise settings.SettingsError(*strangers)
    _not_paused(verb)
    _not_nowhere(steps)
    if not settings.read(Backup, "backup").nightly:
        steps = [step for step in steps if step[0] != "backup"]
    what = turns.NIGHT if verb == "nightly" else "a run by day"
    served = targets or configured.names()
    with lock(what, served, part=part) as held, _Stop() as stop:
        keeper = _Keeper(limits, held, stop, time.monotonic() + limits.night)
        run, done = _begin(verb, limits, allow, part)
        code = _lived(run, steps, keeper, allow, why, done=done)
        if not _worth_another(run, code, keeper):
            return _close(run, steps, keeper, code)
        minutes = f"{(limits.retry_after or 0) / 60:g} min"
        findings.record(run, [Finding("run_retried", {"minutes": minutes})])
        _close(run, steps, keeper, code, last=False)
        event("night_waits", seconds=limits.retry_after)
        stop.wait(limits.retry_after or 0)
        if not stop.is_set():
            run = Run.open(verb)
            code = _lived(run, steps, keeper, allow, why)
        return _close(run, steps, keeper, code)


def worst(codes) -> int:
    """The exit code that matters most: an error, then a partial failure, then a hold."""
    return max((code if code in SEVERITY else 1 for code in codes), key=SEVERITY.index, default=0)


# ---------------------------------------------------------------- beginning


def _not_paused(verb: str) -> None:
    pause = interventions.current()
    if pause is not None:
        interventions.record("not_run", details=f"{verb}: {pause.sentence}")
        raise NightRefusedError(f"no {verb} run: {pause.sentence}")


def _not_nowhere(steps: Sequence[Step]) -> None:
    """A first night that nothing can come to ends before it begins: no waiting makes a folder of a
    typing error. Later ones go on without what is gone.
    """
    if STEPS[0] not in steps or any(run.is_nights for run in Run.finished()):
        return
    if missing := preflight.folders_missing():
        raise NightRefusedError(
            f"the first night does not begin: {'; '.join(missing)}. Make the folder, or mend"
            ' .dlt/config.toml; "make check" looks at everything'
        )


def _begin(verb: str, limits: Limits, allow: str, part: str = "") -> tuple[Run, dict[str, int]]:
    """The run to live: a new one, or the one a kill interrupted while it wrote, with the codes of
    the steps it had done.
    """
    left = newest = Run.latest_night(part)
    if not part:
        newest = Run.latest()
    if left is None or left.facts()["finished_at"]:
        left = newest
        run = Run.open(verb, part)
        if left is not None and left.as_of > run.as_of:
            findings.record(
                run, [Finding("clock_back", {"day": str(run.as_of), "other_day": str(left.as_of)})]
            )
        return run, {}
    facts = left.facts()
    during = facts.get("running") or "between two steps"
    # where somebody worked by hand since, the ground may have moved: begun anew
    alone = newest is not None and newest.run_id == left.run_id
    same = alone and not allow and facts["verb"] == verb
    if same and _wrote(left) and _is_fresh(left, facts, limits):
        codes = {
            step["name"]: step["exit_code"] for step in facts["steps"] if step["exit_code"] != 1
        }
        event("night_resumed", run=left.run_id, during=during)
        findings.record(left, [Finding("night_resumed", {"during": during})])
        return left, codes
    run = Run.open(verb, part)
    if facts["verb"] in (
        "nightly",
        "intraday",
        PART,
    ):  # a plan somebody only looked at is left open every day
        findings.record(run, [Finding("night_was_killed", {"run": left.run_id, "during": during})])
    return run, {}


def _wrote(run: Run) -> bool:
    """Whether its push had begun: only then is there something a new run would not
    simply do again.
    """
    plan = run.read("plan.json")
    try:
        return plan is not None and any(
            journal.read(path).plan_id == plan["plan_id"]
            for path in (run.folder / "journal").glob("*.jsonl")
        )
    except journal.JournalDamagedError:
        # what it did is not known to the last change: begun anew, the targets themselves say it
        return False


def _is_fresh(run: Run, facts: dict, limits: Limits) -> bool:
    young = datetime.now(UTC) - run.started_at < timedelta(seconds=limits.resume_within)
    return (
        young
        and run.as_of == business_date("nightly", None)  # which a part asks too
        and facts["git_commit"] == git_commit()
    )


# ---------------------------------------------------------------- living


@dataclass
class _Keeper:
    """What every step is run with: how long it may take, the lock it keeps, and whether somebody
    wants us to stop.
    """

    limits: Limits
    held: int
    stop: _Stop
    deadline: float

    def seconds(self, name: str) -> float:
        return min(self.limits.steps[name], self.deadline - time.monotonic())


def _lived(run: Run, *night: Any, **more: Any) -> int:
    """The same; what breaks in the night itself is a finding and an error; it closes as ever."""
    try:
        code = _live(run, *night, **more)
    except Exception as error:
        event("night_broke", error=closing.place_of(error))
        broke = Finding("night_broke", {"error": closing.place_of(error)})
        code = closing.guarded("findings", lambda: findings.record(run, [broke]) or 1)
    # what a night looks over need not be looked over every five minutes
    for what in (Run, findings, settle) if not run.part else ():
        closing.guarded("documents", lambda whose=what: whose.look_over() or 0)
    closing.guarded("findings", lambda: bool(findings.notice(run)))
    return code


def _live(
    run: Run,
    steps: Sequence[Step],
    keeper: _Keeper,
    allow: str,
    why: str,
    *,
    done: dict[str, int] | None = None,
) -> int:
    """Every step but the closing ones; returns the worst code so far."""
    codes = dict(done or {})
    event("night_started", run=run.run_id, as_of=run.as_of)
    trouble, code = preflight.ready()
    untold = routes.trouble()
    findings.record(run, [*trouble, *untold])
    for finding in [*trouble, *untold]:
        print(f"night: {finding.message}", file=sys.stderr)
    if code:
        return code
    try:
        store.begin_night(run)
    except store.StoreError as error:
        findings.record(run, [Finding("warehouse_locked", {"why": str(error)})])
        return 1
    late: list[str] = []
    for name, command, needs in steps:
        if name in CLOSING or name in codes:
            continue
        because = _skipped(name, needs, codes, keeper)
        if because:
            event("step_skipped", step=name, because=because)
            codes[name] = 1
            late += [name] if because == TIME_OVER else []
            continue
        if name == "push" and planning.is_empty(run.read("plan.json", {})):
            codes[name] = _rested(run, name)
            continue
        extra = ("--allow", allow, "--why", why) if name == "plan" and allow else ()
        codes[name] = _step(run, name, (*command, *extra), keeper, worst(codes.values()))
    if late:
        findings.record(run, [Finding("night_out_of_time", {"steps": " and ".join(late)})])
    return worst([*codes.values(), *(3 for _ in untold)])


def _skipped(name: str, needs: tuple[str, ...], codes: dict[str, int], keeper: _Keeper) -> str:
    """Why a step is not begun; '' when it is."""
    broken = [need for need in needs if codes.get(need) == 1]
    if broken:
        return f"{broken[0]} failed"
    if keeper.stop.is_set():
        return "the night was asked to stop"
    return TIME_OVER if keeper.seconds(name) <= 0 else ""


def _step(run: Run, name: str, command: tuple[str, ...], keeper: _Keeper, so_far: int) -> int:
    told = sum(1 for finding in findings.read(run) if finding["level"] == "critical")
    seconds, laid = keeper.seconds(name), disk_reserve.path().is_file()
    locks.tell(keeper.held, run=run.run_id, step=name)
    with run.step(name) as step:
        _say_begun(run, name)
        process = _start(run, command, so_far, keeper.held)
        with keeper.stop.ending(process, seconds) as ended:
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = step.exit_code = os.waitstatus_to_exitcode(
            status
        )  # so that nobody waits for it again
        step.peak_megabytes = usage.ru_maxrss // 1024
        step.note = ended.why
        trouble = _trouble(name, step.exit_code, ended.why, seconds)
        if step.exit_code not in SEVERITY or ended.why == OUT_OF_TIME:
            event("step_died", step=name, exit_code=step.exit_code, why=ended.why or None)
            step.exit_code = 1
    event("step_ended", step=name, seconds=run.facts()["steps"][-1]["seconds"], code=step.exit_code)
    if step.exit_code and (preflight.is_full() or (laid and not disk_reserve.path().is_file())):
        trouble = Finding("disk_filled", {"var": str(paths.var()), "step": name})
    silent = sum(1 for finding in findings.read(run) if finding["level"] == "critical") == told
    if trouble is not None and (silent or trouble.code != "step_failed"):
        findings.record(run, [trouble])
        print(f"night: {trouble.message}", file=sys.stderr)
    return step.exit_code


def _rested(run: Run, name: str) -> int:
    """A push of nothing: no process is started for it, and its outcome is what it would be."""
    with run.step(name) as step:
        step.exit_code = 0
        run.write("outcome.json", {})
    event("step_rested", step=name, because="nothing is planned")
    return 0


def _say_begun(run: Run, name: str) -> None:
    """Which step begins, what it took the night before, and how long the night still takes."""
    nights = [one for one in Run.finished() if one.facts()["verb"] == run.facts()["verb"]]
    before = nights[-1].facts() if nights else {}
    usual = {step["name"]: step["seconds"] for step in before.get("steps", ())}.get(name)
    left = history.seconds_left(run.facts(), before)
    places = [step for step, *_ in STEPS]
    event(
        "step_begun",
        step=name,
        place=f"{places.index(name) + 1}/{len(places)}" if name in places else None,
        usual_seconds=None if usual is None else round(usual),
        seconds_left=None if left is None else round(left),
    )


def _trouble(name: str, code: int, why: str, seconds: float) -> Finding | None:
    """What a person should know about how a step ended."""
    if why == OUT_OF_TIME:
        return Finding("step_timeout", {"step": name, "minutes": f"{seconds / 60:,.0f}"})
    if why == ASKED:
        return Finding("night_stopped", {"step": name})
    if code < 0:
        died = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        hint = ", which is how a machine out of memory does it" if died == "SIGKILL" else ""
        return Finding("step_died", {"step": name, "signal": died, "hint": hint})
    if code not in SEVERITY or code == 1:
        return Finding("step_failed", {"step": name, "exit_code": code})
    return None


def _worth_another(run: Run, code: int, keeper: _Keeper) -> bool:
    if code not in (1, 3) or keeper.limits.retry_after is None or keeper.stop.is_set():
        return False
    if time.monotonic() + keeper.limits.retry_after >= keeper.deadline:
        return False
    return any(finding["code"] in MENDED_BY_TIME for finding in findings.read(run))


def _close(
    run: Run, steps: Sequence[Step], keeper: _Keeper, code: int, *, last: bool = True
) -> int:
    """The closing steps, each whatever became of the one before; only the report when the night is
    lived once more.
    """
    broken = []
    for name, command, _ in steps:
        if name not in CLOSING or not (last or name == "report"):
            continue
        closing.guarded("the lock", lambda what=name: _say(run, keeper, what))
        told = closing.guarded(name, lambda what=command, so=code: _closing(run, what, keeper, so))
        if (
            told and name == "report" and preflight.make()
        ):  # a full disk is the one thing that can be helped now
            told = closing.guarded(
                name, lambda what=command, so=code: _closing(run, what, keeper, so)
            )
        broken += [name] if told not in (0, 3) else []
        code = worst((code, told))
    closing.guarded("the run", lambda: _finished(run, code))
    event("night_finished", run=run.run_id, exit_code=code)
    if not last:
        return code
    verb, lived = closing.how_it_went(run)
    return closing.last_act(verb, run.run_id, code, broken, lived=lived)


def _say(run: Run, keeper: _Keeper, step: str) -> int:
    locks.tell(keeper.held, run=run.run_id, step=step)
    return 0


def _finished(run: Run, code: int) -> int:
    """The run says how it ended, also where a closing step crashed after it had said so."""
    facts = run.facts()
    if not facts["finished_at"]:
        run.finish(code or 1)
    elif code == 1 != facts["exit_code"]:
        run.finish(1)
        summary = run.read("summary.json")
        if summary:
            run.write("summary.json", summary | {"exit_code": 1, "status": "failed"})
    return 0


def _closing(run: Run, command: tuple[str, ...], keeper: _Keeper, code: int) -> int:
    return launch(command, _environment(run, code), _handed_on(keeper.held)).wait()


def _start(run: Run, command: tuple[str, ...], so_far: int, held: int) -> Process:
    """A step in a process group of its own. It holds the lock too: a night that is killed leaves it
    held until its step ends.
    """
    return launch(command, _environment(run, so_far), _handed_on(held), own_group=True)


class Process(Protocol):
    """A step while it lasts, as `subprocess` has it."""

    pid: int
    returncode: int | None

    def wait(self) -> int: ...


def started(
    command: tuple[str, ...],
    environment: dict[str, str],
    held: tuple[int, ...],
    *,
    own_group: bool = False,
) -> Process:
    """A step in a new Python."""
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=paths.root(),
        env=environment,
        pass_fds=held,
        start_new_session=own_group,
    )


launch: Callable[..., Process] = started  # `watch` begins a step as a copy of itself


def _handed_on(held: int) -> tuple[int, ...]:
    return tuple({held, *turns.inherited()})


def _environment(run: Run, so_far: int) -> dict[str, str]:
    return os.environ | {
        "HOMEROOM_RUN": run.run_id,
        "HOMEROOM_EXIT_CODE": str(so_far),
        "PYTHONUNBUFFERED": "1",
    }


class _Ended:
    """Why a step was ended by us; '' when it ended by itself."""

    why = ""


class _Stop:
    """SIGTERM and Ctrl-C: the step under way is asked to stop, no further one begins, the night
    still closes.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._ask: list = []
        self._before: dict = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {
                number: signal.signal(number, self._asked)
                for number in (signal.SIGTERM, signal.SIGINT)
            }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _asked(self, *_: object) -> None:
        self._event.set()
        for ask in self._ask:
            ask(ASKED)

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float) -> None:
        self._event.wait(seconds)

    @contextmanager
    def ending(self, process: Process, seconds: float) -> Iterator[_Ended]:
        """While the context lasts, end the process when its seconds are over or somebody asks us to
        stop: politely, then not.
        """
        ended = _Ended()
        timers: list[threading.Timer] = []

        def send(number: int) -> None:
            try:
                os.killpg(process.pid, number)
            except ProcessLookupError:
                event("step_gone_already", pid=process.pid)

        def end(why: str) -> None:
            if ended.why:
                return
            ended.why = why
            send(signal.SIGTERM)
            timers.append(threading.Timer(GRACE_SECONDS, send, (signal.SIGKILL,)))
            timers[-1].start()

        timers.append(threading.Timer(max(seconds, 0), end, (OUT_OF_TIME,)))
        timers[0].start()
        self._ask.append(end)
        try:
            yield ended
        finally:
            self._ask.remove(end)
            for timer in timers:
                timer.cancel()
