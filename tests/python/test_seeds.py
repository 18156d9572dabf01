"""Seeds as a spreadsheet saves them: what would be another table without anybody noticing is said,
with its line and column.
"""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, District

from common import paths
from operations import seeds


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the seeds, for a test to spoil."""
    monkeypatch.setattr(paths, "root", lambda: tmp_path)
    return Path(shutil.copytree(ROOT / "seeds", tmp_path / "seeds"))


def changed(old: str, new: str):
    return lambda content: content.replace(old.encode(), new.encode(), 1)


# name -> (seed, what was done to it, what is said)
SPOILED = {
    "saved as plain CSV": (
        "org_unit_rules",
        lambda b: b + "staff,,,Général,/Staff\n".encode("cp1252"),
        "line 4: byte 0xE9 is no UTF-8; nothing is built",
    ),
    "separated by semicolons": (
        "org_unit_rules",
        lambda b: b.replace(b",", b";"),
        "line 1: its values are not separated by commas",
    ),
    "a heading changed": (
        "org_unit_rules",
        changed("org_unit\n", "unit\n"),
        "line 1: its headings have no org_unit, 'unit', which is none; they are",
    ),
    "a heading twice": (
        "org_unit_rules",
        changed("position,org_unit\n", "position,position\n"),
        "line 1: its headings have no org_unit, position twice",
    ),
    "a value too few": (
        "org_unit_rules",
        lambda b: b + b"student,07474001,,/X\n",
        "line 4: 5 headings, but 4 here; a value with a comma",
    ),
    "a comma too many": (
        "org_unit_rules",
        lambda b: b + b"student,07474001,,,/X,Y\n",
        "line 4: 5 headings, but 6 here",
    ),
    "a quote nobody closed": (
        "org_unit_rules",
        lambda b: b + b'student,"07474001,,,/X\n',
        "line 4: it is no CSV (unexpected end of data)",
    ),
    "a zero dropped": (
        "org_unit_rules",
        lambda b: b + b"student,7474001,,,/X\n",
        "line 4, column school_number: '7474001' is no school number: 8 digits",
    ),
    "a grade become a number": (
        "org_unit_rules",
        lambda b: b + b"student,,7,,/X\n",
        "line 4, column grade_code: '7' is no grade of seeds/grades.csv",
    ),
    "a space behind": (
        "org_unit_rules",
        lambda b: b + b"student ,,,,/X\n",
        "line 4, column population: a space before or after the value",
    ),
    "a day turned round": (
        "school_calendar",
        changed("2026-07-01", "7/1/2026"),
        "line 2, column starts_on: '7/1/2026' is no date; write 2027-09-07",
    ),
    "a word for a boolean": (
        "grades",
        changed("true", "yes"),
        "'yes' is no boolean; write true or false",
    ),
    "a decimal for a count": (
        "name_policy",
        changed(",64,", ",64.0,"),
        "line 2, column max_length: '64.0' is no integer; write a whole number",
    ),
    "emptied": (
        "org_unit_rules",
        lambda _: b"",
        "line 1: its headings have no population, no school_number,",
    ),
}


@pytest.mark.parametrize("how", SPOILED)
def test_a_seed_that_a_spreadsheet_spoiled_is_said_with_its_line(folder: Path, how: str):
    name, spoil, sentence = SPOILED[how]
    path = folder / f"{name}.csv"
    path.write_bytes(spoil(path.read_bytes()))
    [finding], spoiled, readable = seeds.trouble()
    assert sentence in finding.message
    assert (finding.code, finding.owner, finding.file, spoiled) == (
        "seed_wrong" if readable else "seed_unreadable",
        "analyst",
        f"seeds/{name}.csv",
        [name],
    )
    assert readable is (how != "saved as plain CSV")


def test_what_a_spreadsheet_may_do_is_taken(folder: Path):
    """A byte order mark, lines that end as on Windows, TRUE for true, quotes nobody needs, an empty
    line at the end, columns in another order.
    """
    for path in folder.glob("*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            rows = [list(reversed(row)) for row in csv.reader(file)]
        with path.open("w", newline="", encoding="utf-8-sig") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL).writerows(
                [value.upper() if value in ("true", "false") else value for value in row]
                for row in rows
            )
            file.write("\r\n")
    assert seeds.trouble() == ([], [], True)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda yml: yml + "  - name: x\n bad: [\n",
        lambda _: "",
        lambda yml: yml.replace("seeds:", "seed:"),
    ],
)
def test_a_description_that_is_no_yaml_is_left_to_dbt_to_refuse(folder: Path, spoil):
    described = folder / "_seeds.yml"
    described.write_text(spoil(described.read_text(encoding="utf-8")), encoding="utf-8")
    (folder / "portfolio_roles.csv").unlink()
    assert seeds.trouble() == ([], [], True)


@pytest.mark.slow
def test_columns_in_another_order_decide_the_same_and_a_spoiled_seed_stops_only_what_rests_on_it(
    district: District, tmp_path: Path
):
    checkout = tmp_path / "checkout"
    shutil.copytree(
        district.root,
        checkout,
        ignore=shutil.ignore_patterns(
            ".venv", ".git", "var", "__pycache__", ".pytest_cache", ".hypothesis"
        ),
    )
    rules, grades = (
        checkout / "seeds" / "org_unit_rules.csv",
        checkout / "seeds" / "portfolio_grades.csv",
    )
    with rules.open(newline="", encoding="utf-8") as file:
        rows = [list(reversed(row)) for row in csv.reader(file)]
    with rules.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([*rows, ["/Students/Seven", "", "07", "", "student"]])
    grades.write_text(grades.read_text(encoding="utf-8") + "one value alone\n", encoding="utf-8")

    assert District(district.var, checkout).planned() == 2
    places = dict(
        district.ask(
            "select people.grade_code, min(org_unit_path) from exports.exp_google__users join"
            " identity.account_holders as people using (person_id) where people.population ="
            " 'student' and not suspended group by 1"
        )
    )
    assert places["07"] == "/Students/Seven"
    assert places["06"].startswith("/Students/") and places["06"].endswith("/06")
    assert district.ask("select file from audit.findings where code = 'seed_wrong'") == [
        ("seeds/portfolio_grades.csv",)
    ]
    planned = {(one["target"], one["entity"]): one for one in district.summaries()[-1]["targets"]}
    assert planned["google", "users"]["planned"], "those in grade 7 move"
    assert all(
        one["holds"] and not one["planned"]
        for (target, _), one in planned.items()
        if target == "portfolio"
    )


def test_what_may_stand_empty_says_so_in_its_key_too():
    """A column of a seed's key that its description says may be empty: the key takes the
    empty ones, or the row of the documentation fails the build.
    """
    wrong = []
    for described in sorted((ROOT / "seeds").glob("_*.yml")):
        for seed in yaml.safe_load(described.read_text(encoding="utf-8"))["seeds"]:
            said = {one["name"]: one.get("description", "") for one in seed.get("columns", [])}
            for test in seed.get("data_tests", []):
                key = test.get("unique_combination_of_columns") if isinstance(test, dict) else None
                for name in key["arguments"]["columns"] if key else ():
                    may = name in key["arguments"].get("may_be_null", ())
                    if re.search(r"\b[Ee]mpty\b", said.get(name, "")) and not may:
                        wrong.append(f"{seed['name']}.{name}: {said[name]}")
    assert wrong == []
