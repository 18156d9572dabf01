"""Write-back: what a source is told of its own people is told once, agreed by its next feed, and
what somebody changes there afterwards becomes what the column declares.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from engine_bench import NO_LIMITS, Bench, FakeFolder, Model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_kit import column, export, ledger, stand

from common import store
from common.settings import section as settings_of
from reverse_etl import applied, diff, exports, shared, write_back
from reverse_etl.form import FormError, file_format
from reverse_etl.model import Change
from reverse_etl.targets.sql import Sql

Row = tuple[str | None, str | None]
NAMES = ("number", "mail", "card")
FILE = {"name": "import_{date:%Y%m%d}.csv", "write_back": 7}


class District:
    """A student information system that takes a file when somebody imports it."""

    def __init__(self, folder: Path, **metas: Any) -> None:
        meta = {"key": ["number"], "limits": NO_LIMITS, "file": FILE}
        self.model = Model(
            "pupils", dict.fromkeys(NAMES, "varchar"), meta, metas=metas, target="folder"
        )
        self.bench = Bench(folder / "var", [self.model])
        (folder / "out").mkdir()
        self.bench.folder = FakeFolder(folder / "out")
        self.feed: dict[str, dict[str, str | None]] = {}
        self.wanted: dict[str, dict[str, str | None]] = {}

    def night(self) -> list[str]:
        """What is written in tonight's file: all of it, line by line."""
        folder = self.bench.folder
        assert folder is not None
        for old in folder.folder.iterdir():
            old.unlink()
        self.bench.new_night()
        self.bench.desire(pupils=[{"number": key, **row} for key, row in self.wanted.items()])
        with store.connect() as connection:
            connection.execute("create schema if not exists staging")
            connection.execute(
                "create or replace table staging.stg_folder__pupils"
                " (number varchar, mail varchar, card varchar)"
            )
            for key, row in self.feed.items():
                connection.execute(
                    "insert into staging.stg_folder__pupils values (?, ?, ?)",
                    [key, row["mail"], row["card"]],
                )
            # a file of one name goes once a day; the nights of these tests are seconds apart
            connection.execute(
                "update ledger.audit.planned_changes set new = json_merge_patch(new, "
                "'{\"as_of\": \"2026-01-01\"}') where entity = 'file'"
            )
        self.plan = self.bench.plan()
        self.bench.push()
        return [
            line.partition(":")[2]
            for file in sorted(folder.folder.iterdir())
            for line in file.read_text().splitlines()
        ]

    def import_(self, lines: list[str]) -> None:
        for line in lines:
            number, mail, card = line.split(",")
            self.feed[number] = {"mail": mail, "card": card}


def test_three_nights_written_agreed_by_the_feed_and_quiet(tmp_path: Path) -> None:
    district = District(tmp_path)
    district.wanted = {"1": {"mail": "a@x", "card": "1"}, "2": {"mail": "b@x", "card": "2"}}
    district.feed = {"1": {"mail": None, "card": None}, "2": {"mail": "b@x", "card": "2"}}
    first = district.night()
    assert first == ["1,a@x,1"], "whom the feed agrees about already is not told"
    assert district.night() == [], "sent and not imported yet: it is not sent again"
    district.import_(first)
    assert district.night() == []
    assert district.night() == []


class Memory:
    """The same between the warehouse and a source alone: night by night, file by file."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, on_drift: str = "revert") -> None:
        made = export("pupils", NAMES, context=(), subject=None, partition=None)
        columns = (
            column("number"),
            column("mail", on_drift=on_drift),
            column("card", ignoring=("case",)),
        )
        file = file_format(FILE, ())
        self.export = replace(made, columns=columns, file=file)
        self.connection = connection
        stand(connection, self.export)

    def say(self, relation: str, rows: Mapping[str, Row]) -> None:
        self.connection.execute(f"delete from {relation}")
        names = "(number, mail, card)"
        for key, row in rows.items():
            self.connection.execute(f"insert into {relation} {names} values (?, ?, ?)", [key, *row])

    def night(self, wanted: Mapping[str, Row], feed: Mapping[str, Row]) -> dict[str, dict]:
        """What the file of this night changes, by key."""
        one, connection = self.export, self.connection
        self.say(one.relation, wanted)
        self.say('staging."stg_fake__pupils"', feed)
        connection.execute("delete from changes; delete from drifts")
        diff.compare(connection, one, 0)
        connection.execute(
            "create or replace temp table sent as select *, 'run' as run_id,"
            " now() as finished_at from changes"
        )
        shared.remember(connection, [one], {}, diff.observed_view)
        applied.record(connection, one.target, one.entity, "sent")
        shared.outdated(connection, one.target, one.entity, "sent")
        rows = connection.execute("select key, action, new from sent order by key").fetchall()
        assert {action for _, action, _ in rows} <= {"update"}
        return {key: json.loads(new) for key, _, new in rows}

    def drifts(self) -> list[tuple[str, str]]:
        return self.connection.execute(
            "select column_name, policy from drifts order by 1"
        ).fetchall()


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with ledger() as made:
        yield made


@pytest.mark.parametrize(
    ("on_drift", "answers"),
    [
        ("revert", [{"1": {"mail": "a@x"}}, {}, {"1": {"mail": "c@x"}}]),
        ("leave", [{}, {}, {"1": {"mail": "c@x"}}]),
        ("take_over", [{}, {}, {}]),
    ],
)
def test_what_somebody_edits_in_the_source_becomes_what_is_declared(
    connection: duckdb.DuckDBPyConnection, on_drift: str, answers: list
) -> None:
    source = Memory(connection, on_drift)
    wanted, agreed = {"1": ("a@x", "7")}, {"1": ("a@x", "7")}
    assert source.night(wanted, {"1": (None, "7")}) == {"1": {"mail": "a@x"}}
    assert source.night(wanted, agreed) == {}
    assert source.drifts() == []
    edited = {"1": ("b@x", "7")}
    assert source.night(wanted, edited) == answers[0]
    assert source.drifts() == [("mail", on_drift)]
    connection.execute(
        "insert into ledger.applied.taken_over select target, entity, key, column_name, theirs,"
        " 'run', now() from drifts where policy = 'take_over'"
    )
    assert source.night(wanted, edited) == answers[1], "nothing goes round in circles"
    assert source.night({"1": ("c@x", "7")}, edited) == answers[2]


def test_who_the_source_does_not_have_is_not_made_and_who_left_is_left_as_he_is(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    source = Memory(connection)
    assert source.night({"1": ("a@x", "1")}, {"2": ("b@x", "2")}) == {}
    assert source.night({}, {"1": (None, None)}) == {}


def test_letter_case_is_no_difference_where_the_column_says_so(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    source = Memory(connection)
    assert source.night({"1": ("a@x", "A1")}, {"1": ("a@x", "a1")}) == {}
    assert source.night({"1": ("a@x", "A1")}, {"1": ("A@x", "a1")}) == {"1": {"mail": "a@x"}}


def test_what_is_not_in_the_feed_after_its_days_is_told_and_not_sent_again(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    source = Memory(connection)
    wanted, feed = {"1": ("a@x", "7")}, {"1": (None, "7")}
    assert source.night(wanted, feed)
    assert source.night(wanted, feed) == {}
    assert source.drifts() == []
    connection.execute(
        f"update {applied.table('fake', 'pupils')} set applied_at = now() - interval 8 day"
    )
    assert source.night(wanted, feed) == {}
    assert source.drifts() == [("mail", write_back.LATE)]


def test_a_feed_with_two_rows_of_one_key_writes_nothing(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    source = Memory(connection)
    connection.execute("insert into staging.stg_fake__pupils (number) values ('1'), ('1')")
    with pytest.raises(diff.DiffImpossibleError, match=r"2 rows of .* share 1 keys"):
        diff.compare(connection, source.export, 0)


VALUES = st.sampled_from([None, "a", "b"])
ROWS = st.dictionaries(st.sampled_from("12"), st.tuples(VALUES, VALUES), max_size=2)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(feed=ROWS, wanted=ROWS, edits=ROWS)
def test_whatever_both_hold_two_imports_later_the_source_is_as_wanted_and_nothing_is_sent(
    connection: duckdb.DuckDBPyConnection, feed: dict, wanted: dict, edits: dict
) -> None:
    connection.execute("delete from ledger.applied.agreed")
    source = Memory(connection)
    there = {key: list(row) for key, row in feed.items()}
    for edit in ({}, edits):
        there |= {key: list(row) for key, row in edit.items() if key in there}
        for _ in range(2):
            for key, new in source.night(wanted, there).items():
                there[key] = [new.get("mail", there[key][0]), new.get("card", there[key][1])]
    assert source.night(wanted, there) == {}
    assert all(there[key] == list(wanted[key]) for key in there if key in wanted)


@pytest.mark.parametrize("days", [True, 0, "7"])
def test_days_that_are_none_are_refused(days: Any) -> None:
    with pytest.raises(FormError, match="write after how many days its feed has what was sent"):
        file_format({"name": "f", "write_back": days}, ())


# ---------------------------------------------------------------- a table of human resources


def test_a_table_is_told_once_and_what_is_edited_there_is_put_back(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """As `exp_hr_accounts__employees` ships: nobody is made, an edit is put back, no circles."""
    one = exports.declared("hr_accounts")["employees"]
    url = f"sqlite:///{tmp_path / 'hr.sqlite'}"
    with sqlite3.connect(tmp_path / "hr.sqlite") as theirs:
        theirs.execute("create table employees (staff_id, email, account_name, card_number)")
        theirs.execute(
            "insert into employees values ('7', 'old@x', null, null), ('8', 'l@x', 'l', 'E8')"
        )
    table = settings_of("targets", "hr_accounts")["entities"]
    target = Sql("hr_accounts", {"url": url, "entities": table}, {"employees": one})
    wanted = {"7": ["k@x", "kim", "E7"], "8": ["L@x", "l", "E8"]}
    names = ("staff_id", "email", "account_name", "card_number")

    def night() -> list[tuple[str, str]]:
        rows = [row for batch in target.observe("employees") for row in batch.to_pylist()]
        stand(
            connection,
            one,
            wanted=[[key, *row, "s", f"p{key}", "f"] for key, row in wanted.items()],
            there=[
                [row["remote_id"], *(row[name] for name in names), None, None, None] for row in rows
            ],
        )
        connection.execute("delete from changes")
        diff.compare(connection, one, 0)
        found = connection.execute("select key, action, remote_id, new from changes").fetchall()
        for key, action, remote_id, new in found:
            (answer,) = target.apply(
                [
                    Change(
                        key,
                        "hr_accounts",
                        "employees",
                        (key,),
                        action,
                        remote_id,
                        {},
                        json.loads(new),
                    )
                ]
            )
            assert answer.status == "applied"
        return [(key, action) for key, action, *_ in found]

    assert night() == [("7", "update")]
    assert night() == []
    with sqlite3.connect(tmp_path / "hr.sqlite") as theirs:
        theirs.execute("update employees set email = 'old@x' where staff_id = '7'")
    assert night() == [("7", "update")]
    assert night() == []
    with sqlite3.connect(tmp_path / "hr.sqlite") as theirs:
        rows = theirs.execute("select * from employees order by 1").fetchall()
    assert rows == [("7", "k@x", "kim", "E7"), ("8", "l@x", "l", "E8")]
    assert str(one.limits.per_run["create"]) == "0"
