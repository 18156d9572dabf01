"""What no model reads is landed nowhere: not in the warehouse, not in dlt's folders, not in the
copy people query; a system that is asked by column is not asked for it.
"""

from __future__ import annotations

import gzip
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import dlt_kit
import pytest
from rest_server import running
from workbook import workbook

from common import paths, store
from common.runs import Run
from ingestion import layout, replay, unread
from ingestion.__main__ import _sources, main

CANARY = "CANARY-7361"
MODEL = """
-- note and {{ source('library', 'other') }} are only spoken of
with source as (select * from {{ source('library', 'loans') }})
select source.id, source.book from source
"""
FILES = """
[sources.library]
kind = "files"
location = "{place}/in"
layout = "{place}/library.toml"
"""
LAYOUT = """
[feeds.loans]
files = ["loans.*"]
columns = ["id", "book", "note"]
key = ["id"]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A project with one model, and the settings that are given."""
    monkeypatch.setenv("HOMEROOM_PROJECT", str(tmp_path))
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    monkeypatch.delenv("HOMEROOM_RUN", raising=False)
    for folder in ("models", ".dlt", "in"):
        (tmp_path / folder).mkdir()
    (tmp_path / "models/loans.sql").write_text(MODEL)

    def with_settings(text: str) -> None:
        (tmp_path / ".dlt/config.toml").write_text(text)

    return with_settings


def found_in() -> list[str]:
    """The files below var/ in which the canary stands; the archive is packed."""
    return sorted(
        str(path.relative_to(paths.var()))
        for path in paths.var().rglob("*")
        if path.is_file() and CANARY.encode() in path.read_bytes()
    )


def landed() -> list[tuple]:
    with store.connect() as connection:
        return connection.execute(
            "select * exclude (_file, _loaded_at, _run_id, _dlt_load_id) from raw_library.loans"
            " order by 1"
        ).fetchall()


def rows(kind: str) -> bytes:
    lines = [["id", "book", "note"], *([f"{at}", f"Band {at}", CANARY] for at in range(1, 4))]
    if kind == "excel":
        return workbook(loans=lines)
    if kind == "fixed":
        return "".join(f"{at:<4}{book:<8}{note:<12}\n" for at, book, note in lines[1:]).encode()
    return "".join(",".join(line) + "\n" for line in lines).encode()


@pytest.mark.parametrize(
    ("kind", "more", "first"),
    [
        ("delimited", "", 2),
        ("excel", 'format = "excel"', 2),
        ("fixed", 'format = "fixed"\npositions = ["1-4", "5-12", "13-24"]', 1),
    ],
)
def test_a_column_of_a_file_that_no_model_reads_is_landed_nowhere(
    project: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    more: str,
    first: int,
) -> None:
    project(FILES.format(place=tmp_path))
    (tmp_path / "library.toml").write_text(LAYOUT + more)
    name = "loans.xlsx" if kind == "excel" else "loans.csv"
    (tmp_path / "in" / name).write_bytes(rows(kind))
    assert main([]) == 0
    assert landed() == [(f"{at}", f"Band {at}", first + at - 1) for at in range(1, 4)]
    assert found_in() == []
    assert list((paths.var() / "archive").rglob("*.gz")), "the archive has the file as it came"

    monkeypatch.setenv("SOURCES__LIBRARY__LAND_UNREAD", "true")
    assert main([]) == 0
    assert landed()[0] == ("1", "Band 1", CANARY, first), "unless a district wants it there"


@pytest.mark.parametrize("where", ["ARCHIVE__KEEP_ORIGINALS", "SOURCES__LIBRARY__KEEP_ORIGINALS"])
def test_without_originals_a_column_that_no_model_reads_stands_nowhere_and_what_is_lost_comes_again(
    project: Callable[..., None], tmp_path: Path, monkeypatch, capsys, where: str
) -> None:
    project(FILES.format(place=tmp_path))
    (tmp_path / "library.toml").write_text(LAYOUT)
    file = tmp_path / "in/loans.csv"
    file.write_text(f"id,book,note\n1,Moss,{CANARY}\n2,Reed,\n")
    assert main(["ingest"]) == 0
    kept = list((paths.var() / "archive").rglob("*.gz"))
    assert len(kept) == 1 and CANARY.encode() in gzip.decompress(kept[0].read_bytes())
    monkeypatch.setenv(where, "false")
    assert main(["retention", "--really"]) == 0
    assert "library: keep_originals = false, 1 files of before" in capsys.readouterr().out
    file.write_text(f"id,book,note\n1,Moss,{CANARY}\n2,Reed,\n3,Fern,\n")
    assert main(["ingest"]) == 0
    assert len(landed()) == 3
    assert found_in() == []
    assert main(["check"]) == 0
    assert "archive: no original file of library is kept" in capsys.readouterr().out
    assert [one for one in (paths.var() / "archive").rglob("*") if one.is_file()] == []
    with store.connect() as connection:
        query = "select archived_as from ledger.audit.source_files order by read_at desc limit 1"
        assert connection.execute(query).fetchall() == [(None,)]
    # the warehouse is lost: the file that lies there is read again, one that does not is waited for
    paths.warehouse().unlink()
    assert main(["ingest"]) == 0
    assert len(landed()) == 3
    assert "archive_damaged" not in capsys.readouterr().err
    paths.warehouse().unlink()
    file.unlink()
    assert main(["ingest"]) == 3
    assert "library loans" in capsys.readouterr().err
    assert landed() == []
    with store.connect() as connection:
        nights = "select run_id from ledger.audit.source_files order by read_at limit 1 offset 2"
        (run_id,) = connection.execute(nights).fetchone()
    with pytest.raises(replay.NotInArchiveError, match="keep_originals = false"):
        replay.replay(_sources(())[0], Run.load(run_id))
    file.write_text("id,book,note\n1,Moss,\n2,Reed,\n3,Fern,\n")
    assert main(["ingest"]) == 0
    assert len(landed()) == 3


def test_a_column_of_a_table_that_no_model_reads_is_not_asked_for(
    project: Callable[..., None], tmp_path: Path
) -> None:
    database = sqlite3.connect(tmp_path / "loans.sqlite", isolation_level=None)
    database.execute("create table loans (id text, book text, note text, changed text)")
    database.execute("insert into loans values ('1', 'Band 1', ?, '2026-10-01')", [CANARY])
    project(
        f'[sources.library]\nkind = "sql"\nurl = "sqlite:///{tmp_path}/loans.sqlite"\n'
        '[sources.library.tables.loans]\ncolumns = ["id", "book", "note", "changed"]\n'
        'key = ["id"]\ncursor = "changed"\n'
    )
    assert main([]) == 0
    assert landed() == [("1", "Band 1", "2026-10-01", 2)], "changes are read by the last"
    assert found_in() == []


def test_a_column_of_an_api_that_no_model_reads_is_kept_nowhere(
    project: Callable[..., None],
) -> None:
    with running([{"id": "1", "book": "Band 1", "note": CANARY}]) as api:
        project(
            f'[sources.library]\nkind = "rest"\nbase_url = "{api.url}"\n'
            'paginator = {type = "json_link", next_url_path = "next"}\n'
            '[sources.library.resources.loans]\npath = "link"\ndata = "data.items"\n'
            'columns = ["id", "book", "note"]\nkey = ["id"]\n'
        )
        assert main([]) == 0
    assert landed() == [("1", "Band 1", 2)]
    assert found_in() == []


def test_a_column_of_a_dlt_source_that_no_model_reads_is_kept_nowhere(
    project: Callable[..., None], tmp_path: Path
) -> None:
    (tmp_path / "models/loans.sql").write_text(
        MODEL.replace("'loans'", "'devices'")
        .replace("source.id", "source.serial")
        .replace("source.book", "source.bought")
    )
    project(
        '[sources.library]\nkind = "dlt"\nsource = "dlt_kit:registry"\n'
        'arguments = {key = "the key"}\n'
        "[sources.library.resources.devices]\n"
        'columns = ["serial", "secret", "bought"]\nkey = ["serial"]\n'
    )
    assert dlt_kit.DEVICES[0]["secret"] == "CANARY"
    assert main([]) == 0
    assert not [
        path for path in paths.var().rglob("*") if path.is_file() and b"CANARY" in path.read_bytes()
    ]


def test_a_column_that_was_landed_goes_with_the_last_model_that_read_it(
    project: Callable[..., None], tmp_path: Path
) -> None:
    project(FILES.format(place=tmp_path))
    (tmp_path / "library.toml").write_text(LAYOUT)
    (tmp_path / "in/loans.csv").write_bytes(rows("delimited"))
    (tmp_path / "models/loans.sql").write_text(MODEL + ", source.note")
    assert main([]) == 0
    assert len(landed()[0]) == 4
    (tmp_path / "models/loans.sql").write_text(MODEL)
    assert main([]) == 0
    assert len(landed()[0]) == 3


@pytest.mark.parametrize("system", ["myedbc", "oneroster", "hr"])
def test_what_is_landed_of_our_systems_is_what_staging_names_or_the_gate_asks(system: str) -> None:
    """By another reading of the same SQL: the columns staging takes from its source."""
    known = layout.load(system)
    kept = unread.less(system, known, ())
    for feed in kept.feeds:
        texts = [
            path.read_text(encoding="utf-8")
            for path in (paths.root() / "models/staging" / system).glob("*.sql")
            if f"source('{system}', '{feed.name}')" in path.read_text(encoding="utf-8")
        ]
        named = {name for text in texts for name in re.findall(r"\bsource\.(\w+)", text)}
        missing = named & {one.name for one in feed.columns if not one.restricted} - {*feed.landed}
        assert not missing, f"{feed.name}: staging reads what is not landed"
    students = next((one for one in kept.feeds if one.name == "parent_information"), None)
    assert students is None or "street_name" not in students.landed
