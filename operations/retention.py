"""Retention: how long each class of data is kept; and the databases written anew without the air in
them.

In: `[retention]` days per class; a class without a number is kept for ever. Out: what is past its
days, listed; gone only when told to (`--really`), from the bytes of the ledger and the
published copy too, and then in `audit.interventions`. Original files
have days per source: `python -m ingestion retention`. The newest run, what stands in a journal and
is not in the ledger yet, and the newest backup are never let go.

Alone: `python -m operations retention [--really]`, `python -m operations compact`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from common import files, paths, settings, sql, store, turns, versions
from common.runs import Run
from operations import interventions, page
from operations.backup import DAMAGED, backups, folder
from operations.configured import Retention
from operations.preflight import size
from operations.publish import publish
from reverse_etl.serve import copy

AIR = 0.5  # a file with more free blocks than this share is worth writing anew


@dataclass(frozen=True)
class Past:
    """What of one class is past its days: files and folders, or rows of the ledger as (table,
    where).
    """

    name: str
    days: int | None
    files: tuple[Path, ...] = ()
    rows: int = 0

    @property
    def bytes(self) -> int:
        return sum(size(path) for path in self.files)


def _runs(before: datetime) -> list[Run]:
    """Closed runs that began before then and whose journals are in the ledger; never the newest."""
    newest = Run.latest()
    old = [
        run
        for run in Run.finished()
        if run.started_at < before and (newest is None or run.run_id != newest.run_id)
    ]
    return [
        run
        for run in old
        if all(
            path.with_suffix(".settled").is_file()
            for path in (run.folder / "journal").glob("*.jsonl")
        )
    ]


def _evidence(before: datetime) -> list[Path]:
    return [
        path
        for run in _runs(before)
        for name in ("dbt", "memory", "exports.parquet")
        if (path := run.folder / name).exists()
    ]


def _older(pattern: str, before: datetime) -> list[Path]:
    return [
        path
        for path in sorted(paths.var().glob(pattern))
        if path.stat().st_mtime < before.timestamp()
    ]


def _backups(before: datetime) -> list[Path]:
    """Those made before then, by their names, for files are touched when a folder is moved; never
    the newest.
    """
    every = [*backups()[:-1], *folder().glob(f"*Z{DAMAGED}")]
    return [path for path in every if path.name < f"{before:%Y%m%dT%H%M%SZ}"]


FILES: dict[str, Callable[[datetime], list[Path]]] = {
    "evidence": (
        _evidence
    ),  # what `make replay` needs of a night: dbt's documents, the memory before it
    "runs": lambda before: [
        path for run in _runs(before) for path in (run.folder, page.page_of(run)) if path.exists()
    ],
    "passwords": lambda before: _older("passwords/*.jsonl", before),  # sealed first passwords
    "replaced": lambda before: _older(
        "replaced/*", before
    ),  # ledgers and warehouses that a restore or a night put aside
    "backups": _backups,
    "upgrade_copies": lambda before: _older("backups/before-*", before),
}
# Classes of the ledger: what goes with a run that is past its days. Identity, lifecycle and applied
# state have no days.
ROWS = {
    "findings": (("findings", "found_at"),),
    "changes": (
        ("outcomes", "finished_at"),
        ("planned_changes", "planned_at"),
        ("plans", "made_at"),
    ),
}


def days() -> dict[str, int | None]:
    """Class -> days; None: for ever. Raises SettingsError for an unknown class or a
    wrong number.
    """
    given = settings.read(Retention, "retention")
    return {name: getattr(given, f"{name}_days") for name in (*FILES, *ROWS)}


def past(now: datetime | None = None) -> list[Past]:
    """What is past its days, class by class. Writes nothing."""
    found, moment = [], now or datetime.now(UTC)
    with store.connect(read_only=True) as connection:
        for name, number in days().items():
            if number is None:
                found.append(Past(name, None))
                continue
            before = moment - timedelta(days=number)
            if name in FILES:
                found.append(Past(name, number, tuple(FILES[name](before))))
            else:
                rows = sum(
                    connection.execute(
                        f"select count(*) from ledger.audit.{table} where {at} < ?", [before]
                    ).fetchall()[0][0]
                    for table, at in ROWS[name]
                )
                found.append(Past(name, number, (), rows))
    return found


def let_go(found: list[Past], now: datetime | None = None) -> None:
    """Remove what `past` found. Raises LockHeldError."""
    moment = now or datetime.now(UTC)
    with turns.taken("retention"):
        with store.connect() as connection:
            for one in found:
                for table, at in ROWS.get(one.name, ()) if one.rows and one.days else ():
                    connection.execute(
                        f"delete from ledger.audit.{table} where {at} < ?",
                        [moment - timedelta(days=one.days or 0)],
                    )
        if any(one.rows for one in found):  # a deleted row stands in the file until it is new
            _write_anew("ledger")
            if paths.published().is_file():
                publish()
                copy.renew()
        for path in (path for one in found for path in one.files):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        words = [
            f"{one.name}: {one.rows or len(one.files)} older than {one.days} days"
            for one in found
            if one.rows or one.files
        ]
        if words:
            interventions.record("let_go", details="; ".join(words))


def air() -> float:
    """The share of the warehouse file that holds nothing."""
    with store.connect(read_only=True) as connection:
        total, free = connection.execute(
            "select total_blocks, free_blocks from pragma_database_size() where database_name ="
            " current_database()"
        ).fetchall()[0]
    return free / total if total else 0.0


def compact() -> tuple[int, int]:
    """Write the warehouse and the ledger anew; returns bytes before and after."""
    both = (paths.warehouse(), paths.ledger())
    with turns.taken("compact"):
        before = sum(map(size, both))
        for catalog in ("warehouse", "ledger"):
            _write_anew(catalog)
        return before, sum(map(size, both))


def _write_anew(catalog: str) -> None:
    """Write a database beside itself, count every table in both, and swap it in: what was deleted
    stands in it no more.
    """
    path = {"warehouse": paths.warehouse(), "ledger": paths.ledger()}[catalog]
    fresh = paths.var() / "tmp" / "compact" / path.name
    shutil.rmtree(fresh.parent, ignore_errors=True)
    fresh.parent.mkdir(parents=True, mode=0o700)
    with store.connect() as connection:
        versions.copy_database(connection, catalog, fresh)
        here = _counts(connection, catalog)
        connection.execute(f"attach {sql.text(fresh)} as fresh (read_only)")
        there = _counts(connection, "fresh")
        connection.execute("detach fresh")
        if here != there:
            differ = sorted(name for name in {*here, *there} if here.get(name) != there.get(name))
            raise duckdb.IntegrityError(
                f"the copy differs in {differ[0]}; the {catalog} stays as it was"
            )
        connection.execute(f"checkpoint {catalog}")
    path.with_suffix(".duckdb.wal").unlink(missing_ok=True)
    files.put(fresh, path)


def _counts(connection: duckdb.DuckDBPyConnection, catalog: str) -> dict[str, int]:
    found = connection.execute(
        "select schema_name, table_name from duckdb_tables() where database_name = ? order by all",
        [catalog],
    ).fetchall()
    views = connection.execute(
        "select schema_name, view_name from duckdb_views() where database_name = ? and not"
        " internal",
        [catalog],
    ).fetchall()
    counts = {
        f"{s}.{t}": (
            connection.execute(f"select count(*) from {sql.name(catalog, s, t)}").fetchall()[0][0]
        )
        for s, t in found
    }
    return counts | {f"{s}.{v}": -1 for s, v in views}
