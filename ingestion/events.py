"""Events: schools that, as the district said beforehand, may lose their rows.

In: `seeds/district_events.csv`, the same rows dbt reads. Out: the schools no feed is watched for on
a day. What cannot be read there is refused with its line before anything is built; here it watches
on.
"""

from __future__ import annotations

import csv
from datetime import date, timedelta

from common import paths

RETURN = timedelta(days=14)  # who stood in another building goes back within these
WATCHED_NO_MORE = "closes"
AWAY = "moves"


def unwatched(day: date) -> frozenset[str]:
    """Schools that have closed, those whose people stand elsewhere, and where they stood until
    they went back.
    """
    path = paths.project() / "seeds" / "district_events.csv"
    if not path.is_file():
        return frozenset()
    found: set[str] = set()
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            try:
                first, last = (date.fromisoformat(row[name]) for name in ("starts_on", "ends_on"))
            except (KeyError, TypeError, ValueError):
                continue
            school = (row.get("school_number") or "").strip().rjust(8, "0")
            event = row.get("event")
            away = event == AWAY and first <= day <= last
            if away or (event == WATCHED_NO_MORE and first <= day):
                found.add(school)
            elif event == AWAY and last < day <= last + RETURN:
                found.add((row.get("to_school_number") or "").strip().rjust(8, "0"))
    return frozenset(found)
