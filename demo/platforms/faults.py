"""What can go wrong on purpose, and how much of it: one set of switches per platform, changeable
while it runs.

In: a dict (Python), `--faults JSON` (command line) or `POST /_emulator/faults` (HTTP). Chance is
seeded, so that one client meets the same luck every time.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass
class Faults:
    """Shares are between 0 (never) and 1 (always)."""

    read_lag_seconds: float = (
        0.0  # lists and searches show what was true so long ago; reads by key are current
    )
    drop_writes: float = 0.0  # share of writes answered as done and not kept
    lose_reply_after_commit: float = (
        0.0  # share of writes that are kept while the connection closes without a reply
    )
    reset: float = 0.0  # share of requests whose connection closes before anything was done
    random_5xx: float = 0.0  # share of API calls refused with 503 before anything was done
    throttle: float = 0.0  # share of API calls refused with 429, whatever the quota says
    latency_seconds: float = 0.0  # every reply comes so much later
    incomplete_creation_seconds: float = (
        0.0  # so long after a create Google answers 412 to updates and Microsoft 404 to everything
    )
    security_groups_soft_delete: bool = (
        # Microsoft: since 2026 security groups go to the deleted items too; before, they were gone
        True
    )
    settings_lag_seconds: float = 0.0  # Google: so long the settings of a new group are not found
    owners_must_teach: bool = True  # Google: a course is handed over to one of its teachers only
    licence_seats: int = 1_000_000  # Microsoft: no subscription has more seats than this
    exclusive_licences: bool = False  # Microsoft: no two products go together
    expired_pages: int = 0  # so many next pages are refused, as after days or a reorganisation
    expired_deltas: int = 0  # Microsoft: so many questions what changed are answered with 410
    delta_days: float = 7.0  # Microsoft: a token older than that is refused
    replayed_deltas: bool = False  # Microsoft: what was told is told again, and a page is empty
    seed: int = 1
    chance: random.Random = field(default_factory=lambda: random.Random(1), repr=False)

    def happens(self, switch: str) -> bool:
        """Whether a fault with a share strikes now."""
        share: float = getattr(self, switch)
        return share > 0 and self.chance.random() < share

    def spends(self, switch: str) -> bool:
        """Whether a fault that happens a number of times happens now."""
        left: int = getattr(self, switch)
        setattr(self, switch, max(left - 1, 0))
        return left > 0

    def set(self, changes: dict[str, Any]) -> None:
        """Turn switches; refuses names and values it does not know."""
        known = switches()
        for name, value in changes.items():
            if name not in known:
                raise ValueError(
                    f"there is no fault switch {name!r}; the switches are"
                    f" {', '.join(sorted(known))}"
                )
            if (
                isinstance(value, bool) != isinstance(getattr(self, name), bool)
                or not isinstance(value, bool | int | float)
                or value < 0
            ):
                raise ValueError(f"fault switch {name} cannot be {value!r}")
        for name, value in changes.items():
            setattr(self, name, value)
        if "seed" in changes:
            self.chance.seed(self.seed)

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in switches()}


def switches() -> tuple[str, ...]:
    return tuple(one.name for one in fields(Faults) if one.name != "chance")


def for_platform(
    faults: dict[str, Any], platform: str, platforms: tuple[str, ...]
) -> dict[str, Any]:
    """The switches of one platform: those given for all, overridden by those under its own name."""
    shared = {name: value for name, value in faults.items() if name not in platforms}
    return shared | faults.get(platform, {})
