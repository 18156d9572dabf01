"""The pages of one resource of an API: how they are turned, and the proof that the last was last.

In: the settings of the source, each answer before its rows are taken. Out: a paginator for dlt, and
`PageError` where the list cannot be whole: a page without the rows it should have, one that comes
twice or begins as an earlier one did, another number than the server promises, an end that nothing
proves. The message says what to set, without a value of a row.

The end of a list is proved by its total, by a next link that is there and empty, by the server
saying there is no more, or by an empty page. A short page proves nothing: servers cap the size of a
page and do not say so, so the next one is asked for behind the rows that came, not behind those
that were asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from common import lists
from ingestion import foreign
from ingestion.configured import RestSource
from ingestion.layout import Feed, LayoutError

OTHERWISE = ", or unproved = true if it is all there is"
FOLLOWED = ("json_link", "json_response", "header_link", "cursor", "header_cursor")


class PageError(Exception):
    """A page that cannot be what the settings say; the message says why, without a value."""


def of(settings: RestSource, feed: Feed) -> Any:
    """How a resource's pages are turned, as the settings say it; None where they do not."""
    own = settings.resources[feed.name].paginator
    return settings.paginator if own is None else own


def known(source: str, given: Any) -> None:
    """Refuse a paginator dlt does not know, and one it would have to guess."""
    try:
        if given is None or made(given) is not None:
            return
    except (TypeError, ValueError):
        pass
    raise LayoutError(
        f"[sources.{source}] paginator {given!r} is not understood: its type is json_link,"
        " header_link, offset, page_number, cursor or single_page, with the settings"
        " docs/add-a-source.md lists"
    )


def made(given: Any) -> Any:
    """dlt's paginator; that of offsets goes on behind the rows that came."""
    from dlt.sources.helpers.rest_client.paginators import OffsetPaginator
    from dlt.sources.rest_api.config_setup import create_paginator

    if not isinstance(given, Mapping) or given.get("type") != "offset":
        return create_paginator("single_page" if given is None else given)

    class Stepping(OffsetPaginator):
        """A server that gives fewer rows than the limit asks for skips none of them."""

        def update_state(self, response: Any, data: Any = None) -> None:
            self.value_step = len(data or [])
            super().update_state(response, data)

    return Stepping(**{name: value for name, value in given.items() if name != "type"})


class Pages:
    """What the pages of one resource promised: looked at one by one, before dlt takes
    their rows.
    """

    def __init__(self, settings: RestSource, feed: Feed, is_change: bool = False) -> None:
        self._facts, self._given = settings.resources[feed.name], of(settings, feed)
        self._feed, self._is_change = feed, is_change
        self._style = _style(self._given)
        self.selector = self._facts.data
        self.count = self._rows = self._last = 0
        self._total: int | None = None
        self._total_path = self._facts.total
        if self._style == "offset" and not self._total_path and isinstance(self._given, Mapping):
            self._total_path = self._given.get("total_path") or ""
        self._asked: set[str] = set()
        self._first: set[str] = set()
        self._keys: set[int] = set()
        self._followed = False  # whether an answer said anything of a next page
        self._answer: tuple[Any, Mapping[str, str]] = (None, {})

    def look_at(self, response: Any) -> None:
        """Raise PageError when a good answer is not a page."""
        if not response.ok:
            return
        number = self.count + 1
        if number > self._feed.limits.pages:
            raise PageError(
                f"more than {self._feed.limits.pages:,} pages came: ask for larger ones in"
                " paginator, or raise pages under limits of the source"
            )
        try:
            document = response.json()
        except (ValueError, RecursionError):  # no JSON, or nested without end
            raise PageError(_not_json(number, response)) from None
        rows = self._rows_of(document, number)
        asked = f"{response.request.url}\n{response.request.body or ''}"
        if asked in self._asked:
            raise PageError(
                f"page {number} is one that came before: the server's paging goes in a circle"
            )
        self._asked.add(asked)
        self._new(rows, number)
        self._promised(document, response.headers)
        self._follows(document, response.headers)
        self.count, self._rows, self._last = number, self._rows + len(rows), len(rows)
        beside = {} if not isinstance(document, Mapping) else document
        self._answer = ({k: v for k, v in beside.items() if v is not rows}, dict(response.headers))

    def complete(self, taken: int) -> None:
        """Raise PageError when other rows were taken than the pages held or the server promised, or
        nothing proves that they are all.
        """
        if taken != self._rows:
            raise PageError(f"{self._rows:,} rows came and {taken:,} were taken")
        if self._total is not None and self._total != taken:
            raise PageError(
                f"the server says it has {self._total:,} rows and sent {taken:,}: {self._mend()}"
            )
        if self._facts.unproved or self._total is not None:
            return
        document, headers = self._answer
        # of a list of changes a total may be that of the whole table
        said = "" if self._is_change else lists.more(document, headers, taken, totals_only=True)
        if said or (not self._goes_on() and (said := lists.more(document, headers, taken))):
            raise PageError(
                f"{taken:,} rows came, and {said} in the answer: {self._mend()}{OTHERWISE}"
            )
        if not self._is_proved(taken):
            raise PageError(
                f"{taken:,} rows came, and nothing proves that they are all: {self._mend()}"
                f"{OTHERWISE}"
            )

    def _rows_of(self, document: Any, number: int) -> list[Any]:
        from dlt.common import jsonpath

        found = jsonpath.find_values(self.selector, document)
        rows = found[0] if len(found) == 1 else found
        is_list = isinstance(rows, list) and all(isinstance(row, dict) for row in rows)
        if not found or not is_list:
            raise PageError(
                f"page {number} has no rows at {self.selector}; set data to where they stand"
            )
        return rows

    def _new(self, rows: list[Any], number: int) -> None:
        """Refuse a page that begins as an earlier one did, or brings nobody new."""
        if not rows:
            return
        ids = [self._key(row) for row in rows]
        marks = {hash(one) for one in ids}
        if ids[0] in self._first or marks <= self._keys:
            raise PageError(
                f"page {number} begins with the row an earlier page began with, or has only rows"
                f" that came before: the server does not know how we ask for the next page;"
                f" {self._mend()}"
            )
        self._first.add(ids[0])
        self._keys |= marks

    def _key(self, row: Mapping[str, Any]) -> str:
        """What tells a row from others: its key, the id of OneRoster, or all of it."""
        headings = [
            column.heading for column in self._feed.columns if column.name in self._feed.key
        ]
        found = [at(row, heading) for heading in headings]
        if found and all(there for there, _ in found):
            return json.dumps([value for _, value in found], default=str)
        return str(row.get("sourcedId") or json.dumps(row, sort_keys=True, default=str))

    def _promised(self, document: Any, headers: Mapping[str, str]) -> None:
        from dlt.common import jsonpath

        said: Any = None
        if self._total_path:
            totals = jsonpath.find_values(self._total_path, document)
            said = totals[0] if totals else None
            if not str(said).isdigit():
                raise PageError(
                    f"page {self.count + 1} does not say at {self._total_path} how many rows"
                    " there are: set total to where it does, or leave it out"
                )
        elif self._facts.total_header:
            said = headers.get(self._facts.total_header, "")
        if str(said).isdigit():
            self._total = int(said)

    def _follows(self, document: Any, headers: Mapping[str, str]) -> None:
        """Whether this answer has the place of a next page, be it empty."""
        from dlt.common import jsonpath

        given = self._given if isinstance(self._given, Mapping) else {}
        if self._style in {"json_link", "json_response", "cursor"}:
            usual = "next" if self._style != "cursor" else "cursors.next"
            path = given.get("next_url_path") or given.get("cursor_path") or usual
            self._followed |= bool(jsonpath.find_values(path, document))
        elif self._style == "header_link":
            self._followed |= bool(headers.get("Link"))
        elif self._style == "header_cursor":
            self._followed |= given.get("cursor_key", "next") in headers

    def _goes_on(self) -> bool:
        """Whether the pages were turned in a way the server knows."""
        return self._style in {"offset", "page_number"} or self._followed

    def _is_proved(self, taken: int) -> bool:
        if self._style in {"offset", "page_number"}:
            given = self._given if isinstance(self._given, Mapping) else {}
            told = ("total_path", "has_more_path", "maximum_page", "maximum_offset")
            return not self._last or any(given.get(name) for name in told)
        if self._style in FOLLOWED:
            return self._followed or not self._last or taken not in lists.SIZES
        # one page: the answer says it is all, or the district does and it is no page's size
        if not taken or lists.counts(*self._answer, taken):
            return True
        return self._given is not None and taken not in lists.SIZES

    def _mend(self) -> str:
        """What to set."""
        if self._style in {"offset", "page_number"}:
            return (
                "set the names of its parameters in paginator (offset_param, limit_param or"
                " page_param), a limit the server allows, and a fixed order in params"
            )
        if self._style in FOLLOWED:
            return "set in paginator where its answers name the next page (next_url_path …)"
        return (
            'set paginator to how its pages are turned ("single_page" where it gives all at'
            " once), or total to where it says how many there are"
        )


def at(item: Any, heading: str) -> tuple[bool, Any]:
    """The value under a heading, `student.number` being the number in student; and whether it is
    there at all.
    """
    for part in [heading] if isinstance(item, dict) and heading in item else heading.split("."):
        if not isinstance(item, dict) or part not in item:
            return False, None
        item = item[part]
    return True, item


def _style(given: Any) -> str:
    return str(given.get("type", "") if isinstance(given, Mapping) else given or "single_page")


def _not_json(number: int, response: Any) -> str:
    kinds = {
        "feed_is_sign_in": "the page of a web site that asks to sign in",
        "feed_is_html": "a web page (HTML)",
        "feed_is_html_table": "a web page (HTML)",
        "feed_is_xml": "XML",
    }
    kind = kinds.get(foreign.what(response.content[: foreign.HEAD]), "")
    if not kind:
        return f"page {number} is not JSON"
    return f"page {number} is {kind}, not JSON: check base_url, path and auth"
