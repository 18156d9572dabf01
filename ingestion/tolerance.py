"""How much may be wrong with a feed before a person is asked: every threshold of the trust gate, in
one place.

In: `[trust]` of the settings, overlaid by `[sources.<name>]`, overlaid by the feed in its layout.
Out: a `Tolerance`. Refuses (SettingsError) values that are no number in their range. Pure.
docs/trust.md says what each one does.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr

from common.settings import Count, Never, Section, SettingsError, Share
from ingestion.events import holidays

if TYPE_CHECKING:
    from ingestion.layout import Feed

DAY = re.compile(r"(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")


def _unless_never(value: Any) -> Any:
    return None if value is False else value


def _two_days(given: Any) -> Any:
    """The first and the last day of something, as month-day."""
    if given is False or given is None:
        return None
    days = tuple(given) if isinstance(given, list | tuple) and len(given) == 2 else ()
    if (
        not days
        or not all(isinstance(day, str) and DAY.fullmatch(day) for day in days)
        or days[0] > days[1]
    ):
        raise ValueError(
            'it must be its first and last day as month-day, ["06-25", "09-15"], or false for never'
        )
    return days


# None: never. A file says false.
Days = Annotated[Count | Never | None, AfterValidator(_unless_never)]
Growth = Annotated[Annotated[float, Field(ge=1)] | Never | None, AfterValidator(_unless_never)]
Season = Annotated[tuple[str, str] | None, BeforeValidator(_two_days)]


class Tolerance(Section):
    """[trust]: the thresholds of one feed. Days are school nights: Monday to Friday but the days of
    `seeds/closed_days.csv`.
    """

    _closed: AbstractSet[date] = PrivateAttr(default=frozenset())
    """Days on which the source rests; no key of a table."""

    min_row_ratio: Share = 0.5
    """Rows, against the largest of the last good loads."""
    good_loads: Count = 5
    """How many of them."""
    max_row_growth: Growth = 1.5
    """Rows of a feed without a key, against the same; more than that may be the file twice."""
    school_share: Share = 0.5
    """Rows of one school, against its last good count."""
    school_rows: Count = 3
    """Schools with fewer rows than this come and go."""
    max_lost_partitions: Share = 0.34
    """More of the schools than this collapsed: the whole feed is refused."""
    min_kept_keys: Share = 0.5
    """Keys of the people landed last that a file must have again."""
    most_other_people: Share = 0.02
    """Keys under which birth date and a name changed; a few are asked about one by one."""
    orphan_share: Share = 0.1
    """Rows that name a record no other feed has."""
    most_rejected: Share = 0.1
    """Rows that cannot be read."""
    most_unreadable: Share = 0.5
    """Values of one column that are no date, number or answer, where they are three or more."""
    stale_after_days: Days = 3
    """The same bytes: a warning."""
    hold_after_days: Days = 10
    """The same bytes: what rests on the feed is held."""
    last_good_days: Count = 0
    """Refused or missing: how long the last good load is good enough."""
    summer: Season = ("06-25", "09-15")
    """First and last day, as month-day: feeds that rest then may come empty."""

    def accepting(self, words: AbstractSet[str]) -> Tolerance:
        """The same thresholds but those a person lifted for tonight."""
        lifted = [ACCEPT[word] for word in sorted(words)]
        return self.model_copy(update={name: at for one in lifted for name, at in one.items()})

    def is_quiet(self, day: date) -> bool:
        """Whether nothing may have happened that a file of this night tells of: there is no school
        on the day, or there was none on the weekday before it. Monday comes after Friday.
        """
        before = day - timedelta(days=1)
        while before.weekday() > 4:
            before -= timedelta(days=1)
        return day.weekday() > 4 or day in self._closed or before in self._closed

    def resting_on(self, closed: AbstractSet[date]) -> Tolerance:
        """The same thresholds, with the days on which the source rests."""
        found = self.model_copy()
        found._closed = closed
        return found

    def school_nights(self, since: date | None, until: date) -> int:
        """How many nights before a school day of this source lie between two days."""
        return school_nights(since, until, self._closed)

    def is_summer(self, day: date) -> bool:
        """Whether class lists may be empty on a day."""
        return self.summer is not None and self.summer[0] <= f"{day:%m-%d}" <= self.summer[1]


# what a person may accept of a feed once, by its word, and the thresholds that lifts
ACCEPT: Mapping[str, Mapping[str, Any]] = {
    "smaller": {},
    "empty": {},
    "older": {},
    "shape": {},
    "rejects": {"most_rejected": 1.0},
    "unreadable": {"most_unreadable": 1.0},
    "orphans": {"orphan_share": 1.0},
    "doubled": {"max_row_growth": None},
}


def given(section: Tolerance) -> dict[str, Any]:
    """The thresholds somebody wrote into a table."""
    said = Tolerance.model_fields.keys() & section.model_fields_set
    return {name: getattr(section, name) for name in Tolerance.model_fields if name in said}


def tolerance(
    trust: Tolerance, source: Tolerance, feed: Feed, *, is_file: bool = True
) -> Tolerance:
    """The thresholds of a feed. A table of a database or a service may stay the same for months, so
    only files grow stale unasked.
    """
    growing_stale = ("stale_after_days", "hold_after_days")
    usual = given(trust)
    if not is_file:
        usual |= dict.fromkeys(growing_stale)
    found = usual | given(source) | dict(feed.tolerance)
    if found.get("stale_after_days", ...) is None:
        found.setdefault("hold_after_days", None)
        if "hold_after_days" not in feed.tolerance:
            found["hold_after_days"] = None
    return Tolerance(**found)


def school_nights(since: date | None, until: date, closed: AbstractSet[date] = frozenset()) -> int:
    """How many nights before a school day lie between two days: `since` Friday, `until` Monday is
    one; days that are closed are none.
    """
    if since is None or until <= since:
        return 0
    weeks, days = divmod((until - since).days, 7)
    ordinary = weeks * 5 + sum(
        (since + timedelta(days=weeks * 7 + day)).weekday() < 5 for day in range(1, days + 1)
    )
    return ordinary - sum(since < day <= until and day.weekday() < 5 for day in closed)


def closed_days(table: Path, source: str) -> frozenset[date]:
    """The days of `seeds/closed_days.csv` on which a source rests, and the holidays of the events
    beside it. Raises SettingsError.
    """
    found = set(holidays(table.with_name("district_events.csv")))
    if not table.is_file():
        return frozenset(found)
    with table.open(encoding="utf-8-sig", newline="") as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            try:
                first, last = (date.fromisoformat(row[name]) for name in ("first_day", "last_day"))
            except (KeyError, TypeError, ValueError):
                raise SettingsError(
                    f"{table.name}, line {line}: first_day and last_day must be days such as"
                    " 2027-03-15"
                ) from None
            if row.get("source") in (None, "", source):
                found |= {first + timedelta(days=n) for n in range((last - first).days + 1)}
    return frozenset(found)


def nights(count: int) -> str:
    """For sentences."""
    return "1 school night" if count == 1 else f"{count:,} school nights"
