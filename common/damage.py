"""Damage: is a database file whole, and if not, what is wrong with it?

In: a path. Out: a few words, '' for a whole one. Nothing here goes by what an error says, only by
what is there: how many bytes, what the first of them say of the rest, whether it opens alone,
whether every row can be read (https://duckdb.org/docs/stable/internals/storage).
"""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import duckdb

from common import sql

HEADER = 4096  # bytes: one header of the file, then two of its state, of which the newer counts
# Of a state, behind its checksum: how often it was written, where its tables and its free blocks
# stand, how many blocks there are, how large one is.
STATE = struct.Struct("<8xQQQQQ")
MAGIC = b"DUCK"
HELD = 3
# in a process of its own: one that closes a file lets go of every lock it had on it
TRY_TO_LOCK = f"""
import fcntl, sys
path, mode = sys.argv[1:]
kind = fcntl.LOCK_EX if mode == "r+b" else fcntl.LOCK_SH
try:
    with open(path, mode) as file:
        fcntl.lockf(file, kind | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit({HELD})
"""


def seen(path: Path) -> str:
    """What its size and its first bytes say; costs nothing. For a file nobody else writes."""
    there = path.stat().st_size
    if not there:
        return "it is empty"
    with path.open("rb") as file:
        first = file.read(3 * HEADER)
    if len(first) < 3 * HEADER:
        return f"it is cut off after {there:,} bytes"
    if first[8 : 8 + len(MAGIC)] != MAGIC:
        return "it is no database"
    states = [STATE.unpack_from(first, at) for at in (HEADER, 2 * HEADER)]
    _, _, _, blocks, size = max(states)
    whole = 3 * HEADER + blocks * size
    if 0 < size < 1 << 30 and whole < 1 << 50 and there < whole:
        return f"it is cut off: {there:,} of {whole:,} bytes are there"
    return ""


def opened(path: Path, *, read: bool = False) -> str:
    """What opening it alone says, with every row read where that is asked for. Of one that another
    process has, nothing.
    """
    if held(path, read_only=True):
        return ""
    if wrong := seen(path):
        return wrong
    # somebody may have begun with it meanwhile, and have ended since: it is tried twice
    for _ in range(2):
        try:
            with duckdb.connect() as connection:
                connection.execute(f"attach {sql.text(path)} as looked_at (read_only)")
                if read:
                    _read(connection)
        except (duckdb.OutOfMemoryException, MemoryError):
            raise
        except duckdb.Error:
            if held(path, read_only=True):
                return ""
        else:
            return ""
    return "a part of it cannot be read" if read else "it cannot be opened"


def _read(connection: duckdb.DuckDBPyConnection) -> None:
    for schema, table in connection.execute(
        "select schema_name, table_name from duckdb_tables() where database_name = 'looked_at'"
    ).fetchall():
        connection.execute(
            f"select sum(hash(t)) from {sql.name('looked_at', schema, table)} as t"
        ).fetchall()


def held(path: Path, *, read_only: bool) -> bool:
    """Whether another process keeps it from being opened."""
    mode = "rb" if read_only else "r+b"
    command = [sys.executable, "-S", "-c", TRY_TO_LOCK, str(path), mode]
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == HELD
