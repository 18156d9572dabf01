"""How far the clock of this machine is from that of a server, by the `Date` of its answers.

In: the header as it came, and the moment it came. Out: minutes, positive where this machine is
ahead, and words for a sentence. A sign-in that is signed (a key, a certificate) is refused by a
clock that is off by some minutes, with words that say nothing of clocks.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# Google and Entra let a sign-in be five minutes early or late; a Date has whole seconds
# (RFC 9110, 6.6.1) and an answer takes some.
MOST_MINUTES = 2.0


def minutes_off(date: str | None, now: datetime | None = None) -> float | None:
    """Minutes this machine is ahead of the server (negative: behind); None without a date."""
    try:
        theirs = parsedate_to_datetime(str(date)) if date else None
    except ValueError:
        return None
    if theirs is None or theirs.tzinfo is None:
        return None
    return ((now or datetime.now(UTC)) - theirs).total_seconds() / 60


class Clock:
    """What the answers of one server say of our clock; the last one counts."""

    def __init__(self) -> None:
        self.minutes: float | None = None

    def told(self, date: str | None) -> None:
        """Take note of the `Date` of an answer that came just now."""
        found = minutes_off(date)
        self.minutes = self.minutes if found is None else found

    @property
    def is_off(self) -> bool:
        return self.minutes is not None and abs(self.minutes) >= MOST_MINUTES

    @property
    def off(self) -> str:
        """`12 minutes ahead of theirs`; '' where it is right, or nobody knows."""
        if not self.is_off or self.minutes is None:
            return ""
        whole = round(abs(self.minutes))
        much = f"{whole:,} minutes" if whole < 120 else f"{round(whole / 60):,} hours"
        return f"{much} {'ahead of' if self.minutes > 0 else 'behind'} theirs"
