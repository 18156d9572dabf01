"""The HR system's employees of a day: SQLite for the demo, PostgreSQL for the tests.

In: how many students, a seed and a day. Out: the table `employees` with staff_id, first_name,
last_name, usual_first_name, position, school_number (mincode), email, hire_date, end_date (ISO
dates as text, NULL while employed). One row per person ever employed since the summer: who left
keeps a row with an end date. HR knows drivers and the board office, whom no school knows, and
misses the few whom only a school knows. Names are the ones on the contract: they differ from the
school's where a person goes by another.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from demo.district import District
from demo.staff import Staffer

COLUMNS = (
    "staff_id",
    "first_name",
    "last_name",
    "usual_first_name",
    "position",
    "school_number",
    "email",
    "hire_date",
    "end_date",
)
_DDL = (
    "create table employees (staff_id text primary key,"
    f" {', '.join(f'{name} text' for name in COLUMNS[1:])})"
)
_BATCH = 1_000

Row = tuple[str | None, ...]


def employees(*, students: int, seed: int, day: int) -> Iterator[Row]:
    """The rows of the table, school by school; empty values are None."""
    today = District(students, seed).on(day)
    for zone, schools in enumerate(today.plan.zones):
        for school in schools:
            for person in today.roster(school).in_hr():
                yield _row(person, school.mincode)
        for person in today.office(zone):
            yield _row(person, "")


def _row(person: Staffer, school_number: str) -> Row:
    ended = person.left_on.isoformat() if person.left_on else None
    texts = (
        person.staff_id,
        person.first,
        person.last,
        person.usual_first,
        person.position,
        school_number,
        person.hr_email,
        person.hired_on.isoformat(),
    )
    return (*(text or None for text in texts), ended)


def write_day(path: Path, *, students: int, seed: int, day: int) -> int:
    """Write the SQLite file of a day, whole or not at all. Returns the number of employees."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    written = 0
    with closing(sqlite3.connect(part)) as database, database:
        database.execute(_DDL)
        marks = ", ".join("?" * len(COLUMNS))
        for batch in _batches(employees(students=students, seed=seed, day=day)):
            database.executemany(f"insert into employees values ({marks})", batch)
            written += len(batch)
    part.replace(path)
    return written


def write_postgresql(connection: Any, *, students: int, seed: int, day: int) -> int:
    """Replace the table `employees` in the database of a psycopg2 connection, in one transaction.
    Returns the number.
    """
    written = 0
    marks = ", ".join(["%s"] * len(COLUMNS))
    with connection, connection.cursor() as cursor:
        cursor.execute("drop table if exists employees")
        cursor.execute(_DDL)
        for batch in _batches(employees(students=students, seed=seed, day=day)):
            cursor.executemany(f"insert into employees values ({marks})", batch)
            written += len(batch)
    return written


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, _BATCH)):
        yield batch
