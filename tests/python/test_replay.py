"""What the archive is for: an old night again, a school that lost its rows, files that may go."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, District

pytestmark = pytest.mark.slow

# Of the district's three schools two are large enough to be watched: one of them may collapse
# without the feed being refused.
TWO_SCHOOLS = {"TRUST__MAX_LOST_PARTITIONS": "0.6"}


def test_an_old_night_is_built_again_and_its_exports_are_equal(district: District) -> None:
    warehouse, ledger = (
        (district.var / name).read_bytes() for name in ("warehouse.duckdb", "ledger.duckdb")
    )
    ended = district.run("operations", "replay", "2026-10-05")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    lines = [line.split() for line in ended.stdout.splitlines() if line.startswith("  exp_")]
    has = ("google", "microsoft", "portfolio", "callout", "transport")  # all others are off
    files = [file for one in has for file in (ROOT / "models" / "exports" / one).glob("exp_*.sql")]
    assert sorted(line[0] for line in lines) == sorted(file.stem for file in files)
    assert {line[1] for line in lines} == {"equal"}, ended.stdout
    assert (district.var / "warehouse.duckdb").read_bytes() == warehouse
    assert (district.var / "ledger.duckdb").read_bytes() == ledger
    assert (district.var / "replay" / "2026-10-05" / "warehouse.duckdb").is_file()


def test_what_a_night_recorded_of_its_exports_holds_no_value_of_a_person(
    two_nights: District,
) -> None:
    run = (two_nights.var / "runs" / "latest").resolve()
    recorded = json.loads((run / "exports.json").read_text(encoding="utf-8"))
    assert (
        recorded["exp_google__users"]["rows"]
        == two_nights.ask("select count(*) from exports.exp_google__users")[0][0]
    )
    assert {len(one["sha256"]) for one in recorded.values()} == {64}
    kept = (run / "exports.parquet").read_bytes()
    for (name,) in two_nights.ask(
        "select distinct family_name from exports.exp_google__users where length(family_name) > 4"
    ):
        assert name.encode() not in kept


def test_a_night_that_is_gone_is_refused_with_the_nights_that_are_there(
    two_nights: District,
) -> None:
    ended = two_nights.run("operations", "replay", "2026-09-01")
    assert ended.returncode == 2
    assert (
        "no finished night of 2026-09-01 recorded its exports; the latest that did are 2026-10-05,"
        " 2026-10-06" in ended.stderr
    )
    assert two_nights.run("operations", "replay", "yesterday").returncode == 2


def test_a_night_whose_file_is_gone_from_the_archive_says_which(
    district: District, tmp_path: Path
) -> None:
    shutil.rmtree(district.var / "archive" / "myedbc" / "parent_information")
    ended = district.run("operations", "replay", "2026-10-05")
    assert ended.returncode == 2
    assert "myedbc parent_information: ParentInformation.csv of that night (sha256 " in ended.stderr


@pytest.mark.long
def test_a_rule_edited_since_shows_as_rows_that_differ(district: District, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    shutil.copytree(
        district.root,
        checkout,
        ignore=shutil.ignore_patterns(
            ".venv", ".git", "var", "__pycache__", ".pytest_cache", ".hypothesis"
        ),
    )
    rule = checkout / "seeds" / "org_unit_rules.csv"
    rule.write_text(
        rule.read_text(encoding="utf-8").replace("/Students/", "/Learners/"), encoding="utf-8"
    )
    ended = District(district.var, checkout).run("operations", "replay", "2026-10-05")
    assert ended.returncode == 3, ended.stdout + ended.stderr
    said = {
        line.split()[0]: line for line in ended.stdout.splitlines() if line.startswith("  exp_")
    }
    students = district.ask(
        "select count(*) from exports.exp_google__users where population = 'student' and"
        " org_unit_path like '/Students/%'"
    )[0][0]
    assert "rows differ" in said["exp_google__users"]
    assert abs(int(said["exp_google__users"].split()[1]) - students) <= 5
    assert "equal" in said["exp_microsoft__users"]


def test_one_school_cut_from_the_student_feed_holds_that_school_alone_and_suspends_nobody(
    district: District,
) -> None:
    students = district.var / "demo" / "extracts" / "StudentDemographicEnhanced.txt"
    lines = [
        line for line in students.read_bytes().splitlines(keepends=True) if b"7474002" not in line
    ]
    students.write_bytes(b"".join(_renamed(lines, "Moss")))

    assert district.planned(**TWO_SCHOOLS) == 2

    run = district.summaries()[-1]["run_id"]
    feed = next(
        entry
        for entry in json.loads((district.var / "runs" / run / "feeds.json").read_text())
        if entry["feed"] == "student_demographic_enhanced"
    )
    assert (feed["status"], feed["held_partitions"], feed["hold"]) == ("loaded", ["07474002"], "")
    changes = district.rows(
        "select * from audit.changes where run_id = ? and target in ('google', 'microsoft')", run
    )
    assert {
        change["status"]
        for change in changes
        if change["action"] in ("suspend", "remove", "delete")
    } <= {"held"}
    assert {change["status"] for change in changes if change["hold"]} <= {"held"}
    free = [change for change in changes if change["status"] == "not pushed"]
    assert {change["target"] for change in free if "Moss" in change["new"]} == {
        "google",
        "microsoft",
    }
    assert {change["school_number"] for change in free} == {"07474001"}
    sentences = [hold for row in district.summaries()[-1]["targets"] for hold in row["holds"]]
    assert sentences
    assert all(
        "of school 07474002 held, because its rows are missing from"
        " myedbc.student_demographic_enhanced" in sentence
        for sentence in sentences
    )
    told = district.ask(
        "select school_number, message from audit.findings where run_id = ? and code ="
        " 'school_held'",
        run,
    )
    assert [school for school, _ in told] == ["07474002"]


def _renamed(lines: list[bytes], first_name: str) -> list[bytes]:
    """The feed with another usual first name for the first active student of the first school."""
    heading = [name.lower() for name in next(csv.reader([lines[0].decode("utf-8-sig")]))]
    for at, line in enumerate(lines[1:], 1):
        values = next(csv.reader([line.decode("utf-8")]))
        if (
            values[heading.index("school number")] == "7474001"
            and values[heading.index("enrolment status")] == "Active"
        ):
            values[heading.index("usual first name")] = first_name
            return [
                *lines[:at],
                (",".join(f'"{value}"' if value else "" for value in values) + "\r\n").encode(),
                *lines[at + 1 :],
            ]
    pytest.fail("school 7474001 has no active student")


def test_the_archive_lets_go_of_old_files_but_never_of_the_last_good_ones(
    district: District,
) -> None:
    """Every night is older than the days: only what the last good files are for keeps them."""
    code = (
        'from common import store\nwith store.connect() as c: c.execute("update'
        ' ledger.audit.source_files set read_at = read_at - interval 40 day")'
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=district.environment(), check=True)
    every = set((district.var / "archive").rglob("*.gz"))
    settings = {"ARCHIVE__KEEP_DAYS": "30", "SOURCES__HR__KEEP_DAYS": "3000"}

    said = district.run("ingestion", "retention", **settings).stdout
    assert set((district.var / "archive").rglob("*.gz")) == every
    assert "nothing was deleted" in said
    assert "hr: 0 files older than 3000 days" in said

    district.run("ingestion", "retention", "--really", **settings)
    left = set((district.var / "archive").rglob("*.gz"))
    assert left < every
    gone = {path.relative_to(district.var).as_posix() for path in every - left}
    assert gone == {
        line.strip().replace("myedbc/", "archive/myedbc/", 1)
        for line in said.splitlines()
        if line.startswith("  myedbc/")
    }
    in_force = {
        row[0]
        for row in district.ask(
            "select arg_max(archived_as, read_at) from audit.source_files where archived_as is not"
            " null group by source, feed"
        )
    }
    assert in_force & gone == set()
    assert {(district.var / name).is_file() for name in in_force} == {True}


def test_what_the_ledger_knew_of_people_goes_with_the_files_of_its_night(
    district: District,
) -> None:
    nights = sorted(folder.parent for folder in (district.var / "runs").glob("2*Z-*/memory"))
    old = nights[0].rename(nights[0].with_name("20200101T100000Z-abcd"))
    facts = json.loads((old / "run.json").read_text()) | {"run_id": old.name, "as_of": "2020-01-01"}
    (old / "run.json").write_text(json.dumps(facts))
    said = district.run("ingestion", "retention", ARCHIVE__KEEP_DAYS="30").stdout
    assert "runs/20200101T100000Z-abcd/memory" in said
    assert (old / "memory").is_dir()
    district.run("ingestion", "retention", "--really", ARCHIVE__KEEP_DAYS="30")
    assert [(night / "memory").is_dir() for night in (old, *nights[1:])] == [False] + [True] * (
        len(nights) - 1
    )
    ended = district.run("operations", "replay", "2020-01-01", check=False)
    assert "what the ledger knew on the night of 2020-01-01 is past its keep_days" in ended.stderr


def test_keeping_days_that_make_no_sense_are_an_error(two_nights: District) -> None:
    ended = two_nights.run("ingestion", "retention", check=False, ARCHIVE__KEEP_DAYS="0")
    assert ended.returncode == 1
    assert "keep_days is 0; it must be a whole number, 1 or more" in ended.stderr
    assert os.environ.get("ARCHIVE__KEEP_DAYS") is None
