"""A real SFTP server (asyncssh) on a free port, for tests: own host key, one user with a key, one
folder.

`with running(folder) as server:` -> `server.place(...)` is what a client needs;
`server.host_key_line` is what the client pins. `openssh(folder, keys)` is the machine's own OpenSSH
server, where it has one, and `cut_off(server, …)` a wire to either that breaks. Commands a test can
break: `grow_while_read="name"`, `hang_up=[n, …]`: so many bytes into a file the connection ends,
once for each number; `stores=…`, what it makes of the bytes it says it has stored; and
`Awkward(…)`, what else real servers do not do, or do besides.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
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
    user: str = USER
    folder: str = ""

    def place(self, **changes: Any) -> Place:
        """What `common.sftp.connect` takes; `changes` replace single values."""
        facts = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": self.user,
            "folder": self.folder,
            "key_file": str(self.key_file),
            "known_hosts": str(self.known_hosts),
            "timeout": 5.0,
        }
        return Place(**(facts | changes))


@dataclass(frozen=True)
class Awkward:
    """A server that is not OpenSSH's: what it answers to a request instead of doing it (an error),
    and what it does besides.
    """

    posix_rename: asyncssh.SFTPError | None = None
    rename: asyncssh.SFTPError | None = None
    stat: asyncssh.SFTPError | str | None = None  # "no size": all but that
    listing: asyncssh.SFTPError | str | None = None
    remove: asyncssh.SFTPError | None = None
    write: asyncssh.SFTPError | None = None  # from the second block on
    close: asyncssh.SFTPError | None = None
    overwrites: bool = True  # opening a file that is there to write to it
    largest: int = 1 << 18  # bytes of one write
    takes: list[tuple[str, bytes]] | None = None  # a watcher: files go there as they are closed


EASY = Awkward()


def host_key_line(port: int, key: asyncssh.SSHKey) -> str:
    """A known_hosts line for a server on this machine."""
    return f"[127.0.0.1]:{port} {key.export_public_key().decode().strip()}\n"


def sshd() -> str | None:
    """The OpenSSH server of this machine, if it has one."""
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@contextmanager
def openssh(folder: Path, keys: Path) -> Iterator[Server]:
    """Serve `folder` by OpenSSH, to the very user who runs the tests; keys, configuration and log
    are written into `keys`.
    """
    program = sshd()
    assert program, "there is no sshd on this machine"
    host_key, key_file, authorized = _keys(keys)
    host_key.write_private_key(keys / "host_key")
    for secret in (keys / "host_key", key_file):
        secret.chmod(0o600)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(
            mode=0o755, exist_ok=True
        )  # where sshd of root separates its privileges
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (keys / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {keys / 'host_key'}\nAuthorizedKeysFile"
        f" {authorized}\nPidFile none\nStrictModes no\nPasswordAuthentication no\nPermitRootLogin"
        " yes\nSubsystem sftp internal-sftp\nForceCommand internal-sftp\n",
        encoding="ascii",
    )
    command = [program, "-D", "-f", str(keys / "sshd_config"), "-E", str(keys / "sshd.log")]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            _listening(process, port, keys / "sshd.log")
            line = host_key_line(port, host_key)
            known_hosts = keys / "known_hosts"
            known_hosts.write_text(line, encoding="ascii")
            yield Server(
                port, key_file, known_hosts, line, user=getpass.getuser(), folder=str(folder)
            )
        finally:
            process.terminate()


def _listening(process: subprocess.Popen, port: int, log: Path) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(
        f"sshd does not listen:\n{log.read_text(encoding='utf-8') if log.is_file() else ''}"
    )


@contextmanager
def cut_off(server: Server, after: list[int]) -> Iterator[Server]:
    """A wire to `server` that breaks when it has carried so many bytes to the client, once for each
    number; whole then.
    """
    listener = socket.create_server(("127.0.0.1", 0))

    def carry(from_: socket.socket, to: socket.socket, limit: int | None) -> None:
        carried = 0
        try:
            while data := from_.recv(16384):
                carried += len(data)
                if limit is not None and carried > limit:
                    break
                to.sendall(data)
        except OSError:
            pass  # the other direction has closed it
        for end in (from_, to):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return  # the test is over
            there = socket.create_connection(("127.0.0.1", server.port))
            limit = after.pop(0) if after else None
            for words in ((client, there, None), (there, client, limit)):
                threading.Thread(target=carry, args=words, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    port = listener.getsockname()[1]
    known_hosts = server.known_hosts.with_name("known_hosts_of_the_wire")
    line = server.host_key_line.replace(f":{server.port} ", f":{port} ")
    known_hosts.write_text(line, encoding="ascii")
    try:
        yield replace(server, port=port, known_hosts=known_hosts, host_key_line=line)
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _keys(keys: Path) -> tuple[asyncssh.SSHKey, Path, Path]:
    """A new host key; a new user key written into `keys`, and its public half where a server looks
    for it.
    """
    host_key, user_key = (
        asyncssh.generate_private_key("ssh-ed25519"),
        asyncssh.generate_private_key("ssh-ed25519"),
    )
    keys.mkdir(parents=True, exist_ok=True)
    key_file, authorized = keys / "id_ed25519", keys / "authorized_keys"
    user_key.write_private_key(key_file)
    authorized.write_bytes(user_key.export_public_key())
    return host_key, key_file, authorized


def _refuse(answer: asyncssh.SFTPError | str | None) -> None:
    if isinstance(answer, asyncssh.SFTPError):
        raise answer


def _without_size(attrs: Any, said: object) -> asyncssh.SFTPAttrs:
    if isinstance(attrs, os.stat_result):
        attrs = asyncssh.SFTPAttrs.from_local(attrs)
    if said == "no size":
        attrs.size = None
    return attrs


@contextmanager
def running(
    folder: Path,
    keys: Path,
    *,
    awkward: Awkward = EASY,
    grow_while_read: str = "",
    silent: bool = False,
    hang_up: list[int] | None = None,
    stores: Callable[[bytes], bytes] = bytes,
) -> Iterator[Server]:
    """Serve `folder`; keys and known_hosts are written into `keys`."""
    host_key, key_file, authorized = _keys(keys)

    class Files(asyncssh.SFTPServer):
        gone = False

        def __init__(self, channel: asyncssh.SSHServerChannel) -> None:
            super().__init__(channel, chroot=str(folder).encode())

        def posix_rename(self, oldpath: bytes, newpath: bytes) -> Any:
            _refuse(awkward.posix_rename)
            return super().posix_rename(oldpath, newpath)

        def rename(self, oldpath: bytes, newpath: bytes) -> Any:
            _refuse(awkward.rename)
            return super().rename(oldpath, newpath)

        def remove(self, path: bytes) -> Any:
            _refuse(awkward.remove)
            return super().remove(path)

        def stat(self, path: bytes) -> Any:
            _refuse(awkward.stat)
            return _without_size(super().stat(path), awkward.stat)

        def fstat(self, file_obj: Any) -> Any:
            _refuse(awkward.stat)
            return _without_size(super().fstat(file_obj), awkward.stat)

        async def scandir(self, path: bytes) -> Any:
            _refuse(awkward.listing)
            async for found in super().scandir(path):
                found.attrs = _without_size(found.attrs, awkward.listing)
                yield found

        def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> Any:
            there = Path(os.fsdecode(self.map_path(path))).exists()
            if pflags & asyncssh.FXF_TRUNC and there and not awkward.overwrites:
                raise asyncssh.SFTPFailure("no")
            return super().open(path, pflags, attrs)

        def close(self, file_obj: Any) -> Any:
            written = Path(os.fsdecode(file_obj.name)), file_obj.writable()
            super().close(file_obj)
            if written[1] and awkward.takes is not None:
                awkward.takes.append((written[0].name, written[0].read_bytes()))
                written[0].unlink()
            if written[1]:
                _refuse(awkward.close)

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

        def write(self, file_obj: Any, offset: int, data: bytes) -> int:
            if len(data) > awkward.largest:
                raise asyncssh.SFTPBadMessage("too long")
            if offset:
                _refuse(awkward.write)
            file_obj.seek(offset)
            file_obj.write(stores(data))
            return len(data)

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
