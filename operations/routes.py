"""Routes: who hears of what, and what is passed over in silence, as `[alerts]` of the settings
says.

In: `[alerts]`, `[metrics]`. Out: the routes and silences that can be followed, and a sentence for
each setting that cannot: a typing error in one of them must not leave everybody else untold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from common import settings
from common.findings import PARTITION, Finding
from common.mail import Smtp
from common.settings import Number, OneOrMore, Secret, Section, Text

LEVELS = ("info", "warning", "critical")
CHANNELS = ("email", "teams", "slack", "webhook")
FILTERS = {
    "targets": "target",
    "partitions": PARTITION,
    "codes": "code",
    "owners": "owner",
}  # setting -> column of a finding


def _addresses(given: tuple[str, ...]) -> tuple[str, ...]:
    if any("@" not in address for address in given):
        raise ValueError("one of them is no address")
    return given


def _day(given: Any) -> date:
    try:
        return date.fromisoformat(str(given))
    except ValueError:
        raise ValueError("which is no day; write it as 2027-07-01") from None


Day = Annotated[date, BeforeValidator(_day)]


class Route(Section):
    """[alerts.routes.<name>]: who hears of what. Empty lists mean all."""

    level: Literal["info", "warning", "critical"] = "warning"
    """The least that is told."""
    email: Annotated[OneOrMore, AfterValidator(_addresses)] = ()
    """Addresses."""
    teams: Secret = ""
    """A workflow's webhook address."""
    slack: Secret = ""
    """An incoming webhook's address."""
    webhook: Secret = ""
    """Where JSON is posted: subject, text, level."""
    targets: OneOrMore = ()
    """Findings of these targets only."""
    partitions: OneOrMore = ()
    """Findings of these partitions only."""
    codes: OneOrMore = ()
    """Findings of these codes only."""
    owners: OneOrMore = ()
    """Findings these can mend only."""
    always: bool = False
    """A message also after a night with nothing to tell."""

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        if not self.channels:
            raise ValueError(f"leads nowhere: give it {', '.join(CHANNELS[:-1])} or {CHANNELS[-1]}")
        return self

    @property
    def name(self) -> str:
        """What the settings call it."""
        return self._name

    @property
    def channels(self) -> list[tuple[str, str]]:
        """(channel, address) of every place it leads to."""
        return [("email", address) for address in self.email] + [
            (kind, address) for kind in CHANNELS[1:] if (address := getattr(self, kind))
        ]

    def concerns(self, finding: Mapping[str, Any]) -> bool:
        """Is this finding one this route asked for?"""
        return LEVELS.index(finding["level"]) >= LEVELS.index(self.level) and _fits(self, finding)

    @property
    def hears_of_the_night(self) -> bool:
        """A partition's own route hears of its records, not of the night."""
        return not (self.partitions or self.codes or self.owners)


class Silence(Section):
    """[alerts.silences.<name>]: what it names is known, from a day until a day (both included);
    what is critical is told all the same.
    """

    begins: Day = Field(date.min, alias="from")
    """Its first day."""
    ends: Day = Field(date.max, alias="until")
    """Its last day."""
    why: Text = ""
    """The reason, for whoever reads the settings."""
    targets: OneOrMore = ()
    """Findings of these targets only."""
    partitions: OneOrMore = ()
    """Findings of these partitions only."""
    codes: OneOrMore = ()
    """Findings of these codes only."""
    owners: OneOrMore = ()
    """Findings these can mend only."""

    @property
    def name(self) -> str:
        """What the settings call it."""
        return self._name

    def covers(self, finding: Mapping[str, Any], day: date) -> bool:
        """Is this finding passed over on this day?"""
        return (
            finding["level"] != "critical"
            and self.begins <= day <= self.ends
            and _fits(self, finding)
        )


class Incidents(Section):
    """[alerts.incidents]: where an incident is opened and closed."""

    kind: Literal["pagerduty", "opsgenie", "generic"] = "generic"
    """Whose service it is."""
    url: Secret = ""
    """Where it is told; empty: nowhere."""
    key: Secret = ""
    """What the service knows us by."""


class Heartbeat(Section):
    """[alerts.heartbeat]: a watcher that hears nothing for a day knows that no night ran."""

    url: Secret = ""
    """Called when a night came to its end."""
    failed_url: Secret = ""
    """Called when it ended in an error."""


class Alerts(Section):
    """[alerts]: who is told."""

    page_url: Text = ""
    """Where var/pages is served, for links in messages."""
    wait_seconds: Number = 2.0
    """Between two attempts to tell; the second wait is twice as long."""
    smtp: Smtp = Smtp()
    """The mail server."""
    routes: dict[str, Route] = Field(default_factory=dict)
    """Who hears of what."""
    silences: dict[str, Silence] = Field(default_factory=dict)
    """What is known."""
    incidents: Incidents = Incidents()
    """Where incidents are opened."""
    heartbeat: Heartbeat = Heartbeat()
    """Who notices that nothing ran."""


class Metrics(Section):
    """[metrics]: every run's numbers, to a collector of OpenTelemetry."""

    otlp: Text = ""
    """Where it takes OTLP over HTTP; empty: nowhere."""
    headers: dict[str, Text] = Field(default_factory=dict, repr=False)
    """What it wants to be shown."""


@dataclass
class Alerting:
    """What the settings say; `wrong` has a sentence for everything that cannot be followed and is
    left out.
    """

    routes: list[Route] = field(default_factory=list)
    silences: list[Silence] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def alerts() -> Alerts:
    """`[alerts]` as far as it can be followed."""
    return settings.read_what_can_be(Alerts, "alerts")[0]


def metrics() -> Metrics:
    """`[metrics]` as far as it can be followed."""
    return settings.read_what_can_be(Metrics, "metrics")[0]


def read() -> Alerting:
    """The settings as they are now."""
    told, wrong = settings.read_what_can_be(Alerts, "alerts")
    wrong += settings.read_what_can_be(Metrics, "metrics")[1]
    given = Alerting(wrong=wrong)
    for kind, into in (("routes", given.routes), ("silences", given.silences)):
        for name, one in getattr(told, kind).items():
            if unknown := _no_targets(one):
                given.wrong.append(f"[alerts.{kind}.{name}] {unknown}")
            else:
                into.append(one)
    if any(route.email for route in given.routes) and not (told.smtp.host and told.smtp.sender):
        given.wrong.append("[alerts.smtp] wants host and from: there are routes with e-mail")
    return given


def _no_targets(one: Route | Silence) -> str:
    known = sorted(settings.section("targets"))
    unknown = [target for target in one.targets if target and target not in known]
    return (
        f"targets names {unknown[0]!r}, which is none; there are {', '.join(known)}"
        if unknown
        else ""
    )


def trouble() -> list[Finding]:
    """The same as findings, for the night to begin with."""
    return [Finding("alerts_wrong", {"why": sentence}) for sentence in read().wrong]


def _fits(asked: Route | Silence, finding: Mapping[str, Any]) -> bool:
    return all(
        not (listed := getattr(asked, name)) or finding[column] in listed
        for name, column in FILTERS.items()
    )
