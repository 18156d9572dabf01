"""A year and a half in the life of one student, one teacher and one class, night after night, in
both platforms: what stands there is said beside each night by hand.
"""

from __future__ import annotations

import csv
import json
from datetime import date
from pathlib import Path

import pytest
from conftest import ROOT
from life_kit import (
    ADMITTED,
    ANNOUNCED,
    BACK,
    GONE,
    GRACE_OVER,
    GRADUATED,
    MIA,
    MOVED,
    ON_LEAVE,
    PREREGISTERED,
    REID,
    RENAMED,
    RETURNED,
    WITHDRAWN,
    Life,
)

from demo.places import PLATFORMS

ASH_12 = {"school-07474001-students", "grade-07474001-12", "homeroom-07474001-h12"}
FIR_12 = {"school-07474002-students", "grade-07474002-12", "homeroom-07474002-h12"}
ASH_STAFF, FIR_STAFF = "school-07474001-staff", "school-07474002-staff"
LEFT, CLOSED = date(2027, 9, 30), date(2028, 1, 20)
ELIGIBLE, DELETED = date(2028, 10, 20), date(2028, 11, 25)

# night -> the student: open or not, family name, groups
STUDENT = {
    PREREGISTERED: ("open", "Lund", set()),
    ADMITTED: ("open", "Lund", ASH_12),
    RENAMED: ("open", "Hartley", ASH_12),
    MOVED: ("open", "Hartley", FIR_12),
    WITHDRAWN: ("open", "Hartley", FIR_12),
    GRACE_OVER: ("closed", "Hartley", set()),
    BACK: ("open", "Hartley", FIR_12),
    ANNOUNCED: ("open", "Hartley", FIR_12),
    ON_LEAVE: ("open", "Hartley", FIR_12),  # and in a class at the other school
    RETURNED: ("open", "Hartley", FIR_12),
    GONE: ("open", "Hartley", FIR_12),
    GRADUATED: ("open", "Hartley", set()),
    LEFT: ("closed", "Hartley", set()),
    CLOSED: ("archived", "Hartley", set()),
    ELIGIBLE: ("archived", "Hartley", set()),
    DELETED: ("deleted", "Hartley", set()),
}
TEACHER = {
    PREREGISTERED: ("open", set()),
    ADMITTED: ("open", {ASH_STAFF}),
    RENAMED: ("open", {ASH_STAFF}),
    MOVED: ("open", {ASH_STAFF, FIR_STAFF}),  # shared by two schools
    WITHDRAWN: ("open", {ASH_STAFF, FIR_STAFF}),
    GRACE_OVER: ("open", {ASH_STAFF, FIR_STAFF}),
    BACK: ("open", {ASH_STAFF, FIR_STAFF}),
    ANNOUNCED: ("open", {ASH_STAFF, FIR_STAFF}),
    ON_LEAVE: ("open", set()),
    RETURNED: ("open", {ASH_STAFF, FIR_STAFF}),
    GONE: ("closed", set()),
    GRADUATED: ("archived", set()),
    LEFT: ("archived", set()),
    CLOSED: ("archived", set()),
    ELIGIBLE: ("archived", set()),
    DELETED: ("deleted", set()),
}
LISTED = {"Ana", "Ben", "Cal"}
JAZZ = {  # who leads it, who is in it, is it archived; before it is announced there is none
    ANNOUNCED: ("Eve", LISTED, False),
    ON_LEAVE: ("Sol", LISTED | {"Mia"}, False),
    RETURNED: ("Eve", LISTED | {"Mia"}, False),
    GONE: ("Sol", LISTED | {"Mia"}, False),
    GRADUATED: ("Sol", LISTED | {"Mia"}, True),
}


def seeds() -> dict[str, list[str]]:
    """The district's rows: a leave, and that deletion is switched on."""
    rules = (ROOT / "seeds" / "lifecycle_rules.csv").read_text(encoding="utf-8").splitlines()
    (heading,) = csv.reader(rules[:1])
    assert heading[-1] == "is_on"
    return {
        "lifecycle_rules": [
            line.removesuffix("false") + "true" if ",deleted," in line else line for line in rules
        ],
        "leaves": [
            "population,source_key,starts_on,ends_on,reason",
            f"staff,E{REID},{ON_LEAVE},2027-03-07,family",
        ],
    }


def judged(life: Life, night: date) -> list[str]:
    """What stands otherwise than the story says."""
    wrong = []
    for target in PLATFORMS:
        for number, (state, *names, groups) in ((MIA, STUDENT[night]), (REID, TEACHER[night])):
            # Microsoft archives nobody: what is archived stays closed there
            state = "closed" if (target, state) == ("microsoft", "archived") else state
            found = life.user(target, number)
            if found.state != state:
                wrong.append(f"{target} {number} is {found.state}, not {state}")
            if state == "open" and found.groups != groups:
                wrong.append(f"{target} {number} is in {sorted(found.groups)}")
            if state != "deleted" and not groups and found.groups:
                wrong.append(f"{target} {number} is still in {sorted(found.groups)}")
            if names and state == "open" and found.family != names[0]:
                wrong.append(f"{target} {number} is called {found.family}")
        jazz = life.jazz(target)
        if night < ANNOUNCED:
            wrong += [f"{target} has the class already"] if jazz else []
            continue
        lead, students, archived = JAZZ.get(night, JAZZ[GRADUATED])
        if jazz is None:
            wrong.append(f"{target} has no class")
            continue
        if night in JAZZ and night != GRADUATED and jazz.students != students:
            wrong.append(f"{target} class: {sorted(jazz.students)}")
        if night == GRADUATED and not jazz.students >= LISTED:
            wrong.append(f"{target} class lost {sorted(LISTED - jazz.students)}")
        # in Classroom whoever led it is taken out the night after
        if target == "google" and jazz.owner != lead:
            wrong.append(f"google class is {jazz.owner}'s")
        if lead not in jazz.teachers:
            wrong.append(f"{target} class is led by {sorted(jazz.teachers)}")
        if jazz.archived is not archived:
            wrong.append(f"{target} class is {'archived' if jazz.archived else 'open'}")
    return wrong


@pytest.mark.long
def test_a_student_a_teacher_and_a_class_live_through_their_years(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = Life(tmp_path)
    life.begin(seeds())
    monkeypatch.chdir(life.district.root)
    assert judged(life, PREREGISTERED) == []
    ids = {
        (target, number): life.user(target, number).remote_id
        for target in PLATFORMS
        for number in (MIA, REID)
    }
    address = life.user("google", MIA).address
    told = {}
    for night in list(STUDENT)[1:]:
        held = life.night(night)
        told[night] = [*judged(life, night), *(f"held: {one}" for one in held)]
        for (target, number), remote_id in ids.items():  # one account each, all the years
            if (found := life.user(target, number)).remote_id != remote_id:
                told[night].append(f"{target} {number} has another account, {found.state}")
    assert {night: wrong for night, wrong in told.items() if wrong} == {}, json.dumps(
        {str(night): wrong for night, wrong in told.items()}, indent=1
    )
    assert life.user("google", MIA).address == address  # a new name, the same address
