"""What `[targets.<name>]` of kind `microsoft` may say."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from common.settings import Count, Secret, Some, Text
from reverse_etl.configured import AccountSettings, PerMinute


def _attribute(given: str) -> str:
    if given and not re.fullmatch(r"extensionAttribute([1-9]|1[0-5])", given):
        raise ValueError("write one of extensionAttribute1 to extensionAttribute15")
    return given


class Settings(AccountSettings):
    """One Entra tenant, seen by one application."""

    address: Text = ""
    """Where Graph is asked; empty: https://graph.microsoft.com/v1.0."""
    authority: Text = ""
    """Who gives tokens: https://login.microsoftonline.com/<tenant id>."""
    client_id: Text = ""
    """The application."""
    certificate: Text = ""
    """A PEM file with its private key and certificate."""
    client_secret: Secret = ""
    """Its secret, where it has no certificate."""
    key_attribute: Annotated[Text, AfterValidator(_attribute)] = ""
    """Which of extensionAttribute1 to extensionAttribute15 carries our key; empty: the last."""
    classes: bool = False
    """Whether classes are kept as education classes; it wants permissions of its own."""
    class_teams: bool = False
    """Whether each of them has a team by Microsoft's template for classes."""
    details: bool = False
    """Whether numbers, offices, managers, age groups and extension attributes stand on accounts, by
    rows of seed `microsoft_details`."""
    whole_read_days: Count = 7
    """After so many days users, groups and members are read whole; between, what changed since the
    last night alone is asked for. 0: they are read whole every time."""
    ca_file: Text = ""
    """Certificates to trust instead of the machine's; a test's own authority."""
    writes_per_minute: PerMinute = 1200
    """3,000 writes per 150 seconds for an application in a tenant."""
    threads: Some = 8
    """Calls under way at once."""
