"""The wire to a JSON API: signed, to its own host only, each call once.

In: a call. Out: an `Answer`, whatever happened: nothing the API or the network does is raised. Only
https is spoken, or http to this machine; a read follows redirects on the API's own host, a write
follows none; to another host nothing is ever sent, it would be given our token. A token that ran
out is renewed once. Secrets and answers enter no message.

Refuses: settings without the secret their sign-in needs (`TargetUnreadableError`).
"""

from __future__ import annotations

import base64
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx

from common.addresses import is_sealed, origin
from common.clock import Clock
from reverse_etl.targets import exact
from reverse_etl.targets.json_path import MISSING, value_at
from reverse_etl.targets.reading import READ, TargetUnreadableError
from reverse_etl.targets.replies import (
    Call,
    Reply,
    Verdict,
    ordinary,
    refusals,
    seconds,
    sign_in_refused,
    word,
)
from reverse_etl.targets.rest.errors import verdict_of
from reverse_etl.targets.rest.settings import SECRETS, Auth, ErrorRow, Settings

SIGN_IN_REFUSALS = refusals("rest", "sign_in")
REDIRECTS = 5
EARLY = 30.0  # a token that runs out in less is renewed first
TEXT = 4000  # signs of an answer in which the error table looks for words


@dataclass(frozen=True)
class Answer(Reply):
    """A reply with its headers, in lower case; `body` is whatever JSON came, None where none
    did.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    url: str = ""  # which it answers
    said: str = ""  # which error it says it is, whatever that looks like
    rows: Sequence[ErrorRow] = ()  # what the settings say such answers mean
    refused: bool = False  # answered with 200, and an error inside

    @property
    def good(self) -> bool:
        return super().good and not self.refused


@dataclass(frozen=True)
class Upload:
    """A file as what a call sends: as its whole body, or as one field of a form."""

    path: Path
    name: str
    form_field: str = ""


class Client:
    """One API. Made without a call; shared by all threads."""

    def __init__(self, name: str, settings: Settings) -> None:
        self._name, self._settings = name, settings
        self.identity = f"by {settings.auth.type}"
        self._lock = threading.Lock()
        self._http: httpx.Client | None = None
        self._token, self._token_ends = "", 0.0
        self.clock = Clock()

    def verdict(self, call: Call, reply: Reply) -> Verdict:
        """What an answer means: by the error table, else by its status."""
        if reply.code is None or not isinstance(reply, Answer):
            return ordinary(call, reply)
        return verdict_of(reply.rows, self._settings.failed_when, call, reply)

    @property
    def address(self) -> str:
        """The root of the API, with a slash at its end."""
        return self._settings.address.rstrip("/") + "/"

    def close(self) -> None:
        """Close the connections and forget the token."""
        with self._lock:
            self._token = ""
            if self._http is not None:
                self._http.close()
                self._http = None

    def ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        rows: Sequence[ErrorRow] = (),
    ) -> Answer:
        """Send one call once; a read goes where the API's own host sends it. `rows`: what the
        entity's own error table says.
        """
        url = path if "://" in path else urljoin(self.address, path.lstrip("/"))
        for _ in range(REDIRECTS):
            if origin(url) != origin(self.address):
                return Answer(None, {}, "other_host", sent=False)
            answer = self._signed(method, url, params, body, headers or {})
            where = answer.headers.get("location")
            if method != "GET" or answer.code not in {301, 302, 303, 307, 308} or not where:
                answer = replace(answer, url=url, rows=(*rows, *self._settings.errors))
                said = answer.code is not None and answer.code < 300
                refused = said and self.verdict(READ, answer).status != "applied"
                return replace(answer, refused=refused)
            url, params = urljoin(url, where), None
        return Answer(None, {}, "redirected", sent=False)

    # ------------------------------------------------------------ sign-in

    def _signed(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None,
        body: Any,
        headers: Mapping[str, str],
    ) -> Answer:
        refused = ""
        while True:
            said, trouble = self._sign(refused)
            if trouble is not None:
                return trouble
            answer = self._send(method, url, params, body, {**headers, **said})
            renewable = self._settings.auth.type == "oauth2_client_credentials"
            if answer.code != 401 or refused or not renewable:
                return answer
            refused = said["Authorization"]

    def _sign(self, refused: str) -> tuple[dict[str, str], Answer | None]:
        """The headers that say who we are, or why nobody can be told."""
        auth = self._settings.auth
        for secret in SECRETS[auth.type]:
            if not getattr(auth, secret):
                raise TargetUnreadableError(
                    f"{self._name}: {secret} is not set; put it under [targets.{self._name}.auth]"
                    " in .dlt/secrets.toml"
                )
        match auth.type:
            case "bearer":
                return {"Authorization": f"{auth.scheme} {auth.token}"}, None
            case "basic":
                return {"Authorization": _basic(auth.user, auth.password)}, None
            case "api_key":
                return {auth.header: auth.api_key}, None
            case "none":
                return {}, None
        with self._lock:  # one thread asks for the token, the others wait for it
            if refused == f"Bearer {self._token}" or time.monotonic() > self._token_ends - EARLY:
                self._token = ""
            trouble = None if self._token else self._renew(auth)
            return {"Authorization": f"Bearer {self._token}"}, trouble

    def _renew(self, auth: Auth) -> Answer | None:
        form = {"grant_type": "client_credentials"} | ({"scope": auth.scope} if auth.scope else {})
        headers = {}
        if auth.in_header:
            headers["Authorization"] = _basic(auth.client_id, auth.client_secret)
        else:
            form |= {"client_id": auth.client_id, "client_secret": auth.client_secret}
        asked = time.monotonic()
        try:
            reply = self._connection_unlocked().post(auth.token_address, data=form, headers=headers)
            said = reply.json() if reply.content else {}
        except (httpx.HTTPError, ValueError, RecursionError):
            return Answer(None, {}, "no_token", sent=False)
        self.clock.told(reply.headers.get("date"))
        token = said.get("access_token") if isinstance(said, Mapping) else None
        if reply.status_code >= 500 or reply.status_code == 429:
            return Answer(None, {}, "no_token", sent=False)
        if reply.status_code != 200 or not token:
            told = said if isinstance(said, Mapping) else {}
            code, why = str(told.get("error", "")), str(told.get("error_description", ""))
            refusal = sign_in_refused(SIGN_IN_REFUSALS, self.clock, code, why)
            return Answer(None, {}, "unauthorized", sent=False, refusal=refusal)
        lasts = said.get("expires_in")
        self._token = str(token)
        self._token_ends = asked + (float(lasts) if isinstance(lasts, int | float) else 3600.0)
        if self._token_ends - asked <= EARLY:  # so short that it is good for one call at a time
            self._token_ends = asked + EARLY + float(lasts or 0) / 2
        return None

    # ------------------------------------------------------------ one message

    def _send(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None,
        body: Any,
        headers: Mapping[str, str],
    ) -> Answer:
        sent: dict[str, Any] = {}
        if body is not None and not isinstance(body, Upload):
            sent = {"content": exact.dumps(body).encode()}
            said = {name.lower() for name in (*self._settings.headers, *headers)}
            if "content-type" not in said:
                headers = {"Content-Type": "application/json", **headers}
        try:
            with ExitStack() as stack:
                if isinstance(body, Upload):
                    file = stack.enter_context(body.path.open("rb"))
                    sent = {"content": file}
                    if body.form_field:
                        sent = {"files": {body.form_field: (body.name, file)}}
                response = self._connection().request(
                    method,
                    url,
                    params={n: _param(value) for n, value in params.items()} if params else None,
                    headers=dict(headers),
                    **sent,
                )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            return Answer(None, {}, "unreachable", sent=False)
        except httpx.HTTPError:
            return Answer(None, {}, "no_reply")
        document: Any = None
        if response.content:
            try:
                document = exact.loads(response.content)
            except (ValueError, RecursionError):  # no JSON, or nested without end
                document = MISSING
        found = {name.lower(): value for name, value in response.headers.items()}
        self.clock.told(found.get("date"))
        code = (
            value_at(document, self._settings.error_code, "") if self._settings.error_code else ""
        )
        return Answer(
            response.status_code,
            document if document is not MISSING else None,
            word(code or ""),
            response.text[:TEXT],
            seconds(found.get("retry-after")),
            found.get("x-request-id") or found.get("request-id"),
            headers=found,
            said=str(code or ""),
        )

    def _connection(self) -> httpx.Client:
        with self._lock:
            return self._connection_unlocked()

    def _connection_unlocked(self) -> httpx.Client:
        if self._http is None:
            ca_file = self._settings.ca_file
            verify: Any = ssl.create_default_context(cafile=ca_file) if ca_file else True
            self._http = httpx.Client(
                verify=verify,
                timeout=self._settings.timeout,
                headers={
                    "Accept": "application/json",
                    "User-Agent": "Homeroom",
                    **self._settings.headers,
                },
                follow_redirects=False,
                limits=httpx.Limits(max_connections=self._settings.threads + 1),
            )
        return self._http


def is_allowed(address: str) -> bool:
    """https anywhere, http on this machine."""
    return is_sealed(address)


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _param(value: Any) -> Any:
    return ("true" if value else "false") if isinstance(value, bool) else value


def as_text(value: Any) -> str | None:
    """A value of a document as the raw layer holds it: text; objects and lists as JSON."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return exact.dumps(value, sort_keys=True)
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
