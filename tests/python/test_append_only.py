"""Documents (`append_only`): made once, never changed, never deleted, numbered without gaps, in
amounts that are decimals, through lost replies, refusals and kills.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import pytest
import sql_kit
import sql_server
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from json_api import serving
from ledger_kit import ledger, stand

from demo.platforms.http import Reply, Request
from reverse_etl import append_only, diff
from reverse_etl.configured import TargetSettingsError
from reverse_etl.model import Change, Column, Export, Outcome
from reverse_etl.targets import documents, exact
from reverse_etl.targets.rest import Rest
from reverse_etl.targets.sql import Sql

WHY = "the books are kept for seven years"
COLUMNS = (
    Column("invoice_id", field="key"),
    Column("number", role="number"),
    Column("total", "decimal(18,2)"),
)
TRIES = 12  # how often the engine in these tests sends one change
cheap = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


def exported(*columns: Column, **more: Any) -> Export:
    return Export(
        "exp_books__invoices",
        'exports."exp_books__invoices"',
        "books",
        "invoices",
        ("invoice_id",),
        columns or COLUMNS,
        **more,
    )


def change(key: str, action: str = "create", **new: Any) -> Change:
    row = {"invoice_id": key, "number": "INV-{0000}", "total": "10.50"} | new
    said = row if action == "create" else new
    return Change(f"{action}-{key}", "books", "invoices", (key,), action, "1", new=said)


# ---------------------------------------------------------------- a JSON API


class Books:
    """An API of invoices: no two with one key or number; each answer meets what is drawn."""

    def __init__(self) -> None:
        self.held: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self.keys: dict[str, int] = {}  # idempotency key -> how often it was sent
        self.meets: list[str] = []

    def respond(self, request: Request) -> Reply | None:
        met = self.meets.pop(0) if self.meets else ""
        if met == "500":
            return Reply(500, {})
        if met == "429":
            return Reply(429, {}, {"Retry-After": "0"})
        if met == "nothing":
            return None
        answer = self._answer(request)
        return None if met == "lost" else answer

    def _answer(self, request: Request) -> Reply:
        if request.method == "GET":
            asked = unquote(request.target.partition("key=")[2])
            rows = [one for one in self.held if asked in ("", one["key"])]
            return Reply(200, {"rows": rows, "total": len(rows)})
        assert request.method == "POST"
        self.bodies.append(request.body)
        body = json.loads(request.body, parse_float=str)
        once = request.headers.get("idempotency-key", "")
        self.keys[once] = self.keys.get(once, 0) + 1
        if any(one["key"] == body["key"] or one["number"] == body["number"] for one in self.held):
            return Reply(409, {})
        self.held.append({"id": str(len(self.held) + 1), **body})
        return Reply(201, self.held[-1])

    def target(self, url: str, entity: Mapping[str, Any] | None = None, **more: Any) -> Rest:
        routes: dict[str, Any] = {
            "append_only": WHY,
            "idempotency_header": "Idempotency-Key",
            "list": {"path": "invoices", "items": "rows", "total": "total"},
            "find": {"path": "invoices", "items": "rows", "params": {"key": "{key}"}},
            "create": {"path": "invoices"},
            **(entity or {}),
        }
        routes = {name: route for name, route in routes.items() if route is not None}
        said = {
            "kind": "rest",
            "address": url,
            "timeout": 2,
            "writes_per_minute": 60_000,
            "entities": {"invoices": routes},
        }
        made = Rest("books", {**said, **more}, {"invoices": more.pop("export", exported())})
        made._reads._sleep = lambda _: None
        made._documents.pause = lambda _: None
        return made


@pytest.fixture(scope="module")
def api() -> Iterator[tuple[Books, str]]:
    books = Books()
    with serving(books.respond) as url:
        yield books, url


def applied(make: Any, changes: list[Change], kills: list[int]) -> dict[str, Outcome]:
    """What the engine does with the changes: each sent until it is settled, and looked up first
    where nobody knows; at the calls in `kills` the process is another.
    """
    target, outcomes, calls = make(), {}, 0
    for one in changes:
        unclear = False
        for _ in range(TRIES):
            if calls in kills:
                target.close()
                target, unclear = make(), True
            calls += 1
            if unclear and (found := target.find(one)):
                outcomes[one.key[0]] = Outcome(one.change_id, "applied", remote_id=found)
                break
            [outcome] = target.apply([one])
            outcomes[one.key[0]] = outcome
            if outcome.status in ("applied", "failed"):
                break
            unclear = outcome.status == "unknown"
    target.close()
    return outcomes


@cheap
@given(
    meets=st.lists(st.sampled_from(["", "", "", "lost", "500", "429"]), max_size=25),
    kills=st.lists(st.integers(0, 12), max_size=3),
    count=st.integers(1, 6),
    others=st.integers(0, 2),
)
def test_each_document_is_there_once_and_numbers_have_no_gap_whatever_an_api_does(
    api: tuple[Books, str], meets: list[str], kills: list[int], count: int, others: int
):
    books, url = api
    theirs = [{"id": f"o{n}", "key": f"o{n}", "number": f"INV-{n:04d}"} for n in range(1, others)]
    books.held, books.meets, books.keys = [*theirs], list(meets), {}
    changes = [change(f"K{n}/1", total=f"{n}.10") for n in range(count)]
    outcomes = applied(lambda: books.target(url), changes, kills)
    books.meets = []
    if any(one.status != "applied" for one in outcomes.values()):  # the next run does the rest
        outcomes = applied(lambda: books.target(url), changes, [])
    assert {one.status for one in outcomes.values()} == {"applied"}
    made = books.held[len(theirs) :]
    assert sorted(one["key"] for one in made) == sorted(one.key[0] for one in changes)
    numbers = sorted(one["number"] for one in books.held)
    assert numbers == [f"INV-{n:04d}" for n in range(1, len(books.held) + 1)]


def test_a_document_nobody_knows_about_lets_none_pass_that_would_have_its_number(
    api: tuple[Books, str],
):
    books, url = api
    books.held, books.meets = [], []
    target = books.target(url)
    # looked up and the list read, then sent in vain five times with a look-up before each
    books.meets = ["", "", "nothing", *("nothing",) * 200]
    [first] = target.apply([change("A/1")])
    books.meets = []
    [second] = target.apply([change("B/1")])
    assert (first.status, second.status) == ("unknown", "retry")
    assert "waits for the document before it" in second.note and books.held == []
    assert [target.apply([change(key)])[0].status for key in ("A/1", "B/1")] == ["applied"] * 2
    assert [one["number"] for one in books.held] == ["INV-0001", "INV-0002"]


def test_a_number_somebody_else_took_meanwhile_is_not_given_twice(api: tuple[Books, str]):
    books, url = api
    books.held, books.meets = [], []
    target = books.target(url)
    target.apply([change("A/1")])
    books.held.append({"id": "x", "key": "by hand", "number": "INV-0002"})
    [outcome] = target.apply([change("B/1")])
    assert (outcome.status, books.held[-1]["number"]) == ("applied", "INV-0003")


def test_a_create_that_is_sent_again_has_the_same_idempotency_key(api: tuple[Books, str]):
    books, url = api
    books.held, books.keys, books.bodies = [], {}, []
    books.meets = ["", "", "500", "", ""]
    target = books.target(url)
    assert target.apply([change("A/1")])[0].status == "applied"
    one, two = change("A/1"), change("B/1")
    assert (
        documents.once(one, "INV-0001")
        == documents.once(one, "INV-0001")
        != documents.once(two, "INV-0001")
    )
    assert list(books.keys) == [documents.once(one, "INV-0001")]


@pytest.mark.parametrize("action", ["update", "rename", "suspend", "restore", "delete", "remove"])
def test_a_document_of_an_api_is_never_changed_and_never_deleted(
    api: tuple[Books, str], action: str
):
    books, url = api
    books.bodies, books.meets = [], []
    target = books.target(url)
    [outcome] = target.apply([change("A/1", action, total="1.00")])
    assert (outcome.status, outcome.reason) == ("failed", "unsupported")
    assert "never changed, never deleted" in outcome.note and books.bodies == []
    assert target.append_only == target.lasting == {"invoices": WHY}


@pytest.mark.parametrize("amount", ["10.50", "0.10", "12345678901234567.89", "-3.00", "100.00"])
def test_an_amount_goes_to_an_api_and_comes_back_digit_by_digit(
    api: tuple[Books, str], amount: str
):
    books, url = api
    for decimals, sent in (("number", f'"total":{amount}'), ("text", f'"total":"{amount}"')):
        books.held, books.bodies, books.meets = [], [], []
        target = books.target(url, decimals=decimals)
        assert target.apply([change("A/1", total=amount)])[0].status == "applied"
        assert sent.encode() in books.bodies[0]
        [batch] = target.observe("invoices")
        assert batch.column("total").to_pylist() == [amount]


@given(st.recursive(st.none() | st.text() | st.decimals(-(10**15), 10**15, places=2), st.lists))
def test_json_is_written_and_read_digit_by_digit(document: Any):
    assert exact.loads(exact.dumps({"a": document})) == {"a": document}


# ---------------------------------------------------------------- a database

TABLE = """
create table kit.invoices (key text primary key, number text unique, total numeric(18, 2) not null
    check (total <> 13));
create table kit.slips (key text primary key, number integer unique, total numeric(18, 2));
"""
SLIPS = (COLUMNS[0], Column("number", "integer", role="number"), COLUMNS[2])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sql_server.Running]:
    with sql_server.running(
        tmp_path_factory.mktemp("sql"), f"create schema if not exists kit; {TABLE}"
    ) as running:
        yield running


def table(server: Any, **more: Any) -> Sql:
    entity = {"table": "invoices", "schema": "kit", "append_only": WHY, **more.pop("entity", {})}
    said = {"kind": "sql", "url": server.url, "entities": {"invoices": entity}, **more}
    return Sql("books", said, {"invoices": more.pop("export", exported())})


def clear(server: Any) -> None:
    server.set_faults(lose_reply_after_commit=0, random_5xx=0, throttle=0, reset=0)
    server.ask("delete from kit.invoices; delete from kit.slips")


@cheap
@given(
    shares=st.tuples(*[st.sampled_from([0.0, 0.3])] * 3),
    kills=st.lists(st.integers(0, 12), max_size=2),
    count=st.integers(1, 6),
    seed=st.integers(1, 999),
)
def test_each_row_is_there_once_and_numbers_have_no_gap_whatever_a_database_does(
    server: sql_server.Running,
    shares: tuple[float, float, float],
    kills: list[int],
    count: int,
    seed: int,
):
    clear(server)
    lost, broken, throttled = shares
    server.set_faults(
        seed=seed, lose_reply_after_commit=lost, random_5xx=broken, throttle=throttled
    )
    changes = [change(f"K{n}/1", total=f"{n}.10") for n in range(count)]
    outcomes = applied(lambda: table(server), changes, kills)
    server.set_faults(lose_reply_after_commit=0, random_5xx=0, throttle=0)
    if any(one.status != "applied" for one in outcomes.values()):
        applied(lambda: table(server), changes, [])
    held = server.ask("select key, number, total::text from kit.invoices order by key")
    assert [(key, total) for key, _, total in held] == [
        (f"K{n}/1", f"{n}.10") for n in range(count)
    ]
    assert sorted(number for _, number, _ in held) == [f"INV-{n:04d}" for n in range(1, count + 1)]


def test_many_rows_of_one_transaction_are_numbered_in_order_and_a_refused_one_takes_no_number(
    server: sql_server.Running,
):
    clear(server)
    target = table(server)
    first = target.apply([change(f"A{n}/1") for n in range(3)])
    some = [change("B/1"), change("C/1", total="13.00"), change("D/1")]
    outcomes = [*first, *target.apply(some)]
    assert [one.status for one in outcomes] == [*["applied"] * 4, "failed", "applied"]
    held = server.ask("select number, key from kit.invoices order by number")
    assert held == [
        ("INV-0001", "A0/1"),
        ("INV-0002", "A1/1"),
        ("INV-0003", "A2/1"),
        ("INV-0004", "B/1"),
        ("INV-0005", "D/1"),
    ]


def test_a_column_of_whole_numbers_counts_on_from_the_greatest(server: sql_server.Running):
    clear(server)
    server.ask("insert into kit.slips values ('by hand', 41, 1)")
    target = Sql(
        "books",
        {
            "kind": "sql",
            "url": server.url,
            "entities": {"invoices": {"table": "slips", "schema": "kit", "append_only": WHY}},
        },
        {"invoices": exported(*SLIPS)},
    )
    target.apply([change("A/1", number=None), change("B/1", number=None)])
    assert server.ask("select key, number from kit.slips order by number") == [
        ("by hand", 41),
        ("A/1", 42),
        ("B/1", 43),
    ]


@pytest.mark.parametrize("action", ["update", "adopt", "delete", "remove"])
def test_a_document_in_a_table_is_never_changed_and_never_deleted(
    server: sql_server.Running, action: str
):
    clear(server)
    target = table(server)
    target.apply([change("A/1")])
    [outcome] = target.apply([change("A/1", action, total="1.00")])
    assert (outcome.status, outcome.reason) == ("failed", "unsupported")
    assert server.ask("select total from kit.invoices") == [(Decimal("10.50"),)]


def test_an_amount_of_twenty_digits_goes_to_a_table_and_comes_back_as_it_is(
    server: sql_server.Running,
):
    clear(server)
    target = table(server)
    target.apply([change("A/1", total="1234567890123456.78")])
    [batch, _] = target.observe("invoices")
    assert batch.column("total").to_pylist() == ["1234567890123456.78"]


# ---------------------------------------------------------------- what settings may not say


@pytest.mark.parametrize(
    ("entity", "said"),
    [
        ({"update": {"path": "invoices/{id}"}}, "nothing changes one; take update away"),
        ({"delete": {"path": "invoices/{id}"}}, "nothing changes one; take delete away"),
        ({"create_batch": {"path": "many"}}, "documents are made one by one"),
        ({"find": None}, "append_only needs find"),
        ({"create": {"path": "invoices/{key}", "method": "PUT"}}, "writes over what is there"),
        ({"append_only": ""}, "has role number, which is for documents"),
    ],
)
def test_calls_that_would_change_a_document_are_refused_before_any_is_made(
    entity: dict[str, Any], said: str
):
    with pytest.raises(TargetSettingsError, match=said):
        Books().target("http://127.0.0.1:9", entity)


@pytest.mark.parametrize(
    ("export", "said"),
    [
        (exported(COLUMNS[0], Column("total", "double")), "column total .* is a float"),
        (exported(on_absent="delete"), "says on_absent: delete; a document stays"),
        (exported(COLUMNS[0], Column("total", owner="both")), "has one owner"),
    ],
)
def test_an_export_that_documents_cannot_follow_is_refused(export: Export, said: str):
    for kind in (Rest, Sql):
        with pytest.raises(TargetSettingsError, match=said):
            kind(
                "books",
                {
                    "kind": "x",
                    "entities": {
                        "invoices": {
                            "append_only": WHY,
                            **(
                                {
                                    "list": {"path": "i"},
                                    "find": {"path": "i"},
                                    "create": {"path": "i"},
                                }
                                if kind is Rest
                                else {"table": "i"}
                            ),
                        }
                    },
                    **({"address": "http://127.0.0.1:9"} if kind is Rest else {}),
                },
                {"invoices": export},
            )


# ---------------------------------------------------------------- in a plan


def test_a_plan_makes_new_documents_and_holds_and_names_every_other_change():
    one = exported(context=())
    kinds = {"total": "decimal(18,2)"}
    with ledger() as connection:
        stand(
            connection,
            one,
            kinds=kinds,
            wanted=[("N", None, "1"), ("S", None, "2"), ("D", None, "30"), ("G", None, "4")],
            there=[("1", "S", "1", "2.00"), ("2", "D", "2", "3.00"), ("3", "A", "3", "99.00")],
            written=[("S", "1", "2"), ("D", "2", "3"), ("A", "3", "5"), ("G", "4", "4")],
        )
        diff.compare(connection, one, 1)
        told = append_only.hold(connection, one)
        rows = connection.execute(
            "select key, action, hold ->> '$.code', new ->> '$.total' from changes order by key"
        ).fetchall()
        assert rows == [
            ("D", "update", "hold_document", "30.00"),
            ("G", "create", "hold_document_gone", "4.00"),
            ("N", "create", None, "1.00"),
        ]
        assert [(t["code"], t["count"], t["first"], t["columns"]) for t in told] == [
            ("document_differs", 1, "D", "total"),
            ("document_altered", 1, "A", "total"),
            ("document_gone", 1, "G", ""),
        ]
        assert connection.execute("select count(*) from drifts").fetchone() == (0,)
        connection.execute("update changes set released = true")
        append_only.let_go(connection)
        held = connection.execute("select key from changes where hold is not null").fetchall()
        assert held == [("D",)]


# ---------------------------------------------------------------- the rule in SQL


def books(things: Mapping[str, tuple[str, int]], posted: list[tuple[Any, ...]]) -> list[Any]:
    """The documents there shall be, by the macro."""
    wanted = (
        "thing day total:integer",
        *((name, day, total) for name, (day, total) in things.items()),
    )
    tables = {"wanted": wanted, "posted": ("document_id thing day total:integer", *posted)}
    macro = sql_kit.macros()["append_only_documents"]
    query = macro("wanted", "posted", "thing", ["day"], ["total"])
    return sql_kit.answer(f"select * from {query}", tables)


states = st.dictionaries(
    st.sampled_from(["1", "2", "a/b"]), st.tuples(st.sampled_from("xy"), st.integers(-3, 3))
)


@cheap
@given(st.lists(st.tuples(states, st.integers(0, 9)), min_size=1, max_size=5))
def test_a_change_is_a_reversal_and_a_new_document_wherever_a_run_was_cut(days: list[Any]):
    posted: list[tuple[Any, ...]] = []
    for number, (wanted, cut) in enumerate(days):
        rows = books(wanted, posted)
        assert set(posted) <= set(rows)  # what was posted stands as it was
        new = [row for row in rows if row not in posted]
        posted += new[:cut] if number < len(days) - 1 else new
    wanted = days[-1][0]
    assert books(wanted, posted) == sorted(posted, key=repr)  # a quiet run has nothing to say
    assert len({row[0] for row in posted}) == len(posted)
    sums: dict[tuple[str, str], int] = {}
    for _, thing, day, total in posted:
        sums[thing, day] = sums.get((thing, day), 0) + total
    assert {at: total for at, total in sums.items() if total} == {
        (thing, day): total for thing, (day, total) in wanted.items() if total
    }
    reversed_ids = {row[0].removesuffix("R") for row in posted if row[0].endswith("R")}
    standing = {row[1] for row in posted if row[0] not in reversed_ids and row[0][-1] != "R"}
    assert standing == set(wanted)
