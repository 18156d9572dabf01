"""Findings: something a person should know, in a sentence, with who can fix it.

In: `Finding` values from any room. Out: `runs/<run_id>/findings.jsonl`, which the report step loads
into `audit.findings`. A finding carries keys (student number, staff id, school number), never a
name or an address.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from common import disk_reserve
from common.runs import Run

LEVELS = ("info", "warning", "critical")


@dataclass(frozen=True)
class Finding:
    """One thing to know. `kind` is a snake_case name people can filter by; `message` is the
    sentence they read.
    """

    level: str
    kind: str
    message: str
    source: str = ""
    feed: str = ""
    target: str = ""
    entity: str = ""
    school_number: str = ""
    key: str = ""
    file: str = ""
    line: int | None = None
    column: str = ""
    owner: str = ""
    action: str = ""

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise ValueError(
                f"finding {self.kind}: level {self.level!r} is none of {', '.join(LEVELS)}"
            )


def record(run: Run, findings: Iterable[Finding]) -> None:
    """Append findings to the run, each with the moment it was found (UTC)."""
    found_at = datetime.now(UTC).isoformat()
    lines = [
        json.dumps({"found_at": found_at, **asdict(finding)}, ensure_ascii=False)
        for finding in findings
    ]
    if not lines:
        return
    path = run.folder / "findings.jsonl"
    whole = path.read_bytes().rfind(b"\n") + 1 if path.is_file() else 0

    def write() -> None:
        with path.open("ab") as file:
            file.truncate(whole)  # what a full disk left of a first try, or a power cut of the last
            file.write(("\n".join(lines) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())

    disk_reserve.or_dropped(write)


def read(run: Run) -> list[dict]:
    """All findings of a run, in the order they were found; a last line that a power cut has torn is
    left out.
    """
    path = run.folder / "findings.jsonl"
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
