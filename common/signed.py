"""Signed calls in the form of Standard Webhooks (standardwebhooks.com): how a secret is written,
and what counts as the signature of a call.

In: a secret, the id, the time and the body of a call. Out: its signature. Pure.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

WORD = "whsec_"
LEAST, MOST = 24, 64  # bytes of a key


def a_secret(secret: str) -> str:
    """A secret as settings may have it; none is none. Raises ValueError."""
    try:
        key = base64.b64decode(secret.removeprefix(WORD), validate=True)
    except ValueError:
        key = b""
    if secret and not (secret.startswith(WORD) and LEAST <= len(key) <= MOST):
        raise ValueError(f"it must be {WORD} and {LEAST} to {MOST} bytes in base64")
    return secret


def signature(secret: str, call_id: str, at: int, body: str) -> str:
    """`v1,` and the HMAC over `id.timestamp.body`."""
    key = base64.b64decode(secret.removeprefix(WORD))
    said = hmac.new(key, f"{call_id}.{at}.{body}".encode(), hashlib.sha256).digest()
    return f"v1,{base64.b64encode(said).decode()}"


def is_signed(secret: str, call_id: str, at: int, body: str, given: str) -> bool:
    """Whether one of the signatures a call brings, with spaces between them, is right."""
    right = signature(secret, call_id, at, body).encode()
    same = [
        hmac.compare_digest(right, one.encode()) for one in given.split()
    ]  # each takes its time
    return any(same)
