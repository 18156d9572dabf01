"""Archives of files, opened with distrust: what a zip holds, and one member of it.

In: a zip file somebody sent and the layout's limits. Out: its members, or one of them unpacked.
Refuses (ArchiveRefusedError, a sentence) names that leave the folder, links, archives inside the
archive, members locked with a password, and more members, bytes or packing than the limits allow.
What a zip says of its sizes is not believed: unpacking counts.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from lzma import LZMAError
from pathlib import Path
from typing import BinaryIO, Protocol

from common import files
from common.sftp import Entry, SftpError, TooLargeError
from ingestion.layout import Layout, Limits
from ingestion.model import Problem

CHUNK = 1 << 20
NESTED = (".zip", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".tar", ".jar")
LISTED = 1_000  # bytes of a member in the list of contents: 46, its name and what programs add
END_AT_MOST = (1 << 16) + 42  # the record at the end: 22 bytes, a comment, and a locator before it
SMALL = 1 << 20  # a megabyte of blanks packs a thousandfold and harms nobody


class ArchiveRefusedError(Exception):
    """An archive that is not opened; the message says why."""


class Folder(Protocol):
    """Where archives are copied from."""

    def get(self, name: str, to: Path, most: int) -> Path: ...


class Archives:
    """The members of a folder's archives, listed and copied like files; and the archives that were
    refused.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._members: dict[str, tuple[zipfile.ZipFile, zipfile.ZipInfo, datetime]] = {}
        self._refused: list[tuple[Entry, str]] = []

    @classmethod
    @contextmanager
    def opened(
        cls, folder: Folder, layout: Layout, listed: Iterable[Entry], into: Path
    ) -> Iterator[Archives]:
        """Copy and open every archive the layout names."""
        archives = cls(layout.limits)
        with ExitStack() as stack:
            for number, entry in enumerate(
                entry for entry in listed if layout.is_archive(entry.name)
            ):
                try:
                    path = folder.get(entry.name, into / str(number), layout.limits.file_bytes)
                    packed = stack.enter_context(opened(path, layout.limits))
                    for member in contents(packed, path.stat().st_size, layout.limits):
                        archives._members[f"{entry.name}/{member.filename}"] = (
                            packed,
                            member,
                            entry.modified_at,
                        )
                except (ArchiveRefusedError, SftpError) as error:
                    archives._refused.append((entry, str(error)))
            yield archives

    def list(self) -> list[Entry]:
        """The members, as old as their archive: a zip keeps no time zone."""
        return [
            Entry(name, member.file_size, modified_at)
            for name, (_, member, modified_at) in self._members.items()
        ]

    def get(self, name: str, to: Path, most: int) -> Path:
        """Unpack one member, whole or not at all. Raises ArchiveRefusedError."""
        packed, member, _ = self._members[name]
        if member.file_size > most:
            raise TooLargeError(name, member.file_size, most)
        with files.replacing(to, alone=True) as out:
            unpack(packed, member, out, self._limits)
        return to

    def problem(self, newer_than: Entry | None) -> Problem | None:
        """The newest refused archive, unless the feed has a younger file: yesterday's must not pass
        for today's.
        """
        newest = max(self._refused, key=lambda refused: refused[0].modified_at, default=None)
        if newest is None or (newer_than and newer_than.modified_at > newest[0].modified_at):
            return None
        return Problem("feed_archive", {"file": newest[0].name, "why": newest[1]})


def base(name: str) -> str:
    """The file's own name: `nightly.zip/out/People.csv` -> `People.csv`."""
    return name.rsplit("/", 1)[-1]


def contents(packed: zipfile.ZipFile, size: int, limits: Limits) -> list[zipfile.ZipInfo]:
    """The files in an archive of `size` bytes. Raises ArchiveRefusedError."""
    members = packed.infolist()
    if len(members) > limits.members:
        raise ArchiveRefusedError(f"it holds {len(members):,} members, limit {limits.members:,}")
    for member in members:
        name = member.orig_filename.replace("\\", "/")
        if (
            name.startswith("/")
            or ".." in name.split("/")
            or ":" in name.split("/")[0]
            or "\0" in name
        ):
            raise ArchiveRefusedError("a member's name points outside the folder it is unpacked to")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise ArchiveRefusedError("a member is a link, not a file")
        if member.flag_bits & 0x1:
            raise ArchiveRefusedError("a member is locked with a password")
        if name.lower().endswith(NESTED):
            raise ArchiveRefusedError("it holds another archive")
    if len({member.filename for member in members}) < len(members):
        raise ArchiveRefusedError("two of its members have the same name")
    promised = sum(member.file_size for member in members)
    if promised > limits.bytes:
        raise ArchiveRefusedError(
            f"it unpacks to {promised / 1e6:,.0f} MB, limit {limits.megabytes:,} MB"
        )
    if promised > SMALL and promised > limits.ratio * size:
        raise ArchiveRefusedError(
            f"it unpacks to {promised / max(size, 1):,.0f} times its size, limit {limits.ratio:,}"
        )
    return [member for member in members if not member.is_dir()]


def unpack(packed: zipfile.ZipFile, member: zipfile.ZipInfo, out: BinaryIO, limits: Limits) -> None:
    """Write one member to `out`. Raises ArchiveRefusedError when it is damaged or larger than it
    said.
    """
    for block in _blocks(packed, member, limits):
        out.write(block)


def counted(packed: zipfile.ZipFile, member: zipfile.ZipInfo, limits: Limits) -> None:
    """Unpack a member to nowhere: is it as large as it says? Raises ArchiveRefusedError."""
    for _ in _blocks(packed, member, limits):
        continue


def _blocks(packed: zipfile.ZipFile, member: zipfile.ZipInfo, limits: Limits) -> Iterator[bytes]:
    written = 0
    try:
        with packed.open(member) as file:
            while block := file.read(CHUNK):
                written += len(block)
                if written > min(limits.bytes, member.file_size):
                    raise ArchiveRefusedError("a member is larger than the archive says")
                yield block
    except (
        zipfile.BadZipFile,
        zlib.error,
        LZMAError,
        OSError,
        EOFError,
        ValueError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise ArchiveRefusedError(
            f"a member is damaged or packed in a way we do not know ({type(error).__name__})"
        ) from None


def opened(path: Path, limits: Limits) -> zipfile.ZipFile:
    """The archive itself. Raises ArchiveRefusedError when it is none or cut off, or its list is too
    long.
    """
    try:
        listed(path, limits)
        return zipfile.ZipFile(path)
    except (
        zipfile.BadZipFile,
        OSError,
        EOFError,
        ValueError,
        NotImplementedError,
        UnicodeDecodeError,
    ) as error:
        raise ArchiveRefusedError(
            f"it is no zip file, or it is cut off ({type(error).__name__})"
        ) from None


def listed(path: Path, limits: Limits) -> None:
    """Refuse an archive whose list of contents alone is too long to be read: it is held in memory
    before anything is known of the archive. Raises ArchiveRefusedError.
    """
    length, most = _length_of_list(path), limits.members * LISTED
    if length > most:
        raise ArchiveRefusedError(
            f"its list of contents has {length / 1e6:,.0f} MB, limit {most / 1e6:,.0f} MB for"
            f" {limits.members:,} members"
        )


def _length_of_list(path: Path) -> int:
    """How many bytes the list of contents (central directory) says it has, by the record at the
    end of the file: APPNOTE.TXT of ZIP, 4.3.16, and 4.3.14 where the number does not fit there.
    """
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - END_AT_MOST))
        tail = file.read()
        at = tail.rfind(b"PK\x05\x06")
        if at < 0:
            return 0
        length = int.from_bytes(tail[at + 12 : at + 16], "little")
        locator = tail[at - 20 : at] if at >= 20 else b""
        if locator.startswith(b"PK\x06\x07"):
            file.seek(int.from_bytes(locator[8:16], "little"))
            length = int.from_bytes(file.read(56)[40:48], "little")
        return length
