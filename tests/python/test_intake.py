"""Several systems, one intake: whose record counts stands in a seed; a new system adds files."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable

import pytest
from conftest import ROOT, District, checkout
from sql_kit import answer, rendered, seed

from operations import seeds

# a kind of record: what makes two of them the same thing
KEYS = {
    "schools": "school_number",
    "students": "student_number school_number",
    "staff": "staff_id school_number",
    "contacts": "student_number person_name",
    "courses": "school_number course_code",
    "sections": "timetable_id",
    "section_students": "timetable_id student_number",
    "section_staff": "timetable_id school_number staff_id",
    "absences": "student_number absence_on:date part_of_day timetable_id",
    "employees": "staff_id",
}
# what the models read beside that
READ = {
    "students": "legal_first_name legal_last_name usual_first_name usual_last_name grade_code"
    " homeroom homeroom_teacher_id homeroom_teacher_name enrolment_status next_school_number"
    " withdrawn_on:date admitted_on:date",
    "staff": "sis_user_name is_teacher:boolean",
    "contacts": "first_name last_name email home_phone mobile_phone work_phone relationship"
    " is_barred:boolean is_guardian:boolean doubt",
    "courses": "grade_text",
    "section_students": "school_year:integer",
    "section_staff": "teacher_name is_primary:boolean",
    "absences": "course_code",
    "employees": "usual_first_name first_name hired_on:date ended_on:date school_number",
}
MOVED = (
    "source_precedence intake_aspen__students intake_students students_remembered"
    " enrolments_remembered enrolments kept_lists students"
)
NIGHT = ("as_of:date data_as_of:date rolled_over_on:date", ("2026-10-05", "2026-10-05", None))


def one(kind: str, line: int) -> tuple:
    """A system's table of this kind: one thing, the same in every system but for its line."""
    columns = f"{KEYS[kind]} {READ.get(kind, '')} source_file source_line:bigint".split()
    same = ["2026-10-05" if ":date" in column else "1" for column in KEYS[kind].split()]
    rest = [None] * (len(columns) - len(same) - 1)
    return " ".join(columns), (*same, *rest, line)


@pytest.fixture
def counted(monkeypatch) -> Callable[[str, dict[str, int]], list[str]]:
    """Whose record of one thing counts, of systems with these numbers."""

    def asked(kind: str, precedence: dict[str, int]) -> list[str]:
        tables = {f"intake_{system}__{kind}": one(kind, 9) for system in precedence}
        tables |= {
            "source_precedence": (f"source_system {kind}:integer", *precedence.items()),
            "run_context": NIGHT,
            "grades": ("grade_text grade_code",),
            "district_events": (
                "event school_number to_school_number starts_on:date ends_on:date",
            ),
            "intake_sections": ("timetable_id period",),
            "guardian_rules": ("source_system relationship decided_by decided_on:date",),
        }
        monkeypatch.setenv("HOMEROOM_SEEDS", json.dumps({"systems": {kind: [*precedence]}}))
        sql = rendered(ROOT / "models" / "intake" / f"intake_{kind}.sql")
        # made of positions, which the same seed puts in order
        positions = rendered(ROOT / "models" / "intake" / "intake_employments.sql")
        sql = sql.replace("from intake_employments", f"from ({positions})")
        return [row[0] for row in answer(f"select source_system from ({sql})", tables)]

    return asked


@pytest.mark.parametrize("kind", sorted(KEYS))
def test_whose_record_counts_the_seed_says_and_not_the_alphabet(counted, kind: str):
    """Aspen stands before MyEducation BC in the alphabet."""
    assert counted(kind, {"aspen": 2, "myedbc": 1}) == ["myedbc"]
    assert counted(kind, {"aspen": 1, "myedbc": 2}) == ["aspen"]


def test_every_kind_that_a_system_fills_has_its_model_and_every_model_its_number():
    models = {
        (path.parent.name, path.stem.partition("__")[2])
        for path in (ROOT / "models" / "intake").glob("*/*.sql")
    }
    said = {
        (system, kind) for kind, systems in seeds.told()["systems"].items() for system in systems
    }
    assert models == said


def test_a_new_system_adds_files_and_a_row_as_the_page_says(district, tmp_path):
    """Both list one child, and Aspen one more: MyEducation BC's line of the first still counts."""
    page = (ROOT / "docs" / "add-a-source.md").read_text(encoding="utf-8")
    row = re.search(r"```csv\n(aspen,.*\n)```", page)[1]
    new = District(district.var, checkout(tmp_path / "checkout", district.root))
    with (new.root / "seeds" / "source_precedence.csv").open("a", encoding="utf-8") as file:
        file.write(row)
    assert len(next(csv.reader([row]))) == len(seed("source_precedence")[0].split())
    with new.warehouse() as ask:
        ((number, school, name),) = ask(
            "select student_number, school_number, legal_first_name from core.students"
            " where is_in_feed and enrolment_status = 'active' order by all limit 1"
        )
    folder = new.root / "models" / "intake" / "aspen"
    folder.mkdir()
    listed = " union all ".join(
        f"select '{who}' as student_number, '{school}' as school_number, 'Ash' as legal_first_name,"
        " 'Elm' as legal_last_name, 'active' as enrolment_status, 'true' as can_be_primary"
        for who in (number, "999999999")
    )
    (folder / "intake_aspen__students.sql").write_text(
        f"select * replace (can_be_primary = 'true' as can_be_primary) from ({listed})"
    )
    built = new.dbt(*f"build --exclude-resource-type test unit_test --select {MOVED}".split())
    assert built.returncode == 0, built.stdout[-2000:]
    with new.warehouse() as ask:
        found = ask(
            "select student_number, legal_first_name from core.students"
            " where student_number in (?, '999999999') order by all",
            number,
        )
    assert sorted(found) == sorted([(number, name), ("999999999", "Ash")])
