"""Backup and restore: what cannot be built again survives, and a copy that is not whole is never
put back.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import tarfile
from datetime import datetime
from pathlib import Path

import duckdb
import pytest
from conftest import equal_to_exports
from test_nights import writes

from common import files, paths, store, turns, versions
from common.lock import LockHeldError
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
    (tmp_path / "var" / "passwords" / "r.google.jsonl").write_text(
        '{"sealed":"…"}\n', encoding="utf-8"
    )
    names("quinn", "robin")
    return tmp_path / "var"


def names(*given: str) -> list[str]:
    """Issue names; all names issued so far."""
    with store.connect() as connection:
        connection.execute(
            "create table if not exists ledger.identity.names (name text primary key)"
        )
        for name in given:
            connection.execute("insert into ledger.identity.names values (?)", [name])
        return [
            row[0]
            for row in connection.execute(
                "select name from ledger.identity.names order by 1"
            ).fetchall()
        ]


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
        assert connection.execute("select what from ledger.audit.interventions").fetchall() == [
            ("restored",)
        ]


def test_what_is_replaced_stands_beside_and_newer_documents_stay(state):
    run = next(state.glob("runs/2*"))
    in_the_backup_too = [
        run / "run.json",
        run / "journal" / "google.jsonl",
        state / "passwords" / "r.google.jsonl",
        state / "interventions.jsonl",
    ]
    interventions.record("backup")
    made = backup.backup()
    with tarfile.open(made / "documents.tar.gz") as packed:
        assert {str(path.relative_to(state)) for path in in_the_backup_too} <= set(
            packed.getnames()
        )
    names("sam")
    for path in in_the_backup_too:
        path.write_bytes(path.read_bytes() + b"\n")
    newer = {path: path.read_bytes() for path in in_the_backup_too}
    (run / "summary.json").write_text('{"newer": true}', encoding="utf-8")
    (run / "journal" / "google.settled").write_text("15", encoding="utf-8")
    _, aside = backup.restore("latest")
    assert names() == ["quinn", "robin"]
    with duckdb.connect(str(aside / "ledger.duckdb"), read_only=True) as connection:
        assert connection.execute("select count(*) from identity.names").fetchone() == (3,)
    for path, content in newer.items():
        assert path.read_bytes().startswith(content), path
    assert (run / "summary.json").read_text(encoding="utf-8") == '{"newer": true}'
    assert not (run / "journal" / "google.settled").exists(), (
        "its outcomes must be settled into the older ledger again"
    )


def test_a_restored_ledger_never_meets_the_log_of_the_one_before(state):
    """DuckDB plays a `.wal` lying beside a file into it when it opens it; after a power cut one
    lies there.
    """
    backup.backup()
    code = (
        f'import duckdb, os; c = duckdb.connect({str(paths.ledger())!r}); c.execute("insert into'
        " identity.names values ('sam')\"); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    log = paths.ledger().with_name("ledger.duckdb.wal")
    assert log.stat().st_size > 0
    _, aside = backup.restore("latest")
    assert not log.exists()
    assert names() == ["quinn", "robin"]
    assert sorted(path.name for path in aside.iterdir()) == ["ledger.duckdb", "ledger.duckdb.wal"]
    with duckdb.connect(str(aside / "ledger.duckdb")) as connection:
        assert connection.execute("select count(*) from identity.names").fetchone() == (3,), (
            "the one that was replaced can still be opened, with its log"
        )


def test_a_log_without_its_ledger_is_put_aside_too(state):
    backup.backup()
    paths.ledger().unlink()
    paths.ledger().with_name("ledger.duckdb.wal").write_bytes(b"of a ledger that is gone")
    _, aside = backup.restore("latest")
    assert [path.name for path in aside.iterdir()] == ["ledger.duckdb.wal"]
    assert names() == ["quinn", "robin"]


def test_what_comes_back_keeps_its_age_and_who_may_read_it(state):
    sealed = state / "passwords" / "r.google.jsonl"
    sealed.chmod(0o600)
    os.utime(sealed, (1_790_000_000, 1_790_000_000))
    backup.backup()
    shutil.rmtree(sealed.parent)
    backup.restore("latest")
    assert (
        int(sealed.stat().st_mtime),
        sealed.stat().st_mode & 0o777,
        sealed.parent.stat().st_mode & 0o777,
    ) == (1_790_000_000, 0o600, 0o700)
    assert list((state / "tmp").iterdir()) == [], "nothing is left of the unpacking"


def torn(pack, to: Path):
    """The disk takes the bytes and gives back fewer: what only an unpacking notices."""
    told = pack(to)
    to.write_bytes(to.read_bytes()[:-30])
    return told


def another(pack, to: Path):
    """A whole ledger, but not the one whose tables were counted."""
    told = pack(to)
    to.write_bytes(gzip.compress(b""))
    return told


def lacking(pack, to: Path):
    """The copy lacks rows the ledger has."""
    told = pack(to)
    told["identity.names"] = told["identity.names"] | {"rows": 3}
    return told


def changed(pack, to: Path):
    """As many rows, with other values."""
    told = pack(to)
    told["identity.names"] = told["identity.names"] | {"fingerprint": "1"}
    return told


def one_more(pack, to: Path):
    """A table the copy has not."""
    return pack(to) | {"identity.lost": {"rows": 0, "fingerprint": "0"}}


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (torn, "cannot be opened"),
        (another, "cannot be opened"),
        (lacking, "does not hold what its manifest says, first in identity.names"),
        (changed, "does not hold what its manifest says, first in identity.names"),
        (one_more, "does not hold what its manifest says, first in identity.lost"),
    ],
)
def test_a_backup_that_is_bad_at_birth_is_none(state, monkeypatch, spoil, says):
    made = backup.backup()
    at(monkeypatch, 9)
    pack = backup._pack_ledger
    monkeypatch.setattr(backup, "_pack_ledger", lambda to: spoil(pack, to))
    with pytest.raises(
        backup.BackupError, match=rf"no backup was made in .*{says}.*the ones before are untouched"
    ):
        backup.backup()
    assert [path.name for path in (state / "backups").iterdir()] == [made.name]


def test_a_backup_of_another_duckdb_is_judged_by_its_rows_alone(state):
    """Its fingerprints were computed by another hash."""
    made = backup.backup()
    manifest = json.loads((made / "manifest.json").read_text(encoding="utf-8"))
    for table in manifest["tables"].values():
        table["fingerprint"] = "7"
    (made / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(backup.NotRestorableError, match="does not hold what its manifest says"):
        backup.restore("latest")
    (made / "manifest.json").write_text(
        json.dumps(manifest | {"duckdb": "1.4.0"}), encoding="utf-8"
    )
    backup.restore("latest")
    assert names() == ["quinn", "robin"]


def test_the_manifest_says_what_the_backup_is_of(state):
    made = backup.backup()
    manifest = json.loads((made / "manifest.json").read_text(encoding="utf-8"))
    assert datetime.fromisoformat(manifest["made_at"]).strftime("%Y%m%dT%H%M%SZ") == made.name
    assert (manifest["duckdb"], manifest["ledger_version"]) == (
        duckdb.__version__,
        len(versions.migrations("ledger")),
    )
    assert manifest["tables"]["identity.names"]["rows"] == 2
    assert manifest["runs"] == [Run.latest().run_id]
    assert manifest["files"] == {
        name: {"bytes": (made / name).stat().st_size, "sha256": files.sha256(made / name)}
        for name in ("ledger.duckdb.gz", "documents.tar.gz")
    }


def test_runs_the_backup_does_not_know_are_named_and_only_so_many_are_in_it(state, monkeypatch):
    known = Run.latest().run_id
    made = backup.backup()
    assert backup.not_covered(made) == []
    later = Run.open("nightly").folder
    later = later.rename(later.with_name("29991231T100000Z-abcd"))
    (later / "run.json").write_text(
        json.dumps(Run("x", later, None, None).read("run.json") | {"run_id": later.name}),
        encoding="utf-8",
    )
    (state / "runs" / "latest").unlink()
    (state / "runs" / "latest").symlink_to(later.name)
    assert backup.not_covered(made) == [], "it is not closed"
    Run.latest().finish(0)
    assert backup.not_covered(made) == [later.name]
    monkeypatch.setenv("BACKUP__RUNS", "1")
    at(monkeypatch, 9)
    made = backup.backup()
    assert json.loads((made / "manifest.json").read_text(encoding="utf-8"))["runs"] == [later.name]
    with tarfile.open(made / "documents.tar.gz") as packed:
        assert {name.split("/")[1] for name in packed.getnames() if name.startswith("runs/")} == {
            later.name
        }
    assert known != later.name


@pytest.mark.parametrize("keep", ["0", "-1", "2.5", "true", "many"])
def test_a_number_to_keep_that_is_none_makes_no_backup_and_lets_none_go(state, monkeypatch, keep):
    made = backup.backup()
    monkeypatch.setenv("BACKUP__KEEP", keep)
    with pytest.raises(
        backup.BackupError, match=r"\[backup\] keep is .*; it must be a whole number, 1 or more"
    ):
        backup.backup()
    assert backup.backups() == [made]


def test_fourteen_are_kept_unless_told_and_one_may_be(state, monkeypatch):
    for day in range(1, 16):
        folder = state / "backups" / f"202609{day:02}T100000Z"
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}", encoding="utf-8")
    made = backup.backup()
    assert [path.name for path in backup.backups()] == [
        f"202609{day:02}T100000Z" for day in range(3, 16)
    ] + [made.name]
    monkeypatch.setenv("BACKUP__KEEP", "1")
    at(monkeypatch, 9)
    made.rename(made.with_name("20260920T100000Z"))
    only = backup.backup()
    assert backup.backups() == [only]


def test_a_second_backup_in_one_second_is_refused_and_the_first_stays(state, monkeypatch):
    at(monkeypatch, 1)
    made = backup.backup()
    with pytest.raises(backup.BackupError, match="is there already"):
        backup.backup()
    assert backup.backups() == [made]


def test_what_a_killed_backup_left_is_cleared_away_and_no_backup(state):
    left = state / "backups" / ".20260101T000000Z.part"
    left.mkdir(parents=True)
    (left / "manifest.json").write_text("{}", encoding="utf-8")
    assert backup.backups() == []
    made = backup.backup()
    assert [path.name for path in (state / "backups").iterdir()] == [made.name]


def test_backups_go_where_the_settings_say(state, monkeypatch, tmp_path):
    monkeypatch.setenv("BACKUP__FOLDER", str(tmp_path / "elsewhere"))
    assert backup.backup().parent == tmp_path / "elsewhere"
    assert (tmp_path / "elsewhere").stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv("BACKUP__FOLDER", "")
    assert backup.folder() == state / "backups"
    monkeypatch.setenv("BACKUP__FOLDER", "relative")
    assert backup.folder() == paths.root() / "relative"


def test_there_is_nothing_to_back_up_without_a_ledger(state):
    paths.ledger().unlink()
    with pytest.raises(
        backup.BackupError, match=r"nothing to back up: .*ledger.duckdb is not there"
    ):
        backup.backup()
    assert not paths.ledger().exists()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def another_ledger(path: Path) -> None:
    """A whole, valid ledger that is not the one backed up, with a manifest that vouches for its
    bytes.
    """
    plain = path.with_name("other.duckdb")
    with duckdb.connect(str(plain)) as connection:
        connection.execute(
            "create schema identity; create table identity.names as select 'quinn' as name union"
            " all select 'alex'"
        )
    path.write_bytes(gzip.compress(plain.read_bytes()))
    manifest = json.loads((path.parent / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"][path.name] = {"bytes": path.stat().st_size, "sha256": files.sha256(path)}
    (path.parent / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def no_manifest(path: Path) -> None:
    cut(path.parent / "manifest.json")


def of_tomorrow(path: Path) -> None:
    manifest = json.loads((path.parent / "manifest.json").read_text(encoding="utf-8"))
    (path.parent / "manifest.json").write_text(
        json.dumps(manifest | {"ledger_version": 99}), encoding="utf-8"
    )


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
    with pytest.raises(backup.NotRestorableError, match=says):
        backup.restore("latest" if says != "its manifest.json is damaged" else str(made))
    assert paths.ledger().read_bytes() == before
    assert not (state / "replaced").exists()


def test_restore_names_what_there_is(state):
    with pytest.raises(backup.NotRestorableError, match="there is no backup in"):
        backup.restore("latest")
    made = backup.backup()
    with pytest.raises(
        backup.NotRestorableError, match=rf"no backup 'yesterday'; in .* are {made.name}"
    ):
        backup.restore("yesterday")


def test_only_so_many_are_kept_and_copies_from_before_an_upgrade_are_not_among_them(
    state, monkeypatch
):
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
    with pytest.raises(
        backup.BackupError, match="No space left on device; the ones before are untouched"
    ):
        backup.backup()
    assert backup.backups() == [made]
    assert [path.name for path in (state / "backups").iterdir()] == [made.name]


def test_no_backup_while_somebody_writes_and_no_restore_while_a_night_runs(state, monkeypatch):
    made = backup.backup()
    monkeypatch.setattr(turns, "WAIT_SECONDS", 0.1)
    with night.lock():
        monkeypatch.delenv(turns.INHERITED)  # somebody typed it: no step of that night
        with pytest.raises(LockHeldError, match="a night is under way"):
            backup.restore(made.name)
    assert names() == ["quinn", "robin"]


def test_large_documents_and_other_programs_files_are_left_out(state):
    made = backup.backup()
    with tarfile.open(made / "documents.tar.gz") as packed:
        inside = packed.getnames()
    assert any(name.endswith("run.json") for name in inside)
    assert not any("dbt/" in name or name.endswith(".duckdb") for name in inside)
    assert made.stat().st_mode & 0o077 == 0


@pytest.mark.slow
def test_a_district_that_lost_ledger_and_warehouse_restores_one_and_the_next_night_builds_the_other_and_writes_nothing(  # noqa: E501
    district,
):
    """The whole point: the names, the lifecycle and what we last wrote are known again, so nothing
    has to be done.
    """
    names_before = district.ask(
        "select person_id, account_name, domain from identity.accounts order by all"
    )
    district.run("operations", "backup")
    (district.var / "ledger.duckdb").unlink()
    (district.var / "warehouse.duckdb").unlink()
    refused = district.run("demo", "again")
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert "make restore FROM=latest" in refused.stderr
    assert district.run("operations", "restore", "latest").returncode == 0
    before = len(district.requests())
    received = {
        path: path.stat().st_mtime_ns
        for path in (district.var / "demo" / "received").rglob("*")
        if path.is_file()
    }
    ended = district.run("demo", "again")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert writes(district.requests()[before:]) == []
    assert {
        path: path.stat().st_mtime_ns
        for path in (district.var / "demo" / "received").rglob("*")
        if path.is_file()
    } == received
    equal_to_exports(district)
    assert (
        district.ask("select person_id, account_name, domain from identity.accounts order by all")
        == names_before
    )
    assert [step["name"] for step in district.summaries()[-1]["steps"]][-1] == "backup"
    assert len(list((district.var / "backups").glob("*Z"))) > 1, "the night made its own"
