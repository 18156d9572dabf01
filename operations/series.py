"""Series: what the runs of a part came to, a line for each, in place of a night's page for each.

In: the summaries of runs of parts. Out: `var/series/<part>.jsonl`; what a page and `make status`
show of the last day; and what of a run is news, for alerts: a finding is told when it comes and
when it goes, not every five minutes.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from common import documents, findings, paths
from common.runs import Run

KEPT = 12  # runs of a part that wrote nothing, the newest, whose documents stay
LINES = 4_000  # of a series: two weeks of every five minutes
A_LINE = documents.has(run_id=str, started_at=str, finished_at=str, exit_code=int, applied=int)
RECENT = timedelta(hours=24)
STATES = {0: "done", 1: "error", 2: "held", 3: "partly"}


@dataclass(frozen=True)
class Series:
    """What the runs of a part did in the last day, for a page."""

    name: str
    runs: int
    states: Mapping[str, int]
    applied: int
    wrote: int
    seconds: float
    last: Mapping[str, Any]

    @property
    def has_page(self) -> bool:
        """Whether the page of its newest run that had news is there."""
        return (paths.pages() / f"latest-{self.name}.html").is_file()

    @property
    def sentence(self) -> str:
        """`288 runs in a day, 3 of them wrote 41 changes; the last done at 09:35, 4 s`."""
        odd = ", ".join(f"{count:,} {state}" for state, count in self.states.items() if count)
        many = "1 run" if self.runs == 1 else f"{self.runs:,} runs"
        return (
            f"{many} in a day ({odd or 'none'}), {self.wrote:,} of them wrote {self.applied:,}"
            f" changes; about {self.seconds:.0f} s each"
        )


def every() -> list[Series]:
    """Every part that ever ran, by name."""
    found = []
    for path in sorted(_folder().glob("*.jsonl")):
        lines = documents.lines(path, A_LINE)
        if not lines:
            continue
        since = (datetime.now(UTC) - RECENT).isoformat()
        recent = [line for line in lines if line["started_at"] >= since] or lines[-1:]
        found.append(
            Series(
                path.stem,
                len(recent),
                {
                    state: sum(line["exit_code"] == code for line in recent)
                    for code, state in STATES.items()
                },
                sum(line["applied"] for line in recent),
                sum(bool(line["applied"]) for line in recent),
                median(line.get("seconds", 0.0) for line in recent),
                lines[-1],
            )
        )
    return found


def note(run: Run, summary: Mapping[str, Any]) -> bool:
    """Put a run into the series of its part; whether it said anything the run before did not: it
    wrote, held, failed or found something else.
    """
    path = _folder() / f"{run.part}.jsonl"
    lines = [line for line in documents.lines(path, A_LINE) if line["run_id"] != run.run_id]
    began = datetime.fromisoformat(summary["started_at"])
    ended = datetime.fromisoformat(summary["finished_at"])
    targets = summary["targets"]
    line = {
        "run_id": run.run_id,
        "started_at": summary["started_at"],
        "finished_at": summary["finished_at"],
        "exit_code": summary["exit_code"],
        "seconds": round((ended - began).total_seconds(), 1),
        "applied": sum(one["applied"] for one in targets),
        "held": sum(one["held"] for one in targets),
        "failed": sum(one["failed"] + one["skipped"] for one in targets),
        "said": sorted({_said(one) for one in findings.read(run) if one["level"] != "info"}),
    }
    text = "".join(json.dumps(one) + "\n" for one in [*lines, line][-LINES:])
    documents.write_text(path, text)
    before = lines[-1] if lines else {"exit_code": 0, "held": 0, "said": []}
    return bool(line["applied"] or line["failed"]) or any(
        line[name] != before.get(name) for name in ("exit_code", "held", "said")
    )


def news(run: Run, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of some findings the run before of the same part did not have: said once, and not
    every five minutes.
    """
    lines = documents.lines(_folder() / f"{run.part}.jsonl", A_LINE)
    before = [line for line in lines if line["run_id"] < run.run_id]
    known = set(before[-1].get("said", ())) if before else set()
    return [one for one in found if _said(one) not in known]


def _said(finding: Mapping[str, Any]) -> str:
    about = ("code", "source", "feed", "target", "entity", findings.PARTITION, "key")
    return "|".join(str(finding.get(name) or "") for name in about)


def forget(name: str) -> None:
    """Let the documents of older runs of a part go that wrote nothing: their lines stay."""
    told = {
        str(one.get("run_id"))
        for one in documents.read(paths.incidents(), [])
        if isinstance(one, dict)
    }
    quiet = [
        one for one in Run.finished() if one.part == name and not (one.folder / "journal").is_dir()
    ]
    for one in quiet[:-KEPT]:
        if one.run_id not in told and re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]+", one.run_id):
            shutil.rmtree(one.folder, ignore_errors=True)
            (paths.pages() / f"{one.run_id}.html").unlink(missing_ok=True)


def _folder() -> Path:
    folder = paths.var() / "series"
    folder.mkdir(exist_ok=True, mode=0o700)
    return folder
