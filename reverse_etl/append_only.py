"""Documents in a plan: what is made once is never changed, whatever a model wants of it, and never
made a second time because nobody shows it.

In: the changes of an export whose objects are documents, what is there, what we last wrote. Out:
holds on every change but the making of a new one, and what somebody should know: documents that
should be otherwise, that were altered there, that are gone. What is gone may be released, once
somebody has looked; a change of a document never is.
"""

from __future__ import annotations

from typing import Any

import duckdb

from common import sql
from common.problems import Reason
from reverse_etl import applied, diff
from reverse_etl.model import CREATE, Export

CHANGED, GONE = "hold_document", "hold_document_gone"
FIRST = 3  # keys a finding names

IS_GONE = f"coalesce(hold ->> '$.code' = '{GONE}', false)"


def hold(connection: duckdb.DuckDBPyConnection, export: Export) -> list[dict[str, Any]]:
    """Hold what would change a document, and what would make one anew; returns what is to be told:
    code, count, the first keys, and the columns.
    """
    values = {"target": export.target, "entity": export.entity}
    of = "target = $target and entity = $entity"
    why = Reason(CHANGED, {"target": export.target, "entity": export.entity})
    connection.execute(
        f"update changes set hold = $hold where {of} and action <> '{CREATE}'",
        {**values, "hold": why.json},
    )
    written = applied.table(export.target, export.entity)
    why = Reason(GONE, {"target": export.target, "entity": export.entity})
    connection.execute(
        f"update changes set hold = $hold where {of} and action = '{CREATE}'"
        f" and key in (select _key from {written})",
        {**values, "hold": why.json},
    )
    connection.execute(f"delete from drifts where {of}", values)
    return [
        *_told("document_differs", connection, _differing(of), values),
        *_told("document_altered", connection, _altered(connection, export, written), {}),
        *_told("document_gone", connection, _gone(export, written), {}),
    ]


def let_go(connection: duckdb.DuckDBPyConnection) -> None:
    """What is gone and somebody has released is made anew."""
    connection.execute(f"update changes set hold = null where released and {IS_GONE}")


def _differing(of: str) -> str:
    return f"""select key, unnest(json_keys(new)) as column_name from changes
        where {of} and action <> '{CREATE}'"""


def _altered(connection: duckdb.DuckDBPyConnection, export: Export, written: str) -> str:
    """Documents that are not what we wrote, column by column."""
    types = applied.columns(connection, export.relation)
    there = applied.columns(connection, diff.observed_view(export))
    rows = [
        f"select a._key as key, {sql.text(column.name)} as column_name from {written} as a"
        f" join (select *, {sql.key(export.shown_key)} as _key from {diff.observed_view(export)})"
        f" as o on o._key = a._key where {diff.altered(column, types)}"
        for column in export.compared
        if column.name in there
    ]
    return " union all ".join(rows) or "select null as key, null as column_name where false"


def _gone(export: Export, written: str) -> str:
    """Documents we wrote that are not shown any more, wanted or not."""
    return f"""select _key as key, null as column_name from {written}
        where _key not in (select {sql.key(export.shown_key)} from {diff.observed_view(export)}
        where {sql.key(export.shown_key)} is not null)"""


def _told(
    code: str, connection: duckdb.DuckDBPyConnection, query: str, values: dict[str, Any]
) -> list[dict[str, Any]]:
    count, first, columns = connection.execute(
        f"""select count(distinct key), array_to_string(list_sort(list(distinct key))[:{FIRST}],
        ', '), array_to_string(list_sort(list(distinct column_name)), ', ') from ({query})""",
        values,
    ).fetchone() or (0, "", "")
    columns = columns or ""
    return [{"code": code, "count": count, "first": first, "columns": columns}] if count else []
