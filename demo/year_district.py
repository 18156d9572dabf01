"""The district of `make year`: four elementary schools and a secondary one over two school years,
with its own calendar, and the rows somebody would write of it beforehand.

In: a day. Out: `State`, what the extracts and human resources say that day and, worked out from the
story alone, who must have an open account, in which groups and in which unit. Nothing here knows a
model. The story: one school stands in another's building for a month, one closes in the first
summer and its students and staff go to another, one is renamed, two grades graduate, kindergarten
is registered in spring, people on staff come, leave and vanish.

    python -m demo year
"""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from demo import layouts
from demo.calendar import gde_date
from demo.extracts import row
from demo.hr import _DDL, COLUMNS
from demo.layouts import Layout
from demo.people import pen

FIRST_NIGHT = date(2026, 10, 5)
ROLLOVERS = (date(2027, 7, 1), date(2028, 7, 1))
FIRST_DAYS = (date(2027, 9, 7), date(2028, 9, 5))
SEPTEMBERS = (date(2027, 9, 1), date(2028, 9, 1))
SEMESTER_2 = date(2027, 1, 31)
MOVED = (date(2026, 11, 2), date(2026, 11, 27))
CLOSED = (  # no school, Monday to Friday
    (date(2026, 12, 21), date(2027, 1, 1)),
    (date(2027, 3, 15), date(2027, 3, 29)),
    (date(2027, 12, 20), date(2027, 12, 31)),
    (date(2028, 3, 13), date(2028, 3, 24)),
)
ALDER, BIRCH, CEDAR, DOGWOOD, ELM = "7474001", "7474002", "7474003", "7474004", "7474005"
ELEMENTARY = (ALDER, BIRCH, CEDAR, ELM)
_PER_GRADE, _SECONDARY_GRADE = 5, 16
_GIVEN = (
    "Ada Ben Cora Dev Elsa Finn Gus Hana Ivo Jun Kai Lena Milo Nora Omar Pia Quin Rosa Sami Tess"
)
_FAMILY = (
    "Abbott Bello Castle Drake Ellis Flood Grant Hobbs Ingle Joyce Keane Lloyd Marsh Noble Osman"
    " Pratt Quill Reeve Stone Thorne Upton Vance Wells Yates Zeller Barlow Corby Dalton Egan Frost"
)

ROWS = {  # what the district's people wrote before it came; nobody types anything else
    "district_events": (
        "event,school_number,to_school_number,starts_on,ends_on,why",
        f"moves,0{ALDER},0{BIRCH},2026-11-02,2026-11-27,Alder has no heating and stands at Birch",
        "rollover,,,2027-07-01,2027-07-14,The year turns",
        "graduation,,,2027-06-28,2027-07-14,Grade 12 leaves",
        f"closes,0{CEDAR},0{BIRCH},2027-07-01,2027-09-30,Cedar closes and goes to Birch",
        f"renamed,0{ELM},,2027-07-01,2027-07-14,Elm takes the name of the river",
        "rollover,,,2028-07-01,2028-07-14,The year turns",
        "graduation,,,2028-06-28,2028-07-14,Grade 12 leaves",
    ),
    "school_calendar": (
        "population,starts_on,ends_on,period,timers,class_lists",
        "student,2026-09-08,2026-09-30,rollover,stand,when_filled",
        "student,2026-10-01,2027-06-30,in session,run,believe",
        "student,2027-07-01,2027-09-06,summer,stand,keep",
        "student,2027-09-07,2027-09-30,rollover,stand,when_filled",
        "student,2027-10-01,2028-06-30,in session,run,believe",
        "student,2028-07-01,2028-09-04,summer,stand,keep",
        "student,2028-09-05,2028-09-30,rollover,stand,when_filled",
        "student,2028-10-01,2029-06-30,in session,run,believe",
        "staff,2026-07-01,2029-06-30,all year,run,believe",
    ),
    "closed_days": (
        "first_day,last_day,source,reason",
        *(f"{first},{last},,No school" for first, last in CLOSED),
        "2027-07-01,2027-09-06,myedbc,Summer",
        "2028-07-01,2028-09-04,myedbc,Summer",
    ),
}


def year_of(day: date) -> int:
    """0 in the first school year; a rollover is on July 1."""
    return sum(day >= rollover for rollover in ROLLOVERS)


def in_summer(day: date) -> bool:
    return any(first <= day < last for first, last in zip(ROLLOVERS, FIRST_DAYS, strict=True))


def in_school(day: date) -> bool:
    return (
        day.weekday() < 5
        and not in_summer(day)
        and not any(first <= day <= last for first, last in CLOSED)
    )


def code(grade: int) -> str:
    return f"{grade:02d}" if grade else "KF"


@dataclass(frozen=True)
class Child:
    """One student: where and in which grade in the first year (below zero: still to come)."""

    number: str
    first: str
    last: str
    school: str
    grade: int
    left_on: date | None = None
    came_on: date = date(2025, 9, 2)

    def school_on(self, day: date) -> str:
        """By grade, and by what happens to the schools."""
        grade = min(self.grade + year_of(day), 12)
        if grade > 7:
            return DOGWOOD
        if self.school == ALDER and MOVED[0] <= day <= MOVED[1]:
            return BIRCH
        return BIRCH if self.school == CEDAR and year_of(day) else self.school

    def grade_on(self, day: date) -> int:
        """Who graduates keeps grade 12; who is registered for September is KF from then on."""
        return max(0, min(self.grade + year_of(day), 12))

    def graduated_on(self, day: date) -> date | None:
        over = 12 - self.grade
        return ROLLOVERS[over] if over < len(ROLLOVERS) and day >= ROLLOVERS[over] else None

    def gone_since(self, day: date) -> date | None:
        found = [one for one in (self.graduated_on(day), self.left_on) if one and one <= day]
        return min(found, default=None)

    def starts_on(self) -> date:
        return self.came_on if self.grade >= 0 else FIRST_DAYS[-self.grade - 1]

    def registered_on(self) -> date:
        """Kindergarten is registered over the spring, a few at a time."""
        if self.grade >= 0:
            return self.came_on
        return date(FIRST_DAYS[-self.grade - 1].year, 2, 1) + timedelta(int(self.number) % 3 * 40)

    def status_on(self, day: date) -> str | None:
        """The word of the extract; none: not in it."""
        if day < self.registered_on():
            return None
        if graduated := self.graduated_on(day):
            return "Graduate" if day < date(graduated.year, 10, 1) else None
        if self.gone_since(day):
            return "Inactive"
        return "Active" if day >= self.starts_on() else "PreReg"


@dataclass(frozen=True)
class Employee:
    """One employee; `division` the grade whose homeroom is theirs, -1 none."""

    staff_id: str
    first: str
    last: str
    position: str
    school: str
    division: int = -1
    hired_on: date = date(2020, 9, 1)
    listed_from: date = date(2020, 9, 1)
    last_day: date | None = None
    purged_on: date | None = None

    def school_on(self, day: date) -> str:
        return BIRCH if self.school == CEDAR and year_of(day) else self.school

    def division_on(self, day: date) -> int:
        """Cedar's teachers teach no homeroom at Birch: it has its own."""
        return -1 if self.school == CEDAR and year_of(day) else self.division

    def is_listed(self, day: date) -> bool:
        return self.listed_from <= day and not (self.purged_on and day >= self.purged_on)

    def is_employed(self, day: date) -> bool:
        return self.hired_on <= day and not (self.last_day and day > self.last_day)


@dataclass(frozen=True)
class Place:
    """What one person must hold in each platform: open or closed (None: either), groups, unit."""

    is_open: bool | None
    groups: frozenset[str] | None = None  # None: not said
    unit: str | None = None
    in_lists: bool | None = None


@dataclass
class State:
    """One day."""

    day: date
    children: list[Child] = field(default_factory=list)
    employees: list[Employee] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.children = list(children())
        self.employees = list(employees())

    # --- what the records say

    def name_of(self, school: str) -> str:
        if school == ELM and year_of(self.day):
            return "Fraser Elementary"
        words = {ALDER: "Alder", BIRCH: "Birch", CEDAR: "Cedar", DOGWOOD: "Dogwood", ELM: "Elm"}
        return f"{words[school]} {'Secondary' if school == DOGWOOD else 'Elementary'}"

    def schools(self) -> list[str]:
        return [one for one in (*ELEMENTARY, DOGWOOD) if one != CEDAR or not year_of(self.day)]

    def is_filled(self, school: str, day: date) -> bool:
        """Homerooms are blank in summer; two schools fill theirs a day after the others."""
        if in_summer(day):
            return False
        return school in (ALDER, DOGWOOD) or day not in FIRST_DAYS

    def homeroom(self, child: Child, day: date | None = None) -> str:
        """As the extract shows it."""
        day = day or self.day
        school = child.school_on(day)
        if child.status_on(day) != "Active" or not self.is_filled(school, day):
            return ""
        return self.division(child, day)

    def division(self, child: Child, day: date) -> str:
        grade = child.grade_on(day)
        at_home = "Alder " if child.school == ALDER and MOVED[0] <= day <= MOVED[1] else ""
        return f"{at_home}Div {grade + 1}" if grade < 8 else f"H{grade:02d}"

    def teacher(self, child: Child, day: date | None = None) -> Employee | None:
        """Of the homeroom: of Alder's own school also while it stands at Birch."""
        day = day or self.day
        school = ALDER if self.division(child, day).startswith("Alder") else child.school_on(day)
        return next(
            (
                one
                for one in self.employees
                if one.school_on(day) == school
                and one.division_on(day) == child.grade_on(day)
                and one.is_employed(day)
                and one.is_listed(day)
            ),
            None,
        )

    def listed(self) -> Iterator[tuple[Child, str]]:
        for child in self.children:
            if status := child.status_on(self.day):
                yield child, status

    # --- what must be

    def kept_homeroom(self, child: Child) -> tuple[str, Employee | None]:
        """The homeroom shown, or over the summer the one of June at that school."""
        if shown := self.homeroom(child):
            return shown, self.teacher(child)
        june = ROLLOVERS[year_of(self.day) - 1] - timedelta(1)
        if year_of(self.day) and child.school_on(june) == child.school_on(self.day):
            return self.homeroom(child, june), self.teacher(child, june)
        return "", None

    def student(self, child: Child) -> Place:
        school, grade = child.school_on(self.day), code(child.grade_on(self.day))
        unit = f"/Students/{self.name_of(school)}/{grade}"
        gone = child.gone_since(self.day)
        if child.status_on(self.day) == "Active":
            groups = {f"school-0{school}-students", f"grade-0{school}-{grade.lower()}"}
            if homeroom := self.kept_homeroom(child)[0]:
                groups.add(f"homeroom-0{school}-{homeroom.lower().replace(' ', '-')}")
            return Place(True, frozenset(groups), unit, True)
        if not gone:
            return Place(True, frozenset(), unit)
        graduated = child.graduated_on(self.day)
        closed = [date(gone.year, 10, 1) + timedelta(45)] if gone.month in (6, 7, 8, 9) else []
        closed += [] if closed else [gone + timedelta(16)]
        if self.day >= closed[0]:
            return Place(False, frozenset(), None, False)
        opened = self.day < (date(gone.year, 8, 31) if graduated else gone + timedelta(14))
        out = bool(graduated) or any(gone < september <= self.day for september in SEPTEMBERS)
        return Place(opened or None, frozenset() if out else None, None, False if out else None)

    def employee(self, one: Employee) -> Place:
        if one.is_employed(self.day):
            school = one.school_on(self.day)
            groups = {f"school-0{school}-staff"} if school else set()
            for child, _ in self.listed():
                homeroom, teacher = self.kept_homeroom(child)
                if homeroom and teacher == one and child.status_on(self.day) == "Active":
                    groups.add(
                        f"homeroom-0{child.school_on(self.day)}"
                        f"-{homeroom.lower().replace(' ', '-')}"
                    )
            unit = f"/Staff/{self.name_of(school)}" if school else "/Staff/District office"
            return Place(True, frozenset(groups), unit, True if one.division >= 0 else None)
        if self.day < one.hired_on:
            return Place(True, frozenset(), None, False)
        return Place(False, frozenset(), None, False)

    # --- the files

    def write(self, folder: Path, hr: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for layout in layouts.ALL:
            lines = [row(*layout.columns)] if layout.headings else []
            for values in self._rows(layout):
                unknown = values.keys() - set(layout.columns)
                if unknown:
                    raise ValueError(f"{layout.file} has no columns {sorted(unknown)}")
                lines.append(row(*(values.get(name, "") for name in layout.columns)))
            text = "".join(f"{line}\r\n" for line in lines)
            part = folder / f".{layout.file}.part"
            part.write_text(text, encoding=layout.encoding, newline="")
            part.replace(folder / layout.file)
        hr.unlink(missing_ok=True)
        with closing(sqlite3.connect(hr)) as database, database:
            database.execute(_DDL)
            database.executemany(
                f"insert into employees values ({', '.join('?' * len(COLUMNS))})",
                [self._employee(one) for one in self.employees if one.is_listed(self.day)],
            )

    def _employee(self, one: Employee) -> tuple[str | None, ...]:
        school = one.school_on(self.day)
        return (
            one.staff_id,
            one.first,
            one.last,
            None,
            one.position,
            f"0{school}" if school else None,
            f"{one.first}.{one.last}@sd74.example".lower(),
            one.hired_on.isoformat(),
            one.last_day.isoformat() if one.last_day else None,
        )

    def _rows(self, layout: Layout) -> Iterator[dict[str, str]]:
        yield from {
            layouts.SCHOOLS: self._school_rows,
            layouts.DEMOGRAPHIC: self._demographic_rows,
            layouts.ENHANCED: self._enhanced_rows,
            layouts.STAFF: self._staff_rows,
            layouts.PARENTS: self._parent_rows,
            layouts.CONTACTS: self._contact_rows,
            layouts.COURSES: self._course_rows,
            layouts.CLASSES: self._class_rows,
            layouts.SCHEDULE: self._schedule_rows,
            layouts.DAILY: self._daily_rows,
            layouts.PERIOD: self._period_rows,
        }[layout]()

    def _school_rows(self) -> Iterator[dict[str, str]]:
        for school in self.schools():
            yield {
                "District Number": "074",
                "District Name": "School District No. 74 (Gold Trail)",
                "School Number": school,
                "School Name": self.name_of(school),
                "Ministry School Number": f"0{school}",
                "School Configuration": "8-12" if school == DOGWOOD else "K-7",
                "Number of Rooms": "12",
            }

    def _demographic_rows(self) -> Iterator[dict[str, str]]:
        for child, _ in self.listed():
            teacher = self.teacher(child) if self.homeroom(child) else None
            gone = child.gone_since(self.day)
            yield {
                "School number": child.school_on(self.day),
                "Student number": child.number,
                "Homeroom": self.homeroom(child),
                "Teacher name": f"{teacher.last}, {teacher.first}" if teacher else "",
                "Teacher ID": teacher.staff_id if teacher else "",
                "PEN": pen(int(child.number)),
                "Legal surname": child.last,
                "Legal first name": child.first,
                "Street number": str(100 + int(child.number) % 800),
                "Street name": "River Road",
                "Municipality": "Cache Creek",
                "Province": "BC",
                "Postal code": "V0K 1H0",
                "Date of birth": self._born(child),
                "Gender": "F",
                "Phone number": f"778555{100 + int(child.number) % 100:04d}",
                "Grade": code(child.grade_on(self.day)),
                "Admission date": gde_date(child.starts_on()),
                "Withdraw date": gde_date(gone),
                "Who has custody": "Both parents",
                "Send Email and Autodialer Calls?": "Y",
            }

    def _is_news(self, child: Child) -> bool:
        """A child of whom a file says something else than the day before: none stays the same."""
        return (int(child.number) + self.day.toordinal()) % 50 == 0

    def _phone(self, child: Child) -> str:
        return f"778555{100 + (int(child.number) + 50 * self._is_news(child)) % 100:04d}"

    def _born(self, child: Child) -> str:
        return gde_date(date(2021 - child.grade, 1 + int(child.number) % 12, 11))

    def _enhanced_rows(self) -> Iterator[dict[str, str]]:
        for child, status in self.listed():
            teacher = self.teacher(child) if self.homeroom(child) else None
            yield {
                "Student Number": child.number,
                "Legal First Name": child.first,
                "Legal Surname": child.last,
                "Date of birth": self._born(child),
                "Grade": code(child.grade_on(self.day)),
                "School Number": child.school_on(self.day),
                "Home school number": child.school_on(self.day),
                "Homeroom": self.homeroom(child),
                "Teacher Name": f"{teacher.last}, {teacher.first}" if teacher else "",
                "Teacher ID": teacher.staff_id if teacher else "",
                "Enrolment status": status,
                "Admission date": gde_date(child.starts_on()),
                "Withdraw date": gde_date(child.gone_since(self.day)),
            }

    def _staff_rows(self) -> Iterator[dict[str, str]]:
        for one in self.employees:
            if one.division >= 0 and one.is_employed(self.day):
                yield {
                    "School Number": one.school_on(self.day),
                    "User Name": f"{one.first}{one.last}".lower(),
                    "Teaching Staff": "Y",
                    "Teacher Id": one.staff_id,
                    "Name": f"{one.last}, {one.first}",
                    "Last Name": one.last,
                    "First Name": one.first,
                    "Email Address": f"{one.first}.{one.last}@sd74.example".lower(),
                }

    def _parent_rows(self) -> Iterator[dict[str, str]]:
        for child, status in self.listed():
            if status in ("Active", "PreReg"):
                yield {
                    "SCHOOL NUMBER": child.school_on(self.day),
                    "Student number": child.number,
                    "Student Legal last Name": child.last,
                    "Student legal First Name": child.first,
                    "GRADE": code(child.grade_on(self.day)),
                    "SurName": child.last,
                    "First name": "Robin",
                    "Parent Type description": "Mother",
                    "Parent type": "M",
                    "Home PHONE": self._phone(child),
                    "Email ADDRESS": f"robin.{child.number}@example.com",
                    "Custody status": "Joint",
                    "Living with Student": "Y",
                }

    def _contact_rows(self) -> Iterator[dict[str, str]]:
        for child, status in self.listed():
            if status in ("Active", "PreReg"):
                yield {
                    "Student number": child.number,
                    "Student legal last name": child.last,
                    "Student legal first name": child.first,
                    "Grade": code(child.grade_on(self.day)),
                    "Contact type": "Parent",
                    "Contact level code": "1",
                    "Relationship code": "M",
                    "Relationship description": "Mother",
                    "Last name": child.last,
                    "First name": "Robin",
                    "Home phone": self._phone(child),
                    "Email address": f"robin.{child.number}@example.com",
                    "Parent Auth / Guardian": "Y",
                }

    def _sections(self, child: Child) -> Iterator[tuple[str, str, str, str]]:
        """(course, letter, master id, semester): attendance; in secondary a course a semester."""
        school, grade = child.school_on(self.day), child.grade_on(self.day)
        room = self.division(child, self.day).replace(" ", "")
        year = year_of(self.day)
        yield "ATT--AM", room[-1], f"MST{school}{room}{year}", "FY"
        if grade > 7:
            for semester in "12":
                made = f"MST{school}{grade:02d}{semester}{year}0"
                yield f"MEN--{grade:02d}{semester}", "A", made, semester

    def _enrolled(self) -> Iterator[tuple[Child, tuple[str, str, str, str]]]:
        """Class lists are empty in summer."""
        for child, status in self.listed():
            if status == "Active" and self.homeroom(child):
                for section in self._sections(child):
                    yield child, section

    def _course_rows(self) -> Iterator[dict[str, str]]:
        for school in self.schools():
            codes = {"ATT--AM"} | (
                {f"MEN--{grade:02d}{semester}" for grade in range(8, 13) for semester in "12"}
                if school == DOGWOOD
                else set()
            )
            for course in sorted(codes):
                yield {"School Number": school, "Course Code": course, "Title": course}

    def _class_rows(self) -> Iterator[dict[str, str]]:
        seen = set()
        for child, (course, letter, made, semester) in self._enrolled():
            teacher = self.teacher(child)
            if made not in seen:
                seen.add(made)
                yield {
                    "School Number": child.school_on(self.day),
                    "Course Code": course,
                    "Teacher Id": teacher.staff_id if teacher else "",
                    "Primary Teacher": "Y",
                    "Section Letter": letter,
                    "Semester": semester,
                    "Term": "FY" if semester == "FY" else f"S{semester}",
                    "Day": "1",
                    "Period": "AM" if semester == "FY" else semester,
                    "Master Timetable ID": made,
                    "Class Identifier": f"{course}-{letter}",
                    "Max": "30",
                }

    def _schedule_rows(self) -> Iterator[dict[str, str]]:
        for child, (course, letter, made, semester) in self._enrolled():
            teacher = self.teacher(child)
            yield {
                "School Year": str(2027 + year_of(self.day)),
                "School Number": child.school_on(self.day),
                "Student Number": child.number,
                "Grade": code(child.grade_on(self.day)),
                "Homeroom": self.homeroom(child),
                "Course School Number": child.school_on(self.day),
                "Course Code": course,
                "District Course Code": course,
                "Course Title": course,
                "Period": "AM" if semester == "FY" else semester,
                "Day": "1-2" if self._is_news(child) else "1",
                "Semester": semester,
                "Section Letter": letter,
                "Master Timetable ID": made,
                "Teacher ID": teacher.staff_id if teacher else "",
                "Teacher Name": f"{teacher.last}, {teacher.first}" if teacher else "",
                "Primary Teacher": "Y",
                "Enrolment Status": "Active",
            }

    def _absent(self, *, secondary: bool) -> Iterator[tuple[Child, dict[str, str]]]:
        """One child in twenty, others each day."""
        if in_school(self.day):
            for child, status in self.listed():
                away = (int(child.number) + self.day.toordinal()) % 20 == 0
                if status == "Active" and away and (child.grade_on(self.day) > 7) is secondary:
                    yield (
                        child,
                        {
                            "School Number": child.school_on(self.day),
                            "Student Number": child.number,
                            "Student Legal Last Name": child.last,
                            "Student Legal First Name": child.first,
                            "Grade": code(child.grade_on(self.day)),
                            "Homeroom": self.homeroom(child),
                            "Absence Date": gde_date(self.day),
                        },
                    )

    def _daily_rows(self) -> Iterator[dict[str, str]]:
        for _, values in self._absent(secondary=False):
            yield values | {
                "Authorized AM": "N",
                "Authorized PM": "N",
                "Absent Code AM": "A",
                "Absent Code PM": "A",
                "Portion Absent": "1.0",
            }

    def _period_rows(self) -> Iterator[dict[str, str]]:
        for child, values in self._absent(secondary=True):
            semester = "2" if SEMESTER_2 < self.day < ROLLOVERS[0] else "1"
            for course, letter, made, term in self._sections(child):
                if term == semester:
                    yield values | {
                        "Course Code": course,
                        "Absence Category": "A",
                        "Authorized Absence Code": "N",
                        "Master Timetable ID": made,
                        "Section Letter": letter,
                    }


def children() -> Iterator[Child]:
    """Everybody who is ever a student, in a fixed order."""
    given, family = _GIVEN.split(), _FAMILY.split()
    leaves = {  # of the place in the district: on that day
        7: date(2026, 10, 6),
        31: date(2027, 6, 25),
        60: date(2027, 7, 15),
        95: date(2027, 8, 3),
        130: date(2027, 2, 1),
    }
    place = 0
    for grade in range(-2, 13):
        schools = ELEMENTARY if grade < 8 else (DOGWOOD,)
        for school in schools:
            if school == CEDAR and grade < 0:
                continue
            for _ in range(_PER_GRADE if grade < 8 else _SECONDARY_GRADE):
                yield Child(
                    f"{1000000 + place}",
                    given[place % len(given)],
                    family[place // len(given) % len(family)] + ("" if grade < 4 else "son"),
                    school,
                    grade,
                    leaves.get(place - 30) if grade >= 0 else None,
                )
                place += 1


def employees() -> Iterator[Employee]:
    """Everybody who is ever on staff."""
    given, family = _GIVEN.split()[::-1], _FAMILY.split()[::-1]
    place = 0
    for school in (*ELEMENTARY, DOGWOOD):
        for division in [-1, *(range(8) if school != DOGWOOD else range(8, 13))]:
            yield Employee(
                f"{500000 + place}",
                given[place % len(given)],
                family[place // 4 % len(family)],
                "Teacher" if division >= 0 else "Principal",
                school,
                division,
            )
            place += 1
    yield Employee("600001", "Vera", "Wolfe", "Superintendent", "", last_day=date(2027, 3, 17))
    yield Employee(
        "600002",
        "Nils",
        "Holt",
        "Secretary",
        BIRCH,
        last_day=date(2026, 10, 31),
        purged_on=date(2027, 1, 20),
    )
    yield Employee(
        "600003",
        "Ida",
        "Moss",
        "Librarian",
        DOGWOOD,
        last_day=date(2027, 6, 30),
        purged_on=date(2027, 8, 10),
    )
    yield Employee(
        "600004",
        "Theo",
        "Lund",
        "Counsellor",
        DOGWOOD,
        hired_on=date(2027, 9, 1),
        listed_from=date(2027, 8, 10),
    )


def write_rows(project: Path) -> None:
    """The district's own seeds, into a copy of the project."""
    for seed, lines in ROWS.items():
        (project / "seeds" / f"{seed}.csv").write_text(
            "".join(f"{line}\n" for line in lines), encoding="utf-8"
        )


def read_rows(text: str, separator: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines(), delimiter=separator))
