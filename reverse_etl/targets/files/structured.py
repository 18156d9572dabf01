"""Files that are no lines of values: a workbook of Excel, JSON, XML.

In: the rows as `file_rows` has them, an export's format. Out: the same bytes for the same rows: no
clock, no machine, no chance. In a workbook every cell is a text, so a number keeps its zeros and
nothing that looks like a formula is one. JSON and XML stand in a template: `banner` before all
rows, `row` for each, with `{column}` where a value stands, `trailer` after them.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import BinaryIO
from xml.sax.saxutils import escape

from reverse_etl.form import CHARSETS, PLACE, FileFormat, Moment, words_in

NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?$")
NUMBERS = ("integer", "bigint", "smallint", "int", "decimal", "numeric", "double", "float")
MADE = datetime(1980, 1, 1)  # noqa: DTZ001  a workbook's own clock, which has no zone
MOST_ROWS = 1_048_576  # of a sheet, as Excel has it
Row = Sequence[str | None]


class TooManyRowsError(Exception):
    """More rows than a sheet holds."""


def write(  # noqa: PLR0917
    out: BinaryIO,
    form: FileFormat,
    names: Sequence[str],
    headings: Sequence[str],
    types: Mapping[str, str],
    rows: Iterable[Row],
    moment: Moment,
) -> int:
    """Write one file to `out`; how many rows there were. `types`: column -> what its contract says,
    of those whose values are written as they are.
    """
    if form.layout == "excel":
        return _workbook(out, form, headings, rows, moment)
    return _text(out, form, names, headings, types, rows, moment)


# ---------------------------------------------------------------- Excel


def _workbook(
    out: BinaryIO, form: FileFormat, headings: Sequence[str], rows: Iterable[Row], moment: Moment
) -> int:
    import xlsxwriter  # a third of a second, only where there is a workbook

    if "rows" in words_in(form.banner):
        rows = [*rows]
    made = io.BytesIO()
    with xlsxwriter.Workbook(made, {"in_memory": True}) as book:
        book.set_properties({"created": MADE})
        sheet, at, count = book.add_worksheet(form.sheet or "Sheet1"), 0, 0
        if form.banner:
            length = len(rows) if isinstance(rows, list) else None
            sheet.write_string(at, 0, moment.filled(form.banner, rows=length))
            at += 1
        for row in [headings] if form.header else []:
            _cells(sheet, at, row)
            at += 1
        for row in rows:
            if at + bool(form.trailer) >= MOST_ROWS:
                raise TooManyRowsError(f"a sheet of Excel holds {MOST_ROWS:,} rows and no more")
            _cells(sheet, at, row)
            at, count = at + 1, count + 1
        if form.trailer:
            sheet.write_string(at, 0, moment.filled(form.trailer, rows=count))
    out.write(made.getvalue())
    return count


def _cells(sheet: object, at: int, row: Row) -> None:
    for place, value in enumerate(row):
        if value:
            sheet.write_string(at, place, value)  # type: ignore[attr-defined]


# ---------------------------------------------------------------- JSON and XML


def _text(  # noqa: PLR0917
    out: BinaryIO,
    form: FileFormat,
    names: Sequence[str],
    headings: Sequence[str],
    types: Mapping[str, str],
    rows: Iterable[Row],
    moment: Moment,
) -> int:
    is_json, end = form.layout == "json", "\n"
    opening, closing = (
        ("[", "]")
        if is_json
        else (f'<?xml version="1.0" encoding="{CHARSETS[form.encoding]}"?>{end}<rows>', "</rows>")
    )
    template = form.row or (_object if is_json else _element)(names, headings)
    count, kinds = 0, [types.get(name, "") for name in names]
    if "rows" in words_in(form.banner):
        rows = [*rows]
    length = len(rows) if isinstance(rows, list) else None
    text = io.TextIOWrapper(out, encoding=form.codec, newline="", write_through=False)
    text.write((moment.filled(form.banner, rows=length) if form.banner else opening) + end)
    for row in rows:
        said = {
            name: _json(value, kind) if is_json else _xml(value)
            for name, value, kind in zip(names, row, kinds, strict=True)
        }
        if is_json and count:
            text.write("," + end)
        text.write(PLACE.sub(lambda place, said=said: said[place[1]], template))
        text.write("" if is_json else end)
        count += 1
    text.write(end if is_json and count else "")
    text.write((moment.filled(form.trailer, rows=count) if form.trailer else closing) + end)
    text.flush()
    text.detach()  # `out` belongs to the caller and stays open
    return count


def _object(names: Sequence[str], headings: Sequence[str]) -> str:
    members = (
        f"{json.dumps(heading, ensure_ascii=False)}: {{{name}}}"
        for name, heading in zip(names, headings, strict=True)
    )
    # two braces of our own around them: what stands between is no place
    return "{" + ", ".join(members) + "}"


def _element(names: Sequence[str], headings: Sequence[str]) -> str:
    members = (
        f"<{heading}>{{{name}}}</{heading}>" for name, heading in zip(names, headings, strict=True)
    )
    return "<row>" + "".join(members) + "</row>"


def _json(value: str | None, kind: str) -> str:
    if value is None:
        return "null"
    if kind.startswith("bool") and value in {"true", "false"}:
        return value
    if kind.startswith(NUMBERS) and NUMBER.match(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _xml(value: str | None) -> str:
    """A value as it may stand within an element, and within an attribute's double quotes."""
    return escape(value or "", {'"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#9;"})
