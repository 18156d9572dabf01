"""A bench for the engine: a small platform with real state, an adapter that speaks to it, a
hand-made warehouse.

The platform's state may live in a file, so that a test can kill the process that writes to it.
Exports are tables made from Python rows; manifest and run results say about them what dbt would
say.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from ledger_kit import ROLES, speak

from common import store
from common.runs import Run
from reverse_etl import causes, exports, file_rows, settle
from reverse_etl import observe as observing
from reverse_etl import plan as planning
from reverse_etl import push as pushing
from reverse_etl import verify as verifying
from reverse_etl.limits import Allowed
from reverse_etl.model import Change, Delivery, Outcome, Rendered
from reverse_etl.undo import Undo

KEYS = {
    "org_units": ("org_unit_path",),
    "users": ("person_id",),
    "groups": ("group_id",),
    "members": ("group_id", "person_id"),
}
FIELDS = {
    "org_units": ("org_unit_path", "name"),
    "users": (
        "person_id",
        "primary_email",
        "given_name",
        "org_unit_path",
        "suspended",
        "usage_location",
        "nickname",
    ),
    "groups": ("group_id", "email", "name"),
    "members": ("group_id", "person_id", "role"),
}


class Platform:
    """Objects by remote id. Refuses a second object with the same key unless `allows_twins`, as
    some directories do.
    """

    def __init__(self, file: Path | None = None, allows_twins: bool = False) -> None:
        self.file, self.allows_twins = file, allows_twins
        self.objects: dict[str, dict[str, dict[str, Any]]] = {entity: {} for entity in FIELDS}
        self.deleted: dict[str, dict[str, Any]] = {}  # users, by remote id
        self.calls: list[tuple[str, str, str]] = []  # (entity, action, key)
        self.lock = threading.Lock()
        if file is not None and file.is_file():
            self.objects = json.loads(file.read_text())

    def put(self, entity: str, row: Mapping[str, Any]) -> str:
        """A row that is there before the engine comes, or that somebody changes by hand."""
        remote_id = f"{entity}-{len(self.objects[entity]) + 1}-{time.monotonic_ns()}"
        self.objects[entity][remote_id] = dict.fromkeys(FIELDS[entity]) | dict(row)
        return remote_id

    def rows(self, entity: str) -> list[dict[str, Any]]:
        return sorted(
            self.objects[entity].values(),
            key=lambda row: [str(row[column]) for column in KEYS[entity]],
        )

    def by_key(self, entity: str, key: Sequence[str]) -> list[str]:
        return [
            r
            for r, row in self.objects[entity].items()
            if tuple(row[c] for c in KEYS[entity]) == tuple(key)
        ]

    def do(self, change: Change) -> Outcome:
        with self.lock, self._exclusive():
            self.calls.append((change.entity, change.action, "|".join(change.key)))
            there = self.by_key(change.entity, change.key)
            if change.action == "adopt" and change.remote_id in self.objects[change.entity]:
                there = [change.remote_id]
            match change.action:
                case "create":
                    if there and not self.allows_twins:
                        return Outcome(change.change_id, "applied", 409, "duplicate", there[0])
                    if change.entity == "members" and set(change.references) != {
                        "group_id",
                        "person_id",
                    }:
                        return Outcome(change.change_id, "failed", 400, "no_reference")
                    remote_id = self.put(change.entity, change.new)
                    return Outcome(
                        change.change_id,
                        "applied",
                        201,
                        remote_id=remote_id,
                        request_id=f"r{len(self.calls)}",
                    )
                case "remove" | "delete":
                    for remote_id in there:
                        self.deleted[remote_id] = self.objects[change.entity].pop(remote_id)
                    return Outcome(change.change_id, "applied", 204, "" if there else "not_found")
                case "undelete":
                    if change.remote_id not in self.deleted:
                        return Outcome(change.change_id, "failed", 404, "not_found")
                    self.objects[change.entity][change.remote_id] = self.deleted.pop(
                        change.remote_id
                    )
                    return Outcome(change.change_id, "applied", 204, remote_id=change.remote_id)
                case _:
                    if not there:
                        return Outcome(change.change_id, "failed", 404, "not_found")
                    self.objects[change.entity][there[0]].update(change.new)
                    return Outcome(change.change_id, "applied", 200, remote_id=there[0])

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        if self.file is None:
            yield
            return
        with self.file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self.file.is_file():
                self.objects = json.loads(self.file.read_text())
            yield
            part = self.file.with_suffix(".part")
            part.write_text(json.dumps(self.objects))
            part.replace(self.file)
            with self.file.with_suffix(".calls").open("a") as calls:
                calls.write(json.dumps(self.calls[-1]) + "\n")


class FakeTarget:
    """The adapter of a Platform. `faults` is asked first and may answer instead (None: go on)."""

    entities = ("org_units", "users", "groups", "members")
    raw_columns: Mapping[str, tuple[str, ...]] = {
        **{entity: ("remote_id", *columns) for entity, columns in FIELDS.items()},
        "names_taken": ("address", "kind", "remote_id", "person_id"),
    }
    batch, threads, rate = 1, 8, 100_000.0
    lasting: Mapping[str, str] = {"org_units": "units stay"}
    restorable: Mapping[str, int] = {"users": 20}

    def __init__(
        self,
        platform: Platform,
        faults: Callable[[Change], Outcome | None] | None = None,
        delay: float = 0.0,
    ) -> None:
        self.platform, self.faults, self.delay = platform, faults, delay
        self.write_calls = self.read_calls = 0
        self.found: list[str] = []

    def observe(self, entity: str) -> Iterator[pa.RecordBatch]:
        self.read_calls += 1
        if entity == "names_taken":
            return
        rows = [
            {"remote_id": r, **{c: _text(v) for c, v in row.items()}, "_json": json.dumps(row)}
            for r, row in self.platform.objects[entity].items()
        ]
        if rows:
            yield pa.RecordBatch.from_pylist(
                rows,
                schema=pa.schema([(c, pa.string()) for c in (*self.raw_columns[entity], "_json")]),
            )

    def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        self.write_calls += len(changes)
        time.sleep(self.delay)
        return [
            (self.faults(change) if self.faults else None) or self.platform.do(change)
            for change in changes
        ]

    def find(self, change: Change) -> str | None:
        self.found.append("|".join(change.key))
        return next(iter(self.platform.by_key(change.entity, change.key)), None)

    def order(self, change: Change) -> int:
        return change.key[0].count("/") if change.entity == "org_units" else 0

    def check_connection(self) -> str:
        return "it is here"

    def close(self) -> None:
        """Nothing is open."""


class FakeFolder:
    """A file target whose vendor's folder is a local one."""

    entities: tuple[str, ...] = ()
    raw_columns: Mapping[str, tuple[str, ...]] = {}
    batch, threads, rate = 1, 1, 1000.0

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write_calls = self.read_calls = 0
        self.broken = False

    def render(self, connection: duckdb.DuckDBPyConnection, delivery: Delivery) -> Rendered:
        lines: list[str] = []
        for name, export in delivery.members:
            rows = file_rows.Cells(export, export.file).rows(connection, delivery.part(name))
            lines += [f"{name}:" + ",".join(map(str, row)) for row in rows]
        delivery.path.write_text("\n".join(lines))
        return Rendered(str(delivery.path), len(lines), delivery.path.stat().st_size, "0" * 64)

    def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        self.write_calls += 1
        if self.broken:
            return [Outcome(change.change_id, "failed", reason="refused") for change in changes]
        for change in changes:
            (self.folder / change.key[0]).write_text(Path(change.new["path"]).read_text())
        return [
            Outcome(change.change_id, "applied", remote_id=change.key[0], note="delivered")
            for change in changes
        ]

    def find(self, change: Change) -> str | None:
        return change.key[0] if (self.folder / change.key[0]).is_file() else None

    def observe(self, entity: str) -> Iterator[pa.RecordBatch]:
        return iter(())

    def order(self, change: Change) -> int:
        return 0

    def check_connection(self) -> str:
        return "it is here"

    def close(self) -> None:
        """Nothing is open."""


def _text(value: Any) -> str | None:
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


@dataclass
class Model:
    """One export as a test writes it."""

    entity: str
    columns: Mapping[str, str]  # name -> type
    meta: Mapping[str, Any]
    owners: Mapping[str, str] = field(default_factory=dict)
    metas: Mapping[str, Mapping[str, Any]] = field(
        default_factory=dict
    )  # column -> what its meta says besides the owner
    target: str = "fake"
    feeds: Sequence[str] = ()  # feeds of source myedbc it is made from
    # a part of what is read -> its feed of source myedbc
    parts: Mapping[str, str] = field(default_factory=dict)
    code: str = "select 1"
    status: str = "success"
    tests: Mapping[str, str] = field(default_factory=dict)  # name -> status
    signed: bool = True  # whether it has the test that its personal data is signed for

    @property
    def name(self) -> str:
        return f"exp_{self.target}__{self.entity}"


NO_LIMITS = {
    **dict.fromkeys(
        ("adopt", "create", "update", "rename", "suspend", "restore", "remove", "delete"), 1_000_000
    ),
    "per_partition": dict.fromkeys(("suspend", "remove", "delete"), 1_000_000),
}

USERS = Model(
    "users",
    {
        "person_id": "varchar",
        "primary_email": "varchar",
        "given_name": "varchar",
        "org_unit_path": "varchar",
        "suspended": "boolean",
        "usage_location": "varchar",
        "nickname": "varchar",
        "school_number": "varchar",
        "source": "varchar",
    },
    {
        "key": ["person_id"],
        "context": ["school_number", "source"],
        "subject": "person_id",
        "partition": "school_number",
        "limits": NO_LIMITS,
    },
    {"usage_location": "initial", "nickname": "theirs"},
)
GROUPS = Model(
    "groups",
    {"group_id": "varchar", "email": "varchar", "name": "varchar"},
    {"key": ["group_id"], "on_absent": "delete", "when_empty": "write", "limits": NO_LIMITS},
)
MEMBERS = Model(
    "members",
    {"group_id": "varchar", "person_id": "varchar", "role": "varchar", "school_number": "varchar"},
    {
        "key": ["group_id", "person_id"],
        "on_absent": "remove",
        "when_empty": "write",
        "context": ["school_number"],
        "subject": "person_id",
        "partition": "school_number",
        "references": {"group_id": "groups", "person_id": "users"},
        "limits": NO_LIMITS,
    },
)


def user(number: int, **values: Any) -> dict[str, Any]:
    return {
        "person_id": f"p{number}",
        "primary_email": f"u{number}@x.example",
        "given_name": f"G{number}",
        "org_unit_path": "/A",
        "suspended": False,
        "usage_location": "CA",
        "nickname": None,
        "school_number": "07474001",
        "source": f"students.csv:{number}",
        **values,
    }


class Bench:
    """One district's state folder with what a night needs, and the verbs of the engine over it."""

    def __init__(
        self, var: Path, models: Sequence[Model] = (USERS,), platform: Platform | None = None
    ) -> None:
        os.environ["HOMEROOM_VAR"] = str(var)
        self.models = list(models)
        self.platform = platform or Platform()
        self.target = FakeTarget(self.platform)
        self.folder: FakeFolder | None = None
        self.feeds: list[dict[str, Any]] = []
        self.run = Run.open("test")
        self._views()

    # ------------------------------------------------------------ what is desired

    def desire(self, **rows: Sequence[Mapping[str, Any]]) -> None:
        """Make the export tables hold exactly these rows; entities not named keep theirs (or are
        made empty).
        """
        with store.connect() as connection:
            connection.execute("create schema if not exists exports")
            for model in self.models:
                listed = ", ".join(f'"{name}" {kind}' for name, kind in model.columns.items())
                if model.entity in rows:
                    connection.execute(f'create or replace table exports."{model.name}" ({listed})')
                    schema = pa.schema(
                        [
                            (name, pa.bool_() if kind == "boolean" else pa.string())
                            for name, kind in model.columns.items()
                        ]
                    )
                    connection.register(
                        "rows",
                        pa.Table.from_pylist([dict(row) for row in rows[model.entity]], schema),
                    )
                    connection.execute(f'insert into exports."{model.name}" select * from rows')
                    connection.unregister("rows")
                else:
                    connection.execute(
                        f'create table if not exists exports."{model.name}" ({listed})'
                    )
        self.build()

    def build(self) -> None:
        """What dbt would say about these exports in this run."""
        (self.run.folder / "dbt").mkdir(exist_ok=True)
        self.run.write("dbt/manifest.json", manifest(self.models))
        self.run.write("dbt/run_results.json", results(self.models))

    # ------------------------------------------------------------ the verbs

    def new_night(self) -> None:
        self.run.finish(0)
        self.run = Run.open("test")
        self.build()

    def observe(self) -> int:
        return observing.observe(self.run, ["fake"], lambda _: self.target)

    def night(self, undoes: str = "") -> planning.PlanInputs:
        undone = undoes or self.run.read("plan.json", {}).get("undoes", "")
        undo = Undo.of(undone, {"fake": self.target}) if undone else None
        return planning.PlanInputs(
            self.run.run_id,
            self.run.as_of.isoformat(),
            exports.load(self.run),
            self.feeds,
            self.run.read("observed.json", {}),
            lambda target: () if target == "folder" else FakeTarget.entities,
            settle.last_written,
            undo,
            before=causes.before(self.run.run_id),
        )

    def plan(
        self, allow: str = "", why: str = "", scope: planning.Scope | None = None
    ) -> dict[str, Any]:
        with store.connect() as connection:
            settle.settle(connection)
            made = planning.build_plan(
                connection, self.night(), Allowed.parse(allow, why), scope or planning.Scope()
            )
            document = planning.store(connection, made, self.run.run_id)
        self.run.write("plan.json", document)
        return document

    def push(self, look: bool = False) -> int:
        return pushing.push(
            self.run, self.night, self._adapter, look=(lambda _: self.observe()) if look else None
        )

    def verify(self, level: float = 1.0) -> int:
        return verifying.verify(
            self.run, self.night, lambda _: self.observe(), pauses=(), level=lambda _: level
        )

    def undo(self, run_id: str, allow: str = "", why: str = "") -> dict[str, Any]:
        """Plan, in a new run, how another is taken back."""
        self.new_night()
        self.observe()
        with store.connect() as connection:
            settle.settle(connection)
            made = planning.build_plan(
                connection, self.night(run_id), Allowed.parse(allow, why), planning.Scope()
            )
            document = planning.store(connection, made, self.run.run_id)
        self.run.write("plan.json", document)
        return document

    def whole_night(self, allow: str = "", why: str = "") -> int:
        """Observe, plan, push, in a new run; returns the exit code of the push."""
        self.new_night()
        self.observe()
        self.plan(allow, why)
        return self.push()

    def _adapter(self, target: str) -> Any:
        if target == "folder":
            assert self.folder is not None
            return self.folder
        return self.target

    # ------------------------------------------------------------ what is

    def ask(self, query: str, *values: Any) -> list[tuple]:
        with store.connect() as connection:
            speak(connection)
            return connection.execute(query, list(values)).fetchall()

    def changes(self, plan: Mapping[str, Any]) -> list[tuple]:
        """(entity, action, key, new, reason, held) of a plan, in order."""
        rows = self.ask(
            """select entity, action, key, cast(new as varchar), said(reason), hold is not null
                           from ledger.audit.planned_changes where plan_id = ? order by seq""",
            plan["plan_id"],
        )
        return [
            (entity, action, key, json.loads(new), reason, held)
            for entity, action, key, new, reason, held in rows
        ]

    def _views(self) -> None:
        """Staging as dbt would make it: the export's columns, typed, of rows that carry our key."""
        observing.ensure_tables({"fake": self.target})
        with store.connect() as connection:
            connection.execute("create schema if not exists staging")
            for entity, columns in FIELDS.items():
                listed = ", ".join(
                    f"cast({c} as {'boolean' if c == 'suspended' else 'varchar'}) as {c}"
                    for c in columns
                )
                connection.execute(
                    f"create or replace view staging.stg_fake__{entity} as select remote_id,"
                    f" {listed} from raw_fake.{entity} where {KEYS[entity][-1]} is not null"
                )
                connection.execute(
                    f"create or replace view staging.stg_fake__orphan_{entity} as select"
                    f" remote_id, {listed} from raw_fake.{entity} where {KEYS[entity][-1]} is null"
                )


def tests_of(model: Model) -> dict[str, str]:
    return {
        **({f"personal_data_is_signed_{model.name}_": "pass"} if model.signed else {}),
        **model.tests,
    }


def manifest(models: Sequence[Model]) -> dict[str, Any]:
    """As much of a dbt manifest as the engine reads."""
    nodes: dict[str, Any] = {
        "seed.homeroom.privacy_register": {"resource_type": "seed", "name": "privacy_register"}
    }
    parents: dict[str, list[str]] = {}
    sources: dict[str, Any] = {}
    for model in models:
        unique_id = f"model.homeroom.{model.name}"
        nodes[unique_id] = {
            "resource_type": "model",
            "name": model.name,
            "schema": "exports",
            "alias": model.name,
            "raw_code": model.code,
            "patch_path": f"homeroom://models/{model.name}.yml",
            "config": {
                "meta": {"export": {"target": model.target, "entity": model.entity, **model.meta}}
            },
            "columns": {
                c: {
                    "name": c,
                    "data_type": t,
                    "config": {
                        "meta": {**ROLES.get(c, {}), **model.metas.get(c, {}), **_owner(model, c)}
                    },
                }
                for c, t in model.columns.items()
            },
        }
        parents[unique_id] = [f"model.homeroom.core_of_{model.name}"]
        parents[f"model.homeroom.core_of_{model.name}"] = [
            f"source.homeroom.myedbc.{feed}" for feed in model.feeds
        ]
        for part, feed in model.parts.items():
            of_part = f"model.homeroom.{part}_of_{model.name}"
            nodes[of_part] = {
                "resource_type": "model",
                "name": f"{part}_of_{model.name}",
                "config": {"meta": {"rests": {"part": part}}},
            }
            parents[unique_id].append(of_part)
            parents[of_part] = [f"source.homeroom.myedbc.{feed}"]
        for feed in [*model.feeds, *model.parts.values()]:
            sources[f"source.homeroom.myedbc.{feed}"] = {
                "schema": "raw_myedbc",
                "name": feed,
                "identifier": feed,
            }
        for test in tests_of(model):
            nodes[f"test.homeroom.{test}.1"] = {
                "resource_type": "test",
                "name": test,
                "attached_node": unique_id,
                "depends_on": {"nodes": [unique_id]},
            }
    return {"nodes": nodes, "sources": sources, "parent_map": parents}


def _owner(model: Model, column: str) -> dict[str, str]:
    return {"owner": model.owners[column]} if column in model.owners else {}


def results(models: Sequence[Model]) -> dict[str, Any]:
    said = [
        {"unique_id": f"model.homeroom.{model.name}", "status": model.status} for model in models
    ]
    said += [
        {"unique_id": f"test.homeroom.{test}.1", "status": status}
        for model in models
        for test, status in tests_of(model).items()
    ]
    return {"metadata": {"generated_at": datetime.now(UTC).isoformat()}, "results": said}
