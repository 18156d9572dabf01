"""Applied: what we last wrote, per target and entity, in the ledger.

In: exports (to make the tables) and changes with the outcome "applied" (to fill them). Out:
`ledger.applied.<target>__<entity>` with the export's columns, `_key`, `run_id`, `applied_at`; one
row per object we wrote and have not removed. It answers two questions nothing else can: "did we put
this there?" and "did the source change, or did somebody change the target?". For file targets it
*is* the observed state.
"""

from __future__ import annotations

import json

import duckdb

from common import sql
from reverse_etl.model import Export

OWN = ("_key", "run_id", "applied_at")
# How each applied table is keyed and shaped, so that a killed night can be settled without its
# manifest.
REGISTRY = """
create schema if not exists ledger.applied;
create table if not exists ledger.applied.tables (target text, entity text, key json,
partition text, shape text, subject text, family text);
create table if not exists ledger.applied.unclear (
    change_id text, target text, entity text, key text, since timestamptz, struck boolean);
create table if not exists ledger.applied.agreed (target text, entity text, key text,
column_name text, value text);
create table if not exists ledger.applied.taken_over (target text, entity text, key text,
column_name text, theirs text, run_id text, taken_at timestamptz);
"""


def table(target: str, entity: str) -> str:
    """The table's name, ready for SQL."""
    return f"ledger.applied.{sql.name(f'{target}__{entity}')}"


def ensure(connection: duckdb.DuckDBPyConnection, export: Export) -> None:
    """Make the table of an export, or give it the columns the export has gained or
    re-typed since.
    """
    connection.execute(REGISTRY)
    wanted = columns(connection, export.relation)
    known = dict(_known(connection, export.target, export.entity))
    name = table(export.target, export.entity)
    listed = ", ".join(f"{sql.name(column)} {kind}" for column, kind in wanted.items())
    if not known:
        connection.execute(
            f"create table if not exists {name} (_key varchar, {listed}, run_id varchar, applied_at"
            " timestamptz)"
        )
    for column, kind in wanted.items() if known else ():
        if column not in known:
            connection.execute(f"alter table {name} add column {sql.name(column)} {kind}")
        elif known[column] != kind:
            # What was written as another type is compared afresh: a value that does not fit is an
            # unknown one.
            connection.execute(
                f"alter table {name} alter column {sql.name(column)} type {kind} using"
                f" try_cast({sql.name(column)} as {kind})"
            )
    row = connection.execute(
        "select key from ledger.applied.tables where target = ? and entity = ?",
        [export.target, export.entity],
    ).fetchone()
    if row is not None and tuple(json.loads(row[0])) != export.shown_key:
        # Another key means other objects: what was applied under the old one cannot be told apart
        # under the new.
        connection.execute(f"update {name} set _key = {sql.key(export.shown_key)}")
        connection.execute(f"delete from {name} where _key is null")
    if row is None:
        connection.execute(
            "insert into ledger.applied.tables values (?, ?, ?, ?, null, ?, ?)",
            [
                export.target,
                export.entity,
                json.dumps(export.shown_key),
                export.partition,
                export.subject,
                export.family,
            ],
        )
    else:
        connection.execute(
            "update ledger.applied.tables set key = ?, partition = ?, subject = ?, family = ?"
            " where target = ? and entity = ?",
            [
                json.dumps(export.shown_key),
                export.partition,
                export.subject,
                export.family,
                export.target,
                export.entity,
            ],
        )


def note_last_days(connection: duckdb.DuckDBPyConnection, export: Export) -> None:
    """Note until when each row that was delivered is to be there (`expires:`), where the file does
    not say it: of a row that stays, no change would.
    """
    if export.expires is None or export.expires not in export.context:
        return
    column = sql.name(export.expires)
    connection.execute(
        f"""
        update {table(export.target, export.entity)} as past set {column} = wanted.{column}
        from {export.relation} as wanted
        where past._key = {sql.key(export.shown_key, "wanted")}
        and past.{column} is distinct from wanted.{column}"""
    )


def columns(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    """Column -> type of a table or view; empty when it does not exist."""
    try:
        return {row[0]: row[1] for row in connection.execute(f"describe {relation}").fetchall()}
    except duckdb.CatalogException:
        return {}


def subjects_of(connection: duckdb.DuckDBPyConnection) -> str:
    """A query of the subjects we last wrote as of partition `$partition`, in any target."""
    found = []
    for target, entity, partition, subject in connection.execute(
        "select target, entity, partition, subject from ledger.applied.tables"
        " where partition is not null and subject is not null order by all"
    ).fetchall():
        if {subject, partition} <= set(columns(connection, table(target, entity))):
            found.append(
                f"select {sql.name(subject)} from {table(target, entity)}"
                f" where {sql.name(partition)} = $partition and {sql.name(subject)} is not null"
            )
    return " union ".join(found) or "select null where false"


def shape(connection: duckdb.DuckDBPyConnection, target: str, entity: str) -> str | None:
    """The form in which the last file of this entity was delivered (`file_shape`)."""
    row = connection.execute(
        "select shape from ledger.applied.tables where target = ? and entity = ?", [target, entity]
    ).fetchone()
    return row[0] if row else None


def record(connection: duckdb.DuckDBPyConnection, target: str, entity: str, changes: str) -> None:
    """Bring applied changes into the table. `changes` is a relation with key, action, new,
    subject, partition, family where it has one, source, run_id, finished_at.

    One row per key. Safe to repeat: the same changes give the same rows.
    """
    known = _known(connection, target, entity)
    if not known:
        return  # an export of an older night that no longer exists in any form
    name = table(target, entity)
    row = connection.execute(
        "select key, partition, subject, family from ledger.applied.tables"
        " where target = ? and entity = ?",
        [target, entity],
    ).fetchone()
    keys, *named = (json.loads(row[0]), *row[1:]) if row else ([], None, None, None)
    beside = {
        "source": "source",
        **dict(zip(named, ("partition", "subject", "family"), strict=True)),
    }
    values = []
    for column, kind in known:
        path = sql.text(f'$."{column}"')
        fallback = f"past.{sql.name(column)}"
        if column in keys:
            fallback = (
                f"coalesce({fallback}, cast({sql.key_part('change.key', keys.index(column))} as"
                f" {kind}))"
            )
        elif column in beside:
            fallback = f"coalesce(cast(change.{beside[column]} as {kind}), {fallback})"
        values.append(
            f"case when json_exists(change.new, {path}) then cast(json_extract_string(change.new,"
            f" {path}) as {kind}) else {fallback} end"
        )
    listed = ", ".join(sql.name(column) for column, _ in known)
    connection.execute(
        f"""
        create or replace temp table applied_now as
        select change.key as _key,
        {", ".join(f"{value} as {sql.name(column)}" for value, (column, _) in zip(values, known, strict=True))},
               change.run_id, change.finished_at as applied_at
        from {changes} as change
        left join {name} as past on past._key = change.key and change.action not in ('create',
        'adopt')
        where change.action not in ('remove', 'delete')"""  # noqa: E501
    )
    connection.execute(f"delete from {name} where _key in (select key from {changes})")
    connection.execute(
        f"insert into {name} (_key, {listed}, run_id, applied_at) select * from applied_now"
    )
    connection.execute("drop table applied_now")


def _known(
    connection: duckdb.DuckDBPyConnection, target: str, entity: str
) -> list[tuple[str, str]]:
    return [
        (column, kind)
        for column, kind in columns(connection, table(target, entity)).items()
        if column not in OWN
    ]
