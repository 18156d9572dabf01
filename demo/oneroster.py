"""Writes a day of the synthetic district as OneRoster CSV files, 1.2 or 1.1: the same people,
another system's words.

In: how many students, a seed, a day, a folder, the version. Out: the bulk files of the rostering
profile and their manifest, each put in place whole; columns in the specification's order, UTF-8,
CRLF, values quoted where they must be. One zone of schools is in memory at a time. The same
arguments give the same bytes.

    python -m demo extracts --day 1 --as oneroster

What the standard has no place for is not there: addresses, absences, the permission to call, the
order in which contacts are called. 1.1 also has no usual names, no dates of enrolment and no home
school; it lists nobody who starts later.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

from demo.calendar import END_YEAR, SEMESTER_2
from demo.district import INACTIVE, NO_PRIMARY, PREREG, Day, District, Student, Zone
from demo.families import Contact
from demo.schools import DISTRICT_NAME, DISTRICT_NUMBER, Course, School, Section
from demo.staff import Staffer

VERSIONS = ("1.2", "1.1")
_KEPT = ("sourcedId", "status", "dateLastModified")  # bulk: the last two are empty in every row
_USERS_11 = (
    *_KEPT,
    "enabledUser",
    "orgSourcedIds",
    "role",
    "username",
    "userIds",
    "givenName",
    "familyName",
    "middleName",
    "identifier",
    "email",
    "sms",
    "phone",
    "agentSourcedIds",
    "grades",
    "password",
)
COLUMNS: dict[str, tuple[str, ...]] = {
    "orgs": (*_KEPT, "name", "type", "identifier", "parentSourcedId"),
    "academicSessions": (
        *_KEPT,
        "title",
        "type",
        "startDate",
        "endDate",
        "parentSourcedId",
        "schoolYear",
    ),
    "courses": (
        *_KEPT,
        "schoolYearSourcedId",
        "title",
        "courseCode",
        "grades",
        "orgSourcedId",
        "subjects",
        "subjectCodes",
    ),
    "classes": (
        *_KEPT,
        "title",
        "grades",
        "courseSourcedId",
        "classCode",
        "classType",
        "location",
        "schoolSourcedId",
        "termSourcedIds",
        "subjects",
        "subjectCodes",
        "periods",
    ),
    "users": (
        *(name for name in _USERS_11 if name not in {"orgSourcedIds", "role"}),
        "userMasterIdentifier",
        "preferredGivenName",
        "preferredMiddleName",
        "preferredFamilyName",
        "primaryOrgSourcedId",
        "pronouns",
    ),
    "roles": (
        *_KEPT,
        "userSourcedId",
        "roleType",
        "role",
        "beginDate",
        "endDate",
        "orgSourcedId",
        "userProfileSourcedId",
    ),
    "enrollments": (
        *_KEPT,
        "classSourcedId",
        "schoolSourcedId",
        "userSourcedId",
        "role",
        "primary",
        "beginDate",
        "endDate",
    ),
    "demographics": (
        *_KEPT,
        "birthDate",
        "sex",
        "americanIndianOrAlaskaNative",
        "asian",
        "blackOrAfricanAmerican",
        "nativeHawaiianOrOtherPacificIslander",
        "white",
        "demographicRaceTwoOrMoreRaces",
        "hispanicOrLatinoEthnicity",
        "countryOfBirthCode",
        "stateOfBirthAbbreviation",
        "cityOfBirth",
        "publicSchoolResidenceStatus",
    ),
}
_ABSENT_11 = (
    "categories",
    "classResources",
    "courseResources",
    "lineItems",
    "resources",
    "results",
)
_ABSENT_12 = (
    *_ABSENT_11,
    "lineItemLearningObjectiveIds",
    "lineItemScoreScales",
    "resultLearningObjectiveIds",
    "resultScoreScales",
    "scoreScales",
    "userProfiles",
    "userResources",
)
_SEXES = {"M": "male", "F": "female", "X": "other", "U": "unspecified"}
_DISTRICT = f"org-{DISTRICT_NUMBER}"
_YEAR = f"year-{END_YEAR}"


def columns(version: str) -> dict[str, tuple[str, ...]]:
    """File -> its columns, in order."""
    if version == "1.2":
        return COLUMNS
    return {
        **{name: names for name, names in COLUMNS.items() if name != "roles"},
        "users": _USERS_11,
    }


def write_day(
    folder: Path, *, students: int, seed: int, day: int, version: str = "1.2"
) -> Counter[str]:
    """Write all files of a day; returns the rows of each. A file stands under its own name only
    once it is whole.
    """
    if version not in VERSIONS:
        raise ValueError(f"the demo writes OneRoster {' and '.join(VERSIONS)}, not {version}")
    folder.mkdir(parents=True, exist_ok=True)
    there = columns(version)
    with ExitStack() as stack:
        files = {
            name: stack.enter_context(_part(folder, name).open("w", encoding="utf-8", newline=""))
            for name in (*there, "manifest")
        }
        writers = {
            name: csv.DictWriter(files[name], names, restval="") for name, names in there.items()
        }
        for writer in writers.values():
            writer.writeheader()
        _manifest(csv.writer(files["manifest"]), version)
        rows = _Writer(District(students, seed).on(day), writers, version).write()
    for name in files:
        _part(folder, name).replace(folder / f"{name}.csv")
    if "roles" not in there:
        (folder / "roles.csv").unlink(missing_ok=True)  # left by a day written as 1.2
    return rows


def _part(folder: Path, name: str) -> Path:
    return folder / f".{name}.csv.part"


def _manifest(writer: Any, version: str) -> None:
    there = columns(version)
    known = sorted({*there, *(_ABSENT_12 if version == "1.2" else _ABSENT_11)})
    writer.writerows(
        [
            ("propertyName", "value"),
            ("manifest.version", "1.0"),
            ("oneroster.version", version),
            *((f"file.{name}", "bulk" if name in there else "absent") for name in known),
            ("source.systemName", "Homeroom demo"),
            ("source.systemCode", "homeroom-demo"),
        ]
    )


class _Writer:
    """Turns zones into rows."""

    def __init__(self, today: Day, files: dict[str, Any], version: str) -> None:
        self.today, self.files, self.version = today, files, version
        self.rows: Counter[str] = Counter()
        self._adults: set[str] = set()

    def write(self) -> Counter[str]:
        self._put(
            "orgs",
            sourcedId=_DISTRICT,
            name=DISTRICT_NAME,
            type="district",
            identifier=DISTRICT_NUMBER,
        )
        self._sessions()
        for zone in range(len(self.today.plan.zones)):
            self._zone(self.today.zone(zone))
        return self.rows

    def _put(self, file: str, **fields: str) -> None:
        self.files[file].writerow(fields)
        self.rows[file] += 1

    def _sessions(self) -> None:
        first, last = date(END_YEAR - 1, 9, 1), date(END_YEAR, 6, 30)
        halves = (("1", first, date(END_YEAR, 1, 31)), ("2", SEMESTER_2, last))
        title, year = f"{END_YEAR - 1}/{END_YEAR}", str(END_YEAR)
        self._put(
            "academicSessions",
            sourcedId=_YEAR,
            title=title,
            type="schoolYear",
            startDate=f"{first}",
            endDate=f"{last}",
            schoolYear=year,
        )
        for number, begin, end in halves:
            self._put(
                "academicSessions",
                sourcedId=_term(number),
                title=f"Semester {number}",
                type="semester",
                startDate=f"{begin}",
                endDate=f"{end}",
                parentSourcedId=_YEAR,
                schoolYear=year,
            )

    def _zone(self, zone: Zone) -> None:
        for school in self.today.plan.zones[zone.number]:
            self._school(school)
        for student in zone.students:
            if self.version == "1.2" or student.status != PREREG:
                self._student(student)

    def _school(self, school: School) -> None:
        self._put(
            "orgs",
            sourcedId=_org(school),
            name=school.name,
            type="school",
            identifier=school.mincode,
            parentSourcedId=_DISTRICT,
        )
        roster, timetable = self.today.roster(school), self.today.timetable(school)
        for person in roster.in_sis():
            self._staffer(
                person, [school, *(self.today.plan.schools[index] for index in person.also_at)]
            )
        for course in timetable.courses():
            self._course(school, course)
        for number, attendance in enumerate(timetable.attendance):
            name, section = school.homeroom_name(number), attendance[0]
            self._put(
                "classes",
                sourcedId=_homeroom(school, number),
                title=name,
                courseSourcedId=_course(school, section.course),
                classCode=name,
                classType="homeroom",
                schoolSourcedId=_org(school),
                termSourcedIds=_YEAR,
            )
            self._teachers(school, _homeroom(school, number), section)
        for section in timetable.sections():
            if not section.is_attendance:
                self._class(school, section)

    def _course(self, school: School, course: Course) -> None:
        self._put(
            "courses",
            sourcedId=_course(school, course),
            schoolYearSourcedId=_YEAR,
            title=course.title,
            courseCode=course.code,
            grades=_grade(course.grade),
            orgSourcedId=_org(school),
            subjects=course.department,
        )

    def _class(self, school: School, section: Section) -> None:
        self._put(
            "classes",
            sourcedId=section.master_id,
            title=f"{section.course.title} {section.letter}",
            grades=_grade(section.course.grade),
            courseSourcedId=_course(school, section.course),
            classCode=section.letter,
            classType="scheduled",
            schoolSourcedId=_org(school),
            termSourcedIds=_term(section.semester),
            periods=section.period,
        )
        self._teachers(school, section.master_id, section)

    def _teachers(self, school: School, class_id: str, section: Section) -> None:
        holders = self.today.roster(school).holders
        for place, slot in enumerate(section.teachers):
            if person := holders[slot]:
                self._enrol(
                    school, class_id, _staff(person), "teacher", "false" if place else "true"
                )

    def _enrol(
        self, school: School, class_id: str, user: str, role: str, primary: str = ""
    ) -> None:
        self._put(
            "enrollments",
            sourcedId=f"{class_id}-{user}",
            classSourcedId=class_id,
            schoolSourcedId=_org(school),
            userSourcedId=user,
            role=role,
            primary=primary,
        )

    def _user(self, user: str, roles: list[dict[str, str]], **fields: str) -> None:
        """A person and the roles; 1.1 keeps one role and the organizations with the person."""
        if self.version == "1.1":
            fields = {name: text for name, text in fields.items() if name in _USERS_11}
            fields |= {
                "orgSourcedIds": ",".join(role["orgSourcedId"] for role in roles),
                "role": _role_11(roles[0]["role"]),
            }
        self._put("users", sourcedId=user, **fields)
        for role in roles if self.version == "1.2" else ():
            self._put(
                "roles", sourcedId=f"{user}-{role['orgSourcedId']}", userSourcedId=user, **role
            )

    def _staffer(self, person: Staffer, schools: list[School]) -> None:
        legal_first = person.first if self.version == "1.2" else person.shown_first
        self._user(
            _staff(person),
            [
                {
                    "roleType": "secondary" if place else "primary",
                    "role": _role(person),
                    "orgSourcedId": _org(school),
                }
                for place, school in enumerate(schools)
            ],
            enabledUser="true",
            username=person.user_name,
            givenName=legal_first or "-",
            familyName=person.last,
            identifier=person.sis_id,
            email=person.email,
            preferredGivenName=person.usual_first,
            primaryOrgSourcedId=_org(schools[0]),
        )

    def _student(self, student: Student) -> None:
        child, here, user = student.child, student.status != INACTIVE, f"student-{student.number}"
        contacts = list(student.family.contacts) if here else []
        roles = [
            _student_role(
                student, student.school, "secondary" if student.status == NO_PRIMARY else "primary"
            )
        ]
        if student.second:
            roles.append(_student_role(student, student.second, "secondary"))
        self._user(
            user,
            roles,
            enabledUser="true" if here else "false",
            username=f"s{student.number}",
            givenName=child.first or "-",
            familyName=child.last,
            middleName=child.middle,
            identifier=student.number,
            email=f"s{student.number}@example.org" if child.email else "",
            agentSourcedIds=",".join(dict.fromkeys(_adult(contact) for contact in contacts)),
            grades=_grade(student.grade),
            preferredGivenName=student.usual_first,
            preferredFamilyName=student.usual_last,
            primaryOrgSourcedId="" if student.school.kind == "online" else _org(student.school),
        )
        sex = _SEXES.get(child.gender, "")
        self._put(
            "demographics",
            sourcedId=user,
            birthDate=f"{child.born}",
            sex=sex if self.version == "1.2" or sex in {"male", "female"} else "",
        )
        for contact in contacts:
            self._contact(contact, student.school)
        if student.attends and student.homeroom is not None:
            self._enrol(
                student.school, _homeroom(student.school, student.homeroom), user, "student"
            )
        for school, section in self.today.sections_of(student):
            if not section.is_attendance:
                self._enrol(school, section.master_id, user, "student")

    def _contact(self, contact: Contact, school: School) -> None:
        """A grown-up once, however many children name him or her."""
        user = _adult(contact)
        if user in self._adults:
            return
        self._adults.add(user)
        self._user(
            user,
            [
                {
                    "roleType": "primary",
                    "role": "guardian" if contact.has_authority else "relative",
                    "orgSourcedId": _org(school),
                }
            ],
            enabledUser="true",
            username=user,
            givenName=contact.first or "-",
            familyName=contact.last,
            email=contact.email,
            sms=contact.cell_phone,
            phone=contact.home_phone,
        )


def _student_role(student: Student, school: School, role_type: str) -> dict[str, str]:
    begins, ends = student.admitted_on, student.withdrawn_on if student.status == INACTIVE else None
    return {
        "roleType": role_type,
        "role": "student",
        "orgSourcedId": _org(school),
        "beginDate": begins.isoformat() if begins else "",
        "endDate": ends.isoformat() if ends else "",
    }


def _role(person: Staffer) -> str:
    if person.position in {"Principal", "Vice-Principal"}:
        return "principal"
    if person.position == "Counsellor":
        return "counselor"
    return "teacher" if person.teaching else "aide"


def _role_11(role: str) -> str:
    """1.1 knows neither principals nor counsellors."""
    return {"principal": "administrator", "counselor": "teacher"}.get(role, role)


def _adult(contact: Contact) -> str:
    words = (
        contact.first,
        contact.last,
        contact.email,
        contact.cell_phone,
        contact.home_phone,
        str(contact.guardian),
    )
    return f"adult-{hashlib.sha256('|'.join(words).encode()).hexdigest()[:16]}"


def _staff(person: Staffer) -> str:
    return f"staff-{person.user_name}"


def _org(school: School) -> str:
    return f"org-{school.number}"


def _course(school: School, course: Course) -> str:
    return f"course-{school.number}-{course.code}"


def _homeroom(school: School, number: int) -> str:
    return f"homeroom-{school.number}-{number + 1}"


def _term(semester: str) -> str:
    return f"semester-{semester}-{END_YEAR}"


def _grade(grade: int | None) -> str:
    """CEDS: KG, 01 … 12."""
    return "" if grade is None else f"{grade:02d}" if grade else "KG"
