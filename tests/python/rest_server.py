"""A real paged REST server on a free port, for tests: five ways of paging, three of signing in, and
what goes wrong.

`with running(rows) as api:` -> `api.url`; `api.faults` is what the next requests meet, in turn:
429, 500, "drop" (the connection ends in the middle of the body), "expire" (every token given so far
is void), "late" (still answers 503 after all attempts), or None. With `api.lists` it is the
rostering service of OneRoster 1.2. Every answered page is counted in `api.served`, every request's
path in `api.asked`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

BEARER, KEY, CLIENT, SECRET = "bearer-canary-1", "key-canary-2", "homeroom", "secret-canary-3"


@dataclass
class Api:
    """What the server holds and what it has seen."""

    rows: list[dict[str, Any]]
    page: int = 3
    url: str = ""
    faults: list[Any] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    served: int = 0
    tokens: dict[str, bool] = field(default_factory=dict)
    throttled_at: float = 0.0
    early: int = 0  # requests that came before Retry-After was over
    next_host: str = ""
    retry_after: int = 1
    silent: bool = False  # nothing in its answers says how many there are
    ignores: frozenset[str] = frozenset()  # parameters it does not know
    lists: dict[str, list[dict[str, Any]]] = field(
        default_factory=dict
    )  # OneRoster: what each list holds

    def token(self) -> str:
        made = f"token-canary-{len(self.tokens)}"
        self.tokens[made] = True
        return made


@contextmanager
def running(rows: list[dict[str, Any]], page: int = 3) -> Iterator[Api]:
    """Serve `rows` at /link, /header, /offset, /page, /cursor and /one; behind a bearer token, a
    key or OAuth2 under /bearer/…, /key/…, /oauth/…
    """
    api = Api(rows, page)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Nothing: the test asks `api`."""

        def do_POST(self) -> None:
            given = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            good = given.get("client_id") == [CLIENT] and given.get("client_secret") == [SECRET]
            self._answer(
                200 if good else 401,
                (
                    {"access_token": api.token(), "expires_in": 3600}
                    if good
                    else {"error": "invalid_client"}
                ),
            )

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            path, query = (
                parts.path.strip("/").split("/"),
                {
                    key: values[0]
                    for key, values in parse_qs(parts.query).items()
                    if key not in api.ignores
                },
            )
            api.asked.append(self.path)
            if time.monotonic() < api.throttled_at:
                api.early += 1
            fault = api.faults.pop(0) if api.faults else None
            if fault == 429:
                api.throttled_at = time.monotonic() + api.retry_after * 0.9
                return self._answer(429, {}, {"Retry-After": str(api.retry_after)})
            if isinstance(fault, int):
                return self._answer(fault, {"error": "sorry"})
            if fault == "expire":
                api.tokens = dict.fromkeys(api.tokens, False)
            if fault == "page":
                return self._answer(200, "<html><input type='password'></html>", is_page=True)
            if path[0] in {"bearer", "key", "oauth"} and not self._may(path.pop(0), query):
                return self._answer(401, {"error": "who are you?"})
            if api.lists:
                return self._list(path[-1], query, fault)
            return self._page(path[0], query, fault)

        def _list(self, name: str, query: dict[str, str], fault: Any) -> None:
            """A list of the OneRoster rostering service: limit, offset, sort, and a filter by
            dateLastModified.
            """
            if name not in api.lists:
                return self._answer(404, {"imsx_codeMajor": "failure"})
            since = (
                query.get("filter", "dateLastModified>=''")
                .removeprefix("dateLastModified>='")
                .removesuffix("'")
            )
            rows = sorted(
                (row for row in api.lists[name] if row["dateLastModified"] >= since),
                key=lambda row: row[query.get("sort", "sourcedId")],
            )
            start = int(query.get("offset", 0))
            found = rows[start : start + min(int(query.get("limit", 100)), api.page)]
            api.served += 1
            told = {} if api.silent else {"X-Total-Count": str(len(rows))}
            return self._answer(200, {name: found}, told, cut=fault == "drop")

        def _may(self, how: str, query: dict[str, str]) -> bool:
            signed = self.headers.get("Authorization", "").removeprefix("Bearer ")
            if how == "key":
                return KEY in (self.headers.get("X-API-Key"), query.get("api_key"))
            return signed == BEARER if how == "bearer" else api.tokens.get(signed, False)

        def _page(self, how: str, query: dict[str, str], fault: Any) -> None:
            rows = [
                row
                for row in api.rows
                if "since" not in query or row.get("changed", "9") >= query["since"]
            ]
            limit = min(int(query.get("limit", api.page)), api.page)
            start = (
                int(query.get("offset", (int(query.get("page", 1)) - 1) * api.page))
                if how != "cursor"
                else int(query.get("after", 0))
            )
            found = rows[start : start + limit] if how != "one" else rows
            more = start + limit < len(rows) and how != "one"
            prefix = urlsplit(self.path).path
            following = f"{api.next_host or api.url}{prefix}?{urlencode({**query, 'offset': start + limit})}"  # noqa: E501
            body: Any = {"data": {"items": found}}
            if not api.silent:
                body["total"] = len(rows)
            headers = {}
            if how == "link":
                body["next"] = following if more else None
            elif how == "header":
                body, headers = found, {"Link": f'<{following}>; rel="next"'} if more else {}
            elif how == "cursor":
                body["after"] = str(start + limit) if more else None
            if fault == "no rows":
                body = {"message": "try again later"}
            if fault == "circle":
                body["next"] = f"{api.url}{self.path}"
            api.served += 1
            self._answer(200, body, headers, cut=fault == "drop")

        def _answer(
            self,
            status: int,
            body: Any,
            headers: dict[str, str] | None = None,
            cut: bool = False,
            is_page: bool = False,
        ) -> None:
            content = str(body).encode() if is_page else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(content)),
                **(headers or {}),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if cut else content)
            if cut:
                self.wfile.flush()
                self.close_connection = True
                self.connection.close()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    api.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
    )
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
