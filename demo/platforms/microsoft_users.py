"""Graph users, the deleted items, licences.

Deleting is soft: the user goes to the deleted items with its memberships and can be restored. The
principal name and the seats of its licences are free at once; a restore that meets another holder
is a conflict, and takes back the seats still free.
"""

from __future__ import annotations

import re
from typing import Any

from demo.platforms.http import Reply
from demo.platforms.microsoft_delta import changes
from demo.platforms.microsoft_query import listed, selected, shown
from demo.platforms.microsoft_tenant import (
    ATTRIBUTES,
    DOMAINS,
    UPN,
    USER_PROPERTIES,
    USER_READ_ONLY,
    USER_TEXTS,
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

NICKNAME_BAD = re.compile(r"""[@()\\\[\]";:<>, ]""")
CHOICES = {
    "ageGroup": ("Minor", "NotAdult", "Adult"),
    "consentProvidedForMinor": ("Granted", "Denied", "NotRequired"),
}
CLEARABLE_NOT = (
    "displayName",
    "userPrincipalName",
    "mailNickname",
    "accountEnabled",
    "usageLocation",
)


def call(tenant: Tenant, asked: Call) -> Reply:
    """Answer one call under /users."""
    match (asked.method, asked.parts):
        case ("GET", ("users",)):
            return listed(tenant, asked, "user", "users", tenant.seen("users"))
        case ("POST", ("users",)):
            return _create(tenant, asked.body)
        case ("GET", ("users", "delta")):
            return changes(tenant, asked, "user")
        case ("GET", ("users", key)):
            return _one(tenant, tenant.user(key), asked)
        case ("GET", ("users", key, "memberOf")):
            return _belonging(tenant, tenant.user(key)["id"])
        case ("GET", ("users", key, "mailboxSettings", "userPurpose")):
            return _purpose(tenant.user(key))
        case ("GET", ("users", key, "manager")):
            return _manager(tenant, tenant.user(key))
        case ("PUT", ("users", key, "manager", "$ref")):
            return _managed_by(tenant, tenant.user(key), asked.body)
        case ("DELETE", ("users", key, "manager", "$ref")):
            return _managed_by(tenant, tenant.user(key), None)
        case ("PATCH", ("users", key)):
            return _update(tenant, tenant.user(key), asked.body)
        case ("DELETE", ("users", key)):
            return delete(tenant, tenant.user(key))
        case ("POST", ("users", key, "assignLicense")):
            return _license(tenant, tenant.user(key), asked)
        case ("POST", ("users", key, "revokeSignInSessions")):
            tenant.user(key)
            return Reply(200, {"value": True})
    raise refuse(
        405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target."
    )


def _manager(tenant: Tenant, user: dict[str, Any]) -> Reply:
    held = tenant.store["managers"].get(user["id"])
    if held is None or held not in tenant.store["users"]:
        raise missing("manager")
    return Reply(200, {"@odata.type": "#microsoft.graph.user", "id": held})


def _managed_by(tenant: Tenant, user: dict[str, Any], body: dict[str, Any] | None) -> Reply:
    """A manager is one at most: a PUT replaces it, and nobody is their own."""
    if body is None:
        if user["id"] not in tenant.store["managers"]:
            raise missing("manager")
        tenant.store.remove("managers", user["id"])
        return Reply(204)
    manager = tenant.bound(body.get("@odata.id"))
    if manager == user["id"] or manager not in tenant.store["users"]:
        raise bad("Invalid value specified for property 'manager' of resource 'User'.")
    tenant.store.put("managers", user["id"], manager)
    return Reply(204)


def _purpose(user: dict[str, Any]) -> Reply:
    """What a mailbox is for: kept beside the user under a name Graph does not show; nobody without
    a licence or such a purpose has one.
    """
    said = user.get("userPurpose") or ("user" if user.get("assignedLicenses") else "")
    if not said:
        raise refuse(
            404,
            "MailboxNotEnabledForRESTAPI",
            "The mailbox is either inactive, soft-deleted, or is hosted on-premise.",
        )
    return Reply(200, {"value": said})


def _belonging(tenant: Tenant, user_id: str) -> Reply:
    """The groups and directory roles a user is a direct member of, their type and id; all on one
    page.
    """
    kinds = (
        ("members", "group", lambda relation: relation),
        ("roles", "directoryRole", lambda role: role["members"]),
    )
    rows = [
        {"@odata.type": f"#microsoft.graph.{kind}", "id": key}
        for table, kind, members in kinds
        for key, row in tenant.store[table].items()
        if user_id in members(row)
    ]
    return Reply(
        200, {"@odata.context": f"{tenant.origin}/v1.0/$metadata#directoryObjects", "value": rows}
    )


def deleted_items(tenant: Tenant, asked: Call) -> Reply:
    """Answer one call under /directory/deletedItems."""
    match (asked.method, asked.parts):
        case ("GET", (_, _, "microsoft.graph.user")):
            return listed(
                tenant, asked, "user", "/".join(asked.parts), tenant.seen("deleted_users")
            )
        case ("GET", (_, _, "microsoft.graph.group")):
            return listed(
                tenant, asked, "group", "/".join(asked.parts), tenant.seen("deleted_groups")
            )
        case ("GET", (_, _, key)):
            for table, kind in (("deleted_users", "user"), ("deleted_groups", "group")):
                if found := tenant.store[table].get(key):
                    return Reply(
                        200,
                        {"@odata.type": f"#microsoft.graph.{kind}"}
                        | shown(found, selected(kind, asked.params)),
                    )
            raise missing(key)
        case ("POST", (_, _, key, "restore")):
            return _restore(tenant, key)
        case (
            "DELETE",
            (_, _, _),
        ):  # permanent deletion is for people signed in, not for applications
            raise refuse(
                403,
                "Authorization_RequestDenied",
                "Insufficient privileges to complete the operation.",
            )
        case ("GET", (_, _)):
            raise bad("Resource collection requires a cast segment, e.g. microsoft.graph.user.")
    raise refuse(
        405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target."
    )


def password_is_accepted(password: str) -> bool:
    """8 to 256 ASCII characters of at least three of the four classes."""
    classes = sum(
        bool(re.search(one, password)) for one in ("[a-z]", "[A-Z]", "[0-9]", "[^A-Za-z0-9]")
    )
    return 8 <= len(password) <= 256 and password.isascii() and classes >= 3


def _one(tenant: Tenant, user: dict[str, Any], asked: Call) -> Reply:
    names = selected("user", asked.params)
    return Reply(
        200,
        {"@odata.context": f"{tenant.origin}/v1.0/$metadata#users/$entity"} | shown(user, names),
    )


def _create(tenant: Tenant, body: dict[str, Any]) -> Reply:
    needed(
        body,
        "User",
        "accountEnabled",
        "displayName",
        "mailNickname",
        "userPrincipalName",
        "passwordProfile",
    )
    needed(
        body["passwordProfile"] if isinstance(body["passwordProfile"], dict) else {},
        "User",
        "password",
    )
    tenant.check_room()
    blank = {"id": tenant.new_id(), "createdDateTime": now(), "userType": "Member"}
    user = _changed(tenant, blank, body)
    tenant.store.put("users", user["id"], user)
    tenant.remember(user["id"])
    return Reply(
        201,
        {"@odata.context": f"{tenant.origin}/v1.0/$metadata#users/$entity"}
        | shown(user, selected("user", {})),
    )


def _update(tenant: Tenant, user: dict[str, Any], body: dict[str, Any]) -> Reply:
    if not body:
        raise refuse(400, "BadRequest", "Empty Payload. JSON content expected.")
    holds_role = any(user["id"] in role["members"] for role in tenant.store["roles"].values())
    if holds_role and "accountEnabled" in body:  # an application of ours may not, a person has to
        raise refuse(
            403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."
        )
    tenant.store.put("users", user["id"], _changed(tenant, user, body))
    return Reply(204)


def _changed(tenant: Tenant, user: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """The user with the properties of a body applied; refuses what Graph refuses."""
    check_properties(body, USER_PROPERTIES, USER_TEXTS, USER_READ_ONLY, "user")
    changed = dict(user)
    for name, value in body.items():
        if name.startswith("@odata."):
            continue
        if value in (None, "") and name in CLEARABLE_NOT:
            raise bad(f"Invalid value specified for property '{name}' of resource 'User'.")
        if name == "passwordProfile":
            password = (value or {}).get("password")
            if password is not None and not password_is_accepted(password):
                raise bad(
                    "The specified password does not comply with password complexity requirements."
                    " Please provide a different password."
                )
        elif name == "onPremisesExtensionAttributes":
            attributes = value or {}
            if set(attributes) - set(ATTRIBUTES):
                raise bad("Invalid property in onPremisesExtensionAttributes.")
            merged = user.get(name, {}) | attributes
            changed[name] = {key: text for key, text in merged.items() if text is not None}
        elif name == "businessPhones" and len(value or []) > 1:
            raise bad("Invalid value specified for property 'businessPhones' of resource 'User'.")
        elif name in CHOICES and value not in (None, *CHOICES[name]):
            raise bad(f"Invalid value specified for property '{name}' of resource 'User'.")
        elif value is None:
            changed.pop(name, None)
        else:
            changed[name] = value
    if NICKNAME_BAD.search(changed["mailNickname"]) or not changed["mailNickname"].isascii():
        raise bad("Invalid value specified for property 'mailNickname' of resource 'User'.")
    if changed.get("usageLocation") and not re.fullmatch("[A-Z]{2}", changed["usageLocation"]):
        raise bad("Invalid value specified for property 'usageLocation' of resource 'User'.")
    if "userPrincipalName" in body:
        _name(tenant, user, changed["userPrincipalName"])
    if body.get("mail") and body["mail"] != user.get("mail"):
        _claim(tenant, user["id"], body["mail"], "proxyAddresses")
        others = [
            f"smtp:{one.partition(':')[2]}"
            for one in user.get("proxyAddresses", [])
            if one.partition(":")[2].lower() != body["mail"].lower()
        ]
        changed["proxyAddresses"] = [
            f"SMTP:{body['mail']}",
            *others,
        ]  # the primary address of before becomes a secondary one
    return changed


def _name(tenant: Tenant, user: dict[str, Any], name: str) -> None:
    """Give the user a principal name, if it is well-formed, in a verified domain and free."""
    if not UPN.fullmatch(name) or name.split("@", maxsplit=1)[0].endswith("."):
        raise bad(
            "Invalid value specified for property 'userPrincipalName' of resource 'User'.",
            [{"code": "InvalidValue", "message": "Invalid value.", "target": "userPrincipalName"}],
        )
    if name.split("@")[1].lower() not in DOMAINS:
        raise bad(
            "The domain portion of the userPrincipalName property is invalid. You must use one of"
            " the verified domain names in your organization.",
            [{"code": "InvalidValue", "message": "Invalid value.", "target": "userPrincipalName"}],
        )
    before = str(user.get("userPrincipalName", ""))
    if name.lower() == before.lower():
        return
    _claim(tenant, user["id"], name, "userPrincipalName")
    if before and f"smtp:{before}".lower() not in [
        one.lower() for one in user.get("proxyAddresses", [])
    ]:
        tenant.store.remove("addresses", before.lower())


def _claim(tenant: Tenant, user_id: str, address: str, target: str) -> None:
    holder = tenant.holder(address)
    if holder and holder[1] != user_id:
        raise conflict(
            target
            if target == "userPrincipalName" and _is_principal(tenant, holder, address)
            else "proxyAddresses",
            f"{holder[0].removesuffix('s').title()}_{holder[1]}",
        )
    tenant.store.put("addresses", address.lower(), ["users", user_id])


def _is_principal(tenant: Tenant, holder: tuple[str, str], address: str) -> bool:
    return bool(
        tenant.store[holder[0]][holder[1]].get("userPrincipalName", "").lower() == address.lower()
    )


def addresses(user: dict[str, Any]) -> set[str]:
    """Every address a user holds, in lower case."""
    return {
        user["userPrincipalName"].lower(),
        *(one.split(":", 1)[1].lower() for one in user.get("proxyAddresses", [])),
    }


def delete(tenant: Tenant, user: dict[str, Any]) -> Reply:
    for address in addresses(user):
        tenant.store.remove("addresses", address)
    for one in user.get("assignedLicenses", []):
        _seats(
            tenant, one["skuId"], -1
        )  # its seats are free at once; which they were is kept for a restore
    tenant.store.remove("users", user["id"])
    tenant.store.put("deleted_users", user["id"], user | {"deletedDateTime": now()})
    return Reply(204)


def _restore(tenant: Tenant, key: str) -> Reply:
    if user := tenant.store["deleted_users"].get(key):
        for address in addresses(user):
            if tenant.holder(address):
                raise conflict(
                    "userPrincipalName"
                    if address == user["userPrincipalName"].lower()
                    else "proxyAddresses"
                )
            tenant.store.put("addresses", address, ["users", key])
        held = [
            one for one in user.get("assignedLicenses", []) if _has_seat(tenant, one["skuId"])
        ]  # a seat given away meanwhile does not come back
        for one in held:
            _seats(tenant, one["skuId"], 1)
        user = {name: value for name, value in user.items() if name != "deletedDateTime"} | (
            {"assignedLicenses": held} if user.get("assignedLicenses") else {}
        )
        tenant.store.remove("deleted_users", key)
        tenant.store.put("users", key, user)
        return Reply(
            200, {"@odata.type": "#microsoft.graph.user"} | shown(user, selected("user", {}))
        )
    if group := tenant.store["deleted_groups"].get(key):
        unique = group.get("uniqueName")
        if unique and unique in tenant.store["unique_names"]:
            raise conflict("uniqueName")
        if unique:
            tenant.store.put("unique_names", unique, key)
        tenant.store.remove("deleted_groups", key)
        tenant.store.put(
            "groups",
            key,
            {name: value for name, value in group.items() if name != "deletedDateTime"},
        )
        return Reply(
            200, {"@odata.type": "#microsoft.graph.group"} | shown(group, selected("group", {}))
        )
    raise missing(key)


def _license(tenant: Tenant, user: dict[str, Any], asked: Call) -> Reply:
    body = asked.body
    if not isinstance(body.get("addLicenses"), list) or not isinstance(
        body.get("removeLicenses"), list
    ):
        raise bad(
            "One or more parameters of the operation 'assignLicense' are missing from the request"
            " payload."
        )
    before = {one["skuId"]: one for one in user.get("assignedLicenses", [])}
    held = dict(before)
    for sku_id in body["removeLicenses"]:
        if sku_id not in held:
            raise bad("User does not have a corresponding license.")
        del held[sku_id]
    for one in body["addLicenses"]:
        if not user.get("usageLocation"):
            raise bad("License assignment cannot be done for user with invalid usage location.")
        sku_id = one.get("skuId", "")
        _known(tenant, sku_id)
        if sku_id not in before and not _has_seat(tenant, sku_id):
            raise bad(f"Subscription with SKU {sku_id} does not have any available licenses.")
        held[sku_id] = {"skuId": sku_id, "disabledPlans": one.get("disabledPlans", [])}
    if tenant.faults.exclusive_licences and len(held) > 1:
        raise bad(
            "License assignment failed because service plans"
            " are mutually exclusive: MutuallyExclusiveViolation."
        )
    # all of it, or nothing: what is free and what is held change together
    for sku_id in before.keys() - held.keys():
        _seats(tenant, sku_id, -1)
    for sku_id in held.keys() - before.keys():
        _seats(tenant, sku_id, 1)
    changed = user | {"assignedLicenses": list(held.values())}
    tenant.store.put("users", user["id"], changed)
    return _one(tenant, changed, asked)


def _has_seat(tenant: Tenant, sku_id: str) -> bool:
    sku = tenant.store["skus"][sku_id]
    return bool(
        sku["consumedUnits"] < min(sku["prepaidUnits"]["enabled"], tenant.faults.licence_seats)
    )


def _known(tenant: Tenant, sku_id: str) -> dict[str, Any]:
    if sku_id not in tenant.store["skus"]:
        raise bad(f"License {sku_id} does not correspond to a valid company License.")
    return dict(tenant.store["skus"][sku_id])


def _seats(tenant: Tenant, sku_id: str, more: int) -> None:
    sku = _known(tenant, sku_id)
    tenant.store.put("skus", sku_id, sku | {"consumedUnits": sku["consumedUnits"] + more})
