"""Each data test of tests/dbt reports the row that breaks its rule, and is silent about all that
keeps it.

Every case is a small world in which the rule holds, and changes to it each of which breaks the rule
in one way. The tests are read as their files stand and asked of tables made by hand; a data test
without a case fails here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

import pytest
from sql_kit import Relation, Table, answer, rendered

from common import paths

TESTS = {file.stem: file for file in sorted((paths.root() / "tests" / "dbt").rglob("*.sql"))}
TONIGHT, YESTERDAY, EARLIER = date(2026, 10, 5), date(2026, 10, 4), date(2026, 9, 28)


@dataclass(frozen=True)
class Broken:
    """What takes the place of good tables, or of nodes in dbt's graph; and what is reported then:
    first columns, or whole rows.
    """

    reported: list[Any]
    tables: dict[str, Table] = field(default_factory=dict)
    nodes: dict[str, Any] = field(default_factory=dict)
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    good: dict[str, Table]
    broken: dict[str, Broken]
    nodes: dict[str, Any] = field(default_factory=dict)
    arguments: dict[str, Any] = field(default_factory=dict)


def one(table: str, reported: object, *rows: object) -> Broken:
    """One table in the place of a good one."""
    return Broken([reported], {table: rows})


CASES: dict[str, Case] = {}

# --- students and staff ---------------------------------------------------------------------------

SCHOOLED = "student_number school_number is_primary"
CASES["enrolments__every_student_has_one_primary_school"] = Case(
    {
        "students": ("student_number school_number", ("1", "A"), ("2", "B"), ("3", "A")),
        "enrolments": (
            SCHOOLED,
            ("1", "A", True),
            ("1", "B", False),
            ("2", "B", True),
            ("3", "A", True),
        ),
    },
    {
        "no enrolment": one("enrolments", "1", SCHOOLED, ("2", "B", True), ("3", "A", True)),
        "none is primary": one(
            "enrolments", "1", SCHOOLED, ("1", "A", False), ("2", "B", True), ("3", "A", True)
        ),
        "another school is": one(
            "enrolments",
            "1",
            SCHOOLED,
            ("1", "A", False),
            ("1", "B", True),
            ("2", "B", True),
            ("3", "A", True),
        ),
        "two are": one(
            "enrolments",
            "1",
            SCHOOLED,
            ("1", "A", True),
            ("1", "A", True),
            ("2", "B", True),
            ("3", "A", True),
        ),
    },
)
CASES["students__nobody_is_lost"] = Case(
    {
        "intake_students": ("student_number", ("1",), ("1",), ("2",), ("5",), ("2",)),
        "students_remembered": ("student_number", ("1",), ("3",)),
        "students": ("student_number", ("1",), ("2",), ("3",), ("4",)),
        # nobody knows whose 5 is
        "doubted_records": ("population source_key", ("student", "5"), ("staff", "2")),
    },
    {
        "of tonight": one("students", "2", "student_number", ("1",), ("3",)),
        "ever seen": one("students", "3", "student_number", ("1",), ("2",)),
        "of both": one("students", "1", "student_number", ("2",), ("3",)),
    },
)
MATCHED = "sis_key hr_staff_id"
CASES["staff__every_record_is_one_person"] = Case(
    {
        "intake_staff": ("sis_key", ("U1",), ("U1",), ("7",), ("9",), ("8",)),
        "intake_employees": ("staff_id", ("5",), ("7",), ("9",)),
        "staff_matches": (MATCHED, ("U1", "5"), ("7", None), (None, "7")),
        # nobody knows whose E9 is, nor whose Ube
        "staff_keys": (
            "staff_key sis_key hr_staff_id",
            ("U1", "U1", "5"),
            ("E9", "9", "9"),
            ("Ube", "8", None),
        ),
        "doubted_records": (
            "population source_key",
            ("staff", "E9"),
            ("staff", "Ube"),
            ("student", "U1"),
        ),
    },
    {
        "a record of the schools' system is nobody": one(
            "staff_matches", "sis U1", MATCHED, (None, "5"), ("7", None), (None, "7")
        ),
        "an employee is nobody": one(
            "staff_matches", "hr 5", MATCHED, ("U1", None), ("7", None), (None, "7")
        ),
        "an employee is two": one(
            "staff_matches", "hr 5", MATCHED, ("U1", "5"), ("7", "5"), (None, "7")
        ),
        "a record of the schools' system is two": one(
            "staff_matches", "sis U1", MATCHED, ("U1", "5"), ("U1", "7"), ("7", None)
        ),
    },
)
CASES["sections__pseudo_courses_are_no_classes"] = Case(
    {
        "sections": ("section_id course_code", ("1", "MMA--10"), ("2", None), ("3", "XATT1")),
        "pseudo_courses": ("course_code", ("XATT",), ("hr",)),
    },
    {
        "as it stands": one("sections", "1", "section_id course_code", ("1", "XATT")),
        "in small letters": one("sections", "1", "section_id course_code", ("1", "xatt")),
        "small in the seed": one("sections", "1", "section_id course_code", ("1", "HR")),
    },
)

SEEN, CLASS, ENROLLED = (
    "student_number last_seen_on is_in_feed enrolment_status",
    "student_number section_id",
    "student_number school_number enrolment_status",
)
CASES["students__who_vanished_keeps_everything"] = Case(
    {
        "students": (
            SEEN,
            ("gone", YESTERDAY, False, "active"),
            ("here", TONIGHT, True, "active"),
            ("left", YESTERDAY, False, "inactive"),
            ("lone", YESTERDAY, False, "preregistered"),
        ),
        # what was kept from an earlier night than the last, and a class the school no longer has,
        # need not be
        "section_students_remembered": (
            "student_number section_id last_seen_on",
            ("gone", "maths", YESTERDAY),
            ("gone", "band", EARLIER),
            ("gone", "closed", YESTERDAY),
            ("here", "maths", TONIGHT),
            ("left", "maths", YESTERDAY),
        ),
        "sections": ("section_id", ("maths",), ("band",)),
        "section_students": (CLASS, ("gone", "maths"), ("lone", "band")),
        "enrolments_remembered": (
            "student_number school_number last_seen_on",
            ("gone", "A", YESTERDAY),
            ("gone", "B", EARLIER),
            ("here", "A", TONIGHT),
            ("left", "A", YESTERDAY),
            ("lone", "B", YESTERDAY),
        ),
        "enrolments": (
            ENROLLED,
            ("gone", "A", "active"),
            ("left", "A", "inactive"),
            ("lone", "B", "preregistered"),
        ),
        "student_guardians_remembered": (
            "student_number last_seen_on",
            ("gone", YESTERDAY),
            ("gone", YESTERDAY),
            ("here", TONIGHT),
            ("left", YESTERDAY),
            ("lone", EARLIER),
        ),
        "student_guardians": ("student_number", ("gone",)),
    },
    {
        "in no class": one(
            "section_students", ("gone", "maths"), CLASS, ("lone", "maths"), ("gone", "band")
        ),
        "at no school": one(
            "enrolments",
            ("gone", "A"),
            ENROLLED,
            ("gone", "B", "active"),
            ("lone", "A", "active"),
            ("lone", "B", "active"),
        ),
        "not at school any more": one(
            "enrolments",
            ("gone", "A"),
            ENROLLED,
            ("gone", "A", "inactive"),
            ("lone", "B", "active"),
        ),
        "without a guardian": one(
            "student_guardians", ("gone", "guardian"), "student_number", ("lone",)
        ),
    },
)

# --- who left without a reason --------------------------------------------------------------------

READ = [datetime(2026, 9, day, 2) for day in range(1, 31)]
A, B, C = ("a" * 12 + "0" * 52), ("b" * 64), ("c" * 64)
FILES = "source feed file sha256 read_at status"


def person(population: str, key: str) -> str:
    return "p" + hashlib.sha256(f"{population}:{key}".encode()).hexdigest()[:15]


def brought(
    feed: str, night: int, sha256: str, status: str = "loaded", source: str = "sis"
) -> tuple[object, ...]:
    return source, feed, f"{feed}.csv", sha256, READ[night], status


LAST = "#" + A[:12]
STUDENTS_READ = (brought("students", 0, C), brought("students", 1, A))
STAFF_READ = (brought("staff", 1, A), brought("staff", 2, B))
HR_READ = (brought("hr", 1, A), brought("hr", 2, B))
ENOUGH = (
    *STUDENTS_READ,
    brought("students", 2, B),
    brought("students", 3, C),
    brought("students", 4, A, "refused"),
)
STUDENT, OF_STAFF = person("student", "1"), person("staff", "E1")
EMPLOYED = "staff_key is_active ended_on:date source_file hr_source_file"


def files(*rows: tuple[object, ...], of: str = STUDENT) -> Broken:
    return one("source_files", of, FILES, *HR_READ, *rows)


CASES["identity__nobody_left_without_a_reason"] = Case(
    {
        # 1 was absent from two good feeds, of which two are asked; the record of 2 says so; 3 has
        # not left
        "students_last_seen": (
            "student_number enrolment_status source_file",
            ("1", "active", "students.csv" + LAST),
            ("2", "inactive", "students.csv" + LAST),
            ("3", "active", "students.csv#" + C[:12]),
            ("4", "active", "students.csv#" + C[:12]),
            ("5", "active", "students.csv#" + C[:12]),
        ),
        # E1 was absent from the one that is asked; E2 is not active; the work of E3 ended
        # yesterday; human resources lost E4, whom another feed still has
        "staff_last_seen": (
            EMPLOYED,
            ("E1", True, None, "staff.csv" + LAST, None),
            ("E2", False, None, "no.csv", None),
            ("E3", True, YESTERDAY, "no.csv", None),
            ("E4", True, None, "no.csv", "hr.csv" + LAST),
        ),
        "run_context": ("as_of", (TONIGHT,)),
        "source_files": (FILES, *ENOUGH, *STAFF_READ, *HR_READ),
        "lifecycle": (
            "person_id record reason",
            *(
                (person("student", key), record, "absent")
                for key, record in (("1", "left"), ("2", "left"), ("3", "active"))
            ),
            *((person("staff", key), "left", "absent") for key in ("E1", "E2", "E3", "E4")),
            # somebody said that the key is another person's now
            (person("student", "4"), "left", "key_handed_on"),
            # and that 5 is the second number of another
            (person("student", "5"), "left", "merged"),
        ),
        "absence_policy": ("population good_feeds_before_left", ("student", 2), ("staff", 1)),
    },
    {
        "one good feed of two": files(*STUDENTS_READ, brought("students", 2, B), *STAFF_READ),
        "no good feed": files(*STUDENTS_READ, *STAFF_READ),
        "the same file twice": files(
            *STUDENTS_READ, brought("students", 2, B), brought("students", 3, B), *STAFF_READ
        ),
        "a refused file": files(
            *STUDENTS_READ,
            brought("students", 2, B),
            brought("students", 3, C, "refused"),
            *STAFF_READ,
        ),
        "an unchanged file": files(
            *STUDENTS_READ,
            brought("students", 2, B),
            brought("students", 3, C, "unchanged"),
            *STAFF_READ,
        ),
        "the last file read again": files(
            *ENOUGH, brought("students", 5, A, "unchanged"), *STAFF_READ
        ),
        "the last file loaded again": files(*ENOUGH, brought("students", 5, A), *STAFF_READ),
        "a file of another feed": files(
            *STUDENTS_READ, brought("students", 2, B), brought("contacts", 3, C), *STAFF_READ
        ),
        "a file of another source": files(
            *STUDENTS_READ,
            brought("students", 2, B),
            brought("students", 3, C, source="hr"),
            *STAFF_READ,
        ),
        "nobody says how many": one(
            "absence_policy",
            STUDENT,
            "population good_feeds_before_left",
            ("student", None),
            ("staff", 1),
        ),
        "nobody says a word": one(
            "absence_policy", STUDENT, "population good_feeds_before_left", ("staff", 1)
        ),
        "no feed without one on staff": files(*ENOUGH, brought("staff", 1, A), of=OF_STAFF),
        "still at work": one(
            "staff_last_seen", OF_STAFF, EMPLOYED, ("E1", True, None, "no.csv", "no.csv")
        ),
        "human resources lost nobody": one(
            "staff_last_seen", person("staff", "E4"), EMPLOYED, ("E4", True, None, "no.csv", None)
        ),
        "the last day of work": one(
            "staff_last_seen", OF_STAFF, EMPLOYED, ("E1", True, TONIGHT, "no.csv", None)
        ),
    },
)

MERGED = "population source_key same_as"
CASES["person_merges__none_goes_in_a_circle"] = Case(
    {
        "person_merges": (MERGED, ("student", "2", "1"), ("staff", "2", "1")),
        "merged_keys": (MERGED, ("student", "2", "1"), ("staff", "2", "1")),
    },
    {"a circle": one("merged_keys", "staff", MERGED, ("student", "2", "1"))},
)
HANDED = "population source_key code decision"
CASES["persons__a_key_is_one_persons_but_where_it_was_handed_on"] = Case(
    {
        "persons": (
            "population source_key",
            ("student", "1"),
            ("student", "1"),
            ("student", "1"),
            ("student", "2"),
            ("staff", "2"),
        ),
        "record_decisions": (
            HANDED,
            *[("student", "1", "key_changed_hands", "different")] * 2,
            ("student", "3", "key_changed_hands", "different"),
        ),
    },
    {
        "handed on once": one(
            "record_decisions",
            ("student", "1", 3, 1),
            HANDED,
            ("student", "1", "key_changed_hands", "different"),
            ("student", "1", "key_changed_hands", "same"),
            ("student", "1", "key_renumbered", "different"),
            ("staff", "1", "key_changed_hands", "different"),
        ),
        "never handed on": one(
            "persons",
            ("student", "2", 2, None),
            "population source_key",
            ("student", "2"),
            ("student", "2"),
        ),
    },
)

# --- the lifecycle --------------------------------------------------------------------------------

PROMISE, RULE = "population from_state to_state days", "population from_state to_state days"
STEPS = [("student", f"s{step}", f"s{step + 1}", 1) for step in range(9)]
PROMISED = [
    ("student", "s0", "s9", 9),
    ("student", "s3", "s9", 6),
    ("staff", "s0", "s9", 1),
    ("student", "s9", "s0", 500),
]
CASES["lifecycle__no_way_is_shorter_than_promised"] = Case(
    {
        "lifecycle_promises": (PROMISE, *PROMISED),
        "lifecycle_rules": (
            RULE,
            *STEPS,
            ("student", "s0", "s9", 20),
            ("staff", "s0", "s9", 1),
            ("student", "x", "s9", 0),
            ("student", "s0", "x", 20),
        ),
    },
    {
        "nine steps are too short": one(
            "lifecycle_promises",
            ("student", "s0", "s9", 10, 9),
            PROMISE,
            ("student", "s0", "s9", 10),
        ),
        "a step is shorter": one(
            "lifecycle_rules",
            ("student", "s3", "s9", 6, 5),
            RULE,
            *STEPS[3:8],
            ("student", "s8", "s9", 0),
        ),
        "a short cut": one(
            "lifecycle_rules",
            ("student", "s0", "s9", 9, 3),
            RULE,
            *STEPS,
            ("student", "s0", "s9", 3),
        ),
    },
)


def who_left(platform: str, word: str, *, is_open: bool) -> Case:
    """Told twice, by the word each platform has for an open account."""
    users, members, left = (
        f"exp_{platform}__users",
        f"exp_{platform}__members",
        ("suspended", "archived", "delete_eligible", "deleted"),
    )
    here = ("preregistered", "active", "leave", "grace", "returned")
    columns, states = (
        f"person_id {word}",
        [*((state, state) for state in (*here, *left)), ("elsewhere", "suspended")],
    )
    return Case(
        {
            users: (
                columns,
                *((state, is_open) for state in here),
                *((state, not is_open) for state in left),
                ("stranger", is_open),
            ),
            members: ("person_id", ("active",), ("grace",), ("elsewhere",)),
            "lifecycle": ("person_id state", *states),
        },
        {
            f"{state} and open": one(users, state, columns, (state, is_open), ("active", is_open))
            for state in left
        }
        | {
            f"{state} and in a group": one(members, state, "person_id", (state,), ("active",))
            for state in left
        },
    )


CASES["exports__nobody_who_left_is_open_in_google"] = who_left("google", "suspended", is_open=False)
CASES["exports__nobody_who_left_is_open_in_microsoft"] = who_left(
    "microsoft", "account_enabled", is_open=True
)

# --- targets --------------------------------------------------------------------------------------

CAN_HOLD = "target has_accounts has_groups has_licences"
CASES["targets__can_hold_what_other_seeds_say"] = Case(
    {
        "targets": (CAN_HOLD, ("all", True, True, True), ("mail", False, False, False)),
        "lifecycle_states": ("state target", ("active", "all"), ("left", "all")),
        "group_targets": ("rule target", ("grade", "all")),
        "licence_rules": ("target licence", ("all", "A1")),
    },
    {
        "a state without a meaning": one(
            "lifecycle_states", "all", "state target", ("active", "all"), ("left", "mail")
        ),
        "groups where there are none": one(
            "group_targets", "mail", "rule target", ("grade", "all"), ("grade", "mail")
        ),
        "licences where there are none": one(
            "licence_rules", "mail", "target licence", ("all", "A1"), ("mail", "A1")
        ),
    },
)

# --- names ----------------------------------------------------------------------------------------

TAKEN, ADOPTED = "target remote_id account_name person_id", "target remote_id person_id"
CASES["identity__a_name_is_no_one_elses"] = Case(
    {
        "accounts": (
            "person_id account_name minted_on",
            ("new", "ana.bo", TONIGHT),
            ("known", "cy.do", YESTERDAY),
            ("back", "ed.fo", TONIGHT),
            ("adopts", "gus.ho", TONIGHT),
        ),
        "run_context": ("as_of", (TONIGHT,)),
        # one minted before may be another's by now; one's own is no one else's, nor is that of the
        # account one adopts
        "names_taken": (
            TAKEN,
            ("google", "1", "cy.do", None),
            ("google", "2", "ed.fo", "back"),
            ("google", "3", "gus.ho", None),
            ("google", "4", "ida.jo", "other"),
        ),
        "adopted_accounts": (
            ADOPTED,
            ("google", "3", "adopts"),
            ("microsoft", "9", "new"),
            ("google", "9", "other"),
        ),
    },
    {
        "another person's": one("names_taken", "new", TAKEN, ("google", "5", "ana.bo", "other")),
        "a stranger's": one("names_taken", "new", TAKEN, ("google", "5", "ana.bo", None)),
        "adopted by another": one("names_taken", "new", TAKEN, ("google", "9", "ana.bo", None)),
        "adopted in another tenant": one(
            "names_taken", "adopts", TAKEN, ("microsoft", "3", "gus.ho", None)
        ),
        "adopted under another id": one(
            "names_taken", "adopts", TAKEN, ("google", "4", "gus.ho", None)
        ),
        "another's, whatever was adopted": one(
            "names_taken", "adopts", TAKEN, ("google", "3", "gus.ho", "other")
        ),
    },
)
NUMBERED = "person_id base_name number account_name"
CASES["identity__base_and_number_make_the_name"] = Case(
    {
        "accounts": (
            NUMBERED,
            ("1", "ana.bo", 1, "ana.bo"),
            ("2", "ana.bo", 2, "ana.bo2"),
            ("3", "bo28", 2, "bo28-2"),
            ("4", "az", 12, "az12"),
            ("5", "a9", 1, "a9"),
            ("6", "b0", 1, "b0"),
        )
    },
    {
        "a base that ends in a sign": one(
            "accounts", "1", NUMBERED, ("1", "ana.", 1, "ana."), ("2", "ana", 1, "ana")
        ),
        "another number": one(
            "accounts", "1", NUMBERED, ("1", "ana", 2, "ana3"), ("2", "ana", 1, "ana")
        ),
        "digits that meet": one(
            "accounts", "1", NUMBERED, ("1", "bo28", 2, "bo282"), ("2", "ana", 1, "ana")
        ),
    },
)
CASES["identity__no_account_shares_a_group_address"] = Case(
    {
        "accounts": ("person_id account_name", ("1", "ana.bo"), ("2", "school-1")),
        "groups": ("group_id", ("school-1-staff",)),
    },
    {
        "shared": one(
            "accounts", "2", "person_id account_name", ("1", "ana.bo"), ("2", "school-1-staff")
        )
    },
)

# --- exports --------------------------------------------------------------------------------------

UNIT = "org_unit_path parent_org_unit_path"
CASES["exports__every_org_unit_has_its_parent"] = Case(
    {"exp_google__org_units": (UNIT, ("/A", "/"), ("/A/B", "/A"), ("/A/B/C", "/A/B"), ("/D", "/"))},
    {"no parent": one("exp_google__org_units", "/A/B/C", UNIT, ("/A", "/"), ("/A/B/C", "/A/B"))},
)
CASES["exports__org_units_differ_by_more_than_case"] = Case(
    {"exp_google__org_units": ("org_unit_path", ("/A",), ("/A/B",), ("/AB",))},
    {
        "by case only": one(
            "exp_google__org_units", "/a/b", "org_unit_path", ("/A/B",), ("/A/b",), ("/C",)
        )
    },
)
CASES["exports__do_not_call_is_honoured"] = Case(
    {
        "students": (
            "student_number may_call",
            ("yes", True),
            ("yes too", True),
            ("no", False),
            ("unknown", None),
        ),
        "exp_callout__absences": ("student_id", ("yes",)),
        "exp_callout__contacts": ("student_id", ("yes too",), ("stranger",)),
    },
    {
        "no, in the absences": one("exp_callout__absences", "no", "student_id", ("no",), ("yes",)),
        "no, in the contacts": one("exp_callout__contacts", "no", "student_id", ("no",), ("yes",)),
        "unknown, in the absences": one(
            "exp_callout__absences", "unknown", "student_id", ("unknown",)
        ),
        "unknown, in the contacts": one(
            "exp_callout__contacts", "unknown", "student_id", ("unknown",)
        ),
    },
)


def node(
    name: str,
    columns: dict[str, str | None],
    reads: tuple[str, ...] = ("family_contacts",),
    **export: object,
) -> dict[str, Any]:
    """A model as dbt's graph has it: columns with their class of personal data, and what makes it
    an export.
    """
    listed = {
        column: {"name": column, "config": {"meta": {"personal_data": kind}} if kind else None}
        for column, kind in columns.items()
    }
    return {
        "resource_type": "model",
        "name": name,
        "unique_id": f"model.homeroom.{name}",
        "columns": listed,
        "config": {"meta": {"export": export} if export else {}},
        "depends_on": {"nodes": [f"model.homeroom.{one}" for one in reads]},
    }


def guarded(model: str, by: str = "personal_data_is_signed") -> dict[str, Any]:
    return {
        "resource_type": "test",
        "name": f"{by}_{model}",
        "attached_node": f"model.homeroom.{model}",
        "test_metadata": {"name": by},
    }


SIGNED = "model column_name personal_data signed_by signed_on:date"
CLASSED = {
    kind: kind
    for kind in ("name", "contact", "birth", "address", "family", "attendance", "enrolment")
}
REGISTER = [("exp_a", kind, kind, "officer", YESTERDAY) for kind in CLASSED] + [
    ("exp_b", "name", "family", "officer", YESTERDAY)
]
MODELS = {
    "a": node("exp_a", {"id": "key", "note": "none", **CLASSED}, target="a"),
    "b": node("exp_b", {"id": "key", "name": "family"}, target="b"),
    "students": node("students", {"medical": None}),
    "test": {"resource_type": "test", "name": "a_test", "config": {"meta": {"export": {}}}},
}


def register(reported: object, *changed: tuple[object, ...], but: str = "") -> Broken:
    """Rows in the place of those of the same column; `but` the row of that column of exp_a, which
    goes.
    """
    gone = {row[:2] for row in changed} | {("exp_a", but)}
    return one(
        "privacy_register",
        reported,
        SIGNED,
        *(row for row in REGISTER if row[:2] not in gone),
        *changed,
    )


def classed(column: str, kind: str | None, reported: str) -> Broken:
    return Broken(
        [("exp_a", column, reported)],
        nodes={
            "a": node("exp_a", {"id": "key", "note": "none", **CLASSED, column: kind}, target="a")
        },
    )


FIELDS = {"id": "key", "note": "none", **CLASSED}
AROUND = "families not by way of family_contacts"
UNSIGNED = {
    **{f"{kind}, and nobody signed": register(("exp_a", kind, kind), but=kind) for kind in CLASSED},
    "by nobody": register(("exp_a", "name", "name"), ("exp_a", "name", "name", None, YESTERDAY)),
    "on no day": register(("exp_a", "name", "name"), ("exp_a", "name", "name", "officer", None)),
    "signed as another class": register(
        ("exp_a", "birth", "birth"), ("exp_a", "birth", "enrolment", "officer", YESTERDAY)
    ),
    "signed as no class": register(
        ("exp_a", "birth", "birth"), ("exp_a", "birth", None, "officer", YESTERDAY)
    ),
    "signed for another export": register(
        ("exp_a", "contact", "contact"),
        ("exp_b", "contact", "contact", "officer", YESTERDAY),
        but="contact",
    ),
    "called none to get out of the register": classed("contact", "none", "none"),
    "called a key to get out of the register": classed("contact", "key", "key"),
    "called another class than the register has": classed("contact", "name", "name"),
    "the register classes what the export does not": register(
        ("exp_a", "note", "none"), ("exp_a", "note", "contact", "officer", YESTERDAY)
    ),
    "the register classes it, though nobody signed yet": register(
        ("exp_a", "id", "key"), ("exp_a", "id", "contact", None, None)
    ),
    "without a class": classed("new", None, "unclassed"),
    "a family from elsewhere": Broken(
        [("exp_a", "family", "family not by way of family_contacts")],
        nodes={"a": node("exp_a", FIELDS, reads=("enrolments",), target="a")},
    ),
    "a guardian's telephone that is called a contact": Broken(
        [("exp_a", "guardians", AROUND)],
        nodes={"a": node("exp_a", FIELDS, reads=("family_contacts", "guardians"), target="a")},
    ),
    "a contact by way of a model of the district's own": Broken(
        [("exp_a", "stg_crm__parents", AROUND)],
        nodes={
            "a": node("exp_a", FIELDS, reads=("family_contacts", "between"), target="a"),
            "between": node("between", {}, reads=("stg_crm__parents",)),
        },
    ),
}
MEDICAL = {"a": node("exp_a", {"id": "key", **CLASSED, "medical": "medical"}, target="a")}
UNKNOWN = Broken(
    [("exp_a", "medical", "medical")],
    {
        "privacy_register": (
            SIGNED,
            *REGISTER,
            ("exp_a", "medical", "medical", "officer", YESTERDAY),
        )
    },
    MEDICAL,
)
GONE = ("exp_a", "gone", "name", "officer", YESTERDAY)
CLASSES = "none, key, name, contact, birth, address, family, attendance, enrolment"


def with_the_classes(broken: Broken) -> Broken:
    """The test of an export says beside each row which classes there are."""
    return replace(broken, reported=[(*row, CLASSES) for row in broken.reported])


CASES["exports__every_column_is_classed_and_signed"] = Case(
    {"privacy_register": (SIGNED, *REGISTER)},
    UNSIGNED
    | {
        "a class nobody knows": UNKNOWN,
        "signed for another export": Broken(
            [("exp_a", "contact", "contact"), ("exp_b", "contact", "contact")],
            UNSIGNED["signed for another export"].tables,
        ),
        "signed for a column that is gone": one(
            "privacy_register", GONE[:3], SIGNED, *REGISTER, GONE
        ),
        "signed for a model that is no export": one(
            "privacy_register",
            ("students", "medical", "none"),
            SIGNED,
            *REGISTER,
            ("students", "medical", "none", "officer", YESTERDAY),
        ),
        "in the last export": register(
            ("exp_b", "name", "family"), ("exp_b", "name", "family", None, None)
        ),
    },
    MODELS,
)
CASES["personal_data_is_signed"] = Case(
    {"privacy_register": (SIGNED, *REGISTER, GONE)},
    {name: with_the_classes(broken) for name, broken in UNSIGNED.items()}
    | {
        "a class nobody knows": with_the_classes(UNKNOWN),
        "a model dbt does not know": Broken(["exp_c"], arguments={"model": Relation("exp_c")}),
    },
    MODELS | {"test of that name": {"resource_type": "test", "name": "exp_c"}},
    {"model": Relation("exp_a")},
)
CASES["exports__every_export_refuses_unsigned_columns"] = Case(
    {},
    {
        "no test": Broken(["exp_b"], nodes={"tests b": guarded("students")}),
        "another test": Broken(["exp_b"], nodes={"tests b": guarded("exp_b", by="key")}),
    },
    MODELS
    | {
        "tests a": guarded("exp_a"),
        "tests b": guarded("exp_b"),
        "model": node("personal_data_is_signed", {}),
    },
)


def compared(*observed: str, context: tuple[str, ...] = ("school",)) -> dict[str, Any]:
    return {
        "export": node(
            "exp_google__users",
            {"id": "key", "mail": "contact", "school": "none"},
            target="google",
            entity="users",
            context=context,
        ),
        "no context": node("exp_google__groups", {"id": "key"}, target="google", entity="groups"),
        "observed": node("stg_google__users", dict.fromkeys(observed, "none")),
        "groups": node("stg_google__groups", {"id": "none"}),
        "file": node(
            "exp_portfolio__users",
            {"id": "key", "nowhere": "none"},
            target="portfolio",
            entity="users",
        ),
        "model": node("users", {"id": "none"}),
        "test": {
            "resource_type": "test",
            "name": "stg_google__orders",
            "config": {"meta": {"export": {"target": "google", "entity": "users"}}},
            "columns": {"x": {}},
        },
    }


CASES["exports__observed_state_has_the_columns_of_its_export"] = Case(
    {},
    {
        "not observed": Broken([("stg_google__users", "mail")], nodes=compared("id", "phone")),
        "no context": Broken(
            [("stg_google__users", "school")], nodes=compared("id", "mail", context=())
        ),
    },
    compared("id", "mail", "phone"),
)

# --- tests of any model ---------------------------------------------------------------------------

CASES["not_null_columns"] = Case(
    {"model": ("a b c", ("1", "2", None), ("1", "2", None))},
    {
        "the first": one("model", (None, "2"), "a b c", (None, "2", "3"), ("1", "2", "3")),
        "the second": one("model", ("1", None), "a b c", ("1", None, "3"), ("1", "2", "3")),
    },
    arguments={"model": Relation("model"), "columns": ["a", "b"]},
)
CASES["unique_combination_of_columns"] = Case(
    {"model": ("a b c", ("1", "1", "x"), ("1", "2", "x"), ("2", "1", None))},
    {
        "twice": one(
            "model", ("1", "1"), "a b c", ("1", "1", "x"), ("1", "1", "y"), ("1", "2", "x")
        ),
        "no first part": one("model", (None, "1"), "a b c", (None, "1", "x"), ("1", "1", "x")),
        "no second part": one("model", ("1", None), "a b c", ("1", None, "x"), ("1", "1", "x")),
    },
    arguments={"model": Relation("model"), "columns": ["a", "b"]},
)
CASES["unique_combination_of_columns whose second part may be missing"] = Case(
    {"model": ("a b", ("1", None), ("1", "2"), ("2", None))},
    {
        "twice": one("model", ("1", None), "a b", ("1", None), ("1", None), ("2", None)),
        "no first part": one("model", (None, "1"), "a b", (None, "1"), ("2", None)),
    },
    arguments={"model": Relation("model"), "columns": ["a", "b"], "may_be_null": ["b"]},
)
CASES["matches_pattern"] = Case(
    {"model": ("a b", ("12", "x"), ("", "x"), (None, "x"))},
    {"another": one("model", "1a", "a b", ("12", "x"), ("1a", "x"))},
    arguments={"model": Relation("model"), "column_name": "a", "pattern": "^[0-9]*$"},
)

# --- OneRoster ------------------------------------------------------------------------------------

KEPT = "sourced_id status:varchar date_last_modified:varchar"
ORGS, SESSIONS = f"{KEPT} type", f"{KEPT} start_date end_date parent_sourced_id"
CLASSES = f"{KEPT} course_sourced_id school_sourced_id term_sourced_ids"
USERS_11, USERS_12 = f"{KEPT} role org_sourced_ids", KEPT
ROLES = f"{KEPT} user_sourced_id role org_sourced_id"
MEMBERS = f"{KEPT} class_sourced_id school_sourced_id user_sourced_id role is_primary"
NO = (None, None)
YEAR = ("y", *NO, "2026-09-01", "2027-06-30", None)
PACKAGE: dict[str, Table] = {
    "orgs": (ORGS, ("A", *NO, "school"), ("B", *NO, "school"), ("D", *NO, "district")),
    "sessions": (SESSIONS, YEAR, ("y-1", *NO, "2026-09-01", "2027-01-31", "y")),
    "courses": (KEPT, ("A_MA", *NO)),
    "classes": (CLASSES, ("c", *NO, "A_MA", "A", "y-1"), ("d", *NO, "A_MA", "B", "y")),
    "users": (USERS_12, ("u", *NO), ("t", *NO)),
    "roles": (
        ROLES,
        ("u-A", *NO, "u", "student", "A"),
        ("t-A", *NO, "t", "teacher", "A"),
        ("t-B", *NO, "t", "teacher", "B"),
    ),
    "model": (
        MEMBERS,
        ("c-u", *NO, "c", "A", "u", "student", None),
        ("c-t", *NO, "c", "A", "t", "teacher", "true"),
        ("c-s", *NO, "c", "A", "t", "teacher", "false"),
        ("d-t", *NO, "d", "B", "t", "teacher", "false"),
    ),
}
ONEROSTER = {name: Relation(name) for name in PACKAGE}


def broken(table: str, rule: str, *rows: object) -> Broken:
    """These rows beside the good ones break this rule."""
    return Broken([rule], {table: (*PACKAGE[table], *rows)})


BROKEN = {
    "a class of a district": broken(
        "classes", "classes: at no school", ("x", *NO, "A_MA", "D", "y")
    ),
    "a class of no school": broken(
        "classes", "classes: at no school", ("x", *NO, "A_MA", None, "y")
    ),
    "a term nobody lists": broken("classes", "classes: of no term", ("x", *NO, "A_MA", "A", "z")),
    "no term": broken("classes", "classes: of no term", ("x", *NO, "A_MA", "A", None)),
    "a course nobody lists": broken("classes", "classes: of no course", ("x", *NO, "Q", "A", "y")),
    "no course": broken("classes", "classes: of no course", ("x", *NO, None, "A", "y")),
    "a member of no class": broken(
        "model",
        "enrollments: of nobody, or in no class of that school",
        ("x", *NO, "q", "A", "u", "student", None),
    ),
    "a member at another school": broken(
        "model",
        "enrollments: of nobody, or in no class of that school",
        ("x", *NO, "c", "B", "u", "student", None),
    ),
    "a member who is nobody": broken(
        "model",
        "enrollments: of nobody, or in no class of that school",
        ("x", *NO, "c", "A", "q", "student", None),
    ),
    "two primary teachers": broken(
        "model",
        "enrollments: several primary teachers",
        ("x", *NO, "c", "A", "t", "teacher", "true"),
    ),
    "a primary student": broken(
        "model",
        "enrollments: primary, and no teacher",
        ("x", *NO, "c", "A", "u", "student", "false"),
    ),
    "a teacher of whom it is not said": broken(
        "model", "enrollments: primary, and no teacher", ("x", *NO, "c", "A", "t", "teacher", None)
    ),
    "a session turned round": broken(
        "sessions",
        "academicSessions: ends before it begins, or outside its year",
        ("x", *NO, "2027-01-31", "2026-09-01", None),
    ),
    "a semester before its year": broken(
        "sessions",
        "academicSessions: ends before it begins, or outside its year",
        ("x", *NO, "2026-08-31", "2027-01-31", "y"),
    ),
    "a semester after its year": broken(
        "sessions",
        "academicSessions: ends before it begins, or outside its year",
        ("x", *NO, "2027-02-01", "2027-07-01", "y"),
    ),
}
FILLED = {"orgs": ("A", "school"), "sessions": YEAR[:1] + YEAR[3:], "courses": ("A_MA",)}
FILLED |= {"classes": ("c", "A_MA", "A", "y"), "users": ("u",)}
FILLED |= {"roles": ("u-A", "u", "student", "A")}
FILLED |= {"model": ("c-u", "c", "A", "u", "student", None)}
SAID = {"sessions": "academicSessions", "model": "enrollments"}
for table, (key, *rest) in FILLED.items():
    said_of = SAID.get(table, table)
    for status in (("active", None), (None, "2026-10-05T00:00:00Z")):
        BROKEN[f"{table}: {status}"] = broken(
            table, f"{said_of}: status or date in a bulk file", ("new", *status, *rest)
        )
    BROKEN[f"{table}: twice"] = broken(table, f"{said_of}: an id twice", (key, *NO, *rest))
# somebody new is somebody of a school, an id twice doubles what refers to it
for of in ("('active', None)", "(None, '2026-10-05T00:00:00Z')"):
    BROKEN[f"users: {of}"].tables["roles"] = (
        *PACKAGE["roles"],
        ("new-A", *NO, "new", "student", "A"),
    )
CASES["oneroster_rules of 1.2"] = Case(
    PACKAGE,
    BROKEN
    | {
        "somebody of no school": broken("users", "users: somebody of no school", ("x", *NO)),
        "a school nobody lists": broken(
            "roles", "users: a school nobody lists", ("x", *NO, "u", "student", "Q")
        ),
        "a role at the district": broken(
            "roles", "users: a school nobody lists", ("x", *NO, "u", "student", "D")
        ),
    },
    arguments=ONEROSTER,
)
CASES["oneroster_rules of 1.1"] = Case(
    {
        **{name: table for name, table in PACKAGE.items() if name != "roles"},
        "users": (USERS_11, ("u", *NO, "student", "A"), ("t", *NO, "teacher", "A,B")),
    },
    {
        "somebody of no school": one(
            "users",
            "users: somebody of no school",
            USERS_11,
            ("u", *NO, "student", None),
            ("t", *NO, "teacher", "A,B"),
        ),
        "a second school nobody lists": one(
            "users",
            "users: a school nobody lists",
            USERS_11,
            ("u", *NO, "student", "A,Q"),
            ("t", *NO, "teacher", "A,B"),
        ),
    },
    arguments={name: table for name, table in ONEROSTER.items() if name != "roles"},
)


def said(name: str, case: Case, broken: Broken | None = None) -> list[Any]:
    """What a data test reports: nothing of the good world, of a broken one its rows, or the first
    column where that says it.
    """
    changed = broken or Broken([])
    graph = {"nodes": case.nodes | changed.nodes}
    rows = answer(
        rendered(TESTS[name.split(maxsplit=1)[0]], graph, **case.arguments | changed.arguments),
        case.good | changed.tables,
    )
    return (
        rows
        if any(isinstance(row, tuple) for row in changed.reported)
        else [row[0] for row in rows]
    )


@pytest.mark.parametrize("name", CASES)
def test_a_data_test_is_silent_while_its_rule_holds(name: str):
    assert said(name, CASES[name]) == []


@pytest.mark.parametrize(
    ("name", "how"), [(name, how) for name, case in CASES.items() for how in case.broken]
)
def test_a_data_test_reports_the_row_that_breaks_its_rule(name: str, how: str):
    broken = CASES[name].broken[how]
    assert said(name, CASES[name], broken) == broken.reported


def test_every_data_test_is_proven_to_bite():
    assert sorted({name.split(maxsplit=1)[0] for name in CASES}) == sorted(TESTS)
