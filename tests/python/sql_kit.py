"""The project's SQL as its files stand, over small hand-made tables in DuckDB: no dbt, no
warehouse, no night.

`rendered` fills in what dbt would, `answer` asks it of tables. Tables are known by their last name:
`ref('students')` and `source('ledger_identity', 'students')` are both `students`.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import jinja2
import yaml
from jinja2.runtime import Macro

from common import paths
from scripts import letter_map

# a table: its columns ("name" or "name:type", the type where no row shows it), then its rows
Table = tuple[Any, ...]
Tables = Mapping[str, Table]
TYPES = {bool: "boolean", int: "bigint", float: "double", str: "varchar"}


class Relation(str):
    """A table as a generic test is given it."""

    __slots__ = ()

    @property
    def identifier(self) -> str:
        return str(self)


ENVIRONMENT = jinja2.Environment(extensions=["jinja2.ext.do"])
KINDS = SimpleNamespace(
    type_string=lambda: "varchar",
    type_float=lambda: "float",
    dateadd=lambda part, count, day: f"{day} + ((interval '1 {part}') * ({count}))",
    position=lambda text, within: f"position({text} in {within})",
    split_part=lambda text, mark, place: f"split_part({text}, {mark}, {place})",
)
WORDS = {
    "ref": Relation,
    "source": lambda _, name: Relation(name),
    "execute": True,
    "dbt": KINDS,
    "return": lambda sql: sql,
    "config": lambda **_: "",
    "var": lambda name, default=None: project()["vars"].get(name, default),
    "env_var": os.environ.get,
    "fromjson": json.loads,
    "load_relation": lambda relation: relation,
    "graph": {"nodes": {}},
}


@cache
def project() -> dict[str, Any]:
    """`dbt_project.yml`."""
    return yaml.safe_load((paths.root() / "dbt_project.yml").read_text(encoding="utf-8"))


@cache
def macros() -> dict[str, Any]:
    """The project's macros as functions that give SQL; `letter_map` is what its file is written
    from.
    """
    files = sorted((paths.root() / "macros").glob("*.sql"))
    text = "\n".join(
        file.read_text(encoding="utf-8")
        for file in files
        if file.stem not in ("letter_map", "materializations")
    )
    words = {
        "letter_map": letter_map.mapping,
        "adapter": SimpleNamespace(dispatch=lambda name, _: getattr(module, f"duckdb__{name}")),
    }
    module: Any = ENVIRONMENT.from_string(text, globals=WORDS | words).module
    return {
        name: function for name, function in vars(module).items() if isinstance(function, Macro)
    }


@cache
def _template(text: str) -> jinja2.Template:
    return ENVIRONMENT.from_string(text, globals=WORDS | macros())


def rendered(file: Path, graph: Mapping[str, Any] | None = None, **arguments: object) -> str:
    """The SQL of a model or of a data test. `graph` is what dbt knows of the project; `arguments`
    are those of a generic test.
    """
    text = file.read_text(encoding="utf-8")
    generic = re.search(r"{% test (\w+)\(", text)
    if not generic:
        return _template(text).render(graph=graph)
    text = text.replace("{% test ", "{% macro ").replace("{% endtest %}", "{% endmacro %}")
    return str(getattr(_template(text).make_module({"graph": graph}), generic[1])(**arguments))


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'; set threads = 1")
    return connection


@contextmanager
def database(tables: Tables) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB in memory that holds these tables, and none of them afterwards."""
    connection = _connection()
    connection.begin()
    try:
        for name, table in tables.items():
            fill(connection, name, table)
        yield connection
    finally:
        connection.rollback()


def fill(connection: duckdb.DuckDBPyConnection, name: str, table: Table) -> None:
    columns, *rows = table
    named = [column.partition(":")[::2] for column in columns.split()]
    types = [given or _type(row[place] for row in rows) for place, (_, given) in enumerate(named)]
    listed = ", ".join(
        f'"{column}" {type_}' for (column, _), type_ in zip(named, types, strict=True)
    )
    connection.execute(f'create or replace table "{name}" ({listed})')
    if rows:
        # as words of SQL: DuckDB looks for a handful of modules for every value it is given to bind
        values = ", ".join(f"({', '.join(map(_literal, row))})" for row in rows)
        connection.execute(f'insert into "{name}" values {values}')


def _literal(value: object) -> str:
    return "null" if value is None else "'" + str(value).replace("'", "''") + "'"


def _type(values: Iterator[object]) -> str:
    first = next((value for value in values if value is not None), "")
    return TYPES.get(type(first), type(first).__name__.replace("datetime", "timestamp"))


def seed(name: str) -> Table:
    """A seed as it is shipped, as far as texts, yes and no go."""
    words = {"": None, "true": True, "false": False}
    with (paths.root() / "seeds" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    return (" ".join(head), *(tuple(words.get(value, value) for value in row) for row in rows))


def answer(sql: str, tables: Tables) -> list[tuple[Any, ...]]:
    """What the SQL says over these tables, in no order that matters."""
    with database(tables) as connection:
        return sorted(connection.execute(sql).fetchall(), key=repr)
