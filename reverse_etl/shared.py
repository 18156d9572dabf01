"""Shared: a column that belongs to both sides (`owner: both`), where each may change it and the
other follows, by an export of its own in the other direction.

In: what should be, what is there, and what both sides last agreed on: `ledger.applied.agreed`, or
what we wrote since. Out: pieces of SQL for the comparison (`diff`). A value only ours changed is
written; one only theirs changed is left, and the export of the other direction takes it over; where
both changed, or nobody knows what they agreed on and both have something, nothing is written and a
finding says so (`changed_on_both_sides`). So nothing goes round in circles, and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import duckdb

from common import sql
from reverse_etl.model import BOTH, Export

THEIRS, CONFLICT = "theirs", "both"  # policies of `drifts`: left to the other export; held


def columns(export: Export) -> tuple[str, ...]:
    """The columns of an export of which is remembered what both sides agree on."""
    every = export.file is not None and export.file.write_back
    return tuple(column.name for column in export.compared if every or column.owner == BOTH)


def agreed(export: Export) -> str:
    """A query of what was agreed on: `_key`, and the values as a map, `agreed`."""
    if not columns(export):
        return "select null::varchar as _key, null::map(varchar, varchar) as agreed where false"
    return """select key as _key, map_from_entries(list((column_name, value))) as agreed
            from ledger.applied.agreed where target = $target and entity = $entity group by key"""


def changed(name: str, ours: str, theirs: str) -> str:
    """Whether ours is to be written: it alone moved, or they have nothing."""
    return (
        f"({_differs(ours, theirs)} and case when {_known(name)} then not {_moved(name, theirs)}"
        f" else {theirs} is null end)"
    )


def drift(name: str, ours: str, theirs: str) -> str:
    """What becomes of a value that is not written, as text; null where it is, or is the same."""
    return (
        f"case when {_differs(ours, theirs)} and not {changed(name, ours, theirs)} then case when"
        f" case when {_known(name)} then {_moved(name, ours)} else {ours} is not null end"
        f" then '{CONFLICT}' else '{THEIRS}' end end"
    )


def agree(connection: duckdb.DuckDBPyConnection, export: Export, view: str) -> None:
    """Remember what both sides have the same now."""
    key = sql.key(export.shown_key)
    for name in columns(export):
        column = sql.name(name)
        connection.execute(
            f"""
            create or replace temp table agreeing as
            select d._key, cast(d.value as varchar) as value
            from (select {key} as _key, {column} as value from {export.relation}) as d
            join (select {key} as _key, {column} as value from {view}) as o
                on o._key = d._key and (o.value = d.value or coalesce(o.value, d.value) is null)"""
        )
        values = {"target": export.target, "entity": export.entity, "column": name}
        connection.execute(
            """
            delete from ledger.applied.agreed as known using agreeing
            where known.target = $target and known.entity = $entity
                and known.column_name = $column and known.key = agreeing._key""",
            values,
        )
        connection.execute(
            "insert into ledger.applied.agreed select $target, $entity, _key, $column, value from"
            " agreeing",
            values,
        )


def remember(
    connection: duckdb.DuckDBPyConnection,
    exports: Sequence[Export],
    observed: Mapping[str, Mapping[str, Any]],
    view: Callable[[Export], str],
) -> None:
    """Remember it of every export whose target was read in this run, or whose file's feed was."""
    for export in exports:
        seen = observed.get(export.target, {}).get("status") == "ok"
        if (seen or export.file) and columns(export):
            agree(connection, export, view(export))


def outdated(connection: duckdb.DuckDBPyConnection, target: str, entity: str, changes: str) -> None:
    """What was agreed on before these changes were written is known no more: what was written is
    what counts.
    """
    connection.execute(
        f"""
        delete from ledger.applied.agreed as known using {changes} as change
        where known.target = $target and known.entity = $entity and known.key = change.key
            and (change.action in ('remove', 'delete')
            or list_contains(json_keys(change.new), known.column_name))""",
        {"target": target, "entity": entity},
    )


def _differs(ours: str, theirs: str) -> str:
    return f"({ours} is distinct from {theirs})"


def _agreed(name: str) -> str:
    return f"coalesce(list_contains(map_keys(agreed), {sql.text(name)}), false)"


def _known(name: str) -> str:
    return f"({_agreed(name)} or a._key is not null)"


def _moved(name: str, value: str) -> str:
    """Whether a value is another than what was agreed on."""
    known = f"then agreed[{sql.text(name)}] else cast(a.{sql.name(name)} as varchar) end"
    return f"(cast({value} as varchar) is distinct from case when {_agreed(name)} {known})"
