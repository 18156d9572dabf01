"""Room on the disk, what is published for people, what the databases say when they cannot be
opened.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest

from common import disk_reserve, lock, paths, store
from common.runs import Run
from operations import failures, preflight, publish


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("HOMEROOM_AS_OF", "2026-10-05")
    monkeypatch.setattr(store, "WAIT_SECONDS", 0.3)
    return paths.var()


# ---------------------------------------------------------------- preflight


def free(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _: SimpleNamespace(free=number))


def test_a_night_needs_its_databases_again_and_five_hundred_megabytes(monkeypatch, var):
    paths.published().parent.mkdir()
    for path, size in (
        (paths.warehouse(), 30_000_000),
        (paths.ledger(), 2_000_000),
        (paths.published(), 1_000_000),
    ):
        path.write_bytes(bytes(size))
    free(monkeypatch, 533_000_000)
    assert preflight.shortage() == {}
    free(monkeypatch, 532_999_999)
    assert preflight.shortage() == {"var": str(var), "free": 533, "needed": 533}
    free(monkeypatch, 100_000_000)
    assert preflight.shortage() == {"var": str(var), "free": 100, "needed": 533}
    monkeypatch.setenv("NIGHT__FREE_MEGABYTES", "67")
    assert preflight.shortage() == {}
    monkeypatch.setenv("NIGHT__FREE_MEGABYTES", "68")
    assert preflight.shortage() != {}


def test_a_disk_is_full_when_the_ballast_itself_would_not_fit(monkeypatch):
    free(monkeypatch, 8 << 20)
    assert not preflight.is_full()
    free(monkeypatch, (8 << 20) - 1)
    assert preflight.is_full()


def test_what_is_removed_to_make_room_is_ours_and_can_be_made_again(monkeypatch, var):
    monkeypatch.setattr(disk_reserve, "MEGABYTES", 1)
    disk_reserve.lay()
    disk_reserve.lay()
    assert disk_reserve.path().stat().st_size == 1 << 20
    kept = [
        var / name
        for name in (
            "archive/a.gz",
            "runs/r/run.json",
            "published/warehouse.duckdb",
            "inbox/drop.csv",
            "ledger.duckdb",
            "backups/b",
        )
    ]
    gone = [
        var / name
        for name in (
            "tmp/spill",
            "published/.next/warehouse.duckdb",
            "replay/2026/warehouse.duckdb",
            "inbox/.fetched/sis/a",
        )
    ]
    for number, path in enumerate((*kept, *gone)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(100 + number))
    assert preflight.make() == (1 << 20) + sum(106 + number for number in range(4))
    assert [path.exists() for path in (*kept, *gone, disk_reserve.path())] == [True] * 6 + [
        False
    ] * 5
    assert preflight.make() == 0
    assert not disk_reserve.drop()


def test_links_are_not_followed_when_bytes_are_counted(var):
    (var / "a").mkdir()
    (var / "a" / "real").write_bytes(bytes(5000))
    (var / "elsewhere").write_bytes(bytes(90_000))
    (var / "a" / "link").symlink_to(var / "elsewhere")
    assert 5000 < preflight.size(var / "a") < 6000
    assert preflight.size(var / "a" / "real") == 5000


@pytest.mark.parametrize(
    ("error", "tries", "ballast_left"), [(28, 2, False), (122, 2, False), (13, 1, True)]
)
def test_only_a_full_disk_costs_the_ballast_and_only_once(monkeypatch, error, tries, ballast_left):
    monkeypatch.setattr(disk_reserve, "MEGABYTES", 1)
    disk_reserve.lay()
    tried = []

    def write() -> str:
        tried.append(1)
        if len(tried) < 3:
            raise OSError(error, "no")
        return "written"

    with pytest.raises(OSError, match="no"):
        disk_reserve.or_dropped(write)
    assert (len(tried), disk_reserve.path().is_file()) == (tries, ballast_left)
    tried[:] = [1, 1]
    assert disk_reserve.or_dropped(write) == "written"


# ---------------------------------------------------------------- published


def test_people_are_shown_what_they_ask_about_and_no_raw_record(var):
    with store.connect() as connection:
        for statement in (
            "create schema core",
            "create schema exports",
            "create schema staging",
            "create schema seeds",
            "create schema raw_sis",
            "create schema audit",
            "create table core.schools as select 'Hope' as name",
            "create view core.open_schools as from core.schools",
            "create table seeds.register as select 1 as signed",
            "create table raw_sis.people as select 'confidential' as pen",
            "create table exports.exp_google__users as select 1 as one",
            "create view staging.stg_google__users as select 2 as observed",
            "create view staging.stg_sis__people as select 'confidential' as pen",
            "create table audit.both as select 'of the warehouse' as whose",
            "create table ledger.audit.both as select 'of the ledger' as whose",
            "create table ledger.identity.names as select 'quinn' as name",
        ):
            connection.execute(statement)
    count = publish.publish()
    assert paths.published().stat().st_mode & 0o777 == 0o400
    assert [path.name for path in paths.published().parent.iterdir()] == ["warehouse.duckdb"]
    with duckdb.connect(str(paths.published()), read_only=True) as connection:
        there = {
            ".".join(row)
            for row in connection.execute(
                "select schema_name, table_name from duckdb_tables()"
            ).fetchall()
        }
        assert connection.execute(
            "select count(*) from duckdb_views() where not internal"
        ).fetchone() == (0,)
        assert connection.execute("select whose from audit.both").fetchall() == [
            ("of the warehouse",)
        ]
        assert connection.execute("select name from core.open_schools").fetchall() == [("Hope",)]
        assert connection.execute("select observed from staging.stg_google__users").fetchall() == [
            (2,)
        ]
    assert count == len(there)
    assert {
        "core.schools",
        "core.open_schools",
        "ledger_audit.changes",
        "seeds.register",
        "exports.exp_google__users",
        "identity.names",
        "audit.runs",
    } <= there
    assert not {"raw_sis.people", "staging.stg_sis__people"} & there


def published(name: str) -> list[tuple]:
    with duckdb.connect(str(paths.published()), read_only=True) as connection:
        return connection.execute(f"select * from {name}").fetchall()


def planted(statement: str) -> None:
    """Change the copy behind its maker's back, who still takes it for its own."""
    paths.published().chmod(0o600)
    with duckdb.connect(str(paths.published())) as connection:
        connection.execute(statement)
    noted = json.loads(publish._marks().read_text(encoding="utf-8"))
    noted["file"] = publish._which(paths.published())
    publish._marks().write_text(json.dumps(noted), encoding="utf-8")


def changed(*statements: str) -> int:
    with store.connect() as connection:
        for statement in statements:
            connection.execute(statement)
    return publish.publish()


def test_only_what_changed_is_copied_and_nothing_that_is_gone_stays():
    count = changed(
        "create schema core",
        "create table core.schools as select 'Hope' as name",
        "create table core.rooms as select 1 as room union all select 2",
        "create view core.open_schools as from core.schools",
    )
    planted("update core.schools set name = 'carried over'")
    assert changed("insert into core.rooms values (3)") == count
    assert published("core.schools") == [("carried over",)], "as it was, and so not copied"
    assert published("core.rooms order by 1") == [(1,), (2,), (3,)]
    for statement, holds in (
        ("update core.schools set name = 'Yale'", [("Yale",)]),
        ("alter table core.schools rename name to called", [("Yale",)]),
        ("alter table core.schools add column open boolean", [("Yale", None)]),
    ):
        planted("create or replace table core.schools as select 'carried over' as name")
        changed("drop view if exists core.open_schools", statement)
        assert published("core.schools") == holds, statement
    assert changed("drop table core.schools") == count - 2
    with pytest.raises(duckdb.CatalogException):
        published("core.schools")


@pytest.mark.parametrize("why", ["another file", "nothing noted", "half a note", "long ago"])
def test_a_copy_that_is_not_known_is_made_anew(why: str, monkeypatch):
    changed("create schema core", "create table core.schools as select 'Hope' as name")
    planted("update core.schools set name = 'somebody else''s'")
    if why == "another file":
        paths.published().write_bytes(paths.published().read_bytes())
    elif why == "nothing noted":
        publish._marks().unlink()
    elif why == "half a note":
        publish._marks().write_text(publish._marks().read_text("utf-8")[:50], "utf-8")
    else:
        noted = json.loads(publish._marks().read_text("utf-8"))
        publish._marks().write_text(json.dumps(noted | {"whole_on": "2026-01-01"}), "utf-8")
    publish.publish()
    assert published("core.schools") == [("Hope",)]


def test_a_copy_that_is_more_air_than_rows_is_made_anew():
    rows = "select uuid() as id, repeat(uuid()::text, 20) as text from range(8000)"
    changed("create schema core", f"create table core.people as {rows}")
    changed("create schema audit", f"create table audit.runs_of_old as {rows}")
    whole = paths.published().stat().st_size
    for _ in range(2):
        changed("delete from core.people", "delete from audit.runs_of_old")
    assert paths.published().stat().st_size < whole / 2


def test_another_word_in_the_yaml_is_said_of_what_did_not_change(monkeypatch):
    def said(words: str) -> dict:
        node = {"schema": "core", "alias": "schools", "description": words, "columns": {}}
        return {"nodes": {"model.schools": node | {"depends_on": {"nodes": []}}}, "sources": {}}

    def comment() -> list[tuple]:
        return published("(select comment from duckdb_tables() where table_name = 'schools')")

    with store.connect() as connection:
        connection.execute("create schema core; create table core.schools as select 1 as id")
    run = Run.open("nightly")
    for words in ("One row per school.", "One row per school that is open."):
        (run.folder / "dbt").mkdir(exist_ok=True)
        run.write("dbt/manifest.json", said(words))
        publish.publish()
        assert comment() == [(words,)]


def test_a_copy_that_fails_leaves_the_one_before_and_takes_no_room(monkeypatch):
    with store.connect():
        pass
    publish.publish()
    before = paths.published().read_bytes()

    def half(fresh: Path, _: dict) -> dict:
        fresh.write_bytes(b"half")
        raise OSError(28, "full")

    monkeypatch.setattr(publish, "_copy", half)
    with pytest.raises(OSError, match="full"):
        publish.publish()
    assert paths.published().read_bytes() == before
    assert [path.name for path in paths.published().parent.iterdir()] == ["warehouse.duckdb"]


# ---------------------------------------------------------------- databases


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (paths.warehouse, "the next night moves it aside and builds it again from the archive"),
        (paths.ledger, 'put its last copy back with "make restore FROM=latest"'),
    ],
)
def test_a_file_that_is_no_database_is_named_with_the_way_out(file, says):
    with store.connect():
        pass
    file().write_bytes(b"no database" * 1000)
    with pytest.raises(store.StoreDamagedError, match=says) as told, store.connect():
        pass
    assert told.value.path == file()


def test_a_ledger_that_is_gone_is_not_made_anew_once_a_night_was_finished(var):
    with store.connect():
        pass
    paths.ledger().unlink()
    with store.connect():
        pass
    paths.ledger().unlink()
    (var / "runs" / "20261005T100000Z-abcd").mkdir(parents=True)
    with store.connect():
        pass
    paths.ledger().unlink()
    (var / "runs" / "20261005T100000Z-abcd" / "summary.json").write_text("{}", encoding="utf-8")
    with (
        pytest.raises(store.StoreError, match="is gone, though runs were finished here"),
        store.connect(),
    ):
        pass
    assert not paths.ledger().exists()


def test_a_warehouse_somebody_holds_is_waited_for_and_then_named():
    with store.connect():
        pass
    reads = (
        f"import duckdb, sys; c = duckdb.connect({str(paths.warehouse())!r}); print('on',"
        " flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", reads], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "on\n"
        try:
            with (
                pytest.raises(
                    store.StoreBusyError,
                    match=f"is held by process {holder.pid} for more than 0 seconds",
                ),
                store.connect(read_only=True),
            ):
                pass
        finally:
            holder.kill()


def test_the_lock_says_who_holds_it_until_it_is_free(var):
    path = var / "night.lock"
    assert lock.holder(path) == ""
    with lock.lock(path, "a night"):
        assert lock.holder(path).startswith(f"process {lock.os.getpid()}, for 0 min")
        with pytest.raises(
            lock.LockHeldError,
            match=(
                r"a backup cannot begin: a night is under way for 0 min \d+ s already, in process"
                rf" {lock.os.getpid()} of "
            ),
        ):
            with lock.lock(path, "a backup"):
                pass
        with (
            pytest.raises(lock.LockHeldError, match="and did not end within 0 s; wait for it"),
            lock.lock(path, "a backup", wait=0.01),
        ):
            pass
    assert (lock.holder(path), path.read_text(encoding="utf-8")) == ("", "")
    with lock.lock(path, "a backup"):
        pass


# ---------------------------------------------------------------- what dbt says


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (
            "Conversion Error: Could not convert string 'Quinn Li' to INT32",
            "Conversion Error: Could not convert string '…' to INT32",
        ),
        ("Compilation Error in model 'students'", "Compilation Error in model 'students'"),
        ("Parsing Error: 'x.yml'", "Parsing Error: 'x.yml'"),
        ("Runtime Error\n  Compilation Error 'Quinn'", "Runtime Error Compilation Error '…'"),
        ("x" * 600, "x" * 500),
    ],
)
def test_a_database_message_is_told_without_the_cell_it_quotes(said, kept):
    assert failures.without(said) == kept


@pytest.mark.parametrize(
    ("kind", "message", "says"),
    [
        ("test", "Got 3 results", "test a failed: Got 3 results."),
        ("model", None, "model a failed: no message."),
        ("seed", " ", "model a failed: no message."),
    ],
)
def test_what_failed_in_the_build_is_a_finding_with_its_file(kind, message, says):
    node = SimpleNamespace(resource_type=kind, name="a", original_file_path="models/a.sql")
    found = failures.finding(SimpleNamespace(node=node, message=message, status="error"))
    assert found.message.startswith(says)
    assert (found.level, found.code, found.file) == (
        "critical",
        f"{'test' if kind == 'test' else 'model'}_failed",
        "models/a.sql",
    )
    assert "make build SELECT=a" in found.action


UNKEPT = """Compilation Error in model exp_a (models/exports/a/exp_a.sql)
  This model has an enforced contract that failed.
  Please ensure the name, data_type, and number of columns in your contract match the columns in \
your model's definition.

  | column_name | definition_type | contract_type | mismatch_reason       |
  | ----------- | --------------- | ------------- | --------------------- |
  | seats       | INTEGER         | VARCHAR       | data type mismatch    |
  | gone        |                 | VARCHAR       | missing in definition |
  | stop        | DATE            |               | missing in contract   |

  > in macro assert_columns_equivalent (macros/relations/column/columns_spec_ddl.sql)"""
DESCRIBED = """models:
  - name: exp_b
    columns: [{name: seats}]
  - name: exp_a
    columns:
      - name: id
      - name: seats
        data_type: string
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with one YAML and one seed, and a warehouse of one table."""
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("HOMEROOM_PROJECT", str(tmp_path))
    for folder in ("models", "seeds", "var"):
        (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / "models" / "a.yml").write_text(DESCRIBED, encoding="utf-8")
    (tmp_path / "seeds" / "grades.csv").write_text("grade,unit\n01,/A\n02,/B\n01,/C\n", "utf-8")
    with store.connect() as connection:
        connection.execute("select 1")
    return tmp_path


def failed(kind: str, message: str, **node):
    of = {"resource_type": kind, "name": "exp_a", "original_file_path": "models/a.yml"}
    node = SimpleNamespace(**(of | {"patch_path": "homeroom://models/a.yml"} | node))
    status = "fail" if kind == "test" else "error"
    return SimpleNamespace(node=node, message=message, status=status)


def test_a_contract_that_is_not_kept_names_column_line_and_what_to_type(project):
    found = failures.finding(failed("model", UNKEPT))
    assert (found.code, found.file, found.line, found.column) == (
        "contract_failed",
        "models/a.yml",
        7,
        "seats",
    )
    assert (
        "column seats is integer in the SQL and varchar in the YAML: cast(seats as varchar), or"
        " data_type: integer; column gone is in the YAML and not in the SQL; column stop is not in"
        ' the YAML: add "- name: stop" with data_type: date' in found.message
    )
    assert "models/a.yml" in found.action
    spread = failures.spread(UNKEPT).splitlines()
    assert (
        spread[-1] == "  | stop        | DATE            |               | missing in contract   |"
    )
    assert len(spread) == 8, "its lines, without where in dbt"
    assert failures.spread("Runtime Error in model a\n  Conversion Error: 'Wu, Amy'") == ""


def test_columns_nobody_signed_for_are_named_with_the_classes_and_the_rows_to_add(project):
    rows = (
        "select * from (values ('exp_a', 'seats', 'unclassed', 'none, key, name'),"
        " ('exp_a', 'id', 'name', 'none, key, name'), ('exp_a', 'diet', 'health', 'none, key, name'"
        ")) as found(model, column_name, personal_data, allowed)"
    )
    test = SimpleNamespace(name="personal_data_is_signed")
    node = {"compiled_code": rows, "test_metadata": test, "attached_node": "model.homeroom.exp_a"}
    found = failures.finding(failed("test", "Got 3 results", **node))
    assert (found.code, found.line) == ("columns_unsigned", 4), "diet has no line: its model's"
    assert found.message == (
        "exp_a has columns nobody signed for: diet is classed 'health', which is none; id (name) is"
        " not signed for with that class; seats has no class: write personal_data: <class> under"
        " its meta. Classes: none, key, name. The export is not planned tonight."
    )
    today = datetime.now(UTC).date()
    assert f"exp_a,id,name,<what for>,<who signs>,{today}" in found.action
    assert f"exp_a,seats,<class>,<what for>,<who signs>,{today}" in found.action


@pytest.mark.parametrize(
    ("found", "says", "hides"),
    [
        (
            "select '1000001' as student_number, 'Amy' as first_name",
            "student_number 1000001",
            "Amy",
        ),
        ("select null as school_number, 3 as n", "school_number empty", "n 3"),
        ("select 'amy@example.org' as contact_key, 'x' as section_id", "section_id x", "amy"),
    ],
)
def test_a_test_that_failed_names_the_keys_it_found_and_nobody(project, found, says, hides):
    said = failures.finding(failed("test", "Got 1 result", compiled_code=found)).message
    assert f"Got 1 result; {says}" in said and hides not in said


@pytest.mark.parametrize(
    ("found", "column", "line", "says"),
    [
        ("select '01' as grade", "", 4, "grade 01"),
        ("select '/B' as value_field, 1 as n_records", "unit", 3, "value_field /B"),
        ("select '/C' as from_field", "unit", 4, "from_field /C"),
    ],
)
def test_a_bad_value_of_a_seed_names_its_line(project, found, column, line, says):
    node = {"compiled_code": found, "attached_node": "seed.homeroom.grades", "column_name": column}
    said = failures.finding(failed("test", "Got 1 result", **node))
    assert (said.file, said.line, said.column) == ("seeds/grades.csv", line, column)
    assert f"{says}" in said.message and f"seeds/grades.csv, line {line}" in said.message
