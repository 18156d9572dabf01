"""Where we are led by others: redirects, plain http, an open PostgreSQL, `..`, links."""

from __future__ import annotations

import http.client
import http.server
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import httplib2
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from library_kit import Library
from sftp_server import running

from common.addresses import all_at_home, at_home, is_sealed, postgres_in_the_clear
from common.printable import inert
from common.settings import Section, Text
from common.sftp import Place, SftpError, connect
from ingestion.configured import BearerAuth, ClientCredentialsAuth, FilesSource, Limits, RestSource
from ingestion.fetch import Folder, sftp_place
from ingestion.model import SourceUnreachableError
from ingestion.rest_session import opened
from operations import channels
from reverse_etl.targets import google, microsoft
from reverse_etl.targets.entity import Route, Words, fill
from reverse_etl.targets.reading import TargetUnreadableError
from reverse_etl.targets.replies import Call, Reply, Verdict, ordinary


@pytest.fixture
def hosts() -> Iterator[SimpleNamespace]:
    """Two hosts (ports of this machine): one sends everybody to the other, which counts."""
    there: list[tuple[str, bytes]] = []

    class Far(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            there.append((self.command, self.rfile.read(length)))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

        def log_message(self, *_: object) -> None:
            pass

    class Near(Far):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            code, _, where = self.path.lstrip("/").partition("/")
            self.send_response(int(code))
            self.send_header("location", {"far": far, "near": f"{near}/200/"}[where])
            self.send_header("content-length", "0")
            self.end_headers()

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) for kind in (Far, Near)]
    far, near = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield SimpleNamespace(near=near, there=there)
    for server in servers:
        server.shutdown()
        server.server_close()


CODES = (301, 302, 303, 307, 308)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_no_session_follows_a_redirect_to_another_host_nor_repeats_a_write(
    hosts: SimpleNamespace, code: int, method: str
) -> None:
    answer = at_home(requests.Session()).request(method, f"{hosts.near}/{code}/far", data=b"x")
    assert answer.status_code == code
    with all_at_home():  # as a dlt source, which makes its own session
        assert requests.request(method, f"{hosts.near}/{code}/far", timeout=5).status_code == code
    if method != "GET":
        near = at_home(requests.Session()).request(method, f"{hosts.near}/{code}/near", data=b"x")
        assert near.status_code == code, "a write stays where it is, on its own host too"
    assert hosts.there == []


@pytest.mark.parametrize("code", CODES)
def test_what_a_dlt_source_asks_with_urllib_stays_at_home_too(
    hosts: SimpleNamespace, code: int
) -> None:
    with all_at_home(), pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{hosts.near}/{code}/far", timeout=5)
    assert hosts.there == []
    requests.get(f"{hosts.near}/{code}/far", timeout=5)
    assert len(hosts.there) == 1, "outside nothing has changed"


@pytest.mark.parametrize("code", CODES)
def test_google_and_alerts_follow_no_redirect(
    hosts: SimpleNamespace, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = google.Google("google", {})._client
    fresh = SimpleNamespace(token_state=google.client.TokenState.FRESH)
    monkeypatch.setattr(client, "_opened", (None, [fresh]))
    plain = client._connection().http
    assert isinstance(plain, httplib2.Http)
    assert plain.request(f"{hosts.near}/{code}/far")[0].status == code
    with pytest.raises(channels.httpx.HTTPStatusError):
        channels._post(f"{hosts.near}/{code}/far", {})
    assert hosts.there == []


@pytest.mark.parametrize("kept", [False, True], ids=["a new connection", "a kept one"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_no_write_is_repeated_when_its_connection_dies(
    method: str, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Dies(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            if self.path == "/well":
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()
                return
            asked.append(self.command)  # done, and nobody hears of it
            self.close_connection = True

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Dies)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = google.Google("google", {})._client
    fresh = SimpleNamespace(token_state=google.client.TokenState.FRESH)
    monkeypatch.setattr(client, "_opened", (None, [fresh]))
    plain, at = client._connection().http, f"http://127.0.0.1:{server.server_port}"
    if kept:
        assert plain.request(f"{at}/well")[0].status == 200
    with pytest.raises((OSError, http.client.HTTPException)):
        plain.request(f"{at}/dies", method, body=b"" if method == "GET" else b"x")
    assert method == "GET" or asked == [method]
    # the next one has a connection of its own
    assert plain.request(f"{at}/well", "POST", body=b"x")[0].status == 200
    server.shutdown()
    server.server_close()


def test_a_write_on_a_kept_connection_that_was_closed_meanwhile_is_sent_on_a_new_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    class Leaves(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            asked.append(self.command)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()
            self.close_connection = True  # and does not say so

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Leaves)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = google.Google("google", {})._client
    fresh = SimpleNamespace(token_state=google.client.TokenState.FRESH)
    monkeypatch.setattr(client, "_opened", (None, [fresh]))
    plain, at = client._connection().http, f"http://127.0.0.1:{server.server_port}"
    for _ in range(4):
        assert plain.request(at, "POST", body=b"x")[0].status == 200
        time.sleep(0.05)  # until the goodbye is here
    assert asked == ["POST"] * 4
    server.shutdown()
    server.server_close()


def test_a_write_that_was_sent_elsewhere_is_refused_and_not_done() -> None:
    for call in (Call(repeatable=True), Call(repeatable=False)):
        assert ordinary(call, Reply(307, {})) == Verdict("failed", "redirected")


# ---------------------------------------------------------------- in the clear


@pytest.mark.parametrize(
    ("address", "sealed"),
    [
        ("https://api.example/v1", True),
        ("http://127.0.0.1:8000", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:8000/x", True),
        ("http://localhost", True),
        ("http://api.example", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://localhost@evil.example", False),
        ("http://10.0.0.1", False),
        ("ftp://127.0.0.1", False),
    ],
)
def test_http_is_spoken_to_this_machine_only(address: str, sealed: bool) -> None:
    assert is_sealed(address) is sealed


def test_a_token_never_goes_over_plain_http() -> None:
    bearer = BearerAuth(type="bearer", token="t")
    for source in (
        RestSource(kind="rest", base_url="http://api.example/", auth=bearer, resources={}),
        RestSource(
            kind="rest",
            base_url="https://api.example/",
            auth=ClientCredentialsAuth(
                type="oauth2_client_credentials",
                access_token_url="http://api.example/token",
                client_id="a",
                client_secret="b",
            ),
            resources={},
        ),
    ):
        with pytest.raises(SourceUnreachableError, match="must be https"):
            opened("sis", source, Limits())
    with pytest.raises(channels.UndeliverableError, match="plain http"):
        channels._post("http://hooks.example/x", {})
    graph = {"client_id": "c", "client_secret": "s", "authority": "https://login.example/t"}
    for wrong in ({"address": "http://graph.example"}, {"authority": "http://login.example/t"}):
        client = microsoft.Microsoft("microsoft", graph | wrong)._client
        with pytest.raises(TargetUnreadableError, match="must be https"):
            client._connection() if "address" in wrong else client._application()


@pytest.mark.parametrize(
    ("host", "said", "clear"),
    [
        ("db.example", {}, True),
        ("db.example", {"sslmode": "prefer"}, True),
        ("db.example", {"sslmode": "allow"}, True),
        ("db.example", {"sslmode": "disable"}, True),
        ("db.example", {"sslmode": "require"}, False),
        ("db.example", {"sslmode": "verify-full"}, False),
        ("127.0.0.1", {}, False),
        ("::1", {}, False),
        (None, {"host": "/run/postgresql"}, False),
        (None, {"host": "db.example"}, True),
        ("localhost", {"host": "localhost,db.example"}, True),
        ("", {}, False),
    ],
)
def test_a_postgresql_elsewhere_is_spoken_to_sealed_or_not_at_all(
    host, said, clear, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGSSLMODE", raising=False)
    assert bool(postgres_in_the_clear(host, said)) is clear


# ---------------------------------------------------------------- ways out of a folder


class Somewhere(Section):
    path: Text = ""


STEPS = st.lists(st.sampled_from(["a", "b c", ".", "é", "..x", "x..", "..."]), max_size=4)


@given(before=STEPS, after=STEPS, slash=st.sampled_from(["/", "\\", "%2f"]), way=st.booleans())
def test_no_path_in_the_settings_leads_up(before, after, slash, way) -> None:
    for up in ("..", "%2e%2E"):
        path = slash.join([*before, *([up] if way else []), *after])
        if way:
            with pytest.raises(ValueError, match="is refused"):
                Somewhere(path=path)
        else:
            assert Somewhere(path=path).path == path


def test_no_remote_path_leads_up(tmp_path: Path) -> None:
    files = FilesSource(kind="files", layout="hr", location="sftp://me@host/x")
    with pytest.raises(SourceUnreachableError, match="is refused"):
        sftp_place("sis", "sftp://me@host/in/%2e%2e/other", files)
    place = Place("127.0.0.1", 1, "me", "", "", "in/../../other")
    with pytest.raises(SftpError, match="is refused"), connect(place):
        pass
    with pytest.raises(KeyError, match="leads elsewhere"):
        fill("GET /users/{key}", Words({"key": ".."}), path=True)
    assert fill("GET /users/{key}", Words({"key": "../a"}), path=True) == "GET /users/..%2Fa"
    with pytest.raises(KeyError, match="leads elsewhere"):
        google.path_in_url("/Students/../Staff")
    assert fill(Route("GET /users/{key}").call, Words({"key": "a..b"}), path=True).endswith("a..b")


def test_a_link_in_a_landing_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "real.csv").write_text("a")
    (inbox / "link.csv").symlink_to(tmp_path / "secret")
    folder = Folder(inbox)
    assert [entry.name for entry in folder.list()] == ["real.csv"]
    assert folder.links == ["link.csv"]
    with pytest.raises(SftpError, match="is a link"):
        folder.get("link.csv", tmp_path / "copy", 100)


@pytest.mark.parametrize("over", ["a folder", "sftp"])
def test_a_link_that_is_left_out_is_told_with_its_name(
    library: Library, over: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.good_night()
    loans = library.folder / "Loans.csv"
    loans.rename(tmp_path / "elsewhere.csv")
    loans.symlink_to(tmp_path / "elsewhere.csv")
    (library.folder / "gone.csv").symlink_to("nowhere")
    with ExitStack() as open_until:
        if over == "sftp":
            server = open_until.enter_context(running(library.folder, tmp_path / "keys"))
            for name, value in {
                "LOCATION": f"sftp://homeroom@127.0.0.1:{server.port}/",
                "KEY_FILE": server.key_file,
                "KNOWN_HOSTS": server.known_hosts,
            }.items():
                monkeypatch.setenv(f"SOURCES__LIBRARY__{name}", str(value))
        library.ingest()
    told = {one["code"]: one["message"] for one in library.findings()}
    assert "Loans.csv, gone.csv in" in told["links_not_followed"]
    assert library.feed("loans")["status"] == "missing"


# ---------------------------------------------------------------- formulas


@given(st.text())
def test_no_cell_that_people_open_begins_as_a_formula(text: str) -> None:
    cell = inert(text)
    assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋"))
    assert cell in {text, f"'{text}"}
