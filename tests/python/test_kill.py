"""Killed anywhere, run again: the same end state, no duplicate, nothing lost.

A first night is planned once. Then, again and again from that same moment, the push is killed with
SIGKILL after some number of requests, run again, killed again, and at last let to its end. What the
platforms hold at the end must equal an undisturbed push.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from conftest import ROOT, District

from demo import extracts, hr
from demo.platforms import running

pytestmark = pytest.mark.slow

TRIALS, KILLS = 5, 4  # each push is killed so often before it is let to its end


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> District:
    """60 students, ingested, observed, built and planned; nothing pushed yet."""
    district = District(tmp_path_factory.mktemp("planned") / "var")
    folder = district.var / "demo"
    folder.mkdir(parents=True)
    extracts.write_day(folder / "extracts", students=60, seed=3, day=0)
    hr.write_day(folder / "hr.sqlite", students=60, seed=3, day=0)
    with running(folder) as platforms:
        environment = platforms.environment | {"HOMEROOM_AS_OF": "2026-10-05"}
        district.run("ingestion", **environment)
        district.run("reverse_etl", "observe", **environment)
        district.run("operations", "build", **environment)
        district.run("reverse_etl", "plan", "--allow", "create", "--why", "test", **environment)
    return district


CHANCE = {
    "id",
    "etag",
    "creationTime",
    "createdDateTime",
    "passwordProfile",
    "password",
    "customerId",
    "deletedDateTime",
    "deletionTime",
    "orgUnitId",
    "parentOrgUnitId",
    "schemaId",
    "fieldId",
    "lastLoginTime",
    "changedAt",
    "created_at",
    "written_at",
}


def normal(value):
    if isinstance(value, dict):
        return {key: normal(item) for key, item in value.items() if key not in CHANCE}
    if isinstance(value, list):
        return sorted(
            (normal(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True)
        )
    return value


def received(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder / "received")): path.read_bytes()
        for path in sorted((folder / "received").rglob("*"))
        if path.is_file()
    }


def push(district: District, environment: dict[str, str]) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "reverse_etl", "push"],
        cwd=ROOT,
        env=district.environment(**environment, HOMEROOM_EXIT_CODE="0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def finished(process: subprocess.Popen) -> None:
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed[-3000:]


@pytest.fixture(scope="module")
def undisturbed(
    planned: District, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, object], int]:
    """The end state of a push nobody disturbs, and how many requests it takes."""
    district = planned.copy(tmp_path_factory.mktemp("undisturbed") / "var")
    log = district.var / "demo" / "requests.jsonl"
    before = lines(log)
    with running(district.var / "demo") as platforms:
        finished(push(district, platforms.environment))
    return platform_state(district), lines(log) - before


def platform_state(district: District) -> dict[str, object]:
    state = {name: district.state(name) for name in ("google", "microsoft")}
    return {
        "google users": sorted(
            (u["primaryEmail"], json.dumps(normal(u), sort_keys=True))
            for u in state["google"]["users"]
        ),
        "google groups": sorted(
            json.dumps(normal(g), sort_keys=True) for g in state["google"]["groups"]
        ),
        "google members": sorted(
            json.dumps(m, sort_keys=True) for m in normal(state["google"]["members"])
        ),
        "google units": sorted(u["orgUnitPath"] for u in state["google"]["org_units"]),
        "microsoft users": sorted(
            json.dumps(normal(u), sort_keys=True) for u in state["microsoft"]["users"]
        ),
        "microsoft groups": sorted(
            json.dumps(normal(g), sort_keys=True) for g in state["microsoft"]["groups"]
        ),
        "microsoft members": sorted(names_of(state["microsoft"])),
        "files": received(district.var / "demo"),
    }


def names_of(microsoft: dict) -> list[tuple[str, str]]:
    users = {user["id"]: user["userPrincipalName"] for user in microsoft["users"]}
    groups = {group["id"]: group["displayName"] for group in microsoft["groups"]}
    return [(groups[member["group"]], users[member["member"]]) for member in microsoft["members"]]


def assert_no_duplicates(district: District) -> None:
    keys = Counter(
        user["customSchemas"]["Homeroom"]["person_id"]
        for user in district.state("google")["users"]
        if user.get("customSchemas", {}).get("Homeroom")
    )
    assert [key for key, count in keys.items() if count > 1] == []
    stamped = [
        (user.get("onPremisesExtensionAttributes") or {}).get("extensionAttribute15")
        for user in district.state("microsoft")["users"]
    ]
    assert [key for key, count in Counter(filter(None, stamped)).items() if count > 1] == []


@pytest.mark.parametrize("trial", range(TRIALS))
def test_a_push_killed_at_random_moments_ends_like_one_that_was_not(
    planned, undisturbed, tmp_path, trial
):
    expected, requests = undisturbed
    district = planned.copy(tmp_path / "var")
    log = district.var / "demo" / "requests.jsonl"
    chance = random.Random(f"kill {trial}")
    begun = lines(log)
    moments = sorted(begun + chance.randrange(1, requests * 4 // 5) for _ in range(KILLS))
    # a third of the trials also lose replies after the platform has committed, and push through
    # refusals
    faults = {"lose_reply_after_commit": 0.02, "random_5xx": 0.02} if trial % 3 == 2 else {}
    with running(district.var / "demo", faults=faults) as platforms:
        for after in moments:
            moment = max(after, lines(log) + 1)  # each lives long enough to ask for something
            process = push(district, platforms.environment)
            deadline = time.monotonic() + 120
            while lines(log) < moment and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
            printed, _ = process.communicate()
            assert process.returncode == -signal.SIGKILL, (
                f"the push ended before it was killed: {printed[-2000:]}"
            )
            assert lines(log) >= moment
        platforms.set_faults(lose_reply_after_commit=0.0, random_5xx=0.0)
        finished(push(district, platforms.environment))
    assert_no_duplicates(district)
    assert platform_state(district) == expected
