"""Why the first line of a file is neither the headings nor the rows its layout describes.

In: the feed, the bytes, where the first line begins. Out: the refusal that says what the file is
and what to choose in the exporting system; None when nothing of it is known. Pure. No value is
quoted: a line may be a person.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ingestion import foreign
from ingestion.heading import Heading, understood
from ingestion.layout import Feed, plain
from ingestion.model import RefusedError
from ingestion.scan import Buffer, Encoding, fields_of

LOOKED_AT = 20  # lines in which headings are looked for
MARKS = {
    ",": "commas",
    ";": "semicolons",
    "\t": "tabs",
    "|": "pipes",
    ":": "colons",
    "^": "carets",
    "~": "tildes",
    "!": "exclamation marks",
    "*": "asterisks",
    "#": "number signs",
    "$": "dollar signs",
    "%": "per cent signs",
    "&": "ampersands",
    "=": "equals signs",
    "/": "slashes",
    "¦": "broken bars",
    "§": "section signs",
    "¬": "not signs",
    "\x01": "control characters (0x01)",
    "\x1f": "control characters (0x1F)",
    "\x1c": "control characters (0x1C)",
}
QUOTES = (
    ("'", "'", "apostrophes"),
    ("`", "'", "apostrophes"),
    ("`", "`", "grave accents"),
    ("“", "”", "curled quotation marks"),
    ("‘", "’", "curled apostrophes"),
    ("„", "“", "curled quotation marks"),
    ("«", "»", "angled quotation marks"),
)
SEP_LINE = re.compile(r'\s*"?sep=(.?)"?[,;\t|]*\s*', re.IGNORECASE)


def expected(feed: Feed) -> str:
    """What a feed's file is, in words."""
    if feed.format == "excel":
        return "an Excel workbook (.xlsx)"
    if feed.format == "fixed":
        return "lines of a fixed width"
    return f"text separated by {_marks(feed)}"


def refuse_foreign(feed: Feed, file: str, head: bytes) -> None:
    """Refuse what its first bytes show to be no such file at all."""
    if code := foreign.what(head):
        raise RefusedError(code, {"file": file, "expected": expected(feed)})


def heading(
    source: str,
    feed: Feed,
    file: str,
    *,
    buffer: Buffer,
    first: tuple[int, int],
    encoding: Encoding,
) -> Heading:
    """How the first line is to be understood. Raises RefusedError with what is known about why it
    cannot be. `first`: where it begins, and its number.
    """
    begin, line = first
    if ends := foreign.line_ends(bytes(buffer[begin : begin + foreign.HEAD])):
        raise RefusedError("feed_line_ends", {"file": file, "ends": ends})
    readings = ((mark, fields_of(buffer, begin, mark, encoding.codec)) for mark in feed.delimiters)
    given = [(mark, values) for mark, values in readings if values]
    try:
        found = understood(source, feed, file, given)
    except RefusedError as refused:
        raise why(feed, file, buffer, first, encoding) or refused from None
    first_values = next(values for mark, values in given if mark == found.delimiter)
    if refused := _other_quotes(file, first_values):
        raise refused
    if not found.has_header and (
        at := _headings_below(feed, buffer, begin, found.delimiter, encoding)
    ):
        raise _titled(file, line + at)
    return found


def why(
    feed: Feed, file: str, buffer: Buffer, first_line: tuple[int, int], encoding: Encoding
) -> RefusedError | None:
    """What is the matter with a file whose first line (where it begins, and its number) was not
    understood.
    """
    begin, line = first_line
    head = bytes(buffer[begin : begin + foreign.HEAD])
    values = {"file": file, "expected": _marks(feed)}
    lines = list(_lines(buffer, begin))
    first = _text(buffer, *lines[0], encoding)
    if said := SEP_LINE.fullmatch(first):
        return RefusedError(
            "feed_sep_line", {**values, "mark": MARKS.get(said[1], "nothing")}, line
        )
    if found := _headings(feed, buffer, lines, encoding):
        at, mark = found
        if mark not in feed.delimiters:
            return _other_mark(values, mark)
        if at:
            return _titled(file, line + at)
    if _quoted_whole(feed, buffer, lines[0][0], encoding):
        return RefusedError("feed_lines_quoted", values, line)
    if found := _rows(feed, buffer, lines, encoding):
        at, mark = found
        if mark not in feed.delimiters:
            return _other_mark(values, mark)
        if at:
            return _titled(file, line + at)
    known = [plain(column.heading) for column in feed.columns]
    if re.search(r"\S\s{2,}\S", first) and sum(one in plain(first) for one in known) > 1:
        return RefusedError("feed_padded", values, line)
    if foreign.is_message(head):
        return RefusedError("feed_is_message", {**values, "expected": expected(feed)}, line)
    if len(feed.columns) > 1 and not any(
        len(fields_of(buffer, start, mark, encoding.codec) or []) > 1
        for start, _ in lines
        for mark in feed.delimiters
    ):
        return RefusedError("feed_no_table", values, line)
    return None


def _other_quotes(file: str, values: Iterable[str]) -> RefusedError | None:
    """The refusal of a file whose values stand in signs that are no quotation marks of a table:
    they would be part of every key and name.
    """
    filled = [value.strip() for value in values if value.strip()]
    for opens, closes, called in QUOTES:
        quoted = [v for v in filled if len(v) > 1 and v.startswith(opens) and v.endswith(closes)]
        if len(quoted) > 1 and len(quoted) * 2 > len(filled):
            return RefusedError("feed_quote_signs", {"file": file, "signs": called})
    return None


def _titled(file: str, line: int) -> RefusedError:
    """The refusal of a file whose headings or rows begin below something else."""
    above = "1 line" if line == 2 else f"{line - 1:,} lines"
    return RefusedError("feed_title", {"file": file, "above": above}, line)


def _headings_below(
    feed: Feed, buffer: Buffer, begin: int, delimiter: str, encoding: Encoding
) -> int | None:
    """How many lines below the first its headings stand, in a file whose first line was taken for a
    row and is none: Excel fills a title up with commas.
    """
    needed = [at for at, column in enumerate(feed.columns) if column.name in _needed(feed)]
    for at, (start, _) in enumerate(_lines(buffer, begin)):
        values = fields_of(buffer, start, delimiter, encoding.codec) or []
        if _known(feed, values) >= min(2, len(feed.columns)):
            return at or None
        if all(at < len(values) and values[at].strip() for at in needed):
            return None  # a row
    return None


def _needed(feed: Feed) -> set[str]:
    return {*feed.required, *feed.never_empty, *feed.key}


def _lines(buffer: Buffer, begin: int) -> Iterator[tuple[int, int]]:
    """Where each of the first lines that hold anything begins and ends, blank ones as well."""
    for _ in range(LOOKED_AT):
        if begin >= len(buffer):
            return
        end = buffer.find(b"\n", begin) + 1 or len(buffer)
        yield begin, end
        begin = end


def _text(buffer: Buffer, start: int, end: int, encoding: Encoding) -> str:
    return bytes(buffer[start : min(end, start + foreign.HEAD)]).decode(encoding.codec, "replace")


def _readings(
    feed: Feed, buffer: Buffer, start: int, encoding: Encoding
) -> Iterator[tuple[str, list[str]]]:
    for mark in dict.fromkeys((*feed.delimiters, *MARKS)):
        if values := fields_of(buffer, start, mark, encoding.codec):
            yield mark, values


def _known(feed: Feed, values: list[str]) -> int:
    return len({column for value in values if value.strip() and (column := feed.column(value))})


def _headings(
    feed: Feed, buffer: Buffer, lines: list[tuple[int, int]], encoding: Encoding
) -> tuple[int, str] | None:
    """The line and the mark under which the most headings are known: the first of them."""
    found = [
        (_known(feed, values), at, mark)
        for at, (start, _) in enumerate(lines)
        for mark, values in _readings(feed, buffer, start, encoding)
    ]
    if not found:
        return None
    most = max(count for count, _, _ in found)
    if most < min(2, len(feed.columns)):
        return None
    return next((at, mark) for count, at, mark in found if count == most)


def _rows(
    feed: Feed, buffer: Buffer, lines: list[tuple[int, int]], encoding: Encoding
) -> tuple[int, str] | None:
    """The line and the mark from which on the lines have the layout's number of columns; what
    stands above is a title only where it is one value a line.
    """
    allowed = {len(feed.columns), *feed.legacy_column_counts} - {1}
    for at, (start, _) in enumerate(lines):
        readings = list(_readings(feed, buffer, start, encoding))
        for mark, values in readings:
            own = mark in feed.delimiters
            if (
                len(values) in allowed
                and (feed.order_known or not own)
                and (own or mark not in ":/=#")
            ):
                return at, mark
        filled = [
            sum(map(bool, map(str.strip, one))) for mark, one in readings if mark in feed.delimiters
        ]
        if max(filled, default=2) > 1:
            return None
    return None


def _quoted_whole(feed: Feed, buffer: Buffer, start: int, encoding: Encoding) -> bool:
    for mark, values in _readings(feed, buffer, start, encoding):
        if len(values) == 1 and mark in feed.delimiters:
            inner = [part.strip().strip('"') for part in values[0].split(mark)]
            if len(inner) > 1 and _known(feed, inner) >= min(2, len(feed.columns)):
                return True
    return False


def _other_mark(values: dict[str, str], mark: str) -> RefusedError:
    shown = mark if mark.isprintable() else repr(mark)[1:-1]
    return RefusedError("feed_delimiter", {**values, "mark": MARKS[mark], "sign": shown})


def _marks(feed: Feed) -> str:
    return " or ".join(MARKS.get(mark, mark) for mark in feed.delimiters)
