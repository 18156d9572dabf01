"""A warehouse with its ledger in memory, for tests that hold single rules of the engine: tables
made by hand, no night.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb

from common import problems, sql
from common.problems import Reason
from reverse_etl import applied, diff
from reverse_etl.model import Column, Export, Limits

AUDIT = """
create schema ledger.audit;
create table ledger.audit.planned_changes (
    change_id text, plan_id text, run_id text, planned_at timestamptz, target text, entity text,
    key text, subject text, partition text,
    action text, remote_id text, old json, new json, reason text, hold text, source text,
    export_model text, seq integer, family text);
create table ledger.audit.outcomes (
    change_id text, run_id text, target text, status text, attempts integer, code integer,
    remote_id text, request_id text,
    started_at timestamptz, finished_at timestamptz, note text, reason text);
create table ledger.audit.deliveries (
    change_id text, run_id text, target text, file text, rows bigint, bytes bigint, sha256 text,
    delivered_at timestamptz, receipt text);
"""


# What the columns of these tests mean, by name.
ROLES: Mapping[str, Mapping[str, Any]] = {
    "primary_email": {"role": "login"},
    "email": {"role": "login"},
    "suspended": {"role": "switch", "off_value": True},
    "deleted": {"role": "deleted"},
    "adopt_id": {"role": "adopt"},
}


def column(name: str, **more: Any) -> Column:
    """A column, of its role."""
    return Column(name, **{**ROLES.get(name, {}), **more})


@contextmanager
def ledger() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(
            "set TimeZone = 'UTC'; attach ':memory:' as ledger; create schema exports; create"
            " schema staging"
        )
        connection.execute(AUDIT)
        connection.execute(applied.REGISTRY)
        connection.execute(diff.CHANGES)
        speak(connection)
        yield connection


def export(
    entity: str = "users", columns: Sequence[str] = ("person_id", "email", "school"), **more: Any
) -> Export:
    """One export of target `fake`, keyed by its first column, with a table of its own."""
    given = {
        "key": columns[:1],
        "limits": Limits(),
        "context": ("school",),
        "subject": "person_id" if "person_id" in columns else None,
        "partition": "school" if "school" in columns else None,
        "target": "fake",
    } | more
    target = given.pop("target")
    return Export(
        f"exp_{target}__{entity}",
        f'exports."exp_{target}__{entity}"',
        target,
        entity,
        columns=tuple(column(name) for name in columns),
        **given,
    )


def stand(
    connection: duckdb.DuckDBPyConnection,
    one: Export,
    *,
    wanted: Sequence[Sequence[Any]] = (),
    there: Sequence[Sequence[Any]] = (),
    written: Sequence[Sequence[Any]] = (),
    kinds: Mapping[str, str] | None = None,
) -> None:
    """Its table (`wanted`), what the target holds of it (`there`: remote id first), and what we
    last wrote (`written`); all text but for `kinds`.
    """
    names = [column.name for column in one.columns]
    listed = ", ".join(f'"{name}" text' for name in names)
    typed = ", ".join(f'"{name}" {(kinds or {}).get(name, "text")}' for name in names)
    connection.execute(f"create or replace table {one.relation} ({typed})")
    connection.execute(
        f'create or replace table staging."stg_{one.target}__{one.entity}" (remote_id text,'
        f" {listed})"
    )
    applied.ensure(connection, one)
    connection.execute(f"delete from {applied.table(one.target, one.entity)}")
    _fill(connection, one.relation, wanted)
    _fill(connection, f'staging."stg_{one.target}__{one.entity}"', there)
    _fill(
        connection,
        applied.table(one.target, one.entity),
        [["|".join(row[: len(one.key)]), *row, "run", "2026-01-01"] for row in written],
    )


def _fill(connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Sequence[Any]]) -> None:
    for row in rows:
        connection.execute(f"insert into {table} values ({', '.join('?' * len(row))})", list(row))


def change(
    connection: duckdb.DuckDBPyConnection, key: str, action: str = "update", **more: Any
) -> None:
    """One row of `changes`."""
    row: Mapping[str, Any] = {
        "target": "fake",
        "entity": "users",
        "entity_rank": 1,
        "key": key,
        "subject": key,
        "partition": None,
        "action": action,
        "action_rank": 1,
        "remote_id": None,
        "old": "{}",
        "new": "{}",
        "released": False,
    } | more
    hold = more.get("hold")
    row = {
        name: json.dumps(value) if isinstance(value, dict) else value for name, value in row.items()
    } | ({"hold": hold.json if isinstance(hold, Reason) else in_words(hold)} if hold else {})
    connection.execute(
        f"insert into changes ({', '.join(row)}) values ({', '.join('?' * len(row))})",
        list(row.values()),
    )


def speak(connection: duckdb.DuckDBPyConnection) -> None:
    """Give a connection `said(reason)`: the sentence of a stored reason, null of none."""

    def part(text: str) -> str:
        if not problems.PLACE.fullmatch(text):
            return sql.text(text)
        value = f"json_extract_string(stored, '$.values.{text[1:-1]}')"
        number = f"format('{{:,}}', try_cast({value} as bigint))"
        is_number = f"json_type(stored, '$.values.{text[1:-1]}') in ('UBIGINT', 'BIGINT')"
        return f"coalesce(case when {is_number} then {number} else {value} end, '')"

    cases = " ".join(
        f"when '{code}' then " + " || ".join(map(part, re.split(r"(\{[a-z_]+\})", one.sentence)))
        for code, one in problems.catalogue().items()
        if code.startswith(("hold_", "change_", "in_words"))
    )
    connection.execute(
        f"create or replace temp macro said(stored) as case stored ->> '$.code' {cases} end"
    )


def in_words(words: str) -> str:
    """A reason that has no code, as it is stored."""
    return Reason("in_words", {"words": words}).json


def waits_for(target: str, entity: str, key: str) -> Reason:
    """The hold of a change that waits for another target's object."""
    return Reason("hold_waits", {"target": target, "entity": entity, "key": key})


def held(connection: duckdb.DuckDBPyConnection, target: str = "fake") -> list[str]:
    """The keys that wait, in order."""
    return [
        key
        for (key,) in connection.execute(
            "select key from changes where target = ? and hold is not null order by key", [target]
        ).fetchall()
    ]
