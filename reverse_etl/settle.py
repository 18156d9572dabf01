"""Settle: bring what the journals say into the ledger.

In: `runs/*/journal/<target>.jsonl` and the planned changes they speak of. Out: `audit.outcomes`, `audit.deliveries`
and the applied tables. Runs at the end of a push and at the start of `plan` and `push`, so that a night that was
killed is settled by the next one. Safe to repeat: an outcome that is in the ledger is not taken in again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from common import paths
from reverse_etl import applied, journal
from reverse_etl.model import FILE_ENTITY

OUTCOMES = pa.schema([
    ("change_id", pa.string()), ("status", pa.string()), ("attempts", pa.int32()), ("code", pa.int32()), ("remote_id", pa.string()),
    ("request_id", pa.string()), ("started_at", pa.string()), ("finished_at", pa.string()), ("note", pa.string()),
    ("bytes", pa.int64()), ("sha256", pa.string()), ("rows", pa.int64()), ("without", pa.string()),
])  # fmt: skip


def journals(target: str = "*") -> list[Path]:
    """The journals of all runs, oldest run first."""
    return sorted(paths.runs().glob(f"2*/journal/{target}.jsonl"))


def settle(connection: duckdb.DuckDBPyConnection) -> int:
    """Take in every outcome not yet in the ledger; returns how many there were."""
    return sum(_settle(connection, path) for path in journals() if not _is_settled(path))


def last_written(target: str) -> float:
    """When any run last wrote to this target's journal, in seconds; 0 for never."""
    return max((path.stat().st_mtime for path in journals(target)), default=0.0)


def _is_settled(path: Path) -> bool:
    """Reading a year of journals each night would cost more than the night: the size already settled is noted."""
    mark = path.with_suffix(".settled")
    return mark.is_file() and mark.read_text() == str(path.stat().st_size)


def _settle(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    size = path.stat().st_size
    past = journal.read(path)
    rows: list[dict[str, Any]] = [{field.name: outcome.get(field.name) for field in OUTCOMES} for outcome in past.outcomes.values()]
    for row in rows:
        row["note"] = row["note"] or ""
        row["without"] = json.dumps(row["without"] or {})
    said = pa.Table.from_pylist(rows, schema=OUTCOMES)
    connection.register("journal_said", said)
    connection.execute("""
        create or replace temp table settling as
        select planned.*, said.status, said.attempts, said.code, said.remote_id as made_id, said.request_id, said.note, said.bytes, said.sha256,
               said.rows, said.without, said.started_at::timestamptz as started_at, said.finished_at::timestamptz as finished_at
        from journal_said as said
        join ledger.audit.planned_changes as planned using (change_id)
        where change_id not in (select change_id from ledger.audit.outcomes)""")
    connection.unregister("journal_said")
    # A delivered file delivers its rows, but those that were left out of it; one that was refused leaves all undelivered.
    left_out = """coalesce(list_contains(cast(json_extract(file.without, '$."' || planned.entity || '"') as varchar[]), planned.key), false)"""
    connection.execute(f"""
        insert into settling
        select planned.*, case when file.status = 'applied' and not {left_out} then 'applied' else 'skipped' end, file.attempts, file.code, null,
               file.request_id, case when {left_out} then 'waits for another target; not yet in file ' else 'in file ' end || file.key,
               null, null, null, null, file.started_at, file.finished_at
        from settling as file
        join ledger.audit.planned_changes as planned
            on planned.plan_id = file.plan_id and planned.target = file.target and planned.hold is null
            and list_contains(cast(json_extract(file.new, '$.entities') as varchar[]), planned.entity)
        where file.entity = '{FILE_ENTITY}' and file.action = 'deliver'
            and planned.change_id not in (select change_id from ledger.audit.outcomes)""")
    connection.execute(applied.REGISTRY)
    connection.execute("begin")
    connection.execute("""
        insert into ledger.audit.outcomes
        select change_id, run_id, target, status, attempts, code, coalesce(made_id, remote_id), request_id, started_at, finished_at, note from settling""")
    connection.execute(f"""
        insert into ledger.audit.deliveries
        select change_id, run_id, target, key, rows, bytes, sha256, finished_at, note
        from settling where entity = '{FILE_ENTITY}' and action = 'deliver' and status = 'applied'""")
    for target, entity in connection.execute("select distinct target, entity from settling where status = 'applied' order by all").fetchall():
        if entity == FILE_ENTITY:
            _shapes(connection, target)
            continue
        connection.execute("create or replace temp table settling_now as select * from settling where status = 'applied' and target = ? and entity = ?",
                           [target, entity])  # fmt: skip
        applied.record(connection, target, entity, "settling_now")
    taken = connection.execute("select count(*) from settling").fetchone()
    connection.execute("commit")
    mark = path.with_suffix(".settled")
    mark.write_text(str(size))
    return taken[0] if taken else 0


def _shapes(connection: duckdb.DuckDBPyConnection, target: str) -> None:
    """Remember in which form each file was delivered: another form is delivered again even if no row changed."""
    connection.execute(f"""
        update ledger.applied.tables as known set shape = json_extract_string(file.new, '$.shapes."' || known.entity || '"')
        from (select * from settling where entity = '{FILE_ENTITY}' and status = 'applied' and target = '{target}') as file
        where known.target = '{target}' and json_exists(file.new, '$.shapes."' || known.entity || '"')""")
