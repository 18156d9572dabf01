"""The place of a next page that runs out in the middle of a list: the list is read again from its
beginning, once, and everything comes once; a second time it is a sentence, and no half a list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from target_kit import Kit, kit, served

from common import lists
from demo.platforms import microsoft_delta
from reverse_etl.targets.google import Google
from reverse_etl.targets.microsoft import Microsoft
from reverse_etl.targets.reading import READ, Reads, TargetUnreadableError
from reverse_etl.targets.replies import ordinary
from reverse_etl.targets.rest.client import Answer
from reverse_etl.targets.rest.pages import ListError, whole
from reverse_etl.targets.rest.settings import List

KINDS = {"google": Google, "microsoft": Microsoft}
USERS = 5


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with served("google", tmp_path_factory.mktemp("platforms")) as platforms:
        yield platforms


@pytest.fixture(params=KINDS)
def target(
    request: pytest.FixtureRequest, running: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Kit]:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    name = request.param
    made = kit(name, running)
    twos = {one: replace(row, page=2) for one, row in KINDS[name].rows.items()}
    monkeypatch.setattr(KINDS[name], "rows", twos)
    monkeypatch.setattr(microsoft_delta, "PAGE", 2)  # of changes the server says how many come
    yield made
    made.faults(expired_pages=0)
    made.adapter.close()


def group_of_five(target: Kit) -> tuple[Any, set[str]]:
    group = target.done(target.group())
    users = [target.done(target.user()) for _ in range(USERS)]
    for user in users:
        target.done(target.member(group, user))
    return group, {target.made["users", user.key] for user in users}


@pytest.mark.parametrize("entity", ["users", "members", "names_taken"])
def test_a_list_whose_next_page_expired_is_read_again_and_comes_once(
    target: Kit, entity: str
) -> None:
    group, users = group_of_five(target)
    before = target.observed(entity)
    target.faults(expired_pages=1)
    after = target.observed(entity)
    assert sorted(map(str, after)) == sorted(map(str, before))
    if entity == "members":
        mine = target.made["groups", group.key]
        after = [row for row in after if row["group_remote_id"] == mine]
        assert len(after) == USERS
    told = {row.get("member_remote_id") or row.get("remote_id") for row in after}
    assert users <= told


@pytest.mark.parametrize("entity", ["users", "members"])
def test_a_list_that_expires_again_is_a_sentence_and_not_half_a_list(
    target: Kit, entity: str
) -> None:
    group_of_five(target)
    target.faults(expired_pages=10**6)
    with pytest.raises(TargetUnreadableError, match="read again from its beginning, and it expi"):
        target.observed(entity)


STYLES: dict[str, dict[str, Any]] = {
    "offset": {"style": "offset", "limit_param": "limit", "limit": 2},
    "page": {"style": "page", "limit_param": "limit", "limit": 2},
    "cursor": {"style": "cursor", "cursor": "after"},
    "next": {"style": "next", "next": "next"},
    "link": {"style": "link"},
}


def api(style: str, objects: int, trouble: Mapping[int, int]) -> Any:
    """Asks of a list of so many objects, two on a page; `trouble`: number of a call -> status."""
    rows = [{"id": f"o{number}"} for number in range(objects)]
    calls = 0

    def once(where: str, params: Mapping[str, Any]) -> Answer:
        nonlocal calls
        calls += 1
        at = int(params.get("offset", 0)) or 2 * (int(params.get("page", 1)) - 1)
        at = at or int(params.get("cursor", 0)) or int(where.partition("at=")[2] or 0)
        if calls in trouble and at:
            return Answer(trouble[calls], {"error": "expired"}, url="https://api.example/v1/o")
        more = at + 2 < objects
        address = f"https://api.example/v1/o?at={at + 2}"
        body = {"rows": rows[at : at + 2], "after": str(at + 2) if more else None}
        body["next"] = address if more else None
        headers = {"link": f'<{address}>; rel="next"'} if more else {"link": "<x>"}
        return Answer(200, body, url="https://api.example/v1/o", headers=headers)

    reads = Reads("api", 1e9, ordinary, sleep=lambda seconds: None)
    return lambda where, params, fine, following: reads.reply(
        "objects", lambda: once(where, params), fine, following
    )


@settings(max_examples=25, deadline=None)
@given(
    style=st.sampled_from(sorted(STYLES)),
    objects=st.integers(3, 9),
    at=st.integers(2, 6),
    status=st.sampled_from(sorted(lists.EXPIRED)),
    again=st.booleans(),
)
def test_every_way_of_paging_begins_again_once(
    style: str, objects: int, at: int, status: int, again: bool
) -> None:
    route = List(path="o", items="rows", paging=STYLES[style])
    pages = -(-objects // 2) + (style in {"offset", "page"})  # these end with an empty page
    trouble = dict.fromkeys(range(at, 99) if again else [at], status)
    read = api(style, objects, trouble)

    def found() -> list[str]:
        return [str(one["id"]) for one in whole(route, "o", {}, read, lambda one: str(one["id"]))]

    if again and at <= pages:
        with pytest.raises(ListError, match="expired again"):
            found()
    else:
        assert found() == [f"o{number}" for number in range(objects)]


def test_what_is_refused_otherwise_is_no_expired_page() -> None:
    assert {401, 403, 429, 500} & lists.EXPIRED == set()
    assert ordinary(READ, Answer(403, {})).status == "failed"
    route = List(path="o", items="rows", paging=STYLES["next"])
    with pytest.raises(TargetUnreadableError, match="status 403"):
        whole(route, "o", {}, api("next", 5, {2: 403}), lambda one: str(one["id"]))
