"""What every emulated web platform shares: the record of requests, faults, control calls,
all-or-nothing writes.

In: `Request`s. Out: `Reply`s, and one JSON line per request in the requests file, with the host
names of production, so that the file can be checked against the vendors' own API descriptions.
Tokens, secrets and passwords are replaced in that file by placeholders of the same form; control
calls (`/_emulator/…`) are not in it.
"""

from __future__ import annotations

import json
import re
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import parse_qsl, urlencode

from demo.platforms.faults import Faults
from demo.platforms.http import RefusalError, Reply, Request
from demo.platforms.store import Store

LEFT_OUT = "Left-out-1"  # stands for a password: long enough, three classes of characters, nobody's
HASHES = {"MD5": "0" * 32, "SHA-1": "0" * 40, "crypt": "$6$leftout$leftout"}
_TOKEN = re.compile(r"(?i)(authorization:\s*bearer )\S+")
_PASSWORD = re.compile(r'("password"\s*:\s*)"(?:[^"\\]|\\.)*"')


class RequestLog:
    """The requests file; lines are whole and in the order the requests were received."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: TextIO = path.open("a", encoding="utf-8")

    def write(self, method: str, url: str, headers: dict[str, str], body: Any) -> None:
        self._file.write(
            json.dumps(
                {"method": method, "url": url, "headers": headers, "body": body}, ensure_ascii=False
            )
            + "\n"
        )
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class Platform(ABC):
    """The part of an emulator that is the same for every vendor; subclasses say what is served and
    how it refuses.
    """

    name = ""
    origin = ""  # own address, set when the port is known

    def __init__(self, store: Store, log: RequestLog, faults: Faults) -> None:
        self.store = store
        self.log = log
        self.faults = faults
        self._wrote = False

    # --- what a vendor says about itself

    @abstractmethod
    def production_url(self, request: Request) -> str | None:
        """The address this request would have had in production; None when it is no API call to
        record.
        """

    @abstractmethod
    def serve(self, request: Request) -> Reply:
        """The vendor's reply to a call."""

    @abstractmethod
    def broken(self, status: int) -> Reply:
        """The vendor's reply to a call it could not handle."""

    @abstractmethod
    def password_is_accepted(self, password: str) -> bool:
        """Would the vendor have let somebody sign in with it?"""

    # --- one request

    def respond(self, request: Request) -> Reply | None:
        if request.path.startswith("/_emulator/"):
            return self._control(request)
        url = self.production_url(request)
        if url is not None:
            self._record(request, url)
        self._wrote = False
        if self.faults.happens("reset"):
            return None
        try:
            reply = self.serve(request)
        except RefusalError as refusal:
            reply = refusal.reply
        if self._wrote and self.faults.happens("lose_reply_after_commit"):
            return None
        return reply

    def attempt(self, call: Callable[[], Reply], writes: bool) -> Reply:
        """Run one API call: kept whole, or refused and nothing of it kept."""
        if self.faults.happens("random_5xx"):
            return self.broken(503)
        try:
            reply = call()
        except RefusalError as refusal:
            self.store.rollback()
            return refusal.reply
        except Exception:
            self.store.rollback()
            traceback.print_exc()
            return self.broken(500)
        if writes and self.faults.happens("drop_writes"):
            self.store.rollback()
        else:
            self.store.commit(self.faults.read_lag_seconds)
        self._wrote = self._wrote or (writes and reply.status < 400)
        return reply

    # --- control

    def _control(self, request: Request) -> Reply:
        try:
            if request.path == "/_emulator/faults":
                if request.method == "POST":
                    self.faults.set(json.loads(request.body or b"{}"))
                return Reply(200, self.faults.as_dict())
            if request.path == "/_emulator/save" and request.method == "POST":
                self.store.save()
                return Reply(200, {"saved": str(self.store.path)})
        except (ValueError, AttributeError) as error:
            return Reply(400, {"error": str(error)})
        return Reply(
            404,
            {"error": "control calls are GET or POST /_emulator/faults and POST /_emulator/save"},
        )

    # --- the record

    def _record(self, request: Request, url: str) -> None:
        headers = dict(request.headers)
        if "authorization" in headers:
            headers["authorization"] = "Bearer -"
        production = url.split("/", 3)
        headers["host"] = production[2]
        text = request.body.decode("utf-8", "replace").replace(
            self.origin, f"https://{production[2]}"
        )
        self.log.write(
            request.method, url, headers, self._body(text, headers.get("content-type", ""))
        )

    def _body(self, text: str, kind: str) -> Any:
        if not text:
            return None
        if kind.startswith("application/x-www-form-urlencoded"):
            return urlencode([(name, _secretless(name, value)) for name, value in parse_qsl(text)])
        if "json" in kind:
            try:
                return self._without_passwords(json.loads(text))
            except ValueError:
                return _PASSWORD.sub(r'\1"-"', text)
        return _TOKEN.sub(r"\1-", _PASSWORD.sub(rf'\1"{LEFT_OUT}"', text))

    def _without_passwords(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._without_passwords(item) for item in value]
        if not isinstance(value, dict):
            return value
        shown = {name: self._without_passwords(item) for name, item in value.items()}
        if isinstance(value.get("password"), str):
            hashed = HASHES.get(str(value.get("hashFunction")))
            accepted = bool(hashed) or self.password_is_accepted(value["password"])
            shown["password"] = (
                (hashed or LEFT_OUT) if accepted else "-"
            )  # a refused password stays refusable in the record
        return shown


def _secretless(name: str, value: str) -> str:
    if name == "client_secret":
        return "-"
    if name in ("assertion", "client_assertion"):
        # header and claims say who asked for what; without the signature they open nothing
        return ".".join([*value.split(".")[:2], "-"])
    return value
