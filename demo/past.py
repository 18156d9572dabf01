"""What stood in the tenants, and in the ledger, before the first night of the demo, for planted
people (`cases`).

Always: accounts of people who are on staff now, one kept by an on-premises directory, one an
administrator's, one in Google alone; a stranger's and a guest's under the names of students. None
carries our key.

In a district that is *lived in* (`python -m demo run --lived-in`): accounts Homeroom made and
stamped in earlier years, and the ledger that knows their names and where each person stood when the
nights stopped in spring. That is how closed and archived accounts, an account opened again and
people under a hold are there after two nights from nothing.

In: the district's folder. Out: the tenants' states, and the ledger's persons, accounts, lifecycle
events and licences given.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
import yaml

from common import store
from common.paths import root
from common.problems import Reason
from demo import cases
from demo.district import District, Student
from demo.people import plain
from demo.places import Places
from demo.platforms import accounts, google_tenant, microsoft_tenant
from demo.platforms.faults import Faults
from demo.platforms.store import Store
from demo.schools import grade_code
from demo.staff import Staffer

BEGAN = date(2025, 9, 8)
# case: the states Homeroom had taken the person through, each with the day it began
STORIES: dict[str, tuple[tuple[str, date], ...]] = {
    # graces of 14 days: the summer's do not count, so nine days of June and five of October make
    # the first one full on day 0
    "grace_ends_first_night": (("active", BEGAN), ("grace", date(2026, 6, 21))),
    "grace_ends_second_night": (("active", BEGAN), ("grace", date(2026, 6, 22))),
    "grace_goes_on": (("active", BEGAN), ("grace", date(2026, 6, 23))),
    # 90 days, 92 of them in summer not counted: full on day 1
    "archived_second_night": (
        ("active", BEGAN),
        ("grace", date(2026, 3, 24)),
        ("suspended", date(2026, 4, 7)),
    ),
    "archived_long_ago": (
        ("active", date(2024, 9, 9)),
        ("grace", date(2025, 5, 5)),
        ("suspended", date(2025, 5, 19)),
        ("archived", date(2025, 8, 20)),
    ),
    "came_back": (
        ("active", BEGAN),
        ("grace", date(2026, 4, 15)),
        ("suspended", date(2026, 4, 29)),
    ),
    "held_leaver": (("active", BEGAN),),
    "held_renamed": (("active", BEGAN),),
    "staff_archived": (("active", BEGAN), ("suspended", date(2026, 5, 1))),
    "staff_held": (("active", BEGAN),),
    "staff_held_until_tonight": (("active", BEGAN),),
    "staff_held_until_yesterday": (("active", BEGAN),),
}
_RECORDS = {"active": "active", "grace": "left", "suspended": "left", "archived": "left"}
_REASONS = {
    ("student", "left"): "withdrawn",
    ("staff", "left"): "employment_ended",
    ("student", "active"): "enrolled",
    ("staff", "active"): "employed",
}


@dataclass(frozen=True)
class Known:
    """Somebody Homeroom knew: the key the accounts carry, the names of then, the address, and the
    state the nights stopped in.
    """

    case: str
    key: str
    population: str
    source_key: str
    first: str
    last: str
    address: str
    state: str
    unit: str
    school: str
    position: str

    @property
    def is_open(self) -> bool:
        return self.state in ("active", "grace")

    @property
    def licence(self) -> str:
        """Microsoft's product; whoever was archived had given it back."""
        return (
            f"STANDARDWOFFPACK_{'STUDENT' if self.population == 'student' else 'FACULTY'}"
            if self.state != "archived"
            else ""
        )


def person_key(population: str, source_key: str) -> str:
    """The key of a person, as every account of ours carries it."""
    return "p" + hashlib.sha256(f"{population}:{source_key}".encode()).hexdigest()[:15]


def known(students: int, seed: int) -> Iterator[Known]:
    """Everybody with a story."""
    today = District(students, seed).on(0)
    for one in (*cases.students(today), *cases.staff(today, of_school=True)):
        if one.case in STORIES:
            state = STORIES[one.case][-1][0]
            school = today.plan.elementary(0)[0].name
            if isinstance(one, Student):
                first, last, population, source_key, domain = (
                    one.child.first,
                    one.child.last,
                    "student",
                    one.number,
                    accounts.STUDENTS,
                )
                unit, position = f"/Students/{school}/{grade_code(one.grade)}", "Student"
            else:
                first, last, population, source_key, domain = (
                    one.first,
                    one.last,
                    "staff",
                    f"E{one.staff_id}",
                    accounts.STAFF,
                )
                unit, position = f"/Staff/{school}", one.position
            is_open = state in ("active", "grace")
            yield Known(
                one.case,
                person_key(population, source_key),
                population,
                source_key,
                first,
                last,
                f"{plain(first)}.{plain(last)}@{domain}",
                state,
                unit if is_open else "/Leavers",
                school,
                position,
            )


def fill(places: Places, students: int, seed: int, *, lived_in: bool) -> None:
    """Write both tenants' states; of a lived-in district the ledger too."""
    google = google_tenant.Tenant(Store(places.state_of("google"), google_tenant.TABLES), Faults())
    microsoft = microsoft_tenant.Tenant(
        Store(places.state_of("microsoft"), microsoft_tenant.TABLES), Faults()
    )
    accounts.fill_google(google)
    accounts.fill_microsoft(microsoft)
    _stand(google, microsoft, District(students, seed))
    if lived_in:
        people = list(known(students, seed))
        _units(google, people)
        for one in people:
            _ours(google, microsoft, one)
        _remember(people)
    for tenant in (google, microsoft):
        tenant.store.commit(0)
        tenant.store.save()


def address_of(person: Staffer) -> str:
    """What somebody on staff was called before: not as Homeroom would call them."""
    return f"{plain(person.first)[:1]}{plain(person.last)}@{accounts.STAFF}"


def _stand(
    google: google_tenant.Tenant, microsoft: microsoft_tenant.Tenant, district: District
) -> None:
    """Accounts without our key. `staff_half_synced` is certain in Google; the others wait for a
    person's word.
    """
    for one in cases.staff(district.on(0), of_school=True):
        if one.case in ("staff_admin", "staff_half_synced"):
            made = accounts.google_user(
                google, address_of(one).partition("@")[0], one.first, one.last, accounts.STAFF
            )
            _put_google(
                google,
                made
                | {
                    "isAdmin": one.case == "staff_admin",
                    "externalIds": [{"type": "organization", "value": one.staff_id}],
                },
            )
        if one.case in ("staff_synced", "staff_half_synced"):
            other = accounts.microsoft_user(
                microsoft, address_of(one).partition("@")[0], one.first, one.last, accounts.STAFF
            )
            _put_microsoft(
                microsoft, other | {"employeeId": one.staff_id, "onPremisesSyncEnabled": True}
            )
    first, last, _ = cases.STUDENTS["name_of_a_guest"]
    guest = accounts.microsoft_user(
        microsoft, f"{plain(first)}.{plain(last)}_example.org#EXT#", first, last, accounts.STAFF
    )
    _put_microsoft(
        microsoft,
        guest | {"userType": "Guest", "mail": f"{plain(first)}.{plain(last)}@example.org"},
    )


def _units(google: google_tenant.Tenant, people: list[Known]) -> None:
    parts = [one.unit.split("/") for one in people]
    for path in sorted(
        {"/".join(part[:depth]) for part in parts for depth in range(2, len(part) + 1)}
    ):
        unit = {
            "etag": google.etag(),
            "name": path.rpartition("/")[2],
            "description": "",
            "orgUnitPath": path,
        }
        google.store.put(
            "org_units", path.lower(), unit | {"orgUnitId": google.new_code("id:03ph8a2z")}
        )


def _ours(google: google_tenant.Tenant, microsoft: microsoft_tenant.Tenant, one: Known) -> None:
    local, _, domain = one.address.partition("@")
    made = accounts.google_user(google, local, one.first, one.last, domain)
    _put_google(
        google,
        made
        | {
            "suspended": not one.is_open,
            "archived": one.state == "archived",
            "orgUnitPath": one.unit,
            "customSchemas": {"Homeroom": {"person_id": one.key}},
        },
    )
    other = accounts.microsoft_user(microsoft, local, one.first, one.last, domain)
    products = {product: sku for sku, product, _ in accounts.SKUS}
    licences = [{"skuId": products[one.licence], "disabledPlans": []}] if one.licence else []
    for sku in (microsoft.store["skus"][held["skuId"]] for held in licences):
        microsoft.store.put("skus", sku["skuId"], sku | {"consumedUnits": sku["consumedUnits"] + 1})
    _put_microsoft(
        microsoft,
        other
        | {
            "accountEnabled": one.is_open,
            "department": one.school,
            "jobTitle": one.position,
            "assignedLicenses": licences,
            "onPremisesExtensionAttributes": {"extensionAttribute15": one.key},
        },
    )


def _put_google(google: google_tenant.Tenant, user: dict[str, Any]) -> None:
    google.store.put("users", user["id"], user)
    google.store.put("addresses", user["primaryEmail"], ["user", user["id"]])


def _put_microsoft(microsoft: microsoft_tenant.Tenant, user: dict[str, Any]) -> None:
    microsoft.store.put(
        "users", user["id"], user | {"proxyAddresses": [f"SMTP:{user['userPrincipalName']}"]}
    )
    microsoft.store.put("addresses", user["userPrincipalName"].lower(), ["users", user["id"]])


def _remember(people: list[Known]) -> None:
    """The ledger as the nights of spring left it."""
    rows: dict[str, list[tuple[object, ...]]] = {
        "persons": [],
        "accounts": [],
        "lifecycle_events": [],
    }
    for one in people:
        local, _, domain = one.address.partition("@")
        names = f"{plain(one.first)}|{plain(one.last)}"
        rule = "student_number" if one.population == "student" else "staff_id"
        rows["persons"].append(
            (one.key, one.population, one.source_key, STORIES[one.case][0][1], rule)
        )
        rows["accounts"].append(
            (
                one.key,
                local,
                domain,
                local,
                1,
                "2025/pattern",
                STORIES[one.case][0][1],
                1,
                f"{names}|{names}",
                365,
            )
        )
        for number, (state, since) in enumerate(STORIES[one.case], start=1):
            record = _RECORDS[state]
            rows["lifecycle_events"].append(
                (
                    one.key,
                    number,
                    state,
                    _REASONS[one.population, record],
                    since,
                    since,
                    "spring",
                    record,
                    "of last spring",
                    None,
                )
            )
    with store.connect() as connection:
        connection.execute("create schema if not exists ledger.identity")
        for name, values in rows.items():
            columns = _columns(name)
            connection.execute(
                "create table if not exists"
                f" ledger.identity.{name} ({', '.join(f'{column} {kind}' for column, kind in columns)})"  # noqa: E501
            )
            connection.executemany(
                f"insert into ledger.identity.{name} values ({', '.join('?' * len(columns))})",
                values,
            )
        # only what Homeroom closed is opened again
        _closed(connection, [one for one in people if not one.is_open])
        # only a licence that Homeroom gave is taken back
        columns = [
            ("_key", "varchar"),
            *_columns("exp_microsoft__licences"),
            ("run_id", "varchar"),
            ("applied_at", "timestamptz"),
        ]
        connection.execute(
            "create table ledger.applied.microsoft__licences"
            f" ({', '.join(f'{column} {kind}' for column, kind in columns)})"
        )
        given = [
            (f"{one.key}|{one.licence}", one.key, one.licence) for one in people if one.licence
        ]
        connection.executemany(
            "insert into ledger.applied.microsoft__licences (_key, person_id, licence) values (?,"
            " ?, ?)",
            given,
        )


def _closed(connection: duckdb.DuckDBPyConnection, people: list[Known]) -> None:
    """That Homeroom closed their accounts in spring."""
    for target, column, off in (
        ("google", "suspended", True),
        ("microsoft", "account_enabled", False),
    ):
        for one in people:
            change_id = hashlib.sha256(f"{target}|{one.key}|closed".encode()).hexdigest()[:16]
            connection.execute(
                "insert into ledger.audit.planned_changes (change_id, plan_id, run_id, planned_at,"
                " target, entity, key, subject, action, old, new, reason, export_model, source,"
                " seq) values (?, 'spring', 'spring', ?, ?, 'users', ?, ?, 'suspend', ?, ?, ?, ?,"
                " ?, 1)",
                [
                    change_id,
                    STORIES[one.case][-1][1],
                    target,
                    one.key,
                    one.key,
                    json.dumps({column: not off}),
                    json.dumps({column: off}),
                    Reason("change_left").json,
                    f"exp_{target}__users",
                    f"{one.population}_of_spring.csv#{change_id[:12]}:2",
                ],
            )
            connection.execute(
                "insert into ledger.audit.outcomes (change_id, run_id, target, status, attempts,"
                " code, finished_at) values (?, 'spring', ?, 'applied', 1, 200, ?)",
                [change_id, target, STORIES[one.case][-1][1]],
            )


def _columns(model: str) -> list[tuple[str, str]]:
    """Columns and types of a table, as its model's contract has them."""
    (file,) = (root() / "models").rglob(f"{model}.yml")
    contract = yaml.safe_load(file.read_text(encoding="utf-8"))["models"][0]
    return [
        (column["name"], {"string": "varchar"}.get(column["data_type"], column["data_type"]))
        for column in contract["columns"]
    ]
