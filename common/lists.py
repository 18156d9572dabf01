"""What an answer of an API says about the rest of a list, whether or not anybody asked.

In: the answer's document and headers, how many rows came so far. Out: where it says that there is
more, '' where it does not; whether a number of rows is one a server stops at. Pure.

Half a list must not pass for a whole one: who is missing from it would be taken for gone, or made
again. The names are those of OData, JSON:API, HAL,
Spring, Django, WordPress, OneRoster and the large clouds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

TOTALS = re.compile(
    r"total(?:count|results|records|items|elements|rows|size)?|recordstotal|(?:item|record|result"
    r"|full|odata)?count"
)
PAGES = re.compile(r"totalpages|pages(?:total)?|pagecount|lastpage|numpages")
NEXT = re.compile(
    r"(?:odata)?next(?:link|url|href|page|pageurl|pagetoken|cursor|token)?|continuation(?:token)?"
    r"|endcursor|scrollid"
)
MORE = re.compile(r"hasmore|hasnext(?:page)?|more(?:results)?|(?:is)?truncated")
AROUND = re.compile(
    r"meta(?:data)?|pag(?:e|ing|ination|inator|einfo)|links?|response|result|data|collection"
    r"|cursors?"
)
HEADERS = ("x-total-count", "x-total", "total-count", "x-wp-total", "x-pagination-total-count")
# numbers of rows at which servers stop where nobody asks for another, as met in the papers of APIs
SIZES = frozenset(
    first * ten for ten in (1, 10, 100, 1000, 10_000) for first in (10, 15, 20, 25, 30, 40, 50, 75)
) | {12, 16, 24, 32, 48, 60, 64, 80, 100_000, 120, 125, 128, 256, 512, 600, 800, 999, 1024, 2048}


# What a server answers to the address of a next page it no longer knows: the list that gave it was
# accepted a moment ago, so it is the address that ran out (Graph's skip tokens, Google's page
# tokens, which live three days, cursors of SCIM by RFC 9865, 410 of delta queries). Such a list is
# read again from its beginning, once.
EXPIRED = frozenset({400, 404, 409, 410, 412, 416, 422})


def more(document: Any, headers: Mapping[str, str], rows: int, *, totals_only: bool = False) -> str:
    """Where an answer says that there is more than the rows that came; '' where it does not."""
    for name, value in _said(document):
        word = _plain(name)
        if TOTALS.fullmatch(word) and _number(value) > rows:
            return f"{name} is {_number(value):,}"
        if totals_only:
            continue
        if PAGES.fullmatch(word) and _number(value) > 1:
            return f"{name} is {_number(value):,}"
        if NEXT.fullmatch(word) and _is_filled(value):
            return f"{name} names a next page"
        if MORE.fullmatch(word) and (value is True or str(value).lower() == "true"):
            return f"{name} is true"
    given = {name.lower(): value for name, value in headers.items()}
    for name in HEADERS:
        if _number(given.get(name, "")) > rows:
            return f"the header {name} is {_number(given[name]):,}"
    if (found := re.search(r"/\s*([0-9]+)\s*$", given.get("content-range", ""))) and int(
        found[1]
    ) > rows:
        return f"the header content-range ends in {int(found[1]):,}"
    if not totals_only and re.search(r';\s*rel="?[^";]*\bnext\b', given.get("link", ""), re.I):
        return "the header link names a next page"
    return ""


def counts(document: Any, headers: Mapping[str, str], rows: int) -> bool:
    """Whether an answer says that there are exactly the rows that came."""
    given = {name.lower(): value for name, value in headers.items()}
    found = [_number(value) for name, value in _said(document) if TOTALS.fullmatch(_plain(name))]
    found += [_number(given[name]) for name in HEADERS if name in given]
    return rows in found


def _said(document: Any, around: str = "") -> Iterator[tuple[str, Any]]:
    """What stands beside the rows, with the path to it."""
    if not isinstance(document, Mapping):
        return
    for name, value in document.items():
        path = f"{around}.{name}" if around else str(name)
        yield path, value
        if isinstance(value, Mapping) and AROUND.fullmatch(_plain(str(name))) and not around:
            yield from _said(value, path)


def _plain(name: str) -> str:
    return re.sub(
        r"[^a-z]", "", name.rsplit(".", 1)[-1].lower() if "@" not in name else name.lower()
    )


def _number(value: Any) -> int:
    """A whole number, 0 where it is none."""
    if isinstance(value, bool):
        return 0
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() else 0


def _is_filled(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_is_filled(one) for one in value.values())
    return isinstance(value, str | int) and not isinstance(value, bool) and value not in {"", 0}
