"""Versions: bring a ledger or a warehouse of an older Homeroom forward, and refuse one of a newer.

In: an open connection and `common/migrations/<ledger|warehouse>/NNNN_<what>.sql`. Out: every file
that was not yet applied, in order, each in a transaction of its own with its row in
`audit.versions` (`raw_homeroom.versions` in the warehouse). A ledger is copied to
`backups/before-<version>-…/` first. There is no way back: an older program refuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from common import paths, sql
from common.log import event

PROGRAM = "0.1.0"
MIGRATIONS = paths.root() / "common" / "migrations"
TABLES = {"ledger": "ledger.audit.versions", "warehouse": "raw_homeroom.versions"}
WAY_OUT = {
    "ledger": (
        'update Homeroom, or go back to a backup made before with "make restore FROM=…"'
        " (docs/deploy.md, going back)"
    ),
    "warehouse": (
        "update Homeroom, or move the file away: the next night builds it again from the archive"
    ),
}


class TooNewError(Exception):
    """A newer Homeroom has written to the file; the message says which versions and the two ways
    out.
    """


class MigrationError(Exception):
    """A migration did not go through and was rolled back; the message says which and where the copy
    is.
    """


@dataclass(frozen=True)
class Migration:
    """One file: 3, "pauses" and its SQL."""

    version: int
    name: str
    sql: str


def migrations(what: str, folder: Path | None = None) -> list[Migration]:
    """All migrations of the ledger or the warehouse, in order. Raises ValueError when a number is
    missing or there twice.
    """
    found = []
    for path in sorted(((folder or MIGRATIONS) / what).glob("*.sql")):
        number, _, name = path.stem.partition("_")
        found.append(Migration(int(number), name, path.read_text(encoding="utf-8")))
    if [one.version for one in found] != list(range(1, len(found) + 1)):
        raise ValueError(
            f"the migrations of the {what} are numbered"
            f" {', '.join(str(one.version) for one in found)}; they must count 1, 2, 3 …"
        )
    return found


def version(connection: duckdb.DuckDBPyConnection, what: str) -> int:
    """The version of an open file; 0 for a new one and for one from before there were versions."""
    try:
        found = connection.execute(
            f"select coalesce(max(version), 0) from {TABLES[what]}"
        ).fetchone()
    except duckdb.CatalogException:
        return 0
    return found[0] if found else 0


def check(
    connection: duckdb.DuckDBPyConnection, what: str, folder: Path | None = None
) -> list[Migration]:
    """The migrations still to apply. Raises TooNewError when the file has been through more than
    this program knows.
    """
    known, has = migrations(what, folder), version(connection, what)
    if has > len(known):
        path = paths.ledger() if what == "ledger" else paths.warehouse()
        raise TooNewError(
            f"the {what} {path} is of version {has} and this Homeroom ({PROGRAM}) knows up to"
            f" {len(known)}: nothing was changed; {WAY_OUT[what]}"
        )
    return known[has:]


def upgrade(
    connection: duckdb.DuckDBPyConnection,
    what: str,
    folder: Path | None = None,
    copy: Path | None = None,
) -> int:
    """Apply what is missing; returns how many. `copy` is where the file was copied to before.
    Raises TooNewError and MigrationError.
    """
    waiting = check(connection, what, folder)
    for one in waiting:
        connection.execute("begin")
        try:
            connection.execute(one.sql)
            connection.execute(
                f"insert into {TABLES[what]} values (?, ?, ?, ?)",
                [one.version, one.name, datetime.now(UTC), PROGRAM],
            )
            connection.execute("commit")
        except duckdb.Error as error:
            connection.execute("rollback")
            beside = f"; a copy from before stands in {copy}" if copy else ""
            raise MigrationError(
                f"the {what} could not be brought to version {one.version} ({one.name}):"
                f" {type(error).__name__}; it stays at version {one.version - 1}{beside}; go back"
                " to the Homeroom you had and report this"
            ) from error
        if copy:
            event("migrated", what=what, version=one.version, migration=one.name, copy=copy)
    return len(waiting)


def copy_ledger(connection: duckdb.DuckDBPyConnection, before: int) -> Path:
    """A whole copy of the open ledger, of its own name, in a folder of its own under `backups/`."""
    folder = paths.var() / "backups" / f"before-{before:04d}-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
    folder.mkdir(parents=True, mode=0o700)
    path = folder / paths.ledger().name
    copy_database(connection, "ledger", path)
    return path


def copy_database(connection: duckdb.DuckDBPyConnection, catalog: str, path: Path) -> None:
    """Copy an attached database, whole and compacted, to a new file, and let go of that file."""
    connection.execute(f"attach {sql.text(path)} as copied")
    try:
        connection.execute(f"copy from database {sql.name(catalog)} to copied")
    finally:
        connection.execute("detach copied")
