"""What should stand where after nights of the synthetic district, for every person: worked out from
the generator's people.

In: how many students, a seed, the days that had a night, whether the district is lived in, and the
rows its seeds were given (`cases.seed_rows`). Out: `Expected`: accounts, memberships and licences
in both tenants, and the rows of every vendor's file.

Written from `docs/` and the descriptions of the models, in plain Python; it reads no table and no
SQL of the warehouse, so a wrong export cannot agree with it. What is minted (addresses) is not
predicted, only what a name must be made of.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from zlib import crc32

from demo import past
from demo.calendar import SEMESTER_2
from demo.district import ACTIVE, INACTIVE, NO_PRIMARY, PREREG, District, Student
from demo.extracts import without_school
from demo.families import Contact
from demo.people import plain
from demo.platforms import accounts
from demo.schools import School, grade_code
from demo.staff import Staffer

Row = tuple[str, ...]
# docs/lifecycle.md: what a state means in both tenants
OPEN = {"preregistered", "active", "leave", "grace", "returned"}
IN_GROUPS = {"active", "grace", "returned"}
LICENSED = OPEN | {"suspended"}
ARCHIVED = {"archived", "delete_eligible"}
GRACE, SUSPENDED, ARCHIVE = 14, 90, 270
# on these days no student's timer runs: summer, and September until the lists are believed
STANDING = (date(2026, 7, 1), date(2026, 9, 30))
YEAR = "2027"


@dataclass
class Person:
    """One human: the record of the last night that listed them, and where the lifecycle
    has them.
    """

    key: str
    population: str
    source_key: str
    one: Student | Staffer
    case: str
    school: School | None = None
    record: str = ""
    state: str = ""
    since: date = date.min
    held: bool = False
    waits: bool = False  # an account of others may be theirs: nobody gives them another
    named: tuple[str, str] = ("", "")  # the names the account was called by
    called_before: list[tuple[str, str]] = field(
        default_factory=list
    )  # the names of addresses that became aliases
    ever_open: bool = False

    @property
    def has_account(self) -> bool:
        return self.ever_open and not self.waits

    @property
    def kind(self) -> str:
        """For sentences."""
        return self.case or f"a {self.population} like others ({self.state})"


@dataclass(frozen=True)
class Account:
    """An account of ours: the fields we own, and what an address must be made of (a pattern of its
    local part).
    """

    given: str
    family: str
    is_open: bool
    is_archived: bool
    unit: str
    school: str
    position: str
    local: str
    domain: str


@dataclass
class Expected:
    """See the module."""

    students: int
    seed: int
    days: tuple[int, ...] = (0, 1)
    lived_in: bool = False
    seeds: Mapping[str, Iterable[Row]] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    groups: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._past = (
            {one.key: one for one in past.known(self.students, self.seed)} if self.lived_in else {}
        )
        taken = [
            (local, given, family, domain) for local, given, family, domain, _ in accounts.PEOPLE
        ]
        self._names_taken = {
            (plain(given) + " " + plain(family), domain) for _, given, family, domain in taken
        }
        for day in self.days:
            self.today = District(self.students, self.seed).on(day)
            self._night()
            self.groups |= {group for group, _, _ in self.members("google")}

    # --- who is who, and where they stand ---------------------------------------------------------

    def _night(self) -> None:
        now = self.today.date
        for population, source_key, one, record, school in (
            *self._listed_students(),
            *self._listed_staff(),
        ):
            key = past.person_key(population, source_key)
            person = self.people.setdefault(key, Person(key, population, source_key, one, one.case))
            person.one, person.record, person.school = one, record, school
        for (
            person
        ) in self.people.values():  # who is listed no more keeps the record of the last night
            if not person.state and person.key in self._past:
                person.state, person.since = past.STORIES[person.case][-1]
                person.ever_open = True
                person.named = (self._past[person.key].first, self._past[person.key].last)
            person.held = self._is_held(person, now)
            if not person.held:
                self._step(person, now)
            if person.state in OPEN and not person.ever_open and not self._is_volunteer(person):
                person.waits = self._waits(person)
                person.ever_open = True
                person.named = self.usual(person)
            now_called = self.usual(person)
            # seeds/name_policy.csv: another name makes another address for staff, and the old one
            # stays theirs; students keep theirs
            if (
                person.population == "staff"
                and person.has_account
                and person.state in OPEN
                and not person.held
                and person.named != now_called
            ):
                person.called_before.append(person.named)
                person.named = now_called

    def _listed_students(self) -> Iterator[tuple[str, str, Student, str, School]]:
        for zone in self.today.zones():
            for one in zone.students:
                if not (self.lived_in and without_school(one, self.today.day)):
                    record = {
                        ACTIVE: "active",
                        NO_PRIMARY: "active",
                        PREREG: "preregistered",
                        INACTIVE: "left",
                    }[one.status]
                    yield "student", one.number, one, record, one.school

    def _listed_staff(self) -> Iterator[tuple[str, str, Staffer, str, School | None]]:
        """Everybody human resources or a school lists; about school and end of employment human
        resources decides.
        """
        plan = self.today.plan
        for zone, schools in enumerate(plan.zones):
            for school in schools:
                roster = self.today.roster(school)
                for one in {
                    person.staff_id: person for person in (*roster.in_sis(), *roster.in_hr())
                }.values():
                    at = (
                        school
                        if one.in_hr
                        else min(
                            (school, *(plan.schools[index] for index in one.also_at)),
                            key=lambda school: school.number,
                        )
                    )
                    yield (
                        "staff",
                        f"E{one.staff_id}",
                        one,
                        ("left" if one.in_hr and _is_over(one, self.today.date) else "active"),
                        at,
                    )
            for one in self.today.office(zone):
                yield (
                    "staff",
                    f"E{one.staff_id}",
                    one,
                    ("left" if _is_over(one, self.today.date) else "active"),
                    None,
                )

    def _is_held(self, person: Person, now: date) -> bool:
        mine = (
            row
            for row in self.seeds.get("holds", ())
            if row[:2] == (person.population, person.source_key)
        )
        return any(not row[6] or date.fromisoformat(row[6]) >= now for row in mine)

    def _is_away(self, person: Person, now: date) -> bool:
        mine = (
            row
            for row in self.seeds.get("leaves", ())
            if row[:2] == (person.population, person.source_key)
        )
        return any(
            date.fromisoformat(row[2]) <= now and (not row[3] or date.fromisoformat(row[3]) >= now)
            for row in mine
        )

    def _is_volunteer(self, person: Person) -> bool:
        """No account is given to whoever a row of seeds/no_account.csv names (the demo names a
        position).
        """
        position = person.one.position if isinstance(person.one, Staffer) else ""
        return any(
            row[:3] == (person.population, "position", position)
            for row in self.seeds.get("no_account", ())
        )

    def _step(self, person: Person, now: date) -> None:
        """One step of docs/lifecycle.md at most, as the figure there has it."""
        record = (
            "leave" if person.record == "active" and self._is_away(person, now) else person.record
        )
        waited = self._days(person, now)
        gone = "grace" if person.population == "student" else "suspended"
        steps = {
            ("", "active"): "active",
            ("", "preregistered"): "preregistered",
            ("", "leave"): "leave",
            ("", "left"): "suspended",
            ("preregistered", "active"): "active",
            ("preregistered", "left"): gone,
            ("active", "preregistered"): "preregistered",
            ("active", "leave"): "leave",
            ("leave", "active"): "active",
            ("active", "left"): gone,
            ("leave", "left"): gone,
            ("grace", "active"): "active",
            ("suspended", "active"): "returned",
            ("archived", "active"): "returned",
            ("delete_eligible", "active"): "returned",
            ("returned", "left"): gone,
        }
        timed = {
            ("grace", "left"): (GRACE, "suspended"),
            ("suspended", "left"): (SUSPENDED, "archived"),
            ("archived", "left"): (ARCHIVE, "delete_eligible"),
            ("returned", "active"): (7, "active"),
        }
        after = steps.get((person.state, record), "")
        days, then = timed.get((person.state, record), (0, ""))
        if then and waited >= days:
            after = then
        if after:
            person.state, person.since = after, now

    def _days(self, person: Person, now: date) -> int:
        days = (
            (person.since + timedelta(days=n) for n in range(1, (now - person.since).days + 1))
            if person.state
            else ()
        )
        first, last = STANDING
        return sum(person.population == "staff" or not first <= day <= last for day in days)

    def _waits(self, person: Person) -> bool:
        """docs/identity.md: no more than the name is the same, an administrator's account, or one
        an on-premises directory keeps.
        """
        if person.case in ("staff_synced", "staff_admin"):
            return True
        if person.case == "staff_half_synced":
            return False  # certain in Google, where it is adopted; in Microsoft it waits
        domain = accounts.STUDENTS if person.population == "student" else accounts.STAFF
        names = (
            f"{plain(first)} {plain(last)}"
            for first, last in (self.usual(person), self.legal(person))
        )
        return any((name, domain) in self._names_taken for name in names)

    # --- names and places -------------------------------------------------------------------------

    def legal(self, person: Person) -> tuple[str, str]:
        one = person.one
        if isinstance(one, Student):
            return one.child.first, one.child.last
        return (one.first, one.last) if one.in_hr else (_poor(one.shown_first), _poor(one.last))

    def usual(self, person: Person) -> tuple[str, str]:
        """The names a person goes by; the legal ones where no others are recorded."""
        one, (first, last) = person.one, self.legal(person)
        if isinstance(one, Student):
            return one.usual_first or first, one.usual_last or last
        return (one.usual_first or first if one.in_hr else first), last

    def schools(self, person: Person) -> set[School]:
        """Every school somebody belongs to."""
        one = person.one
        if isinstance(one, Student):
            return {one.school} | ({one.second} if one.second else set())
        also = {self.today.plan.schools[index] for index in one.also_at} if one.in_sis else set()
        return ({person.school} if person.school else set()) | also

    def homeroom(self, one: Student) -> str:
        if one.homeroom is None or one.status == PREREG:
            return ""
        return one.school.homeroom_name(one.homeroom)

    def homeroom_teacher(self, one: Student) -> Staffer | None:
        if one.homeroom is None or one.status == PREREG:
            return None
        return self.today.roster(one.school).holders[one.school.homeroom_teacher(one.homeroom)]

    # --- the two tenants --------------------------------------------------------------------------

    def accounts(self, target: str) -> dict[str, Account]:
        """Person -> the account that should carry their key in google or microsoft."""
        found = {}
        for person in self.people.values():
            if not person.has_account or (
                target == "microsoft" and person.case == "staff_half_synced"
            ):
                continue
            if person.held and person.key in self._past:
                was = self._past[person.key]
                found[person.key] = Account(
                    was.first,
                    was.last,
                    is_open=True,
                    is_archived=False,
                    unit=was.unit,
                    school=was.school,
                    position=was.position,
                    local=re.escape(was.address.partition("@")[0]),
                    domain=was.address.partition("@")[2],
                )
                continue
            first, last = self.usual(person)
            school, is_open, one = person.school, person.state in OPEN, person.one
            place = school.name if school else "District office"
            unit = (
                "/Leavers"
                if not is_open
                else (
                    f"/Students/{place}/{grade_code(one.grade)}"
                    if isinstance(one, Student)
                    else f"/Staff/{place}"
                )
            )
            found[person.key] = Account(
                given=_fit(first, 60),
                family=_fit(last, 60),
                is_open=is_open,
                is_archived=person.state in ARCHIVED,
                unit=unit,
                school=place,
                position=(
                    "Student" if isinstance(one, Student) else one.position if one.in_hr else ""
                ),
                local=self._local(person),
                domain=accounts.STUDENTS if isinstance(one, Student) else accounts.STAFF,
            )
        return found

    def _local(self, person: Person) -> str:
        """What the local part of an address must look like: first.last of the names of then, a
        number behind it where it was taken.
        """
        if person.case == "staff_half_synced" and isinstance(person.one, Staffer):
            return re.escape(past.address_of(person.one).partition("@")[0])
        if person.case == "no_latin_letter":
            return rf"{person.source_key}\.student"
        return self._pattern(*person.named)

    def aliases(self) -> dict[str, list[str]]:
        """Person -> the patterns of the local parts of their old addresses, which go on working."""
        return {
            person.key: [self._pattern(*names) for names in person.called_before]
            for person in self.people.values()
            if person.called_before
        }

    @staticmethod
    def _pattern(first: str, last: str) -> str:
        parts = [part for part in (first, last) if part]
        if not all(part.isascii() and part.isalpha() for part in parts):
            return (  # accents, hyphens and other scripts have tests of their own
                r"[a-z0-9][a-z0-9._-]*"
            )
        return re.escape(".".join(parts).lower()) + r"\d*"

    def members(self, target: str) -> set[tuple[str, str, str]]:
        """(group's name, person, OWNER or MEMBER); at Microsoft nobody of ours is more than a
        member.
        """
        found: dict[tuple[str, str], str] = {}
        there = self.accounts(target)
        staff = {
            person.one.staff_id: person
            for person in self.people.values()
            if isinstance(person.one, Staffer)
        }
        for person in self.people.values():
            if person.key not in there or person.state not in IN_GROUPS or person.held:
                continue
            word = "students" if person.population == "student" else "staff"
            for school in self.schools(person):
                # at a second school only an enrolment that stands counts
                if school == person.school or person.record == "active":
                    found.setdefault((f"{school.name}: {word}", person.key), "MEMBER")
            one = person.one
            if isinstance(one, Student):
                found.setdefault(
                    (f"{one.school.name}: grade {grade_code(one.grade)}", person.key), "MEMBER"
                )
                if name := self.homeroom(one):
                    group = f"{one.school.name}: homeroom {name}"
                    found.setdefault((group, person.key), "MEMBER")
                    holder = self.homeroom_teacher(one)
                    teacher = staff.get(holder.staff_id) if holder and _has_id(holder) else None
                    if (
                        teacher
                        and teacher.key in there
                        and teacher.state in IN_GROUPS
                        and not teacher.held
                    ):
                        found[group, teacher.key] = "OWNER" if target == "google" else "MEMBER"
        return {(group[:73], person, role) for (group, person), role in found.items()}

    def licences(self) -> set[tuple[str, str]]:
        """(person, product) of Microsoft."""
        product = {"student": "STANDARDWOFFPACK_STUDENT", "staff": "STANDARDWOFFPACK_FACULTY"}
        return {
            (key, product[self.people[key].population])
            for key in self.accounts("microsoft")
            if self.people[key].state in LICENSED
        }

    # --- the portfolio's files --------------------------------------------------------------------

    def portfolio_students(self) -> dict[str, Row]:
        """Number -> legal names, birth date, grade, status, school, homeroom, next school, usual
        names.
        """
        found = {}
        for person in self.people.values():
            one = person.one
            if (
                isinstance(one, Student)
                and person.has_account
                and (person.state in IN_GROUPS or person.state == "preregistered")
            ):
                (first, last), (usual_first, usual_last) = self.legal(person), self.usual(person)
                found[one.number] = (
                    first or "-",
                    last,
                    one.child.born.isoformat(),
                    _portfolio_grade(one.grade),
                    "PreReg" if person.state == "preregistered" else "Active",
                    one.school.mincode,
                    self.homeroom(one),
                    self._next_school(one),
                    usual_first,
                    usual_last,
                )
        return found

    def _next_school(self, one: Student) -> str:
        if one.child.grade == 7 and crc32(one.number.encode()) % 3 == 0:
            return self.today.plan.secondary(one.school.zone).mincode
        return one.school.mincode if one.status == PREREG else ""

    def portfolio_staff(self) -> dict[str, Row]:
        """Employee number -> usual names, role, school: whoever teaches or administers, has an
        account and is at work.
        """
        found = {}
        for person in self.people.values():
            one, school = person.one, person.school
            if (
                isinstance(one, Staffer)
                and person.has_account
                and person.state in IN_GROUPS
                and school
            ):
                administers = one.in_hr and one.position in ("Principal", "Vice-Principal")
                role = (
                    "administrator"
                    if administers
                    else "teacher"
                    if one.teaching and one.in_sis
                    else ""
                )
                if role:
                    first, last = self.usual(person)
                    found[one.staff_id] = (first or "-", last, role, school.mincode)
        return found

    def portfolio_family(self) -> set[Row]:
        """(first, last, e-mail, student number): guardians with authority and an e-mail address,
        one per address.
        """
        found, listed = set(), self.portfolio_students()
        for person in self._students():
            if person.one.number in listed:
                seen: set[str] = set()
                for contact in self.guardians(person):
                    if contact.email and contact.email.lower() not in seen:
                        seen.add(contact.email.lower())
                        found.add(
                            (
                                _poor(contact.first) or "-",
                                _poor(contact.last),
                                contact.email.lower(),
                                person.one.number,
                            )
                        )
        return found

    def classes(self) -> tuple[dict[str, Row], set[Row], set[Row]]:
        """Class id -> name, grade, school, first and last day; enrolments (class, user, role);
        teachers who may be there too.

        The last are known to the timetable by name alone: a name stands for a person only where one
        person has it.
        """
        listed, staff = self.portfolio_students(), self.portfolio_staff()
        described: dict[str, Row] = {}
        enrolled: set[Row] = set()
        teachers: set[tuple[str, Staffer]] = set()
        grades: dict[str, Counter[int]] = {}
        for person in self._students():
            one = person.one
            if person.record != "active":
                continue
            name = self.homeroom(one)
            if one.grade < 8 and name:
                class_id = f"{one.school.mincode}_{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}_{YEAR}"  # noqa: E501
                grades.setdefault(class_id, Counter())[one.grade] += 1
                if holder := self.homeroom_teacher(one):
                    teachers.add((class_id, holder))
                if one.number in listed:
                    described[class_id] = (name, "", one.school.mincode, "2026-09-01", "2027-06-30")
                    enrolled.add((class_id, one.number, "student"))
            for school, section in self.today.sections_of(replace(one, present=True)):
                if section.is_attendance or one.number not in listed:
                    continue
                class_id = f"{section.master_id}_{YEAR}"
                first = section.semester != "2"
                described[class_id] = (
                    f"{_fit(section.course.title, 80)} ({section.letter})",
                    _portfolio_grade(section.course.grade),
                    school.mincode,
                    "2026-09-01" if first else "2027-02-01",
                    "2027-01-31" if first else "2027-06-30",
                )
                enrolled.add((class_id, one.number, "student"))
                for slot in section.teachers:
                    if holder := self.today.roster(school).holders[slot]:
                        teachers.add((class_id, holder))
        for class_id, counted in grades.items():
            if class_id in described and len(counted) == 1:
                name, _, *rest = described[class_id]
                described[class_id] = (name, _portfolio_grade(next(iter(counted))), *rest)
        rows = {
            (class_id, holder.staff_id, "teacher"): _has_id(holder)
            for class_id, holder in teachers
            if class_id in described and holder.staff_id in staff
        }
        return (
            described,
            enrolled | {row for row, certain in rows.items() if certain},
            {row for row, certain in rows.items() if not certain},
        )

    # --- families: who may be told, called, and handed a child ------------------------------------

    def _students(self) -> Iterator[Person]:
        return (person for person in self.people.values() if isinstance(person.one, Student))

    def guardians(self, person: Person) -> list[Contact]:
        """With parental authority, in the order they are to be called. No family is listed of who
        has left.
        """
        one = person.one
        if not isinstance(one, Student) or one.status == INACTIVE:
            return []
        return [contact for contact in one.family.contacts if contact.has_authority]

    def callout_contacts(self) -> set[Row]:
        """All columns of the address book: active students whose family may be called, guardians
        who can be reached.
        """
        found = set()
        for person in self._students():
            one = person.one
            if person.record == "active" and one.may_call:
                first, last = self.usual(person)
                reachable = [
                    c
                    for c in self.guardians(person)
                    if c.home_phone or c.cell_phone or c.work_phone or c.email
                ]
                for place, c in enumerate(reachable, start=1):
                    found.add(
                        (
                            one.school.mincode,
                            one.number,
                            last,
                            first or "-",
                            grade_code(one.grade),
                            self.homeroom(one),
                            _poor(c.last),
                            _poor(c.first),
                            c.relationship,
                            str(place),
                            c.home_phone,
                            c.cell_phone,
                            c.work_phone,
                            c.email,
                        )
                    )
        return found

    def callout_absences(self) -> set[Row]:
        """All columns: who missed something today without a reason and was not merely late, and
        whose family may be called.
        """
        found, now = set(), self.today.date
        for person in self._students():
            one = person.one
            missed = self.today.missed(one, self.today.day)
            marked = one.status == ACTIVE and not (one.admitted_on and one.admitted_on > now)
            if (
                not (
                    person.record == "active" and one.may_call and marked and one.present and missed
                )
                or missed.late
                or missed.authorised
            ):
                continue
            if one.school.kind == "secondary":
                semester = "2" if now >= SEMESTER_2 else "1"
                taken = [
                    section
                    for school, section in self.today.sections_of(one)
                    if school == one.school and section.semester == semester
                ]
                periods = sorted(
                    {section.period for section in taken if section.period in missed.parts}
                )
            else:
                periods = ["1" if part == "AM" else "2" for part in missed.parts]
            first, last = self.usual(person)
            if periods:
                found.add(
                    (
                        one.school.mincode,
                        one.number,
                        last,
                        first or "-",
                        one.family.phone,
                        grade_code(one.grade),
                        f"{now.year}-{now.month}-{now.day}",
                        "".join(periods),
                    )
                )
        return found

    def transport_students(self) -> set[Row]:
        """All columns: active students with a civic address, and two guardians at most."""
        found = set()
        for person in self._students():
            one, home = person.one, person.one.family.home
            number = re.search(r"\d+", home.street_number)
            if person.record != "active" or not home.street_name or not number:
                continue
            first, last = self.usual(person)
            both = [*self.guardians(person), None, None][:2]
            contacts = [
                text
                for c in both
                for text in (
                    (_poor(c.first), _poor(c.last), c.home_phone, c.cell_phone)
                    if c
                    else ("", "", "", "")
                )
            ]
            texts = (
                one.number,
                first or "-",
                last,
                one.child.born.strftime("%m/%d/%Y"),
                one.child.gender,
                one.family.phone,
                one.school.mincode,
                grade_code(one.grade),
                self.homeroom(one),
                number[0],
                home.street_name,
                home.apartment,
                home.municipality,
                "BC",
                home.postal_code,
                *contacts,
            )
            found.add(tuple(re.sub(r'[\s"]+', " ", text).strip() for text in texts))
        return found


def _is_over(person: Staffer, now: date) -> bool:
    return person.left_on is not None and person.left_on < now


def _has_id(person: Staffer) -> bool:
    """Whether the timetable names the teacher by number; some schools leave it blank or write
    "nan".
    """
    return person.sis_id not in ("", "nan")


def _portfolio_grade(grade: int | None) -> str:
    return "" if grade is None else f"{grade:02d}" if grade else "KG"


def _poor(text: str) -> str:
    """As a file in the old encoding shows it."""
    return text.encode("cp1252", "replace").decode("cp1252")


def _fit(text: str, length: int) -> str:
    return re.sub(r"\s+", " ", text).strip()[:length].strip()


def same(text: str | None) -> str:
    """Texts are compared as people see them: composed and decomposed letters are the same, and
    nothing is an empty text.
    """
    return unicodedata.normalize("NFC", text or "")
