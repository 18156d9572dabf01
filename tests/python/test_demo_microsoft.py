"""The emulated Microsoft, driven by msal and httpx: paging, conflicts, deleted items, batches,
quotas, licences.
"""

from __future__ import annotations

from typing import Any

import httpx
import msal
import pytest
import requests
from platform_kit import STUDENTS, GraphClient, graph_error

from demo.platforms import Platforms


def test_graph_users_are_created_read_by_selection_and_changed(graph: GraphClient) -> None:
    made = graph.user(
        "new.pupil",
        onPremisesExtensionAttributes={"extensionAttribute15": "p1"},
        usageLocation="CA",
        givenName="New",
    )
    assert made.status_code == 201 and "onPremisesExtensionAttributes" not in made.json(), (
        "a create answers with the default properties only"
    )
    key = made.json()["id"]
    chosen = graph.call(
        "GET",
        f"/users/new.pupil@{STUDENTS}?$select=id,accountEnabled,onPremisesExtensionAttributes",
    ).json()
    attributes = chosen.pop("onPremisesExtensionAttributes")
    assert attributes["extensionAttribute15"] == "p1" and len(attributes) == 15
    assert {name for name in chosen if "@" not in name} == {"id", "accountEnabled"}
    assert "accountEnabled" not in graph.call("GET", f"/users/{key}").json()
    changed = graph.call(
        "PATCH",
        f"/users/{key}",
        {"accountEnabled": False, "userPrincipalName": f"renamed.pupil@{STUDENTS}"},
    )
    assert (changed.status_code, changed.content) == (204, b"")
    after = graph.call(
        "GET", f"/users/{key}?$select=accountEnabled,givenName,userPrincipalName"
    ).json()
    assert (after["accountEnabled"], after["givenName"], after["userPrincipalName"]) == (
        False,
        "New",
        f"renamed.pupil@{STUDENTS}",
    )
    assert graph.call("GET", f"/users/new.pupil@{STUDENTS}").status_code == 404, (
        "a renamed principal name is free"
    )
    assert graph_error(graph.call("GET", "/users?$select=bogus")) == (400, "BadRequest")


def test_graph_names_the_property_in_a_conflict(graph: GraphClient) -> None:
    reply = graph.user("liam.smith")
    assert graph_error(reply) == (400, "Request_BadRequest")
    detail = reply.json()["error"]["details"][0]
    assert (detail["code"], detail["target"]) == ("ObjectConflict", "userPrincipalName")
    assert graph.user("o.brown").json()["error"]["details"][0]["target"] == "proxyAddresses", (
        "an alias of somebody else"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"userPrincipalName": "x@elsewhere.example"},
        {"userPrincipalName": f"é@{STUDENTS}"},
        {"userPrincipalName": f"x.@{STUDENTS}"},
        {"mailNickname": "a b"},
        {"displayName": ""},
        {"displayName": "x" * 257},
        {"usageLocation": "Canada"},
        {"passwordProfile": {"password": "weak"}},
        {"accountEnabled": "yes"},
        {"bogus": 1},
        {"id": "x"},
        {"employeeId": "x" * 17},
        {"passwordProfile": None},
    ],
)
def test_graph_refuses_malformed_users(graph: GraphClient, wrong: dict[str, Any]) -> None:
    assert graph.user("fine.name", **wrong).status_code == 400
    assert graph.call("GET", f"/users/fine.name@{STUDENTS}").status_code == 404


def test_graph_lists_in_pages_and_filters(graph: GraphClient) -> None:
    pages = graph.pages("/users?$top=15&$select=id,userPrincipalName")
    assert [len(page) for page in pages] == [15, 15, 10] and len(
        {user["id"] for page in pages for user in page}
    ) == 40
    assert (
        len(
            graph.call(
                "GET", f"/users?$filter=userPrincipalName eq 'liam.smith@{STUDENTS}'"
            ).json()["value"]
        )
        == 1
    )
    both = graph.call(
        "GET", "/users?$filter=surname eq 'Smith' and startswith(displayName,'Liam')"
    ).json()["value"]
    assert [user["displayName"] for user in both] == ["Liam Smith"]
    graph.user("holder.one", onPremisesExtensionAttributes={"extensionAttribute15": "p'1"})
    query = "/users?$filter=onPremisesExtensionAttributes/extensionAttribute15 eq 'p''1'"
    assert graph_error(graph.call("GET", query)) == (400, "Request_UnsupportedQuery")
    advanced = graph.call("GET", query + "&$count=true", ConsistencyLevel="eventual").json()
    assert advanced["@odata.count"] == 1 and advanced["value"][0]["userPrincipalName"].startswith(
        "holder.one"
    )
    assert graph.call("GET", "/users?$top=1000").status_code == 400


def test_graph_deletes_softly_and_restores_with_memberships(graph: GraphClient) -> None:
    user, group = graph.user("leaver.two").json(), graph.group("class-a").json()
    reference = {"@odata.id": f"{graph.address}/directoryObjects/{user['id']}"}
    assert graph.call("POST", f"/groups/{group['id']}/members/$ref", reference).status_code == 204
    assert graph.call("DELETE", f"/users/{user['id']}").status_code == 204
    assert graph.pages(f"/groups/{group['id']}/members")[0] == []
    deleted = graph.call(
        "GET", "/directory/deletedItems/microsoft.graph.user?$select=id,userPrincipalName"
    ).json()["value"]
    assert {one["userPrincipalName"] for one in deleted} == {
        f"mia.roy@{STUDENTS}",
        f"leaver.two@{STUDENTS}",
    }
    twin = graph.user("leaver.two")
    assert twin.status_code == 201, "the principal name of a deleted account can be used again"
    restore = f"/directory/deletedItems/{user['id']}/restore"
    assert graph_error(graph.call("POST", restore)) == (400, "Request_BadRequest")
    graph.call("DELETE", f"/users/{twin.json()['id']}")
    assert graph.call("POST", restore).status_code == 200
    assert [one["id"] for one in graph.pages(f"/groups/{group['id']}/members?$select=id")[0]] == [
        user["id"]
    ]


def test_graph_groups_are_upserted_by_unique_name(graph: GraphClient) -> None:
    first = graph.group("grade-07", description="Grade 7")
    assert first.status_code == 201
    assert graph.group("grade-07", description="Grade seven").status_code == 204
    found = graph.call(
        "GET", "/groups(uniqueName='grade-07')?$select=id,uniqueName,description"
    ).json()
    assert (found["id"], found["uniqueName"], found["description"]) == (
        first.json()["id"],
        "grade-07",
        "Grade seven",
    )
    assert graph_error(
        graph.call("PATCH", "/groups(uniqueName='grade-08')", {"description": "x"})
    ) == (404, "Request_ResourceNotFound")
    assert graph.group("mailed", mailEnabled=True).status_code == 400, (
        "mail-enabled security groups cannot be made through Graph"
    )
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
    assert (
        reply.json()["error"]["message"]
        == "One or more added object references already exist for the following modified"
        " properties: 'members'."
    )
    assert (
        bind(
            [urls[20], urls[20].replace(people[20], "00000000-0000-0000-0000-000000000000")]
        ).status_code
        == 404
    )
    assert len(graph.pages(f"/groups/{group}/members?$top=999&$select=id")[0]) == 20, (
        "one bad reference and none is added"
    )
    assert graph.call("DELETE", f"/groups/{group}/members/{people[0]}/$ref").status_code == 204
    assert graph.call("DELETE", f"/groups/{group}/members/{people[0]}/$ref").status_code == 404
    assert graph.call("GET", f"/users/{people[0]}").status_code == 200
    assert [len(page) for page in graph.pages(f"/groups/{group}/members?$top=8&$select=id")] == [
        8,
        8,
        3,
    ]


def test_graph_batch_items_succeed_fail_and_depend_one_by_one(graph: GraphClient) -> None:
    group = graph.group("class-c").json()["id"]
    done = graph.batch(
        ("GET", f"/users/liam.smith@{STUDENTS}?$select=id", None),
        ("PATCH", "/users/00000000-0000-0000-0000-000000000000", {"accountEnabled": False}),
        ("DELETE", f"/groups/{group}", None),
        ("GET", f"/groups/{group}", None),
        depends={2: ["1"], 3: ["0"]},
    )
    assert {key: item["status"] for key, item in done.items()} == {
        "0": 200,
        "1": 404,
        "2": 424,
        "3": 200,
    }
    assert done["1"]["body"]["error"]["code"] == "Request_ResourceNotFound"
    many = [{"id": str(number), "method": "GET", "url": "/users"} for number in range(21)]
    assert graph.call("POST", "/$batch", {"requests": many}).status_code == 400
    assert graph.call("POST", "/$batch", {"requests": [many[0], many[0]]}).status_code == 400


def test_graph_throttles_each_item_with_its_own_retry_after(
    platforms: Platforms, graph: GraphClient
) -> None:
    platforms.microsoft._writes.limit = 2
    items = [
        ("PATCH", f"/users/{name}@{STUDENTS}", {"department": "Grade 7"})
        for name in ("liam.smith", "noah.johnson", "emma.wilson")
    ]
    done = graph.batch(*items)
    assert [done[key]["status"] for key in "012"] == [204, 204, 429]
    assert (
        float(done["2"]["headers"]["Retry-After"]) > 0
        and done["2"]["body"]["error"]["code"] == "TooManyRequests"
    )
    assert graph.call("GET", "/users?$top=1&$select=id").status_code == 200, (
        "writes and reads are counted apart"
    )
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


def test_graph_frees_the_seat_of_a_deleted_user_and_gives_it_back_with_the_user_while_one_is_free(
    platforms: Platforms, graph: GraphClient
) -> None:
    sku = graph.call("GET", "/subscribedSkus").json()["value"][0]["skuId"]
    one, other = (
        graph.user(name, usageLocation="CA").json()["id"] for name in ("seat.one", "seat.other")
    )
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
        held = graph.call("GET", f"/users/{one}?$select=assignedLicenses").json()[
            "assignedLicenses"
        ]
        assert ([each["skuId"] for each in held], taken()) == (back, 1)


def test_graph_refuses_a_wrong_secret_and_a_missing_token(
    platforms: Platforms, graph: GraphClient
) -> None:
    session = requests.Session()
    session.trust_env, session.verify = False, platforms.environment["TARGETS__MICROSOFT__CA_FILE"]
    application = msal.ConfidentialClientApplication(
        platforms.environment["TARGETS__MICROSOFT__CLIENT_ID"],
        client_credential="wrong",
        authority=platforms.environment["TARGETS__MICROSOFT__AUTHORITY"],
        instance_discovery=False,
        http_client=session,
    )
    assert (
        application.acquire_token_for_client(["https://graph.microsoft.com/.default"])["error"]
        == "invalid_client"
    )
    assert graph_error(graph.call("GET", "/users", Authorization="Bearer nonsense")) == (
        401,
        "InvalidAuthenticationToken",
    )
