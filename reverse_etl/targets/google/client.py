"""The wire to Google's Directory API and Classroom: one API object for all threads, one connection
per thread, one token for all.

In: a `Route` whose call is a method of the API. Out: a `Reply`, whatever happened: nothing Google
or the network does is raised; what it means says `verdict`.

Google's own client is built from the API description shipped with it, with `rootUrl` changed:
`api_endpoint` would leave some calls on production. httplib2 is not thread-safe, so every thread
has its own connection
(https://googleapis.github.io/google-api-python-client/docs/thread_safety.html). The client retries
nothing, because the engine journals every attempt; httplib2 by itself would send a request a second
time when a kept connection turns out dead, and a write is never repeated with its body behind the
engine's back (`_WritesOnce`).

Refuses: settings without credentials or subject (`TargetUnreadableError`).
"""

from __future__ import annotations

import errno
import http.client
import itertools
import json
import logging
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import google.auth.exceptions
import google_auth_httplib2
import googleapiclient
import httplib2
from google.auth.credentials import TokenState
from google.oauth2 import service_account
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError

from common.addresses import READS, in_the_clear
from common.clock import Clock
from common.problems import Reason
from reverse_etl.pacing import Bucket
from reverse_etl.targets.entity import Route
from reverse_etl.targets.google.permissions import scopes_of
from reverse_etl.targets.google.settings import Settings
from reverse_etl.targets.reading import TargetUnreadableError
from reverse_etl.targets.replies import (
    Call,
    Reply,
    Verdict,
    json_of,
    ordinary,
    refusal_of,
    refusals,
    seconds,
    sign_in_refused,
    word,
)

DESCRIPTIONS = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
DESCRIPTION = DESCRIPTIONS / "admin.directory_v1.json"
CLASSROOM = DESCRIPTIONS / "classroom.v1.json"
LICENSING = DESCRIPTIONS / "licensing.v1.json"
GROUP_SETTINGS = DESCRIPTIONS / "groupssettings.v1.json"
# calls a second, https://developers.google.com/workspace/admin/licensing/v1/limits
LICENSING_RATE = 1.0
# calls a second for one delegated user, https://developers.google.com/workspace/classroom/reference/limits
CLASSROOM_RATE = 20.0

logging.getLogger("googleapiclient.http").setLevel(
    logging.ERROR
)  # its warnings quote replies, and replies name people

NO_REASON = Reason("")
SIGN_IN_REFUSALS, API_REFUSALS = (refusals("google", asked) for asked in ("sign_in", "api"))

# ---------------------------------------------------------------- what Google answers

RATE = frozenset(
    {
        "userRateLimitExceeded",
        "rateLimitExceeded",
        "quotaExceeded",
        "dailyLimitExceeded",
        "sharingRateLimitExceeded",
        "RESOURCE_EXHAUSTED",
    }
)


def verdict(call: Call, reply: Reply) -> Verdict:
    """What a reply of the Directory API means
    (https://developers.google.com/workspace/admin/directory/v1/limits for 403).
    """
    code, reason = reply.code, reply.reason
    if code == 403 and reason in RATE:
        return Verdict("retry", "throttled")
    if code == 409:
        aborted = reason in {"ABORTED", "aborted"}
        return Verdict("retry", "conflict") if aborted else Verdict("look", "duplicate")
    if code == 412:
        # Of all preconditions only this one passes by itself; Google tells apart by text alone.
        if "creation is not complete" in reply.message:
            return Verdict("retry", "not_ready")
        return Verdict("failed", reason or "precondition")
    if code == 400 and not call.repeatable and "Invalid Ou Id" in reply.message:
        # what Google answers for a unit that exists, as well as for a name it does not take
        return Verdict("look", "invalid")
    outside = call.young and re.search(r"\bOU\b|INVALID_OU|org ?unit", reply.message, re.IGNORECASE)
    if code == 400 and outside:
        return Verdict("retry", "not_ready")  # the unit was made minutes ago
    return ordinary(call, reply, reason or "invalid")


def reply_of(code: int, content: bytes | str, headers: Mapping[str, str]) -> Reply:
    """Read an error of the Directory API, old style (errors[].reason) or new (status)."""
    error = json_of(content).get("error")
    error = error if isinstance(error, Mapping) else {}
    first = next(iter(error.get("errors") or []), {})
    reason = word(first.get("reason") or error.get("status") or "")
    message = str(error.get("message", ""))
    return Reply(
        code,
        {},
        reason,
        message,
        seconds(headers.get("retry-after")),
        headers.get("x-request-id"),
        refusal=refusal_of(API_REFUSALS, code, reason, message),
    )


# ---------------------------------------------------------------- the wire


class Client:
    """One domain, seen as its admin `subject`. Made without a call; the first request opens it."""

    verdict = staticmethod(verdict)

    def __init__(self, name: str, settings: Settings) -> None:
        self._name, self._settings = name, settings
        self._lock = threading.Lock()
        self._local = threading.local()
        self._connections: list[Any] = []
        self._opened: tuple[SimpleNamespace, tuple[Any, ...]] | None = None
        self._turns = itertools.count()  # whose turn it is when a thread first asks
        # quotas of their own: half the Directory's for each admin, and one call a second
        classroom = Bucket(CLASSROOM_RATE * len(settings.everybody))
        self._slow = {"classroom": classroom, "licensing": Bucket(LICENSING_RATE)}
        self.clock = Clock()

    @property
    def api(self) -> SimpleNamespace:
        """What requests are built from; shared by all threads, each executes on its own
        connection.
        """
        return self._open()[0]

    @property
    def identity(self) -> str:
        """As whom it signs in."""
        return " and ".join(self._settings.everybody)

    @property
    def acting(self) -> str:
        """The admin this thread acts for: several share the work, each with a quota of its own."""
        if not hasattr(self._local, "turn"):
            self._local.turn = next(self._turns)
        return self._settings.everybody[self._local.turn % len(self._settings.everybody)]

    def each(self) -> Iterator[str]:
        """This thread as each admin in turn."""
        for turn, subject in enumerate(self._settings.everybody):
            self._local.turn, self._local.connection = turn, None
            yield subject

    def request(self, route: Route) -> Any:
        """The request of a route, whose call is a method of the API: `users.insert`."""
        body = {} if route.body is None else {"body": route.body}
        return self._method(route.call)(**route.query, **body)

    def following(self, route: Route, request: Any, reply: Reply) -> Any | None:
        """The request for the next page, where the list has pages."""
        next_page = self._method(f"{route.call}_next")
        return next_page(request, reply.body) if next_page else None

    def _method(self, call: str) -> Any:
        resource, _, method = call.partition(".")
        return getattr(getattr(self.api, resource), method, None)

    def send(self, requests: Sequence[Any]) -> list[Reply]:
        """Each by itself: a batch would go to production whatever the address."""
        return [self.ask(request) for request in requests]

    def ask(self, request: Any) -> Reply:
        """Send one request once."""
        headers: dict[str, str] = {}
        request.add_response_callback(headers.update)
        if slow := self._slow.get(request.methodId.partition(".")[0]):
            slow.take()
        try:
            body = request.execute(http=self._connection(), num_retries=0)
            self.clock.told(headers.get("date"))
            return Reply(
                200,
                body if isinstance(body, Mapping) else {},
                request_id=headers.get("x-request-id"),
            )
        except HttpError as error:
            return reply_of(error.resp.status, error.content, error.resp)
        except google.auth.exceptions.TransportError:
            return Reply(None, {}, "no_token", sent=False)
        except google.auth.exceptions.GoogleAuthError as error:
            return Reply(
                None,
                {},
                "no_token" if error.retryable else "unauthorized",
                sent=False,
                refusal=self._refused(error),
            )
        except (ConnectionRefusedError, httplib2.ServerNotFoundError):
            self._disconnect()
            return Reply(None, {}, "unreachable", sent=False)
        except (OSError, httplib2.HttpLib2Error, http.client.HTTPException, RecursionError):
            self._disconnect()  # a late answer must not be taken for that of the next call
            return Reply(None, {}, "no_reply")

    def _refused(self, error: google.auth.exceptions.GoogleAuthError) -> Reason | None:
        """Why the sign-in was refused, by the answer google-auth hands on with its error."""
        said = next((one for one in error.args if isinstance(one, Mapping)), {})
        code, why = str(said.get("error", "")), str(said.get("error_description", ""))
        return sign_in_refused(SIGN_IN_REFUSALS, self.clock, code, why)

    def refused_scopes(self) -> tuple[str, list[str]]:
        """The service account's client id, and of the scopes it asks for those nobody has listed
        for it, each tried by itself: one that is not listed refuses all.
        """
        try:
            self._connection()
            return "", []
        except google.auth.exceptions.GoogleAuthError as error:
            if (self._refused(error) or NO_REASON).code != "refused_scopes":
                return "", []
        except (OSError, httplib2.HttpLib2Error, http.client.HTTPException):
            return "", []
        refused = []
        transport = self._asked_for_token(self._local.connection.http)
        for scope in scopes_of(self._settings):
            try:
                self._open()[1][0].with_scopes([scope]).refresh(transport)
            except google.auth.exceptions.GoogleAuthError:
                refused.append(scope)
        key = json.loads(Path(self._settings.credentials).read_text(encoding="utf-8"))
        number = str(key.get("client_id", ""))
        return number if number.isdigit() else "of that key", refused

    def _asked_for_token(self, connection: Any) -> Callable[..., Any]:
        """google-auth's transport; the answer's `Date` is what our clock is compared with."""
        plain = google_auth_httplib2.Request(connection)

        def ask(*given: Any, **named: Any) -> Any:
            answer = plain(*given, **named)
            self.clock.told(answer.headers.get("date"))
            return answer

        return ask

    def close(self) -> None:
        """Close every thread's connection."""
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()
            self._local = threading.local()

    def _connection(self) -> Any:
        """This thread's own connection, with a token that is good for this call."""
        connection = getattr(self._local, "connection", None)
        whose = self._settings.everybody.index(self.acting)
        credentials = self._open()[1][whose]
        if connection is None:
            plain = _WritesOnce(
                timeout=self._settings.timeout, ca_certs=self._settings.ca_file or None
            )
            plain.follow_redirects = False  # it would go to another host too
            connection = self._local.connection = google_auth_httplib2.AuthorizedHttp(
                credentials, http=plain
            )
            with self._lock:
                self._connections.append(connection)
        if credentials.token_state is not TokenState.FRESH:
            with self._lock:  # one thread asks for the token, the others wait for it
                if credentials.token_state is not TokenState.FRESH:
                    credentials.refresh(self._asked_for_token(connection.http))
        return connection

    def _disconnect(self) -> None:
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()

    def _open(self) -> tuple[SimpleNamespace, Any]:
        if self._opened is None:
            with self._lock:
                if self._opened is None:
                    self._opened = (
                        _build(self._settings),
                        _credentials(self._name, self._settings),
                    )
        return self._opened


class _WritesOnce(httplib2.Http):
    """httplib2, but what it does about a connection that dies: a read may be sent again, a write is
    for the engine to look up. A kept connection the server has closed meanwhile is left before
    anything is sent.
    """

    def _conn_request(
        self, conn: Any, request_uri: str, method: str, body: Any, headers: Any
    ) -> Any:
        if method.upper() not in READS:
            if conn.sock is not None and _is_closed(conn.sock):
                conn.close()
            conn = _Once(conn)
        return super()._conn_request(conn, request_uri, method, body, headers)


class _Once:
    """A connection that sends one request and no second one."""

    def __init__(self, connection: Any) -> None:
        self._connection, self._sent = connection, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def request(self, *given: Any) -> None:
        if self._sent:
            raise ConnectionResetError(errno.ECONNRESET, "no reply to a write")
        self._sent = True
        self._connection.request(*given)


def _is_closed(connection: socket.socket) -> bool:
    """Whether the other side has said goodbye: an end, or an alert of TLS."""
    with socket.socket(fileno=os.dup(connection.fileno())) as same:
        try:
            return same.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) in (b"", b"\x15")
        except BlockingIOError:
            return False
        except OSError:
            return True


def _build(settings: Settings) -> SimpleNamespace:
    directory = _service(DESCRIPTION, settings.address)
    users = directory.users()
    # each made once: `service.users()` costs 2-3 ms each time it is called
    made = {
        "schemas": directory.schemas(),
        "org_units": directory.orgunits(),
        "users": users,
        "aliases": users.aliases(),
        "groups": directory.groups(),
        "tokens": directory.tokens(),
        "members": directory.members(),
    }
    elsewhere = "" if settings.address.endswith(".googleapis.com") else settings.address
    if settings.licences:
        made["licences"] = _service(LICENSING, elsewhere).licenseAssignments()
    if settings.group_settings:
        made["group_settings"] = _service(GROUP_SETTINGS, elsewhere).groups()
    if settings.classes:
        courses = _service(CLASSROOM, settings.classroom_address or elsewhere).courses()
        made |= {
            "courses": courses,
            "course_aliases": courses.aliases(),
            "course_teachers": courses.teachers(),
            "course_students": courses.students(),
        }
    return SimpleNamespace(**made)


def _service(description: Path, address: str) -> Any:
    """An API of Google's as its own client builds it, at another address if one is given."""
    said = json.loads(description.read_text(encoding="utf-8"))
    if address:
        said["rootUrl"] = address.rstrip("/") + "/"
        said.pop("mtlsRootUrl", None)
    return build_from_document(said, http=httplib2.Http())


def _credentials(name: str, settings: Settings) -> tuple[Any, ...]:
    """Those of each admin it acts for."""
    for key in ("credentials", "subject"):
        if not getattr(settings, key):
            raise TargetUnreadableError(
                f"{name}: {key} is not set; put it under [targets.{name}] in .dlt/secrets.toml"
            )
    for key in ("address", "classroom_address"):
        if clear := in_the_clear(key, getattr(settings, key)):
            raise TargetUnreadableError(f"{name}: {clear}")
    try:
        found = service_account.Credentials.from_service_account_file(
            settings.credentials, scopes=scopes_of(settings), subject=settings.subject
        )
    except (OSError, ValueError) as error:
        raise TargetUnreadableError(
            f"{name}: the service account key {settings.credentials} cannot be read"
            f" ({type(error).__name__}); check the path under credentials and that the file is the"
            " JSON key Google gave"
        ) from None
    if clear := in_the_clear("token_uri of the service account key", found._token_uri):
        raise TargetUnreadableError(f"{name}: {clear}")
    return tuple(found.with_subject(subject) for subject in settings.everybody)
