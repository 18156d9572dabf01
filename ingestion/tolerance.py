"""How much may be wrong with a feed before a person is asked: every threshold of the trust gate, in
one place.

In: `[trust]` of the settings, overlaid by `[sources.<name>]`, overlaid by the feed in its layout.
Out: a `Tolerance`. Refuses (LayoutError) values that are no number in their range. Pure.
docs/trust.md says what each one does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, timedelta
from typing import Any

from ingestion.layout import Feed, LayoutError

SHARES = {"min_row_ratio", "school_share", "max_lost_partitions", "orphan_share", "most_rejected"}
MAY_BE_OFF = {"stale_after_days", "hold_after_days", "max_row_growth", "summer"}


@dataclass(frozen=True)
class Tolerance:
    """The thresholds of one feed. Days are school nights (Monday to Friday); None: not asked."""

    min_row_ratio: float = 0.5  # rows, against the largest of the last good loads
    good_loads: int = 5  # how many of them
    max_row_growth: float | None = (
        1.5  # rows of a feed without a key, against the same; more than that may be the file twice
    )
    school_share: float = 0.5  # rows of one school, against its last good count
    school_rows: int = 3  # schools with fewer rows than this come and go
    max_lost_partitions: float = (
        0.34  # more of the schools than this collapsed: the whole feed is refused
    )
    orphan_share: float = 0.10  # rows that name a record no other feed has
    most_rejected: float = 0.10  # rows that cannot be read
    stale_after_days: int | None = 3  # the same bytes: a warning
    hold_after_days: int | None = 10  # the same bytes: what rests on the feed is held
    last_good_days: int = 0  # refused or missing: how long the last good load is good enough
    summer: tuple[str, str] | None = (
        "06-25",
        "09-15",
    )  # first and last day, as month-day: feeds that rest then may come empty

    def is_summer(self, day: date) -> bool:
        """Whether class lists may be empty on a day."""
        return self.summer is not None and self.summer[0] <= f"{day:%m-%d}" <= self.summer[1]


DAY = re.compile(r"(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")
NAMES = tuple(one.name for one in fields(Tolerance))


def tolerance(trust: Mapping[str, Any], source: Mapping[str, Any], feed: Feed) -> Tolerance:
    """The thresholds of a feed. A table of a database or a service may stay the same for months, so
    only files grow stale unasked.
    """
    growing_stale = ("stale_after_days", "hold_after_days")
    is_file = source.get("kind", "files") == "files"
    given: dict[str, Any] = {} if is_file else dict.fromkeys(growing_stale)
    unknown = sorted(set(trust) - set(NAMES))
    if unknown:
        raise LayoutError(
            f"[trust] has no setting {', '.join(unknown)}; known are {', '.join(NAMES)}"
        )
    for where, facts in (
        ("[trust]", trust),
        ("its source", source),
        (f"feed {feed.name}", feed.tolerance),
    ):
        for name in NAMES:
            if facts.get(name) is not None and (
                is_file or where != "[trust]" or name not in growing_stale
            ):
                given[name] = _checked(where, name, facts[name])
    if given.get("stale_after_days", ...) is None:
        given.setdefault("hold_after_days", None)
        if "hold_after_days" not in feed.tolerance:
            given["hold_after_days"] = None
    return Tolerance(**given)


def school_nights(since: date | None, until: date) -> int:
    """How many nights before a school day lie between two days: `since` Friday, `until` Monday is
    one.
    """
    if since is None or until <= since:
        return 0
    weeks, days = divmod((until - since).days, 7)
    return weeks * 5 + sum(
        (since + timedelta(days=weeks * 7 + day)).weekday() < 5 for day in range(1, days + 1)
    )


def nights(count: int) -> str:
    """For sentences."""
    return "1 school night" if count == 1 else f"{count:,} school nights"


def _checked(where: str, name: str, value: Any) -> Any:
    if name in MAY_BE_OFF and value is False:
        return None
    if name == "summer":
        days = value if isinstance(value, list | tuple) and len(value) == 2 else ()
        if (
            not days
            or not all(isinstance(day, str) and DAY.fullmatch(day) for day in days)
            or days[0] > days[1]
        ):
            raise LayoutError(
                f"summer of {where} is {value!r}; it must be its first and last day as month-day,"
                ' ["06-25", "09-15"], or false for never'
            )
        return tuple(days)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in SHARES and number and 0 <= value <= 1:
        return float(value)
    if name == "max_row_growth" and number and value >= 1:
        return float(value)
    if name not in SHARES | {"max_row_growth"} and number and value == int(value) and value >= 0:
        return int(value)
    wanted = (
        "a share between 0 and 1"
        if name in SHARES
        else "a number of at least 1"
        if name == "max_row_growth"
        else "a whole number"
    )
    wanted += ", or false for never" if name in MAY_BE_OFF else ""
    raise LayoutError(f"{name} of {where} is {value!r}; it must be {wanted}")
