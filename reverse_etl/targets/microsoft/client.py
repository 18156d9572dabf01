"""The wire to Microsoft Graph: one token for all threads, one connection pool, single reads and
batches of 20.

In: a `Route`, whose call is a method and a path; up to 20 of them in a batch. Out: a `Reply` each,
whatever happened: nothing Graph or the network does is raised; what it means says `verdict`.

The token is asked from msal before every request, under one lock: msal keeps it in memory and
renews it in time, and cold threads would ask for one each. A 401 takes a new token once.

Refuses: settings without authority, client id and certificate (or secret); a next page on another
host, which would be given our token.
"""

from __future__ import annotations

import functools
import logging
import re
import ssl
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import jwt
import msal
import requests

from common.addresses import at_home, in_the_clear
from common.clock import Clock
from common.problems import Reason
from reverse_etl.targets.entity import Route
from reverse_etl.targets.microsoft.settings import Settings
from reverse_etl.targets.reading import TargetUnreadableError
from reverse_etl.targets.replies import (
    Call,
    Reply,
    Verdict,
    ordinary,
    refusal_of,
    refusals,
    seconds,
    sign_in_refused,
    word,
)

PRODUCTION = "https://graph.microsoft.com/v1.0"
SCOPE = ["https://graph.microsoft.com/.default"]
BATCH = 20  # https://learn.microsoft.com/graph/json-batching#batch-size-limitations
PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----", re.DOTALL)
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


logging.getLogger("httpx").setLevel(
    logging.WARNING
)  # at INFO it writes every URL, and a look-up names a person

SIGN_IN_REFUSALS, API_REFUSALS = (refusals("microsoft", asked) for asked in ("sign_in", "api"))

# ---------------------------------------------------------------- what Graph answers


def verdict(call: Call, reply: Reply) -> Verdict:
    """What a reply of Graph means, alone or inside a batch (https://learn.microsoft.com/graph/errors,
    …/graph/throttling, …/graph/json-batching for 424).
    """
    code = reply.code
    if code == 400 and _exists_already(reply):
        return Verdict("look", "duplicate")
    if code == 400 and (about := _licence_refused(call, reply)):
        return about
    if code in {401, 403} and reply.reason == "Directory_QuotaExceeded":
        return Verdict("failed", "quota_exceeded")
    if code in {409, 423, 424}:
        # changed by somebody at the same moment; locked; or a neighbour in the batch failed first
        return Verdict("retry", {409: "conflict", 423: "locked", 424: "dependency"}[code])
    return ordinary(call, reply, {405: "method", 412: "precondition"}.get(code or 0, "invalid"))


def _licence_refused(call: Call, reply: Reply) -> Verdict | None:
    """What only the text of a refusal says of a licence: no seat is free, or there is none to take
    back.
    """
    if "does not have any available licenses" in reply.message:
        return Verdict("failed", "no_seats")
    if "does not have a corresponding license" in reply.message:
        if call.exchanging:  # nothing of it was done: what is held is looked up, and the rest asked
            return Verdict("look", "not_held")
        return Verdict("applied", "not_found") if call.removing else None
    return None


def _exists_already(reply: Reply) -> bool:
    details = (reply.body.get("error") or {}).get("details") or []
    if any(
        detail.get("code") in {"ObjectConflict", "ConflictingObjects"}
        for detail in details
        if isinstance(detail, Mapping)
    ):
        return True
    # A second membership has no code of its own: only the text says so, and members of a duplicate
    # have none else.
    return "already exist" in reply.message


def reply_of(code: int, body: Any, headers: Mapping[str, str]) -> Reply:
    """Read an answer of Graph; `headers` in any letter case (those of a batch item keep theirs)."""
    lower = {str(name).lower(): str(value) for name, value in headers.items()}
    body = body if isinstance(body, Mapping) else {}
    error = body.get("error") if isinstance(body.get("error"), Mapping) else {}
    inner = error.get("innerError") or error.get("innererror") or {}
    request_id = lower.get("request-id") or (
        inner.get("request-id") if isinstance(inner, Mapping) else None
    )
    reason, message = word(error.get("code", "")), str(error.get("message", ""))
    return Reply(
        code,
        body,
        reason,
        message,
        seconds(lower.get("retry-after")),
        request_id,
        refusal=refusal_of(API_REFUSALS, code, reason, message) if code >= 400 else None,
    )


# ---------------------------------------------------------------- the wire


class TokenRefusedError(Exception):
    """No token; `reason` is "unauthorized" (asking again is no use) or "no_token"; `refusal` what
    the vendor's numbers say of it.
    """

    def __init__(self, reason: str, refusal: Reason | None = None) -> None:
        super().__init__(reason)
        self.reason, self.refusal = reason, refusal


class Client:
    """One tenant, seen by one application. Made without a call; the first request opens it."""

    verdict = staticmethod(verdict)

    def __init__(self, name: str, settings: Settings) -> None:
        self._name, self._settings = name, settings
        self.address = (settings.address or PRODUCTION).rstrip("/")
        self._host = httpx.URL(self.address).copy_with(raw_path=b"/")
        self._lock = threading.Lock()
        self._http: httpx.Client | None = None
        self._app: msal.ConfidentialClientApplication | None = None
        self.clock = Clock()

    @property
    def identity(self) -> str:
        """As whom it signs in."""
        return f"application {self._settings.client_id}"

    def request(self, route: Route) -> dict[str, Any]:
        """The batch item of a route, or a read by itself."""
        method, _, path = route.call.partition(" ")
        query = "&".join(f"{name}={value}" for name, value in route.query.items())
        item: dict[str, Any] = {"method": method, "url": f"{path}?{query}" if query else path}
        if route.body is not None:
            item |= {"headers": {"Content-Type": "application/json", **route.headers}}
            item |= {"body": route.body}
        return item

    def following(self, route: Route, request: Any, reply: Reply) -> dict[str, Any] | None:  # noqa: ARG002 - the protocol's
        """The address of the next page is used as Graph gives it."""
        following = reply.body.get("@odata.nextLink")
        return {"method": "GET", "url": following} if following else None

    def ask(self, request: Mapping[str, Any]) -> Reply:
        """One read: a path relative to the address, or the next page as Graph gave it."""
        where = request["url"]
        if where.startswith("http") and httpx.URL(where).copy_with(raw_path=b"/") != self._host:
            raise TargetUnreadableError(
                f"{self._name}: the next page is on another host than {self._host}; it was not"
                " asked for, it would be given our token"
            )
        return self._ask("GET", where if where.startswith("http") else self.address + where, None)

    def send(self, requests: Sequence[Mapping[str, Any]]) -> list[Reply]:
        """Up to 20 calls in one; a reply for each, in the order of `requests`, which get their ids
        here.
        """
        asked = [{"id": str(number), **item} for number, item in enumerate(requests)]
        whole = self._ask("POST", self.address + "/$batch", {"requests": asked})
        if not whole.good:
            return [whole] * len(asked)
        answers = {str(answer.get("id")): answer for answer in whole.body.get("responses", [])}
        # An item without an answer may have been done: it is treated like a lost reply.
        return [
            (
                reply_of(int(answer["status"]), answer.get("body"), answer.get("headers") or {})
                if answer
                else Reply(None, {}, "no_reply")
            )
            for answer in (answers.get(item["id"]) for item in asked)
        ]

    def close(self) -> None:
        """Close the connections and drop the token."""
        with self._lock:
            if self._http is not None:
                self._http.close()
            self._http = self._app = None

    def _ask(self, method: str, url: str, body: Mapping[str, Any] | None) -> Reply:
        rejected: str | None = None
        while True:
            try:
                token = self._token(rejected)
                answer = self._connection().request(
                    method, url, json=body, headers={"Authorization": f"Bearer {token}"}
                )
            except TokenRefusedError as error:
                return Reply(None, {}, error.reason, sent=False, refusal=error.refusal)
            except NOT_SENT:
                return Reply(None, {}, "unreachable", sent=False)
            except httpx.HTTPError:
                return Reply(None, {}, "no_reply")
            self.clock.told(answer.headers.get("date"))
            if answer.status_code != 401 or rejected:
                break
            rejected = token
        try:
            found = answer.json() if answer.content else {}
        except (ValueError, RecursionError):
            # half an answer to a call that was taken: nobody knows what became of it
            return (
                Reply(None, {}, "no_reply")
                if answer.is_success
                else reply_of(answer.status_code, {}, answer.headers)
            )
        return reply_of(answer.status_code, found, answer.headers)

    def granted(self) -> frozenset[str] | None:
        """The application permissions the token says it carries (its claim `roles`:
        https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference); None
        where there is no token, or it says nothing.
        """
        try:
            said = jwt.decode(self._token(None), options={"verify_signature": False})
        except (TokenRefusedError, jwt.PyJWTError):
            return None
        roles = said.get("roles", [])
        return frozenset(str(role) for role in roles) if isinstance(roles, list) else None

    def _token(self, rejected: str | None) -> str:
        with self._lock:
            try:
                app = self._application()
                given = app.acquire_token_for_client(SCOPE)
                if rejected is not None and given.get("access_token") == rejected:
                    app.remove_tokens_for_client()
                    given = app.acquire_token_for_client(SCOPE)
            except requests.RequestException:
                raise TokenRefusedError("no_token") from None
            except (ValueError, jwt.PyJWTError):
                # an authority msal cannot use or whose description it cannot read; a key that is
                # not RSA
                raise TokenRefusedError("unauthorized") from None
        if "access_token" not in given:
            if given.get("error") in {"temporarily_unavailable", "server_error"}:
                raise TokenRefusedError("no_token")
            raise TokenRefusedError("unauthorized", self._refused(given))
        return str(given["access_token"])

    def _refused(self, given: Mapping[str, Any]) -> Reason | None:
        """Why there is no token: by the AADSTS number, which a proxy's answer has not."""
        numbers = given.get("error_codes") or []
        code = str(numbers[0]) if numbers else str(given.get("error", ""))
        why = str(given.get("error_description", ""))
        return sign_in_refused(SIGN_IN_REFUSALS, self.clock, code, why)

    def _application(self) -> msal.ConfidentialClientApplication:
        if self._app is None:
            given = self._settings
            credential = "certificate" if given.certificate else "client_secret"
            missing = [
                key for key in ("authority", "client_id", credential) if not getattr(given, key)
            ]
            if missing:
                raise TargetUnreadableError(
                    f"{self._name}: {', '.join(missing)} not set; put authority and client_id under"
                    f" [targets.{self._name}] in .dlt/config.toml, certificate (or client_secret)"
                    " in .dlt/secrets.toml"
                )
            if clear := in_the_clear("authority", given.authority):
                raise TargetUnreadableError(f"{self._name}: {clear}")
            session = at_home(requests.Session())
            session.hooks["response"].append(self._dated)
            if given.ca_file:
                # REQUESTS_CA_BUNDLE in the environment would silently win over `verify`
                session.trust_env = False
                session.verify = given.ca_file
            # requests waits for ever unless told with each call, and msal does not tell a session
            # it was given
            session.request = functools.partial(session.request, timeout=self._timeout)  # type: ignore[method-assign]
            self._app = msal.ConfidentialClientApplication(
                given.client_id,
                client_credential=(
                    self._certificate() if credential == "certificate" else given.client_secret
                ),
                authority=given.authority,
                instance_discovery=False,
                http_client=session,
            )
        return self._app

    def _dated(self, answer: requests.Response, **_: Any) -> None:
        self.clock.told(answer.headers.get("date"))

    def _certificate(self) -> dict[str, str]:
        """The private key and the certificate of one PEM file, as msal wants them; it works the
        thumbprint out.
        """
        try:
            pem = Path(self._settings.certificate).read_text("ascii")
        except (OSError, ValueError) as error:
            raise TargetUnreadableError(
                f"{self._name}: the file under certificate cannot be read ({type(error).__name__});"
                " check its path and rights"
            ) from None
        blocks = {
            match[1].split()[-1]: match[0] for match in PEM.finditer(pem)
        }  # …PRIVATE KEY and CERTIFICATE, by their last word
        if not {"KEY", "CERTIFICATE"} <= blocks.keys():
            raise TargetUnreadableError(
                f"{self._name}: the file under certificate must be PEM and hold both the private"
                " key and the certificate"
            )
        return {"private_key": blocks["KEY"], "public_certificate": blocks["CERTIFICATE"]}

    def _connection(self) -> httpx.Client:
        if self._http is None:
            with self._lock:
                if self._http is None:
                    if clear := in_the_clear("address", self._settings.address):
                        raise TargetUnreadableError(f"{self._name}: {clear}")
                    ca_file = self._settings.ca_file
                    verify: Any = ssl.create_default_context(cafile=ca_file) if ca_file else True
                    # nightly work gives way to people: https://learn.microsoft.com/graph/throttling
                    headers = {"x-ms-throttle-priority": "Low", "User-Agent": "Homeroom"}
                    self._http = httpx.Client(
                        verify=verify,
                        timeout=self._timeout,
                        headers=headers,
                        follow_redirects=False,
                    )
        return self._http

    @property
    def _timeout(self) -> float:
        return self._settings.timeout
