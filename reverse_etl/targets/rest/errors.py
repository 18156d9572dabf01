"""What an answer of a JSON API means for a change: the settings' table, then HTTP's words.

In: the rows of `errors`, the path of `failed_when`, what kind of call it was, the answer. Out: a
`Verdict` as in `replies`. An API may answer 200 with an error inside, and 400 for an object that
exists: both are rows of the settings.
"""

from __future__ import annotations

from collections.abc import Sequence

from reverse_etl.targets.json_path import value_at
from reverse_etl.targets.replies import Call, Reply, Verdict, ordinary
from reverse_etl.targets.rest.settings import ErrorRow

BY_STATUS = {
    409: "duplicate",
    410: "not_found",
    412: "conflict",
    423: "locked",
    425: "not_ready",
    429: "throttled",
}
WAITING = frozenset({"throttled", "conflict", "locked", "not_ready"})


def verdict_of(rows: Sequence[ErrorRow], failed_when: str, call: Call, answer: Reply) -> Verdict:
    """The verdict on an answer that came."""
    code = answer.code or 0
    inside = bool(value_at(answer.body, failed_when)) if failed_when else False
    for row in rows:
        if _fits(row, answer, failed=inside or code >= 300):
            return _verdict(row.means, call)
    if inside and code < 300:
        return Verdict("failed", "invalid")
    if code in BY_STATUS:
        return _verdict(BY_STATUS[code], call)
    return ordinary(call, answer, "redirected" if code < 400 else "invalid")


def _fits(row: ErrorRow, answer: Reply, *, failed: bool) -> bool:
    if row.status is None and not failed:
        return False
    return (
        row.status in {None, answer.code}
        and row.code in {None, getattr(answer, "said", "")}
        and (row.text is None or row.text in answer.message)
    )


def _verdict(means: str, call: Call) -> Verdict:
    match means:
        case "done":
            return Verdict("applied")
        case "duplicate":
            return Verdict("look", "duplicate")
        case "not_found":
            if call.removing:
                return Verdict("applied", "not_found")
            return Verdict("retry" if call.young else "failed", "not_found")
    return Verdict("retry" if means in WAITING else "failed", means)
