"""Small working copies of the platforms Homeroom writes to: Google Workspace, Microsoft 365 and
vendors' SFTP servers.

Real servers on free loopback ports, with state, pages, quotas, the platforms' own refusals, and
faults on demand. In: a folder for their state (`platforms/`, `requests.jsonl`, `received/`, beside
`extracts/` and `hr.sqlite`). Out: the settings a child process needs to work against them, as
environment variables.

    with running(folder, faults={"random_5xx": 0.01}) as platforms:
        subprocess.run([...], env=os.environ | platforms.environment)
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

from demo.places import PLATFORMS, Places
from demo.platforms import accounts, google_tenant, microsoft_tenant, sftp
from demo.platforms.faults import Faults, for_platform
from demo.platforms.google import QUERIES_PER_MINUTE, Google
from demo.platforms.http import Listener
from demo.platforms.keys import Keys
from demo.platforms.microsoft import CLIENT_ID, WRITE_SECONDS, WRITES, Microsoft
from demo.platforms.microsoft_tenant import TENANT_ID
from demo.platforms.platform import RequestLog
from demo.platforms.store import Store

SPEED = 30.0  # the one factor by which the platforms' quota clocks run faster than in production


@dataclass(frozen=True)
class Platforms:
    """The running platforms, as a test or a child process sees them."""

    places: Places
    google: Google
    microsoft: Microsoft
    environment: dict[str, str]

    def set_faults(self, **changes: Any) -> None:
        """Turn switches on both platforms, or on one: `set_faults(google={"drop_writes": 0.1})`."""
        for platform in (self.google, self.microsoft):
            platform.faults.set(for_platform(changes, platform.name, PLATFORMS))


@contextmanager
def running(
    folder: Path,
    *,
    faults: dict[str, Any] | None = None,
    speed: float = SPEED,
    places: Places | None = None,
) -> Iterator[Platforms]:
    """Start everything on the state in `folder` (or on the given places), and save the state at the
    end.
    """
    places = places or Places.within(folder)
    keys = Keys.open(places.state / "keys")
    log = RequestLog(places.requests)
    google, microsoft = _google(places, log, keys, speed), _microsoft(places, log, keys, speed)
    for platform in (google, microsoft):
        platform.faults.set(for_platform(faults or {}, platform.name, PLATFORMS))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="emulated-platforms", daemon=True)
    thread.start()

    def wait(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(60)

    try:
        vendors: asyncssh.SSHAcceptor = wait(sftp.serve(keys, places.received, places.extracts))
        listeners = [
            wait(Listener.open(google.respond, lambda: google.faults.latency_seconds)),
            wait(
                Listener.open(
                    microsoft.respond, lambda: microsoft.faults.latency_seconds, keys.tls()
                )
            ),
        ]
        google.origin = f"http://127.0.0.1:{listeners[0].port}"
        microsoft.origin = microsoft.tenant.origin = f"https://localhost:{listeners[1].port}"
        keys.write_google_file(google.origin)
        keys.write_known_hosts(vendors.get_port())
        try:
            environment = _environment(
                places, keys, google, microsoft, sftp_port=vendors.get_port(), speed=speed
            )
            yield Platforms(places, google, microsoft, environment)
        finally:
            for listener in listeners:
                wait(listener.close())
            vendors.close()
            wait(_gone(vendors))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
        google.store.save()
        microsoft.store.save()
        log.close()


async def _gone(vendors: asyncssh.SSHAcceptor) -> None:
    """Since Python 3.12 a server waits for its clients to go as well; one that stays is cut off
    when the loop ends.
    """
    with suppress(TimeoutError):
        await asyncio.wait_for(vendors.wait_closed(), 2)


def _google(places: Places, log: RequestLog, keys: Keys, speed: float) -> Google:
    store = Store(places.state_of("google"), google_tenant.TABLES)
    google = Google(store, log, Faults(), keys.credentials(), speed)
    if store.is_new:
        accounts.fill_google(google.tenant)
    return google


def _microsoft(places: Places, log: RequestLog, keys: Keys, speed: float) -> Microsoft:
    store = Store(places.state_of("microsoft"), microsoft_tenant.TABLES, microsoft_tenant.WATCHED)
    microsoft = Microsoft(store, log, Faults(), keys.client_secret, speed)
    if store.is_new:
        accounts.fill_microsoft(microsoft.tenant)
    return microsoft


def _environment(
    places: Places,
    keys: Keys,
    google: Google,
    microsoft: Microsoft,
    *,
    sftp_port: int,
    speed: float,
) -> dict[str, str]:
    """The settings of `.dlt/config.toml` that differ here, as the environment spells them."""
    environment = {
        "TARGETS__GOOGLE__ADDRESS": google.origin,
        "TARGETS__GOOGLE__CREDENTIALS": str(keys.google_file),
        "TARGETS__GOOGLE__SUBJECT": accounts.ADMIN,
        "TARGETS__GOOGLE__WRITES_PER_MINUTE": str(int(QUERIES_PER_MINUTE * speed)),
        "TARGETS__MICROSOFT__ADDRESS": f"{microsoft.origin}/v1.0",
        "TARGETS__MICROSOFT__AUTHORITY": f"{microsoft.origin}/{TENANT_ID}",
        "TARGETS__MICROSOFT__CLIENT_ID": CLIENT_ID,
        "TARGETS__MICROSOFT__CLIENT_SECRET": keys.client_secret,
        "TARGETS__MICROSOFT__CA_FILE": str(keys.ca_file),
        "TARGETS__MICROSOFT__WRITES_PER_MINUTE": str(int(WRITES * 60 / WRITE_SECONDS * speed)),
        "SOURCES__MYEDBC__LOCATION": str(places.extracts),
        "SOURCES__HR__URL": f"sqlite:///{places.hr}",
        "NIGHT__RETRY_AFTER_MINUTES": (
            "false"
        ),  # nobody waits a quarter of an hour for an emulated tenant to come back
        **{
            name: _also(os.environ.get(name, ""), "localhost,127.0.0.1")
            for name in ("NO_PROXY", "no_proxy")
        },
    }
    for name in sftp.TARGETS:
        prefix = f"TARGETS__{name.upper()}__"
        environment |= {
            f"{prefix}HOST": "127.0.0.1",
            f"{prefix}PORT": str(sftp_port),
            f"{prefix}USER": name,
            f"{prefix}KEY_FILE": str(keys.sftp_client_file),
            f"{prefix}KNOWN_HOSTS": str(keys.known_hosts_file),
            f"{prefix}FOLDER": ".",
        }
    return environment


def _also(hosts: str, more: str) -> str:
    """A district behind a proxy must not send the demo's calls through it."""
    return f"{hosts},{more}" if hosts else more
