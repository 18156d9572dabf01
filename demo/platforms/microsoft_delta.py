"""What changed among users or groups since a token: `GET /users/delta`, `GET /groups/delta`
(https://learn.microsoft.com/graph/delta-query-overview).

Without a token everybody comes, page by page, and then a link to ask with the next time. With one:
what changed since, an object perhaps more than once and in any order; of it the properties that
changed, and those alone; `@removed` of what is gone. The order of query options, the page size and
expansions are nobody's to choose. A token lives seven days; what is asked of it then, or of one
nobody here gave, is refused, and with 410 the reader begins anew.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from demo.platforms.http import Reply
from demo.platforms.microsoft_query import selected, shown
from demo.platforms.microsoft_tenant import Call, Tenant, refuse

PAGE = 200
MEMBERS_AT_ONCE = 100  # a group of more comes again with the next
RELATION = {"user": "manager", "group": "members"}
REPLAYED = 3
Entry = tuple[str, list[str] | None, dict[str, Any] | None]  # id, properties (all), relation


def changes(tenant: Tenant, asked: Call, kind: str) -> Reply:
    """One page."""
    params = asked.params
    if token := params.get("$skiptoken"):
        if token not in tenant.deltas or tenant.faults.spends("expired_pages"):
            raise _begin_anew(tenant, kind)
        left, names, until = tenant.deltas[token]
    elif params.get("$deltatoken", "") not in ("", "latest"):
        names, since = _read(tenant, kind, params["$deltatoken"])
        until = _told_until(tenant)
        left = list(_since(tenant, kind, names, since, until))
        if tenant.faults.replayed_deltas:
            before = _since(tenant, kind, names, max(0, since - REPLAYED), since)
            left = [*(one for one in before if one[2] is None), *left[::-1], *left]
    else:
        names, until = _names(kind, params), _told_until(tenant)
        latest = params.get("$deltatoken") == "latest"
        left = [] if latest else list(_everything(tenant, kind, names))
    size = 0 if tenant.faults.replayed_deltas and "$skiptoken" not in params else PAGE
    page, rest = left[:size], left[size:]
    base = f"{tenant.origin}/v1.0/{kind}s/delta"
    body: dict[str, Any] = {"@odata.context": f"{tenant.origin}/v1.0/$metadata#{kind}s"}
    if rest:
        token = f"delta{secrets.token_hex(8)}"
        tenant.deltas[token] = (rest, names, until)
        body["@odata.nextLink"] = f"{base}?$skiptoken={token}"
    else:
        body["@odata.deltaLink"] = f"{base}?$deltatoken={quote(_token(kind, names, until))}"
    body["value"] = [_shown(tenant, kind, names, one) for one in page]
    return Reply(200, body)


def _names(kind: str, params: Any) -> tuple[str, ...]:
    """What is asked for the first time; a relation is selected like a property."""
    for name in params:
        if name.startswith("$") and name not in ("$select", "$deltatoken"):
            raise refuse(400, "Request_UnsupportedQuery", f"Unsupported query option {name}.")
    relation = RELATION[kind]
    given = [one.strip() for one in params.get("$select", "").split(",") if one.strip()]
    plain = [one for one in given if one != relation]
    chosen = selected(kind, {"$select": ",".join(plain)} if plain else {})
    return (*chosen, relation) if relation in given else chosen


# --- tokens


def _token(kind: str, names: tuple[str, ...], until: int) -> str:
    said = json.dumps([kind, names, until, time.time()])
    return base64.urlsafe_b64encode(said.encode()).decode()


def _read(tenant: Tenant, kind: str, token: str) -> tuple[tuple[str, ...], int]:
    if tenant.faults.spends("expired_deltas"):
        raise _begin_anew(tenant, kind)
    try:
        of, names, since, given = json.loads(base64.urlsafe_b64decode(token))
    except ValueError:
        of = ""
    if of != kind:
        raise refuse(400, "Directory_BadToken", "Badly formed token.")
    if time.time() - given > tenant.faults.delta_days * 86400:
        raise refuse(400, "syncStateNotFound", "The sync state generation is not found.")
    known = tenant.store["changes"]
    if since > tenant.store.noted or (since < tenant.store.noted and str(since + 1) not in known):
        raise _begin_anew(tenant, kind)
    return tuple(names), since


def _begin_anew(tenant: Tenant, kind: str) -> Exception:
    where = {"Location": f"{tenant.origin}/v1.0/{kind}s/delta?$deltatoken="}
    return refuse(410, "resyncRequired", "Resync required.", headers=where)


# --- what there is, and what changed


def _told_until(tenant: Tenant) -> int:
    """The last change readers may know of: what is newer than their lag comes the next time."""
    until, log = tenant.store.noted, tenant.store["changes"]
    while (one := log.get(str(until))) and one[0] > time.time() - tenant.faults.read_lag_seconds:
        if tenant.faults.read_lag_seconds <= 0:
            break
        until -= 1
    return until


def _everything(tenant: Tenant, kind: str, names: tuple[str, ...]) -> Iterator[Entry]:
    present = tenant.seen("members")
    for key in tenant.seen(f"{kind}s"):
        if kind == "user":
            yield key, None, {"added": [held]} if (held := _manager(tenant, names, key)) else None
            continue
        there = (tenant.store["users"], tenant.store["groups"])
        who = [one for one in present.get(key, {}) if any(one in some for some in there)]
        who = who if "members" in names else []
        yield key, None, {"added": who[:MEMBERS_AT_ONCE]} if who else None
        for at in range(MEMBERS_AT_ONCE, len(who), MEMBERS_AT_ONCE):
            yield key, [], {"added": who[at : at + MEMBERS_AT_ONCE]}


def _manager(tenant: Tenant, names: tuple[str, ...], key: str) -> str | None:
    held = tenant.store["managers"].get(key) if "manager" in names else None
    return held if held in tenant.store["users"] else None


def _since(
    tenant: Tenant, kind: str, names: tuple[str, ...], since: int, until: int
) -> Iterator[Entry]:
    """Each object that changed, with what of it; of a relation who came and who went."""
    properties: dict[str, set[str] | None] = {}
    came: dict[str, dict[str, bool]] = {}
    related = {"user": "managers", "group": "members"}[kind]
    for number in range(since + 1, until + 1):
        _, table, key, before, after = tenant.store["changes"][str(number)]
        if table == f"{kind}s":
            if before is None or after is None:
                properties[key] = None
            elif properties.setdefault(key, set()) is not None:
                properties[key] |= set(before)  # type: ignore[operator]
        elif table == related and RELATION[kind] in names:
            properties.setdefault(key, set())
            if kind == "user":
                came.setdefault(key, {}).update({before: False} if before else {})
                came[key].update({after: True} if after else {})
            else:  # of an object that came or went the note says no more than that
                now = tenant.store["members"].get(key, {})
                changed = {*now} if before is None else {*before, *(after or {})}
                came.setdefault(key, {}).update({one: one in now for one in changed})
    for key, some in properties.items():
        who = came.get(key, {})
        relation = {
            "added": [one for one, there in who.items() if there],
            "removed": [one for one, there in who.items() if not there],
        }
        wanted = None if some is None else _selected(some, names)
        if wanted is None or wanted or who:
            yield key, wanted, relation if who else None


def _selected(changed: set[str], names: tuple[str, ...]) -> list[str]:
    if "assignedLicenses" in changed:
        changed = {*changed, "licenseAssignmentStates"}
    return [name for name in names if name in changed]


def _shown(tenant: Tenant, kind: str, names: tuple[str, ...], entry: Entry) -> dict[str, Any]:
    key, some, who = entry
    row = tenant.store[f"{kind}s"].get(key)
    if row is None:
        soft = key in tenant.store[f"deleted_{kind}s"]
        return {"id": key, "@removed": {"reason": "changed" if soft else "deleted"}}
    plain = tuple(name for name in names if name != RELATION[kind])
    if some is None:  # what was never given is left out
        found = {name: one for name, one in shown(row, plain).items() if one not in (None, [])}
    else:
        found = shown(row, tuple(some))
    if who:
        typed = {"@odata.type": "#microsoft.graph.user"}
        gone = {"@removed": {"reason": "deleted"}}
        found[f"{RELATION[kind]}@delta"] = [
            *({**typed, "id": one} for one in who.get("added", [])),
            *({**typed, "id": one, **gone} for one in who.get("removed", [])),
        ]
    return {"id": key, **found}
