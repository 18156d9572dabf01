"""Build: run dbt over the warehouse and keep what it said with the run.

In: `raw_*` tables and the ledger. Out: staging, intake, core, identity, exports, audit; the run's
`dbt/manifest.json` and `dbt/run_results.json`, by which the planner knows which exports may be
trusted; findings for every seed that cannot be taken as it is, for every model or test that failed,
and for everything `audit.findings_tonight` says. Unit tests of the models are for `make test`.

Alone: `python -m operations build`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from common import findings, paths, settings, sql, store, versions
from common.runs import Run
from common.terminal import progress
from ingestion import tables as sources
from operations import failures as told
from operations import interventions, schedule, seeds, snapshots, unchanged
from operations.configured import Build
from reverse_etl import configured
from reverse_etl import observe as targets

REFERENCE = re.compile(r"""ref\(['"](\w+)['"]\)""")
FOR_TARGETS = "identity/rosters"  # what is made for whichever targets read it, and for nobody else
BESIDE_THE_BAR = 58  # columns of a bar of nodes before the name of the one under way
FAILED = ("error", "fail", "runtime error", "partial success")


def build(run: Run, select: str = "", *, only: str = "", full: bool = False) -> int:
    """Run `dbt build`; 0 when everything held, 3 when models or tests failed, 1 when dbt could not
    run at all. What is proved to be as it was is not built again (`unchanged`), unless `full`; what
    the exports of one target rest on is all that is looked at, where `only` names it.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner  # three seconds of imports that `--help` should not pay

    select = select or (schedule.NEEDED.format(only) if only else "")
    store.begin_night(run)
    sources.ensure_tables()
    targets.ensure_tables()
    _ensure_described()
    if not run.part:  # what is built again, one day, is a night
        snapshots.remember(run)
    wrong, unread, readable = seeds.trouble()
    findings.record(run, wrong)
    for finding in wrong:
        print(f"build: {finding.message}", file=sys.stderr)
    target = paths.var() / "target"
    (target / "run_results.json").unlink(missing_ok=True)
    _forget_elsewhere(target)
    if not readable:
        return 1
    arguments = [
        "build",
        "--exclude-resource-type",
        "unit_test",
        "--project-dir",
        str(paths.dbt_project()),
        "--profiles-dir",
        str(_profiles()),
        "--log-path",
        str(paths.var() / "logs"),
        "--no-write-json",  # dbt does it twice and slowly
        "--log-level",
        "none",
        "--no-use-colors",
    ]
    # dbt's debug log costs a fifth of a night; who builds a selection is looking for something and
    # gets it
    arguments += ["--select", *select.split()] if select else ["--log-level-file", "none"]
    project = _fingerprint()
    as_noted = _built_from() == project
    if not as_noted:
        # what is built from here on, be it a selection, is of another project, also once the edit
        # is taken back
        _built_from("")
    world = _world()
    before, whole, whole_on = _before(run, select, world, full=full)
    without: list[str] = []
    if unread:
        without += [f"{name}+" for name in unread]
    elif (
        as_noted and not select and not whole
    ):  # seeds and staging views are as they were made: only what rests on data is built
        without += ["resource_type:seed", "fqn:staging"]
        arguments += ["--indirect-selection", "cautious"]
    if not select:
        unused = _unused()
        # by name: dbt looks for the files of each path at every node it has
        without += [f"fqn:{_room(room)}" for room in unused]
        _drop(unused)
    if without:
        arguments += ["--exclude", *without]
    watch = unchanged.Watch(before, configured.off())
    with (
        _inside(paths.var(), DBT_TARGET_PATH=str(target), **seeds.environment()),
        unchanged.watching(watch),
    ):
        with _shown() as show:
            outcome = dbtRunner(callbacks=[show]).invoke(arguments)
    # else it holds the warehouse until this process ends
    DuckDBConnectionManager.close_all_connections()
    results = [] if outcome.result is None else list(getattr(outcome.result, "results", []))
    if not results:
        reason = told.without(str(outcome.exception or "dbt gave no result"))
        findings.record(run, [findings.Finding("build_impossible", {"why": reason})])
        print(f"build: dbt could not run: {reason}", file=sys.stderr)
        _in_lines(str(outcome.exception or ""))
        return 1
    _write_documents(run, target, watch.manifest, outcome.result)
    broken = [result for result in results if str(result.status) in FAILED]
    failures = [told.finding(result) for result in broken]
    unchanged.leave(watch.nodes, world, whole_on)
    findings.record(run, failures)
    findings.record(run, _from_models())
    snapshots.record(run)
    if not select and not failures and not wrong:
        _built_from(project)
    for result, failure in zip(broken, failures, strict=True):
        print(f"build: {failure.message}", file=sys.stderr)
        _in_lines(str(result.message or ""))
    counts = {
        kind: sum(1 for result in results if result.node.resource_type == kind)
        for kind in ("seed", "model", "test")
    }
    print(
        f"build: {counts['seed']} seeds, {counts['model']} models, {counts['test']} tests,"
        f" {len(failures)} failed; {len(watch.unchanged)} as they were"
    )
    if only:
        built = {result.node.unique_id for result in results}
        left = sum(
            node.resource_type == "model" and name not in built
            for name, node in watch.manifest.nodes.items()
        )
        print(
            f"build: for {only} alone; left out are {left} models it does not rest on, which are"
            ' as the build before left them: "make build" builds them too'
        )
    return 3 if failures or wrong else 0


@contextmanager
def _shown() -> Iterator[Callable[[Any], None]]:
    """What dbt is to call with everything it does: a bar of its nodes where somebody looks on."""
    bars = progress()
    if bars is None:
        yield lambda _: None
        return
    with bars:
        task = bars.add_task("build", total=None, words="reading the project")

        def show(told: Any) -> None:
            if told.info.name == "LogStartLine":
                here = told.data
                words = here.node_info.node_name[: max(0, bars.console.width - BESIDE_THE_BAR)]
                bars.update(task, completed=here.index - 1, total=here.total, words=words)
            elif told.info.name == "FinishedRunningStats":
                bars.update(task, completed=bars.tasks[task].total, words="")

        yield show


def _forget_elsewhere(target: Path) -> None:
    """What dbt keeps of a project says where its seeds lie: of one that was built from another
    folder it would go on reading those there.
    """
    here = target / "project.txt"
    if here.is_file() and here.read_text(encoding="utf-8") != str(paths.project()):
        (target / "partial_parse.msgpack").unlink(missing_ok=True)
    target.mkdir(parents=True, exist_ok=True)
    here.write_text(str(paths.project()), encoding="utf-8")


def _in_lines(said: str) -> None:
    """What dbt says of a file reads as it stands there."""
    for line in told.spread(said).splitlines():
        print(f"    {line}", file=sys.stderr)


def _unused() -> list[Path]:
    """The rooms of which nothing is built tonight: of targets that are off, and what is there for
    targets alone, where no model and no test elsewhere reads a table of them. What others read of
    a target that is off is built without a row (`macros/materializations.sql`).
    """
    models = paths.project() / "models"
    rooms = {models / "exports" / name for name in configured.off()} | {models / FOR_TARGETS}
    unused = {room for room in rooms if room.is_dir()}
    home = {file.stem: room for room in unused for file in room.glob("*.sql")}
    readers = [
        (file.parent, {home[name] for name in found if name in home} - {file.parent})
        for room in (models, paths.project() / "tests" / "dbt")
        for file in room.rglob("*.sql")
        for found in [REFERENCE.findall(file.read_text(encoding="utf-8"))]
    ]
    while (
        used := {one for reader, read in readers if reader not in unused for one in read} & unused
    ):
        unused -= used
    return sorted(unused)


def _room(folder: Path) -> str:
    """`exports.crm`: what the names of its models and their tests begin with."""
    return ".".join(folder.relative_to(paths.project() / "models").parts)


def _drop(rooms: Sequence[Path]) -> None:
    """What was built before a target was switched off stands no longer: it would go stale."""
    with store.connect() as connection:
        there = connection.execute(
            "select table_schema, table_name from information_schema.tables"
            " where table_schema in ('exports', 'identity') and table_catalog = current_database()"
        ).fetchall()
        gone = {file.stem for room in rooms for file in room.glob("*.sql")}
        for schema, name in there:
            if name in gone:
                connection.execute(f"drop table {sql.name(schema, name)}")


def _write_documents(run: Run, target: Path, manifest: Any, result: Any) -> None:
    """What dbt would have written: its manifest and the results, beside each other and with the
    run.
    """
    from dbt.artifacts.schemas.run import RunResultsArtifact
    from dbt_common.utils.encoding import JSONEncoder

    results = RunResultsArtifact.from_execution_results(
        results=result.results,
        elapsed_time=result.elapsed_time,
        generated_at=result.generated_at,
        args=result.args,
    )
    folder = run.folder / "dbt"
    folder.mkdir(exist_ok=True)
    for name, document in (
        ("manifest.json", manifest.writable_manifest().to_dict(omit_none=False)),
        ("run_results.json", results.to_dict(omit_none=False)),
    ):
        (target / name).write_text(json.dumps(document, cls=JSONEncoder), encoding="utf-8")
        shutil.copyfile(target / name, folder / name)


def _before(
    run: Run, select: str, world: str, *, full: bool
) -> tuple[dict[str, unchanged.Built], bool, str]:
    """What the build before left, whether everything is built all the same, and the day of the last
    build that did. It is on the first, after another one was killed or found another world, and
    when the last one is `[build] whole_after_days` ago; a selection is never the whole.
    """
    left, of_world, whole_on = unchanged.known()
    if world != of_world:
        left, whole_on = {}, ""
    if select:
        return ({} if full else left), full, whole_on
    days = settings.read_what_can_be(Build, "build")[0].whole_after_days
    past = run.as_of.toordinal() - date.fromisoformat(whole_on).toordinal() if whole_on else days
    if full or not 0 <= past < days:
        return {}, True, run.as_of.isoformat()
    return left, False, whole_on


def _world() -> str:
    """What models rest on beside the project and the rows: this program's code, dbt and DuckDB, and
    which backup was put back last.
    """
    total = hashlib.sha256(versions.PROGRAM.encode())
    for name in ("dbt-core", "dbt-duckdb", "duckdb"):
        total.update(version(name).encode())
    for room in ("common", "ingestion", "operations", "reverse_etl"):
        for file in sorted((paths.root() / room).rglob("*.py")):
            total.update(file.read_bytes())
    restored = [line["happened_at"] for line in interventions.lines() if line["what"] == "restored"]
    total.update(str(restored[-1:]).encode())
    return total.hexdigest()


def _ensure_described() -> None:
    """Make the empty raw tables of targets that seeds speak of and settings do not: their staging
    views then hold nobody, and everything else is built.
    """
    said = seeds.told().get("targets", {})
    with store.connect() as connection:
        for target in sorted({one for some in said.values() for one in some}):
            file = paths.project() / "models" / "staging" / target / "_sources.yml"
            described = _yaml(file) if file.is_file() else {}
            for source in described.get("sources", []):
                connection.execute(f"create schema if not exists {sql.name(source['schema'])}")
                for table in source["tables"]:
                    columns = [*(column["name"] for column in table["columns"]), "_json"]
                    relation = f"{sql.name(source['schema'])}.{sql.name(table['name'])}"
                    connection.execute(
                        f"create table if not exists {relation}"
                        f" ({', '.join(f'{sql.name(column)} varchar' for column in columns)},"
                        " _observed_at timestamptz, _dlt_load_id varchar)"
                    )


def _yaml(file: Path) -> Any:
    return yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)


def _profiles() -> Path:
    """Where profiles.yml is: the project's own, else the house's."""
    return next(
        folder
        for folder in (paths.dbt_project(), paths.root())
        if (folder / "profiles.yml").is_file()
    )


def _fingerprint() -> str:
    """One hash over everything the models are made of: SQL, YAML, seeds, macros, tests, which
    targets there are, and dbt's own version.
    """
    total = hashlib.sha256(version("dbt-core").encode())
    total.update(json.dumps(seeds.environment()).encode())
    files = [
        file
        for room in ("models", "seeds", "macros", "tests/dbt")
        for file in sorted((paths.project() / room).rglob("*"))
        if file.is_file()
    ]
    named = [paths.dbt_project() / "dbt_project.yml", _profiles() / "profiles.yml"]
    named += [paths.root() / "common" / name for name in ("problems.csv", "problems.yml")]
    for file in [*files, *named]:
        total.update(f"\n{os.path.relpath(file, paths.project())}\n".encode())
        total.update(file.read_bytes())
    return total.hexdigest()


def _built_from(project: str | None = None) -> str:
    """The project this warehouse was last built from as a whole without a failure, '' if none;
    `project` is noted instead.
    """
    with store.connect() as connection:
        connection.execute("create table if not exists raw_homeroom.project (fingerprint text)")
        if project is not None:
            connection.execute("delete from raw_homeroom.project")
            connection.execute("insert into raw_homeroom.project values (?)", [project])
        found = connection.execute("select fingerprint from raw_homeroom.project").fetchone()
    return found[0] if found else ""


@contextmanager
def _inside(var: Path, **environment: str) -> Iterator[None]:
    """Work in the state folder and call it `.`: dbt parses everything anew when an address in its
    profile changes, and that way a state folder that is copied or moved keeps its parsed project.
    """
    before = dict(os.environ)
    os.environ.update(environment, HOMEROOM_VAR=".")
    try:
        with chdir(var):
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _from_models() -> list[findings.Finding]:
    """What the models themselves found: the rows of audit.findings_tonight."""
    with store.connect(read_only=True) as connection:
        there = connection.execute(
            "select 1 from information_schema.tables where table_schema = 'audit' and table_name ="
            " 'findings_tonight'"
        ).fetchone()
        if not there:
            return []
        cursor = connection.execute(
            f"select code, values, source, target, entity, {findings.PARTITION}, key, file, line,"
            ' column_name as "column", owner from audit.findings_tonight order by level, code, key'
        )
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        return [
            findings.Finding(
                **{name: value for name, value in row.items() if value is not None}
                | {"values": json.loads(row["values"])}
            )
            for row in rows
        ]
