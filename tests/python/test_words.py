"""What a house calls things is said in its settings, models and seeds: operations speak of subjects
and partitions, and no file but the vendors' own names two vendors.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from common import paths, settings
from common.words import words

ROOT = paths.root()
OPERATIONS = sorted([*(ROOT / "operations").glob("*.py"), *(ROOT / "operations").glob("*.html")])
OF_SCHOOLS = re.compile(
    r"schools?|students?|pupils?|staff|teachers?|guardians?|child(?:ren)?|grades?|persons?"
    r"|google|microsoft",
    re.I,
)
MEANT = {  # what these letters also say
    "a person": "whoever looks at the night",
    "application/vnd.microsoft.card.adaptive": "the media type of a card",
    "first-child": "a word of style sheets",
    '"children"': "what a plan of DuckDB calls the steps below one",
    '"persons": "first_seen_on"': "a table of the ledger, by the name it is kept under",
}
THEIR_OWN = re.compile(
    r"reverse_etl/targets/|models/staging/|models/exports/|seeds/|demo/|tests/|docs/|CHANGELOG\.md"
    r"|README\.md|LICENSE|\.dlt/config\.toml|pyproject\.toml|requirements"
)


def words_of(text: str) -> list[str]:
    """The words of code and prose: names are taken apart at underscores and capitals."""
    text = re.sub(r"\s+", " ", text)
    for meant in MEANT:
        text = re.sub(rf"\b{re.escape(meant)}\b|{re.escape(meant)}", " ", text, flags=re.I)
    return re.findall(r"[A-Z]?[a-z]+|[A-Z]+", text)


@pytest.mark.parametrize("path", OPERATIONS, ids=lambda path: path.name)
def test_operations_name_no_school_person_or_vendor(path: Path):
    said = {word for word in words_of(path.read_text("utf-8")) if OF_SCHOOLS.fullmatch(word)}
    assert said == set()


def test_a_word_of_schools_is_found_in_names_and_in_prose():
    assert [
        word
        for word in words_of("by_school(schoolNumber) # a student waits for a person; person_id")
        if OF_SCHOOLS.fullmatch(word)
    ] == ["school", "school", "student", "person"]


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode()
    return [ROOT / name for name in listed.split("\0") if name and not THEIR_OWN.match(name)]


def test_only_the_vendors_own_files_name_two_vendors():
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    both = [
        path
        for path in tracked()
        if path.is_file()
        and {"google", "microsoft"}
        <= {word.lower() for word in re.findall(r"google|microsoft", read(path), re.I)}
    ]
    assert [str(path.relative_to(ROOT)) for path in both] == []


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def test_models_of_identity_and_audit_name_no_target():
    targets = {folder.name for folder in (ROOT / "models" / "exports").iterdir()}
    holding = {target for target in targets if (ROOT / "models" / "staging" / target).is_dir()}
    assert {"google", "microsoft"} <= holding
    named = [
        (path.name, target)
        for room in ("identity", "audit", "core", "intake", "history")
        for path in (ROOT / "models" / room).rglob("*.sql")
        for target in holding
        if target in read(path).lower()
    ]
    assert named == []


def test_the_words_that_are_shipped_are_those_of_a_district():
    said = words()
    assert (said.subject, said.subjects) == ("person", "people")
    assert (said.partition, said.partitions) == ("school", "schools")
    assert (said.night, said.nights, said.records) == (
        "school night",
        "school nights",
        "school data",
    )


def test_a_house_without_words_speaks_of_subjects_and_partitions(monkeypatch):
    monkeypatch.setattr(settings, "section", lambda *_: {})
    monkeypatch.setattr(settings, "read", lambda model, *_: model())
    said = words()
    assert (said.subjects, said.partitions, said.nights) == ("subjects", "partitions", "nights")
