"""The systems of this example: a CRM's table in PostgreSQL, and an ERP that is a service with an
API and knows parties besides customers.

What each holds is asked of it directly here, and of no run: that is what the demo compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from examples import kit

TOKEN = "erp-token-of-the-example"  # noqa: S105 - of an ERP that lives for a demo
CRM = """
create table customers (number text primary key, name text not null, mail text, city text,
    region text not null, phone text, is_active boolean not null default true,
    credit_limit numeric(12, 2), terms_days integer);
create table writes (number integer generated always as identity);
create function counted() returns trigger language plpgsql as
    $$ begin if current_setting('application_name') <> 'by hand' then insert into writes
    default values; end if; return null; end $$;
create trigger counted after insert or update or delete on customers
    for each row execute function counted();
set application_name = 'by hand';
insert into customers (number, name, mail, city, region, phone, is_active)
    select 'C-' || to_char(i, 'FM000'), 'Atelier n° ' || i, 'c' || i || '@customer.example',
        case when i % 2 = 0 then 'Hope' else 'Yale' end,
        case when i % 2 = 0 then 'coast' else 'interior' end,
        case when i <> 3 then '555-01' || to_char(i, 'FM00') end, i <> 7
    from generate_series(1, 12) as i;
"""
OWNED = ("name", "mail", "city", "is_active")  # of the CRM
TERMS = ("credit_limit", "terms_days")  # of the ERP


@dataclass
class Erp:
    """An ERP's own state: its parties, and what was written to it."""

    parties: dict[int, dict[str, Any]] = field(default_factory=dict)
    writes: int = 0

    def of(self, code: str) -> dict[str, Any]:
        return next(one for one in self.parties.values() if one["code"] == code)

    def make(self, body: Mapping[str, Any]) -> dict[str, Any]:
        number = len(self.parties) + 1
        terms = {"credit_limit": "1000.00", "days": 30}  # what the ERP gives a new party
        self.parties[number] = {"id": number, "contact": {}, "terms": terms, **body}
        return self.parties[number]

    def answer(self, method: str, path: str, asked: Mapping[str, str], body: Any) -> kit.Answer:
        """One request."""
        match method, path.strip("/").split("/"):
            case "GET", ["parties"]:
                wanted = asked.get("code")
                every = self.parties.values()
                return kit.page([one for one in every if wanted in (None, one["code"])], asked)
            case "POST", ["parties"]:
                if any(one["code"] == body["code"] for one in self.parties.values()):
                    return 409, {"code": "duplicate"}
                self.writes += 1
                return 201, self.make(body)
            case "PATCH", ["parties", number] if int(number) in self.parties:
                self.writes += 1
                one = self.parties[int(number)]
                one["contact"] |= body.pop("contact", {})
                one |= body
                return 200, one
        return 404, {"code": "not_found"}


@dataclass
class Systems:
    """Both of them, while they are up."""

    ask: Any
    erp: Erp
    environment: Mapping[str, str]
    waits: set[str] = field(default_factory=set)  # customers whose number both sides changed
    runs: int = 2  # there, and back

    def change(self) -> None:
        """Something of every kind: each side changes what it owns, what it does not own, what both
        own; and one value on both sides.
        """
        crm = lambda query: self.ask("crm", query)  # noqa: E731
        crm("update customers set city = 'Lytton' where number = 'C-001'")
        crm("update customers set credit_limit = 9999 where number = 'C-002'")  # put back
        crm("update customers set phone = '555-0300' where number = 'C-004'")
        crm("update customers set is_active = false where number = 'C-005'")
        crm(
            "insert into customers (number, name, region, phone)"
            " values ('C-013', 'Näherei', 'coast', '555-0113')"
        )
        self.erp.of("C-006")["name"] = "Somebody else"  # put back
        self.erp.of("C-008")["terms"] = {"credit_limit": "2500.50", "days": 14}
        self.erp.of("C-009")["contact"]["phone"] = "555-0999"
        crm("update customers set phone = '555-1111' where number = 'C-010'")
        self.erp.of("C-010")["contact"]["phone"] = "555-2222"
        self.waits = {"C-010"}

    def wrong(self) -> list[str]:
        """Where the two sides do not have the same, or somebody's else was touched."""
        told = []
        names = ("number", *OWNED, "phone", *TERMS)
        rows = self.ask("crm", f"select {', '.join(names)} from customers order by number")
        for row in rows:
            one = dict(zip(names, row, strict=True))
            party = self.erp.of(one["number"])
            contact, terms = party["contact"], party["terms"]
            there = {
                "name": party["name"],
                "mail": contact.get("mail"),
                "city": contact.get("city"),
                "is_active": party["active"],
                "phone": contact.get("phone"),
                "credit_limit": Decimal(terms["credit_limit"]),
                "terms_days": terms["days"],
            }
            told += [
                f"{name} of {one['number']} differs"
                for name, value in there.items()
                if value != one[name] and not (name == "phone" and one["number"] in self.waits)
            ]
        if self.waits:
            held = self.ask("crm", "select phone from customers where number = 'C-010'")[0][0]
            both = (held, self.erp.of("C-010")["contact"]["phone"])
            told += [] if both == ("555-1111", "555-2222") else ["what both changed was written"]
        bank = self.erp.of("BANK")
        told += [] if bank["name"] == "A bank" and len(bank["contact"]) == 0 else ["the bank"]
        return told

    def written(self) -> int:
        """Writes both sides have seen that were not made by hand."""
        return self.erp.writes + len(self.ask("crm", "select 1 from writes"))


@contextmanager
def up(_: Path) -> Iterator[Systems]:
    """Start them; stopped when the context ends."""
    erp = Erp()
    erp.make({"code": "BANK", "name": "A bank", "active": True})
    erp.make({"code": "C-003", "name": "n° 3", "active": True, "contact": {"phone": "555-0103"}})
    with kit.postgres() as ask, kit.service(TOKEN, erp.answer) as address:
        ask("crm", CRM)
        yield Systems(
            ask,
            erp,
            {
                "SOURCES__SALES__URL": ask.url("crm"),
                "TARGETS__CRM__URL": ask.url("crm"),
                "SOURCES__BOOKS__BASE_URL": f"{address}/",
                "SOURCES__BOOKS__AUTH__TOKEN": TOKEN,
                "TARGETS__ERP__ADDRESS": address,
                "TARGETS__ERP__AUTH__TOKEN": TOKEN,
            },
        )
