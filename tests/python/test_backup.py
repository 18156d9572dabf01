"""Backup and restore: what cannot be built again survives, and a copy that is not whole is never put back."""

from __future__ import annotations

import gzip
import json
import tarfile
from pathlib import Path

import duckdb
import pytest
from conftest import equal_to_exports
from test_nights import writes

from common import paths, store
from common.runs import Run
from operations import backup, interventions, night


@pytest.fixture
def state(tmp_path, monkeypatch) -> Path:
    """A small state folder: a ledger with two people's names, one finished run with a journal."""
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("HOMEROOM_AS_OF", "2026-10-05")
    monkeypatch.delenv("HOMEROOM_RUN", raising=False)
    monkeypatch.setattr(store, "WAIT_SECONDS", 0.3)
    run = Run.open("nightly")
    (run.folder / "journal").mkdir()
    (run.folder / "journal" / "google.jsonl").write_text('{"line":"end"}\n', encoding="utf-8")
    (run.folder / "dbt").mkdir()
    (run.folder / "dbt" / "manifest.json").write_text("{}", encoding="utf-8")
    run.finish(0)
    (tmp_path / "var" / "passwords").mkdir()
    (tmp_path / "var" / "passwords" / "r.google.jsonl").write_text('{"sealed":"…"}\n', encoding="utf-8")
    names("quinn", "robin")
    return tmp_path / "var"


def names(*given: str) -> list[str]:
    """Issue names; all names issued so far."""
    with store.connect() as connection:
        connection.execute("create table if not exists ledger.identity.names (name text primary key)")
        for name in given:
            connection.execute("insert into ledger.identity.names values (?)", [name])
        return [row[0] for row in connection.execute("select name from ledger.identity.names order by 1").fetchall()]


def at(monkeypatch, second: int) -> None:
    """Backups are named by the second; a test does not wait for it to pass."""

    class Clock(backup.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 10, 5, 12, 0, second, tzinfo=tz)

    monkeypatch.setattr(backup, "datetime", Clock)


def test_a_lost_ledger_and_lost_documents_come_back_as_they_were(state):
    made = backup.backup()
    journal = next(state.glob("runs/2*/journal/google.jsonl"))
    journal.unlink()
    (state / "passwords" / "r.google.jsonl").unlink()
    paths.ledger().unlink()
    chosen, _ = backup.restore("latest")
    assert chosen == made
    assert names() == ["quinn", "robin"]
    assert journal.read_text(encoding="utf-8") == '{"line":"end"}\n'
    assert (state / "passwords" / "r.google.jsonl").is_file()
    with store.connect() as connection:
        interventions.load(connection)
        interventions.load(connection)
        assert connection.execute("select what from ledger.audit.interventions").fetchall() == [("restored",)]


def test_what_is_replaced_stands_beside_and_newer_documents_stay(state):
    backup.backup()
    names("sam")
    run = next(state.glob("runs/2*"))
    (run / "summary.json").write_text('{"newer": true}', encoding="utf-8")
    (run / "journal" / "google.settled").write_text("15", encoding="utf-8")
    _, aside = backup.restore("latest")
    assert names() == ["quinn", "robin"]
    with duckdb.connect(str(aside / "ledger.duckdb"), read_only=True) as connection:
        assert connection.execute("select count(*) from identity.names").fetchone() == (3,)
    assert (run / "summary.json").read_text(encoding="utf-8") == '{"newer": true}'
    assert not (run / "journal" / "google.settled").exists(), "its outcomes must be settled into the older ledger again"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def another_ledger(path: Path) -> None:
    """A whole, valid ledger that is not the one backed up, with a manifest that vouches for its bytes."""
    plain = path.with_name("other.duckdb")
    with duckdb.connect(str(plain)) as connection:
        connection.execute("create schema identity; create table identity.names as select 'quinn' as name union all select 'alex'")
    path.write_bytes(gzip.compress(plain.read_bytes()))
    manifest = json.loads((path.parent / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"][path.name] = {"bytes": path.stat().st_size, "sha256": backup._sha256(path)}
    (path.parent / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def no_manifest(path: Path) -> None:
    cut(path.parent / "manifest.json")


def of_tomorrow(path: Path) -> None:
    manifest = json.loads((path.parent / "manifest.json").read_text(encoding="utf-8"))
    (path.parent / "manifest.json").write_text(json.dumps(manifest | {"ledger_version": 99}), encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (cut, "is damaged: ledger.duckdb.gz"),
        (flip, "is damaged: ledger.duckdb.gz"),
        (Path.unlink, "is damaged: ledger.duckdb.gz"),
        (another_ledger, "does not hold what its manifest says"),
        (no_manifest, "its manifest.json is damaged"),
        (of_tomorrow, "ledger version 99 .* update Homeroom first"),
    ],
)
def test_a_backup_that_is_not_whole_is_refused_and_nothing_is_touched(state, spoil, says):
    made = backup.backup()
    names("sam")
    spoil(made / "ledger.duckdb.gz")
    before = paths.ledger().read_bytes()
    with pytest.raises(backup.NotRestorable, match=says):
        backup.restore("latest" if says != "its manifest.json is damaged" else str(made))
    assert paths.ledger().read_bytes() == before
    assert not (state / "replaced").exists()


def test_restore_names_what_there_is(state):
    with pytest.raises(backup.NotRestorable, match="there is no backup in"):
        backup.restore("latest")
    made = backup.backup()
    with pytest.raises(backup.NotRestorable, match=rf"no backup 'yesterday'; in .* are {made.name}"):
        backup.restore("yesterday")


def test_only_so_many_are_kept_and_copies_from_before_an_upgrade_are_not_among_them(state, monkeypatch):
    monkeypatch.setenv("BACKUP__KEEP", "2")
    (state / "backups" / "before-0002-20261001T000000000000Z").mkdir(parents=True)
    for second in (1, 2, 3):
        at(monkeypatch, second)
        backup.backup()
    assert [path.name for path in backup.backups()] == ["20261005T120002Z", "20261005T120003Z"]
    assert (state / "backups" / "before-0002-20261001T000000000000Z").is_dir()


def test_a_backup_that_cannot_be_written_says_so_and_leaves_the_others(state, monkeypatch):
    made = backup.backup()
    at(monkeypatch, 9)

    def full(*_args, **_more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup.shutil, "copyfileobj", full)
    with pytest.raises(backup.BackupFailed, match="No space left on device; the ones before are untouched"):
        backup.backup()
    assert backup.backups() == [made]
    assert [path.name for path in (state / "backups").iterdir()] == [made.name]


def test_no_backup_while_somebody_writes_and_no_restore_while_a_night_runs(state):
    made = backup.backup()
    with night.lock(), pytest.raises(night.NightRunning):
        backup.restore(made.name)
    assert names() == ["quinn", "robin"]


def test_large_documents_and_other_programs_files_are_left_out(state):
    made = backup.backup()
    with tarfile.open(made / "documents.tar.gz") as packed:
        inside = packed.getnames()
    assert any(name.endswith("run.json") for name in inside)
    assert not any("dbt/" in name or name.endswith(".duckdb") for name in inside)
    assert made.stat().st_mode & 0o077 == 0


def test_a_district_that_lost_ledger_and_warehouse_restores_one_and_the_next_night_builds_the_other_and_writes_nothing(district):
    """The whole point: the names, the lifecycle and what we last wrote are known again, so nothing has to be done."""
    names_before = district.ask("select person_id, account_name, domain from identity.accounts order by all")
    district.run("operations", "backup")
    (district.var / "ledger.duckdb").unlink()
    (district.var / "warehouse.duckdb").unlink()
    refused = district.run("demo", "again")
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert "make restore FROM=latest" in refused.stderr
    assert district.run("operations", "restore", "latest").returncode == 0
    before = len(district.requests())
    received = {path: path.stat().st_mtime_ns for path in (district.var / "demo" / "received").rglob("*") if path.is_file()}
    ended = district.run("demo", "again")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert writes(district.requests()[before:]) == []
    assert {path: path.stat().st_mtime_ns for path in (district.var / "demo" / "received").rglob("*") if path.is_file()} == received
    equal_to_exports(district)
    assert district.ask("select person_id, account_name, domain from identity.accounts order by all") == names_before
    assert [step["name"] for step in district.summaries()[-1]["steps"]][-1] == "backup"
    assert len(list((district.var / "backups").glob("*Z"))) > 1, "the night made its own"
