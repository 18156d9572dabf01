"""Places: where answers lie. A folder of a server or of this machine, or a mailbox.

In: `[targets.<name>.receipts]`. Out: files by name, when they came, their bytes; the oldest first.
Nothing there is moved, marked or deleted: what lies there for so many days is read every night.
Refused: a mailbox whose certificate nobody vouches for.
"""

from __future__ import annotations

import email
import email.policy
import imaplib
import re
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Literal

from common import sftp
from common.settings import Count, Secret, Section, Some, Text
from reverse_etl.receipts.layout import ReceiptError

LARGEST = 20_000_000  # bytes of one answer
MOST = 500  # answers of one night: the newest
SECONDS = 30.0
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Receipts(Section):
    """[targets.<name>.receipts]: where the other side's answers lie."""

    layout: Text = ""
    """How they are written: `receipts/<layout>.yml`; unset: of the target's name."""
    via: Literal["", "sftp", "folder", "imap"] = ""
    """Where: on the server files go to, in a folder of this machine, or in a mailbox; unset: as
    files go."""
    folder: Text = ""
    """The folder of return files and logs."""
    failed_folder: Text = ""
    """A folder in which files of ours lie that were not taken at all."""
    days: Count = 14
    """What is older is read no more."""
    host: Text = ""
    """The mail server (IMAP over TLS)."""
    port: Some = 993
    """Where it listens."""
    user: Text = ""
    """Who signs in there."""
    password: Secret = ""
    """To secrets.toml or the environment."""
    ca_file: Text = ""
    """The certificate authority of the mail server, as PEM; unset: those of the machine."""
    mailbox: Text = "INBOX"
    """Which folder of the mailbox."""
    sender: Text = ""
    """Only mails from this address; unset: from anybody."""


@dataclass(frozen=True)
class Found:
    """One answer."""

    name: str
    at: datetime
    data: bytes


def of_folder(path: str, since: datetime, wanted: Callable[[str], bool]) -> Iterator[Found]:
    """Those of a folder of this machine. Raises ReceiptError."""
    folder = Path(path)
    if not folder.is_dir():
        raise ReceiptError(f"{path} is no folder that is there now: is the share mounted?")
    entries = [
        (datetime.fromtimestamp(one.stat().st_mtime, UTC), one)
        for one in folder.iterdir()
        if one.is_file() and wanted(one.name)
    ]
    for at, one in sorted(entries)[-MOST:]:
        if at >= since:
            if one.stat().st_size > LARGEST:
                raise ReceiptError(f"{one.name} has more than {LARGEST:,} bytes")
            yield Found(one.name, at, one.read_bytes())


def of_server(place: sftp.Place, since: datetime, wanted: Callable[[str], bool]) -> Iterator[Found]:
    """Those of a folder by SFTP. Raises sftp.SftpError."""
    with sftp.connect(place) as remote, tempfile.TemporaryDirectory() as room:
        entries = [one for one in remote.list() if wanted(one.name)]
        for one in sorted(entries, key=lambda e: (e.modified_at, e.name))[-MOST:]:
            if one.modified_at >= since:
                path = remote.get(one.name, Path(room) / "answer", LARGEST)
                yield Found(one.name, one.modified_at, path.read_bytes())


def of_mailbox(said: Receipts, since: datetime, wanted: Callable[[str], bool]) -> Iterator[Found]:
    """Attachments of mails, and the text of a mail without one under the name `mail.txt`. Raises
    ReceiptError.
    """
    try:
        trusted = ssl.create_default_context(cafile=said.ca_file or None)
        server = imaplib.IMAP4_SSL(said.host, said.port, ssl_context=trusted, timeout=SECONDS)
    except (OSError, imaplib.IMAP4.error) as error:
        raise ReceiptError(
            f"the mail server {said.host} cannot be reached ({type(error).__name__})"
        ) from None
    try:
        server.login(said.user, said.password)
        # read-only, and by PEEK: nothing there is marked as read
        answer, _ = server.select(_quoted(said.mailbox), readonly=True)
        if answer != "OK":
            raise ReceiptError(f"there is no mailbox {said.mailbox}")
        asked = ["SINCE", f"{since.day:02}-{MONTHS[since.month - 1]}-{since.year}"]
        if said.sender:
            asked += ["FROM", _quoted(said.sender)]
        _, (listed, *_) = server.uid("SEARCH", *asked)
        for number in (listed or b"").split()[-MOST:]:
            yield from _of_mail(server, number.decode("ascii"), since, wanted)
    except (OSError, imaplib.IMAP4.error) as error:
        raise ReceiptError(
            f"the mail server {said.host} does not let us read ({type(error).__name__}); check"
            " user, password and mailbox"
        ) from None
    finally:
        with suppress(OSError, imaplib.IMAP4.error):
            server.logout()


def _quoted(text: str) -> str:
    """A quoted string of IMAP (RFC 3501, section 4.3)."""
    return '"' + re.sub(r'([\\"])', r"\\\1", re.sub(r"[\r\n]", "", text)) + '"'


def _of_mail(
    server: imaplib.IMAP4_SSL, number: str, since: datetime, wanted: Callable[[str], bool]
) -> Iterator[Found]:
    _, parts = server.uid("FETCH", number, f"(INTERNALDATE BODY.PEEK[]<0.{LARGEST}>)")
    for part in parts or ():
        if not isinstance(part, tuple):
            continue
        when = imaplib.Internaldate2tuple(part[0])
        at = datetime(*when[:6]).astimezone(UTC) if when else since
        message = email.message_from_bytes(part[1], policy=email.policy.default)
        if at < since or not isinstance(message, EmailMessage):
            continue
        found = [
            (one.get_filename() or "", one.get_payload(decode=True))
            for one in message.iter_attachments()
        ]
        kept = [(n, data) for n, data in found if wanted(n) and isinstance(data, bytes)]
        body = message.get_body(("plain",))
        if not kept and body is not None and wanted("mail.txt"):
            kept = [("mail.txt", body.get_content().encode("utf-8"))]
        for name, data in kept:
            yield Found(name, at, data)


def since_of(said: Receipts, now: datetime) -> datetime:
    """From when on answers are read."""
    return now - timedelta(days=said.days)


def elsewhere(place: sftp.Place, folder: str) -> sftp.Place:
    """Another folder of a server."""
    return replace(place, folder=folder)
