"""The archive's days: what is past them goes, a feed's last good file never does, and bytes that
are not those of their name are refused.
"""

from __future__ import annotations

import gzip
import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from common import paths, store
from ingestion import archive
from ingestion.__main__ import main

NOW = datetime(2027, 6, 1, 10, tzinfo=UTC)
SECOND = 1 / 86400  # of a day


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    monkeypatch.delenv("HOMEROOM_RUN", raising=False)
    monkeypatch.setattr(archive, "time", SimpleNamespace(time=NOW.timestamp))
    return paths.var()


def kept(content: str, feed: str = "people", source: str = "sis", age_days: float = 0) -> Path:
    """Archive some bytes; the file is so old."""
    original = paths.var() / "original"
    original.write_text(content, encoding="utf-8")
    path = archive.store(source, feed, original, hashlib.sha256(content.encode()).hexdigest())
    os.utime(path, (NOW.timestamp() - age_days * 86400,) * 2)
    return path


def met(path: Path, days_ago: float, status: str = "loaded", source: str = "sis") -> None:
    """A night so many days ago met the file."""
    with store.connect() as connection:
        connection.execute(
            "insert into ledger.audit.source_files (run_id, source, feed, status, sha256, read_at)"
            " values (?, ?, ?, ?, ?, ?)",
            [
                f"r{days_ago}",
                source,
                path.parent.name,
                status,
                path.stem,
                NOW - timedelta(days=days_ago),
            ],
        )


def past(keep_days: int, source: str = "sis") -> set[str]:
    with store.connect() as connection:
        return {path.stem for path in archive.past(connection, source, keep_days)}


def test_a_feeds_last_good_file_stays_however_old_it_is_and_whatever_came_after_it():
    first, last_good, refused = (
        kept("one", age_days=300),
        kept("two", age_days=200),
        kept("three", age_days=100),
    )
    met(first, 200), met(last_good, 100)
    for night in (3, 2, 1):
        met(refused, night, status="refused")
    assert past(30) == {first.stem, refused.stem}, (
        "a refused file is judged by its own age: no night ever took it"
    )
    met(first, 50, status="unchanged")
    assert past(30) == {last_good.stem, refused.stem}, (
        "the file in force is the one that was met last"
    )


def test_each_feed_and_each_source_has_a_last_good_file_of_its_own():
    people, courses, staff = (
        kept("one", "people"),
        kept("two", "courses"),
        kept("three", "people", "hr"),
    )
    for path, source in ((people, "sis"), (courses, "sis"), (staff, "hr")):
        met(path, 100, source=source)
    assert past(30) == past(30, "hr") == set()
    same_bytes_as_courses = kept("two", "people", age_days=100)
    met(same_bytes_as_courses, 110)
    assert past(30) == {same_bytes_as_courses.stem}
    assert [path.parent.name for path in _past_paths(30)] == ["people"]


def _past_paths(keep_days: int) -> list[Path]:
    with store.connect() as connection:
        return archive.past(connection, "sis", keep_days)


def test_a_files_days_count_from_the_last_night_it_was_in_force():
    """Thirty days to the second, and one second more; the file itself was touched today, as that of
    a copied archive is.
    """
    within, beyond, in_force = kept("one"), kept("two"), kept("three")
    met(within, 90), met(within, 30, status="unchanged")
    met(beyond, 30 + SECOND)
    met(in_force, 1)
    assert past(30) == {beyond.stem}
    assert past(29) == {within.stem, beyond.stem}
    assert past(31) == set()


def test_a_file_the_ledger_never_heard_of_is_judged_by_its_own_age():
    young, old = kept("one", age_days=30), kept("two", age_days=30 + SECOND)
    assert past(30) == {old.stem}
    assert young.is_file()


def test_without_being_told_to_nothing_goes_and_a_source_without_days_keeps_everything(
    monkeypatch, capsys, tmp_path
):
    layout = tmp_path / "lib.toml"
    layout.write_text(
        '[feeds.people]\nfiles = ["People*"]\ncolumns = ["Number"]\n', encoding="utf-8"
    )
    for name in ("SIS", "HR"):
        for key, value in {"KIND": "files", "LOCATION": tmp_path, "LAYOUT": layout}.items():
            monkeypatch.setenv(f"SOURCES__{name}__{key}", str(value))
    old, in_force, of_hr = kept(os.urandom(700_000).hex()), kept("two"), kept("three", source="hr")
    (
        met(old, 40),
        met(in_force, 35),
        met(of_hr, 400, source="hr"),
        met(kept("four", source="hr"), 390, source="hr"),
    )
    monkeypatch.setenv("SOURCES__SIS__KEEP_DAYS", "30")
    size = f"{old.stat().st_size / 1e6:,.1f} MB"
    assert main(["retention", "--source", "sis", "--source", "hr"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert {one for one in said if one.startswith(("sis", "hr", " "))} == {
        "hr: keep_days is not set, everything is kept",
        f"sis: 1 files older than 30 days, {size}",
        f"  sis/people/{old.name}",
    }
    assert said[-1] == 'nothing was deleted; "python -m ingestion retention --really" does it'
    assert old.is_file()
    assert main(["retention", "--source", "sis", "--source", "hr", "--really"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "deleted"
    assert [path.is_file() for path in (old, in_force, of_hr)] == [False, True, True]
    assert main(["retention", "--source", "sis", "--really"]) == 0
    assert "deleted" not in capsys.readouterr().out
    assert in_force.is_file()


@pytest.mark.parametrize("wrong", ["0", "-1", "30.0", "true", '"30"'])
def test_days_that_are_no_whole_number_of_one_or_more_let_nothing_go(
    monkeypatch, capsys, tmp_path, wrong
):
    monkeypatch.setenv("SOURCES__SIS__KIND", "files")
    monkeypatch.setenv("SOURCES__SIS__LAYOUT", "myedbc")
    monkeypatch.setenv("SOURCES__SIS__LOCATION", str(tmp_path))
    monkeypatch.setenv("SOURCES__SIS__KEEP_DAYS", wrong)
    old = kept("one", age_days=4000)
    assert main(["retention", "--source", "sis", "--really"]) == 1
    assert "[sources.sis] keep_days is " in capsys.readouterr().err
    assert old.is_file()


def _night(days_ago: float, memory: bool = True) -> Path:
    began = NOW - timedelta(days=days_ago)
    folder = paths.runs() / f"{began:%Y%m%dT%H%M%SZ}-{int(days_ago * 24):04x}"
    (folder / "memory").mkdir(parents=True) if memory else folder.mkdir(parents=True)
    return folder


def test_the_memory_of_a_night_goes_after_its_days_and_the_newest_never():
    beyond, within = _night(30 + SECOND), _night(30)
    assert archive.past_memories(30) == [beyond / "memory"]
    assert archive.past_memories(29) == [beyond / "memory"], "the newest keeps its own"
    _night(0, memory=False)
    assert archive.past_memories(29) == [beyond / "memory"], (
        "a night that keeps none is not the newest that does"
    )
    _night(1)
    assert archive.past_memories(30) == [beyond / "memory"], (
        "thirty days to the second are not past"
    )
    assert archive.past_memories(29) == [beyond / "memory", within / "memory"]
    (within / "memory").rmdir()
    (within / "memory").write_text("no folder", encoding="utf-8")
    assert archive.past_memories(29) == [beyond / "memory"]


def test_equal_bytes_are_stored_once_and_give_equal_archives():
    path = kept("Zoë,1\r\n" * 1000)
    first = path.read_bytes()
    assert (
        path
        == paths.var()
        / "archive"
        / "sis"
        / "people"
        / f"{hashlib.sha256(('Zoë,1' + chr(13) + chr(10)).encode() * 1000).hexdigest()}.gz"
    )
    os.utime(path, (5, 5))
    assert kept("Zoë,1\r\n" * 1000) == path
    path.unlink()
    kept("Zoë,1\r\n" * 1000)
    assert path.read_bytes() == first
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert first[3:8] == bytes(5), "neither a name nor a time stamp of gzip's own"
    assert len(first) < 1000, "packed"
    assert gzip.decompress(first) == "Zoë,1\r\n".encode() * 1000


def test_a_file_that_is_there_already_is_not_written_again(tmp_path):
    path = kept("one")
    with pytest.raises(FileNotFoundError):
        archive.store("sis", "people", tmp_path / "gone", "0" * 64)
    assert [file.name for file in path.parent.iterdir()] == [path.name], (
        "nothing half is left of what could not be read"
    )
    path.write_bytes(b"as it is")
    assert archive.store("sis", "people", tmp_path / "not even read", path.stem) == path
    assert path.read_bytes() == b"as it is"


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def _another(path: Path) -> None:
    path.write_bytes(gzip.compress(b"other bytes, whole"))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_cut, "cannot be unpacked"),
        (Path.unlink, "cannot be unpacked"),
        (_another, "does not hold the bytes its name promises"),
        (lambda path: path.write_bytes(b"no gzip"), "cannot be unpacked"),
    ],
)
def test_bytes_that_are_not_those_of_their_name_are_refused(tmp_path, spoil, says):
    path = kept("a good file, of more than a few bytes" * 50)
    spoil(path)
    with pytest.raises(archive.ArchiveDamagedError, match=f"{path.name} {says}.*put its copy back"):
        archive.restore("sis", "people", path.stem, tmp_path / "to" / "People.csv")


def test_bytes_come_back_as_they_were(tmp_path):
    content = "Zoë,1\r\n" * 400_000
    path = kept(content)
    for _ in range(2):
        assert (
            archive.restore(
                "sis", "people", path.stem, tmp_path / "to" / "it" / "People.csv"
            ).read_bytes()
            == content.encode()
        )
    assert (tmp_path / "to" / "it").stat().st_mode & 0o777 == 0o700
