"""Damage: is a database file whole, and if not, what is wrong with it?

In: a path. Out: a few words, '' for a whole one. Nothing here goes by what an error says, only by
what is there: how many bytes, what the first of them say of the rest, whether it opens alone,
whether every row can be read (https://duckdb.org/docs/stable/internals/storage).
"""

from __future__ import annotations

import fcntl
import os
import struct
import warnings
from pathlib import Path

import duckdb

from common import database, sql

HEADER = 4096  # bytes: one header of the file, then two of its state, of which the newer counts
# Of a state, behind its checksum: how often it was written, where its tables and its free blocks
# stand, how many blocks there are, how large one is.
STATE = struct.Struct("<8xQQQQQ")
MAGIC = b"DUCK"
HELD = 3


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
    return ""


def _is_short(path: Path) -> bool:
    """Whether it is shorter than its blocks: it was cut, or its last blocks are free."""
    with path.open("rb") as file:
        first = file.read(3 * HEADER)
    _, _, _, blocks, size = max(STATE.unpack_from(first, at) for at in (HEADER, 2 * HEADER))
    return path.stat().st_size < 3 * HEADER + blocks * size


def opened(path: Path, *, read: bool = False) -> str:
    """What opening it alone says, with every row read where that is asked for, or where it may have
    been cut. Of one that another process has, nothing.
    """
    if path.is_dir():
        return "it is a folder"
    if held(path, read_only=True):
        return ""
    if wrong := seen(path):
        return wrong
    read = read or _is_short(path)
    # somebody may have begun with it meanwhile, and have ended since: it is tried twice
    for _ in range(2):
        try:
            with database.connect() as connection:
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
    """Whether another process keeps it from being opened. It is a child that asks: who closes a
    file lets go of every lock it had on it. The child is no new program, which this user may not be
    let start.
    """
    kind, mode = (fcntl.LOCK_SH, os.O_RDONLY) if read_only else (fcntl.LOCK_EX, os.O_RDWR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads: it calls nothing of them
        child = os.fork()
    if not child:
        code = 1
        try:
            fcntl.lockf(os.open(path, mode), kind | fcntl.LOCK_NB)
        except BlockingIOError:
            code = HELD
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == HELD
