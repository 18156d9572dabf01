"""Explain: one subject, in plain words, for whoever is asked at the help desk.

In: any word somebody is known by; the published warehouse, in which `audit.explained` says who this
is, line by line, and the declared exports. Out: that, what each target should hold and holds, what
is pending, and who can mend what. Names, contacts and the like are shown only when asked for
(`--names`); keys, places and dates always.

Alone: `python -m operations explain 1000001`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
from rich.console import Console

from common import paths, sql
from common.printable import printable
from common.words import words
from reverse_etl import exports
from reverse_etl.model import Export

PERSONAL = (  # classes of personal data that stay hidden
    "name",
    "contact",
    "birth",
    "address",
    "family",
    "attendance",
)
WHO, WHEN, PENDING, MENDED = "Who", "Lifecycle", "Pending", "Who can mend what"  # its sections


class NobodyFoundError(Exception):
    """Nobody, or more than one, is called that; the message says what to do."""


@dataclass(frozen=True)
class Fault:
    """What is the matter with somebody, and who can mend it: a line of audit.explained."""

    code: str
    owner: str
    sentence: str


def explain(who: str, console: Console, *, names: bool = False) -> int:
    """Print everything about one subject; 0. Raises NobodyFoundError."""
    if not paths.published().is_file():
        raise NobodyFoundError(
            f'nothing is published yet ({paths.published()}); run "make nightly" first'
        )
    with duckdb.connect(str(paths.published()), read_only=True) as connection:
        subject = resolve(connection, who)
        for title, lines in sections(connection, subject, names=names):
            console.print(title, markup=False, style="bold")
            for line in lines:
                console.print(f"  {printable(line)}", markup=False, highlight=False, soft_wrap=True)
    return 0


def sections(
    connection: duckdb.DuckDBPyConnection, subject: str, *, names: bool = False
) -> Iterator[tuple[str, list[str]]]:
    """The answer, section by section: a title and its lines."""
    yield WHO, _lines(connection, subject, WHO, names)
    yield WHEN, _lines(connection, subject, WHEN, names)
    yield "What the targets should hold, and hold", list(_targets(connection, subject, names))
    yield PENDING, _lines(connection, subject, PENDING, names) or ["nothing"]
    yield MENDED, _lines(connection, subject, MENDED, names) or ["nothing is the matter"]


def _lines(
    connection: duckdb.DuckDBPyConnection, subject: str, section: str, names: bool
) -> list[str]:
    return [
        row[1 if names else 0]
        for row in connection.execute(
            "select line, line_with_names from audit.explained where subject = ? and section = ?"
            " order by place, line",
            [subject, section],
        ).fetchall()
    ]


def resolve(connection: duckdb.DuckDBPyConnection, who: str) -> str:
    """The subject behind any word somebody is known by. Raises NobodyFoundError."""
    asked = "select distinct subject from audit.known_as where known_as = lower(?) order by 1"
    known = _has(connection, "audit", "known_as")  # a house that has nobody has no such table
    found = connection.execute(asked, [who.strip()]).fetchall() if known else []
    said = words()
    if not found:
        raise NobodyFoundError(
            f"nobody is known by {who!r}: no feed has ever listed this number and no account of"
            f" ours has this address. Check the number; if it is right, {said.entered_by} has not"
            f" entered the {said.subject} yet"
        )
    if len(found) > 1:
        listed = ", ".join(row[0] for row in found)
        raise NobodyFoundError(
            f"{who!r} means {len(found)} {said.subjects}; ask again with one of their ids: {listed}"
        )
    return found[0][0]


def faults(connection: duckdb.DuckDBPyConnection, subject: str) -> list[Fault]:
    """What is the matter with a subject, and who can mend it."""
    rows = connection.execute(
        "select code, owner, line from audit.explained where subject = ? and section = ?"
        " order by place, line",
        [subject, MENDED],
    ).fetchall()
    return [Fault(*row) for row in rows]


# ---------------------------------------------------------------- targets


def _targets(connection: duckdb.DuckDBPyConnection, subject: str, names: bool) -> Iterator[str]:
    nothing = []
    for export in _exports(connection):
        what = f"{export.target} {export.entity}"
        observed = f"stg_{export.target}__{export.entity}"
        theirs = sql.name("staging", observed)
        asked = f"where {sql.name(export.subject)} = ?"
        wanted = _rows(
            connection, f"select * from {sql.name('exports', export.model)} {asked}", subject
        )
        is_file = not _has(connection, "staging", observed)
        there = [] if is_file else _rows(connection, f"select * from {theirs} {asked}", subject)
        many = [column for column in export.key if column != export.subject]
        if not wanted and not there:
            nothing.append(what)
        elif is_file:
            yield f"{what}: {_count(wanted)} in the file"
        elif export.subject in export.key and many:
            yield from _several(
                what,
                *(
                    {"/".join(str(row[one]) for one in many) for row in rows}
                    for rows in (wanted, there)
                ),
            )
        else:
            yield from _differences(export, what, wanted, there, names)
    if nothing:
        yield f"nothing, and nothing there: {', '.join(nothing)}"


def _exports(connection: duckdb.DuckDBPyConnection) -> Iterator[Export]:
    """The published exports whose rows are about somebody."""
    models = connection.execute(
        "select table_name from information_schema.tables where table_schema = 'exports' order by 1"
    ).fetchall()
    for (model,) in models:
        target, _, entity = model.removeprefix("exp_").partition("__")
        export = exports.declared(target).get(entity)
        if export is not None and export.subject is not None:
            yield export


def _several(what: str, wanted: set[str], there: set[str]) -> Iterator[str]:
    parts = [f"should be {len(wanted)}, are {len(there)}"]
    parts += [f"missing {', '.join(sorted(wanted - there))}"] if wanted - there else []
    parts += [f"too many {', '.join(sorted(there - wanted))}"] if there - wanted else []
    yield f"{what}: {'; '.join(parts)}"


def _differences(
    export: Export,
    what: str,
    wanted: list[dict[str, Any]],
    there: list[dict[str, Any]],
    names: bool,
) -> Iterator[str]:
    if len(wanted) != 1 or len(there) != 1:
        yield f"{what}: should hold {_count(wanted)}, holds {_count(there)}"
        return
    should, has = wanted[0], there[0]
    told = (*export.context, export.subject)
    unlike = [
        column
        for column in should
        if column in has and column not in told and _text(should[column]) != _text(has[column])
    ]
    switches = [column for column, value in should.items() if isinstance(value, bool)]
    state = [f"{one} {_text(should[one])}" for one in (*switches, *export.references)]
    yield f"{what}: {', '.join(state)}; " + (
        "as it should be" if not unlike else f"{len(unlike)} columns differ"
    )
    hidden = {one.name for one in export.columns if one.personal_data in PERSONAL and not names}
    for column in unlike:
        shown = (
            ("not shown", "not shown")
            if column in hidden
            else (_text(should[column]), _text(has[column]))
        )
        yield f"    {column}: should be {shown[0]}, is {shown[1]}"


# ---------------------------------------------------------------- small things


def _rows(connection: duckdb.DuckDBPyConnection, query: str, subject: str) -> list[dict[str, Any]]:
    cursor = connection.execute(query, [subject])
    columns = [column[0] for column in cursor.description]
    return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def _has(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> bool:
    found = connection.execute(
        "select count(*) from information_schema.tables where table_schema = ? and table_name = ?",
        [schema, table],
    ).fetchone()
    return bool(found and found[0])


def _count(rows: list[dict[str, Any]]) -> str:
    return "1 row" if len(rows) == 1 else f"{len(rows)} rows"


def _text(value: Any) -> str:
    return (
        "nothing"
        if value is None
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
    )
