"""Alerts: tell whom it concerns, once a morning, and open and close incidents as conditions come and go.

In: the run's summary and findings; `[alerts]` of the settings; `incidents.json` beside the runs (the conditions open
now). Out: one e-mail per address and one message per channel, incidents opened and closed, the heartbeat, the numbers
for a collector; the run's `alerts.json` says what went to whom and what could not be sent.

A step of its own that needs neither warehouse nor report, so that it speaks when those are what broke.
Message shapes: Slack incoming webhook (`text`); Teams workflow webhook (Adaptive Card attachment); PagerDuty Events
API v2; Opsgenie Alert API v2.

Alone: `python -m operations alert`.
"""

from __future__ import annotations

import json
import smtplib
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from email.message import EmailMessage
from typing import Any

import httpx

from common import findings, paths, settings
from common.log import event
from common.runs import Run
from operations import history, metrics
from operations.page import five_lines

LEVELS = ("info", "warning", "critical")
SHOWN = 8  # kinds of finding a message spells out
ATTEMPTS, WAIT_SECONDS = 3, 2.0


class Undeliverable(Exception):
    """A message that could not be handed over; the text names the channel and the reason, no address and no secret."""


@dataclass(frozen=True)
class Route:
    """Who hears of what: `[alerts.routes.<name>]`. Empty lists mean all; `level` is the least that is told."""

    name: str
    level: str = "warning"
    email: tuple[str, ...] = ()
    teams: str = ""
    slack: str = ""
    webhook: str = ""
    targets: tuple[str, ...] = ()
    schools: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    always: bool = False  # a message also after a night with nothing to tell
    channels: tuple[tuple[str, str], ...] = field(init=False)

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise ValueError(f"[alerts.routes.{self.name}] level = {self.level!r}: it is one of {', '.join(LEVELS)}")
        named = [("email", address) for address in self.email] + [(kind, address) for kind in ("teams", "slack", "webhook") if (address := getattr(self, kind))]
        object.__setattr__(self, "channels", tuple(named))

    def concerns(self, finding: dict[str, Any]) -> bool:
        """Is this finding one this route asked for?"""
        return (
            LEVELS.index(finding["level"]) >= LEVELS.index(self.level)
            and (not self.targets or finding["target"] in self.targets)
            and (not self.schools or finding["school_number"] in self.schools)
            and (not self.kinds or finding["kind"] in self.kinds)
            and (not self.owners or finding["owner"] in self.owners)
        )

    @property
    def hears_of_the_night(self) -> bool:
        """A school's own route hears of its records, not of the night."""
        return not (self.schools or self.kinds or self.owners)


def routes() -> list[Route]:
    """The routes of the settings. Raises ValueError with a sentence for a key nobody knows."""
    found = []
    for name, written in settings.section("alerts", "routes").items():
        known = {"level", "email", "teams", "slack", "webhook", "targets", "schools", "kinds", "owners", "always"}
        if strange := sorted(set(written) - known):
            raise ValueError(f"[alerts.routes.{name}] {strange[0]}: no such key; known are {', '.join(sorted(known))}")
        lists = {key: (value,) if isinstance(value, str) else tuple(str(one) for one in value)
                 for key, value in written.items() if key in ("email", "targets", "schools", "kinds", "owners")}  # fmt: skip
        found.append(Route(name, **{**written, **lists}))
    return found


def send(run: Run, summary: dict[str, Any]) -> int:
    """Tell everyone; returns 0, or 3 when a message could not be delivered anywhere."""
    found = [finding for finding in findings.read(run) if not _silenced(finding, run.as_of)]
    standing, opened, over = _incidents(summary, found)
    closed = [one for one in over if not one.get("closing")]
    told: list[dict[str, str]] = []
    for channel, address, message in _messages(summary, found, closed):
        told.append(_try(channel, lambda channel=channel, address=address, message=message: CHANNELS[channel](address, message)) | {"routes": message.routes})
    # an incident that could not be opened or closed is told the next night; one nobody heard of needs no closing
    untold = [one for one in standing if not _told(told, "open", one)]
    unclosed = [one for one in over if one.get("told") is not False and not _told(told, "close", one)]
    _remember([*(one | {"told": one not in untold} for one in standing), *(one | {"closing": True} for one in unclosed)])
    told += [*_heartbeat(summary), *_metrics(summary)]
    run.write("alerts.json", {"sent": told, "opened": [one["condition"] for one in opened], "closed": [one["condition"] for one in closed]})
    lost = [one for one in told if one["status"] != "sent"]
    for one in lost:
        event("alert_not_sent", channel=one["channel"], because=one["reason"])
        print(f"alert: {one['channel']} could not be told: {one['reason']}")
    return 3 if lost else 0


# --- what is said -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Message:
    """One message to one place: a subject line and plain text under 80 columns or so; `level` is its worst finding."""

    subject: str
    text: str
    level: str
    routes: str


def _messages(summary: dict[str, Any], found: list[dict[str, Any]], closed: list[dict[str, Any]]) -> Iterable[tuple[str, str, Message]]:
    """One message per place, whatever number of routes lead there."""
    places: dict[tuple[str, str], list[Route]] = {}
    for route in routes():
        for place in route.channels:
            places.setdefault(place, []).append(route)
    for (channel, address), some in places.items():
        concerned = [finding for finding in found if any(route.concerns(finding) for route in some)]
        night = any(route.hears_of_the_night for route in some)
        recovered = [one for one in closed if night]
        wrong = summary["exit_code"] != 0 and night
        if concerned or wrong or recovered or any(route.always for route in some):
            yield channel, address, compose(summary, concerned, recovered, night, ", ".join(route.name for route in some))


def compose(summary: dict[str, Any], concerned: list[dict[str, Any]], recovered: list[dict[str, Any]], night: bool, names: str) -> Message:
    """The words: the night in five lines where the reader is told of nights, then each kind of finding with what to do."""
    level = max((finding["level"] for finding in concerned), key=LEVELS.index, default="info")
    if night and summary["exit_code"] == 1:
        level = "critical"
    needs = len({finding["kind"] for finding in concerned if finding["level"] != "info"})
    states = {0: "done", 1: "ERROR", 2: "held for a person", 3: "partly failed"}
    state = states.get(summary["exit_code"], "not finished") if night else "school data"
    things = "nothing needs you" if not needs else "1 thing needs you" if needs == 1 else f"{needs} things need you"
    lines: list[str] = []
    if night:
        past = history.nights(before=summary["run_id"])
        lines += [*five_lines(summary, concerned, history.unusual(summary, past)), ""]
    lines += [f"Recovered: {one['sentence']} (open since the night of {one['since']})" for one in recovered]
    if recovered:
        lines.append("")
    per_kind = Counter((finding["level"], finding["kind"], finding["owner"], finding["action"]) for finding in concerned)
    ordered = sorted(per_kind.items(), key=lambda one: (-LEVELS.index(one[0][0]), -one[1], one[0][1]))
    for (worst, kind, owner, action), number in ordered[:SHOWN]:
        some = [finding for finding in concerned if (finding["level"], finding["kind"], finding["owner"], finding["action"]) == (worst, kind, owner, action)]
        lines.append(f"{worst.upper()}: {some[0]['message']}" + (f" ({number:,} like it)" if number > 1 else ""))
        if not night or len(some) <= 3:
            lines += [f"   {where}" for where in sorted({_where(finding) for finding in some} - {""})[:20]]
        if action:
            lines.append(f"   {owner + ': ' if owner else ''}{action}")
        lines.append("")
    if len(ordered) > SHOWN:
        lines += [f"... and {len(ordered) - SHOWN} more kinds on the page.", ""]
    link = settings.get("alerts.page_url", "").rstrip("/")
    lines.append(f"The page: {link}/{summary['run_id']}/report.html" if link else f"Run {summary['run_id']}.")
    return Message(f"Homeroom {summary['as_of']}: {state}, {things}", "\n".join(lines) + "\n", level, names)


def _where(finding: dict[str, Any]) -> str:
    """Key and place of one finding: `student 1234567, StudentDemographics.csv line 12, column Birth date`."""
    place = f"{finding['file']}" + (f" line {finding['line']}" if finding["line"] else "") + (f", column {finding['column']}" if finding["column"] else "")
    return ", ".join(part for part in (f"key {finding['key']}" if finding["key"] else "", place) if part)


def _silenced(finding: dict[str, Any], as_of: date) -> bool:
    """`[alerts.silences.<name>]` from, until (dates, both included), kinds, schools, targets, why; critical findings are never silenced."""
    if finding["level"] == "critical":
        return False
    for silence in settings.section("alerts", "silences").values():
        begins, ends = (date.fromisoformat(str(silence[key])) if key in silence else None for key in ("from", "until"))
        inside = (begins is None or begins <= as_of) and (ends is None or as_of <= ends)
        if inside and all(not silence.get(f"{key}s") or finding[column] in silence[f"{key}s"]
                          for key, column in (("kind", "kind"), ("school", "school_number"), ("target", "target"))):  # fmt: skip
            return True
    return False


# --- incidents --------------------------------------------------------------------------------------------------------


def conditions(summary: dict[str, Any], found: list[dict[str, Any]]) -> dict[str, str]:
    """What is wrong now, each under a name that stays the same night after night: {condition: sentence}."""
    wrong = {}
    if summary["exit_code"] == 1:
        broken = next((step["name"] for step in summary["steps"] if step["status"] == "failed"), "night")
        wrong["night_failed"] = f"The night ended with an error at step {broken}."
    for finding in found:
        if finding["level"] == "critical":
            about = [part for part in (finding["source"], finding["feed"], finding["target"], finding["entity"], finding["file"]) if part]
            wrong.setdefault(".".join([finding["kind"], *about]), finding["message"])
    return wrong


def open_incidents() -> list[dict[str, Any]]:
    """The conditions open now, oldest first: condition, sentence, since (date), run_id."""
    return [one for one in _kept() if not one.get("closing")]


def _kept() -> list[dict[str, Any]]:
    """Those, and the ones whose end nobody could be told of yet."""
    path = paths.var() / "incidents.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []


def _incidents(summary: dict[str, Any], found: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Compare what is wrong with what was: (all that is wrong now, the new ones, the ones that are over).

    Only a whole night closes anything, one verb sees too little.
    """
    before = {one["condition"]: one for one in _kept()}
    wrong = conditions(summary, found)
    fresh = {name: {"condition": name, "sentence": sentence, "since": summary["as_of"], "run_id": summary["run_id"]} for name, sentence in wrong.items()}
    new = [one for name, one in fresh.items() if name not in before]
    over = [one for name, one in before.items() if name not in wrong] if summary["verb"] == "nightly" and summary["exit_code"] != 1 else []
    # what is wrong again before anybody heard that it was over has never been over
    standing = [{key: value for key, value in one.items() if key != "closing"} for one in before.values() if one not in over]
    return [*standing, *new], new, over


def _remember(incidents: list[dict[str, Any]]) -> None:
    """Written after the telling: whoever is killed in between tells twice rather than never."""
    path = paths.var() / "incidents.json"
    temporary = path.with_name(".incidents.json.part")
    temporary.write_text(json.dumps(incidents, ensure_ascii=False, indent=1), encoding="utf-8")
    temporary.replace(path)


def _told(told: list[dict[str, str]], action: str, condition: dict[str, Any]) -> bool:
    """Tell of it unless that was done, note what came of it, and say whether it was heard."""
    if action == "open" and condition.get("told") is True:
        return True
    answers = _tell_incident(action, condition)
    told += answers
    return all(one["status"] == "sent" for one in answers)


def _tell_incident(action: str, condition: dict[str, Any]) -> list[dict[str, str]]:
    """Open or close it at `[alerts.incidents]` kind (pagerduty, opsgenie, generic), url, key; nothing when unset."""
    written = settings.section("alerts", "incidents")
    if not written.get("url"):
        return []
    name, summary = f"homeroom.{condition['condition']}"[:255], condition["sentence"][:1024]
    source = settings.get("district.name", "Homeroom")
    kind, url, headers = written.get("kind", "generic"), written["url"].rstrip("/"), {}
    if kind == "pagerduty":
        verb = {"open": "trigger", "close": "resolve"}[action]
        body: dict[str, Any] = {"routing_key": written.get("key", ""), "event_action": verb, "dedup_key": name}
        if action == "open":
            body["payload"] = {"summary": summary, "source": source, "severity": "critical"}
    elif kind == "opsgenie":
        headers = {"Authorization": f"GenieKey {written.get('key', '')}"}
        body = {"message": summary[:130], "alias": name, "source": source, "priority": "P2"} if action == "open" else {"source": source}
        url = url if action == "open" else f"{url}/{name}/close?identifierType=alias"
    else:
        headers = {"Authorization": f"Bearer {written['key']}"} if written.get("key") else {}
        body = {"action": action, "condition": name, "sentence": summary, "since": condition["since"], "district": source}
    return [_try(f"incident {action}", lambda: _post(url, body, headers))]


def _heartbeat(summary: dict[str, Any]) -> list[dict[str, str]]:
    """`[alerts.heartbeat]` url is called when a night came to its end, failed_url when it ended in an error: a watcher that
    hears neither for a day knows that no night ran at all."""
    written = settings.section("alerts", "heartbeat")
    url = written.get("failed_url" if summary["exit_code"] == 1 else "url", "")
    if summary["verb"] != "nightly" or not url:
        return []

    def call() -> None:
        httpx.get(url, timeout=10).raise_for_status()

    return [_try("heartbeat", call)]


def _metrics(summary: dict[str, Any]) -> list[dict[str, str]]:
    """`[metrics]` otlp is where a collector takes OTLP over HTTP, headers what it wants to be shown; nothing when unset."""
    written = settings.section("metrics")
    if not written.get("otlp"):
        return []

    def call() -> None:
        answer = _post(written["otlp"], metrics.as_otlp(summary), written.get("headers"))
        told = answer.json() if "json" in answer.headers.get("Content-Type", "") else {}
        if refused := int(told.get("partialSuccess", {}).get("rejectedDataPoints", 0)):
            raise Undeliverable(f"the collector refused {refused} of the numbers")

    return [_try("metrics", call)]


# --- how it is sent ---------------------------------------------------------------------------------------------------


def _try(channel: str, call: Callable[[], None]) -> dict[str, str]:
    """Call, three times at most; the reason of the last failure without address or secret."""
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(settings.get("alerts.wait_seconds", WAIT_SECONDS) * attempt)
        try:
            call()
        except httpx.HTTPStatusError as error:
            reason = f"answered {error.response.status_code}"
            if error.response.status_code < 500 and error.response.status_code != 429:
                break  # told again it would answer the same
        except (Undeliverable, httpx.HTTPError, smtplib.SMTPException, OSError) as error:
            reason = str(error) if isinstance(error, Undeliverable) else type(error).__name__
        else:
            return {"channel": channel, "status": "sent", "reason": "", "at": datetime.now(UTC).isoformat()}
    return {"channel": channel, "status": "failed", "reason": reason, "at": datetime.now(UTC).isoformat()}


def _post(url: str, body: dict[str, Any], headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.post(url, json=body, headers=headers or {}, timeout=10).raise_for_status()


def _email(address: str, message: Message) -> None:
    """Over `[alerts.smtp]` host, port, user, password, security (starttls, tls or none), from, ca_file."""
    smtp = settings.section("alerts", "smtp")
    if not smtp.get("host") or not smtp.get("from"):
        raise Undeliverable("[alerts.smtp] wants host and from in .dlt/config.toml")
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = smtp["from"], address, message.subject
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    mail.set_content(message.text)
    security = smtp.get("security", "starttls")
    context = ssl.create_default_context(cafile=smtp.get("ca_file"))
    port = int(smtp.get("port", 465 if security == "tls" else 587))
    opened = smtplib.SMTP_SSL(smtp["host"], port, timeout=20, context=context) if security == "tls" else smtplib.SMTP(smtp["host"], port, timeout=20)
    with opened as server:
        if security == "starttls":
            server.starttls(context=context)
        if smtp.get("user"):
            if security == "none":
                raise Undeliverable('[alerts.smtp] user with security = "none" would send the password in the clear: use starttls or tls')
            server.login(smtp["user"], smtp.get("password", ""))
        server.send_message(mail)


def _teams(url: str, message: Message) -> None:
    text = [{"type": "TextBlock", "text": message.subject, "weight": "Bolder", "size": "Medium", "wrap": True}]
    text += [{"type": "TextBlock", "text": part, "wrap": True} for part in message.text.strip().split("\n\n")]
    card = {"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4", "body": text}
    _post(url, {"type": "message", "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}]})


def _slack(url: str, message: Message) -> None:
    safe = message.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")  # Slack's own three characters
    _post(url, {"text": f"*{message.subject}*\n{safe}"})


def _webhook(url: str, message: Message) -> None:
    _post(url, {"subject": message.subject, "text": message.text, "level": message.level})


CHANNELS: dict[str, Callable[[str, Message], None]] = {"email": _email, "teams": _teams, "slack": _slack, "webhook": _webhook}
