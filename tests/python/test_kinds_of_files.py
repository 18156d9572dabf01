"""Kinds of files: pipes, fixed columns, workbooks and archives give the rows a CSV file would, and
the same refusals.

Each kind is a layout, nothing else. The rows, where they stood and the archive's bytes are looked
up after the verb.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import stat
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from workbook import workbook

from common import paths, store
from ingestion.__main__ import main
from ingestion.layout import LayoutError, parse
from ingestion.model import Fetched, RefusedError, Trusted
from ingestion.trust import Rules, check

COLUMNS = """
columns = ["Student Number", "Surname", "Born"]
required = ["Student Number", "Surname"]
never_empty = ["Student Number"]
key = ["Student Number"]
"""
PLAIN = f'[feeds.people]\nfiles = ["People*"]{COLUMNS}'
FIXED = PLAIN + 'format = "fixed"\npositions = ["1-5", "6-15", "16-25"]\n'
EXCEL = PLAIN + 'format = "excel"\n'
ROWS = [
    ("100", "Sürname", "2015-09-05"),
    ("101", "O'Brien, Zoë", None),
    ("102", "Li", "2016-01-02"),
]


@dataclass
class Drop:
    """A folder read by a layout."""

    folder: Path
    layout: Path
    said: Callable[[], str]

    def ingest(self, layout: str | None = None, **files: bytes) -> int:
        if layout is not None:
            self.layout.write_text(layout, encoding="utf-8")
        for name, content in files.items():
            (self.folder / name.replace("_dot_", ".")).write_bytes(content)
        return main(["--source", "drop"])

    def rows(self, columns: str = "student_number, surname, born") -> list[tuple]:
        with store.connect() as connection:
            return connection.execute(
                f"select {columns} from raw_drop.people order by _line"
            ).fetchall()

    @property
    def entry(self) -> dict[str, Any]:
        return json.loads((paths.runs() / "latest" / "feeds.json").read_text())[0]


@pytest.fixture
def drop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Drop:
    folder, layout = tmp_path / "drop", tmp_path / "drop.toml"
    folder.mkdir()
    for name, value in {
        "HOMEROOM_VAR": tmp_path / "var",
        "SOURCES__DROP__KIND": "files",
        "SOURCES__DROP__LOCATION": folder,
        "SOURCES__DROP__LAYOUT": layout,
    }.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.delenv("HOMEROOM_RUN", raising=False)
    return Drop(folder, layout, lambda: "".join(capfd.readouterr()))


def checked(tmp_path: Path, layout: str, content: bytes, name: str = "People.txt") -> Trusted:
    """What the checks make of a file, without a warehouse."""
    import tomllib

    path = tmp_path / "people"
    path.write_bytes(content)
    file = Fetched(name, path, hashlib.sha256(content).hexdigest(), len(content), datetime.now(UTC))
    return check(
        "drop",
        parse("drop", tomllib.loads(layout)).feeds[0],
        file,
        Rules(),
        tmp_path / "people.clean",
    )


# --- delimited ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", [",", "\t", "|", ";"])
def test_the_delimiter_is_found_among_those_of_the_layout(tmp_path: Path, mark: str) -> None:
    text = f"Student Number{mark}Surname{mark}Born\r\n100{mark}Ng{mark}\r\n"
    trusted = checked(tmp_path, PLAIN + 'delimiters = [",", "\\t", "|", ";"]', text.encode())
    assert (trusted.delimiter, trusted.good, trusted.places) == (
        mark,
        1,
        {"student_number": 0, "surname": 1, "born": 2},
    )


def test_a_pipe_separated_feed_is_a_line_of_configuration(drop: Drop) -> None:
    text = "".join(f"{number}|{name}|{born or ''}\r\n" for number, name, born in ROWS)
    assert drop.ingest(PLAIN + 'delimiters = ["|"]', People_dot_psv=text.encode("cp1252")) == 0
    assert drop.rows() == ROWS


# --- fixed width ----------------------------------------------------------------------------------


def fixed(*rows: tuple[str, str, str | None]) -> str:
    return "".join(f"{number:5}{name[:10]:10}{born or '':10}\r\n" for number, name, born in rows)


def test_columns_at_fixed_positions_are_counted_in_characters_not_bytes(drop: Drop) -> None:
    for encoding in ("utf-8", "utf-8-sig", "cp1252"):
        original = ("\r\n" + fixed(("100", "Sürnämé", "2015-09-05"), ("101", "Õ", None))).encode(
            encoding
        )
        assert drop.ingest(FIXED, People_dot_txt=original) == 0, drop.said()
        assert drop.rows("student_number, surname, born, _line") == [
            ("100", "Sürnämé", "2015-09-05", 2),
            ("101", "Õ", None, 3),
        ]
        assert (
            drop.entry["encoding"]
            == {"utf-8": "utf-8", "utf-8-sig": "utf-8-bom", "cp1252": "cp1252"}[encoding]
        )
        sha = hashlib.sha256(original).hexdigest()
        assert (
            gzip.decompress(
                (paths.var() / "archive" / "drop" / "people" / f"{sha}.gz").read_bytes()
            )
            == original
        )


def test_a_line_of_another_length_is_rejected_alone_and_a_file_that_breaks_off_is_refused(
    tmp_path: Path,
) -> None:
    good = [(str(100 + at), "Ng", None) for at in range(30)]
    trusted = checked(
        tmp_path,
        FIXED,
        (
            fixed(*good[:10])
            + "999  short\r\n"
            + fixed(*good[10:20])
            + " " * 30
            + "x\r\n"
            + fixed(*good[20:])
        ).encode(),
    )
    assert [(bad.line, bad.reason) for bad in trusted.rejects] == [
        (11, "10 characters instead of 25"),
        (22, "more than the 25 characters of the layout"),
    ]
    assert trusted.rejects[0].sha256 == hashlib.sha256(b"999  short").hexdigest()
    assert (trusted.good, trusted.rows_in, list(trusted.lines())[9:11]) == (30, 32, [10, 12])
    for cut in (fixed(*good)[:-20], fixed(*good)[:-2], fixed(*good)[:-20] + "\r\n"):
        with pytest.raises(RefusedError, match="breaks off in its last line 30"):
            checked(tmp_path, FIXED, cut.encode())
    trimmed = "".join(line.rstrip() + "\r\n" for line in fixed(*good).splitlines())
    assert checked(tmp_path, FIXED + "trimmed = true", trimmed.encode()).good == 30
    assert (
        checked(
            tmp_path,
            FIXED + "skip_lines = 2",
            ("Report of today\r\n-----\r\n" + fixed(*good)).encode(),
        ).good
        == 30
    )


# --- Excel ----------------------------------------------------------------------------------------

SHEET = [
    ["Student\nNumber", "Surname", "Born"],
    [100, "Sürname", date(2015, 9, 5)],
    [],
    ["0101", 'O\'Brien,\n"Zoë"', None],
    [102.5, True, 0.1],
]


def test_a_sheet_gives_its_rows_with_their_numbers(drop: Drop) -> None:
    original = workbook(Notes=[["nothing here"]], People=SHEET)
    assert drop.ingest(EXCEL + 'sheet = "People"', People_dot_xlsx=original) == 0, drop.said()
    assert drop.rows("student_number, surname, born, _line") == [
        ("100", "Sürname", "2015-09-05", 2),
        ("0101", 'O\'Brien,\n"Zoë"', None, 4),
        ("102.5", "TRUE", "0.1", 5),
    ]
    sha = hashlib.sha256(original).hexdigest()
    assert drop.rows("distinct _file, 1 as _line")[0][0] == f"People.xlsx#{sha[:12]}"
    assert (
        gzip.decompress((paths.var() / "archive" / "drop" / "people" / f"{sha}.gz").read_bytes())
        == original
    )


def test_the_first_sheet_is_read_when_none_is_named_and_title_rows_are_skipped(
    tmp_path: Path,
) -> None:
    trusted = checked(
        tmp_path,
        EXCEL + "skip_lines = 2",
        workbook(People=[["Everybody, as of today"], [], *SHEET], Other=[]),
    )
    assert (trusted.good, list(trusted.lines())) == (3, [4, 6, 7])


def sheet_far_out() -> bytes:
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook(People=SHEET))) as old,
        zipfile.ZipFile(out, "w") as new,
    ):
        for member in old.infolist():
            new.writestr(member.filename, old.read(member).replace(b'r="C2"', b'r="XFD1048576"'))
    return out.getvalue()


WORKBOOKS = {
    "another sheet": (workbook(Somebody=SHEET), "has no sheet 'People'; it has Somebody"),
    "cut off": (workbook(People=SHEET)[:-200], "cannot be unpacked as an Excel workbook"),
    "protected": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "protected by a password"),
    "text": (b"Student Number,Surname\r\n1,2\r\n", "no Excel workbook of today's kind"),
    "empty sheet": (workbook(People=[]), "has no rows"),
    "only headings": (workbook(People=SHEET[:1]), "only its heading line"),
    "a repeated key": (workbook(People=[*SHEET, [100, "Ng", None]]), "on lines 2 and 6"),
    "a cell at the end of the world": (
        sheet_far_out(),
        "has a cell in row 1,048,576, column 16,384",
    ),
    "no workbook inside": (b"", "empty (0 bytes)"),
}


@pytest.mark.parametrize("what", WORKBOOKS)
def test_a_bad_workbook_is_refused_with_a_sentence(tmp_path: Path, what: str) -> None:
    content, told = WORKBOOKS[what]
    with pytest.raises(RefusedError) as refused:
        checked(tmp_path, EXCEL + 'sheet = "People"', content, "People.xlsx")
    assert told in str(refused.value)
    assert "Sürname" not in str(refused.value)


# --- archives -------------------------------------------------------------------------------------

CSV = "Student Number,Surname,Born\r\n" + "".join(
    f'"{number}","{name}",{born or ""}\r\n' for number, name, born in ROWS
)
ARCHIVE = f'archives = ["Nightly*.zip"]\n{PLAIN}'


def zipped(
    *members: tuple[str | zipfile.ZipInfo, bytes], compression: int = zipfile.ZIP_DEFLATED
) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as packed:
        for name, content in members:
            packed.writestr(name, content)
    return out.getvalue()


def test_the_files_of_an_archive_are_read_and_say_where_they_came_from(drop: Drop) -> None:
    assert (
        drop.ingest(
            ARCHIVE,
            Nightly_dot_zip=zipped(("out/People.csv", CSV.encode()), ("read me.txt", b"hello")),
        )
        == 0
    ), drop.said()
    assert drop.rows() == ROWS
    sha = hashlib.sha256(CSV.encode()).hexdigest()
    assert drop.rows("_file, _line")[1] == (f"Nightly.zip/out/People.csv#{sha[:12]}", 3)
    assert (
        gzip.decompress((paths.var() / "archive" / "drop" / "people" / f"{sha}.gz").read_bytes())
        == CSV.encode()
    )
    assert drop.ingest(Nightly_dot_zip=zipped(("out/People.csv", CSV.encode()))) == 0
    assert drop.entry["status"] == "unchanged", "the archive is another, the file in it is the same"
    assert main(["check", "--source", "drop"]) == 0
    assert "Nightly.zip there, to be opened for 1 feeds" in drop.said()


def test_a_workbook_may_come_in_an_archive(drop: Drop) -> None:
    assert (
        drop.ingest(
            f'archives = ["*.zip"]\n{EXCEL}',
            Any_dot_zip=zipped(("People.xlsx", workbook(People=SHEET))),
        )
        == 0
    ), drop.said()
    assert len(drop.rows()) == 3


def link() -> zipfile.ZipInfo:
    member = zipfile.ZipInfo("People.csv")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


def locked() -> bytes:
    content = bytearray(zipped(("People.csv", CSV.encode())))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.index(mark) + at
        content[place : place + 2] = struct.pack("<H", 1)
    return bytes(content)


def lying() -> bytes:
    """A member that is larger than the archive says."""
    content, size = zipped(("People.csv", CSV.encode())), struct.pack("<I", len(CSV.encode()))
    return content.replace(size, struct.pack("<I", 10))


def damaged() -> bytes:
    content = bytearray(zipped(("People.csv", CSV.encode()), compression=zipfile.ZIP_STORED))
    content[content.index(b"Li")] ^= 1
    return bytes(content)


ARCHIVES = {
    "a path that climbs": (zipped(("../People.csv", CSV.encode())), "points outside the folder"),
    "an absolute path": (zipped(("/etc/People.csv", CSV.encode())), "points outside the folder"),
    "a drive": (zipped(("C:People.csv", CSV.encode())), "points outside the folder"),
    "a path of Windows": (
        zipped(("a\\..\\..\\People.csv", CSV.encode())),
        "points outside the folder",
    ),
    "a link": (zipped((link(), b"/etc/passwd")), "is a link, not a file"),
    "an archive inside": (
        zipped(("People.csv", CSV.encode()), ("more.ZIP", b"")),
        "holds another archive",
    ),
    "a password": (locked(), "locked with a password"),
    "too many members": (
        zipped(*((f"{at}.txt", b"") for at in range(21))),
        "holds 21 members, limit 20",
    ),
    "too large": (zipped(("People.csv", os.urandom(2_500_000))), "limit 2 MB"),
    "a bomb": (zipped(("People.csv", b"0" * 1_900_000)), "times its size, limit 50"),
    "a lie about its size": (lying(), "a member is damaged"),
    "damaged": (damaged(), "damaged"),
    "cut off": (zipped(("People.csv", CSV.encode()))[:-30], "no zip file, or it is cut off"),
    "two files that could be it": (
        zipped(("People1.csv", CSV.encode()), ("old/People2.csv", CSV.encode())),
        "2 files of one archive could be it",
    ),
    "nothing for the feed": (zipped(("Other.csv", CSV.encode())), "no file named People*"),
}


def test_a_bad_archive_is_refused_with_a_sentence_and_the_last_good_rows_stay(drop: Drop) -> None:
    limits = (
        'archives = ["Nightly*.zip"]\n[limits]\nmembers = 20\nmegabytes = 2\nratio = 50\n' + PLAIN
    )
    assert drop.ingest(limits, Nightly_dot_zip=zipped(("People.csv", CSV.encode()))) == 0
    for what, (content, told) in ARCHIVES.items():
        assert drop.ingest(Nightly_dot_zip=content) == 3, what
        assert told in drop.entry["message"], what
        assert "its 3 rows of" in drop.entry["message"], what
        assert drop.entry["status"] == (
            "missing" if what == "nothing for the feed" else "refused"
        ), what
    assert drop.rows() == ROWS
    assert not list(paths.var().rglob("*.part"))


def test_yesterdays_file_does_not_pass_for_todays_when_todays_archive_is_refused(
    drop: Drop,
) -> None:
    drop.ingest(ARCHIVE, People_dot_csv=CSV.encode())
    os.utime(drop.folder / "People.csv", (1e9, 1e9))
    assert drop.ingest(Nightly_dot_zip=zipped(("../People.csv", CSV.encode()))) == 3
    assert "Nightly.zip is refused" in drop.entry["message"]
    os.utime(drop.folder / "Nightly.zip", (1e8, 1e8))
    assert drop.ingest() == 0, "a refused archive older than the file is of no account"


# --- layouts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("feed", "told"),
    [
        ({"format": "pdf"}, "format is 'pdf'; it must be one of delimited, fixed, excel"),
        ({"sheet": "A"}, "sheet means nothing for format 'delimited'"),
        (
            {"format": "fixed"},
            "positions must name first and last character of each of its 2 columns",
        ),
        ({"format": "fixed", "positions": ["1-5", "5-9"]}, "from left to right"),
        ({"delimiters": ["||"]}, "a delimiter is one character"),
    ],
)
def test_a_kind_of_file_that_is_not_described_is_told(feed: dict[str, Any], told: str) -> None:
    with pytest.raises(LayoutError, match=told):
        parse("x", {"feeds": {"a": {"files": ["*"], "columns": ["A", "B"], **feed}}})
