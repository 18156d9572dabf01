"""The original bytes of every feed that was landed, kept under their own hash.

In: a fetched file. Out: `var/archive/<source>/<feed>/<sha256>.gz`; the same bytes are stored once,
however often they come. The warehouse can be rebuilt from here: `restore` gives the bytes back and
refuses damaged ones.

Every night looks whether they are still what they were: of each file at what stands at its end,
of one in ROUND, another one every night, at every byte. One that is not is renamed `.damaged`,
and written anew from bytes that are still at hand: the file of tonight, another copy in the
archive, the file in its landing folder. What is left over is named every night, until somebody
puts a copy back.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import struct
import time
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb

from common import documents, files, paths
from common.log import event

ROUND = 30  # nights in which every byte is read once
DAMAGED = ".damaged"
END = struct.Struct("<4xI")  # of gzip: a checksum, and how many bytes were packed


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
        for file in [
            *(folder() / source).glob("*/*.gz"),
            *(folder() / source).glob(f"*/*{DAMAGED}"),
        ]
        if (key := (file.parent.name, file.name.partition(".")[0])) not in set(newest)
        and met.get(key, file.lstat().st_mtime) < oldest
    )


def every(source: str) -> list[Path]:
    """All archived files of a source, the last good ones too."""
    return sorted(path for path in (folder() / source).glob("*/*") if path.is_file())


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


def keep(source: str, feed: str, file: Path, sha256: str, *, there: bool) -> bool:
    """Archive a file of tonight. `there`: it is in force already. Returns whether what stood in the
    archive was damaged, or was gone.
    """
    path = path_of(source, feed, sha256)
    lost = there and not path.is_file()
    if documents.exists(path) and _wrong(path, file.stat().st_size, read=False):
        path.rename(path.with_name(path.name + DAMAGED))
        lost = True
    store(source, feed, file, sha256)
    return lost


def look(
    known: Mapping[tuple[str, str, str], int], landing: Mapping[str, Path], night: date
) -> list[Path]:
    """Rename what is damaged, and write anew what can be; returns the files that were. `known`:
    (source, feed, sha256) -> bytes, as the ledger has them; `landing`: source -> its folder here.
    """
    for path in sorted(folder().glob("*/*/*.gz")):
        size = known.get((path.parent.parent.name, path.parent.name, path.stem))
        its_turn = int(path.stem[:8], 16) % ROUND == night.toordinal() % ROUND
        if _wrong(path, size, read=its_turn):
            path.rename(path.with_name(path.name + DAMAGED))
            event("archive_damaged", file=path.relative_to(folder()))
    return [
        whole
        for left in damaged()
        if not (whole := left.with_suffix("")).is_file() and _written_anew(whole, landing)
    ]


def damaged() -> list[Path]:
    """Files that were found damaged and of which there is no whole one yet."""
    every = sorted(folder().glob(f"*/*/*.gz{DAMAGED}"))
    for path in every:
        if path.with_suffix("").is_file():
            let_go(path)
    return [path for path in every if documents.exists(path)]


def let_go(path: Path) -> None:
    """Remove an archived file, or what somebody put in the place of one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _wrong(path: Path, size: int | None, *, read: bool) -> bool:
    """Whether an archived file is not what its name promises, by its end, or by all of it."""
    try:
        with path.open("rb") as file:
            begin = file.read(2)
            file.seek(max(0, path.stat().st_size - END.size))
            (packed,) = END.unpack(file.read().rjust(END.size, b"\0"))
        if begin != b"\x1f\x8b" or (size is not None and packed != size & 0xFFFFFFFF):
            return True
        return read and _hash(path) != path.stem
    except (OSError, EOFError, zlib.error):
        return True


def _hash(path: Path) -> str:
    with gzip.open(path, "rb") as packed:
        return hashlib.file_digest(packed, "sha256").hexdigest()  # type: ignore[arg-type]


def _written_anew(path: Path, landing: Mapping[str, Path]) -> bool:
    """Whether its bytes were found: elsewhere in the archive, or in its landing folder."""
    source, feed, sha256 = path.parent.parent.name, path.parent.name, path.stem
    for other in sorted(folder().glob(f"*/*/{path.name}")):
        if not _wrong(other, None, read=True):
            with files.replacing(path) as file, other.open("rb") as copy:
                shutil.copyfileobj(copy, file)
            return True
    for original in _landed(landing.get(source)):
        if files.sha256(original) == sha256:
            store(source, feed, original, sha256)
            return True
    return False


def _landed(there: Path | None) -> Iterator[Path]:
    if there is not None and there.is_dir():
        yield from (path for path in there.iterdir() if path.is_file() and not path.is_symlink())


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
    except (OSError, EOFError, zlib.error) as error:
        raise ArchiveDamagedError(
            f"{path} cannot be unpacked ({type(error).__name__}); put its copy back, from wherever"
            " var/archive is copied to"
        ) from None
    if digest.hexdigest() != sha256:
        raise ArchiveDamagedError(
            f"{path} does not hold the bytes its name promises; put its copy back, from wherever"
            " var/archive is copied to"
        )
    return to
