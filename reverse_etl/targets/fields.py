"""Field tables: which export column is which field of the target's API.

One table serves both directions, so that what we write and what we read back cannot disagree: `to_api` builds the
JSON of a create or update from columns, `from_api` takes columns out of the JSON of a reply.
For every table and every row of its sendable columns: `from_api(table, to_api(table, row)) == row`.

A column is found by its `path` through nested objects. A path element `"[namespace=homeroom]"` goes through a list
to the one entry with that value and makes it when writing: Google keeps our key of a group that way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa


@dataclass(frozen=True)
class Field:
    """One column and its place in the API. `sent=False`: the target derives it, we only read it."""

    column: str
    path: tuple[str, ...]
    sent: bool = True


Table = tuple[Field, ...]


def field(column: str, path: str, *, sent: bool = True) -> Field:
    """`field("given_name", "name.givenName")`."""
    return Field(column, tuple(path.split(".")), sent)


def to_api(table: Table, row: Mapping[str, Any], *, creating: bool = False) -> dict[str, Any]:
    """The JSON body of the columns in `row`. None clears a field, and is left out of a create.

    Refuses a column that the table does not have: a change must not lose part of itself on the way.
    """
    known = {each.column: each for each in table}
    body: dict[str, Any] = {}
    for column, value in row.items():
        if column not in known:
            raise KeyError(f"column {column} has no field in this target; the table knows {', '.join(known)}")
        if known[column].sent and not (creating and value is None):
            _put(body, known[column].path, value)
    return body


def from_api(table: Table, document: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of one object; absent fields and empty texts are None, as in the exports."""
    return {each.column: getter(each)(document) for each in table}


def getter(each: Field) -> Callable[[Mapping[str, Any]], Any]:
    """The reader of one field, fast where the path is short: it runs for every user of a district."""
    path = each.path
    if len(path) == 1:
        name = path[0]

        def plain(document: Mapping[str, Any]) -> Any:
            value = document.get(name)
            return None if value == "" else value

        return plain

    def deep(document: Mapping[str, Any]) -> Any:
        here: Any = document
        for step in path:
            here = _entry(here, step) if step.startswith("[") else here.get(step)
            if here is None or here == "":
                return None
        return here

    return deep


def mask(table: Table) -> list[str]:
    """The top-level API fields of a table, in its order, each once: what a list call asks for."""
    return list(dict.fromkeys(each.path[0] for each in table))


def text_array(values: list[Any]) -> pa.Array:
    """A column of the raw layer: all text, booleans as `true` and `false`."""
    return pa.array([("true" if v else "false") if isinstance(v, bool) else None if v is None else str(v) for v in values], pa.string())


def _put(body: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    here: Any = body
    for step, following in zip(path, (*path[1:], None), strict=True):
        if following is None:
            here[step] = value
        elif following.startswith("["):
            here = here.setdefault(step, [])
        elif step.startswith("["):
            here = _entry(here, step, make=True)
        else:
            here = here.setdefault(step, {})


def _entry(entries: Any, step: str, *, make: bool = False) -> dict[str, Any] | None:
    name, _, wanted = step[1:-1].partition("=")
    for entry in entries:
        if entry.get(name) == wanted:
            return entry
    if not make:
        return None
    entries.append({name: wanted})
    return entries[-1]


# -- Google Directory ------------------------------------------------------------------------------------------------
# https://developers.google.com/workspace/admin/directory/reference/rest
GOOGLE_SCHEMA = "Homeroom"  # our custom schema on users; its field person_id is the durable key
GOOGLE: dict[str, Table] = {
    "schemas": (
        field("schema_name", "schemaName"),
        field("field_name", "fields.[fieldName=person_id].fieldName"),  # None while the schema lacks our field
    ),
    "org_units": (
        field("org_unit_path", "orgUnitPath", sent=False),  # derived from the two below
        field("name", "name"),
        field("parent_org_unit_path", "parentOrgUnitPath"),
    ),
    "users": (
        field("person_id", f"customSchemas.{GOOGLE_SCHEMA}.person_id"),
        field("primary_email", "primaryEmail"),
        field("given_name", "name.givenName"),
        field("family_name", "name.familyName"),
        field("org_unit_path", "orgUnitPath"),
        field("suspended", "suspended"),
    ),
    "groups": (
        field("group_id", "externalIds.[namespace=homeroom].id"),
        field("email", "email"),
        field("name", "name"),
        field("description", "description"),
    ),
    "members": (field("role", "role"),),
}

# -- Microsoft Graph -------------------------------------------------------------------------------------------------
# https://learn.microsoft.com/graph/api/resources/user and …/group
MICROSOFT: dict[str, Table] = {
    "users": (
        field("person_id", "onPremisesExtensionAttributes.extensionAttribute15"),
        field("user_principal_name", "userPrincipalName"),
        field("mail_nickname", "mailNickname"),
        field("display_name", "displayName"),
        field("given_name", "givenName"),
        field("surname", "surname"),
        field("account_enabled", "accountEnabled"),
        field("usage_location", "usageLocation"),
        field("department", "department"),
        field("job_title", "jobTitle"),
    ),
    "groups": (
        field("group_id", "uniqueName", sent=False),  # stands in the address of the upsert
        field("display_name", "displayName"),
        field("mail_nickname", "mailNickname"),
        field("description", "description"),
        field("mail_enabled", "mailEnabled"),
        field("security_enabled", "securityEnabled"),
    ),
    "members": (),
}
