"""A DuckDB file as a database that a source of kind `sql` reads: what `sql` asks of SQLAlchemy,
asked of DuckDB itself, which has no dialect there among what we install.

In: the path of a file. Out: its tables and views, their columns, and their rows as text, the dates
as ISO, the times in UTC. Opened read-only, and nothing outside of the file is read by a view in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from common import database, sql


class DuckError(Exception):
    """The file cannot be opened, or a table of it not read; the message is the kind of error."""


class MissingTableError(Exception):
    """The file has no such table."""


@dataclass(frozen=True)
class Dialect:
    """What a message calls it."""

    name: str = "duckdb"


class Engine:
    """One open file: the engine and its inspector in one."""

    dialect = Dialect()

    def __init__(self, path: Path) -> None:
        try:
            self._connection = database.connect(path, read_only=True, threads="1")
            self._connection.execute("set enable_external_access = false")  # for good
        except duckdb.Error as error:
            raise DuckError(type(error).__name__) from None

    def dispose(self) -> None:
        self._connection.close()

    def get_columns(self, name: str, schema: str | None = None) -> list[dict[str, str]]:
        """The columns of a table or view, with their types. Raises MissingTableError."""
        found = self._connection.execute(
            "select column_name, data_type from information_schema.columns"
            " where table_catalog = current_database() and lower(table_name) = lower(?)"
            " and lower(table_schema) = lower(?) order by ordinal_position",
            [name, schema or "main"],
        ).fetchall()
        if not found:
            raise MissingTableError(name)
        return [{"name": column, "type": kind} for column, kind in found]

    def has_table(self, name: str, schema: str | None = None) -> bool:
        try:
            return bool(self.get_columns(name, schema))
        except MissingTableError:
            return False

    def batches(
        self, name: str, schema: str | None, columns: list[str], longest: int, rows: int, **by: Any
    ) -> Iterator[Any]:
        """Arrow tables of text; with `since` only rows whose column `at` is at or behind it, or has
        no stamp.
        """
        listed = ", ".join(
            f"substring(cast({sql.name(one)} as varchar), 1, {longest}) as {sql.name(one)}"
            for one in columns
        )
        query, values = f"select {listed} from {sql.name(schema or 'main')}.{sql.name(name)}", []
        if by:
            types = {one["name"]: one["type"] for one in self.get_columns(name, schema)}
            kind, column = types[by["at"]], sql.name(by["at"])
            query += f" where {column} is null or {column} >= cast(? as {kind})"
            values = [by["since"]]
        try:
            for batch in self._connection.execute(query, values).to_arrow_reader(rows):
                yield pa.Table.from_batches([batch])
        except duckdb.Error as error:
            raise DuckError(type(error).__name__) from None
