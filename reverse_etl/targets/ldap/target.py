"""A directory on premises kept equal to exports: units, users, groups and who is in them, in
OpenLDAP or Active Directory, over LDAP (RFC 4511).

In: `[targets.<name>] kind = "ldap"` (`settings.Settings`) and the exports of entities `units`,
`users`, `groups`, `members`, whose columns say by `field:` which attribute holds them. Three fields
are no attributes: `@path` (of a unit: where it stands), `@unit` (of a user or group: the unit it
stands in) and `@enabled` (whether the account is open). Out: outcomes, and what the directory
holds as Arrow, in the exports' own columns.

An entry is known by the id the directory gave it (objectGUID, entryUUID), wherever it is moved;
whose it is says the attribute that carries our key. What the directory protects
(adminCount, critical objects, `protected`) is read and never touched; nothing outside `base` is
either.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from reverse_etl.configured import TargetSettingsError, settings_of
from reverse_etl.model import (
    CREATE,
    DELETED,
    LOGIN,
    PASSWORD,
    REMOVALS,
    Change,
    Column,
    Export,
    Outcome,
    key_text,
)
from reverse_etl.pacing import ATTEMPTS, pause
from reverse_etl.passwords import PasswordRecipientError
from reverse_etl.targets import entity as rows
from reverse_etl.targets.base import Target
from reverse_etl.targets.ldap.errors import ALREADY, CONSTRAINT, NO_VALUE, TAKEN_VALUE, TroubleError
from reverse_etl.targets.ldap.settings import Entity, Settings
from reverse_etl.targets.reading import TargetUnreadableError

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


class Ldap(Target):
    """One directory."""

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
            if entity == UNITS and [_field(export, one) for one in export.key] != [PATH]:
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
            one: ("remote_id", *(column.name for column in self._read(one))) for one in self._of
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
        for entry in self._listed(entity):
            values = {c.name: self._value(c, entry) for c in self._read(entity)}
            remote_id = self._remote_id(entry)
            if entity == UNITS and values[export.key[0]] == "/":
                continue  # the base itself
            key = [values[name] for name in export.key]
            whole = None if None in key else key_text(map(str, key))
            seen[self._names.folded(entry.dn)] = remote_id, whole
            self._dns[remote_id] = entry.dn
            yield [remote_id, *values.values(), _json(entry)]
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
            yield from self._patient(lambda: self._found(self._said.base, condition, asked))
        except TroubleError as trouble:
            raise self._unreadable(entity, trouble) from None

    def _patient(self, read: Callable[[], list[Entry]]) -> list[Entry]:
        """A list, whole; one that breaks off in the middle is begun again: its place was known to
        the connection alone.
        """
        for attempt in range(1, ATTEMPTS):
            try:
                return read()
            except TroubleError as trouble:
                if trouble.status == "failed":
                    raise
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
        own = [_field_of(column) for column in self._read(entity)]
        asked = [field for field in own if field not in PSEUDO]
        if ENABLED in own:
            asked.append(self._said.switch.attribute if self._said.switch else CONTROL)
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
        match _field_of(column):
            case field if field == PATH:
                return self._names.path(entry.dn, self._said.base)
            case field if field == UNIT:
                return self._names.path(self._names.parent(entry.dn), self._said.base)
            case field if field == ENABLED:
                return "true" if self._is_open(entry) else "false"
            case field:
                found = [_text(value) for value in entry.of(field)]
        if not found:
            return None
        if _is_boolean(column):
            return found[0].lower()
        return ",".join(sorted(found)) if _is_list(column) else found[0]

    def _is_open(self, entry: Entry) -> bool:
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
            column, field = columns[name], _field_of(columns[name])
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
        return next((c for c in columns if _field_of(c).lower() == rdn), None)

    def _rdn(self, entity: str) -> str:
        return self._of[entity].rdn or ("ou" if entity == UNITS else "cn")

    # ------------------------------------------------------------ find

    def find(self, change: Change) -> str | None:
        """The id of the entry that carries the change's key; of a membership its key, where the
        person is in the group.
        """
        try:
            return self._sought(change)
        except TroubleError as trouble:
            raise self._unreadable(change.entity, trouble) from None

    def _sought(self, change: Change) -> str | None:
        if change.entity == MEMBERS:
            group, person = self._ends(change)
            entry, user = self._by_id(group), self._by_id(person)
            there = entry.of(self._of[MEMBERS].member) if entry else ()
            tied = {self._names.folded(value.decode()) for value in there}
            is_in = user is not None and self._names.folded(user.dn) in tied
            return key_text(change.key) if is_in else None
        return next((self._remote_id(entry) for entry in self._of_key(change)), None)

    def _of_key(self, change: Change) -> list[Entry]:
        """The entries that carry a change's key."""
        export, asked = self.exports[change.entity], self._asked(change.entity)
        if change.entity == UNITS:
            where = self._names.dn(change.key[0], self._said.base)
            return self._found(where, "(objectClass=*)", asked, only=True)
        escaped = self._module().escaped
        tests = "".join(
            f"({_field(export, name)}={escaped(value)})"
            for name, value in zip(export.key, change.key, strict=True)
        )
        condition = f"(&{self._filter(change.entity)}{tests})"
        found = self._found(self._said.base, condition, asked)
        return sorted(found, key=self._remote_id)

    def _by_id(self, remote_id: str, entity: str = USERS) -> Entry | None:
        """The entry of an id, wherever it stands now; None outside of base too."""
        more = [self._of[MEMBERS].member] if entity == GROUPS and MEMBERS in self._of else []
        asked = [*self._asked(entity), *more]
        if self._said.is_ad:
            where, condition, only = f"<GUID={_hex(remote_id)}>", "(objectClass=*)", True
        else:
            escaped = self._module().escaped(remote_id)
            where, condition, only = self._said.base, f"({self._id}={escaped})", False
        found = self._found(where, condition, asked, only=only)
        for entry in found:
            if self._names.below(entry.dn, self._said.base):
                self._dns[remote_id] = entry.dn
                return entry
        self._dns.pop(remote_id, None)
        return None

    # ------------------------------------------------------------ apply

    def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        """One call for each change; those of one group's members go in one."""
        outcomes: dict[str, Outcome] = {}
        if changes[0].entity == MEMBERS:
            outcomes = self._tied(changes)
        for change in changes:
            if change.change_id not in outcomes:
                outcomes[change.change_id] = self._applied(change)
        with self._lock:
            self.write_calls += sum(outcome.calls for outcome in outcomes.values())
        for change_id, outcome in outcomes.items():
            if outcome.status in {"applied", "failed"} and self._passwords:
                self._passwords.forget(change_id)
        return [outcomes[change.change_id] for change in changes]

    def _applied(self, change: Change) -> Outcome:
        try:
            if change.entity == MEMBERS:
                return self._tie(change)
            if change.action == CREATE:
                return self._create(change)
            return self._change(change)
        except TroubleError as trouble:
            return trouble.outcome(change, calls=0 if trouble.reason == "unreachable" else 1)
        except (PasswordRecipientError, _UnsetError) as error:
            return _unsent(change, "failed", "not_configured", str(error))
        except TargetUnreadableError as error:
            return _unsent(change, "retry", "unreadable", str(error))
        except KeyError as error:
            why = f"cannot {change.action} {change.entity}: {error.args[0]}"
            return _unsent(change, "failed", "unsupported", why)

    def _create(self, change: Change) -> Outcome:
        new = {name: value for name, value in change.new.items() if value is not None}
        dn = self._place(change, new)
        attributes = {"objectClass": [one.encode() for one in self._classes(change.entity)]}
        attributes |= self._attributes(change, new, None)
        export, nobody = self.exports[change.entity], self._said.empty_member
        if change.entity == GROUPS and nobody:
            attributes[self._of[MEMBERS].member if MEMBERS in self._of else "member"] = [
                nobody.encode()
            ]
        if secret := export.of_role(PASSWORD):
            attributes |= self._secret(_field_of(secret), change)
        try:
            self._open().add(dn, attributes)
        except TroubleError as trouble:
            if trouble.code == CONSTRAINT or trouble.reason == "duplicate":
                return self._looked(change, trouble)
            raise
        entry = next(iter(self._found(dn, "(objectClass=*)", [self._id], only=True)), None)
        if entry is None:
            return Outcome(change.change_id, "unknown", None, "no_id")
        remote_id = self._remote_id(entry)
        self._dns[remote_id] = entry.dn
        return Outcome(change.change_id, "applied", remote_id=remote_id)

    def _looked(self, change: Change, trouble: TroubleError) -> Outcome:
        """Such an entry exists: ours from a lost reply, or somebody else's?"""
        remote_id = self._sought(change)
        if remote_id is None:
            return self._taken(change, trouble).outcome(change)
        said = {"reason": "duplicate", "remote_id": remote_id, "note": "already there"}
        return Outcome(change.change_id, "applied", trouble.code, **said)

    def _taken(self, change: Change, trouble: TroubleError) -> TroubleError:
        """A rule was broken: is it that somebody else has the name one signs in with? An OpenLDAP
        says of both the same.
        """
        column = self.exports[change.entity].of_role(LOGIN)
        value = str(change.new.get(column.name) or "") if column else ""
        if trouble.code != CONSTRAINT or trouble.reason == "duplicate" or not value or not column:
            return trouble
        condition = f"({_field_of(column)}={self._module().escaped(value)})"
        found = self._found(self._said.base, condition, [self._id])
        others = [one for one in found if self._remote_id(one) != change.remote_id]
        return replace(trouble, reason="duplicate") if others else trouble

    def _secret(self, field: str, change: Change) -> dict[str, list[bytes]]:
        """A first password, as the attribute takes it (MS-ADTS 3.1.1.3.1.5 of unicodePwd)."""
        made = self.password(change)
        if field.lower() != "unicodepwd":
            return {field: [made.encode()]}
        must = {"pwdLastSet": [b"0"]} if self._said.must_change_password else {}
        return {field: [('"' + made + '"').encode("utf-16-le")], **must}

    def _place(self, change: Change, new: Mapping[str, Any]) -> str:
        """The name a new entry gets. Raises KeyError with a reason."""
        if change.entity == UNITS:
            return str(self._names.dn(change.key[0], self._said.base))
        column = self._rdn_column(change.entity)
        assert column is not None
        if not new.get(column.name):
            raise KeyError(f"{column.name} is empty, and an entry is named by it")
        own = self._names.rdn(self._rdn(change.entity), str(new[column.name]))
        return f"{own},{self._stands(change, new)}"

    def _stands(self, change: Change, new: Mapping[str, Any]) -> str:
        """The name of the unit an entry is to stand in."""
        columns = self.exports[change.entity].columns
        unit = next((new.get(c.name) for c in columns if _field_of(c) == UNIT), None)
        where = str(unit or self._of[change.entity].under or "/")
        return str(self._names.dn(where, self._said.base))

    def _change(self, change: Change) -> Outcome:
        """Change, move or delete what is there."""
        if not change.remote_id:
            raise KeyError("the remote id is not known; observe and plan again")
        removing = change.action in REMOVALS
        if removing and (why := self._of[change.entity].never_deleted):
            raise KeyError(f"{why} and is never deleted")
        entry = self._by_id(change.remote_id, change.entity)
        if entry is None:
            status = "applied" if removing else "failed"
            gone = Outcome(change.change_id, status, 32, "not_found", change.remote_id, calls=0)
            return replace(gone, note="already gone") if removing else gone
        if self._is_protected(entry):
            return TroubleError("failed", "role_holder").outcome(change, calls=0)
        if removing:
            self._open().delete(entry.dn)
            self._dns.pop(change.remote_id, None)
            return Outcome(change.change_id, "applied", remote_id=change.remote_id)
        attributes = self._attributes(change, change.new, entry)
        moved = self._moved(change, entry)
        if not attributes and moved is None:
            raise KeyError("the change holds no column that is sent there")
        if moved is not None and moved != ("", ""):
            self._open().move(entry.dn, *moved)
            self._dns.pop(change.remote_id, None)
            where = self._by_id(change.remote_id, change.entity)
            if where is None:
                return Outcome(change.change_id, "retry", 32, "not_found", change.remote_id)
            entry = where
        if attributes:
            try:
                self._open().replace(entry.dn, attributes)
            except TroubleError as trouble:
                raise self._taken(change, trouble) from None
        return Outcome(change.change_id, "applied", remote_id=change.remote_id)

    def _moved(self, change: Change, entry: Entry) -> tuple[str, str] | None:
        """The name and the place an entry gets, where the change says one of them; two empty texts
        where it has them already.
        """
        names, columns = self._names, self.exports[change.entity].columns
        named = self._rdn_column(change.entity)
        placed = next((c for c in columns if _field_of(c) == UNIT), None)
        own, where = names.own(entry.dn), names.parent(entry.dn)
        said = {column.name for column in (named, placed) if column} & change.new.keys()
        if not said:
            return None
        new_own, new_where = own, where
        if named and change.new.get(named.name):
            new_own = names.rdn(self._rdn(change.entity), str(change.new[named.name]))
        if placed and placed.name in change.new:
            new_where = self._stands(change, change.new)
        if names.exact(new_own) == names.exact(own) and names.folded(new_where) == names.folded(
            where
        ):
            return "", ""
        return new_own, new_where

    def _is_protected(self, entry: Entry) -> bool:
        return any(
            value.lower() in {_text(found).lower() for found in entry.of(name)}
            for name, value in self._protected
        )

    # ------------------------------------------------------------ members

    def _ties(self) -> dict[str, str]:
        """groups, users -> the column that refers to them."""
        references = self.exports[MEMBERS].references
        return {entity: column for column, entity in references.items()}

    def _ends(self, change: Change) -> tuple[str, str]:
        """The remote ids of the group and the person of a membership. Raises KeyError."""
        column_of = self._ties()
        group = change.references.get(column_of[GROUPS])
        person = change.references.get(column_of[USERS])
        if not group or not person:
            missing = column_of[USERS if group else GROUPS]
            raise KeyError(f"what its {missing} refers to does not exist in the target yet")
        return group, person

    def _tied(self, changes: Sequence[Change]) -> dict[str, Outcome]:
        """The memberships of one group and one direction by one call each; what is refused as a
        whole is left to be done one by one.
        """
        parts: dict[tuple[str, bool], list[Change]] = {}
        for change in changes:
            if all(change.references.get(column) for column in self._ties().values()):
                group, _ = self._ends(change)
                parts.setdefault((group, change.action in REMOVALS), []).append(change)
        outcomes: dict[str, Outcome] = {}
        for (group, taken), part in parts.items():
            if len(part) < 2:
                continue
            try:
                ends = [(change, self._name_of(self._ends(change)[1])) for change in part]
                where = self._name_of(group, GROUPS)
                known = [(change, dn) for change, dn in ends if dn]
                if where is None or len(known) < 2:
                    continue
                values = [dn.encode() for _, dn in known if dn]
                self._open().values(where, self._of[MEMBERS].member, values, taken=taken)
            except (TroubleError, TargetUnreadableError):
                continue
            for change, _ in known:
                done = Outcome(change.change_id, "applied", remote_id=key_text(change.key))
                outcomes[change.change_id] = done
        return outcomes

    def _name_of(self, remote_id: str, entity: str = USERS) -> str | None:
        """The name of an entry by its id, as it was last seen."""
        if remote_id not in self._dns:
            self._by_id(remote_id, entity)
        return self._dns.get(remote_id)

    def _tie(self, change: Change) -> Outcome:
        """Put somebody into a group, or take them out."""
        group, person = self._ends(change)
        taken, member = change.action in REMOVALS, self._of[MEMBERS].member
        entry, user = self._by_id(group, GROUPS), self._by_id(person)
        done = Outcome(change.change_id, "applied", remote_id=key_text(change.key))
        if entry is None or user is None:
            if taken:  # whoever is gone is in no group, and a group that is gone has nobody
                return replace(done, reason="not_found", note="already gone", calls=0)
            return TroubleError("failed", "not_found", 32).outcome(change, calls=0)
        if self._is_protected(entry):
            return TroubleError("failed", "role_group").outcome(change, calls=0)
        there = {self._names.folded(value.decode()) for value in entry.of(member)}
        if (self._names.folded(user.dn) in there) != taken:
            reason = "not_found" if taken else "duplicate"
            return replace(done, reason=reason, note="already so")
        try:
            self._open().values(entry.dn, member, [user.dn.encode()], taken=taken)
        except TroubleError as trouble:
            if trouble.code not in {ALREADY, TAKEN_VALUE, NO_VALUE}:
                raise
            return replace(done, reason="not_found" if taken else "duplicate")
        return done

    # ------------------------------------------------------------ the wire

    def _module(self) -> Any:
        """python-ldap stands in the installations that asked for it."""
        try:
            from reverse_etl.targets.ldap import directory
        except ImportError:
            raise _UnsetError(
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
                        raise _UnsetError(
                            f"{self.name}: {setting} is not set; put it under"
                            f" [targets.{self.name}] in .dlt/"
                            f"{'secrets' if setting == 'password' else 'config'}.toml (a password"
                            " belongs to secrets.toml)"
                        )
                self._wire = self._module().Directory(self.name, self._said)
            return self._wire


class _UnsetError(TargetUnreadableError):
    """What is missing before anything can be asked."""


def _field_of(column: Column) -> str:
    return column.field or column.name


def _field(export: Export, name: str) -> str:
    return _field_of(next(one for one in export.columns if one.name == name))


def _is_boolean(column: Column) -> bool:
    return column.type.strip().lower() in {"boolean", "bool"}


def _is_list(column: Column) -> bool:
    """An attribute of several values: a comma-separated list whose order says nothing."""
    return "order" in column.ignoring


def _control(entry: Entry) -> int:
    (value,) = entry.of(CONTROL) or (str(NORMAL).encode(),)
    return int(value)


def _hex(remote_id: str) -> str:
    """An objectGUID as a name takes it: the bytes in their order."""
    return uuid.UUID(remote_id).bytes_le.hex()


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()


def _json(entry: Entry) -> str:
    whole = {"dn": entry.dn} | {n: [_text(v) for v in vs] for n, vs in entry.attributes.items()}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))


def _batch(found: Sequence[Sequence[str | None]], names: Sequence[str]) -> pa.RecordBatch:
    arrays = [pa.array([row[at] for row in found], pa.string()) for at in range(len(names))]
    return pa.RecordBatch.from_arrays(arrays, names=list(names))


def _unsent(change: Change, status: str, reason: str, note: str) -> Outcome:
    return Outcome(change.change_id, status, reason=reason, note=note, calls=0)
