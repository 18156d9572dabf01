"""Writes a day of the synthetic district as the MyEducation BC extract files, in the shape the
field meets them.

In: how many students, a seed, a day and a folder. Out: eleven files, each put in place whole, and a
`Summary`. One zone of schools is in memory at a time. The same (students, seed, day) gives the same
bytes.

    python -m demo extracts --day 1

The mechanics: comma, CRLF, every non-empty value in double quotes with inner ones doubled, except
values of at most twelve characters that read as a date, which stay bare; empty values are empty. A
letter that a file's encoding lacks is a question mark, because that is how such files arrive.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import TextIO
from zlib import crc32

from demo import layouts
from demo.absences import DAYS_SHOWN
from demo.calendar import (
    END_YEAR,
    SEMESTER_2,
    date_of,
    end_year,
    gde_date,
    is_school_day,
    is_summer,
)
from demo.cases import SPOILT
from demo.district import ACTIVE, INACTIVE, PREREG, Day, District, Student, Summary, Zone
from demo.layouts import Layout
from demo.schools import (
    DISTRICT_NAME,
    DISTRICT_NUMBER,
    Course,
    School,
    Section,
    Timetable,
    grade_code,
)
from demo.staff import Roster, Staffer

_DATE = re.compile(r"\d+-(?:\d+|[A-Za-z]{3})-\d+|\d+/\d+/\d+")
_MAX_DATE = 12


@lru_cache(maxsize=1 << 14)  # the same few words stand in millions of fields
def value(text: str) -> str:
    """One field as the extracts quote it."""
    if not text:
        return ""
    if text[0].isdigit() and len(text) <= _MAX_DATE and _DATE.fullmatch(text):
        return text
    return '"' + text.replace('"', '""') + '"'


def row(*fields: str) -> str:
    """One record without its line end."""
    return ",".join(map(value, fields))


def write_day(folder: Path, *, students: int, seed: int, day: int, spoilt: bool = False) -> Summary:
    """Write all files of a day. A file stands under its own name only once it is whole. `spoilt`:
    with the lines of two children that name no school.
    """
    today = District(students, seed).on(day)
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        files = {
            layout: stack.enter_context(
                _part(folder, layout).open(
                    "w", encoding=layout.encoding, errors="replace", newline=""
                )
            )
            for layout in layouts.ALL
        }
        summary = _Writer(today, files, spoilt=spoilt).write()
    for layout in layouts.ALL:
        _part(folder, layout).replace(folder / layout.file)
    return summary


def _part(folder: Path, layout: Layout) -> Path:
    return folder / f".{layout.file}.part"


class _Writer:
    """Turns zones into lines."""

    def __init__(self, today: Day, files: dict[Layout, TextIO], *, spoilt: bool) -> None:
        self.today, self.files, self.spoilt = today, files, spoilt
        self.summary = Summary(today.day, today.date)
        recent = range(today.day - DAYS_SHOWN + 1, today.day + 1)
        self.recent = [day for day in recent if is_school_day(date_of(day))]
        self._class_part = lru_cache(maxsize=2048)(self._schedule_part)
        self._staff: Counter[str] = Counter()

    def write(self) -> Summary:
        for layout, file in self.files.items():
            if layout.headings:
                file.write(row(*layout.columns) + "\r\n")
        for zone in range(len(self.today.plan.zones)):
            self._zone(self.today.zone(zone))
        return Summary(
            self.summary.day,
            self.summary.date,
            self.summary.students,
            self.summary.schools,
            staff=self._staff["people"],
            events=self.summary.events,
            rows=self.summary.rows,
        )

    def _zone(self, zone: Zone) -> None:
        for school in self.today.plan.zones[zone.number]:
            roster, timetable = self.today.roster(school), self.today.timetable(school)
            self._put(layouts.SCHOOLS, [_school_row(school)])
            self._put(layouts.STAFF, list(self._staff_rows(roster)))
            self._put(
                layouts.COURSES, [_course_row(school, course) for course in timetable.courses()]
            )
            self._put(layouts.CLASSES, list(_class_rows(timetable, roster)))
            self._staff["people"] += len(roster.in_sis())
        self.summary.events.update({kind: len(who) for kind, who in zone.happened.items()})
        self.summary.events.update(self.today.staff_events(zone.number))
        for student in zone.students:
            self._student(student)

    def _put(self, layout: Layout, lines: list[str]) -> None:
        if lines:
            self.files[layout].write("\r\n".join(lines) + "\r\n")
            self.summary.rows[layout.file] += len(lines)

    def _staff_rows(self, roster: Roster) -> Iterator[str]:
        for person in roster.in_sis():
            for index in (roster.school.index, *person.also_at):
                number = self.today.plan.schools[index].number
                teaching = "Y" if person.teaching else "N"
                yield row(
                    number,
                    person.user_name,
                    teaching,
                    person.sis_id,
                    person.name,
                    person.prefix,
                    person.last,
                    person.shown_first,
                    person.email,
                )

    def _teacher(self, school: School, slot: int) -> tuple[str, str]:
        """Id and name of whoever holds a post; both empty while it is vacant."""
        person = self.today.roster(school).holders[slot]
        return (person.sis_id, person.name) if person else ("", "")

    def _student(self, student: Student) -> None:
        self.summary.students[student.status] += 1
        self.summary.schools[student.school.number] += student.status == ACTIVE
        if self.spoilt and without_school(student, self.today.day):
            room = _Room(student.school, student.status, number="")
            self._put(layouts.DEMOGRAPHIC, [_demographic_row(student, room)])
            self._put(layouts.ENHANCED, [_enhanced_row(self.today, student, room)])
            return
        rooms = [_Room.of(self, student)]
        if student.second:
            rooms.append(_Room.second(student))
        for room in rooms:
            self._put(layouts.DEMOGRAPHIC, [_demographic_row(student, room)])
            self._put(layouts.ENHANCED, [_enhanced_row(self.today, student, room)])
            if student.status != INACTIVE:
                self._put(layouts.PARENTS, list(_parent_rows(student, room)))
        if student.status != INACTIVE:
            self._put(layouts.CONTACTS, list(_contact_rows(student, rooms[0])))
        if student.attends:
            self._put(layouts.SCHEDULE, list(self._schedule_rows(student, rooms[0])))
        if (student.attends and student.status == ACTIVE) or (student.present and student.absent):
            self._absences(student, rooms[0])

    def _schedule_rows(self, student: Student, room: _Room) -> Iterator[str]:
        who = (student.number, student.pen, grade_code(student.grade))
        status = value(student.status)
        year = str(end_year(self.today.date))
        own = row(year, student.school.number, *who, room.name)
        for school, section in self.today.sections_of(student):
            before = own if school is student.school else row(year, school.number, *who, "")
            yield f"{before},{self._class_part(school, section)},{status}"

    def _schedule_part(self, school: School, section: Section) -> str:
        teacher_id, teacher = self._teacher(school, section.teachers[0])
        code = section.course.code
        return row(
            school.number,
            code,
            code,
            section.course.title,
            section.course.title[:15],
            section.period,
            "1-2",
            section.semester,
            section.letter,
            section.master_id,
            teacher_id,
            teacher,
            "Y",
        )

    def _absences(self, student: Student, room: _Room) -> None:
        secondary = student.school.kind == "secondary"
        for day in self.recent:
            missed = self.today.missed(student, day)
            if missed is None or (student.admitted_on and student.admitted_on > date_of(day)):
                continue
            child, when = student.child, date_of(day)
            pupil = (
                student.school.number,
                student.number,
                child.last,
                child.first,
                grade_code(student.grade) if secondary else _short_grade(student.grade),
                room.name,
                room.teacher,
                gde_date(when),
            )
            authorised = "Y" if missed.authorised else "N"
            if not secondary:
                parts = {part: part in missed.parts for part in ("AM", "PM")}
                halves = [
                    text
                    for part in parts
                    for text in ((missed.reason, "", authorised) if parts[part] else ("", "", ""))
                ]
                codes = [("T" if missed.late else "A") if parts[part] else "" for part in parts]
                portion = "0.0" if missed.late else "1.0" if all(parts.values()) else "0.5"
                self._put(layouts.DAILY, [row(*pupil, *halves, *codes, room.teacher_id, portion)])
                continue
            semester = "2" if when >= SEMESTER_2 else "1"
            lines = []
            for school, section in self.today.sections_of(student):
                if (
                    school is student.school
                    and section.semester == semester
                    and section.period in missed.parts
                ):
                    teacher_id, _ = self._teacher(school, section.teachers[0])
                    code = section.course.code
                    lines.append(
                        row(
                            *pupil,
                            code,
                            "L" if missed.late else "A",
                            missed.reason,
                            authorised,
                            section.master_id,
                            section.letter,
                            teacher_id,
                            f"{code}---",
                            "---",
                        )
                    )
            self._put(layouts.PERIOD, lines)


class _Room:
    """Where a student's row stands: school, status there, homeroom and its teacher."""

    __slots__ = ("name", "number", "school", "status", "teacher", "teacher_id")

    def __init__(
        self,
        school: School,
        status: str,
        name: str = "",
        teacher: tuple[str, str] = ("", ""),
        number: str | None = None,
    ) -> None:
        self.school, self.status, self.name = school, status, name
        self.number = school.number if number is None else number
        self.teacher_id, self.teacher = teacher

    @classmethod
    def of(cls, writer: _Writer, student: Student) -> _Room:
        if student.homeroom is None or student.status == PREREG or is_summer(writer.today.date):
            return cls(student.school, student.status)
        teacher = writer._teacher(student.school, student.school.homeroom_teacher(student.homeroom))
        return cls(
            student.school, student.status, student.school.homeroom_name(student.homeroom), teacher
        )

    @classmethod
    def second(cls, student: Student) -> _Room:
        """The row at the second school: no homeroom there, and withdrawn where the student has
        withdrawn.
        """
        return cls(
            student.second or student.school,
            student.second_status if student.status == ACTIVE else student.status,
        )


def _short_grade(grade: int) -> str:
    """1 … 12 without zeros, as some of the files have it."""
    return str(grade) if grade else "KF"


def _usual(student: Student) -> tuple[str, str]:
    """Usual surname and first name: blank where equal to the legal ones, but some offices repeat
    them.
    """
    if crc32(student.number.encode()) % 4 == 0:
        return student.usual_last or student.child.last, student.usual_first or student.child.first
    return student.usual_last, student.usual_first


def without_school(student: Student, day: int) -> bool:
    """Whether the school's office has spoilt the student's lines by that day."""
    return student.case in SPOILT and (day > 0 or student.case == "school_never_said")


def _home(student: Student, room: _Room) -> tuple[str, str]:
    return (
        ("", "")
        if student.school.kind == "online" or not room.number
        else (student.school.number, student.school.name)
    )


def _demographic_row(student: Student, room: _Room) -> str:
    child, home, mark = (
        student.child,
        student.family.home,
        crc32(student.pen.encode() + student.number.encode()),
    )
    usual_last, usual_first = _usual(student)
    home_number, home_name = _home(student, room)
    ancestry = mark % 9 == 0
    secondary = student.grade >= 8
    memo = (
        ('Call grandmother first.\r\nSays "no nuts".' if mark % 180 == 0 else "See file, office")
        if mark % 60 == 0
        else ""
    )
    return row(
        room.number,
        student.number,
        room.name,
        room.teacher,
        student.pen,
        f"s{student.number}",
        child.last,
        child.first,
        child.middle,
        usual_last,
        usual_first,
        "",
        home.street_number,
        home.street_name,
        home.apartment,
        home.lot,
        "",
        home.municipality,
        "BC",
        home.postal_code,
        home.mailing,
        gde_date(child.born),
        "Birth certificate",
        child.gender,
        "2023" if student.grade >= 10 else "",
        student.family.phone,
        grade_code(student.grade),
        "ADGHKPQR"[mark % 8] if mark % 11 == 0 else "",
        "Y" if ancestry else "N",
        f"{500 + mark % 232:04d}" if ancestry else "",
        "Y" if ancestry and mark % 4 == 0 else "N",
        student.family.language,
        "Y" if mark % 14 == 0 else "N",
        "Y" if mark % 13 == 0 else "N",
        "Permanent resident" if mark % 17 == 0 else "",
        "Canadian" if mark % 17 else "Other",
        "Canada" if mark % 17 else "Philippines",
        f"9{mark % 1_000_000_000:09d}",
        "Ongoing",
        gde_date(student.admitted_on),
        "Transferred" if student.withdrawn_on else "",
        gde_date(student.withdrawn_on),
        "",
        "",
        home_number,
        home_name,
        f"C{room.school.number[-3:]}" if secondary else "",
        "Counselling" if secondary else "",
        "Case, Manager" if mark % 11 == 0 else "",
        str(END_YEAR + 12 - student.grade),
        "",
        "N" if mark % 3 else "Y",
        "",
        memo,
        room.teacher_id,
        _custody(student),
        "YAG" if mark % 97 == 0 else "",
        "Court order" if mark % 71 == 0 else "",
        f"Band {mark % 232}" if ancestry else "",
        "Y" if student.may_call else "N",
        "Y" if mark % 5 else "N",
        "Y" if mark % 7 else "N",
        "Y" if mark % 19 else "N",
        "Y",
        "N" if mark % 6 else "Y",
    )


def _custody(student: Student) -> str:
    """Who has custody, in the words of the office: as the lines of the contacts have it."""
    having = [one.relationship for one in student.family.contacts if one.has_authority]
    return having[0] if len(having) == 1 else "Both parents"


def _enhanced_row(today: Day, student: Student, room: _Room) -> str:
    child = student.child
    usual_last, usual_first = _usual(student)
    following = ""
    if child.grade == 7 and crc32(student.number.encode()) % 3 == 0:
        following = today.plan.secondary(student.school.zone).number
    elif student.status == PREREG:
        following = student.school.number
    return row(
        student.number,
        child.first,
        child.last,
        usual_first,
        usual_last,
        gde_date(child.born),
        _short_grade(student.grade),
        room.number,
        _home(student, room)[0],
        room.name,
        room.teacher,
        room.teacher_id,
        room.status,
        f"s{student.number}@example.org" if child.email else "",
        following,
        gde_date(student.admitted_on),
        gde_date(student.withdrawn_on),
    )


def _parent_rows(student: Student, room: _Room) -> Iterator[str]:
    child, grade = student.child, str(student.grade) if student.grade else "K"
    for person in student.family.contacts:
        if person.guardian:
            home = person.home
            yield row(
                room.school.number,
                student.number,
                child.last,
                child.first,
                grade,
                room.name,
                "",
                person.last,
                person.first,
                person.prefix,
                person.code,
                person.relationship,
                person.work_phone,
                person.work_extension,
                person.home_phone,
                person.cell_phone,
                person.email,
                person.employer,
                home.apartment,
                home.street_number,
                home.street_name,
                home.municipality,
                home.postal_code,
                home.rural_route,
                home.box,
                home.lot,
                "",
                home.mailing,
                "None" if not person.has_authority else "Joint" if person.lives_with else "Access",
                student.family.language,
                "Y" if person.lives_with else "N",
                f"RR {home.rural_route}" if home.rural_route else "",
                f"PO Box {home.box}" if home.box else "",
            )


def _contact_rows(student: Student, room: _Room) -> Iterator[str]:
    child, grade = student.child, grade_code(student.grade)
    lines = [
        (person, answer)
        for person in student.family.contacts
        for answer in person.authority or "NY"[person.guardian]
    ]
    for level, (person, answer) in enumerate(lines, start=1):
        yield row(
            student.number,
            child.last,
            child.first,
            grade,
            room.name,
            room.teacher,
            "Parent" if person.guardian else "Emergency",
            str(level),
            person.code,
            person.relationship,
            person.last,
            person.first,
            person.home.line,
            person.home_phone,
            person.cell_phone,
            person.work_phone,
            person.work_extension,
            person.email,
            answer,
        )


def _school_row(school: School) -> str:
    configuration = {"elementary": "K-7", "secondary": "8-12", "online": "K-12"}[school.kind]
    return row(
        DISTRICT_NUMBER,
        f"School District No. {int(DISTRICT_NUMBER)} ({DISTRICT_NAME})",
        school.number,
        school.name,
        school.mincode,
        configuration,
        str(school.homerooms + 6),
    )


def _course_row(school: School, course: Course) -> str:
    attendance = course.grade is None
    return row(
        school.number,
        course.department,
        course.department,
        course.department.title(),
        course.code,
        "Attendance" if attendance else "Academic",
        course.title,
        f"{course.title} ({school.name})",
        "" if attendance else "4.0",
        "" if attendance else grade_code(course.grade),
        "",
        course.title[:15],
        course.code[:5],
        "",
        "FY" if attendance else "S",
        "",
        "N" if attendance else "Y",
        "N" if attendance else "Y",
        "Y" if course.code.startswith("X") else "N",
        "N",
        "N" if attendance else "Y",
        "N",
        "N",
    )


def _class_rows(timetable: Timetable, roster: Roster) -> Iterator[str]:
    """One row per section, teacher and meeting. A vacant post leaves the teacher id empty, not the
    class away.
    """
    number = timetable.school.number
    for section in timetable.sections():
        code = section.course.code
        expression = f"{section.period}(1-2)"
        for place, slot in enumerate(section.teachers):
            holder: Staffer | None = roster.holders[slot]
            for day, period in section.meetings:
                yield row(
                    number,
                    code,
                    holder.sis_id if holder else "",
                    "N" if place else "Y",
                    section.letter,
                    section.semester,
                    section.term,
                    day,
                    period,
                    section.master_id,
                    f"{code}-{section.letter}",
                    expression,
                    str(section.seats),
                    expression,
                )
