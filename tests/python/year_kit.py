"""Who must have an open account on a night of a year, by the days of the seeds: beside the models,
from what the records said on the nights before.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date, timedelta

from common.paths import root

NIGHTS_UNTIL_LEFT = (
    5  # seeds/absence_policy.csv: a student in no extract may be taken for gone from then on
)


@dataclass(frozen=True)
class Days:
    """Of students: the days of grace, over how many nights more those are spread who waited through
    a summer, the day of the year from which graduates are closed, and the spans on which timers
    stand.
    """

    grace: int
    spread: int
    graduates: str
    standing: list[tuple[date, date]]


@dataclass
class Expected:
    """What the year has shown so far: since which night each student has been gone, and for how
    many nights unlisted.
    """

    gone_since: dict[str, date] = field(default_factory=dict)
    unlisted: dict[str, int] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)

    def students(
        self,
        listed: Iterable[tuple[str, bool]],
        tonight: date,
        days: Days,
        graduates: AbstractSet[str] = frozenset(),
    ) -> dict[str, bool]:
        """Student number -> must the account be open tonight (True) or closed (False); left out
        where either may be: whom the summer made wait together go one after another.
        """
        wanted: dict[str, bool] = {}
        now = dict(listed)
        for number, enrolled in now.items():
            self.unlisted.pop(number, None)
            if enrolled:
                self.gone_since.pop(number, None)
                self.known.add(number)
                wanted[number] = True
            elif number in self.known:
                since = self.gone_since.setdefault(number, tonight)
                passed = counted(since, tonight, days.standing)
                together = days.spread if passed < (tonight - since).days else 0
                if passed >= days.grace + together:
                    wanted[number] = False
                elif passed < days.grace and not (
                    together and number in graduates and f"{tonight:%m-%d}" >= days.graduates
                ):
                    wanted[number] = True
        for number in self.known - now.keys():
            self.unlisted[number] = self.unlisted.get(number, 0) + 1
            if self.unlisted[number] < NIGHTS_UNTIL_LEFT and number not in self.gone_since:
                wanted[number] = True
        return wanted


def counted(since: date, until: date, standing: list[tuple[date, date]]) -> int:
    """The days from one night to another on which timers run."""
    days = (since + timedelta(days=n) for n in range(1, (until - since).days + 1))
    return sum(not any(first <= day <= last for first, last in standing) for day in days)


def seed_days() -> Days:
    """What the seeds say of students who leave."""
    rules = [
        r
        for r in _rows("lifecycle_rules")
        if (r["population"], r["record"], r["to_state"]) == ("student", "left", "suspended")
        and r["from_state"] != "new"
    ]
    ordinary = [r for r in rules if not (r["grade_code"] or r["first_day"])]
    (grace,) = {int(r["days"]) for r in ordinary}
    (graduates,) = (r["first_day"] for r in rules if r["first_day"])
    spans = [
        r
        for r in _rows("school_calendar")
        if r["population"] == "student" and r["timers"] == "stand"
    ]
    return Days(
        grace,
        max(int(r["spread_days"] or 0) for r in ordinary),
        graduates,
        [(date.fromisoformat(r["starts_on"]), date.fromisoformat(r["ends_on"])) for r in spans],
    )


def _rows(seed: str) -> list[dict[str, str]]:
    with (root() / "seeds" / f"{seed}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
