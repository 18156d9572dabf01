"""What an answer of a directory means for a change: by its result code (RFC 4511, appendix A) and
the number Active Directory puts before its message, never by the words, which name people.

In: an exception of python-ldap. Out: a `TroubleError`. Codes marked Samba were met there (4.17);
the others of Active Directory stand in Microsoft's list of system errors and are untried.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from reverse_etl.model import Change, Outcome, key_text
from reverse_etl.targets.replies import advised, general

ALREADY, TAKEN_VALUE, NO_VALUE, CONSTRAINT = 68, 20, 16, 19
# how a server refuses the cookie of a next page it no longer knows: OpenLDAP by 2 or 53, an Active
# Directory by 12 or 53 (untried)
EXPIRED, OUT_OF_DATE = frozenset({2, 12, 18, 53}), "expired"
CODES: dict[int, tuple[str, str]] = {  # result code -> (status, reason)
    1: ("retry", "server_error"),  # operationsError; AD: not signed in yet
    3: ("retry", "too_slow"),
    7: ("failed", "not_configured"),  # sign-in of a kind it does not know
    8: ("failed", "not_configured"),  # it wants TLS
    10: ("failed", "redirected"),  # referral: another server holds it
    11: ("retry", "throttled"),
    12: ("failed", "not_configured"),  # it does not page
    13: ("failed", "not_configured"),  # it wants TLS
    16: ("failed", "invalid"),  # no such attribute
    17: ("failed", "not_configured"),  # an attribute its schema does not know
    18: ("failed", "invalid"),
    19: ("failed", "invalid"),
    20: ("failed", "duplicate"),
    21: ("failed", "invalid"),
    32: ("failed", "not_found"),
    34: ("failed", "invalid"),  # not a name
    48: ("failed", "unauthorized"),
    49: ("failed", "unauthorized"),
    50: ("failed", "forbidden"),
    51: ("retry", "throttled"),  # busy
    52: ("retry", "server_error"),  # unavailable
    53: ("failed", "precondition"),  # unwilling to perform
    64: ("failed", "invalid"),
    65: ("failed", "invalid"),  # object class violation
    66: ("failed", "precondition"),  # something stands below it
    67: ("failed", "invalid"),
    68: ("failed", "duplicate"),
    69: ("failed", "invalid"),
    80: ("retry", "server_error"),
}
# the error of Windows that stands before an Active Directory's message, in hexadecimal
WINDOWS: dict[str, tuple[str, str]] = {
    "0000052D": ("failed", "password"),  # weaker than its policy wants
    "00002035": ("retry", "throttled"),
    "00002071": ("failed", "duplicate"),
    "000021C7": ("failed", "duplicate"),  # sAMAccountName taken
    "000021C8": ("failed", "duplicate"),  # userPrincipalName taken
    "0000202F": ("failed", "duplicate"),  # the same, Samba
    "00002095": ("failed", "not_found"),  # what it should stand under is not there, Samba
}
SIGN_IN = {  # `data …` of a refused sign-in of an Active Directory
    "533": "its account is disabled",
    "701": "its account has run out",
    "532": "its password has run out",
    "773": "it must change its password first",
    "775": "its account is locked",
}
ADVICE = {
    "unauthorized": "check the credentials: user and password under [targets.<name>]",
    "forbidden": "have the role of its user reach everything below base",
    "not_configured": "check dialect, start_tls, base and the columns' field: against its schema",
    "too_slow": "ask for fewer entries at once (page)",
}


@dataclass
class TroubleError(Exception):
    """Why a request came to nothing, or nobody knows to what."""

    status: str
    reason: str
    code: int | None = None
    detail: str = ""

    def __str__(self) -> str:
        said = self.reason if self.code is None else f"{self.reason}, result {self.code}"
        return f"{said}: {self.detail}" if self.detail else said

    @property
    def advice(self) -> str:
        return ADVICE.get(self.reason, "check its url and the network, then run again")

    def outcome(self, change: Change, calls: int = 1) -> Outcome:
        """What it means for one change."""
        note = self.detail or advised(general(self.reason)) or ADVICE.get(self.reason, "")
        if self.reason == "duplicate":
            note = (
                f"a value meant for {key_text(change.key)} belongs to another entry, which does not"
                " carry this key; nothing was changed"
            )
        elif self.reason == "unauthorized":
            note = f"{self}; {self.advice}"
        return Outcome(
            change.change_id,
            self.status,
            self.code,
            self.reason,
            change.remote_id,
            note=note,
            calls=calls,
        )


def trouble_of(error: Exception, *, creating: bool = False) -> TroubleError:
    """The trouble an exception of python-ldap stands for. What was sent and not answered may have
    been done: what may be repeated is tried again, a create is looked up.
    """
    said: dict[str, Any] = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    code, info = said.get("result"), str(said.get("info") or "")
    if not isinstance(code, int) or code < 0:  # -1 server down, -5 time-out, -11 no connection
        return TroubleError("unknown" if creating else "retry", "no_reply")
    windows = re.match(r"[0-9A-F]{8}", info)
    found = WINDOWS.get(windows[0]) if windows else None
    status, reason = found or CODES.get(code, ("failed", "invalid"))
    detail = ""
    if code == 49 and (data := re.search(r"data ([0-9a-f]+)", info)):
        detail = SIGN_IN.get(data[1], "")
    return TroubleError(status, reason, code, detail)
