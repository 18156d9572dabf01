"""What was in force of a feed, from the archive: for a warehouse that is gone, for `make replay`.

In: the loads of a feed the ledger remembers, the newest first. Out: the file of the first of them
as it was landed, with the last good value wherever its own cannot be read: a file keeps what the
one before it was landed with, so as many are read as it takes. None where it is not in the archive
any more, or cannot be read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

import duckdb
import pyarrow as pa

from common import database, findings, log, paths, sql
from common.findings import Finding
from common.runs import NoSuchRunError, Run
from ingestion import archive, land, people
from ingestion.layout import Feed
from ingestion.model import Fetched, LastGood, RefusedError, Trusted
from ingestion.tolerance import Tolerance
from ingestion.trust import Rules, check, csv_of

# what is told of a file every night it is in force
STANDS = {"values_unreadable", "dates_before", "rows_rejected", "rows_point_nowhere"}
MOST = 60  # loads one value is looked for in: a quarter of a school year in which nobody mended it


class Load(NamedTuple):
    """A file that was landed: its hash, its name, and when it changed at its source."""

    sha256: str
    file: str
    modified_at: float  # seconds since 1970


def in_force(source: str, feed: Feed, loads: Sequence[tuple[str, str, float]]) -> Trusted | None:
    """The newest of these as it was landed."""
    found: list[Trusted] = []
    for place, load in enumerate(loads[:MOST]):
        file = _checked(source, feed, Load(*load), place)
        if file is None:
            break
        found.append(file)
        if not file.kept:
            break
    before: Trusted | None = None
    for file in reversed(found):
        before = file if before is None or not file.kept else _after(source, feed, file, before)
    return before


def columns(file: Trusted | None, names: Sequence[str]) -> pa.Table:
    """These columns of its rows, as they were landed."""
    if file is None or not file.good or names[0] not in file.places:
        return pa.table({name: pa.array([], pa.string()) for name in names})
    with database.connect() as connection:
        kept = land.kept_of(file)
        connection.register("kept", kept)
        listed = ", ".join(f"{land.landed_as(file, name)} as {sql.name(name)}" for name in names)
        return connection.execute(
            f"select {listed} from {csv_of(file)} as rows"
            f" positional join (select range + 1 as _row from range({file.good})) as places"
            " left join kept on places._row = kept._row"
        ).to_arrow_table()


def landed(source: str, feed: Feed, loads: Sequence[tuple[str, str, float]]) -> people.Landed:
    """The same of whatever was in force, read once, when it is asked for."""
    known: list[Trusted | None] = []

    def said(names: Sequence[str]) -> pa.Table:
        known[:] = known or [in_force(source, feed, loads)]
        return columns(known[0], names)

    return said


def standing(
    connection: duckdb.DuckDBPyConnection, source: str, feed: str, last: LastGood
) -> list[Finding]:
    """What was found of the file in force and is so as long as it is: that the same bytes come
    again, or none, mends nothing.
    """
    try:
        told = findings.read(Run.load(last.run_id))
    except NoSuchRunError:  # its documents are past their days, or on the machine that burned
        cursor = connection.execute(
            'select * exclude (values), values::varchar as values, column_name as "column"'
            " from ledger.audit.findings where run_id = ?",
            [last.run_id],
        )
        names = [column[0] for column in cursor.description or ()]
        told = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        told = [{**one, "values": json.loads(one["values"])} for one in told]
    return [
        Finding(**{name: one[name] for name in findings.COLUMNS})
        for one in told
        if one["code"] in STANDS and (one["source"], one["feed"]) == (source, feed)
    ]


def _checked(source: str, feed: Feed, load: Load, place: int) -> Trusted | None:
    """A file of the archive; it was good when it came."""
    path = paths.var() / "inbox" / ".fetched" / source / f"{feed.name}.archived{place}"
    try:
        archive.restore(source, feed.name, load.sha256, path)
        when = datetime.fromtimestamp(load.modified_at, UTC)
        file = Fetched(load.file, path, load.sha256, path.stat().st_size, when)
        return check(source, feed, file, _anything(), path.with_suffix(f".clean{place}"))
    except (archive.ArchiveDamagedError, RefusedError) as error:
        log.event("restore_failed", source=source, feed=feed.name, why=type(error).__name__)
        return None


def _after(source: str, feed: Feed, file: Trusted, before: Trusted) -> Trusted:
    rules = replace(_anything(), landed=lambda names: columns(before, names))
    return check(source, feed, file.file, rules, file.clean)


def _anything() -> Rules:
    return Rules(tolerance=Tolerance(most_rejected=1.0, most_unreadable=1.0), accept_smaller=True)
