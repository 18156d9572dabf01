"""Moves: what leaves one object of a family to enter another is one change: nobody is left
between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from engine_bench import GROUPS, MEMBERS, NO_LIMITS, USERS, Bench, Model, user
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common import store
from reverse_etl import releases
from reverse_etl.limits import Allowed, Group, holds, in_season, parse
from reverse_etl.model import Change, Outcome
from reverse_etl.plan import Scope
from reverse_etl.show import conditions

NOTHING = Allowed()
SCHOOLS = ("07474001", "07474002")
FAMILIES = {  # of every group; by no part of its name
    "red": "grade",
    "blue": "grade",
    "green": "grade",
    "oak": "class",
    "elm": "class",
    "fir": "class",
    "north": "school",
    "south": "school",
}


def members(**limits: object) -> Model:
    return replace(
        MEMBERS,
        columns={**MEMBERS.columns, "family": "varchar"},
        meta={
            **MEMBERS.meta,
            "context": ["school_number", "family"],
            "family": "family",
            "limits": {**NO_LIMITS, **limits},
        },
    )


def rows(held: Mapping[str, Iterable[str]]) -> list[dict[str, str]]:
    """Rows of people's groups: person -> their groups; who is even goes to the second school."""
    return [
        {
            "group_id": group,
            "person_id": person,
            "role": "MEMBER",
            "school_number": SCHOOLS[int(person[1:]) % 2],
            "family": FAMILIES[group],
        }
        for person, groups in held.items()
        for group in groups
    ]


def district(tmp_path: Path, held: Mapping[str, Iterable[str]], **limits: object) -> Bench:
    """Everybody in their groups, after a night without limits; `limits` count from here on."""
    bench = Bench(tmp_path / "var", [USERS, GROUPS, members()])
    bench.desire(
        users=[user(int(person[1:])) for person in held],
        groups=[{"group_id": g, "email": g, "name": g} for g in FAMILIES],
        members=rows(held),
    )
    assert bench.whole_night() == 0
    bench.models = [USERS, GROUPS, members(**limits)]
    return bench


def there(bench: Bench) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in bench.platform.rows("members"):
        found.setdefault(row["person_id"], set()).add(row["group_id"])
    return found


def families(groups: Iterable[str]) -> set[str]:
    return {FAMILIES[group] for group in groups}


def status(bench: Bench) -> list[tuple]:
    return bench.ask(
        "select action, status, count(*) from ledger.audit.changes where run_id = ? group by all"
        " order by all",
        bench.run.run_id,
    )


PEOPLE = [f"p{number}" for number in range(12)]
CLASS = {person: ["red", "oak"] for person in PEOPLE}


def test_a_rollover_over_its_limit_is_held_whole_and_nobody_is_between_two_grades(
    tmp_path: Path,
) -> None:
    bench = district(tmp_path, CLASS, create="50%")
    bench.desire(members=rows({person: ["blue", "oak"] for person in PEOPLE}))
    assert bench.whole_night() == 2
    assert there(bench) == {person: {"red", "oak"} for person in PEOPLE}
    assert status(bench) == [("create", "held", 12), ("remove", "held", 12)]
    (said,) = bench.run.read("plan.json")["exports"][1]["holds"]
    assert said.startswith(
        "fake members: 12 people with moves planned, 12 people of ours there (100.0 %, limit 50 %"
    )
    assert "ALLOW=fake.members.move" in said
    assert bench.whole_night("fake.members.move", "the year turns") == 0
    assert there(bench) == {person: {"blue", "oak"} for person in PEOPLE}


def test_who_moves_in_three_families_is_counted_once(tmp_path: Path) -> None:
    held = {person: ["red", "oak", "north"] for person in PEOPLE}
    bench = district(tmp_path, held, move=5)
    after = {**held, **{p: ["blue", "elm", "south"] for p in PEOPLE[:5]}}
    bench.desire(members=rows(after))
    assert bench.whole_night() == 0
    assert there(bench) == {person: set(groups) for person, groups in after.items()}
    bench.desire(members=rows(held | {p: ["green", "fir", "south"] for p in PEOPLE[:6]}))
    assert bench.whole_night() == 2
    assert there(bench) == {person: set(groups) for person, groups in after.items()}


def test_a_school_that_moves_whole_is_held_alone_and_the_other_moves(tmp_path: Path) -> None:
    bench = district(tmp_path, CLASS)
    bench.models = [USERS, GROUPS, members(per_partition={"move": "50%"})]
    wrong = [person for person in PEOPLE if int(person[1:]) % 2]
    bench.desire(members=rows({**CLASS, **{p: ["blue", "oak"] for p in [*wrong, "p0"]}}))
    assert bench.whole_night() == 2
    assert {person for person, groups in there(bench).items() if "blue" in groups} == {"p0"}
    (said,) = bench.run.read("plan.json")["exports"][1]["holds"]
    assert "in school 07474002: 6 people with moves planned, 6 people of ours there" in said


def test_who_only_leaves_is_no_move_and_limits_count_people_not_rows(tmp_path: Path) -> None:
    held = {person: ["red", "oak", "north", "elm"] for person in PEOPLE}
    bench = district(tmp_path, held, remove=5)
    bench.desire(members=rows(dict(list(held.items())[5:])))
    assert bench.whole_night() == 0  # twenty rows of five people
    assert set(there(bench)) == set(PEOPLE[5:])
    bench.desire(members=rows({person: ["red", "oak", "north"] for person in PEOPLE[5:]}))
    assert bench.whole_night() == 2  # seven rows of seven


def test_nobody_is_taken_from_a_group_whose_next_one_refuses_them(tmp_path: Path) -> None:
    bench = district(tmp_path, CLASS)

    def refuses(change: Change) -> Outcome | None:
        if change.entity == "members" and change.key == ("blue", "p3"):
            return Outcome(change.change_id, "failed", 400, "invalid")
        return None

    bench.target.faults = refuses
    bench.desire(members=rows({person: ["blue", "oak"] for person in PEOPLE}))
    bench.whole_night()
    assert there(bench) == {p: {"red" if p == "p3" else "blue", "oak"} for p in PEOPLE}
    assert bench.ask(
        "select status, note from ledger.audit.changes where key = 'red|p3' and action = 'remove'"
    ) == [("skipped", "waits for fake members blue|p3")]
    bench.target.faults = None
    assert bench.whole_night() == 0
    assert there(bench) == {person: {"blue", "oak"} for person in PEOPLE}


def test_who_enters_a_group_that_is_not_made_stays_in_the_one_they_leave(tmp_path: Path) -> None:
    bench = district(tmp_path, CLASS)
    FAMILIES["violet"] = "grade"
    try:
        groups = replace(GROUPS, meta={**GROUPS.meta, "limits": {**NO_LIMITS, "create": 0}})
        bench.models = [USERS, groups, members()]
        bench.desire(
            groups=[{"group_id": g, "email": g, "name": g} for g in FAMILIES],
            members=rows({person: ["violet", "oak"] for person in PEOPLE}),
        )
        assert bench.whole_night() == 2
        assert there(bench) == {person: {"red", "oak"} for person in PEOPLE}
    finally:
        del FAMILIES["violet"]


def test_a_move_is_released_whole_whichever_side_is_named(tmp_path: Path) -> None:
    bench = district(tmp_path, CLASS, move=0)
    bench.desire(members=rows({**CLASS, "p1": ["blue", "oak"], "p2": ["blue", "oak"]}))
    assert bench.whole_night() == 2
    plan = bench.run.read("plan.json")["plan_id"]
    where, values = conditions(plan, Scope(action="move"))
    with store.connect() as connection:
        releases.release(
            connection, plan, where, values, only=("red|p1",), who="the analyst", why="she moved"
        )
    assert bench.whole_night() == 2
    assert there(bench)["p1"] == {"blue", "oak"}
    assert there(bench)["p2"] == {"red", "oak"}


@pytest.mark.parametrize("action", ["create", "remove", "move"])
def test_a_part_of_a_plan_takes_nobody_from_a_group_it_does_not_put_them_in_another_of(
    tmp_path: Path, action: str
) -> None:
    bench = district(tmp_path, CLASS)
    bench.desire(members=rows({person: ["blue", "oak"] for person in PEOPLE}))
    bench.new_night()
    bench.observe()
    bench.plan(scope=Scope(action=action))
    bench.push()
    assert all("grade" in families(groups) for groups in there(bench).values())


def test_a_move_that_is_taken_back_is_a_move(tmp_path: Path) -> None:
    bench = district(tmp_path, CLASS)
    bench.desire(members=rows({person: ["blue", "oak"] for person in PEOPLE}))
    assert bench.whole_night() == 0
    undone = bench.run.run_id
    bench.models = [USERS, GROUPS, members(create=0, move=0)]
    bench.undo(undone)
    assert bench.push() == 2
    assert there(bench) == {person: {"blue", "oak"} for person in PEOPLE}


@pytest.mark.parametrize(
    ("words", "held"),
    [("move", False), ("create,remove", False), ("create", True), ("remove", True)],
)
def test_a_move_is_lifted_by_its_word_or_by_those_of_both_its_sides(words: str, held: bool) -> None:
    allowed = Allowed.parse(words, "the year turns")
    limits = parse({"move": 0}, "x")
    assert bool(holds("t", "e", limits, [Group("move", 9, 10)], allowed)) is held


@pytest.mark.parametrize(
    ("limits", "planned", "held"),
    [
        ({"create": "30%", "remove": "20%"}, 20, False),
        ({"create": "30%", "remove": "20%"}, 21, True),
        ({"create": "20%", "remove": "30%"}, 21, True),
        ({"create": 3, "remove": "30%"}, 4, True),
        ({}, 10, False),
        ({}, 11, True),
        ({"create": 0, "remove": 0, "move": 50}, 50, False),
    ],
)
def test_a_move_nobody_limited_may_do_what_both_its_sides_may(
    limits: dict, planned: int, held: bool
) -> None:
    assert bool(holds("t", "e", parse(limits, "x"), [Group("move", planned, 100)], NOTHING)) is held


def _season(**values: object) -> dict:
    return {
        "target": "t",
        "entity": "e",
        "action": "remove",
        "column_name": None,
        "scope": "run",
        "limit_text": "100%",
        "first_day": "01-01",
        "last_day": "12-31",
        **values,
    }


SIX = [Group("remove", 240, 240), *(Group("remove", 40, 40, str(n)) for n in range(6))]


@pytest.mark.parametrize(
    ("limits", "seasons", "held"),
    [
        ({}, [_season()], 0),  # of schools of whom nobody said anything: half of each
        ({"per_partition": {"remove": "50%"}}, [_season()], 0),
        ({"per_partition": {"remove": 10}}, [_season()], 0),
        # a row that names the schools is meant
        ({}, [_season(), _season(scope="partition", limit_text="50%")], 6),
        ({}, [_season(scope="partition", limit_text="50%"), _season()], 6),
        ({}, [_season(limit_text="40%")], 6),  # narrower than what holds within a school
    ],
)
def test_what_a_season_lets_through_over_all_no_school_is_held_for(
    limits: dict, seasons: list[dict], held: int
) -> None:
    in_force = in_season(parse(limits, "x"), seasons, "2026-09-08")
    found = [one for one in holds("t", "e", in_force, SIX, NOTHING) if one.partition]
    assert len(found) == held


def test_nor_for_a_column_it_lets_through() -> None:
    row = _season(action=None, column_name="unit")
    limits = parse({"columns": {"unit": 5}, "per_partition": {"columns": {"unit": "20%"}}}, "x")
    assert str(in_season(limits, [row], "2026-09-08").columns_per_partition["unit"]) == "100 %"


SETS = st.sets(st.sampled_from(sorted(FAMILIES)), max_size=4)
MEMBERSHIPS = st.fixed_dictionaries(dict.fromkeys(PEOPLE[:7], SETS))
SOME = st.sampled_from([0, 1, 3, "0%", "40%", "100%"])


@pytest.mark.slow
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    before=MEMBERSHIPS,
    after=MEMBERSHIPS,
    limits=st.fixed_dictionaries(
        {},
        optional={
            "create": SOME,
            "remove": SOME,
            "move": SOME,
            "per_partition": st.fixed_dictionaries({}, optional={"remove": SOME, "move": SOME}),
        },
    ),
    unwilling=st.sets(st.sampled_from(sorted(FAMILIES)), max_size=2),
    action=st.sampled_from(["", "", "", "create", "remove", "move"]),
)
def test_no_person_ends_a_push_in_fewer_families_than_both_before_and_after_say(
    tmp_path_factory: pytest.TempPathFactory,
    before: dict[str, set[str]],
    after: dict[str, set[str]],
    limits: dict,
    unwilling: set[str],
    action: str,
) -> None:
    bench = district(tmp_path_factory.mktemp("night"), before, **limits)
    bench.target.faults = lambda change: (
        Outcome(change.change_id, "failed", 400, "invalid")
        if change.action == "create" and change.key[0] in unwilling
        else None
    )
    bench.desire(members=rows(after))
    bench.new_night()
    bench.observe()
    bench.plan(scope=Scope(action=action))
    bench.push()
    found = there(bench)
    for person, groups in before.items():
        both = families(groups) & families(after[person])
        assert both <= families(found.get(person, set()))
