"""Standing: a part of a file that stands as it was last delivered, while the rest of it goes out.

In: the planned changes of the exports that travel in one file, of which those of a held partition
(one whose rows a feed has lost) carry `hold_partition`, and those that wait until something has
become of another target's object `hold_after`. Out: the hold on whatever would
disagree with them, and for each export the relation its file is rendered from: tonight's rows, but
for what stands, which is as it was delivered. What agreed when it was delivered agrees still: so
all of a subject stands, in every member of the file, and so does what a standing row points to
(`references:`); what points to a row that is not in the file yet waits with it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import duckdb

from common import sql
from reverse_etl import applied
from reverse_etl.model import Export

STANDS = "coalesce(hold ->> '$.code' in ('hold_partition', 'hold_after'), false)"
OF = "target = $target and entity = $entity"


def columns(
    connection: duckdb.DuckDBPyConnection, export: Export, names: Collection[str]
) -> Export:
    """The export with some columns as they were last: of an object they are not compared, in a file
    they are as delivered. A new row has them as they are.
    """
    if not names:
        return export
    if export.file is None:
        return replace(
            export,
            columns=tuple(
                replace(column, owner="initial") if column.name in names else column
                for column in export.columns
            ),
        )
    past = applied.table(export.target, export.entity)
    known = applied.columns(connection, past)
    if not known:
        return export
    values = [
        f"case when past._key is null then wanted.{name} else past.{name} end as {name}"
        if column in names and column in known
        else f"wanted.{name}"
        for column in applied.columns(connection, export.relation)
        for name in [sql.name(column)]
    ]
    return replace(
        export,
        relation=f"""(
        select {", ".join(values)} from {export.relation} as wanted
        left join {past} as past on past._key = {sql.key(export.shown_key, "wanted")})""",
    )


def feeds(export: Export, members: Sequence[Export]) -> Export:
    """The same export, resting on the feeds of all that travel with it: a part one of them has
    lost stands in each.
    """
    return replace(export, feeds=tuple(sorted({feed for one in members for feed in one.feeds})))


def spread(connection: duckdb.DuckDBPyConnection, members: Sequence[Export]) -> None:
    """Hold what would not agree with what stands, until nothing more is to be held."""
    members = [one for one in members if one.file and not one.file.daily]
    if not members:
        return
    entities = {"target": members[0].target, "entities": [one.entity for one in members]}
    by_entity = {one.entity: one for one in members}
    while True:
        held = _changed(
            connection,
            f"""
            update changes set hold = one.hold
            from (select subject, min(hold) as hold from changes where target = $target
            and entity in (select unnest($entities)) and subject is not null and {STANDS}
            group by subject) as one
            where changes.target = $target and changes.entity in (select unnest($entities))
            and changes.subject = one.subject and changes.hold is null""",
            entities,
        )
        for export in members:
            for column, entity in export.references.items():
                if entity in by_entity:
                    held += _pointing(connection, export, column, by_entity[entity])
                    held += _pointed_to(connection, export, column, by_entity[entity])
        if not held:
            return


def _pointing(
    connection: duckdb.DuckDBPyConnection, export: Export, column: str, other: Export
) -> int:
    """Rows that point to one that is not in the file yet."""
    return _changed(
        connection,
        f"""
        update changes set hold = one.hold
        from (select {sql.key(export.shown_key, "wanted")} as _key, there.hold
        from {export.relation} as wanted
        join {other.relation} as pointed
            on {sql.key(other.key, "pointed")} = {sql.key([column], "wanted")}
        join (select key, hold from changes where target = $target and entity = $other
        and action = 'create' and {STANDS}) as there
            on there.key = {sql.key(other.shown_key, "pointed")}) as one
        where changes.target = $target and changes.entity = $entity and changes.key = one._key
        and changes.action <> 'remove' and changes.hold is null""",
        {"target": export.target, "entity": export.entity, "other": other.entity},
    )


def _pointed_to(
    connection: duckdb.DuckDBPyConnection, export: Export, column: str, other: Export
) -> int:
    """Rows about to go that something that stands points to."""
    return _changed(
        connection,
        f"""
        update changes set hold = one.hold
        from (select pointed._key, min(stands.hold) as hold
        from {applied.table(export.target, export.entity)} as past
        join {applied.table(other.target, other.entity)} as pointed
            on {sql.key(other.key, "pointed")} = {sql.key([column], "past")}
        join (select key, hold from changes where {OF} and {STANDS}) as stands
            on stands.key = past._key group by 1) as one
        where changes.target = $target and changes.entity = $other and changes.key = one._key
        and changes.action = 'remove' and changes.hold is null""",
        {"target": export.target, "entity": export.entity, "other": other.entity},
    )


def counted(connection: duckdb.DuckDBPyConnection, export: Export) -> tuple[int, int]:
    """Of what is being planned: new rows that are not in the file for what stands, and rows that
    are though tonight's export has them no more.
    """
    ((new, kept),) = connection.execute(
        f"""
        select count(*) filter (action = 'create'), count(*) filter (action = 'remove')
        from changes where {OF} and {STANDS}""",
        {"target": export.target, "entity": export.entity},
    ).fetchall()
    return new, kept


def standing(connection: duckdb.DuckDBPyConnection, export: Export, plan_id: str) -> Export:
    """The export as its file is rendered under a plan: what stands is as it was delivered."""
    values = {"plan": plan_id, "target": export.target, "entity": export.entity}
    chosen = f"ledger.audit.planned_changes where plan_id = $plan and {OF} and {STANDS}"
    ((many,),) = connection.execute(f"select count(*) from {chosen}", values).fetchall()
    if not many:
        return export
    for name, value in values.items():
        chosen = chosen.replace(f"${name}", sql.text(value))
    columns = sql.names([column.name for column in export.columns])
    # a query and no table: whoever renders may read through a connection of their own
    return replace(
        export,
        relation=f"""(
        select {columns} from {export.relation}
        where {sql.key(export.shown_key)} not in (select key from {chosen})
        union all
        select {columns} from {applied.table(export.target, export.entity)}
        where _key in (select key from {chosen} and action <> 'create'))""",
    )


def _changed(
    connection: duckdb.DuckDBPyConnection, statement: str, values: dict[str, object]
) -> int:
    ((count,),) = connection.execute(statement, values).fetchall()
    return int(count)
