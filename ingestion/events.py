"""Events: schools that, as the district said beforehand, may lose their rows, and days without
school.

In: `seeds/district_events.csv`, the same rows dbt reads. Out: the schools no feed is watched for on
a day, and the holidays. What cannot be read there is refused with its line before anything is
built; here it watches on.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from common import paths

RETURN = timedelta(days=14)  # who stood in another building goes back within these
WATCHED_NO_MORE = "closes"
AWAY = "moves"
HOLIDAYS = "holidays"


def unwatched(day: date) -> frozenset[str]:
    """Schools that have closed, those whose people stand elsewhere, and where they stood until
    they went back.
    """
    found: set[str] = set()
    for row, first, last in _rows(paths.project() / "seeds" / "district_events.csv"):
        school = (row.get("school_number") or "").strip().rjust(8, "0")
        event = row.get("event")
        away = event == AWAY and first <= day <= last
        if away or (event == WATCHED_NO_MORE and first <= day):
            found.add(school)
        elif event == AWAY and last < day <= last + RETURN:
            found.add((row.get("to_school_number") or "").strip().rjust(8, "0"))
    return frozenset(found)


def holidays(path: Path) -> Iterator[date]:
    """The days on which all sources rest."""
    for row, first, last in _rows(path):
        if row.get("event") == HOLIDAYS:
            yield from (first + timedelta(days=n) for n in range((last - first).days + 1))


def _rows(path: Path) -> Iterator[tuple[dict[str, str], date, date]]:
    """The rows whose days can be read, with them."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            try:
                first, last = (date.fromisoformat(row[name]) for name in ("starts_on", "ends_on"))
            except (KeyError, TypeError, ValueError):
                continue
            yield row, first, last
