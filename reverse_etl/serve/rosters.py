"""Rosters: one night's lists in memory, as records of OneRoster 1.1 or 1.2.

In: the served copy. Out: `Rosters`, which gives a list, a record by its id, and what belongs to a
record. Values stand as they do in the CSV tables (also `true` and `false`, which the standard's
JSON writes as words); a reference is `{href, sourcedId, type}`; what is empty is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import duckdb

from common import database, sql
from reverse_etl.serve.copy import SERVED


class Field(NamedTuple):
    """A field of a record. `how`: text, list, reference, references; `of`: what is referred to."""

    name: str
    column: str
    how: str = "text"
    of: str = ""


def _text(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name, name) for name in names)


def _to(name: str, kind: str, column: str = "") -> Field:
    return Field(name, column or f"{name}SourcedId", "reference", kind)


BASE = ("sourcedId", "status", "dateLastModified")
GRADES = Field("grades", "grades", "list")
PERSON = (
    *_text("username", "enabledUser", "givenName", "familyName", "middleName", "identifier"),
    *_text("email", "sms", "phone"),
    Field("agents", "agentSourcedIds", "references", "user"),
    GRADES,
)
COMMON: Mapping[str, tuple[Field, ...]] = {
    "academicSessions": (
        *_text("title", "type", "startDate", "endDate", "schoolYear"),
        _to("parent", "academicSession"),
    ),
    "orgs": (*_text("name", "type", "identifier"), _to("parent", "org")),
    "courses": (
        *_text("title", "courseCode"),
        GRADES,
        _to("schoolYear", "academicSession"),
        _to("org", "org"),
        Field("subjects", "subjects", "list"),
        Field("subjectCodes", "subjectCodes", "list"),
    ),
    "classes": (
        *_text("title", "classCode", "classType", "location"),
        GRADES,
        _to("course", "course"),
        _to("school", "org"),
        Field("terms", "termSourcedIds", "references", "academicSession"),
        Field("subjects", "subjects", "list"),
        Field("subjectCodes", "subjectCodes", "list"),
        Field("periods", "periods", "list"),
    ),
    "enrollments": (
        *_text("role", "primary", "beginDate", "endDate"),
        _to("user", "user"),
        _to("class", "class"),
        _to("school", "org"),
    ),
}
ROLE = (*_text("roleType", "role", "beginDate", "endDate"), _to("org", "org"))
FIELDS: Mapping[str, Mapping[str, tuple[Field, ...]]] = {
    "oneroster11": {
        **COMMON,
        "users": (*PERSON, *_text("role"), Field("orgs", "orgSourcedIds", "references", "org")),
    },
    "oneroster12": {
        **COMMON,
        "users": (
            *PERSON,
            Field("preferredFirstName", "preferredGivenName"),
            Field("preferredMiddleName", "preferredMiddleName"),
            Field("preferredLastName", "preferredFamilyName"),
            _to("primaryOrg", "org"),
        ),
    },
}
TABLES = {  # list -> the entity of the export it is of
    "academicSessions": "academic_sessions",
    "orgs": "orgs",
    "courses": "courses",
    "classes": "classes",
    "users": "users",
    "enrollments": "enrolments",
}
ONE = {  # list -> the name of one record of it
    "academicSessions": "academicSession",
    "terms": "academicSession",
    "gradingPeriods": "academicSession",
    "orgs": "org",
    "schools": "org",
    "courses": "course",
    "classes": "class",
    "users": "user",
    "students": "user",
    "teachers": "user",
    "enrollments": "enrollment",
}
LISTS = {one: name for name, one in ONE.items() if name in TABLES}
# A list that is part of another: which records are in it. What a class lasts for is a term of it,
# whatever the school calls it.
PARTS = {
    "schools": ("orgs", "type", {"school"}),
    "terms": ("academicSessions", "type", {"term", "semester"}),
    "gradingPeriods": ("academicSessions", "type", {"gradingPeriod"}),
    "students": ("users", "role", {"student"}),
    "teachers": ("users", "role", {"teacher"}),
}


def whole(name: str) -> str:
    """The list another is part of."""
    return PARTS[name][0] if name in PARTS else name


def known(version: str, name: str) -> tuple[str, ...]:
    """The fields a record of a list may have."""
    named = [field.name for field in FIELDS[version][whole(name)]]
    more = ["roles"] * (version == "oneroster12" and whole(name) == "users")
    return (*BASE, *named, *more)


@dataclass
class Rosters:
    """The lists of one version of the standard, of one night."""

    version: str
    rows: Mapping[str, list[dict[str, Any]]]  # list -> rows under the names of the CSV tables
    roles: Mapping[str, list[dict[str, Any]]]  # of 1.2: user -> rows

    # ------------------------------------------------------------ lists

    def listed(self, name: str) -> list[dict[str, Any]]:
        """The rows of a list, or of a part of one."""
        if name not in PARTS:
            return self.rows[name]
        of, column, words = PARTS[name]
        if column == "role":
            return [row for row in self.rows[of] if words & self.roles_of(row)]
        return [row for row in self.rows[of] if row[column] in words]

    def one(self, name: str, key: str) -> dict[str, Any] | None:
        """A row by its id."""
        row = self._by_id[whole(name)].get(key)
        return row if row is not None and (name not in PARTS or row in self.listed(name)) else None

    def roles_of(self, user: Mapping[str, Any]) -> set[str]:
        if self.version == "oneroster11":
            return {user["role"]}
        return {role["role"] for role in self.roles.get(user["sourcedId"], ())}

    @cached_property
    def _by_id(self) -> dict[str, dict[str, dict[str, Any]]]:
        return {name: {row["sourcedId"]: row for row in rows} for name, rows in self.rows.items()}

    # ------------------------------------------------------------ what belongs to a record

    def of(self, name: str, key: str, wanted: str) -> list[dict[str, Any]] | None:
        """What belongs to a record, as `classes` of a `user`; None: it has no such list."""
        match name, wanted:
            case "schools", "classes" | "enrollments":
                return [row for row in self.rows[wanted] if row["schoolSourcedId"] == key]
            case "schools", "courses":
                return [row for row in self.rows["courses"] if row["orgSourcedId"] == key]
            case "schools", "students" | "teachers":
                return [row for row in self.listed(wanted) if key in self._schools(row)]
            case "schools", "terms":
                used = {
                    term
                    for row in self.rows["classes"]
                    if row["schoolSourcedId"] == key
                    for term in _parts(row["termSourcedIds"])
                }
                return [row for row in self.listed("terms") if row["sourcedId"] in used]
            case "classes", "students" | "teachers":
                people = {row["userSourcedId"] for row in self._members(key, wanted[:-1])}
                return [row for row in self.rows["users"] if row["sourcedId"] in people]
            case "classes", "enrollments":
                return list(self._of_class.get(key, ()))
            case "courses", "classes":
                return [row for row in self.rows["classes"] if row["courseSourcedId"] == key]
            case "terms", "classes":
                return [r for r in self.rows["classes"] if key in _parts(r["termSourcedIds"])]
            case "terms", "gradingPeriods":
                return [r for r in self.listed(wanted) if r["parentSourcedId"] == key]
            case "users" | "students" | "teachers", "classes":
                role = name[:-1]
                attended = {
                    row["classSourcedId"]
                    for row in self.rows["enrollments"]
                    if row["userSourcedId"] == key and (name == "users" or row["role"] == role)
                }
                return [row for row in self.rows["classes"] if row["sourcedId"] in attended]
        return None

    @cached_property
    def _of_class(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in self.rows["enrollments"]:
            found[row["classSourcedId"]].append(row)
        return found

    def _members(self, key: str, role: str) -> Iterator[dict[str, Any]]:
        return (row for row in self._of_class.get(key, ()) if row["role"] == role)

    def _schools(self, user: Mapping[str, Any]) -> set[str]:
        if self.version == "oneroster11":
            return {*_parts(user["orgSourcedIds"])}
        return {role["orgSourcedId"] for role in self.roles.get(user["sourcedId"], ())}

    # ------------------------------------------------------------ records

    def record(self, name: str, row: Mapping[str, Any], base: str) -> dict[str, Any]:
        """A row as the standard's JSON; `base`: the address the service begins at."""
        of = whole(name)
        made: dict[str, Any] = {
            "sourcedId": row["sourcedId"],
            "status": "tobedeleted" if row["_deleted"] else "active",
            "dateLastModified": stamp(row["_modified_at"]),
            **_filled(FIELDS[self.version][of], row, base),
        }
        if self.version == "oneroster12" and of == "users":
            made["roles"] = [
                _filled(ROLE, role, base) for role in self.roles.get(row["sourcedId"], ())
            ]
        return made


def _filled(fields: tuple[Field, ...], row: Mapping[str, Any], base: str) -> dict[str, Any]:
    found = ((field.name, _value(field, row.get(field.column), base)) for field in fields)
    return {name: value for name, value in found if value is not None}


def _value(field: Field, value: str | None, base: str) -> Any:
    if value is None or value == "":
        return None
    match field.how:
        case "list":
            return _parts(value)
        case "reference":
            return _reference(value, field.of, base)
        case "references":
            return [_reference(one, field.of, base) for one in _parts(value)]
    return value


def _reference(key: str, kind: str, base: str) -> dict[str, str]:
    href = f"{base}/{LISTS[kind]}/{quote(key, safe='')}"
    return {"href": href, "sourcedId": key, "type": kind}


def _parts(value: str | None) -> list[str]:
    return [one.strip() for one in (value or "").split(",") if one.strip()]


def stamp(at: datetime) -> str:
    """A moment of UTC as the standard writes it."""
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def load(path: Path) -> dict[str, Rosters]:
    """Version -> what a copy holds of it. Raises duckdb.Error, OSError."""
    found = {}
    with database.connect(path, read_only=True) as connection:
        there = {row[0] for row in connection.execute("show tables").fetchall()}
        for version in SERVED:
            if all(f"{version}__{entity}" in there for entity in TABLES.values()):
                rows = {n: _rows(connection, f"{version}__{e}") for n, e in TABLES.items()}
                roles: dict[str, list[dict[str, Any]]] = defaultdict(list)
                if f"{version}__roles" in there:
                    for row in _rows(connection, f"{version}__roles"):
                        roles[row["userSourcedId"]].append(row)
                found[version] = Rosters(version, rows, _lasting(rows["users"], roles))
    return found


def _lasting(
    users: list[dict[str, Any]], roles: Mapping[str, list[dict[str, Any]]]
) -> dict[str, list[dict[str, Any]]]:
    """Whoever is here has the roles that stand; whoever went keeps those they went with. A user
    whose roles changed is another record since then: the roles stand in it.
    """
    kept: dict[str, list[dict[str, Any]]] = {}
    for user in users:
        mine = roles.get(user["sourcedId"], [])
        user["_modified_at"] = max([user["_modified_at"], *(r["_modified_at"] for r in mine)])
        kept[user["sourcedId"]] = [r for r in mine if user["_deleted"] or not r["_deleted"]]
    return kept


def _rows(connection: duckdb.DuckDBPyConnection, table: str) -> list[dict[str, Any]]:
    cursor = connection.execute(f"select * from {sql.name(table)} order by 1")
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
