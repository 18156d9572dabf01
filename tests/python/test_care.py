"""What the night does by itself when something goes wrong: each row of docs/when-it-fails.md, with
steps that are small programs.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest
from night_kit import of_code

from common import access, disk_reserve, findings, lock, paths, runs, settings, store
from common.runs import Run
from operations import copies, interventions, night, page, preflight
from operations import report as reports

ROOT = paths.root()
START, CLOSING = night._start, night._closing


@pytest.fixture(autouse=True)
def var(tmp_path, monkeypatch) -> Path:
    """A state folder of its own; nothing waits; the report is the real one."""
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("HOMEROOM_AS_OF", "2026-10-05")
    monkeypatch.setenv("NIGHT__RETRY_AFTER_MINUTES", "false")
    monkeypatch.setenv("NIGHT__FREE_MEGABYTES", "1")
    monkeypatch.delenv("HOMEROOM_RUN", raising=False)
    monkeypatch.setattr(store, "WAIT_SECONDS", 0.3)
    monkeypatch.setattr(night, "GRACE_SECONDS", 1.0)
    monkeypatch.setattr(runs, "git_commit", lambda: "abc")
    monkeypatch.setattr(night, "git_commit", lambda: "abc")
    monkeypatch.setattr(disk_reserve, "MEGABYTES", 1)
    monkeypatch.setattr(night, "_start", start)
    monkeypatch.setattr(night, "_closing", closing)
    (tmp_path / "var" / "inbox" / "myedbc").mkdir(parents=True)
    return tmp_path / "var"


def start(run, command, so_far, held):
    """A step here is Python given as text, in a process of its own as always."""
    with (paths.var() / "did.txt").open("a", encoding="utf-8") as file:
        file.write(command[1] + "\n")
    return subprocess.Popen(
        [sys.executable, "-c", "import os, pathlib; " + command[0]],
        start_new_session=True,
        pass_fds=(held,),
        env=night._environment(run, so_far),
    )


def closing(run, _command, _keeper, code):
    reports.close(run, code)
    return 0


def step(name: str, does: str = "", needs: tuple[str, ...] = ()) -> night.Step:
    return name, (does, name), needs


REPORT = ("report", ("operations", "report"), ())


def live(*steps: night.Step, **more) -> int:
    return night.nightly(steps=(*steps, REPORT), **more)


def did() -> list[str]:
    """The steps that began, in order."""
    path = paths.var() / "did.txt"
    return path.read_text(encoding="utf-8").split() if path.is_file() else []


def told(run: Run | None = None) -> dict[str, str]:
    return {finding["code"]: finding["message"] for finding in findings.read(run or Run.latest())}


def summary() -> dict:
    return Run.latest().read("summary.json")


# ---------------------------------------------------------------- a step as a copy


def copied(monkeypatch, does: str, **more) -> int:
    """A night whose one step is a module that does this, in a copy of this process."""
    (paths.var() / "small_act.py").write_text(f"import os, pathlib, sys\n{does}", encoding="utf-8")
    monkeypatch.syspath_prepend(str(paths.var()))
    monkeypatch.setattr(night, "_start", START)
    with copies.steps(()):
        return live(("ingest", ("small_act", "--word"), ()), **more)


def test_a_step_that_is_a_copy_is_told_what_a_new_python_is_and_changes_nothing_of_the_night(
    monkeypatch, var
):
    code = """
var = pathlib.Path(os.environ["HOMEROOM_VAR"])
os.environ["HOMEROOM_VAR"] = "/nowhere"
argv = sys.argv
told = [os.environ["HOMEROOM_RUN"], argv[1], os.getpid() == os.getpgrp(), __name__, os.getcwd()]
(var / "told").write_text("\\n".join(map(str, told)))
sys.exit(3)
"""
    assert copied(monkeypatch, code) == 3
    run_id, *told_it = (var / "told").read_text(encoding="utf-8").splitlines()
    assert run_id == Run.latest().run_id
    assert told_it == ["--word", "True", "__main__", str(ROOT)]
    assert os.environ["HOMEROOM_VAR"] == str(var)
    assert Run.latest().facts()["steps"][0]["peak_megabytes"] > 0
    assert night.launch is night.started


def test_a_copy_that_dies_takes_nothing_with_it_and_is_named(monkeypatch):
    copied(monkeypatch, "print('half', end='')\nos.kill(os.getpid(), 9)")
    assert "SIGKILL" in told()["step_died"]
    copied(monkeypatch, "raise ValueError('Quinn')")
    assert "step_failed" in told() and "Quinn" not in str(told())


def test_a_copy_can_be_asked_to_stop_from_the_moment_it_begins():
    before = signal.getsignal(signal.SIGTERM)
    for _ in range(5):
        copy = copies.forked(lambda: time.sleep(60) or 0, own_group=True)
        os.killpg(copy.pid, signal.SIGTERM)
        assert copy.wait() == -signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & {signal.SIGTERM, signal.SIGINT}
    assert copies.forked(lambda: 7, own_group=False).wait() == 7


def test_a_copy_that_takes_too_long_is_ended(monkeypatch):
    monkeypatch.setenv("NIGHT__STEP_MINUTES__INGEST", "0.01")
    assert copied(monkeypatch, "import time\ntime.sleep(60)") == 1
    assert "step_timeout" in told()


# ---------------------------------------------------------------- what goes wrong


def test_settings_of_the_alerts_that_cannot_be_followed_are_a_finding_and_the_night_goes_on(
    monkeypatch,
):
    monkeypatch.setenv("ALERTS__ROUTES__OPERATOR__MAIL", "a@sd74.example")
    assert live(step("ingest"), step("build")) == 3
    assert did() == ["ingest", "build"]
    assert told()["alerts_wrong"].startswith(
        "ALERTS__ROUTES__OPERATOR__MAIL of the environment: [alerts.routes.operator] mail: no such"
    )


def test_a_step_says_its_place_and_by_the_night_before_how_long_it_and_the_rest_take(capfd):
    assert live(step("ingest", "import time; time.sleep(1.6)"), step("build")) == 0
    first = capfd.readouterr().err
    assert re.findall(r"step_begun (.+)", first) == [
        "step=ingest place=1/9",
        "step=build place=3/9",
    ]
    [seconds] = re.findall(r"step_ended step=ingest seconds=(\S+) code=0", first)
    assert 1.6 <= float(seconds) < 60
    facts = Run.latest().facts()
    took = {"ingest": 100.0, "build": 50.0}
    steps = [one | {"seconds": took[one["name"]]} for one in facts["steps"]]
    Run.latest().write("run.json", facts | {"steps": steps})
    assert live(step("ingest"), step("observe"), step("build", "raise SystemExit(3)")) == 3
    second = re.findall(r"step_begun (.+)", (said := capfd.readouterr().err))
    assert second[0] in {
        f"step=ingest place=1/9 usual_seconds=100 seconds_left={n}" for n in (150, 149)
    }
    assert second[1] == "step=observe place=2/9"  # that night had none
    assert second[2] in {
        f"step=build place=3/9 usual_seconds=50 seconds_left={n}" for n in (50, 49)
    }
    assert re.search(r"step_ended step=build seconds=\S+ code=3", said)


# ---------------------------------------------------------------- steps that fail


def test_a_step_that_takes_too_long_is_ended_and_named_and_the_rest_goes_on(monkeypatch):
    monkeypatch.setenv("NIGHT__STEP_MINUTES__OBSERVE", "0.01")
    assert live(step("ingest"), step("observe", "import time; time.sleep(60)"), step("build")) == 1
    assert did() == ["ingest", "observe", "build"]
    assert told()["step_timeout"].startswith(
        "observe was ended after 0 min, the longest it may take"
    )
    assert {one["name"]: one["status"] for one in summary()["steps"]} == {
        "ingest": "done",
        "observe": "failed",
        "build": "done",
    }


def test_a_step_that_will_not_stop_is_ended_all_the_same(monkeypatch):
    monkeypatch.setenv("NIGHT__STEP_MINUTES__OBSERVE", "0.05")
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    assert live(step("observe", stubborn), step("build")) == 1
    assert did() == ["observe", "build"]
    assert "step_timeout" in told()


@contextmanager
def waiting(first: str) -> Iterator[subprocess.Popen]:
    """A process that does this, says so, and waits to be ended."""
    code = f"import signal, sys; {first}; print('on', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout.readline() == "on\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("first", "grace", "code"),
    [
        (
            "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))",
            600,
            3,
        ),  # asked, it ends in its own way
        (
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
            0.01,
            -signal.SIGKILL,
        ),  # asked in vain, it is ended
    ],
)
def test_a_step_is_asked_before_it_is_ended(monkeypatch, first, grace, code):
    monkeypatch.setattr(night, "GRACE_SECONDS", grace)
    with waiting(first) as process, night._Stop() as stop, stop.ending(process, 0) as ended:
        process.wait(60)
    assert (process.returncode, ended.why) == (code, "out of time")


def test_a_step_that_ends_in_time_is_not_ended_by_us():
    with waiting("pass") as process, night._Stop() as stop, stop.ending(process, 600) as ended:
        process.stdin.close()
        process.wait(60)
    assert (process.returncode, ended.why) == (0, "")


def test_when_the_nights_time_is_over_no_step_begins_but_the_report_runs(monkeypatch):
    seconds = night._Keeper.seconds

    def late(keeper, name):
        """The clock of a night whose first step took all its time."""
        if did():
            keeper.deadline = time.monotonic() - 1
        return seconds(keeper, name)

    monkeypatch.setattr(night._Keeper, "seconds", late)
    assert live(step("ingest"), step("observe"), step("build")) == 1
    assert did() == ["ingest"]
    assert summary()["exit_code"] == 1
    assert "observe and build were not begun" in told()["night_out_of_time"]


def test_a_step_that_is_given_no_time_at_all_is_not_begun_and_that_is_told_to_the_technician(
    monkeypatch,
):
    monkeypatch.setenv("NIGHT__STEP_MINUTES__OBSERVE", "0")
    assert live(step("ingest"), step("observe"), step("build")) == 1
    assert did() == ["ingest", "build"]
    (found,) = findings.read(Run.latest())
    assert (found["level"], found["code"], found["owner"]) == (
        "critical",
        "night_out_of_time",
        "technician",
    )
    assert "observe were not begun" in found["message"] and "maximum_minutes" in found["action"]


def test_a_step_killed_from_outside_is_named_with_its_signal_and_what_needs_it_waits():
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert live(step("build", kill), step("plan", "", ("build",)), step("backup")) == 1
    assert did() == ["build", "backup"]
    assert "SIGKILL, which is how a machine out of memory does it" in told()["step_died"]


def test_a_step_that_says_nothing_of_its_error_is_named_and_one_that_does_is_not_named_twice():
    assert live(step("ingest", "raise SystemExit(1)")) == 1
    assert "ingest ended with an error (exit code 1)" in told()["step_failed"]
    speaks = (
        "from common import findings; from common.runs import Run; from common.findings import"
        " Finding; "
    )
    speaks += (
        "findings.record(Run.current('x'), [Finding('backup_failed', {'why': 'because'})]); raise"
        " SystemExit(1)"
    )
    assert live(step("ingest", speaks)) == 1
    assert set(told()) == {"backup_failed"}


def test_the_exit_code_is_the_one_that_matters_most():
    assert live(step("ingest", "raise SystemExit(3)"), step("plan", "raise SystemExit(2)")) == 3
    assert live(step("plan", "raise SystemExit(2)"), step("push")) == 2
    assert live(step("push", "raise SystemExit(77)")) == 1


ALL = {name for name, _, _ in night.STEPS}


@pytest.mark.parametrize(
    ("fails", "code", "left_out", "ends"),
    [
        ("ingest", 1, set(), 1),  # what was landed before stays, and is built from
        ("ingest", 3, set(), 3),
        ("observe", 1, set(), 1),
        (
            "build",
            1,
            {"plan", "push", "verify"},
            1,
        ),  # nothing is written from models that could not be built
        ("build", 3, set(), 3),  # some models failed: the plan knows which exports may be trusted
        ("plan", 1, {"push", "verify"}, 1),
        ("plan", 2, set(), 2),  # held: what is not held is pushed
        ("push", 1, set(), 1),  # what came of it is read back all the same
        ("push", 3, set(), 3),
        ("verify", 1, set(), 1),
        ("backup", 1, set(), 1),
    ],
)
def test_what_becomes_of_a_night_when_one_of_its_steps_fails(
    monkeypatch, fails, code, left_out, ends
):
    began = []

    def begin(run, name, command, keeper, so_far):
        began.append(name)
        assert command == {name: words for name, words, _ in night.STEPS}[name]
        return code if name == fails else 0

    monkeypatch.setattr(night, "_step", begin)
    assert night.nightly() == ends
    assert began == [
        name for name, _, _ in night.STEPS if name not in left_out and name not in night.CLOSING
    ]
    assert summary()["exit_code"] == ends, "the report ran"


def test_models_know_which_night_it_is_before_its_first_step():
    assert live(step("ingest")) == 0
    with store.connect(read_only=True) as connection:
        assert connection.execute(
            "select run_id, cast(as_of as varchar) from raw_homeroom.run_context"
        ).fetchall() == [(Run.latest().run_id, "2026-10-05")]


def test_an_override_is_handed_to_the_plan_alone_and_a_night_may_make_no_backup(monkeypatch):
    commands = {}
    monkeypatch.setattr(
        night,
        "_step",
        lambda run, name, command, keeper, so_far: commands.update({name: command}) or 0,
    )
    monkeypatch.setenv("BACKUP__NIGHTLY", "false")
    assert night.nightly("suspend", "the school closed") == 0
    assert commands.pop("plan") == (
        "reverse_etl",
        "plan",
        "--allow",
        "suspend",
        "--why",
        "the school closed",
    )
    assert set(commands) == ALL - {"plan", "backup", *night.CLOSING}
    assert not [words for words in commands.values() if "--allow" in words]


def test_a_night_makes_a_backup_unless_the_settings_say_otherwise(monkeypatch):
    began = []
    monkeypatch.setattr(night, "_step", lambda run, name, *_: began.append(name) or 0)
    monkeypatch.setattr(settings, "everything", dict)
    monkeypatch.setattr(preflight, "shortage", lambda: "")
    assert night.nightly() == 0
    assert began == [name for name, _, _ in night.STEPS if name not in night.CLOSING]


@pytest.mark.parametrize(
    ("codes", "ends"),
    [((), 0), ((0, 2), 2), ((2, 3), 3), ((3, 1), 1), ((0, 77), 1), ((2, -9), 1), ((0, 0), 0)],
)
def test_an_error_is_worse_than_a_partial_failure_and_that_than_a_hold(codes, ends):
    assert night.worst(codes) == night.worst(reversed(codes)) == ends


@pytest.mark.parametrize(
    ("kind", "again"),
    [
        *(
            (kind, True)
            for kind in (
                "source_unreachable",
                "source_failed",
                "feed_missing",
                "feed_unstable",
                "target_unreadable",
                "target_given_up",
                "target_unusable",
                "warehouse_locked",
                "step_died",
                "step_failed",
                "step_timeout",
            )
        ),
        *(
            (kind, False)
            for kind in (
                "feed_truncated",
                "feed_empty",
                "model_failed",
                "disk_full",
                "ledger_damaged",
                "settings_wrong",
                "night_out_of_time",
            )
        ),
    ],
)
def test_a_night_is_lived_once_more_for_what_waiting_may_mend_and_for_nothing_else(kind, again):
    run = Run.open("nightly")
    findings.record(run, [of_code("backup_failed"), of_code(kind)])
    limits = night.Limits(1000.0, {}, 100.0, 0.0)
    keeper = night._Keeper(limits, 0, night._Stop(), time.monotonic() + 1000)
    assert {code: night._worth_another(run, code, keeper) for code in (0, 1, 2, 3)} == {
        0: False,
        1: again,
        2: False,
        3: again,
    }
    asked_to_stop = night._Stop()
    asked_to_stop._asked()
    for never in (
        replace(keeper, deadline=time.monotonic() + 90),
        replace(keeper, stop=asked_to_stop),
        replace(keeper, limits=replace(limits, retry_after=None)),
    ):
        assert not night._worth_another(run, 1, never)


def test_the_times_of_a_night_are_settings_in_minutes_and_hours(monkeypatch):
    monkeypatch.delenv("NIGHT__RETRY_AFTER_MINUTES")
    monkeypatch.setattr(settings, "everything", dict)
    assert night.Limits.given() == night.Limits(
        8 * 3600,
        {
            "ingest": 5400,
            "observe": 5400,
            "build": 7200,
            "plan": 3600,
            "push": 18000,
            "verify": 5400,
            "backup": 3600,
        },
        900,
        6 * 3600,
    )
    written = {
        "maximum_minutes": 60,
        "resume_within_hours": 0,
        "retry_after_minutes": 0,
        "step_minutes": {"push": 0.5},
    }
    monkeypatch.setattr(settings, "everything", lambda: {"night": written})
    given = night.Limits.given()
    assert (
        given.night,
        given.resume_within,
        given.retry_after,
        given.steps["push"],
        given.steps["plan"],
    ) == (3600, 0, 0, 30, 3600)
    monkeypatch.setattr(
        settings, "everything", lambda: {"night": written | {"retry_after_minutes": False}}
    )
    assert night.Limits.given().retry_after is None
    keeper = night._Keeper(given, 0, night._Stop(), time.monotonic() + 10_000)
    assert keeper.seconds("push") == 30
    assert 0 < replace(keeper, deadline=time.monotonic() + 20).seconds("push") <= 20


@pytest.mark.parametrize(
    ("code", "why", "kind", "level"),
    [
        (0, "", "", ""),
        (2, "", "", ""),
        (3, "", "", ""),
        (1, "", "step_failed", "critical"),
        (77, "", "step_failed", "critical"),
        (-9, "", "step_died", "critical"),
        (-64, "", "step_died", "critical"),
        (-15, night.OUT_OF_TIME, "step_timeout", "critical"),
        (0, night.OUT_OF_TIME, "step_timeout", "critical"),
        (3, night.ASKED, "night_stopped", "warning"),
    ],
)
def test_how_a_step_ended_in_the_words_of_a_finding(code, why, kind, level):
    found = night._trouble("push", code, why, 18000)
    assert ((found.code, found.level) if found else ("", "")) == (kind, level)
    if found:
        assert found.message.startswith(
            "push " if why != night.ASKED else "somebody stopped the night during push"
        )
        assert ("out of memory" in found.message) is (code == -9)
        assert ("after 300 min" in found.message) is (why == night.OUT_OF_TIME)


@pytest.mark.parametrize(
    ("hours", "another", "fresh"),
    [(5.9, {}, True), (6.1, {}, False), (1, {"as_of": date(2026, 10, 4)}, False)],
)
def test_a_killed_push_is_gone_on_with_for_six_hours_on_its_own_day_by_the_same_code(
    hours, another, fresh
):
    limits = night.Limits(1000.0, {}, None, 6 * 3600)
    run = replace(
        Run.open("nightly"), started_at=datetime.now(UTC) - timedelta(hours=hours), **another
    )
    assert night._is_fresh(run, {"git_commit": "abc"}, limits) is fresh
    assert not night._is_fresh(run, {"git_commit": "another"}, limits)


def test_a_push_had_begun_only_where_a_journal_is_of_the_plan_of_the_run():
    run = Run.open("nightly")
    assert not night._wrote(run)
    (run.folder / "journal").mkdir()
    (run.folder / "journal" / "google.jsonl").write_text(
        '{"line":"plan","plan_id":"p1","at":"2026"}\n', encoding="utf-8"
    )
    assert not night._wrote(run), "it has no plan"
    run.write("plan.json", {"plan_id": "p2", "exports": []})
    assert not night._wrote(run)
    (run.folder / "journal" / "microsoft.jsonl").write_text(
        '{"line":"plan","plan_id":"p2","at":"2026"}\n', encoding="utf-8"
    )
    assert night._wrote(run)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAXIMUM_MINUTES", "-1"),
        ("RESUME_WITHIN_HOURS", "soon"),
        ("STEP_MINUTES__BILD", "5"),
        ("RETRY_AFTER_MINUTES", "true"),
    ],
)
def test_a_setting_that_makes_no_sense_refuses_the_night(monkeypatch, name, value):
    monkeypatch.setenv(f"NIGHT__{name}", value)
    with pytest.raises(settings.SettingsError, match=r"\[night(\.step_minutes)?\] "):
        live(step("ingest"))
    assert did() == []


# ---------------------------------------------------------------- once more


def finding(kind: str, code: int) -> str:
    """A step that reports this the first time it runs, and is well afterwards."""
    return (
        "from common import findings, problems; from common.runs import Run; from common.findings"
        " import Finding; import os\nonce = pathlib.Path(os.environ['HOMEROOM_VAR'], 'once'); first"
        " = not once.exists(); once.touch()\n"
        f"values = dict.fromkeys(problems.problem('{kind}').places(), 'x')\n"
        f"first and findings.record(Run.current('x'), [Finding('{kind}', values)])\n"
        f"raise SystemExit({code} if first else 0)"
    )


@pytest.mark.parametrize(
    "kind", ["source_unreachable", "feed_missing", "target_unreadable", "target_given_up"]
)
def test_what_only_needed_time_is_lived_once_more_and_the_night_ends_well(monkeypatch, kind):
    monkeypatch.setenv("NIGHT__RETRY_AFTER_MINUTES", "0.001")
    assert live(step("ingest", finding(kind, 3)), step("build")) == 0
    assert did() == ["ingest", "build"] * 2
    first, second = sorted(
        Run.finished(), key=lambda run: run.started_at
    )  # both may have begun within one second
    assert (first.read("summary.json")["exit_code"], second.read("summary.json")["exit_code"]) == (
        3,
        0,
    )
    assert {kind, "run_retried"} == set(told(first))
    assert told(second) == {}


def test_a_night_lived_once_more_waits_first_reports_twice_and_tells_people_once(monkeypatch):
    monkeypatch.setenv("NIGHT__RETRY_AFTER_MINUTES", "15")
    ran = []
    monkeypatch.setattr(night._Stop, "wait", lambda _, seconds: ran.append(seconds))
    monkeypatch.setattr(
        night,
        "_closing",
        lambda run, command, keeper, code: (
            ran.append((command[1], code)) or closing(run, command, keeper, code)
        ),
    )
    alert = ("alert", ("operations", "alert"), ())
    assert night.nightly(steps=(step("ingest", finding("feed_missing", 3)), REPORT, alert)) == 0
    assert ran == [("report", 3), 900, ("report", 0), ("alert", 0)]
    first = min(Run.finished(), key=lambda run: run.started_at)
    (again,) = [one for one in findings.read(first) if one["code"] == "run_retried"]
    assert (again["level"], again["owner"], again["message"]) == (
        "info",
        "operator",
        "what failed may only need time: the night is lived once more in 15 min",
    )


def test_a_night_asked_to_stop_while_it_waits_is_not_lived_again(monkeypatch):
    monkeypatch.setenv("NIGHT__RETRY_AFTER_MINUTES", "15")
    monkeypatch.setattr(night._Stop, "wait", lambda stop, _: stop._asked())
    assert live(step("ingest", finding("feed_missing", 3))) == 3
    assert did() == ["ingest"]


def test_what_waiting_cannot_mend_is_not_tried_again_and_nothing_is_tried_twice(monkeypatch):
    monkeypatch.setenv("NIGHT__RETRY_AFTER_MINUTES", "0.001")
    assert live(step("ingest", finding("feed_truncated", 3))) == 3
    assert did() == ["ingest"]
    assert live(step("ingest", "raise SystemExit(1)")) == 1
    assert did() == ["ingest"] * 3


# ---------------------------------------------------------------- killed nights


def killed(
    during: str,
    *,
    pushed: bool,
    verb: str = "nightly",
    steps: tuple[str, ...] = ("ingest", "build", "plan"),
) -> Run:
    """A run nobody finished."""
    run = Run.open(verb)
    for name in steps:
        with run.step(name):
            pass
    run.write("run.json", run.read("run.json") | {"running": during})
    run.write("plan.json", {"plan_id": "p1", "exports": []})
    if pushed:
        (run.folder / "journal").mkdir()
        (run.folder / "journal" / "google.jsonl").write_text(
            '{"line":"plan","plan_id":"p1","at":"2026"}\n', encoding="utf-8"
        )
    return run


FOUR = (step("ingest"), step("build"), step("plan"), step("push"), step("verify"))


def test_a_night_killed_while_it_pushed_goes_on_where_it_stopped():
    run = killed("push", pushed=True)
    assert live(*FOUR) == 0
    assert did() == ["push", "verify"]
    assert Run.latest().run_id == run.run_id
    assert "was killed (push) and went on" in told()["night_resumed"]
    assert [one["name"] for one in summary()["steps"]] == [
        "ingest",
        "build",
        "plan",
        "push",
        "verify",
    ]


def test_a_night_killed_before_it_wrote_anything_begins_anew_and_says_so():
    run = killed("build", pushed=False, steps=("ingest",))
    assert live(*FOUR) == 0
    assert did() == ["ingest", "build", "plan", "push", "verify"]
    assert Run.latest().run_id != run.run_id
    assert (
        run.run_id in told()["night_was_killed"] and "killed (build)" in told()["night_was_killed"]
    )


@pytest.mark.parametrize(("pushed", "kind"), [(False, "night_was_killed"), (True, "night_resumed")])
def test_a_night_killed_between_two_steps_says_so_to_the_technician(pushed, kind):
    killed("", pushed=pushed, steps=("ingest",))
    assert live(*FOUR) == 0
    (found,) = [one for one in findings.read(Run.latest()) if one["code"] == kind]
    assert "killed (between two steps)" in found["message"]
    assert (found["level"], found["owner"]) == ("warning", "technician")
    assert found["action"] == "find out what ended it: the machine, its memory, or a person"


@pytest.mark.parametrize(
    ("verb", "told_of"), [("nightly", True), ("intraday", True), ("plan", False), ("ingest", False)]
)
def test_a_verb_somebody_left_open_is_no_killed_night(verb, told_of):
    left = killed("plan", pushed=False, verb=verb)
    assert live(*FOUR) == 0
    assert ("night_was_killed" in told()) is told_of
    assert Run.load(left.run_id).read("run.json")["status"] == "abandoned"


def test_a_night_that_goes_on_does_again_what_had_failed_and_keeps_what_was_held():
    run = Run.open("nightly")
    for name, code in (("ingest", 3), ("observe", 1), ("build", 0), ("plan", 2)):
        with run.step(name) as done:
            done.exit_code = code
    run.write("plan.json", {"plan_id": "p1", "exports": []})
    (run.folder / "journal").mkdir()
    (run.folder / "journal" / "google.jsonl").write_text(
        '{"line":"plan","plan_id":"p1","at":"2026"}\n', encoding="utf-8"
    )
    assert live(step("observe"), *FOUR) == 3, (
        "as a night does in which ingest was partial and the plan held something"
    )
    assert did() == ["observe", "push", "verify"]


def test_a_short_runs_push_is_not_gone_on_with_by_a_night():
    run = killed("push", pushed=True, verb="intraday")
    assert live(*FOUR) == 0
    assert Run.latest().run_id != run.run_id and "night_was_killed" in told()


def test_a_night_of_an_earlier_day_than_the_one_before_says_that_a_clock_is_wrong(monkeypatch):
    assert live(*FOUR) == 0
    assert "clock_back" not in told()
    monkeypatch.setenv("HOMEROOM_AS_OF", "2026-10-02")
    assert live(*FOUR) == 0
    assert (
        "this night is of 2026-10-02, and the run before it was of 2026-10-05"
        in told()["clock_back"]
    )
    (found,) = [one for one in findings.read(Run.latest()) if one["code"] == "clock_back"]
    assert (found["level"], found["owner"], found["action"]) == (
        "warning",
        "technician",
        "set the clock, and let the machine keep it by NTP",
    )


@pytest.mark.parametrize("change", ["another day", "other code", "too long ago", "an override"])
def test_a_killed_push_is_not_gone_on_with_when_the_night_is_another(monkeypatch, change):
    run = killed("push", pushed=True)
    more = {}
    if change == "another day":
        monkeypatch.setenv("HOMEROOM_AS_OF", "2026-10-06")
    if change == "other code":
        monkeypatch.setattr(night, "git_commit", lambda: "def")
    if change == "too long ago":
        monkeypatch.setenv("NIGHT__RESUME_WITHIN_HOURS", "0")
    if change == "an override":
        more = {"allow": "create", "why": "test"}
    assert live(*FOUR, **more) == 0
    assert len(did()) == len(FOUR)
    assert Run.latest().run_id != run.run_id
    assert "night_was_killed" in told()


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A step that is a module, as all are. It tells what it was given, then waits until its gate is
    opened and shut.
    """
    folder, gate, told, files = (
        tmp_path / name for name in ("checkout", "gate", "told.json", "files.json")
    )
    folder.mkdir()
    (folder / "a_step.py").write_text(
        "import json, os, pathlib, sys\ngiven = {name: os.environ.get(name) for name in"
        " ('HOMEROOM_RUN', 'HOMEROOM_EXIT_CODE', 'PYTHONUNBUFFERED', 'HOMEROOM_VAR')}\ngiven |="
        " {'words': sys.argv[1:], 'group': os.getpgrp() == os.getpid(), 'here':"
        f" os.getcwd()}}\npathlib.Path({str(told)!r}).write_text(json.dumps(given))\nnumbers ="
        " [number for number in range(3, 64) if"
        f" os.path.exists(f'/dev/fd/{{number}}')]\npathlib.Path({str(files)!r}).write_text(json.dumps([os.fstat(number).st_ino"  # noqa: E501
        f" for number in numbers]))\nopen({str(gate)!r}).read()\nsys.exit(5)\n",
        encoding="utf-8",
    )
    os.mkfifo(gate)
    monkeypatch.setattr(paths, "root", lambda: folder)
    return SimpleNamespace(
        folder=folder,
        gate=gate,
        told=lambda: json.loads(told.read_text(encoding="utf-8")),
        files=lambda: json.loads(files.read_text(encoding="utf-8")),
    )


def test_a_step_is_a_module_in_a_group_of_its_own_that_knows_its_run_and_holds_the_nights_lock(
    module, var
):
    run = Run.open("nightly")
    with night.lock() as held:
        process = START(run, ("a_step", "plan", "--allow", "create"), 3, held)
    with pytest.raises(night.NightRunningError), night.lock():
        pytest.fail("a second night began beside a step of the first")
    module.gate.open("w").close()
    assert process.wait(60) == 5
    with night.lock():
        pass
    assert module.told() == {
        "HOMEROOM_RUN": run.run_id,
        "HOMEROOM_EXIT_CODE": "3",
        "PYTHONUNBUFFERED": "1",
        "HOMEROOM_VAR": str(var),
        "words": ["plan", "--allow", "create"],
        "group": True,
        "here": str(module.folder),
    }


def test_the_report_too_holds_the_nights_lock_and_its_exit_code_counts(module, var):
    """Else another night could begin beside it when ours is killed."""
    run = Run.open("nightly")
    gate = threading.Thread(target=lambda: module.gate.open("w").close())
    gate.start()
    with night.lock() as held:
        ended = CLOSING(run, ("a_step", "report"), SimpleNamespace(held=held), 2)
    gate.join()
    assert (
        ended,
        module.told()["words"],
        module.told()["HOMEROOM_EXIT_CODE"],
        module.told()["HOMEROOM_RUN"],
    ) == (5, ["report"], "2", run.run_id)
    assert (var / "night.lock").stat().st_ino in module.files()
    assert module.told()["here"] == str(module.folder)


def test_a_night_that_is_killed_leaves_the_lock_to_its_step_until_that_ends(module, var):
    """Two pushes of one plan at once would write everything twice."""
    Run.open("nightly").finish(0)
    code = (
        "from operations import night; from common import paths; from common.runs import Run;"
        " import os, pathlib, signal\n"
    )
    code += f"paths.root = lambda: pathlib.Path({str(module.folder)!r})\n"
    code += (
        "with night.lock() as held:\n    night._start(Run.latest(), ('a_step',), 0, held);"
        " os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode
        == -signal.SIGKILL
    )
    with pytest.raises(night.NightRunningError):
        live(step("ingest"))
    module.gate.open("w").close()
    with lock.lock(var / "night.lock", "a test", wait=60):
        assert module.told()["words"] == []
    assert live(step("ingest")) == 0
    assert did() == ["ingest"]


def test_a_night_asked_to_stop_stops_its_step_politely_and_still_reports(var):
    polite = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(3)); "
    polite += "pathlib.Path(os.environ['HOMEROOM_VAR'], 'up').touch(); time.sleep(60)"

    def ask():
        while not (var / "up").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=ask)
    thread.start()
    assert live(step("push", polite), step("verify")) == 1
    thread.join()
    assert did() == ["push"]
    assert "somebody stopped the night during push" in told()["night_stopped"]
    assert summary()["steps"][0]["status"] == "partly"


# ---------------------------------------------------------------- disk, warehouse, ledger


def full(monkeypatch, *free: int) -> None:
    """The disk has so many bytes free, each time somebody looks."""
    left = list(free)
    monkeypatch.setattr(
        preflight.shutil,
        "disk_usage",
        lambda _: SimpleNamespace(free=left.pop(0) if len(left) > 1 else left[0]),
    )


def test_with_too_little_space_left_overs_go_first_and_the_night_runs(monkeypatch, var):
    (var / "tmp").mkdir(parents=True)
    (var / "tmp" / "spill").write_bytes(bytes(2_000_000))
    full(monkeypatch, 1, 10**12)
    assert live(step("ingest")) == 0
    assert did() == ["ingest"]
    assert "2 MB of left-overs were removed" in told()["space_made"]


def test_a_full_disk_refuses_the_night_with_the_numbers_and_still_reports(monkeypatch):
    full(monkeypatch, 100_000)
    assert live(step("ingest")) == 2
    assert did() == []
    assert (
        "has 0 MB free and a night needs 1; this run reads and writes nothing"
        in told()["disk_full"]
    )
    assert summary()["exit_code"] == 2


def test_a_warehouse_held_by_a_reader_is_waited_for_then_named_and_the_report_runs_without_it(
    monkeypatch, var
):
    with store.connect():
        pass
    reads = (
        f"import duckdb, sys; c = duckdb.connect({str(paths.warehouse())!r}, read_only=True);"
        " print('on', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", reads], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "on\n"
    monkeypatch.setattr(
        night, "_closing", lambda run, _command, _keeper, code: reports.report(run, code) or 0
    )
    try:
        assert live(step("ingest")) == 1
    finally:
        holder.communicate()
    assert did() == []
    assert f"is held by process {holder.pid}" in told()["warehouse_locked"]
    assert "the next night takes this one in too" in told()["not_published_either"]
    assert summary()["exit_code"] == 1
    first = Run.latest().run_id
    assert live(step("ingest")) == 0
    reports.remember()
    with store.connect(read_only=True) as connection:
        assert connection.execute(
            "select run_id, exit_code from ledger.audit.runs order by exit_code desc"
        ).fetchall() == [(first, 1), (Run.latest().run_id, 0)]
        assert connection.execute(
            "select count(*) from ledger.audit.findings where code = 'warehouse_locked'"
        ).fetchone() == (1,)


def test_a_warehouse_that_is_taken_just_before_the_first_step_ends_the_night_with_its_name(
    monkeypatch,
):
    def taken(_run):
        raise store.StoreBusyError("held by process 4711")

    monkeypatch.setattr(store, "begin_night", taken)
    assert live(step("ingest")) == 1
    assert did() == []
    (found,) = findings.read(Run.latest())
    assert (found["level"], found["code"], found["message"], found["owner"]) == (
        "critical",
        "warehouse_locked",
        "held by process 4711; this run reads and writes nothing",
        "technician",
    )


def spoil(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "create table if not exists much as select md5(range::varchar) as text from"
            " range(20000)"
        )
    path.write_bytes(b"\x07" * 8192 + path.read_bytes()[8192:])


def test_a_damaged_warehouse_is_moved_aside_and_the_night_goes_on():
    spoil(paths.warehouse())
    assert live(step("ingest")) == 0
    assert did() == ["ingest"]
    assert list((paths.var() / "replaced").glob("*/warehouse.duckdb"))
    assert "builds it again from the archive" in told()["warehouse_damaged"]


def test_a_damaged_ledger_refuses_the_night_and_stays_as_it_is():
    spoil(paths.ledger())
    before = paths.ledger().read_bytes()
    assert live(step("ingest")) == 2
    assert did() == []
    assert 'with "make restore FROM=latest"' in told()["ledger_damaged"]
    assert paths.ledger().read_bytes() == before


def test_a_lost_ledger_is_never_begun_anew_by_itself(monkeypatch):
    monkeypatch.setattr(
        night, "_closing", lambda run, _command, _keeper, code: reports.report(run, code) or 0
    )
    assert live(step("ingest")) == 0
    paths.ledger().unlink()
    assert live(step("ingest")) == 2
    assert did() == ["ingest"]
    assert not paths.ledger().exists()
    assert 'with "make restore FROM=latest"' in told()["ledger_gone"]


def test_a_ledger_of_a_newer_homeroom_refuses_the_night():
    with store.connect() as connection:
        connection.execute(
            "insert into ledger.audit.versions values (99, 'of_tomorrow', now(), '9')"
        )
    assert live(step("ingest")) == 2
    assert "of version 99" in told()["store_refused"]


def test_a_disk_that_fills_up_during_a_step_is_named_and_the_run_can_still_be_written_down(
    monkeypatch,
):
    """The step finds the disk full; so does the night when it writes down how the step ended, until
    the ballast goes.
    """
    whole = Path.replace
    fails = []

    def replace(self, target):
        if disk_reserve.path().is_file() and Path(target).name == "run.json" and did():
            fails.append(target)
            raise OSError(28, "No space left on device")
        return whole(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    assert live(step("build", "raise SystemExit(1)"), step("backup")) == 1
    assert len(fails) == 1
    assert not disk_reserve.path().is_file()
    assert "filled up during build" in told()["disk_filled"]
    assert [one["name"] for one in summary()["steps"]] == ["build", "backup"]


def test_on_a_full_disk_the_report_leaves_what_room_there_is_to_the_page_and_the_alerts(
    monkeypatch,
):
    full(monkeypatch, 100_000)
    run = Run.open("nightly")
    reports.report(run, 1)
    assert "the disk is full; the next night takes this one in too" in told()["not_published"]
    assert summary()["exit_code"] == 1 and page.page_of(run).is_file()
    assert not paths.ledger().exists(), "neither database was opened"


def test_findings_a_full_disk_has_torn_are_written_again_whole(monkeypatch):
    run = Run.open("nightly")
    findings.record(run, [of_code("backup_failed")])
    disk_reserve.lay()
    torn = run.folder / "findings.jsonl"

    def full_once(write):
        with torn.open("a", encoding="utf-8") as file:
            file.write('{"found_at": "20')
        disk_reserve.drop()
        return write()

    monkeypatch.setattr(findings.disk_reserve, "or_dropped", full_once)
    findings.record(run, [of_code("not_published")])
    assert [finding["code"] for finding in findings.read(run)] == ["backup_failed", "not_published"]


def test_a_report_that_dies_of_a_full_disk_is_tried_again_once_space_was_made(monkeypatch, var):
    tries = []

    def dies_once(run, _command, _keeper, code):
        tries.append(code)
        if len(tries) == 1:
            return 1
        return closing(run, _command, _keeper, code)

    monkeypatch.setattr(night, "_closing", dies_once)
    left = (
        "d = pathlib.Path(os.environ['HOMEROOM_VAR'], 'replay'); d.mkdir(); (d /"
        " 'x').write_bytes(bytes(1000))"
    )
    assert live(step("ingest", left)) == 0
    assert len(tries) == 2
    assert summary()["exit_code"] == 0


def test_a_report_that_cannot_run_at_all_leaves_the_run_closed(monkeypatch):
    monkeypatch.setattr(night, "_closing", lambda *_: 1)
    assert live(step("ingest")) == 1
    assert Run.latest().read("run.json")["finished_at"]


# ---------------------------------------------------------------- pauses


def test_a_pause_refuses_nights_with_its_reason_until_it_is_over_and_is_kept(monkeypatch):
    monkeypatch.setattr(access, "typed_by", lambda: "operator")
    tomorrow = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    interventions.pause(tomorrow, "the tenant is being moved")
    with pytest.raises(
        night.NightRefusedError,
        match=(
            rf"no nightly run: paused until {tomorrow} 00:00: the tenant is being moved \(by"
            r" operator\)"
        ),
    ):
        live(step("ingest"))
    assert did() == [] and Run.latest() is None
    assert interventions.resume() and not interventions.resume()
    assert live(step("ingest")) == 0
    reports.remember()
    with store.connect(read_only=True) as connection:
        rows = connection.execute(
            "select what, who, why, until is not null from ledger.audit.interventions order by"
            " happened_at"
        ).fetchall()
    assert rows == [
        ("paused", "operator", "the tenant is being moved", True),
        ("not_run", "operator", "", False),
        ("resumed", "operator", "", False),
    ]


def test_a_pause_ends_by_itself():
    interventions.pause((datetime.now(UTC) + timedelta(hours=1)).isoformat(), "a short one")
    assert interventions.current() is not None
    assert interventions.current(datetime.now(UTC) + timedelta(hours=2)) is None


def test_a_pause_until_a_date_ends_at_midnight_of_the_district():
    assert interventions.pause("2099-07-01", "summer").until == datetime(
        2099, 7, 1, 7, tzinfo=UTC
    ), "Vancouver is seven hours behind in July"


@pytest.mark.parametrize(
    ("until", "why", "says"),
    [
        ("soon", "x", "is no date"),
        ("2020-01-01", "x", "is past"),
        ("2099-01-01", " ", "with its reason"),
    ],
)
def test_a_pause_that_makes_no_sense_is_refused(until, why, says):
    with pytest.raises(interventions.InterventionError, match=says):
        interventions.pause(until, why)
    assert interventions.current() is None


def test_a_line_torn_by_a_kill_spoils_no_other():
    interventions.pause("2099-01-01", "summer")
    with interventions.path().open("a", encoding="utf-8") as file:
        file.write('{"happened_at": "2026')
    assert interventions.current().why == "summer"
    interventions.resume()
    assert [line["what"] for line in interventions.lines()] == ["paused", "resumed"]


def test_a_copy_puts_back_what_it_took_of_the_system_and_warns_of_nothing():
    """A lock of dbt's that is left behind is told on the terminal by Python itself."""
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import multiprocessing\n"
            "from operations import copies\n"
            "kept = []\n"
            "act = lambda: kept.append(multiprocessing.get_context('spawn').Lock()) or 3\n"
            "print(copies.forked(act, own_group=True).wait())\n",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (said.stdout, said.stderr) == ("3\n", "")
