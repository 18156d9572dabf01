"""Files that are no lines: Excel, JSON and XML say the rows, in a template, with the same bytes
every time.
"""

from __future__ import annotations

import io
import json
import time
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_file_kit import ROWS, TYPES, export, rendered

from reverse_etl import deliveries
from reverse_etl.exports import ExportError
from reverse_etl.form import NO_MOMENT, FileFormat
from reverse_etl.targets.files import UnfitError, structured

FORMULAS = [("1", "=1+1", None, "+12505550102", "true"), ("007", 'A "b" <c> & d', None, None, None)]
MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def sheet(content: bytes) -> list[list[str | None]]:
    """The rows of the first sheet, read by what the standard says of it."""
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        shared = [
            "".join(t.text or "" for t in one.iter(f"{MAIN}t"))
            for one in ET.fromstring(book.read("xl/sharedStrings.xml"))
        ]
        page = book.read("xl/worksheets/sheet1.xml")
        assert b"<f>" not in page, "no cell of it is a formula"
        rows = []
        for row in ET.fromstring(page).iter(f"{MAIN}row"):
            found: dict[int, str] = {}
            for cell in row:
                assert cell.get("t") == "s", "every cell is a text"
                found["ABCDEFGH".index(cell.get("r", "")[0])] = shared[int(cell[0].text or "")]
            rows.append([found.get(place) for place in range(max(found) + 1)])
    return rows


def test_a_workbook_has_texts_and_no_formulas(tmp_path: Path) -> None:
    one = export({"layout": "excel", "sheet": "Pupils", "banner": "{date}", "trailer": "{rows}"})
    content = rendered(tmp_path, one, FORMULAS)
    assert sheet(content) == [
        ["2026-10-05"],
        ["id", "name", "born", "phone", "busy"],
        ["007", 'A "b" <c> & d'],
        ["1", "=1+1", None, "+12505550102", "true"],
        ["2"],
    ]
    assert b'name="Pupils"' in zipfile.ZipFile(io.BytesIO(content)).read("xl/workbook.xml")


@pytest.mark.parametrize("layout", ["excel", "json", "xml"])
def test_the_same_rows_are_the_same_bytes(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = export(
        {"layout": layout, "archive": None} | ({"sheet": "A"} if layout == "excel" else {})
    )
    first = rendered(tmp_path, one)
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert rendered(tmp_path, one) == first
    if layout == "excel":
        with zipfile.ZipFile(io.BytesIO(first)) as book:
            assert {one.date_time for one in book.infolist()} == {(1980, 1, 1, 0, 0, 0)}
            assert b"1980-01-01T00:00:00Z" in book.read("docProps/core.xml")


def test_json_is_a_list_of_objects_with_the_types_of_the_contract(tmp_path: Path) -> None:
    one = export({"layout": "json"}, name={"header": "full name"})
    content = rendered(tmp_path, one, FORMULAS)
    assert content == (
        b'[\n{"id": "007", "full name": "A \\"b\\" <c> & d", "born": null, "phone": null,'
        b' "busy": null},\n{"id": "1", "full name": "=1+1", "born": null, "phone": "+12505550102",'
        b' "busy": true}\n]\n'
    )
    assert [row["id"] for row in json.loads(content)] == ["007", "1"]
    out = io.BytesIO()
    structured.write(out, FileFormat("f", layout="json"), ["a"], ["a"], {}, [], NO_MOMENT)
    assert json.loads(out.getvalue()) == []
    yes = export({"layout": "json", "boolean": ["Y", "N"]})
    assert json.loads(rendered(tmp_path, yes, FORMULAS))[1]["busy"] == "Y"


@pytest.mark.parametrize(
    ("kind", "value", "written"),
    [
        ("integer", "7", "7"),
        ("decimal(9,2)", "7.50", "7.50"),
        ("integer", "007", '"007"'),
        ("varchar", "7", '"7"'),
        ("boolean", "false", "false"),
        ("boolean", "maybe", '"maybe"'),
        ("date", "2026-10-05", '"2026-10-05"'),
        ("double", "nan", '"nan"'),
        ("varchar", "Zoë\n", '"Zoë\\n"'),
        ("varchar", None, "null"),
    ],
)
def test_a_number_is_a_number_only_where_the_contract_says_so(
    kind: str, value: str | None, written: str
) -> None:
    out = io.BytesIO()
    form = FileFormat("f", layout="json", row="{a}")
    structured.write(out, form, ["a"], ["a"], {"a": kind}, [[value]], NO_MOMENT)
    assert out.getvalue().decode() == f"[\n{written}\n]\n"


def test_a_template_says_what_stands_around_rows_and_in_them(tmp_path: Path) -> None:
    form = {
        "layout": "json",
        "banner": '{"made": "{date:%Y%m%d}", "count": {rows}, "pupils": [',
        "row": '{"id": {id}, "contact": {"phone": {phone}}}',
        "trailer": "]}",
    }
    assert json.loads(rendered(tmp_path, export(form), FORMULAS)) == {
        "made": "20261005",
        "count": 2,
        "pupils": [
            {"id": "007", "contact": {"phone": None}},
            {"id": "1", "contact": {"phone": "+12505550102"}},
        ],
    }
    form = {
        "layout": "xml",
        "encoding": "cp1252",
        "banner": '<?xml version="1.0" encoding="windows-1252"?><pupils on="{date}">',
        "row": '<pupil id="{id}"><name>{name}</name></pupil>',
        "trailer": "</pupils>",
    }
    content = rendered(tmp_path, export(form), [("1", 'Zoë "&"', None, None, None)])
    assert content == (
        b'<?xml version="1.0" encoding="windows-1252"?><pupils on="2026-10-05">\n'
        b'<pupil id="1"><name>Zo\xeb &quot;&amp;&quot;</name></pupil>\n</pupils>\n'
    )
    assert ET.fromstring(content)[0][0].text == 'Zoë "&"'


def test_xml_is_an_element_for_each_heading(tmp_path: Path) -> None:
    content = rendered(tmp_path, export({"layout": "xml"}, name={"header": "Name"}), FORMULAS)
    root = ET.fromstring(content)
    assert [(one.tag, one.text) for one in root[1]][:2] == [("id", "1"), ("Name", "=1+1")]
    assert content.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<rows>\n<row><id>007</id>')


def test_a_delta_says_what_happened_to_a_row(tmp_path: Path) -> None:
    actions = {"create": "A", "update": "C", "remove": "D"}
    form = {"layout": "json", "actions": actions, "row": "[{action}, {id}]"}
    said = {"1": ("create", "{}"), "3": ("remove", '{"id": "3"}')}
    content = rendered(tmp_path, export(form), [("1", None, None, None, None)], actions=said)
    assert json.loads(content) == [["A", "1"], ["D", "3"]]
    plain = export({"layout": "json", "actions": actions})
    content = rendered(tmp_path, plain, [("1", None, None, None, None)], actions=said)
    assert json.loads(content)[0] == {"action": "A", **dict.fromkeys(TYPES), "id": "1"}


@pytest.mark.parametrize("layout", ["xml", "excel"])
def test_what_neither_can_hold_stops_the_file_or_is_told(layout: str, tmp_path: Path) -> None:
    row = [("1", "a\x0bb", None, None, None)]
    with pytest.raises(UnfitError, match="1 values of name have letters"):
        rendered(tmp_path, export({"layout": layout}), row)
    content = rendered(tmp_path, export({"layout": layout, "unencodable": "tell"}), row)
    assert (b"a b" in content) if layout == "xml" else sheet(content)[1][1] == "a b"
    with pytest.raises(UnfitError, match="letters"):
        rendered(
            tmp_path, export({"layout": layout, "unencodable": "tell"}), [("\x0b", *row[0][1:])]
        )


def test_a_cell_of_a_workbook_holds_so_much(tmp_path: Path) -> None:
    row = [("1", "x" * 32_768, None, None, None)]
    with pytest.raises(UnfitError, match="1 values of name are longer than the target takes"):
        rendered(tmp_path, export({"layout": "excel"}), row)


def test_a_sheet_holds_so_many_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structured, "MOST_ROWS", 3)
    with pytest.raises(UnfitError, match="a sheet of Excel holds 3 rows and no more"):
        rendered(tmp_path, export({"layout": "excel"}))
    assert sheet(rendered(tmp_path, export({"layout": "excel"}), ROWS[:2]))


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"layout": "json", "encoding": "cp1252"}, "json is utf-8"),
        ({"layout": "excel", "encoding": "latin-1"}, "excel is utf-8"),
        ({"layout": "xml", "encoding": "utf-8-sig"}, "XML says its encoding itself"),
        ({"layout": "excel", "row": "{id}"}, "no template of a row"),
        ({"layout": "excel", "sheet": "a/b"}, "no sheet's name"),
        ({"layout": "json", "banner": "["}, "both banner and trailer"),
        ({"layout": "json", "row": "{nobody}"}, r"\.row names \{nobody\}"),
        ({"layout": "xml", "encoding": "cp1252", "row": "<Ł>{id}</Ł>"}, "cp1252 has no 'Ł'"),
    ],
)
def test_a_form_nobody_can_follow_is_refused(form: dict[str, Any], words: str) -> None:
    with pytest.raises(ExportError, match=words):
        export(form)


def test_headings_that_make_no_object_and_no_element_want_a_row_of_their_own() -> None:
    with pytest.raises(ExportError, match="two columns have one heading"):
        export({"layout": "json"}, name={"header": "id"})
    with pytest.raises(ExportError, match="'full name' of name is no element"):
        export({"layout": "xml"}, name={"header": "full name"})
    assert export({"layout": "xml", "row": "<p>{name}</p>"}, name={"header": "full name"})


def test_a_file_of_before_is_of_the_same_form_as_it_was() -> None:
    """What is new in a format is no reason to send every file of every district again."""
    assert deliveries.shape(export({})) == "a90cc5d98c77332f"


VALUE = st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=6))


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(st.tuples(VALUE, VALUE), max_size=4))
def test_who_reads_json_reads_the_values(rows: list[tuple[str | None, str | None]]) -> None:
    out = io.BytesIO()
    form = FileFormat("f", layout="json")
    structured.write(out, form, ["a", "b"], ["a", "B"], {}, rows, NO_MOMENT)
    assert json.loads(out.getvalue()) == [{"a": one, "B": other} for one, other in rows]
