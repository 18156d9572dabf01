"""Documents: what the state keeps as JSON is read here, and one that is damaged stops nobody.

In: a path, what it must look like, and what stands in for it. Out: its content. One that cannot be
read, or is not what it should be (cut, empty, of another shape, a folder in its place), is set
aside under `var/damaged/` with the path it had, and the reader goes on without it. The next night
that looks names it (`findings.notice`): until then its folder ends in `.untold`, so that no further
document is needed to remember that.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common import files, paths
from common.log import event

UNTOLD = ".untold"
Fits = Callable[[Any], bool]


def folder() -> Path:
    """Where damaged documents lie."""
    return paths.var() / "damaged"


def read(path: Path, default: Any = None, fits: Fits | None = None) -> Any:
    """A document; `default` when there is none, or none that can be used."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        if not path.is_symlink():
            return default
    except PermissionError:
        if not _is_ours(path):  # whose it is, is said by whoever catches it
            raise
    except (OSError, ValueError, RecursionError) as error:
        event("document_unreadable", path=path, error=type(error).__name__)
    else:
        if fits is None or fits(found):
            return found
    set_aside(path)
    return default


def lines(
    path: Path, fits: Fits | None = None, *, may_be_torn: bool = True, damaged: bool = False
) -> list[dict[str, Any]]:
    """A document of one JSON object per line. A last line a kill or a power cut has torn is left
    out, where that is nothing new; where another is damaged, or the caller knows that it is, the
    file is set aside and the whole lines are kept.
    """
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():  # to nothing
            set_aside(path)
        return []
    except OSError as error:
        if isinstance(error, PermissionError) and not _is_ours(path):
            raise
        set_aside(path)
        return []
    *ended, torn = content.split(b"\n")
    # one that is written whole lines at a time is never empty
    found, whole = [], []
    damaged = damaged or ((bool(torn) or not content) and not may_be_torn)
    for line in ended:
        try:
            one = json.loads(line)
            if not isinstance(one, dict) or not (fits is None or fits(one)):
                raise ValueError("not a line of this document")
        except (ValueError, RecursionError):
            damaged = damaged or bool(line)
            continue
        found.append(one)
        whole.append(line)
    if damaged and set_aside(path) and whole:
        write_text(path, b"".join(line + b"\n" for line in whole).decode("utf-8"))
    return found


def _is_ours(path: Path) -> bool:
    """Whether what cannot be read may be set aside: it lies in a folder that is ours to change."""
    return os.access(path.parent, os.W_OK | os.X_OK)


def write_text(path: Path, text: str) -> None:
    """Put a text in place of what stands at `path`, be that a folder nobody of ours made."""
    if path.is_dir() and not path.is_symlink():
        set_aside(path)
    files.write(path, text)


def set_aside(path: Path) -> Path | None:
    """Move what stands there to `damaged/`; returns where it lies now, None when it cannot be
    moved or is gone.
    """
    moment = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}{UNTOLD}"
    try:
        inside = path.absolute().relative_to(paths.var())
    except ValueError:
        inside = Path(path.name)
    try:
        if folder().exists() and not folder().is_dir():
            folder().replace(folder().with_name(f"damaged-{secrets.token_hex(2)}"))
        place = folder() / moment / inside
        place.parent.mkdir(parents=True, mode=0o700)
        path.replace(place)
    except OSError as error:
        event("not_set_aside", path=path, error=type(error).__name__)
        return None
    event("set_aside", path=inside, to=place)
    return place


def untold() -> Iterator[tuple[Path, Path]]:
    """What was set aside and no night has named yet, oldest first: the path it had under the state
    folder, and where it lies once `told`.
    """
    for place in sorted(folder().glob(f"*{UNTOLD}")):
        for path in sorted(place.rglob("*")):
            if not path.is_dir() or not any(path.iterdir()):
                inside = path.relative_to(place)
                yield inside, place.with_name(place.name.removesuffix(UNTOLD)) / inside


def told() -> None:
    """All of that was named."""
    for place in sorted(folder().glob(f"*{UNTOLD}")):
        place.rename(place.with_name(place.name.removesuffix(UNTOLD)))


def has(**kinds: type | tuple[type, ...] | Fits) -> Fits:
    """A shape: an object that has these keys, of these kinds or shapes."""

    def fits(found: Any) -> bool:
        return isinstance(found, dict) and all(
            isinstance(found.get(key), kind)
            if isinstance(kind, type | tuple)
            else kind(found.get(key))
            for key, kind in kinds.items()
        )

    return fits


def every(fits: Fits) -> Fits:
    """A shape: a list of such."""
    return lambda found: isinstance(found, list) and all(fits(one) for one in found)


def each(fits: Fits) -> Fits:
    """A shape: an object whose values are such."""
    return lambda found: isinstance(found, dict) and all(fits(one) for one in found.values())


def exists(path: Path) -> bool:
    """Whether something stands there, be it a link to nothing."""
    return os.path.lexists(path)
