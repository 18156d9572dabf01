"""Education classes of Graph, who is in them, and their class teams.

A class is a Microsoft 365 group under the same id, made with it: its members are the group's, its
teachers the group's owners, and whoever teaches has to be put into both. A team is put on it by
template: not before the group has an owner, and not while the group is young (404). A last owner is
not taken away.
"""

from __future__ import annotations

from typing import Any

from demo.platforms import microsoft_groups
from demo.platforms.http import Reply
from demo.platforms.microsoft_query import listed, selected, shown
from demo.platforms.microsoft_tenant import (
    CLASS_PROPERTIES,
    CLASS_READ_ONLY,
    CLASS_TEXTS,
    Call,
    Tenant,
    bad,
    check_properties,
    missing,
    needed,
    refuse,
)

RELATIONS = {"members": "members", "teachers": "owners"}
OF_GROUP = ("displayName", "description", "mailNickname")  # what a class shares with its group
TEMPLATE = "/teamsTemplates('educationClass')"


def call(tenant: Tenant, asked: Call) -> Reply:
    """Answer one call under /education/classes."""
    match (asked.method, asked.parts[1:]):
        case ("GET", ("classes",)):
            rows = {key: _whole(tenant, key) for key in tenant.seen("classes")}
            return listed(tenant, asked, "educationClass", "education/classes", rows)
        case ("POST", ("classes",)):
            return _create(tenant, asked.body)
        case ("GET", ("classes", key)):
            return _one(tenant, _found(tenant, key), 200)
        case ("PATCH", ("classes", key)):
            return _patch(tenant, _found(tenant, key), asked.body)
        case ("GET", ("classes", key, "members" | "teachers" as role)):
            found = tenant.seen(RELATIONS[role]).get(_found(tenant, key), {})
            users = tenant.store["users"]
            rows = {one: users[one] for one in found if one in users}
            return listed(tenant, asked, "user", "/".join(asked.parts), rows)
        case ("POST", ("classes", key, "members" | "teachers" as role, "$ref")):
            where = _found(tenant, key)
            return microsoft_groups.call(tenant, _of_group(asked, where, role, ("$ref",)))
        case ("DELETE", ("classes", key, "members" | "teachers" as role, person, "$ref")):
            where = _found(tenant, key)
            last = list(tenant.store["owners"].get(where, {})) == [person.lower()]
            if role == "teachers" and last:
                raise bad(
                    "The group must have at least one owner, hence this owner cannot be removed."
                )
            return microsoft_groups.call(tenant, _of_group(asked, where, role, (person, "$ref")))
    raise refuse(
        405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target."
    )


def teams(tenant: Tenant, asked: Call) -> Reply:
    """Answer one call under /teams."""
    match (asked.method, asked.parts):
        case ("POST", ("teams",)):
            return _team(tenant, asked.body)
        case ("GET", ("teams", key)):
            return Reply(200, tenant.store["teams"][_teamed(tenant, key)])
        case ("POST", ("teams", key, "archive" | "unarchive" as what)):
            where = _teamed(tenant, key)
            team = tenant.store["teams"][where] | {"isArchived": what == "archive"}
            tenant.store.put("teams", where, team)
            return Reply(202, None, {"Location": f"/teams('{where}')/operations('{where}')"})
    raise refuse(405, "BadRequest", "Specified HTTP method is not allowed for the request target.")


def _of_group(asked: Call, where: str, role: str, rest: tuple[str, ...]) -> Call:
    parts = ("groups", where, RELATIONS[role], *rest)
    return Call(asked.method, parts, asked.params, asked.headers, asked.body)


def _found(tenant: Tenant, key: str) -> str:
    if key.lower() not in tenant.store["classes"]:
        raise missing(key)
    return str(tenant.group(key)["id"])


def _whole(tenant: Tenant, key: str) -> dict[str, Any]:
    group = tenant.store["groups"].get(key, {})
    return tenant.store["classes"][key] | {name: group.get(name) for name in OF_GROUP}


def _one(tenant: Tenant, key: str, status: int) -> Reply:
    context = {"@odata.context": f"{tenant.origin}/v1.0/$metadata#education/classes/$entity"}
    return Reply(status, context | shown(_whole(tenant, key), selected("educationClass", {})))


def _checked(body: dict[str, Any]) -> dict[str, Any]:
    check_properties(body, CLASS_PROPERTIES, CLASS_TEXTS, CLASS_READ_ONLY, "educationClass")
    if body.get("externalSource") not in (None, "sis", "manual", "lms"):
        raise refuse(400, "BadRequest", "Cannot convert the literal of property 'externalSource'.")
    return {name: value for name, value in body.items() if name not in OF_GROUP}


def _create(tenant: Tenant, body: dict[str, Any]) -> Reply:
    needed(body, "EducationClass", "displayName", "mailNickname")
    given = _checked(body)
    group = {name: body[name] for name in OF_GROUP if body.get(name) is not None}
    group |= {"groupTypes": ["Unified"], "mailEnabled": True, "securityEnabled": True}
    made = microsoft_groups.call(tenant, Call("POST", ("groups",), {}, {}, group))
    key = made.body["id"]
    tenant.store.put("classes", key, {"id": key, **given})
    return _one(tenant, key, 201)


def _patch(tenant: Tenant, key: str, body: dict[str, Any]) -> Reply:
    if not body:
        raise refuse(400, "BadRequest", "Empty Payload. JSON content expected.")
    given = _checked(body)
    group = {name: body[name] for name in OF_GROUP if name in body}
    if group:
        microsoft_groups.call(tenant, Call("PATCH", ("groups", key), {}, {}, group))
    tenant.store.put("classes", key, tenant.store["classes"][key] | given)
    return _one(tenant, key, 200)


def _teamed(tenant: Tenant, key: str) -> str:
    if key.lower() not in tenant.store["teams"]:
        raise refuse(404, "NotFound", "No team found with Group Id " + key)
    return key.lower()


def _team(tenant: Tenant, body: dict[str, Any]) -> Reply:
    group_url = str(body.get("group@odata.bind", ""))
    if set(body) != {"template@odata.bind", "group@odata.bind"}:
        raise refuse(400, "BadRequest", "Only the template and the group are taken for a group.")
    if not str(body["template@odata.bind"]).endswith(TEMPLATE):
        raise refuse(400, "BadRequest", "Invalid template.")
    key = tenant.bound(group_url)
    if key in tenant.store["teams"]:
        raise refuse(409, "Conflict", "Failed to create the team: the group has one already.")
    if not tenant.store["owners"].get(key):
        raise refuse(400, "BadRequest", "The team needs an owner before it can be created.")
    tenant.store.put("teams", key, {"id": key, "isArchived": False})
    return Reply(202, None, {"Location": f"/teams('{key}')/operations('{key}')"})
