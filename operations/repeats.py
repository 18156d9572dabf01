"""Repeats: what a night says again as the three nights before did, folded into one line with the
night it began.

In: the findings of a run and of those before it. Out: what is new, and what stands, by its code.
What is critical is never folded. Two nights say the same where code, source, feed, target,
partition, key and column are the same; how old something is, or in which line it stands, changes
every night.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from common import findings
from common.runs import BY_NIGHT, Run

NIGHTS = 3  # what was said on so many nights before is known
LOOKED_BACK = 60  # nights; what is older stands since then, or longer
SAME = ("code", "source", "feed", "target", "entity", findings.PARTITION, "key", "column_name")


@dataclass(frozen=True)
class Repeat:
    """What is said of one kind, as on the nights before."""

    code: str
    since: str  # the first night that said all of it
    level: str
    count: int
    message: str  # of the first

    @property
    def sentence(self) -> str:
        """`feed_stale: 4 findings as before, since the night of 2026-10-05; the first: …`."""
        many = "1 finding" if self.count == 1 else f"{self.count:,} findings"
        first = "" if self.count == 1 else "the first: "
        return (
            f"{self.code}: {many} as before, since the night of {self.since}; {first}{self.message}"
        )


def apart(
    run: Run, found: Iterable[Mapping[str, Any]]
) -> tuple[list[Mapping[str, Any]], list[Repeat]]:
    """(what is new, or critical, or not said on every one of the last nights; what stands)."""
    every = list(found)
    stand = {_same(one) for one in every if one["level"] != "critical"}
    since: dict[tuple[Any, ...], str] = {}
    nights = [
        one for one in Run.finished() if one.facts()["verb"] in BY_NIGHT and one.run_id < run.run_id
    ]
    said: dict[tuple[Any, ...], int] = {}
    for night in nights[: -LOOKED_BACK - 1 : -1]:
        stand &= _said(night)
        if not stand:
            break
        for one in stand:
            since[one] = night.facts()["as_of"]
            said[one] = said.get(one, 0) + 1
    known = {one for one, times in said.items() if times >= NIGHTS}
    fresh = [one for one in every if _same(one) not in known or one["level"] == "critical"]
    kinds: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for one in every:
        if _same(one) in known and one["level"] != "critical":
            kinds.setdefault((one["code"], since[_same(one)]), []).append(one)
    return fresh, [
        Repeat(code, night, members[0]["level"], len(members), members[0]["message"])
        for (code, night), members in sorted(kinds.items())
    ]


@lru_cache(maxsize=LOOKED_BACK + 1)  # terminal, page and each message ask of the same nights
def _said(night: Run) -> frozenset[tuple[Any, ...]]:
    """What a night that is closed said."""
    return frozenset(_same(one) for one in findings.lines(night))


def _same(finding: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(finding.get(name) or "" for name in SAME)
