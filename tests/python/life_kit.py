"""A district of nine people at two schools, its files of a day and its whole nights: small enough
that a year of them can be told in one test.

In: a day. Out: the eleven extracts and human resources as that day's story says. Nothing here knows
a model: who is where is written down by hand, person by person.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import District, checkout

from common import store
from common.runs import Run
from demo import layouts
from demo.calendar import gde_date
from demo.extracts import row
from demo.hr import COLUMNS
from demo.layouts import Layout
from demo.places import PLATFORMS, Places
from demo.platforms import running
from ingestion.__main__ import main as ingest
from operations.compiled_models import Models
from reverse_etl.__main__ import app

ASH, FIR = "7474001", "7474002"
MIA, REID, NOOR = "2000001", "600001", "600002"
JAZZ = "MSTJAZZ"
SECOND_TERM = date(2027, 2, 1)

PREREGISTERED, ADMITTED, RENAMED, MOVED, WITHDRAWN, GRACE_OVER, BACK, CROSS, GRADUATED = (
    date(2026, 10, 5),
    date(2026, 10, 13),
    date(2026, 10, 20),
    date(2026, 11, 3),
    date(2026, 11, 24),
    date(2026, 12, 9),
    date(2027, 1, 11),
    date(2027, 2, 16),
    date(2027, 7, 16),
)
ANNOUNCED, ON_LEAVE, RETURNED, GONE = (
    date(2027, 1, 18),
    date(2027, 2, 16),
    date(2027, 3, 8),
    date(2027, 4, 1),
)
SETTINGS = {
    "TARGETS__GOOGLE__CLASSES": "true",
    "TARGETS__MICROSOFT__CLASSES": "true",
    "TARGETS__MICROSOFT__CLASS_TEAMS": "true",
    **{f"TARGETS__{one}__ENABLED": "false" for one in ("PORTFOLIO", "CALLOUT", "TRANSPORT")},
    "BACKUP__NIGHTLY": "false",
    "NIGHT__RETRY_AFTER_MINUTES": "false",
}


@dataclass(frozen=True)
class Child:
    number: str
    first: str
    last: str
    grade: str
    school: str | None  # none: as `Story` says of Mia


CHILDREN = (
    Child(MIA, "Mia", "Lund", "12", None),
    Child("2000002", "Ana", "Birk", "11", ASH),
    Child("2000003", "Ben", "Cole", "11", ASH),
    Child("2000004", "Cal", "Dunn", "11", ASH),
    Child("2000005", "Dee", "Ford", "11", FIR),
)
# staff id, first, last, position, school; Reid's rows are the story's
STAFF = (
    (NOOR, "Sol", "Noor", "Teacher", ASH),
    ("600003", "Kim", "Park", "Principal", ASH),
    ("600004", "Val", "Vega", "Teacher", FIR),
)


@dataclass(frozen=True)
class Story:
    """What the records say on a day."""

    day: date

    @property
    def mia(self) -> tuple[str, str, str]:
        """School, status, family name."""
        school = ASH if self.day < MOVED else FIR
        name = "Lund" if self.day < RENAMED else "Hartley"
        if self.day >= GRADUATED:
            return school, "Graduate", name
        if WITHDRAWN <= self.day < BACK:
            return school, "Inactive", name
        return school, "PreReg" if self.day < ADMITTED else "Active", name

    @property
    def news(self) -> str:
        """Another each day, so that no file stays the same and is taken for old."""
        return str(self.day.toordinal())

    def children(self) -> list[tuple[Child, str, str, str]]:
        """Each with school, status and family name; who graduated stays in the files."""
        return [
            (one, *((one.school, "Active", one.last) if one.school else self.mia))
            for one in CHILDREN
        ]

    def teaches_jazz(self) -> str:
        """Who human resources' story leaves the class to."""
        away = ON_LEAVE <= self.day < RETURNED or self.day >= GONE
        return NOOR if away else REID

    def in_jazz(self) -> list[str]:
        """Nobody's list is filled before the term or in summer."""
        if not ANNOUNCED <= self.day < date(2027, 6, 30):
            return []
        crossed = [MIA] if self.day >= CROSS else []
        return ["2000002", "2000003", "2000004", *crossed]

    def employees(self) -> list[tuple[str | None, ...]]:
        ended = "2027-03-31" if self.day >= RETURNED else None
        schools = [ASH] if self.day < MOVED else [ASH, FIR]
        found = [
            (REID, "Eve", "Reid", "Teacher", school, "2026-10-13", ended) for school in schools
        ]
        found += [(*one, "2020-09-01", None) for one in STAFF]
        return [
            (
                number,
                first,
                last,
                None,
                position,
                f"0{school}",
                f"{first}.{last}@sd74.example".lower(),
                hired,
                ended,
            )
            for number, first, last, position, school, hired, ended in found
        ]

    def teachers(self) -> list[tuple[str, str, str, str]]:
        """Staff id, names and school, as the student information system lists them."""
        found = [(number, first, last, school) for number, first, last, _, school in STAFF]
        if ADMITTED <= self.day < GONE:
            found.append((REID, "Eve", "Reid", ASH))
            if self.day >= MOVED:
                found.append((REID, "Eve", "Reid", FIR))
        return found

    # --- the files

    def write(self, folder: Path, hr: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for layout in layouts.ALL:
            lines = [row(*layout.columns)] if layout.headings else []
            for values in self.rows(layout):
                assert not values.keys() - set(layout.columns), layout.file
                lines.append(row(*(values.get(name, "") for name in layout.columns)))
            text = "".join(f"{line}\r\n" for line in lines)
            (folder / layout.file).write_text(text, encoding=layout.encoding, newline="")
        hr.unlink(missing_ok=True)
        with closing(sqlite3.connect(hr)) as database, database:
            listed = ", ".join(f"{name} text" for name in COLUMNS)
            database.execute(f"create table employees ({listed})")
            marks = ", ".join("?" * len(COLUMNS))
            database.executemany(f"insert into employees values ({marks})", self.employees())

    def rows(self, layout: Layout) -> list[dict[str, str]]:
        return {
            layouts.SCHOOLS: self._schools,
            layouts.DEMOGRAPHIC: self._demographic,
            layouts.ENHANCED: self._enhanced,
            layouts.STAFF: self._staff,
            layouts.PARENTS: self._parents,
            layouts.COURSES: self._courses,
            layouts.CLASSES: self._classes,
            layouts.SCHEDULE: self._schedule,
        }.get(layout, list)()

    def _schools(self) -> list[dict[str, str]]:
        return [
            {
                "District Number": "074",
                "School Number": school,
                "School Name": name,
                "Ministry School Number": f"0{school}",
                "School Configuration": "8-12",
                "Number of Rooms": self.news,
            }
            for school, name in ((ASH, "Ash Secondary"), (FIR, "Fir Secondary"))
        ]

    def _demographic(self) -> list[dict[str, str]]:
        return [
            {
                "School number": school,
                "Student number": child.number,
                "Homeroom": f"H{child.grade}",
                "Legal surname": last,
                "Legal first name": child.first,
                "Date of birth": "11-Mar-2009",
                "Grade": child.grade,
                "Admission date": self._came(child),
                "Withdraw date": self._went(status),
                "Memo note": self.news,
            }
            for child, school, status, last in self.children()
        ]

    def _came(self, child: Child) -> str:
        if child.number != MIA:  # another each day
            return gde_date(date(2024, 9, 2) + timedelta(self.day.toordinal() % 300))
        return gde_date(ADMITTED if self.day < BACK else BACK)

    def _went(self, status: str) -> str:
        left = {"Inactive": WITHDRAWN, "Graduate": date(2027, 6, 30)}.get(status)
        return gde_date(left)

    def _enhanced(self) -> list[dict[str, str]]:
        return [
            {
                "Student Number": child.number,
                "Legal First Name": child.first,
                "Legal Surname": last,
                "Date of birth": "11-Mar-2009",
                "Grade": child.grade,
                "School Number": school,
                "Home school number": school,
                "Homeroom": f"H{child.grade}",
                "Enrolment status": status,
                "Admission date": self._came(child),
                "Withdraw date": self._went(status),
            }
            for child, school, status, last in self.children()
        ]

    def _staff(self) -> list[dict[str, str]]:
        return [
            {
                "School Number": school,
                "User Name": f"{first}{last}{self.news}".lower(),
                "Teaching Staff": "Y",
                "Teacher Id": number,
                "Name": f"{last}, {first}",
                "Last Name": last,
                "First Name": first,
                "Email Address": f"{first}.{last}@sd74.example".lower(),
            }
            for number, first, last, school in self.teachers()
        ]

    def _parents(self) -> list[dict[str, str]]:
        return [
            {
                "SCHOOL NUMBER": school,
                "Student number": child.number,
                "Student Legal last Name": last,
                "Student legal First Name": child.first,
                "GRADE": child.grade,
                "SurName": last,
                "First name": "Robin",
                "Parent type": "M",
                "Home PHONE": f"778{self.news[-7:].zfill(7)}",
                "Custody status": "Joint",
                "Living with Student": "Y",
            }
            for child, school, status, last in self.children()
            if status == "Active"
        ]

    def _courses(self) -> list[dict[str, str]]:
        return [
            {"School Number": school, "Course Code": code, "Title": title, "Exam": self.news}
            for school in (ASH, FIR)
            for code, title in (("MJA--12", "Jazz 12"), ("MEN--12", "English 12"))
        ]

    def _sections(self) -> list[tuple[str, str, str, str, str, str, list[str]]]:
        """School, course, title, master id, semester, teacher, students; English all year."""
        jazz = self.in_jazz()
        found = [(ASH, "MJA--12", "Jazz 12", JAZZ, "2", self.teaches_jazz(), jazz)] if jazz else []
        if self.day.month in (7, 8):
            return found
        for school, teacher in ((ASH, NOOR), (FIR, "600004")):
            who = [
                c.number
                for c, at, status, _ in self.children()
                if (at, status) == (school, "Active")
            ]
            found.append((school, "MEN--12", "English 12", f"MSTENG{school}", "FY", teacher, who))
        return found

    def _classes(self) -> list[dict[str, str]]:
        return [
            {
                "School Number": school,
                "Course Code": course,
                "Teacher Id": teacher,
                "Primary Teacher": "Y",
                "Section Letter": "A",
                "Semester": semester,
                "Term": "FY" if semester == "FY" else f"S{semester}",
                "Day": "1",
                "Period": "1",
                "Master Timetable ID": made,
                "Class Identifier": f"{course}-A",
                "Max": self.news,
            }
            for school, course, _, made, semester, teacher, _ in self._sections()
        ]

    def _schedule(self) -> list[dict[str, str]]:
        at = {child.number: (child, school) for child, school, _, _ in self.children()}
        return [
            {
                "School Year": str(self.day.year + (self.day.month > 6)),
                "School Number": at[number][1],
                "Student Number": number,
                "Grade": at[number][0].grade,
                "Course School Number": school,
                "Course Code": course,
                "District Course Code": course,
                "Course Title": title,
                "Period": "1",
                "Day": self.news,
                "Semester": semester,
                "Section Letter": "A",
                "Master Timetable ID": made,
                "Teacher ID": teacher,
                "Primary Teacher": "Y",
                "Enrolment Status": "Active",
            }
            for school, course, title, made, semester, teacher, students in self._sections()
            for number in students
        ]


# ------------------------------------------------------------------------------------------- nights


class Life:
    """The district, night after night, in this process: what dbt compiled of the first night is run
    by itself on the others, as a rehearsal does it.
    """

    def __init__(self, folder: Path) -> None:
        self.district = District(folder / "var", folder / "checkout")
        self.places = Places.within(self.district.var / "demo")
        self.lived: list[date] = []

    def begin(self, seeds: dict[str, list[str]]) -> None:
        """The first night, by dbt, of a copy of the project with other rows in some seeds."""
        checkout(self.district.root)
        for seed, rows in seeds.items():
            path = self.district.root / "seeds" / f"{seed}.csv"
            path.write_text("\n".join([*rows, ""]), encoding="utf-8")
        self.night(PREREGISTERED, self._built)
        compiled = self.district.dbt("compile", "--quiet")
        assert compiled.returncode == 0, compiled.stdout[-3000:]

    def _built(self, run: Run) -> None:
        self.district.run("operations", "build", **os.environ | {"HOMEROOM_RUN": run.run_id})

    def _filled(self, run: Run) -> None:
        """The models behind both targets and whatever remembers, without dbt."""
        target = self.district.var / "target"
        manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
        models = Models(manifest)
        names = [
            node["name"]
            for node in manifest["nodes"].values()
            if node["resource_type"] == "model"
            and (
                node["config"]["materialized"] == "incremental"
                or (node["fqn"][1] == "exports" and node["fqn"][2] in PLATFORMS)
            )
        ]
        store.begin_night(run)
        with store.connect() as connection:
            models.run(connection, models.up_to(*names))
        (run.folder / "dbt").mkdir()
        for name in ("manifest.json", "run_results.json"):
            found = json.loads((self.first / "dbt" / name).read_text(encoding="utf-8"))
            found["metadata"]["generated_at"] = datetime.now(UTC).isoformat()
            (run.folder / "dbt" / name).write_text(json.dumps(found), encoding="utf-8")

    @property
    def first(self) -> Path:
        """The run that dbt built."""
        return sorted(self.district.var.glob("runs/2*/dbt/run_results.json"))[0].parents[1]

    def night(self, day: date, build: Callable[[Run], None] | None = None) -> dict[str, Any]:
        """One night; what its plan holds, by target and entity."""
        Story(day).write(self.places.extracts, self.places.hr)
        with running(self.district.var / "demo") as platforms:
            os.environ.update(platforms.environment | SETTINGS)
            os.environ.update(HOMEROOM_VAR=str(self.district.var), HOMEROOM_AS_OF=day.isoformat())
            os.environ.update(HOMEROOM_RUN="")
            run = Run.open("ingest")
            os.environ.update(HOMEROOM_RUN=run.run_id)
            assert ingest([]) in (0, 3)
            self._step("observe")
            (build or self._filled)(run)
            allowed = ["--allow", "adopt,create", "--why", "the first night"] if build else []
            self._step("plan", *allowed)
            self._step("push")
            run.finish(0)
        self.lived.append(day)
        return {
            f"{one['target']}.{one['entity']}": one["holds"]
            for one in run.read("plan.json")["exports"]
            if any(one["held"].values())
        }

    def _step(self, *words: str) -> None:
        with pytest.raises(SystemExit) as ended:
            app(list(words), prog_name="reverse_etl")
        assert ended.value.code in (0, 2, 3), words

    # --- what stands in the platforms

    def tables(self, target: str) -> dict[str, Any]:
        return dict(json.loads(self.places.state_of(target).read_text(encoding="utf-8")))

    def user(self, target: str, number: str) -> User:
        """The account of one of the story's two people, by the names they ever had."""
        tables, first = self.tables(target), "Mia" if number == MIA else "Eve"
        for key, where in (("users", ""), (DELETED[target], "deleted")):
            for remote_id, one in tables[key].items():
                given = one["name"] if target == "google" else one
                ours = (
                    one.get("customSchemas", {}).get("Homeroom")
                    if target == "google"
                    else one.get("onPremisesExtensionAttributes", {}).get("extensionAttribute15")
                )
                if ours and given["givenName"] == first:
                    return _user(target, tables, remote_id, one, where)
        return User("none")

    def jazz(self, target: str) -> Class | None:
        """The class of the story; none before it is announced."""
        tables, google = self.tables(target), target == "google"
        named = "name" if google else "externalId"  # where its name stands on the group
        for key, one in tables["courses" if google else "classes"].items():
            if "jazz" in str(one[named]).lower():
                owners, members = ("course_teachers", "course_students")
                if not google:
                    owners, members = "owners", "members"
                lead = set(tables[owners].get(key, {}))
                state = one["courseState"] == "ARCHIVED" if google else None
                if not google:
                    state = bool(tables["teams"].get(key, {}).get("isArchived"))
                names = {user: _called(target, who) for user, who in tables["users"].items()}
                return Class(
                    str(names.get(one["ownerId"])) if google else "",
                    frozenset(names[one] for one in lead if one in names),
                    frozenset(
                        names[one]
                        for one in set(tables[members].get(key, {})) - lead
                        if one in names
                    ),
                    bool(state),
                )
        return None


@dataclass(frozen=True)
class User:
    """What one account is: `open`, `closed`, `archived`, `deleted` or `none`."""

    state: str
    remote_id: str = ""
    address: str = ""
    family: str = ""
    groups: frozenset[str] = frozenset()
    unit: str = ""


@dataclass(frozen=True)
class Class:
    owner: str  # Google's one; '' at Microsoft, where every teacher is one
    teachers: frozenset[str]
    students: frozenset[str]
    archived: bool


DELETED = {"google": "deleted", "microsoft": "deleted_users"}


def _called(target: str, one: dict[str, Any]) -> str:
    return str(one["name"]["givenName"] if target == "google" else one.get("givenName"))


def _user(
    target: str, tables: dict[str, Any], remote_id: str, one: dict[str, Any], where: str
) -> User:
    named = "email" if target == "google" else "uniqueName"
    groups = frozenset(
        str(tables["groups"][key][named]).partition("@")[0]
        for key, members in tables["members"].items()
        if remote_id in members and key in tables["groups"] and tables["groups"][key].get(named)
    )
    if target == "google":
        closed = "archived" if one.get("archived") else "closed" if one["suspended"] else "open"
        address, family, unit = one["primaryEmail"], one["name"]["familyName"], one["orgUnitPath"]
    else:
        closed = "open" if one["accountEnabled"] else "closed"
        address, family, unit = one["userPrincipalName"], one["surname"], ""
    return User(where or closed, remote_id, address, family, groups, unit)
