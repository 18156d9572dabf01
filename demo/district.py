"""The synthetic district on a day: `District(students, seed).on(day)`.

In: how many students, a seed and a day. Out: `Day`, whose zones are made one at a time (so 600,000
students never stand in memory together), with every student's state and what happened to whom on
that day.

Day N is a pure function of (students, seed, N). Each student has a story of his or her own, drawn
from the seed and the student alone: how many days until the next event, and which. Telling the
story up to day N gives the state; a student without an event between two days has the same state on
both. About one student in a hundred meets an event on a day: an admission or a withdrawal, a move,
a new usual name, grade, homeroom or class, new contacts or home.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from random import Random

from demo.absences import Absence, absence
from demo.calendar import GRADUATION, LAST_DAY, NEXT_YEAR, date_of, is_summer
from demo.chance import Permutation, fraction, pick, stream, wait, whole
from demo.families import Child, Family, Household, admitted, arrivals, family_on, household
from demo.people import given, pen, usual
from demo.schools import BLOCKS, FLEX, Plan, School, Section, Timetable
from demo.staff import Roster, Staffer, office, roster

__all__ = ["Day", "District", "Student", "Summary", "Zone", "date_of"]

_NUMBERS = 9_999_991  # the largest prime below ten million: student numbers have seven digits
_ZONE_BLOCK, _FOUNDERS, _PER_DAY = 30_000, 10_000, 48
_RATE = 0.0076  # events of a student per day; families' and arrivals come on top
_KINDS = (  # share of a student's events
    ("homeroom_changed", 0.10),
    ("section_changed", 0.37),
    ("usual_name_changed", 0.18),
    ("school_changed", 0.14),
    ("withdrawn", 0.12),
    ("grade_changed", 0.05),
    ("call_permission_changed", 0.03),
    ("vanished", 0.01),
)
ACTIVE, PREREG, NO_PRIMARY, INACTIVE = "Active", "PreReg", "Active No Primary", "Inactive"


@dataclass(frozen=True, slots=True)
class Student:
    """One student on one day. Usual names are blank where they equal the legal ones; `place`
    decides the homeroom.
    """

    number: str
    pen: str
    child: Child
    family: Family
    school: School
    grade: int
    place: float
    cohort: float
    flexible: frozenset[int]  # blocks taken in the class that students change into
    usual_first: str
    usual_last: str
    status: str
    admitted_on: date | None
    withdrawn_on: date | None
    may_call: bool
    second: School | None
    second_status: str
    present: bool  # False: the extract stopped listing the student without saying why
    case: str = ""  # of a planted student: which kind, see `cases`
    absent: str = ""  # of a planted student: marked "absent", "late" or "excused" on every day

    @property
    def attends(self) -> bool:
        return self.present and self.status in {ACTIVE, NO_PRIMARY}

    @property
    def homeroom(self) -> int | None:
        """The homeroom's index in the school; none for whom no school is home."""
        return self.school.homeroom(self.grade, self.place) if self.school.homerooms else None


@dataclass(frozen=True)
class Zone:
    """The students of one zone on a day, in a fixed order, and what happened on that day: kind ->
    student numbers.
    """

    number: int
    students: tuple[Student, ...]
    happened: dict[str, list[str]]


@dataclass(frozen=True)
class Summary:
    """What a day's extracts hold, in counts. `schools`: active students by the school that is their
    home.
    """

    day: int
    date: date
    students: Counter[str] = field(default_factory=Counter)  # by enrolment status, one person once
    schools: Counter[str] = field(default_factory=Counter)
    staff: int = 0
    events: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)  # by file

    @property
    def active(self) -> int:
        return self.students[ACTIVE]


class District:
    """A district of so many active students on day 0."""

    def __init__(self, students: int = 5_000, seed: int = 1) -> None:
        self.plan, self.seed = Plan(students, seed), seed
        self.numbers = Permutation.of(_NUMBERS, seed, "student numbers")
        self.pens = Permutation.of(_NUMBERS, seed, "education numbers")

    def on(self, day: int) -> Day:
        if not 0 <= day <= LAST_DAY:
            raise ValueError(
                f"the demo district lives from day 0 to day {LAST_DAY}, not on day {day}"
            )
        return Day(self, day)


class Day:
    """One day of a district. Schools' staff and timetables are made when asked for and some of them
    kept.
    """

    def __init__(self, district: District, day: int) -> None:
        self.district, self.day, self.date = district, day, date_of(day)
        self.plan, self.seed = district.plan, district.seed
        self.roster = lru_cache(maxsize=16)(self._roster)
        self.timetable = lru_cache(maxsize=16)(self._timetable)

    def zones(self) -> Iterator[Zone]:
        """Every zone in turn; hold one at a time where the district is large."""
        for zone in range(len(self.plan.zones)):
            yield self.zone(zone)

    def zone(self, number: int) -> Zone:
        telling = _Telling(self, number)
        drawn = tuple(telling.students())
        if number:
            return Zone(number, drawn, telling.happened)
        from demo import cases  # it makes students of this module

        for kind, numbers in cases.happened(self).items():
            telling.happened.setdefault(kind, []).extend(numbers)
        return Zone(
            number,
            (*drawn, *(one for one in cases.students(self) if one.present)),
            telling.happened,
        )

    def office(self, zone: int) -> list[Staffer]:
        from demo import cases

        return [
            *office(self.plan, zone, self.day)[0],
            *(() if zone else cases.staff(self, of_school=False)),
        ]

    def staff_events(self, zone: int) -> Counter[str]:
        """What happened to the zone's employees on this day."""
        return sum(
            (self.roster(school).events for school in self.plan.zones[zone]),
            office(self.plan, zone, self.day)[1],
        )

    def sections_of(self, student: Student) -> Iterator[tuple[School, Section]]:
        """What a student's schedule shows: attendance, classes, and the class at a
        second school.
        """
        if not student.attends or is_summer(self.date):
            return
        school, timetable = student.school, self.timetable(student.school)
        if student.homeroom is not None:
            for section in timetable.attendance[student.homeroom]:
                yield school, section
        if school.kind != "elementary":
            cohort = int(student.cohort * school.cohorts)
            for block in range(BLOCKS) if school.kind == "secondary" else range(1):
                taken = FLEX if block in student.flexible or school.kind == "online" else cohort
                yield school, timetable.section(student.grade, block, taken)
        if (
            student.second
            and student.grade in student.second.grades
            and student.second.kind != "elementary"
        ):
            block = int(student.cohort * BLOCKS)
            yield student.second, self.timetable(student.second).section(student.grade, block, FLEX)

    def missed(self, student: Student, day: int) -> Absence | None:
        """What a student missed on a day, as known on this one."""
        if student.absent and day == self.day:
            late, excused = student.absent == "late", student.absent == "excused"
            return Absence(
                ("AM",) if late else ("AM", "PM"),
                late=late,
                authorised=excused,
                reason="ILL" if excused else "",
            )
        return absence(
            self.seed, student.number, day, self.day, secondary=student.school.kind == "secondary"
        )

    def _roster(self, school: School) -> Roster:
        from demo import cases

        drawn = roster(self.plan, school, self.day)
        return (
            replace(drawn, planted=tuple(cases.staff(self, of_school=True)))
            if school.index == cases.school_of_staff(self.plan)
            else drawn
        )

    def _timetable(self, school: School) -> Timetable:
        return Timetable(school, self.seed)


class _Telling:
    """Tells the stories of one zone's students up to a day."""

    def __init__(self, day: Day, zone: int) -> None:
        self.day, self.zone, self.plan, self.seed = day, zone, day.plan, day.seed
        self.happened: dict[str, list[str]] = {}
        self._seats: Counter[tuple[int, int]] = Counter()
        self._namesakes: dict[int, Child] = {}
        self._last = day.day

    def students(self) -> Iterator[Student]:
        """Founders until the zone's share of active students is reached, then whoever came, day by
        day.
        """
        quota, active, serial, number = self.plan.quotas[self.zone], 0, 0, 0
        while active < quota:
            house = household(self.plan, self.zone, "home", number)
            number += 1
            family = None
            for child in house.children:
                if active == quota:
                    break
                start = self._founder(house, self._namesake(child), serial)
                serial += 1
                active += start.status == ACTIVE
                family = family or self._family(house, 0)
                yield from self._told(start, family, 0)
        for came in range(1, self._last + 1):
            place = 0
            for turn in range(arrivals(self.plan, self.zone, came)):
                house = household(self.plan, self.zone, "came", came, turn)
                family = self._family(house, came)
                for child in house.children:
                    start = self._newcomer(house, child, came, _FOUNDERS + came * _PER_DAY + place)
                    place = (place + 1) % _PER_DAY
                    yield from self._told(start, family, came)

    def _family(self, house: Household, came: int) -> tuple[Family, str]:
        return family_on(self.plan, self.zone, house, came, self._last)

    def _namesake(self, child: Child) -> Child:
        """One child in five hundred has the name and the birthday of another, unrelated child."""
        other = self._namesakes.get(child.grade)
        if child.usual_first or child.usual_last or not child.first:
            return child
        if (
            other
            and fraction(self.seed, "namesake", self.zone, child.first, child.last, child.born)
            < 0.002
        ):
            return replace(
                child, first=other.first, last=other.last, gender=other.gender, born=other.born
            )
        self._namesakes[child.grade] = child
        return child

    def _founder(self, house: Household, child: Child, serial: int) -> Student:
        rng = stream(self.seed, "student", self.zone, serial)
        status, admitted_on, withdrawn_on = ACTIVE, admitted(rng, child.grade), None
        roll = rng.random()
        if roll < 0.012:
            status, admitted_on = (
                PREREG,
                (date_of(whole(rng, 1, 40)) if rng.random() < 0.6 else date(2027, 9, 7)),
            )
        elif roll < 0.042:
            status, withdrawn_on = INACTIVE, date_of(-whole(rng, 1, 70 if child.grade else 17))
            admitted_on = date(2025, 9, 2) if child.grade else date(2026, 9, 8)
        elif roll < 0.058 and child.grade:
            withdrawn_on = (
                date(2026, 6, 25) if rng.random() < 0.5 else date_of(-whole(rng, 80, 300))
            )  # left, came back
        student = self._seated(house, child, serial, status, (admitted_on, withdrawn_on))
        if status == ACTIVE and rng.random() < 0.015:
            student = replace(
                student,
                second=self._second(rng, student),
                second_status=ACTIVE if rng.random() < 0.65 else NO_PRIMARY,
            )
        elif status == INACTIVE and student.grade >= 8 and rng.random() < 0.15:
            student = replace(
                student, school=self.plan.online, status=NO_PRIMARY, withdrawn_on=None
            )
        return student

    def _newcomer(self, house: Household, child: Child, came: int, serial: int) -> Student:
        if came == self._last:
            self._note("admitted", serial)
        return self._seated(house, child, serial, ACTIVE, (date_of(came), None))

    def _seated(
        self,
        house: Household,
        child: Child,
        serial: int,
        status: str,
        dates: tuple[date | None, date | None],
    ) -> Student:
        """Gives the next seat of the grade: multiples of the golden ratio spread evenly over the
        homerooms.
        """
        elementary = child.grade < 8
        school = (
            self.plan.schools[house.elementary] if elementary else self.plan.secondary(self.zone)
        )
        self._seats[school.index, child.grade] += 1
        place = self._seats[school.index, child.grade] * 0.6180339887498949 % 1.0
        numbers, ordinal = self.day.district, self.zone * _ZONE_BLOCK + serial
        own = fraction(self.seed, "own", ordinal)
        flexible = (
            ()
            if elementary
            else (block for block in range(BLOCKS) if own * (block + 3) * 7 % 1.0 < 0.08)
        )
        return Student(
            number=f"{numbers.numbers(ordinal):07d}",
            pen=pen(numbers.pens(ordinal)) if own > 0.02 else "",
            child=child,
            family=house.family,
            school=school,
            grade=child.grade,
            place=place,
            cohort=self._seats[school.index, child.grade] * 0.7548776662466927 % 1.0,
            flexible=frozenset(flexible),
            usual_first=child.usual_first,
            usual_last=child.usual_last,
            status=status,
            admitted_on=dates[0],
            withdrawn_on=dates[1],
            may_call=child.may_call,
            second=None,
            second_status="",
            present=True,
        )

    def _second(self, rng: Random, student: Student) -> School:
        """Where someone is cross-enrolled: online, or at the secondary school of the next zone."""
        other = self.plan.secondary(self.zone + 1)
        return (
            other
            if student.grade >= 8 and other != student.school and rng.random() < 0.5
            else self.plan.online
        )

    def _told(self, student: Student, family: tuple[Family, str], came: int) -> Iterator[Student]:
        """The student after every event up to the day; nothing once the extract stopped listing him
        or her.
        """
        student = replace(student, family=family[0]) if family[0] is not student.family else student
        rng, when = stream(self.seed, "story", student.number), came
        starts = student.admitted_on if student.status == PREREG else None
        if starts and starts <= self.day.date:
            student = replace(student, status=ACTIVE)
            if starts == self.day.date:
                self._note("preregistered_started", student.number)
        while True:
            when += wait(rng, _RATE)
            kind, draw = _kind(rng.random()), rng.random()
            if when > self._last:
                break
            if (
                not student.present
                or student.status == PREREG
                or (starts and date_of(when) <= starts)
            ):
                continue
            student, kind = self._after(student, kind, draw, when)
            if kind and when == self._last:
                self._note(kind, student.number)
        if student.present:
            if family[1] and student.status != INACTIVE:
                self._note(family[1], student.number)
            yield self._in_season(student)

    def _in_season(self, student: Student) -> Student:
        """After June grade 12 has graduated; from the first day of the next year on everybody else
        is a grade further.
        """
        if (
            self.day.date <= GRADUATION
            or student.status not in {ACTIVE, NO_PRIMARY}
            or (student.admitted_on and student.admitted_on >= NEXT_YEAR)
        ):
            return student
        if student.grade == 12:
            return replace(student, status=INACTIVE, withdrawn_on=GRADUATION)
        if self.day.date < NEXT_YEAR:
            return student
        school = (
            self.plan.secondary(self.zone)
            if student.school.kind == "elementary" and student.grade == 7
            else student.school
        )
        return replace(student, grade=student.grade + 1, school=school, second=None)

    def _after(self, student: Student, kind: str, draw: float, when: int) -> tuple[Student, str]:
        """One event. Returns the student and what the event turned out to be: "" if nothing could
        change.
        """
        rng = stream(self.seed, "event", student.number, when)
        if student.status in {INACTIVE, NO_PRIMARY}:
            if (
                student.status == INACTIVE and draw < 0.5
            ):  # came back; the old withdraw date stays, as it does in the field
                return replace(student, status=ACTIVE, admitted_on=date_of(when)), "returned"
            return student, ""
        if kind == "withdrawn":
            return replace(student, status=INACTIVE, withdrawn_on=date_of(when)), kind
        if kind == "vanished":
            return replace(student, present=False), kind
        if kind == "call_permission_changed":
            return replace(student, may_call=not student.may_call), kind
        if kind == "usual_name_changed":
            return self._renamed(rng, student), kind
        if kind == "school_changed" and (school := self._other_school(rng, student)):
            second = student.second if student.second != school else None
            return (
                replace(
                    student,
                    school=school,
                    place=draw,
                    cohort=rng.random(),
                    admitted_on=date_of(when),
                    second=second,
                ),
                kind,
            )
        if kind == "grade_changed":
            grades = student.school.grades
            near = [
                grade
                for grade in (student.grade - 1, student.grade + 1)
                if grade in grades and abs(grade - student.child.grade) < 2
            ]
            return replace(student, grade=pick(rng, near)), kind
        if kind == "section_changed" and student.school.kind == "secondary":
            return replace(student, flexible=student.flexible ^ {whole(rng, 0, BLOCKS - 1)}), kind
        return self._other_homeroom(rng, student)

    def _renamed(self, rng: Random, student: Student) -> Student:
        """Another usual first name; now and then back to the legal one."""
        child = student.child
        if student.usual_first and rng.random() < 0.5:
            return replace(student, usual_first="")
        new = usual(rng, child.first, child.gender) if child.first else given(rng, child.gender)
        return replace(student, usual_first=new if new != student.usual_first else f"{new}-Lee")

    def _other_school(self, rng: Random, student: Student) -> School | None:
        """Another school of the same kind: in the zone if there is one, else in the next zone."""
        if student.school.kind == "secondary":
            choices = [self.plan.secondary(self.zone), self.plan.secondary(self.zone + 1)]
        else:
            choices = list(self.plan.elementary(self.zone))
        choices = [school for school in choices if school != student.school]
        return pick(rng, choices) if choices else None

    def _other_homeroom(self, rng: Random, student: Student) -> tuple[Student, str]:
        for _ in range(12):
            place = rng.random()
            if student.school.homeroom(student.grade, place) != student.homeroom:
                return replace(student, place=place), "homeroom_changed"
        return replace(student, may_call=not student.may_call), "call_permission_changed"

    def _note(self, kind: str, who: str | int) -> None:
        if isinstance(who, int):
            who = f"{self.day.district.numbers(self.zone * _ZONE_BLOCK + who):07d}"
        self.happened.setdefault(kind, []).append(who)


def _kind(roll: float) -> str:
    for kind, share in _KINDS:
        roll -= share
        if roll < 0:
            return kind
    return _KINDS[0][0]
