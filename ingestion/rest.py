"""Read the resources of a REST source through dlt's rest_api: page after page, only the columns the
settings list.

In: `[sources.<name>]` with `base_url`, `auth`, `paginator` and `resources`. Out: per resource a
`Fetched` CSV file (`table.write`), which then goes the way of all files: checked, archived, landed.
A resource with a `cursor` is asked for what changed since and merged by key into the last good
file, as SQL tables are.

What the pages have to prove before their rows are taken stands in `rest_pages`. Neither tokens nor
values enter a message.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

from common import lists, paths
from common.findings import Finding
from ingestion import cursor, rest_pages, rest_session, table
from ingestion.configured import Limits, RestSource
from ingestion.layout import Feed, Layout, plain
from ingestion.model import Fetch, Fetched, Look, Problem, SourceUnreachableError
from ingestion.rest_pages import PageError, Pages, at

BATCH = 20_000


Spread = Callable[[Feed, Mapping[str, Any], bool], Iterable[Mapping[str, Any]]]


def as_it_is(_feed: Feed, item: Mapping[str, Any], _is_change: bool) -> Iterable[Mapping[str, Any]]:
    """One row per object, its values under their own names."""
    return (item,)


def fetch(
    source: str,
    settings: RestSource,
    layout: Layout,
    spread: Spread = as_it_is,
    merge_by: Mapping[str, str] | None = None,
) -> Fetch:
    """Read every resource of the source into a file here. `spread` makes rows of an object: (feed,
    object, whether it is a change); `merge_by` is the column changes of a feed are merged by, where
    it is not its key.
    """
    into = paths.var() / "inbox" / ".fetched" / source
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True, mode=0o700)
    for feed in layout.feeds:
        rest_pages.known(source, rest_pages.of(settings, feed))
    session = rest_session.opened(source, settings, layout.limits)
    try:
        feeds = [_merged(feed, merge_by or {}) for feed in layout.feeds]
        notes: list[Finding] = []
        found = {
            feed.name: _read(source, settings, feed, session, into=into, spread=spread, notes=notes)
            for feed in feeds
        }
        return Fetch(found, tuple(notes))
    finally:
        session.close()


def look(source: str, settings: RestSource, layout: Layout) -> Look:
    """Does the server let us in, and does it have rows? The first page of each resource, for
    `check`.
    """
    session = rest_session.opened(source, settings, layout.limits)
    absent = []
    try:
        for feed in layout.feeds:
            try:
                next(islice(_items(settings, feed, session, None, Pages(settings, feed)), 1), None)
            except Exception as error:
                absent.append(f"{feed.name} ({_told(error, settings.attempts)})")
    finally:
        session.close()
    there = (
        f"{_host(settings)}: {len(layout.feeds) - len(absent)} of {len(layout.feeds)} resources"
        " there"
    )
    return Look(there + (f", not {', '.join(absent)}" if absent else ""), not absent)


def _merged(feed: Feed, by: Mapping[str, str]) -> Feed:
    return replace(feed, key=(by[feed.name],)) if feed.name in by else feed


def _read(
    source: str,
    settings: RestSource,
    feed: Feed,
    session: Any,
    *,
    into: Path,
    spread: Spread,
    notes: list[Finding],
) -> Fetched | Problem:
    facts = settings.resources[feed.name]
    headings = [column.heading for column in feed.read]
    since, by = None, ""
    if facts.cursor:
        by = next(heading for heading in headings if plain(heading) == plain(facts.cursor))
        days = facts.full_every_days
        since = cursor.since(
            source, feed, by, headings, full_every_days=days, into=into, notes=notes
        )
    pages = Pages(settings, feed, since is not None)

    def read_through() -> Rows:
        rows = Rows(headings, into / f"{feed.name}.rows", feed.limits)
        taken = 0
        for item in _items(settings, feed, session, since, pages):
            taken += 1
            for row in spread(feed, item, since is not None):
                rows.add(row)
        pages.complete(taken)
        return rows

    try:
        try:
            rows = read_through()
        except Exception as error:
            # a next page the server no longer knows: the list once more, from its beginning
            if not pages.count or rest_session.status(_cause(error)) not in lists.EXPIRED:
                raise
            pages = Pages(settings, feed, since is not None)
            rows = read_through()
    except Exception as error:
        # dlt wraps whatever happened, and its own text quotes answers; an address that does not
        # answer is the whole source's.
        if pages.count == 0 and rest_session.is_unreachable(_cause(error)):
            raise SourceUnreachableError(
                f"{_host(settings)} does not answer; check sources.{source}.base_url and the"
                " network, then run again"
            ) from None
        return Problem(
            "feed_answer_unread",
            {
                "address": f"{_host(settings)}/{(facts.path or feed.name).lstrip('/')}",
                "error": _told(error, settings.attempts),
                "status": rest_session.status(_cause(error)),
            },
        )
    columns = (
        headings
        if since or not rows.count
        else [heading for heading in headings if heading in rows.seen]
    )
    lost = [
        column.heading
        for column in feed.columns
        if column.name in feed.required and since and rows.count and column.heading not in rows.seen
    ]
    if lost:
        return Problem("feed_change_incomplete", {"names": ", ".join(lost)})
    found = table.write(
        rows.tables(columns), columns, feed, into / f"{feed.name}.csv", since and since.before
    )
    if facts.cursor and since is None:
        cursor.read_whole(source, feed, by, columns, found=found, notes=notes)
    return found


def _items(
    settings: RestSource, feed: Feed, session: Any, since: cursor.Since | None, pages: Pages
) -> Iterator[dict[str, Any]]:
    """The rows of a resource, as the server gives them."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    from dlt.sources.rest_api import rest_api_resources

    facts = settings.resources[feed.name]
    params = dict(facts.params)
    if since and facts.cursor_param:
        # in ISO form where it stands in an expression
        given = (
            facts.cursor_format.format(value=since.value.replace(" ", "T").replace("+00:00", "Z"))
            if facts.cursor_format
            else since.value
        )
        params[facts.cursor_param] = given
    endpoint: dict[str, Any] = {
        "path": facts.path or feed.name,
        "params": params,
        "data_selector": pages.selector,
        "paginator": rest_pages.made(rest_pages.of(settings, feed)),
        "response_actions": [pages.look_at],
    }
    headers = {"Accept": "application/json", **settings.headers}
    client = {
        "base_url": settings.base_url.rstrip("/") + "/",
        "headers": headers,
        "session": session,
    }
    yield from rest_api_resources(
        {"client": client, "resources": [{"name": feed.name, "endpoint": endpoint}]}
    )[0]  # type: ignore[typeddict-item]


class Rows:
    """The rows of a resource as text, parked in a file here: a million of them do not fit in memory
    as dicts.
    """

    def __init__(self, headings: list[str], path: Path, limits: Limits) -> None:
        self._limits, self._size = limits, 0
        self._headings = headings
        self._path = path
        self._file = path.open("w", encoding="utf-8")
        self.count = 0
        self.seen: set[str] = set()

    def add(self, item: Mapping[str, Any]) -> None:
        values = []
        for heading in self._headings:
            there, value = at(item, heading)
            if there:
                self.seen.add(heading)
            values.append(cut(_text(value), self._limits))
        line = json.dumps(values) + "\n"
        self._size += len(line)
        if self._size > self._limits.file_bytes:
            raise PageError(
                f"more than {self._limits.file_megabytes:,} MB of rows came: ask for less, or raise"
                " file_megabytes under limits of the source"
            )
        self._file.write(line)
        self.count += 1

    def tables(self, columns: list[str]) -> Iterator[pa.Table]:
        """The rows again, in Arrow tables of these columns."""
        self._file.close()
        places = [self._headings.index(column) for column in columns]
        with self._path.open(encoding="utf-8") as lines:
            while chunk := [json.loads(line) for line in islice(lines, BATCH)]:
                yield pa.table(
                    {
                        name: pa.array([row[place] for row in chunk], pa.string())
                        for name, place in zip(columns, places, strict=True)
                    }
                )
        self._path.unlink()


def cut(value: str | None, limits: Limits) -> str | None:
    """A value no longer than one that is told for too long: its row is rejected by that."""
    return value if value is None or len(value) <= limits.value else value[: limits.value + 1]


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, date | time):
        return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    return json.dumps(
        value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=_text
    )


def _host(settings: RestSource) -> str:
    parts = urlsplit(settings.base_url)
    return (
        f"{parts.scheme}://{parts.hostname}"
        + (f":{parts.port}" if parts.port else "")
        + parts.path.rstrip("/")
    )


def _cause(error: BaseException) -> BaseException:
    """What lies under dlt's wrapping."""
    while error.__cause__ is not None and not isinstance(error, PageError):
        error = error.__cause__
    return error


def _told(error: BaseException, attempts: int) -> str:
    cause = _cause(error)
    return str(cause) if isinstance(cause, PageError) else rest_session.told(cause, attempts)
