"""A part that begins when somebody calls: signed, once for each id, for minutes, on this machine
only.
"""

from __future__ import annotations

import base64
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_parts import STOCK, project, ran, started, write

from common import settings as common_settings
from common import signed
from operations import calls, parts, watch

__all__ = ["project"]  # the fixture
SECRET = "whsec_" + base64.b64encode(b"a key of the tests, of 32 bytes.").decode()
OTHER = "whsec_" + base64.b64encode(b"another of the tests, of 32 bytes").decode()
CALLED = STOCK.replace('every = "5 minutes"', "on_call = true")
NOW = 1_800_000_000


def with_calls(project: Path, port: int, text: str = CALLED) -> str:
    (project / ".dlt" / "secrets.toml").write_text(f'[calls.parts.stock]\nsecret = "{SECRET}"\n')
    written = f"[calls]\nport = {port}\n\n{text}"
    write(project, written)
    return written


def headers(
    secret: str = SECRET, call_id: str = "one", at: int = NOW, body: str = "{}"
) -> dict[str, str]:
    said = {"webhook-id": call_id, "webhook-timestamp": str(at)}
    return {**said, "webhook-signature": signed.signature(secret, call_id, at, body)}


@pytest.fixture
def waiting(project: Path) -> calls.Calls:
    with_calls(project, 8790)
    return calls.Calls(clock=lambda: NOW)


def test_a_signed_call_begins_its_part_and_the_same_one_again_begins_nothing(waiting: calls.Calls):
    assert waiting.called("/runs/stock", headers(), b"{}") == 202
    assert waiting.wanted == {"stock"}
    waiting.wanted.clear()
    assert waiting.called("/runs/stock", headers(), b"{}") == 200
    assert waiting.called("/runs/stock", headers(at=NOW + 1), b"{}") == 200
    assert waiting.wanted == set()
    assert waiting.called("/runs/stock", headers(call_id="two"), b"{}") == 202


@pytest.mark.parametrize(
    ("path", "said", "body", "status"),
    [
        ("/runs/stock", headers(secret=OTHER), b"{}", 401),
        ("/runs/stock", headers(), b'{"more": 1}', 401),
        ("/runs/stock", headers(at=NOW - 301), b"{}", 401),
        ("/runs/stock", headers(at=NOW + 301), b"{}", 401),
        ("/runs/stock", headers() | {"webhook-timestamp": str(NOW + 1)}, b"{}", 401),
        ("/runs/stock", headers() | {"webhook-id": "another"}, b"{}", 401),
        ("/runs/stock", headers() | {"webhook-signature": ""}, b"{}", 401),
        ("/runs/stock", headers() | {"webhook-signature": "v1,ü"}, b"{}", 401),
        ("/runs/offers", headers(), b"{}", 401),
        ("/stock", headers(), b"{}", 401),
        ("/runs/../stock", headers(), b"{}", 401),
        ("/runs/stock", {}, b"{}", 400),
        ("/runs/stock", headers() | {"webhook-timestamp": "today"}, b"{}", 400),
        ("/runs/stock", headers() | {"webhook-timestamp": "9" * 5_000}, b"{}", 400),
        ("/runs/stock", headers(), b"\xff", 400),
    ],
)
def test_a_call_that_is_not_signed_for_that_part_in_these_minutes_begins_nothing(
    waiting: calls.Calls, path: str, said: dict[str, str], body: bytes, status: int
):
    assert waiting.called(path, said, body) == status
    assert waiting.wanted == set()


def test_a_caller_may_bring_the_signature_of_an_old_secret_beside_the_right_one(
    waiting: calls.Calls,
):
    both = headers(secret=OTHER)["webhook-signature"] + " " + headers()["webhook-signature"]
    assert waiting.called("/runs/stock", headers() | {"webhook-signature": both}, b"{}") == 202


def test_an_id_is_known_for_as_long_as_its_call_could_count(project: Path):
    with_calls(project, 8790)
    now = [float(NOW)]
    waiting = calls.Calls(clock=lambda: now[0])
    early = headers(at=NOW + calls.LASTS)
    assert waiting.called("/runs/stock", early, b"{}") == 202
    now[0] = NOW + 2 * calls.LASTS - 1
    assert waiting.called("/runs/stock", early, b"{}") == 200
    now[0] = NOW + 2 * calls.LASTS + 1
    assert waiting.called("/runs/stock", early, b"{}") == 401
    assert len(waiting._seen) <= 1, "what no longer counts is not kept"


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(), st.text(), st.text())
def test_what_is_signed_is_the_id_the_time_and_the_body(call_id: str, body: str, more: str):
    call_id, body, more = (one.encode("utf-8", "replace").decode() for one in (call_id, body, more))
    said = signed.signature(SECRET, call_id, NOW, body)
    assert signed.is_signed(SECRET, call_id, NOW, body, said)
    assert signed.is_signed(SECRET, call_id, NOW, body + more, said) == (more == "")
    assert not signed.is_signed(SECRET, call_id, NOW + 1, body, said)


@pytest.fixture
def listening(waiting: calls.Calls) -> Iterator[calls.Calls]:
    stop = threading.Event()
    waiting.listen(0)

    def answer() -> None:
        while not stop.is_set():
            waiting.wait(0.05)

    thread = threading.Thread(target=answer)
    thread.start()
    yield waiting
    stop.set()
    thread.join(10)
    waiting.close()


def test_only_this_machine_is_listened_to_and_an_answer_tells_nothing(listening: calls.Calls):
    assert listening._server.server_address[0] == "127.0.0.1"
    url = f"http://127.0.0.1:{listening.port}/runs/stock"
    with httpx.Client() as http:
        good = http.post(url, headers=headers(), content="{}")
        bad = http.post(url, content="{}")
        asked = http.get(url)
        long = http.post(url, headers=headers(), content=b"x" * (calls.LONGEST + 1))
    assert [one.status_code for one in (good, bad, asked, long)] == [202, 400, 405, 413]
    assert {one.content for one in (good, bad, asked, long)} == {b""}
    assert "server" not in good.headers


def test_a_caller_that_says_nothing_is_not_waited_for(
    listening: calls.Calls, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(listening._server.RequestHandlerClass, "timeout", 0.2)
    with socket.create_connection(("127.0.0.1", listening.port)) as silent:
        silent.send(b"POST /runs/stock HTTP/1.1\r\n")
        url = f"http://127.0.0.1:{listening.port}/runs/stock"
        assert httpx.post(url, headers=headers(), content="{}", timeout=10).status_code == 202


@pytest.mark.parametrize(
    ("text", "secret", "said"),
    [
        (CALLED, SECRET, "on_call, and nothing listens; say [calls] port"),
        (f"[calls]\nport = 1\n\n{CALLED}", "", "[calls.parts.stock] secret is not set"),
        (f"[calls]\nport = 1\n\n{CALLED}", "short", "whsec_ and 24 to 64 bytes"),
    ],
)
def test_a_part_nobody_could_call_for_is_refused(project: Path, text: str, secret: str, said: str):
    if secret:
        (project / ".dlt" / "secrets.toml").write_text(
            f'[calls.parts.stock]\nsecret = "{secret}"\n'
        )
    write(project, text)
    with pytest.raises(common_settings.SettingsError, match=re.escape(said)):
        parts.parts()


def test_a_secret_in_sight_is_refused(project: Path):
    write(project, f'[calls]\nport = 1\n\n[calls.parts.stock]\nsecret = "{SECRET}"\n\n{CALLED}')
    with pytest.raises(common_settings.SettingsError, match="is a secret"):
        parts.parts()


def test_a_port_somebody_has_is_said_before_anything_begins(project: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with_calls(project, taken.getsockname()[1])
        with pytest.raises(parts.PartError, match="cannot be listened on"):
            watch.watch(1)


def test_a_watch_begins_a_part_when_it_is_called_for_and_lets_go_of_the_port(
    project: Path, tmp_path: Path
):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "hold").touch()
    process = started(project, tmp_path, with_calls(project, port))
    url, deadline = f"http://127.0.0.1:{port}/runs/stock", time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            answer = httpx.post(url, headers=headers(at=int(time.time())), content="{}", timeout=5)
            break
        except httpx.TransportError:
            time.sleep(0.1)
    assert answer.status_code == 202
    assert ran(tmp_path) == ["stock"]
    again = headers(call_id="two", at=int(time.time()))
    assert httpx.post(url, headers=again, content="{}", timeout=5).status_code == 202
    time.sleep(0.3)
    assert ran(tmp_path) == ["stock"], "one is under way: the next begins when it is over"
    (tmp_path / "hold").unlink()
    assert ran(tmp_path, 2) == ["stock", "stock"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    with socket.create_server(("127.0.0.1", port)):
        pass
