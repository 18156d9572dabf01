"""Whoever is signed in to an account that is closed is signed out: a step of the closing, tried
again where that helps, and said by name where it does not. Both platforms.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from target_kit import Kit, kit

from demo import platforms as emulated
from reverse_etl.execute import Tally
from reverse_etl.model import SESSIONS_LEFT
from reverse_etl.push import _troubles
from reverse_etl.targets.base import SIGN_OUTS
from reverse_etl.targets.google.permissions import SCOPES, scopes_of
from reverse_etl.targets.google.settings import Settings
from reverse_etl.targets.replies import Reply

CALLS = {"google": "/signOut", "microsoft": "/revokeSignInSessions"}


@pytest.fixture(scope="module")
def platforms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulated.Platforms]:
    with emulated.running(tmp_path_factory.mktemp("platforms")) as running:
        yield running


@pytest.fixture(params=CALLS)
def target(
    request: pytest.FixtureRequest,
    platforms: emulated.Platforms,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Kit]:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    made = kit(request.param, platforms)
    yield made
    made.adapter.close()


def asked(platforms: emulated.Platforms) -> Counter[str]:
    """How often each address was asked for, in batches too."""
    found: Counter[str] = Counter()
    for line in platforms.places.requests.read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        batch = one["url"].endswith("/$batch")
        for item in one["body"]["requests"] if batch else [one]:
            found[item["url"].partition("?")[0]] += 1
    return found


def signed_out(platforms: emulated.Platforms, target: Kit) -> int:
    return sum(count for url, count in asked(platforms).items() if url.endswith(CALLS[target.name]))


def answering(target: Kit, monkeypatch: pytest.MonkeyPatch, *replies: Reply) -> list[int]:
    """Answer the calls that end sessions with these, the last for ever; every other call goes
    through. The list counts them.
    """
    through: Callable[..., list[Reply]] = target.adapter.send
    made: list[int] = []
    state = {"closing": False}

    def send(requests: Any) -> list[Reply]:
        if not requests:
            return []
        state["closing"] = not state["closing"]
        if state["closing"]:
            return through(requests)
        made.append(len(requests))
        return [replies[min(len(made), len(replies)) - 1]] * len(requests)

    monkeypatch.setattr(target.adapter, "send", send)
    return made


def test_closing_an_account_ends_its_sessions_and_opening_or_changing_it_does_not(
    target: Kit, platforms: emulated.Platforms
) -> None:
    user = target.done(target.user())
    before = signed_out(platforms, target)
    outcome = target.apply(target.to(user, "suspend", **target.off))
    assert signed_out(platforms, target) == before + 1
    assert (outcome.status, outcome.note) == ("applied", "closed, and its sessions ended")
    assert outcome.calls == 2
    target.done(target.to(user, "restore", **target.on))
    target.done(target.to(user, "update", given_name="Other"))
    assert signed_out(platforms, target) == before + 1


@pytest.mark.parametrize("busy", [Reply(429, {}), Reply(503, {}), Reply(None, {}, "no_reply")])
def test_sessions_that_only_need_time_are_ended_by_trying_the_closing_again(
    target: Kit, busy: Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = target.done(target.user())
    change = target.to(user, "suspend", **target.off)
    made = answering(target, monkeypatch, busy, Reply(200, {}))
    assert target.apply(change).status == "retry"
    outcome = target.apply(change)
    assert (outcome.status, outcome.reason, len(made)) == ("applied", "", 2)


@pytest.mark.parametrize("answer", [Reply(403, {}), Reply(400, {}), Reply(503, {})])
def test_an_account_whose_sessions_cannot_be_ended_is_closed_all_the_same_and_says_so(
    target: Kit, answer: Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = target.done(target.user())
    change = target.to(user, "suspend", **target.off)
    made = answering(target, monkeypatch, answer)
    while (outcome := target.apply(change)).status == "retry":
        assert len(made) < SIGN_OUTS
    # closed by us, as the ledger has to know: else it could never be opened again
    assert (outcome.status, outcome.reason) == ("applied", SESSIONS_LEFT)
    assert len(made) == (SIGN_OUTS if answer.code == 503 else 1)
    (column, off), *_ = target.off.items()
    assert target.row(user)[column] == str(off).lower()
    tally = Tally(signed_in=[("users", user.key[0], "07474001", outcome.note)])
    (finding,) = _troubles({target.name: tally})
    assert (finding.code, finding.level, finding.key) == ("sessions_left", "warning", user.key[0])


def test_a_district_may_leave_sessions_and_then_asks_for_no_permission(
    target: Kit, platforms: emulated.Platforms
) -> None:
    left = target.with_settings(end_sessions=False)
    user = target.done(target.user())
    before = signed_out(platforms, target)
    (outcome,) = left.apply([target.to(user, "suspend", **target.off)])
    assert (outcome.status, signed_out(platforms, target)) == ("applied", before)
    security = {scope for scope, setting in SCOPES.items() if setting == "end_sessions"}
    assert set(scopes_of(Settings())) - set(scopes_of(Settings(end_sessions=False))) == security
    left.close()
