"""The plot of a target, told once: what is there, what a change comes to, and what became of a call
that nobody answered.

A kind of target is its rows (`Entity`: calls, paging, order, traits) and a `Client` (sign-in,
quota, error table). Beyond that it overrides the step of the plot that differs: `pages` (what is
there), `request` (the call of a change), `look` (it exists already), `addresses`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pyarrow as pa

from common.problems import Reason
from reverse_etl.configured import ApiSettings, settings_of
from reverse_etl.model import (
    CREATE,
    DELETED,
    PASSWORD,
    REMOVALS,
    RESTORE,
    SESSIONS_LEFT,
    SUSPEND,
    UNDELETE,
    Change,
    Export,
    Outcome,
    key_text,
)
from reverse_etl.passwords import PasswordError, Passwords
from reverse_etl.targets.entity import CREATING, Entity, Route, Words, fill, table_of
from reverse_etl.targets.fields import (
    NAMES_TAKEN,
    Field,
    Table,
    columns,
    from_api,
    mask,
    names_batch,
    raw_batches,
    to_api,
)
from reverse_etl.targets.json_path import put
from reverse_etl.targets.reading import Reads, TargetUnreadableError, expired_twice
from reverse_etl.targets.replies import Call, Reply, Verdict, advised, general, outcome_of

ALREADY = Verdict("applied", "duplicate")
PROBES = 3  # so often is asked whether a permission is there, where it says to come again
SIGN_OUTS = 3  # so often sessions are to be ended; fewer than a change is tried

READ_ONLY = "read_only = true: it is read and planned, and nothing is written"
DELETED_AND_ANEW = (
    "it cannot be had back: another object has its address by now; say in"
    " seeds/identity_decisions.csv that the other is the same person's, or free the address"
)

Name = tuple[str, str, str, str | None]  # a row of names_taken


class Target:
    """What any target is to the engine. A kind that speaks another language than requests and
    replies overrides `pages`, `apply` and `find`.
    """

    rows: Mapping[str, Entity] = {}
    batch = 1
    Settings: type[ApiSettings] = ApiSettings
    reads_per_write = 1.0  # how many reads the target allows while it allows one write

    def __init__(
        self, name: str, settings: Mapping[str, Any], exports: Mapping[str, Export] | None = None
    ) -> None:
        self.name = name
        self.exports = exports or {}
        self.said = settings_of(self.Settings, name, settings)
        self.threads, self.rate = self.said.threads, self.said.writes_per_minute / 60
        self.write_calls = 0
        self._settings = settings
        self._lock = threading.Lock()
        self._passwords: Passwords | None = None
        self._sign_outs: dict[str, int] = {}  # change -> how often its sessions were to be ended
        self.tables: dict[str, Table] = dict.fromkeys(self.rows, ())
        self._key_fields = dict(self.tables)  # the part of a table that holds the key
        for entity in self.rows.keys() & self.exports.keys():
            export = self.exports[entity]
            table = self.tables[entity] = table_of(self.rows[entity], export)
            self._key_fields[entity] = tuple(e for e in table if e.path and e.column in export.key)

    @property
    def entities(self) -> tuple[str, ...]:
        """What can be written, in the order of creates."""
        rows = self.rows.items()
        return tuple(n for n, row in rows if "create" in row.routes and self.is_wanted(n))

    def is_wanted(self, entity: str) -> bool:
        """Whether the district has asked for this kind of object, where it has to."""
        opt_in = self.rows[entity].opt_in
        return not opt_in or bool(getattr(self.said, opt_in))

    @property
    def lasting(self) -> dict[str, str]:
        """Whose objects are never deleted, and why."""
        whys = {name: row.never_deleted or row.append_only for name, row in self.rows.items()}
        return {name: why for name, why in whys.items() if why}

    @property
    def append_only(self) -> dict[str, str]:
        """Whose objects are documents, and why."""
        return {name: row.append_only for name, row in self.rows.items() if row.append_only}

    @property
    def restorable(self) -> dict[str, int]:
        """Whose deleted objects can be had back, and for how many days."""
        rows = self.rows.items()
        return {name: row.keeps_deleted_days for name, row in rows if row.keeps_deleted_days}

    @property
    def raw_columns(self) -> dict[str, tuple[str, ...]]:
        """What is read of each entity: the columns of its export and those of its row."""
        found = {entity: columns(self.seen(entity)) for entity in self.rows}
        if any(row.unique_names for row in self.rows.values()):
            found["names_taken"] = NAMES_TAKEN
        return found

    def seen(self, entity: str) -> Table:
        """The field table of what is read of an entity."""
        row = self.rows[entity]
        own = () if row.links else (Field("remote_id", (row.remote_id,)),)
        return (*own, *(each for each in self.tables[entity] if each.path), *row.observed)

    def order(self, change: Change) -> int:
        """Parents before their children: the depth of the path; everything else in one round."""
        row = self.rows[change.entity]
        return change.key[0].strip("/").count("/") if row.parents_first else 0

    def observe(self, entity: str) -> Iterator[pa.RecordBatch]:
        """What the target holds of one entity; at least one batch, if an empty one."""
        pages = self.pages(entity) if self.is_wanted(entity) else ()
        yield from raw_batches(self.seen(entity), pages)

    def pages(self, entity: str) -> Iterator[Sequence[Mapping[str, Any]]]:
        """The objects of one entity, page by page."""
        raise NotImplementedError

    def password(self, change: Change) -> str:
        """A first password, sealed before it is sent."""
        with self._lock:
            if self._passwords is None:
                self._passwords = Passwords.of_run(
                    str(self._settings.get("run_id", "no-run")), self.name
                )
        export = self.exports.get(change.entity)
        column = export.of_role(PASSWORD) if export else None
        recipe = change.new.get(column.name) if column else None
        shown = {name: change.new.get(name) for name in (export.sheet if export else ())}
        return self._passwords.issue(
            change.change_id, change.key[0], recipe, change.partition, shown
        )

    def forget_passwords(self, outcomes: Iterable[Outcome]) -> None:
        """Those of creates whose outcome is certain; of what failed nobody has one."""
        for outcome in outcomes:
            if self._passwords and outcome.status in {"applied", "failed"}:
                self._passwords.forget(outcome.change_id, used=outcome.status == "applied")

    def close(self) -> None:
        """Forget passwords."""
        with self._lock:
            if self._passwords:
                self._passwords.close()


class ApiTarget(Target):
    """A target of requests and replies. Nothing its `client` meets is raised, all is a `Reply`:

    identity                        as whom it signs in, in words without secrets
    request(route)                  the request of a route whose words are filled in
    ask(request)                    one read, sent once
    send(requests)                  up to a batch of writes, sent once; a reply for each
    following(route, asked, reply)  the request for the next page; None after the last
    verdict(call, reply)            the error table: what a reply means for the change it answers
    close()
    """

    def __init__(
        self,
        name: str,
        settings: Mapping[str, Any],
        exports: Mapping[str, Export] | None,
        client: Any,
    ) -> None:
        super().__init__(name, settings, exports)
        self._client = client
        self._reads = Reads(name, self.rate * self.reads_per_write, client.verdict)
        self.constants: dict[str, str] = {}  # what may stand in any call
        self._young: set[str | None] = set()  # remote ids, and paths, made by this process
        # what was seen of an entity once its last page was: the names taken, our objects' ids
        self._names: dict[str, list[Name]] = {}
        self._ours: dict[str, list[str]] = {}

    @property
    def read_calls(self) -> int:
        """Calls that read; a batch of reads is one."""
        return self._reads.calls

    def close(self) -> None:
        """Close the connections and forget passwords."""
        self._client.close()
        super().close()

    def check_connection(self) -> str:
        """Sign in and read one object; what was proved, in words. Raises TargetUnreadableError."""
        row = next(row for row in self.rows.values() if "check" in row.routes)
        self.read(row.name, self._client.request(self.filled(row.routes["check"], {})))
        return f"signed in as {self._client.identity}, {row.name} can be read"

    def lacking(self) -> Iterator[Reason]:
        """What the platform has not permitted of what the district's settings ask for: each
        permission by one call that only reads. None of a platform that nobody reaches, or that
        lets nobody in: that says `check_connection`.
        """
        for row in self.rows.values():
            if not self.is_wanted(row.name):
                continue
            for permission, probe in row.probes.items():
                if permission in {row.needs(route) for route in self._used(row)}:
                    yield from self._probed(row, permission, probe)

    def _used(self, row: Entity) -> Iterator[Route]:
        """The calls of an entity the settings lead to."""
        ends = getattr(self.said, "end_sessions", True) and not self.said.read_only
        yield from (route for name, route in row.routes.items() if name != "end_sessions" or ends)

    def _probed(self, row: Entity, permission: str, probe: Route) -> Iterator[Reason]:
        try:
            request = self._client.request(self.filled(probe, self.probe_words(row.name)))
        except (KeyError, TargetUnreadableError):
            return  # there is no object yet to ask with
        for _ in range(PROBES):
            self._reads.one_call()
            reply = self._client.ask(request)
            verdict = self._client.verdict(Call(repeatable=True), reply)
            if verdict.status != "retry":
                break
        if reply.code in {401, 403} and verdict.status != "retry":
            yield self.lack(row, permission, reply)

    def probe_words(self, entity: str) -> Words:  # noqa: ARG002 - for kinds that need an object
        """What a probe of an entity asks with."""
        return Words({})

    def lack(self, row: Entity, permission: str, reply: Reply) -> Reason:
        """A permission that is missing, in words that say where it is given."""
        why = str(reply.refusal or general("permission"))
        return Reason(
            "permission_missing",
            {"target": self.name, "permission": permission, "entity": row.name, "why": why},
        )

    @property
    def clock_off(self) -> str:
        """How far this machine's clock is from the target's, by its answers; '' where it is
        right.
        """
        clock = getattr(self._client, "clock", None)
        return clock.off if clock else ""

    # ------------------------------------------------------------ observe

    def observe(self, entity: str) -> Iterator[pa.RecordBatch]:
        """What the target holds of one entity, or "names_taken"."""
        if entity == "names_taken":
            return iter([names_batch(self.names_taken())])
        return super().observe(entity)

    def pages(self, entity: str) -> Iterator[Sequence[Mapping[str, Any]]]:
        row = self.rows[entity]
        if row.listed_per:
            self.look_through(row.listed_per)
            yield from self.related(row, self._ours[row.listed_per])
            return
        names: list[Name] = []
        ours: list[str] = []
        owns = any(other.listed_per == entity for other in self.rows.values())
        for page in self.listed(row, row.routes["list"]):
            if row.unique_names:
                names += [each for found in page for each in self._names_of(row, found)]
            if owns:
                ours += [found[row.remote_id] for found in page if self.key_of(row, found)]
            yield page
        self._names[entity], self._ours[entity] = names, ours

    def listed(
        self, row: Entity, route: Route, what: str = "", *, anew: bool = False, **values: str
    ) -> Iterator[list[dict[str, Any]]]:
        """Every page of a list; of what belongs to an object that is gone by now, none. A list
        whose next page has expired is read again from its beginning, once (`anew`: it was already),
        and what came before comes no second time.
        """
        asked = mask(self.seen(row.name), without=row.derived)
        words = {"mask": ",".join((*asked, *row.asked)), "page": str(row.page), **values}
        known: set[str] = set()
        for _ in range(1 if anew else 2):
            request = self._client.request(self.filled(route, words))
            following = False
            while request is not None:
                fine = bool(row.listed_per) and not following
                reply = self.read(what or row.name, request, fine, following=following)
                if following and not reply.good:
                    break
                page = reply.body.get(row.items, [])
                request = self._client.following(route, request, reply)
                fresh = [one for one in page if _mark(row, one) not in known]
                if request is not None or following:
                    known |= {_mark(row, one) for one in page}
                yield fresh
                following = True
            else:
                return
        raise expired_twice(self.name, what or row.name)

    def related(self, row: Entity, owners: Sequence[str]) -> Iterator[Sequence[Mapping[str, Any]]]:
        """What each of our objects of `row.listed_per` has, several asked at once."""

        def of(owner: str) -> list[Mapping[str, Any]]:
            what = f"{row.name} of {owner}"
            pages = self.listed(row, row.routes["of"], what, owner=owner)
            return [owned_by(row, owner, found) for page in pages for found in page]

        yield from self.at_once(of, owners)

    def at_once(self, do: Callable[[Any], Any], parts: Iterable[Any]) -> Iterator[Any]:
        """The results for each part, in their order, by as many threads as the target has."""
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix=f"{self.name}-read")
        try:
            yield from pool.map(do, parts)
        finally:
            pool.shutdown(cancel_futures=True)

    def look_through(self, entity: str) -> None:
        """Read every page of an entity unless that was done."""
        if entity not in self._names:
            for _ in self.pages(entity):
                continue

    def names_taken(self) -> list[Name]:
        """Every address something or somebody has, the deleted ones' too."""
        named = [row for row in self.rows.values() if row.unique_names]
        for row in named:
            self.look_through(row.name)
        names = [name for row in named for name in self._names[row.name]]
        names += [
            (address, "deleted", *who)
            for row in named
            if "deleted" in row.routes
            for page in self.listed(row, row.routes["deleted"])
            for found in page
            for address, _, *who in self._names_of(row, found)
        ]
        return names

    def _names_of(self, row: Entity, found: Mapping[str, Any]) -> Iterator[Name]:
        kind = row.unique_names
        person = self.key_of(row, found) if kind == "user" else None
        for address in self.addresses(found):
            if address:
                yield address, kind, found[row.remote_id], person
            kind = "alias"

    def addresses(self, found: Mapping[str, Any]) -> Iterable[str]:
        """The addresses of a user or group, its own first."""
        raise NotImplementedError

    def key_of(self, row: Entity, found: Mapping[str, Any]) -> str | None:
        """The durable key an object carries, if it does; one text when it has several columns."""
        values = list(from_api(self._key_fields[row.name], found).values())
        return None if not values or None in values else key_text(values)

    def read(
        self, what: str, request: Any, missing_is_fine: bool = False, *, following: bool = False
    ) -> Reply:
        """One read, with patience; of a `following` page the answer may be that it has expired.
        Raises TargetUnreadableError.
        """
        return self._reads.reply(
            what, lambda: self._client.ask(request), missing_is_fine, following
        )

    # ------------------------------------------------------------ apply

    def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        """Apply up to a batch of changes by one call; each is answered and judged by itself."""
        if self.said.read_only:
            return [_unsent(change, "not_configured", READ_ONLY) for change in changes]
        outcomes: dict[str, Outcome] = {}
        calls: list[tuple[Change, Any]] = []
        for change in changes:
            try:
                calls.append((change, self.request(change)))
            except (PasswordError, TargetUnreadableError) as error:
                outcomes[change.change_id] = _unsent(change, "not_configured", str(error))
            except KeyError as error:
                why = f"cannot {change.action} {change.entity}: {error.args[0]}"
                outcomes[change.change_id] = _unsent(change, "unsupported", why)
        try:
            outcomes |= self._undeleted([change for change, _ in calls])
            calls = [(change, call) for change, call in calls if change.change_id not in outcomes]
            replies = self.send([call for _, call in calls])
        except TargetUnreadableError as error:
            return [_unsent(change, "not_configured", str(error)) for change in changes]
        for (change, _), reply in zip(calls, replies, strict=True):
            outcome = self.judge(change, reply)
            if self._is_undeletion(change):
                outcome = replace(outcome, calls=outcome.calls + 1)
            outcomes[change.change_id] = outcome
        self.forget_passwords(outcomes.values())
        outcomes |= self._signed_out([change for change, _ in calls], outcomes)
        return [outcomes[change.change_id] for change in changes]

    def _signed_out(
        self, changes: Sequence[Change], outcomes: Mapping[str, Outcome]
    ) -> dict[str, Outcome]:
        """End the sessions of what was just closed: who is signed in works on until a token runs
        out. A closing whose sessions only need time is tried again as a whole, which does no harm;
        one whose sessions cannot be ended is closed all the same, and says so (SESSIONS_LEFT).
        """
        if not getattr(self.said, "end_sessions", False):
            return {}
        closed = [
            change
            for change in changes
            if change.action == SUSPEND
            and outcomes[change.change_id].status == "applied"
            and "end_sessions" in self.rows[change.entity].routes
        ]
        requests = []
        for change in closed:
            route = self.rows[change.entity].routes["end_sessions"]
            requests.append(self._client.request(self.filled(route, self.words(change))))
        found: dict[str, Outcome] = {}
        for change, reply in zip(closed, self.send(requests), strict=True):
            before = outcomes[change.change_id]
            verdict = self._client.verdict(Call(repeatable=True), reply)
            with self._lock:
                tries = self._sign_outs[change.change_id] = (
                    self._sign_outs.get(change.change_id, 0) + 1
                )
            if reply.good or reply.code == 404:
                said = {"note": "closed, and its sessions ended"}
            elif verdict.status != "failed" and tries < SIGN_OUTS:
                said = {"status": "retry", "reason": verdict.reason, "code": reply.code}
                said |= {"note": "closed; its sessions are not ended yet"}
                said |= {"retry_after": reply.retry_after}
            else:
                why = advised(reply.refusal or general(verdict.reason))
                said = {"reason": SESSIONS_LEFT, "note": f"{reply.code or ''} {why}".strip()}
            found[change.change_id] = replace(before, calls=before.calls + 1, **said)
        return found

    def request(self, change: Change) -> Any:
        """The call of a change. Raises KeyError with a reason for what cannot be done."""
        row = self.rows[change.entity]
        return self._client.request(
            self.filled(row.route(change.action), self.words(change), change)
        )

    def send(self, requests: Sequence[Any]) -> list[Reply]:
        """Send writes once, and count them."""
        if not requests:
            return []
        with self._lock:
            self.write_calls += len(requests)
        return self._client.send(requests)

    def find(self, change: Change) -> str | None:
        """Look a create up by what it would be called, and compare the key it carries: the remote
        id if it is ours. None of what may simply be made again.
        """
        if "find" not in self.rows[change.entity].routes:
            return None
        found = self._lookup(change)
        return self.ours(change, found.body) if found.good else None

    def _lookup(self, change: Change) -> Reply:
        """A read by name: consistent, where searches read an index that lags behind."""
        route = self.filled(self.rows[change.entity].routes["find"], self.words(change))
        what = f"{change.entity} {key_text(change.key)}"
        return self.read(what, self._client.request(route), missing_is_fine=True)

    def _undeleted(self, changes: Sequence[Change]) -> dict[str, Outcome]:
        """Bring back the deleted objects that are wanted again, so that they can be written to: the
        outcomes of those that stay deleted.
        """
        back = [change for change in changes if self._is_undeletion(change)]
        requests = []
        for change in back:
            route = self.rows[change.entity].route(UNDELETE)
            filled = self.filled(route, self.words(change), change)
            requests.append(
                self._client.request(filled if filled.body else replace(filled, body=None))
            )
        outcomes: dict[str, Outcome] = {}
        for change, reply in zip(back, self.send(requests), strict=True):
            # 404: an attempt whose reply was lost has brought it back already
            if reply.good or reply.code == 404:
                self._young.add(change.remote_id)
                continue
            verdict, note = self._client.verdict(self.call(change), reply), ""
            if verdict.status == "look":  # its address is somebody else's by now
                verdict, note = Verdict("failed", verdict.reason), DELETED_AND_ANEW
            outcomes[change.change_id] = outcome_of(change, verdict, reply, change.remote_id, note)
        return outcomes

    def _is_undeletion(self, change: Change) -> bool:
        export = self.exports.get(change.entity)
        gone = export.of_role(DELETED) if export else None
        return bool(gone) and change.action == RESTORE and change.new.get(gone.name) is False

    # ------------------------------------------------------------ the words of a call

    def words(self, change: Change) -> Words:
        """What may stand in the calls of a change."""
        row = self.rows[change.entity]
        export = self.exports.get(change.entity)
        refers = {*row.links, *(export.references if export else ())}
        plain = {**change.old, **change.new}
        words = Words({name: value for name, value in plain.items() if name not in refers})
        words |= {name: value for name, value in change.references.items() if value}
        # as the row spells it, where the key ignores letter case
        key = plain.get(export.key[0], change.key[0]) if export else change.key[0]
        words |= {"key": key} | ({"id": change.remote_id} if change.remote_id else {})
        words.made = {"password": lambda: self.password(change)}
        tied = " or ".join(
            "the " + name.removesuffix("_id") for name in row.links or sorted(refers)
        )
        words.why = dict.fromkeys(refers, f"{tied} does not exist in the target yet")
        words.why["id"] = "the remote id is not known; observe and plan again"
        return words

    def filled(self, route: Route, words: Mapping[str, Any], change: Change | None = None) -> Route:
        """A route with its words filled in and the columns of the change in its body. Raises
        KeyError with a reason when a word is missing, or nothing is left to send.
        """
        known = words if isinstance(words, Words) else Words(words)
        for name, value in self.constants.items():
            known.setdefault(name, value)
        body: dict[str, Any] | None = None if route.body is None else {}
        if change is not None and route.columns:
            some = change.new.keys() if route.columns is True else route.columns
            chosen = {name: value for name, value in change.new.items() if name in some}
            creating = change.action in CREATING
            body = to_api(self.tables[change.entity], chosen, creating=creating)
            if route.columns is True and not body:
                raise KeyError(f"the change holds no column that is sent to {self.name}")
            secret = self.exports[change.entity].of_role(PASSWORD)
            if secret and change.action == CREATE:
                put(body, secret.field, self.password(change))
        if route.body:
            body = {**(body or {}), **fill(route.body, known)}
        call, query = fill(route.call, known, path=True), fill(route.query, known)
        return Route(call, query, body, headers=route.headers)

    # ------------------------------------------------------------ judge

    def call(self, change: Change) -> Call:
        """What kind of call a change makes, as the error table wants to know."""
        row = self.rows[change.entity]
        within = change.new.get(row.inside)
        touched = {change.remote_id, *change.references.values(), within and str(within).lower()}
        return Call(
            repeatable=bool(row.links) or row.upserts or change.action not in CREATING,
            removing=change.action in REMOVALS,
            young=not self._young.isdisjoint(touched - {None}),
            exchanging=bool(change.others),
        )

    def judge(self, change: Change, reply: Reply) -> Outcome:
        """What a reply means for a change, after a look at what is there where it does not say."""
        reply = replace(reply, refusal=self.refusal(change, reply))
        verdict = self._client.verdict(self.call(change), reply)
        if verdict.status == "look":
            return self.look(change, reply, verdict.reason)
        if verdict.status == "applied" and change.action in CREATING:
            return self._created(change, verdict, reply)
        return outcome_of(change, verdict, reply, change.remote_id)

    def refusal(self, change: Change, reply: Reply) -> Reason | None:
        """What the vendor's table knows of an answer. Of somebody's own account "not allowed" means
        most often that it is an administrator's.
        """
        known = reply.refusal
        if known and known.code == "refused_permission":
            mine = self.rows[change.entity].unique_names == "user" and change.action != CREATE
            return Reason("refused_role_holder") if mine else known
        return known

    def _created(self, change: Change, verdict: Verdict, reply: Reply) -> Outcome:
        row = self.rows[change.entity]
        remote_id = reply.body.get(row.remote_id) or change.remote_id
        if row.links:
            remote_id = change.references.get(row.links[-1])
        if remote_id:
            self._young |= {remote_id, change.key[0].lower() if row.parents_first else None}
            return outcome_of(change, verdict, reply, remote_id)
        # an upsert that found its object may answer nothing: the id is asked for
        try:
            return outcome_of(change, ALREADY, reply, self.find(change), "already there", 2)
        except TargetUnreadableError as error:
            return outcome_of(change, Verdict("retry", "unreadable"), reply, None, str(error), 2)

    def look(self, change: Change, reply: Reply, reason: str) -> Outcome:
        """It seems to exist already: as wanted, ours from a lost reply, or somebody else's?"""
        row, calls = self.rows[change.entity], 1
        if row.links and "find" not in row.routes:
            tied = change.references.get(row.links[-1])
            return outcome_of(change, ALREADY, reply, tied, "already there")
        creating = change.action in CREATING and not row.upserts
        if "find" in row.routes and (creating or row.named_by in change.new):
            calls = 2
            try:
                found = self._lookup(change)
            except TargetUnreadableError as error:
                unknown = Verdict("unknown", "duplicate")
                return outcome_of(change, unknown, reply, None, str(error), calls)
            remote_id = self.ours(change, found.body) if found.good else None
            if remote_id and (outcome := self.recognised(change, reply, found.body, remote_id)):
                return outcome
        other = self.holder(change, reply) if reason == "duplicate" else ""
        note = (
            f"the name meant for {key_text(change.key)} belongs to"
            f" {other or 'another object, which does not carry this key'}; nothing was changed"
        )
        refused, said = Verdict("failed", reason), note if reason == "duplicate" else ""
        return outcome_of(change, refused, reply, change.remote_id, said, calls)

    def holder(self, change: Change, reply: Reply) -> str:  # noqa: ARG002 - for kinds that can tell
        """Who or what has the name a change is refused for, in words without it; '' where nothing
        says so.
        """
        return ""

    def recognised(
        self, change: Change, reply: Reply, found: Mapping[str, Any], remote_id: str
    ) -> Outcome | None:
        """An object that exists already and is ours: done, or None when it is not as wanted.

        A rename is known to have answered "exists already" although it was done.
        """
        if change.action in CREATING or (
            remote_id == change.remote_id and self.is_called(change, found)
        ):
            return outcome_of(change, ALREADY, reply, remote_id, "already there", 2)
        return None

    def ours(self, change: Change, found: Mapping[str, Any]) -> str | None:
        """The remote id of what was found if it carries the change's key; a link has no key but
        what it ties.
        """
        row = self.rows[change.entity]
        remote_id = found.get(row.remote_id)
        if row.links:
            return remote_id if remote_id == change.references.get(row.links[-1]) else None
        carried, wanted = self.key_of(row, found) or "", key_text(change.key)
        if self.exports[row.name].folded:
            carried, wanted = carried.lower(), wanted.lower()
        return remote_id if carried == wanted else None

    def is_called(self, change: Change, found: Mapping[str, Any]) -> bool:
        """Whether what was found by a name is called by it, and not known by it beside its own."""
        row = self.rows[change.entity]
        named = [each for each in self.tables[row.name] if each.column == row.named_by]
        name = next(iter(from_api(named, found).values()), None)
        return name is None or str(name).lower() == str(change.new.get(row.named_by)).lower()


def _mark(row: Entity, one: Mapping[str, Any]) -> str:
    """What tells an object of a list from the others."""
    return str(one.get(row.remote_id) or json.dumps(one, sort_keys=True))


def owned_by(row: Entity, owner: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """What belongs to an object, with the object's remote id beside: `group_remote_id`."""
    return {f"{row.links[0].removesuffix('_id')}_remote_id": owner, **found}


def _unsent(change: Change, reason: str, note: str) -> Outcome:
    return Outcome(change.change_id, "failed", reason=reason, note=note, calls=0)
