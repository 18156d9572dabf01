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

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reverse_etl.model import (
    ADOPT,
    CREATE,
    LOGIN,
    PASSWORD,
    REMOVALS,
    SWITCH,
    Change,
    Outcome,
    key_text,
)
from reverse_etl.passwords import PasswordError
from reverse_etl.targets.ldap.errors import ALREADY, CONSTRAINT, NO_VALUE, TAKEN_VALUE, TroubleError
from reverse_etl.targets.ldap.seen import (
    GROUPS,
    MEMBERS,
    UNIT,
    UNITS,
    USERS,
    Seen,
    UnsetError,
    field_named,
    field_of,
)
from reverse_etl.targets.reading import TargetUnreadableError
from reverse_etl.targets.taken import Holder

if TYPE_CHECKING:
    from reverse_etl.targets.ldap.directory import Entry


class Ldap(Seen):
    """One directory."""

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
            f"({field_named(export, name)}={escaped(value)})"
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
        self.forget_passwords(outcomes.values())
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
        except (PasswordError, UnsetError) as error:
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
            attributes |= self._secret(field_of(secret), change)
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
            taken = self._taken(change, trouble).outcome(change)
            return self._held(change, taken) if taken.reason == "duplicate" else taken
        said = {"reason": "duplicate", "remote_id": remote_id, "note": "already there"}
        return Outcome(change.change_id, "applied", trouble.code, **said)

    def _held(self, change: Change, taken: Outcome) -> Outcome:
        """Who has the name a new entry is refused for: named, or nobody's and ours from here on."""
        of, export = self._of[change.entity], self.exports[change.entity]
        entry = self._holder(change)
        if entry is None or change.entity not in (USERS, GROUPS):
            return taken
        remote_id, columns = self._remote_id(entry), {c.name: c for c in self._read(change.entity)}
        key = [self._value(columns[name], entry) for name in export.key]
        carried = None if None in key else key_text(map(str, key))
        switch = export.of_role(SWITCH)
        holder = Holder(remote_id, carried, lambda place: self._sort(entry, place), switch)
        why = holder.why_not(of)
        if why is None and self._is_protected(entry):
            why = f"it is {remote_id}, which the directory protects"
        if why:
            return replace(taken, note=f"{taken.note}; {why}")
        ours = {name: value for name, value in change.new.items() if value is not None}
        done = self._change(replace(change, action=ADOPT, remote_id=remote_id, new=ours))
        return replace(done, calls=done.calls + taken.calls)

    def _holder(self, change: Change) -> Entry | None:
        """The entry that has the name of a new one: what one signs in with, or its place."""
        login = self.exports[change.entity].of_role(LOGIN)
        asked = self._asked(change.entity)
        if login and (value := str(change.new.get(login.name) or "")):
            test = f"({field_of(login)}={self._module().escaped(value)})"
            condition = f"(&{self._filter(change.entity)}{test})"
            found = self._found(self._said.base, condition, asked)
            if found:
                return found[0] if len(found) == 1 else None
        try:
            dn = self._place(change, change.new)
        except KeyError:
            return None
        found = self._found(dn, self._filter(change.entity), asked, only=True)
        # who only stands there has another name: not to be adopted, but named
        return next(iter(found), None) if not login else None

    def _taken(self, change: Change, trouble: TroubleError) -> TroubleError:
        """A rule was broken: is it that somebody else has the name one signs in with? An OpenLDAP
        says of both the same.
        """
        column = self.exports[change.entity].of_role(LOGIN)
        value = str(change.new.get(column.name) or "") if column else ""
        if trouble.code != CONSTRAINT or trouble.reason == "duplicate" or not value or not column:
            return trouble
        condition = f"({field_of(column)}={self._module().escaped(value)})"
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
        unit = next((new.get(c.name) for c in columns if field_of(c) == UNIT), None)
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
        placed = next((c for c in columns if field_of(c) == UNIT), None)
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

    # ------------------------------------------------------------ members

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
                entry = self._by_id(group, GROUPS)
                known = [(change, dn) for change, dn in ends if dn]
                if entry is None or self._is_protected(entry) or len(known) < 2:
                    continue
                values = [dn.encode() for _, dn in known if dn]
                self._open().values(entry.dn, self._of[MEMBERS].member, values, taken=taken)
            except (TroubleError, TargetUnreadableError):
                continue
            for change, _ in known:
                done = Outcome(change.change_id, "applied", remote_id=key_text(change.key))
                outcomes[change.change_id] = done
        return outcomes

    def _name_of(self, remote_id: str) -> str | None:
        """The name of a person's entry by its id, as it was last seen."""
        if remote_id not in self._dns:
            self._by_id(remote_id)
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


def _hex(remote_id: str) -> str:
    """An objectGUID as a name takes it: the bytes in their order."""
    return uuid.UUID(remote_id).bytes_le.hex()


def _unsent(change: Change, status: str, reason: str, note: str) -> Outcome:
    return Outcome(change.change_id, status, reason=reason, note=note, calls=0)
