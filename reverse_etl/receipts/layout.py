"""Layout: how answers to a file are written, as `receipts/<name>.yml` beside the settings says it.

In: the YAML, the bytes of an answer. Out: `Answer` values, a row of ours each. Pure but for reading
the YAML. Refused (`ReceiptError`): a layout nobody can follow, a file that is not of its form.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BeforeValidator, Field

from common import paths, settings
from common.settings import Section, Text


class ReceiptError(Exception):
    """An answer or a layout that cannot be read; the message names column, line or key."""


def _pattern(text: str) -> str:
    try:
        known = re.compile(text).groupindex
    except re.error as error:
        raise ValueError(f"which is no pattern ({error})") from None
    if text and not known:
        raise ValueError("it must name its parts, as (?P<card>[0-9]+)")
    return text


def _positions(text: str) -> str:
    found = re.fullmatch(r"([1-9]\d*)-([1-9]\d*)", text)
    if found is None or int(found[1]) > int(found[2]):
        raise ValueError('write the first and the last character: "1-6"')
    return text


def _codec(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise ValueError("which is no encoding") from None


def _folded(words: Any) -> Any:
    return [str(word).casefold() for word in words] if isinstance(words, list) else words


Words = Annotated[list[str], BeforeValidator(_folded)]


class Refused(Section):
    """`refused:` of a layout: which rows speak of a refusal."""

    column: Text = ""
    """The column that says how a row fared."""
    words: Words = Field(default_factory=list)
    """What stands there where it was not taken."""
    taken: Words = Field(default_factory=list)
    """What stands there where it was: anything else is a refusal."""


class Layout(Section):
    """receipts/<name>.yml: answers to the files of one export."""

    entity: Text
    """The export the rows are of."""
    files: list[str] = Field(min_length=1)
    """Patterns of their names."""
    format: Literal["delimited", "fixed", "lines"] = "delimited"
    """Columns with a sign between, of fixed widths, or a log: lines a pattern fits."""
    encoding: Annotated[Text, AfterValidator(_codec)] = "utf-8-sig"
    """Python's name of it; what it does not have is read as a question mark."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """The sign between columns."""
    header: bool = True
    """Whether the first line names the columns."""
    columns: list[str] = Field(default_factory=list)
    """Their names, where no line says them."""
    positions: dict[str, Annotated[str, AfterValidator(_positions)]] = Field(default_factory=dict)
    """Of fixed widths: column -> its first and last character."""
    line: Annotated[str, AfterValidator(_pattern)] = ""
    """Of a log: a pattern whose named parts are the columns; other lines are read over."""
    key: dict[str, str] = Field(min_length=1)
    """Column of the answer -> column of the export: whose row it is."""
    reason: Text = ""
    """The column that says why."""
    refused: Refused = Refused()
    """Which rows were not taken; unset: all that are listed."""
    owner: Text = "technician"
    """Who mends what is refused."""

    def takes(self, name: str) -> bool:
        """Whether a file is one of them."""
        return any(fnmatch(name.casefold(), pattern.casefold()) for pattern in self.files)


@dataclass(frozen=True)
class Answer:
    """What is said of one row: column of the export -> value, and why it was not taken."""

    line: int
    key: tuple[tuple[str, str], ...]
    is_refused: bool
    reason: str
    others: tuple[str, ...]  # what else stands in the row: it may be somebody's


def load(name: str) -> Layout:
    """A layout of the project by name. Raises ReceiptError, SettingsError."""
    path = paths.home() / "receipts" / f"{name}.yml"
    where = f"receipts/{path.name}"
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError:
        raise ReceiptError(f"{where} is not there: it says how answers are written") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ReceiptError(f"{where} is no YAML") from None
    if not isinstance(document, dict):
        raise ReceiptError(f"{where} must be keys and values")
    made = settings.parse(Layout, document, (name,), lambda _: f"{where}: ")
    named = [*made.key, *filter(None, (made.reason, made.refused.column))]
    known = {
        "delimited": [] if made.header else made.columns,
        "fixed": [*made.positions],
        "lines": [*re.compile(made.line).groupindex],
    }[made.format]
    asks = made.format != "delimited" or not made.header
    if asks and (strange := [one for one in named if one not in known]):
        raise ReceiptError(
            f"{where}: there is no column {strange[0]!r}; there are {', '.join(known) or 'none'}"
        )
    return made


def answers(layout: Layout, data: bytes) -> Iterator[Answer]:
    """What a file says. Raises ReceiptError."""
    text = data.decode(layout.encoding, "replace").replace("\ufffd", "?")
    for number, row in _rows(layout, text):
        if not any(row.get(column) for column in layout.key):
            continue
        said = layout.refused
        word = (row.get(said.column) or "").strip().casefold()
        is_refused = word in said.words if said.words else word not in said.taken
        spoken = {layout.reason, said.column}
        yield Answer(
            number,
            tuple((ours, (row.get(theirs) or "").strip()) for theirs, ours in layout.key.items()),
            is_refused or not said.column,
            (row.get(layout.reason) or "").strip(),
            tuple(v.strip() for c, v in row.items() if c not in spoken and v and v.strip()),
        )


def _rows(layout: Layout, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    match layout.format:
        case "lines":
            pattern = re.compile(layout.line)
            for number, line in enumerate(text.splitlines(), 1):
                if found := pattern.search(line):
                    yield number, {k: v or "" for k, v in found.groupdict().items()}
        case "fixed":
            places = {
                name: tuple(map(int, said.split("-"))) for name, said in layout.positions.items()
            }
            for number, line in enumerate(text.splitlines(), 1):
                if number > layout.header:
                    yield number, {n: line[a - 1 : b] for n, (a, b) in places.items()}
        case _:
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=layout.delimiter)
            names = layout.columns
            for row in reader:
                if layout.header and reader.line_num == 1:
                    names = [name.strip() for name in row]
                    wanted = [*layout.key, *filter(None, (layout.reason, layout.refused.column))]
                    if missing := [name for name in wanted if name not in names]:
                        raise ReceiptError(f"it has no column {missing[0]!r}")
                    continue
                yield reader.line_num, dict(zip(names, row, strict=False))
