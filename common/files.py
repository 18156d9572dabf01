"""Write, then rename: whoever reads a file finds the old one or the new one, whole, whatever ends
the writer, be it the power.

In: a path and the text that shall stand there. Out: that file. Without the sync a file system may
keep the new name and lose the bytes.
"""

from __future__ import annotations

import os
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Put a text in place of what stands at `path`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
