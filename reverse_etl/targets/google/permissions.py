"""What Google calls what a scope needs beside the scope: the API of the project, and the privilege
of the administrator's role, as the Admin console names them
(https://support.google.com/a/answer/1219251).
"""

from __future__ import annotations

from dataclasses import dataclass


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
