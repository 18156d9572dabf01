"""The emulated Google, driven by google-api-python-client: paging, uniqueness, soft deletion,
quotas, exact refusals.
"""

from __future__ import annotations

import time
from typing import Any

import httplib2
import pytest
from google.auth.exceptions import RefreshError
from googleapiclient.discovery import build_from_document
from googleapiclient.http import HttpRequest
from platform_kit import DISCOVERY, PASSWORD, SCOPES, STAFF, STUDENTS, GoogleClient, refused

from demo.platforms import Platforms
from demo.platforms.store import Window


def test_google_lists_users_in_pages_and_needs_a_customer(google: GoogleClient) -> None:
    users = google.directory.users()
    found, request = (
        [],
        users.list(customer="my_customer", maxResults=7, projection="full", orderBy="email"),
    )
    while request is not None:
        page = request.execute()
        found += page.get("users", [])
        request = users.list_next(request, page)
    assert len({user["id"] for user in found}) == len(found) == 40
    assert [user["primaryEmail"] for user in found] == sorted(
        user["primaryEmail"] for user in found
    )
    assert refused(users.list())[0] == 400
    assert refused(users.list(customer="my_customer", maxResults=501))[0] == 400
    partial = users.list(
        customer="my_customer", maxResults=3, fields="users(id,name/givenName)"
    ).execute()
    assert "nextPageToken" not in partial, (
        "a mask without nextPageToken ends paging silently, as in production"
    )
    assert set(partial["users"][0]) == {"id", "name"} and set(partial["users"][0]["name"]) == {
        "givenName"
    }


def test_google_finds_users_by_their_fields(google: GoogleClient) -> None:
    google.schema()
    made = google.user(
        "key.holder",
        customSchemas={"Homeroom": {"person_id": "p1"}},
        externalIds=[{"type": "organization", "value": "K1"}],
    )
    google.user("other.pupil", customSchemas={"Homeroom": {"person_id": "p2"}})

    def found(query: str, **more: Any) -> list[str]:
        reply = google.directory.users().list(customer="my_customer", query=query, **more).execute()
        return [user["primaryEmail"].split("@")[0] for user in reply.get("users", [])]

    assert found("Homeroom.person_id='p1'") == ["key.holder"]
    assert found("externalId=K1") == ["key.holder"]
    assert found("email:obrown*") == [] and found("email:o.brown*") == ["olivia.brown"]
    assert sorted(found("orgUnitPath=/IT")) == ["scanner.library", "tv.foyer"], (
        "a search by unit takes in the units below"
    )
    assert "customSchemas" not in google.directory.users().get(userKey=made["id"]).execute(), (
        "the basic projection has no custom fields"
    )
    full = google.directory.users().get(userKey=made["primaryEmail"], projection="full").execute()
    assert full["customSchemas"] == {"Homeroom": {"person_id": "p1"}}


def test_google_addresses_are_unique_over_users_aliases_and_groups(google: GoogleClient) -> None:
    users, duplicate = google.directory.users(), (409, "duplicate", "Entity already exists.")
    for taken in (
        f"liam.smith@{STUDENTS}",
        f"Liam.Smith@{STUDENTS}",
        f"o.brown@{STUDENTS}",
        f"emily.jones@{STAFF}",
    ):
        body = {
            "primaryEmail": taken,
            "name": {"givenName": "A", "familyName": "B"},
            "password": PASSWORD,
        }
        assert refused(users.insert(body=body)) == duplicate
    google.user("mia.roy")  # the address of a deleted account is free
    gone = users.list(customer="my_customer", showDeleted="true").execute()["users"]
    assert [user["primaryEmail"] for user in gone] == [f"mia.roy@{STUDENTS}"]
    assert refused(users.undelete(userKey=gone[0]["id"], body={"orgUnitPath": "/"}))[:2] == (
        412,
        "conditionNotMet",
    )
    assert (
        refused(google.directory.groups().insert(body={"email": f"jen.brown@{STAFF}"})) == duplicate
    )


def test_google_refuses_incomplete_and_malformed_users(google: GoogleClient) -> None:
    users = google.directory.users()
    good = {
        "primaryEmail": f"x.y@{STUDENTS}",
        "name": {"givenName": "X", "familyName": "Y"},
        "password": PASSWORD,
    }
    assert refused(users.insert(body=good | {"name": {"givenName": "X"}})) == (
        400,
        "invalid",
        "Invalid Given/Family Name: FamilyName",
    )
    assert refused(users.insert(body=good | {"name": {"givenName": "X" * 61, "familyName": "Y"}}))[
        :2
    ] == (400, "invalid")
    assert refused(users.insert(body=good | {"password": "short"})) == (
        400,
        "invalid",
        "Invalid Password",
    )
    assert refused(users.insert(body=good | {"primaryEmail": "x.y@elsewhere.example"})) == (
        404,
        "notFound",
        "Domain not found.",
    )
    for local in ("x..y", ".x", "x.", "x y", "é"):
        assert refused(users.insert(body=good | {"primaryEmail": f"{local}@{STUDENTS}"}))[:2] == (
            400,
            "invalid",
        )
    assert refused(users.insert(body=good | {"orgUnitPath": "/Nowhere"})) == (
        400,
        "invalid",
        "Invalid Input: INVALID_OU_ID",
    )
    assert refused(
        users.insert(body=good | {"customSchemas": {"Homeroom": {"person_id": "p"}}})
    ) == (400, "invalid", "Invalid Input: custom_schema")
    assert refused(users.insert(body=good | {"bogus": 1}))[:2] == (400, "badRequest")
    assert refused(users.get(userKey=f"nobody@{STUDENTS}")) == (
        404,
        "notFound",
        "Resource Not Found: userKey",
    )


def test_google_update_keeps_what_is_absent_and_renaming_keeps_an_alias(
    google: GoogleClient,
) -> None:
    users = google.directory.users()
    google.schema()
    user = google.user(
        "first.name",
        customSchemas={"Homeroom": {"person_id": "p1"}},
        externalIds=[{"type": "organization", "value": "K1"}],
    )
    after = users.update(
        userKey=user["id"], body={"suspended": True, "primaryEmail": f"second.name@{STUDENTS}"}
    ).execute()
    assert (
        after["suspended"]
        and after["name"]["familyName"] == "Pupil"
        and after["customSchemas"]["Homeroom"]["person_id"] == "p1"
    )
    assert after["aliases"] == [f"first.name@{STUDENTS}"]
    assert users.get(userKey=f"first.name@{STUDENTS}").execute()["id"] == user["id"]
    back = users.update(userKey=user["id"], body={"primaryEmail": f"first.name@{STUDENTS}"})
    assert refused(back)[:2] == (409, "duplicate"), (
        "an alias must be deleted before it can become the address again"
    )
    users.aliases().delete(userKey=user["id"], alias=f"first.name@{STUDENTS}").execute()
    assert back.execute()["primaryEmail"] == f"first.name@{STUDENTS}"
    assert "externalIds" in users.patch(userKey=user["id"], body={"externalIds": []}).execute(), (
        "PATCH cannot clear a repeated field"
    )
    assert (
        not users.update(userKey=user["id"], body={"externalIds": []}).execute().get("externalIds")
    )


def test_google_deleting_is_soft_and_undelete_takes_the_immutable_id(google: GoogleClient) -> None:
    users = google.directory.users()
    user = google.user("leaver.one")
    group = google.directory.groups().insert(body={"email": f"class@{STAFF}"}).execute()
    google.directory.members().insert(
        groupKey=group["id"], body={"email": user["primaryEmail"]}
    ).execute()
    assert users.delete(userKey=user["id"]).execute() in ("", b"")
    assert refused(users.get(userKey=user["id"]))[0] == 404
    assert "members" not in google.directory.members().list(groupKey=group["id"]).execute()
    assert (
        refused(users.undelete(userKey=user["primaryEmail"], body={"orgUnitPath": "/"}))[0] == 404
    )
    users.undelete(userKey=user["id"], body={"orgUnitPath": "/IT"}).execute()
    assert users.get(userKey=user["primaryEmail"]).execute()["orgUnitPath"] == "/IT"


def test_google_org_units_need_parents_and_are_unique_whatever_the_letter_case(
    google: GoogleClient,
) -> None:
    units = google.directory.orgunits()

    def insert(parent: str, name: str) -> HttpRequest:
        return units.insert(
            customerId="my_customer", body={"name": name, "parentOrgUnitPath": parent}
        )

    assert refused(insert("/Students", "Grade 7")) == (400, "invalid", "Invalid Parent Orgunit Id")
    insert("/", "Students").execute()
    assert insert("/Students", "Grade 7").execute()["orgUnitPath"] == "/Students/Grade 7"
    assert refused(insert("/", "STUDENTS")) == (400, "invalid", "Invalid Ou Id")
    assert (
        units.get(customerId="my_customer", orgUnitPath="students/grade 7").execute()["name"]
        == "Grade 7"
    )
    assert refused(units.get(customerId="my_customer", orgUnitPath="/Students"))[0] == 404, (
        "the path of a URL has no leading slash"
    )
    every = units.list(customerId="my_customer", type="all").execute()["organizationUnits"]
    assert {unit["orgUnitPath"] for unit in every} == {
        "/IT",
        "/IT/Kiosks",
        "/Shared mailboxes",
        "/Students",
        "/Students/Grade 7",
    }
    user = google.user("mover.one", orgUnitPath="/Students/Grade 7")
    units.update(
        customerId="my_customer", orgUnitPath="Students", body={"name": "Pupils"}
    ).execute()
    assert (
        google.directory.users().get(userKey=user["id"]).execute()["orgUnitPath"]
        == "/Pupils/Grade 7"
    )
    assert refused(units.delete(customerId="my_customer", orgUnitPath="Pupils"))[0] == 400, (
        "only an empty unit can be deleted"
    )
    cycle = units.update(
        customerId="my_customer",
        orgUnitPath="Pupils",
        body={"parentOrgUnitPath": "/Pupils/Grade 7"},
    )
    assert refused(cycle) == (412, "conditionNotMet", "OrgUnit hierarchy has cycle")


def test_google_groups_carry_external_ids_and_members_have_roles(google: GoogleClient) -> None:
    groups, members = google.directory.groups(), google.directory.members()
    key = [{"namespace": "homeroom", "id": "grade-07474001-07"}]
    group = groups.insert(
        body={"email": f"grade@{STAFF}", "name": "Grade 7", "externalIds": key}
    ).execute()
    assert groups.get(groupKey=f"grade@{STAFF}").execute()["externalIds"] == key
    user = google.user("member.one")
    assert (
        members.insert(
            groupKey=group["id"], body={"email": user["primaryEmail"], "role": "MEMBER"}
        ).execute()["id"]
        == user["id"]
    )
    again = members.insert(groupKey=group["id"], body={"id": user["id"], "role": "OWNER"})
    assert refused(again) == (409, "duplicate", "Member already exists.")
    members.patch(groupKey=group["id"], memberKey=user["id"], body={"role": "OWNER"}).execute()
    assert [
        one["role"]
        for one in members.list(groupKey=group["id"], roles="OWNER").execute()["members"]
    ] == ["OWNER"]
    assert refused(members.insert(groupKey=group["id"], body={"email": f"nobody@{STUDENTS}"})) == (
        404,
        "notFound",
        "Resource Not Found: memberKey",
    )
    outer = groups.insert(body={"email": f"outer@{STAFF}"}).execute()
    members.insert(groupKey=outer["id"], body={"email": f"grade@{STAFF}"}).execute()
    cycle = members.insert(groupKey=group["id"], body={"email": f"outer@{STAFF}"})
    assert refused(cycle) == (412, "conditionNotMet", "Cyclic memberships not allowed")
    assert members.hasMember(groupKey=outer["id"], memberKey=user["id"]).execute() == {
        "isMember": True
    }
    members.delete(groupKey=group["id"], memberKey=user["primaryEmail"]).execute()
    assert refused(members.delete(groupKey=group["id"], memberKey=user["id"])) == (
        404,
        "notFound",
        "Resource Not Found: memberKey",
    )
    for number in range(205):
        members.insert(
            groupKey=outer["id"], body={"email": f"guest{number}@elsewhere.example"}
        ).execute()
    first = members.list(groupKey=outer["id"]).execute()
    rest = members.list(groupKey=outer["id"], pageToken=first["nextPageToken"]).execute()
    assert (len(first["members"]), len(rest["members"])) == (200, 6)


def test_google_tokens_need_authorized_scopes_and_a_living_administrator(
    platforms: Platforms, google: GoogleClient
) -> None:
    with pytest.raises(RefreshError, match="unauthorized_client"):
        GoogleClient(
            platforms, [*SCOPES, "https://www.googleapis.com/auth/drive"]
        ).directory.users().list(customer="my_customer").execute()
    groups_only = GoogleClient(platforms, ["https://www.googleapis.com/auth/admin.directory.group"])
    assert refused(groups_only.directory.users().list(customer="my_customer"))[:2] == (
        403,
        "insufficientPermissions",
    )
    stranger = google.credentials.with_subject(f"liam.smith@{STUDENTS}")
    directory = build_from_document(
        dict(DISCOVERY, rootUrl=platforms.environment["TARGETS__GOOGLE__ADDRESS"] + "/"),
        credentials=stranger,
    )
    assert refused(directory.users().list(customer="my_customer"))[:2] == (403, "forbidden")
    reply, _ = httplib2.Http().request(
        platforms.environment["TARGETS__GOOGLE__ADDRESS"]
        + "/admin/directory/v1/users?customer=my_customer"
    )
    assert reply.status == 401


def test_google_throttles_with_403_and_a_reason(platforms: Platforms, google: GoogleClient) -> None:
    platforms.google._quotas[platforms.environment["TARGETS__GOOGLE__SUBJECT"]] = Window(
        limit=3, seconds=3600
    )
    for _ in range(3):
        google.directory.users().get(userKey=f"liam.smith@{STUDENTS}").execute()
    assert refused(google.directory.users().get(userKey=f"liam.smith@{STUDENTS}"))[:2] == (
        403,
        "userRateLimitExceeded",
    )
    assert refused(google.directory.groups().list(customer="my_customer"))[:2] == (
        403,
        "userRateLimitExceeded",
    ), "the quota is the subject's"
    platforms.google._quotas.clear()
    platforms.set_faults(google={"throttle": 1})
    assert refused(google.directory.groups().list(customer="my_customer"))[:2] == (
        429,
        "rateLimitExceeded",
    )
    platforms.set_faults(google={"throttle": 0})
    assert google.directory.groups().list(customer="my_customer").execute()["groups"]


def test_a_quota_window_opens_again_and_counts_what_it_refused() -> None:
    window = Window(limit=2, seconds=0.2)
    assert [window.wait(1) > 0 for _ in range(4)] == [False, False, True, True]
    time.sleep(0.25)
    assert window.wait(2) == 0


def test_google_answers_412_while_a_creation_is_not_complete(
    platforms: Platforms, google: GoogleClient
) -> None:
    platforms.set_faults(incomplete_creation_seconds=0.3)
    user = google.user("new.comer")
    update = google.directory.users().update(userKey=user["id"], body={"suspended": True})
    assert refused(update) == (412, "conditionNotMet", "User creation is not complete.")
    time.sleep(0.35)
    assert update.execute()["suspended"]


def test_google_answers_a_batch_call_by_call(google: GoogleClient) -> None:
    found: dict[str, Any] = {}
    batch = google.directory.new_batch_http_request(
        callback=lambda key, reply, error: found.update({key: error or reply})
    )
    body = {
        "primaryEmail": f"batch.one@{STUDENTS}",
        "name": {"givenName": "A", "familyName": "B"},
        "password": PASSWORD,
    }
    batch.add(google.directory.users().insert(body=body), request_id="made")
    batch.add(google.directory.users().insert(body=body), request_id="twice")
    batch.execute()
    assert (
        found["made"]["primaryEmail"] == f"batch.one@{STUDENTS}"
        and found["twice"].resp.status == 409
    )
