"""Graph groups and members.

`PATCH /groups(uniqueName='…')` with `Prefer: create-if-missing` is the one true upsert.
`members@odata.bind` takes twenty at most, all or none. Adding a member twice is a 400, removing one
who is not there a 404. Deleted people keep their memberships in the deleted items and get them back
when restored.
"""

from __future__ import annotations

import re
from typing import Any

from demo.platforms.http import Reply
from demo.platforms.microsoft_delta import changes
from demo.platforms.microsoft_query import listed, selected, shown
from demo.platforms.microsoft_tenant import (
    GROUP_PROPERTIES,
    GROUP_READ_ONLY,
    GROUP_TEXTS,
    Call,
    Tenant,
    bad,
    check_properties,
    conflict,
    missing,
    needed,
    now,
    refuse,
)
from demo.platforms.microsoft_users import NICKNAME_BAD
from demo.platforms.microsoft_users import delete as delete_user

MOST_BOUND = 20
BINDS = {"members@odata.bind": "members", "owners@odata.bind": "owners"}


def call(tenant: Tenant, asked: Call) -> Reply:
    """Answer one call under /groups."""
    match (asked.method, asked.parts):
        case ("GET", ("groups",)):
            return listed(tenant, asked, "group", "groups", tenant.seen("groups"))
        case ("POST", ("groups",)):
            return _create(tenant, asked.body)
        case ("GET", ("groups", "delta")):
            return changes(tenant, asked, "group")
        case ("GET", ("groups", key)):
            return _one(tenant, tenant.group(key), 200, selected("group", asked.params))
        case ("PATCH", ("groups", key)):
            return _patch(tenant, key, asked)
        case ("DELETE", ("groups", key)):
            return _delete(tenant, tenant.group(key))
        case ("GET", ("groups", key, "members" | "owners" as relation)):
            return _related(tenant, asked, tenant.group(key), relation)
        case ("GET", ("groups", key, "members" | "owners" as relation, "microsoft.graph.user")):
            return _related(tenant, asked, tenant.group(key), relation)
        case ("POST", ("groups", key, "members" | "owners" as relation, "$ref")):
            return _bind(tenant, tenant.group(key), {relation: [asked.body.get("@odata.id")]})
        case ("DELETE", ("groups", key, "members" | "owners" as relation, member_id, "$ref")):
            group = tenant.group(key)
            present = tenant.store[relation].get(group["id"], {})
            if member_id.lower() not in present:
                raise missing(member_id)
            tenant.store.put(
                relation,
                group["id"],
                {one: kind for one, kind in present.items() if one != member_id.lower()},
            )
            return Reply(204)
        case ("DELETE", ("groups", key, "members", member_id)):
            # the well-known trap: without /$ref this deletes the person, not the membership
            tenant.group(key)
            return delete_user(tenant, tenant.user(member_id))
    raise refuse(
        405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target."
    )


def _one(tenant: Tenant, group: dict[str, Any], status: int, names: tuple[str, ...]) -> Reply:
    return Reply(
        status,
        {"@odata.context": f"{tenant.origin}/v1.0/$metadata#groups/$entity"} | shown(group, names),
    )


def _related(tenant: Tenant, asked: Call, group: dict[str, Any], relation: str) -> Reply:
    present = tenant.seen(relation).get(group["id"], {})
    rows = {one: tenant.store["users"][one] for one in present if one in tenant.store["users"]}
    return listed(tenant, asked, "user", "/".join(asked.parts), rows, typed=True)


# --- the group itself


def _checked(tenant: Tenant, body: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    check_properties(body, GROUP_PROPERTIES, GROUP_TEXTS, GROUP_READ_ONLY, "group")
    given = {
        name: value
        for name, value in body.items()
        if name not in BINDS and not name.startswith("@odata.")
    }
    group = before | given
    nickname = group["mailNickname"]
    if not isinstance(nickname, str) or NICKNAME_BAD.search(nickname) or not nickname.isascii():
        raise bad("Invalid value specified for property 'mailNickname' of resource 'Group'.")
    if not group["displayName"]:
        raise bad("Invalid value specified for property 'displayName' of resource 'Group'.")
    unified = "Unified" in (group.get("groupTypes") or [])
    if unified and not group["mailEnabled"]:
        raise bad("The property 'mailEnabled' must be true for a group of type 'Unified'.")
    if not unified and (group["mailEnabled"] or not group["securityEnabled"]):
        raise bad(
            "The service does not currently support writes of mail-enabled groups. Please ensure"
            " that the mail-enablement property is unset and the security-enablement property is"
            " set."
        )
    named = before.get("uniqueName")
    if named and given.get("uniqueName", named) != named:
        raise bad("Property 'uniqueName' is immutable.")
    _nickname(tenant, before, group, unified)
    return group


def _nickname(tenant: Tenant, before: dict[str, Any], group: dict[str, Any], unified: bool) -> None:
    """Nicknames are unique among Microsoft 365 groups; security groups may share them."""
    old, new = before.get("mailNickname", "").lower(), group["mailNickname"].lower()
    if not unified or old == new:
        return
    if new in tenant.store["nicknames"]:
        raise conflict("mailNickname")
    tenant.store.remove("nicknames", old)
    tenant.store.put("nicknames", new, group["id"])


def _create(tenant: Tenant, body: dict[str, Any]) -> Reply:
    needed(body, "Group", "displayName", "mailEnabled", "mailNickname", "securityEnabled")
    tenant.check_room()
    if sum(len(body.get(bind) or []) for bind in BINDS) > MOST_BOUND:
        raise bad(
            f"The number of relationships in the request exceeds the maximum of {MOST_BOUND}."
        )
    group_id = tenant.new_id()
    group = _checked(tenant, body, {"id": group_id, "createdDateTime": now(), "mailNickname": ""})
    unique = group.get("uniqueName")
    if unique:
        if unique in tenant.store["unique_names"]:
            raise conflict("uniqueName")
        tenant.store.put("unique_names", unique, group_id)
    tenant.store.put("groups", group_id, group)
    _bind(tenant, group, {BINDS[bind]: body[bind] for bind in BINDS if body.get(bind)})
    tenant.remember(group_id)
    return _one(tenant, group, 201, selected("group", {}))


def _patch(tenant: Tenant, key: str, asked: Call) -> Reply:
    body = asked.body
    if not body:
        raise refuse(400, "BadRequest", "Empty Payload. JSON content expected.")
    if match := re.fullmatch(r"uniqueName='(.*)'", key):
        name = match[1].replace("''", "'")
        if body.get("uniqueName", name) != name:
            raise bad("Property 'uniqueName' differs from the key in the address.")
        if name not in tenant.store["unique_names"]:
            if "create-if-missing" not in asked.headers.get("prefer", ""):
                raise missing(name)
            return _create(tenant, body | {"uniqueName": name})
    group = tenant.group(key)
    changed = {
        name: value for name, value in _checked(tenant, body, group).items() if value is not None
    }
    unique = changed.get("uniqueName")
    if unique and unique != group.get("uniqueName"):  # given once, to a group that has none
        if unique in tenant.store["unique_names"]:
            raise conflict("uniqueName")
        tenant.store.put("unique_names", unique, group["id"])
    if changed != group:
        tenant.store.put("groups", group["id"], changed)
    return _bind(tenant, group, {BINDS[bind]: body[bind] for bind in BINDS if body.get(bind)})


def _delete(tenant: Tenant, group: dict[str, Any]) -> Reply:
    tenant.store.remove("groups", group["id"])
    if unique := group.get("uniqueName"):
        tenant.store.remove("unique_names", unique)
    unified = "Unified" in (group.get("groupTypes") or [])
    if unified:
        tenant.store.remove("nicknames", group["mailNickname"].lower())
    if unified or tenant.faults.security_groups_soft_delete:
        tenant.store.put("deleted_groups", group["id"], group | {"deletedDateTime": now()})
    else:
        tenant.store.remove("members", group["id"])
        tenant.store.remove("owners", group["id"])
    return Reply(204)


# --- members and owners


def _bind(tenant: Tenant, group: dict[str, Any], relations: dict[str, list[Any]]) -> Reply:
    """Add relations, all or none: a refusal undoes what was done before it."""
    if "DynamicMembership" in (group.get("groupTypes") or []) and "members" in relations:
        raise bad("Insufficient privileges: members of a dynamic group cannot be changed by hand.")
    for relation, urls in relations.items():
        if len(urls) > MOST_BOUND:
            raise bad(
                f"The number of relationships in the request exceeds the maximum of {MOST_BOUND}."
            )
        present = dict(tenant.store[relation].get(group["id"], {}))
        for url in urls:
            found = tenant.bound(url)
            if found in present:
                raise bad(
                    "One or more added object references already exist for the following modified"
                    f" properties: '{relation}'."
                )
            present[found] = "user" if found in tenant.store["users"] else "group"
        tenant.store.put(relation, group["id"], present)
    return Reply(204)
