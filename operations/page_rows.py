"""The rows behind the page: every change of a run and every finding, as the page opens and
searches them.

In: the ledger's changes and `audit.known_as` of the published copy, the run's findings. Out:
columns of numbers into one list of texts, packed (JSON, gzip, base64): a first night of five
thousand subjects has a hundred thousand changes, and a page is one file that can be mailed. Keys
only, no names; what the page does not show of an address is not in here either.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Iterable
from typing import Any

import duckdb

from common import database, findings, paths, problems
from common.runs import Run

MOST = 300_000  # rows a browser still searches while somebody types
COLUMNS = ("part", "partition", "key", "who", "head", "text")
FOUND = "findings"  # the part of those that are no change
CHANGES = """
    {who}
    select
        changes.target || ' ' || changes.entity,
        coalesce(changes.partition, ''),
        changes.key,
        coalesce(who.about, ''),
        changes.action || ', ' || changes.status,
        changes.reason,
        changes.hold
    from ledger_audit.changes
    left join who on changes.subject = who.subject
    where changes.run_id = ?
    order by changes.target, changes.entity, changes.partition, changes.action, changes.key
    limit {most}
"""
WHO = """
    with who as (
        select subject, min(split_part(about, ',', 1)) as about  -- what it is, and its number
        from audit.known_as
        group by subject
    )
"""
NOBODY = "with who as (select '' as subject, '' as about)"  # a house that has nobody

Row = tuple[str, str, str, str, str, str]


def packed(
    run: Run, found: Iterable[dict[str, Any]], shown: Callable[[object], object]
) -> tuple[str, int, bool]:
    """All rows as the page reads them, how many, and whether that is all there are."""
    rows = [*_findings(found), *changes(run)]
    return pack(rows[:MOST], shown), len(rows[:MOST]), len(rows) < MOST


def pack(rows: Iterable[Row], shown: Callable[[object], object]) -> str:
    """The rows, each text once, every text as the page may show it."""
    texts: dict[str, int] = {}
    columns: tuple[list[int], ...] = tuple([] for _ in COLUMNS)
    for row in rows:
        for column, text in zip(columns, row, strict=True):
            column.append(texts.setdefault(text, len(texts)))
    said = {"texts": [str(shown(text)) for text in texts]} | dict(
        zip(COLUMNS, columns, strict=True)
    )
    plain = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
    return base64.b64encode(gzip.compress(plain, mtime=0)).decode()


def unpacked(text: str) -> list[Row]:
    """What `pack` was given, as the page shows it."""
    said = json.loads(gzip.decompress(base64.b64decode(text)))
    return [
        tuple(said["texts"][number] for number in row)
        for row in zip(*(said[column] for column in COLUMNS), strict=True)
    ]


def changes(run: Run) -> list[Row]:
    """Every change of the run, held and failed ones too."""
    if not paths.published().is_file():
        return []
    try:
        with database.connect(paths.published(), read_only=True) as connection:
            known = connection.execute(
                "select count(*) from duckdb_tables()"
                " where schema_name = 'audit' and table_name = 'known_as'"
            ).fetchone()
            query = CHANGES.format(who=WHO if known and known[0] else NOBODY, most=MOST)
            rows = connection.execute(query, [run.run_id]).fetchall()
            said = {stored: problems.said(stored) for row in rows for stored in row[5:]}
            return [
                (*row[:5], "; ".join(said[stored] for stored in row[5:] if stored)) for row in rows
            ]
    # of a build that never came so far, or damaged, which the night says
    except (duckdb.CatalogException, duckdb.BinderException, duckdb.IOException):
        return []


def _findings(found: Iterable[dict[str, Any]]) -> Iterable[Row]:
    for one in found:
        where = ", ".join(
            str(one[name]) for name in ("source", "feed", "target", "file") if one[name]
        )
        yield (
            FOUND,
            one[findings.PARTITION] or "",
            one["key"] or "",
            "",
            f"{one['level']}, {one['code'].replace('_', ' ')}",
            one["message"] + (f" ({where})" if where else ""),
        )
