"""A file that makes everybody somebody else, or nobody: refused before a row of it lands."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from library_kit import Library

from ingestion import layout, people

LAYOUT = """
owner = "the librarian"
report_key = ["Number"]
[feeds.readers]
files = ["Readers*"]
columns = ["Number", "Legal First Name", "Usual First Name", "Legal Surname", "Date of birth"]
required = ["Number"]
key = ["Number"]
min_row_ratio = 0.0
[feeds.helpers]
files = ["Helpers*"]
columns = ["Number", "First Name", "Last Name"]
required = ["Number"]
key = ["Number"]
[feeds.shelves]
files = ["Shelves*"]
columns = ["Number", "Identifier", "Type"]
required = ["Number"]
key = ["Number"]
distinct = ["Identifier", "Type"]
"""
# forty of them, whose names and birthdays are all different
READERS = [
    [
        f"0{2000 + at}",
        f"Ada{chr(97 + at % 26)}",
        f"Addi{at}",
        f"Bell{at}",
        f"2015-{at % 9 + 1:02}-1{at % 10}",
    ]
    for at in range(40)
]
HELPERS = [[f"{3000 + at}", f"Cy{at}", f"Dunn{at}"] for at in range(40)]
SHELVES = [["s1", "074", "district"], ["s2", "07474001", "school"], ["s3", "", "school"]]
HEADS = {
    "Readers": "Number,Legal First Name,Usual First Name,Legal Surname,Date of birth",
    "Helpers": "Number,First Name,Last Name",
    "Shelves": "Number,Identifier,Type",
}
Rows = list[list[str]]


@pytest.fixture
def reading(library: Library) -> Library:
    """The library after a good night, with readers, helpers and shelves."""
    (library.folder.parent / "library.toml").write_text(LAYOUT, encoding="utf-8")
    drop(library, Readers=READERS, Helpers=HELPERS, Shelves=SHELVES)
    assert library.ingest() == 0
    assert library.findings() == []
    return library


def drop(library: Library, **files: Rows) -> None:
    library.drop(
        **{
            name: "\r\n".join([HEADS[name], *(",".join(row) for row in rows)]) + "\r\n"
            for name, rows in files.items()
        }
    )


def columns_of(row: list[str], **new: str) -> list[str]:
    places = {"first": 1, "usual": 2, "last": 3, "born": 4}
    return [
        new.get(next((n for n, p in places.items() if p == at), ""), old)
        for at, old in enumerate(row)
    ]


@pytest.mark.parametrize(
    "renamed",
    [
        lambda key: "PS" + key,
        lambda key: key.lstrip("0"),
        lambda key: key + ".",
        lambda key: str(int(key) + 500),
        lambda key: f"{int(key):08}",
    ],
)
def test_a_file_in_which_every_key_is_new_is_refused_with_how_many_of_last_nights_are_in_it(
    reading: Library, renamed: Callable[[str], str]
) -> None:
    drop(reading, Readers=[[renamed(row[0]), *row[1:]] for row in READERS])
    assert reading.ingest() == 3
    told = reading.only()
    assert told["code"] == "feed_new_keys"
    assert (
        "Readers.csv: 0 of 40 keys of last night are in it (number, limit 50%)" in told["message"]
    )
    assert reading.ask("select min(number) from raw_library.readers") == [("02000",)]
    assert reading.ingest("--accept-smaller", "readers") == 0
    assert reading.feed("readers")["landed"] == 40


@pytest.mark.parametrize(("kept", "status"), [(20, "loaded"), (19, "refused")])
def test_half_of_the_keys_may_be_new_and_not_one_more(
    reading: Library, kept: int, status: str
) -> None:
    others = [[f"9{row[0]}", *columns_of(row, first="Zoe")[1:]] for row in READERS[kept:]]
    drop(reading, Readers=READERS[:kept] + others)
    reading.ingest()
    assert reading.feed("readers")["status"] == status


def test_a_feed_without_people_may_have_new_keys_every_day(reading: Library) -> None:
    drop(reading, Shelves=[[f"x{at}", f"{at}", "school"] for at in range(30)])
    assert reading.ingest() == 0
    drop(reading, Shelves=[[f"y{at}", f"{at}", "school"] for at in range(30)])
    assert reading.ingest() == 0


def test_a_list_of_four_may_change_altogether(reading: Library) -> None:
    drop(reading, Readers=READERS[:4])
    assert reading.ingest("--accept-smaller", "readers") == 0
    drop(reading, Readers=READERS[4:8])
    assert reading.ingest() == 0


def test_a_column_of_keys_that_slipped_by_a_line_is_refused(reading: Library) -> None:
    slipped = [[key[0], *row[1:]] for key, row in zip(READERS[1:], READERS, strict=False)]
    drop(reading, Readers=slipped)
    assert reading.ingest() == 3
    told = reading.only()
    assert (told["code"], told["line"]) == ("feed_other_people", 2)
    assert "39 of the 39 keys it shares with last night are somebody else's now" in told["message"]
    assert "Ada" not in told["message"]
    assert reading.ingest("--accept-smaller", "readers") == 0


@pytest.mark.parametrize(
    ("new", "others"),
    [
        ({"born": "2011-06-02", "last": "Brown"}, 3),
        ({"born": "02-Jun-2011", "first": "Emma", "usual": "Em"}, 3),
        ({"born": "2011-06-02", "first": "Emma"}, 0),  # the usual name is as it was
        ({"born": "2011-06-02"}, 0),
        ({"last": "Brown", "first": "Emma", "usual": "Em"}, 0),  # adopted: the birthday stays
        ({"born": "", "last": "Brown"}, 0),
    ],
)
def test_somebody_else_is_a_birth_date_and_a_name_that_differ(
    reading: Library, new: dict[str, str], others: int
) -> None:
    drop(reading, Readers=[columns_of(row, **new) for row in READERS[:3]] + READERS[3:])
    assert reading.ingest() == (3 if others else 0)
    if others:
        assert "3 of the 40 keys it shares" in reading.only()["message"]


def test_two_of_them_are_not_the_files_fault(reading: Library) -> None:
    changed = [columns_of(row, born="2011-06-02", last="Brown") for row in READERS[:2]]
    drop(reading, Readers=changed + READERS[2:])
    assert reading.ingest() == 0
    assert reading.findings() == []


def test_a_birth_date_and_a_name_written_another_way_are_no_others(reading: Library) -> None:
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep"]
    written = [
        columns_of(
            row,
            last=row[3].upper().replace("E", "É"),
            born=f"{row[4][8:]}-{months[int(row[4][5:7]) - 1]}-{row[4][:4]}",
        )
        for row in READERS
    ]
    drop(reading, Readers=written)
    assert reading.ingest() == 0


def test_where_no_birth_date_is_given_both_names_tell(reading: Library) -> None:
    drop(reading, Helpers=[[*row[:2], "Wed"] for row in HELPERS])
    assert reading.ingest() == 0
    drop(reading, Helpers=HELPERS)
    assert reading.ingest() == 0
    drop(reading, Helpers=[[row[0], "Eve", "Falk"] for row in HELPERS[:3]] + HELPERS[3:])
    assert reading.ingest() == 3
    assert "3 of the 40 keys" in reading.only()["message"]


def test_one_identifier_of_two_is_refused_with_both_lines_and_an_empty_one_is_nobodys(
    reading: Library,
) -> None:
    drop(reading, Shelves=[*SHELVES, ["s4", "", "school"], ["s5", "07474001", "school"]])
    assert reading.ingest() == 3
    told = reading.only()
    assert told["code"] == "feed_shared_identifier"
    assert "the first on lines 3 and 6" in told["message"]
    drop(reading, Shelves=[*SHELVES, ["s4", "", "school"], ["s5", "074", "school"]])
    assert reading.ingest() == 0  # a district and a school may have one


def test_the_shipped_layouts_say_who_their_people_are() -> None:
    told = {
        f"{name}.{feed.name}": (people.keys(feed), people.columns(feed))
        for name in ("myedbc", "hr", "oneroster")
        for feed in layout.load(name).feeds
        if people.keys(feed)
    }
    found = {name: (keys, *map(sorted, facts.values())) for name, (keys, facts) in told.items()}
    assert found == {
        "myedbc.student_demographic_information": (
            ("student_number",),
            ["legal_first_name", "usual_first_name"],
            ["legal_surname", "usual_surname"],
            ["date_of_birth"],
        ),
        "myedbc.student_demographic_enhanced": (
            ("student_number",),
            ["legal_first_name", "usual_first_name"],
            ["legal_surname", "usual_surname"],
            ["date_of_birth"],
        ),
        "myedbc.staff_information": (("teacher_id",), ["first_name"], ["last_name"], []),
        "hr.employees": (("staff_id",), ["first_name", "usual_first_name"], ["last_name"], []),
        "oneroster.users": (
            ("identifier", "sourced_id"),
            ["given_name", "preferred_given_name"],
            ["family_name", "preferred_family_name"],
            [],
        ),
        "oneroster.demographics": (("sourced_id",), [], [], ["birth_date"]),
    }


def test_schools_of_one_number_are_told_apart_in_oneroster() -> None:
    (orgs,) = (feed for feed in layout.load("oneroster").feeds if feed.name == "orgs")
    assert orgs.distinct == ("identifier", "type", "status")
