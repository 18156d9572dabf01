"""Read the rostering service of OneRoster 1.2 (or 1.1) over REST, as if its lists were the CSV
files of the same standard.

In: `[sources.oneroster]` with `kind = "oneroster"`, `base_url` (up to the version), `auth` and
`page_size`. Out: per feed of the layout `oneroster` a `Fetched` CSV file with that layout's
columns, so that staging never knows by which road a record came. A reference (`{"org":
{"sourcedId": …}}`) becomes the column of its id, a list the comma-separated text of the CSV
binding; the roles of 1.2 stand in their user and become rows of `roles`. Restricted columns are not
read.

Every night asks for what changed since the last one (`dateLastModified`), and every seventh for
everything: a record the server forgot is in no list of changes. The roles of a user who changed are
replaced as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ingestion import layout, rest
from ingestion.configured import OneRosterSource, RestResource, RestSource
from ingestion.layout import Feed, Layout
from ingestion.model import Fetch, Look, Problem

PATHS = {
    "orgs": "orgs",
    "academic_sessions": "academicSessions",
    "courses": "courses",
    "classes": "classes",
    "users": "users",
    "roles": "users",
    "enrollments": "enrollments",
    "demographics": "demographics",
}
NOT_THERE = 404
# 1.2's service and its files spell the names a person goes by differently.
ALSO = {"preferred_given_name": "preferredFirstName", "preferred_family_name": "preferredLastName"}


def layout_of(settings: OneRosterSource) -> Layout:
    """The layout of the CSV files, less the manifest, which the service has not."""
    return layout.of_district(
        layout.load("oneroster"),
        feeds=PATHS if settings.feeds is None else settings.feeds,
        check_digits=settings.check_digits,
        date_format=settings.date_format,
        flags=settings.flags,
    )


def fetch(source: str, settings: OneRosterSource, known: Layout) -> Fetch:
    """Read every list of the service into a file here."""
    resources = _as_resources(settings, known)
    found = rest.fetch(source, resources, known, _rows, {"roles": "user_sourced_id"})
    return Fetch(
        {feed.name: _unless_it_has_none(feed, found.feeds[feed.name]) for feed in known.feeds},
        found.findings,
    )


def look(source: str, settings: OneRosterSource, known: Layout) -> Look:
    """Does the server let us in, and does it have the lists? For `check`."""
    return rest.look(source, _as_resources(settings, known), known)


def _as_resources(settings: OneRosterSource, known: Layout) -> RestSource:
    """The settings as those of a REST source."""
    paginator = {
        "type": "offset",
        "limit": settings.page_size,
        "offset_param": "offset",
        "limit_param": "limit",
        "total_path": None,
        "stop_after_empty_page": True,
    }
    resources = {
        feed.name: RestResource(
            path=PATHS[feed.name],
            data=PATHS[feed.name],
            params={"sort": "sourcedId", "orderBy": "asc"},
            total_header="X-Total-Count",
            cursor="date_last_modified",
            cursor_param="filter",
            cursor_format="dateLastModified>='{value}'",
            full_every_days=settings.full_every_days,
        )
        for feed in known.feeds
    }
    return RestSource(
        kind="rest",
        base_url=settings.base_url,
        auth=settings.auth,
        headers=settings.headers,
        timeout=settings.timeout,
        attempts=settings.attempts,
        wait_seconds=settings.wait_seconds,
        paginator=paginator,
        resources=resources,
    )


def _unless_it_has_none(feed: Feed, found: Any) -> Any:
    """A list the server does not know is a file that was not sent."""
    if feed.optional and isinstance(found, Problem) and found.values.get("status") == NOT_THERE:
        return Problem("feed_list_missing", found.values)
    return found


def _rows(feed: Feed, item: Mapping[str, Any], is_change: bool) -> Iterator[dict[str, Any]]:
    """The rows of one object: one, or for a user's roles one each."""
    if feed.name != "roles":
        yield _row(feed, item)
        return
    seen = set()
    for role in item.get("roles") or []:
        row = _row(
            feed,
            {
                **role,
                "user": item,
                "status": item.get("status"),
                "dateLastModified": item.get("dateLastModified"),
            },
        )
        row["sourced_id"] = "/".join(
            str(row.get(name) or "")
            for name in ("user_sourced_id", "org_sourced_id", "role", "role_type", "begin_date")
        )
        if row["sourced_id"] not in seen:
            seen.add(row["sourced_id"])
            yield row
    if is_change and not seen:  # who lost every role must lose the rows of before
        user = item.get("sourcedId")
        yield {
            "sourced_id": f"{user}/",
            "user_sourced_id": user,
            "org_sourced_id": "none",
            "role": "none",
            "status": "tobedeleted",
        }


def _row(feed: Feed, item: Mapping[str, Any]) -> dict[str, Any]:
    """An object's values by the layout's columns. A required one that is not there is left out:
    then nobody is taken for having it empty.
    """
    row = {}
    for column in feed.columns:
        there, value = _value(item, column.heading)
        if not column.restricted and (there or column.name not in feed.required):
            row[column.heading] = value
    return row


def _value(item: Mapping[str, Any], heading: str) -> tuple[bool, Any]:
    """Whether an object has what a column holds, and its value."""
    stem, references = heading, False
    for ending, plural in (("_sourced_ids", "s"), ("_sourced_id", "")):
        if heading.endswith(ending):
            stem, references = heading.removesuffix(ending) + plural, True
            break
    name = _camel(stem)
    name = ALSO[heading] if heading in ALSO and name not in item else name
    value = item.get(name)
    if isinstance(value, list):
        value = ",".join(str(_id(one) if references else one) for one in value) or None
    elif references:
        value = _id(value)
    return name in item, value


def _id(reference: Any) -> Any:
    """The id of a reference; some servers write the bare id."""
    return reference.get("sourcedId") if isinstance(reference, Mapping) else reference


def _camel(name: str) -> str:
    first, *rest_of_it = name.split("_")
    return first + "".join(part.capitalize() for part in rest_of_it)
