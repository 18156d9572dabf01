"""`make year`: the judge notices what is wrong, and finds nothing in the year as we live it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from conftest import ROOT

from demo.year import SHORT, Account, compared, every
from demo.year_district import CEDAR, ELM, Place, State

PLACE = Place(True, frozenset({"grade-1", "school-1"}), "/Students/A/01", True)
RIGHT = Account("1", True, frozenset({"grade-1", "school-1"}), "/Students/A/01")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([RIGHT], []),
        ([], ["1 has no account"]),
        ([RIGHT, RIGHT], ["1 people have two accounts"]),
        ([replace(RIGHT, is_open=False)], ["1 is closed"]),
        (
            [replace(RIGHT, groups=frozenset({"school-1"}))],  # between two grades
            ["1 lacks ['grade-1'] and is in []"],
        ),
        ([replace(RIGHT, groups=RIGHT.groups | {"grade-2"})], ["1 lacks [] and is in ['grade-2']"]),
        (
            [replace(RIGHT, unit="/Students/B/01")],
            ["1 stands in /Students/B/01, not /Students/A/01"],
        ),
        ([replace(RIGHT, unit=None)], []),  # a platform without units
        ([RIGHT, replace(RIGHT, number="2")], ["2 is nobody's"]),
    ],
)
def test_the_judge_says_what_is_not_as_the_districts_state_says(
    found: list[Account], said: list[str]
) -> None:
    assert list(compared({"1": PLACE}, found)) == said


def test_whoever_left_may_be_open_for_their_days_and_in_no_group_after() -> None:
    closed = Place(False, frozenset(), None, False)
    gone = Account("1", False, frozenset(), "/Leavers")
    assert list(compared({"1": closed}, [gone])) == []
    assert list(compared({"1": closed}, [])) == []
    assert list(compared({"1": closed}, [replace(gone, is_open=True)])) == ["1 is open"]
    assert list(compared({"1": replace(closed, is_open=None)}, [replace(gone, is_open=True)])) == []


def test_everybody_has_one_place_each_day_and_every_file_is_written(tmp_path: Path) -> None:
    """On each night that is judged: nobody in two grades, nobody at a school that is closed."""
    for night in SHORT:
        state = State(night.day)
        state.write(tmp_path / "files", tmp_path / "hr.sqlite")
        for child, status in state.listed():
            place = state.student(child)
            grades = [group for group in place.groups or () if group.startswith("grade-")]
            assert len(grades) == (status == "Active")
            assert not any(CEDAR in group for group in place.groups or () if night.day.month == 9)
    assert len(list((tmp_path / "files").iterdir())) == 11
    before, after = State(date(2027, 6, 30)), State(date(2027, 7, 1))
    assert before.name_of(ELM) != after.name_of(ELM)
    assert {CEDAR} == {*before.schools()} - {*after.schools()}


def test_two_years_hold_every_turning_day_and_no_weekend() -> None:
    nights = [night.day for night in every()]
    assert {night.day for night in SHORT} <= set(nights)
    assert nights == sorted(set(nights))
    assert all(day.weekday() < 5 for day in nights)
    assert nights[-1] - nights[0] > timedelta(days=730)


@pytest.mark.long
def test_a_year_passes_and_nobody_types_anything(tmp_path: Path) -> None:
    var = tmp_path / "var"
    var.mkdir(mode=0o700)
    ended = subprocess.run(
        [sys.executable, "-m", "demo", "year"],
        cwd=ROOT,
        env=os.environ | {"HOMEROOM_VAR": str(var), "HOMEROOM_QUIET": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=7200,
    )
    assert ended.returncode == 0, ended.stdout[-6000:]
