"""A JSON service of nobody's: collections that hold whatever is put into them. What a new project
writes to before it has a target of its own, and what the examples are made of.

In: a token, a folder. Out: `GET`, `POST /v1/<collection>`, `GET`, `PATCH`, `DELETE
/v1/<collection>/<id>` in pages of 50, on a free port of this machine, while a command runs. What it
holds is kept in `emulator.json`, to look at and to go on with.

Alone: `python -m demo.anything --token T --state var -- python -m operations nightly`. The command
is told the address as TARGETS__EMULATOR__ADDRESS, and the token as TARGETS__EMULATOR__AUTH__TOKEN.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

import typer

Answer = tuple[int, Any]
PAGE = 50


@contextmanager
def service(
    token: str, answer: Callable[[str, str, Mapping[str, str], Any], Answer], scheme: str = "Bearer"
) -> Iterator[str]:
    """A JSON service on a free port of this machine, for whoever has the token; its address.
    `answer` is given method, path, parameters and body, one request at a time.
    """
    turn = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"null")
            there = urlsplit(self.path)
            if self.headers.get("Authorization") != f"{scheme} {token}":
                status, said = 401, {"code": "unauthorized"}
            else:
                with turn:
                    status, said = answer(
                        self.command, there.path, dict(parse_qsl(there.query)), body
                    )
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _handle

        def log_message(self, *_: Any) -> None:
            """Nothing: a run is told by its own log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def page(rows: list[dict[str, Any]], asked: Mapping[str, str], size: int = PAGE) -> Answer:
    """One page of a list, as `{"results", "count", "pages"}`."""
    number, pages = int(asked.get("page", 1)), max(1, -(-len(rows) // size))
    some = rows[(number - 1) * size : number * size]
    return 200, {"results": some, "count": len(rows), "pages": pages}


@dataclass
class Anything:
    """What the service holds: collection -> id -> object."""

    held: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    writes: int = 0

    def answer(self, method: str, path: str, asked: Mapping[str, str], body: Any) -> Answer:
        """One request."""
        _, _, name, *rest = (*path.split("/"), "", "", "")[: 4 if path.count("/") > 2 else 3]
        some = self.held.setdefault(name, {})
        one = rest[0] if rest else ""
        if method == "GET" and not one:
            wanted = {key: value for key, value in asked.items() if key != "page"}
            rows = [o for o in some.values() if all(str(o.get(k)) == v for k, v in wanted.items())]
            return page(rows, asked)
        if method == "POST" and not one and isinstance(body, dict):
            self.writes += 1
            made = {**body, "id": str(max(map(int, some), default=0) + 1)}
            some[made["id"]] = made
            return 201, made
        if one not in some:
            return 404, {"code": "not_found"}
        if method == "PATCH":
            self.writes += 1
            some[one] |= body
        elif method == "DELETE":
            self.writes += 1
            return 200, some.pop(one)
        return 200, some[one]


def main(
    command: Annotated[list[str], typer.Argument(help="a program and its words", metavar="…")],
    state: Annotated[Path, typer.Option(help="the folder of emulator.json")],
) -> None:
    """Run a program with the service beside it."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    path, token = state / "emulator.json", secrets.token_hex(8)
    there = Anything(json.loads(path.read_text("utf-8")) if path.is_file() else {})
    with service(token, there.answer) as address:
        given = {
            "TARGETS__EMULATOR__ADDRESS": f"{address}/v1",
            "TARGETS__EMULATOR__AUTH__TOKEN": token,
        }
        code = subprocess.run(command, env=os.environ | given, check=False).returncode
    part = path.with_suffix(".part")
    part.write_text(json.dumps(there.held, indent=1, ensure_ascii=False), encoding="utf-8")
    part.replace(path)
    print(f"the emulator was written to {there.writes:,} times; what it holds: {path}")
    raise SystemExit(code)


if __name__ == "__main__":
    typer.run(main)
