"""A rehearsal sees what the clock will do, and leaves everything but its own folder as it was, byte
for byte.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from conftest import District


def contents(var: Path) -> dict[str, str]:
    files = (
        path
        for path in var.rglob("*")
        if path.is_file()
        and not path.is_symlink()
        and "rehearsal" not in path.relative_to(var).parts[:1]
    )
    return {
        str(path.relative_to(var)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


def moved(printed: str, step: str) -> int:
    return sum(
        int(count.replace(",", ""))
        for count in re.findall(rf"([\d,]+) (?:students?|on staff): {step}$", printed, re.M)
    )


@pytest.mark.long
def test_the_first_day_of_the_next_year_is_rehearsed_and_nothing_else_is_touched(
    district: District,
):
    before, requests = contents(district.var), len(district.requests())
    ended = district.run("operations", "rehearse", "2027-09-07")
    assert ended.returncode in (0, 2), ended.stderr
    assert contents(district.var) == before
    assert len(district.requests()) == requests, "a target was asked"

    graduates = """select count(*) from core.students join identity.lifecycle as lifecycle
    on lifecycle.person_id in
        (select person_id from identity.persons where source_key = students.student_number
        and population = 'student')
        where students.grade_code = '12' and students.enrolment_status = 'active'
        and lifecycle.state = 'active'
        and students.student_number not in (select student_number from core.enrolments group by all
        having count(*) > 1)"""
    (leaving,) = district.ask(graduates)[0]
    assert leaving
    assert moved(ended.stdout, "active -> leaving") == leaving
    (beginning,) = district.ask(
        "select count(*) from core.students where enrolment_status = 'preregistered' and"
        " admitted_on <= date '2027-09-07'"
    )[0]
    assert beginning
    assert moved(ended.stdout, "preregistered -> active") == beginning
    (gone,) = district.ask(
        "select count(*) from identity.lifecycle where state = 'suspended' and since > date"
        " '2026-10-01'"
    )[0]
    assert moved(ended.stdout, "suspended -> archived") == gone
    assert re.search(r"google users: update", ended.stdout), "nobody moves up a grade"
    assert "school 0747400" in ended.stdout


def test_a_rehearsal_looks_ahead_only(two_nights: District):
    ended = two_nights.run("operations", "rehearse", "2026-10-06", check=False)
    assert ended.returncode == 2
    assert (
        "a rehearsal looks ahead, and the last run was of 2026-10-06: choose a later day,"
        " AS_OF=2026-10-07" in ended.stderr
    )
    assert two_nights.run("operations", "rehearse", "next year", check=False).returncode == 2
