"""The verb: read the configured sources into `raw_<source>`.

    python -m ingestion [--source NAME …] [--accept-smaller FEED …]
    python -m ingestion check
    python -m ingestion retention [--really]      which archived files and memories of old nights are past their keep_days
    python -m ingestion replay                    the feeds of an old night from the archive; called by "make replay"

Exit codes: 0 all feeds landed or unchanged, 1 error, 2 a school or a feed that grew stale is held for a person, 3 some
feed refused or missing (its table stayed as it was).
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict

from common import log, paths, settings, store
from common.runs import Run
from common.sftp import SftpError
from ingestion import archive, replay
from ingestion.land import LandingFailed
from ingestion.layout import LayoutError
from ingestion.model import Look, SourceUnreachable
from ingestion.source import FeedResult, Source, ingest, reader_of, source_of

DONE, ERROR, HELD, PARTLY = 0, 1, 2, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the verb; the exit code is what it returns."""
    parser = argparse.ArgumentParser(prog="python -m ingestion", description="Read the configured sources into raw_<source>.")
    parser.add_argument("verb", nargs="?", choices=["ingest", "check", "retention", "replay"], default="ingest", help="check only looks; see above")
    parser.add_argument("--source", action="append", default=[], metavar="NAME", help="this source only; may be repeated")
    parser.add_argument(
        "--accept-smaller", action="append", default=[], metavar="FEED", help="take this feed tonight although it shrank more than minimum_share allows"
    )
    parser.add_argument("--really", action="store_true", help="retention: let the files go")
    given = parser.parse_args(arguments)
    try:
        sources = _sources(given.source)
        unknown = sorted(set(given.accept_smaller) - {feed.name for source in sources for feed in source.layout.feeds})
        if unknown:
            raise LayoutError(f"--accept-smaller {', '.join(unknown)}: no source has such a feed")
        match given.verb:
            case "check":
                return _check(sources)
            case "retention":
                return _retention(sources, really=given.really)
            case "replay":
                replay.replay(sources, Run.current("replay"))
                return DONE
        return _ingest(sources, given.accept_smaller)
    except (LayoutError, replay.NotInArchive, LandingFailed, store.StoreUnusable, settings.SettingsWrong) as error:
        print(f"ingestion: {error}", file=sys.stderr)
        return ERROR


def _sources(names: Sequence[str]) -> list[Source]:
    configured = settings.section("sources")
    unknown = sorted(set(names) - set(configured))
    if unknown:
        raise LayoutError(f"there is no source {', '.join(unknown)}; configured are {', '.join(sorted(configured)) or 'none'}")
    if not configured:
        raise LayoutError("no source is configured: add a [sources.<name>] table to .dlt/config.toml")
    return [source_of(name, facts) for name, facts in configured.items() if isinstance(facts, dict) and (not names or name in names)]


def _ingest(sources: Sequence[Source], accept_smaller: Sequence[str]) -> int:
    run = Run.current("ingest")
    results: list[FeedResult] = []
    for source in sources:
        results += ingest(source, run, accept_smaller)
        done = {source.name for source in sources}
        kept = [entry for entry in run.read("feeds.json", []) if entry["source"] not in done]
        run.write("feeds.json", [*kept, *(asdict(result) for result in results)])
    for result in results:
        if not result.is_good:
            print(result.message, file=sys.stderr)
    good = sum(result.is_good for result in results)
    log.event("ingested", run=run.run_id, feeds=len(results), good=good, rows=sum(result.landed for result in results if result.status == "loaded"))
    if good < len(results):
        return PARTLY
    return HELD if any(result.hold or result.held_schools for result in results) else DONE


def _retention(sources: Sequence[Source], *, really: bool) -> int:
    """Say which archived files are past their days, and let them go when told to."""
    default = settings.get("archive.keep_days", None)
    days = {source.name: source.settings.get("keep_days", default) for source in sources}
    wrong = [f"{name} ({value!r})" for name, value in days.items() if value is not None and (type(value) is not int or value < 1)]
    if wrong:
        raise LayoutError(f"keep_days of {', '.join(wrong)} must be a whole number of days, 1 or more; leave it out to keep everything")
    with store.connect() as connection:
        found = {name: archive.past(connection, name, keep) for name, keep in days.items() if keep is not None}
    for name, keep in days.items():
        files = found.get(name, [])
        size = sum(file.stat().st_size for file in files) / 1e6
        old = f"{len(files):,} files older than {keep} days, {size:,.1f} MB"
        print(f"{name}: " + ("keep_days is not set, everything is kept" if keep is None else old))
        for file in files:
            print(f"  {file.relative_to(archive.folder())}")
            if really:
                file.unlink()
    memories = archive.past_memories(default) if default is not None else []
    if default is not None:
        print(f"nights: {len(memories):,} older than {default} days keep what the ledger knew of people then, for replay")
    for folder in memories:
        print(f"  {folder.relative_to(paths.var())}")
        if really:
            shutil.rmtree(folder)
    if any(found.values()) or memories:
        print("deleted" if really else 'nothing was deleted; "python -m ingestion retention --really" does it')
    return DONE


def _check(sources: Sequence[Source]) -> int:
    """One line per source: does it let us in, and which of its feeds are there. Lands nothing, writes nothing."""
    good = True
    for source in sources:
        try:
            look = reader_of(source).look(source.name, source.settings, source.layout)
        except (SourceUnreachable, SftpError) as error:
            look = Look(f"not reached: {error}", good=False)
        print(f"{source.name}: {look.line}")
        good = good and look.good
    return DONE if good else PARTLY


if __name__ == "__main__":
    sys.exit(main())
