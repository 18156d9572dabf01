"""Read: what the other side answered, as a table and as findings.

In: `[targets.<name>.receipts]`, its layout, the answers that lie there; what was last delivered.
Out: `raw_<target>.receipts`, replaced; a finding per row that was not taken, with the key of its
row, the part it belongs to and the other side's words, for as long as they are its last about that
row; one per file of ours that lies among the failed. What stands in the words and is somebody's
(a value of the row, an address) is left out of them.

A row counts as ours where the answer's key is that of a row last delivered. Nothing here stops a
night: what cannot be read is a finding.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Any

import duckdb

from common import sftp, sql, store
from common.findings import Finding
from common.settings import SettingsError
from reverse_etl import applied, configured, exports
from reverse_etl.limits import LimitError
from reverse_etl.model import TELLS_NOBODY, Export
from reverse_etl.receipts import layout, places
from reverse_etl.receipts.layout import Answer, Layout, ReceiptError
from reverse_etl.receipts.places import Found, Receipts
from reverse_etl.targets.files import Files, TargetNotConfiguredError

LONGEST = 200  # letters of the other side's words
ADDRESS = re.compile(r"\S+@\S+")
WORD = re.compile(r"[^\W_]{2,}")
EMPTY: frozenset[str] = frozenset()
SHORTEST = 2  # a value of one letter stands in every sentence
LEFT_OUT = "…"
COLUMNS = ("file", "line", "received_at", "entity", "key", "is_refused", "reason")


def read(targets: Sequence[str]) -> list[Finding]:
    """Read the answers of these targets, or of all; what there is to tell."""
    found: list[Finding] = []
    for name in targets or configured.names():
        try:
            adapter = configured.adapter(name, "receipts")
        except SettingsError:  # said by whoever uses the target
            continue
        if isinstance(adapter, Files) and adapter.receipts is not None:
            found += _of_target(name, adapter, adapter.receipts)
    return found


def _of_target(name: str, adapter: Files, said: Receipts) -> list[Finding]:
    try:
        known = layout.load(said.layout or name)
        export = exports.declared(name).get(known.entity)
        if export is None:
            raise ReceiptError(f"its layout is of {known.entity!r}, and no export is")
        names = {column.name for column in export.columns}
        if strange := [one for one in known.key.values() if one not in names]:
            raise ReceiptError(f"its layout names column {strange[0]!r}, and the export has none")
        since = places.since_of(said, datetime.now(UTC))
        answers = [*_answers(adapter, said, since, known)]
        failed = [*_failed(adapter, said, since)]
    except (
        ReceiptError,
        SettingsError,
        exports.ExportError,
        LimitError,
        TargetNotConfiguredError,
        sftp.SftpError,
    ) as error:
        return [Finding("receipts_unread", {"why": str(error)}, target=name)]
    told = [
        Finding(
            "receipt_file_refused", {"file": one.name, "day": f"{one.at:%Y-%m-%d}"}, target=name
        )
        for one in failed
    ]
    with store.connect() as connection:
        return told + _landed(connection, export, known, answers)


def _place(adapter: Files, said: Receipts, folder: str, since: datetime, wanted: Any) -> Any:
    via = said.via or adapter.via
    if via == "imap":
        return places.of_mailbox(said, since, wanted)
    if via == "folder":
        return places.of_folder(folder, since, wanted)
    if via == "sftp":
        return places.of_server(places.elsewhere(adapter.place(), folder), since, wanted)
    raise ReceiptError(f"answers are not fetched by {via}; set via under [targets.….receipts]")


def _answers(
    adapter: Files, said: Receipts, since: datetime, known: Layout
) -> Iterator[tuple[Found, list[Answer] | ReceiptError]]:
    if not said.folder and (said.via or adapter.via) != "imap":
        return
    for one in _place(adapter, said, said.folder, since, known.takes):
        try:
            yield one, [*layout.answers(known, one.data)]
        except ReceiptError as error:
            yield one, error


def _failed(adapter: Files, said: Receipts, since: datetime) -> Iterator[Found]:
    if said.failed_folder:
        yield from _place(adapter, said, said.failed_folder, since, lambda _: True)


def _landed(
    connection: duckdb.DuckDBPyConnection,
    export: Export,
    known: Layout,
    answers: Sequence[tuple[Found, list[Answer] | ReceiptError]],
) -> list[Finding]:
    """The table, and what there is to tell of rows."""
    told, strangers, rows = [], Counter[str](), []
    newest: dict[str, Finding | None] = {}
    ours = _Ours(connection, export)
    for file, said in answers:
        if isinstance(said, ReceiptError):
            values = {"why": f"{file.name}: {said}"}
            told.append(Finding("receipts_unread", values, target=export.target))
            continue
        for one in said:
            row = ours.row(one.key)
            if row is None:
                strangers[file.name] += 1
                continue
            said_of = [*row.values, *one.others]
            why = told_of_nobody(one.reason, said_of, ours.names) or "no reason is given"
            rows.append((file.name, one.line, file.at, known.entity, row.key, one.is_refused, why))
            newest[row.key] = (
                Finding(
                    "receipt_row_refused",
                    {"why": why},
                    target=export.target,
                    entity=export.entity,
                    key=row.key,
                    school_number=row.partition,
                    file=file.name,
                    line=one.line,
                    owner=known.owner,
                )
                if one.is_refused
                else None
            )
    _table(connection, export.target, rows)
    told += [
        Finding("receipt_of_nobody", {"file": name, "rows": count}, target=export.target)
        for name, count in sorted(strangers.items())
    ]
    return told + [one for one in newest.values() if one]


def _table(connection: duckdb.DuckDBPyConnection, target: str, rows: list[tuple[Any, ...]]) -> None:
    schema = sql.name(f"raw_{target}")
    connection.execute(f"create schema if not exists {schema}")
    connection.execute(
        f"create or replace table {schema}.receipts (file text, line bigint, received_at"
        " timestamptz, entity text, key text, is_refused boolean, reason text)"
    )
    if rows:
        places_of = ", ".join("?" * len(COLUMNS))
        connection.executemany(f"insert into {schema}.receipts values ({places_of})", rows)


class _Row:
    """A row of ours: its key as it may be shown, its part, and what of it is somebody's."""

    def __init__(self, key: str, partition: str, values: list[str]) -> None:
        self.key, self.partition, self.values = key, partition, values


class _Ours:
    """The rows last delivered, by any of their columns."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, export: Export) -> None:
        self._connection, self._export = connection, export
        self._by: dict[tuple[str, ...], dict[tuple[str, ...], _Row]] = {}
        self.names: set[str] = set()  # the words of everybody's names

    def row(self, key: tuple[tuple[str, str], ...]) -> _Row | None:
        columns = tuple(name for name, _ in key)
        if columns not in self._by:
            self._by[columns] = {}
            for values, row in self._rows(columns):
                # two rows under one key of theirs: nobody can say whose the answer is
                self._by[columns][values] = row if values not in self._by[columns] else None  # type: ignore[assignment]
        return self._by[columns].get(tuple(value.casefold() for _, value in key))

    def _rows(self, columns: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], _Row]]:
        export = self._export
        table = applied.table(export.target, export.entity)
        there = applied.columns(self._connection, table)
        telling = [
            c for c in export.columns if c.personal_data not in TELLS_NOBODY and c.name in there
        ]
        if not {*columns} <= {*there}:
            return
        part = sql.name(export.partition) if export.partition in there else "''"
        wanted = ["_key", part, *map(sql.name, (*columns, *(c.name for c in telling)))]
        texts = ", ".join(f"cast({one} as varchar)" for one in wanted)
        for key, partition, *rest in self._connection.execute(
            f"select {texts} from {table}"
        ).fetchall():
            values = tuple((one or "").strip().casefold() for one in rest[: len(columns)])
            told = dict(zip(telling, rest[len(columns) :], strict=True))
            for column, value in told.items():
                if column.personal_data == "name":
                    self.names.update(word.casefold() for word in WORD.findall(value or ""))
            yield values, _Row(key, partition or "", [*filter(None, told.values())])


def told_of_nobody(reason: str, values: Sequence[str], names: AbstractSet[str] = EMPTY) -> str:
    """The other side's words without what is somebody's: values of the row and each of their words,
    anybody's names, addresses.
    """
    text = " ".join(ADDRESS.sub(LEFT_OUT, reason).split())
    for value in sorted({*values}, key=len, reverse=True):
        if len(value) >= SHORTEST:
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", LEFT_OUT, text, flags=re.I)
    words = {word.casefold() for value in values for word in WORD.findall(value)} | names
    text = WORD.sub(lambda word: LEFT_OUT if word[0].casefold() in words else word[0], text)
    return text[:LONGEST]
