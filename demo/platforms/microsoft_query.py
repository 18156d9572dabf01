"""How Graph lists are asked for: $select, $filter, $top, $count, and pages by @odata.nextLink.

Only selected properties are returned, the documented defaults when nothing is selected. Filters:
`eq` and `in` on the usual properties, `startswith` on names, `ne` and the extension attributes only
as advanced queries (`ConsistencyLevel: eventual` and `$count=true`), joined by `and` or by `or`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from demo.platforms.http import Reply
from demo.platforms.microsoft_tenant import (
    ATTRIBUTES,
    CLASS_PROPERTIES,
    CLASS_READ_ONLY,
    GROUP_DEFAULTS,
    GROUP_PROPERTIES,
    GROUP_READ_ONLY,
    USER_DEFAULTS,
    USER_PROPERTIES,
    USER_READ_ONLY,
    Call,
    Tenant,
    refuse,
)

DEFAULT_PAGE = 100
MOST_ON_A_PAGE = 999
FILTERS = {
    "user": (
        "id",
        "userPrincipalName",
        "mailNickname",
        "displayName",
        "givenName",
        "surname",
        "mail",
        "employeeId",
        "accountEnabled",
        "department",
        "jobTitle",
        "usageLocation",
        "userType",
    ),
    "group": (
        "id",
        "displayName",
        "mailNickname",
        "uniqueName",
        "mail",
        "mailEnabled",
        "securityEnabled",
    ),
    "educationClass": ("id", "displayName", "externalId", "mailNickname"),
}
# kind -> what comes unasked, what may be asked for
SELECTED = {
    "user": (USER_DEFAULTS, {*USER_PROPERTIES, *USER_READ_ONLY}),
    "group": (GROUP_DEFAULTS, {*GROUP_PROPERTIES, *GROUP_READ_ONLY}),
    "orgContact": (("id", "mail", "proxyAddresses"), {"id", "mail", "proxyAddresses"}),
    "educationClass": (("id", *CLASS_PROPERTIES), {*CLASS_PROPERTIES, *CLASS_READ_ONLY}),
}
_EXTENSION = "onPremisesExtensionAttributes/"
_CLAUSE = re.compile(r"([\w/]+)\s+(eq|ne)\s+('(?:[^']|'')*'|true|false|null)$")
_IN = re.compile(r"([\w/]+)\s+in\s*\(\s*('(?:[^']|'')*'(?:\s*,\s*'(?:[^']|'')*')*)\s*\)$")
_STARTS = re.compile(r"startswith\(\s*([\w/]+)\s*,\s*('(?:[^']|'')*')\s*\)$", re.IGNORECASE)
_TEXT = re.compile(r"'((?:[^']|'')*)'")
_JOINED = re.compile(r"('(?:[^']|'')*')|\s+(and|or)\s+")

Row = Mapping[str, Any]


def selected(kind: str, params: Mapping[str, str]) -> tuple[str, ...]:
    """The properties to return; refuses those the type does not have."""
    defaults, known = SELECTED[kind]
    if "$select" not in params:
        return defaults
    names = tuple(name.strip() for name in params["$select"].split(",") if name.strip())
    for name in names:
        if name not in known or "@" in name:
            text = (
                f"Parsing OData Select and Expand failed: Could not find a property named '{name}'"
                f" on type 'microsoft.graph.{kind}'."
            )
            raise refuse(400, "BadRequest", text)
    return names


def shown(row: Row, names: tuple[str, ...]) -> dict[str, Any]:
    """An object with those properties; what it has no value for is null, an empty list, or all
    fifteen attributes.
    """
    resource: dict[str, Any] = {}
    for name in names:
        if name == "onPremisesExtensionAttributes":
            resource[name] = dict.fromkeys(ATTRIBUTES) | row.get(name, {})
        elif (
            name == "licenseAssignmentStates"
        ):  # all of them given directly: this tenant has no groups with licences
            resource[name] = [
                {
                    "skuId": one["skuId"],
                    "disabledPlans": one["disabledPlans"],
                    "assignedByGroup": None,
                    "state": "Active",
                    "error": "None",
                }
                for one in row.get("assignedLicenses", [])
            ]
        elif name != "passwordProfile":
            lists = name in (
                "businessPhones",
                "otherMails",
                "proxyAddresses",
                "groupTypes",
                "assignedLicenses",
                "resourceBehaviorOptions",
            )
            resource[name] = row.get(name, [] if lists else None)
        else:
            resource[name] = None  # never returned
    return resource


def listed(
    tenant: Tenant,
    asked: Call,
    kind: str,
    path: str,
    rows: Mapping[str, Row],
    *,
    typed: bool = False,
) -> Reply:
    """One page of the rows that match, with the link to the next."""
    params = asked.params
    for name in params:
        if name.startswith("$") and name not in (
            "$select",
            "$filter",
            "$top",
            "$count",
            "$skiptoken",
            "$orderby",
            *(["$expand"] if kind == "user" else []),
        ):
            raise refuse(400, "Request_UnsupportedQuery", f"Unsupported query option {name}.")
    top = params.get("$top", str(DEFAULT_PAGE))
    if not top.isdigit() or not 1 <= int(top) <= MOST_ON_A_PAGE:
        raise refuse(
            400,
            "Request_UnsupportedQuery",
            f"Invalid page size specified: '{top}'. Must be between 1 and"
            f" {MOST_ON_A_PAGE} inclusive.",
        )
    names = selected(kind, params)
    advanced = (
        asked.headers.get("consistencylevel", "").lower() == "eventual"
        and params.get("$count") == "true"
    )
    if "$count" in params and not advanced:
        raise refuse(
            400, "Request_UnsupportedQuery", "$count needs the header ConsistencyLevel: eventual."
        )
    resource: dict[str, Any] = {
        "@odata.context": f"{tenant.origin}/v1.0/$metadata#{path.split('/', maxsplit=1)[0]}"
    }
    if "$skiptoken" in params:
        stale = refuse(
            400,
            "Directory_ExpiredPageToken",
            "The specified page token value has expired and can no longer be included in your"
            " request.",
        )
        if tenant.faults.spends("expired_pages"):
            raise stale
        page, token = tenant.pages.follow(params["$skiptoken"], int(top), stale)
    else:
        keep = _filter(params["$filter"], kind, advanced) if "$filter" in params else None
        keys = [key for key, row in rows.items() if keep is None or keep(row)]
        if "$orderby" in params:
            by, _, direction = params["$orderby"].partition(" ")
            if by not in FILTERS[kind] or ("$filter" in params and not advanced):
                raise refuse(
                    400, "Request_UnsupportedQuery", f"Sorting by {by} is not supported here."
                )
            keys.sort(
                key=lambda key: str(rows[key].get(by) or "").lower(),
                reverse=direction.strip() == "desc",
            )
        if advanced:
            resource["@odata.count"] = len(keys)
        page, token = tenant.pages.take(keys, int(top))
    if token:
        kept = {name: value for name, value in params.items() if name != "$skiptoken"} | {
            "$skiptoken": token
        }
        resource["@odata.nextLink"] = (
            f"{tenant.origin}/v1.0/{quote(path)}?{urlencode(kept, safe='$,')}"
        )
    mark = {"@odata.type": f"#microsoft.graph.{kind}"} if typed else {}
    expanded = _expanded(tenant, params.get("$expand", ""))
    resource["value"] = [
        mark | shown(rows[key], names) | expanded(key) for key in page if key in rows
    ]
    return Reply(200, resource)


def _expanded(tenant: Tenant, expand: str) -> Callable[[str], dict[str, Any]]:
    """The manager of each user, of whom only the id may be asked; left out where there is none."""
    if not expand:
        return lambda _: {}
    if expand != "manager($select=id)":
        raise refuse(400, "Request_UnsupportedQuery", f"Unsupported expansion {expand}.")
    managers, users = tenant.store["managers"], tenant.store["users"]

    def of(key: str) -> dict[str, Any]:
        held = managers.get(key)
        found = {"@odata.type": "#microsoft.graph.user", "id": held}
        return {"manager": found} if held in users else {}

    return of


def _filter(text: str, kind: str, advanced: bool) -> Callable[[Row], bool]:
    joints = {match[2] for match in _JOINED.finditer(text) if match[2]}
    if len(joints) > 1:
        raise refuse(
            400,
            "Request_UnsupportedQuery",
            "Mixing 'and' with 'or' is not supported by the emulator.",
        )
    clauses, start = [], 0
    for match in _JOINED.finditer(text):
        if match[2]:
            clauses.append(_clause(text[start : match.start()].strip(), kind, advanced))
            start = match.end()
    clauses.append(_clause(text[start:].strip(), kind, advanced))
    if joints == {"or"}:
        return lambda row: any(clause(row) for clause in clauses)
    return lambda row: all(clause(row) for clause in clauses)


def _clause(text: str, kind: str, advanced: bool) -> Callable[[Row], bool]:
    if match := _STARTS.match(text):
        name, begins = match[1], _plain(match[2]).lower()
        value = _property(name, kind, advanced)
        return lambda row: str(value(row) or "").lower().startswith(begins)
    if match := _IN.match(text):
        value, wanted = (
            _property(match[1], kind, advanced),
            {_same(one.replace("''", "'")) for one in _TEXT.findall(match[2])},
        )
        return lambda row: _same(value(row)) in wanted
    if match := _CLAUSE.match(text):
        if match[2] == "ne" and not advanced:
            raise refuse(
                400,
                "Request_UnsupportedQuery",
                f"Operator: 'NotEqualsMatch' is not supported for property {match[1]} without"
                " advanced query.",
            )
        value = _property(match[1], kind, advanced)
        literal: Any = {"true": True, "false": False, "null": None}.get(
            match[3], _same(_plain(match[3])) if match[3].startswith("'") else None
        )
        if match[2] == "eq":
            return lambda row: _same(value(row)) == literal
        return lambda row: _same(value(row)) != literal
    raise refuse(400, "BadRequest", f"Invalid filter clause: {text}")


def _property(name: str, kind: str, advanced: bool) -> Callable[[Row], Any]:
    if kind == "user" and name.startswith(_EXTENSION) and name[len(_EXTENSION) :] in ATTRIBUTES:
        if not advanced:
            raise refuse(
                400,
                "Request_UnsupportedQuery",
                f"Unsupported or invalid query filter clause specified for property '{name}'.",
            )
        return lambda row: row.get("onPremisesExtensionAttributes", {}).get(name[len(_EXTENSION) :])
    if name not in FILTERS[kind]:
        raise refuse(
            400,
            "Request_UnsupportedQuery",
            f"Unsupported or invalid query filter clause specified for property '{name}'.",
        )
    return lambda row: row.get(name)


def _plain(literal: str) -> str:
    return literal[1:-1].replace("''", "'")


def _same(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value
