"""A table kept equal to an export: in PostgreSQL, or any database SQLAlchemy speaks to.

In: `[targets.<name>] kind = "sql"` (`settings.Settings`) and the exports that go there; changes
whose `new` holds export columns. Out: outcomes, and what the tables hold now as Arrow, in the
export's own columns. A column's `field:` is the table's column (its own name where it has none);
types are those of the export's contract.

A batch is one transaction: first all of it, and where one row is refused, each behind a savepoint,
so that the others are kept. What broke before the commit is certainly not done; a commit without an
answer may have been, and inserts are looked up by their key. Only rows of ours are read, changed
and deleted: those of `owner`, or those whose key begins with `prefix`. Names are quoted, values are
bound, and no text of the database enters a message: it quotes rows.

Refuses: settings that cannot be followed, a change of a row that is not ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.sql import ColumnElement, quoted_name

from common.addresses import postgres_in_the_clear
from reverse_etl.configured import TargetSettingsError, settings_of
from reverse_etl.model import (
    ADOPT,
    CREATE,
    DELETED,
    LOGIN,
    NUMBER,
    PASSWORD,
    REMOVALS,
    SWITCH,
    Change,
    Column,
    Export,
    Outcome,
    key_text,
)
from reverse_etl.targets import documents
from reverse_etl.targets import entity as rows
from reverse_etl.targets.base import Target
from reverse_etl.targets.reading import TargetUnreadableError
from reverse_etl.targets.sql.errors import TroubleError, trouble_of
from reverse_etl.targets.sql.settings import Entity, Settings
from reverse_etl.targets.taken import UNLIKE, Holder, the_one, unlike

ROWS_PER_BATCH = 10_000


class Table:
    """One entity's table, as the export's contract says it is; nothing is asked of the database."""

    def __init__(self, entity: Entity, export: Export) -> None:
        self.entity, self.export = entity, export
        self.sent = tuple(c for c in export.sent if c.role not in {DELETED, PASSWORD})
        names = {column.field or column.name for column in self.sent}
        sorts = set(entity.adopts_only) if entity.adopts or entity.asks(export) else set()
        more = ({entity.id, entity.owner.column if entity.owner else ""} | sorts) - {""} - names
        self.table = sa.table(
            quoted_name(entity.table, quote=True),
            *(
                sa.column(
                    quoted_name(column.field or column.name, quote=True), type_of(column.type)
                )
                for column in self.sent
            ),
            *(sa.column(quoted_name(name, quote=True)) for name in sorted(more)),
            schema=quoted_name(entity.schema_name, quote=True) if entity.schema_name else None,
        )
        # of a key that ignores letter case the folded one, as changes have it
        self.key = tuple(
            sa.func.lower(self.at(self.column(name)))
            if name in export.folded
            else self.at(self.column(name))
            for name in export.key
        )

    def column(self, name: str) -> Column:
        """An export column by its name. Raises KeyError with a reason."""
        for column in self.sent:
            if column.name == name:
                return column
        raise KeyError(f"{name} is no column of {self.export.model} that goes to a table")

    def at(self, column: Column) -> ColumnElement[Any]:
        return self.table.c[column.field or column.name]

    @property
    def id(self) -> ColumnElement[Any] | None:
        return self.table.c[self.entity.id] if self.entity.id else None

    @property
    def owner(self) -> ColumnElement[Any] | None:
        return self.table.c[self.entity.owner.column] if self.entity.owner else None

    def ours(self) -> ColumnElement[bool]:
        """The rows that are ours to change."""
        if self.entity.owner:
            return self.table.c[self.entity.owner.column] == self.entity.owner.value
        if self.entity.prefix:
            folds = self.export.key[0] in self.export.folded
            prefix = self.entity.prefix.lower() if folds else self.entity.prefix
            return sa.cast(self.key[0], sa.String).startswith(prefix, autoescape=True)
        return sa.true()

    def readable(self) -> ColumnElement[bool]:
        """Ours, and where rows have an id of their own those nobody has a key or an owner for."""
        if self.id is None:
            return sa.and_(self.ours(), *(column.is_not(None) for column in self.key))
        free = sa.and_(*(column.is_(None) for column in self.key))
        if self.owner is not None:
            free = sa.and_(free, self.owner.is_(None))
        return sa.or_(self.ours(), free)

    def refers(self, name: str) -> bool:
        """Whether the id of another row stands in a column."""
        return self.entity.links == "id" and name in self.export.references

    def key_of(self, change: Change) -> tuple[str, ...]:
        """A change's key as it stands in the table. Raises KeyError with a reason."""
        for name in self.export.key:
            if self.refers(name) and not change.references.get(name):
                raise KeyError(f"what its {name} refers to does not exist in the target yet")
        return tuple(
            change.references[name] if self.refers(name) else value
            for name, value in zip(self.export.key, change.key, strict=True)
        )

    def bound_key(self, change: Change) -> tuple[Any, ...]:
        """The same as values for the driver."""
        named = zip(self.export.key, self.key_of(change), strict=True)
        return tuple(bound(self.column(name).type, value) for name, value in named)

    def is_key(self, change: Change) -> ColumnElement[bool]:
        pairs = zip(self.key, self.bound_key(change), strict=True)
        return sa.and_(*(at == value for at, value in pairs))


class Numbers:
    """The numbers of one transaction: each follows the greatest that stands in the table, and
    nobody else gives one until it ends. What it takes back with it leaves no gap.
    """

    def __init__(self, connection: Connection, table: Table) -> None:
        self._connection, self._table = connection, table
        column = table.export.of_role(NUMBER)
        assert column is not None
        self._column, self._at = column, table.at(column)
        self._greatest: dict[documents.Series, int] = {}
        self._last: documents.Series | None = None
        if connection.dialect.name == "postgresql":  # readers go on, writers wait
            quoted = connection.dialect.identifier_preparer.format_table(table.table)
            connection.execute(sa.text(f"lock table {quoted} in share row exclusive mode"))

    def given(self, change: Change, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row with its number. Raises KeyError with a reason."""
        self._last = series = documents.series_of(self._column, change.new.get(self._column.name))
        if series is None:
            return dict(row)
        if series not in self._greatest:
            self._greatest[series] = self._there(series)
        self._greatest[series] += 1
        return {**row, self._at.name: series.text(self._greatest[series])}

    def back(self) -> None:
        """The last one was refused with its row: it is the next again."""
        if self._last is not None:
            self._greatest[self._last] -= 1

    def _there(self, series: documents.Series) -> int:
        """Of the longest numbers the last: as texts they are ordered like numbers."""
        if series.whole:
            return int(self._connection.execute(sa.select(sa.func.max(self._at))).scalar() or 0)
        length = sa.func.length(self._at)
        query = sa.select(self._at).where(self._at.startswith(series.before, autoescape=True))
        found = self._connection.execute(query.order_by(length.desc(), self._at.desc()))
        return next((number for (text,) in found if (number := series.number(text))), 0)


class Sql(Target):
    """One database."""

    Settings = Settings

    def __init__(
        self, name: str, settings: Mapping[str, Any], exports: Mapping[str, Export]
    ) -> None:
        self._said = settings_of(Settings, name, settings)
        self._tables = {
            one: Table(entity, exports[one])
            for one, entity in self._said.entities.items()
            if one in exports
        }
        self.rows = {
            one: rows.Entity(
                one, never_deleted=table.entity.never_deleted, append_only=table.entity.append_only
            )
            for one, table in self._tables.items()
        }
        super().__init__(name, settings, exports)
        self.batch, self.rate = self._said.batch, self._said.writes_per_minute / 60
        self.read_calls = 0
        self._engine: Engine | None = None
        self._whole_numbers: dict[str, bool] = {}  # table -> whether its id is a number
        self._check()

    def _check(self) -> None:
        for entity, table in self._tables.items():
            table.entity.check(f"[targets.{self.name}.entities.{entity}]", table.export)
            of, export = table.entity, table.export
            documents.check(self.name, entity, of.append_only, export, adopts=of.adopts)
            for role in (DELETED, PASSWORD):
                if column := table.export.of_role(role):
                    raise TargetSettingsError(
                        f"[targets.{self.name}.entities.{entity}]: column {column.name} of"
                        f" {table.export.model} has role {role}, which a table cannot follow"
                    )
            if table.entity.prefix and len(table.export.key) != 1:
                raise TargetSettingsError(
                    f"[targets.{self.name}.entities.{entity}] prefix: the key of"
                    f" {table.export.model} has several columns; say whose a row is by owner"
                )
            for column, there in table.export.references.items():
                if table.entity.links == "id" and there not in self._tables:
                    raise TargetSettingsError(
                        f"[targets.{self.name}.entities.{entity}] links: {column} refers to"
                        f" {there}, which has no table here"
                    )

    @property
    def entities(self) -> tuple[str, ...]:
        return tuple(self._tables)

    @property
    def raw_columns(self) -> dict[str, tuple[str, ...]]:
        return {
            one: (
                "remote_id",
                *(column.name for column in table.sent),
                *((UNLIKE,) if table.entity.asks(table.export) else ()),
            )
            for one, table in self._tables.items()
        }

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
                self._engine = None

    def check_connection(self) -> str:
        """Sign in and read every column of every table; what was proved, in words. Raises
        TargetUnreadableError.
        """
        if not self._tables:
            raise TargetUnreadableError(
                f"{self.name}: no export goes here: [targets.{self.name}.entities.<entity>] and an"
                " export of the same entity belong together"
            )
        for entity, table in self._tables.items():
            with self._reading(entity) as connection:
                connection.execute(sa.select(*table.table.c).limit(1)).fetchall()
        return f"signed in, {', '.join(self._tables)} can be read"

    # ------------------------------------------------------------ observe

    def observe(self, entity: str) -> Iterator[pa.RecordBatch]:
        """What a table holds of ours, in the columns of the export."""
        table = self._tables[entity]
        names = self.raw_columns[entity]
        schema = pa.schema([(name, pa.string()) for name in (*names, "_json")])
        keys = {
            column.name: self._keys_of(table.export.references[column.name])
            for column in table.sent
            if table.refers(column.name)
        }
        only = table.entity.adopts_only if table.entity.asks(table.export) else {}
        chosen = [*([table.id] if table.id is not None else []), *map(table.at, table.sent)]
        query = sa.select(*chosen, *(table.table.c[name].label(f"sort {name}") for name in only))
        with self._reading(entity) as connection:
            found = connection.execution_options(yield_per=ROWS_PER_BATCH).execute(
                query.where(table.readable())
            )
            for part in found.partitions():
                rows = []
                for values in part:
                    row = [as_text(value) for value in values]
                    remote_id = row.pop(0) if table.id is not None else None
                    row, sort = row[: len(table.sent)], row[len(table.sent) :]
                    whole = dict(zip((c.field or c.name for c in table.sent), row, strict=True))
                    for at, column in enumerate(table.sent):
                        if column.name in keys:
                            row[at] = keys[column.name].get(row[at] or "")
                    remote_id = remote_id or self._key_of(table, row)
                    if only:
                        stands = whole | dict(zip(only, sort, strict=True))
                        row.append(unlike(only, stands.get, table.export.of_role(SWITCH)))
                    rows.append([remote_id, *row, json.dumps(whole, ensure_ascii=False)])
                yield _batch(rows, schema)
            yield _batch([], schema)

    def _key_of(self, table: Table, row: Sequence[str | None]) -> str:
        columns = [column.name for column in table.sent]
        values = [str(row[columns.index(name)]) for name in table.export.key]
        return key_text(table.export.folded_key(values))

    def _keys_of(self, entity: str) -> dict[str, str]:
        """Id -> our key, of the rows of a table that other tables refer to by id."""
        table = self._tables[entity]
        by = table.id if table.id is not None else table.key[0]
        with self._reading(entity) as connection:
            found = connection.execute(sa.select(by, table.key[0]).where(table.ours()))
            return {str(as_text(one)): str(as_text(key)) for one, key in found if key is not None}

    # ------------------------------------------------------------ apply

    def find(self, change: Change) -> str | None:
        """The id of the row of ours that carries the change's key."""
        table = self._tables[change.entity]
        with self._reading(change.entity) as connection:
            return self._there(connection, table, [change]).get(change.key)

    def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        """One transaction; where it is refused, another with each change behind a savepoint."""
        outcomes = self._applied(self._tables[changes[0].entity], changes)
        with self._lock:
            self.write_calls += sum(outcome.calls for outcome in outcomes)
        return outcomes

    def _applied(self, table: Table, changes: Sequence[Change]) -> list[Outcome]:
        for alone in (False, True):
            try:
                return self._transaction(table, changes, alone=alone)
            except TargetUnreadableError as error:
                return [_failed(change, "not_configured", str(error)) for change in changes]
            except TroubleError as trouble:
                if trouble.of_a_row and not alone:
                    continue
                return [trouble.outcome(change, change.action == CREATE) for change in changes]
        raise AssertionError("a savepoint lets no refusal through")

    def _transaction(
        self, table: Table, changes: Sequence[Change], *, alone: bool
    ) -> list[Outcome]:
        """All changes and the commit. Raises TroubleError when nothing, or who knows
        what, was kept.
        """
        committing = False
        try:
            with self._opened().connect() as connection:
                outcomes = self._all(connection, table, changes, alone=alone)
                committing = True
                connection.commit()
        except sa.exc.SQLAlchemyError as error:
            raise trouble_of(error, committing=committing) from None
        return outcomes

    def _all(
        self, connection: Connection, table: Table, changes: Sequence[Change], *, alone: bool
    ) -> list[Outcome]:
        if alone and connection.dialect.name == "postgresql":  # a refusal belongs to its row
            connection.execute(sa.text("set constraints all immediate"))
        creating = [change for change in changes if change.action == CREATE]
        there = self._there(connection, table, creating)
        outcomes: dict[str, Outcome] = {}
        new = [change for change in creating if change.key not in there]
        numbers = Numbers(connection, table) if new and table.export.of_role(NUMBER) else None
        for change in creating:
            if change.key in there:
                remote_id, note = there[change.key], "already there"
                done = Outcome(change.change_id, "applied", None, "duplicate", remote_id, note=note)
                outcomes[change.change_id] = done
        if new and not alone and table.id is None:
            outcomes |= self._insert_all(connection, table, new, numbers)
        for change in changes:
            if change.change_id in outcomes:
                continue
            if not alone:
                outcomes[change.change_id] = self._one(connection, table, change, numbers)
                continue
            try:
                with connection.begin_nested():
                    outcomes[change.change_id] = self._one(connection, table, change, numbers)
            except sa.exc.SQLAlchemyError as error:
                trouble = trouble_of(error, committing=False)
                if not trouble.of_a_row:
                    raise trouble from None
                refused = trouble.outcome(change, change.action == CREATE)
                if change.action == CREATE and refused.reason == "duplicate":
                    refused = self._held(connection, table, change, refused)
                outcomes[change.change_id] = refused
                if numbers:
                    numbers.back()
        return [outcomes[change.change_id] for change in changes]

    def _insert_all(
        self,
        connection: Connection,
        table: Table,
        changes: Sequence[Change],
        numbers: Numbers | None,
    ) -> dict[str, Outcome]:
        """Many rows by one statement."""
        made, ready = [], []
        for change in changes:
            with suppress(KeyError):  # said of the change when it is made alone
                table.key_of(change)
                row = self._row(table, change, change.new)
                made.append(numbers.given(change, row) if numbers else row)
                ready.append(change)
        if len({tuple(row) for row in made}) != 1:
            return {}
        connection.execute(sa.insert(table.table), made)
        return {
            change.change_id: Outcome(change.change_id, "applied", remote_id=key_text(change.key))
            for change in ready
        }

    def _one(
        self, connection: Connection, table: Table, change: Change, numbers: Numbers | None
    ) -> Outcome:
        """One change by one statement."""
        try:
            if change.action == CREATE:
                return self._insert(connection, table, change, numbers)
            if table.entity.append_only:
                raise KeyError(documents.NEVER)
            row = self._is_row(connection, table, change)
            if change.action in REMOVALS:
                if table.entity.never_deleted:
                    raise KeyError(f"{table.entity.never_deleted} and is never deleted")
                found = connection.execute(sa.delete(table.table).where(row))
                note = "" if found.rowcount else "already gone"
                reason = "" if found.rowcount else "not_found"
                return Outcome(
                    change.change_id, "applied", None, reason, change.remote_id, note=note
                )
            values = self._row(table, change, change.new)
            if not values:
                raise KeyError("the change holds no column that is sent there")
        except KeyError as error:
            note = f"cannot {change.action} {change.entity}: {error.args[0]}"
            return _failed(change, "unsupported", note)
        found = connection.execute(sa.update(table.table).where(row).values(values))
        if not found.rowcount:
            return _failed(change, "not_found", "", calls=1)
        return Outcome(change.change_id, "applied", remote_id=change.remote_id)

    def _insert(
        self, connection: Connection, table: Table, change: Change, numbers: Numbers | None
    ) -> Outcome:
        table.key_of(change)  # refuses one that refers to what is not there
        row = self._row(table, change, change.new)
        row = numbers.given(change, row) if numbers else row
        statement = sa.insert(table.table).values(row)
        if table.id is None:
            connection.execute(statement)
            return Outcome(change.change_id, "applied", remote_id=key_text(change.key))
        if connection.dialect.insert_returning:
            made = connection.execute(statement.returning(table.id)).scalar()
        else:
            connection.execute(statement)
            query = sa.select(table.id).where(table.is_key(change), table.ours())
            made = connection.execute(query).scalar()
        if made is None:  # a trigger of the database's own has kept it out
            return _failed(change, "not_kept", "the database took the row and has it not", calls=1)
        return Outcome(change.change_id, "applied", remote_id=as_text(made))

    def _held(
        self, connection: Connection, table: Table, change: Change, refused: Outcome
    ) -> Outcome:
        """Who has the name a new row is refused for: named, or nobody's and ours from here on."""
        login = table.export.of_role(LOGIN)
        if login is None or table.id is None or not change.new.get(login.name):
            return refused
        wanted = str(change.new[login.name])
        name = sa.func.lower(sa.cast(table.at(login), sa.String))
        query = sa.select(table.table).where(name == wanted.lower()).limit(2)
        found = [dict(row) for row in connection.execute(query).mappings()]
        there = the_one(found, login, wanted, dict.get)
        if there is None:
            return refused
        key = [as_text(there[one.field or one.name]) for one in map(table.column, table.export.key)]
        owner, remote_id = table.entity.owner, str(as_text(there[table.entity.id]))
        if owner and there[owner.column] not in (None, owner.value):
            return replace(refused, note=f"{refused.note}; it is {remote_id}, not ours")
        carried = key_text([str(one) for one in key]) if all(key) else None
        holder = Holder(remote_id, carried, there.get, table.export.of_role(SWITCH))
        if why := holder.why_not(table.entity):
            return replace(refused, note=f"{refused.note}; {why}")
        ours = {name: value for name, value in change.new.items() if value is not None}
        adopted = replace(change, action=ADOPT, remote_id=holder.remote_id, new=ours)
        try:
            with connection.begin_nested():
                return self._one(connection, table, adopted, None)
        except sa.exc.SQLAlchemyError as error:
            return trouble_of(error, committing=False).outcome(change, creating=True)

    def _row(self, table: Table, change: Change, new: Mapping[str, Any]) -> dict[str, Any]:
        """A change's columns as values for the table; whoever makes or adopts a row owns it."""
        row: dict[str, Any] = {}
        for name, value in new.items():
            column = table.column(name)
            if value is not None and table.refers(name):
                if not change.references.get(name):
                    raise KeyError(f"what its {name} refers to does not exist in the target yet")
                value = change.references[name]
            row[column.field or name] = bound(column.type, value)
        owner = table.entity.owner
        if owner and change.action in {CREATE, ADOPT}:
            row[owner.column] = owner.value
        return row

    def _there(
        self, connection: Connection, table: Table, changes: Sequence[Change]
    ) -> dict[tuple[str, ...], str]:
        """Key -> id of the rows of ours that carry the key of one of these changes."""
        bound_keys: dict[str, tuple[Any, ...]] = {}
        for change in changes:
            with suppress(KeyError):  # said of the change when it is made
                bound_keys[change.change_id] = table.bound_key(change)
        changes = [change for change in changes if change.change_id in bound_keys]
        if not changes:
            return {}
        columns = [*table.key, *([table.id] if table.id is not None else [])]
        if len(table.key) == 1:
            keys = [values[0] for values in bound_keys.values()]
            chosen: ColumnElement[bool] = table.key[0].in_(keys)
        else:
            chosen = sa.or_(*(table.is_key(change) for change in changes))
        # compared again here: some databases find "key-1" where "Key-1" was asked for
        wanted = {tuple(map(as_text, bound_keys[one.change_id])): one.key for one in changes}
        found: dict[tuple[str, ...], str] = {}
        for values in connection.execute(sa.select(*columns).where(chosen, table.ours())):
            row = [as_text(value) for value in values]
            if key := wanted.get(tuple(row[: len(table.key)])):
                found[key] = str(row[-1]) if table.id is not None else key_text(key)
        return found

    def _is_row(self, connection: Connection, table: Table, change: Change) -> ColumnElement[bool]:
        """The row of a change: by its id where rows have one, else by its key. Only one that is
        ours, or that becomes so. Raises KeyError with a reason.
        """
        if table.id is None:
            return sa.and_(table.is_key(change), table.ours())
        if not change.remote_id:
            raise KeyError("the remote id is not known; observe and plan again")
        mine = table.readable() if change.action == ADOPT else table.ours()
        return sa.and_(table.id == self._id(connection, table, change.remote_id), mine)

    def _id(self, connection: Connection, table: Table, remote_id: str) -> Any:
        """A remote id as the id column has it: a comparison of text would miss its index."""
        entity = table.entity
        if entity.table not in self._whole_numbers:
            found = sa.inspect(connection).get_columns(entity.table, entity.schema_name or None)
            kind = next((one["type"] for one in found if one["name"] == entity.id), None)
            self._whole_numbers[entity.table] = isinstance(kind, sa.Integer)
        return int(remote_id) if self._whole_numbers[entity.table] else remote_id

    # ------------------------------------------------------------ the database

    def _reading(self, entity: str) -> _Reading:
        with self._lock:
            self.read_calls += 1
        return _Reading(self, entity)

    def _opened(self) -> Engine:
        with self._lock:
            if self._engine is None:
                self._engine = _engine(self.name, self._said)
            return self._engine


class _Reading:
    """A connection to read by; what goes wrong is said without the database's own words."""

    def __init__(self, target: Sql, entity: str) -> None:
        self._target, self._entity = target, entity

    def __enter__(self) -> Connection:
        try:
            self._connection = self._target._opened().connect()
        except sa.exc.SQLAlchemyError as error:
            raise self._unreadable(error) from None
        return self._connection

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._connection.close()
        if isinstance(error, sa.exc.SQLAlchemyError):
            raise self._unreadable(error) from None

    def _unreadable(self, error: sa.exc.SQLAlchemyError) -> TargetUnreadableError:
        trouble = trouble_of(error, committing=False)
        return TargetUnreadableError(
            f"{self._target.name}: {self._entity} could not be read ({trouble}); {trouble.advice}"
        )


def _engine(name: str, settings: Settings) -> Engine:
    if not settings.url:
        raise TargetUnreadableError(
            f"{name}: url is not set; put it under [targets.{name}] in .dlt/secrets.toml"
        )
    try:
        url = sa.make_url(settings.url)
        arguments = dict(settings.connect_args)
        if url.get_backend_name() == "postgresql":
            milliseconds = round(settings.timeout * 1000)
            arguments.setdefault("connect_timeout", max(2, round(settings.timeout)))
            arguments.setdefault("tcp_user_timeout", milliseconds)
            arguments.setdefault(
                "options",
                f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds}"
                " -c TimeZone=UTC",
            )
            if clear := postgres_in_the_clear(url.host, {**url.query, **arguments}):
                raise TargetUnreadableError(f"{name}: url: {clear}")
        return sa.create_engine(
            url, connect_args=arguments, pool_pre_ping=True, hide_parameters=True
        )
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ImportError, ValueError) as error:
        raise TargetUnreadableError(
            f"{name}: url cannot be used ({type(error).__name__}): it should look like"
            " postgresql+psycopg2://user:password@host/database, and its driver be installed"
        ) from None


def type_of(contract: str) -> sa.types.TypeEngine[Any]:
    """A type of an export's contract as the database is told of it."""
    kind = contract.strip().lower()
    if kind.startswith(("decimal", "numeric")):
        return sa.Numeric(*map(int, re.findall(r"\d+", kind)))
    for words, known in (
        (("boolean", "bool"), sa.Boolean()),
        (("tinyint", "smallint", "integer", "int", "bigint", "hugeint"), sa.BigInteger()),
        (("double", "real", "float"), sa.Double()),
        (("date",), sa.Date()),
        (("timestamptz", "timestamp with time zone"), sa.DateTime(timezone=True)),
        (("timestamp", "datetime"), sa.DateTime()),
        (("time",), sa.Time()),
    ):
        if kind in words:
            return known
    return sa.String()


def bound(contract: str, value: Any) -> Any:
    """A value of a change (JSON) as the driver takes it."""
    try:
        return None if value is None else _bound(type_of(contract), value)
    except (ValueError, ArithmeticError):
        raise KeyError(f"a value is no {contract}, which the export's contract says") from None


def _bound(kind: sa.types.TypeEngine[Any], value: Any) -> Any:
    if isinstance(kind, sa.Boolean):
        return value if isinstance(value, bool) else str(value).lower() in {"true", "1", "t"}
    if isinstance(kind, sa.BigInteger):
        return int(value)
    if isinstance(kind, sa.Double):
        return float(value)
    if isinstance(kind, sa.Numeric):
        return Decimal(str(value))
    if isinstance(kind, sa.DateTime):
        return datetime.fromisoformat(str(value))
    if isinstance(kind, sa.Date):
        return date.fromisoformat(str(value)[:10])
    if isinstance(kind, sa.Time):
        return time.fromisoformat(str(value))
    text = str(value)
    if "\0" in text:  # no database takes it, and the driver would fail with the whole batch
        raise ValueError
    return text


def as_text(value: Any) -> str | None:
    """A value of the database as the raw layer holds it."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return str(value)


def _batch(rows: Sequence[Sequence[str | None]], schema: pa.Schema) -> pa.RecordBatch:
    arrays = [pa.array([row[at] for row in rows], pa.string()) for at in range(len(schema))]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _failed(change: Change, reason: str, note: str, calls: int = 0) -> Outcome:
    return Outcome(change.change_id, "failed", reason=reason, note=note, calls=calls)
