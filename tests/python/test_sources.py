"""Several sources in one night: whatever becomes of one, the others are read, and what rests on it
waits.
"""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
from library_kit import Library, people

from common import paths
from ingestion import __main__ as verb
from ingestion import fetch


@pytest.fixture
def twin(library: Library, monkeypatch: pytest.MonkeyPatch) -> Library:
    """A second source like the library, read after it; both have lived a good night."""
    library.good_night()
    folder = library.folder.with_name("twin")
    shutil.copytree(library.folder, folder)
    for name in ("KIND", "LAYOUT"):
        monkeypatch.setenv(
            f"SOURCES__TWIN__{name}", verb.settings.section("sources", "library")[name.lower()]
        )
    monkeypatch.setenv("SOURCES__TWIN__LOCATION", str(folder))
    assert library.ingest("--source", "twin") == 0
    for place in (folder, library.folder):  # there is something new in both
        (place / "People.csv").write_text(people(11), encoding="utf-8")
    return library


def entries(source: str) -> dict[str, dict[str, Any]]:
    every = json.loads((paths.runs() / "latest" / "feeds.json").read_text())
    return {entry["feed"]: entry for entry in every if entry["source"] == source}


def rows(twin: Library) -> list[int]:
    return [
        twin.ask(f"select count(*) from raw_{source}.people")[0][0]
        for source in ("library", "twin")
    ]


def test_settings_of_one_source_that_cannot_be_followed_cost_the_others_nothing(
    twin: Library, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SOURCES__LIBRARY__LAYOUT", "libary")
    assert twin.ingest("--source", "twin") == 3
    assert rows(twin) == [40, 44]
    assert {entry["status"] for entry in entries("twin").values()} == {"loaded", "unchanged"}
    assert {name: entry["hold"] for name, entry in entries("library").items()} == dict.fromkeys(
        ("loans", "people", "schools", "visits"), "missing, its settings cannot be followed"
    )
    [told] = twin.findings("critical")
    assert (told["code"], told["source"]) == ("settings_wrong", "library")
    assert "there is no layout" in told["message"] and "the other sources go on" in told["message"]


def test_a_threshold_that_is_no_number_is_one_sentence(
    twin: Library, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SOURCES__LIBRARY__MIN_ROW_RATIO", "half")
    assert twin.ingest("--source", "twin") == 3
    assert rows(twin) == [40, 44]
    assert (
        "[sources.library] min_row_ratio is 'half'; it must be a number between 0 and 1"
        in twin.findings("critical")[0]["message"]
    )


def test_a_surprise_in_one_source_quotes_nobody_and_stops_no_other(
    twin: Library, monkeypatch: pytest.MonkeyPatch
):
    whole, quoted = fetch.fetch, "Sürname, 10000"

    def stumble(source: str, *more: Any):
        if source == "library":
            raise RuntimeError(quoted)
        return whole(source, *more)

    monkeypatch.setattr(fetch, "fetch", stumble)
    assert twin.ingest("--source", "twin") == 3
    assert rows(twin) == [40, 44]
    assert {entry["hold"] for entry in entries("library").values()} == {
        "missing, it could not be read tonight"
    }
    [told] = twin.findings("critical")
    assert (
        told["code"] == "source_failed"
        and "in a way nobody expected (RuntimeError)" in told["message"]
    )
    said = twin.said()
    assert "in stumble" in said, "whoever is to mend it sees where"
    assert "Sürname" not in said + json.dumps(told, ensure_ascii=False)


@pytest.mark.parametrize(
    ("during", "landed", "missing"),
    [("library", [40, 40], ("library", "twin")), ("twin", [44, 40], ("twin",))],
)
def test_what_a_killed_ingestion_did_not_come_to_is_missing(
    twin: Library,
    monkeypatch: pytest.MonkeyPatch,
    during: str,
    landed: list[int],
    missing: tuple[str, ...],
):
    whole = verb.ingest

    def killed(source: Any, *more: Any):
        if source.name == during:
            raise KeyboardInterrupt
        return whole(source, *more)

    monkeypatch.setattr(verb, "ingest", killed)
    assert twin.ingest("--source", "twin") == 130
    assert rows(twin) == landed
    for source in ("library", "twin"):
        hold = "missing, ingestion did not come to its end" if source in missing else ""
        assert {entry["hold"] for entry in entries(source).values()} == {hold}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"LAYOUT": "libary"}, "library: not usable: there is no layout"),
        ({"MIN_ROW_RATIO": "half"}, "[sources.library] min_row_ratio is 'half'; it must be"),
        ({"MINIMUM_SHARE": "0.5"}, "[sources.library] minimum_share: no such key; the nearest is"),
        (
            {
                "KIND": "sql",
                "TABLES__LOANS__COLUMNS": '["book"]',
                "URL": "postgres://u:topsecret@127.0.0.1:1/x",
            },
            "begins with postgres, which is no database known",
        ),
        (
            {
                "KIND": "sql",
                "TABLES__LOANS__COLUMNS": '["book"]',
                "URL": "mssql+pyodbc://u:topsecret@127.0.0.1:1/x",
            },
            "wants the driver pyodbc",
        ),
    ],
)
def test_check_says_it_before_the_night_and_looks_at_the_others_too(
    twin: Library, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], sentence: str
):
    if "KIND" in settings:  # what a source of files may say means nothing for a database
        for name in ("LAYOUT", "LOCATION"):
            monkeypatch.delenv(f"SOURCES__LIBRARY__{name}")
    for name, value in settings.items():
        monkeypatch.setenv(f"SOURCES__LIBRARY__{name}", value)
    twin.said()
    assert verb.main(["check", "--source", "library", "--source", "twin"]) == 3
    said = twin.said()
    assert sentence in said and "topsecret" not in said
    assert "twin: 4 of 4 feeds there" in said.replace(f"{twin.folder.with_name('twin')}: ", "")
