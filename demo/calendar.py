"""The days of the demo: day 0 is Monday 2026-10-05, day N the Nth weekday after it; days before it
are negative.

School is not in session on statutory holidays and in the breaks of 2026/2027: nobody is absent on
those days. In summer class lists and homerooms are empty and grade 12 has graduated; on the first
day of the next year everybody moves up.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

DAY_0 = date(2026, 10, 5)
END_YEAR = 2027
SEMESTER_2 = date(2027, 2, 1)
GRADUATION = date(2027, 6, 30)
NEXT_YEAR = date(2027, 9, 7)  # the first day of 2027/2028
LAST_DAY = 400  # two school years: past it the demo's identifiers for arrivals would run out
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CLOSED = (  # first and last day
    (date(2026, 10, 12), date(2026, 10, 12)),  # Thanksgiving
    (date(2026, 11, 11), date(2026, 11, 11)),  # Remembrance Day
    (date(2026, 12, 21), date(2027, 1, 1)),  # winter break
    (date(2027, 2, 15), date(2027, 2, 15)),  # Family Day
    (date(2027, 3, 15), date(2027, 3, 29)),  # spring break to Easter Monday
    (date(2027, 5, 24), date(2027, 5, 24)),  # Victoria Day
    (date(2027, 7, 1), date(2027, 9, 6)),  # summer
)


@lru_cache(maxsize=1024)
def date_of(day: int) -> date:
    """The date of a day of the demo. Negative days are the weekdays before day 0."""
    weeks, weekday = divmod(day, 5)
    return DAY_0 + timedelta(weeks=weeks, days=weekday)


def is_school_day(when: date) -> bool:
    return when.weekday() < 5 and not any(first <= when <= last for first, last in _CLOSED)


def is_summer(when: date) -> bool:
    return GRADUATION < when < NEXT_YEAR


def end_year(when: date) -> int:
    """The year a school year is called by, as timetables show it; in summer they still show the
    last one.
    """
    return END_YEAR + (when >= NEXT_YEAR)


@lru_cache(maxsize=32768)
def gde_date(when: date | None) -> str:
    """dd-MMM-yyyy with English months whatever the machine's locale; empty for no date."""
    return f"{when.day:02d}-{_MONTHS[when.month - 1]}-{when.year}" if when else ""
