"""Undo: the plan that takes a run back, from what the journal says was there before.

In: the changes a run applied, with their old values; what the targets hold now. Out: the opposite
changes in the temporary table `changes`, as any plan's, and sentences about what cannot be taken
back. Limits, seal, journal and audit are those of every other plan. Only what still is as the run
left it is undone: what was changed since is left.

An undone night comes back the next night unless what caused it is mended: the exports still say the
same.

Alone: `python -m reverse_etl undo RUN`, then show, push, report.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import duckdb

from common import sql
from reverse_etl import applied, diff
from reverse_etl.model import (
    CREATE,
    DELETE,
    DELETED,
    LOGIN,
    REMOVE,
    RENAME,
    RESTORE,
    SUSPEND,
    SWITCH,
    UNDELETE,
    UPDATE,
    Adapter,
    Column,
    Export,
    Lasting,
    Undeleting,
)

# the fields that still are as the run left them
KEPT = """list_filter(ours, lambda name: json_exists(old, '$."' || name || '"'))"""


class NothingToUndoError(Exception):
    """A run that wrote nothing that could be taken back; the message says so."""


@dataclass
class Undo:
    """What is undone, and what the targets' kinds say of it."""

    run_id: str
    lasting: Mapping[
        str, Mapping[str, str]
    ]  # target -> entity -> why its objects are never deleted
    restorable: Mapping[
        str, Mapping[str, int]
    ]  # target -> entity -> days within which a deleted object can be had back
    cannot: list[str] = field(default_factory=list)  # what will not be as before, in sentences

    @classmethod
    def of(cls, run_id: str, adapters: Mapping[str, Adapter]) -> Undo:
        """A run taken back as far as the targets allow."""
        return cls(
            run_id,
            {name: one.lasting for name, one in adapters.items() if isinstance(one, Lasting)},
            {name: one.restorable for name, one in adapters.items() if isinstance(one, Undeleting)},
        )


def written(connection: duckdb.DuckDBPyConnection, run_id: str) -> int:
    """How many changes a run applied. Raises NothingToUndoError when there are none."""
    row = connection.execute(
        "select count(*) from ledger.audit.changes where run_id = ? and status = 'applied'",
        [run_id],
    ).fetchone()
    if not row or not row[0]:
        raise NothingToUndoError(f"run {run_id} applied nothing, so there is nothing to undo")
    return int(row[0])


def compare(
    connection: duckdb.DuckDBPyConnection, export: Export, rank: int, undo: Undo
) -> tuple[int, int]:
    """Add the opposite of what the run did to one export; returns (objects the run touched, rows of
    ours there now).
    """
    values = {"run": undo.run_id, "target": export.target, "entity": export.entity}
    connection.execute(
        """
        create or replace temp table done as
        select *, count(*) over (partition by key) as times, row_number() over (partition by key
        order by seq) as time
        from ledger.audit.changes where run_id = $run and target = $target and entity = $entity
        and status = 'applied'""",
        values,
    )
    touched = _count(connection, "select count(distinct key) from done")
    if export.file is not None:
        undo.cannot += _files(connection, export, undo)
        return touched, 0
    view = diff.observed_view(export)
    there = applied.columns(connection, view)
    observed = _count(connection, f"select count(distinct {sql.key(export.shown_key)}) from {view}")
    if not there or not touched:
        return touched, observed
    remote = "remote_id" if "remote_id" in there else "null"
    gone = export.of_role(DELETED)
    lives = (
        f"not coalesce(try_cast(found.{sql.name(gone.name)} as boolean), false)"
        if gone and gone.name in there
        else "true"
    )  # among the deleted ones is not there
    connection.execute(
        f"""
        create or replace temp table now_there as
        select _key, any_value(now_remote_id) as now_remote_id, any_value(now) as now from (
            select {sql.key(export.shown_key)} as _key, cast({remote} as varchar) as now_remote_id,
            to_json(found) as now from {view} as found where {lives}
        ) where _key is not null group by _key"""
    )
    days, lasting = (
        undo.restorable.get(export.target, {}).get(export.entity, 0),
        undo.lasting.get(export.target, {}).get(export.entity, ""),
    )
    away = export.on_absent if export.on_absent in (REMOVE, DELETE) else DELETE
    turned = [column for column in export.columns if column.role == SWITCH]
    switched = "".join(
        f"""when (back ->> {_path(switch)}) = {sql.text(_text(switch.off_value))}
            then '{SUSPEND}' """
        for switch in turned
    ) + "".join(f"when json_exists(back, {_path(switch)}) then '{RESTORE}' " for switch in turned)
    renamed = " or ".join(
        f"json_exists(back, {_path(column)})" for column in export.columns if column.role == LOGIN
    )
    connection.execute(
        f"""
        create or replace temp table opposite as
        with seen as (
            select done.*, now_there.now_remote_id, now_there.now,
            now_there._key is not null as is_there
            from done left join now_there on now_there._key = done.key where times = 1
        ),
        fields as (
            select *, list_filter(json_keys(new), lambda name: json_extract_string(now,
            '$."' || name || '"')
                is not distinct from json_extract_string(new, '$."' || name || '"')) as ours
            from seen
        ),
        imaged as (
            select *, case when action in ('{REMOVE}', '{DELETE}') then cast(old as varchar)
                when action = '{CREATE}' then '{{}}'
                else {sql.json_fields("old", KEPT)} end as back
            from fields
        )
        select *, case
            when action = '{CREATE}' then case when not is_there or {bool(lasting)} then null
            else '{away}' end
            when action in ('{REMOVE}', '{DELETE}') then case when is_there then null
                when action = '{DELETE}' and {days} > 0 then
                    case when finished_at > $now::timestamptz - interval {days} day
                    then '{UNDELETE}' end
                else '{CREATE}' end
            when not is_there or back = '{{}}' then null
            {f"when (back ->> {_path(gone)}) = 'true' then '{DELETE}'" if gone else ""}
            {switched}
            when {renamed or "false"} then '{RENAME}'
            else '{UPDATE}' end as opposite
        from imaged""",
        {"now": datetime.now(UTC).isoformat()},
    )
    connection.execute(
        f"""
        insert into changes ({diff.COLUMNS})
        select target, entity, $rank, key, subject, partition, opposite,
               list_position([{", ".join(sql.text(action) for action in (SUSPEND, CREATE, UNDELETE, RENAME, UPDATE, RESTORE, REMOVE, DELETE))}], opposite),
               case when opposite = '{UNDELETE}' then remote_id when opposite = '{CREATE}' then null
               else coalesce(now_remote_id, remote_id) end,
               case when opposite in ('{REMOVE}', '{DELETE}') then cast(now as varchar)
               when opposite in ('{CREATE}', '{UNDELETE}') then '{{}}'
                    else {sql.json_fields("now", "json_keys(back)")} end,
               case when opposite in ('{REMOVE}', '{DELETE}') then '{{}}' else back end,
               {sql.reason("change_undoes", action="action", run="$run")}, null, source, export_model,
               family
        from opposite where opposite is not null""",  # noqa: E501
        {"rank": rank, "run": undo.run_id},
    )
    undo.cannot += _cannot(connection, export, days, lasting)
    return touched, observed


def _path(column: Column) -> str:
    return sql.text(f'$."{column.name}"')


def _text(value: object) -> str:
    """A value as `->>` gives it out of JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def _cannot(
    connection: duckdb.DuckDBPyConnection, export: Export, days: int, lasting: str
) -> list[str]:
    """What will not be as it was before the run, counted, with a few keys."""
    what = {
        "times > 1": "were changed more than once in that run and are left as they are",
        f"action = '{CREATE}' and {bool(lasting)}": f"stay: {lasting}",
        f"action not in ('{CREATE}', '{REMOVE}', '{DELETE}') and not is_there": (
            "are gone since and are not made again"
        ),
        f"action not in ('{CREATE}', '{REMOVE}', '{DELETE}') and is_there and len(ours) < len(json_keys(new))": (  # noqa: E501
            "have values that were changed since; those stay"
        ),
        f"action = '{DELETE}' and not is_there and opposite is null": (
            f"were deleted more than {days} days ago and cannot be had back"
        ),
        f"action = '{DELETE}' and opposite = '{CREATE}'": (
            "are made anew: their id, settings and history are gone"
        ),
        "action = 'adopt'": (
            "keep our key: who was adopted by mistake gets a row in seeds/identity_decisions.csv"
        ),
        f"opposite = '{UNDELETE}'": (
            "come back from the deleted ones, without memberships that are not ours"
        ),
        f"opposite = '{DELETE}'": (
            "are deleted; their names stay taken for as long as the platform keeps what is deleted"
        ),
        f"opposite = '{RENAME}'": (
            "get their former address; mail to the newer one is no longer theirs for certain"
        ),
    }
    sentences = []
    for condition, words in what.items():
        source = "done where time = 1 and" if condition.startswith("times") else "opposite where"
        row = connection.execute(
            "select count(*), array_to_string(list(key order by key)[:3], ', ') from"
            f" {source} {condition}"
        ).fetchone()
        if row and row[0]:
            sentences.append(
                f"{export.target} {export.entity}: {row[0]:,} {words} (first: {row[1]})"
            )
    return sentences


def _files(connection: duckdb.DuckDBPyConnection, export: Export, undo: Undo) -> list[str]:
    rows = _count(connection, "select count(*) from done")
    if not rows:
        return []
    return [
        f"{export.target} {export.entity}: {rows:,} rows were delivered in a file of run"
        f" {undo.run_id}; a vendor's copy cannot be taken back, the next night's file says what is"
        " right then"
    ]


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0
