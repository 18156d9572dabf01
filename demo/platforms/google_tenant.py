"""One Google Workspace customer: its addresses, its lookups and the wording of its refusals.

Facts: Google's Directory API description (discovery document rev 20261104), its guides on limits,
org units and batching, and the replies administrators' tools have recorded. Where Google documents
no wording, ours is marked.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from demo.platforms.faults import Faults
from demo.platforms.http import RefusalError, Reply
from demo.platforms.store import Pages, Store

CUSTOMER = "C03sd0074"
DOMAINS = ("sd74.example", "student.sd74.example")
TABLES = (
    "users",
    "deleted",
    "addresses",
    "org_units",
    "groups",
    "members",
    "schemas",
    "counters",
    "courses",
    "course_aliases",
    "course_teachers",
    "course_students",
    "licences",
    "group_settings",
)
UNDELETE_DAYS = 20
_LOCAL_PART = re.compile(r"[A-Za-z0-9_'\-]+(\.[A-Za-z0-9_'\-]+)*")


def refuse(status: int, reason: str, message: str, **more: Any) -> RefusalError:
    """A refusal in the old style of the Directory API."""
    one = {
        "message": message,
        "domain": "usageLimits" if "RateLimit" in reason or reason == "quotaExceeded" else "global",
        "reason": reason,
        **more,
    }
    return RefusalError(
        Reply(status, {"error": {"code": status, "message": message, "errors": [one]}})
    )


def not_found(what: str) -> RefusalError:
    return refuse(404, "notFound", f"Resource Not Found: {what}")


def invalid(what: str) -> RefusalError:
    return refuse(400, "invalid", what)


def duplicate(message: str = "Entity already exists.") -> RefusalError:
    return refuse(409, "duplicate", message)


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


@dataclass(frozen=True)
class Call:
    """One Directory call: the resource's path in parts (decoded), the query parameters and the JSON
    body.
    """

    method: str
    parts: tuple[str, ...]
    params: Mapping[str, str]
    body: dict[str, Any]


class Tenant:
    """State and lookups; what may be done with it stands in google_users, google_groups and
    google_units.
    """

    def __init__(self, store: Store, faults: Faults) -> None:
        self.store = store
        self.faults = faults
        self.pages = Pages()
        self.born: dict[
            str, float
        ] = {}  # id of a user or group -> when it was created, for those created since the start
        if store.is_new:
            store.put(
                "org_units",
                "/",
                {
                    "name": CUSTOMER,
                    "orgUnitId": "id:03ph8a2z0root",
                    "orgUnitPath": "/",
                    "description": "",
                },
            )
        oldest = (datetime.now(UTC) - timedelta(days=UNDELETE_DAYS)).strftime(
            "%Y-%m-%dT%H:%M:%S.000Z"
        )
        for user_id in [
            key for key, user in store["deleted"].items() if user["deletionTime"] < oldest
        ]:
            store.remove("deleted", user_id)
        store.commit(0)

    # --- ids and addresses

    def new_user_id(self) -> str:
        return str(100_000_000_000_000_000_000 + self.store.number() * 7_919_000_017)

    def new_code(self, prefix: str) -> str:
        return f"{prefix}{self.store.number() * 2_654_435_761 % 2**40:011x}"

    def etag(self) -> str:
        return f'"sd74/{self.store.number()}"'

    def holder(self, address: str) -> tuple[str, str] | None:
        """What an address belongs to: ("user" | "group", its id)."""
        found = self.store["addresses"].get(address.lower())
        return (found[0], found[1]) if found else None

    def check_address(self, address: Any, what: str) -> str:
        """A free address of one of the customer's domains, or a refusal."""
        if not isinstance(address, str) or address.count("@") != 1:
            raise invalid(f"Invalid Input: {what}")
        local, domain = address.split("@")
        if not _LOCAL_PART.fullmatch(local) or len(local) > 64:
            raise invalid(f"Invalid Input: {what}")
        if domain.lower() not in DOMAINS:
            raise refuse(404, "notFound", "Domain not found.")
        if self.holder(address):
            raise duplicate()
        return address.lower()

    # --- lookups

    def user(self, key: str) -> dict[str, Any]:
        """A user by id, primary address or alias."""
        holder = self.holder(key) if "@" in key else ("user", key)
        found = self.store["users"].get(holder[1]) if holder and holder[0] == "user" else None
        if found is None:
            raise not_found("userKey")
        return found  # type: ignore[no-any-return]

    def group(self, key: str) -> dict[str, Any]:
        """A group by id, address or alias."""
        holder = self.holder(key) if "@" in key else ("group", key)
        found = self.store["groups"].get(holder[1]) if holder and holder[0] == "group" else None
        if found is None:
            raise not_found("groupKey")
        return found  # type: ignore[no-any-return]

    def check_customer(self, customer: str) -> None:
        if customer not in ("my_customer", CUSTOMER):
            raise refuse(400, "badRequest", "Bad Request")

    # --- lists

    def page_size(self, params: Mapping[str, str], default: int, most: int) -> int:
        text = params.get("maxResults", str(default))
        if not text.isdigit() or not 1 <= int(text) <= most:
            raise refuse(
                400,
                "invalidParameter",
                f"Invalid value '{text}'. Values must be within the range: [1, {most}]",
                locationType="parameter",
                location="maxResults",
            )
        return int(text)

    def page(
        self, params: Mapping[str, str], size: int, keys: list[str]
    ) -> tuple[list[str], str | None]:
        """One page of the keys, or of the listing a page token stands for."""
        token = params.get("pageToken")
        if token and self.faults.spends("expired_pages"):
            raise invalid("Invalid Input: pageToken")
        return (
            self.pages.follow(token, size, invalid("Invalid Input: pageToken"))
            if token
            else self.pages.take(keys, size)
        )

    def seen(self, table: str) -> Mapping[str, Any]:
        return self.store.seen(table, self.faults.read_lag_seconds)

    def is_incomplete(self, user_id: str) -> bool:
        """Whether the user was created so lately that updates are still refused."""
        seconds = self.faults.incomplete_creation_seconds
        return seconds > 0 and time.monotonic() < self.born.get(user_id, -seconds) + seconds


def check_fields(body: dict[str, Any], known: Mapping[str, type], where: str = "") -> None:
    """Refuse fields the API description does not have, and values of another type."""
    for name, value in body.items():
        if name not in known:
            raise refuse(
                400,
                "badRequest",
                f'Invalid JSON payload received. Unknown name "{where}{name}": Cannot find field.',
            )
        if value is not None and known[name] is not object and not isinstance(value, known[name]):
            raise refuse(400, "badRequest", f"Invalid value at '{where}{name}'")


def required(body: dict[str, Any], *names: str) -> None:
    for name in names:
        if body.get(name) in (None, "", []):
            raise refuse(400, "required", f"Missing required field: {name}")
