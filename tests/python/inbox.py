"""A mail server with STARTTLS and sign-in, and a web server for everything else alerts are sent to;
both keep what they are told.
"""

from __future__ import annotations

import email
import email.policy
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

PASSWORD = "pass-for-tests"


class Inbox:
    """What arrived: mails with their address, and requests with method, path, body and
    authorization.
    """

    def __init__(self, folder: Path) -> None:
        self.mails: list[tuple[str, EmailMessage]] = []
        self.requests: list[tuple[str, str, dict | None, str]] = []
        self.answer = 200
        self.reply: dict | None = None  # the body of every answer
        self.web = ""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.pem")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(self._context)
        self.smtp: dict[str, Any] = {
            "host": "localhost",
            "port": _free_port(),
            "user": "homeroom",
            "password": PASSWORD,
            "from": "homeroom@sd74.example",
            "ca_file": str(folder / "ca.pem"),
        }
        self._mail: Controller | None = None

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:
        assert session.ssl is not None, "mail came in the clear"
        assert session.authenticated
        message = email.message_from_bytes(
            envelope.content.replace(b"\r\n", b"\n"), policy=email.policy.default
        )
        self.mails += [(address, message) for address in envelope.rcpt_tos]
        return "250 OK"

    def to(self, path: str) -> list[dict]:
        return [body for _, found, body, _ in self.requests if found == path and body is not None]

    def open_post_office(self) -> None:
        """Take mail from now on, at the same port as before."""

        def sign_in(
            _server: Any, _session: Any, _envelope: Any, _mechanism: Any, data: Any
        ) -> AuthResult:
            return AuthResult(
                success=(data.login, data.password) == (b"homeroom", PASSWORD.encode()),
                handled=False,
            )

        self._mail = Controller(
            self,
            hostname="localhost",
            port=self.smtp["port"],
            tls_context=self._context,
            require_starttls=True,
            authenticator=sign_in,
            auth_required=True,
        )
        self._mail.start()

    def close_post_office(self) -> None:
        """Nobody answers where mail is taken."""
        if self._mail:
            self._mail.stop()
            self._mail = None


@contextmanager
def open_inbox(folder: Path) -> Iterator[Inbox]:
    """Both servers, running."""
    inbox = Inbox(folder)

    class Handler(BaseHTTPRequestHandler):
        def _take(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            inbox.requests.append(
                (self.command, self.path, body, self.headers.get("Authorization", ""))
            )
            self.send_response(inbox.answer)
            if inbox.reply is not None:
                self.send_header("Content-Type", "application/json")
            self.end_headers()
            if inbox.reply is not None:
                self.wfile.write(json.dumps(inbox.reply).encode())

        do_GET = do_POST = _take

        def log_message(self, *_: Any) -> None:
            """Tests say what went wrong themselves."""

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    inbox.web = f"http://127.0.0.1:{web.server_port}"
    inbox.open_post_office()
    try:
        yield inbox
    finally:
        inbox.close_post_office()
        web.shutdown()
        web.server_close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]
