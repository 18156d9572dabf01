"""The accounts a district's people had before Homeroom, with the faults of the years: `python -m
demo run --accounts-before`.

In: the district's people on a day, and two empty tenants. Out: an account without our key in each
for nearly everybody, and for each person in which way the account is spoilt (see CASES). Who gets
which case follows from the order of the keys alone, so a test knows it too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.district import INACTIVE, District
from demo.people import plain
from demo.places import Places
from demo.platforms import accounts, google_tenant, microsoft_tenant
from demo.platforms.faults import Faults
from demo.platforms.store import Store

# What a matching rule must make of each: adopt it in both tenants, in Google alone, wait for a
# person, or make a new account.
CASES = {
    "good": "adopt",
    "misspelt": "adopt",
    "google_only": "adopt",
    "none": "create",
    "twice": "wait",
    "name_only": "wait",
    "admin": "wait",
    "closed": "wait",
    "somebody_elses_number": "wait",
}
ORDER = (
    "good",
    "misspelt",
    "good",
    "none",
    "good",
    "name_only",
    "good",
    "good",
    "twice",
    "google_only",
    "good",
    "admin",
    "good",
    "closed",
    "good",
    "somebody_elses_number",
    "good",
    "good",
    "good",
    "good",
)


@dataclass(frozen=True)
class Person:
    """Somebody who had an account: the number the account carries, the names on it, and whether
    they are still here.
    """

    number: str
    first: str
    last: str
    domain: str
    is_here: bool


def people(students: int, seed: int) -> Iterator[Person]:
    """Everybody with a number of their own on day 0, in a fixed order."""
    today = District(students, seed).on(0)
    for zone in today.zones():
        for student in zone.students:
            names = (
                student.usual_first or student.child.first,
                student.usual_last or student.child.last,
            )
            yield Person(
                student.number,
                *names,
                accounts.STUDENTS,
                student.present and student.status != INACTIVE,
            )
        for school in today.plan.zones[zone.number]:
            for person in today.roster(school).in_hr():
                yield Person(
                    person.staff_id,
                    person.usual_first or person.first,
                    person.last,
                    accounts.STAFF,
                    person.left_on is None,
                )


def fill(places: Places, students: int, seed: int) -> None:
    """Write both tenants' states and `before.json`: the number of each person -> case
    and address.
    """
    google = google_tenant.Tenant(Store(places.state_of("google"), google_tenant.TABLES), Faults())
    microsoft = microsoft_tenant.Tenant(
        Store(places.state_of("microsoft"), microsoft_tenant.TABLES), Faults()
    )
    accounts.fill_google(google)
    accounts.fill_microsoft(microsoft)
    everybody = sorted(
        (one for one in people(students, seed) if plain(one.first) and plain(one.last)),
        key=lambda one: one.number,
    )
    names: dict[tuple[str, str, str], int] = {}
    for one in everybody:
        names[plain(one.first), plain(one.last), one.domain] = (
            names.get((plain(one.first), plain(one.last), one.domain), 0) + 1
        )
    told: dict[str, dict[str, Any]] = {}
    for place, one in enumerate(everybody):
        alone = names[plain(one.first), plain(one.last), one.domain] == 1 and not any(
            (plain(given), plain(family)) == (plain(one.first), plain(one.last))
            for _, given, family, _, _ in accounts.PEOPLE
        )
        case = (
            ("good" if one.is_here else "left")
            if not alone or not one.is_here
            else ORDER[place % len(ORDER)]
        )
        local = f"{plain(one.first)[:1]}{plain(one.last)}{place}"
        told[one.number] = {"case": case, "address": f"{local}@{one.domain}"}
        if case != "none":
            _put(google, microsoft, one, case, local)
    google.store.save()
    microsoft.store.save()
    (places.state / "before.json").write_text(json.dumps(told), encoding="utf-8")


def told(folder: Path) -> dict[str, dict[str, Any]]:
    """What `fill` said of each number."""
    return json.loads((Places.within(folder).state / "before.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def _put(
    google: google_tenant.Tenant,
    microsoft: microsoft_tenant.Tenant,
    one: Person,
    case: str,
    local: str,
) -> None:
    last = (
        one.last
        if case != "misspelt"
        else one.last[:-1] + ("a" if not one.last.endswith("a") else "e") + "h"
    )
    given, family = (
        ("Somebody", "Elsewhere") if case == "somebody_elses_number" else (one.first, last)
    )
    number = None if case == "name_only" else f"0{one.number}" if case == "misspelt" else one.number
    for copy in ("", ".old") if case == "twice" else ("",):
        made = accounts.google_user(google, local + copy, given, family, one.domain)
        made |= {"suspended": case == "closed", "isAdmin": case == "admin"}
        if number:
            made["externalIds"] = [{"type": "organization", "value": number}]
        google.store.put("users", made["id"], made)
        google.store.put("addresses", made["primaryEmail"], ["user", made["id"]])
        if case == "google_only":
            continue
        other = accounts.microsoft_user(microsoft, local + copy, given, family, one.domain)
        other |= {
            "accountEnabled": case != "closed",
            "proxyAddresses": [f"SMTP:{local}{copy}@{one.domain}"],
        }
        if number:
            other["employeeId"] = number
        microsoft.store.put("users", other["id"], other)
        microsoft.store.put("addresses", other["userPrincipalName"], ["users", other["id"]])
        if case == "admin":
            (role, held) = next(iter(microsoft.store["roles"].items()))
            microsoft.store.put(
                "roles", role, held | {"members": held["members"] | {other["id"]: "user"}}
            )
