"""The schools of the synthetic district: how many, how large, their homerooms, courses and
timetable.

In: the number of students and the seed. Out: `Plan` (schools grouped in zones: one secondary and
the elementary schools that feed it; the zone is what is generated at a time) and, per school,
`Timetable`. Nothing here changes from day to day. Elementary schools hold KF to 7 and are planned
for 150 to 450 students, secondary schools 8 to 12 and 500 to 1,200; a demo too small for that has
one of each. One online school has only cross-enrolled students.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from demo.chance import fraction

DISTRICT_NUMBER = "074"
DISTRICT_NAME = "Gold Trail"
# 7474NNN, the mincode without its leading zero; past 999 schools the count runs on to 7475NNN
FIRST_SCHOOL = 7474001
BLOCKS = 8  # four periods in each of two semesters
GRADES = {"elementary": range(8), "secondary": range(8, 13), "online": range(8, 13)}  # 0 is KF

_FIRST = """Sagebrush Cottonwood Bonaparte Cornwall Marble Ponderosa Juniper Elkhorn Coyote Osprey
Heron Cascade Granite
Jasper Copper Silver Amber Willow Aspen Birch Cedar Tamarack Larch Alder Maple Sunflower Balsamroot
Lupine Bluebird
Meadowlark Chinook Steelhead Kokanee Sockeye Rattlesnake Bighorn Antelope Thunder Windy Northern
Southern"""
_SECOND = """Creek Ridge Flats Bend Canyon Lake Crossing Hills Point Bench Springs Meadows Landing
Valley Grove Bluffs
Junction Heights Falls Rapids Basin Gulch Park Trail Fork Ranch Summit Hollow Narrows Prairie
Terrace Bridge Orchard
Glen Island Shore Cove Pass View Gate"""
_UNLIKE = ("Miner's Rest", "Qʼəwal̕ət K̓ʷəm", "École Trois-Rivières", "St. Ann’s Flats")

# What a secondary cohort takes, one group per block; the cohort decides which block. (Ministry
# code, title, department)
_GROUPS = (
    (("MEN--", "English", "ENG"), ("MEFP-", "English First Peoples", "ENG")),
    (("MMA--", "Mathematics", "MATH"), ("MFMP-", "Foundations of Mathematics", "MATH")),
    (("MSC--", "Science", "SCI"), ("MLSC-", "Life Sciences", "SCI")),
    (("MSS--", "Social Studies", "SOC"), ("MGEO-", "Geography", "SOC")),
    (("MPHE-", "Physical and Health Education", "PHE"), ("MFTL-", "Fitness", "PHE")),
    (
        ("MVA--", "Arts: Visual", "ARTS"),
        ("MDR--", 'Drama "Stage & Screen"', "ARTS"),
        ("MCMU-", "Concert Band, Choir", "ARTS"),
    ),
    (("MADF-", "Foods", "ADST"), ("MADW-", "Woodwork", "ADST"), ("MADE-", "Electronics", "ADST")),
    (
        ("MFR--", "Français langue seconde", "LANG"),
        ("MSP--", "Spanish", "LANG"),
        ("XLDCN", "Nłeʔkepmxcín Language", "LANG"),
    ),
)
# One more section per block that students change into and out of: always another course than any
# cohort's.
_FLEX = (
    ("MCLE-", "Career Life Education", "CAREER"),
    ("XLEAD", "Leadership", "CAREER"),
    ("XPEER", "Peer Tutoring", "CAREER"),
    ("MPSY-", "Psychology", "SOC"),
    ("MLAW-", "Law Studies", "SOC"),
    ("MCSC-", "Computer Studies", "ADST"),
    ("MPHO-", "Photography", "ARTS"),
    ("MWPM-", "Workplace Mathematics", "MATH"),
)
_ATTENDANCE = {
    "elementary": (("ATT--AM", "AM"), ("ATT--PM", "PM")),
    "secondary": (("ATT--Daily", "AD"),),
    "online": (),
}
FLEX = 99


def grade_code(grade: int) -> str:
    """KF, 01 … 12: the Ministry's codes."""
    return f"{grade:02d}" if grade else "KF"


@dataclass(frozen=True)
class Course:
    code: str
    title: str
    department: str
    grade: int | None


@dataclass(frozen=True)
class Section:
    """One class. `teachers` are staff slots of the school, the first of them the
    primary teacher.
    """

    course: Course
    letter: str
    master_id: str
    semester: str
    term: str
    period: str
    meetings: tuple[tuple[str, str], ...]  # (day of the rotation, period)
    teachers: tuple[int, ...]
    seats: int

    @property
    def is_attendance(self) -> bool:
        return self.course.code.startswith("ATT-")


@dataclass(frozen=True)
class School:
    """One school as planned. `size` is the number of students it is planned for, not a count of
    today's.
    """

    index: int
    name: str
    kind: str
    zone: int
    size: int

    @property
    def number(self) -> str:
        return str(FIRST_SCHOOL + self.index)

    @property
    def mincode(self) -> str:
        return self.number.zfill(8)

    @property
    def grades(self) -> range:
        return GRADES[self.kind]

    @cached_property
    def homerooms(self) -> int:
        """About 22 students each; none in the online school."""
        return 0 if self.kind == "online" else max(1, round(self.size / 22))

    @cached_property
    def cohorts(self) -> int:
        """Groups of about 26 per secondary grade that take their blocks together."""
        return max(1, round(self.size / len(self.grades) / 26))

    @cached_property
    def teachers(self) -> int:
        needed = (
            self.homerooms + 1 + self.homerooms // 6
            if self.kind == "elementary"
            else len(self.grades) + 1
        )
        return max(needed, round(self.size / 12 * 0.7))

    @cached_property
    def leaders(self) -> int:
        return 2 if self.size > 250 else 1

    @cached_property
    def staff(self) -> int:
        """Slots: leaders, then teachers, then support staff. About one for twelve students."""
        return max(self.leaders + self.teachers + 1, round(self.size / 12))

    def homeroom(self, grade: int, place: float) -> int:
        """Which homeroom a student of a grade is in, from his place in [0, 1) among the grade:
        neighbours in age share rooms, so grades split between rooms as small schools really do.
        """
        return int((self.grades.index(grade) + place) / len(self.grades) * self.homerooms)

    def homeroom_name(self, homeroom: int) -> str:
        if self.kind == "secondary":
            return (
                f"H{homeroom + 1:02d}"
                if self.index % 2
                else f"{8 + homeroom * 5 // self.homerooms}-{homeroom + 1}"
            )
        return (
            f"Div {homeroom + 1}",
            f"{101 + homeroom}",
            f"Rm {chr(65 + homeroom % 26)}{homeroom // 26 + 1}",
        )[self.index % 3]

    def homeroom_teacher(self, homeroom: int) -> int:
        """The staff slot that has the homeroom."""
        return self.leaders + homeroom % self.teachers


class Plan:
    """All schools of a district of a given size. A pure function of (students, seed)."""

    def __init__(self, students: int, seed: int) -> None:
        if not 50 <= students <= 1_000_000:
            raise ValueError(
                f"the demo makes districts of 50 to 1,000,000 students, not {students}"
            )
        self.students, self.seed = students, seed
        zones = max(1, round(students * 5 / 13 / 800))
        weights = [0.88 + 0.24 * fraction(seed, "zone", zone) for zone in range(zones)]
        self.quotas = _shares(students, weights)
        self.schools: list[School] = []
        self.zones: list[tuple[School, ...]] = []
        for zone, quota in enumerate(self.quotas):
            elementary = max(1, round(quota * 8 / 13 / 300))
            weights = [
                0.72 + 0.56 * fraction(seed, "elementary", zone, place)
                for place in range(elementary)
            ]
            sizes = _shares(round(quota * 8 / 13), weights)
            members = [self._add("elementary", zone, size) for size in sizes]
            members.append(self._add("secondary", zone, quota - sum(sizes)))
            self.zones.append(tuple(members))
        self.online = self._add("online", 0, 0)
        self.zones[0] = (*self.zones[0], self.online)
        self._first_slot = []
        total = 0
        for school in self.schools:
            self._first_slot.append(total)
            total += school.staff

    def _add(self, kind: str, zone: int, size: int) -> School:
        index = len(self.schools)
        suffix = {
            "elementary": "Elementary",
            "secondary": "Secondary",
            "online": "Connected Learning",
        }[kind]
        school = School(index, f"{_place_name(index)} {suffix}", kind, zone, size)
        self.schools.append(school)
        return school

    def elementary(self, zone: int) -> tuple[School, ...]:
        return tuple(school for school in self.zones[zone] if school.kind == "elementary")

    def secondary(self, zone: int) -> School:
        return next(
            school for school in self.zones[zone % len(self.zones)] if school.kind == "secondary"
        )

    def slot_ordinal(self, school: School, slot: int) -> int:
        """A number of its own for every staff slot of the district."""
        return self._first_slot[school.index] + slot


class Timetable:
    """Courses and sections of one school."""

    def __init__(self, school: School, seed: int) -> None:
        self.school, self._seed = school, seed
        self._sections: dict[tuple[int, int, int], Section] = {}
        attendance = _ATTENDANCE[school.kind]
        self.attendance = [
            [self._pseudo(homeroom, code, mark) for code, mark in attendance]
            for homeroom in range(school.homerooms)
        ]

    def section(self, grade: int, block: int, cohort: int) -> Section:
        """The class of a cohort (or FLEX) in one of the eight blocks. Refuses grades the school
        does not teach.
        """
        key = (grade, block, cohort)
        found = self._sections.get(key)
        if found is None:
            found = self._sections[key] = self._make(*key)
        return found

    def sections(self) -> Iterator[Section]:
        for homeroom in self.attendance:
            yield from homeroom
        if self.school.kind != "elementary":
            cohorts = [] if self.school.kind == "online" else list(range(self.school.cohorts))
            for grade in self.school.grades:
                for block in range(BLOCKS):
                    for cohort in [*cohorts, FLEX]:
                        yield self.section(grade, block, cohort)

    def courses(self) -> list[Course]:
        """Each course of the school once, in order of code."""
        unique = {section.course.code: section.course for section in self.sections()}
        return [unique[code] for code in sorted(unique)]

    def _make(self, grade: int, block: int, cohort: int) -> Section:
        school = self.school
        place = school.grades.index(grade)
        if cohort == FLEX:
            prefix, title, department = _FLEX[block]
            letter, seat, size = "A", school.cohorts, 24
        else:
            choices = _GROUPS[(block + cohort) % BLOCKS]
            pickable = int(
                fraction(self._seed, "course", school.index, grade, block, cohort)
                * (len(choices) + 1)
            )
            prefix, title, department = choices[max(0, pickable - 1)]
            letter, seat, size = chr(65 + cohort % 26), cohort, 30
        semester, period = block // 4 + 1, block % 4 + 1
        turn = place * (school.cohorts + 1) + seat
        teacher = school.leaders + (turn + 7 * block) % school.teachers
        team = school.leaders + (turn + 7 * block + 1) % school.teachers
        together = fraction(self._seed, "team", school.index, grade, block, cohort) < 0.06
        return Section(
            course=Course(f"{prefix}{grade:02d}", f"{title} {grade}", department, grade),
            letter=letter,
            master_id=f"MST{school.number[2:]}{grade:02d}{block}{cohort:02d}0",
            semester=str(semester),
            term=f"S{semester}",
            period=str(period),
            meetings=(("1", str(period)), ("2", str((period + 1) % 4 + 1))),
            teachers=(teacher, team) if together and team != teacher else (teacher,),
            seats=size,
        )

    def _pseudo(self, homeroom: int, code: str, mark: str) -> Section:
        part = mark if mark != "AD" else "Daily"
        return Section(
            course=Course(code, f"Attendance {part}", "ATT", None),
            letter=str(homeroom + 1),
            master_id=f"MST{self.school.number[2:]}{mark}{homeroom:03d}0",
            semester="FY",
            term="FY",
            period=part,
            meetings=(("1", part), ("2", part)),
            teachers=(self.school.homeroom_teacher(homeroom),),
            seats=35,
        )


def _place_name(index: int) -> str:
    """A name no other school of the demo has: 41 first words times 40 second ones, the first four
    unlike the rest.
    """
    if index < len(_UNLIKE):
        return _UNLIKE[index]
    first, second = _FIRST.split(), _SECOND.split()
    turn, place = divmod(index, len(first))
    if turn >= len(second):
        return f"{first[place]} {second[turn % len(second)]} No. {index}"
    return f"{first[place]} {second[(turn + place) % len(second)]}"


def _shares(total: int, weights: list[float]) -> list[int]:
    """Whole numbers in proportion to the weights whose sum is the total."""
    scale, given, shares = total / sum(weights), 0, []
    running = 0.0
    for weight in weights:
        running += weight * scale
        shares.append(round(running) - given)
        given += shares[-1]
    return shares
