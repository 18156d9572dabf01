"""Families of the synthetic district: children, the grown-ups siblings share, and the home they
share.

In: a `Plan`, a zone and the words that name a family. Out: `Household`, a family as it came to the
district, and `family_on`, the same family after the changes of telephones, contacts and homes up to
a day. Hard cases kept on purpose: mononyms, two children with one name and birthday (made in
`district.py`), parents without e-mail, two parents with one e-mail, separated homes, and parents
who teach at the children's own school.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random

from demo.calendar import END_YEAR, date_of
from demo.chance import count, pick, stream, wait, whole
from demo.people import Address, address, gender, given, phone, plain, surname, usual
from demo.schools import Plan
from demo.staff import founder

_CHANGE = 0.0018  # of a family's contacts or home, per day
_EMPLOYERS = (
    "",
    "",
    "",
    "Interior Mill",
    "Valley Ranch",
    "Health Authority",
    "Highways Yard",
    "Band Office",
    'Café "Le Pin"',
)
_PARENTS = {"M": ("F", "Father", "Mr."), "F": ("M", "Mother", "Ms.")}
_OTHERS = (
    ("GM", "Grandmother", "F"),
    ("GF", "Grandfather", "M"),
    ("AU", "Aunt", "F"),
    ("UN", "Uncle", "M"),
    ("NB", "Neighbour", "X"),
)


@dataclass(frozen=True, slots=True)
class Contact:
    """A grown-up of a family. `guardian` has parental authority; the others are whom to call in an
    emergency.
    """

    first: str
    last: str
    prefix: str
    code: str
    relationship: str
    guardian: bool
    lives_with: bool
    email: str
    home_phone: str
    cell_phone: str
    work_phone: str
    work_extension: str
    employer: str
    home: Address
    authority: (
        str
        # what the office's lines say of parental authority, Y or N each; blank: one line that fits
        # `guardian`
    ) = ""

    @property
    def has_authority(self) -> bool:
        """One "no" is enough."""
        return "N" not in self.authority if self.authority else self.guardian


@dataclass(frozen=True, slots=True)
class Family:
    """What siblings share."""

    home: Address
    phone: str
    contacts: tuple[Contact, ...]
    language: str


@dataclass(frozen=True, slots=True)
class Child:
    """A child as he or she came to the district. `grade` 0 is KF. Usual names are blank where they
    equal the legal.
    """

    first: str
    middle: str
    last: str
    usual_first: str
    usual_last: str
    gender: str
    born: date
    grade: int
    may_call: bool
    email: bool


@dataclass(frozen=True, slots=True)
class Household:
    """A family that came on `day` (0: there from the start), with its children of school age."""

    words: tuple[object, ...]
    family: Family
    children: tuple[Child, ...]
    elementary: int  # index of the school in the plan


def household(plan: Plan, zone: int, *words: object) -> Household:
    """The family that these words name."""
    rng = stream(plan.seed, "family", zone, *words)
    schools = plan.elementary(zone)
    roll, total = rng.random(), sum(school.size for school in schools)
    elementary, seen = schools[-1], 0
    for school in schools:
        seen += school.size
        if roll * total < seen:
            elementary = school
            break
    name = surname(rng)
    home, home_phone = address(rng), phone(rng)
    contacts = _contacts(rng, plan, elementary.index, name, (home, home_phone))
    if contacts[0].last != name and rng.random() < 0.25:
        name = f"{name}-{contacts[0].last}" if len(name) + len(contacts[0].last) < 40 else name
    language = pick(
        rng,
        ("English",) * 9
        + ("Punjabi", "French", "Mandarin", "Tagalog", "Nłeʔkepmxcín", "Ukrainian"),
    )
    family = Family(home, home_phone, contacts, language)
    return Household(words, family, _children(rng, name), elementary.index)


def family_on(plan: Plan, zone: int, house: Household, came: int, day: int) -> tuple[Family, str]:
    """The family on a day, and what changed on that very day: "", "contacts_changed" or
    "address_changed".
    """
    rng = stream(plan.seed, "family events", zone, *house.words)
    family, happened, when = house.family, "", came
    while True:
        when += wait(rng, _CHANGE)
        if when > day:
            return family, happened
        kind = "address_changed" if rng.random() < 0.3 else "contacts_changed"
        draw = stream(plan.seed, "family change", zone, *house.words, when)
        family = (
            _moved(draw, family) if kind == "address_changed" else _contact_changed(draw, family)
        )
        happened = kind if when == day else ""


def _moved(rng: Random, family: Family) -> Family:
    home = address(rng)
    contacts = tuple(
        replace(person, home=home) if person.lives_with else person for person in family.contacts
    )
    return replace(family, home=home, contacts=contacts)


def _contact_changed(rng: Random, family: Family) -> Family:
    """A new cell phone, a new e-mail address, or another person to call in an emergency."""
    contacts = list(family.contacts)
    roll = rng.random()
    if roll < 0.6 or contacts[-1].guardian:
        old = contacts[0].cell_phone
        new = phone(rng)
        contacts[0] = replace(
            contacts[0],
            cell_phone=new if new != old else f"{new[:-2]}{(int(new[-2:]) + 1) % 100:02d}",
        )
    elif roll < 0.8:
        contacts[0] = replace(
            contacts[0], email=f"family{whole(rng, 10_000, 99_999_999)}@example.com"
        )
    else:
        contacts[-1] = _other(rng, family.home)
    return replace(family, contacts=tuple(contacts))


def _contacts(
    rng: Random, plan: Plan, school: int, name: str, place: tuple[Address, str]
) -> tuple[Contact, ...]:
    """Two parents in one home, two in two homes, one parent, or a grandparent with authority; then
    others to call.
    """
    (home, home_phone), shape, teaches = place, rng.random(), rng.random() < 0.012
    first = _parent(
        rng,
        "F" if rng.random() < 0.6 else "M",
        name if rng.random() < 0.7 else surname(rng),
        home,
        home_phone,
    )
    if teaches:
        first = _as_teacher(rng, plan, school, first)
    people = [first]
    if shape < 0.85:
        apart = shape >= 0.7
        other_home = address(rng) if apart else home
        kind = "M" if first.code == "M" and rng.random() < 0.97 else "F"
        other = _parent(
            rng,
            kind,
            name if rng.random() < 0.75 else surname(rng),
            other_home,
            phone(rng) if apart else home_phone,
        )
        other = replace(other, lives_with=not apart)
        if first.email and rng.random() < 0.06:
            other = replace(other, email=first.email)  # one address for the family
        people.append(other)
    elif shape >= 0.97:
        people[0] = replace(first, code="GM", relationship="Grandmother")
    others = whole(rng, 1, 2) if rng.random() < 0.9 else 0
    return (*people, *(_other(rng, home) for _ in range(others)))


def _parent(rng: Random, kind: str, last: str, home: Address, home_phone: str) -> Contact:
    code, relationship, prefix = _PARENTS[kind]
    first = given(rng, kind)
    tag = whole(rng, 1000, 99_999_999)
    email = (
        f"{plain(first) or 'parent'}.{plain(last) or 'home'}.{tag}@example.com"
        if rng.random() < 0.88
        else ""
    )
    employer = pick(rng, _EMPLOYERS)
    return Contact(
        first=first,
        last=last,
        prefix=prefix,
        code=code,
        relationship=relationship,
        guardian=True,
        lives_with=True,
        email=email,
        home_phone=home_phone if rng.random() < 0.75 else "",
        cell_phone=phone(rng) if rng.random() < 0.93 else "",
        work_phone=phone(rng) if employer else "",
        work_extension=str(whole(rng, 1, 899)) if employer and rng.random() < 0.3 else "",
        employer=employer,
        home=home,
    )


def _as_teacher(rng: Random, plan: Plan, school: int, parent: Contact) -> Contact:
    """The parent is a teacher of the children's own school: same name, same e-mail as the staff
    record.
    """
    where = plan.schools[school]
    colleague = founder(plan, where, where.leaders + whole(rng, 0, where.teachers - 1))
    return replace(
        parent,
        first=colleague.shown_first,
        last=colleague.last,
        prefix=colleague.prefix,
        email=colleague.email,
        employer=where.name,
    )


def _other(rng: Random, home: Address) -> Contact:
    code, relationship, kind = pick(rng, _OTHERS)
    return Contact(
        first=given(rng, kind),
        last=surname(rng),
        prefix="",
        code=code,
        relationship=relationship,
        guardian=False,
        lives_with=False,
        email="",
        home_phone=phone(rng) if rng.random() < 0.5 else "",
        cell_phone=phone(rng),
        work_phone="",
        work_extension="",
        employer="",
        home=address(rng) if rng.random() < 0.7 else home,
    )


def _children(rng: Random, name: str) -> tuple[Child, ...]:
    """One to three children, grades some years apart; those too young or too old for school are not
    here.
    """
    roll = rng.random()
    grades = [whole(rng, 0, 12)]
    if roll > 0.5:
        grades.append(grades[0] + pick(rng, (-4, -3, -2, -2, 2, 2, 3, 4)))
    if roll > 0.9:
        grades.append(grades[0] + pick(rng, (-1, 1, 5, -5, 0)))  # 0: twins
    children: list[Child] = []
    for grade in grades:
        child = _child(rng, name, grade)
        if 0 <= grade <= 12:
            if grade == grades[0] and children:
                child = replace(child, born=children[0].born)
            children.append(child)
    return tuple(children)


def _child(rng: Random, name: str, grade: int) -> Child:
    kind = gender(rng)
    first, middle, hard = given(rng, kind), given(rng, kind), rng.random()
    middle = "" if hard < 0.3 else middle if hard < 0.97 else f"{middle} {given(rng, kind)}"
    last = name if rng.random() < 0.93 else surname(rng)
    if rng.random() < 0.003:
        first = middle = ""  # one name only: it stands in the surname
    usual_first = usual_last = ""
    roll = rng.random()
    if roll < 0.065 and first:
        usual_first = usual(rng, first, kind)
    if 0.055 < roll < 0.08:
        usual_last = surname(rng)
        usual_last = usual_last if usual_last != last else ""
    first_day = date(END_YEAR - 6 - grade, 1, 1)
    days = (date(first_day.year + 1, 1, 1) - first_day).days
    return Child(
        first=first,
        middle=middle,
        last=last,
        usual_first=usual_first,
        usual_last=usual_last,
        gender=kind,
        born=first_day + timedelta(days=int(rng.random() * days)),
        grade=grade,
        may_call=rng.random() >= 0.03,
        email=rng.random() < 0.7,
    )


def arrivals(plan: Plan, zone: int, day: int) -> int:
    """How many families come to a zone on a day: about twelve students for ten thousand."""
    rng = stream(plan.seed, "arrivals", zone, day)
    expected = plan.quotas[zone] * 0.0012 / 1.5
    return count(rng, expected)


def admitted(rng: Random, grade: int) -> date:
    """When someone who was here on day 0 was admitted: mostly this September, and a kindergarten
    child not before.
    """
    roll = rng.random()
    if roll < 0.8:
        return date(2026, 9, 8)
    return date_of(-whole(rng, 1, 18)) if roll < 0.9 or grade == 0 else date(2025, 9, 2)
