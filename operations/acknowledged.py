"""Acknowledged: findings somebody has seen and answers for, until a day.

In: `make acknowledge`: a code, a day, a reason, narrowed to a target, a partition, a finding's key
or a part of it. Out: one intervention, with who typed it; the page and `make status` set what it
covers apart, and no message tells of it but where it is critical. Without a code, what is
acknowledged now; with a day that is not to come, an end to it.

Alone: `python -m operations acknowledge feed_stale --until 2027-09-07 --why "…"`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from common import findings, settings
from common.runs import Run
from operations import interventions
from operations.interventions import InterventionError

ACKNOWLEDGED = "acknowledged"  # as the intervention says it


@dataclass(frozen=True)
class Which:
    """What is acknowledged: findings of a code; '' stands for any."""

    code: str
    target: str = ""
    partition: str = ""
    key: str = ""

    def covers(self, finding: Mapping[str, Any]) -> bool:
        """Is this finding one of them?"""
        key = finding["key"] or ""
        return (
            finding["code"] == self.code
            and self.target in ("", finding["target"])
            and self.partition in ("", finding[findings.PARTITION])
            and self.key in ("", key, *key.split("|"))
        )

    def __str__(self) -> str:
        about = [text for text in (self.target, self.partition, self.key) if text]
        return self.code + (f" of {', '.join(about)}" if about else "")


@dataclass(frozen=True)
class Acknowledgement:
    """One in force: of what, until when (UTC), why and by whom."""

    which: Which
    until: datetime
    why: str
    who: str

    @property
    def sentence(self) -> str:
        """`acknowledged until 2027-09-07 by operator: the office is closed`."""
        until = self.until.astimezone(settings.zone())
        return f"acknowledged until {until:%Y-%m-%d} by {self.who}: {self.why}"


def in_force(now: datetime | None = None) -> list[Acknowledgement]:
    """Those that have not ended; of two about the same, the later said."""
    said: dict[Which, Acknowledgement] = {}
    for line in interventions.lines():
        if line["what"] == ACKNOWLEDGED and (which := _which(line["details"])):
            until = datetime.fromisoformat(line["until"])
            said[which] = Acknowledgement(which, until, line["why"], line["who"])
    return [one for one in said.values() if one.until > (now or datetime.now(UTC))]


def apart(
    found: Iterable[dict[str, Any]], given: list[Acknowledgement] | None = None
) -> tuple[list[dict[str, Any]], list[tuple[dict[str, Any], Acknowledgement]]]:
    """(the findings nobody has acknowledged, those somebody has, each with by whom)."""
    given = in_force() if given is None else given
    open_, seen = [], []
    for finding in found:
        by = next((one for one in given if one.which.covers(finding)), None)
        if by is None:
            open_.append(finding)
        else:
            seen.append((finding, by))
    return open_, seen


def acknowledge(which: Which, until: str, why: str) -> str:
    """Record it; returns what to say. Raises InterventionError for what the latest run did not
    find, a day nobody can read, or no reason.
    """
    before = next((one for one in in_force() if one.which == which), None)
    moment = interventions.moment(until)
    if moment <= datetime.now(UTC):
        if before is None:
            raise InterventionError(f"{until} is past, and {which} is not acknowledged")
        _record(which, moment, why.strip() or "taken back")
        return f"{which} is not acknowledged any more"
    if not why.strip():
        raise InterventionError('an acknowledgement is recorded with its reason: add WHY="…"')
    latest = Run.latest_night() or Run.latest()
    found = findings.read(latest) if latest else []
    covered = [finding for finding in found if which.covers(finding)]
    if not covered:
        raise InterventionError(_not_found(which, found))
    _record(which, moment, why.strip())
    made = next(one for one in in_force() if one.which == which)
    critical = any(finding["level"] == "critical" for finding in covered)
    return (
        f"{len(covered):,} finding{'' if len(covered) == 1 else 's'}, {which}: {made.sentence}"
        + ("; what is critical is told all the same" if critical else "")
    )


def _record(which: Which, until: datetime, why: str) -> None:
    details = json.dumps(asdict(which), ensure_ascii=False)
    interventions.record(ACKNOWLEDGED, why, until, details)


def _which(details: str) -> Which | None:
    try:
        return Which(**json.loads(details))
    except (TypeError, ValueError):  # a line somebody wrote by hand
        return None


def _not_found(which: Which, found: list[dict[str, Any]]) -> str:
    codes = sorted({finding["code"] for finding in found})
    if which.code in codes:
        return f"the latest run found {which.code}, but none of it is {which}; see the page"
    near = difflib.get_close_matches(which.code, codes, n=1)
    hint = f"did you mean {near[0]}?" if near else f"it found {', '.join(codes) or 'nothing'}"
    return f"the latest run found no {which.code!r}: {hint}"
