"""Audit: the questions of docs/audit.md, asked of the published warehouse.

In: the cookbook's headings and SQL blocks, and the published copy. Out: a list of questions, or the
answer to one, whole or narrowed to a subject, a target, days or a field, on the terminal, as CSV or
as an Excel workbook. The document is the only place the queries stand, so what a person reads is
what runs. What is asked about and does not exist is said so, never answered with nothing.

Alone: `python -m operations audit`, `python -m operations audit 1 --subject 1000001`,
`python -m operations audit 3 --target alder --from 2026-10-01 --field given_name --format csv`.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple

import duckdb
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from common import database, paths, settings, store
from common.printable import inert, printable
from common.words import words
from operations import explain

COOKBOOK = paths.root() / "docs" / "audit.md"
FORMATS = ("text", "csv", "xlsx")
VALUES = ("column_name", "old", "new", "row")  # where an answer says which fields it is about


class UnanswerableError(Exception):
    """The question cannot be asked; the message says what is missing."""


@dataclass(frozen=True)
class Asked:
    """What an answer is narrowed to; what is empty narrows nothing."""

    values: dict[str, str] = field(default_factory=dict)  # the recipe's own, by name
    subject: str = ""  # any word somebody is known by
    target: str = ""
    first: str = ""  # days as the district counts them, both included
    last: str = ""
    field: str = ""  # of an export


class Answer(NamedTuple):
    """Columns and rows, as the warehouse gave them."""

    names: list[str]
    rows: list[tuple]


@dataclass(frozen=True)
class Question:
    """One recipe: its heading and its SQL, with `$name` where the reader puts a value."""

    title: str
    sql: str

    @property
    def parameters(self) -> list[str]:
        """The names to give a value, in order of appearance."""
        return list(dict.fromkeys(re.findall(r"\$([a-z_]+)", self.sql)))


def questions() -> list[Question]:
    """All recipes of the cookbook, in its order."""
    text = COOKBOOK.read_text(encoding="utf-8")
    return [
        Question(title.strip(), sql.strip())
        for title, sql in re.findall(
            r"^## \d+\. ([^\n]+)\n(?:(?!^## ).)*?```sql\n(.*?)```", text, re.M | re.S
        )
    ]


def answer(question: Question, asked: Asked) -> Answer:
    """Ask the published warehouse. Raises UnanswerableError with a sentence, NobodyFoundError for a
    subject nobody is.
    """
    if not paths.published().is_file():
        raise UnanswerableError(
            f'nothing is published yet ({paths.published()}); run "make nightly" or "make report"'
            " first"
        )
    store.whole_copy()
    with database.connect(paths.published(), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        values = _values(connection, question, asked)
        _known(connection, asked)
        cursor = connection.execute(
            question.sql, {name: values[name] for name in question.parameters} or None
        )
        whole = Answer([column[0] for column in cursor.description], cursor.fetchall())
        keeps = list(_narrowing(connection, question, asked, whole))
    return Answer(whole.names, [row for row in whole.rows if all(keep(row) for keep in keeps)])


def _values(
    connection: duckdb.DuckDBPyConnection, question: Question, asked: Asked
) -> dict[str, str]:
    """The recipe's values; whoever is asked about stands in it by id, whatever they are called."""
    values, who = dict(asked.values), words().subject
    if strange := sorted({*values} - {*question.parameters}):
        takes = ", ".join(f"SET={name}=…" for name in question.parameters if name != who)
        raise UnanswerableError(
            f"{question.title!r} has no value {strange[0]!r} to give: it takes"
            f" {takes or 'none by SET='}"
        )
    if asked.subject:
        values.setdefault(who, asked.subject)
    missing = [name for name in question.parameters if name not in values]
    if missing == [who]:
        raise UnanswerableError(
            f"{question.title!r} needs to know which {who}: add {who.upper()}=…"
        )
    if missing:
        raise UnanswerableError(
            f"{question.title!r} needs a value for {', '.join(missing)}: add SET={missing[0]}=…"
        )
    for name in ("day", "from", "to"):
        if name in question.parameters:
            _day(values[name])
    if who in question.parameters:
        values[who] = explain.resolve(connection, values[who])
    return values


def _known(connection: duckdb.DuckDBPyConnection, asked: Asked) -> None:
    """Raises UnanswerableError for a target or a field there never was."""
    for given, kind, query in (
        (asked.target, "target", TARGETS),
        (asked.field, "field of an export", FIELDS),
    ):
        if given:
            names = [name for (name,) in connection.execute(query).fetchall()]
            if given not in names:
                near = difflib.get_close_matches(given, names, 3, 0.6)
                meant = f"did you mean {' or '.join(near)}? " if near else ""
                raise UnanswerableError(
                    f"{given!r} is no {kind} this warehouse knows; {meant}There are"
                    f" {', '.join(names[: explain.MOST])}"
                    + (
                        f" and {len(names) - explain.MOST} more"
                        if len(names) > explain.MOST
                        else ""
                    )
                )


TARGETS = """
    select distinct target from audit.changes union select distinct target from audit.deliveries
    union select split_part(table_name[5:], '__', 1) from information_schema.tables
    where table_schema = 'exports' and starts_with(table_name, 'exp_') order by 1"""
FIELDS = """
    select distinct column_name from information_schema.columns
    where table_schema = 'exports' and starts_with(table_name, 'exp_')
    union select unnest(json_keys(new)) from (select distinct new from audit.changes)
    order by 1"""


def _narrowing(
    connection: duckdb.DuckDBPyConnection, question: Question, asked: Asked, whole: Answer
) -> list[Callable[[tuple], bool]]:
    """What a row has to be to be shown. Raises UnanswerableError where no column tells."""

    def place(columns: Sequence[str], about: str) -> list[int]:
        found = [whole.names.index(name) for name in columns if name in whole.names]
        if not found:
            raise UnanswerableError(
                f"{question.title!r} says nothing of {about}, so it cannot be narrowed to one"
            )
        return found

    keeps: list[Callable[[tuple], bool]] = []
    if asked.target:
        (at,) = place(["target"], "targets")
        keeps.append(lambda row: row[at] == asked.target)
    if asked.subject and words().subject not in question.parameters:
        subject = explain.resolve(connection, asked.subject)
        (of,) = place([f"{words().subject}_id"], f"single {words().subjects}")
        keeps.append(lambda row: row[of] == subject)
    if asked.field:
        told = place(VALUES, "fields")
        keeps.append(lambda row: any(asked.field in _fields(row[one]) for one in told))
    if asked.first or asked.last:
        first = _day(asked.first) if asked.first else date.min
        last = _day(asked.last) if asked.last else date.max
        days = [at for at, cells in enumerate(zip(*whole.rows, strict=True)) if _dated(cells)]
        if whole.rows and not days:
            raise UnanswerableError(
                f"{question.title!r} says nothing of days, so it cannot be narrowed to some"
            )
        if first > last:
            raise UnanswerableError(
                f"FROM={first} is after TO={last}, so no day is asked about: exchange them"
            )
        keeps.append(lambda row: any(first <= one <= last for one in _days(row, days)))
    return keeps


def _dated(cells: Sequence[Any]) -> bool:
    return any(isinstance(cell, date) for cell in cells)


def _days(row: tuple, columns: Sequence[int]) -> list[date]:
    """The first moment a row tells, as a day of the district."""
    for at in columns:
        if isinstance(row[at], datetime):
            return [row[at].astimezone(settings.zone()).date()]
        if isinstance(row[at], date):
            return [row[at]]
    return []


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UnanswerableError(f"{text!r} is no day; write it as 2026-10-05") from None


def _fields(cell: object) -> set[str]:
    """The fields a cell is about: a field's name, or the keys of an object."""
    if not isinstance(cell, str) or not cell.startswith("{"):
        return {str(cell)}
    return set(json.loads(cell))


def show(ask: str, asked: Asked, console: Console, form: str = "text") -> int:
    """List the questions, or answer the one of a number; returns the exit code."""
    if form not in FORMATS:
        raise UnanswerableError(f"{form!r} is no form of an answer; there are {', '.join(FORMATS)}")
    recipes = questions()
    if not ask:
        console.print(
            f"What you can ask (make audit ASK=1 {words().subject.upper()}=1000001; TARGET= FROM="
            " TO= FIELD= narrow an answer, FORMAT=csv or xlsx writes it), or open the copy:",
            markup=False,
        )
        console.print(f"[dim]{escape(str(paths.published()))}[/]")
        for index, recipe in enumerate(recipes, 1):
            needs = f"({', '.join(recipe.parameters)})" if recipe.parameters else ""
            console.print(f"{index:3}. {escape(recipe.title)} [dim]{escape(needs)}[/]")
        return 0
    question = dict(zip(map(str, range(1, len(recipes) + 1)), recipes, strict=True)).get(ask)
    if question is None:
        raise UnanswerableError(
            f"there is no question {ask}; the cookbook has {len(recipes)}, by number:"
            ' "make audit" lists them'
        )
    found = answer(question, asked)
    if form == "csv":
        sys.stdout.write(_csv(found))
    elif form == "xlsx":
        if sys.stdout.isatty():
            raise UnanswerableError("a workbook cannot be shown here; add > answer.xlsx")
        sys.stdout.buffer.write(_workbook(question, found))
    else:
        _shown(question, found, console)
    return 0


def _csv(found: Answer) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(found.names)
    writer.writerows([inert(_text(cell)) for cell in row] for row in found.rows)
    return out.getvalue()


def _workbook(question: Question, found: Answer) -> bytes:
    """One sheet, every cell a text: no number loses its zeros, and nothing is run."""
    import xlsxwriter

    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        sheet = book.add_worksheet("answer")
        book.set_properties({"title": question.title})
        for line, row in enumerate([found.names, *found.rows]):
            for column, cell in enumerate(row):
                sheet.write_string(line, column, _text(cell))
        sheet.freeze_panes(1, 0)
        sheet.autofit()
    return out.getvalue()


def _shown(question: Question, found: Answer, console: Console) -> None:
    names, texts = found.names, [[_text(value) for value in row] for row in found.rows]
    console.print(f"[bold]{escape(question.title)}[/]")
    if not texts:
        console.print("Nothing of the kind: the question was understood, and no row answers it.")
        return
    widths = [max(len(cell) for cell in column) for column in zip(names, *texts, strict=True)]
    if sum(widths) + 2 * len(widths) <= console.width:
        table = Table(box=None, header_style="dim", pad_edge=False)
        for name in names:
            table.add_column(name, no_wrap=True)
        for row in texts:
            table.add_row(*(escape(cell) for cell in row))
        console.print(table)
    else:
        for row in (
            texts
        ):  # too wide for this terminal: one fact per line reads better than folded columns
            console.print()
            for name, cell in zip(names, row, strict=True):
                if cell:
                    console.print(
                        f"[dim]{name:>14}[/]  {escape(cell)}", highlight=False, soft_wrap=True
                    )
    console.print(
        f"{len(texts):,} {'row' if len(texts) == 1 else 'rows'}", style="dim", markup=False
    )


def _text(value: object) -> str:
    if value is None or value == "{}":
        return ""
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else printable(str(value))
