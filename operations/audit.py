"""Audit: the questions of docs/audit.md, asked of the published warehouse.

In: the cookbook's headings and SQL blocks, and the published copy. Out: a list of questions, or the
answer to one. The document is the only place the queries stand, so what a person reads is what
runs.

Alone: `python -m operations audit`, `python -m operations audit 1 --set name=value`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

import duckdb
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from common import paths
from common.printable import printable
from common.words import words

COOKBOOK = paths.root() / "docs" / "audit.md"


class UnanswerableError(Exception):
    """The question cannot be asked; the message says what is missing."""


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


def answer(question: Question, values: dict[str, str]) -> tuple[list[str], list[tuple]]:
    """Ask the published warehouse; returns column names and rows. Raises Unanswerable with a
    sentence.
    """
    if not paths.published().is_file():
        raise UnanswerableError(
            f'nothing is published yet ({paths.published()}); run "make nightly" or "make report"'
            " first"
        )
    missing = [name for name in question.parameters if name not in values]
    if missing:
        raise UnanswerableError(
            f'"{question.title}" needs a value for {", ".join(missing)}: add SET="{missing[0]}=…"'
        )
    with duckdb.connect(str(paths.published()), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        cursor = connection.execute(
            question.sql, {name: values[name] for name in question.parameters} or None
        )
        return [column[0] for column in cursor.description], cursor.fetchall()


def show(number: int | None, values: dict[str, str], console: Console) -> int:
    """List the questions, or answer one; returns the exit code."""
    recipes = questions()
    if number is None:
        console.print(
            f'What you can ask (make audit ASK=1 SET="{words().subject}=1000001"), or open the copy'
            " yourself:",
            markup=False,
        )
        console.print(f"[dim]{escape(str(paths.published()))}[/]")
        for index, recipe in enumerate(recipes, 1):
            needs = f"({', '.join(recipe.parameters)})" if recipe.parameters else ""
            console.print(f"{index:3}. {escape(recipe.title)} [dim]{escape(needs)}[/]")
        return 0
    if not 1 <= number <= len(recipes):
        raise UnanswerableError(f"there is no question {number}; the cookbook has {len(recipes)}")
    names, rows = answer(recipes[number - 1], values)
    texts = [[_text(value) for value in row] for row in rows]
    console.print(f"[bold]{escape(recipes[number - 1].title)}[/]")
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
    console.print(f"[dim]{len(rows):,} rows[/]")
    return 0


def _text(value: object) -> str:
    if value is None or value == "{}":
        return ""
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else printable(str(value))
