"""Routes: who hears of what, and what is passed over in silence, as `[alerts]` of the settings
says.

In: `[alerts]`, `[metrics]`. Out: the routes and silences that can be followed, and a sentence for
each setting that cannot: a typing error in one of them must not leave everybody else untold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from common import settings
from common.findings import Finding
from common.settings import SettingsError

LEVELS = ("info", "warning", "critical")
CHANNELS = ("email", "teams", "slack", "webhook")
FILTERS = {
    "targets": "target",
    "schools": "school_number",
    "kinds": "kind",
    "owners": "owner",
}  # setting -> column of a finding
# what stands in which table; the value says which words it may be, none: any
TABLES: Mapping[tuple[str, ...], Mapping[str, tuple[str, ...]]] = {
    ("alerts",): dict.fromkeys(
        ("page_url", "wait_seconds", "smtp", "routes", "silences", "incidents", "heartbeat"), ()
    ),
    ("alerts", "smtp"): {
        **dict.fromkeys(("host", "port", "user", "password", "from", "ca_file"), ()),
        "security": ("starttls", "tls", "none"),
    },
    ("alerts", "incidents"): {
        **dict.fromkeys(("url", "key"), ()),
        "kind": ("pagerduty", "opsgenie", "generic"),
    },
    ("alerts", "heartbeat"): dict.fromkeys(("url", "failed_url"), ()),
    ("metrics",): dict.fromkeys(("otlp", "headers"), ()),
}


@dataclass(frozen=True)
class Route:
    """Who hears of what: `[alerts.routes.<name>]`. Empty lists mean all; `level` is the least that
    is told.
    """

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
        """A school's own route hears of its records, not of the night."""
        return not (self.schools or self.kinds or self.owners)


@dataclass(frozen=True)
class Silence:
    """`[alerts.silences.<name>]`: what it names is known, from a day until a day (both included);
    what is critical is told all the same.
    """

    name: str
    begins: date = date.min
    ends: date = date.max
    targets: tuple[str, ...] = ()
    schools: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()

    def covers(self, finding: Mapping[str, Any], day: date) -> bool:
        """Is this finding passed over on this day?"""
        return (
            finding["level"] != "critical"
            and self.begins <= day <= self.ends
            and _fits(self, finding)
        )


@dataclass
class Alerting:
    """What the settings say; `wrong` has a sentence for everything that cannot be followed and is
    left out.
    """

    routes: list[Route] = field(default_factory=list)
    silences: list[Silence] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def read() -> Alerting:
    """The settings as they are now."""
    given = Alerting()
    for table, known in TABLES.items():
        written, where = settings.section(*table), ".".join(table)
        given.wrong += [
            f"[{where}] {_unknown(key, known)}" for key in sorted(written) if key not in known
        ]
        given.wrong += [
            f"[{where}] {key} = {written[key]!r}: it is one of {', '.join(words)}"
            for key, words in known.items()
            if words and key in written and written[key] not in words
        ]
    for kind, make, into in (
        ("routes", _route, given.routes),
        ("silences", _silence, given.silences),
    ):
        for name, written in settings.section("alerts", kind).items():
            try:
                if not isinstance(written, Mapping):
                    raise SettingsError(f"is {type(written).__name__}, not a table")
                into.append(make(name, written))
            except SettingsError as error:
                given.wrong.append(f"[alerts.{kind}.{name}] {error}")
    smtp = settings.section("alerts", "smtp")
    if not isinstance(smtp.get("port", 587), int):
        given.wrong.append(f"[alerts.smtp] port = {smtp['port']!r}: write a number")
    if any(route.email for route in given.routes) and not (smtp.get("host") and smtp.get("from")):
        given.wrong.append("[alerts.smtp] wants host and from: there are routes with e-mail")
    return given


def trouble() -> list[Finding]:
    """The same as findings, for the night to begin with."""
    return [
        Finding(
            "critical",
            "alerts_wrong",
            f"{sentence}; this setting is left out, whoever else is to be told is told",
            owner="technician",
            action='mend it in .dlt/config.toml; "make check" says when it is right',
        )
        for sentence in read().wrong
    ]


def _fits(asked: Route | Silence, finding: Mapping[str, Any]) -> bool:
    return all(
        not (listed := getattr(asked, name)) or finding[column] in listed
        for name, column in FILTERS.items()
    )


def _route(name: str, written: Mapping[str, Any]) -> Route:
    values = _values(written, ("level", "always", *CHANNELS, *FILTERS))
    if values.get("level", "warning") not in LEVELS:
        raise SettingsError(f"level = {values['level']!r}: it is one of {', '.join(LEVELS)}")
    if any("@" not in address for address in values.get("email", ())):
        raise SettingsError("email: one of them is no address")
    route = Route(name, **values)
    if not route.channels:
        raise SettingsError(f"leads nowhere: give it {', '.join(CHANNELS[:-1])} or {CHANNELS[-1]}")
    return route


def _silence(name: str, written: Mapping[str, Any]) -> Silence:
    values = _values(written, ("from", "until", "why", *FILTERS))
    values.pop("why", None)
    for key, column in (("from", "begins"), ("until", "ends")):
        if key in values:
            try:
                values[column] = date.fromisoformat(str(values.pop(key)))
            except ValueError:
                raise SettingsError(f"{key} is no day; write it as 2027-07-01") from None
    return Silence(name, **values)


def _values(written: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    """As written, with one where several may stand as a list of one."""
    if strange := [key for key in sorted(written) if key not in known]:
        raise SettingsError(_unknown(strange[0], known))
    values = {
        key: _listed(key, value) if key in ("email", *FILTERS) else value
        for key, value in written.items()
    }
    targets = settings.section("targets")
    if unknown := [
        target for target in values.get("targets", ()) if targets and target not in targets
    ]:
        raise SettingsError(
            f"targets names {unknown[0]!r}, which is none; there are {', '.join(sorted(targets))}"
        )
    return values


def _listed(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, str | list):
        raise SettingsError(f"{key} = {value!r}: write a text, or a list of texts")
    return (value,) if isinstance(value, str) else tuple(map(str, value))


def _unknown(key: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    return f"{key}: no such key; known are {', '.join(sorted(known))}"
