"""What ships on the shelf: who belongs in each of its files, worked out beside the models from the
people of `listed_kit`.

`MODELS` is the order in which they are made, `ANSWERS` the same as in test_listed: export -> the
answer and the columns it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from listed_kit import IN_GROUPS, SCHOOLS, District, Student, Worker

from reverse_etl import exports

Rows = list[tuple[Any, ...]]
ROSTERS = ("students", "staff", "places", "classes", "schools", "members")
ONEROSTER = ("manifest", "orgs", "academic_sessions", "courses", "classes", "users", "enrolments")
FAMILIES = ("barred_ways", "family_contacts", "family_telephones")  # made before any of these
MODELS = (
    "academic_sessions",
    *(f"rostered_{name}" for name in ROSTERS),
    *(f"exp_oneroster11__{entity}" for entity in ONEROSTER),
    *(f"exp_oneroster12__{entity}" for entity in (*ONEROSTER, "roles")),
)


def models_of(target: str) -> list[str]:
    """Everything a target of the shelf is made of, in order."""
    ours = [one for one in MODELS if not one.startswith("exp_") or f"exp_{target}__" in one]
    return [*FAMILIES, *ours]


# --- people ---------------------------------------------------------------------------------------


def with_account(of: District) -> list[Student]:
    """Students whose account is open and stands in groups, at a school."""
    return [
        one
        for one in of.students
        if one.school and one.account.minted and one.account.state in IN_GROUPS
    ]


def enrolled(of: District) -> list[Student]:
    """Students the record says are active, at a school, whatever account they have."""
    return [one for one in of.students if one.school and one.status == "active"]


def on_staff(of: District) -> list[Worker]:
    return [
        one
        for one in of.workers
        if one.school and one.account.minted and one.account.state in IN_GROUPS
    ]


def role(one: Worker) -> str:
    leads = (one.position or "").lower() in ("principal", "vice-principal")
    return "administrator" if leads else "teacher" if one.teaches else "staff"


def number(one: Worker) -> str:
    return one.id or one.account.person


def places(one: Student | Worker) -> list[str]:
    other = one.other_school
    if isinstance(one, Student) and one.status != "active":
        other = None
    return sorted({one.school or "", other or one.school or ""})


def classes(of: District) -> dict[str, tuple[str, str]]:
    """Classes somebody with an account attends: school and kind."""
    attended = {key for one in with_account(of) for key in one.sections}
    return {key: of.sections[key] for key in of.sections if key in attended}


def learners(of: District) -> Iterator[tuple[str, Student]]:
    return ((key, one) for one in with_account(of) for key in one.sections)


def teachers(of: District) -> Iterator[tuple[str, Worker, bool]]:
    """Class, who teaches it, and whether they are the one primary teacher: whom the timetable
    names (the first worker of the kit's tables), else the first by key.
    """
    for key in classes(of):
        having = [one for one in on_staff(of) if key in one.sections]
        having.sort(key=lambda one: (one is not of.workers[0], one.account.person))
        yield from ((key, one, place == 0) for place, one in enumerate(having))


def school_numbers(of: District) -> set[str]:
    """Every school somebody belongs to or somebody describes."""
    return {
        *list(SCHOOLS)[:-1],
        *(one.school for one in enrolled(of) if one.school),
        *(school for one in (*with_account(of), *on_staff(of)) for school in places(one)),
        *(school for school, _ in classes(of).values()),
    }


# --- OneRoster ------------------------------------------------------------------------------------


def oneroster_people(of: District) -> list[Student | Worker]:
    return [*with_account(of), *(one for one in on_staff(of) if role(one) != "staff")]


def oneroster_users(of: District) -> Rows:
    return [
        (
            one.account.person,
            "true",
            ",".join(places(one)),
            "student" if isinstance(one, Student) else role(one),
            one.account.address("google"),
            (one.usual if isinstance(one, Student) else one.name)[0] or "-",
            (one.usual if isinstance(one, Student) else one.name)[1],
            one.number if isinstance(one, Student) else one.id,
            cedar(one.grade) if isinstance(one, Student) else None,
        )
        for one in oneroster_people(of)
    ]


def cedar(grade: str | None) -> str:
    return {"KF": "KG", "05": "05", "12": "12"}.get(grade or "", "UG")


def oneroster12_users(of: District) -> Rows:
    return [
        (
            one.account.person,
            *((name[0] or "-", name[1]) if (name := legal(one)) else ()),
            (one.usual if isinstance(one, Student) else one.name)[0] or "-",
            one.school,
        )
        for one in oneroster_people(of)
    ]


def legal(one: Student | Worker) -> tuple[str | None, str]:
    return one.legal if isinstance(one, Student) else one.name


def oneroster_roles(of: District) -> Rows:
    words = {"administrator": "siteAdministrator"}
    return [
        (
            f"{one.account.person}-{school}",
            "primary" if school == one.school else "secondary",
            words.get(role(one), role(one)) if isinstance(one, Worker) else "student",
            school,
        )
        for one in oneroster_people(of)
        for school in places(one)
    ]


def oneroster_enrolments(of: District) -> Rows:
    return [
        (key, one.account.person, "student", None, of.sections[key][0]) for key, one in learners(of)
    ] + [
        (key, one.account.person, "teacher", str(primary).lower(), of.sections[key][0])
        for key, one, primary in teachers(of)
        if role(one) != "staff"
    ]


def oneroster_classes(of: District) -> Rows:
    return [
        (
            key,
            f"Title {key}" + (" (A)" if kind == "class" else ""),
            f"{school}_" + ("HOMEROOM" if kind == "homeroom" else f"C{key}"),
            "homeroom" if kind == "homeroom" else "scheduled",
            school,
            "2027-year",
        )
        for key, (school, kind) in classes(of).items()
    ]


def oneroster_courses(of: District) -> Rows:
    return list(
        {
            (f"{school}_HOMEROOM", "Homeroom", school)
            if kind == "homeroom"
            else (f"{school}_C{key}", f"Title {key}", school)
            for key, (school, kind) in classes(of).items()
        }
    )


def oneroster_orgs(of: District) -> Rows:
    return [("074", "district", None)] + [
        (school, "school", "074") for school in school_numbers(of)
    ]


def manifest(version: str) -> Rows:
    sent = {"academicSessions", "classes", "courses", "enrollments", "orgs", "users"}
    known = sent | {"categories", "classResources", "courseResources", "demographics"}
    known |= {"lineItems", "resources", "results"}
    if version == "1.2":
        sent |= {"roles"}
        known |= {"roles", "userProfiles", "userResources", "scoreScales"}
        known |= {f"{of}{what}" for of in ("lineItem", "result") for what in _ABOUT}
    return [
        ("manifest.version", "1.0"),
        ("oneroster.version", version),
        *((f"file.{name}", "bulk" if name in sent else "absent") for name in known),
        ("source.systemName", "Homeroom"),
        ("source.systemCode", "homeroom"),
    ]


_ABOUT = ("LearningObjectiveIds", "ScoreScales")

ANSWERS: dict[str, tuple[Callable[[District], Rows], str]] = {
    **{
        f"exp_oneroster{version}__{entity}": answer
        for version in ("11", "12")
        for entity, answer in {
            "orgs": (oneroster_orgs, "sourced_id type parent_sourced_id"),
            "academic_sessions": (
                lambda _: [("2027-year",), ("2027-1",), ("2027-2",)],
                "sourced_id",
            ),
            "courses": (oneroster_courses, "sourced_id title org_sourced_id"),
            "classes": (
                oneroster_classes,
                "sourced_id title course_sourced_id class_type school_sourced_id term_sourced_ids",
            ),
            "enrolments": (
                oneroster_enrolments,
                "class_sourced_id user_sourced_id role is_primary school_sourced_id",
            ),
        }.items()
    },
    "exp_oneroster11__users": (
        oneroster_users,
        "sourced_id enabled_user org_sourced_ids role username given_name family_name identifier"
        " grades",
    ),
    "exp_oneroster12__users": (
        oneroster12_users,
        "sourced_id given_name family_name preferred_given_name primary_org_sourced_id",
    ),
    "exp_oneroster12__roles": (oneroster_roles, "sourced_id role_type role org_sourced_id"),
    "exp_oneroster11__manifest": (lambda _: manifest("1.1"), "property_name property_value"),
    "exp_oneroster12__manifest": (lambda _: manifest("1.2"), "property_name property_value"),
}
# the column of a file in which a pupil number stands
CHILDREN = {"exp_oneroster11__users": "identifier", "exp_oneroster12__users": "identifier"}


# --- bytes ----------------------------------------------------------------------------------------

# What stands in a column of that name in the two rows of every expected file, with what hurts:
# apostrophes of three kinds, commas, quotes, letters of Indigenous orthographies, nothing at all.
# What is not named here is empty.
SAMPLE: dict[str, tuple[str | None, str | None]] = {
    "sourced_id": ("p000000000000001", "p000000000000002"),
    "property_name": ("manifest.version", "file.users"),
    "property_value": ("1.0", "bulk"),
    "name": ("Nk’maplqs Elementary", 'École "Trois-Rivières", K-7'),
    "type": ("school", "district"),
    "identifier": ("9000001", "E100"),
    "parent_sourced_id": (None, "074"),
    "title": ("Math 8, Łukasik (A)", 'The "Big" Band'),
    "start_date": ("2026-09-01", "2027-02-01"),
    "end_date": ("2027-01-31", "2027-06-30"),
    "school_year": ("2027", "2027"),
    "school_year_sourced_id": ("2027-year", None),
    "course_code": ("MMA--08", "HOMEROOM"),
    "grades": ("08", None),
    "org_sourced_id": ("07474001", "07474002"),
    "course_sourced_id": ("07474001_MMA--08", "07474002_HOMEROOM"),
    "class_code": ("A", "Div 2"),
    "class_type": ("scheduled", "homeroom"),
    "school_sourced_id": ("07474001", "07474002"),
    "term_sourced_ids": ("2027-1", "2027-year"),
    "enabled_user": ("true", "true"),
    "org_sourced_ids": ("07474001", "07474001,07474002"),
    "role": ("student", "teacher"),
    "username": ("zoe.obrien@student.sd74.example", "jo@sd74.example"),
    "given_name": ("Skw̓x̱wú7mesh", "-"),
    "family_name": ("O’Brien", "De Ma'alot, Jr."),
    "middle_name": ("Ann", None),
    "email": ("zoe.obrien@student.sd74.example", "jo@sd74.example"),
    "preferred_given_name": ("Zoë", None),
    "preferred_family_name": ("O'Brien", "De Ma'alot"),
    "primary_org_sourced_id": ("07474001", "07474002"),
    "class_sourced_id": ("MST1_2027", "07474002_div-2_2027"),
    "user_sourced_id": ("p000000000000001", "p000000000000002"),
    "is_primary": (None, "true"),
    "role_type": ("primary", "secondary"),
}
TARGETS = ("oneroster11", "oneroster12")


def rows() -> dict[str, list[tuple[str | None, ...]]]:
    """`<target>__<entity>` -> two rows of it, in the order of its columns."""
    return {
        export.model.removeprefix("exp_"): [
            tuple(SAMPLE.get(column.name, (None, None))[place] for column in export.sent)
            for place in (0, 1)
        ]
        for target in TARGETS
        for export in exports.declared(target).values()
    }
