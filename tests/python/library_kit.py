"""A small source of four feeds (schools, people, loans, visits), read through the verb against a
real warehouse.

`Library` is what a test holds of it (the fixture `library` of conftest); the functions write its
files.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from common import findings, paths, store
from common.runs import Run
from ingestion.__main__ import main

LAYOUT = """
owner = "the librarian"
restricted = ["PEN"]
school = "School Number"
report_key = ["Student Number"]
numbers = ["School Number", "Student Number"]
[shapes]
student_number = '[0-9]{3,12}'
[feeds.schools]
files = ["Schools*"]
columns = ["School Number", "School Name", "Town"]
required = ["School Number"]
key = ["School Number"]
stale_after_days = false
[feeds.people]
files = ["People*"]
columns = ["School Number", "Student Number", "PEN", "Surname"]
required = ["School Number", "Student Number", "Surname"]
never_empty = ["School Number", "Student Number"]
key = ["Student Number"]
check_digit = "PEN"
[feeds.loans]
files = ["Loans*"]
columns = ["Student Number", "Book"]
required = ["Student Number", "Book"]
references = { "Student Number" = "people.Student Number" }
[feeds.visits]
files = ["Visits*"]
columns = ["Student Number", "Visited"]
required = ["Student Number", "Visited"]
content_date = "Visited"
min_row_ratio = 0.0
last_good_days = 0
may_be_empty = true
"""
MONDAY = date(2026, 10, 5)
SCHOOLS = ("7474001", "7474002", "7474003", "7474004")


def schools(count: int = 4) -> str:
    return "School Number,School Name,Town\r\n" + "".join(
        f"{number},School of {number},Hope\r\n" for number in SCHOOLS[:count]
    )


def pen(eight: str) -> str:
    """Nine digits with their check digit, as docs of the Ministry put it: add the odd places;
    double the even ones as one number.
    """
    total = sum(int(digit) for digit in eight[0::2]) + sum(
        int(digit) for digit in str(2 * int(eight[1::2]))
    )
    return eight + str(-total % 10)


def people(each: int = 10, **instead: int) -> str:
    """`each` people per school; `s7474001=3` gives that school another number."""
    lines = [
        f'"{school}","{at + 1}{number:04}","{pen(f"99{at}{number:05}")}","Sürname"\r\n'
        for at, school in enumerate(SCHOOLS)
        for number in range(instead.get(f"s{school}", each))
    ]
    return "School Number,Student Number,PEN,Surname\r\n" + "".join(lines)


def loans(count: int = 20, first: int = 10000) -> str:
    return "Student Number,Book\r\n" + "".join(
        f"{first + at % 10},Book {at}\r\n" for at in range(count)
    )


def visits(newest: date = MONDAY, count: int = 5) -> str:
    return "Student Number,Visited\r\n" + "".join(
        f"{10000 + at},{newest - timedelta(at):%d-%b-%Y}\r\n" for at in range(count)
    )


@dataclass
class Library:
    """The source in its folder, read on any day."""

    folder: Path
    said: Callable[[], str]
    on: Callable[[date], None]

    def drop(self, **files: str | bytes | None) -> None:
        for name, content in files.items():
            path = self.folder / f"{name}.csv"
            if content is None:
                path.unlink()
            else:
                path.write_bytes(content.encode() if isinstance(content, str) else content)

    def ingest(self, *arguments: str, day: date = MONDAY) -> int:
        self.on(day)
        for run in paths.runs().glob("*Z-*/run.json"):  # a night each
            facts = json.loads(run.read_text())
            run.write_text(
                json.dumps(facts | {"finished_at": facts["finished_at"] or facts["started_at"]})
            )
        return main(["--source", "library", *arguments])

    def good_night(self, day: date = MONDAY) -> None:
        self.drop(Schools=schools(), People=people(), Loans=loans(), Visits=visits(day))
        assert self.ingest(day=day) == 0
        assert self.findings() == []

    def ask(self, query: str) -> list[tuple]:
        with store.connect() as connection:
            return connection.execute(query).fetchall()

    def people(self) -> list[tuple]:
        return self.ask("select * from raw_library.people order by _line")

    @property
    def run(self) -> Path:
        return paths.runs() / "latest"

    def feed(self, name: str) -> dict[str, Any]:
        return next(
            entry
            for entry in json.loads((self.run / "feeds.json").read_text())
            if entry["feed"] == name
        )

    def findings(self, level: str = "") -> list[dict[str, Any]]:
        every = findings.read(Run.latest())
        return [finding for finding in every if level in ("", finding["level"])]

    def only(self, level: str = "critical") -> dict[str, Any]:
        found = self.findings(level)
        assert len(found) == 1, found
        assert found[0]["owner"] == "the librarian"
        for value in ("Sürname", "990000"):
            assert value not in self.said() + json.dumps(found, ensure_ascii=False)
        return found[0]
