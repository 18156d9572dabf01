"""The emulated Google Workspace: token endpoint, Directory API and its batch endpoint, Classroom,
over plain HTTP.

Point google-auth at it with the generated service-account key (its `token_uri` is here) and build
the client from the discovery document with `rootUrl` replaced by this server's address.

What is enforced: signature, audience, lifetime, scopes and delegated administrator of the token
assertion; the scopes of every call; 2,400 calls a minute per subject (403 userRateLimitExceeded),
on a clock that runs `speed` times faster, so that quotas are large and their windows short;
everything google_users, google_groups and google_units say.
"""

from __future__ import annotations

import base64
import email
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from demo.platforms import (
    google_classroom,
    google_group_settings,
    google_groups,
    google_licences,
    google_units,
    google_users,
)
from demo.platforms.faults import Faults
from demo.platforms.fields import masked
from demo.platforms.google_tenant import Call, Tenant, refuse
from demo.platforms.http import RefusalError, Reply, Request
from demo.platforms.platform import Platform, RequestLog
from demo.platforms.store import Store, Window

PRODUCTION = "https://admin.googleapis.com"
CLASSROOM = "https://classroom.googleapis.com"
LICENSING = "https://licensing.googleapis.com"
LICENCES = "/apps/licensing/v1/"
LICENCE_CALLS_PER_MINUTE = 60
SETTINGS = "https://www.googleapis.com"
SETTINGS_OF_GROUPS = "/groups/v1/"
PRODUCTION_TOKEN = "https://oauth2.googleapis.com/token"  # noqa: S105  an address, no secret
DIRECTORY, COURSES = "/admin/directory/v1/", "/v1/"
QUERIES_PER_MINUTE = 2400
COURSE_CALLS_PER_MINUTE = 1200  # of one user
MOST_IN_A_BATCH = 1000
TOKEN_SECONDS = 3600
SCOPE = "https://www.googleapis.com/auth/"
# the scopes the district's administrator authorized for the service account; one more in a request
# fails it whole
AUTHORIZED = frozenset(
    SCOPE + name + access
    for name in (
        "admin.directory.user",
        "admin.directory.user.alias",
        "admin.directory.user.security",
        "admin.directory.group",
        "admin.directory.group.member",
        "admin.directory.orgunit",
        "admin.directory.userschema",
        "admin.directory.customer",
        "admin.directory.domain",
    )
    for access in ("", ".readonly")
) | {
    SCOPE + "classroom.courses",
    SCOPE + "classroom.rosters",
    SCOPE + "classroom.courses.readonly",
    SCOPE + "classroom.rosters.readonly",
    SCOPE + "apps.licensing",
    SCOPE + "apps.groups.settings",
}

# what the project has not switched on, and the administrator's role does not allow, by scope
APIS_OFF: frozenset[str] = frozenset()
UNPRIVILEGED: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Credentials:
    """What the service account is known by."""

    client_email: str
    key_id: str
    public_key: RSAPublicKey


@dataclass(frozen=True)
class Token:
    """An access token given out."""

    subject: str | None
    scopes: frozenset[str]
    expires_at: float


class Google(Platform):
    """Answers for admin.googleapis.com and oauth2.googleapis.com."""

    name = "google"

    def __init__(
        self, store: Store, log: RequestLog, faults: Faults, credentials: Credentials, speed: float
    ) -> None:
        super().__init__(store, log, faults)
        self.tenant = Tenant(store, faults)
        self._credentials = credentials
        self._tokens: dict[str, Token] = {}
        self._quotas: dict[str, Window] = {}
        self._window_seconds = 60 / speed

    def production_url(self, request: Request) -> str:
        if request.path.startswith(COURSES):
            return CLASSROOM + request.target
        if request.path.startswith(LICENCES):
            return LICENSING + request.target
        if request.path.startswith(SETTINGS_OF_GROUPS):
            return SETTINGS + request.target
        return PRODUCTION_TOKEN if request.path == "/token" else PRODUCTION + request.target

    def password_is_accepted(self, password: str) -> bool:
        return google_users.password_is_accepted(password)

    def broken(self, status: int) -> Reply:
        return refuse(
            status,
            "backendError",
            "Service unavailable. Please try again" if status == 503 else "Backend Error",
        ).reply

    def serve(self, request: Request) -> Reply:
        if request.path == "/token" and request.method == "POST":
            return self._token(dict(parse_qsl(request.body.decode("utf-8", "replace"))))
        if request.path in ("/batch", "/batch/admin/directory_v1") and request.method == "POST":
            return self._batch(request)
        if request.path.startswith(DIRECTORY):
            return self._directory(request)
        if request.path.startswith(COURSES):
            return self._course(request)
        if request.path.startswith(LICENCES):
            return self._licence(request)
        if request.path.startswith(SETTINGS_OF_GROUPS):
            return self._settings(request)
        return refuse(404, "notFound", "Not Found").reply

    # --- tokens

    def _token(self, form: dict[str, str]) -> Reply:
        if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return _oauth_error(
                400, "unsupported_grant_type", "Invalid grant_type: " + form.get("grant_type", "")
            )
        try:
            head, claims_part, signature = form.get("assertion", "").split(".")
            header, claims = _decoded(head), _decoded(claims_part)
            if header.get("alg") != "RS256" or header.get("kid") != self._credentials.key_id:
                raise InvalidSignature
            self._credentials.public_key.verify(
                _unpadded(signature), f"{head}.{claims_part}".encode(), PKCS1v15(), SHA256()
            )
        except InvalidSignature:
            return _oauth_error(400, "invalid_grant", "Invalid JWT Signature.")
        except (ValueError, AttributeError):
            return _oauth_error(400, "invalid_request", "Assertion is not a JWT.")
        now = time.time()
        issued, expires = claims.get("iat", 0), claims.get("exp", 0)
        if claims.get("iss") != self._credentials.client_email:
            return _oauth_error(400, "invalid_grant", "Invalid grant: account not found")
        if claims.get("aud") not in (PRODUCTION_TOKEN, f"{self.origin}/token"):
            return _oauth_error(400, "invalid_grant", "Invalid JWT: Failed audience check.")
        if not (issued - 300 <= now < expires <= issued + TOKEN_SECONDS):
            return _oauth_error(
                400,
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable"
                " timeframe.",
            )
        scopes = frozenset(str(claims.get("scope", "")).split())
        if not scopes:
            return _oauth_error(
                400, "invalid_scope", "Invalid OAuth scope or ID token audience provided."
            )
        subject = claims.get("sub")
        if subject is not None:
            if not scopes <= AUTHORIZED:
                text = (
                    "Client is unauthorized to retrieve access tokens using this method, or client"
                    " not authorized for any of the scopes requested."
                )
                return _oauth_error(401, "unauthorized_client", text)
            holder = self.tenant.holder(subject)
            user = self.store["users"].get(holder[1]) if holder and holder[0] == "user" else None
            if user is None or user["suspended"]:
                return _oauth_error(400, "invalid_grant", "Invalid email or User ID")
        token = "ya29." + secrets.token_urlsafe(32)
        self._tokens[token] = Token(subject, scopes, now + TOKEN_SECONDS)
        return Reply(
            200, {"access_token": token, "expires_in": TOKEN_SECONDS - 1, "token_type": "Bearer"}
        )

    def _allowed(self, request: Request, resource: tuple[str, ...]) -> Token:
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        token = self._tokens.get(value) if kind == "Bearer" else None
        if token is None or token.expires_at < time.time():
            raise refuse(
                401,
                "authError",
                "Invalid Credentials",
                location="Authorization",
                locationType="header",
            )
        scopes = _scopes(resource)
        if request.method == "GET":
            scopes = (*scopes, *(scope + ".readonly" for scope in scopes))
        if not token.scopes & set(scopes):
            raise refuse(
                403, "insufficientPermissions", "Request had insufficient authentication scopes."
            )
        holder = self.tenant.holder(token.subject) if token.subject else None
        user = self.store["users"].get(holder[1]) if holder else None
        if user is None or not user["isAdmin"] or user["suspended"]:
            raise refuse(403, "forbidden", "Not Authorized to access this resource/api")
        if APIS_OFF & set(_scopes(resource)):
            text = "Google API has not been used in project 7 before or it is disabled."
            raise refuse(403, "accessNotConfigured", text)
        if UNPRIVILEGED & set(_scopes(resource)):
            raise refuse(403, "forbidden", "Not Authorized to access this resource/api")
        return token

    # --- calls

    def _directory(self, request: Request) -> Reply:
        parts = tuple(unquote(part) for part in request.path[len(DIRECTORY) :].split("/"))
        token = self._allowed(request, parts)
        quota = self._quotas.setdefault(
            token.subject or "", Window(QUERIES_PER_MINUTE, self._window_seconds)
        )
        if quota.wait(1) > 0:
            raise refuse(
                403,
                "userRateLimitExceeded",
                "User Rate Limit Exceeded. Rate of requests for user exceed configured project"
                " quota.",
            )
        if self.faults.happens("throttle"):
            raise refuse(429, "rateLimitExceeded", "Rate Limit Exceeded")
        return self._answered(request, parts, _ANSWERS.get(parts[0]))

    def _course(self, request: Request) -> Reply:
        """A call of Classroom: its own quota, refusals in the new style."""
        parts = tuple(unquote(part) for part in request.path[len(COURSES) :].split("/"))
        try:
            token = self._allowed(request, parts)
        except RefusalError as refusal:
            code = refusal.reply.status
            word = "UNAUTHENTICATED" if code == 401 else "PERMISSION_DENIED"
            text = refusal.reply.body["error"]["message"]
            raise google_classroom.refuse(code, word, text) from None
        window = Window(COURSE_CALLS_PER_MINUTE, self._window_seconds)
        quota = self._quotas.setdefault(f"courses {token.subject}", window)
        if quota.wait(1) > 0 or self.faults.happens("throttle"):
            raise google_classroom.refuse(429, "RESOURCE_EXHAUSTED", "Quota exceeded.")
        answer = google_classroom.call if parts[0] == "courses" else None
        return self._answered(request, parts, answer)

    def _licence(self, request: Request) -> Reply:
        """A call of the licensing API: one a second, and too many are a 503."""
        parts = tuple(unquote(part) for part in request.path[len(LICENCES) :].split("/"))
        token = self._allowed(request, parts)
        window = Window(LICENCE_CALLS_PER_MINUTE, self._window_seconds)
        quota = self._quotas.setdefault(f"licences {token.subject}", window)
        if quota.wait(1) > 0 or self.faults.happens("throttle"):
            raise refuse(503, "backendError", "The service is currently unavailable.")
        return self._answered(request, parts, google_licences.call)

    def _settings(self, request: Request) -> Reply:
        """A call of the Groups Settings API: 100,000 a day, which nothing here comes near."""
        path = request.path[len(SETTINGS_OF_GROUPS) :]
        parts = tuple(unquote(part) for part in path.split("/"))
        self._allowed(request, ("settings",))
        if self.faults.happens("throttle"):
            raise refuse(403, "rateLimitExceeded", "Rate Limit Exceeded")
        return self._answered(request, parts, google_group_settings.call)

    def _answered(
        self,
        request: Request,
        parts: tuple[str, ...],
        answer: Callable[[Tenant, Call], Reply] | None,
    ) -> Reply:
        if answer is None:
            raise refuse(404, "notFound", "Not Found")
        asked = Call(request.method, parts, request.params, _json_body(request))
        mask = request.params.get("fields")

        def call() -> Reply:
            reply = answer(self.tenant, asked)
            return (
                Reply(reply.status, masked(reply.body, mask), reply.headers)
                if mask and reply.body is not None
                else reply
            )

        return self.attempt(call, writes=request.method != "GET")

    def _batch(self, request: Request) -> Reply:
        """multipart/mixed of application/http parts: each is one call, answered and
        counted alone.
        """
        kind = request.headers.get("content-type", "")
        message = email.message_from_bytes(
            b"Content-Type: " + kind.encode() + b"\r\n\r\n" + request.body
        )
        parts = [part for part in message.walk() if part.get_content_type() == "application/http"]
        if not parts:
            raise refuse(
                400, "badRequest", "Failed to parse batch request, error: 0 items to process."
            )
        if len(parts) > MOST_IN_A_BATCH:
            raise refuse(
                400,
                "badRequest",
                f"The batch request contains too many calls: {len(parts)}, at most"
                f" {MOST_IN_A_BATCH}.",
            )
        boundary, blocks = "batch_" + secrets.token_hex(12), []
        for part in parts:
            inner = _inner(
                part.get_payload(decode=True) or b"", request.headers.get("authorization", "")
            )
            try:
                reply = (
                    self._directory(inner)
                    if inner.path.startswith(DIRECTORY)
                    else refuse(404, "notFound", "Not Found").reply
                )
            except RefusalError as refusal:
                reply = refusal.reply
            content_id = (part.get("Content-ID") or "<>").strip("<>")
            head = (
                f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID:"
                f" <response-{content_id}>\r\n\r\n".encode()
            )
            blocks.append(head + reply.encoded() + b"\r\n")
        return Reply(
            200,
            b"".join([*blocks, f"--{boundary}--\r\n".encode()]),
            {"Content-Type": f"multipart/mixed; boundary={boundary}"},
        )


_ANSWERS: dict[str, Callable[[Tenant, Call], Reply]] = {
    "users": google_users.call,
    "groups": google_groups.call,
    "customer": google_units.call,
    "customers": google_units.call,
}


def _scopes(parts: tuple[str, ...]) -> tuple[str, ...]:
    """The scopes of which one is needed."""
    below = parts[2] if len(parts) > 2 else ""
    names = {
        "users": (
            ("admin.directory.user", "admin.directory.user.alias")
            if below == "aliases"
            else ("admin.directory.user.security",)
            if below in ("signOut", "tokens")
            else ("admin.directory.user",)
        ),
        "groups": (
            ("admin.directory.group", "admin.directory.group.member")
            if below in ("members", "hasMember")
            else ("admin.directory.group",)
        ),
        "customer": (
            {
                "orgunits": ("admin.directory.orgunit",),
                "schemas": ("admin.directory.userschema",),
            }.get(below, ("admin.directory.domain",))
        ),
        "customers": ("admin.directory.customer",),
        "product": ("apps.licensing",),
        "settings": ("apps.groups.settings",),
        "courses": (
            ("classroom.rosters",) if below in ("teachers", "students") else ("classroom.courses",)
        ),
    }.get(parts[0], ())
    return tuple(SCOPE + name for name in names)


def _json_body(request: Request) -> dict[str, Any]:
    if request.method not in ("POST", "PUT", "PATCH"):
        return {}
    if not request.headers.get("content-type", "").startswith("application/json") and request.body:
        raise refuse(400, "badRequest", "Bad Request: Content-Type must be application/json")
    try:
        body = json.loads(request.body or b"{}")
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise refuse(400, "parseError", "Parse Error")
    return body


def _inner(payload: bytes, authorization: str) -> Request:
    """One call out of a batch; its own headers win over those of the batch."""
    head, _, body = payload.replace(b"\r\n", b"\n").partition(b"\n\n")
    first, *lines = head.decode("latin-1").strip().split("\n")
    words = first.split(" ")
    headers = {"authorization": authorization}
    headers |= {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines)
    }
    path, _, query = (words[1] if len(words) > 1 else "/").partition("?")
    return Request(words[0].upper(), path, query, headers, body.strip())


def _unpadded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _decoded(part: str) -> dict[str, Any]:
    return json.loads(_unpadded(part))  # type: ignore[no-any-return]


def _oauth_error(status: int, error: str, description: str) -> Reply:
    return Reply(status, {"error": error, "error_description": description})
