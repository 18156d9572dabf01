"""Undo: a run is taken back from what was there before it, and what cannot be is said first."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
from engine_bench import GROUPS, MEMBERS, USERS, Bench, FakeFolder, Model, user

from common import store
from reverse_etl import undo
from reverse_etl.model import Change, Outcome

UNITS = Model(
    "org_units",
    {"org_unit_path": "varchar", "name": "varchar"},
    {"key": ["org_unit_path"], "limits": {"create": 1000}},
)
DELETED = replace(USERS, meta={**USERS.meta, "on_absent": "delete"})


def state(bench: Bench) -> dict[str, list[dict]]:
    """What the platform holds, without what chance gave it."""
    return {
        entity: copy.deepcopy(bench.platform.rows(entity))
        for entity in ("org_units", "users", "groups", "members")
    }


def member(group: str, person: int) -> dict[str, str]:
    return {"group_id": group, "person_id": f"p{person}", "role": "MEMBER"}


def test_a_thousand_mixed_changes_are_taken_back_but_for_what_was_said(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "var", [UNITS, DELETED, GROUPS, MEMBERS])
    groups = [{"group_id": f"g{n}", "email": f"g{n}@x", "name": f"G{n}"} for n in range(10)]
    bench.desire(
        org_units=[{"org_unit_path": "/A", "name": "A"}],
        users=[user(n) for n in range(400)],
        groups=groups,
        members=[member(f"g{n % 10}", n) for n in range(400)],
    )
    assert bench.whole_night() == 0
    before = state(bench)
    people = [
        user(
            n,
            org_unit_path="/B" if n < 250 else "/A",
            suspended=n in range(100, 180),
            given_name="new" if n in range(60, 90) else f"G{n}",
            primary_email=f"r{n}@x.example" if n in range(200, 260) else f"u{n}@x.example",
        )
        for n in range(400)
        if n not in range(300, 340)
    ]
    bench.desire(
        org_units=[{"org_unit_path": path, "name": path[1:]} for path in ("/A", "/B")],
        users=[*people, *(user(n) for n in range(500, 620))],
        groups=[g for g in groups if g["group_id"] != "g9"],
        members=[member(f"g{(n + 1) % 9}", n) for n in range(400) if n not in range(300, 340)],
    )
    assert bench.whole_night() == 0
    run_id = bench.run.run_id
    done = bench.ask(
        "select count(*) from ledger.audit.changes where run_id = ? and status = 'applied'", run_id
    )[0][0]
    assert done > 1000
    after = state(bench)
    document = bench.undo(run_id)
    assert state(bench) == after  # a plan writes nothing
    said = " ".join(document["cannot"])
    for words in (
        "org_units: 1 stay: units stay (first: /B)",
        "users: 120 are deleted; their names stay taken",
        "users: 40 come back from the deleted",
        "groups: 1 are made anew: their id, settings and history are gone (first: g9)",
        "users: 60 get their former address",
    ):
        assert words in said
    assert bench.push() == 0
    assert {**state(bench), "org_units": before["org_units"]} == before
    assert [row["org_unit_path"] for row in bench.platform.rows("org_units")] == ["/A", "/B"]
    assert bench.verify() == 0
    assert {
        reason
        for (reason,) in bench.ask(
            "select distinct said(reason) from ledger.audit.changes where run_id = ?",
            bench.run.run_id,
        )
    } >= {
        f"undoes {action} of run {run_id}"
        for action in ("create", "remove", "delete", "update", "suspend", "rename")
    }
    # the exports still say the same: the next night does it all again, and says why
    bench.new_night()
    bench.observe()
    assert sum(sum(part["planned"].values()) for part in bench.plan()["exports"]) == done - 1


def test_what_was_changed_since_is_left_and_said(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "var")
    bench.desire(users=[user(1), user(2), user(3)])
    bench.whole_night()
    bench.desire(users=[user(n, given_name="new", org_unit_path="/B") for n in (1, 2, 3)])
    bench.whole_night()
    run_id = bench.run.run_id
    bench.platform.rows("users")[0]["given_name"] = "by hand"
    bench.desire(
        users=[
            user(1, given_name="new", org_unit_path="/B"),
            user(2, given_name="newer", org_unit_path="/C"),
            user(3, given_name="new", org_unit_path="/B"),
        ]
    )
    del bench.platform.objects["users"][bench.platform.by_key("users", ["p3"])[0]]
    bench.models = [
        replace(USERS, meta={**USERS.meta, "on_drift": "leave", "limits": {"create": 0}})
    ]
    bench.build()
    assert bench.whole_night() == 2
    document = bench.undo(run_id)
    assert [(key, new) for _, _, key, new, _, _ in bench.changes(document)] == [
        ("p1", {"org_unit_path": "/A"})
    ]
    assert document["cannot"] == [
        "fake users: 1 are gone since and are not made again (first: p3)",
        "fake users: 2 have values that were changed since; those stay (first: p1, p2)",
    ]


def test_an_undo_passes_the_same_limits_and_the_same_seal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Bench(
        tmp_path / "var",
        [replace(USERS, meta={**USERS.meta, "limits": {"create": 1000, "delete": 2}})],
    )
    bench.desire(users=[user(n) for n in range(10)])
    bench.whole_night()
    run_id = bench.run.run_id
    document = bench.undo(run_id)
    assert "10 deletes planned" in document["exports"][0]["holds"][0]
    assert bench.push(look=True) == 2
    assert len(bench.platform.rows("users")) == 10
    bench.undo(run_id, "fake.users.delete", "a whole district in error")
    bench.platform.rows("users")[0]["given_name"] = "by hand"
    del bench.platform.objects["users"][bench.platform.by_key("users", ["p4"])[0]]
    assert bench.push(look=True) == 2
    said = capsys.readouterr().err
    assert "not the plan that was shown" in said
    assert f'run "make undo RUN={run_id}", look at it' in said
    bench.undo(run_id, "fake.users.delete", "a whole district in error")
    assert bench.push(look=True) == 0
    assert bench.platform.rows("users") == []


def test_a_run_that_wrote_nothing_cannot_be_taken_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "var")
    bench.target.faults = lambda change: Outcome(change.change_id, "failed", 400, "invalid")
    bench.desire(users=[user(1)])
    bench.whole_night()
    with (
        store.connect() as connection,
        pytest.raises(undo.NothingToUndoError, match="applied nothing"),
    ):
        undo.written(connection, bench.run.run_id)


def test_a_restored_account_is_referred_to_by_its_members(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "var", [DELETED, GROUPS, MEMBERS])
    bench.desire(
        users=[user(1), user(2)],
        groups=[{"group_id": "g1", "email": "a", "name": "G"}],
        members=[member("g1", 1), member("g1", 2)],
    )
    bench.whole_night()
    before = state(bench)
    remote_id = bench.platform.by_key("users", ["p1"])[0]
    bench.desire(users=[user(2)], members=[member("g1", 2)])
    bench.whole_night()
    document = bench.undo(bench.run.run_id)
    assert [(entity, action) for entity, action, *_ in bench.changes(document)] == [
        ("users", "undelete"),
        ("members", "create"),
    ]
    lost: list[Change] = []

    def fault(change: Change) -> Outcome | None:
        if change.action == "undelete" and not lost:  # the platform did it; only the reply was lost
            lost.append(change)
            bench.platform.do(change)
            return Outcome(change.change_id, "unknown", None, "no_reply")
        return None

    bench.target.faults = fault
    assert bench.push() == 0
    assert state(bench) == before
    assert bench.platform.by_key("users", ["p1"]) == [remote_id]


def test_an_undo_delivers_no_file_even_where_its_form_changed_since(tmp_path: Path) -> None:
    from test_engine_files import STUDENTS, student

    (tmp_path / "vendor").mkdir()
    bench = Bench(tmp_path / "var", [STUDENTS])
    bench.folder = FakeFolder(tmp_path / "vendor")
    bench.desire(students=[student(1)])
    assert bench.whole_night() == 0
    run_id = bench.run.run_id
    bench.models = [
        replace(
            STUDENTS, meta={**STUDENTS.meta, "file": {**STUDENTS.meta["file"], "delimiter": ";"}}
        )
    ]
    document = bench.undo(run_id)
    assert bench.changes(document) == []
    assert [part["entity"] for part in document["exports"]] == ["students"]
    assert document["cannot"] == [
        f"folder students: 1 rows were delivered in a file of run {run_id}; a vendor's copy cannot"
        " be taken back, the next night's file says what is right then"
    ]


def test_an_undo_is_not_held_by_what_keeps_a_night_from_writing(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "var", [GROUPS])
    bench.desire(
        groups=[
            {"group_id": "g1", "email": "a", "name": "G"},
            {"group_id": "g2", "email": "b", "name": "H"},
        ]
    )
    assert bench.whole_night() == 0
    bench.desire(
        groups=[
            {"group_id": "g1", "email": "new", "name": "G"},
            {"group_id": "g2", "email": "b", "name": "H"},
        ]
    )
    assert bench.whole_night() == 0
    run_id = bench.run.run_id
    bench.platform.rows("groups")[1]["group_id"] = (
        "G-2"  # a night would be refused: a key came back in another form
    )
    document = bench.undo(run_id)
    assert [(key, new, held) for _, _, key, new, _, held in bench.changes(document)] == [
        ("g1", {"email": "a"}, False)
    ]
    assert document["exports"][0]["holds"] == []
