"""Google's partial responses: `fields=users(id,name/givenName),nextPageToken` keeps those fields
and nothing else.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from demo.platforms.google_tenant import refuse

Mask = dict[str, Any]


def masked(resource: Any, mask: str) -> Any:
    """The resource with only the fields of the mask; an unreadable mask is a 400."""
    return _kept(resource, _parsed(mask))


def _kept(value: Any, mask: Mask) -> Any:
    if not mask or "*" in mask:
        return value
    if isinstance(value, list):
        return [_kept(one, mask) for one in value]
    if not isinstance(value, dict):
        return value
    return {name: _kept(value[name], below) for name, below in mask.items() if name in value}


@lru_cache(maxsize=256)
def _parsed(text: str) -> Mask:
    mask, rest = _list(text.replace(" ", ""))
    if rest or not mask:
        raise refuse(
            400,
            "invalidParameter",
            f"Invalid field selection {text}",
            locationType="parameter",
            location="fields",
        )
    return mask


def _list(text: str) -> tuple[Mask, str]:
    """Comma-separated selections, up to a closing bracket or the end."""
    mask: Mask = {}
    while text and text[0] != ")":
        name, below, text = _selection(text)
        mask[name] = mask.get(name, {}) | below
        text = text.removeprefix(",")
    return mask, text


def _selection(text: str) -> tuple[str, Mask, str]:
    """One selection: a name, and what is kept below it after a slash or in brackets."""
    end = next((at for at, letter in enumerate(text) if letter in ",()/"), len(text))
    name, text = text[:end], text[end:]
    if text.startswith("/"):
        child, below, text = _selection(text[1:])
        return name, {child: below}, text
    if text.startswith("("):
        below, text = _list(text[1:])
        return name, below, text.removeprefix(")")
    return name, {}, text
