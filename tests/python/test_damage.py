"""Damage: what is cut, empty or changed on the disk is found by opening and checking, never by an
error's wording, and each has the sentence and the way out docs/when-it-fails.md promises.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from night_kit import night

from common import damage, files, paths, store, versions
from ingestion import archive
from operations import backup, preflight

ROOT = paths.root()
BLOCK = 262_144


@pytest.fixture(autouse=True)
def var(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    monkeypatch.setattr(store, "WAIT_SECONDS", 0.3)
    with store.connect() as connection:
        for catalog in ("warehouse", "ledger"):
            connection.execute(
                f"create schema {catalog}.much; create table {catalog}.much.rows as"
                " select range as x, sha256(cast(range as varchar)) as y from range(20000)"
            )
    return paths.var()


FILES = {"warehouse": paths.warehouse, "ledger": paths.ledger}


def cut(path: Path, to: int) -> None:
    os.truncate(path, to)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "whole.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "create table rows as select range as x, sha256(cast(range as varchar)) as y"
            " from range(20000)"
        )
    return path


@given(share=st.floats(0, 1, exclude_max=True))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_database_cut_anywhere_is_found_unless_every_row_is_before_the_cut(
    whole, tmp_path, share
):
    path = tmp_path / "cut.duckdb"
    shutil.copyfile(whole, path)
    assert damage.seen(path) == damage.opened(path, read=True) == ""
    cut(path, int(path.stat().st_size * share))
    assert (damage.opened(path) == "") is all_rows(path)


def all_rows(path: Path) -> bool:
    with duckdb.connect() as connection:
        try:
            connection.execute(f"attach '{path}' as it (read_only)")
            return len(connection.execute("select * from it.rows").fetchall()) == 20_000
        except duckdb.Error:
            return False


def test_a_whole_database_may_be_shorter_than_its_blocks(whole, tmp_path, monkeypatch):
    """Where its last blocks are free: then its rows say whether it is whole."""
    monkeypatch.setattr(damage, "_is_short", lambda _: True)
    assert damage.opened(whole) == ""


@given(at=st.integers(0, 1 << 30), other=st.binary(min_size=1, max_size=64))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bytes_changed_anywhere_are_found_by_reading_unless_no_row_stands_there(
    whole, tmp_path, at, other
):
    path = tmp_path / "changed.duckdb"
    shutil.copyfile(whole, path)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(at % (size - len(other)))
        file.write(other)
    assert (damage.opened(path, read=True) == "") is all_rows(path)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("to", [0, 1, 4096, 12_288, "half", "less one block", "less one byte"])
@pytest.mark.parametrize("read_only", [False, True])
def test_whoever_opens_a_cut_one_is_told_which_and_the_way_out(name, to, read_only):
    night(0)
    path = FILES[name]()
    size = path.stat().st_size
    sizes = {"half": size // 2, "less one block": size - BLOCK, "less one byte": size - 1}
    cut(path, sizes.get(to, to))
    if to in ("less one block", "less one byte"):  # where maybe nothing stands that is asked
        with contextlib.suppress(store.StoreDamagedError):
            store.look()
            with store.connect(read_only) as connection:
                connection.execute(f"select sum(hash(t)) from {name}.much.rows as t").fetchall()
        return
    with pytest.raises(store.StoreDamagedError) as told:
        store.look()
    assert told.value.path == path
    with pytest.raises(store.StoreDamagedError) as told, store.connect(read_only) as connection:
        connection.execute(f"select sum(hash(t)) from {name}.much.rows as t").fetchall()
    assert told.value.path == path
    assert {
        "warehouse": "the next night moves it aside and builds it again from the archive",
        "ledger": 'put its last copy back with "make restore FROM=latest"',
    }[name] in str(told.value)


@pytest.mark.parametrize("name", FILES)
def test_a_block_gone_bad_is_named_by_whoever_reads_it_and_by_the_night_after(name):
    night(0, exit_code=1)
    path = FILES[name]()
    with path.open("r+b") as file:
        for at in range(12_288 + 100_000, path.stat().st_size, BLOCK):
            file.seek(at)
            file.write(random.Random(at).randbytes(64))
    with pytest.raises(store.StoreDamagedError) as told, store.connect(True) as connection:
        connection.execute(f"select sum(hash(t)) from {name}.much.rows as t").fetchall()
    assert told.value.path == path
    found, code = preflight.ready()
    assert [one.code for one in found] == [f"{name}_damaged"]
    assert code == {"warehouse": 0, "ledger": 2}[name]


def test_an_error_of_another_kind_is_nobodys_damage():
    night(0)
    with pytest.raises(duckdb.IOException), store.connect() as connection:
        connection.execute("from read_parquet('not-there.parquet')")
    with pytest.raises(duckdb.CatalogException), store.connect() as connection:
        connection.execute("from not_there")


def test_who_waits_for_another_process_does_not_call_its_file_damaged(var):
    night(0)
    for path in (paths.warehouse(), paths.ledger()):
        code = (
            "import duckdb, sys, time; c = duckdb.connect(sys.argv[1]); print('open', flush=True);"
            " time.sleep(60)"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE
        ) as other:
            assert other.stdout is not None
            other.stdout.readline()
            for read_only in (True, False):
                with pytest.raises(store.StoreBusyError), store.connect(read_only):
                    pass
            assert damage.held(path, read_only=True) and damage.opened(path, read=True) == ""
            other.kill()
    with store.connect():
        pass


@pytest.mark.parametrize("name", FILES)
def test_nothing_decides_by_what_an_error_says(name, monkeypatch):
    """Whatever words DuckDB has for it."""
    night(0)
    cut(FILES[name](), 100_000)
    real = duckdb.connect

    def mumbling(*given, **more):
        try:
            return real(*given, **more)
        except duckdb.Error as error:
            raise type(error)("zut") from None

    monkeypatch.setattr(duckdb, "connect", mumbling)
    with pytest.raises(store.StoreDamagedError), store.connect():
        pass


def test_an_empty_ledger_is_none_to_begin_anew_with_once_a_night_was_finished():
    """DuckDB takes an empty file for a new database: every name ever issued would be forgotten."""
    night(0)
    cut(paths.ledger(), 0)
    found, code = preflight.ready()
    assert ([one.code for one in found], code) == (["ledger_damaged"], 2)
    assert paths.ledger().stat().st_size == 0


def test_a_cut_ledger_is_put_back_as_the_sentence_says(var):
    night(0)
    made = backup.backup()
    cut(paths.ledger(), 50_000)
    found, code = preflight.ready()
    assert code == 2 and "make restore FROM=latest" in found[0].message
    backup.restore("latest")
    assert preflight.ready() == ([], 0)
    with store.connect() as connection:
        assert connection.execute("select count(*) from ledger.much.rows").fetchone() == (20_000,)
    assert made.is_dir()


def test_a_cut_warehouse_is_moved_aside_and_made_anew(var):
    night(0)
    cut(paths.warehouse(), paths.warehouse().stat().st_size // 2)
    found, code = preflight.ready()
    assert ([one.code for one in found], code) == (["warehouse_damaged"], 0)
    assert list((var / "replaced").glob("*/warehouse.duckdb"))
    with store.connect() as connection:
        assert versions.version(connection, "warehouse") == len(versions.migrations("warehouse"))
    assert preflight.ready() == ([], 0)


@pytest.mark.parametrize("to", [0, 5000, 0.5])
def test_who_reads_a_damaged_published_copy_is_told_so_and_the_night_says_it(var, to):
    night(0)
    paths.published().parent.mkdir()
    with duckdb.connect(str(paths.published())) as connection:
        connection.execute("create table t as select range as x from range(100000)")
    size = paths.published().stat().st_size
    cut(paths.published(), int(size * to) if isinstance(to, float) else to)
    for verb in (["explain", "1000001"], ["audit", "1"]):
        ended = subprocess.run(
            [sys.executable, "-m", "operations", *verb],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 2
        assert re.search("published copy .* cannot be read .*the next night makes it", ended.stderr)
        assert "Traceback" not in ended.stderr
    found, code = preflight.ready()
    assert ([one.code for one in found], code) == (["published_damaged"], 0)
    assert preflight.ready() == ([], 0)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "x").touch()


def a_link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "elsewhere" / "gone")


def random_bytes(path: Path) -> None:
    path.write_bytes(random.Random(0).randbytes(path.stat().st_size))


@pytest.mark.parametrize("instead", [a_folder, a_link_to_nothing, random_bytes])
@pytest.mark.parametrize("name", ["ledger", "warehouse", "published"])
def test_whatever_stands_where_a_database_should_the_night_says_so_and_there_is_a_way_out(
    var, name, instead
):
    night(0)
    backup.backup()
    paths.published().parent.mkdir()
    with duckdb.connect(str(paths.published())) as connection:
        connection.execute("create table t as select range as x from range(100000)")
    instead({"ledger": paths.ledger, "warehouse": paths.warehouse}.get(name, paths.published)())
    found, code = preflight.ready()
    codes = [one.code for one in found]
    if name == "ledger":
        assert code == 2 and codes in (["ledger_damaged"], ["ledger_gone"])
        assert "make restore FROM=latest" in found[0].message
        backup.restore("latest")
    elif instead is a_link_to_nothing and name == "published":
        assert (codes, code) == ([], 0), "nothing is published, as before the first night"
    else:
        assert (codes, code) == ([f"{name}_damaged"], 0)
    assert preflight.ready() == ([], 0)


def test_a_published_copy_whose_mode_lets_nobody_read_it_is_made_anew(var, monkeypatch):
    night(0)
    backup.backup()
    paths.published().parent.mkdir()
    paths.published().write_bytes(b"x" * 50_000)
    monkeypatch.setattr(damage, "opened", lambda *_, **__: refuse())  # root may read everything

    def refuse():
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(store, "look", lambda: None)
    found, code = preflight.ready()
    assert ([one.code for one in found], code) == (["published_damaged"], 0)
    assert "sudo chmod -R u+rwX" in found[0].message
    assert not paths.published().exists()


# ---------------------------------------------------------------- the archive, the backups


def received(content: str, sha256: str = "") -> Path:
    """A file as it was fetched."""
    path = paths.var() / "received" / (sha256 or "file.csv")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def archived(number: int, feed: str = "people") -> tuple[Path, Path]:
    """An archived file, and the one it is of."""
    original = received(f"key,name\n{number},Quinn\n" * 50, f"{feed}{number}.csv")
    return archive.store("sis", feed, original, files.sha256(original)), original


def known(*pairs: tuple[Path, Path]) -> dict[tuple[str, str, str], int]:
    return {
        ("sis", path.parent.name, path.stem): original.stat().st_size for path, original in pairs
    }


DAY = date(2026, 11, 2)


def looked(nights: int, sizes: dict, landing: Path | None = None) -> int:
    """After how many nights the first damaged one was noticed; 0 for none of them."""
    there = {"sis": landing} if landing else {}
    for one in range(nights):
        if archive.look(sizes, there, DAY + timedelta(days=one)) or archive.damaged():
            return one + 1
    return 0


@pytest.mark.parametrize("to", [0, 1, 17, 0.5, -1])
def test_an_archived_file_that_was_cut_is_named_the_same_night_and_every_night_after(to):
    pairs = [archived(number) for number in range(5)]
    sizes = known(*pairs)
    assert looked(archive.ROUND, sizes) == 0
    path, original = pairs[3]
    size = path.stat().st_size
    cut(path, int(size * to) if isinstance(to, float) else to % size)
    original.unlink()
    for _ in range(2):
        assert looked(1, sizes) == 1
        assert [one.name for one in archive.damaged()] == [f"{path.name}.damaged"]
    with pytest.raises(archive.ArchiveDamagedError, match="put its copy back"):
        archive.restore("sis", "people", path.stem, paths.var() / "there")
    archive.store("sis", "people", archived(3)[1], path.stem)
    assert looked(1, sizes) == 0 and not list(path.parent.glob("*.damaged"))


@given(at=st.integers(10, 1 << 20), bit=st.integers(0, 7))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_bit_of_an_archived_file_is_noticed_within_a_round_of_nights(at, bit):
    path, original = archived(1)
    changed = bytearray(path.read_bytes())
    changed[at % (len(changed) - 10) + 10] ^= 1 << bit
    path.write_bytes(changed)
    noticed = looked(archive.ROUND, known((path, original)))
    # gzip leaves bytes unread that say nothing of the content
    with contextlib.suppress(archive.ArchiveDamagedError):
        archive.restore("sis", "people", path.stem, paths.var() / "there")
        assert not noticed
        return
    assert noticed
    for left in path.parent.iterdir():
        left.unlink()


@pytest.mark.parametrize("where", ["of tonight", "elsewhere in the archive", "in its folder"])
def test_a_damaged_archived_file_is_written_anew_where_its_bytes_are_at_hand(where, tmp_path):
    path, original = archived(1)
    sizes, whole = known((path, original)), path.read_bytes()
    landing = tmp_path / "landing"
    landing.mkdir()
    if where == "elsewhere in the archive":
        archive.store("sis", "others", original, path.stem)
    if where == "in its folder":
        shutil.copyfile(original, landing / "People of Monday.csv")
    cut(path, 30)
    if where == "of tonight":
        assert archive.look(sizes, {}, DAY) == []
        assert archive.keep("sis", "people", original, path.stem, there=True)
    else:
        assert archive.look(sizes, {"sis": landing}, DAY) == [path]
    assert path.read_bytes() == whole and archive.damaged() == []
    assert not archive.keep("sis", "people", original, path.stem, there=True)


def test_bytes_of_another_file_never_heal_one(tmp_path):
    path, original = archived(1)
    other, _ = archived(2, "others")
    shutil.copyfile(other, other.with_name(path.name))  # under a name that is not its own
    (tmp_path / "x.csv").write_text("key,name\n")
    cut(path, 30)
    assert archive.look(known((path, original)), {"sis": tmp_path}, DAY) == []
    assert len(archive.damaged()) == 1


def test_what_is_damaged_goes_with_its_days_as_the_whole_one_would():
    pairs = [archived(number) for number in (1, 2)]
    with store.connect() as connection:
        for number, (path, _) in enumerate(pairs):
            connection.execute(
                "insert into ledger.audit.source_files (run_id, source, feed, status, sha256,"
                " read_at) values (?, 'sis', 'people', 'loaded', ?, now() - to_days(?))",
                [f"r{number}", path.stem, 400 - number],
            )
        for path, _ in pairs:
            path.rename(path.with_name(path.name + archive.DAMAGED))
        past = archive.past(connection, "sis", 30)
    assert past == [pairs[0][0].with_name(pairs[0][0].name + archive.DAMAGED)]


def made(count: int) -> list[Path]:
    """So many backups, one after the other."""
    first = backup.backup()
    every = [first]
    for number in range(1, count):
        name = f"{datetime.now(UTC) - timedelta(days=number):%Y%m%dT%H%M%SZ}"
        every.append(shutil.copytree(first, first.with_name(name)))
    return sorted(every)


@pytest.mark.parametrize("name", [backup.LEDGER, backup.DOCUMENTS, backup.MANIFEST])
@pytest.mark.parametrize("to", [0, 0.5])
def test_an_older_backup_that_was_cut_is_named_and_never_put_back_by_mistake(name, to):
    night(0)
    every = made(4)
    assert backup.looked_over(DAY) == []
    for damaged in (every[1], every[-1]):
        cut(damaged / name, int((damaged / name).stat().st_size * to))
    for _ in range(2):  # every night until somebody removed it
        found = backup.looked_over(DAY)
        assert [one.code for one in found] == ["backup_damaged"] * 2
        assert [Path(str(one.values["path"])).name for one in found] == [
            f"{every[1].name}.damaged",
            f"{every[-1].name}.damaged",
        ]
        assert every[0].name in found[0].message and every[2].name in found[0].message
    assert backup.backups() == [every[0], every[2]]
    assert backup.restore("latest")[0] == every[2]


def test_bytes_changed_in_an_older_backup_are_noticed_within_as_many_nights_as_there_are():
    night(0)
    every = made(5)
    with (every[2] / backup.LEDGER).open("r+b") as file:
        file.seek(100)
        file.write(b"changed")
    found = [backup.looked_over(DAY + timedelta(days=one)) for one in range(5)]
    assert sum(1 for one in found if one) >= 1
    assert found[-1] and every[2] not in backup.backups()


def test_a_damaged_copy_of_an_upgrade_is_named_too(var):
    night(0)
    with store.connect() as connection:
        copy = versions.copy_ledger(connection, 3)
    assert backup.looked_over(DAY) == []
    cut(copy, 20_000)
    assert [one.code for one in backup.looked_over(DAY)] == ["backup_damaged"]


@pytest.mark.parametrize("instead", [a_folder, a_link_to_nothing, random_bytes])
def test_whatever_stands_where_an_archived_file_should_is_named(var, instead):
    first, second = archived(1), archived(2)
    instead(first[0])
    assert looked(31, known(first, second)) == 1
    assert [path.name for path in archive.damaged()] == [first[0].name + archive.DAMAGED]
    archive.store("sis", "people", first[1], first[0].stem)  # its copy is put back
    assert archive.damaged() == []


@pytest.mark.parametrize("instead", [a_folder, a_link_to_nothing, random_bytes])
def test_the_file_of_tonight_takes_the_place_of_whatever_stands_in_its_own(var, instead):
    path, original = archived(1)
    instead(path)
    assert archive.keep("sis", "people", original, path.stem, there=True)
    assert archive.restore("sis", "people", path.stem, paths.var() / "back").read_bytes() == (
        original.read_bytes()
    )


@pytest.mark.parametrize("instead", [a_folder, a_link_to_nothing, random_bytes])
@pytest.mark.parametrize("name", [backup.LEDGER, backup.DOCUMENTS, backup.MANIFEST])
def test_whatever_stands_where_a_part_of_a_backup_should_is_named(var, instead, name):
    night(0)
    with store.connect():
        pass
    instead(backup.backup() / name)
    (found,) = backup.looked_over(DAY)
    assert found.code == "backup_damaged"
    assert backup.backups() == [], "nothing is put back from it by mistake"
