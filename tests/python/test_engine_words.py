"""The engine knows exports: no school, no person, no vendor is named in it, and it reads no table
but exports, what was observed and the ledger.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from common import paths, words

FILES = sorted((paths.root() / "reverse_etl").glob("*.py"))
# Words of the house this engine was built for. `personal_data` is a class of columns, not somebody.
NAMED = re.compile(
    r"schools?|persons?|people|students?|pupils?|staff|teachers?|guardians?|child(ren)?|grades?"
    r"|google|microsoft|gmail|workspace|graph|azure|entra|myedbc|oneroster|vancouver",
    re.I,
)
# What SQL may read besides what an export or its target names: the ledger, and the seeds that
# say which limits are others at some time of the year, and what is to be opened once.
READ = re.compile(r"\b(?:from|join|into|update|describe)\s+\"?([a-z_]+)\"?\.\"?([a-z_]+)", re.I)
ALLOWED = {"ledger", "staging", "seeds.limit_seasons", "seeds.openings", "seeds.standing_releases"}


def said(text: str) -> set[str]:
    """The words of a text, names taken apart at their underscores."""
    return {word for word in re.findall(r"[^\W\d_]+", text) if NAMED.fullmatch(word)}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_school_no_person_and_no_vendor_is_named_in_the_engine(file: Path) -> None:
    assert said(file.read_text(encoding="utf-8").replace("personal_data", "")) == set()


def test_such_words_would_be_found() -> None:
    assert said("the per_school limit of a Person at Google") == {"school", "Person", "Google"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_engine_reads_exports_what_was_observed_and_the_ledger(file: Path) -> None:
    assert read(file.read_text(encoding="utf-8")) == set()


def test_a_table_of_the_house_would_be_found() -> None:
    assert read('query = f"select 1 from identity.lifecycle join ledger.audit.plans"') == {
        "identity.lifecycle"
    }


def read(source: str) -> set[str]:
    """The relations the SQL in a module's texts names that are none of the engine's."""
    texts = [
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    found = {match for text in texts for match in READ.findall(text)}
    return {
        f"{schema}.{name}" for schema, name in found if not {schema, f"{schema}.{name}"} & ALLOWED
    }


def test_what_a_subject_and_a_partition_are_called_comes_from_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shipped = words.words()
    assert (shipped.subject, shipped.subjects) == ("person", "people")
    assert (shipped.partition, shipped.partitions) == ("school", "schools")
    monkeypatch.setenv("WORDS__SUBJECT", "customer")
    monkeypatch.setenv("WORDS__SUBJECTS", "")
    monkeypatch.setenv("WORDS__PARTITION", "branch")
    monkeypatch.setenv("WORDS__PARTITIONS", "branches")
    others = words.words()
    assert (others.subject, others.subjects) == ("customer", "customers")
    assert (others.partition, others.partitions) == ("branch", "branches")
