"""A month of nights with trouble in it: each ends as docs/when-it-fails.md says, whoever should be
told is told, and nobody else.

Every trouble befalls one night, and the night after is an ordinary one. `make month` lives all of
them in a row; `make test` has no time for it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pytest
from conftest import ROOT, District, equal_to_exports
from inbox import PASSWORD, Inbox, open_inbox

from common import problems
from demo import nights as demo_nights
from demo.district import date_of
from demo.platforms import Platforms, running

ALLOW = (
    "--allow",
    "create,update,rename,suspend,restore,remove,drop",
    "--why",
    "in so small a district every day is a large share of it",
)
# of three schools two are large enough to be watched, and one of them may collapse without the feed
# being refused
CALM = {
    "NIGHT__RETRY_AFTER_MINUTES": "false",
    "TRUST__MAX_LOST_PARTITIONS": "0.6",
    "BACKUP__NIGHTLY": "false",
}


@dataclass
class World:
    """The district, its platforms, and where alerts arrive."""

    district: District
    platforms: Platforms
    inbox: Inbox
    day: int
    given: dict[str, str] = field(default_factory=dict)  # settings of tonight alone

    @property
    def extracts(self) -> Path:
        return self.district.var / "demo" / "extracts"

    def tomorrow(self) -> None:
        """The next school day, and its files."""
        self.day += 1
        marker = json.loads(
            (self.district.var / "demo" / "district.json").read_text(encoding="utf-8")
        )
        today = demo_nights.District(marker["students"], marker["seed"], self.day)
        before, os.environ["HOMEROOM_VAR"] = os.environ.get("HOMEROOM_VAR"), str(self.district.var)
        try:
            today.write()
        finally:
            (
                os.environ.pop("HOMEROOM_VAR")
                if before is None
                else os.environ.update(HOMEROOM_VAR=before)
            )

    def start(self) -> subprocess.Popen:
        """Tonight, in a process group of its own."""
        smtp, web = self.inbox.smtp, self.inbox.web
        alerts = {
            **{f"ALERTS__SMTP__{key.upper()}": str(value) for key, value in smtp.items()},
            "ALERTS__SMTP__PASSWORD": PASSWORD,
            "ALERTS__ROUTES__OPERATOR__EMAIL": "operator@sd74.example",
            "ALERTS__ROUTES__OPERATOR__LEVEL": "critical",
            "ALERTS__INCIDENTS__KIND": "generic",
            "ALERTS__INCIDENTS__URL": f"{web}/incidents",
            "ALERTS__WAIT_SECONDS": "0.05",
            "ALERTS__HEARTBEAT__URL": f"{web}/alive",
            "ALERTS__HEARTBEAT__FAILED_URL": f"{web}/failed",
        }
        tonight = {"HOMEROOM_AS_OF": date_of(self.day).isoformat(), **self.given}
        environment = self.district.environment(
            **(self.platforms.environment | CALM | alerts | tonight)
        )
        return subprocess.Popen(
            [sys.executable, "-m", "operations", "nightly", *ALLOW],
            cwd=ROOT,
            env=environment,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def summary(self) -> dict:
        return self.district.summaries()[-1]

    def kinds(self, level: str = "critical") -> set[str]:
        """Of tonight's findings."""
        lines = (
            (self.district.var / "runs" / "latest" / "findings.jsonl")
            .read_text(encoding="utf-8")
            .splitlines()
        )
        codes = {json.loads(line)["code"] for line in lines}
        return {code for code in codes if problems.problem(code).level == level}


@dataclass(frozen=True)
class Trouble:
    """What befalls a night, and what must come of it."""

    name: str
    befalls: Callable[[World], Iterator[None]]  # does it, yields for the night, undoes it
    code: int
    critical: frozenset[str]  # kinds of critical findings: each an incident while it lasts
    other: frozenset[str] = frozenset()  # kinds of findings nobody is woken for
    mail: bool = True
    heartbeat: str = "/alive"


def trouble(
    code: int,
    *critical: str,
    other: tuple[str, ...] = (),
    mail: bool | None = None,
    heartbeat: str = "/alive",
) -> Callable:
    def named(befalls: Callable[[World], Iterator[None]]) -> Trouble:
        told = bool(code or critical) if mail is None else mail
        return Trouble(
            befalls.__name__.replace("_", " "),
            befalls,
            code,
            frozenset(critical),
            frozenset(other),
            told,
            heartbeat,
        )

    return named


@trouble(0)
def a_feed_comes_late(world: World) -> Iterator[None]:
    file = world.extracts / "ParentInformation.csv"
    content, runs = file.read_bytes(), len(world.district.summaries())
    file.unlink()
    world.given = {"NIGHT__RETRY_AFTER_MINUTES": "0.1"}
    over = threading.Event()

    def arrive() -> None:
        while len(world.district.summaries()) == runs and not over.wait(0.1):
            continue
        file.write_bytes(content)

    late = threading.Thread(target=arrive)
    late.start()
    yield
    over.set()
    late.join()
    assert len(world.district.summaries()) == runs + 2, "the night was not lived once more"


@trouble(3, "feed_missing")
def a_feed_does_not_come(world: World) -> Iterator[None]:
    (world.extracts / "ParentInformation.csv").unlink()
    yield


@trouble(3, "feed_truncated")
def a_feed_is_cut_in_the_middle_of_a_line(world: World) -> Iterator[None]:
    file = world.extracts / "StudentSchedule.csv"
    file.write_bytes(file.read_bytes()[:-9])
    yield


@trouble(3, "target_unreadable")
def a_tenant_is_down(world: World) -> Iterator[None]:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and never listens
        world.given = {"TARGETS__GOOGLE__ADDRESS": f"http://127.0.0.1:{nobody.getsockname()[1]}"}
        yield


@trouble(3, "target_unreadable")
def a_secret_has_expired(world: World) -> Iterator[None]:
    world.given = {"TARGETS__MICROSOFT__CLIENT_SECRET": "of-last-year"}
    yield


@trouble(2, "disk_full", heartbeat="/failed")
def the_disk_is_full(world: World) -> Iterator[None]:
    world.given = {"NIGHT__FREE_MEGABYTES": "1000000000"}
    yield


@trouble(3, "feed_missing", mail=False)
def nobody_takes_mail_when_there_is_something_to_say(world: World) -> Iterator[None]:
    (world.extracts / "StudentDailyAbsences.csv").unlink()
    world.inbox.close_post_office()
    yield
    world.inbox.open_post_office()


@trouble(0, other=("clock_back",))
def the_clock_is_set_back(world: World) -> Iterator[None]:
    world.given = {"HOMEROOM_AS_OF": date_of(world.day - 3).isoformat()}
    yield


@trouble(0, other=("night_was_killed",))  # an override begins the night anew, docs/when-it-fails.md
def the_power_fails_during_the_push(world: World) -> Iterator[None]:
    before = len(world.district.requests())
    writes = 0
    dying = world.start()
    while dying.poll() is None and not writes:
        time.sleep(0.01)
        writes = sum(
            request["method"] in ("POST", "PATCH", "PUT", "DELETE")
            and "token" not in request["url"]
            and "batch" not in request["url"]
            for request in world.district.requests()[before:]
        )
    os.killpg(dying.pid, signal.SIGKILL)
    for child in _steps_of(world):
        os.killpg(child, signal.SIGKILL)
    dying.communicate()
    assert writes, "the night was over before it wrote anything"
    yield


def _steps_of(world: World) -> list[int]:
    """Steps are in process groups of their own: those whose state folder is this one's."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and f"HOMEROOM_VAR={world.district.var}".encode() in (
                folder / "environ"
            ).read_bytes().split(b"\0"):
                found.append(os.getpgid(int(folder.name)))
        except OSError:  # it has just ended, or is not ours to look at
            continue
    return sorted(set(found) - {os.getpgid(0)})


@trouble(1, "warehouse_locked", heartbeat="/failed")
def the_warehouse_is_open_in_another_program(world: World) -> Iterator[None]:
    code = (
        f"import duckdb, sys; c = duckdb.connect({str(world.district.var / 'warehouse.duckdb')!r});"
        " print('open', flush=True); sys.stdin.read()"
    )
    reader = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    reader.stdout.readline()
    yield
    reader.communicate("")


@trouble(2, other=("licence_short", "changes_held"))  # who goes without waits by name
def licences_run_short(world: World) -> Iterator[None]:
    """Somebody takes a licence from one person and gives its seat away."""
    store = world.platforms.microsoft.store
    user = next(one for one in store["users"].values() if one.get("assignedLicenses"))
    (held,) = user["assignedLicenses"]
    product = store["skus"][held["skuId"]]
    store.put("users", user["id"], user | {"assignedLicenses": []})
    store.put("skus", product["skuId"], product | {"consumedUnits": product["consumedUnits"] - 1})
    store.commit(0)
    world.platforms.set_faults(microsoft={"licence_seats": product["consumedUnits"] - 1})
    yield
    world.platforms.set_faults(microsoft={"licence_seats": 1_000_000})


@trouble(2, "school_held")
def half_of_a_school_is_missing_from_its_feed(world: World) -> Iterator[None]:
    file = world.extracts / "StudentDemographicEnhanced.txt"
    lines = file.read_bytes().splitlines(keepends=True)
    of_school = [line for line in lines if b"7474002" in line]
    gone = set(of_school[: len(of_school) * 2 // 3])
    file.write_bytes(b"".join(line for line in lines if line not in gone))
    yield


@trouble(3, "not_converged")
def a_platform_says_yes_and_does_nothing(world: World) -> Iterator[None]:
    world.platforms.set_faults(google={"drop_writes": 1.0})
    yield
    world.platforms.set_faults(google={"drop_writes": 0.0})


@trouble(0)
def the_platforms_have_a_bad_hour(world: World) -> Iterator[None]:
    world.platforms.set_faults(random_5xx=0.1, throttle=0.1, lose_reply_after_commit=0.1)
    yield
    world.platforms.set_faults(random_5xx=0.0, throttle=0.0, lose_reply_after_commit=0.0)


TROUBLES = [one for one in list(globals().values()) if isinstance(one, Trouble)]


@contextmanager
def world_of(district: District, folder: Path) -> Iterator[World]:
    with running(district.var / "demo") as platforms, open_inbox(folder) as inbox:
        marker = json.loads((district.var / "demo" / "district.json").read_text(encoding="utf-8"))
        yield World(district, platforms, inbox, marker["day"])


def live(world: World, tonight: Trouble | None, open_before: set[str]) -> set[str]:
    """One night, and everything that must be true of it; returns the conditions open afterwards."""
    inbox, name = world.inbox, tonight.name if tonight else "an ordinary night"
    world.tomorrow()
    world.given = {}
    mails, requests = len(inbox.mails), len(inbox.requests)
    befalls = tonight.befalls(world) if tonight else iter((None,))
    next(befalls)
    process = world.start()
    printed, _ = process.communicate(timeout=900)
    next(befalls, None)
    where = f"{name}, day {world.day}:\n{printed[-3000:]}"

    assert process.returncode == (tonight.code if tonight else 0), where
    assert world.kinds() == (tonight.critical if tonight else set()), where
    assert (tonight.other if tonight else set()) <= world.kinds("warning") | world.kinds("info"), (
        where
    )
    told = [body for _, path, body, _ in inbox.requests[requests:] if path == "/incidents" and body]
    opened, closed = (
        {one["condition"] for one in told if one["action"] == action}
        for action in ("open", "close")
    )
    assert len(told) == len(opened) + len(closed), where
    # while the night itself failed nothing is known to be over
    assert closed == (set() if tonight and tonight.code == 1 else open_before - opened), where
    now = (open_before | opened) - closed
    assert {condition.split(".")[1] for condition in opened} - {"night_failed"} == (
        tonight.critical if tonight else set()
    ), where
    hears = bool(tonight and tonight.mail) or (
        bool(closed) and not (tonight and tonight.name.startswith("nobody takes mail"))
    )
    assert bool(inbox.mails[mails:]) == hears, where
    assert len(inbox.mails[mails:]) <= 1, "one message a morning"
    beats = [path for _, path, _, _ in inbox.requests[requests:] if path in ("/alive", "/failed")]
    assert beats == [tonight.heartbeat if tonight else "/alive"], where
    for feed in world.summary()["feeds"]:
        assert feed["rows_in"] == feed["landed"] + feed["rejected"] or feed["status"] in (
            "refused",
            "missing",
            "held",
        ), (where, feed)
    print(
        f"day {world.day}: {name}: exit {process.returncode}, {len(opened)} incidents opened,"
        f" {len(closed)} closed",
        flush=True,
    )
    return now


@pytest.mark.long
def test_thirty_nights_in_a_row(district: District, tmp_path: Path) -> None:
    nights: list[Trouble | None] = [None]
    for one in random.Random(74).sample(TROUBLES, len(TROUBLES)):
        nights += [one, None]
    nights += [None] * (30 - len(nights))
    assert len(nights) >= 30
    with world_of(district, tmp_path) as world:
        before: set[str] = set()
        for tonight in nights:
            before = live(world, tonight, before)
        assert before == set()
    equal_to_exports(district)
    with duckdb.connect(
        str(district.var / "published" / "warehouse.duckdb"), read_only=True
    ) as connection:
        # what the power cut left unwritten was planned anew by the run after it
        lost = connection.execute(
            """
            select run_id, changes.status, count(*) from audit.changes as changes
            join audit.runs as runs using (run_id)
            where changes.status not in ('applied', 'held', 'failed', 'skipped')
            and not (changes.status = 'not pushed' and runs.status = 'abandoned')
            group by all"""
        ).fetchall()
    assert lost == []
