"""Conformance of the targets: every one of them is asked the same, on its emulated platform, on an
API of nobody's, on a real database. What a target lacks, and why, its settings say.

What is created is read back equal; repeats are harmless; a lost reply is never mistaken for a
refusal; what is not ours is not touched; what is written into records names nobody.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from target_kit import BY_SETTINGS, FIELDS, STUDENTS, Kit, adapter, as_text, kit, lacks, served

from reverse_etl.model import Adapter
from reverse_etl.targets.reading import TargetUnreadableError

ADDRESSES = pytest.mark.needs("names_taken")
ACCOUNTS = pytest.mark.needs("password")


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    return tmp_path / "var"


class Servers(ExitStack):
    """What the targets write to, each started when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder, self.running = folder, {}

    def of(self, name: str) -> Any:
        shared = name if name in BY_SETTINGS else "platforms"  # the directories are one tenant
        if shared not in self.running:
            self.running[shared] = self.enter_context(served(name, self.folder / shared))
        return self.running[shared]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with Servers(tmp_path_factory.mktemp("servers")) as running:
        yield running


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every target that has what the test needs."""
    if "target" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("needs")
        needed = set(marker.args if marker else ())
        names = [*FIELDS, *(name for name in BY_SETTINGS if not needed & lacks(name).keys())]
        metafunc.parametrize("target", names, indirect=True)


@pytest.fixture
def target(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Kit]:
    made = kit(request.param, servers.of(request.param))
    yield made
    made.faults(
        lose_reply_after_commit=0.0,
        random_5xx=0.0,
        throttle=0.0,
        latency_seconds=0.0,
        incomplete_creation_seconds=0.0,
        drop_writes=0.0,
    )
    made.adapter.close()


# ---------------------------------------------------------------- what is written is what is read


def test_an_adapter_offers_what_the_engine_asks_for(target):
    assert isinstance(target.adapter, Adapter)
    assert set(target.adapter.entities) <= set(target.adapter.raw_columns)
    named = [row for row in target.adapter.rows.values() if row.unique_names]
    assert ("names_taken" in target.adapter.raw_columns) == bool(named)


def test_an_adapter_can_be_made_where_the_target_cannot_be_reached(target):
    target.with_settings(**target.fields.away).close()
    if target.name in FIELDS:
        adapter(target.name, {}).close()


@ADDRESSES
def test_a_deleted_account_comes_back_as_the_same_one(target):
    user = target.done(target.user())
    before = target.row(user)
    target.done(target.to(user, "delete"))
    assert [
        row for row in target.observed("users") if row["remote_id"] == before["remote_id"]
    ] == []
    deleted = [
        row
        for row in target.observed("names_taken")
        if row["kind"] == "deleted" and row["person_id"] == user.key[0]
    ]
    assert {row["remote_id"] for row in deleted} == {before["remote_id"]}
    back = target.to(user, "restore", deleted=False, **user.new)
    for _ in range(2):  # the second time as after a lost reply
        target.done(back)
        after = target.row(user)
        assert {name: value for name, value in after.items() if name != "_json"} == {
            name: value for name, value in before.items() if name != "_json"
        }
    assert [
        row
        for row in target.observed("names_taken")
        if row["kind"] == "deleted" and row["person_id"] == user.key[0]
    ] == []


def test_what_is_created_is_read_back_equal(target):
    for change in (target.done(target.user()), target.done(target.group())):
        found = target.row(change)
        assert {column: found[column] for column in change.new} == {
            column: as_text(value) for column, value in change.new.items()
        }


def test_every_entity_is_read_as_text_with_the_whole_object(target):
    target.done(target.member(target.done(target.group()), target.done(target.user())))
    for entity, columns in target.adapter.raw_columns.items():
        batches = list(target.another().observe(entity))
        assert batches, entity
        for batch in batches:
            assert batch.schema == pa.schema([(name, pa.string()) for name in (*columns, "_json")])
        if entity != "names_taken":
            assert all(
                json.loads(whole)
                for batch in batches
                for whole in batch.column("_json").to_pylist()
            )


def test_an_update_changes_only_what_it_names(target):
    user = target.done(target.user())
    before = target.row(user)
    target.done(target.to(user, "update", given_name="Amélie"))
    after = target.row(user)
    assert after["given_name"] == "Amélie"
    assert {c: v for c, v in before.items() if c not in {"given_name", "_json"}} == {
        c: v for c, v in after.items() if c not in {"given_name", "_json"}
    }


def test_a_rename_keeps_the_account(target):
    user = target.done(target.user())
    new = f"renamed.{user.key[0]}@{STUDENTS}"
    target.done(target.to(user, "rename", **{target.user_key: new}))
    assert target.row(user)[target.user_key] == new
    assert target.row(user)["person_id"] == user.key[0]


def test_suspend_and_restore(target):
    user = target.done(target.user())
    (column, off), (_, on) = *target.off.items(), *target.on.items()
    target.done(target.to(user, "suspend", **target.off))
    assert target.row(user)[column] == as_text(off)
    target.done(target.to(user, "restore", **target.on))
    assert target.row(user)[column] == as_text(on)


def test_an_account_without_our_key_is_adopted_by_stamping_it(target):
    user = target.done(target.user(person_id=None))
    assert target.row(user)["person_id"] is None
    target.done(target.to(user, "adopt", person_id=user.key[0]))
    assert target.row(user)["person_id"] == user.key[0]


def test_a_member_is_added_and_removed(target):
    group, user = target.done(target.group()), target.done(target.user())
    target.done(target.member(group, user))
    pair = (target.made["groups", group.key], target.made["users", user.key])
    assert pair in target.links()
    target.done(target.member(group, user, "remove"))
    assert pair not in target.links()
    assert target.row(user)["person_id"] == user.key[0]  # the person is still there


@ADDRESSES
def test_a_deleted_account_is_gone_and_its_name_stays_taken(target):
    user = target.done(target.user())
    target.done(target.to(user, "delete"))
    assert target.made["users", user.key] not in {
        row["remote_id"] for row in target.observed("users")
    }
    taken = {
        (row["address"].lower(), row["kind"], row["person_id"])
        for row in target.observed("names_taken")
    }
    assert (user.new[target.user_key].lower(), "deleted", user.key[0]) in taken


@ADDRESSES
def test_names_taken_knows_users_groups_and_old_addresses(target):
    user, group = target.done(target.user()), target.done(target.group())
    target.done(target.to(user, "rename", **{target.user_key: f"newer.{user.key[0]}@{STUDENTS}"}))
    taken = {(row["address"].lower(), row["kind"]) for row in target.observed("names_taken")}
    assert (f"newer.{user.key[0]}@{STUDENTS}", "user") in taken
    old = user.new[target.user_key].lower()
    assert {
        (old, "alias"),
        (old.partition("@")[0], "alias"),
    } & taken  # Google keeps the address, Microsoft the nickname
    assert {(f"{group.key[0]}@sd74.example", "group"), (group.key[0], "group")} & taken


def test_members_of_groups_that_are_not_ours_are_not_read(target):
    ours = {
        target.made["groups", group.key]
        for group in (target.done(target.group()), target.done(target.group()))
    }
    managed = {row["remote_id"] for row in target.observed("groups") if row["group_id"]}
    assert ours <= managed
    assert {group for group, _ in target.links()} <= managed


# ---------------------------------------------------------------- repeats


def test_a_create_that_was_already_done_is_recognised_by_its_key(target):
    user, group = target.done(target.user()), target.done(target.group())
    for change in (user, group):
        again = target.apply(change)
        assert (again.status, again.reason) == ("applied", "duplicate")
        assert again.remote_id == target.made[change.entity, change.key]
        assert target.another().find(change) == again.remote_id


def test_a_name_that_belongs_to_somebody_else_is_not_taken_over(target):
    owner = target.done(target.user())
    before = target.row(owner)
    thief = target.user(**{target.user_key: owner.new[target.user_key]})
    outcome = target.apply(thief)
    assert (outcome.status, outcome.reason) == ("failed", "duplicate")
    assert thief.key[0] in outcome.note
    assert target.row(owner) == before
    assert target.adapter.find(thief) is None


def test_a_rename_to_a_name_that_is_taken_is_refused(target):
    owner, other = target.done(target.user()), target.done(target.user())
    outcome = target.apply(
        target.to(other, "rename", **{target.user_key: owner.new[target.user_key]})
    )
    assert (outcome.status, outcome.reason) == ("failed", "duplicate")
    assert target.row(other)[target.user_key] == other.new[target.user_key].lower()


def test_doing_the_same_twice_is_done(target):
    group, user = target.done(target.group()), target.done(target.user())
    for change in (
        target.member(group, user),
        target.member(group, user, "remove"),
        target.to(user, "suspend", **target.off),
    ):
        target.done(change)
        target.done(change)
    target.done(target.to(user, "delete"))
    gone = target.apply(target.to(user, "delete"))
    assert (gone.status, gone.reason) == ("applied", "not_found")


def test_find_knows_nothing_of_what_was_never_made(target):
    assert target.adapter.find(target.user()) is None
    assert target.adapter.find(target.group()) is None


def test_an_update_of_what_is_gone_fails_for_good(target):
    user = target.done(target.user())
    target.done(target.to(user, "delete"))
    fresh = target.another()
    (outcome,) = fresh.apply([target.to(user, "update", given_name="Nobody")])
    assert (outcome.status, outcome.reason) == ("failed", "not_found")


# ---------------------------------------------------------------- when things go wrong


def test_a_create_whose_reply_is_lost_is_found_by_its_key(target):
    user = target.user()
    target.faults(lose_reply_after_commit=1.0)
    (outcome,) = target.adapter.apply([user])
    target.faults(lose_reply_after_commit=0.0)
    # Google's client sends again when a kept connection dies, and then finds its own work; both are
    # the truth
    assert outcome.status in {"unknown", "applied"}, outcome
    remote_id = target.another().find(user)
    assert remote_id
    assert outcome.remote_id in {None, remote_id}
    assert len([row for row in target.observed("users") if row["person_id"] == user.key[0]]) == 1


@pytest.mark.needs("latency")
def test_a_create_that_takes_too_long_is_unknown(target):
    slow = kit(target.name, target.platforms, timeout=0.5)
    slow.done(slow.user())
    target.faults(latency_seconds=1.5)
    user = slow.user()
    outcome = slow.apply(user)
    assert (outcome.status, outcome.reason) == ("unknown", "no_reply")
    assert outcome.code is None
    target.faults(latency_seconds=0.0)
    # whether it comes to be now, later or never: trying again makes one account of that person
    assert slow.apply(user).status == "applied"
    assert len([row for row in target.observed("users") if row["person_id"] == user.key[0]]) == 1
    slow.adapter.close()


def test_a_failing_platform_leaves_a_create_unknown_and_the_rest_for_later(target):
    user = target.done(target.user())
    target.faults(random_5xx=1.0)
    assert target.apply(target.user()).status == target.fields.after_error
    update = target.apply(target.to(user, "suspend", **target.off))
    assert (update.status, update.reason) == ("retry", "server_error")
    target.faults(random_5xx=0.0)
    target.done(target.to(user, "suspend", **target.off))


def test_a_throttled_change_waits_as_long_as_the_target_says(target):
    target.faults(throttle=1.0)
    outcome = target.apply(target.user())
    assert (outcome.status, outcome.reason) == ("retry", "throttled")
    assert outcome.retry_after == pytest.approx(target.fields.retry_after)


@pytest.mark.needs("incomplete")
def test_an_account_that_is_still_being_made_is_tried_again(target):
    target.faults(incomplete_creation_seconds=0.4)
    user = target.done(target.user())
    outcome = target.apply(target.to(user, "suspend", **target.off))
    assert outcome.status == "retry", outcome
    target.faults(incomplete_creation_seconds=0.0)
    target.done(target.to(user, "suspend", **target.off))


def test_a_target_that_is_not_there_says_so_and_nothing_was_sent(target):
    away = target.with_settings(**target.fields.away, timeout=2)
    (outcome,) = away.apply([target.user()])
    assert (outcome.status, outcome.reason) == ("retry", "unreachable")


def test_wrong_credentials_are_a_failure_not_a_retry(target):
    stranger = target.with_settings(**target.fields.stranger)
    (outcome,) = stranger.apply([target.user()])
    assert outcome.status == "failed"
    assert outcome.reason in {"unauthorized", "forbidden", "subject", "secret_wrong"}
    assert " " in outcome.note or target.name == "sql"
    with pytest.raises(TargetUnreadableError, match=r"credentials|role|subject|client_secret"):
        list(stranger.observe("users"))


def test_missing_settings_are_named(target):
    bare = target.bare()
    (outcome,) = bare.apply([target.user()])
    assert (outcome.status, outcome.reason) == ("failed", "not_configured")
    assert "secrets.toml" in outcome.note
    with pytest.raises(TargetUnreadableError, match=r"not set"):
        list(bare.observe("users"))


def test_a_read_has_patience_with_a_bad_hour(target):
    target.done(target.user())
    there = len(target.observed("users"))
    target.faults(random_5xx=0.2, throttle=0.1)
    adapter = target.another()
    if hasattr(adapter, "_reads"):
        adapter._reads._sleep = lambda seconds: None
    assert sum(batch.num_rows for batch in adapter.observe("users")) == there


def test_a_member_of_a_group_that_does_not_exist_yet_is_not_sent(target):
    calls = target.adapter.write_calls
    change = target.change("members", ("no-group", "no-person"), "create", {})
    outcome = target.apply(change)
    assert (outcome.status, outcome.reason, outcome.calls) == ("failed", "unsupported", 0)
    assert target.adapter.write_calls == calls


# ---------------------------------------------------------------- records, passwords, threads


def test_nothing_in_an_outcome_names_a_person(target):
    owner = target.done(target.user())
    outcomes = [
        target.apply(owner),
        target.apply(target.user(**{target.user_key: owner.new[target.user_key]})),
        target.apply(target.user(**{target.user_key: "not an address"})),
        target.apply(target.user(**{target.user_key: f"someone@{STUDENTS}.unverified.example"})),
        target.apply(target.to(owner, "update", **{target.user_key: "also not an address"})),
    ]
    assert [outcome.status for outcome in outcomes[2:]] == ["failed"] * 3
    for outcome in outcomes:
        text = f"{outcome.note} {outcome.reason}"
        assert "@" not in text
        assert "brien" not in text.lower()


@ACCOUNTS
def test_a_first_password_is_sealed_sent_and_nowhere_else(target, var, monkeypatch, capfd):
    import pyrage

    key = pyrage.x25519.Identity.generate()
    monkeypatch.setenv("PASSWORDS__RECIPIENT", str(key.to_public()))
    user = target.user()
    adapter = target.another()
    (outcome,) = adapter.apply([user])
    adapter.close()
    assert outcome.status == "applied"
    (line,) = [
        json.loads(text)
        for file in (var / "passwords").iterdir()
        for text in file.read_text().splitlines()
    ]
    password = json.loads(pyrage.decrypt(line["sealed"].encode(), [key]))["password"]
    assert (line["change_id"], line["subject"]) == (user.change_id, user.key[0])
    assert line["target"] == target.name
    assert password not in repr(outcome)
    assert password not in "".join(capfd.readouterr())
    assert not [
        path for path in var.rglob("*") if path.is_file() and password.encode() in path.read_bytes()
    ]


@ACCOUNTS
def test_a_first_password_is_made_by_its_recipe_and_a_bad_one_makes_no_account(
    target, var, monkeypatch
):
    import pyrage

    from reverse_etl import first_sheet
    from reverse_etl.model import PASSWORD

    key = pyrage.x25519.Identity.generate()
    monkeypatch.setenv("PASSWORDS__RECIPIENT", str(key.to_public()))
    column = target.adapter.exports["users"].of_role(PASSWORD)
    if column is None:  # `{password}` stands in the call of its settings: random
        pytest.skip("its export has no column of role password")
    adapter = target.another()
    user = replace(target.user(**{column.name: "passphrase"}), partition="07474001")
    (made,) = adapter.apply([user])
    (bad,) = adapter.apply([target.user(**{column.name: "Welcome2026"})])
    adapter.close()
    assert (made.status, bad.status, bad.reason, bad.calls) == (
        "applied",
        "failed",
        "not_configured",
        0,
    )
    (slip,) = first_sheet.opened(first_sheet.files("run1", "07474001"), key).slips
    assert re.fullmatch(r"[A-Z][a-z]+(-[a-z]+){3}-[2-9]{2}", slip.password)
    assert (slip.target, slip.subject) == (target.name, user.key[0])
    assert set(slip.shown) == set(adapter.exports["users"].sheet)


@ACCOUNTS
def test_a_wrong_sealing_key_stops_creates_before_they_are_sent(target, monkeypatch):
    monkeypatch.setenv("PASSWORDS__RECIPIENT", "age1nonsense")
    adapter = target.another()
    (outcome,) = adapter.apply([target.user()])
    assert (outcome.status, outcome.reason, outcome.calls) == ("failed", "not_configured", 0)
    assert adapter.write_calls == 0


def test_many_threads_write_at_once_and_every_change_has_its_outcome(target):
    users = [target.user() for _ in range(120)]
    size = target.adapter.batch
    parts = [users[at : at + size] for at in range(0, len(users), size)]
    before = target.adapter.write_calls
    with ThreadPoolExecutor(target.adapter.threads) as pool:
        outcomes = [outcome for part in pool.map(target.adapter.apply, parts) for outcome in part]
    assert [outcome.change_id for outcome in outcomes] == [user.change_id for user in users]
    assert {outcome.status for outcome in outcomes} == {"applied"}
    assert len({outcome.remote_id for outcome in outcomes}) == 120
    assert target.adapter.write_calls - before == 120


@pytest.mark.needs("token")
def test_one_token_serves_all_threads(target):
    def tokens() -> int:
        lines = [
            json.loads(line) for line in target.requests().read_text(encoding="utf-8").splitlines()
        ]
        return sum(line["url"].endswith("/token") for line in lines)

    before = tokens()
    adapter = target.another()
    with ThreadPoolExecutor(8) as pool:
        assert {
            outcome.status
            for part in pool.map(lambda _: adapter.apply([target.user()]), range(16))
            for outcome in part
        } == {"applied"}
    assert tokens() == before + 1


# ---------------------------------------------------------------- taking back


@pytest.mark.needs("undelete")
def test_a_deleted_account_is_had_back_with_its_id_and_a_second_time_is_refused_for_good(target):
    change = target.done(target.user())
    remote_id = target.made["users", change.key]
    row = {name: value for name, value in change.new.items() if name != "person_id"}
    target.done(target.to(change, "delete"))
    assert target.adapter.restorable["users"] >= 20
    back = target.to(change, "undelete", **row, person_id=change.key[0])
    assert target.apply(back).remote_id == remote_id
    assert {column: target.row(change)[column] for column in row} == {
        column: as_text(value) for column, value in row.items()
    }
    (again,) = target.another().apply(
        [target.to(change, "undelete", **row, person_id=change.key[0])]
    )
    assert again.status == "failed"


def test_an_account_renamed_gets_its_former_name_back(target):
    change = target.done(target.user())
    former = change.new[target.user_key]
    target.done(target.to(change, "rename", **{target.user_key: "other." + former}))
    target.done(target.to(change, "rename", **{target.user_key: former}))
    assert target.row(change)[target.user_key] == former


def test_what_lasts_is_named_with_its_reason(target):
    assert set(target.adapter.lasting) <= set(target.adapter.rows), "also what is off"
    assert all(reason for reason in target.adapter.lasting.values())
