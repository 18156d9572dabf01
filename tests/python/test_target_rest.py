"""Kind `rest` by itself: what its settings may say, how a list ends, what an answer means, and who
is never sent our token. What every target must hold is asked in `test_targets`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from json_api import serving

from common import settings
from demo.platforms.http import Reply, Request
from reverse_etl import configured
from reverse_etl.configured import TargetSettingsError
from reverse_etl.model import Change, Column, Export, Outcome
from reverse_etl.targets.json_path import put, value_at
from reverse_etl.targets.reading import TargetUnreadableError
from reverse_etl.targets.replies import Call, seconds
from reverse_etl.targets.rest import Rest
from reverse_etl.targets.rest.client import is_allowed

ITEMS = Export(
    "exp_shop__items",
    '"exports"."exp_shop__items"',
    "shop",
    "items",
    ("code",),
    (
        Column("code"),
        Column("title", field="name.en"),
        Column("price", "DECIMAL(9,2)"),
        Column("active", "BOOLEAN", role="switch", off_value=False),
    ),
)
LINES = Export(
    "exp_shop__lines",
    '"exports"."exp_shop__lines"',
    "shop",
    "lines",
    ("line",),
    (Column("line"), Column("item", field="item.id"), Column("amount", "INTEGER")),
    references={"item": "items"},
)
ROUTES: Mapping[str, Any] = {
    "list": {"path": "items", "items": "rows"},
    "get": {"path": "items/{id}"},
    "create": {"path": "items"},
    "update": {"path": "items/{id}"},
    "delete": {"path": "items/{id}"},
}
Answer = Callable[[Request], Reply | None]


class Shop:
    """An API that answers as a test says, and a target on it."""

    def __init__(self, stack: ExitStack) -> None:
        self.asked: list[Request] = []
        self.answers: list[Any] = []
        self.always: Answer | None = None
        self.url = stack.enter_context(serving(self._respond))

    def _respond(self, request: Request) -> Reply | None:
        self.asked.append(request)
        if self.always is not None:
            return self.always(request)
        answer = self.answers.pop(0)
        return answer if isinstance(answer, Reply) or answer is None else Reply(200, answer)

    def target(self, *answers: Any, lines: Any = None, **more: Any) -> Rest:
        """A target whose next calls are answered so; `items` says what differs in its routes."""
        self.answers, self.asked = list(answers), []
        routes = {**ROUTES, **more.pop("items", {})}
        routes = {name: route for name, route in routes.items() if route is not None}
        entities = {"items": routes, **({"lines": lines} if lines else {})}
        settings = {
            "kind": "rest",
            "address": f"{self.url}/v1",
            "writes_per_minute": 60_000,
            "entities": entities,
            "timeout": 5,
            **more,
        }
        made = Rest("shop", settings, {"items": ITEMS} | ({"lines": LINES} if lines else {}))
        made._reads._sleep = lambda seconds: None
        return made

    def urls(self) -> list[str]:
        return [f"{one.method} {one.target}" for one in self.asked]

    def bodies(self) -> list[Any]:
        return [json.loads(one.body) for one in self.asked if one.body]


@pytest.fixture(scope="module")
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture(scope="module")
def running(stack: ExitStack) -> Shop:
    return Shop(stack)


@pytest.fixture
def shop(running: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path))
    running.always = None
    return running


def change(action: str = "update", key: str = "A1", **new: Any) -> Change:
    remote_id = None if action == "create" else "7"
    return Change("c1", "shop", "items", (key,), action, remote_id, {}, new)


def done(target: Rest, *changes: Change) -> list[Outcome]:
    return target.apply(changes)


def read(target: Rest, entity: str = "items") -> list[dict[str, Any]]:
    rows = [row for batch in target.observe(entity) for row in batch.to_pylist()]
    return [{name: value for name, value in row.items() if name != "_json"} for row in rows]


def rows(*codes: str) -> list[dict[str, Any]]:
    return [{"id": number, "code": code} for number, code in enumerate(codes, 1)]


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"adress": "x"}, r"adress: no such key; the nearest is address"),
        ({"items": {"creat": {}}}, r"\[targets.shop.entities.items\] creat: .*nearest is create"),
        (
            {"items": {"update": {"path": "x", "metod": "PUT"}}},
            r"\[targets.shop.entities.items.update\] metod: no such key; the nearest is method",
        ),
        ({"items": {"update": {"path": "x", "method": "PUSH"}}}, r"method .*one of GET, POST"),
        (
            {"auth": {"type": "bearer", "user": "x"}},
            r"has user, which does not go with type bearer",
        ),
        ({"auth": {"type": "oauth2_client_credentials"}}, r"needs token_address"),
        ({"auth": {"type": "magic"}}, r"one of none, bearer, basic, api_key"),
        (
            {"items": {"list": {"path": "x", "paging": {"style": "offset", "cursor": "c"}}}},
            r"has cursor, which does not go with style offset",
        ),
        ({"items": {"list": {"path": "x", "paging": {"style": "next"}}}}, r"needs next"),
        ({"items": {"update": {"path": "x/{colour}"}}}, r"\{colour\} is no column of exp_shop"),
        ({"items": {"update": {"path": "x/{"}}}, r"braces that are meant are doubled"),
        (
            {"items": {"get": None, "update": {"path": "x", "method": "PUT"}}},
            r"update sends an object back, so it has to be read: add get",
        ),
        (
            {"items": {"undelete": {"path": "x"}}},
            r"undelete and keeps_deleted_days belong together",
        ),
        ({"address": "http://api.example/v1"}, r"must be https"),
        ({"address": "ftp://127.0.0.1"}, r"must be https"),
        (
            {"auth": {"type": "oauth2_client_credentials", "token_address": "http://x.example"}},
            r"auth.token_address is .* must be https",
        ),
        ({"errors": [{"status": 400, "means": "odd"}]}, r"means .*one of done, duplicate"),
    ],
)
def test_settings_that_cannot_be_followed_are_refused_with_the_key(shop, more, said):
    with pytest.raises(TargetSettingsError, match=said):
        shop.target(**more)


def test_a_reference_needs_the_table_of_what_it_refers_to(shop):
    lines = {"list": {"path": "lines"}}
    settings = {"kind": "rest", "address": shop.url, "entities": {"lines": lines}}
    with pytest.raises(TargetSettingsError, match=r"objects of items, which have no table"):
        Rest("shop", settings, {"lines": LINES})
    settings["entities"] = {"lines": lines | {"links": "key"}}
    Rest("shop", settings, {"lines": LINES}).close()


def test_an_entity_without_an_export_is_left_alone(shop):
    target = shop.target(lines={"list": {"path": "lines"}})
    assert Rest("shop", target._settings, {"items": ITEMS}).entities == ("items",)
    nothing = Rest("shop", target._settings, {})
    assert nothing.entities == ()
    with pytest.raises(TargetUnreadableError, match="no export goes here"):
        nothing.check_connection()


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("https://api.example/v1", True),
        ("http://127.0.0.1:9", True),
        ("http://localhost", True),
        ("http://api.example", False),
        ("http://127.0.0.1.example", False),
        ("file:///etc", False),
        ("api.example", False),
    ],
)
def test_only_https_or_this_machine_is_spoken_to(address, allowed):
    assert is_allowed(address) is allowed


# ---------------------------------------------------------------- sign-in


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"type": "bearer", "token": "t-1"}, "authorization", "Bearer t-1"),
        ({"type": "bearer", "token": "t-1", "scheme": "token"}, "authorization", "token t-1"),
        ({"type": "basic", "user": "me", "password": "it"}, "authorization", "Basic bWU6aXQ="),
        ({"type": "api_key", "api_key": "k-1"}, "x-api-key", "k-1"),
        ({"type": "api_key", "api_key": "k-1", "header": "X-Key"}, "x-key", "k-1"),
    ],
)
def test_every_call_says_who_we_are(shop, auth, header, value):
    target = shop.target({"rows": []}, auth=auth, headers={"X-Tenant": "7"})
    assert target.check_connection() == f"signed in by {auth['type']}, items can be read"
    assert shop.asked[0].headers[header] == value
    assert shop.asked[0].headers["x-tenant"] == "7"


def test_a_token_that_ran_out_is_renewed_once_and_the_call_made_again(shop):
    auth = {"type": "oauth2_client_credentials", "client_id": "i", "client_secret": "s"}
    auth |= {"token_address": f"{shop.url}/token", "scope": "write"}
    tokens = [{"access_token": "one", "expires_in": 3600}, {"access_token": "two"}]
    target = shop.target(
        tokens[0], Reply(401, {}), tokens[1], Reply(200, {}), Reply(200, {}), auth=auth
    )
    assert [one.status for one in done(target, change(title="x"))] == ["applied"]
    assert [one.status for one in done(target, change(title="x"))] == ["applied"]
    signed = [one.headers.get("authorization") for one in shop.asked]
    assert signed == [None, "Bearer one", None, "Bearer two", "Bearer two"]
    assert b"scope=write" in shop.asked[0].body


def test_a_client_may_sign_in_by_its_header(shop):
    auth = {"type": "oauth2_client_credentials", "client_id": "i", "client_secret": "s"}
    auth |= {"token_address": f"{shop.url}/token", "in_header": True}
    target = shop.target({"access_token": "one"}, {"rows": []}, auth=auth)
    target.check_connection()
    assert shop.asked[0].headers["authorization"] == "Basic aTpz"
    assert b"client_secret" not in shop.asked[0].body


def test_a_secret_stands_where_not_everybody_reads_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOMEROOM_PROJECT", str(tmp_path))
    files = {"config.toml": "", "secrets.toml": ""}
    said = '[targets.shop]\nkind = "rest"\naddress = "https://shop.example"\nentities = {}\n'
    secret = '[targets.shop.auth]\ntype = "bearer"\ntoken = "canary-1"\n'
    (tmp_path / ".dlt").mkdir()
    for where in files:
        settings._files.cache_clear()
        for name in files:
            text = (said if name == "config.toml" else "") + (secret if name == where else "")
            (tmp_path / ".dlt" / name).write_text(text, encoding="utf-8")
        if where == "secrets.toml":
            configured.adapter("shop", "r1").close()
            continue
        with pytest.raises(TargetSettingsError, match=r"config.toml, line 7: .* token is a") as no:
            configured.adapter("shop", "r1")
        assert "TARGETS__SHOP__AUTH__TOKEN" in str(no.value)
        assert "canary" not in str(no.value)
    settings._files.cache_clear()


def test_a_secret_enters_no_message(shop):
    auth = {"type": "bearer", "token": "canary-1"}
    target = shop.target(Reply(401, {"error": "canary-1"}), auth=auth)
    with pytest.raises(TargetUnreadableError) as refused:
        target.check_connection()
    assert "canary" not in str(refused.value)
    assert "credentials" in str(refused.value)


def test_a_read_follows_redirects_on_its_own_host_and_nobody_elses(shop):
    target = shop.target(Reply(302, None, {"Location": "/v2/items"}), {"rows": rows("A1")})
    assert [row["code"] for row in read(target)] == ["A1"]
    elsewhere = Reply(302, None, {"Location": "http://127.0.0.1:9/v1/items"})
    with pytest.raises(TargetUnreadableError, match="other_host"):
        read(shop.target(*[elsewhere] * 6))
    circle = Reply(302, None, {"Location": "/v1/items"})
    with pytest.raises(TargetUnreadableError, match="redirected"):
        read(shop.target(*[circle] * 40))


def test_a_write_follows_no_redirect(shop):
    target = shop.target(Reply(307, None, {"Location": "/v2/items"}))
    (outcome,) = done(target, change("create", code="A1"))
    assert (outcome.status, outcome.reason, len(shop.asked)) == ("failed", "redirected", 1)


# ---------------------------------------------------------------- lists and their ends


def paged(paging: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"items": {"list": {"path": "items", "items": "rows", "paging": paging, **more}}}


def test_an_offset_goes_on_until_a_page_is_empty_for_a_short_page_proves_nothing(shop):
    pages = [{"rows": rows("A", "B")}, {"rows": [{"id": 9, "code": "C"}]}, {"rows": []}]
    target = shop.target(*pages, **paged({"style": "offset", "limit": 5, "limit_param": "most"}))
    assert [row["code"] for row in read(target)] == ["A", "B", "C"]
    assert [one.params["offset"] for one in shop.asked] == ["0", "2", "3"]
    assert {one.params["most"] for one in shop.asked} == {"5"}


def test_a_total_ends_a_list_and_another_number_refuses_it(shop):
    first, second = {"rows": rows("A", "B"), "n": 3}, {"rows": [{"id": 9, "code": "C"}], "n": 3}
    said = paged({"style": "page", "param": "p"}, total="n")
    assert len(read(shop.target(first, second, **said))) == 3
    assert [one.params["p"] for one in shop.asked] == ["1", "2"]
    twice = {"rows": rows("A"), "n": 3}  # shifted: an object of page one again
    with pytest.raises(TargetUnreadableError, match="says it has 3 objects and sent 2"):
        read(shop.target(*[first, twice] * 3, **said))
    assert len(shop.asked) == 6, "read again, before it is given up"
    assert len(read(shop.target(first, twice, first, second, **said))) == 3


def test_a_total_may_stand_in_a_header(shop):
    said = {"items": {"list": {"path": "items", "items": "rows", "total_header": "X-Total"}}}
    page = Reply(200, {"rows": rows("A")}, {"X-Total": "1"})
    assert len(read(shop.target(page, **said))) == 1
    with pytest.raises(TargetUnreadableError, match="does not say how many"):
        read(shop.target(Reply(200, {"rows": rows("A")}), **said))


def test_pages_may_be_counted_and_may_end_with_404(shop):
    counted = paged({"style": "page", "pages": "of", "first": 0})
    assert len(read(shop.target({"rows": rows("A"), "of": 1}, **counted))) == 1
    with pytest.raises(TargetUnreadableError, match="how many pages"):
        read(shop.target({"rows": rows("A")}, **counted))
    ending = paged({"style": "page", "ends_with_404": True})
    assert len(read(shop.target({"rows": rows("A")}, Reply(404, {}), **ending))) == 1
    with pytest.raises(TargetUnreadableError, match="status 404"):
        read(shop.target(Reply(404, {}), **ending))


def test_a_cursor_ends_where_there_is_none_or_no_more(shop):
    plain = paged({"style": "cursor", "cursor": "next", "param": "after"})
    assert len(read(shop.target({"rows": rows("A"), "next": "x"}, {"rows": []}, **plain))) == 1
    assert shop.asked[1].params["after"] == "x"
    flagged = paged({"style": "cursor", "cursor": "next", "more": "more"})
    ended = {"rows": rows("A"), "next": "x", "more": False}
    assert len(read(shop.target(ended, **flagged))) == 1
    for page, said in (
        ({"rows": rows("A"), "next": "x"}, "does not say whether there is more"),
        ({"rows": rows("A"), "more": True}, "not how to ask for it"),
    ):
        with pytest.raises(TargetUnreadableError, match=said):
            read(shop.target(page, **flagged))


def test_the_next_address_is_followed_on_the_apis_own_host_only(shop):
    said = paged({"style": "next", "next": "links.next"})
    here = {"rows": rows("A"), "links": {"next": f"{shop.url}/v1/items?page=2"}}
    there = {"rows": rows("A"), "links": {"next": "https://elsewhere.example/items"}}
    assert len(read(shop.target(here, {"rows": [{"id": 9, "code": "B"}]}, **said))) == 2
    with pytest.raises(TargetUnreadableError, match="other_host"):
        read(shop.target(there, **said))


def test_the_link_header_is_read_as_the_standard_has_it(shop):
    said = paged({"style": "link"})
    link = f'<{shop.url}/v1/items?p=1>; rel="prev", </v1/items?p=2>; title="a, b"; rel="last next"'
    first = Reply(200, {"rows": rows("A")}, {"Link": link})
    last = Reply(200, {"rows": [{"id": 9}]}, {"Link": f'<{shop.url}/x>; rel="prev"'})
    assert len(read(shop.target(first, last, **said))) == 2
    assert shop.urls()[1] == "GET /v1/items?p=2"


@pytest.mark.parametrize(
    ("pages", "said"),
    [
        ([{"error": "later"}], 'no list of objects at "rows"'),
        ([{"rows": "none"}], "no list of objects"),
        ([{"rows": ["A"]}], "no list of objects"),
        ([Reply(200, b"<html>sign in</html>")], "no list of objects"),
        ([{"rows": rows("A")}, {"rows": rows("A")}], "goes in a circle, or the API does not know"),
    ],
)
def test_half_a_list_never_passes_for_a_whole_one(shop, pages, said):
    with pytest.raises(TargetUnreadableError, match=said):
        read(shop.target(*pages, **paged({"style": "offset"})))


def test_an_api_that_does_not_know_the_parameter_is_asked_twice_and_no_more(shop):
    """Also where something else in the page changes every time."""
    pages = [{"rows": [{**one, "seen": at} for one in rows("A", "B")]} for at in range(9)]
    for paging in ({"style": "offset"}, {"style": "page"}):
        with pytest.raises(TargetUnreadableError, match=r"begins with the object .* set param"):
            read(shop.target(*pages, **paged(paging)))
        assert len(shop.asked) == 2


def test_an_end_that_nothing_proves_is_none_and_the_sentence_says_what_to_set(shop):
    many = [{"id": at, "code": f"C{at}"} for at in range(100)]
    alone = {"items": {"list": {"path": "items", "items": "rows"}}}
    wrong = paged({"style": "next", "next": "meta.next"})
    for page, said, told in (
        ({"rows": many}, "nothing proves that they are all", alone),
        ({"rows": rows("A"), "total": 3}, "total is 3 in the answer", alone),
        ({"rows": rows("A"), "next": "/v1/items?page=2"}, "next names a next page", wrong),
        (Reply(200, {"rows": rows("A")}, {"X-Total-Count": "3"}), "x-total-count is 3", alone),
    ):
        with pytest.raises(TargetUnreadableError, match=said):
            read(shop.target(page, **told))
        unproved = {"items": {"list": {**told["items"]["list"], "unproved": True}}}
        assert read(shop.target(page, **unproved))


def test_objects_that_are_as_good_as_gone_are_none(shop):
    deleted = {"id": 1, "code": "A", "state": {"word": "deleted"}}
    said = {"items": {"list": {"path": "i", "items": "rows", "skip": {"state.word": ["deleted"]}}}}
    assert [
        row["code"] for row in read(shop.target({"rows": [deleted, rows("A", "B")[1]]}, **said))
    ] == ["B"]


def test_what_is_read_is_in_the_exports_columns_and_references_are_our_keys(shop):
    lines = {"list": {"path": "lines"}}
    item = {"id": 2, "code": "B", "name": {"en": "Zoë"}, "price": 1.5, "active": True}
    line = {"id": "l1", "line": "L1", "item": {"id": 2}, "amount": 3}
    target = shop.target([line], {"rows": [item]}, lines=lines)
    assert read(target, "lines") == [{"remote_id": "l1", "line": "L1", "item": "B", "amount": "3"}]
    assert read(
        shop.target(
            {"rows": [{"id": 2, "code": "B", "name": {"en": "Zoë"}, "price": 1.5, "active": True}]}
        )
    ) == [{"remote_id": "2", "code": "B", "title": "Zoë", "price": "1.5", "active": "true"}]


# ---------------------------------------------------------------- what is written


def test_a_create_says_its_fields_where_they_belong_and_leaves_empty_ones_out(shop):
    target = shop.target(
        Reply(201, {"data": {"id": 5}}),
        items={
            "create": {
                "path": "items",
                "wrap": "item",
                "item": "data",
                "body": {"item": {"by": "{key}", "name": {"fr": "x"}}, "v": 2},
            }
        },
    )
    (outcome,) = done(target, change("create", code="A1", title="Zoë", price=None, active=True))
    assert (outcome.status, outcome.remote_id, outcome.code) == ("applied", "5", 201)
    assert shop.bodies() == [
        {
            "v": 2,
            "item": {"by": "A1", "name": {"fr": "x", "en": "Zoë"}, "code": "A1", "active": True},
        }
    ]


def test_an_update_clears_what_is_empty_and_what_is_filled_in_cannot_leave_its_place(shop):
    target = shop.target(Reply(204))
    odd = Change("c1", "shop", "items", ("A1",), "update", "../7?x=1", {}, {"title": None})
    assert [one.status for one in done(target, odd)] == ["applied"]
    assert shop.urls() == ["PATCH /v1/items/..%2F7%3Fx%3D1"]
    assert shop.bodies() == [{"name": {"en": None}}]


def test_put_sends_the_object_back_as_it_was_read_but_for_what_changed(shop):
    there = {"id": 7, "code": "A1", "name": {"en": "old", "fr": "vieux"}, "made": "then"}
    target = shop.target(
        Reply(200, there, {"ETag": '"3"'}),
        Reply(200, {}),
        items={"update": {"path": "items/{id}", "method": "PUT"}, "left_out": ["made"]},
    )
    assert [one.status for one in done(target, change(title="new"))] == ["applied"]
    assert shop.urls() == ["GET /v1/items/7", "PUT /v1/items/7"]
    assert shop.bodies() == [{"id": 7, "code": "A1", "name": {"en": "new", "fr": "vieux"}}]
    assert shop.asked[1].headers["if-match"] == '"3"'


def test_a_patch_may_be_read_first_and_sends_only_what_it_touched(shop):
    there = {"id": 7, "code": "A1", "name": {"en": "old", "fr": "vieux"}}
    target = shop.target(
        Reply(200, there, {"ETag": 'W/"3"'}),
        Reply(412, {}),
        items={"update": {"path": "items/{id}", "read_first": True}},
    )
    (outcome,) = done(target, change(title="new"))
    assert (outcome.status, outcome.reason) == ("retry", "conflict")
    assert shop.bodies() == [{"name": {"en": "new", "fr": "vieux"}}]
    assert "if-match" not in shop.asked[1].headers, "a weak tag never matches"


def test_a_switch_may_have_calls_of_its_own_and_the_rest_is_an_update(shop):
    own = {"path": "items/{id}/on", "method": "POST"}
    target = shop.target(Reply(204), Reply(204), items={"restore": own})
    (outcome,) = done(target, change("restore", active=True, title="new"))
    assert (outcome.status, outcome.calls) == ("applied", 2)
    assert shop.urls() == ["POST /v1/items/7/on", "PATCH /v1/items/7"]
    assert shop.bodies() == [{"name": {"en": "new"}}]


def test_a_deletion_may_be_an_update(shop):
    route = {"path": "items/{id}", "method": "PATCH", "body": {"state": "gone"}}
    target = shop.target(Reply(200, {}), items={"delete": route})
    assert [one.status for one in done(target, change("delete"))] == ["applied"]
    assert shop.bodies() == [{"state": "gone"}]


def test_what_the_settings_have_no_call_for_is_refused_before_it_is_sent(shop):
    target = shop.target(items={"delete": None, "never_deleted": ""})
    (outcome,) = done(target, change("delete"))
    assert (outcome.status, outcome.reason, outcome.calls) == ("failed", "unsupported", 0)
    lasting = shop.target(items={"never_deleted": "orders name them"})
    assert lasting.lasting == {"items": "orders name them"}
    assert "orders name them" in done(lasting, change("delete"))[0].note
    assert shop.asked == []


def test_a_reference_is_sent_as_the_remote_id_or_as_our_key(shop):
    line = Change("c1", "shop", "lines", ("L1",), "create", None, {}, {"line": "L1", "item": "A1"})
    known = Change(**{**vars(line), "references": {"item": "77"}})
    lines = {"list": {"path": "lines"}, "create": {"path": "items/{item}/lines"}}
    target = shop.target(Reply(201, {"id": 1}), lines=lines)
    assert target.apply([known])[0].status == "applied"
    assert (shop.urls(), shop.bodies()) == (
        ["POST /v1/items/77/lines"],
        [{"line": "L1", "item": {"id": "77"}}],
    )
    unknown = target.apply([line])[0]
    assert (unknown.status, unknown.calls) == ("failed", 0)
    assert "does not exist in the target yet" in unknown.note
    by_key = shop.target(Reply(201, {"id": 1}), lines=lines | {"links": "key"})
    assert by_key.apply([line])[0].status == "applied"
    assert shop.bodies() == [{"line": "L1", "item": {"id": "A1"}}]


def test_what_ties_two_objects_and_is_not_listed_yet_is_nobody_elses(shop, monkeypatch):
    """A lost reply, and a list that is late: the next try says it exists."""
    tie = replace(LINES, key=("item", "line"), references={"line": "items", "item": "items"})
    monkeypatch.setattr(sys.modules[__name__], "LINES", tie)
    lines = {"list": {"path": "lines"}, "create": {"path": "items/{item}/lines"}}
    new = Change("c1", "shop", "lines", ("A1", "B1"), "create", None, {}, {"amount": 3})
    new = replace(new, references={"item": "1", "line": "2"})
    (told,) = shop.target(Reply(409, {}), [], lines=lines).apply([new])
    assert (told.status, told.reason) == ("unknown", "duplicate")
    assert told.note == "it is there, says the API, and its list does not show it yet"
    monkeypatch.undo()
    (told,) = done(shop.target(Reply(409, {}), {"rows": []}), change("create", code="A1"))
    assert (told.status, told.reason) == ("failed", "duplicate")  # an object may be somebody else's


PEOPLE = replace(
    ITEMS,
    model="exp_shop__people",
    entity="items",
    columns=(*ITEMS.columns[1:], Column("code"), Column("mail", field="mail", role="login")),
)
OWN: Mapping[str, Any] = {"adopts": True, "adopts_only": {"sort": ["", "member"]}}


def people(shop: Shop, *answers: Any, export: Export = PEOPLE, **items: Any) -> Rest:
    made = shop.target(*answers)
    made = Rest(
        "shop",
        dict(made._settings) | {"entities": {"items": {**ROUTES, **items}}},
        {"items": export},
    )
    made._reads._sleep = lambda seconds: None
    return made


TAKES = (
    ({}, "it is 9, which carries no key of ours", False),
    (OWN, "", True),
    (OWN, "", True),
    (OWN, "by sort no person's own", False),
    (OWN, "by sort no person's own", False),
    (OWN, "by active no person's own", False),
    (OWN, "which carries the key B2", False),
)
THERE: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"sort": "Member"},
    {"sort": "guest"},
    {"sort": "room"},
    {"active": False},
    {"code": "B2"},
)


@pytest.mark.parametrize(
    ("said", "words", "ours", "there"),
    [(*one, there) for one, there in zip(TAKES, THERE, strict=True)],
)
@pytest.mark.parametrize("asked", [True, False], ids=["by a call of its own", "in the whole list"])
def test_who_has_the_name_is_named_and_ours_only_where_it_is_nobodys_and_of_a_sort_that_is_said(
    shop, said, words, ours, there, asked
):
    holder = {"holder": {"path": "items", "items": "rows", "params": {"mail": "{mail}"}}}
    one = {"id": 9, "active": True, "mail": "ANN@d.example"} | there
    listed = {"rows": [one]}
    api = people(
        shop, Reply(409), listed, listed, Reply(200, {}), **said, **(holder if asked else {})
    )
    (outcome,) = done(api, change("create", code="A1", mail="ann@d.example", active=True))
    assert (outcome.status, outcome.remote_id if ours else outcome.reason) == (
        ("applied", "9") if ours else ("failed", "duplicate")
    )
    assert words in outcome.note
    assert "ann" not in outcome.note.lower()
    writes = [one for one in shop.urls() if one.startswith("PATCH")]
    assert writes == (["PATCH /v1/items/9"] if ours else [])


def test_what_has_no_sort_that_may_be_adopted_is_read_as_such(shop):
    adopting = replace(PEOPLE, columns=(*PEOPLE.columns, Column("by", role="adopt")))
    adopting = replace(adopting, context=("by",))
    found = [{"id": 1, "active": True}, {"id": 2, "active": True, "sort": "guest"}]
    found.append({"id": 3, "active": False})
    api = people(shop, {"rows": found}, export=adopting, **OWN)
    assert [row["_unlike"] for row in read(api)] == [None, "sort", "active"]


def test_who_adopts_says_by_which_name_and_of_which_sort(shop):
    with pytest.raises(TargetSettingsError, match="accounts of every sort; write which"):
        people(shop, adopts=True)
    nameless = replace(PEOPLE, columns=PEOPLE.columns[:-1])
    with pytest.raises(TargetSettingsError, match="has role login"):
        people(shop, export=nameless, **OWN)


def test_an_id_that_is_not_in_the_answer_is_in_its_address_or_looked_up(shop):
    made = Reply(201, None, {"Location": "/v1/items/77"})
    assert done(shop.target(made), change("create", code="A1"))[0].remote_id == "77"
    target = shop.target(Reply(200, {"ok": True}), {"rows": rows("B", "A1")})
    assert done(target, change("create", code="A1"))[0].remote_id == "2"
    assert shop.urls() == ["POST /v1/items", "GET /v1/items"]


# ---------------------------------------------------------------- finding


def test_a_look_up_compares_the_whole_key_whatever_the_filter_found(shop):
    find = {"path": "items", "items": "rows", "params": {"q": "code = {key!q}"}}
    target = shop.target({"rows": rows("A1x", "A'1")}, items={"find": find})
    assert target.find(change("create", key="A'1", code="A'1")) == "2"
    assert shop.asked[0].params["q"] == "code = 'A''1'"
    assert shop.target({"rows": rows("A1x")}, items={"find": find}).find(change("create")) is None


def test_a_look_up_may_answer_with_the_one_object_or_with_404(shop):
    find = {"path": "items/by-code/{key}"}
    target = shop.target({"id": 3, "code": "A1"}, items={"find": find})
    assert target.find(change("create")) == "3"
    assert shop.target(Reply(404, {}), items={"find": find}).find(change("create")) is None


# ---------------------------------------------------------------- what an answer means

CREATE, UPDATE, REMOVE = Call(repeatable=False), Call(repeatable=True), Call(True, removing=True)


@pytest.mark.parametrize(
    ("call", "code", "body", "verdict"),
    [
        (CREATE, 200, {}, ("applied", "")),
        (CREATE, 500, {}, ("unknown", "server_error")),
        (UPDATE, 502, {}, ("retry", "server_error")),
        (CREATE, 409, {}, ("look", "duplicate")),
        (UPDATE, 404, {}, ("failed", "not_found")),
        (REMOVE, 410, {}, ("applied", "not_found")),
        (Call(True, young=True), 404, {}, ("retry", "not_found")),
        (UPDATE, 423, {}, ("retry", "locked")),
        (UPDATE, 429, {}, ("retry", "throttled")),
        (UPDATE, 401, {}, ("failed", "unauthorized")),
        (UPDATE, 403, {}, ("failed", "forbidden")),
        (UPDATE, 400, {}, ("failed", "invalid")),
        (UPDATE, 303, {}, ("failed", "redirected")),
        # the settings' own words
        (CREATE, 400, {"error": {"code": "E11"}}, ("look", "duplicate")),
        (CREATE, 400, {"error": {"code": "E12"}}, ("failed", "invalid")),
        (UPDATE, 403, {"error": {"code": "slow"}}, ("retry", "throttled")),
        (UPDATE, 400, {"message": "is already off"}, ("applied", "")),
        (UPDATE, 200, {"error": {"code": "whatever"}}, ("failed", "invalid")),
        (CREATE, 200, {"error": {"code": "E11"}}, ("look", "duplicate")),
        (UPDATE, 200, {"says": "Permission Denied"}, ("failed", "forbidden")),
    ],
)
def test_an_answer_means_what_the_settings_say_else_what_http_says(shop, call, code, body, verdict):
    target = shop.target(
        Reply(code, body),
        error_code="error.code",
        failed_when="error",
        errors=[
            {"code": "E11", "means": "duplicate"},
            {"status": 403, "code": "slow", "means": "throttled"},
            {"status": 400, "text": "already off", "means": "done"},
            {"status": 200, "text": "Permission Denied", "means": "forbidden"},
        ],
    )
    rows_of = target._said.errors
    answer = target._client.ask("POST", "items", rows=rows_of)
    found = target._client.verdict(call, answer)
    assert (found.status, found.reason) == verdict
    assert answer.good == (verdict[0] == "applied" and code < 300)


def test_an_entitys_own_errors_come_first(shop):
    own = [{"status": 409, "means": "conflict"}]
    target = shop.target(Reply(409, {}), items={"errors": own})
    assert done(target, change(title="x"))[0].reason == "conflict"


def test_an_api_may_want_us_back_at_a_date():
    assert seconds("3.5") == 3.5
    assert seconds(None) is None
    assert seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert seconds("soon") is None


def test_what_an_answer_says_of_people_enters_no_outcome(shop):
    target = shop.target(
        Reply(422, {"message": "zoë@x.example is taken", "code": "zoë@x.example"}),
        error_code="code",
    )
    (outcome,) = done(target, change("create", code="A1"))
    assert "zoë" not in f"{outcome.note}{outcome.reason}"


# ---------------------------------------------------------------- many at once

BATCH = {"path": "items/batch", "size": 3, "items": "all", "results": "results", "item": "row"}


def creates(*keys: str) -> list[Change]:
    return [
        Change(f"c-{key}", "shop", "items", (key,), "create", None, {}, {"code": key})
        for key in keys
    ]


def test_a_batch_answers_for_each_and_is_as_large_as_the_api_takes(shop):
    def answer(request: Request) -> Reply:
        if request.method == "GET":
            return Reply(200, {"rows": [{"id": 90, "code": "B"}]})
        said = json.loads(request.body)
        codes = {"B": 409, "D": 422}
        return (
            Reply(
                200,
                {
                    "results": [
                        {"status": codes.get(one["code"], 201), "row": {"id": f"id-{one['code']}"}}
                        for one in said["all"]
                    ]
                },
            )
            if "all" in said
            else Reply(201, {"id": f"id-{said['code']}"})
        )

    target = shop.target(items={"create_batch": BATCH})
    shop.always = answer
    assert target.batch == 3
    outcomes = done(target, *creates("A", "B", "C", "D", "E"))
    assert [(one.status, one.remote_id) for one in outcomes] == [
        ("applied", "id-A"),
        ("applied", "90"),
        ("applied", "id-C"),
        ("failed", None),
        ("applied", "id-E"),
    ]
    assert target.write_calls == 5
    assert shop.urls() == ["POST /v1/items/batch", "GET /v1/items", "POST /v1/items/batch"]


def test_a_batch_refused_as_a_whole_is_done_one_by_one_and_what_was_kept_is_found(shop):
    def answer(request: Request) -> Reply:
        if request.method == "GET":
            return Reply(200, {"rows": [{"id": 90, "code": "A"}]})
        if request.path.endswith("batch"):
            return Reply(400, {})
        bad = json.loads(request.body)["code"] == "B"
        return Reply(422, {}) if bad else Reply(201, {"id": "new"})

    target = shop.target(items={"create_batch": BATCH})
    shop.always = answer
    outcomes = done(target, *creates("A", "B", "C"))
    assert [(one.status, one.remote_id) for one in outcomes] == [
        ("applied", "90"),
        ("failed", None),
        ("applied", "new"),
    ]


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (None, "unknown"),
        (Reply(500, {}), "unknown"),
        (Reply(429, {}), "retry"),
        (Reply(200, {"results": []}), "unknown"),
    ],
)
def test_a_batch_nobody_answered_for_is_unknown_to_the_last(shop, reply, status):
    target = shop.target(reply, items={"create_batch": BATCH})
    assert {one.status for one in done(target, *creates("A", "B"))} == {status}


def test_a_batch_may_have_one_answer_for_all(shop):
    whole = {"path": "items/all", "results": None, "item": "ids", "method": "PUT"}
    whole = {key: value for key, value in whole.items() if value is not None}
    target = shop.target({"ids": [{"id": 1}, {"id": 2}]}, items={"create_batch": whole})
    assert [one.remote_id for one in done(target, *creates("A", "B"))] == ["1", "2"]
    assert shop.bodies() == [[{"code": "A"}, {"code": "B"}]]


def test_changes_and_deletions_may_go_in_batches_too(shop):
    batch = {"path": "items/many", "id": "key.id"}
    target = shop.target(
        Reply(204), Reply(204), items={"update_batch": batch, "delete_batch": batch}
    )
    changes = [
        Change(f"u{at}", "shop", "items", (f"A{at}",), "update", f"{at}", {}, {"title": "x"})
        for at in range(2)
    ] + [
        Change(f"d{at}", "shop", "items", (f"B{at}",), "delete", f"{at}", {}, {}) for at in range(2)
    ]
    assert {one.status for one in done(target, *changes)} == {"applied"}
    assert shop.bodies() == [
        [{"name": {"en": "x"}, "key": {"id": "0"}}, {"name": {"en": "x"}, "key": {"id": "1"}}],
        [{"key": {"id": "0"}}, {"key": {"id": "1"}}],
    ]


# ---------------------------------------------------------------- JSON paths


def test_a_path_goes_through_objects_lists_and_entries():
    document: dict[str, Any] = {"a": {"b": [{"kind": "x", "v": 1}, {"kind": "y", "v": 2}]}}
    assert value_at(document, "a.b[kind=y].v") == 2
    assert value_at(document, "a.b.1.v") == 2
    assert value_at(document, "") is document
    for path in ("a.c", "a.b.7.v", "a.b.v", "a[kind=x]", "a.b[kind=z].v", "a.b.0.v.deeper"):
        assert value_at(document, path, "nothing") == "nothing"
    put(document, "a.b[kind=z].v", 3)
    put(document, "c.d", 4)
    put(document, "a.b[kind=x].v", 5)
    assert document == {
        "a": {"b": [{"kind": "x", "v": 5}, {"kind": "y", "v": 2}, {"kind": "z", "v": 3}]},
        "c": {"d": 4},
    }


def test_an_update_by_put_that_takes_a_part_reads_nothing_and_sends_what_changed(shop: Shop):
    put_it = {"path": "items/{id}", "method": "PUT", "partial": True}
    target = shop.target({}, items={"update": put_it, "get": None})
    [outcome] = target.apply([change(title="Saw")])
    assert outcome.status == "applied"
    assert [url.partition(" ")[0] for url in shop.urls()] == ["PUT"]
    assert shop.bodies() == [{"name": {"en": "Saw"}}]
