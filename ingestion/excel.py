"""Excel workbooks (.xlsx): one sheet turned into delimited text, row by row.

In: a fetched file and its feed (`sheet`, else the first). Out: a `Text` whose lines are the sheet's
rows. A number is its digits (whole numbers without ".0"), a date is ISO text, true and false are
TRUE and FALSE, a formula is the value Excel last computed, an error value (#N/A) is nothing, as an
empty cell is.

Refuses what is no .xlsx, is protected by a password, lacks the sheet, or unpacks to more than the
layout's limits.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from ingestion import diagnosis, foreign
from ingestion.layout import Feed
from ingestion.model import Fetched, RefusedError
from ingestion.text import Text, Writer
from ingestion.unzip import ArchiveRefusedError, contents, counted, listed

SAVE_AS = (
    "save it as an Excel workbook (.xlsx) without a password, or have the extract written as CSV"
)
# the reader holds a sheet as one rectangle: a stray cell far out makes it as large as a disk
CELL = re.compile(
    rb'<(?:\w+:)?(?:(row)\b(?:[^>]*?\br="([0-9]{1,9})")?|c\b(?:[^>]*?\br="([A-Z]{1,3})([0-9]{1,9})")?)'
)
CHUNK = 1 << 20


def text_of(feed: Feed, file: Fetched, to: Path) -> Text:
    """Write the text of a sheet to `to`. Raises Refused."""
    with file.path.open("rb") as opened:
        head = opened.read(foreign.HEAD)
    if not head.startswith(b"PK\x03\x04"):
        values = {"file": file.name, "expected": diagnosis.expected(feed)}
        raise RefusedError(foreign.what(head) or "feed_no_workbook", values)
    _fits(feed, file)
    sheet = _sheet(feed, file)
    width = max(
        (at for row in sheet() for at, value in enumerate(row, 1) if value != ""), default=0
    )
    with to.open("wb") as out:
        writer = Writer(out)
        for number, row in enumerate(sheet(), 1):
            if number <= feed.skip_lines or all(value == "" for value in row):
                writer.nothing()
            else:
                writer.row(_text(value) for value in row[:width])
    return Text(to, "xlsx", shifts=tuple(writer.shifts))


def _fits(feed: Feed, file: Fetched) -> None:
    """A workbook is a zip: it obeys the same limits, and its sheets that of the reader."""
    try:
        unpacked = min(feed.limits.workbook_megabytes, feed.limits.megabytes)
        limits = feed.limits.model_copy(update={"megabytes": unpacked})
        listed(file.path, limits)
        with zipfile.ZipFile(file.path) as packed:
            for member in contents(packed, file.size, limits):
                counted(packed, member, limits)
                if member.filename.startswith("xl/worksheets/"):
                    with packed.open(member) as sheet:
                        _not_too_wide(feed, file, sheet)
    except ArchiveRefusedError as error:
        raise RefusedError(
            "feed_workbook_refused", {"file": file.name, "why": str(error)}
        ) from None
    except (
        zipfile.BadZipFile,
        zlib.error,
        OSError,
        EOFError,
        ValueError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise RefusedError(
            "feed_workbook_cut", {"file": file.name, "error": type(error).__name__}
        ) from None


def _not_too_wide(feed: Feed, file: Fetched, sheet: Any) -> None:
    """A cell stands where it says, or else behind the one before."""
    right = low = row = column = 0
    rest = b""
    while block := sheet.read(CHUNK):
        data = rest + block
        cut = data.rfind(b"<")
        data, rest = (data[:cut], data[cut:][:CHUNK]) if cut > 0 else (data, b"")
        for is_row, at, letters, digits in CELL.findall(data):
            if is_row:
                row, column = int(at or row + 1), 0
                continue
            column = _column(letters) if letters else column + 1
            right, low = max(right, column), max(low, int(digits or row or 1))
    most = feed.limits.cells
    if right * low > most:
        raise RefusedError(
            "feed_too_large",
            {
                "file": file.name,
                "row": low,
                "column_number": right,
                "cells": right * low,
                "most": most,
            },
        )


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _sheet(feed: Feed, file: Fetched) -> Callable[[], Iterator[list[Any]]]:
    """The rows of the sheet, as often as they are asked for; the area begins in its first cell."""
    import python_calamine

    try:
        with python_calamine.CalamineWorkbook.from_path(str(file.path)) as book:
            names = list(book.sheet_names)
            if feed.sheet and feed.sheet not in names:
                raise RefusedError(
                    "feed_sheet_missing",
                    {"file": file.name, "sheet": repr(feed.sheet), "sheets": ", ".join(names)},
                )
            if not names:
                raise RefusedError("feed_without_sheets", {"file": file.name})
            return book.get_sheet_by_name(feed.sheet or names[0]).iter_rows
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        raise RefusedError(
            "feed_workbook_unread", {"file": file.name, "error": type(error).__name__}
        ) from None


def _text(value: Any) -> str:
    """A cell's value as a person would type it; dates in ISO order."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, datetime):
        return (
            value.date().isoformat()
            if value.time() == time()
            else value.isoformat(sep=" ", timespec="seconds")
        )
    if isinstance(value, time):
        return value.isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        seconds = int(value.total_seconds())
        return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return str(value)
