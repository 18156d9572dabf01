"""Absence has a reason: who vanishes keeps everything, who has truly left does not, and a typo
suspends nobody.
"""

from __future__ import annotations

import csv
from pathlib import Path

import duckdb
import pytest
from conftest import District

from demo import cases

pytestmark = pytest.mark.slow

FEEDS = (
    "StudentDemographicEnhanced.txt",
    "StudentDemographicInformation.csv",
    "ParentInformation.csv",
    "EmergencyContactInformation.csv",
    "StudentSchedule.csv",
)
EXPORTS = (
    "google__users",
    "google__members",
    "microsoft__users",
    "microsoft__members",
    "portfolio__students",
    "portfolio__family",
    "portfolio__enrolments",
    "callout__contacts",
    "transport__students",
)


def drop_lines_of(district: District, student: str) -> None:
    """The extracts as if the student were not there."""
    for name in FEEDS:
        path = district.var / "demo" / "extracts" / name
        lines = path.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if f'"{student}"'.encode() not in line]
        assert len(kept) < len(lines), name
        path.write_bytes(b"".join(kept))


def someone_with_everything(district: District) -> tuple[str, str]:
    """A student with classes, guardians and a seat on the bus: student number and person id."""
    return district.ask(
        """
        select students.student_number, holders.person_id
        from core.students as students
        join identity.account_holders as holders on holders.source_key = students.student_number
        and holders.population = 'student'
        join exports.exp_callout__contacts as contacts on contacts.person_id = holders.person_id
        join exports.exp_transport__students as bus on bus.person_id = holders.person_id
        join exports.exp_portfolio__family as family on family.person_id = holders.person_id
        join core.sections as sections on sections.kind = 'class'
        join core.section_students as members on members.section_id = sections.section_id
        and members.student_number = students.student_number
        where students.is_in_feed and holders.state = 'active'
        and students.student_number not in (select student_number from core.absences)
        group by all having count(distinct sections.section_id) > 3 order by 1 limit 1
        """
    )[0]


def held_of(district: District, person: str) -> dict[str, list[tuple]]:
    """Every row every target should hold of a person, without the line it came from."""
    rows = {}
    for export in EXPORTS:
        where = f"from exports.exp_{export} where person_id = ?"
        rows[export] = district.ask(
            f"select columns(column_name -> column_name <> 'source') {where} order by all", person
        )
    return rows


def presence_of(district: District, person: str) -> tuple:
    """As the warehouse has it now: a build alone publishes nothing."""
    with duckdb.connect(str(district.var / "warehouse.duckdb"), read_only=True) as connection:
        connection.execute(f"attach '{district.var / 'ledger.duckdb'}' as ledger (read_only)")
        return connection.execute(
            """
            select presence.presence, presence.good_feeds_absent, lifecycle.state, users.suspended
            from identity.presence as presence join identity.lifecycle as lifecycle using
            (person_id)
            join exports.exp_google__users as users using (person_id) where person_id = ?
            """,
            [person],
        ).fetchone()


def good_feeds(district: District, *statuses: str) -> None:
    """As many more nights of the student feed, each with a file of its own, as there
    are statuses.
    """
    with duckdb.connect(str(district.var / "ledger.duckdb")) as connection:
        for status in statuses:
            connection.execute(
                """
                insert into audit.source_files (run_id, source, feed, file, sha256, read_at, status,
                rejected)
                select uuid(), source, feed, file, sha256(uuid()::text),
                max(read_at) over () + interval 1 minute, ?, 0
                from audit.source_files where feed = 'student_demographic_enhanced'
                order by read_at desc limit 1
                """,
                [status],
            )


def test_who_vanishes_keeps_everything_until_enough_good_feeds_have_said_so(district):
    student, person = someone_with_everything(district)
    before = held_of(district, person)
    assert all(before.values()), {export for export, rows in before.items() if not rows}
    drop_lines_of(district, student)
    assert district.planned() == 0
    night = district.summaries()[-1]
    assert {
        (row["target"], row["entity"]): row["planned"]
        for row in night["targets"]
        if sum(row["planned"].values())
    } == {}
    assert held_of(district, person) == before
    assert district.ask(
        "select presence, good_feeds_absent from identity.presence where person_id = ?", person
    ) == [("vanished", 1)]
    found = district.ask(
        "select message from audit.findings where run_id = ? and code = 'person_vanished' and"
        " key = ?",
        night["run_id"],
        student,
    )
    assert len(found) == 1
    assert "absent from 1 good feed;" in found[0][0]
    assert "After 4 more" in found[0][0]

    good_feeds(district, "loaded", "loaded", "refused", "missing", "loaded")
    day = {"HOMEROOM_AS_OF": night["as_of"]}
    district.run("operations", "build", "--select", "feed_loads person_records presence", **day)
    assert presence_of(district, person) == ("vanished", 4, "active", False), (
        "one fewer than it takes"
    )
    good_feeds(district, "loaded")
    district.run("operations", "build", **day)
    assert presence_of(district, person) == ("left", 5, "grace", False)


def test_values_nobody_can_read_suspend_nobody_and_keep_the_last_good_ones(district):
    """A typo in everybody's status, and one child's birth date and grade, in one night."""
    path = district.var / "demo" / "extracts" / "StudentDemographicEnhanced.txt"
    student = garbled(district, path)
    before = district.ask(
        "select date_of_birth, grade_code from core.students where student_number = ?", student
    )
    text = path.read_bytes()
    rows = text.count(b'"Active"') - len(
        cases.SPOILT
    )  # lines that name no school are rejected before anybody reads their status
    assert rows > 200
    path.write_bytes(text.replace(b'"Active"', b'"Actve"'))
    assert district.planned() == 0
    night = district.summaries()[-1]
    assert {
        (row["target"], row["entity"]): row["planned"]
        for row in night["targets"]
        if sum(row["planned"].values())
    } == {}
    found = district.ask(
        "select message, file, line, column_name, owner, action from audit.findings where run_id ="
        " ? and code = 'unknown_status'",
        night["run_id"],
    )
    assert len(found) == 1
    message, file, line, column, owner, action = found[0]
    assert f'The enrolment_status of {rows} rows is "Actve"' in message
    assert file.startswith("StudentDemographicEnhanced.txt#")
    assert (line >= 2, column) == (True, "enrolment_status")
    assert owner
    assert action
    assert (
        district.ask(
            "select date_of_birth, grade_code from core.students where student_number = ? and"
            " is_in_feed",
            student,
        )
        == before
    )
    kinds = district.ask(
        "select code from audit.findings where run_id = ? and key = ?", night["run_id"], student
    )
    assert "unknown_grade" in {kind for (kind,) in kinds}
    unread = district.ask(
        "select feed, column_name, line >= 2 from audit.findings"
        " where run_id = ? and code = 'values_unreadable' order by feed",
        night["run_id"],
    )
    assert unread == [
        ("student_demographic_enhanced", "date_of_birth", True),
        ("student_demographic_information", "date_of_birth", True),
    ]


def garbled(district: District, path: Path) -> str:
    """Both student extracts with an impossible birth date and grade for their first student, whose
    number it is.
    """
    rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    born, grade, number = (
        rows[0].index("Date of birth"),
        rows[0].index("Grade"),
        rows[0].index("Student Number"),
    )
    student = rows[1][number]
    information = district.var / "demo" / "extracts" / "StudentDemographicInformation.csv"
    line = next(
        line for line in path.read_text(encoding="utf-8-sig").splitlines() if f'"{student}"' in line
    )
    other = next(
        line
        for line in information.read_text(encoding="utf-8").splitlines()
        if f'"{student}"' in line
    )
    for file, old, encoding in ((path, line, "utf-8-sig"), (information, other, "utf-8")):
        bad = old.replace(
            f'"{rows[1][born]}"' if f'"{rows[1][born]}"' in old else rows[1][born], "31-Feb-2010"
        ).replace(f'"{rows[1][grade]}"', '"Gr?"')
        assert bad != old
        with file.open(encoding=encoding, newline="") as opened:
            text = opened.read()
        with file.open("w", encoding=encoding, newline="") as opened:
            opened.write(text.replace(old, bad))
    return student


def test_staff_without_a_school_work_for_the_district_and_know_their_line(two_nights):
    without = two_nights.ask(
        """
        select users.org_unit_path, staff.source_file, staff.source_line
        from core.staff as staff
        join identity.account_holders as holders on holders.source_key = staff.staff_key
        and holders.population = 'staff'
        left join exports.exp_google__users as users using (person_id)
        where staff.is_active and staff.school_number is null and not staff.is_in_sis
        """
    )
    assert without, "nobody works for the district as a whole"
    assert {row[0] for row in without} == {"/Staff/District office"}
    assert all(file.startswith("employees#") and line > 0 for _, file, line in without)
    units = two_nights.ask(
        "select org_unit_path from exports.exp_google__org_units where name = 'District office'"
    )
    assert units == [("/Staff/District office",)]
