"""Mutants of what ships as rows and settings: seeds and the models' YAML. Judged by the table of
what ships (tests/python/test_shipped.py).

A row dropped, a cell changed, a limit, class, owner, key or file setting changed, a data test,
constraint or contract gone. Unit tests and descriptions in the YAML are left alone: the first are
tests themselves, the second are prose.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.mutants.kinds import Mutant, Result, mutant

CELL = re.compile(r'"(?:[^"]|"")*"|[^,\n]*')
OWNERS = {"ours": "theirs", "theirs": "ours", "initial": "ours"}


def mutants(file: str, text: str) -> list[Mutant]:
    """Every mutant of one seed or one YAML file, in the order of its lines."""
    found = _rows(text) if file.endswith(".csv") else _settings(text)
    return sorted(
        {
            mutant(file, text, span, after, kind)
            for span, after, kind in found
            if text[slice(*span)] != after
        }
    )


Change = tuple[tuple[int, int], str, str]


def _changed(value: str) -> str:
    if value in ("true", "false"):
        return "false" if value == "true" else "true"
    found = re.search(r"\d+", value)
    if found and re.fullmatch(r"[\d.]+%?", value):
        return value[: found.start()] + str(int(found[0]) + 1) + value[found.end() :]
    return f'{value[:-1]}~"' if value.endswith('"') else f"{value}~"


def _rows(text: str) -> Iterator[Change]:
    start = text.index("\n") + 1
    for row in text[start:].splitlines(keepends=True):
        yield (start, start + len(row)), "", "row dropped"
        at = start
        while at < start + len(row.rstrip("\r\n")):
            cell = CELL.match(text, at)
            if cell is None:
                break
            if cell[0]:
                yield cell.span(), _changed(cell[0]), "cell"
            at = cell.end() + 1
        start += len(row)


def _settings(text: str) -> Iterator[Change]:
    """Lines before the unit tests; the block of an export's settings is looked into
    word by word.
    """
    end = text.find("\nunit_tests:")
    text = text[: end if end >= 0 else len(text)]
    start, export, prose, tests = 0, -1, -1, -1
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        indent, words = _indent(line), line.strip()
        inside = (start + indent, start + len(line.rstrip("\n")))
        if words and indent <= export:
            export = -1
        if words and indent <= prose:
            prose = -1
        if words and (indent < tests or (indent == tests and not words.startswith("- "))):
            tests = -1
        if prose < 0 and words:
            if export >= 0:
                yield from _words(text, inside)
            elif words.startswith("- ") and tests >= 0:
                first, below = number, number + 1
                while below < len(lines) and (
                    not lines[below].strip() or _indent(lines[below]) > indent
                ):
                    below += 1
                alone = lines[number - 1].strip().endswith(":") and (
                    below == len(lines)
                    or _indent(lines[below]) < indent
                    or not lines[below].strip().startswith("- ")
                )
                first -= alone  # a list of nothing goes with its last item
                yield (
                    (
                        start - sum(map(len, lines[first:number])),
                        start + sum(map(len, lines[number:below])),
                    ),
                    "",
                    "test dropped",
                )
            yield from _flow(text, inside)
        if re.match(r"(data_tests|constraints):$", words):
            tests = indent
        elif words == "export:":
            export = indent
        elif re.match(r"(- name: \S+ )?description: *[|>]", words):
            prose = indent
        start += len(line)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _words(text: str, span: tuple[int, int]) -> Iterator[Change]:
    """Each value of an export's setting: `limits: {create: 2%, …}` has several."""
    line = text[slice(*span)]
    for found in re.finditer(
        r"""(?<=: )(?:"[^"]*"|[^\s{}\[\],]+)|(?<=[\[,] )[^\s{}\[\],:]+(?=[\],])|(?<=\[)[^\s{}\[\],:]+(?=[\],])""",  # noqa: E501
        line,
    ):
        if not found[0].startswith("#"):
            yield (span[0] + found.start(), span[0] + found.end()), _changed(found[0]), "setting"
    for found in re.finditer(r"(?<=[{ ])(\w+: [^{},]+), ", line):
        yield (span[0] + found.start(), span[0] + found.end()), "", "setting dropped"


def _flow(text: str, span: tuple[int, int]) -> Iterator[Change]:
    """What stands on one line: classes, owners, headings, contracts, constraints and short lists of
    tests.
    """
    line = text[slice(*span)]
    at = span[0]
    for found in re.finditer(r"\bpersonal_data: (\w+)", line):
        yield (
            (at + found.start(1), at + found.end(1)),
            ("contact" if found[1] == "none" else "none"),
            "class",
        )
    for found in re.finditer(r"\bowner: (ours|theirs|initial)\b", line):
        yield (at + found.start(1), at + found.end(1)), OWNERS[found[1]], "owner"
    for found in re.finditer(r"\bheader: ([^,}]+)", line):
        yield (at + found.start(1), at + found.end(1)), _changed(found[1]), "heading"
    for found in re.finditer(r"\benforced: (true|false)", line):
        yield (at + found.start(1), at + found.end(1)), _changed(found[1]), "contract"
    for found in re.finditer(r"^constraints: \[.*\]$|^data_tests: \[[^,]*\]$", line):
        yield (at + found.start(), at + found.end()), "", "test dropped"
    for found in re.finditer(r"^data_tests: \[(.*,.*)\]$", line):
        parts = found[1].split(", ")
        for number in range(len(parts)):
            yield (
                (at + found.start(1), at + found.end(1)),
                ", ".join(parts[:number] + parts[number + 1 :]),
                "test dropped",
            )
    for found in re.finditer(r"\bvalues: \[([^\]]*)\]", line):
        parts = found[1].split(", ")
        for number in range(len(parts)):
            yield (
                (at + found.start(1), at + found.end(1)),
                ", ".join(parts[:number] + parts[number + 1 :]),
                "value dropped",
            )


def judge(made: Iterable[Mutant], top: Path) -> Iterator[Result]:
    """Compare the table with what ships as it would be with each fault, in a copy of
    what is read.
    """
    sys.path.insert(0, str(top / "tests" / "python"))
    import test_shipped as shipped

    def read(path: Path) -> Any:
        if path not in known:
            known[path] = parse(path)
        return known[path]

    known: dict[Path, Any] = {}
    before, parse = (shipped.ROOT, shipped.document), shipped.document.__wrapped__
    with tempfile.TemporaryDirectory(prefix="shipped-") as folder:
        shipped.ROOT = Path(folder)
        for name in ("seeds", "models", "tests/dbt", "ingestion/layouts"):
            shutil.copytree(top / name, shipped.ROOT / name)
        shipped.document = read
        try:
            for one in made:
                path = shipped.ROOT / one.file
                text = path.read_text(encoding="utf-8")
                path.write_text(one.applied_to(text), encoding="utf-8")
                known.pop(path, None)
                yield _verdict(one, shipped)
                path.write_text(text, encoding="utf-8")
                known.pop(path, None)
        finally:
            shipped.ROOT, shipped.document = before


def _verdict(one: Mutant, shipped: Any) -> Result:
    for name in ("seeds",) if one.file.endswith(".csv") else ("exports", "guards"):
        try:
            shipped.test_what_ships_is_what_the_table_says(name)
        except AssertionError:
            return Result(
                one,
                "killed",
                f"tests/python/test_shipped.py::test_what_ships_is_what_the_table_says[{name}]",
            )
        except (
            ValueError,
            KeyError,
            TypeError,
            yaml.YAMLError,
        ):  # no YAML, or no setting anybody could read
            return Result(one, "broken")
    return Result(one, "survived")
