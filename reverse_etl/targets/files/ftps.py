"""A folder of an FTP server over TLS (RFC 4217), for a vendor who has nothing else.

In: a `Place`. Out: `connect`, an open folder that lists, holds and puts as one over SFTP does.

Channel and data are both sealed, and a certificate nobody vouches for is refused. Servers that want
the session of the channel on the data too (vsftpd's and proftpd's default) get it. An answer 226 is
no proof: it also follows half a file; the size is compared before the part gets its name, and a
part that was not taken whole is never renamed over yesterday's file. What a blind folder does not
tell is not asked again: there the closed and answered transfer is all the proof there is.
"""

from __future__ import annotations

import contextlib
import ftplib
import hashlib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common.sftp import PART, Entry, Receipt, SftpError

BLOCK = 1 << 16


@dataclass(frozen=True)
class Place:
    """A folder and what is needed to get there."""

    host: str
    port: int
    user: str
    password: str
    ca_file: str
    folder: str
    timeout: float
    temporary_name: bool

    def __str__(self) -> str:
        return f"ftps://{self.user}@{self.host}:{self.port}/{self.folder.lstrip('/')}"


class _Wire(ftplib.FTP_TLS):
    """Data under the session of the channel."""

    def ntransfercmd(self, cmd: str, rest: Any = None) -> tuple[Any, int | None]:
        connection, size = ftplib.FTP.ntransfercmd(self, cmd, rest)  # noqa: S321 - sealed below
        session = self.sock.session  # type: ignore[union-attr]
        host = self.host
        return self.context.wrap_socket(connection, server_hostname=host, session=session), size


class Ftps:
    """An open folder."""

    def __init__(self, wire: _Wire, place: Place) -> None:
        self._wire, self._place = wire, place

    def list(self) -> list[Entry]:
        """Its regular files by name, but those half written; of a folder that shows nothing,
        none.
        """
        with _told(self._place, "list the folder"):
            found = self._listed()
        return [
            Entry(name, int(facts.get("size", 0)), _moment(facts.get("modify", "")))
            for name, facts in sorted(found.items())
            if not name.endswith(PART)
        ]

    def holds(self, name: str, size: int, sha256: str) -> bool:
        """Whether exactly these bytes are there under this name. What the server does not let us
        find out is no.
        """
        digest = hashlib.sha256()
        with _told(self._place, f"read {name} back"):
            if self._size(name) not in {size, None}:
                return False
            try:
                self._wire.retrbinary(f"RETR {name}", digest.update, BLOCK)
            except ftplib.error_perm:
                return False
        return digest.hexdigest() == sha256

    def put(self, path: Path, name: str) -> Receipt:
        """Upload as `name`.part, compare the size, then rename: a reader sees the old file or the
        new.
        """
        stored = name + PART if self._place.temporary_name else name
        sent, digest = path.stat().st_size, hashlib.sha256()
        with _told(self._place, f"upload {name}"):
            with path.open("rb") as local:
                self._wire.storbinary(f"STOR {stored}", local, BLOCK, callback=digest.update)
            there = self._size(stored)
            if there not in {sent, None}:
                self._cleared(stored)
                raise SftpError(
                    f"{self._place}: {name} was not delivered: {sent:,} bytes sent, {there:,}"
                    " stored; ask the other side whether its disk is full, then run again"
                )
            if stored != name:
                self._named(stored, name)
        return Receipt(name, sent, digest.hexdigest())

    def _named(self, part: str, name: str) -> None:
        """Give the part its name; a server that overwrites nothing has yesterday's file deleted,
        which is away for an instant.
        """
        try:
            self._wire.rename(part, name)
        except ftplib.error_perm:
            self._cleared(name)
            try:
                self._wire.rename(part, name)
            except ftplib.error_perm as error:
                raise SftpError(
                    f"{self._place}: {name} was not delivered: the server takes it and does not let"
                    f" us give it its name ({_code(error)}); ask the other side for the right to"
                    " rename in this folder, or set temporary_name = false if it takes files as"
                    " they are written"
                ) from None

    def _size(self, name: str) -> int | None:
        """What the server says of a file's size, by SIZE or by its list; None where by neither."""
        try:
            self._wire.voidcmd("TYPE I")
            return self._wire.size(name)
        except ftplib.error_perm:
            pass  # not there, or not told so: its list may say
        try:
            size = self._listed().get(name, {}).get("size", "")
        except ftplib.error_perm:
            return None
        return int(size) if size.isdigit() else None

    def _listed(self) -> dict[str, dict[str, str]]:
        try:
            return {name: facts for name, facts in self._wire.mlsd() if facts.get("type") == "file"}
        except ftplib.error_perm:
            names: list[str] = []
            with contextlib.suppress(ftplib.error_perm):  # an empty folder, or one that is blind
                names = self._wire.nlst()
            return {name.rpartition("/")[2]: {} for name in names}

    def _cleared(self, name: str) -> None:
        with contextlib.suppress(ftplib.error_perm):
            self._wire.delete(name)


@contextmanager
def connect(place: Place) -> Iterator[Ftps]:
    """Sign in and open the folder."""
    if ".." in place.folder.split("/"):
        raise SftpError(
            f"{place}: `..` in the folder is refused; write where it leads to in the settings"
        )
    try:
        context = ssl.create_default_context(cafile=place.ca_file or None)
    except (OSError, ssl.SSLError):
        raise SftpError(f"{place}: ca_file cannot be read as a certificate authority") from None
    wire = _Wire(context=context, timeout=place.timeout, encoding="utf-8")
    with _told(place, "connect"):
        wire.connect(place.host, place.port)
        wire.login(place.user, place.password)
        wire.prot_p()
        if place.folder:
            wire.cwd(place.folder)
    try:
        yield Ftps(wire, place)
    finally:
        # every request was answered: nobody waits for a polite end
        wire.close()


@contextmanager
def _told(place: Place, what: str) -> Iterator[None]:
    """What the other side answers, or does not, as a sentence without its own words."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise SftpError(
            f"{place}: could not {what}: its certificate is not believed"
            f" ({error.verify_message}); set ca_file, or ask the other side"
        ) from None
    except ftplib.Error as error:
        refused = what == "connect" and str(error).startswith("530")
        advice = (
            "check user and password"
            if refused
            else "ask the other side whether the folder is there, has room and lets this user write"
        )
        raise SftpError(
            f"{place}: could not {what}: it answers {_code(error)}; {advice}, then run again"
        ) from None
    except (OSError, EOFError) as error:
        raise SftpError(
            f"{place}: could not {what}: {type(error).__name__}; check host, port and firewall,"
            " then run again"
        ) from None


def _code(error: Exception) -> str:
    """The three digits of an answer; its words may name anything."""
    return str(error)[:3] if str(error)[:3].isdigit() else type(error).__name__


def _moment(text: str) -> datetime:
    """A moment as MLSD writes it (RFC 3659, 2.3)."""
    try:
        return datetime.strptime(text[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
