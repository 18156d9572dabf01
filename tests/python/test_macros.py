"""The rules of people, schools, dates and texts, each asked of DuckDB by itself. Those of names are in `test_identity_macros`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date, timedelta
from types import SimpleNamespace

import duckdb
import pytest
from macro_kit import MACROS, said, said_of

TONIGHT = date(2026, 10, 5)
TABLE = {
    # OneRoster: a word nobody knows is unknown, which takes nothing away
    "is_removed": {"tobedeleted": True, " ToBeDeleted ": True, "inactive": True, " InActive ": True, "active": False, " Active ": False, "": False, " ": False,
                   None: False, "deleted": None, "tobe": None},
    "yes_no": {**dict.fromkeys(["y", "yes", "true", "t", "1", " Y ", "YES"], True), **dict.fromkeys(["n", "no", "false", "f", "0", " N ", "No"], False),
               **dict.fromkeys(["", None, "maybe", "2", "yn"])},
    "enrolment_rank": {"active": 1, "preregistered": 2, "inactive": 3, None: 3},
    "next_grade": {"EL": "KF", "KH": "01", "KF": "01", "01": "02", "02": "03", "07": "08", "08": "09", "09": "10", "10": "11", "11": "12", "12": "graduated",
                   "EU": "EU", "SU": "SU", "GA": "GA", "HS": "HS", None: None},
    "people_counted": {0: "0 people", 1: "1 person", 2: "2 people", 12: "12 people"},
    # July 1 to June 30
    "school_year": {date(2026, 6, 30): 2026, date(2026, 7, 1): 2027, date(2026, 8, 15): 2027, date(2026, 12, 31): 2027, date(2027, 1, 1): 2027},
    "school_year_of_text": {"2027": 2027, " 2027 ": 2027, "2026/2027": 2027, "2026-2027": 2027, " 2026 / 2027 ": 2027, "20262027": None, "26/27": None,
                            "": None, "x2027": None, "2027x": None, "2026/2027/2028": None, "027": None, "12027": None, None: None},
    "school_number": {"7474012": "07474012", " 7474012 ": "07474012", "1": "00000001", "10212345": "10212345", "102123456": "102123456", "": None, "  ": None,
                      None: None},
    "staff_id": {" 0123 ": "0123", "": None, " ": None, "NaN": None, " nan ": None, "None": None, "NULL": None, "nancy": "nancy", None: None},
    "phone_digits": {"+1 (250) 555-0123": "2505550123", "250.555.0123": "2505550123", "12505550123": "2505550123", "1250555012": "1250555012",
                     "125055501234": "125055501234", "22505550123": "22505550123", "ext.": None, "": None, None: None},
    "clean_text": {"  Kit ": "Kit", "Kit Bo": "Kit Bo", " ": None, "": None, None: None},
    "parse_date": {
        **dict.fromkeys(["05-Sep-2024", "5-SEP-2024", "05-Sept.-2024", " 05-sep.-2024 ", "2024-09-05", "2024-9-5", " 2024-09-05 ", "2024-09-05 00:00:00",
                         "2024-09-05T23:59:59Z", "20240905", " 20240905 "], date(2024, 9, 5)),
        # which number is the month, or which century it is, nothing says; and some days there never were
        **dict.fromkeys(["09/05/2024", "05-Sep-24", "24-09-05", "2024-02-30", "30-Feb-2024", "20240230", "2024-13-01", "soon", "2024", "202409051", "x20240905",
                         "2024-09-05x", "x2024-09-05", "05-Sep-20245", "105-Sep-2024", "05-S-2024", "05-Septem-2024", "", None]),
    },
    "first_name_or_placeholder": {"Ana": "Ana", None: "-"},
    "unquotable_text": {"Ana\tBo": "Ana Bo", ' "Ana"\r\n Bo ': "Ana Bo", "a\u00a0\u0000b": "a b", "O’Hara": "O’Hara", None: "", "\t": ""},
    "parent_org_unit_path": {"/Students/Cedar/05": "/Students/Cedar", "/Students/Cedar": "/Students", "/Students": "/", "/": "/"},
    "group_slug": {"7 A": "7-a", "7-a": "7-a", "–": None, "a" * 41: "a" * 40, None: None},
}  # fmt: skip


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


@pytest.mark.parametrize("macro", TABLE)
def test_each_macro_answers_as_its_rule_says(connection, macro: str) -> None:
    assert {value: said(connection, macro, value) for value in TABLE[macro]} == TABLE[macro]


@pytest.mark.parametrize(("keys", "key", "rejected"), [
    ('["11", "12"]', "11", True), ('["11", "12"]', "12", True), ('["11", "12"]', "1", False), ('["118"]', "18", False), ('["118"]', "11", False),
    ("", "11", False), (None, "11", False), ('["11"]', None, False),
])  # fmt: skip
def test_a_key_is_rejected_as_a_whole_or_not_at_all(connection, keys: str | None, key: str | None, rejected: bool) -> None:
    assert said(connection, "is_rejected", keys, key) is rejected


@pytest.mark.parametrize(("status", "withdrawn", "stands"), [
    # a status in the record decides, whatever the date says
    ("Active", "05-Sep-2024", "active"), ("ACTIVE NO PRIMARY", None, "active"), ("PreReg", "05-Sep-2024", "preregistered"),
    ("Inactive", None, "inactive"), ("withdrawn", "2027-01-01", "inactive"),
    # unknown is not the same as inactive
    ("Actve", None, None), ("Actve", "05-Sep-2024", None), (None, "soon", None),
    (None, None, "active"), (None, "2026-10-06", "active"), (None, "2026-10-05", "active"), (None, "2026-10-04", "inactive"),
])  # fmt: skip
def test_nobody_loses_anything_over_a_typo(connection, status: str | None, withdrawn: str | None, stands: str | None) -> None:
    assert said(connection, "enrolment_status", status, withdrawn, TONIGHT) == stands


@pytest.mark.parametrize(("first_a", "last_a", "first_b", "last_b", "days"), [
    (1, 10, 10, 20, 1), (1, 10, 11, 20, 0), (1, 10, 15, 20, 0), (1, 20, 5, 8, 4), (5, 8, 1, 20, 4), (10, 20, 1, 10, 1), (15, 20, 1, 10, 0), (3, 3, 3, 3, 1),
])  # fmt: skip
def test_days_shared_count_first_and_last(connection, first_a: int, last_a: int, first_b: int, last_b: int, days: int) -> None:
    start = date(2026, 6, 24)  # so that spans cross the end of a month
    assert said(connection, "days_shared", *(start + timedelta(days=number) for number in (first_a, last_a, first_b, last_b))) == days


def test_a_session_says_its_school_year_or_its_last_day_does(connection) -> None:
    assert said_of(connection, "session_school_year", school_year="2027", ends_on=date(2026, 6, 30)) == 2027
    assert said_of(connection, "session_school_year", school_year=None, ends_on=date(2027, 1, 31)) == 2027
    assert said_of(connection, "session_school_year", school_year="this year", ends_on=date(2027, 7, 1)) == 2028


def test_dates_are_made_and_written_as_asked(connection) -> None:
    assert said(connection, "date_of_year", 2027, month_and_day="02-15") == date(2027, 2, 15)
    assert said(connection, "date_text", TONIGHT) == "2026-10-05"
    assert {style: said(connection, "date_text", TONIGHT, style=style) for style in ("iso", "slashed", "unpadded")} == {
        "iso": "2026-10-05", "slashed": "10/05/2026", "unpadded": "2026-10-5",
    }  # fmt: skip
    assert said(connection, "date_text", date(2026, 2, 11), style="unpadded") == "2026-2-11"


@pytest.mark.parametrize(("text", "length", "fitted"), [
    (" Ana   May ", 5, "Ana M"), ("Ana May", 4, "Ana"), ("Ana", 3, "Ana"), ("Ana", 2, "An"), ("Ana\t\u00a0\u0000May", 10, "Ana May"),
    (" ", 5, None), ("Ana", 0, None), (None, 5, None),
])  # fmt: skip
def test_a_text_fits_on_one_line(connection, text: str | None, length: int, fitted: str | None) -> None:
    assert said(connection, "fitted_text", text, length) == fitted


def test_a_unit_has_a_name_and_no_level_in_it(connection) -> None:
    assert said(connection, "org_unit_name", " K/12  Valley ", when_blank="None") == "K-12 Valley"
    assert said(connection, "org_unit_name", " ", when_blank="No school") == "No school"
    assert said(connection, "org_unit_name", None, when_blank="No school") == "No school"
    assert said(connection, "org_unit_name", "a" * 61, when_blank="None") == "a" * 60
    assert said(connection, "org_unit_name", "abc", when_blank="None", length=2) == "ab"
    assert (MACROS.leavers_org_unit_path(), MACROS.district_office()) == ("'/Leavers'", "'District office'")


def test_people_are_called_by_the_names_they_have(connection) -> None:
    assert said(connection, "display_name", "Ana", "O’Hara") == "Ana O’Hara"
    assert said(connection, "display_name", None, "Naslhe") == "Naslhe"
    assert said(connection, "display_name", None, None) == ""
    assert said(connection, "display_name", "Ana", None).strip() == "Ana"
    user = {"preferred_family_name": None, "family_name": "Wu", "preferred_given_name": None, "given_name": "Amy"}
    assert said_of(connection, "teacher_name", **user) == "Wu, Amy"
    assert said_of(connection, "teacher_name", **user | {"preferred_given_name": "Kit"}) == "Wu, Kit"
    assert said_of(connection, "teacher_name", **user | {"preferred_family_name": "Bo"}) == "Bo, Amy"
    assert said_of(connection, "teacher_name", **user | {"given_name": None}) == "Wu"


def test_a_guardian_is_known_by_name_and_best_contact(connection) -> None:
    contact = {
        "person_name": "zoeohara", "email": "Z@x.example", "mobile_phone": "2505550101", "home_phone": "2505550102", "work_phone": "2505550103",
        "student_number": "7",
    }  # fmt: skip
    for best in ("z@x.example", "2505550101", "2505550102", "2505550103", "student 7"):
        assert said_of(connection, "guardian_id", **contact) == hashlib.sha256(f"zoeohara|{best}".encode()).hexdigest()
        contact[next(name for name in contact if name != "person_name" and contact[name] is not None)] = None


def test_keys_and_types(connection) -> None:
    assert said(connection, "homeroom_section_id", "07474001", "Div 1", 2027) == "07474001_div-1_2027"
    assert [said(connection, "try_cast", text, type="integer") for text in ("12", "12b", None)] == [12, None, None]
    assert MACROS.generate_schema_name(" core ", SimpleNamespace()) == "core"
    assert MACROS.generate_schema_name(None, SimpleNamespace()) == "main"
