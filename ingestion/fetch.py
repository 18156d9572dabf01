"""Bring the files of a source here: list the place, find each feed's file by name, copy it whole.

In: a location (a folder, or `sftp://user@host:port/folder` with `key_file` and `known_hosts`) and a
layout. Archives the layout names are opened and their members stand beside the files, as
`archive.zip/member.csv`. Out: per feed a `Fetched` copy under `var/inbox/.fetched/<source>/`, or
the `Problem` that kept it from coming. Refuses: a host whose key is not pinned, a file that changes
while it is read. Nothing at the source is moved or deleted. A place that cannot be reached raises
SourceUnreachableError.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, Self, TypeVar
from urllib.parse import unquote, urlsplit

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_incrementing,
)

from common import files, log, paths, sftp
from common.findings import Finding
from common.printable import printable
from ingestion.configured import FilesSource
from ingestion.layout import Feed, Layout
from ingestion.model import Fetch, Fetched, Look, Problem, SourceUnreachableError
from ingestion.unzip import NESTED, ArchiveRefusedError, Archives, base

T = TypeVar("T")


class Place(Protocol):
    """What we ask of a folder, wherever it is."""

    links: list[str]  # names the last listing left out: a link may point anywhere

    def list(self) -> list[sftp.Entry]: ...

    def get(self, name: str, to: Path, most: int) -> Path: ...


class Folder:
    """A folder of this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.links: list[str] = []

    def list(self) -> list[sftp.Entry]:
        """The regular files, by name; half-written `.part` files are left out, and links."""
        try:
            there = sorted(path for path in self.path.iterdir() if path.suffix != ".part")
            self.links = [path.name for path in there if path.is_symlink()]
            return [
                _entry(path) for path in there if path.is_file() and path.name not in self.links
            ]
        except OSError as error:
            raise SourceUnreachableError(
                f"folder {self.path} cannot be read ({error.strerror}); check `location` in the"
                " settings and the disk"
            ) from None

    def get(self, name: str, to: Path, most: int) -> Path:
        """Copy a file; refuses one that changes meanwhile, and one of more bytes than `most`."""
        path = self.path / name
        if path.is_symlink():
            raise sftp.SftpError(
                f"{name} is a link, which is not followed: put the file itself there"
            )
        before = _entry(path)
        if before.size > most:
            raise sftp.TooLargeError(name, before.size, most)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to)
        after = _entry(path)
        if before != after or to.stat().st_size != before.size:
            to.unlink()
            raise sftp.SftpError(
                f"{name} changed while it was read ({before.size:,} bytes, then {after.size:,}): it"
                " is still being written"
            )
        return to


class Remote:
    """A folder on an SFTP server. What fails is tried again on a new connection: a server that hung
    up has others to offer.
    """

    def __init__(self, there: sftp.Place, attempts: int, wait: float) -> None:
        self._there, self._attempts, self._wait = there, attempts, wait
        self._open = ExitStack()
        self._connection: sftp.Sftp | None = None
        self.links: list[str] = []

    def __enter__(self) -> Self:
        self._patiently(lambda connection: connection)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def list(self) -> list[sftp.Entry]:
        """The regular files, by name."""
        return self._patiently(self._listed)

    def _listed(self, connection: sftp.Sftp) -> list[sftp.Entry]:
        found = connection.list()
        self.links = connection.links
        return found

    def get(self, name: str, to: Path, most: int) -> Path:
        """Copy one file; nothing of a failed attempt is left."""
        return self._patiently(lambda connection: connection.get(name, to, most))

    def _patiently(self, deed: Callable[[sftp.Sftp], T]) -> T:
        patiently = Retrying(
            stop=stop_after_attempt(self._attempts),
            wait=wait_incrementing(start=self._wait, increment=self._wait),
            retry=retry_if_exception(_may_pass),
            before_sleep=self._told,
            reraise=True,
        )
        return patiently(self._once, deed)

    def _once(self, deed: Callable[[sftp.Sftp], T]) -> T:
        try:
            if self._connection is None:
                self._connection = self._open.enter_context(sftp.connect(self._there))
            return deed(self._connection)
        except sftp.SftpError:
            self._connection = None
            self._open.close()
            raise

    def _told(self, state: RetryCallState) -> None:
        log.event("source_retry", host=self._there.host, attempt=state.attempt_number)


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, sftp.SftpError) and not isinstance(
        error, (sftp.HostKeyError, sftp.TooLargeError)
    )


def fetch(source: str, settings: FilesSource, layout: Layout) -> Fetch:
    """Copy the file of every feed of `layout` here. Raises SourceUnreachableError when the place
    itself is not there.
    """
    into = paths.var() / "inbox" / ".fetched" / source
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True, mode=0o700)
    with place(source, settings) as (where, folder), ExitStack() as stack:
        listed = folder.list()
        archives = stack.enter_context(Archives.opened(folder, layout, listed, into / ".archives"))
        entries = sorted(
            [*(entry for entry in listed if not layout.is_archive(entry.name)), *archives.list()],
            key=lambda entry: entry.name,
        )
        unopened = [
            entry.name
            for entry in listed
            if entry.name.lower().endswith(NESTED)
            and not layout.is_archive(entry.name)
            and not any(feed.matches(entry.name) for feed in layout.feeds)
        ]
        feeds: dict[str, Fetched | Problem] = {}
        findings: list[Finding] = []
        if folder.links:
            findings.append(
                Finding(
                    "links_not_followed",
                    {"names": _named(folder.links), "where": where},
                    source=source,
                    file=folder.links[0],
                )
            )
        for feed in layout.feeds:
            found = sorted(
                (entry for entry in entries if feed.matches(base(entry.name))),
                key=lambda entry: (entry.modified_at, entry.name),
            )
            if refused := archives.problem(newer_than=found[-1] if found else None):
                feeds[feed.name] = refused
                continue
            if not found and unopened and not feed.optional:
                feeds[feed.name] = Problem(
                    "feed_in_archive",
                    {
                        "names": " or ".join(feed.files),
                        "where": where,
                        "archives": _named(unopened),
                    },
                )
                continue
            if not found:
                feeds[feed.name] = Problem(
                    "feed_missing",
                    {
                        "names": " or ".join(feed.files),
                        "where": where,
                        "files": _files(len(entries)),
                    },
                )
                continue
            if twins := [
                entry.name
                for entry in found
                if "/" in entry.name and entry.name.split("/")[0] == found[-1].name.split("/")[0]
            ][1:]:
                feeds[feed.name] = Problem(
                    "feed_archive_twins",
                    {"count": len(twins) + 1, "file": found[-1].name, "other": twins[0]},
                )
                continue
            if len(found) > 1:
                findings.append(_several(source, feed, [entry.name for entry in found]))
            feeds[feed.name] = _copy(
                archives if "/" in found[-1].name else folder,
                found[-1],
                into / feed.name,
                feed.limits.file_bytes,
            )
        strangers = [
            entry.name
            for entry in entries
            if not any(feed.matches(base(entry.name)) for feed in layout.feeds)
            and entry.name not in unopened
        ]
    missed = [name for name, found in feeds.items() if _is_in_archive(found)]
    if missed:  # one cause, one finding
        findings.append(
            Finding(
                "archive_unopened",
                {"archives": _named(unopened), "where": where, "feeds": len(missed)},
                source=source,
                file=unopened[0],
            )
        )
    elif unopened:
        strangers += unopened
    if strangers:
        findings.append(_strangers(source, where, strangers))
    return Fetch(feeds, tuple(findings))


def look(source: str, settings: FilesSource, layout: Layout) -> Look:
    """Is the place there, and which feeds have a file? For `check`."""
    with place(source, settings) as (where, folder):
        names = [entry.name for entry in folder.list()]
    archives = [name for name in names if layout.is_archive(name)]
    if archives:  # what is in them is seen when they are read
        return Look(
            f"{where}: {', '.join(archives)} there, to be opened for {len(layout.feeds)} feeds",
            good=True,
        )
    absent = [feed.name for feed in layout.feeds if not any(feed.matches(name) for name in names)]
    there = f"{where}: {len(layout.feeds) - len(absent)} of {len(layout.feeds)} feeds there"
    return Look(
        there
        + (
            f", missing {', '.join(absent)}; check the extract jobs and their transfer"
            if absent
            else ""
        ),
        not absent,
    )


@contextmanager
def place(source: str, settings: FilesSource) -> Iterator[tuple[str, Place]]:
    """The location of a source, opened, and its name for sentences. SFTP is tried three times."""
    location = settings.location
    if not location:
        raise SourceUnreachableError(
            f"setting sources.{source}.location is missing: a folder, or"
            " sftp://user@host:port/folder"
        )
    if not location.startswith("sftp://"):
        folder = local_folder(location)
        if not folder.is_dir():
            raise SourceUnreachableError(
                f"folder {folder} is not there; check sources.{source}.location and whether the"
                " disk is mounted"
            )
        yield str(folder), Folder(folder)
        return
    there = sftp_place(source, location, settings)
    remote = Remote(there, settings.attempts, settings.wait_seconds)
    try:
        with remote:
            yield str(there), remote
    except sftp.SftpError as error:
        raise SourceUnreachableError(str(error)) from None


def local_folder(location: str) -> Path:
    """A folder by its setting: absolute, or `var/…` below the folder of all state, or below the
    folder of the settings.
    """
    path = Path(location).expanduser()
    if path.is_absolute():
        return path
    if path.parts[:1] == ("var",):
        return paths.var().joinpath(*path.parts[1:])
    return paths.home() / path


def sftp_place(source: str, location: str, settings: FilesSource) -> sftp.Place:
    """The place of an `sftp://user@host:port/folder`; `/~/folder` is below the login folder,
    `/folder` is absolute.
    """
    parts = urlsplit(location)
    if not parts.hostname or not parts.username or parts.password:
        raise SourceUnreachableError(
            f"sources.{source}.location must read sftp://user@host:port/folder, without a password;"
            " the key is in key_file"
        )
    folder = unquote(parts.path)
    if ".." in folder.split("/"):
        raise SourceUnreachableError(
            f"sources.{source}.location has `..` in its path, which is refused: write where it"
            " leads to"
        )
    folder = folder[3:] if folder.startswith("/~/") else folder
    return sftp.Place(
        host=parts.hostname,
        port=parts.port or 22,
        user=unquote(parts.username),
        key_file=settings.key_file,
        known_hosts=settings.known_hosts,
        folder="" if folder in {"", "/"} else folder,
        timeout=settings.timeout,
    )


def _copy(folder: Place, entry: sftp.Entry, to: Path, most: int) -> Fetched | Problem:
    try:
        path = folder.get(entry.name, to, most)
    except sftp.TooLargeError as error:
        size, limit = error.size // 1_000_000, error.most // 1_000_000
        return Problem("feed_too_big", {"file": entry.name, "size": size, "most": limit})
    except ArchiveRefusedError as error:
        return Problem("feed_archive", {"file": entry.name, "why": str(error)})
    except sftp.SftpError as error:
        return Problem("feed_unstable", {"why": str(error)})
    except OSError as error:
        return Problem("feed_file_unreadable", {"file": entry.name, "error": str(error.strerror)})
    digest = files.sha256(path)
    return Fetched(printable(entry.name), path, digest, path.stat().st_size, entry.modified_at)


def _entry(path: Path) -> sftp.Entry:
    facts = path.stat()
    return sftp.Entry(path.name, facts.st_size, datetime.fromtimestamp(facts.st_mtime, UTC))


def _several(source: str, feed: Feed, names: list[str]) -> Finding:
    return Finding(
        "several_files",
        {"count": len(names), "names": ", ".join(names)},
        source=source,
        feed=feed.name,
        file=names[-1],
    )


def _strangers(source: str, where: str, names: list[str]) -> Finding:
    return Finding(
        "unmatched_file",
        {"files": _files(len(names)), "where": where, "names": _named(names)},
        source=source,
    )


def _is_in_archive(found: Fetched | Problem) -> bool:
    return isinstance(found, Problem) and found.code == "feed_in_archive"


def _named(names: list[str]) -> str:
    return ", ".join(names[:10]) + (", …" if len(names) > 10 else "")


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"
