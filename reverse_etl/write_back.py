"""Write-back: a file that tells a source what it should hold, whose own feed says what it holds.

In: an export whose `file:` says `write_back: <days>`, the staging view of that feed in the export's
columns (`stg_<target>__<entity>`), the ledger. Out: rows in `changes`, one per row the source is to
be told anew, and in `drifts`. A source takes such a file when it takes it, so a row that was sent
and is not in the feed yet is waited for and not sent again; one that is not there after so many
days is told. Once the feed has said what was sent, both agree, and what somebody changes there
afterwards is written again, left or taken over, as the column's `on_drift` says. A row the source
does not have is not made there, and one the export has no more is left as it is.
"""

from __future__ import annotations

import duckdb

from common import sql
from reverse_etl import applied, causes, diff, shared
from reverse_etl.model import UPDATE, Column, Export

LATE = "late"  # policy of `drifts`: sent, and not in the feed in the days it takes


def query(
    connection: duckdb.DuckDBPyConnection, export: Export, types: dict[str, str], because: str
) -> tuple[str, int]:
    """The query of its changes, as `diff.COLUMNS`, and how many rows the source has. Raises
    DiffImpossibleError when the feed's view cannot be compared with the export.
    """
    view = diff.observed_view(export)
    observed = _checked(connection, export, view)
    changed = {column.name: _changed(column, types) for column in export.compared}
    drifts = [
        f"case when {policy} is not null then struct_pack(column_name := {sql.text(c.name)},"
        f" policy := {policy}, ours := {_json(_d(c))}, theirs := {_json(_o(c, types))}) end"
        for c in export.compared
        for policy in [_policy(export, c, types)]
    ]
    context = [diff.about(export, name, types, {}) for name in (export.subject, export.partition)]
    connection.execute(
        f"""
        create or replace temp table told as
        with desired as (select *, {sql.key(export.shown_key)} as _key from {export.relation}),
        observed as (select *, {sql.key(export.shown_key)} as _key from {view}),
        taken as (
            select key as _key, list(column_name) as columns from ledger.applied.taken_over
            where target = $target and entity = $entity group by key
        ),
        shared as ({shared.agreed(export)})
        select d, o, a, t.columns as taken, s.agreed, d._key as key
        from desired as d
        join observed as o on o._key = d._key
        left join {applied.table(export.target, export.entity)} as a on a._key = d._key
        left join taken as t on t._key = d._key
        left join shared as s on s._key = d._key""",
        {"target": export.target, "entity": export.entity},
    )
    connection.execute(
        f"""
        insert into drifts
        select $target, $entity, key, subject, partition, drift.column_name, drift.ours,
        drift.theirs, drift.policy
        from (select key, {context[0]} as subject, {context[1]} as partition,
        unnest(list_filter([{", ".join(drifts)}], lambda drift: drift is not null)) as drift
        from told)""",
        {"target": export.target, "entity": export.entity},
    )
    new, old = (
        sql.json_object(
            f"case when {changed[c.name]} then {sql.json_field(c.name, value(c))} end"
            for c in export.compared
        )
        for value in (_d, lambda column: _o(column, types))
    )
    return (
        f"""
        select $target, $entity, $rank, key, {context[0]}, {context[1]}, '{UPDATE}',
        {diff.action_rank(sql.text(UPDATE))}, null, {old}, {new},
        {_reason(export, changed, types, because)}, null,
        {diff.about(export, "source", types, {})}, $model, null
        from told where {" or ".join(changed.values()) or "false"}""",
        observed,
    )


def _checked(connection: duckdb.DuckDBPyConnection, export: Export, view: str) -> int:
    """How many rows the source has."""
    there = applied.columns(connection, view)
    wanted = (*export.key, *(column.name for column in export.compared))
    if missing := [name for name in wanted if name not in there]:
        raise diff.DiffImpossibleError(
            f"{view} has no column {', '.join(missing)}; it must say in {export.model}'s columns"
            " what the source holds"
        )
    key = sql.key(export.shown_key)
    ((rows, keys),) = connection.execute(
        f"select count({key}), count(distinct {key}) from {view}"
    ).fetchall()
    if rows != keys:
        raise diff.DiffImpossibleError(
            f"{rows:,} rows of {view} share {keys:,} keys ({', '.join(export.key)}); mend the model"
        )
    return int(rows)


# ---------------------------------------------------------------- one column


def _d(column: Column) -> str:
    return f"d.{sql.name(column.name)}"


def _o(column: Column, types: dict[str, str]) -> str:
    return f"cast(o.{sql.name(column.name)} as {types[column.name]})"


def _json(expression: str) -> str:
    return f"cast(to_json({expression}) as varchar)"


def _text(column: Column, expression: str) -> str:
    return diff.same(column, f"cast({expression} as varchar)")


def _differs(column: Column, types: dict[str, str]) -> str:
    return f"({_text(column, _d(column))} is distinct from {_text(column, _o(column, types))})"


def _agreed(column: Column) -> str:
    """Whether the feed has said what is wanted since it was sent."""
    name = sql.text(column.name)
    return (
        f"(coalesce(list_contains(map_keys(agreed), {name}), false)"
        f" and {_text(column, f'agreed[{name}]')} is not distinct from {_text(column, _d(column))})"
    )


def _sent(column: Column) -> str:
    """Whether what is wanted is what was sent last."""
    return (
        f"(a._key is not null and {_text(column, f'a.{sql.name(column.name)}')}"
        f" is not distinct from {_text(column, _d(column))})"
    )


def _taken(column: Column) -> str:
    return f"coalesce(list_contains(taken, {sql.text(column.name)}), false)"


def _edited(column: Column, types: dict[str, str]) -> str:
    """Whether somebody changed there what both had agreed on."""
    return f"({_differs(column, types)} and {_agreed(column)})"


def _changed(column: Column, types: dict[str, str]) -> str:
    """Whether the source is to be told: it has something else, and was neither told so already, nor
    is it left to whoever changed it there.
    """
    news = f"({_differs(column, types)} and not {_agreed(column)} and not {_sent(column)})"
    if column.on_drift == "leave":
        return news
    if column.on_drift == "take_over":
        return f"({news} and not {_taken(column)})"
    return f"({news} or {_edited(column, types)})"


def _policy(export: Export, column: Column, types: dict[str, str]) -> str:
    """What is done about a value that differs, as text; null where there is nothing to say."""
    days = export.file.write_back if export.file else 0
    late = (
        f"when {_differs(column, types)} and not {_agreed(column)} and {_sent(column)}"
        f" and a.applied_at < now() - interval {days} day then '{LATE}'"
    )
    edited = f"when {_edited(column, types)} then '{column.on_drift}'"
    if column.on_drift == "take_over":
        back = f"case when not {_differs(column, types)} then 'give_back' end"
        return f"case when {_taken(column)} then {back} {edited} {late} end"
    return f"case {edited} {late} end"


def _reason(export: Export, changed: dict[str, str], types: dict[str, str], because: str) -> str:
    """In words: which columns are news, and which somebody changed there."""
    edited = {c.name: _edited(c, types) for c in export.compared}
    news = diff.columns_where({name: f"{changed[name]} and not {edited[name]}" for name in changed})
    by_hand = diff.columns_where({name: f"{changed[name]} and {edited[name]}" for name in changed})
    columns = causes.WORDS[because][2]
    parts = [diff.words(columns, export, news), diff.words("columns_by_hand", export, by_hand)]
    listed = (
        f"array_to_string(list_filter([{', '.join(parts)}], lambda part: part is not null), '; ')"
    )
    return f"""case when {by_hand} is not null then {sql.reason("change_by_hand", parts=listed)}
            else {sql.reason("change_of_columns", parts=listed)} end"""
