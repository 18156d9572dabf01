"""Seeds: what people decide, looked at before dbt reads it. A table saved by a spreadsheet looks
right and is another one.

In: `seeds/*.csv`, the columns and types their YAML names, in that order; a column's `meta` there
may say `digits: 8` (a number of so many), `one_of: seed.column` (a value there) and
`first_password: true` (how one is made).
Out: one finding per file that cannot be taken as it is, with line and column. Decimal commas,
semicolons, dates turned round and zeros dropped from numbers are what is looked for; what the
values mean is for dbt's tests.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import yaml

from common import district, paths
from common.findings import Finding
from common.log import event
from reverse_etl import configured, passwords

MODELS = paths.root() / "models" / "staging"


class SeedError(Exception):
    """What is wrong with a file, and where."""

    def __init__(self, sentence: str, line: int, column: str = "", readable: bool = True) -> None:
        super().__init__(sentence)
        self.line, self.column, self.readable = line, column, readable


@dataclass(frozen=True)
class Column:
    """What the YAML says of a column: its type ('' where dbt finds out by itself), how many digits
    its numbers have, the column of which seed has its values, and whether passwords are made by it.
    """

    type: str
    digits: int | None = None
    one_of: str = ""
    first_password: bool = False


def trouble() -> tuple[list[Finding], list[str], bool]:
    """What is wrong, the seeds it is wrong with, and whether dbt can read the files at all."""
    folder = paths.project() / "seeds"
    described = _described(folder)
    known = {
        column.one_of: _known(folder, described, column.one_of)
        for columns in described.values()
        for column in columns.values()
        if column.one_of
    }
    found, names, readable = [], [], True
    # what others take their values from comes first
    first = {one.partition(".")[0] for one in known}
    for name, columns in sorted(described.items(), key=lambda one: (one[0] not in first, one[0])):
        path = folder / f"{name}.csv"
        try:
            _values(list(_rows(path, columns)), columns, known)
        except SeedError as wrong:
            typed, line = district.seed_file(name, wrong.line)
            where = f"{typed}, line {line:,}" + (f", column {wrong.column}" if wrong.column else "")
            found.append(
                Finding(
                    "seed_wrong" if wrong.readable else "seed_unreadable",
                    {"where": where, "why": str(wrong)},
                    file=typed,
                    line=line,
                    column=wrong.column,
                )
            )
            names.append(name)
            readable = readable and wrong.readable
    return found, names, readable


def told() -> dict[str, Any]:
    """What dbt is to know of three seeds before it can read one, as HOMEROOM_SEEDS has it:
    {"targets": {"accounts": [the targets that hold some], …}, "systems": {kind: [the systems
    that list some], …}, "name_placeholders": {who may be called so: [texts], …}, "off": [the
    targets the district has not, and what of its targets it has not asked for]}. A file nobody can
    read says nothing; `trouble` says why.
    """
    said: dict[str, Any] = {"off": [*configured.off(), *configured.parts_off()]}
    if (rows := _readable("targets")) is not None:
        said["targets"] = {
            name.removeprefix("has_"): [
                row["target"] for row in rows if row[name].lower() == "true"
            ]
            for name in _columns("targets")
            if name.startswith("has_")
        }
        # who says since when an account is closed has a view of it
        said["targets"]["closings"] = [
            target
            for target in said["targets"].get("accounts", ())
            if (MODELS / target / f"stg_{target}__closings.sql").is_file()
        ]
    if (rows := _readable("source_precedence")) is not None:
        said["systems"] = {
            kind: [row["source_system"] for row in rows if row[kind]]
            for kind in _columns("source_precedence")
            if kind != "source_system"
        }
    if (rows := _readable("name_placeholders")) is not None:
        said["name_placeholders"] = {
            who: sorted(row["text"].lower() for row in rows if row["may_be"] == who)
            for who in sorted({row["may_be"] for row in rows})
        }
    return said


def environment() -> dict[str, str]:
    """The same for whoever starts dbt."""
    return {"HOMEROOM_SEEDS": json.dumps(told(), sort_keys=True)}


def having(columns: AbstractSet[str]) -> list[dict[str, str]]:
    """The rows of the seeds with these columns; none of one nobody can read, which `trouble`
    names.
    """
    described = _described(paths.project() / "seeds")
    found = [_readable(name) or [] for name, known in described.items() if columns <= set(known)]
    return [row for rows in found for row in rows]


def _readable(seed: str) -> list[dict[str, str]] | None:
    try:
        return [row for _, row in _rows(paths.project() / "seeds" / f"{seed}.csv", _columns(seed))]
    except (SeedError, OSError):
        return None


def _known(
    folder: Path, described: Mapping[str, Mapping[str, Column]], one_of: str
) -> frozenset[str]:
    """The values of a column of another seed; none when that one cannot be read, which is said of
    it alone.
    """
    seed, _, column = one_of.partition(".")
    try:
        return frozenset(
            row[column] for _, row in _rows(folder / f"{seed}.csv", described.get(seed, {}))
        )
    except (SeedError, OSError, KeyError):
        return frozenset()


def _columns(seed: str) -> dict[str, Column]:
    return _described(paths.project() / "seeds").get(seed, {})


def _described(folder: Path) -> dict[str, dict[str, Column]]:
    """Seed -> column -> what the YAML beside them says of it; what is no YAML dbt itself refuses,
    with its line.
    """
    files = [(file, file.stat()) for file in sorted(folder.glob("*.yml"))]
    stood = tuple((file, seen.st_mtime_ns, seen.st_size) for file, seen in files)
    return {
        name: columns
        for name, columns in _said(stood).items()
        if (folder / f"{name}.csv").is_file()
    }


@cache
def _said(stood: tuple[tuple[Path, int, int], ...]) -> dict[str, dict[str, Column]]:
    """The same of these files as they stood, whether their seeds are there or not."""
    described = {}
    for file, *_ in stood:
        try:
            seeds = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)["seeds"]
            for seed in seeds:
                types = seed.get("config", {}).get("column_types", {})
                described[seed["name"]] = {
                    column["name"]: _column(types.get(column["name"], ""), column)
                    for column in seed["columns"]
                }
        except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
            event("seed_description_unread", file=file.name, why=type(error).__name__)
    return described


def _column(type_: str, described: Mapping[str, Any]) -> Column:
    meta = described.get("config", {}).get("meta", {})
    return Column(
        type_, meta.get("digits"), meta.get("one_of", ""), meta.get("first_password", False)
    )


def _rows(path: Path, columns: Mapping[str, Column]) -> Iterator[tuple[int, dict[str, str]]]:
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


def _of_heading(heading: list[str], columns: Mapping[str, Column]) -> str:
    if len(heading) == 1 and len(columns) > 1:
        return "its values are not separated by commas"
    unlike = [f"no {name}" for name in columns if name not in heading] + [
        f"{name!r}, which is none" for name in heading if name not in columns
    ]
    twice = [f"{name} twice" for name in dict.fromkeys(heading) if heading.count(name) > 1]
    return f"its headings have {', '.join([*unlike, *twice])}; they are {', '.join(columns)}"


def _values(
    rows: list[tuple[int, dict[str, str]]],
    columns: Mapping[str, Column],
    known: Mapping[str, frozenset[str]],
) -> None:
    for line, row in rows:
        for name, value in row.items():
            if value != value.strip():
                raise SeedError(
                    "a space before or after the value, which makes it another one", line, name
                )
            column = columns[name]
            kind = KINDS.get(column.type)
            if value and kind and not kind[0](value):
                raise SeedError(f"{value!r} is no {column.type}; write {kind[1]}", line, name)
            called = name.removesuffix("_code").replace("_", " ")
            digits = column.digits
            if value and digits and not (value.isdecimal() and len(value) == digits):
                raise SeedError(
                    f"{value!r} is no {called}: {digits} digits, zeros in front included",
                    line,
                    name,
                )
            if value and column.first_password and (why := passwords.fault(value)):
                raise SeedError(f"{value!r}: {why}", line, name)
            values = known.get(column.one_of)
            if value and values and value not in values:
                seed = column.one_of.partition(".")[0]
                raise SeedError(f"{value!r} is no {called} of seeds/{seed}.csv", line, name)


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
