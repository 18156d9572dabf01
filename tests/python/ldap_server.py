"""A real OpenLDAP with units, behind a proxy that can do what networks and directories do at the
wrong moment. For targets of kind `ldap`.

`with running(folder) as server:` -> `server.url`; `server.set_faults(...)` takes the switches of
the emulated platforms. slapd runs as whoever runs the tests, in a folder of its own, and answers
as an Active Directory would where it can: 500 entries unpaged and no more, names that are taken
refused. Where there is no slapd, or no python-ldap, `missing()` says what.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SUFFIX = "dc=sd74,dc=example"
BASE = f"ou=Homeroom,{SUFFIX}"
USER, PASSWORD = f"cn=sync,{SUFFIX}", "a-password-of-the-tests"
UNITS = ("A", "B", "C", "D", "E", "by hand", "Groups")
SLAPD, SLAPADD = "/usr/sbin/slapd", "/usr/sbin/slapadd"
ADD, MODIFY, MOVE, DELETE, SEARCH = 0x68, 0x66, 0x6C, 0x4A, 0x63
WRITES = {ADD, MODIFY, MOVE, DELETE}
ENTRY, REFERENCE, UNBIND, ABANDON = 0x64, 0x73, 0x42, 0x50
BUSY, UNAVAILABLE = 51, 52
FAULTS = (
    "lose_reply_after_commit",
    "reset",
    "latency_seconds",
    "drop_writes",
    "random_5xx",
    "throttle",
)

CONFIG = """
dn: cn=config
objectClass: olcGlobal
cn: config
olcPidFile: {folder}/slapd.pid
{tls}
dn: cn=module{{0}},cn=config
objectClass: olcModuleList
cn: module{{0}}
olcModulePath: /usr/lib/ldap
olcModuleLoad: back_mdb
olcModuleLoad: unique
olcModuleLoad: constraint
olcModuleLoad: refint

dn: cn=schema,cn=config
objectClass: olcSchemaConfig
cn: schema

include: file:///etc/ldap/schema/core.ldif
include: file:///etc/ldap/schema/cosine.ldif
include: file:///etc/ldap/schema/inetorgperson.ldif

dn: olcDatabase={{-1}}frontend,cn=config
objectClass: olcDatabaseConfig
objectClass: olcFrontendConfig
olcDatabase: {{-1}}frontend
olcSizeLimit: size.soft=500 size.hard=500 size.prtotal=unlimited size.pr=1000

dn: olcDatabase={{1}}mdb,cn=config
objectClass: olcDatabaseConfig
objectClass: olcMdbConfig
olcDatabase: {{1}}mdb
olcSuffix: {suffix}
olcRootDN: cn=root,{suffix}
olcRootPW: {password}
olcDbDirectory: {folder}/db
olcDbMaxSize: 268435456
olcDbNoSync: TRUE
olcDbIndex: objectClass,entryUUID,employeeNumber,businessCategory,mail,member eq
olcAccess: to * by dn.exact="{user}" write by anonymous auth

dn: olcOverlay=unique,olcDatabase={{1}}mdb,cn=config
objectClass: olcOverlayConfig
objectClass: olcUniqueConfig
olcOverlay: unique
olcUniqueURI: ldap:///?mail?sub
olcUniqueURI: ldap:///?employeeNumber?sub

dn: olcOverlay=constraint,olcDatabase={{1}}mdb,cn=config
objectClass: olcOverlayConfig
objectClass: olcConstraintConfig
olcOverlay: constraint
olcConstraintAttribute: mail regex ^[^@[:space:]]+@(student\\.)?sd74\\.example$

dn: olcOverlay=refint,olcDatabase={{1}}mdb,cn=config
objectClass: olcOverlayConfig
objectClass: olcRefintConfig
olcOverlay: refint
olcRefintAttribute: member
olcRefintNothing: {user}
"""
DATA = """
dn: {suffix}
objectClass: organization
objectClass: dcObject
dc: sd74
o: A district

dn: {user}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: sync
userPassword: {password}

dn: {base}
objectClass: organizationalUnit
ou: Homeroom

dn: cn=by hand,{base}
objectClass: inetOrgPerson
cn: by hand
sn: Somebody
employeeNumber: of payroll
mail: somebody@student.sd74.example

dn: cn=choir,{base}
objectClass: groupOfNames
cn: choir
member: cn=by hand,{base}
"""


def missing() -> str:
    """What a machine lacks to run this; '' where it lacks nothing."""
    if not (Path(SLAPD).exists() and Path(SLAPADD).exists()):
        return "no slapd on this machine (Debian: apt install slapd)"
    if importlib.util.find_spec("ldap") is None:
        return "python-ldap is not installed (make .venv/ldap)"
    return ""


@dataclass
class Running:
    """The directory as a test sees it."""

    url: str
    direct: str
    proxy: Proxy

    @property
    def environment(self) -> dict[str, str]:
        """What a settings file may name as `$URL`."""
        return {"URL": self.url}

    def set_faults(self, **switches: float) -> None:
        for name in FAULTS:
            if name in switches:
                setattr(self.proxy, name, switches[name])
        if "seed" in switches:
            self.proxy.chance.seed(switches["seed"])

    def ask(
        self, condition: str = "(objectClass=*)", base: str = BASE
    ) -> dict[str, dict[str, Any]]:
        """Name -> attributes of what the directory holds, read past the proxy."""
        found: dict[str, dict[str, Any]] = {}
        import ldap
        from ldap.controls import SimplePagedResultsControl

        connection, cookie = self.connection(), ""
        while True:
            paging = SimplePagedResultsControl(True, size=500, cookie=cookie)
            asked = connection.search_ext(
                base, ldap.SCOPE_SUBTREE, condition, ["*", "entryUUID"], serverctrls=[paging]
            )
            _, page, _, answered = connection.result3(asked)
            found |= dict(page)
            cookie = answered[0].cookie
            if not cookie:
                connection.unbind_s()
                return found

    def connection(self) -> Any:
        import ldap

        connection = ldap.initialize(self.direct)
        connection.simple_bind_s(USER, PASSWORD)
        return connection

    def sent(self) -> int:
        """How often the directory was asked something so far."""
        return self.proxy.asked

    def written(self, since: int) -> list[tuple[str, bool, dict[str, Any]]]:
        """(kind, whether it is new, row) of what was written, or written and dropped, since the
        last time this was asked.
        """
        found, self.proxy.log[:] = list(self.proxy.log), []
        return found

    def forget_sign_ins(self) -> None:
        """Nobody signs in anew for every call here."""

    def rows(self, kind: str) -> list[dict[str, Any]]:
        """The users, the groups, or who is in them, in the directory's own attributes."""
        there = self.ask()
        ids = {dn: one["entryUUID"][0].decode() for dn, one in there.items()}
        if kind == "members":
            return [
                {"group": ids[dn], "person": ids[member.decode()]}
                for dn, one in there.items()
                for member in one.get("member", ())
                if member.decode() in ids and dn != f"cn=choir,{BASE}"
            ]
        wanted = b"inetOrgPerson" if kind == "users" else b"groupOfNames"
        return [
            row(dn, one) | {"entryUUID": ids[dn]}
            for dn, one in there.items()
            if wanted in one["objectClass"]
        ]


def row(dn: str, entry: dict[str, Any]) -> dict[str, Any]:
    """An entry as the kit's columns name it; who is in a group stands elsewhere."""
    plain = {
        name: values[0].decode()
        for name, values in entry.items()
        if name not in {"objectClass", "member", "userPassword"}
    }
    import ldap.dn

    above = [part[0][1] for part in ldap.dn.str2dn(dn)[1:]]
    plain["@unit"] = f"/{'' if above[0] == 'Homeroom' else above[0]}"
    plain["@enabled"] = entry.get("employeeType") != [b"closed"]
    return plain


@dataclass
class Proxy:
    """Passes messages on between clients and the directory, one question at a time."""

    port: int
    lose_reply_after_commit: float = 0.0
    reset: float = 0.0
    latency_seconds: float = 0.0
    drop_writes: float = 0.0
    random_5xx: float = 0.0
    throttle: float = 0.0
    asked: int = 0
    log: list[tuple[str, bool, dict[str, Any]]] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    connect: Any = None  # a connection of our own, to see whose an entry is

    def open(self) -> int:
        """Listen; the port."""
        self._listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, name="ldap-proxy", daemon=True).start()
        return int(self._listening.getsockname()[1])

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.create_connection(("127.0.0.1", self.port))
        with contextlib.suppress(OSError), contextlib.closing(client), contextlib.closing(server):
            while message := _message(client):
                number, tag, body = _opened(message)
                if tag in {UNBIND, ABANDON}:
                    server.sendall(message)
                    if tag == UNBIND:
                        return
                    continue
                self.asked += 1
                if not self._struck(client, number, tag, body):
                    lost = tag in WRITES and self.chance.random() < self.lose_reply_after_commit
                    server.sendall(message)
                    while answer := _message(server):
                        if not lost:
                            time.sleep(self.latency_seconds)
                            client.sendall(answer)
                        if _opened(answer)[1] not in {ENTRY, REFERENCE}:
                            break
                    if lost or not answer:
                        return

    def _struck(self, client: socket.socket, number: bytes, tag: int, body: bytes) -> bool:
        """Whether a fault answered instead of the directory; one that hangs up raises OSError."""
        if tag not in {*WRITES, SEARCH}:
            return False
        if tag in WRITES:
            self._note(tag, body)
            if self.chance.random() < self.reset:
                raise ConnectionResetError
        for share, code in (
            (self.random_5xx, UNAVAILABLE),
            (self.throttle, BUSY),
            (self.drop_writes if tag in WRITES else 0.0, 0),
        ):
            if self.chance.random() < share:
                time.sleep(self.latency_seconds)
                client.sendall(_answer(number, tag, code))
                return True
        return False

    def _note(self, tag: int, body: bytes) -> None:
        """Write down whom a write is about."""
        if tag == ADD:
            _, name, rest = _value(body)
            _, listed, _ = _value(rest)
            found: dict[str, list[bytes]] = {}
            while listed:
                _, attribute, listed = _value(listed)
                _, kind, values = _value(attribute)
                _, values, _ = _value(values)
                found[kind.decode()] = []
                while values:
                    _, one, values = _value(values)
                    found[kind.decode()].append(one)
            if b"organizationalUnit" not in found["objectClass"]:
                kind = "users" if b"inetOrgPerson" in found["objectClass"] else "groups"
                self.log.append((kind, True, row(name.decode(), found)))
            return
        if tag == MODIFY and b"member" in body:  # who is in a group is no object of its own
            return
        name = body if tag == DELETE else _value(body)[1]
        there = self.connect().ask(base=name.decode()) if self.connect else {}
        for dn, one in there.items():
            kind = "users" if b"inetOrgPerson" in one["objectClass"] else "groups"
            self.log.append(
                (kind, False, row(dn, one) | {"entryUUID": one["entryUUID"][0].decode()})
            )


def _message(end: socket.socket) -> bytes:
    """The next message, whole (BER, X.690); b"" at the end."""
    head = _exactly(end, 2)
    if len(head) < 2:
        return b""
    length = head[1]
    if length & 0x80:
        more = _exactly(end, length & 0x7F)
        head += more
        length = int.from_bytes(more)
    return head + _exactly(end, length)


def _exactly(end: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size and (part := end.recv(size - len(found))):
        found += part
    return found


def _value(data: bytes) -> tuple[int, bytes, bytes]:
    """Tag, content and what comes after it."""
    length, at = data[1], 2
    if length & 0x80:
        at += length & 0x7F
        length = int.from_bytes(data[2:at])
    return data[0], data[at : at + length], data[at + length :]


def _opened(message: bytes) -> tuple[bytes, int, bytes]:
    """The number of a message, what it asks or answers, and the rest of it."""
    _, content, _ = _value(message)
    _, number, rest = _value(content)
    tag, body, _ = _value(rest)
    return number, tag, body


def _answer(number: bytes, tag: int, code: int) -> bytes:
    """The answer to a request, without a word."""
    told = {DELETE: 0x6B, SEARCH: 0x65}.get(tag, tag + 1)
    result = bytes([0x0A, 1, code, 4, 0, 4, 0])
    inner = bytes([2, len(number)]) + number + bytes([told, len(result)]) + result
    return bytes([0x30, len(inner)]) + inner


def free_port() -> int:
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def running(folder: Path, tls: str = "") -> Iterator[Running]:
    """Start a slapd in `folder`, fill it, listen before it. `tls`: a PEM of certificate, key and
    authority; then it is spoken to without the proxy.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("conf", "db"):
        (folder / name).mkdir()
    lines = [f"olcTLS{what}: {tls}" for what in ("CertificateFile", "CertificateKeyFile")]
    said = {"folder": folder, "suffix": SUFFIX, "base": BASE, "user": USER, "password": PASSWORD}
    config = CONFIG.format(tls="\n".join([*(lines if tls else []), ""]), **said)
    units = "".join(
        f"\ndn: ou={unit},{BASE}\nobjectClass: organizationalUnit\nou: {unit}\n" for unit in UNITS
    )
    for number, text in (("-n0", config), ("-n1", DATA.format(**said) + units)):
        file = folder / "given.ldif"
        file.write_text(text.lstrip(), "utf-8")
        command = [SLAPADD, number, "-F", str(folder / "conf"), "-l", str(file)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    port = free_port()
    url = f"ldap://127.0.0.1:{port}/"
    secure = f"ldaps://127.0.0.1:{free_port()}/" if tls else ""
    process = subprocess.Popen(
        [SLAPD, "-d", "0", "-F", str(folder / "conf"), "-h", f"{url} {secure}".strip()],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    proxy = Proxy(port)
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            assert process.poll() is None, "slapd did not start"
            time.sleep(0.02)
        found = Running(secure or f"ldap://127.0.0.1:{proxy.open()}/", url, proxy)
        proxy.connect = lambda: found
        yield found
    finally:
        if not tls:
            proxy.close()
        os.kill(process.pid, signal.SIGTERM)
        process.wait(20)
        shutil.rmtree(folder / "db", ignore_errors=True)
