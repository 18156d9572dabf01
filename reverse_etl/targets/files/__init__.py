"""Targets that take files: render exactly the bytes the vendor reads, hand them over by SFTP, prove
it.

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

import csv
import io
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from common import files, sftp, sql
from common.printable import inert
from common.settings import Number, Some, Text
from reverse_etl.configured import TargetSettings, settings_of
from reverse_etl.model import Change, Column, Delivery, Export, FileFormat, Outcome, Rendered

QUOTING = {"minimal": csv.QUOTE_MINIMAL, "all": csv.QUOTE_ALL}
LINE_END = {"crlf": "\r\n", "lf": "\n"}
ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the oldest a zip can hold
ROWS_AT_ONCE = 10_000


class TargetNotConfiguredError(Exception):
    """A setting without which nothing can be delivered; the message names it."""


def write_rows(
    out: BinaryIO, form: FileFormat, headings: Sequence[str], rows: Iterable[Sequence[str | None]]
) -> int:
    """Write one file to `out` as its format says; NULL is written as nothing. Returns how many rows
    there were.
    """
    text = io.TextIOWrapper(out, encoding=form.encoding, newline="", write_through=False)
    write = _writer(text, form)
    if form.header:
        write(headings)
    count = 0
    for row in rows:
        write([value and inert(value) for value in row] if form.formulas == "text" else row)
        count += 1
    text.flush()
    text.detach()  # `out` belongs to the caller and stays open
    return count


def _writer(text: io.TextIOWrapper, form: FileFormat) -> Callable[[Sequence[str | None]], Any]:
    line_end = LINE_END[form.line_end]
    if form.quoting in QUOTING:
        quoted = csv.writer(
            text, delimiter=form.delimiter, quoting=QUOTING[form.quoting], lineterminator=line_end
        )
        if form.line_end == "crlf":
            return quoted.writerow
        # csv quotes the characters of its own line end only: a bare CR would end a line for many
        # readers
        return lambda row: quoted.writerow([value and value.replace("\r", " ") for value in row])
    return lambda row: text.write(
        form.delimiter.join(_unquotable(value, form.delimiter) for value in row) + line_end
    )


def _unquotable(value: str | None, delimiter: str) -> str:
    """A value for a file without quotes: quotes go, delimiters and line ends become one space."""
    plain = (value or "").replace('"', "")
    if delimiter in plain or "\n" in plain or "\r" in plain:
        plain = " ".join(plain.replace(delimiter, " ").split())
    return plain


def headings(columns: Iterable[Column]) -> tuple[str, ...]:
    """The first line of the file: what the vendor calls each column."""
    return tuple(column.header or column.name for column in columns)


def export_rows(
    connection: Any, export: Export, without: frozenset[str] = frozenset()
) -> Iterator[tuple[str | None, ...]]:
    """The rows of an export as text, ordered by key, a few thousand at a time; but those with the
    keys in `without`.
    """
    columns = ", ".join(f"cast({sql.name(column.name)} as varchar)" for column in export.sent)
    order = sql.names(export.key)
    cursor = connection.cursor()
    try:
        kept = f"where {sql.key(export.shown_key)} not in (select unnest(?))" if without else ""
        cursor.execute(
            f"select {columns} from {export.relation} {kept} order by {order}",
            [sorted(without)] if without else [],
        )
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            yield from rows
    finally:
        cursor.close()


def zip_entry(name: str) -> zipfile.ZipInfo:
    """An entry whose bytes depend on nothing but its name and content."""
    entry = zipfile.ZipInfo(name, ZIP_DATE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 3  # Unix, whatever we run on
    entry.external_attr = 0o644 << 16
    return entry


class Settings(TargetSettings):
    """[targets.<name>] of kind `files`: one folder of a vendor's SFTP server."""

    host: Text = ""
    """The server."""
    port: Some = 22
    """Where it listens."""
    user: Text = ""
    """Who signs in."""
    key_file: Text = ""
    """The private key of that user."""
    known_hosts: Text = ""
    """The file with the server's pinned host key."""
    folder: Text = ""
    """Where files are put; empty: the login folder."""
    timeout: Number = 30
    """Seconds without an answer that are no answer."""
    temporary_name: bool = True
    """Written as `name.part` and renamed when it is whole. False for a server that takes files as
    soon as they are closed, or renames nothing: a reader may then see half a file."""


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
        settings: Mapping[str, Any],
        exports: Mapping[str, Export] | None = None,  # noqa: ARG002 - the protocol's
    ) -> None:
        self.name = name
        self.write_calls = 0
        self.read_calls = 0
        self._said = settings_of(Settings, name, settings)

    def check_connection(self) -> str:
        """Connect and list the folder; what was proved, in words. Raises TargetNotConfiguredError
        or SftpError.
        """
        with sftp.connect(self._place()) as remote:
            count = len(remote.list())
        return f"{self._place()} lets us in, {count:,} {'file' if count == 1 else 'files'} there"

    # ------------------------------------------------------------ rendering

    def render(self, connection: Any, delivery: Delivery) -> Rendered:
        """Write the file to `delivery.path`, whole or not at all."""
        rows = 0
        with files.replacing(delivery.path, alone=True) as out:
            if delivery.archive:
                with zipfile.ZipFile(out, "w") as archive:
                    for name, export in delivery.members:
                        with archive.open(zip_entry(name), "w") as member:
                            rows += self._render_one(
                                connection,
                                export,
                                member,
                                delivery.without.get(export.entity, frozenset()),
                            )
            else:
                for _, export in delivery.members:
                    rows += self._render_one(
                        connection, export, out, delivery.without.get(export.entity, frozenset())
                    )
        return Rendered(
            str(delivery.path), rows, delivery.path.stat().st_size, files.sha256(delivery.path)
        )

    def _render_one(
        self, connection: Any, export: Export, out: BinaryIO, without: frozenset[str]
    ) -> int:
        form = export.file or FileFormat(name=export.entity)
        return write_rows(
            out, form, headings(export.sent), export_rows(connection, export, without)
        )

    # ------------------------------------------------------------ delivering

    def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        """Deliver each file: temporary name, size check, rename. The same bytes there already count
        as delivered.
        """
        return [self._deliver(change) for change in changes]

    def find(self, change: Change) -> str | None:
        """The remote path when a file of this name with exactly these bytes is there."""
        with sftp.connect(self._place()) as remote:
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
            with sftp.connect(self._place()) as remote:
                there = self._is_there(remote, change)
                if not there:
                    self.write_calls += 1
                    taken = remote.put(local, change.key[0]).taken
        except TargetNotConfiguredError as error:
            return Outcome(
                change.change_id, "failed", reason="not_configured", calls=0, note=str(error)
            )
        except sftp.HostKeyError as error:
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

    def _is_there(self, remote: sftp.Sftp, change: Change) -> bool:
        self.read_calls += 1
        return remote.holds(change.key[0], change.new["bytes"], change.new["sha256"])

    def _path(self, change: Change) -> str:
        folder = self._said.folder.rstrip("/")
        return f"{folder}/{change.key[0]}" if folder else change.key[0]

    def _place(self) -> sftp.Place:
        given, needed = self._said, ("host", "user", "key_file", "known_hosts")
        missing = [key for key in needed if not getattr(given, key)]
        if missing:
            raise TargetNotConfiguredError(
                f"target {self.name}: {', '.join(missing)} not set; put it under"
                f" [targets.{self.name}] in .dlt/config.toml, the path of the private key in"
                " .dlt/secrets.toml"
            )
        return sftp.Place(
            host=given.host,
            port=given.port,
            user=given.user,
            key_file=given.key_file,
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
