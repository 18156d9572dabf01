"""A mail server: how it is signed in to, whoever sends.

In: `Smtp`, a table of the settings. Out: `post_office`, an open connection. Refuses a password in
the clear and a certificate nobody vouches for.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from pydantic import Field

from common.settings import Secret, Section, Some, Text

SECONDS = 20.0


class ClearTextError(Exception):
    """A password that would cross the network in the clear; the text says what to write."""


class Smtp(Section):
    """[alerts.smtp], [targets.<name>.smtp]: a mail server."""

    host: Text = ""
    """Its name."""
    port: Some | None = None
    """Unset: 465 for tls, else 587."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection is kept from others."""
    user: Text = ""
    """Who signs in; empty: nobody does."""
    password: Secret = ""
    """With what."""
    sender: Text = Field("", alias="from")
    """Whom messages come from."""
    ca_file: Text | None = None
    """Certificates to trust, when the server's is the district's own."""


@contextmanager
def post_office(smtp: Smtp, where: str) -> Iterator[smtplib.SMTP]:
    """The server, signed in to; `where` its table in the settings. Raises ClearTextError, OSError,
    smtplib.SMTPException.
    """
    context = ssl.create_default_context(cafile=smtp.ca_file)
    port = smtp.port or (465 if smtp.security == "tls" else 587)
    opened = (
        smtplib.SMTP_SSL(smtp.host, port, timeout=SECONDS, context=context)
        if smtp.security == "tls"
        else smtplib.SMTP(smtp.host, port, timeout=SECONDS)
    )
    with opened as server:
        if smtp.security == "starttls":
            server.starttls(context=context)
        if smtp.user:
            if smtp.security == "none":
                raise ClearTextError(
                    f'[{where}] user with security = "none" would send the password in the clear:'
                    " use starttls or tls"
                )
            server.login(smtp.user, smtp.password)
        yield server
