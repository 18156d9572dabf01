"""Seeds: what people decide, looked at before dbt reads it. A table saved by a spreadsheet looks
right and is another one.

In: `seeds/*.csv`, the columns and types their YAML names, in that order. Out: one finding per file
that cannot be taken as it is, with line and column. Decimal commas, semicolons, dates turned round
and zeros dropped from school numbers are what is looked for; what the values mean is for dbt's
tests.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from io import StringIO
from pathlib import Path

import yaml

from common import paths
from common.findings import Finding
from common.log import event

SCHOOL_NUMBER_DIGITS = 8


class SeedError(Exception):
    """What is wrong with a file, and where."""

    def __init__(self, sentence: str, line: int, column: str = "", readable: bool = True) -> None:
        super().__init__(sentence)
        self.line, self.column, self.readable = line, column, readable


def trouble() -> tuple[list[Finding], list[str], bool]:
    """What is wrong, the seeds it is wrong with, and whether dbt can read the files at all."""
    folder = paths.project() / "seeds"
    grades: frozenset[str] = frozenset()
    found, names, readable = [], [], True
    for name, columns in sorted(
        _described(folder).items(), key=lambda one: (one[0] != "grades", one[0])
    ):
        path = folder / f"{name}.csv"
        try:
            rows = list(_rows(path, columns))
            if name == "grades":
                grades = frozenset(row["grade_code"] for _, row in rows)
            _values(rows, columns, grades)
        except SeedError as wrong:
            where = f"seeds/{path.name}, line {wrong.line:,}" + (
                f", column {wrong.column}" if wrong.column else ""
            )
            found.append(
                Finding(
                    "seed_wrong" if wrong.readable else "seed_unreadable",
                    {"where": where, "why": str(wrong)},
                    file=f"seeds/{path.name}",
                    line=wrong.line,
                    column=wrong.column,
                )
            )
            names.append(name)
            readable = readable and wrong.readable
    return found, names, readable


def told() -> dict[str, dict[str, list[str]]]:
    """What dbt is to know of two seeds before it can read one, as HOMEROOM_SEEDS has it:
    {"targets": {"accounts": [the targets that hold some], …}, "systems": {"students": [the systems
    that list some], …}}. A file nobody can read says nothing; `trouble` says why.
    """
    said = {}
    if (rows := _readable("targets")) is not None:
        said["targets"] = {
            name.removeprefix("has_"): [
                row["target"] for row in rows if row[name].lower() == "true"
            ]
            for name in _columns("targets")
            if name.startswith("has_")
        }
    if (rows := _readable("source_precedence")) is not None:
        said["systems"] = {
            kind: [row["source_system"] for row in rows if row[kind]]
            for kind in _columns("source_precedence")
            if kind != "source_system"
        }
    return said


def environment() -> dict[str, str]:
    """The same for whoever starts dbt."""
    return {"HOMEROOM_SEEDS": json.dumps(told(), sort_keys=True)}


def _readable(seed: str) -> list[dict[str, str]] | None:
    try:
        return [row for _, row in _rows(paths.project() / "seeds" / f"{seed}.csv", _columns(seed))]
    except (SeedError, OSError):
        return None


def _columns(seed: str) -> dict[str, str]:
    return _described(paths.project() / "seeds").get(seed, {})


def _described(folder: Path) -> dict[str, dict[str, str]]:
    """Seed -> column -> type ('' where dbt finds out by itself), as the YAML beside them has it;
    what is no YAML dbt itself refuses, with its line.
    """
    described = {}
    for file in sorted(folder.glob("*.yml")):
        try:
            seeds = yaml.safe_load(file.read_text(encoding="utf-8"))["seeds"]
            for seed in seeds:
                types = seed.get("config", {}).get("column_types", {})
                described[seed["name"]] = {
                    column["name"]: types.get(column["name"], "") for column in seed["columns"]
                }
        except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
            event("seed_description_unread", file=file.name, why=type(error).__name__)
    return {
        name: columns for name, columns in described.items() if (folder / f"{name}.csv").is_file()
    }


def _rows(path: Path, columns: Mapping[str, str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Each record with its line. Raises Wrong."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SeedError(
            f"byte 0x{content[error.start]:02X} is no UTF-8",
            content[: error.start].count(b"\n") + 1,
            readable=False,
        ) from None
    records = csv.reader(StringIO(text, newline=""), strict=True)
    try:
        heading = next(records, [])
        if sorted(heading) != sorted(columns):
            raise SeedError(_of_heading(heading, columns), 1)
        for record in records:
            if record and len(record) != len(heading):
                raise SeedError(
                    f"{len(heading)} headings, but {len(record)} here; a value with a comma stands"
                    " in quotes",
                    records.line_num,
                )
            if record:
                yield records.line_num, dict(zip(heading, record, strict=True))
    except csv.Error as error:
        raise SeedError(f"it is no CSV ({error})", records.line_num) from None


def _of_heading(heading: list[str], columns: Mapping[str, str]) -> str:
    if len(heading) == 1 and len(columns) > 1:
        return "its values are not separated by commas"
    unlike = [f"no {name}" for name in columns if name not in heading] + [
        f"{name!r}, which is none" for name in heading if name not in columns
    ]
    twice = [f"{name} twice" for name in dict.fromkeys(heading) if heading.count(name) > 1]
    return f"its headings have {', '.join([*unlike, *twice])}; they are {', '.join(columns)}"


def _values(
    rows: list[tuple[int, dict[str, str]]], columns: Mapping[str, str], grades: frozenset[str]
) -> None:
    for line, row in rows:
        for name, value in row.items():
            if value != value.strip():
                raise SeedError(
                    "a space before or after the value, which makes it another one", line, name
                )
            kind = KINDS.get(columns[name])
            if value and kind and not kind[0](value):
                raise SeedError(f"{value!r} is no {columns[name]}; write {kind[1]}", line, name)
            if (
                name == "school_number"
                and value
                and not (value.isdecimal() and len(value) == SCHOOL_NUMBER_DIGITS)
            ):
                raise SeedError(
                    f"{value!r} is no school number: {SCHOOL_NUMBER_DIGITS} digits, zeros in front"
                    " included",
                    line,
                    name,
                )
            if name == "grade_code" and value and grades and value not in grades:
                raise SeedError(f"{value!r} is no grade of seeds/grades.csv", line, name)


def _is_day(value: str) -> bool:
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


# type -> (is it one, how it is written)
KINDS: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "date": (_is_day, "2027-09-07"),
    "boolean": (lambda value: value.lower() in ("true", "false"), "true or false"),
    "integer": (lambda value: value.removeprefix("-").isdecimal(), "a whole number"),
    "double": (_is_number, "a number with a decimal point"),
}
