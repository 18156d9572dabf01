"""Which column stands where: by name when the first line is a heading line, by position when it is
data.

In: the first line of a file and its feed. Out: a `Heading`. Refuses a heading line without a
required column, a repeated heading, a file without headings whose number of columns is not the
layout's. Pure.

Headings are compared without case, spacing and punctuation, and by the layout's aliases.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from common.findings import Finding
from ingestion.layout import Column, Feed
from ingestion.model import RefusedError
from ingestion.numbers import DECIMALS, POWERS

RENAMED = (
    "if a column was renamed, add its new heading to `aliases` in the layout; else have the"
    " extract's columns put back"
)
# an address, a number, a day: a line of data may have two words that are headings
NOT_A_HEADING = re.compile(r"@|\d{4}|\d[-/. ]\d+[-/. ]\d|.{61}")
TICK_HEADINGS = 'tick "include headings" in the extract job, or mend the layout'


@dataclass(frozen=True)
class Heading:
    """How the first line was understood: `places` are the columns to land and their positions in
    the file.

    `checked` is where the number with a check digit stands; it may be a restricted one.
    """

    delimiter: str
    fields: int
    has_header: bool
    places: dict[str, int]
    findings: tuple[Finding, ...] = ()
    checked: int | None = None


def understood(
    source: str, feed: Feed, file: str, readings: Iterable[tuple[str, list[str]]]
) -> Heading:
    """The best of several readings of the first line, one per delimiter: (delimiter, values)."""
    ranked = [
        (_known(feed, values), len(values) == len(feed.columns), len(values), delimiter, values)
        for delimiter, values in readings
    ]
    if not ranked:
        raise RefusedError("feed_header", {"file": file}, 1)
    known, _, _, delimiter, values = max(ranked, key=lambda reading: reading[:3])
    # Two headings never stand in one line of data; a feed of one column has only one to show.
    if known >= min(2, len(feed.columns)):
        return _by_name(source, feed, file, delimiter, values)
    return _by_position(feed, file, delimiter, values)


def _known(feed: Feed, values: list[str]) -> int:
    return sum(feed.column(value) is not None for value in values if value.strip())


def _by_name(source: str, feed: Feed, file: str, delimiter: str, headings: list[str]) -> Heading:
    places: dict[str, int] = {}
    unknown: list[str] = []
    for place, heading in enumerate(headings):
        column = feed.column(heading)
        if column is None:
            unknown.append(_told(heading.strip(), place + 1))
        elif column.name in places:
            raise RefusedError(
                "feed_heading_twice",
                {
                    "file": file,
                    "heading": column.heading,
                    "place": places[column.name] + 1,
                    "other_place": place + 1,
                },
                1,
            )
        else:
            places[column.name] = place
    missing = [
        column
        for column in feed.columns
        if column.name not in places and column.name not in feed.unread and not column.restricted
    ]
    needed = [column.heading for column in missing if column.name in feed.required]
    if needed:
        also = f", unknown headings there: {_shown(unknown)}" if unknown else ""
        raise RefusedError(
            "feed_column_missing",
            {"file": file, "names": _shown(needed), "headings": len(headings), "unknown": also},
            1,
        )
    landed = feed.with_flags(places)
    checked = places.get(feed.check_digit.name) if feed.check_digit else None
    return Heading(
        delimiter,
        len(headings),
        True,
        landed,
        tuple(_notes(source, feed, file, unknown, missing)),
        checked,
    )


def _by_position(feed: Feed, file: str, delimiter: str, values: list[str]) -> Heading:
    count = len(values)
    if not feed.order_known:
        raise RefusedError("feed_heading_unknown", {"file": file}, 1)
    if count != len(feed.columns) and count not in feed.legacy_column_counts:
        allowed = " or ".join(
            str(number) for number in (*feed.legacy_column_counts, len(feed.columns))
        )
        raise RefusedError(
            "feed_column_count", {"file": file, "count": count, "allowed": allowed}, 1
        )
    everything = {column.name: place for place, column in enumerate(feed.columns[:count])}
    places = {name: place for name, place in everything.items() if name in feed.landed}
    needed = [name for name in feed.required if name not in places]
    if needed:
        raise RefusedError("feed_column_absent", {"file": file, "names": _shown(needed)}, 1)
    for name, shape in feed.shapes.items():
        value = values[places[name]].strip() if name in places else ""
        if (
            value
            and not re.fullmatch(shape, value)
            and not (name in feed.numbers and re.fullmatch(f"{DECIMALS}|{POWERS}", value))
        ):
            raise RefusedError("feed_no_heading_no_data", {"file": file, "name": name}, 1)
    landed = feed.with_flags(everything)
    checked = feed.columns.index(feed.check_digit) if feed.check_digit else count
    return Heading(delimiter, count, False, landed, checked=checked if checked < count else None)


def _notes(
    source: str, feed: Feed, file: str, unknown: list[str], missing: list[Column]
) -> Iterable[Finding]:
    if unknown:
        yield Finding(
            "unknown_column",
            {"columns": _columns(unknown)},
            source=source,
            feed=feed.name,
            file=file,
            line=1,
            column=_shown(unknown),
        )
    missing = [column for column in missing if column.name not in feed.optional_columns]
    if missing:
        names = [column.heading for column in missing]
        yield Finding(
            "column_missing",
            {"columns": _columns(names), "names": _shown(names)},
            source=source,
            feed=feed.name,
            file=file,
            line=1,
            column=_shown([column.name for column in missing]),
        )


def _told(heading: str, place: int) -> str:
    """An unknown heading; what may be somebody's value by its place alone."""
    if not heading:
        return f"(blank, column {place})"
    return f"(column {place})" if NOT_A_HEADING.search(heading) else heading


def _columns(names: list[str]) -> str:
    return "1 column" if len(names) == 1 else f"{len(names)} columns"


def _shown(names: list[str]) -> str:
    return ", ".join(name[:60] for name in names[:10]) + (
        f" and {len(names) - 10} more" if len(names) > 10 else ""
    )
