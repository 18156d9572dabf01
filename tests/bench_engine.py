"""Bench of the engine: planning at the size of a large province and pushing at a platform's quota,
beside named floors.

Out: seconds of planning 600,000 users with 25 columns and 0.5 % changed beside the bare DuckDB full
join of the same tables in the same run, with the peak memory; seconds of planning 5 million
memberships; a push at a quota beside the quota's floor time, the estimate made before it, the share
of throttled calls, and write calls per changed record, on the emulated platforms.

Alone: part of `make bench`, or `python -m tests.bench engine [users memberships people]`.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table

from common import paths, store
from demo.platforms import running
from reverse_etl import applied, configured, exports, pacing
from reverse_etl import plan as planning
from reverse_etl import push as pushing
from reverse_etl.limits import Allowed
from reverse_etl.model import Export
from tests import chaos

COLUMNS = 25
EVERYTHING = Allowed.parse(chaos.EVERYTHING + ",first", "bench")


def measured(users: int, memberships: int) -> dict[str, float]:
    """Both planning figures, in a process of their own so that its memory is its own."""
    code = (
        "import json, sys; from tests import bench_engine;"
        " print(json.dumps(bench_engine.planning_figures(*map(int, sys.argv[1:]))))"
    )
    with tempfile.TemporaryDirectory(prefix="homeroom-bench-") as scratch:
        environment = os.environ | {"HOMEROOM_VAR": str(Path(scratch) / "var")}
        command = [sys.executable, "-c", code, str(users), str(memberships)]
        ended = subprocess.run(
            command, cwd=paths.root(), env=environment, capture_output=True, text=True, check=False
        )
        if ended.returncode:
            raise SystemExit(
                f"the bench of planning ended with {ended.returncode}:\n{ended.stderr[-3000:]}"
            )
        return json.loads(ended.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def planning_figures(users: int, memberships: int) -> dict[str, float]:
    """Make the tables, warm nothing, plan; seconds and megabytes."""
    figures: dict[str, float] = {}
    with tables(users, memberships) as found:
        for name, key in (("users", "person_id"), ("members", "group_id, person_id")):
            with store.connect() as connection:
                figures[f"{name}_join"] = bare_join(connection, name, key)
            with store.connect() as connection:
                started = time.monotonic()
                made = planning.build_plan(
                    connection, night(found, name), EVERYTHING, planning.Scope()
                )
                figures[name] = time.monotonic() - started
                figures[f"{name}_changes"] = sum(sum(part.planned.values()) for part in made.parts)
    figures["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return figures


def bare_join(connection: duckdb.DuckDBPyConnection, name: str, key: str) -> float:
    """Seconds of the full join of the same three tables with every column compared, and nothing
    else made of it.
    """
    columns = [
        c
        for c in applied.columns(connection, f"exports.exp_big__{name}")
        if c not in key.split(", ")
    ]
    on = " and ".join(f"d.{c} = o.{c}" for c in key.split(", "))
    on_applied = " and ".join(f"a.{c} = coalesce(d.{c}, o.{c})" for c in key.split(", "))
    differs = " or ".join(f"d.{c} is distinct from o.{c}" for c in columns) or "false"
    started = time.monotonic()
    connection.execute(
        f"""
        select count(*) from exports.exp_big__{name} as d full outer
        join staging.stg_big__{name} as o on {on}
        left join ledger.applied.big__{name} as a on {on_applied} where {differs}"""
    ).fetchall()
    return time.monotonic() - started


@contextmanager
def tables(users: int, memberships: int) -> Iterator[list[Export]]:
    """Desired, observed and applied tables; one in two hundred rows differs."""
    texts = [f"c{number}" for number in range(COLUMNS - 1)]
    values = ", ".join(f"'value {number} of ' || n as c{number}" for number in range(COLUMNS - 1))
    changed = "case when n % 200 = 0 then 'changed' else c0 end as c0"
    rest = ", ".join(texts[1:])
    with store.connect() as connection:
        connection.execute(applied.REGISTRY)
        for schema in ("exports", "staging", "raw_big"):
            connection.execute(f"create schema {schema}")
        connection.execute(
            "create table raw_big.users as select 'r' || n as remote_id, 'p' || n as person_id,"
            f" {values} from range({users}) as r(n)"
        )
        connection.execute("create view staging.stg_big__users as select * from raw_big.users")
        connection.execute(
            f"create table exports.exp_big__users as select person_id, {changed}, {rest} from"
            " (select *, cast(person_id[2:] as bigint) as n from raw_big.users)"
        )
        people = "'p' || cast(n // 8 as varchar)"
        connection.execute(
            "create table raw_big.members as select 'r' || n as remote_id, 'g' || (n % 20011) as"
            f" group_id, {people} as person_id, 'MEMBER' as role from range({memberships}) as r(n)"
        )
        connection.execute("create view staging.stg_big__members as select * from raw_big.members")
        connection.execute(
            "create table exports.exp_big__members as select group_id, person_id, case when rowid %"
            " 200 = 0 then 'OWNER' else role end as role from raw_big.members"
        )
    found = [
        export_of("users", ("person_id",), texts),
        export_of("members", ("group_id", "person_id"), ["role"]),
    ]
    with store.connect() as connection:
        for export in found:
            applied.ensure(connection, export)
            listed = ", ".join(
                (
                    *export.key,
                    *(column.name for column in export.columns if column.name not in export.key),
                )
            )
            key = planning.sql.key(export.key)
            connection.execute(
                f"insert into {applied.table('big', export.entity)} (_key, {listed}, run_id,"
                f" applied_at) select {key}, {listed}, 'before', now() from raw_big.{export.entity}"
            )
    yield found


def export_of(entity: str, key: tuple[str, ...], others: list[str]) -> Export:
    meta = {
        "target": "big",
        "entity": entity,
        "key": list(key),
        "on_absent": "remove" if entity == "members" else "ignore",
    }
    node = {
        "resource_type": "model",
        "name": f"exp_big__{entity}",
        "schema": "exports",
        "columns": {c: {"data_type": "varchar"} for c in (*key, *others)},
    }
    return exports.parsed(node, meta)


def night(found: list[Export], entity: str) -> planning.PlanInputs:
    good = tuple(export for export in found if export.entity == entity)
    return planning.PlanInputs(
        "bench",
        "2026-10-05",
        exports.Exports(good, (), ()),
        [],
        {"big": {"status": "ok", "observed_at": datetime.now(UTC).isoformat()}},
        lambda _: ("users", "members"),
        lambda _: 0.0,
    )


# ---------------------------------------------------------------- pushing


def push_figures(people: int) -> list[dict[str, Any]]:
    """Push the first night of so many people to each emulated platform at its production quota and
    100 ms latency, one after the other.
    """
    found = []
    for target in chaos.TARGETS:
        with tempfile.TemporaryDirectory(prefix="homeroom-bench-") as scratch:
            os.environ["HOMEROOM_VAR"] = str(Path(scratch) / "var")
            with running(
                paths.var() / "demo", speed=1.0, faults={"latency_seconds": 0.1}
            ) as platforms:
                found.append(_pushed(platforms, target, people))
    return found


def _pushed(platforms: Any, target: str, people: int) -> dict[str, Any]:
    bench = chaos.Chaos(platforms, 1, people)
    try:
        bench.new_night()
        bench.desire()
        bench.observe()
        with store.connect() as connection:
            made = planning.build_plan(
                connection, bench.night(), EVERYTHING, planning.Scope((target,))
            )
            bench.run.write("plan.json", planning.store(connection, made, bench.run.run_id))
        planned = sum(sum(part.planned.values()) for part in made.parts)
        adapter = configured.adapter(target, bench.run.run_id)
        rate = adapter.rate
        started = time.monotonic()
        pushing.push(bench.run, bench.night, lambda _: adapter)
        whole = time.monotonic() - started
    finally:
        bench.close()
    with store.connect() as connection:
        attempts, done, again, seconds = connection.execute(
            """
            select sum(attempts), count(*) filter (status = 'applied'), sum(attempts) - count(*),
            epoch(max(finished_at) - min(started_at))
            from ledger.audit.outcomes where run_id = ?""",
            [bench.run.run_id],
        ).fetchone()
    return {
        "target": target,
        "changes": planned,
        "applied": done,
        "seconds": seconds,
        "whole": whole,
        "floor": planned / rate,
        "estimate": pacing.seconds(planned, rate),
        "again": again / max(attempts, 1),
        "calls": adapter.write_calls / max(done, 1),
    }


def main(users: int = 600_000, memberships: int = 5_000_000, people: int = 1000) -> None:
    """Measure and print both tables."""
    console = Console(width=140)
    figures = measured(users, memberships)
    plans = Table(
        "planning",
        *(
            f"{name}"
            for name in ("rows", "changes", "seconds", "bare full join", "times", "peak MB of both")
        ),
        title="Plans",
    )
    for name, rows in (("users", users), ("members", memberships)):
        seconds, join = figures[name], figures[f"{name}_join"]
        plans.add_row(
            name,
            f"{rows:,}",
            f"{figures[f'{name}_changes']:,.0f}",
            f"{seconds:.1f}",
            f"{join:.1f}",
            f"{seconds / join:.1f}x",
            f"{figures['megabytes']:,.0f}",
        )
    console.print(plans)
    headings = (
        "target",
        "changes",
        "applied",
        "seconds of calls",
        "whole push",
        "quota's floor",
        "over it",
        "estimate",
        "off by",
        "again",
        "calls per change",
    )
    pushes = Table(*headings, title="Pushes")
    for one in push_figures(people):
        pushes.add_row(
            one["target"],
            f"{one['changes']:,}",
            f"{one['applied']:,}",
            f"{one['seconds']:.1f}",
            f"{one['whole']:.1f}",
            f"{one['floor']:.1f}",
            f"{one['seconds'] / one['floor'] - 1:+.1%}",
            f"{one['estimate']:.1f}",
            f"{one['seconds'] / one['estimate'] - 1:+.1%}",
            f"{one['again']:.2%}",
            f"{one['calls']:.3f}",
        )
    console.print(pushes)
