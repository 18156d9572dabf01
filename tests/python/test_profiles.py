"""A second district is configuration: its files, headings, feeds and policies are read as its
profile says.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from common import paths, settings, store
from ingestion import land, tables
from ingestion.__main__ import main
from ingestion.layout import LayoutError, load, of_district

PROFILE = Path(__file__).resolve().parents[2] / "docs" / "profiles" / "coastal.toml"
CONFIGURED = tomllib.loads(PROFILE.read_text(encoding="utf-8"))["sources"]["myedbc"]
ENHANCED = (
    "Pupil #,Legal First Name,Legal Surname,Usual First Name,Usual surname,Date of"
    " birth,Grade,School Number,Enrollment Status (Current)\r\n"
    '"100200","Zoë","O\'Brien","Zed","Bee",05-Sep-2015,"05","9898001","Active"\r\n'
    '"100300","Li","Ng","","",05-Sep-2010,"10","9898001","Active"\r\n'
)
DAILY = (
    '"9898001","100200","O\'Brien","Zoë","05","12","Ms.'
    ' Li",05-Oct-2026,"I","","Y","","","","A","","T1","0.5"\r\n'
)
PERIOD = (
    '"9898001","100300","Ng","Li","10","","Ms.'
    ' Li",05-Oct-2026,"MA10","A","","N","M1","A","T1","MA10",""\r\n'
)
BUSES = (
    "Student Number,Student Legal Last Name,Student Legal First Name,Grade,Homeroom,Teacher"
    " Name,Bus Route,Bus Number,Bus Stop Information\r\n"
)


def test_the_profile_of_another_district_reads_its_files_without_a_line_of_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from common import settings

    folder = tmp_path / "inbox"
    folder.mkdir()
    stops = BUSES + '"100200","O\'Brien","Zoë","05","12","","7","7","A & 3rd"\r\n'
    for name, text in {
        "Student_demo_enh.txt": ENHANCED,
        "ABS-K7.txt": DAILY,
        "ABS-812.txt": PERIOD,
        "Bus stops.csv": stops,
    }.items():
        (folder / name).write_text(text, encoding="cp1252", newline="")
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    monkeypatch.delenv("HOMEROOM_RUN", raising=False)
    real = settings.section
    # whatever reads them: what no model names is landed as well
    source = {**CONFIGURED, "location": str(folder), "land_unread": True}
    monkeypatch.setattr(
        settings,
        "section",
        lambda *names: {"myedbc": source} if names == ("sources",) else real(*names),
    )

    assert main([]) == 3, "the extracts that are not there are missing"
    status = {
        entry["feed"]: entry["status"]
        for entry in json.loads((paths.runs() / "latest" / "feeds.json").read_text())
    }
    assert list(status) == [
        feed.name for feed in load("myedbc").feeds if feed.name in CONFIGURED["feeds"]
    ]
    loaded = {
        "student_demographic_enhanced",
        "student_daily_absences",
        "student_period_absences",
        "transportation_information",
    }
    assert {feed for feed, what in status.items() if what == "loaded"} == loaded
    with store.connect() as connection:
        ask = lambda query: connection.execute(query).fetchall()  # noqa: E731 one line says it
        assert ask(
            "select student_number, legal_first_name, usual_first_name, usual_surname,"
            " enrolment_status from raw_myedbc.student_demographic_enhanced where student_number ="
            " '100200'"
        ) == [("100200", "Zoë", None, None, "Active")]
        assert ask(
            "select student_number, absent_code_am, portion_absent from"
            " raw_myedbc.student_daily_absences"
        ) == [("100200", "A", "0.5")]
        assert ask(
            "select student_number, school_course_code from raw_myedbc.student_period_absences"
        ) == [("100300", "MA10")]
        assert ask("select bus_stop_information from raw_myedbc.transportation_information") == [
            ("A & 3rd",)
        ]
        assert ask("select count(*) from raw_myedbc.emergency_contact_information") == [(0,)], (
            "the models still find the table"
        )


def test_a_district_gets_the_eleven_extracts_in_use_unless_it_says_otherwise() -> None:
    assert len(of_district(load("myedbc")).feeds) == 11
    assert [
        feed.name for feed in of_district(load("myedbc"), feeds=["sibling_information"]).feeds
    ] == ["sibling_information"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"feeds": ["siblings"]}, "has no feed siblings; it has school_details"),
        ({"files": {"sibling": ["*"]}}, "has no feed sibling"),
        ({"aliases": {"Schule": "School"}}, "School is no column of any feed"),
        (
            {"leave_empty": ["Student number"]},
            "student_number is required and cannot be left empty",
        ),
    ],
)
def test_a_profile_with_a_mistake_is_told(settings: dict, told: str) -> None:
    with pytest.raises(LayoutError, match=told):
        of_district(load("myedbc"), **settings)


def test_tables_of_a_source_that_is_not_configured_or_not_delivered_are_there_and_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Models build on the first nights of a district whose human resources feed comes later."""
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    facts: dict[str, dict] = {}
    monkeypatch.setattr(
        settings,
        "section",
        lambda *names: facts if names == ("sources",) else facts.get(names[1], {}),
    )
    columns = (
        "select column_name from information_schema.columns where table_schema = 'raw_hr' and"
        " table_name = 'employees' order by ordinal_position"
    )
    wanted = [column.name for column in load("hr").feeds[0].columns]
    with store.connect():
        pass
    tables.ensure_tables()
    with store.connect() as connection:
        assert [row[0] for row in connection.execute(columns).fetchall()] == [
            *wanted,
            *land.PROVENANCE,
        ]
        assert connection.execute("select count(*) from raw_hr.employees").fetchone() == (0,)
        assert connection.execute("select count(*) from raw_oneroster.users").fetchone() == (0,)

    # as the district configures it, its own columns stay; a source that makes no sense leaves the
    # usual ones
    facts["hr"] = {
        "kind": "sql",
        "land_unread": True,
        "tables": {"employees": {"columns": [*wanted, "union"], "key": ["staff_id"]}},
    }
    facts["myedbc"] = {"kind": "no such kind"}
    tables.ensure_tables()
    with store.connect() as connection:
        assert {row[0] for row in connection.execute(columns).fetchall()} == {
            *wanted,
            "union",
            *land.PROVENANCE,
        }
        assert connection.execute(
            "select count(*) from raw_myedbc.student_schedule"
        ).fetchone() == (0,)


def test_employees_come_from_a_file_as_well_as_from_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Employees-2026.csv").write_text(
        "Staff ID,First Name,Last Name,School Number\r\n20001,Zoë,Ng,7474001.0\r\n",
        encoding="cp1252",
    )
    for name, value in {"VAR": "", "KIND": "files", "LOCATION": tmp_path, "LAYOUT": "hr"}.items():
        monkeypatch.setenv(
            f"SOURCES__HR__{name}" if value else "HOMEROOM_VAR", str(value or tmp_path / "var")
        )
    monkeypatch.delenv("HOMEROOM_RUN", raising=False)
    assert main(["--source", "hr"]) == 0
    with store.connect() as connection:
        assert connection.execute(
            "select staff_id, first_name, school_number, email from raw_hr.employees"
        ).fetchall() == [("20001", "Zoë", "7474001", None)]
