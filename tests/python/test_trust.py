"""The trust gate: one test per defect a feed can have, and what is refused, held, told and left alone for it.

A small source of four feeds (schools, people, loans, visits) is read through the verb, against a real warehouse.
The table DEFECTS holds every kind of defect with what must come of it; the tests behind it look closer at some.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from common import paths, store
from ingestion import numbers, table
from ingestion.__main__ import main
from ingestion.layout import LayoutError, load
from ingestion.tolerance import Tolerance, school_nights, tolerance

LAYOUT = """
owner = "the librarian"
restricted = ["PEN"]
school = "School Number"
record = ["Student Number"]
numbers = ["School Number", "Student Number"]
[shapes]
student_number = '[0-9]{3,12}'
[feeds.schools]
files = ["Schools*"]
columns = ["School Number", "School Name", "Town"]
required = ["School Number"]
key = ["School Number"]
stale_after_days = false
[feeds.people]
files = ["People*"]
columns = ["School Number", "Student Number", "PEN", "Surname"]
required = ["School Number", "Student Number", "Surname"]
never_empty = ["School Number", "Student Number"]
key = ["Student Number"]
check_digit = "PEN"
[feeds.loans]
files = ["Loans*"]
columns = ["Student Number", "Book"]
required = ["Student Number", "Book"]
references = { "Student Number" = "people.Student Number" }
[feeds.visits]
files = ["Visits*"]
columns = ["Student Number", "Visited"]
required = ["Student Number", "Visited"]
content_date = "Visited"
minimum_share = 0.0
last_good_days = 0
rests_in_summer = true
"""
MONDAY = date(2026, 10, 5)
SCHOOLS = ("7474001", "7474002", "7474003", "7474004")


def schools(count: int = 4) -> str:
    return "School Number,School Name,Town\r\n" + "".join(f"{number},School of {number},Hope\r\n" for number in SCHOOLS[:count])


def pen(eight: str) -> str:
    """Nine digits with their check digit, as docs of the Ministry put it: add the odd places; double the even ones as one number."""
    total = sum(int(digit) for digit in eight[0::2]) + sum(int(digit) for digit in str(2 * int(eight[1::2])))
    return eight + str(-total % 10)


def people(each: int = 10, **instead: int) -> str:
    """`each` people per school; `s7474001=3` gives that school another number."""
    lines = [
        f'"{school}","{at + 1}{number:04}","{pen(f"99{at}{number:05}")}","Sürname"\r\n'
        for at, school in enumerate(SCHOOLS)
        for number in range(instead.get(f"s{school}", each))
    ]
    return "School Number,Student Number,PEN,Surname\r\n" + "".join(lines)


def loans(count: int = 20, first: int = 10000) -> str:
    return "Student Number,Book\r\n" + "".join(f"{first + at % 10},Book {at}\r\n" for at in range(count))


def visits(newest: date = MONDAY, count: int = 5) -> str:
    return "Student Number,Visited\r\n" + "".join(f"{10000 + at},{newest - timedelta(at):%d-%b-%Y}\r\n" for at in range(count))


@dataclass
class Library:
    """The source in its folder, read on any day."""

    folder: Path
    said: Callable[[], str]
    on: Callable[[date], None]

    def drop(self, **files: str | bytes | None) -> None:
        for name, content in files.items():
            path = self.folder / f"{name}.csv"
            if content is None:
                path.unlink()
            else:
                path.write_bytes(content.encode() if isinstance(content, str) else content)

    def ingest(self, *arguments: str, day: date = MONDAY) -> int:
        self.on(day)
        for run in paths.runs().glob("*Z-*/run.json"):  # a night each
            facts = json.loads(run.read_text())
            run.write_text(json.dumps(facts | {"finished_at": facts["finished_at"] or facts["started_at"]}))
        return main(["--source", "library", *arguments])

    def good_night(self, day: date = MONDAY) -> None:
        self.drop(Schools=schools(), People=people(), Loans=loans(), Visits=visits(day))
        assert self.ingest(day=day) == 0
        assert self.findings() == []

    def ask(self, query: str) -> list[tuple]:
        with store.connect() as connection:
            return connection.execute(query).fetchall()

    def people(self) -> list[tuple]:
        return self.ask("select * from raw_library.people order by _line")

    @property
    def run(self) -> Path:
        return paths.runs() / "latest"

    def feed(self, name: str) -> dict[str, Any]:
        return next(entry for entry in json.loads((self.run / "feeds.json").read_text()) if entry["feed"] == name)

    def findings(self, level: str = "") -> list[dict[str, Any]]:
        path = self.run / "findings.jsonl"
        every = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
        return [finding for finding in every if level in ("", finding["level"])]

    def only(self, level: str = "critical") -> dict[str, Any]:
        found = self.findings(level)
        assert len(found) == 1, found
        assert found[0]["owner"] == "the librarian"
        for value in ("Sürname", "990000"):
            assert value not in self.said() + json.dumps(found, ensure_ascii=False)
        return found[0]


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Library:
    folder, layout = tmp_path / "drop", tmp_path / "library.toml"
    folder.mkdir()
    layout.write_text(LAYOUT, encoding="utf-8")
    for name, value in {
        "HOMEROOM_VAR": tmp_path / "var",
        "SOURCES__LIBRARY__KIND": "files",
        "SOURCES__LIBRARY__LOCATION": folder,
        "SOURCES__LIBRARY__LAYOUT": layout,
    }.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.delenv("HOMEROOM_RUN", raising=False)
    return Library(folder, lambda: "".join(capfd.readouterr()), lambda day: monkeypatch.setenv("HOMEROOM_AS_OF", day.isoformat()))


# ---------------------------------------------------------------- every kind of defect


@dataclass(frozen=True)
class Defect:
    """What a night brings in place of good files, and what must come of it. `lands`: rows of the feed afterwards; None: those of yesterday, untouched."""

    kind: str
    told: str
    files: dict[str, str | bytes | None] = field(default_factory=dict)
    level: str = "critical"
    code: int = 3
    feed: str = "people"
    lands: int | None = None
    schools: tuple[str, ...] = ()  # that are held
    day: date = MONDAY + timedelta(1)


def _head_and_rest() -> tuple[str, str]:
    heading, rest = people().split("\r\n", 1)
    return heading + "\r\n", rest


HEAD, REST = _head_and_rest()
NAMED = "".join(f"{line.replace('Sürname', f'Sürname {at}')}\r\n" for at, line in enumerate(people().splitlines()))
WARNED = {"level": "warning", "code": 0}
FIRST = '"7474001","10000"'
DECIMALS = "".join(line.replace('","', '.0","', 1) for line in people().splitlines(keepends=True))
DEFECTS = {
    # the file is not there, or not whole
    "missing": Defect("feed_missing", "no file named People* is in", {"People": None}),
    "empty": Defect("feed_empty", "is empty (0 bytes)", {"People": ""}),
    "only a byte order mark": Defect("feed_empty", "empty lines", {"People": b"\xef\xbb\xbf"}),
    "only a heading line": Defect("feed_empty", "has only its heading line", {"People": HEAD}),
    "cut in the middle of a line": Defect("feed_truncated", "breaks off in line 41", {"People": people()[:-5]}),
    "cut behind a value": Defect("feed_truncated", "in its last line 42 (2 fields instead of 4)", {"People": people() + "7474001,19999\r\n"}),
    "cut inside a quoted value": Defect("feed_truncated", "in its last line 42 (bad quoting)", {"People": people() + '7474001,"19999\r\n'}),
    "far fewer rows": Defect("feed_collapsed", "has 16 rows (40% of the 40 of the last good load, limit 50%)", {"People": people(4)}),
    # it is no text
    "UTF-16": Defect("feed_encoding", "UTF-16", {"People": people().encode("utf-16")}),
    "UTF-16 without a mark": Defect("feed_encoding", "zero bytes", {"People": people().encode("utf-16-le")}),
    "zero bytes": Defect("feed_encoding", "zero bytes", {"People": people().replace("Sür", "\0ür", 1)}),
    "an Excel file": Defect("feed_encoding", "Excel", {"People": b"PK\x03\x04" + b"x" * 99}),
    # its columns
    "a renamed required column": Defect("feed_column_missing", "lacks the required column Surname", {"People": people().replace("Surname", "Family")}),
    "all columns renamed": Defect("feed_header", "neither known headings nor data", {"People": "a,b,c,d\r\n" + REST}),
    "a heading that stands twice": Defect("feed_header", "stands twice", {"People": people().replace("PEN", "Surname")}),
    "no headings and another width": Defect("feed_column_count", "2 columns instead of 4", {"People": "7474001,10000\r\n"}),
    "columns in another order": Defect(
        "feed_shape", "40 of 40 values of student_number", {"People": NAMED.replace("Student Number,PEN,Surname", "Surname,PEN,Student Number")}
    ),
    "an unknown column": Defect("unknown_column", "1 column no layout names, not landed: Shoe", {"People": NAMED.replace("PEN", "Shoe")}, **WARNED, lands=40),
    "a column nobody needs is gone": Defect(
        "column_missing", "lacks 1 column", {"Schools": schools().replace(",Hope", "").replace(",Town", "")}, **WARNED, feed="schools", lands=4
    ),
    # its rows, as a whole
    "a repeated key": Defect("feed_duplicate_key", "on lines 2 and 42 (key: student_number)", {"People": people() + '"7474001","10000","","Other"\r\n'}),
    "too many unreadable lines": Defect("feed_rejects", "6 of 46 rows (13%, limit 10%)", {"People": HEAD + "1,2\r\n" * 6 + REST}),
    "too many schools without rows": Defect("feed_schools_collapsed", "2 of 4 schools", {"People": people(s7474001=0, s7474002=0)}),
    "a school without rows": Defect("school_held", "school 07474001 has no rows", {"People": people(s7474001=0)}, code=2, lands=30, schools=("07474001",)),
    "rows that point nowhere": Defect("feed_orphans", "20 of 20 rows (100%, limit 10%)", {"Loans": loans(first=50000)}, feed="loans"),
    "everything twice": Defect("feed_doubled", "20 of them repeat", {"Loans": loans() + loans().split("\r\n", 1)[1]}, feed="loans"),
    "many more rows": Defect("feed_grew", "3.0 times the 20", {"Loans": loans(60)}, **WARNED, feed="loans", lands=60),
    # its rows, one by one
    "a row without its key": Defect("rows_rejected", "1 without student number", {"People": people().replace(FIRST, '"7474001",""')}, **WARNED, lands=39),
    "a row with a column too many": Defect(
        "rows_rejected", "with 5 columns instead of 4", {"People": people().replace(FIRST, f'"x",{FIRST}')}, **WARNED, lands=39
    ),
    "a quotation mark nobody closed": Defect(
        "rows_rejected", "that is not closed", {"People": people().replace(FIRST, '"7474001","10000')}, **WARNED, lands=39
    ),
    "a line without an end in sight": Defect(
        "rows_rejected", "that is not closed", {"People": HEAD + '"7474001","99999","","' + "x" * 10_500_000 + '"\r\n' + REST}, **WARNED, lands=40
    ),
    "a letter of another encoding": Defect(
        "rows_rejected", "not utf-8", {"People": people().encode().replace(b"S\xc3\xbcr", b"S\xfcr", 1)}, **WARNED, lands=39
    ),
    "a number rounded by a spreadsheet": Defect("rows_rejected", "rounded away", {"People": people().replace(FIRST, '"7474001","1E+04"')}, **WARNED, lands=39),
    "numbers with decimals": Defect("numbers_repaired", "40 values of school_number", {"People": DECIMALS}, **WARNED, lands=40),
    "a wrong check digit": Defect(
        "check_digit_wrong", "1 of 40 values of PEN", {"People": people().replace(pen("99000000"), "990000000")}, level="info", code=0, lands=40
    ),
    # what it is of
    "another encoding": Defect("encoding_changed", "read as cp1252, its last good load was utf-8", {"People": people().encode("cp1252")}, **WARNED, lands=40),
    "the same file for weeks": Defect("feed_stale", "has been the same for 10 school nights; what rests on it is held", code=2, day=MONDAY + timedelta(14)),
    "old content": Defect("feed_old_content", "3 school nights ago", {"Visits": visits(count=6)}, **WARNED, feed="visits", lands=6, day=MONDAY + timedelta(3)),
    "an older day than what is landed": Defect("feed_older_content", "what is landed speaks of", {"Visits": visits(MONDAY - timedelta(9))}, feed="visits"),
    # what lies beside it
    "two files that could be it": Defect("several_files", "2 files could be it", {"People_b": NAMED}, **WARNED, lands=40),
    "a file nobody reads": Defect("file_nobody_reads", "1 file in", {"Budget": "1"}, level="info", code=0, feed=""),
    "a folder that is not there": Defect("source_unreachable", "could not be read, so all its 4 feeds are missing", {"*": None}, feed=""),
}


@pytest.fixture(scope="module")
def good_night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state after a good first night, made once."""
    return tmp_path_factory.mktemp("good") / "var"


@pytest.mark.parametrize("what", DEFECTS)
def test_every_kind_of_defect_has_its_code_its_sentence_its_finding_and_its_hold_and_yesterday_stands(library: Library, good_night: Path, what: str) -> None:
    defect = DEFECTS[what]
    library.drop(Schools=schools(), People=people(), Loans=loans(), Visits=visits())
    if good_night.is_dir():
        shutil.copytree(good_night, paths.var(), dirs_exist_ok=True, symlinks=True)
    else:
        library.good_night()
        shutil.copytree(paths.var(), good_night, symlinks=True)
    feed = defect.feed or "people"
    rows = f"select * exclude (_loaded_at, _run_id, _dlt_load_id) from raw_library.{feed} order by _line"
    before = library.ask(rows)
    if "*" in defect.files:
        library.folder.rename(library.folder.with_name("gone"))
    else:
        library.drop(**defect.files)

    assert library.ingest(day=defect.day) == defect.code

    after = library.ask(rows)
    assert after == before if defect.lands is None else len(after) == defect.lands
    others = {"people", "loans", "visits", "schools"} - {feed}
    assert {library.feed(other)["status"] for other in others} == {"missing" if "*" in defect.files else "unchanged"}
    entry = library.feed(feed)
    found = [finding for finding in library.findings() if finding["kind"] == defect.kind and finding["feed"] == defect.feed]
    assert [finding["level"] for finding in found] == [defect.level], library.findings()
    assert defect.told in found[0]["message"]
    assert found[0]["owner"] == "the librarian" and (found[0]["action"] or what == "missing")
    if defect.lands is None and defect.feed:
        assert entry["hold"], "what rests on it waits"
        assert "stay" in entry["message"]
    else:
        assert not entry["hold"] or "*" in defect.files
    assert tuple(entry["held_schools"]) == defect.schools
    assert entry["rows_in"] == entry["landed"] + entry["rejected"]
    for value in ("Sürname", "990000"):
        assert value not in library.said() + json.dumps(found, ensure_ascii=False)


def test_the_table_of_defects_holds_at_least_twenty_five_kinds() -> None:
    assert len(DEFECTS) >= 25
    assert len({defect.kind for defect in DEFECTS.values()}) >= 20


# ---------------------------------------------------------------- values


def test_numbers_a_spreadsheet_turned_into_decimals_are_given_back_and_told(library: Library) -> None:
    library.good_night()
    before = library.ask("select school_number, student_number from raw_library.people order by _line")
    lines = people().replace("Sürname", "Sürname-Li").split("\r\n")
    lines[1:-1] = [line.replace('","', '.0","', 1) for line in lines[1:-1]]  # every school number
    lines[3] = lines[3].replace('"10002"', '"1.0002E+04"')
    library.drop(People="\r\n".join(lines))
    assert library.ingest() == 0
    assert library.feed("people")["rejected"] == 0
    assert library.feed("people")["held_schools"] == []
    assert library.ask("select school_number, student_number from raw_library.people order by _line") == before
    schools_told, students_told = library.findings("warning")
    assert "40 values of school_number in People.csv" in schools_told["message"]
    assert (schools_told["kind"], schools_told["column"], schools_told["line"]) == ("numbers_repaired", "school_number", 2)
    assert (students_told["column"], students_told["line"]) == ("student_number", 4)
    # what rests on them finds them
    library.drop(Loans=loans().replace("Book ", "Buch "))
    assert library.ingest() == 0


def test_a_number_whose_digits_are_lost_is_nobodys_and_its_row_is_rejected(library: Library) -> None:
    library.good_night()
    library.drop(People=people().replace('"10002"', '"1.0E+04"'))
    assert library.ingest() == 0
    assert library.feed("people")["rejected"] == 1
    assert library.ask("select count(*) from raw_library.people where student_number in ('10000', '10002')") == [(1,)]
    assert library.ask("select reason, column_name, record_key from raw_library.rejects") == [
        ("student_number was rounded by a spreadsheet", "student_number", None)
    ]
    assert "1 with a student number whose digits a spreadsheet rounded away" in library.only("warning")["message"]


def test_a_wrong_check_digit_is_counted_and_changes_nothing_and_may_be_switched_off(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    library.good_night()
    right = pen("99000000")
    library.drop(People=people().replace(right, right[:8] + str((int(right[8]) + 5) % 10)).replace(pen("99000001"), "9900"))
    assert library.ingest() == 0
    told = library.only("info")
    assert (told["kind"], told["line"], told["column"]) == ("check_digit_wrong", 2, "PEN")
    assert "2 of 40 values of PEN" in told["message"]
    assert library.feed("people")["landed"] == 40
    monkeypatch.setenv("SOURCES__LIBRARY__CHECK_DIGITS", "false")
    library.drop(People=people().replace(right, "990000001"))
    assert library.ingest() == 0
    assert library.findings() == []


@pytest.mark.parametrize(("number", "fits"), [("120164447", True), ("618972012", True), ("123456789", False), ("050323213", False), ("523456789", False)])
def test_the_check_digit_is_the_ministrys(number: str, fits: bool) -> None:
    """Vectors of the Ministry's own tests."""
    assert (pen(number[:8]) == number) is fits
    with table.connected() as connection:
        assert connection.execute(f"select {numbers.wrong_check_digit('value')} from (values (?)) as given(value)", [number]).fetchone() == (not fits,)


def test_a_few_letters_that_could_be_either_encoding_are_read_as_the_feed_was_before(library: Library) -> None:
    library.drop(Schools=schools(), People=people().encode("cp1252"), Loans=loans(), Visits=visits())
    assert library.ingest() == 0
    library.drop(People=people().replace("Sürname", "RENE", 39).replace("Sürname", "RENÉ’S").encode("cp1252"))
    assert library.ingest() == 0
    assert library.ask("select distinct surname from raw_library.people order by 1") == [("RENE",), ("RENÉ’S",)]
    library.drop(People=people())
    assert library.ingest() == 0
    assert library.ask("select distinct surname from raw_library.people") == [("Sürname",)]
    assert library.only("warning")["kind"] == "encoding_changed"


def test_a_feed_without_a_key_that_holds_everything_twice_is_refused(library: Library) -> None:
    library.good_night()
    before = library.ask("select count(*), count(distinct _file) from raw_library.loans")
    library.drop(Loans=loans() + loans().split("\r\n", 1)[1])
    assert library.ingest() == 3
    assert "Loans.csv has 40 rows, 2.0 times the 20 of the largest of its last good loads, and 20 of them repeat another row" in library.only()["message"]
    assert library.ask("select count(*), count(distinct _file) from raw_library.loans") == before


def test_a_feed_that_grows_by_rows_of_its_own_is_landed_and_told(library: Library) -> None:
    library.good_night()
    library.drop(Loans=loans(60))
    assert library.ingest() == 0
    assert library.only("warning")["kind"] == "feed_grew"
    assert library.feed("loans")["landed"] == 60


def test_a_line_that_is_rejected_for_months_doubts_nobody_who_left_since(library: Library) -> None:
    """What core.feed_loads counts by: since when the newest line that names nobody is there, and the keys of the others."""
    library.good_night()
    nameless, another = '"7474001","x"\r\n', '"7474002","","","Li"\r\n'
    asked = "select doubt_since = read_at, doubt_since is null, rejected_keys from ledger.audit.source_files"
    asked += " where feed = 'people' order by read_at desc limit 1"
    heading, rest = people().split("\r\n", 1)
    library.drop(People=f"{heading}\r\n{nameless}{rest}")
    assert library.ingest() == 0
    assert library.ask(asked) == [(True, False, None)]
    library.drop(People=f"{heading}\r\n{nameless}{rest.split(chr(10), 1)[1]}")
    assert library.ingest() == 0
    assert library.ask(asked) == [(False, False, None)], "the same line as before: it is not theirs who left since"
    library.drop(People=f"{heading}\r\n{nameless}{another}{rest}")
    assert library.ingest() == 0
    assert library.ask(asked) == [(True, False, None)], "another line that names nobody"
    library.drop(People=people().replace('"7474001","10003"', '"","10003"', 1))
    assert library.ingest() == 0
    assert library.ask(asked) == [(None, True, '["10003"]')]


# ---------------------------------------------------------------- schools


def test_a_school_without_rows_is_held_and_the_feed_passes_for_the_others(library: Library) -> None:
    library.good_night()
    library.drop(People=people(s7474002=0))
    assert library.ingest() == 2
    entry = library.feed("people")
    assert (entry["status"], entry["held_schools"], entry["hold"], entry["landed"]) == ("loaded", ["07474002"], "", 30)
    found = library.only()
    assert (found["kind"], found["feed"], found["school_number"]) == ("school_held", "people", "07474002")
    assert "school 07474002 has no rows in People.csv and had 10 in its last good load" in found["message"]
    assert "--accept-smaller people" in found["action"]
    assert library.ask("select held_schools from ledger.audit.source_files where feed = 'people' order by read_at desc limit 1") == [('["07474002"]',)]


def test_a_school_that_lost_most_of_its_rows_is_held(library: Library) -> None:
    library.good_night()
    library.drop(People=people(s7474002=4))
    assert library.ingest() == 2
    assert library.feed("people")["held_schools"] == ["07474002"]
    assert "has 4 rows in People.csv and had 10" in library.only()["message"]


def test_a_school_stays_held_until_its_rows_are_back_however_many_nights_pass(library: Library) -> None:
    library.good_night()
    for night, each in enumerate((10, 11, 11), 1):
        library.drop(People=people(each, s7474002=0))
        assert library.ingest(day=MONDAY + timedelta(night)) == 2
        assert library.feed("people")["held_schools"] == ["07474002"]
        assert [finding["kind"] for finding in library.findings("critical")] == ["school_held"]
    library.drop(People=people(9))
    assert library.ingest(day=MONDAY + timedelta(4)) == 0
    assert library.feed("people")["held_schools"] == []


def test_a_school_that_really_closed_is_let_go_by_a_person(library: Library) -> None:
    library.good_night()
    library.drop(People=people(s7474002=0))
    assert library.ingest() == 2
    assert library.ingest("--accept-smaller", "people") == 0
    assert library.feed("people")["held_schools"] == []
    library.drop(People=people(11, s7474002=0))
    assert library.ingest() == 0
    assert library.feed("people")["held_schools"] == []


def test_too_many_collapsed_schools_refuse_the_whole_feed(library: Library) -> None:
    library.good_night()
    before = library.people()
    library.drop(People=people(s7474002=0, s7474003=1))
    assert library.ingest() == 3
    assert library.people() == before
    assert library.feed("people")["status"] == "refused"
    found = library.only()
    assert found["kind"] == "feed_schools_collapsed"
    assert "2 of 4 schools have lost their rows (limit 34%, the first 07474002)" in found["message"]


def test_a_school_of_two_comes_and_goes_unasked(library: Library) -> None:
    library.drop(Schools=schools(), People=people(s7474004=2), Loans=loans(), Visits=visits())
    library.ingest()
    library.drop(People=people(s7474004=0))
    assert library.ingest() == 0
    assert library.feed("people")["held_schools"] == []


# ---------------------------------------------------------------- rows, over several loads


def test_a_feed_that_shrinks_a_little_every_night_is_measured_against_the_largest_of_its_last_loads(library: Library) -> None:
    library.good_night()
    for night, count in enumerate((16, 12), 1):
        library.drop(Loans=loans(count))
        assert library.ingest(day=MONDAY + timedelta(night)) == 0
    library.drop(Loans=loans(8))
    assert library.ingest(day=MONDAY + timedelta(3)) == 3
    assert "has 8 rows (40% of the 20 of the largest of the last 3 good loads, limit 50%)" in library.only()["message"]


def test_an_accepted_drop_is_what_later_nights_are_measured_against(library: Library) -> None:
    library.good_night()
    library.drop(Loans=loans(5))
    assert library.ingest("--accept-smaller", "loans") == 0
    library.drop(Loans=loans(4))
    assert library.ingest() == 0
    library.drop(Loans=loans(2))
    assert library.ingest() == 3


# ---------------------------------------------------------------- references


def test_a_feed_whose_rows_point_nowhere_is_refused(library: Library) -> None:
    library.good_night()
    library.drop(Loans=loans(18) + "77001,Old book\r\n77002,Old book\r\n77003,Old book\r\n")
    assert library.ingest() == 3
    found = library.only()
    assert (found["kind"], found["feed"], found["line"]) == ("feed_orphans", "loans", 20)
    assert "3 of 21 rows (14%, limit 10%) name a student_number that people has not, the first in line 20" in found["message"]
    assert library.ask("select count(*) from raw_library.loans") == [(20,)]


def test_a_few_orphans_pass(library: Library) -> None:
    library.good_night()
    library.drop(Loans=loans(20) + "77001,Old book\r\n")
    assert library.ingest() == 0


def test_children_of_a_held_school_are_no_orphans_because_last_night_knew_their_parents(library: Library) -> None:
    library.good_night()
    library.drop(People=people(s7474001=0), Loans=loans(21))
    assert library.ingest() == 2
    assert library.feed("loans")["status"] == "loaded"


def test_without_any_parent_nothing_is_said_about_orphans(library: Library) -> None:
    library.drop(Schools=schools(), Loans=loans(), Visits=visits())
    assert library.ingest() == 3
    assert {name: library.feed(name)["status"] for name in ("people", "loans")} == {"people": "missing", "loans": "loaded"}


# ---------------------------------------------------------------- age


def test_the_same_file_is_tolerated_then_told_then_held_with_its_age(library: Library) -> None:
    library.good_night()
    seen = {}
    for days in (1, 2, 3, 4, 7, 13, 14):  # Tuesday to Friday, then Monday of the next week, Sunday and Monday after it
        day = MONDAY + timedelta(days)
        library.drop(Visits=visits(day), Loans=loans(20 + days))
        code = library.ingest(day=day)
        entry = library.feed("people")
        seen[days] = (code, entry["status"], entry["age_days"], [finding["level"] for finding in library.findings()], entry["hold"])
    assert seen == {
        1: (0, "unchanged", 1, [], ""),
        2: (0, "unchanged", 2, [], ""),
        3: (0, "unchanged", 3, ["warning"], ""),
        4: (0, "unchanged", 4, ["warning"], ""),
        7: (0, "unchanged", 5, ["warning"], ""),
        13: (0, "unchanged", 9, ["warning"], ""),
        14: (2, "unchanged", 10, ["critical"], "the same file for 10 school nights, limit 10"),
    }
    assert "People.csv has been the same for 10 school nights; what rests on it is held" in library.only()["message"]
    assert library.feed("schools")["age_days"] == 0, "a feed that may stay the same is confirmed by every visit"
    assert library.ask("select age_days, hold from ledger.audit.source_files where feed = 'people' order by read_at desc limit 1") == [
        (10, "the same file for 10 school nights, limit 10")
    ]


def test_the_last_good_load_stays_in_force_for_its_days_and_then_what_rests_on_it_is_held(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUST__LAST_GOOD_DAYS", "5")
    library.good_night()
    library.drop(People=people()[:-9])
    seen = []
    for days in (1, 4, 7, 8):
        day = MONDAY + timedelta(days)
        library.drop(Visits=visits(day), Loans=loans(20 + days))
        assert library.ingest(day=day) == 3
        entry = library.feed("people")
        seen.append((entry["status"], entry["age_days"], entry["hold"]))
    assert seen == [
        ("refused", 1, ""),
        ("refused", 4, ""),
        ("refused", 5, ""),
        ("refused", 6, "refused, what is in force is 6 school nights old, limit 5"),
    ]
    assert len(library.people()) == 40


def test_a_feed_whose_last_good_load_will_not_do_is_held_at_once(library: Library) -> None:
    library.good_night()
    library.drop(Visits=None)
    assert library.ingest() == 3
    assert library.feed("visits")["hold"] == "missing, and an older one will not do"


def test_a_feed_that_was_never_loaded_holds_what_rests_on_it(library: Library) -> None:
    library.drop(Schools=schools(), Loans=loans(), Visits=visits())
    assert library.ingest() == 3
    assert library.feed("people")["hold"] == "missing, and nothing of it is landed"


def test_a_new_file_with_old_content_is_told_by_its_dated_column(library: Library) -> None:
    library.good_night()
    library.drop(Visits=visits(MONDAY, 6), People=people(11), Loans=loans(21))
    assert library.ingest(day=MONDAY + timedelta(4)) == 0
    found = library.only("warning")
    assert (found["kind"], found["feed"]) == ("feed_old_content", "visits")
    assert "Visits.csv speaks of 2026-10-05, 4 school nights ago; at most 3 are expected" in found["message"]
    assert library.feed("visits")["age_days"] == 4


def test_a_file_named_after_a_day_long_past_holds_what_rests_on_it(library: Library) -> None:
    library.good_night()
    library.drop(Visits=visits(MONDAY, 6), People=people(11), Loans=loans(21))
    assert library.ingest(day=MONDAY + timedelta(14)) == 0, "nobody visits in the holidays: a dated column warns and holds nothing"
    assert library.only("warning")["kind"] == "feed_old_content"
    library.drop(Visits=None)
    (library.folder / "Visits-2026-10-05.csv").write_text(visits(MONDAY, 7), encoding="utf-8")
    assert library.ingest(day=MONDAY + timedelta(14)) == 2
    assert library.feed("visits")["hold"] == "its content is 10 school nights old, limit 10"
    assert library.only()["kind"] == "feed_old_content"


def test_a_file_whose_name_is_of_an_earlier_day_than_what_is_landed_is_refused(library: Library) -> None:
    library.good_night()
    library.drop(People=None)
    (library.folder / "People_20261005.csv").write_text(people(11), encoding="utf-8")
    assert library.ingest() == 0
    (library.folder / "People_20261005.csv").unlink()
    (library.folder / "People_2026-10-02.csv").write_text(people(12), encoding="utf-8")
    assert library.ingest() == 3
    found = library.only()
    assert found["kind"] == "feed_older_content"
    assert "People_2026-10-02.csv speaks of 2026-10-02, and what is landed speaks of 2026-10-05" in found["message"]
    assert len(library.people()) == 44


def test_a_feed_that_rests_in_summer_may_come_empty_then_and_at_no_other_time(library: Library) -> None:
    library.good_night(day=date(2027, 6, 23))
    before = library.ask("select * from raw_library.visits order by all")
    library.drop(Visits="")
    assert library.ingest(day=date(2027, 6, 24)) == 3
    assert library.only()["kind"] == "feed_empty"
    assert library.ingest(day=date(2027, 6, 25)) == 0
    assert (library.feed("visits")["status"], library.feed("visits")["hold"]) == ("resting", "")
    assert [one for one in library.findings() if one["feed"] == "visits"] == []
    assert library.ask("select * from raw_library.visits order by all") == before
    library.drop(People="")
    assert library.ingest(day=date(2027, 6, 28)) == 3, "people never rest"


@pytest.mark.parametrize("wrong", ["summer", ["06-25"], ["6-25", "9-15"], ["09-15", "06-25"], ["06-25", "13-01"]])
def test_a_summer_that_is_none_is_an_error(wrong: object) -> None:
    with pytest.raises(LayoutError, match=r"its first and last day as month-day"):
        tolerance({"summer": wrong}, {}, load("myedbc").feeds[0])


def test_no_file_is_older_than_what_is_landed_where_the_clock_has_gone_back(library: Library) -> None:
    library.good_night()
    library.drop(Visits=visits(MONDAY, 6))
    assert library.ingest(day=MONDAY - timedelta(3)) == 0
    assert library.feed("visits")["status"] == "loaded"


# ---------------------------------------------------------------- rows that are rejected


def test_a_byte_that_cp1252_lacks_is_named(library: Library) -> None:
    content = people().encode("cp1252").replace(b"S\xfcrname", b"S\x81rname", 1)
    library.drop(Schools=schools(), People=content, Loans=loans(), Visits=visits())
    assert library.ingest() == 0
    assert library.ask("select _line, reason from raw_library.rejects") == [(2, "not cp1252 (byte 0x81)")]
    assert "1 with letters that are not cp1252 (byte 0x81)" in library.only("warning")["message"]


def test_a_rejected_row_names_its_column_its_record_its_school_and_who_mends_it(library: Library) -> None:
    library.good_night()
    library.drop(People=people().replace('"7474001","10003",', ',"10003",').replace('"7474002","20004",', '"7474002",,'))
    assert library.ingest() == 0
    assert library.ask("select _line, reason, column_name, record_key, school_number, owner from raw_library.rejects order by _line") == [
        (5, "school_number is empty", "school_number", "10003", None, "the librarian"),
        (16, "student_number is empty", "student_number", None, "07474002", "the librarian"),
    ]
    found = library.only("warning")
    assert found["message"] == (
        "library people: 2 rows of People.csv rejected (1 without school number, 1 without student number), "
        "in lines 5 (student number 10003), 16 (school 07474002); the other 38 rows were landed"
    )
    assert found["line"] == 5


def test_a_row_whose_values_moved_tells_a_key_only_when_the_feed_knows_it(library: Library) -> None:
    """A row one column short has the confidential PEN where the student number should be."""
    library.good_night()
    number = pen("99000003")
    library.drop(People=people().replace(f'"7474001","10003","{number}",', f'"7474001","{number}",').replace('"Sürname"\r\n', '"Sür","name"\r\n', 1))
    assert library.ingest() == 0
    assert library.ask("select _line, reason, record_key, school_number from raw_library.rejects order by _line") == [
        (2, "5 fields instead of 4", "10000", "07474001"),
        (5, "3 fields instead of 4", None, "07474001"),
    ]
    assert "990000003" not in library.said() + json.dumps(library.findings())


def test_a_finding_lists_twenty_lines_and_counts_the_rest(library: Library) -> None:
    library.drop(
        Schools=schools(),
        Loans=loans(),
        Visits=visits(),
        People=people(80).replace(',"1000', ',,"1000').replace(',"1001', ',,"1001').replace(',"1002', ',,"1002'),
    )
    library.ingest()
    message = library.only("warning")["message"]
    assert "30 rows of People.csv rejected (30 with 5 columns instead of 4), in lines 2" in message
    assert "21 (school 07474001) and 10 more; the other 290 rows were landed" in message


# ---------------------------------------------------------------- settings


def test_school_nights_are_counted_from_monday_to_friday() -> None:
    friday = MONDAY + timedelta(4)
    assert [school_nights(friday, friday + timedelta(days)) for days in range(5)] == [0, 0, 0, 1, 2]
    assert school_nights(MONDAY, MONDAY + timedelta(28)) == 20
    assert school_nights(MONDAY, MONDAY - timedelta(3)) == school_nights(None, MONDAY) == 0


def test_thresholds_come_from_the_feed_then_its_source_then_the_trust_table() -> None:
    feed = next(feed for feed in load("myedbc").feeds if feed.name == "staff_information")
    assert tolerance({}, {}, feed) == Tolerance(stale_after_days=20, refuse_after_days=None)
    assert tolerance({"minimum_share": 0.4, "last_good_days": 2}, {"minimum_share": 0.3}, feed).minimum_share == 0.3
    plain = next(feed for feed in load("myedbc").feeds if feed.name == "course_information")
    assert tolerance({}, {}, plain).refuse_after_days is None


def test_a_table_of_a_database_grows_stale_only_where_it_is_asked_to() -> None:
    table = replace(load("myedbc").feeds[0], tolerance={})
    of_all = {"stale_after_days": 3, "refuse_after_days": 10}
    read = tolerance(of_all, {"kind": "sql"}, table)
    assert (read.stale_after_days, read.refuse_after_days) == (None, None)
    asked = tolerance(of_all, {"kind": "sql", "stale_after_days": 5, "refuse_after_days": 20}, table)
    assert (asked.stale_after_days, asked.refuse_after_days) == (5, 20)
    file = tolerance(of_all, {}, table)
    assert (file.stale_after_days, file.refuse_after_days) == (3, 10)


@pytest.mark.parametrize("wrong", [{"minimum_share": 1.5}, {"good_loads": -1}, {"last_good_days": False}, {"stale_after_days": "3"}, {"minimum_rows": 3}])
def test_a_threshold_nobody_can_follow_is_an_error_that_names_it(wrong: dict[str, Any]) -> None:
    feed = load("myedbc").feeds[0]
    with pytest.raises(LayoutError, match=next(iter(wrong))):
        tolerance(wrong, {}, feed)


def test_the_settings_that_are_shipped_name_every_threshold_and_say_the_defaults() -> None:
    import tomllib

    shipped = tomllib.loads((paths.root() / ".dlt" / "config.toml").read_text(encoding="utf-8"))["trust"]
    assert Tolerance(**shipped | {"summer": tuple(shipped["summer"])}) == Tolerance()
    documented = (paths.root() / "docs" / "trust.md").read_text(encoding="utf-8")
    assert [name for name in shipped if f"`{name}`" not in documented] == []
