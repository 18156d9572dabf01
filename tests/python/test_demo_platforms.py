"""The emulated platforms, driven by the real client libraries: what the demo proves is only worth what these prove.

Nothing here knows the emulators' insides except to turn faults; requests go over real sockets.
"""

from __future__ import annotations

import json
import os
import ssl
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import google_auth_httplib2
import googleapiclient
import httplib2
import httpx
import msal
import paramiko
import pytest
import requests
from google.auth.exceptions import RefreshError
from google.oauth2 import service_account
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError
from googleapiclient.http import HttpRequest

from common.paths import root
from demo.holdings import holdings
from demo.nights import District, Refused, begin
from demo.platforms import Platforms, running
from demo.platforms.store import Window

SCOPES = [f"https://www.googleapis.com/auth/admin.directory.{name}" for name in ("user", "group", "group.member", "orgunit", "userschema")]
DISCOVERY = json.loads((Path(googleapiclient.__file__).parent / "discovery_cache/documents/admin.directory_v1.json").read_text(encoding="utf-8"))
STUDENTS, STAFF = "student.sd74.example", "sd74.example"
PASSWORD = "Correct-horse-9"


class GoogleClient:
    """google-api-python-client as a program would build it."""

    def __init__(self, platforms: Platforms, scopes: list[str] | None = None) -> None:
        document = dict(DISCOVERY, rootUrl=platforms.environment["TARGETS__GOOGLE__ADDRESS"] + "/")
        document.pop("mtlsRootUrl", None)
        self.credentials = service_account.Credentials.from_service_account_file(
            platforms.environment["TARGETS__GOOGLE__CREDENTIALS"], scopes=scopes or SCOPES, subject=platforms.environment["TARGETS__GOOGLE__SUBJECT"]
        )
        self.http = google_auth_httplib2.AuthorizedHttp(self.credentials, http=httplib2.Http(timeout=30))
        self.directory = build_from_document(document, http=self.http)

    def user(self, name: str, **more: Any) -> dict[str, Any]:
        body = {"primaryEmail": f"{name}@{STUDENTS}", "name": {"givenName": "Test", "familyName": "Pupil"}, "password": PASSWORD} | more
        return self.directory.users().insert(body=body).execute()

    def schema(self) -> None:
        fields = [{"fieldName": "person_id", "fieldType": "STRING", "displayName": "Person id", "indexed": True}]
        self.directory.schemas().insert(customerId="my_customer", body={"schemaName": "Homeroom", "displayName": "Homeroom", "fields": fields}).execute()


class GraphClient:
    """msal for the token, httpx for the calls."""

    def __init__(self, platforms: Platforms) -> None:
        environment = platforms.environment
        session = requests.Session()
        session.trust_env = False  # REQUESTS_CA_BUNDLE in the environment would win over `verify`
        session.verify = environment["TARGETS__MICROSOFT__CA_FILE"]
        self.application = msal.ConfidentialClientApplication(
            environment["TARGETS__MICROSOFT__CLIENT_ID"], client_credential=environment["TARGETS__MICROSOFT__CLIENT_SECRET"],
            authority=environment["TARGETS__MICROSOFT__AUTHORITY"], instance_discovery=False, http_client=session,
        )  # fmt: skip
        token = self.application.acquire_token_for_client(["https://graph.microsoft.com/.default"])
        self.address = environment["TARGETS__MICROSOFT__ADDRESS"]
        self.http = httpx.Client(
            base_url=self.address, headers={"Authorization": f"Bearer {token['access_token']}"},
            verify=ssl.create_default_context(cafile=environment["TARGETS__MICROSOFT__CA_FILE"]), trust_env=False, timeout=30,
        )  # fmt: skip

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return self.http.request(method, path, json=body, headers=headers)

    def user(self, name: str, **more: Any) -> httpx.Response:
        body = {
            "accountEnabled": True, "displayName": "Test Pupil", "mailNickname": name, "userPrincipalName": f"{name}@{STUDENTS}",
            "passwordProfile": {"password": PASSWORD, "forceChangePasswordNextSignIn": False},
        } | more  # fmt: skip
        return self.call("POST", "/users", body)

    def group(self, name: str, **more: Any) -> httpx.Response:
        body = {"displayName": name, "mailEnabled": False, "mailNickname": name, "securityEnabled": True} | more
        return self.call("PATCH", f"/groups(uniqueName='{name}')", body, Prefer="create-if-missing")

    def batch(self, *items: tuple[str, str, Any], depends: dict[int, list[str]] | None = None) -> dict[str, dict[str, Any]]:
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


@pytest.fixture
def platforms(tmp_path: Path) -> Iterator[Platforms]:
    with running(tmp_path) as started:
        yield started


@pytest.fixture
def google(platforms: Platforms) -> GoogleClient:
    return GoogleClient(platforms)


@pytest.fixture
def graph(platforms: Platforms) -> GraphClient:
    return GraphClient(platforms)


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


# --- Google


def test_google_lists_users_in_pages_and_needs_a_customer(google: GoogleClient) -> None:
    users = google.directory.users()
    found, request = [], users.list(customer="my_customer", maxResults=7, projection="full", orderBy="email")
    while request is not None:
        page = request.execute()
        found += page.get("users", [])
        request = users.list_next(request, page)
    assert len({user["id"] for user in found}) == len(found) == 40
    assert [user["primaryEmail"] for user in found] == sorted(user["primaryEmail"] for user in found)
    assert refused(users.list())[0] == 400
    assert refused(users.list(customer="my_customer", maxResults=501))[0] == 400
    partial = users.list(customer="my_customer", maxResults=3, fields="users(id,name/givenName)").execute()
    assert "nextPageToken" not in partial, "a mask without nextPageToken ends paging silently, as in production"
    assert set(partial["users"][0]) == {"id", "name"} and set(partial["users"][0]["name"]) == {"givenName"}


def test_google_finds_users_by_their_fields(google: GoogleClient) -> None:
    google.schema()
    made = google.user("key.holder", customSchemas={"Homeroom": {"person_id": "p1"}}, externalIds=[{"type": "organization", "value": "K1"}])
    google.user("other.pupil", customSchemas={"Homeroom": {"person_id": "p2"}})

    def found(query: str, **more: Any) -> list[str]:
        reply = google.directory.users().list(customer="my_customer", query=query, **more).execute()
        return [user["primaryEmail"].split("@")[0] for user in reply.get("users", [])]

    assert found("Homeroom.person_id='p1'") == ["key.holder"]
    assert found("externalId=K1") == ["key.holder"]
    assert found("email:obrown*") == [] and found("email:o.brown*") == ["olivia.brown"]
    assert sorted(found("orgUnitPath=/IT")) == ["scanner.library", "tv.foyer"], "a search by unit takes in the units below"
    assert "customSchemas" not in google.directory.users().get(userKey=made["id"]).execute(), "the basic projection has no custom fields"
    full = google.directory.users().get(userKey=made["primaryEmail"], projection="full").execute()
    assert full["customSchemas"] == {"Homeroom": {"person_id": "p1"}}


def test_google_addresses_are_unique_over_users_aliases_and_groups(google: GoogleClient) -> None:
    users, duplicate = google.directory.users(), (409, "duplicate", "Entity already exists.")
    for taken in (f"liam.smith@{STUDENTS}", f"Liam.Smith@{STUDENTS}", f"o.brown@{STUDENTS}", f"emily.jones@{STAFF}"):
        body = {"primaryEmail": taken, "name": {"givenName": "A", "familyName": "B"}, "password": PASSWORD}
        assert refused(users.insert(body=body)) == duplicate
    google.user("mia.roy")  # the address of a deleted account is free
    gone = users.list(customer="my_customer", showDeleted="true").execute()["users"]
    assert [user["primaryEmail"] for user in gone] == [f"mia.roy@{STUDENTS}"]
    assert refused(users.undelete(userKey=gone[0]["id"], body={"orgUnitPath": "/"}))[:2] == (412, "conditionNotMet")
    assert refused(google.directory.groups().insert(body={"email": f"jen.brown@{STAFF}"})) == duplicate


def test_google_refuses_incomplete_and_malformed_users(google: GoogleClient) -> None:
    users = google.directory.users()
    good = {"primaryEmail": f"x.y@{STUDENTS}", "name": {"givenName": "X", "familyName": "Y"}, "password": PASSWORD}
    assert refused(users.insert(body=good | {"name": {"givenName": "X"}})) == (400, "invalid", "Invalid Given/Family Name: FamilyName")
    assert refused(users.insert(body=good | {"name": {"givenName": "X" * 61, "familyName": "Y"}}))[:2] == (400, "invalid")
    assert refused(users.insert(body=good | {"password": "short"})) == (400, "invalid", "Invalid Password")
    assert refused(users.insert(body=good | {"primaryEmail": "x.y@elsewhere.example"})) == (404, "notFound", "Domain not found.")
    for local in ("x..y", ".x", "x.", "x y", "é"):
        assert refused(users.insert(body=good | {"primaryEmail": f"{local}@{STUDENTS}"}))[:2] == (400, "invalid")
    assert refused(users.insert(body=good | {"orgUnitPath": "/Nowhere"})) == (400, "invalid", "Invalid Input: INVALID_OU_ID")
    assert refused(users.insert(body=good | {"customSchemas": {"Homeroom": {"person_id": "p"}}})) == (400, "invalid", "Invalid Input: custom_schema")
    assert refused(users.insert(body=good | {"bogus": 1}))[:2] == (400, "badRequest")
    assert refused(users.get(userKey=f"nobody@{STUDENTS}")) == (404, "notFound", "Resource Not Found: userKey")


def test_google_update_keeps_what_is_absent_and_renaming_keeps_an_alias(google: GoogleClient) -> None:
    users = google.directory.users()
    google.schema()
    user = google.user("first.name", customSchemas={"Homeroom": {"person_id": "p1"}}, externalIds=[{"type": "organization", "value": "K1"}])
    after = users.update(userKey=user["id"], body={"suspended": True, "primaryEmail": f"second.name@{STUDENTS}"}).execute()
    assert after["suspended"] and after["name"]["familyName"] == "Pupil" and after["customSchemas"]["Homeroom"]["person_id"] == "p1"
    assert after["aliases"] == [f"first.name@{STUDENTS}"]
    assert users.get(userKey=f"first.name@{STUDENTS}").execute()["id"] == user["id"]
    back = users.update(userKey=user["id"], body={"primaryEmail": f"first.name@{STUDENTS}"})
    assert refused(back)[:2] == (409, "duplicate"), "an alias must be deleted before it can become the address again"
    users.aliases().delete(userKey=user["id"], alias=f"first.name@{STUDENTS}").execute()
    assert back.execute()["primaryEmail"] == f"first.name@{STUDENTS}"
    assert "externalIds" in users.patch(userKey=user["id"], body={"externalIds": []}).execute(), "PATCH cannot clear a repeated field"
    assert not users.update(userKey=user["id"], body={"externalIds": []}).execute().get("externalIds")


def test_google_deleting_is_soft_and_undelete_takes_the_immutable_id(google: GoogleClient) -> None:
    users = google.directory.users()
    user = google.user("leaver.one")
    group = google.directory.groups().insert(body={"email": f"class@{STAFF}"}).execute()
    google.directory.members().insert(groupKey=group["id"], body={"email": user["primaryEmail"]}).execute()
    assert users.delete(userKey=user["id"]).execute() in ("", b"")
    assert refused(users.get(userKey=user["id"]))[0] == 404
    assert "members" not in google.directory.members().list(groupKey=group["id"]).execute()
    assert refused(users.undelete(userKey=user["primaryEmail"], body={"orgUnitPath": "/"}))[0] == 404
    users.undelete(userKey=user["id"], body={"orgUnitPath": "/IT"}).execute()
    assert users.get(userKey=user["primaryEmail"]).execute()["orgUnitPath"] == "/IT"


def test_google_org_units_need_parents_and_are_unique_whatever_the_letter_case(google: GoogleClient) -> None:
    units = google.directory.orgunits()

    def insert(parent: str, name: str) -> HttpRequest:
        return units.insert(customerId="my_customer", body={"name": name, "parentOrgUnitPath": parent})

    assert refused(insert("/Students", "Grade 7")) == (400, "invalid", "Invalid Parent Orgunit Id")
    insert("/", "Students").execute()
    assert insert("/Students", "Grade 7").execute()["orgUnitPath"] == "/Students/Grade 7"
    assert refused(insert("/", "STUDENTS")) == (400, "invalid", "Invalid Ou Id")
    assert units.get(customerId="my_customer", orgUnitPath="students/grade 7").execute()["name"] == "Grade 7"
    assert refused(units.get(customerId="my_customer", orgUnitPath="/Students"))[0] == 404, "the path of a URL has no leading slash"
    every = units.list(customerId="my_customer", type="all").execute()["organizationUnits"]
    assert {unit["orgUnitPath"] for unit in every} == {"/IT", "/IT/Kiosks", "/Shared mailboxes", "/Students", "/Students/Grade 7"}
    user = google.user("mover.one", orgUnitPath="/Students/Grade 7")
    units.update(customerId="my_customer", orgUnitPath="Students", body={"name": "Pupils"}).execute()
    assert google.directory.users().get(userKey=user["id"]).execute()["orgUnitPath"] == "/Pupils/Grade 7"
    assert refused(units.delete(customerId="my_customer", orgUnitPath="Pupils"))[0] == 400, "only an empty unit can be deleted"
    cycle = units.update(customerId="my_customer", orgUnitPath="Pupils", body={"parentOrgUnitPath": "/Pupils/Grade 7"})
    assert refused(cycle) == (412, "conditionNotMet", "OrgUnit hierarchy has cycle")


def test_google_groups_carry_external_ids_and_members_have_roles(google: GoogleClient) -> None:
    groups, members = google.directory.groups(), google.directory.members()
    key = [{"namespace": "homeroom", "id": "grade-07474001-07"}]
    group = groups.insert(body={"email": f"grade@{STAFF}", "name": "Grade 7", "externalIds": key}).execute()
    assert groups.get(groupKey=f"grade@{STAFF}").execute()["externalIds"] == key
    user = google.user("member.one")
    assert members.insert(groupKey=group["id"], body={"email": user["primaryEmail"], "role": "MEMBER"}).execute()["id"] == user["id"]
    again = members.insert(groupKey=group["id"], body={"id": user["id"], "role": "OWNER"})
    assert refused(again) == (409, "duplicate", "Member already exists.")
    members.patch(groupKey=group["id"], memberKey=user["id"], body={"role": "OWNER"}).execute()
    assert [one["role"] for one in members.list(groupKey=group["id"], roles="OWNER").execute()["members"]] == ["OWNER"]
    assert refused(members.insert(groupKey=group["id"], body={"email": f"nobody@{STUDENTS}"})) == (404, "notFound", "Resource Not Found: memberKey")
    outer = groups.insert(body={"email": f"outer@{STAFF}"}).execute()
    members.insert(groupKey=outer["id"], body={"email": f"grade@{STAFF}"}).execute()
    cycle = members.insert(groupKey=group["id"], body={"email": f"outer@{STAFF}"})
    assert refused(cycle) == (412, "conditionNotMet", "Cyclic memberships not allowed")
    assert members.hasMember(groupKey=outer["id"], memberKey=user["id"]).execute() == {"isMember": True}
    members.delete(groupKey=group["id"], memberKey=user["primaryEmail"]).execute()
    assert refused(members.delete(groupKey=group["id"], memberKey=user["id"])) == (404, "notFound", "Resource Not Found: memberKey")
    for number in range(205):
        members.insert(groupKey=outer["id"], body={"email": f"guest{number}@elsewhere.example"}).execute()
    first = members.list(groupKey=outer["id"]).execute()
    rest = members.list(groupKey=outer["id"], pageToken=first["nextPageToken"]).execute()
    assert (len(first["members"]), len(rest["members"])) == (200, 6)


def test_google_tokens_need_authorized_scopes_and_a_living_administrator(platforms: Platforms, google: GoogleClient) -> None:
    with pytest.raises(RefreshError, match="unauthorized_client"):
        GoogleClient(platforms, [*SCOPES, "https://www.googleapis.com/auth/drive"]).directory.users().list(customer="my_customer").execute()
    groups_only = GoogleClient(platforms, ["https://www.googleapis.com/auth/admin.directory.group"])
    assert refused(groups_only.directory.users().list(customer="my_customer"))[:2] == (403, "insufficientPermissions")
    stranger = google.credentials.with_subject(f"liam.smith@{STUDENTS}")
    directory = build_from_document(dict(DISCOVERY, rootUrl=platforms.environment["TARGETS__GOOGLE__ADDRESS"] + "/"), credentials=stranger)
    assert refused(directory.users().list(customer="my_customer"))[:2] == (403, "forbidden")
    reply, _ = httplib2.Http().request(platforms.environment["TARGETS__GOOGLE__ADDRESS"] + "/admin/directory/v1/users?customer=my_customer")
    assert reply.status == 401


def test_google_throttles_with_403_and_a_reason(platforms: Platforms, google: GoogleClient) -> None:
    platforms.google._quotas[platforms.environment["TARGETS__GOOGLE__SUBJECT"]] = Window(limit=3, seconds=3600)
    for _ in range(3):
        google.directory.users().get(userKey=f"liam.smith@{STUDENTS}").execute()
    assert refused(google.directory.users().get(userKey=f"liam.smith@{STUDENTS}"))[:2] == (403, "userRateLimitExceeded")
    assert refused(google.directory.groups().list(customer="my_customer"))[:2] == (403, "userRateLimitExceeded"), "the quota is the subject's"
    platforms.google._quotas.clear()
    platforms.set_faults(google={"throttle": 1})
    assert refused(google.directory.groups().list(customer="my_customer"))[:2] == (429, "rateLimitExceeded")
    platforms.set_faults(google={"throttle": 0})
    assert google.directory.groups().list(customer="my_customer").execute()["groups"]


def test_a_quota_window_opens_again_and_counts_what_it_refused() -> None:
    window = Window(limit=2, seconds=0.2)
    assert [window.wait(1) > 0 for _ in range(4)] == [False, False, True, True]
    time.sleep(0.25)
    assert window.wait(2) == 0


def test_google_answers_412_while_a_creation_is_not_complete(platforms: Platforms, google: GoogleClient) -> None:
    platforms.set_faults(incomplete_creation_seconds=0.3)
    user = google.user("new.comer")
    update = google.directory.users().update(userKey=user["id"], body={"suspended": True})
    assert refused(update) == (412, "conditionNotMet", "User creation is not complete.")
    time.sleep(0.35)
    assert update.execute()["suspended"]


def test_google_answers_a_batch_call_by_call(google: GoogleClient) -> None:
    found: dict[str, Any] = {}
    batch = google.directory.new_batch_http_request(callback=lambda key, reply, error: found.update({key: error or reply}))
    body = {"primaryEmail": f"batch.one@{STUDENTS}", "name": {"givenName": "A", "familyName": "B"}, "password": PASSWORD}
    batch.add(google.directory.users().insert(body=body), request_id="made")
    batch.add(google.directory.users().insert(body=body), request_id="twice")
    batch.execute()
    assert found["made"]["primaryEmail"] == f"batch.one@{STUDENTS}" and found["twice"].resp.status == 409


# --- Microsoft


def test_graph_users_are_created_read_by_selection_and_changed(graph: GraphClient) -> None:
    made = graph.user("new.pupil", onPremisesExtensionAttributes={"extensionAttribute15": "p1"}, usageLocation="CA", givenName="New")
    assert made.status_code == 201 and "onPremisesExtensionAttributes" not in made.json(), "a create answers with the default properties only"
    key = made.json()["id"]
    chosen = graph.call("GET", f"/users/new.pupil@{STUDENTS}?$select=id,accountEnabled,onPremisesExtensionAttributes").json()
    attributes = chosen.pop("onPremisesExtensionAttributes")
    assert attributes["extensionAttribute15"] == "p1" and len(attributes) == 15
    assert {name for name in chosen if "@" not in name} == {"id", "accountEnabled"}
    assert "accountEnabled" not in graph.call("GET", f"/users/{key}").json()
    changed = graph.call("PATCH", f"/users/{key}", {"accountEnabled": False, "userPrincipalName": f"renamed.pupil@{STUDENTS}"})
    assert (changed.status_code, changed.content) == (204, b"")
    after = graph.call("GET", f"/users/{key}?$select=accountEnabled,givenName,userPrincipalName").json()
    assert (after["accountEnabled"], after["givenName"], after["userPrincipalName"]) == (False, "New", f"renamed.pupil@{STUDENTS}")
    assert graph.call("GET", f"/users/new.pupil@{STUDENTS}").status_code == 404, "a renamed principal name is free"
    assert graph_error(graph.call("GET", "/users?$select=bogus")) == (400, "BadRequest")


def test_graph_names_the_property_in_a_conflict(graph: GraphClient) -> None:
    reply = graph.user("liam.smith")
    assert graph_error(reply) == (400, "Request_BadRequest")
    detail = reply.json()["error"]["details"][0]
    assert (detail["code"], detail["target"]) == ("ObjectConflict", "userPrincipalName")
    assert graph.user("o.brown").json()["error"]["details"][0]["target"] == "proxyAddresses", "an alias of somebody else"


@pytest.mark.parametrize(
    "wrong",
    [
        {"userPrincipalName": "x@elsewhere.example"}, {"userPrincipalName": f"é@{STUDENTS}"}, {"userPrincipalName": f"x.@{STUDENTS}"},
        {"mailNickname": "a b"}, {"displayName": ""}, {"displayName": "x" * 257}, {"usageLocation": "Canada"}, {"passwordProfile": {"password": "weak"}},
        {"accountEnabled": "yes"}, {"bogus": 1}, {"id": "x"}, {"employeeId": "x" * 17}, {"passwordProfile": None},
    ],
)  # fmt: skip
def test_graph_refuses_malformed_users(graph: GraphClient, wrong: dict[str, Any]) -> None:
    assert graph.user("fine.name", **wrong).status_code == 400
    assert graph.call("GET", f"/users/fine.name@{STUDENTS}").status_code == 404


def test_graph_lists_in_pages_and_filters(graph: GraphClient) -> None:
    pages = graph.pages("/users?$top=15&$select=id,userPrincipalName")
    assert [len(page) for page in pages] == [15, 15, 10] and len({user["id"] for page in pages for user in page}) == 40
    assert len(graph.call("GET", f"/users?$filter=userPrincipalName eq 'liam.smith@{STUDENTS}'").json()["value"]) == 1
    both = graph.call("GET", "/users?$filter=surname eq 'Smith' and startswith(displayName,'Liam')").json()["value"]
    assert [user["displayName"] for user in both] == ["Liam Smith"]
    graph.user("holder.one", onPremisesExtensionAttributes={"extensionAttribute15": "p'1"})
    query = "/users?$filter=onPremisesExtensionAttributes/extensionAttribute15 eq 'p''1'"
    assert graph_error(graph.call("GET", query)) == (400, "Request_UnsupportedQuery")
    advanced = graph.call("GET", query + "&$count=true", ConsistencyLevel="eventual").json()
    assert advanced["@odata.count"] == 1 and advanced["value"][0]["userPrincipalName"].startswith("holder.one")
    assert graph.call("GET", "/users?$top=1000").status_code == 400


def test_graph_deletes_softly_and_restores_with_memberships(graph: GraphClient) -> None:
    user, group = graph.user("leaver.two").json(), graph.group("class-a").json()
    reference = {"@odata.id": f"{graph.address}/directoryObjects/{user['id']}"}
    assert graph.call("POST", f"/groups/{group['id']}/members/$ref", reference).status_code == 204
    assert graph.call("DELETE", f"/users/{user['id']}").status_code == 204
    assert graph.pages(f"/groups/{group['id']}/members")[0] == []
    deleted = graph.call("GET", "/directory/deletedItems/microsoft.graph.user?$select=id,userPrincipalName").json()["value"]
    assert {one["userPrincipalName"] for one in deleted} == {f"mia.roy@{STUDENTS}", f"leaver.two@{STUDENTS}"}
    twin = graph.user("leaver.two")
    assert twin.status_code == 201, "the principal name of a deleted account can be used again"
    restore = f"/directory/deletedItems/{user['id']}/restore"
    assert graph_error(graph.call("POST", restore)) == (400, "Request_BadRequest")
    graph.call("DELETE", f"/users/{twin.json()['id']}")
    assert graph.call("POST", restore).status_code == 200
    assert [one["id"] for one in graph.pages(f"/groups/{group['id']}/members?$select=id")[0]] == [user["id"]]


def test_graph_groups_are_upserted_by_unique_name(graph: GraphClient) -> None:
    first = graph.group("grade-07", description="Grade 7")
    assert first.status_code == 201
    assert graph.group("grade-07", description="Grade seven").status_code == 204
    found = graph.call("GET", "/groups(uniqueName='grade-07')?$select=id,uniqueName,description").json()
    assert (found["id"], found["uniqueName"], found["description"]) == (first.json()["id"], "grade-07", "Grade seven")
    assert graph_error(graph.call("PATCH", "/groups(uniqueName='grade-08')", {"description": "x"})) == (404, "Request_ResourceNotFound")
    assert graph.group("mailed", mailEnabled=True).status_code == 400, "mail-enabled security groups cannot be made through Graph"
    assert graph.call("DELETE", f"/groups/{found['id']}").status_code == 204
    assert graph.group("grade-07").status_code == 201


def test_graph_binds_twenty_members_or_none(graph: GraphClient) -> None:
    group = graph.group("class-b").json()["id"]
    people = [graph.user(f"bind.p{number}").json()["id"] for number in range(21)]
    urls = [f"https://graph.microsoft.com/v1.0/directoryObjects/{one}" for one in people]

    def bind(chosen: list[str]) -> httpx.Response:
        return graph.call("PATCH", f"/groups/{group}", {"members@odata.bind": chosen})

    assert bind(urls).status_code == 400 and graph.pages(f"/groups/{group}/members")[0] == []
    assert bind(urls[:20]).status_code == 204
    reply = bind([urls[20], urls[0]])
    assert reply.json()["error"]["message"] == "One or more added object references already exist for the following modified properties: 'members'."
    assert bind([urls[20], urls[20].replace(people[20], "00000000-0000-0000-0000-000000000000")]).status_code == 404
    assert len(graph.pages(f"/groups/{group}/members?$top=999&$select=id")[0]) == 20, "one bad reference and none is added"
    assert graph.call("DELETE", f"/groups/{group}/members/{people[0]}/$ref").status_code == 204
    assert graph.call("DELETE", f"/groups/{group}/members/{people[0]}/$ref").status_code == 404
    assert graph.call("GET", f"/users/{people[0]}").status_code == 200
    assert [len(page) for page in graph.pages(f"/groups/{group}/members?$top=8&$select=id")] == [8, 8, 3]


def test_graph_batch_items_succeed_fail_and_depend_one_by_one(graph: GraphClient) -> None:
    group = graph.group("class-c").json()["id"]
    done = graph.batch(
        ("GET", f"/users/liam.smith@{STUDENTS}?$select=id", None),
        ("PATCH", "/users/00000000-0000-0000-0000-000000000000", {"accountEnabled": False}),
        ("DELETE", f"/groups/{group}", None),
        ("GET", f"/groups/{group}", None),
        depends={2: ["1"], 3: ["0"]},
    )
    assert {key: item["status"] for key, item in done.items()} == {"0": 200, "1": 404, "2": 424, "3": 200}
    assert done["1"]["body"]["error"]["code"] == "Request_ResourceNotFound"
    many = [{"id": str(number), "method": "GET", "url": "/users"} for number in range(21)]
    assert graph.call("POST", "/$batch", {"requests": many}).status_code == 400
    assert graph.call("POST", "/$batch", {"requests": [many[0], many[0]]}).status_code == 400


def test_graph_throttles_each_item_with_its_own_retry_after(platforms: Platforms, graph: GraphClient) -> None:
    platforms.microsoft._writes.limit = 2
    items = [("PATCH", f"/users/{name}@{STUDENTS}", {"department": "Grade 7"}) for name in ("liam.smith", "noah.johnson", "emma.wilson")]
    done = graph.batch(*items)
    assert [done[key]["status"] for key in "012"] == [204, 204, 429]
    assert float(done["2"]["headers"]["Retry-After"]) > 0 and done["2"]["body"]["error"]["code"] == "TooManyRequests"
    assert graph.call("GET", "/users?$top=1&$select=id").status_code == 200, "writes and reads are counted apart"
    reply = graph.call("PATCH", f"/users/liam.smith@{STUDENTS}", {"department": "x"})
    assert reply.status_code == 429 and 0 < float(reply.headers["retry-after"]) <= 150 / 30
    assert reply.headers["x-ms-throttle-information"] == "WriteLimitExceeded"


def test_graph_licences_need_a_place_and_a_free_seat(graph: GraphClient) -> None:
    sku = graph.call("GET", "/subscribedSkus").json()["value"][0]
    user = graph.user("licensed.one").json()["id"]
    body = {"addLicenses": [{"skuId": sku["skuId"], "disabledPlans": []}], "removeLicenses": []}
    assert graph.call("POST", f"/users/{user}/assignLicense", body).status_code == 400
    graph.call("PATCH", f"/users/{user}", {"usageLocation": "CA"})
    assert graph.call("POST", f"/users/{user}/assignLicense", body).status_code == 200
    assert graph.call("GET", "/subscribedSkus").json()["value"][0]["consumedUnits"] == 1


def test_graph_frees_the_seat_of_a_deleted_user_and_gives_it_back_with_the_user_while_one_is_free(platforms: Platforms, graph: GraphClient) -> None:
    sku = graph.call("GET", "/subscribedSkus").json()["value"][0]["skuId"]
    one, other = (graph.user(name, usageLocation="CA").json()["id"] for name in ("seat.one", "seat.other"))
    body = {"addLicenses": [{"skuId": sku, "disabledPlans": []}], "removeLicenses": []}

    def taken() -> int:
        return int(graph.call("GET", "/subscribedSkus").json()["value"][0]["consumedUnits"])

    assert graph.call("POST", f"/users/{one}/assignLicense", body).status_code == 200
    for seats, back in ((9, [sku]), (1, [])):
        platforms.set_faults(licence_seats=seats)
        graph.call("DELETE", f"/users/{one}")
        assert taken() == 0
        if not back:
            assert graph.call("POST", f"/users/{other}/assignLicense", body).status_code == 200
        assert graph.call("POST", f"/directory/deletedItems/{one}/restore").status_code == 200
        held = graph.call("GET", f"/users/{one}?$select=assignedLicenses").json()["assignedLicenses"]
        assert ([each["skuId"] for each in held], taken()) == (back, 1)


def test_graph_refuses_a_wrong_secret_and_a_missing_token(platforms: Platforms, graph: GraphClient) -> None:
    session = requests.Session()
    session.trust_env, session.verify = False, platforms.environment["TARGETS__MICROSOFT__CA_FILE"]
    application = msal.ConfidentialClientApplication(
        platforms.environment["TARGETS__MICROSOFT__CLIENT_ID"], client_credential="wrong",
        authority=platforms.environment["TARGETS__MICROSOFT__AUTHORITY"], instance_discovery=False, http_client=session,
    )  # fmt: skip
    assert application.acquire_token_for_client(["https://graph.microsoft.com/.default"])["error"] == "invalid_client"
    assert graph_error(graph.call("GET", "/users", Authorization="Bearer nonsense")) == (401, "InvalidAuthenticationToken")


# --- faults


def test_a_lost_reply_leaves_the_write_behind(platforms: Platforms, google: GoogleClient, graph: GraphClient) -> None:
    platforms.set_faults(lose_reply_after_commit=1)
    with pytest.raises(httpx.RemoteProtocolError):
        graph.user("lost.reply")
    body = {"primaryEmail": f"lost.reply@{STUDENTS}", "name": {"givenName": "A", "familyName": "B"}, "password": PASSWORD}
    # httplib2 sends a request again by itself when a kept connection was closed without a reply: the writer meets its own account
    assert refused(google.directory.users().insert(body=body))[:2] == (409, "duplicate")
    platforms.set_faults(lose_reply_after_commit=0)
    assert google.directory.users().get(userKey=f"lost.reply@{STUDENTS}").execute()
    assert graph.call("GET", f"/users/lost.reply@{STUDENTS}").status_code == 200


def test_a_dropped_write_is_answered_as_done_and_not_kept(platforms: Platforms, google: GoogleClient, graph: GraphClient) -> None:
    platforms.set_faults(drop_writes=1)
    assert google.user("dropped.one")["id"]
    assert graph.user("dropped.one").status_code == 201
    platforms.set_faults(drop_writes=0)
    assert refused(google.directory.users().get(userKey=f"dropped.one@{STUDENTS}"))[0] == 404
    assert google.user("dropped.one")["id"], "the address was not taken either"
    assert graph.user("dropped.one").status_code == 201


def test_lists_lag_behind_while_reads_by_key_are_current(platforms: Platforms, google: GoogleClient, graph: GraphClient) -> None:
    platforms.set_faults(read_lag_seconds=0.4)
    user = google.user("late.one")
    google.directory.users().update(userKey=f"liam.smith@{STUDENTS}", body={"suspended": True}).execute()
    graph.user("late.one")

    def listed() -> tuple[int, int]:
        lists = google.directory.users().list(customer="my_customer", maxResults=500).execute()["users"]
        assert [one["suspended"] for one in lists if one["primaryEmail"].startswith("liam.")] == [len(lists) == 41]
        return len(lists), len(graph.pages("/users?$top=999")[0])

    assert listed() == (40, 40)
    assert google.directory.users().get(userKey=user["id"]).execute() and graph.call("GET", f"/users/late.one@{STUDENTS}").status_code == 200
    time.sleep(0.5)
    assert listed() == (41, 41)


def test_faults_are_turned_over_http_while_the_platform_runs(platforms: Platforms, google: GoogleClient) -> None:
    address = platforms.environment["TARGETS__GOOGLE__ADDRESS"] + "/_emulator/faults"
    assert httpx.post(address, json={"random_5xx": 1}).json()["random_5xx"] == 1
    assert refused(google.directory.users().get(userKey=f"liam.smith@{STUDENTS}"))[:2] == (503, "backendError")
    assert httpx.post(address, json={"gremlins": 1}).status_code == 400
    assert httpx.post(address, json={"random_5xx": 0, "latency_seconds": 0.2}).status_code == 200
    began = time.monotonic()
    google.directory.users().get(userKey=f"liam.smith@{STUDENTS}").execute()
    assert time.monotonic() - began >= 0.2
    assert httpx.post(address.replace("/faults", "/save")).status_code == 200 and platforms.places.state_of("google").is_file()


# --- the record, the state, the vendors


def test_every_request_is_recorded_with_production_names_and_without_secrets(platforms: Platforms, google: GoogleClient, graph: GraphClient) -> None:
    google.user("recorded.one")
    group = graph.group("recorded").json()["id"]
    user = graph.user("recorded.one").json()["id"]
    graph.batch(("PATCH", f"/groups/{group}", {"members@odata.bind": [f"{graph.address}/directoryObjects/{user}"]}), ("GET", "/users", None))
    httpx.get(platforms.environment["TARGETS__GOOGLE__ADDRESS"] + "/_emulator/faults")
    text = platforms.places.requests.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert all(set(line) == {"method", "url", "headers", "body"} for line in lines)
    assert [line["method"] + " " + line["url"].split("?")[0] for line in lines] == [
        f"POST https://login.microsoftonline.com/{platforms.environment['TARGETS__MICROSOFT__AUTHORITY'].rsplit('/', 1)[1]}/oauth2/v2.0/token",
        "POST https://oauth2.googleapis.com/token",
        "POST https://admin.googleapis.com/admin/directory/v1/users",
        "PATCH https://graph.microsoft.com/v1.0/groups(uniqueName='recorded')",
        "POST https://graph.microsoft.com/v1.0/users",
        "POST https://graph.microsoft.com/v1.0/$batch",
    ]
    assert all(line["headers"]["authorization"] == "Bearer -" for line in lines[2:])
    assert lines[-1]["body"]["requests"][0]["body"]["members@odata.bind"] == [f"https://graph.microsoft.com/v1.0/directoryObjects/{user}"]
    for secret in (PASSWORD, platforms.environment["TARGETS__MICROSOFT__CLIENT_SECRET"], google.credentials.token, "localhost"):
        assert secret not in text
    assert ".-&" in lines[1]["body"], "the assertion is there without its signature"


def test_the_state_outlives_the_servers_and_names_what_is_not_ours(tmp_path: Path) -> None:
    with running(tmp_path) as platforms:
        GoogleClient(platforms).user("stays.here")
        group = GraphClient(platforms).group("stays").json()["id"]
    with running(tmp_path) as platforms:
        assert GoogleClient(platforms).directory.users().get(userKey=f"stays.here@{STUDENTS}").execute()
        assert GraphClient(platforms).call("GET", f"/groups/{group}").status_code == 200
    tables = json.loads((tmp_path / "platforms" / "google.json").read_text(encoding="utf-8"))
    held = holdings("google", tables)
    assert {"group": f"jazz.band@{STAFF}", "member": f"liam.smith@{STUDENTS}", "role": "MEMBER"} in held["members"]
    assert len(held["users"]) == 41 and held["schemas"] == [] and PASSWORD not in json.dumps(tables)
    held = holdings("microsoft", json.loads((tmp_path / "platforms" / "microsoft.json").read_text(encoding="utf-8")))
    assert "stays" in {one.get("uniqueName") for one in held["groups"]}
    assert f"liam.smith@{STUDENTS}" in {one["userPrincipalName"] for one in held["members"]}


def test_both_tenants_hold_the_same_unmanaged_people_and_no_key_of_ours(platforms: Platforms) -> None:
    google = platforms.google.store["users"].values()
    microsoft = platforms.microsoft.store["users"].values()
    assert {user["primaryEmail"] for user in google} == {user["userPrincipalName"] for user in microsoft}
    assert not any("customSchemas" in user for user in google) and not any("onPremisesExtensionAttributes" in user for user in microsoft)


def test_each_vendor_is_shut_into_its_own_folder_over_sftp(platforms: Platforms) -> None:
    (platforms.places.extracts / "SchoolDetails.csv").write_text("x", encoding="utf-8")
    prefix = "TARGETS__PORTFOLIO__"
    setting = {name.removeprefix(prefix): value for name, value in platforms.environment.items() if name.startswith(prefix)}

    def connect(user: str, key_file: str) -> paramiko.SSHClient:
        client = paramiko.SSHClient()
        client.load_host_keys(setting["KNOWN_HOSTS"])
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        client.connect(setting["HOST"], int(setting["PORT"]), user, key_filename=key_file, allow_agent=False, look_for_keys=False, timeout=20)
        return client

    with connect(setting["USER"], setting["KEY_FILE"]) as client:
        sftp = client.open_sftp()
        for content in (b"first", b"second"):
            with sftp.open("students.csv.part", "wb") as remote:
                remote.write(content)
            sftp.posix_rename("students.csv.part", "students.csv")
        assert sftp.listdir(setting["FOLDER"]) == ["students.csv"] and sftp.stat("/students.csv").st_size == 6
        with pytest.raises(FileNotFoundError):
            sftp.stat("/../../platforms/google.json")
    assert (platforms.places.received / "portfolio" / "students.csv").read_bytes() == b"second"
    with connect("myedbc", setting["KEY_FILE"]) as client:
        assert client.open_sftp().listdir(".") == ["SchoolDetails.csv"]
    stranger = platforms.places.state / "keys" / "sftp_host_ed25519"  # a good key that was let in nowhere
    for user, key_file in (("portfolio", str(stranger)), ("nobody", setting["KEY_FILE"])):
        with pytest.raises(paramiko.AuthenticationException):
            connect(user, key_file)
    assert stat.S_IMODE(Path(setting["KEY_FILE"]).stat().st_mode) == 0o600


def test_many_threads_write_at_once_and_nothing_is_lost(platforms: Platforms) -> None:
    clients, failures = [GoogleClient(platforms) for _ in range(4)], []

    def work(number: int, client: GoogleClient) -> None:
        try:
            for count in range(15):
                client.user(f"crowd.{number}.n{count}")
        except HttpError as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number, client)) for number, client in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and len(platforms.google.store["users"]) == 100


# --- the command


def test_the_serve_verb_prints_its_environment_and_saves_when_its_input_closes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "demo", "serve", "--state", str(tmp_path / "s"), "--requests", str(tmp_path / "requests.jsonl")]
    with subprocess.Popen([*command, "--faults", '{"random_5xx": 1}'], cwd=root(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        environment = json.loads(child.stdout.readline())
        assert httpx.get(environment["TARGETS__GOOGLE__ADDRESS"] + "/_emulator/faults").json()["random_5xx"] == 1
        child.stdin.close()
        assert child.wait(30) == 0
    assert (tmp_path / "s" / "google.json").is_file() and (tmp_path / "s" / "microsoft.json").is_file()
    wrong = subprocess.run([*command, "--faults", '{"gremlins": 1}'], cwd=root(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert wrong.returncode == 2 and "gremlins" in wrong.stderr and "Traceback" not in wrong.stderr


def test_the_with_verb_runs_a_command_against_the_saved_state(tmp_path: Path) -> None:
    environment = os.environ | {"HOMEROOM_VAR": str(tmp_path)}

    def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "demo", *arguments], cwd=root(), env=environment, capture_output=True, text=True, check=False)

    before = demo("state", "google")
    assert before.returncode == 2 and "make demo" in before.stderr
    assert demo("again").returncode == 2
    (tmp_path / "demo").mkdir(exist_ok=True)
    (tmp_path / "demo" / "district.json").write_text('{"students": 60, "seed": 1, "day": 0}', encoding="utf-8")
    ran = demo("with", "--", sys.executable, "-c", "import os, sys; print(os.environ['TARGETS__GOOGLE__ADDRESS']); sys.exit(3)")
    assert ran.returncode == 3 and ran.stdout.startswith("http://127.0.0.1:")
    held = json.loads(demo("state", "google").stdout)
    assert set(held) >= {"users", "groups", "members", "org_units", "schemas"} and len(held["users"]) == 40


def test_the_demo_does_not_empty_a_folder_it_did_not_make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path))
    (tmp_path / "warehouse.duckdb").write_bytes(b"a real district")
    with pytest.raises(Refused, match=r"warehouse\.duckdb"):
        begin(60, 1)
    assert (tmp_path / "warehouse.duckdb").read_bytes() == b"a real district"


def test_the_demo_begins_from_nothing_in_a_folder_of_its_own_and_leaves_the_inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path))
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "SchoolDetails.csv").write_text("somebody's", encoding="utf-8")
    begin(60, 1).tomorrow().write()
    assert District.there() == District(60, 1, 1)
    (tmp_path / "warehouse.duckdb").write_bytes(b"made by the demo")
    assert begin(60, 2) == District.there() == District(60, 2, 0)
    assert not (tmp_path / "warehouse.duckdb").exists() and (tmp_path / "inbox" / "SchoolDetails.csv").exists()
    assert (tmp_path / "demo" / "extracts" / "SchoolDetails.csv").is_file() and (tmp_path / "demo" / "hr.sqlite").is_file()
