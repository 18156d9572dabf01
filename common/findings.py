"""Findings: something a person should know, with who can fix it.

In: `Finding` values from any room: a code of the catalogue (`problems.csv`) and the values of this
case. Out: `runs/<run_id>/findings.jsonl`, which the report step loads into the ledger; level,
sentence and action are made of it where a person reads. A finding carries keys (student number,
staff id, school number), never a name or an address.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from common import disk_reserve, documents, problems
from common.commit import git_commit
from common.printable import printable
from common.runs import LOOKED_OVER, Run

PARTITION = "school_number"  # the column of a finding that says which partition it is of


@dataclass(frozen=True)
class Finding:
    """One thing to know. `values` stand in the places of its sentence and its action, where its own
    columns (source, feed, file …) do not. `owner` is for what a source or a target owns itself.
    Raises UnknownProblemError for a code that is none of a finding, or a value that is missing.
    """

    code: str
    values: Mapping[str, str | int] = field(default_factory=dict)
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

    def __post_init__(self) -> None:
        known = problems.problem(self.code)
        if known.level == "reason":
            raise problems.UnknownProblemError(f"{self.code} is a reason, not a finding")
        for name in TEXTS:
            object.__setattr__(self, name, printable(str(getattr(self, name))))
        around = str(self.values.get(problems.WITHIN, ""))
        places = known.places() | (problems.problem(around).places() if around else frozenset())
        own = {
            name: getattr(self, name)
            for name in sorted(places & set(OWN))
            if name not in self.values
        }
        object.__setattr__(self, "values", problems.shown({**own, **self.values}))
        object.__setattr__(self, "owner", self.owner or known.owner)
        _ = self.message, self.action

    @property
    def level(self) -> str:
        """How bad it is: `critical`, `warning` or `info`."""
        return problems.problem(self.code).level

    @property
    def message(self) -> str:
        """The sentence a person reads."""
        return problems.sentence(self.code, self.values)

    @property
    def action(self) -> str:
        """What to do about it, '' where nothing is."""
        return problems.action(self.code, self.values)


COLUMNS = tuple(column.name for column in fields(Finding))
TEXTS = ("source", "feed", "target", "entity", "school_number", "key", "file", "column", "owner")
OWN = ("source", "feed", "target", "entity", "school_number", "key", "file", "line", "column")


def record(run: Run, findings: Iterable[Finding]) -> None:
    """Append findings to the run, each with the moment it was found (UTC)."""
    found_at = datetime.now(UTC).isoformat()
    said = [
        json.dumps({"found_at": found_at, **asdict(finding)}, ensure_ascii=False)
        for finding in findings
    ]
    if not said:
        return
    path = run.folder / "findings.jsonl"
    if path.is_dir():
        documents.set_aside(path)
    whole = path.read_bytes().rfind(b"\n") + 1 if path.is_file() else 0

    def write() -> None:
        with path.open("ab") as file:
            file.truncate(whole)  # what a full disk left of a first try, or a power cut of the last
            file.write(("\n".join(said) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())

    disk_reserve.or_dropped(write)


def read(run: Run) -> list[dict[str, Any]]:
    """All findings of a run with what they say (level, message, action), in the order they were
    found; a last line that a power cut has torn is left out, and so is a damaged one.
    """
    return [_said(one) for one in lines(run)]


def lines(run: Run, *, damaged: bool = False) -> list[dict[str, Any]]:
    """The same, as codes. What another Homeroom wrote that this one cannot say is passed over: of
    its own alone it knows that such a line is damaged.
    """

    def fits(found: dict[str, Any]) -> bool:
        return _is_one(found) or run.facts()["git_commit"] != git_commit()

    path = run.folder / "findings.jsonl"
    return [one for one in documents.lines(path, fits, damaged=damaged) if _is_one(one)]


def look_over() -> None:
    """Read the findings of the runs that people look back on: fewer than a run's summary counted
    are set aside as damaged, and named, though nobody asks them tonight.
    """
    for run in Run.finished()[-LOOKED_OVER:]:
        counted = run.read("summary.json", {"findings": {}})["findings"].values()
        path = run.folder / "findings.jsonl"
        if documents.exists(path) and all(isinstance(one, int) for one in counted):
            there = path.read_bytes().count(b"\n") if path.is_file() else 0
            lines(run, damaged=there < sum(counted))


def notice(run: Run) -> list[Finding]:
    """Name every document that was set aside since a night last looked; returns what was said."""
    said = [
        Finding("document_damaged", {"path": str(inside), "aside": str(aside)})
        for inside, aside in documents.untold()
    ]
    record(run, said)
    documents.told()
    return said


def _is_one(found: dict[str, Any]) -> bool:
    """Whether a line is a finding whose sentence can be made."""
    try:
        return {*COLUMNS} <= set(found) and bool(_said(found))
    except (problems.UnknownProblemError, AttributeError, TypeError, KeyError):
        return False


def _said(finding: dict[str, Any]) -> dict[str, Any]:
    code, values = finding["code"], finding["values"]
    return {
        **finding,
        "level": problems.problem(code).level,
        "message": problems.sentence(code, values),
        "action": problems.action(code, values),
    }
