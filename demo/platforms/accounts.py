"""What stands in the two tenants before Homeroom ever runs: accounts, groups and org units made by
hand over the years.

None of it carries a key of Homeroom, and none of it may change. Many of the names are the ones
Homeroom would like to give to somebody else, as principal address, as alias, as group or as deleted
account.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from demo.platforms.google_tenant import CUSTOMER
from demo.platforms.google_tenant import Tenant as Google
from demo.platforms.microsoft_tenant import Tenant as Microsoft

STAFF, STUDENTS = "sd74.example", "student.sd74.example"
ADMIN = f"homeroom.admin@{STAFF}"
MADE_AT = "2021-08-30T16:20:00"
DELETED_DAYS_AGO = 3

# (local part, given name, family name, domain, other addresses)
PEOPLE: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    ("liam.smith", "Liam", "Smith", STUDENTS, ()),
    ("olivia.brown", "Olivia", "Brown", STUDENTS, ("o.brown", "olivia.b")),
    ("noah.johnson", "Noah", "Johnson", STUDENTS, ()),
    ("emma.wilson", "Emma", "Wilson", STUDENTS, ("emma.w",)),
    ("oliver.martin", "Oliver", "Martin", STUDENTS, ()),
    ("charlotte.lee", "Charlotte", "Lee", STUDENTS, ("char.lee",)),
    ("theodore.chan", "Theodore", "Chan", STUDENTS, ()),
    ("amelia.singh", "Amelia", "Singh", STUDENTS, ()),
    ("lucas.anderson", "Lucas", "Anderson", STUDENTS, ("luke.anderson",)),
    ("sophia.taylor", "Sophia", "Taylor", STUDENTS, ()),
    ("jack.macdonald", "Jack", "MacDonald", STUDENTS, ()),
    ("maya.gill", "Maya", "Gill", STUDENTS, ()),
    ("william.campbell", "William", "Campbell", STUDENTS, ("bill.campbell",)),
    ("ava.thompson", "Ava", "Thompson", STUDENTS, ()),
    ("ethan.wong", "Ethan", "Wong", STUDENTS, ()),
    ("isla.stewart", "Isla", "Stewart", STUDENTS, ()),
    ("benjamin.white", "Benjamin", "White", STUDENTS, ("ben.white",)),
    ("chloe.tremblay", "Chloe", "Tremblay", STUDENTS, ()),
    ("david.smith", "David", "Smith", STAFF, ("dave.smith",)),
    ("jennifer.brown", "Jennifer", "Brown", STAFF, ("jen.brown",)),
    ("michael.wilson", "Michael", "Wilson", STAFF, ()),
    ("sarah.johnson", "Sarah", "Johnson", STAFF, ()),
    ("robert.taylor", "Robert", "Taylor", STAFF, ("bob.taylor",)),
    ("susan.lee", "Susan", "Lee", STAFF, ()),
    ("james.campbell", "James", "Campbell", STAFF, ()),
    ("karen.singh", "Karen", "Singh", STAFF, ()),
    ("mark.anderson", "Mark", "Anderson", STAFF, ()),
    ("lisa.martin", "Lisa", "Martin", STAFF, ("lisa.tremblay",)),
    ("superintendent", "Office of the", "Superintendent", STAFF, ()),
    ("secretary.treasurer", "Secretary", "Treasurer", STAFF, ()),
    ("helpdesk", "IT", "Help Desk", STAFF, ("support",)),
    ("scanner.library", "Library", "Scanner", STAFF, ()),
    ("bus.garage", "Bus", "Garage", STAFF, ("transportation",)),
    ("board.trustees", "Board of", "Trustees", STAFF, ()),
    ("events.booking", "Events", "Booking", STAFF, ()),
    ("tv.foyer", "Foyer", "Display", STAFF, ()),
    ("exam.one", "Exam", "One", STUDENTS, ()),
    ("exam.two", "Exam", "Two", STUDENTS, ()),
    ("guest.student", "Guest", "Student", STUDENTS, ()),
)
DELETED = ("mia.roy", "Mia", "Roy", STUDENTS)
UNITS = (
    ("/IT", "Accounts made by hand"),
    ("/IT/Kiosks", "Displays and scanners"),
    ("/Shared mailboxes", "Nobody signs in here"),
)
# (local part, name, description, members by local part)
GROUPS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    (
        "all.staff",
        "All staff",
        "Kept by the communications office",
        ("david.smith", "jennifer.brown", "michael.wilson", "sarah.johnson"),
    ),
    (
        "principals",
        "Principals and vice-principals",
        "Kept by the board office",
        ("james.campbell", "karen.singh"),
    ),
    ("jazz.band", "Jazz band", "Made by a teacher", ("liam.smith", "maya.gill", "lisa.martin")),
    (
        "emily.jones",
        "Emily Jones bursary committee",
        "A group whose address looks like a person's",
        ("susan.lee",),
    ),
)
SKUS = (
    ("314c4481-f395-4525-be8b-2ec4bb1e9d91", "STANDARDWOFFPACK_STUDENT", 200_000),
    ("94763226-9b3c-4e75-a931-5c89701abe66", "STANDARDWOFFPACK_FACULTY", 20_000),
)


def _unit(local: str) -> str:
    if local in ("tv.foyer", "scanner.library"):
        return "/IT/Kiosks"
    return (
        "/Shared mailboxes"
        if local in ("superintendent", "board.trustees", "events.booking")
        else "/"
    )


def fill_google(tenant: Google) -> None:
    """Everything above, into an empty tenant."""
    store = tenant.store
    for path, description in UNITS:
        unit = {
            "etag": tenant.etag(),
            "name": path.rpartition("/")[2],
            "description": description,
            "orgUnitPath": path,
        }
        store.put("org_units", path.lower(), unit | {"orgUnitId": tenant.new_code("id:03ph8a2z")})
    for local, given, family, domain, others in (
        (ADMIN.split("@", maxsplit=1)[0], "Homeroom", "Administrator", STAFF, ()),
        *PEOPLE,
    ):
        user = google_user(tenant, local, given, family, domain) | {
            "aliases": [f"{one}@{domain}" for one in others],
            "orgUnitPath": _unit(local),
        }
        user["isAdmin"] = user["primaryEmail"] == ADMIN
        store.put("users", user["id"], user)
        for address in (user["primaryEmail"], *user["aliases"]):
            store.put("addresses", address, ["user", user["id"]])
    gone = google_user(tenant, *DELETED)
    deleted_at = (datetime.now(UTC) - timedelta(days=DELETED_DAYS_AGO)).strftime(
        "%Y-%m-%dT%H:%M:%S.000Z"
    )
    store.put("deleted", gone["id"], gone | {"deletionTime": deleted_at})
    for local, name, description, members in GROUPS:
        group = {
            "id": tenant.new_code("0"),
            "etag": tenant.etag(),
            "email": f"{local}@{STAFF}",
            "name": name,
            "description": description,
            "aliases": [],
        }
        store.put("groups", group["id"], group)
        store.put("addresses", group["email"], ["group", group["id"]])
        roles = {_id_of(store["users"], "primaryEmail", one): "MEMBER" for one in members}
        store.put(
            "members", group["id"], roles | {_id_of(store["users"], "primaryEmail", ADMIN): "OWNER"}
        )
    store.commit(0)


def google_user(tenant: Google, local: str, given: str, family: str, domain: str) -> dict[str, Any]:
    return {
        "id": tenant.new_user_id(),
        "etag": tenant.etag(),
        "primaryEmail": f"{local}@{domain}",
        "name": {"givenName": given, "familyName": family, "fullName": f"{given} {family}"},
        "isAdmin": False,
        "isDelegatedAdmin": False,
        "lastLoginTime": f"{MADE_AT}.000Z",
        "creationTime": f"{MADE_AT}.000Z",
        "agreedToTerms": True,
        "suspended": False,
        "archived": False,
        "changePasswordAtNextLogin": False,
        "ipWhitelisted": False,
        "aliases": [],
        "customerId": CUSTOMER,
        "orgUnitPath": "/",
        "isMailboxSetup": True,
        "isEnrolledIn2Sv": False,
        "isEnforcedIn2Sv": False,
        "includeInGlobalAddressList": True,
    }


def _id_of(users: Any, field: str, name: str) -> str:
    """The id of the account with that address or local part."""
    return next(
        key
        for key, user in users.items()
        if user[field] == name or user[field].split("@")[0] == name
    )


def fill_microsoft(tenant: Microsoft) -> None:
    """The same people and groups, as the other tenant's administrators made them."""
    store = tenant.store
    for sku_id, name, seats in SKUS:
        store.put(
            "skus",
            sku_id,
            {
                "id": f"{sku_id}_sku",
                "skuId": sku_id,
                "skuPartNumber": name,
                "capabilityStatus": "Enabled",
                "consumedUnits": 0,
                "prepaidUnits": {"enabled": seats, "suspended": 0, "warning": 0},
            },
        )
    for local, given, family, domain, others in (
        (ADMIN.split("@", maxsplit=1)[0], "Homeroom", "Administrator", STAFF, ()),
        *PEOPLE,
    ):
        user = microsoft_user(tenant, local, given, family, domain)
        user["proxyAddresses"] = [
            f"SMTP:{local}@{domain}",
            *(f"smtp:{one}@{domain}" for one in others),
        ]
        store.put("users", user["id"], user)
        for address in (f"{local}@{domain}", *(f"{one}@{domain}" for one in others)):
            store.put("addresses", address, ["users", user["id"]])
    store.put(
        "roles",
        tenant.new_id(),
        {
            "displayName": "Global Administrator",
            "members": {_id_of(store["users"], "userPrincipalName", ADMIN): "user"},
        },
    )
    gone = microsoft_user(tenant, *DELETED)
    deleted_at = (datetime.now(UTC) - timedelta(days=DELETED_DAYS_AGO)).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )
    store.put("deleted_users", gone["id"], gone | {"deletedDateTime": deleted_at})
    for local, name, description, members in GROUPS:
        unified = local == "all.staff"
        group = {
            "id": tenant.new_id(),
            "createdDateTime": f"{MADE_AT}Z",
            "displayName": name,
            "description": description,
            "mailNickname": local,
            "mailEnabled": unified,
            "securityEnabled": not unified,
            "groupTypes": ["Unified"] if unified else [],
        }
        if unified:
            group |= {
                "mail": f"{local}@{STAFF}",
                "proxyAddresses": [f"SMTP:{local}@{STAFF}"],
                "visibility": "Private",
            }
            store.put("nicknames", local, group["id"])
            store.put("addresses", f"{local}@{STAFF}", ["groups", group["id"]])
        store.put("groups", group["id"], group)
        store.put(
            "members",
            group["id"],
            {_id_of(store["users"], "userPrincipalName", one): "user" for one in members},
        )
        store.put(
            "owners", group["id"], {_id_of(store["users"], "userPrincipalName", ADMIN): "user"}
        )
    store.commit(0)


def microsoft_user(
    tenant: Microsoft, local: str, given: str, family: str, domain: str
) -> dict[str, Any]:
    return {
        "id": tenant.new_id(),
        "createdDateTime": f"{MADE_AT}Z",
        "userType": "Member",
        "userPrincipalName": f"{local}@{domain}",
        "mailNickname": local,
        "displayName": f"{given} {family}",
        "givenName": given,
        "surname": family,
        "accountEnabled": True,
        "usageLocation": "CA",
        "mail": f"{local}@{domain}",
    }
