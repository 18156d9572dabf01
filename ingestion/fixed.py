"""Files with columns at fixed positions, counted in characters: turned into delimited text line by
line.

In: a fetched file and its feed (`positions`, and `marks` where lines say what they are). Out: a
`Text` with the same line numbers. Values lose the blanks around them. A line that is not as long as
the layout says is rejected alone: a value that slipped by one character would be somebody else's.

Header and trailer are no rows. Refuses a file without those the layout declares, one whose trailer
counts other than it holds, one that goes on behind its trailer, and one that breaks off in its last
line. A trailer nobody declared is known by its words or its number, read over and told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from common import problems
from common.findings import Finding
from ingestion import ends, foreign
from ingestion.layout import Feed, Marks
from ingestion.model import Fetched, RefusedError, Reject
from ingestion.scan import Encoding, UnreadableError, encoding_of
from ingestion.text import Text, Writer

CHUNK = 4 << 20


@dataclass
class Seen:
    """What was read so far: how many lines of each kind, where the last ones stand."""

    lines: int = 0
    last: int = 0  # the number of the last of them
    rows: int = 0
    others: int = 0
    header: int = 0
    trailer: int = 0
    before: str = ""  # how the row before the last line begins
    rejects: list[Reject] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def text_of(source: str, feed: Feed, file: Fetched, to: Path) -> Text:
    """Write the text of a fixed-width file to `to`. Raises Refused."""
    end, seen = ends.of(file.path), Seen()
    if end.zeros:
        raise RefusedError("feed_zero_bytes", {"file": file.name})
    try:
        with file.path.open("rb") as opened:
            encoding = encoding_of(_chunks(opened, end.size))
    except UnreadableError as error:
        raise RefusedError("feed_encoding_fixed", {"file": file.name, "why": str(error)}) from None
    with to.open("wb") as out:
        writer = Writer(out)
        number, whole = 0, True
        for number, data, is_last in _lines(file.path, encoding.begin, end.size, feed.limits.line):
            whole = end.marked or data.endswith(b"\n")
            line = data.rstrip(b"\r\n")
            if number <= feed.skip_lines or not line.strip():
                writer.nothing()
                continue
            seen.lines, seen.last = seen.lines + 1, number
            values = _read(
                source, feed, file.name, (number, line, is_last), encoding=encoding, seen=seen
            )
            if values is None:
                writer.nothing()
            else:
                writer.row(values)
    _whole(feed, file, seen, whole=whole)
    seen.findings += ends.marks(source, feed, file.name, end, number + 1)
    return Text(to, encoding.name, tuple(seen.rejects), tuple(seen.findings))


def _chunks(opened: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0 and (chunk := opened.read(min(CHUNK, size))):
        size -= len(chunk)
        yield chunk


def _lines(path: Path, begin: int, size: int, most: int) -> Iterator[tuple[int, bytes, bool]]:
    """The lines with their numbers, and whether each is the last that holds anything. Of one that
    is longer than `most` bytes no more is read, and its end.
    """
    with path.open("rb") as opened:
        opened.seek(begin)
        waiting: list[tuple[int, bytes]] = []
        for number, data in enumerate(iter(lambda: opened.readline(most + 2), b""), 1):
            data = data[: max(0, size - (opened.tell() - len(data)))]
            if not data:
                break
            if len(data) > most and not data.endswith(b"\n"):
                rest = data
                while len(rest) and not rest.endswith(b"\n"):
                    rest = opened.readline(CHUNK)
                data += b"\n" if rest else b""
            if data.strip():
                yield from ((*one, False) for one in waiting)
                waiting = []
            waiting.append((number, data))
        yield from ((*one, at == 0) for at, one in enumerate(waiting))


def _read(
    source: str,
    feed: Feed,
    file: str,
    line: tuple[int, bytes, bool],
    *,
    encoding: Encoding,
    seen: Seen,
) -> list[str] | None:
    """The values of a line; None where it is no row, or one that cannot be cut into its columns."""
    number, data, is_last = line
    text = data.decode(encoding.codec, "replace")
    if is_last and seen.rows and foreign.broke_off(text):
        raise RefusedError("feed_broke_off", {"file": file, "rows": f"{seen.rows:,}"}, number)
    if feed.marks:
        if _is_mark(feed.marks, file, text, number, seen):
            return None
        wrong = (
            None if feed.marks.kind(text) else ("reject_record_type", {"at": _place(feed.marks.at)})
        )
    else:
        if seen.lines == 1 and feed.trimmed and ends.is_header(text):
            seen.findings.append(
                Finding(
                    "header_read_over", {}, source=source, feed=feed.name, file=file, line=number
                )
            )
            return None
        if is_last and _trails(feed, text, seen):
            seen.findings.append(ends.trailer(source, feed, file, number))
            return None
        wrong = None
    wrong = wrong or _wrong(feed, data, encoding)
    seen.rows += 1
    if wrong:
        if len(seen.rejects) >= feed.limits.rejects:
            _too_many(feed, file, seen.rejects[0])
        digest = hashlib.sha256(data).hexdigest()
        seen.rejects.append(Reject(number, wrong[0], digest, values=wrong[1]))
        return None
    first, last = feed.positions[0]
    seen.before = text[first - 1 : last]
    return [text[first - 1 : last].strip() for first, last in feed.positions]


def _too_many(feed: Feed, file: str, first: Reject) -> None:
    why = problems.sentence(first.code, first.values)
    raise RefusedError(
        "feed_many_rejects", {"file": file, "most": feed.limits.rejects, "why": why}, first.line
    )


def _is_mark(marks: Marks, file: str, text: str, number: int, seen: Seen) -> bool:
    """Whether a line is none of the rows, and all is as the layout declares it so far."""
    kind = marks.kind(text)
    if seen.trailer or (kind == "header" and seen.header):
        raise RefusedError(
            "feed_behind_trailer" if seen.trailer else "feed_header_again", {"file": file}, number
        )
    if marks.header and not seen.header and kind != "header":
        at = _place(marks.at)
        raise RefusedError("feed_header_missing", {"file": file, "mark": marks.header, "at": at})
    if kind == "header":
        seen.header = number
    elif kind == "trailer":
        seen.trailer = number
        _counted(marks, file, text, number, seen)
    elif kind == "other":
        seen.others += 1
    return kind in ("header", "trailer", "other")


def _counted(marks: Marks, file: str, text: str, number: int, seen: Seen) -> None:
    """Refuse a file whose trailer counts other than it holds."""
    if marks.count is None:
        return
    said = text[marks.count[0] - 1 : marks.count[1]].strip()
    if not (said.isascii() and said.isdigit()):
        raise RefusedError("feed_trailer_unread", {"file": file, "at": _place(marks.count)}, number)
    there = {"rows": seen.rows, "records": seen.rows + seen.others, "lines": seen.lines}
    if int(said) != there[marks.counts]:
        raise RefusedError(
            "feed_trailer_count",
            {"file": file, "said": int(said), "there": there[marks.counts], "what": marks.counts},
            number,
        )


def _trails(feed: Feed, text: str, seen: Seen) -> bool:
    """Whether a last line is a trailer nobody declared: one that says so, and is no row by its
    length or, where lengths say nothing, by its first value.
    """
    first, last = feed.positions[0]
    begins = text[first - 1 : last]
    if feed.trimmed:
        odd = not ends.alike(begins, seen.before)
        says, counts = ends.is_trailer(text), ends.counted(text, seen.rows)
        return bool(seen.before) and odd and (says or (counts and len(text.split()) < 3))
    if len(text) == feed.positions[-1][1] and ends.alike(begins, seen.before):
        return False
    found = ends.last_line(text, text.split(), seen.before, seen.rows)
    return bool(seen.before) and found == ends.TRAILS


def _whole(feed: Feed, file: Fetched, seen: Seen, *, whole: bool) -> None:
    """Refuse a file that was cut off; one whose every line is wrong was not, it was written so."""
    number = seen.last
    if feed.marks and feed.marks.trailer and not seen.trailer:
        at = _place(feed.marks.at)
        raise RefusedError(
            "feed_trailer_missing",
            {"file": file.name, "mark": feed.marks.trailer, "at": at},
            number,
        )
    if seen.lines and not seen.rows:
        raise RefusedError("feed_without_rows", {"file": file.name, "bytes": file.size})
    bad = seen.rejects
    if len(bad) == seen.rows > 1:
        why = problems.sentence(bad[0].code, bad[0].values)
        raise RefusedError(
            "feed_fixed_lines", {"file": file.name, "rows": seen.rows, "why": why}, bad[0].line
        )
    is_short = bool(bad) and bad[-1].line == number and bad[-1].code == "reject_too_short"
    last = bad[-1] if is_short else None
    if seen.trailer or (len(bad) - is_short) * 2 > seen.rows:
        return
    if (feed.ends_with_newline and not whole) or last:
        why = problems.sentence(*((last.code, last.values) if last else ("no_line_end", {})))
        raise RefusedError("feed_truncated_record", {"file": file.name, "why": why}, number)


def _wrong(feed: Feed, line: bytes, encoding: Encoding) -> tuple[str, problems.Values] | None:
    """Why a line cannot be cut into its columns, as code and values; None when it can."""
    try:
        text = line.decode(encoding.codec)
    except UnicodeDecodeError:
        return "reject_encoding", {"encoding": encoding.name, "byte": ""}
    if "\0" in text:
        return "reject_zero_bytes", {}
    length = feed.positions[-1][1]
    if len(line) > feed.limits.line:
        return "reject_long_line", {"most": feed.limits.line_kilobytes}
    if len(text.rstrip()) > length:
        return "reject_too_long", {"expected": length}
    if len(text) < length and not feed.trimmed:
        return "reject_too_short", {"length": len(text), "expected": length}
    return None


def _place(at: tuple[int, int]) -> str:
    return f"{at[0]}-{at[1]}"
