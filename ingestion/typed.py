"""One gate for every typed value of every feed: it is read, or it keeps what was read last.

In: the columns a layout gives a type, the rows of a file that may be trusted, the last good load.
Out: the same file with what each value reads as (`values`), and a finding per column for those
nobody can read: they keep the value of the last good load; where there was none they stay as they
are written, which every model takes for unknown and never for none. A date before one it cannot
precede is not believed either. Raises Refused when most of a column cannot be read: then the file
means something else than we think.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import duckdb

from common import sql
from common.findings import Finding
from ingestion.layout import Feed
from ingestion.model import RefusedError, Trusted
from ingestion.values import KINDS, NOTHING, reading

if TYPE_CHECKING:
    from ingestion.trust import Rules

FEW = 3  # fewer values that cannot be read say nothing about their column
MOST_SHOWN = 20


def gate(
    connection: duckdb.DuckDBPyConnection, source: str, trusted: Trusted, rules: Rules
) -> Trusted:
    """Read every typed value of the table `looked`, in place. Raises Refused."""
    feed = trusted.feed
    types = {name: kind for name, kind in feed.types.items() if name in trusted.places}
    if not types:
        return trusted
    bad = {name: _unreadable(connection, trusted, name, rules) for name in types}
    early = {
        name: _before(connection, name, other)
        for name, other in feed.not_before.items()
        if name in types and other in types
    }
    doubtful = {
        name: sorted({*bad.get(name, ()), *early.get(name, ())})
        for name in types
        if bad.get(name) or early.get(name)
    }
    if not doubtful:
        return replace(trusted, types=types)
    known = _known(connection, trusted, doubtful, rules)
    notes = [
        _finding(source, trusted, name, them, known=known[name], code=code)
        for code, found in (("values_unreadable", bad), ("dates_before", early))
        for name, them in found.items()
        if them
    ]
    # of a date that is before another nothing is landed rather than what cannot be true
    kept = {name: {**dict.fromkeys(early.get(name, ())), **known[name]} for name in doubtful}
    return replace(trusted, types=types, kept=kept, findings=(*trusted.findings, *notes))


def _unreadable(
    connection: duckdb.DuckDBPyConnection, trusted: Trusted, name: str, rules: Rules
) -> list[int]:
    """The rows whose value cannot be read; `looked` holds afterwards what the others read as."""
    feed, column = trusted.feed, sql.name(name)
    kind = feed.types[name]
    read = reading(column, kind, feed.date_format)
    filled = f"{column} <> '' and not regexp_full_match({column}, {sql.text(NOTHING)})"
    bad = [
        row
        for (row,) in connection.execute(
            f"select rowid + 1 from looked where {filled} and {read} is null order by 1"
        ).fetchall()
    ]
    (count,) = connection.execute(f"select count(*) from looked where {filled}").fetchone() or (0,)
    if len(bad) >= FEW and len(bad) > rules.tolerance.most_unreadable * count:
        raise RefusedError(
            "feed_unreadable",
            {
                "file": trusted.file.name,
                "strange": len(bad),
                "filled": count,
                "name": name,
                "kind": KINDS[kind],
            },
            trusted.line_of(bad[0]),
        )
    connection.execute(f"update looked set {column} = {read} where {column} is not null")
    return bad


def _before(connection: duckdb.DuckDBPyConnection, name: str, other: str) -> list[int]:
    """The rows whose date is before one it cannot precede."""
    query = f"select rowid + 1 from looked where {sql.name(name)} < {sql.name(other)} order by 1"
    return [row for (row,) in connection.execute(query).fetchall()]


def _known(
    connection: duckdb.DuckDBPyConnection,
    trusted: Trusted,
    doubtful: Mapping[str, Sequence[int]],
    rules: Rules,
) -> dict[str, dict[int, str | None]]:
    """Column -> row -> the value of the last good load: of the row with the same key, or where a
    feed has none, of the same row but for its types, or else of the same record where all its rows
    agreed. What the last load could not read either is not known.
    """
    from ingestion.trust import csv_of, value_of

    feed = trusted.feed
    columns = [name for name in feed.landed if name in trusted.places]
    listed = ", ".join(f"trim({value_of(trusted, name)}) as {sql.name(name)}" for name in columns)
    connection.execute(
        f"create or replace temp table doubtful as select * from (select row_number() over () as"
        f" row, {listed} from {csv_of(trusted)}) where row in (select unnest(?))",
        [sorted({row for rows in doubtful.values() for row in rows})],
    )
    connection.register("before", rules.landed(columns))
    found: dict[str, dict[int, str | None]] = {name: {} for name in doubtful}
    for name, rows in doubtful.items():
        was = f"trim(before.{sql.name(name)})"
        read = reading(was, feed.types[name])
        for keys in _ways(feed, columns):
            same = " and ".join(
                f"doubtful.{sql.name(key)} is not distinct from trim(before.{sql.name(key)})"
                for key in keys
            )
            for row, value in connection.execute(
                f"select doubtful.row, min({read}) from doubtful inner join before on {same}"
                f" group by 1 having count(distinct coalesce({read}, '')) = 1"
                f" and not bool_or({was} <> '' and {read} is null)"
            ).fetchall():
                if row in rows:
                    found[name].setdefault(row, value)
    connection.unregister("before")
    return found


def _ways(feed: Feed, columns: Sequence[str]) -> list[list[str]]:
    """The columns by which a row of the last load is the same, the surest first."""
    if feed.key and set(feed.key) <= set(columns):
        return [list(feed.key)]
    same = [name for name in columns if name not in feed.types]
    return [way for way in (same, [feed.report_key] if feed.report_key in columns else []) if way]


def _finding(
    source: str,
    trusted: Trusted,
    name: str,
    rows: Sequence[int],
    *,
    known: Mapping[int, str | None],
    code: str,
) -> Finding:
    feed = trusted.feed
    kept = sum(row in known for row in rows)
    lost = len(rows) - kept
    said = (
        f"{kept:,} {'keeps' if kept == 1 else 'keep'} the value of the last good load",
        f"{lost:,} had none and {'is' if lost == 1 else 'are'} not known",
    )
    lines = [f"{trusted.line_of(row):,}" for row in rows[:MOST_SHOWN]]
    more = f" and {len(rows) - MOST_SHOWN:,} more" if len(rows) > MOST_SHOWN else ""
    return Finding(
        code,
        {
            "kind": KINDS[feed.types[name]],
            "other": feed.not_before.get(name, ""),
            "values": "1 value" if len(rows) == 1 else f"{len(rows):,} values",
            "where": f"{'line' if len(rows) == 1 else 'lines'} {', '.join(lines)}{more}",
            "kept": ", ".join(
                part for part, count in zip(said, (kept, lost), strict=True) if count
            ),
        },
        source=source,
        feed=feed.name,
        file=trusted.file.name,
        line=trusted.line_of(rows[0]),
        column=name,
    )
