"""Files over SFTP, in and out, with a pinned host key.

In: a `Place` (host, user, private key file, known_hosts file, folder).
Out: `list`, `get`, `put`, `size`, `holds` on that folder. What arrives, here or there, arrives
whole: it is written under a temporary name, its size is compared with the other side, and only then
it takes its name.

What a server can do is tried, never read from its words or from what it announces: how it tells a
size (by stat, by its list, or not at all), how it renames (posix-rename, rename, or by moving
yesterday's file aside), whether it takes a file as soon as it is closed. Each write waits for its
answer and the close is one of the requests that must be answered: of a server that tells no size
these are the proof.

Refuses: a host whose key is not in `known_hosts` (an unknown key is never accepted "this once"),
passwords, agents and keys found by chance, names that would leave the folder, a transfer of the
wrong size. Every error is an `SftpError` whose text is a sentence with the next step.
"""

from __future__ import annotations

import asyncio
import hashlib
import posixpath
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from common import files
from common.ssh import ANSWERS, HostKeyError, Place, SftpError, answer, connected, told, why

if TYPE_CHECKING:
    import asyncssh

T = TypeVar("T")

__all__ = [
    "Entry",
    "HostKeyError",
    "Place",
    "Receipt",
    "Sftp",
    "SftpError",
    "TooLargeError",
    "connect",
]

CHUNK = 1 << 18  # what is read at once, by requests of 16 kB side by side
BLOCK = 1 << 14  # what is written at once: timid servers refuse more than 16 kB
PART = ".part"
ASIDE = ".old.part"
# OpenSSH's own client keeps at most 64 requests in flight; some servers hang on more.
REQUESTS_IN_FLIGHT = 64


@dataclass(frozen=True)
class Entry:
    """One regular file in the folder."""

    name: str
    size: int
    modified_at: datetime


@dataclass(frozen=True)
class Receipt:
    """What was delivered: `sha256` is of the bytes sent, each answered for by the other side.
    `taken`: it took the file as soon as it was closed.
    """

    name: str
    size: int
    sha256: str
    taken: bool = False


class TooLargeError(SftpError):
    """A file that is larger than any we take; nothing of it is kept."""

    def __init__(self, name: str, size: int, most: int) -> None:
        self.size, self.most = size, most
        super().__init__(f"{name} has {size / 1e6:,.0f} MB or more, limit {most / 1e6:,.0f} MB")


@dataclass(frozen=True)
class _Seen:
    """A file that is there, and its size if the server tells it anywhere."""

    size: int | None


class Sftp:
    """An open folder. Made by `connect`; not shared between threads."""

    def __init__(
        self, client: asyncssh.SFTPClient, place: Place, run: Callable[[Coroutine[Any, Any, T]], T]
    ) -> None:
        self._client = client
        self._place = place
        self._run = run
        self.links: list[str] = []  # names the last listing left out: a link may point anywhere

    def list(self) -> list[Entry]:
        """The regular files of the folder by name; folders, links and half-written `.part` files
        are left out. A size the server does not tell counts as 0.
        """
        with told(self._place, "list the folder"):
            found = self._run(self._listed())
        self.links = sorted(str(item.filename) for item in found if _is_link(item))
        return sorted(
            (
                Entry(
                    str(item.filename),
                    item.attrs.size or 0,
                    datetime.fromtimestamp(item.attrs.mtime or 0, UTC),
                )
                for item in found
                if _is_file(item) and not str(item.filename).endswith(PART)
            ),
            key=lambda entry: entry.name,
        )

    def size(self, name: str) -> int | None:
        """The size of a file; None when it is not there, or the server tells no size."""
        path = self._path(name)
        with told(self._place, f"ask for the size of {name}"):
            seen = self._run(self._seen(path))
        return seen.size if seen else None

    def holds(self, name: str, size: int, sha256: str) -> bool:
        """Whether exactly these bytes are there under this name. What the server does not let us
        find out is no.
        """
        path = self._path(name)
        digest = hashlib.sha256()
        with told(self._place, f"read {name} back"):
            seen = self._run(self._seen(path))
            if seen is None or seen.size not in {size, None}:
                return False
            try:
                came = self._run(self._read(path, digest.update))
            except ANSWERS:
                return False
        return (came, digest.hexdigest()) == (size, sha256)

    def get(self, name: str, to: Path, most: int | None = None) -> Path:
        """Download to `to`: nothing stands there before all bytes have come and been counted. Where
        the server tells no size they are read twice. Raises TooLargeError above `most` bytes.
        """
        path = self._path(name)
        to.parent.mkdir(parents=True, exist_ok=True)
        with told(self._place, f"download {name}"), files.replacing(to, alone=True) as local:
            before, digest = self._run(self._seen(path)), hashlib.sha256()
            if before is None:
                raise FileNotFoundError(name)

            if most is not None and (before.size or 0) > most:
                raise TooLargeError(name, before.size or 0, most)

            def keep(block: bytes) -> None:
                if most is not None and local.tell() + len(block) > most:
                    raise TooLargeError(name, local.tell() + len(block), most)
                digest.update(block)
                local.write(block)

            came = self._run(self._read(path, keep))
            promised = came if before.size is None else before.size
            if before.size is None:
                again = hashlib.sha256()
                now = self._run(self._read(path, again.update))
                same = again.digest() == digest.digest()
            else:
                after = self._run(self._seen(path))
                now = (after.size if after else None) or 0
                same = now == promised
            if came != promised or not same:
                raise SftpError(
                    f"{self._place}: {name} changed while it was read ({promised:,} bytes promised,"
                    f" {came:,} came, {now:,} there now): it is still being written; run again when"
                    " the other side is done"
                )
        return to

    def put(self, path: Path, name: str) -> Receipt:
        """Upload as `name`.part, compare the size, then rename over `name`: a reader sees the old
        file or the new. A server that takes the part as soon as it is closed is given the file once
        more, under its own name.
        """
        target = self._path(name)
        with told(self._place, f"upload {name}"):
            return self._run(self._put(path, name, target))

    async def _put(self, path: Path, name: str, target: str) -> Receipt:
        if self._place.temporary_name:
            part = target + PART
            file = await self._opened_anew(part)
            try:
                sent, digest = await self._written(path, file)
                stored = await self._is_stored(part, name, sent)
                if stored and await self._renamed(part, target, name):
                    return Receipt(name, sent, digest)
            except BaseException:
                await self._cleared(self._client.remove(part))
                raise
        file = await self._opened(target)
        try:
            sent, digest = await self._written(path, file)
            stored = await self._is_stored(target, name, sent)
        except BaseException:
            await self._cleared(self._client.remove(target))  # half a file is worse than none
            raise
        return Receipt(name, sent, digest, taken=not stored)

    async def _opened(self, path: str) -> asyncssh.SFTPClientFile:
        return await self._timed(self._client.open(path, "wb", block_size=None))

    async def _opened_anew(self, part: str) -> asyncssh.SFTPClientFile:
        """A part to write to, also where nothing is overwritten and a killed upload left one."""
        try:
            return await self._opened(part)
        except ANSWERS:
            if not await self._tried(self._client.remove(part)):
                raise
        return await self._opened(part)

    async def _written(self, path: Path, file: asyncssh.SFTPClientFile) -> tuple[int, str]:
        """Write a file, each block answered before the next, and close it: size and sha256."""
        digest, sent = hashlib.sha256(), 0
        try:
            with path.open("rb") as local:
                while block := local.read(BLOCK):
                    digest.update(block)
                    await self._timed(file.write(block))
                    sent += len(block)
        except BaseException:
            await self._cleared(file.close())
            raise
        await self._timed(file.close())
        return sent, digest.hexdigest()

    async def _is_stored(self, path: str, name: str, sent: int) -> bool:
        """Whether it is there still; it is whole as far as the server tells."""
        seen = await self._seen(path)
        if seen and seen.size not in {sent, None}:
            raise SftpError(
                f"{self._place}: {name} was not delivered: {sent:,} bytes sent, {seen.size:,}"
                " stored; ask the other side whether its disk is full, then run again"
            )
        return seen is not None

    async def _renamed(self, part: str, target: str, name: str) -> bool:
        """Give the part its name, whatever the server can; False where somebody took it meanwhile.

        A server that overwrites nothing has yesterday's file moved aside, and back should the part
        stay where it is. The file is away for an instant: with such servers nothing better exists.
        """
        for rename in (self._client.posix_rename, self._client.rename):
            if await self._tried(rename(part, target)):
                return True
        if await self._seen(part) is None:
            return False
        aside = target + ASIDE
        await self._tried(self._client.remove(aside))
        moved = await self._tried(self._client.rename(target, aside))
        try:
            await self._timed(self._client.rename(part, target))
        except BaseException as error:
            if moved:
                await self._cleared(self._client.rename(aside, target))
            if isinstance(error, FileNotFoundError):
                return False
            if isinstance(error, ANSWERS):
                raise SftpError(
                    f"{self._place}: {name} was not delivered: the server takes it and does not let"
                    f" us give it its name ({why(error)}), and what stood there before stands"
                    " there still; ask the other side for the right to rename and to delete in this"
                    " folder, or set temporary_name = false if it takes files as they are written"
                ) from None
            raise
        await self._cleared(self._client.remove(aside))
        return True

    async def _seen(self, path: str) -> _Seen | None:
        """What the server tells of a file, by stat or, where that is refused or says no size, by
        the list of its folder. None: it is not there.
        """
        there = False
        try:
            attrs = await self._timed(self._client.stat(path))
        except FileNotFoundError:
            return None
        except ANSWERS:
            pass  # it may be in the list
        else:
            if attrs.size is not None:
                return _Seen(attrs.size)
            there = True
        try:
            found = await self._listed()
        except ANSWERS:
            return _Seen(None)  # nothing is told, neither that it is there nor that it is not
        name = posixpath.basename(path)
        listed = next((item for item in found if str(item.filename) == name), None)
        if listed is None:
            return _Seen(None) if there else None
        return _Seen(listed.attrs.size)

    async def _listed(self) -> list[asyncssh.SFTPName]:
        return list(await self._timed(self._client.readdir(self._place.folder or ".")))

    async def _read(self, path: str, keep: Callable[[bytes], Any]) -> int:
        """Hand over every block of a file; how many bytes came."""
        file = await self._timed(self._client.open(path, "rb", max_requests=REQUESTS_IN_FLIGHT))
        came = 0
        try:
            while block := await self._timed(file.read(CHUNK)):
                came += len(block)
                keep(block)
        finally:
            await self._cleared(file.close())
        return came

    async def _timed(self, request: Awaitable[T]) -> T:
        return await answer(request, self._place.timeout)

    async def _tried(self, request: Awaitable[Any]) -> bool:
        """Whether the server did it; what it says instead is not asked."""
        try:
            await self._timed(request)
        except ANSWERS:
            return False
        return True

    async def _cleared(self, request: Awaitable[Any]) -> None:
        """Done if it can be: what matters has happened, or its error is the one worth telling."""
        import asyncssh

        with suppress(*ANSWERS, OSError, EOFError, asyncssh.Error):
            await self._timed(request)

    def _path(self, name: str) -> str:
        if not name or "/" in name or "\\" in name or "\0" in name or name in {".", ".."}:
            raise SftpError(
                f"{self._place}: {name!r} is not a plain file name; only files of the folder are"
                " touched"
            )
        return posixpath.join(self._place.folder, name) if self._place.folder else name


def _is_file(item: asyncssh.SFTPName) -> bool:
    """A regular file, or what the server says no kind of."""
    import asyncssh

    kinds = {asyncssh.FILEXFER_TYPE_REGULAR, asyncssh.FILEXFER_TYPE_UNKNOWN}
    return item.attrs.type in kinds and item.filename not in {".", ".."}


def _is_link(item: asyncssh.SFTPName) -> bool:
    import asyncssh

    return item.attrs.type == asyncssh.FILEXFER_TYPE_SYMLINK


@contextmanager
def connect(place: Place) -> Iterator[Sftp]:
    """Open the folder. Refuses a host whose key is not pinned and a key file that
    cannot be read.
    """
    if ".." in place.folder.split("/"):
        raise SftpError(
            f"{place}: `..` in the folder is refused; write where it leads to in the settings"
        )
    with asyncio.Runner() as runner:
        connection = runner.run(connected(place))
        try:
            with told(place, "open the SFTP subsystem"):
                client = runner.run(_opened(connection, place.timeout))
            yield Sftp(client, place, runner.run)
        finally:
            runner.run(_closed(connection))


async def _opened(connection: asyncssh.SSHClientConnection, seconds: float) -> asyncssh.SFTPClient:
    async with asyncio.timeout(seconds):
        return await connection.start_sftp_client(path_errors="surrogateescape")


async def _closed(connection: asyncssh.SSHClientConnection) -> None:
    """Every request was answered: nobody waits for a polite end."""
    import asyncssh

    connection.abort()
    with suppress(OSError, EOFError, asyncssh.Error):
        async with asyncio.timeout(1):
            await connection.wait_closed()
