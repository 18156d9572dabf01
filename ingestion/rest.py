"""Read the resources of a REST source through dlt's rest_api: page after page, only the columns the
settings list.

In: `[sources.<name>]` with `base_url`, `auth`, `paginator` and `resources`. Out: per resource a
`Fetched` CSV file (`table.write`), which then goes the way of all files: checked, archived, landed.
A resource with a `cursor` is asked for what changed since and merged by key into the last good
file, as SQL tables are.

A page without the rows it should have, a page that comes twice and a page that skips rows are
errors, not ends: half a list never passes for a whole one. Neither tokens nor values enter a
message.
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

from common import paths
from ingestion import cursor, rest_session, table
from ingestion.configured import RestResource, RestSource
from ingestion.layout import Feed, Layout, LayoutError, plain
from ingestion.model import Fetch, Fetched, Look, Problem, SourceUnreachableError

BATCH = 20_000


class PageError(Exception):
    """A page that cannot be what the settings say; the message says why, without a value."""


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
        _known_paginator(source, _paginator(settings, feed))
    session = rest_session.opened(source, settings)
    try:
        feeds = [_merged(feed, merge_by or {}) for feed in layout.feeds]
        return Fetch(
            {
                feed.name: _read(source, settings, feed, session, into=into, spread=spread)
                for feed in feeds
            }
        )
    finally:
        session.close()


def look(source: str, settings: RestSource, layout: Layout) -> Look:
    """Does the server let us in, and does it have rows? The first page of each resource, for
    `check`.
    """
    session = rest_session.opened(source, settings)
    absent = []
    try:
        for feed in layout.feeds:
            try:
                next(
                    islice(
                        _items(settings, feed, session, None, Pages(settings.resources[feed.name])),
                        1,
                    ),
                    None,
                )
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
    source: str, settings: RestSource, feed: Feed, session: Any, *, into: Path, spread: Spread
) -> Fetched | Problem:
    facts = settings.resources[feed.name]
    headings = [column.heading for column in feed.columns if not column.restricted]
    since = None
    if facts.cursor:
        by = next(heading for heading in headings if plain(heading) == plain(facts.cursor))
        since = cursor.since(
            source, feed, by, headings, full_every_days=facts.full_every_days, into=into
        )
    pages = Pages(facts)
    try:
        rows = Rows(headings, into / f"{feed.name}.rows")
        taken = 0
        for item in _items(settings, feed, session, since, pages):
            taken += 1
            for row in spread(feed, item, since is not None):
                rows.add(row)
        pages.complete(taken)
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
        cursor.read_whole(source, feed.name, found.sha256)
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
        "paginator": _paginator(settings, feed),
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


def _paginator(settings: RestSource, feed: Feed) -> Any:
    own = settings.resources[feed.name].paginator
    return settings.paginator if own is None else own


def _known_paginator(source: str, given: Any) -> None:
    """Refuse a paginator dlt does not know, and one it would have to guess."""
    from dlt.sources.rest_api.config_setup import create_paginator

    try:
        if create_paginator(given) is not None:
            return
    except (TypeError, ValueError):
        pass
    raise LayoutError(
        f"[sources.{source}] paginator {given!r} is not understood: its type is json_link,"
        " header_link, offset, page_number, cursor or single_page, with the settings"
        " docs/add-a-source.md lists"
    )


class Pages:
    """What the pages of one resource promised: looked at one by one, before dlt takes
    their rows.
    """

    def __init__(self, facts: RestResource) -> None:
        self.selector = facts.data
        self.count = self._rows = 0
        self._total_path, self._total_header = facts.total, facts.total_header
        self._total: int | None = None
        self._seen: set[str] = set()

    def look_at(self, response: Any) -> None:
        """Raise PageError when a good answer is not a page."""
        from dlt.common import jsonpath

        if not response.ok:
            return
        try:
            document = response.json()
        except ValueError:
            raise PageError(f"page {self.count + 1} is not JSON") from None
        found = jsonpath.find_values(self.selector, document)
        rows = found[0] if len(found) == 1 else found
        if (
            not found
            or not isinstance(rows, list)
            or not all(isinstance(row, dict) for row in rows)
        ):
            raise PageError(f'page {self.count + 1} has no rows at "{self.selector}"')
        asked = f"{response.request.url}\n{response.request.body or ''}"
        if asked in self._seen:
            raise PageError(
                f"page {self.count + 1} is one that came before: the server's paging goes in a"
                " circle"
            )
        self._seen.add(asked)
        if self._total_path and (totals := jsonpath.find_values(self._total_path, document)):
            self._total = int(totals[0])
        elif self._total_header and response.headers.get(self._total_header, "").isdigit():
            self._total = int(response.headers[self._total_header])
        self.count, self._rows = self.count + 1, self._rows + len(rows)

    def complete(self, taken: int) -> None:
        """Raise PageError when other rows were taken than the pages held or the server promised."""
        if taken != self._rows:
            raise PageError(f"{self._rows:,} rows came and {taken:,} were taken")
        if self._total is not None and self._total != taken:
            raise PageError(f"the server says it has {self._total:,} rows and sent {taken:,}")


class Rows:
    """The rows of a resource as text, parked in a file here: a million of them do not fit in memory
    as dicts.
    """

    def __init__(self, headings: list[str], path: Path) -> None:
        self._headings = headings
        self._path = path
        self._file = path.open("w", encoding="utf-8")
        self.count = 0
        self.seen: set[str] = set()

    def add(self, item: Mapping[str, Any]) -> None:
        values = []
        for heading in self._headings:
            there, value = _at(item, heading)
            if there:
                self.seen.add(heading)
            values.append(_text(value))
        self._file.write(json.dumps(values) + "\n")
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


def _at(item: Any, heading: str) -> tuple[bool, Any]:
    """The value under a heading, `student.number` being the number in student; and whether it is
    there at all.
    """
    for part in [heading] if isinstance(item, dict) and heading in item else heading.split("."):
        if not isinstance(item, dict) or part not in item:
            return False, None
        item = item[part]
    return True, item


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
