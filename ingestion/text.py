"""Any kind of file as delimited text, the one form the checks and the reader take.

In: a fetched file and its feed. Out: a `Text`: where the text is, and what is needed to speak of
the original (its encoding, its line or row numbers, lines that could not be turned). Delimited
files are that text already. The original is left as it is: it is what the archive keeps.

Refuses what the reader of a kind refuses (`fixed`, `excel`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from common.findings import Finding
from ingestion.layout import Feed
from ingestion.model import Fetched, Reject


@dataclass(frozen=True)
class Text:
    """Delimited text made of a file. `shifts`: from which line of the text on it is how many lines
    ahead of the original.
    """

    path: Path
    encoding: str = ""  # of the original, where the text no longer tells
    rejects: tuple[Reject, ...] = ()
    findings: tuple[Finding, ...] = ()
    shifts: tuple[tuple[int, int], ...] = ()

    def line(self, number: int) -> int:
        """The line or row of the original on which a line of the text stands."""
        at = bisect_right(self.shifts, (number, 1 << 62))
        return number - self.shifts[at - 1][1] if at else number


class Writer:
    """Writes rows as comma-separated text, every value quoted, and keeps count of the lines values
    spread over.
    """

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._line = 1
        self._ahead = 0
        self.shifts: list[tuple[int, int]] = []

    def row(self, values: Iterable[str]) -> None:
        """One record; a line break inside a value stays there."""
        record = ",".join('"' + value.replace('"', '""') + '"' for value in values)
        self._out.write(record.encode("utf-8", "replace") + b"\n")
        breaks = record.count("\n")
        self._line += 1 + breaks
        if breaks:
            self._ahead += breaks
            self.shifts.append((self._line, self._ahead))

    def nothing(self) -> None:
        """An empty line: nobody's record, but the lines behind it keep their numbers."""
        self._out.write(b"\n")
        self._line += 1


def text_of(source: str, feed: Feed, file: Fetched, to: Path) -> Text:
    """The text of a file, written to `to` unless the file is it already. Raises Refused."""
    if feed.format == "delimited":
        return Text(file.path)
    to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if feed.format == "fixed":
        from ingestion import fixed

        return fixed.text_of(source, feed, file, to)
    from ingestion import excel

    return excel.text_of(feed, file, to)
