"""Kind `sql` by itself: whose rows are whose, what a transaction keeps, which types go in and come
out, and what an error means. What every target must hold is asked in `test_targets`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import sql_server
import sqlalchemy as sa

from reverse_etl.configured import TargetSettingsError
from reverse_etl.model import Change, Column, Export, Outcome
from reverse_etl.targets.reading import TargetUnreadableError
from reverse_etl.targets.sql import Sql
from reverse_etl.targets.sql.errors import trouble_of
from reverse_etl.targets.sql.target import as_text, bound

ITEMS = Export(
    "exp_shop__items",
    '"exports"."exp_shop__items"',
    "shop",
    "items",
    ("code",),
    (
        Column("code"),
        Column("title", field='the "T" one'),
        Column("price", "decimal(9,2)"),
        Column("active", "boolean"),
        Column("sold_on", "date"),
        Column("seen_at", "timestamp"),
    ),
)
LINES = Export(
    "exp_shop__lines",
    '"exports"."exp_shop__lines"',
    "shop",
    "lines",
    ("item", "line"),
    (Column("item"), Column("line", "integer"), Column("amount", "integer")),
    references={"item": "items"},
)
TABLES = """
create table items (
    code varchar(20) primary key, "the ""T"" one" varchar(100) not null, price numeric(9, 2),
    active boolean, sold_on date, seen_at timestamp, kept_by varchar(20)
);
create table lines (
    item varchar(20) references items (code), line integer, amount integer check (amount > 0),
    primary key (item, line)
);
insert into items (code, "the ""T"" one", kept_by) values ('theirs', 'by hand', 'somebody');
"""


class Shop:
    """A database and a target on it."""

    def __init__(self, url: str) -> None:
        self.url, self.engine = url, sa.create_engine(url)
        with self.engine.begin() as connection:
            for statement in filter(str.strip, TABLES.split(";")):
                connection.exec_driver_sql(statement)

    def target(self, items: Mapping[str, Any] | None = None, **more: Any) -> Sql:
        entities = {"items": {"table": "items"} | dict(items or {}), "lines": {"table": "lines"}}
        settings = {"kind": "sql", "url": self.url, "entities": entities} | more
        return Sql("shop", settings, {"items": ITEMS, "lines": LINES})

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with self.engine.begin() as connection:
            found = connection.exec_driver_sql(query)
            return [tuple(row) for row in found] if found.returns_rows else []

    def clear(self) -> None:
        self.ask("delete from lines")
        self.ask("delete from items where code <> 'theirs'")


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with sql_server.running(tmp_path_factory.mktemp("sql"), "select 1") as server:
        yield Shop(server.url)


@pytest.fixture(params=["postgresql", "sqlite"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    if request.param == "postgresql":
        made = request.getfixturevalue("postgres")
        made.clear()
    else:
        sqlite3.connect(tmp_path / "shop.sqlite").close()
        made = Shop(f"sqlite:///{tmp_path / 'shop.sqlite'}")
    yield made


def item(code: str, action: str = "create", **new: Any) -> Change:
    row = {"code": code, "title": f"Item {code}"} if action == "create" else {}
    remote_id = None if action == "create" else code
    return Change(f"{action}-{code}", "shop", "items", (code,), action, remote_id, {}, row | new)


def said(outcomes: list[Outcome]) -> list[tuple[str, str]]:
    return [(one.status, one.reason) for one in outcomes]


def read(target: Sql, entity: str = "items") -> list[dict[str, Any]]:
    rows = [row for batch in target.observe(entity) for row in batch.to_pylist()]
    return sorted(rows, key=lambda row: str(row["remote_id"]))


# ---------------------------------------------------------------- types


def test_values_go_in_by_the_contract_and_come_out_as_text(shop: Shop):
    new = {
        "price": 1.5,
        "active": True,
        "sold_on": "2026-10-05",
        "seen_at": "2026-10-05 03:00:00",
        "title": "Zoë’s; drop table items --",
    }
    assert said(shop.target().apply([item("A", **new)])) == [("applied", "")]
    (row,) = [row for row in read(shop.target()) if row["code"] == "A"]
    assert row["title"] == new["title"]
    assert (row["price"], row["active"], row["sold_on"]) == ("1.50", "true", "2026-10-05")
    assert row["seen_at"].startswith("2026-10-05 03:00:00")
    assert row["remote_id"] == "A"


@pytest.mark.parametrize(
    ("kind", "value"),
    [("integer", "twelve"), ("date", "5 Oct"), ("decimal(9,2)", "dear"), ("text", "a\0b")],
)
def test_a_value_that_is_not_what_the_contract_says_is_refused_before_it_is_sent(kind, value):
    with pytest.raises(KeyError, match=r"is no"):
        bound(kind, value)


def test_what_databases_hold_besides_is_text_too():
    assert as_text(b"\x01\xff") == "01ff"
    assert as_text({"b": 1, "a": None}) == '{"a":null,"b":1}'
    assert as_text(None) is None
    assert as_text("") == ""


# ---------------------------------------------------------------- whose rows


def test_rows_of_another_owner_are_never_read_changed_or_deleted(shop: Shop):
    before = shop.ask("select * from items where code = 'theirs'")
    target = shop.target({"owner": {"column": "kept_by"}})
    assert read(target) == []
    outcomes = target.apply(
        [item("theirs"), item("theirs", "update", title="x"), item("theirs", "delete"), item("A")]
    )
    assert said(outcomes) == [
        ("failed", "duplicate"),
        ("failed", "not_found"),
        ("applied", "not_found"),
        ("applied", ""),
    ]
    assert "theirs" in outcomes[0].note
    assert shop.ask("select * from items where code = 'theirs'") == before
    assert shop.ask("select kept_by from items where code = 'A'") == [("homeroom",)]
    assert target.find(item("theirs")) is None
    assert target.find(item("A")) == "A"


def test_a_prefix_says_whose_a_row_is_and_its_signs_mean_nothing_else(shop: Shop):
    shop.ask("insert into items (code, \"the \"\"T\"\" one\") values ('a_1', 'x'), ('ab1', 'y')")
    target = shop.target({"prefix": "a_"})
    assert [row["code"] for row in read(target)] == ["a_1"]
    assert said(target.apply([item("ab1", "delete")])) == [("applied", "not_found")]
    assert said(target.apply([item("a_1", "delete")])) == [("applied", "")]


# ---------------------------------------------------------------- a batch


def test_one_row_that_is_refused_leaves_the_others_kept(shop: Shop):
    target = shop.target()
    changes = [item("A"), item("B", title=None), item("C"), item("C2", price="dear"), item("D")]
    assert said(target.apply(changes)) == [
        ("applied", ""),
        ("failed", "invalid"),
        ("applied", ""),
        ("failed", "unsupported"),
        ("applied", ""),
    ]
    assert [row["code"] for row in read(target)] == ["A", "C", "D", "theirs"]


def test_a_batch_without_trouble_is_one_transaction_and_one_insert(shop: Shop):
    target = shop.target()
    asked: list[str] = []
    engine = target._opened()
    sa.event.listen(engine, "before_cursor_execute", lambda *said: asked.append(said[2]))
    sa.event.listen(engine, "commit", lambda _: asked.append("commit"))
    assert {one.status for one in target.apply([item(f"A{at}") for at in range(20)])} == {"applied"}
    assert [
        sum(word.lower().startswith(one) for word in asked) for one in ("insert", "commit")
    ] == [1, 1]
    assert not [word for word in asked if "savepoint" in word.lower()]
    assert target.write_calls == 20


def test_what_is_there_already_is_recognised_and_not_written_again(shop: Shop):
    target = shop.target()
    target.apply([item("A", price=1)])
    assert said(target.apply([item("A", price=2), item("B")])) == [
        ("applied", "duplicate"),
        ("applied", ""),
    ]
    assert read(target)[0]["price"] == "1.00"


ACCOUNTS = Export(
    "exp_shop__accounts",
    '"exports"."exp_shop__accounts"',
    "shop",
    "accounts",
    ("code",),
    (
        Column("code"),
        Column("mail", role="login"),
        Column("is_open", "boolean", field="open", role="switch", off_value=False),
        Column("by", role="adopt"),
    ),
    context=("by",),
)


@pytest.mark.parametrize(
    ("said", "there", "words", "ours"),
    [
        ({}, (None, True, "member"), "it is 7, which carries no key of ours", False),
        (
            OWN := {"adopts": True, "adopts_only": {"sort": ["", "member"]}},
            (None, True, "M"),
            "by sort",
            False,
        ),
        (OWN, (None, True, "Member"), "", True),
        (OWN, (None, True, None), "", True),
        (OWN, (None, True, "room"), "by sort no person's own", False),
        (OWN, (None, False, "member"), "by open no person's own", False),
        (OWN, ("B2", True, "member"), "which carries the key B2", False),
    ],
)
def test_who_has_the_name_is_named_and_ours_only_where_it_is_nobodys_and_of_a_sort_that_is_said(
    shop: Shop, said, there, words, ours
):
    shop.ask("drop table if exists accounts")
    made_by_it = "" if shop.url.startswith("sqlite") else " generated by default as identity"
    shop.ask(
        f"create table accounts (id integer{made_by_it} primary key, code varchar(9) unique,"
        " mail varchar(40) unique, open boolean, sort varchar(9))"
    )
    table = sa.table(
        "accounts", *(sa.column(one) for one in ("id", "code", "mail", "open", "sort"))
    )
    with shop.engine.begin() as connection:
        row = dict(zip(("code", "open", "sort"), there, strict=True))
        connection.execute(sa.insert(table).values(id=7, mail="ann@d.example", **row))
    entities = {"accounts": {"table": "accounts", "id": "id", **said}}
    target = Sql(
        "shop", {"kind": "sql", "url": shop.url, "entities": entities}, {"accounts": ACCOUNTS}
    )
    if said:
        unlike = [
            row["_unlike"] for batch in target.observe("accounts") for row in batch.to_pylist()
        ]
        wanted = words.partition("by ")[2].split(" ")[0] or None
        assert unlike == [wanted if "by " in words else None]
    new = {"code": "A1", "mail": "ann@d.example", "is_open": True}
    (outcome,) = target.apply([Change("c", "shop", "accounts", ("A1",), "create", new=new)])
    target.close()
    assert (outcome.status, outcome.remote_id if ours else outcome.reason) == (
        ("applied", "7") if ours else ("failed", "duplicate")
    )
    assert words in outcome.note
    assert "ann" not in outcome.note
    assert shop.ask("select code from accounts") == [("A1",) if ours else (there[0],)]


def test_who_adopts_rows_says_by_which_id_and_of_which_sort(shop: Shop):
    for more, said in (({}, "adopts wants id"), ({"id": "id"}, "accounts of every sort")):
        entities = {"accounts": {"table": "accounts", "adopts": True, **more}}
        with pytest.raises(TargetSettingsError, match=said):
            Sql("shop", {"url": shop.url, "entities": entities}, {"accounts": ACCOUNTS})


def test_a_key_of_two_columns_is_one_key(shop: Shop):
    target = shop.target()
    target.apply([item("A")])
    lines = [
        Change(f"l{at}", "shop", "lines", ("A", str(at)), "create", None, {}, row)
        for at, row in enumerate(({"item": "A", "line": 0, "amount": 1}, {"item": "A", "line": 1}))
    ]
    assert said(target.apply(lines)) == [("applied", ""), ("applied", "")]
    assert target.find(lines[1]) == "A|1"
    gone = Change("d", "shop", "lines", ("A", "1"), "remove", "A|1")
    refused = Change("u", "shop", "lines", ("A", "0"), "update", "A|0", {}, {"amount": 0})
    assert said(target.apply([gone, refused])) == [("applied", ""), ("failed", "invalid")]
    assert [row["remote_id"] for row in read(target, "lines")] == ["A|0"]


# ---------------------------------------------------------------- settings and errors


@pytest.mark.parametrize(
    ("more", "said_of"),
    [
        ({"batsh": 1}, "batsh: no such key; the nearest is batch"),
        ({"items": {"tabel": "x"}}, "tabel: no such key; the nearest is table"),
        ({"items": {"prefix": "a", "owner": {"column": "b"}}}, "by owner or by prefix"),
        ({"entities": {"lines": {"table": "l", "prefix": "a"}}}, "several columns; say whose"),
        ({"entities": {"lines": {"table": "l", "links": "id"}}}, "which has no table here"),
    ],
)
def test_settings_that_cannot_be_followed_are_refused_with_the_key(more, said_of):
    settings = {"kind": "sql", "url": "sqlite://", "entities": {"items": {"table": "items"}}}
    settings["entities"]["items"] |= more.pop("items", {})
    with pytest.raises(TargetSettingsError, match=said_of):
        Sql("shop", settings | more, {"items": ITEMS, "lines": LINES})


def test_a_table_that_is_not_there_is_told_without_the_databases_words(shop: Shop):
    target = shop.target({"table": "itmes"})
    with pytest.raises(TargetUnreadableError) as refused:
        target.check_connection()
    assert "could not be read" in str(refused.value)
    assert "select" not in str(refused.value).lower()
    (outcome,) = target.apply([item("A")])
    assert outcome.status in {"failed", "retry"}
    assert shop.target().check_connection() == "signed in, items, lines can be read"


def test_an_address_nobody_can_use_is_a_sentence_without_it():
    for url in ("", "postgres:secret@x", "nosuch+driver://me:secret@x/y"):
        target = Sql(
            "shop",
            {"kind": "sql", "url": url, "entities": {"items": {"table": "items"}}},
            {"items": ITEMS},
        )
        (outcome,) = target.apply([item("A")])
        assert (outcome.status, outcome.reason, outcome.calls) == ("failed", "not_configured", 0)
        assert "secret@" not in outcome.note


class FailedError(Exception):
    """An error as a driver raises it."""

    def __init__(self, code: str | int) -> None:
        super().__init__(code, "Key (mail)=(zoë@x.example) already exists")
        if isinstance(code, str):
            self.pgcode = code


@pytest.mark.parametrize(
    ("code", "committing", "verdict"),
    [
        ("23505", False, ("failed", "duplicate")),
        (1062, False, ("failed", "duplicate")),
        ("23514", False, ("failed", "invalid")),
        ("22003", False, ("failed", "invalid")),
        ("42501", False, ("failed", "forbidden")),
        ("42P01", False, ("failed", "not_configured")),
        (1146, False, ("failed", "not_configured")),
        ("40P01", False, ("retry", "conflict")),
        ("40001", True, ("retry", "conflict")),
        (1213, False, ("retry", "conflict")),
        ("55P03", False, ("retry", "locked")),
        (1205, False, ("retry", "locked")),
        ("53300", False, ("retry", "throttled")),
        ("57014", False, ("retry", "too_slow")),
        ("57P01", False, ("retry", "server_error")),
        ("57P01", True, ("unknown", "no_reply")),
        ("", True, ("unknown", "no_reply")),
        ("", False, ("retry", "unreachable")),
    ],
)
def test_an_error_means_what_its_code_says_and_its_words_enter_nothing(code, committing, verdict):
    error = sa.exc.OperationalError("insert …", {"mail": "zoë@x.example"}, FailedError(code))
    trouble = trouble_of(error, committing=committing)
    assert (trouble.status, trouble.reason) == verdict
    outcome = trouble.outcome(item("A"), creating=True)
    assert "zoë" not in f"{outcome.note}{outcome.reason}{trouble}"
    assert trouble.outcome(item("A", "update"), creating=False).status != "unknown"
