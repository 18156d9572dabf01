"""JSON paths in documents nobody promised anything about: where a value stands, and how it is put
there.

As in `fields`, `name.given` goes through objects and `emails[type=work].value` through a list to
the entry whose `type` is `work`, which is made when it is not there; besides, `lines.0.code` goes
through a list by number, and an empty path is the document itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from reverse_etl.targets.fields import steps as _steps

MISSING: Any = object()
steps = cache(_steps)


def value_at(document: Any, path: str, default: Any = None) -> Any:
    """What stands at a path; `default` where nothing does."""
    here = document
    for step in steps(path):
        if step.startswith("["):
            here = _entry(here, step) if isinstance(here, list) else MISSING
        elif isinstance(here, Mapping):
            here = here.get(step, MISSING)
        elif isinstance(here, list) and step.isdigit() and int(step) < len(here):
            here = here[int(step)]
        else:
            return default
        if here is MISSING:
            return default
    return here


def put(document: dict[str, Any], path: str, value: Any) -> None:
    """Put a value at a path, making the objects on the way; what stands beside it stays."""
    names = steps(path)
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
    name, _, wanted = step[1:-1].partition("=")
    for entry in entries:
        if isinstance(entry, Mapping) and str(entry.get(name)) == wanted:
            return entry
    if not make:
        return MISSING
    entries.append({name: wanted})
    return entries[-1]
