"""Releases: which change a person let go, for how long, and when it is used up. And what we last
wrote, row by row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from ledger_kit import change, export, ledger, stand
from test_engine_settle import planned

from reverse_etl import applied, releases

TABLES = (
    Path(__file__).resolve().parents[2] / "common/migrations/ledger/0001_tables.sql"
).read_text(encoding="utf-8")


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with ledger() as made:
        made.execute(
            re.search(
                r"create table if not exists ledger\.audit\.releases .*?;", TABLES, re.DOTALL
            )[0]
        )  # type: ignore[index]
        yield made


def release(
    connection: duckdb.DuckDBPyConnection,
    *only: str,
    where: str = "plan_id = $plan",
    who: str = "her",
    why: str = "so",
    plan: str = "plan",
) -> int:
    return releases.release(connection, plan, where, {}, only=only, who=who, why=why)


def released(connection: duckdb.DuckDBPyConnection) -> list[str]:
    connection.execute("update changes set released = false")
    releases.mark(connection)
    return [
        key
        for (key,) in connection.execute(
            "select key from changes where released order by key"
        ).fetchall()
    ]


def age(connection: duckdb.DuckDBPyConnection, days: float) -> None:
    connection.execute(
        "update ledger.audit.releases set released_at = ?",
        [datetime.now(UTC) - timedelta(days=days)],
    )


# ---------------------------------------------------------------- letting go


def test_held_changes_are_let_go_by_key_by_person_or_by_change(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    for n in range(4):
        planned(
            connection,
            f"c{n}",
            f"k{n}",
            "suspend",
            subject=f"p{n}",
            hold="over",
            new={"n": n},
            seq=9 - n,
        )
    planned(connection, "free", "free", hold=None)
    planned(connection, "file", "a.csv", "deliver", entity="file", hold="over")
    planned(connection, "old", "k0", plan_id="another", hold="over")
    assert release(connection, "c0", "k1", "p2", who="the principal", why="they left") == 3
    rows = connection.execute(
        "select who, why, plan_id, change_id, target, entity, key, action, length(seal) from"
        " ledger.audit.releases"
    ).fetchall()
    assert rows == [
        ("the principal", "they left", "plan", f"c{n}", "fake", "users", f"k{n}", "suspend", 16)
        for n in (2, 1, 0)
    ]
    assert connection.execute(
        """select count(distinct release_id), min(length(release_id)),
            bool_and(released_at > now() - interval 1 minute)
                                 from ledger.audit.releases"""
    ).fetchone() == (3, 16, True)
    assert release(connection) == 4  # nobody named: all of it
    assert release(connection, where="plan_id = $plan and key = 'k3'") == 1


@pytest.mark.parametrize(
    ("only", "words"),
    [
        (("p1", "free"), "plan plan: free is no held change of it;"),
        (("a.csv",), "a.csv is no held change of it"),
        (
            tuple(f"x{n}" for n in range(7)),
            "plan plan: x0, x1, x2, x3, x4 is no held change of it;",
        ),
    ],
)
def test_who_names_what_is_not_held_lets_nothing_go(
    connection: duckdb.DuckDBPyConnection, only: tuple[str, ...], words: str
) -> None:
    planned(connection, "c1", "k1", subject="p1", hold="over")
    planned(connection, "free", "free", hold=None)
    planned(connection, "file", "a.csv", "deliver", entity="file", hold="over")
    with pytest.raises(releases.NothingToReleaseError) as caught:
        release(connection, *only)
    assert words in str(caught.value)
    assert '"make show STATUS=held" lists what is held' in str(caught.value)
    with pytest.raises(
        releases.NothingToReleaseError, match="plan plan: nothing of it is held that this speaks of"
    ):
        release(connection, where="plan_id = $plan and key = 'k2'")
    assert connection.execute("select count(*) from ledger.audit.releases").fetchone() == (0,)


# ---------------------------------------------------------------- passing


def test_a_release_is_for_that_change_of_that_object_and_no_other(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    planned(connection, "c", "k", "rename", hold="over", new={"n": 1})
    change(connection, "k", "rename", new={"n": 1})
    assert released(connection) == []  # nobody let anything go
    release(connection)
    assert released(connection) == ["k"]
    for more in (
        {"action": "update"},
        {"new": {"n": 2}},
        {"entity": "groups"},
        {"target": "other"},
        {"key": "l"},
    ):
        connection.execute("delete from changes")
        row: dict[str, Any] = {"key": "k", "action": "rename", "new": {"n": 1}} | more
        change(connection, row.pop("key"), row.pop("action"), **row)
        assert released(connection) == [], more


@pytest.mark.parametrize(("days", "open"), [(0, True), (13.999, True), (14.001, False)])
def test_a_release_waits_a_fortnight_for_its_change(
    connection: duckdb.DuckDBPyConnection, days: float, open: bool
) -> None:
    planned(connection, "c", "k", hold="over")
    change(connection, "k")
    release(connection)
    age(connection, days)
    assert released(connection) == (["k"] if open else [])


@pytest.mark.parametrize(
    ("more", "status", "used"),
    [
        ({}, "applied", True),
        ({}, "failed", True),
        ({}, "skipped", False),
        ({}, None, False),
        ({"hold": "over"}, "applied", False),
        ({"planned_at": datetime.now(UTC) - timedelta(days=3)}, "applied", False),
        ({"key": "l"}, "applied", False),
        ({"entity": "groups"}, "applied", False),
        ({"target": "other"}, "applied", False),
    ],
)
def test_a_release_is_used_up_when_its_change_was_tried_after_it(
    connection: duckdb.DuckDBPyConnection, more: dict, status: str | None, used: bool
) -> None:
    planned(connection, "c", "k", hold="over")
    change(connection, "k")
    release(connection)
    age(connection, 2)
    planned(
        connection,
        "later",
        **{"key": "k", "planned_at": datetime.now(UTC) - timedelta(days=1)} | more,
    )
    if status:
        connection.execute(
            "insert into ledger.audit.outcomes (change_id, status) values ('later', ?)", [status]
        )
    assert released(connection) == ([] if used else ["k"])


# ---------------------------------------------------------------- what we last wrote


USERS = export("users", ("person_id", "email", "school", "source"), context=("school", "source"))


def written(connection: duckdb.DuckDBPyConnection) -> list[tuple]:
    return connection.execute(
        "select * exclude (run_id, applied_at) from ledger.applied.fake__users order by _key"
    ).fetchall()


def record(
    connection: duckdb.DuckDBPyConnection, key: str, action: str, new: dict, **more: Any
) -> None:
    connection.execute("delete from ledger.audit.planned_changes")
    planned(
        connection,
        "c",
        key,
        action,
        new=new,
        **{"subject": key, "partition": "s9", "source": "f:9"} | more,
    )
    connection.execute(
        "create or replace temp table settled as select *, timestamptz '2026-02-02' as finished_at"
        " from ledger.audit.planned_changes"
    )
    applied.record(connection, "fake", "users", "settled")


def test_what_was_written_is_kept_with_what_stood_there_before(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    stand(connection, USERS, written=[("p1", "old@x", "s1", "f:1"), ("p2", "b@x", "s1", "f:2")])
    record(connection, "p1", "update", {"email": "new@x"})
    assert written(connection) == [
        ("p1", "p1", "new@x", "s9", "f:9"),
        ("p2", "p2", "b@x", "s1", "f:2"),
    ]
    record(connection, "p1", "update", {"email": None}, partition=None, source=None)
    assert written(connection)[0] == ("p1", "p1", None, "s9", "f:9")
    assert connection.execute(
        "select run_id, applied_at = timestamptz '2026-02-02' from ledger.applied.fake__users where"
        " _key = 'p1'"
    ).fetchone() == ("run", True)
    record(
        connection, "p3", "rename", {"email": "c@x"}, partition=None
    )  # never written by us until now
    assert written(connection)[2] == ("p3", "p3", "c@x", None, "f:9")


@pytest.mark.parametrize("action", ["create", "adopt"])
def test_what_is_made_anew_has_nothing_of_what_stood_there(
    connection: duckdb.DuckDBPyConnection, action: str
) -> None:
    stand(connection, USERS, written=[("p1", "old@x", "s1", "f:1")])
    record(connection, "p1", action, {"person_id": "p1"}, source=None)
    assert written(connection) == [("p1", "p1", None, "s9", None)]


@pytest.mark.parametrize("action", ["remove", "delete"])
def test_what_was_taken_away_is_no_longer_ours(
    connection: duckdb.DuckDBPyConnection, action: str
) -> None:
    stand(connection, USERS, written=[("p1", "a@x", "s1", "f:1"), ("p2", "b@x", "s1", "f:2")])
    record(connection, "p1", action, {})
    assert written(connection) == [("p2", "p2", "b@x", "s1", "f:2")]


def test_a_key_of_several_columns_is_taken_apart(connection: duckdb.DuckDBPyConnection) -> None:
    members = replace(USERS, key=("person_id", "email"))
    stand(connection, members)
    record(connection, "p1|a\\|b", "update", {})
    assert written(connection) == [("p1|a\\|b", "p1", "a|b", "s9", "f:9")]


def test_an_export_that_no_longer_is_is_passed_over(connection: duckdb.DuckDBPyConnection) -> None:
    planned(connection, "c", "k")
    applied.record(connection, "fake", "nothing", "ledger.audit.planned_changes")


CLOSED = "key = 'closed'"


def test_a_release_stands_until_its_day_for_whoever_it_names_and_opens_limits_only(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    connection.execute("create schema if not exists seeds")
    releases.of_standing_rows(connection, "2027-01-01", CLOSED)  # before the seed was built
    connection.execute(
        """
        create table seeds.standing_releases as select * from (values
        ('fake', 'users', 'suspend', 'p1', date '2027-09-30', 'principal', 'they go home'),
        ('fake', 'users', 'suspend', 'closed', date '2027-09-30', 'principal', 'they go home'),
        (null, null, null, 'p2', date '2027-09-29', 'clerk', 'whatever comes'),
        ('other', null, null, 'p3', date '2027-09-30', 'clerk', 'another target'))
        as rows (target, entity, action, key, until, decided_by, why)"""
    )
    for key in ("p1", "p2", "p3", "closed"):
        change(connection, key, "suspend", new='{"suspended": true}')
    change(connection, "g7", entity="members", subject="p2")
    change(connection, "p1", entity="cards")

    def let_go(day: str) -> list[str]:
        releases.of_standing_rows(connection, day, CLOSED)
        return released(connection)

    assert let_go("2027-09-29") == ["g7", "p1", "p2"]
    recorded = "select key, who, why, plan_id, count(*) from ledger.audit.releases group by all"
    assert connection.execute(f"{recorded} order by all").fetchall() == [
        ("g7", "clerk", "whatever comes", releases.STANDING, 1),
        ("p1", "principal", "they go home", releases.STANDING, 1),
        ("p2", "clerk", "whatever comes", releases.STANDING, 1),
    ]
    assert let_go("2027-09-29") == ["g7", "p1", "p2"], "planned twice in a night, recorded once"
    assert connection.execute("select count(*) from ledger.audit.releases").fetchone() == (3,)
    connection.execute("update changes set new = '{\"suspended\": 1}' where key = 'p1'")
    connection.execute("delete from ledger.audit.releases")
    assert let_go("2027-09-30") == ["p1"], "another change of the same person is right as well"
    connection.execute("delete from ledger.audit.releases")
    assert let_go("2027-10-01") == []


def test_a_table_gains_columns_changes_types_and_is_keyed_anew(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    stand(
        connection,
        USERS,
        written=[("p1", "12", "s1", "f:1"), ("p2", "x", None, "f:2"), ("p3", None, "s1", "f:3")],
    )
    wider = replace(
        USERS,
        columns=(*USERS.columns, replace(USERS.columns[0], name="more")),
        key=("email",),
        partition=None,
    )
    connection.execute(
        f"create or replace table {USERS.relation} (person_id text, email integer, school text,"
        " source text, more boolean)"
    )
    applied.ensure(connection, wider)
    assert connection.execute(
        "select _key, person_id, email, more from ledger.applied.fake__users"
    ).fetchall() == [("12", "p1", 12, None)]
    assert connection.execute(
        "select target, entity, key::varchar, partition from ledger.applied.tables"
    ).fetchall() == [("fake", "users", '["email"]', None)]
    applied.ensure(connection, wider)
    assert connection.execute("select count(*) from ledger.applied.tables").fetchone() == (1,)


def test_the_people_of_a_school_are_those_we_wrote_into_it_in_any_target(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    stand(
        connection,
        USERS,
        written=[("p1", "e", "a", "f"), ("p2", "e", "b", "f"), ("p3", "e", None, "f")],
    )
    stand(
        connection,
        export(
            "seats", ("seat", "person_id", "where"), target="other", context=(), partition="where"
        ),
        written=[("1", "p4", "a"), ("2", None, "a")],
    )
    stand(
        connection,
        export("rooms", ("room", "school"), target="other", context=()),
        written=[("1", "a")],
    )  # no people in it
    stand(
        connection,
        export("cards", ("card", "person_id"), target="other", context=()),
        written=[("1", "p5")],
    )  # no school in it
    people = connection.execute(
        f"select * from ({applied.subjects_of(connection)}) order by 1", {"partition": "a"}
    ).fetchall()
    assert people == [("p1",), ("p4",)]
    connection.execute("delete from ledger.applied.tables")
    assert connection.execute(applied.subjects_of(connection)).fetchall() == []
    assert applied.shape(connection, "fake", "users") is None
