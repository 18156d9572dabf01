"""What `[targets.<name>]` of kind `scim` may say besides what `rest` does: where the service is,
who we are, and in which dialect of SCIM 2.0 (RFC 7643, 7644) it is spoken to.

In: the section of the settings. Out: `Settings`; its `entities` are made from the exports
(`routes`), nobody writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from common.settings import Some
from reverse_etl.model import LOGIN, Export
from reverse_etl.targets.rest.settings import Entity, ErrorRow
from reverse_etl.targets.rest.settings import Settings as RestSettings

CORE = "urn:ietf:params:scim:schemas:core:2.0:"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
PLACES = {"users": ("Users", "User"), "groups": ("Groups", "Group")}
MEDIA = "application/scim+json"


class Settings(RestSettings):
    """[targets.<name>] of kind scim."""

    entities: dict[str, Entity] = Field(default_factory=dict, max_length=0)
    error_code: str = "scimType"
    errors: list[ErrorRow] = Field(
        default_factory=lambda: [ErrorRow(code="uniqueness", means="duplicate")]
    )
    update: Literal["announced", "patch", "put"] = "announced"
    """How an object is changed; announced: as ServiceProviderConfig says, by PATCH where it is not
    told."""
    page: Some = 100
    """How many are asked for at once."""
    pages: Literal["index", "cursor"] = "index"
    """How the next page is asked for: by number, or by the word the service gave (RFC 9865)."""
    member_removal: Literal["path", "value"] = "path"
    """How a PATCH takes a member out: `members[value eq "…"]`, or a value under `members`."""
    text_booleans: bool = False
    """`"False"` instead of `false` in a PATCH."""
    adopts: bool = True
    """Whether an object that has the name a new one is refused for, and nobody's key, becomes
    ours."""
    adopts_only: dict[str, list[str]] = Field(
        default_factory=lambda: {
            "active": ["", "true"],
            "userType": ["", "member", "employee", "student"],
            "roles": [""],
        }
    )
    """Which users are a person's own: per path the values that may stand there, in any letters;
    "" is none. All others are adopted by nobody: guests, closed ones, role holders, services."""


def routes(exports: Mapping[str, Export], said: Settings) -> dict[str, Entity]:
    """The calls of each entity, in the order creates run."""
    page, pages = said.page, said.pages
    made: dict[str, Any] = {}
    for entity, (path, _) in PLACES.items():
        if entity not in exports:
            continue
        export = exports[entity]
        paging: dict[str, Any] = {"style": "offset", "param": "startIndex", "first": 1}
        if pages == "cursor":
            paging = {"style": "cursor", "param": "cursor", "cursor": "nextCursor"}
        listed = {
            "path": path,
            "items": "Resources",
            "total": "" if pages == "cursor" else "totalResults",  # by cursors it may be left out
            "paging": {**paging, "limit_param": "count", "limit": page},
        }
        # a group of thousands is read once, by `members`
        excluded = {"excludedAttributes": "members"} if entity == "groups" else {}
        if pages == "cursor":
            excluded["cursor"] = ""  # the first page of a list by cursors
        wanted = f"{field(export, export.key[0])} eq {{key!j}}"
        login = export.of_role(LOGIN)
        made[entity] = {
            "list": {**listed, "params": excluded},
            "find": {**listed, "params": {**excluded, "filter": wanted}},
            "get": {"path": f"{path}/{{id}}"},
            "create": {"path": path, "body": {"schemas": schemas(entity, export)}},
            "update": {"path": f"{path}/{{id}}"},
            "delete": {"path": f"{path}/{{id}}"},
            "adopts": said.adopts and login is not None,
        }
        if login is not None:
            named = f"{login.field or login.name} eq {{{login.name}!j}}"
            made[entity]["holder"] = {**listed, "params": {"filter": named}}
        if entity == "users":
            made[entity]["adopts_only"] = said.adopts_only
    if "members" in exports:
        group = next((c for c, e in exports["members"].references.items() if e == "groups"), "")
        of_group = {"path": f"Groups/{{{group}}}"}
        # a tie has no id of its own: somebody has as many as groups
        made["members"] = {
            "list": {"path": "Groups/{parent}", "items": "members", "each": "groups"},
            "create": of_group,
            "delete": of_group,
        }
    return {entity: Entity(**table) for entity, table in made.items()}


def field(export: Export, name: str) -> str:
    """Where a column stands in a resource."""
    column = next(one for one in export.columns if one.name == name)
    return column.field or column.name


def schemas(entity: str, export: Export) -> list[str]:
    """The schemas a new resource says it has: its own, and of each extension a column stands in."""
    of = [c.field.rpartition(":")[0] for c in export.sent if c.field.startswith("urn:")]
    return list(dict.fromkeys([CORE + PLACES[entity][1], *of]))
