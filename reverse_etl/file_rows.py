"""File rows: what of an export stands in a file, each value in the text its form says.

In: the export's table, for a delta what happened to which row, and the rows left out. Out: rows of
text ordered by key, as many values as the file has columns; and what could not be written as it is
(`Cells.lost`): letters the encoding lacks, values too long, values its format cannot be made of.
What the form answers to those is kept here: refused, or written otherwise and told.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from common import sql
from common.findings import Finding
from common.printable import inert
from common.problems import Reason
from reverse_etl.form import ACTION, CELL_LENGTH, STRUCTURED, UNWRITABLE, FileFormat, pattern
from reverse_etl.model import REMOVE, Column, Export, Part

ROWS_AT_ONCE = 10_000
LETTERS, LENGTH, FORMAT = "letters", "length", "format"
HOLDS = {LETTERS: "hold_letters", LENGTH: "hold_length", FORMAT: "hold_format"}
TOLD = {LETTERS: "file_letters", LENGTH: "file_length", FORMAT: "file_format"}
TRUE, FALSE = frozenset({"true", "t", "1", "yes", "y"}), frozenset({"false", "f", "0", "no", "n"})


def raw(connection: Any, export: Export, part: Part) -> Iterator[tuple[tuple[Any, ...], str, str]]:
    """The rows as text, ordered by key, a few thousand at a time, each with its key as it may be
    shown, and what happened to it in a delta: what left is as it was delivered last.
    """
    names = [column.name for column in export.sent]
    listed, key = sql.names(names), sql.key(export.shown_key)
    where, values = ["true"], dict[str, Any]()
    if part.without:
        where.append(f"{key} not in (select unnest($without))")
        values["without"] = sorted(part.without)
    if part.partition is not None and export.partition:
        where.append(f"cast({sql.name(export.partition)} as varchar) = $partition")
        values["partition"] = part.partition
    kept = " and ".join(where)
    chosen = f"select {listed}, {key} as _key, '' as _action from {export.relation} where {kept}"
    if part.actions is not None:
        values |= {
            "keys": [*part.actions],
            "actions": [action for action, _ in part.actions.values()],
            "were": [was for _, was in part.actions.values()],
        }
        was = ", ".join(
            f"cast(json_extract_string(_was, {path}) as {column.type}) as {sql.name(column.name)}"
            for column in export.sent
            for path in [sql.text("$." + sql.name(column.name))]
        )
        chosen = f"""
            with said as (select unnest($keys) as _said, unnest($actions) as _action,
            unnest($were) as _was)
            select {listed}, _said as _key, _action from {export.relation}
            join said on {key} = _said where _action <> '{REMOVE}' and {kept}
            union all by name
            select {was}, _said as _key, _action from said where _action = '{REMOVE}'"""
    texts = ", ".join(f"cast({sql.name(column.name)} as varchar)" for column in export.written)
    cursor = connection.cursor()
    try:
        cursor.execute(
            f"select {texts}, _key, _action from ({chosen}) order by {sql.names(export.key)}",
            values,
        )
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            for row in rows:
                yield row[:-2], row[-2], row[-1]
    finally:
        cursor.close()


@dataclass
class Cells:
    """The rows of one export in a file's form. `lost`: (column, what, whether it stops the file) ->
    how often; `first`: the key of the first.
    """

    export: Export
    form: FileFormat
    stamp: str = ""  # of a delta: since when its rows are as they are
    lost: Counter[tuple[str, str, bool]] = field(default_factory=Counter)
    first: dict[tuple[str, str, bool], str] = field(default_factory=dict)

    def rows(self, connection: Any, part: Part) -> Iterator[list[str | None]]:
        """The rows of a part as they stand in the file."""
        columns, actions = self.export.written, self.form.actions
        for row, key, action in raw(connection, self.export, part):
            texts = [self._text(c, value, key) for c, value in zip(columns, row, strict=True)]
            if actions and actions.is_added:
                texts.insert(
                    0 if actions.at == "first" else len(texts),
                    self._padded(actions.word(action), actions.width, "left", " "),
                )
            for at, column in enumerate(columns) if actions else ():
                if column.name in {actions.at, actions.moment}:
                    said = actions.word(action) if column.name == actions.at else self.stamp
                    texts[at] = self._padded(said, column.cell.width, "left", " ")
            yield texts

    def names(self) -> list[str]:
        """What the columns are called in a template, in the order of a row."""
        found = [column.name for column in self.export.written]
        if (actions := self.form.actions) and actions.is_added:
            found.insert(0 if actions.at == "first" else len(found), ACTION)
        return found

    def types(self) -> dict[str, str]:
        """Column -> type, of those whose values are written as they are."""
        return {
            c.name: c.type.lower()
            for c in self.export.written
            if not c.cell.format and not self._format(c) and not self.form.words
        }

    def headings(self) -> list[str]:
        """The first line: what the target calls each column."""
        actions = self.form.actions
        found = [
            self._padded(c.header or c.name, c.cell.width, "left", " ") for c in self.export.written
        ]
        if actions and actions.is_added:
            at = 0 if actions.at == "first" else len(found)
            found.insert(at, self._padded(actions.header, actions.width, "left", " "))
        return found

    def stops(self) -> Reason | None:
        """Why the file must not go; None when it may."""
        for (column, what, stops), count in sorted(self.lost.items()):
            if stops:
                return Reason(HOLDS[what], self._values(column, what, stops, count))
        return None

    def told(self, file: str) -> list[Finding]:
        """What was written otherwise than it is."""
        return [
            Finding(
                TOLD[what],
                {"file": file, **self._values(column, what, stops, count)},
                target=self.export.target,
                entity=self.export.entity,
                key=self.first[column, what, stops],
            )
            for (column, what, stops), count in sorted(self.lost.items())
            if not stops
        ]

    def _values(self, column: str, what: str, stops: bool, count: int) -> dict[str, Any]:
        return {
            "column": column,
            "count": count,
            "encoding": self.form.encoding,
            "key": self.first[column, what, stops],
        }

    # ------------------------------------------------------------ one value

    def _text(self, column: Column, value: str | None, key: str) -> str | None:
        text, cell = value, column.cell
        if text is not None and column.name not in self.export.key:
            text = self.form.words.get(text, text)
        if text is not None and (form := self._format(column)):
            text = formatted(text, form)
            if text is None:
                self._lose(column, FORMAT, key, stops=self.form.unformatted == "refuse")
        if text and self.form.encoding not in {"utf-8", "utf-8-sig"}:
            text = self._encodable(column, text, key)
        layout = self.form.layout
        if text and layout in {"xml", "excel"} and UNWRITABLE.search(text):
            stops = self.form.unencodable == "refuse"
            self._lose(column, LETTERS, key, stops=stops)
            text = UNWRITABLE.sub(" ", text)
        # a cell of a workbook is a text, whatever it looks like
        if text and self.form.formulas == "text" and layout != "excel":
            text = inert(text)
        is_fixed = self.form.layout == "fixed"
        if is_fixed:
            text = re.sub(r"[\r\n\t]+", " ", text or "")
        most = cell.max_length or (cell.width if is_fixed else 0)
        most = most or (CELL_LENGTH if layout == "excel" else 0)
        if text and most and len(text) > most:
            self._lose(column, LENGTH, key, stops=self.form.too_long == "refuse")
            text = shortened(text, most)
        return self._padded(text or "", cell.width, cell.align, cell.pad) if is_fixed else text

    def _padded(self, text: str, width: int, align: str, pad: str) -> str:
        if self.form.layout != "fixed":
            return text
        return text.rjust(width, pad) if align == "right" else text.ljust(width, pad)

    def _format(self, column: Column) -> str | tuple[str, str] | None:
        kind = column.type.lower()
        if column.cell.format:
            return column.cell.format
        if kind == "date":
            return self.form.date
        if kind.startswith("timestamp"):
            return self.form.date_time
        return self.form.boolean if kind.startswith("bool") else None

    def _encodable(self, column: Column, text: str, key: str) -> str:
        codec, answer = self.form.codec, self.form.unencodable
        composed = unicodedata.normalize("NFC", text)
        if fits(composed, codec):
            return composed
        written, unknown = "", False
        for letter in composed:
            if fits(letter, codec):
                written += letter
                continue
            other = self.form.replacements.get(letter)
            if other is None:
                other = plain(letter, codec)
            unknown |= other is None
            written += "?" if other is None else other
        stops = answer == "refuse" or (answer == "replace" and unknown)
        if stops or answer == "tell" or column.name in self.export.key:
            self._lose(column, LETTERS, key, stops=stops)
        return written

    def _lose(self, column: Column, what: str, key: str, *, stops: bool) -> None:
        """A key that is written otherwise is another's: it always stops the file."""
        found = (column.name, what, stops or column.name in self.export.key)
        self.lost[found] += 1
        self.first.setdefault(found, key)


def is_plain(export: Export, form: FileFormat) -> bool:
    """Whether every value can be written as it is."""
    utf8 = form.encoding in {"utf-8", "utf-8-sig"} and form.layout not in {"fixed", *STRUCTURED}
    formats = form.date or form.date_time or form.boolean
    cells = any(column.cell.max_length or column.cell.format for column in export.written)
    return utf8 and not formats and not cells


def fits(text: str, codec: str) -> bool:
    """Whether an encoding has these letters."""
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def plain(letter: str, codec: str) -> str | None:
    """A letter without its marks, as far as the encoding has it; None where nothing is left of it.
    A mark alone is nothing.
    """
    if unicodedata.category(letter).startswith("M"):
        return ""
    bare = "".join(
        one
        for one in unicodedata.normalize("NFKD", letter)
        if not unicodedata.category(one).startswith("M")
    )
    return bare if bare and bare != letter and fits(bare, codec) else None


def shortened(text: str, most: int) -> str:
    """The beginning of a text; a letter is not parted from its marks."""
    end = most
    while end and unicodedata.category(text[end]).startswith("M"):
        end -= 1
    return text[:end].rstrip()


def formatted(text: str, form: str | tuple[str, str]) -> str | None:
    """A value in a format; None where it cannot be made of it."""
    if isinstance(form, tuple):
        word = text.strip().lower()
        return form[0] if word in TRUE else form[1] if word in FALSE else None
    if not text.strip():
        return ""
    if "#" in form:
        digits, wanted = re.sub(r"\D", "", text), form.count("#")
        if len(digits) == wanted + 1 and digits[0] == "1":  # the country's 1
            digits = digits[1:]
        left = iter(digits)
        return (
            re.sub("#", lambda _: next(left), form)
            if len(digits) == wanted and not re.search(r"[A-Za-z]", text)
            else None
        )
    try:
        day = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return day.strftime(pattern(form))
