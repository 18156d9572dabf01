"""Who is told at once what became of an account: signed, in the order of each person, until it was
taken, never under another id, and with keys alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from common import store
from common.problems import Reason
from operations import check
from reverse_etl.serve import events

KEY = b"0123456789abcdef0123456789abcdef"
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@dataclass
class Listener:
    """A server that takes events, or does not."""

    url: str = ""
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)  # to the next, in turn; else 204
    refuses: set[str] = field(default_factory=set)  # subjects

    def taken(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener()

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Nothing."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            code = found.answers.pop(0) if found.answers else 204
            if json.loads(body)["data"].get("subject") in found.refuses:
                code = 500
            if code < 300:
                found.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(code)
            self.end_headers()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
        yield found
        server.shutdown()


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listener: Listener) -> Listener:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    setting(monkeypatch, ADDRESS=listener.url, SECRET=SECRET, OF='["crm.users"]')
    with store.connect() as connection:
        connection.execute(events.TABLES)
        connection.execute(
            "insert into ledger.applied.hooks values ('desk', ?)",
            [datetime.now(UTC) - timedelta(days=2)],
        )
    return listener


def setting(monkeypatch: pytest.MonkeyPatch, **said: str) -> None:
    for name, value in said.items():
        monkeypatch.setenv(f"SERVE__WEBHOOKS__DESK__{name}", value)


def happen(number: int, action: str, subject: str = "p1", hours: float = 1.0, **more: Any) -> None:
    """A change of a night, applied unless it is held."""
    at = datetime.now(UTC) - timedelta(hours=hours)
    row = {
        "change_id": f"c{number}",
        "plan_id": f"plan{number}",
        "run_id": f"run{number}",
        "planned_at": at,
        "target": "crm",
        "entity": "users",
        "key": f"k-{subject}",
        "subject": subject,
        "partition": "s1",
        "action": action,
        "old": "{}",
        "new": json.dumps({"name": "Canary O'Brien", "mail": "canary@x.example"}),
        "seq": number,
    } | more
    status = row.pop("status", "applied")
    with store.connect() as connection:
        connection.execute(
            f"insert into ledger.audit.planned_changes ({', '.join(row)})"
            f" values ({', '.join('?' * len(row))})",
            [*row.values()],
        )
        if row.get("hold") is None:
            connection.execute(
                "insert into ledger.audit.outcomes (change_id, run_id, status, finished_at)"
                " values (?, ?, ?, ?)",
                [row["change_id"], row["run_id"], status, at],
            )


def told(listener: Listener) -> list[tuple[str, str]]:
    return [(one["type"], one["data"]["subject"]) for one in listener.taken()]


def tell() -> list[str]:
    return [one.message for one in events.tell(pause=lambda _: None)]


LIMIT = Reason("in_words", {"words": "over a limit"}).json


def test_what_happened_is_told_once_in_the_order_it_happened(house: Listener) -> None:
    happen(1, "create", hours=5)
    happen(2, "suspend", hours=3)
    happen(3, "create", "p2", hours=4)
    happen(4, "update", "p2", hours=2)  # nobody asked for what only changed
    happen(5, "create", "p3", hours=1, status="failed")
    happen(6, "create", "p4", hours=1, target="other")
    assert tell() == tell() == []
    assert told(house) == [("users.created", "p1"), ("users.created", "p2"), ("users.closed", "p1")]


def test_who_changes_school_moves_and_what_waits_for_a_release_is_held(house: Listener) -> None:
    happen(1, "create", hours=30)
    happen(2, "update", hours=20, partition="s2", hold=LIMIT)
    happen(3, "update", hours=10, partition="s2")
    happen(4, "update", hours=5, partition="s2")
    assert tell() == []
    assert told(house) == [("users.created", "p1"), ("users.held", "p1"), ("users.moved", "p1")]
    moved = house.taken()[-1]["data"]
    assert (moved["from_partition"], moved["partition"]) == ("s1", "s2")
    assert house.taken()[1]["data"]["hold"] == "in_words"


def test_a_hold_found_again_the_next_night_is_no_news_and_one_that_only_waits_is_none(
    house: Listener,
) -> None:
    waits = Reason("hold_waits", {"target": "t", "entity": "e", "key": "k"}).json
    happen(1, "suspend", hours=30, hold=LIMIT)
    happen(2, "suspend", hours=6, hold=LIMIT)
    happen(3, "create", "p2", hours=6, hold=waits)
    assert tell() == []
    assert told(house) == [("users.held", "p1")]


def test_an_event_is_signed_as_standard_webhooks_says(house: Listener) -> None:
    happen(1, "create")
    tell()
    ((headers, body),) = house.got
    number, at = headers["webhook-id"], headers["webhook-timestamp"]
    assert abs(int(at) - datetime.now(UTC).timestamp()) < 60
    said = hmac.new(KEY, b".".join([number.encode(), at.encode(), body]), hashlib.sha256)
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(said.digest()).decode()}"
    made = json.loads(body)
    assert set(made) == {"type", "timestamp", "data"} and made["timestamp"].endswith("Z")
    assert number.startswith("evt_")


def test_nothing_of_anybody_is_told_but_keys(house: Listener) -> None:
    happen(1, "create")
    happen(2, "suspend", "p2", hold=LIMIT)
    tell()
    said = b"".join(body for _, body in house.got)
    assert b"Canary" not in said and b"canary" not in said and b"k-p1" in said


def test_what_is_not_taken_is_tried_again_under_the_same_id_and_nobody_elses_waits_for_it(
    house: Listener,
) -> None:
    happen(1, "create", "p1", hours=9)
    happen(2, "suspend", "p1", hours=8)
    happen(3, "create", "p2", hours=7)
    house.refuses = {"p1"}
    (why,) = tell()
    assert "2 events wait: it answered 500" in why
    assert told(house) == [("users.created", "p2")]
    house.refuses = set()
    assert tell() == []
    assert told(house)[1:] == [("users.created", "p1"), ("users.closed", "p1")]


def test_no_event_of_somebody_overtakes_the_one_before(house: Listener) -> None:
    happen(1, "create", "p1", hours=9)
    happen(2, "suspend", "p1", hours=8)
    house.answers = [500] * 3  # all three tries of the first; then it listens again
    (why,) = tell()
    assert "2 events wait" in why and house.got == []
    tell()
    assert told(house) == [("users.created", "p1"), ("users.closed", "p1")]


def test_a_lost_answer_is_asked_again_and_the_id_says_that_it_is_the_same(
    house: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    happen(1, "create")
    with monkeypatch.context() as killed:
        killed.setattr(events, "_post", lambda http, hook, one, pause: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            tell()
    assert house.got == []
    house.answers = [429, 503]
    assert tell() == []
    (first,) = [headers["webhook-id"] for headers, _ in house.got]
    with store.connect() as connection:  # killed after it was sent, before it was noted
        connection.execute("update ledger.applied.events set told_at = null")
    tell()
    assert [headers["webhook-id"] for headers, _ in house.got] == [first, first]


def test_a_listener_that_is_away_is_asked_a_few_times_and_told_all_of_it_the_next_night(
    house: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(9):
        happen(number, "create", f"p{number}", hours=20 - number)
    house.answers = [500] * 9
    (why,) = tell()
    assert "9 events wait" in why
    assert house.answers == [] and house.got == []
    assert tell() == []
    assert told(house) == [("users.created", f"p{number}") for number in range(9)]


def test_a_new_listener_hears_of_this_push_and_of_no_night_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listener: Listener
) -> None:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    setting(monkeypatch, ADDRESS=listener.url, SECRET=SECRET, OF='["crm.users"]')
    happen(1, "create", "p1", hours=30)
    happen(2, "create", "p2", hours=0)
    assert tell() == []
    assert told(listener) == [("users.created", "p2")]


@pytest.mark.parametrize(
    ("said", "why"),
    (
        ({"ADDRESS": "http://desk.example/hook"}, "must be https://"),
        ({"SECRET": "whsec_c2hvcnQ="}, "24 to 64 bytes"),
        ({"SECRET": "plain"}, "24 to 64 bytes"),
        ({"OF": "[]"}, "of is not set"),
        ({"TYPES": '["everything"]'}, "a list of created"),
        ({"SHOE": "1"}, "no such key"),
    ),
)
def test_a_listener_nobody_can_tell_is_said_by_check_and_stops_no_push(
    house: Listener, monkeypatch: pytest.MonkeyPatch, said: dict[str, str], why: str
) -> None:
    setting(monkeypatch, **said)
    happen(1, "create")
    events.tell(pause=lambda _: None)
    told_: list[str] = []
    with pytest.raises(Exception, match=why) as caught:
        check._serve()
    told_.append(str(caught.value))
    assert SECRET not in told_[0] and "plain" not in told_[0]


def test_nobody_is_told_where_nobody_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    assert events.tell() == []
