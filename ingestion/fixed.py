"""Files with columns at fixed positions, counted in characters: turned into delimited text line by
line.

In: a fetched file and its feed (`positions`). Out: a `Text` with the same line numbers. Values lose
the blanks around them. A line that is not as long as the layout says is rejected alone: a value
that slipped by one character would be somebody else's. Refuses a file that breaks off in its last
line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from ingestion.layout import Feed
from ingestion.model import Fetched, RefusedError, Reject
from ingestion.scan import Encoding, UnreadableError, encoding_of
from ingestion.text import Text, Writer

CHUNK = 4 << 20


def text_of(feed: Feed, file: Fetched, to: Path) -> Text:
    """Write the text of a fixed-width file to `to`. Raises Refused."""
    try:
        with file.path.open("rb") as opened:
            encoding = encoding_of(iter(lambda: opened.read(CHUNK), b""))
    except UnreadableError as error:
        raise RefusedError(
            "encoding", f"{file.name} cannot be read: {error}", "have the file saved as UTF-8 text"
        ) from None
    rejects: list[Reject] = []
    with file.path.open("rb") as opened, to.open("wb") as out:
        opened.seek(encoding.begin)
        writer = Writer(out)
        number, last, data = 0, "", b"\n"
        for number, data in enumerate(opened, 1):
            line = data.rstrip(b"\r\n")
            last = (
                ""
                if number <= feed.skip_lines or not line.strip()
                else _wrong(feed, line, encoding)
            )
            if last:
                rejects.append(Reject(number, last, hashlib.sha256(line).hexdigest()))
            if last or number <= feed.skip_lines or not line.strip():
                writer.nothing()
            else:
                writer.row(_values(feed, line.decode(encoding.codec)))
        if (feed.ends_with_newline and not data.endswith(b"\n")) or "instead of" in last:
            problem = (
                f"{file.name} breaks off in its last line {number:,} ({last or 'no line end'})"
            )
            raise RefusedError(
                "truncated",
                problem,
                "it was cut off while it was written or sent: have it sent again",
                number,
            )
    return Text(to, encoding.name, tuple(rejects))


def _wrong(feed: Feed, line: bytes, encoding: Encoding) -> str:
    """Why a line cannot be cut into its columns; empty when it can."""
    try:
        text = line.decode(encoding.codec)
    except UnicodeDecodeError:
        return f"not {encoding.name}"
    if "\0" in text:
        return "zero bytes"
    length = feed.positions[-1][1]
    if len(text.rstrip()) > length:
        return f"more than the {length} characters of the layout"
    return (
        f"{len(text)} characters instead of {length}"
        if len(text) < length and not feed.trimmed
        else ""
    )


def _values(feed: Feed, line: str) -> Iterator[str]:
    return (line[first - 1 : last].strip() for first, last in feed.positions)
