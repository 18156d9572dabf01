"""What a query reads, as DuckDB plans it: which columns of which tables, and whether anything else.

In: a connection (as a function that asks it), the text of a query. Out: its tables with their
columns, views looked through; None where the plan does not say it all. And whether a text calls
what changes by itself. For `unchanged`, which compares what stands there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Ask = Callable[..., list[tuple]]
# table by table, its columns; None for a table: all of them
Reads = tuple[tuple[str, tuple[str, ...] | None], ...]
LEDGER = "ledger"
# leaves of a plan that hold nothing but what stands in the SQL itself, or above them in the plan
OF_THE_QUERY = frozenset(
    {
        "CTE_SCAN",
        "COLUMN_DATA_SCAN",
        "DELIM_SCAN",
        "DUMMY_SCAN",
        "EMPTY_RESULT",
        "EXPRESSION_SCAN",
        "RECURSIVE_CTE_SCAN",
        "RANGE",
        "GENERATE_SERIES",
        "HASH_GROUP_BY",  # what a delim join takes from its own other side
    }
)
# the plan names every column that is needed, whatever the rows are: no step that looks at
# statistics or moves filters into the scan
PLANNED_BY = ("cte_inlining", "unnest_rewriter", "unused_columns")
# words that need no brackets, and functions DuckDB calls constant though a setting decides them
OF_THE_MOMENT = (
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "current_user",
    "session_user",
    "current_role",
    "current_catalog",
    "current_schema",
    "tablesample",
)
OF_A_SETTING = ("getvariable", "current_setting", "getenv")
NO_CODE = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
WORD = re.compile(r"[a-z_][a-z0-9_]*")
CALL = re.compile(r"([a-z_][a-z0-9_]*)\s*\(")
NAME = re.compile(r'"((?:[^"]|"")*)"|([^.]+)')


def reads_of(ask: Ask, code: str) -> Reads | None:
    """The columns a query reads; '' as a column: none, only how many rows there are."""
    every = {name for (name,) in ask("select name from duckdb_optimizers()")}
    here = ask("select current_database()")[0][0]
    ask(f"set disabled_optimizers = '{','.join(sorted(every - {*PLANNED_BY}))}'")
    try:
        [(_, plan)] = ask(f"explain (format json) {code}")
    finally:
        ask("reset disabled_optimizers")
    found: set[tuple[str, tuple[str, ...] | None]] = set()
    for leaf in _leaves(json.loads(plan)):
        name, said = leaf["name"].strip(), leaf["extra_info"]
        if name == "SEQ_SCAN" and parts(said.get("Table", ""))[0] in (here, LEDGER):
            columns = said.get("Projections")
            listed = [columns] if isinstance(columns, str) else columns
            found.add((said["Table"], None if listed is None else tuple(sorted(listed))))
        elif name not in OF_THE_QUERY:
            return None
    return tuple(sorted(found, key=str))


def moods(ask: Ask) -> frozenset[str]:
    """The words for what changes by itself: a clock, chance, a setting."""
    functions = ask(
        "select distinct lower(function_name) from duckdb_functions() where stability <>"
        " 'CONSISTENT' or (not internal and macro_definition is not null)"
    )
    called = (*OF_A_SETTING, *(name for (name,) in functions))
    return frozenset([*OF_THE_MOMENT, *(f"{name}(" for name in called)])


def is_moody(code: str, words: frozenset[str]) -> bool:
    """Whether a text names one of them, outside of comments and literals."""
    plain = NO_CODE.sub(" ", code).lower()
    return not words.isdisjoint([*WORD.findall(plain), *(f"{one}(" for one in CALL.findall(plain))])


def parts(name: str) -> tuple[str, ...]:
    """`warehouse."core".things`, without its quotes."""
    return tuple(
        quoted.replace('""', '"') if quoted else plain for quoted, plain in NAME.findall(name)
    ) or ("",)


def _leaves(plan: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for one in plan:
        if one["children"]:
            yield from _leaves(one["children"])
        else:
            yield one
