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


ADMIN = "Admin SDK API"
NEEDS = {
    "admin.directory.user": Needs(ADMIN, "Users"),
    "admin.directory.userschema": Needs(ADMIN, "Schema Management"),
    "admin.directory.orgunit": Needs(ADMIN, "Organizational Units"),
    "admin.directory.group": Needs(ADMIN, "Groups"),
    "admin.directory.user.security": Needs(ADMIN, "User Security Management"),
    "apps.licensing": Needs("Enterprise License Manager API", "License Management"),
    "apps.groups.settings": Needs("Groups Settings API", "Groups"),
    "classroom.courses": Needs("Google Classroom API", "Classroom, or super administrator"),
    "classroom.rosters": Needs("Google Classroom API", "Classroom, or super administrator"),
}
