"""Directory org units and custom schemas, and the customer's domains.

Org units: the path in a URL has no leading slash; parents must exist; names are unique among
siblings whatever the letter case; at most 35 levels; the list is not paged; only an empty unit can
be deleted.
"""

from __future__ import annotations

from typing import Any

from demo.platforms.google_tenant import (
    CUSTOMER,
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

UNIT_FIELDS: dict[str, type] = {
    "name": str,
    "description": str,
    "parentOrgUnitPath": str,
    "parentOrgUnitId": str,
    "blockInheritance": bool,
    "kind": object,
    "etag": object,
    "orgUnitPath": object,
    "orgUnitId": object,
}
SCHEMA_FIELDS: dict[str, type] = {
    "schemaName": str,
    "displayName": str,
    "fields": list,
    "kind": object,
    "etag": object,
    "schemaId": object,
}
SPEC_FIELDS: dict[str, type] = {
    "fieldName": str,
    "fieldType": str,
    "displayName": str,
    "multiValued": bool,
    "indexed": bool,
    "readAccessType": str,
    "numericIndexingSpec": dict,
    "kind": object,
    "etag": object,
    "fieldId": object,
}
FIELD_TYPES = ("STRING", "INT64", "BOOL", "DOUBLE", "EMAIL", "PHONE", "DATE")
MOST_LEVELS = 35


def call(tenant: Tenant, asked: Call) -> Reply:
    """Answer one call under /customer and /customers."""
    tenant.check_customer(asked.parts[1] if len(asked.parts) > 1 else "")
    match (asked.method, asked.parts):
        case ("GET", ("customers", _)):
            return Reply(
                200,
                {
                    "kind": "admin#directory#customer",
                    "id": CUSTOMER,
                    "customerDomain": DOMAINS[0],
                    "language": "en",
                },
            )
        case ("GET", (_, _, "domains")):
            rows = [
                {
                    "kind": "admin#directory#domain",
                    "domainName": name,
                    "isPrimary": name == DOMAINS[0],
                    "verified": True,
                }
                for name in DOMAINS
            ]
            return Reply(200, {"kind": "admin#directory#domains", "domains": rows})
        case ("GET", (_, _, "orgunits")):
            return _list(
                tenant, asked.params.get("orgUnitPath", "/"), asked.params.get("type", "children")
            )
        case ("POST", (_, _, "orgunits")):
            return _insert(tenant, asked.body)
        case ("GET", (_, _, "orgunits", *path)):
            return Reply(200, _unit(tenant, _found(tenant, path)))
        case ("PUT" | "PATCH", (_, _, "orgunits", *path)):
            return _update(tenant, _found(tenant, path), asked.body)
        case ("DELETE", (_, _, "orgunits", *path)):
            return _delete(tenant, _found(tenant, path))
        case ("GET", (_, _, "schemas")):
            rows = list(tenant.seen("schemas").values())
            return Reply(
                200,
                {"kind": "admin#directory#schemas", "etag": f'"schemas/{len(rows)}"'}
                | ({"schemas": rows} if rows else {}),
            )
        case ("POST", (_, _, "schemas")):
            return _insert_schema(tenant, asked.body)
        case ("GET", (_, _, "schemas", key)):
            return Reply(200, _schema(tenant, key))
        case ("PUT" | "PATCH", (_, _, "schemas", key)):
            return _update_schema(tenant, key, asked)
        case ("DELETE", (_, _, "schemas", key)):
            tenant.store.remove("schemas", _schema(tenant, key)["schemaId"])
            return Reply(204)
    raise refuse(404, "notFound", "Not Found")


# --- org units


def _found(tenant: Tenant, path: list[str]) -> dict[str, Any]:
    """The unit a URL names: `id:…`, or its path without the leading slash."""
    key = "/".join(path)
    if key.startswith("id:"):
        unit = next(
            (one for one in tenant.store["org_units"].values() if one["orgUnitId"] == key), None
        )
    else:
        unit = None if key.startswith("/") else tenant.store["org_units"].get("/" + key.lower())
    if unit is None:
        raise refuse(404, "notFound", "Org unit not found")
    return unit


def _unit(tenant: Tenant, unit: dict[str, Any]) -> dict[str, Any]:
    resource = {"kind": "admin#directory#orgUnit", **unit}
    if unit["orgUnitPath"] != "/":
        parent = unit["orgUnitPath"].rpartition("/")[0] or "/"
        resource |= {
            "parentOrgUnitPath": parent,
            "parentOrgUnitId": tenant.store["org_units"][parent.lower()]["orgUnitId"],
        }
    return resource


def _list(tenant: Tenant, path: str, kind: str) -> Reply:
    units = tenant.seen("org_units")
    if kind not in ("all", "children", "allIncludingParent"):
        raise refuse(
            400,
            "invalidParameter",
            f"Invalid value '{kind}'. Allowed values: [all, children, allIncludingParent]",
        )
    top = (
        next((one for one in units.values() if one["orgUnitId"] == path), None)
        if path.startswith("id:")
        else units.get("/" + path.strip("/").lower())
    )
    if top is None:
        raise refuse(404, "notFound", "Org unit not found")
    below = top["orgUnitPath"].rstrip("/").lower() + "/"
    rows = [
        one
        for key, one in units.items()
        if key.startswith(below)
        and key != "/"
        and (kind != "children" or "/" not in key[len(below) :])
    ]
    if kind == "allIncludingParent":
        rows.insert(0, top)
    resource: dict[str, Any] = {"kind": "admin#directory#orgUnits", "etag": f'"units/{len(units)}"'}
    return Reply(
        200,
        resource | ({"organizationUnits": [_unit(tenant, one) for one in rows]} if rows else {}),
    )


def _parent(tenant: Tenant, body: dict[str, Any]) -> dict[str, Any]:
    units = tenant.store["org_units"]
    path, key = body.get("parentOrgUnitPath"), body.get("parentOrgUnitId")
    parent = (
        units.get(path.lower())
        if path
        else next((one for one in units.values() if one["orgUnitId"] == key), None)
    )
    if parent is None:
        raise invalid("Invalid Parent Orgunit Id")
    return parent  # type: ignore[no-any-return]


def _path(tenant: Tenant, parent: dict[str, Any], name: Any) -> str:
    """The path a unit of that name would have, if it may have it."""
    if not isinstance(name, str) or not name.strip() or "/" in name:
        raise invalid("Invalid Ou Name")
    path = f"{parent['orgUnitPath'].rstrip('/')}/{name}"
    if path.count("/") > MOST_LEVELS:
        raise invalid("Invalid Ou Id")
    if path.lower() in tenant.store["org_units"]:
        raise invalid(
            "Invalid Ou Id"
        )  # this, and not 409, is what Google answers for a unit that exists
    return path


def _insert(tenant: Tenant, body: dict[str, Any]) -> Reply:
    check_fields(body, UNIT_FIELDS)
    path = _path(tenant, _parent(tenant, body), body.get("name"))
    unit = {
        "etag": tenant.etag(),
        "name": body["name"],
        "description": body.get("description") or "",
        "orgUnitPath": path,
        "orgUnitId": tenant.new_code("id:03ph8a2z"),
    }
    tenant.store.put("org_units", path.lower(), unit)
    return Reply(200, _unit(tenant, unit))


def _update(tenant: Tenant, unit: dict[str, Any], body: dict[str, Any]) -> Reply:
    check_fields(body, UNIT_FIELDS)
    old = unit["orgUnitPath"]
    if old == "/":
        raise invalid("Invalid Ou Id")
    changed = (
        unit
        | {"etag": tenant.etag()}
        | ({"description": body["description"] or ""} if "description" in body else {})
    )
    moves = bool({"parentOrgUnitPath", "parentOrgUnitId"} & set(body))
    parent = (
        _parent(tenant, body)
        if moves
        else tenant.store["org_units"][(old.rpartition("/")[0] or "/").lower()]
    )
    name = body.get("name") or unit["name"]
    new = f"{parent['orgUnitPath'].rstrip('/')}/{name}"
    if (parent["orgUnitPath"] + "/").lower().startswith(old.lower() + "/"):
        raise refuse(412, "conditionNotMet", "OrgUnit hierarchy has cycle")
    if new != old:
        if new.lower() != old.lower():
            _path(tenant, parent, name)
        _move(tenant, old, new)
        changed |= {"name": name, "orgUnitPath": new}
    tenant.store.put("org_units", new.lower(), changed)
    return Reply(200, _unit(tenant, changed))


def _move(tenant: Tenant, old: str, new: str) -> None:
    """Everything below a unit moves with it: units and people."""
    for key, one in list(tenant.store["org_units"].items()):
        if (key + "/").startswith(old.lower() + "/"):
            path = new + one["orgUnitPath"][len(old) :]
            tenant.store.remove("org_units", key)
            tenant.store.put("org_units", path.lower(), one | {"orgUnitPath": path})
    for user_id, user in list(tenant.store["users"].items()):
        if (user["orgUnitPath"] + "/").lower().startswith(old.lower() + "/"):
            tenant.store.put(
                "users", user_id, user | {"orgUnitPath": new + user["orgUnitPath"][len(old) :]}
            )


def _delete(tenant: Tenant, unit: dict[str, Any]) -> Reply:
    path = unit["orgUnitPath"].lower()
    below = any(
        key.startswith(path.rstrip("/") + "/") for key in tenant.store["org_units"] if key != path
    )
    if (
        path == "/"
        or below
        or any(user["orgUnitPath"].lower() == path for user in tenant.store["users"].values())
    ):
        raise invalid("Invalid Ou Id")
    tenant.store.remove("org_units", path)
    return Reply(204)


# --- custom schemas


def _schema(tenant: Tenant, key: str) -> dict[str, Any]:
    for schema in tenant.store["schemas"].values():
        if key in (schema["schemaId"], schema["schemaName"]):
            return schema  # type: ignore[no-any-return]
    raise not_found("schemaKey")


def _specs(tenant: Tenant, fields: list[dict[str, Any]]) -> list[dict[str, Any]]:
    specs = []
    for spec in fields:
        check_fields(spec, SPEC_FIELDS, "fields.")
        required(spec, "fieldName", "fieldType", "displayName")
        if spec["fieldType"] not in FIELD_TYPES:
            raise invalid("Invalid Input: fieldType")
        specs.append(
            {
                "kind": "admin#directory#schema#fieldspec",
                "fieldId": tenant.new_code("f"),
                "readAccessType": "ALL_DOMAIN_USERS",
                **spec,
            }
        )
    if len({spec["fieldName"].lower() for spec in specs}) != len(specs):
        raise duplicate()
    return specs


def _insert_schema(tenant: Tenant, body: dict[str, Any]) -> Reply:
    check_fields(body, SCHEMA_FIELDS)
    required(body, "schemaName", "displayName", "fields")
    if any(
        schema["schemaName"].lower() == body["schemaName"].lower()
        for schema in tenant.store["schemas"].values()
    ):
        raise duplicate()
    schema = {
        "kind": "admin#directory#schema",
        "schemaId": tenant.new_code("s"),
        "etag": tenant.etag(),
        "schemaName": body["schemaName"],
        "displayName": body["displayName"],
        "fields": _specs(tenant, body["fields"]),
    }
    tenant.store.put("schemas", schema["schemaId"], schema)
    return Reply(200, schema)


def _update_schema(tenant: Tenant, key: str, asked: Call) -> Reply:
    check_fields(asked.body, SCHEMA_FIELDS)
    schema = _schema(tenant, key)
    if asked.method == "PUT":
        required(asked.body, "fields")
    changed = schema | {"etag": tenant.etag()}
    if asked.body.get("fields"):
        changed["fields"] = _specs(tenant, asked.body["fields"])
    if asked.body.get("displayName"):
        changed["displayName"] = asked.body["displayName"]
    tenant.store.put("schemas", schema["schemaId"], changed)
    return Reply(200, changed)
