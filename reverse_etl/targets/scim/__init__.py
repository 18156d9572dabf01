"""SCIM 2.0 (RFC 7643, 7644): users, groups and who is in them, in the dialect of the service.

In: `[targets.<name>] kind = "scim"` and exports of entities `users`, `groups`, `members`, whose
columns say by `field:` where their values stand (`externalId`, `name.familyName`,
`emails[type eq "work"].value`, `urn:…:enterprise:2.0:User:employeeNumber`). Out: as `rest`, whose
client, lists and verdicts these are.

What differs from `rest`: a change is a PATCH of operations, or a PUT of the whole where the service
offers no PATCH; members are operations on their group; who is deleted is closed first; an object
that has the name a new one is refused for, and nobody's key, becomes ours.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from reverse_etl.configured import TargetSettingsError, settings_of
from reverse_etl.model import (
    CREATE,
    DELETED,
    PASSWORD,
    REMOVALS,
    SWITCH,
    Change,
    Column,
    Export,
    Outcome,
    key_text,
)
from reverse_etl.targets.entity import Words, fill
from reverse_etl.targets.json_path import put, steps, value_at
from reverse_etl.targets.reading import TargetUnreadableError
from reverse_etl.targets.rest import Rest
from reverse_etl.targets.rest.settings import List, Write
from reverse_etl.targets.scim.settings import MEDIA, PATCH_OP, Settings, routes

MEMBERS = "members"
CASE_BLIND = frozenset({"userName", "displayName"})  # caseExact: false (RFC 7643, 4.1 and 8.7.1)


class Scim(Rest):
    """One service."""

    Settings = Settings

    def __init__(
        self, name: str, settings: Mapping[str, Any], exports: Mapping[str, Export]
    ) -> None:
        self._dialect = settings_of(Settings, name, settings)
        self._patches: bool | None = None  # whether changes are PATCHed, once known
        self._whole = threading.Lock()  # a group is read, changed and sent back by one at a time
        super().__init__(name, settings, exports)

    def said(
        self, name: str, settings: Mapping[str, Any], exports: Mapping[str, Export]
    ) -> Settings:
        """What the settings say, with the calls of SCIM."""
        said = settings_of(Settings, name, settings)
        headers = {"Content-Type": MEDIA, "Accept": f"{MEDIA}, application/json"} | said.headers
        made = {"entities": routes(exports, said), "headers": headers}
        return said.model_copy(update=made)

    def _check(self) -> None:
        """Refuse a key in which a service knows no letter case and the export does."""
        super()._check()
        for export in self.exports.values():
            for column in export.columns:
                blind = (column.field or column.name) in CASE_BLIND
                if blind and column.name in export.key and column.name not in export.folded:
                    raise TargetSettingsError(
                        f"{export.model}: key {column.name} stands in {column.field}, where SCIM"
                        " tells no letter case from another; write ignoring: [case] beside it"
                    )

    # ------------------------------------------------------------ reading

    def _listed(
        self, entity: str, route: List, words: Words, *, gone: bool = False
    ) -> list[Mapping[str, Any]]:
        """A group's members stand in the group, which is an object and no list."""
        if entity != MEMBERS:
            return super()._listed(entity, route, words, gone=gone)
        answer = self._asked(entity, fill(route.path, words, path=True), {}, True)
        found = value_at(answer.body, MEMBERS, []) if answer.good else []
        if not isinstance(found, list):
            raise TargetUnreadableError(f"{self.name}: a group's members are no list")
        return [one for one in found if isinstance(one, Mapping)]

    def _by_patch(self) -> bool:
        """Whether an object is changed by PATCH: as the settings say, or the service announces."""
        if self._dialect.update != "announced":
            return self._dialect.update == "patch"
        if self._patches is None:
            answer = self._asked(next(iter(self._of)), "ServiceProviderConfig", {}, True)
            offered = value_at(answer.body, "patch.supported", True) if answer.good else True
            self._patches = offered is not False
        return self._patches

    # ------------------------------------------------------------ writing

    def _steps(self, change: Change) -> list[Callable[[], Outcome]]:
        if change.entity == MEMBERS:
            return [lambda: self._tie(change)]
        found = super()._steps(change)
        switch = self.exports[change.entity].of_role(SWITCH)
        if change.action in REMOVALS and switch and change.old.get(switch.name) != switch.off_value:
            route = self._route(change, "update")
            off = {switch.name: switch.off_value}
            closed = replace(change, new=off)
            body = self._body(closed, off, creating=False)
            found.insert(0, lambda: self._closed(closed, route, body, off))
        return found

    def _closed(
        self, change: Change, route: Write, body: Mapping[str, Any], off: Mapping[str, Any]
    ) -> Outcome:
        """Close somebody who is about to be deleted; who is gone already needs none."""
        outcome = self._update(change, route, body, off)
        gone = outcome.reason == "not_found"
        return replace(outcome, status="applied") if gone else outcome

    def _update(
        self, change: Change, route: Write, body: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Outcome:
        if not self._by_patch():
            return super()._update(change, route.model_copy(update={"method": "PUT"}), body, new)
        columns = {column.name: column for column in self.exports[change.entity].columns}
        operations = [
            self._operation(columns[name], self._value(change, columns[name], new), change)
            for name in new
            if name in columns and columns[name].role not in {DELETED, PASSWORD}
        ]
        return self._write(change, route, "PATCH", _patch(operations))

    def _operation(self, column: Column, value: Any, change: Change) -> dict[str, Any]:
        """What a PATCH does to one column. An entry of a list that is not there yet is added: a
        path to it has no target.
        """
        path = column.field or column.name
        if isinstance(value, bool) and self._dialect.text_booleans:
            value = str(value)
        if value is None:
            return {"op": "remove", "path": path}
        if "[" in path and change.old.get(column.name) is None:
            there: dict[str, Any] = {}
            put(there, path, value)
            first = steps(path)[0]
            return {"op": "add", "path": first, "value": there[first]}
        return {"op": "replace", "path": path, "value": value}

    def _if_match(self, etag: str) -> dict[str, str]:
        """Versions of SCIM are weak and compared all the same (RFC 7644, 3.14)."""
        return {"If-Match": etag} if etag else {}

    def _tie(self, change: Change) -> Outcome:
        """Put somebody into a group, or take them out."""
        removing = change.action in REMOVALS
        route = self._route(change, "delete" if removing else CREATE)
        person = self._person(change)
        if not self._by_patch():
            with self._whole:
                return self._tied_whole(change, route, person, removing=removing)
        if not removing:
            operation = {"op": "add", "path": MEMBERS, "value": [{"value": person}]}
        elif self._dialect.member_removal == "value":
            operation = {"op": "remove", "path": MEMBERS, "value": [{"value": person}]}
        else:
            operation = {"op": "remove", "path": f"{MEMBERS}[value eq {json.dumps(person)}]"}
        outcome = self._write(change, route, "PATCH", _patch([operation]))
        if outcome.code == 400 and removing:  # noTarget: is it out already?
            return self._out_already(change, outcome)
        return replace(outcome, remote_id=key_text(change.key))

    def _person(self, change: Change) -> str:
        export = self.exports[MEMBERS]
        column = next((c for c, e in export.references.items() if e == "users"), "")
        person = change.references.get(column)
        if not person:
            raise KeyError(f"what its {column} refers to does not exist in the target yet")
        return person

    def _out_already(self, change: Change, outcome: Outcome) -> Outcome:
        """A removal that is refused of somebody who is no member is done."""
        try:
            there = self.find(change)
        except TargetUnreadableError:
            return outcome
        return outcome if there else replace(outcome, status="applied", reason="not_found")

    def _tied_whole(self, change: Change, route: Write, person: str, *, removing: bool) -> Outcome:
        """The same by PUT: the group is read, changed and sent back."""
        where = fill(route.path, self.words(change), path=True)
        answer = self._asked(MEMBERS, where, {}, True)
        if not answer.good or not isinstance(answer.body, dict):
            return self._judged(change, answer)
        there = [one for one in answer.body.get(MEMBERS) or () if one.get("value") != person]
        group = answer.body | {MEMBERS: [*there, *([] if removing else [{"value": person}])]}
        etag = self._if_match(answer.headers.get("etag", ""))
        done = self._write(change, route, "PUT", group, etag)
        return replace(done, remote_id=key_text(change.key))


def _patch(operations: list[dict[str, Any]]) -> dict[str, Any]:
    return {"schemas": [PATCH_OP], "Operations": operations}
