"""What ships on the shelf: who belongs in each of its files, worked out beside the models from the
people of `listed_kit`.

`MODELS` is the order in which they are made, `ANSWERS` the same as in test_listed: export -> the
answer and the columns it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

from listed_kit import IN_GROUPS, SCHOOLS, TONIGHT, Contact, District, Student, Worker

from reverse_etl import exports

Rows = list[tuple[Any, ...]]
ROSTERS = ("students", "staff", "people", "places", "classes", "courses", "schools", "members")
ONEROSTER = ("manifest", "orgs", "academic_sessions", "courses", "classes", "users", "enrolments")
FAMILIES = ("barred_ways", "family_contacts", "family_telephones")  # made before any of these
MODELS = (
    "academic_sessions",
    *(f"rostered_{name}" for name in ROSTERS),
    *(f"exp_oneroster11__{entity}" for entity in ONEROSTER),
    *(f"exp_oneroster12__{entity}" for entity in (*ONEROSTER, "roles")),
    *(
        f"exp_sds__{entity}"
        for entity in ("orgs", "academic_sessions", "users", "roles", "classes", "enrolments")
    ),
    *(
        f"exp_clever__{entity}"
        for entity in ("schools", "students", "teachers", "staff", "sections", "enrolments")
    ),
    *(
        f"exp_apple__{entity}"
        for entity in ("locations", "students", "staff", "courses", "classes", "rosters")
    ),
    *(f"exp_xello__{entity}" for entity in ("schools", "students")),
    "exp_seesaw__classes",
    *(f"exp_{target}__students" for target in ("destiny", "insignia", "l4u", "lifetouch")),
    *(f"exp_{target}__students" for target in ("papercut", "transfinder", "versatrans")),
    *(
        f"exp_canvas__{entity}"
        for entity in ("accounts", "terms", "users", "courses", "sections", "enrolments")
    ),
    *(
        f"exp_clevr__{entity}"
        for entity in (
            "locations",
            "students",
            "staff",
            "classes",
            "student_classes",
            "staff_classes",
        )
    ),
    *(f"exp_moodle__{entity}" for entity in ("users", "courses", "enrolments")),
    *(f"exp_myblueprint__{entity}" for entity in ("course_info", "student_courses")),
    *(f"exp_schoolcash__{entity}" for entity in ("students", "schedule", "staff")),
    *(f"exp_schoolmessenger__{entity}" for entity in ("students", "sections", "enrolments")),
    "exp_autodialer__students",
    "exp_spacesedu__attendance",
    *(f"exp_myedbc_accounts__{entity}" for entity in ("students", "staff")),
    "exp_hr_accounts__employees",
    *(
        f"exp_brightspace__{entity}"
        for entity in (
            "manifest",
            "departments",
            "semesters",
            "templates",
            "offerings",
            "users",
            "enrolments",
        )
    ),
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


# --- School Data Sync, Clever, Apple --------------------------------------------------------------


def rostered(of: District) -> list[Student | Worker]:
    return [*with_account(of), *on_staff(of)]


def person(one: Student | Worker) -> str:
    return one.account.person


def called(one: Student | Worker) -> tuple[str, str]:
    first, last = one.usual if isinstance(one, Student) else one.name
    return first or "-", last


def teaching(of: District) -> dict[str, list[Worker]]:
    """Class -> its teachers, the primary one first."""
    found: dict[str, list[Worker]] = {}
    for key, one, primary in teachers(of):
        found.setdefault(key, []).insert(0 if primary else len(found.get(key, [])), one)
    return found


def sds_roles(of: District) -> Rows:
    return [
        (
            person(one),
            school,
            "student" if isinstance(one, Student) else role(one),
            "TRUE" if school == one.school else "FALSE",
            cedar(one.grade) if isinstance(one, Student) else None,
        )
        for one in rostered(of)
        for school in places(one)
    ]


def members(of: District) -> Rows:
    return [(key, person(one), "student") for key, one in learners(of)] + [
        (key, person(one), "teacher") for key, one, _ in teachers(of)
    ]


def clever_grade(grade: str | None) -> str:
    return {"KF": "Kindergarten", "05": "5", "12": "12"}.get(grade or "", "Ungraded")


def clever_teachers(of: District) -> Rows:
    """Whoever teaches, by their record or in a class, at each school they belong to or teach at."""
    taught = [(one, of.sections[key][0]) for key, one, _ in teachers(of)]
    busy = {person(one) for one, _ in taught}
    belong = [
        (one, school)
        for one in on_staff(of)
        if role(one) == "teacher" or person(one) in busy
        for school in places(one)
    ]
    return list(
        {(school, person(one), number(one), *called(one)) for one, school in (*belong, *taught)}
    )


def clever_staff(of: District) -> Rows:
    busy = {person(one) for _, one, _ in teachers(of)}
    return [
        (school, person(one))
        for one in on_staff(of)
        if role(one) != "teacher" and person(one) not in busy
        for school in places(one)
    ]


def clever_sections(of: District) -> Rows:
    return [
        (of.sections[key][0], key, *([person(one) for one in having] + [None, None])[:3])
        for key, having in teaching(of).items()
    ]


def plain(text: str) -> str:
    return text.replace("_", "-")


def apple_classes(of: District) -> Rows:
    teach = teaching(of)
    return [
        (
            key,
            plain(f"{school}_HOMEROOM" if kind == "homeroom" else f"{school}_C{key}"),
            *([person(one) for one in teach.get(key, [])] + [None, None, None])[:3],
            school,
        )
        for key, (school, kind) in classes(of).items()
    ]


# --- lists of students ----------------------------------------------------------------------------


def library(of: District) -> Rows:
    return [(one.school, one.number, *called(one), one.grade or "") for one in enrolled(of)]


def housed(of: District) -> Rows:
    return [
        (one.number, one.school, one.street_number, one.street)
        for one in enrolled(of)
        if one.street and one.street_number
    ]


def seesaw(of: District) -> Rows:
    teach = teaching(of)
    grades = {"KF": "K", "05": "5", "12": "12"}
    return [
        (
            teach[key][0].account.address("google"),
            f"Title {key}" + (" (A)" if of.sections[key][1] == "class" else ""),
            grades.get(one.grade or "", "Other"),
            " ".join(called(one)),
            one.number,
        )
        for key, one in learners(of)
        if key in teach
    ]


SCHOOL_ROWS = [("apple__locations", "location_id"), ("clever__schools", "school_id")]
SCHOOL_ROWS += [("sds__orgs", "sourced_id"), ("xello__schools", "school_code")]
ANSWERS |= {
    **{
        f"exp_{export}": (lambda of: [(one,) for one in school_numbers(of)], column)
        for export, column in SCHOOL_ROWS
    },
    "exp_sds__academic_sessions": ANSWERS["exp_oneroster11__academic_sessions"],
    "exp_sds__users": (
        lambda of: [
            (person(one), one.account.address("google"), *called(one)) for one in rostered(of)
        ],
        "sourced_id username given_name family_name",
    ),
    "exp_sds__roles": (sds_roles, "user_sourced_id org_sourced_id role is_primary grade"),
    "exp_sds__classes": (
        lambda of: [(key, school, "2027-year") for key, (school, _) in classes(of).items()],
        "sourced_id org_sourced_id session_sourced_ids",
    ),
    "exp_sds__enrolments": (members, "class_sourced_id user_sourced_id role"),
    "exp_clever__students": (
        lambda of: [
            (one.school, person(one), one.number, *called(one), clever_grade(one.grade))
            for one in with_account(of)
        ],
        "school_id student_id student_number first_name last_name grade",
    ),
    "exp_clever__teachers": (
        clever_teachers,
        "school_id teacher_id teacher_number first_name last_name",
    ),
    "exp_clever__staff": (clever_staff, "school_id staff_id"),
    "exp_clever__sections": (
        clever_sections,
        "school_id section_id teacher_id teacher_2_id teacher_3_id",
    ),
    "exp_clever__enrolments": (
        lambda of: [
            (of.sections[key][0], key, person(one))
            for key, one in learners(of)
            if key in teaching(of)
        ],
        "school_id section_id student_id",
    ),
    "exp_apple__students": (
        lambda of: [
            (person(one), one.number, *called(one), cedar(one.grade), one.school)
            for one in with_account(of)
        ],
        "person_id person_number first_name last_name grade_level location_id",
    ),
    "exp_apple__staff": (
        lambda of: [(person(one), number(one), *called(one), one.school) for one in on_staff(of)],
        "person_id person_number first_name last_name location_id",
    ),
    "exp_apple__courses": (
        lambda of: list({(plain(row[2]), row[4]) for row in oneroster_classes(of)}),
        "course_id location_id",
    ),
    "exp_apple__classes": (
        apple_classes,
        "class_id course_id instructor_id instructor_id_2 instructor_id_3 location_id",
    ),
    "exp_apple__rosters": (
        lambda of: [(f"{key}-{person(one)}", key, person(one)) for key, one in learners(of)],
        "roster_id class_id student_id",
    ),
    "exp_xello__students": (
        lambda of: [
            (
                one.number,
                *called(one),
                {"KF": "0", "05": "5", "12": "12"}.get(one.grade or "", ""),
                one.school,
                one.next_school,
                None,
            )
            for one in with_account(of)
        ],
        "student_id first_name last_name current_grade current_school_code pre_reg_school_code"
        " state_prov_number",
    ),
    "exp_seesaw__classes": (seesaw, "teacher_email class_name grade_level student_name student_id"),
    "exp_destiny__students": (library, "site_short_name district_id first_name last_name grade"),
    "exp_insignia__students": (library, "building_id student_id first_name last_name grade"),
    "exp_l4u__students": (library, "school student_id given_name surname grade"),
    "exp_lifetouch__students": (library, "school_number student_number first_name last_name grade"),
    "exp_papercut__students": (
        lambda of: [
            (person(one), " ".join(called(one)), one.account.address("google"), one.number)
            for one in with_account(of)
        ],
        "username full_name email card_number",
    ),
    "exp_transfinder__students": (
        housed,
        "id_number current_school_code street_number street_name",
    ),
    "exp_versatrans__students": (
        housed,
        "student_id school_building_number street_number street_name",
    ),
}
# the column of a file in which a pupil number stands
CHILDREN = {
    "exp_oneroster11__users": "identifier",
    "exp_oneroster12__users": "identifier",
    "exp_clever__students": "student_number",
    "exp_apple__students": "person_number",
    "exp_xello__students": "student_id",
    "exp_seesaw__classes": "student_id",
    "exp_destiny__students": "district_id",
    "exp_insignia__students": "student_id",
    "exp_l4u__students": "student_id",
    "exp_lifetouch__students": "student_number",
    "exp_papercut__students": "card_number",
    "exp_transfinder__students": "id_number",
    "exp_versatrans__students": "student_id",
}


# --- calls, fees, plans and lessons -------------------------------------------------------------


def told(one: Student, *, reachable: bool = False) -> list[Contact]:
    """Whom one may be told about, in their order."""
    found = [who for who, _, authority in sorted(one.contacts, key=lambda c: c[1]) if authority]
    return [c for c in found if c.home or c.mobile or c.work or c.email or not reachable]


def padded(values: list[str | None], length: int) -> list[str | None]:
    return [*values, *[None] * length][:length]


def schoolcash_students(of: District) -> Rows:
    return [
        (
            one.school,
            one.number,
            one.legal[0] or "-",
            one.legal[1],
            *padded([who.last for who in told(one)], 2),
            next((who.email for who in told(one)[:2] if who.email), None),
            one.born or date(1900, 1, 1),
        )
        for one in enrolled(of)
    ]


def enrolled_learners(of: District) -> Iterator[tuple[str, Student]]:
    listed = enrolled(of)
    return ((key, one) for key, one in learners(of) if one in listed)


def primary(of: District) -> dict[str, Worker]:
    return {key: having[0] for key, having in teaching(of).items()}


def schoolcash_schedule(of: District) -> Rows:
    first = primary(of)
    return [
        (key, one.number, f"S{number(first[key])}" if key in first else None)
        for key, one in enrolled_learners(of)
    ]


def called_families(of: District) -> dict[str, Student]:
    return {
        one.number: one
        for one in enrolled(of)
        if one.may_call is True and told(one, reachable=True)
    }


def missed_today(of: District) -> Rows:
    rows = []
    for one in enrolled(of):
        today = [
            (school, part)
            for day, school, part, excused, late in one.absences
            if day == TONIGHT and not (excused or late)
        ]
        calls = one.may_call is True
        rows += [
            (
                school,
                one.number,
                one.phone if calls else None,
                "N" if calls else "Y",
                "A" if {(school, "AM"), (school, "PM")} & set(today) else None,
                "A" if (school, "3") in today else None,
                "A" if (school, "4") in today else None,
                None,
            )
            for school in {school for school, _ in today}
        ]
    return rows


def spaces_attendance(of: District) -> Rows:
    return [
        (
            school,
            "2026-10-05",
            ("L" if late else "A") + ("-E" if excused and part in ("AM", "PM") else ""),
            one.number,
        )
        for one in with_account(of)
        for day, school, part, excused, late in one.absences
        if day == TONIGHT
    ]


def employed(of: District) -> list[Worker]:
    """Staff with an account whom the systems that are told of it have."""
    return [one for one in on_staff(of) if one.id and one in of.workers[1:]]


def titled(of: District) -> Rows:
    return [(row[0], row[1], row[4]) for row in oneroster_classes(of)]


def moodle_role(role: str) -> str:
    return "editingteacher" if role == "teacher" else role


ANSWERS |= {
    "exp_brightspace__manifest": (lambda _: [("2.0",)], "version"),
    "exp_brightspace__departments": (
        lambda of: [(one, "UPDATE", "1") for one in school_numbers(of)],
        "code action is_active",
    ),
    "exp_brightspace__semesters": (ANSWERS["exp_oneroster11__academic_sessions"][0], "code"),
    "exp_brightspace__templates": (oneroster_courses, "code name department_code"),
    "exp_brightspace__offerings": (
        lambda of: [(row[0], row[1], row[2], row[5]) for row in oneroster_classes(of)],
        "code name template_code semester_code",
    ),
    "exp_brightspace__users": (
        lambda of: [
            (
                person(one),
                one.account.address("google"),
                *called(one),
                "Student" if isinstance(one, Student) else "Instructor",
            )
            for one in rostered(of)
        ],
        "org_defined_id username first_name last_name role_name",
    ),
    "exp_brightspace__enrolments": (
        lambda of: [
            (key, who, "Student" if role == "student" else "Instructor", None)
            for key, who, role in members(of)
        ],
        "parent_code child_code role_name action",
    ),
    "exp_myedbc_accounts__students": (
        lambda of: [
            (one.number, one.account.address("google"), person(one), one.number)
            for one in with_account(of)
            if one in of.students[1:]
        ],
        "student_number email account_name card_number",
    ),
    "exp_myedbc_accounts__staff": (
        lambda of: [(one.id, one.account.address("google")) for one in employed(of)],
        "staff_id email",
    ),
    "exp_hr_accounts__employees": (
        lambda of: [
            (one.id, one.account.address("google"), person(one), f"E{one.id}")
            for one in employed(of)
        ],
        "staff_id email account_name card_number",
    ),
    "exp_canvas__accounts": (lambda of: [(one,) for one in school_numbers(of)], "account_id"),
    "exp_canvas__terms": (ANSWERS["exp_oneroster11__academic_sessions"][0], "term_id"),
    "exp_canvas__users": (ANSWERS["exp_sds__users"][0], "user_id login_id first_name last_name"),
    "exp_canvas__courses": (titled, "course_id long_name account_id"),
    "exp_canvas__sections": (titled, "section_id name school_number"),
    "exp_canvas__enrolments": (members, "section_id user_id role"),
    "exp_moodle__users": (
        lambda of: [
            (person(one), one.account.address("google").lower(), *called(one))
            for one in rostered(of)
        ],
        "idnumber username firstname lastname",
    ),
    "exp_moodle__courses": (titled, "idnumber fullname category_idnumber"),
    "exp_moodle__enrolments": (
        lambda of: [(key, who, moodle_role(role)) for key, who, role in members(of)],
        "course_idnumber user_idnumber role",
    ),
    "exp_clevr__locations": (
        lambda of: [("074", one) for one in school_numbers(of)],
        "tenant_id proprietary_id",
    ),
    "exp_clevr__students": (
        lambda of: [
            (
                "074",
                person(one),
                one.number,
                one.school,
                *(one.legal[0] or "-", one.legal[1], called(one)[0]),
                one.born and one.born.isoformat(),
            )
            for one in enrolled(of)
        ],
        "tenant_id proprietary_id local_id primary_location first_name last_name common_name"
        " birthdate",
    ),
    "exp_clevr__staff": (
        lambda of: [(person(one), number(one), *called(one), one.school) for one in on_staff(of)],
        "proprietary_id local_id first_name last_name primary_location",
    ),
    "exp_clevr__classes": (
        lambda of: [(key, school) for key, (school, _) in classes(of).items()],
        "proprietary_id location_id",
    ),
    "exp_clevr__student_classes": (
        lambda of: [(key, person(one)) for key, one in enrolled_learners(of)],
        "class_id student_id",
    ),
    "exp_clevr__staff_classes": (
        lambda of: [(key, person(one)) for key, one, _ in teachers(of)],
        "class_id staff_id",
    ),
    "exp_schoolcash__students": (
        schoolcash_students,
        "school_number student_number first_name last_name guardian1_last_name guardian2_last_name"
        " guardian_email date_of_birth",
    ),
    "exp_schoolcash__schedule": (schoolcash_schedule, "section student_number teacher_number"),
    "exp_schoolcash__staff": (
        lambda of: [(f"S{number(one)}", *called(one), one.school) for one in on_staff(of)],
        "staff_number first_name last_name school_number",
    ),
    "exp_schoolmessenger__students": (
        lambda of: [
            (one.school, key, *padded([who.last for who in told(one, reachable=True)], 3))
            for key, one in called_families(of).items()
        ],
        "school_id student_id contact1_last_name contact2_last_name contact3_last_name",
    ),
    "exp_schoolmessenger__sections": (
        lambda of: [
            (key, title, school, number(primary(of)[key]) if key in primary(of) else None)
            for key, title, school in titled(of)
        ],
        "section_id section_name school_id teacher_id",
    ),
    "exp_schoolmessenger__enrolments": (
        lambda of: [
            (key, one.number) for key, one in learners(of) if one.number in called_families(of)
        ],
        "section_id student_id",
    ),
    "exp_autodialer__students": (
        missed_today,
        "sis_identifier student_number telephone prevent daily_code period_3 period_4 period_32",
    ),
    "exp_spacesedu__attendance": (
        spaces_attendance,
        "school_number absence_date category student_number",
    ),
    "exp_myblueprint__course_info": (
        lambda of: [row for row in oneroster_courses(of) if not row[0].endswith("_HOMEROOM")],
        "integration_id course_name school_id",
    ),
    "exp_myblueprint__student_courses": (
        lambda of: list(
            {
                (one.number, f"{of.sections[key][0]}_C{key}")
                for key, one in learners(of)
                if of.sections[key][1] == "class"
            }
        ),
        "student_id integration_id",
    ),
}
CHILDREN |= {
    "exp_clevr__students": "local_id",
    "exp_myblueprint__student_courses": "student_id",
    "exp_schoolcash__students": "student_number",
    "exp_schoolcash__schedule": "student_number",
    "exp_schoolmessenger__students": "student_id",
    "exp_schoolmessenger__enrolments": "student_id",
    "exp_autodialer__students": "student_number",
    "exp_spacesedu__attendance": "student_number",
}


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
SCHOOL_NUMBERS = ("07474001", "07474002")
# by column name where several layouts have it
SAMPLE |= {
    **dict.fromkeys(
        ("school_id", "school_number", "site_short_name", "building_id", "school", "location_id"),
        ("07474001", "07474002"),
    ),
    **dict.fromkeys(
        ("current_school_code", "school_code", "school_building_number", "pre_reg_school_code"),
        ("07474001", "07474002"),
    ),
    **dict.fromkeys(
        ("student_id", "student_number", "district_id", "barcode", "card_number", "id_number"),
        ("9000001", "9000002"),
    ),
    **dict.fromkeys(("person_number", "teacher_number"), ("9000001", "E100")),
    **dict.fromkeys(("person_id", "teacher_id", "staff_id"), ("p000000000000001", "p000000000002")),
    **dict.fromkeys(("teacher_2_id", "instructor_id"), ("p000000000000003", None)),
    **dict.fromkeys(
        ("first_name", "teacher_first_name", "student_name", "full_name"), ("Zoë", "Ann May")
    ),
    **dict.fromkeys(
        ("last_name", "surname", "teacher_last_name"), ("O’Brien", 'De "La" Cruz, Jr.')
    ),
    **dict.fromkeys(
        ("student_email", "teacher_email", "staff_email", "email_address"),
        ("zoe.obrien@student.sd74.example", "ann@sd74.example"),
    ),
    **dict.fromkeys(("grade", "grade_level", "current_grade", "office"), ("05", "12")),
    **dict.fromkeys(("homeroom", "home_room"), ("5 Łukasik", None)),
    **dict.fromkeys(
        ("school_name", "location_name", "current_school", "department"),
        ("Nk’maplqs Elementary", "École Trois-Rivières, K-7"),
    ),
    **dict.fromkeys(("class_id", "section_id"), ("MST1-2027", "07474002-div-2-2027")),
    **dict.fromkeys(
        ("class_name", "class_number", "course_name", "term_name"),
        ("Math 8, Łukasik (A)", "The Band"),
    ),
    **dict.fromkeys(("course_id", "course_number"), ("07474001-MMA--08", "07474002-HOMEROOM")),
    "roster_id": ("MST1-2027-p1", "MST1-2027-p2"),
    "patron_type": ("Student", "Student"),
    "gender": ("F", "U"),
    "graduation_year": ("2034", None),
    "school_type": ("3", "3"),
    "term_start": ("09/01/2026", "02/01/2027"),
    "term_end": ("01/31/2027", "06/30/2027"),
    "section_number": ("A", None),
    "date_of_birth": ("2016-02-29", None),
    "sis_username": ("zoe.obrien", "ann"),
    "street_number": ("12", "7"),
    "street_name": ("Main St, North", "Elm Rd"),
    "city": ("Lytton", "Ashcroft"),
    "postal_code": ("V0K 1Z0", "V0K 1A0"),
    "session_sourced_ids": ("2027-1", "2027-year"),
    **dict.fromkeys(("primary_location", "category_idnumber"), SCHOOL_NUMBERS),
    **dict.fromkeys(("idnumber", "section", "integration_id"), ("MST1-2027", "Div 2-2027")),
    **dict.fromkeys(("shortname", "course_idnumber"), ("MST1-2027", "Div 2-2027")),
    **dict.fromkeys(("user_id", "user_idnumber"), ("p000000000000001", "p000000000000002")),
    **dict.fromkeys(("local_id", "staff_number"), ("9000001", "SE100")),
    **dict.fromkeys(("firstname", "common_name", "preferred_first_name"), ("Zoë", "Ann May")),
    **dict.fromkeys(
        ("lastname", "student_last_name", "preferred_last_name"), ("O’Brien", 'De "La" Cruz, Jr.')
    ),
    **dict.fromkeys(("fullname", "section_name"), ('Math "8",\tŁukasik', "The Band")),
    "proprietary_id": ("p000000000000001", "p000000000000002"),
    "tenant_id": ("074", "074"),
    "year_offered": ("2027", "2027"),
}
# by target, where other layouts mean something else by the word
SAMPLE |= {
    **{
        f"canvas.{name}": value
        for name, value in {
            "account_id": SCHOOL_NUMBERS,
            "course_id": SAMPLE["class_id"],
            "short_name": ("MMA--08", "HOMEROOM"),
            "long_name": ('Math "8",\tŁukasik', "The Band"),
            "term_id": ("2027-1", "2027-2"),
            "login_id": SAMPLE["email"],
            "status": ("active", "active"),
        }.items()
    },
    **{
        f"clevr.{name}": value
        for name, value in {
            "location_id": SCHOOL_NUMBERS,
            "student_id": SAMPLE["proprietary_id"],
            "staff_id": SAMPLE["proprietary_id"],
            "username": ("zoe.obrien", None),
            "email": ("zoe.obrien@student.sd74.example", None),
            "middle_name": (None, None),
            "gender": (None, None),
            "birthdate": ("2016-02-29", None),
            "course_section": ("A", "Div\t2"),
            "term_start_date": ("2026-09-01", "2027-02-01"),
            "term_end_date": ("2027-01-31", "2027-06-30"),
        }.items()
    },
    **{
        f"brightspace.{name}": value
        for name, value in {
            "version": ("2.0", "2.0"),
            "type": ("a unit", "a unit"),
            "action": ("UPDATE", "UPDATE"),
            "code": ("A_MA", "A_SC"),
            "name": ("Maths 8", "Science, 8"),
            "is_active": ("1", "1"),
            "role_name": ("Student", "Instructor"),
            "template_code": ("A_MA", "A_SC"),
            "semester_code": ("2027-1", "2027-2"),
            "department_code": (None, None),
            "username": ("zoe@sd74.example", "jo@sd74.example"),
            "org_defined_id": ("p000000000000001", "p000000000000002"),
            "child_code": ("p000000000000001", "p000000000000002"),
            "parent_code": ("ma", "sc"),
        }.items()
    },
    "myedbc_accounts.account_name": ("zoe.obrien", "jo"),
    "myedbc_accounts.staff_id": ("100", "101"),
    "moodle.role": ("student", "editingteacher"),
    "moodle.startdate": ("2026-09-01", "2027-02-01"),
    "moodle.enddate": ("2027-01-31", "2027-06-30"),
    **{
        f"schoolcash.{name}": value
        for name, value in {
            "middle_name": (None, None),
            "gender": (None, None),
            "city": (None, None),
            "postal_code": (None, None),
            "date_of_birth": ("2016-02-29", "1900-01-01"),
            "guardian1_first_name": ("José", None),
            "guardian1_last_name": ("Núñez-Ó Briain", None),
            "guardian2_last_name": ('Smith "Jr."', None),
            "guardian_email": ("ana@family.example", None),
            "semester": ("Semester 1 2026/2027", "2026/2027"),
            "semester_starts_on": ("2026-09-01", "2026-09-01"),
            "semester_ends_on": ("2027-01-31", "2027-06-30"),
            "school_year": ("2027", "2027"),
            "teacher_number": ("SE100", None),
        }.items()
    },
    **{
        f"schoolmessenger.{name}": value
        for name, value in {
            "student_first_name": ("Zoë", "Ann May"),
            "teacher_id": ("E100", None),
            "contact1_relation": ("Mother", "Grandparent, legal"),
            "contact1_last_name": ("Núñez-Ó Briain", 'Smith "Jr."'),
            "contact1_first_name": ("José", None),
            "contact1_home_phone": ("2505550102", None),
            "contact2_cell_phone": ("2505550103", None),
            "contact3_email": ("ana@family.example", None),
        }.items()
    },
    **{
        f"autodialer.{name}": value
        for name, value in {
            "sis_identifier": ("07474001", "07474001"),
            "status": ("A", "A"),
            "telephone": ("2505550102", None),
            "prevent": ("N", "Y"),
            "homeroom": ("5\tŁukasik", None),
            "daily_code": ("A", None),
            "period_1": (None, "A"),
            "period_32": (None, "AE"),
            "absence_on": ("2026-10-05", "2026-10-05"),
        }.items()
    },
    "spacesedu.absence_date": ("2026-10-05", "2026-10-05"),
    "spacesedu.category": ("A", "A"),
    "spacesedu.absence_id": ("1", "2"),
    "spacesedu.student_number": ("9000001", "9000001"),
    "spacesedu.school_number": ("07474001", "07474001"),
}
TARGETS = (
    "apple",
    "autodialer",
    "brightspace",
    "canvas",
    "clever",
    "clevr",
    "destiny",
    "insignia",
    "l4u",
    "lifetouch",
    "moodle",
    "myblueprint",
    "myedbc_accounts",
    "oneroster11",
    "oneroster12",
    "papercut",
    "schoolcash",
    "schoolmessenger",
    "sds",
    "seesaw",
    "spacesedu",
    "transfinder",
    "versatrans",
    "xello",
)
TABLES = ("hr_accounts",)  # targets that are tables of a database


def rows() -> dict[str, list[tuple[str | None, ...]]]:
    """`<target>__<entity>` -> two rows of it, in the order of its columns."""
    return {
        export.model.removeprefix("exp_"): [
            tuple(
                SAMPLE.get(f"{target}.{column.name}", SAMPLE.get(column.name, (None, None)))[place]
                for column in export.sent
            )
            for place in (0, 1)
        ]
        for target in TARGETS
        for export in exports.declared(target).values()
    }
