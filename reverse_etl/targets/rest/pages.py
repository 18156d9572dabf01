"""A list of an API, page after page, to an end that is proved.

In: the route of the list and how to ask. Out: its objects, each once. A page without the list it
should have, a page that comes twice or begins as an earlier one did, another number than the API
promises and an end that nothing proves raise `ListError`, which says what to set: half a list never
passes for a whole one, for what is not in it would be made again. A list whose next page has
expired is read again from its beginning, once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urljoin

from common import lists
from reverse_etl.targets import exact
from reverse_etl.targets.json_path import MISSING, value_at
from reverse_etl.targets.rest.client import Answer
from reverse_etl.targets.rest.settings import List, Paging

# path, params, whether a 404 is an answer, whether it is a following page
Ask = Callable[[str, Mapping[str, Any], bool, bool], Answer]
READINGS = 3  # of a list that shifts while it is read
FEW = 100  # a shorter list may well have a round number in it


class ListError(Exception):
    """A list that cannot be what the settings say; the message says why, without a value."""


class ExpiredError(Exception):
    """The API no longer knows the next page of a list it began."""


def whole(
    route: List,
    path: str,
    params: Mapping[str, Any],
    ask: Ask,
    identify: Callable[[Mapping[str, Any]], str | None],
    *,
    missing_is_fine: bool = False,
) -> list[Mapping[str, Any]]:
    """Every object of a list, each once; with `missing_is_fine` a list that is not there is an
    empty one. Somebody may add or take away an object while we read: the pages shift, one may be
    missed, and the list is read again.
    """
    trouble, expired = "", 0
    for _ in range(READINGS):
        pages = Pages(route, ask, missing_is_fine)
        found: dict[str, Mapping[str, Any]] = {}
        try:
            for page in pages.read(path, params):
                pages.begin_anew(identify(page[0]) if page else None)
                for one in page:
                    found[identify(one) or f"#{len(found)}"] = one
        except ExpiredError:
            expired += 1
            if expired > 1:
                raise ListError(
                    "the place of the next page expired, the list was read again from its"
                    " beginning, and it expired again; ask for larger pages with limit_param"
                ) from None
            continue
        if pages.total is None:
            pages.prove(len(found))
        if pages.total is None or pages.total == len(found):
            return [one for one in found.values() if not _is_skipped(route, one)]
        trouble = (
            f"the API says it has {pages.total:,} objects and sent {len(found):,}; set paging to"
            " how its pages are turned, and a fixed order in params"
        )
    raise ListError(trouble)


class Pages:
    """One reading of a list."""

    def __init__(self, route: List, ask: Ask, missing_is_fine: bool) -> None:
        self._route, self._ask, self._missing_is_fine = route, ask, missing_is_fine
        self.total: int | None = None  # what the API promised last
        self._number = self._taken = 0
        self._seen: set[str] = set()
        self._first: set[str] = set()
        self._followed = False  # whether an answer has the place of a next page, be it empty
        self._last: Answer | None = None

    def begin_anew(self, first: str | None) -> None:
        """Refuse a page that begins as an earlier one did; where the API says how many there are,
        the number is what counts.
        """
        if first is None or self.total is not None:
            return
        if first in self._first:
            raise ListError(
                f"page {self._number} begins with the object an earlier page began with: the API"
                " does not know how we ask for the next page; set param and limit_param of paging"
            )
        self._first.add(first)

    def prove(self, count: int) -> None:
        """Refuse an end that nothing proves, where the API says there is more or stopped at a
        number servers stop at.
        """
        paging, answer = self._route.paging, self._last
        turned = paging is not None and (paging.style in {"offset", "page"} or self._followed)
        if self._route.unproved or turned or answer is None or not count:
            return
        is_list = isinstance(answer.body, list) or bool(self._route.items)
        said = lists.more(answer.body, answer.headers, count) if is_list else ""
        if said or (count >= FEW and count in lists.SIZES):
            why = f"{said} in the answer" if said else "nothing proves that they are all"
            raise ListError(
                f"{count:,} objects came, and {why}: set paging to how its pages are turned, or"
                " total to where the answer says how many there are, or unproved = true if it is"
                " all there is"
            )

    def read(self, path: str, params: Mapping[str, Any]) -> Iterator[list[Mapping[str, Any]]]:
        """Page after page."""
        paging, asked = self._route.paging, dict(params)
        if paging is not None and (limit := paging.limit_param):
            asked[limit] = paging.limit
        if paging is not None and paging.style in {"offset", "page"}:
            asked[_param(paging)] = _first(paging)
        following: tuple[str, dict[str, Any]] | None = (path, asked)
        while following is not None:
            where, asked = following
            self._number += 1
            ended = self._number > 1 and paging is not None and paging.ends_with_404
            first = self._number == 1
            answer = self._ask(where, asked, (self._missing_is_fine and first) or ended, not first)
            if not answer.good:
                if first or (ended and answer.code == 404):
                    return
                raise ExpiredError
            found, self._last = self._objects(answer), answer
            self._followed |= paging is not None and _has_next(paging, answer)
            self._look_at(where, asked, found)
            self._taken += len(found)
            yield found
            following = self._following(paging, answer, found, where, asked) if paging else None

    def _objects(self, answer: Answer) -> list[Mapping[str, Any]]:
        route, number = self._route, self._number
        found = value_at(answer.body, route.items, MISSING)
        if found is MISSING and route.total and value_at(answer.body, route.total) == 0:
            found = []  # of none some send no list
        if isinstance(found, Mapping) and route.paging is None:
            found = [found]  # a look-up that answers with the one object
        if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
            raise ListError(f'page {number} has no list of objects at "{route.items}"')
        if route.total or route.total_header:
            said = value_at(answer.body, route.total) if route.total else None
            said = said if route.total else answer.headers.get(route.total_header.lower())
            if not str(said).isdigit():
                raise ListError(f"page {number} does not say how many objects there are in all")
            self.total = int(str(said))
        return found

    def _look_at(self, where: str, asked: Mapping[str, Any], found: list[Any]) -> None:
        """Refuse what came before: a page asked for twice, or the same objects again."""
        once = (exact.dumps([where, asked]), exact.dumps(found, sort_keys=True) if found else "")
        for mark in filter(None, once):
            if mark in self._seen:
                raise ListError(
                    f"page {self._number} is one that came before: the paging goes in a circle, or"
                    " the API does not know the parameter"
                )
            self._seen.add(mark)

    def _following(
        self, paging: Paging, answer: Answer, found: list[Any], where: str, asked: dict[str, Any]
    ) -> tuple[str, dict[str, Any]] | None:
        """How to ask for the next page; None where the end is proved."""
        if paging.style in {"next", "link"}:
            link = _link(answer.headers.get("link", ""))
            address = link if paging.style == "link" else value_at(answer.body, paging.next)
            return (urljoin(answer.url, str(address)), {}) if address else None
        if paging.style == "cursor":
            cursor = self._cursor(paging, answer)
            return (where, {**asked, _param(paging): cursor}) if cursor else None
        if not found or (self.total is not None and self._taken >= self.total):
            return None
        if paging.style == "offset":
            return where, {**asked, _param(paging): _first(paging) + self._taken}
        if paging.pages:
            count = value_at(answer.body, paging.pages)
            if not isinstance(count, int):
                raise ListError(f"page {self._number} does not say how many pages there are")
            if self._number >= count:
                return None
        return where, {**asked, _param(paging): asked[_param(paging)] + 1}

    def _cursor(self, paging: Paging, answer: Answer) -> Any:
        cursor = value_at(answer.body, paging.cursor)
        if not paging.more:
            return cursor
        more = value_at(answer.body, paging.more, MISSING)
        if more is MISSING:
            raise ListError(f"page {self._number} does not say whether there is more")
        if more and not cursor:
            raise ListError(f"page {self._number} says there is more, and not how to ask for it")
        return cursor if more else None


def _has_next(paging: Paging, answer: Answer) -> bool:
    if paging.style == "link":
        return bool(answer.headers.get("link"))
    at = {"next": paging.next, "cursor": paging.more or paging.cursor}.get(paging.style)
    return at is not None and value_at(answer.body, at, MISSING) is not MISSING


def _first(paging: Paging) -> int:
    """Where counting begins: objects at 0 and pages at 1, unless the settings say otherwise."""
    is_said = paging.style == "page" or "first" in paging.model_fields_set
    return paging.first if is_said else 0


def _param(paging: Paging) -> str:
    return paging.param or paging.style


def _link(header: str) -> str:
    """The address of `rel="next"` (RFC 8288)."""
    for part in re.split(r",\s*(?=<)", header):
        match = re.match(r"\s*<([^>]*)>(.*)", part)
        if match and re.search(r';\s*rel="?[^";]*\bnext\b', match[2], re.I):
            return match[1]
    return ""


def _is_skipped(route: List, one: Mapping[str, Any]) -> bool:
    return any(value_at(one, at) in values for at, values in route.skip.items())
