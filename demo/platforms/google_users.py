"""Directory users: insert, get, list, update (PUT and PATCH), delete, undelete, aliases, makeAdmin.

`PUT` has patch semantics, as Google documents: absent is kept, null is cleared, arrays are replaced
whole. `PATCH` does the same except that it cannot clear a repeated field. Renaming keeps the old
address as an alias.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from demo.platforms.google_tenant import (
    Call,
    Tenant,
    check_fields,
    invalid,
    not_found,
    now,
    refuse,
    required,
)
from demo.platforms.http import Reply

ARRAYS = (
    "addresses",
    "emails",
    "externalIds",
    "ims",
    "keywords",
    "languages",
    "locations",
    "organizations",
    "phones",
    "posixAccounts",
    "relations",
    "sshPublicKeys",
    "websites",
)
MOST_BYTES = {
    "addresses": 10240,
    "emails": 10240,
    "externalIds": 2048,
    "ims": 2048,
    "locations": 10240,
    "organizations": 10240,
    "phones": 1024,
    "relations": 2048,
    "websites": 2048,
}
EXTERNAL_ID_TYPES = ("account", "custom", "customer", "login_id", "network", "organization")
WRITABLE: dict[str, type] = {
    "primaryEmail": str,
    "name": dict,
    "password": str,
    "hashFunction": str,
    "suspended": bool,
    "archived": bool,
    "changePasswordAtNextLogin": bool,
    "ipWhitelisted": bool,
    "includeInGlobalAddressList": bool,
    "orgUnitPath": str,
    "customSchemas": dict,
    "recoveryEmail": str,
    "recoveryPhone": str,
    "gender": object,
    "notes": object,
    **dict.fromkeys(ARRAYS, list),
}
OUTPUT_ONLY = (
    "kind",
    "id",
    "etag",
    "aliases",
    "nonEditableAliases",
    "customerId",
    "isAdmin",
    "isDelegatedAdmin",
    "creationTime",
    "deletionTime",
    "lastLoginTime",
    "agreedToTerms",
    "isMailboxSetup",
    "isEnrolledIn2Sv",
    "isEnforcedIn2Sv",
    "suspensionReason",
    "suspensionTime",
    "archivalTime",
    "thumbnailPhotoEtag",
    "thumbnailPhotoUrl",
    "guestAccountInfo",
    "isGuestUser",
)
FIELDS = WRITABLE | dict.fromkeys(OUTPUT_ONLY, object)
NAME_FIELDS: dict[str, type] = {
    "givenName": str,
    "familyName": str,
    "displayName": str,
    "fullName": str,
}
_CLAUSE = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(=|:)\s*(?:'((?:[^'\\]|\\.)*)'|(\S+))")


def call(tenant: Tenant, asked: Call) -> Reply:
    """Answer one call under /users."""
    match (asked.method, asked.parts):
        case ("GET", ("users",)):
            return _list(tenant, asked.params)
        case ("POST", ("users",)):
            return _insert(tenant, asked.body)
        case ("GET", ("users", key)):
            return Reply(200, shown(tenant.user(key), asked.params))
        case ("PUT" | "PATCH", ("users", key)):
            return _update(tenant, key, asked)
        case ("DELETE", ("users", key)):
            return _delete(tenant, key)
        case ("POST", ("users", key, "undelete")):
            return _undelete(tenant, key, asked.body)
        case ("GET", ("users", key, "tokens")):
            tenant.user(key)
            return Reply(200, {"kind": "admin#directory#tokenList", "items": []})
        case ("POST", ("users", key, "signOut")):
            tenant.user(key)  # what it ends, web and device sessions, is not shown anywhere
            return Reply(204)
        case ("POST", ("users", key, "makeAdmin")):
            return _make_admin(tenant, key, asked.body)
        case ("GET", ("users", key, "aliases")):
            user = tenant.user(key)
            rows = [_alias(user, alias) for alias in user["aliases"]]
            return Reply(
                200,
                {"kind": "admin#directory#aliases", "etag": user["etag"]}
                | ({"aliases": rows} if rows else {}),
            )
        case ("POST", ("users", key, "aliases")):
            return _add_alias(tenant, key, asked.body)
        case ("DELETE", ("users", key, "aliases", alias)):
            return _remove_alias(tenant, key, alias)
    raise refuse(404, "notFound", "Not Found")


def password_is_accepted(password: str) -> bool:
    """Plain passwords: 8 to 100 ASCII characters."""
    return 8 <= len(password) <= 100 and password.isascii()


def shown(user: dict[str, Any], params: Mapping[str, str]) -> dict[str, Any]:
    """The resource as the projection asks for it; custom fields only with `custom` (and a mask) or
    `full`.
    """
    projection = params.get("projection", "basic")
    if projection not in ("basic", "custom", "full"):
        raise refuse(
            400,
            "invalidParameter",
            f"Invalid value '{projection}'. Allowed values: [basic, custom, full]",
        )
    schemas = user.get("customSchemas")
    resource = {
        "kind": "admin#directory#user",
        **{name: value for name, value in user.items() if name not in ("customSchemas", "aliases")},
    }
    resource["emails"] = [
        {"address": user["primaryEmail"], "primary": True},
        *({"address": alias} for alias in user["aliases"]),
        *user.get("emails", []),
    ]
    if user["aliases"]:
        resource["aliases"] = user["aliases"]
    if projection == "custom":
        mask = params.get("customFieldMask", "")
        if not mask:
            raise refuse(400, "required", "Missing required field: customFieldMask")
        schemas = (
            {name: schemas[name] for name in mask.split(",") if name in schemas}
            if schemas
            else None
        )
    if projection != "basic" and schemas:
        resource["customSchemas"] = schemas
    return resource


# --- reading lists


def _list(tenant: Tenant, params: Mapping[str, str]) -> Reply:
    if "customer" in params:
        tenant.check_customer(params["customer"])
    elif "domain" not in params:
        raise refuse(400, "badRequest", "Bad Request")  # Google requires one of the two
    size = tenant.page_size(params, 100, 500)
    deleted = params.get("showDeleted") == "true"
    users = tenant.seen("deleted" if deleted else "users")
    keys: list[str] = []
    if "pageToken" not in params:
        matches = _matcher(params.get("query", ""))
        domain = "@" + params["domain"].lower() if "domain" in params else ""
        found = [
            user
            for user in users.values()
            if user["primaryEmail"].endswith(domain) and matches(user)
        ]
        if "orderBy" in params:
            found.sort(
                key=_order(params["orderBy"]), reverse=params.get("sortOrder") == "DESCENDING"
            )
        keys = [user["id"] for user in found]
    page, token = tenant.page(params, size, keys)
    resource: dict[str, Any] = {"kind": "admin#directory#users", "etag": f'"users/{len(users)}"'}
    if page:
        resource["users"] = [shown(users[key], params) for key in page if key in users]
    if token:
        resource["nextPageToken"] = token
    return Reply(200, resource)


def _order(by: str) -> Callable[[dict[str, Any]], str]:
    if by == "email":
        return lambda user: user["primaryEmail"]
    if by in ("givenName", "familyName"):
        return lambda user: user["name"][by].lower()
    raise refuse(
        400,
        "invalidParameter",
        f"Invalid value '{by}'. Allowed values: [email, familyName, givenName]",
    )


@lru_cache(maxsize=256)
def _clauses(query: str) -> tuple[tuple[str, str, str], ...]:
    clauses, at = [], 0
    while at < len(query.rstrip()):
        one = _CLAUSE.match(query, at)
        if not one:
            raise invalid("Invalid Input: query")
        quoted = one[3]
        clauses.append(
            (one[1], one[2], re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else one[4])
        )
        at = one.end()
    return tuple(clauses)


def _matcher(query: str) -> Callable[[dict[str, Any]], bool]:
    """All clauses of a search must hold: `field=value` is exact, `field:value` contains,
    `field:value*` begins with.
    """
    clauses = _clauses(query)

    def matches(user: dict[str, Any]) -> bool:
        return all(_holds(user, *clause) for clause in clauses)

    for clause in clauses:
        _values(
            {
                "primaryEmail": "",
                "aliases": [],
                "name": {},
                "orgUnitPath": "",
                "suspended": False,
                "isAdmin": False,
            },
            clause[0],
        )
    return matches


def _holds(user: dict[str, Any], name: str, operator: str, wanted: str) -> bool:
    if name == "orgUnitPath":  # matches the unit and every unit below it
        path = user["orgUnitPath"].lower()
        top = wanted.lower().rstrip("/")
        return bool(path == top or path.startswith(top + "/"))
    wanted = wanted.lower()
    values = [value.lower() for value in _values(user, name)]
    if operator == "=":
        return wanted in values
    if wanted.endswith("*"):
        return any(value.startswith(wanted[:-1]) for value in values)
    return any(wanted in value for value in values)


def _values(user: dict[str, Any], name: str) -> list[str]:
    if name == "email":
        return [user["primaryEmail"], *user["aliases"]]
    if name in ("givenName", "familyName"):
        return [user["name"].get(name, "")]
    if name == "name":
        return [user["name"].get("fullName", "")]
    if name == "orgUnitPath":
        return [user["orgUnitPath"]]
    if name in ("isSuspended", "isAdmin"):
        return ["true" if user["suspended" if name == "isSuspended" else "isAdmin"] else "false"]
    if name == "externalId":
        return [str(one.get("value", "")) for one in user.get("externalIds", [])]
    if "." in name:
        schema, field = name.split(".", 1)
        value = user.get("customSchemas", {}).get(schema, {}).get(field)
        return (
            [str(one["value"]) for one in value]
            if isinstance(value, list)
            else []
            if value is None
            else [str(value)]
        )
    raise invalid("Invalid Input: query")


# --- writing


def _insert(tenant: Tenant, body: dict[str, Any]) -> Reply:
    check_fields(body, FIELDS)
    required(body, "primaryEmail")
    names = body.get("name") or {}
    for name in ("givenName", "familyName"):
        if not names.get(name):
            raise invalid(f"Invalid Given/Family Name: {name[0].upper()}{name[1:]}")
    if not body.get("password"):
        raise invalid("Invalid Password")
    address = tenant.check_address(body["primaryEmail"], "primary_user_email")
    user_id = tenant.new_user_id()
    blank = {
        "id": user_id,
        "etag": "",
        "primaryEmail": address,
        "name": {},
        "isAdmin": False,
        "isDelegatedAdmin": False,
        "lastLoginTime": "1970-01-01T00:00:00.000Z",
        "creationTime": now(),
        "agreedToTerms": False,
        "suspended": False,
        "archived": False,
        "changePasswordAtNextLogin": False,
        "ipWhitelisted": False,
        "aliases": [],
        "customerId": "C03sd0074",
        "orgUnitPath": "/",
        "isMailboxSetup": True,
        "isEnrolledIn2Sv": False,
        "isEnforcedIn2Sv": False,
        "includeInGlobalAddressList": True,
    }
    user = _changed(
        tenant, blank, {name: value for name, value in body.items() if name != "primaryEmail"}
    )
    tenant.store.put("addresses", address, ["user", user_id])
    tenant.store.put("users", user_id, user)
    tenant.born[user_id] = time.monotonic()
    return Reply(200, shown(user, {"projection": "full"}))


def _update(tenant: Tenant, key: str, asked: Call) -> Reply:
    body = asked.body
    check_fields(body, FIELDS)
    user = tenant.user(key)
    if tenant.is_incomplete(user["id"]):
        raise refuse(
            412,
            "conditionNotMet",
            "User creation is not complete.",
            location="If-Match",
            locationType="header",
        )
    if asked.method == "PATCH":  # the documented weakness of patch: an empty array changes nothing
        body = {name: value for name, value in body.items() if not (name in ARRAYS and not value)}
    address = str(body.get("primaryEmail") or "").lower()
    changed = _changed(
        tenant, user, {name: value for name, value in body.items() if name != "primaryEmail"}
    )
    if address and address != user["primaryEmail"]:
        # also refused when the address is an alias of the same user: the alias must be deleted
        # first
        tenant.check_address(address, "primary_user_email")
        changed |= {"primaryEmail": address, "aliases": [*user["aliases"], user["primaryEmail"]]}
        tenant.store.put("addresses", address, ["user", user["id"]])
    tenant.store.put("users", user["id"], changed)
    return Reply(200, shown(changed, {"projection": "full"}))


def _changed(tenant: Tenant, user: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """The user with the fields of a body applied; refuses what Google refuses."""
    changed = dict(user)
    _check_password(body)
    for name, value in body.items():
        if name in OUTPUT_ONLY or name in ("password", "hashFunction", "emails"):
            continue
        if name == "name":
            changed["name"] = _named(user["name"], value or {})
        elif name == "orgUnitPath":
            unit = tenant.store["org_units"].get(str(value).lower())
            if unit is None:
                raise invalid("Invalid Input: INVALID_OU_ID")
            changed["orgUnitPath"] = unit["orgUnitPath"]
        elif name == "customSchemas":
            merged = _custom(tenant, user.get("customSchemas", {}), value or {})
            changed["customSchemas"] = merged
        elif value is None:
            (
                changed.pop(name, None)
                if name not in ("suspended", "archived", "changePasswordAtNextLogin")
                else changed.update({name: False})
            )
        else:
            if name in ARRAYS:
                _check_array(name, value)
            changed[name] = value
    if not changed["suspended"] and user.get("suspensionReason") not in (None, "ADMIN"):
        raise refuse(412, "adminCannotUnsuspend", "The user is suspended by Google.")
    if changed["suspended"] and not user.get("suspended"):
        changed |= {"suspensionReason": "ADMIN", "suspensionTime": now()}
    elif not changed["suspended"]:
        for name in ("suspensionReason", "suspensionTime"):
            changed.pop(name, None)
    if changed["archived"] and not user.get("archived"):
        changed["archivalTime"] = now()
    elif not changed["archived"]:
        changed.pop("archivalTime", None)
    changed["etag"] = tenant.etag()
    return changed


def _check_password(body: dict[str, Any]) -> None:
    password, function = body.get("password"), body.get("hashFunction")
    if function is not None and function not in ("MD5", "SHA-1", "crypt"):
        raise invalid("Invalid Input: hashFunction")
    if password is None:
        return
    rules = {
        "MD5": r"[0-9a-fA-F]{32}",
        "SHA-1": r"[0-9a-fA-F]{40}",
        "crypt": r"\$[156]\$.+|[./0-9A-Za-z]{13}",
    }
    if function and not re.fullmatch(rules[function], password):
        raise invalid("Invalid Password")
    if not function and not password_is_accepted(password):
        raise invalid("Invalid Password")


def _named(before: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
    check_fields(names, NAME_FIELDS, "name.")
    after = before | {name: value for name, value in names.items() if name != "fullName"}
    for name in ("givenName", "familyName"):
        if not after.get(name) or len(after[name]) > 60:
            raise invalid(f"Invalid Given/Family Name: {name[0].upper()}{name[1:]}")
    return after | {"fullName": f"{after['givenName']} {after['familyName']}"}


def _check_array(name: str, value: list[Any]) -> None:
    if (
        name in MOST_BYTES
        and len(json.dumps(value, ensure_ascii=False).encode()) > MOST_BYTES[name]
    ):
        raise invalid(f"Invalid Input: {name}")
    for one in value:
        wrong_type = name == "externalIds" and (
            one.get("type") not in EXTERNAL_ID_TYPES
            or (one.get("type") == "custom" and not one.get("customType"))
        )
        if wrong_type or (name in ("externalIds", "relations") and "value" not in one):
            raise invalid(f"Invalid Input: {name}")


def _custom(tenant: Tenant, before: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Custom fields merged schema by schema; a schema or field nobody defined is refused."""
    after = dict(before)
    schemas = {schema["schemaName"]: schema for schema in tenant.store["schemas"].values()}
    for name, values in given.items():
        if name not in schemas:
            raise invalid("Invalid Input: custom_schema")
        specs = {spec["fieldName"]: spec for spec in schemas[name]["fields"]}
        merged = dict(after.get(name, {}))
        for field, value in (values or {}).items():
            spec = specs.get(field)
            if spec is None or (value is not None and not _fits(spec, value)):
                raise invalid("Invalid Input: custom_schema")
            merged[field] = value
        merged = (
            {field: value for field, value in merged.items() if value is not None}
            if values is not None
            else {}
        )
        after = {key: value for key, value in (after | {name: merged}).items() if value}
    return after


def _fits(spec: dict[str, Any], value: Any) -> bool:
    if spec.get("multiValued"):
        return isinstance(value, list) and all(
            isinstance(one, dict) and "value" in one for one in value
        )
    kinds = {"BOOL": bool, "INT64": (int, str), "DOUBLE": (int, float)}
    return isinstance(value, kinds.get(spec["fieldType"], str))


def _delete(tenant: Tenant, key: str) -> Reply:
    user = tenant.user(key)
    for address in [user["primaryEmail"], *user["aliases"]]:
        tenant.store.remove("addresses", address)
    for group_id, members in list(tenant.store["members"].items()):
        if user["id"] in members:
            tenant.store.put(
                "members",
                group_id,
                {one: role for one, role in members.items() if one != user["id"]},
            )
    for held in [key for key in tenant.store["licences"] if key.endswith(f"/{user['id']}")]:
        tenant.store.remove("licences", held)
    tenant.store.remove("users", user["id"])
    tenant.store.put("deleted", user["id"], user | {"deletionTime": now(), "aliases": []})
    return Reply(204)


def _undelete(tenant: Tenant, key: str, body: dict[str, Any]) -> Reply:
    check_fields(body, {"orgUnitPath": str})
    user = tenant.store["deleted"].get(key)  # by the immutable id only
    if user is None:
        raise not_found("userKey")
    unit = tenant.store["org_units"].get((body.get("orgUnitPath") or "/").lower())
    if unit is None:
        raise invalid("Invalid Input: INVALID_OU_ID")
    if tenant.holder(user["primaryEmail"]):
        raise refuse(
            412, "conditionNotMet", "Cannot undelete user: the address is in use."
        )  # the wording is ours
    restored = {name: value for name, value in user.items() if name != "deletionTime"} | {
        "orgUnitPath": unit["orgUnitPath"],
        "etag": tenant.etag(),
    }
    tenant.store.remove("deleted", key)
    tenant.store.put("users", key, restored)
    tenant.store.put("addresses", user["primaryEmail"], ["user", key])
    return Reply(204)


def _make_admin(tenant: Tenant, key: str, body: dict[str, Any]) -> Reply:
    check_fields(body, {"status": bool})
    if "status" not in body:
        required(body, "status")
    user = tenant.user(key)
    tenant.store.put("users", user["id"], user | {"isAdmin": body["status"], "etag": tenant.etag()})
    return Reply(204)


def _alias(user: dict[str, Any], alias: str) -> dict[str, Any]:
    return {
        "kind": "admin#directory#alias",
        "id": user["id"],
        "etag": user["etag"],
        "primaryEmail": user["primaryEmail"],
        "alias": alias,
    }


def _add_alias(tenant: Tenant, key: str, body: dict[str, Any]) -> Reply:
    check_fields(
        body, {"alias": str, "id": object, "etag": object, "kind": object, "primaryEmail": object}
    )
    required(body, "alias")
    user = tenant.user(key)
    alias = tenant.check_address(body["alias"], "alias_id")
    if len(user["aliases"]) >= 30:
        raise refuse(
            412, "limitExceeded", "A user can have at most 30 aliases."
        )  # the wording is ours
    changed = user | {"aliases": [*user["aliases"], alias], "etag": tenant.etag()}
    tenant.store.put("users", user["id"], changed)
    tenant.store.put("addresses", alias, ["user", user["id"]])
    return Reply(200, _alias(changed, alias))


def _remove_alias(tenant: Tenant, key: str, alias: str) -> Reply:
    user, alias = tenant.user(key), alias.lower()
    if alias not in user["aliases"]:
        raise invalid("Invalid Input: resource_id")
    tenant.store.put(
        "users",
        user["id"],
        user | {"aliases": [one for one in user["aliases"] if one != alias], "etag": tenant.etag()},
    )
    tenant.store.remove("addresses", alias)
    return Reply(204)
