"""The vendors' own client libraries, pointed at the emulated platforms: what the demo proves is
only worth what these prove.

Nothing here knows the emulators' insides; requests go over real sockets. The fixtures `platforms`,
`google` and `graph` of conftest hand these out.
"""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Any

import google_auth_httplib2
import googleapiclient
import httplib2
import httpx
import msal
import pytest
import requests
from google.oauth2 import service_account
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError
from googleapiclient.http import HttpRequest

from demo.platforms import Platforms

SCOPES = [
    f"https://www.googleapis.com/auth/admin.directory.{name}"
    for name in ("user", "group", "group.member", "orgunit", "userschema")
]
DISCOVERY = json.loads(
    (
        Path(googleapiclient.__file__).parent / "discovery_cache/documents/admin.directory_v1.json"
    ).read_text(encoding="utf-8")
)
STUDENTS, STAFF = "student.sd74.example", "sd74.example"
PASSWORD = "Correct-horse-9"


class GoogleClient:
    """google-api-python-client as a program would build it."""

    def __init__(self, platforms: Platforms, scopes: list[str] | None = None) -> None:
        document = dict(DISCOVERY, rootUrl=platforms.environment["TARGETS__GOOGLE__ADDRESS"] + "/")
        document.pop("mtlsRootUrl", None)
        self.credentials = service_account.Credentials.from_service_account_file(
            platforms.environment["TARGETS__GOOGLE__CREDENTIALS"],
            scopes=scopes or SCOPES,
            subject=platforms.environment["TARGETS__GOOGLE__SUBJECT"],
        )
        self.http = google_auth_httplib2.AuthorizedHttp(
            self.credentials, http=httplib2.Http(timeout=30)
        )
        self.directory = build_from_document(document, http=self.http)

    def user(self, name: str, **more: Any) -> dict[str, Any]:
        body = {
            "primaryEmail": f"{name}@{STUDENTS}",
            "name": {"givenName": "Test", "familyName": "Pupil"},
            "password": PASSWORD,
        } | more
        return self.directory.users().insert(body=body).execute()

    def schema(self) -> None:
        fields = [
            {
                "fieldName": "person_id",
                "fieldType": "STRING",
                "displayName": "Person id",
                "indexed": True,
            }
        ]
        self.directory.schemas().insert(
            customerId="my_customer",
            body={"schemaName": "Homeroom", "displayName": "Homeroom", "fields": fields},
        ).execute()


class GraphClient:
    """msal for the token, httpx for the calls."""

    def __init__(self, platforms: Platforms) -> None:
        environment = platforms.environment
        session = requests.Session()
        session.trust_env = False  # REQUESTS_CA_BUNDLE in the environment would win over `verify`
        session.verify = environment["TARGETS__MICROSOFT__CA_FILE"]
        self.application = msal.ConfidentialClientApplication(
            environment["TARGETS__MICROSOFT__CLIENT_ID"],
            client_credential=environment["TARGETS__MICROSOFT__CLIENT_SECRET"],
            authority=environment["TARGETS__MICROSOFT__AUTHORITY"],
            instance_discovery=False,
            http_client=session,
        )
        token = self.application.acquire_token_for_client(["https://graph.microsoft.com/.default"])
        self.address = environment["TARGETS__MICROSOFT__ADDRESS"]
        self.http = httpx.Client(
            base_url=self.address,
            headers={"Authorization": f"Bearer {token['access_token']}"},
            verify=ssl.create_default_context(cafile=environment["TARGETS__MICROSOFT__CA_FILE"]),
            trust_env=False,
            timeout=30,
        )

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return self.http.request(method, path, json=body, headers=headers)

    def user(self, name: str, **more: Any) -> httpx.Response:
        body = {
            "accountEnabled": True,
            "displayName": "Test Pupil",
            "mailNickname": name,
            "userPrincipalName": f"{name}@{STUDENTS}",
            "passwordProfile": {"password": PASSWORD, "forceChangePasswordNextSignIn": False},
        } | more
        return self.call("POST", "/users", body)

    def group(self, name: str, **more: Any) -> httpx.Response:
        body = {
            "displayName": name,
            "mailEnabled": False,
            "mailNickname": name,
            "securityEnabled": True,
        } | more
        return self.call("PATCH", f"/groups(uniqueName='{name}')", body, Prefer="create-if-missing")

    def batch(
        self, *items: tuple[str, str, Any], depends: dict[int, list[str]] | None = None
    ) -> dict[str, dict[str, Any]]:
        asked = []
        for number, (method, url, body) in enumerate(items):
            item: dict[str, Any] = {"id": str(number), "method": method, "url": url}
            if body is not None:
                item |= {"body": body, "headers": {"Content-Type": "application/json"}}
            if depends and number in depends:
                item["dependsOn"] = depends[number]
            asked.append(item)
        reply = self.call("POST", "/$batch", {"requests": asked})
        assert reply.status_code == 200, reply.text
        return {item["id"]: item for item in reply.json()["responses"]}

    def pages(self, path: str) -> list[list[dict[str, Any]]]:
        pages, link = [], path
        while link:
            document = self.call("GET", link).json()
            pages.append(document["value"])
            link = document.get("@odata.nextLink", "")
        return pages


def refused(request: HttpRequest) -> tuple[int, str, str]:
    """Status, reason and message of a Google refusal, as a program would read them."""
    with pytest.raises(HttpError) as caught:
        request.execute()
    error = json.loads(caught.value.content)["error"]
    assert error["code"] == caught.value.resp.status
    assert error["errors"][0]["message"] == error["message"]
    return error["code"], error["errors"][0]["reason"], error["message"]


def graph_error(reply: httpx.Response) -> tuple[int, str]:
    error = reply.json()["error"]
    assert error["innerError"]["request-id"] == reply.headers["request-id"]
    return reply.status_code, error["code"]
