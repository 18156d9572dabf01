"""Who works in the synthetic district on a day: teachers, support staff, and those only the HR
system knows.

In: a `Plan`, a school and a day. Out: `Roster`, who holds which post, and who held it before. A
post (slot) lives through people: someone leaves, the post may stand empty for some days, a
successor comes. Each post's story is drawn from the seed and the post alone, so any day can be
asked for without the days before it. Of the people in the student information system about 92 % are
found in HR by teacher id, 3 to 4 % by e-mail only (their teacher id there is blank or the word
"nan"), the rest not at all.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random

from demo.calendar import date_of
from demo.chance import Permutation, pick, stream, wait, whole
from demo.people import gender, given, plain, surname, usual
from demo.schools import Plan, School

_CHANGE = 0.003  # of a post's holder, per day
# the largest prime below a million: employee numbers have six digits, some of them leading zeros
_IDS = 999_983
_GENERATIONS = 8
_SUPPORT = (
    "Education Assistant",
    "Education Assistant",
    "Secretary",
    "Custodian",
    "Youth Worker",
    "Librarian Clerk",
)
_OFFICE = (
    "Bus Driver",
    "Bus Driver",
    "Bus Driver",
    "Payroll Clerk",
    "Maintenance",
    "IT Technician",
    "Superintendent",
)
_PREFIXES = {"M": "Mr.", "F": "Ms.", "X": "Mx.", "U": ""}


@dataclass(frozen=True, slots=True)
class Staffer:
    """One employee. `sis_id` is what the extract shows as Teacher Id, `staff_id` the employee
    number HR knows.
    """

    staff_id: str
    sis_id: str
    user_name: str
    first: str
    last: str
    usual_first: str
    prefix: str
    email: str
    hr_email: str
    position: str
    teaching: bool
    hired_on: date
    left_on: date | None
    also_at: tuple[int, ...]
    in_sis: bool
    in_hr: bool
    case: str = ""  # of a planted employee: which kind, see `cases`

    @property
    def shown_first(self) -> str:
        """The extract shows the name people use; HR the one on the contract."""
        return self.usual_first or self.first

    @property
    def name(self) -> str:
        return f"{self.last}, {self.shown_first}" if self.shown_first else self.last


@dataclass(frozen=True)
class Roster:
    """The staff of one school on a day: the holder of each slot (None: the post is vacant) and
    those who left.
    """

    school: School
    holders: tuple[Staffer | None, ...]
    former: tuple[Staffer, ...]
    events: Counter[str]
    planted: tuple[Staffer, ...] = ()  # see `cases`; they hold no post of the timetable

    def in_sis(self) -> list[Staffer]:
        """Whom the school's extract lists: holders, and leavers the office has not
        taken out yet.
        """
        return [
            person
            for person in (*self.holders, *self.former, *self.planted)
            if person and person.in_sis
        ]

    def in_hr(self) -> list[Staffer]:
        return [
            person
            for person in (*self.holders, *self.former, *self.planted)
            if person and person.in_hr
        ]


def roster(plan: Plan, school: School, day: int) -> Roster:
    """Everyone of one school on a day."""
    holders: list[Staffer | None] = []
    former: list[Staffer] = []
    events: Counter[str] = Counter()
    for slot in range(school.staff):
        holder, gone, happened = _post(plan, school, slot, day)
        holders.append(holder)
        former.extend(gone)
        events.update(happened)
    return Roster(school, tuple(holders), tuple(former), events)


def founder(plan: Plan, school: School, slot: int) -> Staffer:
    """Who holds a post on day 0 (a parent who also teaches is one of these)."""
    return _person(
        plan,
        school,
        slot,
        1,
        date_of(-30)
        - timedelta(days=whole(stream(plan.seed, "hired", school.index, slot), 0, 9000)),
    )


def office(plan: Plan, zone: int, day: int) -> tuple[list[Staffer], Counter[str]]:
    """Employees no school's extract shows: drivers, trades, the board office. About one for twelve
    school staff.
    """
    people, events = [], Counter()
    posts = max(1, round(sum(school.staff for school in plan.zones[zone]) * 0.085))
    for post in range(posts):
        rng = stream(plan.seed, "office", zone, post)
        hired = date_of(-20) - timedelta(days=whole(rng, 0, 8000))
        leaves = wait(rng, _CHANGE)
        left = (
            date_of(leaves)
            if leaves <= day
            else date_of(-whole(rng, 1, 90))
            if rng.random() < 0.04
            else None
        )
        events["staff_left"] += leaves == day
        kind = gender(rng)
        first, last = given(rng, kind), surname(rng)
        # The serial stands past every school post, so it can be nobody else's employee number.
        number = _number(
            plan,
            (plan.slot_ordinal(plan.online, plan.online.staff) + zone * 64 + post) * _GENERATIONS,
        )
        email = (
            f"{plain(first)[:1]}{plain(last) or 'staff'}{number}@example.org"
            if rng.random() < 0.5
            else ""
        )
        people.append(
            Staffer(
                number,
                "",
                "",
                first,
                last,
                "",
                "",
                "",
                email,
                pick(rng, _OFFICE),
                False,
                hired,
                left,
                (),
                False,
                True,
            )
        )
    return people, events


def _post(
    plan: Plan, school: School, slot: int, day: int
) -> tuple[Staffer | None, list[Staffer], Counter[str]]:
    """The story of one post up to a day: its holder, those who left, and what happened on the day
    itself.
    """
    rng = stream(plan.seed, "seat", school.index, slot)
    gone: list[Staffer] = []
    happened: Counter[str] = Counter()
    if rng.random() < 0.05:
        left = date_of(-whole(rng, 3, 70))
        before = _person(plan, school, slot, 0, left - timedelta(days=whole(rng, 200, 4000)))
        gone.append(replace(before, left_on=left, in_sis=rng.random() < 0.2))
    generation, renamed, when = 1, 0, 0
    holder: Staffer | None = founder(plan, school, slot)
    while generation < _GENERATIONS:
        when += wait(rng, _CHANGE)
        leaves, gap, lingers = rng.random() < 0.75, max(0, whole(rng, -3, 3)), rng.random() < 0.4
        if when > day:
            break
        if leaves:
            gone.append(
                replace(
                    holder,
                    left_on=date_of(when),
                    in_sis=holder.in_sis and lingers and day < when + 3,
                )
            )
            happened["staff_left"] += when == day
            generation, renamed, when, holder = generation + 1, 0, when + gap, None
            if when > day or generation == _GENERATIONS:
                break
            holder = _person(plan, school, slot, generation, date_of(when))
            happened["staff_hired"] += when == day
        else:
            renamed += 1
            new_name = surname(
                stream(plan.seed, "new name", school.index, slot, generation, renamed)
            )
            happened["staff_renamed"] += when == day and new_name != holder.last
            holder = replace(holder, last=new_name)
    return holder, gone, happened


def _person(plan: Plan, school: School, slot: int, generation: int, hired: date) -> Staffer:
    rng = stream(plan.seed, "staff", school.index, slot, generation)
    number = _number(plan, plan.slot_ordinal(school, slot) * _GENERATIONS + generation)
    kind = gender(rng)
    first, last = given(rng, kind), surname(rng)
    if rng.random() < 0.004:
        first = ""  # a mononym stands in the surname
    known_as = usual(rng, first, kind) if first and rng.random() < 0.1 else ""
    user_name = f"{plain(known_as or first)[:1]}{plain(last)[:12]}{number}"
    match, blank, shout = rng.random(), rng.random(), rng.random()
    email = f"{user_name}@example.org"
    by_email_only, sis_only = 0.92 <= match < 0.955, match >= 0.955
    return Staffer(
        staff_id=number,
        sis_id=("nan" if blank < 0.35 else "") if by_email_only else number,
        user_name=user_name,
        first=first,
        last=last,
        usual_first=known_as,
        prefix=_PREFIXES[kind],
        email="" if not by_email_only and blank > 0.96 else email,
        hr_email=email.capitalize() if shout < 0.1 else email,
        position=_position(rng, school, slot),
        teaching=slot < school.leaders + school.teachers,
        hired_on=hired,
        left_on=None,
        also_at=_elsewhere(rng, plan, school, slot),
        in_sis=True,
        in_hr=not sis_only,
    )


def _position(rng: Random, school: School, slot: int) -> str:
    roll = rng.random()
    if slot == 0:
        return "Principal"
    if slot < school.leaders:
        return "Vice-Principal"
    if slot < school.leaders + school.teachers:
        return "Teacher" if roll < 0.9 else "Counsellor" if roll < 0.95 else "Teacher-Librarian"
    return pick(rng, _SUPPORT)


def _elsewhere(rng: Random, plan: Plan, school: School, slot: int) -> tuple[int, ...]:
    """Other schools of the zone someone works in too: about one in sixteen, never a principal."""
    roll, first, second = rng.random(), rng.random(), rng.random()
    if slot < school.leaders or roll > 0.065:
        return ()
    others = [other.index for other in plan.zones[school.zone] if other != school]
    chosen = {others[int(first * len(others))]}
    if roll < 0.02:
        chosen.add(others[int(second * len(others))])
    return tuple(sorted(chosen))


def _number(plan: Plan, serial: int) -> str:
    """An employee number nobody else has: six digits, kept as text because some begin
    with zeros.
    """
    return f"{_employee_numbers(plan.seed)(serial):06d}"


def planted_number(plan: Plan, place: int) -> str:
    """The employee number of a planted person: past every post of a school and of the office."""
    return _number(
        plan,
        (plan.slot_ordinal(plan.online, plan.online.staff) + len(plan.zones) * 64 + place)
        * _GENERATIONS,
    )


_PERMUTATIONS: dict[int, Permutation] = {}


def _employee_numbers(seed: int) -> Permutation:
    if seed not in _PERMUTATIONS:
        _PERMUTATIONS[seed] = Permutation.of(_IDS, seed, "employee numbers")
    return _PERMUTATIONS[seed]
