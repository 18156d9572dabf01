"""The systems of this example: two warehouses and a desk in databases of PostgreSQL, a shop that is
a service with an API, a marketplace that takes a file.

What each holds is asked of it directly here, and of no run: that is what the demo compares.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from examples import kit

TOKEN = "shop-token-of-the-example"  # noqa: S105 - of a shop that lives for a demo
WEST = """
create table items (sku text primary key, title text not null, price numeric(9, 2) not null,
    is_listed boolean not null default true);
create table stock (sku text primary key references items, on_hand integer not null,
    counted_at timestamptz not null default now());
create table reservations (id integer generated always as identity primary key,
    sku text not null references items, quantity integer not null check (quantity > 0),
    released_at timestamptz);
insert into items select 'P-' || to_char(i, 'FM000'), 'Vis à bois n° ' || i, i * 1.25, i <> 12
    from generate_series(1, 14) as i;
insert into stock select sku, 10 * row_number() over (order by sku) from items where sku < 'P-013';
insert into reservations (sku, quantity, released_at)
    values ('P-001', 3, null), ('P-002', 5, now()), ('P-005', 50, null);
"""
EAST = """
create table bins (article text primary key, cartons integer not null,
    units_per_carton integer not null, counted_at timestamptz not null default now());
insert into bins select 'E' || 99 + i, i % 4, 6 from generate_series(1, 10) as i;
"""
DESK = """
create table promised (sku text primary key, west_units integer, east_units integer,
    reserved_units integer, sold_units integer, promised integer not null check (promised >= 0));
create table writes (number integer generated always as identity);
create function counted() returns trigger language plpgsql as
    $$ begin insert into writes default values; return null; end $$;
create trigger counted after insert or update or delete on promised
    for each row execute function counted();
"""
SAFETY = {"P-003": 5, "P-010": 12}
ARTICLES = {f"E{99 + number}": f"P-{number:03}" for number in range(1, 9)} | {
    "E108": "P-013",
    "E109": "P-014",
}


@dataclass
class Shop:
    """A shop's own state: its products, the lines of its orders, and what was written to it."""

    products: dict[int, dict[str, Any]] = field(default_factory=dict)
    lines: list[dict[str, Any]] = field(default_factory=list)
    writes: int = 0

    def order(self, sku: str, quantity: int) -> None:
        number = len(self.lines) + 1
        self.lines.append({"id": number, "sku": sku, "quantity": quantity, "state": "open"})

    def answer(self, method: str, path: str, asked: Mapping[str, str], body: Any) -> kit.Answer:
        """One request."""
        match method, path.strip("/").split("/"):
            case "GET", ["order-lines"]:
                return kit.page(self.lines, asked)
            case "GET", ["products"]:
                rows = [
                    one for one in self.products.values() if asked.get("sku") in (None, one["sku"])
                ]
                return kit.page(rows, asked)
            case "POST", ["products"]:
                if any(one["sku"] == body.get("sku") for one in self.products.values()):
                    return 409, {"code": "duplicate"}
                self.writes += 1
                number = len(self.products) + 1
                self.products[number] = {**body, "id": number}
                return 201, self.products[number]
            case "PATCH", ["products", number] if int(number) in self.products:
                self.writes += 1
                self.products[int(number)] |= body
                return 200, self.products[int(number)]
        return 404, {"code": "not_found"}


@dataclass
class Systems:
    """All of them, while they are up."""

    ask: Any
    shop: Shop
    market: Path
    environment: Mapping[str, str]
    sent: set[tuple[int, bytes]] = field(default_factory=set)
    runs: int = 1

    def change(self) -> None:
        """Counts, a reservation, sales, a new product, one taken off the list, a new price."""
        ask = self.ask
        ask(
            "west", "update stock set on_hand = on_hand - 4, counted_at = now() where sku = 'P-004'"
        )
        ask("west", "insert into reservations (sku, quantity) values ('P-006', 66)")
        ask("west", "update reservations set released_at = now() where sku = 'P-005'")
        ask("west", "update items set price = 99.90 where sku = 'P-007'")
        ask("west", "update items set is_listed = false where sku = 'P-008'")
        ask("west", "insert into items values ('P-015', 'Clou n° 15', 0.05)")
        ask("west", "insert into stock values ('P-015', 500)")
        ask(
            "east",
            "update bins set cartons = cartons + 1, counted_at = now() where article = 'E100'",
        )
        self.shop.order("P-009", 7)
        self.shop.order("P-010", 500)

    def promised(self) -> dict[str, tuple[int, Decimal, bool]]:
        """SKU -> units, price and whether it may be sold, counted here from the systems' own."""
        units = {sku: 0 for (sku,) in self.ask("west", "select sku from items")}
        units |= dict(self.ask("west", "select sku, on_hand from stock"))
        for article, count in self.ask(
            "east", "select article, cartons * units_per_carton from bins"
        ):
            units[ARTICLES[article]] += count
        for sku, count in self.ask(
            "west", "select sku, quantity from reservations where released_at is null"
        ):
            units[sku] -= count
        for line in self.shop.lines:
            units[line["sku"]] -= line["quantity"] if line["state"] == "open" else 0
        return {
            sku: (max(0, units[sku] - SAFETY.get(sku, 0)), price, listed)
            for sku, price, listed in self.ask("west", "select sku, price, is_listed from items")
        }

    def wrong(self) -> list[str]:
        """Where shop, desk and marketplace hold something else than can be promised."""
        promised = self.promised()
        shop = {
            one["sku"]: (one["quantity"], Decimal(str(one["price"])), one["for_sale"])
            for one in self.shop.products.values()
        }
        right = {sku: (n, price, listed and n > 0) for sku, (n, price, listed) in promised.items()}
        desk = dict(self.ask("desk", "select sku, promised from promised"))
        offered = {sku: n for sku, (n, _, listed) in promised.items() if listed and n}
        told = []
        if shop != right:
            told.append(f"the shop differs in {sorted(dict(shop.items() ^ right.items()))}")
        if desk != {sku: n for sku, (n, *_) in promised.items()}:
            told.append("the desk's table differs")
        if self.offered() != offered:
            told.append("the marketplace's file differs")
        return told

    def offered(self) -> dict[str, int]:
        """What the marketplace was given last."""
        path = self.market / "offers.csv"
        with path.open(encoding="utf-8", newline="") as file:
            return {row["SKU"]: int(row["Quantity"]) for row in csv.DictReader(file, delimiter=";")}

    def written(self) -> int:
        """Writes the shop, the desk and the marketplace have seen."""
        path = self.market / "offers.csv"
        if path.is_file():
            self.sent.add((path.stat().st_mtime_ns, path.read_bytes()))
        return self.shop.writes + len(self.ask("desk", "select 1 from writes")) + len(self.sent)


@contextmanager
def up(folder: Path) -> Iterator[Systems]:
    """Start them in a folder; stopped when the context ends."""
    market = folder / "market"
    market.mkdir(exist_ok=True)
    shop = Shop()
    with kit.postgres() as ask, kit.service(TOKEN, shop.answer) as address:
        for database, tables in (("west", WEST), ("east", EAST), ("desk", DESK)):
            ask(database, tables)
        shop.order("P-002", 2)
        shop.order("P-011", 4)
        yield Systems(
            ask,
            shop,
            market,
            {
                "SOURCES__WEST__URL": ask.url("west"),
                "SOURCES__EAST__URL": ask.url("east"),
                "SOURCES__ORDERS__BASE_URL": f"{address}/",
                "SOURCES__ORDERS__AUTH__TOKEN": TOKEN,
                "TARGETS__SHOP__ADDRESS": address,
                "TARGETS__SHOP__AUTH__TOKEN": TOKEN,
                "TARGETS__DESK__URL": ask.url("desk"),
                "TARGETS__MARKET__FOLDER": str(market),
            },
        )
