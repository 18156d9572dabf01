"""Replay: an old night's warehouse, built again from the archive, and its exports compared with
what was recorded.

In: the archive, the ledger, the folder of that night's run. Out: a state folder of its own,
`replay/<date>/`, and one line per export: equal, or how many rows differ. Nothing else is written;
no target is asked or told anything.

What is replayed is data: files, date, what the ledger knew. Code is that of this checkout, and what
targets held then is not known any more: names they take count only for people who had none yet, and
of that night everybody has.

Alone: `python -m operations replay 2026-10-05`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console

from common import database, paths, sql, turns
from common.commit import git_commit
from common.runs import Run
from operations.snapshots import GROWING, identity_tables

# What happened later, and what this night did after its build, has to be unknown again.
LATER = ("runs", "plans", "planned_changes", "outcomes", "deliveries", "findings")


class NotReplayableError(Exception):
    """The night cannot be built again; the message says what is missing."""


@dataclass(frozen=True)
class Compared:
    """One export: its rows then and now, and how many rows stand in one of them only (None: not
    recorded per row).
    """

    model: str
    then: int | None
    now: int | None
    differ: int | None

    @property
    def sentence(self) -> str:
        if self.then is None:
            return "not of that night: its model is new since"
        if self.now is None:
            return f"gone: {self.then:,} rows then, no such model now"
        if self.differ == 0:
            return f"equal ({self.then:,} rows)"
        count = (
            "rows differ"
            if self.differ is None
            else ("1 row differs" if self.differ == 1 else f"{self.differ:,} rows differ")
        )
        return f"{count} ({self.then:,} rows then, {self.now:,} now)"


def replay(day: date, console: Console) -> int:
    """Rebuild a night and compare; 0 when every export is equal, 3 when some differ. Raises
    NotReplayableError.
    """
    run = night_of(day)
    scratch = _prepared(run)
    for what in (("ingestion", "replay"), ("operations", "build")):
        _step(run, scratch, what)
        if what[0] == "ingestion":
            _observe(run, scratch)
    compared = compare(run.folder, scratch / "runs" / run.run_id)
    console.print(
        f"night of {day.isoformat()}, run {run.run_id}, built again in {scratch}", markup=False
    )
    for one in compared:
        console.print(f"  {one.model:34} {one.sentence}", markup=False, highlight=False)
    then, now = run.facts()["git_commit"], git_commit()
    if then != now:
        console.print(
            f"That night ran code {then[:9] or 'unknown'}, this is {now[:9] or 'unknown'}: rules"
            " edited since answer as they do now.",
            markup=False,
        )
    if any(one.differ != 0 and one.then is not None for one in compared):
        console.print(
            "What cannot be replayed: other code than this checkout's, and names that accounts of"
            " others took in the targets then."
        )
        return 3
    return 0


def night_of(day: date) -> Run:
    """The last finished run of that date that recorded its exports."""
    nights = [run for run in Run.finished() if (run.folder / "exports.json").is_file()]
    found = [run for run in nights if run.as_of == day]
    if not found:
        known = ", ".join(sorted({run.as_of.isoformat() for run in nights})[-7:])
        raise NotReplayableError(
            f"no finished night of {day.isoformat()} recorded its exports; the latest that did are"
            f" {known or 'none'}"
        )
    if not (found[-1].folder / "memory").is_dir():
        raise NotReplayableError(
            f"what the ledger knew on the night of {day.isoformat()} is past its keep_days and"
            " gone; a younger night can be replayed"
        )
    return found[-1]


def _prepared(run: Run) -> Path:
    """The scratch state folder: the archive by reference, the run by name, the ledger as it was
    before that build.
    """
    scratch = paths.var() / "replay" / run.as_of.isoformat()
    shutil.rmtree(scratch, ignore_errors=True)
    folder = scratch / "runs" / run.run_id
    folder.mkdir(parents=True, mode=0o700)
    scratch.chmod(0o700)
    (scratch / "archive").symlink_to(paths.var() / "archive")
    (scratch / "target").mkdir()
    if (parsed := paths.var() / "target" / "partial_parse.msgpack").is_file():
        shutil.copyfile(parsed, scratch / "target" / parsed.name)
    facts = run.facts() | {
        "finished_at": None,
        "exit_code": None,
        "status": "running",
        "steps": [],
        "verb": "replay",
    }
    (folder / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    (scratch / "runs" / "latest").symlink_to(run.run_id)
    with turns.taken("replay"):
        shutil.copyfile(paths.ledger(), scratch / "ledger.duckdb")
        if (log := paths.ledger().with_suffix(".duckdb.wal")).is_file():
            shutil.copyfile(log, scratch / log.name)
    with database.connect() as connection:
        connection.execute(f"attach {sql.text(scratch / 'ledger.duckdb')} as ledger")
        _forget(connection, run)
    return scratch


def _forget(connection: duckdb.DuckDBPyConnection, run: Run) -> None:
    """Take out of the copied ledger what was not known when that night's build began. Run ids sort
    by time.
    """
    for table in LATER:
        connection.execute(f"delete from ledger.audit.{table} where run_id >= ?", [run.run_id])
    connection.execute("delete from ledger.audit.source_files where run_id > ?", [run.run_id])
    for table in identity_tables(connection):
        kept, remembered = (
            run.folder / "memory" / f"{table}.parquet",
            sql.name("ledger", "identity", table),
        )
        if table in GROWING:
            connection.execute(
                f"delete from {remembered} where {sql.name(GROWING[table])} > ?", [run.as_of]
            )
            continue
        connection.execute(f"delete from {remembered}")  # a table that came later was empty then
        if kept.is_file():
            connection.execute(
                f"insert into {remembered} by name select * from read_parquet(?)", [str(kept)]
            )


def _observe(run: Run, scratch: Path) -> None:
    """The targets as they were seen that night, from what the night remembered of them."""
    with database.connect(scratch / "warehouse.duckdb") as connection:
        for kept in sorted((run.folder / "memory").glob("raw_*.*.parquet")):
            schema, table, _ = kept.name.split(".")
            connection.execute(f"create schema if not exists {sql.name(schema)}")
            connection.execute(
                f"create or replace table {sql.name(schema, table)} as"
                " select * from read_parquet(?)",
                [str(kept)],
            )


def _step(run: Run, scratch: Path, what: tuple[str, ...]) -> None:
    environment = os.environ | {
        "HOMEROOM_VAR": str(scratch),
        "HOMEROOM_RUN": run.run_id,
        "HOMEROOM_AS_OF": run.as_of.isoformat(),
    }
    ended = subprocess.run(
        [sys.executable, "-m", *what],
        cwd=paths.root(),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode not in (0, 3):
        said = (ended.stderr or ended.stdout).strip().splitlines() or ["no message"]
        raise NotReplayableError(
            f"the night of {run.as_of.isoformat()} cannot be built again: {said[-1]}"
        )


def compare(then: Path, now: Path) -> list[Compared]:
    """Every export of either folder of a run."""
    before, after = (
        json.loads((folder / "exports.json").read_text(encoding="utf-8")) for folder in (then, now)
    )
    compared = []
    for model in sorted({*before, *after}):
        old, new = before.get(model), after.get(model)
        differ = 0 if old == new else (_differing(then, now, model) if old and new else None)
        compared.append(Compared(model, old and old["rows"], new and new["rows"], differ))
    return compared


def _differing(then: Path, now: Path, model: str) -> int | None:
    """How many rows had to change, come or go."""
    files: list[Any] = [str(folder / "exports.parquet") for folder in (then, now)]
    if not all(Path(file).is_file() for file in files):
        return None
    rows = "(select row from read_parquet(?) where model = ?)"
    query = (
        f"select greatest((select count(*) from ({rows} except all {rows})), (select count(*) from"
        f" ({rows} except all {rows})))"
    )
    with database.connect() as connection:
        found = connection.execute(
            query, [files[0], model, files[1], model, files[1], model, files[0], model]
        ).fetchone()
    return found[0] if found else None
