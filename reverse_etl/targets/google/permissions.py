"""The scopes that are asked for, and what a scope needs beside being listed: the API of the
project, and the privilege of the administrator's role, as the Admin console names them
(https://support.google.com/a/answer/1219251).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reverse_etl.targets.google.settings import Settings

# Exactly what is called; the admin console must list them for the client id, and one that is not
# listed refuses all. Members are covered by the scope of groups. Scope -> the setting without which
# it is not asked for.
SCOPES: Mapping[str, str] = {
    f"https://www.googleapis.com/auth/{name}": setting
    for name, setting in {
        "admin.directory.user": "",
        "admin.directory.group": "",
        "admin.directory.orgunit": "",
        "admin.directory.userschema": "",
        "admin.directory.user.security": "end_sessions",
        "classroom.courses": "classes",
        "classroom.rosters": "classes",
        "apps.licensing": "licences",
        "apps.groups.settings": "group_settings",
    }.items()
}
# What only reads, where Google has such a scope; with `read_only` it is asked for instead.
READING = frozenset(
    {
        "admin.directory.user",
        "admin.directory.group",
        "admin.directory.orgunit",
        "admin.directory.userschema",
        "classroom.courses",
        "classroom.rosters",
    }
)


@dataclass(frozen=True)
class Needs:
    """What one scope needs beside being listed."""

    api: str  # of the project, in Google Cloud
    privilege: str  # of the role, in the Admin console
    quota: str  # calls of one administrator that the API takes


ADMIN = "Admin SDK API"
# https://developers.google.com/workspace/admin/directory/v1/limits,
# …/workspace/classroom/reference/limits, …/admin/licensing/v1/limits,
# …/workspace/admin/groups-settings/limits
DIRECTORY, ROSTERS = "2,400 a minute", "1,200 a minute"
LICENSING, SETTINGS = "60 a minute", "100,000 a day"
NEEDS = {
    "admin.directory.user": Needs(ADMIN, "Users", DIRECTORY),
    "admin.directory.userschema": Needs(ADMIN, "Schema Management", DIRECTORY),
    "admin.directory.orgunit": Needs(ADMIN, "Organizational Units", DIRECTORY),
    "admin.directory.group": Needs(ADMIN, "Groups", DIRECTORY),
    "admin.directory.user.security": Needs(ADMIN, "User Security Management", DIRECTORY),
    "apps.licensing": Needs("Enterprise License Manager API", "License Management", LICENSING),
    "apps.groups.settings": Needs("Groups Settings API", "Groups", SETTINGS),
    "classroom.courses": Needs(
        "Google Classroom API", "Classroom, or super administrator", ROSTERS
    ),
    "classroom.rosters": Needs(
        "Google Classroom API", "Classroom, or super administrator", ROSTERS
    ),
}


def scopes_of(settings: Settings) -> list[str]:
    """The scopes a district's settings make it ask for; of what is only read, those to read."""
    asked = [scope for scope, part in SCOPES.items() if not part or getattr(settings, part)]
    if not settings.read_only:
        return asked
    return [
        f"{scope}.readonly" if scope.rpartition("/")[2] in READING else scope
        for scope in asked
        if SCOPES[scope] != "end_sessions"
    ]
