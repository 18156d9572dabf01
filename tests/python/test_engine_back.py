"""Taking back, change by change: the opposite of what was done, where it still is as it was left;
else a sentence.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from engine_bench import FakeFolder, FakeTarget, Platform
from ledger_kit import export, ledger, stand
from test_engine_settle import planned

from reverse_etl import undo
from reverse_etl.model import FileFormat
from reverse_etl.undo import Undo

USERS = export(
    "users", ("person_id", "primary_email", "name", "suspended"), context=(), partition=None
)
OLD, NEW = {"name": "old"}, {"name": "new"}
WHOLE = {"person_id": "p", "primary_email": "e", "name": "new", "suspended": "false"}


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with ledger() as made:
        made.execute(
            """create view ledger.audit.changes as select planned.*, outcome.status,
            outcome.finished_at
                        from ledger.audit.planned_changes as planned left
                        join ledger.audit.outcomes as outcome using (change_id)"""
        )
        yield made


def did(
    connection: duckdb.DuckDBPyConnection,
    key: str,
    action: str,
    old: dict,
    new: dict,
    *,
    status: str = "applied",
    days: float = 1,
    **more: Any,
) -> None:
    change_id = f"{key}-{action}-{len(connection.execute('select * from ledger.audit.planned_changes').fetchall())}"  # noqa: E501
    given = {
        "remote_id": f"r-{key}",
        "subject": key,
        "partition": "s",
        "source": "f:1",
        "export_model": "m",
    } | more
    planned(connection, change_id, key, action, old=old, new=new, **given)
    at = datetime.now(UTC) - timedelta(days=days)
    connection.execute(
        "insert into ledger.audit.outcomes (change_id, status, finished_at) values (?, ?, ?)",
        [change_id, status, at],
    )


def back(
    connection: duckdb.DuckDBPyConnection,
    there: list[tuple] = [],  # noqa: B006
    *,
    lasting: str = "",
    days: int = 0,
    export=USERS,
) -> tuple[list[tuple], list[str]]:
    """((key, action, remote id, old, new) of the plan, what cannot be as before)."""
    stand(connection, export, there=there)
    connection.execute("delete from changes")
    of = Undo(
        "run",
        {"fake": {"users": lasting} if lasting else {}},
        {"fake": {"users": days} if days else {}},
    )
    touched, observed = undo.compare(connection, export, 4, of)
    assert touched == len(
        {
            key
            for (key,) in connection.execute(
                """select key from ledger.audit.changes
                          where run_id = 'run' and target = 'fake' and entity = 'users'
                          and status = 'applied'"""
            ).fetchall()
        }
    )
    assert observed == len({row[1] for row in there})
    rows = connection.execute(
        "select key, action, remote_id, old, new from changes order by key"
    ).fetchall()
    return [
        (key, action, remote, json.loads(old), json.loads(new))
        for key, action, remote, old, new in rows
    ], of.cannot


def at(
    key: str = "p",
    name: str = "new",
    email: str = "e",
    suspended: str = "false",
    remote: str = "now",
) -> tuple:
    return (remote, key, email, name, suspended)


def test_a_change_that_still_is_as_it_was_left_is_turned_round(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    did(connection, "p", "update", OLD, NEW)
    did(connection, "q", "update", OLD, NEW, run_id="another")
    did(connection, "q", "update", OLD, NEW, status="failed")
    did(connection, "q", "update", OLD, NEW, entity="groups")
    did(connection, "q", "update", OLD, NEW, target="other")
    assert back(connection, [at(), at("q")]) == (
        [("p", "update", "now", {"name": "new"}, {"name": "old"})],
        [],
    )
    assert connection.execute(
        "select target, entity, entity_rank, subject, partition, said(reason), hold, source,"
        " export_model from changes"
    ).fetchall() == [("fake", "users", 4, "p", "s", "undoes update of run run", None, "f:1", "m")]


@pytest.mark.parametrize(
    ("old", "new", "there", "action"),
    [
        ({"suspended": False}, {"suspended": True}, at(suspended="true"), "restore"),
        ({"suspended": True}, {"suspended": False}, at(), "suspend"),
        ({"primary_email": "before"}, {"primary_email": "e"}, at(), "rename"),
        (
            {"suspended": True, "primary_email": "x"},
            {"suspended": False, "primary_email": "e"},
            at(),
            "suspend",
        ),
        ({"name": None}, {"name": "new"}, at(), "update"),
    ],
)
def test_each_action_has_its_opposite(
    connection: duckdb.DuckDBPyConnection, old: dict, new: dict, there: tuple, action: str
) -> None:
    did(connection, "p", "update", old, new)
    rows, cannot = back(connection, [there])
    assert [(row[1], row[4]) for row in rows] == [(action, old)]
    told = [
        "fake users: 1 get their former address; mail to the newer one is no longer theirs for"
        " certain (first: p)"
    ]
    assert cannot == (told if action == "rename" else [])


def test_what_was_changed_since_stays_and_is_said(connection: duckdb.DuckDBPyConnection) -> None:
    did(connection, "p", "update", OLD | {"primary_email": "before"}, NEW | {"primary_email": "e"})
    did(connection, "q", "update", OLD, NEW)
    did(connection, "r", "update", OLD, NEW)
    rows, cannot = back(connection, [at(name="since"), at("q", name="since")])
    assert [(row[0], row[1], row[4]) for row in rows] == [
        ("p", "rename", {"primary_email": "before"})
    ]
    assert cannot[:2] == [
        "fake users: 1 are gone since and are not made again (first: r)",
        "fake users: 2 have values that were changed since; those stay (first: p, q)",
    ]


@pytest.mark.parametrize(
    ("lasting", "on_absent", "action"),
    [
        ("", "ignore", "delete"),
        ("", "suspend", "delete"),
        ("", "remove", "remove"),
        ("", "delete", "delete"),
        ("units stay", "remove", None),
    ],
)
def test_what_was_made_is_taken_away_unless_it_lasts_or_is_gone(
    connection: duckdb.DuckDBPyConnection, lasting: str, on_absent: str, action: str | None
) -> None:
    did(connection, "p", "create", {}, WHOLE)
    did(connection, "gone", "create", {}, WHOLE)
    rows, cannot = back(
        connection, [at()], lasting=lasting, export=replace(USERS, on_absent=on_absent)
    )
    assert [row[:3] for row in rows] == ([("p", action, "now")] if action else [])
    if action:
        assert rows[0][3] | {"remote_id": 0} == WHOLE | {"remote_id": 0}
        assert rows[0][4] == {}
    kept = (
        [
            "fake users: 1 are deleted; their names stay taken for as long as the platform keeps"
            " what is deleted (first: p)"
        ]
        if action == "delete"
        else []
    )
    assert cannot == (["fake users: 2 stay: units stay (first: gone, p)"] if lasting else kept)


@pytest.mark.parametrize(
    ("action", "keeps", "ago", "there", "opposite", "said"),
    [
        (
            "delete",
            20,
            19.9,
            False,
            "undelete",
            "come back from the deleted ones, without memberships that are not ours",
        ),
        (
            "delete",
            20,
            20.1,
            False,
            None,
            "were deleted more than 20 days ago and cannot be had back",
        ),
        ("delete", 0, 1, False, "create", "are made anew: their id, settings and history are gone"),
        ("delete", 20, 1, True, None, None),
        ("remove", 20, 1, False, "create", None),
        ("remove", 0, 1, True, None, None),
    ],
)
def test_what_was_taken_away_comes_back_as_far_as_its_target_lets_it(
    connection: duckdb.DuckDBPyConnection,
    action: str,
    keeps: int,
    ago: float,
    there: bool,
    opposite: str | None,
    said: str | None,
) -> None:
    did(connection, "p", action, WHOLE, {}, days=ago)
    rows, cannot = back(connection, [at()] if there else [at("somebody")], days=keeps)
    assert rows == (
        [("p", opposite, "r-p" if opposite == "undelete" else None, {}, WHOLE)] if opposite else []
    )
    assert cannot == ([f"fake users: 1 {said} (first: p)"] if said else [])


def test_what_was_changed_twice_or_adopted_is_left(connection: duckdb.DuckDBPyConnection) -> None:
    did(connection, "p", "update", OLD, {"name": "between"})
    did(connection, "p", "update", {"name": "between"}, NEW, seq=2)
    did(connection, "q", "adopt", OLD, NEW)
    rows, cannot = back(connection, [at(), at("q")])
    assert [row[0] for row in rows] == ["q"]
    assert cannot == [
        "fake users: 1 were changed more than once in that run and are left as they are (first: p)",
        (
            "fake users: 1 keep our key: who was adopted by mistake gets a row in"
            " seeds/identity_decisions.csv (first: q)"
        ),
    ]


def test_three_keys_are_named_and_all_are_counted(connection: duckdb.DuckDBPyConnection) -> None:
    for n in range(1200):
        planned(connection, f"c{n}", f"k{n:04}", "update", old=OLD, new=NEW)
    connection.execute(
        "insert into ledger.audit.outcomes (change_id, status) select change_id, 'applied' from"
        " ledger.audit.planned_changes"
    )
    assert back(connection, [at()])[1] == [
        "fake users: 1,200 are gone since and are not made again (first: k0000, k0001, k0002)"
    ]


def test_what_lies_among_the_deleted_is_not_there(connection: duckdb.DuckDBPyConnection) -> None:
    users = export("users", ("person_id", "name", "deleted"), context=(), partition=None)
    for key in ("p", "q", "r"):
        did(connection, key, "create", {}, {"person_id": key})
    did(connection, "s", "restore", {"deleted": True}, {"deleted": False})
    rows, _ = back(
        connection,
        [
            ("rp", "p", "N", "true"),
            ("rq", "q", "N", "false"),
            ("rr", "r", "N", None),
            ("rs", "s", "N", "false"),
        ],
        export=users,
    )
    assert [row[:3] for row in rows] == [
        ("q", "delete", "rq"),
        ("r", "delete", "rr"),
        ("s", "delete", "rs"),
    ]


def test_a_vendors_copy_cannot_be_had_back(connection: duckdb.DuckDBPyConnection) -> None:
    did(connection, "1", "create", {}, WHOLE)
    file = replace(USERS, file=FileFormat("a.csv"))
    stand(connection, file)
    of = Undo("run", {}, {})
    assert undo.compare(connection, file, 1, of) == (1, 0)
    assert of.cannot == [
        "fake users: 1 rows were delivered in a file of run run; a vendor's copy cannot be taken"
        " back, the next night's file says what is right then"
    ]
    none = Undo("another", {}, {})
    assert undo.compare(connection, file, 1, none) == (0, 0)
    assert none.cannot == []


def test_a_target_that_offers_nothing_beside_can_be_taken_back_as_well(tmp_path: Path) -> None:
    plain, rich = FakeFolder(tmp_path), FakeTarget(Platform())
    of = Undo.of("run", {"plain": plain, "rich": rich})
    assert (of.lasting, of.restorable) == (
        {"rich": FakeTarget.lasting},
        {"rich": FakeTarget.restorable},
    )


def test_a_run_that_applied_something_says_how_much(connection: duckdb.DuckDBPyConnection) -> None:
    did(connection, "p", "update", OLD, NEW)
    did(connection, "q", "update", OLD, NEW, status="failed")
    did(connection, "r", "update", OLD, NEW, run_id="another")
    assert undo.written(connection, "run") == 1
    with pytest.raises(undo.NothingToUndoError, match="run none applied nothing"):
        undo.written(connection, "none")
