"""The nights behind tonight: what each took and moved, and what is unusual beside them.

In: `summary.json` of the runs. Out: one flat dict of numbers per night, and the measures of tonight
that stand far from their own past.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any

from common import problems
from common.runs import Run
from common.words import words

NIGHTS = 60  # how far back trends and baselines look
FEWEST = 7  # nights before anything can be called usual
# robust z-score (0.6745 · distance / median absolute deviation) from which a number is far from its
# past
FAR = 3.5
# Small counts come and go: of these, ten more than usual is the least that counts.
QUIET = ("rejected", "applied", "held", "failed", "write_calls", "critical", "warning")
LABELS = {
    "seconds": "seconds for the whole night",
    "rows": "rows landed",
    "rejected": "rows rejected",
    "applied": "changes applied",
    "held": "changes held",
    "failed": "changes failed",
    "write_calls": "write calls",
    "critical": "critical findings",
    "warning": "warnings",
}


@dataclass(frozen=True)
class Unusual:
    """One measure far from its own past: what tonight had and what the nights before it usually
    have.
    """

    measure: str
    tonight: float
    usual: float

    @property
    def sentence(self) -> str:
        """What to read: `seconds of build: 310 tonight, usually about 42`."""
        return (
            f"{LABELS.get(self.measure, self.measure)}: {self.tonight:,.0f} tonight, usually about"
            f" {self.usual:,.0f}"
        )


def nights(limit: int = NIGHTS, before: str = "") -> list[dict[str, Any]]:
    """Summaries of the finished nights, oldest first; with `before`, only those of an earlier run
    id.
    """
    found: list[dict[str, Any]] = []
    for run in reversed(Run.finished()):
        summary = None if before and run.run_id >= before else run.read("summary.json")
        if summary and summary.get("verb") == "nightly":
            found.append(summary)
        if len(found) == limit:
            break
    return found[::-1]


def measures(summary: dict[str, Any]) -> dict[str, float]:
    """The numbers of one night worth comparing: rows, changes, calls, findings, and seconds per
    step.
    """
    targets = summary["targets"]
    found = summary["findings"]
    numbers: dict[str, float] = {
        "seconds": sum(step["seconds"] for step in summary["steps"]),
        "rows": sum(feed["landed"] or 0 for feed in summary["feeds"]),
        "rejected": sum(feed["rejected"] or 0 for feed in summary["feeds"]),
        "applied": sum(target["applied"] for target in targets),
        "held": sum(target["held"] for target in targets),
        "failed": sum(target["failed"] + target["skipped"] for target in targets),
        "write_calls": sum(calls["write_calls"] for calls in summary["calls"].values()),
        "critical": found.get("critical", 0),
        "warning": found.get("warning", 0),
    }
    return numbers | {f"seconds of {step['name']}": step["seconds"] for step in summary["steps"]}


READ_BACK = ("equal", "waiting", "different")  # rows, and they add up


def read_back(summary: dict[str, Any]) -> dict[str, int] | None:
    """How many rows of all targets were read back equal, how many wait, how many differ; None when
    nothing was verified.
    """
    read = [target for target in summary["targets"] if target.get("equal") is not None]
    return {name: sum(row[name] for row in read) for name in READ_BACK} if read else None


def said_back(summary: dict[str, Any]) -> str:
    """The same as a sentence without its full stop, with why the waiting ones wait."""
    three = read_back(summary)
    if three is None:
        return "nothing was read back"
    why: Counter[str] = Counter()
    for target in summary["targets"]:
        why.update(target.get("waiting_for") or {})
    waits = f" ({problems.waiting(why)})" if why else ""
    return (
        f"{three['equal']:,} rows equal their export, {three['waiting']:,} wait{waits},"
        f" {three['different']:,} differ"
    )


# What is told first, and of which actions: an account open that should be closed, one closed or
# missing that should be open, then whatever else is behind.
HARMS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("can still sign in to {target} and should not", ("suspend",)),
    ("cannot sign in to {target}", ("create", "undelete", "restore")),
)
BEHIND = "{are} not yet as the record says in {target} {entity}"


def harm(summary: dict[str, Any]) -> list[str]:
    """Whom the night left out, counted in subjects, worst first, most first: `71 people cannot sign
    in to crm (21 over a limit)`. Nothing is said of a target that could not be read.
    """
    told: list[tuple[int, int, str]] = []
    for row in summary["targets"]:
        of: dict[int, Counter[str]] = defaultdict(Counter)
        for action, why in (row.get("subjects") or {}).items():
            bad = next(
                (i for i, (_, some) in enumerate(HARMS) if row.get("accounts") and action in some),
                len(HARMS),
            )
            of[bad].update(why)
        for bad, why in of.items():
            if not (many := sum(why.values())):
                continue
            sentence = HARMS[bad][0] if bad < len(HARMS) else BEHIND
            are = "is" if many == 1 else "are"
            said = sentence.format(target=row["target"], entity=row["entity"], are=are)
            waits = problems.waiting({code: count for code, count in why.items() if code})
            who = words().subject if many == 1 else words().subjects
            told.append((bad, -many, f"{many:,} {who} {said}" + (f" ({waits})" if waits else "")))
    return [sentence for _, _, sentence in sorted(told)]


def seconds_left(facts: dict[str, Any], before: dict[str, Any]) -> float | None:
    """How long the run that `facts` are of goes on, by what each step took the night `before`; None
    where that night does not know the one under way.
    """
    known = {step["name"]: step["seconds"] for step in before.get("steps", ())}
    running = facts.get("running")
    if running not in known:
        return None
    done = {step["name"]: step["seconds"] for step in facts["steps"]}
    began = datetime.fromisoformat(facts["started_at"])
    here = (datetime.now(UTC) - began).total_seconds() - sum(done.values())
    return sum(
        max(0.0, seconds - (here if name == running else 0.0))
        for name, seconds in known.items()
        if name not in done
    )


def equal_share(summary: dict[str, Any]) -> float | None:
    """Share of all rows that the targets were read back to hold as desired, what waits counted as
    not so; None when nothing was verified.
    """
    three = read_back(summary)
    if three is None:
        return None
    return three["equal"] / total if (total := sum(three.values())) else 1.0


def unusual(tonight: dict[str, Any], past: list[dict[str, Any]]) -> list[Unusual]:
    """The measures of tonight that are far from their own past, in the order of `measures`; none
    before FEWEST nights.
    """
    behind = [measures(summary) for summary in past]
    found = []
    for measure, number in measures(tonight).items():
        seen = [numbers[measure] for numbers in behind if measure in numbers]
        if len(seen) < FEWEST:
            continue
        usual = median(seen)
        spread = max(median(abs(one - usual) for one in seen), abs(usual) * 0.05, 1.0)
        least = 10 if measure in QUIET or measure.startswith("seconds") else 1
        if abs(number - usual) >= least and 0.6745 * abs(number - usual) / spread > FAR:
            found.append(Unusual(measure, number, usual))
    return found
