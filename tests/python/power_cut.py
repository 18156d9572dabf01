"""A machine that loses power: what may stand on its disk then, for every moment of a piece of work.

`with disk_of(folder) as moments:` watches the operating system's calls (open, fsync, rename, unlink
…), not our functions. Each of `moments` is one thing a cut could leave: names as they were at that
moment, as a journalling file system keeps them in order; bytes only as far as they were synced.
What Python wrote and did not sync is gone, or half of it is (two moments each). The last ones are
of after the work. DuckDB syncs its own files, so those are taken as they are.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CALLS = ("replace", "rename", "unlink", "remove", "rmdir", "mkdir")
WRITES = os.O_WRONLY | os.O_RDWR


@dataclass(frozen=True)
class Moment:
    """What a cut would leave: relative path -> bytes, or where a link points."""

    after: str
    files: dict[str, bytes | str]

    def onto(self, folder: Path) -> Path:
        """Write it down, as the machine finds it when it comes up again."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                path.symlink_to(content)
            else:
                path.write_bytes(content)
        return folder


@dataclass
class _Disk:
    folder: Path
    moments: list[Moment] = field(default_factory=list)
    synced: dict[int, bytes] = field(
        default_factory=dict
    )  # file (inode) -> its bytes on the disk itself
    ours: set[int] = field(default_factory=set)  # files Python has opened to write
    opened: list[tuple[Path, bool]] = field(
        default_factory=list
    )  # since the last look: path, whether it was new

    def open(self, path: Any, flags: int) -> None:
        if (
            flags & WRITES
            and isinstance(path, str | os.PathLike)
            and Path(path).is_relative_to(self.folder)
        ):
            self.opened.append((Path(path), not Path(path).exists()))

    def look(self) -> dict[int, bytes]:
        for path, new in self.opened:
            if path.is_file():
                self.ours.add(path.stat().st_ino)
                if new:  # the number may be one of a file that is gone
                    self.synced.pop(path.stat().st_ino, None)
        self.opened.clear()
        return {
            path.stat().st_ino: path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file() and not path.is_symlink()
        }

    def sync(self, number: int) -> None:
        file = os.fstat(number).st_ino
        content = self.look()
        if file in content:
            self.synced[file] = content[file]

    def remember(self, after: str) -> None:
        now = self.look()
        self.ours &= set(now)
        self.synced = {file: content for file, content in self.synced.items() if file in now}
        for share in (0, 1):
            files: dict[str, bytes | str] = {}
            for path in self.folder.rglob("*"):
                name = str(path.relative_to(self.folder))
                if path.is_symlink():
                    files[name] = str(path.readlink())
                elif path.is_file():
                    files[name] = self._kept(path.stat().st_ino, now[path.stat().st_ino], share)
            self.moments.append(Moment(after, files))

    def _kept(self, file: int, content: bytes, share: int) -> bytes:
        there = self.synced.get(file, b"")
        if file not in self.ours or there == content:
            return content
        common = (
            there if content.startswith(there) else b""
        )  # written over in place: nothing of it is sure
        return (
            common + content[len(common) : len(common) + share * (len(content) - len(common)) // 2]
        )


_watched: list[_Disk] = []


def _hear(event: str, arguments: tuple) -> None:
    if _watched and event == "open":
        _watched[0].open(arguments[0], arguments[2] or 0)


sys.addaudithook(_hear)  # for the life of the process: Python has no way to take it back


@contextmanager
def disk_of(folder: Path) -> Iterator[list[Moment]]:
    """Watch what is done to a folder; what stands there at the beginning is on the disk."""
    disk = _Disk(folder.resolve())
    disk.synced = disk.look()
    calls = {name: getattr(os, name) for name in (*CALLS, "fsync", "fdatasync")}

    def told(name: str) -> Any:
        def call(*arguments: Any, **more: Any) -> Any:
            disk.remember(f"before {name} {arguments[0]}")
            return calls[name](*arguments, **more)

        return call

    def synced(name: str) -> Any:
        def call(number: Any) -> None:
            disk.remember(f"before {name}")
            calls[name](number)
            disk.sync(number if isinstance(number, int) else number.fileno())

        return call

    _watched.append(disk)
    try:
        for name in calls:
            setattr(os, name, synced(name) if "sync" in name else told(name))
        yield disk.moments
    finally:
        for name, call in calls.items():
            setattr(os, name, call)
        _watched.remove(disk)
    disk.remember("after")
