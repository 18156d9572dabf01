"""The kind `scim` against scim2-server, a service that is not ours, in its own process; what other
services say is answered by hand.

What is written is read back from the service, not from what we remember of it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from common.settings import SettingsError
from reverse_etl import exports
from reverse_etl.configured import TargetSettingsError
from reverse_etl.model import Change, Export, Outcome
from reverse_etl.targets.reading import TargetUnreadableError
from reverse_etl.targets.scim import Scim

TOKEN = "a-token-of-the-tests"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
COLUMNS: dict[str, dict[str, dict[str, Any]]] = {
    "users": {
        "person_id": {"field": "externalId"},
        "login": {"field": "userName", "role": "login"},
        "family_name": {"field": "name.familyName"},
        "given_name": {"field": "name.givenName"},
        "mail": {"field": 'emails[type eq "work"].value'},
        "number": {"field": f"{ENTERPRISE}:employeeNumber"},
        "active": {"field": "active", "role": "switch", "off_value": False},
    },
    "groups": {
        "group_id": {"field": "externalId"},
        "name": {"field": "displayName", "role": "login"},
    },
    "members": {"group_id": {}, "person_id": {"field": "value"}},
}
KEYS = {"users": ["person_id"], "groups": ["group_id"], "members": ["group_id", "person_id"]}


def declared() -> dict[str, Export]:
    found = {}
    for entity, columns in COLUMNS.items():
        node = {
            "name": f"exp_scim__{entity}",
            "schema": "exports",
            "columns": {
                name: {
                    "data_type": "boolean" if name == "active" else "text",
                    "config": {"meta": meta},
                }
                for name, meta in columns.items()
            },
        }
        meta: dict[str, Any] = {"target": "scim", "entity": entity, "key": KEYS[entity]}
        if entity == "members":
            meta["references"] = {"group_id": "groups", "person_id": "users"}
        found[entity] = exports.parsed(node, meta)
    return found


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    pytest.importorskip("scim2_server")
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = Path(sys.executable).with_name("scim2-server")
    process = subprocess.Popen(
        [str(command), "--port", str(port), "--bearer-token", TOKEN],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    url = f"http://127.0.0.1:{port}/v2"
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                httpx.get(f"{url}/ServiceProviderConfig", timeout=5)
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path))


@pytest.fixture
def ask(server: str) -> Iterator[httpx.Client]:
    """The service without us: emptied for each test."""
    with httpx.Client(base_url=server, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        for place in ("Groups", "Users"):
            for one in client.get(f"/{place}", params={"count": 1000}).json().get("Resources", []):
                client.delete(f"/{place}/{one['id']}")
        yield client


def target(server: str, **more: Any) -> Scim:
    settings = {
        "kind": "scim",
        "address": server,
        "auth": {"type": "bearer", "token": TOKEN},
        "writes_per_minute": 60000,
        "page": 20,
        **more,
    }
    return Scim("scim", settings, declared())


def user(number: int, **more: Any) -> dict[str, Any]:
    return {
        "person_id": f"p{number:03}",
        "login": f"u{number}@student.sd74.example",
        "family_name": "O’Brien-Łuk",
        "given_name": f"Zoë {number}",
        "mail": None if number % 5 == 0 else f"u{number}@student.sd74.example",
        "number": f"9{number:06}",
        "active": True,
    } | more


def change(entity: str, action: str, *key: str, **more: Any) -> Change:
    return Change(f"{entity}-{action}-{'-'.join(key)}", "scim", entity, key, action, **more)


def do(scim: Scim, *changes: Change) -> list[Outcome]:
    found = [scim.apply([one])[0] for one in changes]
    assert [one.note for one in found if one.status != "applied"] == []
    return found


def made(scim: Scim, *numbers: int) -> list[str]:
    """These users, and their remote ids."""
    creates = [change("users", "create", f"p{n:03}", new=user(n)) for n in numbers]
    return [one.remote_id or "" for one in do(scim, *creates)]


def seen(scim: Scim, entity: str) -> list[dict[str, Any]]:
    rows = [row for batch in scim.observe(entity) for row in batch.to_pylist()]
    return sorted(
        ({k: v for k, v in row.items() if k not in {"_json"}} for row in rows),
        key=lambda row: [str(row[name]) for name in KEYS[entity]],
    )


def test_what_is_created_is_read_back_page_by_page_as_it_was_sent(server, ask) -> None:
    scim = target(server)
    ids = made(scim, *range(1, 51))
    rows = seen(scim, "users")
    assert [row.pop("remote_id") for row in rows] == ids
    wanted = [
        {k: str(v).lower() if isinstance(v, bool) else v for k, v in user(n).items()}
        for n in range(1, 51)
    ]
    assert rows == wanted
    (there,) = ask.get("/Users", params={"filter": 'externalId eq "p007"'}).json()["Resources"]
    assert there["schemas"] == ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE]
    assert there[ENTERPRISE]["employeeNumber"] == "9000007"


@pytest.mark.parametrize("how", ["announced", "patch", "put"])
def test_every_change_of_a_user_arrives_and_nothing_else_does(server, ask, how) -> None:
    scim = target(server, update=how)
    (one, five) = made(scim, 1, 5)
    ask.patch(
        f"/Users/{one}",
        json={
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{"op": "replace", "path": "nickName", "value": "of their own"}],
        },
    )
    for action, remote_id, new, old in (
        ("update", one, {"family_name": "Smith", "number": "77"}, {"family_name": "O’Brien-Łuk"}),
        ("rename", one, {"login": "new@student.sd74.example"}, {}),
        ("update", one, {"mail": "new@x.example"}, {"mail": "u1@student.sd74.example"}),
        ("update", five, {"mail": "five@x.example"}, {"mail": None}),
        ("suspend", five, {"active": False}, {"active": True}),
    ):
        key = "p001" if remote_id == one else "p005"
        do(scim, change("users", action, key, remote_id=remote_id, new=new, old=old))
    first, fifth = (ask.get(f"/Users/{each}").json() for each in (one, five))
    assert (first["nickName"], first["name"]["familyName"], first["name"]["givenName"]) == (
        "of their own",
        "Smith",
        "Zoë 1",
    )
    assert (first["userName"], first[ENTERPRISE]["employeeNumber"]) == (
        "new@student.sd74.example",
        "77",
    )
    assert [(e["type"], e["value"]) for e in first["emails"]] == [("work", "new@x.example")]
    assert [(e["type"], e["value"]) for e in fifth["emails"]] == [("work", "five@x.example")]
    assert (first["active"], fifth["active"]) == (True, False)
    do(
        scim,
        change("users", "restore", "p005", remote_id=five, new={"active": True}),
        change(
            "users", "update", "p001", remote_id=one, new={"number": None}, old={"number": "77"}
        ),
    )
    assert ask.get(f"/Users/{five}").json()["active"] is True
    assert "employeeNumber" not in ask.get(f"/Users/{one}").json().get(ENTERPRISE, {})


def test_who_is_deleted_is_closed_first_and_deleting_twice_is_deleting_once(server, ask) -> None:
    scim = target(server)
    (one,) = made(scim, 1)
    gone = change("users", "delete", "p001", remote_id=one, old=user(1))
    (outcome,) = do(scim, gone)
    assert (outcome.calls, ask.get(f"/Users/{one}").status_code) == (2, 404)
    do(scim, gone)


@pytest.mark.parametrize("how", ["patch", "put"])
def test_groups_and_who_is_in_them_are_made_and_read_back(server, ask, how) -> None:
    scim = target(server, update=how)
    people = made(scim, *range(1, 11))
    groups = [
        one.remote_id or ""
        for one in do(
            scim,
            *(
                change("groups", "create", f"g{n}", new={"group_id": f"g{n}", "name": f"Group {n}"})
                for n in range(5)
            ),
        )
    ]

    def tie(action: str, group: int, person: int) -> Change:
        return change(
            "members",
            action,
            f"g{group}",
            f"p{person + 1:03}",
            new={"group_id": f"g{group}", "person_id": f"p{person + 1:03}"},
            references={"group_id": groups[group], "person_id": people[person]},
        )

    ties = [(group, person) for group in range(4) for person in range(group, 10)]
    do(scim, *(tie("create", *one) for one in ties), tie("create", *ties[0]))
    assert [(row["group_id"], row["person_id"]) for row in seen(scim, "members")] == sorted(
        (f"g{group}", f"p{person + 1:03}") for group, person in ties
    )
    do(scim, tie("remove", 0, 3), tie("remove", 0, 3), tie("remove", 3, 9))
    left = {(g, p) for g, p in ties} - {(0, 3), (3, 9)}
    assert {
        (group, person["value"])
        for group in range(5)
        for person in ask.get(f"/Groups/{groups[group]}").json().get("members", [])
    } == {(group, people[person]) for group, person in left}
    do(
        scim,
        change("groups", "rename", "g4", remote_id=groups[4], new={"name": "Choir"}),
        change("groups", "delete", "g3", remote_id=groups[3], old={}),
    )
    assert [(row["group_id"], row["name"]) for row in seen(scim, "groups")] == [
        ("g0", "Group 0"),
        ("g1", "Group 1"),
        ("g2", "Group 2"),
        ("g4", "Choir"),
    ]
    assert {row["group_id"] for row in seen(target(server), "members")} == {"g0", "g1", "g2"}


def test_a_create_whose_reply_was_lost_is_found_by_its_key_and_not_made_twice(server, ask) -> None:
    scim = target(server)
    (one,) = made(scim, 1)
    again = change("users", "create", "p001", new=user(1))
    assert scim.find(again) == one
    (outcome,) = scim.apply([again])
    assert (outcome.status, outcome.reason, outcome.remote_id) == ("applied", "duplicate", one)
    assert ask.get("/Users").json()["totalResults"] == 1


class Losing(httpx.HTTPTransport):
    """Every third write arrives, and its answer does not."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = self.lost = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        if request.method != "GET":
            self.writes += 1
            if self.writes % 3 == 0:
                answer.read()
                self.lost += 1
                raise httpx.ReadError("the wire broke", request=request)
        return answer


def test_answers_that_are_lost_make_nothing_twice_and_leave_nothing_undone(
    server, ask, monkeypatch
) -> None:
    scim, wire = target(server), Losing()
    monkeypatch.setattr(
        scim._client, "_http", httpx.Client(transport=wire, headers=scim._said.headers)
    )

    def through(one: Change) -> str:
        """As the engine does: what nobody knows is looked up before it is tried again."""
        for _ in range(9):
            (outcome,) = scim.apply([one])
            if outcome.status == "unknown" and (found := scim.find(one)):
                return found
            if outcome.status == "applied":
                return outcome.remote_id or ""
            assert outcome.status in {"unknown", "retry"}, outcome
        raise AssertionError("never done")

    people = [through(change("users", "create", f"p{n:03}", new=user(n))) for n in range(1, 21)]
    group = through(change("groups", "create", "g", new={"group_id": "g", "name": "All"}))
    for number, person in enumerate(people):
        key, refers = f"p{number + 1:03}", {"group_id": group, "person_id": person}
        through(change("members", "create", "g", key, references=refers))
        if number % 4 == 0:
            through(change("members", "remove", "g", key, references=refers))
            off = {"active": False}
            through(change("users", "suspend", key, remote_id=person, new=off))
        if number % 4 == 1:
            through(change("users", "delete", key, remote_id=person, old=user(number + 1)))
    assert wire.lost > 10
    there = {one["externalId"]: one for one in ask.get("/Users?count=100").json()["Resources"]}
    kept = [number for number in range(20) if number % 4 != 1]
    assert sorted(there) == [f"p{number + 1:03}" for number in kept]
    assert [there[f"p{n + 1:03}"]["active"] for n in kept] == [n % 4 != 0 for n in kept]
    members = [one["value"] for one in ask.get(f"/Groups/{group}").json()["members"]]
    assert sorted(members) == sorted(people[n] for n in range(20) if n % 4 != 0)


def test_an_account_with_our_name_and_nobodys_key_becomes_ours(server, ask) -> None:
    there = ask.post(
        "/Users",
        json={
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": "U1@student.sd74.example",
            "nickName": "kept",
        },
    ).json()
    scim = target(server)
    assert made(scim, 1) == [there["id"]]
    now = ask.get(f"/Users/{there['id']}").json()
    assert (now["externalId"], now["nickName"], now["name"]["familyName"]) == (
        "p001",
        "kept",
        "O’Brien-Łuk",
    )
    assert ask.get("/Users").json()["totalResults"] == 1


@pytest.mark.parametrize(("key", "adopts"), [("somebody-2", True), (None, False)])
def test_an_account_of_somebody_else_is_never_taken(server, ask, key, adopts) -> None:
    there = {"userName": "u1@student.sd74.example", "externalId": key}
    there["schemas"] = ["urn:ietf:params:scim:schemas:core:2.0:User"]  # type: ignore[assignment]
    before = ask.post("/Users", json={k: v for k, v in there.items() if v}).json()
    scim = target(server, adopts=adopts)
    (outcome,) = scim.apply([change("users", "create", "p001", new=user(1))])
    assert (outcome.status, outcome.reason) == ("failed", "duplicate")
    assert "belongs to another object" in outcome.note
    named = f"{before['id']}, which carries the key somebody-2"
    assert (named in outcome.note) == adopts
    assert ask.get(f"/Users/{before['id']}").json() == before


@pytest.mark.parametrize(
    ("sort", "by"),
    [
        ({"active": False}, "active"),
        ({"userType": "Guest"}, "userType"),
        ({"userType": "Service"}, "userType"),
        ({"roles": [{"value": "admin"}]}, "roles"),
    ],
)
def test_only_a_persons_own_is_adopted_and_the_others_are_named(server, ask, sort, by) -> None:
    there = {"userName": "u1@student.sd74.example", **sort}
    there["schemas"] = ["urn:ietf:params:scim:schemas:core:2.0:User"]
    before = ask.post("/Users", json=there).json()
    scim = target(server)
    (outcome,) = scim.apply([change("users", "create", "p001", new=user(1))])
    assert (outcome.status, outcome.reason) == ("failed", "duplicate")
    assert before["id"] in outcome.note
    assert f"by {by} no person's own" in outcome.note
    assert ask.get(f"/Users/{before['id']}").json() == before


def test_which_sorts_are_a_persons_own_is_a_setting(server, ask) -> None:
    there = {"userName": "u1@student.sd74.example", "roles": [{"value": "Pupil"}]}
    there["schemas"] = ["urn:ietf:params:scim:schemas:core:2.0:User"]
    before = ask.post("/Users", json=there).json()
    scim = target(server, adopts_only={"roles": ["", "pupil"]})
    assert made(scim, 1) == [before["id"]]


def by_name(**meta: Any) -> dict[str, Export]:
    """Groups known by their name alone."""
    columns = {"name": {"data_type": "text", "config": {"meta": {"field": "displayName", **meta}}}}
    node = {"name": "exp_scim__groups", "schema": "exports", "columns": columns}
    said = {"target": "scim", "entity": "groups", "key": ["name"]}
    return {"groups": exports.parsed(node, said)}


def test_letter_case_tells_no_group_from_another(server, ask) -> None:
    with pytest.raises(TargetSettingsError, match=r"write ignoring: \[case\]"):
        Scim("scim", {"address": server}, by_name())
    before = ask.post(
        "/Groups",
        json={
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            "displayName": "/students/Oak",
        },
    ).json()
    said = {"address": server, "auth": {"type": "bearer", "token": TOKEN}}
    scim = Scim("scim", said, by_name(ignoring=["case"]))
    new = {"name": "/Students/oak"}
    change = Change("g", "scim", "groups", ("/students/oak",), "create", new=new)
    (row,) = [row for batch in scim.observe("groups") for row in batch.to_pylist()]
    assert (row["remote_id"], scim.find(change)) == (before["id"], before["id"])
    scim.close()


def test_a_wrong_token_and_a_missing_one_say_so(server) -> None:
    wrong = target(server, auth={"type": "bearer", "token": "wrong"})
    with pytest.raises(TargetUnreadableError, match=r"users"):
        list(wrong.observe("users"))
    with pytest.raises(TargetUnreadableError, match="token is not set"):
        list(target(server, auth={"type": "bearer"}).observe("users"))
    assert "users can be read" in target(server).check_connection()


class Recorder:
    """The client of a target that answers nothing itself and keeps what was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, scim: Scim, *answers: httpx.Response):
        self.asked: list[tuple[str, str, Any]] = []
        self.versions: list[str | None] = []
        left = list(answers)

        def answer(request: httpx.Request) -> httpx.Response:
            body = json.loads(request.content) if request.content else None
            self.versions.append(request.headers.get("if-match"))
            self.asked.append((request.method, request.url.raw_path.decode(), body))
            return left.pop(0) if left else httpx.Response(204)

        client = httpx.Client(transport=httpx.MockTransport(answer))
        monkeypatch.setattr(scim._client, "_http", client)


def test_a_dialect_is_settings(monkeypatch) -> None:
    scim = target(
        "https://x.example/scim", text_booleans=True, member_removal="value", update="patch"
    )
    record = Recorder(monkeypatch, scim)
    do(
        scim,
        change("users", "suspend", "p1", remote_id="u1", new={"active": False}),
        change("members", "remove", "g", "p1", references={"group_id": "g1", "person_id": "u1"}),
    )
    said = [body["Operations"] for _, _, body in record.asked]
    assert [path for _, path, _ in record.asked] == ["/scim/Users/u1", "/scim/Groups/g1"]
    assert said == [
        [{"op": "replace", "path": "active", "value": "False"}],
        [{"op": "remove", "path": "members", "value": [{"value": "u1"}]}],
    ]


@pytest.mark.parametrize(("active", "methods"), [(True, "PATCH DELETE"), (False, "DELETE")])
def test_who_is_open_is_closed_before_the_deletion_and_not_after(monkeypatch, active, methods):
    scim = target("https://x.example/scim", update="patch")
    record = Recorder(monkeypatch, scim)
    do(scim, change("users", "delete", "p1", remote_id="u1", old={"active": active}))
    assert [method for method, _, _ in record.asked] == methods.split()


@pytest.mark.parametrize(
    ("answer", "method"),
    [
        (httpx.Response(200, json={"patch": {"supported": False}}), "PUT"),
        (httpx.Response(200, json={"patch": {"supported": True}}), "PATCH"),
        (httpx.Response(404), "PATCH"),
    ],
)
def test_an_object_is_changed_as_the_service_announces(monkeypatch, answer, method) -> None:
    scim = target("https://x.example/scim")
    there = httpx.Response(
        200, json={"id": "u1", "externalId": "p1", "active": True}, headers={"ETag": 'W/"7"'}
    )
    answers = [answer, there] if method == "PUT" else [answer]
    record = Recorder(monkeypatch, scim, *answers)
    do(scim, change("users", "suspend", "p1", remote_id="u1", new={"active": False}))
    assert record.asked[-1][0] == method
    assert record.versions[-1] == ('W/"7"' if method == "PUT" else None)
    assert record.asked[0][1] == "/scim/ServiceProviderConfig"


@pytest.mark.parametrize(
    "pages",
    [
        [{"totalResults": 3, "Resources": [{"id": "1"}, {"id": "2"}]}, {"totalResults": 3}],
        [{"totalResults": 2, "Resources": [{"id": "1"}]}, {"totalResults": 2, "Resources": []}],
        [{"Resources": [{"id": "1"}]}],
    ],
)
def test_half_a_list_is_refused(monkeypatch, pages) -> None:
    scim = target("https://x.example/scim")
    Recorder(monkeypatch, scim, *(httpx.Response(200, json=page) for page in pages * 3))
    with pytest.raises(TargetUnreadableError, match="could not be read to their end"):
        list(scim.observe("users"))


def test_the_pages_begin_at_one_and_a_service_that_caps_them_gives_every_row(monkeypatch) -> None:
    scim = target("https://x.example/scim")
    record = Recorder(
        monkeypatch,
        scim,
        *(
            httpx.Response(200, json={"totalResults": 5, "Resources": [{"id": n} for n in page]})
            for page in ("12", "34", "5")
        ),
    )
    assert len(seen(scim, "users")) == 5
    assert [path.partition("?")[2] for _, path, _ in record.asked] == [
        "count=20&startIndex=1",
        "count=20&startIndex=3",
        "count=20&startIndex=5",
    ]
    Recorder(monkeypatch, scim, httpx.Response(200, json={"totalResults": 0}))
    assert seen(scim, "users") == []


@pytest.mark.parametrize("again", [False, True])
def test_a_cursor_that_expired_begins_the_list_again_once(monkeypatch, again) -> None:
    scim = target("https://x.example/scim", pages="cursor")
    first = httpx.Response(200, json={"Resources": [{"id": "1"}, {"id": "2"}], "nextCursor": "abc"})
    last = httpx.Response(200, json={"Resources": [{"id": "3"}]})
    expired = httpx.Response(400, json={"scimType": "expiredCursor", "status": "400"})
    record = Recorder(monkeypatch, scim, first, expired, first, expired if again else last)
    if again:
        with pytest.raises(TargetUnreadableError, match="expired again"):
            seen(scim, "users")
    else:
        assert [row["remote_id"] for row in seen(scim, "users")] == ["1", "2", "3"]
    asked = [dict(parse_qsl(path.partition("?")[2], True)) for _, path, _ in record.asked]
    assert [one["cursor"] for one in asked] == ["", "abc"] * 2


def test_nobody_writes_the_calls_of_scim(server) -> None:
    calls = {"users": {"list": {"path": "Users"}}}
    with pytest.raises(SettingsError, match="entities"):
        target(server, entities=calls)
    with pytest.raises(SettingsError, match="https"):
        target("http://elsewhere.example/scim")
