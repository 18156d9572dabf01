"""Whose record is it: a child's two nights, drawn, from what the student system says to the bus
file, against an answer worked out beside the models.

The records go through the project's own SQL; the answer is plain Python over names and dates.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from unittest import mock

import pytest
import sql_kit
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sql_kit import database, rendered

from common import paths

pytestmark = pytest.mark.slow

LAST, TONIGHT = date(2026, 10, 5), date(2026, 10, 6)
SYSTEMS = '{"systems": {"students": ["myedbc", "oneroster"]}}'
MODELS = (
    "intake_students",
    "student_questions",
    "record_questions",
    "record_decisions",
    "doubted_records",
    "enrolments",
    "kept_lists",
    "students",
    "merged_keys",
    "person_records",
    "exp_transport__students",
)
RECORD = (
    "student_number:varchar school_number:varchar home_school_number:varchar"
    " next_school_number:varchar homeroom_teacher_id:varchar homeroom_teacher_name:varchar"
    " legal_first_name:varchar legal_middle_name:varchar legal_last_name:varchar"
    " usual_first_name:varchar usual_last_name:varchar homeroom:varchar email:varchar"
    " home_phone:varchar street_number:varchar street_name:varchar apartment:varchar"
    " municipality:varchar province:varchar postal_code:varchar gender_code:varchar"
    " may_call:boolean date_of_birth:date admitted_on:date withdrawn_on:date source_file:varchar"
    " source_line:bigint grade_code:varchar enrolment_status:varchar can_be_primary:boolean"
)
STAFF = (
    "staff_key:varchar staff_id:varchar hr_staff_id:varchar first_name:varchar"
    " usual_first_name:varchar last_name:varchar position:varchar school_number:varchar"
    " is_active:boolean is_in_hr:boolean ended_on:date hired_on:date match_rule:varchar"
    " email:varchar"
    " last_seen_on:date source_file:varchar source_line:bigint hr_source_file:varchar"
)
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Child:
    """One row of the student system."""

    number: str
    first: str
    last: str
    born: date | None
    status: str = "active"
    usual: str | None = None


AVA = Child("0061234", "Ava", "Campbell", date(2015, 9, 10))
BO = Child("7000000", "Bo", "Dorn", date(2014, 1, 2))  # is the same every night


def record(child: Child, line: int) -> tuple[Any, ...]:
    named = {
        "student_number": child.number,
        "school_number": "07474001",
        "legal_first_name": child.first,
        "legal_last_name": child.last,
        "usual_first_name": child.usual,
        "date_of_birth": child.born,
        "enrolment_status": child.status,
        "can_be_primary": True,
        "may_call": True,
        "street_number": "1",
        "street_name": "Elm Rd",
        "grade_code": "05",
        "source_file": "students.csv",
        "source_line": line,
    }
    return tuple(named.get(column.partition(":")[0]) for column in RECORD.split())


def night(
    children: list[Child],
    before: Rows,
    decisions: tuple[tuple[Any, ...], ...] = (),
    merges: tuple[tuple[str, str, str], ...] = (),
    system: str = "myedbc",
) -> dict[str, Rows]:
    """What the models make of a night; `before` is `students` of the last one."""
    other = "oneroster" if system == "myedbc" else "myedbc"
    seen = [name for name in (before[0] if before else {}) if name != "is_in_feed"]
    remembered = (
        " ".join(f"{name}:{kind}" for name, kind in TYPES.items() if name in seen or not before),
        *(tuple(row[name] for name in TYPES if name in row) for row in before),
    )
    tables = {
        f"intake_{system}__students": (RECORD, *(record(*c[::-1]) for c in enumerate(children, 2))),
        f"intake_{other}__students": (RECORD,),
        "source_precedence": ("source_system students:integer", ("myedbc", 1), ("oneroster", 2)),
        "run_context": (
            "as_of data_as_of rolled_over_on:date",
            (TONIGHT if before else LAST, TONIGHT if before else LAST, None),
        ),
        "students_remembered": remembered,
        "students_last_seen": remembered,
        "enrolments_remembered": (
            "student_number:varchar school_number:varchar enrolment_status:varchar"
            " grade_code:varchar homeroom:varchar admitted_on:date withdrawn_on:date"
            " last_seen_on:date",
        ),
        "staff_questions": (
            "population:varchar source_key:varchar code:varchar other_key:varchar"
            " kept_source:varchar kept_on:date found_source:varchar second_source:varchar",
        ),
        "staff_remembered": (STAFF,),
        "staff_last_seen": (STAFF,),
        "staff": (STAFF,),
        "identity_decisions": (
            "population:varchar source_key:varchar target:varchar account:varchar decision:varchar"
            " until:date why:varchar decided_by:varchar",
            *decisions,
        ),
        "person_merges": ("population:varchar source_key:varchar same_as:varchar", *merges),
        "accounts": ("person_id:varchar name_number:integer",),
        "intake_problems": ("code:varchar key:varchar",),
        "feed_loads": (
            "source_file:varchar good_loads_since:integer latest_rejected_keys:varchar",
        ),
        "held_loads": ("source_file:varchar school_number:varchar held_loads_since:integer",),
        "district_events": (
            "event:varchar school_number:varchar to_school_number:varchar starts_on:date"
            " ends_on:date",
        ),
        "first_days": ("position:varchar days_before:integer", (None, 0)),
        "absence_policy": ("population good_feeds_before_left", ("student", 5), ("staff", 5)),
        "school_calendar": ("population:varchar starts_on:date ends_on:date class_lists:varchar",),
        "family_contacts": (
            "student_number:varchar guardian_id:varchar first_name:varchar last_name:varchar"
            " home_phone:varchar mobile_phone:varchar contact_priority:integer",
        ),
        "family_telephones": ("student_number:varchar home_phone:varchar",),
        "grades": sql_kit.seed("grades"),
        "real_names": sql_kit.seed("real_names"),
    }
    files = {file.stem: file for file in (paths.root() / "models").rglob("*.sql")}
    shown = {}
    with (
        mock.patch.dict(os.environ, {"HOMEROOM_SEEDS": SYSTEMS}),
        mock.patch.dict(sql_kit.WORDS, {"is_incremental": lambda: False}),
        database(tables) as connection,
    ):
        for name in MODELS:
            connection.execute(f'create table "{name}" as {rendered(files[name])}')
            cursor = connection.execute(f'select * from "{name}"')
            columns = [column[0] for column in cursor.description]
            shown[name] = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
            if name == "students":
                kinds = connection.execute("describe students").fetchall()
                TYPES.update({column: kind for column, kind, *_ in kinds if column != "is_in_feed"})
    return shown


TYPES: dict[str, str] = {
    column.partition(":")[0]: column.partition(":")[2] for column in RECORD.split()
} | {"last_seen_on": "date", "homeroom_school_year": "integer", "homeroom_grade_code": "varchar"}
for gone in ("home_school_number", "can_be_primary"):
    del TYPES[gone]


def two_nights(
    first: list[Child], second: list[Child], **said: Any
) -> tuple[dict[str, Rows], dict[str, Rows]]:
    one = night([*first, BO], [])
    return one, night([*second, BO], one["students"], **said)


def on_the_bus(shown: dict[str, Rows]) -> dict[str, tuple[str, str, str]]:
    rows = shown["exp_transport__students"]
    found = {
        row["student_id"]: (row["first_name"], row["last_name"], row["birth_date"]) for row in rows
    }
    assert len(found) == len(rows)
    return found


def people(shown: dict[str, Rows]) -> dict[str, str]:
    """Person -> the key whose record counts."""
    return {row["person_id"]: row["source_key"] for row in shown["person_records"]}


# --- the answer -----------------------------------------------------------------------------------


def letters(name: str | None) -> str:
    text = (name or "").lower().translate(str.maketrans("áéèíóç", "aeeioc"))
    return "".join(letter for letter in text if letter.isalnum())


def another(old: Child, new: Child) -> bool:
    """Whether a number is somebody else's now."""
    olds = {letters(name) for name in (old.first, old.usual) if name}
    news = {letters(name) for name in (new.first, new.usual) if name}
    first, last = not olds & news, letters(old.last) != letters(new.last)
    if old.born is None or new.born is None:
        return first and last
    return old.born != new.born and (first or last)


FIRSTS = ("Ava", "AVA", "Avá", "A-va", "Emma", "Zoe")
LASTS = ("Campbell", "CAMPBELL", "Camp bell", "Brown")
DATES = (AVA.born, date(2011, 6, 2), None)
DRAWN = st.builds(
    Child,
    st.just(AVA.number),
    st.sampled_from(FIRSTS),
    st.sampled_from(LASTS),
    st.sampled_from(DATES),
    usual=st.sampled_from((None, "Ava", "Em")),
)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from((AVA, replace(AVA, born=None), replace(AVA, usual="Em"))), DRAWN)
@example(AVA, replace(AVA, first="Emma", last="Brown", born=date(2011, 6, 2)))
@example(AVA, replace(AVA, last="Brown"))
@example(AVA, replace(AVA, born=date(2011, 6, 2)))
def test_nobody_is_given_anothers_place_and_a_change_of_name_is_taken(
    old: Child, new: Child
) -> None:
    one, two = two_nights([old], [new])
    (asked,) = two["doubted_records"] or [None]
    assert (asked is not None) is another(old, new)
    if asked:
        assert (asked["code"], asked["held_key"]) == ("key_changed_hands", AVA.number)
        assert (asked["kept_source"], asked["found_source"]) == ("students.csv:2",) * 2
        assert on_the_bus(two) == on_the_bus(one)
    else:
        assert on_the_bus(two)[AVA.number][1] == new.last
    assert people(one) == people(two)
    assert on_the_bus(two)[BO.number] == on_the_bus(one)[BO.number]


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(("61234", "006-1234", "0061234x", "8000001")),
    st.sampled_from(FIRSTS),
    st.sampled_from(LASTS),
    st.sampled_from(DATES),
    st.sampled_from(("gone", "withdrawn", "there")),
)
@example("8000001", "Ava", "Campbell", AVA.born, "gone")
@example("8000001", "Ava", "Campbell", AVA.born, "there")
def test_a_new_number_of_somebody_known_is_no_second_child_on_the_bus(
    number: str, first: str, last: str, born: date | None, old: str
) -> None:
    new = Child(number, first, last, born)
    left = {"gone": [], "withdrawn": [replace(AVA, status="inactive")], "there": [AVA]}[old]
    one, two = two_nights([AVA], [*left, new])
    alike = (letters(first), letters(last), born) == ("ava", "campbell", AVA.born)
    digits = number in ("61234", "006-1234") and old != "there"
    asked = {row["source_key"]: row for row in two["doubted_records"]}
    assert set(asked) == ({number} if alike or digits else set())
    assert (number in on_the_bus(two)) is not (alike or digits)
    if alike or digits:
        code = "key_doubled" if old == "there" else "key_renumbered"
        assert (asked[number]["code"], asked[number]["other_key"]) == (code, AVA.number)
        assert people(one) == people(two)
    if old != "withdrawn":
        assert on_the_bus(two)[AVA.number] == on_the_bus(one)[AVA.number]


EMMA = replace(AVA, first="Emma", last="Brown", born=date(2011, 6, 2))
MOVED = replace(AVA, number="8000001")


def said(key: str, decision: str, other: str | None = None) -> dict[str, Any]:
    return {"decisions": (("student", key, None, other, decision, None, "seen", "registrar"),)}


def test_same_takes_the_record_and_different_makes_a_new_person() -> None:
    one, same = two_nights([AVA], [EMMA], **said(AVA.number, "same"))
    assert on_the_bus(same)[AVA.number][:2] == ("Emma", "Brown")
    assert people(same) == people(one)
    _, other = two_nights([AVA], [EMMA], **said(AVA.number, "different"))
    assert on_the_bus(other)[AVA.number][:2] == ("Emma", "Brown")
    (ava,) = (person for person, key in people(one).items() if key == AVA.number)
    assert people(other)[ava] == f"{AVA.number}/1"
    (emma,) = (person for person, key in people(other).items() if key == AVA.number)
    assert emma not in people(one)
    (left,) = (row for row in other["person_records"] if row["person_id"] == ava)
    assert (left["state"], left["first_name"]) == ("left", "Ava")


@pytest.mark.parametrize("there", [[], [AVA]])
def test_a_second_number_is_the_persons_or_anothers_as_somebody_says(there: list[Child]) -> None:
    one, same = two_nights([AVA], [*there, MOVED], **said(MOVED.number, "same", AVA.number))
    (ava,) = (person for person, key in people(one).items() if key == AVA.number)
    assert people(same)[ava] == MOVED.number
    assert set(on_the_bus(same)) == {MOVED.number, BO.number}
    _, merged = two_nights([AVA], [*there, MOVED], merges=(("student", MOVED.number, AVA.number),))
    assert (people(merged), on_the_bus(merged)) == (people(same), on_the_bus(same))
    _, other = two_nights([AVA], [*there, MOVED], **said(MOVED.number, "different"))
    assert set(on_the_bus(other)) == {AVA.number, MOVED.number, BO.number}
    assert len(people(other)) == len(people(one)) + 1


def test_two_people_under_one_number_leave_everything_as_it_was() -> None:
    one, two = two_nights([AVA], [AVA, replace(AVA, first="Zoe")], system="oneroster")
    (asked,) = two["doubted_records"]
    assert (asked["code"], asked["found_source"], asked["second_source"]) == (
        "key_shared",
        "students.csv:2",
        "students.csv:3",
    )
    assert on_the_bus(two) == on_the_bus(one)
    assert people(two) == people(one)
