"""JSON paths, as settings and `field:` write them: where a value stands in a document nobody
promised anything about, and how it is put there.

`name.givenName` goes through objects; `externalIds[namespace=homeroom].id` through a list to the
one entry with that value, and makes it when writing (`emails[type eq "work"].value`, as SCIM writes
it, is the same); `lines.0.code` goes through a list by number; `urn:…:2.0:User:employeeNumber` into
the object of that name, as SCIM writes an extension. An empty path is the document.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

MISSING: Any = object()


@cache
def steps(path: str) -> tuple[str, ...]:
    """`emails[type=work].value` as `("emails", "[type=work]", "value")`; nothing as `()`."""
    if extension := re.match(r"(urn:.*):([^:]+)$", path):
        return (extension[1], *steps(extension[2]))
    found = re.findall(r"\[[^\]]*\]|[^.\[\]]+", path)
    return tuple(re.sub(r'^\[(\S+) eq "?([^"]*)"?\]$', r"[\1=\2]", step) for step in found)


def value_at(document: Any, path: str | tuple[str, ...], default: Any = None) -> Any:
    """What stands at a path; `default` where nothing does."""
    here = document
    for step in steps(path) if isinstance(path, str) else path:
        if isinstance(here, dict):
            here = here.get(step, MISSING)
        elif not isinstance(here, list):
            return default
        elif step.startswith("["):
            here = _entry(here, step)
        else:
            here = here[int(step)] if step.isdigit() and int(step) < len(here) else MISSING
        if here is MISSING:
            return default
    return here


def put(document: dict[str, Any], path: str | tuple[str, ...], value: Any) -> None:
    """Put a value at a path, making the objects on the way; what stands beside it stays."""
    names = steps(path) if isinstance(path, str) else path
    here: Any = document
    for step, following in zip(names, (*names[1:], ""), strict=True):
        if not following:
            here[step] = value
        elif step.startswith("["):
            here = _entry(here, step, make=True)
        else:
            inside: Any = [] if following.startswith("[") else {}
            if not isinstance(here.get(step), type(inside)):
                here[step] = inside
            here = here[step]


def _entry(entries: list[Any], step: str, *, make: bool = False) -> Any:
    name, _, text = step[1:-1].partition("=")
    wanted = {"true": True, "false": False}.get(text, text)
    for entry in entries:
        found = entry.get(name) if isinstance(entry, dict) else None
        if found == wanted or (found is not None and str(found) == text):
            return entry
    if not make:
        return MISSING
    entries.append({name: wanted})
    return entries[-1]
