"""Left out: the rows a file is not given tonight, why, and whether so many are that it waits.

In: the planned changes, the exports whose objects they wait for (`after:`), and the model
`<target>__left_out` where the target has one: a row for each that the model of a file itself leaves
out (entity, key, reason_code). Out: `hold` set on the rows that wait, and the reason
a whole file does. A vendor believes that who is missing from its file has left, so whatever is left
out, for any reason, counts against the file's limit `drop`: against its export, and against what
was delivered last. It is counted when the plan is made, and again when the accounts were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

import duckdb

from common import sql
from common.problems import Reason, said, sentence
from reverse_etl import applied, diff
from reverse_etl.expected import expired
from reverse_etl.exports import left_out_model
from reverse_etl.limits import Allowed, drop_hold, left_out_hold
from reverse_etl.model import Export
from reverse_etl.standing import STANDS

HELD, PROTECTED, PLAIN = "hold_waits_held", "hold_waits_protected", "hold_waits"
# why a row waits -> how that is said of many
COUNTED = {HELD: "left_out_held", PROTECTED: "left_out_protected", PLAIN: "left_out_waiting"}
FAILED = "left_out_failed"  # was to be there by now
CODES = ", ".join(map(sql.text, COUNTED))
# the hold of a change that another target's object has to be made for first
WAITS = f"coalesce(hold ->> '$.code' in ({CODES}, 'hold_needs', 'hold_no_seat'), false)"


def wait(connection: duckdb.DuckDBPyConnection, export: Export) -> None:
    """Hold the new rows whose object in another target (`after:`) is neither there nor about to be
    made by this plan; each says why that object is not.
    """
    connection.execute(
        "create temp table if not exists protected"
        " (subject text, target text, entity text, key text)"
    )
    for column, (target, entity) in export.after.items():
        pointer = sql.key(sql.key_like([column], diff.key_of(connection, target, entity)))
        place = {"target": sql.text(target), "entity": sql.text(entity), "key": "wanted.needed"}
        held = sql.reason(HELD, **place, action="others.action", why="others.why")
        _others(connection, target, entity)
        connection.execute(
            f"""
            update changes set hold = case when others.why is not null then {held}
                when wanted.needed in (select key from protected where target = $other
                and entity = $kind) then {sql.reason(PROTECTED, **place)}
                else {sql.reason(PLAIN, **place)} end
            from (select {sql.key(export.shown_key)} as _key, {pointer} as needed
            from {export.relation}) as wanted
            left join others on others.key = wanted.needed
            where wanted._key = changes.key and changes.target = $target
            and changes.entity = $entity and changes.action = 'create' and changes.hold is null
            and wanted.needed is not null
                and wanted.needed not in ({diff.existing(connection, target, entity)})
                and wanted.needed not in (select key from changes where target = $other
                and entity = $kind and hold is null and action in ('create', 'adopt'))""",
            {"target": export.target, "entity": export.entity, "other": target, "kind": entity},
        )


def _others(connection: duckdb.DuckDBPyConnection, target: str, entity: str) -> None:
    """Make the temporary table `others`: the objects of an entity whose making is held, and the
    sentence of their hold.
    """
    connection.execute(
        """
        create or replace temp table others as
        select key, action, hold, cast(null as varchar) as why from changes
        where target = ? and entity = ? and action in ('create', 'adopt') and hold is not null""",
        [target, entity],
    )
    for (hold,) in connection.execute("select distinct hold from others").fetchall():
        connection.execute("update others set why = ? where hold = ?", [said(hold), hold])


def not_there(
    connection: duckdb.DuckDBPyConnection, plan_id: str, exports: Iterable[Export]
) -> dict[tuple[str, str], str]:
    """(entity, key) of planned rows whose object in another target was to be made before them and
    is not there -> its name.
    """
    waiting: dict[tuple[str, str], str] = {}
    for export in exports:
        for column, (target, entity) in export.after.items():
            key = diff.key_of(connection, target, entity)
            rows = connection.execute(
                f"""
                select planned.key, {sql.key(sql.key_like([column], key), "wanted")} as needed
                from ledger.audit.planned_changes as planned
                join {export.relation} as wanted
                on {sql.key(export.shown_key, "wanted")} = planned.key
                where planned.plan_id = $plan and planned.target = $target
                and planned.entity = $entity and planned.action = 'create'
                    and needed is not null and needed not in
                    ({diff.existing(connection, target, entity)})
                    and needed not in (select key from ledger.audit.changes where plan_id = $plan
                    and target = $other and entity = $kind
                                       and action in ('create', 'adopt') and status = 'applied')""",
                {
                    "plan": plan_id,
                    "target": export.target,
                    "entity": export.entity,
                    "other": target,
                    "kind": entity,
                },
            ).fetchall()
            waiting |= {(export.entity, key): f"{target} {entity} {needed}" for key, needed in rows}
    return waiting


def planned(connection: duckdb.DuckDBPyConnection, export: Export) -> Counter[str]:
    """How many rows of a file wait, by the changes being planned: why -> count."""
    values = {"target": export.target, "entity": export.entity}
    counts = _waiting(connection, "changes where target = $target and entity = $entity", values)
    return counts + _standing(connection, "changes where target = $target", values)


def pushed(
    connection: duckdb.DuckDBPyConnection, export: Export, plan_id: str, keys: Collection[str]
) -> Counter[str]:
    """The same once the other targets were written to: `keys` are the rows whose object is not
    there; what nothing held was to be made, and was not.
    """
    counts = _waiting(
        connection,
        "ledger.audit.planned_changes where plan_id = $plan and target = $target"
        " and entity = $entity and key in (select unnest($keys))",
        {"plan": plan_id, "target": export.target, "entity": export.entity, "keys": [*keys]},
    )
    if failed := len(keys) - counts.total():
        counts[sentence(FAILED)] = failed
    values = {"plan": plan_id, "target": export.target, "entity": export.entity}
    return counts + _standing(
        connection,
        "ledger.audit.planned_changes where plan_id = $plan and target = $target",
        values,
    )


def _standing(
    connection: duckdb.DuckDBPyConnection, of: str, values: Mapping[str, object]
) -> Counter[str]:
    """How many new rows wait for a partition that stands as it was delivered."""
    ((count,),) = connection.execute(
        f"select count(*) from {of} and entity = $entity and action = 'create' and {STANDS}", values
    ).fetchall()
    return Counter({sentence("left_out_partition"): int(count)} if count else {})


def _waiting(
    connection: duckdb.DuckDBPyConnection, of: str, values: Mapping[str, object]
) -> Counter[str]:
    rows = connection.execute(
        f"""
        select hold ->> '$.code', hold ->> '$.values.target', hold ->> '$.values.entity',
        coalesce(hold ->> '$.values.action', ''), count(*)
        from {of} and (hold ->> '$.code') in ({CODES}) group by all order by all""",
        values,
    ).fetchall()
    return Counter(
        {
            sentence(COUNTED[code], {"target": target, "entity": entity, "action": action}): count
            for code, target, entity, action, count in rows
        }
    )


def too_many(
    connection: duckdb.DuckDBPyConnection,
    export: Export,
    desired: int,
    waiting: Counter[str],
    allowed: Allowed,
) -> Reason | None:
    """Why a file must not go without the rows that wait, of those desired, and those its model
    leaves out; None when it may.
    """
    sent = desired - waiting.total()
    without = waiting + _unlisted(connection, export)
    return left_out_hold(
        export.target, export.entity, export.limits, sent=sent, without=without, allowed=allowed
    )


def too_few(
    connection: duckdb.DuckDBPyConnection,
    export: Export,
    after: int,
    allowed: Allowed,
    as_of: str = "",
) -> Reason | None:
    """Why a file must not go that would hold so much less than the one delivered last; None when
    it may.
    """
    before = rows(connection, applied.table(export.target, export.entity))
    before -= expired(connection, export, as_of)
    target, entity = export.target, export.entity
    return drop_hold(target, entity, export.limits, before=before, after=after, allowed=allowed)


def rows(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    """How many rows a table has."""
    ((count,),) = connection.execute(f"select count(*) from {relation}").fetchall()
    return int(count)


def _unlisted(connection: duckdb.DuckDBPyConnection, export: Export) -> Counter[str]:
    """How many rows the model of a file leaves out itself: why -> count."""
    unlisted = sql.name(export.schema, left_out_model(export.target))
    if not applied.columns(connection, unlisted):
        return Counter()
    counts = connection.execute(
        f"select reason_code, count(*) from {unlisted} where entity = ? group by all",
        [export.entity],
    ).fetchall()
    return Counter({sentence(code): count for code, count in counts})
