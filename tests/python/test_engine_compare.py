"""The comparison, object by object: from what is wanted, there and last written to one change with
its fields and its reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import duckdb
import pytest
from ledger_kit import column, export, ledger, stand

from common.problems import said
from reverse_etl import diff
from reverse_etl.model import Column, Export, FileFormat

NAMES = ("person_id", "primary_email", "name", "suspended", "first", "hers", "school", "source")
USERS = replace(
    export("users", NAMES, context=("school", "source")),
    columns=tuple(
        column(name, owner={"first": "initial", "hers": "theirs"}.get(name, "ours"))
        for name in NAMES
    ),
)
KINDS = {"suspended": "boolean"}


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with ledger() as made:
        yield made


def row(
    key: str = "p",
    email: str | None = "e@x",
    name: str | None = "N",
    suspended: str | None = "false",
    **more: str | None,
) -> tuple:
    given = {"first": "f", "hers": "h", "school": "s1", "source": "f:1"} | more
    return (key, email, name, suspended, *given.values())


def compared(
    connection: duckdb.DuckDBPyConnection,
    one: Export = USERS,
    *,
    wanted: list[tuple] = [],  # noqa: B006
    there: list[tuple] = [],  # noqa: B006
    written: list[tuple] = [],  # noqa: B006
    kinds: dict[str, str] = KINDS,
) -> dict[str, dict[str, Any]]:
    """Key -> its change. What is there gets the remote ids r0, r1, …"""
    stand(
        connection,
        one,
        wanted=wanted,
        there=[(f"r{n}", *values) for n, values in enumerate(there)],
        written=written,
        kinds=kinds,
    )
    connection.execute("delete from changes; delete from drifts")
    assert diff.compare(connection, one, 3) == (
        len(wanted),
        (
            len([values for values in there if values[0] is not None])
            if one.file is None
            else len(written)
        ),
    )
    names = (
        "key",
        "action",
        "old",
        "new",
        "reason",
        "hold",
        "remote_id",
        "subject",
        "partition",
        "source",
    )
    rows = connection.execute(
        f"select {', '.join(names)} from changes order by action_rank, key"
    ).fetchall()
    changes = {values[0]: dict(zip(names, values, strict=True)) for values in rows}
    return {
        key: {
            **one,
            "old": json.loads(one["old"]),
            "new": json.loads(one["new"]),
            "reason": said(one["reason"]),
            "hold": said(one["hold"]) or None,
        }
        for key, one in changes.items()
    }


def short(changes: dict[str, dict[str, Any]]) -> dict[str, tuple]:
    return {key: (one["action"], one["new"]) for key, one in changes.items()}


# ---------------------------------------------------------------- coming and changing


def test_what_is_not_there_is_made_whole_but_for_what_is_theirs(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    changes = compared(connection, wanted=[row("p"), row("q", name=None)], written=[row("q")])
    new = {"person_id": "p", "primary_email": "e@x", "name": "N", "suspended": False, "first": "f"}
    assert changes["p"] == {
        "key": "p",
        "action": "create",
        "old": {},
        "new": new,
        "reason": "new in source",
        "hold": None,
        "remote_id": None,
        "subject": "p",
        "partition": "s1",
        "source": "f:1",
    }
    assert (changes["q"]["new"], changes["q"]["reason"]) == (
        new | {"person_id": "q", "name": None},
        "gone from fake since our last push",
    )
    assert connection.execute(
        "select distinct target, entity, entity_rank, action_rank, export_model, released from"
        " changes"
    ).fetchall() == [("fake", "users", 3, 3, "exp_fake__users", False)]


def test_what_is_there_as_wanted_is_left_alone_whatever_differs_in_what_is_not_ours(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    assert (
        compared(
            connection, wanted=[row()], there=[row(first="F", hers="H", school="s2", source="f:2")]
        )
        == {}
    )
    assert (
        compared(
            connection, wanted=[row(name=None)], there=[row(name=None)], written=[row(name=None)]
        )
        == {}
    )


@pytest.mark.parametrize(
    ("wanted", "there", "written", "reason"),
    [
        (row(name="B"), row(name="A"), row(name="A"), "changed in source: name"),
        (
            row(name="A"),
            row(name="B"),
            row(name="A"),
            "drift: changed in fake since our last push: name",
        ),
        (
            row(name="C"),
            row(name="B"),
            row(name="A"),
            "changed in source and, by hand, in fake: name",
        ),
        (row(name="B"), row(name="A"), None, "differs from fake, not written by us before: name"),
        (
            row(name="B", email="b"),
            row(name="A", email="a"),
            row(name="A", email="b"),
            "changed in source: name; drift: changed in fake since our last push: primary_email",
        ),
        (row(name=None), row(name="A"), row(name="A"), "changed in source: name"),
        (row(name="B"), row(name=None), row(name=None), "changed in source: name"),
    ],
)
def test_a_reason_tells_who_changed_what(
    connection: duckdb.DuckDBPyConnection,
    wanted: tuple,
    there: tuple,
    written: tuple | None,
    reason: str,
) -> None:
    (change,) = compared(
        connection, wanted=[wanted], there=[there], written=[written] if written else []
    ).values()
    assert change["reason"] == reason
    names = [
        name
        for name in ("primary_email", "name")
        if wanted[NAMES.index(name)] != there[NAMES.index(name)]
    ]
    assert change["new"] == {name: wanted[NAMES.index(name)] for name in names}
    assert change["old"] == {name: there[NAMES.index(name)] for name in names}
    assert change["remote_id"] == "r0"


@pytest.mark.parametrize(
    ("column", "kind", "off_value", "off", "on"),
    [
        ("suspended", "boolean", True, "true", "false"),
        ("account_enabled", "boolean", False, "false", "true"),
        ("state", "text", "closed", "closed", "open"),
        ("state", "integer", 0, "0", "1"),
    ],
)
def test_switching_renaming_and_the_rest_are_actions_of_their_own(
    connection: duckdb.DuckDBPyConnection,
    column: str,
    kind: str,
    off_value: object,
    off: str,
    on: str,
) -> None:
    one = replace(
        USERS,
        columns=tuple(
            replace(c, name=column, off_value=off_value) if c.role == "switch" else c
            for c in USERS.columns
        ),
    )
    wanted = [
        row("a", suspended=off, email="new", name="new"),
        row("b", suspended=on, email="new"),
        row("c", email="new", name="new"),
        row("d", name="new"),
        row("e", suspended=off, name="new"),
    ]
    there = [
        row("a", suspended=on),
        row("b", suspended=off),
        row("c"),
        row("d"),
        row("e", suspended=off),
    ]
    wanted, there = (
        [values if values[0] not in "cd" else (*values[:3], on, *values[4:]) for values in side]
        for side in (wanted, there)
    )
    changes = compared(
        connection, one, wanted=wanted, there=there, written=there, kinds={column: kind}
    )
    assert [change["hold"] for change in changes.values()] == [None] * 5
    assert {key: (change["action"], sorted(change["new"])) for key, change in changes.items()} == {
        "a": ("suspend", sorted([column, "name", "primary_email"])),
        "b": ("restore", sorted([column, "primary_email"])),
        "c": ("rename", ["name", "primary_email"]),
        "d": ("update", ["name"]),
        "e": ("update", ["name"]),
    }
    assert changes["a"]["new"][column] == off_value
    assert list(changes) == ["a", "c", "d", "e", "b"]  # closing first, opening last


# ---------------------------------------------------------------- adopting


def test_an_adopted_object_is_given_what_is_set_once_where_it_has_none(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    names = ("person_id", "name", "place", "adopt_id")
    one = replace(
        export("users", names, context=("adopt_id",)),
        columns=tuple(
            column(name, owner="initial" if name == "place" else "ours") for name in names
        ),
    )
    connection.execute(
        "create table staging.stg_fake__orphan_users (remote_id text, person_id text, name text,"
        " place text, adopt_id text); insert into staging.stg_fake__orphan_users values"
        " ('o1', null, 'A', null, null), ('o2', null, 'B', 'US', null), ('o3', null, 'C', null,"
        " null)"
    )
    changes = compared(
        connection,
        one,
        wanted=[("p1", "a", "CA", "o1"), ("p2", "b", "CA", "o2"), ("p3", "c", None, "o3")],
        kinds={},
    )
    assert short(changes) == {
        "p1": ("adopt", {"person_id": "p1", "name": "a", "place": "CA"}),
        "p2": ("adopt", {"person_id": "p2", "name": "b"}),
        "p3": ("adopt", {"person_id": "p3", "name": "c"}),
    }


# ---------------------------------------------------------------- closed by whom

CLOSED = "closed by somebody else, not by us"
UNTIL = ": it stays closed until a person says otherwise"


def test_what_somebody_else_closed_stays_closed_and_is_no_drift(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    wanted = [row(key, name="new") for key in ("ours", "theirs", "unknown", "told", "opened")]
    there = [row(values[0], suspended="true") for values in wanted]
    stand(connection, USERS, kinds=KINDS)
    for key, word in (("told", "true"), ("opened", "true"), ("opened", "false")):
        outcome(connection, key, word)
    changes = compared(
        connection,
        wanted=wanted,
        there=there,
        written=[row("ours", suspended="true"), row("theirs", suspended="false")],
    )
    assert {key: (change["action"], change["hold"]) for key, change in changes.items()} == {
        "ours": ("restore", None),
        "told": ("restore", None),  # the ledger lost the row and knows that it closed it
        "theirs": ("restore", CLOSED + UNTIL),
        "unknown": ("restore", CLOSED + UNTIL),
        "opened": ("restore", CLOSED + UNTIL),
    }
    assert ("theirs", "suspended") not in connection.execute(
        "select key, column_name from drifts"
    ).fetchall()


def test_what_the_target_says_of_the_closing_tells_it_from_ours(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    one = replace(
        USERS,
        columns=(
            *(
                replace(c, off_because=("why", "ADMIN")) if c.role == "switch" else c
                for c in USERS.columns
            ),
            column("why"),
        ),
        context=(*USERS.context, "why"),
    )
    wanted = [(*row(key), None) for key in "abc"]
    there = [
        (*row(key, suspended="true"), why)
        for key, why in (("a", "ADMIN"), ("b", "ABUSIVE"), ("c", None))
    ]
    changes = compared(connection, one, wanted=wanted, there=there, written=there)
    assert {key: change["hold"] for key, change in changes.items()} == {
        "a": None,
        "b": f"{CLOSED} (ABUSIVE){UNTIL}",
        "c": None,
    }
    strange = replace(
        one,
        columns=tuple(
            replace(c, off_because=("reason", "x")) if c.role == "switch" else c
            for c in one.columns
        ),
    )
    with pytest.raises(diff.DiffImpossibleError, match="has no column reason"):
        compared(connection, strange, wanted=wanted, there=there)


def outcome(connection: duckdb.DuckDBPyConnection, key: str, suspended: str) -> None:
    """A change of the switch that was made."""
    connection.execute(
        """insert into ledger.audit.planned_changes (change_id, target, entity, key, action, new)
        values ($id, 'fake', 'users', $key, 'update', '{"suspended": ' || $word || '}')""",
        {"id": key + suspended, "key": key, "word": suspended},
    )
    connection.execute(
        """insert into ledger.audit.outcomes (change_id, target, status, finished_at)
        select $id, 'fake', 'applied', timestamptz '2026-01-01' + to_days(count(*)::integer)
        from ledger.audit.outcomes""",
        {"id": key + suspended},
    )


# ---------------------------------------------------------------- leaving


@pytest.mark.parametrize(
    ("on_absent", "written", "action"),
    [
        ("ignore", True, None),
        ("suspend", True, "suspend"),
        ("suspend", False, "suspend"),
        ("remove", True, "remove"),
        ("remove", False, None),
        ("delete", True, "delete"),
        ("delete", False, None),
    ],
)
def test_who_is_no_longer_wanted_is_treated_as_the_export_says_and_taken_away_only_if_we_put_him_there(  # noqa: E501
    connection: duckdb.DuckDBPyConnection, on_absent: str, written: bool, action: str | None
) -> None:
    changes = compared(
        connection,
        replace(USERS, on_absent=on_absent),
        there=[row(source="seen", school="s2"), row("off", suspended="true")],
        written=[row(school="s1", source="f:7")] if written else [],
    )
    assert [(key, change["action"]) for key, change in changes.items()] == (
        [("p", action)] if action else []
    )
    if action:
        change = changes["p"]
        assert change["reason"] == "left: no longer in export"
        whole = {
            "person_id": "p",
            "primary_email": "e@x",
            "name": "N",
            "suspended": False,
            "first": "f",
        }
        assert change["old"] == ({"suspended": False} if action == "suspend" else whole)
        assert change["new"] == ({"suspended": True} if action == "suspend" else {})
        assert (change["partition"], change["source"]) == (
            ("s1", "f:7") if written else ("s2", "seen")
        )


def test_an_object_without_our_key_and_one_last_written_and_gone_are_nobodys(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    assert (
        compared(
            connection, replace(USERS, on_absent="delete"), there=[row(None)], written=[row("gone")]
        )
        == {}
    )  # type: ignore[arg-type]


DELETED = replace(
    USERS,
    columns=(
        *USERS.columns[:3],
        column("suspended"),
        Column("first", owner="initial"),
        column("deleted"),
        Column("school"),
        Column("source"),
    ),
    on_absent="delete",
)


@pytest.mark.parametrize(
    ("wanted", "there", "written", "action", "reason"),
    [
        ("true", None, False, None, ""),
        ("false", None, False, "create", "new in source"),
        ("true", "true", True, None, ""),
        ("true", "false", True, "delete", "to be deleted, as its row says"),
        ("true", "false", False, None, ""),
        ("false", "true", True, "restore", "wanted again: it lies among the deleted ones of fake"),
        (None, "true", True, None, ""),
        (None, "false", True, "delete", "left: no longer in export"),
        (None, None, True, None, ""),
    ],
)
def test_what_is_to_be_deleted_and_what_lies_among_the_deleted(
    connection: duckdb.DuckDBPyConnection,
    wanted: str | None,
    there: str | None,
    written: bool,
    action: str | None,
    reason: str,
) -> None:
    def one(deleted: str) -> tuple:
        return ("p", "e@x", "N", "false", "f", deleted, "s1", "f:1")

    changes = compared(
        connection,
        DELETED,
        wanted=[one(wanted)] if wanted else [],
        there=[one(there)] if there else [],
        written=[one("false")] if written else [],
        kinds={"suspended": "boolean", "deleted": "boolean"},
    )
    assert [(change["action"], change["reason"]) for change in changes.values()] == (
        [(action, reason)] if action else []
    )


# ---------------------------------------------------------------- what is no difference


@pytest.mark.parametrize(
    ("ignoring", "wanted", "there", "same"),
    [
        (("case",), "Zoë ANN", "zoë ann", True),
        (("case",), "Zoë", "Zoe", False),
        (("case",), "a  b", "a b", False),
        (("spaces",), "a  b ", " a b", True),
        (("spaces",), "a b", "A b", False),
        (("spaces",), "ab", "a b", False),
        (("order",), "b,a", "a, b", True),
        (("order",), "a,b", "a,b,b", False),
        (("order",), "B,a", "a,b", False),
        (("case", "order"), "B,a", "a,b", True),
        (("case", "spaces"), " A  b", "a B", True),
        ((), "A", "a", False),
    ],
)
def test_differences_a_column_ignores_are_none(
    connection: duckdb.DuckDBPyConnection,
    ignoring: tuple[str, ...],
    wanted: str,
    there: str,
    same: bool,
) -> None:
    one = replace(
        USERS,
        columns=tuple(
            replace(c, ignoring=ignoring) if c.name == "name" else c for c in USERS.columns
        ),
    )
    assert (
        compared(connection, one, wanted=[row(name=wanted)], there=[row(name=there)]) == {}
    ) is same
    changes = compared(
        connection,
        one,
        wanted=[row(name="new")],
        there=[row(name=there)],
        written=[row(name=wanted)],
    )
    assert changes["p"]["reason"].startswith(
        "changed in source: " if same else "changed in source and, by hand"
    )


def test_an_object_that_is_there_twice_is_held_and_compared_once(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    changes = compared(
        connection,
        wanted=[row(name="new"), row("q", name="new")],
        there=[row(name="first"), row(name="second"), row("q")],
    )
    assert (
        changes["p"]["hold"]
        == "2 objects in fake carry this key; keep one and take the key off the others"
    )
    assert (changes["p"]["remote_id"], changes["p"]["old"]) == ("r0", {"name": "first"})
    assert changes["q"]["hold"] is None


# ---------------------------------------------------------------- changed by hand


@pytest.mark.parametrize(
    ("policy", "wanted", "there", "written", "taken", "change", "drift"),
    [
        ("revert", "A", "B", "A", False, True, "revert"),
        ("revert", "C", "B", "A", False, True, "revert"),
        ("revert", "B", "A", "A", False, True, None),
        ("leave", "A", "B", "A", False, False, "leave"),
        ("leave", "C", "B", "A", False, True, "revert"),
        ("leave", "B", "A", "A", False, True, None),
        ("take_over", "A", "B", "A", False, False, "take_over"),
        ("take_over", "C", "B", "A", False, False, "take_over"),
        ("take_over", "B", "A", "A", False, True, None),
        ("take_over", "C", "B", "A", True, False, None),
        ("take_over", "B", "B", "A", True, False, "give_back"),
        ("take_over", "C", "A", "A", True, False, None),
        ("revert", "B", "A", None, False, True, None),
        ("leave", "B", "A", None, False, True, None),
        ("take_over", "B", "A", None, False, True, None),
    ],
)
def test_a_value_changed_by_hand_is_written_again_left_or_taken_over(
    connection: duckdb.DuckDBPyConnection,
    policy: str,
    wanted: str,
    there: str,
    written: str | None,
    taken: bool,
    change: bool,
    drift: str | None,
) -> None:
    one = replace(
        USERS,
        columns=tuple(
            replace(c, on_drift=policy) if c.name == "name" else c for c in USERS.columns
        ),
    )
    others = [
        ("fake", "users", "q", "name"),
        ("fake", "groups", "p", "name"),
        ("other", "users", "p", "name"),
        ("fake", "users", "p", "primary_email"),
    ]
    for place in [*others, *([("fake", "users", "p", "name")] if taken else [])]:
        connection.execute(
            "insert into ledger.applied.taken_over (target, entity, key, column_name) values (?, ?,"
            " ?, ?)",
            list(place),
        )
    changes = compared(
        connection,
        one,
        wanted=[row(name=wanted)],
        there=[row(name=there)],
        written=[row(name=written)] if written else [],
    )
    assert short(changes) == ({"p": ("update", {"name": wanted})} if change else {})
    drifts = connection.execute(
        "select target, entity, key, subject, partition, column_name, ours, theirs, policy"
        " from drifts"
    ).fetchall()
    assert drifts == (
        [("fake", "users", "p", "p", "s1", "name", f'"{wanted}"', f'"{there}"', drift)]
        if drift
        else []
    )


# ---------------------------------------------------------------- what cannot be compared


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            "drop table exports.exp_fake__users",
            'exports."exp_fake__users" does not exist; run "make build"',
        ),
        (
            "alter table exports.exp_fake__users drop column name",
            "has no column name; its YAML lists what its table does not have",
        ),
        (
            "insert into exports.exp_fake__users (name) values ('x')",
            '1 of 2 rows of exports."exp_fake__users" have no key (person_id); mend the model',
        ),
        (
            "insert into exports.exp_fake__users (person_id) values ('p')",
            '2 rows of exports."exp_fake__users" share 1 keys (person_id); mend the model',
        ),
        ("drop table staging.stg_fake__users", 'staging."stg_fake__users" does not exist'),
        (
            "alter table staging.stg_fake__users drop column name",
            "has no column name; it must name its columns as exp_fake__users does",
        ),
        (
            "alter table staging.stg_fake__users drop column person_id",
            "has no column person_id; it must name its columns as exp_fake__users does",
        ),
    ],
)
def test_what_cannot_be_compared_says_what_stands_in_the_way(
    connection: duckdb.DuckDBPyConnection, spoil: str, words: str
) -> None:
    stand(connection, USERS, wanted=[row()], kinds=KINDS)
    connection.execute(spoil)
    with pytest.raises(diff.DiffImpossibleError) as caught:
        diff.compare(connection, USERS, 1)
    assert words in str(caught.value)


def test_an_export_that_suspends_needs_a_switch(connection: duckdb.DuckDBPyConnection) -> None:
    bare = replace(
        USERS, columns=tuple(c for c in USERS.columns if c.name != "suspended"), on_absent="suspend"
    )
    stand(connection, bare)
    with pytest.raises(
        diff.DiffImpossibleError,
        match="on_absent: suspend but none of its columns has role: switch",
    ):
        diff.compare(connection, bare, 1)


def test_what_is_theirs_or_set_once_need_not_be_read(connection: duckdb.DuckDBPyConnection) -> None:
    stand(
        connection,
        replace(USERS, on_absent="delete"),
        there=[("r", *row())],
        written=[row()],
        kinds=KINDS,
    )
    for name in ("first", "hers", "school", "source"):
        connection.execute(f"alter table staging.stg_fake__users drop column {name}")
    assert diff.compare(connection, replace(USERS, on_absent="delete"), 1) == (0, 1)
    ((old, school),) = connection.execute("select old, partition from changes").fetchall()
    assert (sorted(json.loads(old)), school) == (
        ["name", "person_id", "primary_email", "suspended"],
        "s1",
    )


# ---------------------------------------------------------------- files


def test_a_file_is_compared_with_what_was_delivered_last(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    names = ("id", "name", "grade", "person_id", "school", "source")
    file = replace(
        export("students", names, context=("person_id", "school", "source")),
        file=FileFormat("a.csv"),
        entity="users",
        relation='exports."exp_fake__users"',
    )
    wanted = [
        ("1", "A", "5", "p1", "s1", "f:1"),
        ("2", "B", None, "p2", "s1", "f:2"),
        ("3", "C", "7", "p3", "s2", "f:3"),
        ("4", "D", "8", "p4", "s9", "f:9"),
    ]
    written = [
        ("2", "b", "6", "p2", "s1", "f:0"),
        ("3", "C", "7", "p9", "s9", "f:0"),
        ("5", "E", "9", "p5", "s5", "f:5"),
    ]
    changes = compared(connection, file, wanted=wanted, written=written, kinds={})
    assert changes == {
        "1": {
            "key": "1",
            "action": "create",
            "old": {},
            "new": {"id": "1", "name": "A", "grade": "5"},
            "reason": "new in source",
            "hold": None,
            "remote_id": None,
            "subject": "p1",
            "partition": "s1",
            "source": "f:1",
        },
        "4": {
            "key": "4",
            "action": "create",
            "old": {},
            "new": {"id": "4", "name": "D", "grade": "8"},
            "reason": "new in source",
            "hold": None,
            "remote_id": None,
            "subject": "p4",
            "partition": "s9",
            "source": "f:9",
        },
        "2": {
            "key": "2",
            "action": "update",
            "old": {"name": "b", "grade": "6"},
            "new": {"name": "B", "grade": None},
            "reason": "changed in source: name, grade",
            "hold": None,
            "remote_id": None,
            "subject": "p2",
            "partition": "s1",
            "source": "f:2",
        },
        "5": {
            "key": "5",
            "action": "remove",
            "old": {"id": "5", "name": "E", "grade": "9"},
            "new": {},
            "reason": "left: no longer in export",
            "hold": None,
            "remote_id": None,
            "subject": "p5",
            "partition": "s5",
            "source": "f:5",
        },
    }
