"""`after:` of every action: what waits for another target's object, by what it is released, and by
which sentence it says what holds that up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import duckdb
import pytest
from ledger_kit import change, column, export, ledger, stand

from common.problems import Reason, said
from reverse_etl import exports, follows, push, standing
from reverse_etl.form import FileFormat
from reverse_etl.model import Export, Follow

ACCOUNTS = replace(
    export("users", ("person_id", "suspended"), target="google", context=(), partition=None),
    columns=(column("person_id"), column("suspended")),
)


def cards(*waits: tuple[str, str], **more: Any) -> Export:
    """A library's cards that wait for accounts: (action, state) each."""
    names = ("card", "person_id")
    made = export("cards", names, target="library", context=("person_id",), partition=None)
    after = tuple(Follow("person_id", action, "google", "users", state) for action, state in waits)
    return replace(made, follows=after, **more)


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with ledger() as made:
        kinds = {"suspended": "boolean"}
        stand(made, ACCOUNTS, there=[["r1", "p1", "false"], ["r2", "p2", "true"]], kinds=kinds)
        made.execute(
            "create view ledger.audit.changes as select planned.*, outcome.status from"
            " ledger.audit.planned_changes as planned left join ledger.audit.outcomes as outcome"
            " using (change_id)"
        )
        yield made


def planned(connection: duckdb.DuckDBPyConnection) -> dict[str, str | None]:
    """Key -> what the cards' changes wait for, in words."""
    rows = connection.execute(
        "select key, hold from changes where target = 'library' order by key"
    ).fetchall()
    return {key: said(hold) if hold else None for key, hold in rows}


def card(connection: duckdb.DuckDBPyConnection, key: str, action: str) -> None:
    change(connection, key, action, target="library", entity="cards", subject=None)


def account(connection: duckdb.DuckDBPyConnection, key: str, action: str, **more: Any) -> None:
    change(connection, key, action, target="google", entity="users", **more)


def test_a_card_is_closed_once_the_account_is(connection: duckdb.DuckDBPyConnection) -> None:
    """1 has an open account, 2 a closed one, 3 one that goes tonight, 4 none, 5 is nobody's."""
    one = cards(("remove", "closed"))
    written = [["c1", "p1"], ["c2", "p2"], ["c4", "p4"], ["c5", None]]
    stand(connection, one, written=written, wanted=[["c3", "p1"]])
    for key in ("c1", "c2", "c4", "c5"):
        card(connection, key, "remove")
    card(connection, "c3", "create")
    follows.hold(connection, [ACCOUNTS, one])
    waits = "waits until google users p1 is closed"
    assert planned(connection) == {"c1": waits, "c2": None, "c3": None, "c4": None, "c5": None}
    connection.execute("update changes set hold = null")
    account(connection, "p1", "suspend")
    follows.hold(connection, [ACCOUNTS, one])
    assert planned(connection)["c1"] is None, "the account is closed by the same plan"


def test_what_holds_the_other_side_up_is_named(connection: duckdb.DuckDBPyConnection) -> None:
    one = cards(("remove", "closed"))
    stand(connection, one, written=[["c1", "p1"]])
    card(connection, "c1", "remove")
    account(connection, "p1", "suspend", hold=Reason("hold_emptied", {"written": 7}))
    follows.hold(connection, [ACCOUNTS, one])
    why = said(Reason("hold_emptied", {"written": 7}).json)
    assert planned(connection) == {
        "c1": f"waits until google users p1 is closed: its suspend is held, {why}"
    }


@pytest.mark.parametrize(
    ("state", "others", "waits"),
    [
        ("gone", [], True),
        ("gone", ["suspend"], True),
        ("gone", ["delete"], False),
        ("there", [], False),
        ("closed", ["update"], True),
        ("done", ["update"], False),
        ("done", [], False),
    ],
)
def test_each_state_is_released_by_its_own_changes(
    connection: duckdb.DuckDBPyConnection, state: str, others: list[str], waits: bool
) -> None:
    one = cards(("update", state))
    stand(connection, one, wanted=[["c1", "p1"]])
    card(connection, "c1", "update")
    for action in others:
        account(connection, "p1", action)
    follows.hold(connection, [ACCOUNTS, one])
    assert (planned(connection)["c1"] is not None) is waits


def test_an_arrival_may_wait_until_something_is_gone_and_an_opening_until_it_is_there(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    one = cards(("create", "gone"), ("restore", "there"))
    stand(connection, one, wanted=[["c1", "p1"], ["c4", "p4"]])
    for key, action in (("c1", "adopt"), ("c4", "restore")):
        card(connection, key, action)
    follows.hold(connection, [ACCOUNTS, one])
    assert planned(connection) == {
        "c1": "waits until google users p1 is gone",
        "c4": "waits until google users p4 is there",
    }


def test_done_waits_for_whatever_is_held_of_the_other_side(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    one = cards(("update", "done"))
    stand(connection, one, wanted=[["c1", "p1"]])
    card(connection, "c1", "update")
    account(connection, "p1", "rename", hold=Reason("hold_emptied", {"written": 7}))
    follows.hold(connection, [ACCOUNTS, one])
    assert "is as it should be: its rename is held" in str(planned(connection)["c1"])


def test_what_waits_is_waited_for_in_its_turn(connection: duckdb.DuckDBPyConnection) -> None:
    """Account closed, then the card, then the account deleted: nothing overtakes what is held."""
    one = cards(("remove", "closed"))
    lockers = export("lockers", ("locker", "card"), target="gym", context=("card",), partition=None)
    lockers = replace(lockers, follows=(Follow("card", "remove", "library", "cards", "gone"),))
    stand(connection, one, written=[["c1", "p1"]], there=[["r", "c1", "p1"]])
    stand(connection, lockers, written=[["l1", "c1"]])
    card(connection, "c1", "remove")
    change(connection, "l1", "remove", target="gym", entity="lockers", subject=None)
    follows.hold(connection, [lockers, one, ACCOUNTS])
    rows = connection.execute("select key, hold ->> '$.code' from changes order by key").fetchall()
    assert rows == [("c1", "hold_after"), ("l1", "hold_after")]


def test_within_one_target_and_in_a_file_the_other_side_has_to_be_so_before(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    file = cards(("remove", "closed"), file=FileFormat("cards.csv"))
    stand(connection, file, written=[["c1", "p1"]])
    card(connection, "c1", "remove")
    account(connection, "p1", "suspend")
    follows.hold(connection, [ACCOUNTS, file])
    assert planned(connection) == {"c1": "waits until google users p1 is closed"}
    ((stands,),) = connection.execute(
        f"select {standing.STANDS} from changes where key = 'c1'"
    ).fetchall()
    assert stands, "the row is in the file as it was delivered"
    own = replace(ACCOUNTS, follows=(Follow("person_id", "delete", "google", "users", "closed"),))
    account(connection, "p2", "delete")
    connection.execute("update changes set hold = null where key = 'c1'")
    follows.hold(connection, [own])
    assert connection.execute("select hold from changes where key = 'p2'").fetchall() == [(None,)]


@pytest.mark.parametrize(("status", "goes"), [("applied", True), ("failed", False), (None, False)])
def test_what_was_not_done_in_the_push_is_still_waited_for(
    connection: duckdb.DuckDBPyConnection, status: str | None, goes: bool
) -> None:
    one = cards(("remove", "closed"), ("update", "done"))
    stand(connection, one, written=[["c1", "p1"]], wanted=[["c9", "p1"]])
    names = "change_id, plan_id, target, entity, key, action"
    for values in (
        ("1", "plan", "google", "users", "p1", "suspend"),
        ("2", "plan", "library", "cards", "c1", "remove"),
        ("3", "plan", "library", "cards", "c9", "update"),
    ):
        connection.execute(
            f"insert into ledger.audit.planned_changes ({names}) values (?, ?, ?, ?, ?, ?)", values
        )
    connection.execute(
        "insert into ledger.audit.outcomes (change_id, status) values ('1', ?)",
        [status or "planned"],
    )
    found = follows.undone(connection, "plan", [one], follows.by_name([ACCOUNTS, one]))
    assert found == (
        {}
        if goes
        else {
            ("cards", "c1"): "google users p1 until it is closed",
            ("cards", "c9"): "google users p1 until it is as it should be",
        }
    )


def test_exports_that_wait_for_each_other_in_a_circle_are_refused_by_name() -> None:
    one = cards(("remove", "closed"))
    back = replace(ACCOUNTS, follows=(Follow("person_id", "suspend", "library", "cards", "gone"),))
    assert {key: str(why) for key, why in follows.circles([one, back]).items()} == dict.fromkeys(
        (("library", "cards"), ("google", "users"))
    ) | {
        ("library", "cards"): "would never be the first: each waits for the next (library.cards"
        " remove -> google.users suspend -> library.cards remove)",
        ("google", "users"): "would never be the first: each waits for the next (google.users"
        " suspend -> library.cards remove -> google.users suspend)",
    }


def test_closed_then_the_card_then_deleted_is_no_circle() -> None:
    one = cards(("remove", "closed"))
    last = replace(ACCOUNTS, follows=(Follow("person_id", "delete", "library", "cards", "gone"),))
    assert follows.circles([one, last]) == {}


def test_what_follows_is_pushed_after_what_it_follows() -> None:
    assert push.phases(["library", "google"], [ACCOUNTS, cards(("remove", "closed"))]) == [
        ["google"],
        ["library"],
    ]


def declared(after: Any) -> Export:
    node = {
        "name": "exp_library__cards",
        "schema": "exports",
        "columns": {name: {"data_type": "text", "config": {}} for name in ("card", "person_id")},
    }
    meta = {"target": "library", "entity": "cards", "key": ["card"], "context": ["person_id"]}
    return exports.parsed(node, meta | {"after": after})


def test_after_is_said_for_an_object_or_for_each_action() -> None:
    assert declared({"person_id": "google.users"}).after == {"person_id": ("google", "users")}
    one = declared(
        {"person_id": {"create": "google.users", "remove": "google.users gone", "update": "a.b"}}
    )
    assert one.after == {"person_id": ("google", "users")}
    assert one.follows == (
        Follow("person_id", "remove", "google", "users", "gone"),
        Follow("person_id", "update", "a", "b", "done"),
    )


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ({"person_id": {"close": "google.users"}}, "after what action"),
        ({"person_id": {"remove": "google.users shut"}}, "what has to be so is one of"),
        ({"person_id": {"remove": "google"}}, "write target.entity"),
        ({"nobody": {"remove": "google.users"}}, "nobody"),
    ],
)
def test_what_after_cannot_mean_is_refused(after: Any, words: str) -> None:
    with pytest.raises(exports.ExportError, match=words):
        declared(after)
