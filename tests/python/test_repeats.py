"""What every night says again is folded; what comes is said a week ahead."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from night_kit import finding, night
from rich.console import Console

from common import findings
from common.findings import Finding
from common.paths import project
from common.runs import Run
from operations import coming, page, repeats, report, status


@pytest.fixture(autouse=True)
def _state(tmp_path, monkeypatch):
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))


def stale() -> Finding:
    return finding("warning", "feed_stale", "The same for a week.", source="hr", feed="employees")


def word(key: str = "Gone") -> Finding:
    return finding("warning", "unknown_status", "A new word.", key=key)


def lost() -> Finding:
    return finding("critical", "feed_empty", "It is empty.", source="hr", feed="leave")


def told(run: Run) -> tuple[list[str], list[str]]:
    fresh, stand = repeats.apart(run, findings.read(run))
    return [one["code"] for one in fresh], [one.sentence for one in stand]


def test_what_three_nights_said_before_is_one_line_with_since_when(capsys):
    older = replace(stale(), values={**stale().values, "said": "The same for longer."}, line=7)
    night(0, found=(word(),))
    for number in (1, 2, 3):
        run, _ = night(number, found=(stale(), word(), lost()))
    assert told(run) == (
        ["feed_stale", "feed_empty"],
        ["unknown_status: 1 finding as before, since the night of 2026-10-01; A new word."],
    )
    run, _ = night(4, found=(older, word(), lost(), word("Left")))
    fresh, stand = told(run)
    assert fresh == ["feed_empty", "unknown_status"], "another word is new, and critical stays"
    assert stand == [
        "feed_stale: 1 finding as before, since the night of 2026-10-02; The same for longer.",
        "unknown_status: 1 finding as before, since the night of 2026-10-01; A new word.",
    ]
    report._print_findings(run, Console(width=200, no_color=True))
    said = capsys.readouterr().out
    assert said.count("since the night of") == 2
    assert "It is empty." in said


def test_a_night_without_it_begins_anew_and_so_many_of_a_kind_are_one_line():
    for number in range(5):
        many = tuple(word(str(at)) for at in range(4))
        run, _ = night(number, found=many if number != 1 else (), verb="nightly")
    assert told(run)[1] == [], "two nights before tonight, and then none"
    night(5, found=many, verb="ingest")
    run, _ = night(6, found=many)
    assert told(run)[1] == [
        "unknown_status: 4 findings as before, since the night of 2026-10-03; the first:"
        " A new word."
    ]


def test_the_page_folds_what_three_nights_said_and_says_what_comes(monkeypatch):
    monkeypatch.setattr("operations.coming.lines", lambda today: [f"rollover after {today}"])
    for number in range(4):
        run, summary = night(number, found=(stale(), word(), lost()))
    said = page.write(run, summary).read_text(encoding="utf-8")
    assert "<li>Coming: rollover after 2026-10-04</li>" in said
    stand = said[said.index("As on the nights before") :]
    assert said.count("The same for a week.") == stand.count("The same for a week.") == 1
    assert "feed_stale: 1 finding as before, since the night of 2026-10-01;" in stand
    assert "It is empty." not in stand[: stand.index("</section>")]
    assert "unknown status" not in said, "no kind of its own"


def test_dates_of_a_rollover_are_said_a_week_ahead(tmp_path, monkeypatch, capsys):
    seeds = tmp_path / "project" / "seeds"
    seeds.mkdir(parents=True)
    for file in (project() / "seeds").glob("*.*"):
        (seeds / file.name).write_bytes(file.read_bytes())
    (seeds / "district_events.csv").write_text(
        "event,school_number,to_school_number,starts_on,ends_on,why\n"
        "rollover,,,2027-07-01,2027-07-14,The year turns\n"
        "closes,07474003,07474001,2027-06-30,2027-09-30,Cedar closes\n",
        encoding="utf-8",
    )
    monkeypatch.setattr("operations.seeds.paths.project", lambda: tmp_path / "project")
    assert coming.lines(date(2027, 6, 22)) == []
    rollover = "rollover, 2027-07-01 to 2027-07-14: The year turns"
    assert [line.partition(",")[0] for line in coming.lines(date(2027, 6, 23))] == [
        "closes of 07474003"
    ]
    assert coming.lines(date(2027, 6, 24))[1:] == [
        rollover,
        "summer of students, 2027-07-01 to 2027-09-06: timers stand, class lists keep",
    ]
    assert rollover in coming.lines(date(2027, 7, 14))
    assert rollover not in coming.lines(date(2027, 7, 15))
    assert coming.lines(date(2027, 8, 31))[-1].endswith("timers stand, class lists when filled")
    night(1)
    monkeypatch.setenv("HOMEROOM_AS_OF", "2027-07-02")
    status.show(Console(width=120, no_color=True))
    assert f"Coming:    {rollover}" in capsys.readouterr().out
