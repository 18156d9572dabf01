"""Files over SFTP, in and out, with a pinned host key.

In: a `Place` (host, user, private key file, known_hosts file, folder).
Out: `list`, `get`, `put`, `size` on that folder. What arrives, here or there, arrives whole: it is
written under a temporary name, its size is compared with the other side, and only then it takes its
name.

Refuses: a host whose key is not in `known_hosts` (an unknown key is never accepted "this once"),
passwords, agents and keys found by chance, names that would leave the folder, a transfer of the
wrong size. Every error is an `SftpError` whose text is a sentence with the next step.
"""

from __future__ import annotations

import hashlib
import logging
import posixpath
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from common import files

if TYPE_CHECKING:
    import paramiko

# paramiko reports through logging what it also raises; with no handler anywhere Python would print
# it twice.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

CHUNK = 1 << 20
# OpenSSH's own client keeps at most 64 requests in flight; some servers hang on paramiko's
# unlimited default.
REQUESTS_IN_FLIGHT = 64


class SftpError(Exception):
    """Something between us and the other side failed; the text says what, where and what to do."""


class HostKeyError(SftpError):
    """The host did not show the key that is pinned: it does not become it by waiting."""


@dataclass(frozen=True)
class Place:
    """A folder on an SFTP server and what is needed to get there; `folder` empty means the login
    folder.
    """

    host: str
    port: int
    user: str
    key_file: str
    known_hosts: str
    folder: str = ""
    timeout: float = 30.0

    def __str__(self) -> str:
        return f"sftp://{self.user}@{self.host}:{self.port}/{self.folder.lstrip('/')}"


@dataclass(frozen=True)
class Entry:
    """One regular file in the folder."""

    name: str
    size: int
    modified_at: datetime


@dataclass(frozen=True)
class Receipt:
    """What was delivered: `sha256` is of the bytes sent, `size` was confirmed by the other side."""

    name: str
    size: int
    sha256: str


class Sftp:
    """An open folder. Made by `connect`; not shared between threads."""

    def __init__(self, client: paramiko.SFTPClient, place: Place) -> None:
        self._client = client
        self._place = place

    def list(self) -> list[Entry]:
        """The regular files of the folder by name; folders, links and half-written `.part` files
        are left out.
        """
        with _told(self._place, "list the folder"):
            found = self._client.listdir_attr(self._place.folder or ".")
        return sorted(
            (
                Entry(
                    item.filename,
                    item.st_size or 0,
                    datetime.fromtimestamp(item.st_mtime or 0, UTC),
                )
                for item in found
                if stat.S_ISREG(item.st_mode or 0) and not item.filename.endswith(".part")
            ),
            key=lambda entry: entry.name,
        )

    def size(self, name: str) -> int | None:
        """The size of a file, None when it is not there."""
        path = self._path(name)
        with _told(self._place, f"ask for the size of {name}"):
            try:
                return self._client.stat(path).st_size
            except FileNotFoundError:
                return None

    def get(self, name: str, to: Path) -> Path:
        """Download to `to`: nothing stands there before all bytes have come and been counted."""
        path = self._path(name)
        to.parent.mkdir(parents=True, exist_ok=True)
        with _told(self._place, f"download {name}"), files.replacing(to, alone=True) as local:
            promised = self._client.stat(path).st_size or 0
            with self._client.open(path, "rb") as remote:
                remote.prefetch(promised, REQUESTS_IN_FLIGHT)
                while block := remote.read(CHUNK):
                    local.write(block)
            came, now = local.tell(), self._client.stat(path).st_size or 0
            if came != promised or now != promised:
                raise SftpError(
                    f"{self._place}: {name} changed while it was read ({promised:,} bytes promised,"
                    f" {came:,} came, {now:,} there now): it is still being written; run again when"
                    " the other side is done"
                )
        return to

    def put(self, path: Path, name: str) -> Receipt:
        """Upload as `name`.part, compare the size, then rename over `name`: a reader sees the old
        file or the new.
        """
        target, part = self._path(name), self._path(name + ".part")
        digest = hashlib.sha256()
        sent = 0
        with _told(self._place, f"upload {name}"):
            try:
                with path.open("rb") as local, self._client.open(part, "wb") as remote:
                    remote.set_pipelined(True)
                    while block := local.read(CHUNK):
                        digest.update(block)
                        sent += len(block)
                        remote.write(block)
                stored = self._client.stat(part).st_size
                if stored != sent:
                    raise SftpError(
                        f"{self._place}: {name} was not delivered: {sent:,} bytes sent,"
                        f" {stored:,} stored; ask the other side whether its disk is full, then run"
                        " again"
                    )
                self._rename(part, target)
            except BaseException:
                import paramiko

                with suppress(
                    OSError, EOFError, paramiko.SSHException
                ):  # the first error is the one worth telling
                    self._client.remove(part)
                raise
        return Receipt(name, sent, digest.hexdigest())

    def _rename(self, part: str, target: str) -> None:
        try:
            self._client.posix_rename(part, target)
        except OSError as error:
            # Servers without OpenSSH's posix-rename answer "unsupported" and never overwrite: make
            # room, then rename. The file is away for an instant; with such servers nothing better
            # exists.
            if "unsupported" not in str(error).lower():
                raise
            with suppress(FileNotFoundError):
                self._client.remove(target)
            self._client.rename(part, target)

    def _path(self, name: str) -> str:
        if not name or "/" in name or "\\" in name or "\0" in name or name in {".", ".."}:
            raise SftpError(
                f"{self._place}: {name!r} is not a plain file name; only files of the folder are"
                " touched"
            )
        return posixpath.join(self._place.folder, name) if self._place.folder else name


@contextmanager
def connect(place: Place) -> Iterator[Sftp]:
    """Open the folder. Refuses a host whose key is not pinned and a key file that
    cannot be read.
    """
    import paramiko  # a fifth of a second that a night without SFTP need not spend

    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    try:
        _load_known_hosts(client, place)
        _authenticate(client, place, _private_key(place))
        with _told(place, "open the SFTP subsystem"):
            files = client.open_sftp()
            files.get_channel().settimeout(place.timeout)
        yield Sftp(files, place)
    finally:
        client.close()


def _load_known_hosts(client: paramiko.SSHClient, place: Place) -> None:
    import paramiko

    if not place.known_hosts:
        raise SftpError(
            f"{place}: no known_hosts file is set; pin the host's key before the first connection"
        )
    try:
        client.load_host_keys(place.known_hosts)
    except (OSError, paramiko.SSHException) as error:
        raise SftpError(
            f"{place}: known_hosts file {place.known_hosts} cannot be read ({_why(error)}); "
            f'make it with "ssh-keyscan -p {place.port} {place.host}" and compare the key with the'
            " one you were told"
        ) from None


def _private_key(place: Place) -> paramiko.PKey:
    import paramiko

    try:
        return paramiko.PKey.from_path(place.key_file)
    except (
        OSError,
        ValueError,
        TypeError,
        paramiko.SSHException,
        paramiko.pkey.UnknownKeyType,
    ) as error:
        raise SftpError(
            f"{place}: private key file {place.key_file or '(none set)'} cannot be read"
            f" ({type(error).__name__}); check key_file in the settings; it must be an OpenSSH or"
            " PEM key without a passphrase"
        ) from None


def _authenticate(client: paramiko.SSHClient, place: Place, key: paramiko.PKey) -> None:
    import paramiko

    try:
        client.connect(
            place.host,
            port=place.port,
            username=place.user,
            pkey=key,
            allow_agent=False,
            look_for_keys=False,
            timeout=place.timeout,
            banner_timeout=place.timeout,
            auth_timeout=place.timeout,
            channel_timeout=place.timeout,
        )
    except paramiko.BadHostKeyException as error:
        raise HostKeyError(
            f"{place}: the host's key is not the pinned one (it shows"
            f" {error.key.get_name()} {error.key.fingerprint}, {place.known_hosts} has another):"
            " nothing was read or sent; ask the other side whether they changed it, and only then"
            " pin the new key"
        ) from None
    except paramiko.AuthenticationException:
        raise SftpError(
            f"{place}: the server does not accept user {place.user} with the key {place.key_file};"
            " ask the other side to install its public half"
        ) from None
    except paramiko.SSHException as error:
        if "not found in known_hosts" in str(error):
            raise HostKeyError(
                f"{place}: the host has no pinned key in {place.known_hosts}: nothing was read or"
                " sent; ask the other side for its key and pin it"
            ) from None
        raise SftpError(
            f"{place}: could not connect: {_why(error)}; run again, then ask the other side"
        ) from None
    except (OSError, EOFError) as error:
        raise SftpError(
            f"{place}: could not connect: {_why(error)}; check host, port and firewall, then run"
            " again"
        ) from None


@contextmanager
def _told(place: Place, deed: str) -> Iterator[None]:
    """Turn what paramiko raises into a sentence."""
    import paramiko

    try:
        yield
    except FileNotFoundError:
        raise SftpError(
            f"{place}: could not {deed}: it is not there; check the folder in the settings"
        ) from None
    except PermissionError:
        raise SftpError(
            f"{place}: could not {deed}: not permitted; ask the other side for the right to"
        ) from None
    except TimeoutError:
        raise SftpError(
            f"{place}: could not {deed}: no answer within {place.timeout:g} s; run again later"
        ) from None
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise SftpError(
            f"{place}: could not {deed}: {_why(error)}; run again, then ask the other side"
        ) from error


def _why(error: BaseException) -> str:
    return str(error) or type(error).__name__
