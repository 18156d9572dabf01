"""The people chance may not bring to a small district: a few of each kind the rules know, planted
in every one.

In: a `Day` of the synthetic district. Out: students and employees beside those who were drawn, each
with the `case` by which a test finds them. They are the same people in every district but for their
numbers, live at the first elementary school (one at the first secondary school too), and come on
top of the students that were asked for.

What differs between two days: on day 1 somebody has left, somebody has another name, somebody is no
longer listed. Kinds that need more than extracts have it in `past` (accounts that stood there
before the first night, and what Homeroom itself did last spring) and in `SEED_ROWS` (what people
decided).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from demo.calendar import date_of
from demo.district import ACTIVE, INACTIVE, PREREG, Day, Student
from demo.families import Child, Contact, Family
from demo.people import Address, pen, plain
from demo.schools import Plan
from demo.staff import Staffer, planted_number

_SERIALS = 29_300  # of a zone's thirty thousand numbers, past every founder and every arrival
_HOME = Address("12", "Cottonwood Street", "", "", "", "", "Ashcroft", "V0K1A0")
_BORN = 2021  # minus the grade: the year of birth that fits it

# case: first name, last name, grade
STUDENTS: dict[str, tuple[str, str, int]] = {
    "left_yesterday": ("Odette", "Farewell", 5),
    "left_before_us": ("Bruno", "Longgone", 5),
    "cut_custody": ("Iris", "Partway", 4),
    "contact_twice": ("Levi", "Twofold", 4),
    "not_to_be_called": ("Nils", "Quietly", 3),
    "usual_names": ("Bartholomea", "Lawname", 6),
    "renamed_today": ("Wilhelmina", "Newly", 6),
    "one_name": ("", "Nanook", 2),
    "no_latin_letter": ("李", "王", 2),
    "namesake": ("Robin", "Samebirth", 1),
    "other_namesake": ("Robin", "Samebirth", 1),
    "preregistered": ("Pia", "Comingsoon", 3),
    "cross_enrolled": ("Xaver", "Bothways", 7),
    "vanished_today": ("Vera", "Unlisted", 5),
    "name_of_an_account": ("Theodore", "Chan", 6),
    "name_of_a_guest": ("Gwendolyn", "Visitor", 6),
    "grace_ends_first_night": ("Gesa", "Firstnight", 6),
    "grace_ends_second_night": ("Gero", "Secondnight", 6),
    "grace_goes_on": ("Gitta", "Stillgrace", 6),
    "archived_second_night": ("Arno", "Shelved", 6),
    "archived_long_ago": ("Alma", "Longshelved", 6),
    "came_back": ("Benno", "Returner", 6),
    "held_leaver": ("Hedda", "Lawhold", 6),
    "held_renamed": ("Hanno", "Lawname", 6),
    "school_lost_today": ("Smilla", "Rowspoilt", 5),
    "school_never_said": ("Soren", "Schoolless", 5),
}
# case: first name, last name, usual first name, position; who has no school is known to HR alone
STAFF: dict[str, tuple[str, str, str, str]] = {
    "staff_left_yesterday": ("Linus", "Gladlygone", "", "Teacher"),
    "staff_left_before_us": ("Lotte", "Formerly", "", "Teacher"),
    "staff_archived": ("Anselm", "Oldfile", "", "Teacher"),
    "staff_held": ("Hilma", "Heldback", "", "Teacher"),
    "staff_held_until_tonight": ("Hauke", "Lastheld", "", "Teacher"),
    "staff_held_until_yesterday": ("Hella", "Justfreed", "", "Teacher"),
    "staff_on_leave": ("Lilli", "Awaywell", "", "Teacher"),
    "staff_back_from_leave": ("Lorenz", "Backagain", "", "Teacher"),
    "staff_without_school": ("Otto", "Boardoffice", "", "Secretary-Treasurer"),
    "staff_one_name": ("", "Sedna", "", "Teacher"),
    "staff_usual_name": ("Johannetta", "Contractname", "Hanni", "Principal"),
    "staff_clerk": ("Klara", "Frontdesk", "", "Secretary"),
    "staff_synced": ("Sylvie", "Onpremises", "", "Teacher"),
    "staff_half_synced": ("Severin", "Halfcloud", "", "Teacher"),
    "staff_admin": ("Adele", "Rootwell", "", "Teacher"),
    "staff_renamed_today": ("Marlene", "Maidenly", "", "Teacher"),
    "staff_no_account": ("Volker", "Helpinghand", "", "Volunteer"),
}
SPOILT = (
    "school_lost_today",
    "school_never_said",
)  # their lines say no school; only a lived-in district has them so
_LEFT_IN_JUNE = date(2026, 6, 19)
_WITHDRAWN = {
    "left_before_us": date(2026, 9, 18),
    "grace_ends_first_night": _LEFT_IN_JUNE,
    "grace_ends_second_night": _LEFT_IN_JUNE,
    "grace_goes_on": _LEFT_IN_JUNE,
    "archived_second_night": date(2026, 3, 20),
    "archived_long_ago": date(2025, 5, 2),
    "held_leaver": _LEFT_IN_JUNE,
}
_ENDED = {
    "staff_left_before_us": date(2026, 8, 31),
    "staff_archived": date(2026, 4, 30),
    "staff_held": date(2026, 9, 30),
    "staff_held_until_tonight": date(2026, 9, 30),
    "staff_held_until_yesterday": date(2026, 9, 30),
}
_ABSENT = dict.fromkeys(
    ("left_yesterday", "cut_custody", "not_to_be_called", "usual_names"), "absent"
) | {"one_name": "late", "contact_twice": "excused"}

# what people decided, as rows of `seeds/`: seed -> (case, the other columns after population and
# key)
SEED_ROWS: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "holds": (
        ("held_leaver", ("legal hold", "file 2026-17", "superintendent", "2026-06-01", "")),
        (
            "held_renamed",
            ("do not touch", "file 2026-18", "superintendent", "2026-06-01", "2027-05-31"),
        ),
        ("staff_held", ("legal hold", "file 2026-19", "superintendent", "2026-06-01", "")),
        (
            "staff_held_until_tonight",
            ("legal hold", "file 2026-20", "superintendent", "2026-06-01", "2026-10-06"),
        ),
        (
            "staff_held_until_yesterday",
            ("legal hold", "file 2026-21", "superintendent", "2026-06-01", "2026-10-05"),
        ),
    ),
    "leaves": (
        ("staff_on_leave", ("2026-09-08", "2026-10-06", "parental leave")),
        ("staff_back_from_leave", ("2026-09-08", "2026-10-05", "study leave")),
    ),
}
NO_ACCOUNT = ("staff", "position", "Volunteer", "volunteers")  # a row of seeds/no_account.csv


def students(today: Day) -> list[Student]:
    """The planted students of the first zone on a day."""
    return [_student(today, case, place) for place, case in enumerate(STUDENTS)]


def staff(today: Day, *, of_school: bool) -> list[Staffer]:
    """The planted employees of the first school, or those no school lists."""
    people = (_staffer(today, case, place) for place, case in enumerate(STAFF))
    return [person for person in people if (person.case != "staff_without_school") == of_school]


def happened(today: Day) -> dict[str, list[str]]:
    """What happens to planted students on day 1: kind -> student numbers."""
    if today.day != 1:
        return {}
    numbers = {student.case: student.number for student in students(today)}
    return {
        "withdrawn": [numbers["left_yesterday"]],
        "usual_name_changed": [numbers["renamed_today"]],
        "vanished": [numbers["vanished_today"]],
    }


def seed_rows(students_asked: int, seed: int) -> dict[str, list[tuple[str, ...]]]:
    """The rows a district with these people would have in its seeds, whole."""
    from demo.district import District

    today = District(students_asked, seed).on(0)
    keys = {one.case: ("student", one.number) for one in students(today)}
    keys |= {
        one.case: ("staff", f"E{one.staff_id}")
        for which in (True, False)
        for one in staff(today, of_school=which)
    }
    rows = {
        name: [(*keys[case], *rest) for case, rest in those] for name, those in SEED_ROWS.items()
    }
    return rows | {"no_account": [NO_ACCOUNT]}


def _student(today: Day, case: str, place: int) -> Student:
    first, last, grade = STUDENTS[case]
    later = today.day > 0
    twins = "namesake" if case == "other_namesake" else case
    child = Child(
        first=first,
        middle="",
        last=last,
        usual_first="",
        usual_last="",
        gender="X",
        born=date(_BORN - grade, 3, 1) + timedelta(days=list(STUDENTS).index(twins)),
        grade=grade,
        may_call=True,
        email=False,
    )
    numbers, ordinal = today.district, _SERIALS + place
    plan = today.plan
    one = Student(
        number=f"{numbers.numbers(ordinal):07d}",
        pen=pen(numbers.pens(ordinal)),
        child=child,
        family=_family(case, last, place),
        school=plan.elementary(0)[0],
        grade=grade,
        place=0.5,
        cohort=0.25,
        flexible=frozenset(),
        usual_first="",
        usual_last="",
        status=ACTIVE,
        admitted_on=date(2025, 9, 2),
        withdrawn_on=None,
        may_call=True,
        second=None,
        second_status="",
        present=True,
        case=case,
        absent=_ABSENT.get(case, ""),
    )
    more: dict[str, Any] = {}
    match case:
        case "left_yesterday" if later:
            more = {"status": INACTIVE, "withdrawn_on": date_of(0)}
        case "not_to_be_called":
            more = {"may_call": False}
        case "usual_names":
            more = {"usual_first": "Bea", "usual_last": "Everyday"}
        case "held_renamed":
            more = {"usual_first": "Hanni"}
        case "renamed_today" if later:
            more = {"usual_first": "Mina"}
        case "preregistered":
            more = {"status": PREREG, "admitted_on": date(2026, 10, 20)}
        case "cross_enrolled":
            more = {"second": plan.secondary(0), "second_status": ACTIVE}
        case "vanished_today" if later:
            more = {"present": False}
    if case in _WITHDRAWN:
        more = {"status": INACTIVE, "withdrawn_on": _WITHDRAWN[case]}
    return replace(one, **more)


def _family(case: str, last: str, place: int) -> Family:
    """A mother with every right; in two families others of whom the office says otherwise."""
    mother = _contact(("Ms.", "M", "Mother"), "Petra", last, place)
    others: tuple[Contact, ...] = ()
    if case == "cut_custody":
        others = (
            replace(
                _contact(("Mr.", "F", "Father"), "Kuno", last, place + 40),
                lives_with=False,
                authority="N",
            ),
        )
    elif case == "contact_twice":
        others = (
            replace(_contact(("Mr.", "F", "Father"), "Jost", last, place + 40), authority="YN"),
            replace(
                _contact(("Ms.", "SM", "Stepmother"), "Ilka", last, place + 60), authority="NY"
            ),
        )
    return Family(_HOME, f"77855501{place:02d}", (mother, *others), "English")


def _contact(of: tuple[str, str, str], first: str, last: str, place: int) -> Contact:
    prefix, code, relationship = of
    return Contact(
        first=first,
        last=last,
        prefix=prefix,
        code=code,
        relationship=relationship,
        guardian=True,
        lives_with=True,
        email=f"{plain(first)}.{plain(last) or 'home'}{place}@example.com",
        home_phone=f"23655501{place:02d}",
        cell_phone=f"25055501{place:02d}",
        work_phone="",
        work_extension="",
        employer="",
        home=_HOME,
    )


def _staffer(today: Day, case: str, place: int) -> Staffer:
    first, last, usual, position = STAFF[case]
    number, known_by = planted_number(today.plan, place), last
    if case == "staff_renamed_today" and today.day > 0:
        last = "Nowmarried"
    ended = date_of(0) if case == "staff_left_yesterday" and today.day > 0 else _ENDED.get(case)
    email = f"{plain(usual or first)[:1]}{plain(known_by)}{number}@example.org"
    return Staffer(
        staff_id=number,
        sis_id=number,
        user_name=email.partition("@")[0],
        first=first,
        last=last,
        usual_first=usual,
        prefix="Mx.",
        email=email,
        hr_email=email,
        position=position,
        teaching=position == "Teacher",
        hired_on=date(2019, 9, 3),
        left_on=ended,
        also_at=(),
        in_sis=case != "staff_without_school" and case not in _ENDED,
        in_hr=True,
        case=case,
    )


def school_of_staff(plan: Plan) -> int:
    """The index of the school that lists the planted employees."""
    return plan.elementary(0)[0].index
