"""Calls: a part of `[[schedules]]` with `on_call` begins when somebody calls, by a webhook that is
signed (Standard Webhooks). A watch listens, on this machine only; whoever calls from elsewhere
comes through a proxy that speaks TLS.

In: `[calls]`; `POST /runs/<part>` with `webhook-id`, `webhook-timestamp`, `webhook-signature`. Out:
the parts that were called for. A call counts once, and for minutes: one that is sent again is
answered and begins nothing. What stands in a call is read by nobody, and an answer tells nothing of
us. There is no thread: a watch makes copies of itself, and a copy of a thread is none.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer

from common import log, settings
from common.signed import is_signed
from operations.configured import Called

HERE = "127.0.0.1"
LASTS = 300  # seconds a call counts before and after its own time
LONGEST = 65_536  # bytes of a call
DIGITS = 12  # of a time in seconds, at most
PATIENCE = 5.0  # seconds for a caller to say what it has to say


class Calls:
    """What listens, and what was called for. Made without a port; `listen` takes it."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.wanted: set[str] = set()
        self._clock = clock
        self._server: HTTPServer | None = None
        self._seen: dict[
            tuple[str, str], float
        ] = {}  # (part, id of a call) -> until when it counts

    @property
    def port(self) -> int:
        """Where it listens; 0 for nowhere."""
        return self._server.server_port if self._server else 0

    def listen(self, port: int) -> None:
        """Raises OSError where the port is taken."""
        calls = self

        class Handler(BaseHTTPRequestHandler):
            timeout = PATIENCE

            def do_POST(self) -> None:
                length = self.headers.get("Content-Length", "")
                if not (length.isascii() and length.isdigit()):
                    self._say(411)
                elif int(length) > LONGEST:
                    self._say(413)
                else:
                    body = self.rfile.read(int(length))
                    self._say(calls.called(self.path, dict(self.headers.items()), body))

            def do_GET(self) -> None:
                self._say(405)

            do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET

            def _say(self, status: int) -> None:
                self.send_response_only(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing: what was called for is an event."""

        self._server = HTTPServer((HERE, port), Handler)
        LISTENING.append(self._server.socket)

    def close(self) -> None:
        """Take no more."""
        if self._server:
            LISTENING.remove(self._server.socket)
            self._server.server_close()
            self._server = None

    def wait(self, seconds: float) -> None:
        """Wait, and answer who calls meanwhile."""
        if self._server is None:
            time.sleep(seconds)
            return
        if select.select([self._server.socket], [], [], seconds)[0]:
            self._server.handle_request()

    def called(self, path: str, headers: Mapping[str, str], body: bytes) -> int:
        """What becomes of a call, as the status of its answer."""
        given = {name.lower(): value for name, value in headers.items()}
        part = path.removeprefix("/runs/")
        call_id, at = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
        if not call_id or not (at.isascii() and at.isdigit() and len(at) <= DIGITS):
            return 400
        now = self._clock()
        try:
            secret = secrets().get(part, "") if path.startswith("/runs/") else ""
            text = body.decode()
        except (settings.SettingsError, UnicodeDecodeError):
            return 400
        signatures = given.get("webhook-signature", "")
        if not secret or not is_signed(secret, call_id, int(at), text, signatures):
            return 401
        if abs(now - int(at)) > LASTS:
            return 401
        self._seen = {one: until for one, until in self._seen.items() if until > now}
        if (part, call_id) in self._seen:
            return 200  # a lost answer makes it come again
        self._seen[part, call_id] = now + 2 * LASTS
        self.wanted.add(part)
        log.event("part_called", part=part)
        return 202


LISTENING: list[socket.socket] = []  # what a copy of this process has to let go of


def let_go() -> None:
    """In a copy of a watch: it takes no calls."""
    for one in LISTENING:
        one.close()
    LISTENING.clear()


def secrets() -> dict[str, str]:
    """Part -> what its calls are signed with."""
    return {name: one.secret for name, one in settings.read(Called, "calls").parts.items()}
