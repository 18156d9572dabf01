"""Reading only what changed: from which point on, and on top of which file.

In: a feed read by a cursor (a column that grows with every change, such as `updated_at`). Out: a
`Since`: the highest value of the last good file and that file, out of the archive; None when
everything has to be read: the first time, when the columns are others, when the archive is gone,
and every so many days, because a row that was deleted is in no list of changes. There is no state
to lose: `var/cursors/<source>.json` only says when everything was read last.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from common import documents, paths, sql, store
from ingestion import archive, table
from ingestion.layout import Feed

OVERLAP = "10 minutes"  # a change may be committed later than the moment it is stamped with


@dataclass(frozen=True)
class Since:
    """Read what is at or behind `value` and merge it into `before`."""

    value: str
    before: Path


def since(
    source: str, feed: Feed, cursor: str, columns: list[str], *, full_every_days: int, into: Path
) -> Since | None:
    """From where to read a feed tonight; None: from the beginning."""
    full = _read(source).get(feed.name, {})
    if (
        not full
        or (datetime.now(UTC).date() - date.fromisoformat(full["on"])).days >= full_every_days
    ):
        return None
    with store.connect() as connection:
        query = (
            "select sha256, status from ledger.audit.source_files where source = ? and feed = ? and"
            " status in ('loaded', 'unchanged') order by read_at desc"
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
    value = _highest(path, columns, cursor)
    return Since(value, path) if value else None


def read_whole(source: str, feed: str, sha256: str) -> None:
    """Remember that everything was read today, and what it was: it counts once it has
    been landed.
    """
    path = _path(source)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    documents.write_text(
        path,
        json.dumps(
            _read(source) | {feed: {"sha256": sha256, "on": datetime.now(UTC).date().isoformat()}}
        ),
    )


def _highest(path: Path, columns: list[str], cursor: str) -> str | None:
    """The highest value: as a number, a time (less the overlap) or a text, whichever all values
    are.
    """
    at = sql.name(cursor)
    moment = f"max(try_cast({at} as timestamptz)) - interval '{OVERLAP}'"
    query = f"""
        select case
            when count({at}) = count(try_cast({at} as hugeint))
            then max(try_cast({at} as hugeint))::varchar
            when bool_and({at} similar to '[0-9-]{{10}}') then max({at})
            when count({at}) = count(try_cast({at} as timestamptz)) then
                strftime({moment}, '%Y-%m-%d %H:%M:%S.%f') || case
                when bool_or({at} similar to '.*([+-][0-9:]{{2,6}}|Z)') then '+00:00' else '' end
            else max({at}) end
        from {table.earlier(path, columns)} where {at} is not null
    """
    with table.connected() as connection:
        found = connection.execute(query).fetchone()
    return found[0] if found else None


def _read(source: str) -> dict[str, Any]:
    fits = documents.each(documents.has(sha256=str, on=str))
    return documents.read(_path(source), {}, fits)


def _path(source: str) -> Path:
    return paths.var() / "cursors" / f"{source}.json"
