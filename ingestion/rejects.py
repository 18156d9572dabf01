"""Rows that cannot be landed: whose they are, where it can be told, and the sentence a school
secretary reads.

In: a bad record as the scanner found it, the heading of its file. Out: a `Reject` with the column
that is wrong, the record's key and its school; one finding per feed. A key is told when its value
is where it must be; in a row with too few or too many columns values may have moved, so there a key
is told only when the feed already knows it. No other value of a row is ever kept: the archive has
the bytes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from common import problems
from common.findings import Finding
from ingestion.coverage import school_number
from ingestion.layout import Feed
from ingestion.model import Fetched, Reject
from ingestion.scan import Bad, values_of

MOST_SHOWN = 20
LOOKS_LIKE_A_KEY = (  # a key has digits; a name or an address never looks so
    r"[A-Za-z]{0,3}[0-9]{2,12}"
)
WHOLE = {"reject_empty", "reject_rounded", "reject_shape"}  # every value stands in its own column
LOOKS_LIKE_A_SCHOOL = r"[0-9]{3,8}"
Known = Callable[[Collection[str]], Collection[str]]


def reject(
    feed: Feed, places: Mapping[str, int], bad: Bad, data: bytes, *, delimiter: str, codec: str
) -> Reject:
    """What can be said about one bad record. Its key and school stand as read: `told` takes back
    what is not certain.
    """
    values = values_of(data.decode(codec, "replace"), delimiter)

    def value(column: str, otherwise: str) -> str:
        place = places.get(column, len(values))
        text = values[place].strip() if place < len(values) else ""
        return text if re.fullmatch(feed.shapes.get(column, otherwise), text) else ""

    digest = hashlib.sha256(data.rstrip(b"\r\n")).hexdigest()
    school = value(feed.school, LOOKS_LIKE_A_SCHOOL)
    return Reject(
        bad.line,
        bad.code,
        digest,
        bad.column,
        value(feed.report_key, LOOKS_LIKE_A_KEY),
        school_number(school) if school else "",
        bad.values,
    )


def is_whole(found: Reject) -> bool:
    """Whether every value of the row stands in its own column."""
    return found.code in WHOLE


def told(found: tuple[Reject, ...], known: Known, schools: Collection[str]) -> tuple[Reject, ...]:
    """The rejects with the keys that are certain; asks what is known only when a row is
    not whole.
    """
    doubtful = {one.record for one in found if one.record and not is_whole(one)}
    certain = set(known(doubtful)) if doubtful else set()
    return tuple(
        (
            one
            if is_whole(one)
            else replace(
                one,
                record=one.record if one.record in certain else "",
                school_number=one.school_number if one.school_number in schools else "",
            )
        )
        for one in found
    )


def finding(
    source: str, feed: Feed, file: Fetched, found: tuple[Reject, ...], landed: int
) -> Finding:
    """One sentence per feed: how many rows, what is wrong with them, where they stand."""
    reasons: dict[str, int] = {}
    for one in found:
        reasons[_plain(one)] = reasons.get(_plain(one), 0) + 1
    why = ", ".join(
        f"{count:,} {reason}"
        for reason, count in sorted(reasons.items(), key=lambda item: -item[1])[:5]
    )
    where = ", ".join(f"{one.line}{_whose(feed, one)}" for one in found[:MOST_SHOWN])
    where += f" and {len(found) - MOST_SHOWN:,} more" if len(found) > MOST_SHOWN else ""
    schools, columns = {one.school_number for one in found}, {one.column for one in found}
    return Finding(
        "rows_rejected",
        {
            "rows": _rows(len(found)),
            "why": why,
            "where": f"{'line' if len(found) == 1 else 'lines'} {where}",
            "landed": _rows(landed),
        },
        source=source,
        feed=feed.name,
        file=file.name,
        line=found[0].line,
        column=columns.pop() if len(columns) == 1 else "",
        school_number=schools.pop() if len(schools) == 1 else "",
        key=found[0].record if len(found) == 1 else "",
    )


def _whose(feed: Feed, one: Reject) -> str:
    parts = [
        f"{feed.report_key.replace('_', ' ')} {one.record}" if one.record else "",
        f"school {one.school_number}" if one.school_number else "",
    ]
    said = ", ".join(part for part in parts if part)
    return f" ({said})" if said else ""


def _plain(one: Reject) -> str:
    """A reason in words: `student_number is empty` -> `without student number`."""
    values = {
        name: value.replace("_", " ") if name == "column" and isinstance(value, str) else value
        for name, value in one.values.items()
    }
    return problems.sentence(f"rows_{one.code}", values)


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
