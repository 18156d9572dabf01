"""Deltas: that every file of changes ever sent, one after the other, is the full set.

In: the planned changes of an export whose file holds only changes, and the ledger. Out: rows that
have to be said again, as nobody knows whether the last file of them arrived; and whether one of
this name went today already.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb

from common import sql
from common.problems import Reason
from reverse_etl import diff
from reverse_etl.model import FILE_ENTITY, REMOVE, UPDATE, Export, key_text

# why a file certainly stayed here
UNSENT = ("unfetched", "not_configured", "changed", "unsupported")


def say_again(connection: duckdb.DuckDBPyConnection, export: Export, run_id: str) -> None:
    """Plan the rows of a file of an earlier run nobody knows to have arrived, where nothing else is
    planned of them: as they are now, whatever the target has made of that file.
    """
    values = {"target": export.target, "entity": export.entity}
    connection.execute(
        f"""
        create or replace temp table in_doubt as
        select planned.key, planned.subject, planned.partition, planned.source,
            case when planned.action = '{REMOVE}' then planned.old else planned.new end as was,
            outcome.status
        from ledger.audit.planned_changes as file
        join ledger.audit.planned_changes as planned
            on planned.plan_id = file.plan_id and planned.target = file.target
            and planned.entity = $entity and planned.hold is null
            and list_contains(cast(json_extract(file.new, '$.entities') as varchar[]), $entity)
            and ((file.new ->> '$.partition') is null
            or planned.partition = (file.new ->> '$.partition'))
        left join ledger.audit.outcomes as outcome on outcome.change_id = file.change_id
        where file.target = $target and file.entity = '{FILE_ENTITY}' and file.hold is null
            and file.run_id <> $run and coalesce(outcome.reason, '') not in (select unnest($unsent))
        qualify row_number() over (partition by planned.key order by file.planned_at desc) = 1""",
        {**values, "run": run_id, "unsent": list(UNSENT)},
    )
    connection.execute(
        f"""
        insert into changes ({diff.COLUMNS})
        select $target, $entity, 0, doubt.key, doubt.subject, doubt.partition,
            case when wanted.key is null then '{REMOVE}' else '{UPDATE}' end, 0, null,
            case when wanted.key is null then doubt.was else '{{}}' end, '{{}}', $why, null,
            doubt.source, $model, null
        from in_doubt as doubt
        left join (select {sql.key(export.shown_key)} as key from {export.relation}) as wanted
            on wanted.key = doubt.key
        where doubt.status is distinct from 'applied' and doubt.key not in
            (select key from changes where target = $target and entity = $entity)""",
        {**values, "why": Reason("change_said_again").json, "model": export.model},
    )


def went(
    connection: duckdb.DuckDBPyConnection, target: str, name: str, new: Mapping[str, Any]
) -> bool:
    """Whether a file of this name was delivered on this day: one that is not fetched yet must not
    be lost under the next.
    """
    ((count,),) = connection.execute(
        """
        select count(*) from ledger.audit.deliveries as delivery
        join ledger.audit.planned_changes as planned on planned.change_id = delivery.delivery_id
        where delivery.target = ? and delivery.file = ? and (planned.new ->> '$.as_of') = ?""",
        [target, key_text([name]), new["as_of"]],
    ).fetchall()
    return bool(count)
