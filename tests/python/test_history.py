"""What was seen last: what a new column costs, and where its values stay."""

from __future__ import annotations

import re
import subprocess

from conftest import ROOT, District, checkout

PAGE = ROOT / "docs" / "add-a-column.md"
MOVED = (
    "stg_myedbc__student_demographics intake_myedbc__students intake_students students_remembered"
    " enrolments_remembered enrolments kept_lists students students_last_seen"
)


def test_a_column_is_added_to_students_in_five_files_as_the_page_says(district, tmp_path):
    """The value of a student who vanishes the night after stays, out of a ledger that had no such
    column.
    """
    patch = re.search(r"```diff\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)[1]
    files = re.findall(r"^\+\+\+ b/(.+)$", patch, re.M)
    assert len(files) == len(set(files)) <= 5
    assert files == re.findall(r"^\| `(\S+)` \|", PAGE.read_text(encoding="utf-8"), re.M)

    project = District(district.var, checkout(tmp_path / "checkout", district.root))
    subprocess.run(["git", "apply", "-"], cwd=project.root, input=patch, text=True, check=True)
    with project.warehouse() as ask:
        landed = "raw_myedbc.student_demographic_information"  # from the next night on
        ask(f"alter table {landed} add column if not exists usual_middle_name varchar")
        ask(f"update {landed} set usual_middle_name = 'Wren'")
        ((gone,),) = ask(
            "select student_number from core.students"
            " where is_in_feed and enrolment_status = 'active' order by all limit 1"
        )
    assert project.dbt("run", "--select", *MOVED.split()).returncode == 0
    with project.warehouse() as ask:
        for feed in ("student_demographic_information", "student_demographic_enhanced"):
            ask(f"delete from raw_myedbc.{feed} where trim(student_number) = ?", gone)
    assert project.dbt("run", "--select", *MOVED.split()).returncode == 0
    with project.warehouse() as ask:
        assert ask(
            "select usual_middle_name, is_in_feed from core.students where student_number = ?", gone
        ) == [("Wren", False)]
        ((seen, named),) = ask(
            "select count(*), count(usual_middle_name) from ledger.identity.students_last_seen"
        )
    assert seen > named > 200, "who vanished before has none"
