"""One Microsoft Entra tenant: its lookups, its properties and the wording of its refusals.

Facts: Microsoft's Graph v1.0 documentation and its CSDL metadata. Where only field reports exist
(the message of a duplicate member, an object that is not there yet), those are followed.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from demo.platforms.faults import Faults
from demo.platforms.http import RefusalError, Reply
from demo.platforms.store import Pages, Store

TENANT_ID = "5d740000-0074-4074-8074-00000000aaaa"
DOMAINS = ("sd74.example", "student.sd74.example")
TABLES = (
    "users",
    "groups",
    "deleted_users",
    "deleted_groups",
    "addresses",
    "unique_names",
    "nicknames",
    "members",
    "owners",
    "managers",
    "skus",
    "roles",
    "counters",
    "classes",
    "teams",
    "contacts",
    "changes",
)
WATCHED = ("users", "groups", "members", "managers")  # of which deltas are asked
MOST_OBJECTS = 300_000  # of a tenant with a verified domain; deleted ones count
UPN = re.compile(r"[A-Za-z0-9'.\-_!#^~]{1,64}@[A-Za-z0-9.-]{1,48}")

TEXT, FLAG, LIST, OBJECT = "text", "flag", "list", "object"
# writable properties of a user and the longest value of each text
USER_TEXTS = {
    "userPrincipalName": 113,
    "mailNickname": 64,
    "displayName": 256,
    "givenName": 64,
    "surname": 64,
    "department": 64,
    "companyName": 64,
    "jobTitle": 128,
    "city": 128,
    "state": 128,
    "country": 128,
    "postalCode": 40,
    "streetAddress": 1024,
    "mobilePhone": 64,
    "officeLocation": 128,
    "employeeId": 16,
    "employeeType": 128,
    "usageLocation": 2,
    "preferredLanguage": 64,
    "ageGroup": 16,
    "consentProvidedForMinor": 16,
    "onPremisesImmutableId": 256,
    "mail": 320,
    "faxNumber": 64,
    "passwordPolicies": 128,
    "userType": 16,
}
USER_PROPERTIES = {
    **dict.fromkeys(USER_TEXTS, TEXT),
    "accountEnabled": FLAG,
    "businessPhones": LIST,
    "otherMails": LIST,
    "onPremisesExtensionAttributes": OBJECT,
    "passwordProfile": OBJECT,
}
USER_READ_ONLY = (
    "id",
    "createdDateTime",
    "deletedDateTime",
    "proxyAddresses",
    "assignedLicenses",
    "licenseAssignmentStates",
    "onPremisesSyncEnabled",
    "creationType",
)
USER_DEFAULTS = (
    "businessPhones",
    "displayName",
    "givenName",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
    "id",
)
GROUP_TEXTS = {
    "displayName": 256,
    "mailNickname": 64,
    "description": 1024,
    "uniqueName": 256,
    "visibility": 32,
    "classification": 64,
    "membershipRule": 3072,
    "membershipRuleProcessingState": 16,
    "preferredLanguage": 64,
    "theme": 32,
}
GROUP_PROPERTIES = {
    **dict.fromkeys(GROUP_TEXTS, TEXT),
    "mailEnabled": FLAG,
    "securityEnabled": FLAG,
    "isAssignableToRole": FLAG,
    "groupTypes": LIST,
    "resourceBehaviorOptions": LIST,
    "members@odata.bind": LIST,
    "owners@odata.bind": LIST,
}
GROUP_READ_ONLY = (
    "id",
    "createdDateTime",
    "deletedDateTime",
    "mail",
    "proxyAddresses",
    "renewedDateTime",
    "expirationDateTime",
    "onPremisesSyncEnabled",
    "securityIdentifier",
)
GROUP_DEFAULTS = (
    "id",
    "deletedDateTime",
    "classification",
    "createdDateTime",
    "description",
    "displayName",
    "expirationDateTime",
    "groupTypes",
    "isAssignableToRole",
    "mail",
    "mailEnabled",
    "mailNickname",
    "membershipRule",
    "onPremisesSyncEnabled",
    "proxyAddresses",
    "renewedDateTime",
    "resourceBehaviorOptions",
    "securityEnabled",
    "securityIdentifier",
    "theme",
    "visibility",
)
CLASS_TEXTS = {
    "displayName": 256,
    "mailNickname": 64,
    "description": 1024,
    "classCode": 256,
    "externalId": 256,
    "externalName": 256,
    "externalSource": 16,
    "externalSourceDetail": 256,
    "grade": 64,
}
CLASS_PROPERTIES = {**dict.fromkeys(CLASS_TEXTS, TEXT), "term": OBJECT}
CLASS_READ_ONLY = ("id", "createdBy")
ATTRIBUTES = tuple(f"extensionAttribute{number}" for number in range(1, 16))


def refuse(
    status: int,
    code: str,
    message: str,
    details: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> RefusalError:
    """A refusal in the form of Graph; `innerError` is completed where the request is known."""
    error: dict[str, Any] = {"code": code, "message": message}
    if details:
        error["details"] = details
    return RefusalError(Reply(status, {"error": error}, headers or {}))


def bad(message: str, details: list[dict[str, str]] | None = None) -> RefusalError:
    return refuse(400, "Request_BadRequest", message, details)


def conflict(target: str, named: str = "") -> RefusalError:
    """Somebody has that value; some answers name who, as `User_…` or `Contact_…`."""
    message = f"Another object with the same value for property {target} already exists."
    details = [{"code": "ObjectConflict", "message": message, "target": target}]
    if named:
        details.append({"code": "ConflictingObjects", "message": "", "target": named})
    return bad(message, details)


def missing(key: str) -> RefusalError:
    return refuse(
        404,
        "Request_ResourceNotFound",
        f"Resource '{key}' does not exist or one of its queried reference-property objects are not"
        " present.",
    )


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Call:
    """One Graph call: method, path in parts (decoded), query parameters, headers in lower case,
    JSON body.
    """

    method: str
    parts: tuple[str, ...]
    params: Mapping[str, str]
    headers: Mapping[str, str]
    body: dict[str, Any]


class Tenant:
    """State and lookups; what may be done with it stands in microsoft_users and
    microsoft_groups.
    """

    def __init__(self, store: Store, faults: Faults) -> None:
        self.store = store
        self.faults = faults
        self.pages = Pages()
        # listings of changes in progress: what is left of each, by its token
        self.deltas: dict[str, Any] = {}
        self.origin = ""
        self.born: dict[str, float] = {}

    def new_id(self) -> str:
        """Repeatable object ids, so that two demos of the same seed are alike."""
        return str(uuid.uuid5(uuid.UUID(TENANT_ID), str(self.store.number())))

    def remember(self, object_id: str) -> None:
        self.born[object_id] = time.monotonic()

    def check_replicated(self, object_id: str) -> None:
        """An object just made may not be on the replica that is asked."""
        seconds = self.faults.incomplete_creation_seconds
        if seconds > 0 and time.monotonic() < self.born.get(object_id, -seconds) + seconds:
            raise missing(object_id)

    def check_room(self) -> None:
        if (
            sum(
                len(self.store[table])
                for table in ("users", "groups", "deleted_users", "deleted_groups")
            )
            >= MOST_OBJECTS
        ):
            raise refuse(
                403,
                "Directory_QuotaExceeded",
                "The directory object quota limit for the Tenant has been exceeded.",
            )

    def holder(self, address: str) -> tuple[str, str] | None:
        """What a principal name or address belongs to: ("users" | "groups", its id)."""
        found = self.store["addresses"].get(address.lower())
        return (found[0], found[1]) if found else None

    def user(self, key: str) -> dict[str, Any]:
        """A user by object id or principal name."""
        users = self.store["users"]
        found = users.get(key.lower()) if "@" not in key else self._by_name(key)
        if found is None:
            raise missing(key)
        self.check_replicated(found["id"])
        return found  # type: ignore[no-any-return]

    def _by_name(self, name: str) -> dict[str, Any] | None:
        holder = self.holder(name)
        found = self.store["users"].get(holder[1]) if holder and holder[0] == "users" else None
        return (
            found if found and found["userPrincipalName"].lower() == name.lower() else None
        )  # other addresses of a user are no key

    def group(self, key: str) -> dict[str, Any]:
        """A group by object id, or by the path segment `uniqueName='…'`."""
        if key.startswith("uniqueName="):
            key = self.store["unique_names"].get(key[12:-1], key)
        found = self.store["groups"].get(key.lower())
        if found is None:
            raise missing(key)
        self.check_replicated(found["id"])
        return found  # type: ignore[no-any-return]

    def seen(self, table: str) -> Mapping[str, Any]:
        return self.store.seen(table, self.faults.read_lag_seconds)

    def bound(self, url: Any) -> str:
        """The id of the existing object an `@odata.id` or `@odata.bind` names, e.g.
        …/v1.0/directoryObjects/{id}.
        """
        match = re.fullmatch(
            r"https?://[^/]+/v1\.0/(?:directoryObjects|users|groups|education/users)(?:/|\(')([0-9A-Za-z@._'-]+?)(?:'\))?",
            str(url),
        )
        if not match:
            raise bad(f"Invalid URL format specified in payload: {url}")
        key = match[1]
        if "@" in key:
            return str(self.user(key)["id"])
        for table in ("users", "groups"):
            if key.lower() in self.store[table]:
                self.check_replicated(key.lower())
                return key.lower()
        raise missing(key)


def check_properties(
    body: dict[str, Any],
    known: Mapping[str, str],
    longest: Mapping[str, int],
    read_only: tuple[str, ...],
    kind: str,
) -> None:
    """Refuse properties the type does not have or does not let write, values of another type, and
    texts too long.
    """
    for name, value in body.items():
        if name.startswith("@odata."):
            continue
        if name in read_only:
            raise bad(f"Property '{name}' is read-only and cannot be set.")
        if name not in known:
            message = f"Invalid property '{name}'."
            raise bad(
                message
                if kind == "user"
                else f"The property '{name}' does not exist on type 'microsoft.graph.{kind}'."
            )
        kinds = {TEXT: str, FLAG: bool, LIST: list, OBJECT: dict}
        if value is not None and not isinstance(value, kinds[known[name]]):
            raise refuse(
                400,
                "BadRequest",
                f"Cannot convert the literal of property '{name}' to the expected type.",
            )
        if isinstance(value, str) and len(value) > longest.get(name, 1 << 16):
            raise bad(
                f"Invalid value specified for property '{name}' of resource '{kind.capitalize()}'.",
                [
                    {
                        "code": "InvalidLength",
                        "message": f"at most {longest[name]} characters",
                        "target": name,
                    }
                ],
            )


def needed(body: dict[str, Any], kind: str, *names: str) -> None:
    for name in names:
        if body.get(name) in (None, ""):
            message = f"A value is required for property '{name}' of resource '{kind}'."
            raise bad(message, [{"code": "MissingValue", "message": message, "target": name}])
