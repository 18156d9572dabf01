"""Who is listed where: every export of whole districts of people of every kind, against an answer
worked out beside the models.

The answer is plain Python from the rules as docs/lifecycle.md, the seeds and the descriptions of
the exports tell them; it reads no SQL and no table. The exports are the files as they stand, over
hand-made tables: seconds, no night.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import shelf_kit
import yaml
from listed_kit import (
    IN_GROUPS,
    LEFT,
    SCHOOLS,
    STATES,
    TARGETS,
    TONIGHT,
    Account,
    Contact,
    District,
    Student,
    Worker,
    district,
    tables,
)
from sql_kit import database, rendered

from common import paths

NUMBERS = range(6)
MODELS = (
    "barred_ways",
    "family_contacts",
    "family_telephones",
    "account_states",
    "org_unit_assignments",
    "group_members",
    "groups",
    "licences",
    "first_passwords",
    "class_sections",
    "classes",
    "class_people",
    "class_states",
    "class_owners",
    *(
        f"exp_google__{entity}"
        for entity in (
            "users",
            "org_units",
            "aliases",
            "groups",
            "group_settings",
            "schema_fields",
            "user_details",
            "members",
            "schemas",
            "licences",
            "courses",
            "course_students",
            "course_teachers",
        )
    ),
    *(
        f"exp_microsoft__{entity}"
        for entity in (
            "users",
            "groups",
            "licences",
            "members",
            "classes",
            "class_teachers",
            "class_members",
            "class_teams",
        )
    ),
    "microsoft__details",
    "exp_microsoft__user_details",
    "exp_microsoft__managers",
    "portfolio__sections",
    *(
        f"exp_portfolio__{entity}"
        for entity in ("students", "staff", "family", "classes", "enrolments")
    ),
    "exp_callout__contacts",
    "exp_callout__absences",
    "exp_transport__students",
    *shelf_kit.MODELS,
)
Rows = list[tuple[Any, ...]]


@cache
def made(number: int) -> tuple[District, dict[str, list[dict[str, Any]]]]:
    """A district, and what the project makes of it."""
    of, shown, files = (
        district(number),
        {},
        {file.stem: file for file in (paths.root() / "models").rglob("*.sql")},
    )
    with database(tables(of)) as connection:
        for name in MODELS:
            connection.execute(f'create table "{name}" as {rendered(files[name])}')
            cursor = connection.execute(f'select * from "{name}"')
            columns = [column[0] for column in cursor.description]
            shown[name] = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    return of, shown


# --- the answer -----------------------------------------------------------------------------------


def key_of(person: Student | Worker) -> str:
    return person.number if isinstance(person, Student) else person.key


def held_by(of: District, target: str) -> Iterator[tuple[Account, Student | Worker]]:
    """Who has an account: students with a school, everybody on staff, and all who left; nobody
    whose match waits for a decision.
    """
    for account, person in of.accounts():
        if (
            account.minted
            and target not in account.waits
            and (account.state in LEFT or person.school or isinstance(person, Worker))
        ):
            yield account, person


def names(person: Student | Worker) -> tuple[str | None, str]:
    return person.usual if isinstance(person, Student) else person.name


def unit(account: Account, person: Student | Worker) -> str:
    if account.state in LEFT:
        return "/Leavers"
    school = SCHOOLS[person.school].replace("/", "-") if person.school else "District office"
    return (
        f"/Students/{school}/{person.grade or 'No grade'}"
        if isinstance(person, Student)
        else f"/Staff/{school}"
    )


def google_users(of: District) -> Rows:
    return [
        (
            account.person,
            account.address("google"),
            names(person)[0] or "-",
            names(person)[1],
            unit(account, person),
            account.state in LEFT,
            account.state in ("archived", "delete_eligible"),
            account.state == "deleted",
        )
        for account, person in held_by(of, "google")
    ]


def google_org_units(of: District) -> Rows:
    paths_ = {"/Leavers"}
    for account, person in held_by(of, "google"):
        parts = unit(account, person).split("/")
        paths_ |= {"/".join(parts[:place]) for place in range(2, len(parts) + 1)}
    return [(path,) for path in paths_]


def google_aliases(of: District) -> Rows:
    return [
        (account.person, f"{account.person}.old@sd74.example")
        for account, _ in held_by(of, "google")
        if account.renamed and not account.adopted and account.state != "deleted"
    ]


def memberships(of: District) -> dict[tuple[str, str], bool]:
    """Group and person, and whether the person owns it. People whose state keeps them in groups, at
    every school they belong to.
    """
    found: dict[tuple[str, str], bool] = {}
    belong = [
        (account, person)
        for account, person in of.accounts()
        if account.minted and account.state in IN_GROUPS and person.school
    ]
    teachers = {
        person.id: account for account, person in belong if isinstance(person, Worker) and person.id
    }
    for account, person in belong:
        also = (
            person.other_school
            if not isinstance(person, Student) or person.status == "active"
            else None
        )
        for school in {person.school, also} - {None}:
            found[
                f"school-{school}-{'students' if isinstance(person, Student) else 'staff'}",
                account.person,
            ] = False
        if isinstance(person, Student):
            if person.grade:
                found[f"grade-{person.school}-{person.grade.lower()}", account.person] = False
            if person.homeroom:
                room = (
                    f"homeroom-{person.school}-"
                    + re.sub("[^a-z0-9]+", "-", person.homeroom.lower())[:40]
                )
                found[room, account.person] = False
                if person.teacher in teachers:
                    found[room, teachers[person.teacher].person] = True
    return found


def google_members(of: District) -> Rows:
    there = {account.person for account, _ in held_by(of, "google")}
    return [
        (group, person, "OWNER" if owns else "MEMBER")
        for (group, person), owns in memberships(of).items()
        if person in there
    ]


def microsoft_members(of: District) -> Rows:
    there = {account.person for account, _ in held_by(of, "microsoft")}
    return [(group, person) for group, person in memberships(of) if person in there]


def taught(of: District, target: str) -> dict[str, tuple[str, set[str], set[str]]]:
    """Class -> who owns it, who else teaches it, who attends it: people with an account whose
    state keeps them in groups. A class nobody there would own is none.
    """
    there = {
        account.person: person
        for account, person in held_by(of, target)
        if account.state in IN_GROUPS
    }
    found = {}
    for section, (school, kind) in of.sections.items():
        owners, teachers, pupils = [], set(), set()
        for key, person in there.items():
            teaches = section in person.sections
            if isinstance(person, Student):
                pupils |= {key} if teaches else set()
                continue
            teachers |= {key} if teaches else set()
            at = {person.school, person.other_school}
            if teaches:
                owners.append((1 if person is of.workers[0] else 2, key))
            elif (person.position or "").lower() == "principal" and school in at:
                owners.append((3, key))
        if kind == "class" and owners:
            found[f"class-{school}-{section}"] = min(owners)[1], teachers, pupils
    return found


def courses(of: District) -> Rows:
    return [
        (one, f"Title {one.rpartition('-')[2]}", "ACTIVE", owner)
        for one, (owner, _, _) in taught(of, "google").items()
    ]


def classes(of: District) -> Rows:
    return [(one, f"Title {one.rpartition('-')[2]}", "active") for one in taught(of, "microsoft")]


def in_class(target: str, *, teachers: bool, pupils: bool) -> Any:
    """Those who teach, the owner among them, or those who attend, or both."""

    def rows(of: District) -> Rows:
        return [
            (one, person)
            for one, (owner, teach, attend) in taught(of, target).items()
            for person in ({owner, *teach} if teachers else set()) | (attend if pupils else set())
        ]

    return rows


def groups(of: District) -> Rows:
    return [(group,) for group in {group for group, _ in memberships(of)}]


def microsoft_users(of: District) -> Rows:
    return [
        (
            account.person,
            account.address("microsoft"),
            " ".join(filter(None, names(person))),
            account.state not in LEFT,
            account.state == "deleted",
            (
                SCHOOLS[person.school]
                if person.school
                else "District office"
                if isinstance(person, Worker)
                else None
            ),
            person.position if isinstance(person, Worker) else "Student",
        )
        for account, person in held_by(of, "microsoft")
    ]


def microsoft_licences(of: District) -> Rows:
    """The tenant bought the students' licence only; archived is where licences end."""
    return [
        (account.person, "STANDARDWOFFPACK_STUDENT")
        for account, person in held_by(of, "microsoft")
        if isinstance(person, Student)
        and account.state not in ("archived", "delete_eligible", "deleted")
    ]


def in_portfolio(of: District) -> dict[str, Student]:
    """Students with a name and a school who belong here or are about to."""
    return {
        one.number: one
        for one in of.students
        if one.account.minted
        and one.school
        and (one.account.state in IN_GROUPS or one.account.state == "preregistered")
    }


def portfolio_students(of: District) -> Rows:
    grades = {"KF": "KG", "05": "05", "12": "12"}
    return [
        (
            one.number,
            one.legal[0] or "-",
            one.legal[1],
            one.usual[0],
            one.usual[1],
            grades.get(one.grade or "", "UG"),
            "PreReg" if one.account.state == "preregistered" else "Active",
            one.school,
            one.next_school,
            one.account.address("google"),
            one.account.person,
        )
        for one in in_portfolio(of).values()
    ]


def role(one: Worker) -> str | None:
    return (
        "administrator"
        if (one.position or "").lower() in ("principal", "vice-principal")
        else "teacher"
        if one.teaches or one.sections  # who has a class teaches
        else None
    )


def on_portfolio_staff(of: District) -> dict[str, Worker]:
    return {
        one.key: one
        for one in of.workers
        if one.account.minted
        and one.account.state in IN_GROUPS
        and one.id
        and one.school
        and role(one)
    }


def portfolio_staff(of: District) -> Rows:
    return [
        (
            one.id,
            one.name[0] or "-",
            one.name[1],
            one.account.address("google"),
            role(one),
            one.school,
        )
        for one in on_portfolio_staff(of).values()
    ]


def guardians(one: Student) -> list[Contact]:
    return [
        contact
        for contact, _, authority in sorted(one.contacts, key=lambda known: known[1])
        if authority
    ]


def portfolio_family(of: District) -> Rows:
    invited: dict[tuple[str, str], Contact] = {}
    for one in in_portfolio(of).values():
        for contact in guardians(one):
            if contact.email:
                invited.setdefault((one.number, contact.email.lower()), contact)
    return [
        (number, email, contact.first or "-", contact.last or "")
        for (number, email), contact in invited.items()
    ]


def portfolio_classes(of: District) -> Rows:
    attended = {key for one in in_portfolio(of).values() for key in one.sections}
    return [
        (
            key,
            f"Title {key}" + (" (A)" if of.sections[key][1] == "class" else ""),
            of.sections[key][0],
        )
        for key in attended
    ]


def portfolio_enrolments(of: District) -> Rows:
    listed = {key for key, _, _ in portfolio_classes(of)}
    learn = [
        (key, one.number, "student") for one in in_portfolio(of).values() for key in one.sections
    ]
    return learn + [
        (key, one.id, "teacher")
        for one in on_portfolio_staff(of).values()
        for key in one.sections
        if key in listed
    ]


def callout_contacts(of: District) -> Rows:
    rows = []
    for one in of.students:
        if one.may_call and one.status == "active" and one.school:
            reached = [
                contact
                for contact in guardians(one)
                if contact.home or contact.mobile or contact.work or contact.email
            ]
            rows += [
                (
                    one.number,
                    str(place),
                    contact.last or "",
                    contact.home or "",
                    contact.mobile or "",
                    contact.work or "",
                    contact.email or "",
                    one.account.person,
                )
                for place, contact in enumerate(reached, start=1)
            ]
    return rows


def callout_absences(of: District) -> Rows:
    rows = []
    for one in of.students:
        missed = {
            (school, {"AM": "1", "PM": "2"}.get(part, part))
            for day, school, part, excused, late in one.absences
            if day == TONIGHT and not (excused or late)
        }
        if one.may_call and one.status == "active":
            for school in {school for school, _ in missed}:
                periods = "".join(sorted(part for at, part in missed if at == school))
                rows.append(
                    (
                        school,
                        one.number,
                        "2026-10-5",
                        periods,
                        one.usual[0] or "-",
                        one.phone or "",
                        one.account.person,
                    )
                )
    return rows


def transport_students(of: District) -> Rows:
    rows = []
    for one in of.students:
        civic = re.match(r"(\d+) ?(.*)", one.street_number or "")
        if one.status == "active" and one.school and one.street and civic:
            last, mobile = zip(
                *[(contact.last or "", contact.mobile or "") for contact in guardians(one)],
                ("", ""),
                ("", ""),
                strict=True,
            )
            rows.append(
                (
                    one.number,
                    one.school,
                    civic[1],
                    one.apartment or civic[2],
                    one.born.strftime("%m/%d/%Y") if one.born else "",
                    *last[:2],
                    *mobile[:2],
                )
            )
    return rows


ANSWERS = {
    "exp_google__users": (
        google_users,
        "person_id primary_email given_name family_name org_unit_path suspended archived deleted",
    ),
    "exp_google__org_units": (google_org_units, "org_unit_path"),
    "exp_google__aliases": (google_aliases, "person_id alias"),
    "exp_google__groups": (groups, "group_id"),
    "exp_google__group_settings": (
        lambda of: [(group, "INVITED_CAN_JOIN", "false") for (group,) in groups(of)],
        "group_id who_can_join allow_external_members",
    ),
    "exp_google__schema_fields": (lambda _: [], "schema_name field_name"),
    "exp_google__user_details": (lambda _: [], "person_id"),
    "exp_google__members": (google_members, "group_id person_id role"),
    "exp_google__schemas": (lambda _: [("Homeroom", "person_id")], "schema_name field_name"),
    "exp_google__licences": (lambda _: [], "person_id licence"),
    "exp_google__courses": (courses, "class_id name course_state owner_id"),
    "exp_google__course_students": (
        in_class("google", teachers=False, pupils=True),
        "class_id person_id",
    ),
    "exp_google__course_teachers": (
        in_class("google", teachers=True, pupils=False),
        "class_id person_id",
    ),
    "exp_microsoft__classes": (classes, "class_id display_name state"),
    "exp_microsoft__class_teams": (
        lambda of: [(one, False) for one in taught(of, "microsoft")],
        "class_id is_archived",
    ),
    "exp_microsoft__class_teachers": (
        in_class("microsoft", teachers=True, pupils=False),
        "class_id person_id",
    ),
    "exp_microsoft__class_members": (
        in_class("microsoft", teachers=True, pupils=True),
        "class_id person_id",
    ),
    "exp_microsoft__user_details": (lambda _: [], "person_id"),
    "exp_microsoft__managers": (lambda _: [], "person_id"),
    "exp_microsoft__users": (
        microsoft_users,
        "person_id user_principal_name display_name account_enabled deleted department job_title",
    ),
    "exp_microsoft__groups": (groups, "group_id"),
    "exp_microsoft__members": (microsoft_members, "group_id person_id"),
    "exp_microsoft__licences": (microsoft_licences, "person_id licence"),
    "exp_portfolio__students": (
        portfolio_students,
        (
            "user_id first_name last_name preferred_first_name preferred_last_name grade"
            " enroll_status school_code pre_reg_school_code email_address person_id"
        ),
    ),
    "exp_portfolio__staff": (portfolio_staff, "user_id first_name last_name email role school_id"),
    "exp_portfolio__family": (portfolio_family, "student_user_id email first_name last_name"),
    "exp_portfolio__classes": (portfolio_classes, "class_id name school_id"),
    "exp_portfolio__enrolments": (portfolio_enrolments, "class_id user_id role"),
    "exp_callout__contacts": (
        callout_contacts,
        (
            "student_id contact_priority contact_last_name contact_home_phone contact_mobile_phone"
            " contact_work_phone contact_email person_id"
        ),
    ),
    "exp_callout__absences": (
        callout_absences,
        "school_id student_id absence_date periods_missed student_first_name home_phone person_id",
    ),
    "exp_transport__students": (
        transport_students,
        (
            "student_id school_id home_address_street_num home_address_apt birth_date "
            "contact1_last_name contact2_last_name contact1_cell_phone contact2_cell_phone"
        ),
    ),
}


ANSWERS |= shelf_kit.ANSWERS


@pytest.mark.parametrize("export", ANSWERS)
def test_an_export_lists_who_belongs_there_and_nobody_else(export: str):
    answer, columns = ANSWERS[export]
    for number in NUMBERS:
        of, shown = made(number)
        assert sorted(
            (tuple(row[column] for column in columns.split()) for row in shown[export]), key=repr
        ) == sorted(answer(of), key=repr), number


EXPORTS = paths.root() / "models" / "exports"


def test_no_export_is_without_an_answer():
    assert set(ANSWERS) == {file.stem for file in EXPORTS.rglob("exp_*.sql")}


def test_an_exposure_names_every_export_of_its_target():
    exposures = yaml.safe_load((EXPORTS / "_exposures.yml").read_text(encoding="utf-8"))[
        "exposures"
    ]
    named = sorted(sorted(one["depends_on"]) for one in exposures)
    assert named == sorted(
        sorted(f"ref('{file.stem}')" for file in target.glob("exp_*.sql"))
        for target in EXPORTS.iterdir()
        if target.is_dir()
    )


# --- the sentences that matter most, each told from the people to the files -----------------------

VENDORS = {
    "exp_portfolio__students": "user_id",
    "exp_portfolio__family": "student_user_id",
    "exp_portfolio__enrolments": "user_id",
    "exp_callout__contacts": "student_id",
    "exp_callout__absences": "student_id",
    "exp_transport__students": "student_id",
    **shelf_kit.CHILDREN,
}


def test_who_left_is_in_no_vendors_file():
    for of, shown in map(made, NUMBERS):
        left = {
            one.number
            for one in of.students
            if one.account.state in LEFT and one.status == "inactive"
        }
        assert left
        for export, column in VENDORS.items():
            assert not left & {row[column] for row in shown[export]}, export
        gone = {one.id for one in of.workers if one.account.state in LEFT}
        assert not gone & {row["user_id"] for row in shown["exp_portfolio__staff"]}


def test_who_just_left_is_not_called_rides_no_bus_and_owes_no_fee():
    for of, shown in map(made, NUMBERS):
        left = {one.number for one in of.students if one.status == "inactive"}
        for target in ("callout", "transport", "transfinder", "versatrans", *CALLED):
            for export, column in VENDORS.items():
                if export.startswith(f"exp_{target}__"):
                    assert not left & {row[column] for row in shown[export]}, export


CALLED = ("autodialer", "schoolcash", "schoolmessenger")


def test_nobody_without_an_account_signs_in_and_nobody_without_a_school_is_listed():
    for of, shown in map(made, NUMBERS):
        accountless = {
            one.number for one in of.students if not one.account.minted or not one.school
        }
        assert accountless
        for export, column in SIGNED_IN.items():
            assert not accountless & {row[column] for row in shown[export]}, export
        nowhere = {one.number for one in of.students if not one.school}
        for export, column in VENDORS.items():
            if export != "exp_callout__absences":  # called by the school they were absent from
                assert not nowhere & {row[column] for row in shown[export]}, export


SIGNED_IN = {
    f"exp_{export}": shelf_kit.CHILDREN[f"exp_{export}"]
    for export in (
        "oneroster11__users",
        "oneroster12__users",
        "clever__students",
        "apple__students",
        "xello__students",
        "papercut__students",
        "spacesedu__attendance",
        "myblueprint__student_courses",
    )
}


def test_a_contact_without_authority_is_told_nothing():
    for of, shown in map(made, NUMBERS):
        may = {one.number: guardians(one) for one in of.students}
        assert any(len(may[one.number]) < len(one.contacts) for one in of.students)
        for row in shown["exp_portfolio__family"]:
            assert row["email"] in {
                (contact.email or "").lower() for contact in may[row["student_user_id"]]
            }
        for row in shown["exp_callout__contacts"]:
            assert row["contact_last_name"] in {
                contact.last or "" for contact in may[row["student_id"]]
            }
        for row in shown["exp_transport__students"]:
            assert {row["contact1_last_name"], row["contact2_last_name"]} <= {
                "",
                *(contact.last for contact in may[row["student_id"]]),
            }
        for export, number, columns in (
            ("schoolcash", "student_number", "guardian1_last_name guardian2_last_name"),
            (
                "schoolmessenger",
                "student_id",
                "contact1_last_name contact2_last_name contact3_last_name",
            ),
        ):
            for row in shown[f"exp_{export}__students"]:
                told = {row[column] for column in columns.split()} - {None}
                assert told <= {contact.last for contact in may[row[number]]}, export


def test_who_did_not_say_yes_is_not_called():
    for of, shown in map(made, NUMBERS):
        silent = {one.number for one in of.students if one.may_call is not True}
        for export in (
            "exp_callout__contacts",
            "exp_callout__absences",
            "exp_schoolmessenger__students",
            "exp_schoolmessenger__enrolments",
        ):
            assert not silent & {row["student_id"] for row in shown[export]}
        marked = [
            row for row in shown["exp_autodialer__students"] if row["student_number"] in silent
        ]
        assert {(row["prevent"], row["telephone"]) for row in marked} == {("Y", None)}


def test_a_student_without_a_school_has_no_open_account():
    for of, shown in map(made, NUMBERS):
        nowhere = {
            account.person
            for account, person in of.accounts()
            if isinstance(person, Student) and not person.school
        }
        assert nowhere & {row["person_id"] for row in shown["exp_google__users"]}, (
            "who left keeps theirs, closed"
        )
        assert not nowhere & {
            row["person_id"] for row in shown["exp_google__users"] if not row["suspended"]
        }
        assert not nowhere & {
            row["person_id"] for row in shown["exp_microsoft__users"] if row["account_enabled"]
        }


def test_nobody_gets_a_second_account_while_a_match_waits():
    for of, shown in map(made, NUMBERS):
        for target in TARGETS:
            waiting = {account.person for account, _ in of.accounts() if target in account.waits}
            assert waiting
            assert not waiting & {row["person_id"] for row in shown[f"exp_{target}__users"]}


def test_the_teacher_owns_and_no_student_does():
    for of, shown in map(made, NUMBERS):
        owners = {
            row["person_id"] for row in shown["exp_google__members"] if row["role"] == "OWNER"
        }
        assert owners
        assert owners <= {one.account.person for one in of.workers}


def test_closed_is_suspended_and_only_archived_is_archived():
    for of, shown in map(made, NUMBERS):
        states = {account.person: account.state for account, _ in of.accounts()}
        users = shown["exp_google__users"]
        assert {states[row["person_id"]] for row in users if row["suspended"]} == set(LEFT)
        assert {states[row["person_id"]] for row in users if row["archived"]} == {
            "archived",
            "delete_eligible",
        }
        assert {states[row["person_id"]] for row in users if row["deleted"]} == {"deleted"}
        assert {
            states[row["person_id"]]
            for row in shown["exp_microsoft__users"]
            if not row["account_enabled"]
        } == set(LEFT)
        assert not {
            states[row["person_id"]]
            for target in TARGETS
            for row in shown[f"exp_{target}__members"]
        } - set(IN_GROUPS)


KINDS = {
    **{
        f"in state {state}": lambda one, state=state: one.account.state == state for state in STATES
    },
    "held, though the record says left": (
        lambda one: one.account.state == "active" and one.status == "inactive"
    ),
    "held closed, though the record is active": (
        lambda one: one.account.state in LEFT and one.status == "active"
    ),
    "no name minted": lambda one: not one.account.minted,
    "no school": lambda one: not one.school and one.account.state == "active",
    "left without a school": lambda one: not one.school and one.account.state in LEFT,
    "two schools": lambda one: one.school and one.other_school not in (None, one.school),
    "no civic address": lambda one: not one.street or not re.match(r"\d", one.street_number or ""),
    "a match that waits": lambda one: one.account.waits,
    "an adopted account": lambda one: one.account.adopted and one.account.renamed,
    "a merged number in grace": (
        lambda one: one.merged and one.merged.state == "grace" and one.account.state == "active"
    ),
    "nobody with authority": lambda one: one.contacts and not guardians(one),
    "a contact who cannot be reached": lambda one: any(
        not (known.home or known.mobile or known.work or known.email) for known in guardians(one)
    ),
    "two guardians of one address": (
        lambda one: (
            len({(known.email or known.key).lower() for known in guardians(one)})
            < len(guardians(one))
        )
    ),
    "one name": lambda one: not one.usual[0],
    "said no": lambda one: one.may_call is False,
    "nobody asked": lambda one: one.may_call is None,
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_districts_have_people_of_every_kind(kind: str):
    assert any(KINDS[kind](one) for number in NUMBERS for one in made(number)[0].students)
