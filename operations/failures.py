"""Failures: what a model or a test that failed says to whoever mends it: which columns, which keys,
which line of which file, and what to type.

In: dbt's result of one node, the warehouse it was built into, the YAML and the seeds. Out: one
finding, and the lines dbt put its words in. Keys are named, values of nobody: a column is shown
where an export classes it `none` or `key`, where it is a seed's, or where its name says that it is
a key and it holds no address.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from common import district, findings, paths, store
from common.printable import lines as printable_lines
from common.printable import without_values

SHOWN = 3  # rows of a test that failed
OF_DBT = ("Compilation Error", "Parsing Error")  # said before a row was read: they quote files only
KEY = re.compile(r"_(?:id|ids|number|code|key|year|on)$|^(?:key|id|code|line|target|entity|model)$")
# | column_name | definition_type | contract_type | mismatch_reason |
CONTRACT = re.compile(r"^\s*\| (\w+) +\| (\S*) *\| (\S*) *\| (.*?) *\|\s*$", re.M)
UNSIGNED = "personal_data_is_signed"


def finding(result: Any) -> findings.Finding:
    """What failed, as a night tells it."""
    node, message = result.node, str(result.message or "")
    kind = "test" if node.resource_type == "test" else "model"
    where: dict[str, Any] = {"file": node.original_file_path}
    if wrong := list(_contract(message)):
        described = _described(node)
        first = wrong[0][0]
        where = {"file": described, "line": _line_of(described, node.name, first), "column": first}
        told = "; ".join(sentence for _, sentence in wrong)
        values = {"name": node.name, "why": told, "yaml": described or node.original_file_path}
        return findings.Finding("contract_failed", values, **where)
    rows = _rows(node) if kind == "test" and str(result.status) == "fail" else []
    attached = str(getattr(node, "attached_node", None) or "")
    model = attached.rpartition(".")[2]
    if rows and _name_of_test(node) == UNSIGNED and "allowed" in rows[0]:
        first = rows[0]["column_name"]
        where["line"], where["column"] = _line_of(where["file"], model, first), first
        return findings.Finding("columns_unsigned", _unsigned(model, rows), **where)
    reason = without(message).strip() or "no message"
    if rows:
        of_seed = attached.startswith("seed.")
        shown = [_shown(row, node, of_seed) for row in rows[:SHOWN]]
        if of_seed and (line := _line_of_seed(model, rows[0], _column_of(node))):
            typed, line = district.seed_file(model, line)
            where = {"file": typed, "line": line, "column": _column_of(node)}
            shown[0] += f" in {typed}, line {line:,}"
        reason += "".join(f"; {one}" for one in shown if one)
    return findings.Finding(f"{kind}_failed", {"name": node.name, "why": reason}, **where)


def without(text: str) -> str:
    """A database message may quote a cell, and a cell may be somebody's name; what dbt says before
    it asks the database quotes files only.
    """
    of_dbt = text.lstrip().startswith(OF_DBT)
    return (" ".join(text.split()) if of_dbt else without_values(text))[:500]


def spread(text: str) -> str:
    """What dbt says of files, in the lines it said it in, without where in dbt it was said; '' of
    what a database says.
    """
    if not text.lstrip().startswith(OF_DBT):
        return ""
    kept = [line.rstrip() for line in text.splitlines() if not line.lstrip().startswith("> ")]
    return printable_lines("\n".join(line for line in kept if line))


def _contract(message: str) -> Iterator[tuple[str, str]]:
    """(column, what is wrong with it and what to type) of a contract dbt did not find kept."""
    if "enforced contract" not in message:
        return
    for column, made, said, _ in CONTRACT.findall(message):
        if column == "column_name" or not column.strip("-"):
            continue
        if not said:
            yield (
                column,
                f'column {column} is not in the YAML: add "- name: {column}" with'
                + (f" data_type: {made.lower()}"),
            )
        elif not made:
            yield column, f"column {column} is in the YAML and not in the SQL"
        else:
            yield (
                column,
                f"column {column} is {made.lower()} in the SQL and {said.lower()} in the YAML:"
                f" cast({column} as {said.lower()}), or data_type: {made.lower()}",
            )


def _unsigned(model: str, rows: list[dict[str, Any]]) -> dict[str, str]:
    today = datetime.now(UTC).date()
    told, register = [], []
    for row in rows:
        column, classed = row["column_name"], row["personal_data"]
        allowed = str(row["allowed"]).split(", ")
        if classed == "unclassed":
            told.append(f"{column} has no class: write personal_data: <class> under its meta")
        elif classed not in allowed:
            told.append(f"{column} is classed {classed!r}, which is none")
        else:
            told.append(f"{column} ({classed}) is not signed for with that class")
        known = classed if classed in allowed else "<class>"
        if known not in ("none", "key"):
            register.append(f"{model},{column},{known},<what for>,<who signs>,{today}")
    return {
        "name": model,
        "why": "; ".join(told),
        "allowed": str(rows[0]["allowed"]),
        "rows": "  ".join(register) or "(none: the class none or key needs no signature)",
    }


def _rows(node: Any) -> list[dict[str, Any]]:
    """The first rows a test found, read again; none where that cannot be."""
    code = getattr(node, "compiled_code", None)
    if not code:
        return []
    try:
        with store.connect(read_only=True) as connection:
            cursor = connection.execute(f"select * from ({code}) as found limit 50")
            names = [column[0] for column in cursor.description]
            found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    except (duckdb.Error, store.StoreError):  # the test's own message stands
        return []
    return sorted(found, key=lambda row: [str(value) for value in row.values()])


def _shown(row: Mapping[str, Any], node: Any, of_seed: bool) -> str:
    """`customer_no 1234567`, of what may be shown; '' where nothing may."""
    classes = _classes(str(getattr(node, "attached_node", None) or ""))
    told = []
    for name, value in row.items():
        open_ = classes[name] in ("none", "key") if name in classes else bool(KEY.search(name))
        if of_seed or (open_ and "@" not in str(value)):
            told.append(f"{name} {'empty' if value is None else value}")
    return ", ".join(told)


def _classes(unique_id: str) -> dict[str, str]:
    """Column -> class of personal data, of an export, as the build's manifest has it."""
    from common import documents

    manifest = documents.read(paths.var() / "target" / "manifest.json", {})
    node = manifest.get("nodes", {}).get(unique_id, {})
    return {
        name: column["config"]["meta"]["personal_data"]
        for name, column in node.get("columns", {}).items()
        if column.get("config", {}).get("meta", {}).get("personal_data")
    }


def _name_of_test(node: Any) -> str:
    return getattr(getattr(node, "test_metadata", None), "name", "")


def _column_of(node: Any) -> str:
    return str(getattr(node, "column_name", None) or "")


def _described(node: Any) -> str:
    """The YAML beside a model."""
    return str(getattr(node, "patch_path", None) or "").partition("://")[2]


def _text(file: str) -> Iterable[str]:
    path: Path = paths.project() / file
    if not path.is_file():  # the product's words for what a district put in its place
        path = paths.project() / file.replace(f".{district.PACKAGE}.", ".")
    return path.read_text(encoding="utf-8").splitlines() if file and path.is_file() else ()


def _line_of(file: str, model: str, column: str) -> int | None:
    """The line of the YAML that names the column of this model; else the model's own."""
    own = None
    for number, line in enumerate(_text(file), 1):
        before, _, behind = line.partition("name:")
        named = behind.split(",")[0].strip(" \"'{}") if before.strip(" {") == "-" else ""
        if named == model:
            own = number
        elif named == column and own:
            return number
    return own


def _line_of_seed(seed: str, row: Mapping[str, Any], column: str) -> int | None:
    """The line of a seed's file that holds what a test found; the last of a key that stands
    twice.
    """
    wanted = {
        (column if name in ("value_field", "from_field") else name): (
            "" if value is None else str(value)
        )
        for name, value in row.items()
        if name != "n_records"
    }
    path = paths.project() / "seeds" / f"{seed}.csv"
    if not path.is_file():
        return None
    line = None
    with path.open(encoding="utf-8-sig", newline="") as file:
        records = csv.DictReader(file)
        for record in records:
            if all((record.get(name) or "") == value for name, value in wanted.items()):
                line = records.line_num
    return line
