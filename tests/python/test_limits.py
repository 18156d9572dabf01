"""Nothing that comes fills memory: what is larger than the limits is refused, or rejected alone, in
a sentence, by every reader, in a process that may not have more memory than a night is given.
"""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import sftp_server
from workbook import workbook

from reverse_etl.targets.replies import json_of

MEMORY = 3 << 30  # address space, most of it libraries and what DuckDB reserves
MB = 1_000_000
LAYOUT = """
archives = ["*.zip"]

[feeds.loans]
files = ["loans.*"]
columns = ["id", "book", "note"]
key = ["id"]
required = ["id", "book"]
{more}
"""
FIXED = 'format = "fixed"\npositions = ["1-4", "5-10", "11-20"]'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path


def ingest(place: Path, **settings: str) -> tuple[int, dict[str, Any], str]:
    """One ingestion in a process of its own: its exit code, its feed, all it said."""
    files = {"KIND": "files", "LOCATION": str(place / "in"), "LAYOUT": str(place / "library.toml")}
    given = {**({} if "KIND" in settings else files), **settings}
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(place),
        "HOMEROOM_VAR": str(place / "var"),
        "HOMEROOM_MEMORY": "512MB",
        "PYTHONPATH": str(Path(__file__).parent),
        **{f"SOURCES__LIBRARY__{name}": value for name, value in given.items()},
    }
    done = subprocess.run(
        [sys.executable, "-m", "ingestion", "--source", "library"],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )
    said = done.stdout + done.stderr
    assert "Traceback" not in said, said[-3000:]
    entries = json.loads((place / "var/runs/latest/feeds.json").read_text(encoding="utf-8"))
    assert entries, said
    return done.returncode, entries[0], said


def layout(place: Path, more: str = "") -> None:
    (place / "library.toml").write_text(LAYOUT.format(more=more))


def rows(count: int) -> str:
    return "".join(f"{at},Band {at},\n" for at in range(1, count + 1))


GOOD = "id,book,note\n" + rows(40)


@pytest.mark.parametrize(
    "long",
    [
        '41,Band,"' + "x" * 60 * MB + '"\n',
        "41,Band," + "x" * 60 * MB + "\n",
        '41,Band,"' + '""' * 30 * MB + '"\n',
        "41" + "," * 900_000 + "\n",
    ],
    ids=["quoted", "bare", "doubled quotation marks", "900,000 columns"],
)
def test_a_row_that_is_too_long_is_rejected_alone(place: Path, long: str) -> None:
    layout(place)
    (place / "in/loans.csv").write_text(GOOD + long + "42,Band,\n")
    code, entry, _ = ingest(place)
    assert (code, entry["landed"], entry["rejected"]) == (0, 41, 1)
    found = (place / "var/runs/latest/findings.jsonl").read_text()
    assert "line 42" in found or '"reject_fields"' in found


def test_a_value_that_is_too_long_is_rejected_with_its_place_and_what_to_set(place: Path) -> None:
    layout(place)
    (place / "in/loans.csv").write_text(GOOD + "41,Band," + "x" * 300_000 + "\n42,Band,\n")
    code, entry, _ = ingest(place)
    assert (code, entry["landed"], entry["rejected"]) == (0, 41, 1)
    said = (place / "var/runs/latest/findings.jsonl").read_text()
    assert "value 3 is longer than 256 kB" in said or "rows_reject_long_value" in said
    code, entry, _ = ingest(place, LIMITS__VALUE_KILOBYTES="400")
    assert (code, entry["status"]) == (0, "unchanged")


@pytest.mark.parametrize("inside", ["a\n", '",\n'], ids=["plain", "quotation marks"])
def test_a_value_that_swallows_the_file_is_no_million_findings(place: Path, inside: str) -> None:
    layout(place)
    (place / "in/loans.csv").write_text(GOOD + '41,Band,"' + inside * (20 * MB // len(inside)))
    code, entry, _ = ingest(place, LIMITS__REJECTS="1000")
    assert code == 3
    assert "more than 1,000 of its rows cannot be read, the first in line 42" in entry["message"]
    assert "raise rejects in [sources.library.limits]" in entry["message"]


@pytest.mark.parametrize("line", ["id,book" + ",x" * 900_000, "1,2" + "," * 900_000])
def test_a_file_of_900_000_columns_is_refused_at_its_first_line(place: Path, line: str) -> None:
    layout(place)
    (place / "in/loans.csv").write_text(line + "\n" + rows(40))
    code, entry, _ = ingest(place)
    assert code == 3
    assert "columns or more in line 1, limit 2,000; nothing of it was read" in entry["message"]
    assert "raise columns in [sources.library.limits]" in entry["message"]


def test_a_file_without_line_ends_is_refused(place: Path) -> None:
    layout(place)
    (place / "in/loans.csv").write_text("x" * 60 * MB)
    code, entry, _ = ingest(place)
    assert code == 3
    assert "first line 1 of more than 1,000 kB" in entry["message"]


def test_a_file_of_a_terabyte_is_not_copied(place: Path) -> None:
    layout(place)
    with (place / "in/loans.csv").open("wb") as file:
        file.truncate(1_100_000 * MB)
    code, entry, _ = ingest(place)
    assert code == 3
    assert "loans.csv has 1,100,000 MB or more, limit 2,000 MB" in entry["message"]
    assert "raise file_megabytes in [sources.library.limits]" in entry["message"]


@pytest.mark.parametrize("tells", ["its size", "no size"])
def test_a_file_of_a_server_that_is_too_large_is_not_taken(place: Path, tells: str) -> None:
    layout(place)
    with (place / "in/loans.csv").open("wb") as file:  # of one that tells none, cut off as it comes
        file.truncate((1_100_000 if tells == "its size" else 30) * MB)
    awkward = sftp_server.Awkward(stat=None if tells == "its size" else "no size")
    with sftp_server.running(place / "in", place / "keys", awkward=awkward) as server:
        code, entry, said = ingest(
            place,
            KIND="files",
            LOCATION=f"sftp://{server.user}@127.0.0.1:{server.port}/",
            LAYOUT=str(place / "library.toml"),
            KEY_FILE=str(server.key_file),
            KNOWN_HOSTS=str(server.known_hosts),
            LIMITS__FILE_MEGABYTES="3",
        )
    assert code == 3, said
    assert "limit 3 MB" in entry["message"] and "file_megabytes" in entry["message"], entry
    assert "source_retry" not in said  # no size gets smaller by asking again
    kept = [path.stat().st_size for path in (place / "var").rglob("*") if path.is_file()]
    assert max(kept, default=0) < 30 * MB  # but for what DuckDB makes of nothing
    assert not [*(place / "var").rglob("loans*")]


def test_a_line_of_a_fixed_file_that_is_too_long_is_rejected_alone(place: Path) -> None:
    layout(place, FIXED)
    lines = [f"{at:<4}{'Band':<6}{'':<10}\n" for at in range(40)]
    (place / "in/loans.txt").write_text(
        "".join([*lines, "x" * 60 * MB + "\n", "41  Band  " + " " * 10 + "\n"])
    )
    code, entry, _ = ingest(place)
    assert (code, entry["landed"], entry["rejected"]) == (0, 41, 1)
    (place / "in/loans.txt").write_text("x" * 60 * MB)
    assert ingest(place)[0] == 3


def repacked(book: bytes, to: Path, xml: str) -> None:
    """A workbook whose sheet is another."""
    (to.parent / "plain.bin").write_bytes(book)
    with (
        zipfile.ZipFile(to.parent / "plain.bin") as before,
        zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as after,
    ):
        for name in before.namelist():
            is_sheet = name.startswith("xl/worksheets/")
            after.writestr(name, xml if is_sheet else before.read(name))
    (to.parent / "plain.bin").unlink()


SHEET = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{}</sheetData></worksheet>'


@pytest.mark.parametrize(
    "xml",
    [
        '<row><c r="A1"><v>1</v></c></row><row><c r="XFD9000000"><v>1</v></c></row>',
        "<row>" + "<c><v>1</v></c>" * 50_000 + "</row>" + "<row><c><v>1</v></c></row>" * 50_000,
    ],
    ids=["a stray cell far out", "cells that do not say where they are"],
)
def test_a_sheet_of_too_many_cells_is_refused(place: Path, xml: str) -> None:
    layout(place, 'format = "excel"')
    repacked(
        workbook(loans=[["id", "book", "note"], ["1", "x", ""]]),
        place / "in/loans.xlsx",
        SHEET.format(xml),
    )
    code, entry, _ = ingest(place, LIMITS__RATIO="100000")
    assert code == 3
    assert "cells, limit 10,000,000" in entry["message"]


def test_a_workbook_that_unpacks_to_too_much_is_refused_before_it_is_read(place: Path) -> None:
    layout(place, 'format = "excel"')
    repacked(
        workbook(loans=[["id", "book", "note"], ["1", "x", ""]]),
        place / "in/loans.xlsx",
        SHEET.format(" " * 600 * MB),
    )
    code, entry, _ = ingest(place, LIMITS__RATIO="100000")
    assert code == 3
    assert "it unpacks to 600 MB, limit 500 MB" in entry["message"]


def test_a_cell_that_is_too_long_is_rejected_alone(place: Path) -> None:
    layout(place, 'format = "excel"')
    lines = [["id", "book", "note"], *([str(at), "Band", ""] for at in range(40))]
    (place / "in/loans.xlsx").write_bytes(workbook(loans=[*lines, ["41", "Band", "x" * 30 * MB]]))
    code, entry, _ = ingest(place, LIMITS__RATIO="100000")
    assert (code, entry["landed"], entry["rejected"]) == (0, 40, 1)


@pytest.mark.parametrize("count", [1_001, 2_000_000])
def test_an_archive_of_too_many_members_is_refused_before_they_are_listed(
    place: Path, count: int
) -> None:
    layout(place)
    path = place / "in/all.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for at in range(min(count, 1_001)):
            packed.writestr(f"{at}.csv", "")
    if count > 1_001:  # the record at the end says so, as zip64 does
        data = path.read_bytes()
        at = data.rindex(b"PK\x05\x06")
        begin = int.from_bytes(data[at + 16 : at + 20], "little")
        entry = data[begin:at][: 46 + 5]
        body = entry * count
        end = data[at : at + 12] + len(body).to_bytes(4, "little") + data[at + 16 :]
        path.write_bytes(data[:begin] + body + end)
    code, entry, _ = ingest(place)
    assert code == 3
    said = "it holds 1,001 members, limit 1,000" if count == 1_001 else "list of contents has"
    assert said in entry["message"]


def test_a_member_larger_than_a_file_may_be_is_refused(place: Path) -> None:
    layout(place)
    with zipfile.ZipFile(place / "in/all.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("loans.csv", GOOD + "\n" * 30 * MB)
    code, entry, _ = ingest(place, LIMITS__FILE_MEGABYTES="20", LIMITS__RATIO="100000")
    assert code == 3
    assert "loans.csv has 30 MB or more, limit 20 MB" in entry["message"]


class Server(BaseHTTPRequestHandler):
    """Answers /<how> without end, in one of several ways."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        how = self.path.split("?")[0].strip("/")
        type(self).asked += 1
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        try:
            getattr(self, f"_{how}")()
        except OSError:
            self.close_connection = True

    def _announced(self) -> None:
        self.send_header("Content-Length", str(1_100_000 * MB))
        self.end_headers()
        self._for_ever(b"[" + b" " * MB)

    def _unsaid(self) -> None:
        self.send_header("Connection", "close")
        self.end_headers()
        self._for_ever(b'[{"id": 1, "book": "x", "note": ""},' + b" " * MB)

    def _packed(self) -> None:
        import gzip

        self.send_header("Content-Encoding", "gzip")
        body = gzip.compress(b"[" + b" " * 900 * MB + b"]", 1)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _deep(self) -> None:
        self._body(b"[" * 500_000 + b"]" * 500_000)

    def _digits(self) -> None:
        self._body(b'[{"id": ' + b"9" * MB + b', "book": "x", "note": ""}]')

    def _chunked(self) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._for_ever(b"%x\r\n" % MB + b" " * MB + b"\r\n")

    def _body(self, body: bytes) -> None:
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _pages(self) -> None:
        at = type(self).asked
        rows = [{"id": f"{at}-{one}", "book": "x", "note": "y" * 90_000} for one in range(3)]
        body = json.dumps({"items": rows, "next": f"/pages?at={at}"}).encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _value(self) -> None:
        rows = [{"id": at, "book": "x", "note": ""} for at in range(20)]
        rows[19]["note"] = "x" * 60 * MB
        body = json.dumps({"items": rows, "total": 20}).encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _for_ever(self, block: bytes) -> None:
        for _ in range(4_000):
            self.wfile.write(block)


@pytest.fixture
def server() -> Iterator[str]:
    running = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    running.daemon_threads = True
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()


def rest(place: Path, url: str, how: str, **more: str) -> tuple[int, dict[str, Any], str]:
    return ingest(
        place,
        KIND="rest",
        BASE_URL=url,
        RESOURCES__LOANS__PATH=how,
        RESOURCES__LOANS__COLUMNS='["id", "book", "note"]',
        RESOURCES__LOANS__KEY='["id"]',
        WAIT_SECONDS="0.1",
        **more,
    )


@pytest.mark.parametrize("how", ["announced", "unsaid", "packed", "chunked"])
def test_an_answer_that_is_too_large_is_not_taken(place: Path, server: str, how: str) -> None:
    before = Server.asked
    code, entry, _ = rest(place, server, how, PAGINATOR="single_page")
    assert code == 3
    assert "MB or more, limit 64 MB: ask for smaller pages" in entry["message"]
    assert "answer_megabytes" in entry["message"]
    assert Server.asked == before + 1, "it is not asked again"


@pytest.mark.parametrize("how", ["deep", "digits"])
def test_an_answer_nested_without_end_or_of_a_million_digits_is_refused_alone(
    place: Path, server: str, how: str
) -> None:
    code, entry, said = rest(place, server, how, PAGINATOR="single_page")
    assert code == 3
    assert "page 1" in entry["message"] and "Traceback" not in said


def test_no_target_is_ended_by_an_answer_nested_without_end() -> None:
    assert json_of(b"[" * 500_000) == {}


def test_a_list_without_end_ends_at_its_limit(place: Path, server: str) -> None:
    paged = {"PAGINATOR__TYPE": "json_link", "PAGINATOR__NEXT_URL_PATH": "next"}
    code, entry, _ = rest(
        place, server, "pages", **paged, RESOURCES__LOANS__DATA="items", LIMITS__PAGES="20"
    )
    assert code == 3
    assert "more than 20 pages came" in entry["message"]
    code, entry, _ = rest(
        place, server, "pages", **paged, RESOURCES__LOANS__DATA="items", LIMITS__FILE_MEGABYTES="1"
    )
    assert code == 3
    assert "more than 1 MB of rows came" in entry["message"]


def test_a_value_of_an_answer_that_is_too_long_is_rejected_alone(place: Path, server: str) -> None:
    code, entry, _ = rest(
        place,
        server,
        "value",
        PAGINATOR="single_page",
        RESOURCES__LOANS__DATA="items",
        RESOURCES__LOANS__TOTAL="total",
    )
    assert (code, entry["landed"], entry["rejected"]) == (0, 19, 1)


def sql(place: Path, **more: str) -> tuple[int, dict[str, Any], str]:
    return ingest(
        place,
        KIND="sql",
        URL=f"sqlite:///{place / 'loans.sqlite'}",
        TABLES__LOANS__COLUMNS='["id", "book", "note"]',
        TABLES__LOANS__KEY='["id"]',
        **more,
    )


def test_a_table_of_long_values_is_read_within_its_limits(place: Path) -> None:
    database = sqlite3.connect(place / "loans.sqlite")
    database.execute("create table loans (id integer, book text, note text)")
    long = [(at, "Band", None) for at in range(40)]
    database.executemany("insert into loans values (?, ?, ?)", [*long, (40, "Band", "x" * 60 * MB)])
    database.commit()
    code, entry, _ = sql(place)
    assert (code, entry["landed"], entry["rejected"]) == (0, 40, 1)
    database.execute(
        "insert into loans with recursive n(at) as (select 41 union all select at + 1 from n where"
        " at < 600) select at, 'Band', printf('%200000s', at) from n"
    )
    database.commit()
    code, entry, _ = sql(place, LIMITS__FILE_MEGABYTES="50")
    assert code == 3
    assert "more than 50 MB of rows came" in entry["message"]


@pytest.mark.slow
def test_a_dlt_source_is_read_within_its_limits(place: Path) -> None:
    kinds = ("endless", "long", "wide", "deep")
    columns = {f"RESOURCES__{one.upper()}__COLUMNS": '["id", "book", "note"]' for one in kinds}
    keys = {f"RESOURCES__{one.upper()}__KEY": '["id"]' for one in kinds}
    code, _, _ = ingest(
        place,
        KIND="dlt",
        SOURCE="dlt_kit:boundless",
        LIMITS__FILE_MEGABYTES="20",
        **columns,
        **keys,
    )
    every = json.loads((place / "var/runs/latest/feeds.json").read_text(encoding="utf-8"))
    found = {one["feed"]: one for one in every}
    assert code == 3
    assert "more than 20 MB of rows came" in found["endless"]["message"]
    landed = {name: (one["landed"], one["rejected"]) for name, one in found.items()}
    assert landed["long"] == (40, 1)
    assert landed["wide"] == (40, 0)
    assert "RecursionError" in found["deep"]["message"]
