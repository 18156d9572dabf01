"""Any JSON API: which call does what is settings, which column is which field is the export's YAML.

In: `[targets.<name>] kind = "rest"` (`settings.Settings`) and the exports that go there; changes
whose `new` holds export columns. Out: outcomes, and what the API holds now as Arrow, in the
export's own columns: `remote_id` and one per column, references given as our keys. A column's
`field:` is its JSON path (its name where it has none).

What differs from the plot of `base`: a list is read to an end that is proved, a look-up after a
lost reply may read a whole list, an object may have to be read before it is written, and many may
be written by one call and answered one by one.

Refuses: settings that cannot be followed, an address that is not https, a change the settings have
no call for.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from common import settings as common_settings
from reverse_etl.configured import TargetSettingsError, settings_of
from reverse_etl.model import (
    ADOPT,
    CREATE,
    DELETED,
    LOGIN,
    PASSWORD,
    REMOVALS,
    RENAME,
    SWITCH,
    UNDELETE,
    UPDATE,
    Change,
    Column,
    Export,
    Outcome,
    key_text,
)
from reverse_etl.passwords import PasswordError
from reverse_etl.targets import documents, exact
from reverse_etl.targets import entity as rows
from reverse_etl.targets.base import ALREADY, DELETED_AND_ANEW, ApiTarget
from reverse_etl.targets.entity import Words, fill
from reverse_etl.targets.json_path import put, value_at
from reverse_etl.targets.reading import TargetUnreadableError
from reverse_etl.targets.replies import Call, Verdict, outcome_of, word
from reverse_etl.targets.rest.client import Answer, Client, as_text, is_allowed
from reverse_etl.targets.rest.documents import Documents
from reverse_etl.targets.rest.pages import ListError, whole
from reverse_etl.targets.rest.settings import Batch, Entity, List, Route, Settings, Write
from reverse_etl.targets.taken import UNLIKE, Holder, the_one, unlike

TAKEN = Verdict("failed", "duplicate")
LATE = "it is there, says the API, and its list does not show it yet"
Found = list[tuple[Mapping[str, Any], str | None]]  # objects, each with whom it was listed under


class Rest(ApiTarget):
    """One API."""

    Settings = Settings

    def __init__(
        self, name: str, settings: Mapping[str, Any], exports: Mapping[str, Export]
    ) -> None:
        self._said = self.said(name, settings, exports)
        self._of = {one: of for one, of in self._said.entities.items() if one in exports}
        self.rows = {one: _row(one, of) for one, of in self._of.items()}
        reads = self._said.reads_per_minute
        self.reads_per_write = reads / self._said.writes_per_minute if reads else 1.0
        super().__init__(name, settings, exports, Client(name, self._said))
        self.rate = self._said.writes_per_minute / 60
        batches = [batch for of in self._of.values() for batch in _batches(of)]
        self.batch = max((batch.size for batch in batches), default=1)
        self._our_keys: dict[str, dict[str, str]] = {}  # entity -> remote id -> our key, once read
        self._all: dict[str, list[Mapping[str, Any]]] = {}  # entity -> its list, read for a name
        self._documents = Documents(self)
        self._check()

    def said(
        self,
        name: str,
        settings: Mapping[str, Any],
        exports: Mapping[str, Export],  # noqa: ARG002 - for kinds that make their calls from them
    ) -> Settings:
        """What the settings say."""
        return settings_of(Settings, name, settings)

    def _check(self) -> None:
        """Refuse what the tables of the settings cannot know of each other."""
        where = f"[targets.{self.name}"
        addresses = {
            "address": self._said.address,
            "auth.token_address": self._said.auth.token_address,
        }
        for setting, address in addresses.items():
            if address and not is_allowed(address):
                raise TargetSettingsError(
                    f"{where}] {setting} is {address!r}; it must be https://…, or http:// to this"
                    " machine: what is sent there names people and carries our sign-in"
                )
        for entity, of in self._of.items():
            export = self.exports[entity]
            of.check(f"{where}.entities.{entity}]", export)
            documents.check(self.name, entity, of.append_only, export, adopts=of.adopts)
            columns = {"id", "key", "password", *(column.name for column in export.columns)}
            for setting, route in of:
                if isinstance(route, Route | Batch):
                    each = isinstance(route, List) and bool(route.each)
                    self._check_words(
                        entity, setting, route, columns | ({"parent"} if each else set())
                    )
            others = [*export.references.values(), *([of.list.each] if of.list.each else [])]
            for other in others if of.links == "id" else ():
                if other not in self._of:
                    raise TargetSettingsError(
                        f"{where}.entities.{entity}] is about objects of {other}, which have no"
                        f" table {where}.entities.{other}] or no export; write both, or links ="
                        ' "key" where our keys are what the API wants'
                    )
            if of.list.each and of.list.each not in export.references.values():
                raise TargetSettingsError(
                    f"{where}.entities.{entity}.list] each is {of.list.each!r}, but no column of"
                    f" {export.model} refers to it; write references: {{<column>: {of.list.each}}}"
                )

    def _check_words(
        self, entity: str, setting: str, route: Route | Batch, known: set[str]
    ) -> None:
        for said in _texts([getattr(route, part, None) for part in ("path", "params", "body")]):
            try:
                words = [word for _, word, _, _ in string.Formatter().parse(said) if word]
            except ValueError as error:
                raise TargetSettingsError(
                    f"[targets.{self.name}.entities.{entity}.{setting}] {said!r}: {error}; braces"
                    " that are meant are doubled"
                ) from None
            for asked in words:
                if asked not in known:
                    raise TargetSettingsError(
                        f"[targets.{self.name}.entities.{entity}.{setting}]: {{{asked}}} is no"
                        f" column of {self.exports[entity].model};"
                        f" {common_settings.nearest(asked, sorted(known))}"
                    )

    @property
    def entities(self) -> tuple[str, ...]:
        return tuple(self._of)

    @property
    def raw_columns(self) -> dict[str, tuple[str, ...]]:
        return {
            one: (
                "remote_id",
                *(column.name for column in self._columns(one)),
                *((UNLIKE,) if of.asks(self.exports[one]) else ()),
            )
            for one, of in self._of.items()
        }

    def check_connection(self) -> str:
        """Sign in and read one page; what was proved, in words. Raises TargetUnreadableError."""
        for entity, of in self._of.items():
            if not of.list.each:
                self._asked(entity, of.list.path, dict(of.list.params))
                return f"signed in {self._client.identity}, {entity} can be read"
        raise TargetUnreadableError(
            f"{self.name}: no export goes here: [targets.{self.name}.entities.<entity>] and an"
            " export of the same entity belong together"
        )

    # ------------------------------------------------------------ observe

    def observe(self, entity: str) -> Iterator[pa.RecordBatch]:
        """What the API holds of one entity, in the columns of its export."""
        asks = self._of[entity].asks(self.exports[entity])
        rows = [
            [
                self._remote_id(entity, one, parent),
                *(self._column(entity, column, one, parent) for column in self._columns(entity)),
                *([self._unlike(entity, one)] if asks else []),
                exact.dumps(one),
            ]
            for one, parent in self._objects(entity)
        ]
        names = [*self.raw_columns[entity], "_json"]
        arrays = [pa.array([row[at] for row in rows], pa.string()) for at in range(len(names))]
        yield pa.RecordBatch.from_arrays(arrays, names=names)

    def _objects(self, entity: str) -> Found:
        """Every object of an entity, with the remote id of the object it was listed under."""
        route = self._of[entity].list
        if not route.each:
            found: Found = [(one, None) for one in self._listed(entity, route, Words({}))]
        else:

            def of(parent: str) -> Found:
                words = Words({"parent": parent})
                return [(one, parent) for one in self._listed(entity, route, words, gone=True)]

            each = self.at_once(of, list(self._keys_of(route.each)))
            found = [pair for pairs in each for pair in pairs]
        export = self.exports[entity]
        if len(export.key) == 1 and export.key[0] not in export.references:
            column = next(one for one in export.columns if one.name == export.key[0])
            pairs = [
                (self._remote_id(entity, o, p), self._column(entity, column, o, p))
                for o, p in found
            ]
            self._our_keys[entity] = {at: key for at, key in pairs if at and key}
        return found

    def _keys_of(self, entity: str) -> Mapping[str, str]:
        """Remote id -> our key, of the objects of an entity that carry one."""
        if entity not in self._our_keys:
            self._objects(entity)
        return self._our_keys.get(entity, {})

    def _listed(
        self, entity: str, route: List, words: Words, *, gone: bool = False
    ) -> list[Mapping[str, Any]]:
        """Every object of a list, each once; with `gone` a list that is not there is an empty
        one.
        """

        def ask(where: str, params: Mapping[str, Any], fine: bool, following: bool) -> Answer:
            return self._asked(entity, where, params, fine, following=following)

        def identify(one: Mapping[str, Any]) -> str | None:
            return self._remote_id(entity, one, words.get("parent"))

        try:
            where = fill(route.path, words, path=True)
            return whole(
                route, where, fill(route.params, words), ask, identify, missing_is_fine=gone
            )
        except ListError as error:
            raise TargetUnreadableError(
                f"{self.name}: {entity} could not be read to their end: {error}; check"
                f" [targets.{self.name}.entities.{entity}.list]"
            ) from None

    def _columns(self, entity: str) -> list[Column]:
        """The columns that are read: all that are sent, but what the API never tells."""
        return [column for column in self.exports[entity].sent if column.role != PASSWORD]

    def _column(
        self, entity: str, column: Column, one: Mapping[str, Any], parent: str | None
    ) -> str | None:
        """One column of an object, as the raw layer holds it."""
        value = value_at(one, column.field or column.name)
        if column.role == DELETED:  # a flag, a moment, a word: something is there
            return "true" if value not in (None, "", False, 0) else "false"
        other = self._refers(entity, column.name)
        if other is None:
            return as_text(value)
        remote_id = parent if other == self._of[entity].list.each else as_text(value)
        return self._keys_of(other).get(remote_id) if remote_id else None

    def _refers(self, entity: str, name: str) -> str | None:
        """The entity whose remote id stands in a column, where that is how the API refers."""
        by_id = self._of[entity].links == "id"
        return self.exports[entity].references.get(name) if by_id else None

    def _remote_id(self, entity: str, one: Mapping[str, Any], parent: str | None) -> str | None:
        if path := self._of[entity].id:
            return as_text(value_at(one, path))
        named = {column.name: column for column in self.exports[entity].columns}
        key = [self._column(entity, named[name], one, parent) for name in self.exports[entity].key]
        return None if None in key else key_text(key)

    # ------------------------------------------------------------ find

    def find(self, change: Change) -> str | None:
        """The remote id of the object that carries the change's key."""
        of, words = self._of[change.entity], self.words(change)
        route = of.find or of.list
        parent = self._parent(change)
        if of.list.each and parent is None:
            return None
        if parent:
            words["parent"] = parent
        found = self._listed(change.entity, route, words, gone=bool(of.find or parent))
        carrying = [
            self._remote_id(change.entity, one, parent)
            for one in found
            if self._is(change, one, parent)
        ]
        return min((one for one in carrying if one), default=None)

    def _parent(self, change: Change) -> str | None:
        """The remote id of the object a change's own stands under."""
        each = self._of[change.entity].list.each
        references = self.exports[change.entity].references
        return next(
            (change.references.get(name) for name, other in references.items() if other == each),
            None,
        )

    def _is(self, change: Change, one: Mapping[str, Any], parent: str | None) -> bool:
        """Whether an object carries the key of a change."""
        named = {column.name: column for column in self.exports[change.entity].columns}
        for name, wanted in zip(self.exports[change.entity].key, change.key, strict=True):
            found = as_text(value_at(one, named[name].field or name)) or ""
            if other := self._refers(change.entity, name):
                wanted = change.references.get(name) or wanted
                found = parent or "" if other == self._of[change.entity].list.each else found
            if name in self.exports[change.entity].folded:
                found, wanted = found.lower(), wanted.lower()
            if found != wanted:
                return False
        return True

    # ------------------------------------------------------------ apply

    def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        """Apply the changes: many by one call where the API takes that, else each by its own."""
        outcomes: dict[str, Outcome] = {}
        for kind in ("create", "update", "delete"):
            batch: Batch | None = getattr(self._of[changes[0].entity], f"{kind}_batch")
            if batch is None:
                continue
            chosen = [change for change in changes if _kind(change) == kind]
            for at in range(0, len(chosen), batch.size):
                part = chosen[at : at + batch.size]
                if len(part) > 1:
                    outcomes |= self._apply_batch(batch, kind, part)
        outcomes |= {
            change.change_id: self._apply(change)
            for change in changes
            if change.change_id not in outcomes
        }
        self.forget_passwords(outcomes.values())
        return [outcomes[change.change_id] for change in changes]

    def _apply(self, change: Change) -> Outcome:
        """One change by its own calls; the first that is not done ends them."""
        outcome, calls = Outcome(change.change_id, "applied", remote_id=change.remote_id), 0
        try:
            for step in self._steps(change):
                outcome = step()
                calls += outcome.calls
                if outcome.status != "applied":
                    break
        except PasswordError as error:
            return _unsent(change, "failed", "not_configured", str(error))
        except TargetUnreadableError as error:
            # a secret that is not set, or an object that had to be read first
            if "is not set" in str(error):
                return _unsent(change, "failed", "not_configured", str(error))
            return _unsent(change, "retry", "unreadable", str(error))
        except KeyError as error:
            why = f"cannot {change.action} {change.entity}: {error.args[0]}"
            return _unsent(change, "failed", "unsupported", why)
        return replace(outcome, calls=calls)

    def _steps(self, change: Change) -> list[Callable[[], Outcome]]:
        """The calls of a change, in order. Raises KeyError with a reason where there is none."""
        of, export, new = self._of[change.entity], self.exports[change.entity], dict(change.new)
        if of.append_only:
            if change.action != CREATE:
                raise KeyError(documents.NEVER)
            return [lambda: self._documents.make(change)]
        if change.action == CREATE:
            route = self._route(change, "create")
            body = self._body(change, new, creating=True)
            return [lambda: self._create(change, route, body, self.once(change))]
        if of.id and not change.remote_id:
            raise KeyError("the remote id is not known; observe and plan again")
        if change.action in REMOVALS:
            route = self._route(change, "delete")
            return [lambda: self._write(change, route, "DELETE", {})]
        steps: list[Callable[[], Outcome]] = []
        gone, switch = export.of_role(DELETED), export.of_role(SWITCH)
        if change.action == UNDELETE or (gone and new.pop(gone.name, None) is False):
            undelete = self._route(change, "undelete")
            steps.append(lambda: self._back(change, undelete))
            if change.action == UNDELETE:
                return steps
        own: Write | None = getattr(of, change.action, None)
        if own and switch and switch.name in new and change.action in {"suspend", "restore"}:
            del new[switch.name]
            steps.append(lambda: self._write(change, own, "POST", {}))
        if body := self._body(change, new, creating=False):
            update = self._route(change, "update")
            steps.append(lambda: self._update(change, update, body, new))
        if not steps:
            raise KeyError("the change holds no column that is sent there")
        return steps

    def _route(self, change: Change, name: str) -> Write:
        of = self._of[change.entity]
        if name == "delete" and of.never_deleted:
            raise KeyError(f"{of.never_deleted} and is never deleted")
        route: Write | None = getattr(of, name)
        if route is None:
            raise KeyError(f"[targets.{self.name}.entities.{change.entity}] has no {name}")
        return route

    def made(self, change: Change, new: Mapping[str, Any], headers: Mapping[str, str]) -> Outcome:
        """One create with these values, sent once. Raises KeyError with a reason."""
        route = self._route(change, "create")
        return self._create(change, route, self._body(change, new, creating=True), headers)

    def values_of(self, entity: str, column: Column) -> list[str]:
        """What stands in a column of every object there is."""
        found = (self._column(entity, column, o, p) for o, p in self._objects(entity))
        return [value for value in found if value is not None]

    def once(self, change: Change, number: object = None) -> dict[str, str]:
        """The header of a create that is the same however often it is sent."""
        header = self._of[change.entity].idempotency_header
        return {header: documents.once(change, number)} if header else {}

    def _create(
        self,
        change: Change,
        route: Write,
        body: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
    ) -> Outcome:
        method = route.method or "POST"
        answer = self._call(change, route, method, body, headers)
        return self._created(change, answer, route.item, repeatable=method == "PUT")

    def _created(self, change: Change, answer: Answer, item: str, *, repeatable: bool) -> Outcome:
        """What the answer to a create means, and which object it made."""
        call = replace(self.call(change), repeatable=repeatable)
        verdict = self._client.verdict(call, answer)
        if verdict.status == "look":
            return self._looked(change, answer)
        if verdict.status != "applied":
            return outcome_of(change, verdict, answer, None)
        path = self._of[change.entity].id
        remote_id = as_text(value_at(value_at(answer.body, item), path)) if path else None
        if not path:
            remote_id = key_text(change.key)
        elif remote_id is None and answer.code == 201:  # the address of what was made
            remote_id = answer.headers.get("location", "").rstrip("/").rpartition("/")[2] or None
        if remote_id is None:
            try:
                remote_id = self.find(change)
            except TargetUnreadableError as error:
                unsure = Verdict("unknown", "no_id")
                return outcome_of(change, unsure, answer, None, str(error))
        self._young.add(remote_id)
        return outcome_of(change, verdict, answer, remote_id)

    def _looked(self, change: Change, answer: Answer, calls: int = 1) -> Outcome:
        """The API says it exists already: ours from a lost reply, or somebody else's?"""
        try:
            remote_id = self.find(change)
        except TargetUnreadableError as error:
            unsure = Verdict("unknown", "duplicate")
            return outcome_of(change, unsure, answer, None, str(error), calls)
        if remote_id:
            return outcome_of(change, ALREADY, answer, remote_id, "already there", calls)
        export = self.exports[change.entity]
        if set(export.key) <= export.references.keys():
            # what ties two objects is nobody else's: a list that is late does not show it yet
            return outcome_of(change, Verdict("unknown", "duplicate"), answer, None, LATE, calls)
        note = (
            f"a value meant for {key_text(change.key)} belongs to another object, which does not"
            " carry this key; nothing was changed"
        )
        taken = outcome_of(change, TAKEN, answer, None, note, calls)
        holder = self._holder(change)
        if holder is None:
            return taken
        if why := holder.why_not(self._of[change.entity]):
            return replace(taken, note=f"{note}; {why}")
        return self._adopted(change, holder.remote_id, calls)

    def _holder(self, change: Change) -> Holder | None:
        """Who has the name a new object is refused for, where the API can be asked."""
        of, export = self._of[change.entity], self.exports[change.entity]
        login = export.of_role(LOGIN)
        if login is None or of.list.each:
            return None
        try:
            if of.holder:
                found = self._listed(change.entity, of.holder, self.words(change), gone=True)
            else:
                if change.entity not in self._all:
                    self._all[change.entity] = self._listed(change.entity, of.list, Words({}))
                found = self._all[change.entity]
        except (TargetUnreadableError, KeyError):
            return None
        there = the_one(found, login, change.new.get(login.name), value_at)
        remote_id = self._remote_id(change.entity, there, None) if there else None
        if there is None or remote_id is None:
            return None
        columns = [one for one in export.columns if one.name in export.key]
        key = [as_text(value_at(there, one.field or one.name)) for one in columns]
        carried = key_text([str(one) for one in key]) if all(key) else None
        return Holder(
            remote_id, carried, lambda path: value_at(there, path), export.of_role(SWITCH)
        )

    def _adopted(self, change: Change, remote_id: str, calls: int) -> Outcome:
        """An object of nobody's that has the name becomes ours."""
        ours = {name: value for name, value in change.new.items() if value is not None}
        adopted = replace(change, remote_id=remote_id, new=ours, old={})
        route = self._route(change, "update")
        body = self._body(adopted, ours, creating=False)
        done = self._update(adopted, route, body, ours)
        return replace(done, calls=done.calls + calls)

    def _unlike(self, entity: str, one: Mapping[str, Any]) -> str | None:
        """By what an object is nobody's own."""
        switch = self.exports[entity].of_role(SWITCH)
        return unlike(self._of[entity].adopts_only, lambda path: value_at(one, path), switch)

    def _back(self, change: Change, route: Write) -> Outcome:
        """Have a deleted object back. One that is wanted again and is not among the deleted was had
        back by an attempt whose reply was lost.
        """
        outcome = self._write(change, route, "POST", {})
        if change.action != UNDELETE and outcome.reason == "not_found":
            return replace(outcome, status="applied")
        if outcome.reason == "duplicate":
            return replace(outcome, note=DELETED_AND_ANEW)
        if outcome.status == "applied":
            self._young.add(change.remote_id)
        return outcome

    def _update(
        self, change: Change, route: Write, body: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Outcome:
        method = route.method or "PATCH"
        get = self._of[change.entity].get
        whole = method == "PUT" and not route.partial
        if get is None or not (route.read_first or whole):
            return self._write(change, route, method, body)
        words = self.words(change)
        where = fill(get.path, words, path=True)
        answer = self._asked(change.entity, where, fill(get.params, words), True)
        if not answer.good:
            return self._judged(change, answer)
        there = value_at(answer.body, get.item)
        if not isinstance(there, dict):
            return outcome_of(change, Verdict("failed", "invalid"), answer, change.remote_id)
        for column in self.exports[change.entity].sent:
            if column.name in new and column.role not in {DELETED, PASSWORD}:
                put(there, column.field or column.name, self._value(change, column, new))
        kept = {
            name: value
            for name, value in there.items()
            if name not in self._of[change.entity].left_out and (whole or name in body)
        }
        etag = answer.headers.get("etag", "")
        return self._write(change, route, method, kept, self._if_match(etag))

    def _if_match(self, etag: str) -> dict[str, str]:
        """That an object is still what was read; a weak tag never matches."""
        return {"If-Match": etag} if etag.startswith('"') else {}

    def _write(
        self,
        change: Change,
        route: Write,
        method: str,
        body: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
    ) -> Outcome:
        answer = self._call(change, route, route.method or method, body, headers)
        return self._judged(change, answer)

    def _judged(self, change: Change, answer: Answer) -> Outcome:
        """What an answer means for a change of an object that is there."""
        verdict = self._client.verdict(replace(self.call(change), repeatable=True), answer)
        if verdict.status == "look":
            verdict = TAKEN
        return outcome_of(change, verdict, answer, change.remote_id)

    # ------------------------------------------------------------ many at once

    def _apply_batch(self, batch: Batch, kind: str, changes: list[Change]) -> dict[str, Outcome]:
        """Many changes by one call. What a batch refuses as a whole is done one by one."""
        items, ready = [], []
        for change in changes:
            # what cannot be said of one change is said when it is tried alone
            with suppress(KeyError, PasswordError):
                items.append(self._item(batch, kind, change))
                ready.append(change)
        if len(ready) < 2:
            return {}
        document: Any = items
        if batch.items:
            document = {}
            put(document, batch.items, items)
        with self._lock:
            self.write_calls += len(ready)
        try:
            errors = self._of[ready[0].entity].errors
            answer = self._client.ask(batch.method, batch.path, None, document, rows=errors)
        except TargetUnreadableError as error:
            return {
                change.change_id: _unsent(change, "failed", "not_configured", str(error))
                for change in ready
            }
        call = Call(repeatable=kind != "create", removing=kind == "delete")
        verdict = self._client.verdict(call, answer)
        if verdict.status in {"retry", "unknown"}:
            return {c.change_id: outcome_of(c, verdict, answer, c.remote_id) for c in ready}
        answers = value_at(answer.body, batch.results) if batch.results is not None else None
        if isinstance(answers, list) and len(answers) == len(ready):
            pairs = zip(ready, answers, strict=True)
            return {c.change_id: self._of_batch(batch, kind, c, one, answer) for c, one in pairs}
        if verdict.status != "applied":
            # refused as a whole; a part of it may have been kept
            return {change.change_id: self._alone(kind, change, answer) for change in ready}
        if batch.results is not None:  # done, and not told of each: nobody knows
            unsure = Verdict("unknown" if kind == "create" else "retry", "no_answer")
            return {c.change_id: outcome_of(c, unsure, answer, c.remote_id) for c in ready}
        if kind != "create":
            return {c.change_id: outcome_of(c, verdict, answer, c.remote_id) for c in ready}
        made = value_at(answer.body, batch.item)
        made = made if isinstance(made, list) and len(made) == len(ready) else [None] * len(ready)
        return {
            change.change_id: self._created(
                change, replace(answer, body=one, headers={}), "", repeatable=False
            )
            for change, one in zip(ready, made, strict=True)
        }

    def _item(self, batch: Batch, kind: str, change: Change) -> dict[str, Any]:
        item: dict[str, Any] = {}
        if kind != "delete":
            body = self._body(change, change.new, creating=kind == "create")
            put(item, batch.wrap, body) if batch.wrap else item.update(body)
        if kind != "create":
            if not change.remote_id:
                raise KeyError("the remote id is not known")
            put(item, batch.id, change.remote_id)
        return item

    def _alone(self, kind: str, change: Change, answer: Answer) -> Outcome:
        if kind == "create":
            looked = self._looked(change, answer)
            if looked.status != "failed":
                return looked
        outcome = self._apply(change)
        return replace(outcome, calls=outcome.calls + 1)

    def _of_batch(
        self, batch: Batch, kind: str, change: Change, one: Any, whole_answer: Answer
    ) -> Outcome:
        """The outcome of one change in a batch whose items are answered one by one."""
        code = value_at(one, batch.status)
        path = self._said.error_code
        said = str(value_at(one, path) or "") if path else ""
        answer = replace(
            whole_answer,
            code=int(code) if str(code).isdigit() else whole_answer.code,
            body=value_at(one, batch.item, one),
            reason=word(said),
            said=said,
            message=exact.dumps(one),
            headers={},
        )
        if kind == "create":
            return self._created(change, answer, "", repeatable=False)
        return self._judged(change, answer)

    # ------------------------------------------------------------ what a call says

    def words(self, change: Change) -> Words:
        """What may stand in the calls of a change."""
        words, export = super().words(change), self.exports[change.entity]
        plain = {**dict(zip(export.key, change.key, strict=True)), **change.old, **change.new}
        refers = {name for name in plain if self._refers(change.entity, name)}
        words.update({name: value for name, value in plain.items() if name not in refers})
        return words

    def _body(self, change: Change, new: Mapping[str, Any], *, creating: bool) -> dict[str, Any]:
        """The JSON of the columns in `new`; None clears a field, and is left out of a create.
        Raises KeyError with a reason.
        """
        export, each = self.exports[change.entity], self._of[change.entity].list.each
        columns = {column.name: column for column in export.columns}
        body: dict[str, Any] = {}
        for name, given in new.items():
            if name not in columns:
                raise KeyError(f"{name} is no column of {export.model}")
            in_address = bool(each) and self._refers(change.entity, name) == each
            if columns[name].role in {DELETED, PASSWORD} or in_address:
                continue
            if not (creating and given is None):
                put(body, columns[name].field or name, self._value(change, columns[name], new))
        secret = export.of_role(PASSWORD)
        if creating and secret:
            put(body, secret.field or secret.name, self.password(change))
        return body

    def _value(self, change: Change, column: Column, new: Mapping[str, Any]) -> Any:
        """A column's value as the API takes it."""
        value = new.get(column.name)
        if value is None or self._refers(change.entity, column.name) is None:
            return self._exact(column, value)
        if not change.references.get(column.name):
            raise KeyError(f"what its {column.name} refers to does not exist in the target yet")
        return change.references[column.name]

    def _exact(self, column: Column, value: Any) -> Any:
        """An amount digit by digit, however it came. Raises KeyError with a reason."""
        if value is None or not exact.is_decimal(column.type):
            return value
        try:
            amount = Decimal(str(value))
        except InvalidOperation:
            raise KeyError(f"{column.name} is no {column.type}") from None
        return f"{amount:f}" if self._said.decimals == "text" else amount

    def _call(
        self,
        change: Change,
        route: Write,
        method: str,
        fields: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one write once: what the settings always send, and the fields over it."""
        words = self.words(change)
        body: dict[str, Any] = fill(route.body, words)
        if route.wrap and fields:
            put(body, route.wrap, _laid_over(value_at(body, route.wrap, {}), fields))
        else:
            body = _laid_over(body, fields)
        where, params = fill(route.path, words, path=True), fill(route.params, words)
        with self._lock:
            self.write_calls += 1
        errors = self._of[change.entity].errors
        return self._client.ask(method, where, params, body or None, headers=headers, rows=errors)

    def _asked(
        self,
        entity: str,
        where: str,
        params: Mapping[str, Any],
        missing_is_fine: bool = False,
        *,
        following: bool = False,
    ) -> Answer:
        """A good answer to a read, or a 404 where that is one too; asked for with patience."""
        errors = self._of[entity].errors
        answer = self._reads.reply(
            entity,
            lambda: self._client.ask("GET", where, params, rows=errors),
            missing_is_fine,
            following,
        )
        assert isinstance(answer, Answer)
        return answer


def _row(name: str, of: Entity) -> rows.Entity:
    """What the plot has to know of an entity."""
    return rows.Entity(
        name,
        remote_id=of.id,
        upserts=bool(of.create and of.create.method == "PUT"),
        keeps_deleted_days=of.keeps_deleted_days,
        never_deleted=of.never_deleted,
        append_only=of.append_only,
    )


def _batches(of: Entity) -> list[Batch]:
    return [one for one in (of.create_batch, of.update_batch, of.delete_batch) if one]


def _kind(change: Change) -> str:
    # a restore may take two calls, a switch one of its own: neither is one of many
    plain = change.action in {UPDATE, RENAME, ADOPT}
    return "delete" if change.action in REMOVALS else "update" if plain else change.action


def _texts(said: Any) -> Iterator[str]:
    if isinstance(said, str):
        yield said
    inner = said.values() if isinstance(said, Mapping) else said if isinstance(said, list) else ()
    for each in inner:
        yield from _texts(each)


def _laid_over(under: Any, over: Mapping[str, Any]) -> dict[str, Any]:
    """Two documents in one, deep; where both say something, the second."""
    laid = dict(under) if isinstance(under, Mapping) else {}
    for name, value in over.items():
        both = isinstance(value, Mapping) and isinstance(laid.get(name), Mapping)
        laid[name] = _laid_over(laid[name], value) if both else value
    return laid


def _unsent(change: Change, status: str, reason: str, note: str) -> Outcome:
    return Outcome(change.change_id, status, reason=reason, note=note, calls=0)
