"""Bring the files of a source here: list the place, find each feed's file by name, copy it whole.

In: a location (a folder, or `sftp://user@host:port/folder` with `key_file` and `known_hosts`) and a layout.
Out: per feed a `Fetched` copy under `var/inbox/.fetched/<source>/`, or the `Problem` that kept it from coming.
Refuses: a host whose key is not pinned, a file that changes while it is read. Nothing at the source is moved or
deleted. A place that cannot be reached raises SourceUnreachable.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from common import log, paths, sftp
from common.findings import Finding
from ingestion.layout import Feed, Layout
from ingestion.model import Fetch, Fetched, Problem, SourceUnreachable

ATTEMPTS = 3
WAIT_SECONDS = 5.0


class Place(Protocol):
    """What we ask of a folder, wherever it is."""

    def list(self) -> list[sftp.Entry]: ...

    def get(self, name: str, to: Path) -> Path: ...


class Folder:
    """A folder of this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def list(self) -> list[sftp.Entry]:
        """The regular files, by name; half-written `.part` files are left out."""
        try:
            files = sorted(path for path in self.path.iterdir() if path.is_file() and path.suffix != ".part")
            return [_entry(path) for path in files]
        except OSError as error:
            raise SourceUnreachable(f"folder {self.path} cannot be read ({error.strerror}); check `location` in the settings and the disk") from None

    def get(self, name: str, to: Path) -> Path:
        """Copy a file; refuses one that changes meanwhile."""
        path = self.path / name
        before = _entry(path)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to)
        after = _entry(path)
        if before != after or to.stat().st_size != before.size:
            to.unlink()
            raise sftp.SftpError(f"{name} changed while it was read ({before.size:,} bytes, then {after.size:,}): it is still being written")
        return to


def fetch(source: str, settings: Mapping[str, Any], layout: Layout) -> Fetch:
    """Copy the file of every feed of `layout` here. Raises SourceUnreachable when the place itself is not there."""
    into = paths.var() / "inbox" / ".fetched" / source
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True, mode=0o700)
    with place(source, settings) as (where, folder):
        entries = folder.list()
        feeds: dict[str, Fetched | Problem] = {}
        findings: list[Finding] = []
        for feed in layout.feeds:
            found = sorted((entry for entry in entries if feed.matches(entry.name)), key=lambda entry: (entry.modified_at, entry.name))
            if not found:
                feeds[feed.name] = Problem("missing", f"no file named {' or '.join(feed.files)} is in {where} ({_files(len(entries))} there)")
                continue
            if len(found) > 1:
                findings.append(_several(source, feed, [entry.name for entry in found]))
            feeds[feed.name] = _copy(folder, found[-1], into / feed.name)
        strangers = [entry.name for entry in entries if not any(feed.matches(entry.name) for feed in layout.feeds)]
    if strangers:
        findings.append(_strangers(source, where, strangers))
    return Fetch(feeds, tuple(findings))


@contextmanager
def place(source: str, settings: Mapping[str, Any]) -> Iterator[tuple[str, Place]]:
    """The location of a source, opened, and its name for sentences. SFTP is tried three times."""
    location = str(settings.get("location", ""))
    if not location:
        raise SourceUnreachable(f"setting sources.{source}.location is missing: a folder, or sftp://user@host:port/folder")
    if not location.startswith("sftp://"):
        folder = local_folder(location)
        if not folder.is_dir():
            raise SourceUnreachable(f"folder {folder} is not there; check sources.{source}.location and whether the disk is mounted")
        yield str(folder), Folder(folder)
        return
    there = sftp_place(source, location, settings)
    manager = _connected(there, int(settings.get("attempts", ATTEMPTS)), float(settings.get("wait_seconds", WAIT_SECONDS)))
    try:
        with manager as connection:
            yield str(there), connection
    except sftp.SftpError as error:
        raise SourceUnreachable(str(error)) from None


def local_folder(location: str) -> Path:
    """A folder by its setting: absolute, or `var/…` below the folder of all state, or below the project."""
    path = Path(location).expanduser()
    if path.is_absolute():
        return path
    return paths.var().joinpath(*path.parts[1:]) if path.parts[:1] == ("var",) else paths.root() / path


def sftp_place(source: str, location: str, settings: Mapping[str, Any]) -> sftp.Place:
    """The place of an `sftp://user@host:port/folder`; `/~/folder` is below the login folder, `/folder` is absolute."""
    parts = urlsplit(location)
    if not parts.hostname or not parts.username or parts.password:
        raise SourceUnreachable(f"sources.{source}.location must read sftp://user@host:port/folder, without a password; the key is in key_file")
    folder = unquote(parts.path)
    folder = folder[3:] if folder.startswith("/~/") else folder
    return sftp.Place(
        host=parts.hostname,
        port=parts.port or 22,
        user=unquote(parts.username),
        key_file=str(settings.get("key_file", "")),
        known_hosts=str(settings.get("known_hosts", "")),
        folder="" if folder in {"", "/"} else folder,
        timeout=float(settings.get("timeout", 30)),
    )


@contextmanager
def _connected(there: sftp.Place, attempts: int, wait: float) -> Iterator[Place]:
    with ExitStack() as stack:
        for attempt in range(1, attempts + 1):
            try:
                connection = stack.enter_context(sftp.connect(there))
                break
            except sftp.SftpError as error:
                # A key that is not the pinned one does not become it by waiting.
                if attempt >= attempts or "nothing was read or sent" in str(error):
                    raise
                log.event("source_retry", host=there.host, attempt=attempt)
                time.sleep(wait * attempt)
        yield connection


def _copy(folder: Place, entry: sftp.Entry, to: Path) -> Fetched | Problem:
    try:
        path = folder.get(entry.name, to)
    except sftp.SftpError as error:
        return Problem("unstable", str(error))
    except OSError as error:
        return Problem("missing", f"{entry.name} cannot be read ({error.strerror})")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Fetched(entry.name, path, digest, path.stat().st_size, entry.modified_at)


def _entry(path: Path) -> sftp.Entry:
    facts = path.stat()
    return sftp.Entry(path.name, facts.st_size, datetime.fromtimestamp(facts.st_mtime, UTC))


def _several(source: str, feed: Feed, names: list[str]) -> Finding:
    return Finding(
        "warning",
        "several_files",
        f"{source} {feed.name}: {len(names)} files could be it ({', '.join(names)}); the newest, {names[-1]}, was taken",
        source=source,
        feed=feed.name,
        file=names[-1],
        action="remove the older files from the folder",
    )


def _strangers(source: str, where: str, names: list[str]) -> Finding:
    shown = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
    return Finding(
        "info",
        "file_nobody_reads",
        f"{source}: {_files(len(names))} in {where} belong to no feed of the layout: {shown}",
        source=source,
        action="name them under `files` of a feed, or ask for them no longer",
    )


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"
