"""Exchanges: what a target can give and take back by one call is one call or none.

In: the changes of a target. Out: the same, those of one move whose both sides the target does at
once as one change, which carries the `others`. What became of it became of all: no night, no
refusal and no power cut leaves anybody between the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reverse_etl.model import ARRIVALS, REMOVALS, Adapter, Change, Exchanging

Unit = tuple[str, str | None, str]


def unit(change: Change) -> Unit:
    """What the sides of one move share."""
    return change.entity, change.subject, change.family or ""


def whole(change: Change) -> tuple[Change, ...]:
    """A change and what is done by the same call."""
    return (change, *change.others)


def joined(adapter: Adapter, changes: Sequence[Change]) -> list[Change]:
    """The changes, where the adapter takes both sides of a move at once those of one as one."""
    if not isinstance(adapter, Exchanging):
        return list(changes)
    moves: dict[Unit, list[Change]] = {}
    for change in changes:
        if change.family and change.subject and change.action in ARRIVALS | REMOVALS:
            moves.setdefault(unit(change), []).append(change)
    first: dict[str, Change] = {}
    others: set[str] = set()
    for sides in moves.values():
        arriving = [one for one in sides if one.action in ARRIVALS]
        leaving = [one for one in sides if one.action in REMOVALS]
        if arriving and leaving and adapter.exchanges([*arriving, *leaving]):
            lead, *rest = *arriving, *leaving
            first[lead.change_id] = replace(lead, others=tuple(rest))
            others |= {one.change_id for one in rest}
    return [first.get(one.change_id, one) for one in changes if one.change_id not in others]
