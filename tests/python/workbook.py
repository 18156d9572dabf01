"""Excel workbooks for tests, as Excel itself writes them in small: shared strings, styles, a number
for every date.
"""

from __future__ import annotations

import io
import zipfile
from datetime import date
from typing import Any
from xml.sax.saxutils import escape

START = date(1899, 12, 30)  # day 0 of Excel's calendar, for dates after February 1900
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def workbook(**sheets: list[list[Any]]) -> bytes:
    """An .xlsx of the given sheets; None is an empty cell."""
    shared: list[str] = []
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        numbered = list(enumerate(sheets.items(), 1))
        for number, (_, rows) in numbered:
            lines = "".join(
                f'<row r="{at}">'
                + "".join(
                    _cell(f"{chr(65 + place)}{at}", value, shared)
                    for place, value in enumerate(row)
                )
                + "</row>"
                for at, row in enumerate(rows, 1)
                if row
            )
            packed.writestr(
                f"xl/worksheets/sheet{number}.xml",
                f'<worksheet xmlns="{MAIN}"><sheetData>{lines}</sheetData></worksheet>',
            )
        listed = "".join(
            f'<sheet name="{name}" sheetId="{number}" r:id="r{number}"/>'
            for number, (name, _) in numbered
        )
        packed.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><sheets>{listed}</sheets></workbook>',
        )
        links = "".join(
            f'<Relationship Id="r{number}" Type="{RELATIONS}/worksheet"'
            f' Target="worksheets/sheet{number}.xml"/>'
            for number, _ in numbered
        )
        links += f'<Relationship Id="s" Type="{RELATIONS}/styles" Target="styles.xml"/>'
        links += (
            f'<Relationship Id="t" Type="{RELATIONS}/sharedStrings" Target="sharedStrings.xml"/>'
        )
        packed.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{PACKAGE}">{links}</Relationships>',
        )
        packed.writestr(
            "xl/styles.xml",
            f'<styleSheet xmlns="{MAIN}"><cellXfs count="2"><xf numFmtId="0"/><xf'
            ' numFmtId="14"/></cellXfs></styleSheet>',
        )
        strings = "".join(f'<si><t xml:space="preserve">{escape(text)}</t></si>' for text in shared)
        packed.writestr("xl/sharedStrings.xml", f'<sst xmlns="{MAIN}">{strings}</sst>')
        kinds = "".join(
            f'<Override PartName="/xl/worksheets/sheet{number}.xml"'
            f' ContentType="{TYPES}.worksheet+xml"/>'
            for number, _ in numbered
        )
        kinds += f'<Override PartName="/xl/workbook.xml" ContentType="{TYPES}.sheet.main+xml"/>'
        packed.writestr(
            "[Content_Types].xml",
            "<Types"
            f' xmlns="http://schemas.openxmlformats.org/package/2006/content-types">{kinds}</Types>',
        )
        packed.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{PACKAGE}"><Relationship Id="w"'
            f' Type="{RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
    return out.getvalue()


def _cell(name: str, value: Any, shared: list[str]) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return f'<c r="{name}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, date):
        return f'<c r="{name}" s="1"><v>{(value - START).days}</v></c>'
    if isinstance(value, (int, float)):
        return f'<c r="{name}"><v>{value}</v></c>'
    shared.append(str(value))
    return f'<c r="{name}" t="s"><v>{len(shared) - 1}</v></c>'
