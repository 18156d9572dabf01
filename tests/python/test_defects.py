"""Every kind of defect a feed can have: its exit code, its sentence, its finding, what is held, and
that yesterday's data stands.

The table DEFECTS holds them; test_trust and test_age look closer at some.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import pytest
from library_kit import MONDAY, Library, loans, pen, people, schools, visits

from common import paths


@dataclass(frozen=True)
class Defect:
    """What a night brings in place of good files, and what must come of it. `lands`: rows of the
    feed afterwards; None: those of yesterday, untouched.
    """

    kind: str
    told: str
    files: dict[str, str | bytes | None] = field(default_factory=dict)
    level: str = "critical"
    code: int = 3
    feed: str = "people"
    lands: int | None = None
    partitions: tuple[str, ...] = ()  # that are held
    day: date = MONDAY + timedelta(1)


def _head_and_rest() -> tuple[str, str]:
    heading, rest = people().split("\r\n", 1)
    return heading + "\r\n", rest


HEAD, REST = _head_and_rest()
NAMED = "".join(
    f"{line.replace('Sürname', f'Sürname {at}')}\r\n"
    for at, line in enumerate(people().splitlines())
)
WARNED = {"level": "warning", "code": 0}
FIRST = '"7474001","10000"'
DECIMALS = "".join(line.replace('","', '.0","', 1) for line in people().splitlines(keepends=True))
DEFECTS = {
    # the file is not there, or not whole
    "missing": Defect("feed_missing", "no file named People* is in", {"People": None}),
    "empty": Defect("feed_empty", "is empty (0 bytes)", {"People": ""}),
    "only a byte order mark": Defect("feed_blank", "empty lines", {"People": b"\xef\xbb\xbf"}),
    "only a heading line": Defect(
        "feed_heading_only", "has only its heading line", {"People": HEAD}
    ),
    "cut in the middle of a line": Defect(
        "feed_truncated", "breaks off in line 41", {"People": people()[:-5]}
    ),
    "cut behind a value": Defect(
        "feed_truncated_record",
        "in its last line 42 (2 fields instead of 4)",
        {"People": people() + "7474001,19999\r\n"},
    ),
    "cut inside a quoted value": Defect(
        "feed_truncated_record",
        "in its last line 42 (bad quoting)",
        {"People": people() + '7474001,"19999\r\n'},
    ),
    "far fewer rows": Defect(
        "feed_collapsed",
        "has 16 rows (40% of the 40 of the last good load, limit 50%)",
        {"People": people(4)},
    ),
    # it is no text
    "UTF-16": Defect("feed_is_wide_text", "UTF-16", {"People": people().encode("utf-16")}),
    "UTF-16 without a mark": Defect(
        "feed_is_wide_text", "UTF-16", {"People": people().encode("utf-16-le")}
    ),
    "zero bytes": Defect(
        "feed_encoding", "zero bytes", {"People": people().replace("Sür", "\0ür", 1)}
    ),
    "an Excel file": Defect(
        "feed_is_packed", "a workbook is a ZIP", {"People": b"PK\x03\x04" + b"x" * 99}
    ),
    # its columns
    "a renamed required column": Defect(
        "feed_column_missing",
        "lacks the required column Surname",
        {"People": people().replace("Surname", "Family")},
    ),
    "all columns renamed": Defect(
        "feed_no_heading_no_data",
        "neither known headings nor data",
        {"People": "a,b,c,d\r\n" + REST},
    ),
    "a heading that stands twice": Defect(
        "feed_heading_twice", "stands twice", {"People": people().replace("PEN", "Surname")}
    ),
    "no headings and another width": Defect(
        "feed_column_count", "2 columns instead of 4", {"People": "7474001,10000\r\n"}
    ),
    "columns in another order": Defect(
        "feed_shape",
        "40 of 40 values of student_number",
        {"People": NAMED.replace("Student Number,PEN,Surname", "Surname,PEN,Student Number")},
    ),
    "an unknown column": Defect(
        "unknown_column",
        "1 column no layout names, not landed: Shoe",
        {"People": NAMED.replace("PEN", "Shoe")},
        **WARNED,
        lands=40,
    ),
    "a column nobody needs is gone": Defect(
        "column_missing",
        "lacks 1 column",
        {"Schools": schools().replace(",Hope", "").replace(",Town", "")},
        **WARNED,
        feed="schools",
        lands=4,
    ),
    # its rows, as a whole
    "a repeated key": Defect(
        "feed_duplicate_key",
        "on lines 2 and 42 (key: student_number)",
        {"People": people() + '"7474001","10000","","Other"\r\n'},
    ),
    "too many unreadable lines": Defect(
        "feed_rejects", "6 of 46 rows (13%, limit 10%)", {"People": HEAD + "1,2\r\n" * 6 + REST}
    ),
    "too many schools without rows": Defect(
        "feed_schools_collapsed", "2 of 4 schools", {"People": people(s7474001=0, s7474002=0)}
    ),
    "a school without rows": Defect(
        "school_held",
        "school 07474001 has no rows",
        {"People": people(s7474001=0)},
        code=2,
        lands=30,
        partitions=("07474001",),
    ),
    "rows that point nowhere": Defect(
        "feed_orphans",
        "20 of 20 rows (100%, limit 10%)",
        {"Loans": loans(first=50000)},
        feed="loans",
    ),
    "everything twice": Defect(
        "feed_doubled",
        "20 of them repeat",
        {"Loans": loans() + loans().split("\r\n", 1)[1]},
        feed="loans",
    ),
    "many more rows": Defect(
        "feed_grew", "3.0 times the 20", {"Loans": loans(60)}, **WARNED, feed="loans", lands=60
    ),
    # its rows, one by one
    "a row without its key": Defect(
        "rows_rejected",
        "1 without student number",
        {"People": people().replace(FIRST, '"7474001",""')},
        **WARNED,
        lands=39,
    ),
    "a row with a column too many": Defect(
        "rows_rejected",
        "with 5 columns instead of 4",
        {"People": people().replace(FIRST, f'"x",{FIRST}')},
        **WARNED,
        lands=39,
    ),
    "a quotation mark nobody closed": Defect(
        "rows_rejected",
        "that is not closed",
        {"People": people().replace(FIRST, '"7474001","10000')},
        **WARNED,
        lands=39,
    ),
    "a line without an end in sight": Defect(
        "rows_rejected",
        "that are longer than 1,000 kB",
        {"People": HEAD + '"7474001","99999","","' + "x" * 10_500_000 + '"\r\n' + REST},
        **WARNED,
        lands=40,
    ),
    "a letter of another encoding": Defect(
        "rows_rejected",
        "not utf-8",
        {"People": people().encode().replace(b"S\xc3\xbcr", b"S\xfcr", 1)},
        **WARNED,
        lands=39,
    ),
    "a number rounded by a spreadsheet": Defect(
        "rows_rejected",
        "rounded away",
        {"People": people().replace(FIRST, '"7474001","1E+04"')},
        **WARNED,
        lands=39,
    ),
    "numbers with decimals": Defect(
        "numbers_repaired", "40 values of school_number", {"People": DECIMALS}, **WARNED, lands=40
    ),
    "a wrong check digit": Defect(
        "check_digit_wrong",
        "1 of 40 values of PEN",
        {"People": people().replace(pen("99000000"), "990000000")},
        level="info",
        code=0,
        lands=40,
    ),
    # what it is of
    "another encoding": Defect(
        "encoding_changed",
        "read as cp1252, its last good load was utf-8",
        {"People": people().encode("cp1252")},
        **WARNED,
        lands=40,
    ),
    "the same file for weeks": Defect(
        "feed_stale_held",
        "has been the same for 10 school nights; what rests on it is held",
        code=2,
        day=MONDAY + timedelta(14),
    ),
    "old content": Defect(
        "feed_old_content",
        "3 school nights ago",
        {"Visits": visits(count=6)},
        **WARNED,
        feed="visits",
        lands=6,
        day=MONDAY + timedelta(3),
    ),
    "an older day than what is landed": Defect(
        "feed_older_content",
        "what is landed speaks of",
        {"Visits": visits(MONDAY - timedelta(9))},
        feed="visits",
    ),
    # what lies beside it
    "two files that could be it": Defect(
        "several_files", "2 files could be it", {"People_b": NAMED}, **WARNED, lands=40
    ),
    "a file nobody reads": Defect(
        "unmatched_file", "1 file in", {"Budget": "1"}, level="info", code=0, feed=""
    ),
    "a folder that is not there": Defect(
        "source_unreachable",
        "could not be read, so all its 4 feeds are missing",
        {"*": None},
        feed="",
    ),
}


@pytest.fixture(scope="module")
def good_night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state after a good first night, made once."""
    return tmp_path_factory.mktemp("good") / "var"


@pytest.mark.parametrize("what", DEFECTS)
def test_every_kind_of_defect_has_its_code_its_sentence_its_finding_and_its_hold_and_yesterday_stands(  # noqa: E501
    library: Library, good_night: Path, what: str
) -> None:
    defect = DEFECTS[what]
    library.drop(Schools=schools(), People=people(), Loans=loans(), Visits=visits())
    if good_night.is_dir():
        shutil.copytree(good_night, paths.var(), dirs_exist_ok=True, symlinks=True)
    else:
        library.good_night()
        shutil.copytree(paths.var(), good_night, symlinks=True)
    feed = defect.feed or "people"
    rows = (
        f"select * exclude (_loaded_at, _run_id, _dlt_load_id) from raw_library.{feed} order by"
        " _line"
    )
    before = library.ask(rows)
    if "*" in defect.files:
        library.folder.rename(library.folder.with_name("gone"))
    else:
        library.drop(**defect.files)

    assert library.ingest(day=defect.day) == defect.code

    after = library.ask(rows)
    assert after == before if defect.lands is None else len(after) == defect.lands
    others = {"people", "loans", "visits", "schools"} - {feed}
    assert {library.feed(other)["status"] for other in others} == {
        "missing" if "*" in defect.files else "unchanged"
    }
    entry = library.feed(feed)
    found = [
        finding
        for finding in library.findings()
        if finding["code"] == defect.kind and finding["feed"] == defect.feed
    ]
    assert [finding["level"] for finding in found] == [defect.level], library.findings()
    assert defect.told in found[0]["message"]
    assert found[0]["owner"] == "the librarian" and (found[0]["action"] or what == "missing")
    if defect.lands is None and defect.feed:
        assert entry["hold"], "what rests on it waits"
        assert "stay" in entry["message"]
    else:
        assert not entry["hold"] or "*" in defect.files
    assert tuple(entry["held_partitions"]) == defect.partitions
    assert entry["rows_in"] == entry["landed"] + entry["rejected"]
    for value in ("Sürname", "990000"):
        assert value not in library.said() + json.dumps(found, ensure_ascii=False)


def test_the_table_of_defects_holds_at_least_twenty_five_kinds() -> None:
    assert len(DEFECTS) >= 25
    assert len({defect.kind for defect in DEFECTS.values()}) >= 20
