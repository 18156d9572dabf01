"""What ships: every row of a seed, every limit, guard and number that decides, against one table
that says why it is so.

The table is `expected/shipped/`, five CSVs a person can read: an empty `why` is that of the row
above. A default is changed in two files or not at all, so nobody changes one by accident;
docs/edit-a-rule.md says how. Nothing is built: the files are read as they lie here.
"""

from __future__ import annotations

import ast
import csv
import difflib
import inspect
import json
import re
import textwrap
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_origin

import pytest
import yaml
from pydantic_core import PydanticUndefined

from common import settings
from common.settings import Section
from ingestion.configured import Archive
from ingestion.tolerance import Tolerance
from operations import configured
from operations.routes import Alerts
from reverse_etl.passwords import Sealing
from reverse_etl.targets import files as files_targets
from reverse_etl.targets.google import settings as google
from reverse_etl.targets.microsoft import settings as microsoft

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = Path(__file__).parent / "expected" / "shipped"
ROOMS = ("common", "ingestion", "reverse_etl", "operations")
LAYERS = ("intake", "core", "identity", "exports")

Row = tuple[str, ...]


def cells(name: str) -> list[Row]:
    with (SHIPPED / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return [tuple(row) for row in csv.reader(file)]


def files(pattern: str) -> list[Path]:
    return sorted(ROOT.glob(pattern))


def said(value: Any) -> str:
    """A value as the table writes it: a list with commas, yes and no as YAML has them."""
    if isinstance(value, list) and not any(isinstance(one, dict | list) for one in value):
        return ", ".join(said(one) for one in value)
    return json.dumps(value, ensure_ascii=False, default=str).removeprefix('"').removesuffix('"')


def flat(table: dict[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", said(value)


def seeds() -> Iterator[Row]:
    for path in files("seeds/*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            yield from ((path.stem, " | ".join(row)) for row in csv.reader(file))


@cache
def document(path: Path) -> dict[str, Any]:
    return yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def models(pattern: str = "models/**/*.yml") -> Iterator[dict[str, Any]]:
    yield from (
        model
        for path in files(pattern)
        for kind in ("models", "seeds")
        for model in document(path).get(kind, [])
    )


def sources() -> Iterator[dict[str, Any]]:
    """The raw tables and the ledger's as models read them."""
    for path in files("models/**/_sources.yml"):
        for source in document(path)["sources"]:
            yield from (
                {**table, "name": f"{source['name']}.{table['name']}"} for table in source["tables"]
            )


def exporting() -> Iterator[dict[str, Any]]:
    """The models that are exports; beside them stand those that say who is in no file."""
    return (model for model in models("models/exports/*/*.yml") if "meta" in model["config"])


def exports() -> Iterator[Row]:
    """Settings and columns of every export: what is sent, whose a value is, how much may change."""
    for model in exporting():
        yield from (
            (model["name"], *setting) for setting in flat(model["config"]["meta"]["export"])
        )
        for column in model["columns"]:
            meta = column["config"]["meta"]
            facts = [
                column["data_type"],
                meta["personal_data"],
                *(
                    f"{name}: {said(value)}"
                    for name, value in meta.items()
                    if name != "personal_data"
                ),
            ]
            yield model["name"], f"column {column['name']}", ", ".join(facts)


def guards() -> Iterator[Row]:
    """Contracts, constraints, data tests and what becomes of a table: what stands between a mistake
    and a target.
    """
    found: list[Row] = []
    for model in [*models(), *models("seeds/*.yml"), *models("common/*.yml"), *sources()]:
        name, config, columns = model["name"], model.get("config", {}), model.get("columns", [])
        if config.get("contract"):
            found.append(("contract", name, said(config["contract"]["enforced"])))
        found += [
            ("config", name, f"{key}: {said(value)}")
            for key, value in config.items()
            if key not in ("contract", "column_types", "meta")
        ]
        found += [
            guard(name, one)
            for one in [*model.get("constraints", []), *model.get("data_tests", [])]
        ]
        asked = [
            (column["name"], one)
            for column in columns
            for one in [*column.get("constraints", []), *column.get("data_tests", [])]
        ]
        filled = [column for column, one in asked if one in ({"type": "not_null"}, "not_null")]
        found += [
            guard(f"{name}.{column}", one)
            for column, one in asked
            if one not in ({"type": "not_null"}, "not_null")
        ]
        found += [("not null", name, said(filled))] if filled else []
        found += (
            [
                (
                    "types",
                    name,
                    said([f"{column} {kind}" for column, kind in config["column_types"].items()]),
                )
            ]
            if "column_types" in config
            else []
        )
    for path in files("models/**/*.sql"):
        for config in re.findall(
            r"\{\{\s*config\((.*?)\)\s*\}\}", path.read_text(encoding="utf-8"), re.S
        ):
            found.append(("materialized", path.stem, " ".join(config.split()).rstrip(",")))
    found += [
        (
            "data test",
            path.stem,
            said(re.findall(r"config\((.*?)\)", path.read_text(encoding="utf-8"), re.S)),
        )
        for path in files("tests/dbt/*.sql")
    ]
    layer = {table["name"].split(".")[0]: "sources" for table in sources()}
    layer |= {
        path.stem: path.relative_to(ROOT / "models").parts[0] for path in files("models/**/*.yml")
    }
    yield from sorted(
        (kind, "" if kind == "data test" else layer.get(where.split(".")[0], "seeds"), where, asked)
        for kind, where, asked in found
    )


def guard(where: str, one: str | dict[str, Any]) -> Row:
    """One constraint or data test as (kind, where, what it asks)."""
    if isinstance(one, str):
        return one, where, ""
    if "type" in one:
        return (
            one["type"].replace("_", " "),
            where,
            said(
                [
                    *one.get("columns", []),
                    *(f"{key}: {one[key]}" for key in one if key not in ("type", "columns")),
                ]
            ),
        )
    ((kind, facts),) = one.items()
    asked = [value for _, value in flat(facts.get("arguments", {}))]
    return (
        kind,
        where,
        " / ".join(
            [*asked, *(f"{key}: {said(facts[key])}" for key in facts if key != "arguments")]
        ),
    )


def layouts() -> Iterator[Row]:
    for path in files("ingestion/layouts/*.toml"):
        yield from (
            (path.stem, *setting)
            for setting in flat(tomllib.loads(path.read_text(encoding="utf-8")))
        )


def numbers() -> Iterator[Row]:
    """Settings as they ship, and the numbers Python falls back on: constants, defaults of fields,
    arguments and settings.
    """
    yield from (
        (".dlt/config.toml", *setting)
        for setting in flat(tomllib.loads((ROOT / ".dlt/config.toml").read_text(encoding="utf-8")))
    )
    for name in ("dbt_project.yml", "profiles.yml"):
        yield from ((name, *setting) for setting in flat(document(ROOT / name)))
    for path in (path for room in ROOMS for path in files(f"{room}/**/*.py")):
        where = path.relative_to(ROOT).as_posix()
        yield from (
            (where, f"{section.__name__}.{name}", value)
            for section in sections()
            if section.__module__ == where.removesuffix(".py").replace("/", ".")
            for name, value in fields(section)
        )
        yield from (
            (where, name, value)
            for name, value in constants(ast.parse(path.read_text(encoding="utf-8")), "")
        )


@cache
def sections() -> tuple[type[Section], ...]:
    """Every table of the settings and of a layout that some module declares."""
    for path in (path for room in ROOMS for path in files(f"{room}/**/*.py")):
        if "Section" in path.read_text(encoding="utf-8"):
            import_module(path.relative_to(ROOT).with_suffix("").as_posix().replace("/", "."))
    found, new = [], Section.__subclasses__()
    while new:
        found += new
        new = [one for section in new for one in section.__subclasses__()]
    return tuple(one for one in found if one.__module__.partition(".")[0] in ROOMS)


def fields(section: type[Section]) -> Iterator[tuple[str, str]]:
    """What a section's own settings are where nobody wrote them: numbers, yes, and words of a few.
    A text is a name, and what is empty or no decides nothing.
    """
    for name, field in section.model_fields.items():
        usual, words = field.default, get_origin(field.annotation) is Literal
        if name not in section.__annotations__ or usual is PydanticUndefined:
            continue
        said = type(usual) in (int, float) or usual is True
        if said or ((words or isinstance(usual, tuple)) and usual):
            yield field.alias or name, repr(usual)


def constants(tree: ast.AST, within: str) -> Iterator[tuple[str, str]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef) and node.name in {one.__name__ for one in sections()}:
            continue
        if isinstance(node, ast.ClassDef):
            inside = list(constants(node, f"{within}{node.name}."))
            # a class whose fields all begin at nothing counts something; one with another number
            # holds defaults
            yield from (
                one for one in inside if any(value not in ("0", "0.0") for _, value in inside)
            )
        elif (
            isinstance(node, ast.Assign | ast.AnnAssign)
            and node.value is not None
            and number(node.value)
        ):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            yield within + ast.unparse(target), ast.unparse(node.value)
        elif isinstance(node, ast.FunctionDef):
            yield from (
                (f"{within}{node.name}({argument.arg})", ast.unparse(default))
                for argument, default in defaults(node.args)
                if number(default)
            )
            yield from dict.fromkeys(
                (f"{within}{node.name}: {name}", value) for name, value in fallbacks(node)
            )


def defaults(given: ast.arguments) -> Iterator[tuple[ast.arg, ast.expr]]:
    named = [*given.posonlyargs, *given.args]
    yield from zip(named[len(named) - len(given.defaults) :], given.defaults, strict=True)
    yield from (
        (one, value)
        for one, value in zip(given.kwonlyargs, given.kw_defaults, strict=True)
        if value
    )


def fallbacks(function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    """What a setting is taken for where nobody wrote it: `settings.get("threads", 8)`."""
    for node in ast.walk(function):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "get"
            and len(node.args) == 2
        ):
            name, value = node.args
            if (
                isinstance(name, ast.Constant)
                and isinstance(value, ast.Constant)
                and value.value
                and re.match(r"True|'?[0-9]", ast.unparse(value))
            ):
                yield str(name.value), ast.unparse(value)


def number(value: ast.AST) -> bool:
    """Whether an expression holds a number that is no key of a table and no part of a formula."""
    if isinstance(value, ast.Constant):
        return type(value.value) in (int, float)
    parts = (
        value.values
        if isinstance(value, ast.Dict)
        else [one for one in ast.iter_child_nodes(value) if not isinstance(one, ast.Lambda)]
    )
    return any(number(one) for one in parts if one is not None)


TABLES: dict[str, Callable[[], Iterator[Row]]] = {
    "seeds": seeds,
    "exports": exports,
    "guards": guards,
    "layouts": layouts,
    "numbers": numbers,
}


@pytest.mark.parametrize("name", TABLES)
def test_what_ships_is_what_the_table_says(name: str):
    table, found = (
        [" , ".join(row) for row in rows]
        for rows in ([row[:-1] for row in cells(name)[1:]], TABLES[name]())
    )
    moved = [
        line
        for line in difflib.unified_diff(table, found, "the table", "what ships", lineterm="", n=0)
        if not line.startswith("@@")
    ]
    assert not moved, (
        f"tests/python/expected/shipped/{name}.csv says otherwise; docs/edit-a-rule.md says what to"
        " do:\n" + "\n".join(moved)
    )


@pytest.mark.parametrize("name", TABLES)
def test_every_row_of_the_table_has_a_reason(name: str):
    heading, *rows = cells(name)
    assert heading[-1] == "why"
    assert {len(row) for row in rows} == {len(heading)}
    assert rows[0][-1], "the first row has no row above to share a reason with"
    assert [why for *_, why in rows if why and not why.endswith(".")] == [], (
        "a reason is a sentence"
    )


def test_every_table_is_compared():
    assert {path.stem for path in SHIPPED.iterdir()} == set(TABLES)


def test_a_column_is_classed_as_the_register_says_and_what_is_personal_is_in_it():
    """Both ways: re-classing a column as `none` would else take it out of the register without a
    signature.
    """
    with (ROOT / "seeds/privacy_register.csv").open(encoding="utf-8", newline="") as file:
        signed = {
            (row["model"], row["column_name"]): row["personal_data"] for row in csv.DictReader(file)
        }
    classed = {
        (model["name"], column["name"]): column["config"]["meta"]["personal_data"]
        for model in exporting()
        for column in model["columns"]
    }
    assert {column: classed.get(column) for column in signed} == signed
    assert {
        column for column, personal in classed.items() if personal not in ("none", "key")
    } == set(signed)


@pytest.mark.parametrize(
    ("table", "section", "but"),
    [
        ("trust", Tolerance, {}),
        ("archive", Archive, {}),
        ("night", configured.Night, {}),
        ("schedule", configured.Schedule, {}),
        ("backup", configured.Backup, {}),
        ("retention", configured.Retention, {"evidence_days"}),  # else they are kept for ever
        ("passwords", Sealing, {}),
        ("alerts", Alerts, {}),
        # the shipped settings say where Graph is, and whose tenant it is not yet
        ("targets.google", google.Settings, {"address"}),
        ("targets.microsoft", microsoft.Settings, {"address", "authority"}),
        ("targets.portfolio", files_targets.Settings, {"folder"}),
    ],
)
def test_a_district_that_deletes_a_line_of_the_settings_keeps_what_it_had(table, section, but):
    written = tomllib.loads((ROOT / ".dlt/config.toml").read_text(encoding="utf-8"))
    for name in table.split("."):
        written = written[name]
    shipped = settings.parse(section, written, (table,)).model_dump(by_alias=True)
    usual = section().model_dump(by_alias=True)
    assert {key for key in written if shipped[key] != usual[key]} - {"kind"} == set(but)


def test_every_setting_has_a_line_that_says_what_it_is():
    """The sentence under a field of a section; a person who looks for a setting reads it there."""
    silent = []
    of_targets = "reverse_etl.targets."  # docs/add-a-target.md lists what they may say
    for section in (one for one in sections() if not one.__module__.startswith(of_targets)):
        body = ast.parse(textwrap.dedent(inspect.getsource(section))).body[0].body
        for node, after in zip(body, [*body[1:], None], strict=True):
            said = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            if isinstance(node, ast.AnnAssign) and not said:
                silent.append(f"{section.__name__}.{ast.unparse(node.target)}")
    assert silent == []


def test_every_model_that_decides_has_a_unit_test():
    tested = {
        test["model"]
        for path in files("models/**/*.yml")
        for test in document(path).get("unit_tests", [])
    }
    assert {
        path.stem for layer in (*LAYERS, "audit") for path in files(f"models/{layer}/**/*.sql")
    } - tested == set()
