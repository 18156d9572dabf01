"""Pushing: the plan that was shown, in order, at the target's pace, whatever happens on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from engine_bench import GROUPS, MEMBERS, USERS, Bench, FakeTarget, Model, Platform, user

from common import findings, turns
from common.lock import LockHeldError, lock
from common.runs import Run
from reverse_etl import execute, journal, pacing
from reverse_etl import plan as planning
from reverse_etl import push as pushing
from reverse_etl.model import Change, Outcome

ROOT = Path(__file__).resolve().parents[2]
UNITS = Model(
    "org_units",
    {"org_unit_path": "varchar", "name": "varchar"},
    {"key": ["org_unit_path"], "limits": {"create": 1000}},
)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between attempts without their length."""
    monkeypatch.setattr(pacing, "FIRST_PAUSE", 0.001)


@pytest.fixture
def bench(tmp_path: Path, quick: None) -> Bench:
    return Bench(tmp_path / "var")


def once(answers: dict[str, Outcome]):
    """A fault that answers each key once and lets the platform do the rest."""
    left = dict(answers)

    def fault(change: Change) -> Outcome | None:
        answer = left.pop("|".join(change.key), None)
        return answer and Outcome(**{**answer.__dict__, "change_id": change.change_id})

    return fault


def test_parents_come_before_children_users_before_members_and_removals_last(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path / "var", [UNITS, USERS, GROUPS, MEMBERS])
    members = [{"group_id": "g1", "person_id": f"p{n}", "role": "MEMBER"} for n in range(5)]
    bench.desire(
        org_units=[{"org_unit_path": p, "name": p} for p in ("/A/B/C", "/A", "/A/B")],
        users=[user(n) for n in range(5)],
        groups=[{"group_id": "g1", "email": "a", "name": "G"}],
        members=members,
    )
    assert bench.whole_night() == 0
    done = [(entity, key) for entity, _, key in bench.platform.calls]
    assert done[:3] == [("org_units", "/A"), ("org_units", "/A/B"), ("org_units", "/A/B/C")]
    assert [entity for entity, _ in done[3:]] == ["users"] * 5 + ["groups"] + ["members"] * 5
    bench.platform.calls.clear()
    bench.desire(groups=[], members=[], users=[user(n, given_name="new") for n in range(5)])
    assert bench.whole_night() == 0
    assert [f"{action} {entity}" for entity, action, _ in bench.platform.calls] == [
        "update users"
    ] * 5 + ["remove members"] * 5 + ["delete groups"]


def test_a_plan_that_is_not_the_one_shown_is_refused_saying_what_moved(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.desire(users=[user(1), user(2)])
    bench.observe()
    bench.plan()
    bench.desire(users=[user(1, given_name="another"), user(2)])
    assert bench.push() == 2
    assert bench.platform.calls == []
    assert (
        "fake: not the plan that was shown: 1 new or different (first: create users p1) and 1 no"
        " longer so" in capsys.readouterr().err
    )
    (told,) = findings.read(bench.run)
    assert (told["level"], told["code"], told["target"], told["owner"], told["action"]) == (
        "critical",
        "plan_moved",
        "fake",
        "analyst",
        'run "make plan" again',
    )


def test_pushing_a_finished_plan_again_writes_nothing(bench: Bench) -> None:
    bench.desire(users=[user(1)])
    assert bench.whole_night() == 0
    assert bench.push() == 0
    assert len(bench.platform.calls) == 1
    assert bench.run.read("outcome.json")["fake"]["users"]["applied"] == 1


def test_the_calls_of_another_plan_of_the_same_run_are_its_own(bench: Bench) -> None:
    bench.desire(users=[user(n) for n in range(3)])
    assert bench.whole_night() == 0
    assert bench.run.read("outcome.json")["fake"]["write_calls"] == 3
    bench.desire(users=[user(n) for n in range(5)])
    bench.observe()
    bench.plan()
    bench.target.write_calls = 0
    assert bench.push() == 0
    outcome = bench.run.read("outcome.json")["fake"]
    assert (outcome["write_calls"], outcome["users"]["applied"]) == (2, 2)


def test_a_throttled_call_is_made_again_and_counts_once(bench: Bench) -> None:
    bench.target.faults = once(
        {f"p{n}": Outcome("", "retry", 429, "throttled", retry_after=0.01) for n in range(10)}
    )
    bench.desire(users=[user(n) for n in range(10)])
    assert bench.whole_night() == 0
    assert len(bench.platform.rows("users")) == 10
    assert bench.ask("select max(attempts) from ledger.audit.outcomes") == [(2,)]


def test_an_unknown_create_is_looked_up_before_it_is_tried_again(bench: Bench) -> None:
    bench.platform.allows_twins = True
    done = once(
        {
            "p1": Outcome("", "unknown", None, "timeout"),
            "p2": Outcome("", "unknown", None, "timeout"),
        }
    )

    def fault(change: Change) -> Outcome | None:
        answer = done(change)
        if answer and change.key == ("p1",):
            bench.platform.do(change)  # the platform did it; only the reply was lost
        return answer

    bench.target.faults = fault
    bench.desire(users=[user(1), user(2)])
    assert bench.whole_night() == 0
    assert [row["person_id"] for row in bench.platform.rows("users")] == ["p1", "p2"]
    assert sorted(bench.target.found) == ["p1", "p2"]


def test_a_call_that_never_works_fails_after_six_attempts_and_the_others_do_not(
    bench: Bench,
) -> None:
    bench.target.faults = lambda change: (
        Outcome(change.change_id, "retry", 503, "unavailable") if change.key == ("p1",) else None
    )
    bench.desire(users=[user(n) for n in range(20)])
    assert bench.whole_night() == 3
    assert len(bench.platform.rows("users")) == 19
    assert bench.ask(
        "select key, status, attempts, code from ledger.audit.changes where status <> 'applied'"
    ) == [("p1", "failed", 6, 503)]
    assert bench.verify() == 3
    found = bench.run.read("verify.json")["fake"]["users"]
    assert found == {
        "desired": 20,
        "observed": 19,
        "residual": {"create": 1},
        "converged": 0.95,
        "equal": 19,
        "waiting": 0,
        "different": 1,
        "waiting_for": {},
        "subjects": {"create": {"": 1}},
        "accounts": True,
        "reasons": {"failed: given up after 6 attempts: unavailable": 1},
    }


def test_an_adapter_that_breaks_costs_its_own_changes_only(bench: Bench) -> None:
    def broken(change: Change) -> Outcome | None:
        if change.key == ("p1",):
            raise KeyError("Jane Doe")
        return None

    bench.target.faults = broken
    bench.desire(users=[user(n) for n in range(5)])
    assert bench.whole_night() == 3
    assert len(bench.platform.rows("users")) == 4
    assert "Jane" not in (bench.run.folder / "journal" / "fake.jsonl").read_text()


def test_what_is_only_read_is_planned_and_never_pushed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TARGETS__FAKE__READ_ONLY", "true")
    bench.desire(users=[user(1)])
    assert bench.whole_night() == 0
    assert not bench.platform.calls, "the plan is there to be looked at"
    monkeypatch.setenv("TARGETS__FAKE__READ_ONLY", "false")
    assert bench.push() == 0
    assert len(bench.platform.calls) == 1


def test_a_platform_that_is_down_is_given_up_and_the_push_can_be_resumed(bench: Bench) -> None:
    bench.target.faults = lambda change: Outcome(change.change_id, "retry", 503, "unavailable")
    bench.desire(users=[user(n) for n in range(300)])
    assert bench.whole_night() == 3
    assert len(journal.read(bench.run.folder / "journal" / "fake.jsonl").outcomes) < 300
    assert any(
        json.loads(line)["code"] == "target_given_up"
        for line in (bench.run.folder / "findings.jsonl").read_text().splitlines()
    )
    bench.target.faults = None
    bench.push()
    assert (
        len(bench.platform.rows("users"))
        + bench.ask("select count(*) from ledger.audit.outcomes where status = 'failed'")[0][0]
        == 300
    )


def test_members_of_a_user_whose_create_failed_are_skipped_and_come_the_next_night(
    tmp_path: Path, quick: None
) -> None:
    bench = Bench(tmp_path / "var", [USERS, GROUPS, MEMBERS])
    bench.target.faults = lambda change: (
        Outcome(change.change_id, "failed", 400, "invalid")
        if change.entity == "users" and change.key == ("p1",)
        else None
    )
    bench.desire(
        users=[user(1), user(2)],
        groups=[{"group_id": "g1", "email": "a", "name": "G"}],
        members=[{"group_id": "g1", "person_id": f"p{n}", "role": "MEMBER"} for n in (1, 2)],
    )
    assert bench.whole_night() == 3
    assert ("members", "create", "g1|p1") not in bench.platform.calls
    assert bench.ask("select note from ledger.audit.changes where status = 'skipped'") == [
        ("waits for fake users p1",)
    ]
    bench.target.faults = None
    assert bench.whole_night() == 0
    assert len(bench.platform.rows("members")) == 2


def test_one_target_that_cannot_be_used_does_not_stop_another(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.models = [USERS, Model("users", USERS.columns, USERS.meta, USERS.owners, target="other")]
    with_views = (
        "create or replace view staging.stg_other__users as select * from staging.stg_fake__users"
        " where false"
    )
    bench.ask(with_views)
    bench.desire(users=[user(1)])
    bench.new_night()
    bench.observe()
    seen = bench.run.read("observed.json")
    bench.run.write("observed.json", {**seen, "other": seen["fake"]})
    bench.plan()
    good = bench._adapter

    def adapter(target: str):
        if target == "other":
            raise ConnectionError("u1@x.example is not reachable")
        return good(target)

    monkeypatch.setattr(bench, "_adapter", adapter)
    assert bench.push() == 3
    assert bench.platform.calls == [("users", "create", "p1")]
    assert "u1@" not in (bench.run.folder / "findings.jsonl").read_text()


def test_everything_written_is_in_the_audit_with_old_new_and_request(bench: Bench) -> None:
    bench.desire(users=[user(1)])
    bench.whole_night()
    bench.desire(users=[user(1, org_unit_path="/B", source="students.csv:77")])
    bench.whole_night()
    rows = bench.ask(
        """select action, cast(old as varchar), cast(new as varchar), said(reason), status, code,
        source, export_model, partition,
                               started_at <= finished_at from ledger.audit.changes
                               order by planned_at"""
    )
    assert rows[1] == (
        "update",
        '{"org_unit_path":"/A"}',
        '{"org_unit_path":"/B"}',
        "changed in source: org_unit_path",
        "applied",
        200,
        "students.csv:77",
        "exp_fake__users",
        "07474001",
        True,
    )
    assert bench.ask(
        "select org_unit_path, given_name, source from ledger.applied.fake__users"
    ) == [("/B", "G1", "students.csv:77")]


def test_a_retry_after_stops_every_worker() -> None:
    now = [100.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    bucket = pacing.Bucket(10.0, clock=lambda: now[0], sleep=sleep)
    bucket.take()
    bucket.throttled(retry_after=30.0)
    assert bucket.take() >= 30.0
    assert now[0] >= 130.0


def test_the_pace_stays_under_the_quota_falls_on_a_throttle_and_comes_back() -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    bucket = pacing.Bucket(40.0, clock=lambda: now[0], sleep=sleep)
    for _ in range(4000):
        bucket.take()
        bucket.succeeded()
    assert 4000 / now[0] < 40.0
    assert 4000 / now[0] > 40.0 * 0.93
    rate = bucket.rate
    bucket.throttled()
    bucket.throttled()  # the same second, another worker: not a second lesson
    assert bucket.rate == pytest.approx(rate * 0.85)
    for _ in range(4000):
        bucket.take()
        bucket.succeeded()
    assert bucket.rate == pytest.approx(40.0 * 0.98)


def test_a_bucket_shared_by_many_threads_keeps_the_rate() -> None:
    bucket = pacing.Bucket(500.0)
    started = time.monotonic()

    def work() -> None:
        for _ in range(25):
            bucket.take()

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 400 / (time.monotonic() - started) < 500.0 * 1.4  # the burst at the start is part of it


CHILD = """
    import os, signal, sys, threading
    sys.path[:0] = [{root!r}, {tests!r}]
    from pathlib import Path
    from engine_bench import GROUPS, MEMBERS, USERS, Bench, FakeTarget, Platform
    from common.runs import Run
    class Mortal(FakeTarget):
        calls, lock = 0, threading.Lock()
        def apply(self, changes):
            with self.lock:
                self.calls += 1
                mine = self.calls == {at}
            if mine and {moment!r} != "answered":
                os.kill(os.getpid(), signal.SIGTERM if {moment!r} == "told to stop"
                else signal.SIGKILL)
            answers = super().apply(changes)
            if mine and {moment!r} == "answered":
                os.kill(os.getpid(), signal.SIGKILL)
            return answers
    bench = Bench.__new__(Bench)
    bench.platform = Platform(Path({state!r}), allows_twins=True)
    bench.target, bench.folder, bench.feeds = Mortal(bench.platform), None, []
    bench.models = [USERS, GROUPS, MEMBERS]
    bench.run = Run.load({run!r})
    sys.exit(bench.push())
"""


def push_in_a_process(tmp_path: Path, run: Run, at: int = 0, moment: str = "") -> tuple[int, str]:
    """Exit code and words of a push that at its call number `at` is killed before the call
    ("asked"), after it ("answered"), or told to stop.
    """
    code = CHILD.format(
        root=str(ROOT),
        tests=str(ROOT / "tests/python"),
        state=str(tmp_path / "state.json"),
        run=run.run_id,
        at=at,
        moment=moment,
    )
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "HOMEROOM_VAR": str(tmp_path / "var")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return ended.returncode, ended.stdout


def killed(tmp_path: Path, bench: Bench, at: int, moment: str) -> journal.Past:
    """What the journal says after a push was killed at that call; that it was in the middle of its
    work is certain.
    """
    code, printed = push_in_a_process(tmp_path, bench.run, at, moment)
    assert code == -signal.SIGKILL, printed
    past = journal.read(bench.run.folder / "journal" / "fake.jsonl")
    assert past.started
    assert not past.ended
    assert past.unclear, "the call in flight was recorded before it was made"
    assert len(past.outcomes) < 121
    return past


def planned(tmp_path: Path) -> Bench:
    bench = Bench(
        tmp_path / "var",
        [USERS, GROUPS, MEMBERS],
        Platform(tmp_path / "state.json", allows_twins=True),
    )
    bench.desire(
        users=[user(n) for n in range(60)],
        groups=[{"group_id": "g1", "email": "a", "name": "G"}],
        members=[{"group_id": "g1", "person_id": f"p{n}", "role": "MEMBER"} for n in range(60)],
    )
    bench.observe()
    bench.plan()
    return bench


def calls(tmp_path: Path) -> int:
    path = tmp_path / "state.calls"
    return path.read_text().count("\n") if path.is_file() else 0


@pytest.mark.parametrize(
    "kills",
    [
        [(3, "answered")],
        [(1, "asked"), (20, "answered"), (30, "asked"), (11, "answered"), (1, "answered")],
    ],
)
def test_killed_anywhere_and_run_again_it_ends_the_same_without_a_duplicate(
    tmp_path: Path, kills: list[tuple[int, str]]
) -> None:
    bench, done = planned(tmp_path), -1
    for at, moment in kills:
        past = killed(tmp_path, bench, at, moment)
        assert len(past.outcomes) >= done
        done = len(past.outcomes)
    assert push_in_a_process(tmp_path, bench.run)[0] == 0
    end = Platform(tmp_path / "state.json")
    assert [row["person_id"] for row in end.rows("users")] == sorted(f"p{n}" for n in range(60))
    assert [row["person_id"] for row in end.rows("members")] == sorted(f"p{n}" for n in range(60))
    assert bench.ask("select status, count(*) from ledger.audit.changes group by all") == [
        ("applied", 121)
    ]
    assert bench.ask("select count(*), count(distinct change_id) from ledger.audit.outcomes") == [
        (121, 121)
    ]


def test_a_push_killed_and_never_resumed_is_settled_by_the_next_night(tmp_path: Path) -> None:
    bench = planned(tmp_path)
    past = killed(tmp_path, bench, 30, "answered")
    bench.platform = Platform(tmp_path / "state.json", allows_twins=True)
    bench.target = FakeTarget(bench.platform)
    there = sum(len(bench.platform.rows(entity)) for entity in ("users", "groups", "members"))
    assert len(past.outcomes) < there, "something was made of which no answer was recorded"
    assert bench.whole_night() == 0
    assert len(bench.platform.calls) == 121 - there
    assert len(bench.platform.rows("users")) == len(bench.platform.rows("members")) == 60
    assert bench.ask("select count(*) from ledger.applied.fake__members") == [(60,)]
    assert bench.verify() == 0


def test_a_push_told_to_stop_finishes_the_calls_in_flight_and_can_be_resumed(
    tmp_path: Path,
) -> None:
    bench = planned(tmp_path)
    code, printed = push_in_a_process(tmp_path, bench.run, 10, "told to stop")
    assert code == 3, printed
    assert "do the rest, as the next night does" in printed
    past = journal.read(bench.run.folder / "journal" / "fake.jsonl")
    assert not past.ended
    assert not past.unclear
    assert (
        10 <= len(past.outcomes) == calls(tmp_path) < 61
    )  # the users' round was not even finished
    code, printed = push_in_a_process(tmp_path, bench.run)
    assert code == 0, printed
    assert calls(tmp_path) == 121


def test_rounds_put_removals_last_and_in_reverse_order() -> None:
    target = FakeTarget(Platform())
    actions = [
        ("members", "create"),
        ("users", "delete"),
        ("members", "remove"),
        ("users", "create"),
        ("org_units", "delete"),
        ("org_units", "create"),
    ]
    changes = [
        Change(f"c{n}", "fake", entity, ("/a/b",), action)
        for n, (entity, action) in enumerate(actions)
    ]
    assert [(c.entity, c.action) for one in execute.rounds(target, changes) for c in one] == [
        ("org_units", "create"),
        ("users", "create"),
        ("members", "create"),
        ("members", "remove"),
        ("users", "delete"),
        ("org_units", "delete"),
    ]


def test_what_was_made_by_a_push_that_never_heard_of_it_is_ours_all_the_same(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path / "var", [USERS, GROUPS, MEMBERS])
    member = {"group_id": "g1", "person_id": "p1", "role": "MEMBER"}

    def lost(change: Change) -> Outcome | None:
        if change.entity == "members":
            bench.platform.do(change)
            bench.target.faults = None
            os.kill(os.getpid(), signal.SIGTERM)  # nothing is journaled after this one
            return Outcome(change.change_id, "unknown", None, "no_reply")
        return None

    bench.target.faults = lost
    bench.desire(
        users=[user(1)], groups=[{"group_id": "g1", "email": "a", "name": "G"}], members=[member]
    )
    assert bench.whole_night() == 3
    assert bench.ask("select count(*) from ledger.applied.fake__members") == [(0,)]
    assert bench.whole_night() == 0  # it is there as wanted, so nothing is planned
    assert bench.ask(
        "select status, note from ledger.audit.changes where entity = 'members' and status ="
        " 'applied'"
    ) == [("applied", "no answer came; read back as it was wanted")]
    bench.desire(members=[])
    assert bench.whole_night() == 0
    assert bench.platform.rows("members") == []


# ---------------------------------------------------------------- a plan that somebody approved


def test_an_account_edited_after_the_plan_was_approved_stops_the_push_which_names_it(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.desire(users=[user(1), user(2)])
    assert bench.whole_night() == 0
    bench.desire(users=[user(1, org_unit_path="/B"), user(2)])
    bench.new_night()
    bench.observe()
    bench.plan()
    bench.platform.rows("users")[1]["given_name"] = "by hand"
    calls = len(bench.platform.calls)
    assert bench.push(look=True) == 2
    assert len(bench.platform.calls) == calls
    assert (
        "fake: not the plan that was shown: 1 new or different (first: update users p2)"
        in capsys.readouterr().err
    )
    bench.plan()
    assert bench.push(look=True) == 0
    assert bench.push(look=True) == 0  # done already: nothing to look at, nothing to write
    assert [row["given_name"] for row in bench.platform.rows("users")] == ["G1", "G2"]


@pytest.mark.parametrize("moved", ["tables", "code"])
def test_new_tables_or_new_code_under_an_approved_plan_stop_the_push(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, moved: str
) -> None:
    bench.desire(users=[user(1)])
    bench.run.write(
        "exports.json",
        {
            "exp_fake__users": {"rows": 1, "sha256": "a"},
            "exp_other__users": {"rows": 1, "sha256": "a"},
        },
    )
    bench.observe()
    bench.plan()
    if moved == "tables":
        bench.run.write(
            "exports.json",
            {
                "exp_fake__users": {"rows": 2, "sha256": "b"},
                "exp_other__users": {"rows": 3, "sha256": "c"},
            },
        )
    else:
        monkeypatch.setattr(planning, "git_commit", lambda: "another")
    assert bench.push(look=True) == 2
    assert bench.platform.calls == []
    said = capsys.readouterr().err
    assert (
        "table exp_fake__users was built anew and differs (1 rows, now 2 rows)" in said
        and "exp_other" not in said
    ) == (moved == "tables")
    assert ("the code is at another" in said) == (moved == "code")


def test_a_second_push_waits_and_then_says_whose_turn_it_is(bench: Bench) -> None:
    bench.desire(users=[user(1)])
    bench.observe()
    bench.plan()
    with lock(turns.of_target("fake"), "a push of run X"):
        with pytest.raises(
            LockHeldError,
            match=(
                rf"a push of run X is under way for 0 min 0 s already, in process {os.getpid()} of"
                r" .* and did not end within 0 s"
            ),
        ):
            pushing.push(bench.run, bench.night, bench._adapter, wait=0.05)
        assert bench.platform.calls == []
        waiting = threading.Thread(
            target=lambda: pushing.push(bench.run, bench.night, bench._adapter, wait=30.0)
        )
        waiting.start()
        time.sleep(0.2)
        assert bench.platform.calls == []
    waiting.join(30)
    assert bench.platform.calls == [("users", "create", "p1")]


def test_a_change_that_fails_night_after_night_is_on_the_list_until_it_is_done(
    bench: Bench,
) -> None:
    bench.target.faults = lambda change: (
        Outcome(change.change_id, "failed", 409, "duplicate", note="belongs to another")
        if change.key == ("p1",)
        else None
    )
    bench.desire(users=[user(1), user(2)])
    assert bench.whole_night() == 3
    assert bench.whole_night() == 3
    assert bench.ask(
        "select target, entity, key, action, code, note, runs from ledger.audit.dead_letters"
    ) == [("fake", "users", "p1", "create", 409, "belongs to another", 2)]
    bench.target.faults = None
    assert bench.whole_night() == 0
    assert bench.ask("select count(*) from ledger.audit.dead_letters") == [(0,)]


def test_a_target_is_green_at_the_level_it_declares(bench: Bench) -> None:
    bench.target.faults = lambda change: (
        Outcome(change.change_id, "applied", 200) if change.key == ("p1",) else None
    )
    bench.desire(users=[user(n) for n in range(20)])
    assert bench.whole_night() == 0
    assert bench.verify(level=0.95) == 0
    assert bench.verify(level=0.96) == 3


@pytest.mark.parametrize(("calls", "rate"), [(10, 40.0), (2000, 40.0), (40_000, 40.0), (500, 20.0)])
def test_the_estimate_is_what_the_bucket_takes(calls: int, rate: float) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    bucket = pacing.Bucket(rate, clock=lambda: now[0], sleep=sleep)
    for _ in range(calls):
        bucket.take()
        bucket.succeeded()
    assert pacing.seconds(calls, rate) == pytest.approx(now[0], rel=0.1, abs=0.3)


def adopting(bench: Bench) -> Bench:
    """The same exports, with a column that says which object without our key a row is."""
    users = replace(
        USERS,
        columns={**USERS.columns, "adopt_id": "varchar"},
        meta={**USERS.meta, "context": [*USERS.meta["context"], "adopt_id"]},
    )
    bench.models = [users, GROUPS, MEMBERS]
    return bench


def theirs(bench: Bench, **values: object) -> str:
    """An account that was there before us."""
    row = {
        "primary_email": "old.name@x.example",
        "given_name": "Old",
        "org_unit_path": "/",
        "suspended": False,
        "usage_location": "US",
        "nickname": "Olly",
    }
    return bench.platform.put("users", row | values)


def test_an_adopted_object_is_given_the_key_and_made_equal_and_keeps_what_is_theirs(
    tmp_path: Path,
) -> None:
    bench = adopting(Bench(tmp_path / "var", [USERS, GROUPS, MEMBERS]))
    there = theirs(bench)
    other = theirs(bench, primary_email="somebody@x.example")
    before = dict(bench.platform.objects["users"][other])
    bench.desire(
        users=[user(1, primary_email="old.name@x.example", adopt_id=there)],
        groups=[{"group_id": "g", "email": "g", "name": "G"}],
        members=[{"group_id": "g", "person_id": "p1", "role": "MEMBER"}],
    )
    assert bench.whole_night() == 0
    assert ("users", "adopt", "p1") in bench.platform.calls
    assert not [call for call in bench.platform.calls if call[:2] == ("users", "create")]
    row = bench.platform.objects["users"][there]
    assert (row["person_id"], row["primary_email"], row["given_name"], row["org_unit_path"]) == (
        "p1",
        "old.name@x.example",
        "G1",
        "/A",
    )
    assert (row["usage_location"], row["nickname"]) == ("US", "Olly"), (
        "what is set on create only, or is theirs, stays"
    )
    assert bench.platform.objects["users"][other] == before
    assert bench.platform.by_key("members", ("g", "p1")), (
        "the adopted account is a member in the same night"
    )
    assert bench.verify() == 0
    assert bench.whole_night() == 0
    assert len(bench.platform.calls) == 3, "the second night writes nothing"
    applied = bench.ask("select primary_email, org_unit_path from ledger.applied.fake__users")
    assert applied == [("old.name@x.example", "/A")], (
        "what an adopted account held counts as written by us"
    )


def test_adopting_has_a_limit_of_its_own_and_what_hangs_on_a_held_account_waits(
    tmp_path: Path,
) -> None:
    bench = adopting(Bench(tmp_path / "var", [USERS, GROUPS, MEMBERS]))
    people = [
        user(
            n,
            primary_email=f"t{n}@x.example",
            adopt_id=theirs(bench, primary_email=f"t{n}@x.example"),
        )
        for n in range(3)
    ]
    bench.models[0].meta["limits"]["adopt"] = 2  # type: ignore[index]
    try:
        bench.desire(
            users=people,
            groups=[{"group_id": "g", "email": "g", "name": "G"}],
            members=[{"group_id": "g", "person_id": "p1", "role": "MEMBER"}],
        )
        assert bench.whole_night() == 2
        assert [call for call in bench.platform.calls if call[0] != "groups"] == []
        statuses = dict(
            bench.ask(
                "select entity || ' ' || action, any_value(status) from ledger.audit.changes group"
                " by 1"
            )
        )
        assert statuses == {
            "users adopt": "held",
            "groups create": "applied",
            "members create": "skipped",
        }
        assert bench.whole_night("fake.users.adopt", "checked with the help desk") == 0
        assert sorted(row["person_id"] for row in bench.platform.rows("users")) == [
            "p0",
            "p1",
            "p2",
        ]
    finally:
        bench.models[0].meta["limits"]["adopt"] = 1_000_000  # type: ignore[index]


def test_an_object_two_rows_adopt_stops_the_export(tmp_path: Path) -> None:
    bench = adopting(Bench(tmp_path / "var", [USERS, GROUPS, MEMBERS]))
    there = theirs(bench)
    bench.desire(users=[user(1, adopt_id=there), user(2, adopt_id=there)])
    bench.observe()
    plan = bench.plan()
    assert "adopt" in str(plan["exports"])
    assert bench.changes(plan) == []


def test_an_account_that_carries_a_key_is_never_adopted_by_another_row(tmp_path: Path) -> None:
    bench = adopting(Bench(tmp_path / "var", [USERS, GROUPS, MEMBERS]))
    there = theirs(bench, person_id="p9")
    bench.desire(users=[user(1, adopt_id=there)])
    bench.observe()
    assert [(action, key) for _, action, key, *_ in bench.changes(bench.plan())] == [
        ("create", "p1")
    ]
