"""The shelf: what ships and is off builds nothing; its pages say what it is; the OneRoster package
is read back by the source of the same name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import shelf_kit
from listed_kit import SCHOOLS, TONIGHT, District, Student, district, tables
from shelf_kit import learners, legal, oneroster_people, places, role, teachers, with_account
from sql_kit import Tables, database, rendered, seed

from common import paths, settings
from operations import build
from reverse_etl import configured, exports
from scripts import calls, shelf

MODELS = {file.stem: file for file in (paths.root() / "models").rglob("*.sql")}
ROSTERS = paths.root() / "models" / "identity" / "rosters"


def made(of: District, *names: str, more: Tables | None = None) -> dict[str, list[dict[str, Any]]]:
    """What the project makes of a district, or of other tables: model -> rows."""
    shown = {}
    with database(tables(of) if more is None else more) as connection:
        for name in names:
            connection.execute(f'create table "{name}" as {rendered(MODELS[name])}')
            cursor = connection.execute(f'select * from "{name}"')
            columns = [column[0] for column in cursor.description]
            shown[name] = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    return shown


# ---------------------------------------------------------------- switched on by one line


def test_every_target_of_the_shelf_ships_switched_off() -> None:
    for target in shelf_kit.TARGETS:
        assert settings.section("targets", target) == {"enabled": False}, target
    assert set(shelf_kit.TARGETS) <= set(configured.off())


def test_nothing_is_built_of_what_is_off_and_nothing_for_it_alone() -> None:
    rooms = {room.name for room in build._unused()}
    assert rooms == {*shelf_kit.TARGETS, *shelf_kit.TABLES, "rosters"}


@pytest.mark.parametrize("target", shelf_kit.TARGETS)
def test_one_line_switches_a_target_on_and_no_other(
    target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"TARGETS__{target.upper()}__ENABLED", "true")
    assert target in configured.names()
    assert configured.takes_files(configured.kind(target)), "it needs no line that says its kind"
    rooms = {room.name for room in build._unused()}
    assert rooms == {*shelf_kit.TARGETS, *shelf_kit.TABLES} - {target}


def test_what_others_read_of_a_target_that_is_off_is_built_without_a_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for target in ("transport", "google"):
        monkeypatch.setenv(f"TARGETS__{target.upper()}__ENABLED", "false")
    rooms = {room.name for room in build._unused()}
    assert not rooms & {"transport", "google"}


def test_what_was_built_of_a_target_goes_when_it_is_switched_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path))
    with build.store.connect() as connection:
        for schema, name in (
            ("exports", "exp_oneroster11__orgs"),
            ("exports", "exp_portfolio__staff"),
            ("identity", "rostered_staff"),
            ("identity", "accounts"),
        ):
            connection.execute(f"create schema if not exists {schema}")
            connection.execute(f"create table {schema}.{name} (n integer)")
    build._drop(build._unused())
    with build.store.connect() as connection:
        left = connection.execute(
            "select table_name from information_schema.tables"
            " where table_schema in ('exports', 'identity')"
            " and table_catalog = current_database() order by 1"
        ).fetchall()
    assert left == [("accounts",), ("exp_portfolio__staff",)]


def test_the_pages_of_the_shelf_say_what_its_exports_say() -> None:
    files = [page for page in shelf.PAGES.glob("*.md") if page.name not in calls.pages()]
    there = {page.name: page.read_text(encoding="utf-8") for page in files}
    assert there == shelf.pages(), "run: python -m scripts.shelf"


def test_the_table_says_of_every_target_where_it_is_from_and_what_it_was_tried_against() -> None:
    told = shelf.exposures()
    for target in shelf.described():
        said = told[target]["config"]["meta"]
        assert set(said) == {"layout", "tried", "delivery"} and all(said.values()), target
    assert set(shelf_kit.TARGETS) <= set(shelf.described())


# ---------------------------------------------------------------- OneRoster

VERSIONS = {"oneroster11": "1.1", "oneroster12": "1.2"}
RAW = {"enrolments": "enrollments"}


@pytest.mark.parametrize("target", VERSIONS)
def test_the_manifest_names_the_files_of_the_zip_and_every_other_as_absent(target: str) -> None:
    declared = exports.declared(target)
    sent = {f"file.{e.file.name.removesuffix('.csv')}" for e in declared.values() if e.file}
    (said,) = made(district(0), f"exp_{target}__manifest").values()
    found = {row["property_name"]: row["property_value"] for row in said}
    assert {name for name, value in found.items() if value == "bulk"} == sent - {"file.manifest"}
    assert (found["manifest.version"], found["oneroster.version"]) == ("1.0", VERSIONS[target])
    assert {e.file.archive for e in declared.values() if e.file} == {"oneroster.zip"}
    assert {e.file.when_empty for e in declared.values() if e.file} == {"send"}


def package(of: District, target: str) -> Tables:
    """The package of a district as ingestion lands it: raw table -> rows."""
    shown, raw = made(of, *shelf_kit.models_of(target)), {}
    for entity, export in exports.declared(target).items():
        sent = [column.name for column in export.sent]
        landed = ["primary" if name == "is_primary" else name for name in sent]
        raw[RAW.get(entity, entity)] = (
            " ".join(f"{name}:varchar" for name in [*landed, "_file", "_line", "_loaded_at"]),
            *(
                (*(row[name] for name in sent), "f", str(line), None)
                for line, row in enumerate(shown[export.model])
            ),
        )
    return raw


READ = ("orgs", "academic_sessions", "users", "roles", "courses", "classes", "enrolments")
READ += ("demographics",)
INTAKE = ("schools", "students", "staff", "courses", "sections", "section_students")
INTAKE += ("section_staff",)


def read_back(of: District, target: str) -> dict[str, list[dict[str, Any]]]:
    """What the source of the same name makes of our own package."""
    empty = "sourced_id:varchar user_sourced_id:varchar org_sourced_id:varchar role:varchar"
    empty += " role_type:varchar begin_date:varchar end_date:varchar status:varchar sex:varchar"
    empty += " birth_date:varchar _file:varchar _line:varchar _loaded_at:varchar"
    raw: dict[str, Any] = {"roles": (empty,), "demographics": (empty,)} | dict(package(of, target))
    if target == "oneroster11":
        new = ("preferred_given_name", "preferred_family_name", "primary_org_sourced_id")
        head, *rows = raw["users"]
        raw["users"] = (
            " ".join([head, *(f"{name}:varchar" for name in new)]),
            *((*row, None, None, None) for row in rows),
        )
    else:
        head, *rows = raw["users"]
        raw["users"] = (
            f"{head} org_sourced_ids:varchar role:varchar",
            *((*row, None, None) for row in rows),
        )
    raw |= {"grades": seed("grades"), "run_context": ("as_of", (TONIGHT,))}
    names = [*(f"stg_oneroster__{name}" for name in READ)]
    names += [f"intake_oneroster__{name}" for name in INTAKE]
    shown = made(of, *names, more=raw)
    return {name: shown[f"intake_oneroster__{name}"] for name in INTAKE}


def picked(rows: list[dict[str, Any]], columns: str) -> list[tuple[Any, ...]]:
    return sorted((tuple(row[c] for c in columns.split()) for row in rows), key=repr)


@pytest.mark.parametrize("target", VERSIONS)
@pytest.mark.parametrize("number", range(2))
def test_our_own_source_reads_our_own_package_as_the_same_district(
    target: str, number: int
) -> None:
    of = district(number)
    found, second = read_back(of, target), target == "oneroster12"
    described = dict(list(SCHOOLS.items())[:-1])
    assert picked(found["schools"], "school_number school_name") == sorted(
        (school, described.get(school, school)) for school in shelf_kit.school_numbers(of)
    )
    grades = {"KF": "KF", "05": "05", "12": "12"}
    names = "legal_first_name legal_last_name"
    assert picked(
        found["students"], f"student_number school_number {names} grade_code enrolment_status"
    ) == sorted(
        (
            (
                one.number,
                school,
                *(one.legal if second else one.usual),
                grades.get(one.grade or ""),
                "active",
            )
            for one in with_account(of)
            for school in places(one)
        ),
        key=repr,
    )
    if second:
        assert {(r["student_number"], r["home_school_number"]) for r in found["students"]} == {
            (one.number, one.school) for one in with_account(of)
        }
    staff = [one for one in oneroster_people(of) if not isinstance(one, Student)]
    assert picked(found["staff"], "staff_id school_number first_name last_name") == sorted(
        ((one.id, school, *legal(one)) for one in staff for school in places(one)), key=repr
    )
    kinds = {key: kind for key, (_, kind) in shelf_kit.classes(of).items()}
    taught = [key for key, kind in kinds.items() if kind == "class"]
    assert picked(found["sections"], "timetable_id course_code section_letter semester") == sorted(
        (key, f"C{key}", "A", "FY") for key in taught
    )
    assert picked(found["section_students"], "timetable_id student_number") == sorted(
        (key, one.number) for key, one in learners(of) if key in taught
    )
    assert picked(found["section_staff"], "timetable_id staff_id is_primary") == sorted(
        (
            (key, one.id, primary)
            for key, one, primary in teachers(of)
            if key in taught and role(one) != "staff"
        ),
        key=repr,
    )


def test_a_class_read_back_has_the_id_core_gave_it() -> None:
    """Core writes the year behind a timetable id, and our package has it there already."""
    of = district(1)
    raw = dict(package(of, "oneroster12"))
    head, *rows = raw["classes"]
    ids = head.split().index("sourced_id:varchar")
    raw["classes"] = (head, *((*row[:ids], f"{row[ids]}_2027", *row[ids + 1 :]) for row in rows))
    named = {"roles": raw["roles"], "classes": raw["classes"], "orgs": raw["orgs"]}
    named |= {name: raw[name] for name in ("courses", "academic_sessions")}
    shown = made(
        of,
        "stg_oneroster__orgs",
        "stg_oneroster__academic_sessions",
        "stg_oneroster__courses",
        "stg_oneroster__classes",
        "intake_oneroster__sections",
        more=named,
    )
    assert {row["timetable_id"] for row in shown["intake_oneroster__sections"]} == {
        key for key, (_, kind) in shelf_kit.classes(of).items() if kind == "class"
    }


@pytest.mark.parametrize("target", VERSIONS)
def test_ids_are_those_of_the_night_before_whatever_names_and_schools_became_of(
    target: str,
) -> None:
    """Another night: everybody has another name, every school and class another title."""
    of = district(2)
    entities = shelf_kit.models_of(target)
    before, other = made(of, *entities), dict(tables(of))
    for name, column in (
        ("account_holders", "last_name"),
        ("students", "usual_last_name"),
        ("students", "legal_first_name"),
        ("school_names", "school_name"),
        ("schools", "school_name"),
        ("sections", "title"),
    ):
        head, *rows = other[name]
        at = [one.partition(":")[0] for one in head.split()].index(column)
        other[name] = (
            head,
            *((*row[:at], f"New {n}", *row[at + 1 :]) for n, row in enumerate(rows)),
        )
    after = made(of, *entities, more=other)
    for model in entities:
        if model.startswith("exp_") and "manifest" not in model:
            ids = [sorted(row["sourced_id"] for row in rows[model]) for rows in (before, after)]
            assert ids[0] == ids[1] and len(set(ids[0])) == len(ids[0]) > 0, model


def test_a_student_who_left_is_in_no_file_of_the_package() -> None:
    """A reader of bulk files learns of it by the row that is no longer there."""
    of = district(3)
    gone = next(one for one in with_account(of) if one.sections)
    shown = [
        package(one, "oneroster12")
        for one in (
            of,
            District(tuple(one for one in of.students if one is not gone), of.workers, of.sections),
        )
    ]
    found = [f"'{gone.account.person}'" in repr(one) for one in shown]
    assert found == [True, False]
