"""The ledger and the warehouse carry a version: forward by themselves after a copy, never back."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from common import paths, store, versions


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
