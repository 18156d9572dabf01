"""A year of the synthetic district in twelve nights, each checked against what the platforms
themselves hold.

In: a district, the nights of NIGHTS (first days, the end of a grace, June, a July without class
lists, the rollover, October). Out: one line a night and an exit code. What is expected is worked
out here, from the district's own story and the days of `seeds/`, by other means than the models':
who is enrolled or employed has an open account in both tenants and in summer keeps every group; who
has left has a closed one once the days of grace are over; who waits for somebody to say whether an
account is theirs has none of ours.

Limits are lifted by name, for between two of these nights lie weeks.

Alone: `python -m demo year --students 60` (a night takes what a night takes: about ten minutes).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import duckdb

from common.paths import published, root
from demo import hr
from demo.calendar import DAY_0, is_summer
from demo.district import INACTIVE
from demo.district import District as Story
from demo.holdings import holdings
from demo.nights import District, folder, night, platforms
from demo.places import Places

NIGHTS = (
    date(2026, 10, 5),
    date(2026, 10, 6),
    date(2026, 10, 20),
    date(2027, 1, 11),
    date(2027, 2, 1),
    date(2027, 6, 15),
    date(2027, 6, 30),
    date(2027, 7, 2),
    date(2027, 8, 16),
    date(2027, 9, 7),
    date(2027, 10, 1),
    date(2027, 10, 15),
)
ALLOW = (
    "--allow",
    "create,update,rename,suspend,restore,remove,drop",
    "--why",
    "weeks lie between two nights of the demo's year",
)
# files stay the same for weeks, and in a school of a handful the summer looks like a collapse
TRUST = {"TRUST__HOLD_AFTER_DAYS": "false", "TRUST__SCHOOL_ROWS": "20"}
NIGHTS_UNTIL_LEFT = (
    5  # seeds/absence_policy.csv: a student in no extract may be taken for gone from then on
)


@dataclass(frozen=True)
class Days:
    """Of students: the days of grace, over how many nights more those are spread who waited through
    a summer, the day of the year from which graduates are closed, and the spans on which timers
    stand.
    """

    grace: int
    spread: int
    graduates: str
    standing: list[tuple[date, date]]


@dataclass
class Expected:
    """What the year has shown so far: since which night each student has been gone, and for how
    many nights unlisted.
    """

    gone_since: dict[str, date] = field(default_factory=dict)
    unlisted: dict[str, int] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)

    def students(
        self,
        listed: Iterable[tuple[str, bool]],
        tonight: date,
        days: Days,
        graduates: AbstractSet[str] = frozenset(),
    ) -> dict[str, bool]:
        """Student number -> must the account be open tonight (True) or closed (False); left out
        where either may be: whom the summer made wait together go one after another.
        """
        wanted: dict[str, bool] = {}
        now = dict(listed)
        for number, enrolled in now.items():
            self.unlisted.pop(number, None)
            if enrolled:
                self.gone_since.pop(number, None)
                self.known.add(number)
                wanted[number] = True
            elif number in self.known:
                since = self.gone_since.setdefault(number, tonight)
                passed = counted(since, tonight, days.standing)
                together = days.spread if passed < (tonight - since).days else 0
                if passed >= days.grace + together:
                    wanted[number] = False
                elif passed < days.grace and not (
                    together and number in graduates and f"{tonight:%m-%d}" >= days.graduates
                ):
                    wanted[number] = True
        for number in self.known - now.keys():
            self.unlisted[number] = self.unlisted.get(number, 0) + 1
            if self.unlisted[number] < NIGHTS_UNTIL_LEFT and number not in self.gone_since:
                wanted[number] = True
        return wanted


def counted(since: date, until: date, standing: list[tuple[date, date]]) -> int:
    """The days from one night to another on which timers run."""
    days = (since + timedelta(days=n) for n in range(1, (until - since).days + 1))
    return sum(not any(first <= day <= last for first, last in standing) for day in days)


def day_of(when: date) -> int:
    """The number of a weekday in the demo; the inverse of `date_of`."""
    weeks, weekday = divmod((when - DAY_0).days, 7)
    return weeks * 5 + weekday


def live(students: int, seed: int, say: Any = print) -> int:
    """Live through the nights in the folder of a district that was just begun; how many accounts
    were wrong in all.
    """
    days = seed_days()
    expected, wrong = Expected(), 0
    places: dict[str, tuple[str, int]] = {}  # student number -> school and grade, the night before
    groups: dict[str, dict[str, set[str]]] = {}
    for when in NIGHTS:
        today = District(students, seed, day_of(when))
        today.write()
        with platforms() as environment:
            code = night(today, environment | TRUST, *ALLOW)
        if code == 1:
            raise RuntimeError(
                f"the night of {when} ended in an error; its report stands in"
                f" {folder().parent / 'runs' / 'latest'}"
            )
        story = [
            student
            for zone in Story(students, seed).on(today.day).zones()
            for student in zone.students
        ]
        wanted = expected.students(
            ((s.number, s.status != INACTIVE) for s in story),
            when,
            days,
            {s.number for s in story if s.grade == 12},
        )
        staff = {
            str(row[0]): not row[8] or date.fromisoformat(row[8]) >= when
            for row in hr.employees(students=students, seed=seed, day=today.day)
        }
        people = _people()
        must = {
            person: (wanted if population == "student" else staff).get(key)
            for person, population, key in people
        }
        before, places = places, {s.number: (s.school.number, s.grade) for s in story}
        stayed = {
            person
            for person, population, key in people
            if population == "student" and before.get(key) == places.get(key) and wanted.get(key)
        }
        words = []
        for platform in ("google", "microsoft"):
            state = holdings(
                platform,
                json.loads(Places.within(folder()).state_of(platform).read_text(encoding="utf-8")),
            )
            open_now = _accounts(platform, state["users"])
            earlier, groups[platform] = groups.get(platform, {}), _groups(platform, state)
            trouble = [
                f"{person} is {'closed' if wants else 'open'}"
                for person, wants in must.items()
                if person in open_now and wants is (not open_now[person])
            ]
            waiting = _waiting(
                platform
            )  # for a person's word: an account of others bears their name
            trouble += [
                f"{person} has no account"
                for person, wants in must.items()
                if wants and person not in open_now and person not in waiting
            ]
            trouble += [
                f"{person} has an account before anybody decided"
                for person in waiting & open_now.keys()
            ]
            if is_summer(when):
                trouble += [
                    f"{person} lost a group"
                    for person in stayed
                    if earlier.get(person, set()) - groups[platform].get(person, set())
                ]
            wrong += len(trouble)
            belong = sum(map(len, groups[platform].values()))
            words.append(
                f"{platform} {sum(open_now.values())} open,"
                f" {len(open_now) - sum(open_now.values())} closed, {len(waiting)} wait,"
                f" {belong} memberships"
                + (f"; WRONG: {', '.join(trouble[:5])} ({len(trouble)} in all)" if trouble else "")
            )
        say(f"{when} exit {code}: " + "; ".join(words))
    return wrong


def seed_days() -> Days:
    """What the seeds say of students who leave."""
    rules = [
        r
        for r in _rows("lifecycle_rules")
        if (r["population"], r["record"], r["to_state"]) == ("student", "left", "suspended")
        and r["from_state"] != "new"
    ]
    ordinary = [r for r in rules if not (r["grade_code"] or r["first_day"])]
    (grace,) = {int(r["days"]) for r in ordinary}
    (graduates,) = (r["first_day"] for r in rules if r["first_day"])
    spans = [
        r
        for r in _rows("school_calendar")
        if r["population"] == "student" and r["timers"] == "stand"
    ]
    return Days(
        grace,
        max(int(r["spread_days"] or 0) for r in ordinary),
        graduates,
        [(date.fromisoformat(r["starts_on"]), date.fromisoformat(r["ends_on"])) for r in spans],
    )


def _rows(seed: str) -> list[dict[str, str]]:
    with (root() / "seeds" / f"{seed}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _people() -> list[tuple[str, str, str]]:
    """(person id, population, student number or staff id), as the ledger knows them; students no
    school lists are left out.
    """
    with duckdb.connect(str(published()), read_only=True) as connection:
        return connection.execute(
            """
            select persons.person_id, persons.population, coalesce(staff.staff_id,
            persons.source_key)
            from identity.persons as persons
            join identity.person_records as records using (person_id)
            left join core.staff as staff on staff.staff_key = persons.source_key
            and persons.population = 'staff'
            where persons.population = 'staff' or records.school_number is not null"""
        ).fetchall()


def _waiting(platform: str) -> set[str]:
    """Whose account somebody has to decide on first."""
    with duckdb.connect(str(published()), read_only=True) as connection:
        found = connection.execute(
            "select person_id from identity.account_matches where target = ? and decision = 'wait'",
            [platform],
        ).fetchall()
    return {person for (person,) in found}


def _accounts(platform: str, users: list[dict[str, Any]]) -> dict[str, bool]:
    """Person id -> is the account open."""
    if platform == "google":
        keyed = (
            (
                user.get("customSchemas", {}).get("Homeroom", {}).get("person_id"),
                not user["suspended"],
            )
            for user in users
        )
    else:
        keyed = (
            (
                (user.get("onPremisesExtensionAttributes") or {}).get("extensionAttribute15"),
                user["accountEnabled"],
            )
            for user in users
        )
    return {person: is_open for person, is_open in keyed if person}


def _groups(platform: str, state: dict[str, Any]) -> dict[str, set[str]]:
    """Person id -> the groups the person is in."""
    if platform == "google":
        names = {
            user["primaryEmail"]: user.get("customSchemas", {}).get("Homeroom", {}).get("person_id")
            for user in state["users"]
        }
        pairs = [(names.get(one["member"]), one["group"]) for one in state["members"]]
    else:
        names = {
            user["userPrincipalName"]: (
                (user.get("onPremisesExtensionAttributes") or {}).get("extensionAttribute15")
            )
            for user in state["users"]
        }
        pairs = [(names.get(one["userPrincipalName"]), one["group"]) for one in state["members"]]
    found: dict[str, set[str]] = {}
    for person, group in pairs:
        if person:
            found.setdefault(person, set()).add(group)
    return found
