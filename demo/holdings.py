"""What a platform holds, for people and programs who check the demo from outside: `python -m demo
state google`.

In: a platform's saved state. Out: {users, groups, members, org_units, schemas, deleted_users}, of
Microsoft subscriptions too; members are {group, member, role}, by address for Google, by id with
names beside it for Microsoft.
"""

from __future__ import annotations

from typing import Any

Tables = dict[str, dict[str, Any]]


def holdings(platform: str, tables: Tables) -> dict[str, Any]:
    """All objects of one tenant, those nobody manages included."""
    return _google(tables) if platform == "google" else _microsoft(tables)


def _google(tables: Tables) -> dict[str, Any]:
    users, groups = tables["users"], tables["groups"]
    names = {key: user["primaryEmail"] for key, user in users.items()} | {
        key: group["email"] for key, group in groups.items()
    }
    return {
        "users": list(users.values()),
        "groups": list(groups.values()),
        "members": [
            {"group": groups[group_id]["email"], "member": names.get(member, member), "role": role}
            for group_id, roles in tables["members"].items()
            for member, role in roles.items()
        ],
        "org_units": list(tables["org_units"].values()),
        "schemas": list(tables["schemas"].values()),
        "deleted_users": list(tables["deleted"].values()),
    }


def _microsoft(tables: Tables) -> dict[str, Any]:
    users, groups = tables["users"], tables["groups"]
    return {
        "users": list(users.values()),
        "groups": list(groups.values()),
        "members": [
            {
                "group": group_id,
                "member": member,
                "role": role,
                "uniqueName": groups[group_id].get("uniqueName"),
                "userPrincipalName": (
                    users[member]["userPrincipalName"] if member in users else None
                ),
            }
            for relation, role in (("members", "MEMBER"), ("owners", "OWNER"))
            for group_id, present in tables[relation].items()
            for member in present
            if group_id in groups and (member in users or member in groups)
        ],
        "org_units": [],
        "schemas": [],
        "subscriptions": list(tables["skus"].values()),
        "deleted_users": list(tables["deleted_users"].values()),
    }
