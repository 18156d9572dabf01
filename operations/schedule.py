"""Schedule: which runs a day has, and how a machine is told to start them.

In: `[schedule]` of the settings, the templates in `deploy/`. Out: systemd units and timers, a cron
table, Windows Task Scheduler commands; and, when a timer calls on a day the district is closed, the
sentence why nothing runs.

Alone: `python -m operations install --to /etc/systemd/system`, `python -m operations install
--show cron`.
"""

from __future__ import annotations

import pwd
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from string import Template

from common import access, paths, settings
from ingestion.tolerance import closed_days
from operations import backup
from operations.configured import Schedule, days
from operations.night import Limits, Step, nightly

NEEDED = "+path:models/exports/{}"  # a selection of dbt: a target's exports, and all they rest on

DEPLOY = paths.root() / "deploy"
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class ScheduleError(settings.SettingsError):
    """A setting cannot be followed; the message says which and what it should look like."""


@dataclass(frozen=True)
class Entry:
    """One kind of run: its name, the local times it begins, the targets it serves (none: all, a
    night).
    """

    name: str
    times: tuple[str, ...]
    targets: tuple[str, ...] = ()
    on_closed_days: bool = True

    @property
    def command(self) -> str:
        return "nightly --scheduled" if self.name == "nightly" else f"intraday {self.name}"


def entries() -> list[Entry]:
    """The night and the short runs by day. Raises SettingsError."""
    table = settings.read(Schedule, "schedule")
    found = [Entry("nightly", table.night, (), table.nights_on_closed_days)]
    known = sorted(settings.section("targets"))
    for name, one in sorted(table.intraday.items()):
        where = f"[schedule.intraday.{name}]"
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise ScheduleError(f"{where} must have a plain name: small letters, digits and _")
        if strange := [target for target in one.targets if target not in known]:
            raise ScheduleError(
                f"{where} targets has {strange[0]!r}; it must list targets of the settings"
                f" ({', '.join(known)})"
            )
        on = tuple(target for target in one.targets if settings.is_on("targets", target))
        if on or not one.targets:  # with all of its targets off there is nothing to run it for
            found.append(Entry(name, one.at, on, on_closed_days=False))
    return found


def closed(day: date) -> str:
    """Why the district is closed on a day: weekends are not, by themselves. '' when it is open."""
    for given in settings.read(Schedule, "schedule").closed:
        begins, ends = days(given)
        if begins <= day <= ends:
            return f"{day.isoformat()} is a closed day ({given})"
    if day in closed_days(paths.project() / "seeds" / "closed_days.csv", ""):
        return f"{day.isoformat()} is a closed day (seeds/closed_days.csv or district_events.csv)"
    return ""


def not_today(entry: Entry, day: date) -> str:
    """Why a run does not take place on a day; '' when it does. Short runs are for working days."""
    if entry.on_closed_days:
        return ""
    if entry.name != "nightly" and day.weekday() >= DAYS.index("Sat"):
        return f"{day.isoformat()} is a {day:%A}"
    return closed(day)


def intraday(name: str, day: date) -> int:
    """A short run for some targets: read, build what they need, plan, push, verify, report. 0 with
    a sentence on closed days.
    """
    chosen = next((entry for entry in entries() if entry.name == name and entry.targets), None)
    if chosen is None:
        known = ", ".join(entry.name for entry in entries() if entry.targets) or "none"
        raise ScheduleError(
            f"there is no [schedule.intraday.{name}] in the settings; there are {known}"
        )
    reason = not_today(chosen, day)
    if reason:
        print(f"no {name} run today: {reason}")
        return 0
    return nightly(verb="intraday", steps=steps(chosen))


def steps(entry: Entry) -> tuple[Step, ...]:
    """The steps of a short run."""
    scope = tuple(word for target in entry.targets for word in ("--target", target))
    models = " ".join(NEEDED.format(target) for target in entry.targets)
    return (
        ("ingest", ("ingestion",), ()),
        ("build", ("operations", "build", "--select", models), ()),
        ("plan", ("reverse_etl", "plan", *scope), ("build",)),
        ("push", ("reverse_etl", "push", *scope), ("build", "plan")),
        ("verify", ("reverse_etl", "verify", *scope), ("build", "plan")),
        ("report", ("operations", "report"), ()),
        ("alert", ("operations", "alert"), ()),
    )


# ---------------------------------------------------------------- telling the machine


def units(user: str, python: str = "") -> dict[str, str]:
    """Name -> content of every systemd unit: one service, and one timer per kind of run."""
    given = {
        "root": str(paths.root()),
        "var": str(paths.var()),
        "project": str(paths.home()),
        "python": python or str(paths.root() / ".venv" / "bin" / "python"),
        "user": user,
        "minutes": f"{Limits.given().night / 60 + 60:.0f}",
        "zone": _zone(),
    }
    if paths.var() not in backup.folder().parents:
        given["backup folder"] = str(backup.folder())
    wrong = sorted(name for name, value in given.items() if re.search(r'[\s"\'%\\]', value))
    if wrong:
        raise ScheduleError(
            f"a systemd unit cannot carry the {wrong[0]} {given[wrong[0]]!r}: no spaces, quotes, %"
            " or backslashes"
        )
    # "-": that a disk for backups is not there is for the night to say, and no reason for no night
    backups = f" -{given['backup folder']}" if "backup folder" in given else ""
    given["environment"] = " ".join(f"{name}={value}" for name, value in _environment().items())
    given["writable"] = given["var"] + backups
    made = {}
    for entry in entries():
        facts = given | {
            "name": entry.name,
            "command": entry.command,
            "calendar": "\n".join(f"OnCalendar={_calendar(entry, time)}" for time in entry.times),
        }
        # a night that was missed is caught up with; a call-out of nine o'clock is of no use at noon
        facts["persistent"] = "true" if entry.name == "nightly" else "false"
        for kind in ("service", "timer"):
            made[f"homeroom-{entry.name}.{kind}"] = Template(
                (DEPLOY / f"homeroom.{kind}").read_text(encoding="utf-8")
            ).substitute(facts)
    return made


def install(to: Path, user: str) -> list[str]:
    """Write the units, have systemd check them where it is present; returns what to type next.
    Raises ScheduleError.
    """
    try:
        pwd.getpwnam(user)
    except KeyError:
        raise ScheduleError(
            f"there is no user {user} on this machine; make one (useradd --system {user}) or say"
            " which with AS="
        ) from None
    if owner() != user:
        raise ScheduleError(
            f"{paths.var()} belongs to {owner()} and the nights would run as {user}, who could not"
            f" write there: sudo chown -R {user} {paths.var()}, or AS={owner()}"
        )
    try:
        access.closed()
    except access.TooOpenError as error:
        raise ScheduleError(str(error)) from None
    made = units(user)
    try:
        to.mkdir(parents=True, exist_ok=True)
        for name, content in made.items():
            (to / name).write_text(content, encoding="utf-8")
            (to / name).chmod(0o644)  # systemd tells everybody what stands in it anyway
    except PermissionError:
        raise ScheduleError(
            f"{to} cannot be written; run it with sudo, or write the units elsewhere with TO=…"
        ) from None
    complaints = verify([to / name for name in made])
    if complaints:
        raise ScheduleError(
            f"the units were written to {to}, but systemd does not accept them: {complaints}"
        )
    timers = " ".join(name for name in made if name.endswith(".timer"))
    folder = backup.folder()
    return [
        *([] if folder.exists() or paths.var() in folder.parents else [_made(folder, user)]),
        f"systemctl daemon-reload && systemctl enable --now {timers}",
        "systemctl list-timers 'homeroom-*'",
    ]


def _made(folder: Path, user: str) -> str:
    return f"install -d -o {user} -m 0700 {folder}"


def verify(files: list[Path]) -> str:
    """What `systemd-analyze verify` has against these units; '' for nothing, or where there is no
    systemd.
    """
    tool = shutil.which("systemd-analyze")
    if tool is None:
        return ""
    ended = subprocess.run(
        [tool, "verify", *map(str, files)], capture_output=True, text=True, check=False, timeout=60
    )
    ours = [
        line for line in (ended.stderr + ended.stdout).splitlines() if "homeroom" in line
    ]  # it also speaks of the machine's own units
    return " ".join(ours)


def cron(user: str = "") -> str:
    """The table for cron: of a person's own (`crontab -e`), or with a user a file of /etc/cron.d.
    Cron knows neither catch-up nor time limits by itself; the night bounds its own time.
    """
    home, var = paths.root(), paths.var()
    lines = [
        "# Homeroom, for Debian's cron and others: "
        + ("a file of /etc/cron.d, owned by root" if user else "lines for crontab -e"),
        "SHELL=/bin/sh",
        "PATH=/usr/local/bin:/usr/bin:/bin",
        "# who is told when a line could not even begin; what a run says goes to its own log",
        f"MAILTO={user or owner()}",
    ]
    given = " ".join(f"{name}={shlex.quote(value)}" for name, value in _environment().items())
    elsewhere = _elsewhere()
    if elsewhere:
        lines.append(
            "# This machine's clock is not the district's, and cron knows only that one: each line"
            " asks every hour what time it is there."
        )
    for entry in entries():
        for time in entry.times:
            hour, minute = time.split(":")
            days = "*" if entry.name == "nightly" else "1-5"
            when, first = f"{int(minute)} {int(hour)} * * {days}", ""
            if elsewhere:
                when = f"{int(minute)} * * * *"
                first = f'[ "$(TZ={_zone()} date +%H:%M)" = "{time}" ] || exit 0; '
            log = shlex.quote(f"{var}/{entry.name}.log")
            command = (
                f"{first}umask 077; cd {shlex.quote(str(home))} &&"
                f" {given} flock -n -E 2"
                f" {shlex.quote(f'{var}/{entry.name}.cron.lock')}"
                f" .venv/bin/python -m operations {entry.command} >> {log} 2>&1"
            )
            lines.append(" ".join(filter(None, (when, user, command.replace("%", r"\%")))))
    return "\n".join(lines)


def _environment() -> dict[str, str]:
    """What a run is told of where things are."""
    name = "HOMEROOM_DISTRICT" if paths.district() else "HOMEROOM_PROJECT"
    own = {} if paths.home() == paths.root() else {name: str(paths.home())}
    return {"HOMEROOM_VAR": str(paths.var()), **own}


def _elsewhere() -> bool:
    """Whether this machine's clock ever shows another time than the district's."""
    begin = datetime.now(UTC)
    return any(
        (day := begin + timedelta(days=30 * month)).astimezone().utcoffset()
        != day.astimezone(settings.zone()).utcoffset()
        for month in range(13)
    )


def windows() -> str:
    """The commands for Windows, where Homeroom lives in WSL; times are those of the Windows
    machine.
    """
    given = " ".join(f"{name}={value}" for name, value in _environment().items())
    lines = []
    for entry in entries():
        for time in entry.times:
            what = (
                f"wsl.exe --cd {paths.root()} --exec env"
                f" {given} .venv/bin/python -m operations {entry.command}"
            )
            days = "" if entry.name == "nightly" else " /D MON,TUE,WED,THU,FRI"
            lines.append(
                f'schtasks /Create /TN "Homeroom {entry.name} {time.replace(":", "")}" /SC'
                f' {"WEEKLY" if days else "DAILY"}{days} /ST {time} /TR "{what}"'
            )
    return "\n".join(lines)


def owner() -> str:
    """Who the service runs as unless told: the owner of the state folder."""
    return paths.name_of(paths.var().stat().st_uid)


def next_days(days: int, first: date) -> list[tuple[date, list[str]]]:
    """What runs on the coming days, for a person to look at."""
    return [
        (
            day,
            [
                f"{entry.name} {time}"
                for entry in entries()
                if not not_today(entry, day)
                for time in entry.times
            ],
        )
        for day in (first + timedelta(days=number) for number in range(days))
    ]


def _calendar(entry: Entry, time: str) -> str:
    days = "" if entry.name == "nightly" else "Mon..Fri "
    return f"{days}*-*-* {time}:00 {_zone()}"


def _zone() -> str:
    return settings.zone().key
