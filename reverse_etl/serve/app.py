"""The service of OneRoster 1.1 and 1.2, to read from (1EdTech, OneRoster 1.1 sections 3 and 4;
OneRoster 1.2 Rostering Service).

In: the settings, the served copy, the calls of others. Out: lists, records, tokens (OAuth 2 client
credentials, RFC 6749 section 4.4); what cannot be answered is the standard's status payload. A
token reads one night: pages of two nights never mix. Logged are list, status, count and client,
and nothing of anybody.

Each handler is a plain function, which Starlette runs in a thread of its own.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from common.log import event
from reverse_etl.serve import query, rosters
from reverse_etl.serve.copy import SERVED
from reverse_etl.serve.settings import Service

TOKEN = "/oauth/token"  # noqa: S105 - an address
CORE, ALL = "roster-core.readonly", "roster.readonly"
SCOPE = "https://purl.imsglobal.org/spec/or/v1p{minor}/scope/{name}"
MINOR = {"oneroster11": "1", "oneroster12": "2"}
LISTS = (*rosters.TABLES, *rosters.PARTS)
LONGEST_FORM = 10_000
WRONG_SIGN_INS, WITHIN_SECONDS = 20, 60  # then whoever tries from there waits
# the standard's words, by what they come to
CODES = {
    "invaliddata": 400,
    "invalid_filter_field": 400,
    "invalid_selection_field": 400,
    "unauthorisedrequest": 401,
    "forbidden": 403,
    "unknownobject": 404,
    "unsupported": 405,
    "server_busy": 503,
    "internal_server_error": 500,
}
# 1.1 writes some of them in words (OneRoster 1.1, table 3.3)
IN_WORDS = {
    "invaliddata": "invalid data",
    "unauthorisedrequest": "unauthorized",
    "unknownobject": "unknown object",
}


class RefusedError(Exception):
    """A call that is not answered with records: the standard's word, and a sentence."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True)
class Token:
    """Who reads, what they may, until when, and of which night."""

    client: str
    scopes: frozenset[str]
    until: float
    night: Mapping[str, rosters.Rosters]


@dataclass
class Nights:
    """The newest night's lists; read again when the copy was replaced."""

    path: Path
    _made: tuple[int, int] = (0, 0)
    _held: Mapping[str, rosters.Rosters] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.Lock)

    def newest(self) -> Mapping[str, rosters.Rosters]:
        with self._lock:
            try:
                found = self.path.stat()
            except OSError:
                self._made, self._held = (0, 0), {}
                return self._held
            made = (found.st_ino, found.st_mtime_ns)
            if made != self._made:
                self._held, self._made = rosters.load(self.path), made
            return self._held


class Provider:
    """The service."""

    def __init__(self, said: Service, path: Path) -> None:
        self._said, self._nights = said, Nights(path)
        self._tokens: dict[str, Token] = {}
        self._wrong: dict[str, deque[float]] = defaultdict(deque)
        self._lock = threading.Lock()

    def app(self) -> Starlette:
        """It, for a server."""
        routes = [Route(TOKEN, self._token, methods=["POST"])]
        paths = ("", "/{key}", "/{key}/{wanted}", "/{key}/classes/{class_key}/{wanted}")
        routes += [
            Route(f"{base}/{{name}}{path}", self._answering(version), methods=["GET"])
            for version, base in SERVED.items()
            for path in paths
        ]
        return Starlette(
            routes=routes, exception_handlers={HTTPException: _refused, Exception: _failed}
        )

    # ------------------------------------------------------------ signing in

    async def _token(self, request: Request) -> Response:
        body = dict(parse_qsl(await _body(request)))
        where = request.client.host if request.client else ""
        name, secret = _credentials(request, body)
        if self._tries(where) >= WRONG_SIGN_INS:
            event("sign_in_refused", status=429)
            return _json({"error": "slow_down"}, 429, {"Retry-After": str(WITHIN_SECONDS)})
        client = self._said.clients.get(name)
        right = (client.secret if client else secrets.token_hex()).encode()
        # compared also where there is no such client: the time it takes tells nothing
        if not hmac.compare_digest(right, secret.encode()) or client is None:
            with self._lock:
                self._wrong[where].append(time.monotonic())
            event("sign_in_refused", status=401)
            return _json(
                {"error": "invalid_client"}, 401, {"WWW-Authenticate": 'Basic realm="oneroster"'}
            )
        if body.get("grant_type") != "client_credentials":
            return _json({"error": "unsupported_grant_type"}, 400)
        may = {
            SCOPE.format(minor=minor, name=one)
            for minor in MINOR.values()
            for one in (*client.scopes, *([CORE] * (ALL in client.scopes)))
        }
        granted = may & {*body["scope"].split()} if body.get("scope", "").strip() else may
        if not granted:
            return _json({"error": "invalid_scope"}, 400)
        made = secrets.token_urlsafe(32)
        token = Token(
            name,
            frozenset(granted),
            time.time() + self._said.token_seconds,
            await run_in_threadpool(self._nights.newest),
        )
        with self._lock:
            self._tokens = {k: t for k, t in self._tokens.items() if t.until > time.time()}
            self._tokens[_hash(made)] = token
        event("signed_in", client=name, status=200)
        return _json(
            {
                "access_token": made,
                "token_type": "Bearer",
                "expires_in": self._said.token_seconds,
                "scope": " ".join(sorted(granted)),
            }
        )

    def _tries(self, where: str) -> int:
        with self._lock:
            past = self._wrong[where]
            while past and past[0] < time.monotonic() - WITHIN_SECONDS:
                past.popleft()
            if not past:
                del self._wrong[where]
            return len(past)

    def _signed_in(self, request: Request) -> Token:
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        token = self._tokens.get(_hash(given.strip())) if kind.lower() == "bearer" else None
        if token is None or token.until <= time.time():
            raise RefusedError("unauthorisedrequest", f"sign in at {TOKEN}")
        return token

    # ------------------------------------------------------------ reading

    def _answering(self, version: str) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            try:
                return self._read(version, request)
            except (RefusedError, query.QueryError) as error:
                event("not_served", version=version, status=CODES[error.code])
                return _status(version, error.code, str(error))

        return answer

    def _read(self, version: str, request: Request) -> Response:
        token, path = self._signed_in(request), request.path_params
        name, key, wanted = path["name"], path.get("key"), path.get("wanted")
        _may(token, version, everything=wanted is not None)
        if name not in LISTS:
            raise RefusedError("unknownobject", "there is no such list")
        if version not in token.night:
            raise RefusedError("server_busy", "nothing was delivered yet; sign in again later")
        night, base = token.night[version], self._base(version, request)
        if key is None:
            return self._list(night, name, night.listed(name), request, base, token)
        row = night.one(name, key)
        if row is None:
            raise RefusedError("unknownobject", "there is no such record")
        if wanted is None:
            asked = query.read(dict(request.query_params), rosters.known(version, name), 1 << 30)
            record = asked.shown(night.record(name, row, base))
            event("served", version=version, list=name, client=token.client, count=1)
            return _json({rosters.ONE[name]: record, **_warned(version, asked)})
        rows = night.of(name, key, wanted)
        if inner := path.get("class_key"):
            of_class = night.one("classes", inner)
            if name != "schools" or of_class is None or of_class["schoolSourcedId"] != key:
                raise RefusedError("unknownobject", "there is no such class")
            rows = night.of("classes", inner, wanted)
        if rows is None:
            raise RefusedError("unknownobject", "it has no such list")
        return self._list(night, wanted, rows, request, base, token)

    def _list(  # noqa: PLR0917
        self,
        night: rosters.Rosters,
        name: str,
        rows: list[dict[str, Any]],
        request: Request,
        base: str,
        token: Token,
    ) -> Response:
        fields = rosters.known(night.version, name)
        asked = query.read(dict(request.query_params), fields, self._said.largest_page)
        of = rosters.whole(name)
        if asked.filter or asked.sort != "sourcedId" or asked.descending:
            found = asked.chosen([night.record(name, row, base) for row in rows])
            page = found[asked.offset : asked.offset + asked.limit]
        else:  # rows stand in the order of their ids
            found = rows
            page = [
                night.record(name, row, base)
                for row in rows[asked.offset : asked.offset + asked.limit]
            ]
        event("served", version=night.version, list=name, client=token.client, count=len(page))
        there = f"{self._origin(request)}{request.url.path}"
        given = {k: v for k, v in request.query_params.items() if k not in {"limit", "offset"}}
        headers = {"X-Total-Count": str(len(found))}
        if links := _links(there, given, asked, len(found)):
            headers["Link"] = links
        shown = [asked.shown(one) for one in page]
        return _json({of: shown, **_warned(night.version, asked)}, headers=headers)

    def _origin(self, request: Request) -> str:
        return self._said.public_address or f"{request.url.scheme}://{request.url.netloc}"

    def _base(self, version: str, request: Request) -> str:
        return self._origin(request) + SERVED[version]


async def _body(request: Request) -> str:
    """A form, as far as any that signs in is long."""
    found = b""
    async for part in request.stream():
        found += part
        if len(found) > LONGEST_FORM:
            return ""
    return found.decode("utf-8", "replace")


def _credentials(request: Request, body: Mapping[str, str]) -> tuple[str, str]:
    """Name and secret, from the header or the body (RFC 6749, section 2.3.1)."""
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            name, _, secret = base64.b64decode(given, validate=True).decode().partition(":")
        except ValueError:
            return "", ""
        return unquote_plus(name), unquote_plus(secret)
    return body.get("client_id", ""), body.get("client_secret", "")


def _may(token: Token, version: str, *, everything: bool) -> None:
    wanted = [ALL] if everything else [CORE, ALL]
    if not token.scopes & {SCOPE.format(minor=MINOR[version], name=one) for one in wanted}:
        raise RefusedError("forbidden", f"it wants the scope {wanted[-1]}")


def _links(there: str, given: Mapping[str, str], asked: query.Query, total: int) -> str:
    """The pages beside this one (RFC 8288)."""
    limit, last = asked.limit, max(total - 1, 0) // asked.limit * asked.limit
    pages = {
        "first": 0,
        "prev": max(asked.offset - limit, 0) if asked.offset else None,
        "next": asked.offset + limit if asked.offset + limit < total else None,
        "last": last,
    }
    return ", ".join(
        f"<{there}?{urlencode({**given, 'limit': limit, 'offset': at})}>; rel=" + json.dumps(rel)
        for rel, at in pages.items()
        if at is not None
    )


def _warned(version: str, asked: query.Query) -> dict[str, Any]:
    """1.1 gives warnings beside the records; the payload of 1.2 has no place for them."""
    if version != "oneroster11" or not asked.warnings:
        return {}
    return {"statusInfoSet": [_info(code, what, "warning") for code, what in asked.warnings]}


def _info(code: str, sentence: str, severity: str) -> dict[str, Any]:
    return {
        "imsx_codeMajor": "failure" if severity == "error" else "success",
        "imsx_severity": severity,
        "imsx_operationRefIdentifier": secrets.token_hex(8),
        "imsx_description": sentence,
        "imsx_codeMinor": IN_WORDS.get(code, code),
    }


def _status(version: str, code: str, sentence: str) -> Response:
    """The standard's status payload."""
    headers = {"WWW-Authenticate": "Bearer"} if code == "unauthorisedrequest" else {}
    if version == "oneroster11":
        return _json({"statusInfoSet": [_info(code, sentence, "error")]}, CODES[code], headers)
    fields = [{"imsx_codeMinorFieldName": "TargetEndSystem", "imsx_codeMinorFieldValue": code}]
    made = {
        "imsx_codeMajor": "failure",
        "imsx_severity": "error",
        "imsx_description": sentence,
        "imsx_CodeMinor": {"imsx_codeMinorField": fields},
    }
    return _json(made, CODES[code], headers)


def _version(request: Request) -> str:
    path = request.url.path
    return next((one for one, base in SERVED.items() if path.startswith(base)), "oneroster12")


def _refused(request: Request, error: Exception) -> Response:
    """A path nobody serves, or a verb other than to read."""
    is_verb = getattr(error, "status_code", 404) == CODES["unsupported"]
    code = "unsupported" if is_verb else "unknownobject"
    sentence = "it can only be read" if is_verb else "there is no such address"
    return _status(_version(request), code, sentence)


def _failed(request: Request, error: Exception) -> Response:
    event("not_served", status=500, error=type(error).__name__)
    return _status(_version(request), "internal_server_error", "it could not be read; try again")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _json(
    made: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    text = json.dumps(made, ensure_ascii=False, separators=(",", ":"))
    return Response(
        text, status, {"Cache-Control": "no-store", **(headers or {})}, "application/json"
    )
