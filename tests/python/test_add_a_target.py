"""docs/add-a-target.md followed to the letter, in a project without a school in it: a shop's
customers come from an API and go to a table, its products come from a table and go to an API, and
what changed of them into a file in fixed columns.

The project is `tests/python/shop` (sources and staging) and what the page shows; the engine is the
house's, as it is.
"""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from string import Template
from typing import Any

import json_api
import pytest
import sql_server

from common import findings, paths, settings
from common.runs import Run

PAGE = paths.root() / "docs" / "add-a-target.md"
SHOP = Path(__file__).parent / "shop"
EXPECTED = Path(__file__).parent / "expected" / "till"
API = {"customers": {"unique": ["number"]}, "products": {"unique": ["sku"], "required": ["sku"]}}
TABLES = """
create table kit.goods (sku text primary key, label text, price numeric(9, 2), sold boolean,
    sold_from date default date '2026-03-01');
create table kit.customers (
    id integer generated always as identity primary key,
    "customer no" text unique, name text not null, mail text, city text, kept_by text
);
insert into kit.customers ("customer no", name, kept_by) values ('C-0', 'By hand', 'accounts');
"""


def shown() -> dict[str, str]:
    """Path -> what the page says stands there; what stands there twice is put together."""
    found: dict[str, str] = {}
    blocks = re.findall(r"^( *)```\w+\n(.*?)^ *```", PAGE.read_text("utf-8"), re.M | re.S)
    for indent, block in blocks:
        lines = [line.removeprefix(indent) for line in block.splitlines()]
        if named := re.fullmatch(r"(?:#|--) ([\w./]+\.(?:toml|sql|yml))", lines[0]):
            found[named[1]] = found.get(named[1], "") + "\n".join(lines[1:]) + "\n"
    return found


@dataclass
class Shop:
    """The project, and what its sources and targets hold."""

    api: json_api.Running
    database: sql_server.Running
    till: Path
    day: date = date(2026, 10, 4)

    def planned_night(self, ingested: int = 0, planned: tuple[int, ...] = (0,)) -> Run:
        """Everything a night does before it writes, verb by verb; the run. Exit codes: what is
        refused or held has others.
        """
        self.day += timedelta(1)
        os.environ["HOMEROOM_AS_OF"] = self.day.isoformat()
        run = Run.open("test")
        os.environ["HOMEROOM_RUN"] = run.run_id
        verbs = (
            ("ingestion",),
            ("operations", "build"),
            ("reverse_etl", "observe"),
            ("reverse_etl", "plan"),
        )
        codes = ((ingested,), (0,), (0,), planned)
        for (room, *words), code in zip(verbs, codes, strict=True):
            assert typed(room, *words) in code, (room, words)
        return run

    def night(self) -> Run:
        """A whole night."""
        run = self.planned_night()
        for verb in ("push", "verify"):
            assert typed("reverse_etl", verb) == 0, verb
        run.finish(0)
        return run

    def faults(self, **switches: float) -> None:
        for end in (self.api, self.database):
            end.set_faults(**switches)

    def planned(self, run: Run) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for part in run.read("plan.json")["exports"]:
            found.setdefault(part["target"], {}).update(part["planned"])
        return found

    def products(self) -> dict[str, tuple[Any, ...]]:
        return {
            one["sku"]: (one["name"]["en"], one.get("price"), one["for_sale"])
            for one in self.api.rows("products")
        }

    def customers(self) -> set[tuple[Any, ...]]:
        query = 'select "customer no", name, mail, city, kept_by from kit.customers'
        return set(self.database.ask(query))

    def writes(self) -> int:
        lines = self.api.requests.read_text("utf-8").splitlines()
        return sum('"method": "GET"' not in line and "/token" not in line for line in lines)


def typed(room: str, *words: str) -> int:
    """`python -m <room> <words>` in this process; its exit code."""
    before, sys.argv = sys.argv, [room, *words]
    try:
        runpy.run_module(room, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        return int(ended.code or 0)
    finally:
        sys.argv = before
    return 0


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    before = dict(os.environ)
    with ExitStack() as stack:
        api = stack.enter_context(json_api.running(folder, API))
        database = stack.enter_context(sql_server.running(folder, TABLES))
        database.ask("alter role postgres set search_path = kit, public")
        project, till = folder / "project", folder / "till"
        till.mkdir()
        (folder / "till_answers").mkdir()
        for path, text in written(api, database, project, till).items():
            (project / path).parent.mkdir(parents=True, exist_ok=True)
            (project / path).write_text(text, encoding="utf-8")
        os.environ |= {
            "HOMEROOM_PROJECT": str(project),
            "HOMEROOM_VAR": str(folder / "var"),
            "HOMEROOM_EXIT_CODE": "0",
        }
        settings._files.cache_clear()
        yield Shop(api, database, till)
    os.environ.clear()
    os.environ.update(before)
    settings._files.cache_clear()


def written(
    api: json_api.Running, database: sql_server.Running, project: Path, till: Path
) -> dict[str, str]:
    """Every file of the project: its own, and those of the page with addresses that exist here."""
    house = os.path.relpath(paths.root(), project)
    own = {
        str(path.relative_to(SHOP)): Template(path.read_text("utf-8")).safe_substitute(
            HOUSE=house, API=api.url
        )
        for path in SHOP.rglob("*")
        if path.is_file()
    }
    files = own | shown()
    files[".dlt/config.toml"] += files.pop("config.toml")
    files[".dlt/secrets.toml"] += (
        f'[sources.crm.auth]\nclient_secret = "{json_api.SECRET}"\n'
        f'[sources.stock]\nurl = "{database.url}"\n'
    )
    here = {
        "https://shop.example": api.url,
        "/mnt/till": str(till),
        'client_secret = "…"': f'client_secret = "{json_api.SECRET}"',
        "postgresql+psycopg2://homeroom:…@db.example/books?sslmode=require": database.url,
    }
    for path in (".dlt/config.toml", ".dlt/secrets.toml"):
        for word, real in here.items():
            files[path] = files[path].replace(word, real)
    return files


def customer(number: int, **more: Any) -> dict[str, Any]:
    mail = {"mail": f"c{number}@x.example"}
    return {
        "number": f"C-{number}",
        "name": f"Zoë {number}",
        "contact": mail,
        "city": "Hope",
    } | more


@pytest.fixture(scope="module")
def nights(shop: Shop) -> list[tuple[Run, int]]:
    """Three nights, each with how many writes the API has seen: the first, one on which nothing
    changed, one on which something of every kind did.
    """
    held = shop.api.api.collections["customers"]
    for number in range(1, 8):
        shop.api.api._create(held, "", customer(number))
    shop.api.api.store.commit(0)
    for number in range(1, 9):
        values = (f"S-{number}", f"Näil {number}", f"{number}.50", number != 3)
        shop.database.ask("insert into kit.goods values (%s, %s, %s, %s)", *values)
    lived = []
    for number in range(3):
        if number == 2:
            answer = b"S-3   OK\r\nS-4   E no price of that k\xefnd\r\n"
            (shop.till.parent / "till_answers" / "goods_return_1.txt").write_bytes(answer)
            shop.database.ask(
                "update kit.goods set label = 'Screw', sold = false where sku = 'S-1'"
            )
            shop.database.ask("delete from kit.goods where sku = 'S-2'")
            shop.database.ask("insert into kit.goods values ('S-9', 'Nuť ław for it', 0.10, true)")
            table = shop.api.api.store.tables["customers"]
            gone, moved = sorted(table)[:2]
            del table[gone]
            table[moved] = table[moved] | {"city": "Yale"}
        lived.append((shop.night(), shop.writes()))
    return lived


def test_the_first_night_makes_both_ends_equal(shop: Shop, nights: list[tuple[Run, int]]):
    assert shop.planned(nights[0][0]) == {
        "shop": {"create": 8},
        "books": {"create": 7},
        "till": {"create": 8, "deliver": 1},
    }
    assert nights[0][1] == 8


def test_a_quiet_night_writes_nothing(shop: Shop, nights: list[tuple[Run, int]]):
    assert shop.planned(nights[1][0]) == {"shop": {}, "books": {}, "till": {}}
    assert nights[1][1] == nights[0][1]


def test_what_changed_is_changed_and_nothing_else(shop: Shop, nights: list[tuple[Run, int]]):
    assert shop.planned(nights[2][0]) == {
        "shop": {"create": 1, "suspend": 1, "delete": 1},
        "books": {"update": 1, "delete": 1},
        "till": {"create": 1, "update": 1, "remove": 1, "deliver": 1},
    }
    assert nights[2][1] - nights[1][1] == 3
    assert shop.products()["S-1"] == ("Screw", 1.5, False)
    assert shop.products().keys() == {"S-1", *(f"S-{number}" for number in range(3, 10))}
    assert {row for row in shop.customers() if row[0] in {"C-0", "C-1", "C-2"}} == {
        ("C-0", "By hand", None, None, "accounts"),
        ("C-2", "Zoë 2", "c2@x.example", "Yale", "homeroom"),
    }
    assert len(shop.customers()) == 7


def test_a_file_in_fixed_columns_says_to_the_byte_what_changed(
    shop: Shop, nights: list[tuple[Run, int]]
):
    assert sorted(path.name for path in shop.till.iterdir()) == [
        "goods_20261005.txt",
        "goods_20261007.txt",
    ], "a quiet night sends none"
    for path in shop.till.iterdir():
        assert path.read_bytes() == (EXPECTED / path.name).read_bytes()
    told = [one for one in findings.read(nights[2][0]) if one["target"] == "till"]
    assert sorted((one["code"], one["level"], one["key"]) for one in told) == [
        ("file_length", "warning", "S-9"),
        ("file_letters", "warning", "S-9"),
        ("receipt_row_refused", "warning", "S-4"),
    ]


def test_what_the_vendor_did_not_take_is_told_with_its_reason(
    shop: Shop, nights: list[tuple[Run, int]]
):
    told = [one for one in findings.read(nights[2][0]) if one["code"] == "receipt_row_refused"]
    assert [(one["entity"], one["owner"], one["line"]) for one in told] == [
        ("goods", "whoever keeps the price list", 2)
    ]
    assert "no price of that kïnd" in told[0]["message"]


def replayed(till: Path) -> dict[str, str]:
    """What a till holds that has read every file in its order."""
    held: dict[str, str] = {}
    for path in sorted(till.iterdir()):
        for line in path.read_text("cp1252").splitlines():
            sku, rest, flag = line[:6].strip(), line[6:-1], line[-1]
            held.pop(sku, None)
            if flag != "D":
                held[sku] = rest
    return held


def test_a_push_that_is_killed_and_lied_to_ends_well(shop: Shop, nights: list[tuple[Run, int]]):
    shop.database.ask("update kit.goods set price = price + 1 where sku in ('S-4', 'S-5', 'S-6')")
    shop.database.ask(
        "insert into kit.goods select 'T-' || i, 'T', i, true from generate_series(1, 9) i"
    )
    held = shop.api.api.collections["customers"]
    for number in range(20, 29):
        shop.api.api._create(held, "", customer(number))
    shop.api.api.store.commit(0)
    run = shop.planned_night()
    shop.faults(lose_reply_after_commit=0.3, random_5xx=0.2, throttle=0.2, drop_writes=0.1, seed=3)
    asked = shop.api.sent()
    pushing = subprocess.Popen([sys.executable, "-m", "reverse_etl", "push"], cwd=paths.root())
    deadline = time.monotonic() + 120
    while shop.api.sent() < asked + 8 and pushing.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    pushing.kill()
    pushing.wait(60)
    shop.faults(lose_reply_after_commit=0, random_5xx=0, throttle=0, drop_writes=0)
    run.finish(1)
    shop.night()
    goods = shop.database.ask("select sku, label, price, sold from kit.goods")
    assert shop.products() == {sku: (name, float(price), sold) for sku, name, price, sold in goods}
    assert len(shop.api.rows("products")) == len(goods), "nothing is there twice"
    assert {sku: rest[12:21] for sku, rest in replayed(shop.till).items()} == {
        sku: f"{price:09.2f}" for sku, _, price, _ in goods
    }
    customers = {one["number"] for one in shop.api.rows("customers")}
    assert sorted(row[0] for row in shop.customers()) == sorted(customers | {"C-0"})


def test_a_shrunken_feed_delivers_nothing(shop: Shop, nights: list[tuple[Run, int]]):
    files, products = {path.name for path in shop.till.iterdir()}, shop.products()
    shop.database.ask("delete from kit.goods where sku not in ('S-3', 'S-4')")
    run = shop.planned_night(3, (0, 2))
    assert shop.planned(run) == {"shop": {}, "books": {}, "till": {}}
    assert typed("reverse_etl", "push") in {0, 2}
    assert {path.name for path in shop.till.iterdir()} == files
    assert shop.products() == products


def test_the_page_names_every_setting_of_all_kinds():
    from reverse_etl.targets.ldap import settings as ldap
    from reverse_etl.targets.rest import settings as rest
    from reverse_etl.targets.scim import settings as scim
    from reverse_etl.targets.sql import settings as sql

    text = PAGE.read_text("utf-8")
    models = [
        model
        for module in (ldap, rest, scim, sql)
        for model in vars(module).values()
        if isinstance(model, type) and issubclass(model, settings.Section)
    ]
    names = {name for model in models for name in settings.known_keys(model)}
    assert {name for name in names if not re.search(rf"[`{{ ,]{name}[`}}, =]", text)} == set()


def test_the_two_folders_have_no_word_of_schools():
    words = re.compile(r"school|student|teacher|pupil|district", re.I)
    files = [path for path in SHOP.rglob("*") if path.is_file()]
    assert files
    own = {str(path): path.read_text("utf-8") for path in files} | shown()
    assert [path for path, text in own.items() if words.search(text)] == [
        "models/exports/library"
    ] * 0
