"""`make year`: two school years of a district with its own calendar, and a judge who asks after
each night whether every person, platform and file is as the district's own state says.

In: the nights to live, each with the exit code foretold. Out: one line a night and how many things
were wrong. Limits and trust are as they ship, in a copy of the project whose seeds have the
district's rows (`year_district.ROWS`); after the first night nobody types anything.

    python -m demo year         the days on which everything changes at once (a quarter of an hour)
    python -m demo year --all   two years, every night of the weeks in which something turns (hours)
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from common.paths import root, var
from demo.holdings import holdings
from demo.nights import folder, platforms
from demo.places import PLATFORMS, Places
from demo.year_district import FIRST_NIGHT, Place, State, read_rows, write_rows

LEFT_OUT = (".venv", ".git", "var", "__pycache__", ".*_cache", ".hypothesis", "python", "docs")
FIRST_NIGHT_IS_TYPED = ("--allow", "adopt,create", "--why", "the first night")


@dataclass(frozen=True)
class Night:
    """A night and the exit code it must end with; `why` is said where that is not 0."""

    day: date
    exit: int = 0
    why: str = ""


SHORT = tuple(
    Night(date(*day))
    for day in (
        (2026, 10, 5),  # the first
        (2026, 10, 6),  # a child leaves
        (2026, 11, 2),  # Alder stands at Birch
        (2026, 11, 30),  # and is back
        (2027, 2, 1),  # the semester turns
        (2027, 3, 18),  # in spring break somebody is dismissed
        (2027, 5, 24),
        (2027, 6, 30),  # the last day of school
        (2027, 7, 1),  # the year turns, a school closes, one is renamed, grade 12 has graduated
        (2027, 7, 2),
        (2027, 9, 1),  # who left is in no list
        (2027, 9, 7),  # the first day; half of the homerooms are blank
        (2027, 9, 8),
        (2027, 9, 15),  # who left closes one after another
        (2027, 9, 24),
        (2027, 10, 15),
        (2027, 10, 20),
        (2027, 10, 26),
        (2027, 11, 1),
        (2027, 11, 16),  # and is closed
    )
)


def every() -> Iterator[Night]:
    """Every weekday of the weeks in which something turns, and each Monday between."""
    turns = [night.day for night in SHORT] + [date(2028, 7, 1), date(2028, 9, 1), date(2028, 9, 5)]
    day = FIRST_NIGHT
    while day <= date(2028, 10, 31):
        near = any(abs((day - turn).days) <= 4 for turn in turns)
        if day.weekday() == 0 or (day.weekday() < 5 and near):
            yield Night(day)
        day += timedelta(1)


def live(nights: Iterable[Night], say: Any = print, *, begun: bool = False) -> int:
    """Live through the nights; how many things were wrong in all. `begun`: go on from the state
    that is there.
    """
    project = folder() / "project"
    if not begun:
        shutil.copytree(root(), project, ignore=shutil.ignore_patterns(*LEFT_OUT))
        write_rows(project)
    wrong = 0
    for night in nights:
        state = State(night.day)
        places = Places.within(folder())
        state.write(places.extracts, places.hr)
        typed = FIRST_NIGHT_IS_TYPED if night.day == FIRST_NIGHT else ()
        with platforms() as environment:
            code = subprocess.run(
                [sys.executable, "-m", "operations", "nightly", *typed],
                cwd=project,
                env=environment
                | {
                    "HOMEROOM_AS_OF": night.day.isoformat(),
                    "HOMEROOM_VAR": str(var()),
                    "HOMEROOM_RUN": "",
                    "NIGHT__RETRY_AFTER_MINUTES": "false",  # nothing here only needs time
                },
                check=False,
                stdout=subprocess.DEVNULL if os.environ.get("HOMEROOM_QUIET") else None,
            ).returncode
        trouble = list(judged(state, code, night))
        wrong += len(trouble)
        say(f"{night.day} exit {code}: {'; '.join(trouble[:40]) or 'as it should be'}")
        if len(trouble) > 40:
            say(f"{night.day}: {len(trouble)} in all")
    return wrong


def judged(state: State, code: int, night: Night) -> Iterator[str]:
    """Everything that is not as the district's own state says."""
    if code != night.exit:
        yield f"exit {code}, not {night.exit} {night.why}"
    if not night.exit:
        yield from (f"held: {one}" for one in held())
    must = {child.number: state.student(child) for child, _ in state.listed()} | {
        one.staff_id: state.employee(one) for one in state.employees if one.is_listed(state.day)
    }
    for child in state.children:
        if child.number not in must and child.gone_since(state.day):
            must[child.number] = state.student(child)
    for one in state.employees:
        if one.staff_id not in must and one.purged_on and state.day >= one.purged_on:
            must[one.staff_id] = state.employee(one)
    numbers = {(one.first, one.last): one.number for one in state.children} | {
        (one.first, one.last): one.staff_id for one in state.employees
    }
    for platform in PLATFORMS:
        tables = json.loads(Places.within(folder()).state_of(platform).read_text(encoding="utf-8"))
        tenant = holdings(platform, tables)
        found = list(accounts(platform, tenant, numbers))
        yield from (f"{platform}: {one}" for one in compared(must, found))
        yield from (f"{platform}: {one}" for one in named(state, platform, tenant))
    listed = lists(Places.within(folder()).received)
    for name, there in listed.items():
        for number, place in must.items():
            if place.in_lists is not None and place.in_lists is not (number in there):
                is_child = number.startswith("1")
                if is_child is (name != "portfolio Staff.csv"):
                    yield f"{name}: {number} is {'not ' if place.in_lists else ''}in it"


@dataclass(frozen=True)
class Account:
    number: str
    is_open: bool
    groups: frozenset[str]
    unit: str | None


def accounts(
    platform: str, tenant: dict[str, Any], numbers: dict[tuple[str, str], str]
) -> Iterator[Account]:
    """Ours, by the names on them, which are nobody else's here."""
    groups: dict[str, set[str]] = {}
    for one in tenant["members"]:
        group = one["group"].split("@")[0] if platform == "google" else one["uniqueName"]
        if group:
            groups.setdefault(one["member"], set()).add(group)
    for user in tenant["users"]:
        if platform == "google":
            if user.get("customSchemas", {}).get("Homeroom", {}).get("person_id"):
                name = (user["name"]["givenName"], user["name"]["familyName"])
                yield Account(
                    numbers.get(name, " ".join(name)),
                    not user["suspended"] and not user.get("archived"),
                    frozenset(groups.get(user["primaryEmail"], ())),
                    user["orgUnitPath"],
                )
        elif (user.get("onPremisesExtensionAttributes") or {}).get("extensionAttribute15"):
            name = (user["givenName"], user["surname"])
            yield Account(
                numbers.get(name, " ".join(name)),
                user["accountEnabled"],
                frozenset(groups.get(user["id"], ())),
                None,
            )


def compared(must: dict[str, Place], found: list[Account]) -> Iterator[str]:
    there = {one.number: one for one in found}
    if len(there) != len(found):
        yield f"{len(found) - len(there)} people have two accounts"
    for number, place in must.items():
        account = there.get(number)
        if account is None:
            if place.is_open:
                yield f"{number} has no account"
            continue
        if place.is_open is not None and place.is_open is not account.is_open:
            yield f"{number} is {'open' if account.is_open else 'closed'}"
        if place.groups is not None and place.groups != account.groups:
            lacks, more = place.groups - account.groups, account.groups - place.groups
            yield f"{number} lacks {sorted(lacks)} and is in {sorted(more)}"
        if place.unit and account.unit and place.unit != account.unit:
            yield f"{number} stands in {account.unit}, not {place.unit}"
    for number in there.keys() - must.keys():
        yield f"{number} is nobody's"


def named(state: State, platform: str, tenant: dict[str, Any]) -> Iterator[str]:
    """Groups carry the name their school has today; one nobody is in waits for its first member."""
    peopled = {one["group"] for one in tenant["members"]}
    for group in tenant["groups"]:
        key = group["email"].split("@")[0] if platform == "google" else group.get("uniqueName")
        name = group["name"] if platform == "google" else group["displayName"]
        for school in state.schools():
            there = (group["email"] if platform == "google" else group["id"]) in peopled
            if (
                there
                and key
                and f"-0{school}" in key
                and not name.startswith(f"{state.name_of(school)}: ")
            ):
                yield f"group {key} is called {name}"


def lists(received: Path) -> dict[str, set[str]]:
    """The people in what each vendor was sent last, by their number."""
    found: dict[str, set[str]] = {}
    for path in sorted(received.glob("*/*")):
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as packed:
                for name in ("Students.csv", "Staff.csv"):
                    rows = read_rows(packed.read(name).decode("utf-8-sig"))
                    found[f"{path.parent.name} {name}"] = {one["User ID"] for one in rows}
        elif path.name != "absences.csv":
            text = path.read_text(encoding="utf-8-sig")
            rows = read_rows(text, "\t" if path.suffix == ".txt" else ",")
            found[f"{path.parent.name} {path.name}"] = {one["StudentID"] for one in rows}
    return found


def held() -> Iterator[str]:
    """What tonight's plan holds, by target and action."""
    path = var() / "runs" / "latest" / "plan.json"
    if not path.is_file():
        yield "there is no plan"
        return
    plan = json.loads(path.read_text(encoding="utf-8"))
    for one in plan["exports"]:
        if any(one.get("held", {}).values()):
            yield f"{one['target']} {one['entity']} {one['held']}: {' '.join(one['holds'])[:300]}"
