"""Plans: what is in one, what it is judged by, what makes it another; and what of a push is
refused, told and returned.
"""

from __future__ import annotations

import json
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
from engine_bench import GROUPS, MEMBERS, NO_LIMITS, USERS, Bench, FakeFolder, user
from ledger_kit import change, export, held, ledger, stand, waits_for

from common import store
from common.problems import Reason, said
from reverse_etl import deliveries, diff, exports, holds, journal, left_out
from reverse_etl import plan as planning
from reverse_etl import push as pushing
from reverse_etl.execute import Tally
from reverse_etl.limits import Allowed
from reverse_etl.model import Change, Column, Export, FileFormat, Outcome, Rendered
from reverse_etl.plan import ExportPlan, Scope

NOTHING = Allowed()


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with ledger() as made:
        yield made


def keys(connection: duckdb.DuckDBPyConnection) -> list[str]:
    return [key for (key,) in connection.execute("select key from changes order by key").fetchall()]


# ---------------------------------------------------------------- scope


def test_a_part_is_judged_by_the_whole_so_that_nothing_goes_through_school_by_school(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path / "var", [replace(USERS, meta={**USERS.meta, "limits": {"create": 2}})])
    bench.desire(
        users=[
            user(1, person_id="a"),
            user(2, person_id="b", school_number="07474002"),
            user(3, person_id="c", school_number="07474002"),
        ]
    )
    bench.observe()
    for scope, key in ((Scope(partition="07474001"), "a"), (Scope(subject="a"), "a")):
        plan = bench.plan(scope=scope)
        assert [(row[2], row[5]) for row in bench.changes(plan)] == [(key, True)]
        assert "3 creates planned" in plan["exports"][0]["holds"][0]
        assert plan["exports"][0]["planned"] == {"create": 1}
    assert (
        bench.plan(scope=Scope(subject="a"), allow="create", why="they came")["exports"][0]["held"]
        == {}
    )


@pytest.mark.parametrize(
    ("scope", "left"),
    [
        (Scope(), ["a", "b", "c"]),
        (Scope(partition="s1"), ["a"]),
        (Scope(subject="p2"), ["b"]),
        (Scope(action="create"), ["b", "c"]),
        (Scope(partition="s1", action="create"), []),
        (Scope(targets=("other",)), ["a", "b", "c"]),
    ],
)
def test_a_scope_leaves_out_what_it_does_not_name(
    connection: duckdb.DuckDBPyConnection, scope: Scope, left: list[str]
) -> None:
    change(connection, "a", subject="p1", partition="s1")
    change(connection, "b", "create", subject="p2", partition="s2")
    change(connection, "c", "create", subject=None)
    planning._within(connection, scope)
    assert keys(connection) == left


def test_a_scope_is_partial_when_it_picks_rows_and_then_files_stay_out() -> None:
    assert [
        Scope(**one).is_partial
        for one in ({}, {"targets": ("a",)}, {"partition": "s"}, {"subject": "p"}, {"action": "a"})
    ] == [False, False, True, True, True]
    assert [Scope(targets).covers("a") for targets in ((), ("a", "b"), ("b",))] == [
        True,
        True,
        False,
    ]
    users, file = export(), replace(export("a"), target="vendor", file=FileFormat("a.csv"))
    early = replace(export("admins"), target="fake")
    every = SimpleNamespace(good=[users, file], refused=[(early, "why")])
    assert planning._ordered(every, Scope()) == [(early, "why"), (users, None), (file, None)]  # type: ignore[arg-type]
    assert planning._ordered(every, Scope(targets=("vendor",))) == [(file, None)]  # type: ignore[arg-type]
    assert planning._ordered(every, Scope(partition="s")) == [(early, "why"), (users, None)]  # type: ignore[arg-type]


def test_an_export_of_a_kind_its_target_does_not_take_is_told() -> None:
    users, file = export(), replace(export("a"), file=FileFormat("a.csv"))
    assert planning._rank(users, ("groups", "users")) == 1
    assert planning._rank(file, ()) == 0
    for one, order, words in (
        (file, ("users",), "takes objects, not files"),
        (users, ("groups", "members"), "it has groups, members"),
        (users, (), "it has files only"),
    ):
        with pytest.raises(diff.DiffImpossibleError, match=words):
            planning._rank(one, order)


# ---------------------------------------------------------------- what makes a plan another


def test_a_digest_is_of_everything_that_is_written_and_held_of_one_target(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    change(connection, "a", old={"x": 1}, new={"x": 2}, remote_id="r", hold="waits")
    change(connection, "b", entity_rank=2)
    first = planning._digest(connection, "fake")
    for column, value in (
        ("entity", "groups"),
        ("key", "z"),
        ("action", "rename"),
        ("remote_id", "s"),
        ("old", "{}"),
        ("new", "{}"),
        ("hold", "other"),
        ("hold", None),
    ):
        before = connection.execute(f"select {column} from changes where key = 'a'").fetchone()
        connection.execute(
            f"update changes set {column} = ? where action <> 'x' and entity_rank = 1", [value]
        )
        assert planning._digest(connection, "fake") != first, column
        connection.execute(
            f"update changes set {column} = ? where entity_rank = 1", list(before or ())
        )
    assert planning._digest(connection, "fake") == first
    change(connection, "c", target="other")
    connection.execute("update changes set reason = 'said otherwise', source = 'x'")
    assert planning._digest(connection, "fake") == first
    connection.execute("update changes set entity_rank = 3 - entity_rank")
    assert planning._digest(connection, "fake") != first


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("old", '{"x": 9}'),
        ("new", '{"x": 9}'),
        ("hold", "another"),
        ("action", "rename"),
        ("entity", "groups"),
        ("key", "z"),
    ],
)
def test_what_moved_is_counted_and_the_first_is_named(
    connection: duckdb.DuckDBPyConnection, column: str, value: str
) -> None:
    for n in range(2):
        change(connection, f"p{n}", new={"x": n}, old={"x": 0}, hold="h")
    connection.execute(
        """insert into ledger.audit.planned_changes (plan_id, target, entity, key, action, old, new,
        hold)
                          select 'plan', target, entity, key, action, old, new, hold from changes"""
    )
    connection.execute(
        "insert into ledger.audit.planned_changes (plan_id, target, entity, key, action) values"
        " ('another', 'fake', 'users', 'q', 'update')"
    )
    change(connection, "q", target="other")
    assert planning.moved(connection, "plan", "fake") == "the objects behind the changes are others"
    connection.execute(f"update changes set {column} = ? where key = 'p1'", [value])
    now = {"entity": "update groups p1", "action": "rename users p1", "key": "update users z"}.get(
        column, "update users p1"
    )
    assert (
        planning.moved(connection, "plan", "fake")
        == f"1 new or different (first: {now}) and 1 no longer so (first: update users p1)"
    )


def test_of_what_moved_the_first_by_kind_key_and_action_is_named(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    for key, action, entity in (
        ("z", "adopt", "users"),
        ("b", "create", "users"),
        ("b", "adopt", "users"),
        ("c", "adopt", "users"),
        ("y", "update", "groups"),
    ):
        change(connection, key, action, entity=entity)
    assert (
        planning.moved(connection, "plan", "fake") == "5 new or different (first: update groups y)"
    )
    connection.execute("delete from changes where entity = 'groups'")
    assert planning.moved(connection, "plan", "fake") == "4 new or different (first: adopt users b)"


def test_what_stands_under_a_plan_is_its_code_and_its_own_tables() -> None:
    def ground(code: str = "c1", **tables: int) -> dict[str, Any]:
        return {
            "code": code,
            "tables": {name: {"rows": rows, "sha256": str(rows)} for name, rows in tables.items()},
        }

    then = ground(exp_fake__users=1000, exp_other__users=1)
    assert (
        planning.ground_moved(
            then, ground("c2", exp_fake__users=1000, exp_other__users=2), "fake", code=False
        )
        == ""
    )
    assert (
        planning.ground_moved(then, ground("c2", exp_fake__users=1000), "fake", code=True)
        == "the code is at c2 and was at c1"
    )
    assert (
        planning.ground_moved(ground(""), ground("c2"), "fake", code=True)
        == "the code is at c2 and was at no commit"
    )
    assert (
        planning.ground_moved(ground("c2"), ground(""), "fake", code=True)
        == "the code is at no commit and was at c2"
    )
    assert (
        planning.ground_moved(
            then, ground(exp_fake__groups=2, exp_fake__users=1001), "fake", code=True
        )
        == "table exp_fake__groups was built anew and differs (no table, now 2 rows); "
        "table exp_fake__users was built anew and differs (1,000 rows, now 1,001 rows)"
    )
    assert (
        planning.ground_moved(then, ground(), "fake", code=True)
        == "table exp_fake__users was built anew and differs (1,000 rows, now no table)"
    )


def test_a_file_is_another_when_its_form_or_a_heading_is() -> None:
    columns = (Column("id"), Column("name", header="Name"))
    one = Export("m", "r", "t", "e", ("id",), columns, file=FileFormat("a.csv"))
    assert deliveries.shape(one) == deliveries.shape(replace(one, model="n", relation="s"))
    others = [
        replace(one, file=FileFormat("a.csv", delimiter=";")),
        replace(one, columns=columns[::-1]),
        replace(one, columns=columns[:1]),
        replace(one, columns=(columns[0], Column("name", header="NAME"))),
        replace(one, file=None),
    ]
    assert len({deliveries.shape(other) for other in (one, *others)}) == 6
    assert len(deliveries.shape(one)) == 16


def test_an_export_that_is_stopped_stops_no_other(connection: duckdb.DuckDBPyConnection) -> None:
    for key, more in (
        ("a", {}),
        ("b", {"hold": "before"}),
        ("c", {"entity": "groups"}),
        ("d", {"target": "other"}),
    ):
        change(connection, key, **more)
    planning._hold(connection, ("fake", "users"), holds.refused("it was not seen"))
    said = connection.execute("select key, said(hold) from changes order by key").fetchall()
    assert said == [("a", "it was not seen"), ("b", "it was not seen"), ("c", None), ("d", None)]


def test_seasons_are_read_in_their_order_so_that_the_later_one_counts(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    assert planning._seasons(connection) == []  # before the first build
    names = (
        "reason",
        "last_day",
        "first_day",
        "limit_text",
        "scope",
        "column_name",
        "action",
        "entity",
        "target",
    )
    connection.execute(
        "create schema seeds; create table seeds.limit_seasons"
        f" ({', '.join(f'{name} text' for name in names)})"
    )
    for last, first, limit in (
        ("09-20", "08-25", "3"),
        ("09-30", "06-25", "2"),
        ("09-10", "06-25", "1"),
    ):
        connection.execute(
            "insert into seeds.limit_seasons values ('why', ?, ?, ?, 'partition', 'email',"
            " 'update', 'users', 'fake')",
            [last, first, limit],
        )
    seasons = planning._seasons(connection)
    assert [row["limit_text"] for row in seasons] == ["1", "2", "3"]
    assert seasons[0] == {
        "target": "fake",
        "entity": "users",
        "action": "update",
        "column_name": "email",
        "scope": "partition",
        "limit_text": "1",
        "first_day": "06-25",
        "last_day": "09-10",
    }


# ---------------------------------------------------------------- files


def test_a_file_goes_or_waits_as_a_whole_and_says_what_is_in_it(
    connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTRICT__NUMBER", "'74'")
    zipped = "all_{district}_{date}.zip"
    forms = {
        "a": FileFormat("a.csv", zipped),
        "b": FileFormat("b.csv", zipped),
        "gone": FileFormat("gone.csv", zipped, when_empty="skip"),
        "empty": FileFormat("empty|1.csv", when_empty="send"),
        "silent": FileFormat("silent.csv", when_empty="skip"),
        "reshaped": FileFormat("reshaped.csv"),
        "quiet": FileFormat("quiet.csv"),
    }
    exports = [
        export(entity, ("id",), target="vendor", file=form, context=())
        for entity, form in forms.items()
    ]
    for one in exports:
        stand(connection, one)
    connection.execute(
        "update ledger.applied.tables set shape = 'another' where entity in ('reshaped', 'a')"
    )
    desired = {"a": 5, "b": 2, "reshaped": 3, "quiet": 4}
    parts = {
        ("vendor", entity): ExportPlan("vendor", entity, desired=desired.get(entity, 0))
        for entity in forms
    }
    for key, entity, action, hold in (
        ("a1", "a", "update", None),
        ("a2", "a", "create", waits_for("google", "users", "x")),
        ("b1", "b", "remove", "over its limit"),
        ("g1", "gone", "remove", None),
        ("e1", "empty", "remove", None),
        ("s1", "silent", "remove", None),
        ("s2", "silent", "remove", "over its limit"),
    ):
        change(connection, key, action, target="vendor", entity=entity, hold=hold)
    for key, entity in (("o1", "a"), ("o2", "silent")):
        change(connection, key, target="other", entity=entity)
    night = SimpleNamespace(as_of="2026-01-02", at=time(2, 3, 4))
    deliveries.plan(connection, night, exports, parts, Allowed())  # type: ignore[arg-type]
    assert connection.execute(
        "select key, said(hold) from changes where action <> 'deliver' order by key"
    ).fetchall() == [
        ("a1", "over its limit"),
        ("a2", "waits for google users x"),
        ("b1", "over its limit"),
        ("e1", None),
        ("o1", None),
        ("o2", None),
        ("s2", "over its limit"),
    ]
    rows = connection.execute(
        """select target, entity, entity_rank, key, subject, partition, action_rank,
        remote_id, cast(old as varchar), said(reason), said(hold),
                                        source, export_model from changes where action = 'deliver'
                                        order by key"""
    ).fetchall()
    whose = ("vendor", "file", 99), (None, None, 99, None, "{}")
    assert rows == [
        (
            *whose[0],
            "all_74_2026-01-02.zip",
            *whose[1],
            "2 rows changed",
            "over its limit",
            None,
            "exp_vendor__a, exp_vendor__b",
        ),
        (*whose[0], "empty\\|1.csv", *whose[1], "1 rows changed", None, None, "exp_vendor__empty"),
        (
            *whose[0],
            "reshaped.csv",
            *whose[1],
            "form changed: reshaped",
            None,
            None,
            "exp_vendor__reshaped",
        ),
    ]
    new = [
        json.loads(text)
        for (text,) in connection.execute(
            "select cast(new as varchar) from changes where action = 'deliver' order by key"
        ).fetchall()
    ]
    shapes = {one.entity: deliveries.shape(one) for one in exports}
    tonight = {"as_of": "2026-01-02", "time": "02:03:04", "delta": False}
    assert new == [
        tonight
        | {
            "template": zipped,
            "file": "all_74_2026-01-02.zip",
            "entities": ["a", "b"],
            "rows": 6,
            "waiting": 1,
            "shapes": {"a": shapes["a"], "b": shapes["b"]},
        },
        tonight
        | {
            "template": "empty|1.csv",
            "file": "empty|1.csv",
            "entities": ["empty"],
            "rows": 0,
            "waiting": 0,
            "shapes": {"empty": shapes["empty"]},
        },
        tonight
        | {
            "template": "reshaped.csv",
            "file": "reshaped.csv",
            "entities": ["reshaped"],
            "rows": 3,
            "waiting": 0,
            "shapes": {"reshaped": shapes["reshaped"]},
        },
    ]
    assert parts["vendor", "file"] == ExportPlan("vendor", "file", desired=3)


# ---------------------------------------------------------------- what is kept of a plan


def test_what_a_plan_said_stands_in_the_audit_in_the_order_of_writing(tmp_path: Path) -> None:
    from test_engine_files import STUDENTS, student

    (tmp_path / "vendor").mkdir()
    bench = Bench(
        tmp_path / "var", [replace(USERS, meta={**USERS.meta, "limits": {"create": 1}}), STUDENTS]
    )
    bench.folder = FakeFolder(tmp_path / "vendor")
    bench.platform.put(
        "users", {k: v for k, v in user(1).items() if k not in ("school_number", "source")}
    )
    bench.desire(
        users=[user(1, given_name="new"), user(3), user(2)], students=[student(2), student(1)]
    )
    bench.observe()
    plan = bench.plan(allow="fake.users.drop", why="we looked")
    assert bench.ask(
        "select plan_id, run_id, digest, target, entity, desired, observed, cast(planned as"
        " varchar), cast(held as varchar), cast(allowed as varchar) from ledger.audit.plans order"
        " by target, entity desc"
    ) == [
        (
            plan["plan_id"],
            bench.run.run_id,
            plan["digest"],
            *row,
            '{"words": ["fake.users.drop"], "why": "we looked", "who": ""}',
        )
        for row in (
            ("fake", "users", 3, 1, '{"create": 2, "update": 1}', '{"create": 2}'),
            ("folder", "students", 2, 0, '{"create": 2}', "{}"),
            ("folder", "file", 1, 0, '{"deliver": 1}', "{}"),
        )
    ]
    assert [(entity, action, key) for entity, action, key, *_ in bench.changes(plan)] == [
        ("users", "create", "p2"),
        ("users", "create", "p3"),
        ("users", "update", "p1"),
        ("students", "create", "1"),
        ("students", "create", "2"),
        ("file", "deliver", f"all_{bench.run.as_of.isoformat()}.zip"),
    ]
    assert bench.ask(
        "select target, subject, partition, cast(old as varchar), said(reason), source,"
        " export_model, seq from ledger.audit.planned_changes where key = 'p1'"
    ) == [
        (
            "fake",
            "p1",
            "07474001",
            '{"given_name":"G1"}',
            "differs from fake, not written by us before: given_name",
            "students.csv:1",
            "exp_fake__users",
            3,
        )
    ]
    assert (plan["undoes"], plan["rests_on"], plan["scope"]["targets"]) == (
        "",
        planning.rests_on(bench.run),
        (),
    )


# ---------------------------------------------------------------- counting

DOUBLED = Reason("hold_key_doubled", {"copies": 2, "target": "fake"})


def test_a_plan_counts_what_is_planned_held_waiting_released_and_changed_by_hand(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    change(connection, "a")
    change(connection, "b", hold="over its limit")
    change(connection, "c", hold=waits_for("google", "users", "c"))
    change(connection, "d", "create", released=True)
    change(connection, "e", "create", hold=DOUBLED)
    change(connection, "f", entity="groups", hold=waits_for("google", "users", "c"))
    for column, policy in (("name", "revert"), ("name", "revert"), ("email", "leave")):
        connection.execute(
            "insert into drifts (target, entity, key, column_name, policy) values ('fake', 'users',"
            " 'a', ?, ?)",
            [column, policy],
        )
    parts = {("fake", entity): ExportPlan("fake", entity) for entity in ("users", "groups")}
    planning._count(connection, parts)
    assert parts["fake", "users"] == ExportPlan(
        "fake",
        "users",
        planned={"update": 3, "create": 2},
        held={"update": 1, "create": 1},
        waiting=1,
        released=1,
        drift={"revert": {"name": 2}, "leave": {"email": 1}},
        holds=[f"fake users: 1 held, {DOUBLED}"],
    )
    assert parts["fake", "groups"] == ExportPlan("fake", "groups", planned={"update": 1}, waiting=1)
    nothing = {
        "target": "t",
        "entity": "e",
        "desired": 0,
        "observed": 0,
        "planned": {},
        "held": {},
        "holds": [],
        "set_aside": 0,
        "waiting": 0,
        "postponed": 0,
        "until": "",
        "released": 0,
        "closed": [],
        "opened": [],
        "conflicts": [],
        "documents": [],
        "drift": {},
        "made_from": {},
    }
    assert asdict(ExportPlan("t", "e")) == nothing
    document = {
        "exports": [
            {"planned": {"update": 3, "create": 2}, "held": {"update": 1}},
            {"planned": {"update": 1}, "held": {}},
        ]
    }
    assert planning.totals(document) == (Counter(update=4, create=2), Counter(update=1))


# ---------------------------------------------------------------- what waits for another target


@pytest.mark.parametrize(
    ("needed", "entity", "target", "action", "hold", "waits"),
    [
        ("n", "users", "google", "create", None, False),
        ("n", "users", "google", "adopt", None, False),
        ("n", "users", "google", "update", None, True),
        ("n", "users", "google", "undelete", None, True),
        ("n", "users", "google", "create", "over its limit", True),
        ("m", "users", "google", "create", None, True),
        ("n", "groups", "google", "create", None, True),
        ("n", "users", "other", "create", None, True),
        ("there", "users", "other", "create", None, False),
        (None, "users", "other", "create", None, False),
    ],
)
def test_a_row_waits_until_its_object_elsewhere_is_there_or_coming(
    connection: duckdb.DuckDBPyConnection,
    needed: str | None,
    entity: str,
    target: str,
    action: str,
    hold: str | None,
    waits: bool,
) -> None:
    stand(connection, export("users", ("person_id",), target="google"), there=[("r", "there")])
    rows = replace(
        export("rows", ("id", "person_id"), context=()), after={"person_id": ("google", "users")}
    )
    stand(connection, rows, wanted=[("1", needed), ("2", "missing"), ("3", "missing")])
    change(connection, "n", action, target=target, entity=entity, hold=hold)
    change(connection, "1", "create", entity="rows")
    change(connection, "2", "update", entity="rows")
    change(connection, "3", "create", entity="rows", hold="before")
    change(connection, "1", "create", entity="others")
    left_out.wait(connection, rows)
    said = connection.execute(
        "select key, said(hold) from changes where target = 'fake' and entity in ('rows', 'others')"
        " and hold is not null order by key"
    ).fetchall()
    why = f", whose create is held: {hold}" if hold else ""
    assert said == ([("1", f"waits for google users {needed}{why}")] if waits else []) + [
        ("3", "before")
    ]


def test_what_waits_for_others_is_looked_at_after_their_limits_whatever_they_are_called(
    tmp_path: Path,
) -> None:
    groups = replace(GROUPS, meta={**GROUPS.meta, "after": {"email": "fake.users"}})
    bench = Bench(
        tmp_path / "var", [groups, replace(USERS, meta={**USERS.meta, "limits": {"create": 1}})]
    )
    bench.desire(
        groups=[{"group_id": "g1", "email": "p1", "name": "of one"}], users=[user(1), user(2)]
    )
    bench.observe()
    assert [(entity, key, held) for entity, _, key, _, _, held in bench.changes(bench.plan())] == [
        ("users", "p1", True),
        ("users", "p2", True),
        ("groups", "g1", True),
    ]
    assert bench.run.read("plan.json")["exports"][0]["waiting"] == 1


def test_the_plan_says_how_many_rows_of_a_file_wait_for_an_account_that_is_held(
    tmp_path: Path,
) -> None:
    from test_engine_files import STUDENTS, student

    (tmp_path / "vendor").mkdir()
    after = replace(STUDENTS, meta={**STUDENTS.meta, "after": {"person_id": "fake.users"}})
    bench = Bench(
        tmp_path / "var", [after, replace(USERS, meta={**USERS.meta, "limits": {"create": 1}})]
    )
    bench.folder = FakeFolder(tmp_path / "vendor")
    bench.desire(users=[user(1)], students=[student(1)])
    assert bench.whole_night() == 0
    bench.desire(
        users=[user(n) for n in (1, 2, 3)],
        students=[student(1, name="new"), student(2), student(3)],
    )
    bench.new_night()
    bench.observe()
    plan = bench.plan()
    (students,) = [part for part in plan["exports"] if part["entity"] == "students"]
    assert (students["waiting"], students["held"], students["planned"]) == (
        2,
        {},
        {"create": 2, "update": 1},
    )
    (file,) = [row for row in bench.changes(plan) if row[0] == "file"]
    assert (file[3]["rows"], file[3]["waiting"], file[4], file[5]) == (
        1,
        2,
        "1 rows changed",
        False,
    )


# ---------------------------------------------------------------- pushing


def test_a_file_with_other_rows_than_the_plan_says_is_not_delivered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from test_engine_files import STUDENTS, student

    class Forgetful(FakeFolder):
        def render(self, connection: duckdb.DuckDBPyConnection, delivery: Any) -> Rendered:
            made = super().render(connection, delivery)
            return replace(made, rows=made.rows - 1)

    (tmp_path / "vendor").mkdir()
    bench = Bench(tmp_path / "var", [STUDENTS])
    bench.folder = Forgetful(tmp_path / "vendor")
    bench.desire(students=[student(n) for n in range(3)])
    assert bench.whole_night() == 3
    assert list((tmp_path / "vendor").iterdir()) == []
    assert "would hold 2 rows and the plan says 3" in capsys.readouterr().err
    assert bench.ask("select count(*) from ledger.audit.deliveries") == [(0,)]


def test_a_file_made_before_a_kill_is_the_one_that_goes(tmp_path: Path) -> None:
    from test_engine_files import STUDENTS, student

    class Killed(Exception):
        """Stands for a kill between making and delivering."""

    class Folder(FakeFolder):
        made = 0

        def render(self, connection: duckdb.DuckDBPyConnection, delivery: Any) -> Rendered:
            Folder.made += 1
            return super().render(connection, delivery)

    (tmp_path / "vendor").mkdir()
    bench = Bench(tmp_path / "var", [STUDENTS])
    bench.folder = Folder(tmp_path / "vendor")
    bench.desire(students=[student(1)])
    bench.observe()
    bench.plan()
    execute = pushing._execute

    def cut(*_: Any) -> dict:
        raise Killed

    pushing._execute = cut
    try:
        with pytest.raises(Killed):
            bench.push()
    finally:
        pushing._execute = execute
    (path,) = (one for one in (tmp_path / "var" / "outbox").rglob("*.zip"))
    path.write_text("made before")
    assert (path.parent.stat().st_mode & 0o777) == 0o700
    assert bench.push() == 0
    assert [file.read_text() for file in (tmp_path / "vendor").iterdir()] == ["made before"]
    assert Folder.made == 1
    assert bench.ask("select rows, bytes from ledger.audit.deliveries") == [(1, len("made before"))]


def test_a_file_is_made_of_its_own_members_in_the_order_of_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from test_engine_files import ABSENCES, FAMILY, STUDENTS, student

    made: dict[str, Any] = {}

    class Folder(FakeFolder):
        def render(self, connection: duckdb.DuckDBPyConnection, delivery: Any) -> Rendered:
            made[delivery.name] = (
                [(name, export.entity) for name, export in delivery.members],
                delivery.archive,
                delivery.target,
                {name: set(part.without) for name, part in delivery.parts.items()},
            )
            return super().render(connection, delivery)

    monkeypatch.setenv("DISTRICT__NUMBER", "'74'")
    (tmp_path / "vendor").mkdir()
    zipped = {"archive": "all_{district}.zip"}
    bench = Bench(
        tmp_path / "var",
        [
            replace(
                STUDENTS,
                meta={**STUDENTS.meta, "file": {"name": "a_{district}_{date}.csv", **zipped}},
            ),
            replace(FAMILY, meta={**FAMILY.meta, "file": {"name": "b_{district}.csv", **zipped}}),
            ABSENCES,
        ],
    )
    bench.folder = Folder(tmp_path / "vendor")
    bench.desire(
        students=[student(1)],
        family=[{"student_id": "1", "relation": "Mother"}],
        absences=[{"absence_id": "x"}],
    )
    assert bench.whole_night() == 0
    day = bench.run.as_of.isoformat()
    assert made == {
        "all_74.zip": (
            [(f"a_74_{day}.csv", "students"), ("b_74.csv", "family")],
            True,
            "folder",
            {f"a_74_{day}.csv": set(), "b_74.csv": set()},
        ),
        "absences.csv": ([("absences.csv", "absences")], False, "folder", {"absences.csv": set()}),
    }


AUDITED = (
    "create table ledger.audit.changes (plan_id text, target text, entity text, key text, action"
    " text, status text)"
)


def test_what_was_to_be_made_first_and_was_not_is_waited_for(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    connection.execute(AUDITED)
    stand(connection, export("users", ("person_id",), target="google"), there=[("r", "there")])
    rows = replace(
        export("rows", ("id", "person_id"), context=()), after={"person_id": ("google", "users")}
    )
    stand(
        connection,
        rows,
        wanted=[
            (f"row {needed}", needed)
            for needed in (
                "there",
                "made",
                "adopted",
                "updated",
                "failed",
                "another plan",
                "another target",
                "another kind",
                "nobody",
            )
        ]
        + [("row none", None)],
    )
    for key, more in (
        ("made", {}),
        ("adopted", {"action": "adopt"}),
        ("updated", {"action": "update"}),
        ("failed", {"status": "failed"}),
        ("another plan", {"plan": "x"}),
        ("another target", {"target": "x"}),
        ("another kind", {"entity": "x"}),
    ):
        given = {
            "plan": "plan",
            "target": "google",
            "entity": "users",
            "key": key,
            "action": "create",
            "status": "applied",
        } | more
        connection.execute(
            "insert into ledger.audit.changes values ($plan, $target, $entity, $key, $action,"
            " $status)",
            given,
        )

    def planned(
        key: str,
        action: str = "create",
        plan: str = "plan",
        target: str = "fake",
        entity: str = "rows",
    ) -> None:
        connection.execute(
            "insert into ledger.audit.planned_changes (plan_id, target, entity, key, action) values"
            " (?, ?, ?, ?, ?)",
            [plan, target, entity, key, action],
        )

    for needed in (
        "there",
        "made",
        "adopted",
        "updated",
        "failed",
        "another plan",
        "another target",
        "another kind",
        "none",
    ):
        planned(f"row {needed}")
    for more in ({"action": "update"}, {"plan": "x"}, {"target": "x"}, {"entity": "x"}):
        planned("row nobody", **more)
    assert left_out.not_there(connection, "plan", [export(), rows]) == {
        ("rows", f"row {needed}"): f"google users {needed}"
        for needed in ("updated", "failed", "another plan", "another target", "another kind")
    }


@pytest.mark.parametrize("there", [[], [("r", "there")]])
def test_a_row_that_needs_nobody_waits_for_nobody_also_where_nobody_is_yet(
    connection: duckdb.DuckDBPyConnection, there: list
) -> None:
    connection.execute(AUDITED)
    stand(connection, export("users", ("person_id",), target="google"), there=there)
    rows = replace(
        export("rows", ("id", "person_id"), context=()), after={"person_id": ("google", "users")}
    )
    stand(connection, rows, wanted=[("1", None), ("2", "missing")])
    connection.execute(
        "insert into ledger.audit.planned_changes (plan_id, target, entity, key, action) "
        "select 'plan', 'fake', 'rows', unnest(['1', '2']), 'create'"
    )
    assert left_out.not_there(connection, "plan", [rows]) == {("rows", "2"): "google users missing"}
    for key in ("1", "2"):
        change(connection, key, "create", entity="rows")
    left_out.wait(connection, rows)
    assert held(connection) == ["2"]


def test_what_came_of_a_plan_is_counted_by_target_and_kind_with_its_calls(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    connection.execute(AUDITED)
    for plan, target, entity, status, times in (
        ("plan", "fake", "users", "applied", 3),
        ("plan", "fake", "users", "held", 1),
        ("plan", "fake", "groups", "failed", 2),
        ("plan", "other", "users", "skipped", 1),
        ("plan", "third", "users", "planned", 1),
        ("x", "fake", "users", "applied", 9),
    ):
        for _ in range(times):
            connection.execute(
                "insert into ledger.audit.changes (plan_id, target, entity, status) values (?, ?,"
                " ?, ?)",
                [plan, target, entity, status],
            )
    before = {
        "fake": {"plan_id": "plan", "write_calls": 4, "read_calls": 5},
        "other": {"plan_id": "x", "write_calls": 9},
        "third": {"write_calls": 9},
    }
    run = SimpleNamespace(read=lambda name, default: before if name == "outcome.json" else default)
    work = [
        SimpleNamespace(target=target, adapter=SimpleNamespace(write_calls=10, read_calls=20))
        for target in ("fake", "other")
    ]
    none = {"applied": 0, "failed": 0, "skipped": 0, "held": 0, "planned": 0}
    assert pushing._outcome(connection, run, "plan", work) == {  # type: ignore[arg-type]
        "fake": {
            "groups": none | {"failed": 2},
            "users": none | {"applied": 3, "held": 1},
            "write_calls": 14,
            "read_calls": 25,
            "plan_id": "plan",
        },
        "other": {
            "users": none | {"skipped": 1},
            "write_calls": 10,
            "read_calls": 20,
            "plan_id": "plan",
        },
        "third": {
            "users": none | {"planned": 1},
            "write_calls": 0,
            "read_calls": 0,
            "plan_id": "plan",
        },
    }


def test_an_error_is_told_in_our_own_words_only() -> None:
    assert pushing._plain(diff.DiffImpossibleError("it has no key")) == "it has no key"
    assert pushing._plain(ValueError("Jane Doe is no number")) == "ValueError"


def test_a_push_told_to_stop_begins_with_no_target_that_waits_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from test_engine_files import STUDENTS, student

    (tmp_path / "vendor").mkdir()
    after = replace(STUDENTS, meta={**STUDENTS.meta, "after": {"person_id": "fake.users"}})
    bench = Bench(tmp_path / "var", [after, USERS])
    bench.folder = FakeFolder(tmp_path / "vendor")
    bench.desire(users=[user(1)], students=[student(1)])
    bench.observe()
    bench.plan()
    execute = pushing._execute

    def stopped(work: Any, plan_id: str, stop: threading.Event) -> dict[str, Tally]:
        tallies = execute(work, plan_id, stop)
        stop.set()
        return tallies

    monkeypatch.setattr(pushing, "_execute", stopped)
    assert bench.push() == 3
    assert (len(bench.platform.calls), bench.folder.write_calls) == (1, 0)
    assert not (tmp_path / "var" / "outbox").exists()
    monkeypatch.setattr(pushing, "_execute", execute)
    assert bench.push() == 0
    assert (len(bench.platform.calls), bench.folder.write_calls) == (1, 1)


def test_a_push_of_nothing_planned_says_what_to_run(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "var")
    with pytest.raises(planning.NoPlanError, match='has no plan; run "make plan"'):
        bench.push()


def test_calls_of_an_interrupted_push_count_with_those_that_finished_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path / "var")
    bench.desire(users=[user(n) for n in range(8)])
    bench.target.threads = 1  # type: ignore[misc]
    stops: list[threading.Event] = []
    execute = pushing._execute
    monkeypatch.setattr(
        pushing,
        "_execute",
        lambda work, plan_id, stop: stops.append(stop) or execute(work, plan_id, stop),
    )

    def told_to_stop(change: Change) -> None:
        if change.key == ("p3",):
            signal.raise_signal(signal.SIGTERM)
            assert stops[-1].wait(30)

    bench.target.faults = told_to_stop
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    bench.observe()
    bench.plan()
    assert bench.push() == 3
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == handlers
    first = bench.run.read("outcome.json")["fake"]
    assert first["users"]["applied"] + first["users"]["planned"] == 8
    assert 0 < first["users"]["applied"] == first["write_calls"] < 8
    bench.target.faults = None
    bench.target.write_calls = 0
    assert bench.push() == 0
    last = bench.run.read("outcome.json")["fake"]
    assert last["users"] == {"applied": 8, "failed": 0, "skipped": 0, "held": 0, "planned": 0}
    assert last["write_calls"] == 8
    assert last["plan_id"] == bench.run.read("plan.json")["plan_id"]


def test_failures_are_told_by_kind_with_the_keys_to_look_at() -> None:
    tally = Tally(
        failures=Counter(
            {("users", "create", 409, "duplicate"): 1200, ("users", "create", 0, ""): 1}
        ),
        trouble="it is down",
        examples={
            ("users", "create", 409, "duplicate"): ["p1", "p2"],
            ("users", "create", 0, ""): ["p3"],
        },
    )
    nameless, duplicates, down = pushing._troubles({"fake": tally, "calm": Tally()})
    assert (
        duplicates.level,
        duplicates.code,
        duplicates.target,
        duplicates.entity,
        duplicates.key,
        duplicates.owner,
    ) == ("warning", "changes_failed", "fake", "users", "p1", "technician")
    assert (
        duplicates.message == "fake users: 1,200 create failed (409 duplicate), first keys: p1, p2"
    )
    assert (
        duplicates.action
        == "ask audit.changes for status = 'failed', or \"make show TARGET=fake ACTION=create\""
    )
    assert (down.target, down.owner, down.action) == (
        "fake",
        "technician",
        'when the target answers again, "make plan" and "make push" do the rest, as the next night'
        " does",
    )
    assert nameless.message == "fake users: 1 create failed (no reason given), first keys: p3"
    assert (down.level, down.code, down.message) == (
        "critical",
        "target_given_up",
        "fake: given up for now: it is down. What was not written stays planned.",
    )
    assert pushing._failed_so_far(tally) == ", 1,201 failed (409 duplicate 1,200,  1)"
    assert pushing._failed_so_far(None) == pushing._failed_so_far(Tally()) == ""


def test_an_interrupted_push_says_how_far_it_came() -> None:
    tallies = {
        "a": Tally(done=Counter({("users", "applied"): 3, ("users", "failed"): 1})),
        "b": Tally(done=Counter({("users", "applied"): 2})),
    }
    work = [SimpleNamespace(changes=[1] * 1000), SimpleNamespace(changes=[1] * 7)]
    told = pushing._stopped(tallies, work)  # type: ignore[arg-type]
    assert (told.level, told.code, told.owner) == ("warning", "push_interrupted", "technician")
    assert (
        told.message == 'the push was stopped after 6 of 1,007 changes; "make plan" and "make push"'
        " do the rest, as the next night does"
    )


def test_what_came_of_a_push_is_printed_where_there_is_something_to_say(
    capsys: pytest.CaptureFixture[str],
) -> None:
    counts = {"applied": 1200, "failed": 0, "skipped": 2, "held": 3, "planned": 4}
    pushing._print(
        {"fake": {"users": counts, "plan_id": "x", "write_calls": 3}, "other": {"users": counts}},
        ["fake", "none"],
    )
    assert (
        capsys.readouterr().out == "push: fake users: 1,200 applied, 2 skipped, 3 held, 4 planned\n"
    )


def test_a_push_ends_with_a_code_that_says_whether_a_person_is_needed(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "var", [USERS, GROUPS, MEMBERS])
    bench.desire(users=[user(1)])
    assert bench.whole_night() == 0
    bench.target.faults = lambda change: Outcome(change.change_id, "failed", 400, "invalid")
    bench.desire(users=[user(1), user(2)])
    assert bench.whole_night() == 3
    bench.target.faults = None
    bench.feeds = [{"source": "myedbc", "feed": "students", "status": "missing"}]
    bench.models = [replace(USERS, feeds=("students",)), GROUPS, MEMBERS]
    assert bench.whole_night() == 2
    assert pushing.push(bench.run, bench.night, bench._adapter, ("elsewhere",)) == 0
    assert not journal.read(bench.run.folder / "journal" / "fake.jsonl").unclear


def test_an_entity_others_refer_to_must_say_what_its_objects_are_called(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    one = export("users", ("person_id", "email"), context=())
    stand(
        connection,
        one,
        there=[("r2", "p1", "e"), ("r1", "p1", "e"), (None, "p2", "e"), ("r3", "p3", "e")],
    )
    assert pushing._remote_ids(connection, [one]) == {("users", "p1"): "r1", ("users", "p3"): "r3"}
    connection.execute("create or replace table staging.stg_fake__users as select 'p' as person_id")
    with pytest.raises(
        diff.DiffImpossibleError,
        match="has no column remote_id, but other entities refer to its objects",
    ):
        pushing._remote_ids(connection, [one])


def test_values_taken_over_are_theirs_and_those_given_back_ours_again(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    connection.execute(
        """create table ledger.audit.drifts (plan_id text, run_id text, found_at timestamptz,
        target text, entity text, key text, subject text,
                          partition text, column_name text, ours text, theirs text,
                          policy text)"""
    )
    rows = [
        ("plan", "fake", "users", "a", "name", "give_back"),
        ("plan", "fake", "users", "b", "name", "take_over"),
        ("plan", "fake", "users", "c", "name", "leave"),
        ("plan", "fake", "users", "d", "name", "revert"),
        ("another", "fake", "users", "e", "name", "take_over"),
        ("plan", "other", "users", "f", "name", "take_over"),
    ]
    for row in rows:
        connection.execute(
            """insert into ledger.audit.drifts (plan_id, target, entity, key, column_name, policy,
            theirs, run_id)
                              values (?, ?, ?, ?, ?, ?, '"hers"', 'run')""",
            list(row),
        )
    for key in "abce":
        for entity, column in (("users", "name"), ("users", "email"), ("groups", "name")):
            connection.execute(
                "insert into ledger.applied.taken_over (target, entity, key, column_name, theirs)"
                " values ('fake', ?, ?, ?, 'old')",
                [entity, key, column],
            )
    pushing._take_over(connection, "plan", "fake")
    users = connection.execute(
        "select key, theirs, run_id from ledger.applied.taken_over where entity = 'users' and"
        " column_name = 'name' order by 1"
    ).fetchall()
    assert users == [("b", '"hers"', "run"), ("c", "old", None), ("e", "old", None)]
    assert connection.execute("select count(*) from ledger.applied.taken_over").fetchone() == (11,)
    assert held(connection) == []


def test_a_long_push_says_now_and_then_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    now, said = [100.0], list[dict[str, Any]]()

    class Worker:
        """Alive for three looks; each takes a minute."""

        looks = 0

        def is_alive(self) -> bool:
            return self.looks < 3

        def join(self, seconds: float) -> None:
            assert 0 < seconds < 1
            self.looks += 1
            now[0] += 40.0

    tally = Tally(
        done=Counter({("users", "applied"): 4}),
        failures=Counter({("users", "create", 409, "duplicate"): 2}),
    )
    monkeypatch.setattr(pushing.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(
        pushing, "event", lambda name, **fields: said.append({"name": name} | fields)
    )
    work = [
        SimpleNamespace(target="fake", changes=[1] * 24),
        SimpleNamespace(target="late", changes=[1] * 3),
    ]
    pushing._watch(work, {"fake": tally}, [Worker()])  # type: ignore[arg-type,list-item]
    assert said == [
        {
            "name": "push_progress",
            "target": "fake",
            "done": 4,
            "of": 24,
            "per_second": 0.1,
            "seconds_left": 400,
            "failed": "2 failed (409 duplicate 2)",
        },
        {
            "name": "push_progress",
            "target": "late",
            "done": 0,
            "of": 3,
            "per_second": 0.0,
            "seconds_left": None,
            "failed": None,
        },
    ]
    assert pushing.LOG_EVERY == 60.0


def test_a_plan_speaks_of_every_export_in_its_scope_and_of_no_other(tmp_path: Path) -> None:
    unreadable = replace(USERS, meta={**USERS.meta, "on_absence": "x"})
    refused = replace(MEMBERS, status="error")
    bench = Bench(tmp_path / "var", [unreadable, GROUPS, refused])
    bench.desire(users=[user(1)], groups=[{"group_id": "g", "email": "e", "name": "G"}], members=[])
    bench.observe()
    parts = {part["entity"]: part for part in bench.plan()["exports"]}
    assert {
        entity: (part["desired"], part["planned"], len(part["holds"]))
        for entity, part in parts.items()
    } == {"groups": (1, {"create": 1}, 0), "members": (0, {}, 1), "users": (0, {}, 1)}
    assert "has no setting 'on_absence'" in parts["users"]["holds"][0]
    assert '"error" in this run\'s build' in parts["members"]["holds"][0]
    other = bench.plan(scope=Scope(targets=("other",)))
    assert (other["exports"], other["digests"]) == ([], {})
    assert other["scope"] == {"targets": ("other",), "partition": "", "subject": "", "action": ""}
    assert (other["undoes"], other["cannot"], other["allowed"]) == (
        "",
        [],
        {"words": (), "why": "", "who": ""},
    )
    first, second = bench.plan(), bench.plan(allow="create", why="they are real")
    assert (
        first["digests"] == second["digests"]
    )  # the same changes, by another word: another plan all the same
    assert first["plan_id"] != second["plan_id"] != other["plan_id"]
    part = bench.plan(
        scope=Scope(targets=("fake",))
    )  # and so of another part, though the changes are the same
    assert part["digests"] == first["digests"]
    assert part["plan_id"] != first["plan_id"]


# ---------------------------------------------------------------- whose doing a change is


def reasons(bench: Bench) -> dict[str, str]:
    bench.observe()
    document = bench.plan()
    with store.connect() as connection:
        return {
            key: said(reason)
            for key, reason in connection.execute(
                "select key, reason from ledger.audit.planned_changes where plan_id = ?",
                [document["plan_id"]],
            ).fetchall()
        }


@pytest.mark.parametrize(
    ("rule", "brought", "new", "columns", "left"),
    [
        (False, "b", "new in source", "changed in source: given_name", "left: no longer in export"),
        (
            True,
            "a",
            "rule changed: new",
            "rule changed: given_name of exp_fake__users",
            "rule changed: no longer in export",
        ),
        (
            True,
            "b",
            "new, by the source or by a rule that changed",
            "changed in source, or by a rule of exp_fake__users that changed: given_name",
            "left: no longer in export, by the source or by a rule that changed",
        ),
    ],
)
def test_a_change_says_whether_a_rule_made_it_or_the_source(
    tmp_path: Path, rule: bool, brought: str, new: str, columns: str, left: str
) -> None:
    users = replace(USERS, feeds=["people"], meta={**USERS.meta, "on_absent": "delete"})
    bench = Bench(tmp_path / "var", [users])
    feed = {
        "source": "myedbc",
        "feed": "people",
        "status": "loaded",
        "hold": "",
        "held_partitions": [],
    }
    bench.feeds = [feed | {"sha256": "a"}]
    bench.desire(users=[user(1, person_id="kept"), user(2, person_id="goes")])
    assert set(reasons(bench).values()) == {"new in source"}  # nobody knows better
    assert bench.push() == 0
    bench.new_night()
    bench.models = [replace(bench.models[0], code="select 2" if rule else "select 1")]
    bench.feeds = [feed | {"sha256": brought}]
    bench.desire(users=[user(1, person_id="kept", given_name="Nia"), user(3, person_id="comes")])
    assert reasons(bench) == {"kept": columns, "goes": left, "comes": new}


def test_a_rule_counts_as_new_until_all_it_changed_went_out(tmp_path: Path) -> None:
    limited = replace(USERS, meta={**USERS.meta, "limits": {**NO_LIMITS, "update": 0}})
    bench = Bench(tmp_path / "var", [limited])
    bench.desire(users=[user(1, person_id="a")])
    reasons(bench)
    assert bench.push() == 0
    bench.new_night()
    bench.models = [replace(limited, code="select 2")]
    bench.desire(users=[user(1, person_id="a", given_name="Nia")])
    held = {"a": "rule changed: given_name of exp_fake__users"}
    assert reasons(bench) == held
    assert bench.push() == 2
    bench.new_night()
    assert reasons(bench) == held


def test_a_rule_that_changed_nothing_is_not_blamed_for_what_the_source_says_later(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path / "var", [USERS])
    bench.desire(users=[user(1, person_id="a")])
    reasons(bench)
    assert bench.push() == 0
    bench.new_night()
    bench.models = [replace(USERS, code="select 2")]
    bench.build()
    assert reasons(bench) == {}  # and of a plan of nothing there is no push
    assert not (bench.run.folder / "outcome.json").exists()
    bench.new_night()
    bench.desire(users=[user(1, person_id="a", given_name="Nia")])
    assert reasons(bench) == {"a": "changed in source: given_name"}


def test_a_plan_of_an_older_homeroom_says_less_and_is_nobodys_blame(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "var", [USERS])
    bench.desire(users=[user(1, person_id="a")])
    reasons(bench)
    assert bench.push() == 0
    plan = bench.run.read("plan.json")
    least = ("target", "entity", "desired", "planned", "held")
    plan["exports"] = [{name: part[name] for name in least} for part in plan["exports"]]
    bench.run.write("plan.json", plan)
    bench.new_night()
    bench.models = [replace(USERS, code="select 2")]
    bench.desire(users=[user(1, person_id="a", given_name="Nia")])
    assert reasons(bench) == {"a": "changed in source: given_name"}


def test_what_an_export_is_made_by_is_every_model_seed_and_macro_above_it() -> None:
    def made(**changed: object) -> str:
        nodes = {
            "model.h.exp": {
                "raw_code": changed.get("exp", "a"),
                "depends_on": {"macros": ["macro.h.m"]},
            },
            "model.h.core": {"raw_code": changed.get("core", "b")},
            "seed.h.rules": {"raw_code": "", "checksum": {"checksum": changed.get("seed", "c")}},
            "model.h.other": {"raw_code": changed.get("other", "d")},
        }
        macros = {
            "macro.h.m": {
                "macro_sql": "m",
                "depends_on": {"macros": ["macro.h.n", "macro.dbt.ref"]},
            },
            "macro.h.n": {"macro_sql": changed.get("macro", "n")},
            "macro.dbt.ref": {"macro_sql": changed.get("dbt", "r")},
        }
        parents = {"model.h.exp": ["model.h.core"], "model.h.core": ["seed.h.rules", "source.h.s"]}
        found = {"nodes": nodes, "macros": macros, "parent_map": parents}
        return exports.made_by(found, "model.h.exp")

    assert all(made(**{one: "!"}) != made() for one in ("exp", "core", "seed", "macro"))
    assert all(made(**{one: "!"}) == made() for one in ("other", "dbt"))
