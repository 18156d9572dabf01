"""Signing in to an SSH server with a pinned host key, and what its failures are called.

In: a `Place` (host, user, private key file, known_hosts file). Out: `connected`, an open
connection; `answer`, what the other side says to one request; `told`, which turns what it answers,
or does not, into a sentence. Refuses a host whose key is not pinned, and keys, agents and passwords
found by chance: nothing of the user's own SSH configuration is read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import asyncssh

T = TypeVar("T")

# asyncssh reports through logging what it also raises; with no handler anywhere Python would print
# it twice.
logging.getLogger("asyncssh").addHandler(logging.NullHandler())


class SftpError(Exception):
    """Something between us and the other side failed; the text says what, where and what to do."""


class RefusedError(Exception):
    """The server answered a request with no; its words are only shown."""


# what the other side answers, where a broken wire or a late answer is none
ANSWERS = (FileNotFoundError, PermissionError, RefusedError)


class HostKeyError(SftpError):
    """The host did not show the key that is pinned: it does not become it by waiting."""


@dataclass(frozen=True)
class Place:
    """A folder on an SFTP server and what is needed to get there; `folder` empty means the login
    folder. Without `temporary_name` a file is written under its own name at once.
    """

    host: str
    port: int
    user: str
    key_file: str
    known_hosts: str
    folder: str = ""
    timeout: float = 30.0
    temporary_name: bool = True
    password: str = ""  # of a server that takes no key; the host's key is pinned all the same

    def __str__(self) -> str:
        return f"sftp://{self.user}@{self.host}:{self.port}/{self.folder.lstrip('/')}"


async def connected(place: Place) -> asyncssh.SSHClientConnection:
    import asyncssh

    pinned = _known_hosts(place)
    keys_of_ours = [] if place.password and not place.key_file else [_private_key(place)]
    shown: list[asyncssh.SSHKey] = []

    class Client(asyncssh.SSHClient):
        """Nobody is let in who is not pinned; what was shown instead is said."""

        def validate_host_public_key(
            self, host: str, addr: str, port: int, key: asyncssh.SSHKey
        ) -> bool:
            del host, addr, port
            shown.append(key)
            return False

    try:
        return await asyncssh.connect(
            place.host,
            place.port,
            username=place.user,
            client_keys=keys_of_ours or None,
            password=place.password or None,
            known_hosts=pinned,
            client_factory=Client,
            preferred_auth="publickey" if keys_of_ours else "password",
            agent_path=None,
            gss_host=None,
            config=None,
            connect_timeout=place.timeout,
            login_timeout=place.timeout,
        )
    except asyncssh.HostKeyNotVerifiable:
        keys, authorities, *_ = pinned.match(place.host, "", place.port)
        if not keys and not authorities:
            raise HostKeyError(
                f"{place}: the host has no pinned key in {place.known_hosts}: nothing was read or"
                " sent; ask the other side for its key and pin it"
            ) from None
        key = shown[0] if shown else None
        shows = f"{key.get_algorithm()} {key.get_fingerprint()}" if key else "a certificate"
        raise HostKeyError(
            f"{place}: the host's key is not the pinned one (it shows {shows},"
            f" {place.known_hosts} has another):"
            " nothing was read or sent; ask the other side whether they changed it, and only then"
            " pin the new key"
        ) from None
    except asyncssh.KeyExchangeFailed as error:
        raise HostKeyError(
            f"{place}: could not connect: {why(error)}: the server has no key of a kind that is"
            f" pinned in {place.known_hosts}, or no cipher that is still safe; ask the other side"
            " whether they changed it"
        ) from None
    except asyncssh.PermissionDenied:
        raise SftpError(
            f"{place}: the server does not accept user {place.user} with"
            + (
                f" the key {place.key_file}; ask the other side to install its public half"
                if keys_of_ours
                else " this password; ask the other side for the right one, or to take a key"
            )
        ) from None
    except TimeoutError:
        raise SftpError(
            f"{place}: could not connect: no answer within {place.timeout:g} s; check host, port"
            " and firewall, then run again"
        ) from None
    except asyncssh.Error as error:
        raise SftpError(
            f"{place}: could not connect: {why(error)}; run again, then ask the other side"
        ) from None
    except (OSError, EOFError) as error:
        raise SftpError(
            f"{place}: could not connect: {why(error)}; check host, port and firewall, then run"
            " again"
        ) from None


def _known_hosts(place: Place) -> asyncssh.SSHKnownHosts:
    import asyncssh

    if not place.known_hosts:
        raise SftpError(
            f"{place}: no known_hosts file is set; pin the host's key before the first connection"
        )
    try:
        pinned = asyncssh.read_known_hosts(place.known_hosts)
    except (OSError, ValueError) as error:
        raise SftpError(
            f"{place}: known_hosts file {place.known_hosts} cannot be read ({why(error)}); "
            f'make it with "ssh-keyscan -p {place.port} {place.host}" and compare the key with the'
            " one you were told"
        ) from None
    return pinned


def _private_key(place: Place) -> asyncssh.SSHKey:
    import asyncssh

    try:
        return asyncssh.read_private_key(place.key_file)
    except (OSError, ValueError) as error:
        raise SftpError(
            f"{place}: private key file {place.key_file or '(none set)'} cannot be read"
            f" ({type(error).__name__}); check key_file in the settings; it must be an OpenSSH or"
            " PEM key without a passphrase"
        ) from None


async def answer(request: Awaitable[T], seconds: float) -> T:
    """The answer to one request. Raises one of ANSWERS, or TimeoutError, or what says that the wire
    is broken.
    """
    import asyncssh

    try:
        async with asyncio.timeout(seconds):
            return await request
    except (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection):
        raise
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath) as error:
        raise FileNotFoundError(error.reason) from None
    except (asyncssh.SFTPPermissionDenied, asyncssh.SFTPWriteProtect) as error:
        raise PermissionError(error.reason) from None
    except asyncssh.SFTPError as error:
        raise RefusedError(f"{error.reason} (SFTP code {error.code})") from None


@contextmanager
def told(place: Place, deed: str) -> Iterator[None]:
    """Turn what the other side answers, or does not, into a sentence."""
    import asyncssh

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
    except (RefusedError, OSError, EOFError, asyncssh.Error) as error:
        raise SftpError(
            f"{place}: could not {deed}: {why(error)}; run again, then ask the other side"
        ) from error


def why(error: BaseException) -> str:
    return str(error) or type(error).__name__
