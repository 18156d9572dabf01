"""What a directory holds: units, users, groups and who is in them, in the exports' own columns.

In: the settings and exports of a target of kind `ldap`, which must fit a directory. Out: `Seen`,
which reads: entries page by page, each column from the attributes or the name of its entry, ties by
both their keys. `target` writes.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from reverse_etl.configured import TargetSettingsError, settings_of
from reverse_etl.model import DELETED, PASSWORD, SWITCH, Change, Column, Export, key_text
from reverse_etl.pacing import ATTEMPTS, pause
from reverse_etl.targets import entity as rows
from reverse_etl.targets.base import Target
from reverse_etl.targets.ldap.errors import OUT_OF_DATE, TroubleError
from reverse_etl.targets.ldap.settings import OWN, Entity, Settings
from reverse_etl.targets.reading import TargetUnreadableError, expired_twice
from reverse_etl.targets.taken import UNLIKE, unlike

if TYPE_CHECKING:
    from reverse_etl.targets.ldap.directory import Directory, Entry

UNITS, USERS, GROUPS, MEMBERS = "units", "users", "groups", "members"
PATH, UNIT, ENABLED = "@path", "@unit", "@enabled"
PSEUDO = frozenset({PATH, UNIT, ENABLED})
CLASSES = {  # entity -> what a new entry is, of a standard directory and of an Active Directory
    UNITS: (("organizationalUnit",), ("organizationalUnit",)),
    USERS: (("inetOrgPerson",), ("user",)),
    GROUPS: (("groupOfNames",), ("group",)),
}
AD_USERS = "(&(objectCategory=person)(objectClass=user))"  # a computer is a user too
AD_PROTECTED = ("adminCount=1", "isCriticalSystemObject=TRUE")
CONTROL, NORMAL, CLOSED = "userAccountControl", 0x200, 0x2
ROWS_PER_BATCH = 10_000


class Seen(Target):
    """One directory, as it is read."""

    Settings = Settings

    def __init__(
        self, name: str, settings: Mapping[str, Any], exports: Mapping[str, Export]
    ) -> None:
        said = self._said = settings_of(Settings, name, settings)
        self._of = {
            one: said.entities.get(one, Entity())
            for one in (UNITS, USERS, GROUPS, MEMBERS)
            if one in exports
        }
        if USERS in self._of and not self._of[USERS].adopts_only:
            self._of[USERS] = self._of[USERS].model_copy(update={"adopts_only": OWN[said.is_ad]})
        self.rows = {
            one: rows.Entity(one, parents_first=one == UNITS, never_deleted=of.never_deleted)
            for one, of in self._of.items()
        }
        super().__init__(name, settings, exports)
        self.batch = said.batch
        self.read_calls = 0
        self._wire: Directory | None = None
        self._sleep: Callable[[float], object] = time.sleep
        self._dns: dict[str, str] = {}  # remote id -> the name it had when it was last seen
        self._keys: dict[str, dict[str, tuple[str, str | None]]] = {}  # entity -> name -> id, key
        self._check()

    def _check(self) -> None:
        unknown = self._said.entities.keys() - CLASSES.keys() - {MEMBERS}
        if unknown:
            raise TargetSettingsError(
                f"[targets.{self.name}.entities] knows {', '.join([*CLASSES, MEMBERS])}, not"
                f" {', '.join(sorted(unknown))}"
            )
        for entity, of in self._of.items():
            export = self.exports[entity]
            of.check(f"[targets.{self.name}.entities.{entity}]", export)
            for column in export.columns:
                if column.role == DELETED:
                    raise TargetSettingsError(
                        f"{export.model}: column {column.name} has role {DELETED}, which a"
                        " directory does not follow"
                    )
                wrong = column.field == PATH and entity != UNITS
                if wrong or (column.field == UNIT and entity in {UNITS, MEMBERS}):
                    raise TargetSettingsError(
                        f"{export.model}: field {column.field} of {column.name} belongs to"
                        f" {'units' if wrong else 'users and groups'}"
                    )
                if column.field == ENABLED and not (self._said.is_ad or self._said.switch):
                    raise TargetSettingsError(
                        f"{export.model}: column {column.name} says whether an account is open;"
                        f" write under [targets.{self.name}] which attribute closes one: switch ="
                        ' {attribute = "…", off = "…"}'
                    )
            if entity == UNITS and [field_named(export, one) for one in export.key] != [PATH]:
                raise TargetSettingsError(f"{export.model}: the key of a unit has field {PATH}")
            if entity in {USERS, GROUPS} and self._rdn_column(entity) is None:
                raise TargetSettingsError(
                    f"{export.model}: no column has field {of.rdn or 'cn'}, which an entry is named"
                    " by"
                )
            if entity == MEMBERS and not {GROUPS, USERS} <= set(export.references.values()):
                raise TargetSettingsError(
                    f"{export.model}: members refer to groups and users; write references:"
                    " {group_id: groups, person_id: users}"
                )

    @property
    def entities(self) -> tuple[str, ...]:
        return tuple(self._of)

    @property
    def raw_columns(self) -> dict[str, tuple[str, ...]]:
        return {
            one: (
                "remote_id",
                *(column.name for column in self._read(one)),
                *((UNLIKE,) if of.asks(self.exports[one]) else ()),
            )
            for one, of in self._of.items()
        }

    def close(self) -> None:
        """Close the connections and forget passwords."""
        with self._lock:
            wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()
        super().close()

    def check_connection(self) -> str:
        """Sign in and read the base; what was proved, in words. Raises TargetUnreadableError."""
        if not self._of:
            raise TargetUnreadableError(
                f"{self.name}: no export goes here: it takes {', '.join([*CLASSES, MEMBERS])}"
            )
        try:
            found = self._found(self._said.base, "(objectClass=*)", [], only=True)
        except TroubleError as trouble:
            raise self._unreadable("its base", trouble) from None
        if not found:
            raise TargetUnreadableError(f"{self.name}: base is not there, or may not be read")
        return f"signed in as {self._said.user}, {self._said.base} can be read"

    # ------------------------------------------------------------ observe

    def observe(self, entity: str) -> Iterator[pa.RecordBatch]:
        """What the directory holds of one entity, in the columns of its export."""
        names = [*self.raw_columns[entity], "_json"]
        waiting: list[list[str | None]] = []
        for row in self._members() if entity == MEMBERS else self._entries(entity):
            waiting.append(row)
            if len(waiting) == ROWS_PER_BATCH:
                yield _batch(waiting, names)
                waiting = []
        yield _batch(waiting, names)

    def _entries(self, entity: str) -> Iterator[list[str | None]]:
        export, seen = self.exports[entity], {}
        asks = self._of[entity].asks(export)
        for entry in self._listed(entity):
            values = {c.name: self._value(c, entry) for c in self._read(entity)}
            remote_id = self._remote_id(entry)
            if entity == UNITS and values[export.key[0]] == "/":
                continue  # the base itself
            key = [values[name] for name in export.key]
            whole = None if None in key else key_text(map(str, key))
            seen[self._names.folded(entry.dn)] = remote_id, whole
            self._dns[remote_id] = entry.dn
            sort = [self._unlike(entity, entry)] if asks else []
            yield [remote_id, *values.values(), *sort, _json(entry)]
        self._keys[entity] = seen

    def _members(self) -> Iterator[list[str | None]]:
        """Who is in our groups; a member that is no user of ours has neither key nor id."""
        users = self._known(USERS)
        group_of, attribute = self._ties(), self._of[MEMBERS].member
        self._known(GROUPS)
        for entry in self._listed(GROUPS, [attribute]):
            group = self._keys[GROUPS].get(self._names.folded(entry.dn))
            if group is None or group[1] is None:
                continue
            for value in entry.of(attribute):
                dn = value.decode()
                remote_id, key = users.get(self._names.folded(dn), ("", None))
                if not remote_id and self._is_nobody(dn):
                    continue
                tied = {group_of[GROUPS]: group[1], group_of[USERS]: key}
                columns = [tied.get(column.name) for column in self._read(MEMBERS)]
                whole = json.dumps({"group": entry.dn, attribute: dn}, ensure_ascii=False)
                own = [tied[name] for name in self.exports[MEMBERS].key]
                # a tie has no id of its own: somebody has as many as groups
                yield [None if key is None else key_text(map(str, own)), *columns, whole]

    def _listed(self, entity: str, more: Sequence[str] = ()) -> Iterator[Entry]:
        condition, asked = self._filter(entity), [*self._asked(entity), *more]
        try:
            yield from self._patient(entity, lambda: self._found(self._said.base, condition, asked))
        except TroubleError as trouble:
            raise self._unreadable(entity, trouble) from None

    def _patient(self, entity: str, read: Callable[[], list[Entry]]) -> list[Entry]:
        """A list, whole; one that breaks off in the middle is begun again: its place was known to
        the connection alone. One whose next page has expired, once.
        """
        expired = False
        for attempt in range(1, ATTEMPTS):
            try:
                return read()
            except TroubleError as trouble:
                if trouble.status == "failed":
                    raise
                if trouble.reason == OUT_OF_DATE and expired:
                    raise expired_twice(self.name, entity) from None
                expired = expired or trouble.reason == OUT_OF_DATE
                self._sleep(pause(attempt))
        return read()

    def _found(
        self, where: str, condition: str, asked: Sequence[str], *, only: bool = False
    ) -> list[Entry]:
        """The entries that fulfil a condition, asked for once. Raises TroubleError."""
        found = []
        for page in self._open().search(where, condition, asked, only=only):
            with self._lock:
                self.read_calls += 1
            found += page
        return found

    def _unreadable(self, what: str, trouble: TroubleError) -> TargetUnreadableError:
        return TargetUnreadableError(
            f"{self.name}: {what} could not be read ({trouble}); {trouble.advice}"
        )

    def _known(self, entity: str) -> dict[str, tuple[str, str | None]]:
        """Name -> (remote id, key) of the entries of an entity."""
        if entity not in self._keys:
            for _ in self._entries(entity):
                continue
        return self._keys[entity]

    def _is_nobody(self, dn: str) -> bool:
        nobody = self._said.empty_member
        return bool(nobody) and self._names.folded(dn) == self._names.folded(nobody)

    # ------------------------------------------------------------ columns and attributes

    def _read(self, entity: str) -> list[Column]:
        """The columns that are read: all that are sent, but what a directory never tells."""
        return [column for column in self.exports[entity].sent if column.role != PASSWORD]

    def _filter(self, entity: str) -> str:
        of = self._of[entity]
        if of.filter:
            return of.filter
        if entity == USERS and self._said.is_ad and not of.object_class:
            return AD_USERS
        return f"(objectClass={self._classes(entity)[-1]})"

    def _classes(self, entity: str) -> tuple[str, ...]:
        return self._of[entity].object_class or CLASSES[entity][self._said.is_ad]

    def _asked(self, entity: str) -> list[str]:
        """The attributes that are asked for."""
        own = [field_of(column) for column in self._read(entity)]
        asked = [field for field in own if field not in PSEUDO]
        sorts = [one for one in self._of[entity].adopts_only if one not in PSEUDO]
        if ENABLED in {*own, *self._of[entity].adopts_only}:
            asked += [self._said.switch.attribute] if self._said.switch else []
            asked += [CONTROL] if self._said.is_ad and not self._said.switch else []
        asked += (
            sorts if self._of[entity].adopts or self._of[entity].asks(self.exports[entity]) else []
        )
        return list(dict.fromkeys([*asked, self._id, *(name for name, _ in self._protected)]))

    @property
    def _id(self) -> str:
        """The attribute that holds the id a directory gives an entry for good."""
        return "objectGUID" if self._said.is_ad else "entryUUID"

    @property
    def _protected(self) -> list[tuple[str, str]]:
        said = [*self._said.protected, *(AD_PROTECTED if self._said.is_ad else ())]
        return [(name, value) for name, _, value in (one.partition("=") for one in said)]

    def _remote_id(self, entry: Entry) -> str:
        (value,) = entry.of(self._id) or (b"",)
        if not value:
            raise TargetUnreadableError(
                f"{self.name}: entries have no {self._id}; check dialect under"
                f" [targets.{self.name}]"
            )
        return str(uuid.UUID(bytes_le=value)) if self._said.is_ad else value.decode()

    def _value(self, column: Column, entry: Entry) -> str | None:
        """One column of an entry, as the raw layer holds it."""
        match field_of(column):
            case field if field == PATH:
                return self._names.path(entry.dn, self._said.base)
            case field if field == UNIT:
                return self._names.path(self._names.parent(entry.dn), self._said.base)
            case field if field == ENABLED:
                return "true" if self._is_open(entry) else "false"
            case field:
                found = [as_text(value) for value in entry.of(field)]
        if not found:
            return None
        if _is_boolean(column):
            return found[0].lower()
        return ",".join(sorted(found)) if _is_list(column) else found[0]

    def _sort(self, entry: Entry, place: str) -> Any:
        """What stands at a place that says of which sort an entry is."""
        if place == ENABLED:
            return "true" if self._is_open(entry) else "false"
        return entry.of(place)

    def _unlike(self, entity: str, entry: Entry) -> str | None:
        """By what an entry is nobody's own."""
        if self._is_protected(entry):
            return "what the directory protects"
        switch = self.exports[entity].of_role(SWITCH)
        return unlike(self._of[entity].adopts_only, lambda place: self._sort(entry, place), switch)

    def _is_protected(self, entry: Entry) -> bool:
        return any(
            value.lower() in {as_text(found).lower() for found in entry.of(name)}
            for name, value in self._protected
        )

    def _is_open(self, entry: Entry) -> bool:
        if not self._said.switch and not self._said.is_ad:
            return True  # nothing closes an account there
        if switch := self._said.switch:
            return switch.off.encode() not in entry.of(switch.attribute)
        return not _control(entry) & CLOSED

    def _attributes(
        self, change: Change, new: Mapping[str, Any], entry: Entry | None
    ) -> dict[str, list[bytes]]:
        """The columns in `new` as attributes; none of those an entry is named or placed by. Raises
        KeyError with a reason.
        """
        export, found = self.exports[change.entity], dict[str, list[bytes]]()
        columns = {column.name: column for column in export.columns}
        named = self._rdn_column(change.entity)
        for name, value in new.items():
            if name not in columns:
                raise KeyError(f"{name} is no column of {export.model}")
            column, field = columns[name], field_of(columns[name])
            if column.role == PASSWORD or field in {PATH, UNIT} or column == named:
                continue
            if field == ENABLED:
                found |= self._switched(value, entry)
            elif value is None:
                found[field] = []
            elif _is_boolean(column):
                found[field] = [b"TRUE" if str(value).lower() in {"true", "1", "t"} else b"FALSE"]
            elif _is_list(column):
                parts = dict.fromkeys(part.strip() for part in str(value).split(","))
                found[field] = [part.encode() for part in parts if part]
            else:
                found[field] = [str(value).encode()]
        return found

    def _switched(self, value: Any, entry: Entry | None) -> dict[str, list[bytes]]:
        """What opens or closes an account."""
        on = str(value).lower() in {"true", "1", "t"}
        if switch := self._said.switch:
            return {switch.attribute: [] if on else [switch.off.encode()]}
        before = _control(entry) if entry else NORMAL
        return {CONTROL: [str(before & ~CLOSED if on else before | CLOSED).encode()]}

    def _rdn_column(self, entity: str) -> Column | None:
        """The column an entry is named by."""
        rdn = self._rdn(entity).lower()
        columns = self.exports[entity].columns
        return next((c for c in columns if field_of(c).lower() == rdn), None)

    def _rdn(self, entity: str) -> str:
        return self._of[entity].rdn or ("ou" if entity == UNITS else "cn")

    def _ties(self) -> dict[str, str]:
        """groups, users -> the column that refers to them."""
        references = self.exports[MEMBERS].references
        return {entity: column for column, entity in references.items()}

    # ------------------------------------------------------------ the wire

    def _module(self) -> Any:
        """python-ldap stands in the installations that asked for it."""
        try:
            from reverse_etl.targets.ldap import directory
        except ImportError:
            raise UnsetError(
                f"{self.name}: python-ldap is not installed here; run: make .venv/ldap"
            ) from None
        return directory

    @property
    def _names(self) -> Any:
        return self._module().names

    def _open(self) -> Directory:
        with self._lock:
            if self._wire is None:
                for setting in ("url", "base", "user", "password"):
                    if not getattr(self._said, setting):
                        raise UnsetError(
                            f"{self.name}: {setting} is not set; put it under"
                            f" [targets.{self.name}] in .dlt/"
                            f"{'secrets' if setting == 'password' else 'config'}.toml (a password"
                            " belongs to secrets.toml)"
                        )
                self._wire = self._module().Directory(self.name, self._said)
            return self._wire


class UnsetError(TargetUnreadableError):
    """What is missing before anything can be asked."""


def field_of(column: Column) -> str:
    return column.field or column.name


def field_named(export: Export, name: str) -> str:
    return field_of(next(one for one in export.columns if one.name == name))


def _is_boolean(column: Column) -> bool:
    return column.type.strip().lower() in {"boolean", "bool"}


def _is_list(column: Column) -> bool:
    """An attribute of several values: a comma-separated list whose order says nothing."""
    return "order" in column.ignoring


def _control(entry: Entry) -> int:
    (value,) = entry.of(CONTROL) or (str(NORMAL).encode(),)
    return int(value)


def as_text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()


def _json(entry: Entry) -> str:
    whole = {"dn": entry.dn} | {n: [as_text(v) for v in vs] for n, vs in entry.attributes.items()}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))


def _batch(found: Sequence[Sequence[str | None]], names: Sequence[str]) -> pa.RecordBatch:
    arrays = [pa.array([row[at] for row in found], pa.string()) for at in range(len(names))]
    return pa.RecordBatch.from_arrays(arrays, names=list(names))
