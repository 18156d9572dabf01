"""The comparison: what should be, what is, what we last wrote; as SQL over the warehouse.

In: one `Export`, the relation with what the target holds, the applied table. Out: rows in the
temporary table `changes` (see CHANGES), one per object that must change, and in `drifts`, one per
value of ours that somebody changed in the target since our last push. Column by column with `is
distinct from`, in the database: a first night of 100,000 changes takes seconds, and the reason can
name the column.

Rules: a column that is theirs is never written, one owned `initial` only on create, and on
adopt where the object has none;
an object that is not in the export is touched only as `on_absent` says, and taken away only when
the ledger says we put it there. An object without our key is touched only when a row of the export
names it in its column of role `adopt`: it is given the key. A value changed by hand is written
again, left or taken over, as the column's `on_drift` says. A row whose column of role `deleted` is
true wants its object gone; an object that lies among the target's deleted ones and is wanted again
is restored, not made anew. An object that somebody else closed (the ledger knows what we closed)
stays closed: opening it waits until somebody releases it, and is no drift (`switches.py`).
"""

from __future__ import annotations

import json

import duckdb

from common import problems, sql
from reverse_etl import applied, causes, shared, switches
from reverse_etl.model import (
    ACTIONS,
    ADOPT,
    ADOPTS,
    BOTH,
    CREATE,
    DELETE,
    DELETED,
    LOGIN,
    REMOVE,
    RENAME,
    RESTORE,
    SUSPEND,
    SWITCH,
    UPDATE,
    Column,
    Export,
)

CHANGES = """
create or replace temp table changes (
    target text, entity text, entity_rank integer, key text, subject text, partition text,
    action text,
    action_rank integer, remote_id text, old text, new text, reason text, hold text, source text,
    export_model text,
    family text, move text, left_from text,
    released boolean default false, refused boolean default false, expected boolean default false);
create or replace temp table drifts (
    target text, entity text, key text, subject text, partition text, column_name text,
    ours text, theirs text, policy text);
"""
COLUMNS = (
    "target, entity, entity_rank, key, subject, partition, action, action_rank, remote_id,"
    " old, new, reason, hold, source, export_model, family"
)


class DiffImpossibleError(Exception):
    """An export that cannot be compared; the message says which columns or rows stand
    in the way.
    """


def observed_view(export: Export) -> str:
    """The staging view that says, in the export's own columns, what the target holds of ours."""
    return f"staging.{sql.name(f'stg_{export.target}__{export.entity}')}"


def orphan_view(export: Export) -> str:
    """The staging view of the objects without our key, in the same columns; needed only where an
    export adopts.
    """
    return f"staging.{sql.name(f'stg_{export.target}__orphan_{export.entity}')}"


def existing(connection: duckdb.DuckDBPyConnection, target: str, entity: str) -> str:
    """A query of the keys of the objects of ours that a target holds, as its key columns were last
    registered.
    """
    view = f"staging.{sql.name(f'stg_{target}__{entity}')}"
    columns = key_of(connection, target, entity)
    if not columns or not applied.columns(connection, view):
        return "select null where false"
    key = sql.key(columns)
    return f"select {key} from {view} where {key} is not null"


def key_of(connection: duckdb.DuckDBPyConnection, target: str, entity: str) -> list[str]:
    """The key columns of an entity as they were last registered; none of one never seen."""
    row = connection.execute(
        "select key from ledger.applied.tables where target = ? and entity = ?", [target, entity]
    ).fetchone()
    return list(json.loads(row[0])) if row else []


def compare(
    connection: duckdb.DuckDBPyConnection,
    export: Export,
    entity_rank: int,
    because: str = causes.SOURCE,
) -> tuple[int, int]:
    """Add the changes of one export to `changes`; returns (rows desired, rows of ours the target
    holds).

    Leaves `decided` behind: what differs, and what the target holds that is neither wanted nor was
    written by us.

    Raises DiffImpossibleError when the export has no table, has rows without a key or two with the
    same, or when what was observed lacks a column that would have to be compared.
    """
    types = applied.columns(connection, export.relation)
    if not types:
        raise DiffImpossibleError(f'{export.relation} does not exist; run "make build"')
    missing = [column.name for column in export.columns if column.name not in types]
    if missing:
        raise DiffImpossibleError(
            f"{export.relation} has no column {', '.join(missing)}; its YAML lists what its table"
            " does not have"
        )
    desired = _checked(connection, export)
    applied.ensure(connection, export)
    applied.note_last_days(connection, export)
    if export.file and export.file.write_back:
        from reverse_etl.write_back import query as compared  # it stands on this module
    else:
        compared = _of_rows if export.file else _of_objects
    query, observed = compared(connection, export, types, because)
    values = {
        "target": export.target,
        "entity": export.entity,
        "rank": entity_rank,
        "model": export.model,
    }
    connection.execute(f"insert into changes ({COLUMNS}) {query}", values)
    return desired, observed


def _checked(connection: duckdb.DuckDBPyConnection, export: Export) -> int:
    key = sql.key(export.shown_key)
    total, named, distinct = connection.execute(
        f"select count(*), count({key}), count(distinct {key}) from {export.relation}"
    ).fetchone() or (0, 0, 0)
    if total != named:
        raise DiffImpossibleError(
            f"{total - named:,} of {total:,} rows of {export.relation} have no key"
            f" ({', '.join(export.key)}); mend the model"
        )
    if named != distinct:
        raise DiffImpossibleError(
            f"{total:,} rows of {export.relation} share {distinct:,} keys"
            f" ({', '.join(export.key)}); mend the model"
        )
    return total


# ---------------------------------------------------------------- targets with objects (APIs)


def _of_objects(
    connection: duckdb.DuckDBPyConnection, export: Export, types: dict[str, str], because: str
) -> tuple[str, int]:
    view = observed_view(export)
    there = applied.columns(connection, view)
    if not there:
        raise DiffImpossibleError(
            f"{view} does not exist; the target's staging model must say what it holds"
        )
    missing = [
        name for name in (*export.key, *(c.name for c in export.compared)) if name not in there
    ]
    if missing:
        raise DiffImpossibleError(
            f"{view} has no column {', '.join(missing)}; it must name its columns as"
            f" {export.model} does"
        )
    if export.on_absent == SUSPEND and not switches.of(export):
        raise DiffImpossibleError(
            f"{export.model} says on_absent: suspend but none of its columns has role: switch"
        )

    if unsaid := switches.missing_reasons(export, there):
        raise DiffImpossibleError(
            f"{view} has no column {unsaid[0]}, by which {export.model} tells who closed an object"
        )
    changed = {c.name: _changed(c, types) for c in export.compared}
    both, create, absent = (
        "d._key is not null and o._key is not null",
        "o._key is null",
        "d._key is null",
    )
    action = f"""case
            when {create} then {_when_missing(export)}
            when o._adopts then '{ADOPT}'
            {_already_gone(export, types, absent)}
            when {absent} then {_when_absent(export, types)}
            {_deletions(export, types)}
            when not ({" or ".join(changed.values()) or "false"}) then null
            {switches.branches(export, types, changed)}
            {_renames(export, changed)}
            else '{UPDATE}' end"""
    whole = [*(column for column in export.columns if column.name in export.key), *export.compared]
    # what is set once: of an object that was there before us, where it has none
    first = [c for c in export.sent if c.owner == "initial" and c.name in there]
    lost = [*whole, *first]  # an undo makes it anew
    new = f"""case action
            when '{CREATE}' then {sql.json_object(_json_field(c, _d(c), types) for c in export.sent)}
            when '{ADOPT}' then {sql.json_object([*(_json_field(c, _d(c), types) for c in whole), *(f"case when {_o(c, types)} is null and {_d(c)} is not null then {_json_field(c, _d(c), types)} end" for c in first)])}
            when '{REMOVE}' then '{{}}' when '{DELETE}' then '{{}}'
            else case when {absent} then
            {switches.closing(export)}
                 else {sql.json_object(f"case when {switches.sent(c, changed[c.name])} then {_json_field(c, _d(c), types)} end" for c in export.compared)} end end"""  # noqa: E501
    old = f"""case
            when {create} then '{{}}'
            when action = '{ADOPT}' then
            {sql.json_object(_json_field(c, _o(c, types), types) for c in export.compared)}
            when action in ('{REMOVE}', '{DELETE}')
            then {sql.json_object(_json_field(c, _o(c, types), types) for c in lost)}
            when {absent} then {sql.json_object(_json_field(c, _o(c, types), types) for c in switches.of(export)[:1])}
            else {sql.json_object(f"case when {switches.sent(c, changed[c.name])} then {_json_field(c, _o(c, types), types)} end" for c in export.compared)} end"""  # noqa: E501
    doubled = sql.reason("hold_key_doubled", copies="o.copies", target=sql.text(export.target))
    hold = f"""case when o.copies > 1 then {doubled} {switches.hold()} end"""
    order = "remote_id" if "remote_id" in there else "1"
    drifts = [
        f"case when {policy} is not null then struct_pack(column_name := {sql.text(c.name)}, policy"
        f" := {policy}, ours := {_json(_d(c))}, theirs := {_json(_o(c, types))}) end"
        for c in export.compared
        if c.role != SWITCH
        for policy in [_drift(c, types)]
    ]
    context = f"""{about(export, export.subject, types, there)} as subject,
    {about(export, export.partition, types, there)} as partition"""
    connection.execute(
        f"""
        create or replace temp table decided as
        with desired as (select *, {sql.key(export.shown_key)} as _key from {export.relation}),
        found as ({_found(connection, export, there)}),
        -- windows over everybody cost more than the comparison; over those that are there twice
        -- they cost nothing
        twice as (select _key from found where _key is not null group by _key having count(*) > 1),
        observed as (
            select *, 1 as copies from found where _key is not null and _key not in (from twice)
            union all by name
            select * exclude (copy) from (
                select *, count(*) over (partition by _key) as copies,
                row_number() over (partition by _key order by {order}) as copy
                from found where _key in (from twice)
            ) where copy = 1
        ),
        taken as (
            select key as _key, list(column_name) as columns from ledger.applied.taken_over
            where target = $target and entity = $entity group by key
        ),
        shared as ({shared.agreed(export)}),
        -- only what may matter meets what was last applied: to carry everybody's columns through
        -- that join doubles the time
        unlike as (
            select d, o, t.columns as taken, s.agreed, coalesce(d._key, o._key) as key
            from desired as d
            full outer join observed as o on o._key = d._key
            left join taken as t on t._key = d._key
            left join shared as s on s._key = d._key
            where d._key is null or o._key is null or o._adopts or t._key is not null
                or {" or ".join(_differs(c, types) for c in export.compared) or "false"}
        )
        select d, o, a, taken, agreed, unlike.key, {action} as action,
            {switches.left_shut(export, types)} as left_shut,
            {switches.deleted_elsewhere(export, types)} as gone_elsewhere,
            {switches.why(export, types)} as why_shut,
            {switches.opened_elsewhere(export, types)} as opened,
            {" or ".join(_differs(c, types) for c in export.compared if c.on_drift != "revert" or c.owner == BOTH) or "false"} as differs
        from unlike
        left join {applied.table(export.target, export.entity)} as a on a._key = unlike.key
        -- filtered here, before the rows become values: that is most of the time at half a million
        -- rows
        where action is not null or ({both} and (differs or taken is not null)) or (d._key is null
        and a._key is null)""",  # noqa: E501
        {"target": export.target, "entity": export.entity},
    )
    connection.execute(
        f"""
        insert into drifts
        select $target, $entity, key, subject, partition, drift.column_name, drift.ours,
        drift.theirs, drift.policy
        from (select key, {context}, unnest(list_filter([{", ".join(drifts) or "null"}],
        lambda drift: drift is not null)) as drift
              from decided where {both}
              and (a._key is not null or {str(bool(shared.columns(export))).lower()}))""",
        {"target": export.target, "entity": export.entity},
    )
    query = f"""
        select $target, $entity, $rank, key, {context}, action,
               {action_rank()}, {"o.remote_id" if "remote_id" in there else "null"}, {old}, {new},
               {_reason(export, changed, both, types, because)}, {hold},
               {about(export, "source", types, there)}, $model,
               {about(export, export.family, types, there)}
        from decided where action is not null"""
    observed = connection.execute(
        f"select count(*) from {view} where {sql.name(export.key[0])} is not null"
    ).fetchone()
    return query, observed[0] if observed else 0


def _found(connection: duckdb.DuckDBPyConnection, export: Export, there: dict[str, str]) -> str:
    """What the target holds of ours, and the objects without our key that rows of the export adopt,
    as if they had it.
    """
    view = observed_view(export)
    ours = f"select *, {sql.key(export.shown_key)} as _key, false as _adopts from {view}"
    named = export.of_role(ADOPTS)
    if named is None:
        return ours
    orphans = applied.columns(connection, orphan_view(export))
    missing = [name for name in ("remote_id", *there) if name not in orphans]
    if missing:
        raise DiffImpossibleError(
            f"{orphan_view(export)} has no column {', '.join(missing)}; it must name its columns as"
            f" {view} does"
        )
    adopt = _d(named)
    rows, objects = connection.execute(
        f"select count({adopt}), count(distinct {adopt}) from {export.relation} as d"
    ).fetchone() or (0, 0)
    if rows != objects:
        raise DiffImpossibleError(
            f"{rows:,} rows of {export.relation} adopt {objects:,} objects; one object is one"
            " row's, mend the model"
        )
    values = ", ".join(f"{'d' if name in export.key else 'u'}.{sql.name(name)}" for name in there)
    return f"""{ours} union all
            select {values}, d._key, true from desired as d join {orphan_view(export)} as u
            on u.remote_id = {adopt}
            where not exists (select 1 from (select {sql.key(export.shown_key)} as _key
            from {view}) as ours where ours._key = d._key)"""


def _d(column: Column) -> str:
    return f"d.{sql.name(column.name)}"


def _o(column: Column, types: dict[str, str]) -> str:
    # What was observed arrived as text; the export's contract says what it is.
    return f"cast(o.{sql.name(column.name)} as {types[column.name]})"


def _json(expression: str) -> str:
    return f"cast(to_json({expression}) as varchar)"


def _json_field(column: Column, expression: str, types: dict[str, str]) -> str:
    """A value of a change. A decimal stands there as text: as a number of JSON whoever reads it
    would make a float of it.
    """
    if types[column.name].startswith("DECIMAL"):
        expression = f"cast({expression} as varchar)"
    return sql.json_field(column.name, expression)


def same(column: Column, expression: str) -> str:
    """A value without the differences that are none for this column."""
    if column.ignoring:
        expression = f"cast({expression} as varchar)"
    if "spaces" in column.ignoring:
        expression = f"trim(regexp_replace({expression}, '\\s+', ' ', 'g'))"
    if "case" in column.ignoring:
        expression = f"lower({expression})"
    if "order" in column.ignoring:
        expression = (
            f"array_to_string(list_sort(list_transform(string_split({expression}, ','), lambda"
            " part: trim(part))), ',')"
        )
    return expression


def _differs(column: Column, types: dict[str, str]) -> str:
    """What should be is not what is."""
    return f"({same(column, _d(column))} is distinct from {same(column, _o(column, types))})"


def _ours_moved(column: Column) -> str:
    """What should be is not what we last wrote: the source, or a rule, changed it."""
    return f"({same(column, _d(column))} is distinct from {same(column, _a(column))})"


def _theirs_moved(column: Column, types: dict[str, str]) -> str:
    """What is there is not what we last wrote: somebody changed it in the target."""
    return (
        f"(a._key is not null and {same(column, _o(column, types))} is distinct from"
        f" {same(column, _a(column))})"
    )


def altered(column: Column, types: dict[str, str]) -> str:
    """What is there (`o`) is not what we last wrote (`a`)."""
    return f"({same(column, _o(column, types))} is distinct from {same(column, _a(column))})"


def _taken(column: Column) -> str:
    return f"coalesce(list_contains(taken, {sql.text(column.name)}), false)"


def _changed(column: Column, types: dict[str, str]) -> str:
    """A difference that is to be written: all but those the column's policy leaves to whoever
    made it in the target.
    """
    differs, theirs = _differs(column, types), _theirs_moved(column, types)
    if column.role == SWITCH:
        return differs  # never left and never taken over: see `switches`
    if column.owner == BOTH:
        return shared.changed(column.name, _d(column), _o(column, types))
    if column.on_drift == "leave":
        return f"({differs} and not ({theirs} and not {_ours_moved(column)}))"
    if column.on_drift == "take_over":
        return f"({differs} and not {_taken(column)} and not {theirs})"
    return differs


def _drift(column: Column, types: dict[str, str]) -> str:
    """What is done about a value changed by hand, as text; null where nobody did, or where it is
    known and done with.
    """
    if column.owner == BOTH:
        return shared.drift(column.name, _d(column), _o(column, types))
    drifted = f"{_differs(column, types)} and {_theirs_moved(column, types)}"
    if column.on_drift == "leave":
        return (
            f"case when {drifted} then case when {_ours_moved(column)} then 'revert' else 'leave'"
            " end end"
        )
    if column.on_drift == "take_over":
        # equal again: whoever made it so gave the column back
        return (
            f"case when {_taken(column)} then case when not {_differs(column, types)} then"
            f" 'give_back' end when {drifted} then 'take_over' end"
        )
    return f"case when {drifted} then 'revert' end"


def _a(column: Column) -> str:
    return f"a.{sql.name(column.name)}"


def _when_absent(export: Export, types: dict[str, str]) -> str:
    match export.on_absent:
        case "suspend":
            return f"case when {switches.is_open(export, types)} then '{SUSPEND}' end"
        case "remove":
            return f"case when a._key is not null then '{REMOVE}' end"
        case "delete":
            return f"case when a._key is not null then '{DELETE}' end"
    return "null"


def _already_gone(export: Export, types: dict[str, str], absent: str) -> str:
    """An object among the target's deleted ones needs nothing more when no row wants it."""
    gone = export.of_role(DELETED)
    return f"when {absent} and coalesce({_o(gone, types)}, false) then null" if gone else ""


def _when_missing(export: Export) -> str:
    return (
        f"case when not {_d(gone)} then '{CREATE}' end"
        if (gone := export.of_role(DELETED))
        else f"'{CREATE}'"
    )


def _deletions(export: Export, types: dict[str, str]) -> str:
    gone = export.of_role(DELETED)
    if gone is None:
        return ""
    return f"""when {_d(gone)} and {_o(gone, types)} then null
            when {_d(gone)} then case when a._key is not null then '{DELETE}' end
            when {_o(gone, types)} then '{RESTORE}'"""


def _renames(export: Export, changed: dict[str, str]) -> str:
    names = [changed[column.name] for column in export.compared if column.role == LOGIN]
    return f"when {' or '.join(names)} then '{RENAME}'" if names else ""


def _reason(
    export: Export, changed: dict[str, str], both: str, types: dict[str, str], because: str
) -> str:
    """In words: what is new, what left, which columns the source changed and which somebody changed
    in the target.
    """
    new, left, columns = causes.WORDS[because]
    ours = {c.name: f"a._key is not null and {_ours_moved(c)}" for c in export.compared}
    theirs = {c.name: _theirs_moved(c, types) for c in export.compared}
    source = columns_where(
        {name: f"{changed[name]} and {ours[name]} and not {theirs[name]}" for name in changed}
    )
    conflict = columns_where(
        {name: f"{changed[name]} and {ours[name]} and {theirs[name]}" for name in changed}
    )
    drift = columns_where(
        {name: f"{changed[name]} and a._key is not null and not ({ours[name]})" for name in changed}
    )
    unlike = columns_where({name: f"{changed[name]} and a._key is null" for name in changed})
    parts = [
        words(columns, export, source),
        words("columns_by_hand", export, drift),
        words("columns_by_both", export, conflict),
        words("columns_unlike", export, unlike),
    ]
    listed = (
        f"array_to_string(list_filter([{', '.join(parts)}], lambda part: part is not null), '; ')"
    )
    target = sql.text(export.target)
    return f"""case
            when action = '{CREATE}' and a._key is not null
            then {sql.reason("change_gone", target=target)}
            when action = '{CREATE}' then {sql.reason(new)}
            when action = '{ADOPT}' then {sql.reason("change_adopted")}
            when action = '{SUSPEND}' and opened then {sql.reason("change_opened_elsewhere")}
            when not ({both}) then {sql.reason(left)}
            {_of_deletion(export)}
            when {drift} is not null then {sql.reason("change_by_hand", parts=listed)}
            else {sql.reason("change_of_columns", parts=listed)} end"""


def words(code: str, export: Export, columns: str) -> str:
    """The words of the catalogue around a list of columns; null where there are none."""
    before, _, after = problems.problem(code).sentence.partition("{columns}")
    around = [
        text.replace("{target}", export.target).replace("{model}", export.model)
        for text in (before, after)
    ]
    return f"{sql.text(around[0])} || {columns} || {sql.text(around[1])}"


def _of_deletion(export: Export) -> str:
    gone = export.of_role(DELETED)
    if gone is None:
        return ""
    again = sql.reason("change_wanted_again", target=sql.text(export.target))
    return f"""when action = '{DELETE}' then {sql.reason("change_deleted")}
            when action = '{RESTORE}' and cast(o.{sql.name(gone.name)} as boolean) then {again}"""


def columns_where(conditions: dict[str, str]) -> str:
    """The names whose condition holds, as a list in words; null of none."""
    names = ", ".join(
        f"case when {condition} then {sql.text(name)} end" for name, condition in conditions.items()
    )
    return (
        f"nullif(array_to_string(list_filter([{names or 'null'}], lambda name: name is not null),"
        " ', '), '')"
    )


def about(export: Export, name: str | None, types: dict[str, str], there: dict[str, str]) -> str:
    """A context column: of the desired row, else as it was when last applied, else as observed."""
    if name is None or name not in types:
        return "null"
    places = [
        f"d.{sql.name(name)}",
        f"a.{sql.name(name)}",
        *([f"o.{sql.name(name)}"] if name in there and export.file is None else []),
    ]
    return f"coalesce({', '.join(f'cast({place} as varchar)' for place in places)})"


def action_rank(action: str = "action") -> str:
    """The place of an action among those that are written."""
    return f"list_position([{', '.join(sql.text(one) for one in ACTIONS)}], {action})"


# ---------------------------------------------------------------- targets with rows (files)


def _of_rows(
    connection: duckdb.DuckDBPyConnection, export: Export, types: dict[str, str], because: str
) -> tuple[str, int]:
    """A file is its rows: what it holds is what was delivered last, and a row that is not in the
    export is not in the file.
    """
    table = applied.table(export.target, export.entity)
    values = [column for column in export.sent if column.name not in export.key]
    changed = {
        c.name: f"(d.{sql.name(c.name)} is distinct from a.{sql.name(c.name)})" for c in values
    }
    names = columns_where(changed)
    new, left, columns = causes.WORDS[because]
    # a row's own last day is kept with it, though it is not sent
    kept = [c for c in export.columns if c.name == export.expires and c not in export.sent]
    query = f"""
        with desired as (select *, {sql.key(export.shown_key)} as _key from {export.relation}),
        decided as (
            select d, a, coalesce(d._key, a._key) as key,
                case when a._key is null then '{CREATE}' when d._key is null then '{REMOVE}'
                     when {" or ".join(changed.values()) or "false"} then '{UPDATE}' end as action
            from desired as d full outer join {table} as a on a._key = d._key
        )
        select $target, $entity, $rank, key, {about(export, export.subject, types, {})},
        {about(export, export.partition, types, {})}, action,
               {action_rank()}, null,
               case action when '{CREATE}' then '{{}}'
                    when '{REMOVE}' then {sql.json_object(sql.json_field(c.name, f"a.{sql.name(c.name)}") for c in export.sent)}
                    else {sql.json_object(f"case when {changed[c.name]} then {sql.json_field(c.name, f'a.{sql.name(c.name)}')} end" for c in values)} end,
               case action when '{REMOVE}' then '{{}}'
                    when '{CREATE}' then {sql.json_object(sql.json_field(c.name, _d(c)) for c in (*export.sent, *kept))}
                    else {sql.json_object(f"case when {changed[c.name]} then {sql.json_field(c.name, _d(c))} end" for c in values)} end,
               case action when '{CREATE}' then {sql.reason(new)}
                    when '{REMOVE}' then {sql.reason(left)}
                    else {sql.reason("change_of_columns", parts=words(columns, export, names))} end,
               null, {about(export, "source", types, {})}, $model, null
        from decided where action is not null"""  # noqa: E501
    delivered = connection.execute(f"select count(*) from {table}").fetchone()
    return query, delivered[0] if delivered else 0
