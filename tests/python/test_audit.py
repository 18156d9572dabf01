"""The cookbook's questions run, and answer."""

from __future__ import annotations

import os
import re

import pytest

from operations import audit


@pytest.fixture
def published(two_nights, monkeypatch):
    monkeypatch.setenv("HOMEROOM_VAR", str(two_nights.var))
    return two_nights


def values_for(question: audit.Question, district) -> dict[str, str]:
    student = district.ask(
        "select min(student_number) from core.students where enrolment_status = 'active'"
    )[0][0]
    return {name: {"person": student}[name] for name in question.parameters}


@pytest.mark.parametrize("number", range(1, len(audit.questions()) + 1))
def test_every_question_of_the_cookbook_runs(published, number):
    question = audit.questions()[number - 1]
    names, rows = audit.answer(question, values_for(question, published))
    assert names
    if not any(
        word in question.title for word in ("held", "failed", "changed by hand", "keeps failing")
    ):  # nothing of the kind happened
        assert rows, question.title


def test_the_cookbook_holds_ten_questions_or_more_each_with_its_sql():
    text = audit.COOKBOOK.read_text(encoding="utf-8")
    assert len(audit.questions()) == len(re.findall(r"^## ", text, re.M)) >= 10


def test_a_question_without_its_value_says_which(published):
    ended = published.run("operations", "audit", "1", check=False)
    assert ended.returncode == 2
    assert "needs a value for person" in ended.stderr


def test_before_the_first_night_the_audit_says_what_to_do(tmp_path):
    from conftest import District

    ended = District(tmp_path / "var").run("operations", "audit", "3", check=False)
    assert ended.returncode == 2
    assert "nothing is published yet" in ended.stderr
    assert os.sep in ended.stderr
