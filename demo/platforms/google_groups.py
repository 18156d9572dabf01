"""Directory groups and members.

A member is kept as group id -> member id -> role; its address is looked up when it is shown, so
that renaming a user needs no change here. Groups are not soft-deleted: deleting one frees its
address at once.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from demo.platforms.google_tenant import (
    DOMAINS,
    Call,
    Tenant,
    check_fields,
    duplicate,
    invalid,
    not_found,
    refuse,
    required,
)
from demo.platforms.http import Reply

GROUP_FIELDS: dict[str, type] = {
    "email": str,
    "name": str,
    "description": str,
    "externalIds": list,
    "kind": object,
    "id": object,
    "etag": object,
    "directMembersCount": object,
    "adminCreated": object,
    "aliases": object,
    "nonEditableAliases": object,
}
MEMBER_FIELDS: dict[str, type] = {
    "email": str,
    "id": str,
    "role": str,
    "delivery_settings": str,
    "kind": object,
    "etag": object,
    "type": object,
    "status": object,
}
ROLES = ("MEMBER", "MANAGER", "OWNER")
DELIVERY = ("ALL_MAIL", "DAILY", "DIGEST", "DISABLED", "NONE")


def call(tenant: Tenant, asked: Call) -> Reply:
    """Answer one call under /groups."""
    match (asked.method, asked.parts):
        case ("GET", ("groups",)):
            return _list(tenant, asked.params)
        case ("POST", ("groups",)):
            return _insert(tenant, asked.body)
        case ("GET", ("groups", key)):
            return Reply(200, shown(tenant, tenant.group(key)))
        case ("PUT" | "PATCH", ("groups", key)):
            return _update(tenant, key, asked.body)
        case ("DELETE", ("groups", key)):
            return _delete(tenant, key)
        case ("GET", ("groups", key, "aliases")):
            group = tenant.group(key)
            return Reply(
                200,
                {
                    "kind": "admin#directory#aliases",
                    "aliases": [
                        {"primaryEmail": group["email"], "alias": one} for one in group["aliases"]
                    ],
                },
            )
        case ("GET", ("groups", key, "members")):
            return _members(tenant, key, asked.params)
        case ("POST", ("groups", key, "members")):
            return _add(tenant, key, asked.body)
        case ("GET", ("groups", key, "hasMember", member_key)):
            group = tenant.group(key)
            return Reply(
                200,
                {
                    "isMember": (
                        tenant.user(member_key)["id"]
                        in _everyone(tenant.store["members"], group["id"])
                    )
                },
            )
        case ("GET", ("groups", key, "members", member_key)):
            group = tenant.group(key)
            return Reply(
                200, _member(tenant, _member_id(tenant, group, member_key), _roles(tenant, group))
            )
        case ("PUT" | "PATCH", ("groups", key, "members", member_key)):
            return _change(tenant, key, member_key, asked.body)
        case ("DELETE", ("groups", key, "members", member_key)):
            group = tenant.group(key)
            gone = _member_id(tenant, group, member_key)
            tenant.store.put(
                "members",
                group["id"],
                {one: role for one, role in _roles(tenant, group).items() if one != gone},
            )
            return Reply(200)
    raise refuse(404, "notFound", "Not Found")


def shown(tenant: Tenant, group: dict[str, Any]) -> dict[str, Any]:
    count = len(tenant.store["members"].get(group["id"], {}))
    resource = {
        "kind": "admin#directory#group",
        **group,
        "directMembersCount": str(count),
        "adminCreated": True,
    }
    if not group["aliases"]:
        resource.pop("aliases")
    return resource


def _list(tenant: Tenant, params: Mapping[str, str]) -> Reply:
    if "customer" in params:
        tenant.check_customer(params["customer"])
    if ("userKey" in params and "customer" in params) or not {
        "customer",
        "domain",
        "userKey",
    } & set(params):
        raise refuse(400, "badRequest", "Bad Request")
    size = tenant.page_size(params, 200, 200)
    groups = tenant.seen("groups")
    keys: list[str] = []
    if "pageToken" not in params:
        found = list(groups.values())
        if "domain" in params:
            found = [
                group for group in found if group["email"].endswith("@" + params["domain"].lower())
            ]
        if "userKey" in params:
            user_id, members = tenant.user(params["userKey"])["id"], tenant.seen("members")
            found = [group for group in found if user_id in members.get(group["id"], {})]
        if "query" in params:
            name, sign, wanted = params["query"].partition("=" if "=" in params["query"] else ":")
            wanted = wanted.strip("'").lower()
            if name not in ("email", "name"):
                raise invalid("Invalid Input: query")
            begins = sign == ":" and wanted.endswith("*")
            found = [
                group
                for group in found
                if (
                    group[name].lower().startswith(wanted[:-1])
                    if begins
                    else group[name].lower() == wanted
                )
            ]
        if "orderBy" in params:
            found.sort(
                key=lambda group: group["email"], reverse=params.get("sortOrder") == "DESCENDING"
            )
        keys = [group["id"] for group in found]
    page, token = tenant.page(params, size, keys)
    resource: dict[str, Any] = {"kind": "admin#directory#groups", "etag": f'"groups/{len(groups)}"'}
    if page:
        resource["groups"] = [shown(tenant, groups[key]) for key in page if key in groups]
    if token:
        resource["nextPageToken"] = token
    return Reply(200, resource)


def _checked(body: dict[str, Any]) -> dict[str, Any]:
    check_fields(body, GROUP_FIELDS)
    if len(body.get("description") or "") > 4096:
        raise invalid("Invalid Input: description")
    for one in body.get("externalIds") or []:
        check_fields(one, {"namespace": str, "id": str}, "externalIds.")
        required(one, "namespace", "id")
    return {
        name: body[name]
        for name in ("name", "description", "externalIds")
        if body.get(name) is not None
    }


def _insert(tenant: Tenant, body: dict[str, Any]) -> Reply:
    given = _checked(body)
    required(body, "email")
    email = tenant.check_address(body["email"], "email")
    group_id = tenant.new_code("0")
    group = {
        "id": group_id,
        "etag": tenant.etag(),
        "email": email,
        "name": email.split("@")[0],
        "description": "",
        "aliases": [],
    } | given
    tenant.store.put("groups", group_id, group)
    tenant.store.put("addresses", email, ["group", group_id])
    tenant.born[group_id] = time.monotonic()
    return Reply(200, shown(tenant, group))


def _update(tenant: Tenant, key: str, body: dict[str, Any]) -> Reply:
    group = tenant.group(key)
    changed = group | _checked(body) | {"etag": tenant.etag()}
    email = str(body.get("email") or "").lower()
    if email and email != group["email"]:
        tenant.check_address(email, "email")
        changed |= {"email": email, "aliases": [*group["aliases"], group["email"]]}
        tenant.store.put("addresses", email, ["group", group["id"]])
    tenant.store.put("groups", group["id"], changed)
    return Reply(200, shown(tenant, changed))


def _delete(tenant: Tenant, key: str) -> Reply:
    group = tenant.group(key)
    for address in [group["email"], *group["aliases"]]:
        tenant.store.remove("addresses", address)
    tenant.store.remove("groups", group["id"])
    tenant.store.remove("members", group["id"])
    if group["id"] in tenant.store["group_settings"]:
        tenant.store.remove("group_settings", group["id"])
    for group_id, members in list(tenant.store["members"].items()):
        if group["id"] in members:
            tenant.store.put(
                "members",
                group_id,
                {one: role for one, role in members.items() if one != group["id"]},
            )
    return Reply(204)


# --- members


def _roles(tenant: Tenant, group: dict[str, Any]) -> dict[str, str]:
    return tenant.store["members"].get(group["id"], {})  # type: ignore[no-any-return]


def _member(tenant: Tenant, member_id: str, roles: Mapping[str, str]) -> dict[str, Any]:
    """A member as shown; people outside the customer are kept by their address."""
    resource = {
        "kind": "admin#directory#member",
        "etag": f'"m/{member_id}"',
        "id": member_id,
        "role": roles[member_id],
    }
    if user := tenant.store["users"].get(member_id):
        return resource | {
            "email": user["primaryEmail"],
            "type": "USER",
            "status": "SUSPENDED" if user["suspended"] else "ACTIVE",
        }
    if group := tenant.store["groups"].get(member_id):
        return resource | {"email": group["email"], "type": "GROUP", "status": "ACTIVE"}
    return resource | {"email": member_id, "type": "USER", "status": "ACTIVE"}


def _found(tenant: Tenant, key: str) -> str | None:
    """The id of a user or group of the customer, or the address of somebody outside; None for
    nobody.
    """
    if "@" not in key:
        return key if key in tenant.store["users"] or key in tenant.store["groups"] else None
    if holder := tenant.holder(key):
        return holder[1]
    return key.lower() if key.split("@")[1].lower() not in DOMAINS else None


def _member_id(tenant: Tenant, group: dict[str, Any], key: str) -> str:
    found = _found(tenant, key)
    if found is None or found not in _roles(tenant, group):
        raise not_found("memberKey")
    return found


def _everyone(
    members: Mapping[str, Mapping[str, str]], group_id: str, seen: frozenset[str] = frozenset()
) -> set[str]:
    """Direct and derived members, groups included."""
    direct = set(members.get(group_id, {}))
    below = (
        _everyone(members, one, seen | {group_id})
        for one in direct
        if one in members and one not in seen
    )
    return direct.union(*below)


def _members(tenant: Tenant, key: str, params: Mapping[str, str]) -> Reply:
    group = tenant.group(key)
    size = tenant.page_size(params, 200, 200)
    members = tenant.seen("members")
    roles = dict(members.get(group["id"], {}))
    if params.get("includeDerivedMembership") == "true":
        roles = dict.fromkeys(_everyone(members, group["id"]), "MEMBER") | roles
    wanted = set(params["roles"].split(",")) if "roles" in params else set(ROLES)
    page, token = tenant.page(params, size, [one for one, role in roles.items() if role in wanted])
    resource: dict[str, Any] = {
        "kind": "admin#directory#members",
        "etag": f'"members/{len(roles)}"',
    }
    if page:
        resource["members"] = [_member(tenant, one, roles) for one in page if one in roles]
    if token:
        resource["nextPageToken"] = token
    return Reply(200, resource)


def _role(body: dict[str, Any], default: str) -> str:
    check_fields(body, MEMBER_FIELDS)
    role = body.get("role") or default
    if role not in ROLES:
        raise invalid("Invalid Input: role")
    if body.get("delivery_settings") not in (None, *DELIVERY):
        raise invalid("Invalid Input: delivery_settings")
    return str(role)


def _add(tenant: Tenant, key: str, body: dict[str, Any]) -> Reply:
    group = tenant.group(key)
    role = _role(body, "MEMBER")
    if not body.get("email") and not body.get("id"):
        raise refuse(400, "required", "Missing required field: memberKey")
    member_id = _found(tenant, body.get("id") or body["email"])
    if member_id is None:
        raise not_found("memberKey")
    roles = _roles(tenant, group)
    if member_id in roles:
        raise duplicate("Member already exists.")
    if member_id == group["id"] or group["id"] in _everyone(tenant.store["members"], member_id):
        raise refuse(412, "conditionNotMet", "Cyclic memberships not allowed")
    after = {**roles, member_id: role}
    tenant.store.put("members", group["id"], after)
    return Reply(200, _member(tenant, member_id, after))


def _change(tenant: Tenant, key: str, member_key: str, body: dict[str, Any]) -> Reply:
    group = tenant.group(key)
    member_id = _member_id(tenant, group, member_key)
    roles = _roles(tenant, group)
    after = roles | {member_id: _role(body, roles[member_id])}
    tenant.store.put("members", group["id"], after)
    return Reply(200, _member(tenant, member_id, after))
