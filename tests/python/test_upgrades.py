"""The ledger and the warehouse carry a version: forward by themselves after a copy, never back."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
from conftest import District

from common import paths, store, versions
from tests import older_state


@pytest.fixture(autouse=True)
def _state(tmp_path, monkeypatch):
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    monkeypatch.setattr(store, "WAIT_SECONDS", 0.3)


@pytest.fixture
def later(tmp_path, monkeypatch) -> Path:
    """The program of some later day: the migrations of today, and room for more."""
    folder = tmp_path / "migrations"
    for what in versions.TABLES:
        (folder / what).mkdir(parents=True)
        for path in (versions.MIGRATIONS / what).glob("*.sql"):
            (folder / what / path.name).write_text(
                path.read_text(encoding="utf-8"), encoding="utf-8"
            )
    monkeypatch.setattr(versions, "MIGRATIONS", folder)
    return folder


def newest(what: str) -> int:
    return len(versions.migrations(what))


def migration(folder: Path, what: str, sql: str) -> None:
    number = len(list((folder / what).glob("*.sql"))) + 1
    (folder / what / f"{number:04d}_more.sql").write_text(sql, encoding="utf-8")


def copies() -> list[Path]:
    return sorted((paths.var() / "backups").glob("before-*/ledger.duckdb"))


def test_a_new_state_folder_is_of_the_newest_version_and_nothing_is_copied():
    with store.connect() as connection:
        assert {what: versions.version(connection, what) for what in versions.TABLES} == {
            what: newest(what) for what in versions.TABLES
        }
    assert copies() == []


def test_a_ledger_from_before_there_were_versions_is_brought_forward_after_a_copy():
    with duckdb.connect() as connection:
        connection.execute(f"attach '{paths.ledger()}' as ledger")
        connection.execute(
            "create schema ledger.audit; create table ledger.audit.notes as select 'kept' as note"
        )
    with store.connect() as connection:
        assert versions.version(connection, "ledger") == newest("ledger")
        assert connection.execute("select note from ledger.audit.notes").fetchall() == [("kept",)]
    assert len(copies()) == 1
    with duckdb.connect(str(copies()[0]), read_only=True) as connection:
        assert connection.execute("select table_name from duckdb_tables()").fetchall() == [
            ("notes",)
        ], "the copy is of before"


def test_a_later_program_applies_its_migrations_once_in_order_after_a_copy(later):
    with store.connect() as connection:
        connection.execute(
            "insert into ledger.audit.interventions values ('1', now(), 'paused', null, 'before',"
            " null, null)"
        )
    migration(later, "ledger", "alter table ledger.audit.interventions rename column why to reason")
    migration(
        later, "ledger", "update ledger.audit.interventions set reason = reason || ' and after'"
    )
    for _ in range(2):
        with store.connect() as connection:
            assert connection.execute(
                "select reason from ledger.audit.interventions"
            ).fetchall() == [("before and after",)]
    assert len(copies()) == 1
    with duckdb.connect(str(copies()[0]), read_only=True) as connection:
        assert connection.execute("select why from audit.interventions").fetchall() == [("before",)]
        assert connection.execute("select max(version) from audit.versions").fetchone() == (
            newest("ledger") - 2,
        )


@pytest.mark.parametrize("what", sorted(versions.TABLES))
@pytest.mark.parametrize("read_only", [False, True])
def test_an_older_program_refuses_a_newer_file_with_a_sentence_and_changes_nothing(what, read_only):
    with store.connect() as connection:
        connection.execute(
            f"insert into {versions.TABLES[what]} values (99, 'of_tomorrow', now(), '9.0.0')"
        )
    path = paths.ledger() if what == "ledger" else paths.warehouse()
    before = path.read_bytes()
    with pytest.raises(
        store.StoreError,
        match=(
            rf"the {what} .* is of version 99 and this Homeroom .* knows up to"
            rf" {newest(what)}.*nothing was changed"
        ),
    ):
        with store.connect(read_only=read_only):
            pass
    assert path.read_bytes() == before


def test_a_migration_that_fails_leaves_the_version_before_it_and_says_where_the_copy_is(later):
    with store.connect() as connection:
        connection.execute(
            "insert into ledger.audit.interventions values ('1', now(), 'paused', null, 'before',"
            " null, null)"
        )
    migration(
        later,
        "ledger",
        "alter table ledger.audit.interventions rename column why to reason; select * from"
        " ledger.audit.nowhere",
    )
    with pytest.raises(
        store.StoreError,
        match=(
            r"could not be brought to version \d+ \(more\).*a copy from before stands in .*go back"
        ),
    ):
        with store.connect():
            pass
    with duckdb.connect(str(paths.ledger()), read_only=True) as connection:
        assert connection.execute("select why from audit.interventions").fetchall() == [("before",)]
        assert connection.execute("select max(version) from audit.versions").fetchone() == (
            newest("ledger") - 1,
        )


def test_migrations_count_without_a_gap(later):
    migration(later, "ledger", "select 1")
    (later / "ledger" / "0001_tables.sql").unlink()
    with pytest.raises(ValueError, match="must count 1, 2, 3"):
        versions.migrations("ledger")


@pytest.mark.parametrize("which", ["ledger", "warehouse"])
def test_a_damaged_file_is_named_with_the_way_out(which):
    with store.connect() as connection:
        connection.execute(
            "create table ledger.audit.much as select range as number, md5(range::varchar) as text"
            " from range(20000)"
        )
        connection.execute("create table much as select * from ledger.audit.much")
    path = paths.ledger() if which == "ledger" else paths.warehouse()
    content = bytearray(path.read_bytes())
    content[4096 * 2 : 4096 * 4] = bytes(4096 * 2)
    content[:4096] = b"\x07" * 4096
    path.write_bytes(content)
    with pytest.raises(
        store.StoreDamagedError,
        match="restore FROM=latest" if which == "ledger" else "builds it again from the archive",
    ) as raised:
        with store.connect():
            pass
    assert raised.value.path == path


OLDER = sorted(older_state.KEPT.glob("*.tar.xz"))


def counted(ledger: Path) -> dict[str, int]:
    """Rows of every table of a ledger."""
    with duckdb.connect(str(ledger), read_only=True) as connection:
        tables = connection.execute(
            "select schema_name, table_name from duckdb_tables()"
        ).fetchall()
        return {
            f"{schema}.{table}": connection.execute(
                f'select count(*) from "{schema}"."{table}"'
            ).fetchone()[0]
            for schema, table in tables
        }


def test_the_state_of_a_release_before_is_kept_with_its_ledger_as_it_was(tmp_path: Path) -> None:
    """Every clone has it, however shallow; none stands there alone as a name."""
    assert OLDER
    for archive in OLDER:
        state = older_state.unpack(archive, tmp_path / archive.stem)
        [made] = (state / "backups").iterdir()
        manifest = json.loads((made / "manifest.json").read_text(encoding="utf-8"))
        told = {name: table["rows"] for name, table in manifest["tables"].items()}
        assert counted(state / "ledger.duckdb") == told
        assert manifest["ledger_version"] < newest("ledger"), "nothing would be brought forward"
        assert not list(state.rglob("*.pem")), "a key of the demo's platforms"


@pytest.mark.slow
@pytest.mark.parametrize("archive", OLDER, ids=[archive.stem for archive in OLDER])
def test_a_state_of_the_release_before_comes_forward_by_a_night_and_back_by_restore(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, archive: Path
) -> None:
    monkeypatch.setattr(store, "WAIT_SECONDS", 60)
    district = District(older_state.unpack(archive, tmp_path / "var"))
    [made] = (district.var / "backups").iterdir()
    before = counted(district.var / "ledger.duckdb")
    people = len(district.state("google")["users"])

    ended = district.run("demo", "again", check=False)
    assert ended.returncode == 0, f"{ended.stdout[-3000:]}{ended.stderr[-3000:]}"
    first = district.summaries()[-1]
    assert first["findings"].get("critical", 0) == 0
    assert not list((district.var / "damaged").glob("*")), "what is older is no damage"
    assert all(row["converged"] == 1 for row in first["targets"])
    assert len(district.state("google")["users"]) == people, "nobody is new, nobody is gone"
    after = counted(district.var / "ledger.duckdb")
    # what a file holds now may be less, by the rules of now; what was done and decided stays
    stays = [name for name in before if not name.startswith("applied.")]
    assert [name for name in stays if after[name] < before[name]] == []
    [copy] = copies()
    assert counted(copy) == before, "the copy is of before"
    assert district.planned() == 0
    assert sum(sum(row["planned"].values()) for row in district.summaries()[-1]["targets"]) == 0

    def old(ledger: Path) -> list:
        """What the older program would say to a ledger."""
        known = versions.migrations("ledger")[: before["audit.versions"]]
        with duckdb.connect() as connection:
            connection.execute(f"attach '{ledger}' as ledger (read_only)")
            with monkeypatch.context() as then:
                then.setattr(versions, "migrations", lambda *_: known)
                return versions.check(connection, "ledger")

    with pytest.raises(versions.TooNewError):
        old(district.var / "ledger.duckdb")
    district.run("operations", "restore", made.name)
    assert counted(district.var / "ledger.duckdb") == before
    assert old(district.var / "ledger.duckdb") == [], "it is its own again"


# What a ledger of version 2 may hold.
BEFORE = """
create schema if not exists ledger.applied;
create table ledger.applied.tables (target text, entity text, key json, school text, shape text);
insert into ledger.applied.tables values
    ('crm', 'users', '["id"]', 'school_number', 's'), ('crm', 'rooms', '["id"]', null, null);
create table ledger.applied.crm__users (_key text, person_id text);
create table ledger.applied.crm__rooms (_key text);
insert into ledger.audit.planned_changes
    (change_id, target, entity, key, person_id, school_number)
    values ('c', 'crm', 'users', 'k', 'p1', '07474001');
insert into ledger.audit.outcomes (change_id, status, finished_at) values ('c', 'failed', now());
insert into ledger.audit.drifts (person_id, school_number) values ('p2', '07474002')
"""


def test_a_stored_ledger_that_spoke_of_people_and_schools_speaks_of_subjects_and_partitions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    every = versions.migrations
    with monkeypatch.context() as then:
        then.setattr(versions, "migrations", lambda what, folder=None: every(what, folder)[:2])
        with store.connect() as connection:
            connection.execute(BEFORE)
    with store.connect() as connection:

        def asked(query: str) -> list[tuple]:
            return connection.execute(query).fetchall()

        assert asked("select entity, partition, shape, subject from ledger.applied.tables") == [
            ("users", "school_number", "s", "person_id"),
            ("rooms", None, None, None),
        ]
        assert asked("select subject, partition, status from ledger.audit.changes") == [
            ("p1", "07474001", "failed")
        ]
        assert asked("select subject, entity from ledger.audit.dead_letters") == [("p1", "users")]
        assert asked("select subject, partition from ledger.audit.drifts") == [("p2", "07474002")]
    assert len(copies()) == 1
