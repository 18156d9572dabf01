"""Log events: a name with fields, one line each, on standard error. Keys, never names or addresses
of people.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

from common.printable import printable


def event(name: str, **fields: Any) -> None:
    """Write `2026-10-05T03:00:00Z name key=value …`. A value with a space is quoted, quotation
    marks in it are single ones, what cannot be seen is its escape; None is left out.
    """
    parts = [datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), name]
    for key, value in fields.items():
        if value is None:
            continue
        text = f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
        text = printable(text.replace("\n", " "))
        quoted = text.replace('"', "'")
        is_word = text and not {" ", '"'} & set(text)
        parts.append(f"{key}={text}" if is_word else f'{key}="{quoted}"')
    print(" ".join(parts), file=sys.stderr, flush=True)
