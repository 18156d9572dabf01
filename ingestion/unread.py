"""Columns that no model reads are not landed: what nobody asks for cannot be lost, leaked or kept.

In: a source's layout, the SQL of the project's models. Out: the same layout, each feed with the
columns nobody reads (`Feed.unread`). What a model reads is every column it names, of the tables it
selects from; the gate reads keys, what is required, schools, references, dates and shapes. A feed
no model selects from was asked for by the settings alone, and stays as it is. A system that is
asked by column is not even asked; of a file the archive has the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from common import paths
from ingestion import people
from ingestion.layout import Feed, Layout

SOURCE = re.compile(r"""\bsource\(\s*['"](\w+)['"]\s*,\s*['"](\w+)['"]\s*\)""")
COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/|\{#.*?#\}", re.DOTALL)
WORD = re.compile(r"[a-z_][a-z0-9_]*")


def less(source: str, layout: Layout, cursors: Collection[str]) -> Layout:
    """The layout without what nobody reads; `cursors` are columns a reader itself needs."""
    asked = words(paths.project() / "models", source)
    feeds = tuple(
        replace(feed, unread=_unread(feed, asked[feed.name], layout.feeds, cursors))
        if feed.name in asked
        else feed
        for feed in layout.feeds
    )
    tables = tuple(
        replace(feed, unread=_unread(feed, asked[feed.name], (), ()))
        if feed.name in asked
        else feed
        for feed in layout.tables
    )
    return replace(layout, feeds=feeds, tables=tables)


def words(models: Path, source: str) -> dict[str, set[str]]:
    """Feed -> every word of the models that select from its table."""
    found: dict[str, set[str]] = {}
    for path in models.rglob("*.sql"):
        text = COMMENT.sub(" ", path.read_text(encoding="utf-8"))
        for system, table in SOURCE.findall(text):
            if system == source:
                found.setdefault(table, set()).update(WORD.findall(text.lower()))
    return found


def _unread(
    feed: Feed, asked: Collection[str], others: Collection[Feed], cursors: Collection[str]
) -> frozenset[str]:
    named = {
        *(reference.column for reference in feed.references),
        *(
            one.parent_column
            for other in others
            for one in other.references
            if one.feed == feed.name
        ),
    }
    by_gate = {
        *named,
        *feed.key,
        *feed.person_key,
        *feed.required,
        *feed.never_empty,
        *feed.distinct,
        *feed.shapes,
        *_dates(feed.not_before, asked),
        *people.asked(feed),
        feed.school,
        feed.report_key,
        feed.content_date,
    }
    return frozenset(
        column.name
        for column in feed.columns
        if not column.restricted and column.name not in {*asked, *by_gate, *cursors}
    )


def _dates(not_before: Mapping[str, str], asked: Collection[str]) -> set[str]:
    """The dates that tell whether one that is read can be true."""
    return {other for date, other in not_before.items() if date in asked}
