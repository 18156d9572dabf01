"""The verb: read the configured sources into `raw_<source>`.

    python -m ingestion [--source NAME …] [--feed SOURCE.FEED …] [--accept FEED=WORD …]
    python -m ingestion check
    python -m ingestion retention [--really]      which archived files and memories of old nights
                                                  are past their keep_days
    python -m ingestion replay                    the feeds of an old night from the archive; called
                                                  by "make replay"

Exit codes: 0 all feeds landed or unchanged, 1 error, 2 a school or a feed that grew stale is held
for a person, 3 some feed refused or missing (its table stayed as it was).
"""

from __future__ import annotations

import errno
import shutil
import sys
import traceback
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from common import access, findings, log, paths, problems, settings, store, terminal, turns
from common.findings import Finding
from common.lock import LockHeldError
from common.runs import NightsRunError, Run
from common.sftp import SftpError
from ingestion import archive, replay
from ingestion.configured import Archive, FilesSource
from ingestion.fetch import local_folder
from ingestion.land import LandingError
from ingestion.layout import LayoutError
from ingestion.model import Look, SourceUnreachableError
from ingestion.source import FeedResult, Source, ingest, reader_of, source_of, tolerances
from ingestion.tolerance import ACCEPT

DONE, ERROR, HELD, PARTLY = 0, 1, 2, 3
OF_ARCHIVE = ("archive_damaged", "archive_healed")  # which no feed of tonight rests on


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Verb(StrEnum):
    """What may stand after `python -m ingestion`."""

    INGEST = "ingest"
    CHECK = "check"
    RETENTION = "retention"
    REPLAY = "replay"


@app.command(help="Read the configured sources into raw_<source>.")
def _run(  # noqa: PLR0917
    verb: Annotated[
        Verb, typer.Argument(help="check only looks; see above", show_default=False)
    ] = Verb.INGEST,
    source: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="this source only; may be repeated")
    ] = None,
    feed: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE.FEED", help="this feed only, or a whole source; may be repeated"
        ),
    ] = None,
    accept_smaller: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FEED",
            help="take this feed tonight although it shrank more than min_row_ratio allows",
        ),
    ] = None,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FEED=WORD",
            help=f"take this feed tonight although it is refused; {', '.join(ACCEPT)}",
        ),
    ] = None,
    really: Annotated[bool, typer.Option("--really", help="retention: let the files go")] = False,
) -> None:
    said = [*(f"{feed}=smaller" for feed in accept_smaller or []), *(accept or [])]
    raise SystemExit(_told(verb, [*(source or []), *(feed or [])], said, really=really))


@terminal.streams()
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the verb; the exit code is what it returns."""
    try:
        app(arguments, prog_name="python -m ingestion")
    except SystemExit as ended:
        return int(ended.code or 0)
    return DONE


def _told(verb: Verb, names: Sequence[str], said: Sequence[str], *, really: bool) -> int:
    try:
        access.begin(verb)
        sources, wrong = _sources(names)
        if wrong and verb in (Verb.RETENTION, Verb.REPLAY):
            raise LayoutError(*wrong.values())
        accepted = _accepted(said, {feed.name for one in sources for feed in one.layout.feeds})
        match verb:
            case Verb.CHECK:
                return _check(sources, wrong)
            case Verb.RETENTION:
                return _retention(sources, really=really)
            case Verb.REPLAY:
                replay.replay(sources, Run.current("replay"))
                return DONE
        with turns.taken("ingest"):
            return _ingest(sources, wrong, accepted)
    except LockHeldError as error:
        print(f"ingestion: {error}", file=sys.stderr)
        return HELD
    except (
        replay.NotInArchiveError,
        LandingError,
        store.StoreError,
        settings.SettingsError,
        paths.NotOursError,
        NightsRunError,
    ) as error:
        print(f"ingestion: {error}", file=sys.stderr)
        return ERROR
    except PermissionError as error:
        print(f"ingestion: {paths.whose(error.filename or paths.var())}", file=sys.stderr)
        return ERROR


def _accepted(said: Sequence[str], feeds: AbstractSet[str]) -> dict[str, set[str]]:
    """Feed -> what a person accepts of it. Raises LayoutError."""
    accepted: dict[str, set[str]] = {}
    for one in said:
        feed, _, word = one.partition("=")
        if feed not in feeds:
            raise LayoutError(f"--accept {one}: no source has a feed {feed}")
        if word not in ACCEPT:
            raise LayoutError(f"--accept {one}: write FEED=WORD, one of {', '.join(ACCEPT)}")
        accepted.setdefault(feed, set()).add(word)
    return accepted


def _sources(names: Sequence[str]) -> tuple[list[Source], dict[str, str]]:
    """The sources that were asked for, or some of their feeds (`source.feed`); and why those cannot
    be read whose settings or layout cannot be followed.
    """
    asked: dict[str, set[str]] = {}
    for one in names:
        name, _, feed = one.partition(".")
        asked.setdefault(name, set()).add(feed)
    names = list(asked)
    configured = {
        name: written
        for name, written in settings.section("sources").items()
        if not isinstance(written, Mapping) or settings.says_on(written)
    }
    unknown = sorted(set(names) - set(configured))
    if unknown:
        raise LayoutError(
            f"there is no source {', '.join(unknown)}; configured are"
            f" {', '.join(sorted(configured)) or 'none'}"
        )
    if not configured:
        raise LayoutError(
            "no source is configured: add a [sources.<name>] table to .dlt/config.toml"
        )
    sources, wrong = [], {}
    for name, written in configured.items():
        if not names or name in names:
            try:
                whole = source_of(name, written)
                feeds = asked.get(name, {""})
                sources.append(whole if "" in feeds else whole.only(feeds))
            except settings.SettingsError as error:
                wrong[name] = str(error)
    return sources, wrong


def _ingest(
    sources: Sequence[Source], wrong: Mapping[str, str], accepted: Mapping[str, set[str]]
) -> int:
    """Read each source. One that fails, in whatever way, has its feeds missing tonight; the others
    are read.
    """
    run = Run.current("ingest")
    # written before anything is read: what a killed ingestion did not come to is missing, and what
    # rests on it waits
    results = {
        source.name: _missing(
            source.name, [feed.name for feed in source.layout.feeds], "feed_not_reached"
        )
        for source in sources
    }
    results |= {name: _missing(name, _fed_by(name), "feed_settings_wrong") for name in wrong}
    failed = [_failed("settings_wrong", name, {"why": why}) for name, why in wrong.items()]
    _say(run, results)
    failed += _looked_over(sources, run)
    for source in sources:
        try:
            results[source.name] = ingest(source, run, accepted)
        except store.StoreError:
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            expected = isinstance(error, LandingError | settings.SettingsError)
            if not expected:
                traceback.print_tb(error.__traceback__)  # without its text, which may quote a row
            if expected:
                is_landing = isinstance(error, LandingError)
                code = "source_not_landed" if is_landing else "settings_wrong"
                failed.append(_failed(code, source.name, {"why": str(error)}))
            else:
                name = type(error).__name__
                failed.append(_failed("source_failed", source.name, {"error": name}))
            results[source.name] = _missing(
                source.name, [feed.name for feed in source.layout.feeds], "feed_not_read"
            )
        _say(run, results)
    failed += [_of_archive("archive_damaged", path) for path in archive.damaged()]
    findings.record(run, failed)
    every = [result for some in results.values() for result in some]
    for message in [
        *(finding.message for finding in failed),
        *(result.message for result in every if not result.is_good),
    ]:
        print(message, file=sys.stderr)
    good = sum(result.is_good for result in every)
    log.event(
        "ingested",
        run=run.run_id,
        feeds=len(every),
        good=good,
        rows=sum(result.landed for result in every if result.status == "loaded"),
    )
    if any(one.code not in OF_ARCHIVE for one in failed) or good < len(every):
        return PARTLY
    return HELD if any(result.hold or result.held_partitions for result in every) else DONE


def _looked_over(sources: Sequence[Source], run: Run) -> list[Finding]:
    """Is the archive what it was? What of it was damaged and is whole again."""
    with store.connect() as connection:
        known = {
            tuple(key): size
            for *key, size in connection.execute(
                "select source, feed, sha256, max(bytes) from ledger.audit.source_files"
                " where status in ('loaded', 'unchanged') group by all"
            ).fetchall()
        }
    landing = {
        source.name: local_folder(source.settings.location)
        for source in sources
        if isinstance(source.settings, FilesSource)
        and source.settings.location
        and "://" not in source.settings.location
    }
    return [_of_archive("archive_healed", path) for path in archive.look(known, landing, run.as_of)]


def _of_archive(code: str, path: Path) -> Finding:
    source, feed = path.parent.parent.name, path.parent.name
    return Finding(code, {"path": str(path.relative_to(paths.var()))}, source=source, feed=feed)


def _missing(source: str, feeds: Sequence[str], code: str) -> list[FeedResult]:
    """Feeds nothing was read of; the code says why."""
    return [
        FeedResult(
            source,
            feed,
            "missing",
            code=code,
            values={"source": source, "feed": feed, problems.WITHIN: "feed_not_asked"},
            hold=f"missing, {problems.sentence(code)}",
        )
        for feed in feeds
    ]


def _failed(code: str, source: str, values: problems.Values) -> Finding:
    return Finding(code, values, source=source)


def _fed_by(source: str) -> list[str]:
    """The feeds of a source that were ever loaded: without its layout nothing else tells."""
    with store.connect() as connection:
        return [
            row[0]
            for row in connection.execute(
                "select distinct feed from ledger.audit.source_files where source = ? order by 1",
                [source],
            ).fetchall()
        ]


def _say(run: Run, results: Mapping[str, Sequence[FeedResult]]) -> None:
    kept = [entry for entry in run.read("feeds.json", []) if entry["source"] not in results]
    run.write(
        "feeds.json",
        [*kept, *(result.as_document() for some in results.values() for result in some)],
    )


def _retention(sources: Sequence[Source], *, really: bool) -> int:
    """Say which archived files are past their days, and let them go when told to."""
    default = settings.read(Archive, "archive").keep_days
    days = {
        source.name: source.settings.keep_days or default
        for source in sources
        if source.settings.keeps_originals
    }
    none = [source.name for source in sources if not source.settings.keeps_originals]
    with store.connect() as connection:
        found = {
            name: archive.past(connection, name, keep)
            for name, keep in days.items()
            if keep is not None
        }
    found |= {name: archive.every(name) for name in none}
    for name in [*days, *none]:
        files, keep = found.get(name, []), days.get(name)
        size = sum(file.lstat().st_size for file in files) / 1e6
        many = f"{len(files):,} files"
        old = f"{many} older than {keep} days, {size:,.1f} MB"
        if name in none:
            old = f"keep_originals = false, {many} of before, {size:,.1f} MB"
        elif keep is None:
            old = "keep_days is not set, everything is kept"
        print(f"{name}: {old}")
        for file in files:
            print(f"  {file.relative_to(archive.folder())}")
            if really:
                archive.let_go(file)
    memories = archive.past_memories(default) if default is not None else []
    if default is not None:
        print(
            f"nights: {len(memories):,} older than {default} days keep what the ledger knew of"
            " people then, for replay"
        )
    for folder in memories:
        print(f"  {folder.relative_to(paths.var())}")
        if really:
            shutil.rmtree(folder)
    if any(found.values()) or memories:
        print(
            "deleted"
            if really
            else 'nothing was deleted; "python -m ingestion retention --really" does it'
        )
    return DONE


def _check(sources: Sequence[Source], wrong: Mapping[str, str]) -> int:
    """One line per source: does it let us in, and which of its feeds are there. Lands nothing,
    writes nothing.
    """
    good = not wrong
    try:
        settings.read(Archive, "archive")
        if none := [one.name for one in sources if not one.settings.keeps_originals]:
            print(
                f"archive: no original file of {', '.join(none)} is kept: a warehouse that is lost"
                " waits for them to come again, and no night can be lived again"
            )
    except settings.SettingsError as error:
        good = False
        print(f"archive: not usable: {error}")
    for name, why in wrong.items():
        print(f"{name}: not usable: {why}")
    for source in sources:
        try:
            tolerances(source)
            look = reader_of(source).look(source.name, source.settings, source.layout)
        except settings.SettingsError as error:
            look = Look(f"not usable: {error}", good=False)
        except (SourceUnreachableError, SftpError) as error:
            look = Look(f"not reached: {error}", good=False)
        except (
            Exception
        ) as error:  # one source's surprise is not the others', and its text may quote a secret
            look = Look(
                f"not usable: it failed in a way nobody expected ({type(error).__name__}); check"
                f" [sources.{source.name}]",
                good=False,
            )
        print(f"{source.name}: {look.line}")
        good = good and look.good
    return DONE if good else PARTLY


if __name__ == "__main__":
    sys.exit(main())
