"""Rows that are no records: the heading once more, a rule of dashes, a count of rows, a key that
does not look like one.

In: the table `looked` of a file, the texts of its heading. Out: per such row what is wrong with it.
Each is rejected alone with its line; the rest of the file is none the worse. A row that is only
decoration hides nobody and counts for nothing (`DECORATION`), one whose key is odd may be
somebody's.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import duckdb

from common import problems, sql
from ingestion import rejects
from ingestion.layout import Feed, plain
from ingestion.model import Trusted
from ingestion.scan import UTF_8, Bad, Encoding, Good, Shape, scan

CHUNK = 4 << 20
Wrong = tuple[str, problems.Values]  # a code of the catalogue and its values
DECORATION = {"reject_heading", "reject_dashes", "reject_count"}
DASHES = re.compile(r"[-=_*+~#.|—–─━═\s]*[-=_*+~#—–─━═]{2,}[-=_*+~#.|—–─━═\s]*")
COUNTS = (  # as query tools and report writers end what they print
    r"[0-9][0-9,. ]*(rows?|records?|lines?|lignes?)(\(s\))?"
    r"(\s+(affected|selected|returned|exported|written|fetched|in set))?(\s*\([0-9.]+ sec\))?",
    r"(grand\s+)?(total|count|(total|number|count)?\s*(of\s+)?(rows?|records?|(row|record) count))"
    r"(\s+(rows?|records?|count))?\s*[:=]?\s*[0-9][0-9,.]*",
    r"end\s+of\s+(file|report|data|extract|listing)",
)
COUNT = re.compile(rf"\W*({'|'.join(COUNTS)})\W*", re.IGNORECASE)
SUSPECT = "(?i)(row|record|line|ligne|total|count|end of)"  # the first test: few keys look so


def of_text(text: str) -> Wrong | None:
    """What a line that is no record is, where it is only decoration."""
    bare = text.strip("\ufeff \t\r\n,;|\"'")
    if COUNT.fullmatch(bare):
        return "reject_count", {}
    return ("reject_dashes", {}) if DASHES.fullmatch(text.replace(",", " ").strip()) else None


def found(
    connection: duckdb.DuckDBPyConnection, trusted: Trusted, headings: Mapping[str, str]
) -> dict[int, Wrong]:
    """Row -> what is wrong with it. `headings`: column -> the text above it."""
    from ingestion.trust import csv_of

    feed = trusted.feed
    keys = [name for name in _keys(feed) if name in trusted.places]
    tests = {name: _odd(feed, name) for name in keys}
    anchors = keys or [name for name in feed.required if name in trusted.places][:1]
    suspects = [_suspect(feed, name, headings.get(name, name)) for name in anchors]
    listed = ", ".join(
        [
            "rowid + 1",
            *(f"coalesce({test}, false)" for test in tests.values()),
            *(f"coalesce({sql.name(name)}, '') = ''" for name in keys),
        ]
    )
    doubtful = connection.execute(
        f"select {listed} from looked where {' or '.join([*suspects, *tests.values()]) or 'false'}"
        " order by 1"
    ).fetchall()
    if not doubtful:
        return {}
    columns = ", ".join(f"c{place}" for place in range(trusted.fields))
    whole = {
        row: values
        for row, *values in connection.execute(
            f"select * from (select row_number() over () as row, {columns} from {csv_of(trusted)})"
            " where row in (select unnest(?))",
            [[row for row, *_ in doubtful]],
        ).fetchall()
    }
    above = {place: plain(headings.get(name, name)) for name, place in trusted.places.items()}
    wrong: dict[int, Wrong] = {}
    for row, *tested in doubtful:
        of_shape, empty = tested[: len(keys)], tested[len(keys) :]
        said = _decoration(whole[row], above)
        for name, is_odd in zip(keys, of_shape, strict=True):
            said = said or (("reject_shape", {"column": name}) if is_odd else None)
        for name, is_empty in zip(keys, empty, strict=True):
            if is_empty and name in feed.never_empty:
                said = said or ("reject_empty", {"column": name})
        if said:
            wrong[row] = said
    return wrong


def _keys(feed: Feed) -> list[str]:
    """The columns that say whose a row is."""
    return list(dict.fromkeys([*feed.never_empty, *([feed.report_key] if feed.report_key else [])]))


def _suspect(feed: Feed, name: str, heading: str) -> str:
    """The SQL that tells a key worth a second look: nothing, no letter or digit, a word of those
    who count, its own heading.
    """
    column = sql.name(name)
    tests = [
        f"not regexp_matches({column}, '[\\p{{L}}\\p{{N}}]')",
        f"regexp_matches({column}, {sql.text(SUSPECT)})",
        f"lower({column}) = {sql.text(heading.strip().lower())}",
        *([f"coalesce({column}, '') = ''"] if name in feed.never_empty else []),
    ]
    return " or ".join(tests)


def _odd(feed: Feed, name: str) -> str:
    """The SQL that tells a filled key that does not look like one. Without a shape of its own a key
    has at least one letter or digit.
    """
    column = sql.name(name)
    if shape := feed.shapes.get(name):
        return f"({column} <> '' and not regexp_full_match({column}, {sql.text(shape)}))"
    return f"({column} <> '' and not regexp_matches({column}, '[\\p{{L}}\\p{{N}}]'))"


def _decoration(values: Sequence[str | None], above: Mapping[int, str]) -> Wrong | None:
    filled = {place: value for place, value in enumerate(values) if value and value.strip()}
    if not filled:
        return None
    repeated = sum(plain(value) == above.get(place) != "" for place, value in filled.items())
    if repeated >= min(2, len(above)) and 2 * repeated >= len(filled):
        return "reject_heading", {}
    if all(DASHES.fullmatch(value) for value in filled.values()):
        return "reject_dashes", {}
    return ("reject_count", {}) if COUNT.fullmatch(" ".join(filled.values()).strip()) else None


def without(trusted: Trusted, wrong: Mapping[int, Wrong], shape: Shape) -> Trusted:
    """The file without these rows: the cleaned copy is written again, they are rejected."""
    lines = list(trusted.lines())
    told = list(trusted.rejects)
    beside = trusted.clean.with_suffix(".without")
    with trusted.clean.open("rb") as opened, beside.open("wb") as out:
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
            for row, data in _records(buffer, shape, wrong):
                if row is None:
                    out.write(data)
                    continue
                code, values = wrong[row]
                bad = Bad(0, 0, lines[row - 1], code, values)
                told.append(
                    rejects.reject(
                        trusted.feed,
                        trusted.places,
                        bad,
                        data,
                        delimiter=trusted.delimiter,
                        codec="utf-8",
                    )
                )
    beside.replace(trusted.clean)
    runs: list[tuple[int, int]] = []
    for row, line in enumerate(lines, 1):
        if row in wrong:
            continue
        if runs and sum(runs[-1]) == line:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((line, 1))
    return replace(
        trusted, runs=tuple(runs), rejects=tuple(sorted(told, key=lambda reject: reject.line))
    )


def _records(
    buffer: mmap.mmap, shape: Shape, wrong: Mapping[int, Wrong]
) -> Iterator[tuple[int | None, bytes]]:
    """The bytes of a cleaned copy, the rows that go apart from the rest."""
    row = 0
    for span in scan(buffer, 0, 1, shape, Encoding(UTF_8)):
        data = buffer[span.start : span.end]
        count = span.count if isinstance(span, Good) else 1
        if not any(row + at in wrong for at in range(1, count + 1)):
            yield None, data
        elif count == 1:
            yield row + 1, data
        else:
            for at, line in enumerate(data.splitlines(True), row + 1):
                yield at if at in wrong else None, line
        row += count


UNSEEN_BYTES = re.compile(
    rb"[\x00-\x08\x0b-\x1f\x7f]|[\xc2\xcd\xd8\xe1-\xe3\xef\xf3][\x80-\xbf]{1,3}"
)
UNSEEN_TEXT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\xa0\xad\u034f\u0600-\u0605\u061c\u115f\u1160\u1680\u180b-\u180f"
    "\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\U000e0000-\U000e0fff]"
)


def holds_unseen(trusted: Trusted) -> bool:
    """Whether a file holds characters nobody sees: few do, and the others are not looked over value
    by value.
    """
    if not trusted.good:
        return False
    with (
        trusted.clean.open("rb") as opened,
        mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as buffer,
    ):
        tab = b"\t" if trusted.delimiter != "\t" else b'"'
        ends = sum(buffer[at : at + CHUNK].count(b"\n") for at in range(0, len(buffer), CHUNK))
        if buffer.find(tab) >= 0 or ends != trusted.good:  # a line break is one of them
            return True
        return any(
            UNSEEN_TEXT.search(found[0].decode("utf-8", "ignore"))
            for found in UNSEEN_BYTES.finditer(buffer)
        )
