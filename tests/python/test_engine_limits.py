"""Limits and holds: the unsafe waits, the safe flows, and an override is explicit, recorded and used once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from engine_bench import GROUPS, MEMBERS, USERS, Bench, user
from hypothesis import given
from hypothesis import strategies as st

from reverse_etl.limits import Allowed, Group, LimitWrong, drop_hold, holds, parse
from reverse_etl.model import Limit, Limits

NOTHING = Allowed()


def judge(limits: dict, *groups: Group, allowed: Allowed = NOTHING) -> list[tuple[str, str | None]]:
    return [(hold.action, hold.school) for hold in holds("google", "users", parse(limits, "x.yml"), list(groups), allowed)]


@pytest.mark.parametrize(("limit", "observed", "planned", "held"), [
    (300, 0, 300, False), (300, 0, 301, True), ("30%", 1000, 300, False), ("30%", 1000, 301, True), ("30%", 10, 5, False), ("30%", 10, 6, True),
    (0, 1000, 1, True), ("0%", 1000, 5, False),
])  # fmt: skip
def test_a_limit_is_a_count_or_a_share_and_a_share_lets_five_through(limit: object, observed: int, planned: int, held: bool) -> None:
    assert judge({"update": limit}, Group("update", planned, observed)) == ([("update", None)] if held else [])


@pytest.mark.parametrize(("observed", "planned", "held"), [(10, 1, False), (10, 2, True), (100, 10, False), (100, 11, True), (0, 1, False)])
def test_an_action_nobody_limited_may_touch_a_tenth_and_a_small_table_one_suspension(observed: int, planned: int, held: bool) -> None:
    assert bool(judge({}, Group("suspend", planned, observed))) is held


def test_one_broken_school_is_held_and_the_others_flow() -> None:
    schools = [Group("suspend", 40, 80, "07474001"), Group("suspend", 2, 400, "07474002")]
    assert judge({"suspend": "2%"}, Group("suspend", 42, 1000), *schools) == [("suspend", "07474001")]


def test_what_a_held_school_does_not_account_for_still_counts_against_the_district() -> None:
    schools = [Group("suspend", 40, 80, "07474001"), Group("suspend", 30, 900, "07474002")]
    assert judge({"suspend": "2%"}, Group("suspend", 70, 1000), *schools) == [("suspend", "07474001"), ("suspend", None)]


def test_the_sentence_has_the_numbers_and_the_next_step() -> None:
    (hold,) = holds("google", "users", parse({"suspend": "2%"}, "x"), [Group("suspend", 214, 3902)], NOTHING)
    assert "214 suspends planned, 3,902 rows of ours there (5.5 %, limit 2 % = 79)" in hold.sentence
    assert "ALLOW=google.users.suspend" in hold.sentence


@pytest.mark.parametrize(("words", "held"), [
    ("suspend", False), ("google.suspend", False), ("google.users.suspend", False),
    ("microsoft.suspend", True), ("google.groups.suspend", True), ("create", True),
])  # fmt: skip
def test_an_override_lifts_what_it_names_and_nothing_else(words: str, held: bool) -> None:
    assert bool(judge({"suspend": 0}, Group("suspend", 9, 10), allowed=Allowed.parse(words, "summer"))) is held


@pytest.mark.parametrize(("words", "why"), [("explode", "x"), ("a.b.c.create", "x"), ("create", ""), ("create", "  ")])
def test_an_override_without_a_known_action_or_a_reason_is_refused(words: str, why: str) -> None:
    with pytest.raises(LimitWrong):
        Allowed.parse(words, why)


@pytest.mark.parametrize("limits", [
    {"crate": 3}, {"create": "many"}, {"create": -1}, {"create": True}, {"create": "101%"}, {"per_school": 3}, {"per_school": {"x": 1}},
])  # fmt: skip
def test_a_limit_that_cannot_be_read_is_an_error_naming_file_and_key(limits: dict) -> None:
    with pytest.raises(LimitWrong, match=r"users\.yml"):
        parse(limits, "users.yml")


def test_a_file_that_loses_more_than_half_of_its_rows_is_held_unless_allowed() -> None:
    def drop(limits: dict, after: int, allowed: Allowed = NOTHING) -> str | None:
        return drop_hold("portfolio", "students", parse(limits, "x"), before=1000, after=after, allowed=allowed)

    assert drop({}, 500) is None
    assert "501 of 1,000 rows" in (drop({}, 499) or "")
    assert drop({"drop": "100%"}, 0) is None
    assert drop({}, 0, Allowed.parse("portfolio.drop", "new year")) is None


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.floats(0, 1))
def test_what_may_flow_never_exceeds_the_limit(planned: int, observed: int, share: float) -> None:
    limits = Limits({"update": Limit(share=share)})
    held = holds("t", "e", limits, [Group("update", planned, observed)], NOTHING)
    assert bool(held) == (planned > Limit(share=share).allowed(observed, 5))


# ---------------------------------------------------------------- in a plan


def limited(model, **limits):
    return replace(model, meta={**model.meta, "limits": limits})


def test_over_the_limit_only_that_action_is_held_and_the_rest_flows(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "var", [limited(USERS, create=1000, update="100%", suspend=2)])
    bench.desire(users=[user(n) for n in range(30)])
    assert bench.whole_night() == 0
    bench.desire(users=[*(user(n, suspended=True) for n in range(10)), *(user(n, given_name="new") for n in range(10, 30)), user(99)])
    assert bench.whole_night() == 2
    assert sum(row["suspended"] for row in bench.platform.rows("users")) == 0
    assert sum(row["given_name"] == "new" for row in bench.platform.rows("users")) == 20
    assert len(bench.platform.rows("users")) == 31
    counted = bench.ask("select status, count(*) from ledger.audit.changes where run_id = ? group by all order by all", bench.run.run_id)
    assert counted == [("applied", 21), ("held", 10)]
    assert bench.verify() == 0  # what was held does not count as not converged
    assert bench.run.read("verify.json")["fake"]["users"]["residual"] == {}


def test_an_override_is_recorded_with_its_reason_and_used_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "var", [limited(USERS, create=2)])
    bench.desire(users=[user(n) for n in range(10)])
    assert bench.whole_night() == 2
    assert bench.platform.rows("users") == []
    assert bench.whole_night("fake.users.create", "first night") == 0
    assert len(bench.platform.rows("users")) == 10
    assert json.loads(bench.ask("select allowed from ledger.audit.plans where run_id = ?", bench.run.run_id)[0][0]) == {
        "words": ["fake.users.create"], "why": "first night"}  # fmt: skip
    bench.desire(users=[user(n) for n in range(20)])
    assert bench.whole_night() == 2


def test_one_truncated_school_is_held_and_the_others_are_written(tmp_path: Path) -> None:
    model = limited(USERS, create=1000, suspend="50%", per_school={"suspend": "20%"})
    bench = Bench(tmp_path / "var", [model])
    people = [user(n, school_number="07474001" if n < 20 else "07474002") for n in range(120)]
    bench.desire(users=people)
    assert bench.whole_night() == 0
    bench.desire(users=[{**person, "suspended": n < 15 or n in (30, 31)} for n, person in enumerate(people)])
    assert bench.whole_night() == 2
    assert [row["person_id"] for row in bench.platform.rows("users") if row["suspended"]] == ["p30", "p31"]
    assert "in school 07474001: 15 suspends planned, 20 rows of ours there" in bench.run.read("plan.json")["exports"][0]["holds"][0]


def test_members_of_a_held_user_wait_and_say_for_whom(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "var", [limited(USERS, create=1), GROUPS, MEMBERS])
    bench.desire(users=[user(1)], groups=[{"group_id": "g1", "email": "a", "name": "G"}], members=[])
    assert bench.whole_night() == 0
    bench.desire(users=[user(n) for n in (1, 2, 3)], members=[{"group_id": "g1", "person_id": f"p{n}", "role": "MEMBER"} for n in (1, 2, 3)])
    assert bench.whole_night() == 2
    assert [row["person_id"] for row in bench.platform.rows("members")] == ["p1"]
    assert bench.ask("select key, status, note from ledger.audit.changes where entity = 'members' and run_id = ? order by key", bench.run.run_id) == [
        ("g1|p1", "applied", ""), ("g1|p2", "skipped", "waits for fake users p2"), ("g1|p3", "skipped", "waits for fake users p3")]  # fmt: skip
    assert bench.verify() == 0
    assert bench.whole_night("create", "they are real") == 0
    assert len(bench.platform.rows("members")) == 3


def test_an_export_that_rests_on_a_refused_feed_is_held_and_names_it_while_others_go_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "var", [replace(USERS, feeds=("students",)), replace(GROUPS, feeds=("sections",))])
    bench.feeds = [{"source": "myedbc", "feed": "students", "status": "refused"}, {"source": "myedbc", "feed": "sections", "status": "unchanged"}]
    bench.desire(users=[user(1)], groups=[{"group_id": "g1", "email": "a", "name": "G"}])
    assert bench.whole_night() == 2
    assert bench.platform.calls == [("groups", "create", "g1")]
    holds_of = {part["entity"]: part["holds"] for part in bench.run.read("plan.json")["exports"]}
    assert "myedbc.students (refused)" in holds_of["users"][0]
    assert holds_of["groups"] == []


@pytest.mark.parametrize(("seen", "words"), [
    ({"fake": {"status": "failed", "error": "ConnectTimeout", "observed_at": "2026-01-01T00:00:00+00:00"}}, "could not be read tonight (ConnectTimeout)"),
    ({}, "was not observed in this run"),
])  # fmt: skip
def test_a_target_that_was_not_read_tonight_is_not_written(tmp_path: Path, seen: dict, words: str) -> None:
    bench = Bench(tmp_path / "var")
    bench.desire(users=[user(1)])
    bench.observe()
    bench.run.write("observed.json", seen)
    assert words in bench.plan()["exports"][0]["holds"][0]
    assert bench.push() == 2
    assert bench.platform.calls == []


def test_a_target_written_to_after_it_was_observed_must_be_observed_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "var")
    bench.desire(users=[user(1)])
    bench.whole_night()
    bench.desire(users=[user(1), user(2)])
    assert "was written to after it was observed" in bench.plan()["exports"][0]["holds"][0]
    bench.observe()
    assert bench.plan()["exports"][0]["holds"] == []


@pytest.mark.parametrize(
    "broken", [{"status": "error"}, {"status": "skipped"}, {"tests": {"users_unique": "fail"}}, {"tests": {"users_unique": "error"}}, {"signed": False}]
)
def test_an_export_whose_model_or_test_failed_is_refused_and_only_that_one(tmp_path: Path, broken: dict) -> None:
    bench = Bench(tmp_path / "var", [replace(USERS, **broken), replace(GROUPS, tests={"groups_unique": "pass", "groups_odd": "warn"})])
    bench.desire(users=[user(1)], groups=[{"group_id": "g1", "email": "a", "name": "G"}])
    assert bench.whole_night() == 2
    assert bench.platform.calls == [("groups", "create", "g1")]


def test_an_export_with_an_unknown_setting_is_refused_naming_file_and_key(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "var", [replace(USERS, meta={**USERS.meta, "on_absence": "ignore"}), GROUPS])
    bench.desire(users=[user(1)], groups=[{"group_id": "g1", "email": "a", "name": "G"}])
    assert bench.whole_night() == 2
    assert bench.platform.calls == [("groups", "create", "g1")]
    (users,) = [part for part in bench.run.read("plan.json")["exports"] if part["entity"] == "users"]
    assert "models/exp_fake__users.yml: meta.export has no setting 'on_absence'" in users["holds"][0]
