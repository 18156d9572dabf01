"""Is every school still in the feed, do its rows point at records that exist, and of which day is
it?

In: the cleaned copy of a feed whose rows can be read, what its last good load held, what other
feeds hold. Out: row counts per school and the schools to hold; the share of orphans; the newest day
the file speaks of. A school that collapsed does not stop the others: the feed passes and the school
is *held*. No value of a person enters a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from common import sql
from common.findings import Finding
from ingestion.layout import Reference
from ingestion.model import LastGood, RefusedError, Trusted
from ingestion.tolerance import Tolerance, nights

LISTS = "_ids"  # how columns end that hold several keys
DAY_IN_NAME = re.compile(
    r"(?<![0-9])(20[0-9]{2})[-_]?(0[1-9]|1[0-2])[-_]?(0[1-9]|[12][0-9]|3[01])(?![0-9])"
)


@dataclass(frozen=True)
class Coverage:
    """`expected`: school -> the rows its next load is measured against; `held`: schools that
    collapsed tonight.
    """

    expected: Mapping[str, int]
    held: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def school_number(text: str) -> str:
    """A school's number as core writes it: eight digits. Extracts drop the leading zero of
    districts below 100.
    """
    value = text.strip()
    return value.zfill(8) if value.isdigit() else value


def of_schools(
    source: str,
    trusted: Trusted,
    rows: Mapping[str, int],
    last: LastGood,
    tolerance: Tolerance,
    *,
    accepted: bool,
    unwatched: Collection[str] = (),
    elsewhere: Mapping[str, int] | None = None,
) -> Coverage:
    """Which schools lost too many rows, but for those of which an event said so (`unwatched`), and
    for people who stand `elsewhere` in the same file. Raises Refused when it is so many that the
    file itself must be wrong.
    """
    moved = elsewhere or {}
    if accepted or not tolerance.min_row_ratio:
        return Coverage(dict(rows))
    watched = {
        school: before
        for school, before in last.schools.items()
        if before >= max(1, tolerance.school_rows) and school not in unwatched
    }
    fallen = {
        school: before
        for school, before in watched.items()
        if rows.get(school, 0) + moved.get(school, 0) < tolerance.school_share * before
        or not rows.get(school, 0) + moved.get(school, 0)
    }
    if len(fallen) > tolerance.max_lost_partitions * len(watched):
        raise RefusedError(
            "feed_schools_collapsed",
            {
                "file": trusted.file.name,
                "feed": trusted.feed.name,
                "fallen": len(fallen),
                "schools": len(watched),
                "limit": f"{tolerance.max_lost_partitions:.0%}",
                "first": min(fallen),
            },
        )
    expected = {**rows, **fallen}
    return Coverage(
        expected,
        tuple(sorted(fallen)),
        tuple(
            _held(source, trusted, school, rows.get(school, 0), fallen[school])
            for school in sorted(fallen)
        ),
    )


def _held(source: str, trusted: Trusted, school: str, now: int, before: int) -> Finding:
    feed, file = trusted.feed.name, trusted.file.name
    rows = "no rows" if not now else ("1 row" if now == 1 else f"{now:,} rows")
    return Finding(
        "school_held",
        {"rows": rows, "before": before},
        source=source,
        feed=feed,
        school_number=school,
        file=file,
    )


def refuse_orphans(
    source: str,
    child: Trusted,
    reference: Reference,
    value: str,
    known: pa.Table,
    *,
    asked: Callable[[str, pa.Table], tuple],
    tolerance: Tolerance,
) -> tuple[Finding, ...]:
    """Count the rows that name a record its parent feed has not, tonight or before; refuse a feed
    with too many of them. No parent known: nothing can be said.
    """
    if not known.num_rows:
        return ()
    query = f"""
        with numbered as (select row_number() over () as row, unnest({_each(reference, value)}) as
        value from child),
        there as (select distinct {_folded(reference, "value")} as value from known),
        orphans as (select row from numbered anti join there
        on {_folded(reference, "numbered.value")} = there.value where numbered.value <> '')
        select (select count(distinct row) from numbered where value <> ''),
        (select count(distinct row) from orphans), (select min(row) from orphans)
    """
    filled, orphans, first = asked(query, known)
    if not orphans:
        return ()
    told = {
        "orphans": orphans,
        "filled": filled,
        "share": f"{orphans / filled:.1%}",
        "name": reference.column,
        "parent": reference.feed,
    }
    if not reference.counted and orphans > tolerance.orphan_share * filled:
        raise RefusedError(
            "feed_orphans",
            {
                **told,
                "file": child.file.name,
                "share": f"{orphans / filled:.0%}",
                "limit": f"{tolerance.orphan_share:.0%}",
            },
            child.line_of(first),
        )
    return (
        Finding(
            "rows_point_nowhere",
            told,
            source=source,
            feed=child.feed.name,
            file=child.file.name,
            line=child.line_of(first),
            column=reference.column,
        ),
    )


def spellings(
    reference: Reference,
    value: str,
    known: pa.Table,
    asked: Callable[[str, pa.Table], list[tuple]],
    *,
    is_key: bool,
) -> dict[str, str]:
    """What a reference writes otherwise than the record it means: its spelling -> that of the
    record. Where two records are spelled alike nobody can say which is meant, and no key becomes
    another row's.
    """
    if reference.exact or not known.num_rows:
        return {}
    query = f"""
        with named as (select distinct unnest({_each(reference, value)}) as value from child),
        there as (select {_folded(reference, "value")} as folded, min(value) as value from known
        group by 1 having count(distinct value) = 1)
        select named.value, there.value from named
        join there on {_folded(reference, "named.value")} = there.folded
        where named.value <> there.value
        and ({not is_key} or there.value not in (select value from named)) order by 1
    """
    return dict(asked(query, known))


def as_spelled(column: str, text: str, spelled: Mapping[str, str]) -> str:
    """SQL: a column with the spelling of the records it means."""
    listed = (", ".join(map(sql.text, part)) for part in (spelled.keys(), spelled.values()))
    known = f"map([{next(listed)}], [{next(listed)}])"
    if not column.endswith(LISTS):
        return f"coalesce({known}[trim({text})], {text})"
    each = f"one -> coalesce({known}[trim(one)], trim(one))"
    return f"array_to_string(list_transform(string_split({text}, ','), {each}), ',')"


def _each(reference: Reference, value: str) -> str:
    """SQL: the values of a column, of which a list has several in one field."""
    if reference.column.endswith(LISTS):
        return f"list_transform(string_split({value}, ','), one -> trim(one))"
    return f"[trim({value})]"


def _folded(reference: Reference, value: str) -> str:
    """SQL: a key without its case and the zeros before it; with them where they count."""
    if reference.exact:
        return value
    return (
        f"case when {value} similar to '0+[0-9]+' then ltrim({value}, '0') else lower({value}) end"
    )


def day_in_name(file_name: str) -> date | None:
    """The day a file's name says it is of."""
    found = DAY_IN_NAME.search(file_name)
    try:
        return date(*(int(part) for part in found.groups())) if found else None
    except ValueError:
        return None


def content_day(file_name: str, newest: Any, until: date) -> date | None:
    """The day a file speaks of: written in its name, else the newest date of its dated column (days
    to come say nothing).
    """
    return day_in_name(file_name) or (min(newest, until) if isinstance(newest, date) else None)


def newest_query(column: str, until: date) -> str:
    """The newest date of a column that is not in the future."""
    parsed = f"try_cast({sql.name(column)} as date)"
    return f"select max({parsed}) filter ({parsed} <= date '{until.isoformat()}') from looked"


def old_content(
    source: str, trusted: Trusted, until: date, tolerance: Tolerance
) -> tuple[Finding, ...]:
    """A new file with old content is as stale as an old file. Nobody is absent in the holidays, so
    a column only warns; a name holds.
    """
    if tolerance.stale_after_days is None or trusted.content_on is None:
        return ()
    age = tolerance.school_nights(trusted.content_on, until)
    if age < max(1, tolerance.stale_after_days):
        return ()
    held = (
        trusted.content_named
        and tolerance.hold_after_days is not None
        and age >= tolerance.hold_after_days
    )
    return (
        Finding(
            "feed_old_content_held" if held else "feed_old_content",
            {
                "day": str(trusted.content_on),
                "age": nights(age),
                "most": tolerance.stale_after_days,
            },
            source=source,
            feed=trusted.feed.name,
            file=trusted.file.name,
        ),
    )
