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

from common import problems
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
        raise RefusedError("feed_encoding_fixed", {"file": file.name, "why": str(error)}) from None
    rejects: list[Reject] = []
    with file.path.open("rb") as opened, to.open("wb") as out:
        opened.seek(encoding.begin)
        writer = Writer(out)
        number, last, data = 0, None, b"\n"
        for number, data in enumerate(opened, 1):
            line = data.rstrip(b"\r\n")
            last = (
                None
                if number <= feed.skip_lines or not line.strip()
                else _wrong(feed, line, encoding)
            )
            if last:
                digest = hashlib.sha256(line).hexdigest()
                rejects.append(Reject(number, last[0], digest, values=last[1]))
            if last or number <= feed.skip_lines or not line.strip():
                writer.nothing()
            else:
                writer.row(_values(feed, line.decode(encoding.codec)))
        is_cut = feed.ends_with_newline and not data.endswith(b"\n")
        if is_cut or (last and last[0] == "reject_too_short"):
            why = problems.sentence(*(last or ("no_line_end", {})))
            raise RefusedError("feed_truncated_record", {"file": file.name, "why": why}, number)
    return Text(to, encoding.name, tuple(rejects))


def _wrong(feed: Feed, line: bytes, encoding: Encoding) -> tuple[str, problems.Values] | None:
    """Why a line cannot be cut into its columns, as code and values; None when it can."""
    try:
        text = line.decode(encoding.codec)
    except UnicodeDecodeError:
        return "reject_encoding", {"encoding": encoding.name, "byte": ""}
    if "\0" in text:
        return "reject_zero_bytes", {}
    length = feed.positions[-1][1]
    if len(text.rstrip()) > length:
        return "reject_too_long", {"expected": length}
    if len(text) < length and not feed.trimmed:
        return "reject_too_short", {"length": len(text), "expected": length}
    return None


def _values(feed: Feed, line: str) -> Iterator[str]:
    return (line[first - 1 : last].strip() for first, last in feed.positions)
