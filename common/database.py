"""Connections to DuckDB: each knows how much memory it may hold, and where to go when it is full.

In: `HOMEROOM_MEMORY`, the one setting of it (`4GB`, `512MB`). Out: connections within it.
Without a limit DuckDB takes four fifths of the machine for each connection of each process, and on
a machine with other work the kernel ends one of them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import duckdb

from common import paths
from common.settings import SettingsError

DEFAULT = "1GB"
SIZE = re.compile(r"[1-9]\d*(\.\d+)? ?[KMGT]i?B", re.I)


def memory(default: str = DEFAULT) -> str:
    """How much a connection may hold before it spills to `var/tmp`. Raises SettingsError."""
    said = os.environ.get("HOMEROOM_MEMORY") or default
    if not SIZE.fullmatch(said):
        raise SettingsError(f"HOMEROOM_MEMORY is {said!r}; write it as 4GB or 512MB")
    return said


def connect(
    path: Path | str = ":memory:", *, read_only: bool = False, **config: Any
) -> duckdb.DuckDBPyConnection:
    """Open a database file, or one in memory, within the limit. Raises duckdb.Error,
    SettingsError.
    """
    room = paths.var()
    spills = {"temp_directory": str(room / "tmp")} if os.access(room, os.W_OK) else {}
    return duckdb.connect(
        str(path), read_only=read_only, config={"memory_limit": memory(), **spills, **config}
    )
