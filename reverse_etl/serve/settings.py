"""`[serve.oneroster]` of the settings: where the service listens, and who may read what.

In: the settings. Out: `Service`. Refused: an address that is not this machine's own without a
certificate, a secret anybody could guess.
"""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from common import settings
from common.addresses import in_the_clear
from common.settings import Count, Number, Secret, Section, Some, Text, Words
from common.signed import a_secret

SHORTEST = 16


def _unguessable(secret: str) -> str:
    if 0 < len(secret) < SHORTEST:
        raise ValueError(f"it must have {SHORTEST} characters or more")
    return secret


def _a_path_on_the_web(address: str) -> str:
    if address and not address.startswith("https://"):
        raise ValueError("it must begin with https://")
    return address.rstrip("/")


class NotServedError(settings.SettingsError):
    """The service cannot be begun as it is configured; the message says what to write where."""


Scope = Literal["roster-core.readonly", "roster.readonly"]
LISTED = "a list of roster-core.readonly, roster.readonly"
Scopes = Annotated[list[Scope], Field(min_length=1), Words(LISTED)]


class ServedClient(Section):
    """[serve.oneroster.clients.<name>]: a system that may read; its name is its client id."""

    secret: Annotated[Secret, AfterValidator(_unguessable)] = ""
    """What it signs in with, 16 characters or more. To secrets.toml or the environment."""
    scopes: Scopes = Field(default_factory=lambda: ["roster-core.readonly"])
    """What it may ask for: `roster-core.readonly`, lists and single records; `roster.readonly`,
    also what belongs to a record (the students of a class)."""


class Service(Section):
    """[serve.oneroster]: the OneRoster service others read."""

    host: Text = "127.0.0.1"
    """The address it listens on. One that is not this machine's own wants a certificate."""
    port: Some = 8443
    """Where it listens."""
    certificate: Text = ""
    """A file with its certificate and those it is signed by, as PEM."""
    key_file: Text = ""
    """The private key of that certificate, as PEM."""
    public_address: Annotated[Text, AfterValidator(_a_path_on_the_web)] = ""
    """How the others call it, where a proxy stands before it; unset: as they ask for it."""
    token_seconds: Some = 3600
    """How long a sign-in counts; who reads by it sees one night all the while."""
    largest_page: Some = 10_000
    """How many records a page may be asked to hold."""
    deleted_days: Count = 30
    """For how many days a record that went is listed as `tobedeleted`."""
    clients: dict[str, ServedClient] = Field(default_factory=dict)
    """Who may read."""


Kind = Literal["created", "changed", "renamed", "closed", "opened", "removed", "moved", "held"]
KINDS = "a list of created, changed, renamed, closed, opened, removed, moved, held"


class Hook(Section):
    """[serve.webhooks.<name>]: who is told what happened."""

    address: Text = ""
    """Where it is sent, https://…"""
    secret: Annotated[Secret, AfterValidator(a_secret)] = ""
    """What it is signed with: `whsec_` and 24 to 64 bytes in base64. To secrets.toml."""
    of: list[str] = Field(default_factory=list)
    """Of which objects, as target.entity."""
    types: Annotated[list[Kind], Words(KINDS)] = Field(
        default_factory=lambda: ["created", "moved", "closed", "held"]
    )
    """What of them."""
    timeout: Number = 10
    """Seconds without an answer that are no answer."""
    days: Some = 7
    """What could not be told for so long is not told any more."""

    @property
    def kept(self) -> timedelta:
        """For how long an event may wait."""
        return timedelta(days=self.days)

    def usable(self, name: str) -> None:
        """Raises NotServedError for what it lacks."""
        here = f"[serve.webhooks.{name}]"
        wrong = [
            f"{here} {key} is not set"
            for key in ("address", "secret", "of")
            if not getattr(self, key)
        ]
        if clear := self.address and in_the_clear("address", self.address):
            wrong.append(f"{here} {clear}")
        wrong += settings.in_sight(Hook, "serve", "webhooks", name)
        if wrong:
            raise NotServedError(*wrong)


class Serve(Section):
    """[serve]: what others may read here, and who is told what happened."""

    oneroster: Service | None = None
    """The OneRoster service; unset: nobody reads."""
    webhooks: dict[str, Hook] = Field(default_factory=dict)
    """Who is told."""


def read(what: str = "") -> Service:
    """The settings of the service. Raises NotServedError, SettingsError."""
    if what not in {"", "oneroster"}:
        raise NotServedError(f"{what!r} is not served; known is oneroster")
    where = ("serve", "oneroster")
    said = settings.read(Service, *where)
    wrong = [
        f"[serve.oneroster.clients.{name}] has no secret; put one under the same heading in"
        " .dlt/secrets.toml"
        for name, client in sorted(said.clients.items())
        if not client.secret
    ]
    for name in said.clients:
        wrong += settings.in_sight(ServedClient, *where, "clients", name)
    if not said.clients:
        wrong.append(
            "[serve.oneroster.clients] names nobody who may read; write [serve.oneroster.clients."
            "<name>] in .dlt/config.toml and its secret in .dlt/secrets.toml"
        )
    if bool(said.certificate) != bool(said.key_file):
        wrong.append("[serve.oneroster] certificate and key_file go together; one is not set")
    if not said.certificate and not is_loopback(said.host):
        wrong.append(
            f"[serve.oneroster] host is {said.host!r}, which others reach, and there is no"
            " certificate: what is read would be read by everybody on the way. Set certificate and"
            ' key_file, or host = "127.0.0.1" and a proxy with TLS before it'
        )
    if wrong:
        raise NotServedError(*wrong)
    return said


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address. A name is none: it may become any address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
