"""What the engine does with the end of a lifecycle: deleting is a declared row, coming back is the
same account, a hold is left alone.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from engine_bench import FIELDS, GROUPS, MEMBERS, USERS, Bench, FakeTarget, user

LIVING = replace(USERS, columns={**USERS.columns, "deleted": "boolean"})


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    columns = (*FIELDS["users"], "deleted")
    monkeypatch.setitem(FIELDS, "users", columns)
    monkeypatch.setattr(
        FakeTarget, "raw_columns", {**FakeTarget.raw_columns, "users": ("remote_id", *columns)}
    )
    return Bench(tmp_path / "var", [LIVING])


def planned(bench: Bench) -> dict[str, int]:
    return bench.plan()["exports"][0]["planned"]


def test_an_account_is_deleted_because_its_row_says_so_and_restored_when_it_is_wanted_again(bench):
    rows = [user(number, deleted=False) for number in (1, 2, 3)]
    bench.desire(users=rows)
    assert bench.whole_night() == 0
    rows[0]["deleted"] = True
    bench.desire(users=rows)
    bench.observe()
    assert planned(bench) == {"delete": 1}
    assert bench.whole_night() == 0
    assert [row["person_id"] for row in bench.platform.rows("users")] == ["p2", "p3"]
    bench.new_night()
    bench.observe()
    assert planned(bench) == {}, "a deleted account is not made again"

    bench.platform.put(
        "users", {"person_id": "p1", "deleted": True}
    )  # as staging shows what lies among the deleted ones
    bench.observe()
    assert planned(bench) == {}
    rows[0]["deleted"] = False
    bench.desire(users=rows)
    assert planned(bench) == {"restore": 1}
    assert bench.whole_night() == 0
    (back,) = [row for row in bench.platform.rows("users") if row["person_id"] == "p1"]
    assert (back["deleted"], back["primary_email"], back["suspended"]) == (
        False,
        "u1@x.example",
        False,
    )


def test_what_we_never_wrote_is_not_deleted(bench):
    bench.platform.put("users", user(1, deleted=False))
    bench.desire(users=[user(1, deleted=True)])
    bench.observe()
    assert planned(bench) == {}


def test_the_changes_of_a_held_person_are_set_aside_and_wait_for_nobody(bench):
    (living,) = bench.models
    held = {"context": [*living.meta["context"], "hold"], "hold": "hold"}
    bench.models = [
        replace(living, columns={**living.columns, "hold": "varchar"}, meta={**living.meta, **held})
    ]
    bench.desire(users=[user(number, deleted=False) for number in (1, 2)])
    assert bench.whole_night() == 0
    bench.desire(
        users=[
            user(number, deleted=False, given_name="New", suspended=True, hold=hold)
            for number, hold in ((1, "legal hold by superintendent"), (2, None))
        ]
    )
    bench.new_night()
    bench.observe()
    (part,) = bench.plan()["exports"]
    assert (part["planned"], part["set_aside"], part["holds"], part["held"]) == (
        {"suspend": 1},
        1,
        [],
        {},
    )
    assert bench.whole_night() == 0
    assert {row["person_id"]: row["suspended"] for row in bench.platform.rows("users")} == {
        "p1": False,
        "p2": True,
    }


def test_a_held_person_stays_in_groups_whose_rows_they_are_gone_from(tmp_path: Path) -> None:
    users = replace(
        USERS,
        columns={**USERS.columns, "hold": "varchar"},
        meta={**USERS.meta, "context": [*USERS.meta["context"], "hold"], "hold": "hold"},
    )
    bench = Bench(tmp_path / "var", [users, GROUPS, MEMBERS])
    group = [{"group_id": "g", "email": "g", "name": "G"}]
    members = [{"group_id": "g", "person_id": f"p{n}", "role": "MEMBER"} for n in (1, 2)]
    bench.desire(users=[user(1), user(2)], groups=group, members=members)
    assert bench.whole_night() == 0
    bench.desire(users=[user(1, hold="legal hold"), user(2)], groups=group, members=[])
    assert bench.whole_night() == 0
    assert [row["person_id"] for row in bench.platform.rows("members")] == ["p1"]
