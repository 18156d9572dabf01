"""What is Microsoft's alone: batches, upserts, references, next pages, tokens, and its table of
errors.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import trustme
from target_kit import Kit, kit

from common import problems
from demo import platforms as emulated
from demo.platforms import microsoft as emulator
from demo.platforms import microsoft_tenant, microsoft_users
from demo.platforms.microsoft_tenant import refuse
from reverse_etl.configured import TargetSettingsError
from reverse_etl.model import Change
from reverse_etl.targets.entity import Route
from reverse_etl.targets.microsoft import Microsoft, is_direct
from reverse_etl.targets.microsoft.client import Client, TokenRefusedError, reply_of, verdict
from reverse_etl.targets.microsoft.settings import Settings
from reverse_etl.targets.reading import TargetUnreadableError
from reverse_etl.targets.replies import Call, Reply, Verdict, seconds


@pytest.fixture(scope="module")
def platforms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulated.Platforms]:
    with emulated.running(tmp_path_factory.mktemp("platforms")) as running:
        yield running


@pytest.fixture
def microsoft(
    platforms: emulated.Platforms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Kit]:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    made = kit("microsoft", platforms)
    yield made
    made.faults(throttle=0.0, licence_seats=1_000_000, exclusive_licences=False)
    made.adapter.close()


def items(platforms: emulated.Platforms) -> list[dict[str, Any]]:
    """The items of the last batch."""
    lines = [
        json.loads(line)
        for line in platforms.places.requests.read_text(encoding="utf-8").splitlines()
    ]
    return [line for line in lines if line["url"].endswith("/$batch")][-1]["body"]["requests"]


def test_twenty_changes_are_one_request_and_each_is_judged_alone(microsoft, platforms):
    known = microsoft.done(microsoft.user())
    changes = [microsoft.user() for _ in range(18)]
    changes += [
        microsoft.user(user_principal_name=known.new["user_principal_name"]),
        microsoft.user(usage_location="Canada"),
    ]
    outcomes = microsoft.adapter.apply(changes)
    assert len(items(platforms)) == 20
    assert [outcome.change_id for outcome in outcomes] == [change.change_id for change in changes]
    assert [outcome.status for outcome in outcomes] == ["applied"] * 18 + ["failed"] * 2
    assert [outcome.reason for outcome in outcomes[18:]] == ["duplicate", "usage_location"]
    assert all(outcome.request_id for outcome in outcomes)
    assert microsoft.adapter.write_calls == 21


@pytest.mark.parametrize("word", ["NoSync", "p1", "P00000000000000a", "p00000000000000az", "x"])
def test_a_text_that_has_not_the_form_of_our_key_is_no_key(microsoft, word):
    ours = microsoft.done(microsoft.user())
    theirs = microsoft.user(person_id=word)
    assert microsoft.apply(theirs).status == "applied"
    name = theirs.new["user_principal_name"]
    seen = {row["user_principal_name"]: row["person_id"] for row in microsoft.observed("users")}
    assert (seen[name], seen[ours.new["user_principal_name"]]) == (None, ours.key[0])
    taken = {row["address"]: row["person_id"] for row in microsoft.observed("names_taken")}
    assert (taken[name], taken[ours.new["user_principal_name"]]) == (None, ours.key[0])


def test_the_attribute_that_carries_our_key_is_a_setting(microsoft, platforms):
    other = kit("microsoft", platforms, key_attribute="extensionAttribute7")
    user = other.done(other.user())
    row = json.loads(other.row(user)["_json"])
    assert row["onPremisesExtensionAttributes"]["extensionAttribute7"] == user.key[0]
    assert not row["onPremisesExtensionAttributes"].get("extensionAttribute15")
    assert other.row(user)["person_id"] == user.key[0]
    other.adapter.close()
    with pytest.raises(TargetSettingsError, match="extensionAttribute1 to extensionAttribute15"):
        kit("microsoft", platforms, key_attribute="extensionAttribute16")


def test_what_sort_of_account_it_is_is_read(microsoft):
    user = microsoft.done(microsoft.user())
    assert microsoft.row(user)["user_type"] == "Member"


def test_an_item_without_a_change_to_make_does_not_stop_the_others(microsoft):
    good, bad = microsoft.user(), microsoft.change("members", ("g", "p"), "create", {})
    first, second = microsoft.adapter.apply([bad, good])
    assert (first.status, second.status) == ("failed", "applied")


def test_the_address_of_before_a_rename_goes_on_receiving_mail(microsoft):
    plain = microsoft.user()
    old, new = plain.new["user_principal_name"], f"new.{plain.new['user_principal_name']}"
    user = microsoft.done(replace(plain, new={**plain.new, "mail": old}))
    microsoft.done(
        microsoft.to(user, "rename", user_principal_name=new, mail_nickname=new.partition("@")[0])
    )
    row = microsoft.row(user)
    assert (row["user_principal_name"], row["mail"]) == (new, new)
    assert json.loads(row["_json"])["proxyAddresses"] == [f"SMTP:{new}", f"smtp:{old}"]
    assert (old, "alias", user.key[0]) in {
        (name["address"], name["kind"], name["person_id"])
        for name in microsoft.observed("names_taken")
    }
    refused = microsoft.user(user_principal_name=old, mail_nickname="somebody.else")
    assert microsoft.apply(replace(refused, new={**refused.new, "mail": old})).status == "failed", (
        "nobody else is given it"
    )


def test_who_holds_a_directory_role_is_an_administrator(microsoft):
    admins = [
        row["user_principal_name"]
        for row in microsoft.observed("users")
        if row["is_admin"] == "true"
    ]
    assert admins == ["homeroom.admin@sd74.example"]


def test_what_a_mailbox_is_for_is_asked_of_accounts_without_our_key(
    microsoft, platforms, monkeypatch
):
    store, purposes = platforms.microsoft.store, {"helpdesk": "shared", "bus.garage": "room"}
    for user in list(store["users"].values()):
        if purpose := purposes.get(user["userPrincipalName"].partition("@")[0]):
            store.put("users", user["id"], user | {"userPurpose": purpose})
    store.commit(0)
    rows = microsoft.observed("users")
    assert {row["user_principal_name"]: row["user_purpose"] for row in rows}.items() >= {
        "helpdesk@sd74.example": "shared",
        "bus.garage@sd74.example": "room",
        "david.smith@sd74.example": None,
    }.items()

    def forbidden(user: object) -> None:
        raise microsoft_tenant.refuse(403, "ErrorAccessDenied", "Access is denied.")

    monkeypatch.setattr(microsoft_users, "_purpose", forbidden)
    without = microsoft.observed("users")
    assert [row["user_purpose"] for row in without if row["user_purpose"]] == []
    assert len(without) == len(rows)


def test_a_group_made_twice_is_one_group(microsoft, platforms):
    group = microsoft.done(microsoft.group())
    (item,) = items(platforms)
    assert (item["method"], item["headers"]["Prefer"]) == ("PATCH", "create-if-missing")
    again = microsoft.apply(group)
    assert (again.status, again.reason, again.remote_id) == (
        "applied",
        "duplicate",
        microsoft.made["groups", group.key],
    )


def test_a_group_keeps_what_an_update_does_not_name(microsoft):
    group = microsoft.done(microsoft.group())
    microsoft.done(microsoft.to(group, "update", display_name="Renamed"))
    assert microsoft.row(group)["display_name"] == "Renamed"
    assert microsoft.row(group)["description"] == "All of them"


def test_a_value_is_cleared_when_the_export_says_nothing(microsoft):
    user = microsoft.done(microsoft.user())
    microsoft.done(microsoft.to(user, "update", department=None))
    assert microsoft.row(user)["department"] is None


def test_a_membership_is_always_removed_by_reference(microsoft, platforms):
    """Without /$ref in the address Graph would delete the person."""
    group, user = microsoft.done(microsoft.group()), microsoft.done(microsoft.user())
    microsoft.done(microsoft.member(group, user))
    (added,) = items(platforms)
    assert added["body"]["@odata.id"].endswith(
        f"/v1.0/directoryObjects/{microsoft.made['users', user.key]}"
    )
    assert added["body"]["@odata.id"].startswith("https://")
    microsoft.done(microsoft.member(group, user, "remove"))
    (removed,) = items(platforms)
    assert removed["method"] == "DELETE"
    assert removed["url"].endswith(f"/members/{microsoft.made['users', user.key]}/$ref")
    assert "body" not in removed


def licence(microsoft: Kit, user: Change, name: str, action: str = "create") -> Change:
    change = microsoft.change(
        "licences",
        (*user.key, name),
        action,
        {"person_id": user.key[0], "licence": name} if action == "create" else {},
    )
    remote_id = microsoft.made["users", user.key]
    return replace(
        change,
        references={"person_id": remote_id},
        remote_id=None if action == "create" else f"{remote_id}/{name}",
    )


def held(microsoft: Kit, user: Change) -> set[tuple[str, str]]:
    return {
        (row["licence"], row["state"])
        for row in microsoft.observed("licences")
        if row["user_remote_id"] == microsoft.made["users", user.key]
    }


def test_a_licence_is_given_read_back_and_taken_back_and_repeats_are_harmless(microsoft):
    user = microsoft.done(microsoft.user())
    a1, faculty = "STANDARDWOFFPACK_STUDENT", "STANDARDWOFFPACK_FACULTY"
    for name in (a1, faculty, a1):
        microsoft.done(licence(microsoft, user, name))
    assert held(microsoft, user) == {(a1, "Active"), (faculty, "Active")}
    seats = {row["licence"]: int(row["seats_used"]) for row in microsoft.observed("subscriptions")}
    microsoft.done(licence(microsoft, user, a1, "remove"))
    assert microsoft.apply(licence(microsoft, user, a1, "remove")).reason == "not_found"
    assert held(microsoft, user) == {(faculty, "Active")}
    assert {
        row["licence"]: int(row["seats_used"]) for row in microsoft.observed("subscriptions")
    } == seats | {a1: seats[a1] - 1}


def test_a_licence_without_a_seat_or_a_subscription_is_refused_in_a_word(microsoft):
    first, second = microsoft.done(microsoft.user()), microsoft.done(microsoft.user())
    (used,) = [
        int(row["seats_used"])
        for row in microsoft.observed("subscriptions")
        if row["licence"] == "STANDARDWOFFPACK_FACULTY"
    ]
    microsoft.faults(licence_seats=used + 1)
    microsoft.done(licence(microsoft, first, "STANDARDWOFFPACK_FACULTY"))
    refused = microsoft.apply(licence(microsoft, second, "STANDARDWOFFPACK_FACULTY"))
    assert (refused.status, refused.reason) == ("failed", "no_seats")
    unknown = microsoft.apply(licence(microsoft, second, "M365EDU_A9"))
    assert (unknown.status, unknown.note, unknown.calls) == (
        "failed",
        "cannot create licences: the tenant has no subscription called M365EDU_A9",
        0,
    )
    assert held(microsoft, second) == set()


def test_a_licence_that_comes_by_a_group_is_left_to_the_group(microsoft):
    assert is_direct({"skuId": "x", "assignedByGroup": None})
    assert not is_direct({"skuId": "x", "assignedByGroup": "a-group"})


def test_a_membership_of_somebody_just_made_waits_for_the_replicas(microsoft):
    microsoft.faults(incomplete_creation_seconds=30.0)
    group, user = microsoft.done(microsoft.group()), microsoft.done(microsoft.user())
    assert microsoft.apply(microsoft.member(group, user)).status == "retry"
    microsoft.faults(incomplete_creation_seconds=0.0)
    microsoft.done(microsoft.member(group, user))


def test_every_page_is_read_by_the_address_graph_gives(microsoft, monkeypatch):
    users = [microsoft.done(microsoft.user()) for _ in range(7)]
    groups = [microsoft.done(microsoft.group()) for _ in range(23)]  # more than one batch of reads
    for user in users:
        microsoft.done(microsoft.member(groups[0], user))
    twos = {name: replace(row, page=2) for name, row in Microsoft.rows.items()}
    monkeypatch.setattr(Microsoft, "rows", twos)
    assert {microsoft.made["users", user.key] for user in users} <= {
        row["remote_id"] for row in microsoft.observed("users")
    }
    members = [
        row
        for row in microsoft.observed("members")
        if row["group_remote_id"] == microsoft.made["groups", groups[0].key]
    ]
    assert {row["member_remote_id"] for row in members} == {
        microsoft.made["users", user.key] for user in users
    }
    assert len(members) == 7


def test_members_are_read_through_throttling(microsoft):
    group, user = microsoft.done(microsoft.group()), microsoft.done(microsoft.user())
    microsoft.done(microsoft.member(group, user))
    microsoft.faults(throttle=0.4)
    adapter = microsoft.another()
    rows = [row for batch in adapter.observe("members") for row in batch.to_pylist()]
    assert microsoft.made["groups", group.key] in {row["group_remote_id"] for row in rows}


def test_a_next_page_on_another_host_is_not_given_our_token(microsoft):
    with pytest.raises(TargetUnreadableError, match="another host"):
        microsoft.adapter._client.ask({"url": "https://graph.example.org/v1.0/users?$skiptoken=x"})


def test_a_rejected_token_is_replaced_once(microsoft, platforms, monkeypatch):
    rejected: list[str | None] = []
    ask = Client._token
    monkeypatch.setattr(
        Client, "_token", lambda client, token: rejected.append(token) or ask(client, token)
    )
    microsoft.done(microsoft.user())
    platforms.microsoft._tokens.clear()
    microsoft.done(microsoft.user())
    microsoft.done(microsoft.user())  # with the new one
    assert len([token for token in rejected if token is not None]) == 1


def test_a_token_that_is_rejected_anew_is_not_replaced_for_ever(monkeypatch):
    asked: list[str] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["Authorization"])
        return httpx.Response(401, json={"error": {"code": "InvalidAuthenticationToken"}})

    client = Client("microsoft", Settings(address="https://graph.example/v1.0"))
    monkeypatch.setattr(client, "_token", lambda rejected: "second" if rejected else "first")
    monkeypatch.setattr(
        client, "_connection", lambda: httpx.Client(transport=httpx.MockTransport(refuse))
    )
    assert not client.ask({"url": "/users"}).good
    assert asked == ["Bearer first", "Bearer second"]


def test_a_certificate_signs_in_without_any_secret(tmp_path, monkeypatch):
    pair = trustme.CA().issue_cert("homeroom.example", key_type=trustme.KeyType.RSA)
    (tmp_path / "app.pem").write_bytes(pair.private_key_and_cert_chain_pem.bytes())
    forms = []

    def answer(
        session: requests.Session, method: str, url: str, **options: Any
    ) -> requests.Response:
        forms.append(options.get("data"))
        login = "https://login.microsoftonline.com/tenant"
        endpoints = {f"{kind}_endpoint": f"{login}/{kind}" for kind in ("token", "authorization")}
        found = {"access_token": "t", "expires_in": 3599} if method == "POST" else endpoints
        response = requests.Response()
        response.status_code, response._content = (
            200,
            json.dumps(found | {"issuer": f"{login}/v2.0"}).encode(),
        )
        return response

    monkeypatch.setattr(requests.Session, "request", answer)
    settings = {
        "authority": "https://login.microsoftonline.com/tenant",
        "client_id": "app",
        "certificate": str(tmp_path / "app.pem"),
    }
    assert Client("microsoft", Settings(**settings))._token(None) == "t"
    assert "client_assertion" in forms[-1]
    assert "client_secret" not in forms[-1]
    other = trustme.CA().issue_cert("homeroom.example", key_type=trustme.KeyType.ECDSA)
    (tmp_path / "app.pem").write_bytes(other.private_key_and_cert_chain_pem.bytes())
    with pytest.raises(TokenRefusedError, match="unauthorized"):
        Client("microsoft", Settings(**settings))._token(None)
    (tmp_path / "app.pem").write_bytes(pair.cert_chain_pems[0].bytes())
    with pytest.raises(TargetUnreadableError, match="both the private key and the certificate"):
        Client("microsoft", Settings(**settings))._token(None)


def test_a_lost_batch_leaves_only_user_creates_unclear(microsoft):
    user, group = microsoft.done(microsoft.user()), microsoft.done(microsoft.group())
    adapter = microsoft.another()
    adapter._client.send = lambda batch: [Reply(None, {}, "no_reply")] * len(batch)
    changes = [
        microsoft.user(),
        microsoft.to(user, "suspend", account_enabled=False),
        microsoft.group(),
        microsoft.member(group, user),
    ]
    outcomes = [adapter.apply([change])[0].status for change in changes]
    assert outcomes == ["unknown", "retry", "retry", "retry"]


def test_names_of_deleted_accounts_are_given_without_the_id_entra_puts_before_them(microsoft):
    adapter = microsoft.another()
    body = {"value": [{"id": "0b1d-2f", "userPrincipalName": "0b1d2fmia@sd74.example"}]}
    adapter._names = {"users": [], "groups": []}
    adapter._client.ask = lambda request: Reply(
        200, body if "microsoft.graph.user" in request["url"] else {}
    )
    (batch,) = adapter.observe("names_taken")
    assert batch.to_pylist() == [
        {
            "address": "mia@sd74.example",
            "kind": "deleted",
            "remote_id": "0b1d-2f",
            "person_id": None,
            "_json": None,
        }
    ]


def test_addresses_with_signs_are_escaped(microsoft):
    def asked(change: Change) -> str:
        route = microsoft.adapter.rows[change.entity].routes["find"]
        return microsoft.adapter.filled(route, microsoft.adapter.words(change)).call

    group = microsoft.change("groups", ("o'neil#1",), "create", {})
    assert asked(group) == "GET /groups(uniqueName='o%27%27neil%231')"
    change = microsoft.user(user_principal_name="d'arcy#1@sd74.example")
    assert asked(change) == "GET /users/d%27arcy%231@sd74.example"
    microsoft.done(change)
    assert microsoft.adapter.find(change) == microsoft.made["users", change.key]


def test_quota_and_threads_come_from_the_settings():
    assert (Microsoft("microsoft", {}).rate, Microsoft("microsoft", {}).threads) == (20.0, 8)
    assert Microsoft("microsoft", {"writes_per_minute": 36000, "threads": 2}).rate == 600.0


# ---------------------------------------------------------------- the table of errors

CREATE, UPDATE, REMOVE, YOUNG = (
    Call(False),
    Call(True),
    Call(True, removing=True),
    Call(True, young=True),
)


@pytest.mark.parametrize(
    ("call", "code", "reason", "message", "expected"),
    [
        (CREATE, 201, "", "", Verdict("applied")),
        (UPDATE, 204, "", "", Verdict("applied")),
        (
            CREATE,
            400,
            "Request_BadRequest",
            "Invalid value specified for property 'usageLocation'.",
            Verdict("failed", "invalid"),
        ),
        (
            UPDATE,
            400,
            "Request_BadRequest",
            "One or more added object references already exist for: 'members'.",
            Verdict("look", "duplicate"),
        ),
        (CREATE, 401, "InvalidAuthenticationToken", "", Verdict("failed", "unauthorized")),
        (CREATE, 403, "Authorization_RequestDenied", "", Verdict("failed", "forbidden")),
        (CREATE, 403, "Directory_QuotaExceeded", "", Verdict("failed", "quota_exceeded")),
        (UPDATE, 404, "Request_ResourceNotFound", "", Verdict("failed", "not_found")),
        (YOUNG, 404, "Request_ResourceNotFound", "", Verdict("retry", "not_found")),
        (REMOVE, 404, "Request_ResourceNotFound", "", Verdict("applied", "not_found")),
        (UPDATE, 405, "Request_BadRequest", "", Verdict("failed", "method")),
        (UPDATE, 409, "", "", Verdict("retry", "conflict")),
        (UPDATE, 412, "", "", Verdict("failed", "precondition")),
        (UPDATE, 423, "", "", Verdict("retry", "locked")),
        (CREATE, 424, "FailedDependency", "", Verdict("retry", "dependency")),
        (CREATE, 429, "TooManyRequests", "", Verdict("retry", "throttled")),
        (CREATE, 503, "serviceUnavailable", "", Verdict("unknown", "server_error")),
        (UPDATE, 504, "", "", Verdict("retry", "server_error")),
        (CREATE, None, "no_reply", "", Verdict("unknown", "no_reply")),
        (
            UPDATE,
            400,
            "Request_BadRequest",
            "Subscription with SKU x does not have any available licenses.",
            Verdict("failed", "no_seats"),
        ),
        (
            REMOVE,
            400,
            "Request_BadRequest",
            "User does not have a corresponding license.",
            Verdict("applied", "not_found"),
        ),
        (
            UPDATE,
            400,
            "Request_BadRequest",
            "User does not have a corresponding license.",
            Verdict("failed", "invalid"),
        ),
    ],
)
def test_what_a_reply_means(call, code, reason, message, expected):
    assert verdict(call, Reply(code, {}, reason, message)) == expected


def test_a_conflict_is_told_by_its_code_not_its_text():
    body = {
        "error": {
            "code": "Request_BadRequest",
            "message": "m",
            "details": [{"code": "ObjectConflict", "target": "userPrincipalName"}],
        }
    }
    assert verdict(CREATE, reply_of(400, body, {})) == Verdict("look", "duplicate")


def test_a_wait_may_have_decimals_and_headers_any_letter_case():
    reply = reply_of(
        429, {"error": {"code": "TooManyRequests"}}, {"RETRY-AFTER": "2.128", "Request-Id": "r1"}
    )
    assert (reply.retry_after, reply.request_id, reply.reason) == (2.128, "r1", "TooManyRequests")
    assert seconds("Wed, 21 Oct 2026 07:28:00 GMT") == 0.0


A1, FACULTY = "STANDARDWOFFPACK_STUDENT", "STANDARDWOFFPACK_FACULTY"


def exchange(microsoft: Kit, user: Change) -> Change:
    """Faculty for student, as the engine hands it over."""
    return replace(
        licence(microsoft, user, FACULTY), others=(licence(microsoft, user, A1, "remove"),)
    )


def test_one_licence_for_one_that_excludes_it_is_one_call(microsoft, platforms):
    user = microsoft.done(microsoft.user())
    microsoft.done(licence(microsoft, user, A1))
    microsoft.faults(exclusive_licences=True)
    refused = microsoft.apply(licence(microsoft, user, FACULTY))
    assert (refused.status, refused.reason) == ("failed", "licence_clash")
    assert microsoft.apply(exchange(microsoft, user)).status == "applied"
    (item,) = items(platforms)
    assert [len(item["body"][key]) for key in ("addLicenses", "removeLicenses")] == [1, 1]
    assert held(microsoft, user) == {(FACULTY, "Active")}


def test_an_exchange_whose_new_licence_fails_takes_nothing_away(microsoft):
    user = microsoft.done(microsoft.user())
    microsoft.done(licence(microsoft, user, A1))
    seats = microsoft.observed("subscriptions")
    microsoft.faults(licence_seats=0)
    refused = microsoft.apply(exchange(microsoft, user))
    assert (refused.status, refused.reason) == ("failed", "no_seats")
    microsoft.faults(licence_seats=1_000_000)
    assert held(microsoft, user) == {(A1, "Active")}
    assert microsoft.observed("subscriptions") == seats


@pytest.mark.parametrize("before", [(), (FACULTY,), (A1,), (A1, FACULTY)])
def test_an_exchange_that_is_repeated_or_half_done_by_somebody_ends_as_wanted(microsoft, before):
    user = microsoft.done(microsoft.user())
    for name in before:
        microsoft.done(licence(microsoft, user, name))
    for _ in range(2):
        assert microsoft.apply(exchange(microsoft, user)).status == "applied"
        assert held(microsoft, user) == {(FACULTY, "Active")}


def test_a_group_that_was_there_is_adopted_by_giving_it_our_key(microsoft):
    ours = microsoft.group()
    body = {name: ours.new[name] for name in ("description",)} | {
        "displayName": "By hand",
        "mailNickname": ours.new["mail_nickname"],
        "mailEnabled": False,
        "securityEnabled": True,
    }
    (made,) = microsoft.adapter._client.send(
        [microsoft.adapter._client.request(Route("POST /groups", body=body))]
    )
    theirs = next(
        row for row in microsoft.observed("groups") if row["remote_id"] == made.body["id"]
    )
    assert (theirs["group_id"], theirs["group_types"], theirs["is_role_group"]) == (
        None,
        "[]",
        None,
    )
    adopting = replace(ours, action="adopt", remote_id=made.body["id"])
    microsoft.done(adopting)
    microsoft.done(replace(adopting, change_id="again"))
    assert microsoft.row(ours)["group_id"] == ours.key[0]
    assert microsoft.row(ours)["display_name"] == ours.new["display_name"]
    other = microsoft.group()
    refused = microsoft.apply(replace(other, action="adopt", remote_id=made.body["id"]))
    assert refused.status == "failed", "a key is given once"


def test_an_address_a_contact_has_is_taken_and_the_refusal_says_whose_it_is(microsoft, platforms):
    wanted = microsoft.user()
    name = wanted.new["user_principal_name"]
    contact = str(uuid.uuid4())
    store = platforms.microsoft.tenant.store
    held = {"id": contact, "mail": name, "proxyAddresses": [f"SMTP:{name}", "smtp:b@x.example"]}
    store.put("contacts", contact, held)
    store.put("addresses", name.lower(), ["contacts", contact])
    taken = {row["address"]: row["kind"] for row in microsoft.observed("names_taken")}
    assert (taken[name.lower()], taken["b@x.example"]) == ("contact", "contact")
    refused = microsoft.apply(wanted)
    assert (refused.status, refused.reason) == ("failed", "duplicate")
    assert f"belongs to org contact {contact}, which does not carry this key" in refused.note
    assert name not in refused.note


def test_a_refusal_that_names_a_group_or_somebody_of_ours_is_told(microsoft):
    known = microsoft.done(microsoft.user())
    other = microsoft.user(user_principal_name=known.new["user_principal_name"])
    named = microsoft.made["users", known.key]
    assert f"user {named}, which carries our key {known.key[0]}" in microsoft.apply(other).note


def test_without_the_right_to_read_contacts_names_are_those_of_users_and_groups(
    microsoft, monkeypatch
):
    monkeypatch.setattr(
        "demo.platforms.microsoft._objects",
        lambda tenant, asked: (_ for _ in ()).throw(
            refuse(403, "Authorization_RequestDenied", "Insufficient privileges.")
        ),
    )
    user = microsoft.done(microsoft.user())
    names = {row["address"] for row in microsoft.observed("names_taken")}
    assert user.new["user_principal_name"] in names


# ---------------------------------------------------------------- what stands on accounts


@pytest.fixture
def detailed(platforms, tmp_path, monkeypatch) -> Iterator[Kit]:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    made = kit("microsoft", platforms, details=True)
    yield made
    made.adapter.close()


def of_account(
    kit: Kit, entity: str, user: Change, action: str = "create", **new: str | None
) -> Change:
    remote_id = kit.made["users", user.key]
    made = kit.change(entity, user.key, action, new)
    return replace(made, references={"person_id": remote_id}, remote_id=remote_id)


def on_account(kit: Kit, entity: str, user: Change) -> dict[str, Any] | None:
    again = kit.another()
    found = [row for batch in again.observe(entity) for row in batch.to_pylist()]
    again.close()
    return next((row for row in found if row["person_id"] == user.key[0]), None)


DETAILS = {
    "employee_id": "E17",
    "company_name": "SD 74",
    "office_location": "Cedar, room 7",
    "age_group": "Minor",
    "consent_provided_for_minor": "Granted",
    "extension_attribute_2": "2031",
    "extension_attribute_14": "Cedar",
}


def test_what_stands_on_an_account_is_written_read_back_and_taken_away(detailed, platforms):
    user = detailed.done(detailed.user())
    detailed.done(of_account(detailed, "user_details", user, **DETAILS))
    assert items(platforms)[-1]["method"] == "PATCH"
    assert DETAILS.items() <= on_account(detailed, "user_details", user).items()
    gone = {"age_group": None, "extension_attribute_2": None, "company_name": None}
    detailed.done(of_account(detailed, "user_details", user, "update", **gone))
    row = on_account(detailed, "user_details", user)
    assert {name: row[name] for name in DETAILS} == {**DETAILS, **gone}
    assert on_account(detailed, "users", user), "our key stays"


def test_a_value_graph_has_no_word_for_is_refused_alone(detailed):
    user = detailed.done(detailed.user())
    outcome = detailed.apply(of_account(detailed, "user_details", user, age_group="Young"))
    assert (outcome.status, outcome.code) == ("failed", 400)


def test_the_attribute_that_carries_our_key_is_never_written_over(platforms, tmp_path, monkeypatch):
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    made = kit("microsoft", platforms, details=True, key_attribute="extensionAttribute2")
    user = made.done(made.user())
    for action, value in (("create", "x"), ("update", "x"), ("update", None)):
        outcome = made.apply(
            of_account(made, "user_details", user, action, extension_attribute_2=value)
        )
        assert (outcome.status, outcome.reason, outcome.calls) == ("failed", "unsupported", 0)
    made.done(of_account(made, "user_details", user, extension_attribute_2=None, employee_id="E1"))
    made.adapter.close()


def test_a_manager_is_set_replaced_and_taken_away(detailed, platforms):
    user, head, other = (detailed.done(detailed.user()) for _ in range(3))

    def by(action: str, manager: Change | None) -> Change:
        made = of_account(
            detailed, "managers", user, action, manager_id=manager.key[0] if manager else None
        )
        if manager is None:
            return made
        told = {**made.references, "manager_id": detailed.made["users", manager.key]}
        return replace(made, references=told)

    assert on_account(detailed, "managers", user) is None
    for action, manager in (("create", head), ("update", other), ("update", other)):
        detailed.done(by(action, manager))
        row = on_account(detailed, "managers", user)
        assert row["manager_remote_id"] == detailed.made["users", manager.key]
    for _ in range(2):  # whom nobody manages has nobody taken away
        detailed.done(by("update", None))
        assert items(platforms)[-1]["method"] == "DELETE"
        assert items(platforms)[-1]["url"].endswith("/manager/$ref")
        assert on_account(detailed, "managers", user) is None
    later = replace(by("update", head), references={"person_id": user.key[0]})
    assert detailed.apply(later).reason == "unsupported", "who is not there yet takes nobody away"


def test_what_stands_on_accounts_is_not_asked_for_unless_a_district_says_so(microsoft):
    microsoft.done(microsoft.user())
    assert microsoft.observed("user_details") == microsoft.observed("managers") == []
    assert not {"user_details", "managers"} & set(microsoft.adapter.entities)


# ---------------------------------------------------------------- permissions

NEEDED = {
    "User.ReadWrite.All": "users",
    "User.RevokeSessions.All": "users",
    "Directory.Read.All": "users, subscriptions",
    "Group.ReadWrite.All": "groups, members",
    "LicenseAssignment.ReadWrite.All": "licences",
    "EduRoster.ReadWrite.All": "classes, class_members, class_teachers",
    "Team.Create": "class_teams",
    "TeamSettings.ReadWrite.All": "class_teams",
}


def lacking(platforms, monkeypatch, granted: set[str], **settings: Any) -> dict[str, str]:
    """Permission -> which entities want it, as an application with this consent is told."""
    monkeypatch.setattr(emulator, "GRANTED", granted)
    made = kit("microsoft", platforms, **{"classes": True, "class_teams": True} | settings)
    try:
        found = list(made.adapter.lacking())
    finally:
        made.adapter.close()
    assert {one.code for one in found} <= {"permission_missing"}
    for one in found:
        said = problems.sentence(one.code, one.values) + problems.action(one.code, one.values)
        assert "{" not in said and one.values["permission"] in said
    return {one.values["permission"]: one.values["entity"] for one in found}


def test_every_permission_without_consent_is_named_with_what_wants_it(platforms, monkeypatch):
    assert lacking(platforms, monkeypatch, {*NEEDED}) == {}
    wanted = lacking(platforms, monkeypatch, {"Something.Else"})
    assert wanted.keys() == NEEDED.keys()
    for permission, entities in NEEDED.items():
        assert {*entities.split(", ")} <= {*wanted[permission].split(", ")}
        # what a wider one covers is not missing for want of the narrow one
        wider = {"User.RevokeSessions.All", "LicenseAssignment.ReadWrite.All", "Team.Create"}
        without = lacking(platforms, monkeypatch, {*NEEDED} - {permission})
        assert [*without] == ([] if permission in wider else [permission])


def test_a_part_that_is_off_wants_no_permission(platforms, monkeypatch):
    off = {"EduRoster.ReadWrite.All", "Team.Create", "TeamSettings.ReadWrite.All"}
    assert lacking(platforms, monkeypatch, {*NEEDED} - off, classes=False) == {}
    narrow = {"User.ReadWrite.All", "Directory.Read.All", "Group.ReadWrite.All"}
    assert lacking(platforms, monkeypatch, narrow, classes=False) == {}


def test_who_only_looks_on_needs_what_reads(platforms, monkeypatch):
    reads = {"Directory.Read.All", "EduRoster.Read.All", "TeamSettings.Read.All"}
    assert lacking(platforms, monkeypatch, reads, read_only=True) == {}
    for permission in reads:
        assert [*lacking(platforms, monkeypatch, reads - {permission}, read_only=True)] == [
            permission
        ]


def test_a_token_that_says_nothing_is_no_word_of_what_is_missing(platforms, monkeypatch):
    monkeypatch.setattr(emulator.jwt, "encode", lambda *_: "no token anybody reads")
    assert lacking(platforms, monkeypatch, set()) == {}
