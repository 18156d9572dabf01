"""The cookbook's questions run, and answer; narrowed, they say what was asked and no more."""

from __future__ import annotations

import csv
import io
import os
import re
from dataclasses import replace
from datetime import date

import duckdb
import pytest
from python_calamine import CalamineWorkbook
from rich.console import Console

from operations import audit
from operations.audit import Asked, UnanswerableError
from operations.explain import NobodyFoundError


@pytest.fixture
def published(two_nights, monkeypatch):
    monkeypatch.setenv("HOMEROOM_VAR", str(two_nights.var))
    return two_nights


def values_for(question: audit.Question, district) -> dict[str, str]:
    student = district.ask(
        "select min(student_number) from core.students where enrolment_status = 'active'"
    )[0][0]
    known = {"person": student, "day": "2026-10-06"}
    return {name: known[name] for name in question.parameters}


@pytest.mark.parametrize("number", range(1, len(audit.questions()) + 1))
def test_every_question_of_the_cookbook_runs(published, number):
    question = audit.questions()[number - 1]
    names, rows = audit.answer(question, Asked(values_for(question, published)))
    assert names
    if not any(
        word in question.title for word in ("held", "failed", "changed by hand", "keeps failing")
    ):  # nothing of the kind happened
        assert rows, question.title


def test_the_cookbook_holds_ten_questions_or_more_each_with_its_sql():
    text = audit.COOKBOOK.read_text(encoding="utf-8")
    assert len(audit.questions()) == len(re.findall(r"^## ", text, re.M)) >= 10


def test_a_question_without_its_value_says_which(published):
    ended = published.run("operations", "audit", "1", check=False)
    assert ended.returncode == 2
    assert "needs to know which person: add PERSON=…" in ended.stderr


def test_before_the_first_night_the_audit_says_what_to_do(tmp_path):
    from conftest import District

    ended = District(tmp_path / "var").run("operations", "audit", "3", check=False)
    assert ended.returncode == 2
    assert "nothing is published yet" in ended.stderr
    assert os.sep in ended.stderr


def question(word: str) -> audit.Question:
    (found,) = (one for one in audit.questions() if word in one.title)
    return found


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A published copy of one person under three names, a stranger's account, and three nights."""
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    (tmp_path / "var" / "published").mkdir(parents=True, mode=0o700)
    with duckdb.connect(str(tmp_path / "var" / "published" / "warehouse.duckdb")) as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(
            """
            create schema audit; create schema exports; create schema identity;
            create table exports.exp_alder__users (person_id text, login text, place text);
            create table audit.known_as as select * from (values
                ('p1', 'p1', false, 'student 1', 'student 1: Ana Bo'),
                ('p1', 'ana@s.x', false, 'student 1', 'student 1: Ana Bo'),
                ('p1', 'ana bo', true, 'student 1', 'student 1: Ana Bo'),
                ('p2', 'ana@old.x', false, 'student 2', 'student 2: Bo'),
                (null, 'cy@s.x', false, 'alder account 7 carries nobody''s key', null))
                as t (subject, known_as, is_name, about, about_with_names);
            create table audit.deliveries (target text, delivered_at timestamptz);
            create table audit.runs as select * from (values
                ('r1', date '2026-10-05', 'done'), ('r2', date '2026-10-06', 'done'),
                ('r3', date '2026-10-07', 'done')) as t (run_id, as_of, status);
            create table audit.changes as select *, 'p1' as person_id, 'users' as entity,
                'failed' as note, 500 as code, 3 as attempts, null::text as hold,
                null::text as school_number from (values
                ('r1', 1, 'k', 'create', 'applied', 'alder', timestamptz '2026-10-06 06:30:00+00',
                    '{"login": "ana@s.x", "place": "/a"}'),
                ('r2', 1, 'k', 'update', 'applied', 'alder', timestamptz '2026-10-07 12:00:00+00',
                    '{"place": "/b"}'),
                ('r3', 1, 'k', 'update', 'failed', 'alder', timestamptz '2026-10-08 12:00:00+00',
                    '{"place": "/c"}'),
                ('r3', 2, 'm', 'update', 'failed', 'birch', timestamptz '2026-10-08 12:00:00+00',
                    '{"place": "=1+1"}'))
                as t (run_id, seq, key, action, status, target, finished_at, new);
            """
        )


FAILED = "failed or was skipped"


def asked(house_question: str, **narrowing: str) -> list[tuple]:
    return audit.answer(question(house_question), replace(Asked(), **narrowing)).rows


def test_an_answer_is_narrowed_to_a_target_and_to_days_of_the_district(house):
    assert len(asked(FAILED)) == 2
    assert [row[1] for row in asked(FAILED, target="birch")] == ["birch"]
    assert len(asked(FAILED, first="2026-10-08")) == 2
    assert asked(FAILED, first="2026-10-09") == asked(FAILED, last="2026-10-07") == []


def test_a_day_is_the_districts_and_begins_at_its_own_midnight(house):
    """06:30 UTC on the 6th is 23:30 on the 5th in Vancouver, in summer time."""
    row = (duckdb.sql("select timestamptz '2026-10-06 06:30:00+00'").fetchone()[0],)
    assert audit._days(row, [0]) == [date(2026, 10, 5)]


def test_what_does_not_exist_is_said_so_and_what_comes_near(house):
    for narrowing, sentence in (
        (
            {"target": "aldr"},
            "'aldr' is no target this warehouse knows; did you mean alder? There are alder",
        ),
        (
            {"field": "plac"},
            "'plac' is no field of an export this warehouse knows; did you mean place? There are",
        ),
        (
            {"first": "2026-10-09", "last": "2026-10-07"},
            "FROM=2026-10-09 is after TO=2026-10-07, so no day is asked about",
        ),
        ({"values": {"dya": "2026-10-05"}}, "has no value 'dya' to give: it takes none by SET="),
        ({"first": "06/10/2026"}, "'06/10/2026' is no day; write it as 2026-10-05"),
        ({"field": "place"}, "says nothing of fields, so it cannot be narrowed to one"),
    ):
        with pytest.raises(UnanswerableError) as refused:
            asked(FAILED, **narrowing)
        assert sentence in str(refused.value)
    with pytest.raises(NobodyFoundError, match="nobody is known by '99'"):
        asked("held of one person on a day", subject="99", values={"day": "2026-10-06"})


def test_whoever_is_asked_about_may_be_named_by_any_word(house):
    whole = asked("held of one person on a day", subject="Ana@S.x", values={"day": "2026-10-07"})
    assert whole == asked("held of one person", values={"person": "p1", "day": "2026-10-07"})
    assert whole != []


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2026-10-04", {}),
        ("2026-10-05", {"login": "ana@s.x", "place": "/a"}),
        ("2026-10-06", {"login": "ana@s.x", "place": "/b"}),
        ("2026-10-07", {"login": "ana@s.x", "place": "/b"}),  # what failed was never so
    ],
)
def test_what_was_held_on_a_day_is_what_was_written_until_then(house, day, expected):
    rows = asked("held of one person on a day", subject="p1", values={"day": day})
    assert {row[3]: row[4] for row in rows} == expected


def test_a_field_is_found_in_what_was_written():
    whole = audit.Answer(["key", "new"], [("k", '{"login": "a"}'), ("k", '{"place": "/b"}')])
    with duckdb.connect() as connection:
        (keep,) = audit._narrowing(connection, question(FAILED), Asked(field="place"), whole)
    assert [keep(row) for row in whole.rows] == [False, True]


def test_a_spreadsheet_gets_every_cell_as_text_and_runs_nothing():
    found = audit.Answer(["key", "said"], [("0012", "=cmd()"), ("7", None)])
    rows = list(csv.reader(io.StringIO(audit._csv(found))))
    assert rows == [["key", "said"], ["0012", "'=cmd()"], ["7", ""]]
    book = audit._workbook(question(FAILED), found)
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(book)).get_sheet_by_index(0).to_python()
    assert sheet == [["key", "said"], ["0012", "=cmd()"], ["7", ""]]


def test_a_form_nobody_writes_and_a_question_nobody_asks_are_refused(house):
    with pytest.raises(UnanswerableError, match="'pdf' is no form of an answer; there are text"):
        audit.show("1", Asked(), Console(file=io.StringIO()), "pdf")
    for ask in ("99", "0", "-1", "who", "1.0"):
        with pytest.raises(UnanswerableError, match=f"there is no question {ask}; the cookbook"):
            audit.show(ask, Asked(), Console(file=io.StringIO()))


def test_no_row_is_an_answer_too(house):
    out = io.StringIO()
    number = [one.title for one in audit.questions()].index(question(FAILED).title) + 1
    audit.show(str(number), Asked(target="alder", last="2026-10-01"), Console(file=out))
    assert "no row answers it" in out.getvalue()
    assert "0 rows" not in out.getvalue()


def test_every_table_and_column_of_the_published_copy_says_what_it_is(published):
    path = published.var / "published" / "warehouse.duckdb"
    with duckdb.connect(str(path), read_only=True) as connection:
        silent = connection.execute(
            """
            select schema_name, table_name, column_name from duckdb_columns()
            where database_name = current_database() and not internal and comment is null
            union all
            select schema_name, table_name, null from duckdb_tables() where comment is null"""
        ).fetchall()
        (about,) = connection.execute(
            "select comment from duckdb_columns() where schema_name = 'identity'"
            " and table_name = 'students_last_seen' and column_name = 'next_school_number'"
        ).fetchone()
    assert silent == []
    assert "school" in about  # handed on from core
