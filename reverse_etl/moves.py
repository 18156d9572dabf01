"""Moves: what leaves one object of a family to enter another is one change of its subject.

In: the changes of one export whose YAML says `family:`, each with the family its row belongs to.
Out: `move` stands on the arrivals and removals of a subject that both leaves and enters within a
family, and on nothing else; `left_from` says which partition it leaves. Held, let go, released or
left out of a scope, a move is so as a whole: nobody is left between two groups. When it is pushed
the removals come last, and none is made unless each arrival of its move was.
"""

from __future__ import annotations

import duckdb

from common import sql
from reverse_etl.model import ARRIVALS, REMOVALS, Export

ARRIVES = f"action in ({', '.join(map(sql.text, sorted(ARRIVALS)))})"
LEAVES = f"action in ({', '.join(map(sql.text, sorted(REMOVALS)))})"
OF = "target = $target and entity = $entity"
UNIT = "target, entity, subject, family"  # of one move
# of the moves, the partition they leave: both sides are there
WHOLE = f"""
    select {UNIT}, min(partition) filter ({LEAVES}) as partition
    from changes where family is not null and subject is not null group by all
    having count(*) filter ({ARRIVES}) > 0 and count(*) filter ({LEAVES}) > 0"""
SAME = " and ".join(f"changes.{name} = one.{name}" for name in UNIT.split(", "))


def planned(where: str) -> str:
    """A query of the moves among the planned changes chosen."""
    return f"""
        select ({UNIT}) from ledger.audit.changes
        where {where} and family is not null group by {UNIT}
        having count(*) filter ({ARRIVES}) > 0 and count(*) filter ({LEAVES}) > 0"""


def pair(connection: duckdb.DuckDBPyConnection, export: Export) -> None:
    """Set `move` on the changes of an export that are one side of a move, with the partition it
    leaves; what has no other side is no move.
    """
    connection.execute(
        f"""
        update changes set move = one.family, left_from = one.partition from ({WHOLE}) as one
        where changes.target = $target and changes.entity = $entity and ({ARRIVES} or {LEAVES})
        and {SAME}""",
        {"target": export.target, "entity": export.entity},
    )


def hold_together(connection: duckdb.DuckDBPyConnection, export: Export) -> None:
    """Hold the rest of each move of which something is held, for the same reason."""
    connection.execute(
        f"""
        update changes set hold = one.hold
        from (select {UNIT}, min(hold) as hold from changes
        where {OF} and move is not null and hold is not null group by {UNIT}) as one
        where {SAME} and changes.move is not null and changes.hold is null""",
        {"target": export.target, "entity": export.entity},
    )


def release_together(connection: duckdb.DuckDBPyConnection) -> None:
    """Who lets one side of a move go lets the move go."""
    connection.execute(
        f"""
        update changes set released = true
        from (select distinct {UNIT} from changes where move is not null and released) as one
        where {SAME} and changes.move is not null"""
    )


def whole(connection: duckdb.DuckDBPyConnection) -> None:
    """Leave out what a scope left of the removals whose arrivals it does not name."""
    connection.execute(
        f"""
        delete from changes where {LEAVES} and move is not null
        and ({UNIT}) not in (select ({UNIT}) from ({WHOLE}))"""
    )
