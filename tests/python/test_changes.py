"""What is asked of Microsoft on a night after another: what changed since. It comes to the same as
a whole read, whatever befalls the tenant, the link, or what was kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from target_kit import Kit, kit

from common import store
from common.runs import Run
from demo import platforms as emulated
from demo.platforms import microsoft_delta
from reverse_etl import observe
from reverse_etl.targets.microsoft.changes import Changes
from reverse_etl.targets.replies import Reply

BEFALLS = (
    *("new", "renamed", "closed", "deleted", "restored", "joins", "leaves", "licence", "group"),
    *("group deleted", "managed", "unmanaged", "observed", "replayed"),
)
FULL = {"userPrincipalName": "x@sd74.example", "accountEnabled": True, "displayName": "Old"}
READ = ("users", "licences", "groups", "members", "names_taken", "managers")


@pytest.fixture(scope="module")
def platforms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulated.Platforms]:
    with emulated.running(tmp_path_factory.mktemp("platforms")) as running:
        yield running


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))


@pytest.fixture
def graph(platforms: emulated.Platforms) -> Iterator[Kit]:
    made = kit("microsoft", platforms, details=True)
    yield made
    made.faults(expired_deltas=0, delta_days=7.0, replayed_deltas=False, read_lag_seconds=0.0)
    made.adapter.close()


def observed(graph: Kit) -> dict[str, Any]:
    """One observation as a night makes it; what is said of how it was read."""
    run = Run.open("observe")
    made = graph.another()
    assert observe.observe(run, ["microsoft"], lambda _: made) == 0
    run.finish(0)
    return dict(run.read("observed.json")["microsoft"])


def landed() -> dict[str, set[str]]:
    """What stands in the raw layer, by entity; how it was written is not compared."""
    with store.connect() as connection:
        found = {}
        for entity in READ:
            columns = connection.execute(
                "select column_name from information_schema.columns"
                f" where table_schema = 'raw_microsoft' and table_name = '{entity}'"
                " and column_name not like '\\_%' escape '\\'"
            ).fetchall()
            listed = ", ".join(f'"{name}"' for (name,) in sorted(columns))
            rows = connection.execute(f"select {listed} from raw_microsoft.{entity}").fetchall()
            assert len(rows) == len(set(rows)), entity
            found[entity] = {json.dumps(row) for row in rows}
        return found


def whole(graph: Kit) -> dict[str, set[str]]:
    """The same tenant, read as a list."""
    made = graph.with_settings(whole_read_days=0)
    assert observe.observe(Run.open("observe"), ["microsoft"], lambda _: made) == 0
    return landed()


def same_as_whole(graph: Kit) -> None:
    merged, listed = landed(), whole(graph)
    for entity, rows in merged.items():
        assert sorted(rows - listed[entity]) == [], entity
        assert sorted(listed[entity] - rows) == [], entity


def link(**values: Any) -> None:
    """Edit what is kept."""
    with store.connect() as connection:
        for column, value in values.items():
            connection.execute(f"update {observe.KEPT} set {column} = ?", [value])


def test_an_unchanged_tenant_is_asked_what_changed_and_no_list_is_read(
    graph: Kit, platforms: emulated.Platforms
) -> None:
    group, people = graph.done(graph.group()), [graph.done(graph.user()) for _ in range(3)]
    for one in people:
        graph.done(graph.member(group, one))
    first = observed(graph)
    assert first["read"] == {"users": "whole", "groups": "whole", "anew": "nothing is kept"}
    before = landed()
    lines = platforms.places.requests.read_text("utf-8").splitlines()
    second = observed(graph)
    assert second["read"] == {"users": "0 changed", "groups": "0 changed"}
    assert landed() == before
    asked = platforms.places.requests.read_text("utf-8").splitlines()[len(lines) :]
    urls = [json.loads(one)["url"].partition("v1.0")[2].partition("?")[0] for one in asked]
    lists = {"/users", "/groups", f"/groups/{graph.made['groups', group.key]}/members"}
    assert not lists & set(urls)
    assert second["read_calls"] <= first["read_calls"]


@pytest.mark.slow
@settings(
    max_examples=8,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(befalls=st.lists(st.sampled_from(BEFALLS), min_size=1, max_size=8))
def test_what_is_merged_is_what_a_whole_read_finds(graph: Kit, befalls: list[str]) -> None:
    graph.faults(replayed_deltas=False)
    tenant = graph.platforms.microsoft
    people = [graph.done(graph.user()) for _ in range(2)]
    groups = [graph.done(graph.group())]
    graph.done(graph.member(groups[0], people[0]))
    observed(graph)
    sku = next(iter(tenant.store["skus"]))
    users = tenant.store.tables["users"]
    for what in befalls:
        someone = graph.made["users", people[-1].key]
        match what:
            case "new":
                people.append(graph.done(graph.user()))
            case "renamed" if someone in users:
                graph.done(graph.to(people[-1], "update", display_name="Other", surname="Else"))
            case "closed" if someone in users:
                graph.done(graph.to(people[-1], "suspend", account_enabled=False))
            case "deleted" if someone in users:
                graph.done(graph.to(people[-1], "delete"))
            case "restored" if someone not in users:
                graph.adapter._client.send(
                    [{"method": "POST", "url": f"/directory/deletedItems/{someone}/restore"}]
                )
            case "joins" if someone in users:
                graph.apply(graph.member(groups[-1], people[-1]))
            case "leaves":
                graph.apply(graph.member(groups[-1], people[-1], "delete"))
            case "group":
                groups.append(graph.done(graph.group()))
            case "group deleted" if len(groups) > 1:
                graph.done(graph.to(groups.pop(), "delete"))
            case "licence" | "managed" | "unmanaged" if someone in users:
                body = {"addLicenses": [{"skuId": sku}], "removeLicenses": []}
                url, first = f"/users/{someone}", graph.made["users", people[0].key]
                origin = graph.adapter._client.address
                ref = {"@odata.id": f"{origin}/users/{first}"}
                asked = {
                    "licence": ("POST", f"{url}/assignLicense", body),
                    "managed": ("PUT", f"{url}/manager/$ref", ref),
                    "unmanaged": ("DELETE", f"{url}/manager/$ref", None),
                }[what]
                item: dict[str, Any] = {"method": asked[0], "url": asked[1]}
                if asked[2]:
                    item |= {"body": asked[2], "headers": {"Content-Type": "application/json"}}
                graph.adapter._client.send([item])
            case "observed":
                observed(graph)
            case "replayed":
                graph.faults(replayed_deltas=True)
    told = observed(graph)["read"]
    assert "anew" not in told
    assert not told["users"].startswith("whole")
    same_as_whole(graph)


def test_who_was_deleted_is_never_kept_from_the_night_before(graph: Kit) -> None:
    group, one = graph.done(graph.group()), graph.done(graph.user())
    graph.done(graph.member(group, one))
    observed(graph)
    graph.done(graph.to(one, "delete"))
    observed(graph)
    assert one.key[0] not in json.dumps(sorted(landed()["users"] | landed()["members"]))
    same_as_whole(graph)


def test_a_group_that_became_ours_brings_who_was_in_it_before(
    graph: Kit, platforms: emulated.Platforms
) -> None:
    group, one = graph.done(graph.group()), graph.done(graph.user())
    graph.done(graph.member(group, one))
    key, store_ = graph.made["groups", group.key], platforms.microsoft.store
    named = store_["groups"][key]
    store_.put("groups", key, {n: v for n, v in named.items() if n != "uniqueName"})
    store_.commit(0)
    observed(graph)
    store_.put("groups", key, named)
    store_.commit(0)
    observed(graph)
    assert any(key in row for row in landed()["members"])
    same_as_whole(graph)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        ("expired", "the link is no longer known"),
        ("a week old", "the link is no longer known"),
        ("damaged", "the link is no longer known"),
        ("of another host", "the link is no longer known"),
        ("empty", ""),
        ("lost", "nothing is kept"),
        ("of another tenant", "other settings"),
        ("too old", "7 days are over"),
        ("from the time to come", "7 days are over"),
        ("of rows that are gone", "other tables"),
        ("of tables landed later", "other tables"),
        ("written since", "written to since"),
    ],
)
def test_whatever_befell_the_link_or_the_tables_leads_to_a_whole_read(
    graph: Kit, damage: str, why: str
) -> None:
    graph.done(graph.user())
    observed(graph)
    new = graph.done(graph.user())
    with store.connect() as connection:
        (links,) = connection.execute(f"select links from {observe.KEPT}").fetchone()
    now = datetime.now(UTC)
    match damage:
        case "expired":
            graph.faults(expired_deltas=2)
        case "a week old":
            graph.faults(delta_days=0.0)
        case "damaged":
            link(links=links.replace("deltatoken=", "deltatoken=AAAA"))
        case "of another host":
            link(links=links.replace("https://localhost", "https://elsewhere.example"))
        case "empty":
            link(links="{}")
        case "lost":
            with store.connect() as connection:
                connection.execute(f"drop table {observe.KEPT}")
        case "of another tenant":
            link(of="[]")
        case "too old":
            link(whole_at=now - timedelta(days=8))
        case "from the time to come":
            link(whole_at=now + timedelta(days=2))
        case "of rows that are gone":
            with store.connect() as connection:
                connection.execute("delete from raw_microsoft.users where person_id is not null")
        case "of tables landed later":
            with store.connect() as connection:
                connection.execute("update raw_microsoft.groups set _observed_at = now()")
        case "written since":
            journal = observe.paths.runs() / "r" / "journal" / "microsoft.jsonl"
            found = observe.settle.journals
            observe.settle.journals = lambda _: [journal]
            journal.parent.mkdir(parents=True)
            journal.touch()
            try:
                told = observed(graph)
            finally:
                observe.settle.journals = found
    if damage != "written since":
        told = observed(graph)
    assert told["read"]["users"].startswith("whole")
    assert why in json.dumps(told["read"])
    assert any(new.key[0] in row for row in landed()["users"])


class Before:
    """What a night before left: two users, two groups, who is in them."""

    links: ClassVar = {
        one: f"https://g/v1.0/{one}/delta?$deltatoken=t" for one in ("users", "groups")
    }
    held: ClassVar = {
        "users": [{**FULL, "id": one, "isAdmin": False, "userPurpose": None} for one in "ab"],
        "groups": [{"id": one, "displayName": one} for one in ("g", "h")],
        "members": [{"group_remote_id": "g", "id": one} for one in "ab"],
        "licences": [{"user_remote_id": "a", "skuId": "s", "skuPartNumber": "S"}],
    }

    def objects(self, entity: str) -> Iterator[dict[str, Any]]:
        return iter(self.held[entity])


def told(entity: str, *pages: list[dict[str, Any]], one: dict[str, Any]) -> Changes:
    """What comes of pages of answers; `one`: who is found when asked for by themselves."""
    left = [*pages]

    def ask(where: str, _: bool) -> Reply:
        page = left.pop(0) if f"/{entity}/" in where else []
        more = bool(left) and f"/{entity}/" in where
        link = {"@odata.nextLink" if more else "@odata.deltaLink": f"https://g/{entity}/next"}
        return Reply(200, {"value": page, **link})

    changes = Changes("microsoft", "https://g/v1.0", ask)
    changes.kept = Before()
    for each in ("users", "groups"):
        asked = lambda keys: [(key, one.get(key)) for key in keys]  # noqa: E731
        changes.found = {  # type: ignore[attr-defined]
            **getattr(changes, "found", {}),
            each: {now["id"]: now for page in changes.pages(each, "", asked) for now in page},
        }
    return changes


GONE = {"@removed": {"reason": "changed"}}
RENAMED = {"id": "a", "displayName": "New"}


@pytest.mark.parametrize(
    ("pages", "one", "names"),
    [
        ([[]], {}, {"a": "Old", "b": "Old"}),
        ([[RENAMED]], {}, {"a": "New", "b": "Old"}),
        ([[], [RENAMED], [RENAMED]], {}, {"a": "New", "b": "Old"}),
        ([[{"id": "b", **GONE}]], {}, {"a": "Old"}),
        # twice and not alike, in whichever order: asked for by itself
        (
            [[RENAMED, {"id": "a", "displayName": "Newer"}]],
            {"a": RENAMED},
            {"a": "New", "b": "Old"},
        ),
        ([[RENAMED], [{"id": "a", **GONE}]], {"a": RENAMED}, {"a": "New", "b": "Old"}),
        ([[{"id": "a", **GONE}], [RENAMED]], {}, {"b": "Old"}),
        # somebody who is back, of whom only what changed is told
        (
            [[{"id": "c", "displayName": "C"}]],
            {"c": {**FULL, "id": "c"}},
            dict.fromkeys("abc", "Old"),
        ),
        ([[{"id": "c", "displayName": "C"}]], {}, {"a": "Old", "b": "Old"}),
    ],
)
def test_what_is_told_of_somebody_is_put_onto_what_was_known(
    pages: list[list[dict[str, Any]]], one: dict[str, Any], names: dict[str, str]
) -> None:
    found = told("users", *pages, one=one).found["users"]  # type: ignore[attr-defined]
    assert {key: user["displayName"] for key, user in found.items()} == names
    if "a" in found:
        assert found["a"]["licenseAssignmentStates"] == [{"skuId": "s"}]
        assert found["a"]["userPrincipalName"] == "x@sd74.example"


@pytest.mark.parametrize(
    ("pages", "anew", "members"),
    [
        ([[]], [], {"a", "b"}),
        ([[{"id": "g", "members@delta": [{"id": "c"}]}]], [], {"a", "b", "c"}),
        ([[{"id": "g", "members@delta": [{"id": "a", **GONE}]}]], [], {"b"}),
        (
            [
                [{"id": "g", "members@delta": [{"id": "a", **GONE}]}],
                [{"id": "g", "members@delta": [{"id": "a"}]}],
            ],
            ["g"],
            set(),
        ),
    ],
)
def test_who_is_told_in_and_out_of_a_group_is_asked_for(
    pages: list[list[dict[str, Any]]], anew: list[str], members: set[str]
) -> None:
    changes = told("groups", *pages, one={})
    assert changes.unsure_of(["g"], {"g"}) == anew
    assert changes.unsure_of(["g", "h"], {"g"})[:1] == ["h"]  # not ours before
    assert {one for _, one in changes.members(["g"], set(anew), [])} == members


def test_a_whole_read_that_breaks_off_twice_is_no_observation(
    graph: Kit, platforms: emulated.Platforms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(microsoft_delta, "PAGE", 5)
    before = observed(graph)

    class Forgetful(dict):  # type: ignore[type-arg]
        def __contains__(self, key: object) -> bool:
            return False

    monkeypatch.setattr(platforms.microsoft.tenant, "deltas", Forgetful())
    with store.connect() as connection:
        connection.execute(f"delete from {observe.KEPT}")
    made = graph.another()
    assert observe.observe(Run.open("observe"), ["microsoft"], lambda _: made) == 3
    assert before["status"] == "ok"
