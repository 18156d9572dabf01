"""The emulated vendors' SFTP servers: one real SSH server, a user per vendor, each shut into its
own folder.

Users: `portfolio`, `callout` and `transport` (into the received folder), and `myedbc`, whose folder
is the extracts. Only the generated client key is accepted. Half-written uploads, renames over
existing files (posix-rename@openssh.com) and directory listings are asyncssh's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import asyncssh

from demo.platforms.keys import Keys

TARGETS = ("portfolio", "callout", "transport")
SOURCE = "myedbc"


class _Guard(asyncssh.SSHServer):
    """Lets in the known users with the known key, and nobody else."""

    def __init__(self, users: Mapping[str, Path], key: asyncssh.SSHKey) -> None:
        self._users = users
        self._key = key

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002  everybody must prove who they are
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username in self._users and key.public_data == self._key.public_data


async def serve(keys: Keys, received: Path, extracts: Path) -> asyncssh.SSHAcceptor:
    """Listen on a free loopback port; the folders are made if they are missing."""
    users = {name: received / name for name in TARGETS} | {SOURCE: extracts}
    for folder in users.values():
        folder.mkdir(parents=True, exist_ok=True)

    def shut_in(channel: asyncssh.SSHServerChannel) -> asyncssh.SFTPServer:
        return asyncssh.SFTPServer(
            channel, chroot=str(users[channel.get_extra_info("username")]).encode()
        )

    return await asyncssh.create_server(
        lambda: _Guard(users, keys.sftp_client),
        "127.0.0.1",
        0,
        server_host_keys=[keys.sftp_host],
        sftp_factory=shut_in,
        allow_scp=False,
    )
