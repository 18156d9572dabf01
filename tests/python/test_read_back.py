"""What was read back, in three numbers that add up: equal, waiting with a reason, different. A
night that wrote nothing is not called equal.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from engine_bench import NO_LIMITS, USERS, Bench, user
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reverse_etl import plan as planning
from reverse_etl import verify as verifying
from reverse_etl.model import Outcome


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "var")


def three(bench: Bench, entity: str = "users", target: str = "fake") -> tuple[int, int, int, dict]:
    found = bench.run.read("verify.json")[target][entity]
    return found["equal"], found["waiting"], found["different"], found["waiting_for"]


def left_out(bench: Bench, entity: str = "users") -> tuple[bool, dict]:
    found = bench.run.read("verify.json")["fake"][entity]
    return found["accounts"], found["subjects"]


def test_a_night_that_wrote_nothing_says_how_many_rows_wait_and_not_that_all_is_equal(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.models = [replace(USERS, meta={**USERS.meta, "limits": {"create": 1}})]
    bench.desire(users=[user(n) for n in range(1, 9)])
    assert bench.whole_night() == 2
    assert bench.platform.rows("users") == []
    capsys.readouterr()
    assert bench.verify() == 0, "the exit code is as before: nothing failed"
    assert three(bench) == (0, 8, 0, {"limit": 8})
    assert left_out(bench) == (True, {"create": {"limit": 8}})
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "verify: fake: 0 rows equal their export, 8 wait (8 over a limit), 0 differ",
        "verify: fake users: 0 rows equal their export, 8 wait (8 over a limit), 0 differ",
    ]


def test_of_a_target_nobody_could_read_back_no_row_is_called_equal(bench: Bench) -> None:
    bench.desire(users=[user(1), user(2)])
    assert bench.whole_night() == 0
    observe = bench.observe

    def blind() -> int:
        observe()
        unread = {"fake": {"status": "failed", "error": "no answer"}}
        bench.run.write("observed.json", unread)
        return 0

    bench.observe = blind  # type: ignore[method-assign]
    assert bench.verify() == 3
    assert three(bench) == (0, 2, 0, {"unread": 2})
    assert left_out(bench)[1] == {}, "nothing is known of them"


def test_rows_of_a_file_wait_as_its_hold_says_and_those_of_a_failed_one_for_what_was_not_done(
    tmp_path: Path,
) -> None:
    from test_engine_files import CLASSES, LISTED, district

    bench = district(tmp_path, LISTED, CLASSES, replace(USERS, meta={**USERS.meta, "limits": {}}))
    bench.desire(
        users=[user(n) for n in range(1, 11)],
        students=[{"student_id": f"{n}", "person_id": f"p{n}"} for n in range(1, 11)],
        classes=[{"class_id": "c1"}],
    )
    assert bench.whole_night() == 2
    bench.verify()
    assert three(bench, "students", "folder") == (0, 10, 0, {"waits_held": 10})
    assert three(bench, "classes", "folder") == (0, 1, 0, {"left_out": 1})
    assert three(bench, "file", "folder") == (0, 1, 0, {"left_out": 1})
    assert bench.folder is not None
    bench.folder.broken = True
    assert bench.whole_night("create,folder.students.drop", "first night") == 3
    bench.verify()
    assert three(bench, "students", "folder") == (0, 10, 0, {"skipped": 10})
    assert three(bench, "file", "folder") == (0, 0, 1, {})
    bench.folder.broken = False
    assert bench.whole_night() == 0
    bench.verify()
    assert three(bench, "students", "folder") == (10, 0, 0, {})
    assert three(bench, "file", "folder") == (1, 0, 0, {})


FATES = ("equal", "new", "fails", "closed", "protected", "gone", "edited", "lost")


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(fates=st.lists(st.sampled_from(FATES), min_size=1, max_size=14), creates=st.integers(0, 14))
def test_equal_waiting_and_different_add_up_to_all_rows_whatever_became_of_each(
    tmp_path_factory: pytest.TempPathFactory, fates: list[str], creates: int
) -> None:
    """Computed beside the code: by what stands in the platform after the night, row by row."""
    columns = {**USERS.columns, "hold": "varchar"}
    context = [*USERS.meta["context"], "hold"]
    first = replace(USERS, columns=columns, meta={**USERS.meta, "context": context, "hold": "hold"})
    bench = Bench(tmp_path_factory.mktemp("three") / "var", [first])
    known = [n for n, fate in enumerate(fates) if fate not in ("new", "fails")]
    wanted = [n for n, fate in enumerate(fates) if fate not in ("gone", "lost")]
    bench.desire(users=[user(n) for n in known])
    bench.whole_night("create", "first night")
    limits = {**NO_LIMITS, "create": creates}
    meta = {**first.meta, "on_absent": "remove", "limits": limits}
    bench.models = [replace(first, meta=meta)]
    rows = {row["person_id"]: row for row in bench.platform.objects["users"].values()}
    for number in known:
        if fates[number] == "closed":
            rows[f"p{number}"]["suspended"] = True
    want = [
        user(
            n,
            hold="the police" if fates[n] == "protected" else None,
            given_name="Other" if fates[n] in ("protected", "edited") else f"G{n}",
        )
        for n in wanted
    ]
    bench.target.faults = lambda change: (
        Outcome(change.change_id, "failed", 403, "forbidden")
        if fates[int(change.key[0][1:])] in ("fails", "lost")
        else None
    )
    bench.desire(users=want)
    bench.whole_night("fake.users.empty", "they left")
    bench.verify()
    equal, waiting, different, why = three(bench)
    there = {row["person_id"]: row for row in bench.platform.rows("users")}
    same = [
        one["person_id"]
        for one in want
        if one["person_id"] in there
        and all(
            there[one["person_id"]][name] == one[name]
            for name in ("primary_email", "given_name", "org_unit_path", "suspended")
        )
    ]
    left = [key for key in there if key not in {one["person_id"] for one in want}]
    assert equal == len(same)
    assert equal + waiting + different == len(want) + len(left)
    assert sum(why.values()) == waiting
    assert why.get("closed", 0) == fates.count("closed")
    assert why.get("protected", 0) == fates.count("protected")
    over = fates.count("new") + fates.count("fails") > creates
    assert why.get("limit", 0) == (fates.count("new") + fates.count("fails") if over else 0)


# ---------------------------------------------------------------- what rests


def read_again(bench: Bench) -> list[str]:
    """The targets a verify of the night reads again, and that its numbers are those of one that
    reads everything.
    """
    read: list[str] = []

    def observe(targets: Sequence[str]) -> int:
        read.extend(targets)
        return bench.observe() if targets else 0

    code = verifying.verify(bench.run, bench.night, observe, pauses=(), in_one_go=True)
    rested = bench.run.read("verify.json")
    assert bench.verify() == code
    assert bench.run.read("verify.json") == rested
    return read


def test_a_target_nobody_wrote_to_since_it_was_observed_is_not_read_again(bench: Bench) -> None:
    bench.desire(users=[user(1), user(2)])
    assert bench.whole_night() == 0
    assert read_again(bench) == ["fake"], "a push that wrote is read back"
    assert bench.whole_night() == 0
    assert read_again(bench) == []


def test_what_a_plan_found_equal_and_nobody_wrote_to_is_not_compared_a_second_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []
    build = planning.build_plan
    monkeypatch.setattr(
        verifying.planning,
        "build_plan",
        lambda connection, night, *more: (
            compared.append(night.run_id) or build(connection, night, *more)
        ),
    )

    def again() -> int:
        compared.clear()
        verifying.verify(
            bench.run, bench.night, lambda _: bench.observe(), pauses=(), in_one_go=True
        )
        return len(compared)

    bench.desire(users=[user(1), user(2)])
    assert bench.whole_night() == 0
    assert again() == 1, "what a push wrote is compared"
    assert bench.whole_night() == 0
    assert again() == 0
    equal = bench.run.read("verify.json")
    assert three(bench) == (2, 0, 0, {})
    bench.verify()
    assert bench.run.read("verify.json") == equal, "by hand it is compared, and the same"
    plan = bench.run.read("plan.json")
    for left_out in ("set_aside", "waiting", "postponed"):
        part = plan["exports"][0] | {left_out: 1}
        bench.run.write("plan.json", plan | {"exports": [part]})
        assert again() == 1, left_out


def test_a_change_that_is_held_is_measured_on_what_was_observed(bench: Bench) -> None:
    bench.models = [replace(USERS, meta={**USERS.meta, "limits": {"create": 1}})]
    bench.desire(users=[user(n) for n in range(1, 9)])
    assert bench.whole_night() == 2
    assert read_again(bench) == []
    assert three(bench) == (0, 8, 0, {"limit": 8})


def test_what_was_about_to_be_written_when_a_push_died_is_read_again(bench: Bench) -> None:
    bench.desire(users=[user(1)])
    assert bench.whole_night() == 0
    assert bench.whole_night() == 0
    journal = bench.run.folder / "journal" / "fake.jsonl"
    journal.parent.mkdir(exist_ok=True)
    line = {"line": "intent", "change_id": "x", "at": "2026-10-05T00:00:00Z"}
    with journal.open("a", encoding="utf-8") as file:
        file.write(f"{json.dumps(line)}\n")
    assert read_again(bench) == ["fake"]
    journal.write_text("no line\n{}\n", encoding="utf-8")
    assert "fake" not in verifying._as_observed(bench.run, ["fake"]), "a damaged one says nothing"


def test_what_an_earlier_run_observed_is_read_again(bench: Bench) -> None:
    bench.desire(users=[user(1)])
    assert bench.whole_night() == 0
    assert bench.whole_night() == 0
    seen = bench.run.read("observed.json")
    seen["fake"]["observed_at"] = "2020-01-01T00:00:00+00:00"
    bench.run.write("observed.json", seen)
    assert read_again(bench) == ["fake"]


def test_a_plan_is_empty_when_a_push_has_nothing_to_do_to_say_or_to_remember(bench: Bench) -> None:
    bench.desire(users=[user(1)])
    bench.new_night()
    bench.observe()
    assert not planning.is_empty(bench.plan())
    assert bench.push() == 0
    bench.new_night()
    bench.observe()
    empty = bench.plan()
    assert planning.is_empty(empty)
    assert bench.push() == 0
    assert bench.run.read("outcome.json") == {}, "what the night writes without a push"
    part = empty["exports"][0]
    for key, value in {
        "planned": {"create": 1},
        "held": {"create": 1},
        "holds": ["its feed is old"],
        "drift": {"give_back": {"name": 1}},
    }.items():
        assert not planning.is_empty(empty | {"exports": [part | {key: value}]}), key
    assert not planning.is_empty(empty | {"undoes": "20261005T100000Z-ab12"})
    assert not planning.is_empty({}), "one that is not there, or says less, is none"
    assert not planning.is_empty({"undoes": "", "exports": [{"planned": {}}]})
