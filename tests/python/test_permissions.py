"""What the pages say a platform has to permit is what is asked of it, call by call."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import Any

import pytest

from common import paths
from common.settings import Section
from reverse_etl.targets.entity import Entity
from reverse_etl.targets.google import Google, client
from reverse_etl.targets.google.permissions import NEEDS, SCOPES
from reverse_etl.targets.microsoft import Microsoft
from reverse_etl.targets.microsoft.entities import BESIDE

PAGE = (paths.root() / "docs" / "permissions.md").read_text(encoding="utf-8")
PART = {part.split("\n", 1)[0]: part for part in PAGE.split("\n## ")[1:]}


def rows(part: str, heading: str) -> list[list[str]]:
    """The cells of the table with this first heading."""
    lines = iter(PART[part].splitlines())
    for line in lines:
        if line.startswith(f"| {heading} |"):
            next(lines)
            break
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def calls(entities: dict[str, Entity]) -> set[str]:
    return {
        route.call
        for row in entities.values()
        for route in (*row.routes.values(), *row.probes.values())
    }


def test_every_call_stands_beside_the_scope_that_google_asks_for_it() -> None:
    table = rows("Google Workspace", "scope")
    listed = [call for row in table for call in named(row[2])]
    # beside those of its rows a field is added to a schema of others, and a course's key asked for
    assert sorted(listed) == sorted({*calls(Google.rows), "schemas.update", "course_aliases.list"})
    resources = json.loads(client.DESCRIPTION.read_text(encoding="utf-8"))["resources"]
    courses = json.loads(client.CLASSROOM.read_text(encoding="utf-8"))["resources"]["courses"]
    licensing = json.loads(client.LICENSING.read_text(encoding="utf-8"))["resources"]
    settings_of = json.loads(client.GROUP_SETTINGS.read_text(encoding="utf-8"))["resources"]
    resources["group_settings"] = settings_of["groups"]
    resources["licences"] = licensing["licenseAssignments"]
    resources |= {"courses": courses, "aliases": resources["users"]["resources"]["aliases"]}
    resources |= {f"course_{name}": one for name, one in courses["resources"].items()}
    for scope, _, some, _ in table:
        whole = f"https://www.googleapis.com/auth/{named(scope)[0]}"
        for call in named(some):
            name, _, method = call.partition(".")
            method = resources[name.replace("org_units", "orgunits")]["methods"][method]
            assert whole in method["scopes"], call
    beside = {call: named(scope)[0] for scope, _, some, _ in table for call in named(some)}
    for row in Google.rows.values():
        for route in row.routes.values():
            assert row.needs(route) == beside[route.call], (row.name, route.call)
    probed = {permission for row in Google.rows.values() for permission in row.probes}
    assert probed == {named(scope)[0] for scope, *_ in table} == NEEDS.keys()
    page = {
        f"https://www.googleapis.com/auth/{named(scope)[0]}": setting
        for scope, _, _, setting in table
    }
    settings = {
        scope: f"`{setting} = false`" if setting else "" for scope, setting in SCOPES.items()
    }
    assert page == settings


def test_every_call_of_graph_stands_beside_one_permission() -> None:
    table = rows("Microsoft 365", "permission")
    listed = [call for row in table for call in named(row[2])]
    assert sorted(listed) == sorted({*calls(Microsoft.rows), *(route.call for route in BESIDE)})
    beside = {
        call: named(permission)[0] for permission, _, some, _ in table for call in named(some)
    }
    for row in Microsoft.rows.values():
        for route in row.routes.values():
            assert row.needs(route) == beside[route.call], (row.name, route.call)
    assert all(route.permission == beside[route.call] for route in BESIDE)
    by_setting = {named(permission)[0]: setting for permission, _, _, setting in table if setting}
    assert by_setting == {
        "User.RevokeSessions.All": "`end_sessions = false`",
        "EduRoster.ReadWrite.All": "`classes = false`",
        "Team.Create": "`class_teams = false`",
        "TeamSettings.ReadWrite.All": "`class_teams = false`",
    }
    # a write needs more than a permission to read
    for permission, _, some, _ in table:
        writes = [call for call in named(some) if not call.startswith("GET ")]
        assert not writes or ".Read.All" not in permission


@pytest.mark.parametrize(
    ("part", "adapter"), [("Google Workspace", Google), ("Microsoft 365", Microsoft)]
)
def test_every_setting_of_the_page_is_one_and_those_of_signing_in_are_there(
    part: str, adapter: type
) -> None:
    model: type[Section] = adapter.Settings
    table = rows(part, f"setting of `[targets.{'google' if adapter is Google else 'microsoft'}]`")
    listed = {name for row in table for name in named(row[0])}
    assert listed <= model.model_fields.keys()
    signing_in = {"credentials", "subject", "authority", "client_id", "certificate"}
    signing_in |= {"client_secret", "ca_file", "end_sessions"}
    signing_in |= {"subjects", "hashed_passwords"}
    assert listed == signing_in & model.model_fields.keys()


def test_google_is_believed_by_the_certificates_the_district_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[str | None] = []
    plain = client._WritesOnce

    def http(**given: Any) -> Any:
        made.append(given["ca_certs"])
        return plain(**given)

    monkeypatch.setattr(client, "_WritesOnce", http)
    good = SimpleNamespace(token_state=client.TokenState.FRESH)
    for settings in (Google.Settings(), Google.Settings(ca_file="/etc/proxy.pem")):
        wire = client.Client("google", settings)
        wire._opened = (SimpleNamespace(), (good,))
        wire._connection()
    assert made == [None, "/etc/proxy.pem"]


def test_what_switches_an_export_off_is_there_to_be_switched() -> None:
    table = rows("What switches an export off", "off")
    for cell in (row[1] for row in table):
        for seed in re.findall(r"seeds/(\w+)\.csv", cell):
            head = (paths.root() / "seeds" / f"{seed}.csv").read_text("utf-8").split("\n")[0]
            columns = {word for word in named(cell) if re.fullmatch(r"(has|alias)_\w+", word)}
            known = {"has_aliases", "alias_days"} & set(head.split(","))
            assert not columns or columns & known, cell
