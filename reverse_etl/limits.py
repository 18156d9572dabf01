"""Limits: how much may change in one run before somebody is asked.

In: how many changes of each action, and of each column, are planned, per export and per partition,
and how many rows of ours the target holds. Out: the holds: which action or column (of which
partition) is stopped, and the sentence that says why. Everything else flows. Reads nothing but what
a partition is called.

An override is a list of words: `create` (that action everywhere), `crm.suspend` (one target), or
`crm.users.suspend` (one export). It lifts limits and the three refusals that wait for a word,
nothing else: a feed that was refused stays refused.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

from common.problems import Reason
from common.words import words
from reverse_etl.model import (
    ACTIONS,
    ADOPT,
    CREATE,
    DELETE,
    DELIVER,
    MOVE,
    REMOVE,
    RENAME,
    RESTORE,
    SUSPEND,
    UNDELETE,
    UPDATE,
    Limit,
    Limits,
)

EMPTY, KEYS, FIRST = "empty", "keys", "first"  # refusals somebody may lift: see holds.refusals
DROP = "drop"  # file targets: how much of a delivered file may vanish from one delivery to the next
DEFAULT = Limit(share=0.10)
DEFAULT_DROP = Limit(share=0.50)
DEFAULT_GROWTH = Limit(share=0.50)  # file targets: how much more may be in a file than the last one
# What takes something away is watched per partition even where nobody said so: one broken one hides
# in the total.
DEFAULT_PER_PARTITION: Mapping[str, Limit] = {
    SUSPEND: Limit(share=0.20),
    DELETE: Limit(share=0.20),
    REMOVE: Limit(share=0.50),
}
# A small table must be able to change at all: below this many a share does not bind.
AT_LEAST: Mapping[str, int] = {
    ADOPT: 5,
    CREATE: 5,
    UPDATE: 5,
    REMOVE: 5,
    RENAME: 5,
    RESTORE: 2,
    SUSPEND: 1,
    DELETE: 1,
    UNDELETE: 5,
    MOVE: 5,
}
LIMITED = (*(action for action in ACTIONS if action != DELIVER), MOVE)
LIFTED = (*LIMITED, DROP, EMPTY, KEYS, FIRST)
COLUMN_AT_LEAST = 5
GROWTH_AT_LEAST = 20  # rows; a class, a family or a new part may come to a small file


class LimitError(Exception):
    """A limit or an override that cannot be read; the message says how one looks."""


@dataclass(frozen=True)
class Group:
    """The changes of one action in one export, or of one column (`column` set); in one
    partition of it (`partition` set). `planned` and `observed` are rows, or with `subjects` the
    subjects they are about.
    """

    action: str
    planned: int
    observed: int
    partition: str | None = None
    column: str | None = None
    subjects: bool = False


@dataclass(frozen=True)
class Hold:
    """One action, or one column (of one partition), that must wait for somebody."""

    action: str
    why: Reason
    partition: str | None = None
    column: str | None = None

    @property
    def sentence(self) -> str:
        """What somebody reads."""
        return str(self.why)


def parse(settings: Mapping[str, Any], where: str) -> Limits:
    """Read `meta.export.limits`: {action: count | "n%", columns: {column: …},
    per_partition: {action: …, columns: {column: …}}}.

    Raises LimitError naming file and key.
    """
    per_partition = settings.get("per_partition", {})
    in_partitions = per_partition.get("columns", {}) if isinstance(per_partition, Mapping) else {}
    for name, table in (
        ("per_partition", per_partition),
        ("columns", settings.get("columns", {})),
        ("per_partition.columns", in_partitions),
    ):
        if not isinstance(table, Mapping):
            raise LimitError(f"{where}: limits.{name} must be a table of limits, not {table!r}")
    return Limits(
        {
            action: _of_action(action, value, where)
            for action, value in settings.items()
            if action not in ("per_partition", "columns")
        },
        {
            action: _of_action(action, value, f"{where}: per_partition")
            for action, value in per_partition.items()
            if action != "columns"
        },
        {
            column: _limit(column, value, where)
            for column, value in settings.get("columns", {}).items()
        },
        {
            column: _limit(column, value, f"{where}: per_partition")
            for column, value in per_partition.get("columns", {}).items()
        },
    )


def in_season(limits: Limits, seasons: Iterable[Mapping[str, str | None]], day: str) -> Limits:
    """The limits of one export on a day (ISO), with the rows of `seeds/limit_seasons.csv` for this
    export over them.

    A row counts from `first_day` to `last_day` (MM-DD, both included; a season may span the new
    year); of two rows for the same thing the later one counts. What a season lets through over all
    it lets through in each partition, unless a row names that too. Raises LimitError.
    """
    over_all: set[str] = set()
    within: set[str] = set()
    for row in seasons:
        first, last, today = str(row["first_day"]), str(row["last_day"]), day[5:]
        if not (first <= today <= last if first <= last else today >= first or today <= last):
            continue
        where = (
            "seeds/limit_seasons.csv"
            f" ({row['target']} {row['entity']} {row['action'] or row['column_name']})"
        )
        name = str(row["column_name"] or row["action"])
        text = str(row["limit_text"])
        value: int | str = int(text) if text.isdigit() else text
        limit = _limit(name, value, where) if row["column_name"] else _of_action(name, value, where)
        per_partition = row["scope"] == "partition"
        part = (
            ("columns_per_partition" if per_partition else "columns")
            if row["column_name"]
            else "per_partition"
            if per_partition
            else "per_run"
        )
        limits = replace(limits, **{part: {**getattr(limits, part), name: limit}})
        (within if per_partition else over_all).add(name)
    return _agreeing(limits, over_all - within)


def _agreeing(limits: Limits, names: set[str]) -> Limits:
    """The same, with no partition held to less than the share a season lets through over all of
    these actions and columns: else each would be held alone for what all of them may do.
    """
    for over_all, within, usual in (
        ("per_run", "per_partition", DEFAULT_PER_PARTITION),
        ("columns", "columns_per_partition", {}),
    ):
        for name in sorted(names & getattr(limits, over_all).keys()):
            wide: Limit = getattr(limits, over_all)[name]
            narrow = getattr(limits, within).get(name, usual.get(name))
            least = 1.0 if narrow and narrow.share is None else (narrow and narrow.share)
            if least is not None and (wide.share or 0.0) >= least:
                limits = replace(limits, **{within: {**getattr(limits, within), name: wide}})
    return limits


def _of_action(action: str, value: Any, where: str) -> Limit:
    if action not in (*LIMITED, DROP):
        raise LimitError(
            f"{where}: limits has no action {action!r}; known are {', '.join((*LIMITED, DROP))},"
            " columns, per_partition"
        )
    return _limit(action, value, where)


def _limit(action: str, value: Any, where: str) -> Limit:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return Limit(count=value)
    share, *most = str(value).split() or [""]
    if most[:1] == ["%"]:
        share, most = share + "%", most[1:]
    match = re.fullmatch(r"(\d+(?:\.\d+)?)%", share)
    count = most[2] if len(most) == 3 and most[:2] == ["at", "most"] else ""
    if match and float(match[1]) <= 100 and (count.isdigit() or not most):
        return Limit(int(count) if count else None, share=float(match[1]) / 100)
    raise LimitError(
        f"{where}: limits.{action} is {value!r}; write a count (300), a share of what the target"
        " holds (30%) or both (30% at most 300)"
    )


@dataclass(frozen=True)
class Allowed:
    """An explicit override, used by one plan only."""

    words: tuple[str, ...] = ()
    why: str = ""
    who: str = ""  # typed it: the user of the system

    @classmethod
    def parse(cls, text: str, why: str, who: str = "") -> Allowed:
        """Read `--allow "create,crm.users.suspend"`. Raises LimitError for unknown actions or
        when nobody says why.
        """
        words = tuple(sorted({word.strip() for word in text.split(",") if word.strip()}))
        for word in words:
            parts = word.split(".")
            if len(parts) > 3 or parts[-1] not in LIFTED:
                raise LimitError(
                    f"--allow {word!r}: write an action ({', '.join(LIFTED)}), or target.action, or"
                    " target.entity.action"
                )
        if words and not why.strip():
            raise LimitError(
                f'--allow {",".join(words)} needs a reason for the record: add --why "…"'
            )
        return cls(words, why.strip() if words else "", who if words else "")

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Allowed:
        """As a plan was made with it."""
        return cls(tuple(document["words"]), document["why"], document.get("who", ""))

    def lifts(self, target: str, entity: str, action: str) -> str | None:
        """The word that lifts this limit, if one does."""
        return next(
            (
                w
                for w in self.words
                if w in (action, f"{target}.{action}", f"{target}.{entity}.{action}")
            ),
            None,
        )


def holds(
    target: str, entity: str, limits: Limits, groups: list[Group], allowed: Allowed
) -> list[Hold]:
    """Which groups are over their limit. Partitions are judged first: what one is held for
    does not count against the whole, so one broken partition does not stop the others.
    """
    found: list[Hold] = []
    partitions = sorted(
        (one for one in groups if one.partition is not None),
        key=lambda one: (LIMITED.index(one.action), str(one.partition)),
    )
    for group in partitions:
        bound = _within(limits, group)
        found += _judged(target, entity, group, bound, group.planned, allowed)
    held = {(one.action, one.partition) for one in found}
    for group in sorted(
        (one for one in groups if one.partition is None), key=lambda one: LIMITED.index(one.action)
    ):
        stopped = sum(
            one.planned
            for one in partitions
            if (one.action, one.partition) in held and one.action == group.action
        )
        bound = _over_all(limits, group)
        found += _judged(target, entity, group, bound, group.planned - stopped, allowed)
    return found


Bound = tuple[int, Limit]  # how many may flow, and the limit that says so


def _over_all(limits: Limits, group: Group) -> Bound:
    """What of an action may flow over all; of a move, that nobody limited, what may of both its
    sides.
    """
    bounds = [
        _bound(limits.per_run.get(action, DEFAULT), group)
        for action in _sides(group.action, limits.per_run)
    ]
    return min(bounds, key=itemgetter(0))


def _within(limits: Limits, group: Group) -> Bound | None:
    """What may flow within a partition; None where that is not limited."""
    named = {**DEFAULT_PER_PARTITION, **limits.per_partition}
    bounds = [
        _bound(named[action], group) for action in _sides(group.action, named) if action in named
    ]
    return min(bounds, default=None, key=itemgetter(0))


def _sides(action: str, limits: Mapping[str, Limit]) -> tuple[str, ...]:
    return (CREATE, REMOVE) if action == MOVE and MOVE not in limits else (action,)


def _bound(limit: Limit, group: Group) -> Bound:
    return limit.allowed(group.observed, AT_LEAST[group.action]), limit


def column_holds(
    target: str, entity: str, limits: Mapping[str, Limit], groups: Iterable[Group], allowed: Allowed
) -> list[Hold]:
    """Which columns change in more rows than their limit lets through; an override of the action
    that carries them lifts it.
    """
    found = []
    for group in groups:
        limit = limits.get(str(group.column))
        if limit is None or allowed.lifts(target, entity, UPDATE):
            continue
        most = limit.allowed(group.observed, COLUMN_AT_LEAST)
        if group.planned > most:
            found.append(
                Hold(
                    group.action,
                    _why(target, entity, group, limit, most),
                    group.partition,
                    group.column,
                )
            )
    return found


def _judged(  # noqa: PLR0917
    target: str, entity: str, group: Group, bound: Bound | None, planned: int, allowed: Allowed
) -> list[Hold]:
    lifted = allowed.lifts(target, entity, group.action) or (
        group.action == MOVE and all(allowed.lifts(target, entity, one) for one in (CREATE, REMOVE))
    )
    if bound is None or lifted:
        return []
    most, limit = bound
    if planned <= most:
        return []
    return [
        Hold(
            group.action,
            _why(target, entity, replace(group, planned=planned), limit, most),
            group.partition,
        )
    ]


def drop_hold(
    target: str, entity: str, limits: Limits, *, before: int, after: int, allowed: Allowed
) -> Reason | None:
    """Why a file waits whose rows fall too far below what was delivered last; None when it may
    go.
    """
    limit = limits.per_run.get(DROP, DEFAULT_DROP)
    lost = before - after
    if lost <= limit.allowed(before) or allowed.lifts(target, entity, DROP):
        return None
    values = {"lost": lost, "before": before, "share": _share(lost, before), "limit": str(limit)}
    return Reason("hold_drop", {"target": target, "entity": entity, **values})


def growth_hold(
    target: str, entity: str, limits: Limits, *, before: int, after: int, allowed: Allowed
) -> Reason | None:
    """Why a file waits that has so many rows more than the one delivered last: everybody twice, or
    subjects of somebody else. None when it may go, as the first one may; `create` limits it.
    """
    limit = limits.per_run.get(CREATE, DEFAULT_GROWTH)
    new = after - before
    most = limit.allowed(before, GROWTH_AT_LEAST)
    if not before or new <= most or allowed.lifts(target, entity, CREATE):
        return None
    values = {"new": new, "before": before, "share": _share(new, before), "limit": str(limit)}
    return Reason("hold_grown", {"target": target, "entity": entity, **values})


def left_out_hold(
    target: str, entity: str, limits: Limits, *, sent: int, without: Counter[str], allowed: Allowed
) -> Reason | None:
    """Why a file waits that would go without too many of the rows it should have; None when it may
    go. `without`: why a row is left out -> how many are. With none at all it never goes by itself.
    """
    limit = limits.per_run.get(DROP, DEFAULT_DROP)
    left = without.total()
    total = sent + left
    few = left <= limit.allowed(total) and sent > 0
    if not left or few or allowed.lifts(target, entity, DROP):
        return None
    why = ", ".join(f"{count:,} {words}" for words, count in without.most_common())
    values = {"sent": sent, "total": total, "share": _share(left, total), "limit": str(limit)}
    return Reason("hold_left_out", {"target": target, "entity": entity, "why": why, **values})


def _why(target: str, entity: str, group: Group, limit: Limit, most: int) -> Reason:
    share = f"{_share(group.planned, group.observed)}, " if group.observed else ""
    said = words()
    return Reason(
        "hold_limit_subjects" if group.subjects else "hold_limit",
        {
            **({"subjects": said.subjects} if group.subjects else {}),
            "target": target,
            "entity": entity,
            "where": f" in {said.partition} {group.partition}" if group.partition else "",
            "planned": group.planned,
            "what": f"changes of {group.column}" if group.column else f"{group.action}s",
            "observed": group.observed,
            "share": share,
            "bound": f"limit {limit}" + (f" = {most:,}" if limit.share is not None else ""),
            "action": group.action,
        },
    )


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"
