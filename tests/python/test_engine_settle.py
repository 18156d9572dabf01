"""Settling: what the journals say comes into the ledger once; what nobody knows is compared with
what is there. Tables made by hand.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from ledger_kit import export, ledger, stand

from common import documents
from reverse_etl import journal, settle
from reverse_etl.journal import Journal
from reverse_etl.model import FileFormat

USERS = export("users", ("person_id", "email", "name"), context=(), partition=None)
FIRST, SECOND = "20260102T000000Z", "20260103T000000Z"
WRITING = (
    "adopt",
    "create",
    "undelete",
    "rename",
    "update",
    "suspend",
    "restore",
    "remove",
    "delete",
)


@pytest.fixture
def connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[duckdb.DuckDBPyConnection]:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    with ledger() as made:
        stand(made, USERS)
        yield made


def planned(
    connection: duckdb.DuckDBPyConnection,
    change_id: str,
    key: str = "",
    action: str = "update",
    **more: Any,
) -> None:
    row = {
        "change_id": change_id,
        "plan_id": "plan",
        "run_id": "run",
        "planned_at": "2026-01-02",
        "target": "fake",
        "entity": "users",
        "key": key or change_id,
        "action": action,
        "old": {},
        "new": {},
        "seq": 1,
    } | more
    row = {
        name: json.dumps(value) if isinstance(value, dict) else value for name, value in row.items()
    }
    connection.execute(
        f"insert into ledger.audit.planned_changes ({', '.join(row)}) values"
        f" ({', '.join('?' * len(row))})",
        list(row.values()),
    )


def said(tmp_path: Path, *lines: tuple[str, Any], run: str = FIRST, target: str = "fake") -> Path:
    """A journal with these intents ("intent", change id) and outcomes ("outcome", line)."""
    path = tmp_path / "var" / "runs" / run / "journal" / f"{target}.jsonl"
    writer = Journal(path, "plan")
    for kind, what in lines:
        writer.intend([what]) if kind == "intent" else writer.conclude([what])
    writer.close()
    return path


def outcome(change_id: str, status: str = "applied", **more: Any) -> tuple[str, dict[str, Any]]:
    at = datetime.now(UTC).isoformat()
    return (
        "outcome",
        {
            "change_id": change_id,
            "status": status,
            "attempts": 1,
            "code": 200,
            "started_at": at,
            "finished_at": at,
        }
        | more,
    )


def rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple]:
    return connection.execute(query).fetchall()


def doubted(connection: duckdb.DuckDBPyConnection) -> list[str]:
    return [
        key for (key,) in rows(connection, "select key from ledger.applied.unclear order by key")
    ]


# ---------------------------------------------------------------- journals


def test_journals_are_of_all_runs_oldest_first_or_of_one_target(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    paths = [
        said(tmp_path, run=run, target=target)
        for run in (SECOND, FIRST)
        for target in ("other", "fake")
    ]
    said(tmp_path, run="latest")
    assert settle.journals() == sorted(paths)
    assert settle.journals("fake") == [paths[3], paths[1]]


def test_a_target_was_last_written_when_any_journal_of_it_was(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    import os

    assert settle.last_written("fake") == 0.0
    for run, target, moment in (
        (FIRST, "fake", 500),
        (SECOND, "fake", 300),
        (SECOND, "other", 900),
    ):
        os.utime(said(tmp_path, run=run, target=target), (moment, moment))
    assert settle.last_written("fake") == 500.0


def test_an_outcome_is_taken_in_once_with_all_it_says(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    planned(connection, "c1", "p1", "create", new={"person_id": "p1", "email": "e", "name": "n"})
    planned(connection, "c2", "p2", "update", remote_id="r2")
    planned(connection, "c3", "p3")
    at, later = "2026-01-02T03:04:05+00:00", "2026-01-02T03:04:06+00:00"
    lines = [
        outcome(
            "c1",
            attempts=2,
            code=201,
            remote_id="r1",
            request_id="q",
            note="made",
            started_at=at,
            finished_at=later,
        ),
        outcome("c2", "failed", attempts=6, code=409, started_at=at, finished_at=later),
        outcome("unplanned"),
    ]
    path = said(tmp_path, *lines)
    assert settle.settle(connection) == 2
    written = (
        "select change_id, run_id, target, status, attempts, code, remote_id, request_id,"
        " started_at, finished_at, note from ledger.audit.outcomes order by 1"
    )
    start, end = datetime.fromisoformat(at), datetime.fromisoformat(later)
    expected = [
        ("c1", "run", "fake", "applied", 2, 201, "r1", "q", start, end, "made"),
        ("c2", "run", "fake", "failed", 6, 409, "r2", None, start, end, ""),
    ]
    assert rows(connection, written) == expected
    assert rows(connection, "select * from ledger.applied.fake__users") == [
        ("p1", "p1", "e", "n", "run", end)
    ]
    marked = f"{path.stat().st_size} {hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert path.with_suffix(".settled").read_text() == marked
    assert settle.settle(connection) == 0
    path.with_suffix(".settled").unlink()  # killed between the commit and the mark
    assert settle.settle(connection) == 0
    assert rows(connection, written) == expected
    said(tmp_path, outcome("c3"))  # the journal grew
    assert settle.settle(connection) == 1


def test_a_settled_journal_is_not_read_again_and_one_marked_at_another_size_is(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = journal.read
    monkeypatch.setattr(
        settle.journal, "read", lambda path: read.append(path.parts[-3]) or real(path)
    )
    for run in (FIRST, SECOND):
        said(tmp_path, run=run)
    settle.settle(connection)
    assert read == [FIRST, SECOND]
    settle.settle(connection)
    assert read == [FIRST, SECOND]
    said(tmp_path, run=SECOND)
    settle.settle(connection)
    assert read == [FIRST, SECOND, SECOND]


def test_the_mark_stands_only_after_what_it_marks_is_in_the_ledger(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(connection, "c1")
    path = said(tmp_path, outcome("c1"))
    state = {}
    real = documents.write_text

    def write(path: Path, text: str) -> None:
        with (
            connection.cursor() as other
        ):  # what anybody else would see, were this process killed now
            state[path.name] = other.execute(
                "select count(*) from ledger.audit.outcomes"
            ).fetchone()
        real(path, text)

    monkeypatch.setattr(documents, "write_text", write)
    assert settle.settle(connection) == 1
    assert state == {path.with_suffix(".settled").name: (1,)}


def test_a_settling_that_breaks_leaves_nothing_behind_and_no_mark(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(connection, "c1", new={"name": "n"})
    path = said(tmp_path, outcome("c1"))

    def broken(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(settle, "_doubt", broken)
        with pytest.raises(KeyboardInterrupt):
            settle.settle(connection)
    connection.execute("rollback")
    assert (
        rows(connection, "select * from ledger.audit.outcomes")
        == rows(connection, "select * from ledger.applied.fake__users")
        == []
    )
    assert not path.with_suffix(".settled").exists()
    assert settle.settle(connection) == 1


# ---------------------------------------------------------------- files


STUDENTS = export("students", ("id", "name"), target="vendor", context=(), file=FileFormat("a.csv"))
FAMILY = export("family", ("id", "name"), target="vendor", context=(), file=FileFormat("b.csv"))


def test_a_delivered_file_delivers_its_rows_but_those_left_out_of_it(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    for one in (STUDENTS, FAMILY):
        stand(connection, one)
    row = {"id": "1", "name": "n"}
    planned(connection, "s1", "1", "create", target="vendor", entity="students", new=row)
    planned(
        connection, "s2", "2", "create", target="vendor", entity="students", new=row | {"id": "2"}
    )
    planned(
        connection,
        "s3",
        "3",
        "create",
        target="vendor",
        entity="students",
        hold="held",
        new=row | {"id": "3"},
    )
    planned(
        connection, "f2", "2", "create", target="vendor", entity="family", new=row | {"id": "2"}
    )
    planned(connection, "x1", "1", "create", target="vendor", entity="absences", new=row)
    planned(connection, "o1", "1", "create", target="other", entity="students", new=row)
    planned(
        connection,
        "p1",
        "1",
        "create",
        target="vendor",
        entity="students",
        plan_id="another",
        new=row,
    )
    planned(
        connection,
        "file",
        "all.zip",
        "deliver",
        target="vendor",
        entity="file",
        new={
            "entities": ["students", "family"],
            "shapes": {"students": "s-shape", "family": "f-shape"},
        },
    )
    planned(
        connection,
        "odd",
        "odd",
        "update",
        target="vendor",
        entity="file",
        new={"entities": ["absences"]},
    )
    path = said(
        tmp_path,
        outcome(
            "file",
            note="receipt",
            rows=2,
            bytes=77,
            sha256="hash",
            without={"students": ["2"]},
            remote_id="/in/all.zip",
            code=None,
        ),
        outcome("odd"),
        target="vendor",
    )
    assert settle.settle(connection) == 5
    assert rows(
        connection, "select change_id, status, attempts, note from ledger.audit.outcomes order by 1"
    ) == [
        ("f2", "applied", 1, "in file all.zip"),
        ("file", "applied", 1, "receipt"),
        ("odd", "applied", 1, ""),
        ("s1", "applied", 1, "in file all.zip"),
        ("s2", "skipped", 1, "waits for another target; not yet in file all.zip"),
    ]
    assert rows(
        connection,
        "select change_id, run_id, target, file, rows, bytes, sha256, receipt, delivered_at is not"
        " null from ledger.audit.deliveries",
    ) == [("file", "run", "vendor", "all.zip", 2, 77, "hash", "receipt", True)]
    assert rows(
        connection,
        "select _key from ledger.applied.vendor__students union all select _key from"
        " ledger.applied.vendor__family order by 1",
    ) == [("1",), ("2",)]
    assert rows(
        connection, "select target, entity, shape from ledger.applied.tables order by all"
    ) == [
        ("fake", "users", None),
        ("vendor", "family", "f-shape"),
        ("vendor", "students", "s-shape"),
    ]
    assert "all.zip" not in doubted(connection)  # what a vendor holds is never looked at
    path.with_suffix(".settled").unlink()
    assert settle.settle(connection) == 0
    assert len(rows(connection, "select * from ledger.audit.outcomes")) == 5


def test_a_file_that_was_refused_leaves_its_rows_undelivered_and_its_form_as_it_was(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    stand(connection, STUDENTS)
    planned(
        connection,
        "s1",
        "1",
        "create",
        target="vendor",
        entity="students",
        new={"id": "1", "name": "n"},
    )
    planned(
        connection,
        "file",
        "a.csv",
        "deliver",
        target="vendor",
        entity="file",
        new={"entities": ["students"], "shapes": {"students": "new"}},
    )
    said(tmp_path, outcome("file", "failed", code=500), target="vendor")
    settle.settle(connection)
    assert rows(
        connection, "select change_id, status, note from ledger.audit.outcomes order by 1"
    ) == [("file", "failed", ""), ("s1", "skipped", "in file a.csv")]
    assert (
        rows(connection, "select * from ledger.audit.deliveries")
        == rows(connection, "select * from ledger.applied.vendor__students")
        == []
    )
    assert rows(connection, "select shape from ledger.applied.tables where target = 'vendor'") == [
        (None,)
    ]


def test_the_form_of_a_file_is_its_own(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    for one in (STUDENTS, FAMILY, replace(STUDENTS, target="other")):
        stand(connection, one)
    connection.execute("update ledger.applied.tables set shape = 'before' where target <> 'fake'")
    planned(
        connection,
        "file",
        "a.csv",
        "deliver",
        target="vendor",
        entity="file",
        new={"entities": ["students"], "shapes": {"students": "new"}},
    )
    said(tmp_path, outcome("file"), target="vendor")
    settle.settle(connection)
    assert rows(
        connection,
        "select target, entity, shape from ledger.applied.tables where target <> 'fake' order"
        " by all",
    ) == [
        ("other", "students", "before"),
        ("vendor", "family", "before"),
        ("vendor", "students", "new"),
    ]


def test_of_two_files_only_the_one_that_came_is_remembered(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    for one in (STUDENTS, FAMILY):
        stand(connection, one)
    planned(
        connection,
        "a",
        "a.csv",
        "deliver",
        target="vendor",
        entity="file",
        new={"entities": [], "shapes": {"students": "new"}},
    )
    planned(
        connection,
        "b",
        "b.csv",
        "deliver",
        target="vendor",
        entity="file",
        new={"entities": [], "shapes": {"family": "new"}},
    )
    said(tmp_path, outcome("a"), outcome("b", "failed"), target="vendor")
    settle.settle(connection)
    assert rows(
        connection,
        "select entity, shape from ledger.applied.tables where target = 'vendor' order by 1",
    ) == [("family", None), ("students", "new")]


# ---------------------------------------------------------------- doubt


@pytest.mark.parametrize(
    ("line", "doubt"),
    [
        (outcome("c"), True),
        (outcome("c", "failed", code=499), False),
        (outcome("c", "failed", code=500), True),
        (outcome("c", "failed", code=501), True),
        (outcome("c", "failed", code=None), True),
        (outcome("c", "skipped"), False),
        (("intent", "c"), True),
    ],
)
def test_what_was_done_or_may_have_been_is_in_doubt_until_it_is_seen(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, line: tuple[str, Any], doubt: bool
) -> None:
    planned(connection, "c", "p")
    planned(connection, "never written")
    said(tmp_path, line)
    settle.settle(connection)
    assert doubted(connection) == (["p"] if doubt else [])
    if doubt:
        (entry,) = rows(
            connection,
            "select change_id, target, entity, key, since > now() - interval 1 day, struck from"
            " ledger.applied.unclear",
        )
        assert entry == ("c", "fake", "users", "p", True, False)


def test_an_intent_is_in_doubt_since_it_was_intended_and_an_outcome_since_it_came(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    planned(connection, "c1", "p1")
    planned(connection, "c2", "p2")
    yesterday = datetime.now(UTC) - timedelta(days=1)
    path = said(
        tmp_path,
        ("intent", "c1"),
        ("intent", "c2"),
        outcome("c2", finished_at=yesterday.isoformat()),
    )
    settle.settle(connection)
    intended = datetime.fromisoformat(journal.read(path).intents["c1"])
    assert rows(connection, "select key, since from ledger.applied.unclear order by 1") == [
        ("p1", intended),
        ("p2", yesterday),
    ]


def test_the_newest_doubt_of_an_object_counts_and_old_ones_end(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    for change_id, key, entity, target, days in (
        ("old", "p", "users", "fake", 1),
        ("a", "p", "groups", "fake", 1),
        ("b", "q", "users", "fake", 59.9),
        ("c", "r", "users", "fake", 60.1),
        ("d", "p", "users", "gone", 1),
    ):
        connection.execute(
            "insert into ledger.applied.unclear values (?, ?, ?, ?, ?, true)",
            [change_id, target, entity, key, now - timedelta(days=days)],
        )
    planned(connection, "new", "p")
    said(tmp_path, outcome("new"))
    settle.settle(connection)
    assert rows(connection, "select change_id, struck from ledger.applied.unclear order by 1") == [
        ("a", True),
        ("b", True),
        ("new", False),
    ]


# ---------------------------------------------------------------- what is there decides

OLD, NEW = {"name": "old"}, {"name": "new"}
WHOLE = {"person_id": "p", "email": "e", "name": "new"}


def resolved(
    connection: duckdb.DuckDBPyConnection,
    action: str,
    there: str | None,
    *,
    status: str | None = "applied",
    struck: bool = False,
    written: str | None = "new",
    since: int = -1,
    old: dict | None = None,
    new: dict | None = None,
    entity: str = "users",
) -> tuple[str | None, str]:
    """(what counts as applied afterwards: the name, or that it is not ours; what became of the
    doubt). `there`: the name the target holds.
    """
    seen = datetime(2026, 1, 3, tzinfo=UTC)
    took_away = action in ("remove", "delete")
    stand(
        connection,
        USERS,
        there=[("r", "p", "e", there)] if there else [],
        written=[("p", "e", written)] if written else [],
    )
    connection.execute(
        "delete from ledger.audit.planned_changes; delete from ledger.audit.outcomes; delete from"
        " ledger.applied.unclear"
    )
    before = (
        old
        if old is not None
        else (
            {"person_id": "p", "email": "e", "name": "old"}
            if took_away
            else {}
            if action in ("create", "undelete")
            else OLD
        )
    )
    planned(
        connection,
        "c",
        "p",
        action,
        old=before,
        new=(
            new
            if new is not None
            else {}
            if took_away
            else WHOLE
            if action in ("create", "adopt")
            else NEW
        ),
        remote_id="r",
    )
    if status:
        connection.execute(
            "insert into ledger.audit.outcomes (change_id, status) values ('c', ?)", [status]
        )
    connection.execute(
        "insert into ledger.applied.unclear values ('c', 'fake', ?, 'p', ?, ?)",
        [entity, seen + timedelta(seconds=since), struck],
    )
    settle.resolve(connection, USERS, seen.isoformat())
    name = rows(connection, "select name from ledger.applied.fake__users where _key = 'p'")
    doubt = rows(connection, "select struck from ledger.applied.unclear")
    return name[0][0] if name else "not ours", (
        "gone" if not doubt else "struck" if doubt[0][0] else "open"
    )


@pytest.mark.parametrize("action", ["update", "rename", "suspend", "restore"])
def test_a_change_that_is_there_as_wanted_is_ours_whatever_was_heard_of_it(
    connection: duckdb.DuckDBPyConnection, action: str
) -> None:
    assert resolved(connection, action, "new") == ("new", "gone")
    assert resolved(connection, action, "new", status=None, written="old") == ("new", "gone")
    assert rows(
        connection,
        "select change_id, run_id, target, status, attempts, code, remote_id, note, finished_at"
        " from ledger.audit.outcomes",
    ) == [
        (
            "c",
            "run",
            "fake",
            "applied",
            None,
            None,
            "r",
            "no answer came; read back as it was wanted",
            datetime(2026, 1, 2, 23, 59, 59, tzinfo=UTC),
        )
    ]
    assert resolved(connection, action, "new", status="failed", written="old") == ("new", "gone")
    assert rows(connection, "select status from ledger.audit.outcomes") == [
        ("failed",)
    ]  # the audit keeps what was answered


@pytest.mark.parametrize("action", ["update", "rename", "suspend", "restore"])
def test_a_change_that_was_answered_and_not_kept_is_not_ours_and_stays_in_doubt(
    connection: duckdb.DuckDBPyConnection, action: str
) -> None:
    assert resolved(connection, action, "old") == ("old", "struck")
    assert resolved(connection, action, "old", struck=True, written="by somebody") == (
        "by somebody",
        "struck",
    )  # struck once
    assert resolved(connection, action, "old", status=None, written="old") == ("old", "open")
    assert resolved(connection, action, "old", status="failed", written="old") == ("old", "open")
    assert resolved(connection, action, "new", struck=True, written="old") == (
        "new",
        "gone",
    )  # it showed late
    assert resolved(connection, action, "somebody's") == (
        "new",
        "gone",
    )  # neither: for the comparison to say
    assert resolved(connection, action, None) == ("new", "open")  # its object is gone


def test_an_object_that_is_gone_kept_no_old_value_not_even_none(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    assert resolved(connection, "update", None, old={"name": None}) == ("new", "open")


def test_of_several_values_those_not_kept_are_taken_back(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    two = {"old": {"name": "old", "email": "before"}, "new": {"name": "new", "email": "e"}}
    assert resolved(connection, "update", "old", **two) == ("old", "struck")  # type: ignore[arg-type]
    assert rows(connection, "select email from ledger.applied.fake__users") == [("e",)]
    same = {"old": {"name": "same", "email": "before"}, "new": {"name": "same", "email": "e"}}
    assert resolved(connection, "update", "same", written="same", **same) == ("same", "gone")  # type: ignore[arg-type]
    other = {"old": {"name": "same", "email": "before"}, "new": {"name": "same", "email": "wanted"}}
    assert resolved(connection, "update", "same", written="same", **other) == ("same", "gone")  # type: ignore[arg-type] # somebody's: nothing old was kept


@pytest.mark.parametrize("action", ["create", "adopt", "undelete"])
def test_an_object_that_is_there_is_ours_and_one_that_is_not_is_none(
    connection: duckdb.DuckDBPyConnection, action: str
) -> None:
    new = WHOLE
    assert resolved(connection, action, "new", new=new) == ("new", "gone")
    assert resolved(connection, action, "new", status=None, written=None, new=new) == (
        "new",
        "gone",
    )
    assert resolved(connection, action, "changed since", status=None, written=None, new=new) == (
        "new",
        "gone",
    )
    assert resolved(connection, action, None, new=new) == ("not ours", "struck")
    assert resolved(connection, action, None, status=None, written=None, new=new) == (
        "not ours",
        "open",
    )
    assert resolved(connection, action, None, struck=True, new=new) == ("new", "struck")


@pytest.mark.parametrize("action", ["remove", "delete"])
def test_an_object_that_was_taken_away_is_gone_or_ours_again(
    connection: duckdb.DuckDBPyConnection, action: str
) -> None:
    assert resolved(connection, action, None, written=None) == ("not ours", "gone")
    assert resolved(connection, action, None, status=None, written="old") == ("not ours", "gone")
    assert resolved(connection, action, "old", written=None) == ("old", "struck")
    assert resolved(connection, action, "old", status=None, written="old") == ("old", "open")
    assert resolved(connection, action, "old", struck=True, written=None) == ("not ours", "struck")


def test_only_what_was_in_doubt_before_the_look_is_decided_by_it(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    assert resolved(connection, "update", "old", since=0) == ("old", "struck")
    assert resolved(connection, "update", "old", since=1) == ("new", "open")
    assert resolved(connection, "update", "old", entity="groups") == ("new", "open")


def test_what_is_no_object_or_has_no_view_is_left_alone(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    for one in (
        replace(USERS, file=FileFormat("a.csv")),
        replace(USERS, target="other"),
        replace(USERS, entity="nothing"),
    ):
        connection.execute("delete from ledger.applied.unclear")
        connection.execute(
            "insert into ledger.applied.unclear values ('c', ?, ?, 'p', '2026-01-01', false)",
            [one.target, one.entity],
        )
        settle.resolve(connection, one, "2026-01-03T00:00:00+00:00")
        assert doubted(connection) == ["p"]


def test_two_in_doubt_are_each_decided_by_their_own_object(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    stand(
        connection,
        USERS,
        there=[("r1", "p1", "e", "new"), ("r2", "p2", "e", "old"), ("r3", "p3", "e", "old")],
        written=[("p1", "e", "new"), ("p2", "e", "new"), ("p3", "e", "new")],
    )
    for n in (1, 2):
        planned(connection, f"c{n}", f"p{n}", old=OLD, new=NEW)
        connection.execute(
            "insert into ledger.audit.outcomes (change_id, status) values (?, 'applied')", [f"c{n}"]
        )
        connection.execute(
            "insert into ledger.applied.unclear values (?, 'fake', 'users', ?, '2026-01-01',"
            " false)",
            [f"c{n}", f"p{n}"],
        )
    planned(connection, "c3", "p3", "create", new=WHOLE | {"person_id": "p3"})
    connection.execute(
        "insert into ledger.audit.outcomes (change_id, status) values ('c3', 'applied')"
    )
    connection.execute(
        "insert into ledger.applied.unclear values ('c3', 'fake', 'users', 'p3', '2026-01-04',"
        " false)"
    )  # made after the look
    settle.resolve(connection, USERS, "2026-01-03T00:00:00+00:00")
    assert rows(connection, "select _key, name from ledger.applied.fake__users order by 1") == [
        ("p1", "new"),
        ("p2", "old"),
        ("p3", "new"),
    ]
    assert rows(connection, "select key, struck from ledger.applied.unclear order by 1") == [
        ("p2", True),
        ("p3", False),
    ]
