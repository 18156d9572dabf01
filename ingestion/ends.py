"""How a file ends: whole, cut off, with a trailer, or with the end mark of DOS.

In: a file, its last line, the rows before it. Out: where the text ends; whether a line that is no
row is a trailer. Pure but for reading the end of a file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from common import problems
from common.findings import Finding
from ingestion import foreign
from ingestion.layout import Feed
from ingestion.model import RefusedError, Reject
from ingestion.scan import Bad, values_of

TAIL = 1 << 12
END_MARK = b"\x1a"  # Ctrl-Z: CP/M and DOS ended their texts with it
LONGEST = 400  # a trailer is a short line
# what exporting systems put behind the rows; the first letters of a line
TRAILER = re.compile(
    r"\W*(?:trailer|trlr?|footer|ftr?|eof|eot|bot|end|total|totals|sum|summary|count"
    r"|(?:record|row|line|student|employee)s?\W*(?:count|total)?|number of|zz+|99+)(?![a-z0-9])"
    r"|\W*(?:trl?r?|eof|ftr?|end|t|z|zz|99?)[\W_]*[0-9]+\W*$",
    re.IGNORECASE,
)
FOOTER = re.compile(
    r"\bend of (?:file|report|data|extract|job|list)|\bpage [0-9]+|\b(?:generated|printed|produced"
    r"|created|exported|extracted) (?:on|at|by|from)\b|\b[0-9][0-9,]* (?:rows?|records?|lines?"
    r"|students?|employees?|entries|items)\b|©|\bcopyright\b|\bconfidential\b|\brows? affected"
    r"|-{3} ?end\b|report (?:date|time|run)",
    re.IGNORECASE,
)
HEADER = re.compile(
    r"\W*(?:header|hdr|head|fhd|fhs|bof|begin|start)(?![a-z])"
    r"|\W*(?:hd|h|00|fh)[\W_]*(?:19|20)[0-9]{6}(?![0-9])",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Last:
    """The last whole row of a file, and the bad record behind it, if one is; `behind`: all that
    stands behind the row, from `line` on.
    """

    delimiter: str = ","
    row: str = ""
    bad: Bad | None = None
    text: str = ""
    behind: str = ""
    line: int = 0

    def followed_by(self, bad: Bad, text: str, *, at_end: bool) -> Last:
        """With one more bad record."""
        behind = self.behind + text if len(self.behind) < TAIL else self.behind
        more = replace(self, behind=behind, line=self.line or bad.line)
        return replace(more, bad=bad, text=text) if at_end else more


@dataclass(frozen=True)
class End:
    """Where a text ends: `size` bytes of it are read; `marked`: it said itself that it ends there;
    `zeros`: nothing but zero bytes stands behind it.
    """

    size: int
    marked: bool = False
    zeros: bool = False


def of(path: Path) -> End:
    """The end of a text, without the end mark and what stands behind it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - TAIL))
        tail = file.read()
    bare = tail.rstrip(b"\x1a\r\n\0 ")
    behind = tail[len(bare) :]
    if END_MARK not in behind:
        return End(size, zeros=behind.endswith(b"\0\0") and bool(bare))
    kept = behind[: behind.index(END_MARK)]
    return End(size - len(behind) + len(kept), marked=True)


TRAILS, ODD, CUT = "trailer", "odd", "cut"


def last_line(text: str, values: Sequence[str], before: str, rows: int) -> str:
    """What a last line is that has too few values: a trailer by a word exporting systems use or by
    the number of the rows before it; an odd one, which begins as no row does (`before` is how the
    last whole one begins); or a row that was cut off.
    """
    text = text.strip()
    if not text or len(text) > LONGEST:
        return CUT
    says, counts = is_trailer(text), counted(text, rows)
    odd = not alike(values[0] if values else "", before)
    if (says or counts) and (odd or len(values) == 1 or (says and counts)):
        return TRAILS
    return ODD if odd else CUT


def is_trailer(text: str) -> bool:
    """Whether a last line says itself that it is no row."""
    text = text.strip()
    return len(text) <= LONGEST and bool(TRAILER.match(text) or FOOTER.search(text))


def counted(text: str, rows: int) -> bool:
    """Whether a line holds the number of the rows before it, with the headings and itself or
    without, and little else.
    """
    found = {int(digits) for digits in re.findall(r"(?<![0-9])[0-9]{1,12}(?![0-9])", text)}
    return rows > 1 and len(found) < 4 and bool(found & {rows, rows + 1, rows + 2})


def is_header(text: str) -> bool:
    """Whether a first line says itself that it is no row."""
    return len(text) <= LONGEST and HEADER.match(text.strip()) is not None


def alike(text: str, other: str) -> bool:
    """Whether two values are of one kind: digits where the other has digits, letters where it has
    letters.
    """
    return _kind(text) == _kind(other)


def _kind(text: str) -> str:
    kinds = re.sub(r"[0-9]+", "9", text.strip().strip('"'))
    return re.sub(r"[^\W\d_]+", "a", kinds)


def judged(
    source: str,
    feed: Feed,
    file: str,
    read: tuple[int, tuple[Reject, ...], Last],
    *,
    whole: bool,
    size: int,
    line: int,
    most_rejected: float,
) -> tuple[tuple[Reject, ...], tuple[Finding, ...]]:
    """The rejects but for a trailer, which is told. Raises RefusedError where the file was cut off.
    `read`: whole rows, rejects, what is last; `whole`: it ends with a line end, or says it ends.

    A file whose every line is bad was not cut off: what is wrong is how it was written.
    """
    good, rejects, last = read
    others = len(rejects) - (last.bad is not None)
    if others > most_rejected * max(1, good + others):
        return rejects, ()
    if good and foreign.broke_off(last.behind):
        raise RefusedError("feed_broke_off", {"file": file, "rows": f"{good:,}"}, last.line)
    bad = last.bad
    if bad and bad.code in ("reject_fields", "reject_quoting") and _is_short(bad):
        values = values_of(last.text, last.delimiter)
        before = next(iter(values_of(last.row, last.delimiter)), "")
        kind = CUT
        if bad.code == "reject_fields" and good:
            kind = last_line(last.text, values, before, good + others)
        elif bad.code == "reject_fields" and is_trailer(last.text):
            kind = TRAILS
        if kind == TRAILS:
            return rejects[:-1], (trailer(source, feed, file, bad.line),)
        if kind == ODD and whole:
            odd = replace(rejects[-1], code="reject_last_line", column="", record="")
            return (*rejects[:-1], odd), ()
        if whole and bad.code == "reject_fields" and not good:
            return rejects, ()
        if whole or not feed.ends_with_newline:
            why = problems.sentence(bad.code, bad.values)
            raise RefusedError("feed_truncated_record", {"file": file, "why": why}, bad.line)
    if feed.ends_with_newline and not whole:
        raise RefusedError("feed_truncated", {"file": file, "bytes": size}, line)
    return rejects, ()


def _is_short(bad: Bad) -> bool:
    fields, expected = bad.values.get("fields", 0), bad.values.get("expected", 1)
    return isinstance(fields, int) and isinstance(expected, int) and fields < expected


def trailer(source: str, feed: Feed, file: str, line: int) -> Finding:
    """That a last line is a trailer nobody declared."""
    return Finding("trailer_read_over", {}, source=source, feed=feed.name, file=file, line=line)


def marks(source: str, feed: Feed, file: str, end: End, line: int) -> tuple[Finding, ...]:
    """That a text ends with the end mark of DOS."""
    if not end.marked:
        return ()
    return (Finding("end_mark_read_over", {}, source=source, feed=feed.name, file=file, line=line),)
