"""The two database files: the warehouse, and the ledger attached to it.

DuckDB lets one process write at a time, so a connection is opened late, closed soon, and waited for
when another step still holds it. Whoever opens them to write brings them forward to this program's
version (`versions`).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from common import damage, database, paths, sql, turns, versions
from common.runs import Run

WAIT_SECONDS = 30.0


class StoreError(Exception):
    """The warehouse or the ledger cannot be used; the message says which file and what to do."""


class StoreBusyError(StoreError):
    """Another process holds the warehouse."""


class StoreDamagedError(StoreError):
    """A file is there and cannot be read. `path` is that file."""

    def __init__(self, path: Path, why: str) -> None:
        way_out = (
            'put its last copy back with "make restore FROM=latest"'
            if path == paths.ledger()
            else "the next night moves it aside and builds it again from the archive"
        )
        super().__init__(f"{path} cannot be read ({why}); {way_out}")
        self.path = path


@contextmanager
def connect(read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the warehouse with the ledger attached as `ledger`, both of this program's version;
    times are UTC.

    Raises StoreBusyError when another process keeps either file open for longer than WAIT_SECONDS,
    StoreDamagedError when one cannot be read, StoreError when a newer Homeroom has written to it or
    it cannot be brought forward.
    """
    connection = _opened(read_only)
    try:
        yield connection
    except (duckdb.OperationalError, duckdb.InternalError, duckdb.FatalException) as error:
        connection.close()
        for path in (paths.ledger(), paths.warehouse()):  # is it one of them?
            if path.is_file() and (wrong := damage.opened(path, read=True)):
                raise StoreDamagedError(path, wrong) from error
        raise
    finally:
        connection.close()


def look() -> None:
    """Can the ledger and the warehouse be opened, and every row be read? For a process that has
    neither open. Raises StoreDamagedError, of the ledger first.
    """
    for path in (paths.ledger(), paths.warehouse()):
        if path.is_file() and paths.may_read(path) and (wrong := damage.opened(path, read=True)):
            raise StoreDamagedError(path, wrong)


def whole_copy(*, read: bool = False) -> None:
    """Is the published copy one? Raises StoreError with the way out."""
    if paths.published().exists() and (wrong := damage.opened(paths.published(), read=read)):
        raise StoreError(
            f"the published copy {paths.published()} cannot be read ({wrong}); the next night makes"
            " it anew"
        )


@contextmanager
def to_read() -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse and the ledger to read from; for who may read the published copy only, that
    copy in their place. Raises as `connect` does.
    """
    # whoever only reads keeps no night waiting
    a_night = paths.published().is_file() and turns.under_way() and not turns.of_a_night()
    if not a_night and (not paths.warehouse().exists() or paths.may_read(paths.warehouse())):
        with connect(read_only=True) as connection:
            yield connection
        return
    if not paths.published().is_file():
        raise StoreError(
            f"nothing is published yet ({paths.published()}); the next night publishes"
        )
    whole_copy()
    with database.connect() as connection:
        connection.execute(
            f"attach {sql.text(paths.published())} as warehouse (read_only); use warehouse"
        )
        connection.execute("attach ':memory:' as ledger; create schema ledger.audit")
        try:
            for name in ("changes", "planned_changes"):
                connection.execute(
                    f"create view ledger.audit.{name} as from warehouse.ledger_audit.changes"
                )
        except duckdb.CatalogException:
            raise StoreError(
                f"{paths.published()} is of an older Homeroom; the next night publishes"
            ) from None
        connection.execute("set TimeZone = 'UTC'")
        yield connection


def _opened(read_only: bool) -> duckdb.DuckDBPyConnection:
    finished = next(paths.runs().glob("2*/summary.json"), None)
    if not paths.ledger().is_file() and finished:
        # A new one would forget every name ever issued, and who is missing since when.
        raise StoreError(
            f"the ledger {paths.ledger()} is gone, though runs were finished here: put its last"
            ' copy back with "make restore FROM=latest"; to begin anew on purpose, move'
            f" {paths.runs()} away too"
        )
    for path in (paths.ledger(), paths.warehouse()):
        # DuckDB takes an empty file for a new one
        if path.is_file() and not path.stat().st_size and not damage.held(path, read_only=True):
            if finished:
                raise StoreDamagedError(path, damage.seen(path))
            path.unlink()
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        connection, path = None, paths.warehouse()
        try:
            connection = database.connect(path, read_only=read_only)
            connection.execute("set TimeZone = 'UTC'")
            mode = " (read_only)" if read_only else ""
            path = paths.ledger()
            connection.execute(f"attach {sql.text(path)} as ledger{mode}")
            _bring_forward(connection, read_only)
            return connection
        except (versions.TooNewError, versions.MigrationError) as error:
            connection.close()
            raise StoreError(str(error)) from error
        except duckdb.Error as error:
            if connection is not None:
                connection.close()
            if not _is_busy(path, error, read_only=read_only):
                raise
            if time.monotonic() > deadline:
                raise StoreBusyError(
                    f"the warehouse {path} is held by {_holder(error)} for more than"
                    f" {WAIT_SECONDS:.0f} seconds; let it finish, or end it, then run this one"
                    " again"
                ) from error
            time.sleep(0.2)


def _is_busy(path: Path, error: duckdb.Error, *, read_only: bool) -> bool:
    """Why a file could not be opened, by looking at it: True where another process has it, False
    where it is none of ours to say. Raises StoreDamagedError, StoreError.
    """
    if isinstance(error, duckdb.ConnectionException | duckdb.ProgrammingError):
        return False
    if path.is_symlink() and not path.exists():
        raise StoreDamagedError(path, "it is a link to nothing") from error
    if not path.exists():
        if read_only:
            raise StoreError(f"{path} is not there; the next night makes it") from error
        return False
    if not os.access(path, os.R_OK | (0 if read_only else os.W_OK)):
        raise StoreError(paths.whose(path)) from error
    if damage.held(path, read_only=read_only):
        return True
    if wrong := damage.opened(path, read=True):
        raise StoreDamagedError(path, wrong) from error
    return False


def _bring_forward(connection: duckdb.DuckDBPyConnection, read_only: bool) -> None:
    if read_only:
        for what in versions.TABLES:
            versions.check(connection, what)
        return
    versions.upgrade(connection, "warehouse")  # nothing in it that cannot be built again
    waiting = versions.check(connection, "ledger")
    if waiting:
        is_new = not connection.execute(
            "select 1 from duckdb_tables() where database_name = 'ledger' limit 1"
        ).fetchone()
        versions.upgrade(
            connection,
            "ledger",
            copy=None if is_new else versions.copy_ledger(connection, waiting[0].version),
        )


def _holder(error: duckdb.Error) -> str:
    """Which process has the lock, as DuckDB tells it."""
    found = re.search(r"PID (\d+)", str(error))
    return f"process {found[1]}" if found else "another process"


def begin_night(run: Run) -> None:
    """Write the one row models read instead of asking the clock: `raw_homeroom.run_context`
    (run_id, as_of, started_at, data_as_of, rolled_over_on).

    `data_as_of` is the day the records are of: before `as_of` in a rehearsal, the same day on every
    other night. `rolled_over_on` is the rollover a rehearsal has passed since.
    """
    with connect() as connection:
        connection.execute("create schema if not exists raw_homeroom")
        connection.execute(
            "create or replace table raw_homeroom.run_context as select ? as run_id, ?::date as"
            " as_of, ?::timestamp as started_at, ?::date as data_as_of, ?::date as rolled_over_on",
            [
                run.run_id,
                run.as_of.isoformat(),
                run.started_at.replace(tzinfo=None),
                run.facts().get("data_as_of", run.as_of.isoformat()),
                run.facts().get("rolled_over_on"),
            ],
        )
