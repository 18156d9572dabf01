"""Ballast: a file of no use, laid before a night and dropped when the disk is full, so that what
happened can still be written down.

In: the state folder. Out: `ballast` in it, as large as documents, report and alerts need; or room
where it lay.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from common import files, paths

MEGABYTES = 8
FULL = (errno.ENOSPC, errno.EDQUOT)
Written = TypeVar("Written")


def path() -> Path:
    """Where it lies."""
    return paths.var() / "ballast"


def lay() -> None:
    """Lay it, unless it lies there. Bytes of chance, as some file systems store no zeroes."""
    if not path().is_file():
        with files.replacing(path(), alone=True) as file:
            file.write(os.urandom(MEGABYTES << 20))


def drop() -> bool:
    """Make room; False when it was gone already."""
    try:
        path().unlink()
    except FileNotFoundError:
        return False
    return True


def or_dropped(write: Callable[[], Written]) -> Written:
    """Write; on a full disk drop the ballast and write again, from the beginning."""
    try:
        return write()
    except OSError as error:
        if error.errno not in FULL or not drop():
            raise
        return write()
