"""Interventions: what people do to the nights, and who, when and why. A pause is one of them.

In: `make pause`, `make resume`, `make acknowledge`, `make restore`, `make retention`. Out: one line
each in `interventions.jsonl`, written also while a night holds the warehouse; `load` brings the
lines into `audit.interventions`, where people ask.

Alone: `python -m operations pause --until 2027-09-07 --why "summer"`, `python -m operations
resume`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import duckdb

from common import access, documents, paths, settings

FIELDS = ("happened_at", "what", "who", "why", "until", "details")


class InterventionError(Exception):
    """What was asked makes no sense; the message says what to write."""


@dataclass(frozen=True)
class Pause:
    """No night begins before `until` (UTC); `why` is what whoever paused said."""

    until: datetime
    why: str
    who: str

    @property
    def sentence(self) -> str:
        """What a night that does not run says."""
        return (
            f"paused until {self.until.astimezone(settings.zone()):%Y-%m-%d %H:%M}: {self.why} (by"
            f' {self.who}); "make resume" ends the pause'
        )


def path() -> Path:
    """Where the lines stand."""
    return paths.var() / "interventions.jsonl"


def record(what: str, why: str = "", until: datetime | None = None, details: str = "") -> None:
    """Append one line, durably."""
    line = {
        "happened_at": datetime.now(UTC).isoformat(),
        "what": what,
        "who": access.typed_by(),
        "why": why,
        "until": until.isoformat() if until else None,
        "details": details,
    }
    if path().is_dir():
        documents.set_aside(path())
    with path().open("ab+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # two people at once: each line whole
        file.seek(0)
        content = file.read()
        file.truncate(
            content.rfind(b"\n") + 1
        )  # a last line a kill or a full disk has torn would spoil this one
        file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def lines() -> list[dict]:
    """Every intervention, oldest first; a line torn or damaged is left out."""
    return documents.lines(path(), _is_one, may_be_torn=False)


def _is_one(line: dict) -> bool:
    until = line.get("until")
    try:
        when = [datetime.fromisoformat(text) for text in (line["happened_at"], until) if text]
    except (KeyError, TypeError, ValueError):
        return False
    return len(when) > (line.get("what") in ("paused", "acknowledged")) and set(FIELDS) <= set(line)


def load(connection: duckdb.DuckDBPyConnection) -> int:
    """Bring what is not in `audit.interventions` yet; returns how many lines that were. A file that
    is gone or was cut has them again from there.
    """
    rows = [
        [
            hashlib.sha256(json.dumps(line, sort_keys=True).encode()).hexdigest()[:16],
            *(line[field] for field in FIELDS),
        ]
        for line in lines()
    ]
    known = connection.execute(
        "select intervention_id, strftime(happened_at at time zone 'UTC',"
        " '%Y-%m-%dT%H:%M:%S.%f+00:00'), what, who, why, strftime(until at time zone 'UTC',"
        " '%Y-%m-%dT%H:%M:%S+00:00'), details from ledger.audit.interventions"
    ).fetchall()
    here, there = {_key(row) for row in rows}, {_key(row) for row in known}
    fresh = [row for row in rows if _key(row) not in there]
    lost = [row for row in known if _key(row) not in here]
    if lost:
        back = [dict(zip(FIELDS, one[1:], strict=True)) for one in lost]
        every = sorted([*lines(), *back], key=lambda line: line["happened_at"])
        documents.write_text(
            path(), "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in every)
        )
    if fresh:
        connection.executemany(
            "insert into ledger.audit.interventions values (?, ?, ?, ?, ?, ?, ?)", fresh
        )
    return len(fresh)


def _key(row: Sequence[Any]) -> tuple:
    """When, what and who; the rest of a line may be spelled another way when it comes back."""
    return (datetime.fromisoformat(row[1]), row[2], row[3])


def pause(until: str, why: str) -> Pause:
    """No night begins until then: a date (that day's night runs again) or a date and time of the
    district. Raises Wrong.
    """
    if not why.strip():
        raise InterventionError('a pause is recorded with its reason: add WHY="…"')
    begins = moment(until)
    if begins <= datetime.now(UTC):
        raise InterventionError(
            f"{until} is past; a pause needs a day to come, e.g. UNTIL=2027-09-07"
        )
    record("paused", why.strip(), begins)
    found = current()
    if found is None:
        raise InterventionError("the pause was not recorded")
    return found


def resume() -> bool:
    """End the pause; False when there was none."""
    if current() is None:
        return False
    record("resumed")
    return True


def current(now: datetime | None = None) -> Pause | None:
    """The pause in force, if any."""
    said = [line for line in lines() if line["what"] in ("paused", "resumed")]
    if not said or said[-1]["what"] == "resumed":
        return None
    until = datetime.fromisoformat(said[-1]["until"])
    return (
        Pause(until, said[-1]["why"], said[-1]["who"])
        if (now or datetime.now(UTC)) < until
        else None
    )


def moment(text: str) -> datetime:
    """A date (its first moment) or a date and time of the district, as UTC. Raises
    InterventionError.
    """
    try:
        if len(text) == len("2027-09-07"):
            return datetime.combine(date.fromisoformat(text), time(), settings.zone()).astimezone(
                UTC
            )
        given = datetime.fromisoformat(text)
    except ValueError:
        what = f"{text!r} is no date; write" if text else "say until when:"
        raise InterventionError(f'{what} UNTIL=2027-09-07 or UNTIL="2027-09-07 18:00"') from None
    return (given if given.tzinfo else given.replace(tzinfo=settings.zone())).astimezone(UTC)
