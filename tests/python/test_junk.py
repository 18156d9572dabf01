"""Rows that are no records are rejected alone, and what nobody sees is in no key and no address."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from library_kit import Library, loans, people, schools, visits

from ingestion import junk, layout, table, values

ROOT = Path(__file__).parents[2]
HEADING, *RECORDS = people().rstrip("\r\n").split("\r\n")
JUNK = {
    "reject_heading": [
        HEADING,
        HEADING.upper(),
        '"School  Number","Student number","PEN","Surname"',
    ],
    "reject_dashes": [
        "-------,-----,----,-------",
        "--------------,=====,***,--",
        "____,____,____,____",
    ],
    "reject_count": [
        "(40 rows affected)",
        "40 rows selected.,,,",
        '"Total: 40","","",""',
        "Record count = 40,,,",
        ",,,End of report",
    ],
}
UNSEEN = (
    "\t\r\n\u00a0\u00ad\u034f\u061c\u115f\u180e\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a"
    "\u202e\u202f\u2060\u2066\u2069\u206f\u3000\u3164\ufe0f\ufeff\uffa0\x01\x1f\x7f\x85"
)


@pytest.mark.parametrize(
    ("code", "row"), [(code, row) for code, rows in JUNK.items() for row in rows]
)
@pytest.mark.parametrize("place", [0, 20, 40])
def test_a_row_that_is_no_record_is_rejected_alone_with_its_line(
    library: Library, code: str, row: str, place: int
) -> None:
    if place != 20 and row != JUNK[code][0]:
        return  # every place with one member of each kind, every member in the middle
    lines = [*RECORDS[:place], row, *RECORDS[place:]]
    library.drop(Schools=schools(), Loans=loans(), Visits=visits())
    library.drop(People="\r\n".join([HEADING, *lines, ""]))
    assert library.ingest() == 0
    at_end = code == "reject_count" and place == 40  # a trailer: read over, and told
    assert library.ask("select _line, code, record_key from raw_library.rejects") == (
        [] if at_end else [(place + 2, code, None)]
    )
    numbers = library.ask("select student_number, _line from raw_library.people order by _line")
    assert [number for number, _ in numbers] == [one.split('"')[3] for one in RECORDS]
    assert [line for _, line in numbers] == [at for at in range(2, 43) if at != place + 2]
    told = library.only("warning")
    assert (told["line"], told["code"]) == (
        place + 2,
        "trailer_read_over" if at_end else "rows_rejected",
    )


def test_a_key_that_does_not_look_like_one_is_rejected_alone_and_told(library: Library) -> None:
    library.good_night()
    library.drop(People=people().replace('"10002"', '"Smith"').replace('"10004"', '"-"'))
    assert library.ingest() == 0
    assert library.ask(
        "select _line, code, column_name, record_key, school_number from raw_library.rejects"
        " order by _line"
    ) == [
        (4, "reject_shape", "student_number", None, "07474001"),
        (6, "reject_shape", "student_number", None, "07474001"),
    ]
    assert library.feed("people")["landed"] == 38
    assert "2 whose student number does not look like one" in library.only("warning")["message"]


def test_decoration_counts_for_nothing_and_doubts_nobody(library: Library) -> None:
    """However small the feed: a rule and a count are no unreadable rows of people."""
    library.good_night()
    rule = "--,--,--"
    library.drop(Schools=schools() + f"{rule}\r\n(4 rows affected)\r\n")
    assert library.ingest() == 0
    assert library.feed("schools")["landed"] == 4
    assert library.ask(
        "select doubt_since from ledger.audit.source_files where feed = 'schools'"
        " order by read_at desc limit 1"
    ) == [(None,)]


def test_words_that_look_like_a_count_are_records_where_they_are_one(library: Library) -> None:
    library.drop(
        Schools="School Number,School Name,Town\r\n7474001,Row 12,Total\r\n7474002,--,Hope\r\n",
        People=people().replace("Sürname", "Heading", 1).replace("Sürname", "Total", 1),
        Loans=loans(),
        Visits=visits(),
    )
    assert library.ingest() == 0
    assert library.feed("schools")["landed"] == 2
    assert library.feed("people")["landed"] == 40


# ---------------------------------------------------------------- what nobody sees


@given(
    text=st.text("ABCxyz0123456789._-@", min_size=1, max_size=12),
    unseen=st.lists(st.tuples(st.integers(0, 12), st.sampled_from(UNSEEN)), max_size=6),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_key_or_address_keeps_a_character_nobody_sees(
    text: str, unseen: list[tuple[int, str]]
) -> None:
    written = text
    for place, mark in unseen:
        written = written[:place] + mark + written[place:]
    with table.connected() as connection:
        query = f"select {values.visible('text')} from (values (?)) as given(text)"
        assert connection.execute(query, [written]).fetchone() == (text,)
    assert bool(junk.UNSEEN_TEXT.search(written.replace("\n", "").replace("\t", ""))) == bool(
        set(written) - set(text) - {"\n", "\t"}
    )


def test_a_key_with_characters_nobody_sees_is_the_key_without(library: Library) -> None:
    """In the key, in what refers to it, at its ends and within: whatever feed it stands in."""
    every = people()
    for at, mark in enumerate(UNSEEN):
        number = f"{1 + at // 10}{at % 10:04}"
        marked = (f"{mark}{number}", f"{number[:3]}{mark}{number[3:]}", f"{number}{mark}")[at % 3]
        every = every.replace(f'"{number}"', f'"{marked}"')
    school = f'"{UNSEEN[5]}7474002"'
    library.drop(
        Schools=schools().replace("7474001,S", f'"7474001{UNSEEN[3]}",S'),
        People=every.replace('"7474002"', school).replace("PEN", "P\u200bEN"),
        Loans=loans().replace("10003,", f'"{UNSEEN[2]}10003",'),
        Visits=visits().replace("10004,", f'"10004{UNSEEN[0]}",'),
    )
    assert library.ingest() == 0
    for feed, column, rows in (
        ("schools", "school_number", 4),
        ("people", "student_number", 40),
        ("people", "school_number", 40),
        ("loans", "student_number", 20),
        ("visits", "student_number", 5),
    ):
        seen = f"count(*) filter (where regexp_full_match({column}, '[0-9]+'))"
        assert library.ask(f"select {seen} from raw_library.{feed}") == [(rows,)], feed
    assert library.ask("select count(distinct student_number) from raw_library.people") == [(40,)]


def test_other_values_stay_as_they_are_written(library: Library) -> None:
    """A joiner is part of a name, a line end of an address, and damage of both is to be seen."""
    library.drop(
        Schools=schools(),
        People=people().replace("Sürname", "می\u200cرا", 1),
        Loans=loans().replace("Book 1\r", '"Book\n1"\r'),
        Visits=visits(),
    )
    assert library.ingest() == 0
    assert library.ask("select surname from raw_library.people order by _line limit 1") == [
        ("می\u200cرا",)
    ]
    assert library.ask("select book from raw_library.loans where _line = 3") == [("Book\n1",)]


def test_every_id_and_address_a_model_reads_is_stripped() -> None:
    """Of every source: what staging lists as an id, a number of a school or staff, or an e-mail."""
    group = re.compile(r"-- ids\n(.*?)\n\n", re.S)
    column = re.compile(r"source\.\"?([a-z_]+)\"?")
    missing = []
    for model in (ROOT / "models" / "staging").glob("*/*.sql"):
        text = model.read_text()
        read = re.search(r"source\('([a-z]+)', '([a-z_]+)'\)", text)
        if model.parent.name in {"google", "microsoft", "targets", "homeroom"} or not read:
            continue
        feed = next(one for one in layout.load(read[1]).feeds if one.name == read[2])
        asked = {name for found in group.findall(text) for name in column.findall(found)}
        asked |= set(re.findall(r"source\.([a-z_]*(?:e_?mail|phone)[a-z_]*)", text))
        asked |= set(re.findall(r"(?:staff_id|school_number)\('source\.([a-z_]+)'\)", text))
        missing += [(model.stem, name) for name in sorted(asked) if name not in feed.identifiers]
    assert missing == []
