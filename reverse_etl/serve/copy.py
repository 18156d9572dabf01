"""The copy that is served: what was last delivered, in a file of its own.

In: the applied tables of the ledger (what the packages delivered last hold, and since when each row
is as it is), and the removals of the last days. Out: `served/oneroster.duckdb`, read-only, swapped
in by rename: who reads sees one night whole, and nothing of the warehouse. Made at the end of every
run, and gone where nobody serves any more.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb

from common import database, paths, settings, sql, store
from reverse_etl import applied, configured, exports
from reverse_etl.limits import LimitError
from reverse_etl.model import Export
from reverse_etl.serve.settings import Service

# target -> where its service begins. 1EdTech, OneRoster 1.1 section 3.1; OneRoster 1.2 Rostering
SERVED = {"oneroster11": "/ims/oneroster/v1p1", "oneroster12": "/ims/oneroster/rostering/v1p2"}
MANIFEST = "manifest"  # says which files there are: a service has none


def path() -> Path:
    """The file that is served."""
    return paths.var() / "served" / "oneroster.duckdb"


def renew() -> int:
    """Make it anew of what was last delivered; returns how many tables it has. Raises
    store.StoreError, duckdb.Error, OSError.
    """
    destination = path()
    if not settings.is_on("serve", "oneroster"):
        destination.unlink(missing_ok=True)
        return 0
    # what is wrong in it is for check and for who begins the service
    days = settings.read_what_can_be(Service, "serve", "oneroster")[0].deleted_days
    fresh = destination.parent / ".next" / destination.name
    shutil.rmtree(fresh.parent, ignore_errors=True)
    fresh.parent.mkdir(parents=True, mode=0o700)
    try:
        with store.connect(read_only=True) as held:
            held.close()  # waited for whoever wrote last; a file that is written is attached anew
        with database.connect() as connection:
            for name, there, mode in (
                ("ledger", paths.ledger(), " (read_only)"),
                ("served", fresh, ""),
            ):
                connection.execute(f"attach {sql.text(there)} as {name}{mode}")
            connection.execute("set TimeZone = 'UTC'")
            count = sum(_copy(connection, export, days) for export in _served(connection))
            connection.execute("detach served")
        fresh.chmod(0o400)
        fresh.replace(destination)
    finally:
        shutil.rmtree(fresh.parent)
    return count


def _served(connection: duckdb.DuckDBPyConnection) -> Iterator[Export]:
    """The exports of which something was delivered."""
    for target in SERVED:
        if target not in configured.names():
            continue
        try:
            declared = exports.declared(target)
        except (exports.ExportError, LimitError) as error:
            raise store.StoreError(f"{target} is served as it was before: {error}") from None
        for entity, export in sorted(declared.items()):
            there = applied.columns(connection, applied.table(target, entity))
            if entity != MANIFEST and {column.name for column in export.sent} <= set(there):
                yield export


def _copy(connection: duckdb.DuckDBPyConnection, export: Export, days: int) -> int:
    """One table: the columns of the file under the names the standard has, `_modified_at`,
    `_deleted`. Who went is as it was delivered last.
    """
    table = applied.table(export.target, export.entity)
    now = ", ".join(
        f"cast({sql.name(c.name)} as varchar) as {sql.name(c.header or c.name)}"
        for c in export.sent
    )
    was = ", ".join(
        f"json_extract_string(old, {sql.text('$.' + sql.name(c.name))})"
        f" as {sql.name(c.header or c.name)}"
        for c in export.sent
    )
    connection.execute(
        f"""
        create table served.{sql.name(f"{export.target}__{export.entity}")} as
        select {now}, applied_at::timestamp as _modified_at, false as _deleted from {table}
        union all by name
        select {was}, finished_at::timestamp as _modified_at, true as _deleted
        from ledger.audit.changes
        where target = $target and entity = $entity and status = 'applied' and action = 'remove'
            and finished_at >= now() - to_days($days) and key not in (select _key from {table})
        qualify row_number() over (partition by key order by finished_at desc) = 1""",
        {"target": export.target, "entity": export.entity, "days": days},
    )
    return 1
