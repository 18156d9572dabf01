"""A real SFTP server (asyncssh) on a free port, for tests: own host key, one user with a key, one folder.

`with running(folder) as server:` -> `server.place(...)` is what a client needs; `server.host_key_line` is what the
client pins. Commands a test can break: `refuse_posix_rename=True`, `grow_while_read="name"`, and `hang_up=[n, …]`: so
many bytes into a file the connection ends, once for each number.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

from common.sftp import Place

USER = "homeroom"


@dataclass(frozen=True)
class Server:
    """Where the server listens and the files a client of it needs."""

    port: int
    key_file: Path
    known_hosts: Path
    host_key_line: str

    def place(self, **changes: Any) -> Place:
        """What `common.sftp.connect` takes; `changes` replace single values."""
        facts = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": USER,
            "key_file": str(self.key_file),
            "known_hosts": str(self.known_hosts),
            "timeout": 5.0,
        }
        return Place(**(facts | changes))


def host_key_line(port: int, key: asyncssh.SSHKey) -> str:
    """A known_hosts line for a server on this machine."""
    return f"[127.0.0.1]:{port} {key.export_public_key().decode().strip()}\n"


@contextmanager
def running(
    folder: Path, keys: Path, *, refuse_posix_rename: bool = False, grow_while_read: str = "", silent: bool = False, hang_up: list[int] | None = None
) -> Iterator[Server]:
    """Serve `folder`; keys and known_hosts are written into `keys`."""
    host_key, user_key = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    keys.mkdir(parents=True, exist_ok=True)
    key_file, authorized = keys / "id_ed25519", keys / "authorized_keys"
    user_key.write_private_key(key_file)
    authorized.write_bytes(user_key.export_public_key())

    class Files(asyncssh.SFTPServer):
        gone = False

        def __init__(self, channel: asyncssh.SSHServerChannel) -> None:
            super().__init__(channel, chroot=str(folder).encode())

        def posix_rename(self, oldpath: bytes, newpath: bytes) -> Any:
            if refuse_posix_rename:
                raise asyncssh.SFTPOpUnsupported("Operation unsupported")
            return super().posix_rename(oldpath, newpath)

        async def read(self, file_obj: Any, offset: int, size: int) -> bytes:
            if silent:
                await asyncio.sleep(60)
            if grow_while_read and offset == 0:
                with (folder / grow_while_read).open("ab") as file:
                    file.write(b"one more line\r\n")
            if hang_up and not self.gone and offset >= hang_up[0]:
                self.gone = True  # the other requests in flight meet the same end
                hang_up.pop(0)
                self.channel.get_connection().abort()
            file_obj.seek(offset)
            return file_obj.read(size)

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[host_key],
            authorized_client_keys=str(authorized),
            sftp_factory=Files,
        )

    acceptor = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        port = acceptor.get_port()
        line = host_key_line(port, host_key)
        known_hosts = keys / "known_hosts"
        known_hosts.write_text(line, encoding="ascii")
        yield Server(port, key_file, known_hosts, line)
    finally:

        async def stop() -> None:
            acceptor.close()
            await acceptor.wait_closed()
            left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
