"""Where the records of a delimited file begin and end, which of them are whole, and on which line
each stands.

In: the bytes of a file (bytes or mmap), a delimiter, the number of fields, which fields may not be
empty, the encoding. Out: `Good` spans (whole records, one after another, none containing a line
break) and single `Bad` ones with the reason. Pure.

Why not leave it to a CSV reader: readers number records, not lines, drop the count as soon as a
value holds a line break, and take one stray quote as the beginning of a value that swallows the
file. Here a line that cannot be read is rejected alone and reading goes on with the next line. Runs
of whole one-line records, nearly all of every file, are matched by one regular expression in C: 100
MB a second.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from mmap import mmap

from common import problems
from ingestion import numbers
from ingestion.configured import Limits

WINDOW = 4 << 20  # bytes one match may look at: bounds memory, not records
UTF_8, UTF_8_BOM, CP1252 = "utf-8", "utf-8-bom", "cp1252"
BOM = b"\xef\xbb\xbf"
NOT_IN_CP1252 = b"\x81\x8d\x8f\x90\x9d"
ASCII = bytes(range(128))

FEW = 5  # characters outside ASCII that prove nothing about an encoding

Buffer = bytes | mmap


class UnreadableError(Exception):
    """The bytes are no text in an encoding we read; the message says what they look like."""


@dataclass(frozen=True)
class Encoding:
    """How the bytes are to be read. `damaged`: some lines are not, and have to be found one by one.
    `tells`: it is not all ASCII.
    """

    name: str
    damaged: bool = False
    tells: bool = False

    @property
    def codec(self) -> str:
        return "cp1252" if self.name == CP1252 else "utf-8"

    @property
    def begin(self) -> int:
        """Where the first line begins: behind the byte order mark if there is one."""
        return len(BOM) if self.name == UTF_8_BOM else 0


@dataclass(frozen=True)
class Good:
    """`count` whole records of `buffer[start:end]`; the first begins on `line`. Only a single one
    may span lines.
    """

    start: int
    end: int
    line: int
    count: int


@dataclass(frozen=True)
class Bad:
    """One record that cannot be landed, and why: a code of the catalogue and its values."""

    start: int
    end: int
    line: int
    code: str
    values: problems.Values = field(default_factory=dict)

    @property
    def column(self) -> str:
        """The one that is wrong, where it is one."""
        return str(self.values.get("column", ""))


def encoding_of(chunks: Iterable[bytes], before: str = "") -> Encoding:
    """UTF-8 if the bytes are (with or without byte order mark), else CP1252; refuses UTF-16, UTF-32
    and binary files.

    A UTF-8 file with a few broken bytes stays UTF-8, `damaged`: read as CP1252 every accented name
    in it would change. It is taken for one when more of its characters outside ASCII are whole than
    broken. The bytes of a few CP1252 letters may be UTF-8 by chance (É’ is ɒ): a feed that was
    CP1252 `before` stays so until more than that speaks against it.
    """
    whole = broken = 0
    rest, first = b"", True
    bom = undefined = False
    for chunk in chunks:
        if first:
            first = False
            _refuse_other_files(chunk)
            bom = chunk.startswith(BOM)
        undefined = undefined or len(chunk) > len(chunk.translate(None, NOT_IN_CP1252))
        data = rest + chunk
        cut = _last_boundary(data)
        data, rest = data[:cut], data[cut:]
        found = _characters(data)
        whole, broken = whole + found[0], broken + found[1]
    found = _characters(rest)
    whole, broken = whole + found[0], broken + found[1]
    if before == CP1252 and not bom and not broken and 0 < whole < FEW:
        return Encoding(CP1252, damaged=undefined, tells=True)
    if not broken:
        return Encoding(UTF_8_BOM if bom else UTF_8, tells=whole > 0)
    if bom or whole > broken:
        return Encoding(UTF_8_BOM if bom else UTF_8, damaged=True, tells=True)
    return Encoding(CP1252, damaged=undefined, tells=True)


def _refuse_other_files(head: bytes) -> None:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or head[:4] == b"\x00\x00\xfe\xff":
        raise UnreadableError("it is UTF-16 or UTF-32 text; only UTF-8 and CP1252 are read")
    if head[:4] == b"PK\x03\x04":
        raise UnreadableError("it is a ZIP or Excel file, not delimited text")
    if b"\0" in head[:65536]:
        raise UnreadableError(
            "it holds zero bytes: UTF-16 text without a mark, or no text at all; only UTF-8 and"
            " CP1252 are read"
        )


def _last_boundary(data: bytes) -> int:
    """Where a chunk may be cut without cutting a UTF-8 character."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte < 0x80:
            return len(data)
        if byte >= 0xC0:
            return len(data) - back
    return len(data)


def _characters(data: bytes) -> tuple[int, int]:
    """How many characters outside ASCII are whole UTF-8, and how many bytes are not."""
    if data.isascii():
        return 0, 0
    plain = len(data) - len(data.translate(None, ASCII))
    try:
        return len(data.decode("utf-8")) - plain, 0
    except UnicodeDecodeError:
        text = data.decode("utf-8", "surrogateescape")
        broken = len(re.findall("[\udc80-\udcff]", text))
        return len(text) - plain - broken, broken


@dataclass(frozen=True)
class Shape:
    """How records look: delimiter, number of fields, the fields (position -> name) that may not be
    empty, those that are numbers.
    """

    delimiter: str
    fields: int
    never_empty: dict[int, str]
    numbers: dict[int, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)

    def whole_lines(self) -> re.Pattern[bytes]:
        """As many one-line records as there are, each with the right number of fields."""
        delimiter = re.escape(self.delimiter).encode()
        plain = b'[^"\\r\\n\\0' + delimiter + b"]"
        inside = rb'[^"\r\n\0]*+(?:""[^"\r\n\0]*+)*+"'
        any_value = b'(?:"' + inside + b"|" + plain + b"*+)"
        some_value = b'(?:"(?!"(?!"))' + inside + b"|" + plain + b"++)"
        whole = b"(?!" + numbers.in_powers(self.delimiter) + b")"
        values = (
            (whole if at in self.numbers else b"")
            + (some_value if at in self.never_empty else any_value)
            for at in range(self.fields)
        )
        # A line with nothing on it is no record, not even of a file with one column.
        return re.compile(rb"(?:(?!\r?\n)" + delimiter.join(values) + rb"\r?\n)++")


def fields_of(
    buffer: Buffer, start: int, delimiter: str, codec: str, longest: int = Limits().line
) -> list[str] | None:
    """The values of the record at `start`; None when it cannot be read."""
    end = _record_end(_any_record(delimiter), buffer, start, longest)
    return None if end is None else _values(buffer[start:end].decode(codec, "replace"), delimiter)


def record_end(
    buffer: Buffer, start: int, delimiter: str, longest: int = Limits().line
) -> int | None:
    """Where the record at `start` ends, line breaks inside quotes included; None when it cannot be
    read.
    """
    return _record_end(_any_record(delimiter), buffer, start, longest)


def scan(
    buffer: Buffer, start: int, line: int, shape: Shape, encoding: Encoding
) -> Iterator[Good | Bad]:
    """Good spans and bad records from `start` to the end; empty lines are nobody's."""
    runs = shape.whole_lines()
    single = _Single(buffer, shape, encoding, runs, _any_record(shape.delimiter))
    place, size = start, len(buffer)
    one_by_one = encoding.damaged or _has_line_over(buffer, start, shape.limits.value)
    while place < size:
        run = None if one_by_one else runs.match(buffer, place, min(size, place + WINDOW))
        if run is not None:
            count = buffer[place : run.end()].count(b"\n")
            yield Good(place, run.end(), line, count)
            place, line = run.end(), line + count
            continue
        found = single.at(place, line)
        if isinstance(found, int):
            end = found
        else:
            end = found.end
            yield found
        line += buffer[place:end].count(b"\n")
        place = end


@dataclass(frozen=True)
class _Single:
    """The slow way, one record at a time: line breaks in values, and everything that is wrong."""

    buffer: Buffer
    shape: Shape
    encoding: Encoding
    runs: re.Pattern[bytes]
    anything: re.Pattern[bytes]

    def at(self, place: int, line: int) -> Good | Bad | int:
        """The record at `place`, or the end of the empty line there."""
        newline = self.buffer.find(b"\n", place)
        line_end = len(self.buffer) if newline < 0 else newline + 1
        limits = self.shape.limits
        if line_end - place > limits.line:
            return Bad(place, line_end, line, "reject_long_line", {"most": limits.line_kilobytes})
        if not self.buffer[place:line_end].strip(b"\r\n"):
            return line_end
        end = _record_end(self.anything, self.buffer, place, limits.line)
        if end is None:
            return Bad(place, line_end, line, "reject_quoting")
        try:
            values = _values(
                self.buffer[place:end].decode(self.encoding.codec), self.shape.delimiter
            )
        except UnicodeDecodeError as error:
            # CP1252 lacks five bytes that Latin-1 has: saying which helps whoever looks for its
            # origin.
            which = (
                f" (byte 0x{error.object[error.start]:02X})" if self.encoding.name == CP1252 else ""
            )
            return Bad(
                place, end, line, "reject_encoding", {"encoding": self.encoding.name, "byte": which}
            )
        if len(values) != self.shape.fields:
            # A quote nobody closed may have reached for one further down: then the very next line
            # is whole.
            if end > line_end and self.runs.match(
                self.buffer, line_end, min(len(self.buffer), line_end + limits.line)
            ):
                return Bad(place, line_end, line, "reject_quoting")
            return Bad(
                place,
                end,
                line,
                "reject_fields",
                {"fields": len(values), "expected": self.shape.fields},
            )
        if long := [at for at, value in enumerate(values, 1) if len(value) > limits.value]:
            most = {"place": long[0], "most": limits.value_kilobytes}
            return Bad(place, end, line, "reject_long_value", most)
        empty = [name for at, name in self.shape.never_empty.items() if not values[at]]
        if empty:
            return Bad(place, end, line, "reject_empty", {"column": empty[0]})
        rounded = [
            name
            for at, name in self.shape.numbers.items()
            if at in self.shape.never_empty and numbers.is_rounded(values[at])
        ]
        return (
            Bad(place, end, line, "reject_rounded", {"column": rounded[0]})
            if rounded
            else Good(place, end, line, 1)
        )


def _any_record(delimiter: str) -> re.Pattern[bytes]:
    """One record with any number of fields, line breaks inside quotes included; the last one may
    lack its line end.
    """
    mark = re.escape(delimiter).encode()
    value = rb'(?:"[^"\0]*+(?:""[^"\0]*+)*+"|[^"\r\n\0' + mark + rb"]*+)"
    return re.compile(value + b"(?:" + mark + value + rb")*+(?:\r?\n|\Z)")


def _record_end(pattern: re.Pattern[bytes], buffer: Buffer, place: int, longest: int) -> int | None:
    limit = min(len(buffer), place + longest)
    match = pattern.match(buffer, place, limit)
    if match is None or (match.end() == limit < len(buffer) and buffer[limit - 1 : limit] != b"\n"):
        return None
    return match.end()


def _has_line_over(buffer: Buffer, start: int, most: int) -> bool:
    """Whether any line is longer; looks at one byte in so many."""
    while start + most < len(buffer):
        end = buffer.rfind(b"\n", start, start + most)
        if end < 0:
            return True
        start = end + 1
    return False


def values_of(text: str, delimiter: str) -> list[str]:
    """The values of one record, as far as it can be read."""
    return _values(text, delimiter)


def _values(text: str, delimiter: str) -> list[str]:
    mark = re.escape(delimiter)
    value = re.compile(f'(?:"([^"]*+(?:""[^"]*+)*+)"|([^"\r\n{mark}]*))({mark}|\r?\n|\\Z)')
    values, at = [], 0
    while match := value.match(text, at):
        quoted, bare, behind = match.groups()
        values.append(bare if quoted is None else quoted.replace('""', '"'))
        if behind != delimiter:
            break
        at = match.end()
    return values
