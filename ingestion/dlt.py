"""Read the resources of any dlt source: one written by dlt, by a vendor, or by the district itself.

In: `[sources.<name>]` with `source = "package.module:function"` (or a resource), its `arguments`,
and `resources`, one per feed, with the columns to keep. Out: per resource a `Fetched` CSV file
(`table.write`), which then goes the way of all files: checked, archived, landed. Nothing is landed
by dlt itself: a source of somebody else gets no second way in. A resource with a `cursor` is asked
through dlt's own incremental from the last value on, and merged by key into the last good file, as
SQL tables are; dlt's state is not kept, the archive is it.

Refuses nothing itself but a source that cannot be made (LayoutError) and a resource it does not
have (Problem). What a source says when it fails may quote a row or a key: only the kind of error is
told.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from common import paths
from common.addresses import all_at_home
from common.findings import Finding
from ingestion import cursor, table
from ingestion.configured import DltSource
from ingestion.layout import Feed, Layout, LayoutError, plain
from ingestion.model import Fetch, Fetched, Look, Problem
from ingestion.rest import Rows
from ingestion.rest_pages import PageError

# what the values of a cursor are to the source: its initial value has to be of that kind
KINDS_OF_CURSOR = {
    "text": str,
    "number": int,
    "date": date.fromisoformat,
    "timestamp": datetime.fromisoformat,
}


@all_at_home()
def fetch(source: str, settings: DltSource, layout: Layout) -> Fetch:
    """Read every resource of the source into a file here."""
    into = paths.var() / "inbox" / ".fetched" / source
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True, mode=0o700)
    notes: list[Finding] = []
    found = {feed.name: _read(source, settings, feed, into, notes) for feed in layout.feeds}
    return Fetch(found, tuple(notes))


@all_at_home()
def look(source: str, settings: DltSource, layout: Layout) -> Look:
    """Can the source be made, does it have these resources, and does the first of each come? For
    `check`.
    """
    absent = []
    for feed in layout.feeds:
        resource = _resource(source, settings, feed)
        if isinstance(resource, Problem):
            absent.append(f"{feed.name} (no such resource)")
            continue
        try:
            next(islice(_items(resource), 1), None)
        except Exception as error:
            absent.append(f"{feed.name} ({_told(error)})")
    there = (
        f"{settings.source}: {len(layout.feeds) - len(absent)} of {len(layout.feeds)} resources"
        " there"
    )
    return Look(there + (f", not {', '.join(absent)}" if absent else ""), not absent)


def _read(
    source: str, settings: DltSource, feed: Feed, into: Path, notes: list[Finding]
) -> Fetched | Problem:
    from dlt.sources import incremental

    facts = settings.resources[feed.name]
    headings = [column.heading for column in feed.read]
    resource = _resource(source, settings, feed)
    if isinstance(resource, Problem):
        return resource
    since, by = None, ""
    if facts.cursor:
        begin = KINDS_OF_CURSOR[facts.cursor_kind]
        by = next(heading for heading in headings if plain(heading) == plain(facts.cursor))
        days = facts.full_every_days
        since = cursor.since(
            source, feed, by, headings, full_every_days=days, into=into, notes=notes
        )
        if since is not None:
            # a row without a stamp may have changed at any time
            resource.apply_hints(
                incremental=incremental(
                    by, initial_value=begin(since.value), on_cursor_value_missing="include"
                )
            )
    try:
        rows = Rows(headings, into / f"{feed.name}.rows", feed.limits)
        for item in _items(resource):
            rows.add(item)
    except PageError:
        return Problem("feed_too_many_rows", {"most": feed.limits.file_megabytes})
    except Exception as error:
        return Problem(
            "feed_resource_unread",
            {"resource": resource.name, "module": settings.source, "error": _told(error)},
        )
    finally:
        _forget(resource)
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


def _resource(source: str, settings: DltSource, feed: Feed) -> Any:
    """The resource of a feed, or the Problem that the source has none of that name."""
    made = _made(source, settings)
    there = dict(made.resources) if hasattr(made, "resources") else {made.name: made}
    name = settings.resources[feed.name].resource or feed.name
    if name not in there:
        return Problem(
            "feed_resource_missing",
            {
                "module": settings.source,
                "resource": name,
                "resources": ", ".join(sorted(there)) or "none",
            },
        )
    return there[name]


def _made(source: str, settings: DltSource) -> Any:
    """The dlt source, made with its arguments; dlt fills those that are missing from .dlt/ and the
    environment.
    """
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    where = f"[sources.{source}] source"
    name = settings.source
    module, _, function = name.partition(":")
    if not module or not function:
        raise LayoutError(
            f'{where} is {name!r}; it names a dlt source as "package.module:function"'
        )
    try:
        make = getattr(import_module(module), function)
    except ImportError as error:
        raise LayoutError(
            f"{where}: {module} cannot be imported ({error.name or module} is not there); install"
            " it into .venv, or mend the name"
        ) from None
    except AttributeError:
        raise LayoutError(f"{where}: {module} has no {function}") from None
    arguments = dict(settings.arguments)
    try:
        made = make(**arguments)
    except Exception as error:
        # the text of an error may quote a secret among the arguments
        raise LayoutError(
            f"{where}: {name} could not be made with"
            f" {', '.join(sorted(arguments)) or 'no arguments'} ({_told(error)})"
        ) from None
    if not hasattr(made, "resources") and not hasattr(made, "apply_hints"):
        raise LayoutError(
            f"{where}: {name} gives no dlt source and no resource but {type(made).__name__}"
        )
    return made


def _forget(resource: Any) -> None:
    """Take back what a resource was told of its cursor: dlt's copies of one share it, and another
    feed begins where that one wants to.
    """
    from dlt.extract.incremental import IncrementalResourceWrapper

    if isinstance(resource.incremental, IncrementalResourceWrapper):
        resource.incremental._from_hints = False
        resource.incremental.set_incremental(None)


def _items(resource: Any) -> Iterator[Mapping[str, Any]]:
    """The rows of a resource one by one, whatever it gives them in: dicts, lists of them, Arrow
    tables or data frames.
    """
    for given in resource:
        if hasattr(given, "to_pylist"):
            yield from given.to_pylist()
        elif hasattr(given, "to_dict"):
            yield from given.to_dict("records")
        elif isinstance(given, list):
            yield from given
        else:
            yield given


def _told(error: BaseException) -> str:
    """What kind of error lies under dlt's wrapping."""
    while error.__cause__ is not None:
        error = error.__cause__
    return type(error).__name__
