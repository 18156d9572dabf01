"""Settings of groups by the Groups Settings API: `get`, and `patch` or `update` of some of them.

Every value is a text, booleans too; a group is asked for by its address, not by its id. Texts that
are no value of a setting are refused (wording ours).
https://developers.google.com/workspace/admin/groups-settings/v1/reference/groups
"""

from __future__ import annotations

import time
from typing import Any

from demo.platforms.google_tenant import Call, Tenant, invalid, not_found, refuse
from demo.platforms.http import Reply

_YES_NO = ("true", "false")
VALUES = {
    "whoCanJoin": (
        "CAN_REQUEST_TO_JOIN",
        "ANYONE_CAN_JOIN",
        "ALL_IN_DOMAIN_CAN_JOIN",
        "INVITED_CAN_JOIN",
    ),
    "whoCanViewMembership": (
        "ALL_MEMBERS_CAN_VIEW",
        "ALL_IN_DOMAIN_CAN_VIEW",
        "ALL_MANAGERS_CAN_VIEW",
    ),
    "whoCanViewGroup": (
        "ALL_MEMBERS_CAN_VIEW",
        "ANYONE_CAN_VIEW",
        "ALL_IN_DOMAIN_CAN_VIEW",
        "ALL_MANAGERS_CAN_VIEW",
    ),
    "whoCanPostMessage": (
        "ANYONE_CAN_POST",
        "NONE_CAN_POST",
        "ALL_MANAGERS_CAN_POST",
        "ALL_MEMBERS_CAN_POST",
        "ALL_OWNERS_CAN_POST",
        "ALL_IN_DOMAIN_CAN_POST",
    ),
    "whoCanLeaveGroup": ("ALL_MEMBERS_CAN_LEAVE", "ALL_MANAGERS_CAN_LEAVE", "NONE_CAN_LEAVE"),
    "whoCanContactOwner": (
        "ANYONE_CAN_CONTACT",
        "ALL_IN_DOMAIN_CAN_CONTACT",
        "ALL_MANAGERS_CAN_CONTACT",
        "ALL_MEMBERS_CAN_CONTACT",
        "ALL_OWNERS_CAN_CONTACT",
    ),
    "messageModerationLevel": (
        "MODERATE_NONE",
        "MODERATE_ALL_MESSAGES",
        "MODERATE_NON_MEMBERS",
        "MODERATE_NEW_MEMBERS",
    ),
    "allowExternalMembers": ("false", "true"),
    "includeInGlobalAddressList": _YES_NO,
    "isArchived": ("false", "true"),
    "archiveOnly": ("false", "true"),
}  # of each the first is what a new group has


def call(tenant: Tenant, asked: Call) -> Reply:
    """Answer one call under /groups/v1/groups/{address}."""
    if asked.params.get("alt") != "json":  # without it the answer is Atom
        raise refuse(400, "badRequest", "This emulator speaks JSON alone")
    if len(asked.parts) != 2 or "@" not in asked.parts[1]:
        raise not_found("groupId")
    group = tenant.group(asked.parts[1])
    age = time.monotonic() - tenant.born.get(group["id"], float("-inf"))
    if age < tenant.faults.settings_lag_seconds:
        raise not_found("groupId")
    kept = tenant.store["group_settings"].get(group["id"], {})
    if asked.method in ("PATCH", "PUT"):
        kept = {**kept, **_checked(kept, asked.body)}
        tenant.store.put("group_settings", group["id"], kept)
    elif asked.method != "GET":
        raise refuse(404, "notFound", "Not Found")
    usual = {name: values[0] for name, values in VALUES.items()}
    said = {"kind": "groupsSettings#groups", "email": group["email"], "name": group["name"]}
    return Reply(200, {**said, "description": group["description"], **usual, **kept})


def _checked(kept: dict[str, str], body: dict[str, Any]) -> dict[str, str]:
    for name, value in body.items():
        if name not in VALUES or not isinstance(value, str) or value not in VALUES[name]:
            raise invalid(f"Invalid value for: {name}")
    closed = body.get("archiveOnly", kept.get("archiveOnly")) == "true"
    if body.get("whoCanPostMessage") == "NONE_CAN_POST" and not closed:
        raise invalid("Invalid value for: whoCanPostMessage")
    return body
