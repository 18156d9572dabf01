"""The nouns: which actions there are and in what order, what a column or an export is where nobody
said, how a key is written.
"""

from __future__ import annotations

from datetime import date, time

import duckdb
import pytest

from common import sql
from reverse_etl import form, model
from reverse_etl.model import (
    Change,
    Column,
    Delivery,
    Export,
    FileFormat,
    Limits,
    Outcome,
    key_text,
    key_tuple,
)


def test_closing_comes_first_and_taking_away_last() -> None:
    assert model.ACTIONS == (
        "suspend",
        "adopt",
        "create",
        "undelete",
        "rename",
        "update",
        "restore",
        "remove",
        "delete",
        "deliver",
    )
    assert {"remove", "delete"} == model.REMOVALS
    assert {"adopt", "create", "undelete"} == model.ARRIVALS


def test_the_columns_that_make_an_action_of_their_own() -> None:
    assert model.ROLES == ("login", "switch", "deleted", "adopt", "password", "number")
    assert model.FILE_ENTITY == "file"
    switch = Column("active", role="switch", off_value=False)
    export = Export("m", "r", "t", "e", ("k",), (Column("k"), switch))
    assert (export.of_role("switch"), export.of_role("login")) == (switch, None)


def test_what_may_be_declared() -> None:
    assert model.OWNERS == ("ours", "theirs", "initial", "both")
    assert model.ON_DRIFT == ("revert", "leave", "take_over")
    assert model.IGNORING == ("case", "spaces", "order")
    assert model.ON_ABSENT == ("ignore", "suspend", "remove", "delete")


def test_where_nobody_said_a_value_is_ours_and_nothing_is_taken_from_anybody() -> None:
    assert Column("a") == Column(
        "a", "VARCHAR", "ours", "none", "", "", "", "", None, None, "revert", ()
    )
    plain = Export("m", "r", "t", "e", ("k",), ())
    assert (
        plain.on_absent,
        plain.limits,
        plain.when_empty,
        plain.context,
        plain.subject,
        plain.partition,
        plain.hold,
        plain.file,
    ) == ("ignore", Limits(), "hold", (), None, None, None, None)
    assert (dict(plain.references), dict(plain.after), dict(plain.needs)) == ({}, {}, {})
    assert plain.feeds == ()
    assert FileFormat("a") == FileFormat("a", None, ",", "minimal", "utf-8", "crlf", True, "skip")
    change = Change("c", "t", "e", ("k",), "create")
    assert (
        change.remote_id,
        change.old,
        change.new,
        change.references,
        change.reason,
        change.hold,
        change.seq,
    ) == (None, {}, {}, {}, "", None, 0)
    assert (change.subject, change.partition, change.source, change.export_model) == (
        None,
        None,
        None,
        "",
    )
    assert Outcome("c", "applied") == Outcome("c", "applied", None, "", None, None, None, "", 1)
    assert dict(Delivery("t", "n", (), False, None).parts) == {}  # type: ignore[arg-type]


def test_what_is_sent_and_what_is_compared() -> None:
    columns = (
        Column("k"),
        Column("ours"),
        Column("first", owner="initial"),
        Column("hers", owner="theirs"),
        Column("school"),
        Column("secret", role="password"),
    )
    export = Export("m", "r", "t", "e", ("k",), columns, context=("school",))
    assert [column.name for column in export.sent] == ["k", "ours", "first", "secret"]
    assert [column.name for column in export.compared] == ["ours"]


def test_a_name_is_filled_in_wherever_it_says_so() -> None:
    moment = form.Moment(date(2026, 1, 2), time(3, 4, 5), "74")
    for template, filled in {
        "{district}_{date}_{date}.csv": "74_2026-01-02_2026-01-02.csv",
        "plain.csv": "plain.csv",
        "x{date:%d%m%y}T{time}.txt": "x020126T030405.txt",
        "{time:%H%M}": "0304",
        "{school}.csv": "a%2Fb.csv",
        "{rows} of {rows:06}": "7 of 000007",
    }.items():
        assert moment.filled(template, "a/b", 7) == filled


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (("a",), "a"),
        (("a", "b"), "a|b"),
        (("a|b", "c"), "a\\|b|c"),
        (("a\\", "b"), "a\\\\|b"),
        (("", ""), "|"),
        ((1, None), "1|None"),
        (("\\|",), "\\\\\\|"),
    ],
)
def test_a_key_is_written_so_that_it_can_be_taken_apart(key: tuple, text: str) -> None:
    assert key_text(key) == text
    assert key_tuple(text) == tuple(str(value) for value in key)


def test_names_and_texts_are_quoted_in_sql() -> None:
    assert sql.name('a"b') == '"a""b"'
    assert sql.text("O'Brien") == "'O''Brien'"
    with duckdb.connect() as connection:

        def one(expression: str) -> object:
            return connection.execute(
                f"select {expression} from (select 'a|b' as x, 7 as y, null as z) as t"
            ).fetchone()[0]  # type: ignore[index]

        assert one(sql.key(["x", "y"], "t")) == one(sql.key(["x", "y"])) == "a\\|b|7"
        assert one(sql.key(["x", "z"])) is None
        assert [one(sql.key_part("'a\\|b|7|\\\\'", number)) for number in range(3)] == [
            "a|b",
            "7",
            "\\",
        ]
        fields = [sql.json_field(name, name) for name in "xyz"]
        assert one(sql.json_object(fields)) == '{"x":"a|b","y":7,"z":null}'
        assert (
            one(sql.json_object([f"case when false then {fields[0]} end", fields[1]])) == '{"y":7}'
        )
        assert one(sql.json_object([])) == "{}"
        source = """'{"a": "x", "b": null, "c": [1]}'::json"""
        assert (
            one(sql.json_fields(source, "['a', 'b', 'd', 'c']"))
            == '{"a":"x","b":null,"d":null,"c":[1]}'
        )
        assert one(sql.json_fields(source, "[]")) == "{}"
