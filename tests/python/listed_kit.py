"""Districts of people of every kind, made by chance from a number, and the tables from which
exports are made.

A `District` holds facts only: who somebody is, where they stand, who answers for them. `tables`
says the same as core and identity do. What is to be listed of it, test_listed says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from sql_kit import Tables, seed

TONIGHT = date(2026, 10, 5)
SCHOOLS = {"07474001": "K/8 Cedar", "07474002": "Fir Secondary", "07474003": "Elm Online"}
STATES = (
    "preregistered",
    "active",
    "leave",
    "grace",
    "suspended",
    "archived",
    "delete_eligible",
    "deleted",
    "returned",
)
LEFT = ("suspended", "archived", "delete_eligible", "deleted")
IN_GROUPS = ("active", "grace", "returned")
RECORD = {
    "preregistered": "preregistered",
    "active": "active",
    "leave": "active",
    "returned": "active",
}  # and who left is inactive
TARGETS = ("google", "microsoft")


@dataclass(frozen=True)
class Account:
    """One person as the targets know them; a student whose number was merged has two."""

    person: str
    state: str
    waits: frozenset[str] = (
        frozenset()
    )  # targets in which a decision is waited for: no account there
    minted: bool = True  # no name, no account anywhere
    adopted: bool = False  # by another address in Google
    renamed: bool = False

    def address(self, target: str) -> str:
        return (
            f"{self.person}.{'old' if self.adopted and target == 'google' else 'new'}@sd74.example"
        )


@dataclass(frozen=True)
class Contact:
    key: str
    first: str | None
    last: str | None
    home: str | None
    mobile: str | None
    work: str | None
    email: str | None


@dataclass(frozen=True)
class Student:
    number: str
    account: Account
    status: str  # what the record says, whatever a hold keeps the account in
    usual: tuple[str | None, str]
    legal: tuple[str | None, str]
    born: date | None
    grade: str | None
    homeroom: str | None
    teacher: str | None  # staff id of the homeroom's teacher
    school: str | None
    other_school: str | None
    next_school: str | None
    may_call: bool | None
    phone: str | None
    street_number: str | None
    street: str | None
    apartment: str | None
    contacts: tuple[tuple[Contact, int, bool], ...]  # whom, in which order, with parental authority
    sections: tuple[str, ...]
    absences: tuple[
        tuple[date, str, str, bool, bool], ...
    ]  # day, school, half day or period, excused, late
    merged: Account | None = (
        # the account its number was given before somebody saw that it is the second of one person
        None
    )


@dataclass(frozen=True)
class Worker:
    key: str
    id: str | None
    account: Account
    name: tuple[str | None, str]
    position: str | None
    teaches: bool
    school: str | None
    other_school: str | None
    sections: tuple[str, ...]


@dataclass(frozen=True)
class District:
    students: tuple[Student, ...]
    workers: tuple[Worker, ...]
    sections: dict[str, tuple[str, str]]  # school and kind

    def accounts(self) -> Iterator[tuple[Account, Student | Worker]]:
        for person in (*self.students, *self.workers):
            yield person.account, person
            if isinstance(person, Student) and person.merged:
                yield person.merged, person


def district(number: int, students: int = 90, workers: int = 30) -> District:
    """The same number is the same district."""
    chance = Random(number)
    sections = {
        f"s{place}": (chance.choice(list(SCHOOLS)), chance.choice(("class", "homeroom")))
        for place in range(12)
    }
    pool = [_contact(chance, place) for place in range(students)]
    staff = tuple(_worker(chance, place, list(sections)) for place in range(workers))
    return District(
        tuple(_student(chance, place, list(sections), pool, staff) for place in range(students)),
        staff,
        sections,
    )


def _maybe(chance: Random, value: str, share: float = 0.8) -> str | None:
    return value if chance.random() < share else None


def _account(chance: Random, person: str, state: str) -> Account:
    waits = frozenset(target for target in TARGETS if chance.random() < 0.1)
    return Account(
        person,
        state,
        waits,
        minted=chance.random() < 0.9,
        adopted=chance.random() < 0.2,
        renamed=chance.random() < 0.2,
    )


def _state(chance: Random) -> str:
    return chance.choice((*STATES, "active", "active", "active", "active"))


def _contact(chance: Random, place: int) -> Contact:
    email = chance.choice(
        [
            f"g{place}@home.example",
            f"G{place // 2}@home.example",
            f"g{place // 2}@Home.example",
            None,
        ]
    )
    return Contact(
        f"g{place:03}",
        _maybe(chance, f"First{place}"),
        _maybe(chance, f"Last{place}", 0.9),
        _maybe(chance, f"1{place:03}", 0.3),
        _maybe(chance, f"2{place:03}", 0.3),
        _maybe(chance, f"3{place:03}", 0.3),
        email,
    )


def _student(
    chance: Random, place: int, sections: list[str], pool: list[Contact], staff: tuple[Worker, ...]
) -> Student:
    state = _state(chance)
    status = RECORD.get(state, "inactive")
    if chance.random() < 0.1:  # held: the account stands still, the record goes on
        status = chance.choice(("active", "inactive"))
    # neighbours in the pool share families and addresses
    near = [pool[(place + step) % len(pool)] for step in range(4)]
    known = chance.sample(near, chance.randint(0, 4))
    school = (
        chance.choice((*SCHOOLS, None))
        if state != "active"
        else chance.choice((*SCHOOLS, *SCHOOLS, *SCHOOLS, None))
    )
    return Student(
        number=str(1000 + place),
        account=_account(chance, f"ps{place}", state),
        status=status,
        usual=(_maybe(chance, f"Usual{place}"), f"Lastly{place}"),
        legal=(_maybe(chance, f"Legal{place}"), f"Lawly{place}"),
        born=chance.choice((date(2012, 3, 4) + timedelta(days=place), None)),
        grade=chance.choice(("KF", "05", "12", "HS", "XX", None)),
        homeroom=chance.choice(
            ("5 A", "5-a", "Div. 2", "A homeroom whose name is longer than a group's", None)
        ),
        teacher=chance.choice([worker.id for worker in staff]),
        school=school,
        other_school=chance.choice((*SCHOOLS, None, None, None)) if school else None,
        next_school=chance.choice((*SCHOOLS, None)),
        may_call=chance.choice((True, True, False, None)),
        phone=_maybe(chance, f"5559{place:03}"),
        street_number=chance.choice(("12", "12A", "7 1/2", "RR", None)),
        street=_maybe(chance, "Main St", 0.9),
        apartment=chance.choice(("4", None)),
        contacts=tuple(
            (contact, rank, chance.random() < 0.7) for rank, contact in enumerate(known, start=1)
        ),
        # core lets nobody but active students into a class
        sections=tuple(chance.sample(sections, 2)) if status == "active" else (),
        absences=tuple(
            (
                TONIGHT - timedelta(days=chance.choice((0, 0, 0, 1))),
                school or "07474001",
                chance.choice(("AM", "PM", "3", "4")),
                chance.random() < 0.3,
                chance.random() < 0.3,
            )
            for _ in range(chance.randint(0, 4))
        ),
        merged=(
            _account(chance, f"pm{place}", chance.choice(("grace", *LEFT)))
            if chance.random() < 0.1
            else None
        ),
    )


def _worker(chance: Random, place: int, sections: list[str]) -> Worker:
    school = chance.choice((*SCHOOLS, None))
    return Worker(
        key=f"E{place}",
        id=_maybe(chance, str(70 + place), 0.9),
        account=_account(chance, f"pw{place}", _state(chance)),
        name=(_maybe(chance, f"First{place}"), f"Family{place}"),
        position=chance.choice(("Principal", "vice-principal", "Teacher", "Clerk", None)),
        teaches=chance.random() < 0.5,
        school=school,
        other_school=chance.choice((*SCHOOLS, None, None)) if school else None,
        sections=tuple(chance.sample(sections, chance.randint(0, 3))),
    )


def tables(of: District) -> Tables:
    """Core and identity of the district, and the seeds as they are shipped."""
    students, workers, minted = (
        of.students,
        of.workers,
        [(account, person) for account, person in of.accounts() if account.minted],
    )
    holders, records = [], []
    for account, person in of.accounts():
        pupil = isinstance(person, Student)
        names = person.usual if isinstance(person, Student) else person.name
        population, key = (
            ("student", person.number) if isinstance(person, Student) else ("staff", person.key)
        )
        reason = "merged" if pupil and account is not person.account else "known"
        records.append((account.person, population, key, reason, f"file:{account.person}"))
        if account.minted:
            holders.append(
                (
                    account.person,
                    population,
                    key,
                    account.person,
                    account.address("google"),
                    account.state,
                    account.state in IN_GROUPS,
                    None,
                    *names,
                    person.school,
                    SCHOOLS.get(person.school or "", None if pupil else "District office"),
                    *(
                        (person.grade, person.homeroom, person.teacher)
                        if isinstance(person, Student)
                        else (None, None, None)
                    ),
                    *((person.id, person.position) if isinstance(person, Worker) else (None, None)),
                    f"file:{account.person}",
                )
            )
    guardians = {contact.key: contact for student in students for contact, _, _ in student.contacts}
    days = (date(2026, 9, 1), date(2027, 6, 30))
    return {
        **{
            name: seed(name)
            for name in (
                "lifecycle_states",
                "org_unit_rules",
                "group_rules",
                "licence_rules",
                "password_rules",
                "targets",
                "group_targets",
                "portfolio_grades",
                "portfolio_roles",
                "portfolio_rules",
                "section_terms",
                "combined_sections",
            )
        },
        "group_settings": (
            " ".join(f"{column}:varchar" for column in seed("group_settings")[0].split()),
            *(
                tuple("false" if value is False else value for value in row)
                for row in seed("group_settings")[1:]
            ),
        ),
        "class_targets": (
            "target kind school_number days_before:integer days_after:integer",
            *seed("class_targets")[1:],
        ),
        "class_owner_order": ("rank:integer who position", *seed("class_owner_order")[1:]),
        "group_grants": ("rule population school_number grade_code position source_key part role",),
        "district_events": (
            "event school_number to_school_number starts_on:date ends_on:date why",
            *seed("district_events")[1:],
        ),
        "run_context": ("as_of", (TONIGHT,)),
        "school_names": ("school_number school_name", *SCHOOLS.items()),
        # one of them no feed describes
        "schools": (
            "school_number school_name ministry_school_number:varchar",
            *((number, name, None) for number, name in list(SCHOOLS.items())[:-1]),
        ),
        "lifecycle": (
            "person_id state",
            *((account.person, account.state) for account, _ in of.accounts()),
        ),
        "person_records": ("person_id population source_key reason source", *records),
        "account_holders": (
            (
                "person_id population source_key account_name address state is_in_groups"
                " hold:varchar first_name last_name school_number school_name grade_code homeroom"
                " homeroom_teacher_id staff_id position source"
            ),
            *holders,
        ),
        "target_accounts": (
            "person_id target account_name address adopt_id:varchar",
            *(
                (
                    account.person,
                    target,
                    account.address(target).partition("@")[0],
                    account.address(target),
                    None,
                )
                for account, _ in minted
                for target in TARGETS
                if target not in account.waits
            ),
        ),
        # which changes an event explains, the tests of exp_google__users and of its kin ask
        "explained_by_events": ("person_id:varchar is_over:boolean",),
        "account_aliases": (
            "person_id target address",
            *(
                (account.person, target, f"{account.person}.old@sd74.example")
                for account, _ in minted
                if account.renamed
                for target in TARGETS
            ),
        ),
        "stg_microsoft__subscriptions": ("licence", ("STANDARDWOFFPACK_STUDENT",)),
        # no class is there before ours, none vanished and no list waits: the tests of classes ask
        "sections_remembered": (
            "section_id:varchar school_number:varchar kind:varchar title:varchar"
            " section_letter:varchar grade_code:varchar starts_on:date ends_on:date"
            " course_code:varchar timetable_id:varchar semester:varchar last_seen_on:date",
        ),
        "kept_lists": ("school_number:varchar is_filled:boolean",),
        # no school is renamed: which units go along the tests of exp_google__org_units ask
        "google__renamed_org_units": ("remote_id:varchar new_path:varchar old_path:varchar",),
        "stg_google__courses": (
            "class_id:varchar name:varchar section:varchar course_state:varchar owner_id:varchar",
        ),
        "stg_google__course_students": ("class_id:varchar person_id:varchar",),
        "stg_google__course_teachers": ("class_id:varchar person_id:varchar",),
        "stg_microsoft__classes": (
            "class_id:varchar display_name:varchar class_code:varchar external_name:varchar",
        ),
        "stg_microsoft__class_members": ("class_id:varchar person_id:varchar",),
        "stg_microsoft__class_teachers": ("class_id:varchar person_id:varchar",),
        "stg_microsoft__class_teams": ("class_id:varchar is_archived:boolean",),
        # no group is there before ours; which one is adopted the tests of the exports ask
        "stg_google__groups": ("remote_id group_id",),
        "stg_google__group_settings": (
            " ".join(f"{c}:varchar" for c in ("group_id", *seed("group_settings")[0].split()[2:])),
        ),
        # nothing beside names and place is asked for as it ships
        "google_details": (
            "population school_number grade_code position field:varchar value:varchar"
            " held_by:varchar",
        ),
        "stg_google__user_details": (
            "person_id employee_id job_title department cost_center manager location building"
            " school grade homeroom",
        ),
        "microsoft_details": (
            "population school_number grade_code position field:varchar value:varchar"
            " held_by:varchar",
        ),
        "stg_microsoft__user_details": (
            "person_id employee_id company_name office_location age_group"
            " consent_provided_for_minor "
            + " ".join(f"extension_attribute_{number}" for number in range(1, 15)),
        ),
        "stg_microsoft__managers": ("person_id manager_id",),
        "stg_google__orphan_groups": ("remote_id email",),
        "stg_microsoft__groups": ("remote_id group_id",),
        "stg_microsoft__orphan_groups": ("remote_id mail_nickname",),
        "students": (
            (
                "student_number enrolment_status usual_first_name usual_last_name legal_first_name"
                " legal_last_name date_of_birth:date grade_code homeroom school_number"
                " next_school_number may_call:boolean home_phone street_number street_name"
                " apartment municipality province postal_code gender_code legal_middle_name"
            ),
            *(
                (
                    one.number,
                    one.status,
                    *one.usual,
                    *one.legal,
                    one.born,
                    one.grade,
                    one.homeroom,
                    one.school,
                    one.next_school,
                    one.may_call,
                    one.phone,
                    one.street_number,
                    one.street,
                    one.apartment,
                    "Hope",
                    "BC",
                    "V0X 1L0",
                    "X",
                    f"Middle{one.number}",
                )
                for one in students
            ),
        ),
        "enrolments": (
            "student_number school_number enrolment_status",
            *(
                (one.number, school, one.status)
                for one in students
                for school in {one.school, one.other_school}
                if school
            ),
        ),
        "student_guardians": (
            "student_number guardian_id contact_priority:integer is_guardian:boolean"
            " is_barred:boolean lives_with_student:boolean relationship",
            *(
                (one.number, contact.key, rank, authority, False, None, "Parent")
                for one in students
                for contact, rank, authority in one.contacts
            ),
        ),
        # who is barred, test_families asks
        "intake_barred_ways": ("student_number:varchar way:varchar",),
        "guardians": (
            "guardian_id first_name last_name home_phone mobile_phone work_phone email",
            *(
                (one.key, one.first, one.last, one.home, one.mobile, one.work, one.email)
                for one in guardians.values()
            ),
        ),
        "sections": (
            (
                "section_id school_number kind title section_letter grade_code:varchar starts_on"
                " ends_on course_code timetable_id:varchar semester:varchar"
            ),
            *(
                (
                    key,
                    school,
                    kind,
                    f"Title {key}",
                    "A",
                    None,
                    *days,
                    None if kind == "homeroom" else f"C{key}",
                    None if kind == "homeroom" else key,
                    None,
                )
                for key, (school, kind) in of.sections.items()
            ),
        ),
        "section_students": (
            "section_id student_number",
            *((key, one.number) for one in students for key in one.sections),
        ),
        "section_staff": (
            "section_id staff_key is_primary",
            *(
                (key, one.key, place == 0)
                for place, one in enumerate(workers)
                for key in one.sections
            ),
        ),
        "staff_last_seen": (
            "staff_key staff_id position is_teacher school_number",
            *((one.key, one.id, one.position, one.teaches, one.school) for one in workers),
        ),
        # whom the systems that are told of accounts have: all but the first
        "stg_myedbc_accounts__students": (
            "student_number email:varchar",
            *((one.number, None) for one in students[1:]),
        ),
        "stg_myedbc_accounts__staff": (
            "staff_id email:varchar",
            *((one.id, None) for one in workers[1:] if one.id),
        ),
        "intake_employees": ("staff_id", *((one.id,) for one in workers[1:] if one.id)),
        "staff_assignments": (
            "staff_key school_number",
            *(
                (one.key, school)
                for one in workers
                for school in {one.school, one.other_school}
                if school
            ),
        ),
        "absences": (
            (
                "absence_id student_number school_number absence_on:date kind part_of_day period"
                " absence_code"
                " is_authorized:boolean is_late:boolean"
            ),
            *(
                (
                    f"{one.number}-{place}",
                    one.number,
                    school,
                    day,
                    "daily" if part in ("AM", "PM") else "period",
                    part if part in ("AM", "PM") else None,
                    part if part not in ("AM", "PM") else None,
                    "L" if late else "A",
                    excused,
                    late,
                )
                for one in students
                for place, (day, school, part, excused, late) in enumerate(one.absences)
            ),
        ),
    }
