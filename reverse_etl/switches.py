"""Switches: who closed an object, and who opened it, as SQL over one row of the comparison.

In: the export's columns of role `switch` (suspended, archived, a mailbox that forwards, …) and what
`diff` joins: what is wanted (`d`), what is there (`o`), what we last wrote (`a`). Out: conditions
and CASE branches as text. A switch is never drift, whatever `on_drift` says of other columns: what
somebody else closed stays closed until somebody says otherwise, and what somebody else opened that
we had closed is closed again and told by name. An object that lies among the target's deleted ones
and was last written alive was closed by somebody else too.
"""

from __future__ import annotations

from collections.abc import Mapping

from common import sql
from reverse_etl.model import ADOPT, DELETED, RESTORE, SUSPEND, SWITCH, Column, Export

GONE = "deleted"  # why an object is closed that somebody else deleted


def of(export: Export) -> tuple[Column, ...]:
    """The switches of an export, in its order; the first is the one `on_absent: suspend` turns."""
    return tuple(column for column in export.compared if column.role == SWITCH)


def closing(export: Export) -> str:
    """What closes an object that no row wants any more: JSON of the first switch."""
    first = of(export)[:1]
    return sql.json_object(sql.json_field(s.name, sql.value(s.off_value)) for s in first)


def is_open(export: Export, types: Mapping[str, str]) -> str:
    """The first switch of what is there does not say closed."""
    return " and ".join(f"not ({_off(s, _o(s, types))})" for s in of(export)[:1])


def branches(export: Export, types: Mapping[str, str], changed: Mapping[str, str]) -> str:
    """The action of a row whose switches differ: closing one goes before opening another. Of what
    is closed already, closing another one is an update: nobody loses a way in by it.
    """
    closes = [f"({changed[s.name]} and {_off(s, _d(s))})" for s in of(export)]
    opens = [f"({changed[s.name]} and {_off(s, _o(s, types))})" for s in of(export)]
    if not closes:
        return ""
    undone = opened_elsewhere(export, types)
    ends = f"({is_open(export, types)} or {' or '.join(opens)} or {undone})"
    return f"""when ({" or ".join(closes)}) and {ends} then '{SUSPEND}'
            when {" or ".join(opens)} then '{RESTORE}'"""


def left_shut(export: Export, types: Mapping[str, str]) -> str:
    """The names of the switches that somebody else closed and the row wants open, as a list."""
    names = [f"case when {_shut(export, s, types)} then {sql.text(s.name)} end" for s in of(export)]
    listed = ", ".join([*names, "cast(null as varchar)"])
    return f"list_filter([{listed}], lambda name: name is not null)"


def sent(column: Column, changed: str) -> str:
    """Whether the change of a column goes along: what others closed is not opened by the way, where
    another switch is being closed.
    """
    if column.role != SWITCH:
        return changed
    left = f"list_contains(left_shut, {sql.text(column.name)})"
    return f"({changed} and not (action = '{SUSPEND}' and {left}))"


def deleted_elsewhere(export: Export, types: Mapping[str, str]) -> str:
    """Wanted, and among the target's deleted ones, though we last wrote it alive."""
    gone = export.of_role(DELETED)
    if gone is None:
        return "false"
    wanted = f"d._key is not null and not {_d(gone)}"
    return f"({wanted} and a._key is not null and {_deleted(gone, types)})"


def opened_elsewhere(export: Export, types: Mapping[str, str]) -> str:
    """Closed by us, by whatever we last wrote, and open there: somebody else opened it. A row that
    wants it open, or none, makes no difference to who did it, but only what is closed again is
    told.
    """
    found = [
        f"(a._key is not null and {_off(s, _a(s))} and o._key is not null"
        f" and not ({_off(s, _o(s, types))}) and (d._key is null or {_off(s, _d(s))}))"
        for s in of(export)
    ]
    return f"({' or '.join(found) or 'false'})"


def why(export: Export, types: Mapping[str, str]) -> str:
    """What the target says of the closing; null where it says nothing."""
    said = [
        f"case when {_shut(export, s, types)} then cast(o.{sql.name(s.off_because[0])} as varchar)"
        " end"
        for s in of(export)
        if s.off_because
    ]
    if gone := export.of_role(DELETED):
        said.insert(0, f"case when {_deleted(gone, types)} then {sql.text(GONE)} end")
    return f"coalesce({', '.join([*said, 'null'])})"


def hold() -> str:
    """The CASE branches that hold what would open something others closed (`left_shut`) or deleted
    (`gone_elsewhere`); `why_shut` is what the target says of it.
    """
    opening = f"action in ('{RESTORE}', '{ADOPT}') and (len(left_shut) > 0 or gone_elsewhere)"
    return f"""when {opening} and why_shut is not null
            then {sql.reason("hold_closed_because", why="why_shut")}
            when {opening} then {sql.reason("hold_closed")}"""


def missing_reasons(export: Export, there: Mapping[str, str]) -> list[str]:
    """The columns by which the export tells who closed an object, and the target's view lacks."""
    return [s.off_because[0] for s in of(export) if s.off_because and s.off_because[0] not in there]


def _shut(export: Export, switch: Column, types: Mapping[str, str]) -> str:
    """The ledger says neither that we last wrote it closed nor, of an object whose last row it
    lost, that closing it was our last word.
    """
    word = f"""json_extract_string(planned.new, '$."{switch.name}"')"""
    ours = f"""case when a._key is not null then {_off(switch, _a(switch))} else unlike.key in (
            select planned.key from ledger.audit.planned_changes as planned
            join ledger.audit.outcomes as outcome using (change_id)
            where planned.target = $target and planned.entity = $entity
            and outcome.status = 'applied' and {word} is not null
            group by planned.key having arg_max(cast({word} as {types[switch.name]}),
            outcome.finished_at) is not distinct from {sql.value(switch.off_value)}) end"""
    alien = (
        f"coalesce(o.{sql.name(switch.off_because[0])} <> {sql.text(switch.off_because[1])}, false)"
        if switch.off_because
        else "false"
    )
    gone = export.of_role(DELETED)
    alive = f"and not {_deleted(gone, types)}" if gone else ""
    return f"""({_off(switch, _o(switch, types))} {alive}
            and not ({_off(switch, _d(switch))}) and ({alien} or not ({ours})))"""


def _deleted(gone: Column, types: Mapping[str, str]) -> str:
    return f"coalesce({_o(gone, types)}, false)"


def _off(column: Column, expression: str) -> str:
    return f"{expression} is not distinct from {sql.value(column.off_value)}"


def _d(column: Column) -> str:
    return f"d.{sql.name(column.name)}"


def _a(column: Column) -> str:
    return f"a.{sql.name(column.name)}"


def _o(column: Column, types: Mapping[str, str]) -> str:
    return f"cast(o.{sql.name(column.name)} as {types[column.name]})"
