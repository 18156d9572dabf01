"""Targets that take files: render exactly the bytes the vendor reads, hand them over by SFTP, FTPS,
HTTPS, mail or in a folder of this machine, prove it.

In: a `Delivery` (which exports go into which file), the export tables; then a `deliver` change with
what was rendered. Out: the file, its rows, bytes and sha256 (`Rendered`); an outcome whose note is
the receipt.

The same rows give the same bytes: rows ordered by key, archives without clock, owner or machine. So
a delivery can be repeated after a crash, and "is it there already?" is a comparison of hashes.
Nothing here knows a vendor: delimiter, quoting, encoding and headings are settings of the export.

Refuses: a rendered file that is not the one that was recorded; a host whose key is not pinned
(`common.sftp`).
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal

from common import files, paths, settings, sftp
from common.addresses import in_the_clear
from common.mail import Smtp
from common.settings import Number, Secret, Some, Text
from reverse_etl.configured import TargetSettings, settings_of
from reverse_etl.file_rows import Cells
from reverse_etl.form import LINE_ENDS, NO_MOMENT, STRUCTURED, FileFormat, Moment, words_in
from reverse_etl.model import Change, Delivery, Export, Outcome, Rendered
from reverse_etl.receipts.places import Receipts
from reverse_etl.targets.files import ftps, structured
from reverse_etl.targets.files.folder import Folder
from reverse_etl.targets.files.https import NotAgainError, Web
from reverse_etl.targets.files.mail import Mail
from reverse_etl.targets.rest.client import Client
from reverse_etl.targets.rest.settings import Auth
from reverse_etl.targets.rest.settings import Settings as ApiOf

ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the oldest a zip can hold


class TargetNotConfiguredError(Exception):
    """A setting without which nothing can be delivered; the message names it."""


class UnfitError(Exception):
    """A value the file's form has no place for; the message names column and key."""


def write_rows(
    out: BinaryIO,
    form: FileFormat,
    headings: Sequence[str],
    rows: Iterable[Sequence[str | None]],
    moment: Moment = NO_MOMENT,
) -> int:
    """Write one file to `out` as its format says; NULL is written as nothing. Returns how many rows
    there were, its first and last lines not counted.
    """
    text = io.TextIOWrapper(out, encoding=form.codec, newline="", write_through=False)
    line_end = LINE_ENDS[form.line_end]
    if "rows" in words_in(form.banner):
        rows = [*rows]
        text.write(moment.filled(form.banner, rows=len(rows)) + line_end)
    elif form.banner:
        text.write(moment.filled(form.banner) + line_end)
    if form.header:
        text.write(_line(form, headings) + line_end)
    count = 0
    for row in rows:
        text.write(_line(form, row) + line_end)
        count += 1
    if form.trailer:
        text.write(moment.filled(form.trailer, rows=count) + line_end)
    text.flush()
    text.detach()  # `out` belongs to the caller and stays open
    return count


def _line(form: FileFormat, row: Sequence[str | None]) -> str:
    if form.layout == "fixed":
        return "".join(value or "" for value in row)
    write = _bare if form.quoting == "none" else _quoted
    line = form.delimiter.join(write(value or "", form) for value in row)
    return line or '""' if form.quoting != "none" and len(row) == 1 else line


def _quoted(value: str, form: FileFormat) -> str:
    """A value in quotes where it needs them. Where a line ends in one character the other of the
    two is none in a value: for many readers it would end the line too.
    """
    if form.line_end != "crlf":
        value = value.replace("\r" if form.line_end == "lf" else "\n", " ")
    special = {form.delimiter, '"', "\r", "\n", *("\\" * (form.escape == "backslash"))}
    needed = form.quoting == "all" or not special.isdisjoint(value)
    if not needed and not (form.quoting == "if_space" and re.search(r"\s", value)):
        return value
    if form.escape == "backslash":
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return '"' + value.replace('"', '""') + '"'


def _bare(value: str, form: FileFormat) -> str:
    """A value for a file without quotes: line ends become a space; delimiters too, and quotes go,
    unless a backslash is there to escape them.
    """
    if form.escape == "backslash":
        plain = re.sub(r"[\r\n]+", " ", value)
        return re.sub(rf'([\\"{re.escape(form.delimiter)}])', r"\\\1", plain)
    plain = value.replace('"', "")
    if form.delimiter in plain or "\n" in plain or "\r" in plain:
        plain = " ".join(plain.replace(form.delimiter, " ").split())
    return plain


def stamped(moment: Moment) -> str:
    """A moment of the district's day in UTC, as OneRoster and others write it."""
    if moment.date == date.min:
        return ""
    at = datetime.combine(moment.date, moment.time, settings.zone()).astimezone(UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.000Z"


def zip_entry(name: str) -> zipfile.ZipInfo:
    """An entry whose bytes depend on nothing but its name and content."""
    entry = zipfile.ZipInfo(name, ZIP_DATE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 3  # Unix, whatever we run on
    entry.external_attr = 0o644 << 16
    return entry


class Settings(TargetSettings):
    """[targets.<name>] of kind `files`: one folder of a vendor's SFTP server."""

    via: Literal["sftp", "ftps", "https", "mail", "folder", "served"] = "sftp"
    """How files get there: by SFTP, by FTP over TLS, to an address, sealed by mail, into a folder
    of this machine (a mounted share), or nowhere: they are kept here, and others fetch what is in
    them (`make serve`)."""
    host: Text = ""
    """The server."""
    port: Some | None = None
    """Where it listens; unset: 22 of SFTP, 21 of FTPS."""
    address: Text = ""
    """By HTTPS: where files go; `{name}` in it is the file's name."""
    method: Literal["PUT", "POST"] = "PUT"
    form_field: Text = ""
    """The field of the form a file is sent in; unset: it is the whole body."""
    auth: Auth = Auth()
    smtp: Smtp = Smtp()
    """By mail: the server, and whom mails come from."""
    to: Text = ""
    """By mail: whom they go to."""
    recipient: Text = ""
    """By mail: the age public key of whoever opens them."""
    password: Secret = ""
    """Of FTPS; of SFTP where a vendor takes no key. To secrets.toml or the environment."""
    ca_file: Text = ""
    """The certificate authority of the server, as PEM; unset: those of the machine."""
    user: Text = ""
    """Who signs in."""
    key_file: Text = ""
    """The private key of that user."""
    known_hosts: Text = ""
    """The file with the server's pinned host key."""
    delta: bool = False
    """Whether only what changed is sent, of exports that say how a file of changes is written."""
    folder: Text = ""
    """Where files are put; empty: the login folder. Of a folder of this machine: its path."""
    timeout: Number = 30
    """Seconds without an answer that are no answer."""
    receipts: Receipts | None = None
    """Where the other side's answers lie; unset: nobody asks for them."""
    temporary_name: bool = True
    """Written as `name.part` and renamed when it is whole. False for a server that takes files as
    soon as they are closed, or renames nothing: a reader may then see half a file."""


Remote = sftp.Sftp | ftps.Ftps | Web | Mail | Folder


class Files:
    """One folder of a vendor."""

    Settings = Settings
    entities: tuple[str, ...] = ()
    raw_columns: Mapping[str, tuple[str, ...]] = {}
    batch = 1
    threads = 1
    rate = 10.0  # uploads a second: a drop folder has no quota worth pacing for

    def __init__(
        self,
        name: str,
        written: Mapping[str, Any],
        exports: Mapping[str, Export] | None = None,  # noqa: ARG002 - the protocol's
    ) -> None:
        self.name = name
        self.write_calls = 0
        self.read_calls = 0
        self._said = settings_of(Settings, name, written)

    @property
    def receipts(self) -> Receipts | None:
        """Where the other side's answers lie."""
        return self._said.receipts

    @property
    def via(self) -> str:
        """How files get there."""
        return self._said.via

    def place(self) -> sftp.Place:
        """The folder of the server, by SFTP. Raises TargetNotConfiguredError."""
        return self._place()

    def check_connection(self) -> str:
        """Connect and list the folder; what was proved, in words. Raises TargetNotConfiguredError
        or SftpError.
        """
        with self._open() as remote:
            if isinstance(remote, Mail):
                remote.signed_in()
            if isinstance(remote, Web | Mail):
                return f"{self._where()} is where files go; nothing is shown there"
            count = len(remote.list())
        return f"{self._where()} lets us in, {count:,} {'file' if count == 1 else 'files'} there"

    # ------------------------------------------------------------ rendering

    def render(self, connection: Any, delivery: Delivery) -> Rendered:
        """Write the file to `delivery.path`, whole or not at all. Raises UnfitError where a value
        cannot be written and the form says to refuse that.
        """
        rows = 0
        with files.replacing(delivery.path, alone=True) as out:
            if delivery.archive:
                with zipfile.ZipFile(out, "w") as archive:
                    for name, export in delivery.members:
                        with archive.open(zip_entry(name), "w") as member:
                            rows += self._render_one(connection, export, member, delivery, name)
            else:
                for name, export in delivery.members:
                    rows += self._render_one(connection, export, out, delivery, name)
        return Rendered(
            str(delivery.path), rows, delivery.path.stat().st_size, files.sha256(delivery.path)
        )

    def _render_one(
        self, connection: Any, export: Export, out: BinaryIO, delivery: Delivery, name: str
    ) -> int:
        form = export.file or FileFormat(name=export.entity)
        cells = Cells(export, form, stamped(delivery.moment))
        rows = cells.rows(connection, delivery.part(name))
        moment = replace(delivery.moment, partition=delivery.part(name).partition)
        if form.layout in STRUCTURED:
            names, headings = cells.names(), cells.headings()
            try:
                count = structured.write(out, form, names, headings, cells.types(), rows, moment)
            except structured.TooManyRowsError as error:
                raise UnfitError(f"{name}: {error}") from None
        else:
            count = write_rows(out, form, cells.headings(), rows, moment)
        if why := cells.stops():
            raise UnfitError(f"{name}: {why}")
        return count

    # ------------------------------------------------------------ delivering

    def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        """Deliver each file: temporary name, size check, rename. The same bytes there already count
        as delivered.
        """
        return [self._deliver(change) for change in changes]

    def find(self, change: Change) -> str | None:
        """The remote path when a file of this name with exactly these bytes is there."""
        with self._open() as remote:
            return self._path(change) if self._is_there(remote, change) else None

    def _deliver(self, change: Change) -> Outcome:
        if change.action != "deliver":
            return Outcome(
                change.change_id,
                "failed",
                reason="unsupported",
                calls=0,
                note=f"a file target cannot {change.action}; it takes whole files",
            )
        local = Path(change.new["path"])
        if not local.is_file() or files.sha256(local) != change.new["sha256"]:
            return Outcome(
                change.change_id,
                "failed",
                reason="changed",
                calls=0,
                note=(
                    f"{change.key[0]} is not the file that was recorded; nothing was sent: plan and"
                    " push again"
                ),
            )
        try:
            with self._open() as remote:
                there = self._is_there(remote, change)
                if not there and change.new.get("delta") and self._is_taken(remote, change):
                    return Outcome(
                        change.change_id,
                        "failed",
                        reason="unfetched",
                        calls=0,
                        note=(
                            f"the {change.key[0]} of another night is still there: it says what"
                            " this one does not, so nothing was written over it; the file of the"
                            " next night says both. Ask the other side to fetch and delete it, or"
                            " put {date} into the name"
                        ),
                    )
                if not there:
                    self.write_calls += 1
                    taken = remote.put(local, change.key[0]).taken
        except TargetNotConfiguredError as error:
            return Outcome(
                change.change_id, "failed", reason="not_configured", calls=0, note=str(error)
            )
        except (sftp.HostKeyError, NotAgainError) as error:
            return Outcome(change.change_id, "failed", reason="not_delivered", note=str(error))
        except sftp.SftpError as error:
            # The same bytes under the same name can be sent again without harm.
            return Outcome(change.change_id, "retry", reason="not_delivered", note=str(error))
        became = "already there" if there else "taken at once" if taken else "stored"
        receipt = f"{became} bytes={change.new['bytes']} sha256={change.new['sha256']}"
        return Outcome(
            change.change_id,
            "applied",
            remote_id=self._path(change),
            note=receipt,
            calls=0 if there else 1,
        )

    def _is_taken(self, remote: Remote, change: Change) -> bool:
        """Whether a file of this name is there."""
        return any(entry.name == change.key[0] for entry in remote.list())

    @contextmanager
    def _open(self) -> Iterator[Remote]:
        match self._said.via:
            case "folder":
                yield Folder(Path(self._where()))
            case "served":
                kept = Path(self._where())
                kept.mkdir(parents=True, exist_ok=True, mode=0o700)
                yield Folder(kept)
            case "https":
                yield self._web()
            case "mail":
                yield self._mail()
            case "ftps":
                with ftps.connect(self._ftps()) as server:
                    yield server
            case _:
                with sftp.connect(self._place()) as remote:
                    yield remote

    def _where(self) -> str:
        match self._said.via:
            case "sftp":
                return str(self._place())
            case "ftps":
                return str(self._ftps())
            case "https":
                self._needs("address")
                return self._said.address
            case "mail":
                self._needs("to")
                return f"mailto:{self._said.to}"
            case "served":
                return str(paths.var() / "served" / self.name)
        self._needs("folder")
        return self._said.folder

    def _needs(self, *settings: str) -> None:
        """Raises TargetNotConfiguredError for what is not set."""
        if missing := [one for one in settings if not getattr(self._said, one)]:
            raise TargetNotConfiguredError(
                f"target {self.name}: {', '.join(missing)} not set; put it under"
                f" [targets.{self.name}] in .dlt/config.toml, what is secret in .dlt/secrets.toml"
            )

    def _web(self) -> Web:
        self._needs("address")
        said = self._said
        if clear := in_the_clear("address", said.address):
            raise TargetNotConfiguredError(f"target {self.name}: {clear}")
        root = "/".join(said.address.split("/")[:3])
        api = ApiOf(
            kind="rest",
            address=root,
            auth=said.auth,
            ca_file=said.ca_file,
            entities={},
            timeout=said.timeout,
        )
        return Web(Client(self.name, api), said.address, said.method, said.form_field)

    def _mail(self) -> Mail:
        self._needs("to", "recipient")
        smtp = self._said.smtp
        if not (smtp.host and smtp.sender):
            raise TargetNotConfiguredError(
                f"target {self.name}: [targets.{self.name}.smtp] wants host and from in"
                " .dlt/config.toml, its password in .dlt/secrets.toml"
            )
        return Mail(self.name, smtp, self._said.to, self._said.recipient)

    def _ftps(self) -> ftps.Place:
        self._needs("host", "user", "password")
        said = self._said
        return ftps.Place(
            host=said.host,
            port=said.port or 21,
            user=said.user,
            password=said.password,
            ca_file=said.ca_file,
            folder=said.folder,
            timeout=said.timeout,
            temporary_name=said.temporary_name,
        )

    def _is_there(self, remote: Remote, change: Change) -> bool:
        self.read_calls += 1
        return remote.holds(change.key[0], change.new["bytes"], change.new["sha256"])

    def _path(self, change: Change) -> str:
        if self._said.via == "https":
            return self._said.address.replace("{name}", change.key[0])
        if self._said.via == "mail":
            return f"{self._where()}/{change.key[0]}"
        if self._said.via == "served":
            return f"{self._where()}/{change.key[0]}"
        folder = self._said.folder.rstrip("/")
        return f"{folder}/{change.key[0]}" if folder else change.key[0]

    def _place(self) -> sftp.Place:
        given = self._said
        self._needs("host", "user", *(["key_file"] * (not given.password)), "known_hosts")
        return sftp.Place(
            host=given.host,
            port=given.port or 22,
            user=given.user,
            key_file=given.key_file,
            password=given.password,
            known_hosts=given.known_hosts,
            folder=given.folder,
            timeout=given.timeout,
            temporary_name=given.temporary_name,
        )

    # ------------------------------------------------------------ what file targets have no use for

    def observe(self, entity: str) -> Iterator[Any]:  # noqa: ARG002 - the protocol's
        """A drop folder cannot be read back: what it holds is what the ledger says was
        delivered.
        """
        return iter(())

    def order(self, change: Change) -> int:  # noqa: ARG002 - the protocol's
        """All files go in one round."""
        return 0

    def close(self) -> None:
        """Nothing stays open between deliveries."""
