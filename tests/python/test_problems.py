"""The catalogue of problems: every row can be said, in Python and in SQL alike."""

from __future__ import annotations

import ast
import csv
import json
import re
from collections.abc import Iterator

import duckdb
import pytest
from conftest import ROOT
from macro_kit import MACROS, said

from common import problems
from common.findings import Finding


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


# ---------------------------------------------------------------- nobody decides by prose

ROOMS = ("common", "ingestion", "reverse_etl", "operations")
CUTS = {
    *("startswith", "endswith", "removesuffix", "removeprefix", "partition", "rpartition"),
    *("split", "rsplit", "find", "index"),
}
# what others wrote and no code of ours goes with: DuckDB, dbt, pydantic
SAID_BY_OTHERS = {
    ("common/store.py", "permission denied"),
    ("common/store.py", "corrupt database|not a valid duckdb|version number"),
    ("common/store.py", "PID (\\d+)"),
    ("common/settings.py", "which "),
    ("operations/failures.py", "enforced contract"),  # as dbt says it
    # what exporting systems put behind the rows
    ("ingestion/ends.py", "\\W*(?:trailer|"),
    ("ingestion/ends.py", "\\bend of (?:file"),
    ("common/printable.py", "(?si)\\b(?:original line"),
    ("common/printable.py", "\\s*(?:\\w+ Error in"),
    # a query, as it is turned into another engine's
    ("operations/warehouse.py", "^(?:with )?(\\w+) as"),
    ("operations/warehouse.py", "(?:with\\s+)?\\w+ as"),
    ("operations/warehouse.py", "(\\w+)\\.\\* /\\* but"),
    ("operations/warehouse.py", " /* but "),
    ("operations/build.py", "Compilation Error"),
    ("operations/build.py", "Parsing Error"),
    ("operations/schedule.py", "backup folder"),  # a key of its own table, as it is shown
    # no sentence: a place of one, cut out to be filled by the database; an OpenSSL heading
    ("reverse_etl/targets/fields.py", '^\\[(\\S+) eq "?([^"]*)"?\\]$'),
}
# columns whose texts are of people, rules or vendors, never of ours
NO_PROSE = (
    *("absence_code", "address", "user_principal_name", "position", "pattern", "name_letters"),
    *("table_name", "database_name"),
)


def prose(text: str) -> bool:
    return bool(re.search(r"[A-Za-z]{2,}:? .*|.* [A-Za-z]{2,}", text))


def told(node: ast.AST) -> Iterator[str]:
    """The texts a piece of code looks for in another text."""
    for one in ast.walk(node):
        looked_for: list[ast.expr] = []
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute):
            module = getattr(one.func.value, "id", "")
            if one.func.attr in CUTS:
                looked_for = one.args
            elif module == "re":
                looked_for = one.args[:1]
        elif isinstance(one, ast.Compare):
            looked_for = [one.left, *one.comparators]
        for expression in looked_for:
            parts = expression.elts if isinstance(expression, ast.Tuple) else [expression]
            yield from (
                part.value
                for part in parts
                if isinstance(part, ast.Constant) and isinstance(part.value, str)
            )


def test_no_python_looks_for_our_own_prose_in_a_text():
    """A vendor's text in targets/ has no code; everything of ours has one."""
    found = {
        (path.relative_to(ROOT).as_posix(), text)
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if "targets" not in path.parts
        for text in told(ast.parse(path.read_text(encoding="utf-8")))
        if prose(text)
    }
    assert {
        (path, text)
        for path, text in found
        if not any(path == where and text.startswith(known) for where, known in SAID_BY_OTHERS)
    } == set()


def test_no_sql_looks_for_our_own_prose_in_a_text():
    looks = re.compile(
        r"([\w.]+)\)?\s+(?:not\s+)?i?like\s+'|(?:starts_with|ends_with|contains|regexp_matches)"
        r"\(\s*([\w.]+)\s*,\s*'",
        re.IGNORECASE,
    )
    found = {
        (path.relative_to(ROOT).as_posix(), match[1] or match[2])
        for folder in ("models", "macros", "tests/dbt", *ROOMS)
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".sql", ".py") and "migrations" not in path.parts
        for match in looks.finditer(path.read_text(encoding="utf-8"))
    }
    assert len(found) >= 4, "the look-out itself sees something"
    assert {
        (path, column) for path, column in found if column.rpartition(".")[2] not in NO_PROSE
    } == set()


# ---------------------------------------------------------------- what the documents say


def test_every_code_when_it_fails_names_is_one_and_every_critical_one_can_be_found_there():
    """By its name, or by the beginning it shares with others: `feed_…`."""
    text = (ROOT / "docs" / "when-it-fails.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 20
    named = {code for row in rows for code in re.findall(r"`([a-z_]+…?)`", row[4])}
    known = {code for code, one in problems.catalogue().items() if one.level != "reason"}
    begins = {code.removesuffix("…") for code in named if code.endswith("…")}
    assert {code for code in named - known if not code.endswith("…")} == set()
    assert [start for start in begins if not any(code.startswith(start) for code in known)] == []
    assert {
        code
        for code in known
        if problems.problem(code).level == "critical"
        and code not in named
        and not code.startswith(tuple(begins))
    } == set()


def test_every_code_is_used_and_every_code_that_is_used_exists():
    """Also those put together from a word and a code."""
    text = "".join(
        path.read_text(encoding="utf-8")
        for folder in (*ROOMS, "models", "macros")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".sql") or path.name == "refusals.csv"
    )
    words = set(re.findall(r"[a-z_]+", text))
    made_of = ("record_", "rows_", "change_", "refused_", "waiting_")
    unused = {
        code
        for code in problems.catalogue()
        if code not in words
        and not any(code.startswith(one) and code.removeprefix(one) in words for one in made_of)
        and f"hold_{code.removeprefix('waiting_')}" not in words
    }
    assert unused <= {"model_failed", "test_failed"}, "f'{kind}_failed' of operations/build.py"


def test_adding_a_finding_is_a_row_the_place_that_finds_it_and_its_test(tmp_path, monkeypatch):
    """As docs/when-it-fails.md tells it, once, for a made-up code: one file of the product besides
    the one that finds it.
    """
    text = (ROOT / "docs" / "when-it-fails.md").read_text(encoding="utf-8")
    section = text[text.index("## Adding a finding") :]
    [row] = re.findall(r"```csv\n(.*?)\n```", section, re.S)
    [code] = re.findall(r"```python\n(.*?)\n```", section, re.S)
    catalogue = tmp_path / "problems.csv"
    catalogue.write_text(
        problems.CATALOGUE.read_text(encoding="utf-8") + row + "\n", encoding="utf-8"
    )
    monkeypatch.setattr(problems, "CATALOGUE", catalogue)
    problems.catalogue.cache_clear()
    try:
        found = eval(code, {"Finding": Finding})
        assert found.message == "myedbc people: 3 rows of People.csv have a bell in them"
        assert (found.level, found.owner) == ("warning", "technician")
        assert found.action == "ask why People.csv rings"
    finally:
        problems.catalogue.cache_clear()
    files = re.findall(r"^\d\. `([\w./]+)`", section, re.M)
    assert len(files) == 3 and all((ROOT / file).exists() for file in files)
