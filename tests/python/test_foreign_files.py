"""Whatever is dropped where a file should be: the sentence says what it is and what to choose in
the exporting system; "cut off" is said of files that were cut off, and of no others.

Files are checked as a night checks them, without a warehouse; members of each kind are drawn.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tomllib
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from workbook import workbook

from common import problems
from ingestion import fetch, source
from ingestion.configured import FilesSource
from ingestion.layout import LayoutError, parse
from ingestion.model import Fetch, Fetched, Problem, RefusedError, Trusted
from ingestion.trust import Rules, check

COLUMNS = """
columns = ["Student Number", "Surname", "First Name", "Born"]
required = ["Student Number", "Surname"]
never_empty = ["Student Number"]
key = ["Student Number"]
"""
PLAIN = f'[shapes]\nstudent_number = "[0-9]{{3,12}}"\n[feeds.people]\nfiles = ["People*"]{COLUMNS}'
UNSHAPED = f'[feeds.people]\nfiles = ["People*"]{COLUMNS}'
NO_ORDER = UNSHAPED + "order_known = false\n"
LOOSE = UNSHAPED + "ends_with_newline = false\n"
FIXED = UNSHAPED + 'format = "fixed"\npositions = ["1-6", "7-16", "17-26", "27-36"]\n'
EXCEL = UNSHAPED + 'format = "excel"\n'
HEAD = ["Student Number", "Surname", "First Name", "Born"]
ROWS = [[str(1000 + at), f"Surname{at}", "Ada", "2015-09-05"] for at in range(40)]


def table(mark: str = ",", end: str = "\r\n", rows: list[list[str]] | None = None) -> str:
    return "".join(mark.join(row) + end for row in [HEAD, *(ROWS if rows is None else rows)])


def read(folder: Path, layout: str, content: bytes | str, name: str = "People.csv") -> Trusted:
    path = folder / "people"
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(data)
    file = Fetched(name, path, hashlib.sha256(data).hexdigest(), len(data), datetime.now(UTC))
    feed = parse("drop", tomllib.loads(layout)).feeds[0]
    return check("drop", feed, file, Rules(), folder / "people.clean")


def refused(folder: Path, layout: str, content: bytes | str) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        read(folder, layout, content)
    said = f"{caught.value} {action(caught.value)}"
    assert "Surname1" not in said, "a line may be a person"
    assert action(caught.value), "every refusal says what to do"
    return caught.value


def action(error: RefusedError) -> str:
    return problems.action(error.code, {"source": "drop", "feed": "people", **error.values})


def zipped(**members: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return out.getvalue()


FOREIGN: dict[str, tuple[bytes | str, str]] = {
    # pages
    "an HTML page": ("<!DOCTYPE html>\n<html><body>Hello</body></html>\n", "feed_is_html"),
    "an HTML page behind a mark": (b"\xef\xbb\xbf \r\n<HTML>\r\n<BODY>x", "feed_is_html"),
    "an error page": ("<html><head><title>502 Bad Gateway</title></head></html>", "feed_is_html"),
    "a login page": (
        '<html><form action="/x"><input name="u"><input type="password"></form></html>',
        "feed_is_sign_in",
    ),
    "a login page in XHTML": (
        '<?xml version="1.0"?>\n<!DOCTYPE html><html><h1>Sign in to continue</h1></html>',
        "feed_is_sign_in",
    ),
    "a page of single sign-on": (
        "<html><script>location='/saml/SSO?x'</script></html>",
        "feed_is_sign_in",
    ),
    "a login page with a table": (
        "<html><table><tr><td><input type='password'></td></tr></table></html>",
        "feed_is_sign_in",
    ),
    "a sheet as HTML": ("<table><tr><td>Student Number</td></tr></table>", "feed_is_html_table"),
    "a sheet as XML": (
        '<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"/>',
        "feed_is_html_table",
    ),
    "a page behind a comment": (
        "<!-- saved from url=(0014)about:internet -->\n<!DOCTYPE html><html><p>x</html>",
        "feed_is_html",
    ),
    "a gateway's answer": ("<center><h1>502 Bad Gateway</h1></center>\n<hr>\n", "feed_is_html"),
    "a part of a page": ('<div class="note">\n<p>Not found</p>\n</div>\n', "feed_is_html"),
    "rows of a page": ("<tr><td>1000</td><td>A</td></tr>\n", "feed_is_html_table"),
    "a warning of a web server": (
        "<br />\n<b>Warning</b>: mysql_connect() in <b>/x.php</b> on line <b>3</b>\n",
        "feed_is_html",
    ),
    "the source of a page": ('<%@ Page Language="C#" %>\n<asp:Label/>\n', "feed_is_html"),
    # other forms of data
    "JSON behind a guard": (')]}\',\n{"students": []}\n', "feed_is_json"),
    "JSON in a call": ('callback({"students": []});\n', "feed_is_json"),
    "JSON, nothing": ("null\n", "feed_is_json"),
    "XML with its own types": ('<!DOCTYPE s SYSTEM "s.dtd">\n<s><t/></s>\n', "feed_is_xml"),
    "JSON, a list": ('[{"Student Number": "1000"}]', "feed_is_json"),
    "JSON, an object": ('{\n  "students": []\n}', "feed_is_json"),
    "JSON, a list of lists": ('[["Student Number"], ["1000"]]', "feed_is_json"),
    "JSON, line by line": ('{"id": 1}\n{"id": 2}\n', "feed_is_json"),
    "an empty JSON list": ("[]", "feed_is_json"),
    "XML": ('<?xml version="1.0" encoding="UTF-8"?><students><s/></students>', "feed_is_xml"),
    "XML without its first line": ("<students>\n<s/></students>", "feed_is_xml"),
    "SIF": ('<SIF_Message xmlns="http://x" Version="2">', "feed_is_xml"),
    "SQL": ("INSERT INTO students VALUES (1000);\n", "feed_is_sql"),
    "a dump": ("-- MySQL dump 10.13\n--\n", "feed_is_sql"),
    "a query": ("SELECT number, name FROM students;\n", "feed_is_sql"),
    "a table drawn by psql": ("| a | b |\n|---|---|\n| 1 | 2 |\n", "feed_is_drawn"),
    "a table drawn by mysql": ("+----+----+\n| a  | b  |\n", "feed_is_drawn"),
    # workbooks and documents
    "XLSX renamed": (workbook(People=[HEAD, *ROWS]), "feed_is_workbook"),
    "ODS renamed": (
        b"PK\x03\x04" + b"\0" * 26 + b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet",
        "feed_is_workbook",
    ),
    "XLS renamed": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "feed_is_old_office"),
    "DOCX": (zipped(word__document_dot_xml="<w/>"), "feed_is_document"),
    "RTF": (rb"{\rtf1\ansi\deff0 {\fonttbl}}", "feed_is_document"),
    "PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", "feed_is_pdf"),
    "PostScript": (b"%!PS-Adobe-3.0\n", "feed_is_pdf"),
    # packed, locked, other programs'
    "a zip": (zipped(People_dot_csv=table()), "feed_is_packed"),
    "gzip": (gzip.compress(table().encode()), "feed_is_packed"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + b"\1" * 99, "feed_is_packed"),
    "tar": (b"a" * 257 + b"ustar" + b"\0" * 300, "feed_is_packed"),
    "PGP": ("-----BEGIN PGP MESSAGE-----\n\nhQ\n", "feed_is_encrypted"),
    "a private key": ("-----BEGIN OPENSSH PRIVATE KEY-----\n", "feed_is_encrypted"),
    "SQLite": (b"SQLite format 3\x00" + b"\0" * 100, "feed_is_database"),
    "Access": (b"\x00\x01\x00\x00Standard Jet DB\x00", "feed_is_database"),
    "Parquet": (b"PAR1" + b"\x15\x00" * 50, "feed_is_database"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "feed_is_picture"),
    "a program": (b"MZ\x90\x00\x03" + bytes(range(256)) * 4, "feed_is_binary"),
    "a mail": ("From: a@x.example\r\nSubject: Extract\r\n\r\nSee attached", "feed_is_mail"),
    "a multipart body": ("Content-Type: text/csv\r\n\r\n" + table(), "feed_is_mail"),
    "a contact": ("BEGIN:VCARD\r\nVERSION:3.0\r\n", "feed_is_mail"),
    "a shortcut": ("[InternetShortcut]\r\nURL=https://x.example\r\n", "feed_is_pointer"),
    # encodings
    "UTF-16 with a mark": (table().encode("utf-16"), "feed_is_wide_text"),
    "UTF-16 without": (table().encode("utf-16-le"), "feed_is_wide_text"),
    "UTF-16, big end first": (table().encode("utf-16-be"), "feed_is_wide_text"),
    "UTF-32": (table().encode("utf-32"), "feed_is_wide_text"),
    "EBCDIC": (table(end="\x85").encode("cp037"), "feed_is_ebcdic"),
    "a tail of zeros": (table().encode() + b"\0" * 4000, "feed_zero_bytes"),
}
WRITTEN_SO: dict[str, tuple[bytes | str, str]] = {
    # a table, written another way
    "semicolons": (table(";"), "feed_delimiter"),
    "pipes": (table("|"), "feed_delimiter"),
    "carets": (table("^"), "feed_delimiter"),
    "tildes": (table("~"), "feed_delimiter"),
    "unit separators": (table("\x1f"), "feed_delimiter"),
    "pipes without headings": ("".join("|".join(row) + "\n" for row in ROWS), "feed_delimiter"),
    "sep=;": ("sep=;\r\n" + table(";"), "feed_sep_line"),
    "sep=,": ("sep=,\r\n" + table(), "feed_sep_line"),
    "SEP quoted": ('"SEP=;"\r\n' + table(";"), "feed_sep_line"),
    "a title line": ("All students of the district\r\n" + table(), "feed_title"),
    "a title and its date": (
        "Students\r\nPrinted 2026-09-05, 10:00\r\n\r\n" + table(),
        "feed_title",
    ),
    "a title filled up": ("All students,,,\r\n,,,\r\n" + table(), "feed_title"),
    "semicolons below a title": ("All students\r\n" + table(";"), "feed_delimiter"),
    "old Macintosh": (table(end="\r"), "feed_line_ends"),
    "mainframe line ends": (table(end="\x85").encode("latin-1"), "feed_line_ends"),
    "record separators": (table(end="\x1e"), "feed_line_ends"),
    "line ends sent as text twice": (table(end="\r\r\n"), "feed_line_ends"),
    "whole lines in quotes": (
        "".join(f'"{line}"\r\n' for line in table().splitlines()),
        "feed_lines_quoted",
    ),
    "padded with blanks": (
        "".join("".join(f"{value:16}" for value in row) + "\n" for row in [HEAD, *ROWS]),
        "feed_padded",
    ),
    "apostrophes for quotation marks": (
        "".join(",".join(f"'{value}'" for value in row) + "\n" for row in [HEAD, *ROWS]),
        "feed_quote_signs",
    ),
    "curled quotation marks": (
        "".join(",".join(f"“{value}”" for value in row) + "\n" for row in [HEAD, *ROWS]),
        "feed_quote_signs",
    ),
    "angled quotation marks without headings": (
        "".join(",".join(f"«{value}»" for value in row) + "\n" for row in ROWS),
        "feed_quote_signs",
    ),
    # no table
    "YAML": ("students:\n  - number: 1000\n    surname: A\n", "feed_no_table"),
    "settings": ("[export]\nname = people\nrows = 40\n", "feed_no_table"),
    "a value to a line": ("Student Number: 1000\nSurname: A\n" * 9, "feed_no_table"),
    "text packed for mail": ("U3R1ZGVudCBOdW1iZXIsU3VybmFtZQ==\n" * 9, "feed_no_table"),
    "one word": ("OK", "feed_no_table"),
    # a message
    "no row": ("(0 rows affected)\r\n", "feed_is_message"),
    "moved": ("Moved Permanently. Redirecting to https://x.example/login", "feed_is_message"),
    "Oracle's": ("ORA-00942: table or view does not exist\n", "feed_is_message"),
    "SQL Server's": ("Msg 208, Level 16, State 1\nInvalid object name\n", "feed_is_message"),
    "Java's": ("java.lang.NullPointerException\n\tat a.B.c(B.java:1)\n", "feed_is_message"),
    "Python's": ("Traceback (most recent call last):\n  x\n", "feed_is_message"),
    "an error": ("Error: the report could not be run.\n", "feed_is_message"),
    "a refusal": ("Access is denied.\r\n", "feed_is_message"),
    "nothing found": ("No records found\r\n", "feed_is_message"),
    "a session": ("Your session has timed out. Please sign in again.\n", "feed_is_message"),
    "an answer of HTTP": ("HTTP/1.1 403 Forbidden\r\nServer: x\r\n", "feed_is_message"),
}


@pytest.mark.parametrize("what", FOREIGN)
@pytest.mark.parametrize("layout", [PLAIN, NO_ORDER, FIXED], ids=["csv", "unordered", "fixed"])
def test_a_file_that_is_something_else_is_called_what_it_is(
    tmp_path: Path, layout: str, what: str
) -> None:
    content, code = FOREIGN[what]
    assert refused(tmp_path, layout, content).code == code


@pytest.mark.parametrize("what", WRITTEN_SO)
def test_a_table_written_another_way_says_how_and_what_to_choose(tmp_path: Path, what: str) -> None:
    content, code = WRITTEN_SO[what]
    assert refused(tmp_path, LOOSE, content).code == code
    if "without headings" not in what:
        assert refused(tmp_path, NO_ORDER, content).code == code


def test_a_sheet_that_is_none_is_called_what_it_is(tmp_path: Path) -> None:
    for what in ("an HTML page", "a sheet as HTML", "PDF", "UTF-16 with a mark", "XLS renamed"):
        content, code = FOREIGN[what]
        error = refused(tmp_path, EXCEL, content)
        assert error.code == code
        assert "an Excel workbook (.xlsx)" in str(error) or code == "feed_is_wide_text"
    assert refused(tmp_path, EXCEL, table()).code == "feed_no_workbook"


def test_a_delimiter_of_the_district_is_a_setting(tmp_path: Path) -> None:
    error = refused(tmp_path, PLAIN, table(";"))
    assert "has semicolons between its values, not commas or tabs" in str(error)
    assert 'delimiters = [";"] under [sources.drop]' in action(error)
    said = FilesSource(kind="files", delimiters=(";",), layout=str(tmp_path / "drop.toml"))
    (tmp_path / "drop.toml").write_text(PLAIN)
    assert [feed.delimiters for feed in source._layout("drop", said).feeds] == [(";",)]
    with pytest.raises(LayoutError, match="a delimiter is one character"):
        source._layout("drop", said.model_copy(update={"delimiters": ("ab",)}))


# --- how a file ends ------------------------------------------------------------------------------

CUT = {"feed_truncated", "feed_truncated_record"}


def lines_cut_off(chance: int) -> str:
    """A table that really breaks off, in the middle of its last line."""
    last = table().rstrip("\r\n").rfind("\r\n") + 2
    whole = table().rstrip("\r\n")
    return whole[: last + 1 + chance % (len(whole) - last - 1)]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(chance=st.integers(0, 500))
def test_a_file_that_breaks_off_is_said_to_be_cut_off(tmp_path: Path, chance: int) -> None:
    assert refused(tmp_path, PLAIN, lines_cut_off(chance)).code in CUT
    assert refused(tmp_path, UNSHAPED, lines_cut_off(chance)).code in CUT


trailers = st.one_of(
    st.sampled_from(
        [
            *("TRAILER", "TRL|40", "EOF", "** END OF REPORT **", "Total: 40", "TOTAL,40", "40"),
            *("Total Students: 40", "Records: 40", "(40 rows affected)", "40 rows selected."),
            *("Page 1 of 1", "Generated on 2026-09-05 10:00", "T,000040", "99,40", "Z000040"),
            *("Count=40", "--- end ---", "Confidential", "© School district", "row count: 40"),
            *("Number of records: 40", "42", "TR,20260905,0000040", "40 Schüler, 40 records"),
        ]
    ),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["TRL", "TRAILER", "EOF", "FTR", "FOOTER"]),
        st.sampled_from([" ", "|", ",", "-", "*"]),
        st.sampled_from(["40", "000040", "20260905", "40|20260905"]),
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    trailer=trailers,
    end=st.sampled_from(["", "\r\n", "\r\n\r\n", "\x1a", "\r\n\x1a", "\n\x1a\r\n"]),
    layout=st.sampled_from([PLAIN, UNSHAPED, NO_ORDER, LOOSE]),
)
def test_a_trailer_is_called_one_and_costs_nobody_anything(
    tmp_path: Path, trailer: str, end: str, layout: str
) -> None:
    trusted = read(tmp_path, layout, table() + trailer + end)
    assert trusted.good == 40
    told = {one.code: one for one in trusted.findings}
    if trusted.rejects:  # rejected alone, as a line that counts rows
        assert [one.line for one in trusted.rejects] == [42]
    else:
        assert told["trailer_read_over"].line == 42
        assert "trailer" in told["trailer_read_over"].action
    assert ("end_mark_read_over" in told) == ("\x1a" in end)


@pytest.mark.parametrize(
    "behind",
    [
        "ORA-01555: snapshot too old: rollback segment number 7",
        "Error: the connection was reset by the server",
        "FATAL:  terminating connection due to administrator command",
        "Msg 1205, Level 13, State 51",
        "java.lang.OutOfMemoryError: out of memory\r\n\tat a.B.c(B.java:41)",
        "The report job was cancelled by an administrator.",
        "Query failed: statement timeout",
        "<html><body>Gateway Timeout</body></html>",
        "<br />\r\n<b>Fatal error</b>: Maximum execution time of 30 seconds exceeded",
    ],
)
@pytest.mark.parametrize("layout", [PLAIN, UNSHAPED, NO_ORDER, LOOSE])
def test_an_export_that_failed_behind_its_first_rows_is_no_whole_one(
    tmp_path: Path, layout: str, behind: str
) -> None:
    for said in ("Errors: 0", "Error: none", "Export job completed, 40 records", "FATAL: 0"):
        assert read(tmp_path, layout, table() + said + "\r\n").good == 40
    for end in ("\r\n", "\r\n\r\n"):
        error = refused(tmp_path, layout, table() + behind + end)
        assert error.code == "feed_broke_off", str(error)
        assert "40 rows" in str(error)
    if layout == LOOSE:  # also behind lines of a fixed width, and in a cell of a sheet
        error = refused(tmp_path, FIXED, fixed() + behind.splitlines()[-1] + "\r\n")
        assert (error.code, "40 rows" in str(error)) == ("feed_broke_off", True), str(error)
        sheet = workbook(People=[HEAD, *ROWS, [behind.splitlines()[-1]]])
        error = refused(tmp_path, EXCEL, sheet)
        assert (error.code, "40 rows" in str(error)) == ("feed_broke_off", True), str(error)


@pytest.mark.parametrize("mark", ["\x1a", "\x1a\r\n", "\r\n\x1a", "\x1a\x1a\x1a", "\x1a\0\0"])
@pytest.mark.parametrize("layout", [PLAIN, LOOSE, FIXED], ids=["csv", "loose", "fixed"])
def test_the_end_mark_of_dos_is_no_row_and_no_cut(tmp_path: Path, layout: str, mark: str) -> None:
    content = fixed() if layout == FIXED else table()
    for text in (content, content.rstrip("\r\n")):
        trusted = read(tmp_path, layout, text + mark)
        assert (trusted.good, trusted.rejects) == (40, ())
        assert [one.code for one in trusted.findings] == ["end_mark_read_over"]


def _unquoted(row: list[str]) -> list[str]:
    return [row[0], *row[1].split("u", 1), *row[2:]]


EVERY_LINE: dict[str, tuple[Callable[[], str], str, str]] = {
    "a value too many": (lambda: table(rows=[_unquoted(row) for row in ROWS]), "feed_fields", "5"),
    "a value too few": (lambda: table(rows=[row[:3] for row in ROWS]), "feed_fields", "3"),
    "one row, too short": (lambda: table(rows=[ROWS[0][:3]]), "feed_fields", "1 of 1 rows"),
    "quotes escaped otherwise": (
        lambda: table(rows=[[row[0], r'"Sur\"name"', *row[2:]] for row in ROWS]),
        "feed_quoting",
        "40 of 40",
    ),
    "some one way, some another": (
        lambda: table(rows=[row[: 2 + at % 2] for at, row in enumerate(ROWS)]),
        "feed_rejects",
        "40 of 40",
    ),
}


@pytest.mark.parametrize("what", EVERY_LINE)
def test_a_file_whose_every_line_is_bad_was_not_cut_off(tmp_path: Path, what: str) -> None:
    made, code, told = EVERY_LINE[what]
    for layout in (PLAIN, LOOSE):
        error = refused(tmp_path, layout, made())
        assert (error.code, told in str(error)) == (code, True), str(error)


# --- fixed width ----------------------------------------------------------------------------------

MARKED = (
    UNSHAPED
    + """
format = "fixed"
positions = ["3-8", "9-18", "19-28", "29-38"]
record_type = "1-2"
records = ["DT"]
other_records = ["AD"]
header = "HD"
trailer = "TR"
trailer_count = "3-9"
"""
)


def fixed(mark: str = "", trimmed: bool = False, rows: list[list[str]] | None = None) -> str:
    lines = (f"{mark}{row[0]:6}{row[1]:10}{row[2]:10}{row[3]:10}" for row in rows or ROWS)
    return "".join((line.rstrip() if trimmed else line) + "\r\n" for line in lines)


def marked(count: int = 40, rows: str | None = None, header: str = "HD20260905\r\n") -> str:
    return header + (fixed("DT") if rows is None else rows) + f"TR{count:07}\r\n"


def test_a_declared_header_and_trailer_are_no_rows_and_the_count_is_checked(tmp_path: Path) -> None:
    trusted = read(tmp_path, MARKED, marked())
    assert (trusted.good, trusted.rejects, trusted.findings) == (40, (), ())
    assert next(iter(trusted.lines())) == 2
    with_others = marked(rows=fixed("DT") + "AD1000 somewhere\r\n")
    assert read(tmp_path, MARKED, with_others).good == 40
    for counts, number in (("rows", 40), ("records", 41), ("lines", 43)):
        layout = f'{MARKED}trailer_counts = "{counts}"\n'
        assert read(tmp_path, layout, marked(number, with_others[12:-11])).good == 40
        error = refused(tmp_path, layout, marked(number - 1, with_others[12:-11]))
        assert error.code == "feed_trailer_count"
        assert f"counts {number - 1} {counts}, and it holds {number}" in str(error)


@pytest.mark.parametrize("trimmed", ["", "trimmed = true\n"])
def test_what_a_fixed_width_layout_declares_is_asked_of_every_file(
    tmp_path: Path, trimmed: str
) -> None:
    layout = MARKED + trimmed
    bad = {
        "feed_header_missing": marked(header=""),
        "feed_trailer_missing": marked()[:-11],
        "feed_behind_trailer": marked() + marked(),
        "feed_header_again": marked(rows=fixed("DT") + "HD20260905\r\n"),
        "feed_trailer_unread": marked()[:-9] + "  many \r\n",
        "feed_trailer_count": marked(41),
        "feed_without_rows": "HD20260905\r\nTR0000000\r\n",
    }
    for code, content in bad.items():
        assert refused(tmp_path, layout, content).code == code
    strange = read(tmp_path, layout, marked(41, fixed("DT") + fixed("XX", rows=ROWS[:1])))
    assert [(one.line, one.reason) for one in strange.rejects] == [
        (42, "nothing the layout knows in 1-2")
    ]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(at=st.integers(1, 39), lost=st.integers(1, 5))
def test_rows_lost_on_the_way_are_seen_by_the_trailers_count(
    tmp_path: Path, at: int, lost: int
) -> None:
    lines = fixed("DT").splitlines(keepends=True)
    rows = "".join(lines[:at] + lines[at + lost :])
    error = refused(tmp_path, MARKED, marked(rows=rows))
    assert error.code == "feed_trailer_count"


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    header=st.sampled_from(["HDR20260905", "HEADER 074", "H20260905", "HD 20260905", "BOF", ""]),
    trailer=st.sampled_from(
        ["TRL000040", "TRAILER 40", "EOF", "T0000040", "TR 40", "END OF FILE", "Total 40"]
    ),
    trimmed=st.booleans(),
)
def test_a_header_and_a_trailer_nobody_declared_never_land_as_people(
    tmp_path: Path, header: str, trailer: str, trimmed: bool
) -> None:
    header = header if trimmed else ""
    content = (header + "\r\n" if header else "") + fixed(trimmed=trimmed) + trailer + "\r\n"
    trusted = read(tmp_path, FIXED + ("trimmed = true" if trimmed else ""), content)
    assert (trusted.good, trusted.rejects) == (40, ())
    told = [one.code for one in trusted.findings]
    assert told == (["header_read_over"] if header else []) + ["trailer_read_over"]


def test_a_fixed_width_file_that_breaks_off_is_cut_off_and_one_of_another_width_is_not(
    tmp_path: Path,
) -> None:
    for cut in (fixed()[:-20], fixed()[:-2]):
        assert refused(tmp_path, FIXED, cut).code in CUT
    trimmed = refused(tmp_path, FIXED, fixed(trimmed=True, rows=[[*row[:3], ""] for row in ROWS]))
    assert trimmed.code == "feed_fixed_lines"
    assert "none of its 40 lines" in str(trimmed)


MISTAKES = {
    'records = ["DT"]\n': "record_type is missing",
    'record_type = "1-2"\n': "name what stands at record_type",
    'record_type = "2-1"\ntrailer = "T"\n': "record_type must name",
    'record_type = "1"\ntrailer = "TR"\n': "longer than record_type",
    'record_type = "1-2"\nheader = "H"\ntrailer_count = "3"\n': "trailer_count needs trailer",
    'record_type = "1-2"\nheader = "H"\ntrailer = "H"\n': "each its own",
}


@pytest.mark.parametrize("lines", MISTAKES)
def test_record_types_that_cannot_be_followed_are_refused(lines: str) -> None:
    with pytest.raises(LayoutError, match=MISTAKES[lines]):
        parse("drop", tomllib.loads(FIXED + lines))
    with pytest.raises(LayoutError, match="means nothing for format 'delimited'"):
        parse("drop", tomllib.loads(UNSHAPED + lines))


# --- archives nobody opens ------------------------------------------------------------------------


def fetched(folder: Path, layout: str, monkeypatch: pytest.MonkeyPatch, **said: object) -> Fetch:
    monkeypatch.setenv("HOMEROOM_VAR", str(folder / "var"))
    path = folder / "drop.toml"
    if layout != "oneroster":
        path.write_text(layout)
        layout = str(path)
    settings_of = FilesSource(kind="files", location=str(folder / "drop"), layout=layout, **said)
    return fetch.fetch("drop", settings_of, source._layout("drop", settings_of))


def test_a_zip_nobody_opens_is_one_finding_and_its_way_out_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = PLAIN + "".join(
        f'[feeds.more_{name}]\nfiles = ["More_{name}*"]{COLUMNS}' for name in "abcde"
    )
    members = {f"More_{name}_dot_csv": table() for name in "abcde"}
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "Nightly.zip").write_bytes(zipped(People_dot_csv=table(), **members))
    found = fetched(tmp_path, layout, monkeypatch)
    assert {one.code for one in found.feeds.values()} == {"feed_in_archive"}
    [told] = found.findings
    assert (told.code, told.values["feeds"]) == ("archive_unopened", 6)
    assert "Nightly.zip" in told.message
    assert 'archives = ["*.zip"] under [sources.drop]' in told.action
    opened = fetched(tmp_path, layout, monkeypatch, archives=("*.zip",))
    assert not [one for one in opened.feeds.values() if isinstance(one, Problem)]


@pytest.mark.parametrize("name", ["OneRoster.zip", "sd74_2026-09-05.ZIP", "bulk.zip"])
def test_a_zip_of_oneroster_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / name).write_bytes(
        zipped(orgs_dot_csv="sourcedId,name,type\r\n", export__users_dot_csv="sourcedId\r\n")
    )
    found = fetched(tmp_path, "oneroster", monkeypatch)
    assert {name for name, one in found.feeds.items() if isinstance(one, Fetched)} == {
        "orgs",
        "users",
    }


def test_an_archive_beside_files_that_came_is_a_stranger_and_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "photos.zip").write_bytes(zipped(a_dot_jpg="x"))
    (tmp_path / "drop" / "People.csv").write_text(table())
    found = fetched(tmp_path, PLAIN, monkeypatch)
    assert isinstance(found.feeds["people"], Fetched)
    assert [one.code for one in found.findings] == ["unmatched_file"]


def test_no_sentence_of_this_kind_quotes_a_value() -> None:
    """What a place holds is a count, a line, a file or a word of ours."""
    places = {
        place
        for code, one in problems.catalogue().items()
        if code.startswith("feed_is_")
        for place in one.places()
    }
    assert places == {"file", "expected", "source"}
