"""One source, from fetch to land: what the verb does for each `[sources.<name>]`.

In: the settings of a source, the run. Out: raw tables last good or newer, one `FeedResult` per
feed, findings, rows in `audit.source_files`. A feed that is refused or missing leaves its table
exactly as it was, and the others go on. A table that is gone (the warehouse was deleted) is landed
again from the archive when tonight brings nothing better.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from importlib import import_module
from typing import Any

import pyarrow as pa

from common import findings, log, paths, problems, settings, store
from common.findings import Finding
from common.runs import Run
from ingestion import archive, land, layout, past, people, unread
from ingestion.configured import KINDS, FilesSource, OneRosterSource, SourceSettings, SqlSource
from ingestion.layout import Feed, Layout, LayoutError, Reference
from ingestion.model import (
    Fetch,
    Fetched,
    LastGood,
    Problem,
    RefusedError,
    SourceUnreachableError,
    Trusted,
)
from ingestion.tolerance import Tolerance, closed_days, nights, tolerance
from ingestion.trust import Rules, check, check_references, keys_of, of_nothing

# what the catalogue calls a file that is not there, one without a row, a source that is silent
NOT_THERE = {
    "feed_missing",
    "feed_in_archive",
    "feed_file_unreadable",
    "feed_table_missing",
    "feed_resource_missing",
    "feed_list_missing",
}
EMPTY = {
    "feed_empty",
    "feed_without_rows",
    "feed_heading_only",
    "feed_blank",
    "feed_without_sheets",
}
SHRUNK = {"feed_collapsed", "feed_schools_collapsed"}
NONE: AbstractSet[str] = frozenset()
NOTHING: Mapping[str, AbstractSet[str]] = {}
UNREACHABLE = "feed_unreachable"
SAID_ONCE = {UNREACHABLE, "feed_in_archive"}  # one cause, one finding for all its feeds
READERS = {
    "files": "ingestion.fetch",
    "sql": "ingestion.sql",
    "rest": "ingestion.rest",
    "oneroster": "ingestion.oneroster",
    "dlt": "ingestion.dlt",
}


@dataclass(frozen=True)
class Source:
    """A system we read: its name, its settings, its feeds."""

    name: str
    settings: SourceSettings
    layout: Layout
    whole: bool = True  # false: some of its feeds alone are read

    def only(self, feeds: Collection[str]) -> Source:
        """The same, of which these feeds alone are read. Raises LayoutError."""
        known = {feed.name: feed for feed in self.layout.feeds}
        if strange := [name for name in feeds if name not in known]:
            raise LayoutError(
                f"source {self.name} has no feed {strange[0]};"
                f" {settings.nearest(strange[0], known)}"
            )
        chosen = tuple(feed for name, feed in known.items() if name in feeds)
        return replace(self, layout=replace(self.layout, feeds=chosen), whole=False)


@dataclass(frozen=True)
class FeedResult:
    """What became of one feed tonight; one entry of `feeds.json`. Status: loaded, unchanged,
    refused, missing or absent.

    The numbers are those of `file`: of tonight's when it was loaded, of the one that stays when
    nothing changed.
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
    code: str = ""  # what the catalogue has to say about it, '' for nothing
    values: problems.Values = field(default_factory=dict)
    age_days: int = 0  # school nights since what is in force was new
    hold: str = ""  # why what rests on this feed must wait; '' when what is in force is good enough
    held_partitions: tuple[
        str, ...
    ] = ()  # schools whose rows collapsed: their changes wait, the others go on

    @property
    def message(self) -> str:
        """What a person reads about it; of what is wrong also what to do."""
        if not self.code:
            return ""
        said = problems.sentence(self.code, self.values)
        action = "" if self.is_good else problems.action(self.code, self.values)
        return "; ".join(part for part in (said, action) if part)

    def as_document(self) -> dict[str, Any]:
        """Its entry of `feeds.json`."""
        return {**asdict(self), "message": self.message}

    @property
    def is_good(self) -> bool:
        return self.status in {"loaded", "unchanged", "absent", "resting"}


@dataclass(frozen=True)
class Unchanged:
    """The very file that is landed already."""

    file: Fetched


@dataclass(frozen=True)
class NotLanded:
    """A feed that does not come through: refused, missing, or absent because the source has none of
    it; why, what to do.
    """

    status: str
    code: str
    values: problems.Values
    file: Fetched | None = None
    line: int | None = None


Outcome = Trusted | Unchanged | NotLanded


def source_of(name: str, written: Mapping[str, Any]) -> Source:
    """A source by its table of the settings. Raises LayoutError for kinds and layouts we do not
    know, and with all that is wrong in the table.
    """
    kind = written.get("kind") if isinstance(written, Mapping) else None
    if kind not in KINDS:
        raise LayoutError(
            f"source {name} has kind {kind!r}; known kinds are {', '.join(READERS)}; mend"
            f" [sources.{name}] in .dlt/config.toml"
        )
    # who is read another way for a while keeps the tables of before
    other = {"tables", "resources"} - KINDS[kind].model_fields.keys()
    given = {key: value for key, value in written.items() if key not in other}
    said = settings.parse(KINDS[kind], given, ("sources", name), error=LayoutError)
    found = layout.within(_layout(name, said), said.limits)
    return Source(
        name, said, found if said.land_unread else unread.less(name, found, cursors(said))
    )


def cursors(said: SourceSettings) -> set[str]:
    """The columns a reader itself needs: those it reads changes by."""
    if isinstance(said, OneRosterSource):
        return {"date_last_modified"}
    tables = {**getattr(said, "tables", {}), **getattr(said, "resources", {})}
    return {layout.raw_name(one.cursor) for one in tables.values() if one.cursor}


def _layout(name: str, said: SourceSettings) -> Layout:
    if isinstance(said, FilesSource):
        return layout.of_district(
            layout.load(said.layout or name),
            feeds=said.feeds,
            files=said.files,
            aliases=said.aliases,
            archives=said.archives,
            delimiters=said.delimiters,
            leave_empty=said.leave_empty,
            check_digits=said.check_digits,
            date_format=said.date_format,
            flags=said.flags,
        )
    if isinstance(said, OneRosterSource):
        return import_module(READERS[said.kind]).layout_of(said)
    tables = said.tables if isinstance(said, SqlSource) else said.resources
    return layout.from_tables(name, tables, said.kind, said.flags)


def ingest(
    source: Source, run: Run, accepted: Mapping[str, AbstractSet[str]] = NOTHING
) -> list[FeedResult]:
    """Read one source into its raw tables; `accepted` says of which feed a person accepts what.
    Raises only what nobody expected: a bad feed is a result, not an error.
    """
    at = datetime.now(UTC)
    feeds = source.layout.feeds
    fetched = _fetch(source)
    with store.connect() as connection:
        last = {feed.name: land.last_good(connection, source.name, feed) for feed in feeds}
        land.prepare(connection, source.name, (*feeds, *source.layout.tables))
    limits = {
        name: limit.accepting(accepted.get(name, NONE))
        for name, limit in tolerances(source).items()
    }
    outcomes: dict[str, Outcome] = {}
    for feed in feeds:
        rules = Rules(
            last[feed.name],
            limits[feed.name],
            "smaller" in accepted.get(feed.name, NONE),
            frozenset(accepted.get(feed.name, NONE)),
            run.as_of,
            _landed_keys(source, feed),
            _landed_columns(source, feed, last[feed.name]),
        )
        outcomes[feed.name] = _judge(source, feed, fetched.feeds[feed.name], rules)
    _judge_references(source, outcomes, limits, run.as_of)
    trusted = [outcome for outcome in outcomes.values() if isinstance(outcome, Trusted)]
    restored = [
        file
        for feed in feeds
        if isinstance(outcomes[feed.name], NotLanded)
        and (file := _brought_back(source, feed, last[feed.name]))
    ]
    parents = {**outcomes, **{file.feed.name: file for file in restored}}
    anything = Tolerance(orphan_share=1.0)  # it was good when it came
    restored = [_with_references(source, file, parents, anything) for file in restored]
    healed = _archived(source, outcomes)
    land_all(source, [*trusted, *restored], run, at)

    brought_back = {file.feed.name for file in restored}
    results = [
        _result(source, feed, outcomes[feed.name], last[feed.name], feed.name in brought_back)
        for feed in feeds
    ]
    results = [
        _aged(
            result,
            outcomes[result.feed],
            last[result.feed],
            limits[result.feed],
            as_of=run.as_of,
            back=result.feed in brought_back,
        )
        for result in results
    ]
    with store.connect() as connection:
        connection.execute("begin")
        for result, feed in zip(results, feeds, strict=True):
            _remember(
                connection,
                run,
                result,
                outcomes[feed.name],
                fetched.feeds[feed.name],
                at=at,
                accepted=bool(accepted.get(feed.name)),
                live=source.settings.kind != "files",
                kept=source.settings.keeps_originals,
            )
        connection.execute("commit")
        standing = [
            note
            for name, outcome in outcomes.items()
            if not isinstance(outcome, Trusted) and last[name].run_id
            for note in past.standing(connection, source.name, name, last[name])
        ]
    notes = [
        # of the files of the feeds that were not asked for nobody says that they are nobody's
        *(one for one in fetched.findings if source.whole or one.code != "unmatched_file"),
        *standing,
        *healed,
        *_notes(source, outcomes, results, last, accepted),
        *_stale(source, results, outcomes, last, limits),
    ]
    findings.record(run, [replace(note, owner=note.owner or source.layout.owner) for note in notes])
    for result in results:
        log.event(
            f"feed_{result.status}",
            source=source.name,
            feed=result.feed,
            rows_in=result.rows_in,
            landed=result.landed,
            rejected=result.rejected,
        )
    shutil.rmtree(paths.var() / "inbox" / ".fetched" / source.name, ignore_errors=True)
    return results


def _archived(source: Source, outcomes: Mapping[str, Outcome]) -> list[Finding]:
    """Keep the bytes of tonight's files, those in force already too: their copy may be damaged; of
    a source whose originals are not kept, none.
    """
    if not source.settings.keeps_originals:
        return []
    return [
        Finding(
            "archive_healed",
            {"path": str(archive.path_of(source.name, name, file.sha256).relative_to(paths.var()))},
            source=source.name,
            feed=name,
        )
        for name, outcome in outcomes.items()
        if isinstance(outcome, Trusted | Unchanged)
        for file in [outcome.file]
        if archive.keep(
            source.name, name, file.path, file.sha256, there=isinstance(outcome, Unchanged)
        )
    ]


def tolerances(source: Source) -> dict[str, Tolerance]:
    """The thresholds of every feed. Raises SettingsError."""
    trust, is_file = settings.read(Tolerance, "trust"), source.settings.kind == "files"
    closed = closed_days(paths.project() / "seeds" / "closed_days.csv", source.name)
    return {
        feed.name: tolerance(trust, source.settings, feed, is_file=is_file).resting_on(closed)
        for feed in source.layout.feeds
    }


def reader_of(source: Source) -> Any:
    """The module that reads this kind of source, with `fetch` and `look`; the others are not even
    loaded.
    """
    return import_module(READERS[source.settings.kind])


def _fetch(source: Source) -> Fetch:
    try:
        return reader_of(source).fetch(source.name, source.settings, source.layout)
    except SourceUnreachableError as error:
        return Fetch(
            {feed.name: Problem(UNREACHABLE, {"why": str(error)}) for feed in source.layout.feeds}
        )


def _judge(source: Source, feed: Feed, file: Fetched | Problem, rules: Rules) -> Outcome:
    """Is it there, is it new, may it replace what is landed?"""
    never_sent = feed.optional and not (rules.last.rows or rules.last.sha256)
    if isinstance(file, Problem):
        status = "missing" if file.code in {*NOT_THERE, UNREACHABLE} else "refused"
        if never_sent and file.code in NOT_THERE:
            status = "absent"
        return NotLanded(status, file.code, file.values)
    if _is_landed(feed, file, rules.last) and not (
        rules.accept_smaller and rules.last.held_partitions
    ):
        return Unchanged(file)
    clean, quiet = file.path.with_suffix(".clean"), rules.tolerance.is_quiet(rules.as_of)
    try:
        if source.settings.kind == "files" and "older" not in rules.accept:
            _refuse_older(file, rules.last)
        found = check(source.name, feed, file, rules, clean)
        if found.held_partitions and _is_resting(feed, rules.tolerance, rules.as_of):
            said = str(RefusedError("feed_lists_half_made", {"file": file.name}))
            return NotLanded("resting", "feed_resting", {"said": said}, file)
        return found
    except RefusedError as refused:
        empty = refused.code in EMPTY
        # a file of nothing is the answer where nothing is one, and where somebody said so
        if empty and ("empty" in rules.accept or (quiet and feed.empty_after_closed_days)):
            return of_nothing(feed, file, clean)
        if never_sent and refused.code in EMPTY:
            return NotLanded("absent", refused.code, refused.values, file)
        if refused.code in EMPTY | SHRUNK and _is_resting(feed, rules.tolerance, rules.as_of):
            return NotLanded("resting", "feed_resting", {"said": str(refused)}, file)
        return NotLanded("refused", refused.code, refused.values, file, refused.line)


def _is_resting(feed: Feed, limit: Tolerance, day: date) -> bool:
    """Whether a list may be empty, or half made, between school years."""
    return feed.may_be_empty and limit.is_summer(day)


def _is_landed(feed: Feed, file: Fetched, last: LastGood) -> bool:
    """Both memories must say so: the ledger writes last, so a load that was killed half-way is done
    again.
    """
    columns = set(feed.landed) | set(land.PROVENANCE)
    return (
        last.sha256 == file.sha256
        # a table without a row cannot say what it was read from
        and (last.tag.endswith(f"#{file.sha256[:12]}") or not (last.rows or last.was))
        and set(last.columns) == columns
        and last.read_as == land.read_as(feed)
    )


def _refuse_older(file: Fetched, last: LastGood) -> None:
    """An earlier night's file, put back by a restore or a stuck job, must not undo what
    came since.
    """
    if file.sha256 in last.earlier and file.modified_at.timestamp() <= last.modified_at:
        raise RefusedError(
            "feed_repeated", {"file": file.name, "modified": f"{file.modified_at:%Y-%m-%d %H:%M}"}
        )


def _landed_keys(source: Source, feed: Feed) -> Callable[[Collection[str]], Collection[str]]:
    """Asks the warehouse, when it is asked itself, which of some keys the feed holds already."""

    def known(keys: Collection[str]) -> Collection[str]:
        with store.connect(read_only=True) as connection:
            return land.known_keys(connection, source.name, feed.name, feed.report_key, keys)[
                "value"
            ].to_pylist()

    return known


def _landed_columns(source: Source, feed: Feed, last: LastGood) -> people.Landed:
    """Some columns of the rows the feed holds already, read when they are asked for; of a table
    that is gone, what was in force of it.
    """
    if not last.rows and last.loads:
        return past.landed(source.name, feed, last.loads)

    def landed(names: Sequence[str]) -> pa.Table:
        with store.connect(read_only=True) as connection:
            return land.landed(connection, source.name, feed.name, names)

    return landed


def _judge_references(
    source: Source, outcomes: dict[str, Outcome], limits: Mapping[str, Tolerance], day: date
) -> None:
    """Refuse feeds whose rows point nowhere. What counts as there: the parent's rows of tonight and
    of its last good load.
    """

    for name, child in list(outcomes.items()):
        if isinstance(child, Trusted) and child.feed.references:
            try:
                outcomes[name] = _with_references(source, child, outcomes, limits[name])
            except RefusedError as refused:
                outcomes[name] = (
                    NotLanded("resting", "feed_resting", {"said": str(refused)}, child.file)
                    if _is_resting(child.feed, limits[name], day)
                    else NotLanded(
                        "refused", refused.code, refused.values, child.file, refused.line
                    )
                )


def _with_references(
    source: Source, child: Trusted, parents: Mapping[str, object], limit: Tolerance
) -> Trusted:
    """A file whose references were looked up. Raises RefusedError when too many point nowhere."""

    def known(reference: Reference) -> tuple[pa.Table, pa.Table]:
        with store.connect(read_only=True) as connection:
            before = land.known_keys(
                connection, source.name, reference.feed, reference.parent_column
            )
        parent = parents.get(reference.feed)
        if not isinstance(parent, Trusted):
            return before, before
        tonight = keys_of(parent, reference.parent_column)
        return pa.concat_tables([before, tonight]), tonight

    return check_references(source.name, child, known, limit)


def _aged(
    result: FeedResult,
    outcome: Outcome,
    last: LastGood,
    limit: Tolerance,
    *,
    as_of: date,
    back: bool,
) -> FeedResult:
    """How old is what is in force, and is that too old to write from?"""
    if isinstance(outcome, Trusted):
        age = (
            limit.school_nights(outcome.content_on, as_of)
            if limit.stale_after_days is not None
            else 0
        )
        too_old = (
            outcome.content_named
            and limit.hold_after_days is not None
            and age >= limit.hold_after_days
        )
        hold = f"its content is {nights(age)} old, limit {limit.hold_after_days}" if too_old else ""
        return replace(result, age_days=age, hold=hold, held_partitions=outcome.held_partitions)
    if result.status == "absent":  # never sent: nothing of it is in force, and nothing waits for it
        return result
    if result.status == "resting":
        return replace(result, held_partitions=last.held_partitions)
    watched = limit.stale_after_days is not None
    age = limit.school_nights(last.changed_on if watched else last.met_on, as_of)
    if isinstance(outcome, Unchanged):
        age = age if watched else 0
        too_old = limit.hold_after_days is not None and age >= limit.hold_after_days
        hold = f"the same file for {nights(age)}, limit {limit.hold_after_days}" if too_old else ""
        return replace(result, age_days=age, hold=hold, held_partitions=last.held_partitions)
    if not last.rows and not back:
        hold = f"{result.status}, and nothing of it is landed"
    elif not limit.last_good_days:
        hold = f"{result.status}, and an older one will not do"
    else:
        hold = (
            f"{result.status}, what is in force is {nights(age)} old, limit {limit.last_good_days}"
            if age > limit.last_good_days
            else ""
        )
    return replace(result, age_days=age, hold=hold, held_partitions=last.held_partitions)


def _stale(
    source: Source,
    results: Collection[FeedResult],
    outcomes: Mapping[str, Outcome],
    last: Mapping[str, LastGood],
    limits: Mapping[str, Tolerance],
) -> list[Finding]:
    """The same bytes for too long, and schools that are still held although nothing changed."""
    notes: list[Finding] = []
    for result in results:
        limit, outcome = limits[result.feed], outcomes[result.feed]
        if (
            isinstance(outcome, Unchanged)
            and limit.stale_after_days is not None
            and result.age_days >= limit.stale_after_days
        ):
            notes.append(
                Finding(
                    "feed_stale_held" if result.hold else "feed_stale",
                    {"age": nights(result.age_days), "most": nights(limit.stale_after_days)},
                    source=source.name,
                    feed=result.feed,
                    file=result.file,
                )
            )
        if not isinstance(outcome, Trusted):
            notes += [
                _still_held(source, result, school, last[result.feed].schools.get(school, 0))
                for school in result.held_partitions
            ]
    return notes


def _still_held(source: Source, result: FeedResult, school: str, before: int) -> Finding:
    return Finding(
        "school_still_held",
        {"before": before},
        source=source.name,
        feed=result.feed,
        school_number=school,
    )


def _brought_back(source: Source, feed: Feed, last: LastGood) -> Trusted | None:
    """The last good file, when its table is gone and the ledger remembers it."""
    return None if last.rows else past.in_force(source.name, feed, last.loads)


def land_all(source: Source, files: list[Trusted], run: Run, at: datetime) -> None:
    """Replace the tables of these feeds, all or none."""
    if files:
        began = time.monotonic()
        with store.connect() as connection:
            land.land(connection, source.name, files, run=run, at=at, owner=source.layout.owner)
        log.event(
            "source_landed",
            source=source.name,
            feeds=len(files),
            rows=sum(file.good for file in files),
            seconds=time.monotonic() - began,
        )


def _result(
    source: Source, feed: Feed, outcome: Outcome, last: LastGood, restored: bool
) -> FeedResult:
    if isinstance(outcome, NotLanded):
        return FeedResult(
            source.name,
            feed.name,
            outcome.status,
            code=outcome.code,
            values=_values(source, feed, outcome, last, restored),
            **(_facts(outcome.file) if outcome.file else {}),
        )
    if isinstance(outcome, Unchanged):
        return FeedResult(
            source.name,
            feed.name,
            "unchanged",
            rows_in=last.was + last.was_rejected,
            landed=last.was,
            rejected=last.was_rejected,
            code="feed_unchanged",
            values={"loaded_on": last.loaded_at, "rows": last.rows},
            **_facts(outcome.file),
        )
    rejected = len(outcome.rejects)
    return FeedResult(
        source.name,
        feed.name,
        "loaded",
        rows_in=outcome.rows_in,
        landed=outcome.good,
        rejected=rejected,
        encoding=outcome.encoding,
        code="feed_loaded_in_part" if rejected else "",
        values={"rejected": rejected, "rows": outcome.rows_in} if rejected else {},
        **_facts(outcome.file),
    )


def _facts(file: Fetched) -> dict[str, Any]:
    return {"file": file.name, "sha256": file.sha256, "bytes": file.size}


def _values(
    source: Source, feed: Feed, outcome: NotLanded, last: LastGood, restored: bool
) -> problems.Values:
    """What stands in its sentence, and in the one around it: what becomes of the rest."""
    around = "feed_restored" if restored else "feed_never_loaded"
    return {
        **outcome.values,
        "source": source.name,
        "feed": feed.name,
        "status": outcome.status,
        "kept": last.rows or last.was,
        "loaded_on": last.loaded_at,
        problems.WITHIN: "feed_keeps_rows" if last.rows else around,
    }


def _notes(
    source: Source,
    outcomes: Mapping[str, Outcome],
    results: list[FeedResult],
    last: Mapping[str, LastGood],
    accepted: Mapping[str, AbstractSet[str]],
) -> list[Finding]:
    notes: list[Finding] = []
    for result in results:
        outcome = outcomes[result.feed]
        if isinstance(outcome, Trusted):
            notes += outcome.findings
        elif not result.is_good and result.code not in SAID_ONCE:
            notes.append(_critical(source, result, outcome))
        if isinstance(outcome, Trusted) and (words := accepted.get(result.feed)):
            notes.append(_accepted(source, result, last[result.feed], words))
    unreachable = [result for result in results if result.code == UNREACHABLE]
    if unreachable:
        # One cause, one finding: the feeds' own sentences stand in feeds.json.
        notes.append(
            Finding(
                "source_unreachable",
                {"feeds": len(unreachable), "why": unreachable[0].values["why"]},
                source=source.name,
                owner=source.layout.owner,
            )
        )
    return notes


def _critical(source: Source, result: FeedResult, outcome: Outcome) -> Finding:
    return Finding(
        result.code,
        result.values,
        source=source.name,
        feed=result.feed,
        file=result.file,
        line=outcome.line if isinstance(outcome, NotLanded) else None,
        owner=source.layout.owner,
    )


def _accepted(
    source: Source, result: FeedResult, last: LastGood, words: AbstractSet[str]
) -> Finding:
    return Finding(
        "feed_accepted",
        {"rows": result.landed, "before": last.rows or last.was, "words": ", ".join(sorted(words))},
        source=source.name,
        feed=result.feed,
        file=result.file,
    )


def _remember(
    connection: Any,
    run: Run,
    result: FeedResult,
    outcome: Outcome,
    file: Fetched | Problem,
    *,
    at: datetime,
    accepted: bool,
    live: bool,
    kept: bool,
) -> None:
    """One row of `audit.source_files` per feed and run; `schools` is what the next load is measured
    against.
    """
    archived = archive.path_of(source=result.source, feed=result.feed, sha256=result.sha256)
    doubt_since, rejected_keys = (
        land.doubts(connection, result.source, result.feed)
        if result.status == "loaded" or (live and result.status == "unchanged")
        else (None, [])
    )
    row = asdict(result) | {
        "run_id": run.run_id,
        "values": json.dumps(result.values, ensure_ascii=False),
        "as_of": run.as_of,
        "schools": json.dumps(outcome.schools) if isinstance(outcome, Trusted) else None,
        "doubt_since": doubt_since,
        "rejected_keys": json.dumps(rejected_keys) if rejected_keys else None,
        "content_on": outcome.content_on if isinstance(outcome, Trusted) else None,
        "accepted": accepted and result.status == "loaded",
        "is_live": live,
        "modified_at": file.modified_at if isinstance(file, Fetched) else None,
        "read_at": at,
        "archived_as": (
            str(archived.relative_to(paths.var()))
            if kept and result.status in {"loaded", "unchanged"}
            else None
        ),
    }
    row["held_schools"] = json.dumps(row.pop("held_partitions"))
    names = ", ".join(row)
    connection.execute(
        f"insert into ledger.audit.source_files ({names}) values ({', '.join('?' for _ in row)})",
        list(row.values()),
    )
