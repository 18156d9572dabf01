"""The HTTP server under the emulated platforms: HTTP/1.1 with keep-alive on one asyncio loop.

In: bytes of real clients (httplib2, requests, httpx). Out: one `Request` per message, handed to a
function that answers with a `Reply`, or with None to close the connection without a word, as a
network does at the wrong moment.

One loop and one thread, so the state behind it needs no locks and every request is handled whole;
the parser does only what those clients need, which is why it carries several thousand requests a
second on one core. Refuses: chunked bodies (411) and headers over 64 KB (431).
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

MOST_HEADER_BYTES = 64 * 1024
REASONS = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True)
class Request:
    """One message as it came; header names in lower case, `path` still URL-encoded."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def params(self) -> dict[str, str]:
        return dict(parse_qsl(self.query, keep_blank_values=True))

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path


@dataclass(frozen=True)
class Reply:
    """What goes back: a JSON document, or bytes with their own content type, or nothing."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        if isinstance(self.body, bytes):
            content, kind = self.body, None
        elif self.body is None:
            content, kind = b"", None
        else:
            content, kind = (
                json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode(),
                "application/json; charset=UTF-8",
            )
        lines = [f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Unknown')}"]
        if kind:
            lines.append(f"Content-Type: {kind}")
        if not {"date", "Date"} & self.headers.keys():
            lines.append(f"Date: {formatdate(usegmt=True)}")
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.status != 204:
            lines.append(f"Content-Length: {len(content)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + content


class RefusalError(Exception):
    """The platform says no; carries the exact reply."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


Respond = Callable[[Request], Reply | None]


class Connection(asyncio.Protocol):
    """One client connection: messages are answered one after another, each with a single write."""

    def __init__(
        self, respond: Respond, latency: Callable[[], float], everyone: set[Connection]
    ) -> None:
        self._respond = respond
        self._latency = latency
        self._everyone = everyone
        self._buffer = b""
        self._waiting = (
            False  # a reply is being held back; what comes meanwhile stays in the buffer
        )
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._everyone.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        self._transport = None
        self._everyone.discard(self)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._next()

    def _next(self) -> None:
        while not self._waiting and self._transport is not None:
            request = self._parsed()
            if request is None:
                return
            delay = self._latency()
            if delay > 0:
                self._waiting = True
                asyncio.get_running_loop().call_later(delay, self._late, request)
            else:
                self._answer(request)

    def _late(self, request: Request) -> None:
        self._waiting = False
        self._answer(request)
        self._next()

    def _answer(self, request: Request) -> None:
        reply = self._respond(request)
        if self._transport is None:
            return
        if reply is None:
            self._transport.abort()
            return
        self._transport.write(reply.encoded())
        if request.headers.get("connection", "").lower() == "close":
            self._transport.close()

    def _parsed(self) -> Request | None:
        """The next whole message in the buffer, or None when more bytes are needed."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MOST_HEADER_BYTES:
                self._refuse(431)
            return None
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        parts = lines[0].split(" ")
        if len(parts) != 3:
            self._refuse(400)
            return None
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        if "transfer-encoding" in headers:
            self._refuse(411)
            return None
        length = headers.get("content-length", "0")
        if not length.isdigit():
            self._refuse(400)
            return None
        size = end + 4 + int(length)
        if len(self._buffer) < size:
            return None
        body, self._buffer = self._buffer[end + 4 : size], self._buffer[size:]
        path, _, query = parts[1].partition("?")
        return Request(parts[0].upper(), path, query, headers, body)

    def _refuse(self, status: int) -> None:
        if self._transport is not None:
            self._transport.write(
                Reply(
                    status,
                    {"error": {"code": status, "message": REASONS[status]}},
                    {"Connection": "close"},
                ).encoded()
            )
            self._transport.close()


class Listener:
    """A listening socket on a free loopback port and its open connections."""

    def __init__(self, server: asyncio.Server, everyone: set[Connection]) -> None:
        self._server = server
        self._everyone = everyone
        self.port: int = server.sockets[0].getsockname()[1]

    @classmethod
    async def open(
        cls, respond: Respond, latency: Callable[[], float], tls: ssl.SSLContext | None = None
    ) -> Listener:
        everyone: set[Connection] = set()
        server = await asyncio.get_running_loop().create_server(
            lambda: Connection(respond, latency, everyone), "127.0.0.1", 0, ssl=tls, backlog=256
        )
        return cls(server, everyone)

    async def close(self) -> None:
        self._server.close()
        for connection in list(self._everyone):
            connection.close()
        await self._server.wait_closed()
