"""A night's feeds again, from the archive: for `make replay`.

In: a state folder whose archive and ledger know that night (`audit.source_files` of the run). Out:
every raw table as it stood when that night's build began: the file of the night, or of the last
good one where it was refused or missing. Writes nothing to the ledger. Raises NotInArchiveError
when a file is past its keep_days.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from common import log, store
from common.runs import Run
from ingestion import land, past
from ingestion.source import Source, land_all


class NotInArchiveError(Exception):
    """A file of that night is not kept any more; the message names it."""


def replay(sources: Sequence[Source], run: Run) -> int:
    """Land what was in force that night; returns the number of feeds."""
    count = 0
    for source in sources:
        with store.connect() as connection:
            land.prepare(connection, source.name, source.layout.feeds)
            loads: dict[str, list[past.Load]] = {}
            for feed, *load in connection.execute(
                """
                select feed, sha256, file, coalesce(epoch(modified_at), 0)
                from ledger.audit.source_files
                where source = ? and run_id <= ? and status in ('loaded', 'unchanged')
                order by feed, read_at desc
                """,
                [source.name, run.run_id],
            ).fetchall():
                of_feed = loads.setdefault(feed, [])
                if not of_feed or of_feed[-1].sha256 != load[0]:
                    of_feed.append(past.Load(*load))
        restored = []
        for feed in source.layout.feeds:
            if feed.name not in loads:
                continue
            sha256, file, _ = loads[feed.name][0]
            trusted = past.in_force(source.name, feed, loads[feed.name])
            if trusted is None:
                why = (
                    "be read from the archive any more"
                    if source.settings.keeps_originals
                    else "be read again: keep_originals = false, its files are not archived"
                )
                raise NotInArchiveError(
                    f"{source.name} {feed.name}: {file} of that night (sha256 {sha256[:12]}) cannot"
                    f" {why}"
                )
            restored.append(trusted)
        land_all(source, restored, run, datetime.now(UTC))
        count += len(restored)
    log.event("replayed", run=run.run_id, feeds=count)
    return count
