"""Explain: one subject, in plain words, for whoever is asked at the help desk.

In: any word somebody is known by, now or before; the published warehouse, in which
`audit.explained` says who this is, line by line, and the declared exports. Out: that, what each
target should hold and holds, what is pending, what was done last, and who can mend what. Names,
contacts and the like are shown, and looked for, only when asked for (`--names`); keys, places and
dates always.

Alone: `python -m operations explain 1000001`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
from rich.console import Console

from common import database, paths, sql, store
from common.printable import printable
from common.words import words
from reverse_etl import exports
from reverse_etl.model import Export

OPEN = ("none", "key", "enrolment")  # classes of personal data that are shown unasked
# its sections
WHO, WHEN, PENDING, DONE, MENDED = (
    "Who",
    "Lifecycle",
    "Pending",
    "Last changes",
    "Who can mend what",
)
MOST = 20  # so many are listed to choose from
SHORTEST = 3  # letters that a part of a number or address needs to be looked for


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
    store.whole_copy()
    with database.connect(paths.published(), read_only=True) as connection:
        subject = resolve(connection, who, names=names)
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
    yield DONE, _lines(connection, subject, DONE, names) or ["nothing was ever done"]
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


def resolve(connection: duckdb.DuckDBPyConnection, who: str, *, names: bool = False) -> str:
    """The subject behind any word somebody is known by; with `names`, behind any part of a name.
    Raises NobodyFoundError: for several, with what tells them apart; for an account that is
    nobody's, with what it is; for nobody, with what comes near.
    """
    asked = who.strip()
    if not asked:
        raise NobodyFoundError(
            f"say which {words().subject}: {words().subject.upper()}= and a number, an address, an"
            " account or an id; with NAMES=1 any part of a name"
        )
    # a house that has nobody has no such table
    known = _has(connection, "audit", "known_as")
    found = _known(connection, EXACTLY, asked, names) if known else []
    if not found and known and names:
        found = _known(connection, BY_NAME, asked, names)
    if len({subject for subject, _ in found}) == 1 and found[0][0] is not None:
        return found[0][0]
    said = words()
    people = [(subject, about) for subject, about in found if subject is not None]
    if people:
        raise NobodyFoundError(_choice(f"{who!r} means {len(people)} {said.subjects}", people))
    if found:
        raise NobodyFoundError(
            f"{who!r} is nobody's: {'; '.join(about for _, about in found)}. It is left alone until"
            " somebody's record matches it, or seeds/identity_decisions.csv says whose it is"
        )
    near = _known(connection, IN_PART, asked, names) if known and len(asked) >= SHORTEST else []
    if near:
        raise NobodyFoundError(
            _choice(f"nobody is known by just {who!r}; it is a part of what these are", near)
        )
    if heard := _heard(connection, asked):
        raise NobodyFoundError(
            f"{who!r} is no {said.subject} we know; the nights said of it: {' '.join(heard)}"
        )
    raise NobodyFoundError(
        f"nobody is known by {who!r}: no feed has ever listed this number"
        + (", no name has these parts" if names else "")
        + " and no account of ours has, or had, this address"
        + ("" if names else " (a part of a name is looked for with NAMES=1)")
        + f". Check it; if it is right, {said.entered_by} has not entered the {said.subject} yet"
    )


EXACTLY = "known_as = lower($asked) and not is_name"
BY_NAME = """is_name and (select bool_and(contains(strip_accents(known_as), strip_accents(part)))
    from (select unnest(string_split_regex(lower($asked), '\\s+')) as part))"""
IN_PART = "contains(known_as, lower($asked)) and not is_name and subject is not null"


def _known(
    connection: duckdb.DuckDBPyConnection, condition: str, asked: str, names: bool
) -> list[tuple[str | None, str]]:
    """Who is known so: subject, and what tells one from the others."""
    about = "coalesce(about_with_names, about)" if names else "about"
    return connection.execute(
        f"select distinct subject, {about} from audit.known_as where {condition} order by all",
        {"asked": asked},
    ).fetchall()


def _choice(sentence: str, found: list[tuple[str, str]]) -> str:
    more = len(found) - MOST
    listed = [f"  {subject}  {about}" for subject, about in found[:MOST]]
    listed += [f"  and {more:,} more"] if more > 0 else []
    return "\n".join([f"{sentence}; ask again with one of these ids:", *listed])


def _heard(connection: duckdb.DuckDBPyConnection, key: str) -> list[str]:
    """What was found about a key that is nobody's, the latest first."""
    if not _has(connection, "audit", "findings"):
        return []
    rows = connection.execute(
        "select any_value(message) from audit.findings where key = ?"
        " group by code, message order by max(found_at) desc limit 3",
        [key],
    ).fetchall()
    return [message for (message,) in rows]


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
    parts += [f"in {', '.join(sorted(wanted & there))}"] if wanted & there else []
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
    hidden = {one.name for one in export.columns if one.personal_data not in OPEN and not names}
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
