"""Settle: bring what the journals say into the ledger.

In: `runs/*/journal/<target>.jsonl` and the planned changes they speak of. Out: `audit.outcomes`,
`audit.deliveries` and the applied tables. Runs at the end of a push and at the start of `plan` and
`push`, so that a night that was killed is settled by the next one. Safe to repeat: an outcome that
is in the ledger is not taken in again.

An answer is a claim. Every change is in doubt (`ledger.applied.unclear`) until the target is seen
again; `resolve` then brings the applied table in line with what is there. Else an object we made
and never heard of would for ever pass for somebody else's, and our own lost write for somebody's
change by hand.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from common import documents, files, paths, sql, turns
from reverse_etl import applied, journal, shared
from reverse_etl.model import FILE_ENTITY, Export

OUTCOMES = pa.schema(
    [
        ("change_id", pa.string()),
        ("status", pa.string()),
        ("attempts", pa.int32()),
        ("code", pa.int32()),
        ("remote_id", pa.string()),
        ("request_id", pa.string()),
        ("started_at", pa.string()),
        ("finished_at", pa.string()),
        ("reason", pa.string()),
        ("note", pa.string()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
        ("rows", pa.int64()),
        ("without", pa.string()),
    ]
)


def journals(target: str = "*") -> list[Path]:
    """The journals of all runs, oldest run first."""
    return sorted(path for path in paths.runs().glob(f"2*/journal/{target}.jsonl") if is_one(path))


def is_one(path: Path) -> bool:
    """Whether a journal can be one: what else stands in its place (a folder, a link to nothing) is
    set aside.
    """
    if path.is_file() and not path.is_symlink():
        return True
    documents.set_aside(path)
    return False


def look_over() -> None:
    """Are the journals that were taken in still what they were? One that is not is set aside, and
    named, though nobody reads it any more; its whole lines stay.
    """
    for path in journals():
        if _is_damaged(path):
            journal.keep_what_is_whole(path, damaged=True)
            _mark(path)


def settle(connection: duckdb.DuckDBPyConnection) -> int:
    """Take in every outcome not yet in the ledger; returns how many there were. What another run
    writes to at this moment is for that run to take in.
    """
    return sum(
        _settle(connection, path)
        for path in journals()
        if not _is_settled(path) and not turns.written_by_another(path.stem)
    )


def last_written(target: str) -> float:
    """When any run last wrote to this target's journal, in seconds; 0 for never."""
    return max((path.stat().st_mtime for path in journals(target)), default=0.0)


def _is_settled(path: Path) -> bool:
    """Reading a year of journals each night would cost more than the night: the size already
    settled is noted.
    """
    size, _ = _marked(path)
    return size == path.stat().st_size


def _is_damaged(path: Path) -> bool:
    """Whether a journal that was taken in is shorter than it was then, or of other bytes."""
    size, sha256 = _marked(path)
    now = path.stat().st_size
    return now < size or (now == size and sha256 not in ("", files.sha256(path)))


def _marked(path: Path) -> tuple[int, str]:
    """The size that was taken in, -1 for none, and the hash of it, '' where none was noted."""
    mark = path.with_suffix(".settled")
    words = mark.read_bytes().split() if mark.is_file() else []
    try:
        return int(words[0]), b"".join(words[1:]).decode("ascii")
    except (IndexError, ValueError):
        return -1, ""


def _mark(path: Path) -> None:
    """Note how far a journal was taken in."""
    if path.is_file():
        mark = f"{path.stat().st_size} {files.sha256(path)}"
        documents.write_text(path.with_suffix(".settled"), mark)


def _settle(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    try:
        if _is_damaged(path):
            raise journal.JournalDamagedError
        past = journal.read(path)
    except journal.JournalDamagedError:
        # what is lost of it is seen when the targets are read; it stops no night
        journal.keep_what_is_whole(path, damaged=True)
        past = journal.read(path)
    rows: list[dict[str, Any]] = [
        {field.name: outcome.get(field.name) for field in OUTCOMES}
        for outcome in past.outcomes.values()
    ]
    for row in rows:
        row["note"] = row["note"] or ""
        row["without"] = json.dumps(row["without"] or {})
    said = pa.Table.from_pylist(rows, schema=OUTCOMES)
    connection.register("journal_said", said)
    connection.execute(
        """
        create or replace temp table settling as
        select planned.*, said.status, said.attempts, said.code, said.remote_id as made_id,
        said.request_id, said.reason as outcome_reason, said.note, said.bytes, said.sha256,
               said.rows, said.without, said.started_at::timestamptz as started_at,
               said.finished_at::timestamptz as finished_at
        from journal_said as said
        join ledger.audit.planned_changes as planned using (change_id)
        where change_id not in (select change_id from ledger.audit.outcomes)"""
    )
    connection.unregister("journal_said")
    # A delivered file delivers its rows, but those that were left out of it; one that was refused
    # leaves all undelivered.
    left_out = """coalesce(list_contains(cast(json_extract(file.without,
    '$."' || planned.entity || '"') as varchar[]), planned.key), false)"""
    connection.execute(
        f"""
        insert into settling
        select planned.*, case when file.status = 'applied' and not {left_out} then 'applied'
        else 'skipped' end, file.attempts, file.code, null,
               file.request_id, file.outcome_reason, case when {left_out}
               then 'waits for another target; not yet in file ' else 'in file ' end || file.key,
               null, null, null, null, file.started_at, file.finished_at
        from settling as file
        join ledger.audit.planned_changes as planned
            on planned.plan_id = file.plan_id and planned.target = file.target
            and planned.hold is null
            and ((file.new ->> '$.partition') is null
            or planned.partition = (file.new ->> '$.partition'))
            and list_contains(cast(json_extract(file.new, '$.entities') as varchar[]),
            planned.entity)
        where file.entity = '{FILE_ENTITY}' and file.action = 'deliver'
            and planned.change_id not in (select change_id from ledger.audit.outcomes)"""
    )
    connection.execute(applied.REGISTRY)
    connection.execute("begin")
    connection.execute(
        """
        insert into ledger.audit.outcomes
        select change_id, run_id, target, status, attempts, code, coalesce(made_id, remote_id),
        request_id, started_at, finished_at, note, outcome_reason from settling"""
    )
    connection.execute(
        f"""
        insert into ledger.audit.deliveries
        select change_id, run_id, target, key, rows, bytes, sha256, finished_at, note
        from settling where entity = '{FILE_ENTITY}' and action = 'deliver'
        and status = 'applied'"""
    )
    for target, entity in connection.execute(
        "select distinct target, entity from settling where status = 'applied' order by all"
    ).fetchall():
        if entity == FILE_ENTITY:
            _shapes(connection, target)
            continue
        connection.execute(
            "create or replace temp table settling_now as select * from settling where status ="
            " 'applied' and target = ? and entity = ?",
            [target, entity],
        )
        applied.record(connection, target, entity, "settling_now")
        shared.outdated(connection, target, entity, "settling_now")
    taken = connection.execute("select count(*) from settling").fetchone()
    _doubt(connection, past)
    connection.execute("commit")
    _mark(path)
    return taken[0] if taken else 0


def _doubt(connection: duckdb.DuckDBPyConnection, past: journal.Past) -> None:
    """Every change that was made, or may have been, is in doubt until the target is seen again; the
    newest of an object counts.
    """
    connection.execute(
        """
        create or replace temp table doubtful as
        with unclear as (select unnest($ids) as change_id,
        cast(unnest($ats) as timestamptz) as intended_at)
        select planned.change_id, planned.target, planned.entity, planned.key,
        coalesce(settling.finished_at, unclear.intended_at) as since
        from ledger.audit.planned_changes as planned
        left join settling using (change_id)
        left join unclear using (change_id)
        where planned.entity <> 'file' and (unclear.change_id is not null
        or settling.status in ('applied', 'failed'))
            and (settling.status is distinct from 'failed' or settling.code is null
            or settling.code >= 500)""",
        {"ids": sorted(past.unclear), "ats": [past.intents[one] for one in sorted(past.unclear)]},
    )
    connection.execute(
        """
        delete from ledger.applied.unclear as unclear using doubtful
        where (unclear.target, unclear.entity, unclear.key) = (doubtful.target, doubtful.entity,
        doubtful.key)"""
    )
    connection.execute("insert into ledger.applied.unclear select *, false from doubtful")
    connection.execute(
        "delete from ledger.applied.unclear where target not in (select target from"
        " ledger.applied.tables) or since < now() - interval 60 day"
    )


def resolve(connection: duckdb.DuckDBPyConnection, export: Export, observed_at: str) -> None:
    """Compare what is in doubt with what was observed since, and bring the applied table in line
    with what is there.

    As it was wanted: ours, whether or not an answer ever came (the audit learns of it). As it was
    before: the write was not kept, whatever the answer said; what was applied is as before, and the
    doubt stays, because some targets show late what they took. Neither: somebody changed it since;
    that is for the comparison to say.
    """
    values = {"target": export.target, "entity": export.entity, "at": observed_at}
    chosen = "target = $target and entity = $entity and since <= $at::timestamptz"
    row = connection.execute(
        f"select count(*) from ledger.applied.unclear where {chosen}", values
    ).fetchone()
    view = f"staging.{sql.name(f'stg_{export.target}__{export.entity}')}"
    if export.file is not None or not row or not row[0] or not applied.columns(connection, view):
        return
    field = """json_extract_string({}, '$."' || name || '"')"""
    new, old, now = (
        field.format("planned.new"),
        field.format("planned.old"),
        field.format("there.now"),
    )
    connection.execute(
        f"""
        create or replace temp table doubted as
        with there as (
            select {sql.key(export.shown_key)} as _key, any_value(to_json(found)) as now
            from {view} as found
            where {sql.key(export.shown_key)} in (
                select key from ledger.applied.unclear where {chosen})
            group by _key
        )
        select planned.* exclude (new), planned.new, unclear.struck, outcome.status,
        coalesce(outcome.finished_at, unclear.since) as finished_at,
            case when planned.action in ('remove', 'delete') then there._key is null
                when planned.action in ('create', 'undelete', 'adopt') then there._key is not null
                else there._key is not null and len(list_filter(json_keys(planned.new),
                lambda name: {now} is distinct from {new})) = 0 end as is_wanted,
            case when planned.action in ('remove', 'delete') or there._key is null then []
                else list_filter(json_keys(planned.old), lambda name: {now} is not distinct
                from {old} and {old} is distinct from {new}) end as kept_old,
            there._key is not null as is_there
        from ledger.applied.unclear as unclear
        join ledger.audit.planned_changes as planned using (change_id)
        left join ledger.audit.outcomes as outcome using (change_id)
        left join there on there._key = planned.key
        where unclear.{chosen.replace(" and ", " and unclear.")}""",
        values,
    )
    connection.execute("begin")
    connection.execute(
        "create or replace temp table settling_now as select * from doubted where is_wanted and"
        " (struck or status is distinct from 'applied')"
    )
    applied.record(connection, export.target, export.entity, "settling_now")
    connection.execute(
        """
        insert into ledger.audit.outcomes
        select change_id, run_id, target, 'applied', null, null, remote_id, null, null, finished_at,
        'no answer came; read back as it was wanted', 'found'
        from settling_now where status is null"""
    )
    connection.execute(
        f"""
        create or replace temp table settling_now as
        select * exclude (new, action), case when action in ('remove', 'delete') then 'create'
        when action in ('create', 'undelete', 'adopt') then 'remove'
                else action end as action,
            case when action in ('remove', 'delete') then cast(old as json)
            else cast({sql.json_fields("old", "kept_old")} as json) end as new
        from doubted where status = 'applied' and not struck
            and case when action in ('remove', 'delete') then is_there when action in ('create',
            'undelete', 'adopt') then not is_there
                else len(kept_old) > 0 end"""
    )
    applied.record(connection, export.target, export.entity, "settling_now")
    connection.execute(
        "update ledger.applied.unclear set struck = true where change_id in (select change_id from"
        " settling_now)"
    )
    connection.execute(
        """
        delete from ledger.applied.unclear where change_id in (
            select change_id from doubted
            where is_wanted or (is_there and len(kept_old) = 0 and action not in ('remove',
            'delete')))"""
    )
    connection.execute("commit")


def _shapes(connection: duckdb.DuckDBPyConnection, target: str) -> None:
    """Remember in which form each file was delivered: another form is delivered again even if no
    row changed.
    """
    connection.execute(
        f"""
        update ledger.applied.tables as known set shape = json_extract_string(file.new,
        '$.shapes."' || known.entity || '"')
        from (select * from settling where entity = '{FILE_ENTITY}' and status = 'applied'
        and target = '{target}') as file
        where known.target = '{target}' and json_exists(file.new,
        '$.shapes."' || known.entity || '"')"""
    )
