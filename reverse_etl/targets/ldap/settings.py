"""What `[targets.<name>]` of kind `ldap` may say: which directory, below which entry, and of each
entity what its entries are. A key nobody knows is refused.

In: the section of the settings. Out: `Settings`, whose `entities` are in the order they are written
in: that is the order of creates, deletes run the other way.
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from common.addresses import is_loopback
from common.settings import Secret, Section, Some, Text, Texts
from reverse_etl.configured import ApiSettings, PerMinute
from reverse_etl.targets.taken import Adopts

ACTIVE_DIRECTORY = "active_directory"
PERSONS = ["top", "person", "organizationalperson", "inetorgperson"]
# Which users are a person's own where the settings do not say: no computer, no account of a
# service, no mailbox of several (msExchRecipientTypeDetails: 1 a mailbox, 128 a mail user,
# 2147483648 a mailbox in the cloud; 4, 16, 32 are shared, a room, equipment), and no closed one.
OWN = {
    False: {"@enabled": ["true"], "objectClass": PERSONS},
    True: {
        "@enabled": ["true"],
        "objectClass": [*PERSONS, "user"],
        "servicePrincipalName": [""],
        "msExchRecipientTypeDetails": ["", "1", "128", "2147483648"],
    },
}


class Switch(Section):
    """How a directory that is no Active Directory is told that an account is closed."""

    attribute: Text
    off: Text
    """What stands there of a closed one; an open one has no such attribute."""


class Entity(Adopts):
    """[targets.<name>.entities.<entity>]: one kind of entry."""

    rdn: Text = ""
    """The attribute an entry is named by; unset: `ou` of units, `cn` of all others."""
    object_class: Texts = ()
    """What a new entry is; unset: by the dialect."""
    filter: Text = ""
    """Which entries are read; unset: those of the last object class."""
    under: Text = ""
    """The unit a new entry stands in where no column says it, a path like `/Groups`."""
    member: Text = "member"
    """Of members: the attribute of the group that holds them."""
    never_deleted: Text = ""
    """Why its entries stay, even when a run is taken back."""


class Settings(ApiSettings):
    """[targets.<name>] of kind ldap."""

    url: Text = ""
    """ldaps://host, or ldap://host with `start_tls`; in the clear to this machine alone."""
    start_tls: bool = False
    user: Text = ""
    """Who signs in: a distinguished name; an Active Directory also takes name@domain."""
    password: Secret = ""
    ca_file: Text = ""
    """The certificate authority of the directory, as PEM; unset: those of the machine."""
    base: Text = ""
    """The entry below which everything of ours stands. Nothing outside is read or written."""
    dialect: Literal["standard", "active_directory"] = "standard"
    page: Some = 500
    """How many entries are asked for at once; no list is read unpaged."""
    batch: Some = 500
    """Members put into a group, or taken out, by one call."""
    threads: Some = 2
    writes_per_minute: PerMinute = 6000
    protected: Texts = ()
    """attribute=value: an entry that has it is never touched. An Active Directory's own
    `adminCount=1` and `isCriticalSystemObject=TRUE` are known."""
    switch: Switch | None = None
    must_change_password: bool = False
    """Whether a new account has to choose a password when it first signs in (Active Directory)."""
    empty_member: Text = ""
    """The distinguished name that stands in every group, where a group may not be empty
    (`groupOfNames`, RFC 4519)."""
    entities: dict[str, Entity] = Field(default_factory=dict)

    @property
    def is_ad(self) -> bool:
        return self.dialect == ACTIVE_DIRECTORY

    @model_validator(mode="after")
    def _sealed(self) -> Settings:
        if not self.url:
            return self
        parts = urlsplit(self.url)
        if parts.scheme not in {"ldap", "ldaps"} or not parts.hostname:
            raise ValueError(f"url is {self.url!r}; it should look like ldaps://dc1.example.org")
        if parts.scheme == "ldap" and not self.start_tls and not is_loopback(parts.hostname):
            raise ValueError(
                f"url is {self.url!r}: our password would cross the network in the clear; write"
                " ldaps://…, or start_tls = true"
            )
        return self
