"""The trust gate, closer: what is mended, held, told and left alone, by value, school, growth,
reference and row.
"""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import duckdb
import pyarrow as pa
import pytest
from library_kit import MONDAY, Library, loans, pen, people, schools, visits

from ingestion import numbers, table, trust

# ---------------------------------------------------------------- values


def test_numbers_a_spreadsheet_turned_into_decimals_are_given_back_and_told(
    library: Library,
) -> None:
    library.good_night()
    before = library.ask(
        "select school_number, student_number from raw_library.people order by _line"
    )
    lines = people().replace("Sürname", "Sürname-Li").split("\r\n")
    lines[1:-1] = [line.replace('","', '.0","', 1) for line in lines[1:-1]]  # every school number
    lines[3] = lines[3].replace('"10002"', '"1.0002E+04"')
    library.drop(People="\r\n".join(lines))
    assert library.ingest() == 0
    assert library.feed("people")["rejected"] == 0
    assert library.feed("people")["held_partitions"] == []
    assert (
        library.ask("select school_number, student_number from raw_library.people order by _line")
        == before
    )
    schools_told, students_told = library.findings("warning")
    assert "40 values of school_number in People.csv" in schools_told["message"]
    assert (schools_told["code"], schools_told["column"], schools_told["line"]) == (
        "numbers_repaired",
        "school_number",
        2,
    )
    assert (students_told["column"], students_told["line"]) == ("student_number", 4)
    # what rests on them finds them
    library.drop(Loans=loans().replace("Book ", "Buch "))
    assert library.ingest() == 0


def test_a_number_whose_digits_are_lost_is_nobodys_and_its_row_is_rejected(
    library: Library,
) -> None:
    library.good_night()
    library.drop(People=people().replace('"10002"', '"1.0E+04"'))
    assert library.ingest() == 0
    assert library.feed("people")["rejected"] == 1
    assert library.ask(
        "select count(*) from raw_library.people where student_number in ('10000', '10002')"
    ) == [(1,)]
    assert library.ask("select reason, column_name, record_key from raw_library.rejects") == [
        ("student_number was rounded by a spreadsheet", "student_number", None)
    ]
    assert (
        "1 with a student number whose digits a spreadsheet rounded away"
        in library.only("warning")["message"]
    )


def test_a_wrong_check_digit_is_counted_and_changes_nothing_and_may_be_switched_off(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.good_night()
    right = pen("99000000")
    library.drop(
        People=people()
        .replace(right, right[:8] + str((int(right[8]) + 5) % 10))
        .replace(pen("99000001"), "9900")
    )
    assert library.ingest() == 0
    told = library.only("info")
    assert (told["code"], told["line"], told["column"]) == ("check_digit_wrong", 2, "PEN")
    assert "2 of 40 values of PEN" in told["message"]
    assert library.feed("people")["landed"] == 40
    monkeypatch.setenv("SOURCES__LIBRARY__CHECK_DIGITS", "false")
    library.drop(People=people().replace(right, "990000001"))
    assert library.ingest() == 0
    assert library.findings() == []


@pytest.mark.parametrize(
    ("number", "fits"),
    [
        ("120164447", True),
        ("618972012", True),
        ("123456789", False),
        ("050323213", False),
        ("523456789", False),
    ],
)
def test_the_check_digit_is_the_ministrys(number: str, fits: bool) -> None:
    """Vectors of the Ministry's own tests."""
    assert (pen(number[:8]) == number) is fits
    with table.connected() as connection:
        assert connection.execute(
            f"select {numbers.wrong_check_digit('value')} from (values (?)) as given(value)",
            [number],
        ).fetchone() == (not fits,)


def test_a_few_letters_that_could_be_either_encoding_are_read_as_the_feed_was_before(
    library: Library,
) -> None:
    library.drop(
        Schools=schools(), People=people().encode("cp1252"), Loans=loans(), Visits=visits()
    )
    assert library.ingest() == 0
    library.drop(
        People=people().replace("Sürname", "RENE", 39).replace("Sürname", "RENÉ’S").encode("cp1252")
    )
    assert library.ingest() == 0
    assert library.ask("select distinct surname from raw_library.people order by 1") == [
        ("RENE",),
        ("RENÉ’S",),
    ]
    library.drop(People=people())
    assert library.ingest() == 0
    assert library.ask("select distinct surname from raw_library.people") == [("Sürname",)]
    assert library.only("warning")["code"] == "encoding_changed"


def test_a_feed_without_a_key_that_holds_everything_twice_is_refused(library: Library) -> None:
    library.good_night()
    before = library.ask("select count(*), count(distinct _file) from raw_library.loans")
    library.drop(Loans=loans() + loans().split("\r\n", 1)[1])
    assert library.ingest() == 3
    assert (
        "Loans.csv has 40 rows, 2.0 times the 20 of the largest of its last good loads, and 20 of"
        " them repeat another row" in library.only()["message"]
    )
    assert library.ask("select count(*), count(distinct _file) from raw_library.loans") == before


def test_a_feed_that_grows_by_rows_of_its_own_is_landed_and_told(library: Library) -> None:
    library.good_night()
    library.drop(Loans=loans(60))
    assert library.ingest() == 0
    assert library.only("warning")["code"] == "feed_grew"
    assert library.feed("loans")["landed"] == 60


def test_a_line_that_is_rejected_for_months_doubts_nobody_who_left_since(library: Library) -> None:
    """What audit.feed_loads counts by: since when the newest line that names nobody is there, and
    the keys of the others.
    """
    library.good_night()
    nameless, another = '"7474001","x"\r\n', '"7474002","","","Li"\r\n'
    asked = (
        "select doubt_since = read_at, doubt_since is null, rejected_keys from"
        " ledger.audit.source_files"
    )
    asked += " where feed = 'people' order by read_at desc limit 1"
    heading, rest = people().split("\r\n", 1)
    library.drop(People=f"{heading}\r\n{nameless}{rest}")
    assert library.ingest() == 0
    assert library.ask(asked) == [(True, False, None)]
    library.drop(People=f"{heading}\r\n{nameless}{rest.split(chr(10), 1)[1]}")
    assert library.ingest() == 0
    assert library.ask(asked) == [(False, False, None)], (
        "the same line as before: it is not theirs who left since"
    )
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
    assert (entry["status"], entry["held_partitions"], entry["hold"], entry["landed"]) == (
        "loaded",
        ["07474002"],
        "",
        30,
    )
    found = library.only()
    assert (found["code"], found["feed"], found["school_number"]) == (
        "school_held",
        "people",
        "07474002",
    )
    assert (
        "school 07474002 has no rows in People.csv and had 10 in its last good load"
        in found["message"]
    )
    assert "--accept-smaller people" in found["action"]
    assert library.ask(
        "select held_schools from ledger.audit.source_files where feed = 'people' order by read_at"
        " desc limit 1"
    ) == [('["07474002"]',)]


def test_a_school_that_lost_most_of_its_rows_is_held(library: Library) -> None:
    library.good_night()
    library.drop(People=people(s7474002=4))
    assert library.ingest() == 2
    assert library.feed("people")["held_partitions"] == ["07474002"]
    assert "has 4 rows in People.csv and had 10" in library.only()["message"]


@pytest.mark.parametrize(
    ("move", "held"),
    [
        ((10, 0), []),  # everybody of the school stands at another
        ((6, 0), []),  # most of them, and the rest left
        ((4, 0), ["07474002"]),  # most are nowhere
        ((4, 6), []),
    ],
)
def test_who_stands_at_another_school_in_the_same_file_is_not_missing(
    library: Library, move: tuple[int, int], held: list[str]
) -> None:
    library.good_night()
    moved, stayed = move
    rows = people().splitlines(keepends=True)
    of_school = [line for line in rows if line.startswith('"7474002"')]
    elsewhere = [line.replace('"7474002"', '"7474001"') for line in of_school[:moved]]
    kept = [line for line in rows if not line.startswith('"7474002"')]
    library.drop(People="".join(kept + elsewhere + of_school[moved : moved + stayed]))
    assert library.ingest() == (2 if held else 0)
    assert library.feed("people")["held_partitions"] == held


def test_who_was_at_both_schools_and_is_at_one_no_more_has_not_moved() -> None:
    """The cross-enrolled of a feed whose key is school and student."""
    before = [("1", "both"), ("2", "both"), ("2", "moved"), ("2", "gone"), ("2", "stays")]
    now = [("1", "both"), ("1", " moved"), ("2", "stays"), ("1", "new"), ("3", "stays")]
    was = pa.table({"who": [who for _, who in before], "place": [at for at, _ in before]})
    file = SimpleNamespace(
        feed=SimpleNamespace(report_key="who", school="place"), places={"who": 0, "place": 1}
    )
    with duckdb.connect() as connection:
        connection.execute("create table looked (place varchar, who varchar)")
        connection.executemany("insert into looked values (?, ?)", now)
        rules = trust.Rules(landed=lambda names: was.select(list(names)))
        assert trust._elsewhere(connection, cast(Any, file), rules) == {"00000002": 1}


def test_a_school_stays_held_until_its_rows_are_back_however_many_nights_pass(
    library: Library,
) -> None:
    library.good_night()
    for night, (each, code) in enumerate(
        ((10, "school_held"), (11, "school_held"), (11, "school_still_held")), 1
    ):
        library.drop(People=people(each, s7474002=0))
        assert library.ingest(day=MONDAY + timedelta(night)) == 2
        assert library.feed("people")["held_partitions"] == ["07474002"]
        assert [finding["code"] for finding in library.findings("critical")] == [code]
    library.drop(People=people(9))
    assert library.ingest(day=MONDAY + timedelta(4)) == 0
    assert library.feed("people")["held_partitions"] == []


def test_a_school_that_really_closed_is_let_go_by_a_person(library: Library) -> None:
    library.good_night()
    library.drop(People=people(s7474002=0))
    assert library.ingest() == 2
    assert library.ingest("--accept-smaller", "people") == 0
    assert library.feed("people")["held_partitions"] == []
    library.drop(People=people(11, s7474002=0))
    assert library.ingest() == 0
    assert library.feed("people")["held_partitions"] == []


def test_too_many_collapsed_schools_refuse_the_whole_feed(library: Library) -> None:
    library.good_night()
    before = library.people()
    library.drop(People=people(s7474002=0, s7474003=1))
    assert library.ingest() == 3
    assert library.people() == before
    assert library.feed("people")["status"] == "refused"
    found = library.only()
    assert found["code"] == "feed_schools_collapsed"
    assert "2 of 4 schools have lost their rows (limit 34%, the first 07474002)" in found["message"]


def test_a_school_of_two_comes_and_goes_unasked(library: Library) -> None:
    library.drop(Schools=schools(), People=people(s7474004=2), Loans=loans(), Visits=visits())
    library.ingest()
    library.drop(People=people(s7474004=0))
    assert library.ingest() == 0
    assert library.feed("people")["held_partitions"] == []


# ---------------------------------------------------------------- rows, over several loads


def test_a_feed_that_shrinks_a_little_every_night_is_measured_against_the_largest_of_its_last_loads(
    library: Library,
) -> None:
    library.good_night()
    for night, count in enumerate((16, 12), 1):
        library.drop(Loans=loans(count))
        assert library.ingest(day=MONDAY + timedelta(night)) == 0
    library.drop(Loans=loans(8))
    assert library.ingest(day=MONDAY + timedelta(3)) == 3
    assert (
        "has 8 rows (40% of the 20 of the largest of the last 3 good loads, limit 50%)"
        in library.only()["message"]
    )


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
    assert (found["code"], found["feed"], found["line"]) == ("feed_orphans", "loans", 20)
    assert (
        "3 of 21 rows (14%, limit 10%) name a student_number that people has not, the first in"
        " line 20" in found["message"]
    )
    assert library.ask("select count(*) from raw_library.loans") == [(20,)]


def test_a_few_orphans_pass(library: Library) -> None:
    library.good_night()
    library.drop(Loans=loans(20) + "77001,Old book\r\n")
    assert library.ingest() == 0


def test_children_of_a_held_school_are_no_orphans_because_last_night_knew_their_parents(
    library: Library,
) -> None:
    library.good_night()
    library.drop(People=people(s7474001=0), Loans=loans(21))
    assert library.ingest() == 2
    assert library.feed("loans")["status"] == "loaded"


def test_without_any_parent_nothing_is_said_about_orphans(library: Library) -> None:
    library.drop(Schools=schools(), Loans=loans(), Visits=visits())
    assert library.ingest() == 3
    assert {name: library.feed(name)["status"] for name in ("people", "loans")} == {
        "people": "missing",
        "loans": "loaded",
    }


# ---------------------------------------------------------------- rows that are rejected


def test_a_byte_that_cp1252_lacks_is_named(library: Library) -> None:
    content = people().encode("cp1252").replace(b"S\xfcrname", b"S\x81rname", 1)
    library.drop(Schools=schools(), People=content, Loans=loans(), Visits=visits())
    assert library.ingest() == 0
    assert library.ask("select _line, reason from raw_library.rejects") == [
        (2, "not cp1252 (byte 0x81)")
    ]
    rejected, pointing = library.findings("warning")
    assert "1 with letters that are not cp1252 (byte 0x81)" in rejected["message"]
    assert pointing["code"] == "rows_point_nowhere"  # the loans of whoever that line was


def test_a_rejected_row_names_its_column_its_record_its_school_and_who_mends_it(
    library: Library,
) -> None:
    library.good_night()
    library.drop(
        People=people()
        .replace('"7474001","10003",', ',"10003",')
        .replace('"7474002","20004",', '"7474002",,')
    )
    assert library.ingest() == 0
    assert library.ask(
        "select _line, reason, column_name, record_key, school_number, owner from"
        " raw_library.rejects order by _line"
    ) == [
        (5, "school_number is empty", "school_number", "10003", None, "the librarian"),
        (16, "student_number is empty", "student_number", None, "07474002", "the librarian"),
    ]
    found = library.only("warning")
    assert (
        found["message"]
        == "library people: 2 rows of People.csv rejected (1 without school number, 1 without"
        " student number), in lines 5 (student number 10003), 16 (school 07474002); the other 38"
        " rows were landed"
    )
    assert found["line"] == 5


def test_a_row_whose_values_moved_tells_a_key_only_when_the_feed_knows_it(library: Library) -> None:
    """A row one column short has the confidential PEN where the student number should be."""
    library.good_night()
    number = pen("99000003")
    library.drop(
        People=people()
        .replace(f'"7474001","10003","{number}",', f'"7474001","{number}",')
        .replace('"Sürname"\r\n', '"Sür","name"\r\n', 1)
    )
    assert library.ingest() == 0
    assert library.ask(
        "select _line, reason, record_key, school_number from raw_library.rejects order by _line"
    ) == [
        (2, "5 fields instead of 4", "10000", "07474001"),
        (5, "3 fields instead of 4", None, "07474001"),
    ]
    assert "990000003" not in library.said() + json.dumps(library.findings())


def test_a_finding_lists_twenty_lines_and_counts_the_rest(library: Library) -> None:
    library.drop(
        Schools=schools(),
        Loans=loans(),
        Visits=visits(),
        People=people(80)
        .replace(',"1000', ',,"1000')
        .replace(',"1001', ',,"1001')
        .replace(',"1002', ',,"1002'),
    )
    library.ingest()
    message = library.only("warning")["message"]
    assert "30 rows of People.csv rejected (30 with 5 columns instead of 4), in lines 2" in message
    assert "21 (school 07474001) and 10 more; the other 290 rows were landed" in message
