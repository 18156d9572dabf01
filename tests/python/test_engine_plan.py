"""Plans: what is compared with what, whose values are whose, and that the same thing planned twice
is the same plan.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from engine_bench import GROUPS, MEMBERS, USERS, Bench, Model, user
from ledger_kit import export, ledger, stand

from common import store
from common.problems import said
from reverse_etl import diff, left_out, releases
from reverse_etl import plan as planning
from reverse_etl.__main__ import _closed
from reverse_etl.model import Outcome
from reverse_etl.plan import Scope


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "var")


def test_a_new_row_is_created_whole_and_a_changed_one_only_where_it_changed(bench: Bench) -> None:
    bench.platform.put(
        "users", {k: v for k, v in user(1).items() if k not in ("school_number", "source")}
    )
    bench.desire(users=[user(1, org_unit_path="/B"), user(2)])
    bench.observe()
    changes = bench.changes(bench.plan())
    new = {k: v for k, v in user(2).items() if k not in ("school_number", "source", "nickname")}
    assert changes[0] == ("users", "create", "p2", new, "new in source", False)
    assert changes[1] == (
        "users",
        "update",
        "p1",
        {"org_unit_path": "/B"},
        "differs from fake, not written by us before: org_unit_path",
        False,
    )
    assert len(changes) == 2


def test_the_reason_tells_a_change_in_the_source_from_a_drift_in_the_target(bench: Bench) -> None:
    bench.desire(users=[user(1), user(2), user(3), user(4)])
    assert bench.whole_night() == 0
    assert bench.verify() == 0
    by_key = {
        row["person_id"]: (remote_id, row)
        for remote_id, row in bench.platform.objects["users"].items()
    }
    by_key["p2"][1]["given_name"] = "changed by hand"
    by_key["p3"][1]["given_name"] = "changed by hand"
    del bench.platform.objects["users"][by_key["p4"][0]]
    bench.desire(users=[user(1, org_unit_path="/B"), user(2), user(3, org_unit_path="/B"), user(4)])
    bench.new_night()
    bench.observe()
    reasons = {key: reason for _, _, key, _, reason, _ in bench.changes(bench.plan())}
    assert reasons == {
        "p1": "changed in source: org_unit_path",
        "p2": "drift: changed in fake since our last push: given_name",
        "p3": (
            "changed in source: org_unit_path; drift: changed in fake since our last push:"
            " given_name"
        ),
        "p4": "gone from fake since our last push",
    }


def test_a_column_that_is_theirs_is_never_written_and_an_initial_one_only_on_create(
    bench: Bench,
) -> None:
    bench.desire(users=[user(1, nickname="from us", usage_location="CA")])
    assert bench.whole_night() == 0
    (row,) = bench.platform.rows("users")
    assert (row["nickname"], row["usage_location"]) == (None, "CA")
    row["nickname"], row["usage_location"] = "their own", "US"
    assert bench.whole_night() == 0
    assert bench.platform.calls == [("users", "create", "p1")]
    bench.desire(users=[user(1, given_name="Zoë")])
    assert bench.whole_night() == 0
    (row,) = bench.platform.rows("users")
    assert (row["nickname"], row["usage_location"], row["given_name"]) == ("their own", "US", "Zoë")


def test_switching_off_on_and_renaming_are_actions_of_their_own(bench: Bench) -> None:
    bench.desire(users=[user(1), user(2, suspended=True), user(3), user(4)])
    bench.whole_night()
    bench.desire(
        users=[
            user(1, suspended=True, org_unit_path="/left"),
            user(2),
            user(3, primary_email="new@x.example"),
            user(4, given_name="B"),
        ]
    )
    bench.new_night()
    bench.observe()
    assert [
        (action, key, sorted(new)) for _, action, key, new, _, _ in bench.changes(bench.plan())
    ] == [
        ("suspend", "p1", ["org_unit_path", "suspended"]),
        ("rename", "p3", ["primary_email"]),
        ("update", "p4", ["given_name"]),
        ("restore", "p2", ["suspended"]),
    ]


def test_what_an_administrator_closed_stays_closed_until_it_is_released_and_is_told_by_name(
    bench: Bench,
) -> None:
    bench.desire(users=[user(1), user(2, suspended=True), user(3)])
    bench.whole_night()
    for row in bench.platform.rows("users"):
        row["suspended"] |= row["person_id"] == "p1"  # as an administrator would
    bench.desire(users=[user(1), user(2), user(3)])
    assert bench.whole_night() == 0
    assert closed(bench) == {"p1"}  # p2 was closed by us
    document = bench.run.read("plan.json")
    (finding,) = _closed(document)
    assert (finding.code, finding.target, finding.key) == ("closed_by_somebody_else", "fake", "p1")
    with store.connect() as connection:
        releases.release(
            connection,
            document["plan_id"],
            "plan_id = $plan",
            {},
            only=("p1",),
            who="the principal",
            why="a mistake",
        )
    bench.new_night()
    assert bench.whole_night() == 0
    assert closed(bench) == set() and _closed(bench.run.read("plan.json")) == []


def test_what_a_later_change_needs_is_known_before_it_is_tried(tmp_path: Path) -> None:
    needing = replace(MEMBERS, meta=MEMBERS.meta | {"needs": {"person_id": "usage_location"}})
    bench = Bench(tmp_path / "var", [USERS, GROUPS, needing])
    group = {"group_id": "g", "email": "g@x", "name": "G"}
    people = [user(1, usage_location="CA"), user(2, usage_location=None)]
    bench.desire(users=people, groups=[group])
    bench.whole_night()
    bench.desire(
        users=[*people, user(3, usage_location="CA")],
        groups=[group],
        members=[{"group_id": "g", "person_id": f"p{n}", "role": "MEMBER"} for n in (1, 2, 3)],
    )
    assert bench.whole_night() == 2
    assert [row["person_id"] for row in bench.platform.rows("members")] == ["p1", "p3"]
    (part,) = [one for one in bench.run.read("plan.json")["exports"] if one["entity"] == "members"]
    assert (part["waiting"], part["holds"]) == (
        1,
        [
            "fake members: 1 wait: the object of fake users has no usage_location; it would be"
            " refused"
        ],
    )


@pytest.mark.parametrize(
    ("seats", "used", "given"), [(118, 100, 18), (100, 100, 0), (100, 112, 0), (500, 100, 30)]
)
def test_who_has_no_seat_waits_by_name_and_everybody_else_is_licensed(
    seats: int, used: int, given: int
) -> None:
    names = ("person_id", "licence")
    licences = export("licences", names, context=(), key=names, seats={"licence": "products"})
    people = [f"p{number:02}" for number in range(30)]
    with ledger() as connection:
        stand(
            connection,
            licences,
            wanted=[(person, licence) for person in people for licence in ("A1", "A3")],
        )
        connection.execute(
            "create table staging.stg_fake__products (licence text, seats bigint, seats_used"
            " bigint)"
        )
        diff.compare(connection, licences, 0)
        assert planning.seatless(connection, licences) == [], "no product was ever read"
        connection.execute(
            f"insert into staging.stg_fake__products values ('A3', {seats}, {used}),"
            " ('A1', 1000, 0)"
        )
        sentences = planning.seatless(connection, licences)
        waits = connection.execute(
            f"select key, hold ->> '$.code' from changes where {left_out.WAITS} order by key"
        ).fetchall()
        said_of = connection.execute(
            "select distinct hold from changes where hold is not null"
        ).fetchall()
    assert waits == [(f"{person}|A3", "hold_no_seat") for person in people[given:]]
    assert sentences == ([f"fake licences: {30 - given} wait for a free seat"] if waits else [])
    assert [said(hold) for (hold,) in said_of] == (
        [f"no seat of A3 is free: {used} of {seats} are taken"] if waits else []
    )


def closed(bench: Bench) -> set[str]:
    return {row["person_id"] for row in bench.platform.rows("users") if row["suspended"]}


def test_a_value_that_becomes_empty_is_written_as_empty(bench: Bench) -> None:
    bench.desire(users=[user(1)])
    bench.whole_night()
    bench.desire(users=[user(1, given_name=None)])
    bench.whole_night()
    assert bench.platform.rows("users")[0]["given_name"] is None


def test_accounts_and_memberships_that_are_not_ours_are_not_touched(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "var", [USERS, GROUPS, MEMBERS])
    group, member = (
        {"group_id": "g1", "email": "g1@x", "name": "G"},
        {"group_id": "g1", "person_id": "p1", "role": "MEMBER"},
    )
    bench.desire(users=[user(1), user(2)], groups=[group], members=[member])
    assert bench.whole_night() == 0
    unmanaged = bench.platform.put(
        "users", {"person_id": None, "primary_email": "principal@x.example"}
    )
    by_hand = bench.platform.put("members", {"group_id": "g1", "person_id": "p2", "role": "MEMBER"})
    group_by_hand = bench.platform.put(
        "groups", {"group_id": "g9", "name": "with a key we did not write"}
    )
    bench.desire(members=[])
    bench.platform.calls.clear()
    assert bench.whole_night() == 0
    assert bench.platform.calls == [("members", "remove", "g1|p1")]
    assert unmanaged in bench.platform.objects["users"]
    assert by_hand in bench.platform.objects["members"]
    assert group_by_hand in bench.platform.objects["groups"]


def test_what_left_the_export_is_treated_as_the_export_says(tmp_path: Path) -> None:
    model = replace(USERS, meta={**USERS.meta, "on_absent": "suspend"})
    bench = Bench(tmp_path / "var", [model, GROUPS])
    bench.desire(users=[user(1), user(2)], groups=[{"group_id": "g1", "email": "a", "name": "G"}])
    bench.whole_night()
    bench.desire(users=[user(1)], groups=[])
    bench.new_night()
    bench.observe()
    assert [
        (entity, action, key, new, reason)
        for entity, action, key, new, reason, _ in bench.changes(bench.plan())
    ] == [
        ("users", "suspend", "p2", {"suspended": True}, "left: no longer in export"),
        ("groups", "delete", "g1", {}, "left: no longer in export"),
    ]
    bench.push()
    assert bench.platform.rows("users")[1]["suspended"] is True
    bench.new_night()
    bench.observe()
    assert bench.changes(bench.plan()) == []  # suspended once, not every night


def test_an_export_that_says_ignore_leaves_what_left_alone(bench: Bench) -> None:
    bench.desire(users=[user(1)])
    bench.whole_night()
    bench.desire(users=[])
    bench.new_night()
    bench.observe()
    assert bench.changes(bench.plan()) == []


def test_planning_twice_gives_the_same_plan_once(bench: Bench) -> None:
    bench.desire(users=[user(n) for n in range(20)])
    bench.observe()
    first, second = bench.plan(), bench.plan()
    assert (first["plan_id"], first["digest"]) == (second["plan_id"], second["digest"])
    assert re.fullmatch("[0-9a-f]{16}", first["plan_id"])
    assert bench.ask(
        "select count(*), count(distinct change_id), min(length(change_id)), max(length(change_id))"
        " from ledger.audit.planned_changes"
    ) == [(20, 20, 16, 16)]
    assert bench.ask("select count(*) from ledger.audit.plans") == [(1,)]


def test_a_quiet_night_writes_nothing(bench: Bench) -> None:
    bench.desire(users=[user(n) for n in range(20)])
    assert bench.whole_night() == 0
    calls = len(bench.platform.calls)
    assert bench.whole_night() == 0
    assert len(bench.platform.calls) == calls == 20


def test_two_objects_with_the_same_key_are_held_for_a_person(bench: Bench) -> None:
    bench.desire(users=[user(1), user(2)])
    bench.whole_night()
    bench.platform.put("users", {**bench.platform.rows("users")[0]})
    bench.desire(users=[user(1, given_name="B"), user(2, given_name="B")])
    bench.new_night()
    bench.observe()
    plan = bench.plan()
    assert [(key, held) for _, _, key, _, _, held in bench.changes(plan)] == [
        ("p1", True),
        ("p2", False),
    ]
    assert "2 objects in fake carry this key" in plan["exports"][0]["holds"][0]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([user(1), user(1)], '2 rows of "exports"."exp_fake__users" share 1 keys'),
        (
            [user(1), {**user(2), "person_id": None}],
            '1 of 2 rows of "exports"."exp_fake__users" have no key',
        ),
    ],
)
def test_rows_that_cannot_be_told_apart_hold_their_export(
    bench: Bench, rows: list[dict], words: str
) -> None:
    bench.desire(users=rows)
    bench.observe()
    plan = bench.plan()
    assert words in plan["exports"][0]["holds"][0]
    assert bench.changes(plan) == []


def test_an_export_with_a_column_the_staging_model_lacks_is_held_with_its_name(
    tmp_path: Path,
) -> None:
    model = replace(USERS, columns={**USERS.columns, "family_name": "varchar"})
    bench = Bench(tmp_path / "var", [model])
    bench.desire(users=[user(1)])
    bench.observe()
    assert "has no column family_name" in bench.plan()["exports"][0]["holds"][0]


def test_an_entity_the_target_does_not_have_is_held(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path / "var", [Model("robots", {"robot_id": "varchar"}, {"key": ["robot_id"]})]
    )
    bench.desire(robots=[{"robot_id": "r1"}])
    bench.observe()
    assert "has no entity 'robots'" in bench.plan()["exports"][0]["holds"][0]


def test_a_scope_plans_one_school_or_one_person_only(bench: Bench) -> None:
    bench.desire(
        users=[user(1), user(2, school_number="07474002"), user(3, school_number="07474002")]
    )
    bench.observe()
    assert [
        key for _, _, key, *_ in bench.changes(bench.plan(scope=Scope(partition="07474002")))
    ] == ["p2", "p3"]
    assert [key for _, _, key, *_ in bench.changes(bench.plan(scope=Scope(subject="p3")))] == ["p3"]
    assert bench.push() == 0
    assert bench.platform.calls == [("users", "create", "p3")]


def test_an_export_may_gain_a_column_between_two_nights(tmp_path: Path) -> None:
    fewer = replace(
        USERS, columns={name: kind for name, kind in USERS.columns.items() if name != "given_name"}
    )
    bench = Bench(tmp_path / "var", [fewer])
    bench.desire(users=[user(1)])
    assert bench.whole_night() == 0
    bench.models = [USERS]
    bench.desire(users=[user(1)])
    assert bench.whole_night() == 0
    assert bench.platform.rows("users")[0]["given_name"] == "G1"
    assert bench.ask("select given_name, run_id from ledger.applied.fake__users") == [
        ("G1", bench.run.run_id)
    ]


# ---------------------------------------------------------------- changed by hand


@pytest.mark.parametrize(
    ("policy", "first", "source_moves"),
    [("revert", "G1", "new"), ("leave", "by hand", "new"), ("take_over", "by hand", "by hand")],
)
def test_a_value_changed_by_hand_is_treated_as_its_column_declares(
    tmp_path: Path, policy: str, first: str, source_moves: str
) -> None:
    bench = Bench(tmp_path / "var", [replace(USERS, meta={**USERS.meta, "on_drift": policy})])
    bench.desire(users=[user(1), user(2)])
    assert bench.whole_night() == 0
    bench.platform.rows("users")[0]["given_name"] = "by hand"
    assert bench.whole_night() == 0
    assert bench.platform.rows("users")[0]["given_name"] == first
    assert bench.run.read("plan.json")["exports"][0]["drift"] == {policy: {"given_name": 1}}
    told = bench.ask(
        "select key, column_name, cast(ours as varchar), cast(theirs as varchar), policy from"
        " ledger.audit.drifts"
    )
    assert told == [("p1", "given_name", '"G1"', '"by hand"', policy)]
    assert bench.verify() == 0
    assert bench.whole_night() == 0
    drift = bench.run.read("plan.json")["exports"][0]["drift"]
    assert drift == (
        {"leave": {"given_name": 1}} if policy == "leave" else {}
    )  # told every night only while it stays so and may change
    bench.desire(users=[user(1, given_name="new"), user(2)])
    assert bench.whole_night() == 0
    assert bench.platform.rows("users")[0]["given_name"] == source_moves


def test_a_column_taken_over_is_ours_again_when_both_agree(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "var", [replace(USERS, meta={**USERS.meta, "on_drift": "take_over"})])
    bench.desire(users=[user(1)])
    bench.whole_night()
    bench.platform.rows("users")[0]["given_name"] = "theirs"
    bench.whole_night()
    bench.platform.rows("users")[0]["given_name"] = "G1"
    assert bench.whole_night() == 0
    assert bench.run.read("plan.json")["exports"][0]["drift"] == {"give_back": {"given_name": 1}}
    bench.desire(users=[user(1, given_name="new")])
    assert bench.whole_night() == 0
    assert bench.platform.rows("users")[0]["given_name"] == "new"


def test_a_write_that_was_answered_and_not_kept_is_never_taken_for_somebodys_change(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path / "var", [replace(USERS, meta={**USERS.meta, "on_drift": "leave"})])
    bench.desire(users=[user(1), user(2)])
    bench.whole_night()
    bench.desire(users=[user(1, given_name="new"), user(2), user(3)])
    bench.target.faults = lambda change: Outcome(
        change.change_id, "applied", 200, remote_id=change.remote_id
    )
    assert bench.whole_night() == 0
    assert bench.verify() == 3  # a target that answers 200 and stores nothing is red
    found = bench.run.read("verify.json")["fake"]["users"]
    assert found["residual"] == {"create": 1, "update": 1}
    assert found["reasons"] == {"answered as done, not so when read back": 2}
    bench.target.faults = None
    assert bench.whole_night() == 0
    assert [row["given_name"] for row in bench.platform.rows("users")] == ["new", "G2", "G3"]
    assert bench.run.read("plan.json")["exports"][0]["drift"] == {}
    assert bench.verify() == 0


def test_differences_that_are_none_for_a_column_are_no_changes(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path / "var",
        [
            replace(
                USERS,
                metas={
                    "given_name": {"ignoring": ["case", "spaces"]},
                    "org_unit_path": {"ignoring": ["order"]},
                },
            )
        ],
    )
    bench.desire(users=[user(1, given_name="Zoë  Ann", org_unit_path="/A,/B")])
    assert bench.whole_night() == 0
    row = bench.platform.rows("users")[0]
    row["given_name"], row["org_unit_path"] = " zoë ann", "/B, /A"
    bench.new_night()
    bench.observe()
    assert bench.changes(bench.plan()) == []
    row["given_name"] = "zoe ann"
    bench.new_night()
    bench.observe()
    assert [new for _, _, _, new, _, _ in bench.changes(bench.plan())] == [
        {"given_name": "Zoë  Ann"}
    ]
