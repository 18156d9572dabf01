"""Channels: how a message reaches a place, and what came of it.

In: an address and a `Message`, an incident, the run's summary; `[alerts.smtp]`,
`[alerts.incidents]`, `[alerts.heartbeat]` and `[metrics]` of the settings. Out: one entry per call
for the run's `alerts.json`: channel, status (sent or failed), reason, at. Message shapes: Slack
incoming webhook (`text`); Teams workflow webhook (Adaptive Card attachment); PagerDuty Events API
v2; Opsgenie Alert API v2; OTLP over HTTP.
"""

from __future__ import annotations

import re
import smtplib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import httpx
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_incrementing

from common import mail, settings
from common.addresses import is_sealed
from common.printable import lines, printable
from operations import metrics, routes

ATTEMPTS = 3
Told = dict[str, str]  # channel, status, reason, at


class UndeliverableError(Exception):
    """A message that could not be handed over; the text names the channel and the reason, no
    address and no secret.
    """


@dataclass(frozen=True)
class Message:
    """One message to one place: a subject line and plain text under 80 columns or so; `level` is
    its worst finding.
    """

    subject: str
    text: str
    level: str
    routes: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "subject", printable(self.subject))
        object.__setattr__(self, "text", lines(self.text))

    def without_links(self) -> Message:
        """For a chat, which makes a link of whatever looks like one: only the district's own page
        stays one.
        """
        page = routes.alerts().page_url.rstrip("/")
        parts = re.split(f"({re.escape(page)}(?![\\w.:@-]))", self.text) if page else [self.text]
        text = "".join(part if place % 2 else _no_link(part) for place, part in enumerate(parts))
        return replace(self, subject=_no_link(self.subject), text=text)


# What chats make links of: a scheme, markdown's brackets, a name of a host with a path or with www.
SCHEME = re.compile(
    r"(?i)(?<![a-z])([a-z][a-z0-9+.-]*|):(?=[/\\]{2})|\b(?:mailto|(?:tel|sms)(?=:[+\d])|data(?=:\w+/)):"
)
HOST = re.compile(r"(?i)(?<![\w.@-])(?:www\.[\w.-]*|(?:[\w-]+\.)+[a-z]{2,}(?=[/:]\S))")


def _no_link(text: str) -> str:
    """A text no chat makes a link of, as people write one that is not to be followed:
    `https[:]//example.org`.
    """
    text = SCHEME.sub(lambda found: found[0][:-1] + "[:]", text)
    text = HOST.sub(lambda found: found[0].replace(".", "[.]"), text)
    return re.sub(r"\](?=[(\[:])", "] ", text)


def deliver(channel: str, call: Callable[[], None]) -> Told:
    """Call, three times at most; the reason of the last failure without address or secret."""
    wait = routes.alerts().wait_seconds
    patiently = Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_incrementing(start=wait, increment=wait),
        retry=retry_if_exception(_may_pass),
        reraise=True,
    )
    reason = ""
    try:
        patiently(call)
    except httpx.HTTPStatusError as error:
        reason = f"answered {error.response.status_code}"
    except (
        Exception
    ) as error:  # one place's surprise is not the others', and its text may quote a secret
        reason = (
            str(error)
            if isinstance(error, UndeliverableError | mail.ClearTextError)
            else type(error).__name__
        )
    return {
        "channel": channel,
        "status": "failed" if reason else "sent",
        "reason": reason,
        "at": datetime.now(UTC).isoformat(),
    }


def _may_pass(error: BaseException) -> bool:
    """Told again, most of what refuses a message would answer the same."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= 500 or error.response.status_code == 429
    return isinstance(error, Exception)


def _post(url: str, body: dict[str, Any], headers: dict[str, str] | None = None) -> httpx.Response:
    if not is_sealed(url):
        raise UndeliverableError("its address is plain http to another machine: write https://…")
    return httpx.post(url, json=body, headers=headers or {}, timeout=10).raise_for_status()


def post_office() -> AbstractContextManager[smtplib.SMTP]:
    """The district's mail server, signed in to."""
    return mail.post_office(routes.alerts().smtp, "alerts.smtp")


def _email(address: str, message: Message) -> None:
    smtp = routes.alerts().smtp
    if not smtp.host or not smtp.sender:
        raise UndeliverableError("[alerts.smtp] wants host and from in .dlt/config.toml")
    note = EmailMessage()
    note["From"], note["To"], note["Subject"] = smtp.sender, address, message.subject
    note["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    note.set_content(message.text)
    with post_office() as server:
        server.send_message(note)


def _teams(url: str, message: Message) -> None:
    message = message.without_links()
    text = [
        {
            "type": "TextBlock",
            "text": message.subject,
            "weight": "Bolder",
            "size": "Medium",
            "wrap": True,
        }
    ]
    text += [
        {"type": "TextBlock", "text": part, "wrap": True}
        for part in message.text.strip().split("\n\n")
    ]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": text,
    }
    _post(
        url,
        {
            "type": "message",
            "attachments": [
                {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
            ],
        },
    )


def _slack(url: str, message: Message) -> None:
    message = message.without_links()
    said = f"*{message.subject}*\n{message.text}"
    safe = said.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    _post(url, {"text": safe})  # without Slack's own three characters


def _webhook(url: str, message: Message) -> None:
    message = message.without_links()
    _post(url, {"subject": message.subject, "text": message.text, "level": message.level})


CHANNELS: dict[str, Callable[[str, Message], None]] = {
    "email": _email,
    "teams": _teams,
    "slack": _slack,
    "webhook": _webhook,
}


def incident(action: str, condition: dict[str, Any]) -> list[Told]:
    """Open or close it at `[alerts.incidents]` kind (pagerduty, opsgenie, generic), url, key;
    nothing when unset.
    """
    written = routes.alerts().incidents
    if not written.url:
        return []
    name, summary = f"homeroom.{condition['condition']}"[:255], condition["sentence"][:1024]
    source = settings.read(settings.District, "district").name or "Homeroom"
    kind, url, headers = written.kind, written.url.rstrip("/"), {}
    if kind == "pagerduty":
        verb = {"open": "trigger", "close": "resolve"}[action]
        body: dict[str, Any] = {"routing_key": written.key, "event_action": verb, "dedup_key": name}
        if action == "open":
            body["payload"] = {"summary": summary, "source": source, "severity": "critical"}
    elif kind == "opsgenie":
        headers = {"Authorization": f"GenieKey {written.key}"}
        body = (
            {"message": summary[:130], "alias": name, "source": source, "priority": "P2"}
            if action == "open"
            else {"source": source}
        )
        url = url if action == "open" else f"{url}/{name}/close?identifierType=alias"
    else:
        headers = {"Authorization": f"Bearer {written.key}"} if written.key else {}
        body = {
            "action": action,
            "condition": name,
            "sentence": summary,
            "since": condition["since"],
            "district": source,
        }
    return [deliver(f"incident {action}", lambda: _post(url, body, headers))]


def heartbeat(code: int, *, failed: bool = False) -> list[Told]:
    """`[alerts.heartbeat]` url is called when a night came to its end, failed_url when it ended in
    an error or `failed` says so: a watcher that hears neither for a day knows that no night ran.
    """
    written = routes.alerts().heartbeat
    url = written.failed_url if failed or code == 1 else written.url
    if not url:
        return []

    def call() -> None:
        httpx.get(url, timeout=10).raise_for_status()

    return [deliver("heartbeat", call)]


def numbers(summary: dict[str, Any]) -> list[Told]:
    """`[metrics]` otlp is where a collector takes OTLP over HTTP, headers what it wants to be
    shown; nothing when unset.
    """
    written = routes.metrics()
    if not written.otlp:
        return []

    def call() -> None:
        answer = _post(written.otlp, metrics.as_otlp(summary), written.headers)
        told = answer.json() if "json" in answer.headers.get("Content-Type", "") else {}
        if refused := int(told.get("partialSuccess", {}).get("rejectedDataPoints", 0)):
            raise UndeliverableError(f"the collector refused {refused} of the numbers")

    return [deliver("metrics", call)]
