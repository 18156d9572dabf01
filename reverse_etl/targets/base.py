"""The plot of a target, told once: what is there, what a change comes to, and what became of a call
that nobody answered.

A kind of target is rows (`Entity`: calls, paging, order, traits) and a `Client` (sign-in, quota,
error table). Where a value stands in the target's objects is said by the exports (`field:`). So a
kind writes down what is particular about it and overrides the step of the plot that differs:
`pages` (what is there), `request` (the call of a change), `look` (it exists already), `addresses`.

    {id} {key} {password} {<column>} {<constant>}   stand in a call, its query and its body
    {key!q} {key!j}                                 'quoted' for a filter, "quoted" as JSON

`{<column>}` of a column that refers to another object is the remote id of that object. In the path
of a call signs are escaped.
"""

from __future__ import annotations

import json
import string
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from urllib.parse import quote

import pyarrow as pa

from reverse_etl.model import CREATE, RESTORE, UNDELETE, Change, Export, Outcome, key_text
from reverse_etl.passwords import PasswordRecipientError, Passwords
from reverse_etl.targets.fields import (
    NAMES_TAKEN,
    Field,
    Table,
    columns,
    from_api,
    mask,
    names_batch,
    raw_batches,
    steps,
    to_api,
)
from reverse_etl.targets.reading import Reads, TargetUnreadableError
from reverse_etl.targets.replies import Call, Reply, Verdict, outcome_of

CREATING, REMOVING = frozenset({CREATE, "add", UNDELETE}), frozenset({"delete", "remove"})

Name = tuple[str, str, str, str | None]  # a row of names_taken


# ---------------------------------------------------------------- what a kind of target writes down


@dataclass(frozen=True)
class Route:
    """One call: `POST /users`, or what the vendor's own library calls it (`users.insert`)."""

    call: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None  # sent beside the columns, over them
    columns: bool | tuple[str, ...] = False  # which of the change are sent: all, some, none
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Entity:
    """One kind of object of a target: the calls that reach it, and what is particular about it.

    Routes: list, of (what one owner has), deleted, find, create, update, remove, undelete; an
    action's own name where it differs (rename, restore), check on one entity of a target.
    """

    name: str
    routes: Mapping[str, Route] = field(default_factory=dict)
    remote_id: str = "id"  # the field that carries the platform's own id
    items: str = "value"  # the field of a page that holds its objects
    page: int = 0  # how many objects a page is asked for
    observed: Table = ()  # read beside the columns of the export
    asked: tuple[str, ...] = ()  # fields asked for beside those of any column
    derived: tuple[str, ...] = ()  # fields the adapter adds itself, never asked for
    read_only: tuple[str, ...] = ()  # fields that go in no body: the platform makes them
    named_by: str = ""  # the column an object is looked up by
    inside: str = ""  # the column that names what an object lives in
    # traits
    links: tuple[str, ...] = ()  # the references it ties: it is no object of its own
    listed_per: str = ""  # the entity whose objects of ours are asked for theirs, one by one
    upserts: bool = False  # creating it twice makes one
    parents_first: bool = False  # its key is a path, and what is above must be there before
    key_ignores_case: bool = False
    unique_names: str = ""  # whose addresses nobody else may have: `user` or `group`
    keeps_deleted_days: int = 0  # for how long a deleted one can be had back by `undelete`
    never_deleted: str = ""  # why

    def route(self, action: str) -> Route:
        """The call of an action. Raises KeyError with a reason where there is none."""
        general = "create" if action in CREATING else "remove" if action in REMOVING else "update"
        if found := self.routes.get(action) or self.routes.get(general):
            return found
        if general == "remove" and self.never_deleted:
            raise KeyError(f"{self.never_deleted} and is never deleted")
        raise KeyError("the target has no such call")

    @property
    def repeatable(self) -> bool:
        """Whether a create of which nobody knows what came can simply be made again."""
        return self.upserts or bool(self.links)


class Client(Protocol):
    """The wire to one target: nothing the target or the network does is raised, all is a Reply."""

    identity: str  # as whom it signs in, in words without secrets

    def request(self, route: Route) -> Any:
        """The request of a route whose words are filled in."""
        ...

    def ask(self, request: Any) -> Reply:
        """Send one read once."""
        ...

    def send(self, requests: Sequence[Any]) -> list[Reply]:
        """Send up to a batch of writes once; a reply for each."""
        ...

    def following(self, route: Route, request: Any, reply: Reply) -> Any | None:
        """The request for the next page; None after the last."""
        ...

    def verdict(self, call: Call, reply: Reply) -> Verdict:
        """The error table: what a reply means for the change it answers."""
        ...

    def close(self) -> None: ...


# ---------------------------------------------------------------- the plot


class Target:
    """What any target is to the engine. A kind that speaks another language than requests and
    replies overrides `pages`, `apply` and `find`.
    """

    rows: Mapping[str, Entity] = {}
    batch = 1
    default_threads = 8
    default_writes_per_minute = 600
    reads_per_write = 1.0  # how many reads the target allows while it allows one write

    def __init__(
        self, name: str, settings: Mapping[str, Any], exports: Mapping[str, Export] | None = None
    ) -> None:
        self.name = name
        self.exports = exports or {}
        self.threads = int(settings.get("threads", self.default_threads))
        per_minute = settings.get("writes_per_minute", self.default_writes_per_minute)
        self.rate = float(per_minute) / 60
        self.write_calls = 0
        self._settings = settings
        self._lock = threading.Lock()
        self._passwords: Passwords | None = None
        self.tables = {
            entity: table_of(row, self.exports[entity]) if entity in self.exports else ()
            for entity, row in self.rows.items()
        }

    @property
    def entities(self) -> tuple[str, ...]:
        """What can be written, in the order of creates."""
        return tuple(name for name, row in self.rows.items() if "create" in row.routes)

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
        own = () if row.links or not row.remote_id else (Field("remote_id", (row.remote_id,)),)
        return (*own, *(each for each in self.tables[entity] if each.path), *row.observed)

    def order(self, change: Change) -> int:
        """Parents before their children: the depth of the path; everything else in one round."""
        row = self.rows[change.entity]
        return change.key[0].strip("/").count("/") if row.parents_first else 0

    def observe(self, entity: str) -> Iterator[pa.RecordBatch]:
        """What the target holds of one entity (or "names_taken"), page by page; at least one batch,
        if an empty one.
        """
        if entity == "names_taken":
            yield names_batch(self.names_taken())
        else:
            yield from raw_batches(self.seen(entity), self.pages(entity))

    def pages(self, entity: str) -> Iterator[Sequence[Mapping[str, Any]]]:
        """The objects of one entity, page by page."""
        raise NotImplementedError

    def names_taken(self) -> list[Name]:
        """Every address something or somebody has; for a target with `unique_names`."""
        raise NotImplementedError

    def password(self, change: Change) -> str:
        """A first password, sealed before it is sent."""
        with self._lock:
            if self._passwords is None:
                self._passwords = Passwords.of_run(
                    str(self._settings.get("run_id", "no-run")), self.name
                )
        return self._passwords.issue(change.change_id, change.key[0])

    def close(self) -> None:
        """Forget passwords."""
        with self._lock:
            if self._passwords:
                self._passwords.close()


class ApiTarget(Target):
    """A target of requests and replies."""

    def __init__(
        self,
        name: str,
        settings: Mapping[str, Any],
        exports: Mapping[str, Export] | None,
        client: Client,
    ) -> None:
        super().__init__(name, settings, exports)
        self._client: Any = client
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

    # ------------------------------------------------------------ observe

    def pages(self, entity: str) -> Iterator[Sequence[Mapping[str, Any]]]:
        row = self.rows[entity]
        if row.listed_per:
            yield from self.related(row, self._ids(row.listed_per))
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
        self, row: Entity, route: Route, what: str = "", **values: str
    ) -> Iterator[list[dict[str, Any]]]:
        """Every page of a list; of what belongs to an object that is gone by now, none."""
        asked = mask(self.seen(row.name), without=row.derived)
        words = {"mask": ",".join((*asked, *row.asked)), "page": str(row.page), **values}
        request = self._client.request(self.filled(route, words))
        while request is not None:
            reply = self.read(what or row.name, request, missing_is_fine=bool(row.listed_per))
            yield reply.body.get(row.items, [])
            request = self._client.following(route, request, reply)

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

    def _ids(self, entity: str) -> list[str]:
        self.look_through(entity)
        return self._ours[entity]

    def look_through(self, entity: str) -> None:
        """Read every page of an entity unless that was done."""
        if entity not in self._names:
            for _ in self.pages(entity):
                continue

    def names_taken(self) -> list[Name]:
        named = [row for row in self.rows.values() if row.unique_names]
        for row in named:
            self.look_through(row.name)
        names = [name for row in named for name in self._names[row.name]]
        for row in named:
            if "deleted" in row.routes:
                for page in self.listed(row, row.routes["deleted"]):
                    names += [
                        (address, "deleted", *who)
                        for found in page
                        for address, _, *who in self._names_of(row, found)
                    ]
        return names

    def _names_of(self, row: Entity, found: Mapping[str, Any]) -> Iterator[Name]:
        kind = row.unique_names
        person = self.key_of(row, found) if kind == "user" else None
        for address in self.addresses(found):
            yield address, kind, found[row.remote_id], person
            kind = "alias"

    def addresses(self, found: Mapping[str, Any]) -> Iterable[str]:
        """The addresses of a user or group, its own first."""
        raise NotImplementedError

    def key_of(self, row: Entity, found: Mapping[str, Any]) -> str | None:
        """The durable key an object carries, if it does; one text when it has several columns."""
        own = [each for each in self.tables[row.name] if each.column in self._key(row)]
        values = list(from_api([each for each in own if each.path], found).values())
        if not values or None in values:
            return None
        return key_text(values)

    def _key(self, row: Entity) -> tuple[str, ...]:
        return self.exports[row.name].key if row.name in self.exports else ()

    def read(self, what: str, request: Any, missing_is_fine: bool = False) -> Reply:
        """One read, with patience. Raises TargetUnreadableError."""
        return self._reads.reply(what, lambda: self._client.ask(request), missing_is_fine)

    # ------------------------------------------------------------ apply

    def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        """Apply up to a batch of changes by one call; each is answered and judged by itself."""
        outcomes: dict[str, Outcome] = {}
        calls: list[tuple[Change, Any]] = []
        for change in changes:
            try:
                calls.append((change, self.request(change)))
            except (PasswordRecipientError, TargetUnreadableError) as error:
                outcomes[change.change_id] = _unsent(change, "not_configured", str(error))
            except KeyError as error:
                why = f"cannot {change.action} {change.entity}: {error.args[0]}"
                outcomes[change.change_id] = _unsent(change, "unsupported", why)
        try:
            back = self._undeleted([change for change, _ in calls])
            calls = [(change, call) for change, call in calls if change.change_id not in back]
            outcomes |= {key: outcome for key, outcome in back.items() if outcome}
            replies = self.send([call for _, call in calls])
        except TargetUnreadableError as error:
            return [_unsent(change, "not_configured", str(error)) for change in changes]
        for (change, _), reply in zip(calls, replies, strict=True):
            outcome = self.judge(change, reply)
            if _is_undeletion(change):
                outcome = replace(outcome, calls=outcome.calls + 1)
            if outcome.status in {"applied", "failed"} and self._passwords:
                self._passwords.forget(change.change_id)
            outcomes[change.change_id] = outcome
        return [outcomes[change.change_id] for change in changes]

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
        back = [change for change in changes if _is_undeletion(change)]
        routes = [self.rows[change.entity].route(UNDELETE) for change in back]
        requests = [
            self._client.request(self.filled(route, self.words(change), change))
            for route, change in zip(routes, back, strict=True)
        ]
        outcomes: dict[str, Outcome] = {}
        for change, reply in zip(back, self.send(requests), strict=True):
            self._young.add(change.remote_id)
            # 404: an attempt whose reply was lost has brought it back already
            if not reply.good and reply.code != 404:
                verdict = self._client.verdict(self.call(change), reply)
                outcomes[change.change_id] = outcome_of(change, verdict, reply, change.remote_id)
        return outcomes

    # ------------------------------------------------------------ the words of a call

    def words(self, change: Change) -> Words:
        """What may stand in the calls of a change."""
        row = self.rows[change.entity]
        export = self.exports.get(change.entity)
        refers = {*row.links, *(export.references if export else ())}
        plain = {**change.old, **change.new}
        words = Words({name: value for name, value in plain.items() if name not in refers})
        words |= {name: value for name, value in change.references.items() if value}
        words |= {"key": change.key[0]} | ({"id": change.remote_id} if change.remote_id else {})
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
        body: Any = route.body
        if change is not None and route.columns:
            chosen = change.new if route.columns is True else _some(change.new, route.columns)
            creating = change.action in CREATING
            body = to_api(self.tables[change.entity], chosen, creating=creating)
            if route.columns is True and not body:
                raise KeyError(f"the change holds no column that is sent to {self.name}")
        extra = _fill(route.body, known) if route.body else {}
        return Route(
            fill(route.call, known, path=True),
            {name: fill(text, known) for name, text in route.query.items()},
            None if body is None else {**(body if change and route.columns else {}), **extra},
            headers=route.headers,
        )

    # ------------------------------------------------------------ judge

    def call(self, change: Change) -> Call:
        """What kind of call a change makes, as the error table wants to know."""
        row = self.rows[change.entity]
        touched = {change.remote_id, *change.references.values(), change.new.get(row.inside)}
        return Call(
            repeatable=row.repeatable or change.action not in CREATING,
            removing=change.action in REMOVING,
            young=not self._young.isdisjoint(touched - {None}),
        )

    def judge(self, change: Change, reply: Reply) -> Outcome:
        """What a reply means for a change, after a look at what is there where it does not say."""
        verdict = self._client.verdict(self.call(change), reply)
        if verdict.status == "look":
            return self.look(change, reply)
        if verdict.status == "applied" and reply.good and change.action in CREATING:
            return self._created(change, verdict, reply)
        return outcome_of(change, verdict, reply, change.remote_id)

    def _created(self, change: Change, verdict: Verdict, reply: Reply) -> Outcome:
        row = self.rows[change.entity]
        remote_id = reply.body.get(row.remote_id) or change.remote_id
        if row.links:
            remote_id = change.references.get(row.links[-1])
        if remote_id:
            self._young |= {remote_id, change.key[0] if row.parents_first else None}
            return outcome_of(change, verdict, reply, remote_id)
        # an upsert that found its object may answer nothing: the id is asked for
        there = Verdict("applied", "duplicate")
        try:
            return outcome_of(change, there, reply, self.find(change), "already there", 2)
        except TargetUnreadableError as error:
            return outcome_of(change, Verdict("retry", "unreadable"), reply, None, str(error), 2)

    def look(self, change: Change, reply: Reply) -> Outcome:
        """It exists already: as wanted, ours from a lost reply, or somebody else's?"""
        row, calls = self.rows[change.entity], 1
        if row.links and "find" not in row.routes:
            there = Verdict("applied", "duplicate")
            return outcome_of(
                change, there, reply, change.references.get(row.links[-1]), "already there"
            )
        if "find" in row.routes and (change.action in CREATING or row.named_by in change.new):
            calls = 2
            try:
                found = self._lookup(change)
            except TargetUnreadableError as error:
                unknown = Verdict("unknown", "duplicate")
                return outcome_of(change, unknown, reply, None, str(error), calls)
            remote_id = self.ours(change, found.body) if found.good else None
            if remote_id and (outcome := self.recognised(change, reply, found.body, remote_id)):
                return outcome
        note = (
            f"the name meant for {key_text(change.key)} belongs to another object, which does not"
            " carry this key; nothing was changed"
        )
        taken = Verdict("failed", "duplicate")
        return outcome_of(change, taken, reply, change.remote_id, note, calls)

    def recognised(
        self, change: Change, reply: Reply, found: Mapping[str, Any], remote_id: str
    ) -> Outcome | None:
        """An object that exists already and is ours: done, or None when it is not as wanted.

        A rename is known to have answered "exists already" although it was done.
        """
        if change.action in CREATING or (
            remote_id == change.remote_id and self.is_called(change, found)
        ):
            there = Verdict("applied", "duplicate")
            return outcome_of(change, there, reply, remote_id, "already there", 2)
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
        if row.key_ignores_case:
            carried, wanted = carried.casefold(), wanted.casefold()
        return remote_id if carried == wanted else None

    def is_called(self, change: Change, found: Mapping[str, Any]) -> bool:
        """Whether what was found by a name is called by it, and not known by it beside its own."""
        row = self.rows[change.entity]
        named = [each for each in self.tables[row.name] if each.column == row.named_by]
        name = next(iter(from_api(named, found).values()), None)
        return name is None or str(name).lower() == str(change.new.get(row.named_by)).lower()


# ---------------------------------------------------------------- words and tables


class Words(dict[str, Any]):
    """The words of a call; `made` are made when a call asks for them, `why` says of a missing one
    what that means.
    """

    made: dict[str, Callable[[], str]]
    why: dict[str, str]

    def __init__(self, words: Mapping[str, Any]) -> None:
        super().__init__(words)
        self.made, self.why = {}, {}

    def __missing__(self, name: str) -> Any:
        if name in self.made:
            return self.made[name]()
        raise KeyError(self.why.get(name, f"the change does not say {name}"))


class _Escaped(str):
    """A text whose signs are escaped."""


class _Formatter(string.Formatter):
    """`{word}`, `{word!q}` in single quotes, `{word!j}` as JSON; in a path signs are escaped."""

    def __init__(self, path: bool = False) -> None:
        self._path = path

    def convert_field(self, value: Any, conversion: str | None) -> Any:
        match conversion:
            case "q":
                doubled = str(value).replace("'", "''")
                return _Escaped(f"'{quote(doubled, safe='@')}'") if self._path else f"'{doubled}'"
            case "j":
                return json.dumps(value, ensure_ascii=False)
        return super().convert_field(value, conversion)  # type: ignore[arg-type]

    def format_field(self, value: Any, format_spec: str) -> Any:
        text = super().format_field(value, format_spec)
        escape = self._path and not isinstance(value, _Escaped)
        return quote(text, safe="@") if escape else text


_PLAIN, _IN_PATH = _Formatter(), _Formatter(path=True)


def fill(text: str, words: Words, *, path: bool = False) -> str:
    """A text with its words filled in. Raises KeyError with a reason when one is missing."""
    return (_IN_PATH if path else _PLAIN).vformat(text, (), words)


def _fill(template: Any, words: Words) -> Any:
    if isinstance(template, str):
        return fill(template, words)
    if isinstance(template, Mapping):
        return {name: _fill(value, words) for name, value in template.items()}
    return [_fill(value, words) for value in template] if isinstance(template, list) else template


def table_of(row: Entity, export: Export) -> Table:
    """The field table an export declares; a column without a field is not in the target's objects:
    it is a reference, or stands in the address of a call.
    """
    return tuple(
        Field(
            column.name,
            steps(column.field),
            sent=bool(column.field)
            and column.role != "deleted"  # deleting and restoring are calls of their own
            and column.field not in row.read_only,
        )
        for column in export.columns
        if column.name not in export.context
    )


def owned_by(row: Entity, owner: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """What belongs to an object, with the object's remote id beside: `group_remote_id`."""
    return {f"{row.links[0].removesuffix('_id')}_remote_id": owner, **found}


def _some(row: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name in names}


def _is_undeletion(change: Change) -> bool:
    return change.action == RESTORE and change.new.get("deleted") is False


def _unsent(change: Change, reason: str, note: str) -> Outcome:
    return Outcome(change.change_id, "failed", reason=reason, note=note, calls=0)
