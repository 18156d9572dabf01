"""The kit of files: every form a vendor asks for, on the night and day it asks for it."""

from __future__ import annotations

import csv
import io
import tempfile
from dataclasses import replace
from datetime import date, time
from pathlib import Path
from typing import Any

import duckdb
import pytest
from engine_bench import Bench, Model
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from common import findings
from common import settings as configuration
from reverse_etl import exports
from reverse_etl.file_rows import formatted, shortened
from reverse_etl.form import FileFormat, FormError, Moment, file_format
from reverse_etl.model import Delivery, Export, Outcome, Part
from reverse_etl.targets.files import Files, UnfitError, write_rows

DAY = Moment(date(2026, 10, 5), time(2, 30), "74")
TYPES = {"id": "varchar", "name": "varchar", "born": "date", "phone": "varchar", "busy": "boolean"}
ROWS = [
    ("1", "Zoë", "2016-02-29", "+1 250 555 0102", "true"),
    ("2", "Łuk w\u0313", "2009-11-30", "(250) 555-0103", "false"),
    ("3", None, None, None, None),
]


def export(file: dict[str, Any], **columns: dict[str, Any]) -> Export:
    """An export as its YAML would declare it."""
    node = {
        "name": "exp_vendor__people",
        "schema": "exports",
        "columns": {
            name: {"data_type": kind, "config": {"meta": columns.get(name, {})}}
            for name, kind in TYPES.items()
        },
    }
    meta = {"target": "vendor", "entity": "people", "key": ["id"], "file": {"name": "f", **file}}
    return exports.parsed(node, meta)


def rendered(tmp_path: Path, one: Export, rows: list[tuple] = ROWS, **part: Any) -> bytes:
    connection = duckdb.connect()
    listed = ", ".join(f"{name} {kind}" for name, kind in TYPES.items())
    connection.execute(f"create schema exports; create table {one.relation} ({listed})")
    connection.executemany(f"insert into {one.relation} values (?, ?, ?, ?, ?)", rows)
    made = Delivery(
        "vendor", "f", (("f", one),), False, tmp_path / "f", {"f": Part(**part)}, moment=DAY
    )
    Files("vendor", {}).render(connection, made)
    return (tmp_path / "f").read_bytes()


WIDTHS = {"id": 3, "name": 8, "born": 10, "phone": 12, "busy": 1}
FORMATS = {"date": "DD/MM/YYYY", "boolean": ["Y", "N"]}


def test_columns_of_fixed_width_are_padded_on_the_side_that_is_said(tmp_path: Path) -> None:
    widths = {name: {"width": width} for name, width in WIDTHS.items()}
    widths["id"] |= {"align": "right", "pad": "0"}
    widths["phone"]["format"] = "###-###-####"
    form = {"layout": "fixed", "header": False, "encoding": "cp1252", "unencodable": "tell"}
    assert rendered(tmp_path, export(form | FORMATS, **widths)) == (
        b"001Zo\xeb     29/02/2016250-555-0102Y\r\n"
        b"002?uk w   30/11/2009250-555-0103N\r\n"
        b"003" + b" " * 31 + b"\r\n"
    )


@pytest.mark.parametrize(
    ("encoding", "letter"),
    [("cp1252", b"\xeb"), ("latin-1", b"\xeb"), ("mac-roman", b"\x91"), ("utf-8", "ë".encode())],
)
def test_an_encoding_writes_the_letters_it_has(tmp_path: Path, encoding: str, letter: bytes):
    one = export({"encoding": encoding, "header": False})
    assert rendered(tmp_path, one, [("1", "Zoe\u0308", None, None, None)]).startswith(
        b"1,Zo" + ("e\u0308".encode() if encoding == "utf-8" else letter)
    )


def test_letters_an_encoding_lacks_stop_the_file_or_are_replaced_or_are_told(tmp_path: Path):
    row = [("2", "Łuk w\u0313", None, None, None)]
    narrow = {"encoding": "latin-1", "header": False}
    mapped = {"replacements": {"Ł": "L"}}
    for form in ({}, {"unencodable": "refuse", **mapped}, {"unencodable": "replace"}):
        with pytest.raises(UnfitError, match="1 values of name have letters latin-1 does not have"):
            rendered(tmp_path, export(narrow | form), row)
    for form, line in (
        ({"unencodable": "replace", **mapped}, b"2,Luk w,,,\r\n"),
        ({"unencodable": "tell"}, b"2,?uk w,,,\r\n"),
    ):
        assert rendered(tmp_path, export(narrow | form), row) == line


def test_a_file_that_people_open_says_so_and_no_cell_of_it_is_run(tmp_path: Path) -> None:
    row = [("1", "=1+1", None, "+12505550102", None)]
    for formulas, line in (
        ("text", b"1,'=1+1,,'+12505550102,\r\n"),
        ("keep", b"1,=1+1,,+12505550102,\r\n"),
    ):
        one = export({"formulas": formulas, "header": False, "encoding": "utf-8"})
        assert rendered(tmp_path, one, row) == line


def test_a_key_is_never_written_otherwise(tmp_path: Path) -> None:
    lax = {"encoding": "cp1252", "unencodable": "tell", "too_long": "shorten"}
    for row, words in ((("Łu", "x", None, None, None), "letters"), (("1234",) * 1, "longer")):
        full = (*row, *(None,) * (5 - len(row)))
        with pytest.raises(UnfitError, match=words):
            rendered(tmp_path, export(lax, id={"max_length": 3}), [full])


def test_what_is_too_long_stops_the_file_or_is_shortened(tmp_path: Path) -> None:
    row = [("1", "abcd\u0301ef", None, None, None)]
    with pytest.raises(UnfitError, match="1 values of name are longer than the target takes"):
        rendered(tmp_path, export({}, name={"max_length": 4}), row)
    short = export({"too_long": "shorten", "header": False}, name={"max_length": 4})
    assert rendered(tmp_path, short, row) == b"1,abc,,,\r\n", "no letter is parted from its mark"


def test_what_cannot_be_formatted_stops_the_file_or_stays_empty(tmp_path: Path) -> None:
    row = [("1", None, None, "555-0102 ext. 3", None)]
    phone = {"phone": {"format": "###-###-####"}}
    with pytest.raises(UnfitError, match="1 values of phone cannot be written in their format"):
        rendered(tmp_path, export({}, **phone), row)
    empty = export({"unformatted": "empty", "header": False}, **phone)
    assert rendered(tmp_path, empty, row) == b"1,,,,\r\n"


@pytest.mark.parametrize(
    ("text", "form", "written"),
    [
        ("2026-03-09", "DD/MM/YYYY", "09/03/2026"),
        ("2026-03-09", "M/D/YY", "3/9/26"),
        ("2026-03-09", "YYYYMMDD", "20260309"),
        ("2026-03-09", "DD-MON-YYYY", "09-Mar-2026"),
        ("2026-03-09 07:08:09", "YYYY-MM-DDTHH:MI:SS", "2026-03-09T07:08:09"),
        ("09/03/2026", "YYYYMMDD", None),
        ("2505550102", "(###) ###-####", "(250) 555-0102"),
        ("1-250-555-0102", "##########", "2505550102"),
        ("2-250-555-0102", "##########", None),
        ("2505550102", "#######", None),
        ("250555010x", "##########", None),
        ("TRUE", ("1", "0"), "1"),
        ("no", ("1", "0"), "0"),
        ("maybe", ("1", "0"), None),
        ("", "YYYY", ""),
    ],
)
def test_a_value_is_written_in_its_format_or_not_at_all(text: str, form: Any, written: Any):
    assert formatted(text, form) == written


def test_a_text_is_shortened_before_a_letter_it_cannot_hold_whole() -> None:
    assert shortened("ab w\u0313\u0331x", 4) == "ab"
    assert shortened("abcdef", 6 - 1) == "abcde"


TEXT = st.text(
    st.one_of(st.sampled_from(',;|"\\ \t\r\nÉab'), st.characters(codec="cp1252")), max_size=8
)


@given(
    rows=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5),
    delimiter=st.sampled_from(",;|\t"),
    quoting=st.sampled_from(["minimal", "all", "if_space"]),
    escape=st.sampled_from(["double", "backslash"]),
    line_end=st.sampled_from(["crlf", "lf", "cr"]),
    encoding=st.sampled_from(["utf-8", "cp1252", "utf-8-sig"]),
)
def test_who_reads_a_file_as_it_is_declared_reads_the_values(
    rows: list, delimiter: str, quoting: str, escape: str, line_end: str, encoding: str
) -> None:
    out = io.BytesIO()
    form = FileFormat(
        "f", None, delimiter, quoting, encoding, line_end, header=False, escape=escape
    )
    write_rows(out, form, ("a", "b"), rows)
    text = out.getvalue().decode(form.codec)
    if line_end == "cr":  # as the csv module reads no other
        text = text.replace("\r", "\n")
    way = (
        {"doublequote": True} if escape == "double" else {"doublequote": False, "escapechar": "\\"}
    )
    read = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, **way))
    lone = {"crlf": {}, "lf": {"\r": " "}, "cr": {"\n": " ", "\r": "\n"}}[line_end]
    expected = [[value.translate(str.maketrans(lone)) for value in row] for row in rows]
    assert read == expected


def test_a_file_without_quotes_escapes_by_backslash_where_that_is_said() -> None:
    out = io.BytesIO()
    form = FileFormat("f", quoting="none", escape="backslash", header=False)
    write_rows(out, form, (), [('a,b\\c"d', "x\r\ny")])
    assert out.getvalue() == b'a\\,b\\\\c\\"d,x y\r\n'


def test_a_first_and_a_last_line_say_how_many_rows_there_are(tmp_path: Path) -> None:
    form = {
        "banner": "HDR {date:%d%m%Y} {time} {district} {rows}",
        "trailer": "TRL {rows:06}",
        "line_end": "cr",
    }
    lines = rendered(tmp_path, export(form)).decode().split("\r")
    assert (lines[0], lines[1], lines[-2:]) == (
        "HDR 05102026 023000 74 3",
        "id,name,born,phone,busy",
        ["TRL 000003", ""],
    )


@pytest.mark.parametrize(
    ("file", "columns", "words"),
    [
        ({"layout": "fixed"}, {}, "column id has no width"),
        (
            {"layout": "fixed"},
            {n: {"width": 3} for n in TYPES},
            "too narrow for its heading 'name'",
        ),
        ({"boolean": [True, False]}, {}, "write what is yes and what is no, in quotes"),
        ({"boolean": ["Y"]}, {}, "write what is yes and what is no, in quotes"),
        ({"days": ["Monday"]}, {}, "write weekdays (monday)"),
        ({"days": []}, {}, "a file without a day never goes"),
        ({"days": [32]}, {}, "write weekdays (monday)"),
        ({"actions": {"create": "A", "update": "U"}}, {}, "actions.remove is missing"),
        ({"actions": {"create": "A", "update": "D", "remove": "D"}}, {}, "have the same word"),
        ({"actions": {"create": True, "update": "U", "remove": "D"}}, {}, "write it in quotes"),
        ({"banner": "{school}"}, {}, "in it may stand {date}, {time}, {district}, {rows}"),
        ({"name": "{person}.csv"}, {}, "not {person}"),
        ({"name": "{partition}.csv"}, {}, "has to be one of the key"),
        ({"encoding": "cp1252", "banner": "Ł"}, {}, "cp1252 has no 'Ł'"),
        ({"encoding": "cp1252"}, {"name": {"header": "w\u0313"}}, "cp1252 has no '\u0313'"),
        ({"replacements": {"ab": "c"}}, {}, "write a letter and what stands for it"),
        ({"banner": "a\nb"}, {}, "a line end within a line"),
        ({}, {"name": {"width": "3"}}, "column name: width is '3'"),
        ({}, {"name": {"max_length": 0}}, "column name: max_length is 0"),
        ({}, {"name": {"align": "middle"}}, "column name: align is 'middle'"),
        ({}, {"name": {"pad": ""}}, "column name: pad is ''"),
        ({}, {"busy": {"format": [True, False]}}, "in quotes"),
    ],
)
def test_a_form_nobody_can_follow_is_named(file: dict, columns: dict, words: str) -> None:
    with pytest.raises(exports.ExportError) as caught:
        export(file, **columns)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("days", "due"),
    [
        (["monday"], ["2026-10-05"]),
        ([5, "tuesday"], ["2026-10-05", "2026-10-06"]),
        (["last"], ["2026-02-28", "2026-10-31"]),
        (None, ["2026-02-28", "2026-10-05", "2026-10-06", "2026-10-31"]),
    ],
)
def test_a_file_goes_on_its_days(days: Any, due: list[str]) -> None:
    form = export({"days": days} if days else {}).file
    every = ["2026-02-28", "2026-10-05", "2026-10-06", "2026-10-31"]
    assert form is not None
    assert [day for day in every if form.is_due(date.fromisoformat(day))] == due


# ---------------------------------------------------------------- nights


GOODS = Model(
    "goods",
    {"id": "varchar", "name": "varchar", "shop": "varchar"},
    {
        "key": ["id"],
        "limits": {"drop": "100%"},
        "file": {
            "name": "goods_{date:%Y%m%d}.csv",
            "header": False,
            "actions": {"create": "A", "update": "C", "remove": "D"},
        },
    },
    target="folder",
)


class Vendor(Files):
    """A folder of this machine that can be away, or take a file and lose the answer."""

    away = silent = False

    def apply(self, changes: Any) -> Any:
        outcomes = [] if self.away else super().apply(changes)
        if self.away or self.silent:
            return [Outcome(one.change_id, "failed", reason="not_delivered") for one in changes]
        return outcomes


def standing(var: Path, *models: Model) -> tuple[Bench, Path]:
    folder = var.parent / "vendor"
    folder.mkdir(exist_ok=True)
    bench = Bench(var, list(models))
    bench.folder = Vendor("folder", {"via": "folder", "folder": str(folder)})  # type: ignore[assignment]
    return bench, folder


def rows(held: dict[str, str], shop: str = "x") -> list[dict[str, str]]:
    return [{"id": key, "name": name, "shop": shop} for key, name in sorted(held.items())]


def replayed(folder: Path) -> dict[str, str]:
    """What a vendor holds that has read every file in its order."""
    held: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        for action, key, name, _ in csv.reader(path.read_text("utf-8").splitlines()):
            held.pop(key, None)
            if action != "D":
                held[key] = name
    return held


@given(
    nights=st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from("abcde"), st.sampled_from(["x", "y", ""]), max_size=5),
            st.sampled_from(["well", "well", "away", "silent", "twice"]),
        ),
        min_size=1,
        max_size=5,
    )
)
@settings(max_examples=5, deadline=None, phases=[Phase.explicit, Phase.generate])
@example([({"a": "x"}, "silent"), ({}, "well")])
@example([({"a": "x"}, "well"), ({"a": "y"}, "silent"), ({"a": "x"}, "well")])
@example([({"a": "x"}, "well"), ({}, "silent"), ({"a": "x"}, "well")])
def test_all_deltas_ever_sent_one_after_the_other_are_the_full_set(nights: list) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        bench, vendor = standing(Path(folder) / "var", GOODS)
        for number, (held, how) in enumerate([*nights, (nights[-1][0], "well")]):
            patch.setenv("HOMEROOM_AS_OF", f"2026-10-{number + 1:02}")
            bench.folder.away, bench.folder.silent = how == "away", how == "silent"  # type: ignore[union-attr]
            bench.desire(goods=rows(held))
            bench.whole_night()
            if how == "twice":
                bench.whole_night()
            if how in {"well", "twice"}:
                assert replayed(vendor) == held


def test_a_delta_says_what_happened_to_each_row(tmp_path, monkeypatch) -> None:
    bench, vendor = standing(tmp_path / "var", GOODS)
    for day, held in (("01", {"a": "1", "b": "2"}), ("02", {"a": "9", "c": "3"})):
        monkeypatch.setenv("HOMEROOM_AS_OF", f"2026-10-{day}")
        bench.desire(goods=rows(held))
        assert bench.whole_night() == 0
        assert bench.verify() == 0
    assert (vendor / "goods_20261001.csv").read_text("utf-8") == ("A,a,1,x\nA,b,2,x\n")
    assert (vendor / "goods_20261002.csv").read_bytes() == b"C,a,9,x\r\nD,b,2,x\r\nA,c,3,x\r\n"


def test_a_second_delta_of_a_day_waits_for_the_next(tmp_path, monkeypatch, capsys) -> None:
    bench, vendor = standing(tmp_path / "var", GOODS)
    monkeypatch.setenv("HOMEROOM_AS_OF", "2026-10-01")
    for held in ({"a": "1"}, {"a": "1", "b": "2"}):
        bench.desire(goods=rows(held))
        assert bench.whole_night() == 0
    assert replayed(vendor) == {"a": "1"}
    (part,) = bench.run.read("plan.json")["exports"]
    assert part["until"] == (
        "not tonight; goods_20261001.csv went today already, and what changed since goes with the"
        " next"
    )
    assert bench.verify() == 0
    assert bench.run.read("verify.json")["folder"]["goods"]["waiting_for"] == {"postponed": 1}
    monkeypatch.setenv("HOMEROOM_AS_OF", "2026-10-02")
    assert bench.whole_night() == 0
    assert replayed(vendor) == {"a": "1", "b": "2"}


def test_a_delta_that_is_not_fetched_yet_is_not_written_over(tmp_path, monkeypatch) -> None:
    meta = {**GOODS.meta, "file": {**GOODS.meta["file"], "name": "goods.csv"}}
    bench, vendor = standing(tmp_path / "var", replace(GOODS, meta=meta))
    for day, held, exit_code in (("1", {"a": "1"}, 0), ("2", {"b": "2"}, 3), ("3", {"b": "2"}, 0)):
        monkeypatch.setenv("HOMEROOM_AS_OF", f"2026-10-0{day}")
        if day == "3":
            (vendor / "goods.csv").unlink()
        bench.desire(goods=rows(held))
        assert bench.whole_night() == exit_code
        if day == "2":
            (told,) = [one for one in findings.read(bench.run) if one["code"] == "changes_failed"]
            assert "is still there" in told["values"]["why"]
            assert (vendor / "goods.csv").read_bytes() == b"A,a,1,x\r\n"
    assert (vendor / "goods.csv").read_bytes() == b"D,a,1,x\r\nA,b,2,x\r\n"


def test_a_shrunken_set_sends_no_delta(tmp_path, monkeypatch) -> None:
    careful = replace(GOODS, meta={**GOODS.meta, "limits": {"drop": "20%"}})
    bench, vendor = standing(tmp_path / "var", careful)
    for day, keys, exit_code in (("01", "abcdefghij", 0), ("02", "abc", 2), ("03", "", 2)):
        monkeypatch.setenv("HOMEROOM_AS_OF", f"2026-10-{day}")
        bench.desire(goods=rows(dict.fromkeys(keys, "x")))
        assert bench.whole_night() == exit_code
    assert [path.name for path in vendor.iterdir()] == ["goods_20261001.csv"]
    assert bench.whole_night("folder.goods.drop", "the shop closed") == 0
    assert replayed(vendor) == {}


def test_on_another_day_than_its_own_a_file_waits_and_nobody_is_called(tmp_path, monkeypatch):
    mondays = {**GOODS.meta["file"], "days": ["monday"]}
    bench, vendor = standing(tmp_path / "var", replace(GOODS, meta={**GOODS.meta, "file": mondays}))
    for day, held, files in (
        ("04", {"a": "1"}, []),
        ("05", {"a": "2"}, ["goods_20261005.csv"]),
        ("06", {"b": "3"}, ["goods_20261005.csv"]),
        ("12", {"b": "3"}, ["goods_20261005.csv", "goods_20261012.csv"]),
    ):
        monkeypatch.setenv("HOMEROOM_AS_OF", f"2026-10-{day}")
        bench.desire(goods=rows(held))
        assert bench.whole_night() == 0
        assert bench.verify() == 0
        assert sorted(path.name for path in vendor.iterdir()) == files
    assert replayed(vendor) == {"b": "3"}


PER_SHOP = replace(
    GOODS,
    meta={
        "key": ["shop", "id"],
        "partition": "shop",
        "limits": {"drop": "50%"},
        "file": {"name": "{branch}_goods.csv", "header": False},
    },
)


def test_each_part_has_its_file_and_who_moves_leaves_one_for_the_other(tmp_path, monkeypatch):
    monkeypatch.setenv("WORDS__PARTITION", "branch")
    bench, vendor = standing(tmp_path / "var", PER_SHOP)

    def text() -> dict[str, str]:
        return {p.name: p.read_bytes().decode().replace("\r\n", " ") for p in vendor.iterdir()}

    def night(**shops: str) -> int:
        desired = [(shop, dict.fromkeys(keys, "n")) for shop, keys in shops.items()]
        bench.desire(goods=[row for shop, held in desired for row in rows(held, shop)])
        return bench.whole_night()

    assert night(north="ab", south="cde") == 0
    assert text() == {
        "north_goods.csv": "a,n,north b,n,north ",
        "south_goods.csv": ("c,n,south d,n,south e,n,south "),
    }
    stamps = {path.name: path.stat().st_mtime_ns for path in vendor.iterdir()}
    assert night(north="ab", south="cd", west="z") == 0
    assert (vendor / "north_goods.csv").stat().st_mtime_ns == stamps["north_goods.csv"]
    assert text()["south_goods.csv"] == "c,n,south d,n,south "
    assert text()["west_goods.csv"] == "z,n,west "
    assert night(north="a", south="bcd", west="z") == 0
    assert (text()["north_goods.csv"], text()["south_goods.csv"]) == (
        "a,n,north ",
        "b,n,south c,n,south d,n,south ",
    )
    assert bench.whole_night() == 0
    assert bench.run.read("outcome.json") == {}, "a quiet night sends nothing"


def test_a_part_that_shrinks_too_far_waits_alone(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("WORDS__PARTITION", "branch")
    careful = replace(PER_SHOP, meta={**PER_SHOP.meta, "limits": {"drop": "30%"}})
    bench, vendor = standing(tmp_path / "var", careful)
    north, south = dict.fromkeys("abcdefghij", "n"), dict.fromkeys("klm", "n")
    bench.desire(goods=rows(north, "north") + rows(south, "south"))
    assert bench.whole_night() == 0
    south = {"k": "changed"}
    north["z"] = "new"
    bench.desire(goods=rows(north, "north") + rows(south, "south"))
    assert bench.whole_night() == 2
    assert (
        "folder goods, branch south: 2 of 3 rows delivered last time would vanish"
        in (bench.run.read("plan.json")["exports"][0]["holds"][0])
    )
    assert "z,new" in (vendor / "north_goods.csv").read_text("utf-8")
    assert "k,n" in (vendor / "south_goods.csv").read_text("utf-8")
    assert bench.ask("select count(*) from ledger.applied.folder__goods") == [(14,)]


def test_a_part_whose_file_fails_is_sent_again_and_the_others_are_not(tmp_path, monkeypatch):
    monkeypatch.setenv("WORDS__PARTITION", "branch")
    bench, vendor = standing(tmp_path / "var", PER_SHOP)
    (vendor / "south_goods.csv").mkdir()
    bench.desire(goods=rows({"a": "1"}, "north") + rows({"b": "2"}, "south"))
    assert bench.whole_night() == 3
    assert bench.ask("select _key from ledger.applied.folder__goods") == [("north|a",)]
    (vendor / "south_goods.csv").rmdir()
    assert bench.whole_night() == 0
    assert bench.run.read("outcome.json")["folder"]["file"]["applied"] == 1
    assert (vendor / "south_goods.csv").read_bytes() == b"b,2,south\r\n"


def test_one_archive_may_hold_a_file_per_part(tmp_path, monkeypatch) -> None:
    import zipfile

    monkeypatch.setenv("WORDS__PARTITION", "branch")
    file = {**PER_SHOP.meta["file"], "archive": "all.zip"}
    zipped = replace(PER_SHOP, meta={**PER_SHOP.meta, "file": file})
    bench, vendor = standing(tmp_path / "var", zipped)
    bench.desire(goods=rows({"a": "1"}, "north") + rows({"b": "2"}, "south"))
    assert bench.whole_night() == 0
    with zipfile.ZipFile(vendor / "all.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "north_goods.csv": b"a,1,north\r\n",
            "south_goods.csv": b"b,2,south\r\n",
        }


def test_a_value_that_does_not_fit_holds_the_file_before_it_is_made(tmp_path, monkeypatch) -> None:
    narrow = replace(
        GOODS,
        meta={**GOODS.meta, "file": {**GOODS.meta["file"], "encoding": "cp1252"}},
        metas={"name": {"max_length": 5}},
    )
    bench, vendor = standing(tmp_path / "var", narrow)
    for value, words in (("Łuk", "have letters cp1252 does not have"), ("longer", "are longer")):
        bench.desire(goods=rows({"a": "b", "c": value}))
        assert bench.whole_night() == 2
        (hold,) = bench.run.read("plan.json")["exports"][0]["holds"]
        assert hold.startswith("1 values of name ")
        assert words in hold
        assert hold.endswith("the first of c; nothing is sent")
        assert list(vendor.iterdir()) == []


def test_what_is_shortened_or_replaced_is_told_with_its_key(tmp_path, monkeypatch) -> None:
    lax = {"encoding": "cp1252", "too_long": "shorten", "unencodable": "tell"}
    told = replace(
        GOODS,
        meta={**GOODS.meta, "file": {**GOODS.meta["file"], **lax}},
        metas={"name": {"max_length": 5}},
    )
    bench, vendor = standing(tmp_path / "var", told)
    monkeypatch.setenv("HOMEROOM_AS_OF", "2026-10-01")
    bench.desire(goods=rows({"a": "Łuk", "c": "longer"}))
    assert bench.whole_night() == 0
    found = {one["code"]: one for one in findings.read(bench.run)}
    assert {code: (one["key"], one["level"]) for code, one in found.items()} == {
        "file_letters": ("a", "warning"),
        "file_length": ("c", "warning"),
    }
    assert (vendor / "goods_20261001.csv").read_bytes() == b"A,a,?uk,x\r\nA,c,longe,x\r\n"


def test_a_name_with_a_time_is_the_same_until_the_file_is_known_to_have_arrived(
    tmp_path, monkeypatch
) -> None:
    timed = {**GOODS.meta["file"], "name": "goods_{date}_{time}.csv"}
    bench, vendor = standing(tmp_path / "var", replace(GOODS, meta={**GOODS.meta, "file": timed}))
    monkeypatch.setenv("HOMEROOM_AS_OF", "2026-10-01")
    plain, hours = bench.night, iter(range(1, 20))
    hour: list[int] = []
    monkeypatch.setattr(bench, "night", lambda *a: replace(plain(*a), at=time(hour[-1])))
    bench.desire(goods=rows({"a": "1"}))
    for silent, exit_code, names in ((True, 3, ["01"]), (False, 0, ["01"]), (False, 0, ["01"])):
        hour.append(next(hours))
        bench.folder.silent = silent  # type: ignore[union-attr]
        assert bench.whole_night() == exit_code
        assert [path.stem[-6:-4] for path in sorted(vendor.iterdir())] == names
    hour.append(next(hours))
    bench.desire(goods=rows({"a": "2"}))
    assert bench.whole_night() == 0
    assert [path.stem[-6:-4] for path in sorted(vendor.iterdir())] == ["01", "04"]


def test_a_folder_that_is_not_mounted_is_not_made(tmp_path: Path) -> None:
    target = Files("vendor", {"via": "folder", "folder": str(tmp_path / "away")})
    with pytest.raises(Exception, match="is the share mounted"):
        target.check_connection()
    with pytest.raises(configuration.SettingsError, match="via"):
        Files("vendor", {"via": "pigeon"})
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_is_not_written_orders_and_tells_apart_rows_which_read_the_same(
    tmp_path: Path,
) -> None:
    """Neither its heading nor its value stands in the file; whoever else would hide so is told."""
    rows = [("2", "Twin", None, None, None), ("1", "Twin", None, None, None)]
    one = export({"quoting": "none"}, id={"in_file": False})
    assert rendered(tmp_path, one, rows) == b"name,born,phone,busy\r\nTwin,,,\r\nTwin,,,\r\n"
    assert rendered(tmp_path, export({}, id={}), rows).startswith(b"id,name,born,phone,busy\r\n1,")
    with pytest.raises(exports.ExportError, match="in_file is for a key column of a file"):
        export({}, name={"in_file": False})


def test_the_first_line_of_a_file_per_school_names_the_school_and_no_other_files() -> None:
    form = {"name": "calls_{school}.txt", "banner": "{school} {date}"}
    per_school = file_format(form, ("partition", "school"))
    told = replace(DAY, partition="07474001").filled(per_school.banner)
    assert told == f"07474001 {DAY.date.isoformat()}"
    with pytest.raises(FormError, match=r"not \{school\}"):
        file_format({**form, "name": "calls.txt"}, ("partition", "school"))
