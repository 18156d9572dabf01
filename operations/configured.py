"""What the tables of the settings say that the night itself follows: `[night]`, `[schedule]`,
`[[schedules]]`, `[calls]`, `[build]`, `[backup]` and `[retention]`. Those of alerts stand in
operations/routes.py.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from common.settings import Count, KeepDays, Never, Number, Secret, Section, Some, Text, Texts
from common.signed import a_secret

TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
SPAN = re.compile(r"(\d+) (second|minute|hour)s?")
UNITS = {"second": 1, "minute": 60, "hour": 3600}


def times(given: Any) -> tuple[str, ...]:
    """Local times of a day, one or a list of them."""
    listed = (given,) if isinstance(given, str) else given
    if (
        not isinstance(listed, list | tuple)
        or not listed
        or not all(isinstance(time, str) and TIME.fullmatch(time) for time in listed)
    ):
        raise ValueError('write times of the day as "03:00" or ["09:30", "13:15"]')
    return tuple(listed)


def days(given: Any) -> tuple[date, date]:
    """The first and the last of the days that `2026-10-12` or `2026-12-21/2027-01-01` means."""
    first, _, last = str(given).partition("/")
    try:
        return date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError:
        raise ValueError(
            'write days as "2026-10-12" and breaks as "2026-12-21/2027-01-01"'
        ) from None


def _days_in_words(given: Any) -> str:
    days(given)
    return str(given)


def _listed(given: Any) -> Any:
    return tuple(given) if isinstance(given, list) else given


def seconds(given: str) -> float:
    """`5 minutes` in seconds."""
    found = SPAN.fullmatch(given.strip())
    count = int(found[1]) * UNITS[found[2]] if found else 0
    if not count:
        raise ValueError('write how often as "30 seconds", "5 minutes" or "1 hour"')
    return float(count)


def _span(given: str) -> str:
    if given:
        seconds(given)
    return given


def _plain(given: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", given):
        raise ValueError("it must be a plain name: small letters, digits and _")
    return given


def _times_if_any(given: Any) -> tuple[str, ...]:
    return times(given) if given != () else ()


Times = Annotated[tuple[Text, ...], BeforeValidator(times)]
Days = Annotated[Text, BeforeValidator(_days_in_words)]


class StepMinutes(Section):
    """[night.step_minutes]: a step that takes longer is ended and named."""

    ingest: Number = 90
    """Reading the source systems."""
    observe: Number = 90
    """Reading what the targets hold."""
    build: Number = 120
    """The models and their tests."""
    plan: Number = 60
    """Comparing what should be with what is."""
    push: Number = 300
    """Writing, at the targets' quotas."""
    verify: Number = 90
    """Reading the targets back."""
    backup: Number = 60
    """Copying and proving the ledger."""


class Night(Section):
    """[night]: how long a night may take, and what is done about what went wrong."""

    maximum_minutes: Number = 480
    """Past it no step begins; the report still runs."""
    retry_after_minutes: Number | Never = 15
    """What only needed time is tried once more; false: never."""
    resume_within_hours: Number = 6
    """A night killed while it pushed is gone on with, the same day and code; 0: begun anew."""
    free_megabytes: Number = 500
    """Refused with less free than this and the size of the databases together."""
    step_minutes: StepMinutes = StepMinutes()
    """How long each step may take."""


class Intraday(Section):
    """[schedule.intraday.<name>]: a short run on working days, for some targets only."""

    at: Times
    """The local times it begins."""
    targets: Annotated[Texts, Field(min_length=1)]
    """The targets it serves."""


class Schedule(Section):
    """[schedule]: what "make install" tells the machine; local times of the district."""

    night: Times = ("03:00",)
    """When a night begins."""
    closed: Annotated[tuple[Days, ...], BeforeValidator(_listed)] = ()
    """Days off, and breaks with their first and last day."""
    nights_on_closed_days: bool = True
    """Whether nights run on them all the same."""
    intraday: dict[str, Intraday] = Field(default_factory=dict)
    """The short runs by day."""


class Part(Section):
    """[[schedules]]: a run of a part of the whole, as often as it says, with the trust, plan,
    limits and audit of a night."""

    name: Annotated[Text, AfterValidator(_plain)]
    """What it is called: small letters, digits and _."""
    every: Annotated[Text, AfterValidator(_span)] = ""
    """How long after one began the next one does, like "5 minutes"."""
    at: Annotated[tuple[Text, ...], BeforeValidator(_times_if_any)] = ()
    """Local times it begins."""
    on_arrival: bool = False
    """Whether it begins when a file arrives in the folder of one of its feeds."""
    on_call: bool = False
    """Whether it begins when somebody calls for it, by a signed webhook; see [calls]."""
    feeds: Texts = ()
    """The sources it reads, or single feeds as source.feed; none named: all of them."""
    targets: Annotated[Texts, Field(min_length=1)]
    """The targets it serves."""

    @property
    def seconds(self) -> float:
        """`every` in seconds; 0 where it is not said."""
        return seconds(self.every) if self.every else 0.0

    @property
    def when(self) -> str:
        """When it runs, in words."""
        said = [f"every {self.every}"] if self.every else []
        said += [f"at {' and '.join(self.at)}"] if self.at else []
        said += ["when a file arrives"] if self.on_arrival else []
        said += ["when called for"] if self.on_call else []
        return ", ".join(said) or "when asked for"


class CalledPart(Section):
    """[calls.parts.<name>]: a part somebody may call for."""

    secret: Annotated[Secret, AfterValidator(a_secret)] = ""
    """What its calls are signed with: `whsec_` and 24 to 64 bytes in base64. To secrets.toml."""


class Called(Section):
    """[calls]: where a watch listens for signed webhooks, on this machine only."""

    port: Count = 0
    """The port; 0: nothing listens."""
    parts: dict[str, CalledPart] = Field(default_factory=dict)
    """The parts with `on_call`, and what calls for each are signed with."""


class Build(Section):
    """[build]: how often everything is built, also what is proved to be as it was."""

    whole_after_days: Some = 7
    """A build as many days after the last whole one is whole; 1: every night's is."""


class Backup(Section):
    """[backup]: copies of what cannot be built again."""

    nightly: bool = True
    """Whether every night makes one."""
    folder: Text = ""
    """Where they are kept; another disk is better; "": backups/ under the state folder."""
    keep: Some = 14
    """How many."""
    runs: Some = 60
    """Documents of so many runs go with the ledger."""


class Retention(Section):
    """[retention]: days after which what is kept may go; what is not named is kept for ever."""

    evidence_days: KeepDays | None = None
    """What "make replay" needs of a night."""
    runs_days: KeepDays | None = None
    """The folders of runs."""
    passwords_days: KeepDays | None = None
    """Sealed first passwords."""
    replaced_days: KeepDays | None = None
    """Databases that a restore or a night put aside."""
    backups_days: KeepDays | None = None
    """Backups, but the newest."""
    upgrade_copies_days: KeepDays | None = None
    """Ledgers as they were before an upgrade."""
    findings_days: KeepDays | None = None
    """Findings in the ledger."""
    changes_days: KeepDays | None = None
    """Plans, changes and outcomes in the ledger."""
