"""File targets: a file goes as a whole or not at all, and its rows count as delivered
when it is.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from engine_bench import NO_LIMITS, USERS, Bench, FakeFolder, Model, user
from hypothesis import given
from hypothesis import strategies as st

from common import findings, paths, store
from reverse_etl import exports, preview
from reverse_etl import push as pushing
from reverse_etl.limits import Allowed, left_out_hold, parse
from reverse_etl.model import Export, Outcome
from reverse_etl.plan import ScopeError

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


def previewed(bench: Bench, target: str = "folder") -> tuple[int, dict[str, str], list[str]]:
    """Code, the files a preview made, what it said."""
    said: list[str] = []
    with store.connect(read_only=True) as connection:
        chosen = [one for one in exports.load(bench.run).every if one.target == target]
        code = preview.preview(connection, bench.run, chosen, bench._adapter(target), said.append)
    made = (paths.var() / "preview" / target).iterdir()
    return code, {path.name: path.read_text(encoding="utf-8") for path in made}, said


def test_a_preview_is_the_file_that_goes_and_sends_nothing(bench: Bench, tmp_path: Path) -> None:
    family = [{"student_id": "1", "relation": "Mother"}]
    bench.desire(students=[student(1), student(2)], family=family)
    bench.observe()
    bench.build()
    bench.plan()
    code, made, said = previewed(bench)
    assert code == 0 and bench.folder is not None and bench.folder.write_calls == 0
    assert not list((tmp_path / "vendor").iterdir()), "nothing was sent"
    bench.push()
    (sent,) = (tmp_path / "vendor").iterdir()
    assert made == {sent.name: sent.read_text(encoding="utf-8")}
    assert "3 rows" in said[0]
    bench.whole_night()
    code, made, said = previewed(bench)
    assert made == {sent.name: sent.read_text(encoding="utf-8")}, "as it stands"
    assert said[1] == "  it would not go: nothing in it changed since it was last delivered"
    assert code == 0


def test_a_preview_says_what_holds_the_file_and_makes_it_all_the_same(bench: Bench) -> None:
    bench.desire(students=[student(n) for n in range(40)], family=[])
    assert bench.whole_night() == 0
    bench.new_night()
    bench.desire(students=[student(1)], family=[])
    bench.observe()
    bench.build()
    bench.plan()
    code, made, said = previewed(bench)
    assert code == 2 and [name[:3] for name in made] == ["all"], "an empty file is skipped"
    assert any(line.startswith("  it would not go: ") and "limit" in line for line in said)


def test_a_target_that_takes_no_files_has_none_to_look_at(bench: Bench) -> None:
    bench.desire(students=[student(1)], family=[])
    bench.whole_night()
    chosen = [one for one in exports.load(bench.run).every if one.target == "folder"]
    with store.connect(read_only=True) as connection, pytest.raises(ScopeError, match="no files"):
        preview.preview(connection, bench.run, chosen, bench.target)


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


def test_a_file_that_lists_everybody_twice_waits_for_a_person(bench: Bench) -> None:
    bench.desire(students=[student(n) for n in range(30)])
    assert bench.whole_night() == 0
    bench.desire(students=[student(n) for n in range(60)])
    assert bench.whole_night() == 2
    assert (
        "30 rows more than the 30 delivered last time"
        in bench.run.read("plan.json")["exports"][2]["holds"][0]
    )
    assert bench.ask("select count(*) from ledger.applied.folder__students") == [(30,)]
    assert bench.whole_night("folder.students.create", "a school joined") == 0
    assert bench.ask("select count(*) from ledger.applied.folder__students") == [(60,)]


@pytest.mark.parametrize(
    ("daily", "limits", "waits"),
    [(True, {}, False), (True, {"create": 25}, True), (False, {}, True)],
)
def test_the_rows_of_a_day_may_be_many_more_than_those_of_the_day_before(
    tmp_path: Path, daily: bool, limits: dict, waits: bool
) -> None:
    file = {"name": "absences.csv", "when_empty": "skip", "daily": daily}
    of_a_day = replace(ABSENCES, meta={"key": ["absence_id"], "limits": limits, "file": file})
    (tmp_path / "vendor").mkdir()
    bench = Bench(tmp_path / "var", [of_a_day])
    bench.folder = FakeFolder(tmp_path / "vendor")
    bench.desire(absences=[{"absence_id": "a"}])
    assert bench.whole_night() == 0
    bench.desire(absences=[{"absence_id": f"{n}"} for n in range(40)])
    assert bench.whole_night() == (2 if waits else 0)


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


# ---------------------------------------------------------------- a roster nearly without students

LISTED = replace(
    STUDENTS,
    meta={**STUDENTS.meta, "after": {"person_id": "fake.users"}, "limits": {"drop": "20%"}},
)
CLASSES = Model(
    "classes",
    {"class_id": "varchar"},
    {"key": ["class_id"], "file": {"name": "classes.csv", "archive": "all_{date}.zip"}},
    target="folder",
)
OWNED = replace(
    USERS,
    columns={**USERS.columns, "adopt_id": "varchar", "hold": "varchar"},
    meta={
        **USERS.meta,
        "context": [*USERS.meta["context"], "adopt_id", "hold"],
        "hold": "hold",
        "limits": {**NO_LIMITS, "adopt": 1},
    },
    metas={"adopt_id": {"role": "adopt"}},
)


def district(tmp_path: Path, *models: Model) -> Bench:
    """A district whose vendor is sent students once they have accounts, and their class."""
    (tmp_path / "vendor").mkdir()
    bench = Bench(tmp_path / "var", models or (LISTED, CLASSES, OWNED))
    bench.folder = FakeFolder(tmp_path / "vendor")
    return bench


def orphans(bench: Bench, *numbers: int) -> dict[int, str]:
    """Accounts that were there before: number -> remote id."""
    return {n: bench.platform.put("users", user(n, person_id=None)) for n in numbers}


def roster(bench: Bench, many: int, adopted: dict[int, str] | None = None, **values: str) -> None:
    bench.desire(
        users=[user(n, adopt_id=(adopted or {}).get(n), **values) for n in range(1, many + 1)],
        students=[student(n) for n in range(1, many + 1)],
        classes=[{"class_id": "c1"}],
    )


def holds_of(bench: Bench, entity: str = "students") -> list[str]:
    return next(p for p in bench.run.read("plan.json")["exports"] if p["entity"] == entity)["holds"]


def test_a_first_file_most_of_whose_rows_wait_for_a_held_adoption_is_held_with_its_numbers(
    tmp_path: Path,
) -> None:
    bench = district(tmp_path)
    roster(bench, 10, orphans(bench, *range(1, 9)))
    assert bench.whole_night("create", "first night") == 2
    assert names(tmp_path) == []
    assert holds_of(bench) == [
        "folder students: 2 of 10 rows would be sent, 8 wait for fake users whose adopt is held"
        ' (80.0 %, limit 20 %); see "make show TARGET=folder" and exports.folder__left_out for why'
        ' of each, then "make plan ALLOW=folder.students.drop WHY=…" and "make push"'
    ]
    rows = dict(
        bench.ask(
            "select key, said(hold) from ledger.audit.changes where entity = 'students' and run_id"
            " = ?",
            bench.run.run_id,
        )
    )
    assert len(rows) == 10
    assert rows["1"].startswith(
        "waits for fake users p1, whose adopt is held: fake users: 8 adopts"
    )
    assert rows["9"] == holds_of(bench)[0]
    assert bench.whole_night("adopt,create", "they are ours") == 0
    (file,) = (tmp_path / "vendor").iterdir()
    assert len(file.read_text().splitlines()) == 11


@pytest.mark.parametrize("why", ["held", "not planned", "under a hold", "refused"])
def test_a_file_of_which_nobody_could_be_in_does_not_go_with_its_classes_alone(
    tmp_path: Path, why: str
) -> None:
    """The other members of the zip have rows that wait for nobody."""
    users = replace(OWNED, meta={**OWNED.meta, "limits": {"create": 0}})
    users = replace(users, status="error") if why == "refused" else users
    bench = district(tmp_path, LISTED, CLASSES, users if why in ("held", "refused") else OWNED)
    roster(bench, 3, **({"hold": "the police"} if why == "under a hold" else {}))
    if why == "not planned":
        bench.desire(users=[])
    assert bench.whole_night() == 2
    assert names(tmp_path) == []
    said = {
        "held": "3 wait for fake users whose create is held",
        "not planned": "3 wait for fake users nobody makes tonight",
        "under a hold": "3 wait for fake users under a hold",
        "refused": "3 wait for fake users nobody makes tonight",
    }[why]
    assert f"0 of 3 rows would be sent, {said} (100.0 %, limit 20 %)" in holds_of(bench)[0]
    assert bench.whole_night("folder.students.drop", "classes first") in (0, 2)
    assert names(tmp_path) == ["all"]


def test_accounts_that_fail_keep_the_file_back_that_would_go_without_them(tmp_path: Path) -> None:
    """Nothing was held when the plan was made: it is counted again before the file is made."""
    bench = district(tmp_path)
    bench.target.faults = lambda change: (
        Outcome(change.change_id, "failed", 403, "forbidden")
        if change.entity == "users" and change.key not in (("p1",), ("p2",))
        else None
    )
    roster(bench, 8)
    assert bench.whole_night() == 3
    assert names(tmp_path) == []
    told = [one for one in findings.read(bench.run) if one["code"] == "file_not_sent"]
    assert [(one["target"], one["values"]["file"][:4]) for one in told] == [("folder", "all_")]
    assert (
        "2 of 8 rows would be sent, 6 wait for what was to be made tonight and was not"
        " (75.0 %, limit 20 %)"
    ) in told[0]["values"]["why"]
    assert bench.verify() == 3
    bench.target.faults = None
    assert bench.whole_night() == 0
    assert names(tmp_path) == ["all"]


def test_what_waits_counts_against_the_last_delivery_as_what_vanished_does(tmp_path: Path) -> None:
    """Six of ten leave, and the three who come have no account: of the last file four are left."""
    lax = replace(LISTED, meta={**LISTED.meta, "limits": {"drop": "50%"}})
    bench = district(tmp_path, lax, CLASSES, OWNED)
    roster(bench, 10)
    assert bench.whole_night() == 0
    bench.target.faults = lambda change: Outcome(change.change_id, "failed", 403, "forbidden")
    new = [1, 2, 3, 4, 11, 12, 13]
    bench.desire(
        users=[user(n) for n in new],
        students=[student(n) for n in new],
        classes=[{"class_id": "c"}],
    )
    assert bench.whole_night() == 3
    (told,) = [one for one in findings.read(bench.run) if one["code"] == "file_not_sent"]
    assert (
        "6 of 10 rows delivered last time would vanish (60.0 %, limit 50 %)"
        in told["values"]["why"]
    )
    assert bench.folder is not None
    assert bench.folder.write_calls == 1


def test_what_the_model_of_a_file_leaves_out_counts_as_what_waits(tmp_path: Path) -> None:
    """`folder__left_out`: nobody has an account name, or a school, and so is in no row at all."""
    bench = district(tmp_path)
    roster(bench, 7)
    bench.ask("create table exports.folder__left_out (entity text, key text, reason_code text)")
    bench.ask(
        "insert into exports.folder__left_out select 'students', 'x' || n,"
        " 'left_out_without_account' from range(3) as t (n)"
    )
    bench.ask("insert into exports.folder__left_out values ('classes', 'y', 'left_out_failed')")
    assert bench.whole_night() == 2
    assert names(tmp_path) == []
    assert "7 of 10 rows would be sent, 3 have no account name" in holds_of(bench)[0]
    bench.ask("delete from exports.folder__left_out where key = 'x1'")
    assert bench.whole_night() == 0, "2 of 9 are a fifth, rounded up"
    assert names(tmp_path) == ["all"]
    assert bench.whole_night() == 0
    assert bench.folder is not None
    assert bench.folder.write_calls == 1, "and a quiet night asks nothing and sends nothing"


@given(
    accounts=st.integers(0, 12),
    held=st.integers(0, 12),
    unlisted=st.integers(0, 12),
    limit=st.one_of(st.integers(0, 12), st.sampled_from(["0%", "20%", "50%", "100%"])),
)
def test_a_file_goes_when_no_more_is_left_out_than_its_limit_says(
    accounts: int, held: int, unlisted: int, limit: int | str
) -> None:
    left = held + unlisted
    total = accounts + left
    most = limit if isinstance(limit, int) else math.ceil(int(limit[:-1]) * total / 100)
    why = left_out_hold(
        "t",
        "e",
        parse({"drop": limit}, "x"),
        sent=accounts,
        without=Counter({"wait": held}) + Counter({"lack": unlisted}),
        allowed=Allowed(),
    )
    assert (why is None) == (left == 0 or (left <= most and accounts > 0))
    if why is not None:
        assert (why.values["sent"], why.values["total"]) == (accounts, total)
        assert not held or f"{held} wait" in str(why)
        assert not unlisted or f"{unlisted} lack" in str(why)
    for word in ("drop", "t.drop", "t.e.drop"):
        lifted = Allowed.parse(word, "it is right")
        assert (
            left_out_hold(
                "t",
                "e",
                parse({"drop": limit}, "x"),
                sent=accounts,
                without=Counter({"wait": left}),
                allowed=lifted,
            )
            is None
        )


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


INVITED = Model(
    "invited",
    {"student_id": "varchar", "email": "varchar", "name": "varchar"},
    {"key": ["student_id", "email"], "limits": NO_LIMITS, "file": {"name": "invited.csv"}},
    metas={"email": {"personal_data": "family"}, "student_id": {"personal_data": "key"}},
    target="folder",
)


def guardian(number: int, email: str, name: str = "G") -> dict:
    return {"student_id": f"{number}", "email": email, "name": name}


def test_a_key_that_tells_who_somebody_is_stands_nowhere_but_in_the_file(
    bench: Bench, tmp_path: Path
) -> None:
    addresses = ["ada.lovelace@example.com", "a|b\\c@example.com"]
    bench.models = [INVITED]
    bench.desire(invited=[guardian(1, addresses[0]), guardian(1, addresses[1]), guardian(2, "x")])
    assert bench.whole_night() == 0
    (file,) = (tmp_path / "vendor").iterdir()
    assert all(address in file.read_text() for address in addresses), "the vendor has the address"
    keys = [
        f"{student}|~{hashlib.sha256(email.encode()).hexdigest()[:16]}"
        for student, email in ((1, addresses[0]), (1, addresses[1]), (2, "x"))
    ]
    asked = "select key from ledger.audit.changes where entity = 'invited' order by seq"
    assert sorted(key for (key,) in bench.ask(asked)) == sorted(keys)
    assert bench.whole_night() == 0
    assert bench.folder is not None and bench.folder.write_calls == 1, "a quiet night"
    bench.desire(invited=[guardian(1, addresses[0], "H"), guardian(2, "x")])
    bench.new_night()
    changes = [one[:3] for one in bench.changes(bench.plan()) if one[0] == "invited"]
    assert changes == [("invited", "update", keys[0]), ("invited", "remove", keys[1])]
    assert bench.push() == 0
    kept = bench.ask("select _key, email, name from ledger.applied.folder__invited order by name")
    assert kept == [(keys[2], "x", "G"), (keys[0], addresses[0], "H")]
    for path in (tmp_path / "var" / "runs").rglob("*"):
        if path.is_file() and path.suffix in (".json", ".jsonl"):
            assert "@example.com" not in path.read_text(encoding="utf-8"), path


def test_rows_written_under_a_key_that_told_a_person_are_known_by_its_stand_in(
    bench: Bench,
) -> None:
    bench.models = [replace(INVITED, metas={})]
    bench.desire(invited=[guardian(1, "ada@example.com")])
    assert bench.whole_night() == 0
    bench.models = [INVITED]
    bench.new_night()
    assert bench.changes(bench.plan()) == []
    ((key,),) = bench.ask("select _key from ledger.applied.folder__invited")
    assert key.startswith("1|~") and "ada" not in key
