"""What is Google's alone: org units and their order, roles, our schema, and its table of errors."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from target_kit import FIELDS, STAFF, Kit, adapter, kit
from target_kit import settings_of as settings_of_target

from common import problems
from demo import platforms as emulated
from demo.platforms import google as emulator
from reverse_etl.model import Change
from reverse_etl.passwords import Passwords
from reverse_etl.targets.entity import Route
from reverse_etl.targets.google import Google, path_in_url
from reverse_etl.targets.google.client import reply_of, verdict
from reverse_etl.targets.google.permissions import READING, SCOPES, scopes_of
from reverse_etl.targets.replies import Call, Reply, Verdict


@pytest.fixture(scope="module")
def platforms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulated.Platforms]:
    with emulated.running(tmp_path_factory.mktemp("platforms")) as running:
        yield running


@pytest.fixture
def google(
    platforms: emulated.Platforms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Kit]:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    made = kit("google", platforms)
    yield made
    made.adapter.close()


def unit(google: Kit, path: str) -> Any:
    parent, _, name = path.rpartition("/")
    return google.change(
        "org_units",
        (path,),
        "create",
        {"org_unit_path": path, "name": name, "parent_org_unit_path": parent or "/"},
    )


def sent(platforms: emulated.Platforms) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for line in platforms.places.requests.read_text(encoding="utf-8").splitlines()
    ]


def test_org_units_are_made_from_the_top_down(google):
    deep, top = unit(google, "/Élèves/Grade 7 & 8/50% Club #1"), unit(google, "/Élèves")
    middle = unit(google, "/Élèves/Grade 7 & 8")
    assert [google.adapter.order(change) for change in (top, middle, deep)] == [0, 1, 2]
    for change in sorted((deep, top, middle), key=google.adapter.order):
        google.done(change)
    paths = {row["org_unit_path"]: row for row in google.observed("org_units")}
    assert paths["/Élèves/Grade 7 & 8/50% Club #1"]["parent_org_unit_path"] == "/Élèves/Grade 7 & 8"
    assert paths["/Élèves/Grade 7 & 8/50% Club #1"]["name"] == "50% Club #1"


def test_an_org_unit_that_is_there_already_is_known_by_its_path(google):
    change = google.done(unit(google, "/Trades & Technology"))
    again = google.apply(change)
    assert (again.status, again.reason) == ("applied", "duplicate")
    assert google.another().find(change) == google.made["org_units", change.key]
    assert google.adapter.find(unit(google, "/Nowhere")) is None


def test_a_name_that_an_org_unit_cannot_have_is_refused_for_good(google):
    outcome = google.apply(
        google.change(
            "org_units", ("/Bad",), "create", {"name": "a/b", "parent_org_unit_path": "/"}
        )
    )
    assert (outcome.status, outcome.reason) == ("failed", "unit_name")


def test_a_unit_whose_parent_is_missing_is_refused_and_one_whose_parent_was_just_made_is_tried_again(  # noqa: E501
    google,
):
    orphan = google.change(
        "org_units",
        ("/Missing/Child",),
        "create",
        {"name": "Child", "parent_org_unit_path": "/Missing"},
    )
    assert google.apply(orphan).status == "failed"
    google.adapter._young.add("/missing")
    assert (google.apply(orphan).status, google.apply(orphan).reason) == ("retry", "not_ready")


def test_a_path_stands_in_a_url_without_its_first_slash():
    assert path_in_url("/Students/Grade 7") == "Students/Grade%207"
    assert path_in_url("/50% Club #1") == "50%25%20Club%20%231"
    assert path_in_url("id:03ph8a2z") == "id:03ph8a2z"


def test_an_org_unit_is_renamed_and_deleted_by_its_id(google):
    change = google.done(unit(google, "/Leavers"))
    google.done(google.to(change, "update", name="Left us"))
    assert google.row(change)["org_unit_path"] == "/Left us"
    google.done(google.to(change, "delete"))
    assert google.made["org_units", change.key] not in {
        row["remote_id"] for row in google.observed("org_units")
    }


def test_a_user_moves_to_another_org_unit(google):
    path = google.done(unit(google, "/Movers")).key[0]
    user = google.done(google.user())
    google.done(google.to(user, "update", org_unit_path=path))
    assert google.row(user)["org_unit_path"] == path


def test_the_role_of_a_member_follows_the_export(google):
    group, user = google.done(google.group()), google.done(google.user())
    google.done(google.member(group, user))
    google.done(google.member(group, user, "update", role="OWNER"))
    google.done(
        google.member(group, user, role="MEMBER")
    )  # added again, with another role: the role is set
    ids = (google.made["groups", group.key], google.made["users", user.key])
    assert [
        row["role"]
        for row in google.observed("members")
        if (row["group_remote_id"], row["member_remote_id"]) == ids
    ] == ["MEMBER"]


def test_the_address_of_before_a_rename_is_an_alias_and_can_be_taken_away(google):
    user = google.done(google.user())
    old = user.new["primary_email"]
    google.done(google.to(user, "rename", primary_email=f"new-{old}"))

    def alias(action: str) -> Change:
        new, before = (
            ({"person_id": user.key[0], "alias_id": "a1", "alias": old}, {})
            if action == "create"
            else ({}, {"alias": old})
        )
        made = google.change("aliases", (user.key[0], "a1"), action, new)
        return replace(made, old=before, references={"person_id": google.made["users", user.key]})

    assert google.apply(alias("create")).reason == "duplicate", "Google made it one by itself"
    assert (old, user.key[0]) in {
        (row["alias"], row["person_id"]) for row in google.observed("aliases")
    }
    assert google.adapter.find(alias("create")) == google.made["users", user.key]
    google.done(alias("remove"))
    assert old not in {row["alias"] for row in google.observed("aliases")}
    assert google.adapter.find(alias("create")) is None
    google.done(alias("create"))
    other = google.done(google.user())
    taken = replace(alias("create"), references={"person_id": google.made["users", other.key]})
    assert google.apply(taken).status == "failed", "an address somebody else has stays theirs"
    assert google.adapter.find(taken) is None


def test_an_adopted_account_is_given_our_key_and_keeps_what_is_not_ours(google):
    api = google.adapter._client.api
    body = {
        "primaryEmail": f"jsmith@{STAFF}",
        "name": {"givenName": "J", "familyName": "Smith"},
        "password": "long enough 1",
        "externalIds": [{"type": "organization", "value": "0042"}],
        "notes": {"value": "kept"},
    }
    google.adapter._client.ask(api.users.insert(body=body))
    row = next(
        row for row in google.observed("users") if row["primary_email"] == body["primaryEmail"]
    )
    assert (row["person_id"], row["employee_id"], row["is_admin"]) == (None, "0042", "false")
    new = {
        "person_id": "p000000000000042",
        "primary_email": body["primaryEmail"],
        "given_name": "Jo",
        "family_name": "Smith",
        "org_unit_path": "/",
        "suspended": False,
    }
    google.done(
        replace(
            google.change("users", ("p000000000000042",), "adopt", new), remote_id=row["remote_id"]
        )
    )
    after = next(one for one in google.observed("users") if one["remote_id"] == row["remote_id"])
    assert (after["person_id"], after["given_name"], after["employee_id"]) == (
        "p000000000000042",
        "Jo",
        "0042",
    )


def test_our_field_is_added_to_a_schema_that_others_use_too(google):
    api = google.adapter._client.api
    other = {
        "fieldName": "locker",
        "displayName": "locker",
        "fieldType": "STRING",
        "multiValued": False,
    }
    made = google.adapter._client.ask(
        api.schemas.insert(
            customerId="my_customer",
            body={"schemaName": "Roster", "displayName": "Roster", "fields": [other]},
        )
    )
    assert made.good
    row = next(row for row in google.observed("schemas") if row["schema_name"] == "Roster")
    assert row["field_name"] is None
    google.made["schemas", ("Roster",)] = row["remote_id"]
    google.done(google.change("schemas", ("Roster",), "update", {"field_name": "person_id"}))
    row = next(row for row in google.observed("schemas") if row["schema_name"] == "Roster")
    assert row["field_name"] == "person_id"
    assert {field["fieldName"] for field in json.loads(row["_json"])["fields"]} == {
        "locker",
        "person_id",
    }


def test_the_schema_that_holds_every_key_is_never_deleted(google):
    outcome = google.apply(google.change("schemas", ("Homeroom",), "delete", {}))
    assert (outcome.status, outcome.reason, outcome.calls) == ("failed", "unsupported", 0)
    assert "durable key" in outcome.note


def test_an_update_is_a_put_with_nothing_but_what_changed(google, platforms):
    user = google.done(google.user())
    google.done(google.to(user, "update", family_name="Dhillon"))
    last = sent(platforms)[-1]
    assert (last["method"], last["body"]) == ("PUT", {"name": {"familyName": "Dhillon"}})
    assert last["url"].startswith(
        f"https://admin.googleapis.com/admin/directory/v1/users/{google.made['users', user.key]}"
    )


def test_every_page_is_read_and_members_are_asked_for_ours_only(google, platforms, monkeypatch):
    users = [google.done(google.user()) for _ in range(7)]
    groups = [google.done(google.group()) for _ in range(3)]
    for user in users:
        google.done(google.member(groups[0], user))
    twos = {name: replace(row, page=2) for name, row in Google.rows.items()}
    monkeypatch.setattr(Google, "rows", twos)
    assert {google.made["users", user.key] for user in users} <= {
        row["remote_id"] for row in google.observed("users")
    }
    assert {google.made["groups", group.key] for group in groups} <= {
        row["remote_id"] for row in google.observed("groups")
    }
    before = len(sent(platforms))
    members = [
        row
        for row in google.observed("members")
        if row["group_remote_id"] == google.made["groups", groups[0].key]
    ]
    assert len(members) == 7
    asked = [line["url"] for line in sent(platforms)[before:] if "/members?" in line["url"]]
    assert all("nextPageToken" in url.replace("%2C", ",") for url in asked)


def test_calls_are_counted_and_what_was_seen_is_not_read_twice(google):
    adapter = google.another()
    for entity in ("users", "groups"):
        list(adapter.observe(entity))
    seen = adapter.read_calls
    list(adapter.observe("names_taken"))
    assert (seen, adapter.read_calls, adapter.write_calls) == (
        2,
        3,
        0,
    )  # only the deleted accounts were still to be asked for


def test_the_address_of_another_user_is_named_by_key_only(google):
    admin = next(row for row in google.observed("users") if not row["person_id"])
    outcome = google.apply(google.user(primary_email=admin["primary_email"]))
    assert (outcome.status, outcome.reason) == ("failed", "duplicate")
    assert STAFF not in outcome.note


@pytest.mark.parametrize("held_by", ["user", "group", "alias of a user"])
@pytest.mark.parametrize("wanted_for", ["user", "group", "alias"])
def test_who_has_an_address_is_named_by_kind_id_and_key(google, held_by, wanted_for):
    user = google.done(google.user())
    kind, remote_id, address = "user", google.made["users", user.key], user.new["primary_email"]
    key = user.key[0]
    if held_by == "group":
        group = google.done(google.group())
        kind, remote_id, address = "group", google.made["groups", group.key], group.new["email"]
        key = None if group.key[0] == address else group.key[0]
    elif held_by == "alias of a user":  # the address of before a rename
        google.done(google.to(user, "rename", primary_email=f"new-{address}"))
    other = google.done(google.user())
    change = {
        "user": google.user(primary_email=address),
        "group": google.change("groups", ("g-x",), "create", {"email": address, "name": "G"}),
        "alias": replace(
            google.change("aliases", (other.key[0], "a9"), "create", {"alias": address}),
            references={"person_id": google.made["users", other.key]},
        ),
    }[wanted_for]
    outcome = google.apply(change)
    assert (outcome.status, outcome.reason) == ("failed", "duplicate")
    assert f"belongs to {kind} {remote_id}, which " in outcome.note
    assert key is None or f"carries our key {key}" in outcome.note
    assert address not in outcome.note


def test_exactly_the_scopes_that_are_used_are_asked_for():
    assert [scope.rpartition("/")[2] for scope in SCOPES] == [
        "admin.directory.user",
        "admin.directory.group",
        "admin.directory.orgunit",
        "admin.directory.userschema",
        "admin.directory.user.security",
        "classroom.courses",
        "classroom.rosters",
        "apps.licensing",
        "apps.groups.settings",
    ]


def test_quota_and_threads_come_from_the_settings():
    assert (Google("google", {}).rate, Google("google", {}).threads) == (40.0, 32)
    assert (Google("google", {"writes_per_minute": 600, "threads": 4}).rate) == 10.0


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
        (CREATE, 200, "", "", Verdict("applied")),
        (CREATE, 400, "invalid", "Invalid Input: primary_user_email", Verdict("failed", "invalid")),
        (CREATE, 400, "invalid", "Invalid Input: INVALID_OU_ID", Verdict("failed", "invalid")),
        (CREATE, 400, "invalid", "Invalid Ou Id", Verdict("look", "invalid")),
        (UPDATE, 400, "invalid", "Invalid Ou Id", Verdict("failed", "invalid")),
        (
            Call(False, young=True),
            400,
            "invalid",
            "Invalid Input: INVALID_OU_ID",
            Verdict("retry", "not_ready"),
        ),
        (CREATE, 401, "authError", "", Verdict("failed", "unauthorized")),
        (
            CREATE,
            403,
            "forbidden",
            "Not Authorized to access this resource/api",
            Verdict("failed", "forbidden"),
        ),
        (CREATE, 403, "domainCannotUseApis", "", Verdict("failed", "forbidden")),
        (CREATE, 403, "userRateLimitExceeded", "", Verdict("retry", "throttled")),
        (CREATE, 403, "quotaExceeded", "", Verdict("retry", "throttled")),
        (CREATE, 429, "rateLimitExceeded", "", Verdict("retry", "throttled")),
        (UPDATE, 404, "notFound", "", Verdict("failed", "not_found")),
        (YOUNG, 404, "notFound", "", Verdict("retry", "not_found")),
        (REMOVE, 404, "notFound", "", Verdict("applied", "not_found")),
        (CREATE, 409, "duplicate", "Entity already exists.", Verdict("look", "duplicate")),
        (CREATE, 409, "ABORTED", "", Verdict("retry", "conflict")),
        (
            UPDATE,
            412,
            "conditionNotMet",
            "User creation is not complete.",
            Verdict("retry", "not_ready"),
        ),
        (
            UPDATE,
            412,
            "conditionNotMet",
            "Cyclic memberships not allowed",
            Verdict("failed", "conditionNotMet"),
        ),
        (
            CREATE,
            412,
            "limitExceeded",
            "Domain user limit reached.",
            Verdict("failed", "limitExceeded"),
        ),
        (CREATE, 503, "backendError", "", Verdict("unknown", "server_error")),
        (UPDATE, 503, "backendError", "", Verdict("retry", "server_error")),
        (CREATE, None, "no_reply", "", Verdict("unknown", "no_reply")),
        (UPDATE, None, "no_reply", "", Verdict("retry", "no_reply")),
    ],
)
def test_what_a_reply_means(call, code, reason, message, expected):
    assert verdict(call, Reply(code, {}, reason, message)) == expected


def test_what_was_never_sent_may_be_sent_again():
    assert verdict(CREATE, Reply(None, {}, "unreachable", sent=False)) == Verdict(
        "retry", "unreachable"
    )
    assert verdict(CREATE, Reply(None, {}, "unauthorized", sent=False)) == Verdict(
        "failed", "unauthorized"
    )


def test_errors_are_read_in_both_of_googles_styles():
    old = b'{"error":{"code":409,"message":"m","errors":[{"domain":"global","reason":"duplicate","message":"m"}]}}'  # noqa: E501
    new = b'{"error":{"code":400,"message":"m","status":"FAILED_PRECONDITION"}}'
    assert reply_of(409, old, {}).reason == "duplicate"
    assert reply_of(400, new, {"retry-after": "7"}).reason == "FAILED_PRECONDITION"
    assert reply_of(400, new, {"retry-after": "7"}).retry_after == 7.0
    assert reply_of(502, b"<html>Bad Gateway</html>", {}) == Reply(502, {})


def test_a_reason_that_is_more_than_a_word_is_not_kept():
    sneaky = b'{"error":{"errors":[{"reason":"mia@sd74.example exists"}]}}'
    assert reply_of(400, sneaky, {}).reason == ""


def test_a_group_that_was_there_is_adopted_with_what_others_wrote_on_it(google, platforms):
    ours = google.group()
    wanted = ours.new | {"name": "Students"}
    body = {
        "email": wanted["email"],
        "name": "By hand",
        "externalIds": [{"namespace": "library", "id": "L7"}],
    }
    made = google.adapter._client.ask(
        google.adapter._client.request(Route("groups.insert", {}, body))
    )
    assert made.good
    adopting = replace(ours, action="adopt", remote_id=made.body["id"], new=wanted)
    google.done(adopting)
    google.done(replace(adopting, change_id="again"))  # as after a lost reply
    row = google.row(ours)
    assert (row["group_id"], row["name"]) == (ours.key[0], "Students")
    ids = json.loads(row["_json"])["externalIds"]
    assert {one["namespace"]: one["id"] for one in ids} == {
        "library": "L7",
        "homeroom": ours.key[0],
    }


def test_a_unit_made_by_hand_in_another_letter_case_is_the_one_that_is_meant(google):
    google.done(unit(google, "/pupils"))
    for _ in range(2):
        wanted = unit(google, "/Pupils")
        again = google.apply(replace(wanted, key=("/pupils",)))
        assert (again.status, again.note) == ("applied", "already there")
    below = unit(google, "/Pupils/Grade 3")
    google.done(replace(below, key=("/pupils/grade 3",)))
    paths = {row["org_unit_path"] for row in google.observed("org_units")}
    assert {"/pupils", "/pupils/Grade 3"} <= paths
    google.done(google.user(org_unit_path="/Pupils/grade 3"))


PLUS, STANDARD, UPGRADE = "101031/1010310008", "101031/1010310005", "101037/1010370001"


@pytest.fixture
def licensed(platforms, tmp_path, monkeypatch) -> Iterator[Kit]:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    monkeypatch.setattr("reverse_etl.targets.google.client.LICENSING_RATE", 1e6)
    made = kit("google", platforms, licences=True, products=["101031", "101037"])
    yield made
    made.faults(licence_seats=1_000_000, expired_pages=0)
    made.adapter.close()


def licence(google: Kit, user: Change, name: str, action: str = "create") -> Change:
    remote_id = google.made["users", user.key]
    new = {"person_id": user.key[0], "licence": name} if action == "create" else {}
    made = google.change("licences", (*user.key, name), action, new)
    removed = None if action == "create" else f"{remote_id}/{name}"
    return replace(made, references={"person_id": remote_id}, remote_id=removed)


def held(google: Kit, user: Change) -> set[str]:
    return {
        row["licence"]
        for row in google.observed("licences")
        if row["user_email"] == user.new["primary_email"]
    }


def test_a_licence_is_given_read_back_and_taken_back_and_repeats_are_harmless(licensed):
    user = licensed.done(licensed.user())
    for name in (PLUS, UPGRADE, PLUS):
        licensed.done(licence(licensed, user, name))
    assert held(licensed, user) == {PLUS, UPGRADE}
    for _ in range(2):
        licensed.done(licence(licensed, user, PLUS, "remove"))
    assert held(licensed, user) == {UPGRADE}


def test_one_sku_for_another_of_its_product_is_one_call_or_none(licensed, platforms):
    user = licensed.done(licensed.user())
    licensed.done(licence(licensed, user, STANDARD))
    refused = licensed.apply(licence(licensed, user, PLUS))
    assert (refused.status, refused.reason) == ("failed", "licence_clash")
    removal = licence(licensed, user, STANDARD, "remove")
    exchange = replace(licence(licensed, user, PLUS), others=(removal,))
    assert licensed.adapter.exchanges([exchange, removal])
    licensed.faults(licence_seats=0)
    refused = licensed.apply(exchange)
    assert (refused.status, refused.reason) == ("failed", "no_seats")
    assert held(licensed, user) == {STANDARD}, "nothing is taken away"
    licensed.faults(licence_seats=1_000_000)
    before = len(sent(platforms))
    assert licensed.apply(exchange).status == "applied"
    methods = [one["method"] for one in sent(platforms)[before:] if "/licensing/" in one["url"]]
    assert methods == ["PUT"]
    assert licensed.apply(exchange).note == "already there", "as after a lost reply"
    assert held(licensed, user) == {PLUS}
    licensed.done(licence(licensed, user, PLUS, "remove"))
    assert licensed.apply(exchange).status == "applied", "somebody took the old one away"
    assert held(licensed, user) == {PLUS}


def test_what_is_of_two_products_is_no_exchange(licensed):
    user = licensed.done(licensed.user())
    gets, loses = licence(licensed, user, UPGRADE), licence(licensed, user, PLUS, "remove")
    assert not licensed.adapter.exchanges([gets, loses])
    assert not licensed.adapter.exchanges([licence(licensed, user, PLUS), gets])


def test_licences_are_neither_asked_for_nor_read_unless_a_district_says_so(google, platforms):
    before = len(sent(platforms))
    assert google.observed("licences") == []
    assert "licences" not in google.adapter.entities
    assert not [one for one in sent(platforms)[before:] if "/licensing/" in one["url"]]


@pytest.fixture
def with_settings(platforms, tmp_path, monkeypatch) -> Iterator[Kit]:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    made = kit("google", platforms, group_settings=True)
    yield made
    made.faults(settings_lag_seconds=0)
    made.adapter.close()


def settings_of(google: Kit, group: Change, action: str = "create", **new: str) -> Change:
    remote_id = google.made["groups", group.key]
    made = google.change("group_settings", group.key, action, new)
    return replace(made, references={"group_id": remote_id}, remote_id=remote_id)


def set_so(google: Kit, group: Change) -> dict[str, Any]:
    remote_id = google.made["groups", group.key]
    found = google.observed("group_settings")
    (row,) = (row for row in found if row["group_remote_id"] == remote_id)
    return row


def test_a_group_is_set_when_it_is_made_and_set_back_when_somebody_changes_it(with_settings):
    google = with_settings
    group = google.done(google.group())
    wanted = {"who_can_join": "INVITED_CAN_JOIN", "allow_external_members": "false"}
    google.done(settings_of(google, group, **wanted, who_can_post_message=None))
    row = set_so(google, group)
    assert wanted.items() <= row.items()
    assert row["who_can_post_message"] == "ANYONE_CAN_POST", "what is not said stays"
    # as another night sees it: nothing in memory, the address is asked for
    google.adapter._emails.clear()
    google.done(settings_of(google, group, "update", who_can_join="CAN_REQUEST_TO_JOIN"))
    assert set_so(google, group)["who_can_join"] == "CAN_REQUEST_TO_JOIN"


def test_settings_of_a_group_made_a_moment_ago_are_tried_again_and_a_wrong_word_is_not(
    with_settings,
):
    google = with_settings
    group = google.done(google.group())
    google.faults(settings_lag_seconds=3600)
    early = google.apply(settings_of(google, group, who_can_join="INVITED_CAN_JOIN"))
    assert (early.status, early.reason) == ("retry", "not_found")
    google.faults(settings_lag_seconds=0)
    wrong = google.apply(settings_of(google, group, who_can_join="EVERYBODY"))
    assert wrong.status == "failed"


def test_settings_of_groups_are_not_asked_for_unless_a_district_says_so(google, platforms):
    google.done(google.group())
    before = len(sent(platforms))
    assert google.observed("group_settings") == []
    assert "group_settings" not in google.adapter.entities
    assert not [one for one in sent(platforms)[before:] if "/groups/v1/" in one["url"]]


@pytest.fixture
def detailed(platforms, tmp_path, monkeypatch) -> Iterator[Kit]:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    made = kit("google", platforms, details=True)
    yield made
    made.adapter.close()


def details_of(google: Kit, user: Change, action: str = "create", **new: str | None) -> Change:
    remote_id = google.made["users", user.key]
    made = google.change("user_details", user.key, action, new)
    old = dict.fromkeys(new, "before") if action == "update" else {}
    return replace(made, references={"person_id": remote_id}, remote_id=remote_id, old=old)


def on_account(google: Kit, user: Change) -> dict[str, Any]:
    found = google.observed("user_details")
    (row,) = (row for row in found if row["person_id"] == user.key[0])
    return row


DETAILS = {
    "employee_id": "E17",
    "job_title": "Teacher",
    "department": "Music",
    "cost_center": "4100",
    "manager": "head@sd74.example",
    "location": "Cedar",
    "building": "B-7",
}


def test_what_stands_on_an_account_is_written_read_back_and_taken_away(detailed):
    user = detailed.done(detailed.user())
    # of a field our schema has not, as where no row fills it, nothing is sent
    detailed.done(details_of(detailed, user, **DETAILS, school=None, homeroom=None))
    assert DETAILS.items() <= on_account(detailed, user).items()
    detailed.done(details_of(detailed, user, "update", job_title=None, manager=None, building=None))
    row = on_account(detailed, user)
    assert (row["job_title"], row["manager"], row["building"]) == (None, None, None)
    assert (row["department"], row["location"], row["employee_id"]) == ("Music", "Cedar", "E17")


def test_what_others_wrote_in_the_same_lists_stays(detailed, platforms):
    user = detailed.done(detailed.user())
    ids = [{"type": "login_id", "value": "x7"}, {"type": "organization", "value": "old"}]
    theirs = {
        "externalIds": ids,
        "relations": [{"type": "assistant", "value": "ana@sd74.example"}],
        "organizations": [{"type": "school", "title": "Coach"}],
    }
    client, remote_id = detailed.adapter._client, detailed.made["users", user.key]
    (done,) = client.send([client.request(Route("users.update", {"userKey": remote_id}, theirs))])
    assert done.good
    detailed.done(details_of(detailed, user, "update", **DETAILS))
    detailed.done(details_of(detailed, user, "update", manager=None, employee_id=None))
    asked = client.request(Route("users.get", {"userKey": remote_id}))
    now = client.ask(asked).body
    assert now["externalIds"] == ids[:1]
    assert now["relations"] == theirs["relations"]
    assert theirs["organizations"][0] in now["organizations"] and len(now["organizations"]) == 2


def test_a_field_of_our_own_is_added_to_our_schema_and_then_filled(detailed):
    user = detailed.done(detailed.user())
    early = detailed.apply(details_of(detailed, user, grade="05"))
    assert early.status == "failed", "Google knows no such field"
    new = {"schema_name": "Homeroom", "field_name": "grade"}
    for _ in range(2):
        detailed.done(detailed.change("schema_fields", ("Homeroom", "grade"), "create", new))
    fields = {row["field_name"] for row in detailed.observed("schema_fields")}
    assert {"person_id", "grade"} <= fields
    detailed.done(details_of(detailed, user, grade="05"))
    assert on_account(detailed, user)["grade"] == "05"
    assert on_account(detailed, user)["person_id"] == user.key[0], "our key stays"


def test_what_stands_on_accounts_is_not_asked_for_unless_a_district_says_so(google, platforms):
    google.done(google.user())
    assert google.observed("user_details") == google.observed("schema_fields") == []
    assert "organizations" not in json.dumps(google.adapter.rows["users"].asked)


PARTS = {"classes": True, "licences": True, "group_settings": True, "details": True}
NEEDED = {scope.rpartition("/")[2]: part for scope, part in SCOPES.items()}


@pytest.fixture
def every_part(platforms, tmp_path, monkeypatch) -> Iterator[Any]:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    monkeypatch.setattr("reverse_etl.targets.google.client.LICENSING_RATE", 1e6)
    made = kit("google", platforms, **PARTS)
    made.done(made.group())
    yield made
    made.adapter.close()


def lacking(made: Kit) -> list[tuple[str, dict[str, Any]]]:
    made.adapter._client._opened = None  # as `make check`, which comes without a token
    found = [(one.code, one.values) for one in made.adapter.lacking()]
    for code, values in found:
        assert "{" not in problems.sentence(code, values) + problems.action(code, values)
    return found


def test_who_has_every_permission_lacks_none_and_is_asked_by_reads_alone(every_part, platforms):
    before = len(sent(platforms))
    assert lacking(every_part) == []
    asked = sent(platforms)[before:]
    assert {one["method"] for one in asked if not one["url"].endswith("/token")} == {"GET"}
    assert len(asked) > len(SCOPES), "each is asked for by a call of its own"


@pytest.mark.parametrize("scope", NEEDED)
def test_a_scope_nobody_listed_is_named_with_the_client_id(every_part, monkeypatch, scope):
    whole = emulator.SCOPE + scope
    monkeypatch.setattr(emulator, "AUTHORIZED", emulator.AUTHORIZED - {whole})
    (found,) = lacking(every_part)
    assert found[0] == "scope_missing"
    assert found[1]["scope"] == whole and found[1]["client_id"] and found[1]["entities"]


# without a course there is nobody's list to ask for: Classroom says so by the other scope
@pytest.mark.parametrize("scope", sorted(NEEDED.keys() - {"classroom.rosters"}))
def test_a_privilege_the_role_lacks_is_named(every_part, monkeypatch, scope):
    monkeypatch.setattr(emulator, "UNPRIVILEGED", frozenset({emulator.SCOPE + scope}))
    ((code, values), *more) = lacking(every_part)
    assert (code, values["permission"], more) == ("privilege_missing", scope, [])


@pytest.mark.parametrize(
    ("scope", "api"),
    [
        ("admin.directory.orgunit", "Admin SDK API"),
        ("apps.licensing", "Enterprise License Manager API"),
        ("apps.groups.settings", "Groups Settings API"),
        ("classroom.courses", "Google Classroom API"),
    ],
)
def test_an_api_the_project_has_not_switched_on_is_named(every_part, monkeypatch, scope, api):
    monkeypatch.setattr(emulator, "APIS_OFF", frozenset({emulator.SCOPE + scope}))
    ((code, values),) = lacking(every_part)
    assert (code, values["api"]) == ("api_missing", api)


def test_what_a_district_has_not_asked_for_is_not_probed(google, monkeypatch):
    off = frozenset(emulator.SCOPE + scope for scope, part in NEEDED.items() if part in PARTS)
    monkeypatch.setattr(emulator, "UNPRIVILEGED", off)
    monkeypatch.setattr(emulator, "AUTHORIZED", emulator.AUTHORIZED - off)
    assert lacking(google) == []


def test_who_is_not_reached_lacks_nothing_that_anybody_knows(google):
    bare = Google("google", {"address": "http://127.0.0.1:9", **google_settings(google)})
    assert list(bare.lacking()) == []


def google_settings(google: Kit) -> dict[str, Any]:
    return {name: getattr(google.adapter.said, name) for name in ("credentials", "subject")}


def test_with_read_only_no_scope_can_write_and_nothing_is_written(platforms, monkeypatch):
    only = frozenset(emulator.SCOPE + f"{scope}.readonly" for scope in READING)
    monkeypatch.setattr(emulator, "AUTHORIZED", only)
    settings = settings_of_target("google", platforms.environment)
    with_it = settings | {"run_id": "r", "read_only": True, "classes": True}
    made = Kit("google", adapter("google", with_it), platforms, FIELDS["google"])
    assert set(scopes_of(made.adapter.said)) == only
    assert lacking(made) == []
    for entity in ("schemas", "org_units", "users", "groups", "members", "courses"):
        made.observed(entity)
    before = len(sent(platforms))
    refused = made.apply(made.change("org_units", ("/X",), "create", {"name": "X"}))
    assert (refused.status, refused.reason) == ("failed", "not_configured")
    assert len(sent(platforms)) == before
    made.adapter.close()


def test_every_scope_that_only_reads_is_one_google_has():
    from reverse_etl.targets.google import client

    known = set()
    for file in (client.DESCRIPTION, client.CLASSROOM, client.LICENSING, client.GROUP_SETTINGS):
        known |= json.loads(file.read_text(encoding="utf-8"))["auth"]["oauth2"]["scopes"].keys()
    reading = {scope for scope in SCOPES if f"{scope}.readonly" in known}
    assert {scope.rpartition("/")[2] for scope in reading} == READING


OTHER = "second.admin@sd74.example"


@pytest.fixture
def two_admins(platforms, tmp_path, monkeypatch) -> Iterator[Kit]:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    first = kit("google", platforms)
    if not first.adapter._client.ask(
        first.adapter._client.request(Route("users.get", {"userKey": OTHER}))
    ).good:
        made = first.done(first.user(primary_email=OTHER))
        key = first.made["users", made.key]
        store = platforms.google.tenant.store
        store.put("users", key, store["users"][key] | {"isAdmin": True})
        store.commit(0)
    first.adapter.close()
    made = kit("google", platforms, subjects=[OTHER])
    yield made
    made.adapter.close()


def test_each_admin_it_acts_for_has_a_quota_of_its_own(two_admins, platforms, monkeypatch):
    adapter = two_admins.adapter
    first = adapter.said.subject
    assert adapter.rate == 2 * adapter.said.writes_per_minute / 60
    asked: list[str] = []
    plain = emulator.Google._allowed

    def allowed(self: Any, request: Any, resource: Any) -> Any:
        token = plain(self, request, resource)
        asked.append(token.subject)
        return token

    monkeypatch.setattr(emulator.Google, "_allowed", allowed)
    barrier = threading.Barrier(4)

    def read(_: int) -> bool:
        barrier.wait(10)  # four threads, none of which does it all
        request = adapter._client.request(Route("users.get", {"userKey": first}))
        return adapter._client.ask(request).good

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, range(4)))
    assert sorted(asked) == sorted([first, OTHER] * 2)


def test_each_admin_is_asked_for_what_it_may(two_admins, platforms):
    assert lacking(two_admins) == []
    store = platforms.google.tenant.store
    (key,) = (k for k, one in store["users"].items() if one["primaryEmail"] == OTHER)
    store.put("users", key, store["users"][key] | {"isAdmin": False})
    store.commit(0)
    found = lacking(two_admins)
    assert found and {values["subject"] for _, values in found} == {OTHER}


def test_a_first_password_may_go_as_its_hash_alone(platforms, tmp_path, monkeypatch):
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    made = kit("google", platforms, hashed_passwords=True)
    plain: list[str] = []
    issue = Passwords.issue

    def issued(self: Passwords, *given: Any, **named: Any) -> str:
        plain.append(issue(self, *given, **named))
        return plain[-1]

    monkeypatch.setattr(Passwords, "issue", issued)
    body = json.loads(made.adapter.request(made.user()).body)
    assert body["hashFunction"] == "SHA-1"
    assert body["password"] == hashlib.sha1(plain[-1].encode(), usedforsecurity=False).hexdigest()
    made.done(made.user())
    made.adapter.close()


def test_since_when_an_account_is_closed_is_read_and_gone_when_it_is_opened(google):
    user = google.done(google.user())

    def since() -> tuple[str | None, str | None]:
        rows = google.observed("users")
        (row,) = (one for one in rows if one["person_id"] == user.key[0])
        return row["suspension_time"], row["archival_time"]

    assert since() == (None, None)
    google.done(google.change("users", user.key, "suspend", {"suspended": True}))
    suspended, archived = since()
    assert suspended and suspended.endswith("Z") and archived is None
    google.done(google.change("users", user.key, "archive", {"archived": True}))
    assert since()[0] == suspended and since()[1], "archiving is no new suspension"
    google.done(
        google.change("users", user.key, "restore", {"suspended": False, "archived": False})
    )
    assert since() == (None, None)
