"""The systems of this example: a shop's tables and the books' table, both in PostgreSQL, and a
ledger system that is a service with an API: it keeps each fifth invoice and answers nothing useful.

What each holds is asked of it directly here, and of no run: that is what the demo compares.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from examples import kit

TOKEN = "ledger-token-of-the-example"  # noqa: S105 - of a ledger that lives for a demo
FIRST = date(2027, 3, 1)
RATES = {"G": Decimal("0.05"), "Z": Decimal(0)}
SHOP = """
create table orders (number text primary key, day date not null, customer text not null,
    state text not null default 'paid');
create table lines (order_number text references orders, line integer, tax_code text not null,
    net numeric(12, 2) not null, tax numeric(12, 2) not null, primary key (order_number, line));
create table refunds (number text primary key, order_number text not null references orders,
    day date not null, tax_code text not null, net numeric(12, 2) not null,
    tax numeric(12, 2) not null);
create table payments (number text primary key, order_number text not null references orders,
    day date not null, amount numeric(12, 2) not null);
create table closings (day date primary key, gross numeric(12, 2) not null);
create view sold as
    select day, tax_code, net, tax from orders join lines on order_number = number
    where state <> 'cancelled'
    union all select day, tax_code, -net, -tax from refunds;
"""
BOOKS = """
create table postings (document_id text primary key, number bigint not null unique,
    about text not null, order_number text not null, day date not null, account text not null,
    tax_code text not null, net numeric(12, 2) not null, tax numeric(12, 2) not null);
create function never() returns trigger language plpgsql as
    $$ begin raise exception 'a posting stays as it is'; end $$;
create trigger never before update or delete on postings for each row execute function never();
"""


@dataclass
class Ledger:
    """The ledger system's own state."""

    invoices: list[dict[str, Any]] = field(default_factory=list)
    posts: int = 0
    changes: int = 0  # how often somebody tried to change or delete one

    def answer(self, method: str, path: str, asked: Mapping[str, str], body: Any) -> kit.Answer:
        """One request."""
        if path.strip("/") == "invoices" and method == "GET":
            wanted = asked.get("document")
            return kit.page([o for o in self.invoices if wanted in (None, o["document"])], asked)
        if path.strip("/") != "invoices" or method != "POST":
            self.changes += 1
            return 405, {"code": "never"}
        if any(one["number"] == body["number"] for one in self.invoices):
            return 409, {"code": "number_taken"}
        if not all(isinstance(body[name], str) for name in ("net", "tax")):
            return 400, {"code": "no_decimal"}
        self.posts += 1
        self.invoices.append({"id": len(self.invoices) + 1, **body})
        if self.posts % 5 == 0:  # it has kept it, and the answer is lost
            return 500, {}
        return 201, self.invoices[-1]


@dataclass
class Systems:
    """All of them, while they are up."""

    ask: Any
    ledger: Ledger
    environment: Mapping[str, str]
    days: int = 0
    waiting: date | None = None  # the day whose till was counted wrongly
    runs: int = 1

    def shop(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.ask("shop", query, *values)

    def change(self) -> None:
        """A day in the shop: orders, part payments; a refund, an order changed after its invoice
        and one cancelled, of the days before; a till counted wrongly, and put right the day after.
        """
        self.days += 1
        chance = random.Random(self.days)  # noqa: S311 - a day of a shop that is made up
        day = FIRST + timedelta(days=self.days - 1)
        before = [number for (number,) in self.shop("select number from orders order by number")]
        for count in range(6):
            number = f"O-{self.days:03d}{count}"
            self.shop("insert into orders values (%s, %s, %s)", number, day, f"C-{count}")
            for line in range(1, chance.randint(2, 4)):
                self._line(number, line, chance.choice("GZ"), chance.randint(1, 99_999))
            for part in range(chance.randint(0, 2)):
                self.shop(
                    "insert into payments values (%s, %s, %s, %s)",
                    *(f"P-{number}-{part}", number, day, Decimal(chance.randint(1, 900)) / 100),
                )
        refunded = f"O-{self.days:03d}0"
        if before:
            changed, cancelled, refunded = chance.sample(before, 3)
            self.shop("update lines set net = net + 1.01 where order_number = %s", changed)
            self.shop("update orders set state = 'cancelled' where number = %s", cancelled)
        self.shop(
            "insert into refunds select 'R-' || %s, order_number, %s, tax_code, 0.10, 0.00"
            " from lines where order_number = %s limit 1",
            *(f"{self.days:03d}", day, refunded),
        )
        self.shop(
            "insert into closings select day, sum(net + tax) from sold group by day"
            " on conflict (day) do update set gross = excluded.gross"
        )
        self.waiting = day if self.days % 2 == 0 else None
        self.shop("update closings set gross = gross + 0.01 where day = %s", self.waiting)

    def _line(self, number: str, line: int, code: str, cents: int) -> None:
        net = Decimal(cents) / 100
        tax = (net * RATES[code]).quantize(Decimal("0.01"))
        self.shop("insert into lines values (%s, %s, %s, %s, %s)", number, line, code, net, tax)

    def wrong(self) -> list[str]:
        """Where the books are not what was sold, a number is missing, or a document was changed."""
        told = []
        sums = "select day, tax_code, sum(net)::text, sum(tax)::text from {} group by 1, 2"
        sold = self._nonzero(self.shop(sums.format("sold")))
        posted = self._nonzero(
            self.ask("books", sums.format("postings where account <> 'payments'"))
        )
        told += [f"{day} {code} differs" for day, code in sold.keys() ^ posted.keys()]
        told += [f"{a} differs" for a in sold.keys() & posted.keys() if sold[a] != posted[a]]
        paid = dict(self.shop("select number, amount from payments where day <> %s", self._late))
        entered = dict(
            self.ask(
                "books",
                "select about, sum(net) from postings where account = 'payments' and day <> %s"
                " group by 1",
                self._late,
            )
        )
        told += [] if paid == entered else ["payments differ"]
        told += self._invoices()
        numbers = [int(n) for (n,) in self.ask("books", "select number from postings")]
        named = [int(one["number"].removeprefix("INV-")) for one in self.ledger.invoices]
        for what, some in (("postings", numbers), ("invoices", named)):
            if sorted(some) != list(range(1, len(some) + 1)):
                told.append(f"numbers of {what} have a gap, or one is there twice")
        keys = [one["document"] for one in self.ledger.invoices]
        told += [] if len(keys) == len(set(keys)) else ["an invoice is there twice"]
        return told + ([f"{self.ledger.changes} changes"] if self.ledger.changes else [])

    @property
    def _late(self) -> date:
        return self.waiting or date(1900, 1, 1)

    def _nonzero(self, rows: list[tuple[Any, ...]]) -> dict[tuple[date, str], tuple[Any, ...]]:
        """Day and tax code -> what they come to, of the days that do not wait."""
        amounts = {(d, code): (Decimal(net), Decimal(tax)) for d, code, net, tax in rows}
        return {at: two for at, two in amounts.items() if any(two) and at[0] != self.waiting}

    def _invoices(self) -> list[str]:
        query = (
            "select number, sum(net), sum(tax) from orders join lines on order_number = number"
            " where state <> 'cancelled' and day <> %s group by 1"
        )
        wanted = {number: (net, tax) for number, net, tax in self.shop(query, self._late)}
        made: dict[str, tuple[Decimal, Decimal]] = {}
        for one in self.ledger.invoices:
            if date.fromisoformat(one["day"]) != self._late:
                net, tax = made.get(one["order"], (Decimal(0), Decimal(0)))
                made[one["order"]] = (net + Decimal(one["net"]), tax + Decimal(one["tax"]))
        made = {number: two for number, two in made.items() if any(two)}
        return [] if made == wanted else ["invoices differ from orders"]

    def written(self) -> int:
        """Documents both sides have."""
        return self.ledger.posts + len(self.ask("books", "select 1 from postings"))


@contextmanager
def up(_: Path) -> Iterator[Systems]:
    """Start them; stopped when the context ends."""
    ledger = Ledger()
    with kit.postgres() as ask, kit.service(TOKEN, ledger.answer) as address:
        ask("shop", SHOP)
        ask("books", BOOKS)
        systems = Systems(
            ask,
            ledger,
            {
                "SOURCES__SHOP__URL": ask.url("shop"),
                "TARGETS__BOOKS__URL": ask.url("books"),
                "TARGETS__LEDGER__ADDRESS": address,
                "TARGETS__LEDGER__AUTH__TOKEN": TOKEN,
            },
        )
        systems.change()
        yield systems
