"""The emulated Microsoft cloud: sign-in (openid configuration, client credentials) and Graph v1.0,
over https.

msal refuses plain http, so the server has a certificate for `localhost` from a certificate
authority made for the occasion; give clients its file. The authority is
`https://localhost:PORT/{tenant id}`, Graph is under `/v1.0`.

What is enforced: client id and secret, tokens and their hour; per application and tenant 3,000
writes in 150 seconds and the resource units of the tenant's size in 10 seconds (429 with
Retry-After), every item of a $batch counted alone, on a clock that runs `speed` times faster;
everything microsoft_users and microsoft_groups say.
"""

from __future__ import annotations

import json
import random
import re
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

import jwt

from demo.platforms import microsoft_classes, microsoft_groups, microsoft_users
from demo.platforms.faults import Faults
from demo.platforms.http import RefusalError, Reply, Request
from demo.platforms.microsoft_query import listed, selected, shown
from demo.platforms.microsoft_tenant import DOMAINS, TENANT_ID, Call, Tenant, missing, refuse
from demo.platforms.platform import Platform, RequestLog
from demo.platforms.store import Store, Window

GRAPH = "https://graph.microsoft.com"
LOGIN = "https://login.microsoftonline.com"
CLIENT_ID = "74000000-0074-4074-8074-0000000000c1"
TOKEN_SECONDS = 3600
WRITES, WRITE_SECONDS = 3000, 150
UNIT_SECONDS = 10
MOST_IN_A_BATCH = 20
_KEYED = re.compile(r"(\w+)\((.+)\)")


# the application permissions an administrator consented to, which the token says
GRANTED = {
    "User.ReadWrite.All",
    "User.RevokeSessions.All",
    "Directory.Read.All",
    "OrgContact.Read.All",
    "MailboxSettings.Read",
    "Group.ReadWrite.All",
    "LicenseAssignment.ReadWrite.All",
    "EduRoster.ReadWrite.All",
    "Team.Create",
    "TeamSettings.ReadWrite.All",
}


class Microsoft(Platform):
    """Answers for graph.microsoft.com and login.microsoftonline.com."""

    name = "microsoft"

    def __init__(
        self, store: Store, log: RequestLog, faults: Faults, client_secret: str, speed: float
    ) -> None:
        super().__init__(store, log, faults)
        self.tenant = Tenant(store, faults)
        self._secret = client_secret
        self._tokens: dict[str, float] = {}
        self._writes = Window(WRITES, WRITE_SECONDS / speed)
        self._units = Window(0, UNIT_SECONDS / speed)
        self._ids = random.Random(7)

    def production_url(self, request: Request) -> str | None:
        if request.path.startswith(("/v1.0/", "/beta/")):
            return GRAPH + request.target
        if request.path.endswith("/oauth2/v2.0/token"):
            return LOGIN + request.target
        return None  # metadata of the sign-in service is no call of an API

    def password_is_accepted(self, password: str) -> bool:
        return microsoft_users.password_is_accepted(password)

    def broken(self, status: int) -> Reply:
        if status == 503:
            return refuse(status, "serviceUnavailable", "Service is temporarily unavailable.").reply
        return refuse(status, "InternalServerError", "An unexpected error occurred.").reply

    def serve(self, request: Request) -> Reply:
        if not request.path.startswith("/v1.0/"):
            return self._sign_in(request)
        try:
            self._allowed(request)
            path, body = request.path[len("/v1.0/") :], _json_body(request)
            single = unquote(path) != "$batch"
            reply = (
                self._one(request.method, path, request.params, request.headers, body)
                if single
                else self._batch(request, body)
            )
        except RefusalError as refusal:
            reply = refusal.reply
        return self._stamped(reply, request.headers)

    # --- sign-in

    def _sign_in(self, request: Request) -> Reply:
        parts = request.path.strip("/").split("/")
        if parts[-2:] == [".well-known", "openid-configuration"]:
            base = f"{self.origin}/{parts[0]}"
            return Reply(
                200,
                {
                    "issuer": f"{base}/v2.0",
                    "token_endpoint": f"{base}/oauth2/v2.0/token",
                    "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                    "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
                    "jwks_uri": f"{base}/discovery/v2.0/keys",
                    "response_types_supported": ["code", "token"],
                    "subject_types_supported": ["pairwise"],
                },
            )
        if request.path == "/common/discovery/instance":
            host = self.origin.split("//")[1]
            return Reply(
                200,
                {
                    "tenant_discovery_endpoint": (
                        f"{self.origin}/{TENANT_ID}/v2.0/.well-known/openid-configuration"
                    ),
                    "api-version": "1.1",
                    "metadata": [
                        {"preferred_network": host, "preferred_cache": host, "aliases": [host]}
                    ],
                },
            )
        if parts[1:] == ["oauth2", "v2.0", "token"] and request.method == "POST":
            return self._token(dict(parse_qsl(request.body.decode("utf-8", "replace"))), parts[0])
        return Reply(404, {"error": "not_found"})

    def _token(self, form: dict[str, str], tenant: str) -> Reply:
        if tenant not in (TENANT_ID, *DOMAINS):
            return _sign_in_error(400, "invalid_request", 90002, f"Tenant '{tenant}' not found.")
        if form.get("grant_type") != "client_credentials":
            return _sign_in_error(
                400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type."
            )
        if form.get("client_id") != CLIENT_ID:
            return _sign_in_error(
                400,
                "unauthorized_client",
                700016,
                "Application with that identifier was not found in the directory.",
            )
        if not secrets.compare_digest(form.get("client_secret", ""), self._secret):
            return _sign_in_error(401, "invalid_client", 7000215, "Invalid client secret provided.")
        if form.get("scope", "").split() != [f"{GRAPH}/.default"]:
            return _sign_in_error(
                400,
                "invalid_scope",
                1002012,
                "The provided value for scope is not valid: client credential flows must have"
                " /.default.",
            )
        claims = {"roles": sorted(GRANTED), "jti": secrets.token_urlsafe(32)}
        token = jwt.encode(claims, self._secret.ljust(32, "."), "HS256")
        self._tokens[token] = time.time() + TOKEN_SECONDS
        return Reply(
            200,
            {
                "token_type": "Bearer",
                "expires_in": TOKEN_SECONDS - 1,
                "ext_expires_in": TOKEN_SECONDS - 1,
                "access_token": token,
            },
        )

    def _allowed(self, request: Request) -> None:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind != "Bearer" or not token:
            raise refuse(401, "InvalidAuthenticationToken", "Access token is empty.")
        if self._tokens.get(token, 0) < time.time():
            raise refuse(
                401, "InvalidAuthenticationToken", "Access token has expired or is not yet valid."
            )

    # --- Graph

    def _one(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        body: dict[str, Any],
    ) -> Reply:
        """One call, alone or out of a batch: counted, thrown to its faults, answered."""
        parts = _parts(path)
        writes = method != "GET"
        self._count(writes, _units(method, parts, params))
        answer = _answer(parts)
        asked = Call(method, parts, params, headers, body)
        return self.attempt(lambda: answer(self.tenant, asked), writes)

    def _count(self, writes: bool, units: float) -> None:
        people = len(self.store["users"])
        self._units.limit = 3500 if people < 50 else 5000 if people <= 500 else 8000
        wait, what = self._units.wait(units), "ResourceUnitLimitExceeded"
        if writes and (more := self._writes.wait(1)) > 0:
            wait, what = more, "WriteLimitExceeded"
        if wait <= 0 and self.faults.happens("throttle"):
            wait, what = 0.2, "CPULimitExceeded"
        if wait > 0:
            scope = f"Tenant_Application/{'Write' if what.startswith('Write') else 'ReadWrite'}/{CLIENT_ID}/{TENANT_ID}"  # noqa: E501
            raise refuse(
                429,
                "TooManyRequests",
                "Too many requests. Please try again later.",
                headers={
                    "Retry-After": f"{wait:.3f}",
                    "x-ms-throttle-scope": scope,
                    "x-ms-throttle-information": what,
                },
            )

    def _batch(self, request: Request, body: dict[str, Any]) -> Reply:
        items = body.get("requests")
        if request.method != "POST" or not isinstance(items, list):
            raise refuse(400, "BadRequest", "Invalid batch payload format.")
        if not 1 <= len(items) <= MOST_IN_A_BATCH:
            raise refuse(
                400,
                "BadRequest",
                (
                    f"Number of batch request steps exceeds the maximum value of {MOST_IN_A_BATCH}."
                    if items
                    else "Empty batch."
                ),
            )
        ids = [str(item.get("id", "")).lower() for item in items]
        if len(set(ids)) != len(ids) or "" in ids:
            raise refuse(400, "BadRequest", "Request ids must be given and unique.")
        responses: list[dict[str, Any]] = []
        done: dict[str, int] = {}
        for name, item in zip(ids, items, strict=True):
            before = [str(one).lower() for one in item.get("dependsOn") or []]
            if any(one not in ids for one in before):
                raise refuse(
                    400, "BadRequest", "dependsOn names a request that is not in the batch."
                )
            if any(done.get(one, 424) >= 400 for one in before):
                reply = refuse(
                    424, "FailedDependency", "A request this one depends on has failed."
                ).reply
            else:
                reply = self._item(item)
            reply = self._stamped(reply, request.headers)
            done[name] = reply.status
            response: dict[str, Any] = {
                "id": item["id"],
                "status": reply.status,
                "headers": dict(reply.headers),
            }
            if reply.body is not None:
                response["headers"]["Content-Type"] = "application/json"
                response["body"] = reply.body
            responses.append(response)
        return Reply(200, {"responses": responses})

    def _item(self, item: dict[str, Any]) -> Reply:
        url, headers = (
            str(item.get("url", "")),
            {name.lower(): str(value) for name, value in (item.get("headers") or {}).items()},
        )
        path, _, query = url.lstrip("/").partition("?")
        try:
            if "://" in url or path.startswith(("v1.0/", "beta/", "$batch")):
                raise refuse(400, "BadRequest", f"Invalid URL in a batch: {url}")
            if item.get("body") is not None and not headers.get("content-type", "").startswith(
                "application/json"
            ):
                raise refuse(
                    400, "BadRequest", "Write request contains a body and no Content-Type header."
                )
            params = dict(parse_qsl(query, keep_blank_values=True))
            return self._one(
                str(item.get("method", "")).upper(), path, params, headers, item.get("body") or {}
            )
        except RefusalError as refusal:
            return refusal.reply

    def _stamped(self, reply: Reply, headers: Mapping[str, str]) -> Reply:
        """Every answer carries a request id; errors carry it in innerError too."""
        request_id = str(uuid.UUID(int=self._ids.getrandbits(128), version=4))
        client_id = headers.get("client-request-id", request_id)
        body = reply.body
        if reply.status >= 400 and isinstance(body, dict) and "error" in body:
            inner = {
                "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
                "request-id": request_id,
                "client-request-id": client_id,
            }
            body = {"error": body["error"] | {"innerError": inner}}
        return Reply(
            reply.status,
            body,
            {**reply.headers, "request-id": request_id, "client-request-id": client_id},
        )


def _answer(parts: tuple[str, ...]) -> Callable[[Tenant, Call], Reply]:
    if parts[0] == "users":
        return microsoft_users.call
    if parts[0] == "groups":
        return microsoft_groups.call
    if parts[:2] == ("education", "classes"):
        return microsoft_classes.call
    if parts[0] == "teams":
        return microsoft_classes.teams
    if parts[:2] == ("directory", "deletedItems"):
        return microsoft_users.deleted_items
    if parts[0] in ("contacts", "directoryObjects"):
        return _objects
    if parts[0] in ("subscribedSkus", "organization", "domains"):
        return _tenant_facts
    raise refuse(400, "BadRequest", f"Resource not found for the segment '{parts[0]}'.")


def _objects(tenant: Tenant, asked: Call) -> Reply:
    """Contacts of the organisation, read only; and any object that is there, by its id."""
    match (asked.method, asked.parts):
        case ("GET", ("contacts",)):
            return listed(tenant, asked, "orgContact", "contacts", tenant.seen("contacts"))
        case ("GET", ("directoryObjects", key)):
            kinds = (("users", "user"), ("groups", "group"), ("contacts", "orgContact"))
            for table, kind in kinds:
                if found := tenant.store[table].get(key.lower()):
                    marked = {"@odata.type": f"#microsoft.graph.{kind}"}
                    return Reply(200, marked | shown(found, selected(kind, {})))
            raise missing(key)
    raise refuse(
        405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target."
    )


def _tenant_facts(tenant: Tenant, asked: Call) -> Reply:
    rows: list[dict[str, Any]]
    if asked.method != "GET" or len(asked.parts) > 1:
        raise refuse(
            405,
            "Request_BadRequest",
            "Specified HTTP method is not allowed for the request target.",
        )
    if asked.parts[0] == "subscribedSkus":
        most = tenant.faults.licence_seats
        rows = [
            sku
            | {
                "prepaidUnits": (
                    sku["prepaidUnits"] | {"enabled": min(sku["prepaidUnits"]["enabled"], most)}
                )
            }
            for sku in tenant.store["skus"].values()
        ]
    elif asked.parts[0] == "domains":
        rows = [
            {"id": name, "isVerified": True, "isDefault": name == DOMAINS[0]} for name in DOMAINS
        ]
    else:
        rows = [
            {
                "id": TENANT_ID,
                "displayName": "School District No. 74 (Gold Trail)",
                "verifiedDomains": [{"name": name} for name in DOMAINS],
            }
        ]
    return Reply(
        200, {"@odata.context": f"{tenant.origin}/v1.0/$metadata#{asked.parts[0]}", "value": rows}
    )


def _parts(path: str) -> tuple[str, ...]:
    """Decoded segments; `users('id')` is users/id, `groups(uniqueName='k')` is
    groups/uniqueName='k'.
    """
    parts: list[str] = []
    for segment in path.strip("/").split("/"):
        segment = unquote(segment)
        if match := _KEYED.fullmatch(segment):
            key = match[2]
            parts += [match[1], key[1:-1] if key.startswith("'") else key]
        else:
            parts.append(segment)
    return tuple(parts)


def _units(method: str, parts: tuple[str, ...], params: Mapping[str, str]) -> int:
    """Resource units of a call, by the vendor's table."""
    if method != "GET":
        return 1
    cost = {"users": 2, "subscribedSkus": 3}.get(parts[0], 1)
    if len(parts) > 2 and parts[2] in ("members", "owners"):
        cost = 3
    top = params.get("$top", "")
    cost += ("$expand" in params) - ("$select" in params) - (top.isdigit() and int(top) < 20)
    return max(cost, 1)


def _json_body(request: Request) -> dict[str, Any]:
    if request.method == "GET" or not request.body:
        return {}
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise refuse(
            415, "BadRequest", "Unsupported media type: Content-Type must be application/json."
        )
    try:
        body = json.loads(request.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise refuse(400, "BadRequest", "Unable to read JSON request payload.")
    return body


def _sign_in_error(status: int, error: str, code: int, text: str) -> Reply:
    return Reply(
        status,
        {"error": error, "error_description": f"AADSTS{code}: {text}", "error_codes": [code]},
    )
