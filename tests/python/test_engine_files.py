"""File targets: a file goes as a whole or not at all, and its rows count as delivered
when it is.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from engine_bench import USERS, Bench, FakeFolder, Model, user

from reverse_etl import push as pushing
from reverse_etl.model import Export, Outcome

STUDENTS = Model(
    "students",
    {"student_id": "varchar", "name": "varchar", "person_id": "varchar", "source": "varchar"},
    {
        "key": ["student_id"],
        "context": ["person_id", "source"],
        "subject": "person_id",
        "file": {"name": "students.csv", "archive": "all_{date}.zip"},
    },
    target="folder",
    feeds=("students",),
)
FAMILY = Model(
    "family",
    {"student_id": "varchar", "relation": "varchar"},
    {"key": ["student_id"], "file": {"name": "family.csv", "archive": "all_{date}.zip"}},
    target="folder",
    feeds=("parents",),
)
ABSENCES = Model(
    "absences",
    {"absence_id": "varchar"},
    {
        "key": ["absence_id"],
        "limits": {"drop": "100%"},
        "file": {"name": "absences.csv", "when_empty": "skip"},
    },
    target="folder",
)


def student(number: int, **values: str) -> dict:
    return {
        "student_id": f"{number}",
        "name": f"S{number}",
        "person_id": f"p{number}",
        "source": f"s.csv:{number}",
        **values,
    }


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    (tmp_path / "vendor").mkdir()
    bench = Bench(tmp_path / "var", [STUDENTS, FAMILY, ABSENCES])
    bench.folder = FakeFolder(tmp_path / "vendor")
    return bench


def names(tmp_path: Path) -> list[str]:
    return sorted(path.name.split("_")[0] for path in (tmp_path / "vendor").iterdir())


def test_one_archive_is_delivered_with_all_its_rows_and_a_quiet_night_sends_nothing(
    bench: Bench, tmp_path: Path
) -> None:
    bench.desire(
        students=[student(1), student(2)], family=[{"student_id": "1", "relation": "Mother"}]
    )
    assert bench.whole_night() == 0
    assert names(tmp_path) == ["all"]
    (file,) = (tmp_path / "vendor").iterdir()
    assert file.name == f"all_{bench.run.as_of.isoformat()}.zip"
    assert file.read_text() == "family.csv:1,Mother\nstudents.csv:1,S1\nstudents.csv:2,S2"
    assert bench.ask("select file, rows, receipt from ledger.audit.deliveries") == [
        (file.name, 3, "delivered")
    ]
    assert bench.ask(
        "select entity, action, status, count(*) from ledger.audit.changes group by all order"
        " by all"
    ) == [
        ("family", "create", "applied", 1),
        ("file", "deliver", "applied", 1),
        ("students", "create", "applied", 2),
    ]
    assert bench.verify() == 0
    assert bench.whole_night() == 0
    assert bench.folder is not None
    assert bench.folder.write_calls == 1
    assert [
        path for path in (tmp_path / "var" / "outbox").rglob("*") if path.is_file()
    ] == []  # no second copy stays with us


def test_a_changed_row_sends_the_file_again_and_says_which_row_changed(bench: Bench) -> None:
    bench.desire(students=[student(1), student(2), student(3)])
    bench.whole_night()
    bench.desire(students=[student(1), student(2, name="B")])
    bench.new_night()
    changes = [
        (entity, action, key, reason)
        for entity, action, key, _, reason, _ in bench.changes(bench.plan())
    ]
    assert changes == [
        ("students", "update", "2", "changed in source: name"),
        ("students", "remove", "3", "left: no longer in export"),
        ("file", "deliver", f"all_{bench.run.as_of.isoformat()}.zip", "2 rows changed"),
    ]
    assert bench.push() == 0
    assert bench.ask(
        "select _key, name, person_id from ledger.applied.folder__students order by 1"
    ) == [("1", "S1", "p1"), ("2", "B", "p2")]


def test_a_row_whose_source_line_moved_is_no_change(bench: Bench) -> None:
    bench.desire(students=[student(1)])
    bench.whole_night()
    bench.desire(students=[student(1, source="s.csv:99")])
    bench.new_night()
    assert bench.changes(bench.plan()) == []


def test_a_refused_feed_of_one_member_holds_the_whole_archive_and_no_other_file(
    bench: Bench, tmp_path: Path
) -> None:
    bench.feeds = [{"source": "myedbc", "feed": "parents", "status": "missing"}]
    bench.desire(
        students=[student(1)],
        family=[{"student_id": "1", "relation": "Mother"}],
        absences=[{"absence_id": "a"}],
    )
    assert bench.whole_night() == 2
    assert names(tmp_path) == ["absences.csv"]
    held = {part["entity"]: part["holds"] for part in bench.run.read("plan.json")["exports"]}
    assert "myedbc.parents (missing)" in held["family"][0]
    assert "myedbc.parents (missing)" in held["students"][0]
    assert held["absences"] == []


def test_a_failed_test_of_one_member_holds_the_whole_archive(bench: Bench, tmp_path: Path) -> None:
    bench.models[1] = replace(FAMILY, tests={"family_has_students": "fail"})
    bench.desire(students=[student(1)], family=[{"student_id": "1", "relation": "Mother"}])
    assert bench.whole_night() == 2
    assert names(tmp_path) == []


def test_of_two_stopped_members_each_says_its_own_reason(bench: Bench) -> None:
    bench.models[0] = replace(STUDENTS, tests={"students_are_unique": "fail"})
    bench.feeds = [{"source": "myedbc", "feed": "parents", "status": "missing"}]
    bench.desire(students=[student(1)], family=[{"student_id": "1", "relation": "Mother"}])
    holds = {part["entity"]: part["holds"] for part in bench.plan()["exports"]}
    assert "students_are_unique" in holds["students"][0]
    assert "myedbc.parents (missing)" in holds["family"][0]
    assert len(holds["students"]) == len(holds["family"]) == 1


def test_a_file_that_loses_most_of_its_rows_waits_for_a_person(
    bench: Bench, tmp_path: Path
) -> None:
    bench.desire(students=[student(n) for n in range(10)])
    bench.whole_night()
    bench.desire(students=[student(n) for n in range(4)])
    assert bench.whole_night() == 2
    assert (
        "6 of 10 rows delivered last time would vanish"
        in bench.run.read("plan.json")["exports"][2]["holds"][0]
    )
    assert bench.whole_night("folder.students.drop", "a school closed") == 0
    assert bench.ask("select count(*) from ledger.applied.folder__students") == [(4,)]


def test_an_empty_file_is_skipped_where_the_vendor_wants_none(bench: Bench, tmp_path: Path) -> None:
    bench.desire(absences=[{"absence_id": "a"}])
    bench.whole_night()
    bench.desire(absences=[])
    assert bench.whole_night() == 0
    assert bench.folder is not None
    assert bench.folder.write_calls == 1
    bench.desire(absences=[{"absence_id": "b"}])
    assert bench.whole_night() == 0
    assert bench.ask("select _key from ledger.applied.folder__absences") == [("b",)]


def test_an_empty_file_is_sent_where_the_vendor_wants_one(bench: Bench, tmp_path: Path) -> None:
    bench.models = [
        replace(
            ABSENCES, meta={**ABSENCES.meta, "file": {"name": "absences.csv", "when_empty": "send"}}
        )
    ]
    bench.desire(absences=[{"absence_id": "a"}])
    assert bench.whole_night() == 0
    bench.desire(absences=[])
    assert bench.whole_night() == 0
    assert (tmp_path / "vendor" / "absences.csv").read_text() == ""
    assert bench.ask("select rows from ledger.audit.deliveries order by delivered_at") == [
        (1,),
        (0,),
    ]
    assert bench.ask("select count(*) from ledger.applied.folder__absences") == [(0,)]
    (file,) = [part for part in bench.run.read("plan.json")["exports"] if part["entity"] == "file"]
    assert (file["desired"], file["planned"]) == (1, {"deliver": 1})


def test_a_delivery_that_fails_leaves_its_rows_to_be_sent_the_next_night(
    bench: Bench, tmp_path: Path
) -> None:
    assert bench.folder is not None
    bench.folder.broken = True
    bench.desire(students=[student(1)])
    assert bench.whole_night() == 3
    assert bench.ask("select entity, status from ledger.audit.changes order by seq") == [
        ("students", "skipped"),
        ("file", "failed"),
    ]
    bench.folder.broken = False
    assert bench.whole_night() == 0
    assert names(tmp_path) == ["all"]


def test_a_file_whose_form_changed_is_sent_again_even_if_no_row_did(bench: Bench) -> None:
    bench.desire(students=[student(1)])
    bench.whole_night()
    bench.models[0] = replace(
        STUDENTS, meta={**STUDENTS.meta, "file": {**STUDENTS.meta["file"], "delimiter": ";"}}
    )
    bench.new_night()
    assert [
        (entity, action, reason) for entity, action, _, _, reason, _ in bench.changes(bench.plan())
    ] == [("file", "deliver", "form changed: students")]
    bench.ask(
        "update ledger.applied.tables set shape = null"
    )  # delivered before forms were remembered
    assert bench.changes(bench.plan()) == []


# ---------------------------------------------------------------- a file that waits for accounts


def test_a_child_is_listed_only_once_the_account_exists(tmp_path: Path) -> None:
    (tmp_path / "vendor").mkdir()
    after = replace(STUDENTS, meta={**STUDENTS.meta, "after": {"person_id": "fake.users"}})
    bench = Bench(
        tmp_path / "var", [after, replace(USERS, meta={**USERS.meta, "limits": {"create": 2}})]
    )
    bench.folder = FakeFolder(tmp_path / "vendor")
    bench.target.faults = lambda change: (
        Outcome(change.change_id, "failed", 400, "invalid") if change.key == ("p2",) else None
    )
    bench.desire(
        users=[user(1), user(2)], students=[student(1), student(2), student(3)]
    )  # nobody plans an account for p3
    assert bench.whole_night() == 3
    (file,) = (tmp_path / "vendor").iterdir()
    assert file.read_text() == "students.csv:1,S1"
    assert bench.ask(
        "select key, status, coalesce(note, said(hold)) from ledger.audit.changes where entity ="
        " 'students' order by key"
    ) == [
        ("1", "applied", f"in file {file.name}"),
        ("2", "skipped", f"waits for another target; not yet in file {file.name}"),
        ("3", "held", "waits for fake users p3"),
    ]
    assert bench.ask("select rows from ledger.audit.deliveries") == [(1,)]
    assert bench.run.read("plan.json")["exports"][1]["waiting"] == 1
    bench.target.faults = None
    bench.desire(users=[user(n) for n in (1, 2, 3)], students=[student(1), student(2), student(3)])
    assert bench.whole_night() == 0
    assert file.read_text() == "students.csv:1,S1\nstudents.csv:2,S2\nstudents.csv:3,S3"
    assert bench.verify() == 0
    calls = bench.folder.write_calls
    assert bench.whole_night() == 0
    assert bench.folder.write_calls == calls


def test_a_child_whose_account_is_held_waits_too_and_the_file_goes(tmp_path: Path) -> None:
    (tmp_path / "vendor").mkdir()
    after = replace(STUDENTS, meta={**STUDENTS.meta, "after": {"person_id": "fake.users"}})
    bench = Bench(
        tmp_path / "var", [after, replace(USERS, meta={**USERS.meta, "limits": {"create": 1}})]
    )
    bench.folder = FakeFolder(tmp_path / "vendor")
    bench.desire(users=[user(1)], students=[student(1)])
    assert bench.whole_night() == 0
    bench.desire(users=[user(n) for n in (1, 2, 3)], students=[student(n) for n in (1, 2, 3)])
    assert bench.whole_night() == 2
    (file,) = (tmp_path / "vendor").iterdir()
    assert file.read_text() == "students.csv:1,S1"


def test_a_file_that_waits_goes_out_when_the_push_of_the_accounts_was_cut_off_before_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "vendor").mkdir()
    after = replace(STUDENTS, meta={**STUDENTS.meta, "after": {"person_id": "fake.users"}})
    bench = Bench(tmp_path / "var", [after, USERS])
    bench.folder = FakeFolder(tmp_path / "vendor")
    bench.desire(users=[user(1)], students=[student(1)])
    bench.observe()
    bench.plan()
    assert pushing.push(bench.run, bench.night, bench._adapter, ("fake",)) == 0
    assert list((tmp_path / "vendor").iterdir()) == []
    assert bench.push() == 0
    (file,) = (tmp_path / "vendor").iterdir()
    assert file.read_text() == "students.csv:1,S1"


def test_targets_that_wait_for_another_are_pushed_after_it() -> None:
    google, files = (
        Export(f"exp_{t}__x", "r", t, "x", ("k",), (), after=after)
        for t, after in (("google", {}), ("files", {"k": ("google", "x")}))
    )
    assert pushing.phases(["files", "google", "other"], [google, files]) == [
        ["google", "other"],
        ["files"],
    ]
    assert pushing.phases(["files", "other"], [google, files]) == [["files", "other"]]
    circle = [replace(google, after={"k": ("files", "x")}), files]
    assert pushing.phases(["files", "google"], circle) == [["files", "google"]]
