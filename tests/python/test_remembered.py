"""What is remembered: of a feed's loads, of a run and its steps, of what people did; and what is
counted before a table is believed.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from common import access, paths, store
from common.runs import Run
from ingestion import land
from ingestion.land import LandingError
from ingestion.layout import Column, Feed
from ingestion.model import Fetched, LastGood, Reject, Trusted
from operations import interventions

MOMENT = datetime(2026, 10, 5, 10, tzinfo=UTC)
FEED = Feed(name="people", columns=(Column("Number", "number"), Column("Surname", "surname")))


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("HOMEROOM_AS_OF", "2026-10-05")
    monkeypatch.delenv("HOMEROOM_RUN", raising=False)
    return paths.var()


def visit(day: int, status: str = "loaded", landed: int = 0, **more: Any) -> None:
    """What the ledger wrote down on the morning of a day in October."""
    row = {
        "run_id": f"r{day}",
        "source": "sis",
        "feed": "people",
        "status": status,
        "sha256": f"sha{day}",
        "file": f"People{day}.csv",
        "landed": landed,
        "rejected": 0,
        "as_of": date(2026, 10, day),
        "read_at": MOMENT + timedelta(days=day - 5),
    } | more
    with store.connect() as connection:
        connection.execute(
            f"insert into ledger.audit.source_files ({', '.join(row)}) values"
            f" ({', '.join('?' * len(row))})",
            list(row.values()),
        )


def remembered() -> LastGood:
    with store.connect() as connection:
        return land.last_good(connection, "sis", FEED)


def test_nothing_is_known_of_a_feed_that_was_never_loaded():
    visit(5, "refused", landed=9)
    visit(6, "loaded", landed=9, feed="courses")
    visit(7, "loaded", landed=9, source="hr")
    assert remembered() == LastGood()


def test_the_last_good_load_is_the_newest_one_and_what_came_before_it_is_kept_apart():
    visit(1, landed=40, schools='{"a": 1}')
    visit(
        2,
        landed=41,
        encoding="utf-8",
        rejected=3,
        schools='{"a": 40}',
        held_schools='["b"]',
        content_on=date(2026, 9, 30),
        modified_at=MOMENT - timedelta(days=4),
    )
    visit(3, "unchanged", landed=41, sha256="sha2")
    visit(4, "refused", landed=0, encoding="cp1252")
    changed = (MOMENT - timedelta(days=4)).timestamp()
    assert remembered() == LastGood(
        run_id="r2",
        loads=(("sha2", "People2.csv", changed), ("sha1", "People1.csv", 0.0)),
        sha256="sha2",
        file="People2.csv",
        encoding="utf-8",
        was=41,
        was_rejected=3,
        modified_at=changed,
        earlier=frozenset({"sha1"}),
        history=(41, 40),
        schools={"a": 40},
        held_partitions=("b",),
        changed_on=date(2026, 10, 2),
        met_on=date(2026, 10, 3),
        content_on=date(2026, 9, 30),
    )


def test_loads_are_measured_back_to_the_last_drop_a_person_accepted():
    for day, landed in enumerate((100, 90, 20, 21, 22), 1):
        visit(day, landed=landed, accepted=day == 3)
    assert remembered().history == (22, 21, 20)
    visit(6, landed=5, accepted=True)
    assert remembered().history == (5,)


def test_the_same_file_landed_again_is_not_an_earlier_one():
    visit(1, landed=1, sha256="same")
    visit(2, landed=1, sha256="other")
    visit(3, landed=1, sha256="same")
    assert remembered().earlier == {"other"}


def prepared(rows: list[tuple[str, int | None]], rejects: int = 0) -> None:
    with store.connect() as connection:
        land.prepare(connection, "sis", [FEED])
        for number, line in rows:
            connection.execute(
                "insert into raw_sis.people (number, _line, _file, _loaded_at) values (?, ?,"
                " 'People.csv#abc', ?)",
                [number, line, MOMENT + timedelta(hours=1)],
            )
        for line in range(rejects):
            connection.execute(
                "insert into raw_sis.rejects (feed, _line) values ('people', ?)", [line]
            )
        connection.execute("insert into raw_sis.rejects (feed, _line) values ('courses', 1)")


def test_what_is_landed_is_what_the_warehouse_itself_says():
    prepared([("1", 2), ("2", 3)])
    found = remembered()
    assert (found.rows, found.tag, found.loaded_at, found.loaded_epoch) == (
        2,
        "People.csv#abc",
        "2026-10-05",
        (MOMENT + timedelta(hours=1)).timestamp(),
    )
    assert set(found.columns) == {"number", "surname", *land.PROVENANCE}


@pytest.mark.parametrize(
    ("rows", "rejects", "good"),
    [
        ([("1", 2), ("2", 3)], 1, True),
        ([("1", 2)], 1, False),  # a row less than was checked
        ([("1", 2), ("2", 3), ("3", 4)], 1, False),
        ([("1", 2), ("2", None)], 1, False),  # a row that does not know its line
        ([("1", 2), ("2", 3)], 0, False),  # a rejected row that was not written down
        ([("1", 2), ("2", 3)], 2, False),
    ],
)
def test_every_row_is_landed_or_rejected_and_knows_its_line(rows, rejects, good):
    prepared(rows, rejects)
    file = Trusted(
        FEED,
        Fetched("People.csv", Path("x"), "a" * 64, 1, MOMENT),
        "utf-8",
        ",",
        True,
        2,
        {},
        Path("x"),
        ((2, 2),),
        rejects=(Reject(9, "x", "h"),),
    )
    with store.connect() as connection:
        if good:
            land._confirm(connection, "sis", file)
        else:
            with pytest.raises(
                LandingError,
                match=(
                    r"sis people: 3 rows came in, but \d landed and \d were rejected: nothing of"
                    r" sis was replaced"
                ),
            ):
                land._confirm(connection, "sis", file)


def test_a_tables_columns_become_those_of_its_layout_and_what_a_column_held_goes_with_it():
    with store.connect() as connection:
        connection.execute(
            "create schema raw_sis; create table raw_sis.people (number varchar, pen varchar, _line"
            " bigint)"
        )
        connection.execute("insert into raw_sis.people values ('1', 'confidential', 2)")
        land.prepare(connection, "sis", [FEED])
        land.prepare(connection, "sis", [FEED])
        columns = connection.execute(
            "select column_name, data_type from duckdb_columns() where schema_name = 'raw_sis' and"
            " table_name = 'people'"
        ).fetchall()
        assert dict(columns) == {
            "number": "VARCHAR",
            "surname": "VARCHAR",
            "_file": "VARCHAR",
            "_line": "BIGINT",
            "_loaded_at": "TIMESTAMP WITH TIME ZONE",
            "_run_id": "VARCHAR",
            "_dlt_load_id": "VARCHAR",
        }
        assert connection.execute(
            "select number, surname, _line from raw_sis.people"
        ).fetchall() == [("1", None, 2)]


def test_keys_that_are_known_are_those_of_the_table_trimmed_once_each():
    prepared([(" 1", 2), ("1 ", 3), ("2", 4), (None, 5)])
    with store.connect() as connection:
        assert sorted(
            land.known_keys(connection, "sis", "people", "number")["value"].to_pylist()
        ) == ["1", "2"]
        assert land.known_keys(connection, "sis", "people", "number", ["2", "3"])[
            "value"
        ].to_pylist() == ["2"]
        assert land.known_keys(connection, "sis", "people", "number", [])["value"].to_pylist() == []
        for feed, column in (("people", "pen"), ("people", ""), ("courses", "number")):
            assert land.known_keys(connection, "sis", feed, column)["value"].to_pylist() == []


@pytest.mark.parametrize("most", [2, 3])
def test_whom_rejected_lines_may_hide(monkeypatch, most):
    """Beyond so many keys all are doubted as if none were named."""
    monkeypatch.setattr(land, "MOST_KEYS", most)
    prepared([])
    lines = [
        ("people", "3", 1),
        ("people", "1", 2),
        ("people", "1", 3),
        ("people", "2", 4),
        ("people", None, 0),
        ("courses", None, 9),
    ]
    with store.connect() as connection:
        connection.execute("delete from raw_sis.rejects")
        for feed, key, hours in lines:
            values = [feed, key, MOMENT + timedelta(hours=hours)]
            connection.execute(
                "insert into raw_sis.rejects (feed, record_key, rejected_since, code)"
                " values (?, ?, ?, 'reject_quoting')",
                values,
            )
        since, keys = land.doubts(connection, "sis", "people")
    assert (since, keys) == {
        2: (MOMENT + timedelta(hours=4), ["1", "2"]),
        3: (MOMENT, ["1", "2", "3"]),
    }[most]


def test_a_rejected_line_that_stays_keeps_the_moment_it_was_first_rejected():
    run, later = Run.open("nightly"), MOMENT + timedelta(days=1)
    stays, new = (
        Reject(2, "reject_empty", "h1", "surname", "10001", "07474001", {"column": "surname"}),
        Reject(3, "reject_quoting", "h2"),
    )
    prepared([])

    def file(*rejects: Reject) -> Trusted:
        return Trusted(
            FEED,
            Fetched("People.csv", Path("x"), "a" * 64, 1, MOMENT),
            "utf-8",
            ",",
            True,
            2,
            {},
            Path("x"),
            (),
            rejects=rejects,
        )

    with store.connect() as connection:
        connection.execute(
            "insert into raw_sis.rejects (feed, line_sha256, rejected_since) values ('courses',"
            " 'h2', ?)",
            [MOMENT - timedelta(days=9)],
        )
        land._replace_rejects(
            connection, "sis", file(stays), run=run, at=MOMENT, owner="the office"
        )
        land._replace_rejects(connection, "sis", file(stays, new), run=run, at=later, owner="")
        rows = connection.execute(
            "select _file, _line, code, reason, column_name, record_key, school_number, owner,"
            " line_sha256, rejected_since, _loaded_at, _run_id from raw_sis.rejects where feed ="
            " 'people' order by _line"
        ).fetchall()
        assert rows == [
            (
                "People.csv#aaaaaaaaaaaa",
                2,
                "reject_empty",
                "surname is empty",
                "surname",
                "10001",
                "07474001",
                None,
                "h1",
                MOMENT,
                later,
                run.run_id,
            ),
            (
                "People.csv#aaaaaaaaaaaa",
                3,
                "reject_quoting",
                "bad quoting",
                None,
                None,
                None,
                None,
                "h2",
                later,
                later,
                run.run_id,
            ),
        ]
        assert connection.execute(
            "select count(*) from raw_sis.rejects where feed = 'courses'"
        ).fetchone() == (2,)


def test_an_intervention_is_kept_word_for_word_and_once(monkeypatch):
    me = paths.name_of(os.getuid())
    monkeypatch.setenv("USER", "zoe")  # a word anybody can type
    monkeypatch.setattr(access, "_behind", lambda: "")
    interventions.pause("2099-07-01", "  the tenant is being moved ")
    interventions.record("restored", details="20261005T120000Z")
    monkeypatch.setattr(access, "_behind", lambda: "renee")
    interventions.record("restored", details="20261005T120000Z")
    with store.connect() as connection:
        assert (interventions.load(connection), interventions.load(connection)) == (3, 0)
        rows = connection.execute(
            "select what, who, why, until, details from ledger.audit.interventions order by"
            " happened_at"
        ).fetchall()
        moments = connection.execute(
            "select happened_at from ledger.audit.interventions order by 1"
        ).fetchall()
    assert rows == [
        ("paused", me, "the tenant is being moved", datetime(2099, 7, 1, 7, tzinfo=UTC), ""),
        ("restored", me, "", None, "20261005T120000Z"),
        ("restored", f"renee (as {me})", "", None, "20261005T120000Z"),
    ]
    assert [moment.isoformat() for (moment,) in moments] == [
        line["happened_at"] for line in interventions.lines()
    ]


def test_models_are_told_the_day_of_the_data_and_of_the_rollover_in_a_rehearsal():
    run = Run.open("nightly")
    run.write(
        "run.json",
        run.read("run.json") | {"data_as_of": "2026-06-20", "rolled_over_on": "2026-07-01"},
    )
    store.begin_night(run)
    store.begin_night(run)
    with store.connect(read_only=True) as connection:
        assert connection.execute(
            "select run_id, as_of, data_as_of, rolled_over_on from raw_homeroom.run_context"
        ).fetchall() == [(run.run_id, date(2026, 10, 5), date(2026, 6, 20), date(2026, 7, 1))]


def test_a_step_is_written_down_with_how_it_ended():
    run = Run.open("nightly")
    for code, status in ((0, "done"), (1, "failed"), (2, "refused"), (3, "partly"), (77, "failed")):
        with run.step("a") as step:
            assert run.read("run.json")["running"] == "a"
            step.exit_code, step.note, step.peak_megabytes = code, "noted", 7
        last = run.read("run.json")["steps"][-1]
        assert [
            last[name] for name in ("name", "status", "exit_code", "note", "peak_megabytes")
        ] == ["a", status, code, "noted", 7]
        assert run.read("run.json")["running"] is None
    for code, left in ((0, 1), (3, 3)):
        with pytest.raises(KeyError), run.step("b") as step:
            step.exit_code = code
            raise KeyError("x")
        assert run.read("run.json")["steps"][-1]["exit_code"] == left
    assert json.loads((run.folder / "run.json").read_text(encoding="utf-8"))["verb"] == "nightly"


def test_a_verb_goes_on_with_the_run_that_is_open_and_a_new_one_closes_what_was_left(monkeypatch):
    first = Run.current("plan")
    assert Run.current("push").run_id == first.run_id
    second = Run.open("nightly")
    left = Run.load(first.run_id).read("run.json")
    assert (left["status"], left["exit_code"]) == ("abandoned", 1)
    assert (
        second.read("run.json")["status"] == "running"
        and second.read("run.json")["exit_code"] is None
    )
    second.finish(2)
    assert second.read("run.json")["status"] == "refused"
    third = Run.current("plan")
    assert third.run_id not in (first.run_id, second.run_id)
    monkeypatch.setenv("HOMEROOM_RUN", first.run_id)
    assert Run.current("push").run_id == first.run_id
    assert {run.run_id for run in Run.finished()} == {first.run_id, second.run_id}
    assert Run.latest().run_id == third.run_id
    assert (third.folder.stat().st_mode & 0o777, third.read("nothing.json", "default")) == (
        0o700,
        "default",
    )
