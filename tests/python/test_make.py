"""What is typed behind a verb of make is text: it reaches the command byte for byte, whatever it
holds, and nothing of it is run.

The Makefile itself is run, in a folder where the environment's Python writes down what it is asked.
Every variable of the Makefile is tried in every verb; a new one stands in its list or fails here.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
VALUES = (
    re.search(r"^override VALUES := ((?:.*\\\n)*.*)", MAKEFILE, re.M)[1].replace("\\", " ").split()
)
VERBS = re.findall(r"^([a-z-]+):.* ##[+]? ", MAKEFILE, re.M)
FORMS = {  # each names the variable it stands in: a file of that name is the trace of a run
    "a command in brackets": "$(touch ran-NAME)",
    "make's own shell": "$(shell touch ran-NAME)",
    "a command in backquotes": "`touch ran-NAME`",
    "a second command": "x; touch ran-NAME",
    "a command after an and": "x && touch ran-NAME",
    "a dollar and digits": "costs $100 and $$5",
    "a double quote": 'x" ; touch ran-NAME ; "y',
    "a single quote": "O'Neill'; touch ran-NAME ; 'y",
    "a line break": "first\ntouch ran-NAME",
    "a dash in front": "--help",
    "blanks and a star": "two  words * ?",
    "a backslash": "a\\b\\",
    "a hash": "a # b",
}
STUB = r"""#!/bin/sh
case "$*" in -c*) echo "$HOMEROOM_VAR"; exit 0 ;; esac
{ printf '%s\0' "$@"; printf '\1\0'; UMASK=$(umask) exec env -0; } > "asked.$$"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The Makefile, and an environment whose programs only write down what they are asked."""
    shutil.copyfile(ROOT / "Makefile", tmp_path / "Makefile")
    bin_ = tmp_path / ".venv" / "bin"
    bin_.mkdir(parents=True)
    for part in ("", "-dev", "-serve", "-postgres"):
        name = f"requirements{part}.txt"
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    for name in ("python", "dbt"):
        (bin_ / name).write_text(STUB, encoding="utf-8")
        (bin_ / name).chmod(0o755)
    for name in ("nightly", "dev", "serve", "postgres"):
        (tmp_path / ".venv" / name).touch()
    return tmp_path


@dataclass(frozen=True)
class Asked:
    """What a program was asked: its words, and its environment."""

    words: list[str]
    given: dict[str, str]


def make(
    folder: Path, verb: str, values: Mapping[str, str], by: str = "words", umask: int = 0o022
) -> list[Asked]:
    """Type a verb with values, as words behind it or in the environment; what was asked of it."""
    for left in folder.glob("asked.*"):
        left.unlink()
    words = [f"{name}={value}" for name, value in values.items()] if by == "words" else []
    subprocess.run(
        ["make", verb, *words],
        cwd=folder,
        env={"PATH": os.environ["PATH"]} | (dict(values) if by == "environment" else {}),
        capture_output=True,
        check=False,
        timeout=60,
        umask=umask,
    )
    asked = []
    for path in folder.glob("asked.*"):
        said, _, environment = path.read_text(encoding="utf-8").partition("\1\0")
        given = dict(line.split("=", 1) for line in environment.split("\0")[:-1])
        asked.append(Asked(said.split("\0")[:-1], given))
    return asked


def of(form: str, name: str) -> str:
    return FORMS[form].replace("NAME", name)


def recipe(verb: str) -> str:
    """A verb's recipe as make would hand it to the shell, every value given."""
    rules = re.search(rf"^{verb}:.*\n((?:\t.*\n)*)", MAKEFILE, re.M)[1]
    for name in ("SCOPE", "LIFT"):
        body = re.search(rf"^override {name} = (.*)", MAKEFILE, re.M)[1]
        rules = rules.replace(f"$({name})", body)
    return rules


def used(verb: str) -> set[str]:
    """The values a verb's recipe hands on as words."""
    return {
        name
        for name in VALUES
        if re.search(rf"given,[^,]*,{name}\)|\"\$\$\{{?{name}\b", recipe(verb))
    } - {"HOMEROOM_VAR"}


def test_every_variable_of_the_makefile_is_a_value_or_cannot_be_given() -> None:
    inside = set(re.findall(r"\$\(([A-Z_a-z]+)\)", MAKEFILE)) - {"NAME", "name"}
    fixed = set(re.findall(r"^\s*override (\w+)", MAKEFILE, re.M))
    assert inside <= fixed | {"RUN", "DISTRICT", "VALUES"}, "a new variable belongs into VALUES"
    in_recipes = set(re.findall(r"\$\$\{?([A-Z_]{2,})", MAKEFILE)) | set(
        re.findall(r"given,[^,]*,([A-Z_]+)", MAKEFILE)
    )
    assert in_recipes <= set(VALUES) | {"NAME"}, "a new variable belongs into VALUES"
    for line in MAKEFILE.splitlines():
        if line.startswith("\t"):
            assert not re.search(rf"(?<!\$)\$[({{](?:{'|'.join(VALUES)})\b", line), line


@pytest.mark.parametrize("form", FORMS)
def test_no_value_is_ever_run_and_each_reaches_its_command_as_it_was_typed(
    folder: Path, form: str
) -> None:
    values = {name: of(form, name) for name in VALUES}
    for verb in VERBS:
        if verb == "clean":  # which takes the environment away; below
            continue
        asked = make(folder, verb, values)
        assert not list(folder.rglob("ran-*")), (verb, form)
        assert asked or verb in ("help", "setup"), verb
        for one in asked:
            changed = {"HOMEROOM_RUN", "HOMEROOM_DISTRICT"}
            changed |= {"HOMEROOM_VAR"} if verb in ("lint", "docs") else set()
            for name in values.keys() - changed:
                assert one.given[name] == values[name], (verb, name)
        said = [word for one in asked for word in one.words]
        for name in used(verb):
            is_flag = re.search(rf"given,[^,]*,{name},flag", recipe(verb))
            assert is_flag or any(
                values[name] in (word, word.partition("=")[2]) for word in said
            ), (verb, name, said)


@pytest.mark.parametrize("form", FORMS)
def test_a_value_of_the_environment_is_text_as_well(folder: Path, form: str) -> None:
    values = {name: of(form, name) for name in VALUES}
    for verb in ("explain", "release"):
        (asked,) = make(folder, verb, values, by="environment")
        assert not list(folder.rglob("ran-*")), (verb, form)
        assert asked.given["WHY"] == values["WHY"]
        assert any(values["PERSON"] in (word, word.partition("=")[2]) for word in asked.words)


def test_a_value_that_begins_with_a_dash_is_no_option(folder: Path) -> None:
    for verb in VERBS:
        if verb in ("help", "setup", "clean", "chaos"):
            continue
        for one in make(folder, verb, dict.fromkeys(used(verb), "--really")):
            words = one.words
            free = words[words.index("--") :] if "--" in words else []
            asked_for = [word for word in words if word == "--really" and word not in free]
            assert not asked_for or verb == "retention", (verb, words)


def test_a_program_named_by_a_value_is_looked_for_and_not_run_as_a_line(folder: Path) -> None:
    (folder / ".venv" / "nightly").unlink()
    make(folder, "setup", {"PYTHON": "touch ran-PYTHON"})
    make(folder, "setup", {"PYTHON": "true; touch ran-PYTHON"})
    assert not list(folder.rglob("ran-*"))


WITHOUT_VENV = """#!/bin/sh
case "$2" in *ensurepip*) exit 1 ;; esac
"""
TOO_OLD = "#!/bin/sh\nexec {python} -c 'import sys; sys.version_info = (3, 9, 2)\n'\"$2\"\n"
TOO_NEW = TOO_OLD.replace("(3, 9, 2)", "(3, 14, 0)")


@pytest.mark.parametrize(
    ("program", "says"),
    [
        (None, "there is no {name} here: install it (Debian, Ubuntu: apt install python3"),
        (WITHOUT_VENV, "this Python has no venv module: install it (Debian, Ubuntu: apt install"),
        (TOO_OLD, "Homeroom needs Python 3.11, 3.12 or 3.13, and this is 3.9: say which with"),
        (TOO_NEW, "this is 3.14 (mashumaro, as dbt-core 1.11 pins it, cannot be imported there)"),
    ],
    ids=["no python", "no venv", "too old", "too new"],
)
def test_a_machine_that_lacks_something_is_told_what_to_install(
    folder: Path, program: str | None, says: str
) -> None:
    """As a Debian or an Ubuntu comes: no `python`, no `venv` module, another Python."""
    shutil.rmtree(folder / ".venv")
    name = folder / "python-of-here"
    if program:
        name.write_text(program.replace("{python}", sys.executable), encoding="utf-8")
        name.chmod(0o755)
    ended = subprocess.run(
        ["make", "setup", f"PYTHON={name}"],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 2
    assert says.format(name=name) in ended.stderr
    assert "Traceback" not in ended.stderr and not (folder / ".venv").exists()


def test_clean_removes_the_folder_that_is_named_and_no_other(folder: Path) -> None:
    for name in ("a b", "a", "b", "-rf"):
        (folder / name / "demo").mkdir(parents=True)
        (folder / name / "demo" / "district.json").touch()
    make(folder, "clean", {"HOMEROOM_VAR": "a b"})
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {"a", "b", "-rf"}
    make(folder, "clean", {"HOMEROOM_VAR": "$(touch ran-HOMEROOM_VAR) a"})
    make(folder, "clean", {"HOMEROOM_VAR": "-rf"})
    assert {path.name for path in folder.iterdir()} == {
        "a",
        "b",
        "Makefile",
        "requirements.txt",
        "requirements-dev.txt",
        "requirements-postgres.txt",
        "requirements-serve.txt",
    }


def test_what_is_no_room_of_ours_leaves_nothing_to_others_and_packages_are_for_everybody(
    folder: Path,
) -> None:
    """Rooms see to it themselves (test_access.py); whoever installs may be another than runs."""

    def masks(verb: str) -> set[str]:
        return {one.given["UMASK"] for one in make(folder, verb, {}, umask=0)}

    assert masks("docs") == {"0077"}
    assert "0077" in masks("lint")
    (folder / ".venv" / "nightly").unlink()
    assert {one.given["UMASK"] for one in make(folder, "setup", {}, umask=0o077)} == {"0022"}


def test_run_names_the_run_of_every_command_and_undo_works_on_none(folder: Path) -> None:
    (asked,) = make(folder, "show", {"RUN": "20261005T100000Z-ab12"})
    assert asked.given["HOMEROOM_RUN"] == "20261005T100000Z-ab12"
    (asked,) = make(folder, "undo", {"RUN": "20261005T100000Z-ab12"})
    assert asked.given["HOMEROOM_RUN"] == ""
    (asked,) = make(folder, "show", {"HOMEROOM_RUN": "of-the-environment"}, by="environment")
    assert asked.given["HOMEROOM_RUN"] == "of-the-environment"


def test_the_folder_of_a_district_is_named_for_every_verb(folder: Path) -> None:
    (asked,) = make(folder, "plan", {"DISTRICT": "../our district"})[:1]
    assert asked.given["HOMEROOM_DISTRICT"] == "../our district"
    (asked,) = make(folder, "show", {"HOMEROOM_DISTRICT": "../sd74"}, by="environment")
    assert asked.given["HOMEROOM_DISTRICT"] == "../sd74"


def listed(folder: Path, *words: str) -> str:
    return subprocess.run(
        ["make", "help", *words],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    ).stdout


def test_help_lists_the_verbs_of_a_day_in_groups_and_every_verb_when_asked(folder: Path) -> None:
    told = re.findall(r"^  make ([a-z-]+)", day := listed(folder), re.M)
    every = re.findall(r"^  make ([a-z-]+)", whole := listed(folder, "ALL=1"), re.M)
    assert 10 <= len(told) <= 14
    assert {"demo", "nightly", "status", "plan", "release", "explain", "audit"} < set(told)
    assert sorted(every) == sorted(VERBS)
    assert len(re.findall(r"^[A-Z]", day, re.M)) >= 5, "headings of groups"
    wide = [line for line in (day + whole).splitlines() if len(line) > 80]
    assert not wide


NEEDS_PLATFORMS = ("check", "ingest", "observe", "build", "push", "verify", "report", "nightly")


@pytest.mark.parametrize("verb", NEEDS_PLATFORMS)
def test_where_the_state_is_a_demos_a_verb_starts_its_platforms_and_a_second_time_never(
    folder: Path, verb: str
) -> None:
    plain = [one.words for one in make(folder, verb, {})]
    assert plain
    assert all("demo" not in words for words in plain)
    state = folder / "a state" / "demo"
    state.mkdir(parents=True)
    (state / "district.json").touch()
    there = {"HOMEROOM_VAR": "a state"}
    about = [one.words for one in make(folder, verb, there)]
    before = ["-m", "demo", "with", "--", ".venv/bin/python"]
    assert sorted(about) == sorted([*before, *words] for words in plain)
    inside = make(folder, verb, there | {"HOMEROOM_DEMO": "running"}, by="environment")
    assert sorted(one.words for one in inside) == sorted(plain)


PAPERS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SHOWN = [
    (paper.name, command)
    for paper in PAPERS
    for command in re.findall(r"(?:^|`)(make [a-z][^`\n]*)", paper.read_text("utf-8"), re.M)
]


@pytest.mark.parametrize("paper", [paper.name for paper in PAPERS])
def test_every_value_the_documents_give_a_verb_is_one_it_takes(paper: str) -> None:
    """What is typed as the documents show it does what they say: no value is passed over."""
    wrong = []
    for where, command in SHOWN:
        words = re.match(r"make ([a-z-]+)((?: +[A-Z_]+=(?:\"[^\"]*\"|\S*))*)", command)
        if where == paper and words and words[1] in VERBS:
            given = set(re.findall(r"([A-Z_]+)=", re.sub(r'"[^"]*"', "", words[2])))
            takes = used(words[1]) | set(re.findall(r"[A-Z_]{2,}", recipe(words[1])))
            takes |= {"PYTHON", "RUN", "DISTRICT"}  # of every verb
            wrong += [(command, name) for name in sorted(given - takes)]
    assert wrong == []


def test_the_documents_show_commands() -> None:
    assert len(SHOWN) > 100
