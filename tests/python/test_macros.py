"""Macros that decide something, each on its own: their files rendered without dbt, their SQL asked
of DuckDB.
"""

from __future__ import annotations

import datetime as dt
from functools import cache
from types import SimpleNamespace
from typing import Any

import duckdb
import jinja2
import pytest

from common import paths

NOT_RULES = {"generate_schema_name.sql", "materializations.sql"}  # these speak to dbt itself
OCTOBER = "date '2026-10-05'"


@cache
def _jinja() -> jinja2.Environment:
    """Every macro, as dbt would offer them on DuckDB."""
    jinja = jinja2.Environment(extensions=["jinja2.ext.do"])
    files = sorted(
        path for path in (paths.root() / "macros").glob("*.sql") if path.name not in NOT_RULES
    )
    macros: dict[str, Any] = {}
    jinja.globals.update(
        {
            "adapter": SimpleNamespace(dispatch=lambda name, _package: macros[f"duckdb__{name}"]),
            "dbt": SimpleNamespace(
                type_string=lambda: "text",
                position=lambda part, text: f"position({part} in {text})",
                datediff=lambda first, last, part: f"date_diff('{part}', {first}, {last})",
            ),
            "return": lambda value: value,
        }
    )
    module = jinja.from_string("\n".join(path.read_text(encoding="utf-8") for path in files)).module
    macros.update({name: macro for name, macro in vars(module).items() if not name.startswith("_")})
    jinja.globals.update(macros)
    return jinja


def _sql(call: str) -> str:
    """What a call of a macro becomes."""
    return _jinja().from_string("{{ " + call + " }}").render()


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def _said(call: str, relation: str = "") -> Any:
    """The value of a macro, asked of one row."""
    return _connection().execute(f"select {_sql(call)} {relation}").fetchall()[0][0]


def _q(text: str | None) -> str:
    return "null::text" if text is None else "'" + text.replace("'", "''") + "'"


@pytest.mark.parametrize(
    ("macro", "text", "said"),
    [
        ("clean_text", "  Kit ", "Kit"),
        ("clean_text", "  ", None),
        ("clean_text", "", None),
        ("school_number", "7", "00000007"),
        ("school_number", " 7474012 ", "07474012"),
        ("school_number", "10212345", "10212345"),
        ("school_number", " 102123456 ", "102123456"),
        ("school_number", " ", None),
        ("staff_id", " 0123 ", "0123"),
        ("staff_id", "NaN", None),
        ("staff_id", " none ", None),
        ("staff_id", "NULL", None),
        ("staff_id", " ", None),
        ("to_boolean", " Y ", True),
        ("to_boolean", "yes", True),
        ("to_boolean", "TRUE", True),
        ("to_boolean", "t", True),
        ("to_boolean", "1", True),
        ("to_boolean", " N ", False),
        ("to_boolean", "No", False),
        ("to_boolean", "false", False),
        ("to_boolean", "F", False),
        ("to_boolean", "0", False),
        ("to_boolean", "maybe", None),
        ("to_boolean", "", None),
        ("is_removed", " ToBeDeleted ", True),
        ("is_removed", "inactive", True),
        ("is_removed", "Active ", False),
        ("is_removed", " ", False),
        ("is_removed", None, False),
        ("is_removed", "gone", None),
        ("school_year_of_text", " 2027 ", 2027),
        ("school_year_of_text", "2026/2027", 2027),
        ("school_year_of_text", "2026 - 2027", 2027),
        ("school_year_of_text", "Fall 2027", None),
        ("school_year_of_text", "20267", None),
        ("phone_digits", "+1 (250) 555-0123", "2505550123"),
        ("phone_digits", "250.555.0123", "2505550123"),
        ("phone_digits", "1250555012", "1250555012"),
        ("phone_digits", "12505550123 4", "125055501234"),
        ("phone_digits", "none", None),
        ("slug", "Div. 4 – Élise", "div-4-elise"),
        ("slug", "--", None),
        ("group_slug", "É" * 41, "e" * 40),
        ("name_key", "O’Hara, Zoë 2", "oharazoe2"),
        ("name_key", "-", None),
        ("text_hash", "a", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
        ("enrolment_rank", "active", 1),
        ("enrolment_rank", "preregistered", 2),
        ("enrolment_rank", "inactive", 3),
        ("enrolment_rank", None, 3),
    ],
)
def test_a_text_is_read(macro: str, text: str | None, said: object) -> None:
    assert _said(f'{macro}("{_q(text)}")') == said


FIFTH = dt.date(2024, 9, 5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("05-Sep-2024", FIFTH),
        (" 5-Sept.-2024 ", FIFTH),
        ("5-Sep.-2024", FIFTH),
        ("2024-09-05", FIFTH),
        (" 2024-9-5 ", FIFTH),
        ("2024-09-05 00:00:00", FIFTH),
        ("2024-09-05T23:59:59Z", FIFTH),
        (" 20240905 ", FIFTH),
        ("20240231", None),
        ("31-Feb-2024", None),
        ("2024-13-05", None),
        ("09/05/2024", None),
        ("05-Sep-24", None),
        ("24-09-05", None),
        ("2024090", None),
        ("202409051", None),
        ("x 05-Sep-2024", None),
        ("05-Sep-2024 x", None),
        ("on 2024-09-05", None),
        ("2024-09-05x", None),
        ("1205-Sep-2024", None),
        ("soon", None),
        ("", None),
    ],
)
def test_a_date_is_read_or_refused(text: str, said: dt.date | None) -> None:
    assert _said(f'parse_date("{_q(text)}")') == said


@pytest.mark.parametrize(
    ("grade", "next_one"),
    [
        ("EL", "KF"),
        ("KH", "01"),
        ("KF", "01"),
        ("12", "graduated"),
        ("08", "09"),
        ("09", "10"),
        ("10", "11"),
        ("11", "12"),
    ]
    + [(f"0{n}", f"0{n + 1}") for n in range(1, 8)]
    + [(same, same) for same in ("00", "GA", "HS", "SU", "EU")],
)
def test_after_the_rollover_everybody_is_a_grade_higher(grade: str, next_one: str) -> None:
    assert _said(f'next_grade("{_q(grade)}")') == next_one


@pytest.mark.parametrize(
    ("status", "withdrawn", "said"),
    [
        ("Active", "05-Sep-2024", "active"),
        ("ACTIVE NO PRIMARY", None, "active"),
        ("PreReg", None, "preregistered"),
        ("Pre-Registered", None, "preregistered"),
        ("Graduate", None, "inactive"),
        ("GRADUATED", "05-Sep-2030", "inactive"),
        ("Transferred", None, "inactive"),
        ("Deceased", None, "inactive"),
        ("Grduate", None, None),
        ("Inactive", None, "inactive"),
        ("WITHDRAWN", None, "inactive"),
        ("Actve", None, None),
        (None, None, "active"),
        (None, "soon", None),
        (None, "05-Oct-2026", "active"),
        (None, "04-Oct-2026", "inactive"),
    ],
)
def test_a_status_decides_and_without_one_the_date(
    status: str | None, withdrawn: str | None, said: str | None
) -> None:
    assert _said(f'enrolment_status("{_q(status)}", "{_q(withdrawn)}", "{OCTOBER}")') == said


@pytest.mark.parametrize(
    ("day", "year"),
    [
        ("2026-10-05", 2027),
        ("2027-06-30", 2027),
        ("2027-07-01", 2028),
        ("2026-12-31", 2027),
        ("2027-01-01", 2027),
    ],
)
def test_school_years_run_from_july_to_june(day: str, year: int) -> None:
    assert _said(f"school_year(\"date '{day}'\")") == year
    assert (
        _said(
            "session_school_year('session')",
            f"from (select null as school_year, date '{day}' as ends_on) as session",
        )
        == year
    )
    assert (
        _said(
            "session_school_year('session')",
            f"from (select '2031' as school_year, date '{day}' as ends_on) as session",
        )
        == 2031
    )
    assert _said("date_of_year('2027', '02-15')") == dt.date(2027, 2, 15)


@pytest.mark.parametrize(
    ("keys", "key", "rejected"),
    [
        ('["11", "12"]', "11", True),
        ('["11", "12"]', "1", False),
        ("", "11", False),
        (None, "11", False),
    ],
)
def test_a_rejected_line_names_whole_keys(keys: str | None, key: str, rejected: bool) -> None:
    assert (
        _said("is_rejected('keys', 'key')", f"from (select {_q(keys)} as keys, {_q(key)} as key)")
        is rejected
    )


GUARDIAN = (
    "from (select 'zoe|ohara' as person_name, {} as email, {} as mobile_phone, {} as home_phone, {}"
    " as work_phone, '7' as student_number) as g"
)


@pytest.mark.parametrize(
    ("contacts", "hashed"),
    [
        (("Z@x.example", "1", "2", "3"), "zoe|ohara|z@x.example"),
        ((None, "1", "2", "3"), "zoe|ohara|1"),
        ((None, None, "2", "3"), "zoe|ohara|2"),
        ((None, None, None, "3"), "zoe|ohara|3"),
        ((None, None, None, None), "zoe|ohara|student 7"),
    ],
)
def test_a_guardian_is_a_name_and_the_best_contact(
    contacts: tuple[str | None, ...], hashed: str
) -> None:
    assert _said("guardian_id('g')", GUARDIAN.format(*map(_q, contacts))) == _said(
        f"text_hash(\"'{hashed}'\")"
    )


def test_a_teacher_is_called_by_the_preferred_names_last_name_first() -> None:
    teacher = (
        "from (select {} as preferred_family_name, {} as family_name, {} as preferred_given_name,"
        " {} as given_name) as t"
    )
    assert (
        _said("teacher_name('t')", teacher.format("'Wu'", "'Woo'", "'Amy'", "'Amelia'"))
        == "Wu, Amy"
    )
    assert (
        _said("teacher_name('t')", teacher.format("null", "'Woo'", "null", "'Amelia'"))
        == "Woo, Amelia"
    )
    assert _said("teacher_name('t')", teacher.format("null", "'Cher'", "null", "null")) == "Cher"


def test_small_rules_are_what_their_examples_say() -> None:
    assert (
        _said("homeroom_section_id(\"'07474001'\", \"'Div 1'\", '2027')") == "07474001_div-1_2027"
    )
    assert _said("people_counted('1')") == "1 person"
    assert _said("people_counted('12')") == "12 people"
    assert _said("regex_replace(\"'a1b2'\", '[0-9]', '')") == "ab"
    assert _said("regexp_like(\"'07474001'\", '^[0-9]{8}$')") is True
    assert _said("regexp_like(\"'7474001'\", '^[0-9]{8}$')") is False
    assert _said("try_cast(\"'12'\", 'integer')") == 12
    assert _said("try_cast(\"'12b'\", 'integer')") is None
    assert (
        _said(
            "listagg('code', ',')",
            "from (values ('MMA--10'), ('MEN--10'), ('MMA--10')) as codes (code)",
        )
        == "MEN--10,MMA--10"
    )


def test_a_list_is_a_row_per_item_and_of_a_key_the_first_row_counts() -> None:
    items = (
        "select "
        + _sql("split_to_rows('text')")
        + " as item from (select 'b,a' as text union all select null) order by item"
    )
    assert _connection().execute(items).fetchall() == [("a",), ("b",)]
    first = _sql("deduplicate('rows', 'key', 'place')") + " order by key"
    rows = (
        "with rows as (select * from (values ('a', 2), ('a', 1), ('b', 3)) as listed (key, place)) "
    )
    assert _connection().execute(rows + first).fetchall() == [("a", 1), ("b", 3)]
