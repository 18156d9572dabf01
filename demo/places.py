"""Where the emulated world keeps its things; apart from the platforms, so that looking does not
load them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PLATFORMS = ("google", "microsoft")


@dataclass(frozen=True)
class Places:
    """The folders and files of one demo."""

    state: Path
    requests: Path
    received: Path
    extracts: Path
    hr: Path

    @classmethod
    def within(cls, folder: Path) -> Places:
        folder = folder.resolve()
        return cls(
            folder / "platforms",
            folder / "requests.jsonl",
            folder / "received",
            folder / "extracts",
            folder / "hr.sqlite",
        )

    def state_of(self, platform: str) -> Path:
        return self.state / f"{platform}.json"
