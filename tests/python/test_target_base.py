"""The plot of a target, tried with a vendor nobody wrote: a directory that speaks SCIM, as rows and
a client, and nothing else. What Google and Microsoft do by their own rows is in test_targets.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote

import pytest

from reverse_etl.model import Change, Column, Export, Outcome
from reverse_etl.targets.base import ApiTarget
from reverse_etl.targets.entity import Entity, Route, Words, fill
from reverse_etl.targets.fields import field
from reverse_etl.targets.reading import TargetUnreadableError
from reverse_etl.targets.replies import Call, Reply, Verdict, ordinary

ROOT = Path(__file__).resolve().parents[2]

# ---------------------------------------------------------------- what a kind writes down: entities

PAGE = {"startIndex": "1", "count": "{page}"}
BY_KEY = {"filter": "externalId eq {key!j}"}
USER, GROUP = (
    {"schemas": [f"urn:ietf:params:scim:schemas:core:2.0:{name}"]} for name in ("User", "Group")
)


def patch(**operation: Any) -> dict[str, Any]:
    return {"Operations": [operation]}


ENTITIES = (
    Entity(
        "users",
        items="Resources",
        page=2,
        named_by="user_name",
        keeps_deleted_days=7,
        observed=(field("title", "title"),),
        read_only=("meta.created",),
        routes={
            "check": Route("GET /Users", {"count": "1"}),
            "list": Route("GET /Users", PAGE | {"attributes": "{mask}"}),
            "find": Route("GET /Users", BY_KEY),
            "create": Route("POST /Users", body=USER, columns=True),
            "update": Route("PATCH /Users/{id}", columns=True),
            "remove": Route("DELETE /Users/{id}"),
            "undelete": Route("POST /Users/{id}/restore", columns=("display_name",)),
        },
    ),
    Entity(
        "groups",
        items="Resources",
        page=2,
        never_deleted="a group is somebody's history",
        routes={
            "list": Route("GET /Groups", PAGE),
            "find": Route("GET /Groups", BY_KEY),
            "create": Route("POST /Groups", body=GROUP, columns=True),
            "update": Route("PATCH /Groups/{id}", columns=True),
        },
    ),
    Entity(
        "members",
        items="members",
        observed=(field("group_remote_id", "group_remote_id"), field("member_remote_id", "value")),
        links=("group_id", "person_id"),
        listed_per="groups",
        routes={
            "of": Route("GET /Groups/{owner}"),
            "create": Route(
                "PATCH /Groups/{group_id}",
                body=patch(op="add", path="members", value=[{"value": "{person_id}"}]),
            ),
            "remove": Route(
                "PATCH /Groups/{group_id}",
                body=patch(op="remove", path='members[value eq "{person_id}"]'),
            ),
        },
    ),
    Entity(
        "plans",  # read only
        remote_id="name",
        observed=(field("seats", "seats"),),
        routes={"list": Route("GET /Plans")},
    ),
    Entity("folders", parents_first=True, routes={"create": Route("POST /Folders")}),
)


# ---------------------------------------------------------------- and its client, here with no wire


class Client:
    """A SCIM server in memory. `lost` counts down replies that get lost after the work is done."""

    identity = "the test"

    def __init__(self) -> None:
        self.things: dict[str, dict[str, dict[str, Any]]] = {"Users": {}, "Groups": {}}
        self.deleted: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, Mapping[str, str], Any]] = []
        self.lost, self.down, self.closed = 0, 0, False
        self._numbers = itertools.count(1)

    def request(self, route: Route) -> Route:
        plain = route.call.startswith("PATCH") and "Operations" not in (route.body or {})
        return replace(route, body=patch(op="replace", value=route.body)) if plain else route

    def following(self, route: Route, request: Route, reply: Reply) -> Route | None:
        start = int(request.query.get("startIndex", 1)) + len(reply.body.get("Resources", ()))
        more = start <= reply.body.get("totalResults", 0)
        return replace(request, query={**request.query, "startIndex": str(start)}) if more else None

    def verdict(self, call: Call, reply: Reply) -> Verdict:
        if reply.code == 409:
            return Verdict("look", "duplicate")
        return ordinary(call, reply)

    def ask(self, request: Route) -> Reply:
        reply = self.send([request])[0]
        if "filter" not in request.query or not reply.good:
            return reply
        found = reply.body["Resources"]
        return Reply(200, found[0]) if found else Reply(404, {})

    def send(self, requests: Sequence[Route]) -> list[Reply]:
        return [self._answer(request) for request in requests]

    def close(self) -> None:
        self.closed = True

    def _answer(self, request: Route) -> Reply:
        method, _, path = request.call.partition(" ")
        self.asked.append((request.call, request.query, request.body))
        if self.down:
            self.down -= 1
            return Reply(503, {})
        kind, _, rest = path.strip("/").partition("/")
        remote_id, _, restoring = unquote(rest).partition("/")
        if restoring and remote_id in self.deleted:
            self.things[kind][remote_id] = self.deleted.pop(remote_id)
        reply = self._do(method, self.things[kind], remote_id, request)
        if self.lost and method != "GET":
            self.lost -= 1
            return Reply(None, {}, "no_reply")
        return reply

    def _do(
        self, method: str, there: dict[str, dict[str, Any]], remote_id: str, request: Route
    ) -> Reply:
        if remote_id and remote_id not in there:
            return Reply(404, {})
        match method:
            case "GET" if remote_id:
                return Reply(200, there[remote_id])
            case "GET":
                said = request.query.get("filter", "").partition(" eq ")[2]
                wanted = json.loads(said) if said else None
                found = [o for o in there.values() if wanted in (None, o.get("externalId"))]
                at = int(request.query.get("startIndex", 1)) - 1
                page = found[at : at + int(request.query.get("count", 100))]
                return Reply(200, {"totalResults": len(found), "Resources": page})
            case "DELETE":
                self.deleted[remote_id] = there.pop(remote_id)
                return Reply(204, {})
            case "PATCH":
                (operation,) = request.body["Operations"]
                return self._patch(there[remote_id], operation)
        if not remote_id:
            if any(
                o["userName"] == request.body["userName"] for o in self.things["Users"].values()
            ):
                return Reply(409, {})
            remote_id = f"r{next(self._numbers)}"
            there[remote_id] = {"id": remote_id, **request.body}
        return Reply(201, there[remote_id])

    def _is_taken(self, new: Mapping[str, Any], by: Any = None) -> bool:
        others = (user for user in self.things["Users"].values() if user is not by)
        return "userName" in new and any(o["userName"] == new["userName"] for o in others)

    def _patch(self, thing: dict[str, Any], operation: dict[str, Any]) -> Reply:
        if operation["op"] == "replace":
            new = operation["value"]
            if self._is_taken(new, thing):
                return Reply(409, {})
            thing.update(new)
        elif operation["op"] == "add":
            thing.setdefault("members", [])
            thing["members"] += [o for o in operation["value"] if o not in thing["members"]]
        else:
            gone = operation["path"].split('"')[1]
            thing["members"] = [o for o in thing.get("members", ()) if o["value"] != gone]
        return Reply(200, thing)


ROLES = {"deleted": "deleted", "first_password": "password"}


def export(entity: str, key: tuple[str, ...], fields: Mapping[str, str], **more: Any) -> Export:
    columns = tuple(
        Column(name, field=path, role=ROLES.get(name, "")) for name, path in fields.items()
    )
    return Export(f"exp_scim__{entity}", "", "scim", entity, key, columns, **more)


EXPORTS = {
    "users": export(
        "users",
        ("person_id",),
        {
            "person_id": "externalId",
            "user_name": "userName",
            "display_name": "displayName",
            "work_email": 'emails[type eq "work"].value',
            "made_on": "meta.created",
            "deleted": "meta.deleted",
            "first_password": "password",
        },
    ),
    "groups": replace(
        export("groups", ("group_id",), {"group_id": "externalId", "name": "displayName"}),
        columns=(
            Column("group_id", field="externalId", ignoring=("case",)),
            Column("name", field="displayName"),
        ),
    ),
    "members": export(
        "members",
        ("group_id", "person_id"),
        {"group_id": "", "person_id": ""},
        references={"group_id": "groups", "person_id": "users"},
    ),
}


class Scim(ApiTarget):
    """The kind: its rows, its client."""

    rows: Mapping[str, Entity] = {row.name: row for row in ENTITIES}

    def __init__(self, client: Client) -> None:
        super().__init__("scim", {"threads": 2}, EXPORTS, client)


# ---------------------------------------------------------------- the tests


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def scim(client: Client, monkeypatch: pytest.MonkeyPatch) -> Scim:
    monkeypatch.setattr(Scim, "password", lambda self, change: f"secret of {change.key[0]}")
    return Scim(client)


numbers = itertools.count(1)


def change(
    entity: str, key: str | tuple[str, ...], action: str, new: Mapping[str, Any], **more: Any
) -> Change:
    key = key if isinstance(key, tuple) else (key,)
    return Change(f"c{next(numbers)}", "scim", entity, key, action, new=new, **more)


def user(key: str = "p1", **new: Any) -> Change:
    row = {"person_id": key, "user_name": f"{key}@x", "display_name": "Mia", "deleted": False}
    return change("users", key, "create", row | new)


def do(scim: Scim, one: Change) -> Outcome:
    (outcome,) = scim.apply([one])
    return outcome


def made(scim: Scim, one: Change) -> str:
    outcome = do(scim, one)
    assert outcome.status == "applied", outcome
    return str(outcome.remote_id)


def seen(scim: Scim, entity: str) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in row.items() if name != "_json"}
        for batch in scim.observe(entity)
        for row in batch.to_pylist()
    ]


def test_rows_and_a_client_are_a_target(scim, client):
    remote_id = made(scim, user(work_email="mia@x"))
    assert client.asked[-1][2] == USER | {
        "password": "secret of p1",
        "externalId": "p1",
        "userName": "p1@x",
        "displayName": "Mia",
        "emails": [{"type": "work", "value": "mia@x"}],
    }
    assert seen(scim, "users") == [
        {
            "remote_id": remote_id,
            "person_id": "p1",
            "user_name": "p1@x",
            "display_name": "Mia",
            "work_email": "mia@x",
            "made_on": None,
            "deleted": None,
            "title": None,
        }
    ]


def test_to_check_the_connection_is_to_read_one_object(scim, client):
    assert scim.check_connection() == "signed in as the test, users can be read"
    assert client.asked == [("GET /Users", {"count": "1"}, None)]
    scim.close()
    assert client.closed


def test_the_columns_of_the_raw_layer_are_those_of_export_and_row(scim):
    assert scim.raw_columns["users"][:2] == ("remote_id", "person_id")
    assert scim.raw_columns["members"] == ("group_remote_id", "member_remote_id")
    assert "names_taken" not in scim.raw_columns, "an address here is nobody's but the account's"
    assert scim.raw_columns["plans"] == ("remote_id", "seats")
    assert scim.entities == ("users", "groups", "members", "folders"), "plans are only read"


def test_what_is_read_only_is_asked_for_and_never_sent(scim, client):
    made(scim, user(made_on="2026-09-08"))
    assert "meta" not in client.asked[-1][2]
    seen(scim, "users")
    assert client.asked[-1][1]["attributes"] == (
        "id,externalId,userName,displayName,emails,meta,title"
    )


def test_every_page_is_asked_for_until_the_last(scim):
    keys = [f"p{number}" for number in range(5)]
    for key in keys:
        made(scim, user(key))
    assert [row["person_id"] for row in seen(scim, "users")] == keys


def test_an_update_sends_what_it_names(scim, client):
    remote_id = made(scim, user())
    do(scim, change("users", "p1", "rename", {"user_name": "new@x"}, remote_id=remote_id))
    assert client.asked[-1] == (
        f"PATCH /Users/{remote_id}",
        {},
        {"Operations": [{"op": "replace", "value": {"userName": "new@x"}}]},
    )


def test_a_create_that_was_done_before_is_known_by_its_key(scim):
    remote_id = made(scim, user())
    again = do(scim, user())
    assert (again.status, again.reason, again.remote_id) == ("applied", "duplicate", remote_id)
    assert (again.note, again.calls) == ("already there", 2)
    assert scim.find(user()) == remote_id
    assert scim.find(user("p2")) is None


def test_a_password_is_made_for_a_create_and_for_nothing_else(scim, client):
    remote_id = made(scim, user(first_password="what a model wrote"))
    assert client.asked[-1][2]["password"] == "secret of p1"
    new = {"display_name": "Zoë", "first_password": "what a model wrote"}
    do(scim, change("users", "p1", "update", new, remote_id=remote_id))
    assert client.asked[-1][2] == {
        "Operations": [{"op": "replace", "value": {"displayName": "Zoë"}}]
    }
    assert "first_password" not in scim.raw_columns["users"]


def test_a_password_is_kept_until_its_account_is_made_or_refused(scim, client):
    class Kept:
        forgotten: ClassVar[list[tuple[str, bool]]] = []

        def forget(self, change_id: str, *, used: bool) -> None:
            self.forgotten.append((change_id, used))

    scim._passwords = Kept()
    one, other = user(), user("p2", user_name="p1@x")
    client.down = 1
    assert do(scim, one).status == "unknown"
    assert Kept.forgotten == []
    assert (do(scim, one).status, do(scim, other).status) == ("applied", "failed")
    assert Kept.forgotten == [(one.change_id, True), (other.change_id, False)]


def test_a_lost_create_is_unknown_and_a_lost_update_is_made_again(scim, client):
    client.lost = 2
    assert do(scim, user()).status == "unknown"
    remote_id = scim.find(user())
    update = change("users", "p1", "update", {"display_name": "Zoë"}, remote_id=remote_id)
    assert do(scim, update).status == "retry"
    assert do(scim, update).status == "applied"


def test_a_name_that_is_somebody_elses_is_refused(scim):
    made(scim, user())
    thief = do(scim, user("p2", user_name="p1@x"))
    assert (thief.status, thief.reason, thief.calls) == ("failed", "duplicate", 2)
    assert thief.note == (
        "the name meant for p2 belongs to another object, which does not carry this key; nothing"
        " was changed"
    )
    other = made(scim, user("p3"))
    to = change("users", "p3", "rename", {"user_name": "p1@x"}, remote_id=other)
    assert (do(scim, to).status, do(scim, to).reason) == ("failed", "duplicate")
    plain = change("users", "p3", "update", {"display_name": "Z"}, remote_id=other)
    refused = scim.look(plain, Reply(409, {}), "duplicate")
    assert (refused.status, refused.calls) == ("failed", 1), (
        "no name is meant, so none is looked up"
    )


def test_a_rename_that_was_answered_exists_and_done_is_done(scim, client):
    remote_id = made(scim, user())
    to = change("users", "p1", "rename", {"user_name": "p1@x"}, remote_id=remote_id)
    assert scim.look(to, Reply(409, {}), "duplicate").status == "applied"
    other = replace(to, remote_id="somebody-else")
    assert scim.look(other, Reply(409, {}), "duplicate").status == "failed"
    client.things["Users"][remote_id]["userName"] = "old@x"
    assert scim.look(to, Reply(409, {}), "duplicate").status == "failed", "it has another name"


def test_what_an_upsert_refuses_is_not_looked_up(scim, client):
    """It would have found its own."""
    made(scim, user())
    upserted = replace(scim.rows["users"], upserts=True, named_by="")
    scim.rows = {**scim.rows, "users": upserted}
    asked = len(client.asked)
    refused = scim.look(user(), Reply(409, {}), "duplicate")
    assert (refused.status, refused.calls, len(client.asked)) == ("failed", 1, asked)


def test_a_refusal_that_only_may_mean_exists_says_no_more_than_that(scim):
    refused = scim.look(user("p7"), Reply(400, {}), "invalid")
    assert (refused.status, refused.reason) == ("failed", "invalid")
    assert refused.note.startswith("a value of this change breaks a rule of the platform")


def test_a_create_answered_without_an_id_is_asked_for_it(scim, client):
    remote_id = made(scim, user())
    silent = scim.judge(user(), Reply(204, {}))
    assert (silent.status, silent.reason, silent.remote_id) == ("applied", "duplicate", remote_id)
    assert (silent.note, silent.calls) == ("already there", 2)
    scim._reads._sleep = lambda seconds: None
    client.down = 100
    unread = scim.judge(user(), Reply(204, {}))
    assert (unread.status, unread.reason, unread.calls) == ("retry", "unreadable", 2)


def test_a_look_that_cannot_be_had_leaves_it_unknown(scim, client):
    scim._reads._sleep = lambda seconds: None
    client.down = 100
    looked = scim.look(user(), Reply(409, {}), "duplicate")
    assert (looked.status, looked.reason) == ("unknown", "duplicate")
    assert looked.note.startswith("scim: users p1 could not be read")


def test_a_key_may_ignore_letter_case_where_the_target_does(scim):
    group = change("groups", "staff", "create", {"group_id": "Staff"})
    assert scim.words(group)["key"] == "Staff", "what is written is as the row spells it"
    assert scim.ours(group, {"id": "r9", "externalId": "STAFF"}) == "r9"
    assert scim.ours(user("P1"), {"id": "r9", "externalId": "p1"}) is None
    assert scim.ours(user(), {"id": "r9"}) is None, "who carries no key is nobody of ours"


def test_a_link_is_tied_when_both_its_ends_are_there(scim, client):
    group = made(scim, change("groups", "g1", "create", {"group_id": "g1", "name": "Staff"}))
    client.things["Groups"]["strange"] = {"id": "strange", "members": [{"value": "r"}]}
    person = made(scim, user())
    tie = change("members", ("g1", "p1"), "create", {"group_id": "g1", "person_id": "p1"})
    waits = do(scim, tie)
    assert (waits.status, waits.reason, waits.calls) == ("failed", "unsupported", 0)
    assert waits.note == (
        "cannot create members: the group or the person does not exist in the target yet"
    )
    half = do(scim, replace(tie, references={"group_id": group, "person_id": ""}))
    assert (half.reason, half.note) == (waits.reason, waits.note)
    tie = replace(tie, references={"group_id": group, "person_id": person})
    assert [do(scim, tie).remote_id for _ in range(2)] == [person, person]
    assert seen(scim, "members") == [{"group_remote_id": group, "member_remote_id": person}], (
        "only groups that carry our key are asked for their members"
    )
    assert scim.find(tie) is None, "it can be tied again"
    there = scim.look(tie, Reply(409, {}), "duplicate")
    assert (there.status, there.remote_id) == ("applied", person)
    do(scim, replace(tie, action="remove", new={}))
    assert seen(scim, "members") == []
    for action in ("update", "undelete"):
        none = do(scim, replace(tie, action=action, new={"role": "x"}))
        assert none.note == f"cannot {action} members: the target has no such call"


def test_a_lost_link_is_made_again(scim, client):
    group = made(scim, change("groups", "g1", "create", {"group_id": "g1"}))
    client.lost = 1
    tie = change(
        "members", ("g1", "p1"), "create", {}, references={"group_id": group, "person_id": "r"}
    )
    assert do(scim, tie).status == "retry"


def test_what_is_never_deleted_says_why(scim):
    refused = do(scim, change("groups", "g1", "delete", {}, remote_id="r1"))
    assert (refused.status, refused.reason, refused.calls) == ("failed", "unsupported", 0)
    assert refused.note == (
        "cannot delete groups: a group is somebody's history and is never deleted"
    )
    assert scim.lasting == {"groups": "a group is somebody's history"}
    assert scim.restorable == {"users": 7}


def test_a_change_that_says_too_little_is_not_sent(scim, client):
    unknown = do(scim, change("users", "p1", "update", {"display_name": "Z"}))
    assert unknown.note.endswith("the remote id is not known; observe and plan again")
    nothing = do(scim, change("users", "p1", "update", {"made_on": "x"}, remote_id="r1"))
    assert nothing.note.endswith("the change holds no column that is sent to scim")
    assert (client.asked, scim.write_calls) == ([], 0)


def test_each_change_of_a_call_is_answered_in_its_place(scim):
    good, bad = user(), change("users", "p9", "update", {"display_name": "Z"})
    outcomes = scim.apply([bad, good, user("p2")])
    assert [outcome.status for outcome in outcomes] == ["failed", "applied", "applied"]
    assert scim.write_calls == 2


def test_what_was_made_a_moment_ago_may_be_missing_for_a_moment(scim):
    strange = change("users", "p1", "update", {"display_name": "Z"}, remote_id="r77")
    assert do(scim, strange).status == "failed"
    scim._young.add("r77")
    assert do(scim, strange).status == "retry"
    gone = do(scim, replace(strange, action="delete", new={}))
    assert (gone.status, gone.reason, gone.note) == ("applied", "not_found", "already gone")


def test_a_deleted_account_that_is_wanted_again_is_had_back_before_it_is_written_to(scim, client):
    remote_id = made(scim, user())
    do(scim, change("users", "p1", "delete", {}, remote_id=remote_id))
    new = {"deleted": False, "display_name": "Zoë"}
    back = change("users", "p1", "restore", new, remote_id=remote_id)
    first = len(client.asked)
    outcome = do(scim, back)
    assert (outcome.status, outcome.calls) == ("applied", 2)
    assert [call for call, _, _ in client.asked[first:]] == [
        f"POST /Users/{remote_id}/restore",
        f"PATCH /Users/{remote_id}",
    ]
    assert client.asked[first][2] == {"displayName": "Zoë"}
    client.down = 1
    held_back = do(scim, back)
    assert (held_back.status, held_back.reason) == ("retry", "server_error")
    assert len(client.asked) == first + 3, "what stays deleted is not written to"


def test_a_deleted_account_whose_address_is_somebody_elses_is_refused_at_once(
    scim, client, monkeypatch
):
    remote_id = made(scim, user())
    do(scim, change("users", "p1", "delete", {}, remote_id=remote_id))
    monkeypatch.setattr(client, "send", lambda requests: [Reply(409, {}) for _ in requests])
    new = {"deleted": False, "display_name": "Zoë"}
    back = change("users", "p1", "restore", new, remote_id=remote_id)
    refused = do(scim, back)
    assert (refused.status, refused.reason, refused.calls) == ("failed", "duplicate", 1)
    assert "identity_decisions" in refused.note
    strange = change("users", "p1", "update", {"display_name": "Z"}, remote_id="r77")
    scim._young.clear()
    do(scim, back)
    monkeypatch.setattr(client, "send", lambda requests: [Reply(404, {}) for _ in requests])
    late = replace(strange, remote_id=remote_id)
    assert do(scim, late).status == "failed", "who stayed deleted is no newcomer to wait for"


def test_an_account_had_back_is_had_back_by_its_id(scim, client):
    remote_id = made(scim, user())
    do(scim, change("users", "p1", "delete", {}, remote_id=remote_id))
    back = change("users", "p1", "undelete", dict(user().new), remote_id=remote_id)
    assert do(scim, back).remote_id == remote_id
    assert client.asked[-1][2] == {"displayName": "Mia"}


def test_every_trait_of_an_entity_is_told_where_targets_are_added():
    source = (ROOT / "reverse_etl/targets/entity.py").read_text(encoding="utf-8")
    traits = re.findall(r"^    (\w+): ", source.partition("    # traits\n")[2], re.MULTILINE)
    told = (ROOT / "docs/add-a-target.md").read_text(encoding="utf-8")
    assert len(traits) == 9
    own = told.partition("### A kind of its own")[2]
    assert re.findall(r"^\| `(\w+)` \|", own, re.MULTILINE) == traits


def test_a_path_runs_in_the_round_of_its_depth(scim):
    depths = [scim.order(change("folders", path, "create", {})) for path in ("/a", "/a/b/c", "/")]
    assert depths == [0, 2, 0]
    assert scim.order(user()) == 0


def test_quota_and_threads_come_from_the_settings_or_the_kind(client):
    assert (ApiTarget("x", {}, {}, client).rate, ApiTarget("x", {}, {}, client).threads) == (10, 8)
    slow = ApiTarget("x", {"writes_per_minute": 60, "threads": 3}, None, client)
    assert (slow.rate, slow.threads) == (1.0, 3)


def test_reads_are_paced_by_what_the_target_allows_of_them(client, monkeypatch):
    as_many = ApiTarget("x", {}, {}, client)._reads._bucket.rate
    monkeypatch.setattr(ApiTarget, "reads_per_write", 4.0)
    assert ApiTarget("x", {}, {}, client)._reads._bucket.rate == pytest.approx(4 * as_many)


def test_a_target_that_cannot_be_read_is_a_sentence(scim, client):
    scim._reads._sleep = lambda seconds: None
    client.down = 100
    with pytest.raises(TargetUnreadableError, match="scim: users could not be read"):
        seen(scim, "users")
    scim._names["groups"], scim._ours["groups"] = [], ["r1"]
    with pytest.raises(TargetUnreadableError, match="scim: members of r1 could not be read"):
        seen(scim, "members")


def test_a_group_that_went_since_it_was_listed_has_no_members(scim):
    scim._names["groups"], scim._ours["groups"] = [], ["gone"]
    assert seen(scim, "members") == []
    assert scim.read_calls == 1


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("/Users/{id}", "/Users/a%2Fb%3Fc"),
        ("/g(key={key!q})", "/g(key='o%27%27neil%231')"),
        ("/plain/path?x=(1)", "/plain/path?x=(1)"),
    ],
)
def test_signs_are_escaped_in_a_path(template, filled):
    assert fill(template, Words({"id": "a/b?c", "key": "o'neil#1"}), path=True) == filled


def test_words_stand_in_texts_tables_and_lists(scim):
    words = Words({"key": 'a"b', "n": 7})
    template = {"a": ["{key!j}", "{key!q}", {"b": "x{n}"}], "c": True, "d": None}
    assert fill(template, words) == {"a": ['"a\\"b"', "'a\"b'", {"b": "x7"}], "c": True, "d": None}
    with pytest.raises(KeyError, match="the change does not say nobody"):
        fill("{nobody}", words)
    scim.constants = {"domain": "x.example"}
    assert scim.filled(Route("GET /{domain}"), {}).call == "GET /x.example"
