"""Log events: a name with fields, one line each, on standard error. Keys, never names or addresses
of people.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any


def event(name: str, **fields: Any) -> None:
    """Write `2026-10-05T03:00:00Z name key=value …`. A value with a space is quoted; None is left
    out.
    """
    parts = [datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), name]
    for key, value in fields.items():
        if value is None:
            continue
        text = f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
        text = text.replace("\n", " ")
        parts.append(f'{key}="{text}"' if " " in text or not text else f"{key}={text}")
    print(" ".join(parts), file=sys.stderr, flush=True)
