"""The original bytes of every feed that was landed, kept under their own hash.

In: a fetched file. Out: `var/archive/<source>/<feed>/<sha256>.gz`; the same bytes are stored once,
however often they come. The warehouse can be rebuilt from here: `restore` gives the bytes back and
refuses damaged ones.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from common import files, paths


class ArchiveDamagedError(Exception):
    """An archived file does not hold the bytes its name promises."""


def folder() -> Path:
    """Where everything is kept."""
    return paths.var() / "archive"


def past(connection: duckdb.DuckDBPyConnection, source: str, keep_days: int) -> list[Path]:
    """The archived files of a source that were last in force longer than `keep_days` ago. Never the
    last good one of a feed.

    A file the ledger never heard of is judged by its own age: a night that was killed may have left
    it.
    """
    rows = connection.execute(
        "select feed, sha256, epoch(max(read_at)) from ledger.audit.source_files where source = ?"
        " and status in ('loaded', 'unchanged') group by all",
        [source],
    ).fetchall()
    newest = connection.execute(
        "select feed, arg_max(sha256, read_at) from ledger.audit.source_files where source = ? and"
        " status in ('loaded', 'unchanged') group by feed",
        [source],
    ).fetchall()
    met = {(feed, sha256): epoch for feed, sha256, epoch in rows}
    oldest = time.time() - keep_days * 86400
    return sorted(
        file
        for file in (folder() / source).glob("*/*.gz")
        if (key := (file.parent.name, file.stem)) not in set(newest)
        and met.get(key, file.stat().st_mtime) < oldest
    )


def past_memories(keep_days: int) -> list[Path]:
    """The folders `runs/<id>/memory` of nights longer than `keep_days` ago: what the ledger knew of
    people then, for `make replay`.

    The newest night keeps its own. A night without its memory cannot be replayed, as it cannot
    without its files.
    """
    oldest = time.time() - keep_days * 86400
    nights = sorted(folder for folder in paths.runs().glob("*Z-*/memory") if folder.is_dir())
    return [folder for folder in nights[:-1] if _began(folder.parent) < oldest]


def _began(run: Path) -> float:
    """When a run began, by its name (20261005T100000Z-…): files are touched when a folder is
    restored.
    """
    return datetime.strptime(run.name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


def path_of(source: str, feed: str, sha256: str) -> Path:
    """Where the bytes with that hash are, or would be."""
    return folder() / source / feed / f"{sha256}.gz"


def store(source: str, feed: str, file: Path, sha256: str) -> Path:
    """Archive a file, whole or not at all. gzip's own time stamp is 0, so equal bytes give equal
    archives.
    """
    path = path_of(source, feed, sha256)
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (
        files.replacing(path) as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=1, mtime=0) as packed,
        file.open("rb") as original,
    ):
        shutil.copyfileobj(original, packed, 1 << 20)
    return path


def restore(source: str, feed: str, sha256: str, to: Path) -> Path:
    """Unpack archived bytes to `to` and check them against their hash."""
    path = path_of(source, feed, sha256)
    to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest = hashlib.sha256()
    try:
        with gzip.open(path, "rb") as packed, to.open("wb") as file:
            while block := packed.read(1 << 20):
                digest.update(block)
                file.write(block)
    except (OSError, EOFError) as error:
        raise ArchiveDamagedError(
            f"{path} cannot be unpacked ({type(error).__name__}); restore it from the backup"
        ) from None
    if digest.hexdigest() != sha256:
        raise ArchiveDamagedError(
            f"{path} does not hold the bytes its name promises; restore it from the backup"
        )
    return to
