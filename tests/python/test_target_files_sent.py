"""Files by FTPS, by HTTPS, and by SFTP with a password, against real servers: delivered whole,
never half, never twice, or a sentence that says what to do.
"""

from __future__ import annotations

import http.server
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import sftp_server
import trustme

from common import files
from reverse_etl.configured import TargetSettingsError
from reverse_etl.model import Change, Outcome
from reverse_etl.targets.files import Files

NAME, CONTENT = "students.csv", b"id,name\r\n1,Zo\xc3\xab\r\n" * 20_000
USER, PASSWORD = "homeroom", "a-password-of-the-tests"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    own = authority.issue_cert("127.0.0.1")
    own.private_key_and_cert_chain_pem.write_to_path(folder / "own.pem")
    return folder


def deliver(folder: Path, content: bytes = CONTENT, name: str = NAME) -> Change:
    path = folder / f"rendered-{name}"
    path.write_bytes(content)
    new = {"path": str(path), "rows": 1, "bytes": len(content), "sha256": files.sha256(path)}
    return Change("d1", "vendor", "file", (name,), "deliver", new=new)


def only(target: Files, change: Change) -> Outcome:
    (outcome,) = target.apply([change])
    return outcome


# ---------------------------------------------------------------- FTPS


@dataclass
class Ftp:
    """A server of one folder, and what goes wrong on it."""

    folder: Path
    port: int
    may: str
    rename: str = ""  # no, taken
    cut: int = 0  # so many bytes of each file are kept

    def target(self, certificates: Path, **more: Any) -> Files:
        said = {
            "kind": "files",
            "via": "ftps",
            "host": "127.0.0.1",
            "port": self.port,
            "user": USER,
            "password": PASSWORD,
            "ca_file": str(certificates / "ca.pem"),
            "timeout": 10,
        }
        return Files("vendor", said | more)


@contextmanager
def serving(folder: Path, certificates: Path, may: str = "elradfmwMT") -> Iterator[Ftp]:
    """pyftpdlib, sealed on both of its channels."""
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.filesystems import AbstractedFS, FilesystemError
    from pyftpdlib.handlers import TLS_FTPHandler
    from pyftpdlib.ioloop import IOLoop
    from pyftpdlib.servers import FTPServer

    folder.mkdir()
    found = Ftp(folder, 0, may)

    class Disk(AbstractedFS):
        def rename(self, src: str, dst: str) -> None:
            if found.rename == "no" or (found.rename == "taken" and Path(dst).exists()):
                raise FilesystemError("no")
            super().rename(src, dst)

    class Handler(TLS_FTPHandler):
        certfile = str(certificates / "own.pem")
        tls_control_required = tls_data_required = True
        abstracted_fs = Disk
        auth_failed_timeout = 0.1
        authorizer = DummyAuthorizer()

        def on_file_received(self, file: str) -> None:
            if found.cut:
                kept = Path(file).read_bytes()[: found.cut]
                Path(file).write_bytes(kept)

    Handler.authorizer.add_user(USER, PASSWORD, str(folder), perm=may)
    loop = IOLoop()
    server = FTPServer(("127.0.0.1", 0), Handler, ioloop=loop)
    found.port = server.socket.getsockname()[1]
    over = threading.Event()

    def turn() -> None:
        while not over.is_set():
            loop.loop(timeout=0.05, blocking=False)

    thread = threading.Thread(target=turn, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join(10)
        server.close_all()


@pytest.fixture
def ftp(tmp_path: Path, certificates: Path) -> Iterator[Ftp]:
    with serving(tmp_path / "there", certificates) as running:
        yield running


def test_a_file_goes_by_ftps_whole_and_once(ftp, certificates, tmp_path):
    target, change = ftp.target(certificates), deliver(tmp_path)
    assert "lets us in, 0 files there" in target.check_connection()
    outcome = only(target, change)
    assert (outcome.status, outcome.calls) == ("applied", 1)
    assert {one.name: one.read_bytes() for one in ftp.folder.iterdir()} == {NAME: CONTENT}
    assert target.find(change) == NAME
    again = only(ftp.target(certificates), change)
    assert (again.status, again.calls) == ("applied", 0)
    assert again.note.startswith("already there")
    assert only(target, deliver(tmp_path, b"id\r\n2\r\n")).status == "applied"
    assert (ftp.folder / NAME).read_bytes() == b"id\r\n2\r\n"


def test_a_server_that_overwrites_nothing_is_delivered_to(ftp, certificates, tmp_path):
    (ftp.folder / NAME).write_bytes(b"yesterday")
    ftp.rename = "taken"
    assert only(ftp.target(certificates), deliver(tmp_path)).status == "applied"
    assert {one.name: one.read_bytes() for one in ftp.folder.iterdir()} == {NAME: CONTENT}


def test_half_a_file_is_never_given_the_name(ftp, certificates, tmp_path):
    (ftp.folder / NAME).write_bytes(b"yesterday")
    ftp.cut = 1000
    outcome = only(ftp.target(certificates), deliver(tmp_path))
    assert (outcome.status, outcome.reason) == ("retry", "not_delivered")
    assert "bytes sent, 1,000 stored" in outcome.note
    assert {one.name: one.read_bytes() for one in ftp.folder.iterdir()} == {NAME: b"yesterday"}


def test_a_server_that_renames_nothing_says_what_to_set(ftp, certificates, tmp_path):
    ftp.rename = "no"
    outcome = only(ftp.target(certificates), deliver(tmp_path))
    assert outcome.status == "retry"
    assert "set temporary_name = false" in outcome.note
    as_it_comes = ftp.target(certificates, temporary_name=False)
    assert only(as_it_comes, deliver(tmp_path)).status == "applied"
    assert (ftp.folder / NAME).read_bytes() == CONTENT


def test_a_blind_folder_is_delivered_to(tmp_path, certificates):
    with serving(tmp_path / "blind", certificates, may="ewf") as running:
        target = running.target(certificates)
        assert only(target, deliver(tmp_path)).status == "applied"
        assert (running.folder / NAME).read_bytes() == CONTENT
        assert target.find(deliver(tmp_path)) is None, "nobody can tell"


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"password": "wrong"}, "check user and password"),
        ({"ca_file": ""}, "its certificate is not believed"),
        ({"port": 9}, "check host, port and firewall"),
        ({"folder": "nowhere"}, "whether the folder is there"),
        ({"folder": "a/../b"}, "is refused"),
        ({"password": ""}, "password not set"),
    ],
)
def test_what_is_wrong_with_ftps_is_said_without_the_servers_words(
    ftp, certificates, tmp_path, wrong, words
):
    try:
        outcome = only(ftp.target(certificates, **wrong), deliver(tmp_path))
        assert outcome.status in {"retry", "failed"}
        said = outcome.note
    except TargetSettingsError as error:  # a setting nobody may write
        said = str(error)
    assert words in said
    assert PASSWORD not in said
    assert list(ftp.folder.iterdir()) == []


# ---------------------------------------------------------------- HTTPS


@dataclass
class Taking:
    """An address that takes files."""

    url: str = ""
    answers: list[int] = field(default_factory=list)  # what is said next; nothing left: 201
    got: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def web(certificates: Path) -> Iterator[Taking]:
    found = Taking()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            size = self.headers.get("Content-Length")
            if size:
                body = self.rfile.read(int(size))
            else:
                body = b""
                while count := int(self.rfile.readline(), 16):
                    body += self.rfile.read(count)
                    self.rfile.readline()
            code = found.answers.pop(0) if found.answers else 201
            found.got.append((self.command, self.path, dict(self.headers), body))
            if code == 0:  # taken, and the answer is lost
                self.connection.close()
                return
            self.send_response(code)
            if code == 307:
                self.send_header("Location", "https://elsewhere.example/")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_PUT

        def log_message(self, *given: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "own.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    found.url = f"https://127.0.0.1:{server.server_address[1]}/drop/{{name}}"
    yield found
    server.shutdown()
    server.server_close()


def address(web: Taking, certificates: Path, **more: Any) -> Files:
    said = {
        "kind": "files",
        "via": "https",
        "address": web.url,
        "ca_file": str(certificates / "ca.pem"),
        "auth": {"type": "bearer", "token": PASSWORD},
        "timeout": 10,
    }
    return Files("vendor", said | more)


def test_a_file_is_put_to_an_address(web, certificates, tmp_path):
    target, change = address(web, certificates), deliver(tmp_path, name="Ünits 1.csv")
    assert "is where files go" in target.check_connection()
    outcome = only(target, change)
    assert (outcome.status, outcome.calls) == ("applied", 1)
    ((method, path, headers, body),) = web.got
    assert (method, path, body) == ("PUT", "/drop/%C3%9Cnits%201.csv", CONTENT)
    assert headers["Authorization"] == f"Bearer {PASSWORD}"
    assert headers["Idempotency-Key"] == change.new["sha256"]


def test_a_file_is_posted_as_a_field_of_a_form(web, certificates, tmp_path):
    target = address(web, certificates, method="POST", form_field="upload")
    assert only(target, deliver(tmp_path)).status == "applied"
    ((method, _, headers, body),) = web.got
    assert method == "POST"
    assert headers["Content-Type"].startswith("multipart/form-data")
    assert b'name="upload"; filename="students.csv"' in body
    assert CONTENT in body


@pytest.mark.parametrize(
    "method, answer, status",
    [
        ("PUT", 0, "retry"),  # the same bytes under the same name again do no harm
        ("POST", 0, "failed"),  # the other side may have it: never twice
        ("PUT", 500, "retry"),
        ("POST", 500, "failed"),
        ("POST", 429, "retry"),
        ("PUT", 403, "failed"),
        ("PUT", 307, "failed"),  # nothing is sent after a redirect
    ],
)
def test_an_answer_decides_whether_it_may_be_sent_again(
    web, certificates, tmp_path, method, answer, status
):
    web.answers = [answer]
    outcome = only(address(web, certificates, method=method), deliver(tmp_path))
    assert (outcome.status, outcome.reason) == (status, "not_delivered")
    assert ("not sent again tonight" in outcome.note) == (method == "POST" and answer in {0, 500})
    assert len(web.got) == 1


def test_an_address_in_the_clear_is_refused(web, certificates, tmp_path):
    target = address(web, certificates, address="http://vendor.example/drop")
    outcome = only(target, deliver(tmp_path))
    assert (outcome.status, outcome.reason) == ("failed", "not_configured")
    assert "must be https" in outcome.note


def test_a_certificate_nobody_vouches_for_gets_nothing(web, certificates, tmp_path):
    outcome = only(address(web, certificates, ca_file=""), deliver(tmp_path))
    assert outcome.status == "retry"
    assert web.got == []


# ---------------------------------------------------------------- SFTP by password


def test_a_vendor_who_takes_no_key_is_signed_in_to_by_password(tmp_path):
    """The host's key is pinned all the same."""
    import asyncio

    key, folder = asyncssh.generate_private_key("ssh-ed25519"), tmp_path / "there"
    folder.mkdir()

    class Server(asyncssh.SSHServer):
        def begin_auth(self, username: str) -> bool:
            return True

        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return (username, password) == (USER, PASSWORD)

    started, loop = threading.Event(), asyncio.new_event_loop()
    port: list[int] = []

    async def serve() -> None:
        server = await asyncssh.create_server(
            Server,
            "127.0.0.1",
            0,
            server_host_keys=[key],
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(folder)),
        )
        port.append(server.sockets[0].getsockname()[1])
        started.set()

    thread = threading.Thread(target=lambda: (loop.create_task(serve()), loop.run_forever()))
    thread.start()
    assert started.wait(30)
    try:
        pinned = tmp_path / "known_hosts"
        pinned.write_text(sftp_server.host_key_line(port[0], key))
        said = {"kind": "files", "host": "127.0.0.1", "port": port[0], "user": USER}
        said |= {"known_hosts": str(pinned), "password": PASSWORD}
        assert only(Files("vendor", said), deliver(tmp_path)).status == "applied"
        assert (folder / NAME).read_bytes() == CONTENT
        wrong = only(Files("vendor", said | {"password": "wrong"}), deliver(tmp_path, b"x"))
        assert "does not accept user homeroom with this password" in wrong.note
        assert "wrong" not in wrong.note.replace("wrong password", "")
        other = asyncssh.generate_private_key("ssh-ed25519")
        pinned.write_text(sftp_server.host_key_line(port[0], other))
        stranger = only(Files("vendor", said), deliver(tmp_path, b"y"))
        assert (stranger.status, stranger.reason) == ("failed", "not_delivered")
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


# ---------------------------------------------------------------- mail


def test_a_file_goes_by_mail_and_only_the_recipient_opens_it(tmp_path):
    import inbox
    import pyrage

    identity = pyrage.x25519.Identity.generate()
    with inbox.open_inbox(tmp_path) as received:
        said: dict[str, Any] = {"kind": "files", "via": "mail", "to": "in@vendor.example"}
        said |= {"recipient": str(identity.to_public()), "smtp": received.smtp}
        target = Files("vendor", said)
        assert "is where files go" in target.check_connection()
        outcome = only(target, deliver(tmp_path))
        assert (outcome.status, outcome.calls) == ("applied", 1)
        ((to, mail),) = received.mails
        assert to == "in@vendor.example"
        (attachment,) = mail.iter_attachments()
        assert attachment.get_filename() == f"{NAME}.age"
        assert pyrage.decrypt(attachment.get_content(), [identity]) == CONTENT
        assert CONTENT[:16] not in attachment.get_content()
        for wrong, words in (
            ({"recipient": "age1nobody"}, "is not an age public key"),
            ({"smtp": received.smtp | {"password": "wrong"}}, "does not let us in"),
            ({"smtp": received.smtp | {"security": "none"}}, "does not let us in|in the clear"),
            ({"smtp": {}}, "wants host and from"),
            ({"to": ""}, "to not set"),
        ):
            refused = only(Files("vendor", said | wrong), deliver(tmp_path))
            assert refused.status in {"failed", "retry"}
            assert re.search(words, refused.note), refused.note
        assert len(received.mails) == 1
        received.close_post_office()
        assert only(target, deliver(tmp_path)).status == "retry"


def test_a_mail_whose_answer_is_lost_is_not_sent_twice(tmp_path, monkeypatch):
    import smtplib

    import inbox
    import pyrage

    def lost(self: smtplib.SMTP, message: Any) -> None:
        raise smtplib.SMTPServerDisconnected("gone")

    key = str(pyrage.x25519.Identity.generate().to_public())
    with inbox.open_inbox(tmp_path) as received:
        said = {"kind": "files", "via": "mail", "to": "in@vendor.example", "recipient": key}
        target = Files("vendor", said | {"smtp": received.smtp})
        monkeypatch.setattr(smtplib.SMTP, "send_message", lost)
        outcome = only(target, deliver(tmp_path))
    assert (outcome.status, outcome.reason) == ("failed", "not_delivered")
    assert "not sent again tonight" in outcome.note
