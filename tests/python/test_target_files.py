"""Vendor files, byte for byte, from the settings of the real exports; and their delivery to a real
SFTP server.

The expected files stand in `expected/<target>/`, as a person would open them. A change of a
heading, an order, a quote or a byte order mark in `models/exports/` breaks a test here before it
breaks at the vendor.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
import zipfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sftp_server
import shelf_kit
import yaml
from listed_kit import TONIGHT

from reverse_etl import exports
from reverse_etl.form import PLACE, Moment, per_partition
from reverse_etl.model import (
    Change,
    Column,
    Delivery,
    Export,
    FileAdapter,
    FileFormat,
    Part,
    Rendered,
    key_text,
)
from reverse_etl.targets.files import Files, write_rows

ROOT = Path(__file__).resolve().parents[2]
EXPECTED = Path(__file__).parent / "expected"

# One row or two per export, with what hurts: apostrophes of three kinds, commas, quotes, line ends,
# tabs, letters of Indigenous orthographies, a mononym, nothing at all. In the order of the export's
# columns; context columns are empty.
ROWS: dict[str, list[tuple[str | None, ...]]] = {
    "portfolio__students": [
        (
            "9000002",
            "9000002",
            "Zoë",
            "O’Brien",
            "2016-02-29",
            "05",
            "Active",
            "07474001",
            "5 Łukasik",
            None,
            "Zo",
            "O'Brien",
            None,
            None,
            "zoe.obrien@student.sd74.example",
        ),
        (
            "9000001",
            "9000001",
            "Skw̓x̱wú7mesh",
            None,
            "2009-11-30",
            "11",
            "PreReg",
            "07474002",
            None,
            "07474003",
            'Ann "Annie"',
            "Smith, Jr.",
            None,
            None,
            "skwxwu7mesh@student.sd74.example",
        ),
    ],
    "portfolio__staff": [
        ("E100", "Renée", "Ma’alot", "renee.maalot@sd74.example", "teacher", "07474001")
    ],
    "portfolio__family": [
        ("José", "Núñez-Ó Briain", "jose@family.example", "9000002"),
        ("Ana", None, "ana@family.example", "9000001"),
    ],
    "portfolio__classes": [
        (
            "07474001_5-lukasik_2027",
            "Homeroom 5, Łukasik",
            "05",
            "07474001",
            "2026-09-08",
            "2027-06-25",
        )
    ],
    "portfolio__enrolments": [
        ("07474001_5-lukasik_2027", "9000002", "student", "07474001"),
        ("07474001_5-lukasik_2027", "E100", "teacher", "07474001"),
    ],
    "callout__absences": [
        ("07474001", "9000002", "O’Brien", "Zoë", "2505550102", "05", "2026-10-5", "12"),
        ("07474002", "9000001", 'De "La" Cruz', "Ana", "", "11", "2026-10-5", "3"),
    ],
    "callout__contacts": [
        (
            "07474001",
            "9000002",
            "O’Brien",
            "Zoë",
            "05",
            "5 Łukasik",
            "Núñez-Ó Briain",
            "José",
            "Father",
            "1",
            "2505550102",
            "2505550103",
            "",
            "jose@family.example",
        ),
        (
            "07474002",
            "9000001",
            "Smith, Jr.",
            "Ann",
            "11",
            "",
            "Smith",
            "Line\r\nbreak",
            "Aunt",
            "2",
            "",
            "",
            "2505550104",
            "",
        ),
    ],
    "transport__students": [
        (
            "9000002",
            "Zoë",
            "O’Brien",
            "02/29/2016",
            "F",
            "2505550102",
            "07474001",
            "05",
            "5 Łukasik",
            "12",
            "Main St, North",
            "B",
            "Lytton",
            "BC",
            "V0K 1Z0",
            "José",
            "Núñez",
            "2505550102",
            "2505550103",
            "",
            "",
            "",
            "",
        ),
        (
            "9000001",
            "Ann\tMay",
            'De "La" Cruz',
            "11/30/2009",
            "X",
            "",
            "07474002",
            "11",
            "",
            "7",
            "Elm\r\nRd",
            "",
            "Ashcroft",
            "BC",
            "V0K 1A0",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
        ),
    ],
    **shelf_kit.rows(),
}


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "var").mkdir()
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    return tmp_path / "var"


def real_export(name: str) -> Export:
    """An export as its YAML under models/exports/ declares it."""
    target = name.partition("__")[0]
    (model,) = yaml.safe_load(
        (ROOT / "models" / "exports" / target / f"exp_{name}.yml").read_text(encoding="utf-8")
    )["models"]
    node = {
        "name": model["name"],
        "schema": "exports",
        "columns": {column["name"]: column for column in model["columns"]},
    }
    return exports.parsed(node, model["config"]["meta"]["export"])


def tables(*names: str) -> duckdb.DuckDBPyConnection:
    """A warehouse with these exports and their rows."""
    connection = duckdb.connect()
    connection.execute("create schema exports")
    for name in names:
        export = real_export(name)
        columns = ", ".join(f'"{column.name}" varchar' for column in export.columns)
        connection.execute(f"create table {export.relation} ({columns})")
        sent = ", ".join(f'"{column.name}"' for column in export.sent)
        connection.executemany(
            f"insert into {export.relation} ({sent}) values ({', '.join('?' * len(export.sent))})",
            ROWS[name],
        )
    return connection


def delivery(folder: Path, name: str, *members: str) -> Delivery:
    made = tuple((export.file.name, export) for export in map(real_export, members) if export.file)
    parts = {file: part(export) for file, export in made}
    whole = bool(made[0][1].file.archive)
    return Delivery(made[0][1].target, name, made, whole, folder / name, parts, Moment(TONIGHT))


def part(export: Export) -> Part:
    """All rows: of a file per school those of one, of a delta one that came and one that left."""
    school = "07474001" if per_partition(export.file.template) else None
    if export.file.actions is None:
        return Part(partition=school)
    sent = [column.name for column in export.sent]
    rows = [dict(zip(sent, row, strict=True)) for row in ROWS[f"{export.target}__{export.entity}"]]
    return Part(
        partition=school,
        actions={
            key_text([row[name] for name in export.key]): (action, json.dumps(row))
            for row, action in zip(rows, ("create", "remove"), strict=True)
        },
    )


def bare(folder: Path, name: str) -> tuple[Rendered, bytes]:
    export = real_export(name)
    rendered = Files("vendor", {}).render(tables(name), delivery(folder, export.file.name, name))
    return rendered, Path(rendered.path).read_bytes()


# ---------------------------------------------------------------- bytes


@pytest.mark.parametrize("name", sorted(ROWS))
def test_a_vendor_file_is_byte_for_byte_what_the_vendor_reads(name, tmp_path):
    export = real_export(name)
    rendered, content = (
        bare(tmp_path, name) if not export.file.archive else zipped_alone(tmp_path, name)
    )
    bare_name = PLACE.sub("", export.file.name)
    assert content == (EXPECTED / export.target / bare_name).read_bytes()
    assert rendered.rows == len(ROWS[name])


def zipped_alone(folder: Path, name: str) -> tuple[Rendered, bytes]:
    rendered = Files("vendor", {}).render(tables(name), delivery(folder, "one.zip", name))
    with zipfile.ZipFile(rendered.path) as archive:
        return rendered, archive.read(archive.namelist()[0])


def test_every_file_export_has_an_expected_file():
    exports_there = {
        path.stem.removeprefix("exp_")
        for path in (ROOT / "models" / "exports").glob("*/exp_*__*.yml")
    }
    assert {name for name in exports_there if real_export(name).file} == set(ROWS)


def test_what_is_recorded_is_what_stands_on_disk(tmp_path):
    rendered, content = bare(tmp_path, "callout__absences")
    assert rendered == Rendered(
        str(tmp_path / "absences.csv"), 2, len(content), hashlib.sha256(content).hexdigest()
    )
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


def test_rows_stand_in_the_order_of_their_key_whatever_the_table_did(tmp_path):
    connection = tables("portfolio__students")
    first = Files("p", {}).render(connection, delivery(tmp_path, "a.zip", "portfolio__students"))
    connection.execute(
        'create table other as from "exports"."exp_portfolio__students" order by user_id'
    )
    connection.execute(
        'delete from "exports"."exp_portfolio__students"; insert into'
        ' "exports"."exp_portfolio__students" from other'
    )
    second = Files("p", {}).render(connection, delivery(tmp_path, "b.zip", "portfolio__students"))
    assert (first.sha256, first.rows) == (second.sha256, second.rows)


def test_a_zip_has_the_same_bytes_on_every_night(tmp_path, monkeypatch):
    members = (
        "portfolio__students",
        "portfolio__staff",
        "portfolio__family",
        "portfolio__classes",
        "portfolio__enrolments",
    )
    first = Files("p", {}).render(tables(*members), delivery(tmp_path, "a.zip", *members))
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    previous = os.umask(0o077)
    try:
        second = Files("p", {}).render(tables(*members), delivery(tmp_path, "b.zip", *members))
    finally:
        os.umask(previous)
    assert Path(first.path).read_bytes() == Path(second.path).read_bytes()
    with zipfile.ZipFile(first.path) as archive:
        assert archive.namelist() == [
            "Students.csv",
            "Staff.csv",
            "Family.csv",
            "Classes.csv",
            "Enrollments.csv",
        ]
        assert archive.testzip() is None
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        for entry in archive.namelist():
            assert archive.read(entry) == (EXPECTED / "portfolio" / entry).read_bytes()
    assert first.rows == sum(len(ROWS[name]) for name in members)


def written(form: FileFormat, *rows: tuple[str | None, ...]) -> bytes:
    out = io.BytesIO()
    assert write_rows(out, form, ("a", "b"), rows) == len(rows)
    return out.getvalue()


def test_formats_differ_only_in_what_they_say():
    row = ("x,y", None)
    assert written(FileFormat("f"), row) == b'a,b\r\n"x,y",\r\n'
    assert written(FileFormat("f", quoting="all"), row) == b'"a","b"\r\n"x,y",""\r\n'
    assert written(FileFormat("f", quoting="none"), row) == b"a,b\r\nx y,\r\n"
    assert written(FileFormat("f", delimiter="|", line_end="lf"), row) == b"a|b\nx,y|\n"
    assert written(FileFormat("f", header=False), row) == b'"x,y",\r\n'
    assert (
        written(FileFormat("f", encoding="utf-8-sig"), ("é", ""))
        == b"\xef\xbb\xbfa,b\r\n\xc3\xa9,\r\n"
    )
    assert written(FileFormat("f", encoding="utf-8-sig", header=False)) in {b"", b"\xef\xbb\xbf"}


def test_a_file_without_quotes_can_always_be_split_again():
    form = FileFormat("f", delimiter="\t", quoting="none", header=False)
    content = written(form, ('O"Neil\tJr', "two\r\nlines"), ("plain", "\n"))
    assert content == b"ONeil Jr\ttwo lines\r\nplain\t\r\n"


def test_a_lone_carriage_return_does_not_end_a_line():
    assert written(FileFormat("f", line_end="lf", header=False), ("a\rb", None)) == b"a b,\n"
    assert written(FileFormat("f", header=False), ("a\rb", None)) == b'"a\rb",\r\n'


# ---------------------------------------------------------------- delivery


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[sftp_server.Server, Path]]:
    received = tmp_path / "received"
    received.mkdir()
    with sftp_server.running(received, tmp_path / "keys") as running:
        yield running, received


def settings(server: sftp_server.Server, **changes: Any) -> dict[str, Any]:
    place = server.place()
    return {
        "host": place.host,
        "port": place.port,
        "user": place.user,
        "key_file": place.key_file,
        "known_hosts": place.known_hosts,
        "timeout": 5,
    } | changes


def deliver(folder: Path) -> Change:
    """A file on disk and the change that delivers it."""
    rendered, _ = bare(folder, "callout__absences")
    return Change("c1", "callout", "file", ("absences.csv",), "deliver", new=asdict(rendered))


def test_a_file_arrives_whole_and_the_receipt_says_which(server, tmp_path):
    running, received = server
    target = Files("callout", settings(running))
    assert isinstance(target, FileAdapter)
    change = deliver(tmp_path)
    (outcome,) = target.apply([change])
    assert (outcome.status, outcome.remote_id) == ("applied", "absences.csv")
    assert change.new["sha256"] in outcome.note
    assert [path.name for path in received.iterdir()] == ["absences.csv"]
    assert (received / "absences.csv").read_bytes() == (
        EXPECTED / "callout" / "absences.csv"
    ).read_bytes()
    assert target.write_calls == 1


def test_after_a_crash_the_same_file_is_not_sent_twice(server, tmp_path):
    running, received = server
    change = deliver(tmp_path)
    Files("callout", settings(running)).apply([change])
    before = (received / "absences.csv").stat().st_mtime_ns
    again = Files("callout", settings(running))
    assert again.find(change) == "absences.csv"
    (outcome,) = again.apply([change])
    assert (outcome.status, again.write_calls, outcome.calls) == ("applied", 0, 0)
    assert outcome.note.startswith("already there")
    assert (received / "absences.csv").stat().st_mtime_ns == before


def test_half_a_file_of_the_same_name_is_replaced(server, tmp_path):
    running, received = server
    change = deliver(tmp_path)
    (received / "absences.csv").write_bytes(
        (EXPECTED / "callout" / "absences.csv").read_bytes()[:-10] + b"0123456789"
    )
    target = Files("callout", settings(running))
    assert target.find(change) is None
    assert target.apply([change])[0].status == "applied"
    assert (received / "absences.csv").read_bytes() == (
        EXPECTED / "callout" / "absences.csv"
    ).read_bytes()


def test_a_file_that_changed_since_it_was_recorded_is_not_sent(server, tmp_path):
    running, received = server
    change = deliver(tmp_path)
    Path(change.new["path"]).write_text("something else")
    (outcome,) = Files("callout", settings(running)).apply([change])
    assert (outcome.status, outcome.reason) == ("failed", "changed")
    assert list(received.iterdir()) == []


def test_a_server_that_is_away_is_tried_again_and_named(server, tmp_path):
    running, _ = server
    (outcome,) = Files("callout", settings(running, port=9)).apply([deliver(tmp_path)])
    assert (outcome.status, outcome.reason) == ("retry", "not_delivered")
    assert "run again" in outcome.note


def test_a_server_with_another_key_than_the_pinned_one_is_not_tried_again(server, tmp_path):
    running, received = server
    nobody = tmp_path / "nobody"
    nobody.write_text("")
    target = Files("callout", settings(running, known_hosts=str(nobody)))
    (outcome,) = target.apply([deliver(tmp_path)])
    assert (outcome.status, outcome.reason) == ("failed", "not_delivered")
    assert "pin it" in outcome.note
    assert list(received.iterdir()) == []


def test_a_vendor_that_takes_a_file_as_it_is_closed_has_been_delivered_to(tmp_path):
    """Its folder is empty at any time: what says that it has the file is each write's answer."""
    folder = tmp_path / "received"
    folder.mkdir()
    change, awkward = deliver(tmp_path), sftp_server.Awkward(takes=[], stat="no size")
    with sftp_server.running(folder, tmp_path / "keys", awkward=awkward) as running:
        target = Files("callout", settings(running, temporary_name=False))
        (outcome,) = target.apply([change])
    assert (outcome.status, target.write_calls) == ("applied", 1)
    assert outcome.note.startswith("taken at once")
    assert awkward.takes == [("absences.csv", (EXPECTED / "callout" / "absences.csv").read_bytes())]


def test_a_target_without_settings_says_which_are_missing(tmp_path):
    (outcome,) = Files("callout", {"host": "sftp.example"}).apply([deliver(tmp_path)])
    assert (outcome.status, outcome.reason) == ("failed", "not_configured")
    assert "user, key_file, known_hosts" in outcome.note


def test_a_file_target_takes_nothing_but_files(tmp_path):
    (outcome,) = Files("callout", {}).apply(
        [Change("c1", "callout", "absences", ("k",), "update", new={"a": "b"})]
    )
    assert (outcome.status, outcome.reason) == ("failed", "unsupported")


def test_no_copy_of_childrens_data_is_left_behind(server, tmp_path, var):
    running, _ = server
    change = deliver(tmp_path)
    target = Files("callout", settings(running))
    target.apply([change])
    target.apply([change])
    assert list(var.iterdir()) == []


def test_an_export_without_a_heading_uses_its_column_names(tmp_path):
    connection = duckdb.connect()
    connection.execute("create table t as select 1 as n, true as flag, date '2026-10-05' as day")
    export = Export(
        "m",
        "t",
        "x",
        "e",
        ("n",),
        (Column("n"), Column("flag"), Column("day")),
        file=FileFormat("f.csv"),
    )
    rendered = Files("x", {}).render(
        connection, Delivery("x", "f.csv", (("f.csv", export),), False, tmp_path / "f.csv")
    )
    assert Path(rendered.path).read_bytes() == b"n,flag,day\r\n1,true,2026-10-05\r\n"
