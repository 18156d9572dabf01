"""What a reply of a target means for a change: what HTTP says by itself. A vendor's own error table
stands in its `client.py` and comes before.

In: status code, reason or error code, and what kind of call it answered. Out: a `Verdict`.
    applied  done, or already as wanted
    failed   refused for good
    retry    certainly not done, may be tried again
    unknown  may have been done
    look     something of that name exists: the adapter must look whether it is ours
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from common import problems
from common.clock import Clock
from common.problems import Reason
from reverse_etl.model import Change, Outcome


@dataclass(frozen=True)
class Call:
    """What kind of call a reply answers."""

    repeatable: bool  # doing it twice is the same as once, so a lost reply needs no look-up
    removing: bool = False  # what is not there is as wanted
    young: bool = False  # about an object made minutes ago: replicas may not know it yet
    exchanging: bool = False  # it takes one thing and gives another at once


@dataclass(frozen=True)
class Refusal:
    """A row of a vendor's table (`targets/<kind>/refusals.csv`): what tells a refusal, and the word
    it is called by here, of which `refused_<word>` in common/problems.csv has the sentence.

    A status of 0 is any; `code` is a pattern of the whole code, `text` of a part of what is said,
    and what it catches by a name stands in the sentence. The first row that fits counts.
    """

    status: int
    code: re.Pattern[str]
    text: re.Pattern[str]
    word: str

    def fits(self, status: int, code: str, message: str) -> Reason | None:
        """The reason, if this is the one."""
        caught = self.text.search(message)
        if self.status not in {0, status} or not self.code.fullmatch(code) or caught is None:
            return None
        return Reason(f"refused_{self.word}", {k: word(v) for k, v in caught.groupdict().items()})


def refusals(kind: str, asked: str) -> tuple[Refusal, ...]:
    """The rows of a kind of target: `sign_in`, or `api`."""
    with Path(__file__).with_name(kind).joinpath("refusals.csv").open(encoding="utf-8") as file:
        return tuple(
            Refusal(
                int(row["status"] or 0),
                re.compile(row["code"] or ".*"),
                re.compile(row["text"], re.IGNORECASE | re.DOTALL),
                row["word"],
            )
            for row in csv.DictReader(file)
            if row["asked"] == asked
        )


def refusal_of(rows: Iterable[Refusal], status: int, code: str, message: str = "") -> Reason | None:
    """What a vendor's table knows of an answer; the first row that fits."""
    fitting = (row.fits(status, code, message) for row in rows)
    return next((found for found in fitting if found), None)


def sign_in_refused(
    rows: Iterable[Refusal], clock: Clock, code: str, message: str
) -> Reason | None:
    """Why nobody lets us in. A clock that is off is the reason whatever the words are, where the
    sign-in is one that a clock can spoil.
    """
    found = refusal_of(rows, 0, code, message)
    off = "refused_clock_off"
    if found and found.code == off:
        return Reason(off, {"off": clock.off or "not what theirs says"})
    if clock.is_off and (found is None or code in {"invalid_grant", "invalid_client"}):
        return Reason(off, {"off": clock.off})
    return found


def advised(reason: Reason | None) -> str:
    """What is wrong and what to do, in one line; '' of none."""
    if reason is None:
        return ""
    action = problems.action(reason.code, reason.values)
    return f"{reason}; {action}" if action else str(reason)


def general(reason: str) -> Reason | None:
    """What HTTP's own words mean, where the vendor's table knows no better."""
    code = f"refused_{reason}"
    return Reason(code) if code in problems.catalogue() else None


@dataclass(frozen=True)
class Verdict:
    status: str
    reason: str = ""


@dataclass(frozen=True)
class Reply:
    """One answer, in the words all targets share. `code` None: no answer came; `sent` False:
    none could.
    """

    code: int | None
    body: Mapping[str, Any]
    reason: str = ""
    message: str = ""  # for decisions only: it may hold an address and goes into no note
    retry_after: float | None = None
    request_id: str | None = None
    sent: bool = True
    refusal: Reason | None = None  # what the vendor's own table knows it to mean

    @property
    def good(self) -> bool:
        return self.code is not None and self.code < 300


def ordinary(call: Call, reply: Reply, refused: str = "invalid") -> Verdict:
    """What a reply means by the rules of HTTP; `refused`: the word for other 4xx."""
    code = reply.code
    if code is None:
        return _unanswered(call, reply)
    if code < 300:
        return Verdict("applied")
    if code == 429:
        return Verdict("retry", "throttled")
    if code in {401, 403}:
        return Verdict("failed", "unauthorized" if code == 401 else "forbidden")
    if code == 404:
        if call.removing:
            return Verdict("applied", "not_found")
        return Verdict("retry" if call.young else "failed", "not_found")
    if code < 400:
        return Verdict("failed", "redirected")  # a write is sent nowhere else
    if code >= 500:
        return Verdict("retry" if call.repeatable else "unknown", "server_error")
    return Verdict("failed", refused)


def _unanswered(call: Call, reply: Reply) -> Verdict:
    """No answer: not done if nothing was sent; harmless to repeat; or else nobody knows."""
    if not reply.sent:
        return Verdict(
            "failed" if reply.reason == "unauthorized" else "retry", reply.reason or "unreachable"
        )
    return Verdict("retry" if call.repeatable else "unknown", "no_reply")


def outcome_of(  # noqa: PLR0917
    change: Change,
    verdict: Verdict,
    reply: Reply,
    remote_id: str | None,
    note: str = "",
    calls: int = 1,
) -> Outcome:
    """A verdict as an outcome; the words of the target itself are left out, they may name people:
    what is known of a refusal is said in ours.
    """
    reason = verdict.reason
    if verdict.status == "applied" and reason == "not_found":
        note = note or "already gone"
    known = reply.refusal if verdict.status == "failed" and reason != "duplicate" else None
    if known:
        reason = known.code.removeprefix("refused_")
    if verdict.status != "applied":
        note = note or advised(known or general(reason))
    return Outcome(
        change.change_id,
        verdict.status,
        reply.code,
        reason,
        remote_id,
        reply.request_id,
        reply.retry_after,
        note,
        calls,
    )


def seconds(text: str | None) -> float | None:
    """A Retry-After: seconds, at times with decimals, or a date (RFC 9110). What is neither is left
    to the caller's own pause.
    """
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(str(text))
    except ValueError:
        return None
    return max(0.0, (moment - datetime.now(UTC)).total_seconds()) if moment.tzinfo else None


def json_of(content: bytes | str) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):  # no JSON, or nested without end
        return {}
    return found if isinstance(found, Mapping) else {}


def word(reason: Any) -> str:
    """Only a plain word goes into records: a reason must never carry somebody's address."""
    text = str(reason)
    return text if re.fullmatch(r"[A-Za-z_]{1,64}", text) else ""
