"""Coming: what the district's rows say of the days ahead.

In: `seeds/district_events.csv` and `seeds/school_calendar.csv`. Out: a line each for what begins
within a week, or has begun and is not over, with both days; a row nobody can read says nothing
here, and the night names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from operations import seeds

DAYS = 7


def lines(today: date) -> list[str]:
    """What comes, in the order of its days."""
    return [line for _, line in sorted(_found(today))]


def _found(today: date) -> Iterator[tuple[date, str]]:
    for row in seeds.readable("district_events"):
        first, last = date.fromisoformat(row["starts_on"]), date.fromisoformat(row["ends_on"])
        if first <= today + timedelta(DAYS) and today <= last:
            school = f" of {row['school_number']}" if row["school_number"] else ""
            yield first, f"{row['event']}{school}, {first} to {last}: {row['why']}"
    for row in seeds.readable("school_calendar"):
        first, last = date.fromisoformat(row["starts_on"]), date.fromisoformat(row["ends_on"])
        if today < first <= today + timedelta(DAYS):
            timers, kept = row["timers"], row["class_lists"].replace("_", " ")
            yield (
                first,
                f"{row['period']} of {row['population']}s, {first} to {last}: timers {timers},"
                f" class lists {kept}",
            )
