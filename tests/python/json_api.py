"""A JSON API of nobody's: collections as a settings file declares them, with state, pages, refusals
and every fault of the emulated platforms. For targets and sources of kind `rest`.

    [server.collections.people]
    unique = ["key", "mail"]      # no two objects may have the same there
    paging = "offset"             # offset, page, cursor, next, link or none
    keeps_deleted = true          # a deleted one can be restored

`with running(folder, collections) as api:` -> `api.url`. Under `/v1/`: `GET`, `POST /people`;
`GET`, `PATCH`, `PUT`, `DELETE /people/{id}`; `POST /people/{id}/restore`; `POST /people/batch`;
with `under = "groups"` all of it under `/groups/{id}/`. Signed by a token of `POST /token`.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from demo.platforms.faults import Faults
from demo.platforms.http import Listener, RefusalError, Reply, Request, Respond
from demo.platforms.platform import Platform, RequestLog
from demo.platforms.store import Store

CLIENT, SECRET = "homeroom", "secret-canary-7"
RETRY_AFTER = 0.2
HOST = "https://api.example"


@dataclass(frozen=True)
class Collection:
    """One kind of object the API holds."""

    name: str
    unique: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    formats: Mapping[str, str] = field(default_factory=dict)  # field -> what it must look like
    refers: Mapping[str, str] = field(default_factory=dict)  # field -> collection its id is of
    paging: str = "offset"
    most: int = 50  # objects on a page, whatever is asked for
    under: str = ""
    id: str = ""  # the field that is its id; unset: the API gives one
    keeps_deleted: bool = False
    seeded: tuple[Mapping[str, Any], ...] = ()  # what somebody else has put there


class JsonApi(Platform):
    """The API. Keys of its tables are ids, of what stands under something `parent/id`."""

    name = "json"

    def __init__(
        self, store: Store, log: RequestLog, faults: Faults, collections: Mapping[str, Collection]
    ) -> None:
        super().__init__(store, log, faults)
        self.collections = collections
        self.tokens: set[str] = set()
        self._made_at: dict[str, float] = {}
        for held in collections.values():
            for one in held.seeded:
                self._create(held, "", one)
        store.commit(0)
        self._made_at.clear()

    def production_url(self, request: Request) -> str | None:
        return HOST + request.target

    def password_is_accepted(self, password: str) -> bool:
        return len(password) >= 8

    def broken(self, status: int) -> Reply:
        return Reply(status, {"error": {"code": "broken"}})

    def serve(self, request: Request) -> Reply:
        if request.path == "/token":
            return self._token(request)
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.tokens:
            return Reply(401, {"error": {"code": "token"}})
        if self.faults.happens("throttle"):
            return Reply(429, {"error": {"code": "slow down"}}, {"Retry-After": str(RETRY_AFTER)})
        return self.attempt(lambda: self._route(request), request.method != "GET")

    def _token(self, request: Request) -> Reply:
        form = dict(parse_qsl(request.body.decode()))
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT, SECRET):
            return Reply(401, {"error": "invalid_client"})
        token = secrets.token_hex(8)
        self.tokens.add(token)
        return Reply(200, {"access_token": token, "expires_in": 3600})

    def _route(self, request: Request) -> Reply:
        parts = [unquote(part) for part in request.path.removeprefix("/v1/").split("/")]
        parent = ""
        if len(parts) > 2 and parts[2] in self.collections:
            parent, parts = parts[1], parts[2:]
            self._there(self.collections[self.collections[parts[0]].under], parent)
        held = self.collections.get(parts[0])
        if held is None:
            refuse(404, "no_such_route")
        body = json.loads(request.body) if request.body else None
        match (request.method, len(parts)):
            case ("GET", 1):
                return self._list(held, parent, request)
            case ("POST", 1):
                return Reply(201, {"data": self._create(held, parent, body)})
            case ("POST", 2) if parts[1] == "batch":
                return Reply(200, {"results": [self._item(held, parent, one) for one in body]})
            case ("POST", 3) if parts[2] == "restore":
                return self._restore(held, parts[1])
            case (method, 2):
                return self._object(
                    method, held, f"{parent}/{parts[1]}" if parent else parts[1], body, request
                )
        return refuse(405, "no_such_method")

    # ------------------------------------------------------------ objects

    def _object(
        self, method: str, held: Collection, key: str, body: Any, request: Request
    ) -> Reply:
        found = self._there(held, key)
        etag = f'"{found["version"]}"'
        if request.headers.get("if-match") not in {None, etag}:
            refuse(412, "changed_meanwhile")
        if method == "GET":
            return Reply(200, {"data": _shown(found)}, {"ETag": etag})
        if method == "DELETE":
            self.store.remove(held.name, key)
            if held.keeps_deleted:
                self.store.put(f"deleted {held.name}", key, found)
            for other in self.collections.values():
                self._forget(other, held, key)
            return Reply(204)
        kept = {"id": found["id"], "version": found["version"] + 1}
        merged = _merged(found, body) if method == "PATCH" else body
        return Reply(200, {"data": _shown(self._kept(held, key, {**merged, **kept}))})

    def _forget(self, other: Collection, held: Collection, key: str) -> None:
        """What stood under a deleted object, or referred to it, goes with it."""
        by = [name for name, there in other.refers.items() if there == held.name]
        for at, one in list(self.store[other.name].items()):
            under = other.under == held.name and at.startswith(f"{key}/")
            if under or any(one.get(name) == key for name in by):
                self.store.remove(other.name, at)

    def _create(self, held: Collection, parent: str, body: Mapping[str, Any]) -> dict[str, Any]:
        given = value_at(body, held.id) if held.id else None
        own = str(given or f"{held.name[:3]}{self.store.number()}")
        key = f"{parent}/{own}" if parent else own
        if key in self.store[held.name]:
            refuse(409, "taken")
        under = {"under": parent} if parent else {}
        made = self._kept(held, key, {"id": own, "version": 1, **under, **body})
        self._made_at[key] = time.monotonic()
        return _shown(made)

    def _kept(self, held: Collection, key: str, document: dict[str, Any]) -> dict[str, Any]:
        for path in held.required:
            if value_at(document, path) in {None, ""}:
                refuse(422, "missing", path)
        for path, pattern in held.formats.items():
            if not re.fullmatch(pattern, str(value_at(document, path))):
                refuse(422, "malformed", path)
        for path, there in held.refers.items():
            named = value_at(document, path)
            if named is not None and named not in self.store[there]:
                refuse(422, "refers_to_nothing", path)
        for path in held.unique:
            value = value_at(document, path)
            for at, other in self.store[held.name].items():
                same = at != key and at.partition("/")[0] in {at, key.partition("/")[0]}
                if value is not None and same and value_at(other, path) == value:
                    refuse(409, "taken", path)
        self.store.put(held.name, key, document)
        return document

    def _restore(self, held: Collection, key: str) -> Reply:
        trash = f"deleted {held.name}"
        if not held.keeps_deleted or key not in self.store[trash]:
            refuse(404, "not_found")
        found = self.store[trash][key]
        self.store.remove(trash, key)
        return Reply(200, {"data": _shown(self._kept(held, key, found))})

    def _item(self, held: Collection, parent: str, one: Mapping[str, Any]) -> dict[str, Any]:
        """One object of a batch: made, or changed where it says its id."""
        try:
            if "id" not in one:
                return {"status": 201, "item": self._create(held, parent, one)}
            found = self._there(held, str(one["id"]))
            merged = _merged(found, one) | {"version": found["version"] + 1}
            return {"status": 200, "item": _shown(self._kept(held, str(one["id"]), merged))}
        except RefusalError as refusal:
            return {"status": refusal.reply.status, **refusal.reply.body}

    def _there(self, held: Collection, key: str) -> dict[str, Any]:
        young = time.monotonic() - self._made_at.get(key, 0.0)
        found = self.store[held.name].get(key)
        if found is None or young < self.faults.incomplete_creation_seconds:
            refuse(404, "not_found")
        return dict(found)

    # ------------------------------------------------------------ lists

    def _list(self, held: Collection, parent: str, request: Request) -> Reply:
        asked = dict(request.params)
        table = f"deleted {held.name}" if asked.pop("deleted", "") == "true" else held.name
        lag = 0.0 if set(asked) - {*PAGES} else self.faults.read_lag_seconds
        rows = [
            _shown(one)
            for key, one in self.store.seen(table, lag).items()
            if not parent or key.startswith(f"{parent}/")
        ]
        for path, value in asked.items():
            if path not in PAGES:
                rows = [one for one in rows if str(value_at(one, path)) == value]
        size = min(int(asked.get("limit", held.most)), held.most)
        at = int(asked.get("offset") or asked.get("cursor") or 0)
        if held.paging == "page":
            at = (int(asked.get("page", 1)) - 1) * size
        if held.paging == "none":
            at, size = 0, len(rows)
        if at and self.faults.spends("expired_pages"):
            refuse(410, "expired")
        page, more = rows[at : at + size], at + size < len(rows)
        body: dict[str, Any] = {"data": page, "meta": {"total": len(rows)}}
        following = f"{self.origin}{request.path}?{urlencode({**asked, 'offset': at + size})}"
        headers = {}
        match held.paging:
            case "cursor":
                body["meta"]["next"] = str(at + size) if more else None
            case "next":
                body["next"] = following if more else None
            case "link" if more:
                headers["Link"] = f'<{following}>; rel="next"'
        return Reply(200, body, headers)


def value_at(document: Any, path: str) -> Any:
    """What stands at `name.given`; written here again, so that a fault in ours shows."""
    for name in path.split("."):
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


PAGES = ("limit", "offset", "cursor", "page")


def refuse(status: int, code: str, path: str = "") -> Any:
    raise RefusalError(Reply(status, {"error": {"code": code, "field": path}}))


def _shown(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name != "password"}


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """JSON merge patch (RFC 7396)."""
    merged = dict(under)
    for name, value in over.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, Mapping):
            merged[name] = _merged(merged.get(name) or {}, value)
        else:
            merged[name] = value
    return merged


@dataclass(frozen=True)
class Running:
    """The API as a test sees it."""

    api: JsonApi
    url: str
    requests: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a settings file may name as `$URL` and so on."""
        return {"URL": self.url, "CLIENT": CLIENT, "SECRET": SECRET}

    def set_faults(self, **switches: Any) -> None:
        self.api.faults.set(switches)

    def sent(self) -> int:
        """How much the API was asked so far."""
        return self.requests.read_bytes().count(b"\n")

    def written(self, since: int) -> list[tuple[str, bool, dict[str, Any]]]:
        """(collection, whether it is new, object) of what it was asked to write since then; of what
        is not new the object has its id alone.
        """
        found = []
        for line in self.requests.read_text("utf-8").splitlines()[since:]:
            said = json.loads(line)
            path = said["url"].partition("?")[0].removeprefix(f"{HOST}/v1/")
            parts = [unquote(part) for part in path.split("/")]
            below = len(parts) > 2 and parts[2] in self.api.collections
            if said["method"] == "GET" or parts[0] not in self.api.collections or below:
                continue
            new = len(parts) == 1
            found.append((parts[0], new, said["body"] if new else {"id": parts[1]}))
        return found

    def forget_sign_ins(self) -> None:
        """Every token given so far is worth nothing."""
        self.api.tokens.clear()

    def rows(self, collection: str) -> list[dict[str, Any]]:
        """What the API itself holds."""
        return list(self.api.store[collection].values())


@contextmanager
def running(folder: Path, collections: Mapping[str, Mapping[str, Any]]) -> Iterator[Running]:
    """Serve empty collections; state and requests in `folder`."""
    declared = {
        name: Collection(
            name, **{key: tuple(v) if isinstance(v, list) else v for key, v in said.items()}
        )
        for name, said in collections.items()
    }
    tables = ("counters", *declared, *(f"deleted {name}" for name in declared))
    log = RequestLog(folder / "requests.jsonl")
    api = JsonApi(Store(folder / "json.json", tables), log, Faults(), declared)
    with serving(api.respond, lambda: api.faults.latency_seconds) as api.origin:
        yield Running(api, api.origin, folder / "requests.jsonl")
    log.close()


@contextmanager
def serving(respond: Respond, latency: Callable[[], float] = lambda: 0.0) -> Iterator[str]:
    """Answer by a function, on a free port of this machine; the address."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="json-api", daemon=True)
    thread.start()

    def wait(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(60)

    listener = wait(Listener.open(respond, latency))
    try:
        yield f"http://127.0.0.1:{listener.port}"
    finally:
        wait(listener.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
