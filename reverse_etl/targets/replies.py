"""What a reply of a target means for a change: the error tables of the two directories, as pure
functions.

In: status code, reason or error code, and what kind of call it answered. Out: a `Verdict`.
    applied  done, or already as wanted
    failed   refused for good
    retry    certainly not done, may be tried again
    unknown  may have been done
    look     something of that name exists: the adapter must look whether it is ours

Sources: https://developers.google.com/workspace/admin/directory/v1/limits (403 and 429 for rate),
the Directory API's description of users.update ("User creation is not complete."),
https://learn.microsoft.com/graph/errors and …/graph/throttling, …/graph/json-batching (424).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reverse_etl.model import Change, Outcome

GOOGLE_RATE = frozenset(
    {
        "userRateLimitExceeded",
        "rateLimitExceeded",
        "quotaExceeded",
        "dailyLimitExceeded",
        "sharingRateLimitExceeded",
        "RESOURCE_EXHAUSTED",
    }
)


@dataclass(frozen=True)
class Call:
    """What kind of call a reply answers."""

    repeatable: bool  # doing it twice is the same as once, so a lost reply needs no look-up
    removing: bool = False  # what is not there is as wanted
    young: bool = False  # about an object made minutes ago: replicas may not know it yet


@dataclass(frozen=True)
class Verdict:
    status: str
    reason: str = ""


@dataclass(frozen=True)
class Reply:
    """One answer, in the words both directories share. `code` None: no answer came; `sent` False:
    none could.
    """

    code: int | None
    body: Mapping[str, Any]
    reason: str = ""
    message: str = ""  # for decisions only: it may hold an address and goes into no note
    retry_after: float | None = None
    request_id: str | None = None
    sent: bool = True

    @property
    def good(self) -> bool:
        return self.code is not None and self.code < 300


def unanswered(call: Call, reply: Reply) -> Verdict:
    """No answer: not done if nothing was sent; harmless to repeat; or else nobody knows."""
    if not reply.sent:
        return Verdict(
            "failed" if reply.reason == "unauthorized" else "retry", reply.reason or "unreachable"
        )
    return Verdict("retry" if call.repeatable else "unknown", "no_reply")


def google(call: Call, reply: Reply) -> Verdict:
    """The verdict on a reply of the Directory API."""
    code, reason = reply.code, reply.reason
    if code is None:
        return unanswered(call, reply)
    if code < 300:
        return Verdict("applied")
    if code == 429 or (code == 403 and reason in GOOGLE_RATE):
        return Verdict("retry", "throttled")
    if code in {401, 403}:
        return Verdict("failed", "unauthorized" if code == 401 else "forbidden")
    if code == 404:
        return _missing(call)
    if code == 409:
        return (
            Verdict("retry", "conflict")
            if reason in {"ABORTED", "aborted"}
            else Verdict("look", "duplicate")
        )
    if code == 412:
        # Of all preconditions only this one passes by itself; Google tells apart by text alone.
        if "creation is not complete" in reply.message:
            return Verdict("retry", "not_ready")
        return Verdict("failed", reason or "precondition")
    if code >= 500:
        return Verdict("retry" if call.repeatable else "unknown", "server_error")
    if call.young and re.search(r"\bOU\b|INVALID_OU|org ?unit", reply.message, re.IGNORECASE):
        return Verdict("retry", "not_ready")  # the unit was made minutes ago
    return Verdict("failed", reason or "invalid")


def microsoft(call: Call, reply: Reply) -> Verdict:
    """The verdict on a reply of Graph, alone or inside a batch."""
    code = reply.code
    if code is None:
        return unanswered(call, reply)
    if code < 300:
        return Verdict("applied")
    if code == 429:
        return Verdict("retry", "throttled")
    if code == 400 and _exists_already(reply):
        return Verdict("look", "duplicate")
    if code == 400 and (about := _licence_refused(call, reply)):
        return about
    if code in {401, 403}:
        return Verdict(
            "failed",
            {"Directory_QuotaExceeded": "quota_exceeded"}.get(
                reply.reason, "unauthorized" if code == 401 else "forbidden"
            ),
        )
    if code == 404:
        return _missing(call)
    if code in {409, 423, 424}:
        # changed by somebody at the same moment; locked; or a neighbour in the batch failed first
        return Verdict("retry", {409: "conflict", 423: "locked", 424: "dependency"}[code])
    if code >= 500:
        return Verdict("retry" if call.repeatable else "unknown", "server_error")
    return Verdict("failed", {405: "method", 412: "precondition"}.get(code, "invalid"))


def _missing(call: Call) -> Verdict:
    if call.removing:
        return Verdict("applied", "not_found")
    return Verdict("retry" if call.young else "failed", "not_found")


def _licence_refused(call: Call, reply: Reply) -> Verdict | None:
    """What only the text of a refusal says of a licence: no seat is free, or there is none to take
    back.
    """
    if "does not have any available licenses" in reply.message:
        return Verdict("failed", "no_seats")
    if call.removing and "does not have a corresponding license" in reply.message:
        return Verdict("applied", "not_found")
    return None


def _exists_already(reply: Reply) -> bool:
    details = (reply.body.get("error") or {}).get("details") or []
    if any(
        detail.get("code") in {"ObjectConflict", "ConflictingObjects"}
        for detail in details
        if isinstance(detail, Mapping)
    ):
        return True
    # A second membership has no code of its own: only the text says so, and members of a duplicate
    # have none else.
    return "already exist" in reply.message


def outcome_of(  # noqa: PLR0917
    change: Change,
    verdict: Verdict,
    reply: Reply,
    remote_id: str | None,
    note: str = "",
    calls: int = 1,
) -> Outcome:
    """A verdict as an outcome; the words of the target itself are left out, they may
    name people.
    """
    if verdict.status == "applied" and verdict.reason == "not_found":
        note = note or "already gone"
    return Outcome(
        change.change_id,
        verdict.status,
        reply.code,
        verdict.reason,
        remote_id,
        reply.request_id,
        reply.retry_after,
        note,
        calls,
    )


def google_reply(code: int, content: bytes | str, headers: Mapping[str, str]) -> Reply:
    """Read an error of the Directory API, old style (errors[].reason) or new (status)."""
    error = _json(content).get("error")
    error = error if isinstance(error, Mapping) else {}
    first = next(iter(error.get("errors") or []), {})
    reason = first.get("reason") or error.get("status") or ""
    return Reply(
        code,
        {},
        _word(reason),
        str(error.get("message", "")),
        seconds(headers.get("retry-after")),
        headers.get("x-request-id"),
    )


def microsoft_reply(code: int, body: Any, headers: Mapping[str, str]) -> Reply:
    """Read an answer of Graph; `headers` in any letter case (those of a batch item keep theirs)."""
    lower = {str(name).lower(): str(value) for name, value in headers.items()}
    body = body if isinstance(body, Mapping) else {}
    error = body.get("error") if isinstance(body.get("error"), Mapping) else {}
    inner = error.get("innerError") or error.get("innererror") or {}
    request_id = lower.get("request-id") or (
        inner.get("request-id") if isinstance(inner, Mapping) else None
    )
    return Reply(
        code,
        body,
        _word(error.get("code", "")),
        str(error.get("message", "")),
        seconds(lower.get("retry-after")),
        request_id,
    )


def seconds(text: str | None) -> float | None:
    """A Retry-After: seconds, at times with decimals. Anything else (a date) is left to the
    caller's own pause.
    """
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:
        return None


def _json(content: bytes | str) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, Mapping) else {}


def _word(reason: Any) -> str:
    """Only a plain word goes into records: a reason must never carry somebody's address."""
    text = str(reason)
    return text if re.fullmatch(r"[A-Za-z_]{1,64}", text) else ""
