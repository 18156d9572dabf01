"""What an event explains, subject by subject, passes the limits; what deviates is limited as
ever.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from engine_bench import GROUPS, NO_LIMITS, USERS, Bench, FakeFolder, Model, user
from test_engine_moves import FAMILIES, members, rows, there

EXPECTING = replace(
    USERS,
    columns={**USERS.columns, "expected_columns": "varchar"},
    meta={
        **USERS.meta,
        "context": [*USERS.meta["context"], "expected_columns"],
        "expected": "expected_columns",
        "limits": {**NO_LIMITS, "update": 5, "suspend": 0, "rename": 0},
    },
)
MEMBERS = members(create=5, remove=5, per_partition={"remove": "50%"})


def year(tmp_path: Path, people: int) -> Bench:
    bench = Bench(tmp_path / "var", [USERS, GROUPS, members()])
    bench.desire(
        users=[user(n) for n in range(people)],
        groups=[{"group_id": g, "email": g, "name": g} for g in FAMILIES],
        members=rows({f"p{n}": ["red", "oak"] for n in range(people)}),
    )
    assert bench.whole_night() == 0
    bench.models = [EXPECTING, GROUPS, MEMBERS]
    return bench


def test_whom_a_rollover_explains_moves_and_the_wrong_ones_are_held_by_name(tmp_path: Path) -> None:
    bench = year(tmp_path, 60)
    wrong = set(range(0, 12, 2))  # of one school
    bench.desire(
        users=[
            user(n, org_unit_path="/C" if n in wrong else "/B")
            | {"expected_columns": None if n in wrong else "org_unit_path"}
            for n in range(60)
        ],
        members=rows({f"p{n}": ["green" if n in wrong else "blue", "oak"] for n in range(60)}),
    )
    assert bench.whole_night() == 2
    units = {row["person_id"]: row["org_unit_path"] for row in bench.platform.rows("users")}
    assert units == {f"p{n}": "/A" if n in wrong else "/B" for n in range(60)}
    assert there(bench) == {f"p{n}": {"red" if n in wrong else "blue", "oak"} for n in range(60)}
    held = bench.ask(
        "select distinct subject from ledger.audit.changes where run_id = ? and status = 'held'",
        bench.run.run_id,
    )
    assert {one for (one,) in held} == {f"p{n}" for n in wrong}


def test_an_event_explains_the_columns_it_names_and_no_other(tmp_path: Path) -> None:
    bench = year(tmp_path, 12)
    bench.desire(
        users=[
            user(n, org_unit_path="/B", given_name="X") | {"expected_columns": "org_unit_path"}
            for n in range(12)
        ],
        members=rows({f"p{n}": ["red", "oak"] for n in range(12)}),
    )
    assert bench.whole_night() == 2
    assert {row["org_unit_path"] for row in bench.platform.rows("users")} == {"/A"}


def test_who_graduates_is_closed_though_nobody_else_may_be(tmp_path: Path) -> None:
    bench = year(tmp_path, 12)
    explained = "org_unit_path, suspended"
    bench.desire(
        users=[
            user(n, org_unit_path="/Gone", suspended=True)
            | {"expected_columns": explained if n < 10 else None}
            for n in range(12)
        ],
        members=rows({f"p{n}": ["red", "oak"] for n in range(10, 12)}),
    )
    assert bench.whole_night() == 2
    closed = {row["person_id"] for row in bench.platform.rows("users") if row["suspended"]}
    assert closed == {f"p{n}" for n in range(10)}
    assert set(there(bench)) == {"p10", "p11"}


def test_what_is_nobodys_is_explained_by_its_key_and_only_in_the_columns_named(
    tmp_path: Path,
) -> None:
    """A school takes another name: its groups are renamed in one night; others, or by more than the
    name, are held.
    """
    limited = {**NO_LIMITS, "update": 0, "rename": 0}
    groups = replace(
        GROUPS,
        columns={**GROUPS.columns, "expected_columns": "varchar"},
        meta={
            **GROUPS.meta,
            "context": ["expected_columns"],
            "expected": "expected_columns",
            "limits": limited,
        },
    )
    bench = Bench(tmp_path / "var", [USERS, GROUPS])
    keys = [f"g{n}" for n in range(12)]
    bench.desire(users=[user(0)], groups=[{"group_id": g, "email": g, "name": g} for g in keys])
    assert bench.whole_night() == 0
    bench.models = [USERS, groups]
    named = {g: f"new {g}" for g in keys}
    bench.desire(
        users=[user(0)],
        groups=[
            {
                "group_id": g,
                "email": "other" if g == "g11" else g,
                "name": name,
                "expected_columns": None if g == "g10" else "name",
            }
            for g, name in named.items()
        ],
    )
    assert bench.whole_night() == 2
    there = {row["group_id"]: row["name"] for row in bench.platform.rows("groups")}
    assert there == {**named, "g10": "g10", "g11": "g11"}


OVER, AHEAD = "2020-06-30", "2099-06-30"  # last days before and after any night a test runs


@pytest.mark.parametrize(
    ("kept", "new", "code", "sent"),
    [
        (10, 0, 0, True),  # those of last year are gone
        (10, 0, 0, False),  # also where the file itself does not say until when a row is there
        (10, 6, 0, True),  # and this year's are there
        (7, 0, 2, True),  # three of ten whose days last went as well
        (7, 0, 2, False),
        (10, 60, 2, True),  # what came is counted by all that were there
    ],
)
def test_what_is_past_its_own_last_day_vanishes_from_a_file_and_counts_against_no_limit(
    tmp_path: Path, kept: int, new: int, code: int, *, sent: bool
) -> None:
    (tmp_path / "vendor").mkdir()
    classes = Model(
        "classes",
        dict.fromkeys(("class", "last_day"), "varchar"),
        {
            "key": ["class"],
            "limits": {"drop": "20%", "create": "100%"},
            "expires": "last_day",
            "context": [] if sent else ["last_day"],
            "file": {"name": "classes.csv", "when_empty": "send"},
        },
        target="folder",
    )
    bench = Bench(tmp_path / "var", [classes])
    bench.folder = FakeFolder(tmp_path / "vendor")
    ongoing = [{"class": f"on{n}", "last_day": AHEAD} for n in range(10)]
    bench.desire(classes=ongoing + [{"class": f"old{n}", "last_day": OVER} for n in range(20)])
    assert bench.whole_night(allow="first", why="the first night") == 0
    later = ongoing[:kept] + [{"class": f"new{n}", "last_day": AHEAD} for n in range(new)]
    bench.desire(classes=later)
    assert bench.whole_night() == code
