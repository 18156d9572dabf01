"""Expected: changes an event that was told beforehand explains, subject by subject, or key by key
where an object is nobody's (a group). They pass the limits, as they were decided when the event
was; all else is limited as ever.

In: exports whose YAML names a context column by `expected:`, where each row says which columns of
it tonight's events explain (comma-separated, none: nothing). Out: `expected` on the changes of
`changes` these explain: those of an object itself where every column that changes is named, and all
links of the same subject, which follow from it.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from common import sql
from reverse_etl import applied
from reverse_etl.model import CREATE, REMOVE, Export

WHOSE = """
    create or replace temp table expecting
    (target text, entity text, subject text, key text, columns text[])"""


def mark(connection: duckdb.DuckDBPyConnection, exports: Sequence[Export]) -> None:
    """Set `expected` on the changes that tonight's events explain."""
    connection.execute(WHOSE)
    for export in exports:
        if export.expected:
            named = sql.name(export.expected)
            subject = f"cast({sql.name(export.subject)} as varchar)" if export.subject else "null"
            key = "null" if export.subject else sql.key(export.shown_key)
            connection.execute(
                f"""
                insert into expecting
                select $target, $entity, {subject}, {key},
                list_transform(string_split({named}, ','), lambda one: trim(one))
                from {export.relation} where coalesce({named}, '') <> ''""",
                {"target": export.target, "entity": export.entity},
            )
    connection.execute(
        """
        update changes set expected = true from expecting
        where changes.target = expecting.target and changes.entity = expecting.entity
        and (changes.subject = expecting.subject or changes.key = expecting.key)
        and len(json_keys(new)) > 0
        and len(list_filter(json_keys(new), lambda one: not list_contains(expecting.columns, one)))
        = 0"""
    )
    for export in exports:
        # a subject may have several rows of a link, and one of itself
        if export.file is None and export.subject and export.key != (export.subject,):
            connection.execute(
                f"""
                update changes set expected = true
                where target = $target and entity = $entity and action in ('{CREATE}', '{REMOVE}')
                and subject in (select subject from expecting where target = $target)""",
                {"target": export.target, "entity": export.entity},
            )


def expired(connection: duckdb.DuckDBPyConnection, export: Export, as_of: str) -> int:
    """Of a file whose rows have a last day of their own (`expires:`), such as what is
    there for a year: how many of the last delivery are past it, and in tonight's export no more.
    """
    if export.expires is None or not as_of:
        return 0
    ((count,),) = connection.execute(
        f"""
        select count(*) from {applied.table(export.target, export.entity)}
        where try_cast({sql.name(export.expires)} as date) < cast($as_of as date)
        and _key not in (select {sql.key(export.shown_key)} from {export.relation})""",
        {"as_of": as_of},
    ).fetchall()
    return int(count)
