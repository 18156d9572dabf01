"""Coming: what the district's rows say of the days ahead.

In: the seeds of events and of the calendar, known by their columns. Out: a line each for what
begins within a week, or has begun and is not over, with both days; a row nobody can read says
nothing here, and the night names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from common import findings
from operations import seeds

DAYS = 7
EVENTS = {"event", "starts_on", "ends_on", "why", findings.PARTITION}
CALENDAR = {"period", "starts_on", "ends_on", "timers", "class_lists"}


def lines(today: date) -> list[str]:
    """What comes, in the order of its days."""
    return [line for _, line in sorted(_found(today))]


def _found(today: date) -> Iterator[tuple[date, str]]:
    for row in seeds.having(EVENTS):
        first, last = date.fromisoformat(row["starts_on"]), date.fromisoformat(row["ends_on"])
        if first <= today + timedelta(DAYS) and today <= last:
            of = row[findings.PARTITION]
            whose = f" of {of}" if of else ""
            yield first, f"{row['event']}{whose}, {first} to {last}: {row['why']}"
    for row in seeds.having(CALENDAR):
        first, last = date.fromisoformat(row["starts_on"]), date.fromisoformat(row["ends_on"])
        if today < first <= today + timedelta(DAYS):
            timers, kept = row["timers"], row["class_lists"].replace("_", " ")
            yield (
                first,
                f"{row['period']} of {row['population']}s, {first} to {last}: timers {timers},"
                f" class lists {kept}",
            )
