"""Reading only what changed: from which point on, and on top of which file.

In: a feed read by a cursor (a column that grows with every change, such as `updated_at`). Out: a
`Since`: the highest value of the last good file and that file, out of the archive; None when
everything has to be read: the first time, when the columns are others, when the archive is gone,
and every so many days, because a row that was deleted is in no list of changes. There is no state
to lose: `var/cursors/<source>.json` only says when everything was read last.

A cursor never moves past the moment its file was read: a row stamped later (a clock that is off,
`9999-12-31`, `infinity`) would hide every change until then. Such rows are read again every night
and told (`cursor_ahead`).
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from common import documents, paths, settings, sql, store
from common.findings import Finding
from ingestion import archive, table
from ingestion.layout import Feed
from ingestion.model import Fetched
from ingestion.values import reading

OVERLAP = timedelta(minutes=10)  # a change may be committed later than it is stamped
NUMBER = r"[-+]?[0-9]+([.][0-9]+)?"
DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
ZONED = ".*:.*([+-][0-9:]{2,6}|Z)"  # 03:00+00, 03:00-07:00, 03:00Z
WRITTEN = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S", 17: "%Y%m%d%H%M%S%g"}
# how numbers count time: steps in a second, and the seconds from their beginning to 1970
COUNTS = (
    *((steps, 0) for steps in (1, 1_000, 1_000_000, 1_000_000_000)),
    (10_000_000, 62_135_596_800),  # ticks of .NET, since 0001-01-01
    (10_000_000, 11_644_473_600),  # FILETIME of Windows and directories, since 1601-01-01
)
# 2000 to 2300: a number that would be another time does not count it
TIMES = (946_684_800, 10_413_792_000)


@dataclass(frozen=True)
class Since:
    """Read what is at or behind `value` and merge it into `before`."""

    value: str
    before: Path


@dataclass(frozen=True)
class Stand:
    """How far the stamps of a file go: the highest at or before the moment it was read (less the
    overlap), and how many rows are stamped later, or as nobody can read.
    """

    value: str | None
    ahead: int = 0


def since(
    source: str,
    feed: Feed,
    cursor: str,
    columns: list[str],
    *,
    full_every_days: int,
    into: Path,
    notes: list[Finding],
) -> Since | None:
    """From where to read a feed tonight; None: from the beginning. Rows stamped in the future are
    told in `notes`.
    """
    full = _read(source).get(feed.name, {})
    if (
        not full
        or (datetime.now(UTC).date() - date.fromisoformat(full["on"])).days >= full_every_days
    ):
        return None
    with store.connect() as connection:
        query = (
            "select sha256, epoch(read_at) from ledger.audit.source_files where source = ? and"
            " feed = ? and status in ('loaded', 'unchanged') order by read_at desc"
        )
        good = connection.execute(query, [source, feed.name]).fetchall()
    if full["sha256"] not in {sha256 for sha256, _ in good}:
        return None  # what was read whole was refused
    path = into / f"{feed.name}.before"
    try:
        archive.restore(source, feed.name, good[0][0], path)
    except archive.ArchiveDamagedError:
        return None
    with path.open(encoding="utf-8", newline="") as file:
        if next(csv.reader(file), []) != columns:
            return None
    read_at = min(datetime.fromtimestamp(good[0][1], UTC), datetime.now(UTC))
    stand = _stand(path, columns, cursor, read_at)
    _told(source, feed, cursor, stand, notes)
    return Since(stand.value, path) if stand.value else None


def read_whole(
    source: str,
    feed: Feed,
    cursor: str,
    columns: list[str],
    *,
    found: Fetched,
    notes: list[Finding],
) -> None:
    """Remember that everything was read today, and what it was: it counts once it has
    been landed. Rows stamped in the future are told in `notes`.
    """
    path = _path(source)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    today = datetime.now(UTC).date().isoformat()
    documents.write_text(
        path, json.dumps(_read(source) | {feed.name: {"sha256": found.sha256, "on": today}})
    )
    if cursor in columns:
        stand = _stand(found.path, columns, cursor, datetime.now(UTC))
        _told(source, feed, cursor, stand, notes)


def _told(source: str, feed: Feed, cursor: str, stand: Stand, notes: list[Finding]) -> None:
    if stand.ahead:
        rows = "1 row is" if stand.ahead == 1 else f"{stand.ahead:,} rows are"
        stays = f"at {stand.value}" if stand.value else "nowhere, and everything is read"
        values = {"rows": rows, "stays": stays}
        notes.append(Finding("cursor_ahead", values, source=source, feed=feed.name, column=cursor))


def _stand(path: Path, columns: list[str], cursor: str, read_at: datetime) -> Stand:
    """How far a file goes, as what most of its stamps are: numbers, days, moments or texts. A
    text that is a date in words is in no order: everything is read.
    """
    at = sql.name(cursor)
    with table.connected() as connection:
        connection.execute(
            f"create table stamps as select trim({at}) as stamp from {table.earlier(path, columns)}"
            f" where {at} is not null"
        )
        number, day, moment, worded, count = connection.execute(
            f"select count(*) filter (where regexp_full_match(stamp, '{NUMBER}')),"
            f" count(*) filter (where regexp_full_match(stamp, '{DAY}')),"
            f" count(try_cast(stamp as timestamptz)), count({reading('stamp', 'date')}), count(*)"
            " from stamps"
        ).fetchone() or (0, 0, 0, 0, 0)
        if not count:
            return Stand(None)
        if 2 * number > count:
            return _of_numbers(connection, read_at)
        if 2 * day > count:
            return _of_days(connection, read_at)
        if 2 * moment > count:
            return _of_moments(connection, read_at)
        if 2 * worded > count:
            return Stand(None)
        return Stand(*connection.execute("select max(stamp) from stamps").fetchone() or (None,))


def _here(read_at: datetime) -> tuple[datetime, datetime]:
    """A moment without its zone, as it may have been written at the latest and must have been at
    the earliest: in UTC and by the district's clock, whichever is sooner and later.
    """
    local = read_at.astimezone(settings.zone()).replace(tzinfo=None)
    utc = read_at.astimezone(UTC).replace(tzinfo=None)
    return min(local, utc), max(local, utc)


def _of_days(connection: Any, read_at: datetime) -> Stand:
    sooner, later = _here(read_at)
    value, ahead = connection.execute(
        f"""
        select max(day) filter (where day <= $1), count(*) filter (where day is null or day > $2)
        from (
            select if(regexp_full_match(stamp, '{DAY}([T ].*)?'), left(stamp, 10), null) as day
            from stamps
        )
        """,
        [sooner.date().isoformat(), (later + OVERLAP).date().isoformat()],
    ).fetchone() or (None, 0)
    return Stand(value, ahead)


def _of_moments(connection: Any, read_at: datetime) -> Stand:
    sooner, later = _here(read_at)
    utc = read_at.astimezone(UTC).replace(tzinfo=None)
    value, is_zoned, ahead = connection.execute(
        f"""
        select max(moment) filter (where moment <= if(zoned, $utc, $sooner)),
               bool_or(zoned) filter (where moment <= if(zoned, $utc, $sooner)),
               count(*) filter (where moment is null or moment > if(zoned, $utc_most, $most))
        from (
            select try_cast(stamp as timestamptz)::timestamp as moment,
                   regexp_full_match(stamp, '{ZONED}') as zoned
            from stamps
        )
        where moment is null or moment > timestamp '-infinity'
        """,
        {"utc": utc, "sooner": sooner, "utc_most": utc + OVERLAP, "most": later + OVERLAP},
    ).fetchone() or (None, False, 0)
    if value is None:
        return Stand(None, ahead)
    return Stand(f"{value - OVERLAP:%Y-%m-%d %H:%M:%S.%f}" + ("+00:00" if is_zoned else ""), ahead)


def _of_numbers(connection: Any, read_at: datetime) -> Stand:
    """Numbers may count changes, or time in one of several ways, or be a time that was written
    without its marks; which it is, most of them show.
    """
    connection.execute(
        f"create table numbers as select stamp, if(regexp_full_match(stamp, '{NUMBER}'),"
        " try_cast(stamp as decimal(38, 9)), null) as number from stamps"
    )
    for steps, begin in COUNTS:
        low, most = ((begin + second) * steps for second in TIMES)
        if _most(connection, f"number between {low} and {most}"):
            high = int((begin + read_at.timestamp()) * steps)
            overlap = int(OVERLAP.total_seconds()) * steps
            value, ahead = connection.execute(
                "select max(number) filter (where number <= $high),"
                " count(*) filter (where number is null or number > $most) from numbers",
                {"high": high, "most": high + overlap},
            ).fetchone()
            return Stand(None if value is None else str(int(value) - overlap), ahead)
    sooner, later = _here(read_at)
    for length, form in WRITTEN.items():
        # `infinity` has eight letters, and is a moment to DuckDB
        is_written = f"number is not null and length(stamp) = {length}"
        moment = f"if({is_written}, try_strptime(stamp, '{form}'), null)"
        if _most(connection, f"year({moment}) between 2000 and 2299"):
            value, ahead = connection.execute(
                f"select max({moment}) filter (where {moment} <= $sooner), count(*) filter (where"
                f" {moment} is null or {moment} > $most) from numbers",
                {"sooner": sooner, "most": later + OVERLAP},
            ).fetchone()
            if value is None:
                return Stand(None, ahead)
            value = value if length == min(WRITTEN) else value - OVERLAP
            return Stand(f"{value:%Y%m%d%H%M%S%f}"[:length], ahead)
    return Stand(
        *connection.execute(
            "select arg_max(stamp, number), count(*) filter (where number is null) from numbers"
        ).fetchone()
    )


def _most(connection: Any, which: str) -> bool:
    """Whether most numbers are so."""
    share = f"select 2 * count(*) filter (where {which}) > count(number) from numbers"
    return bool(connection.execute(share).fetchone()[0])


def _read(source: str) -> dict[str, Any]:
    fits = documents.each(documents.has(sha256=str, on=str))
    return documents.read(_path(source), {}, fits)


def _path(source: str) -> Path:
    return paths.var() / "cursors" / f"{source}.json"
