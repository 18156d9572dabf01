"""Chaos: pushes that are killed, lied to, throttled, cut off and raced by a person, and what the
platforms hold in the end.

One small tenant on each emulated platform lives through many pushes. Before each its desired state
changes (creates, renames, moves, suspensions, memberships, licences, deletes); the push then meets
faults drawn by chance: SIGKILL or SIGTERM at a random request, lost replies after the commit,
writes answered 200 and dropped, throttling, 5xx, resets, read lag, tokens that expire, somebody
editing our accounts in the tenant meanwhile. Ordinary nights follow. Then it must hold, every time:

- what the platforms hold equals what is desired, and the next plan is empty;
- no key twice; no object of others touched;
- every object the platforms were asked to write was in the journal, and everything the audit calls
  applied was asked for.

The exports are the project's own YAML and staging models over tables made by hand; there is no dbt
in it, and no code that knows a platform but for the rows of its exports and the reading of its
request log.

Alone: `make chaos PUSHES=200 SEED=1`, or `python -m tests.chaos 200 1`.
"""

from __future__ import annotations

import json
import os
import random
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import yaml

from common import paths, store
from common.runs import Run
from demo.platforms import running
from reverse_etl import configured, exports, releases, settle
from reverse_etl import observe as observing
from reverse_etl import plan as planning
from reverse_etl import push as pushing
from reverse_etl import undo as undoing
from reverse_etl import verify as verifying
from reverse_etl.limits import Allowed
from reverse_etl.model import Change

TARGETS = ("google", "microsoft")
STUDENTS = "student.sd74.example"
EVERYTHING = "adopt,create,undelete,update,rename,suspend,restore,remove,delete"
NIGHTS = 5  # ordinary nights after a push within which everything must be as desired
FAULTS: dict[str, tuple[float, ...]] = {  # switch -> the values it may take in a push
    "lose_reply_after_commit": (0.0, 0.05, 0.2),
    "drop_writes": (0.0, 0.0, 0.1),
    "random_5xx": (0.0, 0.05, 0.3),
    "throttle": (0.0, 0.1, 0.5),
    "reset": (0.0, 0.0, 0.05),
    "read_lag_seconds": (0.0, 0.0, 2.0),
    "incomplete_creation_seconds": (0.0, 0.0, 0.5),
    "latency_seconds": (0.0, 0.005),
}
LICENCES = ("STANDARDWOFFPACK_STUDENT", "STANDARDWOFFPACK_FACULTY", "")  # the last: none
CALM = dict.fromkeys(FAULTS, 0.0)


# ---------------------------------------------------------------- the district


@dataclass
class District:
    """Who there should be: persons and groups by number, drawn by chance and changed a little each
    day.
    """

    chance: random.Random
    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: dict[str, set[str]] = field(default_factory=dict)
    made: int = 0
    names: int = 0

    def begin(self, people: int) -> None:
        for _ in range(5):
            self.groups[f"school-0747400{self.number()}-students"] = set()
        for _ in range(people):
            self.join()

    def number(self) -> int:
        self.made += 1
        return self.made

    def name(self) -> str:
        self.names += 1
        return f"robin.o'brien{self.names}"

    def join(self) -> None:
        person = f"p{self.number():015x}"
        self.people[person] = {
            "local": self.name(),
            "first": f"Zoë {self.made}",
            "unit": self.chance.choice("ABC"),
            "off": False,
            "licence": LICENCES[0],
        }
        for members in self.chance.sample(sorted(self.groups), min(2, len(self.groups))):
            self.groups[members].add(person)

    def day(self) -> None:
        """One day's changes of every kind."""
        for _ in range(self.chance.randint(1, 4)):
            self.join()
        picked = self.chance.sample(sorted(self.people), min(12, len(self.people)))
        for person in picked[:2]:
            self.people[person]["local"] = self.name()
        for person in picked[2:5]:
            self.people[person]["unit"] = self.chance.choice("ABCDE")
        for person in picked[5:7]:
            self.people[person]["off"] = not self.people[person]["off"]
        for person in picked[7:9]:
            self.people[person]["first"] += "x"
            self.people[person]["licence"] = self.chance.choice(LICENCES)
        for person in picked[9:11]:
            for members in self.groups.values():
                members.symmetric_difference_update({person} if self.chance.random() < 0.5 else ())
        if len(self.people) > 30:
            gone = picked[11]
            del self.people[gone]
            for members in self.groups.values():
                members.discard(gone)
        if self.chance.random() < 0.3:
            self.groups[f"school-0747400{self.number()}-students"] = (
                set(picked[:3]) & self.people.keys()
            )
        if len(self.groups) > 6:
            del self.groups[self.chance.choice(sorted(self.groups))]

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Export model -> its rows; columns that are not named are NULL."""
        units = sorted({f"/Chaos/{p['unit']}" for p in self.people.values()} | {"/Chaos"})
        common = {
            "population": "student",
            "school_number": "07474001",
            "source": "students#000000000000:1",
        }
        members = [
            {"group_id": g, "person_id": p, "role": "MEMBER"}
            for g, people in self.groups.items()
            for p in people
        ]
        return {
            "exp_google__schemas": [{"schema_name": "Homeroom", "field_name": "person_id"}],
            "exp_google__org_units": [
                {
                    "org_unit_path": u,
                    "name": u.rpartition("/")[2],
                    "parent_org_unit_path": u.rpartition("/")[0] or "/",
                }
                for u in units
            ],
            "exp_google__users": [
                {
                    "person_id": key,
                    "primary_email": f"{p['local']}@{STUDENTS}",
                    "given_name": p["first"],
                    "family_name": "O’Brien",
                    "org_unit_path": f"/Chaos/{p['unit']}",
                    "suspended": p["off"],
                    "archived": False,
                    "deleted": False,
                    **common,
                }
                for key, p in self.people.items()
            ],
            "exp_google__groups": [
                {"group_id": g, "email": f"{g}@sd74.example", "name": f"Students {g[-12:]}"}
                for g in self.groups
            ],
            "exp_google__members": members,
            "exp_microsoft__users": [
                {
                    "person_id": key,
                    "user_principal_name": f"{p['local']}@{STUDENTS}",
                    "mail_nickname": p["local"],
                    "display_name": f"{p['first']} O’Brien",
                    "given_name": p["first"],
                    "surname": "O’Brien",
                    "account_enabled": not p["off"],
                    "deleted": False,
                    "usage_location": "CA",
                    "department": f"Unit {p['unit']}",
                    "job_title": "Student",
                    **common,
                }
                for key, p in self.people.items()
            ],
            "exp_microsoft__groups": [
                {
                    "group_id": g,
                    "display_name": f"Students {g[-12:]}",
                    "mail_nickname": g,
                    "mail_enabled": False,
                    "security_enabled": True,
                }
                for g in self.groups
            ],
            "exp_microsoft__licences": [
                {"person_id": key, "licence": p["licence"], "family": "licence"}
                for key, p in self.people.items()
                if p["licence"]
            ],
            "exp_microsoft__members": members,
        }


# ---------------------------------------------------------------- the warehouse


def nodes(targets: tuple[str, ...] = TARGETS) -> dict[str, dict[str, Any]]:
    """The manifest's nodes of the exports, from the project's own YAML; objects that are absent are
    taken away.
    """
    found: dict[str, dict[str, Any]] = {}
    models = [
        (path, model)
        for target in targets
        for path in sorted((paths.project() / "models" / "exports" / target).glob("*.yml"))
        for model in yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
        if "export" in model.get("config", {}).get("meta", {})
    ]
    for path, model in models:
        meta = model["config"]["meta"]["export"]
        if meta.get("opt_in"):  # of a district that does not ask for it
            continue
        if meta["entity"] in ("users", "groups"):
            meta["on_absent"] = "delete"
        meta["limits"] = {}
        meta.pop("rests", None)  # there are no feeds here for it to rest on
        found[f"model.homeroom.{model['name']}"] = {
            "resource_type": "model",
            "name": model["name"],
            "schema": "exports",
            "alias": model["name"],
            "patch_path": f"homeroom://{path.name}",
            "config": {"meta": {"export": meta}},
            "columns": {column["name"]: column for column in model["columns"]},
        }
    return found


def manifest(models: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What dbt would have said about these exports: built, signed for, every test passed."""
    tests = {
        f"test.homeroom.personal_data_is_signed_{one.rpartition('.')[2]}_.1": one for one in models
    }
    tested = {
        name: {
            "resource_type": "test",
            "name": name,
            "attached_node": one,
            "depends_on": {"nodes": [one]},
        }
        for name, one in tests.items()
    }
    results = [{"unique_id": one, "status": "success"} for one in models] + [
        {"unique_id": one, "status": "pass"} for one in tests
    ]
    return (
        {"nodes": {**models, **tested}, "sources": {}, "parent_map": {}},
        {"metadata": {"generated_at": datetime.now(UTC).isoformat()}, "results": results},
    )


def make_views(connection: duckdb.DuckDBPyConnection) -> None:
    """The project's own staging models of the targets, as views."""
    connection.execute("create schema if not exists staging")
    connection.execute(
        "create or replace table staging.licence_rules as"
        " select unnest(?) as licence, 'microsoft' as target",
        [[name for name in LICENCES if name]],
    )
    waiting = {
        file.stem: file.read_text(encoding="utf-8")
        for target in TARGETS
        for file in (paths.root() / "models" / "staging" / target).glob("stg_*.sql")
    }
    while waiting:
        ready = [
            name
            for name, text in waiting.items()
            if not any(other in waiting for other in re.findall(r"ref\('(\w+)'\)", text))
        ]
        for name in ready:
            text = re.sub(r"\{\{ source\('(\w+)', '(\w+)'\) \}\}", r"raw_\1.\2", waiting.pop(name))
            text = re.sub(r"\{\{ ref\('(\w+)'\) \}\}", r"staging.\1", text)
            text = re.sub(r"\{\{ alias_id\('([\w.]+)'\) \}\}", r"left(sha256(lower(\1)), 16)", text)
            if "{{" not in text:  # those with macros are for identity, not for comparing
                connection.execute(f"create or replace view staging.{name} as {text}")


# ---------------------------------------------------------------- pushes in a process of their own


class Pushes:
    """A process that has imported everything and forks one child per push: each can be killed, none
    costs seconds to start.
    """

    CODE = """
import os, sys
import reverse_etl.__main__ as engine
import reverse_etl.targets
print("ready", flush=True)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        with open(os.environ["HOMEROOM_VAR"] + "/push.log", "a") as log:
            os.dup2(log.fileno(), 1); os.dup2(log.fileno(), 2)
        try:
            engine.push(target=None, run=line.strip(), wait=30.0)
        except SystemExit as ended:
            sys.stdout.flush(); os._exit(int(ended.code or 0))
        except BaseException:
            import traceback; traceback.print_exc(); sys.stdout.flush(); os._exit(99)
        os._exit(0)
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""

    def __init__(self) -> None:
        environment = os.environ | {
            "HOMEROOM_EXIT_CODE": "0"
        }  # as inside a night: planned and pushed in one go
        self._process = subprocess.Popen(
            [sys.executable, "-c", self.CODE],
            cwd=paths.root(),
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._say("ready")

    def begin(self, run: Run) -> int:
        """Start a push; the process id of it."""
        assert self._process.stdin is not None
        self._process.stdin.write(run.run_id + "\n")
        self._process.stdin.flush()
        return int(self._say())

    def wait(self) -> int:
        """The exit code of the push; negative the signal it died of."""
        return int(self._say())

    def is_over(self) -> bool:
        assert self._process.stdout is not None
        return bool(select.select([self._process.stdout], [], [], 0)[0])

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)

    def _say(self, expected: str = "") -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line and (not expected or line == expected), (
            f"the process of the pushes said {line!r}"
        )
        return line


# ---------------------------------------------------------------- the trial


class WrongError(AssertionError):
    """What must hold did not; the message says in which push, under which faults, and what."""


class Chaos:
    """One tenant on each platform, its district, and the verbs of a night over them. What it knows
    of the two platforms, and `chaos_by_settings` of others, stands in methods of its own.
    """

    targets: tuple[str, ...] = TARGETS

    def __init__(self, platforms: Any, seed: int, people: int) -> None:
        self.platforms, self.chance = platforms, random.Random(seed)
        if hasattr(platforms, "microsoft"):  # one licence for another is an exchange, or refused
            platforms.set_faults(microsoft={"exclusive_licences": True})
        os.environ.update(platforms.environment)
        os.environ["HOMEROOM_AS_OF"] = "2026-10-05"
        self.models = nodes(self.targets)
        self.district = District(random.Random(seed + 1))
        self.district.begin(people)
        self.counts: Counter[str] = Counter()
        self.folders: list[Path] = []  # of the runs since the trial began
        self.by_hand: set[tuple[str, str]] = (
            set()
        )  # (platform, remote id) somebody edited in this push
        observing.ensure_tables({name: configured.adapter(name, "chaos") for name in self.targets})
        self.run = Run.open("test")
        with store.connect() as connection:
            self.make_views(connection)
            connection.execute("create schema if not exists exports")
        self.unmanaged = self.of_others()
        self.pushes = Pushes()

    # ------------------------------------------------------------ what only the platforms know

    def make_views(self, connection: duckdb.DuckDBPyConnection) -> None:
        make_views(connection)

    def wanted(self) -> dict[str, list[dict[str, Any]]]:
        """Export model -> its rows."""
        return self.district.rows()

    def sent(self) -> int:
        """How much the platforms were asked so far."""
        return lines(self.platforms.places.requests)

    def asked(self, since: int) -> set[tuple[str, str]]:
        """(platform, remote id or key) of every object they were asked to write since then."""
        found = requested(self.platforms.places.requests, since)
        return {(target, one) for target, one, _ in found}

    def expire_tokens(self) -> None:
        self.platforms.google._tokens.clear()
        self.platforms.microsoft._tokens.clear()

    def edits(self, target: str) -> tuple[dict[str, Any], ...]:
        """What somebody may change by hand."""
        return {
            "google": ({"given_name": "by hand"}, {"suspended": True}),
            "microsoft": ({"department": "by hand"}, {"account_enabled": False}),
        }[target]

    # ------------------------------------------------------------ the verbs of a night

    def new_night(self) -> None:
        self.run.finish(0)
        self.run = Run.open("test")
        said, results = manifest(self.models)
        self.folders.append(self.run.folder)
        (self.run.folder / "dbt").mkdir()
        self.run.write("dbt/manifest.json", said)
        self.run.write("dbt/run_results.json", results)

    def desire(self) -> None:
        with store.connect() as connection:
            wanted = self.wanted()
            for name in (unique_id.rpartition(".")[2] for unique_id in self.models):
                rows, columns = (
                    wanted.get(name, []),
                    self.models[f"model.homeroom.{name}"]["columns"],
                )
                listed = ", ".join(
                    f'"{c}" {"boolean" if one["data_type"] == "boolean" else "varchar"}'
                    for c, one in columns.items()
                )
                connection.execute(f"create or replace table exports.{name} ({listed})")
                if rows:
                    connection.executemany(
                        f"insert into exports.{name} values ({', '.join('?' * len(columns))})",
                        [[row.get(c) for c in columns] for row in rows],
                    )

    def observe(self, targets: tuple[str, ...] = ()) -> None:
        """As `observe` does, without dlt: both tenants as they show themselves now."""
        facts = self.run.read("observed.json", {})
        for target in targets or self.targets:
            adapter, started = configured.adapter(target, self.run.run_id), datetime.now(UTC)
            try:
                tables = {
                    entity: observing._table(adapter, entity, started)
                    for entity in adapter.raw_columns
                }
                facts[target] = {
                    "status": "ok",
                    "observed_at": started.isoformat(),
                    "entities": {},
                    "read_calls": adapter.read_calls,
                    "error": "",
                }
            except Exception as error:  # as observe: whatever happens to one target is written down
                facts[target] = {
                    "status": "failed",
                    "observed_at": started.isoformat(),
                    "entities": {},
                    "read_calls": 0,
                    "error": type(error).__name__,
                }
                tables = {}
            finally:
                adapter.close()
            with store.connect() as connection:
                for entity, found in tables.items():
                    connection.register("found", found)
                    connection.execute(f"delete from raw_{target}.{entity}")
                    connection.execute(
                        f"insert into raw_{target}.{entity} ({', '.join(found.schema.names)})"
                        " select * from found"
                    )
                    connection.unregister("found")
        self.run.write("observed.json", facts)

    def night(self) -> planning.PlanInputs:
        return planning.PlanInputs(
            self.run.run_id,
            "2026-10-05",
            exports.load(self.run),
            [],
            self.run.read("observed.json", {}),
            lambda target: configured.adapter(target, "chaos").entities,
            settle.last_written,
        )

    def plan(self) -> dict[str, Any]:
        with store.connect() as connection:
            settle.settle(connection)
            made = planning.build_plan(
                connection, self.night(), Allowed.parse(EVERYTHING, "chaos"), planning.Scope()
            )
            document = planning.store(connection, made, self.run.run_id)
        self.run.write("plan.json", document)
        return document

    def ordinary_night(self) -> int:
        """A night in calm weather; how many changes it planned, or -1 when what it left is not as
        it should be.
        """
        self.new_night()
        self.observe()
        document = self.plan()
        if self.let_open(document):
            document = self.plan()
        pushing.push(self.run, self.night, lambda name: configured.adapter(name, self.run.run_id))
        code = verifying.verify(
            self.run, self.night, lambda targets: self.observe(tuple(targets)), pauses=()
        )
        held = [sentence for part in document["exports"] for sentence in part["holds"]]
        if held:
            raise WrongError(f"an ordinary night was held: {held[0]}")
        return (
            sum(sum(part["planned"].values()) for part in document["exports"]) if code == 0 else -1
        )

    def let_open(self, document: dict[str, Any]) -> bool:
        """Say of what somebody closed by hand that it is opened again; whether there was any."""
        closed = tuple(one["key"] for part in document["exports"] for one in part["closed"])
        if closed:
            self.counts["closed by hand, let open"] += len(closed)
            with store.connect() as connection:
                releases.release(
                    connection,
                    document["plan_id"],
                    "plan_id = $plan",
                    {},
                    only=closed,
                    who="chaos",
                    why="ours, and to be open",
                )
        return bool(closed)

    def undo(self, run_id: str) -> list[str]:
        """Take a run back; what was said beforehand of what will not be as it was."""
        self.new_night()
        self.observe()
        kinds = {name: configured.adapter(name, "chaos") for name in self.targets}

        def night() -> planning.PlanInputs:
            return replace(self.night(), undo=undoing.Undo.of(run_id, kinds))

        with store.connect() as connection:
            settle.settle(connection)
            document = planning.store(
                connection,
                planning.build_plan(
                    connection, night(), Allowed.parse(EVERYTHING, "chaos"), planning.Scope()
                ),
                self.run.run_id,
            )
        self.run.write("plan.json", document)
        code = pushing.push(self.run, night, lambda name: configured.adapter(name, self.run.run_id))
        if code:
            raise WrongError(f"the undo ended with {code}")
        return document["cannot"]

    # ------------------------------------------------------------ one push in bad weather

    def trial(self, number: int) -> None:
        """One day, one push under faults, ordinary nights; raises Wrong."""
        sent = self.sent()
        self.by_hand.clear()
        self.folders.clear()
        if number:
            self.district.day()
        self.new_night()
        self.desire()
        faults = {switch: self.chance.choice(values) for switch, values in FAULTS.items()}
        words = ", ".join(f"{switch} {value:g}" for switch, value in faults.items() if value)
        try:
            self.observe()
            planned = sum(sum(part["planned"].values()) for part in self.plan()["exports"])
            how = self.push_under(faults, planned)
            self.counts[how] += 1
            if how in ("SIGKILL", "SIGTERM") and self.chance.random() < 0.5:
                self.counts["resumed"] += 1
                self.pushes.begin(self.run)
                self.pushes.wait()
            quiet = False
            for night in range(1, NIGHTS + 1):
                changes = self.ordinary_night()
                if changes >= 0:  # read back equal: what a plan would find now is nothing
                    self.counts[f"{night} ordinary nights"] += 1
                    quiet = True
                    break
            if quiet and number % 10 == 9 and self.ordinary_night() != 0:
                raise WrongError("a night after a night that ended well found something to do")
            self.check(sent, quiet)
        except WrongError as error:
            raise WrongError(f"push {number} ({words or 'no faults'}): {error}") from None

    def push_under(self, faults: dict[str, float], planned: int) -> str:
        """Push in a process of its own while the faults are on; what ended it."""
        how = self.chance.choices(("SIGKILL", "SIGTERM", "left alone"), (0.6, 0.1, 0.3))[0]
        after = self.sent() + self.chance.randrange(1, max(2, planned))
        expiring, editing = self.chance.random() < 0.3, self.chance.random() < 0.4
        self.platforms.set_faults(**faults, seed=self.chance.randrange(1_000_000))
        stop = threading.Event()
        person = threading.Thread(target=self.edit_by_hand, args=(stop,), daemon=True)
        if editing:
            self.counts["edited by hand meanwhile"] += 1
            person.start()
        process = self.pushes.begin(self.run)
        deadline = time.monotonic() + 12
        calm = False
        while not self.pushes.is_over():
            if expiring and self.sent() > after - 5:
                self.counts["tokens expired"] += 1
                expiring = False
                self.expire_tokens()
            if how != "left alone" and self.sent() >= after:
                os.kill(process, signal.SIGKILL if how == "SIGKILL" else signal.SIGTERM)
                break
            if not calm and time.monotonic() > deadline:  # a storm ends some time
                self.platforms.set_faults(**CALM)
                calm = True
            time.sleep(0.002)
        code = self.pushes.wait()
        stop.set()
        if editing:
            person.join()
        self.platforms.set_faults(**CALM)
        if code == 99:
            raise WrongError(f"the push broke: {(paths.var() / 'push.log').read_text()[-1500:]}")
        return how if code < 0 or how == "SIGTERM" else "left alone"

    def edit_by_hand(self, stop: threading.Event) -> None:
        """Somebody at the tenant's console changes names and switches of accounts that are ours."""
        chance = random.Random(self.chance.random())
        adapters = {name: configured.adapter(name, "by-hand") for name in self.targets}
        while not stop.wait(0.02):
            target = chance.choice(self.targets)
            ours = self.ours(target)
            if ours:
                remote_id = chance.choice(sorted(ours))
                self.by_hand.add((target, remote_id))
                new = chance.choice(self.edits(target))
                adapters[target].apply(
                    [
                        Change(
                            "by-hand",
                            target,
                            "users",
                            (ours[remote_id],),
                            "update",
                            remote_id,
                            {},
                            new,
                        )
                    ]
                )
        for adapter in adapters.values():
            adapter.close()

    # ------------------------------------------------------------ what must hold

    def ours(self, target: str) -> dict[str, str]:
        """Remote id -> key of the accounts that carry our key, from the platform's own memory."""
        users = dict(getattr(self.platforms, target).store["users"])
        keys = {remote_id: key_of(target, user) for remote_id, user in users.items()}
        return {remote_id: key for remote_id, key in keys.items() if key}

    def of_others(self) -> str:
        """Everything on both platforms that does not carry our key, as one text."""
        found = {}
        for target in TARGETS:
            tables = getattr(self.platforms, target).store.tables
            groups = {key: group for key, group in tables["groups"].items() if not group_key(group)}
            found[target] = {
                "users": {
                    key: user for key, user in tables["users"].items() if not key_of(target, user)
                },
                "groups": groups,
                "members": {key: tables["members"].get(key) for key in groups},
            }
        return json.dumps(found, sort_keys=True, default=str)

    def check(self, sent: int, quiet: bool) -> None:
        """Everything that must hold after the nights; raises Wrong."""
        for target in self.targets:
            ours = Counter(self.ours(target).values())
            twice = [key for key, count in ours.items() if count > 1]
            if twice:
                raise WrongError(f"{target}: key {twice[0]} stands on {ours[twice[0]]} accounts")
            if ours.keys() != self.district.people.keys():
                raise WrongError(
                    f"{target}: {len(ours)} accounts of ours, {len(self.district.people)} people"
                )
        if self.of_others() != self.unmanaged:
            raise WrongError("an object that is not ours was touched")
        if not quiet:
            last = {
                part["entity"]: part["planned"]
                for part in self.run.read("plan.json")["exports"]
                if part["planned"]
            }
            raise WrongError(
                f"{NIGHTS} ordinary nights did not make the platforms equal to the exports: {last}"
            )
        self.check_state()
        self.check_audit(sent)

    def check_state(self) -> None:
        """The platforms' own memory against the desired rows, field by field, not by way of our own
        reading of them.
        """
        google, microsoft = (
            self.platforms.google.store.tables,
            self.platforms.microsoft.store.tables,
        )
        wanted = self.district.rows()
        users = {key: user for user in google["users"].values() if (key := key_of("google", user))}
        for row in wanted["exp_google__users"]:
            user = users[row["person_id"]]
            there = (
                user["primaryEmail"],
                user["name"]["givenName"],
                user["name"]["familyName"],
                user["orgUnitPath"],
                user["suspended"],
            )
            if there != (
                row["primary_email"],
                row["given_name"],
                row["family_name"],
                row["org_unit_path"],
                row["suspended"],
            ):
                raise WrongError(f"google: account {row['person_id']} is not as desired")
        users = {
            key: user for user in microsoft["users"].values() if (key := key_of("microsoft", user))
        }
        for row in wanted["exp_microsoft__users"]:
            user = users[row["person_id"]]
            there = (
                user["userPrincipalName"],
                user["displayName"],
                user["givenName"],
                user["department"],
                user["accountEnabled"],
            )
            if there != (
                row["user_principal_name"],
                row["display_name"],
                row["given_name"],
                row["department"],
                row["account_enabled"],
            ):
                raise WrongError(f"microsoft: account {row['person_id']} is not as desired")
        products = {sku["skuId"]: sku["skuPartNumber"] for sku in microsoft["skus"].values()}
        held = {
            (key, products[one["skuId"]])
            for key, user in users.items()
            for one in user.get("assignedLicenses", [])
        }
        if held != {
            (row["person_id"], row["licence"]) for row in wanted["exp_microsoft__licences"]
        }:
            raise WrongError("microsoft: licences are not as desired")
        for sku in microsoft["skus"].values():
            if sku["consumedUnits"] != sum(licence == sku["skuPartNumber"] for _, licence in held):
                raise WrongError(
                    f"microsoft: {sku['consumedUnits']} seats of {sku['skuPartNumber']} are taken,"
                    " which is not how many hold it"
                )
        for target, tables in (("google", google), ("microsoft", microsoft)):
            keys = self.ours(target)
            groups = {
                remote_id: group_key(group)
                for remote_id, group in tables["groups"].items()
                if group_key(group)
            }
            there = {
                groups[g]: {keys[m] for m in members if m in keys}
                for g, members in tables["members"].items()
                if g in groups
            }
            there = {g: there.get(g, set()) for g in groups.values()}
            wrong = sorted(
                {*there, *self.district.groups}
                - {g for g in there if there[g] == self.district.groups.get(g)}
            )
            if wrong:
                wanted_here, found_here = (
                    self.district.groups.get(wrong[0], set()),
                    there.get(wrong[0], set()),
                )
                raise WrongError(
                    f"{target}: {len(wrong)} groups are not as desired, first {wrong[0]}:"
                    f" {'there' if wrong[0] in there else 'missing'}, without"
                    f" {sorted(wanted_here - found_here)}, with {sorted(found_here - wanted_here)}"
                )

    def check_audit(self, sent: int) -> None:
        """Nothing written unplanned, nothing called applied that was not asked for: the request log
        against the journals.
        """
        asked = {one for one in self.asked(sent) if one not in self.by_hand}
        with store.connect() as connection:
            rows = connection.execute(
                """
                select distinct planned.target, entity, key, action, coalesce(outcome.remote_id,
                planned.remote_id), outcome.status, outcome.note
                from ledger.audit.planned_changes as planned left
                join ledger.audit.outcomes as outcome using (change_id)
                where entity in ('users', 'groups') and change_id in (select unnest(?))""",
                [sorted(self.intended())],
            ).fetchall()
        known = {(target, remote_id) for target, _, _, _, remote_id, _, _ in rows if remote_id} | {
            (target, key) for target, _, key, *_ in rows
        }
        unplanned = asked - known
        if unplanned:
            raise WrongError(
                f"{len(unplanned)} objects were written without a line in the journal, first"
                f" {sorted(unplanned)[0]}"
            )
        names = asked | self.by_hand
        never = [
            (t, k)
            for t, _, k, _, remote_id, status, note in rows
            if status == "applied"
            and (t, k) not in names
            and (t, remote_id) not in names
            and "already" not in (note or "")
        ]
        if never:
            raise WrongError(
                f"{len(never)} changes are called applied and were never asked for, first"
                f" {never[0]}"
            )

    def intended(self) -> set[str]:
        """The ids of every change that was about to be written since the trial began."""
        found = set()
        for folder in self.folders:
            for path in folder.glob("journal/*.jsonl"):
                found |= {
                    json.loads(line)["change_id"]
                    for line in path.read_text(encoding="utf-8").splitlines()
                    if '"line":"intent"' in line
                }
        return found

    def close(self) -> None:
        self.pushes.close()


def key_of(target: str, user: Mapping[str, Any]) -> str | None:
    if target == "google":
        return (user.get("customSchemas") or {}).get("Homeroom", {}).get("person_id")
    return (user.get("onPremisesExtensionAttributes") or {}).get("extensionAttribute15")


def group_key(group: Mapping[str, Any]) -> str | None:
    ids = [
        one["id"] for one in group.get("externalIds") or [] if one.get("namespace") == "homeroom"
    ]
    return ids[0] if ids else group.get("uniqueName")


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def requested(log: Path, since: int) -> Iterator[tuple[str, str, str]]:
    """(platform, remote id or key, method) of every account or group the platforms were asked to
    write.
    """
    for line in log.read_text(encoding="utf-8").splitlines()[since:]:
        request = json.loads(line)
        url, method, body = request["url"].partition("?")[0], request["method"], request["body"]
        if url.endswith("/$batch"):
            for item in body["requests"]:
                yield from _graph(
                    item["method"], item["url"].partition("?")[0], item.get("body") or {}
                )
        elif method != "GET" and "/admin/directory/v1/" in url:
            parts = url.partition("/admin/directory/v1/")[2].split("/")
            if parts[0] == "users" and len(parts) == 1:
                yield "google", body["customSchemas"]["Homeroom"]["person_id"], method
            elif parts[0] == "groups" and len(parts) == 1:
                yield "google", group_key(body) or "", method
            elif parts[0] in ("users", "groups") and len(parts) == 2:
                yield "google", parts[1], method


def _graph(method: str, url: str, body: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    parts = url.strip("/").split("/")
    if method == "GET" or len(parts) > 2:
        return
    if parts[0].startswith("groups(uniqueName='"):
        yield "microsoft", parts[0].partition("'")[2].rpartition("'")[0], method
    elif parts == ["users"]:
        yield "microsoft", body["onPremisesExtensionAttributes"]["extensionAttribute15"], method
    elif parts[0] in ("users", "groups") and len(parts) == 2:
        yield "microsoft", parts[1], method


def run(
    pushes: int,
    seed: int,
    people: int = 40,
    say: Any = print,
    over: tuple[Callable[..., Any], type[Chaos]] = (running, Chaos),
) -> Counter[str]:
    """That many pushes in a folder of their own; what they met. Raises Wrong at the first that does
    not end well.
    """
    serve, trials = over
    with tempfile.TemporaryDirectory(prefix="homeroom-chaos-") as scratch:
        os.environ["HOMEROOM_VAR"] = str(Path(scratch) / "var")
        with serve(paths.var() / "demo") as platforms:
            chaos = trials(platforms, seed, people)
            try:
                for number in range(pushes):
                    started = time.monotonic()
                    chaos.trial(number)
                    say(
                        f"push {number + 1} of {pushes}: ended well after"
                        f" {time.monotonic() - started:.1f} s; so far {dict(chaos.counts)}"
                    )
            finally:
                chaos.close()
            return chaos.counts


if __name__ == "__main__":
    asked_for = [int(argument) for argument in sys.argv[1:]]
    met = run(asked_for[0] if asked_for else 200, asked_for[1] if len(asked_for) > 1 else 1)
    print(f"every push ended as desired; they met: {dict(met)}")
