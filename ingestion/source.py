"""One source, from fetch to land: what the verb does for each `[sources.<name>]`.

In: the settings of a source, the run. Out: raw tables last good or newer, one `FeedResult` per feed, findings, rows in
`audit.source_files`. A feed that is refused or missing leaves its table exactly as it was, and the others go on. A
table that is gone (the warehouse was deleted) is landed again from the archive when tonight brings nothing better.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from common import findings, log, paths, store
from common.findings import Finding
from common.runs import Run
from ingestion import archive, fetch, land, layout, rest, sql
from ingestion.layout import Feed, Layout, LayoutError
from ingestion.model import Fetch, Fetched, LastGood, Problem, Refused, SourceUnreachable, Trusted
from ingestion.trust import Rules, check

MINIMUM_SHARE = 0.5


@dataclass(frozen=True)
class Source:
    """A system we read: its name, its settings, its feeds."""

    name: str
    settings: Mapping[str, Any]
    layout: Layout


@dataclass(frozen=True)
class FeedResult:
    """What became of one feed tonight; one entry of `feeds.json`. Status: loaded, unchanged, refused or missing.

    The numbers are those of `file`: of tonight's when it was loaded, of the one that stays when nothing changed.
    """

    source: str
    feed: str
    status: str
    rows_in: int = 0
    landed: int = 0
    rejected: int = 0
    file: str = ""
    sha256: str = ""
    bytes: int = 0
    encoding: str = ""
    message: str = ""

    @property
    def is_good(self) -> bool:
        return self.status in {"loaded", "unchanged"}


@dataclass(frozen=True)
class Unchanged:
    """The very file that is landed already."""

    file: Fetched
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class NotLanded:
    """A feed that does not come through: refused or missing, why, and what to do."""

    status: str
    kind: str
    problem: str
    action: str
    file: Fetched | None = None
    line: int | None = None


Outcome = Trusted | Unchanged | NotLanded


def source_of(name: str, settings: Mapping[str, Any]) -> Source:
    """A source by its settings. Raises LayoutError for kinds and layouts we do not know."""
    kind = settings.get("kind")
    if kind == "files":
        return Source(name, settings, layout.of_district(layout.load(str(settings.get("layout", name))), settings))
    if kind == "sql":
        return Source(name, settings, layout.from_tables(name, settings.get("tables", {})))
    if kind == "rest":
        return Source(name, settings, layout.from_tables(name, settings.get("resources", {}), "rest"))
    raise LayoutError(f"source {name} has kind {kind!r}; known kinds are files, sql and rest; mend [sources.{name}] in .dlt/config.toml")


def ingest(source: Source, run: Run, accept_smaller: Collection[str] = ()) -> list[FeedResult]:
    """Read one source into its raw tables. Raises only what nobody expected: a bad feed is a result, not an error."""
    at = datetime.now(UTC)
    feeds = source.layout.feeds
    fetched = _fetch(source)
    with store.connect() as connection:
        last = {feed.name: land.last_good(connection, source.name, feed) for feed in feeds}
        land.prepare(connection, source.name, (*feeds, *source.layout.tables))
    outcomes = {feed.name: _judge(source, feed, fetched.feeds[feed.name], last[feed.name], feed.name in accept_smaller) for feed in feeds}
    trusted = [outcome for outcome in outcomes.values() if isinstance(outcome, Trusted)]
    restored = [file for feed in feeds if isinstance(outcomes[feed.name], NotLanded) and (file := _from_archive(source, feed, last[feed.name]))]
    for file in trusted:
        archive.store(source.name, file.feed.name, file.file.path, file.file.sha256)
    _land(source, [*trusted, *restored], at)

    brought_back = {file.feed.name for file in restored}
    results = [_result(source, feed, outcomes[feed.name], last[feed.name], feed.name in brought_back) for feed in feeds]
    with store.connect() as connection:
        for result, feed in zip(results, feeds, strict=True):
            _remember(connection, run, result, fetched.feeds[feed.name], at)
    findings.record(run, [*fetched.findings, *_notes(source, outcomes, results, last, accept_smaller)])
    for result in results:
        log.event(f"feed_{result.status}", source=source.name, feed=result.feed, rows_in=result.rows_in, landed=result.landed, rejected=result.rejected)
    shutil.rmtree(paths.var() / "inbox" / ".fetched" / source.name, ignore_errors=True)
    return results


def _fetch(source: Source) -> Fetch:
    readers = {"files": fetch.fetch, "sql": sql.fetch, "rest": rest.fetch}
    try:
        return readers[source.settings["kind"]](source.name, source.settings, source.layout)
    except SourceUnreachable as error:
        return Fetch({feed.name: Problem("unreachable", str(error)) for feed in source.layout.feeds})


def _judge(source: Source, feed: Feed, file: Fetched | Problem, last: LastGood, accept_smaller: bool) -> Outcome:
    """Is it there, is it new, may it replace what is landed?"""
    if isinstance(file, Problem):
        status = "refused" if file.kind in {"unstable", "archive"} else "missing"
        action = "" if file.kind == "unreachable" else "check the extract job and its transfer, then run ingestion again"
        return NotLanded(status, f"feed_{file.kind}", file.message, action)
    if _is_landed(feed, file, last):
        return Unchanged(file, _stale(source, feed, file, last))
    share = feed.minimum_share if feed.minimum_share is not None else float(source.settings.get("minimum_share", MINIMUM_SHARE))
    try:
        if source.settings["kind"] == "files":
            _refuse_older(file, last)
        return check(source.name, feed, file, Rules(last, share, accept_smaller), file.path.with_suffix(".clean"))
    except Refused as refused:
        return NotLanded("refused", refused.kind, refused.problem, refused.action, file, refused.line)


def _is_landed(feed: Feed, file: Fetched, last: LastGood) -> bool:
    """Both memories must say so: the ledger writes last, so a load that was killed half-way is done again."""
    columns = set(feed.landed) | set(land.PROVENANCE)
    return last.sha256 == file.sha256 and last.tag.endswith(f"#{file.sha256[:12]}") and set(last.columns) == columns


def _refuse_older(file: Fetched, last: LastGood) -> None:
    """An earlier night's file, put back by a restore or a stuck job, must not undo what came since."""
    if file.sha256 in last.earlier and file.modified_at.timestamp() <= last.modified_at:
        problem = f"{file.name} is a file that was loaded before the last one, and not newer than it (modified {file.modified_at:%Y-%m-%d %H:%M} UTC)"
        raise Refused("repeated", problem, "find out why an old file came again, and have today's sent")


def _stale(source: Source, feed: Feed, file: Fetched, last: LastGood) -> tuple[Finding, ...]:
    days = int((datetime.now(UTC).timestamp() - last.loaded_epoch) // 86400) if last.loaded_epoch else 0
    if feed.stale_after_days is None or days < feed.stale_after_days:
        return ()
    return (
        Finding(
            "warning",
            "feed_stale",
            f"{source.name} {feed.name}: {file.name} has been the same for {days} days; it is expected to change within {feed.stale_after_days}",
            source=source.name,
            feed=feed.name,
            file=file.name,
            owner=source.layout.owner,
            action="check whether the extract job still runs",
        ),
    )


def _from_archive(source: Source, feed: Feed, last: LastGood) -> Trusted | None:
    """The last good file, when its table is gone and the ledger remembers it."""
    if last.rows or not last.sha256:
        return None
    path = paths.var() / "inbox" / ".fetched" / source.name / f"{feed.name}.archived"
    try:
        archive.restore(source.name, feed.name, last.sha256, path)
        file = Fetched(last.file, path, last.sha256, path.stat().st_size, datetime.fromtimestamp(last.modified_at, UTC))
        return check(source.name, feed, file, Rules(minimum_share=0.0), path.with_suffix(".clean"))
    except (archive.ArchiveDamaged, Refused) as error:
        log.event("restore_failed", source=source.name, feed=feed.name, why=type(error).__name__)
        return None


def _land(source: Source, files: list[Trusted], at: datetime) -> None:
    if not files:
        return
    with store.connect() as connection:
        kept = land.rejects_of(connection, source.name, without=[file.feed.name for file in files])
    land.land(source.name, files, kept, at)
    with store.connect() as connection:
        land.confirm(connection, source.name, files)


def _result(source: Source, feed: Feed, outcome: Outcome, last: LastGood, restored: bool) -> FeedResult:
    if isinstance(outcome, NotLanded):
        facts = _facts(outcome.file) if outcome.file else {}
        return FeedResult(source.name, feed.name, outcome.status, message=_sentence(source, feed, outcome, last, restored), **facts)
    if isinstance(outcome, Unchanged):
        message = f"the same file as on {last.loaded_at}: {last.rows:,} rows stay"
        rows = {"rows_in": last.was + last.was_rejected, "landed": last.was, "rejected": last.was_rejected}
        return FeedResult(source.name, feed.name, "unchanged", message=message, **rows, **_facts(outcome.file))
    rejected = len(outcome.rejects)
    return FeedResult(
        source.name,
        feed.name,
        "loaded",
        rows_in=outcome.rows_in,
        landed=outcome.good,
        rejected=rejected,
        encoding=outcome.encoding,
        message=f"{rejected:,} of {outcome.rows_in:,} rows rejected" if rejected else "",
        **_facts(outcome.file),
    )


def _facts(file: Fetched) -> dict[str, Any]:
    return {"file": file.name, "sha256": file.sha256, "bytes": file.size}


def _sentence(source: Source, feed: Feed, outcome: NotLanded, last: LastGood, restored: bool) -> str:
    """One sentence: what is wrong, what becomes of the rest, what to do."""
    if last.rows:
        stays = f"its {last.rows:,} rows of {last.loaded_at} stay as they are"
    elif restored:
        stays = f"its {last.was:,} rows of the last good load were landed again from the archive"
    else:
        stays = "it was never loaded, so its table is empty"
    verb = "refused" if outcome.status == "refused" else "missing"
    parts = [f"{source.name} {feed.name} {verb}: {outcome.problem}", f"{stays}, the other feeds go on", outcome.action]
    return "; ".join(part for part in parts if part)


def _notes(
    source: Source, outcomes: Mapping[str, Outcome], results: list[FeedResult], last: Mapping[str, LastGood], accepted: Collection[str]
) -> list[Finding]:
    notes: list[Finding] = []
    for result in results:
        outcome = outcomes[result.feed]
        if not isinstance(outcome, NotLanded):
            notes += outcome.findings
        elif outcome.kind != "feed_unreachable":
            notes.append(_critical(source, result, outcome))
        if isinstance(outcome, Trusted) and result.feed in accepted:
            notes.append(_accepted(source, result, last[result.feed]))
    unreachable = [result for result in results if isinstance(bad := outcomes[result.feed], NotLanded) and bad.kind == "feed_unreachable"]
    if unreachable:
        # One cause, one finding: the feeds' own sentences stand in feeds.json.
        reason = outcomes[unreachable[0].feed]
        problem = reason.problem if isinstance(reason, NotLanded) else ""
        message = f"{source.name} could not be read, so all its {len(unreachable)} feeds are missing: {problem}; what was landed before stays"
        notes.append(
            Finding("critical", "source_unreachable", message, source=source.name, owner=source.layout.owner, action="make it reachable, then run again")
        )
    return notes


def _critical(source: Source, result: FeedResult, outcome: NotLanded) -> Finding:
    return Finding(
        "critical",
        outcome.kind if outcome.kind.startswith("feed_") else f"feed_{outcome.kind}",
        result.message,
        source=source.name,
        feed=result.feed,
        file=result.file,
        line=outcome.line,
        owner=source.layout.owner,
        action=outcome.action,
    )


def _accepted(source: Source, result: FeedResult, last: LastGood) -> Finding:
    return Finding(
        "info",
        "smaller_accepted",
        f"{source.name} {result.feed}: {result.landed:,} rows replaced {last.rows or last.was:,} because a person said the drop is real (--accept-smaller)",
        source=source.name,
        feed=result.feed,
        file=result.file,
    )


def _remember(connection: Any, run: Run, result: FeedResult, file: Fetched | Problem, at: datetime) -> None:
    """One row of `audit.source_files` per feed and run."""
    archived = archive.path_of(source=result.source, feed=result.feed, sha256=result.sha256)
    row = asdict(result) | {
        "run_id": run.run_id,
        "modified_at": file.modified_at if isinstance(file, Fetched) else None,
        "read_at": at,
        "archived_as": str(archived.relative_to(paths.var())) if result.is_good else None,
    }
    names = ", ".join(row)
    connection.execute(f"insert into ledger.audit.source_files ({names}) values ({', '.join('?' for _ in row)})", list(row.values()))
