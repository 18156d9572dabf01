"""Write, then rename: whoever reads a file finds the old one or the new one, whole, whatever ends
the writer, be it the power.

In: a path and what shall stand there. Out: that file. Without the sync a file system may keep the
new name and lose the bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write(path: Path, text: str) -> None:
    """Put a text in place of what stands at `path`."""
    with replacing(path) as file:
        file.write(text.encode("utf-8"))


@contextmanager
def replacing(path: Path, *, alone: bool = False) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of `path` at the end; of one that failed nothing is
    left. `alone`: no other process writes it, and what a kill left of it is written over.
    """
    part = path.with_name(f".{path.name}.part" if alone else f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def put(whole: Path, path: Path) -> None:
    """A file that is whole already takes the place of `path`."""
    with whole.open("rb") as file:
        os.fsync(file.fileno())
    whole.replace(path)


def sha256(path: Path) -> str:
    """The hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
