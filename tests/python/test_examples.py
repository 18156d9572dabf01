"""The examples outside schools: each lives a first run, a quiet one, a changed day and a quiet one
on its own systems, which are asked themselves; and neither an example nor the engine knows the
other's words.
"""

from __future__ import annotations

import os
import re
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from common import paths, settings
from common.runs import Run
from examples import kit

EXAMPLES = sorted(path.parent.name for path in kit.HERE.glob("*/systems.py"))
OF_SCHOOLS = re.compile(
    r"schools?|students?|pupils?|teachers?|guardians?|child(?:ren)?|grades?|districts?|enrolments?",
    re.I,
)
OF_EXAMPLES = re.compile(r"cartons?|marketplaces?|invoices?|reservations?|tryton|oscar", re.I)
ENGINE = ("common", "ingestion", "reverse_etl", "operations")


def words_of(text: str) -> set[str]:
    return set(re.findall(r"[A-Z]?[a-z]+|[A-Z]+", text))


def files(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in (".pyc", ".duckdb") and "target" not in path.parts
    ]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_has_not_one_word_of_schools(name: str):
    found = {
        (path.name, word)
        for path in files(kit.HERE / name)
        for word in words_of(path.read_text("utf-8"))
        if OF_SCHOOLS.fullmatch(word)
    }
    assert found == set()


def test_the_engine_has_not_one_word_of_the_examples():
    found = {
        (str(path.relative_to(paths.root())), word)
        for room in ENGINE
        for path in (paths.root() / room).rglob("*.py")
        for word in words_of(path.read_text("utf-8"))
        if OF_EXAMPLES.fullmatch(word)
    }
    assert found == set()


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_has_a_page_a_picture_and_one_command(name: str):
    folder = kit.HERE / name
    text = (folder / "README.md").read_text("utf-8")
    assert f"make -C examples/{name} demo" in text and "flow.svg" in text
    assert (folder / "flow.svg").is_file() and len(text.splitlines()) < 70
    assert f"examples.kit {name}" in (folder / "Makefile").read_text("utf-8")


# ---------------------------------------------------------------- lived


@pytest.fixture
def lived(tmp_path: Path) -> Iterator[Callable[[str, Any], Run]]:
    """Live a run of an example, verb by verb in this process."""
    before = dict(os.environ)

    def live(name: str, systems: Any, *words: str) -> Run:
        os.environ.clear()
        os.environ.update(kit.environment(name, tmp_path / "var", systems))
        settings._files.cache_clear()
        run = Run.open("test")
        os.environ |= {"HOMEROOM_RUN": run.run_id, "HOMEROOM_EXIT_CODE": "0"}
        for room, *said in (
            ("ingestion",),
            ("reverse_etl", "observe"),
            ("operations", "build"),
            ("reverse_etl", "plan", *words),
            ("reverse_etl", "push"),
            ("reverse_etl", "verify"),
        ):
            code = typed(room, *said)
            if code and said[:1] == ["plan"]:
                break
            assert code == 0, (room, said)
        run.finish(0)
        return run

    yield live
    os.environ.clear()
    os.environ.update(before)
    settings._files.cache_clear()


def typed(room: str, *words: str) -> int:
    """`python -m <room> <words>` in this process; its exit code."""
    before, sys.argv = sys.argv, [room, *words]
    try:
        runpy.run_module(room, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        return int(ended.code or 0)
    finally:
        sys.argv = before
    return 0


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_converges_and_writes_nothing_when_quiet(
    name: str, tmp_path: Path, lived: Callable[..., Run]
):
    with kit.up(name, tmp_path / "systems") as systems:
        for words in (("--allow", "create", "--why", "first run"), *[()] * (systems.runs - 1)):
            lived(name, systems, *words)
        assert systems.wrong() == []
        systems.change()
        changed = systems.written()
        for _ in range(systems.runs):
            lived(name, systems)
        assert systems.wrong() == [] and systems.written() > changed
        written = systems.written()
        run = lived(name, systems)
        assert (systems.wrong(), systems.written()) == ([], written)
        assert all(part["planned"] == {} for part in run.read("plan.json")["exports"])
