"""Who may be told about a child: whole generated families, from the lines of the extracts to every
file that knows of families, against an answer worked out beside the models.

The lines go through the flags of the shipped layout and the project's own SQL, from staging to the
exports; the answer is plain Python over the words of the office and reads no SQL.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sql_kit import database, fill, rendered

from common import paths
from ingestion.layout import load

TONIGHT = date(2026, 10, 5)
FEEDS = {feed.name: feed for feed in load("myedbc").feeds}
MODELS = (
    "stg_myedbc__parents",
    "stg_myedbc__emergency_contacts",
    "stg_myedbc__student_demographics",
    "intake_myedbc__contacts",
    "stg_oneroster__users",
    "stg_oneroster__roles",
    "intake_oneroster__contacts",
    "intake_contacts",
    "intake_barred_ways",
    "student_guardians",
    "guardians",
    "barred_ways",
    "family_contacts",
    "family_telephones",
    "exp_callout__contacts",
    "exp_callout__absences",
    "exp_portfolio__family",
    "exp_transport__students",
    "rostered_students",
    "exp_schoolcash__students",
    "exp_schoolmessenger__students",
    "exp_autodialer__students",
)
FILES = {
    "exp_callout__contacts": ("student_id", (("contact_first_name", "contact_last_name"),)),
    "exp_callout__absences": ("student_id", ()),
    "exp_portfolio__family": ("student_user_id", (("first_name", "last_name"),)),
    "exp_transport__students": (
        "student_id",
        (
            ("contact1_first_name", "contact1_last_name"),
            ("contact2_first_name", "contact2_last_name"),
        ),
    ),
    "exp_schoolcash__students": (
        "student_number",
        (
            ("guardian1_first_name", "guardian1_last_name"),
            ("guardian2_first_name", "guardian2_last_name"),
        ),
    ),
    "exp_schoolmessenger__students": (
        "student_id",
        tuple((f"contact{n}_first_name", f"contact{n}_last_name") for n in (1, 2, 3)),
    ),
    "exp_autodialer__students": ("student_number", ()),
}
# what the office writes, and what it means
STATUS = {
    "": "",
    "Joint": "yes",
    "SOLE": "yes",
    "None": "no",
    "No Contact": "no",
    "Access": "",
    "see file": "unread",
}
HAVING = {
    "": "",
    "Both Parents": "both",
    "Joint": "both",
    "Mother": "mother",
    "Father only": "father",
    "Grandparents": "others",
    "per order 2024": "unread",
}
KINDS = {"Mother": "mother", "Father": "father", "Stepfather": "", "Guardian": "", "": ""}
CHILDREN = ("1", "2", "3")
PHONES = ("2505550101", "2505550102", "2505550103", "2505550104")


@dataclass(frozen=True)
class Line:
    """A line of the parent extract, with the answers of the emergency contacts of that name."""

    child: str
    first: str
    last: str
    relation: str
    status: str
    email: str
    home: str
    mobile: str
    lives_with: str
    authority: tuple[str, ...]


@dataclass(frozen=True)
class Child:
    number: str
    having: str
    care: str
    order: str
    phone: str


LINES = st.builds(
    Line,
    st.sampled_from(CHILDREN),
    st.sampled_from(("Kuno", "Kuno M", "Mia", "KÜNO")),
    st.sampled_from(("Part", "Partway", "Bell")),
    st.sampled_from(tuple(KINDS)),
    st.sampled_from(tuple(STATUS)),
    st.sampled_from(("", "k@x.example", "K@X.example", "mia@x.example")),
    st.sampled_from(("", *PHONES)),
    st.sampled_from(("", *PHONES)),
    st.sampled_from(("Y", "N", "")),
    st.lists(st.sampled_from(("Y", "N", "")), max_size=2).map(tuple),
)
FAMILIES = st.tuples(
    st.lists(LINES, min_size=1, max_size=9),
    st.tuples(
        *(
            st.builds(
                Child,
                st.just(number),
                st.sampled_from(tuple(HAVING)),
                st.sampled_from(("", "", "YAG")),
                st.sampled_from(("", "N", "Court order")),
                st.sampled_from(("", *PHONES)),
            )
            for number in CHILDREN
        )
    ),
)


# --- the answer -----------------------------------------------------------------------------------


def letters(name: str) -> str:
    return "".join(one for one in name.lower().replace("ü", "u") if one.isalpha())


def named(line: Line) -> tuple[str, str, str]:
    return line.child, letters(line.first), letters(line.last)


def answers(line: Line, lines: list[Line]) -> set[str]:
    """What the emergency contacts say of whoever has this name."""
    return {said for other in lines if named(other) == named(line) for said in other.authority}


def bars(line: Line, child: Child, lines: list[Line]) -> bool:
    kind, having = KINDS[line.relation], HAVING[child.having]
    elsewhere = kind and having not in ("", "both", "unread", kind)
    return STATUS[line.status] == "no" or bool(elsewhere) or "N" in answers(line, lines)


def reach(line: Line) -> set[str]:
    return {line.email.lower(), line.home, line.mobile} - {""}


def same(one: Line, other: Line) -> bool:
    """Whether two lines of a child may be one person."""
    if named(one) == named(other):
        return True
    ends = letters(one.last), letters(other.last)
    alike = ends[0].startswith(ends[1]) or ends[1].startswith(ends[0])
    touching = (
        {one.email.lower()} & {other.email.lower()} - {""}
        or {one.home} & {other.home} - {""}
        or {one.mobile} & {other.mobile} - {""}
    )
    first = letters(one.first.split()[0]) == letters(other.first.split()[0])
    return first and (alike or bool(touching))


def barred_lines(lines: list[Line], child: Child) -> list[Line]:
    own = [line for line in lines if line.child == child.number]
    found = [line for line in own if bars(line, child, lines)]
    names = {named(line) for line in own if any(same(line, other) for other in found)}
    return [line for line in own if named(line) in names]


def ways(barred: list[Line]) -> set[str]:
    """By what the barred are reached; the telephone of a home they share with the child is not
    theirs alone.
    """
    return {
        way
        for line in barred
        for way in (line.email.lower(), line.mobile, "" if line.lives_with == "Y" else line.home)
        if way
    }


def may_be_told(line: Line, child: Child, lines: list[Line]) -> bool:
    """Whether something says yes of this person and nothing is in doubt."""
    mine = [other for other in lines if named(other) == named(line)]
    having = HAVING[child.having]
    for other in mine:
        one_sided = having in ("mother", "father") and not KINDS[other.relation]
        if (
            STATUS[other.status] == "unread"
            or having == "unread"
            or (one_sided and STATUS[other.status] != "yes")
        ):
            return False
    return "Y" in answers(line, lines) or any(STATUS[other.status] == "yes" for other in mine)


# --- the product ----------------------------------------------------------------------------------


def landed(feed: str, rows: list[dict[str, str]]) -> str:
    """SQL of a raw table, made as ingestion makes it: restricted columns only as letters."""
    found, columns = FEEDS[feed], [column.name for column in FEEDS[feed].columns]
    texts = ", ".join(f"nullif({name}, '') as {name}" for name in found.landed if name in columns)
    flags = ", ".join(f"{flag.sql(flag.column)} as {flag.name}" for flag in found.flags)
    return (
        f"select {texts}{', ' + flags if flags else ''}, 'f#1' as _file,"
        " row_number() over () as _line, now() as _loaded_at from written"
    )


def written(feed: str, rows: list[dict[str, str]]) -> tuple[Any, ...]:
    columns = [column.name for column in FEEDS[feed].columns]
    return (
        " ".join(f"{name}:varchar" for name in columns),
        *(tuple(row.get(name, "") for name in columns) for row in rows),
    )


def extracts(lines: list[Line], children: tuple[Child, ...]) -> dict[str, list[dict[str, str]]]:
    return {
        "parent_information": [
            {
                "student_number": line.child,
                "first_name": line.first,
                "surname": line.last,
                "parent_type_description": line.relation,
                "custody_status": line.status,
                "email_address": line.email,
                "home_phone": line.home,
                "cellular_phone": line.mobile,
                "living_with_student": line.lives_with,
            }
            for line in lines
        ],
        "emergency_contact_information": [
            {
                "student_number": line.child,
                "first_name": line.first,
                "last_name": line.last,
                "parent_auth_guardian": said,
            }
            for line in lines
            for said in line.authority
        ],
        "student_demographic_information": [
            {
                "student_number": child.number,
                "who_has_custody": child.having,
                "cyic_or_yag": child.care,
                "agreement_or_order": child.order,
            }
            for child in children
        ],
    }


def others(children: tuple[Child, ...]) -> dict[str, tuple[Any, ...]]:
    """The tables the models read besides; nobody in them is left out for another reason."""
    roster = {
        feed.name: " ".join(f"{name}:varchar" for name in feed.landed)
        + " _file:varchar _line:bigint _loaded_at:timestamp"
        for feed in load("oneroster").feeds
    }
    contact = (
        "student_number:varchar guardian_id:varchar relationship:varchar contact_priority:integer"
        " is_guardian:boolean is_barred:boolean doubt:varchar lives_with_student:boolean"
        " first_name:varchar last_name:varchar email:varchar home_phone:varchar"
        " mobile_phone:varchar work_phone:varchar last_seen_on:date"
    )
    return {
        **{name: (columns,) for name, columns in roster.items()},
        "source_precedence": ("source_system contacts:integer", ("myedbc", 1), ("oneroster", 2)),
        "guardian_rules": ("source_system:varchar relationship:varchar",),
        "student_guardians_remembered": (contact,),
        "doubted_records": ("population source_key",),
        "run_context": ("as_of", (TONIGHT,)),
        "students": (
            "student_number school_number home_phone:varchar enrolment_status may_call:boolean"
            " usual_first_name usual_last_name grade_code homeroom date_of_birth:date gender_code"
            " street_number street_name apartment:varchar municipality province postal_code"
            " is_in_feed:boolean last_seen_on:date legal_first_name legal_middle_name:varchar"
            " legal_last_name next_school_number:varchar",
            *(
                (
                    child.number,
                    "07474001",
                    child.phone or None,
                    "active",
                    True,
                    "Ana",
                    "Child",
                    "05",
                    "5A",
                    TONIGHT,
                    "X",
                    "1",
                    "Elm Rd",
                    None,
                    "Hope",
                    "BC",
                    "V0X 1L0",
                    True,
                    TONIGHT,
                    "Ana",
                    None,
                    "Child",
                    None,
                )
                for child in children
            ),
        ),
        "person_records": (
            "person_id population source_key reason source",
            *((f"p{one.number}", "student", one.number, "enrolled", "s:1") for one in children),
        ),
        "exp_portfolio__students": (
            "user_id student_number person_id school_number source",
            *((one.number, one.number, f"p{one.number}", "07474001", "s:1") for one in children),
        ),
        "absences": (
            "school_number student_number absence_on:date kind part_of_day period:varchar"
            " absence_code is_authorized:boolean is_late:boolean",
            *(
                ("07474001", one.number, TONIGHT, "daily", "AM", None, "A", False, False)
                for one in children
            ),
        ),
        # who may be listed rests on these; nobody is left out by them
        "account_holders": ("person_id account_name address is_in_groups:boolean",),
        "school_names": ("school_number school_name", ("07474001", "Cedar")),
        "portfolio_grades": ("grade_code grade", ("05", "05")),
    }


def made(lines: list[Line], children: tuple[Child, ...]) -> dict[str, list[dict[str, Any]]]:
    """Every file that knows of families, and `family_contacts`."""
    files = {file.stem: file for file in (paths.root() / "models").rglob("*.sql")}
    systems = '{"systems": {"contacts": ["myedbc", "oneroster"]}}'
    shown = {}
    with (
        mock.patch.dict(os.environ, {"HOMEROOM_SEEDS": systems}),
        database(others(children)) as connection,
    ):
        for feed, rows in extracts(lines, children).items():
            fill(connection, "written", written(feed, rows))
            connection.execute(f"create table {feed} as {landed(feed, rows)}")
        for name in MODELS:
            connection.execute(f'create table "{name}" as {rendered(files[name])}')
            cursor = connection.execute(f'select * from "{name}"')
            columns = [column[0] for column in cursor.description]
            shown[name] = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    return shown


def told(shown: dict[str, list[dict[str, Any]]], child: str) -> Iterator[tuple[str, str, str]]:
    """(file, first, last) of everybody a file names for a child."""
    for file, (number, people) in FILES.items():
        for row in shown[file]:
            if row[number] == child:
                for first, last in people:
                    if row[first] or row[last]:
                        yield file, row[first], row[last]


KUNO = Line("1", "Kuno", "Part", "Father", "None", "k@x.example", "", PHONES[0], "N", ("Y",))
MIA = Line("1", "Mia", "Part", "Mother", "Joint", "K@X.example", PHONES[0], PHONES[1], "Y", ())
QUIET = tuple(Child(number, "", "", "", "") for number in CHILDREN)


@settings(max_examples=25, deadline=None)
@given(FAMILIES)
@example(([KUNO, MIA], (Child("1", "", "", "", PHONES[0]), *QUIET[1:])))
@example(
    ([MIA, Line("1", "Kuno M", "Partway", "Father", "Joint", "", "", "", "N", ("Y",)), KUNO], QUIET)
)
def test_no_barred_contact_is_in_any_file(family: tuple[list[Line], tuple[Child, ...]]) -> None:
    lines, children = family
    shown = made(lines, children)
    for child in children:
        barred = barred_lines(lines, child)
        names = {named(line)[1:] for line in barred}
        for file, first, last in told(shown, child.number):
            assert (letters(first), letters(last)) not in names, (file, first, last)
        for file, (number, _) in FILES.items():
            for row in shown[file]:
                if row[number] == child.number:
                    values = {str(value).lower() for value in row.values()}
                    assert not ways(barred) & values, file


@settings(max_examples=25, deadline=None)
@given(FAMILIES)
@example(([MIA], QUIET))
def test_who_is_told_is_whom_something_says_may_be_and_nobody_else(
    family: tuple[list[Line], tuple[Child, ...]],
) -> None:
    lines, children = family
    shown = made(lines, children)
    for child in children:
        barred = {named(line) for line in barred_lines(lines, child)}
        may = {
            named(line)[1:]
            for line in lines
            if line.child == child.number
            and named(line) not in barred
            and may_be_told(line, child, lines)
        }
        found = {
            (letters(row["first_name"]), letters(row["last_name"]))
            for row in shown["family_contacts"]
            if row["student_number"] == child.number
        }
        assert found == may
        listed = {(letters(a), letters(b)) for _, a, b in told(shown, child.number)}
        assert listed <= may


def test_families_of_every_sort_are_drawn_and_the_files_are_not_empty() -> None:
    shown = made([MIA, KUNO], QUIET)
    assert {row["contact_first_name"] for row in shown["exp_callout__contacts"]} == {"Mia"}
    assert {row["contact1_first_name"] for row in shown["exp_transport__students"]} >= {"Mia"}
    assert shown["exp_portfolio__family"] == [], "her only address is his too"
    alone = made([MIA], QUIET)
    assert [row["email"] for row in alone["exp_portfolio__family"]] == ["k@x.example"]


@pytest.mark.parametrize("feed", [name for name, feed in FEEDS.items() if feed.flags])
def test_a_flag_is_made_of_a_restricted_column_that_never_lands(feed: str) -> None:
    found = FEEDS[feed]
    for flag in found.flags:
        assert flag.column not in found.landed
        assert any(one.name == flag.column and one.restricted for one in found.columns)
