"""Backup: what cannot be built again, copied, compressed, checked; and put back.

In: the ledger, and the documents of runs, sealed first passwords, read cursors and interventions.
Out: `<folder>/<moment>/` with `ledger.duckdb.gz`, `documents.tar.gz` and `manifest.json` (SHA-256
and bytes of both, rows and a fingerprint of every table). A backup counts once it was unpacked,
opened and every table was counted again; until then it has another name. `restore` refuses one that
is damaged and keeps what it replaces.

Not in it: the warehouse (built again by the next night), `archive/` (files that never change: any
file copier does for them), seeds and settings (git), credentials.

Alone: `python -m operations backup`, `python -m operations restore latest`.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb

from common import damage, database, documents, files, paths, settings, sql, store, turns, versions
from common.findings import Finding
from common.runs import Run
from operations import interventions
from operations.configured import Backup

LEDGER, DOCUMENTS, MANIFEST = "ledger.duckdb.gz", "documents.tar.gz", "manifest.json"
KEPT_BESIDE = (
    "passwords/*.jsonl",
    "cursors/*.json",
    "*.jsonl",
    "*.json",
)  # under the state folder, beside the runs
OF_A_RUN = (
    "*.json",
    "*.jsonl",
    "journal/*.jsonl",
)  # not dbt/ and memory/, which are large and serve replay only
NAME = re.compile(r"\d{8}T\d{6}Z")
COPY = re.compile(r"before-\d{4}-\d{8}T\d+Z")  # of an upgrade: a ledger as it stands
DAMAGED = ".damaged"


class BackupError(Exception):
    """No backup was made; the message says why and what to do."""


class NotRestorableError(Exception):
    """This backup cannot be put back; nothing was changed. The message says what is
    wrong with it.
    """


def folder() -> Path:
    """Where backups are kept: `[backup] folder`, else `backups/` under the state folder."""
    given = settings.read_what_can_be(Backup, "backup")[0].folder
    return ((paths.district() or paths.root()) / given) if given else paths.var() / "backups"


def backups() -> list[Path]:
    """Every whole backup, oldest first."""
    return sorted(
        path
        for path in folder().glob("*Z")
        if NAME.fullmatch(path.name) and (path / MANIFEST).is_file()
    )


def backup() -> Path:
    """Make one, prove it, let the oldest go. Raises BackupError; store.StoreError when the ledger
    cannot be opened.
    """
    try:
        asked = settings.read(Backup, "backup")
    except settings.SettingsError as error:
        raise BackupError(str(error)) from None
    moment = datetime.now(UTC)
    final = folder() / f"{moment:%Y%m%dT%H%M%SZ}"
    part = final.with_name(f".{final.name}.part")
    if final.exists():
        raise BackupError(f"{final} is there already; one backup a second is enough")
    try:
        folder().mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in folder().glob(".*.part"):
            shutil.rmtree(left)
        part.mkdir(mode=0o700)
        tables = _pack_ledger(part / LEDGER)
        runs = _pack_documents(part / DOCUMENTS, asked.runs)
        packed = {
            name: {"bytes": (part / name).stat().st_size, "sha256": files.sha256(part / name)}
            for name in (LEDGER, DOCUMENTS)
        }
        manifest = {
            "made_at": moment.isoformat(),
            "program": versions.PROGRAM,
            "duckdb": duckdb.__version__,
            "ledger_version": _version(tables),
            "files": packed,
            "tables": tables,
            "runs": runs,
        }
        files.write(part / MANIFEST, json.dumps(manifest, indent=1))
        with _proven(part):
            pass
        part.replace(final)
    except (OSError, duckdb.Error, NotRestorableError) as error:
        shutil.rmtree(part, ignore_errors=True)
        reason = (
            str(error)
            if isinstance(error, NotRestorableError)
            else getattr(error, "strerror", None) or type(error).__name__
        )
        raise BackupError(
            f"no backup was made in {folder()}: {reason}; the ones before are untouched; mend it,"
            ' then "make backup"'
        ) from error
    for old in backups()[: -asked.keep]:
        shutil.rmtree(old)
    return final


def looked_over(night: date) -> list[Finding]:
    """Are the older ones still what was written? Of each the sizes are looked at, of one, another
    one every night, every byte. One that is not is renamed, so that none is put back or counted by
    mistake, and named every night until somebody has removed it.
    """
    if not folder().is_dir():
        return []
    every = sorted(
        path for path in folder().iterdir() if NAME.fullmatch(path.name) and path.is_dir()
    )
    copies = [path for path in (paths.var() / "backups").glob("before-*") if path.is_dir()]
    wrong = [
        path
        for at, path in enumerate(every)
        if not _is_whole(path, read=(at - night.toordinal()) % len(every) == 0)
    ]
    for path in copies:
        ledger = path / paths.ledger().name
        if COPY.fullmatch(path.name) and ledger.is_file() and damage.opened(ledger):
            wrong.append(path)
    for path in wrong:
        path.rename(path.with_name(path.name + DAMAGED))
    whole = ", ".join(path.name for path in backups()[-3:]) or "none"
    left = {*folder().glob(f"*{DAMAGED}"), *(paths.var() / "backups").glob(f"*{DAMAGED}")}
    return [
        Finding("backup_damaged", {"path": str(path), "others": whole}) for path in sorted(left)
    ]


def _is_whole(chosen: Path, *, read: bool) -> bool:
    try:
        facts_of = _manifest(chosen)["files"]
        return all(
            (chosen / name).stat().st_size == facts["bytes"]
            and (not read or files.sha256(chosen / name) == facts["sha256"])
            for name, facts in facts_of.items()
        )
    except (NotRestorableError, OSError, KeyError, TypeError):
        return False


def restore(given: str) -> tuple[Path, Path]:
    """Put a backup back: its ledger, and documents that are gone; returns the backup and where the
    replaced ledger lies.

    `given` is `latest`, a name under `folder()` or a path. Raises NotRestorableError,
    LockHeldError.
    """
    chosen = _chosen(given)
    with turns.taken("restore"), _proven(chosen) as ledger:
        aside = paths.var() / "replaced" / f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
        aside.mkdir(parents=True, mode=0o700)
        target = paths.ledger()
        for file in (target, target.with_suffix(".duckdb.wal")):
            if documents.exists(file):  # be it a folder somebody put there
                file.replace(aside / file.name)
        ledger.replace(target)
        _put_back_documents(chosen / DOCUMENTS)
        for mark in paths.runs().glob(
            "2*/journal/*.settled"
        ):  # what a journal knows and this ledger does not is settled again
            mark.unlink()
        interventions.record(
            "restored", details=f"{chosen.name}; the ledger before stands in {aside}"
        )
    return chosen, aside


def not_covered(chosen: Path) -> list[str]:
    """The runs this state folder knows and a backup does not: their audit rows are gone with the
    ledger that had them.
    """
    manifest = json.loads((chosen / MANIFEST).read_text(encoding="utf-8"))
    return [run.run_id for run in Run.finished() if run.run_id > max(manifest["runs"], default="")]


# ---------------------------------------------------------------- making


def _pack_ledger(to: Path) -> dict[str, dict[str, Any]]:
    """A consistent copy, packed; returns rows and fingerprint per table as the ledger itself has
    them.
    """
    with tempfile.TemporaryDirectory(dir=_scratch(), prefix="backup-") as scratch:
        plain = Path(scratch) / paths.ledger().name
        if not paths.ledger().is_file():
            raise BackupError(f"there is nothing to back up: {paths.ledger()} is not there")
        with store.connect(read_only=paths.warehouse().is_file()) as held:
            # waited for whoever wrote last; now from an empty one that may write beside it
            held.close()
            with database.connect() as connection:
                connection.execute(f"attach {sql.text(paths.ledger())} as ledger (read_only)")
                versions.copy_database(connection, "ledger", plain)
                tables = _tables(connection)
        with (
            plain.open("rb") as source,
            files.replacing(to, alone=True) as raw,
            gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=1, mtime=0) as packed,
        ):
            shutil.copyfileobj(source, packed, 1 << 20)
    return tables


def _pack_documents(to: Path, of_runs: int) -> list[str]:
    """The documents of the last runs and what stands beside them; returns those runs."""
    known = sorted(path for path in paths.runs().glob("2*Z-*") if path.is_dir())
    kept = known[-of_runs:]
    found = [file for run in kept for pattern in OF_A_RUN for file in run.glob(pattern)]
    found += [file for pattern in KEPT_BESIDE for file in paths.var().glob(pattern)]
    with (
        files.replacing(to, alone=True) as raw,
        tarfile.open(fileobj=raw, mode="w:gz", compresslevel=6) as packed,
    ):
        for file in sorted(set(found)):
            if file.is_file() and not file.is_symlink():
                packed.add(file, arcname=str(file.relative_to(paths.var())))
    return [run.name for run in kept]


def _tables(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, Any]]:
    """Rows and an order-free fingerprint of every table of the attached `ledger`."""
    found = connection.execute(
        "select schema_name, table_name from duckdb_tables() where database_name = 'ledger' order"
        " by all"
    ).fetchall()
    tables = {}
    for schema, table in found:
        rows, print_ = connection.execute(
            "select count(*), cast(coalesce(sum(hash(t)), 0) as varchar) from"
            f" {sql.name('ledger', schema, table)} as t"
        ).fetchall()[0]
        tables[f"{schema}.{table}"] = {"rows": rows, "fingerprint": print_}
    return tables


def _version(tables: dict[str, dict[str, Any]]) -> int:
    return tables.get("audit.versions", {"rows": 0})["rows"]


# ---------------------------------------------------------------- proving


@contextmanager
def _proven(chosen: Path) -> Iterator[Path]:
    """The backup's ledger, unpacked beside the real one, after everything the manifest says was
    found true.
    """
    manifest = _manifest(chosen)
    for name, facts in manifest["files"].items():
        file = chosen / name
        if (
            not file.is_file()
            or file.stat().st_size != facts["bytes"]
            or files.sha256(file) != facts["sha256"]
        ):
            raise NotRestorableError(
                f"the backup {chosen} is damaged: {name} is not the file its manifest describes;"
                " take another one"
            )
    if manifest["ledger_version"] > len(versions.migrations("ledger")):
        raise NotRestorableError(
            f"the backup {chosen} is of ledger version {manifest['ledger_version']} and this"
            f" Homeroom ({versions.PROGRAM}) knows up to {len(versions.migrations('ledger'))};"
            " update Homeroom first, or take an older backup"
        )
    with tempfile.TemporaryDirectory(dir=_scratch(), prefix="restore-") as scratch:
        plain = Path(scratch) / paths.ledger().name
        try:
            with gzip.open(chosen / LEDGER, "rb") as packed, plain.open("wb") as file:
                shutil.copyfileobj(packed, file, 1 << 20)
                os.fsync(file.fileno())
            with database.connect() as connection:
                connection.execute(f"attach {sql.text(plain)} as ledger (read_only)")
                there = _tables(connection)
        except (OSError, EOFError, duckdb.Error) as error:
            raise NotRestorableError(
                f"the ledger in the backup {chosen} cannot be opened ({type(error).__name__}); take"
                " another one"
            ) from error
        # another DuckDB may compute another fingerprint of the same rows
        parts = (
            ("rows", "fingerprint") if manifest.get("duckdb") == duckdb.__version__ else ("rows",)
        )
        told = manifest["tables"]
        wrong = sorted(
            name
            for name in {*there, *told}
            if any(there.get(name, {}).get(part) != told.get(name, {}).get(part) for part in parts)
        )
        if wrong:
            raise NotRestorableError(
                f"the ledger in the backup {chosen} does not hold what its manifest says, first in"
                f" {wrong[0]}; take another one"
            )
        yield plain


def _manifest(chosen: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((chosen / MANIFEST).read_text(encoding="utf-8"))
        if (
            {LEDGER, DOCUMENTS} <= set(manifest["files"])
            and isinstance(manifest["ledger_version"], int)
            and isinstance(manifest["tables"], dict)
        ):
            return manifest
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise NotRestorableError(f"{chosen} is no backup, or its manifest.json is damaged; {_known()}")


def _chosen(given: str) -> Path:
    if given == "latest":
        if not backups():
            raise NotRestorableError(f"there is no backup in {folder()}")
        return backups()[-1]
    for path in (folder() / given, Path(given)):
        if given and path.is_dir():
            return path.resolve()
    raise NotRestorableError(
        f"there is no backup {given!r}; {_known()}"
        if given
        else f"say which one: FROM=latest, or a name; {_known()}"
    )


def _known() -> str:
    names = [path.name for path in backups()[-5:]]
    return f"in {folder()} are {', '.join(names)}" if names else f"{folder()} holds none"


def _put_back_documents(archive: Path) -> None:
    """Unpack what is not there; what is there is newer or the same."""
    with (
        tempfile.TemporaryDirectory(dir=_scratch(), prefix="restore-") as scratch,
        tarfile.open(archive, "r:gz") as packed,
    ):
        members = [
            member
            for member in packed.getmembers()
            if member.isfile() and not (paths.var() / member.name).exists()
        ]
        packed.extractall(scratch, members=members, filter="data")
        for member in (
            members
            # each whole or not at all: half of one would be taken for the newer one by the next restore  # noqa: E501
        ):
            unpacked, path = Path(scratch) / member.name, paths.var() / member.name
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            files.put(unpacked, path)


# ---------------------------------------------------------------- files


def _scratch() -> Path:
    path = paths.var() / "tmp"
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path
