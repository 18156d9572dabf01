"""The catalogue of problems: every row can be said, in Python and in SQL alike."""

from __future__ import annotations

import csv
import json

import duckdb
import pytest
from macro_kit import MACROS, said

from common import problems


def test_the_catalogue_is_sorted_by_code_and_every_row_is_whole():
    with problems.CATALOGUE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    codes = [row["code"] for row in rows]
    assert codes == sorted(set(codes))
    assert [row["code"] for row in rows if row["level"] not in problems.LEVELS] == []
    assert [row["code"] for row in rows if not row["code"].replace("_", "").isalpha()] == []
    assert [row for row in rows if not row["sentence"] or None in row.values() or None in row] == []
    assert [row["code"] for row in rows for cell in row.values() if cell != cell.strip()] == []


@pytest.mark.parametrize("code", sorted(problems.catalogue()))
def test_a_sentence_is_the_same_in_python_and_in_sql(code):
    one = problems.problem(code)
    values = {name: f"<{name}>" for name in sorted(one.places())}
    values.update(dict.fromkeys(list(values)[::2], 12345))
    with duckdb.connect() as connection:
        for text, of in ((one.sentence, problems.sentence), (one.action, problems.action)):
            assert said(connection, "rendered", text, json.dumps(values)) == of(code, values)
    assert "{" not in problems.sentence(code, values)


def test_a_place_is_filled_once_and_a_value_is_no_place():
    values = {"column": "{key}", "key": 1200, "rows": "3 rows"}
    expected = (
        "The {key} of 3 rows is 1,200, which is no status anybody knows; the students keep the"
        " status of the last good night."
    )
    assert problems.sentence("unknown_status", values) == expected
    with duckdb.connect() as connection:
        text = problems.problem("unknown_status").sentence
        assert said(connection, "rendered", text, json.dumps(values)) == expected


def test_a_code_nobody_knows_and_a_value_nobody_gave_are_refused():
    with pytest.raises(problems.UnknownProblemError, match="'made_up' is no code of common"):
        problems.sentence("made_up")
    with pytest.raises(problems.UnknownProblemError, match=r"unknown_grade: no value for {column}"):
        problems.sentence("unknown_grade", {"key": "1"})


def test_values_are_json_and_nothing_stands_for_null():
    with duckdb.connect() as connection:
        made = MACROS.problem_values({"rows": "2", "file": "cast(null as varchar)"})
        (values,) = connection.execute(f"select cast({made} as varchar)").fetchone()
        assert json.loads(values) == {"rows": 2, "file": None}
        assert said(connection, "rendered", "{rows} of {file}.", values) == "2 of ."
        assert said(connection, "rendered", "Nothing to say.", None) == "Nothing to say."
