"""The macros as their files stand, without dbt: Python functions that give SQL, and what DuckDB
says to it.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import duckdb
import jinja2

from common import paths
from operations import seeds
from scripts import letter_map

# dbt's own words, as its adapter for DuckDB has them
DBT = SimpleNamespace(
    type_string=lambda: "varchar",
    type_float=lambda: "float",
    position=lambda part, text: f"position({part} in {text})",
    dateadd=lambda unit, many, day: f"cast({day} + interval ({many}) {unit} as date)",
    datediff=lambda first, last, unit: f"date_diff('{unit}', {first}, {last})",
)


def macros_of(engine: str) -> Any:
    """All of them in one module, as dbt would offer them on an engine; `letter_map` is what its
    file is written from.
    """
    files = sorted((paths.root() / "macros").glob("*.sql"))
    text = "\n".join(
        file.read_text(encoding="utf-8")
        for file in files
        if file.stem not in ("letter_map", "materializations")
    )
    environment = seeds.environment()
    given = {
        "return": lambda sql: sql,
        "letter_map": letter_map.mapping,
        "dbt": DBT,
        "fromjson": json.loads,
        "env_var": environment.get,
        "target": SimpleNamespace(schema="main"),
        "adapter": SimpleNamespace(
            dispatch=lambda name, package: getattr(
                module, f"{engine}__{name}", getattr(module, f"default__{name}", None)
            )
        ),
    }
    module = (
        jinja2.Environment(extensions=["jinja2.ext.do"]).from_string(text, globals=given).module
    )
    return module


MACROS = macros_of("duckdb")


def said(
    connection: duckdb.DuckDBPyConnection, macro: str, *values: object, **words: object
) -> object:
    """What a macro makes of values, in one row; `words` are arguments that are no SQL."""
    names = [f"value_{number}" for number in range(len(values))]
    row = connection.execute(
        f"select {getattr(MACROS, macro)(*names, **words)} from (select"
        f" {', '.join(f'? as {name}' for name in names)})",
        values,
    ).fetchone()
    assert row is not None
    return row[0]


def said_of(connection: duckdb.DuckDBPyConnection, macro: str, **columns: object) -> object:
    """What a macro makes of one row that it is given by its name."""
    sql = (
        f"select {getattr(MACROS, macro)('one')} from (select"
        f" {', '.join(f'? as {name}' for name in columns)}) as one"
    )
    return connection.execute(sql, list(columns.values())).fetchall()[0][0]
