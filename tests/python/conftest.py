"""A small synthetic district that lived two whole nights, shared by every test that needs one.

The nights run as a newcomer's would: `python -m demo`, which runs the same commands as production
against emulated platforms that are real servers on loopback. A test that changes anything works on
its own copy.
"""

from __future__ import annotations

import csv
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
from hypothesis import settings as hypothesis_settings
from library_kit import LAYOUT, Library
from platform_kit import GoogleClient, GraphClient

from common import problems
from demo import cases
from demo.holdings import holdings
from demo.places import Places
from demo.platforms import Platforms, running

# nothing here is timed: a busy machine is no fault of what is tried
hypothesis_settings.register_profile("untimed", deadline=None)
hypothesis_settings.load_profile("untimed")


ROOT = Path(__file__).resolve().parents[2]
LIVED = (240, 22)  # students and seed of the district that lived two nights
PARSED = (
    ROOT / ".pytest_cache" / "partial_parse.msgpack"
)  # the project as dbt last parsed it in any test
LONGEST = (  # files whose tests take a minute or more together
    "test_models",
    "test_typed",
    "test_lifecycle",
    "test_file_kit",
    "test_intake",
    "test_history",
)

os.umask(0o077)  # what a test puts in place of our own is for its user alone, as that is


@pytest.hookimpl(trylast=True)  # when what is not to run is out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One file that needs the two nights comes first and builds them; meanwhile the other processes
    do what needs none, not wait. Of each, the files that take longest come first: one of minutes
    that is begun last is waited for by all the others.
    """
    needing = {item.path for item in items if "two_nights" in getattr(item, "fixturenames", ())}
    first = min(needing - {path for path in needing if path.stem in LONGEST}, default=None)

    def place(item: pytest.Item) -> tuple[int, bool]:
        turn = 0 if item.path == first else 2 if item.path in needing else 1
        return turn, item.path.stem not in LONGEST

    items.sort(key=place)


@dataclass(frozen=True)
class District:
    """A state folder and what one asks of it. `root` is the checkout its commands run in."""

    var: Path
    root: Path = ROOT

    def run(
        self, *command: str, check: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """`python -m <command>` with this district's state; fails the test on exit code 1 unless
        check is False.
        """
        parsed = self.var / "target" / PARSED.name
        # dbt sees for itself what has changed since; it saves a new district a quarter of its first
        # night. The demo wants its folder empty.
        # A parsed project knows where its seeds lie: another checkout has its own.
        ours = self.root == ROOT
        if ours and command[0] != "demo" and not parsed.is_file() and PARSED.is_file():
            parsed.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(PARSED, parsed)
        ended = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=self.root,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        if ours and parsed.is_file() and not PARSED.is_file():
            PARSED.parent.mkdir(exist_ok=True)
            part = PARSED.with_name(f"{PARSED.name}.{os.getpid()}")
            shutil.copyfile(parsed, part)
            part.replace(PARSED)
        if check and ended.returncode not in (0, 2, 3):
            pytest.fail(
                f"python -m {' '.join(command)} ended with"
                f" {ended.returncode}:\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"
            )
        return ended

    def planned(self, **environment: str) -> int:
        """A night on the same day that ends where the first write would be: ingest, build, plan,
        report; the plan's exit code.

        A third of a whole night cheaper, for tests that ask what would be written.
        """
        with running(self.var / "demo") as platforms:
            given = (
                platforms.environment
                | {"HOMEROOM_AS_OF": self.summaries()[-1]["as_of"]}
                | environment
            )
            self.run("ingestion", **given)
            self.run("operations", "build", **given)
            ended = self.run("reverse_etl", "plan", **given)
            self.run("operations", "report", **given)
        return ended.returncode

    def environment(self, **more: str) -> dict[str, str]:
        return (
            os.environ
            | {"HOMEROOM_VAR": str(self.var), "HOMEROOM_RUN": "", "COLUMNS": "100"}
            | more
        )

    def state(self, platform: str) -> dict:
        """What the emulated platform itself holds, as `python -m demo state` shows it."""
        return holdings(
            platform,
            json.loads(
                Places.within(self.var / "demo").state_of(platform).read_text(encoding="utf-8")
            ),
        )

    def ask(self, sql: str, *values: object) -> list[tuple]:
        """A query of the published copy."""
        with duckdb.connect(
            str(self.var / "published" / "warehouse.duckdb"), read_only=True
        ) as connection:
            return connection.execute(sql, list(values)).fetchall()

    @contextmanager
    def warehouse(self) -> Iterator[Callable[..., list[tuple]]]:
        """The warehouse with the ledger attached, to ask and to change: `ask(sql, *values)`."""
        with duckdb.connect(str(self.var / "warehouse.duckdb")) as connection:
            connection.execute(f"attach '{self.var / 'ledger.duckdb'}' as ledger")
            yield lambda sql, *values: connection.execute(sql, list(values)).fetchall()

    def dbt(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`dbt <words>` of this district's project, from within the state folder as the night does
        it: the project stays parsed.
        """
        told = [sys.executable, "-m", "operations", "seeds"]
        seeds = subprocess.run(told, cwd=self.root, capture_output=True, text=True, check=True)
        return subprocess.run(
            [
                str(Path(sys.executable).parent / "dbt"),
                *words,
                "--project-dir",
                str(self.root),
                "--profiles-dir",
                str(self.root),
            ],
            cwd=self.var,
            env=self.environment(
                HOMEROOM_VAR=".",
                HOMEROOM_SEEDS=seeds.stdout.strip(),
                DBT_TARGET_PATH=str(self.var / "target"),
                DBT_LOG_PATH=str(self.var / "logs"),
            ),
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    def rows(self, sql: str, *values: object) -> list[dict]:
        """The same, each row as a dict."""
        with duckdb.connect(
            str(self.var / "published" / "warehouse.duckdb"), read_only=True
        ) as connection:
            cursor = connection.execute(sql, list(values))
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def summaries(self) -> list[dict]:
        """The summary of every run, oldest first."""
        runs = sorted(
            path
            for path in (self.var / "runs").iterdir()
            if path.is_dir() and not path.is_symlink()
        )
        return [
            json.loads((run / "summary.json").read_text(encoding="utf-8"))
            for run in runs
            if (run / "summary.json").is_file()
        ]

    def requests(self) -> list[dict]:
        """Every request the emulated platforms have received."""
        return [
            json.loads(line)
            for line in (self.var / "demo" / "requests.jsonl")
            .read_text(encoding="utf-8")
            .splitlines()
        ]

    def copy(self, folder: Path) -> District:
        """The same district in another folder, to do with as a test likes."""
        shutil.copytree(self.var, folder, symlinks=True)
        return District(folder, self.root)


def checkout(folder: Path, root: Path = ROOT) -> Path:
    """A copy of the project in which a test edits rules; of the two nights' own where it is that
    district's next night.
    """
    left_out = (
        ".venv",
        ".git",
        "var",
        "__pycache__",
        ".pytest_cache",
        ".hypothesis",
        ".ruff_cache",
    )
    return Path(shutil.copytree(root, folder, ignore=shutil.ignore_patterns(*left_out)))


def equal_to_exports(district: District) -> None:
    """The platforms hold what the export tables say, both ways: that a push did its work. Whether
    the tables are right is not asked here.

    People under a hold are left out: nothing of theirs is pushed.
    """
    held = {
        person
        for (person,) in district.ask(
            "select person_id from identity.lifecycle where hold is not null"
        )
    }
    google = district.state("google")
    stamped = {
        user["customSchemas"]["Homeroom"]["person_id"]: user
        for user in google["users"]
        if user.get("customSchemas", {}).get("Homeroom")
    }
    ours = {key: user for key, user in stamped.items() if key not in held}
    desired = {
        row["person_id"]: row
        for row in district.rows("select * from exports.exp_google__users")
        if row["person_id"] not in held
    }
    assert set(ours) == set(desired)
    assert {
        key: (
            user["primaryEmail"],
            user["name"]["givenName"],
            user["name"]["familyName"],
            user["orgUnitPath"],
            user["suspended"],
        )
        for key, user in ours.items()
    } == {
        key: (
            row["primary_email"],
            row["given_name"],
            row["family_name"],
            row["org_unit_path"],
            row["suspended"],
        )
        for key, row in desired.items()
    }
    groups = {
        entry["id"]: group
        for group in google["groups"]
        for entry in group.get("externalIds", [])
        if entry["namespace"] == "homeroom"
    }
    desired_groups = {
        row["group_id"]: row for row in district.rows("select * from exports.exp_google__groups")
    }
    assert {key: (group["email"], group["name"]) for key, group in groups.items()} == {
        key: (row["email"], row["name"]) for key, row in desired_groups.items()
    }
    by_email = {user["primaryEmail"]: key for key, user in ours.items()} | {
        group["email"]: key for key, group in groups.items()
    }
    members = {
        (by_email[m["group"]], by_email[m["member"]], m["role"])
        for m in google["members"]
        if m["group"] in by_email and m["member"] in by_email
    }
    assert members == {
        row
        for row in district.ask("select group_id, person_id, role from exports.exp_google__members")
        if row[1] not in held
    }
    units = {unit["orgUnitPath"] for unit in google["org_units"]}
    assert {
        row[0] for row in district.ask("select org_unit_path from exports.exp_google__org_units")
    } <= units

    microsoft = district.state("microsoft")
    key_of = {
        user["id"]: (user.get("onPremisesExtensionAttributes") or {}).get("extensionAttribute15")
        for user in microsoft["users"]
    }
    users = {
        key_of[user["id"]]: user
        for user in microsoft["users"]
        if key_of[user["id"]] and key_of[user["id"]] not in held
    }
    desired = {
        row["person_id"]: row
        for row in district.rows("select * from exports.exp_microsoft__users")
        if row["person_id"] not in held
    }
    assert {
        key: (
            user["userPrincipalName"],
            user["displayName"],
            user.get("givenName"),
            user["surname"],
            user["accountEnabled"],
        )
        for key, user in users.items()
    } == {
        key: (
            row["user_principal_name"],
            row["display_name"],
            row["given_name"],
            row["surname"],
            row["account_enabled"],
        )
        for key, row in desired.items()
    }
    group_of = {group["id"]: group.get("uniqueName") for group in microsoft["groups"]}
    assert {name for name in group_of.values() if name} == {
        row[0] for row in district.ask("select group_id from exports.exp_microsoft__groups")
    }
    members = {
        (group_of[m["group"]], key_of[m["member"]])
        for m in microsoft["members"]
        if group_of.get(m["group"])
    }
    assert members == {
        row
        for row in district.ask("select group_id, person_id from exports.exp_microsoft__members")
        if row[1] not in held
    }
    products = {sku["skuId"]: sku["skuPartNumber"] for sku in microsoft["subscriptions"]}
    licences = {
        (key, products[one["skuId"]])
        for key, user in users.items()
        for one in user.get("assignedLicenses", [])
    }
    assert licences == {
        row
        for row in district.ask("select person_id, licence from exports.exp_microsoft__licences")
        if row[0] not in held
    }
    assert licences


@pytest.fixture(autouse=True)
def _environment_as_it_was() -> Iterator[None]:
    """No test leaves a setting behind for the next one."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module", autouse=True)
def _problems_as_they_were() -> Iterator[None]:
    """No problem a test makes up is in the catalogue of the next file."""
    yield
    problems.catalogue.cache_clear()


@pytest.fixture(scope="session")
def two_nights(tmp_path_factory: pytest.TempPathFactory) -> District:
    """240 students and the planted ones: a district Homeroom worked in last spring, day 0, then day
    1 (admitted, withdrawn, hired and gone).

    Never change it; take a copy. Its project is a checkout whose seeds have the rows of planted
    people: holds, leaves, no account. Test processes that run side by side share one: the first to
    come builds it.
    """
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    district = District(shared / "two_nights" / "var", shared / "two_nights" / "checkout")
    with (shared / "two_nights.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (district.var / "printed.txt").is_file():
            checkout(district.root)
            for seed, rows in cases.seed_rows(*LIVED).items():
                with (district.root / "seeds" / f"{seed}.csv").open(
                    "a", encoding="utf-8", newline=""
                ) as file:
                    csv.writer(file, lineterminator="\n").writerows(rows)
            ended = district.run(
                "demo", "run", "--lived-in", "--students", str(LIVED[0]), "--seed", str(LIVED[1])
            )
            assert len(district.summaries()) == 2, ended.stdout + ended.stderr
            (district.var / "printed.txt").write_text(ended.stdout + ended.stderr, encoding="utf-8")
    return district


@pytest.fixture
def district(two_nights: District, tmp_path: Path) -> District:
    """A copy of the district after its two nights."""
    return two_nights.copy(tmp_path / "var")


@pytest.fixture
def platforms(tmp_path: Path) -> Iterator[Platforms]:
    """Both emulated platforms, new, in a folder of their own."""
    with running(tmp_path) as started:
        yield started


@pytest.fixture
def google(platforms: Platforms) -> GoogleClient:
    """A client of the emulated Google."""
    return GoogleClient(platforms)


@pytest.fixture
def graph(platforms: Platforms) -> GraphClient:
    """A client of the emulated Microsoft."""
    return GraphClient(platforms)


@pytest.fixture
def library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Library:
    """A source of four small feeds in a folder of its own."""
    folder, layout = tmp_path / "drop", tmp_path / "library.toml"
    folder.mkdir()
    layout.write_text(LAYOUT, encoding="utf-8")
    for name, value in {
        "HOMEROOM_VAR": tmp_path / "var",
        "SOURCES__LIBRARY__KIND": "files",
        "SOURCES__LIBRARY__LOCATION": folder,
        "SOURCES__LIBRARY__LAYOUT": layout,
    }.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.delenv("HOMEROOM_RUN", raising=False)
    return Library(
        folder,
        lambda: "".join(capfd.readouterr()),
        lambda day: monkeypatch.setenv("HOMEROOM_AS_OF", day.isoformat()),
    )
